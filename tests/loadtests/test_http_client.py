"""The client that measures: it must see a server that stalls, refuses or hangs up, and say how late it was itself."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.http_client import CLOSED, ONCE, OPEN, Client, Found, Plan, parsed, percentile_ms

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
FULL = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"
REQUEST = b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc"

Answer = Callable[[int, bytes], bytes]  # number of the request, the request → what is sent


@contextmanager
def served(answer: Answer) -> Iterator[int]:
    """A port where each whole request is answered in a thread of its connection; nothing hangs up."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    numbers = iter(range(10**9))

    def talk(connection: socket.socket) -> None:
        with connection, suppress(ConnectionError):
            buffer = b""
            while piece := connection.recv(1 << 20):
                buffer += piece
                while (found := parsed(b"HTTP/1.1 200" + buffer[buffer.find(b"\r\n") :])) is not None:
                    whole = buffer.find(b"\r\n\r\n") + 4 + found[1]
                    request, buffer = buffer[:whole], buffer[whole:]
                    told = answer(next(numbers), request)
                    if not told:
                        return
                    connection.sendall(told)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listening.getsockname()[1]
    listening.close()


def asked(folder: Path, port: int, requests: list[bytes] | None = None, **how: object) -> Found:
    requests = [REQUEST] if requests is None else requests
    file = folder / "requests"
    file.write_bytes(b"".join(requests))
    plan = Plan("127.0.0.1", port, str(file), [len(one) for one in requests], connections=4, warm_s=0.0, seconds=0.5)
    return Client(replace(plan, **how)).run()  # type: ignore[arg-type]


def test_a_closed_loop_counts_what_was_answered(tmp_path: Path) -> None:
    with served(lambda number, request: OK) as port:
        found = asked(tmp_path, port, mode=CLOSED)
    assert found.done > 50 and found.statuses == {"200": found.done} and found.dropped == 0
    assert found.answer_bytes == 2 and 0 < found.p50_ms <= found.p99_ms <= found.max_ms < 500
    assert found.per_s == pytest.approx(found.done / 0.5, rel=0.2)
    assert found.busy > 0


def test_each_once_in_turn_whatever_its_size(tmp_path: Path) -> None:
    """One is larger than the buffers of a socket: it is sent in pieces."""
    heard: list[int] = []
    sizes = [3, 5_000_000, 10]
    requests = [b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % size + b"a" * size for size in sizes]

    def answer(number: int, request: bytes) -> bytes:
        heard.append(len(request))
        return OK

    with served(answer) as port:
        found = asked(tmp_path, port, requests, mode=ONCE, connections=2, seconds=20.0)
    assert (found.done, found.dropped) == (3, 0)
    assert sorted(heard) == sorted(len(one) for one in requests)


def test_refusals_are_not_successes(tmp_path: Path) -> None:
    with served(lambda number, request: FULL if number % 2 else OK) as port:
        found = asked(tmp_path, port, [REQUEST] * 10, mode=ONCE, connections=1)
    assert (found.done, found.statuses) == (5, {"200": 5, "429": 5})


def test_who_hangs_up_is_called_again_and_counted(tmp_path: Path) -> None:
    with served(lambda number, request: b"" if number % 3 == 0 else OK) as port:
        found = asked(tmp_path, port, [REQUEST] * 9, mode=ONCE, connections=1, seconds=5.0)
    assert (found.done, found.dropped, found.lost) == (6, 3, "closed by the server")


def test_an_open_loop_does_not_spare_a_server_that_stalls(tmp_path: Path) -> None:
    """A tenth of the time nobody is answered: a tenth of the requests waits, and not one for each connection."""
    began = time.monotonic()

    def stalls(number: int, request: bytes) -> bytes:
        since = time.monotonic() - began
        if 0.5 <= since < 0.7:
            time.sleep(0.7 - since)
        return OK

    with served(stalls) as port:
        began = time.monotonic()
        found = asked(tmp_path, port, mode=OPEN, seconds=2.0, per_s=200.0)
    assert (found.done, found.dropped) == (400, 0)
    assert 100 < found.p99_ms <= found.max_ms < 500, "40 of 400 waited up to 200 ms"
    assert found.p50_ms < 20
    assert found.late_ms_p99 < 50


def test_what_is_not_sent_or_not_answered_in_time_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtests.http_client.ANSWERED_WITHIN_S", 1.5)
    silent = threading.Event()

    def falls_silent(number: int, request: bytes) -> bytes:
        if number >= 50:
            silent.wait(8)
        return OK

    with served(falls_silent) as port:
        found = asked(tmp_path, port, mode=OPEN, seconds=1.0, per_s=100.0)
        silent.set()
    assert (found.done, found.done + found.dropped) == (50, 100)


def test_an_answer_of_unknown_length_is_refused() -> None:
    assert parsed(b"HTTP/1.1 200 OK\r\nContent-") is None
    assert parsed(OK[:-1]) is None
    assert parsed(OK) == (200, 2)
    with pytest.raises(ConnectionError, match="must have a content-length"):
        parsed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")


@pytest.mark.parametrize(("percent", "ms"), [(50, 50.0), (99, 99.0), (100, 100.0)])
def test_percentiles_by_nearest_rank(percent: int, ms: float) -> None:
    assert percentile_ms([number * 1_000_000 for number in range(1, 101)], percent) == ms
    assert percentile_ms([], percent) == 0.0
