"""Collects `*.scenario.yaml` as tests: each expectation is one test; a scenario runs once for all of its own.

    pytest -p scenarios.pytest_plugin PATHS [--scenario-customers N] [--scenario-out FOLDER]
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.policy.yaml_source import DocumentError
from scenarios.expect import Verdict
from scenarios.load import LoadedScenario, Options, load_scenario
from scenarios.run import RunOptions, RunResult, repeat_command, run_scenario

SUFFIX = ".scenario.yaml"


class Missed(Exception):
    """An expectation that does not hold."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("windtunnel")
    group.addoption("--scenario-customers", type=int, default=None, help="so many customers in every scenario")
    group.addoption("--scenario-out", default=None, help="folder that keeps the runs (default: a temporary one)")


def pytest_collect_file(parent: pytest.Collector, file_path: Path) -> "ScenarioFile | None":
    if file_path.name.endswith(SUFFIX):
        return ScenarioFile.from_parent(parent, path=file_path)  # type: ignore[no-any-return]
    return None


class ScenarioFile(pytest.File):
    """A scenario and, once asked for, its run."""

    result: RunResult | None = None

    def options(self) -> RunOptions:
        out = self.config.getoption("--scenario-out") or Path(tempfile.gettempdir()) / "windtunnel-runs"
        customers = self.config.getoption("--scenario-customers")
        return RunOptions(out=Path(out), scenario=Options(customers=customers))

    def loaded(self) -> LoadedScenario:
        return load_scenario(self.path, self.options().scenario)

    def collect(self) -> Iterator[pytest.Item]:
        try:
            expectations = self.loaded().expectations
        except DocumentError as error:
            yield BrokenScenario.from_parent(self, name="document", error=error)
            return
        yield ExpectationItem.from_parent(self, name="adds up", number=None)
        for number, expectation in enumerate(expectations):
            yield ExpectationItem.from_parent(self, name=expectation.text, number=number)

    def run(self) -> RunResult:
        """The run, made at the first call."""
        if self.result is None:
            self.result = run_scenario(self.loaded(), self.options())
        return self.result


class BrokenScenario(pytest.Item):
    """A scenario that cannot be read."""

    def __init__(self, *, error: DocumentError, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.error = error

    def runtest(self) -> None:
        raise Missed(str(self.error))

    def repr_failure(self, excinfo: Any, style: Any = None) -> str:
        return str(excinfo.value)


class ExpectationItem(pytest.Item):
    """One expectation; without a number, that the run ends and its invariants hold."""

    parent: ScenarioFile

    def __init__(self, *, number: int | None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.number = number

    def runtest(self) -> None:
        result = self.parent.run()
        if self.number is not None:
            verdict = result.verdicts[self.number]
            self.user_properties.append(("verdict", verdict.verdict))
            if verdict.missed:
                raise Missed(self.sentence(verdict))

    def sentence(self, verdict: Verdict) -> str:
        """Expected, got, and the command that repeats it."""
        command = repeat_command(self.parent.loaded(), self.parent.options())
        return f"{verdict.sentence()}\nrepeat: {command}"

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        if isinstance(excinfo.value, Missed | AssertionError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.path.name.removesuffix(SUFFIX)}: {self.name}"
