"""Who looks on at a disaster: counts what must happen sometimes, and holds hosts to what they promised after each step.

It sees hosts from outside, as an operator with a debugger would; none of them knows of it.
"""

from collections import Counter

from engine.host.ledger_machine import LedgerMachine
from engine.host.machines import Machine
from engine.host.messages import (
    Answered,
    Batch,
    Beat,
    Contribution,
    Copy,
    Envelope,
    Kept,
    Lead,
    Message,
    Refusal,
    Refused,
    Replace,
    Seed,
    Tick,
    Wanted,
)
from engine.host.replica import Care, Promise, Replica, Role
from engine.host.shard_machine import ShardMachine
from engine.host.supervisor import Supervisor
from loadtests.return_watch import ReturnWatch
from loadtests.traffic import CLIENT
from sim.disasters.disk import SeededDisk
from sim.disasters.stage import SUPERVISOR, Disaster, Place, Stage, State, Witness

OF_AN_EPOCH = (Lead, Copy, Kept, Wanted, Seed)


class Onlooker(Witness):
    """Of one disaster. `answered` is what the client has been answered, by shard: the number of its latest batch.
    care: how the hosts keep what they are told."""

    def __init__(self, answered: dict[int, int], happened: Counter[str], care: Care) -> None:
        self.answered, self.happened, self.care = answered, happened, care
        self.returns = ReturnWatch(care, happened)
        self.stage: Stage | None = None
        self.epoch = 0  # the highest that anybody heard of
        self.leaders: dict[tuple[str, int], str] = {}  # by seat and epoch
        self.promised: dict[SeededDisk, int] = {}  # record that a process has gone on from
        self.roles: dict[str, Role] = {}
        self.asked: set[tuple[int, int]] = set()  # shard and number of contributions
        self.moving: dict[str, str] = {}  # by seat: the node it is to be led from

    # --- what the stage tells -----------------------------------------------------------------------------------------
    def booted(self, name: str, place: Place) -> None:
        if isinstance(place.node, Supervisor):
            self._hear_epoch(place.node)
        if not isinstance(place.node, Replica):
            return
        replica = place.node
        self.returns.booted(place, replica, self._now)
        if self.care.promise == Promise.DURABLE and replica.journal.number < self.promised.get(place.disk, 0):
            raise Disaster(
                f"{name} recovers {replica.journal.number} records; before, it had gone on from record "
                f"{self.promised[place.disk]}"
            )
        numbers = replica.snapshots.numbers
        self._count("restart from a disk", replica.journal.number > 0)
        self._count("recovery from a snapshot", bool(numbers))
        self._count("recovery from pieces of different records", bool(numbers) and numbers[0] != numbers[-1])

    def delivered(self, name: str, place: Place, message: Message, out: list[Envelope]) -> None:
        node = place.node
        if isinstance(node, Replica):
            self.returns.worked(name, place, node, out, self._now)
        if isinstance(message, Tick) and not out:
            return  # nothing is said or begun
        if isinstance(node, Replica):
            self._hold(name, place, node, out)
            self._notice(name, node, message, out)
        elif isinstance(node, Supervisor):
            self._hear_epoch(node)
            self._hold_standbys(node)
            self.returns.supervised(node, self._leaders(node))
            self._notice_supervisor(node, message, out)
        elif isinstance(message, Answered):
            self._note_answer(message)
            self._count("batch answered twice", message.number < self.answered[message.shard])

    def crashed(self, name: str, place: Place) -> None:
        node = place.node
        if isinstance(node, Supervisor):
            self._count("crash of the supervisor in a move", bool(node.moves))
            self._count("crash of the supervisor in a return", node.returning.is_on)
        if not isinstance(node, Replica):
            return
        self.returns.crashed(place)
        self._count("crash in a move", node.seat in self.moving)
        self._count("crash in the middle of a snapshot", bool(node.snapshots.fresh))
        self._count("crash between a write and its sync", node.journal.durable < node.journal.number)
        self._count("crash of a leader with a follower", node.role == Role.LEADS and bool(node.follower))
        self._count("crash of a follower", node.role == Role.FOLLOWS)
        others = (one for other, one in self._places().items() if other.split(".")[0] == node.seat and one is not place)
        self._count("leader and follower without power", any(one.state == State.DOWN for one in others))

    def thawed(self, name: str, place: Place) -> None:
        node = place.node
        is_old = isinstance(node, Replica) and node.role == Role.LEADS and node.epoch < self.epoch
        self._count("old leader thawed that believed it led", is_old and not self._is_seated(name))

    # --- what must hold -----------------------------------------------------------------------------------------------
    def _hold(self, name: str, place: Place, replica: Replica, out: list[Envelope]) -> None:
        if replica.role == Role.BROKEN:
            return
        if replica.role == Role.LEADS:
            self._hold_leader(name, replica)
        is_durable = self.care.promise == Promise.DURABLE
        if out and is_durable and not place.disk.keeps(f"{replica.seat}.journal-"):
            what = type(out[0].message).__name__
            raise Disaster(f"{name} sends {what} while a loss of power would take records from its journal")
        self.promised[place.disk] = replica.journal.number

    def _hold_leader(self, name: str, replica: Replica) -> None:
        first = self.leaders.setdefault((replica.seat, replica.epoch), name)
        if first != name:
            raise Disaster(f"{first} and {name} both lead in epoch {replica.epoch}")
        if replica.epoch != self.epoch:
            return
        self._hold_to_answers(f"{name}, which leads,", replica.machine)
        follower = self._places().get(replica.follower)
        if replica._in_step and follower is not None and isinstance(follower.node, Replica):
            gone_on_from = min(replica.waiting, default=replica.journal.number + 1) - 1
            if follower.node.journal.number < gone_on_from:
                raise Disaster(
                    f"{name} has let out what follows from record {gone_on_from}, and {replica.follower}, which "
                    f"follows it, has {follower.node.journal.number} records"
                )

    def _hold_standbys(self, supervisor: Supervisor) -> None:
        """Of whoever would be promoted now."""
        for seat, is_in_step in supervisor.in_step.items():
            place = self._places().get(supervisor.seats[seat].follower)
            if is_in_step and place is not None and isinstance(place.node, Replica):
                self._hold_to_answers(f"{place.node.host}, which would be promoted,", place.node.machine)

    def _hold_to_answers(self, who: str, machine: Machine) -> None:
        """What the client was answered is where it will be found."""
        if self.care.promise != Promise.DURABLE:
            return
        if isinstance(machine, ShardMachine):
            known = {machine.number: machine.taken.get(CLIENT, 0)}
        else:
            assert isinstance(machine, LedgerMachine)
            if machine.ledger.live:
                return  # it hears only of batches that ask for something
            known = {shard: post.taken for shard, post in enumerate(machine.ledger.posts)}
        for shard, latest in known.items():
            if latest < self.answered[shard]:
                raise Disaster(
                    f"{who} knows {latest} batches of shard {shard}, and the client was answered {self.answered[shard]}"
                )

    def _hear_epoch(self, supervisor: Supervisor) -> None:
        if supervisor.epoch < self.epoch:
            raise Disaster(f"the supervisor is back in epoch {supervisor.epoch}, and {self.epoch} had begun")
        self.epoch = supervisor.epoch

    # --- what happens sometimes ---------------------------------------------------------------------------------------
    def _notice(self, name: str, replica: Replica, message: Message, out: list[Envelope]) -> None:
        before, self.roles[name] = self.roles.get(name), replica.role
        self._count("promotion of a follower", before == Role.FOLLOWS and replica.role == Role.LEADS)
        self._count("host gives up its disk", before != Role.BROKEN and replica.role == Role.BROKEN)
        if isinstance(message, OF_AN_EPOCH) and message.epoch < replica.epoch:
            self._count(f"{type(message).__name__} of an older epoch refused")
        is_heard = isinstance(message, Seed) and bool(out)
        is_taken = is_heard and replica.journal.number > 0
        self._count("part of a snapshot taken from the leader", is_heard and not is_taken)
        self._count("snapshot taken from the leader", is_taken)
        self._count("follower too far behind for its leader", bool(replica.error) and isinstance(message, Seed))
        self._count("snapshot of different records taken from the leader", is_taken and len(set(message.numbers)) > 1)  # type: ignore[union-attr]
        for envelope in out:
            self._notice_said(replica, message, envelope.message)
        if isinstance(replica.machine, ShardMachine):
            self._count("batch waits for a settlement", isinstance(message, Batch) and replica.machine.held is message)

    def _notice_said(self, replica: Replica, message: Message, said: Message) -> None:
        is_late = replica.role == Role.LEADS and replica.epoch < self.epoch and not self._is_seated(replica.host)
        self._count("replaced leader speaks", is_late and not isinstance(said, Beat))
        self._count("follower asks for what it lacks", isinstance(said, Wanted) and isinstance(message, Copy))
        self._count("batch answered again", isinstance(said, Answered) and isinstance(message, Batch))
        self._count("snapshot sent to a follower", isinstance(said, Seed))
        if isinstance(said, Contribution):
            self._count("contribution asked again", (said.shard, said.number) in self.asked)
            self.asked.add((said.shard, said.number))
        if isinstance(said, Refused):
            self._count("Contribution of an older epoch refused", said.reason == Refusal.LOWER_EPOCH)

    def _notice_supervisor(self, supervisor: Supervisor, message: Message, out: list[Envelope]) -> None:
        for seat, node in self.moving.items():
            is_there = supervisor.placed[supervisor.seats[seat].leader] == node
            self._count("seat led from another node", seat not in supervisor.moves and is_there)
            self._count("move given up", seat not in supervisor.moves and not is_there)
        self.moving = dict(supervisor.moves)
        for said in (envelope.message for envelope in out):
            if isinstance(said, Replace):
                is_forgotten = isinstance(message, Beat) and not message.error and not said.started
                self._count("replaced host told to end", is_forgotten)
                self._count("start that came to nothing", len(said.ended) > 1 and said.started not in self._places())

    def _count(self, what: str, it_is_so: bool = True) -> None:
        if it_is_so:
            self.happened[what] += 1

    def _is_seated(self, name: str) -> bool:
        supervisor = self._places()[SUPERVISOR].node
        return not isinstance(supervisor, Supervisor) or any(
            name == seating.leader for seating in supervisor.seats.values()
        )

    def _leaders(self, supervisor: Supervisor) -> dict[str, Replica]:
        """By seat, those that are seated and have power."""
        nodes = {seat: self._places().get(seating.leader) for seat, seating in supervisor.seats.items()}
        return {
            seat: place.node for seat, place in nodes.items() if place is not None and isinstance(place.node, Replica)
        }

    def _note_answer(self, answer: Answered) -> None:
        """Of a shard that knows it."""
        supervisor = self._places()[SUPERVISOR].node
        if isinstance(supervisor, Supervisor):
            leader = self._leaders(supervisor).get(f"shard-{answer.shard}")
            machine = leader.machine if leader is not None else None
            if isinstance(machine, ShardMachine) and answer.number <= machine.taken.get(CLIENT, 0):
                self.returns.acknowledged[answer.shard, answer.number] = self._now

    @property
    def _now(self) -> int:
        return self.stage.now if self.stage is not None else 0

    def _places(self) -> dict[str, Place]:
        assert self.stage is not None
        return self.stage.places


POWER = [
    *(f"power lost {when} {call}" for call in ("append", "sync") for when in ("before", "in", "after")),
    *(f"power lost {when} {call}" for call in ("read", "rename", "remove") for when in ("before", "after")),
]

# One that is never reached is a hole in the weather: whatever would go wrong there would not be seen.
SOMETIMES: dict[str, tuple[str, ...]] = {
    "the network": (
        "message lost", "order to the carrier lost", "message doubled", "message late",
        "message at a cut", "host cut off",
    ),
    "disks": (
        "write failed", "sync failed", "read failed", "rename failed", "remove failed", "disk full",
        "disk full for a while", "disk slow for a while", "wait for a slow disk", "unsynced data lost",
        "data lost whose sync had failed", "file lost", "removed file came back", "torn tail cut off",
        "recovery failed", "host gives up its disk",
    ),
    "loss of power": (
        "crash", *POWER, "crash in a recovery", "crash of the supervisor", "crash in the middle of a snapshot",
        "crash between a write and its sync", "crash of a leader with a follower", "crash of a follower",
        "leader and follower without power",
    ),
    "coming back": (
        "restart", "restart from a disk", "recovery from a snapshot", "recovery from pieces of different records",
        "fresh follower", "snapshot sent to a follower", "snapshot taken from the leader",
        "part of a snapshot taken from the leader",
        "snapshot of different records taken from the leader", "follower asks for what it lacks",
        "promotion of a follower", "follower compared with its leader", "start that came to nothing",
    ),
    "moving": (
        "seat led from another node", "move given up", "crash in a move", "crash of the supervisor in a move",
    ),
    "returning": (
        "return", "return in which nobody goes back", "Ledger goes back", "shard goes back",
        "return to the beginning", "crash of the supervisor in a return",
        "host lost in a return", "snapshot held back", "acknowledged batch forgotten",
        "answered batch forgotten and sent again", "host back without a loss",
    ),
    "who was thought dead": (
        "freeze", "thaw", "old leader thawed that believed it led", "replaced leader speaks",
        "replaced host told to end",
        *(f"{one} of an older epoch refused" for one in ("Lead", "Copy", "Kept", "Wanted", "Contribution")),
    ),
    "doing it again": (
        "batch answered again", "batch answered twice", "batch waits for a settlement", "contribution asked again",
    ),
}  # fmt: skip
RARELY = (  # less than once in 500 disasters, but in 10 000
    "rename undone", "heard settlement given up", "Seed of an older epoch refused",
    "follower too far behind for its leader",
)  # fmt: skip


def never(happened: Counter[str]) -> list[str]:
    """What ought to have happened and has not."""
    return [what for names in SOMETIMES.values() for what in names if not happened[what]]


def all_that_happened(happened: Counter[str]) -> list[tuple[str, list[tuple[str, int]]]]:
    """By subject: what, and how often."""
    return [(subject, [(what, happened[what]) for what in names]) for subject, names in SOMETIMES.items()]
