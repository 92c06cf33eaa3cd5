"""Collects `*.scenario.yaml` as tests: each expectation is one test; a scenario runs once for all of its own.

A scenario with a baseline has one test more: that it decides what it did. `--scenario-update` accepts what it decides.

Use: pytest -p scenarios.pytest_plugin PATHS [--scenario-customers N] [--scenario-out FOLDER] [--scenario-update]
"""

import shlex
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest

from engine.policy.yaml_source import DocumentError
from results.baseline_store import FOLDER, BaselineError
from results.decision_words import lines_of
from scenarios.baselines import Accepted
from scenarios.compare import CompareOptions, Comparison, compare
from scenarios.document import CUSTOMERS_LEAST, CUSTOMERS_MAX
from scenarios.expect import Verdict
from scenarios.load import LoadedScenario, Options, load_scenario
from scenarios.rivals import own, variants
from scenarios.run import Progress, RunOptions, RunResult, repeat_command, run_scenario

R = TypeVar("R")
SUFFIX = ".scenario.yaml"
ADDS_UP = "adds up"  # the test that a run ends and its invariants hold
DECIDES = "decides as in the baseline"
COMPARES = "compares"  # the test that the worlds of a comparison end
DOCUMENT = "document"  # the test that a scenario can be read
FINE = ("holds", "written", "told", "without")  # outcomes
Watch = Callable[[str], AbstractContextManager[Progress]]  # shows how far a run is
WATCH = pytest.StashKey[Watch]()


def unwatched(title: str) -> AbstractContextManager[Progress]:
    return nullcontext(lambda share: None)


class Missed(Exception):
    """An expectation that does not hold."""


class Changed(Exception):
    """Decisions that are not the baseline's."""


class NotRead(Exception):
    """A scenario that cannot be read."""


@dataclass(frozen=True)
class Ran:
    """A run or a comparison, as far as it is told of."""

    folder: Path
    size: str
    digest: str = ""  # of a run

    @classmethod
    def of(cls, result: RunResult | Comparison | None) -> "Ran | None":
        if result is None:
            return None
        if isinstance(result, Comparison):
            manifest = result.manifest
            size = f"compared in {manifest['worlds']} worlds of {manifest['customers']:,} customers"
            return cls(result.folder, size)
        manifest = result.run.manifest
        days = manifest["before"] + manifest["days"] + manifest["after"]
        size = f"{manifest['customers']:,} customers over {days} days, {manifest['events']:,} events"
        return cls(result.folder, size, manifest["digest"])


@dataclass(frozen=True)
class Finding:
    """What became of one test: `outcome` is holds, fails, undecided, unreadable, broken, error or not judged.

    Of what is decided also: changed; told (it changed, which is only told); written (as the new baseline);
    without (there is none where it was looked for).
    """

    file: str
    test: str
    outcome: str
    problem: str = ""
    verdict: Verdict | None = None
    ran: "Ran | None" = None
    repeat: str = ""
    changed: Mapping[str, Any] | None = None  # what is decided otherwise than in the baseline
    seconds: float = 0.0
    is_row: bool = False  # of a table (scenarios.rows)

    @property
    def missed(self) -> bool:
        return self.outcome not in FINE


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("windtunnel")
    group.addoption("--scenario-customers", type=int, default=None, help="so many customers in every scenario")
    group.addoption("--scenario-cores", type=int, default=None, help="cores that a comparison may use (default: all)")
    group.addoption("--scenario-out", default=None, help="folder that keeps the runs (default: a temporary one)")
    group.addoption("--scenario-update", action="store_true", help="accept what is decided as the new baselines")
    group.addoption("--scenario-against", default=None, help="folder of baselines that only tell what changed")


def pytest_configure(config: pytest.Config) -> None:
    customers = config.getoption("--scenario-customers")
    if customers is not None and not CUSTOMERS_LEAST <= customers <= CUSTOMERS_MAX:
        bounds = f"between {CUSTOMERS_LEAST} and {CUSTOMERS_MAX}"
        raise pytest.UsageError(f"--scenario-customers must be {bounds} (got {customers})")


def pytest_collect_file(parent: pytest.Collector, file_path: Path) -> "ScenarioFile | None":
    if file_path.name.endswith(SUFFIX):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if isinstance(item, ScenarioItem) and (call.when == "call" or not report.passed):
        report.finding = item.finding(call)  # type: ignore[attr-defined]  # TestReport keeps what it is given
    return report


def shown_path(path: Path) -> Path:
    """As someone in the working folder would write it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


class Once(Generic[R]):
    """Something played at the first call; what failed is not tried again."""

    def __init__(self, play: Callable[[], R], repeat: str) -> None:
        self.play, self.repeat = play, repeat
        self.result: R | None = None
        self.failed = False

    def __call__(self) -> R:
        if self.failed:
            pytest.skip("not judged: the run failed")
        if self.result is None:
            try:
                self.result = self.play()
            except Exception:
                self.failed = True
                raise
        return self.result


class ScenarioFile(pytest.File):
    """A scenario and, once asked for, its run and its comparison."""

    def options(self) -> RunOptions:
        out = self.config.getoption("--scenario-out") or Path(tempfile.gettempdir()) / "windtunnel-runs"
        customers = self.config.getoption("--scenario-customers")
        return RunOptions(out=Path(out), scenario=Options(customers=customers))

    @cached_property
    def loaded(self) -> LoadedScenario:
        """Raises DocumentError."""
        return load_scenario(shown_path(self.path), self.options().scenario)

    @property
    def repeat(self) -> str:
        return repeat_command(self.loaded, self.options())

    def collect(self) -> Iterator[pytest.Item]:
        try:
            expectations = self.loaded.expectations
        except DocumentError as error:
            yield BrokenScenario.from_parent(self, name=DOCUMENT, error=error)
            return
        yield RunItem.from_parent(self, name=ADDS_UP, play=self.run)
        for number, expectation in enumerate(expectations):
            yield ExpectationItem.from_parent(self, name=expectation.text, number=number, play=self.run)
        if self.accepted.is_told:
            yield DecisionsItem.from_parent(self, name=DECIDES)
        # Baselines are of runs: whoever accepts them need not wait for worlds.
        texts = [] if self.config.getoption("--scenario-update") else self.loaded.scenario.compare.expect
        if texts:
            yield RunItem.from_parent(self, name=COMPARES, play=self.compare)
        for number, text in enumerate(texts):
            yield ExpectationItem.from_parent(self, name=text, number=number, play=self.compare)

    @cached_property
    def accepted(self) -> Accepted:
        """The baseline, where whole scenarios are run; customers left out leave nothing to compare."""
        if self.config.getoption("--scenario-customers") is not None:
            return Accepted(None)
        against = self.config.getoption("--scenario-against")
        folder = self.loaded.path.parent / FOLDER if against is None else Path(against)
        name = self.loaded.scenario.scenario
        return Accepted(folder, name, self.config.getoption("--scenario-update"), is_judged=against is None)

    @property
    def watch(self) -> Watch:
        return self.config.stash.get(WATCH, unwatched)

    @cached_property
    def run(self) -> "Once[RunResult]":
        """The run, made when it is first asked for."""

        def play() -> RunResult:
            with self.watch(self.loaded.scenario.scenario) as tell:
                return run_scenario(self.loaded, replace(self.options(), sampling=self.accepted.sampling), tell)

        return Once(play, self.repeat)

    @cached_property
    def compare(self) -> "Once[Comparison]":
        """The comparison that the scenario asks for, with the policies that it names."""
        loaded = compared(self.loaded, self.options().scenario.customers)
        words = ("windtunnel", "compare", str(shown_path(self.path)))
        cores = self.config.getoption("--scenario-cores")
        options = CompareOptions(out=self.options().out, workers=cores, assumption_sets=0, command=words)

        def play() -> Comparison:
            return compare(loaded, [own(loaded), *variants(loaded)], options, self.watch)

        return Once(play, shlex.join(words))


def compared(loaded: LoadedScenario, customers: int | None) -> LoadedScenario:
    """With at most so many customers in a world as the command line allows."""
    block = loaded.scenario.compare
    if customers is None or customers >= block.customers:
        return loaded
    smaller = block.model_copy(update={"customers": customers})
    return replace(loaded, scenario=loaded.scenario.model_copy(update={"compare": smaller}))


class ScenarioItem(pytest.Item):
    """A test of a scenario's file."""

    parent: ScenarioFile

    def finding(self, call: pytest.CallInfo[None]) -> Finding:
        """What became of it, for whoever reports."""
        raise NotImplementedError

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        if isinstance(excinfo.value, Missed | Changed | NotRead | AssertionError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.path.name.removesuffix(SUFFIX)}: {self.name}"

    @property
    def file(self) -> str:
        return str(shown_path(self.path))


class BrokenScenario(ScenarioItem):
    """A scenario that cannot be read."""

    def __init__(self, *, error: DocumentError, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.error = error

    def runtest(self) -> None:
        raise NotRead(str(self.error))

    def finding(self, call: pytest.CallInfo[None]) -> Finding:
        return Finding(self.file, self.name, "unreadable", str(self.error))


class RunItem(ScenarioItem):
    """The run (or the comparison) ends and its invariants hold."""

    def __init__(self, *, play: Once[Any], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.play = play

    def runtest(self) -> None:
        self.play()

    def finding(self, call: pytest.CallInfo[None]) -> Finding:
        outcome, problem = "holds", ""
        if call.excinfo is not None:
            broken = isinstance(call.excinfo.value, AssertionError)
            outcome, problem = "broken" if broken else "error", call.excinfo.exconly()
        return Finding(self.file, self.name, outcome, problem, None, Ran.of(self.play.result), self.play.repeat)


class DecisionsItem(ScenarioItem):
    """What is decided is what was decided when it was last accepted."""

    outcome, changed = "holds", None

    def runtest(self) -> None:
        file, result = self.parent, self.parent.run()
        try:
            self.outcome, self.changed = file.accepted.judge(file.loaded, result, file.options())
        except BaselineError as error:
            self.outcome = "unreadable"
            raise NotRead(str(error)) from None
        if self.changed is not None and self.outcome == "changed":
            raise Changed("\n".join(lines_of(self.changed)))

    def finding(self, call: pytest.CallInfo[None]) -> Finding:
        if self.parent.run.result is None:
            return Finding(self.file, self.name, "not judged")
        problem = "" if call.excinfo is None else str(call.excinfo.value)
        if problem and self.outcome not in ("changed", "unreadable"):  # lived again for a baseline, it was another life
            self.outcome = "broken" if call.excinfo and call.excinfo.errisinstance(AssertionError) else "error"
        return Finding(self.file, self.name, self.outcome, problem, repeat=self.parent.repeat, changed=self.changed)


class ExpectationItem(ScenarioItem):
    """One expectation."""

    def __init__(self, *, number: int, play: Once[Any], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.number, self.play = number, play

    def runtest(self) -> None:
        verdict = self.play().verdicts[self.number]
        if verdict.missed:
            raise Missed(f"{verdict.sentence()}\nrepeat: {self.play.repeat}")

    def finding(self, call: pytest.CallInfo[None]) -> Finding:
        result = self.play.result
        if result is None:
            return Finding(self.file, self.name, "not judged")
        verdict = result.verdicts[self.number]
        problem = verdict.sentence() if verdict.missed else ""
        return Finding(self.file, self.name, verdict.verdict, problem, verdict, Ran.of(result), self.play.repeat)
