"""The drill of a burst: nodes of a fixed rate, batches on a schedule that one of them cannot bear, and what is done.

A node is emulated: whatever is sent to its hosts waits until the node, working at its rate, would be ready for it. The
hosts, their moves and what they keep are real. Beside it the same burst is sent to nodes that are not held back.
"""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from engine.host.growth import Growth
from engine.host.messages import Batch, Envelope, Load, Message
from loadtests.client import DrillClient
from loadtests.company import Company
from loadtests.traffic import Traffic

BUSY_MS, CALM_MS = 500, 400
SPARE = ("node-2", "node-3", "node-4")
WARM_STEPS, STEPS = 62, 142  # up to the first coupons of the morning unhurried; the burst is in what follows
STEP_S = 0.3  # that a node takes for a step of usual size, which is what its rate comes from
PHASES = ((0.1, 0.4), (0.5, 1.2), (0.4, 0.4))  # (share of the steps, load as a share of what one node can do)
SAMPLE_S, MEMORY_S = 0.1, 1.0
WARM_WITHIN_S = 120.0


class EmulatedNodes:
    """Pace of nodes that each work on so many events a second."""

    def __init__(self) -> None:
        self.rate = math.inf  # until somebody sets one
        self.free: dict[str, float] = {}  # by node: when it will have done all it was given

    def ready_s(self, node: str, message: Message, now: float) -> float:
        assert isinstance(message, Batch)
        self.free[node] = max(self.free.get(node, now), now) + len(message.events) / self.rate
        return self.free[node]


def growth_of(seats: Sequence[str]) -> Growth:
    return Growth(SPARE, tuple(seats), busy_ms=BUSY_MS, busy_for_ms=500, calm_ms=CALM_MS, calm_for_ms=3_000)


def rate_of(traffic: Traffic) -> float:
    """Events a second of a node to which a usual step is worth STEP_S."""
    return statistics.mean(len(step.events) for step in traffic.steps[WARM_STEPS:]) / STEP_S


def schedule_of(traffic: Traffic) -> list[float]:
    """When each step is due, seconds since the schedule begins: calm, a burst, calm again."""
    steps, rate = traffic.steps[WARM_STEPS:], rate_of(traffic)
    took = (len(step.events) / (rate * load) for step, load in zip(steps, loads_of(len(steps)), strict=True))
    return [0.0] * WARM_STEPS + list(accumulate(took))


def loads_of(steps: int) -> list[float]:
    """Offered in each step of the schedule, as a share of what one node can do."""
    ends = [math.floor(share * steps + 0.5) for share in accumulate(share for share, _ in PHASES)]
    return [next(load for end, (_, load) in zip(ends, PHASES, strict=True) if step < end) for step in range(steps)]


def burst_of(steps: int) -> int:
    """Step of all at which it begins."""
    loads = loads_of(steps - WARM_STEPS)
    return WARM_STEPS + loads.index(max(loads))


@dataclass
class Curve:
    """How a burst was borne. Times in seconds since traffic began."""

    samples: list[tuple[float, int, float]] = field(default_factory=list)  # (time, nodes in use, longest wait in s)

    @property
    def worst_s(self) -> float:
        return max((wait for _, _, wait in self.samples), default=0.0)

    @property
    def most_nodes(self) -> int:
        return max((nodes for _, nodes, _ in self.samples), default=1)

    def first_with(self, nodes: int) -> float | None:
        return next((at for at, used, _ in self.samples if used >= nodes), None)

    def back_to(self, nodes: int) -> float | None:
        """When the last of more nodes than so many was given back."""
        more = [at for at, used, _ in self.samples if used > nodes]
        after = [at for at, _, _ in self.samples if more and at > more[-1]]
        return after[0] if after else None


class Watch:
    """Looks on after every turn: tells the supervisor how nodes bear what they are sent, and takes it down."""

    def __init__(self, here: Company) -> None:
        self.here, self.curve = here, Curve()
        self.busy: dict[str, float] = {}  # by node: share of the last MEMORY_S
        self._looked = self._sampled = time.time()

    def look(self) -> None:
        now = time.time()
        waits, busy = self._now(now)
        share = min((now - self._looked) / MEMORY_S, 1.0)
        self._looked = now
        for node, is_busy in busy.items():
            before = self.busy.get(node, 0.0)
            self.busy[node] = before + share * (is_busy - before)
        if now - self._sampled < SAMPLE_S:
            return
        self._sampled, supervisor = now, self.here.switch.supervisor
        assert supervisor is not None
        self.curve.samples.append(
            (now - self.here.client.began, len(supervisor.used), max(waits.values(), default=0.0))
        )
        loads = [Load(node, int(1_000 * wait), self.busy[node]) for node, wait in waits.items()]
        self.here.switch.post([Envelope("supervisor", load) for load in loads])

    def _now(self, now: float) -> tuple[dict[str, float], dict[str, bool]]:
        """By node: how long its oldest batch has been due, and whether it has one."""
        supervisor, client = self.here.switch.supervisor, self.here.client
        assert supervisor is not None
        waits, busy = dict.fromkeys(supervisor.used, 0.0), dict.fromkeys(supervisor.used, False)
        for shard in client.batches:
            node = supervisor.placed[supervisor.seats[f"shard-{shard}"].leader]
            waits[node] = max(waits.get(node, 0.0), now - client.due(shard))
            busy[node] = busy.get(node, False) or client.is_waiting(shard)
        return waits, busy


def watched(here: Company) -> Curve:
    """Warm up, then have somebody look on while traffic runs; nothing has been answered yet that counts."""
    client = here.client
    client.most = WARM_STEPS
    here.until(lambda: all(done == WARM_STEPS for done in shards_done(client)), WARM_WITHIN_S, "warming up")
    client.responses.clear()
    watch = Watch(here)
    here.turns.append(watch.look)
    return watch.curve


def shards_done(client: DrillClient) -> list[int]:
    return [client.done.get(shard, 0) for shard in client.batches]
