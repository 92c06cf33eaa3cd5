"""What must hold after every settlement, in sentences; one that does not hold stops the run."""

from collections.abc import Mapping

import numpy as np

from engine.coupon_records import COUPONS_MAX, GRANTED_LIVES, NO_BUDGET, UNLIMITED, Life, RequestKind
from engine.rules.reservations import Reservations
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


def breaches(
    shared: Shared, lives: np.ndarray, granted: np.ndarray, coupons: Mapping[str, int], budgets: Mapping[str, int]
) -> list[str]:
    """Every invariant broken, in words. granted: i8[slots], before this settlement; lives: i8[slots, LIVES]."""
    stock = shared.stock
    return [
        *stock_breaches(stock, coupons),
        *fund_breaches(shared.funds, budgets),
        *open_breaches(shared, coupons, budgets),
        *lives_breaches(lives, granted, stock["arrived"], coupons),
    ]
