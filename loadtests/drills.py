"""Drills: something is broken on purpose under traffic, and what that cost is measured.

Traffic is recorded once, and sent by a client that repeats what is not answered. All drills here are stepped: the end
is held to that of the same machines run undisturbed, answer by answer and digest by digest.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

from engine.host.journal import HEAD, MARK
from engine.host.machines import LEDGER
from engine.host.messages import Envelope, Move
from engine.host.process import Recovery
from engine.host.replica import SUPERVISOR, Care, Promise
from loadtests.company import STALLS_FOR_S, Company, Setting, Undisturbed, company, undisturbed
from loadtests.drill_disk import TORN, Trouble, make_trouble
from loadtests.drill_names import FULL_FOR_S, MOVED_TO, SENTENCES, SLOW_S
from loadtests.held import ANY, SHARD, Drill, DrillOptions, Found, Held, Parts, Scene, held
from loadtests.scale_out import STEPS, EmulatedNodes, burst_of, growth_of, rate_of, schedule_of, watched
from loadtests.site_drill import hold_site_failover
from loadtests.traffic import CLIENT, Traffic, record_traffic

POLICY = POPULATION = "coupon_shop"
STEP_MS = 10 * 60_000


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
    folder, half = scene.company.switch.folder / host, MARK + os.urandom(HEAD.size * 3)
    segments = sorted(folder.glob(f"{SHARD}.journal-*"))
    if segments:  # there is none in memory
        (folder / TORN).write_bytes(half)  # also for where power is lost after that
        with segments[-1].open("ab") as file:
            file.write(half)


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


def move(scene: Scene) -> None:
    scene.company.switch.post([Envelope(SUPERVISOR, Move(SHARD, MOVED_TO))])


def has_moved(scene: Scene) -> None:
    supervisor = scene.company.switch.supervisor
    assert supervisor is not None
    if not scene.notes and not supervisor.moves:
        took = time.time() - scene.struck
        scene.notes.append(f"{SHARD} was led from {MOVED_TO} {took:.2f} s after it was asked for")


def nothing(scene: Scene) -> None:
    """What strikes is not done here."""


MOMENT_S = 0.03
Strike = Callable[[Scene], None]


def named(name: str, seat: str, strike: Strike, relieve: Strike | None = None, **how: bool) -> Drill:
    return Drill(name, seat, SENTENCES[name], strike, relieve, **how)


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
        named("move-shard", SHARD, move, has_moved, planned=True),
        named("site-failover", ANY, nothing, sites=True),
        named("scale-out", ANY, nothing, planned=True, burst=True),
    )
}


# --- held -------------------------------------------------------------------------------------------------------------
def hold(drill: Drill, options: DrillOptions, folder: Path, tell: Callable[[float], None]) -> Held:
    """Hold a drill. tell(share done). Raises DrillError."""
    tell(0.0)
    traffic = record_traffic(POLICY, POPULATION, options.customers, options.days, STEP_MS)
    traffic = traffic.first(STEPS) if drill.burst else traffic
    truth = undisturbed(traffic, options.shards)
    tell(0.1)
    care = Care(options.promise, options.interval_ms, records_between_snapshots=options.records_between_snapshots)
    options = replace(options, standby=options.standby or drill.nodes)
    if drill.sites:
        return hold_site_failover(drill, replace(options, standby=True), folder, traffic, truth, tell)
    setting = Setting(care, options.standby, options.address, drill.seat == CLIENT, drill.nodes)
    if drill.burst:
        return hold_burst(drill, options, folder, traffic, truth, setting, tell)
    with company(traffic, options.shards, folder, setting) as here:
        scene = run_traffic(here, drill, options, traffic, tell)
        return judged(here, drill, options, traffic, truth, scene)


def hold_burst(
    drill: Drill,
    options: DrillOptions,
    folder: Path,
    traffic: Traffic,
    truth: Undisturbed,
    setting: Setting,
    tell: Callable[[float], None],
) -> Held:
    """The same burst twice: on emulated nodes, which is judged, and on nodes that are not held back."""
    options = replace(options, at=burst_of(len(traffic.steps)) / len(traffic.steps))
    seats = [f"shard-{shard}" for shard in range(options.shards)]
    setting = replace(setting, schedule=schedule_of(traffic), growth=growth_of(seats))
    with company(traffic, options.shards, folder / "unheld", setting) as here:
        unheld = watched(here)
        run_traffic(here, drill, options, traffic, lambda share: tell(0.1 + 0.4 * share))
    nodes = EmulatedNodes()
    with company(traffic, options.shards, folder / "emulated", replace(setting, pace=nodes)) as here:
        curve = watched(here)
        nodes.rate = rate_of(traffic)
        scene = run_traffic(here, drill, options, traffic, lambda share: tell(0.5 + 0.5 * share))
        found = judged(here, drill, options, traffic, truth, scene)
        return replace(found, curve=curve, unheld=unheld, node_rate=nodes.rate)


def judged(
    here: Company, drill: Drill, options: DrillOptions, traffic: Traffic, truth: Undisturbed, scene: Scene
) -> Held:
    decided = sum(here.fleet.ask(here.leader(seat), "decided") for seat in here.seats if seat != LEDGER)
    recoveries = [event.told for event in here.switch.events if event.what == "recovered" and event.at > scene.struck]
    gone = sum(event.told for event in here.switch.events if event.what == "power lost")
    if options.promise == Promise.INTERVAL:
        scene.notes.append(f"loss of power: what was not synced is gone ({gone:,} bytes)")
    found = Found(here.digests(), decided, scene.strikes, parts_of(here, drill, options, scene), scene.notes)
    replayed = max((one.records for one in recoveries), default=0)
    return replace(held(drill, options, traffic.events, truth, here.client, found), replayed_records=replayed)


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


def parts_of(here: Company, drill: Drill, options: DrillOptions, scene: Scene) -> Parts:
    after = [event for event in here.switch.events if event.at > scene.struck]

    def first(*what: str) -> float | None:
        times = [event.at for event in after if event.what in what]
        return min(times) - scene.struck if times else None

    recoveries = [event.told for event in after if event.what == "recovered" and isinstance(event.told, Recovery)]
    recovery = recoveries[-1] if recoveries and not options.standby else None
    if drill.planned:
        recovery = recoveries[0] if recoveries else None
    detected = first("started") if drill.planned else first("lost", "ended", "epoch")
    from_then = first("ended") if drill.planned else detected
    mine = [
        one
        for one in here.client.responses
        if drill.seat in (LEDGER, ANY, CLIENT) or f"shard-{one.shard}" == drill.seat
    ]
    # What was on its way when it struck is no sign of recovery.
    answered = [one.answered for one in mine if from_then is not None and one.answered > scene.struck + from_then]
    led = [event.at for event in after if event.what == "epoch" and answered and event.at < min(answered)]
    slow_ones = [one.answered for one in here.client.responses
                 if one.answered > scene.struck and one.seconds > options.objective_s]  # fmt: skip
    has_state = drill.seat != CLIENT and not drill.planned
    return Parts(
        detected,
        recovery.began - scene.struck if recovery else None,
        recovery.loaded - scene.struck if recovery and has_state else None,
        recovery.replayed - scene.struck if recovery and has_state else None,
        max(led) - scene.struck if led else None,
        min(answered) - scene.struck if answered else None,
        max(slow_ones) - scene.struck if slow_ones else 0.0,
    )
