"""The client of the shards: gathers what callers ask into batches, sends them until they are answered, tells callers.

`receive(message, now)` as hosts; `submit` and `flush` beside it. A shard decides one batch at a time, and what comes
meanwhile goes with the next: under load batches grow, and calls do not.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from engine.host.messages import Answered, Batch, Decided, Envelope, Lead, Message, Refusal, Refused, Settled, Tick
from engine.host.shard_machine import IN_FLIGHT
from gateway.blocks import Block, Outcome, Part, joined, whole

BATCH_MAX = 20_000  # events of a batch
QUEUE_MAX = 100_000  # events that wait for one shard
AGAIN_MS = 1_000  # until a batch that is not answered is sent again


class FullError(Exception):
    """A shard's queue has no room; to be tried again."""


@dataclass(eq=False)
class Flight:
    """A batch on its way, with the parts it is made of."""

    batch: Batch
    parts: list[Part]
    sent_ms: int
    decided: Decided | None = None


@dataclass
class Lane:
    """One shard's."""

    number: int = 0  # of the latest batch
    queue: deque[Part] = field(default_factory=deque)
    waiting: list[Part] = field(default_factory=list)  # their customers wait for a settlement
    flights: list[Flight] = field(default_factory=list)
    queued: int = 0  # what waits in `queue`

    def put(self, part: Part) -> None:
        self.queue.append(part)
        self.queued += size_of(part)

    def put_back(self) -> None:
        """What had to wait may be taken by now."""
        for part in self.waiting:
            self.put(part)
        self.waiting = []


def size_of(part: Part) -> int:
    return len(part.places) + (len(part.block.profiles) if part.with_profiles else 0)


class Dispatcher:
    """See above. Times of events come from `clock` (ms since 1970) where callers give none."""

    def __init__(self, name: str, shards: int, clock: Callable[[], int], queue_max: int = QUEUE_MAX) -> None:
        """name: ours as a client, another one at each start: `name@when`."""
        self.name, self.clock, self.queue_max = name, clock, queue_max
        self.lanes = [Lane() for _ in range(shards)]
        self.has_lead = False
        self._latest_ms = 0

    # --- callers ------------------------------------------------------------------------------------------------------
    def submit(self, shard: int, block: Block) -> None:
        """Take a block in; its caller is told. Raises FullError."""
        lane = self.lanes[shard]
        if lane.queued + block.size > self.queue_max:
            raise FullError(f"{lane.queued:,} events wait for shard {shard}, and at most {self.queue_max:,} may")
        lane.put(whole(block))

    def now_ms(self) -> int:
        """Time for an event that comes now: never before one that was given out."""
        self._latest_ms = max(self._latest_ms, self.clock())
        return self._latest_ms

    @property
    def open(self) -> int:
        """Events that are not answered."""
        return sum(
            lane.queued
            + sum(len(part.places) for part in lane.waiting)
            + sum(len(flight.batch.events) + len(flight.batch.profiles) for flight in lane.flights)
            for lane in self.lanes
        )

    # --- messages -----------------------------------------------------------------------------------------------------
    def receive(self, message: Message, now: int) -> list[Envelope]:
        if isinstance(message, Decided):
            self._decided(message)
        elif isinstance(message, Answered):
            self._answered(message)
        elif isinstance(message, Refused):
            return self._refused(message, now)
        elif isinstance(message, Lead):
            self.has_lead = True
            return self._again(now, 0)
        elif isinstance(message, Tick):
            for lane in self.lanes:
                lane.put_back()
            return self._again(now, AGAIN_MS)
        return []

    def overhear(self, envelope: Envelope) -> None:
        """A settlement on its way to a shard: the Ledger has kept it, which is what callers wait for."""
        settled = envelope.message
        if not isinstance(settled, Settled):
            return
        lane = self.lanes[settled.shard]
        for flight in list(lane.flights):
            if flight.decided is not None and flight.decided.contribution == settled.contribution:
                self._tell(lane, flight, flight.decided.decisions, flight.decided.receipts, settled.replies)
        lane.put_back()

    def flush(self, now: int) -> list[Envelope]:
        """Batches of what waits, for the shards that decide none."""
        if not self.has_lead:
            return []
        return [envelope for shard, lane in enumerate(self.lanes) for envelope in self._next(shard, lane, now)]

    def _next(self, shard: int, lane: Lane, now: int) -> list[Envelope]:
        is_deciding = any(flight.decided is None for flight in lane.flights)
        if not lane.queue or is_deciding or len(lane.flights) >= IN_FLIGHT:
            return []
        parts, events = [], 0
        while lane.queue and (not parts or events + size_of(lane.queue[0]) <= BATCH_MAX):
            parts.append(lane.queue.popleft())
            events += size_of(parts[-1])
        lane.queued -= events
        arrays = joined(parts)
        lane.number += 1
        latest = int(arrays.events["time_ms"].max(initial=0))
        batch = Batch(
            self.name, shard, lane.number, max(self.now_ms(), latest), arrays.events, arrays.asks, arrays.lines,
            arrays.origins, arrays.profiles,
        )  # fmt: skip
        lane.flights.append(Flight(batch, parts, now))
        return [self._envelope(batch)]

    def _envelope(self, batch: Batch) -> Envelope:
        return Envelope(f"shard-{batch.shard}", batch)

    def _flight(self, shard: int, number: int) -> Flight | None:
        return next((one for one in self.lanes[shard].flights if one.batch.number == number), None)

    def _decided(self, decided: Decided) -> None:
        flight = self._flight(decided.shard, decided.number)
        if flight is not None:
            flight.decided = decided

    def _answered(self, answer: Answered) -> None:
        flight = self._flight(answer.shard, answer.number)
        if flight is not None:
            self._tell(self.lanes[answer.shard], flight, answer.decisions, answer.receipts, answer.replies)

    def _tell(
        self, lane: Lane, flight: Flight, decisions: np.ndarray, receipts: np.ndarray, replies: np.ndarray
    ) -> None:
        lane.flights.remove(flight)
        event = ask = 0
        for part in flight.parts:
            asks = int((part.block.events["ask"][part.places] >= 0).sum())
            ends = event + len(part.places), ask + asks
            again = part.block.answered(
                part.places, Outcome(decisions[event : ends[0]], receipts[ask : ends[1]], replies)
            )
            if len(again):
                lane.waiting.append(Part(part.block, again, with_profiles=False))
            event, ask = ends

    def _refused(self, refused: Refused, now: int) -> list[Envelope]:
        """The shard expects another number: it was told less than was answered, as its promise allows."""
        lane = self.lanes[refused.shard]
        if refused.reason != Refusal.GAP or self._flight(refused.shard, refused.number) is None:
            return []
        if refused.expected > lane.flights[0].batch.number:
            return []  # an earlier one is on its way
        for number, flight in enumerate(lane.flights, refused.expected):
            flight.batch, flight.decided = renumbered(flight.batch, number), None
        lane.number = refused.expected + len(lane.flights) - 1
        return self._send_again(lane, now)

    def _again(self, now: int, after_ms: int) -> list[Envelope]:
        out = []
        for lane in self.lanes:
            if any(now - flight.sent_ms >= after_ms for flight in lane.flights):
                out += self._send_again(lane, now)
        return out

    def _send_again(self, lane: Lane, now: int) -> list[Envelope]:
        for flight in lane.flights:
            flight.sent_ms = now
        return [self._envelope(flight.batch) for flight in lane.flights]


def renumbered(batch: Batch, number: int) -> Batch:
    return Batch(**vars(batch) | {"number": number})
