"""Reviews of a campaign as people write them: which days, and what was planned for them."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal, get_args

from pydantic import Field

from engine.policy.checks import Checks
from engine.policy.quantities import Block, Count, Identifier, Problem, Share, Text
from scenarios.expect import are_expectations

PhaseName = Literal["warm_up", "peak", "close", "feedback"]
PHASES: tuple[PhaseName, ...] = get_args(PhaseName)  # in the order in which they come
DAYS_MAX = 732  # of campaign and tail
GOALS_MAX = 20

Day = Annotated[Count, Field(ge=1, le=DAYS_MAX)]
InAMinute = Annotated[Count, Field(ge=1)]


class Capacity(Block):
    """At most so many in the busiest minute, counted on the customer base."""

    decisions: InAMinute | None = None
    claims: InAMinute | None = None


class Review(Block):
    """days: the first and the last, 1 is the campaign's first. reach: of customers at launch, how many should have seen
    a campaign by the last of them. goals: any metric with a bound."""

    days: Annotated[list[Day], Field(min_length=2, max_length=2)]
    reach: dict[Identifier, Annotated[Share, Field(ge=1)]] = {}
    capacity: Capacity = Capacity()
    goals: Annotated[list[Text], Field(max_length=GOALS_MAX)] = []

    def cross_checks(self) -> Checks:
        yield self.days_ascend
        yield partial(are_expectations, self.goals, "goals")
        yield self.something_is_planned

    def days_ascend(self) -> Iterator[Problem]:
        if len(self.days) == 2 and self.days[1] < self.days[0]:
            yield ("days",), f"must be the first and the last day (got {self.days[0]} and {self.days[1]})"

    def something_is_planned(self) -> Iterator[Problem]:
        if not (self.reach or self.goals or self.capacity.decisions or self.capacity.claims):
            yield (), "must plan something: reach, capacity or goals (got none of them)"


Reviews = dict[PhaseName, Review]


def reviews_follow(reviews: Reviews, days: int) -> Iterator[Problem]:
    """Phases come one after the other, within the days of campaign and tail."""
    before: PhaseName | None = None
    for name in PHASES:
        if name not in reviews or len(found := reviews[name].days) != 2:
            continue
        if before is not None and found[0] <= (last := reviews[before].days[1]):
            yield ("reviews", name, "days"), f"must begin after the last day of {before}, {last} (got {found[0]})"
        if found[1] > days:
            yield ("reviews", name, "days"), f"must end by day {days}, the last of the run (got {found[1]})"
        before = name
