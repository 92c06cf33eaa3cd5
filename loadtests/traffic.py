"""Traffic for drills: what a synthetic population did, step by step, as batches for any number of shards."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from engine.host.ledger import LedgerHost
from engine.host.messages import Batch
from engine.host.shard import CustomerShard
from engine.host.wire import WITH_CARTS
from engine.records import NONE, Bulletin
from scenarios.bench_worlds import plan_of
from scenarios.build import model_of
from scenarios.lone_world import LoneWorld
from scenarios.recording import Recorded, recording_of
from scenarios.worker import RunPlan
from sim.cohort import Cohort

CLIENT = "client"
Bounds = Sequence[tuple[int, int]]  # [first, end) of each shard


@dataclass(frozen=True)
class Traffic:
    """What customers 0 … n - 1 did, step by step, from the first moment of a policy on."""

    plan: RunPlan
    customers: int
    steps: list[Recorded]  # of one settlement each
    times: list[int]  # ms, when each is settled

    @property
    def events(self) -> int:
        return sum(len(step.events) for step in self.steps)

    def first(self, steps: int) -> "Traffic":
        """Only its beginning."""
        return replace(self, steps=self.steps[:steps], times=self.times[:steps])

    @cached_property
    def profiles(self) -> np.ndarray:
        """CUSTOMER[customers], before anything."""
        return profiles_of(self.plan, 0, self.customers)

    @cached_property
    def bulletin(self) -> Bulletin:
        """The first one."""
        return ledger_of(self.plan, [(0, self.customers)]).bulletin()

    def shard(self, first: int, end: int) -> CustomerShard:
        """Customers as they are before anything; drawn once for all that ask."""
        return shard_of(self.plan, first, end, self.profiles[first:end], self.bulletin)

    def batches(self, shard: int, first: int, end: int, client: str = CLIENT) -> list[Batch]:
        """What the customers in [first, end) did: a batch a step, perhaps empty."""
        return [
            batch_of(step, client, shard, number, time_ms, first, end)
            for number, (step, time_ms) in enumerate(zip(self.steps, self.times, strict=True), 1)
        ]


def profiles_of(plan: RunPlan, first: int, end: int) -> np.ndarray:
    """CUSTOMER[end - first] before anything."""
    model = model_of(plan.population, plan.baseline, plan.spans, (plan.seed, plan.replication), plan.customers)
    return Cohort(first, end - first, model, plan.spans).profiles


def shard_of(
    plan: RunPlan, first: int, end: int, profiles: np.ndarray | None, bulletin: Bulletin | None = None
) -> CustomerShard:
    """Customers of a policy; without profiles they are still to be put in."""
    policy = plan.policy
    shard = CustomerShard(first, end - first, policy.tables, policy.registry.slots)
    if profiles is not None:
        shard.customers[:] = profiles
    shard.take_bulletin(bulletin or ledger_of(plan, [(first, end)]).bulletin())
    return shard


def ledger_of(plan: RunPlan, bounds: Bounds, live: bool = False) -> LedgerHost:
    policy = plan.policy
    return LedgerHost(policy.tables, policy.coupons, policy.budgets, bounds, plan.spans.start, live=live)


def record_traffic(policy: str, population: str, customers: int, days: int, step_ms: int) -> Traffic:
    """Live through a plan of the library on one core, and keep what everybody did."""
    plan = plan_of(policy, days, record=True, population=population, step_ms=step_ms)
    world = LoneWorld(plan, customers)
    world.run()
    recorded = recording_of(world.worker.recorder).recorded()
    times = plan.spans.start + step_ms * np.arange(1, len(recorded.steps) + 1)
    return Traffic(plan, customers, steps_of(recorded), times.tolist())


def steps_of(recorded: Recorded) -> list[Recorded]:
    """A recording by step."""
    names = ("events", "decision_log", "asks", "receipts", "cart_lines", "origins")
    counts = dict(zip(names, recorded.steps.T[[0, 0, 1, 1, 2, 3]], strict=True))
    ends = {name: np.cumsum(count) for name, count in counts.items()}

    def part(name: str, at: int) -> np.ndarray:
        log: np.ndarray = getattr(recorded, name)
        return log[ends[name][at] - counts[name][at] : ends[name][at]]

    def step(at: int) -> Recorded:
        parts = {name: part(name, at) for name in names}
        return recorded._replace(**parts, enrolled=recorded.enrolled[:0], steps=recorded.steps[at : at + 1])

    return [step(at) for at in range(len(recorded.steps))]


def batch_of(step: Recorded, client: str, shard: int, number: int, time_ms: int, first: int, end: int) -> Batch:
    """The part of a step that is of some customers, with asks, carts and origins of its own."""
    events = step.events[(step.events["customer"] >= first) & (step.events["customer"] < end)].copy()
    asking = np.flatnonzero(events["ask"] != NONE)
    asks = step.asks[events["ask"][asking]].copy()
    carts = np.flatnonzero(np.isin(events["kind"][asking], WITH_CARTS))
    lines = np.concatenate([np.arange(0), *(lines_of(asks[at]) for at in carts)])
    sizes = asks["lines"][carts].astype(np.int64)
    asks["first_line"][carts] = np.cumsum(sizes) - sizes
    events["ask"][asking] = np.arange(len(asking))
    traced = np.flatnonzero(events["origin"] != NONE)
    origins = step.origins[events["origin"][traced]].copy()
    events["origin"][traced] = np.arange(len(traced))
    return Batch(client, shard, number, time_ms, events, asks, step.cart_lines[lines].copy(), origins)


def lines_of(ask: np.void) -> np.ndarray:
    return np.arange(int(ask["first_line"]), int(ask["first_line"]) + int(ask["lines"]))
