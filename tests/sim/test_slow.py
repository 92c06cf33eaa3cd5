"""The slow mode (one SimPy process a customer, the reference) against waves (chunks, the compiled engine).

To repeat a failure: pytest tests/sim/test_slow.py -k NAME; the message names the customer and the event.
"""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.records import DECISION, EVENT, EventKind, Reason
from scenarios.explain import narrated
from scenarios.load import Options, load_scenario, plan_of
from scenarios.recording import recording_of
from scenarios.worker import RunPlan
from tests.engine.test_differential import tallies_of, tallies_of_reference
from tests.sim.worlds import FIRST_USE, Keeper, Slow, busy_plan, by_customer, library_plan, slowly, waves

CUSTOMERS, FIRST = 150, 1_000


def first_difference(slow: np.ndarray, fast: np.ndarray) -> str | None:
    """The first row in which two tables differ, in words."""
    for row in range(min(len(slow), len(fast))):
        for name in slow.dtype.names or ():
            if slow[row][name] != fast[row][name]:
                return f"row {row}, {name}: slow {slow[row][name]}, waves {fast[row][name]}\n{slow[row]}\n{fast[row]}"
    return None if len(slow) == len(fast) else f"slow has {len(slow)} rows, waves {len(fast)}"


def wave_tallies(worker: Keeper) -> list[dict[str, Counter[Any]]]:
    tables, phases = worker.shard.tables, (worker.before, worker.shard.tallies)
    shards: list[Any] = [SimpleNamespace(tables=tables, tallies=tallies) for tallies in phases]
    return [tallies_of(shard) for shard in shards]


def both(plan: RunPlan, customers: int) -> tuple[Slow, Keeper]:
    """Live a run both ways and hold every field of every event, answer and count against each other."""
    slow, fast = slowly(plan, FIRST, customers), waves(plan, FIRST, customers)
    recording = recording_of(fast.recorder)
    for dtype, ours, theirs in (
        (EVENT, slow.events, recording.events),
        (DECISION, slow.decisions, recording.decisions),
        (DECISION, slow.ghosts, fast.ghosts),
    ):
        assert ours[0].dtype == dtype
        assert first_difference(by_customer(ours), by_customer(theirs)) is None
    apart, edges = np.zeros(len(fast.cohort.crowd.visitors), np.bool_), np.array([0, 10_000], np.int64)
    mine, other = slow.cohort.statistics(apart, edges), fast.cohort.statistics(apart, edges)
    assert [name for name in mine if not np.array_equal(mine[name], other[name])] == []
    assert [tallies_of_reference(engine) for engine in slow.engines] == wave_tallies(fast)
    return slow, fast


def counts(slow: Slow) -> tuple[Counter[Reason], Counter[EventKind]]:
    decisions, events = np.concatenate(slow.decisions), np.concatenate(slow.events)
    return Counter(map(Reason, decisions["reason"].tolist())), Counter(map(EventKind, events["kind"].tolist()))


def test_first_use_lived_slowly() -> None:
    slow, _ = both(library_plan(10, 12, 5), CUSTOMERS)
    reasons, kinds = counts(slow)
    assert reasons[Reason.SHOWN] > 30
    assert kinds[EventKind.PAYMENT] > 10


@pytest.mark.long
def test_the_whole_of_first_use_lived_slowly() -> None:
    both(library_plan(28, 14, 28), CUSTOMERS)


def test_a_busy_policy_lived_slowly() -> None:
    """Next-best holdouts, snoozes, moments, messages in and out of the app, customers who join, drop out and leave."""
    slow, fast = both(busy_plan(3, 8, 3), CUSTOMERS)
    reasons, kinds = counts(slow)
    for reason in (Reason.SHOWN, Reason.HELD_OUT, Reason.SNOOZED, Reason.COOL_DOWN):
        assert reasons[reason] > 0, reason
    for kind in (
        EventKind.MOMENT,
        EventKind.SNOOZE,
        EventKind.MUTE,
        EventKind.CLICK,
        EventKind.TOP_UP,
        EventKind.REGISTER,
    ):
        assert kinds[kind] > 0, kind
    decisions, ghosts = np.concatenate(slow.decisions), np.concatenate(slow.ghosts)
    beside = np.isin(
        ghosts[["customer", "sequence"]], decisions[decisions["reason"] == Reason.SHOWN][["customer", "sequence"]]
    )
    assert beside.any()  # next_best: a ghost and an exposure at one event
    assert slow.cohort.crowd.outcome_count[0] > 64  # the table of outcomes grew on the way
    assert int(fast.shard.customers["exposures"].max()) > 10


def test_explain_meets_the_same_decisions() -> None:
    """One customer alone, as `explain` lives it, against the same customer in a crowd."""
    loaded = load_scenario(FIRST_USE, Options(before=6, days=12, after=3))
    plan = plan_of(loaded)
    fast = waves(plan, 0, 40)
    decisions = by_customer(recording_of(fast.recorder).decisions)
    for customer in (3, 17, 39):
        answers = narrated(plan, customer, loaded)
        rows = decisions[decisions["customer"] == customer]
        assert len(answers) == len(rows)
        for answer, row in zip(answers, rows, strict=True):
            assert {name: int(row[name]) for name in answer.decision} == answer.decision


def test_a_difference_would_be_seen() -> None:
    slow = slowly(busy_plan(1, 2, 1), 0, 20)
    rows = by_customer(slow.decisions)
    for name in DECISION.names or ():
        other = rows.copy()
        other[name][len(rows) // 2] += 1
        assert first_difference(rows, other) is not None, name
    assert first_difference(rows, rows[:-1]) is not None
