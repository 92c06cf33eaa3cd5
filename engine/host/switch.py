"""The carrier on real machines: hands every message to the process it is for, and does what the supervisor orders."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from engine.host.disk import sync_folder
from engine.host.messages import Batch, Beat, Envelope, Lead, Message, Pulse, Replace, Tick
from engine.host.process import Recovery
from engine.host.ray_fleet import Lost, RayFleet
from engine.host.replica import SUPERVISOR
from engine.host.second_site import Deputy
from engine.host.supervisor import CARRIER, EVERYBODY, Supervisor

TICK_S = 0.02
PULSE_S = 0.2  # between two questions whether a host runs
LINK_S = 0.002  # until what has come over a link is looked at
MESSAGES_MAX = 10_000  # that wait for one host; more are dropped, and sent again by whoever needs them


Start = Callable[[str, str, Path, str], None]  # a host of a seat, on a folder and a node


class Local(Protocol):
    """A client in this process."""

    def receive(self, message: Message, now: int) -> Iterable[Envelope]: ...


@dataclass(frozen=True)
class Event:
    """Something worth telling, when it happened: seconds of wall clock."""

    at: float
    what: str
    host: str
    told: Any = None


@dataclass
class Box:
    """What waits for a host, and whether it is busy."""

    seat: str
    folder: Path
    node: str
    waiting: deque[Message] = field(default_factory=deque)
    busy: bool = True
    gone: bool = False


class Beyond(Protocol):
    """What this switch does not carry itself: hosts of another site, clients on another machine."""

    def send(self, envelope: Envelope) -> None: ...

    def received(self) -> Iterable[Envelope]: ...


class Pace(Protocol):
    """Nodes that are slower than the machine they are emulated on."""

    def ready_s(self, node: str, message: Message, now: float) -> float:
        """When a node may have a message that comes now, in seconds of a monotonic clock."""


class Switch:
    """Hosts in processes of a fleet, the supervisor and clients here. Call `turn` over and over."""

    def __init__(self, fleet: RayFleet, folder: Path, start: Start, pace: Pace | None = None) -> None:
        """start: have the fleet start a host."""
        self.fleet, self.folder, self._start, self.pace = fleet, folder, start, pace
        self.held: list[tuple[float, str, Message]] = []  # (when, host, message): what a node is not ready for
        self.boxes: dict[str, Box] = {}
        self.locals: dict[str, Local] = {}
        self.supervisor: Supervisor | None = None
        self.deputy: Deputy | None = None  # of a second site, as long as it only listens
        self.lead: Lead | None = None
        self.events: list[Event] = []
        self.diskless: dict[str, tuple[str, ...]] = {}  # not started, for the disks they were to take over are not here
        self.nodes: set[str] | None = None  # that are ours to start hosts on; None: all
        self.beyond: Beyond | None = None
        self.tell: Callable[[Event], None] = lambda event: None  # whatever is noted
        self.overhear: Callable[[Envelope], None] = lambda envelope: None  # everything that is carried
        self.host_tick_s = TICK_S  # between two that a host with nothing to do is told that time has passed
        self._ticked = self._felt = self._told_time = 0.0

    @property
    def now(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def note(self, what: str, host: str = "", told: Any = None) -> None:
        self.events.append(Event(time.time(), what, host, told))
        self.tell(self.events[-1])

    # --- hosts --------------------------------------------------------------------------------------------------------
    def start(self, host: str, seat: str, node: str = "", is_new: bool = True) -> None:
        """is_new: it has no folder yet."""
        folder = self.folder / host
        if is_new:
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(self.folder)
        self.boxes[host] = Box(seat, folder, node)
        self.note("started", host, node)
        self._start(host, seat, folder, node)

    def end(self, host: str) -> None:
        self.fleet.end(host)
        self.boxes.pop(host, None)
        self.note("ended", host)

    def _order(self, order: Replace) -> None:
        """Orders are repeated until they have been carried out."""
        if order.started in self.boxes:
            return
        held = [host for host in order.ended if (self.folder / host).exists()]
        for host in order.ended:
            if host in self.boxes:
                self.end(host)
        if not order.started or not (self.nodes is None or order.node in self.nodes):
            return
        if not order.afresh and not self._takes_over(held, order.started):
            if order.started not in self.diskless:
                self.note("no disk", order.started, order.ended)
            self.diskless[order.started] = order.ended
            return
        self.start(order.started, order.seat, order.node, is_new=order.afresh)

    def _takes_over(self, held: list[str], started: str) -> bool:
        """The folder of one that is ended is its own; perhaps it has been since before we began."""
        target = self.folder / started
        if not target.exists() and held:
            (self.folder / held[-1]).rename(target)
            sync_folder(self.folder)
        return target.exists()

    @property
    def has_more(self) -> bool:
        """Something waits for a host that has nothing to do."""
        return any(box.waiting and not box.busy and not box.gone for box in self.boxes.values())

    # --- messages -----------------------------------------------------------------------------------------------------
    def post(self, envelopes: Iterable[Envelope]) -> None:
        for envelope in envelopes:
            self.overhear(envelope)
            if self.beyond is not None and not self._is_here(envelope.to):
                self.beyond.send(Envelope(self._host_of(envelope.to), envelope.message))
            self._take_in(envelope)

    def _take_in(self, envelope: Envelope) -> None:
        if envelope.to == CARRIER:
            assert isinstance(envelope.message, Replace)
            self._order(envelope.message)
        elif envelope.to == EVERYBODY:
            self._tell(envelope.message)
        elif envelope.to == SUPERVISOR:
            self._supervise(envelope.message)
        else:
            self._hand(self._host_of(envelope.to), envelope.message)

    def _is_here(self, name: str) -> bool:
        """It concerns nobody but us."""
        host = self._host_of(name)
        return host in self.boxes or host in self.locals

    def _tell(self, message: Message) -> None:
        if isinstance(message, Lead) and (self.lead is None or message.epoch > self.lead.epoch):
            self.lead = message
            self.note("epoch", told=message.epoch)
        for host in [*self.boxes, *self.locals]:
            self._hand(host, message)
        self._supervise(message)

    def _supervise(self, message: Message) -> None:
        listens = self.supervisor or self.deputy
        if listens is not None:
            self.post(listens.receive(message, self.now))

    def _host_of(self, name: str) -> str:
        return dict(self.lead.leaders).get(name, name) if self.lead is not None else name

    def _hand(self, host: str, message: Message) -> None:
        if host in self.locals:
            self.post(self.locals[host].receive(message, self.now))
        elif self.pace is not None and isinstance(message, Batch) and host in self.boxes:
            self._hold(host, message, self.pace)
        else:
            self._put(host, message)

    def _put(self, host: str, message: Message) -> None:
        if host in self.boxes and len(self.boxes[host].waiting) < MESSAGES_MAX:
            self.boxes[host].waiting.append(message)

    def _hold(self, host: str, batch: Batch, pace: Pace) -> None:
        """Until its node is ready for it; one that is sent again meanwhile is the same one."""
        for _, of, message in self.held:
            if (
                of == host
                and isinstance(message, Batch)
                and (message.client, message.number) == (batch.client, batch.number)
            ):
                return
        self.held.append((pace.ready_s(self.boxes[host].node, batch, time.monotonic()), host, batch))

    # --- time ---------------------------------------------------------------------------------------------------------
    def turn(self) -> None:
        """Hand over what waits, take what has come; returns after TICK_S at the latest."""
        if time.monotonic() - self._ticked >= TICK_S:
            self._tick()
        self._let_go(time.monotonic())
        for envelope in self.beyond.received() if self.beyond is not None else ():
            self._take_in(envelope)
        for host, box in self.boxes.items():
            if box.waiting and not box.busy and not box.gone:
                messages = list(box.waiting)
                box.waiting.clear()
                box.busy = True
                self.fleet.send(host, messages)
        for host, result in self.fleet.done(self._until_next()):
            self._take(host, result)

    def _until_next(self) -> float:
        """Seconds to wait for an answer: not longer than something is held."""
        now, most = time.monotonic(), TICK_S if self.beyond is None else LINK_S
        return max(0.0, min([most, *(ready - now for ready, _, _ in self.held)]))

    def _let_go(self, now: float) -> None:
        held, self.held = self.held, []
        for ready, host, message in held:
            if ready > now:
                self.held.append((ready, host, message))
            else:
                self._put(host, message)

    def _tick(self) -> None:
        self._ticked = time.monotonic()
        for name in (SUPERVISOR, *self.locals):
            self._take_in(Envelope(name, Tick()))
        if self._ticked - self._told_time >= self.host_tick_s:
            self._told_time = self._ticked
            for box in self.boxes.values():
                if not box.busy:
                    box.waiting.append(Tick())
        if self._ticked - self._felt >= PULSE_S:
            self._felt = self._ticked
            self.post(Envelope(SUPERVISOR, Pulse(host)) for host in self.fleet.feel())

    def _take(self, host: str, result: Any) -> None:
        box = self.boxes.get(host)
        if box is None:
            return
        box.busy = False
        if isinstance(result, Lost):
            box.gone = True
            self.note("lost", host, result.why)
            self._supervise(Beat(host, box.seat, 0, 0, leads=False, error=result.why))
        elif isinstance(result, Recovery):
            self.fleet.process(host, result.process)
            self.note("recovered", host, result)
        else:
            self.post(result)
