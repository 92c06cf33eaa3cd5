"""`windtunnel serve` as a process of its own, for tests."""

import json
import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from gateway.keys import Keys, Role

ROOT = Path(__file__).resolve().parent.parent.parent
LIBRARY = ROOT / "scenarios" / "library" / "policies"
CUSTOMERS = 200
READY_WITHIN_S = 300.0  # kernels may have to be compiled first


def command_of_the_page() -> str:
    """As a newcomer types it."""
    page = (ROOT / "docs" / "gateway.md").read_text("utf-8")
    (found,) = [line for line in page.splitlines() if line.startswith("windtunnel serve ")]
    return found


def awake(words: list[str], folder: Path) -> Path:
    """Have a command take its policy without quiet hours, for tests at night; where that policy is."""
    (place,) = [place for place, word in enumerate(words) if word.endswith(".yaml")]
    lines = (ROOT / words[place]).read_text("utf-8").splitlines(keepends=True)
    policy = folder.with_name(f"{folder.name}-policy.yaml")
    policy.write_text("".join(line for line in lines if not line.lstrip().startswith("quiet_hours:")), "utf-8")
    words[place] = str(policy)
    return policy


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Gateway:
    """A process of its own on a folder that outlives it."""

    def __init__(self, folder: Path, *options: str, customers: int = CUSTOMERS) -> None:
        """options: words of the command beside those of the page."""
        self.folder, self.options, self.secrets = folder, options, dict[str, str]()
        self.customers, self._lock = customers, threading.Lock()
        self._client: tuple[int, httpx.Client] | None = None  # made once for a port: it costs 20 ms
        self.trust: ssl.SSLContext | bool = True
        keys = Keys([])
        for role in Role:
            keys, self.secrets[role.value] = keys.made(role.value, role)
        keys.write(folder)
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.begin()
        assert self.process is not None and self.process.stdout is not None
        self.said = self.process.stdout.readline()
        assert "ready" in self.said, (self.folder / "errors.txt").read_text()[-2_000:]
        self.until_ready()

    def refuses(self) -> tuple[int, str]:
        """Exit code, and the end of what is said."""
        self.begin()
        assert self.process is not None
        self.process.wait(READY_WITHIN_S)
        said = (self.folder / "errors.txt").read_text().splitlines()[-1]
        return self.process.returncode, said.rpartition("; ")[2]

    def begin(self) -> None:
        self.port = free_port()
        ours = {"--folder": str(self.folder), "--port": str(self.port), "--customers": str(self.customers)}
        words = [ours.get(before, word) for before, word in pairwise(shlex.split(command_of_the_page()))]
        self.policy = awake(words, self.folder)
        command = [sys.executable, "-c", "import windtunnel; windtunnel.main()", *words, *self.options]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        environment.pop("RAY_ADDRESS", None)
        self.errors = (self.folder / "errors.txt").open("a")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.errors, text=True, env=environment, cwd=ROOT
        )

    def until_ready(self) -> None:
        end = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < end:
            try:
                if httpx.get(f"{self.url}/readyz", verify=self.trust).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError("the gateway does not become ready")

    @property
    def url(self) -> str:
        return f"{'https' if '--certificate' in self.options else 'http'}://127.0.0.1:{self.port}"

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Exit code and what was said last."""
        assert self.process is not None
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=60)
        self.errors.close()
        return self.process.returncode, out

    def ask(self, method: str, path: str, body: Any = None, role: str = "client", **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if role:
            headers["authorization"] = f"Bearer {self.secrets.get(role, role)}"
        with self._lock:
            if self._client is None or self._client[0] != self.port:
                self._client = self.port, httpx.Client(timeout=40.0, verify=self.trust)
        return self._client[1].request(method, self.url + path, content=content, headers=headers)
