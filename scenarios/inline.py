"""The wave loop compiled around the engine's decide: the carrier of runs in one process, and inside a Ray worker."""

from engine.compiled import kernel
from engine.decide import decide
from engine.host.shard import CustomerShard
from engine.records import DECISION, EVENT, records
from sim.model import Crowd, Model
from sim.reactions import absorb
from sim.waves import CHUNK, Play, emit


@kernel
def play_waves(model, crowd, rows, until_ms, events, decisions, ghosts, shard, tables, bulletin, tallies):
    """All waves of a chunk; returns how many events were decided."""
    live = len(rows)
    played = 0
    while True:
        live = emit(model, crowd, rows, live, until_ms, events)
        if live == 0:
            return played
        held = decide(shard, events[:live], decisions, ghosts, tables, bulletin, tallies)
        absorb(model, crowd, events[:live], decisions, ghosts[:held])
        played += live


def compiled_waves(shard: CustomerShard, chunk: int = CHUNK) -> Play:
    """Play chunks against a shard of the same process."""
    events, decisions = records(chunk, EVENT), records(chunk, DECISION)
    ghosts = records(chunk * shard.ghosts_max, DECISION)

    def play(model: Model, crowd: Crowd, rows, until_ms: int) -> int:  # type: ignore[no-untyped-def]
        return play_waves(
            model, crowd, rows, until_ms, events, decisions, ghosts,
            shard.arrays, shard.tables, shard.bulletin, shard.tallies,
        )  # fmt: skip

    return play
