"""Many customers at once: the whole file is looked at, then written a slice at a time beside everybody else's requests.

Written twice it is the same, so whoever is not answered sends it again.
"""

import asyncio

import numpy as np

from engine.records import NONE
from gateway import arrow_customers
from gateway.blocks import Block, Outcome, new_events
from gateway.bodies import Imported
from gateway.customer_rows import CustomerChecking
from gateway.desk import ANSWERED_WITHIN_S, Desk
from gateway.dispatcher import FullError
from gateway.event_rows import Work
from gateway.many import beside_others, raise_if_wrong

ROWS_AT_ONCE = 5_000
TRIED_AGAIN_S = 0.05
PARQUET = "application/vnd.apache.parquet"


class Importing:
    """Writes files of customers, one file at a time."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._one = asyncio.Lock()

    async def write(self, body: bytes) -> Imported:
        """Raises ArrowError, BodyError with every problem, RoomError; then nothing was written."""
        async with self._one:
            ids, profiles = await beside_others(self._checked(body))
            numbers = self.desk.register.numbers
            known = set[str]()
            for low in range(0, len(ids), ROWS_AT_ONCE):
                some = ids[low : low + ROWS_AT_ONCE]
                known |= {id for id, number in zip(some, numbers(some), strict=True) if number != NONE}
                await asyncio.sleep(0)
            new = len(set(ids)) - len(known)
            self.desk.register.raise_if_no_room(new)
            erased = set[int]()
            for low in range(0, len(ids), ROWS_AT_ONCE):
                some, rows = ids[low : low + ROWS_AT_ONCE], profiles[low : low + ROWS_AT_ONCE]
                rows["customer"] = self.desk.register.enrol(some)
                erased |= self.desk.erased.intersection(rows["customer"].tolist())
                await self._written(rows[~np.isin(rows["customer"], list(self.desk.erased))])
            return Imported(new=new, known=len(known) - len(erased), erased=len(erased))

    def _checked(self, body: bytes) -> Work[tuple[list[str], np.ndarray]]:
        """Ids, and PROFILE[n] without numbers."""
        desk = self.desk
        table = arrow_customers.table_in(body)
        yield
        checking = CustomerChecking(desk.dictionary, desk.register.numbers, desk.register.pepper, 0)
        ids, profiles = list[str](), []
        for low in range(0, table.num_rows, ROWS_AT_ONCE):
            part = table.slice(low, ROWS_AT_ONCE)
            columns = yield from arrow_customers.columns_in(part, low)
            profiles.append((yield from checking.profiles(columns)))
            ids += arrow_customers.ids_in(part)
            yield
        raise_if_wrong(checking)
        return ids, np.concatenate(profiles) if profiles else np.zeros(0)

    async def _written(self, rows: np.ndarray) -> None:
        """Once every shard has them on disk."""
        desk, end = self.desk, self.desk.carrier.loop.time() + ANSWERED_WITHIN_S
        left, done = 0, desk.patience.future()

        def told(outcome: Outcome) -> None:
            nonlocal left
            left -= 1
            if left == 0 and not done.done():
                done.set_result(None)

        shards = desk.shards_of(rows["customer"])
        blocks = {
            shard: Block(new_events(0), told, profiles=rows[shards == shard]) for shard in np.unique(shards).tolist()
        }
        left = len(blocks)
        if not blocks:
            return
        while True:
            try:
                desk.carrier.dispatcher.submit_all(blocks)
                break
            except FullError:
                if desk.carrier.loop.time() > end:
                    raise
                await asyncio.sleep(TRIED_AGAIN_S)
        desk.carrier.nudge()
        await done
