"""HTTP: who asks, what is asked, how large it may be, and every way in which it can go wrong.

An RSGI application: `__rsgi__(scope, protocol)`.
"""

import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gateway.incoming import Incoming
from gateway.keys import Key
from gateway.operation import Seen
from gateway.refusals import refusal_of
from gateway.route import (
    REQUEST_ID,
    RETRY_AFTER_S,
    Answer,
    Asked,
    Route,
    Services,
    StatusError,
    media_type,
    refused,
)
from gateway.routes import ROUTES

NOSNIFF, CLOSE = ("x-content-type-options", "nosniff"), ("connection", "close")


class Paths:
    """Routes by method and path."""

    def __init__(self, routes: list[Route]) -> None:
        self._exact = {(route.method, route.path): route for route in routes if "{" not in route.path}
        self._named = [(route, route.path.split("/")) for route in routes if "{" in route.path]
        self._routes = routes

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """A route, and what its {…} stand for. Raises StatusError."""
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact, {}
        segments = path.split("/")
        fitting = [(route, named) for route, of in self._named if (named := _named(of, segments)) is not None]
        for route, named in fitting:
            if route.method == method:
                return route, named
        allowed = sorted({route.method for route in [*(one for one, _ in fitting), *self._routes_at(path)]})
        if allowed:
            raise StatusError(405, f"{path} answers {', '.join(allowed)}", ("allow", ", ".join(allowed)))
        raise StatusError(404, f"nothing is at {path}")

    def _routes_at(self, path: str) -> list[Route]:
        return [route for route in self._routes if route.path == path]


def _named(template: list[str], segments: list[str]) -> dict[str, str] | None:
    """What the {…} of a path stand for; None where it is another path."""
    if len(template) != len(segments):
        return None
    named = {}
    for part, segment in zip(template, segments, strict=True):
        if part.startswith("{") and segment:
            named[part[1:-1]] = segment
        elif part != segment:
            return None
    return named


@dataclass
class Trace:
    """What is known of a request so far."""

    route: Route | None = None
    key: Key | None = None
    named: Mapping[str, str] = field(default_factory=dict)
    noted: list[str] = field(default_factory=list)


class App:
    """Answers requests until it is told to stop taking any."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.under_way = 0
        self._paths = Paths(ROUTES)
        typed = [route for route in ROUTES if route.body not in (None, bytes)]
        self._decoders = {(route.method, route.path): msgspec.json.Decoder(route.body) for route in typed}
        self._encoder = msgspec.json.Encoder()

    def stop_taking(self) -> None:
        self.services.is_stopping = True

    @property
    def is_busy(self) -> bool:
        """Somebody was not answered yet."""
        return self.under_way > 0 or self.services.desk.carrier.dispatcher.open > 0

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        if scope.proto != "http":
            protocol.close(404)
            return
        operation, trace, answer = self.services.operation, Trace(), refused(500, "")
        seen = Seen("", "", 0.0) if operation is None else operation.began(scope.client, scope.method)
        self.under_way += 1
        incoming = Incoming(scope, protocol)
        try:
            answer = await self._audited(scope, incoming, trace)
            goes_on = await incoming.leave()
        finally:
            self.under_way -= 1
            if operation is not None:
                seen.route = seen.route if trace.route is None else trace.route.path
                seen.key = "" if trace.key is None else trace.key.name
                operation.ended(seen, answer.status)
        body = answer.body if isinstance(answer.body, bytes) else self._encoder.encode(answer.body)
        headers = [("content-type", answer.content_type), ("cache-control", answer.cache), NOSNIFF, *answer.headers]
        if not goes_on:
            headers.append(CLOSE)
        protocol.response_bytes(answer.status, headers, body)

    async def _audited(self, scope: Any, incoming: Incoming, trace: Trace) -> Answer:
        """An answer, once the audit log has what it must have of it."""
        answer = await self._answer(scope, incoming, trace)
        try:
            await self._note(trace, answer.status)
        except Exception as error:
            self.services.log("unexpected", error=type(error).__name__, at=place_of(error))
            return refused(500, "the audit log cannot be written, so this is not answered; it may have been done")
        return answer

    async def _note(self, trace: Trace, status: int) -> None:
        audit, route = self.services.audit, trace.route
        if route is None:
            return
        if status == 401:
            await audit.note_stranger(route.name)
        elif trace.key is not None and (route.is_audited or trace.noted or status == 403):
            customer = trace.named.get("customer")
            token = None if customer is None else self.services.desk.register.token(customer)
            await audit.note(route.name, trace.key, token, status, ", ".join(trace.noted))

    async def _answer(self, scope: Any, incoming: Incoming, trace: Trace) -> Answer:
        try:
            return await self._asked(scope, incoming, trace)
        except Exception as error:  # its message may quote a body
            answer = refusal_of(error)
            if answer is not None:
                return answer
            self.services.log("unexpected", error=type(error).__name__, at=place_of(error))
            return refused(500, "something unexpected happened; it is in the log")

    async def _asked(self, scope: Any, incoming: Incoming, trace: Trace) -> Answer:
        route, named = self._paths.find(scope.method, scope.path)
        trace.route, trace.named = route, named
        if not route.roles:
            return await route.act(self.services, Asked(None, named=named, headers=scope.headers))
        if self.services.is_stopping:
            raise StatusError(503, "this gateway is stopping", ("retry-after", str(RETRY_AFTER_S)))
        trace.key = key = self._key(scope.headers.get("authorization"))
        if key.role not in route.roles:
            raise StatusError(403, f"a key of role {key.role.value} may not ask this")
        request = scope.headers.get("idempotency-key", "" if "idempotency-key" in scope.headers else None)
        if request is not None and not route.heeds_ids:
            heed = ", ".join(one.path for one in ROUTES if one.heeds_ids)
            raise StatusError(400, f"Idempotency-Key is heeded by {heed}; send this without, once")
        if request is not None and not re.match(REQUEST_ID, request):
            raise StatusError(400, f"Idempotency-Key must be 1 to 255 visible ASCII characters (got {len(request):,})")
        query = dict(parse_qsl(scope.query_string, keep_blank_values=True)) if scope.query_string else {}
        return await route.act(
            self.services,
            Asked(await self._body(route, scope, incoming), key, request, named, scope.headers, query, trace.noted),
        )

    def _key(self, authorization: str | None) -> Key:
        scheme, _, secret = (authorization or "").partition(" ")
        found = self.services.keys.holder(secret.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise StatusError(401, "a key is needed: Authorization: Bearer wt_…", ("www-authenticate", "Bearer"))
        return found

    async def _body(self, route: Route, scope: Any, incoming: Incoming) -> Any:
        if route.body is None:
            return None
        kind = media_type(scope.headers.get("content-type"))
        if route.takes and kind not in route.takes:
            raise StatusError(415, f"content-type must be {' or '.join(route.takes)} (got {kind or 'none'})")
        body = await incoming.read(route.body_max)
        return body if route.body is bytes else self._decoders[route.method, route.path].decode(body)


def place_of(error: Exception) -> str:
    """File and line where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
