"""How our own gateway is asked. Copy it for a service of your own: see docs/load.md."""

import json
from collections.abc import Mapping
from typing import Any

from loadtests.generator.tape import Request

PATHS = {"order": "/v1/checkout"}  # of actions that are not called as their path is
WITH_ID = ("claim", "order", "pay", "refund", "redeem", "transfer")
JSON_LINES = "application/x-ndjson"


def name_of(customer: int) -> str:
    return f"c-{customer}"


def encoded(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def request(step: Mapping[str, Any]) -> Request | None:
    """The request that asks a step."""
    action, fields = step["action"], dict(step["fields"])
    if action == "events":
        lines = [encoded(event | {"customer": name_of(event["customer"])}) + b"\n" for event in fields["events"]]
        return Request("POST", "/v1/events", b"".join(lines), JSON_LINES, action=action)
    if action == "transfer":
        fields["to"] = name_of(fields["to"])
    body = encoded({"customer": name_of(step["customer"]), **fields})
    return Request("POST", PATHS.get(action, f"/v1/{action}"), body, has_id=action in WITH_ID, action=action)


def enrol(customer: Mapping[str, Any]) -> Request:
    """The request that makes a customer known."""
    fields = {name: value for name, value in customer.items() if name != "customer"}
    return Request("PUT", f"/v1/customers/{name_of(customer['customer'])}", encoded(fields))
