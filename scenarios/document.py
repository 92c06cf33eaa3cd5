"""Populations and scenarios as people write them: strict models over the same YAML machinery as policies."""

from typing import Annotated, Literal

from pydantic import Field

from engine.policy.document import Block
from engine.policy.quantities import Count, Date, Duration, Factor, Identifier, Money, Number, Share, Text, Truth

CUSTOMERS_LEAST, CUSTOMERS_MAX, DAYS_MAX = 100, 100_000_000, 366
Twelve = Annotated[list[Factor], Field(min_length=12, max_length=12)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]


class Visits(Block):
    """How often and when the app is opened."""

    per_day: Annotated[Number, Field(gt=0, le=4)]
    shape: Positive = 1.0
    hours: Annotated[list[NotNegative], Field(min_length=24, max_length=24)]
    weekdays: Annotated[list[Factor], Field(min_length=7, max_length=7)] = [1.0] * 7
    months: Twelve = [1.0] * 12
    after_dropping_out: NotNegative = 0.15


class Page(Block):
    """stays: mean; leads: shares of where to go next, the rest leaves; event: what opening the page does."""

    stays: Annotated[Duration, Field(ge=500)]
    leads: dict[Identifier, NotNegative] = {}
    event: Literal["balance_query", "bill_viewed", "payment"] | None = None


class Amount(Block):
    """Gamma-Gamma; gamma in yuan."""

    p: Positive
    q: Annotated[Number, Field(gt=1)]
    gamma: Positive


class Purchases(Block):
    """BG/NBD; alpha in `unit`."""

    unit: Literal["day", "week"]
    r: Positive
    alpha: Positive
    a: Positive
    b: Positive
    amount: Amount
    brought_forward_within: Duration = 14 * 86_400_000
    curves: Truth = True  # season, weekday and hour move purchases too


class Cards(Block):
    unused: Share = 0
    first_use_per_day: NotNegative = 0.0
    prepaid: Share = 0
    balance: Money = 0
    credit_line: Money = 2_000_000  # what cards that are not prepaid may spend
    low_balance: Money = 0
    top_up: Money = 20_000
    top_up_when_seen: Share = 0
    top_up_when_paying: Share = 1_000_000
    leave_when_it_fails: Share = 0
    points: Count = 0


class AgeBand(Block):
    share: Share
    from_: Annotated[Count, Field(alias="from")]
    until: Count


class Customers(Block):
    joined_within: Annotated[Duration, Field(ge=1)] = 730 * 86_400_000
    ages: Annotated[list[AgeBand], Field(min_length=1, max_length=20)]
    female: Share = 500_000
    cities: Annotated[dict[Identifier, Share], Field(min_length=1)]
    tiers: dict[Identifier, Share] = {}
    tags: dict[Identifier, Share] = {}
    consents: dict[Literal["push", "sms", "email", "voice"], Share] = {}
    personalisation_off: Share = 0
    likely_minor: Share = 0
    high_risk: Share = 0
    logs_in_from_elsewhere: Share = 0


class Taste(Block):
    spread: NotNegative = 0.0
    young: Factor = 1.0
    young_spread: NotNegative = 1.0


class Annoyance(Block):
    """What exposures add, by style, and what annoyance costs."""

    half_life: Annotated[Duration, Field(ge=60_000)]
    full_screen: NotNegative = 0.0
    overlay: NotNegative = 0.0
    banner: NotNegative = 0.0
    plain: NotNegative = 0.0
    closing: NotNegative = 0.0
    clicks_lost: NotNegative = 0.0
    closes_gained: NotNegative = 0.0
    visits_lost: NotNegative = 0.0
    leaving: NotNegative = 0.0


class Look(Block):
    clicks: NotNegative = 1.0
    closes: NotNegative = 1.0


class Topic(Block):
    """How people take a message about this: shares of exposures, and what those who click go on to do."""

    clicks: Share
    acts: Share
    does: Literal["payment", "top_up", "bill_viewed", "feature_used", "card_bound"]
    after: Duration = 60_000
    reward_half: Money = 0
    closes: Share = 0
    mutes: Share = 0
    reminds: Share = 0
    complains: Share = 0
    brought_forward: Share = 0
    switched: Share = 0
    revives: Share = 0
    reminded: Factor = 1.4  # appeal after "remind me later"


class Population(Block):
    population: Identifier
    calibration: Literal["none", "funnel", "backtested"] = "none"
    visits: Visits
    enters: Annotated[dict[Identifier, NotNegative], Field(min_length=1)]  # where a visit begins
    pages: Annotated[dict[Identifier, Page], Field(min_length=1)]
    purchase_path: Annotated[list[Identifier], Field(min_length=1, max_length=8)]
    purchases: Purchases
    cards: Cards = Cards()
    customers: Customers
    taste: Taste = Taste()
    wear_out: NotNegative = 0.0
    annoyance: Annoyance
    styles: dict[Literal["full_screen", "overlay", "banner", "plain"], Look] = {}
    colours: dict[Identifier, Look] = {}
    topics: dict[Identifier, Topic]


class Without(Block):
    """The policy itself with these campaigns paused; [] pauses none."""

    without: list[Identifier]


class Scenario(Block):
    scenario: Identifier
    says: Text  # what it shows, for the report
    policy: Text  # path, relative to this file
    baseline: Text | Without  # what customers lived under before
    population: Text
    customers: Annotated[Count, Field(ge=CUSTOMERS_LEAST, le=CUSTOMERS_MAX)]
    customer_base: Count | None = None  # figures are scaled to so many
    start: Date
    days: Annotated[Count, Field(ge=1, le=DAYS_MAX)]
    before: Annotated[Count, Field(le=DAYS_MAX)] = 28
    after: Annotated[Count, Field(le=DAYS_MAX)] = 28
    seed: Count = 1
    primary: Identifier | None = None  # the campaign the report leads with
    known_case: Truth = False
    expect: list[Text] = []
