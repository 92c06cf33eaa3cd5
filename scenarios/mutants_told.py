"""What is said of mutants: the share that was killed first, then the survivors by name; JSON, and tests for JUnit."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from results.statistics import Proportion
from results.words import formatted, spec_of
from scenarios.exits import Exit
from scenarios.mutant_judging import ERROR, KILLED, NONE, NOT_JUDGED, ROWS, SURVIVED, Fate, Figure, Standing
from scenarios.pytest_plugin import Finding

OUTCOMES = {KILLED: "holds", SURVIVED: "fails", ERROR: "error"}  # of tests; of all others: not judged


@dataclass(frozen=True)
class Score:
    """What became of all mutants that were to be judged."""

    fates: list[Fate]
    possible: int  # mutants that there are
    not_begun: int
    aim: float
    seed: int
    customers: int | None = None
    minutes: float | None = None

    def of(self, outcome: str) -> list[Fate]:
        return [fate for fate in self.fates if fate.outcome == outcome]

    @property
    def judged(self) -> Proportion:
        """Those killed, of all that were begun: the slowest are those that nobody notices."""
        return Proportion(len(self.of(KILLED)), len(self.fates) - len(self.of(NONE)))

    @property
    def is_sample(self) -> bool:
        return len(self.fates) < self.possible

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of all mutants there are, where only some were judged."""
        return self.judged.bounds() if self.is_sample and self.judged.n else None

    @property
    def code(self) -> Exit:
        if self.of(ERROR):
            return Exit.HARNESS_ERROR
        return Exit.FINE if (self.judged.value or 0.0) >= self.aim else Exit.MISSED


def missed_lines(stands: Sequence[Standing]) -> Iterator[str]:
    """What does not hold as it stands, scenario by scenario."""
    for one in stands:
        lines = [f"  {v.verdict:9}  {v.sentence()}" for v in one.verdicts if v.missed]
        lines += [f"  {one.outcome:9}  {line}" for line in one.problem.splitlines()]
        if lines:
            yield from (one.step.shown, *lines)


def as_it_stands(one: Standing) -> dict[str, Any]:
    verdicts = [{"expectation": verdict.text, "outcome": verdict.verdict} for verdict in one.verdicts]
    return {"file": one.step.shown, "test": one.step.test, "outcome": one.outcome, "problem": one.problem,
            "expectations": verdicts}  # fmt: skip


# --- told -------------------------------------------------------------------------------------------------------------
def told(score: Score, stands: Sequence[Standing]) -> Iterator[str]:
    yield answer(score)
    yield from counts(score)
    missed = list(missed_lines(stands))
    if missed:
        yield "\nMissed without any change, so that it notices nothing (take more customers):"
        yield from missed
    for outcome, title in ((SURVIVED, "Survived"), (ERROR, "Ended in an error"), (NOT_JUDGED, "Not ended in time")):
        found = score.of(outcome)
        if found:
            yield f"\n{title}:"
            yield from by_section(found)
    if score.of(SURVIVED):
        yield f"\nsee one    {repeat(score.of(SURVIVED)[0], stands)}"


def answer(score: Score) -> str:
    """The first sentence."""
    judged, interval = score.judged, score.interval
    if judged.value is None:
        return "No mutant was judged; take more minutes."
    share = percent(judged.value)
    if interval is not None:
        share += f", 95 % interval {percent(interval[0])} to {percent(interval[1])}"
    reached = "is reached" if judged.value >= score.aim else "is missed"
    were = "was" if judged.events == 1 else "were"
    return (
        f"{judged.events:,.0f} of {judged.n:,.0f} mutants {were} killed ({share}); "
        f"the aim of {percent(score.aim)} {reached}."
    )


def percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def counts(score: Score) -> Iterator[str]:
    """Which of how many, and by what."""
    if score.is_sample:
        yield f"A sample by seed {score.seed} of the {score.possible:,} there are, even over policies and sections."
    if score.not_begun:
        yield f"{score.not_begun:,} were not begun within {score.minutes:g} minutes, and are not counted."
    if score.of(NOT_JUDGED):
        yield f"{len(score.of(NOT_JUDGED)):,} were begun and not ended; they count as not killed."
    if score.of(NONE):
        yield f"{len(score.of(NONE)):,} are none: with them a scenario cannot be read."
    if score.customers is not None:
        yield f"A quick look with {score.customers:,} customers: more would notice more."


def by_section(fates: Sequence[Fate]) -> Iterator[str]:
    """Mutants under their policies and sections, each with what is to say of it."""
    for (_, section), group in groupby(fates, key=lambda fate: (fate.mutant.policy, fate.mutant.section)):
        yield f"  {section}"
        for fate in group:
            yield f"    {fate.mutant.name}"
            yield f"      {why(fate)}"
            if fate.clearest:
                yield f"      clearest  {', '.join(apart(*row) for row in fate.clearest)}"


def apart(name: str, before: Figure, after: Figure) -> str:
    """A figure that an expectation could have told the change by."""
    return f"{name} {written(before)} → {written(after)}"


def written(figure: Figure) -> str:
    return formatted(figure.value, spec_of(figure.unit, figure.value, figure.low, figure.high))


def why(fate: Fate) -> str:
    """What is known of a mutant that was not killed."""
    if fate.problem:
        return fate.problem
    if not fate.met:
        return "no customer met it"
    if not fate.changed:
        return "customers met it, and every message and claim ended as before"
    return f"{fate.changed:,} decisions or more changed, and nothing else was expected"


def repeat(fate: Fate, stands: Sequence[Standing]) -> str:
    """The command that lives a mutant."""
    lived = [one.step.shown for one in stands if one.step.sees(fate.mutant) and one.step.test != ROWS]
    file = fate.scenario if fate.scenario in lived else next(iter(lived), "SCENARIO")
    (said,) = fate.mutant.change.items()
    return shlex.join(["windtunnel", "run", file, "--set", "=".join(said)])


def finding(fate: Fate) -> Finding:
    """As a test, for JUnit."""
    mutant = fate.mutant
    problem = "" if fate.outcome == KILLED else why(fate)
    name = mutant.name.removeprefix(f"{mutant.policy}:")
    return Finding(str(mutant.policy), name, OUTCOMES.get(fate.outcome, NOT_JUDGED), problem)


def as_object(score: Score, stands: Sequence[Standing], seconds: float) -> dict[str, Any]:
    """The object of --json."""
    low, high = score.interval or (None, None)
    rows = []
    for fate in score.fates:
        mutant = fate.mutant
        row: dict[str, Any] = {"policy": str(mutant.policy), "section": mutant.section}
        row |= {name: getattr(mutant, name) for name in ("line", "path", "before", "after")}
        row |= {"outcome": fate.outcome, "scenario": fate.scenario, "by": fate.by}
        row |= {"problem": fate.problem if fate.outcome == KILLED else why(fate), "repeat": repeat(fate, stands)}
        if fate.outcome == SURVIVED:
            row |= {"met": fate.met, "decisions_changed": fate.changed}
            row["clearest"] = [
                {"figure": name, "before": before.value, "after": after.value} for name, before, after in fate.clearest
            ]
        rows.append(row)
    ends = Counter(fate.outcome for fate in score.fates)
    return {
        "killed": int(score.judged.events), "judged": int(score.judged.n), "share": score.judged.value,
        "low": low, "high": high, "aim": score.aim, "possible": score.possible, "not_begun": score.not_begun,
        "seed": score.seed, "outcomes": dict(ends), "mutants": rows,
        "as_they_stand": [as_it_stands(one) for one in stands],
        "seconds": round(seconds, 2), "exit_code": score.code,
    }  # fmt: skip
