"""A cohort: consecutive customers and the queue of when they are due. Plain arrays; a worker of the world."""

import copy
from dataclasses import dataclass

import numpy as np

from engine.compiled import entry, kernel
from engine.records import CUSTOMER, EVENT, MINUTE_MS, NONE, WEEK_MS, as_records, records
from sim.behaviour import plan
from sim.contacts import CALLER, CONTACT, contacts_most
from sim.judged import KINDS, Standing, no_verdicts, standings
from sim.measures import flush_all_touches, reset_measures
from sim.model import OUTCOME, TOUCHES_MAX, VISITOR, Crowd, Daily, Measure, Model, Seen, Span, Stage, Traffic
from sim.origin_model import TRACE
from sim.origins import create_trace
from sim.population import create
from sim.reactions import absorb_replies
from sim.shop_model import SHOPPER
from sim.shopping import attend_drop, create_shopper
from sim.waves import CHUNK, Decide, Play, absorb_wave, emit_moment, enqueue, file_again, inbox_for, list_steps, take
from sim.worth import measure_customers

MEASURES = tuple(measure.name.lower() for measure in Measure)
OUTCOME_MEASURES = (
    "one", "converted", "goals", "spend", "exposures", "clicks", "negatives", "conversions", "first_clicked",
    "first_closed", "before_visits", "before_spend",
)  # fmt: skip
LOW_BITS = 20
GROWTH = 1.03
MEASURED_AT_ONCE = 4096
_GONE, _JOINING = int(Stage.GONE), int(Stage.JOINING)
_HELD_OUT, _FIRST_CLICKED, _FIRST_CLOSED = int(Seen.HELD_OUT), int(Seen.FIRST_CLICKED), int(Seen.FIRST_CLOSED)


@dataclass(frozen=True)
class Spans:
    """When the run starts, launches, ends its campaign and ends; and the step between settlements. All ms."""

    start: int
    launch: int
    campaign_end: int
    end: int
    step: int

    def array(self) -> np.ndarray:
        return np.array([self.start, self.launch, self.campaign_end, self.end, self.step, self.start], np.int64)


def empty_crowd(first: int, count: int, model: Model, spans: Spans, reviewed: bool = False) -> Crowd:
    """reviewed: whether traffic is counted minute by minute."""
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
        shoppers=records(count if len(model.shop) else 0, SHOPPER),
        traces=records(count if len(model.origins) else 0, TRACE),
        verdicts=no_verdicts(),
        callers=records(count if len(model.support) else 0, CALLER),
        contacts=records(0, CONTACT),
        contact_count=np.zeros(1, np.int64),
        traffic=np.zeros(((spans.end - spans.launch) // MINUTE_MS if reviewed else 0, len(Traffic)), np.int64),
    )


class Cohort:
    """Customers `first` … `first + count - 1` of a population.

    `profiles` (CUSTOMER[count]) is what the engine knows of them at the start; `advance` plays them up to a time.
    """

    def __init__(self, first: int, count: int, model: Model, spans: Spans, reviewed: bool = False) -> None:
        self.adopt(model)
        self.crowd = empty_crowd(first, count, model, spans, reviewed)
        self.profiles = records(count, CUSTOMER)
        self.events = 0
        week = int(model.days[np.searchsorted(model.days["start_ms"], spans.start, "right") - 1]["week"])
        create(self.model, self.crowd, self.profiles, week)
        create_shoppers(self.model, self.crowd, self.profiles)
        create_traces(self.model, self.crowd, self.profiles)
        self._requeue()

    def _requeue(self) -> None:
        self.crowd.heads[:] = NONE
        enqueue(self.crowd, np.arange(len(self.crowd.visitors)))

    def _make_room(self, customers: int) -> None:
        """Room for every outcome that so many customers could begin before the next call."""
        needed = int(self.crowd.outcome_count[0]) + customers * self.campaigns
        if needed > len(self.crowd.outcomes):
            grown = records(max(needed, int(len(self.crowd.outcomes) * GROWTH)), OUTCOME)
            grown[: len(self.crowd.outcomes)] = self.crowd.outcomes
            self.crowd = self.crowd._replace(outcomes=grown)
        self._make_room_for_contacts(customers * contacts_most(int(self.crowd.span[Span.STEP])))

    def _make_room_for_contacts(self, contacts: int) -> None:
        if not len(self.crowd.callers):
            return
        used = int(self.crowd.contact_count[0])
        needed = used + contacts
        if needed > len(self.crowd.contacts):
            grown = records(2 * needed, CONTACT)
            grown[:used] = self.crowd.contacts[:used]
            self.crowd = self.crowd._replace(contacts=grown)

    def take_contacts(self) -> np.ndarray:
        """Who got in touch since this was asked for last, and for what: CONTACT[n]."""
        found = self.crowd.contacts[: int(self.crowd.contact_count[0])].copy()
        self.crowd.contact_count[0] = 0
        return found

    def adopt(self, model: Model) -> None:
        """Take up another policy's faces; the population stays."""
        self.model = model
        self.campaigns = int(model.campaigns["used"].sum())

    def advance(self, since_ms: int, until_ms: int, play: Play, chunk: int = CHUNK) -> None:
        """Play every customer due in [since, until), where the next settlement is."""
        self.crowd.span[Span.SETTLES] = until_ms
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
        events, inbox = records(chunk, EVENT), inbox_for(0, False, False)
        for low in range(0, len(self.crowd.visitors), chunk):
            high = min(low + chunk, len(self.crowd.visitors))
            self._make_room(high - low)
            count = emit_moment(self.model, self.crowd, low, high, t, moment, events)
            decisions, ghosts = decide(events[:count], inbox)
            absorb_wave(self.model, self.crowd, events[:count], inbox, decisions, ghosts)
            self.events += count
        self._requeue()

    def rush(self, slot: int, t: int) -> None:
        """A coupon drops: whoever wants it claims it as fast as they can."""
        begin_rush(self.model, self.crowd, slot, t)
        self._requeue()

    def apply(self, replies: np.ndarray, t: int) -> None:
        """The Ledger's replies (REPLY[n], customers of this cohort) reach the customers at t."""
        if not len(self.crowd.shoppers):
            return
        rows = np.unique(replies["customer"]) - int(self.crowd.first[0])
        self._make_room_for_contacts(len(replies))  # each is one trouble at most
        places = np.empty(len(rows), np.int64)
        list_steps(self.crowd, rows, places)
        absorb_replies(self.model, self.crowd, as_records(replies), t)
        scratch = np.empty(len(self.crowd.visitors), np.int64)
        file_again(self.crowd, np.unique(places), rows[places == NONE], scratch)

    def launch(self) -> None:
        """Day 0: measurement begins."""
        reset_measures(self.crowd)
        self.crowd.contact_count[0] = 0
        for table in self.crowd.verdicts:
            table[:] = 0

    def kinds(self) -> np.ndarray:
        """What each customer truly is (i1[n], Account); all alone where nobody says where customers come from."""
        if len(self.crowd.traces) == 0:
            return np.zeros(len(self.crowd.visitors), np.int8)
        return self.crowd.traces["kind"].copy()

    def standings(self) -> np.ndarray:
        """What fraud rules did to customers of each kind since launch: i8[KINDS, len(Standing)]."""
        if len(self.crowd.traces) == 0:
            return np.zeros((KINDS, len(Standing)), np.int64)
        active = self.crowd.visitors["visits"] > 0
        return standings(self.crowd.traces["kind"], self.crowd.traces["harms"], active)

    def fork(self) -> "Cohort":
        """The same customers at the same moment, to live on under another policy."""
        return copy.deepcopy(self)

    def measures(self) -> np.ndarray:
        """What each customer did and was worth since launch: i8[customers, len(Measure)]."""
        values = np.zeros((len(self.crowd.visitors), len(Measure)), np.int64)
        measure_customers(self.crowd, self.model, 0, values)
        return values

    def reached(self, slot: int) -> np.ndarray:
        """Whom a campaign reached, by customer (i8[customers, 7]): enrolled, arm, held out, converted, spend within the
        goal's window, first exposure clicked, first exposure closed."""
        values = np.zeros((len(self.crowd.visitors), 7), np.int64)
        list_reached(self.crowd, slot, values)
        return values

    def first_seen(self) -> np.ndarray:
        """By day, how many customers saw a campaign for the first time since launch: i8[days, slots]."""
        outcomes = self.crowd.outcomes[: int(self.crowd.outcome_count[0])]
        saw = outcomes[(outcomes["first_ms"] > 0) & (outcomes["marks"] & _HELD_OUT == 0)]
        found = np.zeros((len(self.model.days), len(self.model.faces)), np.int64)
        day = np.searchsorted(self.model.days["start_ms"], saw["first_ms"], "right") - 1
        np.add.at(found, (day, saw["campaign"]), 1)
        return found

    def statistics(self, apart: np.ndarray, edges: np.ndarray) -> dict[str, np.ndarray]:
        """Integers that add over cohorts. Products are kept as high and low parts, so that sums stay exact.

        apart: bool[customers], the universal holdout, which no campaign's analysis counts; edges: i8[bins], fen,
        ascending from 0, of the histogram of spend.
        """
        flush_all_touches(self.crowd)
        slots, arms = self.model.faces.shape
        n, m = len(OUTCOME_MEASURES), len(MEASURES)
        outcome_sums = np.zeros((slots, arms, 2, n), np.int64)
        outcome_products = np.zeros((slots, arms, 2, n, n, 2), np.int64)
        spend_bins = np.zeros((slots, arms, 2, len(edges), 4), np.int64)
        sum_outcomes(self.crowd, apart, edges, outcome_sums, outcome_products, spend_bins, np.zeros(n, np.int64))
        sums, products = np.zeros((2, m), np.int64), np.zeros((2, m, m, 2), np.int64)
        scratch = np.zeros((MEASURED_AT_ONCE, m), np.int64)
        for low in range(0, len(self.crowd.visitors), MEASURED_AT_ONCE):
            values = scratch[: len(self.crowd.visitors) - low]
            measure_customers(self.crowd, self.model, low, values)
            sum_measures(values, apart[low:], sums, products)
        return {
            "customers": np.array([np.count_nonzero(~apart), np.count_nonzero(apart)], np.int64),
            "events": np.array([self.events], np.int64),
            "daily": self.crowd.daily,
            "moves": self.crowd.moves,
            "page_dwell_ms": self.crowd.page_dwell_ms,
            "touches": self.crowd.touches,
            "traffic": self.crowd.traffic,
            "reach": self.first_seen(),
            "outcome_sums": outcome_sums,
            "outcome_products": outcome_products,
            "spend_bins": spend_bins,
            "sums": sums,
            "products": products,
            "rules": self.crowd.verdicts.rules,
            "together": self.crowd.verdicts.together,
            "asks": self.crowd.verdicts.asks,
            "standings": self.standings(),
        }


@entry
def create_shoppers(model, crowd, profiles):
    for row in range(len(crowd.shoppers)):
        create_shopper(model, crowd.shoppers[row], profiles[row], int(crowd.first[0]) + row)


@entry
def create_traces(model, crowd, profiles):
    for row in range(len(crowd.traces)):
        create_trace(model, crowd, crowd.visitors[row], profiles[row], int(crowd.first[0]) + row)


@entry
def begin_rush(model, crowd, slot, t):
    """Everybody who has joined and not left may attend a drop."""
    for row in range(len(crowd.shoppers)):
        visitor, customer = crowd.visitors[row], int(crowd.first[0]) + row
        if visitor.stage != _GONE and visitor.stage != _JOINING:
            attend_drop(model, crowd.shoppers[row], customer, slot, t)
            plan(model, crowd, visitor, customer, t)


@kernel
def add_products(values, products):
    """Add the products of all pairs of values (i8[n]) to products (i8[n, n, 2]), high and low part."""
    for i in range(len(values)):
        for j in range(len(values)):
            product = values[i] * values[j]
            products[i, j, 0] += product >> LOW_BITS
            products[i, j, 1] += product & ((1 << LOW_BITS) - 1)


@kernel
def add_to_bin(edges, bins, value):
    """Count a value (≥ 0) in the bin whose lower edge it has reached: how many, sum, squares (high and low part)."""
    low, high = 0, len(edges)
    while high - low > 1:
        middle = (low + high) // 2
        if edges[middle] <= value:
            low = middle
        else:
            high = middle
    bins[low, 0] += 1
    bins[low, 1] += value
    bins[low, 2] += (value * value) >> LOW_BITS
    bins[low, 3] += (value * value) & ((1 << LOW_BITS) - 1)


@entry
def sum_outcomes(crowd, apart, edges, sums, products, bins, values):
    """Sums and sums of products of the enrolled, by campaign, arm and whether held out; values: scratch."""
    for customer in range(len(crowd.visitors)):
        visitor = crowd.visitors[customer]
        row = NONE if apart[customer] else int(visitor.first_row)
        while row != NONE:
            o = crowd.outcomes[row]
            row = int(o.next)
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
            values[8] = 1 if o.marks & _FIRST_CLICKED else 0
            values[9] = 1 if o.marks & _FIRST_CLOSED else 0
            values[10] = visitor.before_visits
            values[11] = visitor.before_spend
            held_out = 1 if o.marks & _HELD_OUT else 0
            for i in range(len(values)):
                sums[o.campaign, o.arm, held_out, i] += values[i]
            add_products(values, products[o.campaign, o.arm, held_out])
            add_to_bin(edges, bins[o.campaign, o.arm, held_out], int(o.spend))


@entry
def list_reached(crowd, slot, values):
    """Write the outcomes of one campaign by customer; see Cohort.reached."""
    for customer in range(len(crowd.visitors)):
        row = int(crowd.visitors[customer].first_row)
        while row != NONE:
            o = crowd.outcomes[row]
            row = int(o.next)
            if o.campaign != slot or o.first_ms == 0:
                continue
            values[customer, 0], values[customer, 1] = 1, o.arm
            values[customer, 2] = 1 if o.marks & _HELD_OUT else 0
            values[customer, 3], values[customer, 4] = 1 if o.goals > 0 else 0, o.spend
            values[customer, 5] = 1 if o.marks & _FIRST_CLICKED else 0
            values[customer, 6] = 1 if o.marks & _FIRST_CLOSED else 0


@entry
def sum_measures(values, apart, sums, products):
    """Sums and sums of products of measures (i8[n, m]), of the universal holdout (1) apart from all others (0)."""
    for row in range(len(values)):
        group = 1 if apart[row] else 0
        for i in range(values.shape[1]):
            sums[group, i] += values[row, i]
        add_products(values[row], products[group])
