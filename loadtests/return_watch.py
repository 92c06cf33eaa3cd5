"""Who looks on at returns: that all are where they know of the same settlements when one is over, that nobody goes back
further than the promise lets it, and that a promise of an interval is one."""

from collections import Counter
from collections.abc import Mapping

from engine.host.machines import Machine
from engine.host.messages import Envelope
from engine.host.replica import Care, Promise, Replica, Role, is_beyond
from engine.host.returning import joined
from engine.host.shard_machine import ShardMachine
from engine.host.supervisor import Supervisor
from loadtests.traffic import CLIENT
from sim.disasters.disk import SeededDisk
from sim.disasters.stage import SLOW_SYNC_MS, TICK_MS, Disaster, Place

SLACK_MS = SLOW_SYNC_MS + 3 * TICK_MS  # an interval ends at a tick, which a slow sync may keep waiting


class ReturnWatch:
    """Of one disaster."""

    def __init__(self, care: Care, happened: Counter[str]) -> None:
        self.care, self.happened = care, happened
        self.acknowledged: dict[tuple[int, int], int] = {}  # when each batch was, by shard and number
        self.is_on = self.is_bound = self.went_back = self.is_due = False
        self.numbers: dict[str, int] = {}  # by host: its latest record
        self.machines: dict[str, Machine] = {}
        self.kept: dict[SeededDisk, tuple[int, int]] = {}  # when all was on it last, and how many records that were
        self.last: dict[SeededDisk, int] = {}  # when somebody last worked with it …
        self.lost: dict[SeededDisk, int] = {}  # … and no return has been over since

    # --- hosts --------------------------------------------------------------------------------------------------------
    def booted(self, place: Place, replica: Replica, now: int) -> None:
        disk, number = place.disk, replica.journal.number
        if disk in self.last:
            self.lost.setdefault(disk, self.last[disk])
            self.happened["host lost in a return"] += self.is_on
        if self.care.promise == Promise.INTERVAL and number < self.kept.get(disk, (0, 0))[1]:
            raise Disaster(f"{replica.host} recovers {number} records; {self.kept[disk][1]} were on its disk")
        self.kept[disk], self.last[disk] = (now, number), now

    def crashed(self, place: Place) -> None:
        if self.is_bound:
            self.kept.pop(place.disk, None)  # perhaps while it went back

    def worked(self, name: str, place: Place, replica: Replica, out: list[Envelope], now: int) -> None:
        """After each step of a host."""
        if replica.role == Role.BROKEN:
            if "cannot return" in replica.error:
                raise Disaster(f"{name}: {replica.error}")
            self.crashed(place)
            return
        before, self.numbers[name] = self.numbers.get(name, 0), replica.journal.number
        machine, self.machines[name] = self.machines.get(name, replica.machine), replica.machine
        self.last[place.disk] = now
        if machine is not replica.machine and replica.journal.number == before:
            self.went_back = True
            self.happened["heard settlement given up"] += 1  # it was in no record yet
        if replica.journal.number < before:
            self.went_back = True
            what = "shard" if isinstance(replica.machine, ShardMachine) else "Ledger"
            self.happened[f"{what} goes back"] += 1
            self.happened["return to the beginning"] += replica.journal.number == 0
            self.kept.pop(place.disk, None)
        if self.care.promise == Promise.INTERVAL:
            self.happened["snapshot held back"] += replica.snapshots.is_whole
            self._hold_to_interval(name, place, replica, out, now)

    def _hold_to_interval(self, name: str, place: Place, replica: Replica, out: list[Envelope], now: int) -> None:
        if place.disk.keeps(f"{replica.seat}.journal-"):
            self.kept[place.disk] = now, replica.journal.number
        since = now - self.kept.setdefault(place.disk, (now, 0))[0]
        if out and since > self.care.interval_ms + SLACK_MS:
            raise Disaster(f"{name} speaks, and a loss of power would take what it has said for {since} ms")

    # --- returns ------------------------------------------------------------------------------------------------------
    def supervised(self, supervisor: Supervisor, leaders: Mapping[str, Replica]) -> None:
        """After each step of the supervisor."""
        was_on, self.is_on = self.is_on, supervisor.returning.is_on
        self.is_bound = bool(supervisor.returning.bound)
        if was_on and not self.is_on:
            self.happened["return"] += 1
            self.happened["return in which nobody goes back"] += not self.went_back
            self.went_back, self.is_due = False, True
        if not self.is_on and len(leaders) == len(supervisor.seats):
            self._agree(leaders)
            if self.is_due:  # who has died again meanwhile is asked when it is back
                self.is_due = False
                self._over(leaders)

    def _over(self, leaders: Mapping[str, Replica]) -> None:
        """What was acknowledged and is known to nobody now, the promise must have left open."""
        losses, self.lost = list(self.lost.values()), {}  # also of who led, and has died again
        forgotten = []
        for one in leaders.values():
            if isinstance(one.machine, ShardMachine):
                taken = one.machine.taken.get(CLIENT, 0)
                forgotten += [key for key in self.acknowledged if key[0] == one.machine.number and key[1] > taken]
        self.happened["acknowledged batch forgotten"] += len(forgotten)
        self.happened["host back without a loss"] += bool(losses) and not forgotten
        for shard, number in forgotten:
            ms = self.acknowledged.pop((shard, number))
            ago = min(losses, default=self.care.interval_ms * 1_000) - ms
            if self.care.promise == Promise.INTERVAL and ago > self.care.interval_ms + SLACK_MS:
                raise Disaster(f"batch {number} of shard {shard}, acknowledged {ago} ms before a loss, is forgotten")

    def _agree(self, leaders: Mapping[str, Replica]) -> None:
        """Nobody has settled what was not asked, or heard of what was not settled."""
        reaches = {seat: one.machine.reach() for seat, one in leaders.items()}
        asked = joined(one.asked for one in reaches.values())
        settled = joined(one.settled for one in reaches.values() if not one.asked)
        for seat, one in reaches.items():
            if is_beyond(one.settled, asked) or is_beyond(one.settled, settled):
                raise Disaster(f"{seat} has settled {dict(one.settled)}; asked were {asked}, settled {settled}")
