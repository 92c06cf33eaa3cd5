"""Exact arithmetic of prices: percentages, proportions, and the split of a discount over lines, to the fen."""

from engine.compiled import kernel
from engine.records import SHARE_ONE

_PRODUCT_MAX = 1 << 62
_DIGIT_BITS = 6
_DIGIT = (1 << _DIGIT_BITS) - 1


@kernel
def percent_of(amount, rate):
    """floor(amount × rate ÷ 1 000 000), for amounts whose product with a rate an i8 does not hold."""
    return amount // SHARE_ONE * rate + amount % SHARE_ONE * rate // SHARE_ONE


@kernel
def proportion(total, weight, whole, fits):
    """Quotient and remainder of total × weight ÷ whole; whole up to 2**56, weight up to whole. `fits`: so does
    total × whole into an i8."""
    if fits:
        product = total * weight
        quotient = product // whole
        return quotient, product - quotient * whole
    # Long division, six bits of the weight at a time: a remainder times 64 still fits.
    part = total % whole
    quotient = total // whole * weight
    remainder = 0
    shift = 0
    while weight >> shift > 0:
        shift += _DIGIT_BITS
    while shift > 0:
        shift -= _DIGIT_BITS
        remainder = (remainder << _DIGIT_BITS) + ((weight >> shift) & _DIGIT) * part
        quotient += remainder // whole << shift
        remainder = remainder % whole
    return quotient, remainder


@kernel
def split(discount, weights, most, shares, portions, remainders, lines):
    """Fill `shares` with a discount's part of each line: by weight, the largest remainder, then the earlier line.

    No share is above `most`; the excess is split among the others. Weights are used up. A line whose weight is 0 must
    have nothing to take or take no part.
    """
    for i in range(lines):
        shares[i] = 0
    excess = int(discount)
    while excess > 0:
        whole = 0
        for i in range(lines):
            whole += weights[i]
        share_out(excess, weights, whole, portions, remainders, lines)
        excess = 0
        for i in range(lines):
            shares[i] += portions[i]
            if weights[i] > 0 and shares[i] >= most[i]:
                excess += shares[i] - most[i]
                shares[i] = most[i]
                weights[i] = 0


@kernel
def share_out(total, weights, whole, portions, remainders, lines):
    """Fill `portions` with the parts of `total` by weight, the largest remainder, then the earlier line. `whole`: the
    sum of the weights, at least 1."""
    over = int(total)
    fits = total <= _PRODUCT_MAX // whole
    for i in range(lines):
        portion, remainder = proportion(total, weights[i], whole, fits)
        portions[i] = portion
        remainders[i] = remainder
        over -= portion
    if over == 0:
        return
    bar = bar_of(remainders, over, whole, lines)
    for i in range(lines):
        over -= int(remainders[i] > bar)
    for i in range(lines):
        portions[i] += int(remainders[i] > bar or (remainders[i] == bar and over > 0))
        over -= int(remainders[i] == bar)


@kernel
def bar_of(remainders, places, whole, lines):
    """What the `places` largest remainders reach, and fewer exceed. All are below `whole`: halving beats sorting."""
    bar = 0
    beyond = int(whole)  # fewer than `places` reach it
    while beyond - bar > 1:
        middle = (bar + beyond) >> 1
        reach = 0
        for i in range(lines):
            reach += int(remainders[i] >= middle)
        if reach == places:
            return middle - 1
        if reach > places:
            bar = middle
        else:
            beyond = middle
    return bar


@kernel
def refunded(paid, before, after, quantity):
    """Fen given back when the pieces returned of a line grow from `before` to `after` of its `quantity`."""
    return returned(paid, after, quantity) - returned(paid, before, quantity)


@kernel
def returned(paid, pieces, quantity):
    """floor(paid × pieces ÷ quantity)."""
    return paid // quantity * pieces + paid % quantity * pieces // quantity
