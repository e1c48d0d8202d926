"""``/saml2/metadata``: the pool as a service provider, for the administrator of an IdP (saml-metadata-2.0, W 8.1)."""

import pytest
from django.test import Client
from lxml import etree
from saml2.xml.schema import validate

from accounts import saml_keys
from accounts.models import AppClient, UserPool, UserPoolDomain
from accounts.models.saml import KeyUse
from tests.fakes.saml import NS
from tests.fakes.saml_browser import register

pytestmark = pytest.mark.django_db
MD = NS | {"md": "urn:oasis:names:tc:SAML:2.0:metadata"}
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"


def described(http: Client) -> etree._Element:
    response = http.get("/saml2/metadata")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/samlmetadata+xml"
    return etree.fromstring(response.content)


def certificates(root: etree._Element, use: str) -> list[str]:
    path = f"md:SPSSODescriptor/md:KeyDescriptor[@use='{use}']//ds:X509Certificate"
    return [str(found.text) for found in root.findall(path, MD)]


def test_it_says_what_has_to_be_registered(http: Client, pool: UserPool) -> None:
    root = described(http)
    assert root.get("entityID") == f"urn:amazon:cognito:sp:{pool.pk}"
    role = root.find("md:SPSSODescriptor", MD)
    assert role is not None
    assert role.get("protocolSupportEnumeration") == "urn:oasis:names:tc:SAML:2.0:protocol"
    assert role.get("WantAssertionsSigned") == "true"
    services = role.findall("md:AssertionConsumerService", MD)
    assert [(one.get("Binding"), one.get("Location")) for one in services] == [
        (POST, "https://demo.auth.example.test/saml2/idpresponse"),
        (POST, f"{pool.issuer}/saml2/idpresponse"),
    ]
    assert len({one.get("index") for one in services}) == 2
    assert {one.get("Location") for one in role.findall("md:SingleLogoutService", MD)} == {
        "https://demo.auth.example.test/saml2/logout",
        f"{pool.issuer}/saml2/logout",
    }
    assert certificates(root, "signing") == [saml_keys.active(pool, KeyUse.SIGNING).certificate]
    assert certificates(root, "encryption") == [saml_keys.active(pool, KeyUse.ENCRYPTION).certificate]


def test_it_is_valid_by_the_schema(http: Client, pool: UserPool) -> None:
    """saml-schema-metadata-2.0.xsd, by xmlschema."""
    validate(etree.tostring(described(http)).decode())


def test_two_signing_certificates_stand_in_it_while_one_takes_over(http: Client, pool: UserPool) -> None:
    """W 8.1, and without an outage: the IdP knows the next before it signs."""
    first = saml_keys.active(pool, KeyUse.SIGNING)
    following = saml_keys.prepare(pool, KeyUse.SIGNING)
    assert certificates(described(http), "signing") == [first.certificate, following.certificate]
    saml_keys.activate(pool, KeyUse.SIGNING)
    assert certificates(described(http), "signing") == [following.certificate]


def test_the_address_that_it_was_asked_at_comes_first(http: Client, pool: UserPool) -> None:
    UserPoolDomain.objects.create(user_pool=pool, domain="login.corp.example.test", is_custom=True)
    custom = described(Client(headers={"host": "login.corp.example.test"}))
    first = custom.find("md:SPSSODescriptor/md:AssertionConsumerService", MD)
    assert first is not None
    assert first.get("Location") == "https://login.corp.example.test/saml2/idpresponse"


def test_it_says_that_requests_are_signed_only_where_they_are(
    http: Client, pool: UserPool, app_client: AppClient
) -> None:
    """saml-metadata-2.0 2.4.4: AuthnRequestsSigned. Said to be false, an IdP would stop asking for signatures."""

    def said() -> str | None:
        role = described(http).find("md:SPSSODescriptor", MD)
        assert role is not None
        return role.get("AuthnRequestsSigned")

    register(pool, app_client)
    assert said() is None
    register(pool, app_client, name="Strict", RequestSigningAlgorithm="rsa-sha256")
    assert said() == "true"


def test_it_holds_no_private_key(http: Client, pool: UserPool) -> None:
    body = http.get("/saml2/metadata").content
    assert b"PRIVATE" not in body
