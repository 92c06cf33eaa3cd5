"""What is known of customers, sealed: every record under a key of its own, every key under the master key. Whoever has
the folder has numbers and noise, and a record is erased by destroying its key.

A customer has one record at a time. Erased under a duty to retain, it is locked until that duty's day has passed, while
the customer may have come back and have another.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gateway.sealing import SealError, SecretKey, new_key

FILE = "vault.db"
PROFILE = "profile"  # the field that has everything but what identifies
DUTIES_MAX = 16  # of one customer
NOBODY = (None, None, 0)
CHECK = b"the key that this vault began with"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS beginning (id INTEGER PRIMARY KEY, checked BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS people (
    number INTEGER PRIMARY KEY, since_ms INTEGER, erased_ms INTEGER, leaving INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS records (
    id INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER NOT NULL, wrapped BLOB NOT NULL,
    seals INTEGER NOT NULL DEFAULT 0, locked INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX IF NOT EXISTS of_number ON records (number);
CREATE TABLE IF NOT EXISTS sealed (
    record INTEGER NOT NULL, field TEXT NOT NULL, text BLOB NOT NULL, PRIMARY KEY (record, field)) STRICT;
CREATE TABLE IF NOT EXISTS duties (
    number INTEGER NOT NULL, duty TEXT NOT NULL, until TEXT NOT NULL, PRIMARY KEY (number, duty)) STRICT;
"""


class VaultError(Exception):
    """A vault cannot be opened as it is asked for; says why."""


class DutyError(Exception):
    """A duty cannot be laid on a customer; says why."""


class Duty(NamedTuple):
    """To retain a record through a day."""

    duty: str
    until: str  # yyyy-mm-dd, as days are compared


@dataclass(frozen=True, repr=False)
class Record:
    """One, opened."""

    said: dict[str, str]  # what identifies
    profile: dict[str, Any]
    is_locked: bool


@dataclass(frozen=True, repr=False)
class CustomerFile:
    """All there is of a customer."""

    since_ms: int | None  # the record's beginning
    erased_ms: int | None  # None: not erased
    duties: list[Duty]
    records: list[Record]  # locked ones first


@dataclass(frozen=True)
class Erasure:
    """What was, or had been, erased."""

    erased_ms: int
    is_locked: bool  # a record is left until its duties have passed
    duties: list[Duty]
    is_leaving: bool  # the shard has still to be told


class _Row(NamedTuple):
    id: int
    wrapped: bytes
    seals: int
    is_locked: int


class Vault:
    """Used by one thread at a time. Without a master key it seals nothing and knows who was erased."""

    def __init__(self, folder: Path, master: SecretKey | None) -> None:
        """Raises VaultError where it was begun with another key."""
        file = folder / FILE
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        self._master = master
        self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._database.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;" + _SCHEMA
        )
        self._check(file)
        self._is_to_scrub = False
        self._scrub()  # what was destroyed just before we were killed

    @property
    def seals(self) -> bool:
        return self._master is not None

    def close(self) -> None:
        self._database.close()

    def together(self, jobs: Sequence[Callable[[], Any]]) -> list[Any]:
        """Do them in one transaction; a result or an exception for each. A job that fails leaves nothing behind."""
        became: list[Any] = []
        self._database.execute("BEGIN IMMEDIATE")
        try:
            for job in jobs:
                became.append(self._one(job))
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        if self._is_to_scrub:
            self._scrub()
        return became

    def _one(self, job: Callable[[], Any]) -> Any:
        self._database.execute("SAVEPOINT job")
        try:
            return job()
        except Exception as error:
            self._database.execute("ROLLBACK TO job")
            return error
        finally:
            self._database.execute("RELEASE job")

    # --- jobs ---------------------------------------------------------------------------------------------------------
    def put(self, number: int, said: Mapping[str, str], profile: Mapping[str, Any], now: int) -> bool:
        """Write what is known; what is left out stays. A customer who was erased begins anew. Whether the shard has
        still to forget who it was: until `left`."""
        _, erased, leaving = known = self._person(number)
        if known == NOBODY or erased is not None:
            self._do("INSERT OR REPLACE INTO people VALUES (?, ?, NULL, ?)", number, now, leaving)
        if self._master is not None:
            self._seal_all(number, said, profile)
        return bool(leaving)

    def file(self, number: int) -> CustomerFile:
        """Everything, opened. Raises SealError."""
        since, erased, _ = self._person(number)
        records = [] if self._master is None else [self._opened(number, row) for row in self._records(number)]
        return CustomerFile(since, erased, self._duties(number), records)

    def erase(self, number: int, now: int, today: str) -> Erasure:
        """Destroy a customer's key, or lock the record under the duties that have not passed. The shard is to be told
        until `left`."""
        since, erased, leaving = self._person(number)
        duties = [duty for duty in self._duties(number) if duty.until >= today]
        if erased is None:
            erased, leaving = now, 1
            self._do("INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?)", number, since, erased, leaving)
            for row in self._records(number):
                if not row.is_locked and duties:
                    self._do("UPDATE records SET locked = 1 WHERE id = ?", row.id)
                elif not row.is_locked:
                    self._destroy(row.id)
        is_locked = any(row.is_locked for row in self._records(number))
        return Erasure(erased, is_locked, duties, bool(leaving))

    def left(self, number: int) -> None:
        """The shard has forgotten a customer."""
        self._do("UPDATE people SET leaving = 0 WHERE number = ?", number)

    def retain(self, number: int, duty: Duty) -> list[Duty]:
        """Lay a duty on a customer, or another date on a duty; all of the customer's. Raises DutyError."""
        _, erased, _ = self._person(number)
        if erased is not None and not self._records(number):
            raise DutyError("the customer is erased, so there is nothing left to retain")
        self._do("INSERT OR REPLACE INTO duties VALUES (?, ?, ?)", number, *duty)
        duties = self._duties(number)
        if len(duties) > DUTIES_MAX:
            raise DutyError(f"a customer's duties must be at most {DUTIES_MAX} (got {len(duties)})")
        return duties

    def expire(self, today: str) -> list[int]:
        """Destroy the keys of locked records whose duties have all passed; the numbers of their customers."""
        self._do("DELETE FROM duties WHERE until < ?", today)
        rows = self._do("SELECT id, number FROM records WHERE locked AND number NOT IN (SELECT number FROM duties)")
        for record, _ in rows:
            self._destroy(record)
        return sorted({number for _, number in rows})

    def erased(self) -> set[int]:
        """Everybody who is."""
        return {number for (number,) in self._do("SELECT number FROM people WHERE erased_ms IS NOT NULL")}

    def leaving(self) -> list[int]:
        """Whom shards have still to forget."""
        return [number for (number,) in self._do("SELECT number FROM people WHERE leaving ORDER BY number")]

    # --- parts --------------------------------------------------------------------------------------------------------
    def _do(self, sql: str, *values: Any) -> list[Any]:
        return self._database.execute(sql, values).fetchall()

    def _check(self, file: Path) -> None:
        row = self._database.execute("SELECT checked FROM beginning").fetchone()
        if row is None and self._master is not None:
            self._do("INSERT INTO beginning VALUES (0, ?)", self._master.seal(CHECK, CHECK, 0))
        elif row is not None and self._master is None:
            raise VaultError(f"{file} must be opened with the key it was begun with: --vault-key FILE (got none)")
        elif row is not None and self._master is not None:
            try:
                self._master.opened(row[0], CHECK)
            except SealError:
                raise VaultError(f"{file} must be opened with the key it was begun with (got another)") from None

    def _person(self, number: int) -> tuple[int | None, int | None, int]:
        """Since when, erased when, whether the shard has still to forget."""
        rows = self._do("SELECT since_ms, erased_ms, leaving FROM people WHERE number = ?", number)
        return rows[0] if rows else NOBODY

    def _duties(self, number: int) -> list[Duty]:
        rows = self._do("SELECT duty, until FROM duties WHERE number = ? ORDER BY until, duty", number)
        return [Duty(*row) for row in rows]

    def _records(self, number: int) -> list[_Row]:
        rows = self._do("SELECT id, wrapped, seals, locked FROM records WHERE number = ? ORDER BY id", number)
        return [_Row(*row) for row in rows]

    def _current(self, number: int) -> _Row:
        """A customer's record that is not locked, begun if there is none."""
        assert self._master is not None
        found = [row for row in self._records(number) if not row.is_locked]
        if found:
            return found[0]
        self._do("INSERT INTO records (number, wrapped) VALUES (?, x'')", number)
        ((record,),) = self._do("SELECT last_insert_rowid()")
        wrapped = self._master.wrap(new_key(), _bound(number, record, "key"), record)
        self._do("UPDATE records SET wrapped = ? WHERE id = ?", wrapped, record)
        return _Row(record, wrapped, 0, 0)

    def _key(self, number: int, row: _Row) -> SecretKey:
        assert self._master is not None
        return self._master.unwrapped(row.wrapped, _bound(number, row.id, "key"))

    def _seal_all(self, number: int, said: Mapping[str, str], profile: Mapping[str, Any]) -> None:
        row = self._current(number)
        key, count = self._key(number, row), row.seals
        before = self._texts(row.id, "AND field = ?", PROFILE)
        known = json.loads(key.opened(before[PROFILE], _bound(number, row.id, PROFILE))) if before else {}
        whole = json.dumps({**known, **profile}, ensure_ascii=False, separators=(",", ":"))
        for count, (field, text) in enumerate({**said, PROFILE: whole}.items(), row.seals + 1):
            sealed = key.seal(text.encode(), _bound(number, row.id, field), count)
            self._do("INSERT OR REPLACE INTO sealed VALUES (?, ?, ?)", row.id, field, sealed)
        self._do("UPDATE records SET seals = ? WHERE id = ?", count, row.id)

    def _opened(self, number: int, row: _Row) -> Record:
        key = self._key(number, row)
        texts = {
            field: key.opened(text, _bound(number, row.id, field)).decode()
            for field, text in self._texts(row.id).items()
        }
        profile = json.loads(texts.pop(PROFILE, "{}"))
        return Record(texts, profile, bool(row.is_locked))

    def _texts(self, record: int, where: str = "", *values: str) -> dict[str, bytes]:
        rows: Iterable[tuple[str, bytes]] = self._do(
            f"SELECT field, text FROM sealed WHERE record = ? {where} ORDER BY field", record, *values
        )
        return dict(rows)

    def _destroy(self, record: int) -> None:
        self._do("DELETE FROM records WHERE id = ?", record)
        self._do("DELETE FROM sealed WHERE record = ?", record)
        self._is_to_scrub = True

    def _scrub(self) -> None:
        """Nothing of what was deleted is left in the files: secure_delete overwrites the pages, and the log of writes,
        which has them as they were, is carried over and cut to nothing."""
        busy, _, _ = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._is_to_scrub = bool(busy)


def _bound(number: int, record: int, field: str) -> bytes:
    """What a seal belongs to: it opens for no other customer and no other field."""
    return f"windtunnel:{number}:{record}:{field}".encode()
