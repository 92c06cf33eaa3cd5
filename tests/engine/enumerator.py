"""A third pricing of carts: every subset of the coupons, compiled, so that a hundred thousand carts can be checked.

Written from the words, apart from the engine and from the naive reference, which it must equal itself. Amounts must be
small enough that products of two of them fit an i8.
"""

from typing import Any, NamedTuple

import numba
import numpy as np

import engine.compiled  # noqa: F401  # names the folder where compiled functions are kept
from engine.coupon_records import EVERYTHING, CheckoutReason, CouponKind
from engine.records import NONE, SHARE_ONE


class Enumerated(NamedTuple):
    """What the engine's desk says after a checkout; arrays go with the coupons as owned and the lines as given."""

    paid: int
    shipping_paid: int
    used: np.ndarray
    discount: np.ndarray
    reason: np.ndarray
    missing: np.ndarray
    line_paid: np.ndarray
    unlock_owned: int
    unlock_missing: int
    unlock_saves: int


def compiled(function: Any) -> Any:
    return numba.njit(cache=True)(function)


_AMOUNT_OFF, _EACH_FULL, _PERCENT_OFF = (
    int(CouponKind.AMOUNT_OFF),
    int(CouponKind.EACH_FULL),
    int(CouponKind.PERCENT_OFF),
)
_NTH_ITEM, _FREE_SHIPPING, _RIGHT = int(CouponKind.NTH_ITEM), int(CouponKind.FREE_SHIPPING), int(CouponKind.RIGHT)
_REASONS = tuple(int(reason) for reason in CheckoutReason)
_USED, _NOT_YET, _EXPIRED, _PLACE, _REGION, _MEMBERS, _NO_ITEMS, _THRESHOLD, _NO_EFFECT, _NOT_BEST = _REASONS


# --- lines and masks --------------------------------------------------------------------------------------------------
@compiled
def allowed(mask, number):
    if mask == EVERYTHING:
        return True
    return 0 <= number < 63 and (mask >> number) % 2 == 1


@compiled
def matrix_of(price, category, brand, product, owned, terms):
    """Which line each owned coupon is for."""
    matrix = np.zeros((len(owned), len(price)), np.bool_)
    for k in range(len(owned)):
        row = terms[owned[k].terms]
        for i in range(len(price)):
            matrix[k, i] = (
                allowed(row.categories, category[i])
                and allowed(row.brands, brand[i])
                and allowed(row.products, product[i])
            )
    return matrix


@compiled
def reduced_pieces(row, mine, price, quantity):
    """How many pieces of each line an nth_item makes cheaper."""
    cheap = np.zeros(len(price), np.int64)
    if row.across == 0:
        for i in range(len(price)):
            if mine[i]:
                cheap[i] = quantity[i] // row.every
        return cheap
    order = np.argsort(-price, kind="mergesort")
    seen = 0
    for i in order:
        if mine[i]:
            first = seen // row.every
            seen += quantity[i]
            cheap[i] = seen // row.every - first
    return cheap


# --- one coupon -------------------------------------------------------------------------------------------------------
@compiled
def divide(discount, weight, room):
    """Shares of a discount."""
    n = len(weight)
    share = np.zeros(n, np.int64)
    weight = weight.copy()
    over = discount
    while over > 0:
        total = weight.sum()
        exact = over * weight
        part = exact // total
        fraction = exact - part * total
        for _ in range(over - part.sum()):
            winner = np.argmax(fraction)
            part[winner] += 1
            fraction[winner] = -1
        share += part
        over = 0
        for i in range(n):
            if share[i] > room[i]:
                over += share[i] - room[i]
                share[i] = room[i]
            if share[i] == room[i]:
                weight[i] = 0
    return share


@compiled
def threshold(row):
    return row.full if row.kind == _EACH_FULL else row.over


@compiled
def basis(row, mine, price, quantity, rest):
    total = 0
    for i in range(len(price)):
        if mine[i]:
            total += price[i] * quantity[i] if row.original == 1 else rest[i]
    return total


@compiled
def effect(row, mine, price, quantity, rest, shipping):
    """A coupon whose threshold is reached: how much it takes off each line, and off the shipping."""
    n = len(price)
    none = np.zeros(n, np.int64)
    if row.kind == _FREE_SHIPPING:
        return none, min(shipping, row.up_to)
    weight = np.zeros(n, np.int64)
    if row.kind == _NTH_ITEM:
        weight = reduced_pieces(row, mine, price, quantity) * price
        wish = weight.sum() * row.rate // SHARE_ONE
    else:
        amount = basis(row, mine, price, quantity, rest)
        for i in range(n):
            if mine[i]:
                weight[i] = price[i] * quantity[i] if row.original == 1 else rest[i]
        if row.kind == _AMOUNT_OFF:
            wish = row.off
        elif row.kind == _EACH_FULL:
            wish = amount // row.full * row.off
        else:
            wish = amount * row.rate // SHARE_ONE
    possible = 0
    for i in range(n):
        if weight[i] > 0:
            possible += rest[i]
    discount = min(wish, min(possible, row.up_to))
    if discount == 0:
        return none, 0
    return divide(discount, weight, rest), 0


@compiled
def run(sequence, owned, terms, matrix, price, quantity, shipping):
    """Coupons one after the other: rest of each line, rest of shipping, discount of each, whether all were reached."""
    rest = price * quantity
    discount = np.zeros(len(sequence), np.int64)
    legal = True
    for s in range(len(sequence)):
        k = sequence[s]
        row = terms[owned[k].terms]
        if basis(row, matrix[k], price, quantity, rest) < threshold(row):
            legal = False
            continue
        share, freight = effect(row, matrix[k], price, quantity, rest, shipping)
        rest = rest - share
        shipping -= freight
        discount[s] = share.sum() + freight
    return rest, shipping, discount, legal


# --- sets -------------------------------------------------------------------------------------------------------------
@compiled
def excluded(one, other):
    if one.exclusive == 1 or other.exclusive == 1:
        return True
    return (one.not_with >> int(other.coupon)) % 2 == 1 or (other.not_with >> int(one.coupon)) % 2 == 1


@compiled
def crowded(sequence, extra, owned, terms):
    """Whether a group holds more than one of its coupons allows; `extra` is one more coupon or NONE."""
    for a in range(-1, len(sequence)):
        k = sequence[a] if a >= 0 else extra
        if k == NONE:
            continue
        one = terms[owned[k].terms]
        members = 0
        for b in range(-1, len(sequence)):
            other = sequence[b] if b >= 0 else extra
            if other != NONE and terms[owned[other].terms].group == one.group:
                members += 1
        if members > one.group_most:
            return True
    return False


@compiled
def members_of(subset, order):
    """Coupons of a subset in the order of application."""
    size = 0
    for place in range(len(order)):
        size += (subset >> place) & 1
    sequence = np.zeros(size, np.int64)
    at = 0
    for place in range(len(order)):
        if (subset >> place) & 1:
            sequence[at] = order[place]
            at += 1
    return sequence


@compiled
def beats(sequence, other, owned, terms):
    """Between two sets that cost the same."""
    if len(sequence) != len(other):
        return len(sequence) < len(other)
    for column in range(3):
        mine = np.zeros(len(sequence), np.int64)
        yours = np.zeros(len(sequence), np.int64)
        for s in range(len(sequence)):
            a, b = owned[sequence[s]], owned[other[s]]
            mine[s] = a.expires_ms if column == 0 else (terms[a.terms].declared if column == 1 else a.number)
            yours[s] = b.expires_ms if column == 0 else (terms[b.terms].declared if column == 1 else b.number)
        mine.sort()
        yours.sort()
        for s in range(len(mine)):
            if mine[s] != yours[s]:
                return mine[s] < yours[s]
    return False


@compiled
def cheapest(order, must, owned, terms, matrix, price, quantity, shipping):
    """The best set of the coupons in `order` that holds `must` (NONE: any); its discount, NONE if there is no set."""
    n = len(order)
    clash = np.zeros(n, np.int64)
    needed = 0
    for a in range(n):
        if order[a] == must:
            needed = 1 << a
        for b in range(n):
            if a != b and excluded(terms[owned[order[a]].terms], terms[owned[order[b]].terms]):
                clash[a] |= 1 << b
    best = np.zeros(0, np.int64)
    most = NONE
    for subset in range(1 << n):
        if subset & needed != needed:
            continue
        stands = True
        for a in range(n):
            if (subset >> a) & 1 and subset & clash[a]:
                stands = False
        if not stands:
            continue
        sequence = members_of(subset, order)
        if crowded(sequence, NONE, owned, terms):
            continue
        _, _, discount, legal = run(sequence, owned, terms, matrix, price, quantity, shipping)
        total = discount.sum()
        if legal and (total > most or (total == most and beats(sequence, best, owned, terms))):
            most = total
            best = sequence
    return best, most


# --- a cart -----------------------------------------------------------------------------------------------------------
@compiled
def refused(row, coupon, mine, tier, city, place, t):
    if t < row.valid_from_ms:
        return _NOT_YET
    if t >= coupon.expires_ms:
        return _EXPIRED
    if not allowed(row.places, place):
        return _PLACE
    if not allowed(row.regions, city):
        return _REGION
    if not allowed(row.tiers, tier):
        return _MEMBERS
    if not mine.any():
        return _NO_ITEMS
    return _NO_EFFECT if row.kind == _RIGHT else _USED


@compiled
def application_order(able, owned, terms):
    """Owned coupons that can be used: by stage, declaration, row of terms, claim number."""
    order = able.copy()
    for end in range(len(order), 1, -1):
        for b in range(end - 1):
            x, y = owned[order[b]], owned[order[b + 1]]
            one = (int(terms[x.terms].stage), int(terms[x.terms].declared), int(x.terms), int(x.number))
            two = (int(terms[y.terms].stage), int(terms[y.terms].declared), int(y.terms), int(y.number))
            if two < one:
                order[b], order[b + 1] = order[b + 1], order[b]
    return order


@compiled
def companions(k, best, order, owned, terms):
    """Coupons of the answer that may stand beside k and come before it."""
    row = terms[owned[k].terms]
    stays = np.zeros(len(best), np.bool_)
    for s in range(len(best)):
        stays[s] = not excluded(row, terms[owned[best[s]].terms])
    full = crowded(best[stays], k, owned, terms)
    for s in range(len(best)):
        later = np.argmax(order == best[s]) > np.argmax(order == k)
        if later or (full and terms[owned[best[s]].terms].group == row.group):
            stays[s] = False
    return best[stays]


@compiled
def lowest(mask):
    if mask == EVERYTHING:
        return NONE
    for number in range(63):
        if (mask >> number) % 2 == 1:
            return number
    return NONE


@compiled
def longer(values, value):
    return np.append(values, np.int64(value))


@compiled
def gain(k, lacking, order, most, owned, terms, price, quantity, category, brand, product, shipping):
    """How much more the best set with k takes off when a piece for the missing amount is added."""
    row = terms[owned[k].terms]
    price, quantity = longer(price, lacking), longer(quantity, 1)
    category, brand = longer(category, lowest(row.categories)), longer(brand, lowest(row.brands))
    product = longer(product, lowest(row.products))
    matrix = matrix_of(price, category, brand, product, owned, terms)
    _, found = cheapest(order, k, owned, terms, matrix, price, quantity, shipping)
    return max(found - most, 0)


@compiled
def enumerated(lines, shipping, owned, terms, tier, city, place, t):
    price, quantity = lines.unit_price.astype(np.int64), lines.quantity.astype(np.int64)
    category, brand = lines["category"].astype(np.int64), lines["brand"].astype(np.int64)
    product = lines["product"].astype(np.int64)
    n = len(owned)
    matrix = matrix_of(price, category, brand, product, owned, terms)
    used, reason = np.zeros(n, np.int64), np.zeros(n, np.int64)
    discount, missing = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for k in range(n):
        reason[k] = refused(terms[owned[k].terms], owned[k], matrix[k], tier, city, place, t)
    order = application_order(np.flatnonzero(reason == _USED), owned, terms)
    best, most = cheapest(order, NONE, owned, terms, matrix, price, quantity, shipping)
    rest, freight, discounts, _ = run(best, owned, terms, matrix, price, quantity, shipping)
    for s in range(len(best)):
        used[best[s]] = 1
        discount[best[s]] = discounts[s]
    unlock, unlock_missing, unlock_saves = NONE, 0, 0
    for k in range(n):
        if reason[k] != _USED or used[k] == 1:
            continue
        row = terms[owned[k].terms]
        beside = companions(k, best, order, owned, terms)
        there, carriage, _, _ = run(beside, owned, terms, matrix, price, quantity, shipping)
        lacking = threshold(row) - basis(row, matrix[k], price, quantity, there)
        if lacking <= 0:
            share, carried = effect(row, matrix[k], price, quantity, there, carriage)
            reason[k] = _NOT_BEST if share.sum() + carried > 0 else _NO_EFFECT
            continue
        reason[k] = _THRESHOLD
        saves = gain(k, lacking, order, most, owned, terms, price, quantity, category, brand, product, shipping)
        if saves > 0:
            missing[k] = lacking
            if saves > unlock_saves or (saves == unlock_saves and lacking < unlock_missing):
                unlock, unlock_missing, unlock_saves = k, lacking, saves
    paid = rest.sum() + freight
    return paid, freight, used, discount, reason, missing, rest, unlock, unlock_missing, unlock_saves


def enumerate_cart(
    lines: Any, shipping: int, owned: Any, terms: Any, tier: int, city: int, place: int, t: int
) -> Enumerated:
    """Every legal combination tried; arguments as `engine.rules.checkout.quote` takes them."""
    return Enumerated(*enumerated(lines, shipping, owned, terms, tier, city, place, t))
