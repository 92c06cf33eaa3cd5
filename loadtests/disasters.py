"""Disasters, simulated: the hosts of a stepped run on a stage that fails by seed, held to what they promised."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product
from random import Random
from typing import Any

import numpy as np

from engine.host.disk import Disk, MemoryDisk
from engine.host.journal import JournalError
from engine.host.ledger_machine import LedgerMachine
from engine.host.machines import LEDGER, Machine, seats_of
from engine.host.messages import Answered, Batch, Envelope, Message, Move, Refusal, Refused, Tick
from engine.host.partitions import bounds_of
from engine.host.replica import Care, Promise, Replica, Role
from engine.host.shard_machine import ShardMachine
from engine.host.snapshots import SnapshotError
from engine.host.supervisor import Patience, Seating, Supervisor
from loadtests.traffic import CLIENT, Traffic, ledger_of
from loadtests.weathers import Case, case_of
from loadtests.witness import Onlooker
from sim.disasters.disk import SeededDisk
from sim.disasters.stage import SUPERVISOR, Disaster, Stage, State, Weather

MOVER = "mover"
NODES = ("east", "west")  # leaders begin on the first, followers on the second
SHARDS = 2
PARTITION_CUSTOMERS = 16
AGAIN_MS = 300
DISASTERS_FOR_MS, ENDS_WITHIN_MS = 10_000, 60_000
INTERVAL_MS = 400
CARE = Care(  # so that there are many of all
    interval_ms=INTERVAL_MS, records_between_snapshots=4, segment_bytes=4_000, seed_bytes=2_000
)
PATIENCE = Patience(lost=600, starting=1_500)


@dataclass(frozen=True)
class Truth:
    """What an undisturbed run answers and ends with."""

    traffic: Traffic
    answers: dict[tuple[int, int], Answered]  # by shard and batch
    digests: dict[str, str]  # by seat


@dataclass
class Client:
    """Sends each shard its batches in order, again and again until they are answered, and remembers what was. Where
    answers may be forgotten, it does not believe that the last one is not, and is told where the shard is."""

    batches: dict[int, list[Batch]]  # by shard
    truth: dict[tuple[int, int], Answered] = field(default_factory=dict)
    answered: dict[int, int] = field(default_factory=Counter)  # by shard: how many
    answers: dict[tuple[int, int], Answered] = field(default_factory=dict)
    sent_ms: dict[int, int] = field(default_factory=dict)
    promise: Promise = Promise.DURABLE
    forgotten: int = 0  # batches that were answered, and are sent again

    def receive(self, message: Message, now: int) -> list[Envelope]:
        if isinstance(message, Answered):
            self._take(message)
            if self.answered[message.shard] < len(self.batches[message.shard]):
                self.sent_ms.pop(message.shard, None)
            return self._send(message.shard, now)
        if isinstance(message, Refused) and self.promise != Promise.DURABLE:
            return self._refused(message, now)
        if isinstance(message, Tick):
            return [envelope for shard in self.batches for envelope in self._send(shard, now)]
        return []

    def _send(self, shard: int, now: int) -> list[Envelope]:
        done = self.answered[shard]
        if done == len(self.batches[shard]) and self.promise != Promise.DURABLE:
            done -= 1
        if done == len(self.batches[shard]) or now < self.sent_ms.get(shard, -AGAIN_MS) + AGAIN_MS:
            return []
        self.sent_ms[shard] = now
        return [Envelope(f"shard-{shard}", self.batches[shard][done])]

    def _refused(self, refused: Refused, now: int) -> list[Envelope]:
        shard, done = refused.shard, self.answered[refused.shard]
        if refused.reason not in (Refusal.GAP, Refusal.FORGOTTEN) or refused.number not in (done, done + 1):
            return []  # it is of a batch that is not the latest any more
        self.forgotten += max(0, done - refused.expected + 1)
        self.answered[shard] = refused.expected - 1
        self.sent_ms.pop(shard, None)
        return self._send(shard, now)

    def _take(self, answer: Answered) -> None:
        key = answer.shard, answer.number
        if answer.number > self.answered[answer.shard] + 1:
            if self.promise != Promise.DURABLE:
                return  # from before it was forgotten
            raise Disaster(f"batch {answer.number} of shard {answer.shard} was answered before the one before it")
        expected = self.truth.get(key)
        if expected is not None and not same_answer(expected, answer):
            raise Disaster(f"batch {answer.number} of shard {answer.shard} was answered otherwise than undisturbed")
        self.answers.setdefault(key, answer)
        self.answered[answer.shard] = max(self.answered[answer.shard], answer.number)

    @property
    def is_done(self) -> bool:
        return all(self.answered[shard] == len(batches) for shard, batches in self.batches.items())


@dataclass
class Mover:
    """Somebody who wants seats led from other nodes, as long as there are disasters."""

    seats: list[str]
    chance: float  # a tick
    random: Random
    is_calm: Callable[[], bool]

    def receive(self, message: Message, now: int) -> list[Envelope]:
        if not isinstance(message, Tick) or self.is_calm() or self.random.random() >= self.chance:
            return []
        return [Envelope(SUPERVISOR, Move(self.random.choice(self.seats), self.random.choice(NODES)))]


def same_answer(one: Answered, other: Answered) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("decisions", "receipts", "replies")
    )


class Theatre:
    """Boots hosts of the seats; the last one of each is its leader."""

    def __init__(self, traffic: Traffic, standby: bool, replica: type[Replica] = Replica, care: Care = CARE) -> None:
        self.traffic, self.standby, self.replica, self.care = traffic, standby, replica, care
        self.bounds = bounds_of(traffic.customers, SHARDS)
        self.seats = seats_of(SHARDS)

    def seating(self) -> dict[str, Seating]:
        followers = {seat: f"{seat}.2" if self.standby else "" for seat in self.seats}
        return {seat: Seating(f"{seat}.1", followers[seat], started=2) for seat in self.seats}

    def hosts(self) -> list[str]:
        return [host for one in self.seating().values() for host in (one.leader, one.follower) if host]

    def machine(self, seat: str) -> Machine:
        if seat == LEDGER:
            return LedgerMachine(ledger_of(self.traffic.plan, self.bounds))
        number = int(seat.removeprefix("shard-"))
        return ShardMachine(number, self.traffic.shard(*self.bounds[number]), PARTITION_CUSTOMERS)

    def boot(self, host: str, disk: Disk, now: Callable[[], int]) -> Any:
        if host == SUPERVISOR:
            placed = {host: NODES[host.endswith(".2")] for host in self.hosts()}
            return Supervisor(disk, self.seating(), PATIENCE, self.standby, now(), placed, promise=self.care.promise)
        seat = host.split(".")[0]
        disk = MemoryDisk() if self.care.promise == Promise.MEMORY else disk
        replica = self.replica(host, seat, lambda fresh: self.machine(seat), disk, self.care)
        try:
            replica.recover()
        except (JournalError, SnapshotError) as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise
        return replica


@dataclass(frozen=True)
class Outcome:
    """What one case came to."""

    happened: Counter[str]
    digests: dict[str, str]
    answers: dict[tuple[int, int], Answered]
    virtual_ms: int
    trace: str  # of everything that was delivered, and when


def play(theatre: Theatre, case: Case, truth: Truth | None = None) -> Outcome:
    """One run through a weather; Disaster where a promise was broken."""
    batches = {shard: theatre.traffic.batches(shard, *bound) for shard, bound in enumerate(theatre.bounds)}
    client = Client(batches, truth.answers if truth is not None else {}, promise=theatre.care.promise)
    stage = staged(theatre, case, client)
    try:
        for name in (SUPERVISOR, *theatre.hosts()):
            stage.enter(name)
        stage.enter(CLIENT, client)
        mover_random = Random(f"moves {case.seed}")
        stage.enter(MOVER, Mover(theatre.seats, case.weather.moved, mover_random, lambda: stage.calm))
        stage.run(lambda: client.is_done, DISASTERS_FOR_MS)
        stage.settle_down()
        if not stage.run(lambda: client.is_done, ENDS_WITHIN_MS):
            raise Disaster(f"not everything is answered {ENDS_WITHIN_MS:,} ms after the last disaster")
        digests = wait_for_digests(stage, theatre, {shard: len(of) for shard, of in batches.items()})
        compare_standbys(stage, theatre)
        if theatre.care.promise != Promise.MEMORY:
            wait_for_syncs(stage, theatre)
            recover_all(stage, theatre)
    except Disaster as disaster:
        raise Disaster(f"at {stage.now:,} ms: {disaster}") from disaster
    if truth is not None:
        for seat, digest in truth.digests.items():
            if digests[seat] != digest:
                raise Disaster(f"{seat} ends with another digest than undisturbed")
    stage.happened["answered batch forgotten and sent again"] += client.forgotten
    return Outcome(stage.happened, digests, client.answers, stage.now, stage.trace.hexdigest())


def staged(theatre: Theatre, case: Case, client: Client) -> Stage:
    """An empty stage for a case, with somebody who looks on."""

    def boot(host: str, disk: SeededDisk) -> Any:
        before = disk.used
        node = theatre.boot(host, disk, lambda: stage.now)
        stage.happened["torn tail cut off"] += disk.used < before
        return node

    happened: Counter[str] = Counter()
    witness = Onlooker(client.answered, happened, theatre.care)
    stage = Stage(case.seed, case.weather, boot, Tick(), witness, happened)
    witness.stage = stage
    return stage


def compare_standbys(stage: Stage, theatre: Theatre) -> None:
    """A follower that has kept what its leader has is where its leader is."""
    for seat in theatre.seats:
        replicas = replicas_of(stage, seat)
        for leader, follower in product(replicas, replicas):
            is_pair = leader.role == Role.LEADS and leader.follower == follower.host and leader.epoch == follower.epoch
            if is_pair and leader.journal.number == follower.journal.number:
                stage.happened["follower compared with its leader"] += 1
                if follower.machine.digest() != leader.machine.digest():
                    raise Disaster(f"{follower.host} ends with another digest than {leader.host}, which it follows")


def wait_for_syncs(stage: Stage, theatre: Theatre) -> None:
    """Where answers may wait for the end of an interval, it comes; those who learn may still be at it."""

    def is_kept() -> bool:
        replicas = [one for seat in theatre.seats for one in replicas_of(stage, seat)]
        return all(stage.places[one.host].disk.keeps(f"{one.seat}.journal-") for one in replicas)

    if not stage.run(is_kept, 10 * INTERVAL_MS):
        raise Disaster(f"not everything is on disk {10 * INTERVAL_MS:,} ms after the last answer")


def recover_all(stage: Stage, theatre: Theatre) -> None:
    """Power goes everywhere, once more: what is on the disks is what the hosts were."""
    for replica in [one for seat in theatre.seats for one in replicas_of(stage, seat)]:
        disk, digest = stage.places[replica.host].disk, replica.machine.digest()
        disk.crash()
        try:
            again = theatre.boot(replica.host, disk, lambda: stage.now)
        except (JournalError, SnapshotError) as error:
            raise Disaster(f"{replica.host} cannot recover at the end: {error}") from error
        if again.machine.digest() != digest:
            raise Disaster(f"{replica.host} recovers another digest from its disk than it had")


def replicas_of(stage: Stage, seat: str) -> list[Replica]:
    """Those of a seat that lead it or follow."""
    nodes = (place.node for place in stage.places.values())
    return [
        node
        for node in nodes
        if isinstance(node, Replica) and node.seat == seat and node.role in (Role.LEADS, Role.FOLLOWS)
    ]


def wait_for_digests(stage: Stage, theatre: Theatre, batches: dict[int, int]) -> dict[str, str]:
    """Of each seat's leader, once all have taken in the last settlement. batches: how many each shard has."""
    found: dict[str, str] = {}

    def leads(seat: str) -> bool:
        supervisor = stage.places[SUPERVISOR].node
        if not isinstance(supervisor, Supervisor) or supervisor.returning.is_on:
            return False
        place = stage.places.get(supervisor.seats[seat].leader)
        if place is None or not isinstance(place.node, Replica) or place.state != State.UP:
            return False
        machine = place.node.machine
        if place.node.returning:
            return False
        if isinstance(machine, ShardMachine) and machine.taken.get(CLIENT, 0) < batches[machine.number]:
            return False  # it has forgotten, and is told again
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
    case = Case(0, False, Weather(), len(traffic.steps))
    outcome = play(Theatre(traffic, standby=False), case)
    return Truth(traffic, outcome.answers, outcome.digests)


def care_for(promise: Promise, care: Care = CARE) -> Care:
    """How hosts keep a promise."""
    if promise == Promise.DURABLE:
        return care
    # A full segment is synced, whatever was promised: longer ones, so that more is left to be lost.
    return replace(care, promise=promise, segment_bytes=5 * care.segment_bytes)


class Disasters:
    """Cases of one traffic, played by hosts of one kind."""

    def __init__(self, traffic: Traffic, replica: type[Replica] = Replica, care: Care = CARE) -> None:
        self.traffic, self.replica, self.care = traffic, replica, care
        self.truths: dict[int, Truth] = {}  # by settlements

    def case(self, seed: int) -> Case:
        return case_of(seed, len(self.traffic.steps))

    def play(self, case: Case) -> Outcome:
        """Raises Disaster."""
        truth = self._truth(case.settlements)
        theatre = Theatre(truth.traffic, case.standby, self.replica, care_for(case.promise, self.care))
        return play(theatre, case, truth)

    def fails(self, case: Case) -> str | None:
        """What went wrong, in a sentence."""
        try:
            self.play(case)
        except Disaster as disaster:
            return str(disaster)
        return None

    def _truth(self, settlements: int) -> Truth:
        if settlements not in self.truths:
            self.truths[settlements] = undisturbed(self.traffic.first(settlements))
        return self.truths[settlements]
