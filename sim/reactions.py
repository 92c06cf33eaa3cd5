"""How a customer takes what was shown: click, close, mute, remind me later, complain, act, be annoyed, leave."""

import math

from engine.compiled import entry, kernel, routine
from engine.coupon_records import Answer
from engine.records import (
    FIRST_PASSIVE_CHANNEL,
    HOUR_MS,
    MINUTE_MS,
    MOMENTS_MAX,
    NEVER_MS,
    NONE,
    Channel,
    EventKind,
    Reason,
)
from sim.arrivals import annoy, annoyance_at
from sim.behaviour import plan
from sim.challenges import take_refusal, take_verdict
from sim.contacts import Cause, meet_refusal, meet_reply, meet_trouble
from sim.judged import note_receipt, note_reply
from sim.measures import (
    count_click,
    count_event,
    count_ghost,
    count_negative,
    count_shown,
    leave_annoyed,
    outcome_row,
)
from sim.model import Mark, Span, Stage
from sim.origins import is_traced, trace_of
from sim.outages import complaint_share, hear_of_it
from sim.pages import DWELL_PLACES, PLACES_PER_VIEW, VIEWS_PER_VISIT
from sim.payments import PAGE_EVENT_AFTER_MS, order_paid
from sim.population import taste
from sim.shopping import (
    CLAIM_AFTER_MS,
    pause_until_settled,
    plan_claim,
    shopper_of,
    take_claim,
    take_order,
    take_price,
    take_refund,
    take_reply,
)
from sim.streams import Draw, exponential, uniforms

_REACT, _LEAVING = int(Draw.REACT), int(Draw.LEAVING)
_CLICK, _CLOSE, _MUTE = int(EventKind.CLICK), int(EventKind.CLOSE), int(EventKind.MUTE)
_SNOOZE, _COMPLAINT, _MOMENT = int(EventKind.SNOOZE), int(EventKind.COMPLAINT), int(EventKind.MOMENT)
_PAGE_DWELL = int(EventKind.PAGE_DWELL)
_SHOWN = int(Reason.SHOWN)
_POPUP = int(Channel.POPUP)
_OUT, _GONE = int(Stage.OUT), int(Stage.GONE)
_SKIP, _ACTED, _UNBOUND = int(Mark.SKIP_ORGANIC), int(Mark.ACTED), int(Mark.UNBOUND)
_PAYMENT, _CHECKOUT, _ORDER = int(EventKind.PAYMENT), int(EventKind.CHECKOUT), int(EventKind.ORDER)
_REFUND, _TRANSFER = int(EventKind.REFUND), int(EventKind.TRANSFER)
_REDEEM, _CLAIM = int(EventKind.REDEEM), int(EventKind.CLAIM)
_ORGANIC_DUE, _FOR_COUPON = int(Mark.ORGANIC_DUE), int(Mark.FOR_COUPON)
_WAITS, _DONE = int(Answer.WAITS), int(Answer.DONE)
_DECLINED, _LOGIN = int(EventKind.PAYMENT_DECLINED), int(EventKind.LOGIN)
_CAUSE_COMPLAINT, _CAUSE_PAYMENT = int(Cause.COMPLAINT), int(Cause.PAYMENT_FAILED)
_SETTLES = int(Span.SETTLES)

TOP_UP_CAUSED = 1 << 57  # opportunities of a top-up that an act needs before it; above all generations
MOMENT_CAUSED = 1 << 51  # opportunities of calendar moments
# What an act led to has the key of what caused the act, one generation on; after so many the keys begin again.
GENERATION = 1 << 52
GENERATIONS = 32
PROBABILITY_MAX = 0.95
REACT_MIN_MS = 800
ATTENTION_MS = 30_000  # a reaction due sooner is under way
POPUP_MEAN_MS = 2_000.0
MESSAGE_MEAN_MS = 2.0 * HOUR_MS


@kernel
def cause(visitor, event):
    """Opportunity of what this event shows: its place on the page view, the act, or the moment; never the policy's."""
    kind = int(event.kind)
    if kind == _MOMENT:
        return MOMENT_CAUSED + int(event.time_ms) // MINUTE_MS * MOMENTS_MAX + int(event.moment)
    if visitor.marks & _ACTED:
        first_tops_up = TOP_UP_CAUSED if visitor.act_ms != NEVER_MS else 0
        return (int(visitor.act_key) + GENERATION) % (GENERATION * GENERATIONS) + first_tops_up
    # Each kind happens once on a page view; a log-in or a registration has none and is the visit's own.
    view = int(event.page_view) if event.page_view > 0 else int(visitor.visit) * VIEWS_PER_VISIT
    place = DWELL_PLACES + int(visitor.dwell_at) if kind == _PAGE_DWELL else kind
    return view * PLACES_PER_VIEW + place


@kernel
def appeal(model, visitor, customer, face, outcome, annoyance):
    """Probability of a click: topic × face × taste × reward, worn out by exposures and annoyance."""
    n = model.numbers[0]
    topic = model.topics[face.topic]
    p = topic.click * face.click_factor * taste(model, visitor, customer, int(face.topic))
    if topic.reward_half > 0.0:
        p *= face.reward / (face.reward + topic.reward_half)
    if outcome.snoozes > 0:
        p *= topic.snooze_return
    p *= math.exp(-n.wear_out * float(outcome.seen) - n.annoyed_click * annoyance)
    return min(p, PROBABILITY_MAX)


@kernel
def chosen_reaction(topic, face, u, p_click, complains, closes):
    """One uniform decides under every arm: clicks from the bottom, displeasure from the top."""
    if u < p_click:
        return _CLICK
    top = 1.0 - complains
    if u >= top:
        return _COMPLAINT
    if face.offers_mute:
        top -= topic.mute
        if u >= top:
            return _MUTE
    top -= min(topic.close * face.close_factor * closes, max(top - p_click, 0.0))
    if u >= top:
        return _CLOSE
    if face.offers_snooze and u >= top - topic.snooze:
        return _SNOOZE
    return NONE


@kernel
def plan_act(visitor, topic, face, slot, key, u_act, u_delay):
    """Who clicks may do what the message asks, some time later."""
    cannot = visitor.act_ms != NEVER_MS or (topic.does == _PAYMENT and visitor.marks & _UNBOUND)
    if cannot or u_act >= topic.act * face.act_factor:
        return
    visitor.act_ms = visitor.react_ms + 1_000 + int(exponential(u_delay) * topic.delay_ms)
    visitor.act_campaign = slot
    visitor.act_key = key


@kernel
def attends(visitor, decision, t):
    """Whether a customer takes this in. One thing at a time; a pop-up drives out a message still to be opened."""
    if visitor.react_ms == NEVER_MS:
        return True
    if decision.channel != _POPUP or visitor.react_ms <= t + ATTENTION_MS:
        return False
    if visitor.act_key == visitor.react_key:
        visitor.act_ms = NEVER_MS
    visitor.react_ms = NEVER_MS
    return True


@kernel
def perceive(model, crowd, visitor, customer, event, decision):
    """An exposure reaches a customer: plan the reaction and what follows from it."""
    n = model.numbers[0]
    t = int(decision.time_ms)
    slot = int(decision.campaign)
    outcome = crowd.outcomes[count_shown(crowd, model, visitor, decision)]
    face = model.faces[slot, decision.arm]
    topic = model.topics[face.topic]
    annoyance = annoyance_at(model, visitor, t)
    p_click = appeal(model, visitor, customer, face, outcome, annoyance)
    outcome.seen = min(int(outcome.seen) + 1, 30_000)
    if decision.channel < FIRST_PASSIVE_CHANNEL:
        annoy(model, visitor, t, face.attention)
    if not attends(visitor, decision, t):
        return
    key = cause(visitor, event)
    u, u_delay, u_act, u_act_delay = uniforms(model.stream, customer, _REACT, key)
    complains = complaint_share(model, topic, t)
    kind = chosen_reaction(topic, face, u, p_click, complains, 1.0 + n.annoyed_close * annoyance)
    if kind == NONE:
        return
    mean = POPUP_MEAN_MS if decision.channel == _POPUP else MESSAGE_MEAN_MS
    visitor.react_kind = kind
    visitor.react_ms = t + REACT_MIN_MS + int(exponential(u_delay) * mean)
    visitor.react_campaign = slot
    visitor.react_exposure = decision.exposure
    visitor.react_key = key
    if decision.channel == _POPUP and visitor.stage != _OUT:
        # A pop-up is dealt with before the page is left.
        visitor.until_ms = max(int(visitor.until_ms), int(visitor.react_ms) + 300)
    if kind == _CLICK:
        plan_act(visitor, topic, face, slot, key, u_act, u_act_delay)


@kernel
def leave_for_good(crowd, model, visitor, t):
    visitor.stage = _GONE
    visitor.react_ms = NEVER_MS
    visitor.act_ms = NEVER_MS
    visitor.organic_ms = NEVER_MS
    visitor.next_visit_ms = NEVER_MS
    visitor.marks &= ~_SKIP
    leave_annoyed(crowd, model, t)


@kernel
def resent(model, crowd, visitor, customer, event, t):
    """A negative reaction: it annoys, and the annoyed may leave for good."""
    n = model.numbers[0]
    count_negative(crowd, model, visitor, event, t)
    annoy(model, visitor, t, n.closing_annoys)
    u, _, _, _ = uniforms(model.stream, customer, _LEAVING, int(visitor.react_key))
    if u < n.annoyed_leave * annoyance_at(model, visitor, t):
        leave_for_good(crowd, model, visitor, t)


@kernel
def voiced(model, crowd, visitor, customer, event, t):
    """What having reacted does to the customer."""
    kind = int(event.kind)
    if kind == _CLICK:
        count_click(crowd, model, visitor, event, t)
        slot = int(event.campaign)
        coupon = int(model.campaigns[slot].coupon)
        if coupon != NONE and model.campaigns[slot].direct == 0 and len(crowd.shoppers) > 0:
            plan_claim(shopper_of(crowd, customer), coupon, slot, t + CLAIM_AFTER_MS)
    elif kind in (_CLOSE, _MUTE, _COMPLAINT):
        resent(model, crowd, visitor, customer, event, t)
        if kind == _COMPLAINT:
            meet_trouble(model, crowd, customer, _CAUSE_COMPLAINT, t)
    elif kind == _SNOOZE:
        outcome = crowd.outcomes[outcome_row(crowd, visitor, int(event.campaign))]
        outcome.snoozes = min(int(outcome.snoozes) + 1, 127)


# --- answers ----------------------------------------------------------------------------------------------------------
@kernel
def wait(model, crowd, visitor, customer, event):
    """The event was not taken; it is sent again after the settlement."""
    shopper = shopper_of(crowd, customer)
    if event.kind == _REFUND:
        shopper.refund_ms = crowd.span[_SETTLES]
        return
    if event.kind == _TRANSFER:
        shopper.give_ms = crowd.span[_SETTLES]
        return
    if event.kind == _REDEEM:
        shopper.collect_ms = crowd.span[_SETTLES]
        return
    if event.kind == _ORDER:
        shopper.order -= 1
    pause_until_settled(crowd, visitor, PAGE_EVENT_AFTER_MS)


@routine
def take_answer(model, crowd, visitor, customer, event, inbox, t):
    """What the customer asked for has been answered."""
    shopper, receipt = shopper_of(crowd, customer), inbox.receipts[event.ask]
    if is_traced(crowd):
        kind, ask = int(trace_of(crowd, customer).kind), inbox.asks[event.ask]
        note_receipt(crowd.verdicts, kind, model.coupons, model.terms, event, ask, receipt)
    if is_traced(crowd) and take_refusal(model, crowd, visitor, customer, event, receipt, t, PAGE_EVENT_AFTER_MS):
        return
    if event.kind == _CHECKOUT:
        take_price(model, crowd, visitor, shopper, customer, event, inbox, t, PAGE_EVENT_AFTER_MS)
    elif event.kind == _ORDER:
        take_order(visitor, shopper, receipt)
    elif event.kind == _PAYMENT:
        if receipt.answer == _DONE:
            order_paid(model, crowd, visitor, customer, receipt, t)
        else:
            visitor.marks &= ~(_ORGANIC_DUE | _FOR_COUPON)
    elif event.kind == _CLAIM:
        take_claim(shopper, inbox.asks[event.ask], receipt)
        meet_refusal(model, crowd, customer, int(receipt.answer), t)
    elif event.kind == _REFUND:
        take_refund(model, crowd, visitor, shopper, receipt, t)


@kernel
def absorb_one(model, crowd, visitor, customer, event, inbox, decision):
    """A customer learns what their event led to; the next event is planned."""
    t = int(decision.time_ms)
    if decision.answer == _WAITS:
        wait(model, crowd, visitor, customer, event)
        plan(model, crowd, visitor, customer, t)
        return
    count_event(crowd, model, visitor, event, decision)
    if event.kind == _DECLINED:
        meet_trouble(model, crowd, customer, _CAUSE_PAYMENT, t)
    elif event.kind == _LOGIN:
        hear_of_it(model, crowd, customer, t)
    if event.exposure != NONE:
        voiced(model, crowd, visitor, customer, event, t)
    if event.ask != NONE:
        take_answer(model, crowd, visitor, customer, event, inbox, t)
    if decision.reason == _SHOWN:
        perceive(model, crowd, visitor, customer, event, decision)
    plan(model, crowd, visitor, customer, t)


@kernel
def absorb(model, crowd, events, inbox, decisions, ghosts):
    """Give a wave's decisions (DECISION[n], row by row with EVENT[n]) and ghosts back to the customers."""
    first = int(crowd.first[0])
    for i in range(len(ghosts)):
        count_ghost(crowd, crowd.visitors[ghosts[i].customer - first], ghosts[i])
    for i in range(len(events)):
        customer = int(events[i].customer)
        absorb_one(model, crowd, crowd.visitors[customer - first], customer, events[i], inbox, decisions[i])


@entry
def absorb_replies(model, crowd, replies, t):
    """Give the Ledger's replies (REPLY[n], customers of this cohort) to the customers; their plans may change."""
    first = int(crowd.first[0])
    for i in range(len(replies)):
        customer = int(replies[i].customer)
        visitor = crowd.visitors[customer - first]
        take_reply(model, crowd, shopper_of(crowd, customer), customer, replies[i], t)
        meet_reply(model, crowd, customer, replies[i], t)
        if is_traced(crowd):
            kind = int(trace_of(crowd, customer).kind)
            note_reply(crowd.verdicts, kind, model.coupons, model.terms, replies[i])
            take_verdict(model, crowd, customer, replies[i], t)
        plan(model, crowd, visitor, customer, t)
