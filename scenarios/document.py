"""Scenarios as people write them: who lives under which policy, what is compared with what, what is expected."""

import re
from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from engine.policy.checks import Checks, repeated
from engine.policy.quantities import Block, Count, Date, Identifier, Problem, Raw, Share, Text, Truth
from scenarios.expect import are_expectations
from scenarios.reviews_document import Reviews, reviews_follow

CUSTOMERS_LEAST, CUSTOMERS_MAX, DAYS_MAX = 100, 100_000_000, 366
CUSTOMER_BASE_MAX = 10_000_000_000
START_FIRST, START_LAST = date(2001, 1, 1), date(2060, 12, 31)  # keys of visits count seconds from 2000 to 2067
EXPECTATIONS_MAX = 100
WORLDS_LEAST, WORLDS_MAX, WORLD_CUSTOMERS_MAX = 10, 2_000, 2_000_000
POLICIES_MAX = 20
MARGIN = re.compile(r"(\d+(?:\.\d+)?)(%?)")  # 0.05 in the measure's own unit, or 1% of the level of the reference

WAYS = ("policy", "without", "without_rules", "set")

GoalMeasure = Literal["profit", "payments", "first_payments", "spend", "instalments", "visits", "fraud_loss"]
GuardedMeasure = Literal[
    "profit", "payments", "first_payments", "spend", "instalments", "visits", "fraud_loss", "negatives",
    "closes_and_mutes", "complaints", "left_annoyed", "rewards", "channel_cost", "closing_value", "exposures",
    "conversions",
]  # fmt: skip


class Without(Block):
    """The policy itself with these campaigns paused; [] pauses none."""

    without: list[Identifier]


class Variant(Block):
    """Another policy: a file, or the scenario's own policy without some campaigns or fraud rules, or with some fields
    set. without_rules: [] leaves out all of them."""

    policy: Text | None = None
    without: list[Identifier] | None = None
    without_rules: list[Identifier] | None = None
    set: dict[Text, Raw] | None = None  # path → YAML; `none` takes the field out

    def cross_checks(self) -> Checks:
        yield self.one_way

    def one_way(self) -> Iterator[Problem]:
        given = [name for name in WAYS if getattr(self, name) is not None]
        if len(given) != 1:
            yield (), f"must have exactly one of {', '.join(WAYS)} (got {' and '.join(given) or 'none of them'})"


class Goal(Block):
    """What decides. matters: the least difference worth a change; precision: half-width of the interval aimed at."""

    measure: GoalMeasure = "profit"
    matters: Raw = "1%"
    precision: Raw | None = None  # default: half of `matters`

    def cross_checks(self) -> Checks:
        yield lambda: is_margin(self.matters, ("matters",))
        yield lambda: is_margin(self.precision, ("precision",)) if self.precision is not None else ()


def is_margin(text: str, path: tuple[str, ...]) -> Iterator[Problem]:
    match = MARGIN.fullmatch(text)
    if match is None or float(match[1]) <= 0:
        yield path, f'must be "1%" of the reference or an amount above 0 like "0.05" (got {text})'


class Compare(Block):
    """Worlds lived side by side. Each has its own population; all policies of a world share it, and its luck."""

    customers: Annotated[Count, Field(ge=CUSTOMERS_LEAST, le=WORLD_CUSTOMERS_MAX)] = 20_000  # of one world
    worlds: Annotated[Count, Field(ge=WORLDS_LEAST, le=WORLDS_MAX)] = 40  # at most
    pilot: Annotated[Count, Field(ge=WORLDS_LEAST, le=WORLDS_MAX)] = 10  # the first worlds, which say how many it takes
    goal: Goal = Goal()
    guardrails: dict[GuardedMeasure, Share] = {}  # at most so much worse than the reference
    policies: Annotated[dict[Identifier, Text | Variant], Field(max_length=POLICIES_MAX)] = {}
    truth: list[Identifier] = []  # campaigns whose effect is lived out in twin worlds
    arms: list[Identifier] = []  # of those, whose arms are lived out too, everybody under each
    assumption_sets: Annotated[Count, Field(le=500)] = 50
    expect: Annotated[list[Text], Field(max_length=EXPECTATIONS_MAX)] = []

    def cross_checks(self) -> Checks:
        yield lambda: repeated(self.truth, ("truth",))
        yield self.arms_are_of_truth
        yield self.pilot_is_of_the_worlds
        yield partial(are_expectations, self.expect, "expect")

    def arms_are_of_truth(self) -> Iterator[Problem]:
        for number, name in enumerate(self.arms):
            if name not in self.truth:
                yield (
                    ("arms", number),
                    f"must be one of truth, {', '.join(self.truth) or 'which has none'} (got {name})",
                )

    def pilot_is_of_the_worlds(self) -> Iterator[Problem]:
        if self.pilot > self.worlds:
            yield ("pilot",), f"must be <= worlds, {self.worlds} (got {self.pilot})"


class Scenario(Block):
    scenario: Identifier
    says: Text  # what it shows, for the report
    policy: Text  # path, relative to this file
    baseline: Text | Without  # what customers lived under before
    population: Text
    set: dict[Text, Raw] = {}  # `policy.path` or `population.path` → YAML, in place of what the file says
    customers: Annotated[Count, Field(ge=CUSTOMERS_LEAST, le=CUSTOMERS_MAX)]
    customer_base: Annotated[Count, Field(ge=1, le=CUSTOMER_BASE_MAX)] | None = None  # figures are scaled to so many
    start: Date
    days: Annotated[Count, Field(ge=1, le=DAYS_MAX)]
    before: Annotated[Count, Field(le=DAYS_MAX)] = 28
    after: Annotated[Count, Field(le=DAYS_MAX)] = 28
    seed: Count = 1
    primary: Identifier | None = None  # the campaign the report leads with
    known_case: Truth = False
    expect: Annotated[list[Text], Field(max_length=EXPECTATIONS_MAX)] = []
    reviews: Reviews = {}
    compare: Compare = Compare()

    def cross_checks(self) -> Checks:
        yield self.start_is_in_range
        yield partial(are_expectations, self.expect, "expect")
        yield self.changes_name_a_document
        yield lambda: reviews_follow(self.reviews, self.days + self.after)

    def start_is_in_range(self) -> Iterator[Problem]:
        if not START_FIRST <= self.start <= START_LAST:
            yield ("start",), f"must be between {START_FIRST} and {START_LAST} (got {self.start})"

    def changes_name_a_document(self) -> Iterator[Problem]:
        for path in self.set:
            if path.partition(".")[0] not in ("policy", "population"):
                yield ("set", path), f"must begin with policy. or population. (got {path})"
