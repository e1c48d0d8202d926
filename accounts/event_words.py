"""Why something was refused, in words for an operator: what it means and what to do.

The app is told the texts of Cognito (W 3.8); these are for whoever is asked why. A reason that is made of a place and
a cause (``jwks_timeout``) is told by both. What each step found stands beside it, in the steps. SAML's own are in
accounts/saml_event_words.py, those of passwords, requests and tokens in accounts/local_event_words.py.
"""

from accounts import local_event_words, saml_event_words

LOOK = "The steps below say what came."
OPERATOR = "Tell the provider's operator."
# the first part of a reason: what could not be had
PLACES = {
    "discovery": "The provider's discovery document could not be read.",
    "jwks": "The provider's signing keys could not be read.",
    "token": "The code could not be redeemed at the provider's token endpoint.",
    "userinfo": "The user's attributes could not be read at the provider's userInfo endpoint.",
    "endpoint": "One of the four endpoints in the provider's settings cannot be used.",
    "metadata": "The provider's metadata could not be read.",
}
# the second part: why (federation/upstream/fetching.py)
CAUSES = {
    "timeout": "The provider did not answer in time. If it goes on, look whether this server reaches it at all.",
    "connection": "The connection could not be made, or broke. Check the address, the firewall and the provider.",
    "tls": "Its certificate is not valid for this host, or is not trusted. Give a certificate authority of your own "
    "by SSL_CERT_FILE.",
    "name_unknown": "Its host name cannot be resolved. Check the address in the settings, and this server's DNS.",
    "private_address": "Its host is on a private network, which this server does not call. Allow the network by "
    "USERPOOL_UPSTREAM_NETWORKS if the provider is yours.",
    "not_https": "The address is not https. Only for development does USERPOOL_UPSTREAM_ALLOW_PRIVATE allow that.",
    "not_a_url": "The address is not a URL. Check the settings, or what the discovery document says.",
    "redirected": "It answered with a redirect where none may be followed, or with too many. Use the address itself.",
    "too_large": "The answer was larger than any honest one. Check that the address is the right one.",
    "encoded": f"The answer was compressed, though that was not asked for. {OPERATOR}",
    "not_json": "The answer was not a JSON object. Check that the address is the right one.",
    "protocol": "The answer was not HTTP. Check the host and the port.",
    "suspended": "The host had failed several times in a row and was left alone for a moment. See the attempts before.",
    "status": "It answered with an error. Check the address in the settings.",
    "unusable": 'It was read and cannot be used. "Test configuration" on the page of the provider says why.',
}
_PROVIDERS = {
    # the answer by the browser
    "state_unknown": "An answer came for no sign-in that began here. An old link, a page that was reloaded much later, "
    "or somebody who tries. Nothing to do unless it happens to many.",
    "state_foreign": "The answer came from another browser than the sign-in began in, or without its cookie. Cookies "
    "may be blocked, or the user changed the browser or the domain half-way.",
    "state_expired": "The user took longer than five minutes at the provider. Signing in again helps.",
    "state_replayed": "The answer had been used before: a page reloaded, the back button, or a link opened twice. "
    "Signing in again helps.",
    "request_outdated": "The app's request was valid when the user left for the provider and was not any more when the "
    "answer came: the app client, its callback URLs or its providers were changed meanwhile.",
    "access_denied": "The user cancelled at the provider, or the provider does not let this user in. The provider "
    "knows which; check there who is assigned to the app.",
    "provider_error": "The provider sent the browser back with an error. Often the client id, the redirect URI or the "
    f"scopes differ from what is registered there. {LOOK}",
    "answer_issuer": "The answer names another issuer than this provider's, or none where the provider promises one. "
    "Check the issuer in the settings; if it is right, an answer of another provider was sent here.",
    "code_missing": f"The answer held neither a code nor an error. {OPERATOR}",
    # discovery, the token endpoint, userInfo
    "discovery_unusable": 'The discovery document was read and cannot be used. "Test configuration" on the page of the '
    "provider says why.",
    "private_key_unusable": "The private key in the settings cannot sign. Paste the whole .p8 file that Apple gave.",
    "token_error": "The provider refused the code. Most often the client secret is wrong or has expired, or the "
    f"redirect URI is not registered there. {LOOK}",
    "token_response": f"The token endpoint answered well and sent no access token. {OPERATOR}",
    "userinfo_error": "The userInfo endpoint refused the access token that the provider had just given. Check the "
    "scopes, the endpoint and the method in the settings.",
    "userinfo_subject": f"userInfo spoke of another user than the ID token, or of none. {OPERATOR}",
    # the ID token (OpenID Connect Core 1.0 3.1.3.7)
    "id_token_missing": "The token endpoint sent no ID token. The scopes need openid, and the provider must offer "
    "OpenID Connect for this client.",
    "id_token_format": f"The ID token is no signed JWT that can be read. {OPERATOR}",
    "id_token_algorithm": "The ID token is signed with an algorithm that is not accepted. Set the client up for RS256 "
    "or ES256 at the provider; none and HS256 are never accepted.",
    "id_token_key": "The provider publishes no key that fits the ID token, even after its keys were read again. The "
    f"JWKS URL may be another server's. {OPERATOR}",
    "id_token_signature": "The signature of the ID token is wrong: it was altered, or signed with another key. "
    f"{OPERATOR}",
    "id_token_issuer": "The ID token is another issuer's. The issuer in the settings must be what the provider calls "
    "itself.",
    "id_token_audience": "The ID token is for another client. The client id in the settings must be the one that is "
    "registered at the provider.",
    "id_token_azp": "The ID token was issued to another client (azp). Check the client id in the settings.",
    "id_token_subject": f"The ID token says no subject, or one of more than 255 characters. {OPERATOR}",
    "id_token_expiry": "The ID token had expired. Check the clocks of this server and of the provider.",
    "id_token_issue_time": "The ID token is from before this sign-in, or from the future. Check the clocks of this "
    "server and of the provider.",
    "id_token_nonce": "The ID token was made for another sign-in, or the provider does not return the nonce that it "
    f"was sent. {OPERATOR}",
    "id_token_at_hash": f"The ID token and the access token do not belong together (at_hash). {OPERATOR}",
    "id_token_auth_time": "The app asked for a recent sign-in (max_age), and the one at the provider is older.",
    # who it is, and the attributes
    "subject_invalid": "The provider's name for the user is empty, too long, or holds characters that cannot be "
    f"stored. {OPERATOR}",
    "provider_deleted": "The provider was deleted while the person was there. Nothing to do, unless it was a mistake.",
    "username_taken": "A user of the name that this identity would get is there already, and is not linked to it. Link "
    "the identity to that user, or delete the user.",
    "username_too_long": "The provider's name and the subject make a username of more than 128 characters. Link the "
    "identity to a user, or give the provider a shorter name.",
    "username_invalid": "The subject holds white space or characters that a username cannot have. Link the identity to "
    "a user.",
    "user_disabled": "The user is disabled here. Enable the user to let them in again.",
    "alias_taken": "Another user of the pool signs in with the address or number that the provider sent. Change it at "
    "one of the two, or link the identity to that user.",
    "attributes_required": "The pool requires attributes that the provider did not send. Map them, and ask the "
    "provider for the scopes that bring them.",
    "attribute_immutable": "The provider sent a new value for an attribute that cannot be changed in this pool. Take "
    "it out of the mapping, or set it right at the provider.",
    "attribute_too_long": "A mapped claim has more than 2048 characters. Take it out of the mapping.",
    "attribute_invalid": "A mapped claim does not fit its attribute: see its type and limits on the page of the pool.",
    # what is the app's, or ours
    "invalid_request": "A parameter of the app's request is missing, repeated, malformed or too long, or it names a "
    "user by an ID token that is not this pool's (id_token_hint). The words that the app was sent say more.",
    "login_required": "Somebody else signed in at the provider than the app asked for, or the user was signed out or "
    "disabled meanwhile.",
    "server_error": "Something failed in this server. The log has it under the request id below.",
}
WORDS = _PROVIDERS | saml_event_words.WORDS | local_event_words.WORDS


def why(reason: str) -> str:
    """Return what ``reason`` means and what to do; empty for a reason that is not known here."""
    if words := WORDS.get(reason):
        return words
    place, _, cause = reason.partition("_")
    if place in PLACES and cause in CAUSES:
        return f"{PLACES[place]} {CAUSES[cause]}"
    return ""
