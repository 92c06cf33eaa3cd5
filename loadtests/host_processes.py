"""Which process of our gateway is which: its log names the process of every host that has recovered."""

import json
from pathlib import Path

GATEWAY, LEDGER, SPARE, RAY = "gateway", "Ledger", "a spare host", "Ray's own processes"
SHARD = "shard "
HOST_PROCESS = "HostProcess"  # in the title of a host's process, whether it has a seat or waits for one
FIRST = "1"  # host of a seat, which it begins with


class HostProcesses:
    """Read on as the log grows: a host that takes over is a process of its own."""

    def __init__(self, log: Path | None) -> None:
        self._log, self._at = log, 0
        self.hosts: dict[int, str] = {}  # by process, the latest that recovered last

    def read(self) -> None:
        """What was logged since."""
        if self._log is None or not self._log.is_file():
            return
        with self._log.open("rb") as file:
            file.seek(self._at)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._at += len(whole) + len(newline)
        for line in whole.decode("utf-8", "replace").splitlines():
            if line.startswith("{") and (said := json.loads(line)).get("event") == "recovered":
                self.hosts.pop(said["process"], None)
                self.hosts[said["process"]] = said["host"]

    def latest(self, seat: str) -> int:
        """The process that recovered last as a host of a seat; 0 without one."""
        return next((process for process, host in reversed(self.hosts.items()) if seat_of(host) == seat), 0)

    def name(self, process: int, title: str) -> str:
        """Of a process below the gateway's: its seat, with the host's number where it is not the first one."""
        if process in self.hosts:
            return worded(self.hosts[process])
        return SPARE if HOST_PROCESS in title else RAY


def seat_of(host: str) -> str:
    return host.rpartition(".")[0]


def worded(host: str) -> str:
    """shard-0.1 is shard 0; shard-0.3, which took over, is shard 0 (host 3)."""
    seat, _, number = host.rpartition(".")
    name = LEDGER if seat == "ledger" else seat.replace("-", " ")
    return name if number == FIRST else f"{name} (host {number})"


def shard_of(name: str) -> str:
    """The shard that a process by that name decides for, or follows; empty for another one."""
    return name.partition(" (")[0] if name.startswith(SHARD) else ""
