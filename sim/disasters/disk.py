"""A disk that loses what was not synced, tears writes, fills up and fails, all by seed.

Files live in sectors. What was appended and not synced is, at a crash, kept sector by sector or not, in no order, and
a sector that is not kept reads as zeros: what page caches and drives do. After a failed sync its data may be gone
although the next sync succeeds (Rebello and others, Can applications recover from fsync failures?, 2020).
"""

import errno
import os
from dataclasses import dataclass, field
from random import Random

SECTOR = 512


@dataclass
class Faults:
    """Chances of what may happen at a call, 0 to 1; `full` bytes is what fits, 0 for no bound."""

    write_fails: float = 0.0
    sync_fails: float = 0.0
    full: int = 0


@dataclass
class File:
    data: bytearray = field(default_factory=bytearray)
    durable: int = 0  # bytes that a crash leaves alone


class SeededDisk:
    """`engine.host.disk.Disk` in memory. `crash()` is a loss of power; `happened` names the faults that came up."""

    def __init__(self, random: Random, faults: Faults | None = None) -> None:
        self.random, self.faults = random, faults or Faults()
        self.files: dict[str, File] = {}
        self.happened: set[str] = set()

    # --- the five calls -----------------------------------------------------------------------------------------------
    def append(self, name: str, data: bytes) -> None:
        file = self.files.setdefault(name, File())
        room = self.faults.full - self.used if self.faults.full else len(data)
        if room < len(data):
            file.data += data[: max(room, 0)]
            self._fail("disk full", errno.ENOSPC)
        if self._comes("write failed", self.faults.write_fails):
            file.data += data[: self.random.randrange(len(data) + 1)]
            raise OSError(errno.EIO, os.strerror(errno.EIO), name)
        file.data += data

    def sync(self, name: str) -> None:
        file = self.files.setdefault(name, File())
        if self._comes("sync failed", self.faults.sync_fails):
            self._lose(file)
            raise OSError(errno.EIO, os.strerror(errno.EIO), name)
        file.durable = len(file.data)

    def read(self, name: str) -> bytes:
        if name not in self.files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return bytes(self.files[name].data)

    def rename(self, old: str, new: str) -> None:
        self.files[new] = self.files.pop(old)

    def remove(self, name: str) -> None:
        self.files.pop(name, None)

    # --- disasters ----------------------------------------------------------------------------------------------------
    def crash(self) -> None:
        """Power is lost: of what was not synced, some sectors are there, others are zeros or missing at the end."""
        for name, file in list(self.files.items()):
            unsynced = len(file.data) - file.durable
            if unsynced and file.durable == 0 and self.random.random() < 0.2:
                self.happened.add("file lost")
                del self.files[name]  # its folder never heard of it
            elif unsynced:
                self.happened.add("unsynced data lost")
                self._lose(file)
                del file.data[file.durable + self.random.randrange(unsynced + 1) :]
                file.durable = len(file.data)

    @property
    def used(self) -> int:
        return sum(len(file.data) for file in self.files.values())

    def _lose(self, file: File) -> None:
        """Sectors of what is not durable become zeros."""
        for start in range(file.durable // SECTOR * SECTOR, len(file.data), SECTOR):
            first, end = max(start, file.durable), min(start + SECTOR, len(file.data))
            if self.random.random() < 0.5:
                file.data[first:end] = bytes(end - first)

    def _comes(self, what: str, chance: float) -> bool:
        comes = chance > 0 and self.random.random() < chance
        if comes:
            self.happened.add(what)
        return comes

    def _fail(self, what: str, number: int) -> None:
        self.happened.add(what)
        raise OSError(number, os.strerror(number))
