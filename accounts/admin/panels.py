"""Read-only panels of the console: facts that can be copied, small tables, and what an operator may only look at."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


def facts(values: Mapping[str, str]) -> SafeString:
    """Return ``values`` as a list of names and values, each with a button that copies it."""
    return format_html(
        '<dl class="console-facts">{}</dl>',
        format_html_join(
            "",
            '<div><dt>{}</dt><dd><code>{}</code><button type="button" class="console-copy" data-copy="{}" '
            'aria-label="Copy {}">Copy</button></dd></div>',
            ((name, value, value, name) for name, value in values.items()),
        ),
    )


def table(headers: Iterable[str], rows: Iterable[Iterable[Any]], empty: str = "None.") -> SafeString | str:
    """Return a table, or the words for an empty one. A narrow window scrolls it, by the keyboard as well."""
    headers = list(headers)
    lines = [format_html("<tr>{}</tr>", format_html_join("", "<td>{}</td>", ((cell,) for cell in row))) for row in rows]
    if not lines:
        return empty
    return format_html(
        '<div class="console-scroll" tabindex="0" role="group" aria-label="{}"><table class="console-table">'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>",
        ", ".join(header for header in headers if header),
        format_html_join("", '<th scope="col">{}</th>', ((header,) for header in headers)),
        format_html_join("", "{}", ((line,) for line in lines)),
    )


def whole(value: str) -> SafeString:
    """Return a short value that no line break goes through, such as a date, for a cell."""
    return format_html('<span class="console-whole">{}</span>', value)


def words(values: Iterable[str] | None, empty: str = "None") -> str:
    """Return a list in one line."""
    return ", ".join(str(value) for value in values or []) or empty


def lines(values: Iterable[str]) -> SafeString:
    """Return a list, one a line."""
    return format_html_join("", "<div>{}</div>", ((value,) for value in values)) or SafeString("-")
