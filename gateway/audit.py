"""The audit log: who did what to whom, on the disk before the answer leaves. Lines are only ever added.

Two files: `audit.jsonl`, and `audit.head` with its end, replaced whole after each write, so that cutting the log short
is found too. A line torn by a loss of power is cut off at the next start, and an entry says so.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.audit_chain import BrokenError, Entry, Head, chained, entry_of, hash_of, page
from gateway.grouped import Grouped
from gateway.keys import Key

FILE, HEAD = "audit.jsonl", "audit.head"
PAGE = 1_000  # entries that are read at once
STRANGERS_MAX = 20  # entries of unknown keys in a minute; the others are counted
MINUTE_S = 60.0
NOBODY, GATEWAY = "unknown", "gateway"


class AuditError(Exception):
    """The log cannot be gone on with; says why."""


def entry(
    what: str, who: str, role: str, customer: bytes | None = None, status: int | None = None, detail: str = ""
) -> Entry:
    """One that has no place yet."""
    token = None if customer is None else customer.hex()
    return Entry(0, time.time_ns() // 1_000_000, who, role, what, token, status, detail, "")


class AuditLog:
    """A folder's. Several processes may add to it, one at a time. Used by one thread at a time."""

    def __init__(self, folder: Path) -> None:
        """Cuts off a torn end. Raises AuditError where the end is not that which was kept."""
        self.file, self._head_file = folder / FILE, folder / HEAD
        self._descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._pages: list[int] = []  # where every PAGE-th entry begins
        self._end = self._lines = 0
        self.head = Head()
        with self._locked():
            self._read_on()
            self._check_head()

    def close(self) -> None:
        os.close(self._descriptor)

    def add(self, entries: Sequence[Entry]) -> list[Entry]:
        """Write entries, in order, and sync once."""
        with self._locked():
            self._read_on()
            return self._write(entries)

    def after(self, number: int | None) -> list[Entry]:
        """At most PAGE entries after a number; the latest without one."""
        number = max(0, self.head.number - PAGE) if number is None else number
        if number >= self.head.number:
            return []
        begin = self._pages[number // PAGE]
        with self.file.open("rb") as file:
            file.seek(begin)
            lines = file.read(self._offset(number // PAGE + 2) - begin).splitlines(keepends=True)
        return page(lines[number % PAGE :][:PAGE])

    # --- parts --------------------------------------------------------------------------------------------------------
    def _offset(self, page_number: int) -> int:
        return self._pages[page_number] if page_number < len(self._pages) else self._end

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _read_on(self) -> None:
        """Take in what was added since, by us or by others."""
        size = os.fstat(self._descriptor).st_size
        if size < self._end:
            raise AuditError(f"{self.file} must only ever grow (got {size:,} bytes after {self._end:,})")
        if size == self._end:
            return
        torn, last = 0, b""
        with self.file.open("rb") as file:
            file.seek(self._end)
            for line in file:
                if not line.endswith(b"\n"):
                    torn = len(line)
                    break
                self._count(line)
                last = line
        if last:
            self.head = self._head_of(last)
        if torn:
            os.ftruncate(self._descriptor, self._end)
            self._write([entry("cut off a torn line", GATEWAY, GATEWAY, detail=f"{torn} bytes, nobody was answered")])

    def _count(self, line: bytes) -> None:
        if self._lines % PAGE == 0:
            self._pages.append(self._end)
        self._lines += 1
        self._end += len(line)

    def _head_of(self, line: bytes) -> Head:
        try:
            found = entry_of(line)
        except BrokenError as error:
            raise AuditError(f"{self.file}: line {self._lines:,}: {error}") from None
        if found.number != self._lines or found.hash != hash_of(found):
            raise AuditError(f"{self.file}: line {self._lines:,}: was changed, or one before it is gone: "
                             "`windtunnel audit verify` says more")  # fmt: skip
        return Head(found.number, found.hash)

    def _check_head(self) -> None:
        kept = read_head(self._head_file)
        if kept is None and self.head.number:
            raise AuditError(f"{self._head_file} must be there, with the end of the log (got no such file)")
        if kept is None or kept == self.head:
            return
        there = self.after(kept.number - 1)[:1] if 0 < kept.number <= self.head.number else []
        if kept.number and not (there and there[0].hash == kept.hash):
            raise AuditError(f"{self.file} must go on from entry {kept.number:,}, as {self._head_file.name} says: "
                             "`windtunnel audit verify` says what is wrong")  # fmt: skip

    def _write(self, entries: Sequence[Entry]) -> list[Entry]:
        written, head = [], self.head
        for one in entries:
            written.append(chained(one, head))
            head = Head(written[-1].number, written[-1].hash)
        lines = [one.line for one in written]
        try:
            _append(self._descriptor, b"".join(lines))
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._end)  # nobody is answered for these
            raise
        for line in lines:
            self._count(line)
        self.head = head
        write_head(self._head_file, head)
        return written


def _append(descriptor: int, text: bytes) -> None:
    while text:
        text = text[os.write(descriptor, text) :]


def read_head(file: Path) -> Head | None:
    """None where there is none. Raises AuditError."""
    try:
        told = json.loads(file.read_text("utf-8"))
        return Head(int(told["number"]), str(told["hash"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise AuditError(f"{file} must have a number and a hash, as `windtunnel serve` writes them") from None


def write_head(file: Path, head: Head) -> None:
    new = file.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump(head._asdict(), out)
        out.flush()
        os.fsync(out.fileno())
    new.rename(file)


@dataclass
class Strangers:
    """Attempts with unknown keys: some are written down, the others counted, so that nobody fills the disk with
    them."""

    clock_s: Callable[[], float] = time.monotonic
    _since_s: float = field(default=-MINUTE_S)
    _written: int = 0
    _others: int = 0

    def detail(self) -> str | None:
        """What the entry of one more says; None where it is only counted."""
        now = self.clock_s()
        if now - self._since_s >= MINUTE_S:
            self._since_s, self._written = now, 0
        if self._written >= STRANGERS_MAX:
            self._others += 1
            return None
        self._written += 1
        return self.others()

    def others(self) -> str:
        """Of those that were only counted, once."""
        others, self._others = self._others, 0
        return f"and {others:,} more since the entry before" if others else ""


class Audit:
    """The log as the gateway's loop uses it: entries of one round share a sync."""

    def __init__(self, log: AuditLog) -> None:
        self._log, self._strangers = log, Strangers()
        self._grouped = Grouped[Entry | Callable[[], list[Entry]]](self._do)

    @property
    def head(self) -> Head:
        return self._log.head

    async def note(
        self,
        what: str,
        key: Key | None = None,
        customer: bytes | None = None,
        status: int | None = None,
        detail: str = "",
    ) -> None:
        """Write down what was done, and wait until it is on the disk. key: who did it; None: the gateway itself.
        customer: the register's token. detail: never a value of somebody's."""
        who, role = (GATEWAY, GATEWAY) if key is None else (key.name, key.role.value)
        await self._grouped.kept(entry(what, who, role, customer, status, detail))

    async def note_stranger(self, what: str) -> None:
        """An attempt with an unknown key."""
        detail = self._strangers.detail()
        if detail is not None:
            await self._grouped.kept(entry(what, NOBODY, NOBODY, None, 401, detail))

    async def after(self, number: int | None) -> list[Entry]:
        """At most PAGE entries after a number; the latest without one."""
        return await self._grouped.kept(lambda: self._log.after(number))

    async def close(self, what: str) -> None:
        """The last entry."""
        await self.note(what, detail=self._strangers.others())
        self._grouped.close()
        self._log.close()

    def _do(self, jobs: Sequence[Entry | Callable[[], list[Entry]]]) -> list[Any]:
        entries = [job for job in jobs if isinstance(job, Entry)]
        written = iter(self._log.add(entries) if entries else ())
        return [next(written) if isinstance(job, Entry) else _became(job) for job in jobs]


def _became(job: Callable[[], list[Entry]]) -> list[Entry] | Exception:
    try:
        return job()
    except Exception as error:
        return error
