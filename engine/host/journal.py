"""An append-only journal in segments: what a host promised before it answered, in order, and found again after a crash.

A record is a head (mark, CRC-32, length, epoch, number, durable) and a payload. `durable` is the last number that was
known to be synced when the record was written. So recovery can tell a torn tail, which nobody was promised, from
damage: a bad record that a later good one says was durable. The first is cut off, the second refused.
"""

import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from engine.host.disk import Disk

MAGIC, VERSION = b"WTJ1", 1
SEGMENT_HEAD = struct.Struct("<4sIQ")  # magic, version, number of the first record
MARK = b"\xf5WTR"
HEAD = struct.Struct("<4sIIQQQ")  # mark, CRC-32 of the rest, length of the payload, epoch, number, durable
CHECKED_FROM = 8  # bytes of a record that its CRC-32 does not cover
SEGMENT_BYTES = 64 * 1024 * 1024
PAYLOAD_MAX = 1 << 30
RECENT = 16  # records that are also kept in memory


class JournalError(Exception):
    """The journal cannot be trusted, or cannot be written. Says file and place."""


@dataclass(frozen=True)
class Record:
    epoch: int
    number: int  # ascending from 1
    payload: bytes


class Journal:
    """Records by number, appended under an epoch that never falls.

    Read it with `records()` once, whole, before the first append: that finds its end. After any failed write or sync
    the journal takes nothing more: what became of the failed one is unknown (a second fsync may lie), and only reading
    it again can tell.
    """

    def __init__(self, disk: Disk, name: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.disk, self.name, self.segment_bytes = disk, name, segment_bytes
        self.epoch, self.number, self.durable = 0, 0, 0
        self._lowest, self._first, self._last = self._listed()
        self._segment, self._size = self._first, 0
        self._ready, self._broken = False, ""
        self._recent: deque[Record] = deque(maxlen=RECENT)  # so that a follower need not be read to from disk

    # --- reading ------------------------------------------------------------------------------------------------------
    def records(self) -> Iterator[Record]:
        """Every record that is kept, in order; what a crash left torn behind the last is cut off.

        Raises JournalError where a durable record is damaged, missing, of another version or of a lower epoch.
        """
        segment, torn = self._first, False
        while segment <= self._last and (data := self._read(segment)) is not None:
            if torn:
                raise JournalError(
                    f"{self.file(segment - 1)}: record {self.number + 1} is damaged, and {self.file(segment)} follows"
                )
            self._segment, self._size = segment, 0
            yield from self._in_segment(segment, data)
            torn = self._size < len(data)
            self._judge_tail(data)
            segment += 1
        if segment <= self._last:
            raise JournalError(f"{self.file(segment)} is missing, and {self.file(self._last)} was there")
        self._cut_off()
        self.durable, self._ready = self.number, True

    def _in_segment(self, segment: int, data: bytes) -> Iterator[Record]:
        """The good ones from the front."""
        if len(data) < SEGMENT_HEAD.size:
            return
        magic, version, first = SEGMENT_HEAD.unpack_from(data)
        if magic != MAGIC or version != VERSION:
            raise JournalError(f"{self.file(segment)}: not a journal of version {VERSION} (got {magic!r} {version})")
        if self.number == 0:
            self.number = first - 1
        self._size = SEGMENT_HEAD.size
        at = SEGMENT_HEAD.size
        while (found := parsed(data, at)) is not None:
            record, _, at = found
            if record.number != self.number + 1:
                raise JournalError(
                    f"{self.file(segment)} at byte {at}: record {self.number + 1} is missing (got {record.number})"
                )
            if record.epoch < self.epoch:
                raise JournalError(
                    f"{self.file(segment)} at byte {at}: epoch {record.epoch} comes after epoch {self.epoch}"
                )
            self.number, self.epoch = record.number, record.epoch
            self._size = at
            yield record

    def _judge_tail(self, data: bytes) -> None:
        """Behind the last good record: torn, unless a later one says that it was durable."""
        at = data.find(MARK, self._size + 1)
        while at != -1:
            later = parsed(data, at)
            if later is not None and later[1] > self.number:
                raise JournalError(
                    f"{self.file(self._segment)} at byte {self._size}: record {self.number + 1} is damaged, "
                    f"and record {later[0].number} says that it was kept"
                )
            at = data.find(MARK, at + 1)

    def _cut_off(self) -> None:
        """Write the last segment anew without what is torn, so that nothing is appended behind it.

        Anew in any case: a record whose sync failed, or that a process was ended before it synced, can be read, and a
        sync that succeeds now says nothing of it.
        """
        data = self._read(self._segment)
        if data is None or self._size == 0:
            self._begin(self._segment)
        else:
            self._replace(self.file(self._segment), data[: self._size])
        for segment in range(self._lowest, self._first):
            self.disk.remove(self.file(segment))
        segment = self._segment + 1
        while self._read(segment) is not None:  # it was begun and not listed yet, or cut off and not removed yet
            self.disk.remove(self.file(segment))
            segment += 1

    def _read(self, segment: int) -> bytes | None:
        try:
            return self.disk.read(self.file(segment))
        except FileNotFoundError:
            return None

    # --- writing ------------------------------------------------------------------------------------------------------
    def append(self, epoch: int, payload: bytes) -> int:
        """Write a record; returns its number. It is promised to nobody before `sync`. Raises JournalError."""
        self._check_writable()
        if epoch < self.epoch:
            raise JournalError(f"{self.name}: epoch {epoch} is lower than {self.epoch}")
        if len(payload) > PAYLOAD_MAX:
            raise JournalError(f"{self.name}: a record has at most {PAYLOAD_MAX:,} bytes (got {len(payload):,})")
        if self._size >= self.segment_bytes:
            self.sync()
            self._guarded("begin a segment of", self._begin, self._segment + 1)
        record = Record(epoch, self.number + 1, payload)
        data = packed(record, self.durable)
        self._guarded("write", self.disk.append, self.file(self._segment), data)
        self.epoch, self.number, self._size = epoch, self.number + 1, self._size + len(data)
        self._recent.append(record)
        return self.number

    def sync(self) -> None:
        """Everything appended is kept from here on. Raises JournalError."""
        self._check_writable()
        if self.durable < self.number:
            self._guarded("sync", self.disk.sync, self.file(self._segment))
            self.durable = self.number

    def begin_at(self, number: int) -> None:
        """Have an empty journal go on after record `number`, which a snapshot has. Raises JournalError."""
        self._check_writable()
        assert self.number == 0 and self._size == SEGMENT_HEAD.size, "only an empty journal begins somewhere else"
        self.number = self.durable = number
        self._guarded("begin", self._begin, self._segment + 1)
        self._guarded("begin", self._list, self._lowest, self._segment, self._segment)

    def cut_back(self, number: int) -> None:
        """Take back every record after `number`: whatever comes next has their numbers. Raises JournalError."""
        self._check_writable()
        if number < self.number:
            self._guarded("cut back", self._cut_back, number)

    def _cut_back(self, number: int) -> None:
        """A crash in between leaves some of the records, from the front; they are cut off again by whoever cuts."""
        last, keeps = self._segment, self._segment
        while keeps > self._first and self._first_record(keeps) > number + 1:
            keeps -= 1
        data, end = self.disk.read(self.file(keeps)), SEGMENT_HEAD.size
        while (found := parsed(data, end)) is not None and found[0].number <= number:
            end = found[2]
        self._list(self._lowest, self._first, keeps)  # what follows is not listed: nothing in it counts
        self._replace(self.file(keeps), data[:end])
        for segment in range(keeps + 1, last + 1):
            self.disk.remove(self.file(segment))
        self.number = self.durable = number
        self._segment, self._size = keeps, end
        self._recent.clear()

    def clear(self) -> None:
        """Take back everything; only a new Journal can be written after that."""
        for segment in range(self._lowest, self._segment + 1):
            self.disk.remove(self.file(segment))
        self.disk.remove(self.name)
        self._ready = False

    def read_from(self, number: int, most: int) -> list[Record]:
        """Records from a number on, at most so many; none where they are not kept any more."""
        if self._recent and self._recent[0].number <= number:
            return [record for record in self._recent if record.number >= number][:most]
        found: list[Record] = []
        for segment in range(self._first, self._segment + 1):
            if segment < self._segment and self._first_record(segment + 1) <= number:
                continue
            data, at = self.disk.read(self.file(segment)), SEGMENT_HEAD.size
            while len(found) < most and (one := parsed(data, at)) is not None:
                at = one[2]
                if one[0].number >= number:
                    found.append(one[0])
        return found if found and found[0].number == number else []

    def keep_from(self, number: int) -> None:
        """Forget whole segments of records before `number`: snapshots have them."""
        self._check_writable()
        first = self._first
        while first < self._segment and self._first_record(first + 1) <= number:
            first += 1
        if first == self._first:
            return
        self._guarded("forget segments of", self._list, self._first, first, self._segment)
        for segment in range(self._lowest, first):
            self.disk.remove(self.file(segment))

    def file(self, segment: int) -> str:
        return f"{self.name}-{segment:08d}"

    def _check_writable(self) -> None:
        assert self._ready, "a journal is read before it is written"
        if self._broken:
            raise JournalError(f"{self.name}: takes nothing more until it is read again, it {self._broken}")

    def _guarded(self, what: str, call: Callable[..., None], *arguments: Any) -> None:
        try:
            call(*arguments)
        except OSError as error:
            self._broken = f"could not {what} the disk: {error.strerror or error}"
            raise JournalError(f"{self.name}: {self._broken}") from error

    def _begin(self, segment: int) -> None:
        head = SEGMENT_HEAD.pack(MAGIC, VERSION, self.number + 1)
        self.disk.remove(self.file(segment))  # cut off before a crash that brought it back
        self.disk.append(self.file(segment), head)
        self.disk.sync(self.file(segment))
        self._segment, self._size = segment, len(head)
        self._list(self._lowest, self._first, segment)

    def _replace(self, name: str, data: bytes) -> None:
        """Another content for a file, at once or not at all."""
        fresh = f"{name}.new"
        self.disk.remove(fresh)
        self.disk.append(fresh, data)
        self.disk.sync(fresh)
        self.disk.rename(fresh, name)

    def _list(self, lowest: int, first: int, last: int) -> None:
        """Write down which segments there must be, and from where on there may be some that nobody needs."""
        self._replace(self.name, f"{lowest} {first} {last}".encode())
        self._lowest, self._first, self._last = lowest, first, last

    def _listed(self) -> tuple[int, int, int]:
        try:
            text = self.disk.read(self.name)
        except FileNotFoundError:
            return 1, 1, 0
        words = text.split()
        if len(words) != 3 or not all(word.isdigit() for word in words):
            raise JournalError(f"{self.name}: must list segments as three numbers (got {text[:40]!r})")
        lowest, first, last = map(int, words)
        return lowest, first, last

    def _first_record(self, segment: int) -> int:
        return int(SEGMENT_HEAD.unpack_from(self.disk.read(self.file(segment)))[2])


def packed(record: Record, durable: int) -> bytes:
    head = HEAD.pack(MARK, 0, len(record.payload), record.epoch, record.number, durable)
    checked = head[CHECKED_FROM:] + record.payload
    return MARK + struct.pack("<I", zlib.crc32(checked)) + checked


def parsed(data: bytes, at: int) -> tuple[Record, int, int] | None:
    """(record, durable, where it ends) of the record at a place; None where there is no good one."""
    if at + HEAD.size > len(data):
        return None
    mark, crc, length, epoch, number, durable = HEAD.unpack_from(data, at)
    end = at + HEAD.size + length
    if mark != MARK or length > PAYLOAD_MAX or end > len(data):
        return None
    if zlib.crc32(memoryview(data)[at + CHECKED_FROM : end]) != crc:
        return None
    return Record(epoch, number, data[at + HEAD.size : end]), durable, end
