"""Hosts with one fault each, of the kind that a reviewer misses and a simulator must not.

Two faults that take what is of a lower epoch are not among them. A Ledger's contribution of a number is, in a stepped
run, the same whoever brings it, and brought by nobody who could lose it; the refusal guards live runs. And whoever
follows has begun under its leader and ends with it, so that copies of an older epoch say what those of this one do.
"""

from collections.abc import Mapping

import numpy as np

from engine.host.disk import Disk
from engine.host.journal import SEGMENT_HEAD, Journal
from engine.host.machines import Admission
from engine.host.messages import Batch, Copy, Envelope, Lead, Message
from engine.host.packing import Value
from engine.host.replica import Build, Care, Replica, Role
from engine.host.shard_machine import ShardMachine
from sim.disasters.disk import SeededDisk


class Unsynced(Journal):
    def sync(self) -> None:
        self.durable = self.number


class SkipsTheFsync(Replica):
    """Its journal says that it has synced."""

    def __init__(self, host: str, seat: str, build: Build, disk: Disk, care: Care) -> None:
        super().__init__(host, seat, build, disk, care)
        self.journal = Unsynced(disk, f"{seat}.journal", care.segment_bytes)


class Newborn(ShardMachine):
    """What it has taken before is new to it."""

    def _admit_batch(self, batch: Batch) -> Admission:
        self.taken.setdefault(batch.client, batch.number - 1)
        return super()._admit_batch(batch)


class ForgetsWhatItHasTaken(Replica):
    """After a recovery its table of batches is empty: one that comes again is decided again."""

    def recover(self) -> int:
        replayed = super().recover()
        if isinstance(self.machine, ShardMachine):
            self.machine.__class__ = Newborn
            self.machine.taken = {}
        return replayed


class AnswersBeforeTheJournal(Replica):
    """A record is written when the next message comes."""

    def __init__(self, host: str, seat: str, build: Build, disk: Disk, care: Care) -> None:
        super().__init__(host, seat, build, disk, care)
        self.later: list[bytes] = []

    def _received(self, message: Message, now: int) -> list[Envelope]:
        later, self.later = self.later, []
        for payload in later:
            self.journal.append(self.epoch, payload)
            self.journal.sync()
        return super()._received(message, now)

    def _keep(self, payload: bytes, now: int) -> list[Envelope]:
        self.later.append(payload)
        out = self.machine.apply(payload)
        if not self.follower:
            return out
        number = self.journal.number + len(self.later)
        self.waiting[number] = out
        return [Envelope(self.follower, Copy(self.epoch, self.seat, number, payload))]


class DoesNotWaitForItsStandby(Replica):
    """It sends copies, and answers at once."""

    def _keep(self, payload: bytes, now: int) -> list[Envelope]:
        copies = super()._keep(payload, now)
        return copies + (self.waiting.pop(self.journal.number, []) if self.follower else [])


class FollowsOldLeads(Replica):
    """An old word of who leads is as good as a new one."""

    def _lead(self, lead: Lead) -> list[Envelope]:
        if lead.epoch < self.epoch:
            self.epoch = lead.epoch
        return super()._lead(lead)


class LosesARecord(Replica):
    """After a crash it takes its last record for torn."""

    def recover(self) -> int:
        disk, last = self.journal.disk, self.journal.file(self.journal._last)
        assert isinstance(disk, SeededDisk)
        if self.journal._last and len(disk.files[last].data) > SEGMENT_HEAD.size:
            del disk.files[last].data[-1]
            disk.files[last].durable = min(disk.files[last].durable, len(disk.files[last].data))
        return super().recover()


class FollowsInPartOnly(Replica):
    """It keeps the second record of its leader, and does not apply it."""

    def _replay(self, number: int, payload: bytes) -> None:
        if self.role != Role.FOLLOWS or number != 2:
            super()._replay(number, payload)


class Careless(ShardMachine):
    def piece(self, at: int) -> Mapping[str, Value]:
        fields = dict(super().piece(at))
        if "partition.customers" in fields:
            customers = np.array(fields["partition.customers"])
            customers["decisions_hash"] = 0
            fields["partition.customers"] = customers
        return fields


class LeavesOutAPiece(Replica):
    """Its snapshots are without what was decided."""

    def recover(self) -> int:
        if isinstance(self.machine, ShardMachine):
            self.machine.__class__ = Careless
        return super().recover()


class NeverAsksAgain(Replica):
    """What is lost on the way is lost."""

    def _again(self) -> list[Envelope]:
        return []


FAULTS: Mapping[str, type[Replica]] = {
    "skips the fsync": SkipsTheFsync,
    "forgets the dedupe table": ForgetsWhatItHasTaken,
    "answers before the journal": AnswersBeforeTheJournal,
    "acks without the standby": DoesNotWaitForItsStandby,
    "takes leads of a lower epoch": FollowsOldLeads,
}

# What an invariant says, and a fault that it must see.
INVARIANTS: Mapping[str, type[Replica]] = {
    "sends [A-Z][a-z]+ while a loss of power would take records from its journal": SkipsTheFsync,
    "recovers [0-9]+ records; before, it had gone on from record": LosesARecord,
    "both lead in epoch": FollowsOldLeads,
    "which leads, knows [0-9]+ batches of shard [01], and the client was answered": AnswersBeforeTheJournal,
    "has let out what follows from record [0-9]+, and .*, which follows it, has": DoesNotWaitForItsStandby,
    "was answered otherwise than undisturbed": ForgetsWhatItHasTaken,
    "ends with another digest than .*, which it follows": FollowsInPartOnly,
    "recovers another digest from its disk than it had": LeavesOutAPiece,
    "not everything is answered 60,000 ms after the last disaster": NeverAsksAgain,
}
