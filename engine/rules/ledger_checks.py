"""What must hold at the Ledger after every settlement: looked over whole each time, so it has to cost next to nothing.

What is broken is marked by slot; `engine/host/ledger_invariants.py` puts it in words.
"""

from engine.compiled import entry, kernel
from engine.coupon_records import GRANTED_LIVES, NO_BUDGET, UNLIMITED, RequestKind
from engine.rules.budgets import committed
from engine.rules.stock import handed_out

STOCK_MARKS, FUND_MARKS, LIVES_MARKS, OPEN_MARKS, COST_MARKS = range(5)  # rows of marks
MARKS = 5
RESERVED, MOVING, COST = range(3)  # rows of what is open
OPEN = 3
_REVIEWED, _TRANSFER = int(RequestKind.REVIEWED), int(RequestKind.TRANSFER)
_GRANTED_LIVES = tuple(int(life) for life in GRANTED_LIVES)


@kernel
def stock_adds_up(stock):
    """Every piece is somewhere, once: delivered = left + granted + reserved + confirmed; none of them below zero."""
    if stock.granted < 0 or stock.reserved < 0 or stock.confirmed < 0 or stock.moving < 0:
        return False
    return stock.delivered == UNLIMITED or (stock.left >= 0 and stock.left + handed_out(stock) == stock.delivered)


@kernel
def fund_adds_up(fund):
    """Reserved and spent are never below zero, and together never above the amount in force and its overshoot."""
    if fund.name_hash == 0:
        return True
    return fund.reserved >= 0 and fund.spent >= 0 and committed(fund) <= fund.in_force + fund.overshoot


@kernel
def lives_add_up(lives, stock):
    """The coupons in all wallets (i8[LIVES]) are those granted before this settlement. One that has just arrived is
    still counted at its giver as well."""
    held = 0
    for life in _GRANTED_LIVES:
        held += lives[life]
    return held == stock.granted_before + stock.arrived


@kernel
def sum_open(table, opened):
    """What the table of reservations holds, reviews among it: pieces reserved and on their way, by coupon, and what
    they cost, by budget."""
    for place in range(table.size[0]):
        row = int(table.heap[place])
        one = table.rows[row]
        kind = int(table.requests[row].kind) if one.kind == _REVIEWED else int(one.kind)
        opened[MOVING if kind == _TRANSFER else RESERVED, one.coupon] += 1
        if one.budget != NO_BUDGET:
            opened[COST, one.budget] += one.cost


@entry
def mark_breaches(stocks, funds, reservations, lives, opened, marks):
    """Mark every slot where an invariant does not hold; returns how many. lives: i8[COUPONS_MAX, LIVES]; opened:
    i8[OPEN, slots], zeros, written; marks: i1[MARKS, slots], zeros."""
    broken = 0
    sum_open(reservations, opened)
    for slot in range(len(stocks)):
        stock = stocks[slot]
        if opened[RESERVED, slot] != stock.reserved or opened[MOVING, slot] != stock.moving:
            marks[OPEN_MARKS, slot] = 1
            broken += 1
        if not stock_adds_up(stock):
            marks[STOCK_MARKS, slot] = 1
            broken += 1
        if not lives_add_up(lives[slot], stock):
            marks[LIVES_MARKS, slot] = 1
            broken += 1
    for slot in range(len(funds)):
        if not fund_adds_up(funds[slot]):
            marks[FUND_MARKS, slot] = 1
            broken += 1
        if opened[COST, slot] > funds[slot].reserved:
            marks[COST_MARKS, slot] = 1
            broken += 1
    return broken
