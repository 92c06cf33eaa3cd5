"""What shards and the Ledger say to each other. Batches are numbered; every message carries the supervisor's epoch."""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from engine.breaker_records import NO_PULSE
from engine.records import Bulletin


class Refusal(IntEnum):
    """Why a contribution was not taken."""

    LOWER_EPOCH = 1  # `expected` is the epoch
    GAP = 2  # `expected` is the number of the settlement that is open
    FORGOTTEN = 3  # settled so long ago that its message is not kept; `expected` as above
    UNKNOWN_SHARD = 4  # `expected` is how many there are
    OTHER_TIME = 5  # `expected` is the time the others agree on, or the present
    NO_ROOM = 6  # more requests than one settlement takes; `expected` is the most


@dataclass(frozen=True, eq=False)
class Contribution:
    """What one shard brings to one settlement, perhaps nothing."""

    epoch: int
    shard: int
    number: int  # of the settlement; the first is 1
    time_ms: int  # the virtual time that closes it
    requests: np.ndarray  # REQUEST[n], any order
    spend: np.ndarray  # i8[budget slots, len(Spend)], fen
    lives: np.ndarray  # i8[coupon slots, LIVES]: instances by state, with the replies up to settlement number - 1
    acknowledged: int = 0  # replies up to this settlement are in the shard's snapshot: they may be forgotten
    breach: str = ""  # an invariant that the shard found broken, in words
    pulse: np.ndarray = field(default_factory=NO_PULSE.copy)  # as in Tallies
    pulse_minute: int = 0


@dataclass(frozen=True)
class Moment:
    """A calendar moment, as a numbered entry of the bulletin."""

    number: int  # ascending from 1
    time_ms: int
    moment: int  # which of the policy's


@dataclass(frozen=True, eq=False)
class Settled:
    """What one shard needs to go on after a settlement."""

    epoch: int
    shard: int
    number: int
    time_ms: int
    bulletin: Bulletin
    replies: np.ndarray  # REPLY[n] to customers of the shard, in the order they were settled
    moments: tuple[Moment, ...] = ()  # announced since the settlement before


@dataclass(frozen=True)
class Refused:
    """A contribution was not taken; nothing has changed."""

    epoch: int
    shard: int
    number: int
    reason: Refusal
    expected: int
