"""What a customer is worth to the issuer: margin, rewards, discounts, losses to fraud, and the value still to come."""

import math

from engine.compiled import entry, kernel
from engine.records import DAY_MS, NEVER_MS, NONE
from sim.arrivals import drop_chance
from sim.model import Mark, Measure, Seen, Span, Stage
from sim.population import spend_scale
from sim.streams import Draw, exponential, uniforms

_FRAUD, _LAUNCH, _END = int(Draw.FRAUD), int(Span.LAUNCH), int(Span.END)
_SAFE, _SKIP, _USED, _DROPPED = int(Mark.SAFE), int(Mark.SKIP_ORGANIC), int(Mark.USED), int(Mark.DROPPED)
_UNBOUND, _GONE_BEFORE, _USED_BEFORE = int(Mark.UNBOUND), int(Mark.GONE_BEFORE), int(Mark.USED_BEFORE)
_GONE = int(Stage.GONE)
_VISITS, _EXPOSURES, _CLICKS = int(Measure.VISITS), int(Measure.EXPOSURES), int(Measure.CLICKS)
_NEGATIVES, _COMPLAINTS = int(Measure.NEGATIVES), int(Measure.COMPLAINTS)
_CLOSES_AND_MUTES, _CONVERSIONS = int(Measure.CLOSES_AND_MUTES), int(Measure.CONVERSIONS)
_PAYMENTS, _FIRST_PAYMENTS = int(Measure.PAYMENTS), int(Measure.FIRST_PAYMENTS)
_INSTALMENTS, _SPEND, _REWARDS = int(Measure.INSTALMENTS), int(Measure.SPEND), int(Measure.REWARDS)
_CHANNEL_COST, _FRAUD_LOSS = int(Measure.CHANNEL_COST), int(Measure.FRAUD_LOSS)
_LEFT_ANNOYED, _CLOSING_VALUE = int(Measure.LEFT_ANNOYED), int(Measure.CLOSING_VALUE)
_PROFIT, _BEFORE_VISITS = int(Measure.PROFIT), int(Measure.BEFORE_VISITS)
_BEFORE_SPEND = int(Measure.BEFORE_SPEND)
_DISCOUNTS, _LIABILITY = int(Measure.DISCOUNTS), int(Measure.LIABILITY)
_ORDERS, _GOODS, _PIECES = int(Measure.ORDERS), int(Measure.GOODS), int(Measure.PIECES)
_HELD_OUT = int(Seen.HELD_OUT)
_RATE_LEAST = 1e-12
_WAIT_MOST_DAYS = 40_000.0


# --- fraud ------------------------------------------------------------------------------------------------------------
@kernel
def fraud_at(model, crowd, customer):
    """When a fraudster gets at this customer's account, counted from launch, unless the safety feature stops it."""
    rate = model.numbers[0].fraud_rate
    if rate <= 0.0:
        return NEVER_MS
    u, _, _, _ = uniforms(model.stream, customer, _FRAUD, 0)
    return int(crowd.span[_LAUNCH]) + int(min(exponential(u) / rate, _WAIT_MOST_DAYS) * DAY_MS)


@kernel
def protect(model, crowd, visitor, customer, t):
    """The safety feature is used: it stops a later fraud in a share of the cases."""
    _, _, _, u = uniforms(model.stream, customer, _FRAUD, 0)
    if u < model.numbers[0].protects and t < fraud_at(model, crowd, customer):
        visitor.marks |= _SAFE


@kernel
def fraud_loss(model, crowd, visitor, customer):
    """Fen lost to fraud since launch."""
    if visitor.marks & _SAFE or fraud_at(model, crowd, customer) >= crowd.span[_END]:
        return 0
    return int(model.numbers[0].fraud_loss)


# --- closing value ----------------------------------------------------------------------------------------------------
@kernel
def purchases_expected(rate, drop, days):
    """Of an active customer over so many days, (1 - e^(-λpt)) / p (Fader, Hardie, Lee 2005, equation 7, given λ, p)."""
    if drop < _RATE_LEAST:
        return rate * days
    return (1.0 - math.exp(-rate * drop * days)) / drop


@kernel
def purchases_expected_of_unused(first_use, rate, drop, days):
    """The same where the first use is still to come, after an exponential wait at rate `first_use`."""
    used = 1.0 - math.exp(-first_use * days)
    gap = first_use - rate * drop
    if abs(gap) < _RATE_LEAST:
        left = first_use * days * math.exp(-first_use * days)
    else:
        left = first_use * math.exp(-rate * drop * days) * (1.0 - math.exp(-gap * days)) / gap
    return used + (used - left) / max(drop, _RATE_LEAST)


@kernel
def closing_value(model, visitor, customer):
    """Fen of margin expected of this customer's organic purchases over the horizon, given their state at the end.

    The rates are the customer's own, which no issuer knows: the truth of a simulated world needs no estimate of them.
    """
    n = model.numbers[0]
    if n.margin <= 0.0 or visitor.stage == _GONE or visitor.marks & (_DROPPED | _UNBOUND):
        return 0
    rate, drop = visitor.purchase_rate, drop_chance(model, customer)
    if visitor.marks & _USED:
        purchases = purchases_expected(rate, drop, n.horizon_days)
        if visitor.marks & _SKIP:  # the next one has been brought forward or switched: it passes without money
            purchases -= 1.0 - math.exp(-rate * n.horizon_days)
    else:
        purchases = purchases_expected_of_unused(n.first_use_rate, rate, drop, n.horizon_days)
    return int(purchases * n.spend_p * spend_scale(model, customer) * n.margin)


# --- measures of one customer -----------------------------------------------------------------------------------------
@kernel
def add_outcomes(crowd, model, visitor, values):
    """What a customer did with messages, rewards redeemed and exposures paid for, over all campaigns they have met.
    What a campaign's coupon takes off is a discount, not a reward as well."""
    row = int(visitor.first_row)
    while row != NONE:
        outcome = crowd.outcomes[row]
        values[_EXPOSURES] += int(outcome.exposures)
        values[_CLICKS] += int(outcome.clicks)
        values[_NEGATIVES] += int(outcome.negatives)
        values[_CONVERSIONS] += int(outcome.conversions)
        campaign = model.campaigns[outcome.campaign]
        if campaign.coupon == NONE:
            values[_REWARDS] += int(outcome.redeemed) * int(model.faces[outcome.campaign, outcome.arm].reward)
        values[_CHANNEL_COST] += int(outcome.exposures) * int(campaign.cost)
        row = int(outcome.next)


@kernel
def add_orders(crowd, row, values):
    """What a customer bought with baskets, what coupons took off, and what those still open are expected to cost."""
    if len(crowd.shoppers) == 0:
        return
    shopper = crowd.shoppers[row]
    values[_ORDERS], values[_GOODS], values[_PIECES] = shopper.orders, shopper.goods, shopper.pieces
    values[_DISCOUNTS], values[_LIABILITY] = shopper.discounts, shopper.liability


@kernel
def measure_customer(crowd, model, row, values):
    """Write one customer's measures since launch (i8[len(Measure)])."""
    n = model.numbers[0]
    visitor = crowd.visitors[row]
    customer = int(crowd.first[0]) + row
    values[:] = 0
    add_outcomes(crowd, model, visitor, values)
    values[_VISITS], values[_PAYMENTS] = visitor.visits, visitor.payments
    values[_COMPLAINTS] = visitor.complaints
    values[_CLOSES_AND_MUTES] = values[_NEGATIVES] - values[_COMPLAINTS]
    if visitor.marks & _USED and visitor.marks & _USED_BEFORE == 0:
        values[_FIRST_PAYMENTS] = 1
    values[_INSTALMENTS], values[_SPEND] = visitor.instalments, visitor.spend
    values[_FRAUD_LOSS] = fraud_loss(model, crowd, visitor, customer)
    if visitor.stage == _GONE and visitor.marks & _GONE_BEFORE == 0:
        values[_LEFT_ANNOYED] = 1
    values[_CLOSING_VALUE] = closing_value(model, visitor, customer)
    add_orders(crowd, row, values)
    costs = values[_REWARDS] + values[_DISCOUNTS] + values[_CHANNEL_COST] + values[_FRAUD_LOSS] + values[_LIABILITY]
    costs += values[_COMPLAINTS] * int(n.complaint_cost)
    values[_PROFIT] = int(n.margin * values[_SPEND]) - costs + values[_CLOSING_VALUE]
    values[_BEFORE_VISITS], values[_BEFORE_SPEND] = visitor.before_visits, visitor.before_spend


@entry
def measure_customers(crowd, model, first_row, values):
    """Write the measures of len(values) customers from a row on; values: i8[n, len(Measure)]."""
    for i in range(len(values)):
        measure_customer(crowd, model, first_row + i, values[i])


# --- while a campaign runs --------------------------------------------------------------------------------------------
@entry
def sum_so_far(crowd, apart, sums):
    """Add up what the customers of each campaign's analysis have spent so far within its goal's window.

    apart: bool[customers], the universal holdout, in no campaign's analysis. sums: i8[slots, 2, 4], by whether held
    out: customers, spend, squares of spend in high and low part (2**20).
    """
    for row in range(len(crowd.visitors)):
        at = NONE if apart[row] else int(crowd.visitors[row].first_row)
        while at != NONE:
            outcome = crowd.outcomes[at]
            at = int(outcome.next)
            if outcome.first_ms == 0:
                continue
            group = sums[outcome.campaign, 1 if outcome.marks & _HELD_OUT else 0]
            square = int(outcome.spend) * int(outcome.spend)
            group[0] += 1
            group[1] += outcome.spend
            group[2] += square >> 20
            group[3] += square & ((1 << 20) - 1)
