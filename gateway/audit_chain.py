"""Entries of the audit log as a chain: each has the hash of the one before it, so that whoever has seen its end can
tell whether anything before it was changed. Pure: what is read and written is in `gateway.audit`.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

BEGINNING = "0" * 64  # stands before the first entry


class BrokenError(Exception):
    """A log is not as it was written; says where, and what is wrong."""


class Head(NamedTuple):
    """The end of a log."""

    number: int = 0
    hash: str = BEGINNING


@dataclass(frozen=True)
class Entry:
    """Something that somebody did. It names no customer and quotes nothing."""

    number: int  # from 1
    time_ms: int
    who: str  # name of the key; of who was at the machine, for a command
    role: str
    what: str  # method and route, or a command
    customer: str | None  # the register's token, in hexadecimal
    status: int | None  # what was answered
    detail: str
    previous: str  # hash of the entry before
    hash: str = ""  # SHA-256 of the line without it

    @property
    def line(self) -> bytes:
        return _canonical(asdict(self)) + b"\n"


_FIELDS = tuple(Entry.__dataclass_fields__)


def _canonical(told: dict[str, Any]) -> bytes:
    """One way only of writing an entry."""
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def hash_of(entry: Entry) -> str:
    told = asdict(entry)
    del told["hash"]
    return hashlib.sha256(_canonical(told)).hexdigest()


def chained(entry: Entry, head: Head) -> Entry:
    """An entry as the next after a head."""
    next_one = replace(entry, number=head.number + 1, previous=head.hash, hash="")
    return replace(next_one, hash=hash_of(next_one))


def entry_of(line: bytes) -> Entry:
    """Raises BrokenError."""
    try:
        told = json.loads(line)
        entry = Entry(**told)
    except (ValueError, TypeError):
        raise BrokenError(f"must be an entry: {', '.join(_FIELDS)}") from None
    if entry.line != line:
        raise BrokenError("must be written as it was written first (got other blanks, or another order)")
    return entry


class Ending(NamedTuple):
    """A chain without a fault."""

    head: Head  # of the last entry that is whole
    torn: int  # bytes of a line that was being written when the power went: nobody was answered for it
    beyond: int  # entries written after the head was kept, for the same reason


def verified(lines: Iterable[bytes], kept: Head | None, seen: str | None = None) -> Ending:
    """Follow a chain from its first line. kept: the head that is kept beside it; seen: a hash that somebody else kept,
    which must be on the way. Raises BrokenError with the line."""
    head, torn, is_kept, is_seen = Head(), 0, kept in (None, Head()), seen in (None, BEGINNING)
    for line in lines:
        if not line.endswith(b"\n"):
            torn = len(line)
            break
        head = _followed(line, head)
        is_kept = is_kept or head == kept
        is_seen = is_seen or head.hash == seen
    if kept is not None and not is_kept:
        raise BrokenError(_off_head(kept, head))
    if not is_seen:
        raise BrokenError(f"no entry has the hash {seen}: what it was taken from has been changed or cut off")
    return Ending(head, torn, head.number - kept.number if kept is not None else 0)


def _followed(line: bytes, head: Head) -> Head:
    at = f"line {head.number + 1}"
    try:
        entry = entry_of(line)
    except BrokenError as error:
        raise BrokenError(f"{at}: {error}") from None
    if entry.hash != hash_of(entry):
        raise BrokenError(f"{at}: its hash must be that of what it says: it was changed (entry {entry.number})")
    if entry.number != head.number + 1:
        raise BrokenError(f"{at}: its number must be {head.number + 1} (got {entry.number}): "
                          "an entry is gone, or out of place")  # fmt: skip
    if entry.previous != head.hash:
        raise BrokenError(f"{at}: must follow the entry before it: one of the two was put in another's place")
    return Head(entry.number, entry.hash)


def _off_head(kept: Head, head: Head) -> str:
    if kept.number > head.number:
        return (
            f"the log must go on to the head kept beside it, entry {kept.number} (got {head.number}): its end is gone"
        )
    return f"line {kept.number}: must have the hash of the head kept beside it (got another): one of them was changed"


def page(lines: Sequence[bytes]) -> list[Entry]:
    """Lines that are whole, as entries."""
    return [entry_of(line) for line in lines if line.endswith(b"\n")]
