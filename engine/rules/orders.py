"""Orders: a cart is priced, held, paid or cancelled, and refunded piece by piece."""

from engine.compiled import kernel
from engine.coupon_records import (
    CHECKOUT_COUPONS_MAX,
    HOLD_MS,
    LINES_MAX,
    ORDERS_MAX,
    PIECES_MAX,
    PRICE_MAX,
    Answer,
    Breach,
    CouponKind,
    InstanceMark,
    Life,
    OrderState,
)
from engine.records import NONE, EventKind
from engine.rules.checkout import quote
from engine.rules.checkout_candidates import names
from engine.rules.claims import confirm
from engine.rules.price_split import refunded
from engine.rules.slabs import INSTANCES, LINES, ORDERS, give_row, push, take_row, unlink
from engine.rules.wallets import close, give_back, instance_row, redeem, release, turn

_DONE, _CART, _TOO_MANY = int(Answer.DONE), int(Answer.CART), int(Answer.TOO_MANY_ORDERS)
_NO_ORDER, _NO_COUPON, _PIECES = int(Answer.NO_ORDER), int(Answer.NO_COUPON), int(Answer.PIECES)
_AVAILABLE, _HELD, _REDEEMED = int(Life.AVAILABLE), int(Life.HELD), int(Life.REDEEMED)
_PRIZE = int(InstanceMark.PRIZE)
_CHECKOUT, _RIGHT, _REFUNDS = int(EventKind.CHECKOUT), int(CouponKind.RIGHT), int(Breach.REFUNDS)
_ORDER_HELD, _PAID, _CANCELLED = int(OrderState.HELD), int(OrderState.PAID), int(OrderState.CANCELLED)


# --- the cart and what it costs ---------------------------------------------------------------------------------------
@kernel
def is_cart(lines, shipping):
    """Whether a cart is one that can be priced."""
    if len(lines) == 0 or len(lines) > LINES_MAX or shipping < 0 or shipping > PRICE_MAX:
        return False
    for i in range(len(lines)):
        line = lines[i]
        if line.quantity < 1 or line.quantity > PIECES_MAX or line.unit_price < 0 or line.unit_price > PRICE_MAX:
            return False
    return True


@kernel
def list_owned(wallets, row, owned):
    """Write the available instances into owned (OWNED), the latest claim first; if there are too many those that expire
    first, of equals the earlier claims. Returns how many."""
    count = 0
    at = int(wallets.heads[row, INSTANCES])
    while at != NONE:
        instance = wallets.instances[at]
        at = int(instance.next)
        if instance.state != _AVAILABLE:
            continue
        if count == CHECKOUT_COUPONS_MAX:
            last = latest(owned)
            if instance.expires_ms > owned[last].expires_ms:
                continue
            close_up(owned, last)
            count -= 1
        owned[count].expires_ms, owned[count].number = instance.expires_ms, instance.number
        owned[count].terms = instance.terms
        count += 1
    return count


@kernel
def latest(owned):
    """Place of the coupon that expires last, of equals the latest claim, which stands first."""
    found = 0
    for i in range(1, len(owned)):
        if owned[i].expires_ms > owned[found].expires_ms:
            found = i
    return found


@kernel
def close_up(owned, place):
    """Those behind a place move up into it."""
    for i in range(place, len(owned) - 1):
        owned[i] = owned[i + 1]


@kernel
def price(wallets, desk, owned, row, customer, event, ask, lines, receipt, terms, t):
    """Price a cart with the customer's coupons: the desk has the whole answer, the receipt its sums. Returns how many
    coupons were looked at, or NONE where the cart is none."""
    if not is_cart(lines, ask.shipping):
        return NONE
    count = list_owned(wallets, row, owned)
    tier, city = int(customer.tier), int(event.city)
    quote(desk, lines, int(ask.shipping), owned[:count], terms, tier, city, int(ask.place), t)
    answer = desk.quote[0]
    receipt.paid, receipt.discount, receipt.coupons = answer.paid, answer.discount, answer.coupons
    receipt.unlock_missing, receipt.unlock_saves = answer.unlock_missing, answer.unlock_saves
    receipt.optimal = answer.optimal
    if answer.unlock_owned != NONE:
        receipt.unlock_terms = owned[answer.unlock_owned].terms
    for i in range(count):
        if desk.used[i]:
            receipt.slots |= 1 << int(terms[owned[i].terms].coupon)
    return count


# --- keeping orders ---------------------------------------------------------------------------------------------------
@kernel
def order_row(wallets, row, number):
    """Row of a customer's order by its number; NONE."""
    at = int(wallets.heads[row, ORDERS])
    while at != NONE and wallets.orders[at].number != number:
        at = int(wallets.orders[at].next)
    return at


@kernel
def drop_lines(wallets, order):
    at = int(order.lines)
    while at != NONE:
        after = int(wallets.lines[at].next)
        give_row(wallets.lines, wallets.free, LINES, at)
        at = after
    order.lines = NONE


@kernel
def close_coupons(wallets, row, number, tables, tallies):
    """The order is forgotten: its coupons cannot come back by a refund any more."""
    at = int(wallets.heads[row, INSTANCES])
    while at != NONE:
        instance = wallets.instances[at]
        if instance.state == _REDEEMED and instance.order == number:
            close(instance, tables.terms, tallies)
        at = int(instance.next)


@kernel
def make_order_room(wallets, row, tables, tallies):
    """Room for one more order, by forgetting the oldest of which nothing can be given back, else the oldest that is
    paid; False if all are held."""
    count, before = 0, NONE
    over, ahead_of_over, paid, ahead_of_paid = NONE, NONE, NONE, NONE
    at = int(wallets.heads[row, ORDERS])
    while at != NONE:
        order = wallets.orders[at]
        count += 1
        if order.state == _CANCELLED or (order.state == _PAID and order.pieces == 0):
            over, ahead_of_over = at, before
        elif order.state == _PAID:
            paid, ahead_of_paid = at, before
        before, at = at, int(order.next)
    if count < ORDERS_MAX:
        return True
    oldest, ahead = (over, ahead_of_over) if over != NONE else (paid, ahead_of_paid)
    if oldest == NONE:
        return False
    order = wallets.orders[oldest]
    close_coupons(wallets, row, int(order.number), tables, tallies)
    drop_lines(wallets, order)
    unlink(wallets.orders, wallets.heads, row, ORDERS, ahead, oldest)
    give_row(wallets.orders, wallets.free, ORDERS, oldest)
    return True


@kernel
def keep_lines(wallets, desk, order, lines):
    """Keep what was paid for each line, in the cart's order."""
    order.pieces = 0
    order.lines = NONE
    for i in range(len(lines) - 1, -1, -1):
        at = take_row(wallets.lines, wallets.free, LINES)
        line = wallets.lines[at]
        line.paid, line.quantity, line.returned = desk.line_paid[i], lines[i].quantity, 0
        line.next = order.lines
        order.lines = at
        order.pieces += lines[i].quantity


# --- an order's life --------------------------------------------------------------------------------------------------
@kernel
def hold_coupons(wallets, desk, owned, row, count, number, terms):
    for i in range(count):
        if desk.used[i]:
            instance = wallets.instances[instance_row(wallets, row, int(owned[i].number))]
            instance.order, instance.spent = number, desk.discount[i]
            turn(wallets, instance, terms, _HELD)


@kernel
def place_order(wallets, desk, owned, row, count, ask, lines, tables, tallies, t):
    """Keep the cart just priced as an order and hold its coupons."""
    if ask.order < 0 or order_row(wallets, row, int(ask.order)) != NONE:
        return _NO_ORDER
    if not make_order_room(wallets, row, tables, tallies):
        return _TOO_MANY
    at = take_row(wallets.orders, wallets.free, ORDERS)
    order, answer = wallets.orders[at], desk.quote[0]
    order.number, order.held_ms, order.state = ask.order, t, _ORDER_HELD
    order.paid, order.shipping, order.discount = answer.paid, answer.shipping_paid, answer.discount
    order.returned = 0
    keep_lines(wallets, desk, order, lines)
    push(wallets.orders, wallets.heads, row, ORDERS, at)
    hold_coupons(wallets, desk, owned, row, count, ask.order, tables.terms)
    wallets.due_ms[row] = min(int(wallets.due_ms[row]), t + HOLD_MS)
    return _DONE


@kernel
def checkout(wallets, desk, owned, row, customer, event, ask, lines, receipt, tables, tallies, t):
    """What a cart costs; an order also holds it."""
    count = price(wallets, desk, owned, row, customer, event, ask, lines, receipt, tables.terms, t)
    if count == NONE:
        return _CART
    if event.kind == _CHECKOUT:
        return _DONE
    return place_order(wallets, desk, owned, row, count, ask, lines, tables, tallies, t)


@kernel
def held_order(wallets, row, number):
    """Row of an order that is held; NONE."""
    at = order_row(wallets, row, number)
    if at == NONE or wallets.orders[at].state != _ORDER_HELD:
        return NONE
    return at


@kernel
def pay_order(wallets, row, at, receipt, tables, tallies):
    """A held order is paid: its coupons are redeemed."""
    order = wallets.orders[at]
    order.state = _PAID
    receipt.paid, receipt.discount = order.paid, order.discount
    number = int(order.number)
    at = int(wallets.heads[row, INSTANCES])
    while at != NONE:
        instance = wallets.instances[at]
        if instance.state == _HELD and instance.order == number:
            redeem(wallets, row, instance, tables, tallies, int(instance.spent))
            receipt.coupons += 1
            receipt.slots |= 1 << int(tables.terms[instance.terms].coupon)
        at = int(instance.next)


@kernel
def cancel(wallets, row, ask, tables, tallies, t):
    at = held_order(wallets, row, int(ask.order))
    if at == NONE:
        return _NO_ORDER
    wallets.orders[at].state = _CANCELLED
    release(wallets, row, int(ask.order), tables, tallies, t)
    return _DONE


# --- refunds ----------------------------------------------------------------------------------------------------------
@kernel
def line_row(wallets, order, number):
    """Row of an order's nth line; NONE."""
    at = int(order.lines)
    for _ in range(number):
        if at == NONE:
            break
        at = int(wallets.lines[at].next)
    return at


@kernel
def give_coupons_back(wallets, row, number, tables, tallies, t):
    at = int(wallets.heads[row, INSTANCES])
    while at != NONE:
        instance = wallets.instances[at]
        if instance.state == _REDEEMED and instance.order == number:
            give_back(wallets, row, instance, tables, tallies, t)
        at = int(instance.next)


@kernel
def return_pieces(line, order, pieces):
    """So many more pieces of a line have come back; the fen to be given for them."""
    before, after = int(line.returned), int(line.returned) + pieces
    line.returned = after
    order.pieces -= pieces
    return refunded(int(line.paid), before, after, int(line.quantity))


@kernel
def return_rest(wallets, order):
    """Every piece that has not come back yet does; the fen to be given for them."""
    amount = 0
    at = int(order.lines)
    while at != NONE:
        line = wallets.lines[at]
        amount += return_pieces(line, order, int(line.quantity) - int(line.returned))
        at = int(line.next)
    return amount


@kernel
def refund(wallets, row, ask, receipt, tables, tallies, t):
    """Give back what was paid for pieces of a line, or for all that is left (first_line NONE); shipping and coupons
    with the last piece of the order."""
    at = order_row(wallets, row, int(ask.order))
    if at == NONE or wallets.orders[at].state != _PAID:
        return _NO_ORDER
    order = wallets.orders[at]
    if ask.first_line == NONE:
        if order.pieces == 0:
            return _PIECES
        amount = return_rest(wallets, order)
    else:
        place = line_row(wallets, order, int(ask.first_line)) if ask.first_line >= 0 else NONE
        if place == NONE:
            return _NO_ORDER
        line = wallets.lines[place]
        if ask.pieces < 1 or ask.pieces > line.quantity - line.returned:
            return _PIECES
        amount = return_pieces(line, order, int(ask.pieces))
    if order.pieces == 0:
        amount += int(order.shipping)
        give_coupons_back(wallets, row, int(order.number), tables, tallies, t)
    order.returned += amount
    if order.returned > order.paid or (order.pieces == 0 and order.returned != order.paid):
        wallets.breaches[_REFUNDS] += 1
    receipt.paid = amount
    return _DONE


@kernel
def is_usable(terms, tier, city, place):
    """Whether a coupon is for this customer, here."""
    return names(terms.tiers, tier) and names(terms.regions, city) and names(terms.places, place)


@kernel
def redeem_by_hand(wallets, outbox, row, customer, event, ask, receipt, tables, tallies, t):
    """A right is used, or a code is taken at the desk for an amount that the desk states. A prize is collected: the
    Ledger says whether in time."""
    at = instance_row(wallets, row, int(ask.claim))
    if at == NONE or wallets.instances[at].state != _AVAILABLE:
        return _NO_COUPON
    instance = wallets.instances[at]
    terms = tables.terms[instance.terms]
    usable = is_usable(terms, int(customer.tier), int(event.city), int(ask.place))
    if t < terms.valid_from_ms or t >= instance.expires_ms or not usable:
        return _NO_COUPON
    receipt.number = instance.number
    if instance.marks & _PRIZE:
        return confirm(wallets, outbox, row, instance, event, tables, t)
    discount = int(terms.worth) if terms.kind == _RIGHT else max(min(int(event.amount), int(terms.cost_most)), 0)
    redeem(wallets, row, instance, tables, tallies, discount)
    close(instance, tables.terms, tallies)
    receipt.discount = discount
    return _DONE
