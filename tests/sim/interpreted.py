"""What needs interpreted kernels, run as `NUMBA_DISABLE_JIT=1 python -m tests.sim.interpreted COMMAND CUSTOMERS DAYS`.

keys     live a busy world slowly with every key logged; exits 3 when one key is drawn for two meanings
origin_keys  the same of a shop whose customers come from somewhere, under an engine that refuses
shop_keys, shop_digest  the same of a world that shops with coupons, lived in waves
digest   live a busy world in waves; prints digest and statistics as JSON
check    exit 3 unless recording, shards, chunks and steps do not matter, waves equal the slow mode, and the fast engine
         equals the reference on random traffic; prints which it was
pairing  exit 3 unless messages shift nobody's luck
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.host.shard import combined
from engine.records import HOUR_MS
from scenarios.lone_world import LoneWorld
from scenarios.recording import recording_of
from sim import streams
from sim.slow import KeyLog, KeyReuse
from sim.streams import Draw
from tests.engine.test_differential import World, disagreement
from tests.sim.origin_worlds import StubbornWorld, traced_plan
from tests.sim.shop_worlds import library_plan, lone_shop
from tests.sim.worlds import (
    busy_plan,
    by_customer,
    induced_payments,
    inline,
    shifted_lives,
    slowly,
    stepped,
    sums,
    waves,
)

ROOT = Path(__file__).resolve().parents[2]
TRAFFIC_SEEDS, TRAFFIC_EVENTS = (11, 13), 400  # policies whose traffic meets the edge of a window, pauses and ends


# Pure functions of their key, looked at whenever the answer is needed again. Every other number is drawn once.
AGAIN = frozenset(
    {
        Draw.TASTE,  # a trait: how much this customer likes this topic
        Draw.DROP_OUT_A,  # a trait: how likely this customer drops out, with the next
        Draw.DROP_OUT_B,
        Draw.FRAUD,  # a trait: when a fraudster comes, and whether the safety feature would stop it
        Draw.SPEND_SCALE,  # a trait: how much this customer spends
        Draw.VISIT,  # the calendar of possible visits: searched again after every visit
        Draw.VISIT_TIME,
        Draw.VISIT_KEPT,  # whether one visit of the calendar is kept: searched again after a visit in between
        Draw.AMOUNT,  # the price of one purchase: asked again when a top-up comes first
        Draw.INDUCED_AMOUNT,  # likewise
        Draw.BASKET,  # what is in one basket: priced again when something is added, and when it is ordered
        Draw.CLAIMING,  # whether one claim is sent again: asked again when it is
        Draw.USING,  # what a grant leads to: asked again when the purchase is made
        Draw.BELONGS,  # a trait: who shares what with whom
        Draw.COMES_FROM,  # from which device and address a visit is made: asked again by all its events
        Draw.TRIP,  # where the customer is in a period
        Draw.PAYS_WITH,  # card and address of one order
        Draw.ENTRY,  # where a visit is made from, and in which shop: asked again at each price
    }
)


def logged() -> KeyLog:
    """Log every draw of every module of the simulation."""
    log = KeyLog(streams.uniforms, AGAIN)
    for name, module in list(sys.modules.items()):
        if name.startswith("sim.") and hasattr(module, "uniforms"):
            module.uniforms = log.uniforms  # type: ignore[attr-defined]
    return log


def keys(customers: int, days: int) -> dict[str, Any]:
    log = logged()
    run = slowly(busy_plan(2, days - 4, 2), 0, customers)
    draws = sorted({Draw(draw).name for _, draw, _ in log.seen})
    return {"keys": len(log.seen), "draws": draws, "events": len(run.events)}


def shop_keys(customers: int, days: int) -> dict[str, Any]:
    """The same of a world that shops with coupons, and of one with prizes, lived in waves."""
    log = logged()
    shop = lone_shop(customers, days)
    seen, log.seen = log.seen, set()
    prizes = LoneWorld(library_plan("prize_stock", customers, 2, days - 4, 2), customers)
    prizes.run()
    draws = sorted({Draw(draw).name for _, draw, _ in seen | log.seen})
    events = shop.worker.cohort.events + prizes.worker.cohort.events
    return {"keys": len(seen) + len(log.seen), "draws": draws, "events": events}


def origin_keys(customers: int, days: int) -> dict[str, Any]:
    log = logged()
    outage = {"population.incidents": "{card_network: {at: '08:00', lasts: 12h, payments_fail: 50%}}"}
    world = StubbornWorld(traced_plan(customers, 2, days - 4, 2, outage), customers)
    world.run()
    draws = sorted({Draw(draw).name for _, draw, _ in log.seen})
    return {"keys": len(log.seen), "draws": draws, "events": world.worker.cohort.events}


def shop_digest(customers: int, days: int) -> dict[str, Any]:
    return {"digest": lone_shop(customers, days).digest}


def digest(customers: int, days: int) -> dict[str, Any]:
    results = inline(busy_plan(2, days - 4, 2), customers)
    return {"digest": results[0].digest, "sums": {name: table.tolist() for name, table in sums(results).items()}}


def check(customers: int, days: int) -> dict[str, Any]:
    """The first of the short suite's properties that does not hold; each is a test of its own, compiled."""
    plan = busy_plan(2, days - 4, 2)
    whole, fast = inline(plan, customers), waves(plan, 0, customers)
    others = {
        "recording": [fast.result()],
        "shards": inline(plan, customers, 3),
        "chunks": inline(replace(plan, chunk=5), customers),
        "steps": inline(stepped(plan, HOUR_MS), customers),
    }
    for name, results in others.items():
        if combined([result.digest for result in results]) != whole[0].digest:
            raise Broken(name)
    slow = slowly(plan, 0, customers)
    ours, theirs = by_customer(slow.decisions), by_customer(recording_of(fast.recorder).decisions)
    if not np.array_equal(ours, theirs) or not np.array_equal(by_customer(slow.ghosts), by_customer(fast.ghosts)):
        raise Broken("slow")
    for seed in TRAFFIC_SEEDS:
        world = World(seed)
        events, answers, _ = world.traffic(TRAFFIC_EVENTS)
        if disagreement(world, events, list(range(len(events))), answers):
            raise Broken("differential")
    return {"events": int(whole[0].statistics["events"][0])}


def pairing(customers: int, days: int) -> dict[str, Any]:
    """Messages shift nobody's luck: neither before the first, nor that of what the next one brings about."""
    plan = busy_plan(2, days - 4, 2)
    shifted, seen = shifted_lives(plan, plan, customers)
    if shifted or induced_payments(customers, "points") != induced_payments(customers, "bill_ready", "points"):
        raise Broken("pairing")
    return seen


class Broken(RuntimeError):
    """A property that does not hold."""


def command(*words: str, root: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run this module in a process of its own, in this repository or in a copy of it."""
    return subprocess.run(
        [sys.executable, "-m", "tests.sim.interpreted", *words],
        cwd=root,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(root)} | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


COMMANDS = {
    "keys": keys, "digest": digest, "check": check, "pairing": pairing, "shop_keys": shop_keys,
    "shop_digest": shop_digest, "origin_keys": origin_keys,
}  # fmt: skip


def main() -> int:
    asked, customers, days = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    try:
        print(json.dumps(COMMANDS[asked](customers, days)))
    except (KeyReuse, Broken) as found:
        print(found, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
