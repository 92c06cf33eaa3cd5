"""A shard's wallets as arrays that grow: kernels take rows, the host makes room before they run."""

from typing import Any

import numpy as np

from engine.coupon_records import (
    ASK,
    COUPONS_MAX,
    INSTANCE,
    LINE,
    LINES_MAX,
    LIVES,
    ORDER,
    ORDER_LINE,
    RECEIPT,
    RECENT_ID,
    REQUEST,
    Breach,
    Inbox,
    Outbox,
    Wallets,
)
from engine.fraud_records import ORIGIN
from engine.records import NEVER_MS, NONE, EventKind, records
from engine.rules.slabs import INSTANCES, LINES, chain

_SLABS = ("instances", "orders", "ids", "lines")
GROWTH = 1.05  # a slab grows by so much at least
BREACHES = {
    Breach.LIMIT: "a customer has more of a coupon than its limit allows",
    Breach.REFUNDS: "the refunds of an order are not what was paid for it",
}


def no_wallets() -> Wallets:
    """Of a policy without coupons."""
    return empty_wallets(0)


def empty_wallets(customers: int) -> Wallets:
    return Wallets(
        heads=np.full((customers, 3), NONE, np.int32),
        claims=np.zeros(customers, np.int32),
        requests=np.zeros(customers, np.int32),
        open=np.zeros(customers, np.int16),
        due_ms=np.full(customers, NEVER_MS, np.int64),
        instances=records(0, INSTANCE),
        orders=records(0, ORDER),
        lines=records(0, ORDER_LINE),
        ids=records(0, RECENT_ID),
        free=np.array([[NONE, 0]] * len(_SLABS), np.int64),
        lives=np.zeros((COUPONS_MAX, LIVES), np.int64),
        prizes=np.zeros((COUPONS_MAX, LIVES), np.int64),
        breaches=np.zeros(len(Breach), np.int64),
    )


def grown(wallets: Wallets, needed: dict[int, int]) -> Wallets:
    """The same wallets with at least so many free rows in each slab (by its number)."""
    for slab, rows in needed.items():
        missing = rows - int(wallets.free[slab, 1])
        if missing > 0:
            wallets = with_rows(wallets, slab, max(missing, int(len(getattr(wallets, _SLABS[slab])) * (GROWTH - 1))))
    return wallets


def with_rows(wallets: Wallets, slab: int, more: int) -> Wallets:
    old = getattr(wallets, _SLABS[slab])
    new: Any = records(len(old) + more, old.dtype)
    new[: len(old)] = old
    chain(new, len(old))
    new[-1].next = wallets.free[slab, 0]
    wallets.free[slab] = len(old), int(wallets.free[slab, 1]) + more
    return wallets._replace(**{_SLABS[slab]: new})


def room_for(events: int, lines: int) -> dict[int, int]:
    """Free rows that a batch could take at most: each event may claim by its ask and by an exposure."""
    return {slab: lines if slab == LINES else 2 * events if slab == INSTANCES else events for slab in range(4)}


def empty_outbox(requests: int) -> Outbox:
    return Outbox(records(requests, REQUEST), np.zeros(1, np.int64))


def empty_inbox(asks: int = 0, lines: int = 0, origins: int = 0) -> Inbox:
    return Inbox(
        records(asks, ASK),
        records(lines, LINE),
        records(asks, RECEIPT),
        records(origins, ORIGIN),
        np.zeros(3, np.int64),
    )


def wallet_bytes(wallets: Wallets) -> int:
    return sum(array.nbytes for array in wallets)


def lines_to_keep(events: np.ndarray, inbox: Inbox) -> int:
    """Lines that the carts of a batch have at most; two events may ask for the same cart."""
    rows = events.view(np.ndarray)  # which is sliced in a tenth of the time
    orders = rows["ask"][(rows["kind"] == EventKind.ORDER) & (rows["ask"] >= 0)]
    return int(inbox.asks.view(np.ndarray)["lines"][orders].clip(0, LINES_MAX).sum()) if len(orders) else 0
