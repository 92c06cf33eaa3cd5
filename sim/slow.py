"""The slow mode: one SimPy process per customer, one event at a time, any `decide`. The oracle for waves."""

from collections.abc import Callable, Generator, Sequence

import numpy as np
import simpy

from engine.compiled import entry
from engine.records import EVENT, NEVER_MS, records
from sim.behaviour import next_event
from sim.cohort import Cohort
from sim.model import Span, Stage
from sim.waves import Decide, absorb_wave, emit_moment, inbox_for

write_next = entry(next_event)


class SlowWorld:
    """The customers of a cohort as SimPy processes. Policies change between two calls of `advance`."""

    def __init__(self, cohort: Cohort, decide: Decide, moments: Sequence[tuple[int, int]]) -> None:
        self.cohort, self.decide = cohort, decide
        self.start, self.end = int(cohort.crowd.span[Span.START]), int(cohort.crowd.span[Span.END])
        self.moments = [(t, number) for t, number in moments if self.start <= t < self.end]
        self.env = simpy.Environment(initial_time=self.start)
        crowd = cohort.crowd
        self.event, self.inbox = records(1, EVENT), inbox_for(1, len(crowd.shoppers) > 0, len(crowd.traces) > 0)

    def _answer(self) -> None:
        self.cohort._make_room(1)
        decisions, ghosts = self.decide(self.event, self.inbox)
        absorb_wave(self.cohort.model, self.cohort.crowd, self.event, self.inbox, decisions, ghosts)
        self.cohort.events += 1

    def _customer(self, row: int, until_ms: int) -> Generator[simpy.Event, None, None]:
        cohort, model = self.cohort, self.cohort.model
        visitor = cohort.crowd.visitors[row]
        moments = [m for m in self.moments if self.env.now <= m[0] < until_ms]
        while True:
            moment_ms = moments[0][0] if moments else NEVER_MS
            due = min(int(visitor.due_ms), moment_ms)
            if due >= until_ms:
                return
            yield self.env.timeout(due - self.env.now)
            if due == moment_ms:
                # A moment comes before whatever else is due at that instant.
                t, number = moments.pop(0)
                if visitor.stage not in (Stage.GONE, Stage.JOINING):
                    emit_moment(model, cohort.crowd, row, row + 1, t, number, self.event)
                    self._answer()
            # Until just after: where a purchase is skipped, what comes next may lie beyond a moment.
            elif self._next_event(row, due + 1):
                self._answer()

    def _next_event(self, row: int, until_ms: int) -> bool:
        crowd, customer = self.cohort.crowd, int(self.cohort.crowd.first[0]) + row
        self.inbox.used[:] = 0
        event = self.event[0]
        return bool(write_next(self.cohort.model, crowd, crowd.visitors[row], customer, until_ms, event, self.inbox))

    def advance(self, until_ms: int) -> None:
        """Live every customer up to a time."""
        for row in range(len(self.cohort.crowd.visitors)):
            self.env.process(self._customer(row, until_ms))
        self.env.run()
        if self.env.now < until_ms:
            self.env.run(until_ms)


class KeyReuse(RuntimeError):
    """One key was drawn for two meanings: two numbers of the simulation are secretly the same."""


class KeyLog:
    """Every key drawn and what for. Works where the code is interpreted (NUMBA_DISABLE_JIT=1).

    again: named decisions that are pure functions of their key and may be drawn again (traits, calendar slots).
    """

    def __init__(self, uniforms: Callable[..., tuple[float, ...]], again: frozenset[int]) -> None:
        self._uniforms, self._again = uniforms, again
        self.seen: set[tuple[int, int, int]] = set()

    def uniforms(self, stream: np.ndarray, customer: int, draw: int, opportunity: int) -> tuple[float, ...]:
        key = (int(customer), int(draw), int(opportunity))
        if key in self.seen and int(draw) not in self._again:
            raise KeyReuse(f"customer {key[0]}: decision {key[1]} drew opportunity {key[2]} twice")
        self.seen.add(key)
        return self._uniforms(stream, customer, draw, opportunity)


def bare_timeouts(processes: int, timeouts: int) -> int:
    """SimPy alone: processes that only wait, over and over; the ceiling of any world of one process per customer.

    Returns how many events there were.
    """
    env = simpy.Environment()

    def waiting(number: int) -> Generator[simpy.Event, None, None]:
        for turn in range(timeouts):
            yield env.timeout(1 + (number * 7_919 + turn * 104_729) % 1_000)

    for number in range(processes):
        env.process(waiting(number))
    env.run()
    return processes * timeouts
