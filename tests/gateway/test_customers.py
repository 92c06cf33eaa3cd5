"""What is known of a customer, over HTTP and on the disk: sealed, read by whom it may be, under audit, erased."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.keys import Role
from gateway.register import PEPPER, token_of_id
from gateway.routes import ROUTES
from gateway.sealing import write_master_key
from scenarios.exits import Exit
from tests.gateway.process import ROOT, Gateway

SAID = {"phone": "13812345678", "card_number": "6222021234567890128", "identity_number": "11010519491231002X",
        "name": "张三丰"}  # fmt: skip
MASKED = {"phone": "138****5678", "card_number": "****0128", "identity_number": "1****X", "name": "张**"}
PROFILE = {"balance": "20.00", "points": 5, "consent": ["push"]}
LAW = {"duty": "anti-money-laundering law", "until": "2999-01-01"}
READER, KEEPER, DECIDER, WATCHER = {"operator", "auditor"}, {"operator"}, {"client", "operator"}, {"auditor"}

# Who may ask what. A route that is not here was added without a thought for who may ask it.
PUBLICATION = "/v1/policies/{publication}"
PUBLISHES = {"strategist"}
SEES = PUBLISHES | READER
MAY_ASK: dict[tuple[str, str], set[str]] = {
    ("GET", "/healthz"): set(),
    ("GET", "/readyz"): set(),
    ("POST", "/v1/decide"): DECIDER,
    ("POST", "/v1/claim"): DECIDER,
    ("POST", "/v1/checkout"): DECIDER,
    ("PUT", "/v1/customers/{customer}"): DECIDER,
    ("GET", "/v1/customers/{customer}"): READER,
    ("GET", "/v1/customers/{customer}/refusals"): READER,
    ("DELETE", "/v1/customers/{customer}"): KEEPER,
    ("PUT", "/v1/customers/{customer}/retention"): KEEPER,
    ("POST", "/v1/customers"): KEEPER,
    **{("POST", f"/v1/{what}"): DECIDER for what in (
        "events", "pay", "cancel", "refund", "redeem", "transfer", "challenge")},
    ("GET", "/v1/policies"): SEES,
    ("POST", "/v1/policies"): PUBLISHES,
    ("GET", PUBLICATION): SEES,
    ("GET", PUBLICATION + "/document"): SEES,
    **{("POST", f"{PUBLICATION}/{what}"): PUBLISHES for what in ("approve", "advance", "withdraw")},
    ("POST", PUBLICATION + "/roll-back"): PUBLISHES | KEEPER,
    ("GET", "/v1/audit"): WATCHER,
    ("GET", "/metrics"): READER,
    **{("GET", path): set() for path in ("/openapi.json", "/docs", "/docs/{file}")},
}  # fmt: skip


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    apart = tmp_path_factory.mktemp("apart")
    write_master_key(apart / "vault-key")
    found = Gateway(tmp_path_factory.mktemp("gateway"), "--vault-key", str(apart / "vault-key"))
    found.start()
    yield found
    if found.process is not None and found.process.poll() is None:
        found.end(signal.SIGTERM)


def known(gateway: Gateway, customer: str, **more: Any) -> str:
    """Path of a customer who has just been written."""
    path = f"/v1/customers/{customer}"
    assert gateway.ask("PUT", path, PROFILE | SAID | more).status_code == 201
    return path


def entries_of(gateway: Gateway, customer: str) -> list[tuple[str, str, int, str]]:
    """(role, what, status, detail) of a customer in the audit log."""
    token = token_of_id(customer, (gateway.folder / PEPPER).read_bytes()).hex()
    lines = (gateway.folder / "audit.jsonl").read_text("utf-8").splitlines()
    found = [entry for line in lines if (entry := json.loads(line))["customer"] == token]
    return [(one["role"], one["what"], one["status"], one["detail"]) for one in found]


def kept(gateway: Gateway) -> bytes:
    return b"".join(path.read_bytes() for path in gateway.folder.rglob("*") if path.is_file())


def audit(gateway: Gateway, *words: str) -> tuple[int, str]:
    command = [sys.executable, "-c", "import windtunnel; windtunnel.main()", "audit", words[0], str(gateway.folder)]
    run = subprocess.run([*command, *words[1:]], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    return run.returncode, run.stdout + run.stderr


# --- who may ask what -------------------------------------------------------------------------------------------------
def test_every_route_was_thought_of() -> None:
    assert {(one.method, one.path): {role.value for role in one.roles} for one in ROUTES} == MAY_ASK


def test_every_route_is_closed_to_whom_it_should_be(gateway: Gateway) -> None:
    for route in ROUTES:
        path = route.path.replace("{customer}", "nobody").replace("{publication}", "1").replace("{file}", "start.js")
        for role in ("", "wt_guessed", *(role.value for role in Role)):
            status = gateway.ask(route.method, path, {} if route.body else None, role=role).status_code
            if not route.roles:
                assert status == 200
            elif role in ("", "wt_guessed"):
                assert status == 401, route.name
            else:
                assert (status == 403) == (role not in MAY_ASK[route.method, route.path]), (route.name, role, status)
                assert status != 401 and status < 500


# --- sealed and read --------------------------------------------------------------------------------------------------
def test_who_sees_how_much(gateway: Gateway) -> None:
    path = known(gateway, "reads-1")
    assert gateway.ask("PUT", path, {"points": 6}).status_code == 200
    assert gateway.ask("GET", path, role="client").status_code == 403
    profile = PROFILE | {"points": 6}
    masked = gateway.ask("GET", path, role="operator").json()
    assert masked.pop("since_ms") > 0
    assert masked == {"customer": "reads-1", "records": [MASKED | {"masked": True, "profile": profile}]}
    whole = gateway.ask("GET", path, role="auditor").json()["records"]
    assert whole == [SAID | {"profile": profile}]
    assert gateway.ask("GET", "/v1/customers/never-was", role="auditor").status_code == 404
    read = "GET /v1/customers/{customer}"
    assert entries_of(gateway, "reads-1") == [  # the writing of what identifies, not that of points
        ("client", "PUT /v1/customers/{customer}", 201, "seals phone, card_number, identity_number, name"),
        ("client", read, 403, ""), ("operator", read, 200, ""), ("auditor", read, 200, ""),
    ]  # fmt: skip


WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "formats": (SAID | {"phone": "23812345678", "card_number": "6222021234567890129"}, ["$.phone", "$.card_number"]),
    "a city nobody knows": ({"identity_number": "110105194912310021", "home_city": "Atlantis"},
                            ["$.home_city", "$.identity_number"]),
    "a number": ({"phone": 13812345678}, ["$.phone"]),
    "too long": ({"name": "13812345678" * 10}, ["$.name"]),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_without_the_value(what: str, gateway: Gateway) -> None:
    body, paths = WRONG[what]
    answer = gateway.ask("PUT", "/v1/customers/wrong-1", body)
    assert (answer.status_code, [one["path"] for one in answer.json()["problems"]]) == (422, paths)
    assert not any(str(value) in answer.text for field, value in body.items() if field in SAID)
    assert gateway.ask("GET", "/v1/customers/wrong-1", role="auditor").status_code == 404, "nothing was written"


# --- erased -----------------------------------------------------------------------------------------------------------
def test_who_is_erased_is_forgotten_and_limits_hold(gateway: Gateway) -> None:
    path, claim = known(gateway, "erased-1"), {"customer": "erased-1", "coupon": "everyday_10"}
    assert gateway.ask("POST", "/v1/claim", claim).json()["answer"] == "done"
    first = gateway.ask("DELETE", path, role="operator")
    assert first.status_code == 200 and set(first.json()) == {"customer", "erased_ms"}
    assert gateway.ask("DELETE", path, role="operator").json() == first.json()
    told = gateway.ask("GET", path, role="auditor").json()
    assert told["erased_ms"] == first.json()["erased_ms"] and "records" not in told
    assert gateway.ask("POST", "/v1/claim", claim).status_code == 404, (
        "nothing is decided for who asked to be forgotten"
    )
    assert gateway.ask("PUT", path + "/retention", LAW, role="operator").status_code == 409
    assert gateway.ask("PUT", path, {"phone": "13900000000"}).status_code == 201
    assert gateway.ask("POST", "/v1/claim", claim).json()["answer"] == "limit", "the number is the same"
    assert gateway.ask("GET", path, role="auditor").json()["records"] == [{"phone": "13900000000"}]
    assert gateway.ask("DELETE", "/v1/customers/never-was", role="operator").status_code == 404


def test_decisions_forget_at_once(gateway: Gateway) -> None:
    """An offer to valuable customers asks what the shard knows of this one: before how much was bought, afterwards
    nothing."""
    path, body = known(gateway, "erased-2"), {"customer": "erased-2", "event": "page_view", "page": "coupons"}

    def reason(page_view: int) -> str:
        return str(gateway.ask("POST", "/v1/decide", body | {"page_view": page_view}, role="operator").json()["reason"])

    before = reason(1)
    assert gateway.ask("PUT", path, {}).status_code == 200 and reason(2) == before
    assert gateway.ask("DELETE", path, role="operator").status_code == 200
    assert gateway.ask("PUT", path, {}).status_code == 201
    assert (before, reason(3)) == ("not_in_audience", "personalisation_off")


def test_a_duty_locks_a_record_for_all_but_the_auditor(gateway: Gateway) -> None:
    path = known(gateway, "kept-1")
    wrong = [{"duty": "x"}, LAW | {"until": "2020-01-01"}, LAW | {"until": "2030-02-30"}]
    for body, status in (*((one, 422) for one in wrong), (LAW, 200)):
        assert gateway.ask("PUT", path + "/retention", body, role="operator").status_code == status, body
    for _ in range(2):
        erased = gateway.ask("DELETE", path, role="operator")
        assert (erased.status_code, erased.json()["retention"]) == (202, [LAW])
    assert "records" not in gateway.ask("GET", path, role="operator").json()
    (record,) = gateway.ask("GET", path, role="auditor").json()["records"]
    assert (record["phone"], record["locked"]) == (SAID["phone"], True)
    assert [status for _, _, status, _ in entries_of(gateway, "kept-1")] == [201, *[422] * 3, 200, 202, 202, 200, 200]


def test_the_audit_log_is_read_under_audit(gateway: Gateway) -> None:
    known(gateway, "page-1")
    page = gateway.ask("GET", "/v1/audit?after=0", role="auditor").json()
    assert [one["number"] for one in page["entries"]][:3] == [1, 2, 3] and page["entries"][0]["what"] == "serve starts"
    again = gateway.ask("GET", f"/v1/audit?after={page['head']['number']}", role="auditor").json()
    assert [(one["what"], one["detail"]) for one in again["entries"]] == [
        ("GET /v1/audit", f"entries 1 to {page['head']['number']}")
    ]
    assert gateway.ask("GET", "/v1/audit", role="auditor").json()["entries"][-1]["number"] > page["head"]["number"]
    assert gateway.ask("GET", "/v1/audit?after=x", role="auditor").status_code == 422


def test_nothing_that_identifies_is_on_the_disk_and_nothing_opens_what_is_erased(gateway: Gateway) -> None:
    """Through a kill, a start and a stop, in whatever the folder has: journals, snapshots, the vault, logs, errors."""
    path = known(gateway, "disk-1", phone="13811112222")
    origin = {"device": "device-of-disk-1", "card": "card-of-disk-1", "address": "address-of-disk-1"}
    body = {"customer": "disk-1", "event": "login", "origin": origin}
    assert gateway.ask("POST", "/v1/decide", body).status_code == 200
    gateway.end(signal.SIGKILL)
    gateway.start()
    assert gateway.ask("GET", path, role="auditor").json()["records"][0]["phone"] == "13811112222"
    secret = [*SAID.values(), "13811112222", "13900000000", "disk-1", *origin.values()]
    assert not [value for value in secret if value.encode() in kept(gateway)]
    number = gateway_number(gateway, "disk-1")
    with sqlite3.connect(gateway.folder / "vault.db") as vault:
        dead = [bytes(row[0]) for row in vault.execute(
            "SELECT wrapped FROM records WHERE number = ?1 UNION ALL "
            "SELECT text FROM sealed JOIN records ON id = record WHERE number = ?1", (number,))]  # fmt: skip
    vault.close()
    assert len(dead) == 6 and all(one in kept(gateway) for one in dead)
    assert gateway.ask("DELETE", path, role="operator").status_code == 200
    assert not any(one in kept(gateway) for one in dead)
    code, said = gateway.end(signal.SIGTERM)
    assert code == Exit.FINE and not any(one in kept(gateway) for one in dead)
    assert not any(value in said for value in secret)
    verified = audit(gateway, "verify")
    assert verified[0] == Exit.FINE and "each as it was written" in verified[1]
    shown = audit(gateway, "show", "--customer", "disk-1", "--json")[1].splitlines()
    assert [json.loads(line)["what"].split()[0] for line in shown] == ["PUT", "GET", "DELETE"]
    lines = (gateway.folder / "audit.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["what"] for line in lines].count("serve starts") == 2
    assert json.loads(lines[-1])["what"] == "serve ends"


def gateway_number(gateway: Gateway, customer: str) -> int:
    with sqlite3.connect(gateway.folder / "register.db") as register:
        token = token_of_id(customer, (gateway.folder / PEPPER).read_bytes())
        (found,) = register.execute("SELECT number FROM customers WHERE token = ?", (token,)).fetchone()
    register.close()
    return int(found)


def test_another_key_or_none_is_refused(gateway: Gateway, tmp_path: Path) -> None:
    """After the test before this one has stopped it."""
    write_master_key(tmp_path / "other")
    options = gateway.options
    for others, words in (
        ((), "--vault-key FILE (got none)"),
        (("--vault-key", str(tmp_path / "other")), "(got another)"),
    ):
        gateway.options = others
        code, said = gateway.refuses()
        assert (code, words in said) == (Exit.WRONG_USE, True), said
    gateway.options = options
