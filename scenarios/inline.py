"""The wave loop compiled around the engine's decide: the carrier of runs in one process, and inside a Ray worker."""

from typing import NamedTuple

import numpy as np

from engine.compiled import entry, kernel
from engine.coupon_records import ASK, LINE, LINES_MAX, RECEIPT, Inbox
from engine.decide import decide
from engine.fraud_records import ORIGIN
from engine.host.shard import REQUESTS_OF_AN_EVENT, CustomerShard
from engine.records import DECISION, EVENT, NONE, EventKind, records
from scenarios.recording import Recorder
from sim.model import Crowd, Model
from sim.reactions import absorb
from sim.waves import CHUNK, Play, emit, inbox_for

_CHECKOUT, _ORDER = int(EventKind.CHECKOUT), int(EventKind.ORDER)
LOGGED_CHUNKS = 16  # chunks' worth of events that are logged before the recording takes them


class Log(NamedTuple):
    """What was decided since it was last taken, where a run is recorded; without room otherwise."""

    events: np.ndarray  # EVENT[n]
    decisions: np.ndarray  # DECISION[n]
    asks: np.ndarray  # ASK[n]
    receipts: np.ndarray  # RECEIPT[n]
    lines: np.ndarray  # LINE[m]
    origins: np.ndarray  # ORIGIN[n]
    used: np.ndarray  # i8[4]: events, asks, lines and origins


def empty_log(events: int) -> Log:
    """Room for so many events. Of the asks few have a cart, and few carts are full."""
    return Log(
        records(events, EVENT), records(events, DECISION), records(events, ASK), records(events, RECEIPT),
        records(events * LINES_MAX // 4, LINE), records(events, ORIGIN), np.zeros(4, np.int64),
    )  # fmt: skip


@kernel
def log_wave(log, events, inbox, decisions):
    """Keep a wave; its asks, carts and origins are numbered on from those already logged."""
    at, asks, lines, origins = int(log.used[0]), int(log.used[1]), int(log.used[2]), int(log.used[3])
    for i in range(len(events)):
        event = log.events[at + i]
        log.events[at + i] = events[i]
        log.decisions[at + i] = decisions[i]
        if events[i].ask != NONE:
            ask = log.asks[asks + events[i].ask]
            log.asks[asks + events[i].ask] = inbox.asks[events[i].ask]
            log.receipts[asks + events[i].ask] = inbox.receipts[events[i].ask]
            event.ask += asks
            if event.kind == _CHECKOUT or event.kind == _ORDER:
                ask.first_line += lines
        if events[i].origin != NONE:
            event.origin += origins
    for i in range(inbox.used[1]):
        log.lines[lines + i] = inbox.lines[i]
    for i in range(inbox.used[2]):
        log.origins[origins + i] = inbox.origins[i]
    log.used[0] += len(events)
    log.used[1] += inbox.used[0]
    log.used[2] += inbox.used[1]
    log.used[3] += inbox.used[2]


@kernel
def has_room(shard, log, live):
    """Whether the shard can keep whatever a wave of so many events may ask for, and the log the wave."""
    free = len(log.events) - log.used[0] >= live and len(log.lines) - log.used[2] >= live * LINES_MAX
    if len(log.events) > 0 and not free:
        return False
    if len(shard.wallets.open) == 0:
        return True
    free = shard.wallets.free  # rows of instances, orders, ids, lines
    waiting = shard.outbox.waiting[0] + REQUESTS_OF_AN_EVENT * live <= len(shard.outbox.requests)
    waiting = waiting and shard.watch.free[0, 1] >= shard.watch.rows[0] * live
    return waiting and free[0, 1] >= 2 * live and min(free[1, 1], free[2, 1]) >= live and free[3, 1] >= live * LINES_MAX


@entry
def play_waves(model, crowd, rows, until_ms, events, inbox, decisions, ghosts, shard, tables, bulletin, tallies, log):
    """All waves of a chunk; returns how many events were decided, and whether there was room for all."""
    live = len(rows)
    played = 0
    while has_room(shard, log, live):
        live = emit(model, crowd, rows, live, until_ms, events, inbox)
        if live == 0:
            return played, True
        held = decide(shard, events[:live], inbox, decisions, ghosts, tables, bulletin, tallies)
        if len(log.events) > 0:
            log_wave(log, events[:live], inbox, decisions)
        absorb(model, crowd, events[:live], inbox, decisions, ghosts[:held])
        played += live
    return played, False


def take(recorder: Recorder, log: Log) -> None:
    """Hand over what was logged."""
    events = int(log.used[0])
    inbox = Inbox(log.asks, log.lines, log.receipts, log.origins, log.used[1:])
    recorder.keep(log.events[:events], inbox, log.decisions[:events])
    log.used[:] = 0


def compiled_waves(
    shard: CustomerShard, chunk: int = CHUNK, traced: bool = False, recorder: Recorder | None = None
) -> Play:
    """Play chunks against a shard of the same process, and tell what is decided. traced: whether the population says
    where events come from."""
    log = empty_log(0 if recorder is None else LOGGED_CHUNKS * chunk)
    logged = Log(*(array.view(np.ndarray) for array in log))  # records of one kind of their own are slow to slice
    events, decisions = records(chunk, EVENT), records(chunk, DECISION)
    ghosts = records(chunk * shard.ghosts_max, DECISION)
    inbox = inbox_for(chunk, shard.has_wallets, traced)

    def play(model: Model, crowd: Crowd, rows, until_ms: int) -> int:  # type: ignore[no-untyped-def]
        total, done = 0, False
        while not done:
            shard.make_room(len(rows), len(rows) * LINES_MAX)
            played, done = play_waves(
                model, crowd, rows, until_ms, events, inbox, decisions, ghosts,
                shard.arrays, shard.tables, shard.bulletin, shard.tallies, log,
            )  # fmt: skip
            if recorder is not None:
                take(recorder, logged)
            total += played
        return total

    return play
