"""Requests as bytes on the wire."""

from urllib.parse import urlsplit

from loadtests.generator.plan import LoadPlan
from loadtests.generator.tape import RouteOf, Tape


class Wording:
    """Puts host, headers and ids around what the tape has."""

    def __init__(self, plan: LoadPlan, tape: Tape) -> None:
        self.plan, self.tape = plan, tape
        self._salt = plan.salt.encode()
        parts = urlsplit(plan.url)
        self.host, self.port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self.is_secure = parts.scheme == "https"
        base = parts.path.rstrip("/")
        self._starts = [f"{route.method} {base}".encode() for route in tape.routes]
        self._heads = [self._head(route, parts.netloc) for route in tape.routes]

    def _head(self, route: RouteOf, netloc: str) -> bytes:
        more = "".join(f"{name}: {value}\r\n" for name, value in self.plan.headers.items())
        return f" HTTP/1.1\r\nhost: {netloc}\r\n{more}content-type: {route.content_type}\r\n".encode()

    def request(self, entry: int, number: int) -> bytes:
        """The whole of it; number: of the arrival, which names it where it has an id."""
        (path, body), place = self.tape.path_and_body(entry), int(self.tape.index["route"][entry])
        name = b"idempotency-key: %s-%d\r\n" % (self._salt, number) if self.tape.routes[place].has_id else b""
        start, head = self._starts[place], self._heads[place]
        return b"%s%s%s%scontent-length: %d\r\n\r\n%s" % (start, path, head, name, len(body), body)
