"""The supervisor: who is promoted, who is started again, and that nobody hears of what it could forget."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from engine.host.growth import Growth
from engine.host.messages import Beat, Envelope, Lead, Load, Move, Pulse, Replace, Tick
from engine.host.supervisor import CARRIER, EVERYBODY, Patience, Seating, Supervisor
from sim.disasters.disk import SeededDisk

SEAT = "ledger"
PATIENCE = Patience(lost=1_000, starting=5_000, again=200)


class Scene:
    """A seat led by `ledger.1`, followed by `ledger.2`, and a clock."""

    def __init__(self, follower: str = "ledger.2") -> None:
        self.disk, self.follower, self.now = SeededDisk(Random(1)), follower, 0
        self.supervisor = self.begun()

    def begun(self) -> Supervisor:
        seats = {SEAT: Seating("ledger.1", self.follower, started=2)}
        return Supervisor(self.disk, seats, PATIENCE, bool(self.follower), self.now)

    def beat(self, host: str, **said: Any) -> list[Envelope]:
        beat = Beat(host, SEAT, self.supervisor.epoch, 0, **{"leads": False, **said})
        return self.supervisor.receive(beat, self.now)

    def passes(self, ms: int, *alive: str, in_step: bool = False) -> list[Envelope]:
        """Time, in which some hosts show that they live."""
        out: list[Envelope] = []
        for _ in range(0, ms, 100):
            self.now += 100
            for host in alive:
                leads = host == self.seating.leader
                out += self.beat(host, leads=leads, in_step=leads and in_step)
            out += self.supervisor.receive(Tick(), self.now)
        return out

    @property
    def seating(self) -> Seating:
        return self.supervisor.seats[SEAT]


def orders(out: Sequence[Envelope]) -> list[Replace]:
    """To the carrier, each once."""
    found: list[Replace] = []
    for envelope in out:
        if envelope.to == CARRIER and isinstance(envelope.message, Replace) and envelope.message not in found:
            found.append(envelope.message)
    return found


def led(out: Sequence[Envelope]) -> list[int]:
    """Epochs that everybody is told of, each once."""
    epochs = [one.message.epoch for one in out if one.to == EVERYBODY and isinstance(one.message, Lead)]
    return list(dict.fromkeys(epochs))


# --- who is replaced by whom ------------------------------------------------------------------------------------------
def test_a_follower_in_step_is_promoted_and_another_one_is_started() -> None:
    scene = Scene()
    scene.passes(500, "ledger.1", "ledger.2", in_step=True)
    out = scene.passes(1_200, "ledger.2")
    assert scene.seating.leader == "ledger.2"
    assert orders(out) == [Replace(SEAT, ("ledger.1",)), Replace(SEAT, (), "ledger.3", afresh=True)]
    scene.beat("ledger.3")
    assert (scene.seating.follower, scene.seating.learner) == ("", "ledger.3"), "nobody waits for it"
    scene.beat("ledger.2", leads=True, caught_up=True)
    assert (scene.seating.follower, scene.seating.learner) == ("ledger.3", "")


@pytest.mark.parametrize("follower", ["ledger.2", ""], ids=["a follower not in step", "no follower"])
def test_nobody_else_is_promoted(follower: str) -> None:
    """What the lost one promised is on its disk: a process is started on that."""
    scene = Scene(follower)
    scene.passes(500, "ledger.1", *filter(None, [follower]))
    out = scene.passes(1_200, *filter(None, [follower]))
    assert orders(out) == [Replace(SEAT, ("ledger.1",), "ledger.3")]
    assert scene.seating.leader == "ledger.1", "until the new one shows that it lives"
    scene.beat("ledger.3")
    assert scene.seating.leader == "ledger.3"
    assert scene.seating.follower == follower


def test_being_in_step_ends_with_the_epoch() -> None:
    scene = Scene()
    scene.passes(500, "ledger.1", "ledger.2", in_step=True)
    scene.passes(1_200, "ledger.1", in_step=True)  # the follower is lost, another one is started …
    scene.beat("ledger.3")
    scene.beat("ledger.1", leads=True, caught_up=True)
    out = scene.passes(1_200, "ledger.3")  # … and its leader is lost before it has anything
    assert Replace(SEAT, ("ledger.1",), "ledger.4") in orders(out)
    assert scene.seating.leader == "ledger.1"


def test_a_beat_of_an_older_epoch_puts_nobody_in_step() -> None:
    scene = Scene()
    old = Beat("ledger.1", SEAT, 0, 9, True, in_step=True)
    scene.supervisor.receive(old, scene.now)
    assert scene.supervisor.in_step == {}


def test_a_start_that_comes_to_nothing_is_ended_too() -> None:
    """It may have begun to write: what it has is what counts."""
    scene = Scene("")
    scene.passes(500, "ledger.1")
    scene.passes(1_200)
    out = scene.passes(5_200)
    assert Replace(SEAT, ("ledger.1", "ledger.3"), "ledger.4") in orders(out)
    assert orders(scene.passes(400)) == [Replace(SEAT, ("ledger.1", "ledger.3"), "ledger.4")], "said until it is done"


@pytest.mark.parametrize("host", ["ledger.1", "ledger.2"])
def test_who_gives_its_disk_up_is_replaced_at_once(host: str) -> None:
    scene = Scene()
    scene.passes(500, "ledger.1", "ledger.2", in_step=True)
    out = scene.beat(host, error="no space left")
    assert orders(out) == [Replace(SEAT, (host,)), Replace(SEAT, (), "ledger.3", afresh=True)]
    assert scene.seating == Seating(({"ledger.1", "ledger.2"} - {host}).pop(), started=3)


def test_who_was_replaced_and_lives_is_ended() -> None:
    scene = Scene()
    scene.passes(500, "ledger.1", "ledger.2", in_step=True)
    scene.passes(1_200, "ledger.2")
    assert orders(scene.beat("ledger.1", leads=True)) == [Replace(SEAT, ("ledger.1",))]
    assert scene.seating.leader == "ledger.2"


def test_who_lives_is_left_alone() -> None:
    scene = Scene()
    assert orders(scene.passes(20_000, "ledger.1", "ledger.2", in_step=True)) == []
    assert scene.supervisor.epoch == 1


def test_who_is_busy_is_not_dead() -> None:
    """Its process answers beside its work; but not for ever."""
    scene = Scene()
    scene.passes(500, "ledger.1", "ledger.2", in_step=True)
    stuck = PATIENCE.stuck - PATIENCE.stuck % 100
    for _ in range(0, stuck - 500, 500):
        scene.supervisor.receive(Pulse("ledger.1"), scene.now)
        assert orders(scene.passes(500, "ledger.2")) == []
    out = []
    for _ in range(3):
        scene.supervisor.receive(Pulse("ledger.1"), scene.now)
        out += scene.passes(500, "ledger.2")
    assert Replace(SEAT, ("ledger.1",)) in orders(out)
    scene.supervisor.receive(Pulse("ledger.1"), scene.now)
    scene.supervisor.receive(Pulse("nobody.1"), scene.now)
    assert scene.seating.leader == "ledger.2"


# --- what it knows outlives it ----------------------------------------------------------------------------------------
def test_after_a_crash_it_goes_on_where_it_was() -> None:
    scene = Scene()
    scene.passes(500, "ledger.1", "ledger.2", in_step=True)
    out = scene.passes(1_200, "ledger.2")
    before = scene.supervisor
    scene.disk.crash()
    scene.supervisor = scene.begun()
    after = scene.supervisor
    assert (after.epoch, after.seats, after.coming) == (before.epoch, before.seats, before.coming)
    assert after.in_step == {}, "what it had heard is heard again before anybody is promoted"
    assert max(led(out)) == after.epoch
    assert orders(scene.passes(400, "ledger.2")) == [Replace(SEAT, (), "ledger.3", afresh=True)], "said again"


def test_nobody_hears_of_an_epoch_that_could_be_forgotten() -> None:
    """Power goes again and again: whatever was told by then is known afterwards."""
    scene = Scene()
    scene.passes(500, "ledger.1", "ledger.2", in_step=True)
    told = 1
    for _ in range(20):
        told = max([told, *led(scene.passes(1_200, "ledger.2"))])
        scene.beat(f"ledger.{scene.seating.started}")
        scene.disk.crash()
        scene.supervisor = scene.begun()
        assert scene.supervisor.epoch >= told


# --- where seats are led from -----------------------------------------------------------------------------------------
class Fleet:
    """Shards on nodes; every host lives, learns at once and is in step, but for those that are said to be lost."""

    def __init__(self, shards: int, standby: bool = False, growth: Growth | None = None) -> None:
        seats = {f"shard-{shard}": Seating(f"shard-{shard}.1", started=1) for shard in range(shards)}
        placed = {one.leader: "first" for one in seats.values()}
        self.now, self.lost, self.told = 0, set[str](), list[Envelope]()
        self.supervisor = Supervisor(SeededDisk(Random(1)), seats, PATIENCE, standby, 0, placed, growth)

    def passes(self, ms: int, **waits: int) -> None:
        """waits: ms, by node; each node is busy for a hundredth of it."""
        for _ in range(0, ms, 100):
            self.now += 100
            for node, wait_ms in waits.items():
                self.supervisor.receive(Load(node, wait_ms, wait_ms / 100), self.now)
            for order in list(self.supervisor.coming.values()):
                self._beat(order.seat, order.started)
            for seat, seating in list(self.supervisor.seats.items()):
                for host in seating.hosts:
                    self._beat(seat, host)
            self.told += self.supervisor.receive(Tick(), self.now)

    def _beat(self, seat: str, host: str) -> None:
        seating = self.supervisor.seats[seat]
        if host not in self.lost:
            beat = Beat(host, seat, self.supervisor.epoch, 0, host == seating.leader, bool(seating.follower), True)
            self.told += self.supervisor.receive(beat, self.now)

    @property
    def nodes(self) -> dict[str, str]:
        """By seat: where it is led from."""
        return {seat: self.supervisor.placed[one.leader] for seat, one in self.supervisor.seats.items()}

    @property
    def followers(self) -> dict[str, str]:
        seats = self.supervisor.seats.items()
        return {seat: self.supervisor.placed[one.follower] for seat, one in seats if one.follower}


@pytest.mark.parametrize("standby", [False, True])
def test_a_seat_is_led_from_another_node_once_that_has_all(standby: bool) -> None:
    fleet = Fleet(1, standby)
    fleet.passes(500)
    before = fleet.supervisor.seats["shard-0"].leader
    fleet.supervisor.receive(Move("shard-0", "second"), fleet.now)
    fleet.passes(1_000)
    assert fleet.nodes == {"shard-0": "second"}
    assert Replace("shard-0", (before,)) in orders(fleet.told), "who led it before is ended"
    assert fleet.followers == ({"shard-0": "first"} if standby else {}), "a standby is on the other node"


def test_a_seat_stays_where_it_is_when_nobody_comes_up_on_the_other_node() -> None:
    fleet = Fleet(1)
    fleet.passes(500)
    fleet.lost.add("shard-0.2")
    fleet.supervisor.receive(Move("shard-0", "second"), fleet.now)
    fleet.passes(6_000)
    assert (fleet.nodes, fleet.supervisor.moves) == ({"shard-0": "first"}, {})
    assert Replace("shard-0", ("shard-0.2",)) in orders(fleet.told)


def test_a_leader_is_replaced_while_its_seat_moves() -> None:
    fleet = Fleet(1)
    fleet.passes(500)
    fleet.lost |= {"shard-0.1", "shard-0.2"}  # neither the leader nor the one that was to lead
    fleet.supervisor.receive(Move("shard-0", "second"), fleet.now)
    fleet.passes(8_000)
    assert Replace("shard-0", ("shard-0.1",), "shard-0.3", node="first") in orders(fleet.told)
    assert fleet.nodes == {"shard-0": "first"}


def test_no_standby_is_placed_on_a_node_that_has_just_fallen_silent() -> None:
    fleet = Fleet(2, standby=True)
    fleet.supervisor.used.append("second")
    fleet.passes(2_000)
    assert set(fleet.followers.values()) == {"second"}
    for seating in fleet.supervisor.seats.values():
        fleet.lost.add(seating.follower)
    fleet.passes(2_000)
    assert set(fleet.followers.values()) == {"first"}, "where the leader is, for there is no other that lives"


def test_a_second_site_is_fed_and_not_led_from() -> None:
    """Nobody but a person says that the first site is gone, and a standby that is not there is of no use for that."""
    seats = {SEAT: Seating("ledger.1", started=1)}
    supervisor = Supervisor(SeededDisk(Random(1)), seats, PATIENCE, True, 0, {"ledger.1": "first"}, feeds="second")
    fleet = Fleet(0)
    fleet.supervisor = supervisor
    fleet.passes(1_000)
    assert fleet.followers == {SEAT: "second"}
    fleet.lost.add(supervisor.seats[SEAT].follower)
    fleet.passes(3_000)
    assert fleet.followers == {SEAT: "second"}, "another one, where the lost one was"
    fleet.lost.add("ledger.1")
    fleet.passes(3_000)
    assert fleet.nodes == {SEAT: "first"}
    led = supervisor.seats[SEAT].leader
    assert Replace(SEAT, ("ledger.1",), led, node="first") in orders(fleet.told), "its disk has all that was promised"


def test_who_cannot_recover_is_started_again() -> None:
    scene = Scene("")
    scene.passes(500, "ledger.1")
    scene.passes(1_200)
    out = scene.beat("ledger.3", error="input/output error")
    assert orders(out) == [Replace(SEAT, ("ledger.1", "ledger.3"), "ledger.4")]
    assert scene.seating.leader == "ledger.1"
    scene.beat("ledger.4")
    assert scene.seating.leader == "ledger.4"


SHARDS = tuple(f"shard-{shard}" for shard in range(4))
GROWTH = Growth(("second",), SHARDS, busy_ms=500, busy_for_ms=500, calm_ms=100, calm_for_ms=2_000, calm_load=0.7)


def test_a_node_is_added_when_batches_wait_and_given_back_when_they_do_not() -> None:
    fleet = Fleet(4, growth=GROWTH)
    fleet.passes(3_000, first=90)
    assert set(fleet.nodes.values()) == {"first"}
    fleet.passes(400, first=600)
    assert set(fleet.nodes.values()) == {"first"}, "a moment is no reason"
    fleet.passes(3_000, first=600)
    assert fleet.nodes == {"shard-0": "first", "shard-1": "first", "shard-2": "second", "shard-3": "second"}
    fleet.passes(5_000, first=40, second=40)
    assert set(fleet.nodes.values()) == {"first", "second"}, "one alone would be busy for 80 % of the time"
    fleet.passes(8_000, first=30, second=30)
    assert (set(fleet.nodes.values()), fleet.supervisor.used) == ({"first"}, ["first"])


def test_no_node_is_added_where_it_would_not_help() -> None:
    alone, none_left = Fleet(1, growth=Growth(("second",), SHARDS[:1])), Fleet(4, growth=Growth((), SHARDS))
    for fleet in (alone, none_left):
        fleet.passes(5_000, first=900)
        assert set(fleet.nodes.values()) == {"first"}


def test_a_learner_ends_with_the_leader_it_learns_from() -> None:
    """It may have heard of a record that the follower, which leads then, has not."""
    fleet = Fleet(1, standby=True)
    fleet.passes(1_000)
    fleet.supervisor.receive(Move("shard-0", "second"), fleet.now)
    (learner,) = fleet.supervisor.coming
    seating = fleet.supervisor.seats["shard-0"]
    fleet.supervisor.receive(Beat(learner, "shard-0", 0, 0, False), fleet.now)
    assert fleet.supervisor.seats["shard-0"].learner == learner
    for host, leads in ((seating.leader, True), (seating.follower, False)):
        fleet.supervisor.receive(Beat(host, "shard-0", fleet.supervisor.epoch, 9, leads, leads), fleet.now)
    error = Beat(seating.leader, "shard-0", fleet.supervisor.epoch, 9, True, error="no space left")
    out = fleet.supervisor.receive(error, fleet.now)
    assert orders(out)[0] == Replace("shard-0", (seating.leader, learner))
    assert fleet.supervisor.seats["shard-0"].leader == seating.follower
