"""What ``manage.py demo`` has to know of examples/demo.yaml: who can sign in, by which ways, and at which addresses."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import yaml
from django.core.management.base import CommandError

PORT, SAMPLE_PORT, IDP_PORT = 8000, 8001, 8002
"""The ports of the file."""


@dataclass(frozen=True)
class Account:
    """Somebody who can sign in."""

    username: str
    password: str

    @classmethod
    def first_of(cls, pool: dict[str, Any]) -> "Account | None":
        """Return the first user of ``pool`` who has a password."""
        for user in pool.get("Users", []):
            if user.get("Password"):
                attributes = {entry["Name"]: entry["Value"] for entry in user.get("Attributes", [])}
                # in a pool whose users sign in by e-mail address, nobody knows the username
                by_email = "email" in pool["UserPool"].get("UsernameAttributes", [])
                name = attributes.get("email", user["Username"]) if by_email else user["Username"]
                return cls(name, user["Password"])
        return None


@dataclass(frozen=True)
class Company:
    """An identity provider of the demo pool that is another pool of the file."""

    provider: str
    name: str
    account: Account

    @classmethod
    def all_of(cls, pool: dict[str, Any], client: dict[str, Any], pools: list[dict[str, Any]]) -> "tuple[Company, ...]":
        """Return those of ``pool`` that ``client`` supports."""
        found = []
        for provider in pool.get("IdentityProviders", []):
            issuer = provider.get("ProviderDetails", {}).get("oidc_issuer", "")
            for other in pools:
                account = Account.first_of(other)
                supported = provider["ProviderName"] in client.get("SupportedIdentityProviders", [])
                if account and supported and issuer.endswith(f"/{other['UserPool']['Id']}"):
                    found.append(cls(provider["ProviderName"], other["UserPool"]["Name"], account))
        return tuple(found)


@dataclass(frozen=True)
class Addresses:
    """Where the server, the sample app and the development IdP are."""

    server: str
    sample: str
    idp: str

    def move(self, text: str) -> str:
        """Return examples/demo.yaml for these addresses, in one pass: a new port may be another one's old port."""
        moved = {PORT: self.server, SAMPLE_PORT: self.sample, IDP_PORT: self.idp}
        return re.sub(r"http://localhost:(\d+)", lambda found: moved.get(int(found[1]), found[0]), text)


@dataclass(frozen=True)
class Partner:
    """The development IdP as a provider of the demo pool, and what it says when a sign-in begins there (RelayState)."""

    provider: str
    relay_state: str

    @classmethod
    def of(cls, pool: dict[str, Any], at: Addresses) -> "Partner | None":
        """Return it, if ``pool`` has it and a client whose users arrive at the sample app from there."""
        for provider in pool.get("IdentityProviders", []):
            known = provider.get("ProviderDetails", {}).get("MetadataURL", "").startswith(f"{at.idp}/")
            for client in pool.get("UserPoolClients", []):
                arrival = f"{at.sample}/arrival"
                if known and arrival in client.get("CallbackURLs", []):
                    query = {
                        "identity_provider": provider["ProviderName"],
                        "client_id": client["ClientId"],
                        "redirect_uri": arrival,
                        "response_type": "code",
                        "scope": " ".join(client["AllowedOAuthScopes"]),
                    }
                    return cls(provider["ProviderName"], urlencode(query))
        return None


@dataclass(frozen=True)
class Demo:
    """What the printed text and the other processes need to know of examples/demo.yaml."""

    pool_id: str
    client_id: str
    account: Account
    companies: tuple[Company, ...]
    partner: Partner

    @classmethod
    def read(cls, text: str, at: Addresses) -> "Demo":
        """Return the pool of the sample app, and its first user; raise CommandError without one."""
        pools = list(yaml.safe_load_all(text))
        for pool in pools:
            account, partner = Account.first_of(pool), Partner.of(pool, at)
            for client in pool.get("UserPoolClients", []):
                if f"{at.sample}/callback" in client.get("CallbackURLs", []) and account and partner:
                    companies = Company.all_of(pool, client, pools)
                    return cls(pool["UserPool"]["Id"], client["ClientId"], account, companies, partner)
        raise CommandError("examples/demo.yaml has no pool with users, a client of the sample app, and the partner.")
