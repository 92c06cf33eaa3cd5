"""Partitions: what is taken out of a shard and put into one is all there is of its customers, and nothing is lost.

To repeat a failure: pytest tests/engine/test_partitions.py -k SEED.
"""

from functools import cache
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.host.packing import packed, unpacked
from engine.host.partitions import Partition, put, taken
from engine.host.shard import CustomerShard
from engine.records import NONE
from engine.rules.slabs import IDS, INSTANCES, LINES, ORDERS
from engine.rules.watch import SIGHTINGS
from scenarios.bench_worlds import FIRST_USE, SHOP, plan_of
from tests.engine.fraud_twins import FraudStory
from tests.engine.wallet_twins import CUSTOMERS, Compiled, Step, Story, listed

STORIES: dict[str, type[Story]] = {"coupons": Story, "fraud": FraudStory}  # with wallets; with a watch beside them
STEPS, MOMENTS = 40, (12, 20, 31)  # the policy changes before the step at STEPS / 2
SEEDS = (1, 2, 3)
SLABS = {"instances": INSTANCES, "orders": ORDERS, "ids": IDS, "lines": LINES}
PUTS = 20


# --- lives ------------------------------------------------------------------------------------------------------------
@cache
def story(name: str, seed: int) -> Story:
    return STORIES[name](seed, STEPS)


def lived(told: Story, steps: int) -> Compiled:
    """Two shards and the Ledger after so many steps."""
    twin = Compiled(told.shop, shards=2)
    for step in told.steps[:steps]:
        twin.live(step)
    return twin


@cache
def one_shard(moment: int) -> CustomerShard:
    """All customers of a story with fraud rules at a moment; not to be changed."""
    told = story("fraud", 1)
    twin = Compiled(told.shop)
    for step in told.steps[:moment]:
        twin.live(step)
    return twin.shards[0]


def answers(twin: Compiled, step: Step) -> list[Any]:
    """Everything a step is answered with: decisions, receipts, ghosts, requests and replies; and the digest after."""
    if step.version != twin.version:
        twin.change_policy()
    decided = twin.decide(step.happenings)
    requests, spend = twin.account(step.until)
    return [decided, requests, spend.tolist(), twin.hear(step.decided), twin.digest()]


def empty_like(shard: CustomerShard) -> CustomerShard:
    """Nobody has done anything; the policy is the same."""
    return CustomerShard(int(shard.arrays.first[0]), len(shard.customers), shard.tables, shard.names)


def take_sums(shard: CustomerShard, other: CustomerShard) -> None:
    """What is the whole shard's, and so in no partition."""
    arrays, theirs = shard.arrays, other.arrays
    for name in ("lives", "prizes", "breaches"):
        getattr(arrays.wallets, name)[:] = getattr(theirs.wallets, name)
    for name in ("clock", "warm_ms", "rows"):
        getattr(arrays.watch, name)[:] = getattr(theirs.watch, name)
    outbox = type(theirs.outbox)(*(array.copy() for array in theirs.outbox))
    shard.arrays = arrays._replace(outbox=outbox)
    shard.tallies.spend[:] = other.tallies.spend


def rebuilt(twin: Compiled, rng: Random) -> Compiled:
    """The same at the same moment, out of partitions in any order."""
    other = Compiled(twin.shop, shards=2)
    if twin.version != other.version:
        other.change_policy()
    for mine, theirs in zip(other.shards, twin.shards, strict=True):
        parts = in_parts(theirs, rng)
        for part in rng.sample(parts, len(parts)):
            put(mine, part)
        take_sums(mine, theirs)
    other.ledger.restore(twin.ledger.snapshot())
    other.take_bulletin(other.ledger.bulletin())
    return other


def in_parts(shard: CustomerShard, rng: Random) -> list[Partition]:
    """All customers, in a few partitions."""
    first, count = int(shard.arrays.first[0]), len(shard.customers)
    edges = sorted([first, first + count, *(rng.randint(first, first + count) for _ in range(2))])
    return [taken(shard, low, high) for low, high in pairwise(edges)]


# --- what there is ----------------------------------------------------------------------------------------------------
def plain(rows: list[Any]) -> list[dict[str, Any]]:
    """Rows without their places in a slab."""
    return [{name: row[name].item() for name in row.dtype.names if name not in ("next", "lines")} for row in rows]


def wallet(shard: CustomerShard, row: int) -> list[Any]:
    wallets = shard.arrays.wallets
    instances, orders, ids = (
        listed(getattr(wallets, name), wallets.heads[row, slab]) for name, slab in SLABS.items() if slab != LINES
    )
    lines = [plain(listed(wallets.lines, order.lines)) for order in orders]
    counts = [int(getattr(wallets, name)[row]) for name in ("claims", "requests", "open", "due_ms")]
    return [counts, plain(instances), plain(orders), lines, plain(ids)]


def held(shard: CustomerShard) -> list[list[Any]]:
    """Everything a shard holds of each customer, the order of lists included; the digest is silent on some of it."""
    found = []
    for row in range(len(shard.customers)):
        customer = shard.customers[row]
        one: list[Any] = [[customer[name].tolist() for name in customer.dtype.names], shard.arrays.rings[row].tolist()]
        one += wallet(shard, row) if shard.has_wallets else []
        watch = shard.arrays.watch
        one += [plain(listed(watch.sightings, watch.heads[row, SIGHTINGS]))] if shard.has_watch else []
        found.append(one)
    return found


def rows_of_lists(rows: Any, heads: Any) -> list[int]:
    found = []
    for head in heads:
        at = int(head)
        while at != NONE:
            found.append(at)
            at = int(rows[at].next)
    return found


def used_rows(shard: CustomerShard) -> dict[str, list[int]]:
    """Rows of every slab that are in a customer's or an order's list."""
    wallets, watch = shard.arrays.wallets, shard.arrays.watch
    used = {
        name: rows_of_lists(getattr(wallets, name), wallets.heads[:, slab])
        for name, slab in SLABS.items()
        if slab != LINES
    }
    used["lines"] = rows_of_lists(wallets.lines, wallets.orders["lines"][used["orders"]])
    return used | {"sightings": rows_of_lists(watch.sightings, watch.heads[:, SIGHTINGS])}


def unsound(shard: CustomerShard) -> list[str]:
    """Slabs with rows that are neither used nor free, or both, or twice, or not as many free as is said."""
    wallets, watch = shard.arrays.wallets, shard.arrays.watch
    slabs = {name: (getattr(wallets, name), wallets.free[slab]) for name, slab in SLABS.items()}
    slabs["sightings"] = watch.sightings, watch.free[SIGHTINGS]
    used, problems = used_rows(shard), []
    for name, (rows, (head, count)) in slabs.items():
        free = rows_of_lists(rows, [head])
        if len(free) != count or sorted(used[name] + free) != list(range(len(rows))):
            problems.append(f"{name}: {len(used[name])} used, {len(free)} free ({count} said) of {len(rows)}")
    return problems


def sizes(shard: CustomerShard) -> list[int]:
    return [len(array) for array in (*shard.arrays.wallets, *shard.arrays.watch)]


def test_there_is_something_to_lose() -> None:
    """Lists of two rows and more in every slab, so that an order, a link and a head can be wrong."""
    shards = [shard for seed in SEEDS for shard in lived(story("fraud", seed), MOMENTS[1]).shards]
    for slab, column in {"instances": INSTANCES, "orders": ORDERS, "ids": IDS}.items():
        wallets = [shard.arrays.wallets for shard in shards]
        assert max(len(listed(getattr(w, slab), head)) for w in wallets for head in w.heads[:, column]) > 1, slab
    assert max(len(lines) for shard in shards for one in held(shard) for lines in one[5]) > 1
    assert max(len(one[-1]) for shard in shards for one in held(shard)) > 1


# --- out and in -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", STORIES)
def test_a_shard_made_of_partitions_lives_on_as_the_one_they_were_taken_from(name: str, seed: int, moment: int) -> None:
    told = story(name, seed)
    twin = lived(told, moment)
    other = rebuilt(twin, Random(seed + moment))
    assert other.digest() == twin.digest()
    for mine, theirs in zip(other.shards, twin.shards, strict=True):
        assert held(mine) == held(theirs)
        assert unsound(mine) == []
    for number, step in enumerate(told.steps[moment:], moment):
        assert answers(other, step) == answers(twin, step), f"{name} {seed}: step {number}"


@pytest.mark.parametrize("moment", [MOMENTS[0], MOMENTS[2]])
@pytest.mark.parametrize("name", STORIES)
def test_what_customers_have_done_since_is_undone_and_no_row_is_lost(name: str, moment: int) -> None:
    twin = lived(story(name, 1), moment)
    before = [(shard.digest(), held(shard), in_parts(shard, Random(moment))) for shard in twin.shards]
    for step in story(name, 1).steps[moment : moment + 6]:
        twin.live(step)
    assert twin.version == (moment > STEPS // 2)  # numbers are the shard's
    assert any(shard.digest() != digest for shard, (digest, _, _) in zip(twin.shards, before, strict=True))
    for shard, (digest, had, parts) in zip(twin.shards, before, strict=True):
        for part in parts:
            put(shard, part)
        grown = sizes(shard)
        for part in parts * PUTS:
            put(shard, part)
        assert shard.digest() == digest and held(shard) == had
        assert unsound(shard) == []
        assert sizes(shard) == grown


def test_taking_changes_nothing() -> None:
    shard = one_shard(MOMENTS[1])
    arrays = (shard.customers, shard.arrays.rings, *shard.arrays.wallets, *shard.arrays.watch, *shard.arrays.outbox)
    before = [array.tobytes() for array in arrays]
    part = taken(shard, 1, 8)
    for array in part:
        array.view(np.ndarray)[...] = np.ones(1, array.dtype)  # the copy is its owner's
    assert [array.tobytes() for array in arrays] == before


@given(st.integers(0, CUSTOMERS), st.integers(0, CUSTOMERS))
def test_only_the_range_is_taken_and_only_the_range_is_put(one: int, other: int) -> None:
    low, high = sorted((one, other))
    early, late = one_shard(MOMENTS[1]), one_shard(MOMENTS[2]).copy()
    part = taken(early, low, high)
    assert len(part.customers) == high - low and int(part.first[0]) == low
    whole = taken(early, 0, CUSTOMERS)
    assert np.array_equal(part.claims, whole.claims[low:high])
    had, want = held(late), held(early)
    put(late, part)
    assert held(late) == [*had[:low], *want[low:high], *had[high:]]
    assert unsound(late) == []
    again = taken(late, low, high)
    assert all(np.array_equal(a, b) for a, b in zip(part, again, strict=True))
    empty = empty_like(early)
    put(empty, part)
    used = {name: len(rows) for name, rows in used_rows(empty).items()}
    assert used == {name: len(getattr(part, name)) for name in used}, "no row is free, none is another's"


def test_a_range_beyond_the_shard_is_refused() -> None:
    shard = lived(story("fraud", 1), 2).shards[1]
    first, end = int(shard.arrays.first[0]), int(shard.arrays.first[0]) + len(shard.customers)
    for low, high in ((first - 1, end), (first, end + 1), (first + 1, first)):
        with pytest.raises(AssertionError, match=f"{low} … {high} must be in {first} … {end}"):
            taken(shard, low, high)
    with pytest.raises(AssertionError, match="must be in"):
        put(shard, taken(one_shard(MOMENTS[1]), first - 1, end))


# --- without wallets, without a watch ---------------------------------------------------------------------------------
def test_customers_without_wallets_or_a_watch() -> None:
    """They come out with none, and go where there are both with nothing in them; with both they go where is neither."""
    card = plan_of(FIRST_USE, 1).policy
    without = CustomerShard(0, CUSTOMERS, card.tables, card.registry.slots)
    without.customers["points"] = np.arange(CUSTOMERS)
    sums = [*(getattr(without.arrays.wallets, name) for name in ("lives", "prizes", "breaches")),
            without.arrays.watch.clock, without.arrays.watch.warm_ms]  # fmt: skip
    for array in sums:
        array[:] = 7
    part = taken(without, 2, 5)
    assert not any(len(array) for name, array in part._asdict().items() if name not in ("first", "customers", "rings"))
    shard = one_shard(MOMENTS[1]).copy()
    had, nobody = held(shard), held(empty_like(shard))
    put(shard, part)
    assert shard.customers["points"][2:5].tolist() == [2, 3, 4]
    assert [one[1:] for one in held(shard)] == [one[1:] for one in (*had[:2], *nobody[2:5], *had[5:])]
    assert unsound(shard) == []
    put(without, taken(one_shard(MOMENTS[1]), 2, 5))
    assert held(without)[2:5] == had[2:5] and unsound(without) == []
    assert int(without.arrays.watch.rows[0]) > 0
    kept = (*without.arrays.wallets[-3:], without.arrays.watch.clock, without.arrays.watch.warm_ms)
    assert all((array == 7).all() for array in kept), "what is the whole shard's stays"


def test_customers_with_wallets_and_no_watch() -> None:
    shop = plan_of(SHOP, 1).policy
    shard = CustomerShard(0, CUSTOMERS, shop.tables, shop.registry.slots)
    part = taken(shard, 0, CUSTOMERS)
    assert len(part.open) == CUSTOMERS and len(part.sighting_heads) == 0
    watched = one_shard(MOMENTS[1]).copy()
    put(watched, part)
    assert held(watched) == held(empty_like(watched)) and unsound(watched) == []


# --- packed -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("low", "high"), [(0, CUSTOMERS), (2, 7), (4, 4)])
def test_a_partition_can_be_packed(low: int, high: int) -> None:
    shard = one_shard(MOMENTS[1])
    part = taken(shard, low, high)
    found = Partition(**unpacked(packed(part._asdict())))
    for name, want, got in zip(Partition._fields, part, found, strict=True):
        assert (got.dtype, got.shape) == (want.dtype, want.shape), name
        assert np.array_equal(got, want), name
    other = empty_like(shard)
    nobody = held(other)
    put(other, found)
    assert held(other) == [*nobody[:low], *held(shard)[low:high], *nobody[high:]]
