"""What must hold after every settlement, in sentences; one that does not hold stops the run."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from engine.coupon_records import BUDGETS_MAX, COUPONS_MAX, GRANTED_LIVES, LIVES, UNLIMITED
from engine.rules.ledger_checks import (
    COST,
    COST_MARKS,
    FUND_MARKS,
    LIVES_MARKS,
    MARKS,
    MOVING,
    OPEN,
    OPEN_MARKS,
    RESERVED,
    STOCK_MARKS,
    mark_breaches,
)
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


def names_by_slot(names: Mapping[str, int]) -> dict[int, str]:
    """A slot that no name has goes by its number."""
    known = {slot: name for name, slot in names.items()}
    return {slot: known.get(slot, f"number {slot}") for slot in range(max(COUPONS_MAX, BUDGETS_MAX))}


def open_sentence(name: str, opened: np.ndarray, row: np.record) -> str:
    counted = ((RESERVED, row.reserved, "reserved"), (MOVING, row.moving, "under way"))
    wrong = [(known, what, opened[kind]) for kind, known, what in counted if opened[kind] != known]
    return f"coupon {name}: " + ", ".join(f"{known} are {what}, but {there} are open" for known, what, there in wrong)


def cost_sentence(name: str, opened: np.ndarray, row: np.record) -> str:
    return f"budget {name}: {yuan(row.reserved)} are reserved, but reservations and reviews hold {yuan(opened[COST])}"


def breaches(
    shared: Shared, lives: np.ndarray | None, coupons: Mapping[str, int], budgets: Mapping[str, int]
) -> list[str]:
    """Every invariant broken, in words. lives: i8[COUPONS_MAX, LIVES], before this settlement, None where nobody knows;
    coupons, budgets: slots by name."""
    opened = np.zeros((OPEN, max(COUPONS_MAX, BUDGETS_MAX)), np.int64)
    marks = np.zeros((MARKS, max(COUPONS_MAX, BUDGETS_MAX)), np.int8)
    counted = np.zeros((COUPONS_MAX, LIVES), np.int64) if lives is None else lives
    if mark_breaches(shared.stock, shared.funds, shared.reservations, counted, opened, marks) == 0:
        return []
    stock: Any = shared.stock
    funds: Any = shared.funds
    coupon_of, budget_of = names_by_slot(coupons), names_by_slot(budgets)
    sentences: dict[int, Callable[[int], str]] = {
        STOCK_MARKS: lambda slot: stock_sentence(coupon_of[slot], stock[slot]),
        FUND_MARKS: lambda slot: fund_sentence(budget_of[slot], funds[slot]),
        LIVES_MARKS: lambda slot: lives_sentence(coupon_of[slot], counted[slot], stock[slot]),
        OPEN_MARKS: lambda slot: open_sentence(coupon_of[slot], opened[:, slot], stock[slot]),
        COST_MARKS: lambda slot: cost_sentence(budget_of[slot], opened[:, slot], funds[slot]),
    }
    if lives is None:
        del sentences[LIVES_MARKS]
    return [say(slot) for kind, say in sentences.items() for slot in np.flatnonzero(marks[kind]).tolist()]
