"""Documents to rows: every document of a call in one transaction, so that a failed file changes nothing at all.

``prune`` deletes the configuration rows of a pool that its document does not name: app clients, identity providers,
resource servers, groups, domains. Never users, and never the groups that a provider's users join by themselves.
"""

from collections.abc import Iterable
from typing import Any

from django.db import DatabaseError, IntegrityError, transaction

from accounts import directory, opaque
from accounts.models import (
    AppClient,
    AppClientSecret,
    Group,
    IdentityProvider,
    ResourceServer,
    UserPool,
    UserPoolDomain,
)
from accounts.poolfile import users
from accounts.poolfile.client_fields import CLIENT, WIRE_NAMES
from accounts.poolfile.diff import Change, compare
from accounts.poolfile.pool_fields import GROUP, IDENTITY_PROVIDER, POOL, RESOURCE_SERVER
from accounts.poolfile.problems import Problem, Refused
from accounts.poolfile.read import Document, Entry, pool_of, with_lines
from accounts.poolfile.rows import Recorder, check, fill, label
from accounts.provider_details import SECRET_KEYS

# in the order in which they need one another
_MODELS: tuple[tuple[Any, Any, str], ...] = (
    (RESOURCE_SERVER, ResourceServer, "identifier"),
    (IDENTITY_PROVIDER, IdentityProvider, "provider_name"),
    (CLIENT, AppClient, "client_id"),
    (GROUP, Group, "group_name"),
)


class _RollBack(Exception):
    """Undoes a dry run."""


def apply(documents: Iterable[Document], *, actor: str, prune: bool = False, dry_run: bool = False) -> list[Change]:
    """Make the database what ``documents`` say and return the changes; raise Refused, and then nothing was changed.

    A dry run does all the same and takes it back.
    """
    recorder = Recorder(actor)
    try:
        with transaction.atomic():
            for document in documents:
                _apply_one(document, recorder, prune)
            if dry_run:
                raise _RollBack
    except _RollBack:
        pass
    except IntegrityError as error:
        raise Refused.at("", "Somebody else changed these rows at the same time. Run the command again.") from error
    finally:
        directory.forget()
    return recorder.changes


def _apply_one(document: Document, recorder: Recorder, prune: bool) -> None:
    try:
        if prune and not document.has_pool:
            raise Refused.at("UserPool", "--prune needs the whole pool in the file, its UserPool section first.")
        pool = _write_pool(document, recorder)
        _Writer(document, pool, recorder).write(prune)
        users.write(pool, document.lists["Users"], recorder)
    except Refused as refused:
        raise Refused(with_lines(refused.problems, document.line_of)) from refused
    except DatabaseError as error:
        if isinstance(error, IntegrityError):
            raise
        raise Refused.at("", f"The database refused a value: {type(error).__name__}.") from error


def _write_pool(document: Document, recorder: Recorder) -> UserPool:
    entry = document.pool
    pool = pool_of(document)
    if pool is None and not document.has_pool:
        raise Refused.at("UserPool", f"there is no pool {document.pool_id}; give a UserPool section to make it.")
    new = pool is None
    if pool is None:
        pool = UserPool(**({"id": document.pool_id} if document.pool_id else {}))
    fields = fill(pool, entry)
    check(pool, entry)
    if new or fields:
        pool.save(force_insert=new)
        action = "created" if new else "changed"
        recorder.record(action, POOL.singular, label(POOL, pool), pool, fields, pool.pk)
    return pool


class _Writer:
    """The configuration rows of one pool."""

    def __init__(self, document: Document, pool: UserPool, recorder: Recorder) -> None:
        self.document, self.pool, self.recorder = document, pool, recorder

    def write(self, prune: bool) -> None:
        matched = {kind.section: self.match(kind, model, attr) for kind, model, attr in _MODELS}
        if prune:
            self.prune(matched)
        self.domains(prune)
        for kind, model, _ in _MODELS:
            problems: list[Problem] = []
            for entry, row in zip(self.document.lists[kind.section], matched[kind.section], strict=True):
                try:
                    self.write_row(entry, row or model(user_pool=self.pool))
                except Refused as refused:
                    problems += refused.problems
            if problems:  # what follows may need these rows
                raise Refused(problems)

    def match(self, kind: Any, model: Any, attr: str) -> list[Any]:
        """Return the row of each entry, None for a new one. Clients without an id are found by their name."""
        entries = self.document.lists[kind.section]
        rows = list(model.objects.filter(user_pool=self.pool)) if entries else []
        for row in rows:
            row.user_pool = self.pool
        by_key = {getattr(row, attr): row for row in rows}
        found = [by_key.get(entry.key) for entry in entries]
        if kind is CLIENT:
            found = [self.client_by_name(entry, row, rows, found) for entry, row in zip(entries, found, strict=True)]
        return found

    def client_by_name(self, entry: Entry, row: Any, rows: list[Any], taken: list[Any]) -> Any:
        if row or entry.key:
            return row
        name = entry.values.get("ClientName")
        if not name:
            raise Refused.at(entry.path, "ClientId or ClientName is required.")
        alike = [e for e in self.document.lists[CLIENT.section] if not e.key and e.values.get("ClientName") == name]
        same = [one for one in rows if one.name == name and one not in taken]
        if len(alike) > 1 or len(same) > 1:
            raise Refused.at(entry.at("ClientName"), f"several clients are named {name}; give the ClientId.")
        return same[0] if same else None

    def write_row(self, entry: Entry, row: Any) -> None:
        kind, new = entry.kind, row._state.adding
        if kind is IDENTITY_PROVIDER and not new:
            _keep_secrets(entry, row)
        if kind is CLIENT:
            if new and entry.key:
                row.client_id = entry.key
            _prepare_secrets(entry, row)
        fields = fill(row, entry)
        if not new and not fields:
            return
        if kind is CLIENT:
            row.client_type = row.CLIENT_CONFIDENTIAL if kind.by_wire["ClientSecrets"].read(row) else row.CLIENT_PUBLIC
        check(row, entry, WIRE_NAMES if kind is CLIENT else None)
        row.save()
        if kind is CLIENT:
            _store_relations(row)
        action = "created" if new else "changed"
        self.recorder.record(action, kind.singular, label(kind, row), row, fields, self.pool.pk)

    def prune(self, matched: dict[str, list[Any]]) -> None:
        for kind, model, _ in reversed(_MODELS):
            keep = [row.pk for row in matched[kind.section] if row]
            rows = model.objects.filter(user_pool=self.pool).exclude(pk__in=keep)
            if model is Group:
                rows = rows.exclude(group_name__startswith=f"{self.pool.pk}_")
            for row in rows:
                self.delete(kind.singular, label(kind, row), row)

    def delete(self, kind: str, name: str, row: Any) -> None:
        self.recorder.record("deleted", kind, name, row, {}, self.pool.pk)
        row.delete()

    def domains(self, prune: bool) -> None:
        rows = {row.is_custom: row for row in self.pool.domains.all()}
        for wire, is_custom in (("Domain", False), ("CustomDomain", True)):
            row, values = rows.get(is_custom), self.document.pool.values
            wanted = (values.get(wire) or "").lower()
            if wire not in values and not prune:
                continue
            if row and not wanted:
                self.delete("UserPoolDomain", row.domain, row)
            elif wanted and (row is None or row.domain != wanted):
                before = row.domain if row else None
                row = row or UserPoolDomain(user_pool=self.pool, is_custom=is_custom)
                row.domain = wanted
                entry = Entry(POOL, self.document.pool.path)
                check(row, entry, {"domain": wire, "__all__": wire})
                row.save()
                action = "changed" if before else "created"
                fields = compare({wire: before}, {wire: wanted})
                self.recorder.record(action, "UserPoolDomain", wanted, row, fields, self.pool.pk)


def _keep_secrets(entry: Entry, row: IdentityProvider) -> None:
    """A description leaves secrets out (Apple's key; an export without secrets): the stored ones stay."""
    given = entry.values.get("ProviderDetails")
    if given is not None:
        stored: Any = row.provider_details
        missing = {key: stored[key] for key in SECRET_KEYS if key in stored and key not in given}
        entry.values["ProviderDetails"] = given | missing


def _prepare_secrets(entry: Entry, client: AppClient) -> None:
    """GenerateSecret: make one for a client that has none and is given none."""
    if entry.values.get("GenerateSecret") and not entry.values.get("ClientSecrets"):
        entry.values.pop("ClientSecrets", None)
        if client._state.adding or not client.secrets.exists():
            entry.values["ClientSecrets"] = [opaque.random_lower(51)]


def _store_relations(client: Any) -> None:
    """Store the providers and the secrets that were noted on ``client``; a secret that stays keeps its row."""
    wanted = getattr(client, "wanted_providers", None)
    if wanted is not None:
        client.identity_providers.set(wanted)
    secrets = getattr(client, "wanted_secrets", None)
    if secrets is None:
        return
    present: dict[str, AppClientSecret] = {row.secret: row for row in client.secrets.all()}
    for secret, row in present.items():
        if secret not in secrets:
            row.delete()
    free = [slot for slot in AppClientSecret.SLOTS if slot not in {present[s].slot for s in secrets if s in present}]
    for secret in secrets:
        if secret not in present:
            AppClientSecret.objects.create(app_client=client, slot=free.pop(0), secret=secret)
