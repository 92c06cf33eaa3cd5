"""The Ledger's arrays: made, given room, renumbered by name, hashed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.coupon_records import BUDGETS_MAX, COUPONS_MAX, REPLY, REQUEST, UNLIMITED, RequestKind
from engine.fraud_records import RULE, RULES_MAX
from engine.host.breaking import copied_breakers, no_breakers
from engine.host.ledger_fraud import copied_fraud, empty_fraud
from engine.records import NEVER_MS, NONE, records
from engine.rules.budgets import FUND
from engine.rules.digest import LANE_SEEDS
from engine.rules.ledger_digest import sum_ledger
from engine.rules.requests import DIGITS, PASSES, Remembered, Sorting, link_replies
from engine.rules.reservations import RESERVATION, Reservations, link_reservations
from engine.rules.stock import STOCK
from engine.rules.verdicts import Found
from engine.settle import CLOCK, Desk, Shared

REQUESTS_MAX = 2_000_000  # of one settlement
REPLIES_MAX = 4_000_000  # remembered until acknowledged
RESERVATIONS_MAX = 1_000_000  # and transfers under way
LEAST_ROOM = 1_024
DIGEST_MODULUS = 1 << 128


# --- made -------------------------------------------------------------------------------------------------------------
def lists_for(room: int) -> np.ndarray:
    """Empty lists by hash, about as many as there may be rows."""
    return np.full(1 << max(1, room - 1).bit_length(), NONE, np.int32)


def no_replies(room: int) -> Remembered:
    return Remembered(
        records(room, REPLY),
        np.full(room, NONE, np.int32),
        np.zeros(room, np.int32),
        lists_for(room),
        np.zeros(1, np.int64),
    )


def no_reservations(room: int) -> Reservations:
    table = Reservations(
        records(room, RESERVATION),
        lists_for(room),
        np.full(room, NONE, np.int32),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        records(room, REQUEST),
    )
    link_reservations(table)
    return table


def empty_shared(now: int, tick_ms: int) -> Shared:
    clock = records(1, CLOCK)
    clock[0].now_ms, clock[0].ticked_ms, clock[0].tick_ms = now, now // tick_ms * tick_ms, tick_ms
    return Shared(
        clock,
        records(COUPONS_MAX, STOCK),
        records(BUDGETS_MAX, FUND),
        no_reservations(LEAST_ROOM),
        no_replies(LEAST_ROOM),
        empty_fraud(records(0, RULE), 0),
        no_breakers(),
    )


def scratch_for(room: int) -> Sorting:
    return Sorting(
        np.zeros(room, np.int64),
        np.zeros(room, np.int32),
        np.zeros(room, np.int64),
        np.zeros(room, np.int32),
        np.zeros((PASSES, DIGITS), np.int64),
    )


def empty_desk(found: Found) -> Desk:
    return Desk(scratch_for(1), records(2, REPLY), records(0, REPLY), np.zeros(1, np.int64), found)


def copied(shared: Shared) -> Shared:
    return Shared(
        shared.clock.copy(),
        shared.stock.copy(),
        shared.funds.copy(),
        copied_reservations(shared.reservations),
        Remembered(*(array.copy() for array in shared.remembered)),
        copied_fraud(shared.fraud),
        copied_breakers(shared.breakers),
    )


def copied_reservations(table: Reservations) -> Reservations:
    requests: Any = records(len(table.requests), REQUEST)
    reviewed = rows_in_review(table)
    requests[reviewed] = table.requests[reviewed]
    rows, heads, heap, size, free, _ = table
    return Reservations(rows.copy(), heads.copy(), heap.copy(), size.copy(), free.copy(), requests)


def rows_in_review(table: Reservations) -> np.ndarray:
    """Rows whose request is kept."""
    used = table.heap[: int(table.size[0])]
    return used[table.rows["kind"][used] == RequestKind.REVIEWED]


# --- given room -------------------------------------------------------------------------------------------------------
def room_for(rows: int, room: int, most: int) -> int:
    """Rows a table gets that must hold `rows`: twice as many until that is enough, never more than `most`."""
    while room < min(rows, most):
        room *= 2
    return min(room, most)


def with_room(shared: Shared, requests: int, openings: int) -> Shared:
    """Tables that can hold so many more replies and reservations, as far as the limits allow."""
    remembered, table = shared.remembered, shared.reservations
    room = room_for(int(remembered.size[0]) + requests, len(remembered.rows), REPLIES_MAX)
    if room > len(remembered.rows):
        shared = shared._replace(remembered=grown_replies(remembered, room))
    room = room_for(int(table.size[0]) + openings, len(table.rows), RESERVATIONS_MAX)
    if room > len(table.rows):
        shared = shared._replace(reservations=grown_reservations(table, room))
    return shared


def grown_replies(old: Remembered, room: int) -> Remembered:
    new, count = no_replies(room), int(old.size[0])
    new.rows[:count], new.said[:count], new.size[0] = old.rows[:count], old.said[:count], count
    link_replies(new)
    return new


def grown_reservations(old: Reservations, room: int) -> Reservations:
    new = no_reservations(room)
    new.rows[: len(old.rows)], new.heap[: len(old.heap)] = old.rows, old.heap
    new.size[0] = old.size[0]
    reviewed = rows_in_review(old)
    requests: Any = new.requests
    requests[reviewed] = old.requests[reviewed]
    link_reservations(new)
    return new


# --- by name ----------------------------------------------------------------------------------------------------------
def moves_of(before: Mapping[str, int], after: Mapping[str, int], size: int) -> np.ndarray:
    """New slot of every old one. Names that are gone keep theirs, or a free one at the end where another name has it;
    raises OverflowError without one."""
    taken = set(after.values())
    staying = {slot for name, slot in before.items() if name not in after and slot not in taken}
    free = [slot for slot in range(size) if slot not in taken | staying]
    moves = np.arange(size)
    for name, slot in before.items():
        if name in after:
            moves[slot] = after[name]
        elif slot not in staying:
            if not free:
                raise OverflowError(f"names must be at most {size} at a time (no slot is left for {name!r})")
            moves[slot] = free.pop()
    return moves


@dataclass(frozen=True)
class LedgerMoves:
    """New slots by old ones."""

    coupons: np.ndarray
    budgets: np.ndarray
    campaigns: np.ndarray
    rules: np.ndarray


def renumber(shared: Shared, moves: LedgerMoves, names: tuple[list[int], list[int]]) -> None:
    """Move what is known under old slots to new ones; `names` are the old slots in use, of coupons and budgets."""
    coupons, budgets, rules = moves.coupons, moves.budgets, moves.rules
    for table, slots, used in ((shared.stock, coupons, names[0]), (shared.funds, budgets, names[1])):
        rows = table[used].copy()
        table[:] = np.zeros(1, table.dtype)
        table[slots[used]] = rows
    rows = shared.reservations.rows
    rows["coupon"] = coupons[rows["coupon"]]
    rows["budget"] = np.where(rows["budget"] == NONE, NONE, budgets[rows["budget"]])
    replies = shared.remembered.rows[: int(shared.remembered.size[0])]
    reviewed = rows_in_review(shared.reservations)
    requests = shared.reservations.requests[reviewed]
    for rows, masks in ((replies, ("fired",)), (requests, ("counted", "judging", "exempt", "fired"))):
        rows["coupon"] = moved(rows["coupon"], coupons)
        rows["rule"] = moved(rows["rule"], rules)
        for mask in masks:
            rows[mask] = moved_masks(rows[mask], rules)
    requests["campaign"] = moved(requests["campaign"], moves.campaigns)
    shared.reservations.requests[reviewed] = requests


def moved(slots: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """New slots; what is none stays as it is."""
    known = (slots >= 0) & (slots < len(moves))
    return np.where(known, moves[np.where(known, slots, 0)], slots)


def moved_masks(masks: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Masks of rules, bit by bit."""
    if np.array_equal(moves, np.arange(len(moves))):
        return masks
    new = np.zeros_like(masks)
    for slot in range(RULES_MAX):
        new |= ((masks >> slot) & 1) << int(moves[slot])
    return new


def change_pieces(stock: Any, coupon: Any) -> None:
    """Take up how many pieces a policy says: the difference is added to what is left or taken from it."""
    if stock.name_hash == 0:
        stock.name_hash, stock.declared, stock.out_ms = coupon.name_hash, UNLIMITED, NEVER_MS
    pieces, handed_out = int(coupon.pieces), int(stock.granted + stock.reserved + stock.confirmed)
    if pieces == UNLIMITED:
        stock.delivered = stock.left = UNLIMITED
    else:
        delivered = pieces if stock.declared == UNLIMITED else int(stock.delivered) + pieces - int(stock.declared)
        stock.delivered = max(delivered, handed_out)
        stock.left = stock.delivered - handed_out
    stock.declared = pieces


def change_amount(fund: Any, budget: Any) -> None:
    """Take up a budget's amount. What is already committed beyond it stays, and nothing is added."""
    if fund.name_hash == 0:
        fund.name_hash, fund.out_ms = budget.name_hash, NEVER_MS
    fund.in_force = budget.amount + (budget.reserve if fund.released else 0)
    fund.overshoot = max(int(fund.overshoot), int(fund.reserved + fund.spent - fund.in_force))


# --- hashed -----------------------------------------------------------------------------------------------------------
def digest_of(shared: Shared) -> str:
    """128 bits in hexadecimal over the state by name and every reply given; not over what is remembered of them."""
    lanes = np.zeros((2, 2), np.uint64)
    sum_ledger(shared, np.array(LANE_SEEDS), lanes)
    words = [int(high) << 64 | int(low) for low, high in lanes]
    return f"{(words[0] + (words[1] << 64)) % DIGEST_MODULUS:032x}"
