"""Snapshots of a machine, piece by piece, over a disk: a new one takes the place of the last at once or not at all.

The pieces of a snapshot are files of their own. Each is copied between two records, which is all that the machine
waits for, and written while it works on. A list names the snapshot that holds, and after which record each of its
pieces was taken. It is renamed into place when all pieces are synced.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

from engine.host.disk import Disk
from engine.host.packing import PackingError, Value, packed, unpacked

SYNCED_BYTES = 4 * 1024 * 1024  # of a piece that are on their way to the disk at once


class SnapshotError(Exception):
    """A snapshot cannot be read or written. Says the file."""


@dataclass(frozen=True)
class Snapshot:
    """Pieces, and the number of the record after which each was taken; ascending."""

    pieces: Sequence[Mapping[str, Any]]
    numbers: list[int]


@dataclass
class Sprout:
    """Another replica's snapshot, as far as it has come."""

    turn: int = 0
    pieces: list[bytes] = field(default_factory=list)

    def take(self, turn: int, first: int, pieces: Sequence[bytes]) -> bool:
        """Whether these were the ones to come; the first ones of another snapshot take the place of what was there."""
        if first == 0 and turn != self.turn:
            self.turn, self.pieces = turn, []
        if turn != self.turn or first != len(self.pieces):
            return False
        self.pieces += pieces
        return True


class AtOnce(Executor):
    """Writes before it returns: for those who simulate, and count on the order of what happens."""

    def submit(self, job: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(job(*arguments, **named))
        return done


class Snapshots:
    """The snapshots of one seat. Raises SnapshotError."""

    def __init__(self, disk: Disk, name: str, writer: Executor | None = None) -> None:
        self.disk, self.name, self.writer = disk, name, writer or AtOnce()
        self.turn, self.numbers = self._listed()
        self.fresh: list[int] = []  # numbers of the pieces of the snapshot that is being taken
        self.is_whole = False  # all its pieces were taken, and it does not hold yet
        self._writing: Future[None] | None = None

    # --- written ------------------------------------------------------------------------------------------------------
    def take(self, number: int, pieces: int, piece: Callable[[int], Mapping[str, Value]], holds: bool = True) -> None:
        """Take the next piece, after record `number`. The one before must have been written. holds: with its last
        piece it takes the place of the snapshot before; otherwise once `hold` says so."""
        assert self.is_written() and not self.is_whole, "one piece at a time"
        at = len(self.fresh)
        self.fresh.append(number)
        last = len(self.fresh) == pieces
        self.is_whole = last and not holds
        name = self._file(self.turn + 1, at)
        self._writing = self.writer.submit(self._guarded, self._keep, name, piece(at), last and holds)

    def hold(self) -> None:
        """Have a whole one take the place of the one before."""
        assert self.is_written() and self.is_whole, "all pieces of a snapshot are written before it holds"
        self.is_whole = False
        self._writing = self.writer.submit(self._guarded, self._hold)

    def drop(self) -> None:
        """The one that is being taken is of no use any more."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()
        self.fresh, self.is_whole = [], False

    def clear(self) -> None:
        """Nor is the one that holds."""
        self.drop()
        self.disk.remove(self.name)
        for at in range(len(self.numbers)):
            self.disk.remove(self._file(self.turn, at))
        self.numbers = []

    def is_written(self) -> bool:
        """Whether the latest piece is on disk; raises what went wrong with it."""
        if self._writing is not None and self._writing.done():
            writing, self._writing = self._writing, None
            writing.result()
        return self._writing is None

    def _keep(self, name: str, fields: Mapping[str, Value], last: bool) -> None:
        self._write(name, packed(fields))
        if last:
            self._hold()

    def adopt(self, numbers: list[int], pieces: Sequence[Mapping[str, Value]]) -> None:
        """Another replica's snapshot."""
        for number, fields in zip(numbers, pieces, strict=True):
            self.take(number, len(pieces), lambda _, fields=fields: fields)  # type: ignore[misc]
            if self._writing is not None:
                self._writing.result()

    def _write(self, name: str, data: bytes) -> None:
        """A part at a time: a journal on the same disk waits for what is being synced."""
        self.disk.remove(name)  # of a snapshot that a crash broke off
        for first in range(0, len(data), SYNCED_BYTES):
            self.disk.append(name, data[first : first + SYNCED_BYTES])
            self.disk.sync(name)

    def _hold(self) -> None:
        before, old = len(self.numbers), self.turn
        self._write(f"{self.name}.new", json.dumps([self.turn + 1, *self.fresh]).encode())
        self.disk.rename(f"{self.name}.new", self.name)
        self.turn, self.numbers, self.fresh = old + 1, self.fresh, []
        for at in range(before):
            self.disk.remove(self._file(old, at))

    def _guarded(self, write: Callable[..., None], *arguments: Any) -> None:
        try:
            write(*arguments)
        except OSError as error:
            raise SnapshotError(f"{self.name}: could not be written: {error.strerror or error}") from error

    # --- read ---------------------------------------------------------------------------------------------------------
    def read(self) -> Snapshot | None:
        """The one that holds."""
        if not self.numbers:
            return None
        return Snapshot([self._read(self._file(self.turn, at)) for at in range(len(self.numbers))], self.numbers)

    def packed_from(self, first: int, size: int) -> list[bytes]:
        """Pieces of the one that holds, as they lie on disk: until they have so many bytes, but one at least."""
        found: list[bytes] = []
        for at in range(first, len(self.numbers)):
            found.append(self._data(self._file(self.turn, at)))
            if sum(map(len, found)) >= size:
                break
        return found

    def _read(self, name: str) -> Mapping[str, Any]:
        return self._unpacked(name, self._data(name))

    def _data(self, name: str) -> bytes:
        """Of a file that can be unpacked."""
        try:
            data = self.disk.read(name)
        except FileNotFoundError:
            raise SnapshotError(f"{name} is missing, and {self.name} says that it holds") from None
        self._unpacked(name, data)
        return data

    def _unpacked(self, name: str, data: bytes) -> Mapping[str, Any]:
        try:
            return unpacked(data)
        except PackingError as error:
            raise SnapshotError(f"{name} {error}") from None

    def _listed(self) -> tuple[int, list[int]]:
        try:
            said = json.loads(self.disk.read(self.name))
        except FileNotFoundError:
            return 0, []
        except ValueError:
            raise SnapshotError(f"{self.name} must list a snapshot as numbers") from None
        turn, *numbers = said
        return turn, numbers

    def _file(self, turn: int, at: int) -> str:
        return f"{self.name}-{turn:08d}-{at:04d}"
