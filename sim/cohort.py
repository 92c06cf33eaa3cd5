"""A cohort: consecutive customers and the queue of when they are due. Plain arrays; a worker of the world."""

import copy
from dataclasses import dataclass

import numpy as np

from engine.compiled import kernel
from engine.records import CUSTOMER, EVENT, NONE, WEEK_MS, records
from sim.measures import flush_all_touches, reset_measures
from sim.model import OUTCOME, TOUCHES_MAX, VISITOR, Crowd, Daily, Model, Span
from sim.population import create
from sim.reactions import absorb
from sim.waves import CHUNK, Decide, Play, emit_moment, enqueue, take

MEASURES = ("visits", "exposures", "clicks", "negatives", "conversions", "payments", "spend")
OUTCOME_MEASURES = ("one", "converted", "goals", "spend", "exposures", "clicks", "negatives", "conversions")
LOW_BITS = 20
GROWTH = 1.15


@dataclass(frozen=True)
class Spans:
    """When the run starts, launches, ends its campaign and ends; and the step between settlements. All ms."""

    start: int
    launch: int
    campaign_end: int
    end: int
    step: int

    def array(self) -> np.ndarray:
        return np.array([self.start, self.launch, self.campaign_end, self.end, self.step], np.int64)


def empty_crowd(first: int, count: int, model: Model, spans: Spans) -> Crowd:
    pages = len(model.dwell_mean_ms)
    weeks = max(1, -(-(spans.end - spans.launch) // WEEK_MS))
    return Crowd(
        visitors=records(count, VISITOR),
        outcomes=records(64, OUTCOME),
        outcome_count=np.zeros(1, np.int64),
        heads=np.full(-(-(spans.end - spans.start) // spans.step), NONE, np.int32),
        daily=np.zeros((len(model.days), len(Daily)), np.int64),
        moves=np.zeros((pages + 2, pages + 2), np.int64),
        page_dwell_ms=np.zeros(pages, np.int64),
        touches=np.zeros((weeks, TOUCHES_MAX + 1), np.int64),
        first=np.array([first], np.int64),
        span=spans.array(),
    )


class Cohort:
    """Customers `first` … `first + count - 1` of a population.

    `profiles` (CUSTOMER[count]) is what the engine knows of them at the start; `advance` plays them up to a time.
    """

    def __init__(self, first: int, count: int, model: Model, spans: Spans) -> None:
        self.model = model
        self.crowd = empty_crowd(first, count, model, spans)
        self.profiles = records(count, CUSTOMER)
        self.events = 0
        week = int(model.days[np.searchsorted(model.days["start_ms"], spans.start, "right") - 1]["week"])
        create(self.model, self.crowd, self.profiles, week)
        self._requeue()

    def _requeue(self) -> None:
        self.crowd.heads[:] = NONE
        enqueue(self.crowd, np.arange(len(self.crowd.visitors)))

    def _make_room(self, customers: int) -> None:
        """Room for every outcome that so many customers could begin before the next call."""
        needed = int(self.crowd.outcome_count[0]) + customers * int(self.model.campaigns["used"].sum())
        if needed > len(self.crowd.outcomes):
            grown = records(max(needed, int(len(self.crowd.outcomes) * GROWTH)), OUTCOME)
            grown[: len(self.crowd.outcomes)] = self.crowd.outcomes
            self.crowd = self.crowd._replace(outcomes=grown)

    def adopt(self, model: Model) -> None:
        """Take up another policy's faces; the population stays."""
        self.model = model

    def advance(self, since_ms: int, until_ms: int, play: Play, chunk: int = CHUNK) -> None:
        """Play every customer due in [since, until)."""
        start, step = int(self.crowd.span[Span.START]), int(self.crowd.span[Span.STEP])
        rows = np.empty(len(self.crowd.visitors), np.int64)
        for place in range((since_ms - start) // step, -(-(until_ms - start) // step)):
            due = rows[: take(self.crowd, place, rows)]
            due.sort()
            limit = min(until_ms, start + (place + 1) * step)
            for low in range(0, len(due), chunk):
                batch = due[low : low + chunk]
                self._make_room(len(batch))
                self.events += play(self.model, self.crowd, batch, limit)
            enqueue(self.crowd, due)

    def moment(self, t: int, moment: int, decide: Decide, chunk: int = 4 * CHUNK) -> None:
        """A calendar moment reaches every customer."""
        events = records(chunk, EVENT)
        for low in range(0, len(self.crowd.visitors), chunk):
            high = min(low + chunk, len(self.crowd.visitors))
            self._make_room(high - low)
            count = emit_moment(self.model, self.crowd, low, high, t, moment, events)
            decisions, ghosts = decide(events[:count])
            absorb(self.model, self.crowd, events[:count], decisions, ghosts)
            self.events += count
        self._requeue()

    def launch(self) -> None:
        """Day 0: measurement begins."""
        reset_measures(self.crowd)

    def fork(self) -> "Cohort":
        """The same customers at the same moment, to live on under another policy."""
        return copy.deepcopy(self)

    def statistics(self) -> dict[str, np.ndarray]:
        """Integers that add over cohorts. Products are kept as high and low parts, so that sums stay exact."""
        flush_all_touches(self.crowd)
        slots, arms = self.model.faces.shape
        n = len(OUTCOME_MEASURES)
        outcome_sums = np.zeros((slots, arms, 2, n), np.int64)
        outcome_products = np.zeros((slots, arms, 2, n, n, 2), np.int64)
        sum_outcomes(self.crowd, outcome_sums, outcome_products, np.zeros(n, np.int64))
        m = len(MEASURES)
        sums, products = np.zeros(m, np.int64), np.zeros((m, m, 2), np.int64)
        customers = sum_customers(self.crowd, sums, products, np.zeros(m, np.int64))
        return {
            "customers": np.array([customers], np.int64),
            "events": np.array([self.events], np.int64),
            "daily": self.crowd.daily,
            "moves": self.crowd.moves,
            "page_dwell_ms": self.crowd.page_dwell_ms,
            "touches": self.crowd.touches,
            "outcome_sums": outcome_sums,
            "outcome_products": outcome_products,
            "sums": sums,
            "products": products,
        }


@kernel
def add_products(values, products):
    """Add the products of all pairs of values (i8[n]) to products (i8[n, n, 2]), high and low part."""
    for i in range(len(values)):
        for j in range(len(values)):
            product = values[i] * values[j]
            products[i, j, 0] += product >> LOW_BITS
            products[i, j, 1] += product & ((1 << LOW_BITS) - 1)


@kernel
def sum_outcomes(crowd, sums, products, values):
    """Sums and sums of products of the enrolled, by campaign, arm and whether held out; values: scratch."""
    for row in range(crowd.outcome_count[0]):
        o = crowd.outcomes[row]
        if o.first_ms == 0:
            continue
        values[0] = 1
        values[1] = 1 if o.goals > 0 else 0
        values[2] = o.goals
        values[3] = o.spend
        values[4] = o.exposures
        values[5] = o.clicks
        values[6] = o.negatives
        values[7] = o.conversions
        for i in range(len(values)):
            sums[o.campaign, o.arm, o.held_out, i] += values[i]
        add_products(values, products[o.campaign, o.arm, o.held_out])


@kernel
def sum_customers(crowd, sums, products, values):
    """Sums and sums of products over all customers since launch; values: scratch. Returns how many there are."""
    for row in range(len(crowd.visitors)):
        v = crowd.visitors[row]
        values[0] = v.visits
        values[1] = v.exposures
        values[2] = v.clicks
        values[3] = v.negatives
        values[4] = v.conversions
        values[5] = v.payments
        values[6] = v.spend
        for i in range(len(values)):
            sums[i] += values[i]
        add_products(values, products)
    return len(crowd.visitors)
