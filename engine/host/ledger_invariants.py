"""What must hold after every settlement, in sentences; one that does not hold stops the run."""

from collections.abc import Mapping

import numpy as np

from engine.coupon_records import BUDGETS_MAX, COUPONS_MAX, GRANTED_LIVES, UNLIMITED
from engine.rules.ledger_checks import FUND_MARKS, LIVES_MARKS, STOCK_MARKS, mark_breaches
from engine.settle import Shared


def yuan(fen: int) -> str:
    return f"¥{fen / 100:,.2f}"


def stock_sentence(name: str, row: np.record) -> str:
    handed_out = int(row.granted + row.reserved + row.confirmed)
    parts = f"{row.granted} granted, {row.reserved} reserved, {row.confirmed} confirmed, {row.left} left"
    if handed_out > row.delivered != UNLIMITED:
        return f"coupon {name} is oversold by {handed_out - row.delivered}: {row.delivered} pieces, {parts}"
    return f"coupon {name} has lost count of its pieces: {row.delivered} pieces, {parts}, {row.moving} under way"


def fund_sentence(name: str, row: np.record) -> str:
    return (
        f"budget {name} does not add up: {yuan(row.reserved)} reserved and {yuan(row.spent)} spent of "
        f"{yuan(row.in_force)}, exposures may go {yuan(row.overshoot)} beyond"
    )


def lives_sentence(name: str, lives: np.ndarray, row: np.record) -> str:
    held = sum(int(lives[life]) for life in GRANTED_LIVES)
    states = ", ".join(f"{lives[life]} {life.name.lower()}" for life in GRANTED_LIVES)
    return (
        f"coupon {name}: {row.granted_before} were granted, but customers have {held - row.arrived} "
        f"({states}; {row.arrived} of them at giver and receiver)"
    )


def breaches(shared: Shared, lives: np.ndarray, coupons: Mapping[str, int], budgets: Mapping[str, int]) -> list[str]:
    """Every invariant broken, in words. lives: i8[COUPONS_MAX, LIVES], before this settlement; coupons, budgets: slots
    by name."""
    marks = np.zeros((3, max(COUPONS_MAX, BUDGETS_MAX)), np.int8)
    if mark_breaches(shared, lives, marks) == 0:
        return []
    slots_of = [np.flatnonzero(row).tolist() for row in marks]
    coupon_of, budget_of = ({slot: name for name, slot in names.items()} for names in (coupons, budgets))
    return [
        *(stock_sentence(coupon_of.get(slot, f"number {slot}"), shared.stock[slot]) for slot in slots_of[STOCK_MARKS]),
        *(fund_sentence(budget_of.get(slot, f"number {slot}"), shared.funds[slot]) for slot in slots_of[FUND_MARKS]),
        *(
            lives_sentence(coupon_of.get(slot, f"number {slot}"), lives[slot], shared.stock[slot])
            for slot in slots_of[LIVES_MARKS]
        ),
    ]
