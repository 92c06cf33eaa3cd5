"""What must hold at the Ledger after every settlement: looked over whole each time, so it has to cost next to nothing.

What is broken is marked by slot; `engine/host/ledger_invariants.py` puts it in words.
"""

from engine.compiled import entry, kernel
from engine.coupon_records import GRANTED_LIVES, UNLIMITED
from engine.rules.budgets import committed
from engine.rules.stock import handed_out

STOCK_MARKS, FUND_MARKS, LIVES_MARKS = range(3)  # rows of marks
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


@entry
def mark_breaches(shared, lives, marks):
    """Mark every slot where an invariant does not hold; returns how many. lives: i8[COUPONS_MAX, LIVES]; marks:
    i1[3, slots], zeros."""
    broken = 0
    for slot in range(len(shared.stock)):
        if not stock_adds_up(shared.stock[slot]):
            marks[STOCK_MARKS, slot] = 1
            broken += 1
        if not lives_add_up(lives[slot], shared.stock[slot]):
            marks[LIVES_MARKS, slot] = 1
            broken += 1
    for slot in range(len(shared.funds)):
        if not fund_adds_up(shared.funds[slot]):
            marks[FUND_MARKS, slot] = 1
            broken += 1
    return broken
