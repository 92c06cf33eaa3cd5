"""A recording of customers who share stock or a budget, met again: the Ledger settles anew at the same instants.

Under another policy the same customers ask the same things at the same times, and a Ledger of its own answers them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.coupon_records import Answer, Inbox
from engine.host.messages import Settled
from engine.host.shard import CustomerShard, combined
from engine.host.wire import WITH_CARTS
from engine.records import DECISION, NONE, Bulletin, EventKind, records
from scenarios.adversary_worker import accounts_shard, has_adversaries
from scenarios.calendar import calendar_of, reorders_of
from scenarios.incidents_build import shortages_of
from scenarios.replay_changes import Changes
from scenarios.replay_claims import ClaimChanges, Pair, Side
from scenarios.replay_fraud import FraudChanges
from scenarios.replay_record import Step, Steps, nothing, require
from scenarios.replay_twins import ExposureNumbers, Other, check_equal, first_shard, rounds, segments_of
from scenarios.settling import Settling
from scenarios.worker import RunPlan, SoFar, Told
from sim.contacts import CONTACT
from sim.stock_room import StockRoom
from sim.world import World

OF_AN_INSTANCE = (EventKind.REDEEM, EventKind.TRANSFER)
Bounds = Sequence[tuple[int, int]]
NO_CONTACTS = records(0, CONTACT)  # nobody hears of them


# --- the run's own policy ---------------------------------------------------------------------------------------------
class Own:
    """The run's shards, which decide the recorded events again. A log of settlements too: replies must be the same."""

    def __init__(self, plan: RunPlan, bounds: Bounds, steps: Steps) -> None:
        self.plan, self.steps = plan, steps
        self.cohorts = len(bounds) - has_adversaries(plan)  # workers of customers; the crews' is the last
        self.shards = [first_shard(plan, first, count) for first, count in bounds[: self.cohorts]]
        self.shards += [accounts_shard(plan, first) for first, _ in bounds[self.cohorts :]]
        self.early: list[Step] = []  # of each worker, before the replies
        self.taken: list[Step] = []
        self.named: list[dict[int, tuple[int, int, int]]] = []  # by worker: whose instance an ask speaks of

    def step(self, settled: Sequence[Settled | None], since_ms: int, until_ms: int) -> list[Told]:
        parts = self.steps.take(until_ms)
        self.early, self.taken = [early for early, _ in parts], [step for _, step in parts]
        for shard, step in zip(self.shards, self.early, strict=True):
            self.meet_again(shard, step)
        self.apply(settled)
        self.enrol(self.taken)
        self.named = [named_instances(shard, step) for shard, step in zip(self.shards, self.taken, strict=True)]
        for shard, step in zip(self.shards, self.taken, strict=True):
            self.meet_again(shard, step)
        return [Told(shard.account(until_ms), NO_CONTACTS) for shard in self.shards]

    def enrol(self, steps: Sequence[Step]) -> None:
        """Accounts of crews that are opened in the step: they have done nothing before."""
        for shard, step in zip(self.shards, steps, strict=True):
            rows = step.enrolled["customer"] - int(shard.arrays.first[0])
            shard.customers["joined_ms"][rows] = step.enrolled["joined_ms"]

    def meet_again(self, shard: CustomerShard, step: Step) -> None:
        if len(step.events) == 0:
            return
        inbox = step.inbox()
        again, _ = shard.decide(step.events, inbox)
        check_equal("decision", step.decisions, again, step.events)
        asked = step.events["ask"] != NONE
        asked &= ~np.isin(again["answer"], (Answer.NONE, Answer.WAITS))  # those have no receipt
        rows = step.events["ask"][asked]
        check_equal("receipt", step.receipts[rows], inbox.receipts[rows], step.events[asked])

    def take(self, settled: Sequence[Settled], decided: np.ndarray) -> None:
        """What the Ledger says again."""
        for said, step in zip(settled, self.taken, strict=True):
            require(
                len(said.replies) == len(step.replies),
                f"settlement {said.number} had {len(step.replies)} replies and has {len(said.replies)} again",
            )
            check_equal("reply", step.replies, said.replies, step.replies)  # fmt: skip

    def post(self, bulletin: Bulletin) -> None:
        """What it says shows in what is decided."""

    def take_bulletin(self, bulletin: Bulletin) -> None:
        for shard in self.shards:
            shard.take_bulletin(bulletin)

    def apply(self, settled: Sequence[Settled | None]) -> None:
        apply_all(self.shards, settled)

    def so_far(self) -> list[SoFar]:
        return []

    def moment(self, t: int, moment: int) -> None:
        """Its events are recorded."""

    def rush(self, slot: int, t: int) -> None:
        """Likewise."""

    def launch(self) -> None:
        for shard in self.shards:
            shard.adopt(self.plan.policy.tables, self.plan.policy.registry.slots)
            shard.pause(self.plan.paused)

    def end_campaign(self) -> None:
        for shard in self.shards:
            shard.pause(self.plan.paused_after)


class AsDecided:
    """The persons of the run, who decide what they decided."""

    def __init__(self, own: Own) -> None:
        self.own = own

    def live(self, contacts: Sequence[np.ndarray], until_ms: int) -> np.ndarray:
        return self.own.taken[0].decided

    def hear(self, settled: Sequence[Settled | None], since_ms: int, until_ms: int) -> None:
        """Their minds are made up."""


def apply_all(shards: Sequence[CustomerShard], settled: Sequence[Settled | None]) -> None:
    for shard, one in zip(shards, settled, strict=True):
        if one is not None:
            shard.take(one)


# --- whose coupon an ask speaks of ------------------------------------------------------------------------------------
def instances(shard: CustomerShard, customer: int) -> list[np.record]:
    """A customer's coupons, the newest first."""
    wallets = shard.arrays.wallets
    found, at = [], int(wallets.heads[customer - int(shard.arrays.first[0]), 0])
    while at != NONE:
        found.append(wallets.instances[at])
        at = int(wallets.instances[at].next)
    return found


def sign(shard: CustomerShard, instance: np.record) -> tuple[int, int]:
    """When a coupon was claimed or arrived, and which one it is."""
    return int(instance.claimed_ms), int(shard.tables.terms[instance.terms].coupon)


def named_instances(shard: CustomerShard, step: Step) -> dict[int, tuple[int, int, int]]:
    """(claimed, coupon, which of several such) of the instance that an ask names, by the ask's number."""
    found = {}
    for event in step.events[np.isin(step.events["kind"], OF_AN_INSTANCE) & (step.events["ask"] != NONE)]:
        own = instances(shard, int(event["customer"]))
        for instance in own:
            if instance.number == step.asks[event["ask"]]["claim"]:
                same = [other.number for other in own if sign(shard, other) == sign(shard, instance)]
                found[int(event["ask"])] = (*sign(shard, instance), sum(number < instance.number for number in same))
    return found


def number_of(shard: CustomerShard, customer: int, named: tuple[int, int, int] | None) -> int:
    """The number under which this shard has the coupon that was claimed at the same moment; NONE without it."""
    if named is None:
        return NONE
    same = sorted(int(one.number) for one in instances(shard, customer) if sign(shard, one) == named[:2])
    return same[named[2]] if named[2] < len(same) else NONE


# --- another policy ---------------------------------------------------------------------------------------------------
class Twin(Own):
    """The same customers under another policy, from launch on."""

    def __init__(self, own: Own, plan: RunPlan, other: Other, bounds: Bounds, hear: Callable[[Pair], None]) -> None:
        self.own, self.plan, self.other, self.hear = own, plan, other, hear
        self.shards = [shard.copy() for shard in own.shards]
        self.numbers = [
            ExposureNumbers(first, shard.customers["exposures"])
            for (first, _), shard in zip(bounds, self.shards, strict=True)
        ]
        self.waiting = [nothing() for _ in bounds]

    def step(self, settled: Sequence[Settled | None], since_ms: int, until_ms: int) -> list[Told]:
        for worker, step in enumerate(self.own.early):
            self.hear(Pair(step, self.decide(worker, step, step.inbox()), step.receipts, worker))
        self.apply(settled)
        self.enrol(self.own.taken)
        return [self.decided_otherwise(worker, until_ms) for worker in range(len(self.shards))]

    def decided_otherwise(self, worker: int, until_ms: int) -> Told:
        """Decide what the customers of a worker did. What was not taken in the run was sent again later; what is not
        taken here is sent again after the settlement, as their apps would."""
        shard, step = self.shards[worker], self.own.taken[worker]
        step = self.translated(worker, replace(step, events=step.events[~step.waits],
                                               decisions=step.decisions[~step.waits]))  # fmt: skip
        step = joined(self.waiting[worker], step)
        inbox = step.inbox()
        decisions = self.decide(worker, step, inbox)
        waits = np.asarray(decisions["answer"] == Answer.WAITS)
        self.waiting[worker] = postponed(step, waits, until_ms)
        taken = replace(step, events=step.events[~waits], decisions=step.decisions[~waits])
        self.hear(Pair(taken, decisions[~waits], inbox.receipts, worker))
        return Told(shard.account(until_ms), NO_CONTACTS)

    def translated(self, worker: int, step: Step) -> Step:
        """Coupons by the numbers they have here."""
        named = self.own.named[worker]
        if not named:
            return step
        asks = step.asks.copy()
        for event in step.events[np.isin(step.events["kind"], OF_AN_INSTANCE) & (step.events["ask"] != NONE)]:
            ask = int(event["ask"])
            asks[ask]["claim"] = number_of(self.shards[worker], int(event["customer"]), named.get(ask))
        return replace(step, asks=asks)

    def decide(self, worker: int, step: Step, inbox: Inbox) -> np.ndarray:
        """DECISION[n], receipts into the inbox."""
        shard, numbers = self.shards[worker], self.numbers[worker]
        decisions = records(len(step.events), DECISION)
        if len(decisions) == 0:
            return decisions
        events, turn = self.other.events(step.events), rounds(step.events)
        for number in range(int(turn.max()) + 1):
            rows = np.flatnonzero(turn == number)
            decisions[rows], _ = shard.decide(numbers.translated(events[rows]), inbox)
            numbers.learn(step.decisions[rows], decisions[rows])
        return decisions


def joined(early: Step, late: Step) -> Step:
    """What waited comes first."""
    if len(early.events) == 0:
        return late
    asks, events = late.asks.copy(), late.events.copy()
    asks["first_line"][events["ask"][np.isin(events["kind"], WITH_CARTS)]] += len(early.lines)
    events["ask"][events["ask"] != NONE] += len(early.asks)
    events["origin"][events["origin"] != NONE] += len(early.origins)
    return Step(
        np.concatenate([early.events, events]),
        np.concatenate([early.decisions, late.decisions]),
        np.concatenate([early.asks, asks]),
        np.concatenate([early.receipts, late.receipts]),
        np.concatenate([early.lines, late.lines]),
        np.concatenate([early.origins, late.origins]),
        late.enrolled,
        late.decided,
        late.replies,
    )


def postponed(step: Step, waits: np.ndarray, until_ms: int) -> Step:
    if not waits.any():
        return nothing()
    events = step.events[waits]
    events["time_ms"] = until_ms
    return replace(step, events=events, decisions=step.decisions[waits])


# --- both -------------------------------------------------------------------------------------------------------------
class LateStore:
    """The other policy's stock. What is delivered between two of the run's settlements arrives at the later one."""

    def __init__(self, settling: Settling) -> None:
        self.settling = settling
        self.settled_ms = 0
        self.on_the_way: list[tuple[int, int]] = []

    def pieces_left(self, slot: int) -> int:
        return self.settling.pieces_left(slot)

    def deliver(self, slot: int, pieces: int, t: int) -> None:
        if t == self.settled_ms:
            self.settling.deliver(slot, pieces, t)
        else:
            self.on_the_way.append((slot, pieces))

    def withdraw(self, slot: int, pieces: int, t: int) -> None:
        """An incident begins at a settlement of the run."""
        self.settling.withdraw(slot, pieces, t)

    def settle(self, t: int) -> None:
        """A settlement of the run is over."""
        self.settled_ms = t
        for slot, pieces in self.on_the_way:
            self.settling.deliver(slot, pieces, t)
        self.on_the_way = []


@dataclass
class Replay:
    """What the world drives: the run's own shards and Ledger, and beside them from launch on those of the other policy.

    `run` raises AssertionError where the recording is not met again.
    """

    plan: RunPlan
    bounds: Bounds
    steps: Steps
    other: Other | None
    changes: Changes
    progress: Callable[[int], None]

    def __post_init__(self) -> None:
        self.own = Own(self.plan, self.bounds, self.steps)
        self.settling = Settling(self.own, self.plan, self.bounds, log=self.own, desk=AsDecided(self.own))
        self.twin: Settling | None = None
        self.claims: ClaimChanges | None = None
        self.fraud: FraudChanges | None = None
        self.store: LateStore | None = None
        self.pairs: list[Pair] = []
        self.world = World(self, self.plan.spans, calendar_of(self.plan), self.progress, store=self)
        self.room: StockRoom | None = None

    def run(self) -> None:
        self.world.run()
        self.settling.finish()
        if self.twin is not None:
            self.twin.finish()
        self.steps.end()

    @property
    def digest(self) -> str:
        return combined([*(shard.digest() for shard in self.own.shards), self.settling.ledger.digest()])

    # --- what the world asks ------------------------------------------------------------------------------------------
    def advance(self, since_ms: int, until_ms: int) -> None:
        self.settling.advance(since_ms, until_ms)
        if self.twin is None:
            return
        self.pairs = []
        self.twin.advance(since_ms, until_ms)
        assert self.claims is not None and self.store is not None and self.room is not None
        for pair in self.pairs:
            if pair.worker < self.own.cohorts:
                self.changes.compare(pair.step.decisions, pair.decisions)
        workers = len(self.bounds)
        for pair, own, twin in zip(self.pairs[-workers:], self.settling.settled, self.twin.settled, strict=True):
            assert own is not None and twin is not None
            self.claims.compare(pair, own.replies, twin.replies)
            if self.fraud is not None:
                self.fraud.compare(pair, own.replies, twin.replies)
        self.store.settle(until_ms)
        self.room.look()

    def moment(self, t: int, moment: int) -> None:
        """Its events are recorded."""

    def rush(self, slot: int, t: int) -> None:
        """Likewise."""

    def launch(self) -> None:
        if self.other is not None:
            self._fork(self.other)
        self.settling.launch()
        cohorts = self.own.cohorts
        for (first, count), shard in zip(self.bounds[:cohorts], self.own.shards[:cohorts], strict=True):
            self.changes.segments[first : first + count] = segments_of(shard, self.plan)

    def _fork(self, other: Other) -> None:
        plan = replace(self.plan, policy=other.policy, paused=(), paused_after=other.paused_after)
        twin = Twin(self.own, plan, other, self.bounds, self.pairs_append)
        self.twin = self.settling.fork(twin, plan, AsDecided(self.own))
        self.twin.launch()
        self.store = LateStore(self.twin)
        self.store.settled_ms = self.plan.spans.launch
        self.room = StockRoom(self.world.env, reorders_of(plan), self.store, self.settle_as_recorded)
        for shortage in shortages_of(plan.population.incidents, plan.policy, plan.spans):
            self.world.env.process(self.room.run_short(shortage))
        sides = (Side(self.settling, self.own.shards), Side(self.twin, twin.shards))
        customers, everybody = len(self.changes.segments), sum(self.bounds[-1])
        self.claims = ClaimChanges(customers, everybody, *sides)
        if self.plan.policy.policy.fraud.is_on or other.policy.policy.fraud.is_on:
            self.fraud = FraudChanges(customers, self.plan.policy, other.policy)

    def settle_as_recorded(self, t: int) -> None:
        """The other policy's deliveries settle nothing that was not settled in the run."""
        if self.steps.next_ms == t:
            self.world.settle(t)

    def pairs_append(self, pair: Pair) -> None:
        self.pairs.append(pair)

    def end_campaign(self) -> None:
        self.settling.end_campaign()
        if self.twin is not None:
            self.twin.end_campaign()

    def pieces_left(self, slot: int) -> int:
        return self.settling.pieces_left(slot)

    def deliver(self, slot: int, pieces: int, t: int) -> None:
        self.settling.deliver(slot, pieces, t)

    def withdraw(self, slot: int, pieces: int, t: int) -> None:
        self.settling.withdraw(slot, pieces, t)
