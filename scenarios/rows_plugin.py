"""Collects `*.rows.yaml` as tests, a row each; beside scenarios.pytest_plugin, whose findings they make."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.policy.yaml_source import DocumentError
from scenarios.pytest_plugin import DOCUMENT, BrokenScenario, Finding, Missed, ScenarioItem, shown_path
from scenarios.rows import SUFFIX, LoadedRows, load_rows
from scenarios.rows_played import play_row


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
        for number, row in enumerate(loaded.table.rows):
            yield RowItem.from_parent(self, name=row.says, loaded=loaded, number=number)


class RowItem(ScenarioItem):
    """One row."""

    def __init__(self, *, loaded: LoadedRows, number: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.loaded, self.number = loaded, number

    def runtest(self) -> None:
        played = play_row(self.loaded, self.number)
        if played.missed:
            raise Missed(played.sentence())

    def finding(self, call: pytest.CallInfo[None]) -> Finding:
        outcome, problem = "holds", ""
        if call.excinfo is not None:
            missed, broken = (call.excinfo.errisinstance(kind) for kind in (Missed, AssertionError))
            outcome = "fails" if missed else "broken" if broken else "error"
            problem = str(call.excinfo.value) if missed else call.excinfo.exconly()
        return Finding(self.file, self.name, outcome, problem, is_row=True)
