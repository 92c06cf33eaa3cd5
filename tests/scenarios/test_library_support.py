"""Scenario complaint_storm fails when what it is about stops working: one field changed, one expectation red."""

from pathlib import Path

import pytest

from scenarios.load import Options, load_scenario
from scenarios.run import RunOptions, run_scenario
from tests.scenarios.test_library import LIBRARY

SUPPORT, BREAKER = "population.support", "policy.breakers.resented"

# What is broken, the field that breaks it, and an expectation that must not hold.
FAULTS: list[tuple[str, dict[str, str], str]] = [
    ("a third of the seats", {f"{SUPPORT}.hotline.shifts": "[{seats: 5}]"}, "first_answers_in_time"),
    ("nobody on the night shift", {f"{SUPPORT}.hotline.shifts": '[{from: "08:00", until: "21:00", seats: 15}]'},
     "first_answers_in_time"),
    ("calls take twice as long", {f"{SUPPORT}.hotline.takes": "10min"}, "seats_needed"),
    ("everybody asks", {"population.incidents.storm.get_in_touch": "100%"}, "seats_needed"),
    ("no video seats to speak of", {f"{SUPPORT}.video": '{share: 90%, shifts: [{seats: 1}]}'}, "seats_needed"),
    ("the bot helps half", {f"{SUPPORT}.bot.helps": "50%"}, "closed_by_bot"),
    ("nobody resents a message", {"population.incidents.storm.complain": "0%"}, "breaker_trips"),
    ("a breaker that looks back an hour", {f"{BREAKER}.window": "1h"}, "minutes_to_trip"),
]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(("fault", "changes", "missed"), [pytest.param(*row, id=row[0]) for row in FAULTS])
def test_planted_fault_is_seen(fault: str, changes: dict[str, str], missed: str, tmp_path: Path) -> None:
    planted = load_scenario(LIBRARY / "complaint_storm.scenario.yaml", Options(set=changes))
    verdicts = run_scenario(planted, RunOptions(out=tmp_path, inline=True)).verdicts
    said = [verdict.sentence() for verdict in verdicts]
    assert any(missed in verdict.text for verdict in verdicts if verdict.missed), (fault, said)
