"""How busy the processes of a target and of the generators are, looked at twice a second from outside."""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping

import psutil

EVERY_S = 0.5
OTHERS = "everything else on the machine"
HOST_PROCESS, HOSTS, RAY = "HostProcess", "shards and Ledger", "Ray and others"
Sample = tuple[float, dict[str, float]]  # seconds since 1970, cores by name


class Watch:
    """Cores used by each part, as samples; parts: name → process whose children count, too."""

    def __init__(self, parts: Mapping[str, int]) -> None:
        self._parts = {name: psutil.Process(pid) for name, pid in parts.items()}
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
        whole = sum(psutil.cpu_times()[:3])
        while not self._ended.wait(EVERY_S):
            now, used = time.monotonic(), self._used()
            total, past = sum(psutil.cpu_times()[:3]), now - before
            cores = {name: seconds / past for name, seconds in used.items()}
            cores[OTHERS] = max(0.0, (total - whole) / past - sum(cores.values()))
            self.samples.append((time.time(), cores))
            before, whole = now, total

    def _used(self) -> dict[str, float]:
        """Seconds of a core since the last look, by name of a process within a part."""
        used: dict[str, float] = defaultdict(float)
        for part, root in self._parts.items():
            try:
                family = [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            for process in family:
                try:
                    times = process.cpu_times()
                    name = part if process.pid == root.pid else f"{part}: {named(process)}"
                except (psutil.NoSuchProcess, psutil.ZombieProcess):
                    continue
                now = times.user + times.system
                used[name] += now - self._seen.get(process.pid, now)
                self._seen[process.pid] = now
        return used


def named(process: psutil.Process) -> str:
    """What a process of the target is."""
    words = process.cmdline()
    return HOSTS if words and HOST_PROCESS in words[0] else RAY


def cores_between(samples: list[Sample], since: float, until: float) -> dict[str, float]:
    """Mean cores by name over some time (seconds since 1970)."""
    within = [cores for at, cores in samples if since <= at <= until]
    names = {name for cores in within for name in cores}
    return {name: sum(cores.get(name, 0.0) for cores in within) / len(within) for name in sorted(names)}
