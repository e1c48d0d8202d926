"""The paths of a pool, in the order of the AWS page on federation endpoints. Case matters."""

from django.urls import path

from federation.hosted import error, login, logout
from federation.views import authorize, discovery, idpresponse, revoke, saml, token, userinfo

urlpatterns = [
    path("oauth2/authorize", authorize.authorize, name="authorize"),
    path("authorize", authorize.authorize),  # an alias in AWS examples (W 1.1)
    path("oauth2/token", token.token, name="token"),
    path("oauth2/userInfo", userinfo.userinfo, name="userinfo"),
    path("oauth2/revoke", revoke.revoke, name="revoke"),
    path("oauth2/idpresponse", idpresponse.idpresponse, name="idpresponse"),
    path(".well-known/openid-configuration", discovery.openid_configuration, name="openid-configuration"),
    path(".well-known/jwks.json", discovery.jwks, name="jwks"),
    path("saml2/idpresponse", saml.idpresponse, name="saml-idpresponse"),
    path("saml2/logout", saml.logout, name="saml-logout"),
    path("saml2/metadata", saml.metadata, name="saml-metadata"),
    path("login", login.login, name="login"),
    path("logout", logout.logout, name="logout"),
    path("error", error.view, name="error"),
]

handler404 = error.not_found
handler500 = error.failure
handler400 = error.bad_request
