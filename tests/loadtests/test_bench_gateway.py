"""`windtunnel bench --only gateway` at toy sizes: it measures what it says, and says when not to trust it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from engine.policy.tables import load_policy
from gateway.bodies import Decision
from loadtests import bench_gateway, bench_serve
from loadtests.bench_commands import benchmarks
from loadtests.bench_gateway import closed_row, gateway, open_row
from loadtests.bench_servers import BenchError, Server, all_answered, noop, running
from loadtests.http_client import Found
from scenarios.bench import measure
from scenarios.bench_rows import Row
from scenarios.exits import UsageError
from tests.gateway.process import awake
from tests.loadtests.test_http_client import FULL, OK, served

TURN = Found(
    seconds=5.0, done=20_000, statuses={"200": 20_000}, dropped=0, p50_ms=10.0, p99_ms=20.0, max_ms=40.0,
    late_ms_p99=0.5, late_ms_max=2.0, busy=0.4, answer_bytes=60, lost="",
)  # fmt: skip
IDLE = replace(TURN, done=100_000, p50_ms=1.0, p99_ms=2.0)


@pytest.fixture(scope="module")
def rows() -> Mapping[str, Row]:
    toy = {"CUSTOMERS": 200, "REQUESTS": 400, "CONNECTIONS": 8, "OPEN_CONNECTIONS": 8, "TURNS": 1, "OPEN_PER_S": 50.0,
           "EVENTS_EACH": 500, "EVENTS_CONNECTIONS": 2}  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, size in toy.items():
            patch.setattr(bench_gateway, name, size)
        return gateway(2.0, with_serve=False)


@pytest.mark.long
def test_a_gateway_that_runs_is_measured(rows: Mapping[str, Row]) -> None:
    closed, opened = rows["gateway"], rows["gateway_open"]
    assert closed.value > 20 and 0 < closed.ratio < 1
    assert "no figure of Ray Serve" in closed.note and closed.note.count(" 0 failed") == 2
    assert opened.value > 0 and opened.ratio > 0
    assert "0 of 100 dropped or failed, limit of 0 dropped kept" in opened.note
    for name in ("gateway_arrow", "gateway_lines"):
        assert rows[name].value > 500 and " 0 failed" in rows[name].note, rows[name]


def test_what_is_reached_and_missed_is_said() -> None:
    serve = replace(TURN, done=2_000)
    row = closed_row([TURN, replace(TURN, done=10_000)], [IDLE], [serve])
    assert (row.value, row.ratio) == (4_000.0, 10.0)
    assert "20.0% of the no-op, aim of 10 % reached" in row.note and "turns 2,000–4,000" in row.note
    assert "aim of 20 × Ray Serve MISSED, floor of 8 reached" in row.note
    assert closed_row([TURN], [replace(IDLE, done=300_000)], None).ratio == pytest.approx(1 / 15)
    assert "aim of 10 % MISSED" in closed_row([TURN], [replace(IDLE, done=300_000)], None).note


def test_a_client_that_is_what_is_measured_says_so() -> None:
    assert "SATURATED" not in closed_row([TURN], [IDLE], None).note
    assert "client 97% busy, SATURATED" in closed_row([TURN], [replace(IDLE, busy=0.97)], None).note
    assert "INVALID" not in open_row(TURN, IDLE).note
    assert "INVALID" in open_row(replace(TURN, late_ms_p99=9.0), IDLE).note
    assert "INVALID" in open_row(TURN, replace(IDLE, late_ms_p99=9.0)).note


def test_what_was_refused_counts_as_failed() -> None:
    row = open_row(replace(TURN, statuses={"200": 20_000, "429": 7}, dropped=3), IDLE)
    assert "10 of 5,000 dropped or failed, limit of 0 dropped EXCEEDED" in row.note
    assert "limit of 25 ms kept" in row.note and row.ratio == 10.0
    assert "limit of 25 ms EXCEEDED" in open_row(replace(TURN, p99_ms=25.1), IDLE).note


def test_ray_serve_decides_as_the_gateway_does(tmp_path: Path) -> None:
    """Without Ray: what its replica does with a batch, at night, too."""
    decider = bench_serve.Decider(load_policy(awake([str(bench_gateway.POLICY)], tmp_path / "shop")), 20)
    bodies = [b'{"customer":"c-%d","event":"page_view","page":"home","page_view":1}' % number for number in (3, 7, 3)]
    told = [msgspec.json.decode(text, type=Decision) for text in decider.decided(bodies)]
    assert [one.customer for one in told] == ["c-3", "c-7", "c-3"]
    shown = [None if one.show is None else one.show.campaign for one in told]
    assert shown == ["offer_of_the_week", "offer_of_the_week", None]


def test_a_server_that_refuses_is_not_measured() -> None:
    with noop(60) as nothing:
        assert all_answered(nothing, [nothing.request("POST", "/", b"{}")] * 3, 2).answer_bytes == 60
    with pytest.raises(BenchError, match="the client ended with 1: ConnectionRefusedError"):
        all_answered(nothing, [b"GET / HTTP/1.1\r\n\r\n"], 1)
    with (
        served(lambda number, request: FULL if number else OK) as port,
        pytest.raises(BenchError, match=r"3 requests must be answered with success \(got {'200': 1, '429': 2}"),
    ):
        all_answered(Server(port), [Server(port).request("GET", "/", b"")] * 3, 2)
    never = pytest.raises(BenchError, match="before it answered; it said last: IndexError")
    with never, running("loadtests.bench_noop", ["0"], nothing, "/"):
        pass


def test_an_option_out_of_bounds_is_refused() -> None:
    with pytest.raises(UsageError, match="--seconds must be between 1 and 3,600"):
        measure(["gateway"], benchmarks(0.5))
