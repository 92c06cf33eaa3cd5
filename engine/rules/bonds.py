"""What belongs to whom: things a customer was seen with, who invited whom, members of a group and what they share.

A key of a rule's table is a customer or a group. A group owns its members, and the devices and addresses they came
with; one that loses its place takes them along.
"""

from typing import NamedTuple

import numpy as np

from engine.compiled import entry, kernel
from engine.fraud_records import Field
from engine.records import MINUTE_MS, NONE, SHARE_ONE
from engine.rules.counters import (
    enter_key,
    find_key,
    first_cell,
    idle_longest,
    is_full,
    is_latest,
    pair_hash,
    put_out,
    touch,
)
from engine.rules.experiments import mix64

SEEN_ON_IP_MS = 10 * MINUTE_MS  # the inviter was on the invitee's IP in (t - this, t]
THINGS_SEEN = 16  # of one customer; a further one takes the place of an IP, or of the one not seen for longest
LEVELS = 4  # of inviters
THINGS_OF_GROUP = 8  # on average
_DEVICE, _IP, _CARD, _ADDRESS = int(Field.DEVICE), int(Field.IP), int(Field.CARD), int(Field.ADDRESS)
_MEMBER = int(Field.CUSTOMER)
_FIELD_BITS, _FIELDS = 4, 15  # a cell of what was seen: time in ms << _FIELD_BITS | Field

THING = np.dtype(
    [
        ("value", "i8"),
        ("holder", "i8"),  # of a device or address: the first member it came with
        ("owner", "i4"),  # row of its group
        ("next", "i4"),  # the group's next, or the next free one; NONE
        ("chain", "i4"),  # the next in its list by hash; NONE
        ("field", "i1"),  # Field; CUSTOMER: a member
        ("shares", "i1"),  # of a member: has a device or address that another one has
    ],
    align=True,
)


class Bonds(NamedTuple):
    things: np.ndarray  # THING[...]: of groups
    lists: np.ndarray  # i4[...]: place + 1; 0: empty
    inviters: np.ndarray  # i8[customers]: inviter + 1; 0: nobody. Empty where no rule asks


# --- what a customer was seen with ------------------------------------------------------------------------------------
# A customer's cells are THINGS_SEEN times and fields, each followed by its value: one stretch of memory is looked
# through faster than four lists by hash.
@kernel
def seen_cell(counters, book, row, field, value):
    """The cell of a thing that a customer (by the row) was seen with; NONE."""
    first = first_cell(book, row)
    for at in range(first, first + 2 * int(counters.keys[row].filled), 2):
        if counters.cells[at + 1] == value and counters.cells[at] & _FIELDS == field:
            return at
    return NONE


@kernel
def goes_first(cells, one, other):
    """Which of two cells a new thing takes: an IP's, then what was not seen for longer, whatever their order."""
    a, b = cells[one], cells[other]
    if (a & _FIELDS == _IP) != (b & _FIELDS == _IP):
        return a & _FIELDS == _IP
    return a < b or (a == b and cells[one + 1] < cells[other + 1])


@kernel
def cell_for(counters, book, row):
    """The cell for a new thing of a customer."""
    first, key = first_cell(book, row), counters.keys[row]
    if key.filled < THINGS_SEEN:
        key.filled += 1
        return first + 2 * (int(key.filled) - 1)
    least = first
    for at in range(first + 2, first + 2 * THINGS_SEEN, 2):
        if goes_first(counters.cells, at, least):
            least = at
    return least


@kernel
def see(counters, book, row, field, value, t):
    """A customer is seen with a thing."""
    if value == NONE:
        return
    at = seen_cell(counters, book, row, field, value)
    if at == NONE:
        at = cell_for(counters, book, row)
    counters.cells[at], counters.cells[at + 1] = (t << _FIELD_BITS) | field, value


@kernel
def see_request(counters, book, row, request, t):
    """Everything a customer is seen with; row: the customer's, NONE where the table does not know them. Returns it."""
    if row == NONE:
        row = enter_key(counters, book, int(request.customer), 0, t)
    else:
        touch(counters, book, row, t)
    see(counters, book, row, _DEVICE, int(request.device_id), t)
    see(counters, book, row, _CARD, int(request.card), t)
    see(counters, book, row, _ADDRESS, int(request.address), t)
    see(counters, book, row, _IP, int(request.ip), t)
    return row


@kernel
def refers_itself(counters, book, row, request, t):
    """Whether inviter and invitee (by its row) have something in common."""
    inviter, first = find_key(counters, book, int(request.inviter), 0), first_cell(book, row)
    if inviter == NONE:
        return False
    on_ip = NONE if request.ip == NONE else seen_cell(counters, book, inviter, _IP, int(request.ip))
    if on_ip != NONE and counters.cells[on_ip] >> _FIELD_BITS > t - SEEN_ON_IP_MS:
        return True
    for at in range(first, first + 2 * int(counters.keys[row].filled), 2):
        field, value = counters.cells[at] & _FIELDS, counters.cells[at + 1]
        if field != _IP and seen_cell(counters, book, inviter, field, value) != NONE:
            return True
    return False


# --- who invited whom -------------------------------------------------------------------------------------------------
@kernel
def closes_circle(inviters, first, customer, inviter):
    """Whether a customer is among the inviters of their inviter, up to the fourth; then it is noted. first: of the
    customers there are."""
    at, found = inviter, False
    for _ in range(LEVELS):
        place = at - first
        if place < 0 or place >= len(inviters) or inviters[place] == 0:
            break
        at = int(inviters[place]) - 1
        if at == customer:
            found = True
            break
    inviters[customer - first] = inviter + 1
    return found


# --- things -----------------------------------------------------------------------------------------------------------
@kernel
def thing_place(book, owner, field, value):
    h = mix64(pair_hash(owner, value) + np.uint64(field))
    return int(book.things_lists) + np.int64(h & np.uint64(book.things_lists_count - 1))


@kernel
def find_thing(bonds, book, owner, field, value):
    """Place of a thing of a key (by its row); NONE."""
    at = int(bonds.lists[thing_place(book, owner, field, value)]) - 1
    while at != NONE:
        thing = bonds.things[at]
        if thing.owner == owner and thing.value == value and thing.field == field:
            return at
        at = int(thing.chain)
    return NONE


@kernel
def leave_chain(bonds, book, at):
    thing = bonds.things[at]
    place = thing_place(book, int(thing.owner), int(thing.field), int(thing.value))
    before = int(bonds.lists[place]) - 1
    if before == at:
        bonds.lists[place] = thing.chain + 1
        return
    while bonds.things[before].chain != at:
        before = int(bonds.things[before].chain)
    bonds.things[before].chain = thing.chain


@kernel
def enter_chain(bonds, book, at):
    thing = bonds.things[at]
    place = thing_place(book, int(thing.owner), int(thing.field), int(thing.value))
    thing.chain = bonds.lists[place] - 1
    bonds.lists[place] = at + 1


@kernel
def drop_things(counters, bonds, book, row):
    """A key loses its things."""
    at = int(counters.keys[row].things)
    while at != NONE:
        following = int(bonds.things[at].next)
        leave_chain(bonds, book, at)
        bonds.things[at].next = book.things_free
        book.things_free = at
        at = following
    counters.keys[row].things = NONE


@kernel
def put_out_owner(counters, bonds, book, row):
    drop_things(counters, bonds, book, row)
    put_out(counters, book, row)


@kernel
def free_thing(counters, bonds, book, row):
    """A place for a new thing of a key; keys idle longest make room. NONE where this key has them all."""
    while book.things_free == NONE and book.things_used == book.things_room:
        idle = idle_longest(counters, book)
        if idle == row:
            return NONE
        put_out_owner(counters, bonds, book, idle)
    at = int(book.things_free)
    if at != NONE:
        book.things_free = bonds.things[at].next
        return at
    book.things_used += 1
    return int(book.things + book.things_used - 1)


@kernel
def new_thing(counters, bonds, book, row, field, value):
    """A thing that its group does not have yet; its place, or NONE without room."""
    at = free_thing(counters, bonds, book, row)
    if at != NONE:
        thing = bonds.things[at]
        thing.owner, thing.field, thing.value, thing.shares, thing.holder = row, field, value, 0, NONE
        thing.next = counters.keys[row].things
        counters.keys[row].things = at
        enter_chain(bonds, book, at)
    return at


@kernel
def owner_row(counters, bonds, book, key, t):
    """Row of a key that has an event now."""
    row = find_key(counters, book, key, 0)
    if row != NONE:
        touch(counters, book, row, t)
        return row
    if is_full(book):
        drop_things(counters, bonds, book, idle_longest(counters, book))
    return enter_key(counters, book, key, 0, t)


# --- groups -----------------------------------------------------------------------------------------------------------
@kernel
def member(counters, bonds, book, row, customer):
    """Place of a member of a group; NONE without room."""
    at = find_thing(bonds, book, row, _MEMBER, customer)
    if at == NONE:
        at = new_thing(counters, bonds, book, row, _MEMBER, customer)
        if at != NONE:
            counters.keys[row].filled += 1
    return at


@kernel
def note_sharing(counters, bonds, row, at):
    if at != NONE and bonds.things[at].shares == 0:
        bonds.things[at].shares = 1
        counters.keys[row].front += 1


@kernel
def bring(counters, bonds, book, row, mine, field, value):
    """A member (by its place) joins with a device or address: the first to bring it holds it, any other shares it."""
    if value == NONE:
        return
    customer = int(bonds.things[mine].value)
    at = find_thing(bonds, book, row, field, value)
    if at == NONE:
        at = new_thing(counters, bonds, book, row, field, value)
        if at != NONE:
            bonds.things[at].holder = customer
    elif bonds.things[at].holder != customer:
        note_sharing(counters, bonds, row, mine)
        note_sharing(counters, bonds, row, find_thing(bonds, book, row, _MEMBER, int(bonds.things[at].holder)))


@kernel
def colludes(counters, bonds, book, rule, request, t):
    """A customer joins a group: whether more than the rule's share of its members share something with another."""
    row = owner_row(counters, bonds, book, int(request.group), t)
    mine = member(counters, bonds, book, row, int(request.customer))
    if mine == NONE:
        return False
    bring(counters, bonds, book, row, mine, _DEVICE, int(request.device_id))
    bring(counters, bonds, book, row, mine, _ADDRESS, int(request.address))
    key = counters.keys[row]
    return key.front * SHARE_ONE > int(rule.amount) * key.filled


@kernel
def carry_things(old, old_bonds, at, new, new_bonds, new_book, row):
    """Enter the things of a key."""
    thing_at = int(old.keys[at].things)
    while thing_at != NONE:
        thing = old_bonds.things[thing_at]
        field, value = int(thing.field), int(thing.value)
        place = new_thing(new, new_bonds, new_book, row, field, value)
        if place != NONE:
            new_bonds.things[place].holder, new_bonds.things[place].shares = thing.holder, thing.shares
        thing_at = int(thing.next)


@entry
def carry_bonds(old, old_bonds, old_book, new, new_bonds, new_book):
    """Enter every key of a table and its things into an empty one, the one idle longest first."""
    new_book.forgotten_ms = old_book.forgotten_ms
    for place in range(int(old_book.head), int(old_book.tail)):
        if is_latest(old, old_book, place):
            at = int(old.queue[old_book.queue + place])
            row = owner_row(new, new_bonds, new_book, int(old.keys[at].key), int(old.keys[at].last_ms))
            carry_things(old, old_bonds, at, new, new_bonds, new_book, row)
            new.keys[row].filled, new.keys[row].front = old.keys[at].filled, old.keys[at].front
