"""What a replica runs: a deterministic state machine over numbered records, whatever keeps them.

A machine is told messages and says what to journal; once that is journaled it applies it, and says what may go out.
Everything that `apply` does follows from the records alone, so that a second machine ends where the first did.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from engine.host.messages import Envelope, Message, Order, Ordered, Reach
from engine.host.packing import Value

LEDGER = "ledger"  # its seat
OPERATOR = "operator"  # hears which orders were carried out
RUN = "run"  # an order to every seat: which policies decide from now on


def seats_of(shards: int) -> list[str]:
    """Names of all seats: the Ledger's, and one a shard."""
    return [LEDGER, *(f"shard-{shard}" for shard in range(shards))]


@dataclass
class Admission:
    """What becomes of a message: records to journal and apply, in order, and what can be said at once."""

    payloads: list[bytes] = field(default_factory=list)
    out: list[Envelope] = field(default_factory=list)


def admitted(order: Order, seat: str, latest: int, record: Callable[[Order], bytes]) -> Admission:
    """Orders are carried out once, by their numbers."""
    if order.number <= latest:
        return Admission(out=[Envelope(OPERATOR, Ordered(order.number, seat))])
    if order.number > latest + 1:
        return Admission()  # the one before it was lost, and is sent again
    return Admission([record(order)])


def exchanged(machines: "Mapping[str, Machine]", first: Sequence[Envelope]) -> list[Envelope]:
    """Let machines by seat tell each other until none has anything to say, beginning with these messages, without a
    journal or a network; returns what is for others."""
    waiting, out = list(first), list[Envelope]()
    while waiting:
        envelope = waiting.pop(0)
        if envelope.to not in machines:
            out.append(envelope)
            continue
        machine = machines[envelope.to]
        admission = machine.admit(envelope.message, 0)
        waiting += admission.out
        for payload in admission.payloads:
            waiting += machine.apply(payload)
    return out


class Machine(Protocol):
    """The state of one seat."""

    def admit(self, message: Message, now: int) -> Admission:
        """Judge a message; nothing that is to outlive a crash changes. now: ms."""

    def apply(self, payload: bytes) -> list[Envelope]:
        """Take a record. What is returned goes out once the record is kept."""

    def lead(self, epoch: int) -> None:
        """An epoch begins."""

    def unanswered(self) -> list[Envelope]:
        """What was asked and is not answered: asked again after a crash, and from time to time."""

    def digest(self) -> str:
        """128 bits in hexadecimal over the state."""

    @property
    def decided(self) -> int:
        """Events, or requests, that the state knows of."""

    # --- returns ------------------------------------------------------------------------------------------------------
    def reach(self) -> Reach:
        """How far it has come; what it has heard and not yet journaled counts."""

    def settles(self, payload: bytes) -> Sequence[tuple[int, int]]:
        """(shard, contribution) of all that a record settles, or takes up the settlement of."""

    # --- snapshots: pieces taken between records, one after the other -------------------------------------------------
    def pieces(self) -> int:
        """Of how many pieces a snapshot is made; the last one goes with the record after which it was taken."""

    def piece(self, at: int) -> Mapping[str, Value]:
        """A copy of one."""

    def restore(self, pieces: Sequence[Mapping[str, Any]]) -> None:
        """Take up the pieces of one snapshot."""

    def catch_up(self, payload: bytes, behind: Sequence[bool]) -> None:
        """Take a record that only some pieces have not seen yet; the last piece has."""

    def caught_up(self) -> None:
        """All pieces are where the last one was taken."""
