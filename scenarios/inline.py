"""The wave loop compiled around the engine's decide: the carrier of runs in one process, and inside a Ray worker."""

from engine.compiled import entry, kernel
from engine.coupon_records import LINES_MAX
from engine.decide import decide
from engine.host.shard import REQUESTS_OF_AN_EVENT, CustomerShard
from engine.records import DECISION, EVENT, records
from sim.model import Crowd, Model
from sim.reactions import absorb
from sim.waves import CHUNK, Play, emit, inbox_for


@kernel
def has_room(shard, live):
    """Whether the shard can keep whatever a wave of so many events may ask for."""
    if len(shard.wallets.open) == 0:
        return True
    free = shard.wallets.free  # rows of instances, orders, ids, lines
    waiting = shard.outbox.waiting[0] + REQUESTS_OF_AN_EVENT * live <= len(shard.outbox.requests)
    waiting = waiting and shard.watch.free[0, 1] >= shard.watch.rows[0] * live
    return waiting and free[0, 1] >= 2 * live and min(free[1, 1], free[2, 1]) >= live and free[3, 1] >= live * LINES_MAX


@entry
def play_waves(model, crowd, rows, until_ms, events, inbox, decisions, ghosts, shard, tables, bulletin, tallies):
    """All waves of a chunk; returns how many events were decided, and whether there was room for all."""
    live = len(rows)
    played = 0
    while has_room(shard, live):
        live = emit(model, crowd, rows, live, until_ms, events, inbox)
        if live == 0:
            return played, True
        held = decide(shard, events[:live], inbox, decisions, ghosts, tables, bulletin, tallies)
        absorb(model, crowd, events[:live], inbox, decisions, ghosts[:held])
        played += live
    return played, False


def compiled_waves(shard: CustomerShard, chunk: int = CHUNK, traced: bool = False) -> Play:
    """Play chunks against a shard of the same process. traced: whether the population says where events come from."""
    events, decisions = records(chunk, EVENT), records(chunk, DECISION)
    ghosts = records(chunk * shard.ghosts_max, DECISION)
    inbox = inbox_for(chunk, shard.has_wallets, traced)

    def play(model: Model, crowd: Crowd, rows, until_ms: int) -> int:  # type: ignore[no-untyped-def]
        total, done = 0, False
        while not done:
            shard.make_room(len(rows), len(rows) * LINES_MAX)
            played, done = play_waves(
                model, crowd, rows, until_ms, events, inbox, decisions, ghosts,
                shard.arrays, shard.tables, shard.bulletin, shard.tallies,
            )  # fmt: skip
            total += played
        return total

    return play
