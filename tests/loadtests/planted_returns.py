"""Hosts with one fault each in how they return, or keep what they may have to return to."""

from collections.abc import Mapping

from engine.host.ledger_machine import LedgerMachine
from engine.host.messages import Envelope, Lead, Message
from engine.host.replica import Promise, Replica


class StaysWhereItIs(Replica):
    """Others may go back."""

    def _go_back(self, bound: Mapping[int, int]) -> None: ...


class LedgerGoesBackTooLittle(Replica):
    """It keeps one settlement that it should not."""

    def _go_back(self, bound: Mapping[int, int]) -> None:
        more = isinstance(self.machine, LedgerMachine)
        super()._go_back({shard: number + more for shard, number in bound.items()})


class KeepsItsJournal(Replica):
    """Its machine is where it should be; its journal goes on behind what should be forgotten."""

    def _cut_back(self, end: int) -> None: ...


class SnapshotHoldsTooEarly(Replica):
    """Whatever others have on their disks."""

    def _lead(self, lead: Lead) -> list[Envelope]:
        out = super()._lead(lead)
        self._floor = dict.fromkeys(range(len(lead.leaders)), 1 << 60)
        return out


class SnapshotOfWhatIsForgotten(Replica):
    """It goes on with the pieces that it had taken before it went back."""

    def _go_back(self, bound: Mapping[int, int]) -> None:
        fresh, whole = self.snapshots.fresh, self.snapshots.is_whole
        super()._go_back(bound)
        self.snapshots.fresh, self.snapshots.is_whole = fresh, whole


class GoesOnInAReturn(Replica):
    """It takes contributions and batches as if nothing were amiss."""

    def _received(self, message: Message, now: int) -> list[Envelope]:
        self.returning = False
        return super()._received(message, now)


class BelievesOldNews(Replica):
    """What was said before the return counts for it."""

    def _received(self, message: Message, now: int) -> list[Envelope]:
        self._since = 0
        return super()._received(message, now)


class SyncsWhenItLikes(Replica):
    """Every fourth interval."""

    def receive(self, message: Message, now: int) -> list[Envelope]:
        if self.care.promise == Promise.INTERVAL and now < self._begun_ms + 4 * self.care.interval_ms:
            self._synced_ms = now
        else:
            self._begun_ms = now
        return super().receive(message, now)

    _begun_ms = 0


class RemembersItsSnapshot(Replica):
    """Where all begin anew, it begins at its snapshot."""

    def _go_back(self, bound: Mapping[int, int]) -> None:
        self.snapshots.clear = self.snapshots.drop  # type: ignore[method-assign]
        super()._go_back(bound)


RETURN_FAULTS: Mapping[str, tuple[type[Replica], Promise]] = {
    "does not go back": (StaysWhereItIs, Promise.INTERVAL),
    "does not begin anew": (StaysWhereItIs, Promise.MEMORY),
    "goes back too little": (LedgerGoesBackTooLittle, Promise.INTERVAL),
    "goes back and keeps its journal": (KeepsItsJournal, Promise.INTERVAL),
    "goes back and goes on with a snapshot": (SnapshotOfWhatIsForgotten, Promise.INTERVAL),
    "has a snapshot hold too early": (SnapshotHoldsTooEarly, Promise.INTERVAL),
    "goes on in a return": (GoesOnInAReturn, Promise.INTERVAL),
    "believes what was said before a return": (BelievesOldNews, Promise.INTERVAL),
    "syncs when it likes": (SyncsWhenItLikes, Promise.INTERVAL),
    "begins anew at its snapshot": (RemembersItsSnapshot, Promise.MEMORY),
}
