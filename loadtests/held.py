"""What a drill is, how it is held, and what it came to."""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from engine.host.replica import Promise
from engine.host.shard import combined
from loadtests.client import DrillClient, Forgotten, Response
from loadtests.company import Company, Undisturbed, same
from loadtests.scale_out import Curve

SHARD, ANY = "shard-0", "any"
SLACK_S = 0.5  # an interval ends when a host has a moment, and with a sync that takes one


@dataclass(frozen=True)
class DrillOptions:
    """How a drill is held."""

    customers: int = 20_000
    days: int = 2
    shards: int = 2
    promise: Promise = Promise.DURABLE
    interval_ms: int = 1_000  # that may be forgotten, where that is promised
    standby: bool = False
    objective_s: float = 1.0  # a response should take at most
    at: float = 0.5  # share of the traffic after which it strikes
    records_between_snapshots: int = 50
    times: int = 1  # that it strikes, where a drill strikes more than once
    seed: int = 1  # of when and whom
    address: str | None = None


@dataclass
class Scene:
    """What a drill sees while traffic runs."""

    company: Company
    random: Random
    due: list[int]  # steps at which it is still to strike
    strikes: list[float] = field(default_factory=list)  # when it did, seconds of wall clock
    notes: list[str] = field(default_factory=list)

    @property
    def struck(self) -> float:
        """The last time."""
        return self.strikes[-1] if self.strikes else 0.0


@dataclass(frozen=True)
class Drill:
    """One kind of trouble."""

    name: str
    seat: str  # that it strikes
    sentence: str
    strike: Callable[[Scene], None]
    relieve: Callable[[Scene], None] | None = None  # looked at after every turn once it has struck
    nodes: bool = False  # needs a second node, which has the first leaders, and standbys on the other one
    planned: bool = False  # nobody is lost
    often: bool = False  # strikes at as many random steps as are asked for
    sites: bool = False  # needs a second site
    burst: bool = False  # batches are due by a schedule, nodes are emulated, and more of them are there to be used


@dataclass(frozen=True)
class Parts:
    """Seconds since it struck; None where a part did not come to pass."""

    detected: float | None
    restarted: float | None  # a process is there
    loaded: float | None  # it has its snapshot
    replayed: float | None  # and the tail of its journal
    led: float | None  # everybody knows who leads
    answered: float | None  # the first good answer
    recovered: float | None  # from here on every response is within the objective


@dataclass(frozen=True)
class Held:
    """What a drill came to."""

    drill: Drill
    options: DrillOptions
    events: int
    acknowledged: int
    lost: int
    doubled: int
    otherwise: int  # batches answered otherwise than undisturbed
    digests_equal: bool
    digest: str  # of all seats together
    parts: Parts
    median_s: float
    worst_s: float  # since it struck
    struck: float
    outages: list[float]  # for each strike: the slowest response from then on until the next
    responses: list[Response]
    notes: list[str]
    forgotten: int = 0  # events that were acknowledged, and were sent again because nobody knew of them
    forgotten_s: float = 0.0  # for how long the oldest of them had been acknowledged when it struck
    replayed_records: int = 0
    curve: Curve | None = None  # of a burst, on emulated nodes …
    unheld: Curve | None = None  # … and on nodes that are not held back
    node_rate: float = 0.0  # events a second of an emulated node

    @property
    def is_back(self) -> bool:
        """The last answer of every shard was within the objective."""
        last = {one.shard: one.seconds for one in self.responses}
        return all(seconds <= self.options.objective_s for seconds in last.values())

    @property
    def is_whole(self) -> bool:
        """Nothing was lost, doubled or answered otherwise."""
        return self.lost == self.doubled == self.otherwise == 0 and self.digests_equal


def outages_of(strikes: list[float], responses: list[Response]) -> list[float]:
    ends = [*strikes[1:], math.inf]
    return [
        max((one.seconds for one in responses if start <= one.answered < end), default=0.0)
        for start, end in zip(strikes, ends, strict=True)
    ]


@dataclass(frozen=True)
class Found:
    """What was there when the last batch had been answered, and when it had been struck."""

    digests: dict[str, str]  # by seat
    decided: int  # events that all shards know of
    strikes: list[float]
    parts: Parts
    notes: list[str]


def held(
    drill: Drill, options: DrillOptions, events: int, truth: Undisturbed, client: DrillClient, found: Found
) -> Held:
    """The judgement: what clients were answered, and what is there, against the same run undisturbed."""
    struck = found.strikes[-1] if found.strikes else 0.0
    ages = [(one.events, age_of(one, found.strikes)) for one in client.forgotten]
    allowed_s = allowed_of(options)
    seconds = [one.seconds for one in client.responses]
    return Held(
        drill,
        options,
        events=events,
        acknowledged=client.acknowledged,
        lost=sum(events for events, age in ages if age > allowed_s) + max(0, truth.decided - found.decided),
        forgotten=sum(events for events, _ in ages),
        forgotten_s=max((age for _, age in ages), default=0.0),
        doubled=max(0, found.decided - truth.decided),
        otherwise=sum(not same(answer, client.answers[key]) for key, answer in truth.answers.items())
        + sum(not same(answer, truth.answers[answer.shard, answer.number]) for answer in client.before),
        digests_equal=found.digests == truth.digests,
        digest=combined(list(found.digests.values())),
        parts=found.parts,
        median_s=statistics.median(seconds),
        worst_s=max((one.seconds for one in client.responses if one.answered > struck), default=0.0),
        struck=struck,
        outages=outages_of(found.strikes, client.responses),
        responses=client.responses,
        notes=found.notes,
    )


def age_of(one: Forgotten, strikes: list[float]) -> float:
    """For how many seconds a batch had been acknowledged when that struck which had it forgotten."""
    return max(0.0, max((strike for strike in strikes if strike <= one.told), default=one.told) - one.answered)


def allowed_of(options: DrillOptions) -> float:
    """How old, in seconds, may be what is forgotten; below 0: nothing may be."""
    limits = {Promise.DURABLE: -1.0, Promise.INTERVAL: options.interval_ms / 1_000 + SLACK_S, Promise.MEMORY: math.inf}
    return limits[options.promise]
