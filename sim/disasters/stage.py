"""A stage for disasters: hosts, clients and a supervisor in one thread, a virtual clock, a network and disks that fail.

Everything that happens follows from one seed. Hosts are whatever `receive(message, now)` returns envelopes; the stage
carries them, late, twice, in another order or not at all, takes hosts' power away, freezes them and cuts them off.
"""

import copy
import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any, Protocol

from sim.disasters.disk import Faults, PowerLoss, SeededDisk

TICK_MS = 20
SLOW_SYNC_MS = 150  # that one sync of a slow disk takes at most
FULL_BYTES = 20_000  # room that a disk has left, at most, when it is about to be full
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
    is_spared: bool = False  # no disaster befalls it: a client
    state: State = State.UP
    route: Any = None  # who leads, as it was told last
    frozen: list[Any] = field(default_factory=list)  # messages that wait for it to thaw …
    leaving: list[Any] = field(default_factory=list)  # … and those it was about to send
    busy_until: int = 0  # ms; its disk is slow


@dataclass(frozen=True)
class Weather:
    """How likely a message is lost, doubled, or late, and by how many ms; chances of a disaster a tick and a host, and
    how many ms it may take; and chances of a fault at a call of a disk. moved: chance a tick that somebody wants a seat
    elsewhere; whoever plays that part draws it."""

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    late_ms: int = 0
    crash: float = 0.0
    freeze: float = 0.0
    freeze_ms: int = 0
    cut: float = 0.0
    cut_ms: int = 0
    slow_disk: float = 0.0
    slow_disk_ms: int = 0
    full_disk: float = 0.0
    full_disk_ms: int = 0
    write_fails: float = 0.0
    sync_fails: float = 0.0
    read_fails: float = 0.0
    dies: float = 0.0
    moved: float = 0.0


class Disaster(Exception):
    """An invariant does not hold. Says which, and when."""


def said_of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


class Witness:
    """Looks on after each step; raises Disaster where it sees what must not be. This one looks away."""

    def booted(self, name: str, place: Place) -> None: ...

    def delivered(self, name: str, place: Place, message: Any, out: list[Any]) -> None: ...

    def crashed(self, name: str, place: Place) -> None: ...

    def thawed(self, name: str, place: Place) -> None: ...


class Stage:
    """`boot(host, disk)` makes a node that has recovered from its disk, or raises OSError. The network, the disasters
    and the disks have dice of their own, so that one of them can be left out and the others go on as before."""

    def __init__(
        self,
        seed: int,
        weather: Weather,
        boot: Callable[[str, SeededDisk], Node],
        tick: Any,
        witness: Witness,
        happened: Counter[str],
    ) -> None:
        self.network, self.strikes, self.disks = (Random(f"{what} {seed}") for what in ("network", "strikes", "disks"))
        self.weather, self.boot, self.tick, self.witness, self.happened = weather, boot, tick, witness, happened
        self.trace = hashlib.blake2b(digest_size=16)  # of all that was delivered
        self.now = 0
        self.calm = False  # no disaster any more: what was begun is to end
        self.places: dict[str, Place] = {}
        self.cuts: dict[str, int] = {}  # hosts that nobody reaches, until when
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0

    # --- who is there -------------------------------------------------------------------------------------------------
    def enter(self, name: str, node: Node | None = None) -> None:
        """A process begins on a disk of its own; what it runs is booted, or given: then it is spared."""
        # The supervisor's is small, and in two places: it loses power with it, but takes what it is given.
        disk = SeededDisk(Random(self.disks.random()), self._disk_faults(name), self.happened)
        self.places[name] = Place(node, disk, is_spared=node is not None)
        if node is None:
            self._boot(name)

    def _disk_faults(self, name: str) -> Faults:
        weather = self.weather
        if self.calm:
            return Faults()
        if name == SUPERVISOR:
            return Faults(dies=weather.dies)
        return Faults(weather.write_fails, weather.sync_fails, read_fails=weather.read_fails, dies=weather.dies)

    def _boot(self, name: str) -> None:
        place = self.places.get(name)
        if place is None:
            return
        place.state, place.frozen, place.leaving = State.UP, [], []
        try:
            place.node = self.boot(name, place.disk)
        except OSError:  # its disk failed again while it recovered
            place.state = State.DOWN
            self.happened["recovery failed"] += 1
            self.after(100, lambda: self._boot(name))
        except PowerLoss:
            self.happened["crash in a recovery"] += 1
            self.crash(name)
        except Exception as error:
            raise Disaster(f"{name} cannot recover: {said_of(error)}") from error
        else:
            self.witness.booted(name, place)

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
        for name in self.places:
            self.after(int(self.strikes.random() * TICK_MS), lambda name=name: self._deliver(name, self.tick))  # type: ignore[misc]
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
            if not self.calm and self.network.random() < self.weather.lost:
                self.happened["order to the carrier lost"] += 1
            else:
                self._order(envelope.message)
            return []
        if envelope.to == EVERYBODY:
            return [name for name in self.places if name != sender]
        route = self.places[sender].route
        leaders = dict(route.leaders) if route is not None else {}
        return [leaders.get(envelope.to, envelope.to)]

    def _carry(self, sender: str, name: str, message: Any) -> None:
        weather, random = self.weather, self.network
        if self.calm:
            self.after(1, lambda: self._deliver(name, message, sender))
            return
        if random.random() < weather.lost:
            self.happened["message lost"] += 1
            return
        doubled = random.random() < weather.doubled
        self.happened["message doubled"] += doubled
        for _ in range(1 + doubled):
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
        if place.busy_until > self.now:
            if message is not self.tick:
                self.after(place.busy_until - self.now, lambda: self._deliver(name, message))
            return
        if hasattr(message, "leaders") and (place.route is None or message.epoch >= place.route.epoch):
            place.route = message
        self._hand_over(name, place, place.node, message)

    def _hand_over(self, name: str, place: Place, node: Node, message: Any) -> None:
        if message is not self.tick:
            number = getattr(message, "number", "")
            self.trace.update(f"{self.now} {name} {type(message).__name__} {number}\n".encode())
            message = copy.copy(message)  # a process of its own has a message of its own
        try:
            out = list(node.receive(message, self.now))
        except PowerLoss:
            self.crash(name)
            return
        except Disaster:
            raise  # a client has seen one
        except Exception as error:
            raise Disaster(f"{name}, told {type(message).__name__}, raises {said_of(error)}") from error
        self.witness.delivered(name, place, message, out)
        took_ms, place.disk.took_ms = place.disk.took_ms, 0
        if not took_ms:
            self.send(name, out)
            return
        self.happened["wait for a slow disk"] += 1
        place.busy_until = self.now + took_ms
        self.after(took_ms, lambda: self._leave(name, place, node, out))

    def _leave(self, name: str, place: Place, node: Node, out: list[Any]) -> None:
        """What a process says once its disk is done, if there is one still."""
        if self.places.get(name) is not place or place.node is not node:
            return
        if place.state == State.FROZEN:
            place.leaving += out
        else:
            self.send(name, out)

    def _is_cut(self, name: str) -> bool:
        return self.cuts.get(name, -1) > self.now

    # --- disasters ----------------------------------------------------------------------------------------------------
    def _strike(self) -> None:
        weather, dice = self.weather, self.strikes
        for name, place in list(self.places.items()):
            if place.is_spared or place.state == State.DOWN:
                continue
            if dice.random() < weather.crash:
                self.crash(name)
            elif name == SUPERVISOR:
                continue  # what may befall it is that it is not there
            elif dice.random() < weather.freeze:
                self.freeze(name, dice.randrange(weather.freeze_ms) + 1)
            elif dice.random() < weather.cut:
                self.happened["host cut off"] += 1
                self.cuts[name] = self.now + dice.randrange(weather.cut_ms) + 1
            elif dice.random() < weather.slow_disk:
                self.happened["disk slow for a while"] += 1
                self._trouble(place.disk, "slow_ms", SLOW_SYNC_MS, dice.randrange(weather.slow_disk_ms) + 1)
            elif dice.random() < weather.full_disk:
                self.happened["disk full for a while"] += 1
                fits, ms = place.disk.used + dice.randrange(FULL_BYTES) + 1, dice.randrange(weather.full_disk_ms) + 1
                self._trouble(place.disk, "full", fits, ms)

    def _trouble(self, disk: SeededDisk, what: str, how_much: int, ms: int) -> None:
        """A disk has a fault for a while, whatever process uses it."""
        setattr(disk.faults, what, how_much)
        self.after(ms, lambda: setattr(disk.faults, what, 0))

    def crash(self, name: str) -> None:
        """Power is lost. The supervisor comes back by itself; hosts when it says so."""
        place = self.places[name]
        self.happened["crash"] += 1
        self.witness.crashed(name, place)
        place.state, place.node, place.frozen, place.leaving = State.DOWN, None, [], []
        place.busy_until = place.disk.took_ms = 0
        place.disk.crash()
        if name == SUPERVISOR:
            self.happened["crash of the supervisor"] += 1
            self.after(self.strikes.randrange(1_000), lambda: self._boot(name))

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
        self.witness.thawed(name, place)
        leaving, place.leaving = place.leaving, []
        self.send(name, leaving)
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
            self.places[order.started] = Place(None, ended[-1].disk, state=State.DOWN)
            self.happened["restart"] += 1
            self.after(self.strikes.randrange(200) + 1, lambda: self._boot(order.started))
