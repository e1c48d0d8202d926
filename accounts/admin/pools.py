"""User pools in the console."""

from typing import Any

from django import forms
from django.contrib.admin import register
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.decorators import action, display

from accounts.admin import key_operations, panels
from accounts.admin.base import ConsoleAdmin
from accounts.admin.pool_forms import POLICY_FIELDS, POLICY_WORDS, PoolForm
from accounts.admin.site import console
from accounts.attributes import STANDARD_ATTRIBUTES
from accounts.models import UserPool, UserPoolDomain
from accounts.passwords import RANGES, WIRE_NAMES

FIXED = ("id", "username_attributes", "alias_attributes", "case_sensitive")
POLICY = ("Password policy", {"fields": tuple(POLICY_FIELDS), "classes": ["tab"]})


class DomainForm(forms.ModelForm):
    """A domain of a pool. In a table only the column has a heading; each field needs a name of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = str(field.label or "")


class DomainInline(TabularInline):
    """The pool's prefix domain and its custom domain."""

    model = UserPoolDomain
    form = DomainForm
    extra = 0
    max_num = 2


@register(UserPool, site=console)
class UserPoolAdmin(key_operations.KeyPermissions, ConsoleAdmin):
    """Pools: domains, password policy, sign-in options, schema, keys."""

    form = PoolForm
    inlines = (DomainInline,)
    list_display = ("name", "id", "shown_domain", "signing_algorithm", "protection", "updated_at")
    search_fields = ("name", "id")
    actions_detail = ("rotate_keys", "withdraw_keys")
    readonly_fields = ("endpoints", "attributes")
    add_fieldsets = (
        (None, {"fields": ("name", "id", "deletion_protection")}),
        (
            "Sign-in",
            {
                "fields": (
                    "username_attributes",
                    "alias_attributes",
                    "case_sensitive",
                    "auto_verified_attributes",
                ),
                "classes": ["tab"],
            },
        ),
        POLICY,
        ("Attributes", {"fields": ("required_attributes", "new_attributes"), "classes": ["tab"]}),
        ("Signing keys", {"fields": ("signing_algorithm", "key_rotation_days"), "classes": ["tab"]}),
        ("Records", {"fields": ("event_retention_days", "audit_retention_days"), "classes": ["tab"]}),
    )
    fieldsets = (
        (None, {"fields": ("name", "deletion_protection")}),
        ("What clients need", {"fields": ("endpoints",), "classes": ["tab"]}),
        (
            "Sign-in",
            {
                "fields": ("sign_in_words", "case_sensitive", "auto_verified_attributes"),
                "classes": ["tab"],
            },
        ),
        POLICY,
        ("Attributes", {"fields": ("attributes", "new_attributes"), "classes": ["tab"]}),
        ("Signing keys", {"fields": ("signing_algorithm", "key_rotation_days"), "classes": ["tab"]}),
        ("Records", {"fields": ("event_retention_days", "audit_retention_days"), "classes": ["tab"]}),
    )
    view_fieldsets = (
        (None, {"fields": ("name", "deletion_protection")}),
        ("What clients need", {"fields": ("endpoints",), "classes": ["tab"]}),
        ("Sign-in", {"fields": ("sign_in_words", "case_sensitive", "verified_words"), "classes": ["tab"]}),
        ("Password policy", {"fields": ("policy_words",), "classes": ["tab"]}),
        ("Attributes", {"fields": ("attributes",), "classes": ["tab"]}),
        ("Signing keys", {"fields": ("signing_algorithm", "key_rotation_days"), "classes": ["tab"]}),
        ("Records", {"fields": ("event_retention_days", "audit_retention_days"), "classes": ["tab"]}),
    )

    class Media:
        js = ("console/copy.js",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("domains")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ()
        return (*self.readonly_fields, "sign_in_words", *FIXED)

    def protected(self, rows: list[Any]) -> list[str]:
        return [
            f"{pool}: deletion protection is active. Switch it off on the page of the pool first."
            for pool in rows
            if pool.deletion_protection
        ]

    @display(description="Domain")
    def shown_domain(self, pool: UserPool) -> str:
        return panels.words(sorted(domain.host or domain.domain for domain in pool.domains.all()), "-")

    @display(description="Deletion", label={"protected": "success", "possible": "warning"})
    def protection(self, pool: UserPool) -> str:
        return "protected" if pool.deletion_protection else "possible"

    @display(description="What clients need")
    def endpoints(self, pool: UserPool) -> SafeString:
        base = pool.base_url
        return panels.facts(
            {
                "Pool id": pool.pk,
                "Issuer": pool.issuer,
                "Discovery": f"{pool.issuer}/.well-known/openid-configuration",
                "JWKS": f"{pool.issuer}/.well-known/jwks.json",
                "Base URL": base,
                "Authorize": f"{base}/oauth2/authorize",
                "Token": f"{base}/oauth2/token",
                "UserInfo": f"{base}/oauth2/userInfo",
                "Sign-out": f"{base}/logout",
            }
        )

    @display(description="Users sign in with")
    def sign_in_words(self, pool: UserPool) -> str:
        if pool.username_attributes:
            return " or ".join(pool.username_attributes)
        return " or ".join(["username", *pool.alias_attributes])

    @display(description="Verified by a code at sign-up")
    def verified_words(self, pool: UserPool) -> str:
        return panels.words(pool.auto_verified_attributes)

    @display(description="Password policy")
    def policy_words(self, pool: UserPool) -> Any:
        policy = pool.policy
        values = {wire: getattr(policy, name) for wire, name in WIRE_NAMES.items()}
        shown = (value if wire in RANGES else ("yes" if value else "no") for wire, value in values.items())
        return panels.table(("Rule", "Value"), zip((label for label, _ in POLICY_WORDS.values()), shown, strict=True))

    @display(description="Attributes of this pool")
    def attributes(self, pool: UserPool) -> Any:
        schema = pool.schema
        own = [one for name, one in schema.attributes.items() if name not in STANDARD_ATTRIBUTES or one.required]
        return panels.table(
            ("Name", "Type", "Required", "Can be changed", "Minimum", "Maximum"),
            (
                (
                    one.name,
                    one.data_type,
                    "yes" if one.required else "no",
                    "yes" if one.mutable else "no",
                    _bound(one.min_length, one.min_value),
                    _bound(one.max_length, one.max_value),
                )
                for one in own
            ),
        )

    @action(description="Rotate keys", icon="autorenew", permissions=["rotate_keys"])
    def rotate_keys(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.operate(request, object_id, key_operations.rotation())

    @action(description="Withdraw keys", icon="key_off", permissions=["withdraw_keys"])
    def withdraw_keys(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.operate(request, object_id, key_operations.withdrawal())


def _bound(*values: int | None) -> str:
    return next((str(value) for value in values if value is not None), "-")
