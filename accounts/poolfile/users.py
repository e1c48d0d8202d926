"""Users from a file, in batches: a fixed number of statements for each batch of new users, not for each user.

Attributes are laid over those that a user has; a blank value clears one. Groups and Identities are whole when they
are given. What belongs to the user is not taken back by an old file:

- a temporary password, and the statuses UNCONFIRMED and FORCE_CHANGE_PASSWORD, are for a user who is still there;
- PasswordHash is for a user who has no password yet; it is imported and never rolled back.

A Password that is not the user's sets it and signs the user out everywhere; the same password changes nothing.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import prefetch_related_objects
from django.utils import timezone

from accounts import linking, registration, rules, sessions
from accounts.models import Group, IdentityProvider, LinkedIdentity, PoolUser, SignInAlias, UserPool
from accounts.poolfile import user_fields
from accounts.poolfile.diff import compare
from accounts.poolfile.problems import Problem, Refused, from_validation, join
from accounts.poolfile.read import Entry
from accounts.poolfile.rows import Recorder, keep_others
from accounts.poolfile.user_claims import check_unique
from accounts.poolfile.user_passwords import INITIAL, set_passwords
from accounts.poolfile.wanted import Wanted

BATCH = 500
R = TypeVar("R")


def write(pool: UserPool, entries: list[Entry], recorder: Recorder) -> None:
    """Create or update the users of ``entries``; raise Refused with every problem of a batch."""
    if not entries:
        return
    batch = Batch(pool, recorder)
    for start in range(0, len(entries), BATCH):
        batch.write(entries[start : start + BATCH])


class Batch:
    """The writer of users, with what all batches of a pool need at hand."""

    def __init__(self, pool: UserPool, recorder: Recorder) -> None:
        self.pool, self.recorder = pool, recorder
        prefetch_related_objects([pool], "identity_providers")  # every new name is held against theirs
        self.groups: dict[str, Group] = {group.group_name: group for group in pool.groups.all()}
        self.providers: dict[str, IdentityProvider] = {one.provider_name: one for one in pool.identity_providers.all()}
        self.problems: list[Problem] = []

    def write(self, entries: list[Entry]) -> None:
        found = self.find(entries)
        wanted = [one for entry in entries if (one := self.lay_over(entry, found))]
        self.problems += set_passwords(self.pool, wanted)
        self.problems += check_unique(self.pool, wanted) if not self.problems else []
        if self.problems:
            raise Refused(self.problems)
        self.create([one for one in wanted if one.is_new])
        for one in wanted:
            if not one.is_new:
                self.update(one)

    def find(self, entries: list[Entry]) -> dict[str, PoolUser]:
        """Return the users that exist by the key of the name that the file gives."""
        keys = [self.pool.username_key(entry.key) for entry in entries]
        rows = PoolUser.objects.filter(user_pool=self.pool).prefetch_related("groups", "identities__provider")
        found = {user.username_key: user for user in rows.filter(username_key__in=keys)}
        if self.pool.username_attributes:
            aliases = dict(SignInAlias.objects.filter(user_pool=self.pool, key__in=keys).values_list("user_id", "key"))
            found |= {aliases[user.pk]: user for user in rows.filter(pk__in=list(aliases))}
        for user in found.values():
            user.user_pool = self.pool
        return found

    def lay_over(self, entry: Entry, found: dict[str, PoolUser]) -> Wanted | None:
        """Return what ``entry`` makes of its user, new or found; None after noting problems."""
        user = found.get(self.pool.username_key(entry.key))
        before = user_fields.wire(user) if user else {}
        count = len(self.problems)
        try:
            user = user or self.new_user(entry)
        except ValidationError as error:
            self.problems += from_validation(error, entry.at("Username"), {}).problems
            return None
        one = Wanted(entry, user, before)
        values = entry.values
        if (sub := values.get("Sub")) and sub != user.sub:
            self.note(entry, "Sub", f"cannot be changed after the user was made; it is {user.sub}.")
        self.attributes(one)
        user.enabled = user.enabled if values.get("Enabled") is None else values["Enabled"]
        one.sign_out = bool(before) and before["Enabled"] and not user.enabled
        status = values.get("UserStatus")
        if status and (one.is_new or status not in INITIAL or user.status in INITIAL):
            user.status = status
        one.groups = self.known(entry, "Groups", self.groups, lambda name: name)
        providers = self.known(entry, "Identities", self.providers, lambda identity: identity["ProviderName"])
        if providers is not None and len(providers) == len(values.get("Identities") or []):
            one.identities = self.links(one, providers)
        keep_others(user, entry)
        return one if len(self.problems) == count else None

    def note(self, entry: Entry, wire: str, message: str) -> None:
        self.problems.append(Problem(entry.at(wire), message))

    def new_user(self, entry: Entry) -> PoolUser:
        sub = entry.values.get("Sub")
        if sub and sub == entry.key:  # the username is the sub, whatever its shape
            return PoolUser(user_pool=self.pool, username=sub, sub=sub)
        # <ProviderName>_<subject>, and a subject may be an address; Cognito prints google_ for Google
        if self.pool.username_key(entry.key.partition("_")[0]) in map(self.pool.username_key, self.providers):
            return PoolUser(user_pool=self.pool, username=entry.key, **({"sub": sub} if sub else {}))
        return self.registered(entry)

    def registered(self, entry: Entry) -> PoolUser:
        """Return a new user whose name obeys the rules of a registration."""
        sub = entry.values.get("Sub")
        user = registration.new_user(self.pool, entry.key)
        if sub:
            user.username = sub if user.username == user.sub else user.username
            user.sub = sub
        return user

    def attributes(self, one: Wanted) -> None:
        given, user, schema = one.entry.values.get("Attributes") or {}, one.user, self.pool.schema
        try:
            schema.check(given)
        except ValidationError as error:
            self.problems += from_validation(error, one.entry.at("Attributes"), {}, ("__all__",)).problems
            return
        for name, value in given.items():
            if not one.is_new and not schema.attributes[name].mutable and user.attributes.get(name, "") != value:
                self.note(one.entry, "Attributes", f"{name} is not mutable.")
        user.attributes = {name: value for name, value in (user.attributes | given).items() if value}
        missing = [name for name in schema.required if name != "sub" and not user.attributes.get(name)]
        if missing:
            self.note(one.entry, "Attributes", f"required by the pool's schema: {', '.join(missing)}.")

    def known(self, entry: Entry, wire: str, rows: dict[str, R], name_of: Callable[[Any], str]) -> list[R] | None:
        """Return the row of each name in a list, or None when the list is not given."""
        if wire not in entry.values:
            return None
        found = []
        for number, item in enumerate(entry.values[wire] or []):
            if row := rows.get(name_of(item)):
                found.append(row)
            else:
                path = join(entry.at(wire), number)
                self.problems.append(Problem(path, f"{name_of(item)!r} is not one of {_names(rows)}."))
        return found

    def links(self, one: Wanted, providers: list[IdentityProvider]) -> list[LinkedIdentity]:
        """Return a link for each identity, those that exist as they are but for what the file changes."""
        linked = [] if one.is_new else one.user.identities.all()
        present = {(link.provider_id, link.claim, link.subject): link for link in linked}
        # a link by a claim that was pinned to its subject since the file was written is that link still
        pinned = {(link.provider_id, link.pinned_from): link for link in linked if link.pinned_from}
        found = []
        for provider, identity in zip(providers, one.entry.values["Identities"] or [], strict=True):
            claim, subject = identity.get("ProviderAttributeName") or "", identity["UserId"]
            if claim in linking.SUBJECT_NAMES:
                claim = ""
            if claim and (identity.get("Primary") or provider.provider_type in rules.SOCIAL):
                self.note(one.entry, "Identities", f"{subject}: ProviderAttributeName must be Cognito_Subject here.")
            link = present.get((provider.pk, claim, subject))
            link = link or pinned.get((provider.pk, linking.waiting_name(claim, subject)))
            link = link or LinkedIdentity(user=one.user, provider=provider, claim=claim, subject=subject)
            link.issuer = identity.get("Issuer") or link.issuer
            link.primary = link.primary if identity.get("Primary") is None else identity["Primary"]
            created = identity.get("DateCreated")
            if created is not None and (link.pk is None or int(link.date_created.timestamp() * 1000) != created):
                link.date_created = datetime.fromtimestamp(created / 1000, UTC)
            elif link.pk is None:
                link.date_created = timezone.now()
            found.append(link)
        return found

    def create(self, wanted: list[Wanted]) -> None:
        self.store(wanted)
        for one in wanted:
            fields = compare({}, _after(one))
            self.recorder.record("created", "User", one.user.username, one.user, fields, self.pool.pk)

    def store(self, wanted: list[Wanted]) -> None:
        """Insert new users and what belongs to them, by a few statements for all."""
        users = [one.user for one in wanted]
        PoolUser.objects.bulk_create(users)
        SignInAlias.objects.bulk_create(
            SignInAlias(user_pool=self.pool, user=user, attribute=name, key=key)
            for user in users
            for name, key in SignInAlias.wanted(user).items()
        )
        through = PoolUser.groups.through
        through.objects.bulk_create(
            through(pooluser_id=one.user.pk, group_id=group.pk) for one in wanted for group in one.groups or []
        )
        _store_links([link for one in wanted for link in one.identities or []])

    def update(self, one: Wanted) -> None:
        fields = compare(one.before, _after(one))
        if one.password is not None:
            fields = fields | {"Password": ["(a secret)", "(another secret)"]}
            fields.pop("PasswordHash", None)
        if not fields:
            return
        user = one.user
        user.save()
        if one.groups is not None:
            user.groups.set(one.groups)
        if one.identities is not None:
            user.identities.exclude(pk__in=[link.pk for link in one.identities if link.pk]).delete()
            _store_links(one.identities)
        if one.sign_out:
            sessions.end_all(user)
        self.recorder.record("changed", "User", user.username, user, fields, self.pool.pk)


def _after(one: Wanted) -> dict[str, Any]:
    """Return what the user will be on the wire: groups and identities are not stored yet."""
    found = user_fields.wire(one.user) if not one.is_new else user_fields.wire_of_row(one.user)
    if one.groups is not None:
        found["Groups"] = sorted(group.group_name for group in one.groups)
    if one.identities is not None:
        found["Identities"] = [user_fields.identity_wire(link) for link in one.identities]
        if sorted(map(str, found["Identities"])) == sorted(map(str, one.before.get("Identities", []))):
            found["Identities"] = one.before.get("Identities", [])
    return found


def _store_links(links: list[LinkedIdentity]) -> None:
    new, dates = [link for link in links if not link.pk], [link.date_created for link in links]
    LinkedIdentity.objects.bulk_create(new)
    for link, date in zip(links, dates, strict=True):
        link.date_created = date  # which the insertion set to now
    LinkedIdentity.objects.bulk_update(links, ["issuer", "primary", "date_created"], batch_size=BATCH)


def _names(rows: Iterable[str]) -> str:
    return ", ".join(list(rows)[:20]) or "none: the pool has none"
