"""Form fields for what the models keep as JSON: lists by line, checkboxes, durations with a unit, rows of a table.

They work without JavaScript; with it, rows can be added.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    CHECKBOX_CLASSES,
    INPUT_CLASSES,
    SELECT_CLASSES,
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

MAX_ROWS = 200
SPARE_ROWS = 2


class LinesField(forms.Field):
    """A list of words, one a line."""

    widget = UnfoldAdminTextareaWidget

    def __init__(self, *, rows: int = 4, **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        super().__init__(**kwargs)
        self.widget.attrs["rows"] = rows

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(str(item) for item in value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return list(value)
        text = str(value or "")
        if "\x00" in text:
            raise ValidationError("Null characters are not allowed.")
        return [line.strip() for line in text.splitlines() if line.strip()]


class TextLinesField(LinesField):
    """The same for a model field that keeps the lines as one text."""

    def to_python(self, value: Any) -> str:
        return "\n".join(super().to_python(value))


class CheckboxesField(forms.MultipleChoiceField):
    """A list of known words as checkboxes."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        super().__init__(**kwargs)


class ValidityWidget(forms.MultiWidget):
    """A number and its unit side by side."""

    template_name = "console/widgets/validity.html"

    def __init__(self, units: Iterable[str]) -> None:
        self.units = tuple(units)
        super().__init__(
            {
                "number": UnfoldAdminIntegerFieldWidget({"min": 1}),
                "unit": UnfoldAdminSelectWidget(choices=[(unit, unit) for unit in self.units]),
            }
        )

    def decompress(self, value: timedelta | None) -> list[Any]:
        if value is None:
            return [None, self.units[0]]
        for unit in sorted(self.units, key=lambda unit: -timedelta(**{unit: 1}).total_seconds()):
            if value % timedelta(**{unit: 1}) == timedelta():
                return [value // timedelta(**{unit: 1}), unit]
        return [value.total_seconds(), self.units[0]]


class ValidityField(forms.MultiValueField):
    """A time as a number and a unit of Cognito's TokenValidityUnits."""

    def __init__(self, *, units: Iterable[str] = ("minutes", "hours", "days", "seconds"), **kwargs: Any) -> None:
        units = tuple(units)
        fields = (
            forms.IntegerField(min_value=1, max_value=999_999_999),
            forms.ChoiceField(choices=[(unit, unit) for unit in units]),
        )
        kwargs.setdefault("help_text", "A number and its unit.")
        super().__init__(fields, widget=ValidityWidget(units), **kwargs)

    def compress(self, values: list[Any]) -> timedelta | None:
        if len(values) != 2 or not all(values):
            return None
        try:
            return timedelta(**{values[1]: values[0]})
        except OverflowError:
            raise ValidationError("This is too long.") from None


@dataclass(frozen=True)
class Column:
    """A column of a table of rows. Without ``choices`` it is text; ``checkbox`` makes it a tick."""

    name: str
    label: str
    choices: tuple[tuple[str, str], ...] = ()
    checkbox: bool = False
    checked: bool = False
    placeholder: str = ""
    suggestions: tuple[str, ...] = ()


class RowsWidget(forms.Widget):
    """A table with a row for each entry and some to spare."""

    template_name = "console/widgets/rows.html"

    class Media:
        js = ("console/rows.js",)

    def __init__(self, columns: Iterable[Column], attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.columns = tuple(columns)

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        entries: list[Mapping[str, Any]] = list(value or [])
        entries += [{column.name: column.checked for column in self.columns if column.checkbox}] * SPARE_ROWS
        context["widget"] |= {
            "columns": self.columns,
            "rows": [
                [(column, f"{name}-{number}-{column.name}", entry.get(column.name, "")) for column in self.columns]
                for number, entry in enumerate(entries)
            ],
            "input_classes": " ".join(INPUT_CLASSES),
            "select_classes": " ".join(SELECT_CLASSES),
            "checkbox_classes": " ".join(CHECKBOX_CLASSES),
        }
        return context

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[dict[str, Any]]:
        found = []
        for number in range(MAX_ROWS):
            keys = {column.name: f"{name}-{number}-{column.name}" for column in self.columns}
            if keys[self.columns[0].name] not in data:
                break
            row: dict[str, Any] = {}
            for column in self.columns:
                value = data.get(keys[column.name], "")
                row[column.name] = bool(value) if column.checkbox else str(value).strip()
            found.append(row)
        # a row counts when something was typed in it
        typed = [column.name for column in self.columns if not column.checkbox and not column.choices]
        return [row for row in found if any(row[column] for column in typed)]

    def value_omitted_from_datadict(self, data: Any, files: Any, name: str) -> bool:
        return False

    def id_for_label(self, id_: str) -> str:
        return ""


class RowsField(forms.Field):
    """A list of maps, edited as a table. What the cells mean is for the form to check."""

    def __init__(self, columns: Iterable[Column], **kwargs: Any) -> None:
        self.columns = tuple(columns)
        kwargs.setdefault("required", False)
        super().__init__(widget=RowsWidget(self.columns), **kwargs)

    def clean(self, value: Any) -> list[dict[str, Any]]:
        for row in value or []:
            for column in self.columns:
                cell = row.get(column.name, "")
                if isinstance(cell, str) and "\x00" in cell:
                    raise ValidationError("Null characters are not allowed.")
                if column.choices and cell not in dict(column.choices):
                    raise ValidationError(f"{column.label}: {cell!r} is not one of the choices.")
        cleaned: list[dict[str, Any]] = super().clean(value) or []
        return cleaned

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != list(data or [])
