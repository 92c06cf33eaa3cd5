"""What the Ledger remembers for fraud rules: tables laid out for a policy, carried over to the next one, copied."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from engine.coupon_records import RequestKind
from engine.days import day_index
from engine.fraud_records import LISTED, RULE_CELLS, RULES_MAX, Check, Field, Home, Mode, Verdict
from engine.records import LONG_AGO_MS, NEVER_MS, NONE, PER_DAY, Tables, records
from engine.rules.bonds import THING, THINGS_OF_GROUP, THINGS_SEEN, Bonds, carry_bonds
from engine.rules.counters import BOOK, KEY, Counters, carry_keys
from engine.rules.listings import LISTED_FIELDS, Decided, link_all_decided
from engine.rules.verdicts import Found, Fraud, marks_customers

DECIDED_MAX = 1_000_000  # by persons, and not yet over
LEAST_DECIDED = 64
# What a rule counts by: where it differs from the policy before, what was counted is of no use.
COUNTED_BY = ("kinds", "window_ms", "most", "per", "key", "different", "check", "granted")
NO_DAY = np.array([LONG_AGO_MS, LONG_AGO_MS, 0], np.int64)  # of Fraud.today: nothing was settled yet
_WITH_TABLE = (Check.COUNT, Check.SELF_REFERRAL, Check.COLLUSION)


# --- made -------------------------------------------------------------------------------------------------------------
def rules_at_work(rules: Any) -> list[int]:
    """Slots of the Ledger's rules that are not off."""
    at_work = (rules["used"] != 0) & (rules["home"] == Home.LEDGER) & (rules["mode"] != Mode.OFF)
    return [int(slot) for slot in np.flatnonzero(at_work)]


def lists_for_keys(room: int) -> int:
    """A power of two, at least as many lists as there may be keys."""
    return 1 << max(1, room - 1).bit_length()


def names_of_rules(rules: Any) -> dict[str, int]:
    """Slots by a rule's name, as its hash."""
    return {f"{int(rules[slot].name_hash):016x}": int(slot) for slot in np.flatnonzero(rules["used"])}


def books_for(rules: Any) -> np.ndarray:
    """Where each rule's table lies: BOOK[RULES_MAX]."""
    books = records(RULES_MAX, BOOK)
    rows = lists = cells = things = things_lists = 0
    for slot in rules_at_work(rules):
        rule, book = rules[slot], books[slot]
        if rule.check not in _WITH_TABLE:
            continue
        owns = rule.check == Check.COLLUSION
        book.name_hash, book.room = rule.name_hash, max(1, int(rule.keys))
        book.depth, book.width = shape_of(rule)
        book.things_room = THINGS_OF_GROUP * book.room if owns else 0
        book.lists_count = lists_for_keys(int(book.room))
        book.things_lists_count = lists_for_keys(int(book.things_room)) if owns else 0
        book.first, book.lists, book.cells, book.things, book.things_lists = rows, lists, cells, things, things_lists
        book.queue, book.free, book.things_free = 2 * rows, NONE, NONE
        book.forgotten_ms = LONG_AGO_MS
        rows, lists = rows + int(book.room), lists + int(book.lists_count)
        cells += int(book.room * book.width)
        things, things_lists = things + int(book.things_room), things_lists + int(book.things_lists_count)
    return books


def shape_of(rule: Any) -> tuple[int, int]:
    """How many times a key keeps, and cells in all."""
    if rule.check == Check.COUNT:
        depth = int(rule.most) + 1
        return depth, depth if rule.different == NONE else 2 * depth
    return (THINGS_SEEN, 2 * THINGS_SEEN) if rule.check == Check.SELF_REFERRAL else (0, 0)


def no_decisions(room: int) -> Decided:
    heads = np.full(lists_for_keys(room), NONE, np.int32)
    return Decided(records(room, LISTED), np.full(room, NONE, np.int32), heads, np.zeros(1, np.int64))


def empty_fraud(rules: Any, customers: int) -> Fraud:
    """For the rules of a policy; memory is touched when it is used."""
    books = books_for(rules)
    circles = any(rules[slot].check == Check.REFERRAL_CYCLE for slot in rules_at_work(rules))
    return Fraud(
        Counters(
            books,
            records(int(books["room"].sum()), KEY),
            np.zeros(int(books["lists_count"].sum()), np.int32),
            np.zeros(int((books["room"] * books["width"]).sum()), np.int64),
            np.zeros(2 * int(books["room"].sum()), np.int32),
        ),
        Bonds(
            records(int(books["things_room"].sum()), THING),
            np.zeros(int(books["things_lists_count"].sum()), np.int32),
            np.zeros(customers if circles else 0, np.int64),
        ),
        no_decisions(LEAST_DECIDED),
        np.zeros(RULES_MAX, np.int64),
        NO_DAY.copy(),
    )


def found_for(tables: Tables) -> Found:
    """Scratch of a settlement, and what rules did by day since the policy was taken up."""
    return Found(
        np.zeros(2, np.int64),
        np.zeros(3, np.int64),
        np.zeros(RULES_MAX, np.int64),
        np.full(len(Field) + 1, NONE, np.int64),
        np.zeros(RULES_MAX, np.int64),
        np.zeros((RULES_MAX, 2), np.int64),
        np.zeros(RULES_MAX, np.int64),
        np.zeros((max(1, len(tables.days)), RULES_MAX, RULE_CELLS), np.int64),
    )


# --- carried over -----------------------------------------------------------------------------------------------------
def counts_alike(before: Any, after: Any) -> bool:
    """Whether what one rule has counted is what the other would have."""
    return all(before[name] == after[name] for name in COUNTED_BY)


def warm_until(rule: Any, tables: Tables, now: int) -> int:
    """When a rule that was taken up now has seen all of a window."""
    if rule.per == PER_DAY:
        following = int(day_index(tables.days, now)) + 1 if len(tables.days) else 0
        return int(tables.days[following].start_ms) if following < len(tables.days) else now
    return now if rule.window_ms <= 0 or rule.window_ms >= NEVER_MS else now + int(rule.window_ms)


def carried_fraud(old: Fraud, before: Any, tables: Tables, customers: int, now: int | None) -> Fraud:
    """The tables of a policy, with what rules of the same name have counted under `before` (RULE[...]). now: rules that
    begin anew warm from then on; None: it is the same policy under other slots, nothing warms."""
    if np.array_equal(before, tables.rules):
        return old._replace(today=NO_DAY.copy())
    new = empty_fraud(tables.rules, customers)
    slots = {int(before[slot].name_hash): slot for slot in rules_at_work(before)}
    for slot in rules_at_work(tables.rules):
        rule = tables.rules[slot]
        earlier = slots.get(int(rule.name_hash))
        if earlier is not None and counts_alike(before[earlier], rule):
            new.warm_ms[slot] = old.warm_ms[earlier]
            carry_rule(old, earlier, new, slot, int(rule.check))
        elif now is not None:
            new.warm_ms[slot] = warm_until(rule, tables, now)
    return new._replace(decided=old.decided)


def carry_rule(old: Fraud, earlier: int, new: Fraud, slot: int, check: int) -> None:
    """Take over what one rule has counted."""
    if check in (Check.COUNT, Check.SELF_REFERRAL):
        carry_keys(old.counters, old.counters.books[earlier], new.counters, new.counters.books[slot])
    elif check == Check.COLLUSION:
        books = old.counters.books[earlier], new.counters.books[slot]
        carry_bonds(old.counters, old.bonds, books[0], new.counters, new.bonds, books[1])
    elif check == Check.REFERRAL_CYCLE:
        new.bonds.inviters[:] = old.bonds.inviters


# --- given room -------------------------------------------------------------------------------------------------------
def with_decisions(fraud: Fraud, more: int, now: int) -> Fraud:
    """Room for so many more decisions of persons, as far as the limit allows; those that are over make room first."""
    decided = fraud.decided
    count = int(decided.size[0])
    if count + more <= len(decided.rows):
        return fraud
    kept = decided.rows[:count][decided.rows[:count]["until_ms"] > now]
    room = len(decided.rows)
    while room < min(len(kept) + more, DECIDED_MAX):
        room *= 2
    larger = no_decisions(min(room, DECIDED_MAX))
    larger.rows[: len(kept)], larger.size[0] = kept, len(kept)
    link_all_decided(larger)
    return fraud._replace(decided=larger)


def mask_of(slots: Iterable[int]) -> int:
    return sum(1 << slot for slot in slots)


def marking_rules(rules: Any) -> int:
    """Mask of the rules that may mark a customer."""
    return mask_of(slot for slot in rules_at_work(rules) if marks_customers(rules[slot]))


def reviewing_rules(rules: Any) -> int:
    """Mask of the rules that answer with a review."""
    return mask_of(slot for slot in rules_at_work(rules) if rules[slot].verdict == Verdict.REVIEW)


def decisions_in(requests: np.ndarray) -> int:
    """How many rows the decisions among REQUEST[n] take at most."""
    return len(LISTED_FIELDS) * int((requests["kind"] == RequestKind.LISTED).sum())


# --- copied -----------------------------------------------------------------------------------------------------------
def copied_fraud(fraud: Fraud) -> Fraud:
    """What is in use is copied, the rest stays untouched."""
    counters, bonds, books = fraud.counters, fraud.bonds, fraud.counters.books
    keys, cells = records(len(counters.keys), KEY), np.zeros(len(counters.cells), np.int64)
    queue = np.zeros(len(counters.queue), np.int32)
    things: Any = records(len(bonds.things), THING)
    for slot in np.flatnonzero(books["name_hash"]).tolist():
        book = books[slot]
        for array, copy, first, used in (
            (counters.keys, keys, int(book.first), int(book.used)),
            (counters.cells, cells, int(book.cells), int(book.used * book.width)),
            (counters.queue, queue, int(book.queue), int(book.tail)),
            (bonds.things, things, int(book.things), int(book.things_used)),
        ):
            copy[first : first + used] = array[first : first + used]
    return Fraud(
        Counters(books.copy(), keys, copied_lists(counters.lists), cells, queue),
        Bonds(things, copied_lists(bonds.lists), bonds.inviters.copy()),
        Decided(*(array.copy() for array in fraud.decided)),
        fraud.warm_ms.copy(),
        fraud.today.copy(),
    )


def copied_lists(lists: np.ndarray) -> np.ndarray:
    """The same with only those pages touched where a list has begun."""
    copy = np.zeros(len(lists), lists.dtype)
    begun = np.flatnonzero(lists)
    copy[begun] = lists[begun]
    return copy


def fraud_bytes(fraud: Fraud) -> int:
    """Memory in use: of the tables what was touched."""
    books = fraud.counters.books
    rows = int((books["used"] * (KEY.itemsize + 8 * books["width"]) + 4 * books["tail"]).sum())
    things = int(books["things_used"].sum()) * THING.itemsize
    lists = fraud.counters.lists.nbytes + fraud.bonds.lists.nbytes
    return rows + things + lists + fraud.bonds.inviters.nbytes
