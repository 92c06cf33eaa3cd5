"""What an event teaches about a customer, before any condition is read."""

from engine.compiled import kernel
from engine.records import WEEKS, EventKind, Flag
from engine.rules.calendar import turn_weeks
from engine.rules.fatigue import leave_view
from engine.rules.segments import points_at

FEN_PER_POINT = 100
SPEND_MAX = 2_147_483_647
COUNT_MAX = 127

_PAYMENT, _TOP_UP, _CARD_BOUND = int(EventKind.PAYMENT), int(EventKind.TOP_UP), int(EventKind.CARD_BOUND)
_PAGE_LEAVE = int(EventKind.PAGE_LEAVE)
_GIVEN, _WITHDRAWN = int(EventKind.CONSENT_GIVEN), int(EventKind.CONSENT_WITHDRAWN)
_PERSONAL_ON, _PERSONAL_OFF = int(EventKind.PERSONALISATION_ON), int(EventKind.PERSONALISATION_OFF)
_F_ACTIVE, _F_USED, _F_IMPERSONAL = int(Flag.CARD_ACTIVE), int(Flag.CARD_USED), int(Flag.PERSONALISATION_OFF)


@kernel
def paid(customer, amount, day, t):
    """Fold one payment in; returns whether it was the card's first use."""
    first_use = customer.marks & _F_USED == 0
    slot = int(day.week) % WEEKS
    customer.points = min(points_at(customer, t) + amount // FEN_PER_POINT, SPEND_MAX)
    customer.balance -= amount
    customer.purchase_ms = t
    customer.purchases += 1
    customer.week_purchases[slot] = min(int(customer.week_purchases[slot]) + 1, COUNT_MAX)
    customer.week_spend[slot] = min(int(customer.week_spend[slot]) + amount, SPEND_MAX)
    customer.marks |= _F_USED
    return first_use


@kernel
def observe(customer, event, day, t):
    """Fold an event into its customer; returns whether it is the card's first use."""
    kind = int(event.kind)
    turn_weeks(customer, int(day.week))
    if kind == _PAYMENT:
        return paid(customer, int(event.amount), day, t)
    if kind == _PAGE_LEAVE:
        leave_view(customer, int(event.page_view))
    elif kind == _TOP_UP:
        customer.balance += event.amount
    elif kind == _CARD_BOUND:
        customer.marks |= _F_ACTIVE
    elif kind == _GIVEN:
        customer.consent |= 1 << int(event.channel)
    elif kind == _WITHDRAWN:
        customer.consent &= ~(1 << int(event.channel))
    elif kind == _PERSONAL_ON:
        customer.marks &= ~_F_IMPERSONAL
    elif kind == _PERSONAL_OFF:
        customer.marks |= _F_IMPERSONAL
    return False
