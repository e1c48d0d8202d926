"""The console's site: an explicit registry, served on the console's host only, with a content security policy."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from unfold.sites import UnfoldAdminSite

from accounts import audit
from accounts.admin.sign_in import SignInForm
from accounts.middleware import PERMISSIONS_POLICY

# the theme's Alpine compiles the expressions in its attributes, and it sets styles: both only here
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
View = Callable[..., HttpResponse]


class ConsoleSite(UnfoldAdminSite):
    """Django's admin with a registry of its own: nothing appears here because a library registered it."""

    login_form = SignInForm
    index_template = "console/index.html"
    index_title = "Overview"
    enable_nav_sidebar = True

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        inner = super().admin_view(view, cacheable)

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            # PostgreSQL takes no NUL, and Django's filters pass one on
            if "\x00" in request.path_info or any("\x00" in value for value in _values(request)):
                raise Http404
            return _protected(inner(request, *args, **kwargs))

        return update_wrapper(guarded, inner)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pages: list[tuple[str, View, str]] = []

    def page(self, address: str, name: str) -> Callable[[View], View]:
        """Serve a view as a page of the console that belongs to no table."""

        def register(view: View) -> View:
            self.pages.append((address, view, name))
            return view

        return register

    def get_urls(self) -> list[Any]:
        own = [path(address, self.admin_view(view), name=name) for address, view, name in self.pages]
        return [*own, *super().get_urls()]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return _protected(super().login(request, extra_context))

    @transaction.atomic
    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response: HttpResponse = super().password_change(request, extra_context)
        if request.method == "POST" and response.status_code == 302:
            operator: Any = request.user
            changes: dict[str, list[Any]] = {"password": ["present", "changed"]}
            audit.record("set password", operator, changes, actor=operator.get_username())
        return response


def _values(request: HttpRequest) -> list[str]:
    return [name + value for name, found in request.GET.lists() for value in found]


def _protected(response: HttpResponse) -> HttpResponse:
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
    # a page that opened the console, or was opened by it, has no hold on its window. Hosted pages go without: apps
    # open them in windows of their own and wait for the answer there
    response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    return response


console = ConsoleSite(name="admin")
