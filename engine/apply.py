"""What the Ledger's replies do to a shard's customers."""

import numpy as np

from engine.compiled import entry, kernel
from engine.coupon_records import Answer, RequestKind
from engine.records import NONE
from engine.rules.claims import apply_claim, arrive, end_confirmation, end_transfer
from engine.rules.experiments import mix64
from engine.rules.watch import note_listing, note_mark

_CLAIM, _RESERVE = int(RequestKind.CLAIM), int(RequestKind.RESERVE)
_TRANSFER, _CONFIRM = int(RequestKind.TRANSFER), int(RequestKind.CONFIRM)
_OBSERVED, _LISTED, _DONE = int(RequestKind.OBSERVED), int(RequestKind.LISTED), int(Answer.DONE)


@kernel
def hash_reply(customer, reply):
    """Replies are part of a customer's history: the digest sees them in order."""
    what = (int(reply.claim) << 20) ^ (int(reply.kind) << 8) ^ int(reply.answer)
    h = mix64(customer.decisions_hash ^ np.uint64(np.int64(what)))
    customer.decisions_hash = mix64(h ^ np.uint64(reply.time_ms))


@kernel
def apply_word(watch, row, reply, tables):
    """A mark of a rule of the Ledger, or a person's listing of the customer."""
    until_ms, now = int(reply.expires_ms), int(reply.time_ms)
    if reply.kind == _OBSERVED:
        note_mark(watch, row, int(reply.rule), until_ms, tables, now)
    elif reply.kind == _LISTED and reply.other == reply.customer:
        note_listing(watch, row, reply.answer == _DONE, until_ms, now)


@kernel
def apply_one(shard, row, reply, tables, tallies, t):
    wallets = shard.wallets
    if reply.kind == _CLAIM or reply.kind == _RESERVE:
        apply_claim(wallets, row, reply, tables, tallies, t)
    elif reply.kind == _CONFIRM:
        end_confirmation(wallets, row, reply, tables, tallies, t)
    elif reply.kind == _TRANSFER and reply.number == NONE:
        arrive(wallets, shard.outbox, shard.watch, row, reply, tables, tallies, t)
    elif reply.kind == _TRANSFER:
        end_transfer(wallets, row, reply, tables, tallies, t)
    elif len(shard.watch.heads) > 0:
        apply_word(shard.watch, row, reply, tables)


@entry
def apply(shard, replies, tables, tallies, t):
    """Apply REPLY[n], all of this shard's customers, in the Ledger's order, at the settlement's time."""
    for i in range(len(replies)):
        reply = replies[i]
        row = int(reply.customer - shard.first[0])
        hash_reply(shard.customers[row], reply)
        apply_one(shard, row, reply, tables, tallies, t)
