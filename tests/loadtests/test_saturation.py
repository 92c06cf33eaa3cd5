"""What was full, told by process: names from a gateway's log, shares, and how unevenly shards were used."""

import json
from pathlib import Path
from typing import Any

import pytest

from loadtests.gauges import risen_between
from loadtests.host_processes import HostProcesses
from loadtests.machine import OTHERS, cores_of_machine
from loadtests.saturation import by_shard, nearest, of_target, saturated, skew
from results.capacity_words import what_was_full
from tests.loadtests.test_load_commands import STAGE


def logged(log: Path, host: str, process: int) -> None:
    with log.open("a") as file:
        file.write("no JSON\n" + json.dumps({"event": "recovered", "host": host, "process": process}) + "\n")


def test_processes_have_the_names_of_their_seats(tmp_path: Path) -> None:
    log = tmp_path / "log"
    known = HostProcesses(log)
    known.read()  # nothing was logged yet
    for at, host in enumerate(("ledger.1", "shard-0.1", "shard-1.1", "shard-1.2")):
        logged(log, host, 10 + at)
    known.read()
    title = "ray::HostProcess.receive"
    assert [known.name(process, title) for process in range(10, 14)] == [
        "Ledger", "shard 0", "shard 1", "shard 1 (host 2)"]  # fmt: skip
    assert (known.name(20, title), known.name(21, "raylet")) == ("a spare host", "Ray's own processes")
    with log.open("a") as file:
        file.write('{"event": "recovered", "host": "shard-0.3", "proc')  # a line that is still being written
    known.read()
    assert known.latest("shard-0") == 11
    with log.open("a") as file:
        file.write('ess": 20}\n')
    known.read()
    assert known.name(20, title) == "shard 0 (host 3)" and known.latest("shard-0") == 20
    logged(log, "shard-0.4", 11)  # an id that was another process's before
    known.read()
    assert known.name(11, title) == "shard 0 (host 4)" and known.latest("shard-0") == 11


CORES = {"gateway": 0.5, "shard 0": 0.3, "shard 1": 0.1, "shard 1 (host 2)": 0.1, "Ray's own processes": 0.6,
         "generator": 0.95, "generator 1": 0.2, OTHERS: 0.1}  # fmt: skip


def test_shares_are_of_the_target() -> None:
    assert of_target(CORES) == pytest.approx(1.6) and of_target({"generator": 0.3, OTHERS: 1.0}) is None
    assert nearest(CORES) == ("gateway", 0.5)
    assert by_shard(CORES) == {"shard 0": 0.3, "shard 1": 0.2}


def test_a_shard_that_gets_more_is_seen() -> None:
    assert skew({"0": 30.0, "1": 10.0}) == pytest.approx(1.5) and skew({"0": 20.0, "1": 20.0}) == 1.0
    assert skew({"0": 30.0}) is None and skew({"0": 0.0, "1": 0.0}) is None
    name = "windtunnel_shard_events_total"
    samples = [(at, {f"{name}/0": 10.0 + 30 * at, f"{name}/1": 10.0 * at, "other/0": at}) for at in (1.0, 2.0, 3.0)]
    assert risen_between(samples, name, 1.0, 3.0) == {"0": 60.0, "1": 20.0}
    assert risen_between(samples, name, 2.5, 3.0) == {}


@pytest.mark.parametrize(
    ("cores", "full", "words"),
    [
        ({"gateway": 0.95, "shard 0": 0.2}, "process", "gateway was full, with 0.95 of the one core it can use"),
        ({"gateway": 0.2, OTHERS: cores_of_machine()}, "machine", "the machine was full: "),
        ({"generator": 0.4}, "nothing", "what the service used cannot be seen from here; 0.4 of this machine's"),
        ({"gateway": 0.4, "shard 0": 0.5}, "nothing", "no core was full: 0.9 of this machine's"),
    ],
)
def test_what_was_full_leads(cores: dict[str, float], full: str, words: str) -> None:
    rows: list[dict[str, Any]] = [
        {"rate": rate, "kept": kept, "invalid": [], **STAGE, "cores": of}
        for rate, kept, of in ((100.0, True, {}), (900.0, False, {"gateway": 3.0}), (400.0, False, cores))
    ]
    found = saturated(rows)
    assert (found["rate"], found["full"]) == (400.0, full)
    assert what_was_full(found).startswith(words), what_was_full(found)
    assert saturated(rows[:1]) == {}
