"""Plain data to checked documents. Every problem of a file is found and told at once, each with its path.

A document has one pool. What ``describe-*`` prints is taken as it is: an entry of a list may be wrapped in its
singular name, a single object may stand at the top level, and what is read-only is ignored. An object that names
another pool is refused. Fields that nobody knows are kept and reported, but not names of sections: ``Clients:`` for
``UserPoolClients:`` would otherwise pass for a pool without clients.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from accounts.models import UserPool
from accounts.poolfile import user_fields
from accounts.poolfile.client_fields import CLIENT
from accounts.poolfile.fields import Kind
from accounts.poolfile.load import Loaded, load
from accounts.poolfile.pool_fields import GROUP, IDENTITY_PROVIDER, POOL, RESOURCE_SERVER
from accounts.poolfile.problems import Problem, Refused, join
from accounts.poolfile.user_fields import USER

LISTS: tuple[Kind, ...] = (RESOURCE_SERVER, IDENTITY_PROVIDER, CLIENT, GROUP, USER)
# answers of other operations that belong to the pool as a whole: kept with it
KEPT_SECTIONS = ("MfaConfig",)
SECTIONS = ("UserPool", "Domains", *KEPT_SECTIONS, *(kind.section for kind in LISTS))


# kept fields whose loss makes a pool weaker than its owner thinks, unless they are off
WEAKER = {
    "MfaConfiguration": "users sign in without a second factor.",
    "LambdaConfig": "no trigger runs; what it refused is let in, what it added to tokens is not there.",
    "UserPoolAddOns": "no threat protection watches the sign-ins.",
}
HARMLESS: tuple[Any, ...] = (None, "OFF", {}, {"AdvancedSecurityMode": "OFF"})


@dataclass
class Entry:
    """An object of a file: ``values`` by wire name, checked; ``other`` is kept and not acted upon."""

    kind: Kind
    path: str
    values: dict[str, Any] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return str(self.values.get(self.kind.key) or "")

    def at(self, wire: str) -> str:
        """Return the path of one of the fields."""
        return join(self.path, wire)


@dataclass
class Document:
    """A checked document: one pool, and lists of what belongs to it."""

    pool: Entry
    has_pool: bool
    lists: dict[str, list[Entry]]
    kept: list[str]
    weaker: list[str]
    """What a kept field promises in Cognito and nothing keeps here, in words."""
    line_of: Callable[[str], int | None] = lambda path: None

    @property
    def pool_id(self) -> str:
        return self.pool.key


def read(text: bytes) -> list[Document]:
    """Return the documents in ``text``; raise Refused with every problem."""
    loaded = load(text)
    if not loaded:
        raise Refused.at("", "The file is empty.")
    documents, problems = [], []
    for one in loaded:
        try:
            documents.append(_Reader(one).document())
        except Refused as refused:
            problems += with_lines(refused.problems, one.line_of)
    if problems:
        raise Refused(problems)
    return documents


def read_user(data: Any, path: str) -> tuple[Entry, list[Problem]]:
    """Return one UserType as an entry that stands at ``path``, and what is wrong with it."""
    reader = _Reader(Loaded(data, lambda path: None))
    return reader.entry(USER, data, path), reader.problems


def with_lines(problems: list[Problem], line_of: Callable[[str], int | None]) -> list[Problem]:
    """Return ``problems`` with the line in each message that has one."""
    found = []
    for problem in problems:
        line = line_of(problem.path) if problem.path else None
        found.append(Problem(problem.path, f"{problem.message} (line {line})") if line else problem)
    return found


class _Reader:
    def __init__(self, loaded: Loaded) -> None:
        self.data, self.line_of = loaded.data, loaded.line_of
        self.problems: list[Problem] = []
        self.kept: list[str] = []
        self.weaker: list[str] = []
        self.pool_ids: dict[str, str] = {}

    def document(self) -> Document:
        if not isinstance(self.data, dict):
            raise Refused.at("", f"A pool is a map with {', '.join(SECTIONS)}.")
        singular = {kind.singular: kind for kind in LISTS}
        for name in self.data:
            if name not in SECTIONS and name not in singular:
                self.problems.append(Problem(name, f"is not a section. Known: {', '.join(SECTIONS)}."))
        given = self.data.get("UserPool")
        pool = self.entry(POOL, {} if given is None else given, "UserPool")
        for name in KEPT_SECTIONS:
            if self.data.get(name) is not None:
                pool.other[name] = self.data[name]
                self.kept.append(name)
        self.domains(pool)
        lists = {kind.section: self.list_of(kind) for kind in LISTS}
        self.find_pool_id(pool)
        if self.problems:
            raise Refused(self.problems)
        return Document(pool, given is not None, lists, self.kept, self.weaker, self.line_of)

    def list_of(self, kind: Kind) -> list[Entry]:
        entries = self.data.get(kind.section)
        if entries is None:
            entries = []
        if not isinstance(entries, list):
            self.problems.append(Problem(kind.section, "must be a list."))
            return []
        found = [self.wrapped(kind, entry, join(kind.section, number)) for number, entry in enumerate(entries)]
        if kind.singular in self.data:
            found.append(self.entry(kind, self.data[kind.singular], kind.singular))
        seen: set[str] = set()
        for entry in found:
            if entry.key and entry.key in seen:
                self.problems.append(Problem(entry.at(kind.key), f"{entry.key} is listed twice."))
            seen.add(entry.key)
        return found

    def wrapped(self, kind: Kind, data: Any, path: str) -> Entry:
        if isinstance(data, dict) and list(data) == [kind.singular]:
            return self.entry(kind, data[kind.singular], join(path, kind.singular))
        return self.entry(kind, data, path)

    def entry(self, kind: Kind, data: Any, path: str) -> Entry:
        """Return the object at ``path`` with its values checked, noting problems and what is only kept."""
        entry = Entry(kind, path)
        if not isinstance(data, dict):
            self.problems.append(Problem(path, "must be a map."))
            return entry
        before = len(self.problems)
        for name, value in data.items():
            where = join(path, name)
            if name in kind.read_only:
                if name == "UserPoolId" and isinstance(value, str):
                    self.pool_ids[where] = value
                continue
            known = kind.by_wire.get(name)
            if known and value is not None:
                self.problems.extend(known.type.problems(value, where))
            if known is None or known.kept:
                entry.other[name] = value
                self.kept.append(where)
                if name in WEAKER and value not in HARMLESS:
                    self.weaker.append(f"{where}: {WEAKER[name]}")
            elif known.wire in entry.values:
                self.problems.append(Problem(where, f"{known.wire} and {known.also} are the same field; give one."))
            else:
                entry.values[known.wire] = value
        for one in kind.fields:
            if one.required and one.wire in data and data[one.wire] is None:
                self.problems.append(Problem(join(path, one.wire), "is required."))
        if kind.section != CLIENT.section and kind is not POOL and kind.key not in data:
            self.problems.append(Problem(join(path, kind.key), "is required."))
        if len(self.problems) == before:
            self.normalise(entry)
        return entry

    def normalise(self, entry: Entry) -> None:
        values = entry.values
        if entry.kind is USER:
            self.problems.extend(user_fields.normalise(values, entry.path))
        elif entry.kind is CLIENT and {"ClientSecret", "ClientSecrets"} & set(values):
            given = [values.pop("ClientSecret", None), *(values.get("ClientSecrets") or [])]
            values["ClientSecrets"] = list(dict.fromkeys(secret for secret in given if secret))
            if len(values["ClientSecrets"]) > 2:
                self.problems.append(Problem(entry.at("ClientSecrets"), "a client has at most two secrets."))
        elif entry.kind is POOL:
            nested = values.get("Policies") or {}
            self.kept += [join(entry.at("Policies"), name) for name in nested if name != "PasswordPolicy"]

    def domains(self, pool: Entry) -> None:
        """Take what DescribeUserPoolDomain prints for Domain and CustomDomain."""
        entries = self.data.get("Domains") or []
        if not isinstance(entries, list):
            self.problems.append(Problem("Domains", "must be a list."))
            return
        for number, entry in enumerate(entries):
            path = join("Domains", number)
            entry = entry.get("DomainDescription", entry) if isinstance(entry, dict) else entry
            domain = entry.get("Domain") if isinstance(entry, dict) else None
            if not isinstance(domain, str) or not domain:
                self.problems.append(Problem(join(path, "Domain"), "is required, a string."))
                continue
            if isinstance(entry.get("UserPoolId"), str):
                self.pool_ids[join(path, "UserPoolId")] = entry["UserPoolId"]
            field = "CustomDomain" if "." in domain else "Domain"
            if pool.values.setdefault(field, domain) != domain:
                self.problems.append(Problem(join(path, "Domain"), f"UserPool.{field} is another."))

    def find_pool_id(self, pool: Entry) -> None:
        """Hold every UserPoolId against the pool's own; without one, take theirs."""
        own = pool.values.get("Id") or next(iter(self.pool_ids.values()), None)
        for path, name in self.pool_ids.items():
            if name != own:
                self.problems.append(Problem(path, f"{name} is not this file's pool, {own}."))
        if own and "Id" not in pool.values:
            self.problems.extend(POOL.by_wire["Id"].type.problems(own, "UserPool.Id"))
            pool.values["Id"] = own


def pool_of(document: Document) -> UserPool | None:
    """Return the pool that ``document`` is about: by Id, else by Name when one pool has it; None for a new one."""
    if document.pool_id:
        return UserPool.objects.select_for_update().filter(pk=document.pool_id).first()
    name = document.pool.values.get("Name")
    if not name:
        raise Refused.at("UserPool", "Id or Name is required.")
    found = list(UserPool.objects.select_for_update().filter(name=name).order_by("pk"))
    if len(found) > 1:
        ids = ", ".join(pool.pk for pool in found)
        raise Refused.at("UserPool.Name", f"several pools have this name ({ids}); give the Id.")
    return found[0] if found else None
