"""Read-only panels of the console: facts that can be copied, small tables, and what an operator may only look at."""

import textwrap
from collections.abc import Container, Iterable, Mapping
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


def facts(values: Mapping[str, str], of: str = "", links: Container[str] = ()) -> SafeString:
    """Return ``values`` as a list of names and values, each with a button that copies it.

    ``of`` tells apart, for who hears the buttons, two lists with the same names; what ``links`` names can be opened.
    """
    return format_html(
        '<dl class="console-facts">{}</dl>',
        format_html_join(
            "",
            '<div><dt>{}</dt><dd><code>{}</code><button type="button" class="console-copy" data-copy="{}" '
            'aria-label="Copy {}">Copy</button></dd></div>',
            (
                (name, _link(value) if name in links else value, value, f"{name} of {of}" if of else name)
                for name, value in values.items()
            ),
        ),
    )


def _link(address: str) -> SafeString:
    return format_html('<a class="text-link" href="{}">{}</a>', address, address)


def document(name: str, text: str, *, folded: bool = False) -> SafeString:
    """Return a long text as it is, with a button that copies it; it scrolls within its own bounds."""
    shown = format_html('<pre tabindex="0" role="group" aria-label="{}">{}</pre>', name, text)
    if folded:
        shown = format_html('<details><summary aria-label="Show {}">Show</summary>{}</details>', name, shown)
    return format_html(
        '<div class="console-document"><p><span>{}</span><button type="button" class="console-copy" data-copy="{}" '
        'aria-label="Copy {}">Copy</button></p>{}</div>',
        name, text, name, shown,
    )  # fmt: skip


def pem(certificate: str) -> str:
    """Return a certificate, base64 of its DER, as a PEM file has it (RFC 7468)."""
    return "\n".join(["-----BEGIN CERTIFICATE-----", *textwrap.wrap(certificate, 64), "-----END CERTIFICATE-----\n"])


def verdict(kind: str, label: str) -> SafeString:
    """Return a label; ``kind`` (good, note, bad) only colours it."""
    return format_html('<span class="console-is-{}"><span class="console-verdict">{}</span></span>', kind, label)


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


def breaking(value: str) -> SafeString:
    """Return a value without words, such as an address or a fingerprint, for a cell: it breaks anywhere."""
    return format_html('<span class="console-breaking">{}</span>', value)


def words(values: Iterable[str] | None, empty: str = "None") -> str:
    """Return a list in one line."""
    return ", ".join(str(value) for value in values or []) or empty


def lines(values: Iterable[str]) -> SafeString:
    """Return a list, one a line."""
    return format_html_join("", "<div>{}</div>", ((value,) for value in values)) or SafeString("-")
