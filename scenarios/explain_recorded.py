"""One customer's recorded life again: a run with a Ledger is explained from its recording."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.coupon_records import RECEIPT, REPLY, Answer
from engine.host.wire import WITH_CARTS
from engine.records import DECISION, NONE, as_records
from engine.reference import Reference
from results.store import Run
from scenarios.adversary_worker import adversary_bounds
from scenarios.build import model_of
from scenarios.explain_coupons import Historian, Note
from scenarios.load import LoadedScenario
from scenarios.replay_record import Step, Steps, require, whole_log
from scenarios.team import partition_bounds
from scenarios.worker import RunPlan
from sim.cohort import Cohort


class Posted:
    """The bulletin as it was posted, with some campaigns paused."""

    def __init__(self, slots: int, paused: tuple[int, ...]) -> None:
        self.open = np.array([slot not in paused for slot in range(slots)], np.int8)
        self.in_stock, self.in_budget = np.ones(slots, np.int8), np.ones(slots, np.int8)
        self.pacing_price = np.zeros(slots, np.int64)

    def post(self, rows: np.ndarray) -> None:
        self.in_stock[rows["campaign"]], self.in_budget[rows["campaign"]] = rows["in_stock"], rows["in_budget"]


class RecordedLife:
    """Goes through a recording as one customer."""

    def __init__(self, run: Run, plan: RunPlan, loaded: LoadedScenario, customer: int, kind: type[Reference]) -> None:
        self.plan, self.loaded, self.customer = plan, loaded, customer
        bounds = partition_bounds(run.manifest["customers"], run.manifest["shards"])
        self.worker = next(n for n, (first, count) in enumerate(bounds) if first <= customer < first + count)
        self.steps = Steps(run, plan, [*bounds, *adversary_bounds(plan, run.manifest["customers"])])
        self.bulletins = whole_log(run, "bulletins")
        stream = (plan.seed, plan.replication)
        model = model_of(plan.population, plan.baseline, plan.spans, stream, plan.customers)
        self.profile = Cohort(customer, 1, model, plan.spans).profiles[0]
        self.history = Historian(customer, plan.policy.registry.coupons)
        self.engine = kind(loaded.baseline, plan.baseline.registry.slots, plan.replication)
        self.engine.add(customer, self.profile)
        self.history.watch(self.engine, loaded.baseline, plan.baseline, loaded.paused)
        self.board = Posted(len(plan.policy.tables.campaigns), plan.paused_before)
        self.waiting: tuple[int, int, np.ndarray] | None = None  # number and time of a settlement, its replies
        self.met: list[tuple[np.record, Any]] = []

    def lived(self) -> Iterator[tuple[dict[str, int], Any]]:
        """Every event of the customer with the engine's answer."""
        spans, number = self.plan.spans, 0
        self.board.post(self.of(0, adopted=True))
        if spans.launch == spans.start:
            self.launch(0)
        while self.steps.next_ms != NONE:
            t, number = self.steps.next_ms, number + 1
            early, step = self.steps.take(t)[self.worker]
            yield from self.take(early)
            self.hear()
            yield from self.take(step)
            self.history.lapse(t)
            self.engine.settled = t
            self.waiting = number, t, step.replies[step.replies["customer"] == self.customer]
            if t == spans.campaign_end:
                self.board.open[:] = Posted(len(self.board.open), self.plan.paused_after).open
            if t == spans.launch:
                self.launch(number)
        self.hear()
        self.steps.end()

    def of(self, number: int, adopted: bool) -> np.ndarray:
        rows = self.bulletins[self.bulletins["settlement"] == number]
        return rows[rows["adopted"] == adopted]

    def launch(self, number: int) -> None:
        self.hear()
        self.history.watch(self.engine, self.loaded.policy, self.plan.policy)
        self.board = Posted(len(self.board.open), self.plan.paused)
        self.board.post(self.of(number, adopted=True))

    def hear(self) -> None:
        """The last settlement's bulletin and replies arrive."""
        if self.waiting is None:
            return
        number, t, replies = self.waiting
        self.waiting = None
        self.board.post(self.of(number, adopted=False))
        for reply in replies:
            self.history.heard(self.engine, {name: int(reply[name]) for name in REPLY.names or ()}, t)

    def take(self, step: Step) -> Iterator[tuple[dict[str, int], Any]]:
        for row in np.flatnonzero(step.events["customer"] == self.customer):
            event = as_records(step.events)[row]
            ask = None if event.ask == NONE else step.asks[event.ask]
            lines: Any = ()
            if ask is not None and event.kind in WITH_CARTS:
                lines = step.lines[ask["first_line"] : ask["first_line"] + ask["lines"]]
            self.history.lapse(int(event.time_ms))
            claims = self.history.wallet["claims"]
            origin = None if event.origin == NONE else step.origins[event.origin]
            answer = self.engine.decide(event, self.board, ask, lines, origin)
            self.check(step, int(row), answer)
            self.history.took(event, ask, answer, claims)
            yield {name: int(event[name]) for name in step.events.dtype.names or ()}, answer

    def check(self, step: Step, row: int, answer: Any) -> None:
        """What is told is what was decided."""
        recorded = step.decisions[row]
        for name in DECISION.names or ():
            if name in answer.decision:
                self.require_same(name, recorded["sequence"], int(recorded[name]), answer.decision[name])
        if answer.receipt is not None and answer.receipt["answer"] != Answer.WAITS:
            receipt = step.receipts[step.events["ask"][row]]
            for name in RECEIPT.names or ():
                self.require_same(name, recorded["sequence"], int(receipt[name]), answer.receipt[name])

    def require_same(self, name: str, event: int, was: int, now: int) -> None:
        require(was == now, f"{name} of customer {self.customer}'s event {event} was {was} and is {now} again")

    @property
    def notes(self) -> list[Note]:
        return self.history.notes
