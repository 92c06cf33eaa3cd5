"""A site in a process of its own: a Ray cluster, hosts, a supervisor or a deputy, links to whoever speaks to it."""

import contextlib
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.host.disk import FolderDisk
from engine.host.link import Link, LinkError, Listener, connected
from engine.host.machines import LEDGER, seats_of
from engine.host.messages import Ask, Envelope, Hello, Said, TakeOver
from engine.host.ray_cluster import cluster
from engine.host.ray_fleet import RayFleet
from engine.host.replica import SUPERVISOR, Care
from engine.host.second_site import Deputy, SiteError
from engine.host.supervisor import EVERYBODY, Patience, Seating, Supervisor
from engine.host.switch import Switch
from loadtests.company import Build
from loadtests.drill_disk import DrillDisk
from loadtests.traffic import CLIENT, Traffic

FIRST, SECOND = "first", "second"
PORT = "port"
ENDS = "end"
AGAIN_S = 0.5  # until a site that is out of reach is tried again


@dataclass(frozen=True)
class SiteSetting:
    """What a site is told when it starts."""

    name: str
    folder: Path
    traffic: Traffic
    shards: int
    care: Care
    peer: int | None  # port of the second site, which the first one feeds


class Links:
    """Links by the name at their other end; what comes for the site itself is kept apart."""

    def __init__(self, listener: Listener, name: str, peer: int | None) -> None:
        """peer: the port of the second site, for the first one, named `name`."""
        self.listener, self.name, self.peer = listener, name, peer
        self._tried = 0.0
        self.named: dict[str, Link] = {}
        self.nameless: list[Link] = []
        self.orders: list[Ask | TakeOver] = []  # for the site

    def _reach_peer(self) -> None:
        """It may have been out of reach for a while."""
        if self.peer is None or SECOND in self.named or time.monotonic() - self._tried < AGAIN_S:
            return
        self._tried = time.monotonic()
        with contextlib.suppress(OSError):
            link = connected(self.peer)
            link.send(Envelope("", Hello(self.name)))
            self.named[SECOND] = link

    def send(self, envelope: Envelope) -> None:
        """A client hears what is for it and what is for everybody, another site the rest."""
        for name, link in self.named.items():
            is_for_client = envelope.to in (CLIENT, EVERYBODY)
            if is_for_client if name == CLIENT else envelope.to != CLIENT:
                link.send(envelope)

    def received(self) -> Iterator[Envelope]:
        self._reach_peer()
        self.nameless += self.listener.accepted()
        for link in list(self.nameless):
            self._introduce(link)
        for name, link in list(self.named.items()):
            for envelope in self._read(link):
                if isinstance(envelope.message, Ask | TakeOver):
                    self.orders.append(envelope.message)
                else:
                    yield envelope
            if not link.is_up:
                del self.named[name]

    def _introduce(self, link: Link) -> None:
        for envelope in self._read(link):
            if isinstance(envelope.message, Hello):
                self.named[envelope.message.name] = link
        if not link.is_up or link in self.named.values():
            self.nameless.remove(link)

    def _read(self, link: Link) -> list[Envelope]:
        try:
            return link.received()
        except LinkError:
            link.close()  # whoever it is does not speak our language
            return []


class Site:
    """Runs until it is asked to end, or its client's link is gone."""

    def __init__(self, setting: SiteSetting, fleet: RayFleet, links: Links) -> None:
        self.setting, self.fleet, self.links = setting, fleet, links
        build = fleet.share(Build(setting.traffic.plan, setting.traffic.customers, setting.shards))

        def start(host: str, seat: str, own: Path, node: str) -> None:
            fleet.seat(host, build, host, seat, str(own), setting.care, DrillDisk)

        self.switch = Switch(fleet, setting.folder, start)
        self.switch.nodes, self.switch.beyond = {setting.name}, links
        self.seats = seats_of(setting.shards)
        self.is_over = False

    def begin(self) -> None:
        """The first site leads from here on; the second listens."""
        if self.setting.name == SECOND:
            self.switch.deputy = Deputy(SECOND, self.switch.boxes)
            return
        seating = {seat: Seating(f"{seat}.1", started=1) for seat in self.seats}
        for seat, one in seating.items():
            self.switch.start(one.leader, seat, FIRST)
        while any(box.busy for box in self.switch.boxes.values()):
            self.switch.turn()
        placed = {one.leader: FIRST for one in seating.values()}
        disk = FolderDisk(self.setting.folder / SUPERVISOR)
        self.switch.supervisor = Supervisor(disk, seating, Patience(), True, self.switch.now, placed, feeds=SECOND)

    def turn(self) -> None:
        self.switch.turn()
        orders, self.links.orders = self.links.orders, []
        for order in orders:
            self._do(order)

    def _do(self, order: Ask | TakeOver) -> None:
        if isinstance(order, TakeOver):
            self._say("take over", self._take_over())
        elif order.what == ENDS:
            self.is_over = True
        else:
            self._say(order.what, self._state())

    def _take_over(self) -> dict[str, object]:
        deputy = self.switch.deputy
        if deputy is None:
            return {"refused": ["this site leads already"]}
        disk = FolderDisk(self.setting.folder / SUPERVISOR)
        try:
            supervisor = deputy.take_over(disk, Patience(), self.switch.now)
        except SiteError as error:
            return {"refused": str(error).splitlines()}
        self.links.named.pop(FIRST, None)  # it may speak again, and nobody here listens any more
        self.switch.supervisor, self.switch.deputy = supervisor, None
        self.switch.post([Envelope(EVERYBODY, supervisor.lead)])
        return {"epoch": supervisor.epoch, "silent_s": (self.switch.now - deputy.heard_ms) / 1_000}

    def _state(self) -> dict[str, object]:
        supervisor, deputy = self.switch.supervisor, self.switch.deputy
        if supervisor is None:
            return {"lacking": deputy.lacking() if deputy is not None else []}
        leaders = {seat: one.leader for seat, one in supervisor.seats.items()}
        here = {seat: host for seat, host in leaders.items() if host in self.switch.boxes}
        decided = sum(self.fleet.ask(host, "decided") for seat, host in here.items() if seat != LEDGER)
        digests = {seat: self.fleet.ask(host, "digest") for seat, host in here.items()}
        return {"digests": digests, "decided": decided, "in_step": supervisor.in_step}

    def _say(self, what: str, told: dict[str, object]) -> None:
        self.links.send(Envelope(CLIENT, Said(what, json.dumps(told))))


def is_wanted() -> bool:
    """Whoever started this process still runs: without them nobody would ever ask it to end."""
    parent = multiprocessing.parent_process()
    return parent is None or parent.is_alive()


def run_site(setting: SiteSetting) -> None:
    """The whole life of a site's process."""
    os.environ.pop("RAY_ADDRESS", None)
    setting.folder.mkdir(parents=True, exist_ok=True)
    build = Build(setting.traffic.plan, setting.traffic.customers, setting.shards)
    listener = Listener()
    with contextlib.redirect_stdout(None), cluster():
        fleet = RayFleet(build.warm, len(seats_of(setting.shards)))
        try:
            fleet.wait_for_spares()
            site = Site(setting, fleet, Links(listener, setting.name, setting.peer))
            site.begin()
            (setting.folder / f"{PORT}.new").write_text(str(listener.port))
            (setting.folder / f"{PORT}.new").rename(setting.folder / PORT)
            while not site.is_over and is_wanted():
                site.turn()
        finally:
            fleet.close()
            listener.close()
