"""What the gateway answers over HTTP, against a server that does nothing and against the same decisions on Ray Serve.

One client asks all of them in the same run, in turns; each figure is the best of its turns, since other work on the
machine only ever slows one down.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from loadtests import bench_events, bench_serve
from loadtests.bench_events import Kind, view
from loadtests.bench_servers import Server, all_answered, measured, noop, ours, ray_serve
from loadtests.http_client import CLOSED, OPEN, Found
from scenarios.bench_rows import Row, kept, reached, say

POLICY = Path(__file__).resolve().parent.parent / "scenarios" / "library" / "policies" / "coupon_shop.yaml"
CUSTOMERS, SHARDS = 10_000, 2
REQUESTS = 20_000  # different ones, sent in turns
CONNECTIONS, OPEN_CONNECTIONS = 64, 100
CLOSED_S, TURNS = 5.0, 3
EVENTS_EACH, EVENTS_CONNECTIONS = 20_000, 4
OPEN_S, OPEN_PER_S = 60.0, 1_000.0
UNIT = "decisions/s over HTTP"
OURS, NOOP, SERVE = "the gateway", "no-op", "Ray Serve"

SERVE_AIM, SERVE_FLOOR = 20.0, 8.0  # times
NOOP_AIM = 0.10  # of what a server answers that does nothing
P99_LIMIT_MS = 25.0
SATURATED = 0.9  # share of a core above which the client may be what is measured
LATE_LIMIT_MS = 5.0  # of the client itself


def gateway(seconds: float = OPEN_S, with_serve: bool = True) -> dict[str, Row]:
    """Rows by name. seconds: of the open loop, and at most of a turn of the closed one. Raises BenchError."""
    turn_s = min(seconds, CLOSED_S)
    with ours(POLICY, CUSTOMERS, SHARDS) as server:
        say(f"gateway: putting {CUSTOMERS:,} customers")
        all_answered(server, puts(server), CONNECTIONS)
        size = all_answered(server, decides(server)[:CUSTOMERS], CONNECTIONS).answer_bytes
        with noop(size) as nothing:
            mine, idle = closed_turns({OURS: server, NOOP: nothing}, turn_s)
            opened = [open_loop(name, one, seconds) for name, one in ((OURS, server), (NOOP, nothing))]
        many = {kind: many_turns(server, kind, turn_s) for kind in bench_events.KINDS}
    serve = serve_turns(turn_s) if with_serve and bench_serve.is_installed() else None
    rows = {"gateway": closed_row(mine, idle, serve), "gateway_open": open_row(*opened)}
    return rows | {f"gateway_{kind.name}": many_row(kind, turns, best(mine)) for kind, turns in many.items()}


# --- what is asked ----------------------------------------------------------------------------------------------------
def puts(server: Server) -> list[bytes]:
    body = b'{"consent":["push"]}'
    return [server.request("PUT", f"/v1/customers/c-{number}", body) for number in range(CUSTOMERS)]


def decides(server: Server) -> list[bytes]:
    """Page views of customers in a mixed order."""
    bodies = [json.dumps(view(number, CUSTOMERS), separators=(",", ":")).encode() for number in range(REQUESTS)]
    return [server.request("POST", "/v1/decide", body) for body in bodies]


# --- turns ------------------------------------------------------------------------------------------------------------
def closed_turns(servers: Mapping[str, Server], seconds: float) -> list[list[Found]]:
    """Turns of each server, one after the other in each turn."""
    turns: dict[str, list[Found]] = {name: [] for name in servers}
    for turn in range(TURNS):
        for name, server in servers.items():
            found = measured(server, decides(server), mode=CLOSED, connections=CONNECTIONS, seconds=seconds)
            turns[name].append(found)
            say(f"gateway: {name}, turn {turn + 1} of {TURNS}: {found.per_s:,.0f}/s, p99 {found.p99_ms:.1f} ms")
    return list(turns.values())


def serve_turns(seconds: float) -> list[Found]:
    with ray_serve(POLICY, CUSTOMERS) as server:
        all_answered(server, decides(server)[:CUSTOMERS], CONNECTIONS)
        (turns,) = closed_turns({SERVE: server}, seconds)
        return turns


def open_loop(name: str, server: Server, seconds: float) -> Found:
    say(f"gateway: {name}, {OPEN_PER_S:,.0f} requests/s for {seconds:g} s")
    return measured(server, decides(server), mode=OPEN, connections=OPEN_CONNECTIONS, seconds=seconds, per_s=OPEN_PER_S)


def many_turns(server: Server, kind: Kind, seconds: float) -> list[Found]:
    """Requests of EVENTS_EACH events each."""
    bodies = bench_events.bodies(kind, CUSTOMERS, EVENTS_EACH)
    requests = [server.request("POST", "/v1/events", body, kind.media_type) for body in bodies]
    turns = []
    for turn in range(TURNS):
        turns.append(measured(server, requests, mode=CLOSED, connections=EVENTS_CONNECTIONS, seconds=seconds))
        rate = turns[-1].per_s * EVENTS_EACH
        say(f"gateway: {kind.words}, turn {turn + 1} of {TURNS}: {rate:,.0f} events/s")
    return turns


# --- rows -------------------------------------------------------------------------------------------------------------
def best(turns: Sequence[Found]) -> Found:
    return max(turns, key=lambda turn: turn.per_s)


def closed_row(turns: Sequence[Found], nothing: Sequence[Found], serve: Sequence[Found] | None) -> Row:
    mine, idle = best(turns), best(nothing)
    share = mine.per_s / idle.per_s
    note = (
        f"{CONNECTIONS} connections that ask again at once, {CUSTOMERS:,} customers, {SHARDS} shards, every batch on "
        f"disk before its answer; turns {min(turn.per_s for turn in turns):,.0f}–{mine.per_s:,.0f}\n"
        f"{told(OURS, mine)}\n{told(NOOP, idle)}\n"
        f"{share:.1%} of the no-op, {reached(100 * share, '%', 100 * NOOP_AIM)}"
    )
    if serve is None:
        baseline = f"a server that does nothing, {idle.per_s:,.0f}/s"
        return Row(mine.per_s, UNIT, baseline, share, f"{note}\nno figure of Ray Serve: {why_no_serve()}")
    peer = best(serve)
    times = mine.per_s / peer.per_s
    note += f"\n{told(SERVE, peer)}; in memory\n{reached(times, '× Ray Serve', SERVE_AIM, SERVE_FLOOR)}"
    baseline = f"Ray Serve {version('ray')}, one replica, in batches, {peer.per_s:,.0f}/s"
    return Row(mine.per_s, UNIT, baseline, times, note)


def why_no_serve() -> str:
    if bench_serve.is_installed():
        return "it was not asked for"
    return "it is not installed (pip install -c constraints.txt -e '.[bench]')"


def told(name: str, turn: Found) -> str:
    """A line about one server."""
    client = f"client {turn.busy:.0%} busy" + (", SATURATED: a bound from below" if turn.busy > SATURATED else "")
    return (
        f"{name}: {turn.per_s:,.0f}/s, p50 {turn.p50_ms:.2f} ms, p99 {turn.p99_ms:.2f} ms, "
        f"{failed(turn):,} failed; {client}"
    )


def failed(turn: Found) -> int:
    """Dropped, and answered without success."""
    return turn.dropped + sum(turn.statuses.values()) - turn.done


def open_row(mine: Found, idle: Found) -> Row:
    due = round(OPEN_PER_S * mine.seconds)
    late = max(mine.late_ms_p99, idle.late_ms_p99) <= LATE_LIMIT_MS
    note = (
        f"{kept(mine.p99_ms, P99_LIMIT_MS, 'ms')}; {OPEN_PER_S:,.0f} requests/s for {mine.seconds:.0f} s whatever is "
        f"answered, timed from when they were due; {failed(mine):,} of {due:,} dropped or failed, "
        f"{kept(failed(mine), 0, 'dropped')}\n"
        f"the gateway: p50 {mine.p50_ms:.2f} ms, p99 {mine.p99_ms:.2f} ms, at most {mine.max_ms:.0f} ms\n"
        f"no-op: p50 {idle.p50_ms:.2f} ms, p99 {idle.p99_ms:.2f} ms, at most {idle.max_ms:.0f} ms, {failed(idle):,} "
        f"dropped\nthe client itself was late by {mine.late_ms_p99:.2f} ms (p99), {mine.late_ms_max:.1f} at most, "
        f"{idle.late_ms_p99:.2f} and {idle.late_ms_max:.1f} beside the no-op"
        + ("" if late else f": INVALID, it must be at most {LATE_LIMIT_MS:g} ms")
    )
    ratio = mine.p99_ms / idle.p99_ms if idle.p99_ms else 0.0
    baseline = f"a server that does nothing, {idle.p99_ms:.2f} ms"
    return Row(mine.p99_ms, f"ms p99 at {OPEN_PER_S:,.0f}/s", baseline, ratio, note)


def many_row(kind: Kind, turns: Sequence[Found], single: Found) -> Row:
    """single: the same gateway, a request a decision."""
    mine = best(turns)
    rate = mine.per_s * EVENTS_EACH
    note = (
        f"{reached(rate, 'events/s', kind.aim)}; {EVENTS_EACH:,} events a request of {kind.words}, "
        f"{EVENTS_CONNECTIONS} connections; turns {min(turn.per_s for turn in turns) * EVENTS_EACH:,.0f}–{rate:,.0f}\n"
        f"{told(OURS, mine)}"
    )
    return Row(rate, "events/s over HTTP", f"a request a decision, {single.per_s:,.0f}/s", rate / single.per_s, note)
