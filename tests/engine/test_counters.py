"""The counter of the Ledger's fraud rules against the whole history, and its bounded table key by key."""

from collections import OrderedDict
from itertools import count as numbers
from random import Random
from typing import Any

import numpy as np
import pytest

from engine.compiled import entry
from engine.fraud_records import RULE, Field
from engine.host.ledger_fraud import empty_fraud
from engine.records import DAY_MS, HOUR_MS, LONG_AGO_MS, NEVER_MS, NONE, PER_DAY, EventKind
from engine.rules.counters import count, find_key, limit_time, others_since, window_begins
from tests.engine.claims import Row
from tests.engine.fraud_rows import DAILY, DIFFERENT, MIDNIGHT_MS, START_MS, counts, table

count_in = entry(count)
find_in = entry(find_key)
limit_in = entry(limit_time)
others_in = entry(others_since)
begins = entry(window_begins)


class Counter:
    """One rule's table, called from Python."""

    def __init__(self, **fields: Any) -> None:
        row = counts(1, [EventKind.CLAIM], Field.IP, HOUR_MS, 2) | fields
        self.rules = table([row], RULE)
        self.counters = empty_fraud(self.rules, 0).counters
        self.book = self.counters.books[0]

    def since(self, t: int) -> int:
        today = np.array([t - (t - MIDNIGHT_MS) % DAY_MS, 0, 0])
        return int(begins(self.rules[0], today, t))

    def count(self, key: int, value: int, t: int) -> bool:
        """Count, and say whether the key fires."""
        row = find_in(self.counters, self.book, key, 0)
        row = count_in(self.counters, self.book, row, key, 0, value, t)
        return bool(limit_in(self.counters, self.book, row) > self.since(t))

    def fires(self, key: int, t: int) -> bool:
        row = find_in(self.counters, self.book, key, 0)
        return row != NONE and bool(limit_in(self.counters, self.book, row) > self.since(t))

    def others(self, key: int, value: int, t: int) -> int:
        row = find_in(self.counters, self.book, key, 0)
        return 0 if row == NONE else int(others_in(self.counters, self.book, row, value, self.since(t)))


class History:
    """Everything that ever happened, looked through each time."""

    def __init__(self, rule: Any) -> None:
        self.rule, self.events = rule, []  # type: ignore[var-annotated]

    def within(self, key: int, t: int) -> list[int]:
        day = (t - MIDNIGHT_MS) // DAY_MS
        return [
            value
            for time, other, value in self.events
            if other == key
            and ((time - MIDNIGHT_MS) // DAY_MS == day if self.rule.per == PER_DAY else time > t - self.rule.window_ms)
        ]

    def size(self, key: int, t: int) -> int:
        found = self.within(key, t)
        return len(found) if self.rule.different == NONE else len(set(found))


def random_rule(rng: Random) -> Row:
    window = rng.choice([1, 10, 60, 1_000, NEVER_MS])
    fields: Row = {"most": rng.choice([0, 1, 2, 3, 5, 20]), "window_ms": window}
    if rng.random() < 0.25:
        fields |= DAILY
    if rng.random() < 0.5:
        fields |= DIFFERENT
    return fields


@pytest.mark.parametrize("seed", range(60))
def test_a_counter_says_what_the_whole_history_says(seed: int) -> None:
    """Times step by whole windows, one less, one more: edges are met all the time."""
    rng = Random(seed)
    counter = Counter(**random_rule(rng))
    rule = counter.rules[0]
    history, t = History(rule), START_MS
    window = DAY_MS if rule.per == PER_DAY else min(int(rule.window_ms), 1_000)
    for _ in range(250):
        t += (
            rng.choice([0, 0, 1, window // 7, window // 3, window - 1, window, window + 1]) if rng.random() < 0.8 else 0
        )
        key, value = rng.randrange(3), rng.randrange(int(rule.most) + 3)
        if rng.random() < 0.7:
            history.events.append((t, key, value))
            assert counter.count(key, value, t) == (history.size(key, t) > rule.most), f"seed {seed} at {t}"
        asked = rng.randrange(3)
        assert counter.fires(asked, t) == (history.size(asked, t) > rule.most), f"seed {seed} at {t}"
        left = [other for other in history.within(asked, t) if rule.different == NONE or other != value]
        expected = min(len(left if rule.different == NONE else set(left)), int(rule.most) + 1)
        assert counter.others(asked, value, t) >= min(expected, int(rule.most)), f"seed {seed} at {t}"
        assert counter.others(asked, value, t) <= expected, f"seed {seed} at {t}"


# --- a full table -----------------------------------------------------------------------------------------------------
def kept(counter: Counter) -> list[int]:
    """Keys in the table, the one idle longest first."""
    return [int(counter.counters.keys[row].key) for row in rows_by_idleness(counter.counters, counter.book)]


def rows_by_idleness(counters: Any, book: Any) -> list[int]:
    """Rows in use, that of the key idle longest first."""
    queue = counters.queue[int(book.queue + book.head) : int(book.queue + book.tail)].tolist()
    places = range(int(book.head), int(book.tail))
    return [row for place, row in zip(places, queue, strict=True) if row != NONE and counters.keys[row].place == place]


# `3` is an event of key 3, one millisecond after the one before; then the keys in the table, longest idle first, and
# the last event that was forgotten, as the number of its event.
EVICTIONS = """
room  events       kept       forgotten
3     1 2 3        1 2 3      -
3     1 2 3 1      2 3 1      -
3     1 2 3 4      2 3 4      1
3     1 2 3 1 4    3 1 4      2
3     1 1 1 2      1 2        -
2     1 2 3 4      3 4        2
2     1 2 1 3 2    3 2        3
1     1 1 2        2          2
1     5            5          -
3     1 2 3 3 2 1 4 4 5    1 4 5      5
"""


def eviction_rows() -> list[list[str]]:
    lines = [line.split("  ") for line in EVICTIONS.strip().splitlines()[1:]]
    return [[part.strip() for part in line if part.strip()] for line in lines]


@pytest.mark.parametrize(("room", "events", "left", "forgotten"), eviction_rows())
def test_the_key_idle_longest_makes_room(room: str, events: str, left: str, forgotten: str) -> None:
    counter = Counter(keys=int(room))
    for number, key in enumerate(events.split(), 1):
        counter.count(int(key), 0, START_MS + number)
    assert kept(counter) == [int(key) for key in left.split()]
    expected = LONG_AGO_MS if forgotten == "-" else START_MS + int(forgotten)
    assert counter.book.forgotten_ms == expected


@pytest.mark.parametrize("seed", range(20))
def test_a_crowd_of_keys_in_a_small_table(seed: int) -> None:
    """Lists by hash that are long, keys that come, go and come back: what is in the table is exact."""
    rng, counter = Random(seed), Counter(keys=Random(seed).choice([1, 2, 7, 50]), most=2)
    known: OrderedDict[int, list[int]] = OrderedDict()
    forgotten = LONG_AGO_MS
    for t in numbers(START_MS, 7):
        key = rng.choice([rng.randrange(8), rng.randrange(120), -rng.randrange(2, 99), rng.getrandbits(60)])
        if key not in known and len(known) == counter.book.room:
            forgotten = known.popitem(last=False)[1][-1]
        known.setdefault(key, []).append(t)
        known.move_to_end(key)
        fires = len([time for time in known[key] if time > t - HOUR_MS]) > 2
        assert counter.count(key, 0, t) == fires
        if t > START_MS + 7 * 400:
            break
    assert kept(counter) == list(known)
    assert counter.book.forgotten_ms == forgotten
    assert counter.book.used == min(counter.book.room, len(known))
