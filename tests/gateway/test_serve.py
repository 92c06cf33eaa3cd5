"""`windtunnel serve` as its callers meet it: over HTTP, with keys, through a kill and a stop."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import commands
from gateway.incoming import LEFT_MAX
from scenarios.exits import Exit
from tests.gateway.process import CUSTOMERS, Gateway, free_port


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    found = Gateway(tmp_path_factory.mktemp("gateway"))
    found.start()
    for number in range(4):
        assert found.ask("PUT", f"/v1/customers/c-{number}", {"consent": ["push"]}).status_code == 201
    yield found
    if found.process is not None and found.process.poll() is None:
        found.end(signal.SIGTERM)


LOGIN = {"customer": "c-1", "event": "login"}
CART = {"lines": [{"unit_price": "60.00", "quantity": 2}], "shipping": "8.00"}

WRONG: dict[str, tuple[str, str, Any, int, str]] = {
    "no JSON": ("POST", "/v1/decide", b'{"customer":', 400, "must be JSON"),
    "not UTF-8": ("POST", "/v1/decide", b'{"customer":"\xff"}', 400, "must be JSON"),
    "no body": ("POST", "/v1/decide", b"", 400, "must be JSON"),
    "a field too many": ("POST", "/v1/decide", LOGIN | {"colour": "red"}, 422, "unknown field `colour`"),
    "a field too few": ("POST", "/v1/decide", {"customer": "c-1"}, 422, "missing required field `event`"),
    "a number as text": ("POST", "/v1/decide", LOGIN | {"page_view": "5"}, 422, "$.page_view"),
    "a word nobody knows": ("POST", "/v1/decide", LOGIN | {"event": "logon"}, 422, "$.event"),
    "a page nobody knows": ("POST", "/v1/decide", LOGIN | {"page": "attic"}, 422, "must be a page of the policy: home"),
    "no such address": ("POST", "/v1/decide", LOGIN | {"origin": {"ip": "1.2.3.999"}}, 422, "$.origin.ip"),
    "money as a number": ("POST", "/v1/decide", LOGIN | {"amount": 5}, 422, "$.amount"),
    "a cart of nothing": ("POST", "/v1/checkout", {"customer": "c-1", "lines": []}, 422, "$.lines"),
    "a coupon nobody knows": ("POST", "/v1/claim", {"customer": "c-1", "coupon": "gold"}, 422, "$.coupon"),
    "a day that is none": ("PUT", "/v1/customers/c-1", {"birth_date": "1990-02-30"}, 422, "$.birth_date"),
    "an id that is none": ("PUT", "/v1/customers/c 1", {}, 422, "matching regex"),
    "an id and a new line": ("PUT", "/v1/customers/c-1%0A", {}, 422, "matching regex"),
    "no id": ("PUT", "/v1/customers/", {}, 404, "nothing is at /v1/customers/"),
    "a channel nobody names": ("POST", "/v1/decide", LOGIN | {"event": "consent_withdrawn"}, 422, "$.channel"),
    "a click on nothing": ("POST", "/v1/decide", LOGIN | {"event": "click"}, 422, "$.exposure"),
    "money and a new line": ("POST", "/v1/decide", LOGIN | {"event": "top_up", "amount": "20.5\n"}, 422, "$.amount"),
    "nobody": ("POST", "/v1/decide", LOGIN | {"customer": "c-99"}, 404, "no customer has this id: c-99"),
    "nowhere": ("POST", "/v1/divide", LOGIN, 404, "nothing is at /v1/divide"),
    "another method": ("GET", "/v1/decide", None, 405, "/v1/decide answers POST"),
    "too much": ("POST", "/v1/decide", b" " * 70_000, 413, "at most 65,536 bytes"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said(what: str, gateway: Gateway) -> None:
    method, path, body, status, words = WRONG[what]
    answer = gateway.ask(method, path, body)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text


UNREAD: dict[str, tuple[str, str, bytes, int]] = {
    "too much": ("client", "/v1/decide", b" " * 70_000, 413),
    "far too much": ("client", "/v1/decide", b" " * 3_000_000, 413),
    "a stranger": ("", "/v1/decide", b" " * 60_000, 401),
    "nowhere": ("client", "/v1/divide", b" " * 60_000, 404),
}


@pytest.mark.parametrize("what", UNREAD)
def test_a_body_that_nobody_read_does_not_spoil_what_is_asked_next(what: str, gateway: Gateway) -> None:
    role, path, body, status = UNREAD[what]
    for _ in range(100):
        refused = gateway.ask("POST", path, body, role=role)
        said = refused.headers.get("connection")
        assert (refused.status_code, said) == (status, "close" if len(body) > LEFT_MAX else None)
        assert gateway.ask("POST", "/v1/decide", LOGIN).status_code == 200


def test_every_problem_of_a_body_is_said_at_once(gateway: Gateway) -> None:
    body = {"customer": "c-1", "event": "page_view", "page": "attic", "city": "Atlantis", "campaign": "x"}
    problems = gateway.ask("POST", "/v1/decide", body).json()["problems"]
    assert [problem["path"] for problem in problems] == ["$.page", "$.city", "$.campaign"]


@pytest.mark.parametrize(("role", "status"), [("", 401), ("wt_guessed", 401), ("auditor", 403), ("strategist", 403)])
def test_nobody_gets_in_who_should_not(role: str, status: int, gateway: Gateway) -> None:
    assert gateway.ask("POST", "/v1/decide", LOGIN, role=role).status_code == status
    assert gateway.ask("PUT", "/v1/customers/c-50", {}, role=role).status_code == status


def test_a_message_is_shown_and_counted(gateway: Gateway) -> None:
    body = {"customer": "c-2", "event": "page_view", "page": "home", "page_view": 1}
    first = gateway.ask("POST", "/v1/decide", body).json()
    assert first["show"]["campaign"] == "offer_of_the_week" and first["show"]["exposure"] == 0
    again = gateway.ask("POST", "/v1/decide", body | {"page_view": 2}, role="operator").json()
    assert "show" not in again and again["reason"] in ("cool_down", "campaign_cap", "channel_cap", "total_cap")
    assert "reason" not in gateway.ask("POST", "/v1/decide", body | {"page_view": 3}).json()


def test_a_coupon_is_claimed_and_used(gateway: Gateway) -> None:
    claimed = gateway.ask("POST", "/v1/claim", {"customer": "c-3", "coupon": "everyday_10"}, idempotency_key="k-1")
    assert claimed.json() | {"time_ms": 0} == {
        "customer": "c-3", "time_ms": 0, "answer": "done", "coupon": "everyday_10", "number": 0,
    }  # fmt: skip
    again = gateway.ask("POST", "/v1/claim", {"customer": "c-3", "coupon": "everyday_10"}, idempotency_key="k-1").json()
    assert (again["answer"], again["number"]) == ("done", 0), "the same one"
    quote = gateway.ask("POST", "/v1/checkout", CART | {"customer": "c-3"}).json()
    assert (quote["paid"], quote["discount"], quote["coupons"]) == ("118.00", "10.00", ["everyday_10"])
    assert gateway.ask("POST", "/v1/checkout", CART | {"customer": "c-3", "order": 1}).json()["answer"] == "done"
    assert gateway.ask("POST", "/v1/checkout", CART | {"customer": "c-3"}).json()["coupons"] == [], "it is held"


def test_what_was_refused_is_refused_again(gateway: Gateway) -> None:
    claim = {"customer": "c-2", "coupon": "everyday_10"}
    for key, answer in (("r-1", "done"), ("r-2", "limit"), ("r-2", "limit"), ("r-1", "done")):
        told = gateway.ask("POST", "/v1/claim", claim, idempotency_key=key).json()
        assert (told["answer"], "number" in told, told.get("coupon")) == (
            (answer, True, "everyday_10") if answer == "done" else (answer, False, None)
        )
    other = gateway.ask("POST", "/v1/claim", claim | {"coupon": "free_shipping"}, idempotency_key="r-1").json()
    assert other["answer"] == "id_reused"
    assert gateway.ask("POST", "/v1/decide", LOGIN, idempotency_key="r-3").status_code == 400


def test_a_cart_that_is_not_priced_has_no_price(gateway: Gateway) -> None:
    order = CART | {"customer": "c-1", "order": 7}
    assert gateway.ask("POST", "/v1/checkout", order).json()["paid"] == "128.00"
    refused = gateway.ask("POST", "/v1/checkout", order).json()
    assert refused["answer"] == "no_order" and "paid" not in refused


def test_many_at_once_are_all_answered(gateway: Gateway) -> None:
    """More than a call to a shard takes at once: they share batches."""
    headers = {"authorization": f"Bearer {gateway.secrets['client']}"}
    statuses: list[int] = []

    def caller(number: int) -> None:
        with httpx.Client(headers=headers) as client:
            for _ in range(20):
                body = {"customer": f"c-{number % 4}", "event": "login"}
                statuses.append(client.post(f"{gateway.url}/v1/decide", json=body).status_code)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 160


def test_what_was_answered_outlives_a_kill_and_a_stop(gateway: Gateway) -> None:
    claim = {"customer": "c-0", "coupon": "everyday_10"}
    assert gateway.ask("POST", "/v1/claim", claim).json()["number"] == 0
    gateway.end(signal.SIGKILL)
    gateway.start()
    assert gateway.ask("POST", "/v1/checkout", CART | {"customer": "c-0"}).json()["coupons"] == ["everyday_10"]
    code, said = gateway.end(signal.SIGTERM)
    assert (code, said) == (0, "stopped; everything that was taken was answered\n")
    kept = b"".join(path.read_bytes() for path in gateway.folder.rglob("*") if path.is_file())
    assert b"c-0" not in kept and not any(secret.encode() in kept for secret in gateway.secrets.values())


def test_it_stops_while_it_starts(gateway: Gateway) -> None:
    gateway.end(signal.SIGTERM)
    errors = gateway.folder / "errors.txt"
    errors.write_text("")
    gateway.begin()
    while '"event": "starts"' not in errors.read_text():
        assert gateway.process is not None and gateway.process.poll() is None, errors.read_text()
        time.sleep(0.01)
    code, said = gateway.end(signal.SIGTERM)
    assert code == 0 and "stopped" in said
    assert not {"ready", "Traceback"} & set(errors.read_text().replace('"', " ").split())


def serve(folder: Path, policy: Path, **given: Any) -> int:
    port = {"port": free_port()} | given
    how = {
        "customers": CUSTOMERS,
        "shards": 2,
        "host": "127.0.0.1",
        "standby": False,
        "address": None,
        "vault_key": None,
    }
    return commands.serve(policy, folder, **how | port)


def test_another_beginning_is_refused(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """Hosts replay their journals on what the folder began with."""
    assert serve(gateway.folder, gateway.policy, customers=300, shards=3) == Exit.WRONG_USE
    said = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in said] == [
        "customers must be 200, as when the folder began (got 300)",
        "shards must be 2, as when the folder began (got 3)",
    ]  # fmt: skip
    changed = gateway.folder / "changed.yaml"
    changed.write_text(gateway.policy.read_text("utf-8").replace("everyday_10", "everyday_11"))
    assert serve(gateway.folder, changed) == Exit.WRONG_USE
    assert "the policy's rules must be as when the folder began" in capsys.readouterr().err


def test_a_folder_that_lacks_something_is_refused(
    gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert serve(tmp_path, gateway.policy) == Exit.WRONG_USE
    assert "has no key yet: windtunnel keys" in capsys.readouterr().err
    lost = gateway.folder / "register.db"
    lost.rename(tmp_path / "register.db")
    assert serve(gateway.folder, gateway.policy) == Exit.WRONG_USE
    assert "which says whose number is whose" in capsys.readouterr().err
    (tmp_path / "register.db").rename(lost)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert serve(gateway.folder, gateway.policy, port=taken.getsockname()[1]) == Exit.WRONG_USE
    assert "--port must be free" in capsys.readouterr().err
    (gateway.folder / "hosts" / "shard-0.1").rename(tmp_path / "shard-0.1")
    assert gateway.refuses() == (Exit.WRONG_USE, "nothing is made up for it")
