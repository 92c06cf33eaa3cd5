"""How the plain service is asked: what a strategist's engineer would write for a service of theirs."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from loadtests.generator.tape import Request


def request(step: Mapping[str, Any]) -> Request | None:
    fields = step["fields"]
    if step["action"] == "decide" and "page" in fields:
        return Request("GET", f"/offer?{urlencode({'uid': step['customer'], 'page': fields['page']})}", action="offer")
    if step["action"] in ("checkout", "order"):
        cents = [round(100 * float(line["unit_price"])) * line["quantity"] for line in fields["lines"]]
        return Request("POST", "/basket", json.dumps({"cents": cents}).encode(), action="basket")
    return None


def succeeded(status: int, body: bytes) -> bool:
    return status == 200 and bool(body)
