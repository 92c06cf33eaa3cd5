"""`windtunnel drill disasters`: what it says, what it refuses, and how it ends."""

import json
from typing import Any

import pytest

from loadtests import disaster_drill as drills
from loadtests.disasters import Disasters
from scenarios.exits import Exit
from tests.loadtests.planted import DoesNotWaitForItsStandby

FINE: dict[str, Any] = {"seeds": None, "first": None, "seed": None, "minutes": None, "as_json": False}

WRONG = """
seeds=0            | --seeds must be between 1 and 10,000,000 (got 0)
first=-1           | --first must be between 0 and 4,611,686,018,427,387,904 (got -1)
seed=-1            | --seed must be between 0 and 4,611,686,018,427,387,904 (got -1)
minutes=0          | --minutes must be above 0 and at most 10,080 (got 0)
seed=1 seeds=1     | --seed is one disaster again: --seeds, --first and --minutes have no meaning beside it
seed=1 minutes=1   | --seed is one disaster again: --seeds, --first and --minutes have no meaning beside it
"""


@pytest.mark.parametrize("line", WRONG.strip().splitlines())
def test_wrong_use_is_a_sentence(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, said = (part.strip() for part in line.split("|"))
    given = {name: int(value) for name, value in (word.split("=") for word in words.split())}
    assert drills.disasters(**FINE | given) == Exit.WRONG_USE
    out, err = capsys.readouterr()
    assert (out, err.strip()) == ("", said)


def test_one_disaster_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert drills.disasters(**FINE | {"seed": 3}) == Exit.FINE
    out = capsys.readouterr().out
    assert out.startswith("1 disaster (seed 3), ")
    assert out.rstrip().endswith("repeat  windtunnel drill disasters --seed 3")
    assert all(promise in out for promise in drills.HELD)


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert drills.disasters(**FINE | {"first": 7, "seeds": 2, "as_json": True}) == Exit.FINE
    said = json.loads(capsys.readouterr().out)
    assert (said["disasters"], said["first_seed"], said["failure"], said["never_happened"]) == (2, 7, None, [])


def test_minutes_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    disasters = drills.disasters_of_the_library()
    clock = iter(range(0, 10_000, 20))  # seconds
    monkeypatch.setattr("loadtests.disaster_drill.time.monotonic", lambda: next(clock))
    assert drills.drilled(drills.plan_of(None, None, None, 1.0), disasters, lambda share: None).played == 2


def test_a_broken_promise_says_how_to_repeat_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    traffic = drills.disasters_of_the_library().traffic
    monkeypatch.setattr(drills, "disasters_of_the_library", lambda: Disasters(traffic, DoesNotWaitForItsStandby))
    assert drills.disasters(**FINE) == Exit.INVARIANT_BROKEN
    out = capsys.readouterr().out
    command = out.splitlines()[-1].removeprefix("repeat  ")
    assert command.startswith("windtunnel drill disasters --seed ")
    assert f"Broken by seed {command.split()[-1]}: at " in out
    assert "which follows it, has" in out
    assert "Smallest case found that breaks something: " in out
    assert drills.HELD[0] not in out, "nothing is said to have held"


def test_what_was_never_reached_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    drill = drills.Drill(drills.Plan(0, drills.SEEDS), played=drills.SEEDS)
    drills.print_drill(drill)
    assert "Never happened, so whatever it would break was not seen: message lost, " in capsys.readouterr().out
    assert drills.exit_code(drill) == Exit.HARNESS_ERROR
