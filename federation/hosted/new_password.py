"""The step after a temporary password: choose one of your own (NEW_PASSWORD_REQUIRED, W 12).

That the temporary password was right is carried from one page to the next by a signed proof: bound to the pool, the
user and the password itself, so that it dies with the password, and after a quarter of an hour.
"""

from django.core import signing
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts import authentication, opaque
from accounts.models import PoolUser
from accounts.models.users import UserStatus
from federation import responses, signin
from federation.authorize_request import AuthorizeRequest

SALT = "userpool.new-password"
PROOF_SECONDS = 900


def _fingerprint(user: PoolUser) -> str:
    return opaque.digest(f"{user.user_pool_id}\0{user.pk}\0{user.password}")


def _known_as(asked: AuthorizeRequest, user: PoolUser) -> str:
    """Return the name that ``user`` signs in with: where an address stands for a username, that is a UUID."""
    given = (user.attributes.get(name) for name in asked.pool.username_attributes)
    return next((value for value in given if value), user.username)


def page(
    request: HttpRequest,
    asked: AuthorizeRequest,
    user: PoolUser,
    messages: tuple[str, ...] = (),
    field: str = "new_password",
) -> HttpResponse:
    """Ask ``user``, who knows the temporary password, for a new one."""
    proof = signing.dumps({"user": user.pk, "fingerprint": _fingerprint(user)}, salt=SALT)
    context = {
        "form_action": f"{reverse('login')}?{asked.query}",
        "proof": proof,
        "username": _known_as(asked, user),
        "rules": asked.pool.policy.rules,
        "minimum_length": asked.pool.policy.minimum_length,
        "error": {"field": field, "messages": list(messages)} if messages else None,
    }
    return responses.page(request, "hosted/new_password.html", context, leads_out=True)


def _proven_user(asked: AuthorizeRequest, proof: str) -> PoolUser | None:
    try:
        claims = signing.loads(proof, salt=SALT, max_age=PROOF_SECONDS)
    except signing.BadSignature:
        return None
    user = asked.pool.users.filter(pk=claims["user"], enabled=True).first()
    if user is None or user.status != UserStatus.FORCE_CHANGE_PASSWORD:
        return None
    user.user_pool = asked.pool
    return user if _fingerprint(user) == claims["fingerprint"] else None


def take(request: HttpRequest, asked: AuthorizeRequest) -> HttpResponse:
    """Set the new password and sign the user in; back to /login when the proof is over."""
    user = _proven_user(asked, request.POST.get("proof", ""))
    if user is None:
        return responses.redirect(f"{reverse('login')}?{asked.query}")
    password = request.POST.get("new_password", "")
    if password != request.POST.get("confirm_password", ""):
        return page(request, asked, user, ("The two passwords are not the same.",), "confirm_password")
    if user.check_password(password):
        return page(request, asked, user, ("Choose a password other than the temporary one.",))
    try:
        authentication.set_password(user, password)
    except ValidationError as error:
        return page(request, asked, user, tuple(error.messages))
    return signin.sign_in(request, asked, user)
