"""When customers come: visits thinned from a dominating calendar of slots, purchases on the BG/NBD clock."""

import math

from engine.compiled import kernel
from engine.records import DAY_MS, HOUR_MS, NEVER_MS
from sim.model import SLOTS_PER_DAY, Mark, Span, Stage
from sim.streams import Draw, exponential, gamma, uniforms

_VISIT, _VISIT_TIME, _VISIT_KEPT = int(Draw.VISIT), int(Draw.VISIT_TIME), int(Draw.VISIT_KEPT)
_DROP_A, _DROP_B = int(Draw.DROP_OUT_A), int(Draw.DROP_OUT_B)
_GAP, _COIN, _FIRST_USE = int(Draw.GAP), int(Draw.COIN), int(Draw.FIRST_USE)
_DROPPED, _USED, _GONE = int(Mark.DROPPED), int(Mark.USED), int(Stage.GONE)
_END = int(Span.END)


# --- operational time -------------------------------------------------------------------------------------------------
@kernel
def clock_at(model, t):
    """Operational time (days of average rate) at t: the curves of season, weekday and hour integrated."""
    start = model.clock_start_ms[0]
    hours = len(model.clock) - 1
    i = min(max((t - start) // HOUR_MS, 0), hours - 1)
    part = (t - start - i * HOUR_MS) / HOUR_MS
    return model.clock[i] + part * (model.clock[i + 1] - model.clock[i])


@kernel
def time_at(model, clock):
    """The inverse of clock_at; NEVER_MS beyond the table."""
    low, high = 0, len(model.clock) - 1
    if clock >= model.clock[high]:
        return NEVER_MS
    while high - low > 1:
        middle = (low + high) // 2
        if model.clock[middle] <= clock:
            low = middle
        else:
            high = middle
    part = (clock - model.clock[low]) / (model.clock[high] - model.clock[low])
    return int(model.clock_start_ms[0]) + low * HOUR_MS + int(part * HOUR_MS)


# --- organic purchases ------------------------------------------------------------------------------------------------
@kernel
def first_use_at(model, customer, since_ms):
    """Time of a card's first use if no message hastens it."""
    u, _, _, _ = uniforms(model.stream, customer, _FIRST_USE, 0)
    rate = model.numbers[0].first_use_rate
    if rate <= 0.0:
        return NEVER_MS
    return time_at(model, clock_at(model, since_ms) + exponential(u) / rate)


@kernel
def next_organic(model, visitor, customer):
    """Draw the gap to the next organic purchase; visitor.clock is where the last one lies."""
    u, _, _, _ = uniforms(model.stream, customer, _GAP, int(visitor.gaps))
    visitor.clock += exponential(u) / visitor.purchase_rate
    visitor.organic_ms = time_at(model, visitor.clock)


@kernel
def drop_chance(model, customer):
    """A trait: the chance to drop out after a repeat purchase, Beta(a, b). Drawn at each: to keep it takes 8 bytes."""
    x = gamma(model.stream, customer, _DROP_A, 0, model.numbers[0].a)
    return x / (x + gamma(model.stream, customer, _DROP_B, 0, model.numbers[0].b))


@kernel
def toss_coin(model, visitor, customer):
    """After an organic repeat purchase: drop out, or go on to the next. Returns whether the customer dropped out."""
    u, _, _, _ = uniforms(model.stream, customer, _COIN, int(visitor.gaps))
    visitor.gaps += 1
    if u < drop_chance(model, customer):
        visitor.marks |= _DROPPED
        visitor.organic_ms = NEVER_MS
        return True
    next_organic(model, visitor, customer)
    return False


@kernel
def begin_purchasing(model, visitor, customer, t):
    """From t on BG/NBD, without a coin: the card has been used for the first time, or the customer is back."""
    visitor.marks |= _USED
    visitor.gaps += 1
    visitor.clock = clock_at(model, t)
    next_organic(model, visitor, customer)


# --- visits -----------------------------------------------------------------------------------------------------------
@kernel
def annoyance_at(model, visitor, t):
    """Annoyance decays by half every half-life."""
    if visitor.annoyance == 0.0:
        return 0.0
    age = (t - visitor.annoyed_ms) / model.numbers[0].annoyance_half_life_ms
    return visitor.annoyance * math.exp(-0.6931471805599453 * age)


@kernel
def annoy(model, visitor, t, amount):
    visitor.annoyance = annoyance_at(model, visitor, t) + amount
    visitor.annoyed_ms = t


@kernel
def time_of_day(model, quantile):
    """Part of the day (0 to 1) at which a quantile of the day's visits has begun."""
    last = len(model.hour_quantiles) - 1
    place = quantile * last
    i = min(int(place), last - 1)
    return model.hour_quantiles[i] + (place - i) * (model.hour_quantiles[i + 1] - model.hour_quantiles[i])


@kernel
def day_number(day):
    """Days since 1970 of a calendar day: a key that does not depend on where a table begins."""
    return (int(day.start_ms) + int(day.offset_ms)) // DAY_MS


@kernel
def keeps_visit(model, visitor, customer, visit, t):
    """Thinning: the annoyed come less often."""
    annoyance = annoyance_at(model, visitor, t)
    if annoyance < 1e-9:
        return True
    u, _, _, _ = uniforms(model.stream, customer, _VISIT_KEPT, visit)
    return u < math.exp(-model.numbers[0].annoyed_visits * annoyance)


@kernel
def visit_on(model, visitor, customer, day_index, after_ms, chance):
    """First kept visit of one day after a time: (time, key), or (NEVER_MS, 0)."""
    day = model.days[day_index]
    number = day_number(day)
    draws = uniforms(model.stream, customer, _VISIT, number)
    if draws[0] >= chance and draws[1] >= chance and draws[2] >= chance and draws[3] >= chance:
        return NEVER_MS, 0
    places = uniforms(model.stream, customer, _VISIT_TIME, number)
    for slot in range(SLOTS_PER_DAY):
        if draws[slot] >= chance:
            continue
        t = int(day.start_ms) + int(DAY_MS * time_of_day(model, (slot + places[slot]) / SLOTS_PER_DAY))
        visit = number * SLOTS_PER_DAY + slot
        if t > after_ms and keeps_visit(model, visitor, customer, visit, t):
            return t, visit
    return NEVER_MS, 0


@kernel
def plan_visit(model, crowd, visitor, customer, after_ms):
    """Set the next visit after a time, from the calendar of slots."""
    visitor.next_visit_ms = NEVER_MS
    if visitor.stage == _GONE:
        return
    rate = visitor.visit_rate
    if visitor.marks & _DROPPED:
        rate *= model.numbers[0].dropped_visits
    first = min(max((after_ms - int(model.days[0].start_ms)) // DAY_MS - 1, 0), len(model.days) - 1)
    for i in range(first, len(model.days)):
        day = model.days[i]
        if day.start_ms >= crowd.span[_END]:
            return
        if i + 1 < len(model.days) and model.days[i + 1].start_ms <= after_ms:
            continue
        t, visit = visit_on(model, visitor, customer, i, after_ms, rate * model.day_factor[i] / SLOTS_PER_DAY)
        if t != NEVER_MS:
            visitor.next_visit_ms = t
            visitor.next_visit = visit
            return
