"""A replica in a process of its own: what a carrier starts, hands messages, and asks how it fares."""

import os
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from engine.host.disk import Disk, FolderDisk, MemoryDisk
from engine.host.machines import Machine
from engine.host.messages import Envelope, Message
from engine.host.replica import Care, Promise, Replica

Build = Callable[[str, bool], Machine]  # of a seat; whether it begins with nothing, so that its customers are needed
MakeDisk = Callable[[Path], Disk]


@dataclass(frozen=True)
class Recovery:
    """Seconds of wall clock since the epoch, so that processes can be compared."""

    process: int  # its id
    began: float  # the process was there and had everything imported
    loaded: float  # its snapshot was taken up
    replayed: float  # the tail of its journal was
    records: int  # in the tail


class HostProcess:
    """One host of a seat, on a folder of its own."""

    def __init__(
        self, build: Build, host: str, seat: str, folder: str, care: Care, disk: MakeDisk = FolderDisk
    ) -> None:
        began = time.time()
        files = MemoryDisk() if care.promise == Promise.MEMORY else disk(Path(folder))
        fresh = not (Path(folder) / f"{seat}.snapshot").exists()
        self.replica = Replica(host, seat, build(seat, fresh), files, care, ThreadPoolExecutor(1))
        records = self.replica.recover()
        self.recovery = Recovery(os.getpid(), began, self.replica.loaded, time.time(), records)

    def how_recovered(self) -> Recovery:
        return self.recovery

    def receive(self, messages: Sequence[Message]) -> list[Envelope]:
        """Take messages in order."""
        now = time.monotonic_ns() // 1_000_000
        return [envelope for message in messages for envelope in self.replica.receive(message, now)]

    def digest(self) -> str:
        return self.replica.machine.digest()

    def decided(self) -> int:
        """Events that the state knows of."""
        return self.replica.machine.decided

    def peak_bytes(self) -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
