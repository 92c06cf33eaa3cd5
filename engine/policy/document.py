"""The policy as a strategist writes it: strict models, one per block of the YAML.

Values arrive already in the engine's units: money in fen, durations in ms, shares in millionths, responses in 1e-9.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from engine.breaker_records import BREAKERS_MAX
from engine.coupon_records import BUDGETS_MAX, COUPONS_MAX
from engine.policy.breaker import Breaker, breaker_names
from engine.policy.budget import Budget
from engine.policy.campaign import Campaign, Caps, ChannelName
from engine.policy.checks import Checks, ascending, known, repeated, reserved
from engine.policy.conditions import Compiler, ConditionError, Scope
from engine.policy.coupon import Coupon
from engine.policy.coupon_checks import (
    between_coupons,
    campaign_names_what_is_there,
    channels_have_one_budget,
    names_are_declared,
)
from engine.policy.fraud import Fraud
from engine.policy.quantities import (
    Block,
    ClockTime,
    Count,
    Date,
    Duration,
    Identifier,
    Money,
    Path,
    Problem,
    Share,
    Text,
    duration_text,
    yuan_text,
)
from engine.records import (
    CAMPAIGNS_MAX,
    CATEGORIES_MAX,
    MOMENTS_MAX,
    SEGMENTS_MAX,
    TAGS_MAX,
)

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Names = Annotated[list[Identifier], Field(max_length=CATEGORIES_MAX)]


class NamesBlock(Block):
    """Names of categories, in the order that numbers them."""

    pages: Annotated[list[Identifier], Field(min_length=1, max_length=CATEGORIES_MAX)]
    cities: Names = []
    tiers: Names = []
    tags: Annotated[list[Identifier], Field(max_length=TAGS_MAX)] = []
    topics: Names = []
    categories: Names = []
    brands: Names = []
    products: Names = []
    places: Names = []

    def cross_checks(self) -> Checks:
        for kind in type(self).model_fields:
            yield partial(self.named_once, kind)
        yield lambda: (problem for number, tag in enumerate(self.tags) for problem in reserved(tag, ("tags", number)))

    def named_once(self, kind: str) -> Iterator[Problem]:
        yield from repeated(getattr(self, kind), (kind,))


class Rfm(Block):
    """Thresholds, ascending. Recency counts days since the last purchase: fewer is better."""

    recency_days: Annotated[list[Count], Field(min_length=1, max_length=8)]
    frequency: Annotated[list[Count], Field(min_length=1, max_length=8)]
    monetary: Annotated[list[Money], Field(min_length=1, max_length=8)]

    def cross_checks(self) -> Checks:
        yield lambda: ascending(self.recency_days, "recency_days", str)
        yield lambda: ascending(self.frequency, "frequency", str)
        yield lambda: ascending(self.monetary, "monetary", yuan_text)


class Moment(Block):
    """A calendar moment: once a month on a day, once a week, or once on a date; exactly one of the three."""

    monthly: Annotated[Count, Field(ge=1, le=28)] | None = None
    weekly: Weekday | None = None
    on: Date | None = None
    at: ClockTime  # minutes since midnight, wall clock of the policy's zone

    def cross_checks(self) -> Checks:
        yield self.one_rule

    def one_rule(self) -> Iterator[Problem]:
        rules = {"monthly": self.monthly, "weekly": self.weekly, "on": self.on}
        given = [name for name, rule in rules.items() if rule is not None]
        if len(given) != 1:
            yield (), f"must have exactly one of monthly, weekly, on (got {' and '.join(given) or 'none of them'})"


class ChannelFatigue(Block):
    caps: Caps = []


class QuietHours(Block):
    """[from, until) on the wall clock; may wrap midnight. Equal ends: no quiet time."""

    from_: Annotated[ClockTime, Field(alias="from")]
    until: ClockTime


class BackOff(Block):
    """After `closes` closes or mutes of pop-ups without a click between, pop-ups rest."""

    closes: Annotated[Count, Field(ge=1, le=20)]
    rest: Annotated[Duration, Field(ge=1)]
    repeat: Annotated[Count, Field(ge=1, le=10)] = 1
    rest_max: Duration | None = None  # default: `rest` × 8

    def cross_checks(self) -> Checks:
        yield self.rest_max_holds_a_rest

    def rest_max_holds_a_rest(self) -> Iterator[Problem]:
        if self.rest_max is not None and self.rest_max < self.rest:
            yield ("rest_max",), f"must be >= rest, {duration_text(self.rest)} (got {duration_text(self.rest_max)})"


class Fatigue(Block):
    caps: Caps = []
    channels: dict[ChannelName, ChannelFatigue] = {}
    quiet_hours: QuietHours | None = None
    back_off: BackOff | None = None


class Ranking(Block):
    by: Literal["uplift", "response"] = "uplift"
    price_of_attention: Money = 0


class UniversalHoldout(Block):
    share: Share
    salt: Text | None = None  # default: "<policy>/universal"


class LintBlock(Block):
    """What lint goes by: its search for carts that cost too little, and which segments everybody may know of."""

    discount_most: Annotated[Share, Field(ge=1)] = 600_000  # of goods and shipping
    paid_least: Money = 1  # what an order must bring at least
    cheapest: Annotated[Money, Field(ge=1)] = 100  # price of the cheapest piece sold
    shipping: Money = 0  # of one order
    published: list[Identifier] = []  # segments whose members are told why they get another coupon


class Policy(Block):
    policy: Identifier
    time_zone: Text
    provider: Text
    names: NamesBlock
    rfm: Rfm | None = None
    segments: Annotated[dict[Identifier, Text], Field(max_length=SEGMENTS_MAX - 1)] = {}
    moments: Annotated[dict[Identifier, Moment], Field(max_length=MOMENTS_MAX)] = {}
    protected_pages: list[Identifier] = []
    adult_age: Annotated[Count, Field(ge=18, le=30)] = 18
    fatigue: Fatigue = Fatigue()
    ranking: Ranking = Ranking()
    universal_holdout: UniversalHoldout | None = None
    budgets: Annotated[dict[Identifier, Budget], Field(max_length=BUDGETS_MAX)] = {}
    coupons: Annotated[dict[Identifier, Coupon], Field(max_length=COUPONS_MAX)] = {}
    fraud: Fraud = Fraud()
    breakers: Annotated[dict[Identifier, Breaker], Field(max_length=BREAKERS_MAX)] = {}
    lint: LintBlock = LintBlock()
    campaigns: Annotated[dict[Identifier, Campaign], Field(max_length=CAMPAIGNS_MAX)] = {}

    def cross_checks(self) -> Checks:
        yield self.zone_exists
        yield self.protected_pages_are_pages
        yield lambda: repeated(self.protected_pages, ("protected_pages",))
        yield lambda: repeated(self.lint.published, ("lint", "published"))
        yield self.published_are_segments
        yield self.segments_have_names_of_their_own
        yield self.segments_are_conditions
        yield from self.coupon_checks()
        yield from self.fraud_checks()
        for name, breaker in self.__dict__.get("breakers", {}).items():
            yield partial(lambda name, breaker: breaker_names(name, breaker, self.campaigns), name, breaker)
        for name in self.campaigns:
            yield partial(self.topic_is_declared, name)
            yield partial(self.pages_are_declared, name)
            yield partial(self.moment_is_declared, name)
            yield partial(self.responses_are_of_segments, name)
            yield partial(self.audience_is_a_condition, name)
            yield partial(self.when_is_a_condition, name)

    def zone_exists(self) -> Iterator[Problem]:
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError):
            yield ("time_zone",), f"must be a time zone like Asia/Shanghai (got {self.time_zone})"

    # --- names --------------------------------------------------------------------------------------------------------
    def protected_pages_are_pages(self) -> Iterator[Problem]:
        for number, page in enumerate(self.protected_pages):
            yield from known(page, ("protected_pages", number), "names.pages", self.names.pages)

    def topic_is_declared(self, name: str) -> Iterator[Problem]:
        topic = self.campaigns[name].topic
        yield from known(topic, ("campaigns", name, "topic"), "names.topics", self.names.topics)

    def pages_are_declared(self, name: str) -> Iterator[Problem]:
        for number, page in enumerate(self.campaigns[name].trigger.pages or []):
            yield from known(page, ("campaigns", name, "trigger", "pages", number), "names.pages", self.names.pages)

    def moment_is_declared(self, name: str) -> Iterator[Problem]:
        moment = self.campaigns[name].trigger.moment
        if moment is not None:
            yield from known(moment, ("campaigns", name, "trigger", "moment"), "moments", self.moments)

    def responses_are_of_segments(self, name: str) -> Iterator[Problem]:
        for segment in self.campaigns[name].response_by_segment:
            path = ("campaigns", name, "response_by_segment", segment)
            yield from known(segment, path, "segments", self.segments)

    def published_are_segments(self) -> Iterator[Problem]:
        for number, segment in enumerate(self.lint.published):
            yield from known(segment, ("lint", "published", number), "segments", self.segments)

    def segments_have_names_of_their_own(self) -> Iterator[Problem]:
        for name, condition in self.segments.items():
            if name == "other":
                yield ("segments", name), "must not be named other: that is whoever fits no segment (got other)"
            elif condition.strip() != name:  # a fact may name the segment of exactly those it holds for
                yield from reserved(name, ("segments", name))

    # --- coupons and budgets ------------------------------------------------------------------------------------------
    def coupon_checks(self) -> Checks:
        coupons, budgets, campaigns = (self.__dict__.get(name) for name in ("coupons", "budgets", "campaigns"))
        if budgets is not None:
            yield partial(channels_have_one_budget, budgets)
        for name, campaign in (campaigns or {}).items():
            yield partial(campaign_names_what_is_there, name, campaign, coupons, budgets)
        if coupons is not None:
            yield from between_coupons(coupons, budgets)
        for name in coupons or {}:
            yield partial(self.coupon_names_are_declared, name)
            yield partial(self.claimed_by_a_condition, name)

    def coupon_names_are_declared(self, name: str) -> Iterator[Problem]:
        yield from names_are_declared(name, self.coupons[name], self.names)

    def claimed_by_a_condition(self, name: str) -> Iterator[Problem]:
        audience = self.coupons[name].audience
        if audience is not None:
            scope = self.scope(self.readable_segments(), events=False)
            yield from condition(audience, scope, ("coupons", name, "audience"))

    # --- fraud --------------------------------------------------------------------------------------------------------
    def fraud_checks(self) -> Checks:
        fraud = self.__dict__.get("fraud")
        for name in fraud.__dict__.get("rules", {}) if fraud is not None else ():
            yield partial(self.where_is_a_condition, name)
        for name in fraud.__dict__.get("places", {}) if fraud is not None else ():
            yield partial(self.city_is_declared, name)

    def where_is_a_condition(self, name: str) -> Iterator[Problem]:
        where = self.fraud.rules[name].where
        if where is not None:
            scope = replace(self.scope(self.readable_segments(), events=True), fraud=True)
            yield from condition(where, scope, ("fraud", "rules", name, "where"))

    def city_is_declared(self, name: str) -> Iterator[Problem]:
        yield from known(name, ("fraud", "places", name), "names.cities", self.names.cities)

    # --- conditions ---------------------------------------------------------------------------------------------------
    def scope(self, segments: dict[str, str], *, events: bool) -> Scope:
        names = self.names
        categories = {"pages": names.pages, "cities": names.cities, "tiers": names.tiers}
        return Scope(categories, names.tags, segments, events)

    def segments_are_conditions(self) -> Iterator[Problem]:
        earlier: dict[str, str] = {}
        for name, text in self.segments.items():
            found = list(condition(text, self.scope(earlier, events=False), ("segments", name)))
            earlier[name] = "True" if found else text  # whoever names a broken segment is not to blame for it
            yield from found

    def readable_segments(self) -> dict[str, str]:
        broken = {path[1] for path, _ in self.segments_are_conditions()}
        return {name: "True" if name in broken else text for name, text in self.segments.items()}

    def audience_is_a_condition(self, name: str) -> Iterator[Problem]:
        audience = self.campaigns[name].audience
        if audience is not None:
            scope = self.scope(self.readable_segments(), events=False)
            yield from condition(audience, scope, ("campaigns", name, "audience"))

    def when_is_a_condition(self, name: str) -> Iterator[Problem]:
        when = self.campaigns[name].trigger.when
        if when is not None:
            scope = self.scope(self.readable_segments(), events=True)
            yield from condition(when, scope, ("campaigns", name, "trigger", "when"))


def condition(text: str, scope: Scope, path: Path) -> Iterator[Problem]:
    try:
        Compiler().add(text, scope)
    except ConditionError as error:
        yield path, f"must be {error} (got {text})"
