"""A replica of a seat: keeps the records of a machine in a journal, leads or follows, and recovers.

The order of promises: a record is journaled here, and by the follower where there is one, before anything that
follows from it goes out.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import Enum

from engine.host.disk import Disk
from engine.host.journal import SEGMENT_BYTES, Journal, JournalError
from engine.host.machines import Machine
from engine.host.messages import Beat, Copy, Envelope, Kept, Lead, Message, Reach, Seed, Tick, Wanted
from engine.host.packing import unpacked
from engine.host.snapshots import Snapshot, SnapshotError, Snapshots, Sprout

SUPERVISOR = "supervisor"
COPIES_AT_ONCE = 16  # records a follower is sent in one answer
SEED_BYTES = 4 * 1024 * 1024
ALMOST = 4  # records a learner may lack when it is made a follower


class Promise(Enum):
    """What an answer promises."""

    DURABLE = "durable"  # it outlives a loss of power
    INTERVAL = "interval"  # what is older than the interval does
    MEMORY = "memory"  # it outlives nothing


Build = Callable[[bool], Machine]  # whether it begins with nothing, so that its customers are needed


class Role(Enum):
    WAITS = 0  # for the supervisor to say which
    LEADS = 1
    FOLLOWS = 2
    BROKEN = 3  # its disk takes nothing: nothing is promised any more


@dataclass(frozen=True)
class Care:
    """How a replica keeps what it is told."""

    promise: Promise = Promise.DURABLE
    interval_ms: int = 1_000  # between two syncs, with INTERVAL
    records_between_snapshots: int = 1_000
    beat_ms: int = 100
    again_ms: int = 500  # until what is not answered is asked again
    segment_bytes: int = SEGMENT_BYTES  # of a file of the journal; whole ones are forgotten
    seed_bytes: int = SEED_BYTES  # of a snapshot that a follower is sent at once


class Replica:
    """One process's part in a seat. `receive(message, now) -> envelopes`; now: ms of its own clock."""

    def __init__(
        self, host: str, seat: str, build: Build, disk: Disk, care: Care, writer: Executor | None = None
    ) -> None:
        """writer: of snapshots, beside the records; without, they are written between them."""
        self.host, self.seat, self.build, self.care = host, seat, build, care
        self.journal = Journal(disk, f"{seat}.journal", care.segment_bytes)
        self.snapshots = Snapshots(disk, f"{seat}.snapshot", writer)
        self.machine = build(not self.snapshots.numbers)
        self.role, self.epoch, self.leader, self.follower, self.learner = Role.WAITS, 0, "", "", ""
        self.waiting: dict[int, list[Envelope]] = {}  # what goes out once the follower has kept the record
        self.error = ""
        self._numbers = [0]  # of the snapshot that was taken up: what its pieces have seen
        self._in_step, self._caught_up, self._led_from = False, False, 0
        self._has: dict[str, int] = {}  # by host that follows or learns: its latest record
        self.loaded = 0.0  # when the snapshot was taken up, in seconds of wall clock
        self._synced_ms, self._beat_ms, self._again_ms = 0, 0, 0
        self._sprout, self._seeds_until = Sprout(), 0  # a snapshot that comes; until when ours is being sent
        self.returning = False  # all wait for all: nothing is taken and nothing promised
        self._since, self._floor = 0, dict[int, int]()  # of the latest Lead
        self._on_disk = self._seen = Reach()  # what a loss of power would leave; what the whole snapshot has
        self._due, self._turn = 0, self.snapshots.turn  # record after which the next snapshot is begun; the latest one

    # --- recovery -----------------------------------------------------------------------------------------------------
    def recover(self) -> int:
        """Take up what the disk has; returns how many records were applied. Raises JournalError, SnapshotError."""
        return self._recovered(None)

    def _recovered(self, bound: Mapping[int, int] | None) -> int:
        """bound: by shard, a contribution; the first record that settles a later one, and all behind it, go."""
        snapshot, replayed = self.snapshots.read(), 0
        if snapshot is not None:
            self._restore(snapshot)
        self.loaded = time.time()
        end: int | None = None
        for record in self.journal.records():
            if bound is not None and end is None and is_beyond(self.machine.settles(record.payload), bound):
                end = record.number - 1
            if end is None and record.number > self._numbers[0]:
                self._replay(record.number, record.payload)
                replayed += 1
        if end is not None:
            self._cut_back(end)
        if self.journal.number < self._numbers[-1]:
            if self.journal.number or self._numbers[0] != self._numbers[-1]:
                raise JournalError(
                    f"{self.journal.name} ends at record {self.journal.number}, and {self.snapshots.name} has "
                    f"record {self._numbers[-1]}"
                )
            self.journal.begin_at(self._numbers[-1])  # power was lost between the snapshot and the journal's beginning
        self.epoch = max(self.epoch, self.journal.epoch)
        self._due, self._on_disk = self.journal.number + self.care.records_between_snapshots, self.machine.reach()
        return replayed

    def _cut_back(self, end: int) -> None:
        if end < self._numbers[-1]:
            raise JournalError(
                f"{self.journal.name} cannot return to record {end}: {self.snapshots.name} has record "
                f"{self._numbers[-1]}"
            )
        self.journal.cut_back(end)

    def _go_back(self, bound: Mapping[int, int]) -> None:
        """Be where a contribution after the bound is not settled yet: a new machine takes up what may stay."""
        in_memory = self.care.promise == Promise.MEMORY  # then who came back came back with nothing: all begin anew
        if not (self.journal.number if in_memory else is_beyond(self.machine.reach().settled, bound)):
            return
        self.snapshots.drop()
        if in_memory:
            self.snapshots.clear()
            self.journal.clear()
        self.journal = Journal(self.journal.disk, self.journal.name, self.care.segment_bytes)
        self.machine, self._numbers, self._turn = self.build(not self.snapshots.numbers), [0], self.snapshots.turn
        self._recovered(bound)
        if is_beyond(self.machine.reach().settled, bound):
            raise JournalError(f"{self.journal.name} cannot return: {self.snapshots.name} is of later settlements")

    def _restore(self, snapshot: Snapshot) -> None:
        self.machine.restore(snapshot.pieces)
        self._numbers = snapshot.numbers
        if self._numbers[0] == self._numbers[-1]:
            self.machine.caught_up()

    def _replay(self, number: int, payload: bytes) -> None:
        """Apply a record, to those pieces of the snapshot that have not seen it."""
        if number > self._numbers[-1]:
            self.machine.apply(payload)
            return
        self.machine.catch_up(payload, [seen < number for seen in self._numbers])
        if number == self._numbers[-1]:
            self.machine.caught_up()

    # --- messages -----------------------------------------------------------------------------------------------------
    def receive(self, message: Message, now: int) -> list[Envelope]:
        """What goes out. Nothing is kept or promised any more once the disk has failed: `error` says why."""
        if self.role == Role.BROKEN:
            return []
        try:
            out = self._received(message, now)
            if self.care.promise == Promise.INTERVAL and now >= self._synced_ms + self.care.interval_ms:
                self._sync()
                self._synced_ms = now
            return out
        except (JournalError, SnapshotError, OSError) as error:
            self.role, self.error = Role.BROKEN, str(error)
            return [Envelope(SUPERVISOR, Beat(self.host, self.seat, self.epoch, 0, False, error=self.error))]

    def _received(self, message: Message, now: int) -> list[Envelope]:
        if isinstance(message, Lead):
            return self._lead(message)
        if isinstance(message, Tick):
            return self._tick(now)
        if isinstance(message, Copy):
            return self._copy(message)
        if isinstance(message, Seed):
            return self._take_seed(message)
        if self.role != Role.LEADS or getattr(message, "epoch", self._since) < self._since:
            return []
        if isinstance(message, Kept):
            return self._kept(message)
        if isinstance(message, Wanted):
            return self._copies(message, now)
        if self.returning:
            return []
        admission = self.machine.admit(message, now)
        out = list(admission.out) if not self._withholds() else self._withhold(admission.out)
        for payload in admission.payloads:
            out += self._keep(payload, now)
        return out

    def _keep(self, payload: bytes, now: int) -> list[Envelope]:
        number = self.journal.append(self.epoch, payload)
        if self.care.promise == Promise.DURABLE:
            self.journal.sync()
        out = self.machine.apply(payload)
        copies = self._copies_to(number, payload)
        if not self.follower:
            return out + copies
        self.waiting[number] = out
        return copies

    def _copies_to(self, number: int, payload: bytes) -> list[Envelope]:
        copy = Copy(self.epoch, self.seat, number, payload)
        return [Envelope(host, copy) for host in self._others]

    @property
    def _others(self) -> list[str]:
        return [host for host in (self.follower, self.learner) if host]

    def _withholds(self) -> bool:
        """Whether something was applied that the follower may not have."""
        return bool(self.waiting)

    def _withhold(self, out: Sequence[Envelope]) -> list[Envelope]:
        """An answer given again tells of what was applied: it waits for the follower as the first one does."""
        self.waiting[max(self.waiting)] += out
        return []

    # --- one leads ----------------------------------------------------------------------------------------------------
    def _lead(self, lead: Lead) -> list[Envelope]:
        if lead.epoch >= self.epoch:
            self._floor = dict(lead.floor) or self._floor
        if lead.epoch < self.epoch or (lead.epoch == self.epoch and self.role != Role.WAITS):
            return []
        self.epoch, self.leader, self._since = lead.epoch, lead.leader(self.seat), lead.since
        self.returning = lead.returning is not None
        if self.leader != self.host:
            follows = self.host in (lead.follower(self.seat), lead.learner(self.seat))
            self.role = Role.FOLLOWS if follows else Role.WAITS
            self.waiting, self._sprout = {}, Sprout()
            return []
        self.role, self.follower, self.learner = Role.LEADS, lead.follower(self.seat), lead.learner(self.seat)
        if lead.returning is not None and lead.returning.bound:
            self._go_back(dict(lead.returning.bound))
        self.machine.lead(lead.epoch)
        waiting, self.waiting = self.waiting, {}
        self._in_step, self._caught_up, self._led_from, self._has = False, False, self.journal.number, {}
        if self.returning:  # what waited is asked for again
            return [Envelope(SUPERVISOR, self._alive())]
        out = [envelope for number in sorted(waiting) for envelope in waiting[number]]
        out += self.machine.unanswered()
        if not self.follower:
            return out
        self.waiting[self.journal.number] = out
        return []  # until the follower has all that was promised before

    def _kept(self, message: Kept) -> list[Envelope]:
        if message.epoch != self.epoch or message.host not in self._others:
            return []
        self._has[message.host] = max(self._has.get(message.host, 0), message.number)
        if message.host == self.learner:
            self._caught_up = message.number >= self.journal.number - ALMOST
            return []
        self._in_step = self._in_step or message.number >= self._led_from
        out: list[Envelope] = []
        for number in sorted(self.waiting):
            if number <= message.number:
                out += self.waiting.pop(number)
        return out

    def _copies(self, wanted: Wanted, now: int) -> list[Envelope]:
        if wanted.epoch != self.epoch or wanted.host not in self._others:
            return []
        out = self._kept(Kept(wanted.epoch, wanted.seat, wanted.number - 1, wanted.host))
        again = self._sent_again(wanted.number, wanted.host) if not wanted.piece else []
        if not again and wanted.number <= self.journal.number:
            again = self._seed(wanted, now)
        return out + again

    def _sent_again(self, number: int, host: str) -> list[Envelope]:
        records = self.journal.read_from(number, COPIES_AT_ONCE)
        return [Envelope(host, Copy(self.epoch, self.seat, one.number, one.payload)) for one in records]

    def _seed(self, wanted: Wanted, now: int) -> list[Envelope]:
        """The journal does not reach back that far: the snapshot does, and stays as it is while it is asked for."""
        turn, numbers = self.snapshots.turn, tuple(self.snapshots.numbers)
        if not numbers:
            return []
        self._seeds_until = now + 2 * self.care.again_ms
        first = wanted.piece if wanted.turn == turn else 0
        records: tuple[bytes, ...] = ()
        pieces = tuple(self.snapshots.packed_from(first, self.care.seed_bytes))
        if first + len(pieces) == len(numbers):
            seen = numbers[0]
            records = tuple(one.payload for one in self.journal.read_from(seen + 1, numbers[-1] - seen))
        return [Envelope(wanted.host, Seed(self.epoch, self.seat, numbers, pieces, records, turn, first))]

    # --- one follows --------------------------------------------------------------------------------------------------
    def _copy(self, copy: Copy) -> list[Envelope]:
        if copy.epoch != self.epoch or self.role != Role.FOLLOWS:
            return []
        if copy.number > self.journal.number + 1:
            return [self._wanted()]
        if copy.number == self.journal.number + 1:
            self.journal.append(self.epoch, copy.payload)
            if self.care.promise == Promise.DURABLE:
                self.journal.sync()
            self._replay(copy.number, copy.payload)
        return [Envelope(self.leader, Kept(self.epoch, self.seat, self.journal.number, self.host))]

    def _wanted(self) -> Envelope:
        """What comes next."""
        turn, piece = self._sprout.turn, len(self._sprout.pieces)
        return Envelope(self.leader, Wanted(self.epoch, self.seat, self.journal.number + 1, self.host, turn, piece))

    def _take_seed(self, seed: Seed) -> list[Envelope]:
        if seed.epoch != self.epoch or self.role != Role.FOLLOWS:
            return []
        if self.journal.number:
            if seed.numbers[0] > self.journal.number:  # another follower must begin afresh
                raise JournalError(
                    f"{self.journal.name} ends at record {self.journal.number}, and {self.leader} has no more of what "
                    f"follows than a snapshot of record {seed.numbers[0]}"
                )
            return []
        if not self._sprout.take(seed.turn, seed.first, seed.pieces):
            return []
        if len(self._sprout.pieces) < len(seed.numbers):
            return [self._wanted()]
        pieces, self._sprout = [unpacked(piece) for piece in self._sprout.pieces], Sprout()
        self.snapshots.adopt(list(seed.numbers), pieces)
        self.journal.begin_at(seed.numbers[0])
        self._restore(Snapshot(pieces, list(seed.numbers)))
        for payload in seed.records:
            self._replay(self.journal.append(self.epoch, payload), payload)
        self._sync()
        self._due = self.journal.number + self.care.records_between_snapshots
        return [self._wanted()]

    # --- time ---------------------------------------------------------------------------------------------------------
    def _tick(self, now: int) -> list[Envelope]:
        out: list[Envelope] = []
        if now >= self._beat_ms + self.care.beat_ms:
            self._beat_ms = now
            out.append(Envelope(SUPERVISOR, self._alive()))
        if now >= self._again_ms + self.care.again_ms:
            self._again_ms = now
            out += self._again()
        if now >= self._seeds_until:
            self._snapshot()
        return out

    def _alive(self) -> Beat:
        leads, number, reach = self.role == Role.LEADS, self.journal.number, self.machine.reach()
        return Beat(
            self.host, self.seat, self.epoch, number, leads, self._in_step, self._caught_up, "", reach, self._on_disk
        )

    def _sync(self) -> None:
        self.journal.sync()
        self._on_disk = self.machine.reach()

    def _again(self) -> list[Envelope]:
        """What may have been lost on the way."""
        if self.role == Role.FOLLOWS:
            return [self._wanted()]
        if self.role != Role.LEADS or self.returning:
            return []
        if not self.waiting:
            return self.machine.unanswered()
        return self._sent_again(min(self.waiting), self.follower)

    def _snapshot(self) -> None:
        """A piece at a time; what the snapshot has, the journal need not keep, but for a follower that has begun."""
        number = self.journal.number
        if self.role == Role.WAITS or not self.snapshots.is_written():
            return
        if self.snapshots.turn > self._turn:
            self._turn, self._due = self.snapshots.turn, number + self.care.records_between_snapshots
            self.journal.keep_from(min(self.snapshots.numbers[0], self._is_needed_from(number)) + 1)
        if self.snapshots.is_whole:
            if not is_beyond(self._seen.settled, self._floor):
                self._sync()
                self.snapshots.hold()
        elif number >= self._due or self.snapshots.fresh:
            waits = self.care.promise == Promise.INTERVAL  # a return may still be to before it
            if not waits:
                self.journal.sync()
            self.snapshots.take(number, self.machine.pieces(), self.machine.piece, holds=not waits)
            self._seen = self.machine.reach()

    def _is_needed_from(self, number: int) -> int:
        """The latest record that all who follow or learn have; `number` where nobody has begun."""
        if self.role != Role.LEADS:
            return number
        begun = [self._has[host] for host in self._others if host in self._has]
        return min([number, *begun, *([0] if self.follower and self.follower not in self._has else [])])


def is_beyond(settled: Iterable[tuple[int, int]], bound: Mapping[int, int]) -> bool:
    """Whether a contribution after the bound of its shard is among those that are settled."""
    return any(number > bound.get(shard, 0) for shard, number in settled)
