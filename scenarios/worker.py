"""One worker: a cohort of the population and the CustomerShard that decides for it, side by side."""

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.coupon_records import Inbox
from engine.host.messages import Settled
from engine.host.shard import Account, CustomerShard
from engine.policy.tables import CompiledPolicy
from engine.records import Bulletin, Tallies
from results.estimators import bin_edges
from scenarios.build import model_of
from scenarios.inline import compiled_waves
from scenarios.liability import costs_of_open, liabilities
from scenarios.population_document import Population
from scenarios.recording import Recorded
from scenarios.sampling import Sampled, Sampling, handed_over, recorder_of
from sim.cohort import Cohort, Spans
from sim.waves import CHUNK
from sim.worth import sum_so_far

SPEND_EDGES = np.array(bin_edges(2**31), np.int64)  # fen, of the histogram of spend


@dataclass(frozen=True)
class RunPlan:
    """Everything a worker needs to live through a run, whatever its share of the customers."""

    population: Population
    baseline: CompiledPolicy  # before launch
    policy: CompiledPolicy
    paused_before: tuple[int, ...]  # slots paused before launch
    paused_after: tuple[int, ...]  # slots paused once the campaign is over
    spans: Spans
    seed: int
    replication: int = 0
    chunk: int = CHUNK
    record: bool = False
    sampling: Sampling | None = None
    paused: tuple[int, ...] = ()  # slots paused from launch on
    customers: int = 1  # in all
    peaks: tuple[tuple[int, int], ...] = ()  # [from, until) in ms, settled every second
    reviewed: bool = False  # whether traffic is counted minute by minute

    @property
    def shares(self) -> bool:
        """Whether customers share stock, a budget, a breaker or a rule's count, so that a Ledger settles."""
        policies = (self.baseline.policy, self.policy.policy)
        return any(policy.coupons or policy.budgets or policy.breakers or policy.fraud.is_on for policy in policies)


@dataclass(frozen=True)
class Told:
    """What a worker has to say after a step: to the Ledger, and to the support desk."""

    account: Account
    contacts: np.ndarray  # CONTACT[n]


@dataclass(frozen=True)
class SoFar:
    """Of some customers since launch; integers that add."""

    spent: np.ndarray  # i8[slots, 2, 4]: see sim.worth.sum_so_far
    cohorts: np.ndarray  # i8[coupon slots, COUPON_CELLS], over all days of issue


@dataclass(frozen=True)
class WorkerResult:
    """What a worker hands over at the end; integers that add."""

    digest: str
    statistics: dict[str, np.ndarray]
    before: Tallies
    measured: Tallies
    recorded: Recorded | None = None
    sampled: Sampled | None = None
    bytes_per_customer: float = 0.0


def owned(plan: RunPlan) -> RunPlan:
    """The plan with arrays of one's own."""
    policy = plan.policy.owned()
    return replace(plan, policy=policy, baseline=policy if plan.baseline is plan.policy else plan.baseline.owned())


class CohortWorker:
    """Customers `first` … `first + count - 1` through a whole run."""

    def __init__(self, plan: RunPlan, first: int, count: int) -> None:
        plan = owned(plan)
        self.plan = plan
        stream = (plan.seed, plan.replication)
        self._launch_model = model_of(plan.population, plan.policy, plan.spans, stream, plan.customers)
        model = model_of(plan.population, plan.baseline, plan.spans, stream, plan.customers)
        self.cohort = Cohort(first, count, model, plan.spans, plan.reviewed)
        self.shard = CustomerShard(first, count, plan.baseline.tables, plan.baseline.registry.slots)
        self.shard.customers[:] = self.cohort.profiles
        del self.cohort.profiles
        self.shard.pause(plan.paused_before)
        self.recorder = recorder_of(plan.record, plan.sampling, first, count)
        self.before: Tallies = self.shard.tallies
        self._choose_play()

    def _choose_play(self) -> None:
        traced = len(self.cohort.crowd.traces) > 0
        self.play = compiled_waves(self.shard, self.plan.chunk, traced, self.recorder)

    def decide(self, events: np.ndarray, inbox: Inbox | None = None) -> tuple[np.ndarray, np.ndarray]:
        decisions, ghosts = self.shard.decide(events, inbox)
        if self.recorder is not None:
            self.recorder.keep(events, inbox, decisions)
        return decisions, ghosts

    def advance(self, since_ms: int, until_ms: int) -> np.ndarray:
        """Live up to a time; who got in touch meanwhile, CONTACT[n]."""
        self.cohort.advance(since_ms, until_ms, self.play, self.plan.chunk)
        return self.cohort.take_contacts()

    def apply(self, settled: Settled | None) -> None:
        """What the Ledger settled reaches the shard, then the customers."""
        if settled is not None:
            if self.recorder is not None:
                self.recorder.replied(settled)
            self.shard.take(settled)
            if len(settled.replies):
                self.cohort.apply(settled.replies, settled.time_ms)

    def take_bulletin(self, bulletin: Bulletin) -> None:
        self.shard.take_bulletin(bulletin)

    def step(self, settled: Settled | None, since_ms: int, until_ms: int) -> Told:
        """From one settlement to the next: take the last one's replies, live, and account for it."""
        self.apply(settled)
        contacts = self.advance(since_ms, until_ms)
        if self.recorder is not None:
            self.recorder.settle()
        return Told(self.shard.account(until_ms), contacts)

    def rush(self, slot: int, t: int) -> None:
        self.cohort.rush(slot, t)

    def moment(self, t: int, moment: int) -> None:
        self.cohort.moment(t, moment, self.decide)

    def launch(self) -> None:
        """Day 0: the policy under test replaces the baseline, measurement begins."""
        self.before = self.shard.tallies
        self.shard.adopt(self.plan.policy.tables, self.plan.policy.registry.slots)
        self.shard.pause(self.plan.paused)
        self.cohort.adopt(self._launch_model)
        self.cohort.launch()
        self._choose_play()

    def fork(self, plan: RunPlan) -> "CohortWorker":
        """The same customers at the same moment before launch, to live on under another policy."""
        twin = copy.copy(self)
        twin.plan = owned(plan)
        stream = (plan.seed, plan.replication)
        twin._launch_model = model_of(plan.population, twin.plan.policy, plan.spans, stream, plan.customers)
        twin.cohort, twin.shard = self.cohort.fork(), self.shard.copy()
        twin._choose_play()
        return twin

    def end_campaign(self) -> None:
        self.shard.pause(self.plan.paused_after)

    def so_far(self) -> SoFar:
        """What the customers have spent, and what became of their coupons, since launch."""
        spent = np.zeros((len(self.plan.policy.tables.campaigns), 2, 4), np.int64)
        sum_so_far(self.cohort.crowd, self.shard.universal_holdout(), spent)
        return SoFar(spent, self.shard.tallies.cohorts.sum(axis=0))

    def coupon_cells(self) -> np.ndarray:
        """What became of the customers' coupons since the start: i8[coupon slots, COUPON_CELLS]."""
        return self.before.cohorts.sum(axis=0) + self.shard.tallies.cohorts.sum(axis=0)

    def close(self, cells: np.ndarray) -> None:
        """The run is over: coupons still open become a liability. cells: as of `coupon_cells`, of all customers."""
        if self.shard.has_wallets:
            costs = costs_of_open(self.shard.tables, cells)
            self.cohort.crowd.shoppers["liability"] = liabilities(self.shard.arrays.wallets, costs)

    def result(self) -> WorkerResult:
        return WorkerResult(
            digest=self.shard.digest(),
            statistics=self.cohort.statistics(self.shard.universal_holdout(), SPEND_EDGES),
            before=self.before,
            measured=self.shard.tallies,
            **handed_over(self.recorder),
            bytes_per_customer=self.bytes_per_customer(),
        )

    def bytes_per_customer(self) -> float:
        """Arrays that grow with customers, divided by how many there are."""
        arrays: tuple[Any, ...] = (
            self.shard.arrays.customers,
            self.shard.arrays.rings,
            self.cohort.crowd.visitors,
            self.cohort.crowd.outcomes,
            self.cohort.crowd.shoppers,
            *self.shard.arrays.wallets,
        )
        return sum(a.nbytes for a in arrays) / max(1, len(self.shard.customers))
