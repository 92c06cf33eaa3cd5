"""The client of the shards: gathers what callers ask into batches, sends them until they are answered, tells callers.

`receive(message, now)` as hosts; `submit` and `flush` beside it. A shard decides one batch at a time, and what comes
meanwhile goes with the next: under load batches grow, and calls do not.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from engine.coupon_records import Answer as ReceiptAnswer
from engine.host.messages import Answered, Batch, Decided, Envelope, Lead, Message, Refusal, Refused, Settled, Tick
from engine.host.posts import NO_REPLIES
from engine.records import NONE
from gateway.blocks import Block, Outcome, Part, joined, split

PENDING = int(ReceiptAnswer.PENDING)

BATCH_MAX = 20_000  # events of a batch
PART_MAX = 10_000  # events beside them of callers who send many …
FEW_MAX = 1_000  # … which is more than this at once
QUEUE_MAX = 100_000  # events that wait for one shard
AGAIN_MS = 1_000  # until a batch that is not answered is sent again
PUT_BACK_MS = 200  # until what waits for a settlement is tried again, if none is heard of
HEARD_MAX = 16  # settlements that are remembered: how far what a shard says may be behind what the Ledger says
SETTLING_MAX = 20_000  # parts that wait for the Ledger, of one shard


class FullError(Exception):
    """A shard's queue has no room; to be tried again."""


@dataclass(eq=False)
class Flight:
    """A batch on its way, with the parts it is made of."""

    batch: Batch
    parts: list[Part]
    sent_ms: int


@dataclass(frozen=True, eq=False)
class Settling:
    """A part that was decided and is kept: only the Ledger's reply is still to come."""

    part: Part
    outcome: Outcome
    contribution: int  # that it went with


@dataclass
class Lane:
    """One shard's."""

    number: int = 0  # of the latest batch
    queue: deque[Part] = field(default_factory=deque)
    many: deque[Part] = field(default_factory=deque)  # of callers who send many: they fill what room a batch has left
    waiting: list[Part] = field(default_factory=list)  # their customers wait for a settlement
    put_back_ms: int = 0
    flights: list[Flight] = field(default_factory=list)  # not decided, as far as we know
    settling: list[Settling] = field(default_factory=list)
    heard: dict[int, np.ndarray] = field(default_factory=dict)  # replies to the shard's latest contributions
    queued: int = 0  # what waits in `queue` and `many`
    sent: int = 0  # events of all batches

    def put(self, part: Part) -> None:
        (self.queue if part.block.size <= FEW_MAX else self.many).append(part)
        self.queued += part.size

    def take(self) -> list[Part]:
        """What goes with the next batch."""
        parts = taken_from(self.queue, BATCH_MAX) + taken_from(self.many, PART_MAX)
        self.queued -= sum(part.size for part in parts)
        return parts

    def put_back(self, now: int) -> None:
        """What had to wait may be taken by now."""
        self.put_back_ms = now
        for part in self.waiting:
            self.put(part)
        self.waiting = []


def taken_from(queue: deque[Part], most: int) -> list[Part]:
    """The first one, and as many more as make no more than so many events."""
    parts, size = list[Part](), 0
    while queue and (not parts or size + queue[0].size <= most):
        parts.append(queue.popleft())
        size += parts[-1].size
    return parts


class Dispatcher:
    """See above. Events whose callers give no time are taken when they leave, by `clock` (ms since
    1970): one that had to wait is not late."""

    def __init__(self, name: str, shards: int, clock: Callable[[], int], queue_max: int = QUEUE_MAX) -> None:
        """name: ours as a client, another one at each start: `name@when`."""
        self.name, self.clock, self.queue_max = name, clock, queue_max
        self.lanes = [Lane() for _ in range(shards)]
        self.epoch = 0  # of the latest lead; without one nobody is asked
        self._latest_ms = 0

    # --- callers ------------------------------------------------------------------------------------------------------
    def submit(self, shard: int, block: Block) -> None:
        """Take a block in; its caller is told. Raises FullError."""
        self.submit_all({shard: block})

    def submit_all(self, blocks: Mapping[int, Block]) -> None:
        """Blocks by shard: all of them, or none. Raises FullError."""
        for shard, block in blocks.items():
            if (queued := self.lanes[shard].queued) + block.size > self.queue_max:
                raise FullError(f"{queued:,} events wait for shard {shard}, and at most {self.queue_max:,} may")
        for shard, block in blocks.items():
            for part in split(block, PART_MAX):
                self.lanes[shard].put(part)

    def now_ms(self) -> int:
        """Time for an event that comes now: never before one that was given out."""
        self._latest_ms = max(self._latest_ms, self.clock())
        return self._latest_ms

    @property
    def has_lead(self) -> bool:
        return self.epoch > 0

    @property
    def open(self) -> int:
        """Events and profiles that are not answered."""
        return sum(
            lane.queued
            + sum(part.size for flight in lane.flights for part in flight.parts)
            + sum(len(one.part.places) for one in lane.settling)
            + sum(len(part.places) for part in lane.waiting)
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
        elif isinstance(message, Lead) and message.epoch > self.epoch:
            self.epoch = message.epoch
            return self._again(now, 0)  # whoever leads now may not have heard
        elif isinstance(message, Tick):
            for lane in self.lanes:
                if now - lane.put_back_ms >= PUT_BACK_MS:
                    lane.put_back(now)
            return self._again(now, AGAIN_MS)
        return []

    def overhear(self, envelope: Envelope) -> None:
        """A settlement on its way to a shard: the Ledger has kept it, which is what callers wait for."""
        settled = envelope.message
        if not isinstance(settled, Settled):
            return
        lane = self.lanes[settled.shard]
        lane.heard[settled.contribution] = settled.replies
        lane.heard.pop(settled.contribution - HEARD_MAX, None)
        settling, lane.settling = lane.settling, []
        for one in settling:
            self._settle(lane, one)
        lane.put_back(0)

    def _settle(self, lane: Lane, one: Settling) -> None:
        """Tell what the Ledger said to it, if that was heard: perhaps before we heard that it was decided."""
        replies = lane.heard.get(one.contribution)
        if replies is None:
            lane.settling.append(one)
        else:
            self._tell(lane, one.part, replace(one.outcome, replies=replies))

    def flush(self, now: int) -> list[Envelope]:
        """Batches of what waits, for the shards that decide none."""
        if not self.has_lead:
            return []
        return [envelope for shard, lane in enumerate(self.lanes) for envelope in self._next(shard, lane, now)]

    def _next(self, shard: int, lane: Lane, now: int) -> list[Envelope]:
        if not lane.queued or lane.flights or len(lane.settling) >= SETTLING_MAX:
            return []
        parts = lane.take()
        arrays = joined(parts)
        lane.number += 1
        lane.sent += len(arrays.events)
        times, present = arrays.events["time_ms"], self.now_ms()
        times[times == NONE] = present
        time_ms = max(present, int(times.max(initial=0)))
        batch = Batch(
            self.name, shard, lane.number, time_ms, arrays.events, arrays.asks, arrays.lines, arrays.origins,
            arrays.profiles,
        )  # fmt: skip
        lane.flights.append(Flight(batch, parts, now))
        return [self._envelope(batch)]

    def _envelope(self, batch: Batch) -> Envelope:
        return Envelope(f"shard-{batch.shard}", batch)

    def _landed(self, shard: int, number: int) -> Flight | None:
        """A batch that has just been decided."""
        lane = self.lanes[shard]
        found = next((one for one in lane.flights if one.batch.number == number), None)
        if found is not None:
            lane.flights.remove(found)
        return found

    def _decided(self, decided: Decided) -> None:
        """Who asked nothing of the Ledger is told at once; the others with the settlement."""
        flight = self._landed(decided.shard, decided.number)
        lane = self.lanes[decided.shard]
        for part, outcome in parts_of(flight, decided, NO_REPLIES):
            if len(outcome.receipts) and (outcome.receipts["answer"] == PENDING).any():
                self._settle(lane, Settling(part, outcome, decided.contribution))
            else:
                self._tell(lane, part, outcome)

    def _answered(self, answer: Answered) -> None:
        flight = self._landed(answer.shard, answer.number)
        for part, outcome in parts_of(flight, answer, answer.replies):
            self._tell(self.lanes[answer.shard], part, outcome)

    def _tell(self, lane: Lane, part: Part, outcome: Outcome) -> None:
        again = part.block.answered(part, outcome)
        if len(again):
            lane.waiting.append(Part(part.block, again, with_profiles=False))

    def _refused(self, refused: Refused, now: int) -> list[Envelope]:
        """An earlier batch is on its way; any other refusal is an error of ours, after which nobody can be answered."""
        lane = self.lanes[refused.shard]
        if all(flight.batch.number != refused.number for flight in lane.flights):
            return []  # of one that was answered meanwhile
        assert refused.reason == Refusal.GAP and refused.expected <= refused.number, f"a batch was refused: {refused}"
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


def parts_of(flight: Flight | None, answer: Decided | Answered, replies: np.ndarray) -> Iterator[tuple[Part, Outcome]]:
    """What a batch was answered, part by part; nothing where it was told before."""
    decisions, receipts = np.asarray(answer.decisions), np.asarray(answer.receipts)  # records with attributes are slow
    event = ask = 0
    for part in flight.parts if flight is not None else ():
        ends = event + len(part.places), ask + part.asks
        yield part, Outcome(decisions[event : ends[0]], receipts[ask : ends[1]], replies, answer.ordered)
        event, ask = ends
