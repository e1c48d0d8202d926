"""What becomes of the rows of one part: imported, skipped because the user exists, or refused with the reason.

The rules are those of a pool file (accounts/poolfile/users.py), which are those of a registration, asked a row at a
time: a bad row takes nobody with it. Two things a file of users does not get that a pool file does: to change users,
and to make a user by a name that belongs to a provider without saying which identity that is.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, transaction

from accounts.models import PoolUser, UserPool
from accounts.models.users import UserStatus
from accounts.poolfile.load import check_values
from accounts.poolfile.problems import Problem, Refused
from accounts.poolfile.read import Entry, read_user
from accounts.poolfile.rows import Recorder
from accounts.poolfile.user_claims import check_unique
from accounts.poolfile.user_passwords import in_threads, set_passwords
from accounts.poolfile.users import Batch
from accounts.poolfile.wanted import Wanted
from accounts.userimport.rows import Row

EXISTS = "A user of this name exists already."
RACE = "Somebody else took the name or the address meanwhile, or a value cannot be stored."
MAX_REASON = 300
_PATH = re.compile(r"\w+ (\d+)(?:\.(.+))?")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a row was not imported."""

    line: int
    username: str
    reason: str
    skipped: bool = False


@dataclass
class Outcome:
    """What became of some rows."""

    imported: int = 0
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def skipped(self) -> int:
        return sum(verdict.skipped for verdict in self.verdicts)

    @property
    def failed(self) -> int:
        return len(self.verdicts) - self.skipped


class Rows(Batch):
    """The rows of one part on their way into ``pool``: ``prepare``, then ``judge``, or ``import_`` in a transaction.

    What was refused is in ``outcome``; ``word`` is what a row is called there, a line or a user.
    """

    def __init__(self, pool: UserPool, word: str) -> None:
        super().__init__(pool, Recorder(""))
        self.word = word
        self.outcome = Outcome()
        self.lines: dict[int, Entry] = {}

    def prepare(self, rows: Iterable[Row], *, hashing: bool = True) -> list[Entry]:
        """Return what can be read of ``rows``, passwords hashed: what takes long, and needs no transaction."""
        entries = [entry for row in rows if (entry := self._read(row))]
        known = self.find(entries)
        given = [one for one in entries if one.values.get("Password") and self.pool.username_key(one.key) not in known]
        fit = [entry for entry in given if self._fits_policy(entry)]
        refused = {entry.path for entry in given} - {entry.path for entry in fit}
        texts = [entry.values.pop("Password") for entry in fit]
        if hashing:
            for entry, hashed in zip(fit, in_threads(make_password, texts), strict=True):
                entry.values["PasswordHash"] = hashed
        return [entry for entry in entries if entry.path not in refused]

    def judge(self, entries: list[Entry]) -> list[Wanted]:
        """Return the users that ``entries`` make; nothing is written."""
        wanted = []
        for entry in self._new(entries):
            count = len(self.problems)
            if one := self.lay_over(entry, {}):
                wanted.append(one)
            self._refuse(self.problems[count:])
        refused = self._refuse(set_passwords(self.pool, wanted))
        wanted = [one for one in wanted if one.entry.path not in refused]
        while problems := check_unique(self.pool, wanted):
            refused = self._refuse(problems)
            wanted = [one for one in wanted if one.entry.path not in refused]
        return wanted

    def store_each(self, wanted: list[Wanted]) -> None:
        """Insert ``wanted``; who cannot be, because somebody came first a moment ago, is refused alone."""
        if not wanted:
            return
        try:
            with transaction.atomic():
                self.store(wanted)
        except (IntegrityError, DataError):
            if len(wanted) == 1:
                self._refuse([Problem(wanted[0].entry.path, RACE)])
                return
            for one in wanted:
                one.user.pk = None
                for link in one.identities or []:
                    link.pk, link.user = None, one.user
            half = len(wanted) // 2
            self.store_each(wanted[:half])
            self.store_each(wanted[half:])
        else:
            self.outcome.imported += len(wanted)

    def import_(self, entries: list[Entry]) -> Outcome:
        """Write ``entries``, within the caller's transaction, and return what became of all rows."""
        # two imports that meet in a pool take their rows in one order, and wait for one another but once
        self.store_each(sorted(self.judge(entries), key=lambda one: one.user.username_key))
        self.outcome.verdicts.sort(key=lambda verdict: verdict.line)
        return self.outcome

    def new_user(self, entry: Entry) -> PoolUser:
        values = entry.values
        from_elsewhere = values.get("Identities") or values.get("UserStatus") == UserStatus.EXTERNAL_PROVIDER
        named_by_sub = self.pool.username_attributes and values.get("Sub") == entry.key
        if from_elsewhere or named_by_sub:
            return super().new_user(entry)
        return self.registered(entry)

    def attributes(self, one: Wanted) -> None:
        typed = one.user.attributes.copy()  # what the name said already, in a pool of e-mail addresses
        super().attributes(one)
        for name, value in typed.items():
            given = one.user.attributes.get(name, "")
            if self.pool.username_key(given) != self.pool.username_key(value):
                self.note(one.entry, "Attributes", f"{name} is not what the username says.")

    def _read(self, row: Row) -> Entry | None:
        if row.data is None:
            self.outcome.verdicts.append(Verdict(row.line, row.username[:128], row.reason[:MAX_REASON]))
            return None
        entry, problems = read_user(row.data, f"{self.word} {row.line}")
        self.lines[row.line] = entry
        entry.values.setdefault("Username", row.username)
        try:
            check_values(row.data, entry.path)
        except Refused as refused:
            problems = [Problem(entry.path, problem.message) for problem in refused.problems]
        if problems:
            self._refuse(problems)
            return None
        values = entry.values
        has_a_way_in = values.get("Password") or values.get("PasswordHash") or values.get("Identities")
        if not has_a_way_in and values.get("UserStatus") in (None, "CONFIRMED", "FORCE_CHANGE_PASSWORD"):
            values["UserStatus"] = UserStatus.RESET_REQUIRED.value  # as Cognito's own import has it
        return entry

    def _new(self, entries: list[Entry]) -> list[Entry]:
        """Return the entries whose user does not exist; note the others as skipped."""
        seen = set(self.find(entries))
        new = []
        for entry in entries:
            key = self.pool.username_key(entry.key)
            if key not in seen:
                seen.add(key)
                new.append(entry)
            else:
                line = int(entry.path.split()[1])
                self.outcome.verdicts.append(Verdict(line, entry.key[:128], EXISTS, skipped=True))
        return new

    def _fits_policy(self, entry: Entry) -> bool:
        try:
            self.pool.policy.check(entry.values["Password"])
        except ValidationError as error:
            self._refuse([Problem(entry.at("Password"), message) for message in error.messages])
            return False
        return True

    def _refuse(self, problems: list[Problem]) -> set[str]:
        """Note the lines that ``problems`` are about as refused and return their paths."""
        reasons: dict[int, list[str]] = {}
        for problem in problems:
            found = _PATH.fullmatch(problem.path)
            if found is not None:
                words = f"{found[2]}: {problem.message}" if found[2] else problem.message
                reasons.setdefault(int(found[1]), []).append(words)
        for line, messages in reasons.items():
            name = self.lines[line].key
            self.outcome.verdicts.append(Verdict(line, name[:128], " ".join(messages)[:MAX_REASON]))
        return {f"{self.word} {line}" for line in reasons}
