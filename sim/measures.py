"""What is counted while the world runs: daily integers, paths, touches, and outcomes per customer and campaign."""

from engine.compiled import entry, kernel
from engine.days import day_index
from engine.records import MINUTE_MS, NONE, WEEK_MS, EventKind
from sim.model import TOUCHES_MAX, Daily, Mark, Seen, Span, Stage, Traffic

_LAUNCH, _CAMPAIGN_END = int(Span.LAUNCH), int(Span.CAMPAIGN_END)
_EVENTS, _VISITS, _PAGE_VIEWS = int(Daily.EVENTS), int(Daily.VISITS), int(Daily.PAGE_VIEWS)
_DWELL, _LOGINS, _PAYMENTS = int(Daily.DWELL_MS), int(Daily.LOGINS), int(Daily.PAYMENTS)
_AMOUNT, _FIRST, _DROPPED_OUT = int(Daily.PAYMENT_AMOUNT), int(Daily.FIRST_PAYMENTS), int(Daily.DROPPED_OUT)
_EXPOSURES, _CLICKS, _NEGATIVES = int(Daily.EXPOSURES), int(Daily.CLICKS), int(Daily.NEGATIVES)
_LEFT, _JOINED = int(Daily.LEFT_ANNOYED), int(Daily.JOINED)
_PAYMENT, _FIRST_USE = int(EventKind.PAYMENT), int(EventKind.FIRST_USE)
_LOGIN, _PAGE_VIEW, _REGISTER = int(EventKind.LOGIN), int(EventKind.PAGE_VIEW), int(EventKind.REGISTER)
_INSTALMENTS, _INSTALMENT = int(Daily.INSTALMENTS), int(EventKind.INSTALMENT)
_COMPLAINT, _CLAIM = int(EventKind.COMPLAINT), int(EventKind.CLAIM)
_DECIDED, _CLAIMED_NOW = int(Traffic.DECISIONS), int(Traffic.CLAIMS)
_ORDERS, _DISCOUNTS, _ANYWAY = int(Daily.ORDERS), int(Daily.DISCOUNTS), int(Daily.DISCOUNTS_ANYWAY)
_LINES, _PIECES, _GOODS = int(Daily.LINES), int(Daily.PIECES), int(Daily.GOODS)
_HELD_OUT, _CLAIMED = int(Seen.HELD_OUT), int(Seen.CLAIMED)
_FIRST_CLICKED, _FIRST_CLOSED = int(Seen.FIRST_CLICKED), int(Seen.FIRST_CLOSED)
_GONE, _GONE_BEFORE = int(Stage.GONE), int(Mark.GONE_BEFORE)
_USED, _USED_BEFORE = int(Mark.USED), int(Mark.USED_BEFORE)
SMALL_MAX = 127
COUNT_MAX = 32_767
MONEY_MAX = 2_147_483_647


@kernel
def raised(count):
    """One more, at most what an i2 holds."""
    return min(int(count) + 1, COUNT_MAX)


@kernel
def raised_small(count):
    """One more, at most what an i1 holds."""
    return min(int(count) + 1, SMALL_MAX)


@kernel
def money(fen):
    """What an i4 can hold of an amount."""
    return min(int(fen), MONEY_MAX)


@kernel
def count_day(crowd, model, t, measure, amount):
    crowd.daily[day_index(model.days, t), measure] += amount


@kernel
def launched(crowd, t):
    return t >= crowd.span[_LAUNCH]


@kernel
def count_visit(crowd, visitor, model, t):
    count_day(crowd, model, t, _VISITS, 1)
    visitor.visits = raised(visitor.visits)


@kernel
def count_dwell(crowd, model, page, t, ms):
    count_day(crowd, model, t, _DWELL, ms)
    crowd.page_dwell_ms[page] += ms


@kernel
def count_entry(crowd, page):
    """A visit begins on a page (or ends before its first)."""
    pages = len(crowd.page_dwell_ms)
    crowd.moves[pages, page if page != NONE else pages + 1] += 1


@kernel
def count_move(crowd, left, page):
    crowd.moves[left, page if page != NONE else len(crowd.page_dwell_ms) + 1] += 1


@kernel
def drop_out(crowd, model, t):
    count_day(crowd, model, t, _DROPPED_OUT, 1)


@kernel
def leave_annoyed(crowd, model, t):
    count_day(crowd, model, t, _LEFT, 1)


@kernel
def count_payment(crowd, model, visitor, t, amount, first):
    """A payment: by day, per customer since launch, and within each open outcome window."""
    count_day(crowd, model, t, _PAYMENTS, 1)
    count_day(crowd, model, t, _AMOUNT, amount)
    if first:
        count_day(crowd, model, t, _FIRST, 1)
        count_goal(crowd, model, visitor, t, _FIRST_USE)
    visitor.payments = raised(visitor.payments)
    visitor.spend = money(int(visitor.spend) + amount)
    row = int(visitor.first_row)
    while row != NONE:
        outcome = crowd.outcomes[row]
        if in_window(model, outcome, t):
            outcome.spend = money(int(outcome.spend) + amount)
        row = int(outcome.next)


@kernel
def count_order(crowd, model, shopper, t, goods, discount, organic):
    """An order with a basket was paid: its size, what coupons took off, and whether the purchase was made anyway."""
    lines, pieces = int(shopper.order_lines), int(shopper.order_pieces)
    count_day(crowd, model, t, _ORDERS, 1)
    count_day(crowd, model, t, _LINES, lines)
    count_day(crowd, model, t, _PIECES, pieces)
    count_day(crowd, model, t, _GOODS, goods)
    count_day(crowd, model, t, _DISCOUNTS, discount)
    if organic:
        count_day(crowd, model, t, _ANYWAY, discount)
    shopper.orders = raised(shopper.orders)
    shopper.pieces = min(int(shopper.pieces) + pieces, COUNT_MAX)
    shopper.goods = money(int(shopper.goods) + goods)
    shopper.discounts = money(int(shopper.discounts) + discount)


# --- outcomes: a customer and a campaign ------------------------------------------------------------------------------
@kernel
def in_window(model, outcome, t):
    """t in (first, first + window] of an enrolled customer."""
    return outcome.first_ms > 0 and 0 < t - outcome.first_ms <= model.campaigns[outcome.campaign].goal_window_ms


@kernel
def count_goal(crowd, model, visitor, t, kind):
    """A goal event within the windows of the campaigns that have this goal."""
    row = int(visitor.first_row)
    while row != NONE:
        outcome = crowd.outcomes[row]
        if model.campaigns[outcome.campaign].goal == kind and in_window(model, outcome, t):
            outcome.goals = raised(outcome.goals)
        row = int(outcome.next)


@kernel
def outcome_row(crowd, visitor, slot):
    """Row of this customer and campaign; a new one if there is none."""
    row = int(visitor.first_row)
    while row != NONE:
        if crowd.outcomes[row].campaign == slot:
            return row
        row = int(crowd.outcomes[row].next)
    row = int(crowd.outcome_count[0])
    crowd.outcome_count[0] = row + 1
    outcome = crowd.outcomes[row]
    outcome.next = visitor.first_row
    outcome.campaign = slot
    visitor.first_row = row
    return row


@kernel
def enrol(crowd, outcome, decision, held_out):
    """The first real or ghost exposure under the campaign enters the customer into its analysis (FIDELITY 6)."""
    t = int(decision.time_ms)
    if outcome.first_ms == 0 and crowd.span[_LAUNCH] <= t < crowd.span[_CAMPAIGN_END]:
        outcome.first_ms = t
        outcome.arm = decision.arm
        outcome.marks = (outcome.marks | _HELD_OUT) if held_out else (outcome.marks & ~_HELD_OUT)


@kernel
def touch(crowd, visitor, t):
    """Count an exposure towards the week at hand."""
    week = (t - int(crowd.span[_LAUNCH])) // WEEK_MS
    if week != visitor.touch_week:
        flush_touches(crowd, visitor)
        visitor.touch_week = week
    visitor.touches = raised_small(visitor.touches)


@kernel
def flush_touches(crowd, visitor):
    """Move the customer's finished week into the histogram; weeks without a touch are counted at the end."""
    if visitor.touch_week >= 0 and visitor.touches > 0:
        crowd.touches[min(int(visitor.touch_week), len(crowd.touches) - 1), min(int(visitor.touches), TOUCHES_MAX)] += 1
    visitor.touches = 0


@kernel
def count_shown(crowd, model, visitor, decision):
    """A real exposure: by day, touches, outcome. Returns its outcome row."""
    t = int(decision.time_ms)
    count_day(crowd, model, t, _EXPOSURES, 1)
    row = outcome_row(crowd, visitor, int(decision.campaign))
    outcome = crowd.outcomes[row]
    enrol(crowd, outcome, decision, False)
    if launched(crowd, t):
        touch(crowd, visitor, t)
        outcome.exposures = raised(outcome.exposures)
    return row


@kernel
def count_ghost(crowd, visitor, ghost):
    enrol(crowd, crowd.outcomes[outcome_row(crowd, visitor, int(ghost.campaign))], ghost, True)


@kernel
def count_click(crowd, model, visitor, event, t):
    """A click, and the claim to the reward that it makes."""
    count_day(crowd, model, t, _CLICKS, 1)
    outcome = crowd.outcomes[outcome_row(crowd, visitor, int(event.campaign))]
    outcome.marks |= _CLAIMED
    if launched(crowd, t):
        outcome.clicks = raised_small(outcome.clicks)
        if outcome.exposures == 1:
            outcome.marks |= _FIRST_CLICKED


@kernel
def count_negative(crowd, model, visitor, event, t):
    count_day(crowd, model, t, _NEGATIVES, 1)
    if launched(crowd, t):
        outcome = crowd.outcomes[outcome_row(crowd, visitor, int(event.campaign))]
        outcome.negatives = raised(outcome.negatives)
        if event.kind == _COMPLAINT:
            visitor.complaints = raised(visitor.complaints)
        elif outcome.exposures == 1:
            outcome.marks |= _FIRST_CLOSED


@kernel
def count_conversion(crowd, visitor, slot, t):
    """A conversion; it redeems the reward that a click claimed."""
    outcome = crowd.outcomes[outcome_row(crowd, visitor, slot)]
    claimed = outcome.marks & _CLAIMED
    outcome.marks &= ~_CLAIMED
    if launched(crowd, t):
        outcome.conversions = raised(outcome.conversions)
        if claimed:
            outcome.redeemed = raised_small(outcome.redeemed)


@kernel
def count_instalment(crowd, model, visitor, t):
    count_day(crowd, model, t, _INSTALMENTS, 1)
    visitor.instalments = raised(visitor.instalments)


@kernel
def count_traffic(crowd, t, kind):
    """One decision more in its minute since launch."""
    minute = (t - crowd.span[_LAUNCH]) // MINUTE_MS
    if 0 <= minute < len(crowd.traffic):
        crowd.traffic[minute, _DECIDED] += 1
        if kind == _CLAIM:
            crowd.traffic[minute, _CLAIMED_NOW] += 1


@kernel
def count_event(crowd, model, visitor, event, decision):
    """What every event adds, and what it means for open outcome windows."""
    t = int(decision.time_ms)
    kind = int(event.kind)
    day = day_index(model.days, t)
    crowd.daily[day, _EVENTS] += 1
    count_traffic(crowd, t, kind)
    if kind == _PAGE_VIEW:
        crowd.daily[day, _PAGE_VIEWS] += 1
    elif kind == _LOGIN:
        crowd.daily[day, _LOGINS] += 1
    elif kind == _REGISTER:
        crowd.daily[day, _JOINED] += 1
    elif kind == _INSTALMENT:
        count_instalment(crowd, model, visitor, t)
    if visitor.first_row != NONE:
        count_goal(crowd, model, visitor, t, kind)
    if decision.credited != NONE:
        count_conversion(crowd, visitor, int(decision.credited), t)


# --- launch and end ---------------------------------------------------------------------------------------------------
@entry
def reset_measures(crowd):
    """At launch: measurement begins, what customers have seen stays; what came before is kept as covariates."""
    for row in range(len(crowd.visitors)):
        v = crowd.visitors[row]
        v.before_spend, v.before_visits = v.spend, v.visits
        v.spend, v.touches, v.touch_week = 0, 0, NONE
        v.visits, v.payments, v.complaints, v.instalments = 0, 0, 0, 0
        if v.stage == _GONE:
            v.marks |= _GONE_BEFORE
        if v.marks & _USED:
            v.marks |= _USED_BEFORE
    for row in range(len(crowd.shoppers)):
        s = crowd.shoppers[row]
        s.discounts, s.goods, s.orders, s.pieces = 0, 0, 0, 0
    for row in range(len(crowd.traces)):
        crowd.traces[row].harms = 0
    for row in range(crowd.outcome_count[0]):
        o = crowd.outcomes[row]
        o.first_ms, o.spend = 0, 0
        o.exposures, o.clicks, o.negatives, o.conversions, o.goals, o.redeemed = 0, 0, 0, 0, 0, 0
        o.marks &= _CLAIMED


@entry
def flush_all_touches(crowd):
    for row in range(len(crowd.visitors)):
        flush_touches(crowd, crowd.visitors[row])
        crowd.visitors[row].touch_week = NONE
