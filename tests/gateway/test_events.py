"""Many at once: JSON lines and Arrow say the same, every problem is said with its row, all are taken or none."""

import functools
import io
import json
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from engine.policy.tables import load_policy
from engine.records import DECISION, NONE, Reason
from gateway import arrow, arrow_customers, json_lines
from gateway.asking import Asking
from gateway.blocks import joined as joined_parts
from gateway.blocks import whole
from gateway.bodies import Decide
from gateway.customer_rows import CustomerChecking
from gateway.dictionary import BodyError, Dictionary
from gateway.engine_room import compiled_for
from gateway.event_answers import Shows
from gateway.event_rows import Checking, Found, Work
from gateway.many import ARROW_STREAM, JSON_LINES, joined
from gateway.speaking import Speaking, Words
from tests.gateway.process import LIBRARY, Gateway

NOW = 1_800_000_000_000
KNOWN = {f"c-{number}": number for number in range(5)}


@functools.cache
def dictionary() -> Dictionary:
    return Dictionary(compiled_for(load_policy(LIBRARY / "coupon_shop.yaml"), NOW))


def speaking() -> Speaking:
    return Speaking(0, Words(dictionary(), dictionary(), dictionary(), None))


def finished(work: Work[Found]) -> Found:
    """Done without letting anybody else have a turn."""
    while True:
        try:
            next(work)
        except StopIteration as stop:
            found: Found = stop.value
            return found


def checking() -> Checking:
    return Checking(dictionary(), lambda ids: [KNOWN.get(id, NONE) for id in ids], b"pepper", NOW)


def lines_of(rows: list[dict[str, Any]]) -> bytes:
    return b"\n".join(json.dumps(row).encode() for row in rows)


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """As columns say it."""
    whole = {name: value for name, value in row.items() if name not in ("amount", "origin")}
    if "amount" in row:
        whole["amount_fen"] = round(float(row["amount"]) * 100)
    return whole | row.get("origin", {})


def stream_of(rows: list[dict[str, Any]], **kinds: pa.DataType) -> bytes:
    columns = [flat(row) for row in rows]
    names = dict.fromkeys(name for row in columns for name in row)
    table = pa.table({name: pa.array([row.get(name) for row in columns], kinds.get(name)) for name in names})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    return sink.getvalue()


def read_lines(body: bytes) -> tuple[bytes, list[tuple[str, str]]]:
    """Events and origins as bytes; problems."""
    found = checking()
    pieces = finished(json_lines.events_in(body, found, 100_000))
    return b"".join(piece.events.tobytes() + piece.origins.tobytes() for piece in pieces), found.problems.told


def read_stream(body: bytes) -> tuple[bytes, list[tuple[str, str]]]:
    found = checking()
    rows = finished(found.rows(finished(arrow.events_in(arrow.table_in(body)))))
    return rows.events.tobytes() + rows.origins.tobytes(), found.problems.told


ORIGINS = some.fixed_dictionaries(
    {"card": some.sampled_from(["card-1", "card-2"])},
    optional={
        "device": some.sampled_from(["phone-1", "phone-2"]),
        "ip": some.sampled_from(["203.0.113.7", "198.51.100.1"]),
        "agent": some.sampled_from(["app", "script"]),
        "address": some.just("Some Street 1"),
    },
)
EVENTS = some.fixed_dictionaries(
    {"customer": some.sampled_from(sorted(KNOWN)), "event": some.sampled_from(["login", "page_view", "check_in"])},
    optional={
        "page": some.sampled_from(["home", "goods"]),
        "city": some.sampled_from(["beijing", "xian"]),
        "page_view": some.integers(1, 2**53),
        "dwell_ms": some.integers(0, 10_000),
        "amount": some.sampled_from(["0", "20.5", "9999999.99"]),
        "campaign": some.sampled_from(["welcome", "come_back"]),
        "exposure": some.integers(0, 2_000_000_000),
        "time_ms": some.integers(0, NOW + 1_000),
        "channel": some.sampled_from(["push", "email"]),
        "origin": ORIGINS,
    },
)


@settings(max_examples=60, deadline=None)
@given(some.lists(EVENTS, min_size=1, max_size=12))
def test_json_lines_and_arrow_say_the_same(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["event"] == "page_view":
            row["page"] = "home"
    events, problems = read_lines(lines_of(rows))
    assert problems == []
    assert (events, []) == read_stream(stream_of(rows))


@settings(max_examples=60, deadline=None)
@given(some.lists(EVENTS, min_size=1, max_size=12))
def test_each_row_says_what_it_would_say_alone(rows: list[dict[str, Any]]) -> None:
    """Read a line or two at a time, and as many requests of one event that share a batch."""
    rows = [(row | {"page": "home"} if row["event"] == "page_view" else row) for row in rows]
    asking, found = Asking(dictionary(), b"pepper"), checking()
    plain = [{name: value for name, value in row.items() if name != "time_ms"} for row in rows]
    bodies = [msgspec.convert(row, Decide) for row in plain]
    blocks = [asking.decide(body, KNOWN[body.customer], lambda outcome: None) for body in bodies]
    alone = joined_parts([whole(block) for block in blocks])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lines, "SLICE_BYTES", 100)
        together = joined(finished(json_lines.events_in(lines_of(plain), found, 100)))
    assert together.events.tolist() == alone.events.tolist()
    assert together.origins.tolist() == alone.origins.tolist()


HOME = {"customer": "c-1", "event": "page_view", "page": "home"}
WRONG: list[tuple[dict[str, Any], str, str]] = [  # what one row says, path, words
    ({"page": "attic"}, "page", "must be a page of the policy: home, goods"),
    ({"customer": "c-99"}, "customer", "must be a customer who is known (got c-99)"),
    ({"event": "click"}, "campaign", "must be given with click (got nothing)"),
    ({"event": "payment"}, "amount", "must be given with payment (got nothing)"),
    ({"time_ms": NOW + 1_001}, "time_ms", "must be at most 1,000 ms ahead of our clock (got 1,001 ms ahead)"),
    ({"origin": {"ip": "1.2.3.999"}}, "origin.ip", "must be an IPv4 address like 203.0.113.7 (got 1.2.3.999)"),
]


@pytest.mark.parametrize(("said", "path", "words"), WRONG)
def test_what_is_wrong_is_said_with_its_row(said: dict[str, Any], path: str, words: str) -> None:
    rows = [HOME, HOME | said, HOME]
    _, problems = read_lines(lines_of(rows))
    assert any(where == f"$[1].{path}" and words in what for where, what in problems), problems
    column = {"amount": "amount_fen", "origin.ip": "ip"}.get(path, path)
    _, problems = read_stream(stream_of(rows))
    assert any(where == f"$[1].{column}" and words in what for where, what in problems), problems


def test_a_line_that_is_no_event_is_said_beside_the_others() -> None:
    lines = [
        json.dumps(HOME),
        '{"customer":',
        "",
        json.dumps(HOME | {"page_view": "5"}),
        json.dumps(HOME | {"page": "x"}),
    ]
    _, problems = read_lines("\n".join(lines).encode())
    assert [path for path, _ in problems] == ["$[1]", "$[2].page_view", "$[3].page"]


def test_the_first_hundred_problems_are_said_and_how_many_more() -> None:
    _, problems = read_lines(lines_of([HOME | {"page": "attic", "customer": "nobody"}] * 2_000))
    assert len(problems) == 101
    assert problems[:3] == [
        ("$[0].customer", "must be a customer who is known (got nobody)"),
        ("$[0].page", "must be a page of the policy: home, goods, coupons, cart, order, … (got attic)"),
        ("$[1].customer", "must be a customer who is known (got nobody)"),
    ]
    assert problems[-1] == ("$", "and 3,900 more problems")


COLUMNS: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "of another type": (
        {"customer": ["c-1"], "event": ["login"], "dwell_ms": ["5"]},
        [("$.dwell_ms", "must be int64, or a smaller integer (got string)")],
    ),
    "nobody knows": (
        {"customer": ["c-1"], "event": ["login"], "colour": ["red"]},
        [("$.colour", "must be one of the")],
    ),
    "that lacks": (
        {"customer": ["c-1"]},
        [("$.event", "must be a column of string, or a dictionary of them (got none)")],
    ),
}


@pytest.mark.parametrize("what", COLUMNS)
def test_a_column_is_wrong(what: str) -> None:
    columns, wanted = COLUMNS[what]
    with pytest.raises(BodyError) as raised:
        finished(arrow.events_in(pa.table(columns)))
    for (path, words), (where, found) in zip(wanted, raised.value.problems, strict=True):
        assert path == where and words in found


def test_both_answers_say_the_same() -> None:
    decisions = np.zeros(4, DECISION)
    decisions["time_ms"], decisions["late"] = [5, 6, 7, 8], [0, 1, 0, 0]
    decisions["reason"] = [Reason.SHOWN, Reason.COOL_DOWN, Reason.SHOWN, Reason.NO_CANDIDATE]
    decisions["campaign"] = [*[dictionary().numbers["campaign"][name] for name in ("welcome",) * 3], NONE]
    decisions["exposure"], decisions["arm"] = [3, NONE, 9, NONE], [0, 0, 0, NONE]
    for tells_why in (False, True):
        shows, orders = Shows(speaking(), tells_why), np.zeros(len(decisions), np.int64)
        lines = [json.loads(line) for line in finished(json_lines.answer(decisions, orders, shows)).splitlines()]
        rows = arrow.table_in(arrow.answer(shows.columns(decisions, orders))).to_pylist()
        told = [{name: value for name, value in row.items() if value not in (None, False)} for row in rows]
        assert lines == told
        assert lines[0]["campaign"] == "welcome" and ("reason" in lines[0]) == tells_why and "campaign" not in lines[1]


def test_customers_of_a_file_are_checked_by_column() -> None:
    table = pa.table({
        "customer": ["c-1", "c 2", "c-3"], "balance_fen": [5, -1, None], "tags": [["price_sensitive"], ["x"], None],
        "birth_date": ["1990-05-17", "1990-02-30", None], "consent": [["push", "sms"], [], None],
        "personalisation": [False, None, True], "card_used": [True, None, None],
    })  # fmt: skip
    found = CustomerChecking(dictionary(), lambda ids: [], b"pepper", 0)
    rows = finished(found.profiles(finished(arrow_customers.columns_in(table, 10))))
    assert [path for path, _ in found.problems.told] == [
        "$[11].balance_fen", "$[11].birth_date", "$[11].customer", "$[11].tags",
    ]  # fmt: skip
    assert rows[["balance", "tags", "birth_date", "consent", "marks", "marks_given"]][0].item() == (
        5, 1, 19900517, 6, 6, 6,
    )  # fmt: skip
    assert rows["given"][2] == 0 and rows["marks_given"][2] == 4 and rows["marks"][2] == 0


# --- over the real process --------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    found = Gateway(tmp_path_factory.mktemp("gateway"))
    found.start()
    yield found
    found.end(signal.SIGTERM)


def send(gateway: Gateway, body: bytes, kind: str, role: str = "client", path: str = "/v1/events") -> httpx.Response:
    return gateway.ask("POST", path, body, role, content_type=kind)


def parquet(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_customers_are_imported_all_or_none(gateway: Gateway) -> None:
    kind, ids = "application/vnd.apache.parquet", [f"c-{number}" for number in range(150)]
    for wrong, status in (({"customer": [*ids, "c 1"]}, 422), ({"customer": [f"d-{n}" for n in range(201)]}, 507)):
        assert send(gateway, parquet(wrong), kind, "operator", "/v1/customers").status_code == status
    assert send(gateway, parquet({"customer": ids}), kind, path="/v1/customers").status_code == 403
    columns = {"customer": ids, "consent": [["push"]] * 150, "tier": ["plus"] * 150}
    answers = [send(gateway, parquet(columns), kind, "operator", "/v1/customers").json() for _ in range(2)]
    assert answers == [{"new": 150, "known": 0, "erased": 0}, {"new": 0, "known": 150, "erased": 0}]


def test_many_are_answered_in_their_order(gateway: Gateway) -> None:
    """Who has paid three times is valuable, and is shown one thing on the page of coupons: once. At any hour."""
    customers = [f"c-{number}" for number in range(150)]
    payments = [{"customer": one, "event": "payment", "amount": "500.00"} for _ in range(3) for one in customers]
    page: dict[str, Any] = {"event": "page_view", "page": "coupons"}
    pages = [page | {"customer": one, "page_view": view} for view in (1, 2) for one in customers]
    answer = send(gateway, lines_of(payments + pages), JSON_LINES, "operator")
    assert answer.headers["content-type"] == JSON_LINES
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert len(told) == 750 and not any("campaign" in one for one in told[:450])
    first, second = told[450:600], told[600:]
    shown = [one for one in first if "campaign" in one]
    assert len(shown) > 130 and {(one["campaign"], one["exposure"]) for one in shown} == {("bigger_basket", 0)}
    assert not any("campaign" in one for one in second), "the order of one customer's events is kept"
    assert {one["reason"] for one in second} <= {"campaign_cap", "held_out"}
    again = send(gateway, stream_of(pages[:150]), ARROW_STREAM)
    table = arrow.table_in(again.content)
    assert table.num_rows == 150 and table["campaign"].null_count == 150 and "reason" not in table.column_names


def test_nothing_is_taken_where_something_is_wrong(gateway: Gateway) -> None:
    click: dict[str, Any] = {"customer": "c-140", "event": "consent_withdrawn", "channel": "push"}
    for body, kind in ((lines_of([click, click | {"customer": "x"}]), JSON_LINES),
                       (stream_of([click, click | {"customer": "x"}]), ARROW_STREAM)):  # fmt: skip
        answer = send(gateway, body, kind)
        assert (answer.status_code, answer.json()["problems"]) == (
            422, [{"path": "$[1].customer", "message": "must be a customer who is known (got x)"}],
        )  # fmt: skip


def test_a_source_says_when(gateway: Gateway) -> None:
    one: dict[str, Any] = {"customer": "c-149", "event": "check_in"}
    (now,) = [json.loads(line)["time_ms"] for line in send(gateway, lines_of([one]), JSON_LINES).text.splitlines()]
    body = lines_of([one | {"time_ms": now + 500}, one | {"time_ms": now - 5_000}, one | {"time_ms": now + 600_000}])
    assert send(gateway, body, JSON_LINES).json()["problems"][0]["path"] == "$[2].time_ms"
    told = [json.loads(line) for line in send(gateway, b"\n".join(body.split(b"\n")[:2]), JSON_LINES).text.splitlines()]
    assert [one.get("late", False) for one in told] == [False, True] and told[0]["time_ms"] <= told[1]["time_ms"]


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"{}", "application/json", 415, "content-type must be application/x-ndjson or"),
        (b" " * (16 * 1024 * 1024 + 1), JSON_LINES, 413, "at most 16,777,216 bytes"),
        (
            lines_of([HOME]) + b"\n" + lines_of([{"customer": "c-1", "event": "login"}] * 50_000),
            JSON_LINES,
            413,
            "50,000",
        ),
        (b"no stream", ARROW_STREAM, 400, "must be an Arrow IPC stream"),
        (b"", JSON_LINES, 200, ""),
    ],
)
def test_a_request_that_is_none(body: bytes, kind: str, status: int, words: str, gateway: Gateway) -> None:
    answer = send(gateway, body, kind)
    assert answer.status_code == status and words in answer.text, answer.text
