"""What strangers may send: others are answered meanwhile, nothing breaks, and nothing is left of it."""

import contextlib
import os
import random
import re
import resource
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from gateway.doorkeeper import CONNECTIONS_MAX, STRANGER_S
from tests.gateway.process import Gateway

SEED = 31
LEFT_OPEN = CONNECTIONS_MAX + 500  # more than there is room for
SLOW = 100
P99_S, MOST_S = 0.5, 5.0  # generous: the machine is shared
GROWTH_BYTES = 200 * 2**20
FILES_MORE = 8
GONE_WITHIN_S = STRANGER_S + 10.0


# --- the process ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found = Gateway(tmp_path_factory.mktemp("attacked"))
    found.start()
    assert found.ask("PUT", "/v1/customers/c-1", {}).status_code == 201
    yield found
    found.end(signal.SIGTERM)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def files_of(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/fd"))


def memory_of(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Bystander:
    """A caller who has nothing to do with it: on one connection, and on a new one each time."""

    gateway: Gateway
    taken_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        kept = HTTPConnection("127.0.0.1", self.gateway.port, timeout=20.0)
        while not self.ended.wait(0.02):
            self._ask(kept)
            new = HTTPConnection("127.0.0.1", self.gateway.port, timeout=20.0)
            self._ask(new)
            new.close()
        kept.close()

    def _ask(self, connection: HTTPConnection) -> None:
        began = time.monotonic()
        try:
            headers = {"authorization": f"Bearer {self.gateway.secrets['client']}"}
            connection.request("POST", "/v1/decide", b'{"customer":"c-1","event":"login"}', headers)
            answer = connection.getresponse()
            told = answer.read()
            if answer.status != 200:
                self.failures.append(f"{answer.status} {told!r}")
        except (OSError, HTTPException) as error:
            self.failures.append(repr(error))
        self.taken_s.append(time.monotonic() - began)

    @contextlib.contextmanager
    def beside(self) -> Iterator[None]:
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        self.ended.set()
        self.thread.join()


# --- attacks: each says what it was answered --------------------------------------------------------------------------
def connected(port: int) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", port), timeout=10.0)
    found.settimeout(1.0)
    return found


def heard(caller: socket.socket) -> bytes:
    """Everything until it is shut, or nothing more comes."""
    out = b""
    with contextlib.suppress(OSError):
        while piece := caller.recv(65_536):
            out += piece
    return out


def said(port: int, *pieces: bytes, then: Callable[[socket.socket], object] = lambda caller: None) -> bytes:
    with connected(port) as caller:
        with contextlib.suppress(OSError):  # it may hang up while we speak
            for piece in pieces:
                caller.sendall(piece)
            then(caller)
        return heard(caller)


def head(line: str = "POST /v1/decide", *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: a", "Connection: close", *headers, "", ""]).encode()


def random_bytes(port: int, key: str) -> bytes:
    dice = random.Random(SEED)
    return b"".join(said(port, dice.randbytes(dice.randint(1, 20_000)) + b"\r\n\r\n") for _ in range(20))


def long_bodies(port: int, key: str) -> bytes:
    """10 MB: as said, in pieces, and more or less than said."""
    with_key, piece = f"Authorization: Bearer {key}", b" " * 2**20
    chunk = b"100000\r\n" + piece + b"\r\n"
    chunked = head("POST /v1/decide", with_key, "Transfer-Encoding: chunked")
    return b"".join([
        said(port, head("POST /v1/decide", with_key, f"Content-Length: {10 * 2**20}"), *[piece] * 10),
        said(port, chunked, *[chunk] * 10),
        said(port, chunked, b"FFFFFFFFFFFFFFFFF\r\n", piece),
        said(port, head("POST /v1/decide", with_key, "Content-Length: 5"), piece),
        said(port, head("POST /v1/decide", with_key, "Content-Length: -5"), piece),
        said(port, head("POST /v1/decide", with_key, "Content-Length: 5", "Transfer-Encoding: chunked"), b"5\r\n{}"),
    ])  # fmt: skip


def half_closed(port: int, key: str) -> bytes:
    """Nothing more is said, before and after the end of a request, by one side or by force."""
    body = b'{"customer":"c-1","event":"login"}'
    whole = head("POST /v1/decide", f"Authorization: Bearer {key}", f"Content-Length: {len(body)}") + body
    out = b""
    for end in (10, len(whole) - 5, len(whole)):
        out += said(port, whole[:end], then=lambda caller: caller.shutdown(socket.SHUT_WR))
    for _ in range(50):  # hung up before the answer
        with connected(port) as caller:
            caller.sendall(whole)
    for _ in range(20):  # with a reset
        with connected(port) as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            caller.sendall(whole[:-5])
    return out


def two_garbled(port: int, key: str) -> bytes:
    """HTTP/2: a preface, and then what is none of it."""
    preface, dice = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", random.Random(SEED)
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    flood = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + b"pingping"
    resets = b"".join(
        b"\x00\x00\x05\x01\x05" + stream.to_bytes(4, "big") + b"\x82\x84\x86\x41\x00"  # headers
        + b"\x00\x00\x04\x03\x00" + stream.to_bytes(4, "big") + b"\x00\x00\x00\x08"  # and never mind
        for stream in range(1, 20_000, 2)
    )  # fmt: skip
    said(port, preface + dice.randbytes(10_000))
    said(port, preface + settings + b"\xff\xff\xff\x01\x04\x00\x00\x00\x01" + dice.randbytes(10_000))
    said(port, preface + settings, *[flood * 1_000] * 20)
    said(port, preface + settings, resets)
    said(port, preface[:-3] + b"XX")
    return b""  # frames are no text


def long_heads(port: int, key: str) -> bytes:
    return b"".join([
        said(port, head("GET /healthz", *[f"X-{number}: {'a' * 100}" for number in range(5_000)])),
        said(port, head("GET /healthz", "X: " + "a" * 1_000_000)),
        said(port, head("GET /" + "a" * 200_000)),
        said(port, head("GET /healthz", *["Authorization: Bearer wt_x"] * 50)),
        said(port, b"GET /healthz HTTP/1.1\r\n" + b"a" * 100 + b"\r\n\r\n"),
    ])  # fmt: skip


def pipelined(port: int, key: str) -> bytes:
    """Many requests at once, whose answers nobody reads for a while."""
    one = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    return said(port, *[one * 100] * 30, then=lambda caller: time.sleep(0.3))


def odd_requests(port: int, key: str) -> bytes:
    with_key, out = f"Authorization: Bearer {key}", b""
    deep, big = b"[" * 60_000, b'{"customer":"c-1","event":"login","dwell_ms":' + b"9" * 60_000 + b"}"
    nested = b'{"customer":' * 5_000
    for body in (
        deep,
        big,
        nested,
        b'{"customer":"c-1","event":"login","dwell_ms":1e400}',
        b"\x00" * 100,
        b'"\\ud800"',
    ):
        out += said(port, head("POST /v1/decide", with_key, f"Content-Length: {len(body)}") + body)
    lines = (
        b"GET /\xff\xfe\x80 HTTP/1.1", b"GET /%ff%fe%00 HTTP/1.1", b"PUT /v1/customers/%ff%00 HTTP/1.1",
        b"PUT /v1/customers/\xc3\x28 HTTP/1.1", b"GET //// HTTP/1.1", b"GET /../../etc/passwd HTTP/1.1",
        b"FROBNICATE" * 20 + b" /v1/decide HTTP/1.1", b"G\x00T / HTTP/1.1", b"CONNECT a:1 HTTP/1.1",
        b"OPTIONS * HTTP/1.1", b"TRACE / HTTP/1.1", b"GET http://elsewhere/v1/decide HTTP/1.1", b"GET / HTTP/9.9",
        b"GET /v1/decide?" + b"a=b&" * 5_000 + b" HTTP/1.1",
    )  # fmt: skip
    for line in lines:
        out += said(port, line + b"\r\nHost: a\r\nConnection: close\r\n" + with_key.encode() + b"\r\n\r\n")
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: YQ==")
    return out + said(port, head("GET /v1/decide", *upgrade)) + said(port, head("GET /", "Authorization: Bearer \xe9"))


ATTACKS = (random_bytes, long_bodies, half_closed, two_garbled, long_heads, pipelined, odd_requests)


def left_open(port: int) -> list[socket.socket]:
    return [connected(port) for _ in range(LEFT_OPEN)]


def slow(port: int, key: str, ended: threading.Event) -> None:
    """Heads and bodies a byte at a time."""
    body = head("POST /v1/decide", f"Authorization: Bearer {key}", "Content-Length: 1000")
    callers = [(connected(port), start) for start in (b"GET / HTTP/1.1\r\nX: ", body, b"PRI * ") for _ in range(SLOW)]
    for caller, start in callers:
        caller.sendall(start)
    while not ended.wait(0.5):
        for caller, _ in callers:
            with contextlib.suppress(OSError):
                caller.send(b"a")
    for caller, _ in callers:
        caller.close()


# --- the test ---------------------------------------------------------------------------------------------------------
def test_others_are_answered_meanwhile_and_nothing_is_left(gateway: Gateway) -> None:
    assert gateway.process is not None
    process, key = gateway.process.pid, gateway.secrets["client"]
    bystander, newcomer = Bystander(gateway), Bystander(gateway)
    files, memory, ended = files_of(process), memory_of(process), threading.Event()
    drip = threading.Thread(target=slow, args=(gateway.port, key, ended))
    answers: dict[str, bytes] = {}
    with bystander.beside():
        drip.start()
        for attack in ATTACKS:
            answers[attack.__name__] = attack(gateway.port, key)
    with newcomer.beside():
        crowd = left_open(gateway.port)
        time.sleep(MOST_S)
        assert gateway.process.poll() is None
        newcomer.stop()
        for caller in crowd:
            caller.close()
        ended.set()
        drip.join()
    statuses = {name: {int(one) for one in re.findall(rb"HTTP/1.1 (\d{3}) ", text)} for name, text in answers.items()}
    assert {name: found for name, found in statuses.items() if any(one >= 500 for one in found)} == {}
    assert {413, 400} <= statuses["long_bodies"] | statuses["odd_requests"], "they were read, not only cut off"
    assert bystander.failures == [] and newcomer.failures == []
    assert len(bystander.taken_s) > 50 and statistics.quantiles(bystander.taken_s, n=100)[-1] < P99_S
    assert len(newcomer.taken_s) > 20 and max(newcomer.taken_s) < MOST_S
    until(lambda: files_of(process) <= files + FILES_MORE, f"{files_of(process)} files are open, {files} were")
    assert memory_of(process) < memory + GROWTH_BYTES
    log = (gateway.folder / "errors.txt").read_text()
    assert "Traceback" not in log and '"unexpected"' not in log and key not in log
    assert log.count("\n") < 60, "a flood of requests is no flood of lines"


def test_who_says_nothing_is_shut_out(gateway: Gateway) -> None:
    """Before TLS, HTTP/1 or HTTP/2 have begun, and while they go on."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    callers = {start: connected(gateway.port) for start in (b"", b"G", b"\x16\x03\x01", preface[:5], preface)}
    for start, caller in callers.items():
        caller.sendall(start)
    end = time.monotonic() + GONE_WITHIN_S
    for start, caller in callers.items():
        caller.settimeout(max(end - time.monotonic(), 0.1))
        with contextlib.suppress(ConnectionError):
            while caller.recv(1_000):
                pass
        assert time.monotonic() < end, start
        caller.close()


def until(is_so: Callable[[], bool], words: str) -> None:
    end = time.monotonic() + GONE_WITHIN_S
    while not is_so():
        assert time.monotonic() < end, words
        time.sleep(0.1)
