"""The compiled engine against the reference: random policies, random traffic, every field of every answer.

A disagreement is shrunk to the fewest events of one customer that still show it, and printed with its seed.
"""

from collections import Counter
from datetime import datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.host.shard import CustomerShard
from engine.policy.registry import Registry
from engine.policy.tables import compile_policy
from engine.records import DECISION, Bulletin, Cell, Reason, records
from engine.reference import Answer, Reference
from tests.engine.traffic import (
    END_DATE,
    Traffic,
    random_bulletin,
    random_customers,
    random_policy,
    random_slots,
    start_ms,
)

POLICIES = 40
EVENTS = 5_000  # of each policy: 200 000 in all
POLICIES_SHORT = 8  # of them in `make test`
CUSTOMERS = 12
EVENTS_PER_BULLETIN = 250
FIELDS = DECISION.names or ()


class World:
    """One random policy with its customers; both engines can be asked the same events from the start."""

    def __init__(self, seed: int) -> None:
        self.seed, self.rng = seed, Random(seed)
        self.policy = random_policy(self.rng)
        self.slots = random_slots(self.rng, self.policy)
        self.customers = random_customers(self.rng, CUSTOMERS, self.policy)
        first = datetime.fromtimestamp(start_ms(self.policy) / 1000, ZoneInfo(self.policy.time_zone)).date()
        self.compiled = compile_policy(
            self.policy, first - timedelta(days=2), END_DATE + timedelta(days=40), seed, Registry(dict(self.slots))
        )
        self.bulletins: list[Bulletin] = []

    def bulletin(self, number: int) -> Bulletin:
        while len(self.bulletins) <= number:
            rng = Random(f"{self.seed}/{len(self.bulletins)}")
            self.bulletins.append(random_bulletin(rng, len(self.compiled.tables.campaigns)))
        return self.bulletins[number]

    def reference(self) -> Reference:
        engine = Reference(self.policy, self.slots, self.seed)
        for row in range(CUSTOMERS):
            engine.add(row, self.customers[row])
        return engine

    def shard(self) -> CustomerShard:
        shard = CustomerShard(0, CUSTOMERS, self.compiled.tables, self.slots)
        shard.customers[:] = self.customers
        return shard

    def traffic(self, events: int) -> tuple[list[Any], list[Any], Reference]:
        """Random events and what the reference says to each."""
        engine, traffic = self.reference(), Traffic(self.policy, self.slots, self.customers)
        asked, answers = [], []
        for number in range(events):
            event = traffic.next_event(self.rng).copy()
            answer = engine.decide(event, self.bulletin(number // EVENTS_PER_BULLETIN))
            traffic.observe(answer.decision, answer.ghosts)
            asked.append(event)
            answers.append(answer)
        return asked, answers, engine


def as_row(record: Any) -> dict[str, int]:
    return {name: int(record[name]) for name in FIELDS}


def compiled_answers(world: World, events: list[Any], numbers: list[int]) -> tuple[list[Any], list[Any], CustomerShard]:
    """The compiled engine's decisions and ghosts, in random batches that end where the bulletin changes."""
    shard, rng = world.shard(), Random(world.seed + 1)
    decisions, ghosts = [], []
    low = 0
    while low < len(events):
        part = numbers[low] // EVENTS_PER_BULLETIN
        high = low
        while high < len(events) and numbers[high] // EVENTS_PER_BULLETIN == part and high - low < rng.randrange(1, 90):
            high += 1
        high = max(high, low + 1)
        batch = records(high - low, events[0].dtype)
        for i, event in enumerate(events[low:high]):
            batch[i] = event
        shard.bulletin = world.bulletin(part)
        decided, left = shard.decide(batch)
        decisions += [as_row(row) for row in decided]
        ghosts += [as_row(row) for row in left]
        low = high
    return decisions, ghosts, shard


def reference_answers(world: World, events: list[Any], numbers: list[int]) -> list[Answer]:
    engine = world.reference()
    return [
        engine.decide(event, world.bulletin(number // EVENTS_PER_BULLETIN))
        for event, number in zip(events, numbers, strict=True)
    ]


def disagreement(
    world: World, events: list[Any], numbers: list[int], answers: list[Answer] | None = None
) -> str | None:
    """The first answer in which the engines differ, in words."""
    answers = answers or reference_answers(world, events, numbers)
    decisions, ghosts, _ = compiled_answers(world, events, numbers)
    left = iter(ghosts)
    for event, answer, decision in zip(events, answers, decisions, strict=True):
        expected = [answer.decision, *answer.ghosts]
        got = [decision, *(next(left, None) for _ in answer.ghosts)]
        for want, have in zip(expected, got, strict=True):
            if have is None or {k: int(v) for k, v in want.items()} != have:
                names = {slot: name for name, slot in world.slots.items()}
                reasons = {names[slot]: reason.name for slot, reason in answer.reasons.items()}
                return f"{event}\n  reference {want}\n  compiled  {have}\n  reasons {reasons}"
    return None if next(left, None) is None else "the compiled engine left more ghosts"


def shrunk(world: World, events: list[Any], numbers: list[int]) -> str:
    """Fewest events of one customer that still disagree (delta debugging: halves, quarters, … single ones)."""
    for customer in range(CUSTOMERS):
        kept = [(e, n) for e, n in zip(events, numbers, strict=True) if e.customer == customer]
        if kept and disagreement(world, *map(list, zip(*kept, strict=True))):  # type: ignore[arg-type]
            break
    size = len(kept) // 2
    while size >= 1:
        i = 0
        while i < len(kept):
            fewer = kept[:i] + kept[i + size :]
            if fewer and disagreement(world, *map(list, zip(*fewer, strict=True))):  # type: ignore[arg-type]
                kept = fewer
            else:
                i += size
        size //= 2
    lines = "\n".join(str(event) for event, _ in kept)
    difference = disagreement(world, *map(list, zip(*kept, strict=True)))  # type: ignore[arg-type]
    return f"seed {world.seed}, customer {customer}, {len(kept)} events:\n{lines}\n{difference}"


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[] if seed < POLICIES_SHORT else pytest.mark.long) for seed in range(POLICIES)]
)
def test_compiled_equals_reference(seed: int) -> None:
    world = World(seed)
    events, answers, engine = world.traffic(EVENTS)
    numbers = list(range(EVENTS))
    found = disagreement(world, events, numbers, answers)
    assert found is None, shrunk(world, events, numbers)
    _, _, shard = compiled_answers(world, events, numbers)
    assert tallies_of(shard) == tallies_of_reference(engine)


def tallies_of(shard: CustomerShard) -> dict[str, Counter[Any]]:
    days = shard.tables.days["date"]
    waterfall, cells = shard.tallies.waterfall, shard.tallies.cells
    return {
        "waterfall": Counter(
            {(int(days[d]), s, Reason(r)): int(waterfall[d, s, r]) for d, s, r in np.argwhere(waterfall).tolist()}
        ),
        "cells": Counter(
            {
                (int(days[d]), s, a, g, Cell(c)): int(cells[d, s, a, g, c])
                for d, s, a, g, c in np.argwhere(cells).tolist()
            }
        ),
    }


def tallies_of_reference(engine: Reference) -> dict[str, Counter[Any]]:
    return {
        "waterfall": Counter({key: count for key, count in engine.waterfall.items() if count}),
        "cells": Counter({key: count for key, count in engine.cells.items() if count}),
    }
