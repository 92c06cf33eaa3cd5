"""What must hold after every settlement, in sentences; one that does not hold stops the run."""

from collections.abc import Mapping

import numpy as np

from engine.coupon_records import GRANTED_LIVES, UNLIMITED, Life
from engine.settle import Shared


def yuan(fen: int) -> str:
    return f"¥{fen / 100:,.2f}"


def names_by_slot(names: Mapping[str, int]) -> dict[int, str]:
    return {slot: name for name, slot in names.items()}


def stock_breaches(stock: np.ndarray, names: Mapping[str, int]) -> list[str]:
    """Every piece is somewhere, once: delivered = left + granted + reserved + confirmed; none of them below zero."""
    handed_out = stock["granted"] + stock["reserved"] + stock["confirmed"]
    limited = stock["delivered"] != UNLIMITED
    negative = (stock["granted"] < 0) | (stock["reserved"] < 0) | (stock["confirmed"] < 0) | (stock["moving"] < 0)
    wrong = negative | (limited & ((stock["left"] < 0) | (stock["left"] + handed_out != stock["delivered"])))
    known = names_by_slot(names)
    return [stock_sentence(known.get(slot, f"number {slot}"), stock[slot]) for slot in np.flatnonzero(wrong).tolist()]


def stock_sentence(name: str, row: np.record) -> str:
    handed_out = int(row.granted + row.reserved + row.confirmed)
    parts = f"{row.granted} granted, {row.reserved} reserved, {row.confirmed} confirmed, {row.left} left"
    if handed_out > row.delivered != UNLIMITED:
        return f"coupon {name} is oversold by {handed_out - row.delivered}: {row.delivered} pieces, {parts}"
    return f"coupon {name} has lost count of its pieces: {row.delivered} pieces, {parts}, {row.moving} under way"


def fund_breaches(funds: np.ndarray, names: Mapping[str, int]) -> list[str]:
    """Reserved and spent are never below zero, and together never above the amount in force and its overshoot."""
    total, allowed = funds["reserved"] + funds["spent"], funds["in_force"] + funds["overshoot"]
    wrong = (funds["name_hash"] != 0) & ((funds["reserved"] < 0) | (funds["spent"] < 0) | (total > allowed))
    known = names_by_slot(names)
    return [
        f"budget {known.get(slot, f'number {slot}')} does not add up: {yuan(row.reserved)} reserved and "
        f"{yuan(row.spent)} spent of {yuan(row.in_force)}, exposures may go {yuan(row.overshoot)} beyond"
        for slot, row in ((slot, funds[slot]) for slot in np.flatnonzero(wrong).tolist())
    ]


def lives_breaches(lives: np.ndarray, granted: np.ndarray, arrived: np.ndarray, names: Mapping[str, int]) -> list[str]:
    """The coupons in all wallets are those granted, by slot. One that has just arrived is still counted at its giver
    as well (arrived)."""
    held = lives[:, list(GRANTED_LIVES)].sum(axis=1)
    known = names_by_slot(names)
    sentences = []
    for slot in np.flatnonzero(held != granted + arrived).tolist():
        states = ", ".join(f"{lives[slot, life]} {Life(life).name.lower()}" for life in GRANTED_LIVES)
        sentences.append(
            f"coupon {known.get(slot, f'number {slot}')}: {granted[slot]} were granted, but customers have "
            f"{held[slot] - arrived[slot]} ({states}; {arrived[slot]} of them at giver and receiver)"
        )
    return sentences


def breaches(
    shared: Shared, lives: np.ndarray, granted: np.ndarray, coupons: Mapping[str, int], budgets: Mapping[str, int]
) -> list[str]:
    """Every invariant broken, in words. granted: i8[slots], before this settlement; lives: i8[slots, LIVES]."""
    stock = shared.stock
    return [
        *stock_breaches(stock, coupons),
        *fund_breaches(shared.funds, budgets),
        *lives_breaches(lives, granted, stock["arrived"], coupons),
    ]
