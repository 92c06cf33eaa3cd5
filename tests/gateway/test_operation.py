"""What whoever runs a gateway sees of it: readiness, metrics, log; and the pages and pictures that speak of them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import typer

import windtunnel
from engine.host.process import Recovery
from engine.host.switch import Event
from gateway import logs, serve
from gateway.dispatcher import Dispatcher, Flight
from gateway.doorkeeper import CONNECTIONS_MAX, IDLE_S, STRANGER_S, Caller, Doorkeeper
from gateway.metrics import Counts, Pulse
from gateway.wellness import EVENTS_KEPT, Witness
from tests.gateway.secured import Secured

ROOT = Path(__file__).resolve().parent.parent.parent
PHONE, DEVICE = "13800138000", "device-of-somebody"


# --- connections ------------------------------------------------------------------------------------------------------
DOOR = """
case                            known  under_way  silent_s            others  shut
opened just now                 no     0          0                   0       no
nothing for too long            no     0          STRANGER_S+1    0       yes
kept, between two requests      yes    0          STRANGER_S+1    0       no
kept for too long               yes    0          IDLE_S+1            0       yes
waits for its answer            yes    1          IDLE_S+1            0       no
idle in a crowd                 yes    0          5                   80      yes
asked just now, in a crowd      yes    0          0.5                 80      no
waits, in a crowd               yes    1          5                   80      no
"""


@pytest.mark.parametrize("line", DOOR.strip().splitlines()[1:])
def test_who_is_shut_out(line: str) -> None:
    case, known, under_way, silent, others, shut = re.split(r"\s{2,}", line)
    names = {"STRANGER_S": STRANGER_S, "IDLE_S": IDLE_S}
    now, silent_s = 1_000.0, float(eval(silent, names))
    door = Doorkeeper(1, most=100)
    door.callers = {f"other-{number}": Caller(now) for number in range(int(others))}
    door.callers["it"] = Caller(now - silent_s, known == "yes", int(under_way))
    door.open = len(door.callers)
    assert door._to_shut(list(door.callers), now) == (["it"] if shut == "yes" else []), case


def test_strangers_go_before_whoever_has_a_key() -> None:
    door = Doorkeeper(1, most=4)
    door.callers = {"shop": Caller(0.0, True), "new": Caller(6.0), "old": Caller(2.0), "bank": Caller(5.0, True)}
    for there, gone in ((4, ["old"]), (5, ["old", "new"]), (6, ["old", "new", "shop"])):
        door.open = there
        assert door._to_shut(list(door.callers), 9.0) == gone


def test_connections_are_found_shut_and_forgotten() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as elsewhere:
        door = Doorkeeper(listening.getsockname()[1])
        caller = socket.create_connection(listening.getsockname())
        taken, (_, port) = listening.accept()
        assert door.sweep(0.0) == 0 and list(door.callers) == [f"127.0.0.1:{port}"]
        door.began(f"127.0.0.1:{port}", 1.0)
        assert door.sweep(STRANGER_S + 5.0) == 0, "it waits for its answer"
        door.ended(f"127.0.0.1:{port}", 20.0, is_known=True)
        assert door.sweep(20.0 + IDLE_S - 1.0) == 0
        assert (door.sweep(20.0 + IDLE_S + 1.0), door.shut) == (1, 1)
        assert caller.recv(1) == b"" and taken.recv(1) == b""
        taken.close()
        caller.close()
        assert door.sweep(200.0) == 0 and door.callers == {} and elsewhere.fileno() > 0


# --- counting ---------------------------------------------------------------------------------------------------------
def test_counting_costs_less_than_three_microseconds() -> None:
    counts, door, times = Counts(), Doorkeeper(1), 100_000
    began = time.perf_counter()
    for _ in range(times):
        door.began("127.0.0.1:5", 1.0)
        counts.told("decision", "shown")
        counts.answered("POST", "/v1/decide", 200, 0.0031)
        door.ended("127.0.0.1:5", 1.0, is_known=True)
    assert (time.perf_counter() - began) / times < 3e-6 * 3, "three times that on a machine that is shared"
    assert dict(counts.times["/v1/decide"].buckets)["0.003"] == 0
    assert dict(counts.times["/v1/decide"].buckets)["0.005"] == times


def test_the_age_of_a_batch_is_not_made_young_by_sending_it_again() -> None:
    dispatcher = Dispatcher("g", 2, lambda: 0)
    pulse = Pulse(dispatcher)
    batch: Any = SimpleNamespace(number=7)
    dispatcher.lanes[1].flights.append(Flight(batch, [], 0))
    pulse.beat(0.0, 10.0)
    dispatcher.lanes[1].flights[0].sent_ms = 5_000
    pulse.beat(0.2, 12.0)
    assert (pulse.age_s(1, 13.0), pulse.age_s(0, 13.0), pulse.lag_s) == (3.0, 0.0, 0.2)
    dispatcher.lanes[1].flights.clear()
    pulse.beat(0.0, 14.0)
    assert pulse.age_s(1, 15.0) == 0.0


# --- log --------------------------------------------------------------------------------------------------------------
def test_a_flood_of_requests_is_no_flood_of_lines() -> None:
    lines: list[tuple[str, dict[str, Any]]] = []
    told = logs.RequestLog(lambda event, **what: lines.append((event, what)))
    for _ in range(10_000):
        told.answered("POST", "/v1/decide", 401, 0.001, "")
        told.answered("POST", "/v1/decide", 504, 30.0, "shop")
        told.answered("POST", "/v1/decide", 200, 0.001, "shop")
    told.sum_up()
    told.sum_up()
    assert len(lines) == logs.SLOW_LINES_MAX + 3
    sums = [(event, what.get("status"), what["count"]) for event, what in lines if "count" in what]
    assert sums == [("refused", 401, 10_000), ("refused", 504, 10_000), ("slow", None, 10_000 - logs.SLOW_LINES_MAX)]


def test_a_missing_disk_is_told_once_and_events_are_bounded() -> None:
    lines: list[tuple[str, Any]] = []
    switch: Any = SimpleNamespace(events=[])
    witness = Witness(switch, lambda event, **what: lines.append((event, what.get("host"))))

    def happens(what: str, host: str, told: Any = None) -> None:
        switch.events.append(Event(0.0, what, host, told))
        witness.heard(switch.events[-1])

    for number in range(3, 2_003):
        happens("no disk", f"shard-0.{number}", (f"shard-0.{number - 1}",))
    happens("no disk", "shard-1.3", ("shard-1.1",))
    happens("recovered", "shard-0.2003", Recovery(5, 0.0, 0.0, 0.0, 1))
    happens("no disk", "shard-0.2004", ("shard-0.2003",))
    told = [("no disk", "shard-0.3"), ("no disk", "shard-1.3"), ("recovered", "shard-0.2003")]
    assert lines == [*told, ("no disk", "shard-0.2004")]
    assert len(switch.events) == EVENTS_KEPT and witness.counts["no disk"] == 2_002


# --- the process ------------------------------------------------------------------------------------------------------
def test_nobody_is_named_in_the_log(secured: Secured) -> None:
    assert secured.ask("PUT", f"/v1/customers/{PHONE}", {"consent": ["push"]}).status_code == 201
    login = {"customer": PHONE, "event": "login", "origin": {"device": DEVICE}}
    assert secured.ask("POST", "/v1/decide", login).status_code == 200
    for body in (login | {"page": PHONE}, {"customer": f"{PHONE}0", "event": "login"}, f'"{PHONE}'.encode()):
        assert secured.ask("POST", "/v1/decide", body).status_code >= 400
    secured.ask("GET", f"/{PHONE}?phone={PHONE}", role=f"wt_{PHONE}")
    secured.ask("GET", f"/v1/decide?phone={PHONE}", role=f"wt_{PHONE}")
    said = (secured.folder / "errors.txt").read_text()
    assert not any(word in said for word in (PHONE, DEVICE, *secured.secrets.values()))
    asked = [line for line in secured.log if line["event"] == "request"]
    assert {"method": "PUT", "route": "/v1/customers/{customer}", "status": 201, "key": "client"}.items() <= next(
        line for line in asked if line["method"] == "PUT"
    ).items()
    assert {"starts", "started", "recovered", "epoch", "ready"} <= {line["event"] for line in secured.log}


def test_http_2_over_tls(secured: Secured) -> None:
    headers = {"authorization": f"Bearer {secured.secrets['client']}"}
    secured.ask("PUT", "/v1/customers/h2", {})
    with httpx.Client(http2=True, verify=secured.trust, headers=headers) as client:
        for _ in range(5):
            answer = client.post(f"{secured.url}/v1/decide", json={"customer": "h2", "event": "login"})
            assert (answer.http_version, answer.status_code) == ("HTTP/2", 200)


@pytest.mark.parametrize(("role", "status"), [("", 401), ("client", 403), ("strategist", 403), ("auditor", 200)])
def test_metrics_are_for_who_runs_it(role: str, status: int, secured: Secured) -> None:
    assert secured.ask("GET", "/metrics", role=role).status_code == status


def test_what_happens_is_counted(secured: Secured) -> None:
    secured.ask("PUT", "/v1/customers/m-1", {"consent": ["push"]})
    before = secured.metrics()
    for number in range(3):
        body = {"customer": "m-1", "event": "page_view", "page": "home", "page_view": number + 1}
        secured.ask("POST", "/v1/decide", body)
    secured.ask("POST", "/v1/claim", {"customer": "m-1", "coupon": "everyday_10"})
    for number in range(30):
        secured.ask("GET", f"/nowhere-{number}", role="")
    after = secured.metrics()

    def more(name: str) -> float:
        return after.get(name, 0.0) - before.get(name, 0.0)

    assert more('windtunnel_requests_total{method="POST",route="/v1/decide",status="200"}') == 3
    assert more('windtunnel_response_seconds_count{route="/v1/decide"}') == 3
    assert more('windtunnel_response_seconds_bucket{le="+Inf",route="/v1/decide"}') == 3
    assert more('windtunnel_decisions_total{reason="shown"}') == 1
    assert more('windtunnel_claims_total{answer="done"}') == 1
    assert more('windtunnel_requests_total{method="other",route="other",status="404"}') == 30
    assert more("windtunnel_customers") == 0 and after["windtunnel_customers_max"] == 200
    assert after['windtunnel_campaign_paused{campaign="offer_of_the_week"}'] == 0
    assert after['windtunnel_hosts{seat="shard-0",state="leads"}'] == 1
    assert 85 < after["windtunnel_certificate_days_left"] < 91 and 390 < after["windtunnel_calendar_days_left"] < 402
    assert after['windtunnel_journal_bytes{host="shard-0.1"}'] > 0 and after["windtunnel_ready"] == 1


def test_it_says_who_is_lost_and_when_all_is_well_again(secured: Secured) -> None:
    """A host is killed, and its disk is away: nobody is told to ask there. The disk comes back, and all is well."""
    recovered = {line["host"]: line["process"] for line in secured.log if line["event"] == "recovered"}
    disk = secured.folder / "hosts" / "shard-1.1"
    disk.rename(secured.folder / "away")
    os.kill(recovered["shard-1.1"], signal.SIGKILL)
    secured.until(lambda: secured.ask("GET", "/readyz", role="").status_code == 503)
    reasons = ["shard-1 has no leader", "no disk of shard-1.1 was found"]
    secured.until(lambda: secured.ask("GET", "/readyz", role="").json() == {"ready": False, "reasons": reasons})
    lost = secured.metrics()
    assert lost['windtunnel_seat_without_leader{seat="shard-1"}'] == 1
    assert (lost['windtunnel_hosts{seat="shard-1",state="no disk"}'], lost["windtunnel_ready"]) == (1, 0)
    (secured.folder / "away").rename(disk)
    secured.until(lambda: secured.ask("GET", "/readyz", role="").status_code == 200)
    assert secured.metrics()['windtunnel_seat_without_leader{seat="shard-1"}'] == 0
    told = [line for line in secured.log if line["event"] == "no disk"]
    assert len(told) == 1 and told[0]["looked_for"] == ["shard-1.1"]


# --- pages and pictures -----------------------------------------------------------------------------------------------
PAGE = ROOT / "docs" / "operating.md"
DASHBOARD = ROOT / "docs" / "grafana.json"
UNIT = ROOT / "docs" / "windtunnel.service"
NAME = re.compile(r"\b(?:windtunnel|process)_[a-z_]+[a-z]\b")
SUFFIX = re.compile(r"_(bucket|count|sum)$")


def families(secured: Secured) -> set[str]:
    """Names of metrics, a counter's with _total."""
    text = secured.ask("GET", "/metrics", role="operator").text
    found = re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE)
    return {name for name in found if name.startswith(("windtunnel_", "process_"))}


def queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def test_metrics_that_are_named_exist_and_all_of_ours_are_told(secured: Secured) -> None:
    there = families(secured)
    drawn = {SUFFIX.sub("", name) for query in queries() for name in NAME.findall(query)}
    said = {SUFFIX.sub("", name) for name in NAME.findall(PAGE.read_text("utf-8"))}
    assert drawn - there == set() and said - there == set()
    assert {name for name in there if name.startswith("windtunnel_")} - said == set(), "docs/operating.md tells all"
    assert {"windtunnel_ready", "windtunnel_seat_without_leader", "windtunnel_campaign_paused", "windtunnel_hosts",
            "windtunnel_queue_events", "windtunnel_disk_free_bytes", "windtunnel_customers"} <= drawn  # fmt: skip


def test_every_event_of_the_log_is_told(secured: Secured) -> None:
    told = set(re.findall(r"^\| `([a-z ]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "gateway").glob("*.py"))
    logged = set(re.findall(r"\blog\(\s*\"([a-z ]+)\"", sources))
    noted = set(re.findall(r"\.note\(\"([a-z ]+)\"", (ROOT / "engine" / "host" / "switch.py").read_text("utf-8")))
    assert logged | noted == told
    assert {line["event"] for line in secured.log} <= told


def options_of_serve() -> set[str]:
    command: Any = typer.main.get_command(windtunnel.app)
    return {option for one in command.commands["serve"].params for option in one.opts}


def test_the_unit_starts_what_there_is() -> None:
    unit = UNIT.read_text("utf-8").replace("\\\n", " ")
    (start,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert " serve " in start and set(re.findall(r"--[a-z-]+", start)) <= options_of_serve()
    (stop,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert int(stop) > 2 * serve.ENDS_WITHIN_S, "answering what was taken, and then ending HTTP"
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "RestartPreventExitStatus=2", "Restart=on-failure"):
        assert re.search(f"^{line}$", unit, re.MULTILINE), line
    (files,) = re.findall(r"^LimitNOFILE=(\d+)$", unit, re.MULTILINE)
    assert int(files) >= CONNECTIONS_MAX + 1_024


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "windtunnel.service"
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text("utf-8"), flags=re.MULTILINE)
    unit.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "windtunnel.service" in line]
    assert ours == [], done.stderr
    unit.write_text(text.replace("ProtectSystem=strict", "ProtectSystem=strickt"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "strickt" in done.stderr or "ProtectSystem" in done.stderr, "it would have seen a mistake"
