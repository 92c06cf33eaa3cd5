"""Between the world and its workers where customers share stock or a budget: one Ledger settles every step."""

import copy
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from engine.coupon_records import ANSWERS, REQUEST
from engine.host.ledger import LedgerHost
from engine.host.messages import Contribution, Settled
from engine.records import Bulletin, records
from scenarios.breaker_outputs import MinuteBook
from scenarios.diary import Diary
from scenarios.worker import CohortWorker, RunPlan, SoFar, Told


class Shards(Protocol):
    """Workers that account to a Ledger."""

    def step(self, settled: Sequence[Settled | None], since_ms: int, until_ms: int) -> list[Told]: ...

    def apply(self, settled: Sequence[Settled | None]) -> None: ...

    def take_bulletin(self, bulletin: Bulletin) -> None: ...

    def so_far(self) -> Sequence[SoFar]: ...

    def moment(self, t: int, moment: int) -> None: ...

    def rush(self, slot: int, t: int) -> None: ...

    def launch(self) -> None: ...

    def end_campaign(self) -> None: ...


class Desk(Protocol):
    """Persons who decide: who got in touch goes in, requests come out; they hear what is under review."""

    def live(self, contacts: Sequence[np.ndarray], until_ms: int) -> np.ndarray: ...

    def hear(self, settled: Sequence[Settled | None], since_ms: int, until_ms: int) -> None: ...


class Log(Protocol):
    """Hears what each worker is told: as a policy is taken up, and at a settlement; and what persons decided."""

    def post(self, bulletin: Bulletin) -> None: ...

    def take(self, settled: Sequence[Settled], decided: np.ndarray) -> None: ...


class OneWorker:
    """A single worker as a team."""

    def __init__(self, worker: CohortWorker) -> None:
        self.worker = worker
        self.moment, self.rush = worker.moment, worker.rush
        self.launch, self.end_campaign = worker.launch, worker.end_campaign
        self.take_bulletin = worker.take_bulletin

    def advance(self, since_ms: int, until_ms: int) -> list[np.ndarray]:
        return [self.worker.advance(since_ms, until_ms)]

    def step(self, settled: Sequence[Settled | None], since_ms: int, until_ms: int) -> list[Told]:
        return [self.worker.step(settled[0], since_ms, until_ms)]

    def so_far(self) -> list[SoFar]:
        return [self.worker.so_far()]

    def apply(self, settled: Sequence[Settled | None]) -> None:
        self.worker.apply(settled[0])


class Settling:
    """What the world drives: shards live a step, the Ledger settles it, replies ride with the next step."""

    def __init__(
        self,
        shards: Shards,
        plan: RunPlan,
        bounds: Sequence[tuple[int, int]],
        diary: Diary | None = None,
        log: Log | None = None,
        minutes: MinuteBook | None = None,
        desk: Desk | None = None,
    ) -> None:
        self.shards, self.plan, self.diary, self.log, self.minutes = shards, plan, diary, log, minutes
        self.desk = desk
        ends = [(first, first + count) for first, count in bounds]
        start = plan.baseline
        self.ledger = LedgerHost(start.tables, start.coupons, start.budgets, ends, plan.spans.start)
        self.settled: list[Settled | None] = [None] * len(bounds)
        self.refused_before = self.ledger.shared.stock["refused"].copy()  # by coupon and answer, at launch
        self._publish()

    def _publish(self) -> None:
        """What is out of stock or used up under a policy just taken up is so from its first event on."""
        bulletin = self.ledger.bulletin()
        self.shards.take_bulletin(bulletin)
        if self.log is not None:
            self.log.post(bulletin)

    def advance(self, since_ms: int, until_ms: int) -> None:
        told = self.shards.step(self.settled, since_ms, until_ms)
        requests = [one.account.requests for one in told]
        decided: np.ndarray = records(0, REQUEST)
        if self.desk is not None:
            decided = self.desk.live([one.contacts for one in told], until_ms)
            if len(decided):
                requests[0] = np.concatenate([requests[0], decided])
        number = self.ledger.number + 1
        settled: list[Settled | None] = [None] * len(self.settled)
        for shard, account in enumerate(one.account for one in told):
            # The shards have just applied the settlement before this one: its replies need not be kept any longer.
            contribution = Contribution(
                self.ledger.epoch, shard, number, until_ms, requests[shard], account.spend, account.lives, number - 1,
                pulse=account.pulse, pulse_minute=account.pulse_minute,
            )  # fmt: skip
            for answer in self.ledger.receive(contribution, until_ms):
                assert isinstance(answer, Settled), f"the Ledger refused a contribution: {answer}"
                settled[answer.shard] = answer
        self.settled = settled
        if self.desk is not None:
            self.desk.hear(settled, since_ms, until_ms)
        if self.log is not None:
            self.log.take([one for one in settled if one is not None], decided)
        if self.diary is not None:
            self.diary.note(until_ms, self.ledger, self.shards)
        if self.minutes is not None:
            self.minutes.note(until_ms, self.ledger)

    def moment(self, t: int, moment: int) -> None:
        self.shards.moment(t, moment)

    def rush(self, slot: int, t: int) -> None:
        self.shards.rush(slot, t)

    def pieces_left(self, slot: int) -> int:
        return int(self.ledger.shared.stock[slot].left)

    def deliver(self, slot: int, pieces: int, t: int) -> None:
        """The stock room has been sent so many pieces."""
        name = next(name for name, own in self.ledger.coupons.items() if own == slot)
        self.ledger.restock(name, pieces, t)

    def withdraw(self, slot: int, pieces: int, t: int) -> None:
        """So many pieces of what is left are not there."""
        name = next(name for name, own in self.ledger.coupons.items() if own == slot)
        self.ledger.withdraw(name, pieces, t)

    def launch(self) -> None:
        """The replies of the last settlement before launch belong to what was before."""
        self.shards.apply(self.settled)
        self.settled = [None] * len(self.settled)
        self.shards.launch()
        self.ledger.adopt(self.plan.policy.tables, self.plan.policy.coupons, self.plan.policy.budgets)
        self.refused_before = self.ledger.shared.stock["refused"].copy()
        self._publish()

    def end_campaign(self) -> None:
        self.shards.end_campaign()

    def finish(self) -> None:
        """The last settlement's replies reach their customers."""
        self.shards.apply(self.settled)
        self.settled = [None] * len(self.settled)

    @property
    def refused(self) -> np.ndarray:
        """Claims that the Ledger refused since launch: i8[coupon slots, ANSWERS]."""
        refused: np.ndarray = self.ledger.shared.stock["refused"] - self.refused_before
        return refused.reshape(len(refused), ANSWERS)

    def fork(self, shards: Shards, plan: RunPlan, desk: Desk | None = None) -> "Settling":
        """The same Ledger at the same moment, for shards that live on under another policy."""
        twin = copy.copy(self)
        twin.shards, twin.plan, twin.diary, twin.log, twin.desk = shards, plan, None, None, desk
        twin.ledger, twin.settled = self.ledger.copy(), list(self.settled)
        return twin
