"""Customers as they are when the run begins: traits, profile, and a history drawn in closed form.

BG/NBD (Fader, Hardie, Lee 2005) says when they bought, Gamma-Gamma (Fader, Hardie 2013) how much. Customers joined
over `history_ms` before day 0; those who join after the run's start do so while it runs.
"""

import math

from engine.compiled import entry, kernel
from engine.days import day_index
from engine.records import DAY_MS, LONG_AGO_MS, NEVER_MS, NONE, WEEKS, Flag
from sim.arrivals import begin_purchasing, first_use_at, plan_visit, toss_coin
from sim.model import Mark, Span, Stage
from sim.streams import Draw, exponential, gamma, normal, uniforms

_PROFILE, _JOINED = int(Draw.PROFILE), int(Draw.JOINED)
_VISIT_RATE, _PURCHASE_RATE = int(Draw.VISIT_RATE), int(Draw.PURCHASE_RATE)
_SPEND, _AMOUNT = int(Draw.SPEND_SCALE), int(Draw.AMOUNT)
_TASTE = int(Draw.TASTE)
_PREPAID, _YOUNG, _UNBOUND = int(Mark.PREPAID), int(Mark.YOUNG), int(Mark.UNBOUND)
_JOINING, _OUT = int(Stage.JOINING), int(Stage.OUT)
_START, _LAUNCH = int(Span.START), int(Span.LAUNCH)
_F_ACTIVE, _F_USED, _F_RISK = int(Flag.CARD_ACTIVE), int(Flag.CARD_USED), int(Flag.HIGH_RISK)
_F_IMPERSONAL, _F_MINOR = int(Flag.PERSONALISATION_OFF), int(Flag.LIKELY_MINOR)
_YEAR_MS = 365 * DAY_MS
_CHANNELS_WITH_CONSENT = 5


@kernel
def category(cumulative, u):
    """Number of the category that a uniform falls in."""
    for i in range(len(cumulative)):
        if u < cumulative[i]:
            return i
    return len(cumulative) - 1


@kernel
def friend_of(model, customer):
    """Somebody else, always the same."""
    everybody = int(model.customers[0])
    return (customer + 1 + (customer * 7919) % max(everybody - 1, 1)) % everybody


@kernel
def spend_scale(model, customer):
    """Fen, a trait: Gamma-Gamma's scale. Drawn at each payment: payments are rare, and to keep it takes 8 bytes."""
    n = model.numbers[0]
    return n.spend_gamma / gamma(model.stream, customer, _SPEND, 0, n.spend_q)


@kernel
def purchase_amount(model, customer, number):
    """Fen of one purchase: Gamma(p) at the customer's own scale."""
    size = gamma(model.stream, customer, _AMOUNT, number * 64, model.numbers[0].spend_p)
    return max(1, int(size * spend_scale(model, customer)))


@kernel
def draw_traits(model, visitor, customer):
    """Visit rate and BG/NBD rate."""
    n = model.numbers[0]
    s = model.stream
    visitor.visit_rate = gamma(s, customer, _VISIT_RATE, 0, n.visit_shape) * n.visit_mean / n.visit_shape
    visitor.purchase_rate = max(gamma(s, customer, _PURCHASE_RATE, 0, n.r) / n.alpha, 1e-12)


@kernel
def draw_age(model, u):
    """Age in years, as a float: uniform inside the band that u falls in."""
    low = 0.0
    for i in range(len(model.ages)):
        high = model.ages[i, 0]
        if u < high or i == len(model.ages) - 1:
            part = min((u - low) / (high - low), 1.0) if high > low else 0.5
            return model.ages[i, 1] + part * (model.ages[i, 2] - model.ages[i, 1])
        low = high
    return 40.0


@kernel
def birth_date(model, years):
    """yyyymmdd so many years before the table's first day; months of 28 days keep every date a real one."""
    today = int(model.days[0].date)
    months = (today // 10_000) * 12 + (today // 100) % 100 - 1 - int(years * 12.0)
    day = 1 + int((years * 12.0 - int(years * 12.0)) * 28.0)
    return (months // 12) * 10_000 + (months % 12 + 1) * 100 + day


@kernel
def draw_profile(model, visitor, profile, customer):
    """What the card issuer knows of the customer."""
    n = model.numbers[0]
    u_age, u_gender, u_city, u_tier = uniforms(model.stream, customer, _PROFILE, 0)
    years = draw_age(model, u_age)
    profile.birth_date = birth_date(model, years)
    profile.gender = 0 if u_gender < n.female else 1
    profile.home_city = category(model.cities, u_city)
    profile.tier = category(model.tiers, u_tier)
    visitor.home_city = profile.home_city
    visitor.city = profile.home_city
    if years < 30.0:
        visitor.marks |= _YOUNG
    u_personal, u_minor, u_risk, _ = uniforms(model.stream, customer, _PROFILE, 1)
    profile.marks = _F_ACTIVE
    if u_personal < n.personalisation_off:
        profile.marks |= _F_IMPERSONAL
    if u_minor < n.likely_minor:
        profile.marks |= _F_MINOR
    if u_risk < n.high_risk:
        profile.marks |= _F_RISK
    draw_choices(model, profile, customer)


@kernel
def draw_choices(model, profile, customer):
    """Consents by channel and tags."""
    for channel in range(_CHANNELS_WITH_CONSENT):
        u, _, _, _ = uniforms(model.stream, customer, _PROFILE, 10 + channel)
        if u < model.consents[channel]:
            profile.consent |= 1 << channel
    for tag in range(len(model.tags)):
        u, _, _, _ = uniforms(model.stream, customer, _PROFILE, 32 + tag)
        if u < model.tags[tag]:
            profile.tags |= 1 << tag


@kernel
def fold_purchase(profile, t, amount, weeks_ago):
    """One purchase of the history into what the engine remembers."""
    profile.purchases += 1
    profile.purchase_ms = t
    if weeks_ago < WEEKS:
        slot = (int(profile.week) - weeks_ago) % WEEKS
        profile.week_purchases[slot] = min(int(profile.week_purchases[slot]) + 1, 127)
        profile.week_spend[slot] = min(int(profile.week_spend[slot]) + amount, 2_147_483_647)


@kernel
def live_history(model, crowd, visitor, profile, customer, joined_ms):
    """Organic purchases from joining to the run's start: BG/NBD, the coin after each repeat."""
    start = int(crowd.span[_START])
    week_start = int(model.days[day_index(model.days, start)].week_start_ms)
    begin_purchasing(model, visitor, customer, joined_ms)
    fold_purchase(profile, joined_ms, 0, WEEKS)
    while visitor.organic_ms < start:
        t = int(visitor.organic_ms)
        weeks_ago = 0 if t >= week_start else int((week_start - t - 1) // (7 * DAY_MS)) + 1
        amount = 0
        if weeks_ago < WEEKS:
            amount = purchase_amount(model, customer, int(visitor.gaps))
        fold_purchase(profile, t, amount, weeks_ago)
        toss_coin(model, visitor, customer)


@kernel
def draw_account(model, crowd, visitor, profile, customer):
    """Balance, points and the last log-in at the run's start."""
    n = model.numbers[0]
    start = int(crowd.span[_START])
    u_balance, u_points, u_expiry, u_login = uniforms(model.stream, customer, _PROFILE, 2)
    visitor.balance = int(exponential(u_balance) * n.balance_mean) if visitor.marks & _PREPAID else 0
    profile.balance = int(visitor.balance) if visitor.marks & _PREPAID else n.credit_line
    profile.points = int(exponential(u_points) * n.points_mean) if profile.purchases > 0 else 0
    profile.points_expire_ms = start + int(u_expiry * _YEAR_MS)
    since = int(exponential(u_login) / max(visitor.visit_rate, 0.001) * DAY_MS)
    profile.login_ms = max(start - since, int(profile.joined_ms))


@kernel
def place_in_time(model, crowd, visitor, profile, customer):
    """When the customer joined, and what happened since."""
    n = model.numbers[0]
    u_joined, u_unused, u_prepaid, u_unbound = uniforms(model.stream, customer, _JOINED, 0)
    launch, start = int(crowd.span[_LAUNCH]), int(crowd.span[_START])
    joined = launch - 1 - int(u_joined * n.history_ms)
    profile.joined_ms = joined
    profile.purchase_ms = LONG_AGO_MS
    profile.login_ms = LONG_AGO_MS
    if u_prepaid < n.prepaid_share:
        visitor.marks |= _PREPAID
    if u_unbound < n.unbound_share:
        visitor.marks |= _UNBOUND
        profile.marks &= ~_F_ACTIVE
    elif u_unused < n.unused_share:
        # Cards still unused at the run's start: their waiting time begins there, for it has no memory.
        visitor.organic_ms = first_use_at(model, customer, max(joined, start))
    elif joined < start:
        live_history(model, crowd, visitor, profile, customer, joined)
        profile.marks |= _F_USED
    else:
        # Joins during the run and pays for the first time a minute later.
        visitor.organic_ms = joined + 60_000


@entry
def create(model, crowd, profiles, profile_week):
    """Draw every customer of the cohort. profiles: CUSTOMER[n], zeroed; profile_week: number of the start's week."""
    start = int(crowd.span[_START])
    for row in range(len(crowd.visitors)):
        customer = int(crowd.first[0]) + row
        visitor, profile = crowd.visitors[row], profiles[row]
        visitor.first_row = NONE
        visitor.react_ms = NEVER_MS
        visitor.act_ms = NEVER_MS
        visitor.organic_ms = NEVER_MS
        visitor.touch_week = NONE
        profile.week = profile_week
        draw_traits(model, visitor, customer)
        draw_profile(model, visitor, profile, customer)
        place_in_time(model, crowd, visitor, profile, customer)
        draw_account(model, crowd, visitor, profile, customer)
        if profile.joined_ms >= start:
            visitor.stage = _JOINING
            visitor.due_ms = profile.joined_ms
        else:
            visitor.stage = _OUT
            plan_visit(model, crowd, visitor, customer, start - 1)
            visitor.due_ms = min(visitor.next_visit_ms, visitor.organic_ms)


@kernel
def taste(model, visitor, customer, topic):
    """Factor on appeal: an unobserved taste of mean 1, stronger among the young, times what age shows."""
    n = model.numbers[0]
    u, v, _, _ = uniforms(model.stream, customer, _TASTE, topic)
    spread = n.taste_spread
    observed = 1.0
    if visitor.marks & _YOUNG:
        spread *= n.taste_interaction
        observed = n.young_factor
    return observed * math.exp(spread * normal(u, v) - 0.5 * spread * spread)


@entry
def draw_repeats(model, crowd, visitor, profile, fresh, joined_ms, repeats):
    """Repeat purchases (i8[n]) of customers 0 … n - 1 from joining (ms, i8[n]) to the start; the rest is scratch."""
    for customer in range(len(repeats)):
        visitor[0] = fresh[0]
        profile[0].purchases = 0
        draw_traits(model, visitor[0], customer)
        live_history(model, crowd, visitor[0], profile[0], customer, joined_ms[customer])
        repeats[customer] = profile[0].purchases - 1
