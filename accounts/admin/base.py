"""What every page of the console has in common: the form, the list, the deletion, and the pool that comes first.

A mistake is told in the form and a race in a message; neither is ever a 500.
"""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import DataError, IntegrityError, models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin

from accounts import audit
from accounts.admin.audited import AuditedAdmin
from accounts.admin.operations import OperationsMixin
from accounts.models import UserPool

RACE = "Somebody else saved something that this clashes with. Nothing was saved; look again and repeat it."
POOLS_SHOWN = 50


class ConsoleForm(forms.ModelForm):
    """A ModelForm that takes rules of the model to the field that the operator sees."""

    pool: UserPool | None = None
    """The pool of a new row, chosen before the form is shown."""
    shown_at: dict[str, str] = {}
    """Where the errors of a model field go that the form shows by another field."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.pool is not None and not getattr(self.instance, "user_pool_id", None):
            self.instance.user_pool = self.pool
        if self.instance._state.adding:
            # the defaults of the model; Django takes them to fields that it makes itself only
            for field in self.instance._meta.concrete_fields:
                if field.name in self.fields and field.has_default() and self.fields[field.name].initial is None:
                    self.initial.setdefault(field.name, field.value_from_object(self.instance))

    def _get_validation_exclusions(self) -> set[str]:
        # the pool is no field of the form, and yet names are unique within it
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded - {"user_pool"}

    def add_error(self, field: str | None, error: Any) -> None:
        if field is None and hasattr(error, "error_dict"):
            for name, errors in error.error_dict.items():
                shown = self.shown_at.get(name, name)
                super().add_error(shown if shown in self.fields else None, errors)
            return
        super().add_error(field if field in self.fields or field == NON_FIELD_ERRORS else None, error)


class ConsoleAdmin(AuditedAdmin, OperationsMixin, ModelAdmin):
    """A page of the console that changes rows."""

    form = ConsoleForm
    list_per_page = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # they count every row
    list_filter_submit = True
    list_fullwidth = True
    actions_on_bottom = False
    warn_unsaved_form = True
    view_fieldsets: tuple[Any, ...] = ()
    """What an operator sees who may only look; by default the fields of the form."""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None and self.view_fieldsets and not self.has_change_permission(request, obj):
            return self.view_fieldsets
        return super().get_fieldsets(request, obj)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The history of a row is its part of the audit trail."""
        row = self.row(request, object_id)
        if not request.user.has_perm("accounts.view_auditevent"):
            raise PermissionDenied
        query = urlencode({"q": audit.identity_of(row)})
        return HttpResponseRedirect(f"{reverse('admin:accounts_auditevent_changelist')}?{query}")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        # a field that is not on the page, or is there to read only, cannot be posted either
        shown = set(flatten_fieldsets(self.get_fieldsets(request, obj))) - {*self.get_readonly_fields(request, obj)}
        for name in set(form.base_fields) - shown:
            del form.base_fields[name]
        return form

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, request.get_full_path(), lambda: super(ConsoleAdmin, self).changeform_view(
            request, *args, **kwargs))  # fmt: skip

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, request.get_full_path(), lambda: super(ConsoleAdmin, self).changelist_view(
            request, *args, **kwargs))  # fmt: skip

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        back = self.url("change", object_id)
        return self._told(request, back, lambda: super(ConsoleAdmin, self).delete_view(
            request, object_id, extra_context))  # fmt: skip

    def _told(self, request: HttpRequest, back: str, answer: Any) -> HttpResponse:
        try:
            response: HttpResponse = answer()
        except ValidationError as error:
            for message in error.messages:
                self.message_user(request, message, messages.ERROR)
        except IntegrityError:
            self.message_user(request, RACE, messages.ERROR)
        except DataError:
            self.message_user(request, "A value is too long or not of its kind.", messages.ERROR)
        else:
            return response
        return HttpResponseRedirect(back)

    def response_action(self, request: HttpRequest, queryset: Any) -> Any:
        try:
            return super().response_action(request, queryset)
        except (ValueError, OverflowError, DataError):  # a row id that no list of ours has
            self.message_user(request, "Select rows of this list.", messages.ERROR)
            return None

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Say what goes with ``objs`` in numbers: Django would list every row, and a pool may have a million."""
        rows = list(objs)
        counts: dict[str, int] = {str(self.opts.verbose_name_plural): len(rows)}
        lacking: set[str] = set()
        for relation in self.opts.related_objects:
            model = relation.related_model
            if relation.on_delete is not models.CASCADE:
                continue
            count = model._default_manager.filter(**{f"{relation.field.name}__in": rows}).count()
            if not count:
                continue
            counts[str(model._meta.verbose_name_plural)] = count
            admin = self.admin_site._registry.get(model)
            written_here = admin is not None and not isinstance(admin, ReadOnlyAdmin)
            if written_here and not admin.has_delete_permission(request):
                lacking.add(str(model._meta.verbose_name))
        names = [str(row) for row in rows]
        return names, counts, lacking, self.protected(rows)

    def protected(self, rows: list[Any]) -> list[str]:
        """Return why rows among ``rows`` cannot be deleted now, in words."""
        return []


class PoolBoundAdmin(ConsoleAdmin):
    """A page for rows of one pool. The pool of a new row is chosen first, and never changes."""

    choose_first: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = ()
    """Further choices before the form: (parameter, question, ((value, words), ...))."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("user_pool", *super().get_readonly_fields(request, obj))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        form.pool = obj.user_pool if obj is not None else self.chosen_pool(request)
        return form

    def chosen_pool(self, request: HttpRequest) -> UserPool | None:
        pool_id = request.GET.get("user_pool", "")
        if not 0 < len(pool_id) <= 55 or "\x00" in pool_id:
            return None
        return UserPool.objects.filter(pk=pool_id).first()

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        pool = self.chosen_pool(request)
        if pool is None:
            return self.choose_pool(request)
        for name, question, choices in self.choose_first:
            if request.GET.get(name) not in dict(choices):
                return self._choose(request, question, [self._choice(request, name, *choice) for choice in choices])
        response: HttpResponse = super().add_view(request, form_url, extra_context)
        return response

    def choose_pool(self, request: HttpRequest, **context: Any) -> HttpResponse:
        """Return the page that asks for a pool and comes back with it; ``context`` may give it another title."""
        text = request.GET.get("q", "").replace("\x00", "")[:128]
        pools = UserPool.objects.filter(models.Q(name__icontains=text) | models.Q(pk__icontains=text))
        found = list(pools[: POOLS_SHOWN + 1])
        choices = [self._choice(request, "user_pool", pool.pk, pool.name, pool.pk) for pool in found[:POOLS_SHOWN]]
        if len(choices) == 1 and not text:
            return HttpResponseRedirect(choices[0]["link"])
        return self._choose(request, "For which pool?", choices, search=text, more=len(found) > POOLS_SHOWN, **context)

    def _choice(self, request: HttpRequest, name: str, value: str, words: str, note: str = "") -> dict[str, str]:
        query = request.GET.copy()
        query.pop("q", None)
        query[name] = value
        return {"link": f"?{query.urlencode()}", "words": words, "note": note}

    def _choose(self, request: HttpRequest, question: str, choices: list[Any], **context: Any) -> HttpResponse:
        return TemplateResponse(
            request,
            "console/choose.html",
            {
                **self.admin_site.each_context(request),
                "title": f"Add {self.opts.verbose_name}",
                "opts": self.opts,
                "question": question,
                "choices": choices,
                "is_popup": IS_POPUP_VAR in request.GET,
                **context,
            },
        )


class ReadOnlyAdmin(OperationsMixin, ModelAdmin):
    """A page that shows rows which the server writes itself."""

    list_per_page = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # they count every row
    list_filter_submit = True
    list_fullwidth = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
