"""One settlement at the Ledger: requests in one order, one after the other, so that nothing is ever oversold."""

from typing import NamedTuple

import numpy as np

from engine.compiled import entry, kernel
from engine.coupon_records import NO_BUDGET, Answer, RequestKind, Verdict
from engine.records import NEVER_MS, NONE
from engine.rules.budgets import add_spend, carries, is_used_up, note_out, release_reserve
from engine.rules.digest import add
from engine.rules.experiments import mix64
from engine.rules.requests import (
    Remembered,
    Sorting,
    find_reply,
    is_remembering_full,
    remember,
    sort_requests,
)
from engine.rules.reservations import (
    Reservations,
    close_reservation,
    find_reservation,
    first_expiry,
    is_table_full,
    open_reservation,
)
from engine.rules.stock import has_piece, put_back, release_ration, take_piece

_DONE, _PENDING, _FALLBACK = int(Answer.DONE), int(Answer.PENDING), int(Answer.FALLBACK)
_OUT_OF_STOCK, _BUDGET, _LAPSED = int(Answer.OUT_OF_STOCK), int(Answer.BUDGET), int(Answer.LAPSED)
_NOT_OPEN, _NO_ROOM, _DENIED = int(Answer.NOT_OPEN), int(Answer.NO_ROOM), int(Answer.DENIED)
_NO_COUPON, _WALLET_FULL = int(Answer.NO_COUPON), int(Answer.WALLET_FULL)
_CLAIM, _TRANSFER, _RESERVE = int(RequestKind.CLAIM), int(RequestKind.TRANSFER), int(RequestKind.RESERVE)
_ARRIVED, _RETURNED = int(RequestKind.ARRIVED), int(RequestKind.RETURNED)
_CONFIRM = int(RequestKind.CONFIRM)
_ALLOW, _WEAKER = int(Verdict.ALLOW), int(Verdict.WEAKER)

CLOCK = np.dtype(
    [
        ("now_ms", "i8"),  # everything up to here has happened
        ("ticked_ms", "i8"),  # the latest tick, a multiple of tick_ms
        ("tick_ms", "i8"),
        ("number", "i8"),  # of the latest settlement
        ("first", "i8"),  # customers there are: [first, end)
        ("end", "i8"),
        ("high_hash", "u8"),  # Σ of a hash of every reply given, in two lanes
        ("low_hash", "u8"),
    ],
    align=True,
)


class Shared(NamedTuple):
    """What customers share: the Ledger's state."""

    clock: np.ndarray  # CLOCK[1]
    stock: np.ndarray  # STOCK[COUPONS_MAX]
    funds: np.ndarray  # FUND[BUDGETS_MAX]
    reservations: Reservations
    remembered: Remembered


class Offers(NamedTuple):
    """What the policy says of coupons and budgets, by slot."""

    coupons: np.ndarray  # COUPON[...]
    terms: np.ndarray  # TERMS[...]
    budgets: np.ndarray  # BUDGET[...]


class Desk(NamedTuple):
    """Scratch of one settlement, and its replies."""

    sorting: Sorting
    draft: np.ndarray  # REPLY[1]
    replies: np.ndarray  # REPLY[n]: at most one a request
    said: np.ndarray  # i8[1]: how many


# --- time -------------------------------------------------------------------------------------------------------------
@kernel
def end_reservation(shared, row, confirmed):
    """A reservation is over: its piece and money are used, or free again."""
    reservation = shared.reservations.rows[row]
    stock = shared.stock[reservation.coupon]
    if confirmed:
        stock.reserved -= 1
        stock.confirmed += 1
    else:
        put_back(stock)
    if reservation.budget != NO_BUDGET:
        fund = shared.funds[reservation.budget]
        fund.reserved -= reservation.cost
        if confirmed:
            fund.spent += reservation.cost
    close_reservation(shared.reservations, row)


@kernel
def release_rations(shared, offers, t):
    for slot in range(len(offers.coupons)):
        if offers.coupons[slot].used:
            release_ration(shared.stock[slot], offers.coupons[slot], t)


@kernel
def tick(shared, offers, t):
    """What goes by the clock and not by what happens: rations and the budgets' reserves."""
    release_rations(shared, offers, t)
    for slot in range(len(offers.budgets)):
        if offers.budgets[slot].used:
            release_reserve(shared.funds[slot], offers.budgets[slot], t)


@kernel
def advance(shared, offers, t):
    """Let lapse and tick what is due by t, in order of time; at one instant lapses come first."""
    clock = shared.clock[0]
    while True:
        due, next_tick = first_expiry(shared.reservations), int(clock.ticked_ms + clock.tick_ms)
        if due <= t and due <= next_tick:
            end_reservation(shared, int(shared.reservations.heap[0]), False)
        elif next_tick <= t:
            clock.ticked_ms = next_tick
            tick(shared, offers, next_tick)
        else:
            break
    clock.now_ms = max(int(clock.now_ms), t)


# --- replies ----------------------------------------------------------------------------------------------------------
@kernel
def draft_reply(desk, request, now):
    """The reply to a request, as a draft; its answer is still to be found."""
    reply = desk.draft[0]
    reply.time_ms, reply.customer, reply.other = now, request.customer, request.other
    reply.expires_ms, reply.number, reply.claim = 0, request.number, request.claim
    reply.terms, reply.coupon, reply.kind, reply.answer = request.terms, request.coupon, request.kind, _DONE
    return reply


@kernel
def hash_reply(shared, reply):
    """Add a reply to the clock's hashes: a sum, so their order does not matter; names, not slots."""
    h = add(np.uint64(reply.kind), int(reply.time_ms))
    h = add(h, int(reply.customer))
    h = add(h, int(reply.other))
    h = add(h, int(reply.expires_ms))
    h = add(h, (int(reply.number) << 32) ^ int(reply.claim))
    h = add(h, int(reply.answer))
    if 0 <= reply.coupon < len(shared.stock):
        h ^= shared.stock[reply.coupon].name_hash
    clock = shared.clock[0]
    clock.high_hash += mix64(h)
    clock.low_hash += mix64(~h)


@kernel
def say(desk, reply):
    place = int(desk.said[0])
    desk.said[0] = place + 1
    desk.replies[place] = reply


@kernel
def repeat(shared, desk, row, number):
    """Asked before: the very same reply, once a settlement. What has none yet, or none for the asker, gets none."""
    reply = shared.remembered.rows[row]
    unanswered = reply.answer == _PENDING or reply.kind in (_ARRIVED, _RETURNED)
    if not unanswered and shared.remembered.said[row] != number:
        shared.remembered.said[row] = number
        say(desk, reply)


# --- pieces and money -------------------------------------------------------------------------------------------------
@kernel
def take(shared, offers, coupon, terms, t):
    """Take one piece and reserve the most it can cost: DONE, or the first test that fails."""
    if coupon < 0 or coupon >= len(offers.coupons) or offers.coupons[coupon].used == 0:
        return _NOT_OPEN
    if terms < 0 or terms >= len(offers.terms):
        return _NOT_OPEN
    stock, row = shared.stock[coupon], offers.terms[terms]
    if not has_piece(stock):
        return _OUT_OF_STOCK
    if row.budget != NO_BUDGET:
        fund = shared.funds[row.budget]
        if not carries(fund, row.cost_most):
            note_out(fund, t)
            return _BUDGET
        fund.reserved += row.cost_most
        if is_used_up(fund):
            note_out(fund, t)
    take_piece(stock, t)
    return _DONE


@kernel
def grant(shared, offers, reply, request, t):
    """One piece of a coupon, as a claim or a reservation asks for it. A weaker verdict gives the fallback of a claim;
    any other refuses."""
    coupon, terms, granted = int(request.coupon), int(request.terms), _DONE
    if request.verdict == _WEAKER and 0 <= coupon < len(offers.coupons) and request.kind == _CLAIM:
        coupon, granted = int(offers.coupons[coupon].fallback), _FALLBACK
        if coupon == NONE:
            return _DENIED
        terms = int(offers.coupons[coupon].terms)
    elif request.verdict != _ALLOW:
        return _DENIED
    table = shared.reservations
    if request.kind == _RESERVE:
        if find_reservation(table, int(request.customer), int(request.claim)) != NONE:
            return _NO_COUPON
        if is_table_full(table):
            return _NO_ROOM
    answer = take(shared, offers, coupon, terms, t)
    if answer != _DONE:
        return answer
    if request.kind == _CLAIM:
        shared.stock[coupon].granted += 1
        reply.coupon, reply.terms = coupon, terms
        return granted
    shared.stock[coupon].reserved += 1
    shared.stock[coupon].promised += 1
    reply.expires_ms = t + offers.coupons[coupon].confirm_within_ms
    row = offers.terms[terms]
    open_reservation(table, request, int(row.budget), int(row.cost_most), int(reply.expires_ms))
    return _DONE


@kernel
def confirm_or_release(shared, request):
    """End a reservation before it lapses."""
    row = find_reservation(shared.reservations, int(request.customer), int(request.claim))
    if row == NONE or shared.reservations.rows[row].kind != _RESERVE:
        return _LAPSED
    end_reservation(shared, row, request.kind == _CONFIRM)
    return _DONE


# --- transfers --------------------------------------------------------------------------------------------------------
@kernel
def send(shared, request):
    """A coupon sets out: PENDING, for its giver has no reply before it has arrived; or why it cannot."""
    table = shared.reservations
    if request.coupon < 0 or request.coupon >= len(shared.stock):
        return _NO_COUPON
    if request.other < shared.clock[0].first or request.other >= shared.clock[0].end:
        return _WALLET_FULL  # nobody to take it in
    if find_reservation(table, int(request.customer), int(request.claim)) != NONE:
        return _NO_COUPON
    if is_table_full(table):
        return _NO_ROOM
    open_reservation(table, request, NO_BUDGET, 0, NEVER_MS)
    shared.stock[request.coupon].moving += 1
    return _PENDING


@kernel
def address_receiver(reply, request):
    """Turn the giver's pending reply into what its receiver is told, unasked."""
    reply.customer, reply.other, reply.number = request.other, request.customer, NONE
    reply.expires_ms, reply.answer = request.expires_ms, _DONE


@kernel
def answer_giver(shared, desk, request, now, number):
    """The receiver says that a coupon was taken in or that it goes back: the draft is the giver's reply. False if there
    is no such transfer."""
    table = shared.reservations
    row = find_reservation(table, int(request.other), int(request.claim))
    if row == NONE or table.rows[row].kind != _TRANSFER:
        return False
    asked = find_reply(shared.remembered, int(request.other), int(table.rows[row].request))
    reply = shared.remembered.rows[asked]
    reply.time_ms, reply.answer = now, _DONE if request.kind == _ARRIVED else _WALLET_FULL
    shared.remembered.said[asked] = number
    desk.draft[0] = reply
    stock = shared.stock[table.rows[row].coupon]
    stock.moving -= 1
    if request.kind == _ARRIVED:
        stock.arrived += 1
    close_reservation(table, row)
    return True


# --- the settlement ---------------------------------------------------------------------------------------------------
@kernel
def answer(shared, offers, reply, request, t):
    """Do what a request asks for, and find its answer."""
    if request.kind in (_CLAIM, _RESERVE):
        reply.answer = grant(shared, offers, reply, request, t)
    elif request.kind == _TRANSFER:
        reply.answer = send(shared, request)
    elif request.kind not in (_ARRIVED, _RETURNED):
        reply.answer = confirm_or_release(shared, request)
    if reply.answer not in (_DONE, _FALLBACK, _PENDING) and 0 <= request.coupon < len(shared.stock):
        shared.stock[request.coupon].refused[reply.answer] += 1


@kernel
def settle_one(shared, offers, desk, request, t, now, number):
    """Take one request. Asked for the first time it changes things, once, and is remembered."""
    asked = find_reply(shared.remembered, int(request.customer), int(request.number))
    if asked != NONE:
        repeat(shared, desk, asked, number)
        return
    reply = draft_reply(desk, request, now)
    if is_remembering_full(shared.remembered):
        reply.answer = _NO_ROOM
        say(desk, reply)
        return
    answer(shared, offers, reply, request, t)
    remember(shared.remembered, reply, number)
    if reply.answer == _PENDING:
        address_receiver(reply, request)
    elif request.kind in (_ARRIVED, _RETURNED) and not answer_giver(shared, desk, request, now, number):
        return
    hash_reply(shared, reply)
    say(desk, reply)


@entry
def settle(requests, spend, shared, offers, desk, now, number):
    """Settle a batch at `now` (ms): what the shards spent, then every request in order, then what is due.

    requests: REQUEST[n] in any order, duplicates and re-asks among them. spend: i8[budgets, len(Spend)], fen. Writes
    desk.replies and returns how many. A request is taken at its own time, not before what has already happened.
    """
    desk.said[0] = 0
    clock = shared.clock[0]
    clock.number = number
    for slot in range(len(shared.stock)):
        shared.stock[slot].arrived, shared.stock[slot].granted_before = 0, shared.stock[slot].granted
    for slot in range(len(spend)):
        add_spend(shared.funds[slot], spend[slot], now)
    sort_requests(requests, offers.coupons, desk.sorting)
    for i in range(len(requests)):
        request = requests[desk.sorting.order[i]]
        t = min(max(int(request.time_ms), int(clock.now_ms)), now)
        advance(shared, offers, t)
        settle_one(shared, offers, desk, request, t, now, number)
    advance(shared, offers, now)
    return int(desk.said[0])


# --- the bulletin -----------------------------------------------------------------------------------------------------
@kernel
def budget_open(shared, budget):
    return budget == NO_BUDGET or not is_used_up(shared.funds[budget])


@entry
def write_bulletin(bulletin, shared, offers, campaigns, channel_budgets):
    """Write in_stock and in_budget of every campaign (CAMPAIGN[slots]; channel_budgets: i2[CHANNELS])."""
    for slot in range(len(campaigns)):
        campaign = campaigns[slot]
        coupon = int(campaign.coupon)
        affordable = budget_open(shared, int(campaign.budget))
        affordable = affordable and budget_open(shared, int(channel_budgets[campaign.channel]))
        stocked = True
        if coupon != NONE:
            stocked = has_piece(shared.stock[coupon])
            terms = offers.terms[offers.coupons[coupon].terms]
            if terms.budget != NO_BUDGET and not carries(shared.funds[terms.budget], terms.cost_most):
                affordable = False
        bulletin.in_stock[slot] = 1 if stocked else 0
        bulletin.in_budget[slot] = 1 if affordable else 0
