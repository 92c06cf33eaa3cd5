"""The stock room: prizes are ordered again when few are left, arrive after a lead time, or from a back-up supplier;
and pieces that were promised are not there for a while."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import simpy

from engine.compiled import entry
from sim.streams import Draw, uniforms

draw = entry(uniforms)
STOCK_ROOM = 1 << 60  # above all customers: the stock room's own place among the keys of chance


@dataclass(frozen=True)
class Reorder:
    """When and how a prize is ordered again; ms. fails: probability that the first supplier does not deliver.

    slot: of the coupon that stands for the prize.
    """

    slot: int
    at: int  # ordered when so many are left, or fewer
    pieces: int
    lead_ms: int
    fails: float = 0.0
    backup_lead_ms: int | None = None  # from the day on which the first should have delivered
    stream: tuple[int, int] = (0, 0)  # study seed, replication


@dataclass(frozen=True)
class Shortage:
    """Of what is left of a coupon at from_ms a share is not there; it comes at until_ms."""

    number: int  # of the incident
    slot: int
    from_ms: int
    until_ms: int
    share: float


class Store(Protocol):
    """Where the stock is kept."""

    def pieces_left(self, slot: int) -> int: ...

    def deliver(self, slot: int, pieces: int, t: int) -> None: ...

    def withdraw(self, slot: int, pieces: int, t: int) -> None: ...


class StockRoom:
    """Looks at the shelves after every settlement; one order a prize is under way at a time."""

    def __init__(
        self, env: simpy.Environment, reorders: Sequence[Reorder], store: Store, settle: Callable[[int], None]
    ) -> None:
        self.env, self.reorders, self.store, self.settle = env, reorders, store, settle
        self.under_way: set[int] = set()
        self.orders: dict[int, int] = {}
        self.missing: dict[int, int] = {}  # pieces, by number of the incident

    def look(self) -> None:
        """Order whatever runs low."""
        for reorder in self.reorders:
            if reorder.slot not in self.under_way and self.store.pieces_left(reorder.slot) <= reorder.at:
                self.under_way.add(reorder.slot)
                self.env.process(self._order(reorder))

    def _order(self, reorder: Reorder) -> Generator[simpy.Event, None, None]:
        number = self.orders.get(reorder.slot, 0)
        self.orders[reorder.slot] = number + 1
        yield self.env.timeout(reorder.lead_ms)
        if self._fails(reorder, number):
            if reorder.backup_lead_ms is None:
                self.under_way.discard(reorder.slot)  # to be ordered anew at the next look
                return
            yield self.env.timeout(reorder.backup_lead_ms)
        now = int(self.env.now)
        self.settle(now)
        self.store.deliver(reorder.slot, reorder.pieces, now)
        self.under_way.discard(reorder.slot)

    def run_short(self, shortage: Shortage) -> Generator[simpy.Event, None, None]:
        """Pieces are not there, and come when the incident ends."""
        yield self.env.timeout(shortage.from_ms - self.env.now)
        self.settle(shortage.from_ms)
        pieces = int(self.store.pieces_left(shortage.slot) * shortage.share)
        self.store.withdraw(shortage.slot, pieces, shortage.from_ms)
        self.missing[shortage.number] = pieces
        yield self.env.timeout(shortage.until_ms - self.env.now)
        self.settle(shortage.until_ms)
        self.store.deliver(shortage.slot, pieces, shortage.until_ms)

    def _fails(self, reorder: Reorder, number: int) -> bool:
        stream = np.array(reorder.stream, np.int64)
        return bool(draw(stream, STOCK_ROOM + reorder.slot, int(Draw.SUPPLY), number)[0] < reorder.fails)
