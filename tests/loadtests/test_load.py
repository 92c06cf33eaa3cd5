"""Load on a real service over real sockets by real Locust processes: the rate, the law, the faults it must show."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from loadtests.bench_servers import ROOT, Server, free_port, running
from loadtests.capacity import SaturatedError
from loadtests.capacity_run import found_capacity
from loadtests.generator import tape as tapes
from loadtests.generator.adapters import adapter_in
from loadtests.generator.arrivals import UNIFORM, schedule_of
from loadtests.generator.plan import LoadPlan
from loadtests.generator.profiles import PROFILES, level
from loadtests.journeys import Mix, People, lived
from loadtests.load_commands import SCENARIO
from loadtests.load_found import Slo, as_found
from loadtests.load_run import Bench, Loaded, LoadOptions, taped
from loadtests.planning import planned
from loadtests.target import Target
from scenarios.exits import UsageError

ADAPTER = Path(__file__).with_name("plain_adapter.py")
OPTIONS = LoadOptions(SCENARIO, customers=300, days=1, url="http://nowhere", adapter=ADAPTER, mix=Mix(bulk=0.0))
STALL_S = 0.3


@pytest.fixture(scope="module")
def people() -> People:
    return lived(OPTIONS.scenario, OPTIONS.customers, OPTIONS.days, OPTIONS.seed)


@contextmanager
def plain(per_s: float = 0.0) -> Iterator[tuple[str, int]]:
    """Address and process of a service that is held to a rate."""
    server = Server(free_port())
    with running("tests.loadtests.plain_service", [str(server.port), str(per_s)], server, "/offer?uid=1") as process:
        yield f"http://127.0.0.1:{server.port}", process


@contextmanager
def bench(people: People, url: str, folder: Path, **how: Any) -> Iterator[Bench]:
    options = replace(OPTIONS, url=url, **how)
    yield Bench(options, Target(url, adapter_in(ADAPTER)), PROFILES["steady"], people, folder)


def found_of(loaded: Loaded, slo: str | None = None) -> dict[str, Any]:
    return as_found(loaded, [], Slo.parse(slo) if slo else None, {})


def test_nothing_of_locust_is_in_a_process_of_tests() -> None:
    """It would patch sockets and threads under Ray; its plugin of pytest does so wherever it is not left out."""
    assert "gevent" not in sys.modules and "locust" not in sys.modules


def test_the_same_seed_sends_the_same_bytes(people: People) -> None:
    adapter = adapter_in(ADAPTER)
    one, other = (taped(people, OPTIONS, PROFILES["steady"], adapter) for _ in range(2))
    again = taped(lived(OPTIONS.scenario, 300, 1, 2), OPTIONS, PROFILES["steady"], adapter)
    assert one.digest == other.digest != again.digest
    assert {route.action for route in one.routes} == {"offer", "basket"}


@pytest.mark.parametrize("generators", [1, pytest.param(2, marks=pytest.mark.long)])
def test_every_arrival_is_handed_over_in_time(people: People, generators: int, tmp_path: Path) -> None:
    """However many generators share them."""
    with plain() as (url, _), bench(people, url, tmp_path, generators=generators) as one:
        loaded = one.run([level("steady", 3.0, 300.0)])
    found, (times, due) = found_of(loaded, "p99=1000ms"), (handed_over(loaded), scheduled(loaded))
    assert not found["not_reached"] and not found["slo_missed"], found
    assert found["stages"][0]["offered"] == found["stages"][0]["done"] == len(due)
    assert (times >= due).all() and np.median(times - due) < 0.002
    assert found["all"]["response_ms"]["p50"] >= found["all"]["service_ms"]["p50"]


def handed_over(loaded: Loaded) -> np.ndarray:
    return np.sort(np.concatenate(loaded.times))


def scheduled(loaded: Loaded) -> np.ndarray:
    return schedule_of(loaded.plan.stages, loaded.plan.seed, loaded.plan.law).due_s


@pytest.mark.long
def test_a_rate_is_kept_with_its_law(people: People, tmp_path: Path) -> None:
    """On a machine that does nothing else: 500/s within 1 %, with exponential gaps.

    One process sends one request at a time, in 0.2 ms: of two that fall due nearer together the second is late. That is
    a distance of 0.03 from the law, which any number of arrivals beyond a few thousand would tell from none.
    """
    with plain() as (url, _), bench(people, url, tmp_path) as one:
        loaded = one.run([level("steady", 30.0, 500.0)])
    found, times = found_of(loaded, "p99=25ms"), handed_over(loaded)
    assert found["valid"] and not found["slo_missed"], found["invalid"]
    assert (len(times) - 1) / (times[-1] - times[0]) == pytest.approx(500.0, rel=0.01)
    assert stats.kstest(np.diff(times) * 500.0, "expon").statistic < 0.05
    assert stats.kstest(np.diff(times[::10]) * 500.0, stats.gamma(10).cdf).pvalue > 0.001  # where 0.2 ms are nothing


def test_a_stall_shows(people: People, tmp_path: Path) -> None:
    """The service stands still for 300 ms, as a collector of garbage would have it. Ninety requests fall due meanwhile,
    nearly all of one journey: they wait for the service, and not for connections that other journeys have.
    """
    with plain() as (url, process), bench(people, url, tmp_path, connections=150) as one:
        in_turns(one)
        stalls = threading.Timer(4.0, stand_still, [process])
        stalls.start()
        loaded = one.run([level("steady", 5.0, 300.0)])
        stalls.join()
    every = found_of(loaded)["all"]
    times = every["response_ms"]
    assert times["p99"] > 150.0 and times["max"] > 250.0, times
    assert every["waited"] == 0


def in_turns(bench: Bench) -> None:
    """A second of each journey, and again."""
    index = bench.tape.index
    index["journey"] = np.arange(len(index)) // 300 % len(tapes.JOURNEYS)
    tapes.written(bench.tape, bench.folder / "tape")


@pytest.mark.long
def test_a_closed_loop_does_not_show_it(tmp_path: Path) -> None:
    """Ten users who wait are ten late requests of thousands: the table above would have said that all is well."""
    with plain() as (url, process):
        assert closed_loop(url, process, tmp_path) < 100.0


def stand_still(process: int) -> None:
    os.kill(process, signal.SIGSTOP)
    time.sleep(STALL_S)
    os.kill(process, signal.SIGCONT)


def closed_loop(url: str, process: int, folder: Path) -> float:
    """p99 in ms that an ordinary locustfile of ten users says of the same stall."""
    file = Path(__file__).with_name("closed_loop.py")
    words = ["-f", str(file), "--headless", "-u", "10", "-r", "10", "-t", "6s", "--host", url, "--json"]
    stalls = threading.Timer(4.5, stand_still, [process])
    stalls.start()
    command = [sys.executable, "-m", "locust", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    stalls.join()
    (said,) = json.loads(done.stdout)
    assert said["num_requests"] > 1_500
    slow, left = int(0.01 * said["num_requests"]), {float(ms): many for ms, many in said["response_times"].items()}
    for ms in sorted(left, reverse=True):
        slow -= left[ms]
        if slow < 0:
            return ms
    raise AssertionError("nobody was answered")


def test_a_starved_generator_is_invalid(people: People, tmp_path: Path) -> None:
    """It stands still again and again while requests fall due."""
    with plain() as (url, _), bench(people, url, tmp_path) as one, starved():
        loaded = one.run([level("steady", 3.0, 300.0)])
    found = found_of(loaded)
    assert not found["valid"] and "late (p99)" in " ".join(found["invalid"]), found["invalid"]


@pytest.mark.long
def test_a_starved_generator_finds_no_capacity(people: People, tmp_path: Path) -> None:
    """Requests wait in it for longer than the objective, and not at the service."""
    with plain() as (url, _), bench(people, url, tmp_path) as one, starved(), pytest.raises(SaturatedError):
        found_capacity(one, Slo.parse("p99=20ms"), 3.0, 2, print)


def test_locust_by_hand_is_given_a_plan() -> None:
    """By another process, for its own cannot live a scenario."""
    with plain() as (url, _):
        said = {"profile": "spike", "url": url, "adapter": str(ADAPTER), "customers": 200, "rate": 90.0, "seconds": 5.0}
        plan = LoadPlan.read(planned(said))
    assert plan.url == url and max(stage.to_per_s for stage in plan.stages) == 90.0
    assert len(tapes.read(Path(plan.tape))) > 100
    with pytest.raises(UsageError, match=r"--rate must be between(?s:.*)--adapter must be a file(?s:.*)--url must be"):
        planned({"profile": "spike", "adapter": "nix", "rate": 0.0})


@pytest.mark.long
def test_locust_is_started_by_hand(tmp_path: Path) -> None:
    """Its own table of service times, by journey."""
    words = ["--headless", "--load-adapter", str(ADAPTER), "--load-customers", "200", "--load-rate", "100"]
    with plain() as (url, _):
        done = by_hand("--host", url, "--load-seconds", "2", *words)
    assert done.returncode == 0 and re.search(r"^shopper +offer +[1-9]\d+ +0\(0.00%\)", done.stderr + done.stdout, re.M)
    wrong = by_hand("--headless", "--load-adapter", "nix", "--load-rate", "0")
    assert wrong.returncode != 0
    for said in ("--load-rate must be between", "--load-adapter must be a file", "--host must be given"):
        assert said in wrong.stderr, wrong.stderr


def by_hand(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_a_throttled_service_is_found_within_5_percent(people: People, tmp_path: Path) -> None:
    with plain(per_s=400.0) as (url, _), bench(people, url, tmp_path, law=UNIFORM) as one:
        found, rows = found_capacity(one, Slo.parse("p99=60ms"), 3.0, 2, print)
    assert found.per_s == pytest.approx(400.0, rel=0.05) and not found.is_bound, rows
    assert found.low <= 400.0 * 1.02 and found.high >= 400.0 * 0.98


@contextmanager
def starved() -> Iterator[None]:
    ended = threading.Event()
    starving = threading.Thread(target=starve, args=(ended,))
    starving.start()
    try:
        yield
    finally:
        ended.set()
        starving.join()


def starve(ended: threading.Event) -> None:
    """Stop our own generators for a tenth of the time."""
    import psutil

    while not ended.wait(0.4):
        for child in psutil.Process().children(recursive=True):
            if "locust" in child.cmdline():
                child.suspend()
        time.sleep(0.06)
        for child in psutil.Process().children(recursive=True):
            if "locust" in child.cmdline():
                child.resume()


@pytest.mark.long  # other tests would make the generator late, which is told first
def test_a_service_that_cannot_keep_up_is_said_so(people: People, tmp_path: Path) -> None:
    with plain(per_s=100.0) as (url, _), bench(people, url, tmp_path) as one:
        found = found_of(one.run([level("steady", 4.0, 300.0)]), "p99=100ms")
    (row,) = found["stages"]
    assert found["valid"] and found["not_reached"] == found["slo_missed"] == ["steady"], found["invalid"]
    assert row["waited"] > row["dropped"] > 0 and row["achieved_per_s"] == pytest.approx(100.0, rel=0.1)
