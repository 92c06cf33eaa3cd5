"""Each scenario of the library fails when what it is about stops working: some fields changed, one expectation red."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from scenarios.expect import Verdict
from scenarios.load import LoadedScenario, Options, load_scenario
from scenarios.run import RunOptions, run_scenario
from tests.scenarios.faults import IN_A_COMPARISON, IN_A_RUN, Fault
from tests.scenarios.test_library import LIBRARY, compared

QUICK = {"stampede"}


def called(fault: Fault) -> str:
    return f"{fault[0]}: {fault[1]}"


def planted(fault: Fault) -> LoadedScenario:
    name, _, changes, _ = fault
    return load_scenario(LIBRARY / f"{name}.scenario.yaml", Options(set=changes))


def assert_red(fault: Fault, verdicts: Sequence[Verdict]) -> None:
    missed = [verdict.text for verdict in verdicts if verdict.missed]
    assert any(fault[3] in text for text in missed), (fault, [verdict.sentence() for verdict in verdicts])


@pytest.mark.parametrize(
    "fault",
    [pytest.param(row, marks=[] if row[0] in QUICK else pytest.mark.long, id=called(row)) for row in IN_A_RUN],
)
def test_planted_fault_is_seen(fault: Fault, tmp_path: Path) -> None:
    assert_red(fault, run_scenario(planted(fault), RunOptions(out=tmp_path, inline=True)).verdicts)


@pytest.mark.long
@pytest.mark.parametrize("fault", IN_A_COMPARISON, ids=called)
def test_planted_fault_is_seen_in_the_comparison(fault: Fault, tmp_path: Path, ray_cluster: None) -> None:
    assert_red(fault, compared(planted(fault), tmp_path).verdicts)
