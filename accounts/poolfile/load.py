"""Text to plain data: YAML 1.1 or JSON (RFC 8259), nothing but maps, lists, strings, numbers, booleans and null.

Refused, each with its line: keys given twice, aliases (a few of them can name a thousand million values), tags,
numbers that are not finite, and characters that no column can hold. What looks like a date stays a string.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from accounts.poolfile.problems import Refused, join

MAX_BYTES = 64 * 1024 * 1024
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """The safe loader, for which a date is a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":merge", ":value"))]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """One document, and where in the file its values stand (None where that is not known)."""

    data: Any
    line_of: Callable[[str], int | None]


def load(text: bytes) -> list[Loaded]:
    """Return the documents of a file; raise Refused. JSON is told by its first character."""
    if len(text) > MAX_BYTES:
        raise Refused.at("", f"The file is larger than {MAX_BYTES // 1024 // 1024} MiB. Split it: users may follow.")
    try:
        content = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused.at("", f"The file is not UTF-8 (byte {error.start}).") from error
    try:
        if content.lstrip()[:1] in ("{", "["):
            return [_json(content)]
        return _yaml(content)
    except RecursionError as error:
        raise Refused.at("", "The file is nested too deeply.") from error


def _pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) != len(items):
        keys = [key for key, _ in items]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Refused.at("", f"The key {twice!r} is given twice in one object.")
    return found


def _json(content: str) -> Loaded:
    try:
        data = DECODER.decode(content)
    except json.JSONDecodeError as error:
        raise Refused.at("", f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}.") from error
    except ValueError as error:
        raise Refused.at("", f"not JSON: {error}.") from error
    check_values(data, "")
    return Loaded(data, lambda path: None)


def _not_finite(name: str) -> Any:
    raise Refused.at("", f"{name} is not a number that JSON has.")


DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_not_finite)
"""Reads JSON without keys given twice and without NaN; raises Refused for those."""


def check_values(value: Any, path: str) -> None:
    """Raise Refused for a value that no column can hold."""
    if isinstance(value, dict):
        for key, inner in value.items():
            check_values(key, path)
            check_values(inner, join(path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            check_values(inner, join(path, number))
    elif isinstance(value, str) and _UNSTORABLE.search(value):
        raise Refused.at(path, "NUL and lone surrogates cannot be stored.")
    elif isinstance(value, float) and not math.isfinite(value):
        raise Refused.at(path, "The number is out of range.")


def _yaml(content: str) -> list[Loaded]:
    try:
        loader = _Loader(content)
        found = []
        while loader.check_node():
            node = loader.get_node()
            found.append(Loaded(_construct(loader, node, set(), ""), _lines(node)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise Refused.at("", f"{where}not YAML: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise Refused.at("", f"not YAML: {' '.join(str(error).split())}.") from error
    return [document for document in found if document.data is not None]


def _construct(loader: Any, node: yaml.Node, seen: set[int], path: str) -> Any:
    """Return the value of ``node``. PyYAML's own constructor would resolve tags and aliases, and keep the last key."""
    line = node.start_mark.line + 1
    if id(node) in seen:
        raise Refused.at(path, f"line {line}: aliases are refused; write the value out.")
    if isinstance(node, yaml.ScalarNode):
        if node.value:  # an empty scalar may be shared
            seen.add(id(node))
        return _scalar(loader, node, path, line)
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return [_construct(loader, inner, seen, join(path, number)) for number, inner in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode) or node.tag != "tag:yaml.org,2002:map":
        raise Refused.at(path, f"line {line}: the tag {node.tag} is refused.")
    found: dict[str, Any] = {}
    for key_node, inner in node.value:
        key = _construct(loader, key_node, seen, path)
        if not isinstance(key, str):
            raise Refused.at(path, f"line {key_node.start_mark.line + 1}: keys are strings; put {key!r} in quotes.")
        if key in found:
            raise Refused.at(path, f"line {key_node.start_mark.line + 1}: the key {key!r} is given twice.")
        found[key] = _construct(loader, inner, seen, join(path, key))
    return found


def _scalar(loader: Any, node: yaml.ScalarNode, path: str, line: int) -> Any:
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind == "str":
        value: Any = node.value
    elif kind in ("int", "float", "bool", "null"):
        try:
            value = getattr(loader, f"construct_yaml_{kind}")(node)
        except (ValueError, KeyError, OverflowError) as error:
            raise Refused.at(path, f"line {line}: not a value of type {kind}.") from error
    else:
        raise Refused.at(path, f"line {line}: the tag {node.tag} is refused.")
    check_values(value, path)
    return value


def _lines(root: yaml.Node) -> Callable[[str], int | None]:
    """Return a function that finds the line of a path, or of the nearest thing around it."""

    def line_of(path: str) -> int | None:
        node: yaml.Node = root
        for number, key in _STEP.findall(path):
            inner = None
            if isinstance(node, yaml.SequenceNode) and number and int(number) < len(node.value):
                inner = node.value[int(number)]
            elif isinstance(node, yaml.MappingNode):
                inner = next((value for name, value in node.value if name.value == key), None)
            if inner is None:
                break
            node = inner
        return int(node.start_mark.line) + 1

    return line_of
