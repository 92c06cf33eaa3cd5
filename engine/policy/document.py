"""The policy as a strategist writes it: strict models, one per block of the YAML.

Values arrive already in the engine's units: money in fen, durations in ms, shares in millionths, responses in 1e-9.
"""

# ruff: noqa: RUF012 - the defaults belong to pydantic, which never shares them

import difflib
import keyword
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from engine.policy.conditions import FACTS, Compiler, ConditionError, Scope
from engine.policy.quantities import (
    Block,
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
    clock_text,
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
Checks = Iterator[Iterator[Problem]]

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


def reserved(name: str, path: Path) -> Iterator[Problem]:
    """A problem where a condition could not tell the name from a fact or a word of its own language."""
    if name in RESERVED:
        yield path, f"must not be named like a fact of conditions (got {name})"
    elif keyword.iskeyword(name) or name == "tag":
        yield path, f"must not be named like a word of conditions (got {name})"

class NamesBlock(Block):
    """Names of categories, in the order that numbers them."""

    pages: Annotated[list[Identifier], Field(min_length=1, max_length=CATEGORIES_MAX)]
    cities: Names = []
    tiers: Names = []
    tags: Annotated[list[Identifier], Field(max_length=TAGS_MAX)] = []
    topics: Names = []

    def cross_checks(self) -> Checks:
        yield (problem for problem in repeated(self.pages, ("pages",)))
        yield (problem for problem in repeated(self.cities, ("cities",)))
        yield (problem for problem in repeated(self.tiers, ("tiers",)))
        yield (problem for problem in repeated(self.tags, ("tags",)))
        yield (problem for problem in repeated(self.topics, ("topics",)))
        yield (problem for number, tag in enumerate(self.tags) for problem in reserved(tag, ("tags", number)))


class Rfm(Block):
    """Thresholds, ascending. Recency counts days since the last purchase: fewer is better."""

    recency_days: Annotated[list[Count], Field(min_length=1, max_length=8)]
    frequency: Annotated[list[Count], Field(min_length=1, max_length=8)]
    monetary: Annotated[list[Money], Field(min_length=1, max_length=8)]


class Moment(Block):
    """A calendar moment: once a month on a day, once a week, or once on a date; exactly one of the three."""

    monthly: Annotated[Count, Field(ge=1, le=28)] | None = None
    weekly: Weekday | None = None
    on: Date | None = None
    at: ClockTime  # minutes since midnight, wall clock of the policy's zone


class Cap(Block):
    """Fewer than `most` exposures per window. `per` is day, week or month of the calendar, or a rolling duration (ms)."""

    most: Annotated[Count, Field(ge=1, le=1000)]
    per: Per


Caps = Annotated[list[Cap], Field(max_length=CAPS_MAX)]


class ChannelFatigue(Block):
    caps: Caps = []


class QuietHours(Block):
    """[from, until) on the wall clock; may wrap midnight."""

    from_: Annotated[ClockTime, Field(alias="from")]
    until: ClockTime


class BackOff(Block):
    """After `closes` closes or mutes of pop-ups without a click between, pop-ups rest."""

    closes: Annotated[Count, Field(ge=1, le=20)]
    rest: Annotated[Duration, Field(ge=1)]
    repeat: Annotated[Count, Field(ge=1, le=10)] = 1
    rest_max: Duration | None = None  # default: `rest` × 8


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


class Trigger(Block):
    """What makes a campaign a candidate."""

    on: TriggerEvent
    pages: Annotated[list[Identifier], Field(min_length=1)] | None = None  # default: every page
    when: Text | None = None  # condition on the event and the customer
    dwell: Duration | None = None  # only with page_view: after so long on the page
    moment: Identifier | None = None  # only with `on: moment`


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
    arms: Annotated[list[Arm], Field(min_length=2, max_length=ARMS_MAX)] | None = None  # … or arms whose shares sum to 100 %


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
