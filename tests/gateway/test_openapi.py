"""The gateway's document: whole, valid, and true of what a gateway that runs answers."""

import asyncio
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import openapi_spec_validator
import pytest
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from engine.policy.tables import load_policy
from gateway import app, commands, document_routes, openapi
from gateway.incoming import Incoming
from gateway.keys import Keys, Role
from gateway.refusals import STATUS_OF
from gateway.route import Answer, Route, Services
from gateway.routes import KINDS, ROUTES
from scenarios.exits import Exit
from tests.gateway.process import LIBRARY, ROOT, Gateway

DOCUMENT = msgspec.to_builtins(openapi.document(KINDS))
OPERATIONS = {(method, path): found for path, item in DOCUMENT["paths"].items() for method, found in item.items()}


# --- the document -----------------------------------------------------------------------------------------------------
def test_it_is_valid() -> None:
    openapi_spec_validator.validate(DOCUMENT)
    with pytest.raises(OpenAPIValidationError, match="description"):  # the validator looks
        openapi_spec_validator.validate(DOCUMENT | {"paths": {"/a": {"get": {"responses": {"200": {}}}}}})


def test_every_route_is_in_it_and_nothing_else() -> None:
    assert set(OPERATIONS) == {(route.method.lower(), route.path) for route in ROUTES}
    assert len({found["operationId"] for found in OPERATIONS.values()}) == len(ROUTES)


STATUSES = """
post /v1/decide                 200 400 401 403 404 408 413 422 429 500 503 504
post /v1/claim                  200 400 401 403 404 408 413 422 429 500 503 504
put  /v1/customers/{customer}   200 201 400 401 403 408 413 422 429 500 503 504 507
get  /healthz                   200
get  /readyz                    200 503
get  /docs/{file}               200 404
"""


@pytest.mark.parametrize("row", STATUSES.strip().splitlines())
def test_statuses_follow_from_what_a_route_is(row: str) -> None:
    method, path, *statuses = row.split()
    assert list(OPERATIONS[method, path]["responses"]) == statuses


async def nothing(services: Services, asked: Any) -> Answer:
    return Answer(200, None)


def test_what_a_route_may_have_beside() -> None:
    """Another kind of body, what is behind the ?, every role."""
    route = Route(
        "POST", "/v1/events/{customer}", "Many.", nothing, frozenset(Role), bytes, {202: None},
        query={"after": int}, takes=("application/x-ndjson", "application/vnd.apache.arrow.stream"),
    )  # fmt: skip
    made = openapi.document({"events": [route]})
    openapi_spec_validator.validate(made)
    found = made["paths"]["/v1/events/{customer}"]["post"]
    assert list(found["responses"]) == ["202", "400", "401", "408", "413", "415", "422", "500", "503"]
    assert [(one["in"], one["name"]) for one in found["parameters"]] == [("path", "customer"), ("query", "after")]
    assert list(found["requestBody"]["content"]) == list(route.takes)
    assert found["x-roles"] == [role.value for role in Role]


@pytest.mark.parametrize("error", STATUS_OF)
def test_what_is_raised_is_answered_as_the_document_says(error: type[Exception], monkeypatch: Any) -> None:
    async def act(services: Services, asked: Any) -> Answer:
        raise error("…")

    route = Route("GET", "/", "Raises.", act)
    monkeypatch.setattr(app.Paths, "find", lambda paths, method, path: (route, {}))
    scope: Any = SimpleNamespace(method="GET", path="/", headers={})
    services: Any = SimpleNamespace(keys=Keys([]), log=print)
    answer = asyncio.run(app.App(services)._answer(scope, Incoming(scope, None), app.Trace()))
    assert answer.status == STATUS_OF[error]
    header = openapi.HEADER_OF.get(answer.status)
    assert header is None or header.lower() in dict(answer.headers)


def test_examples_are_bodies() -> None:
    shown = [(route, name) for route in ROUTES for name in route.examples]
    assert len(shown) >= 6
    for route, name in shown:
        msgspec.convert(route.examples[name], route.body)


def test_it_is_printed_without_starting_anything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.openapi(None) == Exit.FINE
    assert json.loads(capsys.readouterr().out) == DOCUMENT
    assert commands.openapi(tmp_path / "o.json") == Exit.FINE
    assert json.loads((tmp_path / "o.json").read_text("utf-8")) == DOCUMENT
    assert commands.openapi(tmp_path / "none" / "o.json") == Exit.WRONG_USE
    assert "--out must be a file that can be written" in capsys.readouterr().err


# --- the page ---------------------------------------------------------------------------------------------------------
def test_the_library_is_as_its_makers_publish_it() -> None:
    sums = re.findall(r"^([0-9a-f]{64})  (\S+)$", (document_routes.FOLDER / "README.md").read_text("utf-8"), re.M)
    assert [name for _, name in sums] == ["swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"]
    for expected, name in sums:
        assert hashlib.sha256(document_routes.plain(name)).hexdigest() == expected, name
    assert "Apache License" in (document_routes.FOLDER / "LICENSE").read_text("utf-8")


def test_the_page_loads_from_here_alone() -> None:
    page, start = (document_routes.plain(name).decode() for name in ("page.html", "start.js"))
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {one.removeprefix("docs/") for one in loaded} == {*document_routes.FILES, "openapi.json"}
    assert "//" not in page and "http" not in start and "validatorUrl: null" in start
    assert " style=" not in page and "<script>" not in page, "the content policy forbids both"


# --- a gateway that runs ----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    found = Gateway(tmp_path_factory.mktemp("openapi"), customers=20_000)
    found.start()
    for customer in KNOWN["customer"]:
        assert found.ask("PUT", f"/v1/customers/{customer}", {"consent": ["push"]}).status_code == 201
    yield found
    found.end(signal.SIGTERM)


def test_it_is_served_to_anybody(gateway: Gateway) -> None:
    served = gateway.ask("GET", "/openapi.json", role="")
    assert (served.status_code, served.json()) == (200, DOCUMENT)


OF_OTHER_COUPONS = "at the desk", "to somebody else"  # which this policy does not have


def test_examples_work(gateway: Gateway) -> None:
    for route in ROUTES:
        for name, body in route.examples.items():
            role = next(role.value for role in (Role.CLIENT, *Role) if role in route.roles)
            answer = gateway.ask(route.method, route.path.replace("{customer}", "c-1"), body, role=role)
            if "…" in str(body):  # a policy is longer than an example
                assert answer.status_code == 422
                continue
            assert answer.status_code in (200, 201), (name, answer.text)
            what = answer.json().get("answer", "done")
            assert what == "done" or name in OF_OTHER_COUPONS, (name, answer.text)


@pytest.mark.parametrize("key", ["", "a" * 256, "two words", "é"])
def test_an_id_of_a_request_that_others_could_be_taken_for_is_refused(key: str, gateway: Gateway) -> None:
    claim = {"customer": "c-9", "coupon": "everyday_10"}
    headers = {b"authorization": f"Bearer {gateway.secrets['client']}".encode(), b"idempotency-key": key.encode()}
    answer = httpx.post(f"{gateway.url}/v1/claim", json=claim, headers=headers)
    assert (answer.status_code, "Idempotency-Key must be" in answer.text) == (400, True), answer.text


def test_the_page_is_served_whole(gateway: Gateway) -> None:
    page = gateway.ask("GET", "/docs", role="")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    rules = dict(rule.strip().split(" ", 1) for rule in page.headers["content-security-policy"].split(";"))
    assert rules["default-src"] == "'none'" and rules["script-src"] == rules["connect-src"] == "'self'"
    assert not any("unsafe" in rule or "http" in rule for rule in rules.values())
    for name, kind in document_routes.FILES.items():
        for encoding in ("gzip", "identity"):
            part = gateway.ask("GET", f"/docs/{name}", role="", accept_encoding=encoding)
            assert (part.status_code, part.headers["content-type"]) == (200, kind), name
            assert part.headers["cache-control"] == "public, max-age=3600"
            assert part.content == document_routes.plain(name)  # httpx unpacks
            packed = encoding == "gzip" and (document_routes.FOLDER / f"{name}.gz").exists()
            assert ("content-encoding" in part.headers) == packed
    assert gateway.ask("GET", "/docs/README.md", role="").status_code == 404
    assert gateway.ask("GET", "/docs/..%2f..%2fkeys.json", role="").status_code == 404


# --- thousands of requests --------------------------------------------------------------------------------------------
POLICY = load_policy(LIBRARY / "coupon_shop.yaml")
KNOWN: dict[str, list[str]] = {
    "customer": [f"c-{number}" for number in range(20)],
    "page": POLICY.names.pages,
    "city": POLICY.names.cities,
    "home_city": POLICY.names.cities,
    "tier": POLICY.names.tiers,
    "place": POLICY.names.places,
    "category": POLICY.names.categories,
    "brand": POLICY.names.brands,
    "product": POLICY.names.products,
    "campaign": list(POLICY.campaigns),
    "coupon": list(POLICY.coupons),
}
NAMED = {"file": list(document_routes.FILES)}  # in paths
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,positive_data_acceptance,unsupported_method,"
    "allow_header_conformance,ignored_auth"
)
# What a schema cannot say: whether a key's role may, who is known, what is possible as things are, what is a file; and
# (422) which event needs what, that a day or an address exists, names that a policy has none of.
CONFIGURATION = '[checks.positive_data_acceptance]\nexpected-statuses = ["2xx", "400", "403", "404", "409", "422"]\n'


def narrowed(document: dict[str, Any]) -> dict[str, Any]:
    """A document that knows customers and names of the policy: what is made of it gets as far as the engine."""
    found = json.loads(json.dumps(document))
    lines = found["paths"]["/v1/events"]["post"]["requestBody"]["content"]["application/x-ndjson"]
    lines["schema"] = {"$ref": "#/components/schemas/Decide"}
    for item in found["paths"].values():
        for parameter in [one for operation in item.values() for one in operation.get("parameters", ())]:
            if parameter["name"] in NAMED:
                parameter["schema"] = {"enum": NAMED[parameter["name"]]}
    for schema in found["components"]["schemas"].values():
        for name in KNOWN.keys() & schema.get("properties", {}).keys():
            if "pattern" in str(schema["properties"][name]) or "maxLength" in str(schema["properties"][name]):
                none = [None] if "anyOf" in schema["properties"][name] else []
                schema["properties"][name] = {"enum": [*KNOWN[name], *none]}
    return found


def answered(gateway: Gateway, folder: Path, role: str, examples: int, phases: str) -> Counter[tuple[str, int]]:
    """What came of so many requests an operation with a role's key, by operation and status. All must conform."""
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    (folder / "document.json").write_text(json.dumps(narrowed(DOCUMENT)))
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run", "document.json", "--url",
        gateway.url, "--header", f"Authorization: Bearer {gateway.secrets[role]}", "--checks", CHECKS,
        "--phases", phases, "--max-examples", str(examples), "--continue-on-failure", "--no-color",
        "--generation-database", "none", "--report", "har", "--report-har-path", f"{role}.har",
    ]  # fmt: skip
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.gateway.bodies_of_bytes", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6_000:]
    entries = json.loads((folder / f"{role}.har").read_text("utf-8"))["log"]["entries"]
    return Counter((operation_of(entry["request"]), entry["response"]["status"]) for entry in entries)


def operation_of(request: dict[str, Any]) -> str:
    path = re.sub(r"^https?://[^/]+", "", request["url"])
    for named in ("/v1/customers/{customer}", "/docs/{file}"):
        path = re.sub(named.partition("{")[0] + ".*", named, path)
    return f"{request['method']} {path}"


DEEP = [
    (operation, 200)
    for operation in ("POST /v1/decide", "POST /v1/claim", "POST /v1/checkout", "PUT /v1/customers/{customer}")
]


@pytest.mark.long
@pytest.mark.parametrize("role", ["client", "operator"])
def test_some_requests_are_answered_as_the_document_says(role: str, gateway: Gateway, tmp_path: Path) -> None:
    found = answered(gateway, tmp_path, role, 12, "examples,fuzzing")
    assert found.total() >= 75, found
    assert all(found[one] for one in DEEP), found


@pytest.mark.long
@pytest.mark.parametrize("role", ["client", "operator"])
def test_thousands_of_requests_are_answered_as_the_document_says(role: str, gateway: Gateway, tmp_path: Path) -> None:
    found = answered(gateway, tmp_path, role, 200, "examples,coverage,fuzzing")
    assert found.total() >= 1_000, found
    assert all(found[one] >= 10 for one in DEEP), found
    assert {status for _, status in found} >= {200, 400, 401, 403, 404, 405, 422}, found


@pytest.mark.long
@pytest.mark.parametrize("role", ["strategist", "auditor"])
def test_so_are_those_of_who_decides_nothing(role: str, gateway: Gateway, tmp_path: Path) -> None:
    found = answered(gateway, tmp_path, role, 50, "examples,coverage,fuzzing")
    assert {status for _, status in found} >= {200, 401, 403, 404, 405, 422}, found
