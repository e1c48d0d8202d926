"""A mixin for the console's forms: whatever they create, change or delete is in the audit trail.

Each row has an event of its own: the row of the form, with its many-to-many fields, and each row of an inline. The
event is written in the transaction of the change. What an operation of ours does (accounts/admin/operations.py) is
recorded by the operation.
"""

from typing import Any

from django.db import models, transaction
from django.forms import BaseModelFormSet, ModelForm
from django.http import HttpRequest

from accounts import audit


def actor(request: HttpRequest) -> str:
    """Return the name of the operator who sent ``request``, as the audit trail has it."""
    return str(request.user.get_username())


def stored(row: models.Model) -> models.Model | None:
    """Return ``row`` as the database has it."""
    return type(row)._default_manager.filter(pk=row.pk).first()


def chosen(row: models.Model, names: list[str]) -> dict[str, list[str]]:
    """Return the many-to-many fields of ``row`` as lists of words."""
    return {name: sorted(str(other) for other in getattr(row, name).all()) for name in names}


class AuditedAdmin:
    """Mixin for a ModelAdmin, to stand before it in the list of base classes."""

    def save_model(self, request: HttpRequest, obj: models.Model, form: ModelForm, change: bool) -> None:
        form.audited = stored(obj) if change else None  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)  # type: ignore[misc]

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: list[Any], change: bool) -> None:
        row, before = form.instance, getattr(form, "audited", None)
        names = [field.name for field in row._meta.many_to_many if field.name in form.cleaned_data]
        had = chosen(row, names)
        super().save_related(request, form, formsets, change)  # type: ignore[misc]
        changes = audit.difference(before, row)
        has = chosen(row, names)
        changes |= {name: [had[name], has[name]] for name in names if had[name] != has[name]}
        if changes or not change:
            audit.record("change" if change else "create", row, changes, actor=actor(request))

    def save_formset(self, request: HttpRequest, form: ModelForm, formset: BaseModelFormSet, change: bool) -> None:
        touched = [inner.instance for inner in formset.initial_forms if inner.has_changed()]
        had = {row.pk: stored(row) for row in touched}
        for inner in formset.deleted_forms:
            if (row := had.get(inner.instance.pk)) is not None:
                audit.record("delete", row, audit.difference(row, None), actor=actor(request))
        super().save_formset(request, form, formset, change)  # type: ignore[misc]
        for row in formset.new_objects:
            audit.record("create", row, audit.difference(None, row), actor=actor(request))
        for row, _ in formset.changed_objects:
            audit.record("change", row, audit.difference(had.get(row.pk), row), actor=actor(request))

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        audit.record("delete", obj, audit.difference(obj, None), actor=actor(request))
        super().delete_model(request, obj)  # type: ignore[misc]

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        # one by one: each has an event of its own, and rules that stand in the model's delete() hold
        for row in queryset:
            self.delete_model(request, row)
