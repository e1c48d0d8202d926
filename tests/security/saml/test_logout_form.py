"""Forms at ``/saml2/logout`` that are not as they should be, and the binding that is not offered."""

from urllib.parse import urlencode

import pytest
from django.test import Client
from lxml import etree

from accounts.models import AppClient
from tests.browser_like import FORM
from tests.fakes import saml
from tests.fakes.saml_browser import Logout
from tests.security.saml.logouts import HERE, is_in, refused, stranger
from tests.security.test_logs import Listener, heard  # noqa: F401 - a fixture
from tests.wire.helpers import on_error_page

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "head", "options"])
def test_no_other_method_is_taken(method: str, ada: Client, app_client: AppClient) -> None:
    fields = {"SAMLRequest": Logout(HERE).encoded()}
    response = getattr(stranger(), method)(f"/saml2/logout?{urlencode(fields)}")
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert is_in(ada, app_client)


def test_the_redirect_binding_is_not_taken(ada: Client, app_client: AppClient) -> None:
    """saml-bindings 3.4.4.1: deflated, its signature in the query. POST is what the metadata offers."""
    deflated = saml.deflated(etree.tostring(Logout(HERE, signed=False).tree()))
    fields = {
        "SAMLRequest": deflated,
        "SigAlg": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        "Signature": "AAAA",
    }
    assert stranger().get(f"/saml2/logout?{urlencode(fields)}").status_code == 405
    response = stranger().post(f"/saml2/logout?{urlencode(fields)}", "", FORM)
    assert on_error_page(stranger(), response) == "invalid_request"
    refused(stranger().post("/saml2/logout", urlencode(fields), FORM), "logout_malformed")
    fields["SAMLRequest"] = Logout(HERE, signed=False).encoded()
    refused(stranger().post("/saml2/logout", urlencode(fields), FORM), "logout_signature")
    assert is_in(ada, app_client)


def bodies(text: str) -> dict[str, str]:
    one = urlencode({"SAMLRequest": text})
    return {
        "nothing": "",
        "twice": f"{one}&{one}",
        "a request and a response": f"{one}&{urlencode({'SAMLResponse': text})}",
        "RelayState twice": f"{one}&RelayState=a&RelayState=b",
        "RelayState with NUL": f"{one}&RelayState=%00",
        "not UTF-8": f"{one}&RelayState=%ff",
        "20 megabytes": f"{one}&a=" + "x" * 20_000_000,
    }


@pytest.mark.parametrize("name", bodies(""))
def test_a_form_that_says_two_things_or_too_much_signs_nobody_out(
    name: str, ada: Client, app_client: AppClient
) -> None:
    response = stranger().post("/saml2/logout", bodies(Logout(HERE).encoded())[name], FORM)
    page = "too_large" if name == "20 megabytes" else "invalid_request"
    assert on_error_page(stranger(), response) == page
    assert is_in(ada, app_client)
