"""Authlib as the client app of a pool, for the journeys whose point is where the user comes from.

joserfc verifies what comes back: signature, issuer, audience and nonce (OpenID Connect Core 3.1.3.7).
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.flows import pools
from tests.flows.server import Server


@dataclass
class App:
    """Authlib's client of a pool, with the values of one sign-in."""

    server: Server
    client: pools.AppClient
    verifier: str = field(default_factory=lambda: generate_token(48))
    nonce: str = field(default_factory=lambda: generate_token(20))

    def __post_init__(self) -> None:
        self.session = OAuth2Session(
            self.client.client_id,
            self.client.secret or None,
            scope=pools.SCOPE,
            redirect_uri=pools.CALLBACK,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self.client.secret else "none",
        )
        # with each call: what the environment says wins over what the session says
        self.trust: dict[str, Any] = {"verify": str(self.server.certificate)} if self.server.certificate else {}
        self.state = ""
        self.token: dict[str, Any] = {}

    def link(self, **parameters: str) -> str:
        """The link that signs in."""
        endpoint = self.server.discovery["authorization_endpoint"]
        link, self.state = self.session.create_authorization_url(
            endpoint, code_verifier=self.verifier, nonce=self.nonce, **parameters
        )
        return str(link)

    def redeem(self, landed: str) -> dict[str, Any]:
        """Redeem the code and return the verified claims of the ID token."""
        assert "code" in query(landed), landed  # else Authlib would ask for a token of the app's own
        self.token = self.session.fetch_token(
            self.server.discovery["token_endpoint"],
            authorization_response=landed,
            code_verifier=self.verifier,
            state=self.state,
            **self.trust,
        )
        claims = self.verified(self.token["id_token"])
        assert claims["nonce"] == self.nonce
        return claims

    def refresh(self) -> dict[str, Any]:
        """Refresh and return the verified claims of the new ID token."""
        token = self.session.refresh_token(self.server.discovery["token_endpoint"], **self.trust)
        return self.verified(token["id_token"])

    def verified(self, token: str) -> dict[str, Any]:
        metadata = self.server.discovery
        keys = KeySet.import_key_set(self.server.http.get(metadata["jwks_uri"]).json())
        decoded = jwt.decode(token, keys, algorithms=metadata["id_token_signing_alg_values_supported"])
        assert (decoded.claims["iss"], decoded.claims["aud"]) == (self.server.issuer, self.client.client_id)
        return decoded.claims

    def userinfo(self) -> dict[str, Any]:
        answer = self.session.get(self.server.discovery["userinfo_endpoint"], **self.trust)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
