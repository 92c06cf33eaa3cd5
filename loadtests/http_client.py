"""A lean HTTP/1.1 client for measurements, in a process of its own, the same for every server that is compared.

Closed: so many connections, each asks again as soon as it is answered. Open: requests fall due at a fixed rate whatever
the server does, and their time counts from when they were due, so that a server which stalls is not spared the requests
that it kept waiting (coordinated omission). It says of itself how late it sent what was due and how busy it was.

`python -m loadtests.http_client PLAN` with the path of a Plan as JSON prints what it Found as JSON.
"""

import json
import selectors
import socket
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

CLOSED, OPEN, ONCE = "closed", "open", "once"
SENT_WITHIN_S, ANSWERED_WITHIN_S = 1.0, 10.0
NS = 1_000_000_000
RECEIVE_BYTES = 1 << 18


@dataclass(frozen=True)
class Plan:
    """What is asked."""

    host: str
    port: int
    requests: str  # path of a file: whole requests, one behind the other …
    lengths: list[int]  # … with their bytes; they are sent in turns
    mode: str = CLOSED  # ONCE: closed, until every request was answered
    connections: int = 64
    seconds: float = 10.0
    warm_s: float = 1.0  # before it, not counted; closed only
    per_s: float = 1_000.0  # open only


@dataclass(frozen=True)
class Found:
    """What came of it; times in milliseconds, of requests that were answered with success."""

    seconds: float
    done: int  # answered with success
    statuses: dict[str, int]
    dropped: int  # not sent or not answered in time, or the connection was lost
    p50_ms: float
    p99_ms: float
    max_ms: float
    late_ms_p99: float  # that the client itself was, with what was due
    late_ms_max: float
    busy: float  # share of one core that the client took
    answer_bytes: int  # of the latest body
    lost: str  # why a connection was lost, the latest

    @property
    def per_s(self) -> float:
        return self.done / self.seconds if self.seconds else 0.0


@dataclass
class Tally:
    """What is counted while it runs; times in nanoseconds."""

    latencies: "array[int]" = field(default_factory=lambda: array("q"))
    late: "array[int]" = field(default_factory=lambda: array("q"))
    statuses: Counter[int] = field(default_factory=Counter)
    dropped: int = 0
    answer_bytes: int = 0
    lost: str = ""

    def answered(self, status: int, size: int, took: int) -> None:
        self.statuses[status] += 1
        self.answer_bytes = size
        if 200 <= status < 300:
            self.latencies.append(took)


class Connection:
    """One, with at most one request on its way."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self._open()

    def _open(self) -> None:
        self.socket = socket.create_connection(self.address, timeout=ANSWERED_WITHIN_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.began = 0
        self._buffer, self._unsent = b"", b""

    def reopen(self) -> None:
        self.socket.close()
        self._open()

    def send(self, request: bytes, began: int) -> bool:
        """Whether all of it is on its way; `began`, in nanoseconds, is what its time counts from."""
        self.began = began
        self._unsent = request
        return self.push()

    def push(self) -> bool:
        try:
            sent = self.socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except ConnectionError:  # reading says so too
            sent = len(self._unsent)
        self._unsent = self._unsent[sent:]
        return not self._unsent

    def answer(self) -> tuple[int, int] | None:
        """Status and bytes of the body, once it is all there. Raises ConnectionError."""
        piece = self.socket.recv(RECEIVE_BYTES)
        if not piece:
            raise ConnectionError("closed by the server")
        self._buffer = self._buffer + piece if self._buffer else piece
        found = parsed(self._buffer)
        if found is not None:
            self._buffer = b""
        return found


def parsed(text: bytes) -> tuple[int, int] | None:
    """Status and bytes of the body of an answer; None while some of it is missing."""
    end = text.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = text[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        raise ConnectionError(f"an answer must have a content-length (got {text[:end]!r})")
    size = int(head[at + 17 :].split(b"\r\n", 1)[0])
    return (int(head[9:12]), size) if len(text) >= end + 4 + size else None


class Client:
    """Asks as a plan says. `now` is in nanoseconds."""

    def __init__(self, plan: Plan, now: Callable[[], int] = time.perf_counter_ns) -> None:
        self.plan, self.now, self.tally = plan, now, Tally()
        self._requests = cycled(Path(plan.requests).read_bytes(), plan.lengths)
        # epoll counts in whole milliseconds, which is too coarse for what is due.
        self._selector = selectors.SelectSelector() if plan.mode == OPEN else selectors.DefaultSelector()
        self.connections = [Connection((plan.host, plan.port)) for _ in range(plan.connections)]
        for connection in self.connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        self._counts_from = 0

    def run(self) -> Found:
        began, worked = self.now(), time.process_time()
        counted = self._open_loop() if self.plan.mode == OPEN else self._closed_loop()
        busy = (time.process_time() - worked) * NS / max(self.now() - began, 1)
        for connection in self.connections:
            connection.socket.close()
        return found(self.tally, counted / NS, busy)

    def _closed_loop(self) -> int:
        """Nanoseconds that were counted."""
        once = self.plan.mode == ONCE
        left = len(self.plan.lengths) if once else sys.maxsize
        self._counts_from = start = self.now() + (0 if once else int(self.plan.warm_s * NS))
        end = start + int(self.plan.seconds * NS)
        busy = 0
        for connection in self.connections[:left]:
            self._send(connection, self.now())
            left, busy = left - 1, busy + 1
        while busy and self.now() < end:
            for connection in self._answered(max(0.0, (end - self.now()) / NS)):
                if left:
                    self._send(connection, self.now())
                    left -= 1
                else:
                    busy -= 1
        if once:
            self.tally.dropped += busy
        return self.now() - start

    def _open_loop(self) -> int:
        """Nanoseconds in which requests fell due."""
        gap, count = NS / self.plan.per_s, int(self.plan.per_s * self.plan.seconds)
        free, waiting = list(self.connections), deque[int]()
        start, due = self.now(), 0
        last = start + int(count * gap)
        while True:
            now = self.now()
            while due < count and start + int(due * gap) <= now:
                waiting.append(start + int(due * gap))
                due += 1
                if free:
                    self.tally.late.append(now - waiting[0])
                    self._send(free.pop(), waiting.popleft())
            while waiting and now - waiting[0] > SENT_WITHIN_S * NS:
                waiting.popleft()
                self.tally.dropped += 1
            done = due == count and not waiting
            if (done and len(free) == len(self.connections)) or now > last + ANSWERED_WITHIN_S * NS:
                break
            until = start + int(due * gap) if due < count else now + NS // 100
            for connection in self._answered(max(0, until - now) / NS):
                if waiting:
                    self._send(connection, waiting.popleft())
                else:
                    free.append(connection)
        self.tally.dropped += len(self.connections) - len(free) + len(waiting)
        return last - start

    def _send(self, connection: Connection, began: int) -> None:
        if not connection.send(next(self._requests), began):
            self._selector.modify(connection.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)

    def _answered(self, within_s: float) -> Iterator[Connection]:
        """Connections that were answered, or lost and opened again, within some time."""
        for key, events in self._selector.select(within_s):
            connection: Connection = key.data
            if events & selectors.EVENT_WRITE and connection.push():
                self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
            if events & selectors.EVENT_READ and self._is_over(connection):
                yield connection

    def _is_over(self, connection: Connection) -> bool:
        try:
            answer = connection.answer()
        except ConnectionError as error:
            self.tally.dropped += 1
            self.tally.lost = str(error)
            self._selector.unregister(connection.socket)
            connection.reopen()
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
            return True
        now = self.now()
        if answer is not None and now >= self._counts_from:
            self.tally.answered(*answer, now - connection.began)
        return answer is not None


def cycled(text: bytes, lengths: Sequence[int]) -> Iterator[bytes]:
    """Pieces of so many bytes, over and over."""
    pieces, at = [], 0
    for length in lengths:
        pieces.append(text[at : at + length])
        at += length
    assert at == len(text) and pieces, "requests are of other lengths"
    while True:
        yield from pieces


def found(tally: Tally, seconds: float, busy: float) -> Found:
    times, late = sorted(tally.latencies), sorted(tally.late)
    return Found(
        seconds=seconds, done=len(times), dropped=tally.dropped,
        statuses={str(status): count for status, count in sorted(tally.statuses.items())},
        p50_ms=percentile_ms(times, 50), p99_ms=percentile_ms(times, 99), max_ms=percentile_ms(times, 100),
        late_ms_p99=percentile_ms(late, 99), late_ms_max=percentile_ms(late, 100), busy=busy,
        answer_bytes=tally.answer_bytes, lost=tally.lost,
    )  # fmt: skip


def percentile_ms(ascending: Sequence[int], percent: int) -> float:
    """By nearest rank, of nanoseconds; 0 without any."""
    return ascending[max(0, -(-len(ascending) * percent // 100) - 1)] / 1e6 if ascending else 0.0


def main() -> None:
    plan = Plan(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    print(json.dumps(asdict(Client(plan).run())))


if __name__ == "__main__":
    main()
