"""`windtunnel check`: scenarios through pytest and the plugin, with one line each and JUnit XML."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scenarios import pytest_plugin
from scenarios.commands import Exit


class Findings:
    """Collects what became of each expectation, for --json and for the exit code."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        _, _, name = report.location
        self.rows.append(
            {"expectation": name, "outcome": report.outcome, "seconds": round(report.duration, 2),
             "message": report.longreprtext if report.failed else ""}
        )  # fmt: skip


def check_paths(paths: Sequence[Path], junit: Path | None, customers: int | None, out: Path, as_json: bool) -> int:
    """Run every scenario under the paths; exit code as on the command line."""
    arguments = [*map(str, paths), "-q", "--tb=short", "-p", "no:cacheprovider", "--rootdir", str(Path.cwd())]
    arguments += ["-c", "/dev/null", "--scenario-out", str(out), "--no-header"]
    if customers is not None:
        arguments += ["--scenario-customers", str(customers)]
    if junit is not None:
        arguments += [f"--junit-xml={junit}"]
    findings = Findings()
    stdout = sys.stdout
    if as_json:
        sys.stdout = sys.stderr
    try:
        code = pytest.main(arguments, plugins=[pytest_plugin, findings])
    finally:
        sys.stdout = stdout
    if as_json:
        print(json.dumps({"expectations": findings.rows}, ensure_ascii=False))
    return exit_code(int(code), findings)


def exit_code(code: int, findings: Findings) -> int:
    if code == pytest.ExitCode.OK:
        return Exit.FINE
    if code == pytest.ExitCode.TESTS_FAILED:
        broken = any(row["expectation"].endswith(": document") for row in findings.rows if row["outcome"] == "failed")
        return Exit.WRONG_USE if broken else Exit.MISSED
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        print("no *.scenario.yaml found under the given paths", file=sys.stderr)
        return Exit.WRONG_USE
    return Exit.HARNESS_ERROR
