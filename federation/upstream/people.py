"""What Google's People API says of a person, as claims: https://developers.google.com/people/api/rest/v1/people

It has lists of entries where an ID token has values. The entry that is marked as the primary one counts; one of each
list is, unless the list is empty.
"""

from collections.abc import Iterable, Mapping
from typing import Any

# what ``personFields`` may ask for; for any other name the call is refused as a whole
FIELDS = frozenset(
    {
        "addresses", "ageRanges", "biographies", "birthdays", "calendarUrls", "clientData", "coverPhotos",
        "emailAddresses", "events", "externalIds", "genders", "imClients", "interests", "locales", "locations",
        "memberships", "metadata", "miscKeywords", "names", "nicknames", "occupations", "organizations",
        "phoneNumbers", "photos", "relations", "sipAddresses", "skills", "urls", "userDefined",
    }
)  # fmt: skip
# where an entry has its value. A phone number's canonical form is E.164, as the attribute has to be; its value is free
VALUES = ("canonicalForm", "value", "displayName", "formattedValue", "url", "name", "ageRange", "username", "person")


def claims(person: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Return one value for each of ``fields`` that ``person`` has."""
    found = {field: _primary(person.get(field)) for field in fields}
    return {field: value for field, value in found.items() if value is not None}


def _primary(entries: Any) -> Any:
    found = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    primary = [e for e in found if isinstance(e.get("metadata"), dict) and e["metadata"].get("primary")]
    return _value((primary or found)[0]) if found else None


def _value(entry: Mapping[str, Any]) -> Any:
    if "date" in entry or "text" in entry:  # a birthday; its text is whatever somebody typed
        return _date(entry.get("date")) or entry.get("text")
    for name in VALUES:
        if isinstance(entry.get(name), str):
            return entry[name]
    return {name: value for name, value in entry.items() if name != "metadata"}


def _date(date: Any) -> str:
    """Return a whole date. Without its year it is one of the year 0000 (OpenID Connect Core 5.1, birthdate)."""
    parts = [date.get(part, 0) for part in ("year", "month", "day")] if isinstance(date, dict) else []
    if not parts or not all(isinstance(part, int) for part in parts) or not parts[1] or not parts[2]:
        return ""
    return f"{parts[0]:04}-{parts[1]:02}-{parts[2]:02}"
