"""One event of one customer: observe, test the candidates, arbitrate, answer."""

from typing import NamedTuple

import numpy as np

from engine.compiled import kernel
from engine.coupon_records import CHECKOUT_COUPONS_MAX, OWNED, Answer, Outbox, Spend, Wallets
from engine.days import day_index
from engine.fraud_records import SETTLED, Watch
from engine.records import (
    CAMPAIGNS_MAX,
    CUSTOMER,
    EVENT_KINDS,
    NONE,
    RING,
    Cell,
    EventKind,
    Reaction,
    Reason,
    records,
)
from engine.rules.asks import answer_ask, count_event, is_asking, must_wait, put_off
from engine.rules.case import open_case, trace
from engine.rules.checkout_desk import Desk, empty_desk
from engine.rules.claims import claim
from engine.rules.experiments import assigned_arm, held_out, mix64
from engine.rules.fatigue import end_snooze, packed_exposure
from engine.rules.judge import judge, tell
from engine.rules.observe import observe
from engine.rules.pulse import count_exposure, count_payment, count_refusal
from engine.rules.ranking import score, winner
from engine.rules.reactions import convert, react, tally_cell
from engine.rules.segments import segment
from engine.rules.triggers import candidate_bounds, first_refusal, waits_for_dwell
from engine.rules.wallets import lapse

_SHOWN, _NO_CANDIDATE = int(Reason.SHOWN), int(Reason.NO_CANDIDATE)
_LOST, _HELD_OUT = int(Reason.LOST_ARBITRATION), int(Reason.HELD_OUT)
_LOGIN, _MOMENT, _CLAIM = int(EventKind.LOGIN), int(EventKind.MOMENT), int(EventKind.CLAIM)
_FIRST_REACTION, _LAST_REACTION = int(EventKind.CLICK), int(EventKind.NOT_SHOWN)
_FIRST_USE = int(EventKind.FIRST_USE)
_GHOST = int(Reaction.GHOST)
_WAITS, _PENDING, _EXPOSURE_COST = int(Answer.WAITS), int(Answer.PENDING), int(Spend.EXPOSURES)
_C_EXPOSURES, _C_GHOSTS = int(Cell.EXPOSURES), int(Cell.GHOSTS)
UNKNOWN_SEGMENT = -2


class Shard(NamedTuple):
    """The arrays of one shard. Customers are consecutive: row = customer - first."""

    customers: np.ndarray  # CUSTOMER[n]
    rings: np.ndarray  # i8[n, RING]: packed exposures
    first: np.ndarray  # i8[1]: id of the first customer
    passed: np.ndarray  # i8[CAMPAIGNS_MAX]: scratch, slots that passed all tests of the event at hand
    scores: np.ndarray  # i8[CAMPAIGNS_MAX]: scratch
    wallets: Wallets
    outbox: Outbox
    desk: Desk  # scratch of a checkout
    owned: np.ndarray  # OWNED[CHECKOUT_COUPONS_MAX]: scratch
    watch: Watch


def empty_shard(first: int, count: int, wallets: Wallets, outbox: Outbox, watch: Watch) -> Shard:
    return Shard(
        records(count, CUSTOMER),
        np.zeros((count, RING), np.int64),
        np.array([first], np.int64),
        np.zeros(CAMPAIGNS_MAX, np.int64),
        np.zeros(CAMPAIGNS_MAX, np.int64),
        wallets,
        outbox,
        empty_desk(),
        records(CHECKOUT_COUPONS_MAX, OWNED),
        watch,
    )


@kernel
def taken_at(customer, event, settled_ms):
    """Time the event is taken at and whether it is late: older than the customer's latest. What waited for a
    settlement is not late for that."""
    late = event.time_ms < customer.latest_ms
    if not late:
        customer.latest_ms = event.time_ms
    return max(int(customer.latest_ms), settled_ms), int(late)


@kernel
def fill(decision, event, t, late):
    """The answer while nothing is a candidate."""
    decision.time_ms = t
    decision.customer = event.customer
    decision.page_view = event.page_view
    decision.sequence = event.sequence
    decision.exposure = NONE
    decision.campaign = NONE
    decision.kind = event.kind
    decision.page = event.page
    decision.arm = NONE
    decision.reason = _NO_CANDIDATE
    decision.channel = NONE
    decision.late = late
    decision.answer = 0
    decision.credited = NONE


@kernel
def answer(decision, tables, slot, reason):
    decision.campaign = slot
    decision.reason = reason
    decision.channel = tables.campaigns[slot].channel


@kernel
def enter_ring(customer, ring, decision, tables, slot, t, reaction):
    """Record an exposure or a ghost under the customer's next number."""
    campaign = tables.campaigns[slot]
    number = int(customer.exposures)
    ring[number % RING] = packed_exposure(t, slot, campaign.channel, reaction)
    customer.exposures = number + 1
    end_snooze(customer, slot, t)
    decision.exposure = number
    decision.arm = assigned_arm(campaign, tables.policy[0].replication, int(decision.customer))


@kernel
def test_candidates(shard, customer, ring, event, decision, tables, bulletin, tallies, day_number, t):
    """Test every candidate; those that pass go to shard.passed. Returns how many, and the segment if one was needed."""
    day = tables.days[day_number]
    pages = (len(tables.triggers) - 1) // EVENT_KINDS - 1
    start, end = candidate_bounds(event, tables, pages)
    source = tables.moment_candidates if event.kind == _MOMENT else tables.candidates
    count, furthest, seg = 0, _NO_CANDIDATE, UNKNOWN_SEGMENT
    for place in range(start, end):
        slot = int(source[place])
        if waits_for_dwell(tables.campaigns[slot], event):
            continue
        reason = first_refusal(slot, customer, ring, event, tables, bulletin, day, t)
        if reason == _SHOWN:
            if seg == UNKNOWN_SEGMENT:
                seg = segment(customer, event, tables, day, t)
            shard.passed[count] = slot
            shard.scores[count] = score(slot, customer, seg, tables, bulletin)
            count += 1
            continue
        tallies.waterfall[day_number, slot, reason] += 1
        if reason > furthest:
            furthest = reason
            answer(decision, tables, slot, reason)
    return count, seg


@kernel
def lose_rest(shard, count, decision, tables, tallies, day_number):
    """Those that passed and were not reached have lost arbitration."""
    for i in range(count):
        slot = int(shard.passed[i])
        if slot == NONE:
            continue
        tallies.waterfall[day_number, slot, _LOST] += 1
        if decision.reason not in (_SHOWN, _LOST, _HELD_OUT):
            answer(decision, tables, slot, _LOST)


@kernel
def ghost(customer, ring, decision, left, tables, tallies, day_number, slot, seg, t):
    """Record a held-out winner; the decision speaks of the first declared."""
    left[0] = decision
    row = left[0]
    answer(row, tables, slot, _HELD_OUT)
    enter_ring(customer, ring, row, tables, slot, t, _GHOST)
    tallies.waterfall[day_number, slot, _HELD_OUT] += 1
    tally_cell(tallies, tables, day_number, slot, int(decision.customer), seg, _C_GHOSTS, 1)
    if decision.reason != _HELD_OUT or tables.declared[slot] < tables.declared[decision.campaign]:
        answer(decision, tables, slot, _HELD_OUT)
        decision.exposure = row.exposure
        decision.arm = row.arm


@kernel
def spend_exposure(tables, tallies, campaign):
    """An exposure is paid from its campaign's budget and counts against its channel's."""
    if campaign.cost == 0:
        return
    if campaign.budget != NONE:
        tallies.spend[campaign.budget, _EXPOSURE_COST] += campaign.cost
    budget = tables.channel_budgets[campaign.channel]
    if budget != NONE and budget != campaign.budget:
        tallies.spend[budget, _EXPOSURE_COST] += campaign.cost


@kernel
def claim_directly(shard, customer, event, decision, tables, tallies, day_number, slot, t):
    """An exposure claims its campaign's coupon; fraud rules count and judge it as any claim."""
    row, coupon = int(event.customer - shard.first[0]), int(tables.campaigns[slot].coupon)
    waiting, watched = int(shard.outbox.waiting[0]), len(shard.watch.heads) > 0
    lapse(shard.wallets, shard.watch, row, tables, tallies, t)
    if watched:
        open_case(shard.watch, _CLAIM, slot).coupon = coupon
        if not decision.late:
            judge(shard, row, customer, event, tables, tallies, day_number, t)
    day = tables.days[day_number]
    found, _ = claim(shard.wallets, shard.outbox, row, coupon, slot, customer, event, tables, day, t)
    tallies.answers[day_number, coupon, found] += 1
    if found != _PENDING:
        count_refusal(tallies, slot, t)
    if watched:
        tell(shard, row, event, waiting, tables, t)


@kernel
def show(shard, customer, ring, event, decision, tables, tallies, day_number, slot, seg, t):
    """The winner is exposed; a campaign that issues its coupon directly claims it for the customer."""
    campaign = tables.campaigns[slot]
    answer(decision, tables, slot, _SHOWN)
    enter_ring(customer, ring, decision, tables, slot, t, 0)
    tallies.waterfall[day_number, slot, _SHOWN] += 1
    tally_cell(tallies, tables, day_number, slot, int(decision.customer), seg, _C_EXPOSURES, 1)
    spend_exposure(tables, tallies, campaign)
    count_exposure(tallies, tables, slot, t)
    if campaign.direct:
        claim_directly(shard, customer, event, decision, tables, tallies, day_number, slot, t)


@kernel
def arbitrate(shard, customer, ring, event, decision, ghosts, tables, tallies, day_number, count, seg, t):
    """Give the slot to the best that is not held out; returns how many ghosts were left in `ghosts`."""
    held = 0
    while True:
        best = winner(shard.passed, shard.scores, count, tables)
        if best == NONE:
            return held
        slot = int(shard.passed[best])
        shard.passed[best] = NONE
        if not held_out(tables.campaigns[slot], tables.policy[0], int(decision.customer)):
            show(shard, customer, ring, event, decision, tables, tallies, day_number, slot, seg, t)
            return held
        ghost(customer, ring, decision, ghosts[held:], tables, tallies, day_number, slot, seg, t)
        held += 1
        if tables.campaigns[slot].next_best == 0:
            return held


@kernel
def learn(customer, ring, event, decision, tables, tallies, day_number, t):
    """Fold the event in: facts, reactions, goals."""
    day = tables.days[day_number]
    first_use = observe(customer, event, day, t)
    kind = int(event.kind)
    count_payment(customer, ring, event, tables, tallies, t)
    if kind != _MOMENT and customer.exposures > 0:
        if _FIRST_REACTION <= kind <= _LAST_REACTION:
            seg = segment(customer, event, tables, day, t)
            react(customer, ring, event, tables, tallies, day_number, seg, t)
        elif tables.goals[kind]:
            seg = segment(customer, event, tables, day, t)
            decision.credited = convert(customer, ring, event, kind, tables, tallies, day_number, seg, t)
            if first_use:
                credited = convert(customer, ring, event, _FIRST_USE, tables, tallies, day_number, seg, t)
                if credited != NONE:
                    decision.credited = credited


@kernel
def hash_decision(customer, decision, tables):
    """Fold the decision into the customer's running hash: the digest sees every decision in order."""
    h = customer.decisions_hash ^ np.uint64(decision.time_ms)
    h = mix64(h) ^ np.uint64((int(decision.sequence) << 20) | (int(decision.exposure) + 1))
    h = mix64(h) ^ np.uint64(((int(decision.arm) + 1) << 8) | int(decision.reason))
    if decision.campaign != NONE:
        h = mix64(h) ^ tables.campaigns[decision.campaign].name_hash
    customer.decisions_hash = mix64(h)


@kernel
def hash_receipt(customer, receipt):
    h = mix64(customer.decisions_hash ^ np.uint64((int(receipt.answer) << 32) | (int(receipt.number) + 1)))
    h = mix64(h ^ np.uint64(np.int64(receipt.paid)))
    customer.decisions_hash = mix64(h ^ np.uint64(np.int64(receipt.discount)))


@kernel
def respond(shard, customer, ring, event, decision, ghosts, tables, bulletin, tallies, day_number, t):
    """What an event leads to: facts, then candidates, then the winner. Returns how many ghosts were left."""
    learn(customer, ring, event, decision, tables, tallies, day_number, t)
    count, seg = test_candidates(shard, customer, ring, event, decision, tables, bulletin, tallies, day_number, t)
    if count == 0:
        return 0
    held = arbitrate(shard, customer, ring, event, decision, ghosts, tables, tallies, day_number, count, seg, t)
    lose_rest(shard, count, decision, tables, tallies, day_number)
    return held


@kernel
def decide_one(shard, event, inbox, decision, ghosts, tables, bulletin, tallies):
    """Decide one event. Writes `decision`, leaves ghosts in `ghosts`; returns how many ghosts."""
    row = int(event.customer - shard.first[0])
    customer = shard.customers[row]
    ring = shard.rings[row]
    asks = is_asking(event) and len(shard.wallets.open) > 0  # without coupons there is nothing to ask for
    if asks and must_wait(shard.wallets, row, event):
        fill(decision, event, int(event.time_ms), 0)
        decision.answer = _WAITS
        put_off(inbox.receipts[event.ask])
        return 0
    t, late = taken_at(customer, event, int(shard.watch.clock[SETTLED]))
    day_number = day_index(tables.days, t)
    fill(decision, event, t, late)
    counts, held = True, 0
    watched = len(shard.watch.heads) > 0
    if watched:
        trace(shard.watch, event, inbox.origins)
    if asks:
        counts = answer_ask(shard, row, customer, event, inbox, tables, tallies, day_number, t, late)
        decision.answer = inbox.receipts[event.ask].answer
    elif watched:
        count_event(shard, row, customer, event, inbox, tables, day_number, t, late)
    if counts:
        held = respond(shard, customer, ring, event, decision, ghosts, tables, bulletin, tallies, day_number, t)
    if event.kind == _LOGIN:
        customer.login_ms = t
    customer.sequence = event.sequence
    tallies.decisions[day_number, decision.reason] += 1
    hash_decision(customer, decision, tables)
    if asks:
        hash_receipt(customer, inbox.receipts[event.ask])
    return held


@kernel
def decide(shard, events, inbox, decisions, ghosts, tables, bulletin, tallies):
    """Decide a batch in order.

    events: EVENT[n]; inbox: what they ask for, receipts written; decisions: DECISION[n], written; ghosts:
    DECISION[≥ n × most candidates of one event], written. Returns how many ghosts were written.
    """
    held = 0
    for i in range(len(events)):
        held += decide_one(shard, events[i], inbox, decisions[i], ghosts[held:], tables, bulletin, tallies)
    return held
