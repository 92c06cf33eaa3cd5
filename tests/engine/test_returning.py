"""Returns: to where the supervisor has all go back, how a replica does, and what may hold meanwhile. The simulator of
disasters does the rest (tests/loadtests)."""

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from engine.host.journal import JournalError
from engine.host.machines import Admission
from engine.host.messages import Beat, Contribution, Envelope, Kept, Lead, Message, Reach, Replace, Return, Tick
from engine.host.replica import Care, Promise, Replica, Role
from engine.host.supervisor import EVERYBODY, Patience, Seating, Supervisor
from sim.disasters.disk import SeededDisk
from tests.engine.test_replica import CARE, SEAT, answer, lead, leader_with, order, replica, said

PATIENCE = Patience(lost=1_000, starting=5_000, again=200)
LOST = "shard-0"


# --- the supervisor ---------------------------------------------------------------------------------------------------
class Scene:
    """A Ledger and two shards with standbys; the first shard was lost and comes back from its disk."""

    def __init__(self, promise: Promise) -> None:
        self.disk, self.promise, self.now = SeededDisk(Random(1)), promise, 0
        self.supervisor = self.begun()
        self.out: list[Envelope] = []

    def begun(self) -> Supervisor:
        seats = {seat: Seating(f"{seat}.1", f"{seat}.2", started=2) for seat in ("ledger", "shard-0", "shard-1")}
        return Supervisor(self.disk, seats, PATIENCE, True, self.now, promise=self.promise)

    def lose(self) -> None:
        """It is found out by its silence, and its standby was not in step."""
        for _ in range(12):
            self.now += 100
            for seat, seating in self.supervisor.seats.items():
                for host in seating.hosts:
                    if host != f"{LOST}.1":
                        self.beat(seat, host, Reach())
            self.out += self.supervisor.receive(Tick(), self.now)
        self.beat(LOST, f"{LOST}.3", Reach())

    def beat(self, seat: str, host: str, reach: Reach, epoch: int | None = None) -> None:
        leads = host == self.supervisor.seats[seat].leader
        epoch = self.supervisor.epoch if epoch is None else epoch
        number = max((number for _, number in reach.settled), default=0)
        self.out += self.supervisor.receive(Beat(host, seat, epoch, number, leads, reach=reach), self.now)

    def all_say(self, reaches: dict[str, Reach]) -> None:
        for seat, reach in reaches.items():
            self.beat(seat, self.supervisor.seats[seat].leader, reach)

    @property
    def told(self) -> Lead:
        return [one.message for one in self.out if one.to == EVERYBODY and isinstance(one.message, Lead)][-1]


def reaches(ledger: str, asked: str, settled: str) -> dict[str, Reach]:
    """Of settlements by shard: `9 8` are 9 of the first and 8 of the second."""
    ledger_settled, by_asked, by_settled = ([int(word) for word in words.split()] for words in (ledger, asked, settled))
    found = {"ledger": Reach(settled=tuple(enumerate(ledger_settled)))}
    for shard, numbers in enumerate(zip(by_asked, by_settled, strict=True)):
        found[f"shard-{shard}"] = Reach(((shard, numbers[0]),), ((shard, numbers[1]),))
    return found


# What leaders reach, by shard; what all are told then: a bound, and whose followers begin afresh; or that it is over.
# The first shard has come back.
TABLE = """
promise   ledger  asked  settled  told
interval  9 9     10 10  9 9      over          # it has lost nothing
interval  9 9     9 10   9 9      over          # what it asked is settled, and it has heard of it
interval  9 9     7 10   7 9      7 10  ledger  # the Ledger has settled what it does not know to have asked
interval  7 7     7 10   6 9      7 7   shard-1 # then the other one has heard what the Ledger has not settled
interval  7 7     7 8    6 7      over
interval  4 9     6 10   5 9      4 9   shard-0 # nobody is where it was, in a live run
interval  0 0     0 0    0 0      over
memory    9 9     0 10   0 9      0 0   ledger shard-1
memory    0 0     0 0    0 0      over
"""
ROWS = [line.partition("#")[0].rstrip() for line in TABLE.strip().splitlines()[1:]]


@pytest.mark.parametrize("row", ROWS)
def test_to_where_all_go_back(row: str) -> None:
    promise, ledger, asked, settled, told = (
        row[start:end].strip() for start, end in ((0, 10), (10, 18), (18, 25), (25, 34), (34, 99))
    )
    scene = Scene(Promise(promise))
    scene.lose()
    assert scene.told.returning == Return(), "nobody promises anything, and nobody knows yet to where"
    scene.all_say(reaches(ledger, asked, settled))
    if told == "over":
        assert scene.told.returning is None
        assert scene.told.since == scene.told.epoch, "what was said before is not believed"
        return
    first, second, *beyond = told.split()
    assert scene.told.returning == Return(((0, int(first)), (1, int(second))))
    left = {seat for seat, seating in scene.supervisor.seats.items() if not seating.follower}
    assert left == {LOST, *beyond}, "who follows a seat that goes back begins afresh"


def test_a_durable_promise_needs_no_return() -> None:
    scene = Scene(Promise.DURABLE)
    scene.lose()
    assert (scene.told.returning, scene.supervisor.seats[LOST].follower) == (None, f"{LOST}.2")


def test_what_was_said_in_another_epoch_is_not_heard() -> None:
    scene = Scene(Promise.INTERVAL)
    scene.lose()
    for seat, reach in reaches("9 9", "10 10", "9 9").items():
        scene.beat(seat, scene.supervisor.seats[seat].leader, reach, epoch=scene.supervisor.epoch - 1)
    assert scene.told.returning == Return()


def test_a_return_outlives_the_supervisor() -> None:
    scene = Scene(Promise.INTERVAL)
    scene.lose()
    scene.all_say(reaches("9 9", "7 10", "7 9"))
    before = scene.told
    scene.disk.crash()
    scene.supervisor, scene.out = scene.begun(), []
    scene.now += 200
    scene.out += scene.supervisor.receive(Tick(), scene.now)
    assert scene.told == before
    scene.all_say(reaches("7 7", "7 10", "6 9"))
    scene.all_say(reaches("7 7", "7 8", "6 7"))
    assert scene.told.returning is None
    scene.out += scene.supervisor.receive(Tick(), scene.now)
    afresh = [one.message for one in scene.out if isinstance(one.message, Replace) and one.message.afresh]
    assert {order.seat for order in afresh} == {"ledger", "shard-0", "shard-1"}, (
        "those that went back are followed again"
    )


def test_who_is_lost_in_a_return_begins_it_again() -> None:
    scene = Scene(Promise.INTERVAL)
    scene.lose()
    scene.all_say(reaches("9 9", "7 10", "7 9"))
    scene.out += scene.supervisor.receive(Beat(f"{LOST}.3", LOST, 0, 0, True, error="no space left"), scene.now)
    scene.beat(LOST, f"{LOST}.4", Reach())
    assert scene.told.returning == Return()


def kept(scene: Scene, ledger: str, asked: str, *hosts: str) -> None:
    """What leaders and followers, or some hosts, have on their disks."""
    of = reaches(ledger, asked, "0 0")
    for seat, seating in scene.supervisor.seats.items():
        for host in seating.hosts:
            if not hosts or host in hosts:
                beat = Beat(host, seat, scene.supervisor.epoch, 0, host == seating.leader, kept=of[seat])
                scene.out += scene.supervisor.receive(beat, scene.now)
    scene.now += 200
    scene.out += scene.supervisor.receive(Tick(), scene.now)


def test_nobody_returns_behind_what_all_have_on_disk() -> None:
    scene = Scene(Promise.INTERVAL)
    kept(scene, "5 5", "4 6")
    assert not scene.told.floor, "the first shard has not kept that it asked what is settled"
    kept(scene, "9 9", "5 9", "ledger.1", "shard-0.1", "shard-1.1")
    assert not scene.told.floor, "nor have the standbys, which may be promoted"
    kept(scene, "9 9", "5 9")
    assert scene.told.floor == ((0, 5), (1, 5))


# --- a replica --------------------------------------------------------------------------------------------------------
INTERVAL = replace(CARE, promise=Promise.INTERVAL, interval_ms=1_000)


def returning(epoch: int, bound: int | None = None) -> Lead:
    return replace(lead(epoch), returning=Return(() if bound is None else ((0, bound),)), since=epoch)


@pytest.mark.parametrize("segment_bytes", [60, 10_000])
@pytest.mark.parametrize("bound", [0, 1, 5, 7])
def test_a_replica_goes_back_to_before_a_record(bound: int, segment_bytes: int) -> None:
    """Record n takes up settlement n - 1. Whenever power is lost then, what it went back behind does not come again."""
    disk, care = SeededDisk(Random(bound)), replace(INTERVAL, segment_bytes=segment_bytes)
    one = leader_with(9, disk, care)
    (beat,) = one.receive(returning(2, bound), 9)
    end = bound + 1
    assert one.journal.number == beat.message.number == end  # type: ignore[union-attr]
    expected = leader_with(end, SeededDisk(Random(1)), care).machine.digest()
    assert one.machine.digest() == expected
    disk.crash()
    assert replica("c", disk, care).machine.digest() == expected
    one.receive(lead(3), 10)
    assert one.receive(order(end + 1), 11) == [answer(end + 1)]
    disk.crash()
    assert replica("d", disk, care).journal.number in (end, end + 1)


def test_nobody_promises_anything_in_a_return() -> None:
    one = leader_with(3, SeededDisk(Random(1)), INTERVAL)
    one.receive(returning(2), 3)
    assert one.receive(order(4), 4) == [] and one.receive(order(3), 5) == []
    assert one.role == Role.LEADS
    assert said(one.receive(Tick(), 200), Beat)[0].epoch == 2, "but that it lives"
    one.receive(replace(lead(3), since=3), 201)
    assert one.receive(order(3), 202) == [answer(3)]


def test_what_was_said_before_a_return_is_not_believed() -> None:
    one = leader_with(3, SeededDisk(Random(1)), INTERVAL)
    one.receive(replace(lead(5), since=4), 3)
    taken: list[Message] = []

    def admit(message: Message, now: int) -> Admission:
        taken.append(message)
        return Admission()

    one.machine.admit = admit  # type: ignore[method-assign]
    none = np.zeros(0)
    old, new = (Contribution(epoch, 0, 4, 0, none, none, none) for epoch in (3, 4))
    for message in (old, Kept(3, SEAT, 1, "b"), new):
        assert one.receive(message, 4) == []
    assert taken == [new]


def test_a_snapshot_holds_once_nobody_returns_behind_it() -> None:
    disk = SeededDisk(Random(1))
    one = leader_with(9, disk, INTERVAL)
    assert one.snapshots.is_whole and not one.snapshots.numbers, "it may have to go back behind it"
    one.receive(replace(lead(1), floor=((0, 3),)), 10)
    one.receive(Tick(), 11)
    assert not one.snapshots.numbers, "settlement 4 is in it"
    one.receive(replace(lead(1), floor=((0, 4),)), 12)
    one.receive(Tick(), 13)
    assert one.snapshots.numbers == [4, 5]
    disk.crash()
    assert replica("c", disk, INTERVAL).journal.number >= 5


def test_a_snapshot_of_what_is_forgotten_is_dropped() -> None:
    one = leader_with(9, SeededDisk(Random(1)), INTERVAL)
    one.receive(returning(2, 2), 10)
    assert (one.snapshots.is_whole, one.snapshots.fresh, one.journal.number) == (False, [], 3)


def test_behind_its_snapshot_a_replica_cannot_return() -> None:
    one = leader_with(9, SeededDisk(Random(1)), CARE)
    one.care = INTERVAL
    (beat,) = said(one.receive(returning(2, 2), 10), Beat)
    assert beat.error == "tape.journal cannot return to record 4: tape.snapshot has record 5"
    assert one.role == Role.BROKEN


@pytest.mark.parametrize("records", [3, 30])
def test_in_memory_all_begin_anew(records: int) -> None:
    one = leader_with(records, SeededDisk(Random(1)), Care(promise=Promise.MEMORY, records_between_snapshots=4))
    one.receive(returning(2, 0), 40)
    assert (one.journal.number, one.snapshots.numbers) == (0, [])
    one.receive(lead(3), 41)
    assert one.receive(order(1), 42) == [answer(1)]


def test_a_journal_whose_cut_was_broken_off_can_be_cut_again() -> None:
    """Power goes at each call in turn: what is left is where it was, or nearer to where it should be."""
    for calls in range(1, 40):
        disk = SeededDisk(Random(calls))
        one = leader_with(9, disk, replace(INTERVAL, segment_bytes=60))
        one.journal.sync()
        left = iter(range(calls))
        if cut_with(one, disk, left):
            break
        disk.crash()
        again = replica("b", disk, INTERVAL)
        assert 3 <= again.journal.number <= 9
        again.journal.cut_back(3)
        assert replica("c", disk, INTERVAL).journal.number == 3
    else:
        pytest.fail("a cut ends")


def cut_with(one: Replica, disk: SeededDisk, left: Any) -> bool:
    """Cut to record 3, with so many calls of the disk left; whether that was enough."""
    calls = disk._call

    def call(what: str, whole: Any, part: Any = None) -> None:
        if next(left, None) is None:
            raise OSError("power went")
        calls(what, whole, part)

    disk._call = call  # type: ignore[method-assign]
    try:
        one.journal.cut_back(3)
    except (JournalError, OSError):
        return False
    finally:
        disk._call = calls  # type: ignore[method-assign]
    return True
