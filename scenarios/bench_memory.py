"""Resident memory of one cohort, measured in a process of its own: python -m scenarios.bench_memory."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from engine.coupon_records import CouponCell
from engine.host.ledger import TICK_MS
from scenarios.bench_worlds import FIRST_USE, SHOP, Days, plan_of, warm_up
from scenarios.lone_world import LoneWorld
from scenarios.worker import CohortWorker


def kilobytes(name: str) -> int:
    """A line of the process's status, as VmRSS."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def cards(customers: int, days: int) -> CohortWorker:
    """Customers without wallets."""
    cohort = Days(FIRST_USE, customers, days)
    for _ in range(days):
        cohort.live_a_day()
    return cohort.worker


def wallets(customers: int, days: int) -> CohortWorker:
    """Customers who claim, order and redeem, and the Ledger beside them."""
    plan = plan_of(SHOP, days, population=SHOP, step_ms=TICK_MS)
    world = LoneWorld(replace(plan, customers=customers), customers)
    world.run()
    return world.worker


LIVES: dict[str, Callable[[int, int], CohortWorker]] = {"cards": cards, "wallets": wallets}


def measured(kind: str, customers: int, days: int) -> dict[str, float]:
    warm_up()
    LIVES[kind](100, 2)
    before = kilobytes("VmRSS")
    worker = LIVES[kind](customers, days)
    return {
        "resident": (kilobytes("VmRSS") - before) * 1024,
        "peak": (kilobytes("VmHWM") - before) * 1024,
        "arrays": worker.bytes_per_customer() * customers,
        "events": worker.cohort.events,
        "granted": int(worker.shard.tallies.cohorts[..., CouponCell.GRANTED].sum()),
    }


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
