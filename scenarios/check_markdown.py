"""What `windtunnel check` found as Markdown, for a pull request: what is missed and what changed, then everything."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from results.decision_words import cell, headline, markdown
from scenarios.pytest_plugin import DECIDES, Finding

MARKS = {"holds": "✅", "written": "✅", "told": "🔀", "changed": "🔀", "undecided": "❔", "not judged": "❔"}
MISSED = "❌"


def write_markdown(path: Path, findings: Sequence[Finding], summary: str) -> None:
    """Write the file whole; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(page(findings, summary)) + "\n", "utf-8")


def page(findings: Sequence[Finding], summary: str) -> Iterator[str]:
    yield f"## windtunnel\n\n{summary}"
    for finding in findings:
        if finding.changed is not None:
            yield f"\n### {finding.file} decides otherwise\n"
            yield from markdown(finding.changed)
    missed = [finding for finding in findings if finding.missed and finding.changed is None]
    if missed:
        yield "\n### Missed\n"
        yield from (f"- {MARKS.get(one.outcome, MISSED)} **{one.file}** {words(one)}" for one in missed)
    yield "\n<details><summary>Every scenario</summary>\n\n| scenario | expectations | decisions |\n|---|---|---|"
    for file, group in groupby(findings, lambda finding: finding.file):
        yield row(file, list(group))
    yield "\n</details>"


def row(file: str, group: Sequence[Finding]) -> str:
    judged = [one for one in group if one.test != DECIDES]
    held = sum(not one.missed for one in judged)
    decided = next((one for one in group if one.test == DECIDES), None)
    mark = MARKS["holds"] if held == len(judged) else MISSED
    return f"| {cell(file)} | {mark} {held} of {len(judged)} | {said(decided)} |"


def said(decided: Finding | None) -> str:
    if decided is None or decided.outcome == "without":
        return "no baseline"
    mark = MARKS.get(decided.outcome, MISSED)
    return f"{mark} {cell(headline(decided.changed))}" if decided.changed else f"{mark} {decided.outcome}"


def words(finding: Finding) -> str:
    lines = finding.problem.splitlines() or [finding.test]
    return cell("; ".join(lines[:6]))
