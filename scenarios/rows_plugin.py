"""Collects `*.rows.yaml` as tests, a row each; beside scenarios.pytest_plugin, whose findings they make."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.policy.yaml_source import DocumentError
from scenarios.pytest_plugin import DOCUMENT, BrokenScenario, Finding, Missed, ScenarioItem, shown_path
from scenarios.rows import SUFFIX, load_rows
from scenarios.rows_played import Played, plays_of


def pytest_collect_file(parent: pytest.Collector, file_path: Path) -> "RowsFile | None":
    if file_path.name.endswith(SUFFIX):
        return RowsFile.from_parent(parent, path=file_path)
    return None


class RowsFile(pytest.File):
    """A table of rows."""

    def collect(self) -> Iterator[pytest.Item]:
        try:
            loaded = load_rows(shown_path(self.path))
        except DocumentError as error:
            yield BrokenScenario.from_parent(self, name=DOCUMENT, error=error)
            return
        for says, play in plays_of(loaded):
            yield RowItem.from_parent(self, name=says, play=play)


class RowItem(ScenarioItem):
    """One row."""

    def __init__(self, *, play: Callable[[], Played], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.play = play

    def runtest(self) -> None:
        played = self.play()
        if played.missed:
            raise Missed(played.sentence())

    def finding(self, call: pytest.CallInfo[None]) -> Finding:
        outcome, problem = "holds", ""
        if call.excinfo is not None:
            missed, broken = (call.excinfo.errisinstance(kind) for kind in (Missed, AssertionError))
            outcome = "fails" if missed else "broken" if broken else "error"
            problem = str(call.excinfo.value) if missed else call.excinfo.exconly()
        return Finding(self.file, self.name, outcome, problem, is_row=True)
