"""Grades intervals end to end: hundreds of small worlds, lived and analysed like any other, against their truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from results.estimators import Adjusted, Moments
from results.graded import Hits, Row, hits, interval, judged_row, one_sample
from results.paired import PairedCustomers
from results.statistics import Interval, Proportion, TwoProportions
from scenarios.compare import plan_worlds
from scenarios.load import Options, load_scenario
from scenarios.rivals import own
from scenarios.run import warm_up
from scenarios.study import Cache, Study, WorldPlan
from scenarios.world_rows import Rows

STUDIES = 400
CAMPAIGN, CUSTOMERS = "first_use", 2_500
BEFORE, DURING, AFTER = 7, 10, 7  # days
FIRST_WORLD = 200_000  # replications of their own
NO_APPEAL = {f"population.topics.{CAMPAIGN}.clicks": "0%"}
SETTING = f"{CUSTOMERS:,} simulated customers, half held out"
_SCENARIO = Path(__file__).resolve().parent / "library" / f"{CAMPAIGN}.scenario.yaml"
_BEFORE = ("before_visits", "before_spend")
_PAIRED = "closes_and_mutes"
Progress = Callable[[float], None]


def small_worlds(changes: dict[str, str]) -> WorldPlan:
    loaded = load_scenario(_SCENARIO, Options(set=changes, before=BEFORE, days=DURING, after=AFTER))
    block = loaded.scenario.compare.model_copy(update={"customers": CUSTOMERS, "truth": [CAMPAIGN], "arms": []})
    loaded = replace(loaded, scenario=loaded.scenario.model_copy(update={"compare": block}))
    return plan_worlds(loaded, [own(loaded)])


def lived(studies: int, progress: Progress) -> tuple[list[Rows], list[Rows]]:
    """So many worlds in which the campaign appeals, and as many in which it does not."""
    plans = [small_worlds({}), small_worlds(NO_APPEAL)]
    warm_up(plans[0].run_plan(plans[0].branches[0], 0))
    tasks = [(plan, FIRST_WORLD + number) for plan in range(len(plans)) for number in range(studies)]
    with Study(plans, Cache(None), None, None) as study:
        found = study.play(tasks, progress)
    effect, none = ([rows for (plan, _), rows in found.items() if plan == number] for number in range(len(plans)))
    return effect, none


def simulation_rows(effect: Sequence[Rows], none: Sequence[Rows], width: float = 1.0) -> list[Row]:
    """Coverage with an effect, false positives without; `width` plants intervals too narrow or too wide."""
    rows = []
    for claim, analysis in ANALYSES:
        found, null = graded(analysis, effect, width), graded(analysis, none, width)
        rows.append(judged_row("simulation", SETTING, claim, len(effect), found, null))
    return rows


Estimator = Callable[[Rows], tuple[float, Interval]]


@dataclass(frozen=True)
class Analysis:
    """An estimate with its interval from one world, and the measure whose twin truth it is about."""

    estimate: Estimator
    measure: str


def graded(analysis: Analysis, worlds: Sequence[Rows], width: float) -> Hits:
    """Each world's interval against the truth of all worlds together: more if shown, over those reached."""
    truths = [twins(rows, analysis.measure) for rows in worlds]
    pooled = sum(row["total"] for row in truths) / sum(row["n"] for row in truths)
    found = [analysis.estimate(rows) for rows in worlds]
    return hits([value for value, _ in found], [given for _, given in found], pooled, width)


def twins(rows: Rows, measure: str) -> dict[str, Any]:
    return next(r for r in rows["differences"] if (r["of"], r["measure"], r["segment"]) == (CAMPAIGN, measure, ""))


def groups(rows: Rows) -> list[dict[str, float]]:
    """Sums of those shown and held out, over all arms."""
    sums = []
    for held_out in (False, True):
        of = [row for row in rows["holdouts"] if row["campaign"] == CAMPAIGN and row["held_out"] is held_out]
        numbers = [name for name, value in of[0].items() if isinstance(value, int | float) and name != "held_out"]
        sums.append({name: float(sum(row[name] for row in of)) for name in numbers})
    return sums


def raw(rows: Rows) -> tuple[float, Interval]:
    shown, held_out = groups(rows)
    two = TwoProportions(*(Proportion(g["converted"], g["customers"]) for g in (shown, held_out)))
    return shown["converted"] / shown["customers"] - held_out["converted"] / held_out["customers"], two.difference()


def adjusted(rows: Rows) -> tuple[float, Interval]:
    found = Adjusted(*map(moments, groups(rows)))
    return found.value, found.difference()


def moments(sums: dict[str, float]) -> Moments:
    """Of the 0/1 outcome and what came before launch."""
    y, (a, b) = "converted", _BEFORE
    products = (y, f"{y}_x_{a}", f"{y}_x_{b}", f"{a}_x_{a}", f"{a}_x_{b}", f"{b}_x_{b}")
    return Moments(sums["customers"], (sums[y], sums[a], sums[b]), tuple(sums[name] for name in products))


def paired(rows: Rows) -> tuple[float, Interval]:
    """Closes and mutes of the same customers in both twins."""
    row = twins(rows, _PAIRED)
    few = [r for r in rows["few"] if (r["of"], r["measure"]) == (CAMPAIGN, _PAIRED)]
    kept = tuple(float(value) for value in few[0]["differences"]) if few else None
    found = PairedCustomers(row["n"], row["total"], row["squares"], row["nonzero"], kept)
    return row["total"] / row["n"], found.interval(counts=True)


ANALYSES = (
    (interval("difference"), Analysis(raw, "converted")),
    (interval("CUPED"), Analysis(adjusted, "converted")),
    (one_sample("paired by customer"), Analysis(paired, _PAIRED)),
)
