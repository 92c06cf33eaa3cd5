"""Populations and scenarios as people write them: strict models over the same YAML machinery as policies.

Bounds are where the simulation still means something; what population and policy must agree on is in `build.misfits`.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import date
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from engine.policy.checks import Checks, known, repeated
from engine.policy.quantities import (
    Block,
    Count,
    Duration,
    Factor,
    Identifier,
    Money,
    Number,
    Path,
    Problem,
    Share,
    Truth,
    share_text,
)
from engine.records import CATEGORIES_MAX, HOUR_MS, SHARE_ONE, TAGS_MAX
from scenarios.adversaries_document import Adversaries
from scenarios.incidents_document import INCIDENTS_MAX, Incident
from scenarios.origins_document import Origins
from scenarios.shop_document import Shop
from scenarios.support_document import Support

CUSTOMERS_LEAST, CUSTOMERS_MAX, DAYS_MAX = 100, 100_000_000, 366
CUSTOMER_BASE_MAX = 10_000_000_000
START_FIRST, START_LAST = date(2001, 1, 1), date(2060, 12, 31)  # keys of visits count seconds from 2000 to 2067
STAYS_MAX_MS = HOUR_MS
PURCHASES_PER_DAY_MAX = 10  # on average
AMOUNT_MEAN_MAX = 1_000_000  # yuan
EXPECTATIONS_MAX = 100
ROUNDING = 1e-9  # shares are summed as floats

NUMBER_MAX = 1_000  # of what is multiplied or put into an exponent
Shape = Annotated[Number, Field(ge=0.05, le=NUMBER_MAX)]  # of gamma distributions: below, their draws round to 0
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0, le=NUMBER_MAX)]
Weight = Annotated[Factor, Field(le=NUMBER_MAX)]
Twelve = Annotated[list[Weight], Field(min_length=12, max_length=12)]


def all_known(names: Collection[str], path: Path, where: str, declared: Collection[str]) -> Iterator[Problem]:
    """Keys of a block that are not declared."""
    for name in names:
        yield from known(name, (*path, name), where, declared)


def whole(shares: Sequence[int], path: Path) -> Iterator[Problem]:
    """A problem unless shares are everybody."""
    if sum(shares) != SHARE_ONE:
        yield path, f"must have shares that sum to 100% (got {share_text(sum(shares))})"


def part(shares: dict[str, int], path: Path) -> Iterator[Problem]:
    """A problem where shares of the same people are more than everybody."""
    if sum(shares.values()) > SHARE_ONE:
        yield path, f"must have {' + '.join(shares)} of at most 100% (got {share_text(sum(shares.values()))})"


class Visits(Block):
    """How often and when the app is opened."""

    per_day: Annotated[Number, Field(gt=0, le=4)]
    shape: Shape = 1.0
    hours: Annotated[list[NotNegative], Field(min_length=24, max_length=24)]
    weekdays: Annotated[list[Weight], Field(min_length=7, max_length=7)] = [1.0] * 7
    months: Twelve = [1.0] * 12
    after_dropping_out: NotNegative = 0.15

    def cross_checks(self) -> Checks:
        yield self.some_hour_has_visits

    def some_hour_has_visits(self) -> Iterator[Problem]:
        if not any(self.hours):
            yield ("hours",), "must have an hour above 0 (got 0 in all 24)"


class Page(Block):
    """stays: mean; leads: shares of where to go next, the rest leaves; event: what opening the page does."""

    stays: Annotated[Duration, Field(ge=500, le=STAYS_MAX_MS)]
    leads: dict[Identifier, NotNegative] = {}
    event: (
        Literal["balance_query", "bill_viewed", "card_bound", "instalment", "payment", "claim", "checkout", "order"]
        | None
    ) = None

    def cross_checks(self) -> Checks:
        yield self.leads_leave_nobody_twice

    def leads_leave_nobody_twice(self) -> Iterator[Problem]:
        if sum(self.leads.values()) > 1.0 + ROUNDING:
            yield ("leads",), f"must add up to at most 1, the rest leaves (got {sum(self.leads.values()):g})"


class Amount(Block):
    """Gamma-Gamma; gamma in yuan."""

    p: Shape
    q: Annotated[Number, Field(gt=1, le=NUMBER_MAX)]
    gamma: Positive

    def cross_checks(self) -> Checks:
        yield self.mean_can_be_paid

    def mean_can_be_paid(self) -> Iterator[Problem]:
        mean = self.p * self.gamma / (self.q - 1)
        if mean > AMOUNT_MEAN_MAX:
            yield (), f"must have a mean, p × gamma / (q - 1), of at most {AMOUNT_MEAN_MAX} yuan (got {mean:.6g})"


class Purchases(Block):
    """BG/NBD; alpha in `unit`."""

    unit: Literal["day", "week"]
    r: Shape
    alpha: Positive
    a: Shape
    b: Shape
    amount: Amount
    brought_forward_within: Duration = 14 * 86_400_000
    curves: Truth = True  # season, weekday and hour move purchases too

    def cross_checks(self) -> Checks:
        yield self.purchases_can_be_lived

    def purchases_can_be_lived(self) -> Iterator[Problem]:
        a_day = self.r / self.alpha / (7 if self.unit == "week" else 1)
        if a_day > PURCHASES_PER_DAY_MAX:
            most = f"at most {PURCHASES_PER_DAY_MAX} purchases a day on average"
            yield ("alpha",), f"must give {most}, r / alpha (got {a_day:.6g})"


class Cards(Block):
    unbound: Share = 0
    binds_when_seen: Share = 0
    unused: Share = 0
    first_use_per_day: Annotated[Number, Field(ge=0, le=1)] = 0.0
    prepaid: Share = 0
    balance: Money = 0
    credit_line: Money = 2_000_000  # what cards that are not prepaid may spend
    low_balance: Money = 0
    top_up: Money = 20_000
    top_up_when_seen: Share = 0
    top_up_when_paying: Share = 1_000_000
    leave_when_it_fails: Share = 0
    points: Annotated[Count, Field(le=10_000_000)] = 0
    instalments_when_seen: Share = 0

    def cross_checks(self) -> Checks:
        yield self.a_top_up_is_money

    def a_top_up_is_money(self) -> Iterator[Problem]:
        if self.prepaid and self.top_up == 0 and self.top_up_when_seen:
            yield ("top_up",), "must be > 0 where customers top up, prepaid and top_up_when_seen (got 0)"


class AgeBand(Block):
    share: Share
    from_: Annotated[Count, Field(alias="from", le=120)]
    until: Annotated[Count, Field(le=120)]

    def cross_checks(self) -> Checks:
        yield self.some_years

    def some_years(self) -> Iterator[Problem]:
        if self.until <= self.from_:
            yield ("until",), f"must be more than from, {self.from_} (got {self.until})"


class Customers(Block):
    joined_within: Annotated[Duration, Field(ge=1)] = 730 * 86_400_000
    ages: Annotated[list[AgeBand], Field(min_length=1, max_length=20)]
    female: Share = 500_000
    cities: Annotated[dict[Identifier, Share], Field(min_length=1, max_length=CATEGORIES_MAX)]
    tiers: Annotated[dict[Identifier, Share], Field(max_length=CATEGORIES_MAX)] = {}
    tags: Annotated[dict[Identifier, Share], Field(max_length=TAGS_MAX)] = {}
    consents: dict[Literal["push", "sms", "email", "voice"], Share] = {}
    personalisation_off: Share = 0
    likely_minor: Share = 0
    high_risk: Share = 0
    logs_in_from_elsewhere: Share = 0

    def cross_checks(self) -> Checks:
        yield lambda: whole([band.share for band in self.ages], ("ages",))
        yield self.ages_ascend
        yield lambda: whole(list(self.cities.values()), ("cities",))
        yield lambda: whole(list(self.tiers.values()), ("tiers",)) if self.tiers else ()

    def ages_ascend(self) -> Iterator[Problem]:
        for number, (before, band) in enumerate(zip(self.ages, self.ages[1:], strict=False), start=1):
            if band.from_ < before.until:
                sentence = f"must be >= {before.until}, where the band before ends (got {band.from_})"
                yield ("ages", number, "from"), sentence


class Taste(Block):
    spread: Annotated[Number, Field(ge=0, le=3)] = 0.0
    young: Weight = 1.0
    young_spread: Annotated[Number, Field(ge=0, le=3)] = 1.0


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
    leaving: Annotated[Number, Field(ge=0, le=1)] = 0.0


class Look(Block):
    """Factors of a style or a colour on the shares of a topic. acts: of those who click."""

    clicks: NotNegative = 1.0
    closes: NotNegative = 1.0
    acts: NotNegative = 1.0


class Topic(Block):
    """How people take a message about this: shares of exposures, and what those who click go on to do."""

    clicks: Share
    acts: Share
    does: Literal["payment", "top_up", "bill_viewed", "feature_used", "card_bound", "instalment"]
    after: Duration = 60_000
    reward_half: Money = 0
    closes: Share = 0
    mutes: Share = 0
    reminds: Share = 0
    complains: Share = 0
    brought_forward: Share = 0
    switched: Share = 0
    revives: Share = 0
    reminded: Weight = 1.4  # appeal after "remind me later"

    def cross_checks(self) -> Checks:
        yield lambda: part(self.shares_of("clicks", "closes", "mutes", "reminds", "complains"), ())
        yield lambda: part(self.shares_of("brought_forward", "switched"), ())

    def shares_of(self, *names: str) -> dict[str, int]:
        return {name: getattr(self, name) for name in names}


class Worth(Block):
    """What customers are worth to the issuer. margin: of what they spend; horizon: of the closing value."""

    margin: Share = 0
    complaint: Money = 0
    horizon: Annotated[Duration, Field(ge=86_400_000, le=3650 * 86_400_000)] = 365 * 86_400_000


class Fraud(Block):
    """Losses to fraudsters who get at an account; `stopped` by the safety feature, of those who have used it."""

    per_year: Annotated[Number, Field(ge=0, le=10)] = 0.0
    loss: Annotated[Money, Field(le=200_000_000)] = 0
    stopped: Share = 0


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
    topics: Annotated[dict[Identifier, Topic], Field(max_length=CATEGORIES_MAX)]
    worth: Worth = Worth()
    fraud: Fraud = Fraud()
    shop: Shop | None = None  # what is sold, and how customers take coupons
    origins: Origins | None = None  # from which devices, addresses and cards customers come
    adversaries: Adversaries | None = None  # who comes for money that is not meant for them
    incidents: Annotated[dict[Identifier, Incident], Field(max_length=INCIDENTS_MAX)] = {}  # what goes wrong
    support: Support | None = None  # who answers those who get in touch

    def cross_checks(self) -> Checks:
        yield lambda: all_known(self.enters, ("enters",), "pages", self.pages)
        yield self.visits_begin_somewhere
        yield self.purchase_path_is_pages
        yield self.purchase_path_ends_with_a_payment
        yield self.purchase_path_of_a_shop
        yield self.somebody_to_get_in_touch_with
        for name in self.pages:
            yield partial(self.leads_are_pages, name)

    def visits_begin_somewhere(self) -> Iterator[Problem]:
        if not any(self.enters.values()):
            yield ("enters",), "must have a page above 0 (got 0 for all)"

    def leads_are_pages(self, name: str) -> Iterator[Problem]:
        return all_known(self.pages[name].leads, ("pages", name, "leads"), "pages", self.pages)

    def purchase_path_is_pages(self) -> Iterator[Problem]:
        for number, page in enumerate(self.purchase_path):
            yield from known(page, ("purchase_path", number), "pages", self.pages)
        yield from repeated(self.purchase_path, ("purchase_path",))

    def purchase_path_ends_with_a_payment(self) -> Iterator[Problem]:
        *before, last = self.purchase_path
        if last in self.pages and self.pages[last].event != "payment":
            got = self.pages[last].event or "nothing"
            yield ("pages", last, "event"), f"must be payment, for purchase_path ends here (got {got})"
        for page in before:
            if page in self.pages and self.pages[page].event == "payment":
                sentence = f"must not be payment, for purchase_path goes on to {last} (got payment)"
                yield ("pages", page, "event"), sentence

    def purchase_path_of_a_shop(self) -> Iterator[Problem]:
        """A shop prices the cart and takes the order on the way to the payment."""
        events = [self.pages[page].event for page in self.purchase_path if page in self.pages]
        wanted = ["checkout", "order", "payment"]
        if self.shop is not None and [event for event in events if event in wanted] != wanted:
            got = ", ".join(event or "nothing" for event in events)
            yield ("purchase_path",), f"must have pages of event checkout, order, payment in a shop (got {got})"
        if self.shop is None and any(event in wanted[:2] for event in events):
            yield ("purchase_path",), "must have no page of event checkout or order without a shop"

    def somebody_to_get_in_touch_with(self) -> Iterator[Problem]:
        for name, incident in self.incidents.items():
            if incident.get_in_touch and self.support is None:
                got = share_text(incident.get_in_touch)
                yield ("incidents", name, "get_in_touch"), f"must be 0 without a support desk, support (got {got})"
