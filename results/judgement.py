"""Judges the rivals of a comparison: goals in the words of FIDELITY 12, guardrails apart, Holm over rivals."""

from typing import Any

from results.comparisons import Pair, competed, difference, level, unit_of
from results.query import Database
from results.sequential import early_stop
from results.statistics import CONFIDENCE, Estimate, Interval
from results.verdicts import guardrail, holm, verdict, worlds_for_guardrail, worlds_for_verdict

Manifest = dict[str, Any]
Row = dict[str, Any]
GOAL, GUARDRAIL = "goal", "guardrail"
LESS_IS_BETTER = frozenset(
    (
        "negatives",
        "closes_and_mutes",
        "complaints",
        "left_annoyed",
        "rewards",
        "channel_cost",
        "fraud_loss",
        "exposures",
    )
)


def judged_rivals(database: Database, manifest: Manifest, matters: float, early: bool) -> tuple[list[Row], str]:
    """Rows of the table `verdicts`, and the unit of analysis."""
    rows: list[Row] = []
    measure = manifest["goal"]["measure"]
    reference, rivals = manifest["reference"], manifest["rivals"]
    if early:
        rows += [early_row(database, manifest, Pair(rival, reference), matters) for rival in rivals]
    else:
        pairs = [Pair(rival, reference) for rival in rivals]
        steps = holm([lambda c, pair=pair: interval_of(database, pair, measure, c) for pair in pairs])  # type: ignore[misc]
        for pair, step in zip(pairs, steps, strict=True):
            found = difference(database, pair, measure, step.confidence)
            rows.append(goal_row(database, manifest, pair, found, matters, step.confidence))
    for rival in rivals:
        for guarded, share in manifest["guardrails"].items():
            rows.append(guardrail_row(database, manifest, Pair(rival, reference), guarded, share))
    return rows, "world" if competed(database) or early else "customer"


def interval_of(database: Database, pair: Pair, measure: str, confidence: float) -> Interval:
    found = difference(database, pair, measure, confidence)
    return Interval(found.low, found.high, found.note)


def base_row(database: Database, pair: Pair, measure: str, role: str, found: Estimate, confidence: float) -> Row:
    return {
        "policy": pair.policy, "against": pair.against, "measure": measure, "role": role, "unit": unit_of(measure),
        "value": found.value, "low": found.low, "high": found.high, "n": found.n, "note": found.note,
        "level": level(database, pair.against, measure, confidence).value, "confidence": confidence,
    }  # fmt: skip


def goal_row(
    database: Database, manifest: Manifest, pair: Pair, found: Estimate, matters: float, confidence: float
) -> Row:
    measure = manifest["goal"]["measure"]
    better = measure not in LESS_IS_BETTER
    interval = Interval(found.low, found.high, found.note)
    word = verdict(interval, matters, better)
    needed = worlds_for_verdict(interval, manifest["worlds"], matters, confidence) if word == "undecided" else None
    row = base_row(database, pair, measure, GOAL, found, confidence)
    return {**row, "word": word, "limit": matters, "worlds_needed": needed}


def early_row(database: Database, manifest: Manifest, pair: Pair, matters: float) -> Row:
    """Of worlds that stopped on the verdict: an interval valid at any moment, an estimate adjusted for stopping."""
    measure = manifest["goal"]["measure"]
    scale = 100 if unit_of(measure) == "yuan" else 1
    values = [float(row[0]) for row in database.rows(f"SELECT total / n / {scale} {pair.rows(measure)} ORDER BY world")]
    better = measure not in LESS_IS_BETTER
    stop = early_stop(values, matters, min(len(values), manifest["worlds_max"]), CONFIDENCE, better)
    assert stop is not None, "the worlds that were played are all there are"
    found = Estimate(stop.adjusted, stop.low, stop.high, unit_of(measure), stop.worlds, "world",
                     "adjusted for stopping on the verdict")  # fmt: skip
    row = base_row(database, pair, measure, GOAL, found, CONFIDENCE)
    return {**row, "word": stop.word, "limit": matters, "worlds_needed": None}


def guardrail_row(database: Database, manifest: Manifest, pair: Pair, measure: str, share: float) -> Row:
    found = difference(database, pair, measure)
    row = base_row(database, pair, measure, GUARDRAIL, found, CONFIDENCE)
    limit, better = abs(row["level"] or 0.0) * share, measure not in LESS_IS_BETTER
    interval = Interval(found.low, found.high, found.note)
    word = guardrail(interval, limit, better)
    needed = worlds_for_guardrail(interval, manifest["worlds"], limit, better) if word == "undecided" else None
    return {**row, "word": word, "limit": limit, "worlds_needed": needed}
