"""Shards, the Ledger and the dispatcher in one process, over a network that loses, repeats and delays; every journal is
kept, so that what was decided can be decided again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from engine.coupon_records import ASK, LINE
from engine.host.editions import Editions, Running
from engine.host.ledger_machine import LedgerMachine
from engine.host.machines import LEDGER, OPERATOR, RUN, Machine, seats_of
from engine.host.messages import Answered, Batch, Decided, Envelope, Lead, Order, Ordered, Settled, Tick
from engine.host.partitions import bounds_of
from engine.host.shard_machine import ShardMachine
from engine.records import NONE, PARTITIONS, EventKind
from gateway.blocks import Block, Outcome, new_events
from gateway.dispatcher import Dispatcher
from loadtests.traffic import Traffic, ledger_of

CLIENT = "gateway@1"
TURN_MS, ASKS_AGAIN_MS = 20, 200


@dataclass
class Network:
    """Chances of what happens to a message."""

    lost: float = 0.0
    repeated: float = 0.0
    delayed: float = 0.0  # by up to ten turns


@dataclass
class Hall:
    """A seat is a machine, and the records it applied."""

    traffic: Traffic
    network: Network
    random: Random
    crashes: float = 0.0  # chance a turn that a machine is lost, and another one replays its records
    shards: int = 2
    machines: dict[str, Machine] = field(default_factory=dict)
    journals: dict[str, list[bytes]] = field(default_factory=dict)
    on_way: list[tuple[int, Envelope]] = field(default_factory=list)  # (when, message)
    answers: dict[tuple[str, int, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    ordered: dict[str, int] = field(default_factory=dict)  # the latest order that each seat has carried out
    now: int = 0

    def __post_init__(self) -> None:
        self.bounds = bounds_of(self.traffic.customers, self.shards)
        self.dispatcher = Dispatcher(CLIENT, self.shards, lambda: self.traffic.times[0])
        for seat in seats_of(self.shards):
            self.machines[seat], self.journals[seat] = self.fresh(seat), []
        self._post(self.dispatcher.receive(Lead(1, ()), 0))

    def fresh(self, seat: str) -> Machine:
        """A machine that has applied nothing."""
        if seat == LEDGER:
            ledger = ledger_of(self.traffic.plan, self.bounds, live=True)
            return LedgerMachine(ledger, Editions(self.traffic.plan.policy))
        number = int(seat.removeprefix("shard-"))
        first, end = self.bounds[number]
        size = -(-self.traffic.customers // PARTITIONS)
        editions = Editions(self.traffic.plan.policy)
        return ShardMachine(number, self.traffic.shard(first, end), size, live=True, editions=editions)

    def again(self, seat: str) -> Machine:
        """A machine that has replayed the journal of a seat."""
        machine = self.fresh(seat)
        for payload in self.journals[seat]:
            machine.apply(payload)
        machine.lead(1)
        return machine

    def turn(self) -> None:
        self.now += TURN_MS
        if self.random.random() < self.crashes:
            seat = self.random.choice(list(self.machines))
            self.machines[seat] = self.again(seat)
        self._post(self.dispatcher.receive(Tick(), self.now))
        self._post(self.dispatcher.flush(self.now))
        if self.now % ASKS_AGAIN_MS == 0:
            for machine in self.machines.values():
                self._post(machine.unanswered())
        due = [one for when, one in self.on_way if when <= self.now]
        self.on_way = [(when, one) for when, one in self.on_way if when > self.now]
        for envelope in due:
            self._deliver(envelope)

    def _deliver(self, envelope: Envelope) -> None:
        if envelope.to == CLIENT:
            self._post(self.dispatcher.receive(envelope.message, self.now))
            return
        if envelope.to == OPERATOR:
            done = envelope.message
            assert isinstance(done, Ordered)
            self.ordered[done.seat] = max(self.ordered.get(done.seat, 0), done.number)
            return
        machine = self.machines[envelope.to]
        admission = machine.admit(envelope.message, self.now)
        self._post(admission.out)
        for payload in admission.payloads:
            self.journals[envelope.to].append(payload)
            self._post(machine.apply(payload))

    def _post(self, envelopes: list[Envelope]) -> None:
        for envelope in envelopes:
            if isinstance(envelope.message, Settled):
                self.dispatcher.overhear(envelope)
            if isinstance(answer := envelope.message, Answered | Decided):
                self.answers[CLIENT, answer.shard, answer.number] = answer.decisions, answer.receipts
            chances, draw = self.network, self.random.random
            if draw() < chances.lost:
                continue
            for _ in range(2 if draw() < chances.repeated else 1):
                delay = self.random.randrange(10) if draw() < chances.delayed else 0
                self.on_way.append((self.now + delay * TURN_MS, envelope))

    def run(self, number: int, running: Running) -> None:
        """Have every seat carry out an order while everything goes on."""
        order = Order(number, RUN, tuple(vars(running).values()))
        while any(self.ordered.get(seat, 0) < number for seat in self.machines):
            late = [seat for seat in self.machines if self.ordered.get(seat, 0) < number]
            self._post([Envelope(seat, order) for seat in late if self.random.random() < 0.3])
            self.turn()

    def until_answered(self, most: int = 20_000) -> None:
        for _ in range(most):
            if not self.dispatcher.open:
                return
            self.turn()
        raise AssertionError(f"{self.dispatcher.open} events were not answered")


@dataclass(eq=False)
class Told:
    """What one caller was told."""

    shard: int
    block: Block
    outcomes: list[Outcome] = field(default_factory=list)


def callers(hall: Hall, steps: int, most: int) -> Iterator[Told]:
    """The events of the traffic's first steps as callers would send them: at most so many at once, not numbered."""
    for shard, (first, end) in enumerate(hall.bounds):
        for batch in hall.traffic.batches(shard, first, end)[:steps]:
            low = 0
            while low < len(batch.events):
                count = hall.random.randint(1, most)
                yield _told(shard, batch, slice(low, low + count))
                low += count


def _told(shard: int, batch: Batch, part: slice) -> Told:
    events = batch.events[part].copy()
    events["sequence"] = NONE
    block = Block(events, lambda outcome: told.outcomes.append(outcome), batch.asks, batch.lines, batch.origins)
    told = Told(shard, block)
    return told


TRIED = (
    EventKind.CLAIM, EventKind.ORDER, EventKind.PAYMENT, EventKind.CANCEL, EventKind.REFUND, EventKind.REDEEM,
    EventKind.TRANSFER,
)  # fmt: skip
FEW = 3  # customers of a shard, orders, lines and coupons that are tried: most of them are there


def trials(hall: Hall, count: int) -> Iterator[Told]:
    """Whatever may become of orders and coupons, tried by a few customers, one at a time."""
    draw, coupons = hall.random.randrange, list(hall.traffic.plan.policy.coupons.values())
    for _ in range(count):
        shard = draw(hall.shards)
        first = hall.bounds[shard][0]
        event, ask, lines = new_events(1), np.zeros(1, ASK), np.zeros(1, LINE)
        for name in ("place", "campaign", "rule"):
            ask[name] = NONE
        event["customer"], event["kind"], event["ask"] = first + draw(FEW), hall.random.choice(TRIED), 0
        event["amount"], ask["id"], ask["coupon"] = draw(5_000), max(0, draw(-12, FEW)), hall.random.choice(coupons)
        ask["order"], ask["claim"], ask["other"] = draw(FEW), draw(FEW), first + draw(FEW)
        if event["kind"] == EventKind.ORDER:
            lines["unit_price"], lines["quantity"], ask["lines"] = 12_000, FEW, 1
        else:
            ask["first_line"], ask["pieces"] = draw(NONE, 1), draw(FEW)
        yield told_of(shard, Block(event, lambda outcome: None, ask, lines))


def bulks(hall: Hall, count: int, size: int) -> Iterator[Told]:
    """Many events at once, which ask for nothing."""
    for _ in range(count):
        shard = hall.random.randrange(hall.shards)
        events, pages = new_events(size), len(hall.traffic.plan.policy.policy.names.pages)
        events["customer"] = [hall.random.randrange(*hall.bounds[shard]) for _ in range(size)]
        events["kind"] = [hall.random.choice((EventKind.LOGIN, EventKind.PAGE_VIEW)) for _ in range(size)]
        events["page"] = [hall.random.randrange(pages) for _ in range(size)]
        yield told_of(shard, Block(events, lambda outcome: None))


def told_of(shard: int, block: Block) -> Told:
    told = Told(shard, block)
    block.told = told.outcomes.append
    return told


def recover(machine: Machine, pieces: Sequence[Mapping[str, Any]], numbers: list[int], records: list[bytes]) -> None:
    """Pieces of a snapshot, each taken after record numbers[i], and the records from the first of them on."""
    machine.restore(pieces)
    for number, payload in enumerate(records, 1):
        if numbers[0] < number <= numbers[-1]:
            machine.catch_up(payload, [seen < number for seen in numbers])
        if number == numbers[-1]:
            machine.caught_up()
        if number > numbers[-1]:
            machine.apply(payload)


def same_rows(one: np.ndarray, other: np.ndarray) -> bool:
    return one.tobytes() == other.tobytes()
