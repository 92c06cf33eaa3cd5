"""`windtunnel check`: scenarios through pytest and the plugin, told in one line each, with JUnit XML for machines."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from results.decision_words import lines_of
from scenarios import pytest_plugin, rows, rows_plugin
from scenarios.check_beside import Judged, judged_beside
from scenarios.check_markdown import write_markdown
from scenarios.exits import Exit, UsageError
from scenarios.junit import write_junit
from scenarios.pytest_plugin import (
    ADDS_UP,
    COMPARES,
    DECIDES,
    DOCUMENT,
    FINE,
    SUFFIX,
    WATCH,
    Finding,
    Watch,
    unwatched,
)

# No traces of pytest: no terminal of its own, no cache, no conftest of the folder, nobody else's plugins or options.
_PLUGINS_OFF = ("terminal", "cacheprovider", "faulthandler")
_ENVIRONMENT = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": None, "PYTEST_PLUGINS": None}
RUNS = (ADDS_UP, COMPARES)
SUFFIXES = (SUFFIX, rows.SUFFIX)
NAMED = " or ".join(f"*{suffix}" for suffix in SUFFIXES)
ALWAYS = ("scenarios", "expectations")  # counted, even where there are none
_WORDS = {"holds": "hold", "fails": "fail", "undecided": "undecided", "not judged": "not judged"}
_DECIDED = {"holds": "as they were", "told": "changed", "without": "not there", "unreadable": "cannot be read",
            "broken": "failed", "error": "failed"}  # fmt: skip


def scenario_files(paths: Sequence[Path]) -> list[Path]:
    """Scenarios under files and folders, each once, hidden folders aside. Raises UsageError where there are none."""
    problems, found = [], []
    for path in paths:
        found_here = (file for suffix in SUFFIXES for file in path.rglob(f"*{suffix}"))
        inside = sorted(file for file in found_here if not is_hidden(file.relative_to(path)))
        if path.is_dir():
            found += inside
            problems += [] if inside else [f"{path} must hold scenarios or tables, files named {NAMED} (got none)"]
        elif not path.exists():
            problems.append(f"{path} must be a scenario or a folder of scenarios (got no such file or folder)")
        elif path.name.endswith(SUFFIXES):
            found.append(path)
        else:
            problems.append(f"{path} must be a scenario or a table, a file named {NAMED} (got another name)")
    if problems:
        raise UsageError("\n".join(problems))
    return list({file.resolve(): file for file in found}.values())


def is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


@dataclass(frozen=True)
class Asked:
    """How scenarios are judged; sent to processes that judge them."""

    customers: int | None
    out: Path
    update: bool = False  # what is decided becomes the baseline
    against: Path | None = None  # baselines of another version, to tell what changed
    cores: int | None = None  # that a comparison may use

    def arguments(self, files: Sequence[Path]) -> list[str]:
        """Of pytest."""
        resolved = [file.resolve() for file in files]
        root = os.path.commonpath([str(file.parent) for file in resolved])
        words = [*map(str, resolved), "-c", os.devnull, "--rootdir", root, "--noconftest", "--capture=no"]
        words += ["--scenario-out", str(self.out), *(f"-pno:{name}" for name in _PLUGINS_OFF)]
        for name in ("customers", "cores", "against"):
            words += [f"--scenario-{name}", str(getattr(self, name))] if getattr(self, name) is not None else []
        words += ["--scenario-update"] if self.update else []
        return words

    def judged(self, files: Sequence[Path], teller: "Teller") -> int:
        """pytest's exit code; the teller is told of each test as it ends."""
        with environment(_ENVIRONMENT):
            code = pytest.main(self.arguments(files), plugins=[pytest_plugin, rows_plugin, teller])
        if code == pytest.ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        return int(code)


def judged_alone(file: Path, asked: Asked) -> Judged:
    """One scenario, silently: in a process beside others."""
    teller = Teller(unwatched, aloud=False)
    code = asked.judged([file], teller)
    return Judged(teller.findings, code)


def check_files(
    files: Sequence[Path], asked: Asked, beside: int, minutes: float | None, written: Mapping[str, Path | None],
    as_json: bool, watch: Watch,
) -> int:  # fmt: skip
    """Run every scenario, some beside each other, and say what became of it; exit code as on the command line."""
    teller = Teller(watch, aloud=not as_json)
    began, code = time.monotonic(), 0
    if beside == 1 and minutes is None:
        code = asked.judged(files, teller)
    else:
        judge = partial(judged_alone, asked=replace(asked, cores=1))
        with watch("check") as tell:
            for at, judged in enumerate(judged_beside(files, judge, min(beside, len(files)), minutes), 1):
                teller.hear(judged.findings)
                code = max(code, judged.code)
                tell(at / len(files))
    teller.end_of_file()
    seconds = time.monotonic() - began
    if junit := written["junit"]:
        write_junit(junit, teller.findings, seconds)
    if markdown := written["markdown"]:
        write_markdown(markdown, teller.findings, summary_line(teller.findings))
    exit_code = code_of(teller.findings, code)
    if as_json:
        print(json.dumps(summary(teller.findings, seconds, exit_code), ensure_ascii=False))
    else:
        print(f"{summary_line(teller.findings)}  ({seconds:.0f} s)")
    return exit_code


@contextmanager
def environment(changes: dict[str, str | None]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    write_environment(changes)
    try:
        yield
    finally:
        write_environment(before)


def write_environment(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


class Teller:
    """Keeps what became of each test and, aloud, says it as it comes."""

    def __init__(self, watch: Watch, *, aloud: bool) -> None:
        self.watch, self.aloud = watch, aloud
        self.findings: list[Finding] = []
        self.to_repeat = ""
        self.rows_held = 0  # of a table, which are not told one by one

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[WATCH] = self.watch

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        finding: Finding | None = getattr(report, "finding", None)
        if finding is None:
            return
        self.hear([replace(finding, seconds=report.duration)])

    def hear(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            self._hear(finding)

    def _hear(self, finding: Finding) -> None:
        if not self.findings or self.findings[-1].file != finding.file:
            self.end_of_file()
            if finding.is_row:
                self.say(f"{finding.file}: what is decided for people thought of")
        self.findings.append(finding)
        if finding.is_row and not finding.missed:
            self.rows_held += 1
        else:
            self.say(*told(finding))
        if finding.missed:
            self.to_repeat = finding.repeat or self.to_repeat

    def end_of_file(self) -> None:
        """After the last test of a scenario: the command that repeats it, where something was missed."""
        if self.to_repeat:
            self.say(f"  repeat     {self.to_repeat}")
        if self.rows_held:
            self.say(f"  holds      {self.rows_held:,} {'rows' if self.rows_held > 1 else 'row'}")
        if self.findings:
            self.say("")
        self.rows_held = 0
        self.to_repeat = ""

    def say(self, *lines: str) -> None:
        if self.aloud:
            print(*lines, sep="\n", flush=True)


def told(finding: Finding) -> list[str]:
    """The lines of one finding."""
    if finding.test == DOCUMENT:
        return [f"{finding.file}: cannot be read", *(f"  {line}" for line in finding.problem.splitlines())]
    if finding.is_row:
        return [
            f"  {finding.outcome:9}  {finding.test}",
            *(f"{' ' * 13}{line}" for line in finding.problem.splitlines()),
        ]
    if finding.test in RUNS:
        if finding.ran is None:
            return [f"{finding.file}: the run failed", f"  {finding.outcome:9}  {finding.problem.splitlines()[-1]}"]
        return [f"{finding.file}: {finding.ran.size}", f"  report     {finding.ran.folder / 'report.html'}"]
    if finding.test == DECIDES:
        return told_of_decisions(finding)
    if finding.verdict is None:
        return [f"  {finding.outcome}  {finding.test}"]
    return [f"  {finding.outcome:9}  {finding.problem or f'{finding.test}, got {finding.verdict.got}'}"]


def told_of_decisions(finding: Finding) -> list[str]:
    if finding.changed is None:
        words = {
            "holds": "decisions are those of the baseline",
            "written": "its first baseline",
            "without": "no baseline of that name in the folder given",
        }
        return [f"  {finding.outcome:9}  {words.get(finding.outcome, finding.problem)}"]
    first, *rest = lines_of(finding.changed)
    accept = [f"accept: windtunnel check {finding.file} --update"] if finding.outcome == "changed" else []
    return [f"  {finding.outcome:9}  {first}", *(f"             {line}" for line in (*rest, *accept))]


def counts(findings: Sequence[Finding]) -> dict[str, dict[str, int]]:
    """How many scenarios and how many expectations came to which end."""
    ends = {"holds": "ran", "unreadable": "cannot be read"}
    scenarios = Counter(ends.get(f.outcome, "failed") for f in findings if f.test in (*RUNS, DOCUMENT))
    judged = [f for f in findings if f.test not in (*RUNS, DOCUMENT, DECIDES)]
    expectations, table_rows = (Counter(_WORDS.get(f.outcome, f.outcome) for f in judged if f.is_row is of_table)
                                for of_table in (False, True))  # fmt: skip
    decided = Counter(_DECIDED.get(f.outcome, f.outcome) for f in findings if f.test == DECIDES)
    found = {"scenarios": scenarios, "expectations": expectations, "rows": table_rows, "baselines": decided}
    return {what: dict(ends) for what, ends in found.items() if ends or what in ALWAYS}


def summary_line(findings: Sequence[Finding]) -> str:
    parts = []
    for what, ends in counts(findings).items():
        words = ", ".join(f"{number} {end}" for end, number in ends.items())
        total = sum(ends.values())
        parts.append(f"{total} {what if total != 1 else what[:-1]}{': ' + words if words else ''}")
    return ". ".join(parts) + "."


def summary(findings: Sequence[Finding], seconds: float, code: int) -> dict[str, Any]:
    """The object of --json."""
    rows = []
    for finding in findings:
        row: dict[str, Any] = {"file": finding.file, "test": finding.test, "outcome": finding.outcome}
        row |= {"problem": finding.problem, "repeat": finding.repeat if finding.missed else ""}
        if finding.changed is not None:
            row["changed"] = finding.changed
        if finding.ran is not None:
            row["run"] = str(finding.ran.folder)
        if finding.verdict is not None:
            row |= {name: getattr(finding.verdict, name) for name in ("value", "low", "high", "n", "unit")}
        rows.append(row)
    return {"tests": rows, **counts(findings), "seconds": round(seconds, 2), "exit_code": code}


def code_of(findings: Sequence[Finding], code: int) -> int:
    """The worst that happened."""
    outcomes = {finding.outcome for finding in findings}
    if "broken" in outcomes:
        return Exit.INVARIANT_BROKEN
    if "error" in outcomes or code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return Exit.HARNESS_ERROR
    if "unreadable" in outcomes:
        return Exit.WRONG_USE
    return Exit.MISSED if outcomes - {*FINE} else Exit.FINE
