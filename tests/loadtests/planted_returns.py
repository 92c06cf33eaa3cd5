"""Hosts with one fault each in how they return, or keep what they may have to return to.

One that believes what was said before a return is not among them: in a stepped run a settlement of a number is the same
whenever it is said. tests/engine/test_returning.py shows that it is not believed.
"""

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


class SyncsWhenItLikes(Replica):
    """Every fourth interval."""

    def receive(self, message: Message, now: int) -> list[Envelope]:
        if self.care.promise == Promise.INTERVAL and now < self._begun_ms + 4 * self.care.interval_ms:
            self._synced_ms = now
        else:
            self._begun_ms = now
        return super().receive(message, now)

    _begun_ms = 0


RETURN_FAULTS: Mapping[str, tuple[type[Replica], Promise]] = {
    "does not go back": (StaysWhereItIs, Promise.INTERVAL),
    "does not begin anew": (StaysWhereItIs, Promise.MEMORY),
    "goes back too little": (LedgerGoesBackTooLittle, Promise.INTERVAL),
    "goes back and keeps its journal": (KeepsItsJournal, Promise.INTERVAL),
    "has a snapshot hold too early": (SnapshotHoldsTooEarly, Promise.INTERVAL),
    "syncs when it likes": (SyncsWhenItLikes, Promise.INTERVAL),
}
