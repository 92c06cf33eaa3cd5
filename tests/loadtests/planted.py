"""Hosts with one fault each, of the kind that a reviewer misses and a simulator must not."""

from collections.abc import Mapping

from engine.host.disk import Disk
from engine.host.journal import Journal
from engine.host.ledger_machine import LedgerMachine
from engine.host.machines import Admission, Machine
from engine.host.messages import Batch, Contribution, Copy, Envelope, Kept, Lead, Message, Seed, Wanted
from engine.host.replica import Care, Replica
from engine.host.shard_machine import ShardMachine


class Unsynced(Journal):
    def sync(self) -> None:
        self.durable = self.number


class SkipsTheFsync(Replica):
    """Its journal says that it has synced."""

    def __init__(self, host: str, seat: str, machine: Machine, disk: Disk, care: Care) -> None:
        super().__init__(host, seat, machine, disk, care)
        self.journal = Unsynced(disk, f"{seat}.journal", care.segment_bytes)


class Newborn(ShardMachine):
    """What it has taken before is new to it."""

    taken: dict[str, int]

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

    def __init__(self, host: str, seat: str, machine: Machine, disk: Disk, care: Care) -> None:
        super().__init__(host, seat, machine, disk, care)
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


class TakesAnyEpoch(Replica):
    """Whatever another one sends is of the present epoch."""

    def _received(self, message: Message, now: int) -> list[Envelope]:
        if isinstance(message, Copy | Kept | Wanted | Seed):
            vars(message)["epoch"] = self.epoch
        return super()._received(message, now)


class FollowsOldLeads(Replica):
    """An old word of who leads is as good as a new one."""

    def _lead(self, lead: Lead) -> list[Envelope]:
        if lead.epoch < self.epoch:
            self.epoch = lead.epoch
        return super()._lead(lead)


class Undiscerning(LedgerMachine):
    def _admit_contribution(self, message: Contribution) -> Admission:
        vars(message)["epoch"] = self.ledger.epoch
        return super()._admit_contribution(message)


class SettlesForOldLeaders(Replica):
    """The Ledger takes the contribution of a process that was replaced."""

    def recover(self) -> int:
        if isinstance(self.machine, LedgerMachine):
            self.machine.__class__ = Undiscerning
        return super().recover()


FAULTS: Mapping[str, type[Replica]] = {
    "skips the fsync": SkipsTheFsync,
    "forgets the dedupe table": ForgetsWhatItHasTaken,
    "answers before the journal": AnswersBeforeTheJournal,
    "acks without the standby": DoesNotWaitForItsStandby,
    "takes copies of a lower epoch": TakesAnyEpoch,
    "takes leads of a lower epoch": FollowsOldLeads,
    "takes contributions of a lower epoch": SettlesForOldLeaders,
}
