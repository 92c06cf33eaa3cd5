"""A stage for disasters: hosts, clients and a supervisor in one thread, a virtual clock, a network and disks that fail.

Everything that happens follows from one seed. Hosts are whatever `receive(message, now)` returns envelopes; the stage
carries them, late, twice, in another order or not at all, takes hosts' power away, freezes them and cuts them off.
"""

import copy
import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any, Protocol

from sim.disasters.disk import Faults, SeededDisk

TICK_MS = 20
CARRIER, EVERYBODY, SUPERVISOR = "carrier", "everybody", "supervisor"


class Node(Protocol):
    """A host, a client or the supervisor."""

    def receive(self, message: Any, now: int) -> Iterable[Any]: ...


class State(Enum):
    UP = "up"
    FROZEN = "frozen"
    DOWN = "down"


@dataclass
class Place:
    """A process and the machine it runs on."""

    node: Node | None
    disk: SeededDisk
    state: State = State.UP
    route: Any = None  # who leads, as it was told last
    frozen: list[Any] = field(default_factory=list)  # messages that wait for it to thaw
    error: str = ""


@dataclass(frozen=True)
class Weather:
    """How likely a message is lost, doubled, or late, and by how many ms; and chances of a disaster a tick."""

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    late_ms: int = 0
    crash: float = 0.0
    freeze: float = 0.0
    freeze_ms: int = 0
    cut: float = 0.0
    cut_ms: int = 0
    write_fails: float = 0.0
    sync_fails: float = 0.0
    slow_disk: float = 0.0


class Disaster(Exception):
    """An invariant does not hold. Says which, and when."""


class Stage:
    """`boot(host, disk)` makes a node that has recovered from its disk, or raises OSError-like errors of its own."""

    def __init__(self, random: Random, weather: Weather, boot: Callable[[str, SeededDisk], Node], tick: Any) -> None:
        self.random, self.weather, self.boot, self.tick = random, weather, boot, tick
        self.now = 0
        self.calm = False  # no disaster any more: what was begun is to end
        self.places: dict[str, Place] = {}
        self.cuts: dict[str, int] = {}  # hosts that nobody reaches, until when
        self.happened: Counter[str] = Counter()
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0

    # --- who is there -------------------------------------------------------------------------------------------------
    def enter(self, name: str, node: Node | None = None) -> None:
        """A process begins on a disk of its own; what it runs is booted unless it is given."""
        # The supervisor's is small, and in two places: it loses power with it, but takes what it is given.
        disk = SeededDisk(Random(self.random.random()), Faults() if name == SUPERVISOR else self._disk_faults())
        self.places[name] = Place(node, disk)
        if node is None:
            self._boot(name)

    def _disk_faults(self) -> Faults:
        return Faults() if self.calm else Faults(self.weather.write_fails, self.weather.sync_fails)

    def _boot(self, name: str) -> None:
        place = self.places.get(name)
        if place is None:
            return
        place.state, place.frozen = State.UP, []
        try:
            place.node = self.boot(name, place.disk)
        except OSError:  # its disk failed again while it recovered
            place.state = State.DOWN
            self.happened["recovery failed"] += 1
            self.after(100, lambda: self._boot(name))

    # --- time ---------------------------------------------------------------------------------------------------------
    def after(self, ms: int, action: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (self.now + ms, self._sequence, action))

    def run(self, until: Callable[[], bool], most_ms: int) -> bool:
        """Let time pass; False if what was waited for has not come within so much of it."""
        end = self.now + most_ms
        while not until():
            if self.now >= end:
                return False
            self._pass_tick()
        return True

    def _pass_tick(self) -> None:
        for name in list(self.places):
            self.after(self.random.randrange(TICK_MS), lambda name=name: self._deliver(name, self.tick))  # type: ignore[misc]
        if not self.calm:
            self._strike()
        end = self.now + TICK_MS
        while self._queue and self._queue[0][0] <= end:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        self.now = end

    def settle_down(self) -> None:
        """No disaster any more: what was begun is to end well."""
        self.calm, self.cuts = True, {}
        for name, place in self.places.items():
            place.disk.faults = Faults()
            if place.state == State.FROZEN:
                self._thaw(name, place)

    # --- the network --------------------------------------------------------------------------------------------------
    def send(self, sender: str, envelopes: Iterable[Any]) -> None:
        for envelope in envelopes:
            for name in self._receivers(sender, envelope):
                self._carry(sender, name, envelope.message)

    def _receivers(self, sender: str, envelope: Any) -> list[str]:
        if envelope.to == CARRIER:
            self._order(envelope.message)
            return []
        if envelope.to == EVERYBODY:
            return [name for name in self.places if name != sender]
        route = self.places[sender].route
        leaders = dict(route.leaders) if route is not None else {}
        return [leaders.get(envelope.to, envelope.to)]

    def _carry(self, sender: str, name: str, message: Any) -> None:
        weather, random = self.weather, self.random
        if self.calm:
            self.after(1, lambda: self._deliver(name, message, sender))
            return
        if random.random() < weather.lost:
            self.happened["message lost"] += 1
            return
        for _ in range(2 if random.random() < weather.doubled else 1):
            delay = 1
            if random.random() < weather.late:
                delay = 1 + random.randrange(weather.late_ms)
                self.happened["message late"] += 1
            self.after(delay, lambda: self._deliver(name, message, sender))

    def _deliver(self, name: str, message: Any, sender: str = "") -> None:
        place = self.places.get(name)
        if place is None or place.state == State.DOWN or place.node is None:
            return
        if sender and (self._is_cut(name) or self._is_cut(sender)):
            self.happened["message at a cut"] += 1
            return
        if place.state == State.FROZEN:
            if message is not self.tick:
                place.frozen.append(message)
            return
        if hasattr(message, "leaders") and (place.route is None or message.epoch >= place.route.epoch):
            place.route = message
        # A process of its own has a message of its own.
        self.send(name, place.node.receive(copy.copy(message), self.now))

    def _is_cut(self, name: str) -> bool:
        return self.cuts.get(name, -1) > self.now

    # --- disasters ----------------------------------------------------------------------------------------------------
    def _strike(self) -> None:
        weather, random = self.weather, self.random
        for name, place in list(self.places.items()):
            if name.startswith("client") or place.state == State.DOWN:
                continue
            if random.random() < weather.crash:
                self.crash(name)
            elif name != SUPERVISOR and random.random() < weather.freeze:
                self.freeze(name, random.randrange(weather.freeze_ms) + 1)
            elif name != SUPERVISOR and random.random() < weather.cut:
                self.happened["host cut off"] += 1
                self.cuts[name] = self.now + random.randrange(weather.cut_ms) + 1

    def crash(self, name: str) -> None:
        """Power is lost. The supervisor comes back by itself; hosts when it says so."""
        place = self.places[name]
        self.happened["crash"] += 1
        place.state, place.node, place.frozen = State.DOWN, None, []
        place.disk.crash()
        if name == SUPERVISOR:
            self.after(self.random.randrange(1_000), lambda: self._boot(name))

    def freeze(self, name: str, ms: int) -> None:
        place = self.places[name]
        if place.state == State.UP:
            self.happened["freeze"] += 1
            place.state = State.FROZEN
            self.after(ms, lambda: self._thaw(name, place))

    def _thaw(self, name: str, place: Place) -> None:
        if self.places.get(name) is not place or place.state != State.FROZEN:
            return
        self.happened["thaw"] += 1
        place.state = State.UP
        frozen, place.frozen = place.frozen, []
        for message in frozen:
            self._deliver(name, message)

    # --- the carrier: what the supervisor orders ----------------------------------------------------------------------
    def _order(self, order: Any) -> None:
        """Orders are repeated until they have been carried out."""
        if order.started in self.places or any(self._is_cut(host) for host in order.ended):
            return  # nobody reaches what is cut off, to end it
        ended = [self.places.pop(host) for host in order.ended if host in self.places]
        if order.afresh:
            self.happened["fresh follower"] += 1
            self.enter(order.started)
        elif order.started:
            disk = ended[-1].disk
            disk.faults = self._disk_faults()
            self.places[order.started] = Place(None, disk, State.DOWN)
            self.happened["restart"] += 1
            self.after(self.random.randrange(200) + 1, lambda: self._boot(order.started))
