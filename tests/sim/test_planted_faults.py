"""Faults of one line, each in a copy of the sources: the checks that hold for the sources turn red.

Interpreted, so that a copy compiles nothing. `tests/sim/interpreted.py` says what is checked, and in which order.
"""

import pytest

from tests.sim.interpreted import command
from tests.sim.mutants import mutated

WINDOW = "    if t < campaign.from_ms or t >= campaign.until_ms:\n        return _OUTSIDE_WINDOW\n"
PAUSED = "    if bulletin.open[slot] == 0:\n        return _PAUSED\n"
STAY = "uniforms(model.stream, customer, _STAY, view_key(visitor)"

# fault: (check that sees it, file, text found once, what it becomes)
FAULTS = {
    "nothing": ("", "sim/behaviour.py", STAY, STAY),
    # the engine against the reference
    "rolling window one ms too long": ("differential", "engine/rules/fatigue.py", "window_ms + 1", "window_ms"),
    "reasons in another order": ("differential", "engine/rules/triggers.py", WINDOW + PAUSED, PAUSED + WINDOW),
    "arms by another salt": ("slow", "engine/rules/experiments.py", "campaign.arm_salt,", "campaign.holdout_salt,"),
    "a time in f4": ("slow", "engine/records.py", '("latest_ms", "i8")', '("latest_ms", "f4")'),
    # worlds against each other
    "customers numbered by shard": ("shards", "sim/population.py", "int(crowd.first[0]) + row\n", "row\n"),
    "one wave a step": ("recording", "scenarios/inline.py", "        played += live\n", "        return live, True\n"),
    "customers forgotten by a chunk": ("chunks", "sim/cohort.py", "low : low + chunk]", "low : low + chunk - 1]"),
    "skipped purchases overtake moments": (
        "slow",
        "sim/slow.py",
        "_next_event(row, due + 1)",
        "_next_event(row, until_ms)",
    ),
    "luck by number of events": (
        "pairing",
        "sim/payments.py",
        "int(visitor.act_key) * 64",
        "visitor.sequence * 64",
    ),
}
SMALL, LARGE = ("12", "9"), ("60", "13")  # customers and days
QUICK = {"nothing", "reasons in another order"}
NEED_MORE = {"luck by number of events", "skipped purchases overtake moments"}


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=[] if fault in QUICK else pytest.mark.long) for fault in FAULTS]
)
def test_a_planted_fault_is_seen(fault: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    check, *change = FAULTS[fault]
    asked = "pairing" if check == "pairing" else "check"
    size = LARGE if fault in NEED_MORE else SMALL
    done = command(asked, *size, root=mutated(tmp_path_factory, *change))
    assert done.returncode == (3 if check else 0), done.stderr[-2000:]
    assert done.stderr.strip() == check
