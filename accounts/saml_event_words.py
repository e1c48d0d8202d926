"""Why SAML was refused, in words for an operator: what it means and what to do. accounts/event_words.py has the rest.

A response of W 8.3, a sign-in that a provider begins (W 8.4), a sign-out (W 8.5).
"""

SENT = "The message below shows what came."
OPERATOR = "Tell the provider's operator."
CLOCKS = "Check the clocks of this server and of the provider."
REGISTRATION = 'Compare what is registered at the provider with "Register at the provider" on its page here.'
CERTIFICATE = (
    "Its certificate is not in the metadata that is known here, or the signature is of a kind that is not accepted "
    "(SHA-1), or the response was altered on the way. Give the new metadata document, or read it by "
    '"Test configuration"; at the provider, choose RSA-SHA256.'
)
AGAIN = "Signing in again helps."

_READING = {
    "too_large": f"The response has more than 100,000 characters. Let the provider send fewer attributes. {OPERATOR}",
    "too_many_elements": f"The response has too many elements. Let the provider send fewer attributes. {OPERATOR}",
    "too_many_attributes": f"An element of the response has more than fifty XML attributes. {OPERATOR}",
    "not_base64": f"What came in SAMLResponse is not base64. {OPERATOR}",
    "not_utf8": f"The response is not UTF-8. {OPERATOR}",
    "not_xml": f"The response is not well-formed XML. {OPERATOR}",
    "dtd": f"The response has a document type, which is never accepted: it is a way to attack readers. {OPERATOR}",
    "time_invalid": f"A date in the response is not one that XML knows. {OPERATOR} {SENT}",
    "not_a_response": "The message is not a SAML response, though it came where those arrive. Check the ACS URL and "
    "the kind of application at the provider.",
    "comments": f"The response has comments or processing instructions, by which a name can be cut short. {OPERATOR}",
    "version": f"The response is not of SAML 2.0. {OPERATOR}",
    "refused": f"The response is not as SAML 2.0 has it. {SENT} {OPERATOR}",
}
_RESPONSE = {
    "status": "The provider says itself that the sign-in failed: the user cancelled or may not use the app, or the "
    "provider does not accept the request. The steps below have its code; its own log says more.",
    "assertion_count": f"The response must have one assertion, no more and no less. {SENT} {OPERATOR}",
    "encrypted_parts": "A part of the assertion was encrypted by itself (the NameID, an attribute). Let the provider "
    "encrypt the whole assertion or nothing.",
    "destination": f"The response was made for another address (Destination) than the pool's ACS URL. {REGISTRATION}",
    "recipient": f"The assertion was made for another address (Recipient) than the pool's ACS URL. {REGISTRATION}",
    "response_issuer": "The response is another provider's than the one in the metadata, or was sent to the wrong "
    "pool. Check the metadata in the settings.",
    "assertion_issuer": "The assertion is another provider's than the one in the metadata. Check the metadata in the "
    "settings.",
    "in_response_to": "The response answers another request than the one that this sign-in began with, or it answers "
    f"none. {AGAIN} If it goes on, the provider must return InResponseTo.",
    "confirmation_in_response_to": "The assertion answers another request than the one that this sign-in began with, "
    f"or it answers none. {AGAIN} If it goes on, the provider must say InResponseTo in SubjectConfirmationData.",
    "response_too_old": f"The response was made too long ago: the user waited, or the clocks differ. {CLOCKS}",
    "too_old": f"The assertion was made too long ago: the user waited, or the clocks differ. {CLOCKS}",
    "not_yet_issued": f"The response is from the future, or does not say when it was made. {CLOCKS}",
    "not_encrypted": 'The assertion was not encrypted, and "Require encrypted assertions" is on. Register the pool\'s '
    "encryption certificate at the provider, or switch it off here.",
    "decryption": "The assertion cannot be decrypted: it was encrypted for another certificate than the pool's, or "
    "with an algorithm that is not accepted. Register the pool's encryption certificate at the provider; AES-GCM and "
    "AES-CBC with RSA-OAEP are read.",
    "assertion_id": f"The assertion has no ID. {OPERATOR}",
}
_ASSERTION = {
    "conditions": f"The assertion has no Conditions, or some that are not understood. {SENT} {OPERATOR}",
    "conditions_never": f"The assertion ends before it begins (Conditions). {OPERATOR}",
    "conditions_early": f"The assertion is not valid yet (NotBefore of Conditions). {CLOCKS}",
    "conditions_expired": f"The assertion has expired (NotOnOrAfter of Conditions). {CLOCKS}",
    "audience": f"The assertion was made for another service provider. {REGISTRATION} The audience is the entity id.",
    "subject": f"The assertion has no Subject, or several. {OPERATOR}",
    "not_bearer": f"The assertion is not for a browser to carry: the confirmation method is not bearer. {OPERATOR}",
    "confirmation_data": f"SubjectConfirmation has no SubjectConfirmationData, which must name the ACS URL. {OPERATOR}",
    "confirmation_endless": f"SubjectConfirmationData does not say until when it holds (NotOnOrAfter). {OPERATOR}",
    "confirmation_never": f"The assertion ends before it begins (SubjectConfirmationData). {OPERATOR}",
    "confirmation_early": f"The assertion is not valid yet (NotBefore of SubjectConfirmationData). {CLOCKS}",
    "confirmation_expired": f"The assertion has expired (NotOnOrAfter of SubjectConfirmationData). {CLOCKS}",
    "authn_statement": f"The assertion must say once that and when the user signed in (AuthnStatement). {OPERATOR}",
    "session_over": f"The session at the provider is over already (SessionNotOnOrAfter). {CLOCKS}",
    "session_index": f"SessionIndex has more than 512 characters. {OPERATOR}",
    "forced_authentication": "The app asked for a new sign-in (ForceAuthn), and the provider answered with an older "
    f"one. The provider has to do what ForceAuthn asks. {OPERATOR}",
    "name_id": "The assertion has no NameID, or one that is too long or encrypted. Choose a NameID at the provider, "
    "best a persistent one: it decides which user it is.",
    "characters": "An attribute has a character that Cognito does not take either, such as an emoji. Take it out of "
    "the user's data at the provider, or do not send the attribute.",
    "response_signature": f"The signature of the response is wrong. {CERTIFICATE}",
    "assertion_signature": f"The signature of the assertion is wrong. {CERTIFICATE}",
    "not_understood": "The response was not understood far enough to verify it. A date may be written with an offset "
    f"where SAML wants UTC with a Z (saml-core 1.3.3), or a required part may be missing. {SENT}",
    "not_signed": "Neither the response nor the assertion is signed by the provider. Switch signing on there, with "
    f"RSA-SHA256 or better. {SENT}",
    "replayed": f"The assertion had been used before: a page reloaded, or somebody who tries. {AGAIN}",
}
_BEGUN_THERE = {
    "unsolicited_off": 'The sign-in began at the provider, and "Accept sign-ins that begin at the provider" is off. '
    "Switch it on, or let the user begin at the app.",
    "client_not_saml_only": "The sign-in began at the provider, for an app client that has other ways to sign in. That "
    "is for app clients whose providers are all SAML; make one of its own for the app, or let the user begin there.",
    "relay_state": "The sign-in began at the provider, and its RelayState is not the query of a valid authorize "
    "request: identity_provider, client_id, redirect_uri, response_type and scope. Set it right at the provider.",
}
_METADATA = {
    "metadata_unusable": "The provider's metadata was read and cannot be used, or there is none yet. "
    '"Test configuration" on the page of the provider says why.',
}
_SIGN_OUT = {
    "logout_signature": "A message about a sign-out is not signed by the provider, as it must be. Switch signing on "
    "there; if it is on, the metadata that is known here lacks its certificate.",
    "logout_issuer": "A message about a sign-out is another provider's than the one that was asked.",
    "logout_destination": "A message about a sign-out was made for another address (Destination) than the pool's "
    f"single logout URL. {REGISTRATION}",
    "logout_in_response_to": "The provider answered another sign-out than this one. The user is signed out here.",
    "logout_status": "The provider says that it could not sign the user out, or not everywhere. The user is signed out "
    "here. Its own log says more.",
    "logout_too_old": f"A message about a sign-out was made too long ago, or in the future. {CLOCKS}",
    "logout_replayed": "A request to sign out had been used before. Nothing to do unless it happens to many.",
    "logout_unknown": "Somebody who is no SAML provider of this pool asked to sign a user out. If one of the providers "
    "did, its entity id differs from the metadata that is known here.",
    "logout_malformed": f"A message about a sign-out is not as SAML 2.0 has it. {OPERATOR}",
    "logout_unsupported": "The provider asked to sign a user out whom it names by no NameID, or by an encrypted one. "
    "Let it send the NameID in clear.",
}
WORDS = _READING | _RESPONSE | _ASSERTION | _BEGUN_THERE | _METADATA | _SIGN_OUT
