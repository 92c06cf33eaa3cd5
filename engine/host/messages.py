"""What shards and the Ledger say to each other. Batches are numbered; every message carries the supervisor's epoch."""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from engine.breaker_records import NO_PULSE
from engine.profile_records import PROFILE
from engine.records import NONE, Bulletin

NO_PROFILES = np.zeros(0, PROFILE)


class Refusal(IntEnum):
    """Why a contribution was not taken."""

    LOWER_EPOCH = 1  # `expected` is the epoch
    GAP = 2  # `expected` is the number of the settlement that is open
    FORGOTTEN = 3  # answered so long ago that the answer is not kept; `expected` as above, or the latest batch
    UNKNOWN_SHARD = 4  # `expected` is how many there are
    OTHER_TIME = 5  # `expected` is the time the others agree on, or the present
    NO_ROOM = 6  # more requests than one settlement takes; `expected` is the most
    OTHER_CUSTOMERS = 7  # an event is of nobody in this shard; `expected` is how many are


@dataclass(frozen=True, eq=False)
class Contribution:
    """What one shard brings to one settlement, perhaps nothing."""

    epoch: int
    shard: int
    number: int  # ascending from 1; in a stepped run that of the settlement
    time_ms: int  # the virtual time that closes it
    requests: np.ndarray  # REQUEST[n], any order
    spend: np.ndarray  # i8[budget slots, len(Spend)], fen
    lives: np.ndarray  # i8[coupon slots, LIVES]: instances by state, with the replies up to settlement number - 1
    acknowledged: int = 0  # replies up to this settlement are in the shard's snapshot: they may be forgotten
    breach: str = ""  # an invariant that the shard found broken, in words
    pulse: np.ndarray = field(default_factory=NO_PULSE.copy)  # as in Tallies
    pulse_minute: int = 0
    heard: int = NONE  # `lives` are with the replies to this contribution and all before; NONE: the one before this


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
    number: int  # of the settlement
    time_ms: int
    bulletin: Bulletin
    replies: np.ndarray  # REPLY[n] to customers of the shard, in the order they were settled
    moments: tuple[Moment, ...] = ()  # announced since the shard was last told
    contribution: int = 0  # of the shard, which this answers; in a stepped run the number of the settlement


@dataclass(frozen=True)
class Refused:
    """A contribution or a batch was not taken; nothing has changed."""

    epoch: int
    shard: int
    number: int
    reason: Refusal
    expected: int


# --- between clients, hosts and the supervisor ------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Batch:
    """Events of one shard's customers. A client numbers its batches for each shard, and sends one again until it is
    answered."""

    client: str
    shard: int
    number: int  # ascending from 1
    time_ms: int  # not before any event; a stepped run closes settlement `number` at it
    events: np.ndarray  # EVENT[n]
    asks: np.ndarray  # ASK[k], by EVENT.ask
    lines: np.ndarray  # LINE[m]
    origins: np.ndarray  # ORIGIN[o], by EVENT.origin
    profiles: np.ndarray = field(default_factory=NO_PROFILES.copy)  # PROFILE[p]: put before the events are decided


@dataclass(frozen=True, eq=False)
class Decided:
    """Live: a batch was decided and is kept; its answer is whole with the settlement of a contribution."""

    shard: int
    number: int
    decisions: np.ndarray  # DECISION[n]
    receipts: np.ndarray  # RECEIPT[k]
    contribution: int
    ordered: int = 0  # the latest order that the shard had carried out when it decided


@dataclass(frozen=True, eq=False)
class Answered:
    """A batch was decided, its requests were settled, and all of it is kept."""

    shard: int
    number: int
    decisions: np.ndarray  # DECISION[n]
    receipts: np.ndarray  # RECEIPT[k]
    replies: np.ndarray  # REPLY[r] of the settlement, those to other customers of the shard included
    ordered: int = 0  # as in Decided


@dataclass(frozen=True)
class Order:
    """What an operator or a strategist says to a seat between two of its records. Taken once, by its number."""

    number: int  # ascending from 1
    what: str  # one of ORDERS
    arguments: tuple[str | int | tuple[int, ...], ...]


@dataclass(frozen=True)
class Ordered:
    """An order was carried out, and is kept."""

    number: int
    seat: str


@dataclass(frozen=True)
class Copy:
    """A record of a leader's journal, for the one that follows."""

    epoch: int
    seat: str
    number: int
    payload: bytes


@dataclass(frozen=True)
class Kept:
    """Who follows, or learns, has journaled a record and all before."""

    epoch: int
    seat: str
    number: int
    host: str


@dataclass(frozen=True)
class Wanted:
    """Who follows, or learns, lacks the records from a number on."""

    epoch: int
    seat: str
    number: int
    host: str
    turn: int = 0  # of a snapshot that it has begun to take …
    piece: int = 0  # … and which piece comes next


@dataclass(frozen=True)
class Seed:
    """Some pieces of a leader's snapshot, for a follower that has nothing; with the last of them the records that only
    some pieces have seen: with less, the follower would be nowhere, and could be promoted there."""

    epoch: int
    seat: str
    numbers: tuple[int, ...]  # of the record after which each piece was taken
    pieces: tuple[bytes, ...]  # packed
    records: tuple[bytes, ...]  # after the first of the numbers, up to the last
    turn: int = 0  # which snapshot
    first: int = 0  # piece of those that are here


@dataclass(frozen=True)
class Reach:
    """How far a machine has come, in contributions: (shard, number)."""

    asked: tuple[tuple[int, int], ...] = ()  # the latest that it made; a Ledger makes none
    settled: tuple[tuple[int, int], ...] = ()  # the latest that it settled, or has heard the settlement of


@dataclass(frozen=True)
class Return:
    """Nobody promises anything until all are where they know of the same settlements."""

    bound: tuple[tuple[int, int], ...] = ()  # (shard, contribution): who has settled a later one goes back before it


@dataclass(frozen=True)
class Beat:
    """A sign of life."""

    host: str
    seat: str
    epoch: int
    number: int  # the latest record of its journal
    leads: bool
    in_step: bool = False  # of a leader: its follower has all that was ever promised
    caught_up: bool = False  # of a leader: its learner has almost all
    error: str = ""  # why it takes nothing any more
    reach: Reach = Reach()
    kept: Reach = Reach()  # what a loss of power would leave of it


@dataclass(frozen=True)
class Pulse:
    """A process runs, whatever it is busy with: its carrier has asked it beside its work."""

    host: str


@dataclass(frozen=True)
class Lead:
    """The supervisor says who leads which seat, and who follows, from an epoch on."""

    epoch: int
    leaders: tuple[tuple[str, str], ...]  # (seat, host), every seat
    followers: tuple[tuple[str, str], ...] = ()  # nothing is promised that they have not kept
    learners: tuple[tuple[str, str], ...] = ()  # are to follow once they have caught up; nobody waits for them
    returning: Return | None = None
    since: int = 0  # epoch in which the latest return was over: what was said before it holds no more
    floor: tuple[tuple[int, int], ...] = ()  # (shard, contribution): nobody will return to before it was settled

    def leader(self, seat: str) -> str:
        return dict(self.leaders)[seat]

    def follower(self, seat: str) -> str:
        return dict(self.followers).get(seat, "")

    def learner(self, seat: str) -> str:
        return dict(self.learners).get(seat, "")


@dataclass(frozen=True)
class Replace:
    """The supervisor wants processes ended, by their ids, and then another one started. It says so until it is done."""

    seat: str
    ended: tuple[str, ...]  # hosts; one that should have been started, and perhaps was, after the one that it replaces
    started: str = ""  # host …
    afresh: bool = False  # … with an empty disk; otherwise it recovers from that of the last one that was ended
    node: str = ""  # where it is started


@dataclass(frozen=True)
class Move:
    """Somebody wants a seat led from another node."""

    seat: str
    node: str


@dataclass(frozen=True)
class Load:
    """How a node bears what it is sent, as seen by whoever sends it."""

    node: str
    wait_ms: int  # since the oldest batch that it has not answered was due
    busy: float  # share of the last second or so in which it had something to do


@dataclass(frozen=True)
class Tick:
    """Time has passed."""


# --- between sites, and with whoever runs them ------------------------------------------------------------------------
@dataclass(frozen=True)
class Hello:
    """Who speaks on a link."""

    name: str


@dataclass(frozen=True)
class TakeOver:
    """A person says that this site leads from now on."""


@dataclass(frozen=True)
class Ask:
    """A person asks how a site is."""

    what: str


@dataclass(frozen=True)
class Said:
    """What a site says of itself, as JSON."""

    what: str
    told: str


Message = (
    Contribution | Settled | Refused | Batch | Decided | Answered | Order | Ordered | Copy | Kept | Wanted | Seed | Beat
    | Lead | Replace | Move | Load | Pulse | Tick | Hello | TakeOver | Ask | Said
)  # fmt: skip


@dataclass(frozen=True)
class Envelope:
    """A message and whom it is for: a seat ("ledger", "shard-0"), a host, or a client."""

    to: str
    message: Message
