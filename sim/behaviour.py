"""What one customer does next: a visit as a walk over pages, purchases, and acts that messages induce."""

from engine.compiled import kernel
from engine.records import DAY_MS, NEVER_MS, NONE, SECOND_MS, EventKind
from sim.arrivals import begin_purchasing, first_use_at, plan_visit, toss_coin
from sim.measures import count_day, count_dwell, count_entry, count_move, count_payment, count_visit, drop_out, money
from sim.model import DEPTH_MAX, Daily, Mark, Stage
from sim.population import category, purchase_amount, spend_scale
from sim.streams import Draw, exponential, gamma, uniforms
from sim.worth import protect

_LOGIN, _PAGE_VIEW, _PAGE_DWELL = int(EventKind.LOGIN), int(EventKind.PAGE_VIEW), int(EventKind.PAGE_DWELL)
_PAGE_LEAVE, _PAYMENT, _TOP_UP = int(EventKind.PAGE_LEAVE), int(EventKind.PAYMENT), int(EventKind.TOP_UP)
_REGISTER, _CLICK = int(EventKind.REGISTER), int(EventKind.CLICK)
_BALANCE_QUERY = int(EventKind.BALANCE_QUERY)
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
_UNBOUND, _BIND = int(Mark.UNBOUND), int(Draw.BIND)
_PLAN = int(Draw.INSTALMENT)
_STAY, _ENTRY, _KIND, _REVIVAL = int(Draw.STAY), int(Draw.ENTRY), int(Draw.KIND), int(Draw.REVIVAL)
_TOP_UPS, _BILLS_VIEWED = int(Daily.TOP_UPS), int(Daily.BILLS_VIEWED)
_FEATURES_USED, _CARDS_BOUND = int(Daily.FEATURES_USED), int(Daily.CARDS_BOUND)

VIEWS_PER_VISIT = 64
PURCHASE_VISITS = 1 << 24  # keys of visits that an organic purchase begins
# Keys of visits that a click outside the app begins: the second of the click since 2000 (until 2067). A count of such
# clicks would shift with one more of them.
RETURN_VISITS, RETURN_EPOCH_MS = 1 << 25, 946_684_800_000
PLACES_PER_VIEW = 256  # opportunities to show something on one page view: by event kind, from DWELL_PLACES on by dwell
OWN_TOP_UP_PLACE = 0
DWELL_PLACES = 64
PAGE_EVENT_AFTER_MS = 400
PAYS_AFTER_TOP_UP_MS = 8_000
FIRST_USE_RETRY_MS = 7 * DAY_MS
STAY_MIN_MS = 500  # so that what a page does when it opens is always done
NEXT_PAGE_AFTER_MS = 700
ENTRY_AFTER_MS = 900


# --- keys and pages ---------------------------------------------------------------------------------------------------
@kernel
def view_key(visitor):
    """Id of the page view at hand: (visit, depth), the same under every policy."""
    return int(visitor.visit) * VIEWS_PER_VISIT + int(visitor.depth)


@kernel
def page_after(model, visitor, customer):
    """The next page of the walk, or NONE to leave."""
    if visitor.depth >= DEPTH_MAX:
        return NONE
    row = len(model.next_page) - 1 if visitor.page == NONE else int(visitor.page)
    u, _, _, _ = uniforms(model.stream, customer, _PAGE, view_key(visitor))
    page = category(model.next_page[row], u)
    return NONE if page == len(model.next_page) - 1 else page


@kernel
def stay_ms(model, visitor, customer):
    """How long the customer stays on the page just entered."""
    _, u, _, _ = uniforms(model.stream, customer, _STAY, view_key(visitor))
    return STAY_MIN_MS + int(exponential(u) * model.dwell_mean_ms[visitor.page])


@kernel
def write(event, visitor, customer, kind):
    """Begin the next event of a customer; every field is set."""
    visitor.sequence += 1
    visitor.marks &= ~_ACTED
    event.time_ms = visitor.due_ms
    event.customer = customer
    event.page_view = view_key(visitor) if visitor.stage == _ON_PAGE else 0
    event.amount = 0
    event.sequence = visitor.sequence
    event.exposure = NONE
    event.dwell_ms = 0
    event.kind = kind
    event.page = visitor.page if visitor.stage == _ON_PAGE else NONE
    event.campaign = NONE
    event.city = visitor.city
    event.channel = NONE
    event.moment = NONE
    event.ask = NONE


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
    if visitor.marks & _EVENT_DONE or kind == 0 or (kind == _PAYMENT and visitor.marks & _ORGANIC_DUE == 0):
        return NEVER_MS
    return visitor.entered_ms + PAGE_EVENT_AFTER_MS


@kernel
def plan(model, visitor, now):
    """Set when this customer's next event is due."""
    due = min(int(visitor.react_ms), int(visitor.act_ms))
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
    visitor.until_ms = visitor.due_ms + stay_ms(model, visitor, customer)
    kind = model.page_event[visitor.page]
    if kind == _CARD_BOUND and not binds(model, visitor, customer):
        visitor.marks |= _EVENT_DONE
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
    visitor.city = visitor.home_city
    plan_visit(model, crowd, visitor, customer, int(visitor.due_ms))


# --- payments ---------------------------------------------------------------------------------------------------------
@kernel
def pay(model, crowd, visitor, customer, event, amount):
    """Write a payment and keep the account."""
    event.kind = _PAYMENT
    event.amount = amount
    if visitor.marks & _PREPAID:
        visitor.balance -= amount
    count_payment(crowd, model, visitor, int(event.time_ms), amount, visitor.marks & _USED == 0)


@kernel
def after_organic(model, crowd, visitor, customer, t):
    """What an organic purchase does to the purchase process."""
    if visitor.marks & _USED == 0:
        begin_purchasing(model, visitor, customer, t)
    elif toss_coin(model, visitor, customer):
        drop_out(crowd, model, t)


@kernel
def organic_payment(model, crowd, visitor, customer, event):
    """The payment at the end of the purchase path; may fail for want of balance. Writes the event at hand."""
    n = model.numbers[0]
    t = int(event.time_ms)
    visitor.marks &= ~_ORGANIC_DUE
    amount = purchase_amount(model, customer, int(visitor.gaps))
    if visitor.marks & _PREPAID == 0 or visitor.balance >= amount:
        pay(model, crowd, visitor, customer, event, amount)
        after_organic(model, crowd, visitor, customer, t)
        return
    u, v, _, _ = uniforms(model.stream, customer, _AT_PAYMENT, int(visitor.gaps))
    if u < n.top_up_at_payment:
        # Tops up first and pays when the same page view asks again.
        top_up(model, crowd, visitor, event, max(n.top_up_amount, amount - visitor.balance))
        visitor.marks |= _ORGANIC_DUE
        visitor.marks &= ~_EVENT_DONE
        visitor.entered_ms = t
        visitor.until_ms = max(int(visitor.until_ms), t + 2 * PAGE_EVENT_AFTER_MS)
        return
    event.kind = _BALANCE_QUERY
    count_day(crowd, model, t, _LOST, 1)
    if visitor.marks & _USED == 0:
        visitor.organic_ms = t + FIRST_USE_RETRY_MS
        visitor.gaps += 1
        return
    after_organic(model, crowd, visitor, customer, t)
    if v < n.lost_payment_drop and visitor.marks & _DROPPED == 0:
        visitor.marks |= _DROPPED
        visitor.organic_ms = NEVER_MS
        drop_out(crowd, model, t)


@kernel
def top_up(model, crowd, visitor, event, amount):
    event.kind = _TOP_UP
    event.amount = int(amount)
    visitor.balance = money(int(visitor.balance) + int(amount))
    count_day(crowd, model, int(event.time_ms), _TOP_UPS, 1)


@kernel
def raise_page_event(model, crowd, visitor, customer, event):
    """What a page does when it is opened: show the bill or the balance, take a payment."""
    visitor.marks |= _EVENT_DONE
    kind = int(model.page_event[visitor.page])
    write(event, visitor, customer, kind)
    if kind == _PAYMENT:
        organic_payment(model, crowd, visitor, customer, event)
    elif kind == _BALANCE_QUERY:
        maybe_top_up(model, crowd, visitor, customer)
    elif kind == _BILL_VIEWED:
        count_day(crowd, model, int(event.time_ms), _BILLS_VIEWED, 1)
    elif kind == _CARD_BOUND:
        bind_card(model, crowd, visitor, customer, int(event.time_ms))


@kernel
def maybe_top_up(model, crowd, visitor, customer):
    """Whoever sees a low balance may top up of their own accord."""
    n = model.numbers[0]
    if visitor.marks & _PREPAID == 0 or visitor.balance >= n.low_balance or visitor.act_ms != NEVER_MS:
        return
    u, v, _, _ = uniforms(model.stream, customer, _TOP_UP_DRAW, view_key(visitor))
    if u < n.top_up_at_visit:
        visitor.act_ms = visitor.due_ms + 5_000 + int(exponential(v) * 20_000.0)
        visitor.act_campaign = NONE
        visitor.act_key = view_key(visitor) * PLACES_PER_VIEW + OWN_TOP_UP_PLACE


# --- acts -------------------------------------------------------------------------------------------------------------
@kernel
def induced_payment(model, crowd, visitor, customer, event, topic):
    """A payment that a message induced: added, brought forward or switched (FIDELITY 3)."""
    t = int(event.time_ms)
    size = gamma(model.stream, customer, _INDUCED_AMOUNT, int(visitor.act_key) * 64, model.numbers[0].spend_p)
    amount = max(1, int(size * spend_scale(model, customer)))
    if visitor.marks & _PREPAID and visitor.balance < amount:
        # Tops up first, pays a little later.
        top_up(model, crowd, visitor, event, max(int(model.numbers[0].top_up_amount), amount - visitor.balance))
        visitor.act_ms = t + PAYS_AFTER_TOP_UP_MS
        return
    unused = visitor.marks & _USED == 0
    pay(model, crowd, visitor, customer, event, amount)
    if unused:
        count_day(crowd, model, t, _ADDED, 1)
        begin_purchasing(model, visitor, customer, t)
        return
    _, _, _, u = uniforms(model.stream, customer, _KIND, int(visitor.act_key))
    soon = visitor.organic_ms - t <= model.numbers[0].brought_forward_ms
    if visitor.marks & _SKIP:
        # The next organic purchase is taken away already: it cannot be brought forward or switched twice.
        count_day(crowd, model, t, _ADDED, 1)
    elif u < topic.switched and visitor.organic_ms < NEVER_MS:
        visitor.marks |= _SKIP
        count_day(crowd, model, t, _SWITCHED, 1)
    elif u < topic.switched + topic.brought_forward and soon:
        visitor.marks |= _SKIP
        count_day(crowd, model, t, _FORWARD, 1)
    else:
        count_day(crowd, model, t, _ADDED, 1)


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
        visitor.next_visit = RETURN_VISITS + (int(visitor.due_ms) - RETURN_EPOCH_MS) // SECOND_MS


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
        begin_visit(model, crowd, visitor, customer, PURCHASE_VISITS + int(visitor.gaps), 1)
    else:
        begin_visit(model, crowd, visitor, customer, int(visitor.next_visit), 0)
    write(event, visitor, customer, _LOGIN)


@kernel
def next_event(model, crowd, visitor, customer, until_ms, event):
    """Write the customer's next event if it is due before a time; returns whether one was written."""
    while visitor.due_ms < until_ms:
        now = int(visitor.due_ms)
        stage = int(visitor.stage)
        if stage == _JOINING:
            write(event, visitor, customer, _REGISTER)
            visitor.stage = _OUT
            plan_visit(model, crowd, visitor, customer, now)
        elif visitor.react_ms <= now:
            voice_reaction(model, crowd, visitor, customer, event)
        elif visitor.act_ms <= now:
            act(model, crowd, visitor, customer, event)
        elif stage == _OUT:
            if visitor.organic_ms <= visitor.next_visit_ms and visitor.marks & _SKIP:
                skip_organic(model, crowd, visitor, customer)
                plan(model, visitor, now)
                continue
            open_app(model, crowd, visitor, customer, event)
        elif stage == _ENTERING:
            enter_page(model, crowd, visitor, customer, event)
        elif page_event_ms(model, visitor) <= now:
            raise_page_event(model, crowd, visitor, customer, event)
        elif next_dwell_ms(model, visitor) <= now:
            write(event, visitor, customer, _PAGE_DWELL)
            event.dwell_ms = model.dwells[visitor.dwell_at]
            visitor.dwell_at += 1
        else:
            leave_page(model, crowd, visitor, customer, event)
        return True
    return False
