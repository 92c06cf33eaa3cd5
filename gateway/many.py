"""Many events at once: read a slice at a time beside everybody else's requests, taken all or none."""

import asyncio
from collections.abc import Sequence

import numpy as np

from engine.fraud_records import ORIGIN
from engine.records import DECISION
from gateway import arrow, json_lines
from gateway.blocks import Block, Outcome, new_events
from gateway.desk import Desk
from gateway.dictionary import BodyError
from gateway.dispatcher import FullError
from gateway.event_answers import Shows
from gateway.event_rows import Checking, Found, Rows, Work

EVENTS_MAX = 50_000  # of a request
REQUESTS_MAX = 8  # of many events, under way at once
JSON_LINES, ARROW_STREAM = "application/x-ndjson", "application/vnd.apache.arrow.stream"


async def beside_others(work: Work[Found]) -> Found:
    """Done a slice at a time."""
    while True:
        try:
            next(work)
        except StopIteration as stop:
            found: Found = stop.value
            return found
        await asyncio.sleep(0)


class Many:
    """Decides many events for one caller."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._under_way = 0

    async def decide(self, body: bytes, content_type: str, tells_why: bool) -> bytes:
        """Answered as it was asked. Raises BodyError with every problem, TooManyError, ArrowError, FullError."""
        if self._under_way >= REQUESTS_MAX:
            raise FullError(f"{self._under_way} requests of many events are under way, and at most {REQUESTS_MAX} may")
        self._under_way += 1
        try:
            if content_type == JSON_LINES:
                decided = await self._decided(await beside_others(self._lines(body)))
                return await beside_others(json_lines.answer(*decided, Shows(self.desk.speaking, tells_why)))
            decided = await self._decided(await beside_others(self._stream(body)))
            return arrow.answer(Shows(self.desk.speaking, tells_why).columns(*decided))
        finally:
            self._under_way -= 1

    def _checking(self) -> Checking:
        desk = self.desk
        return Checking(desk.dictionary, desk.numbers, desk.register.pepper, desk.carrier.dispatcher.now_ms())

    def _lines(self, body: bytes) -> Work[Rows]:
        checking = self._checking()
        found = yield from json_lines.events_in(body, checking, EVENTS_MAX)
        raise_if_wrong(checking)
        return joined(found)

    def _stream(self, body: bytes) -> Work[Rows]:
        table = arrow.table_in(body)
        yield
        if table.num_rows > EVENTS_MAX:
            raise json_lines.TooManyError(f"a request has at most {EVENTS_MAX:,} events (got {table.num_rows:,})")
        checking = self._checking()
        found = yield from checking.rows((yield from arrow.events_in(table)))
        raise_if_wrong(checking)
        return found

    async def _decided(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """DECISION[n] of all, once every shard has decided its own; i8[n]: after which order."""
        decisions, orders = np.zeros(len(rows.events), DECISION), np.zeros(len(rows.events), np.int64)
        blocks: dict[int, Block] = {}
        left = 0
        shards = self.desk.shards_of(rows.events["customer"])
        for shard in np.unique(shards).tolist():
            places = np.flatnonzero(shards == shard)

            def told(outcome: Outcome, places: np.ndarray = places) -> None:
                nonlocal left
                decisions[places], orders[places] = outcome.decisions, outcome.ordered
                self.desk.watched(outcome)
                left -= 1
                if left == 0 and not done.done():
                    done.set_result(None)

            blocks[shard] = Block(rows.events[places], told, origins=rows.origins)
        if not blocks:
            return decisions, orders
        left, done = len(blocks), self.desk.patience.future()
        self.desk.carrier.dispatcher.submit_all(blocks)
        self.desk.carrier.nudge()
        await done
        return decisions, orders


def raise_if_wrong(checking: Checking) -> None:
    if checking.problems.count:
        raise BodyError(checking.problems.told)


def joined(found: Sequence[Rows]) -> Rows:
    """One after the other, origins numbered on."""
    if not found:
        return Rows(new_events(0), np.zeros(0, ORIGIN))
    sizes = np.array([len(rows.origins) for rows in found])
    begins = np.repeat(np.cumsum(sizes) - sizes, [len(rows.events) for rows in found])
    events = np.concatenate([rows.events for rows in found])
    events["origin"] += np.where(events["origin"] >= 0, begins, 0).astype(events["origin"].dtype)
    return Rows(events, np.concatenate([rows.origins for rows in found]))
