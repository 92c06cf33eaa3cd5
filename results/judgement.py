"""Judges the rivals of a comparison: goals in the words of FIDELITY 12, guardrails apart, Holm over rivals."""

from dataclasses import replace
from typing import Any

from results.comparison_estimates import competed
from results.comparisons import Pair, difference, level, unit_of
from results.query import Database
from results.sequential import early_stop, stein_interval
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
    reference, rivals = manifest["reference"], manifest["rivals"]
    if early:
        rows += [early_row(database, manifest, Pair(rival, reference), matters) for rival in rivals]
    else:
        pairs = [Pair(rival, reference) for rival in rivals]
        steps = holm([lambda c, pair=pair: interval_of(database, manifest, pair, c) for pair in pairs])  # type: ignore[misc]
        for pair, step in zip(pairs, steps, strict=True):
            found = goal_estimate(database, manifest, pair, step.confidence)
            rows.append(goal_row(database, manifest, pair, found, matters, step.confidence))
    for rival in rivals:
        for guarded, share in manifest["guardrails"].items():
            rows.append(guardrail_row(database, manifest, Pair(rival, reference), guarded, share))
    return rows, "world" if competed(database) or early else "customer"


def shared_confidence(rivals: int) -> float:
    """Of each of several verdicts that fall one by one, so that all hold together (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / max(rivals, 1)


def goal_estimate(database: Database, manifest: Manifest, pair: Pair, confidence: float) -> Estimate:
    """The goal's difference; where the world is the unit, by the deviation of the pilot, which set their number."""
    measure = manifest["goal"]["measure"]
    found = difference(database, pair, measure, confidence)
    if found.unit_of_analysis != "world" or manifest["worlds"] == manifest["pilot"]:
        return found
    low, high, note = stein_interval(world_means(database, pair, measure), manifest["pilot"], confidence)
    return replace(found, low=low, high=high, note=note, method="Stein's two stages, by world")


def world_means(database: Database, pair: Pair, measure: str) -> list[float]:
    scale = 100 if unit_of(measure) == "yuan" else 1
    return [float(row[0]) for row in database.rows(f"SELECT total / n / {scale} {pair.rows(measure)} ORDER BY world")]


def interval_of(database: Database, manifest: Manifest, pair: Pair, confidence: float) -> Interval:
    found = goal_estimate(database, manifest, pair, confidence)
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
    values = world_means(database, pair, measure)
    better = measure not in LESS_IS_BETTER
    confidence = shared_confidence(len(manifest["rivals"]))
    stop = early_stop(values, matters, manifest["worlds_max"], confidence, better)
    assert stop is not None, "the worlds that were played are enough"
    found = Estimate(stop.adjusted, stop.low, stop.high, unit_of(measure), stop.worlds, "world",
                     "adjusted for stopping on the verdict")  # fmt: skip
    row = base_row(database, pair, measure, GOAL, found, confidence)
    return {**row, "word": stop.word, "limit": matters, "worlds_needed": None}


def guardrail_row(database: Database, manifest: Manifest, pair: Pair, measure: str, share: float) -> Row:
    found = difference(database, pair, measure)
    row = base_row(database, pair, measure, GUARDRAIL, found, CONFIDENCE)
    limit, better = abs(row["level"] or 0.0) * share, measure not in LESS_IS_BETTER
    interval = Interval(found.low, found.high, found.note)
    word = guardrail(interval, limit, better)
    needed = worlds_for_guardrail(interval, manifest["worlds"], limit, better) if word == "undecided" else None
    return {**row, "word": word, "limit": limit, "worlds_needed": needed}
