"""The SAML 2.0 messages of the development IdP, made and read by pysaml2.

saml-profiles-2.0 4.1 (Web Browser SSO) and 4.4 (Single Logout). Every message is signed, in both directions; one that
is not is refused. Left out: encryption, NameIDPolicy, RequestedAuthnContext, artifacts, and a LogoutResponse by the
redirect binding.
"""

import base64
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, saml, samlp
from saml2.server import Server

from examples.development_idp_entity import ATTRIBUTES, SIGNED, Entity

BINDINGS = {"GET": BINDING_HTTP_REDIRECT, "POST": BINDING_HTTP_POST}
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"  # noqa: S105 - a class of sign-ins
T = TypeVar("T")


class Refused(Exception):
    """A message that is not answered; the text is for people."""


@dataclass(frozen=True)
class Person:
    """Somebody who can sign in, with the attributes of an LDAP directory."""

    username: str
    attributes: dict[str, list[str]]

    @property
    def name(self) -> str:
        return self.attributes["displayName"][0]

    @property
    def mail(self) -> str:
        return self.attributes["mail"][0]


def _person(given_name: str, surname: str, affiliation: list[str], number: str) -> Person:
    username = given_name.lower()
    values = [username + "@partner.example.com"], [given_name], [surname], [f"{given_name} {surname}"]
    return Person(username, dict(zip(ATTRIBUTES, [*values, affiliation, [number]], strict=True)))


PEOPLE = {
    person.username: person
    for person in (
        _person("Hedy", "Lamarr", ["member", "staff"], "1942"),
        _person("Alan", "Turing", ["member", "faculty"], "1936"),
    )
}


@dataclass
class Session:
    """Somebody who is signed in here, in one browser."""

    person: Person
    since: int = field(default_factory=lambda: int(time.time()))
    name_id: str = ""
    indexes: list[str] = field(default_factory=list)
    """What the service provider knows this session by: the SessionIndex of each assertion."""


@dataclass(frozen=True)
class Asked:
    """What a response has to answer: a request, or RelayState alone when the sign-in begins here."""

    relay_state: str
    request_id: str | None = None
    acs_url: str = ""
    forced: bool = False
    passive: bool = False


@dataclass(frozen=True)
class Form:
    """A message on its way: what the browser is to post, and to which address."""

    url: str
    fields: dict[str, str]


class Messages:
    """What ``entity`` says to its service provider, and understands."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity

    def sign_in_request(self, method: str, given: Mapping[str, str]) -> Asked:
        """Return what the service provider asks for; raise Refused."""

        def read(server: Server) -> Asked:
            message = _of_now(server.parse_authn_request(given["SAMLRequest"], *_envelope(method, given)))
            # where the answer goes: to an address in the service provider's metadata, or pysaml2 refuses
            answer = server.response_args(message, [BINDING_HTTP_POST])
            return Asked(
                relay_state=given.get("RelayState", ""),
                request_id=message.id,
                acs_url=answer["destination"],
                forced=message.force_authn in ("true", "1"),
                passive=message.is_passive in ("true", "1"),
            )

        return self._read("The request to sign somebody in", read)

    def response(self, asked: Asked, session: Session) -> Form:
        """Return the signed assertion that says who is signed in; raise Refused."""
        server = self._server()
        acs_url = asked.acs_url or _address(server, "assertion_consumer_service")
        # the same whenever this person comes, and of no meaning to another service provider (saml-core-2.0 8.3.7)
        told = uuid.uuid5(uuid.NAMESPACE_URL, f"{_service_provider(server)}/{session.person.username}")
        session.name_id = str(told)
        response = server.create_authn_response(
            session.person.attributes,
            asked.request_id,
            acs_url,
            _service_provider(server),
            name_id=_name_id(session),
            authn={"class_ref": PASSWORD, "authn_auth": self.entity.entity_id, "authn_instant": session.since},
            sign_assertion=True,
            sign_alg=SIGNED["sign_alg"],
            digest_alg=SIGNED["digest_alg"],
        )
        ((statement,),) = server.session_db.get_authn_statements(_name_id(session))
        session.indexes.append(statement.session_index)
        return _form(acs_url, "SAMLResponse", response, asked.relay_state)

    def nobody(self, asked: Asked) -> Form:
        """Return the answer to a request that allows no page where one is needed (saml-core-2.0 3.4.1, IsPassive)."""
        status = (samlp.STATUS_NO_PASSIVE, "Nobody is signed in.")
        response = self._server().create_error_response(asked.request_id, asked.acs_url, status, **SIGNED)
        return _form(asked.acs_url, "SAMLResponse", response, asked.relay_state)

    def logout_request(self, session: Session) -> tuple[str, Form]:
        """Return the request to end ``session`` at the service provider too, and its ID; raise Refused."""
        server = self._server()
        slo_url = _address(server, "single_logout_service")
        request_id, request = server.create_logout_request(
            slo_url, _service_provider(server), name_id=_name_id(session), session_indexes=session.indexes, **SIGNED
        )
        return request_id, _form(slo_url, "SAMLRequest", request, "")

    def logout_answer(self, given: Mapping[str, str]) -> tuple[str, bool]:
        """Return which request of ours is answered, and whether all is done; raise Refused."""

        def read(server: Server) -> tuple[str, bool]:
            text = server.unravel(given["SAMLResponse"], BINDING_HTTP_POST)
            # pysaml2's own parse_logout_request_response takes one without a signature as well
            answer = server.sec.correctly_signed_logout_response(text, must=True)
            if answer.destination != f"{self.entity.base}/slo":
                raise Refused("The answer to the sign-out is not for this identity provider.")
            return answer.in_response_to, answer.status.status_code.value == samlp.STATUS_SUCCESS

        return self._read("The answer to the sign-out", read)

    def sign_out_request(self, method: str, given: Mapping[str, str]) -> samlp.LogoutRequest:
        """Return whom the service provider wants to be signed out; raise Refused."""

        def read(server: Server) -> samlp.LogoutRequest:
            return _of_now(server.parse_logout_request(given["SAMLRequest"], *_envelope(method, given)))

        return self._read("The request to sign somebody out", read)

    def logout_response(self, request: samlp.LogoutRequest, relay_state: str) -> Form:
        """Return the answer that all is done; raise Refused."""
        server = self._server()
        response = server.create_logout_response(request, [BINDING_HTTP_POST], **SIGNED)
        return _form(_address(server, "single_logout_service"), "SAMLResponse", response, relay_state)

    def _server(self) -> Server:
        try:
            return self.entity.server()
        except httpx.HTTPError as error:
            raise Refused(f"The service provider's metadata cannot be read from {error.request.url}.") from error

    def _read(self, what: str, read: Callable[[Server], T]) -> T:
        """Return what ``read`` does; before it is refused, once more with the service provider's newest keys."""
        try:
            return read(self._server())
        except Exception:  # noqa: BLE001 - pysaml2 raises bare ones
            self.entity.forget()
        try:
            return read(self._server())
        except Refused:
            raise
        except Exception as error:
            raise Refused(f"{what} is not valid, or not signed by the service provider.") from error


def _envelope(method: str, given: Mapping[str, str]) -> tuple[str, str | None, str | None, str | None]:
    """Return the binding, and what beside the message the redirect binding signs (saml-bindings-2.0 3.4.4.1)."""
    return BINDINGS[method], given.get("RelayState"), given.get("SigAlg"), given.get("Signature")


def _of_now(request: Any) -> Any:
    """Return the message of a request that pysaml2 found signed; whether its date is good, pysaml2 says when asked."""
    if not request.verify() or not request.message.destination:
        raise Refused("The request is too old, or not for this identity provider.")
    return request.message


def _service_provider(server: Server) -> str:
    (found,) = server.metadata.keys()
    return str(found)


def _address(server: Server, service: str) -> str:
    """Return where the service provider takes forms."""
    _, found = server.pick_binding(service, [BINDING_HTTP_POST], "spsso", entity_id=_service_provider(server))
    return str(found)


def _name_id(session: Session) -> saml.NameID:
    return saml.NameID(format=saml.NAMEID_FORMAT_PERSISTENT, text=session.name_id)


def _form(url: str, name: str, message: object, relay_state: str) -> Form:
    fields = {name: base64.b64encode(str(message).encode()).decode()}
    return Form(url, fields | ({"RelayState": relay_state} if relay_state else {}))
