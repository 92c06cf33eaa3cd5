"""What the benchmarks run: plans from the library, cohorts played inline, and a recorded mix of events."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from engine.policy.calendar_days import wall_ms
from engine.policy.document import Policy
from engine.policy.tables import compile_policy
from engine.policy.yaml_source import read
from engine.records import DAY_MS
from scenarios.calendar import calendar_of
from scenarios.population_document import Population
from scenarios.worker import CohortWorker, RunPlan, WorkerResult
from sim.cohort import Spans
from sim.world import World

LIBRARY = Path(__file__).resolve().parent / "library"
START = date(2026, 9, 7)  # a Monday
FIRST_USE, HEAVY, SHOP = "bank_card", "bench_32", "coupon_shop"  # policies of the library
SEED = 1


def plan_of(
    policy: str, days: int, *, record: bool = False, population: str = FIRST_USE, step_ms: int = DAY_MS
) -> RunPlan:
    """A policy of the library under measurement from the first moment, without a life before."""
    document = read(LIBRARY / "policies" / f"{policy}.yaml", Policy)
    people = read(LIBRARY / "populations" / f"{population}.yaml", Population)
    margin = timedelta(days=2)
    compiled = compile_policy(
        document.document, START - margin, START + timedelta(days=days) + margin, source=document.source
    )
    zone = ZoneInfo(document.document.time_zone)
    start, end = wall_ms(START, 0, zone), wall_ms(START + timedelta(days=days), 0, zone)
    return RunPlan(
        people.document, compiled, compiled, (), (), Spans(start, start, end, end, step_ms), SEED, record=record
    )


@dataclass
class Clock:
    """Seconds of each call, the least of them by `best`."""

    seconds: list[float] = field(default_factory=list)

    def time(self, action: Callable[[], object]) -> None:
        began = time.perf_counter()
        action()
        self.seconds.append(time.perf_counter() - began)

    @property
    def best(self) -> float:
        return min(self.seconds)


class InlineWorkers:
    """One worker in this process, as the world drives it."""

    def __init__(self, worker: CohortWorker) -> None:
        self.worker = worker
        self.advance = worker.advance
        self.moment = worker.moment
        self.rush = worker.rush
        self.launch = worker.launch
        self.end_campaign = worker.end_campaign


def live(plan: RunPlan, worker: CohortWorker) -> WorkerResult:
    """Live through a plan in this process; what was counted."""
    World(InlineWorkers(worker), plan.spans, calendar_of(plan), lambda t: None).run()
    return worker.result()


def warm_up() -> None:
    """Compile, or load from the cache, everything that a measured run calls."""
    plan = plan_of(FIRST_USE, 2)
    live(plan, CohortWorker(plan, 0, 100))


class Days:
    """A cohort that lives one day after the other, without the world around it."""

    def __init__(self, policy: str, customers: int, days: int) -> None:
        self.plan, self.day = plan_of(policy, days), 0
        self.worker = CohortWorker(self.plan, 0, customers)
        self.worker.launch()

    @property
    def events(self) -> int:
        return self.worker.cohort.events

    def live_a_day(self) -> float:
        """Live the next day; nanoseconds an event."""
        since, before = self.plan.spans.start + self.day * DAY_MS, self.events
        began = time.perf_counter()
        self.worker.advance(since, since + DAY_MS)
        seconds = time.perf_counter() - began
        self.day += 1
        return 1e9 * seconds / (self.events - before)


@dataclass(frozen=True)
class Recorded:
    """A run's events in the order of their times, with the customers as they were before the first."""

    plan: RunPlan
    profiles: np.ndarray
    events: np.ndarray
    decisions: np.ndarray
    digest: str
    candidates: int  # tested in all


def recorded(policy: str, customers: int, days: int) -> Recorded:
    """Events of a run, reactions included, as a gateway would get them: by time, customers in no order."""
    plan = plan_of(policy, days, record=True)
    worker = CohortWorker(plan, 0, customers)
    profiles = worker.shard.customers.copy()
    result = live(plan, worker)
    assert result.recorded is not None
    events, decisions = result.recorded.events, result.recorded.decision_log
    scrambled = (events["customer"].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    order = np.lexsort((events["sequence"], scrambled, events["time_ms"]))
    candidates = int(result.measured.waterfall.sum())
    return Recorded(plan, profiles, events[order], decisions[order], result.digest, candidates)
