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
FIRST_WORLD = 200_000  # replications of their own
_LIBRARY = Path(__file__).resolve().parent / "library"
_BEFORE = ("before_visits", "before_spend")
_PAIRED = "closes_and_mutes"
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Small:
    """A campaign of a scenario of the library, among few customers for a few days: worlds to play by the hundred."""

    scenario: str
    campaign: str
    customers: int
    before: int  # days
    days: int
    after: int

    def plan(self, changes: dict[str, str]) -> WorldPlan:
        options = Options(set=changes, before=self.before, days=self.days, after=self.after)
        loaded = load_scenario(_LIBRARY / f"{self.scenario}.scenario.yaml", options)
        update = {"customers": self.customers, "truth": [self.campaign], "arms": []}
        block = loaded.scenario.compare.model_copy(update=update)
        loaded = replace(loaded, scenario=loaded.scenario.model_copy(update={"compare": block}))
        return plan_worlds(loaded, [own(loaded)])


FIRST_USE = Small("first_use", "first_use", 2_500, 7, 10, 7)
NO_APPEAL = {f"population.topics.{FIRST_USE.campaign}.clicks": "0%"}
SETTING = f"{FIRST_USE.customers:,} simulated customers, half held out"


def lived(studies: int, progress: Progress) -> tuple[list[Rows], list[Rows]]:
    """So many worlds in which the campaign appeals, and as many in which it does not."""
    effect, none = played([FIRST_USE.plan({}), FIRST_USE.plan(NO_APPEAL)], studies, progress)
    return effect, none


def played(plans: Sequence[WorldPlan], worlds: int, progress: Progress) -> list[list[Rows]]:
    """So many worlds of each plan."""
    warm_up(plans[0].run_plan(plans[0].branches[0], 0))
    tasks = [(plan, FIRST_WORLD + number) for plan in range(len(plans)) for number in range(worlds)]
    with Study(plans, Cache(None), None, None) as study:
        found = study.play(tasks, progress)
    return [[rows for (plan, _), rows in found.items() if plan == number] for number in range(len(plans))]


def simulation_rows(effect: Sequence[Rows], none: Sequence[Rows], width: float = 1.0) -> list[Row]:
    """Coverage with an effect, false positives without; `width` plants intervals too narrow or too wide."""
    rows = []
    for claim, analysis in ANALYSES:
        found, null = graded(analysis, effect, width), graded(analysis, none, width)
        rows.append(judged_row("simulation", SETTING, claim, len(effect), found, null))
    return rows


Estimator = Callable[[Rows, str], tuple[float, Interval]]  # of a world's rows and a campaign


@dataclass(frozen=True)
class Analysis:
    """An estimate with its interval from one world, and the measure whose twin truth it is about."""

    estimate: Estimator
    measure: str
    campaign: str = FIRST_USE.campaign


def graded(analysis: Analysis, worlds: Sequence[Rows], width: float) -> Hits:
    """Each world's interval against the truth of all worlds together: more if shown, over those reached."""
    truths = [twins(rows, analysis.campaign, analysis.measure) for rows in worlds]
    pooled = sum(row["total"] for row in truths) / sum(row["n"] for row in truths)
    found = [analysis.estimate(rows, analysis.campaign) for rows in worlds]
    return hits([value for value, _ in found], [given for _, given in found], pooled, width)


def twins(rows: Rows, campaign: str, measure: str) -> dict[str, Any]:
    return next(r for r in rows["differences"] if (r["of"], r["measure"], r["segment"]) == (campaign, measure, ""))


def groups(rows: Rows, campaign: str) -> list[dict[str, float]]:
    """Sums of those shown and held out, over all arms."""
    sums = []
    for held_out in (False, True):
        of = [row for row in rows["holdouts"] if row["campaign"] == campaign and row["held_out"] is held_out]
        numbers = [name for name, value in of[0].items() if isinstance(value, int | float) and name != "held_out"]
        sums.append({name: float(sum(row[name] for row in of)) for name in numbers})
    return sums


def raw(rows: Rows, campaign: str) -> tuple[float, Interval]:
    shown, held_out = groups(rows, campaign)
    two = TwoProportions(*(Proportion(g["converted"], g["customers"]) for g in (shown, held_out)))
    return shown["converted"] / shown["customers"] - held_out["converted"] / held_out["customers"], two.difference()


def adjusted(rows: Rows, campaign: str) -> tuple[float, Interval]:
    found = Adjusted(*map(moments, groups(rows, campaign)))
    return found.value, found.difference()


def moments(sums: dict[str, float]) -> Moments:
    """Of the 0/1 outcome and what came before launch."""
    y, (a, b) = "converted", _BEFORE
    products = (y, f"{y}_x_{a}", f"{y}_x_{b}", f"{a}_x_{a}", f"{a}_x_{b}", f"{b}_x_{b}")
    return Moments(sums["customers"], (sums[y], sums[a], sums[b]), tuple(sums[name] for name in products))


def paired(rows: Rows, campaign: str) -> tuple[float, Interval]:
    """Closes and mutes of the same customers in both twins."""
    row = twins(rows, campaign, _PAIRED)
    few = [r for r in rows["few"] if (r["of"], r["measure"]) == (campaign, _PAIRED)]
    kept = tuple(float(value) for value in few[0]["differences"]) if few else None
    found = PairedCustomers(row["n"], row["total"], row["squares"], row["nonzero"], kept)
    return row["total"] / row["n"], found.interval(counts=True)


ANALYSES = (
    (interval("difference"), Analysis(raw, "converted")),
    (interval("CUPED"), Analysis(adjusted, "converted")),
    (one_sample("paired by customer"), Analysis(paired, _PAIRED)),
)
