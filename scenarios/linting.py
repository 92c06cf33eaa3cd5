"""Lint of a policy file: its findings, and how they are printed."""

import sys
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from engine.policy.document import Policy
from engine.policy.findings import Finding
from engine.policy.liability import WorstCase, money_text, worst_case
from engine.policy.lint import lint
from engine.policy.tables import compile_policy
from engine.policy.yaml_source import read

_COLOURS = {"error": "red", "warning": "yellow", "ask": "cyan"}


def looked_at(path: Path) -> tuple[list[Finding], WorstCase]:
    """The findings of a policy, and what its coupons can cost. Raises DocumentError where it cannot be read at all."""
    loaded = read(path, Policy)
    today = date.today()
    compiled = compile_policy(loaded.document, today, today + timedelta(days=370), source=loaded.source)
    return lint(loaded.document, compiled), worst_case(loaded.document)


def print_worst_case(case: WorstCase) -> None:
    """What coupons can cost at most, each and together; nothing where there are none."""
    if not case.coupons:
        return
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    console.print("Worst case (最大资损敞口): every coupon is issued, and redeemed where it takes off most; yuan")
    width = max(len(coupon.name) for coupon in case.coupons)
    for coupon in case.coupons:
        console.print(f"  {coupon.name:{width}}  {money_text(coupon.most):>16}  {coupon.why}")
    console.print(f"  {'total':{width}}  {money_text(case.total):>16}\n")


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
