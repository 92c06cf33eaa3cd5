"""What goes wrong during a run, as people write it: payments fail, messages are resented, everybody asks."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from engine.policy.checks import Checks
from engine.policy.quantities import Block, ClockTime, Count, Duration, Problem, Share, duration_text
from engine.records import DAY_MS, MINUTE_MS

INCIDENTS_MAX = 10
DAYS_MAX = 366


class Incident(Block):
    """day: 1 is the first day of the campaign. In [at, at + lasts): payments_fail, of those tried; complain, of those
    who see a message; get_in_touch, of those who open the app, with the support desk."""

    day: Annotated[Count, Field(ge=1, le=DAYS_MAX)] = 1
    at: ClockTime
    lasts: Annotated[Duration, Field(ge=MINUTE_MS, le=7 * DAY_MS)]
    payments_fail: Share = 0
    complain: Share = 0
    get_in_touch: Share = 0

    def cross_checks(self) -> Checks:
        yield self.whole_minutes
        yield self.something_goes_wrong

    def whole_minutes(self) -> Iterator[Problem]:
        if self.lasts % MINUTE_MS:
            yield ("lasts",), f"must be whole minutes (got {duration_text(self.lasts)})"

    def something_goes_wrong(self) -> Iterator[Problem]:
        if not (self.payments_fail or self.complain or self.get_in_touch):
            yield (), "must say how many payments_fail, complain or get_in_touch (got none)"
