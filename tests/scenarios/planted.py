"""Planted faults: some fields of a library scenario are changed, and one of its expectations must turn red."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest

from scenarios.expect import Verdict
from scenarios.load import LoadedScenario, Options, load_scenario
from scenarios.run import RunOptions, run_scenario
from tests.scenarios.test_library import LIBRARY, compared

# The scenario, what is broken, the fields that break it, and what the expectation speaks of that must not hold.
Fault = tuple[str, str, dict[str, str], str]


def each(faults: Sequence[Fault], quick: Collection[str] = ()) -> Any:
    """The parameters of a test, long but for the scenarios named."""
    return pytest.mark.parametrize(
        "fault",
        [pytest.param(row, marks=[] if row[0] in quick else pytest.mark.long, id=f"{row[0]}: {row[1]}")
         for row in faults],
    )  # fmt: skip


def planted(fault: Fault) -> LoadedScenario:
    name, _, changes, _ = fault
    return load_scenario(LIBRARY / f"{name}.scenario.yaml", Options(set=changes))


def assert_run_sees(fault: Fault, out: Path) -> None:
    assert_red(fault, run_scenario(planted(fault), RunOptions(out=out, inline=True)).verdicts)


def assert_comparison_sees(fault: Fault, out: Path) -> None:
    assert_red(fault, compared(planted(fault), out).verdicts)


def assert_red(fault: Fault, verdicts: Sequence[Verdict]) -> None:
    missed = [verdict.text for verdict in verdicts if verdict.missed]
    assert any(fault[3] in text for text in missed), (fault, [verdict.sentence() for verdict in verdicts])
