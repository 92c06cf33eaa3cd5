"""How the hosts behind a gateway are: who leads, who follows, who is lost, and why nobody could be decided for."""

from collections.abc import Iterator
from dataclasses import dataclass

from engine.host.supervisor import Seating, Supervisor
from engine.host.switch import Event, Switch
from gateway.logs import Log

LEADS, FOLLOWS, LEARNS, RECOVERING, LOST, NO_DISK = "leads", "follows", "learns", "recovering", "lost", "no disk"
STATES = (LEADS, FOLLOWS, LEARNS, RECOVERING, LOST, NO_DISK)
SILENT_MS = 3_000  # a leader that shows no sign of life for so long is not counted on
EVENTS_KEPT = 1_000


@dataclass(frozen=True)
class HostState:
    """One host."""

    host: str
    seat: str
    state: str  # one of STATES


class Wellness:
    """Looks at a switch and its supervisor."""

    def __init__(self, switch: Switch, supervisor: Supervisor) -> None:
        self.switch, self.supervisor = switch, supervisor

    @property
    def hosts(self) -> list[HostState]:
        """Every host that there is or should be."""
        return [one for seat, seating in self.supervisor.seats.items() for one in self._of_seat(seat, seating)]

    @property
    def reasons(self) -> list[str]:
        """Why not everybody can be decided for; nothing when all is well."""
        if self.switch.lead is None:
            return ["hosts are starting"]
        hosts = self.hosts
        led = {one.seat for one in hosts if one.state == LEADS}
        out = [f"{seat} has no leader" for seat in self.supervisor.seats if seat not in led]
        told = {RECOVERING: "{} is recovering", NO_DISK: "no disk of {} was found"}
        out += [told[one.state].format(one.host) for one in hosts if one.seat not in led and one.state in told]
        return out + (["hosts go back to what all of them know"] if self.supervisor.returning.is_on else [])

    def _of_seat(self, seat: str, seating: Seating) -> Iterator[HostState]:
        comes = {host: order for host, order in self.supervisor.coming.items() if order.seat == seat}
        replaced = {host for order in comes.values() for host in order.ended}
        for host, state in ((seating.leader, LEADS), (seating.follower, FOLLOWS), (seating.learner, LEARNS)):
            if host:
                yield HostState(host, seat, state if host not in replaced and self._lives(host) else LOST)
        for host, order in comes.items():
            if host in self.switch.boxes:
                yield HostState(host, seat, RECOVERING)
            elif host in self.switch.diskless:
                yield HostState(next(iter(order.ended), host), seat, NO_DISK)

    def _lives(self, host: str) -> bool:
        box = self.switch.boxes.get(host)
        silent = self.switch.now - self.supervisor.seen.get(host, 0)
        return box is not None and not box.gone and silent <= SILENT_MS


class Witness:
    """Takes note of what a switch tells: the log hears it once, and what is kept of it is bounded."""

    def __init__(self, switch: Switch, log: Log) -> None:
        self.switch, self.log = switch, log
        self.processes: dict[str, int] = {}  # by host: the id of its process
        self.counts: dict[str, int] = {}  # by kind of event
        self._diskless: set[str] = set()  # seats whose missing disk was told

    def heard(self, event: Event) -> None:
        del self.switch.events[:-EVENTS_KEPT]
        self.counts[event.what] = self.counts.get(event.what, 0) + 1
        if self._is_new(event):
            self.log(event.what, **({"host": event.host} if event.host else {}), **told_of(event))
        if event.what == "recovered":
            self.processes[event.host] = event.told.process
        elif event.what in ("lost", "ended"):
            self.processes.pop(event.host, None)

    def _is_new(self, event: Event) -> bool:
        """A seat's disk that is missing is looked for again and again, each time for another host: told once."""
        seat = event.host.rpartition(".")[0]
        if event.what == "recovered":
            self._diskless.discard(seat)
        if event.what != "no disk":
            return True
        is_new = seat not in self._diskless
        self._diskless.add(seat)
        return is_new


def told_of(event: Event) -> dict[str, object]:
    """What an event says, as fields of a line."""
    if event.what == "recovered":
        found = event.told
        took_ms = round((found.replayed - found.began) * 1_000)
        return {"process": found.process, "records": found.records, "took_ms": took_ms}
    name = {"epoch": "epoch", "lost": "why", "no disk": "looked_for", "started": "node"}.get(event.what, "told")
    return {name: event.told} if event.told else {}
