"""What belongs to whom: things a customer was ever seen with, members of a group and what they share, who invited whom.

A key of a rule's table (a customer, a group) owns things: a device, a card, an address, an IP, a member. A key that
loses its place takes its things along.
"""

from typing import NamedTuple

import numpy as np

from engine.compiled import entry, kernel
from engine.fraud_records import Field
from engine.records import MINUTE_MS, NONE, SHARE_ONE
from engine.rules.counters import enter_key, find_key, is_full, pair_hash, put_out, touch
from engine.rules.experiments import mix64

SEEN_ON_IP_MS = 10 * MINUTE_MS  # the inviter was on the invitee's IP in (t - this, t]
LEVELS = 4  # of inviters
THINGS_A_KEY = 8  # on average
THINGS_OF_CUSTOMER_MAX = 64  # a further one takes the place of the one not seen for longest, of an IP if there is one
_DEVICE, _IP, _CARD, _ADDRESS = int(Field.DEVICE), int(Field.IP), int(Field.CARD), int(Field.ADDRESS)
_MEMBER = int(Field.CUSTOMER)

THING = np.dtype(
    [
        ("value", "i8"),
        ("time_ms", "i8"),  # seen last
        ("holder", "i8"),  # of a group's device or address: the first member it came with
        ("owner", "i4"),  # row of its key
        ("next", "i4"),  # the owner's next, or the next free one; NONE
        ("chain", "i4"),  # the next in its list by hash; NONE
        ("field", "i1"),  # Field; CUSTOMER: a member
        ("shares", "i1"),  # of a member: has a device or address that another one has
    ],
    align=True,
)


class Bonds(NamedTuple):
    things: np.ndarray  # THING[...]
    lists: np.ndarray  # i4[...]: place + 1; 0: empty
    inviters: np.ndarray  # i8[customers]: inviter + 1; 0: nobody. Empty where no rule asks


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
        if book.oldest == row:
            return NONE
        put_out_owner(counters, bonds, book, int(book.oldest))
    at = int(book.things_free)
    if at != NONE:
        book.things_free = bonds.things[at].next
        return at
    book.things_used += 1
    return int(book.things + book.things_used - 1)


@kernel
def new_thing(counters, bonds, book, row, field, value, t):
    """A thing that its key does not have yet; its place, or NONE without room."""
    at = free_thing(counters, bonds, book, row)
    if at != NONE:
        thing = bonds.things[at]
        thing.owner, thing.field, thing.value, thing.shares, thing.holder = row, field, value, 0, NONE
        thing.time_ms, thing.next = t, counters.keys[row].things
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
        drop_things(counters, bonds, book, int(book.oldest))
    return enter_key(counters, book, key, 0, t)


# --- what a customer was seen with ------------------------------------------------------------------------------------
@kernel
def is_stale(thing, t):
    """An IP that no test asks about any more."""
    return thing.field == _IP and thing.time_ms <= t - SEEN_ON_IP_MS


@kernel
def goes_first(one, other):
    """Which of two things is worth less: an IP, then what was not seen for longer. Never in doubt, whatever their
    order in the list."""
    if (one.field == _IP) != (other.field == _IP):
        return one.field == _IP
    if one.time_ms != other.time_ms:
        return one.time_ms < other.time_ms
    return one.field < other.field or (one.field == other.field and one.value < other.value)


@kernel
def dispensable(counters, bonds, row, t):
    """A thing of a customer whose place a new one takes: a stale IP, or of too many the one that is worth least."""
    at, least, found = int(counters.keys[row].things), NONE, 0
    while at != NONE:
        if least == NONE or goes_first(bonds.things[at], bonds.things[least]):
            least = at
        found += 1
        at = int(bonds.things[at].next)
    if found >= THINGS_OF_CUSTOMER_MAX or (least != NONE and is_stale(bonds.things[least], t)):
        return least
    return NONE


@kernel
def see(counters, bonds, book, row, field, value, t):
    """A customer is seen with a thing."""
    if value == NONE:
        return
    at = find_thing(bonds, book, row, field, value)
    if at != NONE:
        bonds.things[at].time_ms = t
        return
    at = dispensable(counters, bonds, row, t)
    if at == NONE:
        new_thing(counters, bonds, book, row, field, value, t)
        return
    leave_chain(bonds, book, at)
    thing = bonds.things[at]
    thing.field, thing.value, thing.time_ms = field, value, t
    enter_chain(bonds, book, at)


@kernel
def see_request(counters, bonds, book, request, t):
    """Everything a customer is seen with; returns the customer's row."""
    row = owner_row(counters, bonds, book, int(request.customer), t)
    see(counters, bonds, book, row, _DEVICE, int(request.device_id), t)
    see(counters, bonds, book, row, _CARD, int(request.card), t)
    see(counters, bonds, book, row, _ADDRESS, int(request.address), t)
    see(counters, bonds, book, row, _IP, int(request.ip), t)
    return row


@kernel
def refers_itself(counters, bonds, book, row, request, t):
    """Whether inviter and invitee (by its row) have something in common."""
    inviter = find_key(counters, book, int(request.inviter), 0)
    if inviter == NONE:
        return False
    on_ip = NONE if request.ip == NONE else find_thing(bonds, book, inviter, _IP, int(request.ip))
    if on_ip != NONE and not is_stale(bonds.things[on_ip], t):
        return True
    at = int(counters.keys[row].things)
    while at != NONE:
        thing = bonds.things[at]
        if thing.field != _IP and find_thing(bonds, book, inviter, int(thing.field), int(thing.value)) != NONE:
            return True
        at = int(thing.next)
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


# --- groups -----------------------------------------------------------------------------------------------------------
@kernel
def member(counters, bonds, book, row, customer, t):
    """Place of a member of a group; NONE without room."""
    at = find_thing(bonds, book, row, _MEMBER, customer)
    if at == NONE:
        at = new_thing(counters, bonds, book, row, _MEMBER, customer, t)
        if at != NONE:
            counters.keys[row].filled += 1
    return at


@kernel
def note_sharing(counters, bonds, row, at):
    if at != NONE and bonds.things[at].shares == 0:
        bonds.things[at].shares = 1
        counters.keys[row].front += 1


@kernel
def bring(counters, bonds, book, row, mine, field, value, t):
    """A member (by its place) joins with a device or address: the first to bring it holds it, any other shares it."""
    if value == NONE:
        return
    customer = int(bonds.things[mine].value)
    at = find_thing(bonds, book, row, field, value)
    if at == NONE:
        at = new_thing(counters, bonds, book, row, field, value, t)
        if at != NONE:
            bonds.things[at].holder = customer
    elif bonds.things[at].holder != customer:
        note_sharing(counters, bonds, row, mine)
        note_sharing(counters, bonds, row, find_thing(bonds, book, row, _MEMBER, int(bonds.things[at].holder)))


@kernel
def colludes(counters, bonds, book, rule, request, t):
    """A customer joins a group: whether more than the rule's share of its members share something with another."""
    row = owner_row(counters, bonds, book, int(request.group), t)
    mine = member(counters, bonds, book, row, int(request.customer), t)
    if mine == NONE:
        return False
    bring(counters, bonds, book, row, mine, _DEVICE, int(request.device_id), t)
    bring(counters, bonds, book, row, mine, _ADDRESS, int(request.address), t)
    key = counters.keys[row]
    return key.front * SHARE_ONE > int(rule.amount) * key.filled


@entry
def carry_bonds(old, old_bonds, old_book, new, new_bonds, new_book):
    """Enter every key of a table and its things into an empty one, the one idle longest first."""
    at = int(old_book.oldest)
    new_book.forgotten_ms = old_book.forgotten_ms
    while at != NONE:
        key = old.keys[at]
        row = owner_row(new, new_bonds, new_book, int(key.key), int(key.last_ms))
        thing_at = int(key.things)
        while thing_at != NONE:
            thing = old_bonds.things[thing_at]
            field, value = int(thing.field), int(thing.value)
            place = new_thing(new, new_bonds, new_book, row, field, value, int(thing.time_ms))
            if place != NONE:
                new_bonds.things[place].holder, new_bonds.things[place].shares = thing.holder, thing.shares
            thing_at = int(thing.next)
        new.keys[row].filled, new.keys[row].front = key.filled, key.front
        at = int(key.newer)
