"""What must hold after every settlement, in sentences; one that does not hold stops the run."""

from collections.abc import Mapping

import numpy as np

from engine.coupon_records import BUDGETS_MAX, COUPONS_MAX, GRANTED_LIVES, NO_BUDGET, UNLIMITED, RequestKind
from engine.rules.ledger_checks import FUND_MARKS, LIVES_MARKS, STOCK_MARKS, mark_breaches
from engine.rules.reservations import Reservations
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
    return {slot: name for name, slot in names.items()}


def open_kinds(table: Reservations) -> tuple[np.ndarray, np.ndarray]:
    """Rows of all that is open, and what asked for it: RequestKind, of what is under review too."""
    rows = table.heap[: int(table.size[0])]
    kinds = table.rows["kind"][rows]
    return rows, np.where(kinds == RequestKind.REVIEWED, table.requests["kind"][rows], kinds)


def open_breaches(shared: Shared, coupons: Mapping[str, int], budgets: Mapping[str, int]) -> list[str]:
    """What is reserved, and what is under way, is open in the table of reservations, reviews among it, and what it
    costs is reserved of its budget."""
    table, stock, funds = shared.reservations, shared.stock, shared.funds
    rows, kinds = open_kinds(table)
    slots, moving = table.rows["coupon"][rows], kinds == RequestKind.TRANSFER
    sentences = []
    known = names_by_slot(coupons)
    for what, counted, chosen in (("reserved", stock["reserved"], ~moving), ("under way", stock["moving"], moving)):
        found = np.bincount(slots[chosen], minlength=COUPONS_MAX)
        sentences += [
            f"coupon {known.get(slot, f'number {slot}')}: {counted[slot]} are {what}, but {found[slot]} are open"
            for slot in np.flatnonzero(found != counted).tolist()
        ]
    paid = rows[table.rows["budget"][rows] != NO_BUDGET]
    open_cost = np.zeros(len(funds), np.int64)
    np.add.at(open_cost, table.rows["budget"][paid], table.rows["cost"][paid])
    known = names_by_slot(budgets)
    return sentences + [
        f"budget {known.get(slot, f'number {slot}')}: {yuan(funds[slot].reserved)} are reserved, but reservations and "
        f"reviews hold {yuan(open_cost[slot])}"
        for slot in np.flatnonzero(open_cost > funds["reserved"]).tolist()
    ]


def breaches(shared: Shared, lives: np.ndarray, coupons: Mapping[str, int], budgets: Mapping[str, int]) -> list[str]:
    """Every invariant broken, in words. lives: i8[COUPONS_MAX, LIVES], before this settlement; coupons, budgets: slots
    by name."""
    marks = np.zeros((3, max(COUPONS_MAX, BUDGETS_MAX)), np.int8)
    broken = mark_breaches(shared, lives, marks)
    sentences = open_breaches(shared, coupons, budgets)
    if broken == 0:
        return sentences
    slots_of = [np.flatnonzero(row).tolist() for row in marks]
    coupon_of, budget_of = names_by_slot(coupons), names_by_slot(budgets)
    return [
        *(stock_sentence(coupon_of.get(slot, f"number {slot}"), shared.stock[slot]) for slot in slots_of[STOCK_MARKS]),
        *(fund_sentence(budget_of.get(slot, f"number {slot}"), shared.funds[slot]) for slot in slots_of[FUND_MARKS]),
        *(
            lives_sentence(coupon_of.get(slot, f"number {slot}"), lives[slot], shared.stock[slot])
            for slot in slots_of[LIVES_MARKS]
        ),
        *sentences,
    ]
