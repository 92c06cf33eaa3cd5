"""A replica in a process of its own: what a carrier starts, hands messages, and asks how it fares."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.host.disk import Disk, FolderDisk, MemoryDisk, locked
from engine.host.machines import Machine
from engine.host.messages import Envelope, Message
from engine.host.replica import Care, Promise, Replica
from engine.host.warming import keep_what_is_loaded

Build = Callable[[str, bool], Machine]  # of a seat; whether it begins with nothing, so that its customers are needed
LOCKED_WITHIN_S = 10.0
MakeDisk = Callable[[Path], Disk]


@dataclass(frozen=True)
class Recovery:
    """Seconds of wall clock since the epoch, so that processes can be compared."""

    process: int  # its id
    began: float  # the process had everything imported, and took its seat
    loaded: float  # its snapshot was taken up
    replayed: float  # the tail of its journal was
    records: int  # in the tail


def _lock(folder: Path) -> None:
    """An earlier process may outlive whoever started it by some seconds. Raises BlockingIOError."""
    end = time.monotonic() + LOCKED_WITHIN_S
    while True:
        try:
            locked(folder)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class HostProcess:
    """One host of a seat, on a folder of its own. Until it takes its seat it is a spare: started, imported, warm."""

    def __init__(self, warm: Callable[[], object]) -> None:
        """warm: does once whatever is slow the first time."""
        warm()
        keep_what_is_loaded()
        self.replica: Replica | None = None

    def is_warm(self) -> int:
        """The id of the process."""
        return os.getpid()

    def pulse(self) -> None:
        """Answered beside whatever else is being done: the process runs."""

    def take_seat(
        self, build: Build, host: str, seat: str, folder: str, care: Care, disk: MakeDisk = FolderDisk
    ) -> Recovery:
        """Become a host, and recover what its folder has."""
        began = time.time()
        if care.promise != Promise.MEMORY:
            _lock(Path(folder))
        files = MemoryDisk() if care.promise == Promise.MEMORY else disk(Path(folder))
        self.replica = Replica(host, seat, partial(build, seat), files, care, ThreadPoolExecutor(1))
        records = self.replica.recover()
        return Recovery(os.getpid(), began, self.replica.loaded, time.time(), records)

    def receive(self, messages: Sequence[Message]) -> list[Envelope]:
        """Take messages in order."""
        assert self.replica is not None, "a spare has no seat"
        now, replica = time.monotonic_ns() // 1_000_000, self.replica
        return [envelope for message in messages for envelope in replica.receive(message, now)]

    def digest(self) -> str:
        assert self.replica is not None
        return self.replica.machine.digest()

    def decided(self) -> int:
        """Events that the state knows of."""
        assert self.replica is not None
        return self.replica.machine.decided
