"""What one customer does next: a visit as a walk over pages, purchases, and acts that messages induce."""

from engine.compiled import kernel
from engine.records import NEVER_MS, NONE, EventKind
from sim.absences import is_away, lose_touch
from sim.arrivals import begin_purchasing, first_use_at, plan_visit
from sim.challenges import pass_challenge
from sim.measures import count_day, count_dwell, count_entry, count_move, count_visit
from sim.model import Daily, Mark, Stage
from sim.origins import hunts, is_declined, is_traced, log_in_fails, settle_whereabouts, trace_of, write_origin
from sim.outages import lose_act, lose_payment, payment_fails
from sim.pages import PURCHASE_VISITS, page_after, return_visit, stay_ms, view_key, write
from sim.payments import PAGE_EVENT_AFTER_MS, after_organic, induced_payment, maybe_top_up, organic_payment, top_up
from sim.population import purchase_amount
from sim.shopping import (
    ask_again,
    ask_price,
    begin_basket,
    claim_listed,
    errand_ms,
    pay_for_order,
    run_errand,
    shopper_of,
)
from sim.streams import Draw, uniforms
from sim.worth import protect

_LOGIN, _PAGE_VIEW, _PAGE_DWELL = int(EventKind.LOGIN), int(EventKind.PAGE_VIEW), int(EventKind.PAGE_DWELL)
_PAGE_LEAVE, _PAYMENT, _TOP_UP = int(EventKind.PAGE_LEAVE), int(EventKind.PAYMENT), int(EventKind.TOP_UP)
_REGISTER, _CLICK = int(EventKind.REGISTER), int(EventKind.CLICK)
_BALANCE_QUERY = int(EventKind.BALANCE_QUERY)
_LOGIN_FAILED, _PAYMENT_DECLINED = int(EventKind.LOGIN_FAILED), int(EventKind.PAYMENT_DECLINED)
_CHALLENGE_PASSED = int(EventKind.CHALLENGE_PASSED)
_OUT, _ENTERING, _ON_PAGE = int(Stage.OUT), int(Stage.ENTERING), int(Stage.ON_PAGE)
_JOINING, _GONE = int(Stage.JOINING), int(Stage.GONE)
_USED, _PREPAID, _SKIP = int(Mark.USED), int(Mark.PREPAID), int(Mark.SKIP_ORGANIC)
_EVENT_DONE, _ORGANIC_DUE, _DROPPED = int(Mark.PAGE_EVENT_DONE), int(Mark.ORGANIC_DUE), int(Mark.DROPPED)
_PAGE, _TOP_UP_DRAW = int(Draw.PAGE), int(Draw.TOP_UP)
_ACTED = int(Mark.ACTED)
_AT_PAYMENT, _INDUCED_AMOUNT = int(Draw.AT_PAYMENT), int(Draw.INDUCED_AMOUNT)
_LOST = int(Daily.LOST_PAYMENTS)
_ADDED, _FORWARD, _SWITCHED = (
    int(Daily.INDUCED_ADDED),
    int(Daily.INDUCED_BROUGHT_FORWARD),
    int(Daily.INDUCED_SWITCHED),
)
_BILL_VIEWED, _FEATURE_USED = int(EventKind.BILL_VIEWED), int(EventKind.FEATURE_USED)
_CARD_BOUND, _INSTALMENT = int(EventKind.CARD_BOUND), int(EventKind.INSTALMENT)
_CLAIM, _CHECKOUT, _ORDER = int(EventKind.CLAIM), int(EventKind.CHECKOUT), int(EventKind.ORDER)
_FOR_COUPON = int(Mark.FOR_COUPON)
_UNBOUND, _BIND = int(Mark.UNBOUND), int(Draw.BIND)
_PLAN = int(Draw.INSTALMENT)
_STAY, _ENTRY, _KIND, _REVIVAL = int(Draw.STAY), int(Draw.ENTRY), int(Draw.KIND), int(Draw.REVIVAL)
_TOP_UPS, _BILLS_VIEWED = int(Daily.TOP_UPS), int(Daily.BILLS_VIEWED)
_FEATURES_USED, _CARDS_BOUND = int(Daily.FEATURES_USED), int(Daily.CARDS_BOUND)

NEXT_PAGE_AFTER_MS = 700
ENTRY_AFTER_MS = 900
LOG_IN_AGAIN_MS = 6_000


# --- when the next event is due ---------------------------------------------------------------------------------------
@kernel
def next_dwell_ms(model, visitor):
    """When the next of the policy's dwells is reached on this page view."""
    if visitor.dwell_at >= len(model.dwells):
        return NEVER_MS
    t = visitor.entered_ms + model.dwells[visitor.dwell_at]
    return t if t < visitor.until_ms else NEVER_MS


@kernel
def page_event_ms(model, visitor):
    kind = model.page_event[visitor.page]
    if visitor.marks & _EVENT_DONE or kind == 0:
        return NEVER_MS
    if kind in (_PAYMENT, _CHECKOUT, _ORDER) and visitor.marks & (_ORGANIC_DUE | _FOR_COUPON) == 0:
        return NEVER_MS
    return visitor.entered_ms + PAGE_EVENT_AFTER_MS


@kernel
def plan(model, crowd, visitor, customer, now):
    """Set when this customer's next event is due."""
    due = min(int(visitor.react_ms), int(visitor.act_ms))
    if len(crowd.shoppers) > 0:
        shopper = shopper_of(crowd, customer)
        due = min(due, int(errand_ms(shopper)))
        if visitor.stage == _OUT:
            due = min(due, int(shopper.use_ms))
    if is_traced(crowd):
        due = min(due, int(trace_of(crowd, customer).challenge_ms))
    if visitor.stage == _GONE:
        due = NEVER_MS
    elif visitor.stage == _OUT:
        due = min(due, int(visitor.next_visit_ms), int(visitor.organic_ms))
    elif visitor.stage == _ENTERING:
        due = min(due, int(visitor.until_ms))
    else:
        due = min(due, int(visitor.until_ms), int(next_dwell_ms(model, visitor)), int(page_event_ms(model, visitor)))
    visitor.due_ms = max(due, now)


# --- visits -----------------------------------------------------------------------------------------------------------
@kernel
def begin_visit(model, crowd, visitor, customer, visit, flow):
    """The app is opened: choose the first page and the city it is opened from."""
    visitor.visit = visit
    visitor.depth = 0
    visitor.flow = flow
    visitor.page = NONE
    visitor.stage = _ENTERING
    visitor.until_ms = visitor.due_ms + ENTRY_AFTER_MS
    if not is_traced(crowd):
        _, _, u, v = uniforms(model.stream, customer, _ENTRY, visit)
        visitor.city = visitor.home_city
        if u < model.numbers[0].travel and len(model.cities) > 1:
            visitor.city = (int(visitor.home_city) + 1 + int(v * (len(model.cities) - 1))) % len(model.cities)
    count_visit(crowd, visitor, model, int(visitor.due_ms))
    if flow > 0:
        visitor.page = int(model.purchase_path[0])
    else:
        visitor.page = page_after(model, visitor, customer)
    count_entry(crowd, int(visitor.page))


@kernel
def binds(model, visitor, customer):
    """Whether a customer who sees the page for it binds the card."""
    if visitor.marks & _UNBOUND == 0:
        return False
    u, _, _, _ = uniforms(model.stream, customer, _BIND, view_key(visitor))
    return u < model.numbers[0].binds_at_visit


@kernel
def takes_instalments(model, visitor, customer):
    """Whether a customer who sees the page for it takes an instalment plan of their own accord."""
    u, _, _, _ = uniforms(model.stream, customer, _PLAN, view_key(visitor))
    return u < model.numbers[0].instalment_at_view


@kernel
def bind_card(model, crowd, visitor, customer, t):
    """The card can pay from now on; its first use has its own waiting time."""
    if visitor.marks & _UNBOUND == 0:
        return
    visitor.marks &= ~_UNBOUND
    visitor.organic_ms = first_use_at(model, customer, t)
    count_day(crowd, model, t, _CARDS_BOUND, 1)


@kernel
def enter_page(model, crowd, visitor, customer, event):
    """The page view that ENTERING was waiting for."""
    visitor.depth += 1
    visitor.stage = _ON_PAGE
    visitor.entered_ms = visitor.due_ms
    visitor.dwell_at = 0
    visitor.marks &= ~_EVENT_DONE
    if is_traced(crowd):
        trace_of(crowd, customer).payment_tries = 0
    visitor.until_ms = visitor.due_ms + stay_ms(model, visitor, customer)
    kind = model.page_event[visitor.page]
    if kind == _CARD_BOUND and not binds(model, visitor, customer):
        visitor.marks |= _EVENT_DONE
    if kind == _CLAIM:
        visitor.marks |= _EVENT_DONE  # a claim is an errand of its own
    if len(crowd.shoppers) > 0 and (kind == _CLAIM or (visitor.depth == 1 and hunts(crowd, customer))):
        # The page lists coupons, or the list is opened first of all.
        claim_listed(model, crowd, customer, view_key(visitor), int(visitor.due_ms))
    if kind == _INSTALMENT and not takes_instalments(model, visitor, customer):
        visitor.marks |= _EVENT_DONE
    write(event, visitor, customer, _PAGE_VIEW)


@kernel
def leave_page(model, crowd, visitor, customer, event):
    """The page view ends: go on to another page, or leave the app."""
    write(event, visitor, customer, _PAGE_LEAVE)
    left = int(visitor.page)
    count_dwell(crowd, model, left, int(visitor.due_ms), int(visitor.due_ms - visitor.entered_ms))
    if 0 < visitor.flow < len(model.purchase_path):
        page = int(model.purchase_path[visitor.flow])
        visitor.flow += 1
    else:
        visitor.flow = 0
        page = page_after(model, visitor, customer)
    count_move(crowd, left, page)
    visitor.page = page
    if page == NONE:
        end_visit(model, crowd, visitor, customer)
        return
    visitor.stage = _ENTERING
    visitor.until_ms = visitor.due_ms + NEXT_PAGE_AFTER_MS


@kernel
def end_visit(model, crowd, visitor, customer):
    visitor.stage = _OUT
    visitor.flow = 0
    if not is_traced(crowd):
        visitor.city = visitor.home_city
    plan_visit(model, crowd, visitor, customer, int(visitor.due_ms))


# --- payments ---------------------------------------------------------------------------------------------------------
@kernel
def raise_page_event(model, crowd, visitor, customer, event, inbox):
    """What a page does when it is opened: show the bill or the balance, take a payment."""
    visitor.marks |= _EVENT_DONE
    kind = int(model.page_event[visitor.page])
    write(event, visitor, customer, kind)
    if kind == _PAYMENT and payment_fails(model, customer, int(event.time_ms)):
        lose_payment(model, crowd, visitor, customer, event)
    elif kind == _PAYMENT and is_traced(crowd) and is_declined(model, trace_of(crowd, customer), visitor, customer):
        decline(model, crowd, visitor, customer, event)
    elif len(crowd.shoppers) > 0 and kind in (_PAYMENT, _CHECKOUT, _ORDER):
        shopper = shopper_of(crowd, customer)
        if kind == _PAYMENT:
            pay_for_order(shopper, event, inbox)
        else:
            ask_price(model, visitor, shopper, customer, event, inbox, kind)
    elif kind == _PAYMENT:
        organic_payment(model, crowd, visitor, customer, event)
    elif kind == _BALANCE_QUERY:
        maybe_top_up(model, crowd, visitor, customer)
    elif kind == _BILL_VIEWED:
        count_day(crowd, model, int(event.time_ms), _BILLS_VIEWED, 1)
    elif kind == _CARD_BOUND:
        bind_card(model, crowd, visitor, customer, int(event.time_ms))


@kernel
def decline(model, crowd, visitor, customer, event):
    """A payment is declined, and tried again a little later."""
    event.kind = _PAYMENT_DECLINED
    if len(crowd.shoppers) > 0:
        event.amount = shopper_of(crowd, customer).order_paid
    else:
        event.amount = purchase_amount(model, customer, int(visitor.gaps))
    ask_again(visitor, int(event.time_ms), int(model.origins[0].declined_retry_ms), PAGE_EVENT_AFTER_MS)


# --- acts -------------------------------------------------------------------------------------------------------------
@kernel
def revive(model, visitor, customer, topic, t):
    """A customer who had dropped out and acts may come back for good."""
    if visitor.marks & _DROPPED == 0:
        return
    u, _, _, _ = uniforms(model.stream, customer, _REVIVAL, int(visitor.act_key))
    if u < topic.revive:
        visitor.marks &= ~_DROPPED
        if visitor.marks & _USED:
            begin_purchasing(model, visitor, customer, t)


@kernel
def act(model, crowd, visitor, customer, event):
    """Do what a message asked for, or a top-up of one's own accord."""
    write(event, visitor, customer, _TOP_UP)
    visitor.marks |= _ACTED
    visitor.act_ms = NEVER_MS
    if visitor.act_campaign == NONE:
        top_up(model, crowd, visitor, event, model.numbers[0].top_up_amount)
        return
    topic = model.topics[model.faces[visitor.act_campaign, 0].topic]
    kind = int(topic.does)
    if kind == _PAYMENT and payment_fails(model, customer, int(event.time_ms)):
        lose_act(model, crowd, visitor, customer, event)
        return
    if kind == _PAYMENT:
        induced_payment(model, crowd, visitor, customer, event, topic)
        if visitor.act_ms != NEVER_MS:
            return
    elif kind == _TOP_UP:
        top_up(model, crowd, visitor, event, model.numbers[0].top_up_amount)
    else:
        event.kind = kind
        count_act(crowd, model, visitor, customer, kind, int(event.time_ms))
        if kind == _CARD_BOUND:
            bind_card(model, crowd, visitor, customer, int(event.time_ms))
    revive(model, visitor, customer, topic, int(event.time_ms))


@kernel
def count_act(crowd, model, visitor, customer, kind, t):
    if kind == _BILL_VIEWED:
        count_day(crowd, model, t, _BILLS_VIEWED, 1)
    elif kind == _FEATURE_USED:
        count_day(crowd, model, t, _FEATURES_USED, 1)
        protect(model, crowd, visitor, customer, t)


@kernel
def voice_reaction(model, crowd, visitor, customer, event):
    """The click, close, mute, snooze or complaint that the last exposure called for."""
    write(event, visitor, customer, int(visitor.react_kind))
    event.exposure = visitor.react_exposure
    event.campaign = visitor.react_campaign
    visitor.react_ms = NEVER_MS
    if event.kind == _CLICK and visitor.stage == _OUT:
        # Outside the app a click opens it.
        visitor.next_visit_ms = visitor.due_ms + 1_500
        visitor.next_visit = return_visit(visitor)


# --- one event --------------------------------------------------------------------------------------------------------
@kernel
def skip_organic(model, crowd, visitor, customer):
    """The organic purchase that was brought forward: its place in the process passes without an event."""
    visitor.marks &= ~_SKIP
    after_organic(model, crowd, visitor, customer, int(visitor.due_ms))


@kernel
def open_app(model, crowd, visitor, customer, event):
    """A log-in, for an organic purchase or a visit."""
    if visitor.organic_ms <= visitor.next_visit_ms:
        visitor.marks |= _ORGANIC_DUE
        if len(crowd.shoppers) > 0:
            begin_basket(shopper_of(crowd, customer), int(visitor.gaps))
        begin_visit(model, crowd, visitor, customer, PURCHASE_VISITS + int(visitor.gaps), 1)
    else:
        begin_visit(model, crowd, visitor, customer, int(visitor.next_visit), 0)
    write(event, visitor, customer, _LOGIN)


@kernel
def shop_for_coupon(model, crowd, visitor, customer, event):
    """A log-in for a coupon's sake, unless the coupon is gone; returns whether an event was written."""
    shopper = shopper_of(crowd, customer)
    shopper.use_ms = NEVER_MS
    if (shopper.held >> shopper.use_coupon) & 1 == 0 or visitor.marks & _UNBOUND:
        return False
    visitor.marks |= _FOR_COUPON
    begin_basket(shopper, shopper.use_key)
    begin_visit(model, crowd, visitor, customer, return_visit(visitor), 1)
    write(event, visitor, customer, _LOGIN)
    return True


@kernel
def next_visit_key(crowd, visitor, customer):
    """Key of the visit that is about to begin."""
    if len(crowd.shoppers) > 0 and shopper_of(crowd, customer).use_ms <= visitor.due_ms:
        return return_visit(visitor)
    if visitor.organic_ms <= visitor.next_visit_ms:
        return PURCHASE_VISITS + int(visitor.gaps)
    return int(visitor.next_visit)


@kernel
def fail_to_log_in(crowd, visitor, customer, visit, event):
    """The log-in of a visit fails; whatever the visit is for comes a little later."""
    visitor.visit = visit
    write(event, visitor, customer, _LOGIN_FAILED)
    later = int(visitor.due_ms) + LOG_IN_AGAIN_MS
    visitor.next_visit_ms = max(int(visitor.next_visit_ms), later)
    visitor.organic_ms = max(int(visitor.organic_ms), later)
    if len(crowd.shoppers) > 0:
        shopper = shopper_of(crowd, customer)
        shopper.use_ms = max(int(shopper.use_ms), later)


@kernel
def come_in(model, crowd, visitor, customer, event):
    """What brings a customer into the app; returns whether an event was written."""
    for_coupon = len(crowd.shoppers) > 0 and shopper_of(crowd, customer).use_ms <= visitor.due_ms
    if not for_coupon and visitor.organic_ms <= visitor.next_visit_ms and visitor.marks & _SKIP:
        skip_organic(model, crowd, visitor, customer)
        return False
    if is_traced(crowd):
        visit = next_visit_key(crowd, visitor, customer)
        if log_in_fails(model, trace_of(crowd, customer), customer, visit):
            fail_to_log_in(crowd, visitor, customer, visit, event)
            return True
    if for_coupon:
        return shop_for_coupon(model, crowd, visitor, customer, event)
    open_app(model, crowd, visitor, customer, event)
    return True


@kernel
def has_errand(crowd, customer, now):
    return len(crowd.shoppers) > 0 and errand_ms(shopper_of(crowd, customer)) <= now


@kernel
def be_on_page(model, crowd, visitor, customer, event, inbox):
    """What a page does when it opens, the next dwell, or the end of the page view."""
    now = int(visitor.due_ms)
    if page_event_ms(model, visitor) <= now:
        raise_page_event(model, crowd, visitor, customer, event, inbox)
    elif next_dwell_ms(model, visitor) <= now:
        write(event, visitor, customer, _PAGE_DWELL)
        event.dwell_ms = model.dwells[visitor.dwell_at]
        visitor.dwell_at += 1
    else:
        leave_page(model, crowd, visitor, customer, event)


@kernel
def is_passing(crowd, customer, now):
    """Whether the challenge at hand is passed now."""
    return is_traced(crowd) and trace_of(crowd, customer).challenge_ms <= now


@kernel
def attend_to(model, crowd, visitor, customer, now, event, inbox):
    """What is due wherever the customer is: a reaction, an act, a challenge, an errand. Returns whether anything is."""
    if visitor.react_ms <= now:
        voice_reaction(model, crowd, visitor, customer, event)
    elif visitor.act_ms <= now:
        act(model, crowd, visitor, customer, event)
    elif is_passing(crowd, customer, now):
        write(event, visitor, customer, _CHALLENGE_PASSED)
        pass_challenge(trace_of(crowd, customer), event, inbox)
    elif has_errand(crowd, customer, now):
        write(event, visitor, customer, _CLAIM)
        run_errand(model, crowd, shopper_of(crowd, customer), customer, event, inbox)
    else:
        return False
    return True


@kernel
def next_event(model, crowd, visitor, customer, until_ms, event, inbox):
    """Write the customer's next event if it is due before a time; returns whether one was written."""
    while visitor.due_ms < until_ms:
        now = int(visitor.due_ms)
        if is_away(model, customer, now):
            if lose_touch(model, crowd, visitor, customer, now):
                plan(model, crowd, visitor, customer, now)
            continue
        stage = int(visitor.stage)
        if is_traced(crowd) and stage in (_OUT, _JOINING):
            settle_whereabouts(model, crowd, visitor, customer, now)
        if stage == _JOINING:
            write(event, visitor, customer, _REGISTER)
            visitor.stage = _OUT
            plan_visit(model, crowd, visitor, customer, now)
        elif attend_to(model, crowd, visitor, customer, now, event, inbox):
            pass
        elif stage == _OUT:
            if not come_in(model, crowd, visitor, customer, event):
                plan(model, crowd, visitor, customer, now)
                continue
        elif stage == _ENTERING:
            enter_page(model, crowd, visitor, customer, event)
        else:
            be_on_page(model, crowd, visitor, customer, event, inbox)
        if is_traced(crowd):
            write_origin(model, crowd, visitor, customer, event, inbox)
        return True
    return False
