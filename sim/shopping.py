"""Shopping with coupons: carts, orders and payments, claims on pages and in a rush, refunds, coupons passed on."""

import math

from engine.compiled import kernel, routine
from engine.coupon_records import LINES_MAX, Answer, CouponKind, RequestKind
from engine.records import DAY_MS, MINUTE_MS, NEVER_MS, NONE, SECOND_MS, EventKind
from sim.baskets import consider_adding, fill_basket, pull
from sim.measures import COUNT_MAX, count_day, money
from sim.model import Daily, Mark, Span
from sim.origins import hunts
from sim.population import category, friend_of
from sim.streams import Draw, exponential, normal, uniforms

_CLAIM, _CHECKOUT, _ORDER = int(EventKind.CLAIM), int(EventKind.CHECKOUT), int(EventKind.ORDER)
_PAYMENT, _REFUND_EVENT, _TRANSFER = int(EventKind.PAYMENT), int(EventKind.REFUND), int(EventKind.TRANSFER)
_NOT_ELIGIBLE, _IMPERSONAL = int(Answer.NOT_ELIGIBLE), int(Answer.PERSONALISATION_OFF)
_MINOR = int(Answer.MINOR)
_DONE, _PENDING, _FALLBACK = int(Answer.DONE), int(Answer.PENDING), int(Answer.FALLBACK)
_R_CLAIM, _R_RESERVE, _R_TRANSFER = int(RequestKind.CLAIM), int(RequestKind.RESERVE), int(RequestKind.TRANSFER)
_DROP, _LISTED, _CLAIMING = int(Draw.DROP), int(Draw.LISTED), int(Draw.CLAIMING)
_SENSITIVITY, _GIVING, _COLLECTING = int(Draw.SENSITIVITY), int(Draw.GIVING), int(Draw.COLLECTING)
_REDEEM, _RIGHT = int(EventKind.REDEEM), int(CouponKind.RIGHT)
_USING, _REFUND, _ENTRY = int(Draw.USING), int(Draw.REFUND), int(Draw.ENTRY)
_CLAIMS, _REFUNDS, _REFUNDED = int(Daily.CLAIMS), int(Daily.REFUNDS), int(Daily.REFUNDED)
_ORGANIC_DUE, _FOR_COUPON = int(Mark.ORGANIC_DUE), int(Mark.FOR_COUPON)
_EVENT_DONE = int(Mark.PAGE_EVENT_DONE)
_SETTLES = int(Span.SETTLES)

COUPON_KEYS = 1 << 32  # keys of a coupon: its slot + 1 times this, plus a second, minute or day
DAYS_URGENT, PIECES_URGENT = 1, 2
CLAIM_AFTER_MS = 1_500  # from the click to the claim
DOUBLE_CLICK_MS = 250
USE_LEAST_MS = 2 * MINUTE_MS
GIVE_AFTER_MS = 60 * MINUTE_MS
THINKS_MS = 3_000  # over a price, before adding something
SENT_TWICE, SENT_AGAIN = 1, 2


@kernel
def shopper_of(crowd, customer):
    return crowd.shoppers[customer - crowd.first[0]]


@kernel
def create_shopper(model, shopper, profile, customer):
    """A customer without coupons, orders or errands; some look at prices more than others."""
    shop = model.shop[0]
    u, v, _, _ = uniforms(model.stream, customer, _SENSITIVITY, 0)
    spread = shop.sensitivity_spread
    shopper.sensitivity = math.exp(spread * normal(u, v) - 0.5 * spread * spread)
    if shop.sensitive_tag >= 0 and (profile.tags >> shop.sensitive_tag) & 1:
        shopper.sensitivity *= shop.tagged_sensitivity
    shopper.claim_ms, shopper.use_ms, shopper.refund_ms, shopper.give_ms = NEVER_MS, NEVER_MS, NEVER_MS, NEVER_MS
    shopper.collect_ms = NEVER_MS
    shopper.added_product, shopper.doubled_line, shopper.use_coupon = NONE, NONE, NONE
    shopper.claim_coupon, shopper.claim_campaign = NONE, NONE


# --- asking -----------------------------------------------------------------------------------------------------------
@kernel
def new_ask(inbox, event):
    """The ask of an event, to be filled in."""
    row = int(inbox.used[0])
    inbox.used[0] = row + 1
    event.ask = row
    ask = inbox.asks[row]
    ask.id, ask.other, ask.shipping, ask.first_line, ask.lines, ask.pieces = 0, NONE, 0, 0, 0, 0
    ask.order, ask.claim, ask.coupon, ask.place, ask.campaign = NONE, NONE, NONE, NONE, NONE
    ask.rule = NONE
    return ask


@kernel
def begin_basket(shopper, key):
    shopper.basket_key = key
    shopper.added_product, shopper.doubled_line, shopper.added_pieces, shopper.considered = NONE, NONE, 0, 0


@kernel
def ask_price(model, visitor, shopper, customer, event, inbox, kind):
    """A cart is priced, or ordered."""
    event.kind = kind
    ask = new_ask(inbox, event)
    first = int(inbox.used[1])
    ask.first_line = first
    ask.lines = fill_basket(model, visitor, shopper, customer, inbox.lines[first : first + LINES_MAX])
    inbox.used[1] = first + ask.lines
    ask.shipping = model.shop[0].shipping
    u, _, _, _ = uniforms(model.stream, customer, _ENTRY, int(visitor.visit))
    ask.place = category(model.places, u)
    if kind == _ORDER:
        shopper.order += 1
        ask.order = shopper.order
        shopper.order_lines = ask.lines
        shopper.order_pieces = pieces_in(inbox.lines[first : first + ask.lines])


@kernel
def pieces_in(lines):
    count = 0
    for i in range(len(lines)):
        count += int(lines[i].quantity)
    return min(count, COUNT_MAX)


@kernel
def pay_for_order(shopper, event, inbox):
    event.kind = _PAYMENT
    event.amount = shopper.order_paid
    new_ask(inbox, event).order = shopper.order


# --- errands ----------------------------------------------------------------------------------------------------------
@kernel
def errand_ms(shopper):
    """When the next errand is due that needs no visit."""
    return min(int(shopper.claim_ms), int(shopper.refund_ms), int(shopper.give_ms), int(shopper.collect_ms))


@routine
def run_errand(model, crowd, shopper, customer, event, inbox):
    """Write the errand that is due into an event just begun."""
    now = int(event.time_ms)
    if shopper.claim_ms <= now:
        send_claim(model, crowd, shopper, customer, event, inbox)
    elif shopper.refund_ms <= now:
        event.kind = _REFUND_EVENT
        ask = new_ask(inbox, event)
        ask.order, ask.first_line, ask.pieces = shopper.refund_order, shopper.refund_line, 1
        shopper.refund_ms = NEVER_MS
    elif shopper.collect_ms <= now:
        event.kind = _REDEEM
        new_ask(inbox, event).claim = shopper.collect_claim
        shopper.collect_ms = NEVER_MS
    else:
        event.kind = _TRANSFER
        ask = new_ask(inbox, event)
        ask.claim, ask.other = shopper.give_claim, friend_of(model, customer)
        shopper.give_ms = NEVER_MS


@kernel
def coupon_key(slot, part):
    return (slot + 1) * COUPON_KEYS + part


@kernel
def plan_claim(shopper, slot, campaign, t):
    """Send a claim at a time, unless another is under way."""
    if shopper.claim_ms != NEVER_MS:
        return
    shopper.claim_ms, shopper.claim_coupon, shopper.claim_campaign, shopper.claim_tries = t, slot, campaign, 0
    shopper.claim_id = t * 64 + slot + 1


@kernel
def send_claim(model, crowd, shopper, customer, event, inbox):
    """A claim; some customers click twice, or again when nothing happens."""
    now, slot = int(event.time_ms), int(shopper.claim_coupon)
    event.kind = _CLAIM
    ask = new_ask(inbox, event)
    ask.coupon, ask.campaign, ask.id = slot, shopper.claim_campaign, shopper.claim_id
    count_day(crowd, model, now, _CLAIMS, 1)
    shop = model.shop[0]
    first_ms = (int(shopper.claim_id) - slot - 1) // 64
    u, v, _, _ = uniforms(model.stream, customer, _CLAIMING, coupon_key(slot, first_ms // SECOND_MS % COUPON_KEYS))
    shopper.claim_ms = NEVER_MS
    if shopper.claim_tries & SENT_TWICE == 0 and u < shop.double_clicks:
        shopper.claim_tries |= SENT_TWICE
        shopper.claim_ms = now + DOUBLE_CLICK_MS
    elif shopper.claim_tries & SENT_AGAIN == 0 and v < shop.retries:
        shopper.claim_tries |= SENT_AGAIN
        shopper.claim_ms = now + int(shop.retry_after_ms)


@kernel
def urgency_of(model, slot):
    """Factors that the copy's urgency puts on claims and on the time to the purchase."""
    shop, urgency = model.shop[0], model.offers[slot].urgency
    if urgency == DAYS_URGENT:
        return shop.days_claims, shop.days_sooner
    if urgency == PIECES_URGENT:
        return shop.pieces_claims, shop.pieces_sooner
    return 1.0, 1.0


@routine
def claim_listed(model, crowd, customer, page_view, t):
    """A page lists coupons: the customer may claim one that they do not have yet; a bargain hunter does."""
    shopper, hunter = shopper_of(crowd, customer), hunts(crowd, customer)
    u, v, _, _ = uniforms(model.stream, customer, _LISTED, page_view)
    listed = 0
    for slot in range(len(model.offers)):
        listed += 1 if may_claim(model, shopper, slot, t) else 0
    choice = int(v * listed)
    for slot in range(len(model.offers)):
        if not may_claim(model, shopper, slot, t):
            continue
        if choice == 0:
            more, _ = urgency_of(model, slot)
            terms = model.terms[model.offers[slot].terms]
            if hunter or u < model.shop[0].claims_when_seen * more * pull(model, shopper, customer, terms):
                plan_claim(shopper, slot, NONE, t + CLAIM_AFTER_MS)
            return
        choice -= 1


@kernel
def claim_next(model, shopper, granted, t):
    """A coupon was granted: the next one on the list is claimed."""
    for slot in range(granted + 1, len(model.offers)):
        if may_claim(model, shopper, slot, t):
            plan_claim(shopper, slot, NONE, t + CLAIM_AFTER_MS)
            return


@kernel
def may_claim(model, shopper, slot, t):
    """Whether a page lists the coupon and the customer does not have it."""
    coupon = model.coupons[slot]
    if model.offers[slot].listed == 0 or coupon.used == 0 or ((shopper.held | shopper.not_for) >> slot) & 1:
        return False
    return coupon.from_ms <= t < coupon.until_ms


@kernel
def attend_drop(model, shopper, customer, slot, t):
    """A drop begins: who wants the coupon claims it as fast as they can."""
    u, v, _, _ = uniforms(model.stream, customer, _DROP, coupon_key(slot, t // MINUTE_MS % COUPON_KEYS))
    more, _ = urgency_of(model, slot)
    terms = model.terms[model.offers[slot].terms]
    if u < model.shop[0].drop_attends * more * pull(model, shopper, customer, terms):
        shopper.claim_ms = NEVER_MS
        plan_claim(shopper, slot, NONE, t + int(exponential(v) * model.shop[0].drop_within_ms))


# --- answers ----------------------------------------------------------------------------------------------------------
@kernel
def pause_until_settled(crowd, visitor, after_ms):
    """The event was not taken: the customer waits for the reply and asks again."""
    resume = int(crowd.span[_SETTLES])
    visitor.marks &= ~_EVENT_DONE
    visitor.entered_ms = resume - after_ms
    visitor.until_ms = max(int(visitor.until_ms), resume + THINKS_MS)


@kernel
def ask_again(visitor, t, wait_ms, after_ms):
    """The page's question is put once more, after a moment."""
    visitor.marks &= ~_EVENT_DONE
    visitor.entered_ms = t + wait_ms - after_ms
    visitor.until_ms = max(int(visitor.until_ms), t + wait_ms + THINKS_MS)


@kernel
def take_price(model, crowd, visitor, shopper, customer, event, inbox, t, after_ms):
    """The price of the cart is known: something may be added for a coupon's sake."""
    ask, receipt = inbox.asks[event.ask], inbox.receipts[event.ask]
    lines = inbox.lines[ask.first_line : ask.first_line + ask.lines]
    if consider_adding(model, crowd, shopper, customer, lines, int(ask.lines), receipt, t):
        ask_again(visitor, t, THINKS_MS, after_ms)


@kernel
def take_claim(shopper, ask, receipt):
    """Told that a coupon is not for them, customers do not ask for it again."""
    if receipt.answer in (_NOT_ELIGIBLE, _IMPERSONAL, _MINOR):
        shopper.not_for |= 1 << int(ask.coupon)
        shopper.claim_ms = NEVER_MS


@kernel
def take_order(visitor, shopper, receipt):
    """The order is held; one that is not cannot be paid."""
    if receipt.answer == _DONE:
        shopper.order_paid, shopper.order_discount = receipt.paid, receipt.discount
        return
    visitor.marks &= ~(_ORGANIC_DUE | _FOR_COUPON)
    visitor.flow = 0


@kernel
def plan_refund(model, shopper, customer, t):
    """Some orders come back, some of them whole."""
    shop = model.shop[0]
    u, v, w, _ = uniforms(model.stream, customer, _REFUND, int(shopper.order))
    if shopper.refund_ms == NEVER_MS and u < shop.refunds:
        shopper.refund_ms = t + int(exponential(v) * shop.refund_after_ms) + MINUTE_MS
        shopper.refund_order = shopper.order
        shopper.refund_paid, shopper.refund_discount = shopper.order_paid, shopper.order_discount
        shopper.refund_line = NONE if w < shop.refunds_whole else 0


@kernel
def take_refund(model, crowd, visitor, shopper, receipt, t):
    """What was paid for the pieces comes back; of spend at list price and of discounts goes the same share."""
    if receipt.answer != _DONE:
        return
    paid = int(receipt.paid)
    count_day(crowd, model, t, _REFUNDS, 1)
    count_day(crowd, model, t, _REFUNDED, paid)
    discount = int(shopper.refund_discount) * paid // max(int(shopper.refund_paid), 1)
    visitor.spend = max(int(visitor.spend) - paid - discount, 0)
    shopper.discounts = money(max(int(shopper.discounts) - discount, 0))


# --- replies ----------------------------------------------------------------------------------------------------------
@kernel
def plan_use(model, crowd, shopper, customer, slot, expires_ms, t):
    """A coupon was granted: a purchase may be made for its sake, sooner or later, or too late."""
    shop, terms = model.shop[0], model.terms[model.offers[slot].terms]
    key = coupon_key(slot, t // SECOND_MS % COUPON_KEYS)
    u, v, w, _ = uniforms(model.stream, customer, _USING, key)
    if u >= shop.uses * pull(model, shopper, customer, terms) and not hunts(crowd, customer):
        return
    _, sooner = urgency_of(model, slot)
    use_ms = t + USE_LEAST_MS + int(exponential(v) * shop.uses_after_ms * sooner)
    if use_ms >= expires_ms:
        if w >= shop.last_day:
            return
        use_ms = max(t + USE_LEAST_MS, expires_ms - int(w / shop.last_day * DAY_MS) - MINUTE_MS)
    if use_ms < min(shopper.use_ms, expires_ms):
        shopper.use_ms, shopper.use_key, shopper.use_coupon = use_ms, key, slot


@kernel
def use_next(model, crowd, shopper, customer, t):
    """A bargain hunter has paid: an order of its own for each coupon they hold, one after another."""
    shopper.held &= ~(1 << int(shopper.use_coupon))  # whether it was of use or had lapsed
    for slot in range(len(model.offers)):
        if (shopper.held >> slot) & 1 and model.terms[model.offers[slot].terms].kind != _RIGHT:
            plan_use(model, crowd, shopper, customer, slot, NEVER_MS, t)
            return


@kernel
def plan_collection(model, shopper, customer, slot, claim, t):
    """A right or a prize is used some time later, by most."""
    u, v, _, _ = uniforms(model.stream, customer, _COLLECTING, coupon_key(slot, t // SECOND_MS % COUPON_KEYS))
    if shopper.collect_ms == NEVER_MS and u < model.shop[0].collects:
        shopper.collect_ms = t + USE_LEAST_MS + int(exponential(v) * model.shop[0].collect_after_ms)
        shopper.collect_claim = claim


@kernel
def take_reply(model, crowd, shopper, customer, reply, t):
    """What a customer does when the coupon is granted, or refused."""
    slot = int(reply.coupon)
    if reply.kind not in (_R_CLAIM, _R_RESERVE, _R_TRANSFER):
        return  # of a confirmation, or the mark of a fraud rule: about no coupon
    if reply.kind == _R_TRANSFER:
        if reply.number == NONE:
            shopper.held |= 1 << slot
        return
    if shopper.claim_coupon == slot:
        shopper.claim_ms = NEVER_MS
    if reply.answer != _DONE and reply.answer != _FALLBACK:
        return
    shopper.held |= 1 << slot
    if hunts(crowd, customer):
        claim_next(model, shopper, slot, t)
    terms = model.terms[reply.terms]
    expires_ms = int(terms.valid_until_ms)
    if terms.valid_ms > 0:
        expires_ms = min(expires_ms, t + int(terms.valid_ms))
    u, _, _, _ = uniforms(model.stream, customer, _GIVING, coupon_key(slot, t // SECOND_MS % COUPON_KEYS))
    if terms.transferable and u < model.shop[0].gives_away and shopper.give_ms == NEVER_MS:
        shopper.give_ms, shopper.give_claim = t + GIVE_AFTER_MS, reply.claim
        shopper.held &= ~(1 << slot)
        return
    if terms.kind == _RIGHT:
        plan_collection(model, shopper, customer, slot, int(reply.claim), t)
        return
    plan_use(model, crowd, shopper, customer, slot, expires_ms, t)
