"""A disk that loses what was not synced, tears writes, fills up, fails and takes its host with it, all by seed.

Files live in sectors. What was appended and not synced is, at a crash, kept sector by sector or not, in no order, and
a sector that is not kept reads as zeros: what page caches and drives do. After a failed sync its data may be gone
although the next sync succeeds, at once or only after a crash, until which it can be read (Rebello and others, Can
applications recover from fsync failures?, 2020). A file that was removed may be there again after a crash, until its
folder is synced, as it is whenever a file is begun or renamed.
"""

import errno
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

SECTOR = 512


class PowerLoss(BaseException):
    """Power went in the midst of a call. No program hears of it: whoever runs the host takes it for a crash."""


@dataclass
class Faults:
    """Chances of what may happen at a call, 0 to 1; `full` bytes is what fits, 0 for no bound; a sync takes up to
    `slow_ms`."""

    write_fails: float = 0.0
    sync_fails: float = 0.0
    full: int = 0
    read_fails: float = 0.0
    dies: float = 0.0
    slow_ms: int = 0


@dataclass
class File:
    data: bytearray = field(default_factory=bytearray)
    durable: int = 0  # bytes that a crash leaves alone …
    phantoms: list[tuple[int, int]] = field(default_factory=list)  # … but for these: their sync failed


class SeededDisk:
    """`engine.host.disk.Disk` in memory. `crash()` is a loss of power; `happened` counts the faults that came up."""

    def __init__(self, random: Random, faults: Faults | None = None, happened: Counter[str] | None = None) -> None:
        self.random, self.faults = random, faults or Faults()
        self.files: dict[str, File] = {}
        self.happened: Counter[str] = Counter() if happened is None else happened
        self.took_ms = 0  # virtual time that calls took, for whoever keeps the clock
        # What a crash may bring back, since their folder was last synced: files that were removed or renamed over.
        self._removed: dict[str, File] = {}
        self._renamed: dict[str, File] = {}

    # --- the five calls -----------------------------------------------------------------------------------------------
    def append(self, name: str, data: bytes) -> None:
        part = self.random.randrange(len(data) + 1) if self.faults.dies else 0
        self._call("append", lambda: self._append(name, data), lambda: self._append(name, data[:part]))

    def sync(self, name: str) -> None:
        self._call("sync", lambda: self._sync(name), lambda: self._sync_some(name))

    def read(self, name: str) -> bytes:
        self._call("read", lambda: None)
        if self._comes("read failed", self.faults.read_fails):
            raise OSError(errno.EIO, os.strerror(errno.EIO), name)
        if name not in self.files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return bytes(self.files[name].data)

    def rename(self, old: str, new: str) -> None:
        self._call("rename", lambda: self._rename(old, new))

    def remove(self, name: str) -> None:
        self._call("remove", lambda: self._remove(name))

    # --- what they do -------------------------------------------------------------------------------------------------
    def _append(self, name: str, data: bytes) -> None:
        if name not in self.files:
            self._sync_folder()
        file = self.files.setdefault(name, File())
        room = self.faults.full - self.used if self.faults.full else len(data)
        if room < len(data):
            file.data += data[: max(room, 0)]
            self._fail("disk full", errno.ENOSPC)
        if self._comes("write failed", self.faults.write_fails):
            file.data += data[: self.random.randrange(len(data) + 1)]
            raise OSError(errno.EIO, os.strerror(errno.EIO), name)
        file.data += data

    def _sync(self, name: str) -> None:
        file = self.files.setdefault(name, File())
        if self.faults.slow_ms:
            self.took_ms += self.random.randrange(self.faults.slow_ms + 1)
        if self._comes("sync failed", self.faults.sync_fails):
            self._lose(file, at_once=self.random.random() < 0.5)
            raise OSError(errno.EIO, os.strerror(errno.EIO), name)
        file.durable = len(file.data)

    def _sync_some(self, name: str) -> None:
        file = self.files.setdefault(name, File())
        file.durable += self.random.randrange(len(file.data) - file.durable + 1)

    def _rename(self, old: str, new: str) -> None:
        if not self._comes("rename failed", self.faults.write_fails):
            self.files[new] = self.files.pop(old)
            self._sync_folder()
            return
        if self.random.random() < 0.5:  # done, and its folder could not be synced
            self._renamed.setdefault(new, self.files.get(new, File()))
            self.files[new] = self.files.pop(old)
        raise OSError(errno.EIO, os.strerror(errno.EIO), new)

    def _sync_folder(self) -> None:
        self._removed, self._renamed = {}, {}

    def _remove(self, name: str) -> None:
        if self._comes("remove failed", self.faults.write_fails):
            raise OSError(errno.EIO, os.strerror(errno.EIO), name)
        file = self.files.pop(name, None)
        if file is not None:
            self._removed[name] = file

    def _call(self, what: str, whole: Callable[[], None], part: Callable[[], None] | None = None) -> None:
        """Power may go before a call, after it and, where it has parts, in the middle."""
        if not self.faults.dies or self.random.random() >= self.faults.dies:
            return whole()
        when = self.random.choice(("before", "after", "in") if part else ("before", "after"))
        if when == "after":
            whole()
        elif when == "in" and part:
            part()
        self.happened[f"power lost {when} {what}"] += 1
        raise PowerLoss(what)

    # --- disasters ----------------------------------------------------------------------------------------------------
    def crash(self) -> None:
        """Power is lost: of what was not synced, some sectors are there, others are zeros or missing at the end."""
        self._bring_back()
        for name, file in list(self.files.items()):
            unsynced = len(file.data) - file.durable
            for first, end in file.phantoms:
                self.happened["data lost whose sync had failed"] += 1
                file.data[first:end] = bytes(end - first)
            file.phantoms = []
            if unsynced and file.durable == 0 and self.random.random() < 0.2:
                self.happened["file lost"] += 1
                del self.files[name]  # its folder never heard of it
            elif unsynced:
                self.happened["unsynced data lost"] += 1
                self._lose(file)
                del file.data[file.durable + self.random.randrange(unsynced + 1) :]
                file.durable = len(file.data)

    def _bring_back(self) -> None:
        for name, file in self._removed.items():
            if name not in self.files and self.random.random() < 0.5:
                self.happened["removed file came back"] += 1
                self.files[name] = file
        for name, file in self._renamed.items():
            if self.random.random() < 0.5:
                self.happened["rename undone"] += 1
                self.files[name] = file
        self._sync_folder()

    @property
    def used(self) -> int:
        return sum(len(file.data) for file in self.files.values())

    def keeps(self, prefix: str) -> bool:
        """Whether a crash now would leave alone all that is in some files."""
        files = (file for name, file in self.files.items() if name.startswith(prefix))
        return all(file.durable == len(file.data) and not file.phantoms for file in files)

    def _lose(self, file: File, at_once: bool = True) -> None:
        """Sectors of what is not durable become zeros, now or at a crash."""
        for start in range(file.durable // SECTOR * SECTOR, len(file.data), SECTOR):
            first, end = max(start, file.durable), min(start + SECTOR, len(file.data))
            if self.random.random() >= 0.5:
                continue
            if at_once:
                file.data[first:end] = bytes(end - first)
            else:
                file.phantoms.append((first, end))

    def _comes(self, what: str, chance: float) -> bool:
        comes = chance > 0 and self.random.random() < chance
        if comes:
            self.happened[what] += 1
        return comes

    def _fail(self, what: str, number: int) -> None:
        self.happened[what] += 1
        raise OSError(number, os.strerror(number))
