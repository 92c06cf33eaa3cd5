"""One worker's customers twice: as they were decided for, and as another policy decides on the same events."""

from dataclasses import dataclass

import numpy as np

from engine.compiled import entry
from engine.host.shard import CustomerShard
from engine.policy.tables import CompiledPolicy
from engine.records import DECISION, EVENT, MOMENTS_MAX, NONE, RING, EventKind, Reason, records
from engine.rules.segments import segment
from scenarios.build import model_of
from scenarios.replay_record import require
from scenarios.worker import RunPlan
from sim.cohort import Cohort

segment_of = entry(segment)

BEFORE, CAMPAIGN, AFTER = range(3)
SHOWN = int(Reason.SHOWN)
FIRST_REACTION, LAST_REACTION = int(EventKind.CLICK), int(EventKind.NOT_SHOWN)


@dataclass(frozen=True)
class Other:
    """The policy to compare with, as arrays, and how it takes up what was recorded under the run's policy."""

    policy: CompiledPolicy
    paused_after: tuple[int, ...]
    moment_of: np.ndarray  # i2[MOMENTS_MAX]: its number of each of the run's moments, NONE without one
    timetable: np.ndarray  # i8, ascending: its own moments, as instants × MOMENTS_MAX + number

    def events(self, events: np.ndarray) -> np.ndarray:
        """Recorded events as this policy's calendar has them: a moment that it lacks is an event of no kind."""
        taken = events.copy()
        moments = np.flatnonzero(events["kind"] == EventKind.MOMENT)
        numbers = self.moment_of[events["moment"][moments]]
        known = np.isin(events["time_ms"][moments] * MOMENTS_MAX + numbers, self.timetable) & (numbers != NONE)
        taken["moment"][moments] = np.where(known, numbers, NONE)
        taken["kind"][moments[~known]] = EventKind.NO_EVENT
        return taken


@dataclass(frozen=True)
class Piece:
    """Consecutive events of one worker in one phase of the run, and what was decided."""

    worker: int
    phase: int
    events: np.ndarray
    recorded: np.ndarray


class ExposureNumbers:
    """Which exposure of the twin a recorded reaction speaks of.

    Two policies count differently as soon as one of them holds somebody out where the other refuses, although the
    customer sees the same. What both showed at the same event is the same exposure, whatever its number.
    """

    def __init__(self, first: int, exposures: np.ndarray) -> None:
        self.first = first
        self.own = np.full((len(exposures), RING), NONE, np.int32)
        numbers = exposures[:, None] - 1 - np.arange(RING)
        rows, places = np.nonzero(numbers >= 0)
        numbers = numbers[rows, places]
        self.own[rows, numbers % RING] = numbers
        self.twin = self.own.copy()  # until launch both are one

    def learn(self, own: np.ndarray, twin: np.ndarray) -> None:
        """Take in DECISION[n] of both on the same events."""
        shown = own["reason"] == SHOWN
        own, twin = own[shown], twin[shown]
        both = (twin["reason"] == SHOWN) & (own["campaign"] == twin["campaign"])
        row, place = own["customer"] - self.first, own["exposure"] % RING
        self.own[row, place] = own["exposure"]
        self.twin[row, place] = np.where(both, twin["exposure"], NONE)

    def translated(self, events: np.ndarray) -> np.ndarray:
        """Events whose reactions speak of the twin's exposures; of none where it did not show the same."""
        taken = events.copy()
        rows = np.flatnonzero(is_reaction(events))
        row, number = events["customer"][rows] - self.first, events["exposure"][rows]
        known = self.own[row, number % RING] == number
        taken["exposure"][rows] = np.where(known, self.twin[row, number % RING], NONE)
        return taken


def is_reaction(events: np.ndarray) -> np.ndarray:
    return (events["kind"] >= FIRST_REACTION) & (events["kind"] <= LAST_REACTION)


def rounds(events: np.ndarray) -> np.ndarray:
    """A number for each event: how many reactions of its customer came since the customer's first event here.

    Events of one number can be decided at once: what a reaction speaks of was decided under an earlier number.
    """
    order = np.argsort(events["customer"], kind="stable")
    customers = events["customer"][order]
    so_far = np.cumsum(is_reaction(events)[order])
    begins = np.concatenate([[0], np.flatnonzero(np.diff(customers)) + 1])
    found = np.empty(len(events), np.int64)
    found[order] = so_far - np.repeat(so_far[begins], np.diff([*begins, len(events)]))
    return found


class Twins:
    """One worker's customers under the run's policy and, from launch on, the same customers under the other one."""

    def __init__(self, plan: RunPlan, other: Other | None, first: int, count: int) -> None:
        self.plan, self.other = plan, other
        self.first, self.phase = first, BEFORE
        self.own = first_shard(plan, first, count)
        self.twin: CustomerShard | None = None
        self.numbers = ExposureNumbers(first, self.own.customers["exposures"])
        self.segments = np.zeros(count, np.int64)  # at launch, under the run's policy

    def enter(self, phase: int) -> None:
        """Live on to a phase; they only ever follow each other."""
        require(phase >= self.phase, "events are not kept in the order of the run")
        if self.phase < CAMPAIGN <= phase:
            self.launch()
        if self.phase < AFTER <= phase:
            self.own.pause(self.plan.paused_after)
            if self.twin is not None and self.other is not None:
                self.twin.pause(self.other.paused_after)
        self.phase = phase

    def launch(self) -> None:
        slots = self.plan.policy.registry.slots
        if self.other is not None:
            self.twin = CustomerShard(self.first, len(self.own.customers), self.other.policy.tables, slots)
            self.twin.restore(self.own.snapshot())
            self.numbers = ExposureNumbers(self.first, self.own.customers["exposures"])
        self.own.adopt(self.plan.policy.tables, slots)
        self.segments = segments_of(self.own, self.plan)

    def decide(self, piece: Piece) -> np.ndarray:
        """The other policy's decisions, DECISION[n]; before launch there are none. Live must equal replay."""
        self.enter(piece.phase)
        again, _ = self.own.decide(piece.events)
        check_equal("decision", piece.recorded, again, piece.events)
        if self.twin is None or self.other is None:
            return again[: 0 if self.phase == BEFORE else None]
        return self.decided_otherwise(self.twin, self.other, piece)

    def decided_otherwise(self, twin: CustomerShard, other: Other, piece: Piece) -> np.ndarray:
        decisions = records(len(piece.events), DECISION)
        events, turn = other.events(piece.events), rounds(piece.events)
        for number in range(int(turn.max()) + 1):
            rows = np.flatnonzero(turn == number)
            decisions[rows], _ = twin.decide(self.numbers.translated(events[rows]))
            self.numbers.learn(piece.recorded[rows], decisions[rows])
        return decisions


def first_shard(plan: RunPlan, first: int, count: int) -> CustomerShard:
    """Customers `first` … `first + count - 1` as the run began with them."""
    model = model_of(plan.population, plan.baseline, plan.spans, (plan.seed, plan.replication), plan.customers)
    shard = CustomerShard(first, count, plan.baseline.tables, plan.baseline.registry.slots)
    shard.customers[:] = Cohort(first, count, model, plan.spans).profiles
    shard.pause(plan.paused_before)
    return shard


def check_equal(what: str, recorded: np.ndarray, again: np.ndarray, whose: np.ndarray) -> None:
    """Raises AssertionError with the first field that differs. whose: EVENT[n] or REPLY[n], row by row with both."""
    if recorded.tobytes() == again.tobytes():
        return
    for name in recorded.dtype.names or ():
        wrong = np.flatnonzero(recorded[name] != again[name])
        if len(wrong):
            was, now, row = recorded[name][wrong[0]], again[name][wrong[0]], whose[wrong[0]]
            of = f"event {row['sequence']}" if "sequence" in (whose.dtype.names or ()) else f"request {row['number']}"
            require(False, f"{name} of the {what} on customer {row['customer']}'s {of} was {was} and is {now} again")


def segments_of(shard: CustomerShard, plan: RunPlan) -> np.ndarray:
    """Number of each customer's segment at launch; the number of segments means "other"."""
    tables, event = shard.tables, records(1, EVENT)[0]
    t = plan.spans.launch
    day = tables.days[int(np.searchsorted(tables.days["start_ms"], t, "right")) - 1]
    if not plan.policy.policy.segments:
        return np.zeros(len(shard.customers), np.int64)
    return np.array([segment_of(customer, event, tables, day, t) for customer in shard.customers], np.int64)
