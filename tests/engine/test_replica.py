"""A replica: what it promises, whom it believes, and what it refuses to recover from. The simulator of disasters does
the rest (tests/loadtests)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from engine.host.journal import JournalError
from engine.host.machines import Admission
from engine.host.messages import Beat, Copy, Envelope, Kept, Lead, Message, Order, Ordered, Reach, Seed, Tick, Wanted
from engine.host.replica import COPIES_AT_ONCE, SUPERVISOR, Care, Promise, Replica, Role
from engine.host.snapshots import SnapshotError, Sprout
from sim.disasters.disk import Faults, SeededDisk

SEAT = "tape"
CARE = Care(records_between_snapshots=4, segment_bytes=60)  # a record a segment


class Tape:
    """A machine that remembers orders: the odd numbers are one piece of a snapshot, the even ones the other."""

    def __init__(self) -> None:
        self.seen: tuple[list[int], list[int]] = ([], [])
        self.epoch = 0

    def admit(self, message: Message, now: int) -> Admission:
        assert isinstance(message, Order)
        if message.number in self.seen[0] + self.seen[1]:
            return Admission(out=[answer(message.number)])
        return Admission([str(message.number).encode()])

    def apply(self, payload: bytes) -> list[Envelope]:
        number = int(payload)
        self.seen[1 - number % 2].append(number)
        return [answer(number)]

    def lead(self, epoch: int) -> None:
        self.epoch = epoch

    def unanswered(self) -> list[Envelope]:
        return []

    def digest(self) -> str:
        return str(self.seen)

    @property
    def decided(self) -> int:
        return len(self.seen[0] + self.seen[1])

    def reach(self) -> Reach:
        return Reach(((0, self.latest),), ((0, self.latest - 1),))

    def settles(self, payload: bytes) -> Sequence[tuple[int, int]]:
        """Order n is contribution n, and takes up the settlement of the one before."""
        return [(0, int(payload) - 1)]

    @property
    def latest(self) -> int:
        return max([0, *self.seen[0], *self.seen[1]])

    def pieces(self) -> int:
        return 2

    def piece(self, at: int) -> Mapping[str, Any]:
        return {"seen": np.array(self.seen[at], np.int64)}

    def restore(self, pieces: Sequence[Mapping[str, Any]]) -> None:
        odd, even = (piece["seen"].tolist() for piece in pieces)
        self.seen = odd, even

    def catch_up(self, payload: bytes, behind: Sequence[bool]) -> None:
        if behind[1 - int(payload) % 2]:
            self.apply(payload)

    def caught_up(self) -> None: ...


def answer(number: int) -> Envelope:
    return Envelope("client", Ordered(number, SEAT))


def order(number: int) -> Order:
    return Order(number, "pause", ())


def replica(host: str, disk: SeededDisk | None = None, care: Care = CARE) -> Replica:
    one = Replica(host, SEAT, lambda fresh: Tape(), disk if disk is not None else SeededDisk(Random(1)), care)
    one.recover()
    return one


def lead(epoch: int, leader: str = "a", follower: str = "") -> Lead:
    return Lead(epoch, ((SEAT, leader),), ((SEAT, follower),) if follower else ())


def leader_with(records: int, disk: SeededDisk, care: Care = CARE) -> Replica:
    """One that leads alone, has taken so many records, and ticks after each."""
    one = replica("a", disk, care)
    one.receive(lead(1), 0)
    for number in range(1, records + 1):
        one.receive(order(number), number)
        one.receive(Tick(), number)
    return one


def pair(records: int = 0) -> tuple[Replica, Replica]:
    """A leader with records, and the follower it has been given since."""
    leader, follower = leader_with(records, SeededDisk(Random(1))), replica("b")
    for one in (leader, follower):
        one.receive(lead(2, "a", "b"), 100)
    return leader, follower


def exchanged(leader: Replica, follower: Replica, out: Sequence[Envelope]) -> list[Envelope]:
    """Carry messages between two until they are silent; what is for others."""
    others, waiting = [], list(out)
    while waiting:
        envelope = waiting.pop(0)
        to = {"a": leader, "b": follower}.get(envelope.to)
        if to is None:
            others.append(envelope)
        else:
            waiting += to.receive(envelope.message, 200)
    return others


def said(out: Sequence[Envelope], kind: type) -> list[Any]:
    return [envelope.message for envelope in out if isinstance(envelope.message, kind)]


# --- promises ---------------------------------------------------------------------------------------------------------
def test_an_answer_waits_for_the_follower() -> None:
    leader, follower = pair()
    exchanged(leader, follower, leader.receive(Wanted(2, SEAT, 1, "b"), 100))
    out = leader.receive(order(1), 101)
    assert [envelope.to for envelope in out] == ["b"], "only the copy leaves"
    assert leader.receive(order(1), 102) == [], "asked again, it is not answered either"
    (kept,) = follower.receive(out[0].message, 103)
    assert leader.receive(kept.message, 104) == [answer(1), answer(1)]
    assert follower.journal.durable == 1


def test_without_a_follower_it_is_answered_at_once() -> None:
    leader = leader_with(0, SeededDisk(Random(1)))
    assert leader.receive(order(1), 1) == [answer(1)]


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (Faults(full=1), "could not write the disk: No space left on device"),
        (Faults(write_fails=1.0), "could not write the disk: Input/output error"),
        (Faults(sync_fails=1.0), "could not sync the disk: Input/output error"),
    ],
)
def test_what_cannot_be_kept_is_not_answered(faults: Faults, words: str) -> None:
    disk = SeededDisk(Random(1))
    leader = leader_with(1, disk)
    disk.faults = faults
    (beat,) = leader.receive(order(2), 10)
    assert beat.to == SUPERVISOR
    assert isinstance(beat.message, Beat)
    assert beat.message.error.startswith("tape.journal: ")
    assert words in beat.message.error
    assert leader.role == Role.BROKEN
    disk.faults = Faults()
    assert leader.receive(order(1), 11) == [], "nothing is promised any more, even where there is room again"


def test_a_disk_that_cannot_be_read_is_told() -> None:
    leader, _ = pair(30)
    disk = leader.journal.disk
    assert isinstance(disk, SeededDisk)
    disk.faults = Faults(read_fails=1.0)
    (beat,) = leader.receive(Wanted(2, SEAT, 1, "b"), 100)
    assert "Input/output error" in beat.message.error  # type: ignore[union-attr]


@pytest.mark.parametrize("promise", Promise)
def test_a_loss_of_power_takes_what_was_not_promised(promise: Promise) -> None:
    """The interval of one second ends between the third and the fourth record."""
    lost = 0
    for seed in range(20):
        disk = SeededDisk(Random(seed))
        leader = replica("a", disk, Care(promise=promise, interval_ms=1_000))
        leader.receive(lead(1), 0)
        for number in range(1, 6):
            leader.receive(order(number), number * 300)
            leader.receive(Tick(), number * 300)
        disk.crash()
        found = replica("c", disk).journal.number
        lost += found < 5
        assert found >= {Promise.DURABLE: 5, Promise.INTERVAL: 4, Promise.MEMORY: 0}[promise]
    assert (lost > 0) == (promise != Promise.DURABLE)


# --- whom it believes -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("epoch", [1, 3])
def test_another_epoch_changes_nothing(epoch: int) -> None:
    leader, follower = pair(2)
    leader.receive(order(3), 101)
    for message in (Kept(epoch, SEAT, 3, "b"), Wanted(epoch, SEAT, 1, "b")):
        assert leader.receive(message, 102) == []
    assert leader.waiting
    for sent in (Copy(epoch, SEAT, 1, b"1"), Seed(epoch, SEAT, (4, 4), (b"", b""), ())):
        assert follower.receive(sent, 102) == []
    assert follower.journal.number == 0


@pytest.mark.parametrize(
    ("told", "role"),
    [
        ([lead(2, "a"), lead(1, "b")], Role.LEADS),
        ([lead(2, "b", "a"), lead(1, "a")], Role.FOLLOWS),
        ([lead(1, "a"), lead(2, "b")], Role.WAITS),
        ([lead(1, "b", "a"), lead(2, "a")], Role.LEADS),
    ],
)
def test_the_latest_word_of_who_leads_counts(told: list[Lead], role: Role) -> None:
    one = replica("a")
    for word in told:
        one.receive(word, 0)
    assert (one.role, one.epoch) == (role, 2)


# --- a follower that has fallen behind --------------------------------------------------------------------------------
def test_a_follower_begins_from_a_snapshot_and_is_nowhere_between_two_records() -> None:
    """Pieces were taken after records 4 and 5: with what it is sent, a follower is at 5 at once."""
    leader, follower = pair(30)
    assert leader.snapshots.numbers[0] < leader.snapshots.numbers[1]
    out = follower.receive(Tick(), 1_000)
    (wanted,) = said(out, Wanted)
    (seed,) = said(leader.receive(wanted, 1_001), Seed)
    (again,) = follower.receive(seed, 1_002)
    assert follower.journal.number == seed.numbers[-1]
    assert again.message == Wanted(2, SEAT, seed.numbers[-1] + 1, "b")
    assert follower.machine.digest() == leader_with(seed.numbers[-1], SeededDisk(Random(1))).machine.digest()
    exchanged(leader, follower, [again])
    assert follower.machine.digest() == leader.machine.digest()
    disk = follower.journal.disk
    assert isinstance(disk, SeededDisk)
    disk.crash()
    assert replica("c", disk).machine.digest() == leader.machine.digest()


def test_a_follower_takes_no_snapshot_before_it_is_where_its_leader_was() -> None:
    leader, follower = pair(30)
    (seed,) = said(leader.receive(Wanted(2, SEAT, 1, "b"), 1_000), Seed)
    follower.receive(seed, 1_001)
    for now in range(2_000, 2_010):
        follower.receive(Tick(), now)
    assert follower.snapshots.numbers == list(seed.numbers)


def test_a_leader_keeps_what_its_follower_lacks() -> None:
    leader, follower = pair(3)
    exchanged(leader, follower, follower.receive(Copy(2, SEAT, 3, b"3"), 100))
    for number in range(4, 40):  # the follower has frozen
        leader.receive(order(number), number)
        leader.receive(Tick(), number)
    assert leader.snapshots.numbers[0] > 30
    exchanged(leader, follower, leader.receive(Wanted(2, SEAT, 4, "b"), 1_000))
    for _ in range(39 // COPIES_AT_ONCE + 1):
        exchanged(leader, follower, leader.receive(Wanted(2, SEAT, follower.journal.number + 1, "b"), 1_000))
    assert follower.machine.digest() == leader.machine.digest()


def test_a_follower_too_far_behind_gives_its_place_up() -> None:
    """Else its leader would wait for it for ever."""
    leader, follower = pair(30)
    follower.receive(Copy(2, SEAT, 1, b"1"), 100)
    (seed,) = said(leader.receive(Wanted(2, SEAT, 2, "b"), 1_000), Seed)
    (beat,) = said(follower.receive(seed, 1_001), Beat)
    assert beat.error.startswith("tape.journal ends at record 1, and a has no more of what follows than a snapshot")


# --- recovery ---------------------------------------------------------------------------------------------------------
def files(disk: SeededDisk, words: str) -> Iterator[str]:
    return (name for name in sorted(disk.files) if words in name)


def drop(disk: SeededDisk, name: str) -> None:
    del disk.files[name]


def flip(disk: SeededDisk, name: str, at: int) -> None:
    disk.files[name].data[at] ^= 1


def test_a_journal_that_ends_before_its_snapshot_is_refused() -> None:
    disk = SeededDisk(Random(1))
    leader = leader_with(7, disk)
    for name in list(files(disk, "journal")):
        drop(disk, name)
    journal = replica("x", SeededDisk(Random(2))).journal
    journal.append(1, b"1")
    journal.sync()
    disk.files |= {name: file for name, file in journal.disk.files.items() if "journal" in name}  # type: ignore[attr-defined]
    numbers = leader.snapshots.numbers
    with pytest.raises(JournalError, match=f"ends at record 1, and tape.snapshot has record {numbers[-1]}"):
        replica("b", disk)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda disk, piece: drop(disk, piece), "{piece} is missing, and tape.snapshot says that it holds"),
        (lambda disk, piece: flip(disk, piece, 0), "{piece} begins with b'VTP1', not with b'WTP1'"),
        (lambda disk, piece: disk.files[piece].data.clear(), "{piece} has 0 bytes, fewer than a head"),
        (
            lambda disk, piece: disk.files["tape.snapshot"].data.append(0),
            "tape.snapshot must list a snapshot as numbers",
        ),
    ],
)
def test_a_damaged_snapshot_is_refused_by_name(damage: Any, words: str) -> None:
    disk = SeededDisk(Random(1))
    leader_with(7, disk)
    piece = next(files(disk, "snapshot-"))
    damage(disk, piece)
    with pytest.raises(SnapshotError, match=words.format(piece=piece)):
        replica("b", disk)


def test_a_snapshot_of_another_version_is_refused_by_name() -> None:
    disk = SeededDisk(Random(1))
    leader_with(7, disk)
    piece = next(files(disk, "snapshot-"))
    data = disk.files[piece].data
    at = data.index(b'"print":"') + 9
    data[at] = data[at] ^ 1
    with pytest.raises(SnapshotError, match=f"{piece} seen holds i8 as another version knows it".replace("i8", ".*")):
        replica("b", disk)


def test_records_that_only_some_pieces_have_seen_are_caught_up() -> None:
    disk = SeededDisk(Random(1))
    leader = leader_with(30, disk)
    assert leader.snapshots.numbers[0] < leader.snapshots.numbers[1]
    again = Replica("b", SEAT, lambda fresh: Tape(), disk, replace(CARE))
    replayed = again.recover()
    assert replayed == 30 - leader.snapshots.numbers[0]
    assert again.machine.digest() == leader.machine.digest()


SENT = {  # (snapshot, first piece, pieces) in the order they come, and what is there afterwards
    "in order": (((1, 0, "ab"), (1, 2, "c")), "abc"),
    "one again": (((1, 0, "ab"), (1, 0, "ab"), (1, 2, "c"), (1, 2, "c")), "abc"),
    "one too soon": (((1, 0, "ab"), (1, 3, "d"), (1, 2, "c")), "abc"),
    "the middle of another": (((1, 0, "ab"), (2, 2, "z")), "ab"),
    "another from its beginning": (((1, 0, "ab"), (2, 0, "xy"), (1, 2, "c"), (2, 2, "z")), "xyz"),
}


@pytest.mark.parametrize("how", SENT)
def test_a_snapshot_is_put_together_of_its_own_pieces(how: str) -> None:
    came, there = SENT[how]
    sprout = Sprout()
    for turn, first, pieces in came:
        had = list(sprout.pieces)
        taken = sprout.take(turn, first, [piece.encode() for piece in pieces])
        assert taken == (sprout.pieces != had)
    assert b"".join(sprout.pieces).decode() == there
