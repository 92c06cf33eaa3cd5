"""What the Ledger says: replies are drafted, hashed, said, and said again to who asks again."""

import numpy as np

from engine.compiled import kernel
from engine.coupon_records import Answer, RequestKind
from engine.records import NONE
from engine.rules.digest import add
from engine.rules.experiments import mix64

_DONE, _PENDING = int(Answer.DONE), int(Answer.PENDING)
_ARRIVED, _RETURNED = int(RequestKind.ARRIVED), int(RequestKind.RETURNED)
_OBSERVED = int(RequestKind.OBSERVED)


@kernel
def draft_reply(desk, request, now):
    """The reply to a request, as a draft; its answer is still to be found."""
    reply = desk.draft[0]
    reply.time_ms, reply.customer, reply.other = now, request.customer, request.other
    reply.expires_ms, reply.number, reply.claim = 0, request.number, request.claim
    reply.terms, reply.coupon, reply.kind, reply.answer = request.terms, request.coupon, request.kind, _DONE
    reply.fired, reply.rule = 0, NONE
    return reply


@kernel
def hash_reply(shared, offers, reply):
    """Add a reply to the clock's hashes: a sum, so their order does not matter; names, not slots."""
    h = add(np.uint64(reply.kind), int(reply.time_ms))
    h = add(h, int(reply.customer))
    h = add(h, int(reply.other))
    h = add(h, int(reply.expires_ms))
    h = add(h, (int(reply.number) << 32) ^ int(reply.claim))
    h = add(h, int(reply.answer))
    if 0 <= reply.coupon < len(shared.stock):
        h ^= shared.stock[reply.coupon].name_hash
    if 0 <= reply.rule < len(offers.rules):
        h ^= mix64(offers.rules[reply.rule].name_hash)
    clock = shared.clock[0]
    clock.high_hash += mix64(h)
    clock.low_hash += mix64(~h)


@kernel
def say(desk, reply):
    place = int(desk.said[0])
    desk.said[0] = place + 1
    desk.replies[place] = reply


@kernel
def say_new(shared, offers, desk, reply):
    hash_reply(shared, offers, reply)
    say(desk, reply)


@kernel
def repeat(shared, desk, row, number):
    """Asked before: the very same reply, once a settlement. What has none yet, or none for the asker, gets none."""
    reply = shared.remembered.rows[row]
    unanswered = reply.answer == _PENDING or reply.kind in (_ARRIVED, _RETURNED)
    if not unanswered and shared.remembered.said[row] != number:
        shared.remembered.said[row] = number
        say(desk, reply)


@kernel
def address_receiver(reply, request):
    """Turn the giver's pending reply into what its receiver is told, unasked."""
    reply.customer, reply.other, reply.number = request.other, request.customer, NONE
    reply.expires_ms, reply.answer, reply.fired, reply.rule = request.expires_ms, _DONE, 0, NONE


@kernel
def say_marks(shared, offers, desk, request, now):
    """Tell a customer of every rule that fires on what was counted, until when it does."""
    marks, slot = int(desk.found.fired[1]), 0
    while marks >> slot:
        if (marks >> slot) & 1:
            reply = draft_reply(desk, request, now)
            reply.kind, reply.other, reply.number, reply.claim = _OBSERVED, NONE, NONE, NONE
            reply.terms, reply.coupon = NONE, NONE
            reply.rule, reply.expires_ms = slot, desk.found.ends_ms[slot]
            say_new(shared, offers, desk, reply)
        slot += 1
