"""What is written to disk in one thread beside the loop: whatever comes while a write is under way shares the next one,
and with it one sync. A round of the loop that asks for a thousand writes waits for one disk, once, and for nobody else.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

Job = TypeVar("Job")

TOGETHER_MAX = 1_000  # jobs of one write: a caller waits for no more than these


class Grouped(Generic[Job]):
    """`write(jobs)` keeps them all and returns what became of each: a result, or the exception that its caller gets.
    What it raises itself, every caller of those jobs gets."""

    def __init__(self, write: Callable[[Sequence[Job]], Sequence[Any]]) -> None:
        self._write = write
        self._waiting: list[tuple[Job, asyncio.Future[Any]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1)

    async def kept(self, job: Job) -> Any:
        """What became of a job, once it is on the disk."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((job, future))
        if self._writing is None:
            self._writing = loop.create_task(self._write_all())
        return await future

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                some, self._waiting = self._waiting[:TOGETHER_MAX], self._waiting[TOGETHER_MAX:]
                became = await self._in_thread(loop, [job for job, _ in some])
                for (_, future), result in zip(some, became, strict=True):
                    if future.done():  # whoever waited has gone; it is kept all the same
                        continue
                    future.set_exception(result) if isinstance(result, Exception) else future.set_result(result)
        finally:
            self._writing = None

    async def _in_thread(self, loop: asyncio.AbstractEventLoop, jobs: Sequence[Job]) -> Sequence[Any]:
        try:
            return await loop.run_in_executor(self._thread, self._became, jobs)
        except RuntimeError as error:  # it was closed
            return [error] * len(jobs)

    def _became(self, jobs: Sequence[Job]) -> Sequence[Any]:
        try:
            return self._write(jobs)
        except Exception as error:
            return [error] * len(jobs)

    def close(self) -> None:
        """Once nobody waits any more; what is being written is written to its end."""
        self._thread.shutdown()
