"""Documents to arrays: a population under the faces of a policy, and the checks that need both."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta

import numpy as np

from engine.policy.campaign import Campaign, Creative
from engine.policy.checks import known
from engine.policy.document import Policy
from engine.policy.quantities import UnreadableError
from engine.policy.tables import CompiledPolicy
from engine.records import ARMS_MAX, CHANNELS, DAY_MS, SHARE_ONE, Channel, EventKind, records
from scenarios.adversaries_build import adversaries_without_coupons
from scenarios.incidents_build import absence_table, outage_table, shortages_of_nothing
from scenarios.origins_build import origins_row
from scenarios.population_document import Annoyance, Population, Topic
from scenarios.shop_build import offer_table, place_shares, product_table, shop_row, unknown_names
from scenarios.support_build import support_row
from sim.cohort import Spans
from sim.model import FACE, POPULATION, TOPIC, Model

QUANTILES = 96
_ATTENTION_OF_CHANNEL = {"push": 0.6, "sms": 0.9, "email": 0.3, "voice": 2.0}
YEAR_DAYS = 365.25
UNIT_DAYS = {"day": 1.0, "week": 7.0}


def share(millionths: int) -> float:
    return millionths / SHARE_ONE


def cumulative(weights: Sequence[float]) -> np.ndarray:
    """Running sum that ends exactly at 1."""
    total = np.cumsum(np.asarray(weights, float))
    total /= total[-1]
    total[-1] = 1.0
    return total


def named(shares: Mapping[str, int], names: Sequence[str]) -> list[float]:
    return [share(shares.get(name, 0)) for name in names]


def numbers_of(population: Population) -> np.ndarray:
    """The POPULATION row of a document."""
    table = records(1, POPULATION)
    row, p = table[0], population
    row.visit_shape, row.visit_mean, row.dropped_visits = p.visits.shape, p.visits.per_day, p.visits.after_dropping_out
    row.r, row.a, row.b = p.purchases.r, p.purchases.a, p.purchases.b
    row.alpha = p.purchases.alpha * UNIT_DAYS[p.purchases.unit]
    amount = p.purchases.amount
    row.spend_p, row.spend_q, row.spend_gamma = amount.p, amount.q, amount.gamma * 100.0
    row.brought_forward_ms = p.purchases.brought_forward_within
    row.unbound_share, row.binds_at_visit = share(p.cards.unbound), share(p.cards.binds_when_seen)
    row.unused_share, row.first_use_rate = share(p.cards.unused), p.cards.first_use_per_day
    row.prepaid_share, row.balance_mean = share(p.cards.prepaid), p.cards.balance
    row.low_balance, row.top_up_amount = p.cards.low_balance, p.cards.top_up
    row.credit_line = p.cards.credit_line
    row.top_up_at_visit, row.top_up_at_payment = share(p.cards.top_up_when_seen), share(p.cards.top_up_when_paying)
    row.lost_payment_drop, row.points_mean = share(p.cards.leave_when_it_fails), p.cards.points
    row.travel, row.female = share(p.customers.logs_in_from_elsewhere), share(p.customers.female)
    row.taste_spread, row.young_factor, row.taste_interaction = p.taste.spread, p.taste.young, p.taste.young_spread
    row.wear_out = p.wear_out
    row.annoyance_half_life_ms = p.annoyance.half_life
    row.annoyed_click, row.annoyed_close = p.annoyance.clicks_lost, p.annoyance.closes_gained
    row.annoyed_visits, row.annoyed_leave = p.annoyance.visits_lost, p.annoyance.leaving
    row.closing_annoys = p.annoyance.closing
    row.personalisation_off = share(p.customers.personalisation_off)
    row.likely_minor, row.high_risk = share(p.customers.likely_minor), share(p.customers.high_risk)
    row.history_ms = p.customers.joined_within
    row.instalment_at_view = share(p.cards.instalments_when_seen)
    row.margin, row.complaint_cost = share(p.worth.margin), p.worth.complaint
    row.horizon_days = p.worth.horizon / DAY_MS
    row.fraud_rate, row.fraud_loss, row.protects = p.fraud.per_year / YEAR_DAYS, p.fraud.loss, share(p.fraud.stopped)
    return table


def topic_row(row: np.record, topic: Topic) -> None:
    row.known = 1
    row.click, row.act = share(topic.clicks), share(topic.acts)
    row.close, row.mute, row.snooze = share(topic.closes), share(topic.mutes), share(topic.reminds)
    row.complaint, row.reward_half, row.delay_ms = share(topic.complains), topic.reward_half, topic.after
    row.brought_forward, row.switched, row.revive = (
        share(topic.brought_forward),
        share(topic.switched),
        share(topic.revives),
    )
    row.snooze_return = topic.reminded
    row.does = EventKind[topic.does.upper()]


def attention(campaign: Campaign, creative: Creative, annoyance: Annoyance) -> float:
    """Annoyance one exposure adds: by style for pop-ups, by channel elsewhere."""
    if campaign.channel == "popup":
        return float(getattr(annoyance, creative.style))
    return _ATTENTION_OF_CHANNEL.get(campaign.channel, 0.0)


def face_row(
    row: np.record, campaign: Campaign, creative: Creative, population: Population, policy: Policy, topics: list[str]
) -> None:
    style = population.styles.get(creative.style)
    colour = population.colours.get(creative.colour or "")
    row.reward = face_value(campaign, policy)
    row.click_factor = (style.clicks if style else 1.0) * (colour.clicks if colour else 1.0)
    row.close_factor = (style.closes if style else 1.0) * (colour.closes if colour else 1.0)
    row.act_factor = (style.acts if style else 1.0) * (colour.acts if colour else 1.0)
    row.attention = attention(campaign, creative, population.annoyance)
    row.topic = topics.index(campaign.topic)
    row.offers_snooze, row.offers_mute = creative.remind_later, creative.mute


def face_value(campaign: Campaign, policy: Policy) -> int:
    """Fen that a message promises: its reward, or what its coupon takes off."""
    if campaign.coupon is None:
        return campaign.reward
    coupon = policy.coupons[campaign.coupon]
    share_of_a_hundred = (coupon.rate or 0) * 10_000 // SHARE_ONE
    return coupon.off or coupon.worth or share_of_a_hundred


def faces_of(compiled: CompiledPolicy, population: Population) -> np.ndarray:
    """FACE[slots, arms]: what customers see of each campaign."""
    topics = list(population.topics)
    arms = max(1, int(compiled.tables.campaigns["arms"].max(initial=1)))
    assert arms <= ARMS_MAX
    table = records((len(compiled.tables.campaigns), arms), FACE)
    for name, campaign in compiled.policy.campaigns.items():
        creatives = [arm.creative for arm in campaign.arms] if campaign.arms else [campaign.creative]
        for arm, creative in enumerate(creatives):
            assert creative is not None
            face_row(table[compiled.registry.slots[name], arm], campaign, creative, population, compiled.policy, topics)
    return table


# --- curves -----------------------------------------------------------------------------------------------------------
def hour_quantiles(hours: Sequence[float]) -> np.ndarray:
    """Time of day (in days) at which each 1/96 of a day's visits has begun."""
    mass = np.concatenate([[0.0], cumulative(hours)])
    return np.interp(np.linspace(0.0, 1.0, QUANTILES + 1), mass, np.arange(25) / 24.0)


def month_weights(months: Sequence[float]) -> np.ndarray:
    """Season by month, averaging 1 over the days of a year."""
    days = np.array([31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    weights = np.asarray(months, float)
    return weights / (weights @ days / days.sum())


def day_factors(days: Sequence[date], population: Population) -> np.ndarray:
    """Visits of each day against the average day: weekday × season, each averaging 1."""
    weekdays = np.asarray(population.visits.weekdays) / np.mean(population.visits.weekdays)
    months = month_weights(population.visits.months)
    return np.array([weekdays[day.weekday()] * months[day.month - 1] for day in days])


def purchase_clock(first: date, last: date, population: Population) -> np.ndarray:
    """Operational time at each hour since the first day's start: the integral of the curves."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    if not population.purchases.curves:
        return np.arange(24 * len(days) + 1) / 24.0
    by_hour = np.asarray(population.visits.hours) / np.sum(population.visits.hours)
    rates = np.outer(day_factors(days, population), by_hour).ravel()
    return np.concatenate([[0.0], np.cumsum(rates)])


def next_page_table(population: Population, pages: Sequence[str]) -> np.ndarray:
    """Cumulative shares of where to go next; last row: entry, last column: leave."""
    table = np.zeros((len(pages) + 1, len(pages) + 1))
    for row, page in enumerate(pages):
        leads = population.pages[page].leads if page in population.pages else {}
        shares = [leads.get(other, 0.0) for other in pages]
        table[row] = cumulative([*shares, max(0.0, 1.0 - sum(shares))])
    table[-1] = cumulative([*(population.enters.get(page, 0.0) for page in pages), 0.0])
    return table


def age_table(population: Population) -> np.ndarray:
    bands = population.customers.ages
    return np.column_stack(
        [cumulative([band.share for band in bands]), [band.from_ for band in bands], [band.until for band in bands]]
    ).astype(float)


def model_of(
    population: Population, compiled: CompiledPolicy, spans: Spans, stream: tuple[int, int], customers: int = 1
) -> Model:
    """The population's arrays as seen under one policy. customers: how many there are in all."""
    names = compiled.policy.names
    pages = names.pages
    table = compiled.tables.days
    days = [date(d // 10_000, d // 100 % 100, d % 100) for d in table["date"].tolist()]
    history = timedelta(days=population.customers.joined_within // DAY_MS + 2)
    clock = purchase_clock(days[0] - history, days[-1], population)
    topics = records(len(population.topics), TOPIC)
    for row, topic in zip(topics, population.topics.values(), strict=True):
        topic_row(row, topic)
    consents = np.zeros(CHANNELS)
    for channel, rate in population.customers.consents.items():
        consents[Channel[channel.upper()]] = share(rate)
    products, product_shares = product_table(population.shop, compiled.policy)
    events = [population.pages[page].event if page in population.pages else None for page in pages]
    return Model(
        numbers=numbers_of(population),
        stream=np.array(stream, np.int64),
        topics=topics,
        faces=faces_of(compiled, population),
        campaigns=compiled.tables.campaigns,
        days=table,
        day_factor=day_factors(days, population),
        hour_quantiles=hour_quantiles(population.visits.hours),
        clock_start_ms=np.array([int(table[0].start_ms) - history.days * DAY_MS], np.int64),
        clock=clock,
        next_page=next_page_table(population, pages),
        dwell_mean_ms=np.array(
            [max(1, population.pages[p].stays - 500) if p in population.pages else 1_000 for p in pages], float
        ),
        page_event=np.array([EventKind[event.upper()] if event else 0 for event in events], np.int16),
        purchase_path=np.array([pages.index(page) for page in population.purchase_path], np.int64),
        dwells=np.array(compiled.dwells, np.int64),
        cities=cumulative(named(population.customers.cities, names.cities)),
        tiers=cumulative(named(population.customers.tiers, names.tiers)) if names.tiers else np.ones(1),
        ages=age_table(population),
        consents=consents,
        tags=np.array(named(population.customers.tags, names.tags)),
        shop=shop_row(population.shop, compiled.policy),
        products=products,
        product_shares=product_shares,
        places=place_shares(population.shop, compiled.policy),
        offers=offer_table(compiled),
        terms=compiled.tables.terms,
        coupons=compiled.tables.coupons,
        customers=np.array([customers], np.int64),
        origins=origins_row(population.origins),
        outages=outage_table(population.incidents, spans),
        support=support_row(population.support),
        absences=absence_table(population.incidents, spans, customers),
    )


# --- what only both together can say ----------------------------------------------------------------------------------
def misfits(population: Population, policy: Policy) -> list[tuple[str, str]]:
    """(path in the population, what must be) of everything in which population and policy do not fit each other.

    Either may have fields that are broken: what leans on them says nothing.
    """
    checks: tuple[Callable[[], list[tuple[str, str]]], ...] = (
        lambda: unknown("pages", population.pages, policy.names.pages),
        lambda: unknown("customers.cities", population.customers.cities, policy.names.cities),
        lambda: unknown("customers.tiers", population.customers.tiers, policy.names.tiers),
        lambda: unknown("customers.tags", population.customers.tags, policy.names.tags),
        lambda: topics_without_customers(population, policy),
        lambda: unknown_names(population.shop, policy) if population.shop else [],
        lambda: coupons_without_a_shop(population, policy),
        lambda: adversaries_without_coupons(population, policy),
        lambda: shortages_of_nothing(population, policy),
    )
    problems: list[tuple[str, str]] = []
    for check in checks:
        with suppress(UnreadableError):
            problems += check()
    return problems


def unknown(path: str, given: Iterable[str], names: Sequence[str]) -> list[tuple[str, str]]:
    """Names of a population's block that the policy does not declare."""
    where = f"the policy's names.{path.split('.')[-1]}"
    return [(f"{path}.{name}", sentence) for name in given for _, sentence in known(name, (), where, names)]


def topics_without_customers(population: Population, policy: Policy) -> list[tuple[str, str]]:
    topics = dict.fromkeys(campaign.topic for campaign in policy.campaigns.values() if "topic" in campaign.__dict__)
    have = ", ".join(population.topics) or "nothing"
    sentence = "must say how customers take {}, which the policy's campaigns are about (got " + have + ")"
    return [("topics", sentence.format(topic)) for topic in topics if topic not in population.topics]


def coupons_without_a_shop(population: Population, policy: Policy) -> list[tuple[str, str]]:
    if policy.coupons and population.shop is None:
        return [("shop", "must be given: the policy has coupons, and nobody would shop with them (got nothing)")]
    return []


def doubts(population: Population, policy: Policy) -> list[str]:
    """What runs, but hardly as it was meant: rewards that customers of this population do not see."""
    found = []
    for name, campaign in policy.campaigns.items():
        half = population.topics[campaign.topic].reward_half
        gives = face_value(campaign, policy)
        if gives and not half:
            field = "coupon" if campaign.coupon else "reward"
            found.append(f"campaigns.{name}.{field} changes nothing: topics.{campaign.topic} has no reward_half")
        if half and not gives:
            found.append(f"campaigns.{name} gives nothing, so nobody clicks: topics.{campaign.topic} has a reward_half")
    return found
