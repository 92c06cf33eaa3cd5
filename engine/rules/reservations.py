"""What is open at the Ledger: reservations until they are confirmed or lapse, coupons on their way to another customer,
and what is under review.

A bounded table: found by (customer, claim) through lists by hash, and in order of expiry through a heap.
"""

from typing import NamedTuple

import numpy as np

from engine.compiled import entry, kernel
from engine.coupon_records import RequestKind
from engine.records import NEVER_MS, NONE
from engine.rules.requests import id_place

_REVIEWED = int(RequestKind.REVIEWED)

RESERVATION = np.dtype(
    [
        ("expires_ms", "i8"),  # lapses, or is granted, then; NEVER_MS: a coupon on its way
        ("customer", "i8"),
        ("cost", "i8"),  # reserved of the budget
        ("claim", "i4"),  # the customer's number of what is reserved or given
        ("request", "i4"),  # number of the request that opened it
        ("next", "i4"),  # row in the same list, or the next free row; NONE
        ("place", "i4"),  # in the heap
        ("coupon", "i2"),
        ("budget", "i2"),  # NO_BUDGET
        ("kind", "i1"),  # RequestKind: RESERVE, TRANSFER, or REVIEWED for what is under review
    ],
    align=True,
)


class Reservations(NamedTuple):
    rows: np.ndarray  # RESERVATION[room]
    heads: np.ndarray  # i4[a power of two]; NONE
    heap: np.ndarray  # i4[room]: rows, the first to expire in front
    size: np.ndarray  # i8[1]: rows in use
    free: np.ndarray  # i8[1]: first free row; NONE
    requests: np.ndarray  # REQUEST[room], by row: what asked for what is under review


# --- the heap ---------------------------------------------------------------------------------------------------------
@kernel
def put(table, place, row):
    table.heap[place] = row
    table.rows[row].place = place


@kernel
def ends_before(table, a, b):
    """Order of two rows: by what ends first; at one instant by customer and claim."""
    one, other = table.rows[a], table.rows[b]
    if one.expires_ms != other.expires_ms:
        return one.expires_ms < other.expires_ms
    if one.customer != other.customer:
        return one.customer < other.customer
    return one.claim < other.claim


@kernel
def rise(table, place):
    row = int(table.heap[place])
    while place > 0 and ends_before(table, row, table.heap[(place - 1) // 2]):
        put(table, place, int(table.heap[(place - 1) // 2]))
        place = (place - 1) // 2
    put(table, place, row)


@kernel
def sink(table, place, size):
    row = int(table.heap[place])
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and ends_before(table, table.heap[child + 1], table.heap[child]):
            child += 1
        if not ends_before(table, table.heap[child], row):
            break
        put(table, place, int(table.heap[child]))
        place = child
    put(table, place, row)


# --- the table --------------------------------------------------------------------------------------------------------
@kernel
def is_table_full(table):
    return table.size[0] >= len(table.rows)


@kernel
def find_reservation(table, customer, claim):
    """Row of what is open for a customer under a claim number; NONE."""
    row = int(table.heads[id_place(table.heads, customer, claim)])
    while row != NONE and (table.rows[row].customer != customer or table.rows[row].claim != claim):
        row = int(table.rows[row].next)
    return row


@kernel
def link_row(table, row):
    reservation = table.rows[row]
    place = id_place(table.heads, int(reservation.customer), int(reservation.claim))
    reservation.next = table.heads[place]
    table.heads[place] = row


@kernel
def open_reservation(table, request, budget, cost, expires_ms):
    """Enter what a request opened; the table must not be full."""
    row, size = int(table.free[0]), int(table.size[0])
    reservation = table.rows[row]
    table.size[0], table.free[0] = size + 1, int(reservation.next)
    reservation.customer, reservation.claim, reservation.request = request.customer, request.claim, request.number
    reservation.coupon, reservation.kind = request.coupon, request.kind
    reservation.budget, reservation.cost, reservation.expires_ms = budget, cost, expires_ms
    link_row(table, row)
    put(table, size, row)
    rise(table, size)


@kernel
def hold_for_review(table, request, budget, cost, then_ms, expires_ms):
    """Enter what a request asked for until it was reviewed; the table must not be full. then_ms: kept as the request's
    expires_ms: of a prize, how long it waits once it is granted."""
    row = int(table.free[0])
    open_reservation(table, request, budget, cost, expires_ms)
    table.rows[row].kind = _REVIEWED
    table.requests[row] = request
    table.requests[row].expires_ms = then_ms


@kernel
def unlink_row(table, row):
    reservation = table.rows[row]
    place = id_place(table.heads, int(reservation.customer), int(reservation.claim))
    at = int(table.heads[place])
    if at == row:
        table.heads[place] = reservation.next
        return
    while table.rows[at].next != row:
        at = int(table.rows[at].next)
    table.rows[at].next = reservation.next


@kernel
def close_reservation(table, row):
    """Take a row out of its list and the heap; it is free."""
    unlink_row(table, row)
    last = int(table.size[0]) - 1
    place, moved = int(table.rows[row].place), int(table.heap[last])
    table.size[0] = last
    if moved != row:
        put(table, place, moved)
        rise(table, place)
        sink(table, int(table.rows[moved].place), last)
    table.rows[row].next = table.free[0]
    table.free[0] = row


@kernel
def first_expiry(table):
    """When the next reservation lapses; NEVER_MS."""
    if table.size[0] == 0:
        return NEVER_MS
    return int(table.rows[table.heap[0]].expires_ms)


@entry
def link_reservations(table):
    """Build lists and free rows anew after the table has grown; the rows in use are those in the heap."""
    for place in range(len(table.heads)):
        table.heads[place] = NONE
    size = int(table.size[0])
    for row in range(len(table.rows)):
        table.rows[row].next = NONE - 1  # not in use
    for place in range(size):
        link_row(table, int(table.heap[place]))
    free = NONE
    for row in range(len(table.rows) - 1, -1, -1):
        if table.rows[row].next == NONE - 1:
            table.rows[row].next, free = free, row
    table.free[0] = free
