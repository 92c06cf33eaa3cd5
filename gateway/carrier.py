"""Carries messages between hosts and the dispatcher on the event loop that answers callers: no thread of its own, and
no waiting."""

import asyncio
from collections.abc import Callable
from typing import Any

from engine.host.switch import TICK_S, Switch
from gateway.dispatcher import Dispatcher


class Carrier:
    """Turns the switch whenever something is there for it, and every TICK_S."""

    def __init__(self, switch: Switch, dispatcher: Dispatcher, loop: asyncio.AbstractEventLoop) -> None:
        self.switch, self.dispatcher, self.loop = switch, dispatcher, loop
        self._is_due = False
        self._ends = False
        self.failed: asyncio.Future[None] = loop.create_future()  # why it cannot go on

    def nudge(self) -> None:
        """There is something to carry; what else comes in this round of the loop goes with it."""
        if not self._is_due:
            self._is_due = True
            self.loop.call_soon(self._turn)

    def wake(self) -> None:
        """The same, from any thread."""
        try:
            self.loop.call_soon_threadsafe(self.nudge)
        except RuntimeError:
            assert self._ends, "the loop is closed"

    async def run(self) -> None:
        """Until `end`. Raises what carrying raised."""
        while not self._ends:
            self.nudge()
            done, _ = await asyncio.wait([self.failed], timeout=TICK_S)
            if done:
                await self.failed

    async def until(self, is_so: Callable[[], bool], within_s: float) -> bool:
        """Wait for something; whether it came."""
        end = self.loop.time() + within_s
        while not is_so() and self.loop.time() < end and not self.failed.done():
            await asyncio.sleep(TICK_S)
        return is_so()

    def end(self) -> None:
        self._ends = True

    def _turn(self) -> None:
        self._is_due = False
        if self._ends:
            return
        try:
            self._carry()
        except Exception as error:
            if not self.failed.done():
                self.failed.set_exception(error)

    def _carry(self) -> None:
        self._flush()
        self.switch.turn()
        if self._flush() or self.switch.has_more:  # answers have made room, or are for others
            self.nudge()

    def _flush(self) -> int:
        envelopes: list[Any] = self.dispatcher.flush(self.switch.now)
        self.switch.post(envelopes)
        return len(envelopes)
