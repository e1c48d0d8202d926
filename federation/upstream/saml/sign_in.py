"""Sign-in through a SAML provider: an AuthnRequest out, a response back (saml-profiles-2.0 4.1, W 8.2 and 8.3).

RelayState is our state: opaque, of one use, 43 characters. A response that nobody asked for goes the same way from
``unsolicited`` on (federation/unsolicited.py has judged its RelayState).
"""

import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from djangosaml2.cache import OutstandingQueriesCache
from lxml.etree import LxmlError

from accounts import saml_messages
from accounts.linking import ExternalIdentity, IdentityRefused, UpstreamSession
from accounts.models import IdentityProvider
from accounts.provider_details import SAML_ACS
from federation import responses
from federation.errors import Busy, OAuthError, SamlFailed
from federation.upstream import refusals
from federation.upstream.base import SignIn
from federation.upstream.saml import pool as service_provider
from federation.upstream.saml import redaction, source
from federation.upstream.saml.config import entity_id
from federation.upstream.saml.metadata import IdpMetadata
from federation.upstream.saml.reading import Expected, refusal
from federation.upstream.saml.response import UNVERIFIED, SamlIdentity, build_request, read

TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"


class Kept(dict[str, object]):
    """What djangosaml2 takes for a session: here the sign-in's own memory, which no cookie carries."""

    modified = False


class SamlUpstream:
    """A SAML 2.0 identity provider."""

    protocol = "saml2"
    calls_out = False
    """Its metadata is nearly always at hand; who fetches it takes a place of its own (source.py)."""

    def __init__(self, provider: IdentityProvider) -> None:
        self.provider = provider
        self.details = source.details_of(provider)

    def begin(self, request: HttpRequest, signin: SignIn) -> HttpResponse:
        idp = source.current(self.provider, self.details)
        acs_url = signin.base_url + SAML_ACS
        client = service_provider.client(signin.pool, idp, signin.base_url)
        request_id = f"_{uuid.uuid4()}"
        # an app that sets max_age was not content with the session that there was
        forced = "login" in signin.prompt or signin.max_age is not None
        sign = bool(self.details.request_signing_algorithm)
        made = build_request(client, request_id, signin.state, sign=sign, force_authn=forced)
        kept = Kept()
        OutstandingQueriesCache(kept).set(request_id, acs_url)
        signin.kept.update(kept, forced=forced)
        signin.steps.note("sent to the provider", forced=forced)
        if made.form:
            title = gettext("Going to %(name)s") % {"name": self.provider.provider_name}
            return responses.form_page(request, made.url, made.form, title)
        return responses.redirect(made.url)

    def complete(self, request: HttpRequest, signin: SignIn) -> ExternalIdentity:
        (asked,) = OutstandingQueriesCache(Kept(signin.kept)).outstanding_queries().items()
        request_id, acs_url = asked
        return self._identity(signin, acs_url, request_id, signin.begun)

    def unsolicited(self, signin: SignIn) -> ExternalIdentity:
        """Return whom a response that answers no request vouches for; raise SamlFailed."""
        if not self.details.idp_init:
            raise refusal("unsolicited_off", "IdP-initiated sign-in is not enabled.")
        return self._identity(signin, signin.base_url + SAML_ACS, "", None)

    def refusal(self, refused: IdentityRefused) -> OAuthError:
        told = refusals.words(refused)
        if refused.reason == "attributes_required":
            told = "Invalid user attributes: " + " ".join(
                f"{name}: The attribute is required" for name in refused.names
            )
        return SamlFailed(refused.reason, f"Error in SAML response processing: {told}")

    def _identity(self, signin: SignIn, acs_url: str, request_id: str, begun: datetime | None) -> ExternalIdentity:
        try:
            idp = source.current(self.provider, self.details)
        except Busy as busy:  # the request is spent: it cannot be sent again
            raise SamlFailed("metadata_timeout", "Timeout in calling identity provider metadata") from busy
        expected = Expected(
            issuer=idp.entity_id,
            audience=entity_id(signin.pool.pk),
            acs_url=acs_url,
            request_id=request_id,
            begun=begun,
            encrypted=self.details.encrypted_responses,
            forced=bool(signin.kept.get("forced")),
        )
        found = self._read(signin, idp, expected)
        signin.steps.subject = found.name_id
        signin.steps.note("response verified", claims=", ".join(sorted(found.attributes)))
        if not saml_messages.use(signin.pool, idp.entity_id, found.assertion_id, found.not_on_or_after):
            raise refusal("replayed", "The assertion was used before.")
        if found.name_id_format == TRANSIENT:
            signin.steps.note("the NameID is transient", "Each sign-in makes a new user. Ask for a persistent NameID.")
        return self._as_external(found, idp)

    def _read(self, signin: SignIn, idp: IdpMetadata, expected: Expected) -> SamlIdentity:
        try:
            return self._read_by(signin, idp, expected)
        except SamlFailed as failed:
            # the provider may sign with a key that it has published since
            newer = source.newer(self.provider, self.details) if failed.reason in UNVERIFIED else None
            if newer is None:
                raise
            signin.steps.note("metadata read again")
            return self._read_by(signin, newer, replace(expected, issuer=newer.entity_id))

    def _read_by(self, signin: SignIn, idp: IdpMetadata, expected: Expected) -> SamlIdentity:
        client = service_provider.client(
            signin.pool, idp, signin.base_url, acs_url=expected.acs_url, unsolicited=not expected.request_id
        )
        message = signin.answer.get("SAMLResponse")
        try:
            return read(client, message, expected)
        except SamlFailed as failed:
            with suppress(ValueError, TypeError, LxmlError):
                signin.steps.document = redaction.of_message(message, client.crypto.decrypted)
            signin.steps.note("response refused", failed.detail, reason=failed.reason)
            raise

    def _as_external(self, found: SamlIdentity, idp: IdpMetadata) -> ExternalIdentity:
        session = UpstreamSession(
            name_id=found.name_id,
            name_id_format=found.name_id_format,
            name_qualifier=found.name_qualifier,
            sp_name_qualifier=found.sp_name_qualifier,
            session_index=found.session_index,
            authn_instant=found.authn_instant,
        )
        # some providers say the e-mail address as NameID and nowhere else: it can be mapped like an attribute
        claims = {"NameID": found.name_id, **found.attributes}
        return ExternalIdentity(self.provider, found.name_id, claims, idp.entity_id, session)
