"""Adversaries beside the cohorts: one more worker whose accounts come after all customers, and one more contribution.

Their accounts live in a shard of their own. Crews act from launch on, event by event, and see an answer before they
send the next event; what the Ledger says reaches them at the settlement, as it reaches everybody.
"""

from collections.abc import Sequence

import numpy as np

from engine.coupon_records import Answer, Inbox, RequestKind
from engine.host.messages import Settled
from engine.host.shard import CustomerShard
from engine.records import NONE, SHARE_ONE, Bulletin, EventKind, Tallies, as_records
from scenarios.adversaries_build import crew_plans, scene_of
from scenarios.calendar import calendar_of
from scenarios.sampling import handed_over, recorder_of
from scenarios.settling import Shards
from scenarios.worker import RunPlan, SoFar, Told, WorkerResult, owned
from sim.adversaries.appeals import Appeals
from sim.adversaries.underworld import Takings, Underworld, accounts_of, kinds_of, profiles_of
from sim.judged import no_verdicts, note_receipts, note_replies

_ASKED = frozenset({EventKind.ORDER, EventKind.PAYMENT, EventKind.REDEEM, EventKind.TRANSFER})  # denied at once
_REQUESTED = frozenset({RequestKind.CLAIM, RequestKind.RESERVE, RequestKind.TRANSFER})


def has_adversaries(plan: RunPlan) -> bool:
    return plan.population.adversaries is not None and plan.shares


def adversary_bounds(plan: RunPlan, customers: int) -> list[tuple[int, int]]:
    """First account of all crews and how many there are, where there are any: the last worker's."""
    return [(customers, accounts_of(crew_plans(plan.population.adversaries)))] if has_adversaries(plan) else []


def accounts_shard(plan: RunPlan, first: int) -> CustomerShard:
    """The accounts of all crews as a run begins."""
    baseline, crews = plan.baseline, crew_plans(plan.population.adversaries)
    days = baseline.tables.days
    week = int(days[np.searchsorted(days["start_ms"], plan.spans.start, "right") - 1]["week"])
    shard = CustomerShard(first, accounts_of(crews), baseline.tables, baseline.registry.slots)
    shard.customers[:] = profiles_of(crews, len(plan.policy.policy.names.cities), week)
    shard.pause(plan.paused_before)
    return shard


class AdversaryWorker:
    """Accounts `first` and up, of all crews of the plan's population; the customers are 0 … first - 1."""

    def __init__(self, plan: RunPlan, first: int) -> None:
        self.plan = owned(plan)
        self.crews = crew_plans(plan.population.adversaries)
        self.first, self.count = first, accounts_of(self.crews)
        self.shard = accounts_shard(self.plan, first)
        self.recorder = recorder_of(plan.record, plan.sampling, first, self.count)
        self.before: Tallies = self.shard.tallies
        self.underworld: Underworld | None = None
        self.kinds = kinds_of(self.crews)  # what each account truly is: i1[n], Account
        self.verdicts = no_verdicts()
        adversaries = plan.population.adversaries
        share = adversaries.appeals / SHARE_ONE if adversaries and plan.population.support else 0.0
        self.appeals = Appeals(share, (plan.seed, plan.replication))

    def takings(self) -> list[Takings]:
        if self.underworld is None:
            return []
        apart = self.first + np.flatnonzero(self.shard.let_through())
        return self.underworld.takings(frozenset(apart.tolist()))

    def apply(self, settled: Settled | None) -> None:
        if settled is not None:
            if self.recorder is not None:
                self.recorder.replied(settled)
            self.shard.take_bulletin(settled.bulletin)
            if len(settled.replies):
                self.shard.apply(settled.replies, settled.time_ms)
            if self.underworld is not None:
                if len(settled.replies):
                    self._judged(settled.replies)
                self.underworld.hear(settled.replies)  # that there were none, too
                self._hear_denials(settled.replies, settled.time_ms)

    def _judged(self, replies: np.ndarray) -> None:
        tables, rows = self.shard.tables, as_records(replies)
        note_replies(self.verdicts, self.kinds, self.first, tables.coupons, tables.terms, rows)

    def _hear_denials(self, replies: np.ndarray, t: int) -> None:
        rows = replies.view(np.ndarray)
        for reply in rows[(rows["answer"] == Answer.DENIED) & (rows["number"] != NONE)]:
            if reply["kind"] in _REQUESTED:
                self.appeals.hear_denial(int(reply["customer"]), t)

    def step(self, settled: Settled | None, until_ms: int) -> Told:
        """From one settlement to the next: hear the last one's replies, act, and account for it."""
        self.apply(settled)
        if self.underworld is not None:
            self.underworld.run(until_ms)
        if self.recorder is not None:
            self.recorder.settle()
        return Told(self.shard.account(until_ms), self.appeals.take())

    def launch(self) -> None:
        """Day 0: crews come with the policy under test."""
        plan = self.plan
        self.before = self.shard.tallies
        self.shard.adopt(plan.policy.tables, plan.policy.registry.slots)
        self.shard.pause(plan.paused)
        drops = calendar_of(plan).drops
        stream = (plan.seed, plan.replication)
        scene = scene_of(plan.population, plan.policy, plan.spans, drops, stream, self.first)
        cities = self.shard.customers["home_city"].copy()
        self.underworld = Underworld(scene, self.crews, self.first, cities, self.decide, self._enrol)

    def decide(self, events: np.ndarray, inbox: Inbox) -> tuple[np.ndarray, np.ndarray]:
        """What the shard decides, noted against what the accounts truly are."""
        decisions, ghosts = self.shard.decide(events, inbox)
        tables = self.shard.tables
        note_receipts(self.verdicts, self.kinds, self.first, tables.coupons, tables.terms, events, inbox)
        rows = events.view(np.ndarray)
        for event in rows[rows["ask"] != NONE]:
            if event["kind"] in _ASKED and inbox.receipts[event["ask"]].answer == Answer.DENIED:
                self.appeals.hear_denial(int(event["customer"]), int(event["time_ms"]))
        if self.recorder is not None:
            self.recorder.keep(events, inbox, decisions)
        return decisions, ghosts

    def _enrol(self, account: int, t: int) -> None:
        self.shard.customers["joined_ms"][account - self.first] = t
        if self.recorder is not None:
            self.recorder.enrol(account, t)

    def end_campaign(self) -> None:
        self.shard.pause(self.plan.paused_after)

    def fork(self, plan: RunPlan) -> "AdversaryWorker":
        """The same accounts, which do nothing before launch, for a world under another policy."""
        assert self.underworld is None, "crews that act already cannot be in two worlds"
        return AdversaryWorker(plan, self.first)

    def so_far(self) -> SoFar:
        """Their coupons; what they spend is no customer's."""
        spent = np.zeros((len(self.plan.policy.tables.campaigns), 2, 4), np.int64)
        return SoFar(spent, self.shard.tallies.cohorts.sum(axis=0))

    def result(self, like: WorkerResult) -> WorkerResult:
        """Digest and tallies; of the population's statistics nothing but events and verdicts is theirs."""
        statistics = {name: np.zeros_like(table) for name, table in like.statistics.items()}
        statistics["events"] += self.underworld.app.events if self.underworld else 0
        statistics |= {"rules": self.verdicts.rules, "together": self.verdicts.together, "asks": self.verdicts.asks}
        kept = handed_over(self.recorder)
        return WorkerResult(self.shard.digest(), statistics, self.before, self.shard.tallies, **kept)


class Beside:
    """A team with the adversaries as its last worker."""

    def __init__(self, inner: Shards, worker: AdversaryWorker) -> None:
        self.inner, self.worker = inner, worker
        self.moment, self.rush = inner.moment, inner.rush

    def step(self, settled: Sequence[Settled | None], since_ms: int, until_ms: int) -> list[Told]:
        return [*self.inner.step(settled[:-1], since_ms, until_ms), self.worker.step(settled[-1], until_ms)]

    def apply(self, settled: Sequence[Settled | None]) -> None:
        self.inner.apply(settled[:-1])
        self.worker.apply(settled[-1])

    def take_bulletin(self, bulletin: Bulletin) -> None:
        self.inner.take_bulletin(bulletin)
        self.worker.shard.take_bulletin(bulletin)

    def so_far(self) -> list[SoFar]:
        return [*self.inner.so_far(), self.worker.so_far()]

    def launch(self) -> None:
        self.inner.launch()
        self.worker.launch()

    def end_campaign(self) -> None:
        self.inner.end_campaign()
        self.worker.end_campaign()


def beside(team: Shards, worker: AdversaryWorker | None) -> Shards:
    """A team with the adversaries beside it, where there are any."""
    return Beside(team, worker) if worker else team


def with_adversaries(team: Shards, plan: RunPlan, customers: int) -> tuple[Shards, AdversaryWorker | None]:
    """The same with the adversaries of a plan's population."""
    worker = AdversaryWorker(plan, customers) if has_adversaries(plan) else None
    return beside(team, worker), worker
