"""Sessions on the hosted pages, and grants (refresh tokens), in the console: read-only, and each can be ended."""

from typing import Any

from django.contrib.admin import SimpleListFilter, register
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display
from unfold.paginator import InfinitePaginator

from accounts import audit, sessions
from accounts.admin.audited import actor
from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.operations import Operation
from accounts.admin.site import console
from accounts.models import RefreshToken, SignInSession


class LiveFilter(SimpleListFilter):
    """Whether a grant still stands."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "live"), ("ended", "revoked or expired")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        ended = Q(expires_at__lte=timezone.now()) | Q(revoked_at__isnull=False)
        match self.value():
            case "live":
                return queryset.exclude(ended)
            case "ended":
                return queryset.filter(ended)
        return queryset


class ActivityAdmin(ReadOnlyAdmin):
    """What sessions and grants have in common."""

    paginator = InfinitePaginator
    sortable_by = ()
    list_select_related: tuple[str, ...] = ("user__user_pool",)
    search_fields = ("user__username__istartswith", "user__sub__exact")

    @display(description="Pool")
    def pool(self, row: Any) -> str:
        return str(row.user.user_pool)


@register(SignInSession, site=console)
class SignInSessionAdmin(ActivityAdmin):
    """Live sessions; ending one signs that browser out."""

    list_display = ("user", "pool", "provider", "auth_time", "expires_at")
    list_select_related = ("user__user_pool", "provider")
    list_filter = (("user__user_pool", AutocompleteSelectFilter),)
    ordering = ("-id",)
    fields = ("user", "pool", "provider", "name_id", "session_index", "auth_time", "expires_at")
    readonly_fields = fields
    actions_detail = ("end",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # of those that came through SAML the rows stay when they are over (accounts/sessions.py)
        found: QuerySet[Any] = super().get_queryset(request)
        return found.filter(expires_at__gt=timezone.now())

    def has_end_permission(self, request: HttpRequest, row: Any = None) -> bool:
        return request.user.has_perm("accounts.delete_signinsession")

    @action(description="End session", icon="logout", permissions=["end"])
    def end(self, request: HttpRequest, object_id: str) -> HttpResponse:
        words = "The browser is signed out of the hosted pages. Tokens that apps hold stay good; see the grants."
        return self.operate(request, object_id, Operation("End session", words, "End it", self._end, danger=True))

    def _end(self, request: HttpRequest, session: SignInSession, values: dict[str, Any]) -> HttpResponse:
        audit.record("end session", session, {}, actor=actor(request))
        sessions.close(SignInSession.objects.filter(pk=session.pk))
        self.message_user(request, "The session has ended.")
        return HttpResponseRedirect(self.url("changelist"))


@register(RefreshToken, site=console)
class RefreshTokenAdmin(ActivityAdmin):
    """Grants: which app holds tokens for which user since when."""

    list_display = ("user", "app_client", "pool", "scope", "shown_state", "created_at", "expires_at")
    list_select_related = ("user__user_pool", "app_client")
    list_filter = (("app_client", AutocompleteSelectFilter), LiveFilter)
    ordering = ("-id",)
    fields = (
        "user",
        "app_client",
        "pool",
        "scope",
        "resource",
        "shown_state",
        "auth_time",
        "created_at",
        "expires_at",
        "revoked_at",
        "origin_jti",
    )
    readonly_fields = fields
    actions_detail = ("revoke",)

    @display(description="State", label={"live": "success", "revoked": "danger", "expired": "warning"})
    def shown_state(self, grant: RefreshToken) -> str:
        if grant.revoked_at is not None:
            return "revoked"
        return "expired" if grant.expires_at <= timezone.now() else "live"

    def has_revoke_permission(self, request: HttpRequest, row: Any = None) -> bool:
        return request.user.has_perm("accounts.change_refreshtoken")

    @action(description="Revoke", icon="block", permissions=["revoke"])
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        words = "The refresh token stops working, and userInfo refuses the access tokens of this grant, at once."
        return self.operate(request, object_id, Operation("Revoke grant", words, "Revoke", self._revoke, danger=True))

    def _revoke(self, request: HttpRequest, grant: RefreshToken, values: dict[str, Any]) -> str:
        if RefreshToken.revoke(pk=grant.pk):
            audit.record("revoke grant", grant, {}, actor=actor(request))
        return "The grant is revoked."
