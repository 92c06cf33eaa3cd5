"""At most once: the ids a customer's clients sent lately, what they asked for and what was answered."""

import numpy as np

from engine.compiled import kernel
from engine.coupon_records import ID_REMEMBERED_MS, IDS_MAX, Answer
from engine.records import NONE, EventKind
from engine.rules.experiments import mix64
from engine.rules.slabs import IDS, give_row, push, take_row, unlink

_DONE, _PENDING, _IN_REVIEW = int(Answer.DONE), int(Answer.PENDING), int(Answer.IN_REVIEW)
_REFUND = int(EventKind.REFUND)
_ID_REUSED, _TOO_MANY = int(Answer.ID_REUSED), int(Answer.TOO_MANY_IDS)


@kernel
def add(h, value):
    return mix64(h ^ np.uint64(np.int64(value)))


@kernel
def body_hash(event, ask, lines, tables):
    """All that an event asks for, its time excluded; coupons and campaigns by name."""
    h = add(np.uint64(0), int(event.kind))
    h = add(h, int(event.amount))
    h = add(h, int(ask.other))
    h = add(h, int(ask.shipping))
    h = add(h, int(ask.first_line) if event.kind == _REFUND else 0)  # a cart may lie anywhere among its batch's lines
    h = add(h, int(ask.pieces))
    h = add(h, int(ask.order))
    h = add(h, int(ask.claim))
    h = add_name(h, tables.coupons, int(ask.coupon))
    h = add_name(h, tables.campaigns, int(ask.campaign))
    h = add(h, int(ask.place))
    h = add(h, len(lines))
    for i in range(len(lines)):
        line = lines[i]
        h = add(h, int(line.unit_price))
        h = add(h, int(line.quantity))
        h = add(h, (int(line.category) << 32) ^ (int(line.brand) << 16) ^ int(line.product))
    return h


@kernel
def add_name(h, rows, slot):
    """Fold the name of a slot in; where there is none, its number."""
    if 0 <= slot < len(rows):
        return mix64(h ^ rows[slot].name_hash)
    return add(h, slot)


@kernel
def forget_ids(wallets, row, t):
    """Forget ids that are old enough; returns how many are left."""
    kept, before, at = 0, NONE, int(wallets.heads[row, IDS])
    while at != NONE:
        after = int(wallets.ids[at].next)
        if t - wallets.ids[at].first_ms >= ID_REMEMBERED_MS:
            unlink(wallets.ids, wallets.heads, row, IDS, before, at)
            give_row(wallets.ids, wallets.free, IDS, at)
        else:
            kept, before = kept + 1, at
        at = after
    return kept


@kernel
def id_row(wallets, row, number):
    """Row of an id that is remembered; NONE."""
    at = int(wallets.heads[row, IDS])
    while at != NONE and wallets.ids[at].id != number:
        at = int(wallets.ids[at].next)
    return at


@kernel
def remember_id(wallets, row, number, body, t):
    """Remember a new id; DONE, or TOO_MANY_IDS."""
    if forget_ids(wallets, row, t) >= IDS_MAX:
        return _TOO_MANY
    at = take_row(wallets.ids, wallets.free, IDS)
    recent = wallets.ids[at]
    recent.id, recent.body_hash, recent.first_ms = number, body, t
    recent.paid, recent.discount, recent.number, recent.answer = 0, 0, NONE, 0
    push(wallets.ids, wallets.heads, row, IDS, at)
    return _DONE


@kernel
def keep_answer(wallets, row, number, receipt):
    """Keep what was answered under an id."""
    recent = wallets.ids[id_row(wallets, row, number)]
    recent.answer, recent.number = receipt.answer, receipt.number
    recent.paid, recent.discount = receipt.paid, receipt.discount


@kernel
def repeat_answer(recent, receipt, body):
    """Same id and body, same answer; same id and another body is refused."""
    if recent.body_hash != body:
        receipt.answer = _ID_REUSED
        return
    receipt.answer, receipt.number = recent.answer, recent.number
    receipt.paid, receipt.discount = recent.paid, recent.discount


@kernel
def settle_ids(wallets, row, claim, answer):
    """The reply about an instance has come: the id it was asked under answers with it from now on."""
    at = int(wallets.heads[row, IDS])
    while at != NONE:
        recent = wallets.ids[at]
        if (recent.answer == _PENDING or recent.answer == _IN_REVIEW) and recent.number == claim:
            recent.answer = answer
        at = int(recent.next)
