"""How busy the processes of a target and of the generators are, looked at twice a second from outside."""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psutil

EVERY_S = 0.5
GENERATOR, OTHERS = "generator", "everything else on the machine"
IDLE = ("idle", "iowait", "guest", "guest_nice")  # times of a machine in which it does nothing, or that count twice
Sample = tuple[float, dict[str, float]]  # seconds since 1970, cores by name


@dataclass(frozen=True)
class Part:
    """A process that is watched, with all below it."""

    process: int
    names: Callable[[int, str], str] | None = None  # of a process below it, by id and title; without, all are one
    refresh: Callable[[], None] = lambda: None  # before names are asked for


def cores_of_machine() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))


class Watch:
    """Cores used by each part, as samples."""

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self._parts = {name: (psutil.Process(part.process), part) for name, part in parts.items()}
        self._seen: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        before = time.monotonic()
        self._used()
        whole = busy_seconds()
        while not self._ended.wait(EVERY_S):
            now, used = time.monotonic(), self._used()
            total, past = busy_seconds(), now - before
            cores = {name: seconds / past for name, seconds in used.items()}
            cores[OTHERS] = max(0.0, (total - whole) / past - sum(cores.values()))
            self.samples.append((time.time(), cores))
            before, whole = now, total

    def _used(self) -> dict[str, float]:
        """Seconds of a core since the last look, by name of a process within a part."""
        used: dict[str, float] = defaultdict(float)
        for name, (root, part) in self._parts.items():
            part.refresh()
            try:
                family = [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            for process in family:
                try:
                    times = process.cpu_times()
                    own = name if part.names is None or process == root else part.names(process.pid, title(process))
                except (psutil.NoSuchProcess, psutil.ZombieProcess):
                    continue
                now = times.user + times.system
                used[own] += now - self._seen.get(process.pid, now)
                self._seen[process.pid] = now
        return used


def title(process: psutil.Process) -> str:
    return (process.cmdline() or [""])[0]


def busy_seconds() -> float:
    """Of all cores together, since the machine was started."""
    times = psutil.cpu_times()._asdict()
    return sum(seconds for name, seconds in times.items() if name not in IDLE)


def cores_between(samples: list[Sample], since: float, until: float) -> dict[str, float]:
    """Mean cores by name over some time (seconds since 1970)."""
    within = [cores for at, cores in samples if since <= at <= until]
    names = {name for cores in within for name in cores}
    return {name: sum(cores.get(name, 0.0) for cores in within) / len(within) for name in sorted(names)}
