"""A campaign as a strategist writes it: trigger, goal, creative, arms, holdout, frequency, and the law as rules."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from engine.policy.checks import Checks, repeated
from engine.policy.quantities import (
    Block,
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
from engine.records import ARMS_MAX, CAPS_MAX, SHARE_ONE

ChannelName = Literal["popup", "push", "sms", "email", "voice", "inbox", "carousel", "campaign_page"]
TriggerEvent = Literal[
    "login", "page_view", "slot_view", "balance_query", "bill_viewed", "payment", "top_up", "card_bound",
    "feature_used", "register", "instalment", "moment",
]  # fmt: skip
GoalEvent = Literal[
    "first_use", "payment", "top_up", "card_bound", "bill_viewed", "balance_query", "feature_used", "login", "register",
    "instalment",
]  # fmt: skip
Purpose = Literal["activation", "transaction", "churn_prevention", "education", "service"]
OPT_OUT_CHANNELS = ("push", "sms", "email", "voice")  # their messages say how to stop them


class Cap(Block):
    """Fewer than `most` exposures per window. `per`: day, week, month of the calendar, or a rolling duration (ms)."""

    most: Annotated[Count, Field(ge=1, le=1000)]
    per: Per


Caps = Annotated[list[Cap], Field(max_length=CAPS_MAX)]


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
    coupon: Identifier | None = None  # in place of `reward`
    issue: Literal["click", "direct"] = "click"  # a click leads to the claim, or the exposure itself issues the coupon
    cost: Money = 0
    budget: Identifier | None = None  # pays for its exposures
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
        yield self.service_offers_no_coupon
        yield self.coupon_or_reward
        yield self.issue_of_a_coupon
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

    def coupon_or_reward(self) -> Iterator[Problem]:
        if self.coupon is not None and self.reward > 0:
            yield ("reward",), f"must not be given beside coupon, {self.coupon} (got {yuan_text(self.reward)})"

    def issue_of_a_coupon(self) -> Iterator[Problem]:
        if "issue" in self.model_fields_set and self.coupon is None:
            yield ("issue",), f"must be given only with coupon (got {self.issue})"

    # --- the law as rules ---------------------------------------------------------------------------------------------
    def service_offers_nothing(self) -> Iterator[Problem]:
        if self.purpose == "service" and self.reward > 0:
            yield ("reward",), f"must be 0 on a service message: minors see it too (got {yuan_text(self.reward)})"

    def service_offers_no_coupon(self) -> Iterator[Problem]:
        if self.purpose == "service" and self.coupon is not None:
            yield ("coupon",), f"must not be given on a service message: minors see it too (got {self.coupon})"

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
