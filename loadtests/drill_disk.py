"""A folder that a drill can make full or slow while a host writes to it."""

import errno
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.host.disk import FolderDisk

CONTROL = "drill.json"


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
