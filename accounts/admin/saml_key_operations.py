"""Preparing, activating and removing the key pairs of a pool as a SAML service provider (accounts/saml_keys.py).

Nobody can look whether a provider has registered a certificate, so each page says what has to be done there first.
"""

from enum import StrEnum
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from accounts import audit, saml_keys
from accounts.admin.audited import actor
from accounts.admin.operations import Operation
from accounts.models import SamlKey
from accounts.models.saml import KeyUse


class State(StrEnum):
    """What a key pair does."""

    ACTIVE = "in use"
    NEXT = "next, published"
    DECRYPTS = "retired, still decrypts"
    RETIRED = "retired"


PREPARATION = {
    KeyUse.SIGNING: "A second key pair is made, and its certificate stands beside the present one in the pool's "
    "metadata. The present one signs on. Register the new certificate at every SAML provider that checks signed "
    "requests or sign-outs, beside the present one, and only then let it take over.",
    KeyUse.ENCRYPTION: "A second key pair is made, and what is encrypted for the present one or for the new one is "
    "decrypted from now on. The pool's metadata names the new one once it has taken over. Register the new certificate "
    "at every SAML provider that encrypts assertions, in place of the present one.",
}
ACTIVATION = {
    KeyUse.SIGNING: "Requests and sign-outs are signed with this key pair from now on. A provider that has not "
    "registered its certificate refuses them. The present one leaves the metadata and its private key is deleted, so "
    "there is no way back: register the certificate at every provider first.",
    KeyUse.ENCRYPTION: "The pool's metadata names this certificate from now on, and providers that read it encrypt for "
    "it. The present key pair decrypts until it is removed: before you do that, register the certificate at every "
    "provider that does not read the metadata.",
}
REMOVAL = {
    State.NEXT: "The key pair is deleted and never takes over. A provider that has this certificate in place of the "
    "present one does not work with it any more: register the present one there again first.",
    State.DECRYPTS: "The private key is deleted. A provider that still encrypts for it can sign nobody in until it has "
    "the present encryption certificate: register that at every provider first.",
    State.RETIRED: "Its certificate is not used any more, and its private key is gone already. Delete it at the "
    "providers as well.",
}


def state(key: SamlKey) -> State:
    """Return what ``key`` does now."""
    if key.retired_at is not None:
        return State.DECRYPTS if key.use == KeyUse.ENCRYPTION else State.RETIRED
    return State.ACTIVE if key.activated_at is not None else State.NEXT


class SamlKeyPermissions:
    """Mixin: who may add a key prepares one, who may change one lets it take over, who may delete one removes it."""

    def has_prepare_key_permission(self, request: HttpRequest, row: Any = None) -> bool:
        return request.user.has_perm("accounts.add_samlkey")

    def has_activate_key_permission(self, request: HttpRequest, row: Any = None) -> bool:
        return request.user.has_perm("accounts.change_samlkey")

    def has_remove_key_permission(self, request: HttpRequest, row: Any = None) -> bool:
        return request.user.has_perm("accounts.delete_samlkey")


def preparation(key: SamlKey, afterwards: str) -> Operation:
    return Operation("Prepare the next certificate", PREPARATION[KeyUse(key.use)], "Prepare it", _prepare)


def activation(key: SamlKey, afterwards: str) -> Operation:
    words = ACTIVATION[KeyUse(key.use)]
    facts = {"SHA-256 fingerprint": key.fingerprint}
    title = "Let the next certificate take over"
    return Operation(title, words, "Let it take over", _activate, danger=True, facts=facts)


def removal(key: SamlKey, afterwards: str) -> Operation:
    def run(request: HttpRequest, key: SamlKey, values: dict[str, Any]) -> HttpResponse:
        audit.record("remove SAML key", key, {"fingerprint": [key.fingerprint, None]}, actor=actor(request))
        name = str(key)
        try:
            saml_keys.remove(key)
        except LookupError as error:
            raise ValidationError("This key pair is in use now. It cannot be removed.") from error
        messages.success(request, f"SAML key {name} was removed.")
        return HttpResponseRedirect(afterwards)

    facts = {"SHA-256 fingerprint": key.fingerprint}
    return Operation("Remove the key pair", REMOVAL[state(key)], "Remove it", run, danger=True, facts=facts)


def _prepare(request: HttpRequest, key: SamlKey, values: dict[str, Any]) -> str:
    if there := saml_keys.upcoming(key.user_pool, key.use):
        return f"{there} is prepared already. Register it at the providers, then let it take over."
    made = saml_keys.prepare(key.user_pool, key.use)
    audit.record("prepare SAML key", made, {"fingerprint": [None, made.fingerprint]}, actor=actor(request))
    return f"{made} is the next certificate. Register it at the providers, then let it take over."


def _activate(request: HttpRequest, key: SamlKey, values: dict[str, Any]) -> str:
    replaced = saml_keys.active(key.user_pool, key.use)
    try:
        coming = saml_keys.activate(key.user_pool, key.use)
    except LookupError as error:
        raise ValidationError("No certificate is prepared any more. Look at the list.") from error
    changes = {"fingerprint": [replaced.fingerprint, coming.fingerprint]}
    audit.record("activate SAML key", coming, changes, actor=actor(request))
    return f"{coming} is in use now."
