"""What is logged: a line of JSON on standard error per thing, and sums where a flood of requests would be one of lines.

Never an id of a customer, a body, or a key: routes by their template, keys by their name, errors by their kind.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Log = Callable[..., None]  # log(event, **what is told of it)

SUMMED_EVERY_S = 10.0
CALLERS_FAULT = (400, 408, 413)  # a body that did not come whole takes as long as the caller lets it
SLOW_S = 1.0  # an answer that takes longer is told of …
SLOW_LINES_MAX = 10  # … so many in SUMMED_EVERY_S; the others are counted
REFUSALS = (401, 403, 408, 413, 429)  # and everything from 500: counted, not a line each


def log(event: str, **told: Any) -> None:
    """A line of JSON on standard error."""
    print(json.dumps({"time": round(time.time(), 3), "event": event, **told}), file=sys.stderr, flush=True)


@dataclass
class RequestLog:
    """Tells of requests: slow ones, sums of what was refused, and each of them where that is asked for."""

    log: Log
    each: bool = False
    slow_lines: int = 0
    refused: Counter[tuple[str, int]] = field(default_factory=Counter)  # (route, status)
    slow: Counter[str] = field(default_factory=Counter)  # by route, beyond the lines

    def answered(self, method: str, route: str, status: int, seconds: float, key: str) -> None:
        if status in REFUSALS or status >= 500:
            self.refused[route, status] += 1
        if seconds > SLOW_S and status not in CALLERS_FAULT:
            self._tell_slow(method, route, status, seconds)
        if self.each:
            self.log("request", method=method, route=route, status=status, ms=round(seconds * 1_000, 2), key=key)

    def _tell_slow(self, method: str, route: str, status: int, seconds: float) -> None:
        self.slow_lines += 1
        if self.slow_lines > SLOW_LINES_MAX:
            self.slow[route] += 1
        else:
            self.log("slow", method=method, route=route, status=status, ms=round(seconds * 1_000))

    def sum_up(self) -> None:
        """Every SUMMED_EVERY_S: what was counted since."""
        for (route, status), count in sorted(self.refused.items()):
            self.log("refused", route=route, status=status, count=count, within_s=SUMMED_EVERY_S)
        for route, count in sorted(self.slow.items()):
            self.log("slow", route=route, count=count, within_s=SUMMED_EVERY_S)
        self.refused.clear()
        self.slow.clear()
        self.slow_lines = 0
