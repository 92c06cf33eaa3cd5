"""The client of a drill: sends each shard its batches in order until they are answered, and remembers how it went."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.host.messages import Answered, Batch, Envelope, Lead, Message, Refusal, Refused, Tick

AGAIN_S = 1.0  # until a batch that is not answered is sent again


@dataclass(frozen=True)
class Response:
    """One batch as its client felt it; seconds of wall clock."""

    shard: int
    number: int
    sent: float
    answered: float

    @property
    def seconds(self) -> float:
        return self.answered - self.sent


@dataclass(frozen=True)
class Forgotten:
    """A batch that was answered, and that its shard does not know of any more; seconds of wall clock."""

    events: int
    answered: float
    told: float  # when the client heard of it


@dataclass
class DrillClient:
    """`receive(message, now)`, as hosts."""

    batches: dict[int, list[Batch]]  # by shard
    again_s: float = AGAIN_S
    most: int | None = None  # batches a shard it may send by now; None: all
    schedule: Sequence[float] | None = None  # when each batch is due, seconds since it began; None: at once
    began: float = 0.0
    done: dict[int, int] = field(default_factory=dict)  # by shard: how many are answered
    responses: list[Response] = field(default_factory=list)
    answers: dict[tuple[int, int], Answered] = field(default_factory=dict)
    repeated: int = 0
    forgotten: list[Forgotten] = field(default_factory=list)
    before: list[Answered] = field(default_factory=list)  # answers to batches that were forgotten and answered again
    refused: list[Refused] = field(default_factory=list)
    _first_sent: dict[int, float] = field(default_factory=dict)
    _sent: dict[int, float] = field(default_factory=dict)
    _answered: dict[tuple[int, int], float] = field(default_factory=dict)

    def begin(self) -> None:
        """Traffic flows."""
        self.most, self.began = None, time.time()

    def due(self, shard: int) -> float:
        """When the next batch of a shard is due; never, when there is none."""
        done = self.done.get(shard, 0)
        if done >= (len(self.batches[shard]) if self.most is None else min(self.most, len(self.batches[shard]))):
            return math.inf
        return self.began if self.schedule is None else self.began + self.schedule[done]

    def receive(self, message: Message, now: int) -> list[Envelope]:
        if isinstance(message, Answered):
            return self._take(message)
        if isinstance(message, Lead):
            self._sent.clear()  # whoever leads now may not have heard
            return [envelope for shard in self.batches for envelope in self._send(shard)]
        if isinstance(message, Refused):
            return self._refused(message)
        if isinstance(message, Tick):
            return [envelope for shard in self.batches for envelope in self._send(shard)]
        return []

    def overhear(self, envelope: Envelope) -> None:
        """Take note of what passes between another client of our name and the shards."""
        message = envelope.message
        if isinstance(message, Batch):
            self._first_sent.setdefault(message.shard, time.time())
        elif isinstance(message, Answered):
            self._take(message)

    def _take(self, answer: Answered) -> list[Envelope]:
        shard = answer.shard
        if answer.number != self.done.get(shard, 0) + 1:
            return []  # answered again
        self.done[shard] = answer.number
        if (shard, answer.number) in self.answers:
            self.before.append(self.answers[shard, answer.number])
        self.answers[shard, answer.number] = answer
        self._answered[shard, answer.number] = time.time()
        self.responses.append(Response(shard, answer.number, self._first_sent.pop(shard, time.time()), time.time()))
        self._sent.pop(shard, None)
        return self._send(shard)

    def _refused(self, refused: Refused) -> list[Envelope]:
        self.refused.append(refused)
        shard, done = refused.shard, self.done.get(refused.shard, 0)
        if refused.number != done + 1:
            return []  # it is of a batch that we do not wait for any more
        if refused.reason == Refusal.GAP and refused.expected <= done:
            for number in range(refused.expected, done + 1):
                events, answered = len(self.batches[shard][number - 1].events), self._answered[shard, number]
                self.forgotten.append(Forgotten(events, answered, time.time()))
        elif refused.reason != Refusal.FORGOTTEN or refused.expected <= done:
            return []
        self.done[shard] = refused.expected - 1  # where the shard is, or another client of our name has got to
        self._sent.pop(shard, None)
        return self._send(shard)

    def _send(self, shard: int) -> list[Envelope]:
        now, due = time.time(), self.due(shard)
        if due > now or now - self._sent.get(shard, 0.0) < self.again_s:
            return []
        self.repeated += shard in self._first_sent
        # With a schedule a response is counted from when its batch was due: else nobody would see who waits.
        self._first_sent.setdefault(shard, now if self.schedule is None else due)
        self._sent[shard] = now
        return [Envelope(f"shard-{shard}", self.batches[shard][self.done.get(shard, 0)])]

    def is_waiting(self, shard: int) -> bool:
        """Something of it is on its way."""
        return shard in self._sent

    @property
    def is_done(self) -> bool:
        return all(self.done.get(shard, 0) == len(batches) for shard, batches in self.batches.items())

    @property
    def acknowledged(self) -> int:
        """Events whose answer has come."""
        return sum(
            len(batch.events) for shard, batches in self.batches.items() for batch in batches[: self.done.get(shard, 0)]
        )
