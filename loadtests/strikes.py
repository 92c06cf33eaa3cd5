"""What breaks a gateway that is under load, on purpose: its processes, by id."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from loadtests.host_processes import HostProcesses

FROZEN_S = 3.0


@dataclass(frozen=True)
class Strike:
    """A way to break a host."""

    name: str
    sentence: str
    seat: str
    act: Callable[[int], None]  # of a process


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


def freeze(process: int) -> None:
    """It stands still, and goes on if nobody has ended it meanwhile."""
    os.kill(process, signal.SIGSTOP)
    time.sleep(FROZEN_S)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGCONT)


STRIKES = {
    strike.name: strike
    for strike in (
        Strike("kill-shard", "the process of shard 0 was killed", "shard-0", kill),
        Strike("kill-ledger", "the process of the Ledger was killed", "ledger", kill),
        Strike("freeze-shard", f"the process of shard 0 stood still for {FROZEN_S:g} s", "shard-0", freeze),
    )
}


class StrikeError(Exception):
    """Nothing could be struck; says why."""


class Striker:
    """Strikes once, so many seconds after a moment, in a thread of its own."""

    def __init__(self, strike: Strike, log: Path) -> None:
        """log: what the gateway says of its hosts."""
        self.strike, self._log = strike, log
        self.at = 0.0  # seconds since 1970; 0 while nothing was struck
        self.error = ""

    def begin(self, at: float) -> None:
        """at: seconds since 1970."""
        timer = threading.Timer(max(0.0, at - time.time()), self._act)
        timer.daemon = True
        timer.start()

    def _act(self) -> None:
        try:
            process = process_of(self.strike.seat, self._log)
            self.at = time.time()
            self.strike.act(process)
        except (OSError, StrikeError) as error:
            self.error = str(error)


def process_of(seat: str, log: Path) -> int:
    """The latest process that recovered as a host of a seat. Raises StrikeError."""
    known = HostProcesses(log)
    known.read()
    process = known.latest(seat)
    if not process:
        raise StrikeError(f"{log} names no process of {seat}")
    return process
