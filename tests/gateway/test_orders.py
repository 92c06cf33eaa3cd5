"""The life of an order and of a coupon, as callers meet it: over HTTP, with fraud rules before the coupons."""

import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.process import Gateway, command_of_the_page

LINES: dict[str, Any] = {
    "lines": [{"unit_price": "60.00", "quantity": 2}, {"unit_price": "30.00", "quantity": 1}],
    "shipping": "8.00",
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Under a policy with fraud rules, and a coupon that may be given away."""
    command = command_of_the_page().replace("coupon_shop.yaml", "fraud_shop.yaml")
    found = Gateway(tmp_path_factory.mktemp("gateway"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[Gateway.__module__], "command_of_the_page", lambda: command)
        found.start()
    yield found
    found.end(signal.SIGTERM)


@pytest.fixture
def customer(gateway: Gateway, request: pytest.FixtureRequest) -> str:
    """Somebody of this test's own, long known."""
    return enrolled(gateway, request.node.name)


def enrolled(gateway: Gateway, name: str, **profile: Any) -> str:
    assert gateway.ask("PUT", f"/v1/customers/{name}", profile).status_code == 201
    return name


def post(gateway: Gateway, path: str, customer: str, role: str = "client", key: str = "", **body: Any) -> Any:
    headers = {"idempotency_key": key} if key else {}
    answer = gateway.ask("POST", f"/v1/{path}", {"customer": customer, **body}, role, **headers)
    assert answer.status_code == 200, answer.text
    return {name: value for name, value in answer.json().items() if name not in ("time_ms", "customer")}


def test_an_order_is_paid_and_given_back(gateway: Gateway, customer: str) -> None:
    assert post(gateway, "claim", customer, coupon="everyday_10")["number"] == 0
    order = post(gateway, "checkout", customer, key="o", order=1, **LINES)
    assert (order["paid"], order["discount"], order["coupons"]) == ("148.00", "10.00", ["everyday_10"])
    again = post(gateway, "checkout", customer, key="o", order=1, **LINES)
    assert (again["answer"], again["paid"], again["discount"]) == ("done", "148.00", "10.00")
    assert "coupons" not in again, "which coupons they were is not remembered: no list is not an empty list"
    assert post(gateway, "refund", customer, order=1) == {"answer": "no_order", "order": 1}
    paid = post(gateway, "pay", customer, key="p", order=1, amount="148.00", page="receipt")
    assert (paid["answer"], paid["paid"], paid["coupons"]) == ("done", "148.00", ["everyday_10"])
    assert post(gateway, "pay", customer, key="p", order=1, amount="148.00")["answer"] == "done"
    assert post(gateway, "pay", customer, order=1, amount="148.00")["answer"] == "no_order", "paid already"
    assert post(gateway, "refund", customer, order=1, line=0, pieces=3)["answer"] == "pieces"
    first = post(gateway, "refund", customer, key="r", order=1, line=0, pieces=1)
    assert first == post(gateway, "refund", customer, key="r", order=1, line=0, pieces=1) == {
        "answer": "done", "order": 1, "returned": "56.00",
    }  # fmt: skip
    rest = post(gateway, "refund", customer, order=1)
    assert rest["returned"] == "92.00", "what was paid, shipping included, and not a fen more"
    assert post(gateway, "checkout", customer, **LINES)["coupons"] == ["everyday_10"], "the coupon is back"


def test_an_order_is_given_up(gateway: Gateway, customer: str) -> None:
    post(gateway, "claim", customer, coupon="everyday_10")
    post(gateway, "checkout", customer, order=5, **LINES)
    assert post(gateway, "checkout", customer, **LINES)["coupons"] == []
    assert post(gateway, "cancel", customer, key="c", order=5) == {"answer": "done", "order": 5}
    assert post(gateway, "cancel", customer, key="c", order=5)["answer"] == "done"
    assert post(gateway, "checkout", customer, **LINES)["coupons"] == ["everyday_10"]


def test_a_coupon_is_used_at_the_desk(gateway: Gateway, customer: str) -> None:
    post(gateway, "claim", customer, coupon="everyday_10")
    used = {"answer": "done", "number": 0, "discount": "7.50"}
    for _ in range(2):
        assert post(gateway, "redeem", customer, key="d", number=0, amount="7.50", place="shop") == used
    assert post(gateway, "redeem", customer, number=0, amount="7.50") == {"answer": "no_coupon", "number": 0}


def test_a_coupon_is_given_away(gateway: Gateway, customer: str) -> None:
    other = enrolled(gateway, "somebody")
    post(gateway, "claim", customer, coupon="gift_15")
    assert post(gateway, "transfer", customer, key="t", number=0, to=other) == {"answer": "done", "number": 0}
    assert post(gateway, "transfer", customer, key="t", number=0, to=other)["answer"] == "done"
    assert post(gateway, "checkout", customer, **LINES)["coupons"] == []
    assert post(gateway, "checkout", other, **LINES)["coupons"] == ["gift_15"]


def test_a_newcomer_passes_a_challenge(gateway: Gateway) -> None:
    """A client learns which challenge to pass and where to appeal; an operator the family; nobody a threshold."""
    newcomer = enrolled(gateway, "newcomer", joined_ms=time.time_ns() // 1_000_000 - 86_400_000)
    refused = post(gateway, "claim", newcomer, coupon="everyday_10")
    assert refused["answer"] == "challenged" and set(refused["refusal"]) == {"category", "appeal", "challenge"}
    assert "Appeal" in refused["refusal"]["appeal"]
    told = post(gateway, "claim", newcomer, "operator", coupon="everyday_10")["refusal"]
    assert told["family"].startswith("a rule of this policy")
    text = str(refused) + str(told)
    assert "first_claims" not in text and "claim" not in refused["refusal"]["challenge"]
    path = f"/v1/customers/{newcomer}/refusals"
    known = {role: gateway.ask("GET", path, role=role).json()["refusals"] for role in ("operator", "auditor")}
    assert [one["asked"] for one in known["operator"]] == ["claim", "claim"]
    assert set(known["operator"][0]) == {"time_ms", "asked", "answer", "category", "family"}
    assert known["auditor"][0] | known["operator"][0] == known["auditor"][0]
    assert (known["auditor"][0]["rule"], known["auditor"][0]["value"][:9]) == ("first_claims", "more than")
    assert known["auditor"][0]["threshold"].startswith("at most ")
    assert gateway.ask("GET", path).status_code == 403
    post(gateway, "challenge", newcomer, challenge=refused["refusal"]["challenge"])
    assert post(gateway, "claim", newcomer, coupon="everyday_10")["answer"] == "done"
    for method in ("DELETE", "PUT"):
        gateway.ask(method, f"/v1/customers/{newcomer}", {} if method == "PUT" else None, "operator")
    assert gateway.ask("GET", path, role="auditor").json()["refusals"] == []


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("refund", {"order": 1, "line": 0}, 422, "$.pieces"),
        ("refund", {"order": 0}, 422, "$.order"),
        ("pay", {"order": 1}, 422, "missing required field `amount`"),
        ("transfer", {"number": 0, "to": "nobody"}, 422, "must be another customer who is known (got nobody)"),
        ("transfer", {"number": 0, "to": "asker"}, 422, "must be another customer who is known (got asker)"),
        ("redeem", {"number": 0, "place": "moon"}, 422, "must be a place of the policy: app, shop"),
        ("challenge", {"challenge": "first_claims"}, 422, "must be a challenge that a refusal named"),
    ],
)
def test_what_is_wrong_is_said(path: str, body: Any, status: int, words: str, gateway: Gateway) -> None:
    gateway.ask("PUT", "/v1/customers/asker", {})
    answer = gateway.ask("POST", f"/v1/{path}", {"customer": "asker", **body})
    assert answer.status_code == status and words in answer.text, answer.text
