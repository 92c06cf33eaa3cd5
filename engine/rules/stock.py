"""Stock: pieces of a coupon from delivery to instance or prize, and the ration that lets them go by and by."""

import numpy as np

from engine.compiled import kernel
from engine.coupon_records import ANSWERS, UNLIMITED
from engine.records import NEVER_MS

# The Ledger's row of a coupon. Two entries for every piece: delivered = left + granted + reserved + confirmed.
STOCK = np.dtype(
    [
        ("name_hash", "u8"),  # 0: no coupon has this slot
        ("declared", "i8"),  # pieces the policy says; UNLIMITED
        ("delivered", "i8"),  # pieces ever; UNLIMITED
        ("left", "i8"),  # UNLIMITED
        ("granted", "i8"),  # are instances in wallets
        ("granted_before", "i8"),  # the latest settlement: what the wallets knew when they accounted for it
        ("reserved", "i8"),  # under a reservation
        ("confirmed", "i8"),  # went by a reservation
        ("promised", "i8"),  # reservations ever, lapsed ones too
        ("moving", "i8"),  # of the granted, on their way to another customer
        ("arrived", "i8"),  # of the granted, taken in during the latest settlement: the giver does not know yet
        ("released", "i8"),  # by the ration so far; NEVER_MS's size without one
        ("out_ms", "i8"),  # when the last piece went for the first time; NEVER_MS
        ("refused", "i8", (ANSWERS,)),
    ],
    align=True,
)


@kernel
def handed_out(stock):
    return stock.granted + stock.reserved + stock.confirmed


@kernel
def has_piece(stock):
    """A piece is left and the ration lets it go."""
    return (stock.left == UNLIMITED or stock.left > 0) and stock.released > handed_out(stock)


@kernel
def take_piece(stock, t):
    """One piece less; the caller says what became of it."""
    if stock.left == UNLIMITED:
        return
    stock.left -= 1
    if stock.left == 0 and t < stock.out_ms:
        stock.out_ms = t


@kernel
def put_back(stock):
    """A reserved piece is in stock again."""
    stock.reserved -= 1
    if stock.left != UNLIMITED:
        stock.left += 1


@kernel
def release_ration(stock, coupon, t):
    """What the ration has let go by t. The first part goes with the claim window, which no claim comes before."""
    if coupon.ration_every_ms == 0:
        stock.released = NEVER_MS
        return
    times = max(0, t - coupon.from_ms) // coupon.ration_every_ms + 1
    stock.released = times * coupon.ration_pieces
