"""A node that is away: what its customers send meets no answer. They leave, and come back for what cannot wait."""

import numpy as np

from engine.compiled import kernel
from engine.records import MINUTE_MS, NEVER_MS, NONE
from sim.arrivals import plan_visit
from sim.measures import count_day, count_dwell, count_move
from sim.model import Daily, Mark, Stage
from sim.origins import is_traced, trace_of
from sim.shopping import shopper_of

# Customers [first, end) in [from_ms, until_ms): whole partitions, whatever shards there are.
ABSENCE = np.dtype([("from_ms", "i8"), ("until_ms", "i8"), ("first", "i8"), ("end", "i8")], align=True)

TRIES_EVERY_MS = MINUTE_MS  # what cannot wait is tried so often until it is answered
_VISITS_LOST, _CLAIMS = int(Daily.VISITS_LOST), int(Daily.CLAIMS_UNANSWERED)
_OUT, _ON_PAGE, _JOINING = int(Stage.OUT), int(Stage.ON_PAGE), int(Stage.JOINING)
_ORGANIC_DUE, _FOR_COUPON = int(Mark.ORGANIC_DUE), int(Mark.FOR_COUPON)


@kernel
def back_ms(model, customer, t):
    """When the customer's node answers again; t where it answers now."""
    back = t
    for number in range(len(model.absences)):
        absence = model.absences[number]
        if absence.from_ms <= back < absence.until_ms and absence.first <= customer < absence.end:
            back = int(absence.until_ms)
    return back


@kernel
def is_away(model, customer, t):
    return len(model.absences) > 0 and back_ms(model, customer, t) > t


@kernel
def lose_touch(model, crowd, visitor, customer, now):
    """Whatever is due meets no answer: a visit and a reaction are lost, all else is tried again until it is answered.
    Returns whether the next event is still to be planned."""
    later = now + -(-(back_ms(model, customer, now) - now) // TRIES_EVERY_MS) * TRIES_EVERY_MS
    if visitor.stage == _JOINING:
        visitor.due_ms = later
        return False
    if visitor.react_ms <= now:
        if visitor.act_key == visitor.react_key:
            visitor.act_ms = NEVER_MS
        visitor.react_ms = NEVER_MS
    if visitor.act_ms <= now:
        visitor.act_ms = later
    if is_traced(crowd) and trace_of(crowd, customer).challenge_ms <= now:
        trace_of(crowd, customer).challenge_ms = later
    if len(crowd.shoppers) > 0:
        put_off_errands(model, crowd, customer, now, later)
    if visitor.stage != _OUT:
        break_off(model, crowd, visitor, customer, now, later)
    else:
        stay_out(model, crowd, visitor, customer, now, later)
    return True


@kernel
def put_off_errands(model, crowd, customer, now, later):
    """Claims, refunds, gifts and collections are tried again, and so is the visit for a coupon's sake."""
    shopper = shopper_of(crowd, customer)
    if shopper.claim_ms <= now:
        shopper.claim_ms = later
        count_day(crowd, model, now, _CLAIMS, 1)
    if shopper.refund_ms <= now:
        shopper.refund_ms = later
    if shopper.give_ms <= now:
        shopper.give_ms = later
    if shopper.collect_ms <= now:
        shopper.collect_ms = later
    if shopper.use_ms <= now:
        shopper.use_ms = later


@kernel
def stay_out(model, crowd, visitor, customer, now, later):
    """The app does not open: the visit is lost, a purchase is tried again."""
    if visitor.organic_ms <= now:
        visitor.organic_ms = later
    if visitor.next_visit_ms <= now:
        count_day(crowd, model, now, _VISITS_LOST, 1)
        plan_visit(model, crowd, visitor, customer, now)


@kernel
def break_off(model, crowd, visitor, customer, now, later):
    """The visit under way ends here; the purchase it was for is tried again."""
    count_day(crowd, model, now, _VISITS_LOST, 1)
    if visitor.page != NONE:
        if visitor.stage == _ON_PAGE:
            count_dwell(crowd, model, int(visitor.page), now, now - int(visitor.entered_ms))
        count_move(crowd, int(visitor.page), NONE)
    if visitor.marks & _ORGANIC_DUE:
        visitor.organic_ms = later
    if visitor.marks & _FOR_COUPON:
        shopper_of(crowd, customer).use_ms = later
    visitor.marks &= ~(_ORGANIC_DUE | _FOR_COUPON)
    visitor.stage, visitor.flow, visitor.page = _OUT, 0, NONE
    if not is_traced(crowd):
        visitor.city = visitor.home_city
    plan_visit(model, crowd, visitor, customer, now)
