"""A company of hosts on Ray for a drill: the seats, their processes, a supervisor and a client, started and ended."""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engine.host.disk import FolderDisk
from engine.host.growth import Growth
from engine.host.ledger_machine import LedgerMachine
from engine.host.machines import LEDGER, Machine, exchanged, seats_of
from engine.host.messages import Answered, Envelope
from engine.host.partitions import bounds_of
from engine.host.ray_cluster import TwoNodes, cluster, living_nodes, two_nodes
from engine.host.ray_fleet import SPARES, RayFleet
from engine.host.replica import SUPERVISOR, Care, Promise
from engine.host.shard_machine import ShardMachine
from engine.host.supervisor import Patience, Seating, Supervisor
from engine.host.switch import Pace, Switch
from engine.host.warming import WARM_CUSTOMERS, warm_up
from engine.records import PARTITIONS
from loadtests.client import DrillClient
from loadtests.drill_disk import DrillDisk, PoweredDisk, lose_power
from loadtests.traffic import CLIENT, Traffic, ledger_of, profiles_of, shard_of
from loadtests.worker_process import WorkerProcess
from scenarios.worker import RunPlan, owned

FIRST = "node-1"
GO = "go"
STARTS_WITHIN_S = 600.0  # on a machine that has compiled nothing yet
STALLS_FOR_S = 180.0  # without an answer: nobody will come back any more


class DrillError(RuntimeError):
    """A drill could not be held; the message says what is missing."""


@dataclass(frozen=True)
class Build:
    """Makes the machine of a seat, in whatever process."""

    plan: RunPlan
    customers: int
    shards: int

    def __call__(self, seat: str, fresh: bool) -> Machine:
        plan, bounds = owned(self.plan), bounds_of(self.customers, self.shards)
        if seat == LEDGER:
            return LedgerMachine(ledger_of(plan, bounds))
        number = int(seat.removeprefix("shard-"))
        first, end = bounds[number]
        shard = shard_of(plan, first, end, profiles_of(plan, first, end) if fresh else None)
        return ShardMachine(number, shard, -(-self.customers // PARTITIONS))

    def warm(self) -> None:
        """Have everything loaded that a host calls."""
        few = Build(self.plan, WARM_CUSTOMERS, 1)
        warm_up({seat: few(seat, True) for seat in (LEDGER, "shard-0")}, self.plan.spans.start)


@dataclass
class Company:
    """What a drill has to work with."""

    switch: Switch
    client: DrillClient
    fleet: RayFleet
    seats: list[str]
    cluster: TwoNodes | None = None
    turns: list[Callable[[], None]] = field(default_factory=list)  # looked at after every turn

    def begin(self) -> None:
        """Let traffic flow."""
        self.client.begin()
        (self.switch.folder / GO).touch()

    def leader(self, seat: str) -> str:
        if seat == CLIENT:
            return CLIENT
        assert self.switch.supervisor is not None
        return self.switch.supervisor.seats[seat].leader

    def until(self, is_over: Callable[[], bool], within_s: float, what: str) -> None:
        """Let messages go until something is so; DrillError where it takes too long."""
        end = time.monotonic() + within_s
        while not is_over():
            self.switch.turn()
            for look in self.turns:
                look()
            if time.monotonic() > end:
                lost = [f"no disk of {' or '.join(of)} was found" for of in self.switch.diskless.values()]
                raise DrillError("; ".join([f"{what} took more than {within_s:.0f} s", *lost]))

    def digests(self) -> dict[str, str]:
        """Of the leaders of all seats."""
        return {seat: self.fleet.ask(self.leader(seat), "digest") for seat in self.seats}


@dataclass(frozen=True)
class Setting:
    """How a company is set up."""

    care: Care
    standby: bool = False
    address: str | None = None  # of a cluster; without, one of our own
    worker: bool = False  # the client is a process, too
    two_nodes: bool = False  # on this machine; the first leaders are on the second one, with nothing else
    pace: Pace | None = None  # of emulated nodes
    growth: Growth | None = None
    schedule: Sequence[float] | None = None  # when each batch is due, seconds since traffic began


@contextmanager
def company(traffic: Traffic, shards: int, folder: Path, setting: Setting) -> Iterator[Company]:
    """Hosts for all seats, recovered and led; ended afterwards."""
    # Ray prints on standard output that a process was killed, which is what a drill does.
    with redirect_stdout(io.StringIO()), two_nodes() if setting.two_nodes else cluster(setting.address) as apart:
        fleet = RayFleet(Build(traffic.plan, traffic.customers, shards).warm, SPARES)
        try:
            found = assembled(traffic, shards, folder, setting, fleet, apart)
            seating, placed = first_seating(found.seats, setting)
            for host, node in placed.items():
                found.switch.start(host, host.rpartition(".")[0], node)
            folder.mkdir(parents=True, exist_ok=True)
            boxes = found.switch.boxes.values()
            found.until(lambda: not any(box.busy for box in boxes), STARTS_WITHIN_S, "starting hosts")
            fleet.wait_for_spares()
            found.switch.supervisor = Supervisor(
                FolderDisk(folder / SUPERVISOR), seating, Patience(), setting.standby, found.switch.now, placed,
                setting.growth, promise=setting.care.promise,
            )  # fmt: skip
            yield found
        finally:
            fleet.close()


def first_seating(seats: list[str], setting: Setting) -> tuple[dict[str, Seating], dict[str, str]]:
    """Who sits where at first: by seat, and the node of each host."""
    names = list(nodes_by_name())
    apart, own = (names[1], names[0]) if setting.two_nodes else (names[0], names[1 % len(names)])
    seating = {seat: Seating(f"{seat}.1", f"{seat}.2" if setting.standby else "", started=2) for seat in seats}
    placed = {one.leader: apart for one in seating.values()}
    return seating, placed | {one.follower: own for one in seating.values() if one.follower}


def nodes_by_name() -> dict[str, str]:
    """Ids of the cluster's nodes."""
    return {f"node-{number}": node for number, node in enumerate(living_nodes(), 1)}


def assembled(
    traffic: Traffic, shards: int, folder: Path, setting: Setting, fleet: RayFleet, apart: TwoNodes | None
) -> Company:
    """Everybody but the hosts and the supervisor."""
    build, ids = fleet.share(Build(traffic.plan, traffic.customers, shards)), nodes_by_name()
    shared = fleet.share(traffic) if setting.worker else None
    loses_power = setting.care.promise == Promise.INTERVAL  # else nothing depends on it

    def start(host: str, seat: str, own: Path, node: str) -> None:
        if seat == CLIENT:
            fleet.start(host, WorkerProcess, shared, shards, str(folder / GO))
            return
        # Names that no node of the cluster has are of emulated ones, which are all here.
        elsewhere = ids.get(node) if node != FIRST else None
        if loses_power and own.exists():
            switch.note("power lost", host, lose_power(own))
        disk = PoweredDisk if loses_power else DrillDisk
        fleet.seat(host, build, host, seat, str(own), setting.care, disk, node=elsewhere)

    switch = Switch(fleet, folder, start, setting.pace)
    bounds = bounds_of(traffic.customers, shards)
    batches = {shard: traffic.batches(shard, *bound) for shard, bound in enumerate(bounds)}
    client = DrillClient(batches, most=0, schedule=setting.schedule)
    if setting.worker:
        switch.overhear = client.overhear
        switch.start(CLIENT, CLIENT)
    else:
        switch.locals[CLIENT] = client
    return Company(switch, client, fleet, seats_of(shards), apart)


def same(one: Answered, other: Answered) -> bool:
    names = ("decisions", "receipts", "replies")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@dataclass(frozen=True)
class Undisturbed:
    """What a stepped run answers, and ends with, when nothing happens to it."""

    answers: dict[tuple[int, int], Answered]
    digests: dict[str, str]
    decided: int  # events; one that waits for a settlement is sent again, and counts when it is taken


def undisturbed(traffic: Traffic, shards: int) -> Undisturbed:
    """The same machines, in this process, one after the other: no journal, no network."""
    build = Build(traffic.plan, traffic.customers, shards)
    machines: dict[str, Machine] = {seat: build(seat, True) for seat in seats_of(shards)}
    answers: dict[tuple[int, int], Answered] = {}
    batches = [traffic.batches(shard, *bound) for shard, bound in enumerate(bounds_of(traffic.customers, shards))]
    for step in zip(*batches, strict=True):
        for envelope in exchanged(machines, [Envelope(f"shard-{batch.shard}", batch) for batch in step]):
            if isinstance(envelope.message, Answered):
                answers[envelope.message.shard, envelope.message.number] = envelope.message
    decided = sum(machine.decided for seat, machine in machines.items() if seat != LEDGER)
    return Undisturbed(answers, {seat: machine.digest() for seat, machine in machines.items()}, decided)
