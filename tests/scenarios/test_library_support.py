"""Scenario complaint_storm fails when what it is about stops working: one field changed, one expectation red."""

from pathlib import Path

from tests.scenarios.planted import Fault, assert_run_sees, each

SUPPORT, BREAKER = "population.support", "policy.breakers.resented"

# What is broken, the field that breaks it, and an expectation that must not hold.
FAULTS: list[tuple[str, dict[str, str], str]] = [
    ("a third of the seats", {f"{SUPPORT}.hotline.shifts": "[{seats: 10}]"}, "first_answers_in_time"),
    ("nobody on the night shift", {f"{SUPPORT}.hotline.shifts": '[{from: "08:00", until: "21:00", seats: 31}]'},
     "first_answers_in_time"),
    ("calls take twice as long", {f"{SUPPORT}.hotline.takes": "10min"}, "seats_needed"),
    ("everybody asks", {"population.incidents.storm.get_in_touch": "100%"}, "seats_needed"),
    ("no video seats to speak of", {f"{SUPPORT}.video": '{share: 90%, shifts: [{seats: 1}]}'}, "seats_needed"),
    ("the bot helps half", {f"{SUPPORT}.bot.helps": "50%"}, "closed_by_bot"),
    ("nobody resents a message", {"population.incidents.storm.complain": "0%"}, "breaker_trips"),
    ("a breaker that looks back an hour", {f"{BREAKER}.window": "1h"}, "minutes_to_trip"),
]  # fmt: skip


@each([("complaint_storm", *fault) for fault in FAULTS])
def test_planted_fault_is_seen(fault: Fault, tmp_path: Path) -> None:
    assert_run_sees(fault, tmp_path)
