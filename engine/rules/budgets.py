"""Budgets: what claims reserve, what redemptions and exposures spend, and the reserve that is released once."""

import numpy as np

from engine.compiled import kernel
from engine.coupon_records import Spend
from engine.records import SHARE_ONE

_EXPOSURES, _REDEEMED, _FREED = int(Spend.EXPOSURES), int(Spend.REDEEMED), int(Spend.FREED)

# The Ledger's row of a budget; fen.
FUND = np.dtype(
    [
        ("name_hash", "u8"),  # 0: no budget has this slot
        ("in_force", "i8"),  # the amount, and the reserve once it is released
        ("reserved", "i8"),  # the most that granted coupons and reservations can still cost
        ("spent", "i8"),
        ("overshoot", "i8"),  # what exposures of one settlement may have spent beyond, or a policy have cut away
        ("out_ms", "i8"),  # when it was used up or refused a claim for the first time; NEVER_MS
        ("released", "i8"),  # 1 once the reserve is in force
    ],
    align=True,
)


@kernel
def committed(fund):
    return fund.reserved + fund.spent


@kernel
def carries(fund, cost):
    return committed(fund) + cost <= fund.in_force


@kernel
def is_used_up(fund):
    return committed(fund) >= fund.in_force


@kernel
def note_out(fund, t):
    fund.out_ms = min(fund.out_ms, t)


@kernel
def add_spend(fund, spend, t):
    """Add what the shards tell: i8[len(Spend)].

    Exposures are paid for before the Ledger hears of them, so they may overshoot: by what they cost up to the
    settlement that finds the budget used up, and no more after it.
    """
    if not is_used_up(fund):
        fund.overshoot = max(0, spend[_EXPOSURES])
    fund.spent += spend[_EXPOSURES] + spend[_REDEEMED]
    fund.reserved -= spend[_REDEEMED] + spend[_FREED]
    if is_used_up(fund) and spend[_EXPOSURES] > 0:
        note_out(fund, t)


@kernel
def share_reached(fund, amount, share):
    """Whether at least `share` millionths of an amount are reserved or spent; without a product that could overflow."""
    whole, rest = amount // SHARE_ONE, amount % SHARE_ONE
    return committed(fund) >= whole * share + (rest * share + SHARE_ONE - 1) // SHARE_ONE


@kernel
def release_reserve(fund, budget, t):
    """Add the reserve, once, when enough of the amount is used and its time has come."""
    if fund.released or budget.reserve == 0 or t < budget.release_from_ms:
        return
    if share_reached(fund, int(budget.amount), int(budget.release_at)):
        fund.released = 1
        fund.in_force += budget.reserve
