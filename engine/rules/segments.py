"""Facts, conditions over them, and the segment that names a customer in reports."""

from engine.compiled import entry, kernel
from engine.records import ACCEPT, DAY_MS, FIRST_PERSONAL_FACT, Compare, Fact, Flag
from engine.rules.calendar import hour

NO_POINTS_DAYS = 1_000_000

_EQ, _NE, _LT, _LE, _GT, _GE = (
    int(c) for c in (Compare.EQ, Compare.NE, Compare.LT, Compare.LE, Compare.GT, Compare.GE)
)
_PAGE, _CITY, _AMOUNT, _HOUR = int(Fact.PAGE), int(Fact.CITY), int(Fact.AMOUNT), int(Fact.HOUR)
_WEEKDAY, _DAY_OF_MONTH = int(Fact.WEEKDAY), int(Fact.DAY_OF_MONTH)
_AGE, _GENDER, _HOME_CITY, _TIER = int(Fact.AGE), int(Fact.GENDER), int(Fact.HOME_CITY), int(Fact.TIER)
_CARD_ACTIVE, _CARD_USED, _HIGH_RISK = int(Fact.CARD_ACTIVE), int(Fact.CARD_USED), int(Fact.HIGH_RISK)
_BALANCE, _POINTS, _POINTS_EXPIRE_IN = int(Fact.BALANCE), int(Fact.POINTS), int(Fact.POINTS_EXPIRE_IN)
_SINCE_JOINED, _SINCE_LOGIN = int(Fact.DAYS_SINCE_JOINED), int(Fact.DAYS_SINCE_LOGIN)
_SINCE_PURCHASE, _PURCHASES_13W = int(Fact.DAYS_SINCE_PURCHASE), int(Fact.PURCHASES_13W)
_SPEND_13W, _PURCHASES, _TAG = int(Fact.SPEND_13W), int(Fact.PURCHASES), int(Fact.TAG)
_R_SCORE, _F_SCORE, _M_SCORE = int(Fact.R_SCORE), int(Fact.F_SCORE), int(Fact.M_SCORE)
_F_ACTIVE, _F_USED, _F_RISK = int(Flag.CARD_ACTIVE), int(Flag.CARD_USED), int(Flag.HIGH_RISK)
_F_IMPERSONAL = int(Flag.PERSONALISATION_OFF)


@kernel
def age(customer, day):
    """Whole years on that day; dates as yyyymmdd subtract to years × 10 000 plus what is left of one."""
    return (day.date - customer.birth_date) // 10_000


@kernel
def purchases_13w(customer):
    total = 0
    for n in customer.week_purchases:
        total += int(n)
    return total


@kernel
def spend_13w(customer):
    total = 0
    for fen in customer.week_spend:
        total += int(fen)
    return total


@kernel
def score_up(thresholds, x):
    """1 + how many thresholds x has reached; thresholds[0] is how many there are."""
    score = 1
    for i in range(1, thresholds[0] + 1):
        if x >= thresholds[i]:
            score += 1
    return score


@kernel
def score_recency(thresholds, days):
    """1 + how many thresholds are at least so many days: fewer days score higher."""
    score = 1
    for i in range(1, thresholds[0] + 1):
        if days <= thresholds[i]:
            score += 1
    return score


@kernel
def points_at(customer, t):
    return int(customer.points) if t < customer.points_expire_ms else 0


@kernel
def event_fact(fact, event, day, t):
    if fact == _PAGE:
        return int(event.page)
    if fact == _CITY:
        return int(event.city)
    if fact == _AMOUNT:
        return int(event.amount)
    if fact == _HOUR:
        return int(hour(day, t))
    if fact == _WEEKDAY:
        return int(day.weekday)
    if fact == _DAY_OF_MONTH:
        return int(day.day_of_month)
    return int(event.dwell_ms)


@kernel
def flag_fact(flags, bit):
    return 1 if flags & bit else 0


@kernel
def profile_fact(fact, operand, customer, day):
    if fact == _AGE:
        return int(age(customer, day))
    if fact == _GENDER:
        return int(customer.gender)
    if fact == _HOME_CITY:
        return int(customer.home_city)
    if fact == _TIER:
        return int(customer.tier)
    if fact == _CARD_ACTIVE:
        return flag_fact(customer.marks, _F_ACTIVE)
    if fact == _CARD_USED:
        return flag_fact(customer.marks, _F_USED)
    if fact == _HIGH_RISK:
        return flag_fact(customer.marks, _F_RISK)
    return int((customer.tags >> operand) & 1)


@kernel
def history_fact(fact, customer, rfm, t):
    if fact == _BALANCE:
        return int(customer.balance)
    if fact == _POINTS:
        return points_at(customer, t)
    if fact == _POINTS_EXPIRE_IN:
        return (customer.points_expire_ms - t) // DAY_MS if points_at(customer, t) > 0 else NO_POINTS_DAYS
    if fact == _SINCE_JOINED:
        return (t - customer.joined_ms) // DAY_MS
    if fact == _SINCE_LOGIN:
        return (t - customer.login_ms) // DAY_MS
    if fact == _SINCE_PURCHASE:
        return (t - customer.purchase_ms) // DAY_MS
    if fact == _PURCHASES_13W:
        return purchases_13w(customer)
    if fact == _SPEND_13W:
        return spend_13w(customer)
    if fact == _PURCHASES:
        return int(customer.purchases)
    if fact == _R_SCORE:
        return score_recency(rfm[0], (t - customer.purchase_ms) // DAY_MS)
    if fact == _F_SCORE:
        return score_up(rfm[1], purchases_13w(customer))
    return score_up(rfm[2], spend_13w(customer))


@kernel
def fact_value(fact, operand, customer, event, rfm, day, t):
    """The value (i8) of a Fact for a customer at an event taken at t."""
    if fact < FIRST_PERSONAL_FACT:
        return event_fact(fact, event, day, t)
    if fact <= _HIGH_RISK or fact == _TAG:
        return profile_fact(fact, operand, customer, day)
    return history_fact(fact, customer, rfm, t)


@kernel
def compares(compare, left, right):
    if compare == _EQ:
        return left == right
    if compare == _NE:
        return left != right
    if compare == _LT:
        return left < right
    if compare == _LE:
        return left <= right
    if compare == _GT:
        return left > right
    if compare == _GE:
        return left >= right
    # IN: a category that is not there (NONE) is in no set.
    return left >= 0 and (right >> left) & 1 == 1


@kernel
def holds(first_step, customer, event, tables, day, t):
    """Whether the condition that begins at a step holds; ACCEPT as the step always does."""
    at = first_step
    while at >= 0:
        step = tables.steps[at]
        left = fact_value(step.left, step.operand, customer, event, tables.rfm, day, t)
        right = step.right
        if step.right_is_fact:
            right = fact_value(step.right, 0, customer, event, tables.rfm, day, t)
        at = int(step.if_true) if compares(step.compare, left, right) else int(step.if_false)
    return at == ACCEPT


@kernel
def segment(customer, event, tables, day, t):
    """Number of the first segment that fits; the number of segments means "other"."""
    count = int(tables.policy[0].segments)
    if customer.marks & _F_IMPERSONAL:
        return count
    for i in range(count):
        if holds(int(tables.segments[i]), customer, event, tables, day, t):
            return i
    return count


@entry
def segments_of(customers, event, tables, day, t, numbers):
    """Write each customer's segment at t (i8[n]); event: any, segments do not read it."""
    for row in range(len(customers)):
        numbers[row] = segment(customers[row], event, tables, day, t)
