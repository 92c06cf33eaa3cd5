"""HTTP: who asks, what is asked, how large it may be, and every way in which it can go wrong.

An RSGI application: `__rsgi__(scope, protocol)`.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gateway.bodies import Checkout, Claim, CustomerId, Decide, Problem, Profile, Refused
from gateway.desk import Desk, SlowError, UnknownCustomerError
from gateway.dictionary import BodyError
from gateway.dispatcher import FullError
from gateway.keys import Key, Keys, Role
from gateway.register import RoomError

BODY_MAX = 64 * 1024
BODY_WITHIN_S = 10.0  # a body that takes longer is not waited for
RETRY_AFTER_S = 1
JSON = ("content-type", "application/json")
CUSTOMERS = "/v1/customers/"
CUSTOMER = CUSTOMERS + "{id}"


@dataclass(frozen=True)
class Answer:
    """A status, a body to encode, headers beside the usual ones."""

    status: int
    body: Any
    headers: tuple[tuple[str, str], ...] = ()


class StatusError(Exception):
    """Ends a request with an answer."""

    def __init__(self, status: int, error: str, *headers: tuple[str, str]) -> None:
        super().__init__(error)
        self.answer = Answer(status, Refused(error=error), headers)


@dataclass(frozen=True)
class Asked:
    """A request whose key may ask it, with its body read."""

    key: Key
    body: Any
    request: str | None  # Idempotency-Key
    customer: str = ""  # of the path

    @property
    def tells_why(self) -> bool:
        return self.key.role is not Role.CLIENT


@dataclass(frozen=True)
class Route:
    """What can be asked, and by whom."""

    method: str
    path: str
    roles: frozenset[Role]
    body: Any
    act: Callable[["App", Asked], Awaitable[Answer]]


async def decide(app: "App", asked: Asked) -> Answer:
    if asked.request is not None:
        raise StatusError(400, "Idempotency-Key is heeded with claims and orders; without one, send this once")
    return Answer(200, await app.desk.decide(asked.body, asked.tells_why))


async def claim(app: "App", asked: Asked) -> Answer:
    return Answer(200, await app.desk.claim(asked.body, asked.request))


async def checkout(app: "App", asked: Asked) -> Answer:
    return Answer(200, await app.desk.checkout(asked.body, asked.request))


async def put_customer(app: "App", asked: Asked) -> Answer:
    is_new = await app.desk.put(asked.customer, asked.body)
    return Answer(201 if is_new else 200, {"customer": asked.customer})


DECIDES = frozenset({Role.CLIENT, Role.OPERATOR})
ROUTES = [
    Route("POST", "/v1/decide", DECIDES, Decide, decide),
    Route("POST", "/v1/claim", DECIDES, Claim, claim),
    Route("POST", "/v1/checkout", DECIDES, Checkout, checkout),
    Route("PUT", CUSTOMER, DECIDES, Profile, put_customer),
]


class App:
    """Answers requests until it is told to stop taking any."""

    def __init__(self, desk: Desk, keys: Keys, log: Callable[..., None]) -> None:
        """log(event, **what is told of it)."""
        self.desk, self.keys, self.log = desk, keys, log
        self.is_stopping = False
        self.under_way = 0
        self._routes = {(route.method, route.path): route for route in ROUTES}
        self._decoders = {route.path: msgspec.json.Decoder(route.body) for route in ROUTES}
        self._encoder = msgspec.json.Encoder()

    @property
    def is_busy(self) -> bool:
        """Somebody was not answered yet."""
        return self.under_way > 0 or self.desk.carrier.dispatcher.open > 0

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        if scope.proto != "http":
            protocol.close(404)
            return
        answer = await self._answer(scope, protocol)
        headers = [JSON, ("cache-control", "no-store"), *answer.headers]
        protocol.response_bytes(answer.status, headers, self._encoder.encode(answer.body))

    async def _answer(self, scope: Any, protocol: Any) -> Answer:
        if scope.method == "GET" and scope.path in ("/healthz", "/readyz"):
            return self._state(scope.path)
        self.under_way += 1
        try:
            return await self._asked(scope, protocol)
        except StatusError as error:
            return error.answer
        except msgspec.ValidationError as error:
            return refused(422, "the body is not as it must be", [problem_of(str(error))])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return refused(400, f"the body must be JSON: {error}")
        except BodyError as error:
            return refused(422, "the body is not as it must be", error.problems)
        except UnknownCustomerError as error:
            return refused(404, f"no customer has this id: {error}")
        except RoomError as error:
            return refused(507, str(error))
        except FullError as error:
            return Answer(429, Refused(error=str(error)), (("retry-after", str(RETRY_AFTER_S)),))
        except SlowError as error:
            return refused(504, str(error))
        except Exception as error:  # its message may quote a body
            self.log("unexpected", error=type(error).__name__, at=place_of(error))
            return refused(500, "something unexpected happened; it is in the log")
        finally:
            self.under_way -= 1

    def _state(self, path: str) -> Answer:
        if path == "/healthz":
            return Answer(200, {"alive": True})
        ready = self.desk.carrier.dispatcher.has_lead and not self.is_stopping
        return Answer(200 if ready else 503, {"ready": ready})

    async def _asked(self, scope: Any, protocol: Any) -> Answer:
        if self.is_stopping:
            raise StatusError(503, "this gateway is stopping", ("retry-after", str(RETRY_AFTER_S)))
        route, customer = self._route(scope.method, scope.path)
        key = self._key(scope.headers.get("authorization"))
        if key.role not in route.roles:
            raise StatusError(403, f"a key of role {key.role.value} may not ask this")
        body = self._decoders[route.path].decode(await self._body(scope, protocol))
        return await route.act(self, Asked(key, body, scope.headers.get("idempotency-key"), customer))

    def _route(self, method: str, path: str) -> tuple[Route, str]:
        customer, known = "", path
        if path.startswith(CUSTOMERS) and len(path) > len(CUSTOMERS):
            known, customer = CUSTOMER, path.removeprefix(CUSTOMERS)
            msgspec.convert(customer, CustomerId)
        found = self._routes.get((method, known))
        if found is not None:
            return found, customer
        allowed = sorted(one for one, of in self._routes if of == known)
        if allowed:
            raise StatusError(405, f"{path} answers {', '.join(allowed)}", ("allow", ", ".join(allowed)))
        raise StatusError(404, f"nothing is at {path}")

    def _key(self, authorization: str | None) -> Key:
        scheme, _, secret = (authorization or "").partition(" ")
        found = self.keys.holder(secret.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise StatusError(401, "a key is needed: Authorization: Bearer wt_…", ("www-authenticate", "Bearer"))
        return found

    async def _body(self, scope: Any, protocol: Any) -> bytes:
        length = scope.headers.get("content-length")
        if length is not None and (not length.isdecimal() or int(length) > BODY_MAX):
            raise StatusError(413, f"a body must be at most {BODY_MAX:,} bytes (got {length})")
        try:
            return await asyncio.wait_for(read(protocol), BODY_WITHIN_S)
        except TimeoutError:
            raise StatusError(408, f"the body did not come within {BODY_WITHIN_S:.0f} s") from None


async def read(protocol: Any) -> bytes:
    """A body piece by piece: one that says nothing of its length is bounded too."""
    body = bytearray()
    async for piece in protocol:
        body += piece
        if len(body) > BODY_MAX:
            raise StatusError(413, f"a body must be at most {BODY_MAX:,} bytes")
    return bytes(body)


def place_of(error: Exception) -> str:
    """File and line where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def refused(status: int, error: str, problems: list[tuple[str, str]] | None = None) -> Answer:
    return Answer(status, Refused(error=error, problems=[Problem(path=at, message=of) for at, of in problems or []]))


def problem_of(text: str) -> tuple[str, str]:
    """msgspec says `Expected … - at `$.path``."""
    message, _, path = text.partition(" - at ")
    return path.strip("`") or "$", message
