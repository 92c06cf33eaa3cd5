"""A gateway with TLS, and what its log and its metrics say."""

import json
import re
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.tls import write_self_signed
from tests.gateway.process import Gateway


class Secured(Gateway):
    """A process with a certificate for trials."""

    def __init__(self, folder: Path) -> None:
        certificate, key = write_self_signed(folder / "tls", ["localhost", "127.0.0.1"])
        super().__init__(folder, "--certificate", str(certificate), "--private-key", str(key), "--log-requests")
        self.trust = ssl.create_default_context(cafile=str(certificate))

    @property
    def log(self) -> list[dict[str, Any]]:
        """Lines; each of them is JSON."""
        return [json.loads(line) for line in (self.folder / "errors.txt").read_text().splitlines()]

    def metrics(self, role: str = "operator") -> dict[str, float]:
        """By name with labels."""
        text = self.ask("GET", "/metrics", role=role).text
        rows = re.findall(r"^([a-z_]+(?:\{.*\})?) (\S+)$", text, re.MULTILINE)
        return {name: float(value) for name, value in rows}

    def until(self, is_so: Callable[[], bool], within_s: float = 20.0) -> None:
        end = time.monotonic() + within_s
        while not is_so():
            assert time.monotonic() < end, (self.folder / "errors.txt").read_text()[-2_000:]
            time.sleep(0.05)
