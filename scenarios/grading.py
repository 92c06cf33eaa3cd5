"""The command `grade`: what the intervals are worth, as a table, as JSON and as an exit code."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from results.graded import ANY, FAILS, HOLDS, REFUSED, STUDIES, STUDIES_LEAST, Row, honest_coverage, honest_positives
from results.grading import SUBJECTS
from results.grading import grade as graded
from scenarios.console import folder_for_runs, guarded, print_json, progress, warm_up
from scenarios.exits import Exit, UsageError
from scenarios.grading_population import Fact

STUDIES_MAX = 100_000
HEAD = f"{'':2}{'setting':41}{'estimator':25}{'coverage':>9}{'false pos.':>11}{'refused':>9}  verdict"


def grade(studies: int | None, only: str | None, everything: bool, out: Path, as_json: bool) -> int:
    """`everything`: end to end through the simulation too, the purchase process, and the library's known cases."""

    def action() -> int:
        count = STUDIES if studies is None else studies
        check_options(count, only, everything)
        begun = time.perf_counter()
        with progress("grading") as tell:
            rows = list(graded(count, only, tell=tell))
        facts: list[Fact] = []
        if everything:
            more, facts = lived(out)
            rows += more
        tell_all(rows, facts, count, time.perf_counter() - begun, as_json)
        fine = all(row.as_expected for row in rows) and all(fact.holds for fact in facts)
        return Exit.FINE if fine else Exit.MISSED

    return guarded(action)


def lived(out: Path) -> tuple[list[Row], list[Fact]]:
    """What takes minutes: worlds, whole."""
    from scenarios.grading_cases import case_facts
    from scenarios.grading_fraud import WORLDS as FRAUD_WORLDS
    from scenarios.grading_fraud import stump_facts
    from scenarios.grading_population import cdnow_facts
    from scenarios.grading_simulation import STUDIES as WORLDS
    from scenarios.grading_simulation import lived as worlds_lived
    from scenarios.grading_simulation import simulation_rows
    from scenarios.grading_stock import WORLDS as SCARCE_WORLDS
    from scenarios.grading_stock import lived as scarce_lived
    from scenarios.grading_stock import stock_rows

    warm_up(lambda share: None)
    with progress(f"{2 * WORLDS} small worlds") as tell:
        rows = simulation_rows(*worlds_lived(WORLDS, tell))
    with progress(f"{SCARCE_WORLDS} worlds with too few coupons") as tell:
        rows += stock_rows(scarce_lived(SCARCE_WORLDS, tell))
    facts = cdnow_facts()
    with progress(f"{FRAUD_WORLDS} worlds with attackers") as tell:
        facts += stump_facts(tell)
    with folder_for_runs(out):
        facts += case_facts(out, progress)
    return rows, facts


def tell_all(rows: Sequence[Row], facts: Sequence[Fact], studies: int, seconds: float, as_json: bool) -> None:
    if as_json:
        wrong = sum(not row.as_expected for row in rows) + sum(not fact.holds for fact in facts)
        print_json({"studies": studies, "wrong": wrong, "rows": [row.as_json() for row in rows],
                    "facts": [asdict(fact) for fact in facts]})  # fmt: skip
        return
    print("\n".join([*lines_of(rows), *lines_of_facts(facts), *summary(rows, studies, seconds)]))
    missed = [fact for fact in facts if not fact.holds]
    if facts:
        print(f"{len(facts) - len(missed)} of {len(facts)} lines of the known cases hold.")


def lines_of_facts(facts: Sequence[Fact]) -> Iterator[str]:
    """A heading a subject, a line a fact."""
    before = ""
    for fact in facts:
        if fact.subject != before:
            yield f"\n{fact.subject}"
        before = fact.subject
        yield f"  {fact.what}"
        yield f"    {'holds' if fact.holds else 'DOES NOT HOLD'}: wanted {fact.wanted}; got {fact.got}"


def check_options(studies: int, only: str | None, everything: bool) -> None:
    if only is not None and everything:
        raise UsageError("--only and --all exclude each other")
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
