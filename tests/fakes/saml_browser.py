"""Between Userpool and the fake SAML provider: its registration, a request as it leaves, and the response that answers.

The provider is tests/fakes/saml.py, which shares nothing with the code under test; requests are read here with the
standard library.
"""

import base64
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.http import HttpResponse
from django.test import Client
from lxml import etree

from accounts.models import AppClient, IdentityProvider, UserPool
from tests import factories
from tests.fakes import saml
from tests.fakes.browser import post_from_elsewhere
from tests.fakes.saml import Message, element, metadata, pair, sign
from tests.wire.helpers import ask

SSO, SLO = "https://idp.example.test/sso", "https://idp.example.test/slo"
BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-"


def endpoints(sso: str = "Redirect", slo: str = "", response_location: str = "") -> str:
    """Return the endpoints of an IdP's metadata: the bindings by the last word of their names."""
    answered = f' ResponseLocation="{response_location}"' if response_location else ""
    return "".join(
        f'<md:SingleLogoutService Binding="{BINDING}{word}" Location="{SLO}"{answered}/>' for word in slo.split()
    ) + "".join(f'<md:SingleSignOnService Binding="{BINDING}{word}" Location="{SSO}"/>' for word in sso.split())


def register(
    pool: UserPool, *clients: AppClient, name: str = "Corp", document: str = "", **details: str
) -> IdentityProvider:
    """Make the fake a provider of ``pool`` and of ``clients``; ``details`` are laid over its ProviderDetails."""
    given = {"MetadataFile": document or metadata(more=endpoints())} | details
    provider = IdentityProvider.objects.create(
        user_pool=pool,
        provider_name=name,
        provider_type="SAML",
        provider_details={key: value for key, value in given.items() if value},
        attribute_mapping={"email": "email", "given_name": "givenName"},
    )
    for client in clients:
        client.identity_providers.add(provider)
    return provider


@dataclass
class Request:
    """An AuthnRequest or LogoutRequest as it left for the provider."""

    root: etree._Element
    relay_state: str
    url: str
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(self.root.get("ID"))

    def text(self, path: str) -> str:
        return str(saml.find(self.root, path).text)


def by_redirect(response: HttpResponse, parameter: str = "SAMLRequest") -> Request:
    """Read a message that leaves by the HTTP-Redirect binding (saml-bindings-2.0 3.4.4.1)."""
    assert response.status_code == 302, (response.status_code, response.content[:300])
    parts = urlsplit(response["Location"])
    fields = dict(parse_qsl(parts.query, strict_parsing=True))
    inflated = zlib.decompress(base64.b64decode(fields[parameter]), -15)
    return Request(
        element(inflated), fields.get("RelayState", ""), f"{parts.scheme}://{parts.netloc}{parts.path}", fields
    )


def by_post(response: HttpResponse, parameter: str = "SAMLRequest") -> Request:
    """Read a message that leaves by the HTTP-POST binding: a page with a form (saml-bindings-2.0 3.5.4)."""
    assert response.status_code == 200, (response.status_code, response.get("Location"))
    page = etree.HTML(response.content.decode())
    (form,) = page.iter("form")
    fields = {found.get("name"): found.get("value") for found in form.iter("input")}
    sent = element(base64.b64decode(fields[parameter]))
    return Request(sent, fields.get("RelayState", ""), form.get("action"), fields)


def leave(browser: Client, query: dict[str, str]) -> Request:
    return by_redirect(ask(browser, query))


def answering(request: Request, pool: UserPool, base_url: str, **values: Any) -> Message:
    """Return an honest response to ``request``, with ``values`` changed."""
    acs = f"{base_url}/saml2/idpresponse"
    honest = {
        "in_response_to": request.id,
        "confirmation_in_response_to": request.id,
        "destination": acs,
        "recipient": acs,
        "audience": f"urn:amazon:cognito:sp:{pool.pk}",
        "assertion_id": f"_{uuid.uuid4()}",
    }
    return Message(**honest | values)


def post(browser: Client, message: Message | str, relay_state: str = "", **more: str) -> HttpResponse:
    """Post a response as the provider's page does: from another site."""
    text = message if isinstance(message, str) else message.encoded()
    fields = {"SAMLResponse": text, "RelayState": relay_state} | more
    return post_from_elsewhere(browser, "/saml2/idpresponse", {name: value for name, value in fields.items() if value})


def sign_in(browser: Client, query: dict[str, str], pool: UserPool, base_url: str, **values: Any) -> HttpResponse:
    """Go from /oauth2/authorize through the provider and back; return Userpool's last answer."""
    request = leave(browser, query)
    return post(browser, answering(request, pool, base_url, **values), request.relay_state)


def nobody_asked(pool: UserPool, base_url: str, **values: Any) -> Message:
    """Return a response that the provider sends by itself (saml-profiles-2.0 4.1.5)."""
    acs = f"{base_url}/saml2/idpresponse"
    honest = {"in_response_to": None, "confirmation_in_response_to": None, "destination": acs, "recipient": acs}
    named = {"audience": f"urn:amazon:cognito:sp:{pool.pk}", "assertion_id": f"_{uuid.uuid4()}"}
    return Message(**honest | named | values)


def relay(client: AppClient, provider: str = "Corp", **changes: str) -> str:
    """Return RelayState as an IdP's administrator writes it (W 8.4)."""
    said = {
        "identity_provider": provider,
        "client_id": client.client_id,
        "redirect_uri": factories.CALLBACK,
        "response_type": "code",
        "scope": "email openid",
    }
    return urlencode({name: value for name, value in (said | changes).items() if value})


# --- sign-out ---------------------------------------------------------------------------------------------------------


@dataclass
class Logout:
    """A sign-out message of the provider, honest until told otherwise. None leaves an attribute or element out."""

    destination: str | None
    kind: str = "LogoutRequest"
    issuer: str | None = saml.IDP
    id: str = "_logout1"
    version: str = "2.0"
    issued: float = 0
    not_on_or_after: float | None = 300
    in_response_to: str | None = None
    name_id: str | None = "ada@example.test"
    indexes: tuple[str, ...] = ("_session1",)
    status: str = "urn:oasis:names:tc:SAML:2.0:status:Success"
    signed: bool = True
    signer: saml.Pair = field(default_factory=lambda: pair("idp"))
    signing: dict[str, Any] = field(default_factory=dict)
    before: Callable[[etree._Element], object] = lambda root: None
    after: Callable[[etree._Element], object] = lambda root: None

    def tree(self) -> etree._Element:
        is_request = self.kind == "LogoutRequest"
        attributes = {
            "ID": self.id,
            "Version": self.version,
            "IssueInstant": saml.at(self.issued),
            "Destination": self.destination,
            "InResponseTo": self.in_response_to,
            "NotOnOrAfter": saml.at(self.not_on_or_after) if is_request and self.not_on_or_after is not None else None,
        }
        written = "".join(f' {name}="{value}"' for name, value in attributes.items() if value is not None)
        inside = "" if self.issuer is None else f"<saml:Issuer>{self.issuer}</saml:Issuer>"
        if is_request:
            inside += "" if self.name_id is None else f"<saml:NameID>{self.name_id}</saml:NameID>"
            inside += "".join(f"<samlp:SessionIndex>{index}</samlp:SessionIndex>" for index in self.indexes)
        else:
            inside += f'<samlp:Status><samlp:StatusCode Value="{self.status}"/></samlp:Status>'
        root = element(f"<samlp:{self.kind} {saml.DECLARED}{written}>{inside}</samlp:{self.kind}>")
        self.before(root)
        if self.signed:
            how = {name: value for name, value in self.signing.items() if name != "key"}
            sign(root, self.signing.get("key") or saml.private(self.signer), **how)
        root = element(etree.tostring(root))
        self.after(root)
        return root

    def encoded(self) -> str:
        return base64.b64encode(etree.tostring(self.tree())).decode()


def post_logout(browser: Client, message: Logout | str, relay_state: str = "", kind: str = "") -> HttpResponse:
    """Post a sign-out message as the provider's page does."""
    if isinstance(message, Logout):
        kind = "SAMLRequest" if message.kind == "LogoutRequest" else "SAMLResponse"
    fields = {kind: message if isinstance(message, str) else message.encoded(), "RelayState": relay_state}
    return post_from_elsewhere(browser, "/saml2/logout", {name: value for name, value in fields.items() if value})
