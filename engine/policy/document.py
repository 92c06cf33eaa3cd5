"""The policy as a strategist writes it: strict models, one per block of the YAML.

Values arrive already in the engine's units: money in fen, durations in ms, shares in millionths, responses in 1e-9.
"""

import difflib
import itertools
import keyword
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from engine.policy.conditions import FACTS, Compiler, ConditionError, Scope
from engine.policy.quantities import (
    Block,
    Check,
    ClockTime,
    Count,
    Date,
    Duration,
    Identifier,
    Money,
    Path,
    Per,
    Problem,
    Response,
    Share,
    Text,
    Truth,
    duration_text,
    share_text,
    yuan_text,
)
from engine.records import (
    ARMS_MAX,
    CAMPAIGNS_MAX,
    CAPS_MAX,
    CATEGORIES_MAX,
    MOMENTS_MAX,
    SEGMENTS_MAX,
    SHARE_ONE,
    TAGS_MAX,
    Fact,
)

ChannelName = Literal["popup", "push", "sms", "email", "voice", "inbox", "carousel", "campaign_page"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
TriggerEvent = Literal[
    "login", "page_view", "slot_view", "balance_query", "bill_viewed", "payment", "top_up", "card_bound",
    "feature_used", "register", "moment",
]  # fmt: skip
GoalEvent = Literal[
    "first_use", "payment", "top_up", "card_bound", "bill_viewed", "balance_query", "feature_used", "login", "register",
]  # fmt: skip
Purpose = Literal["activation", "transaction", "churn_prevention", "education", "service"]
Names = Annotated[list[Identifier], Field(max_length=CATEGORIES_MAX)]
Checks = Iterator[Check]

OPT_OUT_CHANNELS = ("push", "sms", "email", "voice")  # their messages say how to stop them
NAMES_SHOWN_MAX = 12  # of those a sentence lists
RESERVED = {*FACTS, *(fact.name.lower() for fact in Fact)}  # names that conditions already know


def repeated(names: Sequence[str], path: Path) -> Iterator[Problem]:
    """Names of a list that were given before."""
    for number, name in enumerate(names):
        if name in names[:number]:
            yield (*path, number), f"must be given once (got {name} again)"


def known(name: str, path: Path, where: str, names: Collection[str]) -> Iterator[Problem]:
    """A problem unless the name is one of those declared at `where`."""
    if name in names:
        return
    if not names:
        yield path, f"must be one of {where}, which has none (got {name})"
        return
    shown = ", ".join(list(names)[:NAMES_SHOWN_MAX]) + (", …" if len(names) > NAMES_SHOWN_MAX else "")
    close = difflib.get_close_matches(name, names, 1)
    yield path, f"must be one of {where}: {shown} (got {name}{f', did you mean {close[0]}?' if close else ''})"


def ascending(thresholds: Sequence[int], name: str, shown: Callable[[int], str]) -> Iterator[Problem]:
    for number, (before, threshold) in enumerate(itertools.pairwise(thresholds), start=1):
        if threshold <= before:
            yield (name, number), f"must be more than the one before, {shown(before)} (got {shown(threshold)})"


def reserved(name: str, path: Path) -> Iterator[Problem]:
    """A problem where a condition could not tell the name from a fact or a word of its own language."""
    if name in RESERVED:
        yield path, f"must not be named like a fact of conditions (got {name})"
    elif keyword.iskeyword(name):
        yield path, f"must not be named like a word of conditions (got {name})"


class NamesBlock(Block):
    """Names of categories, in the order that numbers them."""

    pages: Annotated[list[Identifier], Field(min_length=1, max_length=CATEGORIES_MAX)]
    cities: Names = []
    tiers: Names = []
    tags: Annotated[list[Identifier], Field(max_length=TAGS_MAX)] = []
    topics: Names = []

    def cross_checks(self) -> Checks:
        yield lambda: repeated(self.pages, ("pages",))
        yield lambda: repeated(self.cities, ("cities",))
        yield lambda: repeated(self.tiers, ("tiers",))
        yield lambda: repeated(self.tags, ("tags",))
        yield lambda: repeated(self.topics, ("topics",))
        yield lambda: (problem for number, tag in enumerate(self.tags) for problem in reserved(tag, ("tags", number)))


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


class Cap(Block):
    """Fewer than `most` exposures per window. `per`: day, week, month of the calendar, or a rolling duration (ms)."""

    most: Annotated[Count, Field(ge=1, le=1000)]
    per: Per


Caps = Annotated[list[Cap], Field(max_length=CAPS_MAX)]


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


class Window(Block):
    """Dates in the policy's zone, [from, until)."""

    from_: Annotated[Date | None, Field(alias="from")] = None
    until: Date | None = None

    def cross_checks(self) -> Checks:
        yield self.some_days

    def some_days(self) -> Iterator[Problem]:
        if self.from_ is not None and self.until is not None and self.until <= self.from_:
            yield ("until",), f"must be after from, {self.from_} (got {self.until})"


class Trigger(Block):
    """What makes a campaign a candidate."""

    on: TriggerEvent
    pages: Annotated[list[Identifier], Field(min_length=1)] | None = None  # default: every page
    when: Text | None = None  # condition on the event and the customer
    dwell: Duration | None = None  # only with page_view: after so long on the page
    moment: Identifier | None = None  # only with `on: moment`

    def cross_checks(self) -> Checks:
        yield self.dwell_on_pages
        yield self.moment_of_moments
        yield self.pages_of_pages
        yield lambda: repeated(self.pages or [], ("pages",))

    def dwell_on_pages(self) -> Iterator[Problem]:
        if self.dwell is not None and self.on != "page_view":
            yield ("dwell",), f"must be given only with on: page_view (got on: {self.on})"

    def moment_of_moments(self) -> Iterator[Problem]:
        if self.on == "moment" and self.moment is None:
            yield ("moment",), "must be given with on: moment (got nothing)"
        elif self.on != "moment" and self.moment is not None:
            yield ("moment",), f"must be given only with on: moment (got on: {self.on})"

    def pages_of_pages(self) -> Iterator[Problem]:
        if self.on == "moment" and self.pages is not None:
            yield ("pages",), "must be given only with events that happen on a page (got on: moment)"


class Goal(Block):
    event: GoalEvent
    window: Annotated[Duration, Field(ge=1)] = 7 * 86_400_000


class PredictedResponse(Block):
    """Predicted probability of the goal if shown and if not."""

    shown: Response
    otherwise: Response


class Close(Block):
    visible: Truth = True
    taps: Annotated[Count, Field(ge=1)] = 1
    countdown: Duration = 0


class Creative(Block):
    """What the customer sees."""

    style: Literal["full_screen", "overlay", "banner", "plain"] = "overlay"
    colour: Identifier | None = None
    text: Text
    ad_label: Truth = False
    close: Close | None = None
    remind_later: Truth = False
    mute: Truth = False  # offers "don't show again"
    opt_out: Text | None = None  # how to stop messages of this channel
    annual_rate: Text | None = None  # instalment offers state it


class Arm(Block):
    name: Identifier
    share: Share
    creative: Creative


class Holdout(Block):
    share: Share
    sees: Literal["nothing", "next_best"] = "nothing"
    salt: Text | None = None  # default: "<policy>/<campaign>/holdout"


class Frequency(Block):
    caps: Caps = []
    cool_down: Duration = 0


class Campaign(Block):
    purpose: Purpose
    topic: Identifier
    channel: ChannelName = "popup"
    window: Window = Window()
    audience: Text | None = None  # condition on the customer
    trigger: Trigger
    goal: Goal
    priority: Annotated[Count, Field(le=1000)] = 0
    value: Annotated[Money, Field(le=100_000_000)] = 0
    reward: Money = 0
    cost: Money = 0
    response: PredictedResponse
    response_by_segment: dict[Identifier, PredictedResponse] = {}
    frequency: Frequency = Frequency()
    remind_after: Annotated[Duration, Field(ge=1)] = 86_400_000
    holdout: Holdout | None = None
    salt: Text | None = None  # of the arms; default: "<policy>/<campaign>"
    creative: Creative | None = None  # either one creative …
    arms: Annotated[list[Arm], Field(min_length=2, max_length=ARMS_MAX)] | None = (
        None  # … or arms whose shares sum to 100 %
    )

    def cross_checks(self) -> Checks:
        yield self.creative_or_arms
        yield self.arms_share_everyone
        yield self.arms_have_names_of_their_own
        yield self.service_offers_nothing
        for path, creative in self.creatives():
            yield partial(self.advertisement_says_so, path, creative)
            yield partial(self.closes_at_one_tap, path, creative)
            yield partial(self.later_is_not_close, path, creative)
            yield partial(self.message_says_how_to_stop, path, creative)

    def creative_or_arms(self) -> Iterator[Problem]:
        if (self.creative is None) == (self.arms is None):
            yield (), f"must have either creative or arms (got {'neither' if self.arms is None else 'both'})"

    def arms_share_everyone(self) -> Iterator[Problem]:
        shares = sum(arm.share for arm in self.arms or [])
        if self.arms and shares != SHARE_ONE:
            yield ("arms",), f"must have shares that sum to 100% (got {share_text(shares)})"

    def arms_have_names_of_their_own(self) -> Iterator[Problem]:
        arms = self.arms or []
        for number, arm in enumerate(arms):
            if arm.name in [earlier.name for earlier in arms[:number]]:
                yield ("arms", number, "name"), f"must be a name of its own (got {arm.name} again)"

    # --- the law as rules ---------------------------------------------------------------------------------------------
    def service_offers_nothing(self) -> Iterator[Problem]:
        if self.purpose == "service" and self.reward > 0:
            yield ("reward",), f"must be 0 on a service message: minors see it too (got {yuan_text(self.reward)})"

    def creatives(self) -> Iterator[tuple[Path, Creative]]:
        """Every readable creative and its path."""
        if self.__dict__.get("creative") is not None:
            yield ("creative",), self.__dict__["creative"]
        for number, arm in enumerate(self.__dict__.get("arms") or []):
            if "creative" in arm.__dict__:
                yield ("arms", number, "creative"), arm.creative

    @property
    def is_advertising_popup(self) -> bool:
        return self.purpose != "service" and self.channel == "popup"

    def advertisement_says_so(self, path: Path, creative: Creative) -> Iterator[Problem]:
        if self.is_advertising_popup and not creative.ad_label:
            yield (
                (*path, "ad_label"),
                f"must be true: a pop-up of purpose {self.purpose} is an advertisement (got false)",
            )

    def closes_at_one_tap(self, path: Path, creative: Creative) -> Iterator[Problem]:
        if not self.is_advertising_popup:
            return
        close = creative.close
        if close is None:
            yield (*path, "close"), "must be given: a pop-up has a visible close (got nothing)"
            return
        if not close.visible:
            yield (*path, "close", "visible"), "must be true: a pop-up has a visible close (got false)"
        if close.taps != 1:
            yield (*path, "close", "taps"), f"must be 1: one tap closes a pop-up (got {close.taps})"
        if close.countdown != 0:
            shown = duration_text(close.countdown)
            yield (*path, "close", "countdown"), f"must be 0s: a pop-up closes without a wait (got {shown})"

    def later_is_not_close(self, path: Path, creative: Creative) -> Iterator[Problem]:
        if creative.remind_later and creative.close is None and not self.is_advertising_popup:
            yield (*path, "close"), "must be given: remind_later never replaces the close (got nothing)"

    def message_says_how_to_stop(self, path: Path, creative: Creative) -> Iterator[Problem]:
        if self.channel in OPT_OUT_CHANNELS and creative.opt_out is None:
            yield (*path, "opt_out"), f"must be given: a message by {self.channel} says how to stop them (got nothing)"


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
    campaigns: Annotated[dict[Identifier, Campaign], Field(max_length=CAMPAIGNS_MAX)] = {}

    def cross_checks(self) -> Checks:
        yield self.zone_exists
        yield self.protected_pages_are_pages
        yield lambda: repeated(self.protected_pages, ("protected_pages",))
        yield self.segments_have_names_of_their_own
        yield self.segments_are_conditions
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

    def segments_have_names_of_their_own(self) -> Iterator[Problem]:
        for name, condition in self.segments.items():
            if name == "other":
                yield ("segments", name), "must not be named other: that is whoever fits no segment (got other)"
            elif condition.strip() != name:  # a fact may name the segment of exactly those it holds for
                yield from reserved(name, ("segments", name))

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
