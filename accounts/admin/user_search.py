"""Finding users: by username, sub, and every attribute, custom ones included.

``name=value`` looks for an attribute with exactly this value (``custom:tier=gold``); any other word is looked for in
the username, the sub and the values of all attributes. Several words must all be found. Without an index on
attributes this reads the users of the list one after another, so choose a pool first where there are millions.
"""

import re
from typing import Any

from django.db.models import BooleanField, Func, Q, QuerySet, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.utils.text import smart_split, unescape_string_literal

ATTRIBUTE = re.compile(r"(?P<name>(?:custom:|dev:)?[A-Za-z0-9_.-]{1,40})=(?P<value>.*)", re.S)
MAX_TEXT = 300
MAX_WORDS = 8


class AnyValueContains(Func):
    """Whether a value of a JSON map contains a text, whatever the case."""

    output_field = BooleanField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "EXISTS (SELECT 1 FROM jsonb_each_text({}) AS pair WHERE pair.value ILIKE {})"
        return self._compiled(compiler, template)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "EXISTS (SELECT 1 FROM json_each({}) AS pair WHERE pair.value LIKE {} ESCAPE '\\')"
        return self._compiled(compiler, template)

    def _compiled(self, compiler: Any, template: str) -> Any:
        parts = [compiler.compile(expression) for expression in self.get_source_expressions()]
        texts, params = zip(*parts, strict=True)
        return template.format(*texts), [value for values in params for value in values]


def words_of(text: str) -> list[str]:
    """Return the words of what an operator typed; quotation marks keep words together."""
    found = []
    for word in smart_split(text.replace("\x00", "")[:MAX_TEXT]):
        if len(word) > 1 and word[0] in "\"'" and word[0] == word[-1]:
            word = unescape_string_literal(word)
        found.append(word)
    return found[:MAX_WORDS]


def search(users: QuerySet[Any], typed: str) -> QuerySet[Any]:
    """Return the users among ``users`` whom ``typed`` describes."""
    for number, word in enumerate(words_of(typed)):
        match = ATTRIBUTE.fullmatch(word)
        if match is None:
            pattern = "%" + re.sub(r"([\\%_])", r"\\\1", word) + "%"
            users = users.filter(
                Q(username__icontains=word) | Q(sub=word) | Q(AnyValueContains("attributes", Value(pattern)))
            )
            continue
        name, value = match["name"], match["value"].strip("\"'")
        match name:
            case "username":
                users = users.filter(username_key__in={value, value.casefold()})
            case "sub":
                users = users.filter(sub=value)
            case _:
                alias = f"searched_{number}"
                users = users.alias(**{alias: Cast(KeyTextTransform(name, "attributes"), TextField())}).filter(
                    **{alias: value}
                )
    return users
