"""The supervisor: hears who lives, and says who leads which seat. It is one, and its epochs are journaled before
anybody hears of them; without it nobody is promoted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.host.disk import Disk
from engine.host.journal import Journal
from engine.host.messages import Beat, Envelope, Lead, Message, Replace, Tick
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
    starting: int = 60_000  # until a process that was started must have shown one
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
        promise: Promise = Promise.DURABLE,
    ) -> None:
        """seats: as the first epoch has them; the journal knows better if there is one."""
        self.journal, self.patience, self.standby = Journal(disk, "supervisor.journal"), patience, standby
        self.seats, self.epoch = dict(seats), 0
        self.coming: dict[str, Replace] = {}  # by host: how it was started
        self.in_step: dict[str, bool] = {}  # by seat: its follower has all that was promised
        self.returning = Returning(promise)
        for record in self.journal.records():
            self.epoch = record.epoch
            self._read(json.loads(record.payload))
        known = [*self.coming, *(host for one in self.seats.values() for host in one.hosts)]
        self.seen = dict.fromkeys(known, now)
        self._told_ms = self._ticked_ms = now
        if self.epoch == 0:
            self._begin_epoch({})

    # --- messages -----------------------------------------------------------------------------------------------------
    def receive(self, message: Message, now: int) -> list[Envelope]:
        if isinstance(message, Beat):
            return self._beat(message, now)
        if isinstance(message, Tick):
            return self._tick(now)
        return []

    def _beat(self, beat: Beat, now: int) -> list[Envelope]:
        if beat.seat not in self.seats:
            return []
        seating = self.seats[beat.seat]
        if beat.host in self.coming:
            order = self.coming.pop(beat.host)
            self.seen[beat.host] = now
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
            return [] if self._is_coming(beat.seat) else self._lost(beat.seat, beat.host, now)
        self.seen[beat.host] = now
        self.returning.keep(beat)
        if beat.leads and beat.epoch == self.epoch and beat.host == seating.leader:
            self.in_step[beat.seat] = beat.in_step
            if self.returning.is_on:
                return self._go_on_returning(beat, now)
            if seating.learner and beat.in_step and self.returning.may_follow(seating.learner):
                graduated = replace(seating, follower=seating.learner, learner="")
                return self._begin_epoch({beat.seat: graduated}, now)
        return []

    def _tick(self, now: int) -> list[Envelope]:
        self._forgive(now)
        out: list[Envelope] = []
        for seat, seating in list(self.seats.items()):
            for host in seating.hosts:
                if now - self.seen[host] > self.patience.lost and not self._is_coming(seat):
                    out += self._lost(seat, host, now)
        for host, order in list(self.coming.items()):
            if now - self.seen[host] > self.patience.starting:
                del self.coming[host]
                out += self._start(order.seat, (*order.ended, host), order.afresh, now)
        if now - self._told_ms >= self.patience.again:
            out += self._tell(now)
        return out

    def _forgive(self, now: int) -> None:
        """While we were not listening ourselves, nobody was silent."""
        deaf, self._ticked_ms = now - self._ticked_ms, now
        if deaf > self.patience.lost // 4:
            self.seen = {host: seen + deaf for host, seen in self.seen.items()}

    def _is_coming(self, seat: str) -> bool:
        return any(order.seat == seat for order in self.coming.values())

    # --- decisions ----------------------------------------------------------------------------------------------------
    def _lost(self, seat: str, host: str, now: int) -> list[Envelope]:
        """A host has died, or is taken for dead: it is ended, so that it is."""
        seating = self.seats[seat]
        if host in (seating.follower, seating.learner):
            out = [Envelope(CARRIER, Replace(seat, (host,)))]
            out += self._begin_epoch({seat: replace(seating, follower="", learner="")}, now)
            return out + (self._start(seat, (), True, now) if self.standby else [])
        if seating.follower and self.in_step.get(seat):
            out = [Envelope(CARRIER, Replace(seat, (host,)))]
            out += self._begin_epoch({seat: replace(seating, leader=seating.follower, follower="")}, now)
            return out + self._start(seat, (), True, now)
        return self._start(seat, (host,), False, now)

    def _start(self, seat: str, ended: tuple[str, ...], afresh: bool, now: int) -> list[Envelope]:
        """A new host: it takes over the disk of one that is ended, or begins afresh and follows."""
        seating = self.seats[seat]
        host = f"{seat}.{seating.started + 1}"
        self.seats[seat] = replace(seating, started=seating.started + 1)
        self.seen[host], self.coming[host] = now, Replace(seat, ended, host, afresh)
        self._write()
        return [Envelope(CARRIER, self.coming[host])]

    def _go_on_returning(self, beat: Beat, now: int) -> list[Envelope]:
        """Once all leaders have spoken, whoever is beyond what the others know goes back."""
        self.returning.heard[beat.seat] = beat
        found = self.returning.next_bound(self.seats)
        if found is None:
            return []
        bound, beyond = found
        if beyond:
            return self._return(bound, beyond, now)
        self.returning.is_on, self.returning.bound = False, {}
        self.returning.since = self.epoch + 1
        out = self._begin_epoch({}, now)
        alone = [seat for seat, one in self.seats.items() if not one.follower and not one.learner]
        return out + [
            envelope
            for seat in alone
            if self.standby and not self._is_coming(seat)
            for envelope in self._start(seat, (), True, now)
        ]

    def _return(self, bound: Numbers, seats: list[str], now: int) -> list[Envelope]:
        """An epoch in which some seats are not where they were; who follows them begins afresh."""
        left = {seat: replace(self.seats[seat], follower="", learner="") for seat in seats}
        ended = [(seat, tuple(filter(None, (self.seats[seat].follower, self.seats[seat].learner)))) for seat in seats]
        out = [Envelope(CARRIER, Replace(seat, hosts)) for seat, hosts in ended if hosts]
        return out + self._begin_epoch(left, now, bound)

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
        said = {
            "seats": {seat: (one.leader, one.follower, one.learner, one.started) for seat, one in self.seats.items()},
            "coming": [(order.seat, order.ended, order.started, order.afresh) for order in self.coming.values()],
            "returning": self.returning.record,
        }
        self.journal.append(self.epoch, json.dumps(said).encode())
        self.journal.sync()

    def _read(self, said: Mapping[str, Any]) -> None:
        self.seats = {seat: Seating(*one) for seat, one in said["seats"].items()}
        orders = [Replace(seat, tuple(ended), *rest) for seat, ended, *rest in said["coming"]]
        self.coming = {order.started: order for order in orders}
        self.returning.read(said["returning"])

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
