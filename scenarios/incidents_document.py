"""What goes wrong during a run, as people write it: payments, messages, the stock of a coupon, a node."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from engine.policy.checks import Checks
from engine.policy.quantities import Block, ClockTime, Count, Duration, Identifier, Problem, Share, duration_text
from engine.records import DAY_MS, MINUTE_MS, PARTITIONS

INCIDENTS_MAX = 10
DAYS_MAX = 366
KINDS = ("payments_fail", "complain", "get_in_touch", "stock_out", "node_down")


class StockOut(Block):
    """So much of what is left of a coupon is not there; it comes when the incident ends."""

    coupon: Identifier
    share: Annotated[Share, Field(ge=1)]


class NodeDown(Block):
    """Of so many nodes alike the first, the second, … answers none of its customers."""

    node: Annotated[Count, Field(ge=1)]
    of: Annotated[Count, Field(ge=1, le=PARTITIONS)]

    def cross_checks(self) -> Checks:
        yield self.one_of_them

    def one_of_them(self) -> Iterator[Problem]:
        if self.node > self.of:
            yield ("node",), f"must be <= of, {self.of} (got {self.node})"


class Incident(Block):
    """day: 1 is the first day of the campaign. In [at, at + lasts): payments_fail, of those tried; complain, of those
    who see a message; get_in_touch, of those who open the app, with the support desk."""

    day: Annotated[Count, Field(ge=1, le=DAYS_MAX)] = 1
    at: ClockTime
    lasts: Annotated[Duration, Field(ge=MINUTE_MS, le=7 * DAY_MS)]
    payments_fail: Share = 0
    complain: Share = 0
    get_in_touch: Share = 0
    stock_out: StockOut | None = None
    node_down: NodeDown | None = None

    @property
    def kinds(self) -> list[str]:
        """All that goes wrong."""
        return [kind for kind in KINDS if getattr(self, kind)]

    def cross_checks(self) -> Checks:
        yield self.whole_minutes
        yield self.something_goes_wrong

    def whole_minutes(self) -> Iterator[Problem]:
        if self.lasts % MINUTE_MS:
            yield ("lasts",), f"must be whole minutes (got {duration_text(self.lasts)})"

    def something_goes_wrong(self) -> Iterator[Problem]:
        if not self.kinds:
            yield (), f"must have at least one of {', '.join(KINDS)} (got none of them)"
