"""Has a process load, before it is needed, everything that a host calls: the first call of each is slow."""

import gc
from collections.abc import Mapping

import numpy as np

from engine.coupon_records import ASK, LINE
from engine.fraud_records import ORIGIN
from engine.host.machines import Machine, exchanged
from engine.host.messages import Batch, Envelope
from engine.records import EVENT, NONE, EventKind, records

WARM_CUSTOMERS = 64
KINDS = (EventKind.LOGIN, EventKind.CLAIM)


def keep_what_is_loaded() -> None:
    """What a process has loaded stays for good: looking through it again and again for garbage stops everything for
    80 ms each time (measured)."""
    gc.collect()
    gc.freeze()


def warm_up(machines: Mapping[str, Machine], time_ms: int) -> None:
    """A step of a Ledger and one shard of a few customers, and a snapshot of each; they are of no use afterwards."""
    events, asks = records(len(KINDS), EVENT), records(1, ASK)
    events["time_ms"], events["kind"], events["sequence"] = time_ms, KINDS, np.arange(1, len(KINDS) + 1)
    events["ask"], events["origin"] = (NONE, 0), NONE
    for name in ("other", "order", "claim", "place", "campaign", "rule"):
        asks[name] = NONE
    batch = Batch("warm", 0, 1, time_ms, events, asks, records(0, LINE), records(0, ORIGIN))
    exchanged(machines, [Envelope("shard-0", batch)])
    for machine in machines.values():
        machine.restore([machine.piece(at) for at in range(machine.pieces())])
        machine.caught_up()
