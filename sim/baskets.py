"""Baskets: what a customer puts into the cart, and what they add when a coupon is within reach."""

import math

from engine.compiled import kernel, routine
from engine.coupon_records import EVERYTHING, LINES_MAX, CouponKind
from engine.records import NONE
from sim.measures import count_day
from sim.model import Daily, Mark
from sim.origins import hunts
from sim.population import category, purchase_amount, spend_scale
from sim.streams import Draw, exponential, gamma, uniforms

_BASKET, _ADDING, _INDUCED_AMOUNT = int(Draw.BASKET), int(Draw.ADDING), int(Draw.INDUCED_AMOUNT)
_AMOUNT_OFF, _EACH_FULL = int(CouponKind.AMOUNT_OFF), int(CouponKind.EACH_FULL)
_PERCENT_OFF, _NTH_ITEM = int(CouponKind.PERCENT_OFF), int(CouponKind.NTH_ITEM)
_FREE_SHIPPING = int(CouponKind.FREE_SHIPPING)
_FOR_COUPON, _LINES_ADDED = int(Mark.FOR_COUPON), int(Daily.LINES_ADDED)
FIRST_TRIES = 4  # products looked at for one that is within the amount


# --- what a coupon is worth to a customer -----------------------------------------------------------------------------
@kernel
def usual_amount(model, customer):
    """Fen of the customer's mean basket."""
    return model.numbers[0].spend_p * spend_scale(model, customer)


@kernel
def discount_in_sight(model, terms, amount):
    """Fen a coupon takes off a basket of the customer's usual amount; a threshold out of reach takes it away."""
    off = 0.0
    if terms.kind == _AMOUNT_OFF:
        off = float(terms.off)
    elif terms.kind == _EACH_FULL:
        off = min(math.floor(max(amount, terms.full) / terms.full) * terms.off, float(terms.up_to))
    elif terms.kind == _PERCENT_OFF:
        off = min(max(amount, terms.over) * terms.rate / 1e6, float(terms.up_to))
    elif terms.kind == _NTH_ITEM:
        off = amount * terms.rate / 1e6 / max(terms.every, 2)
    elif terms.kind == _FREE_SHIPPING:
        off = float(model.shop[0].shipping)
    else:
        off = float(terms.worth)
    if terms.over > amount:
        reach = amount / terms.over
        off *= reach * reach
    return off


@kernel
def pull(model, shopper, customer, terms):
    """How much a coupon draws this customer, 0 to 1: half at `pull_half` fen, sooner for the price-sensitive."""
    worth = shopper.sensitivity * discount_in_sight(model, terms, usual_amount(model, customer))
    return worth / (worth + model.shop[0].pull_half)


# --- the cart ---------------------------------------------------------------------------------------------------------
@kernel
def basket_amount(model, visitor, shopper, customer):
    """Fen that this basket is to be worth, about."""
    key = int(shopper.basket_key)
    if visitor.marks & _FOR_COUPON:
        size = gamma(model.stream, customer, _INDUCED_AMOUNT, key * 64, model.numbers[0].spend_p)
        return max(1, int(size * spend_scale(model, customer)))
    return purchase_amount(model, customer, key)


@kernel
def put_line(lines, count, product, pieces):
    line = lines[count]
    line.unit_price, line.quantity = product.price, pieces
    line.category, line.brand, line.product = product.category, product.brand, product.product


@kernel
def first_product(model, customer, key, amount):
    """Place of the first product: what the customer fancies, within the amount if a few tries find such."""
    for i in range(FIRST_TRIES):
        u, _, _, _ = uniforms(model.stream, customer, _BASKET, key + LINES_MAX - 1 - i)
        place = category(model.product_shares, u)
        if model.products[place].price <= amount:
            return place
    return 0


@kernel
def pieces_of(model, u, price, left):
    """Pieces of a line: some customers take several, as far as the amount goes."""
    wanted = 1 + int(exponential(u) * (model.shop[0].pieces_mean - 1.0))
    return max(1, min(wanted, left // max(int(price), 1)))


@routine
def fill_basket(model, visitor, shopper, customer, lines):
    """Write the cart into lines (LINE[≥ LINES_MAX]); returns how many. The same key gives the same basket."""
    amount = basket_amount(model, visitor, shopper, customer)
    key = int(shopper.basket_key) * LINES_MAX
    total, count = 0, 0
    for j in range(LINES_MAX - FIRST_TRIES - 1):
        u, v, _, _ = uniforms(model.stream, customer, _BASKET, key + j)
        place = first_product(model, customer, key, amount) if j == 0 else category(model.product_shares, u)
        product = model.products[place]
        pieces = pieces_of(model, v, product.price, amount - total)
        worth = int(product.price) * pieces
        if j > 0 and total + worth // 2 > amount:
            break
        put_line(lines, count, product, pieces)
        count, total = count + 1, total + worth
        if total >= amount:
            break
    return with_additions(model, shopper, lines, count)


@kernel
def with_additions(model, shopper, lines, count):
    """What was added for a coupon's sake; returns how many lines there are."""
    if shopper.doubled_line != NONE:
        lines[shopper.doubled_line].quantity += shopper.added_pieces
    elif shopper.added_product != NONE:
        put_line(lines, count, model.products[shopper.added_product], shopper.added_pieces)
        count += 1
    return count


# --- adding -----------------------------------------------------------------------------------------------------------
@kernel
def fits(mask, number):
    return mask == EVERYTHING or (number >= 0 and (mask >> number) & 1 == 1)


@kernel
def is_for(terms, item):
    """Whether a coupon is for a product or line."""
    kind, brand = int(item.category), int(item.brand)
    return fits(terms.categories, kind) and fits(terms.brands, brand) and fits(terms.products, int(item.product))


@kernel
def fitting_product(model, terms, missing):
    """Place of the product with which the missing amount is reached most closely, and its pieces; (NONE, 0)."""
    best, best_pieces, best_over = NONE, 0, 0
    for place in range(len(model.products)):
        product = model.products[place]
        if not is_for(terms, product) or product.price <= 0:
            continue
        pieces = int((missing + product.price - 1) // product.price)
        over = pieces * int(product.price) - missing
        if best == NONE or over < best_over:
            best, best_pieces, best_over = place, pieces, over
    return best, best_pieces


@kernel
def add_line(model, crowd, shopper, receipt, u, t):
    """Told what is missing to a threshold, a customer may add it; returns whether they did."""
    saves = shopper.sensitivity * float(receipt.unlock_saves)
    if u >= model.shop[0].adds_lines * saves / (saves + model.shop[0].pull_half):
        return False
    place, pieces = fitting_product(model, model.terms[receipt.unlock_terms], int(receipt.unlock_missing))
    if place == NONE:
        return False
    shopper.added_product, shopper.added_pieces = place, pieces
    count_day(crowd, model, t, _LINES_ADDED, 1)
    return True


@kernel
def add_piece(model, crowd, shopper, lines, count, u, t):
    """Whoever has a coupon for the nth piece may take one more of a line; returns whether they did."""
    for slot in range(len(model.offers)):
        if (shopper.held >> slot) & 1 == 0 or model.offers[slot].terms == NONE:
            continue
        terms = model.terms[model.offers[slot].terms]
        if terms.kind != _NTH_ITEM:
            continue
        for i in range(count):
            short = int(terms.every) - int(lines[i].quantity)
            saves = shopper.sensitivity * lines[i].unit_price * terms.rate / 1e6
            if short <= 0 or not is_for(terms, lines[i]):
                continue
            if u < model.shop[0].adds_pieces * saves / (saves + model.shop[0].pull_half):
                shopper.doubled_line, shopper.added_pieces = i, short
                count_day(crowd, model, t, _LINES_ADDED, 1)
                return True
            return False
    return False


@kernel
def consider_adding(model, crowd, shopper, customer, lines, count, receipt, t):
    """Once a basket, after the first price; returns whether something was added."""
    if shopper.considered:
        return False
    shopper.considered = 1
    if count >= LINES_MAX - 1:
        return False
    u, v, _, _ = uniforms(model.stream, customer, _ADDING, int(shopper.basket_key))
    if hunts(crowd, customer):
        u, v = 0.0, 0.0  # always, where it saves anything
    if receipt.unlock_missing > 0 and receipt.unlock_terms != NONE:
        return add_line(model, crowd, shopper, receipt, u, t)
    return add_piece(model, crowd, shopper, lines, count, v, t)
