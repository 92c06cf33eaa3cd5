"""Drills: something is broken on purpose under traffic, and what that cost is measured.

Traffic is recorded once, and sent by a client that repeats what is not answered. All drills here are stepped: the end
is held to that of the same machines run undisturbed, answer by answer and digest by digest.
"""

import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from engine.host.journal import HEAD, MARK
from engine.host.process import Recovery
from engine.host.replica import Care, Promise
from engine.host.shard import combined
from loadtests.client import Response
from loadtests.company import LEDGER, Company, Setting, Undisturbed, company, same, undisturbed
from loadtests.drill_disk import Trouble, make_trouble
from loadtests.drill_names import FULL_FOR_S, SENTENCES, SLOW_S
from loadtests.traffic import CLIENT, Traffic, record_traffic

POLICY = POPULATION = "coupon_shop"
STEP_MS = 10 * 60_000
STALLS_FOR_S = 180.0  # without an answer: nobody will come back any more
SHARD, ANY = "shard-0", "any"


@dataclass(frozen=True)
class DrillOptions:
    """How a drill is held."""

    customers: int = 20_000
    days: int = 2
    shards: int = 2
    promise: Promise = Promise.DURABLE
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
    often: bool = False  # strikes at as many random steps as are asked for


# --- what is broken ---------------------------------------------------------------------------------------------------
def killing(seat: str) -> Callable[[Scene], None]:
    return lambda scene: scene.company.fleet.signal(scene.company.leader(seat), "kill")


def kill_anybody(scene: Scene) -> None:
    seat = scene.random.choice(scene.company.seats)
    scene.company.fleet.signal(scene.company.leader(seat), "kill")


def another_worker(scene: Scene) -> None:
    """Whoever runs workers starts another one when it sees that one is gone."""
    switch = scene.company.switch
    if switch.boxes[CLIENT].gone:
        switch.end(CLIENT)
        switch.start(CLIENT, CLIENT)


def lose_node(scene: Scene) -> None:
    assert scene.company.cluster is not None
    scene.company.cluster.lose()


def freeze(scene: Scene) -> None:
    scene.company.fleet.signal(scene.company.leader(SHARD), "freeze")


def tear(scene: Scene) -> None:
    """The process dies while it writes: half a record is at the end of its journal."""
    host = scene.company.leader(SHARD)
    scene.company.fleet.signal(host, "kill")
    folder = scene.company.switch.folder / host
    segment = max(folder.glob(f"{SHARD}.journal-*"))
    with segment.open("ab") as file:
        file.write(MARK + os.urandom(HEAD.size * 3))


def fill(scene: Scene) -> None:
    make_trouble(scene.company.switch.folder / scene.company.leader(SHARD), Trouble(room=1_000))


def free(scene: Scene) -> None:
    """Somebody makes room, some seconds later."""
    if time.time() - scene.struck > FULL_FOR_S and not scene.notes:
        for folder in scene.company.switch.folder.glob(f"{SHARD}.*"):
            make_trouble(folder, Trouble())
        scene.notes.append(f"room was made after {FULL_FOR_S:.0f} s")


def slow(scene: Scene) -> None:
    make_trouble(scene.company.switch.folder / scene.company.leader(SHARD), Trouble(sync_s=SLOW_S))


def quicken(scene: Scene) -> None:
    if time.time() - scene.struck > FULL_FOR_S and not scene.notes:
        make_trouble(scene.company.switch.folder / scene.company.leader(SHARD), Trouble())
        scene.notes.append(f"the disk was itself again after {FULL_FOR_S:.0f} s")


MOMENT_S = 0.03
Strike = Callable[[Scene], None]


def named(
    name: str, seat: str, strike: Strike, relieve: Strike | None = None, nodes: bool = False, often: bool = False
) -> Drill:
    return Drill(name, seat, SENTENCES[name], strike, relieve, nodes, often)


DRILLS = {
    drill.name: drill
    for drill in (
        named("kill-shard", SHARD, killing(SHARD)),
        named("kill-ledger", LEDGER, killing(LEDGER)),
        named("kill-worker", CLIENT, killing(CLIENT), another_worker),
        named("lose-node", ANY, lose_node, nodes=True),
        named("random-kills", ANY, kill_anybody, often=True),
        named("freeze-shard", SHARD, freeze),
        named("torn-tail", SHARD, tear),
        named("full-disk", SHARD, fill, free),
        named("slow-fsync", SHARD, slow, quicken),
    )
}


# --- held -------------------------------------------------------------------------------------------------------------
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
    replayed_records: int
    struck: float
    outages: list[float]  # for each strike: the slowest response from then on until the next
    responses: list[Response]
    notes: list[str]

    @property
    def is_back(self) -> bool:
        """The last answer of every shard was within the objective."""
        last = {one.shard: one.seconds for one in self.responses}
        return all(seconds <= self.options.objective_s for seconds in last.values())

    @property
    def is_whole(self) -> bool:
        """Nothing was lost, doubled or answered otherwise."""
        return self.lost == self.doubled == self.otherwise == 0 and self.digests_equal


def hold(drill: Drill, options: DrillOptions, folder: Path, tell: Callable[[float], None]) -> Held:
    """Hold a drill. tell(share done). Raises DrillError."""
    tell(0.0)
    traffic = record_traffic(POLICY, POPULATION, options.customers, options.days, STEP_MS)
    truth = undisturbed(traffic, options.shards)
    tell(0.1)
    care = Care(options.promise, records_between_snapshots=options.records_between_snapshots)
    options = replace(options, standby=options.standby or drill.nodes)
    setting = Setting(care, options.standby, options.address, drill.seat == CLIENT, drill.nodes)
    with company(traffic, options.shards, folder, setting) as here:
        scene = run_traffic(here, drill, options, traffic, tell)
        return judged(here, drill, options, traffic, truth, scene)


def judged(
    here: Company, drill: Drill, options: DrillOptions, traffic: Traffic, truth: Undisturbed, scene: Scene
) -> Held:
    client, digests = here.client, here.digests()
    decided = sum(here.fleet.ask(here.leader(seat), "decided") for seat in here.seats if seat != LEDGER)
    recoveries = [event.told for event in here.switch.events if event.what == "recovered" and event.at > scene.struck]
    seconds = [one.seconds for one in client.responses]
    return Held(
        drill,
        options,
        events=traffic.events,
        acknowledged=client.acknowledged,
        lost=client.forgotten + max(0, truth.decided - decided),
        doubled=max(0, decided - truth.decided),
        otherwise=sum(not same(answer, client.answers[key]) for key, answer in truth.answers.items()),
        digests_equal=digests == truth.digests,
        digest=combined(list(digests.values())),
        parts=parts_of(here, drill, options, scene),
        median_s=statistics.median(seconds),
        worst_s=max((one.seconds for one in client.responses if one.answered > scene.struck), default=0.0),
        replayed_records=max((one.records for one in recoveries), default=0),
        struck=scene.struck,
        outages=outages_of(scene.strikes, client.responses),
        responses=client.responses,
        notes=scene.notes,
    )


def run_traffic(
    here: Company, drill: Drill, options: DrillOptions, traffic: Traffic, tell: Callable[[float], None]
) -> Scene:
    random, steps = Random(options.seed), len(traffic.steps)
    most = min(options.times, steps - 2)
    due = sorted(random.sample(range(1, steps - 1), most)) if drill.often else [int(options.at * steps)]
    scene = Scene(here, random, due)
    here.begin()

    def look() -> None:
        done = min(here.client.done.get(shard, 0) for shard in range(options.shards))
        tell(0.2 + 0.8 * done / steps)
        if scene.due and done >= scene.due[0]:
            scene.due.pop(0)
            time.sleep(random.random() * MOMENT_S)  # anywhere between two steps
            scene.strikes.append(time.time())
            drill.strike(scene)
        elif scene.struck and drill.relieve is not None:
            drill.relieve(scene)

    here.turns.append(look)
    while not here.client.is_done:
        more = len(here.client.responses) + 1
        here.until(lambda more=more: len(here.client.responses) >= more, STALLS_FOR_S, "an answer")  # type: ignore[misc]
    return scene


def outages_of(strikes: list[float], responses: list[Response]) -> list[float]:
    ends = [*strikes[1:], math.inf]
    return [
        max((one.seconds for one in responses if start <= one.answered < end), default=0.0)
        for start, end in zip(strikes, ends, strict=True)
    ]


def parts_of(here: Company, drill: Drill, options: DrillOptions, scene: Scene) -> Parts:
    after = [event for event in here.switch.events if event.at > scene.struck]

    def first(*what: str) -> float | None:
        times = [event.at for event in after if event.what in what]
        return min(times) - scene.struck if times else None

    recoveries = [event.told for event in after if event.what == "recovered" and isinstance(event.told, Recovery)]
    recovery = recoveries[-1] if recoveries and not options.standby else None
    detected = first("lost", "ended", "epoch")
    mine = [
        one
        for one in here.client.responses
        if drill.seat in (LEDGER, ANY, CLIENT) or f"shard-{one.shard}" == drill.seat
    ]
    # What was on its way when it struck is no sign of recovery.
    answered = [one.answered for one in mine if detected is not None and one.answered > scene.struck + detected]
    led = [event.at for event in after if event.what == "epoch" and answered and event.at < min(answered)]
    slow_ones = [one.answered for one in here.client.responses
                 if one.answered > scene.struck and one.seconds > options.objective_s]  # fmt: skip
    return Parts(
        detected,
        recovery.began - scene.struck if recovery else None,
        recovery.loaded - scene.struck if recovery and drill.seat != CLIENT else None,
        recovery.replayed - scene.struck if recovery and drill.seat != CLIENT else None,
        max(led) - scene.struck if led else None,
        min(answered) - scene.struck if answered else None,
        max(slow_ones) - scene.struck if slow_ones else 0.0,
    )
