"""Where hosts keep what must not be lost: five calls, so that a simulator of disasters can stand in for them."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """A folder of flat files. Every call may raise OSError; after that nobody knows what was kept."""

    def append(self, name: str, data: bytes) -> None:
        """Write at the end of a file, which begins empty. Not durable before `sync`."""

    def sync(self, name: str) -> None:
        """What was appended to a file outlives a loss of power."""

    def read(self, name: str) -> bytes:
        """The whole file. Raises FileNotFoundError."""

    def rename(self, old: str, new: str) -> None:
        """Put a file in another's place, at once or not at all, durably. Its contents were synced before."""

    def remove(self, name: str) -> None:
        """Take a file away, if there is one."""


def sync_folder(folder: Path) -> None:
    """The names in a folder outlive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def locked(folder: Path) -> int:
    """Keep every other process from using a folder: until the descriptor is closed, or we end, however we end. Raises
    BlockingIOError where another one has it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise BlockingIOError(errno.EAGAIN, "another process uses the folder", str(folder)) from error
    return descriptor


class FolderDisk:
    """A folder of a file system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._open: dict[str, int] = {}  # descriptors of files being appended to

    def append(self, name: str, data: bytes) -> None:
        left, descriptor = memoryview(data), self._descriptor(name)
        while left:
            left = left[os.write(descriptor, left) :]

    def sync(self, name: str) -> None:
        os.fdatasync(self._descriptor(name))

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def rename(self, old: str, new: str) -> None:
        self._close(old)
        self._close(new)
        os.replace(self.folder / old, self.folder / new)
        self._sync_folder()

    def remove(self, name: str) -> None:
        self._close(name)
        (self.folder / name).unlink(missing_ok=True)

    def close(self) -> None:
        """Give the descriptors back."""
        for name in list(self._open):
            self._close(name)

    def _descriptor(self, name: str) -> int:
        if name not in self._open:
            there = (self.folder / name).exists()
            self._open[name] = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            if not there:
                self._sync_folder()  # a file that its folder has forgotten is lost, whatever was synced into it
        return self._open[name]

    def _close(self, name: str) -> None:
        if name in self._open:
            os.close(self._open.pop(name))

    def _sync_folder(self) -> None:
        sync_folder(self.folder)


class MemoryDisk:
    """Files in memory: what is promised of them ends with the process."""

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}

    def append(self, name: str, data: bytes) -> None:
        self.files.setdefault(name, bytearray()).extend(data)

    def sync(self, name: str) -> None:
        """There is nothing that would outlive us."""

    def read(self, name: str) -> bytes:
        if name not in self.files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return bytes(self.files[name])

    def rename(self, old: str, new: str) -> None:
        self.files[new] = self.files.pop(old)

    def remove(self, name: str) -> None:
        self.files.pop(name, None)
