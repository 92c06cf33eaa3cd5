"""One settlement at the Ledger: requests in one order, one after the other, so that nothing is ever oversold."""

from typing import NamedTuple

import numpy as np

from engine.breaker_records import Breakers
from engine.compiled import entry, kernel, routine
from engine.coupon_records import NO_BUDGET, Answer, RequestKind
from engine.fraud_records import Verdict
from engine.records import NONE
from engine.rules.breaker import count_claim, judge_breakers, next_judged
from engine.rules.budgets import add_spend, carries, is_used_up, release_reserve
from engine.rules.grants import confirm_or_release, end_reservation, grant, send
from engine.rules.listings import take_listing
from engine.rules.replies import address_receiver, draft_reply, repeat, say, say_marks, say_new
from engine.rules.requests import (
    Remembered,
    Sorting,
    find_reply,
    is_remembering_full,
    remember,
    sort_requests,
)
from engine.rules.reservations import Reservations, close_reservation, find_reservation, first_expiry
from engine.rules.reviews import decide_review, end_review
from engine.rules.stock import has_piece, release_ration
from engine.rules.verdicts import Found, Fraud, weigh

_DONE, _PENDING, _FALLBACK = int(Answer.DONE), int(Answer.PENDING), int(Answer.FALLBACK)
_NO_ROOM, _DENIED, _WALLET_FULL = int(Answer.NO_ROOM), int(Answer.DENIED), int(Answer.WALLET_FULL)
_IN_REVIEW = int(Answer.IN_REVIEW)
_CLAIM, _TRANSFER, _RESERVE = int(RequestKind.CLAIM), int(RequestKind.TRANSFER), int(RequestKind.RESERVE)
_ARRIVED, _RETURNED = int(RequestKind.ARRIVED), int(RequestKind.RETURNED)
_OBSERVED, _REVIEWED, _LISTED = int(RequestKind.OBSERVED), int(RequestKind.REVIEWED), int(RequestKind.LISTED)
_DENY = int(Verdict.DENY)

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
    fraud: Fraud
    breakers: Breakers


class Offers(NamedTuple):
    """What the policy says of coupons, budgets, campaigns and fraud, by slot."""

    coupons: np.ndarray  # COUPON[...]
    terms: np.ndarray  # TERMS[...]
    budgets: np.ndarray  # BUDGET[...]
    campaigns: np.ndarray  # CAMPAIGN[...]
    days: np.ndarray  # DAY[...]
    rules: np.ndarray  # RULE[...]
    ranges: np.ndarray  # RANGE[...]
    listed: np.ndarray  # LISTED[...]
    at_work: np.ndarray  # i8[...]: slots of the Ledger's rules that are not off, ascending
    breakers: np.ndarray  # BREAKER[...]


class Desk(NamedTuple):
    """Scratch of one settlement, and its replies."""

    sorting: Sorting
    draft: np.ndarray  # REPLY[2]: the request's, and one that a review causes
    replies: np.ndarray  # REPLY[...]
    said: np.ndarray  # i8[1]: how many
    found: Found


# --- time -------------------------------------------------------------------------------------------------------------
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
def run_out(shared, offers, desk, row, due, now):
    """Nobody confirmed, or decided: a reservation lapses, a review ends in the customer's favour."""
    if shared.reservations.rows[row].kind == _REVIEWED:
        end_review(shared, offers, desk, row, True, due, now)
    else:
        end_reservation(shared, row, False)


@routine
def advance(shared, offers, desk, t, now):
    """Let run out and tick what is due by t, in order of time; at one instant what runs out comes first, and breakers
    are judged last."""
    clock = shared.clock[0]
    while True:
        due, next_tick = first_expiry(shared.reservations), int(clock.ticked_ms + clock.tick_ms)
        minute = next_judged(shared.breakers)
        if due <= t and due <= next_tick and due <= minute:
            run_out(shared, offers, desk, int(shared.reservations.heap[0]), due, now)
        elif next_tick <= t and next_tick <= minute:
            clock.ticked_ms = next_tick
            tick(shared, offers, next_tick)
        elif minute <= t:
            judge_breakers(shared.breakers, offers.breakers, minute)
        else:
            break


@kernel
def is_due(shared, t):
    clock = shared.clock[0]
    ticks = clock.ticked_ms + clock.tick_ms <= t or next_judged(shared.breakers) <= t
    return ticks or first_expiry(shared.reservations) <= t


# --- transfers --------------------------------------------------------------------------------------------------------
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
def answer(shared, offers, desk, reply, request, verdict, t, now):
    """Do what a request asks for, and find its answer."""
    if request.kind in (_CLAIM, _RESERVE):
        reply.answer = grant(shared, offers, desk.found, reply, request, verdict, t)
    elif request.kind == _TRANSFER:
        reply.answer = send(shared, request, verdict, t)
    elif request.kind == _REVIEWED:
        reply.answer = decide_review(shared, offers, desk, request, t, now)
    elif request.kind == _LISTED:
        answer_listing(shared, reply, request)
    elif request.kind not in (_ARRIVED, _RETURNED):
        reply.answer = confirm_or_release(shared, request)
    refused = reply.answer not in (_DONE, _FALLBACK, _PENDING, _IN_REVIEW)
    if refused and 0 <= request.coupon < len(shared.stock):
        shared.stock[request.coupon].refused[reply.answer] += 1


@kernel
def answer_listing(shared, reply, request):
    """Somebody or something is on a list now; the customer's shard is told which."""
    reply.expires_ms = request.expires_ms
    if not take_listing(shared.fraud.decided, request):
        reply.answer = _NO_ROOM
    elif request.verdict == _DENY:
        reply.answer = _DENIED


@kernel
def settle_one(shared, offers, desk, request, t, now, number):
    """Take one request. Asked for the first time it changes things, once, and is remembered."""
    observed = request.kind == _OBSERVED
    asked = NONE if observed else find_reply(shared.remembered, int(request.customer), int(request.number))
    if asked != NONE:
        repeat(shared, desk, asked, number)
        return
    reply = draft_reply(desk, request, now)
    if not observed and is_remembering_full(shared.remembered):
        reply.answer = _NO_ROOM
        say(desk, reply)
        return
    found, verdict = desk.found, 0
    if request.counted | request.judging | request.verdict | request.fired:
        weigh(shared.fraud, offers, request, int(shared.clock[0].first), found, t)
        verdict, reply.fired, reply.rule = int(found.verdict[0]), found.fired[0], found.verdict[1]
    else:
        found.fired[1] = 0
    if not observed:
        carry_out(shared, offers, desk, reply, request, verdict, t, now, number)
    if found.fired[1]:
        say_marks(shared, offers, desk, request, now)


@kernel
def carry_out(shared, offers, desk, reply, request, verdict, t, now, number):
    """Do what a request asks for under a verdict, remember and say it."""
    answer(shared, offers, desk, reply, request, verdict, t, now)
    count_claim(shared.breakers, offers.terms, request, reply, t)
    remember(shared.remembered, reply, number)
    if reply.answer == _PENDING:
        address_receiver(reply, request)
    elif request.kind in (_ARRIVED, _RETURNED) and not answer_giver(shared, desk, request, now, number):
        return
    say_new(shared, offers, desk, reply)


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
        if is_due(shared, t):
            advance(shared, offers, desk, t, now)
        clock.now_ms = max(int(clock.now_ms), t)
        settle_one(shared, offers, desk, request, t, now, number)
    advance(shared, offers, desk, now, now)
    clock.now_ms = max(int(clock.now_ms), now)
    return int(desk.said[0])


# --- the bulletin -----------------------------------------------------------------------------------------------------
@kernel
def budget_open(funds, budget):
    return budget == NO_BUDGET or not is_used_up(funds[budget])


@entry
def write_bulletin(bulletin, stock, funds, coupons, terms_rows, campaigns, channel_budgets):
    """Write in_stock and in_budget of every campaign (CAMPAIGN[slots]; channel_budgets: i2[CHANNELS]). Only what is
    looked at is passed: to hand over all that customers share costs more than the rest."""
    for slot in range(len(campaigns)):
        campaign = campaigns[slot]
        coupon = int(campaign.coupon)
        affordable = budget_open(funds, int(campaign.budget))
        affordable = affordable and budget_open(funds, int(channel_budgets[campaign.channel]))
        stocked = True
        if coupon != NONE:
            stocked = has_piece(stock[coupon])
            terms = terms_rows[coupons[coupon].terms]
            if terms.budget != NO_BUDGET and not carries(funds[terms.budget], terms.cost_most):
                affordable = False
        bulletin.in_stock[slot] = 1 if stocked else 0
        bulletin.in_budget[slot] = 1 if affordable else 0
