"""Payments: organic ones at the end of the purchase path, top-ups, and those that messages and coupons induce."""

from engine.compiled import kernel
from engine.records import DAY_MS, NEVER_MS, NONE, EventKind
from sim.arrivals import begin_purchasing, toss_coin
from sim.measures import count_day, count_order, count_payment, drop_out, money
from sim.model import Daily, Mark
from sim.origins import hunts
from sim.pages import PLACES_PER_VIEW, view_key
from sim.population import purchase_amount, spend_scale
from sim.shopping import plan_refund, shopper_of, use_next
from sim.streams import Draw, exponential, gamma, uniforms

_PAYMENT, _TOP_UP = int(EventKind.PAYMENT), int(EventKind.TOP_UP)
_BALANCE_QUERY = int(EventKind.BALANCE_QUERY)
_USED, _PREPAID, _SKIP = int(Mark.USED), int(Mark.PREPAID), int(Mark.SKIP_ORGANIC)
_EVENT_DONE, _ORGANIC_DUE, _DROPPED = int(Mark.PAGE_EVENT_DONE), int(Mark.ORGANIC_DUE), int(Mark.DROPPED)
_FOR_COUPON = int(Mark.FOR_COUPON)
_TOP_UP_DRAW, _USING = int(Draw.TOP_UP), int(Draw.USING)
_AT_PAYMENT, _INDUCED_AMOUNT, _KIND = int(Draw.AT_PAYMENT), int(Draw.INDUCED_AMOUNT), int(Draw.KIND)
_LOST, _TOP_UPS = int(Daily.LOST_PAYMENTS), int(Daily.TOP_UPS)
_ADDED, _FORWARD = int(Daily.INDUCED_ADDED), int(Daily.INDUCED_BROUGHT_FORWARD)
_SWITCHED = int(Daily.INDUCED_SWITCHED)

OWN_TOP_UP_PLACE = 0
PAGE_EVENT_AFTER_MS = 400
PAYS_AFTER_TOP_UP_MS = 8_000
FIRST_USE_RETRY_MS = 7 * DAY_MS


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
def lose_organic(model, crowd, visitor, customer, t):
    """An organic purchase comes to nothing; a first use is tried again some days later. Returns whether it was none."""
    count_day(crowd, model, t, _LOST, 1)
    if visitor.marks & _USED == 0:
        visitor.organic_ms = t + FIRST_USE_RETRY_MS
        visitor.gaps += 1
        return False
    after_organic(model, crowd, visitor, customer, t)
    return True


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
    if not lose_organic(model, crowd, visitor, customer, t):
        return
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


@kernel
def settle_kind(model, crowd, visitor, u, forward, switched, t):
    """An induced purchase is added, brought forward or switched, by shares and a uniform (FIDELITY 3)."""
    soon = visitor.organic_ms - t <= model.numbers[0].brought_forward_ms
    if visitor.marks & _SKIP:
        # The next organic purchase is taken away already: it cannot be brought forward or switched twice.
        count_day(crowd, model, t, _ADDED, 1)
    elif u < switched and visitor.organic_ms < NEVER_MS:
        visitor.marks |= _SKIP
        count_day(crowd, model, t, _SWITCHED, 1)
    elif u < switched + forward and soon:
        visitor.marks |= _SKIP
        count_day(crowd, model, t, _FORWARD, 1)
    else:
        count_day(crowd, model, t, _ADDED, 1)


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
    settle_kind(model, crowd, visitor, u, topic.brought_forward, topic.switched, t)


# --- orders -----------------------------------------------------------------------------------------------------------
@kernel
def order_paid(model, crowd, visitor, customer, receipt, t):
    """An order has been paid: what it does to the account, the purchase process and the errands to come."""
    shopper = shopper_of(crowd, customer)
    organic = visitor.marks & _FOR_COUPON == 0
    visitor.marks &= ~(_ORGANIC_DUE | _FOR_COUPON)
    unused = visitor.marks & _USED == 0
    # What customers spend is counted at list price; the discount is a cost beside it.
    listed = int(receipt.paid) + int(receipt.discount)
    count_payment(crowd, model, visitor, t, listed, unused)
    count_order(crowd, model, shopper, t, listed - int(model.shop[0].shipping), int(receipt.discount), organic)
    shopper.held &= ~receipt.slots
    if organic:
        after_organic(model, crowd, visitor, customer, t)
    elif unused:
        count_day(crowd, model, t, _ADDED, 1)
        begin_purchasing(model, visitor, customer, t)
    else:
        _, _, _, u = uniforms(model.stream, customer, _USING, int(shopper.basket_key))
        settle_kind(model, crowd, visitor, u, model.shop[0].brought_forward, model.shop[0].switched, t)
    if not organic and hunts(crowd, customer):
        use_next(model, crowd, shopper, customer, t)
    plan_refund(model, shopper, customer, t)
