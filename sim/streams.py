"""Chance as data: every number is Philox(study seed, replication, customer, named decision, opportunity).

Philox4x64-10 (Salmon, Moraes, Dror, Shaw 2011), the same as NumPy's. One call gives four independent uniforms
("lanes"); each decision says what its lanes mean. Nothing is drawn in sequence, so a policy that causes one visit more
does not shift the luck of any other.
"""

import math
from enum import IntEnum

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from engine.compiled import kernel


class Draw(IntEnum):
    """Named decisions. The comment says what the opportunity is and what the lanes are."""

    PROFILE = 1  # 0: age, gender, city, tier; 1: flags and consents; 2: tags, balance, points, log-in
    JOINED = 2  # 0: time, card unused, prepaid, not bound
    VISIT_RATE = 3  # attempt of the gamma sampler
    PURCHASE_RATE = 4
    DROP_OUT_A = 5
    DROP_OUT_B = 6
    SPEND_SCALE = 7
    TASTE = 8  # topic: normal in two lanes
    VISIT = 10  # day: one lane a slot
    VISIT_TIME = 11  # day: one lane a slot
    VISIT_KEPT = 12  # visit: thinned by annoyance
    PAGE = 13  # page view: next page
    STAY = 22  # page view: -, how long
    ENTRY = 23  # visit: -, -, travels, which city
    GAP = 14  # number of the organic purchase: gap before it
    COIN = 20  # number of the organic purchase: drops out after it
    AT_PAYMENT = 21  # number of the organic purchase: tops up, drops out when it is lost
    FIRST_USE = 15  # 0: waiting time
    AMOUNT = 16  # number of the organic purchase × 64 + attempt of the gamma sampler
    INDUCED_AMOUNT = 26  # what was shown × 64 + attempt
    REACT = 17  # what was shown: reaction, its delay, act, its delay
    KIND = 18  # what was shown: -, -, -, added, brought forward or switched
    REVIVAL = 24  # what was shown: comes back for good
    LEAVING = 25  # what was shown: leaves for good
    BIND = 27  # page view: binds the card
    TOP_UP = 19  # page view: tops up of their own accord
    INSTALMENT = 28  # page view: takes an instalment plan of their own accord
    FRAUD = 29  # 0: waiting time, -, -, stopped by the safety feature
    SENSITIVITY = 30  # 0: normal in two lanes
    BASKET = 31  # basket × 32 + line: product, pieces
    ADDING = 32  # basket: adds a line, adds pieces
    DROP = 33  # coupon × 2³² + minute of the drop: attends, how late
    LISTED = 34  # page view: claims, which coupon
    CLAIMING = 35  # coupon × 2³² + second of the claim: sent twice, sent again
    USING = 36  # coupon × 2³² + second of the grant: uses, its delay, on the last day, added, forward or switched
    REFUND = 37  # number of the order: refunds, when, the whole, -
    GIVING = 38  # coupon × 2³² + second of the grant: passed on
    COLLECTING = 39  # coupon × 2³² + second of the grant: uses a right or a prize, when
    BELONGS = 41  # 0: kind of account, its group, has a second device, a second card; 1: was invited
    COMES_FROM = 42  # visit: device, network, which shared address, browser
    TRIP = 43  # period of a trip's length: away, in which city
    LOG_IN_FAILS = 44  # visit: fails, how often
    DECLINED = 45  # page view: declined, how often
    PAYS_WITH = 46  # number of the order: sent somewhere else, which card
    CHALLENGE = 47  # second of the answer × 2¹² + coupon and kind: passes, how long it takes
    APPEAL = 48  # likewise: appeals
    CONTACT = 56  # second of a trouble and its cause: gets in touch, how late twice, -
    DESK = 57  # likewise × 64 attempts × 4 + sim.desk.Lane: at the support desk
    REVIEW = 58  # second it began × 2¹⁶ + claim: how long a person takes, what that person says
    OUTAGE = 55  # second of the payment × incidents + the incident: fails
    SCHEME = 49  # number of the draw by a crew (the customer is CREWS + its number): whatever it is about
    SUPPLY = 40  # number of the order: the supplier fails (the customer is STOCK_ROOM + coupon slot)


def mul_hi(a, b):  # type: ignore[no-untyped-def]
    """High 64 bits of a u8 product; this text when interpreted, one machine instruction when compiled."""
    return np.uint64((int(a) * int(b)) >> 64)


@intrinsic
def _mul_hi_compiled(typing_context, a, b):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@overload(mul_hi)
def _mul_hi_overload(a, b):  # type: ignore[no-untyped-def]
    return lambda a, b: _mul_hi_compiled(a, b)


_M0, _M1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_W0, _W1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_SHIFT_12 = np.uint64(12)
_TO_UNIT = 1.0 / 4503599627370496.0  # 2⁻⁵²
_HALF_STEP = 0.5 * _TO_UNIT


@kernel
def philox(key0, key1, c0, c1, c2, c3):
    """Philox4x64-10 of a key and a counter, all u8; four u8."""
    for _ in range(10):
        high0, low0 = mul_hi(_M0, c0), _M0 * c0
        high1, low1 = mul_hi(_M1, c2), _M1 * c2
        c0, c1, c2, c3 = high1 ^ c1 ^ key0, low1, high0 ^ c3 ^ key1, low0
        key0 += _W0
        key1 += _W1
    return c0, c1, c2, c3


@kernel
def unit(bits):
    """u8 to a float strictly inside (0, 1): the middle of one of 2⁵² steps, which a double holds exactly."""
    return np.float64(bits >> _SHIFT_12) * _TO_UNIT + _HALF_STEP


@kernel
def uniforms(stream, customer, draw, opportunity):
    """Four uniforms in (0, 1). stream: i8[2], study seed and replication."""
    a, b, c, d = philox(
        np.uint64(stream[0]),
        np.uint64(stream[1]),
        np.uint64(opportunity),
        np.uint64(customer),
        np.uint64(draw),
        np.uint64(0),
    )
    return unit(a), unit(b), unit(c), unit(d)


@kernel
def exponential(u):
    """Mean 1, by inversion."""
    return -math.log(u)


@kernel
def normal(u, v):
    """Standard normal (Box and Muller 1958)."""
    return math.sqrt(-2.0 * math.log(u)) * math.cos(2.0 * math.pi * v)


@kernel
def gamma(stream, customer, draw, opportunity, shape):
    """Gamma with scale 1 (Marsaglia and Tsang 2000); opportunity + attempt are its keys, at most 64 of them.

    A shape below 1 is drawn at shape + 1 and multiplied by U^(1/shape).
    """
    d = (shape if shape >= 1.0 else shape + 1.0) - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    value = d
    for attempt in range(64):
        u1, u2, u3, u4 = uniforms(stream, customer, draw, opportunity + attempt)
        z = normal(u1, u2)
        v = 1.0 + c * z
        if v <= 0.0:
            continue
        v = v * v * v
        if math.log(u3) < 0.5 * z * z + d - d * v + d * math.log(v):
            value = d * v
            if shape < 1.0:
                value *= math.exp(math.log(u4) / shape)
            break
    return value
