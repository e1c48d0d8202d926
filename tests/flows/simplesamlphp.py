"""SimpleSAMLphp as the identity provider of a pool: Debian's package, unmodified, served by PHP's own web server.

Its configuration, keys, sessions and logs are in a temporary folder. It knows a service provider by the metadata that
this one publishes, so ``know`` takes the document as it is. Whoever signs in is one of USERS. What it is told is named
as in its documentation: simplesamlphp-reference-idp-hosted.
"""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx

from tests.fakes import saml
from tests.flows.person import Person
from tests.needs import SIMPLESAMLPHP
from tests.services import free_port, running

PASSWORD = "Battery-staple-9"
USERS: dict[str, dict[str, list[str]]] = {
    "grace": {
        "uid": ["grace"],
        "mail": ["grace@corp.example.com"],
        "givenName": ["Grace"],
        "sn": ["Höpper"],
        "eduPersonAffiliation": ["member", "staff & faculty"],
    },
    "annie": {
        "uid": ["annie"],
        "mail": ["annie@corp.example.com"],
        "givenName": ["Annie"],
        "sn": ["Easley & Sons"],
        "eduPersonAffiliation": ["member"],
    },
}
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
REDIRECT, POST = (f"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-{word}" for word in ("Redirect", "POST"))
READ = "<?php\n${name} = json_decode(file_get_contents('{file}'), true);\n"
# at each request: the service providers that are known then, and what Options says of them all
KNOWN = """<?php
foreach (glob(__DIR__ . '/../sp/*.xml') as $file) {
    foreach (SimpleSAML\\Metadata\\SAMLParser::parseDescriptorsFile($file) as $id => $entity) {
        $told = json_decode(file_get_contents(__DIR__ . '/../told.json'), true);
        $metadata[$id] = array_merge($entity->getMetadata20SP(), $told);
    }
}
"""


@dataclass(frozen=True)
class Options:
    """How the provider behaves."""

    sign_assertion: bool = True
    sign_response: bool = False
    encrypt: bool = False
    """The assertion, with AES-128-CBC and RSA-OAEP, which is all that this version offers for a certificate."""
    name_id: str = EMAIL
    signed_requests: bool = False
    """Refuse a request for a sign-in that is not signed."""
    signed_logout: bool = True
    """Sign what is said about logout, and believe nothing that is not signed."""
    bindings: tuple[str, ...] = (REDIRECT,)
    """Where requests and answers are taken, the preferred way first."""

    def hosted(self) -> dict[str, Any]:
        """The provider, in its own words."""
        return {
            "host": "__DEFAULT__",
            "privatekey": "idp.key",
            "certificate": "idp.crt",
            "auth": "people",
            "signature.algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            "validate.authnrequest": self.signed_requests,
            "validate.logout": self.signed_logout,
            "sign.logout": self.signed_logout,
            "SingleSignOnServiceBinding": self.bindings,
            "SingleLogoutServiceBinding": self.bindings,
            "NameIDFormat": self.name_id,
            "authproc": {"10": self._name_id()},
        }

    def told(self) -> dict[str, Any]:
        """What its administrator sets for a service provider, whatever that one's metadata asks for."""
        return {
            "saml20.sign.assertion": self.sign_assertion,
            "saml20.sign.response": self.sign_response,
            "assertion.encryption": self.encrypt,
            "validate.authnrequest": self.signed_requests,
            "NameIDFormat": self.name_id,
        }

    def _name_id(self) -> dict[str, str]:
        if self.name_id == PERSISTENT:
            return {"class": "saml:PersistentNameID", "attribute": "uid"}
        attribute = "mail" if self.name_id == EMAIL else "uid"
        return {"class": "saml:AttributeNameID", "attribute": attribute, "Format": self.name_id}


@dataclass(frozen=True)
class SimpleSamlPhp:
    """A running provider."""

    base: str
    folder: Path

    @property
    def entity_id(self) -> str:
        return f"{self.base}/saml2/idp/metadata.php"

    @property
    def sso(self) -> str:
        return f"{self.base}/saml2/idp/SSOService.php"

    @property
    def slo(self) -> str:
        return f"{self.base}/saml2/idp/SingleLogoutService.php"

    def metadata(self) -> str:
        """What it publishes of itself."""
        return httpx.get(self.entity_id).raise_for_status().text

    def know(self, metadata: str) -> None:
        """Take up a service provider, from the metadata that it publishes."""
        (self.folder / "sp" / f"{len([*self.folder.glob('sp/*')])}.xml").write_text(metadata, encoding="utf-8")

    def sign_as(self, name: str) -> None:
        """Sign with the key pair of this name from now on, and publish no other."""
        pair = saml.pair(name)
        self.folder.joinpath("idp.key").write_bytes(pair.pem)
        self.folder.joinpath("idp.crt").write_bytes(pair.certificate_pem)

    def link(self, entity_id: str, relay_state: str = "") -> str:
        """The link with which it begins a sign-in at the service provider ``entity_id``."""
        state = {"RelayState": relay_state} if relay_state else {}
        return f"{self.sso}?{urlencode({'spentityid': entity_id} | state)}"

    def logout_link(self) -> str:
        """The link that signs out here, and everywhere else before; it leads to ``logged_out``."""
        return f"{self.slo}?{urlencode({'ReturnTo': self.logged_out})}"

    @property
    def logged_out(self) -> str:
        return f"{self.base}/logout.php"

    def log(self) -> str:
        return (self.folder / "log" / "simplesamlphp.log").read_text(encoding="utf-8", errors="replace")


@contextmanager
def simplesamlphp(folder: Path, options: Options, host: str = "127.0.0.1") -> Iterator[SimpleSamlPhp]:
    """Run a provider in ``folder`` until the block ends. It is killed, for it has nothing to lose."""
    found = SimpleSamlPhp(f"http://{host}:{free_port()}", folder)
    _configure(found, options)

    def answers() -> None:
        try:
            found.metadata()
        except httpx.TransportError as error:
            raise ConnectionError from error

    address = f"127.0.0.1:{httpx.URL(found.base).port}"
    command = ["php", "-d", f"sys_temp_dir={folder}", "-d", "opcache.enable=0"]
    command += ["-S", address, "-t", str(SIMPLESAMLPHP / "www")]
    environment = {"PATH": os.environ["PATH"], "SIMPLESAMLPHP_CONFIG_DIR": str(folder)}
    with running(command, folder / "php.log", answers, signal.SIGKILL, env=environment):
        yield found


def _configure(idp: SimpleSamlPhp, options: Options) -> None:
    folder = idp.folder
    for name in ("sp", "log", "temporary", "sessions", "metadata"):
        (folder / name).mkdir()
    people = {f"{name}:{PASSWORD}": attributes for name, attributes in USERS.items()}
    for name, variable, content in (
        ("config", "config", _settings(idp)),
        ("authsources", "config", {"people": {"0": "exampleauth:UserPass", **people}}),
        ("metadata/saml20-idp-hosted", "metadata", {idp.entity_id: options.hosted()}),
    ):
        file = folder / f"{name}.json"
        file.write_text(json.dumps(content))
        file.with_suffix(".php").write_text(READ.format(name=variable, file=file))
    folder.joinpath("told.json").write_text(json.dumps(options.told()))
    folder.joinpath("metadata", "saml20-sp-remote.php").write_text(KNOWN)
    idp.sign_as("simplesamlphp")


def _settings(idp: SimpleSamlPhp) -> dict[str, Any]:
    folder = idp.folder
    return {
        "baseurlpath": f"{idp.base}/",
        "certdir": f"{folder}/",
        "loggingdir": f"{folder}/log/",
        "tempdir": f"{folder}/temporary",
        "metadatadir": f"{folder}/metadata/",
        "secretsalt": "a salt of the tests' own",
        "timezone": "UTC",
        "logging.level": 6,  # informational
        "logging.handler": "file",
        "enable.saml20-idp": True,
        "module.enable": {"exampleauth": True},
        "session.cookie.secure": False,
        "session.phpsession.savepath": f"{folder}/sessions",
        "store.type": "phpsession",
    }


class SamlPerson(Person):
    """A person whose browser has just enough JavaScript to send on the forms in which SAML messages travel."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.messages: list[dict[str, str]] = []
        """What was carried, in order: parameters of the query or fields of the form, and ``to`` which address."""
        self.browser.event_hooks["request"].append(self._note)

    def _note(self, request: httpx.Request) -> None:
        sent = request.read().decode() if request.method == "POST" else request.url.query.decode()
        fields = {name: values[0] for name, values in parse_qs(sent).items()}
        if fields.keys() & {"SAMLRequest", "SAMLResponse"}:
            self.messages.append(fields | {"to": str(request.url.copy_with(query=None)), "method": request.method})

    def _follow(self, response: httpx.Response, until: str) -> httpx.Response | str:
        found = super()._follow(response, until)
        if isinstance(found, httpx.Response) and re.search(r'name="SAML(Request|Response)"', found.text):
            return self.submit(found, until)
        return found

    def sign_in(
        self, page: httpx.Response | str, until: str, name: str = "grace", password: str = PASSWORD
    ) -> httpx.Response | str:
        """Fill in the provider's sign-in form."""
        assert is_sign_in_form(page), page if isinstance(page, str) else f"{page.url}\n{page.text}"
        assert isinstance(page, httpx.Response)
        self.signed_in += 1
        return self.submit(page, until, username=name, password=password)


def is_sign_in_form(page: httpx.Response | str) -> bool:
    """Whether ``page`` is where SimpleSAMLphp asks for a name and a password."""
    return isinstance(page, httpx.Response) and page.url.path.endswith("loginuserpass.php")
