"""Customers by the ids that callers give them. On disk an id is a keyed hash: whoever has the file has no ids."""

import functools
import hashlib
import math
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.records import NONE, PARTITIONS

FILE, PEPPER = "register.db", "register.key"
TOKEN_BYTES, PEPPER_BYTES = 16, 32
TOKENS_MAX = 250_000  # ids whose tokens are at hand
GOLDEN = (5**0.5 - 1) / 2


class RegisterError(Exception):
    """The files of a folder do not belong together; says what is missing."""


class RoomError(Exception):
    """There are as many customers as there is room for."""


class Register:
    """Ids to numbers, given out all over the room, for shards own ranges of them and are to fill evenly; never again.
    What was given out outlives a loss of power."""

    def __init__(self, folder: Path, room: int) -> None:
        """Raises RegisterError where one file of two is missing: customers would become others."""
        self.room = room
        there = [file for file in (folder / FILE, folder / PEPPER) if file.exists()]
        if len(there) == 1:
            raise RegisterError(f"{folder} must have {FILE} and {PEPPER}, or neither (got {there[0].name} alone)")
        self._tokens: dict[str, bytes] = {}  # of ids that came lately
        self.pepper = _pepper(folder / PEPPER)
        self._writing = threading.Lock()
        self._database = sqlite3.connect(folder / FILE, isolation_level=None, check_same_thread=False)
        self._database.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "CREATE TABLE IF NOT EXISTS customers (number INTEGER PRIMARY KEY, token BLOB NOT NULL UNIQUE) STRICT;"
        )
        rows = self._database.execute("SELECT token, number FROM customers")
        self._numbers: dict[bytes, int] = dict(rows)

    def __len__(self) -> int:
        return len(self._numbers)

    def token(self, customer: str) -> bytes:
        """What is kept of an id."""
        found = self._tokens.get(customer)
        if found is None:
            found = token_of_id(customer, self.pepper)
            if len(self._tokens) >= TOKENS_MAX:
                self._tokens.clear()
            self._tokens[customer] = found
        return found

    def forget_id(self, customer: str) -> None:
        """Have no id of somebody in memory any more."""
        self._tokens.pop(customer, None)

    def number(self, customer: str) -> int | None:
        """Number of a customer who is known."""
        return self._numbers.get(self.token(customer))

    def numbers(self, customers: Sequence[str]) -> list[int]:
        """Of each; NONE of who is not known."""
        tokens, known = self._tokens.get, self._numbers.get
        return [known(tokens(customer) or self.token(customer), NONE) for customer in customers]

    def raise_if_no_room(self, more: int) -> None:
        if len(self) + more > self.room:
            raise RoomError(f"there is room for {self.room:,} customers, and {len(self):,} are there")

    def enrol(self, customers: Sequence[str]) -> list[int]:
        """Numbers of customers, new ones for those who are not known. Raises RoomError, and then nobody is enrolled."""
        tokens = [self.token(customer) for customer in customers]
        with self._writing:
            new = dict.fromkeys(token for token in tokens if token not in self._numbers)
            self.raise_if_no_room(len(new))
            if new:
                places = range(len(self), len(self) + len(new))
                self._write(zip(new, (spread(place, self.room) for place in places), strict=True))
        return [self._numbers[token] for token in tokens]

    def enrol_each(self, customers: Sequence[str]) -> list[int | RoomError]:
        """The same, for each caller as if alone, and with one sync for all."""
        new = dict.fromkeys(one for one in customers if self.number(one) is None)
        fitting = list(new)[: max(0, self.room - len(self))]
        self.enrol(fitting)
        full = RoomError(f"there is room for {self.room:,} customers, and {len(self):,} are there")
        return [full if (number := self.number(one)) is None else number for one in customers]

    def token_of(self, number: int) -> bytes:
        """What is kept of the id of a customer who has a number."""
        with self._writing:
            ((token,),) = self._database.execute("SELECT token FROM customers WHERE number = ?", (number,))
        return bytes(token)

    def _write(self, rows: Iterable[tuple[bytes, int]]) -> None:
        numbered = list(rows)
        self._database.execute("BEGIN")
        try:
            self._database.executemany("INSERT INTO customers (token, number) VALUES (?, ?)", numbered)
            self._database.execute("COMMIT")
        except sqlite3.Error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        self._numbers.update(numbered)

    def close(self) -> None:
        self._database.close()


def spread(order: int, room: int) -> int:
    """Which number is given out after so many others: each of room once. One to every partition, those far apart first,
    before any gets a second one."""
    size = -(-room // PARTITIONS)
    whole, rest = divmod(room, size)
    longer = rest * (whole + 1)  # of the first `rest` numbers of a partition there is one more
    count = whole + 1 if order < longer else whole
    offset, at = divmod(order if order < longer else order - longer, count)
    return at * stride(count) % count * size + offset + (0 if order < longer else rest)


@functools.lru_cache
def stride(count: int) -> int:
    """Steps that come to every one of so many, and after any few of them lie far apart."""
    return next(step for step in range(max(1, round(count * GOLDEN)), count + 1) if math.gcd(step, count) == 1)


def token_of_id(customer: str, pepper: bytes) -> bytes:
    return hashlib.blake2b(customer.encode(), key=pepper, digest_size=TOKEN_BYTES).digest()


def _pepper(file: Path) -> bytes:
    """The folder's, made the first time."""
    if not file.exists():
        new = file.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(secrets.token_bytes(PEPPER_BYTES))
            out.flush()
            os.fsync(out.fileno())
        new.rename(file)
    return file.read_bytes()
