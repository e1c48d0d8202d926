"""Operations: what an operator does to a row beside editing it (show a secret, rotate keys, sign out everywhere).

Each has a page of its own that says what will happen. A GET shows it, only a POST with its CSRF token does it, in one
transaction with its event in the audit trail; the permission is checked both times. What waits for somebody else's
server changes nothing and runs outside of a transaction, which would hold its locks for as long. A value that is shown
once is in the answer to that POST and nowhere else: not in a message, which would lie in a cookie, and not in a URL.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

Run = Callable[[HttpRequest, Any, dict[str, Any]], "HttpResponse | str"]


@dataclass(frozen=True)
class Operation:
    """One operation: its words, and ``run(request, row, values)``, which returns a message or a whole response."""

    title: str
    words: str
    button: str
    run: Run
    form: type[forms.Form] | None = None
    danger: bool = False
    facts: dict[str, str] = field(default_factory=dict)
    in_transaction: bool = True
    """False for what waits for other servers; ``run`` then sees to its own transactions."""


@dataclass(frozen=True)
class Shown:
    """A value that is shown once: its label, the value, and what to do with it."""

    label: str
    value: str
    words: str


class OperationsMixin:
    """Mixin for a ModelAdmin whose rows have operations."""

    def operate(self, request: HttpRequest, object_id: str, operation: Operation) -> HttpResponse:
        """Show the page of ``operation``, or on POST do it. The caller has checked its permission."""
        row = self.row(request, object_id)
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "POST"])
        posted = request.method == "POST"
        form = (operation.form or forms.Form)(request.POST if posted else None)
        if posted and form.is_valid():
            try:
                with transaction.atomic() if operation.in_transaction else nullcontext():
                    answer = operation.run(request, row, form.cleaned_data)
            except ValidationError as error:
                for message in error.messages:
                    form.add_error(None, message)
            else:
                if isinstance(answer, HttpResponse):
                    return answer
                self.message_user(request, answer, messages.SUCCESS)  # type: ignore[attr-defined]
                return HttpResponseRedirect(self.page_of(row))
        context = {"operation": operation, "form": form, "back": self.page_of(row)}
        return self._page(request, "console/operation.html", row, operation.title, context)

    def show(self, request: HttpRequest, row: models.Model, title: str, *values: Shown) -> HttpResponse:
        """Return a page with values that are shown once; no cache keeps it."""
        return self.result(request, row, title, "console/shown.html", values=values)

    def result(
        self, request: HttpRequest, row: models.Model, title: str, template: str, **context: Any
    ) -> HttpResponse:
        """Return the page of what an operation brought; no cache keeps it."""
        response = self._page(request, template, row, title, {"back": self.page_of(row), **context})
        response["Cache-Control"] = "no-store"
        return response

    def row(self, request: HttpRequest, object_id: str) -> Any:
        """Return the row that the operator asked for and may see; raise Http404 or PermissionDenied."""
        row = self.get_object(request, unquote(object_id))  # type: ignore[attr-defined]
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):  # type: ignore[attr-defined]
            raise PermissionDenied
        return row

    def page_of(self, row: models.Model) -> str:
        opts = row._meta
        return reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=(quote(row.pk),))

    def url(self, page: str, *args: str) -> str:
        """Return the URL of a page of this model: changelist, change, add."""
        opts = self.opts  # type: ignore[attr-defined]
        return reverse(f"admin:{opts.app_label}_{opts.model_name}_{page}", args=args)

    def _page(
        self, request: HttpRequest, template: str, row: models.Model, title: str, context: dict[str, Any]
    ) -> TemplateResponse:
        site = self.admin_site  # type: ignore[attr-defined]
        kind = str(row._meta.verbose_name)
        return TemplateResponse(
            request,
            template,
            {
                **site.each_context(request),
                "title": title,
                "subtitle": str(row),
                "about": f"{kind[:1].upper()}{kind[1:]} {row}",
                **context,
            },
        )
