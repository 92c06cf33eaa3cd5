"""Lint of a policy file: its findings, and how they are printed."""

import sys
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from engine.policy.document import Policy
from engine.policy.findings import Finding
from engine.policy.lint import lint
from engine.policy.tables import compile_policy
from engine.policy.yaml_source import read

_COLOURS = {"error": "red", "warning": "yellow", "ask": "cyan"}


def findings_of(path: Path) -> list[Finding]:
    """Raises DocumentError where the policy cannot be read at all."""
    loaded = read(path, Policy)
    today = date.today()
    compiled = compile_policy(loaded.document, today, today + timedelta(days=370), source=loaded.source)
    return lint(loaded.document, compiled)


def print_findings(path: Path, findings: list[Finding]) -> None:
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    for finding in findings:
        colour = _COLOURS[finding.severity]
        said = f"{escape(finding.path)}: {escape(finding.sentence)}"
        console.print(f"[{colour}]{finding.severity:8}[/] {finding.code} {said}")
        console.print(f"         {escape(finding.advice)}")
    counts = {severity: sum(f.severity == severity for f in findings) for severity in _COLOURS}
    if not findings:
        console.print(f"{escape(str(path))}: nothing found")
        return
    words = {"error": "to mend", "warning": "to think about", "ask": "to ask counsel about"}
    console.print(", ".join(f"{counts[severity]} {what}" for severity, what in words.items()))
