"""The command `grade`: what the intervals are worth, as a table, as JSON and as an exit code."""

import time
from collections.abc import Sequence

from results.graded import ANY, FAILS, HOLDS, REFUSED, STUDIES, STUDIES_LEAST, Row, honest_coverage, honest_positives
from results.grading import SUBJECTS
from results.grading import grade as graded
from scenarios.console import guarded, print_json, progress
from scenarios.exits import Exit, UsageError

STUDIES_MAX = 100_000
HEAD = f"{'':2}{'setting':41}{'estimator':25}{'coverage':>9}{'false pos.':>11}{'refused':>9}  verdict"


def grade(studies: int | None, only: str | None, as_json: bool, more: Sequence[Row] = ()) -> int:
    """`more`: rows graded elsewhere, end to end through the simulation, say."""

    def action() -> int:
        count = STUDIES if studies is None else studies
        check_options(count, only)
        begun = time.perf_counter()
        with progress("grading") as tell:
            rows = (*graded(count, only, tell=tell), *more)
        if as_json:
            print_json({"studies": count, "wrong": sum(not row.as_expected for row in rows),
                        "rows": [row.as_json() for row in rows]})  # fmt: skip
        else:
            print("\n".join([*lines_of(rows), *summary(rows, count, time.perf_counter() - begun)]))
        return Exit.FINE if all(row.as_expected for row in rows) else Exit.MISSED

    return guarded(action)


def check_options(studies: int, only: str | None) -> None:
    if not STUDIES_LEAST <= studies <= STUDIES_MAX:
        raise UsageError(f"--studies must be between {STUDIES_LEAST} and {STUDIES_MAX} (got {studies})")
    if only is not None and only not in SUBJECTS:
        raise UsageError(f"--only must be one of {', '.join(SUBJECTS)} (got {only})")


def lines_of(rows: Sequence[Row]) -> list[str]:
    """A heading a subject, a line a row; a setting is named once."""
    lines = [HEAD]
    before: Row | None = None
    for row in rows:
        if before is None or row.subject != before.subject:
            lines += ["", f"{row.subject}: {SUBJECTS.get(row.subject, '')}".removesuffix(": ")]
        again = before is not None and (row.subject, row.setting) == (before.subject, before.setting)
        lines.append(line_of(row, "" if again else row.setting))
        before = row
    return lines


def line_of(row: Row, setting: str) -> str:
    figures = f"{percent(row.coverage):>9}{percent(row.false_positives):>11}{percent(row.refused):>9}"
    return f"  {setting:41}{row.estimator:25}{figures}  {words(row)}{f' ({row.remark})' if row.remark else ''}"


def percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def words(row: Row) -> str:
    if row.expected == ANY:
        return f"{row.verdict}, for comparison"
    if not row.as_expected:
        return f"{row.verdict.upper()}, and must not"
    return {HOLDS: "holds", FAILS: "fails, as it must", REFUSED: "too few, and says so"}[row.verdict]


def summary(rows: Sequence[Row], studies: int, seconds: float) -> list[str]:
    (low, high), (least, most) = honest_coverage(studies), honest_positives(studies)
    wrong = [row for row in rows if not row.as_expected]
    lines = [
        f"\n{studies:,} studies a row in {seconds:.0f} s. Of the intervals given, honest 95% ones cover the",
        f"truth in {low:.1%} to {high:.1%}, and find an effect where there is none in {least:.1%} to {most:.1%}.",
        f"{len(rows) - len(wrong)} of {len(rows)} rows are as they must be.",
    ]
    for row in wrong:
        lines.append(f"  not so: {row.subject}, {row.setting}, {row.estimator}: {words(row)}")
    if wrong:
        lines.append(
            "One honest figure in 100 falls outside by luck: before an estimator is blamed, grade it again with"
            f" windtunnel grade --only {wrong[0].subject} --studies {min(10 * studies, STUDIES_MAX)}"
        )
    return lines
