"""`windtunnel load capacity`: one rate after the other is tried, and what was full where it could no more."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from loadtests.capacity import IMPROVED, REGRESSED, SAME, Capacity, Trial, capacity, change, machines
from loadtests.gauges import Gauges
from loadtests.generator.profiles import level
from loadtests.load_found import Slo, is_missed_by_target, is_reached
from loadtests.load_found import as_found as load_found
from loadtests.load_run import Bench
from loadtests.machine import OTHERS
from loadtests.saturation import saturated

FIRST_PER_S, MOST_PER_S = 100.0, 20_000.0
WARM_S, RESTS_S, AGAIN = 1.5, 1.0, 3  # seconds before a trial is judged and after it; times that an invalid one is held
HEADROOM = 0.7  # of what is sustained: what an operator should plan with
# A backlog that grows by a share of the rate shows once it is worth the objective: shorter trials find too much.
TIMES_THE_SLO = 50
FEWEST = 200  # requests of a trial: fewer say nothing of a p99


def found_capacity(
    bench: Bench, slo: Slo, seconds: float, repeats: int, say: Callable[[str], None]
) -> tuple[Capacity, list[dict[str, Any]]]:
    """And a row for every trial. Raises SaturatedError, BenchError."""
    rows: list[dict[str, Any]] = []

    def tried(rate: float) -> Trial:
        for _ in range(AGAIN):
            trial = held(bench, slo, rate, max(seconds, FEWEST / rate, TIMES_THE_SLO * slo.most_ms / 1_000))
            say(words(trial))
            rows.append({"rate": rate, "kept": trial.is_kept, "why": trial.why, "invalid": list(trial.invalid),
                         **trial.row})  # fmt: skip
            if not trial.invalid:
                break
        return trial

    return capacity(tried, FIRST_PER_S, MOST_PER_S, repeats), rows


def held(bench: Bench, slo: Slo, rate: float, seconds: float) -> Trial:
    stages = [level("warm-up", WARM_S, rate, counts=False), level("trial", seconds, rate)]
    with Gauges(bench.target.url, bench.target.operator) as gauges:
        loaded = bench.run(stages)
    time.sleep(RESTS_S)  # what waits is answered before the next trial
    found = load_found(loaded, gauges.samples, slo, {})
    row = found["stages"][1]
    why = ""
    if not is_reached(row):
        why = f"{row['done']:,} of {row['offered']:,} answered with success"
    elif not slo.is_kept(row):
        why = f"{slo.percentile.replace('_', '.')} was {row['response_ms'][slo.percentile]:,.1f} ms"
    spoilt = () if why and is_missed_by_target(row, slo) else tuple(found["invalid"])
    return Trial(rate, not why, why, spoilt, row)


def words(trial: Trial) -> str:
    if trial.invalid:
        return f"{trial.rate:,.0f}/s INVALID: {'; '.join(trial.invalid)}"
    return f"{trial.rate:,.0f}/s {'kept' if trial.is_kept else f'NOT kept: {trial.why}'}"


def changed(found: Capacity, before: dict[str, Any]) -> dict[str, Any]:
    """Against a baseline. What is known to be at least so much has not regressed, and nothing is better than it."""
    one = change((found.per_s, found.low, found.high), (before["per_s"], before["low"], before["high"]))
    cannot_be = {REGRESSED} if found.is_bound else set()
    cannot_be |= {IMPROVED} if before["ends"] else set()
    return {
        "word": SAME if one.word in cannot_be else one.word,
        "ratio": one.ratio,
        "low": one.low,
        "high": one.high,
        "before_per_s": before["per_s"],
        "is_bound": found.is_bound or bool(before["ends"]),
    }


def measured(found: Capacity, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What a search found."""
    return {
        "per_s": found.per_s,
        "low": found.low,
        "high": found.high,
        "searches": found.searches,
        "ends": found.ends,
        "trials": rows,
        "saturated": saturated(rows),
        "search": [asdict(trial) | {"row": None} for trial in found.trials],
    }


def as_found(
    found: Capacity, rows: list[dict[str, Any]], slo: Slo, peak: float, before: dict[str, Any] | None,
    about: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """The whole result. peak: 0 where none is stated; before: the result of a baseline."""
    planned = HEADROOM * found.low, HEADROOM * found.high
    return about | measured(found, rows) | {
        "peak": peak,
        "machines": list(machines(peak, planned)) if peak else None,
        "change": None if before is None else changed(found, before),
        "slo": str(slo),
        "slo_ms": slo.most_ms,
        "target_per_s": HEADROOM * found.low,
        "headroom": HEADROOM,
        "scaling": None,
        "others": OTHERS,
    }  # fmt: skip
