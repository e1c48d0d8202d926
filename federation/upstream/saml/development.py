"""The development IdP of `make demo` signs in whoever asks: no server but a development one believes it."""

from django.conf import settings

from federation.upstream.fetching import BadDocument

ENTITY_IDS = "urn:userpool:development-idp"


def refuse_outside_development(entity_id: str) -> None:
    """Raise BadDocument for the development IdP where this server is not in development."""
    if entity_id.startswith(ENTITY_IDS) and not settings.USERPOOL_DEVELOPMENT:
        raise BadDocument("This is the development IdP, which signs in whoever asks. It is for development only.")
