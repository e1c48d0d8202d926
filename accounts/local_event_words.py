"""Why Userpool itself refused, locked or revoked, in words for an operator. accounts/event_words.py has the rest.

Passwords (accounts/authentication.py), authorization requests (federation/authorize_request.py), token requests
(federation/oauth2/validator.py).
"""

SUITE = "If it happens to many, the app was set up for another pool or another environment."

_PASSWORDS = {
    "incorrect": "The password was wrong, or there is no such user; the person is told neither which. Set a new "
    "password if they have forgotten theirs.",
    "unknown_user": "Nobody of that name is in the pool. The name is not kept, because people type passwords there.",
    "locked": "Too many wrong passwords for this name or from this address of late: this one was not even tried. It "
    "passes by itself, after a quarter of an hour at most.",
    "disabled": "The user is disabled. Enable the user to let them in again.",
    "unconfirmed": "The user is not confirmed yet. Confirm the user, or set a password.",
    "reset_required": "The password must be reset before the user can sign in. Set a new one.",
    "temporary_password_expired": "The temporary password was not used in time. Set a new one.",
    "user_locked": "Five wrong passwords or more for one name within the hour. It is locked for longer with each, for "
    "a quarter of an hour at most. One user is a person who has forgotten; many at once are an attack.",
    "address_locked": "Fifty wrong passwords or more from one address within the hour: somebody tries names and "
    "passwords, or a whole office is behind one address and an app of theirs has an old password.",
}

_REQUESTS = {
    "redirect_mismatch": "The app asked to be sent back to an address that is not registered. Compare the callback "
    "URLs of the app client with what the app sends, to the letter: path, slash at the end, port.",
    "logout_mismatch": "The app asked to be sent to an address that is not among the client's logout URLs after the "
    "sign-out. Compare them to the letter.",
    "invalid_client": f"The app named a client that this pool does not have. {SUITE}",
    "unauthorized_client": "The app client may not use this flow. Look at its allowed OAuth flows, and whether it has "
    "any identity provider.",
    "unsupported_response_type": "The app asked for a response type that does not exist here: code and token do.",
    "unsupported_grant_type": "The app sent a grant type that does not exist here: authorization_code, refresh_token "
    "and client_credentials do.",
    "invalid_scope": "The app asked for a scope that the client may not have, or for email, phone or profile without "
    "openid. Look at the allowed scopes of the app client.",
    "invalid_target": "The app named a resource that is not an absolute URI (RFC 8707).",
    "request_not_supported": "The app sent a request object (request or request_uri), which is not read here.",
    "sign_in_lost": "The answer of a provider fits no sign-in that began in this browser, or one that is over.",
    "invalid_relay_state": "The answer of a SAML provider fits no sign-in that began here.",
    "sign_out_unconfirmed": "The person is signed out here; the SAML provider's answer to the sign-out could not be "
    "used, came twice, or too late.",
    "sign_out_refused": "A sign-out request of a SAML provider was not signed by one that is known here, or was "
    "used before.",
    "csrf": "A form came without its proof: the page was open for long, cookies are blocked, or another site sent it.",
}

_TOKENS = {
    "client_unknown": f"The app named a client that this pool does not have. {SUITE}",
    "client_secret": "The client secret was wrong or missing, or sent by a public client, which has none. Compare it "
    "with the app client's; after a change of secrets the old one is over.",
    "invalid_grant": "The app client's OAuth switch is off, or it was switched off meanwhile.",
    "code_unknown": "There is no such code of this client: made up, another client's, of another pool, or expired long "
    "ago.",
    "code_over": "The code was older than five minutes, or its user was signed out or disabled meanwhile.",
    "code_replayed": "The code was used a second time: an app that retries, or a code that leaked. Everything that was "
    "granted for it is revoked.",
    "code_verifier": "The PKCE verifier is missing or does not fit the challenge of the sign-in: it began in another "
    "browser or tab, or the app mixed two sign-ins up.",
    "challenge_missing": "The app sent a PKCE verifier, and its sign-in had no challenge. Somebody may have taken it "
    "out.",
    "redirect_uri_differs": "The redirect_uri at the token endpoint is not that of the sign-in. Both must be the same.",
    "scope_unreadable": "The client asks for a scope whose attributes it may not read. Look at its readable "
    "attributes.",
    "refresh_token_unknown": "There is no such refresh token of this client: made up, another client's, or expired "
    "long ago.",
    "refresh_token_over": "The refresh token has expired or was revoked, or its user was signed out or disabled.",
    "refresh_key_gone": "A refresh token came again within its grace, and the encryption key that led from it to its "
    "successor is not listed any more: USERPOOL_ENCRYPTION_KEYS was changed too quickly. The successor is good.",
    "refresh_token_reused": "A refresh token came again after it was replaced and its grace was over: the app kept an "
    "old one, or somebody holds a copy. The whole grant is revoked, and the user signs in again.",
    "revoked_by_client": "The app revoked the grant, as it does when its user signs out.",
    "withdrawn": "The old key was taken out of the JWKS at once: every token that it signed is dead.",
}

_LIMITS = {
    "rate_address": "More requests a second came from one address than one may send (USERPOOL_RATE_LIMIT_ADDRESS): an "
    "app that repeats itself, somebody who tries things, or many people behind a proxy that USERPOOL_TRUSTED_PROXIES "
    "does not name.",
    "rate_client": "More requests a second named this app client than one may have (USERPOOL_RATE_LIMIT_CLIENT). Look "
    "whether the app asks for a new token each time that it needs one.",
    "rate_pool": "More requests a second came to this pool than it may have (USERPOOL_RATE_LIMIT_POOL).",
}

WORDS = _PASSWORDS | _REQUESTS | _TOKENS | _LIMITS
