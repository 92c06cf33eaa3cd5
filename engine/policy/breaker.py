"""A circuit breaker as a strategist writes it: what it measures, when it trips, how campaigns run again."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field

from engine.breaker_records import WINDOW_MINUTES_MAX
from engine.policy.campaign import Campaign
from engine.policy.checks import Checks, known, repeated
from engine.policy.quantities import (
    Block,
    Count,
    Duration,
    Identifier,
    Money,
    Problem,
    Share,
    duration_text,
)
from engine.records import MINUTE_MS, SHARE_ONE

Measure = Literal["payment_failures", "complaints", "refusals", "spend"]


class Breaker(Block):
    """Pauses campaigns, and somebody is called, when a rate or an amount over `window` is above its line."""

    measure: Measure
    over: Literal["all", "campaign"] = "all"  # everything at once, or each campaign by itself
    campaigns: list[Identifier] | None = None  # that it pauses; default: all but service messages
    window: Annotated[Duration, Field(ge=MINUTE_MS, le=WINDOW_MINUTES_MAX * MINUTE_MS)]
    above: Annotated[Share, Field(lt=SHARE_ONE)] | None = None  # of a rate
    least: Annotated[Count, Field(ge=1)] | None = None  # of a rate: payments, exposures or claims in the window
    amount: Annotated[Money, Field(ge=1)] | None = None  # of spend
    closes_by: Literal["decision", "trial"] = "decision"
    rest: Annotated[Duration, Field(ge=MINUTE_MS)] | None = None  # paused for so long before a trial

    def cross_checks(self) -> Checks:
        yield self.line_of_its_measure
        yield self.rest_of_a_trial
        yield self.whole_minutes
        yield lambda: repeated(self.campaigns or [], ("campaigns",))

    def line_of_its_measure(self) -> Iterator[Problem]:
        of_rates, of_amounts = ("above", "least"), ("amount",)
        wanted, others = (of_amounts, of_rates) if self.measure == "spend" else (of_rates, of_amounts)
        for name in wanted:
            if getattr(self, name) is None:
                yield (name,), f"must be given with measure: {self.measure} (got nothing)"
        for name in others:
            if getattr(self, name) is not None:
                yield (name,), f"must not be given with measure: {self.measure}, which has {' and '.join(wanted)}"

    def rest_of_a_trial(self) -> Iterator[Problem]:
        if self.closes_by == "trial" and self.rest is None:
            yield ("rest",), "must be given with closes_by: trial (got nothing)"
        elif self.closes_by == "decision" and self.rest is not None:
            yield ("rest",), f"must be given only with closes_by: trial (got {duration_text(self.rest)})"

    def whole_minutes(self) -> Iterator[Problem]:
        for name in ("window", "rest"):
            value = getattr(self, name)
            if value is not None and value % MINUTE_MS:
                sentence = f"must be whole minutes: breakers are judged once a minute (got {duration_text(value)})"
                yield (name,), sentence


def breaker_names(name: str, breaker: Breaker, campaigns: Mapping[str, Campaign]) -> Iterator[Problem]:
    """The campaigns a breaker names are the policy's."""
    for number, campaign in enumerate(breaker.campaigns or []):
        yield from known(campaign, ("breakers", name, "campaigns", number), "campaigns", campaigns)
