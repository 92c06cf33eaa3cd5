"""Requests of one settlement: in which order they are taken, and which of them were asked before."""

from typing import NamedTuple

import numpy as np

from engine.compiled import entry, kernel
from engine.coupon_records import Answer
from engine.records import NONE
from engine.rules.experiments import GOLDEN, mix64

KEY_BITS, DIGIT_BITS = 44, 11
PASSES, DIGITS = KEY_BITS // DIGIT_BITS, 1 << DIGIT_BITS
_DIGIT_MASK = DIGITS - 1
_WORD = 64
_PENDING, _IN_REVIEW = int(Answer.PENDING), int(Answer.IN_REVIEW)


class Sorting(NamedTuple):
    """Scratch for one sort of up to n requests. Their order is in `order` afterwards."""

    keys: np.ndarray  # i8[n]
    order: np.ndarray  # i4[n]: places in the batch
    spare_keys: np.ndarray  # i8[n]
    spare_order: np.ndarray  # i4[n]
    counts: np.ndarray  # i8[PASSES, DIGITS]


class Remembered(NamedTuple):
    """Replies by the request they answer: lists by hash, for at-most-once."""

    rows: np.ndarray  # REPLY[room]; answer PENDING where the reply is still to come
    next: np.ndarray  # i4[room]; NONE
    said: np.ndarray  # i4[room]: the latest settlement that said it
    heads: np.ndarray  # i4[a power of two]; NONE
    size: np.ndarray  # i8[1]: rows in use


# --- order ------------------------------------------------------------------------------------------------------------
@kernel
def drop_salt(coupons, coupon):
    if coupon < 0 or coupon >= len(coupons):
        return np.uint64(0)
    return coupons[coupon].drop_salt


@kernel
def tie_hash(salt, customer):
    """Where a customer stands among those who ask at the same instant; another place in every drop."""
    return mix64(mix64(salt + GOLDEN) ^ mix64(np.uint64(customer) + GOLDEN))


@kernel
def request_hash(requests, coupons, at):
    request = requests[at]
    return tie_hash(drop_salt(coupons, int(request.coupon)), int(request.customer))


@kernel
def goes_before(requests, coupons, a, b):
    """Order of two places in the batch: (time, hash(drop, customer), customer, sequence, number), then as they came."""
    one, other = requests[a], requests[b]
    if one.time_ms != other.time_ms:
        return one.time_ms < other.time_ms
    if one.coupon != other.coupon or one.customer != other.customer:
        hash_one, hash_other = request_hash(requests, coupons, a), request_hash(requests, coupons, b)
        if hash_one != hash_other:
            return hash_one < hash_other
    if one.customer != other.customer:
        return one.customer < other.customer
    if one.sequence != other.sequence:
        return one.sequence < other.sequence
    if one.number != other.number:
        return one.number < other.number
    return a < b


@kernel
def write_keys(requests, coupons, keys):
    """The first KEY_BITS of what orders requests: milliseconds since the earliest, then as much of the hash as fits."""
    first, last = int(requests[0].time_ms), int(requests[0].time_ms)
    for i in range(len(requests)):
        t = int(requests[i].time_ms)
        first, last = min(first, t), max(last, t)
    bits = 0
    while (last - first) >> bits:
        bits += 1
    room = KEY_BITS - bits
    for i in range(len(requests)):
        since = int(requests[i].time_ms) - first
        if room > 0:
            shift = np.uint64(_WORD - room)
            keys[i] = (since << room) | np.int64(request_hash(requests, coupons, i) >> shift)
        else:
            keys[i] = since >> -room


@kernel
def count_digits(keys, counts):
    for p in range(PASSES):
        for digit in range(DIGITS):
            counts[p, digit] = 0
    for i in range(len(keys)):
        key = keys[i]
        for p in range(PASSES):
            counts[p, (key >> (p * DIGIT_BITS)) & _DIGIT_MASK] += 1


@kernel
def starts_of(counts, n):
    """Counts to starting places; whether there is anything to sort by this digit."""
    start, differ = 0, True
    for digit in range(DIGITS):
        count = counts[digit]
        if count == n:
            differ = False
        counts[digit] = start
        start += count
    return differ


@kernel
def spread(keys, order, to_keys, to_order, starts, shift):
    for i in range(len(keys)):
        digit = (keys[i] >> shift) & _DIGIT_MASK
        place = starts[digit]
        starts[digit] = place + 1
        to_keys[place] = keys[i]
        to_order[place] = order[i]


@kernel
def sift(requests, coupons, order, low, at, size):
    """Push place `at` of the heap order[low : low + size] down to where no later request is above an earlier one."""
    moved = order[low + at]
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and goes_before(requests, coupons, order[low + child], order[low + child + 1]):
            child += 1
        if not goes_before(requests, coupons, moved, order[low + child]):
            break
        order[low + at] = order[low + child]
        at = child
    order[low + at] = moved


@kernel
def sort_run(requests, coupons, order, low, high):
    """Order requests of one key exactly. A heap: ten thousand re-asks of one instant must not take their square."""
    size = high - low
    for at in range(size // 2 - 1, -1, -1):
        sift(requests, coupons, order, low, at, size)
    for last in range(size - 1, 0, -1):
        order[low], order[low + last] = order[low + last], order[low]
        sift(requests, coupons, order, low, 0, last)


@kernel
def sort_requests(requests, coupons, sorting):
    """Order a batch: sorting.order has the places of REQUEST[n] as they are to be taken.

    A radix sort on the packed key, then each run of equal keys exactly.
    """
    n = len(requests)
    if n == 0:
        return
    keys, order = sorting.keys[:n], sorting.order[:n]
    spare_keys, spare_order = sorting.spare_keys[:n], sorting.spare_order[:n]
    write_keys(requests, coupons, keys)
    for i in range(n):
        order[i] = i
    count_digits(keys, sorting.counts)
    for p in range(0, PASSES, 2):  # there and back
        low_differs, high_differs = starts_of(sorting.counts[p], n), starts_of(sorting.counts[p + 1], n)
        if low_differs or high_differs:
            spread(keys, order, spare_keys, spare_order, sorting.counts[p], p * DIGIT_BITS)
            spread(spare_keys, spare_order, keys, order, sorting.counts[p + 1], (p + 1) * DIGIT_BITS)
    low = 0
    for i in range(1, n + 1):
        if i == n or keys[i] != keys[low]:
            if i - low > 1:
                sort_run(requests, coupons, order, low, i)
            low = i


# --- at most once -----------------------------------------------------------------------------------------------------
@kernel
def id_place(heads, customer, number):
    """Which list a (customer, number) is in."""
    h = mix64((np.uint64(np.int64(customer)) << np.uint64(32)) ^ np.uint64(np.int64(number)))
    return np.int64(h & np.uint64(len(heads) - 1))


@kernel
def find_reply(remembered, customer, number):
    """Row of the reply to a request; NONE if it was never asked."""
    row = int(remembered.heads[id_place(remembered.heads, customer, number)])
    while row != NONE:
        reply = remembered.rows[row]
        if reply.customer == customer and reply.number == number:
            return row
        row = int(remembered.next[row])
    return NONE


@kernel
def is_remembering_full(remembered):
    return remembered.size[0] >= len(remembered.rows)


@kernel
def link_reply(remembered, row):
    reply = remembered.rows[row]
    place = id_place(remembered.heads, int(reply.customer), int(reply.number))
    remembered.next[row] = remembered.heads[place]
    remembered.heads[place] = row


@kernel
def remember(remembered, reply, settlement):
    """Keep the reply to a request that was not asked before; the table must not be full."""
    row = int(remembered.size[0])
    remembered.size[0] = row + 1
    remembered.rows[row] = reply
    remembered.said[row] = settlement
    link_reply(remembered, row)


@entry
def link_replies(remembered):
    """Build the lists anew over all rows in use, after there are more lists."""
    for place in range(len(remembered.heads)):
        remembered.heads[place] = NONE
    for row in range(remembered.size[0]):
        link_reply(remembered, row)


@kernel
def may_be_forgotten(remembered, row, first, end, number):
    reply = remembered.rows[row]
    if reply.answer == _PENDING or reply.answer == _IN_REVIEW:
        return False  # another reply is still to come
    return first <= reply.customer < end and remembered.said[row] <= number


@entry
def forget_replies(remembered, first, end, number):
    """Forget what settlements up to `number` said to the customers in [first, end); open transfers stay."""
    size, kept = int(remembered.size[0]), 0
    while kept < size and not may_be_forgotten(remembered, kept, first, end, number):
        kept += 1
    if kept == size:
        return
    for row in range(size):
        reply = remembered.rows[row]
        remembered.heads[id_place(remembered.heads, int(reply.customer), int(reply.number))] = NONE
    for row in range(kept, size):
        if not may_be_forgotten(remembered, row, first, end, number):
            remembered.rows[kept], remembered.said[kept] = remembered.rows[row], remembered.said[row]
            kept += 1
    remembered.size[0] = kept
    for row in range(kept):
        link_reply(remembered, row)
