"""A folder that a drill can make full or slow while a host writes to it, and take from what was not synced."""

import errno
import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.host.disk import FolderDisk

CONTROL, SYNCED, TORN = "drill.json", "drill-synced.json", "drill-torn"


@dataclass(frozen=True)
class Trouble:
    """What is wrong with the folder."""

    room: int = -1  # bytes that can still be written; -1: as many as there are
    sync_s: float = 0.0  # added to every sync


def make_trouble(folder: Path, trouble: Trouble) -> None:
    """From the next call on."""
    draft = folder / f"{CONTROL}.new"
    draft.write_text(json.dumps(asdict(trouble)))
    draft.rename(folder / CONTROL)


class DrillDisk(FolderDisk):
    """The real folder; writes beyond a quota fail as the operating system has them fail."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._control, self._read_ns, self._trouble, self._left = folder / CONTROL, 0, Trouble(), -1

    def append(self, name: str, data: bytes) -> None:
        self._look()
        if self._trouble.room >= 0:
            part = data[: max(self._left, 0)]
            super().append(name, part)
            self._left -= len(part)
            if len(part) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder / name))
            return
        super().append(name, data)

    def sync(self, name: str) -> None:
        self._look()
        time.sleep(self._trouble.sync_s)
        super().sync(name)

    def _look(self) -> None:
        try:
            changed = self._control.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if changed != self._read_ns:
            self._trouble = Trouble(**json.loads(self._control.read_text()))
            self._read_ns, self._left = changed, self._trouble.room


class PoweredDisk(DrillDisk):
    """It notes what is synced, so that a drill can have power lost: a killed process leaves the rest to the operating
    system, which keeps it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._synced, self._lock = synced_in(folder), threading.Lock()  # snapshots are written beside the records

    def sync(self, name: str) -> None:
        super().sync(name)
        about = os.fstat(self._descriptor(name))
        with self._lock:
            self._synced[about.st_ino] = about.st_size
            self._note()

    def rename(self, old: str, new: str) -> None:
        self._forget(new)
        super().rename(old, new)

    def remove(self, name: str) -> None:
        self._forget(name)
        super().remove(name)

    def _forget(self, name: str) -> None:
        """Its number will be given to another file."""
        with self._lock:
            if (self.folder / name).exists():
                self._synced.pop((self.folder / name).stat().st_ino, None)

    def _note(self) -> None:
        draft = self.folder / f"{SYNCED}.new"
        draft.write_text(json.dumps(list(self._synced.items())))
        draft.rename(self.folder / SYNCED)


def synced_in(folder: Path) -> dict[int, int]:
    """Bytes that are synced, by inode."""
    noted = folder / SYNCED
    return dict(json.loads(noted.read_text())) if noted.exists() else {}


def lose_power(folder: Path) -> int:
    """Take away what was not synced, of a host that has ended; returns how many bytes that were. Half a record that a
    drill has left is there afterwards, as where power went in the middle of a write."""
    synced, gone = synced_in(folder), 0
    for file in folder.glob("*.*"):
        if not file.name.startswith("drill"):
            about = file.stat()
            keeps = min(about.st_size, synced.get(about.st_ino, 0))
            gone += about.st_size - keeps
            os.truncate(file, keeps)
    if (folder / TORN).exists():
        with max(folder.glob("*.journal-*")).open("ab") as last:
            last.write((folder / TORN).read_bytes())
        (folder / TORN).unlink()
    return gone
