"""The supervisor: hears who lives, and says who leads which seat, and where. It is one, and its epochs are journaled
before anybody hears of them; without it nobody is promoted."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any

from engine.host.disk import Disk
from engine.host.growth import Burden, Growth
from engine.host.journal import Journal
from engine.host.messages import Beat, Envelope, Lead, Load, Message, Move, Pulse, Replace, Tick
from engine.host.replica import Promise
from engine.host.returning import Numbers, Returning

CARRIER = "carrier"  # starts and ends processes
EVERYBODY = "everybody"


@dataclass(frozen=True)
class Seating:
    """Who sits where."""

    leader: str
    follower: str = ""
    learner: str = ""
    started: int = 0  # how many hosts the seat has had

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.leader, self.follower, self.learner)))


@dataclass(frozen=True)
class Patience:
    """ms."""

    lost: int = 1_000  # without a sign of life
    stuck: int = 60_000  # with signs of life, and without a word
    starting: int = 120_000  # until a process that was started must have shown one
    again: int = 200  # between two tellings of who leads


class Supervisor:
    """`receive(message, now) -> envelopes`."""

    def __init__(
        self,
        disk: Disk,
        seats: Mapping[str, Seating],
        patience: Patience,
        standby: bool,
        now: int,
        placed: Mapping[str, str] | None = None,
        growth: Growth | None = None,
        feeds: str = "",
        site: str = "",
        epoch: int = 0,
        promise: Promise = Promise.DURABLE,
    ) -> None:
        """seats: as the first epoch has them, and placed the node of each host; the journal knows better if there is
        one. growth: nodes that may be taken into use; feeds: the second site, a node where all standbys are, which
        only a person promotes. site: begins the numbers of the hosts we start. epoch: the latest before our first."""
        self.journal, self.patience, self.standby = Journal(disk, "supervisor.journal"), patience, standby
        self.seats, self.epoch, self.site = dict(seats), epoch, site
        self.placed = dict(placed or {})  # by host: its node
        self.feeds = feeds
        self.used = list(dict.fromkeys(self.placed.values()))  # nodes, in the order in which they were taken into use
        self.moves: dict[str, str] = {}  # by seat: the node it is to be led from
        self.burden = Burden(growth) if growth is not None else None
        self.silent: dict[str, int] = {}  # by node: when a host there was last taken for dead because it was silent
        self.coming: dict[str, Replace] = {}  # by host: how it was started
        self.in_step: dict[str, bool] = {}  # by seat: its follower has all that was promised
        self.is_new = True  # nothing was decided before
        self.returning = Returning(promise)
        for record in self.journal.records():
            self.is_new = False
            self.epoch = record.epoch
            self._read(json.loads(record.payload))
        self.seen = dict.fromkeys(self._known(), now)  # by host: its latest sign of life …
        self.spoke = dict(self.seen)  # … and word
        self._told_ms = self._ticked_ms = now
        if self.is_new:
            self._begin_epoch({})

    def listen_from(self, now: int) -> None:
        """Before, we heard nobody, and nobody was silent."""
        self.seen = dict.fromkeys(self.seen, now)
        self.spoke = dict.fromkeys(self.spoke, now)
        self._ticked_ms = now

    # --- messages -----------------------------------------------------------------------------------------------------
    def receive(self, message: Message, now: int) -> list[Envelope]:
        if isinstance(message, Beat):
            return self._beat(message, now)
        if isinstance(message, Tick):
            return self._tick(now)
        if isinstance(message, Move):
            return self._move(message, now)
        if isinstance(message, Pulse) and message.host in self.spoke:
            self.seen[message.host] = now
        if isinstance(message, Load) and self.burden is not None:
            self.burden.heard(message, now)
        return []

    def _beat(self, beat: Beat, now: int) -> list[Envelope]:
        if beat.seat not in self.seats:
            return []
        seating = self.seats[beat.seat]
        if beat.host in self.coming and beat.error:
            return self._did_not_come(beat.host, now)
        if beat.host in self.coming:
            order = self.coming.pop(beat.host)
            self.seen[beat.host] = self.spoke[beat.host] = now
            changed = replace(seating, learner=beat.host) if order.afresh else replace(seating, leader=beat.host)
            if not order.afresh and self.returning.begin():
                self.seats[beat.seat] = changed
                return self._return({}, [beat.seat], now)
            return self._begin_epoch({beat.seat: changed}, now)
        if beat.host not in seating.hosts:
            if any(beat.host in order.ended for order in self.coming.values()):
                return []  # the one that is coming ends it, and needs what it has
            return [Envelope(CARRIER, Replace(beat.seat, (beat.host,)))]  # it was replaced, and does not know
        if beat.error:
            return self._lost(beat.seat, beat.host, now)
        self.seen[beat.host] = self.spoke[beat.host] = now
        self.returning.keep(beat)
        if beat.leads and beat.epoch == self.epoch and beat.host == seating.leader:
            self.in_step[beat.seat] = beat.in_step
            if self.returning.is_on:
                return self._go_on_returning(beat, now)
            if seating.learner and beat.caught_up and self.returning.may_follow(seating.learner):
                return self._graduate(beat.seat, now)
        return []

    def _tick(self, now: int) -> list[Envelope]:
        self._forgive(now)
        out: list[Envelope] = []
        for seat, seating in list(self.seats.items()):
            for host in seating.hosts:
                if self._is_silent(host, now) and host in self.seats[seat].hosts:
                    self.silent[self.placed.get(host, "")] = now
                    out += self._lost(seat, host, now)
        for host in list(self.coming):
            if now - self.seen[host] > self.patience.starting:
                out += self._did_not_come(host, now)
        if not self.returning.is_on:
            out += [envelope for seat in self.seats for envelope in self._tend(seat, now)] + self._grow(now)
        if now - self._told_ms >= self.patience.again:
            out += self._tell(now)
        return out

    def _is_silent(self, host: str, now: int) -> bool:
        return now - self.seen[host] > self.patience.lost or now - self.spoke[host] > self.patience.stuck

    def _forgive(self, now: int) -> None:
        """While we were not listening ourselves, nobody was silent."""
        deaf, self._ticked_ms = now - self._ticked_ms, now
        if deaf > self.patience.lost // 4:
            self.seen = {host: seen + deaf for host, seen in self.seen.items()}
            self.spoke = {host: spoke + deaf for host, spoke in self.spoke.items()}

    def _coming_to(self, seat: str) -> list[Replace]:
        return [order for order in self.coming.values() if order.seat == seat]

    def _is_replaced(self, seat: str) -> bool:
        """Its leader's disk has been given to another host, which is to lead."""
        return any(not order.afresh for order in self._coming_to(seat))

    # --- decisions ----------------------------------------------------------------------------------------------------
    def _lost(self, seat: str, host: str, now: int) -> list[Envelope]:
        """A host has died, or is taken for dead: it is ended, so that it is."""
        seating = self.seats[seat]
        if host != seating.leader:
            return self._without(seat, (host,), now) + self._tend(seat, now)
        if self._is_replaced(seat):
            return []
        if seating.follower and self.in_step.get(seat) and not self.feeds:
            return self._promote(seat, now) + self._tend(seat, now)
        return self._start(seat, (host,), False, self.placed.get(host, ""), now)

    def _did_not_come(self, host: str, now: int) -> list[Envelope]:
        """A host that was started has shown nothing; it may be there, and have begun to write."""
        order = self.coming.pop(host)
        ended = (*order.ended, host)
        if not order.afresh:
            return self._start(order.seat, ended, False, order.node, now)
        if order.node == self.moves.get(order.seat):
            del self.moves[order.seat]  # it cannot be led from there
        self._write()
        return [Envelope(CARRIER, Replace(order.seat, ended)), *self._tend(order.seat, now)]

    def _promote(self, seat: str, now: int) -> list[Envelope]:
        """The follower leads. A learner may have heard more than it, which nobody was promised: it ends."""
        seating = self.seats[seat]
        ended = tuple(filter(None, (seating.leader, seating.learner)))
        changed = replace(seating, leader=seating.follower, follower="", learner="")
        return [Envelope(CARRIER, Replace(seat, ended)), *self._begin_epoch({seat: changed}, now)]

    def _without(self, seat: str, hosts: tuple[str, ...], now: int) -> list[Envelope]:
        """Some that followed or learned do so no more."""
        seating = self.seats[seat]
        follower, learner = ("" if one in hosts else one for one in (seating.follower, seating.learner))
        changed = replace(seating, follower=follower, learner=learner)
        return [Envelope(CARRIER, Replace(seat, hosts)), *self._begin_epoch({seat: changed}, now)]

    def _graduate(self, seat: str, now: int) -> list[Envelope]:
        """The learner follows, in place of whoever did."""
        seating = self.seats[seat]
        out = [Envelope(CARRIER, Replace(seat, (seating.follower,)))] if seating.follower else []
        return out + self._begin_epoch({seat: replace(seating, follower=seating.learner, learner="")}, now)

    def _tend(self, seat: str, now: int) -> list[Envelope]:
        """What a seat lacks for moving, or for a standby. One seat moves at a time."""
        seating, target = self.seats[seat], self.moves.get(seat)
        if target is not None and self.placed.get(seating.leader) == target:
            del self.moves[seat]
            target = None
        if target is not None and seating.follower and self.placed.get(seating.follower) == target:
            return self._promote(seat, now) if self.in_step.get(seat) and not self._is_replaced(seat) else []
        if seating.learner or any(order.afresh for order in self._coming_to(seat)):
            return []
        if target is not None:
            return self._start(seat, (), True, target, now) if seat == next(iter(self.moves)) else []
        if self.standby and not seating.follower:
            return self._start(seat, (), True, self._apart_from(seating.leader, now), now)
        return []

    def _apart_from(self, leader: str, now: int) -> str:
        """Another node than the leader's, if there is one that does not seem to be gone: that with the fewest hosts.
        The second site, where we feed one, even while it is out of reach: only what is there can take over from us."""
        if self.feeds:
            return self.feeds
        own, nodes = self.placed.get(leader, ""), list(self.placed.values())
        others = [node for node in self.used if node != own and not self._seems_gone(node, now)]
        return min(others, key=nodes.count, default=own)

    def _seems_gone(self, node: str, now: int) -> bool:
        """Hosts there have just fallen silent, or are about to."""
        if node in self.silent and now - self.silent[node] < self.patience.starting:
            return True
        hosts = (host for one in self.seats.values() for host in one.hosts if self.placed.get(host, "") == node)
        return any(now - self.seen[host] > self.patience.lost // 2 for host in hosts)

    def _start(self, seat: str, ended: tuple[str, ...], afresh: bool, node: str, now: int) -> list[Envelope]:
        """A new host: it takes over the disk of one that is ended, or begins afresh and follows."""
        seating = self.seats[seat]
        host = f"{seat}.{self.site}{seating.started + 1}"
        self.seats[seat] = replace(seating, started=seating.started + 1)
        self.seen[host], self.placed[host] = now, node
        self.coming[host] = Replace(seat, ended, host, afresh, node)
        self._write()
        return [Envelope(CARRIER, self.coming[host])]

    # --- returns ------------------------------------------------------------------------------------------------------
    def _go_on_returning(self, beat: Beat, now: int) -> list[Envelope]:
        """Once all leaders have spoken, whoever is beyond what the others know goes back."""
        found = self.returning.heard_of(beat, self.seats)
        if found is None:
            return []
        bound, beyond = found
        return self._return(bound, beyond, now) if beyond else self._begin_epoch({}, now)

    def _return(self, bound: Numbers, seats: list[str], now: int) -> list[Envelope]:
        """An epoch in which some seats are not where they were; who follows them begins afresh."""
        left = {seat: replace(self.seats[seat], follower="", learner="") for seat in seats}
        ended = [(seat, tuple(filter(None, (self.seats[seat].follower, self.seats[seat].learner)))) for seat in seats]
        out = [Envelope(CARRIER, Replace(seat, hosts)) for seat, hosts in ended if hosts]
        return out + self._begin_epoch(left, now, bound)

    # --- nodes --------------------------------------------------------------------------------------------------------
    def _move(self, move: Move, now: int) -> list[Envelope]:
        if move.seat not in self.seats:
            return []
        self.moves[move.seat] = move.node
        if move.node not in self.used:
            self.used.append(move.node)
        self._write()
        return self._tend(move.seat, now)

    def _grow(self, now: int) -> list[Envelope]:
        """Take a node into use when batches wait for too long, and give it back when they do not; one at a time."""
        burden = self.burden
        if burden is None or self.moves or self.coming:
            return []
        if (node := burden.overloaded(self.used, now)) is not None:
            led, spare = self._led_from(node, burden.growth.seats), burden.next_node(self.used)
            if spare is None or len(led) < 2:
                return []
            return self._take_over(led[len(led) // 2 :], spare, now)
        if (node := burden.relief(self.used, now)) is not None:
            led = self._led_from(self.used[-1], self.seats)
            return self._take_over(led, node, now) if led else self._give_back(self.used[-1], now)
        return []

    def _led_from(self, node: str, seats: Iterable[str]) -> list[str]:
        return [seat for seat in seats if self.placed.get(self.seats[seat].leader) == node]

    def _take_over(self, seats: list[str], node: str, now: int) -> list[Envelope]:
        assert self.burden is not None
        self.burden.begin_again()
        return [envelope for seat in seats for envelope in self._move(Move(seat, node), now)]

    def _give_back(self, node: str, now: int) -> list[Envelope]:
        """Nobody leads from there; whoever follows there does so somewhere else from now on."""
        self.used.remove(node)
        self._write()
        followers = [(seat, one.follower) for seat, one in self.seats.items() if self.placed.get(one.follower) == node]
        return [envelope for seat, host in followers for envelope in self._without(seat, (host,), now)]

    # --- epochs -------------------------------------------------------------------------------------------------------
    def _begin_epoch(
        self, changed: Mapping[str, Seating], now: int = 0, bound: Numbers | None = None
    ) -> list[Envelope]:
        # A follower that is in step stays so while its leader is the same: nothing is promised without it.
        self.in_step = {seat: true for seat, true in self.in_step.items() if seat not in changed}
        self.seats |= changed
        self.epoch += 1
        self.returning.epoch_begins(self.epoch, bound)
        self._write()
        return self._tell(now)

    def _write(self) -> None:
        """Nobody hears of a decision that could be forgotten."""
        self.placed = {host: self.placed.get(host, "") for host in self._known()}
        said = {
            "seats": {seat: (one.leader, one.follower, one.learner, one.started) for seat, one in self.seats.items()},
            "coming": [astuple(order) for order in self.coming.values()],
            "placed": self.placed,
            "moves": self.moves,
            "used": self.used,
            "returning": self.returning.record,
        }
        self.journal.append(self.epoch, json.dumps(said).encode())
        self.journal.sync()

    def _read(self, said: Mapping[str, Any]) -> None:
        self.seats = {seat: Seating(*one) for seat, one in said["seats"].items()}
        orders = [Replace(seat, tuple(ended), *rest) for seat, ended, *rest in said["coming"]]
        self.coming = {order.started: order for order in orders}
        self.placed, self.moves, self.used = said["placed"], said["moves"], said["used"]
        self.returning.read(said["returning"])

    def _known(self) -> list[str]:
        return [*self.coming, *(host for one in self.seats.values() for host in one.hosts)]

    def _tell(self, now: int) -> list[Envelope]:
        self._told_ms = now
        self.returning.raise_floor(host for one in self.seats.values() for host in (one.leader, one.follower) if host)
        orders = [Envelope(CARRIER, order) for order in self.coming.values()]
        return [*orders, Envelope(EVERYBODY, self.lead)]

    @property
    def lead(self) -> Lead:
        def named(part: str) -> tuple[tuple[str, str], ...]:
            hosts = ((seat, getattr(seating, part)) for seat, seating in self.seats.items())
            return tuple((seat, host) for seat, host in hosts if host)

        return Lead(self.epoch, named("leader"), named("follower"), named("learner"), **self.returning.told)
