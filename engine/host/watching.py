"""What a shard remembers for fraud rules as arrays that grow, and what a change of the policy's rules does to it."""

from typing import Any

import numpy as np

from engine.coupon_records import ORDERS_MAX, OrderState, Wallets
from engine.days import day_index
from engine.fraud_records import (
    CASE,
    ORIGIN,
    RULES_MAX,
    SETTLED,
    SIGHTING,
    SWEPT,
    Check,
    Home,
    Mode,
    Seen,
    Watch,
)
from engine.records import DAY_MS, EVENT_KINDS, LONG_AGO_MS, NEVER_MS, NONE, PER_DAY, EventKind, Tables, records
from engine.rules.slabs import chain
from engine.rules.watch import SIGHTINGS, renumber, sweep

GROWTH = 1.05  # the slab grows by so much at least
# What a rule counts, and how much of it is kept. One that differs in any of these begins anew.
COUNTING = ("kinds", "window_ms", "most", "per", "amount", "key", "different", "check", "home", "granted")


# --- arrays -----------------------------------------------------------------------------------------------------------
def empty_watch(customers: int) -> Watch:
    return Watch(
        heads=np.full((customers, 1), NONE, np.int32),
        sightings=records(0, SIGHTING),
        free=np.array([[NONE, 0]], np.int64),
        warm_ms=np.full(RULES_MAX, LONG_AGO_MS, np.int64),
        clock=np.full(2, LONG_AGO_MS, np.int64),
        rows=np.zeros(1, np.int64),
        counts=np.zeros((RULES_MAX, len(Seen)), np.int64),
        origin=records(1, ORIGIN),
        case=records(1, CASE),
    )


def grown_watch(watch: Watch, rows: int) -> Watch:
    """The same with at least so many free sightings."""
    missing = rows - int(watch.free[SIGHTINGS, 1])
    if missing <= 0:
        return watch
    old = watch.sightings
    more = max(missing, int(len(old) * (GROWTH - 1)))
    new: Any = records(len(old) + more, SIGHTING)
    new[: len(old)] = old
    chain(new, len(old))
    new[-1].next = watch.free[SIGHTINGS, 0]
    watch.free[SIGHTINGS] = len(old), int(watch.free[SIGHTINGS, 1]) + more
    return watch._replace(sightings=new)


def has_rules(tables: Tables) -> bool:
    return bool(is_on(tables.rules).any())


def is_on(rules: np.ndarray) -> np.ndarray:
    """bool by slot."""
    return (rules["used"] != 0) & (rules["mode"] != Mode.OFF)


# --- room -------------------------------------------------------------------------------------------------------------
def counters(tables: Tables, kind: int) -> int:
    """How many rules of the shard listen to a kind: each may keep one sighting of an event."""
    slots = tables.listening[tables.listening_bounds[kind] : tables.listening_bounds[kind + 1]]
    return int((tables.rules.view(np.ndarray)["home"][slots] == Home.SHARD).sum()) if len(slots) else 0


def rows_of_an_event(tables: Tables) -> int:
    """Sightings that one event can add at most: itself and the claim of its exposure, journeys found by each, a pass,
    orders not paid in time."""
    widest = max(counters(tables, kind) for kind in range(EVENT_KINDS))
    travel = int((tables.rules["check"] == Check.TRAVEL).sum())
    unpaid = ORDERS_MAX * counters(tables, EventKind.ORDER_UNPAID)
    return widest + counters(tables, EventKind.CLAIM) + 2 * travel + 1 + unpaid


def rows_of_a_lapse(tables: Tables, wallets: Wallets) -> int:
    """Sightings that bringing every wallet up to a time can add at most."""
    unpaid = counters(tables, EventKind.ORDER_UNPAID)
    return unpaid * int(np.count_nonzero(wallets.orders["state"] == OrderState.HELD)) if unpaid else 0


# --- time -------------------------------------------------------------------------------------------------------------
def is_sweep_due(watch: Watch, tables: Tables, t: int) -> bool:
    """At the first settlement of a day."""
    starts = tables.days["start_ms"].view(np.ndarray)  # day_index by hand takes ten times as long
    return bool(watch.clock[SWEPT] < starts[max(0, int(starts.searchsorted(t, "right")) - 1)])


def sweep_daily(watch: Watch, tables: Tables, t: int) -> None:
    """At the first settlement of a day: customers who do nothing are looked at, too."""
    if is_sweep_due(watch, tables, t):
        sweep(watch, tables, tables.days[day_index(tables.days, t)], t)
        watch.clock[SWEPT] = t


def warm_until(rule: np.void, tables: Tables, now: int) -> int:
    """When a rule that was taken up at a time has seen its whole window."""
    if rule["per"] == PER_DAY:
        day = day_index(tables.days, now)
        return int(tables.days[day + 1].start_ms) if day + 1 < len(tables.days) else now + DAY_MS
    return now if rule["window_ms"] in (0, NEVER_MS) else now + int(rule["window_ms"])


# --- another policy ---------------------------------------------------------------------------------------------------
def rule_moves(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """New slot of every old rule by name, NONE of what is gone or off (i8); whether it begins anew (bool)."""
    slots = {int(after["name_hash"][slot]): slot for slot in np.flatnonzero(is_on(after)).tolist()}
    moves, anew = np.full(RULES_MAX, NONE, np.int64), np.zeros(RULES_MAX, np.bool_)
    for old in np.flatnonzero(is_on(before)).tolist():
        new = slots.get(int(before["name_hash"][old]), NONE)
        moves[old] = new
        anew[old] = new != NONE and counts_otherwise(before[old], after[new])
    return moves, anew


def counts_otherwise(one: np.void, other: np.void) -> bool:
    return any(one[name] != other[name] for name in COUNTING)


def move_rules(watch: Watch, requests: Any, before: np.ndarray, tables: Tables) -> None:
    """Take up the rules of a policy (before: RULE[...] of the one till now). What is remembered, and the requests that
    wait for the Ledger (REQUEST[n]), name the same rules as before."""
    if not np.array_equal(before, tables.rules):
        moves, anew = rule_moves(before, tables.rules)
        take_up(watch, moves, anew, tables)
        renumber(watch, np.where(anew, NONE, moves))
        for name in ("counted", "judging", "exempt", "fired"):
            requests[name] = moved_mask(requests[name], moves)
        requests["rule"] = np.where(requests["rule"] == NONE, NONE, moves[requests["rule"]])


def take_up(watch: Watch, moves: np.ndarray, anew: np.ndarray, tables: Tables) -> None:
    """Rules that were off, not there, or counted otherwise are warming, unless the world only begins."""
    now, warm = int(watch.clock[SETTLED]), watch.warm_ms.copy()
    known = {int(new): old for old, new in enumerate(moves) if new != NONE and not anew[old]}
    watch.warm_ms[:] = LONG_AGO_MS
    for slot in np.flatnonzero(is_on(tables.rules)).tolist():
        if slot in known:
            watch.warm_ms[slot] = warm[known[slot]]
        elif now != LONG_AGO_MS:
            watch.warm_ms[slot] = warm_until(tables.rules[slot], tables, now)


def moved_mask(masks: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """i8 masks of rules under the new slots; rules that are gone are in none."""
    moved = np.zeros(len(masks), np.int64)
    for old, new in enumerate(moves.tolist()):
        if new != NONE:
            moved |= ((masks >> old) & 1) << new
    return moved
