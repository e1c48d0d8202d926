"""Single logout through SAML providers: one that a person begins here, and one that begins at the provider (W 8.5).

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-saml-idp-sign-out.html
The session here ends first, whatever the provider does afterwards. A message is believed when the provider signed it,
and nothing else ties it to a session: a form from another site brings no cookie along.
"""

import logging
from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from accounts import events, opaque, saml_messages, sessions
from accounts.events import Steps
from accounts.linking import UpstreamSession
from accounts.middleware import base_url_of, pool_of
from accounts.models import IdentityProvider, SignInSession
from accounts.provider_details import SAML_LOGOUT
from federation import responses
from federation.errors import HostedPageError, OAuthError, SamlFailed
from federation.parameters import Parameters
from federation.upstream.saml import logout, source
from federation.upstream.saml import pool as service_provider
from federation.upstream.saml.client import PoolSaml2Client
from federation.upstream.saml.metadata import IdpMetadata
from federation.upstream.saml.response import Outgoing

log = logging.getLogger("userpool.signin")
UNCONFIRMED, REFUSED = "sign_out_unconfirmed", "sign_out_refused"


def begin(request: HttpRequest, session: SignInSession, url: str) -> HttpResponse | None:
    """Return what sends the browser to the provider of ``session``, to come back to ``url`` from there, or None.

    None when there is no such provider, when it is not to be asked (IDPSignout), or cannot be. ``url`` is proven; an
    empty one is for the page that says that all is done.
    """
    provider = session.provider
    if provider is None or provider.provider_type != "SAML" or not session.name_id:
        return None
    idp = _known(provider, asked=True)
    if idp is None or not idp.slo:
        return None
    pool, relay_state = pool_of(request), opaque.random_token()
    client = service_provider.client(pool, idp, base_url_of(request))
    known_as = UpstreamSession(
        session.name_id,
        session.name_id_format,
        session.name_qualifier,
        session.sp_name_qualifier,
        session.session_index,
    )
    try:
        made = logout.build_request(client, known_as, _request_id(relay_state), relay_state)
    except OAuthError:
        log.exception("the provider was not asked to sign out", extra={"pool": pool.pk})
        return None
    saml_messages.put_away_sign_out(pool, provider, relay_state, url)
    return _send(request, made, provider)


def complete(request: HttpRequest, given: Parameters) -> str:
    """Take a provider's answer to our request and return the address to go on to; raise HostedPageError."""
    pool, relay_state = pool_of(request), given.get("RelayState")
    waiting = saml_messages.find_sign_out(pool, relay_state)
    if waiting is None:
        raise HostedPageError(UNCONFIRMED)
    provider = waiting.provider
    steps = Steps()
    try:
        idp = _known(provider)
        if idp is None:
            raise SamlFailed("metadata_unusable", "The provider has no metadata.")
        client = service_provider.client(pool, idp, base_url_of(request))
        logout.read_response(
            client, given.get("SAMLResponse"), base_url_of(request) + SAML_LOGOUT, _request_id(relay_state)
        )
    except SamlFailed as failed:
        _record(request, provider, steps, failed)
        # the provider itself says that it failed: the person is signed out here, and that is where they wanted to go
        if failed.reason != "logout_status":
            raise HostedPageError(UNCONFIRMED) from failed
    if not saml_messages.spend_sign_out(waiting):
        raise HostedPageError(UNCONFIRMED)
    return waiting.url


def requested(request: HttpRequest, given: Parameters) -> HttpResponse:
    """End the sessions that a provider says are over, and answer it; raise HostedPageError for what it did not sign.

    A pool may have one IdP as two providers: what it signed is said of both.
    """
    message, provider = given.get("SAMLRequest"), None
    try:
        senders = []
        for provider, client in _senders(request, logout.issuer(message)):
            found = _read(request, client, message)
            if found is not None:
                senders.append((provider, client, found))
        if not senders:
            raise SamlFailed("logout_signature" if provider else "logout_unknown", "No provider here sent it.")
        provider, client, found = senders[0]
        if not saml_messages.use(pool_of(request), client.idp.entity_id, found.request_id, found.not_on_or_after):
            raise SamlFailed("logout_replayed", "The request was used before.")
    except SamlFailed as failed:
        _record(request, provider, Steps(), failed)
        raise HostedPageError(REFUSED) from failed
    for each, _, _ in senders:
        _end(request, each, found)
    try:
        made = logout.build_response(client, found.request_id, given.get("RelayState"))
    except LookupError:  # it takes no answers
        return responses.page(request, "hosted/signed_out.html", {})
    return _send(request, made, provider)


def _read(request: HttpRequest, client: PoolSaml2Client, message: str) -> logout.SignedOut | None:
    """Return what is asked for; None when it is signed with none of these keys: there may be another provider."""
    try:
        return logout.read_request(client, message, base_url_of(request) + SAML_LOGOUT)
    except SamlFailed as failed:
        if failed.reason == "logout_signature":
            return None
        raise


def _end(request: HttpRequest, provider: IdentityProvider, found: logout.SignedOut) -> None:
    steps = Steps()
    steps.subject = found.name_id
    users = sessions.end_at_provider(provider, found.name_id, found.indexes)
    steps.note("signed out by the provider", users=len(users), sessions_named=len(found.indexes))
    events.signed_out(pool_of(request), provider, users, steps)


def _senders(request: HttpRequest, issuer: str) -> Iterator[tuple[IdentityProvider, PoolSaml2Client]]:
    """Yield the pool's providers of this entity id, each with a client that knows its keys."""
    pool = pool_of(request)
    for provider in pool.identity_providers.all():
        if provider.provider_type == "SAML" and issuer:
            idp = _known(provider)
            if idp is not None and idp.entity_id == issuer:
                yield provider, service_provider.client(pool, idp, base_url_of(request))


def _known(provider: IdentityProvider, *, asked: bool = False) -> IdpMetadata | None:
    """Return the metadata at hand; with ``asked`` of a provider that is to be asked (IDPSignout).

    None for settings that cannot be read: one broken provider must not keep a pool's people from signing out.
    """
    try:
        details = source.details_of(provider)
    except ValidationError:
        return None
    return source.known(provider, details) if details.idp_signout or not asked else None


def _request_id(relay_state: str) -> str:
    return f"_{relay_state}"


def _send(request: HttpRequest, made: Outgoing, provider: IdentityProvider) -> HttpResponse:
    if made.form:
        title = gettext("Signing out of %(name)s") % {"name": provider.provider_name}
        return responses.form_page(request, made.url, made.form, title)
    return responses.redirect(made.url)


def _record(request: HttpRequest, provider: IdentityProvider | None, steps: Steps, failed: SamlFailed) -> None:
    steps.note("sign-out refused", failed.detail, reason=failed.reason)
    events.refused(pool_of(request), provider, "", steps, failed.reason, failed.code, failed.description, early=True)
