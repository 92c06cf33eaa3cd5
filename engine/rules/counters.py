"""The counter behind nearly all rules of the Ledger: per rule a bounded table of keys, and of each key what came last.

A key keeps its last `most` + 1 times, or the `most` + 1 different values seen most recently: enough to say exactly
whether there were more than `most`. A new key in a full table takes the place of the one idle longest. The arrays are
flat; a rule's part begins where its book says, and memory is touched when it is first used.
"""

from typing import NamedTuple

import numpy as np

from engine.compiled import entry, kernel
from engine.records import LONG_AGO_MS, NEVER_MS, NONE, PER_DAY
from engine.rules.experiments import GOLDEN, mix64

# A rule's table. Rows and lists are places in the flat arrays.
BOOK = np.dtype(
    [
        ("name_hash", "u8"),  # 0: the slot has no table
        ("forgotten_ms", "i8"),  # last event of the keys that lost their place, the latest; LONG_AGO_MS
        ("first", "i8"),  # its keys are rows [first, first + room)
        ("room", "i8"),
        ("used", "i8"),  # rows that were ever in use
        ("free", "i8"),  # first row that is free again; NONE
        ("queue", "i8"),  # its part of the queue of events, twice `room` places …
        ("head", "i8"),  # … the first one in use, counted from there; the place of the key idle longest or before it
        ("tail", "i8"),  # … after the last one in use
        ("lists", "i8"),  # first list by hash …
        ("lists_count", "i8"),  # … of so many, a power of two
        ("cells", "i8"),  # first cell: `width` for each row
        ("width", "i8"),  # of a key: `depth` times, each followed by a value where a rule counts different ones
        ("depth", "i8"),  # most + 1
        ("things", "i8"),  # engine/rules/bonds.py: its part of the things …
        ("things_room", "i8"),
        ("things_used", "i8"),
        ("things_free", "i8"),  # first one that is free again; NONE
        ("things_lists", "i8"),
        ("things_lists_count", "i8"),
    ],
    align=True,
)

KEY = np.dtype(
    [
        ("key", "i8"),
        ("beside", "i8"),  # the second half of a key of two: of a campaign; 0
        ("last_ms", "i8"),  # of its latest event
        ("next", "i4"),  # in its list by hash, or of the free; NONE
        ("place", "i4"),  # of its latest event in the queue
        ("filled", "i4"),  # cells in use; of a group: members
        ("front", "i4"),  # the oldest time once all cells are in use; of a group: members who share
        ("things", "i4"),  # first thing; NONE
    ],
    align=True,
)


class Counters(NamedTuple):
    books: np.ndarray  # BOOK[RULES_MAX]
    keys: np.ndarray  # KEY[...]
    lists: np.ndarray  # i4[...]: row + 1; 0: empty
    cells: np.ndarray  # i8[...]
    queue: np.ndarray  # i4[...]: rows by event, also of events that were not their key's latest


# --- keys -------------------------------------------------------------------------------------------------------------
@kernel
def pair_hash(one, other):
    return mix64(mix64(np.uint64(np.int64(one)) + GOLDEN) ^ np.uint64(np.int64(other)))


@kernel
def key_place(book, key, beside):
    """The list a key is in."""
    return int(book.lists) + np.int64(pair_hash(key, beside) & np.uint64(book.lists_count - 1))


@kernel
def follow(counters, row, key, beside):
    """Row of a key in the list that begins with a row; NONE."""
    while row != NONE and (counters.keys[row].key != key or counters.keys[row].beside != beside):
        row = int(counters.keys[row].next)
    return row


@kernel
def find_key(counters, book, key, beside):
    """Row of a key; NONE."""
    return follow(counters, int(counters.lists[key_place(book, key, beside)]) - 1, key, beside)


@kernel
def is_latest(counters, book, place):
    """Whether a place of the queue is its key's latest event."""
    row = int(counters.queue[book.queue + place])
    return row != NONE and counters.keys[row].place == place


@kernel
def tidy(counters, book):
    """Move what is still anybody's latest event to the front of the queue: half of the places are free then."""
    tail = 0
    for place in range(int(book.head), int(book.tail)):
        if is_latest(counters, book, place):
            row = int(counters.queue[book.queue + place])
            counters.queue[book.queue + tail] = row
            counters.keys[row].place = tail
            tail += 1
    book.head, book.tail = 0, tail


@kernel
def touch(counters, book, row, t):
    """A key has an event: of all keys it is idle for the shortest time."""
    key = counters.keys[row]
    key.last_ms = t
    if key.place + 1 == book.tail:
        return
    if book.tail == 2 * book.room:
        tidy(counters, book)
    key.place = book.tail
    counters.queue[book.queue + book.tail] = row
    book.tail += 1


@kernel
def idle_longest(counters, book):
    """Row of the key whose latest event was first; the table must not be empty."""
    while not is_latest(counters, book, int(book.head)):
        book.head += 1
    return int(counters.queue[book.queue + book.head])


@kernel
def leave_list(counters, book, row):
    key = counters.keys[row]
    place = key_place(book, int(key.key), int(key.beside))
    at = int(counters.lists[place]) - 1
    if at == row:
        counters.lists[place] = key.next + 1
        return
    while counters.keys[at].next != row:
        at = int(counters.keys[at].next)
    counters.keys[at].next = key.next


@kernel
def put_out(counters, book, row):
    """A key loses its place: what is new from now on may have been known before."""
    leave_list(counters, book, row)
    counters.queue[book.queue + counters.keys[row].place] = NONE
    book.forgotten_ms = max(int(book.forgotten_ms), int(counters.keys[row].last_ms))
    counters.keys[row].next = book.free
    book.free = row


@kernel
def is_full(book):
    return book.free == NONE and book.used == book.room


@kernel
def enter_key(counters, book, key, beside, t):
    """Enter a key that is not there; in a full table the one idle longest makes room. Returns its row."""
    if is_full(book):
        put_out(counters, book, idle_longest(counters, book))
    if book.free != NONE:
        row = int(book.free)
        book.free = counters.keys[row].next
    else:
        row = int(book.first + book.used)
        book.used += 1
    place, one = key_place(book, key, beside), counters.keys[row]
    one.key, one.beside, one.filled, one.front, one.things, one.place = key, beside, 0, 0, NONE, NONE - 1
    one.next = counters.lists[place] - 1
    counters.lists[place] = row + 1
    touch(counters, book, row, t)
    return row


# --- what is kept of a key --------------------------------------------------------------------------------------------
@kernel
def first_cell(book, row):
    return int(book.cells + (row - book.first) * book.width)


@kernel
def note_time(counters, book, row, t):
    """Keep the last `depth` times."""
    key = counters.keys[row]
    counters.cells[first_cell(book, row) + key.front] = t
    key.front = key.front + 1 if key.front + 1 < book.depth else 0
    if key.filled < book.depth:
        key.filled += 1


@kernel
def value_cell(counters, book, row, value):
    """The cell of a value among those of its row: its own, a free one, or that of the value not seen for longest."""
    first, filled = first_cell(book, row), int(counters.keys[row].filled)
    oldest = first
    for at in range(first, first + 2 * filled, 2):
        if counters.cells[at + 1] == value:
            return at
        if counters.cells[at] < counters.cells[oldest]:
            oldest = at
    if filled == book.depth:
        return oldest
    counters.keys[row].filled += 1
    return first + 2 * filled


@kernel
def note_value(counters, book, row, value, t):
    """Keep the `depth` different values seen most recently, and when."""
    at = value_cell(counters, book, row, value)
    counters.cells[at], counters.cells[at + 1] = t, value


@kernel
def limit_time(counters, book, row):
    """The oldest of what is kept, if that is more than `most`; else LONG_AGO_MS. The key fires while it is in the
    window."""
    key = counters.keys[row]
    if key.filled < book.depth:
        return LONG_AGO_MS
    first = first_cell(book, row)
    if book.width == book.depth:
        return int(counters.cells[first + key.front])
    oldest = int(counters.cells[first])
    for at in range(first + 2, first + int(book.width), 2):
        oldest = min(oldest, int(counters.cells[at]))
    return oldest


@kernel
def others_since(counters, book, row, value, since):
    """How many times, or different values other than this one, are kept that came after `since`."""
    step, found = (1 if book.width == book.depth else 2), 0
    first = first_cell(book, row)
    for at in range(first, first + step * int(counters.keys[row].filled), step):
        if counters.cells[at] > since and (step == 1 or counters.cells[at + 1] != value):
            found += 1
    return found


# --- windows ----------------------------------------------------------------------------------------------------------
@kernel
def window_begins(rule, today, t):
    """What came later than this is in the window. today: the policy's day of t, [start, end) ms."""
    return int(today[0]) - 1 if rule.per == PER_DAY else t - int(rule.window_ms)


@kernel
def window_ends(rule, today, t):
    """When an event of t is out of the window; of a test without one: never."""
    if rule.per == PER_DAY:
        return int(today[1])
    return NEVER_MS if rule.window_ms == 0 or rule.window_ms >= NEVER_MS else t + int(rule.window_ms)


# --- counting and judging ---------------------------------------------------------------------------------------------
@kernel
def count(counters, book, row, key, beside, value, t):
    """Count an event under a key; row: the key's, NONE where it is not in the table. Returns its row."""
    if row == NONE:
        row = enter_key(counters, book, key, beside, t)
    else:
        touch(counters, book, row, t)
    if book.width == book.depth:
        note_time(counters, book, row, t)
    else:
        note_value(counters, book, row, value, t)
    return row


@kernel
def would_fire(counters, book, rule, row, value, since):
    """Whether there were more than `most` with one more now; row: NONE where the key is not known."""
    found = 0 if row == NONE else others_since(counters, book, row, value, since)
    return found + 1 > rule.most


@entry
def carry_keys(old, old_book, new, new_book):
    """Enter every key of a table into an empty one, the one idle longest first."""
    new_book.forgotten_ms = old_book.forgotten_ms
    for place in range(int(old_book.head), int(old_book.tail)):
        if is_latest(old, old_book, place):
            at = int(old.queue[old_book.queue + place])
            key = old.keys[at]
            row = enter_key(new, new_book, int(key.key), int(key.beside), int(key.last_ms))
            new.keys[row].filled, new.keys[row].front = key.filled, key.front
            here, there = first_cell(old_book, at), first_cell(new_book, row)
            for i in range(int(old_book.width)):
                new.cells[there + i] = old.cells[here + i]
