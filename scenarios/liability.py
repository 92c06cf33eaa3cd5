"""What coupons still open at the end are expected to cost: the unredeemed liability of FIDELITY 4."""

import numpy as np

from engine.coupon_records import CouponCell, Life, Wallets
from engine.records import NEVER_MS, NONE, Tables

OPEN = (int(Life.AVAILABLE), int(Life.HELD), int(Life.MOVING))


def costs_of_open(tables: Tables, cells: np.ndarray) -> np.ndarray:
    """Fen that one open coupon is expected to cost, by row of terms (i8[terms]).

    As much as the coupons of its name that have come to an end (redeemed or expired) cost on average; where none has,
    the most it can cost, or nothing if that has no bound. Those redeemed come to an end first, so in a short run this
    is rather too much than too little. cells: i8[coupon slots, COUPON_CELLS], what became of all coupons of the world.
    """
    coupon = tables.terms["coupon"].astype(np.int64)
    ended = cells[:, CouponCell.REDEEMED] - cells[:, CouponCell.RETURNED] + cells[:, CouponCell.EXPIRED]
    mean = cells[:, CouponCell.DISCOUNT] // np.maximum(ended, 1)
    most = np.where(tables.terms["cost_most"] < NEVER_MS, tables.terms["cost_most"], 0)
    return np.where(ended[coupon] > 0, mean[coupon], most)


def liabilities(wallets: Wallets, costs: np.ndarray) -> np.ndarray:
    """Fen by customer: i8[n], at most what an i4 holds. All lists are followed at once: first instances, second, …"""
    owed = np.zeros(len(wallets.open), np.int64)
    customers = np.arange(len(owed))
    at = wallets.heads[:, 0].astype(np.int64)
    while len(customers := customers[at != NONE]):
        found = wallets.instances[at[at != NONE]]
        owed[customers] += np.where(np.isin(found["state"], OPEN), costs[found["terms"]], 0)
        at = found["next"].astype(np.int64)
    return np.minimum(owed, np.iinfo(np.int32).max)
