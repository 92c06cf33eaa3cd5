"""What callers ask, as records: a block for one shard, and what became of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.coupon_records import ASK, LINE, RECEIPT, Answer
from engine.fraud_records import ORIGIN
from engine.host.posts import NO_REPLIES
from engine.host.wire import WITH_CARTS
from engine.profile_records import PROFILE
from engine.records import DECISION, EVENT, NONE


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a block was answered, row by row."""

    decisions: np.ndarray  # DECISION[n]
    receipts: np.ndarray  # RECEIPT[k]
    replies: np.ndarray  # REPLY[r] to its customers


@dataclass(eq=False)
class Block:
    """Events of one shard's customers that one caller sends at once; asks and origins by place, as in a batch."""

    events: np.ndarray  # EVENT[n]
    told: Callable[[Outcome], None]  # called once, with everything
    asks: np.ndarray = field(default_factory=lambda: np.zeros(0, ASK))
    lines: np.ndarray = field(default_factory=lambda: np.zeros(0, LINE))
    origins: np.ndarray = field(default_factory=lambda: np.zeros(0, ORIGIN))
    profiles: np.ndarray = field(default_factory=lambda: np.zeros(0, PROFILE))

    def __post_init__(self) -> None:
        self._decisions, self._receipts = np.zeros(len(self.events), DECISION), np.zeros(len(self.asks), RECEIPT)
        self._replies: list[np.ndarray] = []
        self._left = np.ones(len(self.events), np.bool_)

    def _is_asked_again(self, places: np.ndarray, receipts: np.ndarray, replies: np.ndarray) -> np.ndarray:
        """Asks under the id of one that the Ledger has not replied to yet: they wait for that reply. Only what has an
        id may be sent again after it was taken."""
        pending = (receipts["answer"] == Answer.PENDING) & (self.asks["id"][self.events["ask"][places]] != 0)
        for row in np.flatnonzero(pending):
            mine = replies["customer"] == self.events["customer"][places[row]]
            pending[row] = not (mine & (replies["claim"] == receipts["number"][row])).any()
        return np.asarray(pending)

    @property
    def size(self) -> int:
        """What it takes of a queue's room."""
        return len(self.events) + len(self.profiles)

    def answered(self, places: np.ndarray, part: Outcome) -> np.ndarray:
        """Take what became of the events at `places`; returns those places whose events have to wait and be sent again.
        Once none is left the caller is told."""
        asks = self.events["ask"][places]
        asking = asks != NONE
        self._decisions[places] = part.decisions
        self._receipts[asks[asking]] = part.receipts
        replies = part.replies[np.isin(part.replies["customer"], self.events["customer"][places])]
        waits = np.zeros(len(places), np.bool_)
        waits[asking] = part.receipts["answer"] == Answer.WAITS
        waits[asking] |= self._is_asked_again(places[asking], part.receipts, replies)
        self._left[places] = waits
        if len(replies):
            self._replies.append(replies)
        if not self._left.any():
            replies = np.concatenate(self._replies) if self._replies else NO_REPLIES
            self.told(Outcome(self._decisions, self._receipts, replies))
        return places[waits]


@dataclass(eq=False)
class Part:
    """Some events of a block, on their way."""

    block: Block
    places: np.ndarray  # i8[n], ascending
    with_profiles: bool = True  # the first time


@dataclass(frozen=True, eq=False)
class Arrays:
    """The records of several parts, one after the other, with asks, carts and origins numbered anew."""

    events: np.ndarray
    asks: np.ndarray
    lines: np.ndarray
    origins: np.ndarray
    profiles: np.ndarray


def whole(block: Block) -> Part:
    return Part(block, np.arange(len(block.events)))


def joined(parts: Sequence[Part]) -> Arrays:
    """Asks come in the order of their events."""
    pieces = [_records_of(part) for part in parts]
    events, asks, lines, origins, profiles = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
    _count_on(events, "ask", [len(piece[1]) for piece in pieces], [len(piece[0]) for piece in pieces])
    _count_on(events, "origin", [len(piece[3]) for piece in pieces], [len(piece[0]) for piece in pieces])
    first_line = np.repeat(_begins([len(piece[2]) for piece in pieces]), [len(piece[1]) for piece in pieces])
    carts = events["ask"][(events["ask"] != NONE) & np.isin(events["kind"], WITH_CARTS)]
    asks["first_line"][carts] += first_line[carts].astype(np.int32)
    return Arrays(events, asks, lines, origins, profiles)


def _records_of(part: Part) -> tuple[np.ndarray, ...]:
    """Events, asks, lines, origins and profiles; asks and origins are numbered from 0 in the order of the events."""
    block = part.block
    profiles = block.profiles if part.with_profiles else block.profiles[:0]
    events = block.events[part.places].copy()
    asks = block.asks[_renumbered(events, "ask")]
    origins = block.origins[_renumbered(events, "origin")]
    return events, asks, block.lines, origins, profiles


def _renumbered(events: np.ndarray, name: str) -> np.ndarray:
    """Have events count from 0 what they refer to; returns what they referred to."""
    (having,) = np.nonzero(events[name] != NONE)
    before = events[name][having]
    events[name][having] = np.arange(len(having))
    return np.asarray(before)


def _count_on(events: np.ndarray, name: str, counts: list[int], sizes: list[int]) -> None:
    events[name] += np.where(events[name] == NONE, 0, np.repeat(_begins(counts), sizes)).astype(events[name].dtype)


def _begins(counts: list[int]) -> np.ndarray:
    return np.cumsum(counts) - counts


def new_events(count: int) -> np.ndarray:
    """EVENT[count] that say nothing, not even when: they are taken when they leave."""
    events = np.zeros(count, EVENT)
    for name in ("time_ms", "exposure", "page", "campaign", "city", "channel", "moment", "ask", "origin", "sequence"):
        events[name] = NONE
    return events
