"""What goes wrong during a run, as people write it: while an incident lasts, a share of payments fails."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from engine.policy.checks import Checks
from engine.policy.quantities import Block, ClockTime, Count, Duration, Problem, Share, duration_text
from engine.records import DAY_MS, MINUTE_MS

INCIDENTS_MAX = 10
DAYS_MAX = 366


class Incident(Block):
    """day: 1 is the first day of the campaign; payments_fail: of those tried in [at, at + lasts)."""

    day: Annotated[Count, Field(ge=1, le=DAYS_MAX)] = 1
    at: ClockTime
    lasts: Annotated[Duration, Field(ge=MINUTE_MS, le=7 * DAY_MS)]
    payments_fail: Annotated[Share, Field(ge=1)]

    def cross_checks(self) -> Checks:
        yield self.whole_minutes

    def whole_minutes(self) -> Iterator[Problem]:
        if self.lasts % MINUTE_MS:
            yield ("lasts",), f"must be whole minutes (got {duration_text(self.lasts)})"
