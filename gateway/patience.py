"""How long answers are waited for: one timer for all that wait."""

import asyncio
from collections import deque
from typing import Any

SWEPT_EVERY_S = 0.5


class SlowError(Exception):
    """It was taken, and the answer does not come."""


class Patience:
    """Futures that end with SlowError unless they have a result in time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, within_s: float) -> None:
        self._loop, self._within_s = loop, within_s
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()  # (until, …), ascending
        self._is_set = False

    def future(self) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((self._loop.time() + self._within_s, future))
        if not self._is_set:
            self._is_set = True
            self._loop.call_later(SWEPT_EVERY_S, self._sweep)
        return future

    def _sweep(self) -> None:
        now, waiting = self._loop.time(), self._waiting
        while waiting and (waiting[0][1].done() or waiting[0][0] <= now):
            _, future = waiting.popleft()
            if not future.done():
                future.set_exception(SlowError(f"no answer within {self._within_s:.0f} s"))
        self._is_set = bool(waiting)
        if self._is_set:
            self._loop.call_later(SWEPT_EVERY_S, self._sweep)
