"""Incidents: while one lasts, payments fail whatever they are for, messages are resented, and everybody asks."""

import numpy as np

from engine.compiled import kernel
from engine.records import SECOND_MS, EventKind
from sim.contacts import Cause, lead_to_contact
from sim.measures import count_day
from sim.model import Daily, Mark
from sim.payments import lose_organic
from sim.population import purchase_amount
from sim.shopping import shopper_of
from sim.streams import Draw, uniforms

# Shares: of payments, those that fail; of messages seen, those complained of; of visits, those that get in touch.
OUTAGE = np.dtype(
    [("from_ms", "i8"), ("until_ms", "i8"), ("fails", "f8"), ("complains", "f8"), ("asks", "f8")], align=True
)

_OUTAGE, _DECLINED = int(Draw.OUTAGE), int(EventKind.PAYMENT_DECLINED)
_INCIDENT, _FAILED = int(Cause.INCIDENT), int(Daily.PAYMENTS_FAILED)
_ORGANIC_DUE, _FOR_COUPON = int(Mark.ORGANIC_DUE), int(Mark.FOR_COUPON)


@kernel
def payment_fails(model, customer, t):
    """Whether a payment at t meets an incident."""
    for number in range(len(model.outages)):
        outage = model.outages[number]
        if outage.from_ms <= t < outage.until_ms:
            u, _, _, _ = uniforms(model.stream, customer, _OUTAGE, t // SECOND_MS * len(model.outages) + number)
            if u < outage.fails:
                return True
    return False


@kernel
def lose_payment(model, crowd, visitor, customer, event):
    """A payment on the way through the shop fails for good: the purchase comes to nothing."""
    event.kind = _DECLINED
    count_day(crowd, model, int(event.time_ms), _FAILED, 1)
    if len(crowd.shoppers) > 0:
        event.amount = shopper_of(crowd, customer).order_paid
    else:
        event.amount = purchase_amount(model, customer, int(visitor.gaps))
    organic = visitor.marks & _FOR_COUPON == 0
    visitor.marks &= ~(_ORGANIC_DUE | _FOR_COUPON)
    if organic:
        lose_organic(model, crowd, visitor, customer, int(event.time_ms))


@kernel
def lose_act(model, crowd, visitor, customer, event):
    """A payment that a message had asked for fails."""
    event.kind = _DECLINED
    count_day(crowd, model, int(event.time_ms), _FAILED, 1)
    event.amount = purchase_amount(model, customer, int(visitor.gaps))


@kernel
def complaint_share(model, topic, t):
    """Of those who see a message about a topic at t, how many complain."""
    share = topic.complaint
    for number in range(len(model.outages)):
        outage = model.outages[number]
        if outage.from_ms <= t < outage.until_ms:
            share = max(share, outage.complains)
    return share


@kernel
def hear_of_it(model, crowd, customer, t):
    """Whoever opens the app during an incident may ask the support desk about it."""
    for number in range(len(model.outages)):
        outage = model.outages[number]
        if outage.asks > 0.0 and outage.from_ms <= t < outage.until_ms:
            lead_to_contact(model, crowd, customer, _INCIDENT, outage.asks, t)
            return
