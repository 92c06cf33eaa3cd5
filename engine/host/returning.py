"""The supervisor's part in a return. After a host came back with less than others have heard from it, all go back to
the newest settlement that all know of, and nobody promises anything until all are there.

In each epoch of a return leaders say how far they reach. The Ledger must not have settled what a shard does not know to
have asked; no shard may have taken up a settlement that the Ledger does not know. Whoever is beyond that is told a
bound in the next epoch, the Ledger first, and goes back; when nobody is beyond it, the return is over. So all that has
to outlive a crash of the supervisor is that there is a return, and its bound.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engine.host.messages import Beat, Reach, Return
from engine.host.replica import Promise, is_beyond

Numbers = dict[int, int]  # contributions, by shard


@dataclass
class Returning:
    """Whether there is a return, and how far it need never go."""

    promise: Promise
    is_on: bool = False
    bound: Numbers = field(default_factory=dict)  # of this epoch; empty while nobody knows yet
    since: int = 0  # the latest epoch of a return, or the one in which it was over
    floor: Numbers = field(default_factory=dict)  # to before it was settled nobody will return; empty: not known
    heard: dict[str, Beat] = field(default_factory=dict)  # of the leaders, in this epoch of a return, by seat
    kept: dict[str, Reach] = field(default_factory=dict)  # by host: what its disk has
    _candidate: Numbers = field(default_factory=dict)  # for the floor: the Ledger has it

    # --- the return ---------------------------------------------------------------------------------------------------
    def begin(self) -> bool:
        """A host was started again from its disk; returns whether that may have less than the host had said."""
        self.is_on = self.is_on or self.promise != Promise.DURABLE
        return self.is_on

    def epoch_begins(self, epoch: int, bound: Numbers | None = None) -> None:
        """Whatever leaders said before is not sure any more."""
        self.heard, self.bound = {}, bound or {}
        if self.is_on:
            self.since, self.kept, self._candidate = epoch, {}, {}

    def heard_of(self, beat: Beat, seats: Iterable[str]) -> tuple[Numbers, list[str]] | None:
        """Hear a leader. Once all have spoken: a bound, and who is beyond it; nobody is when the return is over."""
        self.heard[beat.seat] = beat
        if not self.heard.keys() >= set(seats):
            return None
        bound, beyond = self._next_bound()
        if not beyond:
            self.is_on, self.since = False, beat.epoch + 1
        return bound, beyond

    def _next_bound(self) -> tuple[Numbers, list[str]]:
        asked = joined(one.reach.asked for one in self.heard.values())
        if self.promise == Promise.MEMORY:
            return dict.fromkeys(asked, 0), [seat for seat, one in self.heard.items() if one.number > 0]
        if beyond := self._beyond(asked):
            return asked, beyond
        settled = joined(one.reach.settled for one in self.heard.values() if not one.reach.asked)
        return settled, self._beyond(settled)

    def _beyond(self, bound: Numbers) -> list[str]:
        return [seat for seat, one in self.heard.items() if is_beyond(one.reach.settled, bound)]

    # --- the floor ----------------------------------------------------------------------------------------------------
    def keep(self, beat: Beat) -> None:
        """Hear what a host has on its disk."""
        if not self.is_on and beat.epoch >= self.since:
            self.kept[beat.host] = beat.kept

    def raise_floor(self, hosts: Iterable[str]) -> None:
        """What all who lead or follow have on disk, no return goes behind: a snapshot of that may hold."""
        here = [self.kept.get(host) for host in hosts]
        known = [one for one in here if one is not None]
        if self.promise != Promise.INTERVAL or self.is_on or len(known) < len(here):
            return
        asked = least(one.asked for one in known)
        settled = least(one.settled for one in known if not one.asked)
        self._candidate = self._candidate or settled
        if not is_beyond(self._candidate.items(), asked) and not is_beyond(self._candidate.items(), settled):
            self.floor, self._candidate = self._candidate, {}

    def may_follow(self, host: str) -> bool:
        """Whether a host that learns has on its disk what is behind the floor: once it follows, it may be promoted."""
        if self.promise != Promise.INTERVAL or self.is_on:
            return not self.is_on
        has = self.kept.get(host)
        if has is None or not self.floor:
            return False
        has_numbers = dict(has.asked or has.settled)
        return all(number <= has_numbers[shard] for shard, number in self.floor.items() if shard in has_numbers)

    # --- told and kept ------------------------------------------------------------------------------------------------
    @property
    def told(self) -> dict[str, Any]:
        """Fields of Lead."""
        returning = Return(tuple(self.bound.items())) if self.is_on else None
        return {"returning": returning, "since": self.since, "floor": tuple(self.floor.items())}

    @property
    def record(self) -> list[Any]:
        """What outlives a crash."""
        return [self.is_on, list(self.bound.items()), self.since]

    def read(self, record: list[Any]) -> None:
        self.is_on, bound, self.since = record
        self.bound = dict(bound)


def joined(parts: Iterable[Iterable[tuple[int, int]]]) -> Numbers:
    return {shard: number for part in parts for shard, number in part}


def least(parts: Iterable[Iterable[tuple[int, int]]]) -> Numbers:
    found: Numbers = {}
    for part in parts:
        for shard, number in part:
            found[shard] = min(number, found.get(shard, number))
    return found
