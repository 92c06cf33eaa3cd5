"""Drills on real processes: what is broken is noticed, nothing is lost, and a loss would be seen."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.host.journal import MARK
from engine.host.replica import Care, Promise
from loadtests.company import DrillError, same, undisturbed
from loadtests.drill_commands import as_found, drill, told
from loadtests.drills import DRILLS, POLICY, POPULATION, STEP_MS, hold
from loadtests.held import SHARD, Drill, DrillOptions, Held, Scene
from loadtests.site import SECOND
from loadtests.site_drill import STATE, sites
from loadtests.traffic import record_traffic
from scenarios.exits import Exit

ROOT = Path(__file__).resolve().parent.parent.parent
SMALL = DrillOptions(customers=1_000, days=1)


def held(drill: Drill, folder: Path, options: DrillOptions = SMALL) -> Held:
    return hold(drill, options, folder, lambda share: None)


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("standby", [pytest.param(False, marks=pytest.mark.long), True])
def test_a_killed_shard_loses_nothing(standby: bool, tmp_path: Path) -> None:
    found = held(DRILLS["kill-shard"], tmp_path, replace(SMALL, standby=standby))
    assert found.is_whole and found.acknowledged == found.events > 4_000
    assert found.parts.detected is not None and found.parts.answered is not None
    assert (found.parts.replayed is None) == standby, "a standby has nothing to load"
    assert "Nothing was lost" in told(as_found(found))[0]


def forget_two_records(scene: Scene) -> None:
    """The process dies, and what it had written last is gone from its disk; the earlier of the two was answered."""
    host = scene.company.leader(SHARD)
    scene.company.fleet.signal(host, "kill")
    segment = max((scene.company.switch.folder / host).glob(f"{SHARD}.journal-*"))
    data = segment.read_bytes()
    segment.write_bytes(data[: data.rindex(MARK, 0, data.rindex(MARK))])


@pytest.mark.long
@pytest.mark.usefixtures("ray_cluster")
def test_a_lost_promise_is_seen(tmp_path: Path) -> None:
    found = held(Drill("forgetful", SHARD, "a shard forgets", forget_two_records), tmp_path)
    assert not found.is_whole and found.lost > 0
    assert "PROMISES WERE BROKEN" in told(as_found(found))[0]


@pytest.mark.usefixtures("ray_cluster")
def test_a_disk_that_is_gone_is_not_made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that began with an empty one would have forgotten everything, and nobody would hear of it."""

    def take_disk(scene: Scene) -> None:
        host = scene.company.leader(SHARD)
        scene.company.fleet.signal(host, "kill")
        shutil.rmtree(scene.company.switch.folder / host)

    monkeypatch.setattr("loadtests.drills.STALLS_FOR_S", 3.0)
    with pytest.raises(DrillError, match=r"an answer took more than 3 s; no disk of shard-0\.1 was found"):
        held(Drill("diskless", SHARD, "a disk is gone", take_disk), tmp_path)


@pytest.mark.usefixtures("ray_cluster")
def test_an_interval_is_forgotten_and_sent_again(tmp_path: Path) -> None:
    found = held(DRILLS["kill-shard"], tmp_path, replace(SMALL, promise=Promise.INTERVAL, interval_ms=10_000))
    assert found.is_whole and found.acknowledged == found.events
    assert 0 < found.forgotten < found.events and 0.0 < found.forgotten_s < 10.0
    first, second, *_, last = told(as_found(found))
    assert "The promise was kept" in first and "at most 10 s is what was promised" in second
    assert last.startswith("Loss of power: what was not synced is gone (")


@pytest.mark.long
@pytest.mark.usefixtures("ray_cluster")
def test_what_is_older_than_the_interval_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is told another interval than the client syncs too seldom, and is found out."""
    monkeypatch.setattr("loadtests.held.allowed_of", lambda options: 0.01)
    found = held(DRILLS["kill-shard"], tmp_path, replace(SMALL, promise=Promise.INTERVAL, interval_ms=10_000))
    assert not found.is_whole and 0 < found.lost <= found.forgotten
    assert found.digests_equal, "all was sent again"


MAY_FORGET_LONG = [
    (name, promise)
    for promise in (Promise.INTERVAL, Promise.MEMORY)
    for name in ("kill-ledger", "random-kills", "torn-tail", "freeze-shard")
]


@pytest.mark.long
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(("name", "promise"), MAY_FORGET_LONG)
def test_every_promise_is_kept(name: str, promise: Promise, tmp_path: Path) -> None:
    found = held(DRILLS[name], tmp_path, replace(SMALL, promise=promise, interval_ms=300, times=5))
    assert found.is_whole and found.acknowledged == found.events
    assert promise == Promise.INTERVAL or found.forgotten > 0


@pytest.mark.long
@pytest.mark.parametrize("promise", Promise)
def test_a_lost_node_loses_nothing(promise: Promise, tmp_path: Path) -> None:
    """In a process of its own: two nodes need a Ray of their own."""
    command = [sys.executable, "-m", "windtunnel", "drill", "lose-node", "--customers", "1000", "--days", "1"]
    command += ["--promise", promise.value, "--objective", "30", "--json", "--out", str(tmp_path)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout)
    assert found["whole"] and found["acknowledged"] == found["events"]
    assert found["seconds_since_struck"]["answered"] is not None, "standbys lead"


LONG: list[tuple[str, Callable[[Held], bool]]] = [
    ("kill-ledger", lambda one: one.parts.replayed is not None),
    ("kill-worker", lambda one: one.parts.answered is not None),
    ("freeze-shard", lambda one: one.parts.detected is not None and one.parts.detected > 0.5),
    ("torn-tail", lambda one: one.parts.replayed is not None),
    ("full-disk", lambda one: one.worst_s > 2.0),
    ("slow-fsync", lambda one: one.parts.replayed is None),
    ("move-shard", lambda one: "was led from node-2" in one.notes[0] and one.worst_s < 5.0),
]


@pytest.mark.long
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(("name", "holds"), LONG, ids=[name for name, _ in LONG])
def test_every_drill_loses_nothing(name: str, holds: Callable[[Held], bool], tmp_path: Path) -> None:
    found = held(DRILLS[name], tmp_path)
    assert found.is_whole and found.acknowledged == found.events
    assert holds(found)


@pytest.mark.long
@pytest.mark.usefixtures("ray_cluster")
def test_a_hundred_kills(tmp_path: Path) -> None:
    found = held(DRILLS["random-kills"], tmp_path, DrillOptions(times=100))
    assert len(found.outages) == 100
    assert found.is_whole and found.acknowledged == found.events > 100_000


@pytest.mark.long
@pytest.mark.usefixtures("ray_cluster")
def test_a_burst_has_a_node_added_and_given_back(tmp_path: Path) -> None:
    found = held(DRILLS["scale-out"], tmp_path, DrillOptions(customers=5_000, days=1))
    assert found.is_whole and found.acknowledged == found.events
    assert found.curve is not None and found.unheld is not None
    assert (found.curve.most_nodes, found.unheld.most_nodes) == (2, 1)
    added, given_back = found.curve.first_with(2), found.curve.back_to(1)
    assert added is not None and given_back is not None and added < given_back
    during = [wait for at, _, wait in found.curve.samples if at < added + 3.0]
    assert max(during) == pytest.approx(found.curve.worst_s, rel=0.5), "batches wait less once it is there"


@pytest.mark.long
def test_the_second_site_has_everything(tmp_path: Path) -> None:
    found = held(DRILLS["site-failover"], tmp_path)
    assert found.is_whole and found.acknowledged == found.events > 4_000
    assert found.parts.answered is not None and found.parts.answered < 10.0


class Way:
    """Between two ports of this machine; it can be cut."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.ends: list[socket.socket] = []
        self.is_cut = False

    def __call__(self, port: int) -> int:
        threading.Thread(target=self._accept, args=(port,), daemon=True).start()
        return int(self.listener.getsockname()[1])

    def _accept(self, port: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                here = self.listener.accept()[0]
                if self.is_cut:
                    here.close()
                    continue
                there = socket.create_connection(("127.0.0.1", port))
                self.ends += [here, there]
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
        other.close()

    def cut(self) -> None:
        self.is_cut = True
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self.is_cut = False


@pytest.mark.long
def test_a_site_that_is_cut_off_is_missed_by_nobody_and_fed_again(tmp_path: Path) -> None:
    traffic, way = record_traffic(POLICY, POPULATION, SMALL.customers, SMALL.days, STEP_MS), Way()
    truth = undisturbed(traffic, 2)
    with sites(traffic, 2, tmp_path, Care(records_between_snapshots=20), way) as here:
        here.wait_until_fed()
        here.client.most = 40
        here.client.began = time.time()
        here.until(lambda: here.client.acknowledged > 0, 30.0, "the first answer")
        way.cut()
        here.until(lambda: set(here.client.done.values()) == {40}, 60.0, "going on alone")
        way.mend()
        here.client.most = 80
        here.until(lambda: set(here.client.done.values()) == {80}, 60.0, "going on")
        time.sleep(2.0)
        here.wait_until_fed()
        here.lose()
        assert "refused" not in here.take_over()
        here.client.most = None
        here.until(lambda: here.client.is_done, 120.0, "going on at the second site")
        end = here.ask(SECOND, STATE, 30.0)
    assert end["digests"] == truth.digests and end["decided"] == truth.decided
    assert all(same(answer, here.client.answers[key]) for key, answer in truth.answers.items())


GIVEN = {
    "customers": 500, "days": 1, "shards": 2, "standby": False, "promise": "durable", "interval_ms": 1_000,
    "objective_s": 5.0, "times": 1, "seed": 1, "address": None,
}  # fmt: skip


def test_wrong_use_says_everything_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {"customers": 5, "promise": "x", "interval_ms": 5, "objective_s": 0.0}
    assert drill("kill-shar", tmp_path / "runs", False, **GIVEN | wrong) == Exit.WRONG_USE
    said = capsys.readouterr().err.splitlines()
    assert [line.split(" must")[0] for line in said] == [
        "a drill",
        "--customers",
        "--interval-ms",
        "--promise",
        "--objective",
    ]
    assert not (tmp_path / "runs").exists()


def test_what_is_not_tried_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert drill("kill-worker", tmp_path / "runs", False, **GIVEN | {"promise": "memory"}) == Exit.WRONG_USE
    assert capsys.readouterr().err.startswith("--promise must be durable for kill-worker (got memory): ")


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("lose-node", {"address": "10.0.0.1:6379"}, "--address has no meaning for lose-node (got 10.0.0.1:6379): "),
        ("site-failover", {"address": "auto"}, "--address has no meaning for site-failover (got auto): "),
        ("scale-out", {"shards": 1}, "--shards must be at least 2 for scale-out (got 1): "),
    ],
)
def test_what_has_no_meaning_for_a_drill_is_refused(
    name: str, given: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drill(name, tmp_path / "runs", False, **GIVEN | given) == Exit.WRONG_USE
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.usefixtures("ray_cluster")
def test_json_is_all_that_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert drill("kill-worker", tmp_path, True, **GIVEN) == Exit.FINE
    found = json.loads(capsys.readouterr().out)
    assert found["whole"] and found["lost"] == 0
    assert Path(found["report"]).exists()
