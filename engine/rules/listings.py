"""Who or what is on a list: the policy's, what persons decided, and the IP ranges of data centres and proxies."""

from typing import NamedTuple

import numpy as np

from engine.compiled import entry, kernel
from engine.fraud_records import Field, Verdict
from engine.records import LONG_AGO_MS, NONE
from engine.rules.counters import pair_hash

LISTED_FIELDS = (Field.CUSTOMER, Field.DEVICE, Field.IP, Field.CARD, Field.ADDRESS)
_CUSTOMER, _DEVICE, _IP, _CARD, _ADDRESS = (int(field) for field in LISTED_FIELDS)
_DENY = int(Verdict.DENY)


class Decided(NamedTuple):
    """What persons decided, by field and value."""

    rows: np.ndarray  # LISTED[room]
    next: np.ndarray  # i4[room]; NONE
    heads: np.ndarray  # i4[a power of two]; NONE
    size: np.ndarray  # i8[1]: rows in use


@kernel
def first_listed(listed, field, value):
    """The first row of a list, ascending by (field, value), that is not before these."""
    low, high = 0, len(listed)
    while low < high:
        middle = (low + high) // 2
        row = listed[middle]
        if row.field < field or (row.field == field and row.value < value):
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def decided_place(decided, field, value):
    return np.int64(pair_hash(field, value) & np.uint64(len(decided.heads) - 1))


@kernel
def find_decided(decided, field, value):
    row = int(decided.heads[decided_place(decided, field, value)])
    while row != NONE and (decided.rows[row].field != field or decided.rows[row].value != value):
        row = int(decided.next[row])
    return row


@kernel
def link_decided(decided, row):
    place = decided_place(decided, int(decided.rows[row].field), int(decided.rows[row].value))
    decided.next[row] = decided.heads[place]
    decided.heads[place] = row


@entry
def link_all_decided(decided):
    """Build the lists anew after rows have moved."""
    for place in range(len(decided.heads)):
        decided.heads[place] = NONE
    for row in range(decided.size[0]):
        link_decided(decided, row)


@kernel
def decide_listing(decided, field, value, allowed, until_ms):
    """Enter a person's decision, in the place of an earlier one on the same. False without room."""
    if value == NONE:
        return True
    row = find_decided(decided, field, value)
    if row == NONE:
        row = int(decided.size[0])
        if row >= len(decided.rows):
            return False
        decided.size[0] = row + 1
        decided.rows[row].field, decided.rows[row].value = field, value
        link_decided(decided, row)
    decided.rows[row].allowed, decided.rows[row].until_ms = allowed, until_ms
    return True


@kernel
def take_listing(decided, request):
    """A request LISTED: whether there was room for all it names."""
    allowed, until = 0 if request.verdict == _DENY else 1, int(request.expires_ms)
    room = decide_listing(decided, _CUSTOMER, int(request.other), allowed, until)
    room = decide_listing(decided, _DEVICE, int(request.device_id), allowed, until) and room
    room = decide_listing(decided, _IP, int(request.ip), allowed, until) and room
    room = decide_listing(decided, _CARD, int(request.card), allowed, until) and room
    return decide_listing(decided, _ADDRESS, int(request.address), allowed, until) and room


@kernel
def listed_value(request, field):
    if field == _CUSTOMER:
        return int(request.customer)
    if field == _DEVICE:
        return int(request.device_id)
    if field == _IP:
        return int(request.ip)
    return int(request.card) if field == _CARD else int(request.address)


@kernel
def listed_until(listed, decided, field, value, allowed, t):
    """Until when a value is blocked (allowed: is allowed) at t; LONG_AGO_MS if it is not."""
    until = LONG_AGO_MS
    if value == NONE:
        return until
    for at in range(first_listed(listed, field, value), len(listed)):
        row = listed[at]
        if row.field != field or row.value != value:
            break
        if row.allowed == allowed and t < row.until_ms:
            until = max(until, int(row.until_ms))
    row_number = find_decided(decided, field, value)
    if row_number != NONE:
        one = decided.rows[row_number]
        if one.allowed == allowed and t < one.until_ms:
            until = max(until, int(one.until_ms))
    return until


@kernel
def request_until(listed, decided, request, allowed, t):
    """Until when anything that a request carries is on a list."""
    until = LONG_AGO_MS
    if len(listed) == 0 and decided.size[0] == 0:
        return until
    for field in (_CUSTOMER, _DEVICE, _IP, _CARD, _ADDRESS):
        until = max(until, listed_until(listed, decided, field, listed_value(request, field), allowed, t))
    return until


@kernel
def in_ranges(ranges, ip):
    """Whether an IP is in one of the ranges, ascending and apart."""
    low, high = 0, len(ranges)
    while low < high:
        middle = (low + high) // 2
        if ranges[middle].last < ip:
            low = middle + 1
        else:
            high = middle
    return low < len(ranges) and ranges[low].first <= ip
