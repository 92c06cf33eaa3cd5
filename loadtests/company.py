"""A company of hosts on Ray for a drill: the seats, their processes, a supervisor and a client, started and ended."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engine.coupon_records import ASK, LINE
from engine.fraud_records import ORIGIN
from engine.host.disk import FolderDisk
from engine.host.ledger_machine import LedgerMachine
from engine.host.machines import Machine
from engine.host.messages import Answered, Batch, Envelope
from engine.host.ray_cluster import TwoNodes, cluster, two_nodes
from engine.host.ray_fleet import RayFleet
from engine.host.replica import Care
from engine.host.shard_machine import ShardMachine
from engine.host.supervisor import Patience, Seating, Supervisor
from engine.host.switch import SUPERVISOR, Switch
from engine.records import EVENT, NONE, PARTITIONS, EventKind, records
from loadtests.client import DrillClient
from loadtests.drill_disk import DrillDisk
from loadtests.traffic import CLIENT, Traffic, bounds_of, ledger_of, profiles_of, shard_of
from loadtests.worker_process import WorkerProcess
from scenarios.worker import RunPlan, owned

LEDGER = "ledger"
SPARES = 1  # processes that wait for a seat
WARM_CUSTOMERS = 64
GO = "go"
STARTS_WITHIN_S = 180.0
PATIENCE = Patience(lost=1_000, starting=120_000)


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
        """Have everything loaded that a host calls: one step of a few customers, and a snapshot of it."""
        few = Build(self.plan, WARM_CUSTOMERS, 1)
        ledger, shard = few(LEDGER, True), few("shard-0", True)
        events = records(1, EVENT)
        events.time_ms, events.kind, events.ask, events.origin = self.plan.spans.start, EventKind.LOGIN, NONE, NONE
        batch = Batch(
            CLIENT, 0, 1, self.plan.spans.start, events, records(0, ASK), records(0, LINE), records(0, ORIGIN)
        )
        (told,) = shard.apply(shard.admit(batch, 0).payloads[0])
        (settled,) = ledger.apply(ledger.admit(told.message, 0).payloads[0])
        shard.admit(settled.message, 0)
        for machine in (ledger, shard):
            machine.restore([machine.piece(at) for at in range(machine.pieces())])
            machine.caught_up()


@dataclass
class Company:
    """What a drill has to work with."""

    switch: Switch
    client: DrillClient
    fleet: RayFleet
    seats: list[str]
    nodes: TwoNodes | None = None
    turns: list[Callable[[], None]] = field(default_factory=list)  # looked at after every turn

    def begin(self) -> None:
        """Let traffic flow."""
        self.client.most = None
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
                raise DrillError(f"{what} took more than {within_s:.0f} s")

    def digests(self) -> dict[str, str]:
        """Of the leaders of all seats."""
        return {seat: self.fleet.ask(self.leader(seat), "digest") for seat in self.seats}


@contextmanager
def company(
    traffic: Traffic,
    shards: int,
    folder: Path,
    care: Care,
    standby: bool = False,
    address: str | None = None,
    worker: bool = False,
    nodes: bool = False,
) -> Iterator[Company]:
    """Hosts for all seats, recovered and led; ended afterwards. worker: the client is a process, too.
    nodes: the first leaders are on a node of their own."""
    seats = [LEDGER, *(f"shard-{shard}" for shard in range(shards))]
    # Ray prints on standard output that a process was killed, which is what a drill does.
    with redirect_stdout(io.StringIO()), two_nodes() if nodes else cluster(address) as apart:
        build = Build(traffic.plan, traffic.customers, shards)
        fleet = RayFleet(build.warm, SPARES, apart.options(second=False) if apart is not None else None)
        try:
            shared_build = fleet.share(build)

            def start(host: str, seat: str, own: Path) -> None:
                if seat == CLIENT:
                    fleet.start(host, WorkerProcess, shared, shards, str(folder / GO))
                    return
                placed = apart.options(second=True) if apart is not None and host == f"{seat}.1" else {}
                fleet.seat(host, shared_build, host, seat, str(own), care, DrillDisk, **placed)

            shared = fleet.share(traffic) if worker else None
            switch = Switch(fleet, folder, start)
            batches = {
                shard: traffic.batches(shard, *bound)
                for shard, bound in enumerate(bounds_of(traffic.customers, shards))
            }
            client = DrillClient(batches, most=0)
            if worker:
                switch.overhear = client.overhear
                switch.start(CLIENT, CLIENT)
            else:
                switch.locals[CLIENT] = client
            found = Company(switch, client, fleet, seats, apart)
            seating = {seat: Seating(f"{seat}.1", f"{seat}.2" if standby else "", started=2) for seat in seats}
            for seat, one in seating.items():
                for host in one.hosts:
                    switch.start(host, seat)
            folder.mkdir(parents=True, exist_ok=True)
            found.until(lambda: not any(box.busy for box in switch.boxes.values()), STARTS_WITHIN_S, "starting hosts")
            fleet.wait_for_spares()
            switch.supervisor = Supervisor(FolderDisk(folder / SUPERVISOR), seating, PATIENCE, standby, switch.now)
            yield found
        finally:
            fleet.close()


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
        waiting = [Envelope(f"shard-{batch.shard}", batch) for batch in step]
        while waiting:
            envelope = waiting.pop(0)
            if isinstance(envelope.message, Answered):
                answers[envelope.message.shard, envelope.message.number] = envelope.message
                continue
            machine = machines[envelope.to]
            admission = machine.admit(envelope.message, 0)
            waiting += admission.out
            for payload in admission.payloads:
                waiting += machine.apply(payload)
    decided = sum(machine.decided for seat, machine in machines.items() if seat != LEDGER)
    return Undisturbed(answers, {seat: machine.digest() for seat, machine in machines.items()}, decided)


def seats_of(shards: int) -> list[str]:
    return [LEDGER, *(f"shard-{shard}" for shard in range(shards))]
