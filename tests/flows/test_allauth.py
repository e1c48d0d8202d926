"""django-allauth's Amazon Cognito provider in a Django site of its own; only its DOMAIN setting is changed.

Expected: its documentation ("Amazon Cognito"): the user is userInfo's ``sub``, the e-mail address counts as verified
when ``email_verified`` says so, as a string or as a boolean; and the AWS page on the userInfo endpoint.
"""

import pytest

from tests.flows import apps, pools
from tests.flows.person import Person
from tests.flows.server import Server


@pytest.mark.parametrize("pkce", [True, False], ids=["with PKCE", "without PKCE"])
@pytest.mark.parametrize("client", [pools.SECRET, pools.PUBLIC_OIDC], ids=str)
def test_allauth_signs_a_user_up_and_in(server: Server, person: Person, client: pools.AppClient, pkce: bool) -> None:
    options = {"domain": server.issuer, "clientId": client.client_id, "secret": client.secret, "pkce": pkce}
    seen = apps.python("allauth_app.py", person, callback=pools.ALLAUTH_CALLBACK, **options)
    assert seen["landed"] == "/welcome/"
    assert seen["signedIn"]
    assert seen["uid"] == seen["extra"]["sub"]
    assert seen["extra"]["username"] == pools.USERNAME
    assert seen["names"] == [pools.ATTRIBUTES["given_name"], pools.ATTRIBUTES["family_name"]]
    assert seen["email"] == [pools.ATTRIBUTES["email"], True]
    assert [seen["picture"], seen["profile"]] == [pools.ATTRIBUTES["picture"], pools.ATTRIBUTES["profile"]]
