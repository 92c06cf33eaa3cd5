"""Decisions through Ray shards that journal and sync every batch before they answer, against one call a decision."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.coupon_records import ASK, LINE
from engine.fraud_records import ORIGIN
from engine.host.machines import Machine
from engine.host.messages import Answered, Batch, Lead
from engine.host.partitions import bounds_of
from engine.host.ray_cluster import cluster
from engine.host.ray_fleet import Lost, RayFleet
from engine.host.replica import Care
from engine.host.shard import CustomerShard
from engine.host.shard_machine import IN_FLIGHT, ShardMachine
from engine.records import PARTITIONS
from scenarios.bench_rows import MILLION, Row, reached, say
from scenarios.bench_worlds import HEAVY, Recorded, recorded
from scenarios.worker import RunPlan, owned

SHARDS = 2
CARE = Care(records_between_snapshots=1_000_000)  # none is taken meanwhile
WARM_EVENTS = 1_000
CUSTOMERS, DAYS, EVENTS = 100_000, 5, 1_000_000  # events of a shard
LARGE, SMALL = 100_000, 10_000  # events of a batch
SINGLES, SINGLES_WINDOW = 1_000, 100  # calls of a shard, and how many are on their way
BENCH, WARM = "bench", "warm"
STARTS_WITHIN_S = 180.0
TURNS = 3
AIM, FLOOR, SINGLE_AIM = 1.0, 0.583, 300.0  # million decisions a second; times


def durable() -> Row:
    """Decisions a second through two Ray shards that sync every batch to disk before they answer it."""
    say(f"durable: recording {CUSTOMERS:,} customers under {HEAVY}")
    found = rates(TURNS)
    value, ratio = max(found.large), max(found.large) / found.single
    note = (
        f"{reached(value / MILLION, 'M/s', AIM, FLOOR)}; {LARGE:,} events a batch, journaled and synced before the "
        f"answer; turns {min(found.large) / MILLION:.2f}–{value / MILLION:.2f}; {SMALL:,} a batch: "
        f"{found.small / MILLION:.2f}; {reached(ratio, '×', SINGLE_AIM)}; the floor is the orders a second of Tmall's "
        "peak in 2020: as many decisions, not orders paid or parcels sent"
    )
    baseline = f"a call and a sync a decision, {SINGLES_WINDOW} on their way, {found.single:,.0f}/s"
    return Row(value, "decisions/s on Ray, durable", baseline, ratio, note)


@dataclass(frozen=True)
class LiveShards:
    """Makes shards of a policy without coupons: nothing is asked of a Ledger."""

    plan: RunPlan
    profiles: np.ndarray  # CUSTOMER[n]

    def __call__(self, seat: str, fresh: bool) -> Machine:
        plan, number = owned(self.plan), int(seat.removeprefix("shard-"))
        first, end = bounds_of(len(self.profiles), SHARDS)[number]
        shard = CustomerShard(first, end - first, plan.policy.tables, plan.policy.registry.slots)
        shard.customers[:] = self.profiles[first:end]
        shard.arrays.rings[:] = 0  # every page is there, as in a shard that has been at work
        return ShardMachine(number, shard, -(-len(self.profiles) // PARTITIONS), live=True)


def batches_of(run: Recorded, shard: int, size: int, most: int) -> list[Batch]:
    """The first `most` events of a shard's customers in their order, `size` to a batch."""
    first, end = bounds_of(len(run.profiles), SHARDS)[shard]
    events = run.events[(run.events["customer"] >= first) & (run.events["customer"] < end)][:most]
    return [batch(shard, number, events[low : low + size]) for number, low in enumerate(range(0, len(events), size), 1)]


def batch(shard: int, number: int, events: np.ndarray, client: str = BENCH) -> Batch:
    arrays = (np.zeros(0, ASK), np.zeros(0, LINE), np.zeros(0, ORIGIN))
    return Batch(client, shard, number, int(events["time_ms"].max()), events, *arrays)


@contextmanager
def hosts(run: Recorded) -> Iterator[RayFleet]:
    """Shards on Ray that lead, each on a folder of this file system, and have decided something already."""
    names = [f"shard-{shard}" for shard in range(SHARDS)]
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder, cluster():
        fleet = RayFleet(nothing)
        try:
            build = fleet.share(LiveShards(run.plan, run.profiles))
            for name in names:
                fleet.seat(name, build, name, name, f"{folder}/{name}", CARE)
            wait_for(fleet, len(names))
            for shard, name in enumerate(names):
                first = batches_of(run, shard, WARM_EVENTS, WARM_EVENTS)[0].events
                fleet.send(name, [Lead(1, tuple((one, one) for one in names)), batch(shard, 1, first, WARM)])
            wait_for(fleet, len(names))
            yield fleet
        finally:
            fleet.close()


def nothing() -> None:
    """The first batch warms a shard."""


def wait_for(fleet: RayFleet, calls: int) -> None:
    while calls:
        done = fleet.done(STARTS_WITHIN_S)
        assert done and not any(isinstance(result, Lost) for _, result in done), "a shard did not start"
        calls -= len(done)


def rate(run: Recorded, size: int, most: int, window: int = IN_FLIGHT) -> float:
    """Decisions a second until every batch of every shard is answered, so many of each on their way at a time."""
    with hosts(run) as fleet:
        waiting = {f"shard-{shard}": iter(batches_of(run, shard, size, most)) for shard in range(SHARDS)}
        sent = answered = 0
        began = time.perf_counter()
        for host in [*waiting] * window:
            sent += send_next(fleet, host, waiting[host])
        while answered < sent:
            for host, result in fleet.done(60.0):
                assert not isinstance(result, Lost), f"{host} was lost: {result.why}"
                answers = [one.message for one in result if isinstance(one.message, Answered)]
                answered += sum(len(answer.decisions) for answer in answers)
                for _ in answers:
                    sent += send_next(fleet, host, waiting[host])
        return answered / (time.perf_counter() - began)


def send_next(fleet: RayFleet, host: str, batches: Iterator[Batch]) -> int:
    """Send one; its events."""
    following = next(batches, None)
    if following is None:
        return 0
    fleet.send(host, [following])
    return len(following.events)


@dataclass(frozen=True)
class Rates:
    """Decisions a second."""

    large: list[float]  # by turn, in batches of LARGE
    small: float  # in batches of SMALL
    single: float  # a call each


def rates(turns: int) -> Rates:
    """Turn about, so that other work on the machine meets all of them."""
    run = recorded(HEAVY, CUSTOMERS, DAYS)
    large, small, single = [], [], []
    for _ in range(turns):
        large.append(rate(run, LARGE, EVENTS))
        small.append(rate(run, SMALL, EVENTS))
        single.append(rate(run, 1, SINGLES, SINGLES_WINDOW))
    return Rates(large, max(small), max(single))
