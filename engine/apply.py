"""What the Ledger's replies do to a shard's customers."""

import numpy as np

from engine.compiled import entry, kernel
from engine.coupon_records import RequestKind
from engine.records import NONE
from engine.rules.claims import apply_claim, arrive, end_transfer
from engine.rules.experiments import mix64

_TRANSFER = int(RequestKind.TRANSFER)


@kernel
def hash_reply(customer, reply):
    """Replies are part of a customer's history: the digest sees them in order."""
    what = (int(reply.claim) << 20) ^ (int(reply.kind) << 8) ^ int(reply.answer)
    h = mix64(customer.decisions_hash ^ np.uint64(np.int64(what)))
    customer.decisions_hash = mix64(h ^ np.uint64(reply.time_ms))


@entry
def apply(shard, replies, tables, tallies, t):
    """Apply REPLY[n], all of this shard's customers, in the Ledger's order, at the settlement's time."""
    for i in range(len(replies)):
        reply = replies[i]
        row = int(reply.customer - shard.first[0])
        hash_reply(shard.customers[row], reply)
        if reply.kind != _TRANSFER:
            apply_claim(shard.wallets, row, reply, tables, tallies)
        elif reply.number == NONE:
            arrive(shard.wallets, shard.outbox, row, reply, tables, tallies, t)
        else:
            end_transfer(shard.wallets, row, reply, tables, tallies)
