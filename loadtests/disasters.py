"""Disasters, simulated: the hosts of a stepped run on a stage that fails by seed, held to what they promised."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from engine.host.disk import Disk
from engine.host.journal import JournalError
from engine.host.ledger_machine import LedgerMachine
from engine.host.machines import Machine
from engine.host.messages import Answered, Batch, Envelope, Message, Tick
from engine.host.replica import Care, Replica
from engine.host.shard_machine import ShardMachine
from engine.host.snapshots import SnapshotError
from engine.host.supervisor import Patience, Seating, Supervisor
from loadtests.traffic import CLIENT, Traffic, bounds_of, ledger_of, shard_of
from sim.disasters.stage import SUPERVISOR, Disaster, Stage, State, Weather

LEDGER = "ledger"
SHARDS = 2
PARTITION_CUSTOMERS = 16
AGAIN_MS = 300
DISASTERS_FOR_MS, ENDS_WITHIN_MS = 20_000, 300_000
CARE = Care(records_between_snapshots=4)
PATIENCE = Patience(lost=600, starting=3_000)


@dataclass(frozen=True)
class Truth:
    """What an undisturbed run answers and ends with."""

    traffic: Traffic
    answers: dict[tuple[int, int], Answered]  # by shard and batch
    digests: dict[str, str]  # by seat


@dataclass
class Client:
    """Sends each shard its batches in order, again and again until they are answered, and remembers what was."""

    batches: dict[int, list[Batch]]  # by shard
    truth: dict[tuple[int, int], Answered] = field(default_factory=dict)
    answered: dict[int, int] = field(default_factory=Counter)  # by shard: how many
    answers: dict[tuple[int, int], Answered] = field(default_factory=dict)
    sent_ms: dict[int, int] = field(default_factory=dict)

    def receive(self, message: Message, now: int) -> list[Envelope]:
        if isinstance(message, Answered):
            self._take(message)
            self.sent_ms.pop(message.shard, None)
            return self._send(message.shard, now)
        if isinstance(message, Tick):
            return [envelope for shard in self.batches for envelope in self._send(shard, now)]
        return []

    def _send(self, shard: int, now: int) -> list[Envelope]:
        done = self.answered[shard]
        if done == len(self.batches[shard]) or now < self.sent_ms.get(shard, -AGAIN_MS) + AGAIN_MS:
            return []
        self.sent_ms[shard] = now
        return [Envelope(f"shard-{shard}", self.batches[shard][done])]

    def _take(self, answer: Answered) -> None:
        key = answer.shard, answer.number
        if answer.number > self.answered[answer.shard] + 1:
            raise Disaster(f"batch {answer.number} of shard {answer.shard} was answered before the one before it")
        expected = self.truth.get(key)
        if expected is not None and not same_answer(expected, answer):
            raise Disaster(f"batch {answer.number} of shard {answer.shard} was answered otherwise than undisturbed")
        self.answers.setdefault(key, answer)
        self.answered[answer.shard] = max(self.answered[answer.shard], answer.number)

    @property
    def is_done(self) -> bool:
        return all(self.answered[shard] == len(batches) for shard, batches in self.batches.items())


def same_answer(one: Answered, other: Answered) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("decisions", "receipts", "replies")
    )


class Theatre:
    """Boots hosts of the seats; the last one of each is its leader."""

    def __init__(self, traffic: Traffic, standby: bool, replica: type[Replica] = Replica, care: Care = CARE) -> None:
        self.traffic, self.standby, self.replica, self.care = traffic, standby, replica, care
        self.bounds = bounds_of(traffic.customers, SHARDS)
        self.seats = [LEDGER, *(f"shard-{shard}" for shard in range(SHARDS))]

    def seating(self) -> dict[str, Seating]:
        followers = {seat: f"{seat}.2" if self.standby else "" for seat in self.seats}
        return {seat: Seating(f"{seat}.1", followers[seat], started=2) for seat in self.seats}

    def machine(self, seat: str) -> Machine:
        if seat == LEDGER:
            return LedgerMachine(ledger_of(self.traffic.plan, self.bounds))
        number = int(seat.removeprefix("shard-"))
        return ShardMachine(number, shard_of(self.traffic.plan, *self.bounds[number]), PARTITION_CUSTOMERS)

    def boot(self, host: str, disk: Disk, now: Callable[[], int]) -> Any:
        if host == SUPERVISOR:
            return Supervisor(disk, self.seating(), PATIENCE, self.standby, now())
        seat = host.split(".")[0]
        replica = self.replica(host, seat, self.machine(seat), disk, self.care)
        try:
            replica.recover()
        except (JournalError, SnapshotError) as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise Disaster(f"{host} refuses its own disk: {error}") from error
        return replica


@dataclass(frozen=True)
class Outcome:
    """What one seed came to."""

    happened: Counter[str]
    digests: dict[str, str]
    answers: dict[tuple[int, int], Answered]
    virtual_ms: int


def weather_of(random: Random) -> Weather:
    """Every seed has a weather of its own: some disasters often, most of them hardly."""

    def chance(most: float) -> float:
        return most * random.random() ** 2 if random.random() < 0.5 else 0.0

    return Weather(
        lost=chance(0.3), doubled=chance(0.3), late=chance(0.5), late_ms=random.choice((5, 50, 2_000)),
        crash=chance(0.02), freeze=chance(0.02), freeze_ms=random.choice((100, 3_000)), cut=chance(0.02),
        cut_ms=random.choice((200, 4_000)), write_fails=chance(0.01), sync_fails=chance(0.01),
    )  # fmt: skip


def play(theatre: Theatre, weather: Weather, random: Random, truth: Truth | None = None) -> Outcome:
    """One run through a weather; Disaster where a promise was broken."""
    stage = Stage(random, weather, lambda host, disk: theatre.boot(host, disk, lambda: stage.now), Tick())
    batches = {shard: theatre.traffic.batches(shard, *bound) for shard, bound in enumerate(theatre.bounds)}
    client = Client(batches, truth.answers if truth is not None else {})
    stage.enter(SUPERVISOR)
    for seating in theatre.seating().values():
        for host in seating.hosts:
            stage.enter(host)
    stage.enter(CLIENT, client)
    try:
        stage.run(lambda: client.is_done, DISASTERS_FOR_MS)
        stage.settle_down()
        if not stage.run(lambda: client.is_done, ENDS_WITHIN_MS):
            raise Disaster(f"not everything is answered {ENDS_WITHIN_MS} ms after the last disaster")
        digests = wait_for_digests(stage, theatre)
    except (AssertionError, JournalError, SnapshotError) as error:
        raise Disaster(f"at {stage.now} ms: {error}") from error
    if truth is not None:
        for seat, digest in truth.digests.items():
            if digests[seat] != digest:
                raise Disaster(f"{seat} ends with another digest than undisturbed")
    return Outcome(stage.happened, digests, client.answers, stage.now)


def wait_for_digests(stage: Stage, theatre: Theatre) -> dict[str, str]:
    """Of each seat's leader, once all have taken in the last settlement."""
    found: dict[str, str] = {}

    def leads(seat: str) -> bool:
        route = stage.places[SUPERVISOR].node
        host = route.seats[seat].leader if isinstance(route, Supervisor) else ""
        place = stage.places.get(host)
        if place is None or not isinstance(place.node, Replica) or place.state != State.UP:
            return False
        machine = place.node.machine
        if isinstance(machine, ShardMachine) and machine.heard + len(machine.arrived) < machine.asked:
            return False
        found[seat] = final_digest(machine)
        return True

    if not stage.run(lambda: all(leads(seat) for seat in theatre.seats), ENDS_WITHIN_MS):
        raise Disaster("a seat has nobody who leads it")
    return found


def final_digest(machine: Machine) -> str:
    """With the replies of the last settlement, which ride with no batch any more."""
    if isinstance(machine, ShardMachine):
        shard = machine.shard.copy()
        for settled in machine.arrived:
            shard.take(settled)
        return shard.digest()
    return machine.digest()


def undisturbed(traffic: Traffic) -> Truth:
    outcome = play(Theatre(traffic, standby=False), Weather(), Random(0))
    return Truth(traffic, outcome.answers, outcome.digests)


def disaster(seed: int, truth: Truth, replica: type[Replica] = Replica) -> Outcome:
    """The disaster of a seed. Raises Disaster."""
    random = Random(seed)
    theatre = Theatre(truth.traffic, standby=random.random() < 0.5, replica=replica)
    return play(theatre, weather_of(random), random, truth)
