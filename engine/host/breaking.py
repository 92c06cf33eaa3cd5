"""The Ledger's circuit breakers: made, carried over by name, given what shards counted, told of a person's decision."""

from typing import Any

import numpy as np

from engine.breaker_records import (
    BREAKERS_MAX,
    COLUMNS,
    EVERYTHING,
    FUSE,
    MINUTES_KEPT,
    PAGED,
    PAGED_MAX,
    PULSES,
    Breakers,
    BreakerState,
)
from engine.compiled import entry
from engine.host.remap import hash_moves
from engine.records import MINUTE_MS, NEVER_MS, NONE, Tables, records
from engine.rules.breaker import counts_of, is_paused

counts_row = entry(counts_of)
paused = entry(is_paused)


def no_breakers() -> Breakers:
    return Breakers(
        np.full(1, NEVER_MS, np.int64),
        np.zeros(0, np.int64),
        np.zeros((0, COLUMNS, PULSES), np.int64),
        records((0, COLUMNS), FUSE),
        np.zeros(COLUMNS, np.uint64),
        np.zeros(BREAKERS_MAX, np.uint64),
        records(0, PAGED),
        np.zeros(1, np.int64),
    )


def breakers_for(tables: Tables, now: int) -> Breakers:
    """All open at `now`, for the breakers of a policy; nothing where it has none."""
    new = no_breakers()
    if len(tables.breakers) == 0:
        return new
    names, own = np.zeros(COLUMNS, np.uint64), np.zeros(BREAKERS_MAX, np.uint64)
    names[1 : len(tables.campaigns) + 1] = tables.campaigns["name_hash"]
    own[: len(tables.breakers)] = tables.breakers["name_hash"]
    return new._replace(
        judged=np.array([now // MINUTE_MS * MINUTE_MS], np.int64),
        minutes=np.full(MINUTES_KEPT, NONE, np.int64),
        counts=np.zeros((MINUTES_KEPT, COLUMNS, PULSES), np.int64),
        fuses=records((BREAKERS_MAX, COLUMNS), FUSE),
        names=names,
        breaker_names=own,
        paged=records(PAGED_MAX, PAGED),
    )


def copied_breakers(breakers: Breakers) -> Breakers:
    return Breakers(*(array.copy() for array in breakers))


def carried_breakers(old: Breakers, tables: Tables, now: int) -> Breakers:
    """The breakers of a policy, with the counts, and the states of those of the same name, as they were."""
    new = breakers_for(tables, now)
    if len(new.minutes) == 0 or len(old.minutes) == 0:
        return new
    columns, rows = moved_names(old.names, new.names), moved_names(old.breaker_names, new.breaker_names)
    columns[EVERYTHING] = EVERYTHING
    stay = np.flatnonzero(columns != NONE)
    new.judged[0], new.minutes[:] = old.judged[0], old.minutes
    new.counts[:, columns[stay]] = old.counts[:, stay]
    for row in np.flatnonzero(rows != NONE).tolist():
        new.fuses[rows[row], columns[stay]] = old.fuses[row, stay]
    kept = min(int(old.calls[0]), PAGED_MAX)
    calls = old.paged[:kept].copy()
    calls["breaker"] = rows[calls["breaker"]]
    calls["campaign"] = np.where(calls["campaign"] == NONE, NONE, columns[calls["campaign"] + 1] - 1)
    calls = calls[calls["breaker"] != NONE]  # a breaker that is gone has nobody to call any more
    new.paged[: len(calls)], new.calls[0] = calls, len(calls) + int(old.calls[0]) - kept
    return new


def moved_names(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """New place of every old one; NONE where no name is, or it is gone."""
    moves = hash_moves(before, after)
    moves[before == 0] = NONE
    return moves


def take_pulse(breakers: Breakers, minute: int, pulse: np.ndarray) -> None:
    """Add what a shard counted: i8[minutes, columns, PULSES] from a minute on."""
    if len(breakers.minutes) == 0:
        return
    for ahead in np.flatnonzero(pulse.any(axis=(1, 2))).tolist():
        row = counts_row(breakers, minute + ahead)
        breakers.counts[row, : pulse.shape[1]] += pulse[ahead]


def held(breakers: Breakers, rules: Any, slots: int) -> np.ndarray:
    """i1[slots]: 1 where a breaker holds the campaign."""
    if len(rules) == 0:
        return np.zeros(slots, np.int8)
    return np.array([paused(breakers, rules, slot) for slot in range(slots)], np.int8)


def close(breakers: Breakers, number: int, slot: int, t: int) -> bool:
    """Somebody has decided at t that campaigns run again; slot NONE: all that a breaker watches. What was counted until
    then counts no more. False if it was not tripped."""
    fuse = breakers.fuses[number, slot + 1]
    if fuse.state != BreakerState.TRIPPED:
        return False
    fuse.state, fuse.since_ms = BreakerState.OPEN, -(-t // MINUTE_MS) * MINUTE_MS
    at = int(breakers.calls[0])
    breakers.calls[0] += 1
    if at < len(breakers.paged):
        breakers.paged[at] = (t, 0, 0, number, slot, BreakerState.OPEN)
    return True
