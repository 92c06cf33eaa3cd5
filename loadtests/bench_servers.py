"""Servers to measure, each a process on a port of this machine that ends with the measurement."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from gateway.keys import Keys, Role
from loadtests.http_client import ONCE, Found, Plan

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
READY_WITHIN_S, ENDS_WITHIN_S = 300.0, 30.0


class BenchError(Exception):
    """A server or the client did not do its part; says which, and its last words."""


@dataclass(frozen=True)
class Server:
    """One that answers."""

    port: int
    key: str = ""  # a client's; none is asked for without

    def request(self, method: str, path: str, body: bytes, kind: str = "application/json") -> bytes:
        """A whole HTTP request."""
        key = f"authorization: Bearer {self.key}\r\n" if self.key else ""
        head = f"{method} {path} HTTP/1.1\r\nhost: {HOST}:{self.port}\r\n{key}content-type: {kind}\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def measured(server: Server, requests: Sequence[bytes], **how: object) -> Found:
    """What the client found, in a process of its own. how: fields of its plan. Raises BenchError."""
    with tempfile.TemporaryDirectory() as folder:
        texts, plan = Path(folder) / "requests", Path(folder) / "plan.json"
        texts.write_bytes(b"".join(requests))
        made = Plan(HOST, server.port, str(texts), [len(one) for one in requests], **how)  # type: ignore[arg-type]
        plan.write_text(json.dumps(asdict(made)))
        command = [sys.executable, "-m", "loadtests.http_client", str(plan)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"the client ended with {done.returncode}: {last_line(done.stderr)}")
    return Found(**json.loads(done.stdout))


def all_answered(server: Server, requests: Sequence[bytes], connections: int) -> Found:
    """Each request once. Raises BenchError where one was not answered with success."""
    found = measured(server, requests, mode=ONCE, connections=connections, seconds=READY_WITHIN_S)
    if found.done != len(requests):
        got = f"{found.statuses}, {found.dropped:,} dropped" + (f": {found.lost}" if found.lost else "")
        raise BenchError(f"{len(requests):,} requests must be answered with success (got {got})")
    return found


@contextmanager
def noop(answer_bytes: int) -> Iterator[Server]:
    """Answers of so many bytes."""
    server = Server(free_port())
    with running("loadtests.bench_noop", [str(server.port), str(answer_bytes)], server, "/"):
        yield server


@contextmanager
def ours(policy: Path, customers: int, shards: int) -> Iterator[Server]:
    """`windtunnel serve` on a new folder of this file system, durable."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        keys, secret = Keys([]).made("bench", Role.CLIENT)
        keys.write(Path(folder))
        server = Server(free_port(), secret)
        how = {"--folder": folder, "--customers": customers, "--shards": shards, "--port": server.port}
        words = ["serve", str(policy), *(str(word) for pair in how.items() for word in pair)]
        with running("windtunnel", words, server, "/readyz"):
            yield server


@contextmanager
def ray_serve(policy: Path, customers: int) -> Iterator[Server]:
    """The same decisions on Ray Serve."""
    server = Server(free_port())
    with running("loadtests.bench_serve", [str(server.port), str(policy), str(customers)], server, "/"):
        yield server


@contextmanager
def running(
    module: str, words: Sequence[str], server: Server, ready: str, log: Path | None = None, niceness: int = 0
) -> Iterator[int]:
    """A process that answers at a path, by its id, and is told to stop afterwards; killed if it does not. log: the file
    that has what it says, and stays. niceness: by how much it lets others go first. Raises BenchError."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment.pop("RAY_ADDRESS", None)  # a cluster of its own, on this machine
    with tempfile.TemporaryFile("w+") if log is None else log.open("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *words], stdout=said, stderr=said, cwd=Path.cwd(), env=environment
        )
        os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
        try:
            until_ready(process, server.port, ready)
            yield process.pid
        except BenchError as error:
            said.seek(0)
            raise BenchError(f"{module}: {error}; it said last: {last_line(said.read())}") from None
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until_ready(process: "subprocess.Popen[bytes]", port: int, path: str) -> None:
    end = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise BenchError(f"ended with {process.returncode} before it answered")
        connection = HTTPConnection(HOST, port, timeout=5.0)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except (OSError, HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise BenchError(f"did not answer within {READY_WITHIN_S:.0f} s")


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["nothing"])[-1]


def free_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])
