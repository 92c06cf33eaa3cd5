"""What callers ask, as records: a block for one shard, and what became of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from engine.coupon_records import ASK, LINE, RECEIPT, Answer
from engine.fraud_records import ORIGIN
from engine.host.posts import NO_REPLIES
from engine.host.wire import WITH_CARTS
from engine.profile_records import PROFILE
from engine.records import DECISION, EVENT, NONE

NOWHERE, FIRST = np.arange(0), np.arange(1)
_EMPTY = {
    name: np.zeros(0, dtype)
    for name, dtype in (("events", EVENT), ("asks", ASK), ("lines", LINE), ("origins", ORIGIN), ("profiles", PROFILE))
}


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a block was answered, row by row."""

    decisions: np.ndarray  # DECISION[n]
    receipts: np.ndarray  # RECEIPT[k]
    replies: np.ndarray  # REPLY[r] to its customers
    ordered: int | np.ndarray = 0  # the latest order that the shard had carried out; i8[n] where parts differ


@dataclass(eq=False)
class Block:
    """Events of one shard's customers that one caller sends at once; asks and origins by place, as in a batch."""

    events: np.ndarray  # EVENT[n]
    told: Callable[[Outcome], None]  # called once, with everything
    asks: np.ndarray = field(default_factory=lambda: _EMPTY["asks"])
    lines: np.ndarray = field(default_factory=lambda: _EMPTY["lines"])
    origins: np.ndarray = field(default_factory=lambda: _EMPTY["origins"])
    profiles: np.ndarray = field(default_factory=lambda: _EMPTY["profiles"])

    @property
    def size(self) -> int:
        """What it takes of a queue's room."""
        return len(self.events) + len(self.profiles)

    @property
    def is_plain(self) -> bool:
        """It asks for nothing: whatever the Ledger says is not for its caller."""
        return len(self.asks) == 0

    def answered(self, part: "Part", outcome: Outcome) -> np.ndarray:
        """Take what became of a part; returns the places of its events that have to wait and be sent again. Once none
        is left the caller is told."""
        if self.is_plain and part.is_whole:
            self.told(replace(outcome, replies=NO_REPLIES))
            return NOWHERE
        return self._progress.taken(self, part, outcome)

    @cached_property
    def _progress(self) -> "Progress":
        return Progress(len(self.events), len(self.asks))


class Progress:
    """What is known of a block that is answered in parts."""

    def __init__(self, events: int, asks: int) -> None:
        self.decisions, self.receipts = np.zeros(events, DECISION), np.zeros(asks, RECEIPT)
        self.ordered = np.zeros(events, np.int64)
        self.replies: list[np.ndarray] = []
        self.left = events

    def taken(self, block: Block, part: "Part", outcome: Outcome) -> np.ndarray:
        """As Block.answered."""
        places = part.places
        self.decisions[places], self.ordered[places] = outcome.decisions, outcome.ordered
        waits = NOWHERE if block.is_plain else self._asked(block, places, outcome)
        self.left -= len(places) - len(waits)
        if self.left == 0:
            replies = np.concatenate(self.replies) if self.replies else NO_REPLIES
            block.told(Outcome(self.decisions, self.receipts, replies, self.ordered))
        return waits

    def _asked(self, block: Block, places: np.ndarray, outcome: Outcome) -> np.ndarray:
        """Take receipts and replies; returns the places that wait."""
        asks = block.events["ask"][places]
        asking = asks != NONE
        self.receipts[asks[asking]] = outcome.receipts
        replies = outcome.replies
        if len(replies):
            replies = replies[np.isin(replies["customer"], block.events["customer"][places])]
        if len(replies):
            self.replies.append(replies)
        waits = outcome.receipts["answer"] == Answer.WAITS
        waits |= is_asked_again(block, places[asking], outcome.receipts, replies)
        return np.asarray(places[asking][waits])


def is_asked_again(block: Block, places: np.ndarray, receipts: np.ndarray, replies: np.ndarray) -> np.ndarray:
    """Asks under the id of one that the Ledger has not replied to yet: they wait for that reply. Only what has an id
    may be sent again after it was taken."""
    pending = receipts["answer"] == Answer.PENDING
    if pending.any():
        pending &= block.asks["id"][block.events["ask"][places]] != 0
    for row in np.flatnonzero(pending):
        mine = replies["customer"] == block.events["customer"][places[row]]
        pending[row] = not (mine & (replies["claim"] == receipts["number"][row])).any()
    return np.asarray(pending)


@dataclass(eq=False)
class Part:
    """Some events of a block, on their way."""

    block: Block
    places: np.ndarray  # i8[n], ascending
    with_profiles: bool = True  # the first time

    @property
    def is_whole(self) -> bool:
        return len(self.places) == len(self.block.events)

    @property
    def size(self) -> int:
        """What it takes of a queue's room."""
        return len(self.places) + (len(self.block.profiles) if self.with_profiles else 0)

    @property
    def asks(self) -> int:
        """How many of its events ask for something."""
        block = self.block
        return 0 if block.is_plain else int((block.events["ask"][self.places] != NONE).sum())


@dataclass(frozen=True, eq=False)
class Arrays:
    """The records of several parts, one after the other, with asks, carts and origins numbered anew."""

    events: np.ndarray
    asks: np.ndarray
    lines: np.ndarray
    origins: np.ndarray
    profiles: np.ndarray


def whole(block: Block) -> Part:
    return Part(block, FIRST if len(block.events) == 1 else np.arange(len(block.events)))


def split(block: Block, most: int) -> list[Part]:
    """In parts of at most so many events, in their order."""
    count = len(block.events)
    if count <= most:
        return [whole(block)]
    bounds = [(low, min(low + most, count)) for low in range(0, count, most)]
    return [Part(block, np.arange(low, end), with_profiles=low == 0) for low, end in bounds]


def joined(parts: Sequence[Part]) -> Arrays:
    """Asks come in the order of their events."""
    pieces = [_records_of(part) for part in parts]
    events, asks, lines, origins, profiles = (
        _one(name, arrays) for name, arrays in zip(_EMPTY, zip(*pieces, strict=True), strict=True)
    )
    sizes = [len(piece[0]) for piece in pieces]
    if len(asks):
        counts = [len(piece[1]) for piece in pieces]
        _count_on(events, "ask", counts, sizes)
        first_line = np.repeat(_begins([len(piece[2]) for piece in pieces]), counts)
        carts = events["ask"][(events["ask"] != NONE) & np.isin(events["kind"], WITH_CARTS)]
        asks["first_line"][carts] += first_line[carts].astype(np.int32)
    if len(origins):
        _count_on(events, "origin", [len(piece[3]) for piece in pieces], sizes)
    return Arrays(events, asks, lines, origins, profiles)


def _one(name: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Several arrays as one of its own; most are empty."""
    filled = [array.tobytes() for array in arrays if len(array)]  # np.concatenate looks at the fields of each
    return np.frombuffer(bytearray().join(filled), _EMPTY[name].dtype)


def _records_of(part: Part) -> tuple[np.ndarray, ...]:
    """Events, asks, lines, origins and profiles; asks and origins are numbered from 0 in the order of the events."""
    block = part.block
    profiles = block.profiles if part.with_profiles else _EMPTY["profiles"]
    if block.is_plain and len(block.origins) == 0:
        events = block.events if part.is_whole else block.events[part.places]
        return events, block.asks, block.lines, block.origins, profiles
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


def _blank() -> np.ndarray:
    event = np.zeros(1, EVENT)
    for name in ("time_ms", "exposure", "page", "campaign", "city", "channel", "moment", "ask", "origin", "sequence"):
        event[name] = NONE
    return event


_BLANK = _blank()


def new_events(count: int) -> np.ndarray:
    """EVENT[count] that say nothing, not even when: they are taken when they leave."""
    return _BLANK.copy() if count == 1 else np.repeat(_BLANK, count)
