"""The part of the Ledger's digest that fraud rules remember: by the names of rules, by key, in no order."""

import numpy as np

from engine.compiled import kernel
from engine.records import NONE
from engine.rules.counters import first_cell, is_latest
from engine.rules.digest import add
from engine.rules.experiments import mix64
from engine.rules.sums import add_word


@kernel
def cells_hash(h, counters, book, row):
    """Times from the oldest on; of different values a sum, as they have no order."""
    key, first, depth = counters.keys[row], first_cell(book, row), int(book.depth)
    if book.width == depth:
        start = int(key.front) if key.filled == depth else 0
        for i in range(int(key.filled)):
            h = add(h, int(counters.cells[first + (start + i) % depth]))
        return h
    total = np.uint64(0)
    for i in range(int(key.filled)):
        at = first + 2 * i
        total += mix64(add(np.uint64(1), int(counters.cells[at + 1])) ^ np.uint64(counters.cells[at]))
    return mix64(h ^ total)


@kernel
def things_hash(h, counters, bonds, row):
    total, at = np.uint64(0), int(counters.keys[row].things)
    while at != NONE:
        thing = bonds.things[at]
        one = add(add(np.uint64(thing.field), int(thing.value)), int(thing.holder))
        total += add(one, int(thing.shares))
        at = int(thing.next)
    return mix64(h ^ total)


@kernel
def key_hash(h, fraud, book, row):
    key = fraud.counters.keys[row]
    one = add(add(add(h, int(key.key)), int(key.beside)), int(key.last_ms))
    one = add(one, int(key.filled))
    if book.depth > 0:
        return cells_hash(one, fraud.counters, book, row)
    return things_hash(add(one, int(key.front)), fraud.counters, fraud.bonds, row)


@kernel
def sum_keys(fraud, book, seed, total):
    """Every key of one rule."""
    counters = fraud.counters
    h = mix64(seed ^ book.name_hash)
    add_word(total, add(h, int(book.forgotten_ms)))
    for place in range(int(book.head), int(book.tail)):
        if is_latest(counters, book, place):
            add_word(total, key_hash(h, fraud, book, int(counters.queue[book.queue + place])))


@kernel
def sum_fraud(fraud, first, seed, total):
    """Add what fraud rules remember to u8[2]. first: the first customer there is."""
    books, inviters, decided = fraud.counters.books, fraud.bonds.inviters, fraud.decided
    for slot in range(len(books)):
        if books[slot].name_hash != 0:
            sum_keys(fraud, books[slot], add(seed, 5), total)
            add_word(total, add(mix64(add(seed, 6) ^ books[slot].name_hash), int(fraud.warm_ms[slot])))
    for i in range(len(inviters)):
        if inviters[i] != 0:
            add_word(total, add(add(add(seed, 7), first + i), int(inviters[i])))
    for row in range(decided.size[0]):
        one = decided.rows[row]
        h = add(add(add(seed, 8), int(one.field)), int(one.value))
        add_word(total, add(add(h, int(one.until_ms)), int(one.allowed)))
