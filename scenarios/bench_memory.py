"""Resident memory of one cohort, measured in a process of its own: python -m scenarios.bench_memory."""

import json
import re
import sys
from pathlib import Path

from scenarios.bench_worlds import FIRST_USE, Days, warm_up


def kilobytes(name: str) -> int:
    """A line of the process's status, as VmRSS."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def measured(customers: int, days: int) -> dict[str, float]:
    warm_up()
    before = kilobytes("VmRSS")
    cohort = Days(FIRST_USE, customers, days)
    for _ in range(days):
        cohort.live_a_day()
    return {
        "resident": (kilobytes("VmRSS") - before) * 1024,
        "peak": (kilobytes("VmHWM") - before) * 1024,
        "arrays": cohort.worker.bytes_per_customer() * customers,
        "events": cohort.events,
    }


if __name__ == "__main__":
    print(json.dumps(measured(int(sys.argv[1]), int(sys.argv[2]))))
