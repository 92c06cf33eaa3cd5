"""The supervisor: who is promoted, who is started again, and that nobody hears of what it could forget."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from engine.host.messages import Beat, Envelope, Lead, Replace, Tick
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
    assert scene.seating.follower == "ledger.3"


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
