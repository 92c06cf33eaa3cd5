"""Live runs: the Ledger takes contributions as they come. No two end alike, but each is what its journal says."""

import functools
from collections import Counter
from dataclasses import replace

import pytest

from engine.host.ledger_machine import LedgerMachine
from engine.host.machines import LEDGER, Machine
from engine.host.replica import Promise
from engine.host.shard_machine import ShardMachine
from loadtests.disasters import PARTITION_CUSTOMERS, Theatre, care_for, play
from loadtests.traffic import Traffic, ledger_of, record_traffic
from loadtests.weathers import case_of

SEEDS, MANY = 60, 300
HOUR_MS = 3_600_000


@functools.cache
def traffic() -> Traffic:
    return record_traffic("coupon_shop", "coupon_shop", 60, 2, 4 * HOUR_MS)


class LiveTheatre(Theatre):
    """The same seats, live."""

    def machine(self, seat: str) -> Machine:
        if seat == LEDGER:
            return LedgerMachine(ledger_of(self.traffic.plan, self.bounds, live=True))
        number = int(seat.removeprefix("shard-"))
        return ShardMachine(number, self.traffic.shard(*self.bounds[number]), PARTITION_CUSTOMERS, live=True)


def test_a_live_run_is_what_its_journal_says() -> None:
    """Through every disaster, whatever the promise: all is answered, the Ledger's invariants hold, and every disk
    recovers what was there."""
    ends = set()
    for seed in range(SEEDS):
        case = case_of(seed, len(traffic().steps))
        theatre = LiveTheatre(traffic(), case.standby, care=care_for(case.promise))
        ends.add(play(theatre, case).digests[LEDGER])
    assert len(ends) > 1, "the order in which contributions come is the journal's, not the clock's"


@pytest.mark.long
@pytest.mark.parametrize("promise", [Promise.INTERVAL, Promise.MEMORY])
def test_live_runs_return(promise: Promise) -> None:
    happened: Counter[str] = Counter()
    for seed in range(MANY):
        case = replace(case_of(seed, len(traffic().steps)), promise=promise)
        happened += play(LiveTheatre(traffic(), case.standby, care=care_for(promise)), case).happened
    assert all(happened[what] for what in ("return", "Ledger goes back", "shard goes back"))
