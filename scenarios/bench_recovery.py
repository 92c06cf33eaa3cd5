"""How fast a journal is replayed, against the live run that wrote it; and for how long a snapshot stops a shard."""

import tempfile
import time
from pathlib import Path

from engine.host.disk import FolderDisk
from engine.host.messages import Lead
from engine.host.replica import Care, Replica
from engine.host.shard_machine import ShardMachine
from engine.records import PARTITIONS
from scenarios.bench_durable import LiveShards, batches_of
from scenarios.bench_rows import MILLION, Row, kept, reached, say
from scenarios.bench_worlds import HEAVY, SHOP, Recorded, plan_of, recorded
from scenarios.lone_world import LoneWorld

SEAT = "shard-0"
CARE = Care(records_between_snapshots=1_000_000)  # none is taken: all is replayed
CUSTOMERS, DAYS, EVENTS, BATCH = 100_000, 5, 1_000_000, 10_000
TURNS = 3
REPLAY_AIM, PAUSE_LIMIT = 1.0, 10.0  # times live; ms
SHOP_CUSTOMERS, SHOP_DAYS, STEP_MS = 100_000, 3, 10 * 60_000
MEANT_FOR = 1_000_000  # customers of a company whose partitions are taken


def recovery() -> Row:
    """Events a second of a replay, and the longest of a shard's pauses while a snapshot is taken of it."""
    say(f"recovery: recording {CUSTOMERS:,} customers under {HEAVY}")
    run, lived, replayed = recorded(HEAVY, CUSTOMERS, DAYS), [], []
    for _ in range(TURNS):
        live_s, replay_s, events = lived_and_replayed(run)
        lived.append(events / live_s)
        replayed.append(events / replay_s)
    say(f"recovery: {SHOP_CUSTOMERS:,} customers live {SHOP_DAYS} days under {SHOP}")
    found = pauses()
    value, ratio = max(replayed), max(replayed) / max(lived)
    note = (
        f"{reached(ratio, '×', REPLAY_AIM)}; turns {min(replayed) / MILLION:.2f}–{value / MILLION:.2f} M/s; a snapshot "
        f"stops a shard for {max(found):.1f} ms at most, {sorted(found)[len(found) // 2]:.1f} at the median, to copy "
        f"{-(-MEANT_FOR // PARTITIONS):,} customers with their wallets, {kept(max(found), PAUSE_LIMIT, 'ms')}"
    )
    baseline = f"the live run that wrote the journal, synced, {max(lived):,.0f}/s"
    return Row(value, "events/s replayed on one core", baseline, ratio, note)


def lived_and_replayed(run: Recorded) -> tuple[float, float, int]:
    """Seconds of both, and how many events. The replay must end where the live run did."""
    build, batches = LiveShards(run.plan, run.profiles), batches_of(run, 0, BATCH, EVENTS)
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        live = Replica(SEAT, SEAT, lambda fresh: build(SEAT, fresh), FolderDisk(Path(folder)), CARE)
        live.recover()
        live.receive(Lead(1, ((SEAT, SEAT),)), 0)
        began = time.perf_counter()
        for batch in batches:
            live.receive(batch, 0)
        lived = time.perf_counter() - began
        again = Replica(SEAT, SEAT, lambda fresh: build(SEAT, fresh), FolderDisk(Path(folder)), CARE)
        began = time.perf_counter()
        records = again.recover()
        replayed = time.perf_counter() - began
        assert records == len(batches), f"{len(batches)} batches were journaled, {records} replayed"
        assert again.machine.digest() == live.machine.digest(), "a replay must end as the run it replays"
    return lived, replayed, sum(len(batch.events) for batch in batches)


def pauses() -> list[float]:
    """Milliseconds to copy each partition of a shard, of the size they have in a large company."""
    world = LoneWorld(plan_of(SHOP, SHOP_DAYS, population=SHOP, step_ms=STEP_MS), SHOP_CUSTOMERS)
    world.run()
    machine = ShardMachine(0, world.worker.shard, -(-MEANT_FOR // PARTITIONS))
    found = []
    for at in range(machine.pieces() - 1):
        began = time.perf_counter()
        machine.piece(at)
        found.append(1e3 * (time.perf_counter() - began))
    return found
