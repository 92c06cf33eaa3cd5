"""One world, one answer: whatever the shards, chunks, steps, batches, processes, compilers and slot numbers.

A digest covers every customer's state and decisions in order (DESIGN.md, kernels); sums cover all statistics.
"""

import json
from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
import pytest

from engine.host.shard import CustomerShard, combined
from engine.policy.registry import Registry
from engine.records import DAY_MS, DECISION, EVENT, HOUR_MS, MINUTE_MS, NONE, records
from scenarios.build import model_of
from scenarios.calendar import calendar_of
from scenarios.recording import recording_of
from scenarios.run import RunOptions, live
from scenarios.worker import SPEND_EDGES, CohortWorker, RunPlan, WorkerResult
from sim.cohort import Cohort
from sim.waves import waves_of
from tests.sim.interpreted import command
from tests.sim.worlds import (
    Keeper,
    busy_plan,
    busy_policy,
    eager,
    induced_payments,
    inline,
    plan_for,
    shifted_lives,
    stepped,
    sums,
    waves,
)

CUSTOMERS = 300
SMALL = ("15", "12")  # customers and days of worlds lived in another process


@cache
def plan() -> RunPlan:
    return busy_plan(3, 7, 3)


@cache
def expected() -> list[WorkerResult]:
    found = inline(plan(), CUSTOMERS)
    assert found[0].statistics["events"][0] > 10_000
    return found


@cache
def recorded() -> Keeper:
    """The same world with its events and decisions kept."""
    return waves(plan(), 0, CUSTOMERS)


def assert_same(results: list[WorkerResult]) -> None:
    """Digest, statistics and tallies are those of one shard in this process."""
    assert combined([result.digest for result in results]) == expected()[0].digest
    ours, theirs = sums(results), sums(expected())
    assert [name for name in ours if not np.array_equal(ours[name], theirs[name])] == []


# --- in this process --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shards", [2, 3])
def test_shards_do_not_matter(shards: int) -> None:
    results = inline(plan(), CUSTOMERS, shards)
    assert len(results) == shards
    assert_same(results)


@pytest.mark.parametrize("seed", range(4))
def test_chunks_do_not_matter(seed: int) -> None:
    chunk = Random(seed).randrange(1, 2 * CUSTOMERS)
    assert_same(inline(replace(plan(), chunk=chunk), CUSTOMERS))


@pytest.mark.parametrize("step_ms", [10 * MINUTE_MS, HOUR_MS, 7 * HOUR_MS])
def test_steps_do_not_matter(step_ms: int) -> None:
    assert_same(inline(stepped(plan(), step_ms), CUSTOMERS))


def test_recording_does_not_matter() -> None:
    assert_same([recorded().result()])


def test_a_seed_does_matter() -> None:
    assert inline(busy_plan(3, 7, 3, seed=2), CUSTOMERS)[0].digest != expected()[0].digest


# --- other processes --------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("ray_cluster")
def test_ray_does_not_matter() -> None:
    assert_same(live(plan(), CUSTOMERS, RunOptions(shards=2), lambda share: None).results)


@cache
def elsewhere(jit: str, hash_seed: str) -> str:
    done = command("digest", *SMALL, NUMBA_DISABLE_JIT=jit, PYTHONHASHSEED=hash_seed)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_compiled_equals_interpreted() -> None:
    found = json.loads(elsewhere("1", "0"))
    customers, days = map(int, SMALL)
    here = inline(busy_plan(2, days - 4, 2), customers)
    assert found["digest"] == here[0].digest
    assert [name for name, table in sums(here).items() if table.tolist() != found["sums"][name]] == []


def test_the_hash_seed_does_not_matter() -> None:
    assert elsewhere("1", "0") == elsewhere("1", "4242")


# --- transport --------------------------------------------------------------------------------------------------------
def interleaved(events: np.ndarray, rng: Random) -> np.ndarray:
    """The events of all customers shuffled, each customer's own in order."""
    queues = {customer: events[events["customer"] == customer] for customer in np.unique(events["customer"]).tolist()}
    turns = events["customer"].tolist()
    rng.shuffle(turns)
    places = dict.fromkeys(queues, 0)
    table = records(len(events), EVENT)
    for row, customer in enumerate(turns):
        table[row] = queues[customer][places[customer]]
        places[customer] += 1
    return table


def new_shard(run: RunPlan, customers: int = CUSTOMERS) -> CustomerShard:
    """A shard as the run's start finds it."""
    stream = (run.seed, run.replication)
    cohort = Cohort(0, customers, model_of(run.population, run.baseline, run.spans, stream), run.spans)
    shard = CustomerShard(0, customers, run.baseline.tables, run.baseline.registry.slots)
    shard.customers[:] = cohort.profiles
    return shard


def decide_split(shard: CustomerShard, events: np.ndarray, rng: Random) -> np.ndarray:
    """Decide in batches of random sizes."""
    decided, low = [np.zeros(0, DECISION)], 0
    while low < len(events):
        high = low + rng.choice((1, 2, 7, 60, 900))
        decided.append(shard.decide(events[low:high])[0])
        low = high
    return np.concatenate(decided)


def phases(run: RunPlan, events: np.ndarray) -> list[tuple[tuple[int, ...], np.ndarray]]:
    """(paused, events) before launch, in the campaign and after it."""
    edges = [run.spans.start, run.spans.launch, run.spans.campaign_end, run.spans.end]
    pauses = [run.paused_before, (), run.paused_after]
    time = events["time_ms"]
    return [
        (paused, events[(low <= time) & (time < high)])
        for paused, low, high in zip(pauses, edges, edges[1:], strict=False)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_transport_batches_do_not_matter(seed: int) -> None:
    rng, recording = Random(seed), recording_of(recorded().recorder)
    shard = new_shard(plan())
    for paused, events in phases(plan(), np.concatenate(recording.events)):
        shard.pause(paused)
        decide_split(shard, interleaved(events, rng), rng)
    assert shard.digest() == expected()[0].digest


# --- snapshots --------------------------------------------------------------------------------------------------------
def moved_plan() -> RunPlan:
    """The same policy with every campaign in another slot."""
    names = list(plan().policy.registry.slots)
    slots = {name: 3 * number + 1 for number, name in enumerate(reversed(names))}
    return plan_for(busy_policy(), eager(), 3, 7, 3, paused=("first_use", "points"), slots=slots)


def renumbered(table: np.ndarray, before: Registry, after: Registry) -> np.ndarray:
    """Records with their campaigns under another numbering."""
    moved = table.copy()
    names = {slot: name for name, slot in before.slots.items()}
    for field in {"campaign", "credited"} & set(table.dtype.names or ()):
        moved[field] = [NONE if slot == NONE else after.slots[names[slot]] for slot in table[field].tolist()]
    return moved


def halves(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Events of the campaign before and after a random moment, and the decisions of the latter."""
    recording = recording_of(recorded().recorder)
    events, decisions = np.concatenate(recording.events), np.concatenate(recording.decisions)
    cut = Random(seed).randrange(plan().spans.launch + DAY_MS, plan().spans.campaign_end - DAY_MS)
    inside = (events["time_ms"] >= plan().spans.launch) & (events["time_ms"] < plan().spans.campaign_end)
    early = events["time_ms"] < cut
    return events[inside & early], events[inside & ~early], decisions[inside & ~early]


def at_cut(seed: int) -> tuple[CustomerShard, np.ndarray, np.ndarray]:
    """A shard in the middle of the campaign, and the events and decisions that follow."""
    shard = new_shard(plan())
    early, late, decisions = halves(seed)
    shard.pause(plan().paused_before)
    shard.decide(phases(plan(), np.concatenate(recording_of(recorded().recorder).events))[0][1])
    shard.pause(())
    shard.decide(early)
    return shard, late, decisions


@pytest.mark.parametrize("seed", range(3))
def test_a_snapshot_goes_on_as_the_shard_does(seed: int) -> None:
    shard, late, decisions = at_cut(seed)
    snapshot = shard.snapshot()
    decided, _ = shard.decide(late)
    assert np.array_equal(decided, decisions)
    other = CustomerShard(0, CUSTOMERS, plan().policy.tables, plan().policy.registry.slots)
    other.restore(snapshot)
    assert other.digest() != shard.digest()
    assert np.array_equal(other.decide(late)[0], decisions)
    assert other.digest() == shard.digest()


@pytest.mark.parametrize("seed", range(3))
def test_slot_numbers_do_not_matter(seed: int) -> None:
    """A snapshot restored under another numbering is the same state and goes on to the same decisions, by name."""
    shard, late, decisions = at_cut(seed)
    assert (shard.customers["snoozed"] > 0).any()
    assert (shard.customers["muted"] != 0).any()
    moved = moved_plan().policy
    other = CustomerShard(0, CUSTOMERS, moved.tables, moved.registry.slots)
    other.restore(shard.snapshot())
    assert other.digest() == shard.digest()
    here, there = plan().policy.registry, moved.registry
    assert np.array_equal(other.decide(renumbered(late, here, there))[0], renumbered(decisions, here, there))


def test_slot_numbers_do_not_matter_to_the_digest_of_what_follows() -> None:
    shard, late, _ = at_cut(0)
    moved = moved_plan().policy
    other = CustomerShard(0, CUSTOMERS, moved.tables, moved.registry.slots)
    other.restore(shard.snapshot())
    other.decide(renumbered(late, plan().policy.registry, moved.registry))
    shard.decide(late)
    assert other.digest() == shard.digest()


SLOT_AXIS = {
    "outcome_sums": 0,
    "outcome_products": 0,
    "spend_bins": 0,
    "reach": 1,
    "before.waterfall": 1,
    "before.cells": 1,
    "measured.waterfall": 1,
    "measured.cells": 1,
}


def test_slot_numbers_do_not_matter_to_a_run() -> None:
    """Another numbering from the start: the same statistics, campaign by campaign."""
    moved = moved_plan()
    ours, theirs = sums(inline(moved, CUSTOMERS)), sums(expected())
    here, there = plan().policy.registry.slots, moved.policy.registry.slots
    for name, table in theirs.items():
        if name in SLOT_AXIS:
            mine = ours[name].take([there[campaign] for campaign in here], SLOT_AXIS[name])
            assert np.array_equal(mine, table.take(list(here.values()), SLOT_AXIS[name])), name
        else:
            assert np.array_equal(ours[name], table), name


# --- forks ------------------------------------------------------------------------------------------------------------
def live_on(cohort: Cohort, shard: CustomerShard, run: RunPlan, since_ms: int, until_ms: int) -> None:
    """Play a cohort against a shard, moments included."""
    for t, number in [*(m for m in calendar_of(run).moments if since_ms <= m[0] < until_ms), (until_ms, NONE)]:
        cohort.advance(since_ms, t, waves_of(shard.decide))
        if number != NONE:
            cohort.moment(t, number, shard.decide)
        since_ms = t


def twin(cohort: Cohort, shard: CustomerShard, paused: tuple[int, ...]) -> tuple[str, dict[str, np.ndarray]]:
    """A fork of a world at launch lives through the campaign; its digest and statistics."""
    run = plan()
    engine = CustomerShard(0, CUSTOMERS, run.policy.tables, run.policy.registry.slots)
    engine.restore(shard.snapshot())
    engine.pause(paused)
    people = cohort.fork()
    people.adopt(model_of(run.population, run.policy, run.spans, (run.seed, run.replication)))
    people.launch()
    live_on(people, engine, run, run.spans.launch, run.spans.campaign_end)
    return engine.digest(), people.statistics(engine.universal_holdout(), SPEND_EDGES)


def test_forks_share_the_past_and_agree_under_one_policy() -> None:
    run, shard = plan(), new_shard(plan())
    shard.pause(run.paused_before)
    cohort = Cohort(0, CUSTOMERS, model_of(run.population, run.baseline, run.spans, (run.seed, 0)), run.spans)
    live_on(cohort, shard, run, run.spans.start, run.spans.launch)

    def past() -> tuple[object, ...]:
        return shard.digest(), cohort.crowd.visitors.tobytes(), cohort.crowd.outcomes.tobytes(), cohort.events

    before = past()
    first, second, other = (twin(cohort, shard, paused) for paused in (run.paused_after, run.paused_after, ()))
    assert past() == before
    assert first[0] == second[0]
    assert [name for name in first[1] if not np.array_equal(first[1][name], second[1][name])] == []
    assert other[0] != first[0]
    launch_day = int(np.searchsorted(run.policy.tables.days["start_ms"], run.spans.launch))
    assert first[1]["daily"][:launch_day].any()
    assert np.array_equal(other[1]["daily"][:launch_day], first[1]["daily"][:launch_day])


# --- pairing ----------------------------------------------------------------------------------------------------------
def test_customers_whom_no_message_reaches_live_the_same_life() -> None:
    """Common random numbers: what a policy does to some shifts nobody else's luck, and nobody's past."""
    shifted, seen = shifted_lives(plan(), plan(), CUSTOMERS)
    assert shifted == []
    assert min(seen["untouched"] / 10, seen["held_out"] / 3, seen["changed"] / 100) > 1, seen


def test_other_luck_would_be_seen() -> None:
    shifted, _ = shifted_lives(plan(), replace(plan(), seed=2), CUSTOMERS)
    assert len(shifted) > CUSTOMERS * 0.9


def test_one_message_more_does_not_shift_the_luck_of_the_next() -> None:
    """Monday's push brings clicks, visits and acts; what Thursday's makes people pay is the same to the fen."""
    alone, after_another = induced_payments(CUSTOMERS, "points"), induced_payments(CUSTOMERS, "bill_ready", "points")
    assert len(alone) > 50
    assert alone == after_another


def test_what_ray_hands_over_read_only_is_taken_into_ones_own_hands() -> None:
    """Read-only arrays are another type to Numba: every worker would compile all kernels again."""
    shared = plan()
    kept = [(array, array.flags.writeable) for array in shared.policy.tables]
    for array, _ in kept:
        array.flags.writeable = False
    try:
        worker = CohortWorker(shared, 0, 1)
        assert all(array.flags.writeable for array in (*worker.shard.tables, *worker.cohort.model))
    finally:
        for array, writeable in kept:
            array.flags.writeable = writeable
