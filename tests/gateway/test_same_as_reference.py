"""What `windtunnel serve` told its callers is what the naive engine says of the journals it left."""

import shutil
import signal
import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from engine.coupon_records import Answer
from engine.host.disk import FolderDisk
from engine.host.journal import Journal
from engine.host.ledger import LedgerHost
from engine.host.messages import Answered, Decided
from engine.host.profiles import newcomer
from engine.policy.tables import load_policy
from engine.records import NONE, Reason
from gateway.engine_room import Build, Given, began
from gateway.keys import Keys, Role
from gateway.register import Register
from tests.gateway.by_reference import Answers, ShardByReference
from tests.gateway.process import CUSTOMERS, Gateway
from tests.gateway.test_editions import COUPON, MORE, changed

PEOPLE, STEPS = 16, 400
PAGES = ("home", "goods", "coupons")
CART = {"lines": [{"unit_price": "60.00", "quantity": 2}], "shipping": "8.00"}
Asked = list[tuple[str, dict[str, Any]]]  # path, answer: of one customer, in order


def step(random: Random, customer: str, number: int) -> tuple[str, dict[str, Any]]:
    """Something a customer does."""
    chance = random.random()
    if chance < 0.15:
        return "claim", {"customer": customer, "coupon": random.choice(("everyday_10", "free_shipping", "big_200"))}
    if chance < 0.3:
        return "checkout", CART | {"customer": customer} | ({"order": number} if chance < 0.2 else {})
    if chance < 0.4:
        return "decide", {"customer": customer, "event": "payment", "amount": "300.00", "page": "receipt"}
    view = {"customer": customer, "event": "page_view", "page": random.choice(PAGES), "page_view": number}
    return "decide", view


def served(gateway: Gateway) -> dict[str, Asked]:
    """Requests, and in their midst a policy on trial; what each customer was told."""
    random, told = Random(3), {f"c-{number}": Asked() for number in range(PEOPLE)}
    for number, customer in enumerate(told):
        profile = {"consent": ["push"], "points": number, "balance": f"{number}.50", "tags": ["price_sensitive"]}
        assert gateway.ask("PUT", f"/v1/customers/{customer}", profile).status_code == 201
    for number in range(1, STEPS + 1):
        if number == STEPS // 3:
            publish(gateway)
        customer = random.choice(list(told))
        path, body = step(random, customer, number)
        answer = gateway.ask("POST", f"/v1/{path}", body, "operator")
        assert answer.status_code == 200, answer.text
        told[customer].append((path, answer.json()))
    return told


def publish(gateway: Gateway) -> None:
    shop = gateway.policy.read_text("utf-8")
    text = changed(shop, ("\ncampaigns:", COUPON), ("  growth: {", "  surprises: {amount: 500.00}\n  growth: {")) + MORE
    made = gateway.ask("POST", "/v1/policies", {"policy": text, "stages": [0.5, 1]}, "strategist")
    assert made.status_code == 201, made.text
    assert gateway.ask("POST", "/v1/policies/1/approve", None, "second").status_code == 200
    end = time.monotonic() + 30
    while not gateway.ask("GET", "/v1/policies", None, "auditor").json()["hosts_know"]:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> tuple[Gateway, dict[str, Asked]]:
    """A gateway that has ended, and what it had told."""
    gateway = Gateway(tmp_path_factory.mktemp("gateway"))
    keys, gateway.secrets["second"] = Keys.of_folder(gateway.folder).made("second", Role.STRATEGIST)
    keys.write(gateway.folder)
    gateway.start()
    told = served(gateway)
    assert gateway.end(signal.SIGTERM)[0] == 0
    return gateway, told


def build_of(gateway: Gateway) -> Build:
    given = Given(load_policy(gateway.policy), gateway.policy.read_text("utf-8"))
    beginning, compiled = began(gateway.folder, given, CUSTOMERS, 2)
    return Build(compiled, beginning)


def journal_of(gateway: Gateway, seat: str, apart: Path) -> list[bytes]:
    shutil.copytree(gateway.folder / "hosts" / f"{seat}.1", apart / seat)
    return [record.payload for record in Journal(FolderDisk(apart / seat), f"{seat}.journal").records()]


def replayed(build: Build, seat: str, records: list[bytes]) -> Answers:
    machine, told = build(seat, True), Answers()
    for payload in records:
        for envelope in machine.apply(payload):
            if isinstance(answer := envelope.message, Answered | Decided):
                told[envelope.to, answer.number] = answer.decisions, answer.receipts
    return told


def test_callers_were_told_what_the_reference_decides(left: tuple[Gateway, dict[str, Asked]], tmp_path: Path) -> None:
    gateway, told = left
    build, rows = build_of(gateway), []
    policy, beginning = build.policy, build.beginning
    ledger = LedgerHost(policy.tables, policy.coupons, policy.budgets, build.bounds, beginning.start_ms, live=True)
    for number, (first, end) in enumerate(build.bounds):
        seat = f"shard-{number}"
        records = journal_of(gateway, seat, tmp_path)
        answers = replayed(build, seat, records)
        twin = ShardByReference(policy, first, np.repeat(newcomer(), end - first), ledger.bulletin())
        assert list(twin.differences(records, answers)) == []
        rows += [decisions for decisions, _ in answers.values()]
    check_told(gateway, told, np.concatenate(rows), {slot: name for name, slot in twin.editions.registry.slots.items()})


def check_told(gateway: Gateway, told: dict[str, Asked], rows: np.ndarray, campaigns: dict[int, str]) -> None:
    rows = rows[rows["answer"] != Answer.WAITS]  # what waits is decided again
    register, shown = Register(gateway.folder, CUSTOMERS), set[str]()
    for customer, asked in told.items():
        mine = rows[rows["customer"] == register.number(customer)]
        assert len(mine) == len(asked)
        for row, (_, answer) in zip(mine, asked, strict=True):
            assert answer["time_ms"] == row["time_ms"]
            is_shown = row["reason"] == Reason.SHOWN
            said = answer.get("show", {})
            assert (said.get("campaign"), said.get("exposure", NONE)) == (
                (campaigns[int(row["campaign"])], row["exposure"]) if is_shown else (None, NONE)
            )
            shown |= {said["campaign"]} if is_shown else set()
    register.close()
    assert {"a_little_extra", "offer_of_the_week"} <= shown, "policies of both, and messages to compare"
