"""The world: SimPy keeps the clock and the calendar; cohorts live between two settlements without each other."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

import simpy

from engine.records import SECOND_MS
from sim.cohort import Spans
from sim.stock_room import Reorder, Shortage, StockRoom, Store

PEAK_STEP_MS = SECOND_MS


class Workers(Protocol):
    """All cohorts together, wherever they live."""

    def advance(self, since_ms: int, until_ms: int) -> object: ...

    def moment(self, t: int, moment: int) -> None: ...

    def rush(self, slot: int, t: int) -> None: ...

    def launch(self) -> None: ...

    def end_campaign(self) -> None: ...


@dataclass(frozen=True)
class Calendar:
    """What happens when: numbered moments and drops of coupons (ms, number), ascending; and when is settled."""

    moments: Sequence[tuple[int, int]]
    settle_every_ms: int
    drops: Sequence[tuple[int, int]] = ()  # (ms, coupon slot)
    peaks: Sequence[tuple[int, int]] = ()  # [from, until) in ms: settled every PEAK_STEP_MS
    reorders: Sequence[Reorder] = ()  # prizes whose stock is ordered again
    incidents: Sequence[tuple[int, int]] = ()  # [from, until) in ms: settled at either end
    shortages: Sequence[Shortage] = ()  # pieces that are not there for a while

    def next_settlement(self, now: int) -> int:
        """The first multiple of the step after now, a peak's edges included."""
        for begins, ends in self.peaks:
            if begins <= now < ends:
                return min(now + PEAK_STEP_MS, ends)
        step = self.settle_every_ms
        coming = [begins for begins, _ in self.peaks if now < begins]
        return min([now - now % step + step, *coming])


class World:
    """Drives workers from the start of a run to its end, or over a part of it: [since, until), ms.

    Order at one instant: settlement, then the campaign's end, then launch, then moments in their own order.
    """

    def __init__(
        self,
        workers: Workers,
        spans: Spans,
        calendar: Calendar,
        progress: Callable[[int], None],
        since: int | None = None,
        until: int | None = None,
        store: Store | None = None,
    ) -> None:
        self.since = spans.start if since is None else since
        self.until = spans.end if until is None else until
        self.env = simpy.Environment(initial_time=self.since)
        self.workers, self.spans, self.calendar, self.progress = workers, spans, calendar, progress
        self.settled_ms = self.since
        self.settlements = 0
        self.stock_room = StockRoom(self.env, calendar.reorders, store, self.settle) if store else None

    def settle(self, t: int) -> None:
        """Bring every cohort up to t."""
        if t > self.settled_ms:
            self.workers.advance(self.settled_ms, t)
            self.settled_ms = t
            self.settlements += 1
            if self.stock_room:
                self.stock_room.look()
            self.progress(t)

    def _settlements(self) -> Generator[simpy.Event, None, None]:
        while self.env.now < self.until:
            t = min(self.calendar.next_settlement(int(self.env.now)), self.until)
            yield self.env.timeout(t - self.env.now)
            self.settle(t)

    def _at(self, t: int, action: Callable[[], None]) -> Generator[simpy.Event, None, None]:
        yield self.env.timeout(t - self.env.now)
        self.settle(t)
        action()

    def _incident(self, begins: int, ends: int) -> Generator[simpy.Event, None, None]:
        """What goes wrong lies in the population; here it begins and ends at a settlement."""
        for t in (begins, ends):
            if self.env.now <= t < self.until:
                yield self.env.timeout(t - self.env.now)
                self.settle(t)

    def run(self) -> None:
        """Run to the end; raises what a worker raises."""
        spans, env = self.spans, self.env
        end = env.process(self._settlements())
        if self._holds(spans.campaign_end):
            env.process(self._at(spans.campaign_end, self.workers.end_campaign))
        if self._holds(spans.launch):
            env.process(self._at(spans.launch, self.workers.launch))
        for t, number in self.calendar.moments:
            if self._holds(t):
                env.process(self._at(t, lambda t=t, number=number: self.workers.moment(t, number)))  # type: ignore[misc]
        for t, slot in self.calendar.drops:
            if self._holds(t):
                env.process(self._at(t, lambda t=t, slot=slot: self.workers.rush(slot, t)))  # type: ignore[misc]
        for begins, ends in self.calendar.incidents:
            env.process(self._incident(begins, ends))
        for shortage in self.calendar.shortages:
            if self.stock_room and self._holds(shortage.from_ms):
                env.process(self.stock_room.run_short(shortage))
        env.run(until=end)  # an order of the stock room may still be under way: it comes too late
        assert self.settled_ms == self.until

    def _holds(self, t: int) -> bool:
        return self.since <= t < self.until
