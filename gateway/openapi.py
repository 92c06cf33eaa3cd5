"""The gateway's document: OpenAPI 3.1, made from the table of routes. What a route can answer follows from
what it is."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.bodies import CustomerId, Refused
from gateway.keys import Role
from gateway.policy_bodies import PublicationNumber
from gateway.refusals import STATUS_OF
from gateway.route import JSON, REQUEST_ID, RETRY_AFTER_S, Route

OPENAPI = "3.1.0"
SCHEMAS = "#/components/schemas/{name}"
KEY = "key"  # the name of the security scheme

SAYS = {
    200: "Done.",
    201: "Done: it is new.",
    202: "Taken.",
    204: "Done; there is nothing to say.",
    400: "A body that cannot be read, or a header that this does not heed.",
    401: "No key that is known.",
    403: "A key whose role may not ask this.",
    404: "Nothing has this name.",
    408: "The body did not come in time.",
    409: "Not possible as things are; why is said.",
    413: "The body is too large.",
    415: "A body of a kind that is not read here.",
    422: "Not as it must be; every problem with its path.",
    429: "A shard has no room for more: ask again later.",
    500: "Something unexpected, which is in the log.",
    503: "It is stopping, or not ready: ask again later.",
    504: "It was taken, and the answer does not come: claims and orders are asked again under the same key.",
    507: "There is no room for another customer.",
}
SEGMENTS = {
    "customer": CustomerId,
    "publication": PublicationNumber,
}  # what a {…} of any path is; a text where nothing is said
RequestId = Annotated[
    str,
    Meta(
        pattern=REQUEST_ID,
        description="Yours, of this request: under it, it is carried out once, also when it is sent again.",
    ),
]
HEADERS = {
    "Retry-After": {
        "description": "Seconds until it should be asked again.",
        "schema": {"type": "integer", "minimum": 0, "examples": [RETRY_AFTER_S]},
    },
    "WWW-Authenticate": {"description": "How to say who asks.", "schema": {"const": "Bearer"}},
}
HEADER_OF = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
ABOUT = """Decisions about marketing messages and coupons, by the engine that the simulations run.

Money is yuan as text, `"20.00"`. Times that end in `_ms` are milliseconds since 1970 in UTC, durations milliseconds.
Bodies are strict: a field nobody knows is refused, and every problem of a body is said at once, with its path.
A path that is not here is answered 404, another method at one that is here 405 with `Allow`. What is no HTTP at all is
answered 400, and headers or a path that are too long 431 or 414, without a body."""


def document(kinds: Mapping[str, Iterable[Route]]) -> dict[str, Any]:
    """kinds: routes by the heading that they stand under."""
    routes = [(kind, route) for kind, listed in kinds.items() for route in listed]
    schemas = Schemas(route for _, route in routes)
    paths: dict[str, dict[str, Any]] = {}
    for kind, route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = operation(kind, route, schemas)
    return {
        "openapi": OPENAPI,
        "info": {"title": "windtunnel gateway", "version": release(), "description": ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": kind} for kind in kinds],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "headers": HEADERS,
            "securitySchemes": {
                KEY: {"type": "http", "scheme": "bearer", "description": "As `windtunnel keys` shows it once: `wt_…`."}
            },
        },
    }


def release() -> str:
    try:
        return version("windtunnel")
    except PackageNotFoundError:
        return "0"


class Schemas:
    """JSON Schemas of all types that routes name, each with one place among the components."""

    def __init__(self, routes: Iterable[Route]) -> None:
        types: list[Any] = [Refused]
        for route in routes:
            types += [*route.answers.values(), *route.query.values(), *map(segment, names_in(route.path)), RequestId]
            types.append(route.body)
        described = [one for one in types if is_described(one)]
        found, self.components = msgspec.json.schema_components(described, ref_template=SCHEMAS)
        self._of = {repr(one): schema for one, schema in zip(described, found, strict=True)}

    def of(self, described: Any) -> dict[str, Any]:
        """Bytes are of any form."""
        return self._of[repr(described)] if is_described(described) else {}


def is_described(of: Any) -> bool:
    return of is not None and of is not bytes


def names_in(path: str) -> list[str]:
    return re.findall(r"{([^}]+)}", path)


def segment(name: str) -> Any:
    return SEGMENTS.get(name, Annotated[str, Meta(min_length=1)])


def operation(kind: str, route: Route, schemas: Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": operation_id(route),
        "tags": [kind],
        "summary": route.says.partition(".")[0].partition(";")[0] + ".",
        "description": route.says,
        "security": [{KEY: []}] if route.roles else [],
        "responses": {str(status): response(status, route, schemas) for status in statuses(route)},
    }
    if route.roles:
        made["x-roles"] = [role.value for role in Role if role in route.roles]
    if parameters := list(parameters_of(route, schemas)):
        made["parameters"] = parameters
    if route.body is not None:
        made["requestBody"] = request_body(route, schemas)
    return made


def operation_id(route: Route) -> str:
    """`put_customers_customer`"""
    words = re.findall(r"[A-Za-z0-9]+", route.path.removeprefix("/v1"))
    return "_".join([route.method.lower(), *words])


def parameters_of(route: Route, schemas: Schemas) -> Iterable[dict[str, Any]]:
    for name in names_in(route.path):
        yield {"name": name, "in": "path", "required": True, "schema": schemas.of(segment(name))}
    for name, of in route.query.items():
        yield {"name": name, "in": "query", "schema": schemas.of(of)}
    if route.heeds_ids:
        yield {"name": "Idempotency-Key", "in": "header", "schema": schemas.of(RequestId)}


def request_body(route: Route, schemas: Schemas) -> dict[str, Any]:
    examples = {name: {"value": body} for name, body in route.examples.items()}
    content: dict[str, Any] = {kind: {"schema": schemas.of(route.body)} for kind in route.takes or (JSON,)}
    if examples and JSON in content:
        content[JSON]["examples"] = examples
    return {"required": True, "description": f"At most {route.body_max:,} bytes.", "content": content}


def statuses(route: Route) -> list[int]:
    """Every one that it can be answered with."""
    found = {*route.answers, *(STATUS_OF[error] for error in route.raises)}
    if route.roles:
        found |= {401, 500, 503}
        found |= {403} if route.roles != frozenset(Role) else set()
        found |= {400}  # an Idempotency-Key: not heeded, or not as it must be
    if route.body is not None:
        found |= {408, 413, 422} | ({415} if route.takes else set())
    if route.query or any(name in SEGMENTS for name in names_in(route.path)):
        found |= {422}
    return sorted(found)


def response(status: int, route: Route, schemas: Schemas) -> dict[str, Any]:
    """One that the route does not name is a refusal."""
    made: dict[str, Any] = {"description": SAYS.get(status, HTTPStatus(status).phrase)}
    body = route.answers.get(status, Refused)
    if body is not None:
        made["content"] = {kind: {"schema": schemas.of(body)} for kind in ((JSON,) if body is Refused else route.gives)}
    if status not in route.answers and (name := HEADER_OF.get(status)) is not None:
        made["headers"] = {name: {"$ref": f"#/components/headers/{name}"}}
    return made
