"""Operators with their browsers, for the tests of the console."""

from typing import Any

from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import Operator

HOST = "console.example.test"


def operator(*permissions: str, name: str = "opal", superuser: bool = False) -> Operator:
    """An operator with ``permissions`` (``view_userpool``, ``auth.view_group`` and so on)."""
    found = Operator.objects.create_user(name, password="Operators-own-1", is_staff=True, is_superuser=superuser)
    names = [name if "." in name else f"accounts.{name}" for name in permissions]
    held = [
        Permission.objects.get(content_type__app_label=app, codename=code)
        for app, _, code in (name.partition(".") for name in names)
    ]
    found.user_permissions.set(held)
    return found


def browser(who: Operator | None = None, **extra: Any) -> Client:
    """A browser on the console's host, signed in as ``who``."""
    client = Client(headers={"host": HOST}, **extra)
    if who is not None:
        client.force_login(who)
    return client


def values(client: Client, url: str, **changes: Any) -> dict[str, Any]:
    """Return what a browser would post from the form at ``url``, with ``changes``; None leaves a field out."""
    response = client.get(url)
    assert response.status_code == 200, (url, response.status_code, response.get("Location"))
    forms = [response.context["adminform"].form]
    for inline in response.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    found: dict[str, Any] = {}
    for form in forms:
        for bound in form:
            _fill(found, bound)
    found |= changes
    return {name: value for name, value in found.items() if value is not None}


def _fill(found: dict[str, Any], bound: Any) -> None:
    widget, name, value = bound.field.widget, bound.html_name, bound.value()
    widget = getattr(widget, "widget", widget)  # the wrapper of related fields
    if hasattr(widget, "columns"):
        for number, row in enumerate(widget.get_context(name, value, {})["widget"]["rows"]):
            for column, cell, content in row:
                if not column.checkbox:
                    found[cell] = content or (column.choices[0][0] if column.choices else "")
                elif content:
                    found[cell] = "1"
            assert number < 200
    elif hasattr(widget, "widgets_names"):
        for suffix, part in zip(widget.widgets_names, widget.decompress(value), strict=True):
            found[name + suffix] = "" if part is None else part
    elif getattr(widget, "allow_multiple_selected", False):
        found[name] = [str(getattr(item, "pk", item)) for item in value or []]
    elif getattr(widget, "input_type", "") == "checkbox":
        if value:
            found[name] = "on"
    else:
        found[name] = "" if value is None else value


def errors(response: Any) -> dict[str, list[str]]:
    """Return the errors that a refused form shows, by field; inlines under "inlines"."""
    assert response.status_code == 200, (response.status_code, response.get("Location"))
    found = {name: [str(error) for error in words] for name, words in response.context["adminform"].form.errors.items()}
    inline = [str(e) for one in response.context["inline_admin_formsets"] for e in one.formset.errors if e]
    return found | ({"inlines": inline} if inline else {})
