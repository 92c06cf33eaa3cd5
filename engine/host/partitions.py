"""Some consecutive customers of a shard with all it holds of them, as a compact copy: taken out, and put into a shard.

What is the whole shard's is in none: sums of coupons (`Wallets.lives`, `prizes`, `breaches`), the watch's clock and
warm-up, waiting requests, tallies.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from engine.host.shard import CustomerShard
from engine.host.wallets import empty_wallets, grown
from engine.host.watching import empty_watch, grown_watch, rows_of_an_event
from engine.records import NONE
from engine.rules.partitions import count_rows, give_rows, list_rows, take_rows
from engine.rules.slabs import IDS, INSTANCES, LINES, ORDERS
from engine.rules.watch import SIGHTINGS

_SLABS = {INSTANCES: "instances", ORDERS: "orders", IDS: "ids", LINES: "lines"}


class Partition(NamedTuple):
    """n customers. The rows of a slab are those of their lists and no others, one list after the other in the order of
    its links; heads and links count them from 0. Sizes are 0 where the shard has no wallets, or no watch. Numbers of
    campaigns, terms and rules are the shard's. As a mapping it can be packed."""

    first: np.ndarray  # i8[1]: id of the first customer
    customers: np.ndarray  # CUSTOMER[n]
    rings: np.ndarray  # i8[n, RING]
    heads: np.ndarray  # from here on as in Wallets: i4[n, 3]
    claims: np.ndarray  # i4[n]
    requests: np.ndarray  # i4[n]
    open: np.ndarray  # i2[n]
    due_ms: np.ndarray  # i8[n]
    instances: np.ndarray  # INSTANCE[...]
    orders: np.ndarray  # ORDER[...]
    lines: np.ndarray  # ORDER_LINE[...]
    ids: np.ndarray  # RECENT_ID[...]
    sighting_heads: np.ndarray  # i4[n, 1]: Watch.heads
    sightings: np.ndarray  # SIGHTING[...]


# --- out --------------------------------------------------------------------------------------------------------------
def taken(shard: CustomerShard, low: int, high: int) -> Partition:
    """A copy of customers low … high - 1; the shard stays as it is."""
    here, wallets, watch = places(shard, low, high), shard.arrays.wallets, shard.arrays.watch
    heads, sighting_heads = wallets.heads[here].copy(), watch.heads[here].copy()
    instances = taken_lists(heads[:, INSTANCES], wallets.instances)
    orders = taken_lists(heads[:, ORDERS], wallets.orders)
    lines = taken_lists(orders["lines"], wallets.lines)
    ids = taken_lists(heads[:, IDS], wallets.ids)
    return Partition(
        np.array([low]), shard.arrays.customers[here].copy(), shard.arrays.rings[here].copy(),
        heads, wallets.claims[here].copy(), wallets.requests[here].copy(), wallets.open[here].copy(),
        wallets.due_ms[here].copy(), instances, orders, lines, ids,
        sighting_heads, taken_lists(sighting_heads[:, SIGHTINGS], watch.sightings),
    )  # fmt: skip


def bounds_of(customers: int, shards: int) -> list[tuple[int, int]]:
    """[first, end) of each shard."""
    return list(pairwise(customers * shard // shards for shard in range(shards + 1)))


def places(shard: CustomerShard, low: int, high: int) -> slice:
    """Where customers low … high - 1 are in a shard's arrays."""
    first, count = int(shard.arrays.first[0]), len(shard.customers)
    assert first <= low <= high <= first + count, f"{low} … {high} must be in {first} … {first + count}"
    return slice(low - first, high - first)


def rows_in(heads: np.ndarray, slab: np.ndarray) -> np.ndarray:
    """Rows of some lists, one list after the other: i8[n]."""
    heads = heads[heads != NONE]
    if len(heads) == 0:
        return np.zeros(0, np.int64)
    rows = np.empty(count_rows(heads.copy(), slab["next"]), np.int64)
    list_rows(heads, slab["next"], rows)
    return rows


def taken_lists(heads: np.ndarray, slab: np.ndarray) -> np.ndarray:
    """A copy of some lists of a slab; in it and in `heads`, which are written, rows are numbered anew."""
    copy = np.take(slab, rows_in(heads, slab))
    ends = copy["next"] == NONE
    copy["next"] = np.where(ends, NONE, np.arange(1, len(copy) + 1))
    # A list begins at the front, and wherever another has ended.
    heads[heads != NONE] = np.flatnonzero(np.concatenate([[True], ends])[:-1])
    return copy


# --- in ---------------------------------------------------------------------------------------------------------------
def put(shard: CustomerShard, partition: Partition) -> None:
    """Replace the shard's customers of the partition's range by those of the partition."""
    low = int(partition.first[0])
    here = places(shard, low, low + len(partition.customers))
    provide(shard, partition)
    shard.arrays.customers[here], shard.arrays.rings[here] = partition.customers, partition.rings
    if shard.has_wallets:
        put_wallets(shard, here, partition)
    if shard.has_watch:
        put_watch(shard, here, partition)


def put_all(shard: CustomerShard, partitions: Sequence[Partition]) -> None:
    """The same for several, with room made once for them all: growing row by row is most of the time otherwise."""
    for partition in partitions:
        provide(shard, partition)
    arrays = shard.arrays
    if shard.has_wallets:
        sums = {slab: sum(len(getattr(one, name)) for one in partitions) for slab, name in _SLABS.items()}
        arrays = arrays._replace(wallets=grown(arrays.wallets, sums))
    if shard.has_watch:
        arrays = arrays._replace(watch=grown_watch(arrays.watch, sum(len(one.sightings) for one in partitions)))
    shard.arrays = arrays
    for partition in partitions:
        put(shard, partition)


def provide(shard: CustomerShard, partition: Partition) -> None:
    """Wallets and a watch for customers who have had them, even if the shard's policy has no use for any."""
    arrays, count = shard.arrays, len(shard.customers)
    if len(partition.open) and not shard.has_wallets:
        sums = {name: getattr(arrays.wallets, name) for name in ("lives", "prizes", "breaches")}
        shard.arrays = shard.arrays._replace(wallets=empty_wallets(count)._replace(**sums))
    if len(partition.sighting_heads) and not shard.has_watch:
        watch = empty_watch(count)._replace(clock=arrays.watch.clock, warm_ms=arrays.watch.warm_ms)
        watch.rows[0] = rows_of_an_event(shard.tables)
        shard.arrays = shard.arrays._replace(watch=watch)


def put_wallets(shard: CustomerShard, here: slice, partition: Partition) -> None:
    wallets = shard.arrays.wallets
    orders = rows_in(wallets.heads[here, ORDERS], wallets.orders)
    lines = rows_in(wallets.orders["lines"][orders], wallets.lines)
    give(wallets.lines, wallets.free, LINES, lines)
    give(wallets.orders, wallets.free, ORDERS, orders)
    give(wallets.instances, wallets.free, INSTANCES, rows_in(wallets.heads[here, INSTANCES], wallets.instances))
    give(wallets.ids, wallets.free, IDS, rows_in(wallets.heads[here, IDS], wallets.ids))
    needed = {INSTANCES: partition.instances, ORDERS: partition.orders, IDS: partition.ids, LINES: partition.lines}
    wallets = grown(wallets, {slab: len(rows) for slab, rows in needed.items()})
    shard.arrays = shard.arrays._replace(wallets=wallets)
    source = partition if len(partition.open) else empty_wallets(len(partition.customers))
    for name in ("claims", "requests", "open", "due_ms"):
        getattr(wallets, name)[here] = getattr(source, name)
    moved = put_rows(partition.lines, wallets.lines, wallets.free, LINES)
    orders = partition.orders.copy()
    orders["lines"] = renumbered(orders["lines"], moved)
    for slab, rows, into in (
        (INSTANCES, partition.instances, wallets.instances),
        (ORDERS, orders, wallets.orders),
        (IDS, partition.ids, wallets.ids),
    ):
        wallets.heads[here, slab] = renumbered(source.heads[:, slab], put_rows(rows, into, wallets.free, slab))


def put_watch(shard: CustomerShard, here: slice, partition: Partition) -> None:
    watch = shard.arrays.watch
    give(watch.sightings, watch.free, SIGHTINGS, rows_in(watch.heads[here, SIGHTINGS], watch.sightings))
    watch = grown_watch(watch, len(partition.sightings))
    shard.arrays = shard.arrays._replace(watch=watch)
    moved = put_rows(partition.sightings, watch.sightings, watch.free, SIGHTINGS)
    known = len(partition.sighting_heads) > 0
    watch.heads[here, SIGHTINGS] = renumbered(partition.sighting_heads[:, SIGHTINGS], moved) if known else NONE


def give(slab: np.ndarray, free: np.ndarray, number: int, rows: np.ndarray) -> None:
    if len(rows):
        give_rows(slab["next"], free, number, rows)


def put_rows(rows: np.ndarray, slab: np.ndarray, free: np.ndarray, number: int) -> np.ndarray:
    """Put compact lists into free rows of a slab; the row that each has now: i8[n]."""
    moved = np.empty(len(rows), np.int64)
    if len(rows):
        take_rows(slab["next"], free, number, moved)
        slab[moved] = rows
        slab["next"][moved] = renumbered(rows["next"], moved)
    return moved


def renumbered(links: np.ndarray, rows: np.ndarray) -> Any:
    """Heads or links into a partition as rows of a slab."""
    found, there = links.copy(), links != NONE
    found[there] = rows[links[there]]
    return found
