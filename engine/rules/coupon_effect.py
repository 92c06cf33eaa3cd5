"""What one coupon takes off the cart in the till, and where its discount stays."""

from engine.compiled import kernel
from engine.coupon_records import CouponKind
from engine.records import NONE
from engine.rules.price_split import percent_of, share_out, split

_AMOUNT_OFF, _PERCENT_OFF = int(CouponKind.AMOUNT_OFF), int(CouponKind.PERCENT_OFF)
_NTH_ITEM, _FREE_SHIPPING = int(CouponKind.NTH_ITEM), int(CouponKind.FREE_SHIPPING)


@kernel
def amount_of(amounts, bits, lines):
    """Sum of the amounts of a set of lines."""
    total = 0
    for i in range(lines):
        total += amounts[i] * ((bits >> i) & 1)
    return total


@kernel
def each_full(amount, full, off):
    """floor(amount ÷ full) × off; the amount itself where that is less, since a discount is cut to it anyway."""
    times = amount // full
    if times > 0 and off > amount // times:
        return amount
    return times * off


@kernel
def discount_of(candidate, amount, left, shipping):
    """Fen a coupon takes off: `amount` is that of its lines, `left` of the lines that its discount stays on.

    It never grows as amount, left and shipping shrink; the bounds of the search rest on that.
    """
    if candidate.kind == _FREE_SHIPPING:
        return min(shipping, candidate.up_to)
    wanted = candidate.wanted
    if wanted == NONE:
        wanted = wanted_of(candidate, amount)
    return min(wanted, min(candidate.up_to, left))


@kernel
def wanted_of(candidate, amount):
    if candidate.kind == _PERCENT_OFF:
        return percent_of(amount, candidate.rate)
    return each_full(amount, candidate.full, candidate.off)


@kernel
def prepare_effect(till, candidate):
    """Note what of a coupon's effect depends on the cart alone; bits of the lines that its discount stays on."""
    candidate.wanted = NONE
    if candidate.kind == _NTH_ITEM:
        candidate.wanted = percent_of(weigh_pieces(till, candidate), candidate.rate)
        stays = 0
        for i in range(till.lines):
            stays |= int(till.weights[i] > 0) << i
        return stays
    if candidate.kind == _AMOUNT_OFF:
        candidate.wanted = candidate.off
    elif candidate.original and candidate.kind != _FREE_SHIPPING:
        candidate.wanted = wanted_of(candidate, amount_of(till.whole, candidate.items, till.lines))
    return int(candidate.items)


@kernel
def weigh_pieces(till, candidate):
    """Weights of an nth_item coupon: the price of the pieces of each line that become cheaper; their sum.

    Across lines, pieces go from dearest to cheapest and every nth of them is cheaper; else each line counts alone.
    """
    pieces = 0
    total = 0
    for place in range(till.lines):
        i = till.dearest[place]
        weight = 0
        if (candidate.items >> i) & 1:
            before = pieces if candidate.across else 0
            pieces = before + till.pieces[i]
            weight = (pieces // candidate.every - before // candidate.every) * till.price[i]
        till.weights[i] = weight
        total += weight
    return total


@kernel
def take_off(till, candidate, discount, source, target):
    """What is left of each line at level `target`: that of `source` after a coupon's discount. Fills the shares."""
    left = till.levels[source].left
    if candidate.kind == _FREE_SHIPPING or discount == 0:
        for i in range(till.lines):
            till.shares[i] = 0
    elif candidate.kind == _NTH_ITEM or candidate.original:
        weigh(till, candidate)
        split(discount, till.weights, left, till.shares, till.portions, till.remainders, till.lines)
    else:
        whole = 0
        for i in range(till.lines):
            till.weights[i] = left[i] * ((candidate.items >> i) & 1)
            whole += till.weights[i]
        share_out(discount, till.weights, whole, till.shares, till.remainders, till.lines)
    for i in range(till.lines):
        till.levels[target].left[i] = left[i] - till.shares[i]


@kernel
def weigh(till, candidate):
    """Fill the weights by which a discount is split that does not go by what is left of its lines."""
    if candidate.kind == _NTH_ITEM:
        weigh_pieces(till, candidate)
        return
    for i in range(till.lines):
        till.weights[i] = till.whole[i] * ((candidate.items >> i) & 1)


@kernel
def shipping_off(candidate, discount):
    """The part of a discount that shipping bears."""
    return discount if candidate.kind == _FREE_SHIPPING else 0
