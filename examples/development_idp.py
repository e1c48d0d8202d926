"""A SAML 2.0 identity provider for development: it signs in whoever asks, as whom they choose.

    USERPOOL_DEVELOPMENT=1 python -m examples.development_idp --data var/development-idp \\
        --sp-metadata http://localhost:8000/eu-west-1_Demo00001/saml2/metadata

It plays a company whose people a user pool lets in. Both directions of SAML can be tried: a sign-in and a sign-out
that begin at the app, and those that begin here. A server that is not in development refuses it, by its entity id.

    development_idp_entity.py   who it is: pysaml2's Server, set up for one service provider, and its key
    development_idp_saml.py     what it says and understands
    development_idp_web.py      who is signed in, in which browser
    development_idp_pages.py    what people see
"""

import argparse
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import django
from cryptography.utils import CryptographyDeprecationWarning
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A SAML identity provider for development.")
    parser.add_argument(
        "--sp-metadata", required=True, metavar="URL", help="where the service provider describes itself"
    )
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER", help="keeps the key and its certificate")
    parser.add_argument("--port", type=int, default=8002)
    words = "an app where a sign-in may begin here, with the authorize query that is its RelayState; may be repeated"
    parser.add_argument("--app", action="append", default=[], metavar="NAME=QUERY", help=words)
    return parser.parse_args()


def in_development() -> bool:
    with suppress(ImproperlyConfigured):  # outside development more has to be configured, and that is answer enough
        return bool(settings.USERPOOL_DEVELOPMENT)
    return False


def main() -> int:
    options = arguments()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "userpool.settings")
    if not in_development():
        print("The development IdP signs in whoever asks. It needs USERPOOL_DEVELOPMENT=1.", file=sys.stderr)
        return 1
    django.setup()
    warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # pysaml2's, of a cipher that is not used here
    # not before: Userpool's cryptography of SAML is in a package that has to do with its models
    from examples.development_idp_entity import Entity
    from examples.development_idp_saml import Messages
    from examples.development_idp_web import DevelopmentIdp, Server

    base = f"http://localhost:{options.port}"
    named = (given.partition("=") for given in options.app)
    idp = DevelopmentIdp(
        Messages(Entity(base, options.sp_metadata, options.data)), {name: query for name, _, query in named}
    )
    try:
        server = Server(options.port, idp)
    except OSError as error:
        print(f"The development IdP cannot start: {error}", file=sys.stderr)
        return 1
    print(f"{base}/", flush=True)
    with suppress(KeyboardInterrupt):
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
