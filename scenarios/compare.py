"""`windtunnel compare`: worlds lived under several policies until the difference is known well enough, and judged."""

import hashlib
import math
import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from results.comparison_report import render_comparison
from results.comparison_store import KIND, write_comparison, write_table
from results.comparison_tables import MONEY
from results.comparisons import scale_of, study_estimates
from results.judgement import judged_rivals, shared_confidence
from results.paired import DIFFERENCES_LEAST_MONEY
from results.query import Database
from results.sequential import early_stop, stein_worlds
from results.statistics import Estimate, normal_quantile
from results.store import open_run, write_manifest
from scenarios.assumptions import Draw, Drawn, assumption_plans, judged_draws
from scenarios.build import doubts
from scenarios.document import MARGIN
from scenarios.expect import CONFIDENCE as EXPECTED_CONFIDENCE
from scenarios.expect import Expectation, Verdict
from scenarios.load import LoadedScenario, compiled_all, peaks_of, spans_of, step_of, without_coupons
from scenarios.rivals import Rival, arm_twins, twins
from scenarios.run import campaign_blocks, new_run_id, warm_up, worth_of
from scenarios.study import Cache, Study, Task, WorldPlan
from scenarios.world_rows import Branch, Contrast, Rows, with_world

FIRST_WORLD = 1  # replication 0 is what `run` lives through
FIRST_DRAW = 100_000  # replications of assumption sets
LOOK_EVERY = 5  # worlds between two looks with --early, so that several cores have work
DRAW_CUSTOMERS = 20_000
DRAW_WORLDS = 5
Tell = Callable[[str], AbstractContextManager[Callable[[float], None]]]


@dataclass(frozen=True)
class CompareOptions:
    """How to compare, as opposed to what."""

    out: Path = Path("runs")
    early: bool = False
    workers: int | None = None
    address: str | None = None
    assumption_sets: int | None = None
    command: tuple[str, ...] = ()
    cache: bool = True
    report: bool = True


@dataclass(frozen=True)
class Comparison:
    """A finished comparison: its folder, what it found."""

    folder: Path
    manifest: dict[str, Any]
    estimates: dict[str, Estimate]
    verdicts: list[Verdict]  # of the expectations

    @property
    def missed(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.missed]


# --- the plan ---------------------------------------------------------------------------------------------------------
def plan_worlds(loaded: LoadedScenario, rivals: Sequence[Rival]) -> WorldPlan:
    """The branches of every world: the reference, its rivals, the twins of campaigns whose truth is asked for."""
    reference, *others = rivals
    lived, contrasts = [*rivals], [Contrast(rival.name, reference.name) for rival in others]
    truth = tuple(name for name in loaded.scenario.compare.truth if name in reference.policy.campaigns)
    for campaign in truth:
        shown, held_out = twins(reference, campaign)
        arms = arm_twins(reference, campaign) if campaign in loaded.scenario.compare.arms else []
        lived += [shown, held_out, *arms]
        contrasts += [Contrast(shown.name, held_out.name), Contrast(shown.name, held_out.name, campaign)]
        contrasts += [Contrast(a.name, b.name, campaign) for a in arms for b in arms if a is not b]
    compiled = compiled_all(
        [(loaded.baseline, loaded.sources["baseline"]), *map(salted(reference), lived)], loaded.scenario
    )
    slots = compiled[0].registry.slots
    branches = tuple(
        Branch(
            rival.name,
            without_coupons(policy, rival.paused),
            slots_of(slots, rival.paused),
            slots_of(slots, rival.paused_after(loaded)),
        )
        for rival, policy in zip(lived, compiled[1:], strict=True)
    )
    step_ms = step_of([policy.policy for policy in compiled])
    spans = spans_of(loaded.scenario, ZoneInfo(loaded.policy.time_zone), step_ms)
    return WorldPlan(
        loaded.scenario, loaded.population, without_coupons(compiled[0], loaded.paused),
        slots_of(slots, loaded.paused), branches, tuple(contrasts), truth, spans, loaded.scenario.compare.customers,
        tuple(sorted({peak for policy in compiled for peak in peaks_of(policy.policy, spans)})),
    )  # fmt: skip


def slots_of(slots: dict[str, int], names: Sequence[str]) -> tuple[int, ...]:
    return tuple(slots[name] for name in names if name in slots)


def salted(reference: Rival) -> Callable[[Rival], tuple[Any, str]]:
    """Salts are named after the policy: under one name the same customers are held out and see the same arm."""
    return lambda rival: (rival.policy.model_copy(update={"policy": reference.policy.policy}), rival.source)


# --- how many worlds --------------------------------------------------------------------------------------------------
@dataclass
class Worlds:
    """The worlds played so far and what they say of the goal."""

    loaded: LoadedScenario
    plan: WorldPlan
    rows: dict[int, Rows] = field(default_factory=dict)  # by replication

    def add(self, found: dict[Task, Rows]) -> None:
        self.rows |= {replication: rows for (_, replication), rows in found.items()}

    @property
    def count(self) -> int:
        return len(self.rows)

    @property
    def rivals(self) -> list[str]:
        return [c.policy for c in self.plan.contrasts if c.against == self.plan.own and not c.of]

    def differences(self, rival: str, measure: str) -> list[dict[str, Any]]:
        """One row a world."""
        key = {"policy": rival, "against": self.plan.own, "of": "", "segment": "", "measure": measure}
        return [
            next(row for row in self.rows[world]["differences"] if all(row[k] == v for k, v in key.items()))
            for world in sorted(self.rows)
        ]

    def means(self, rival: str, measure: str) -> list[float]:
        return [row["total"] / row["n"] / scale_of(measure) for row in self.differences(rival, measure)]

    def level(self, measure: str) -> float:
        rows = [
            row for world in self.rows.values() for row in world["levels"]
            if (row["policy"], row["of"], row["measure"]) == (self.plan.own, "", measure)
        ]  # fmt: skip
        return sum(row["total"] for row in rows) / sum(row["n"] for row in rows) / scale_of(measure)

    @property
    def shared(self) -> bool:
        refused = any(life["shared_refusals"] for world in self.rows.values() for life in world["lives"])
        return refused or any(account["crews"] for world in self.rows.values() for account in world["accounts"])

    def wanted(self) -> int:
        """Worlds after which the interval of the goal is as narrow as asked for (Stein's two stages)."""
        compare = self.loaded.scenario.compare
        measure = compare.goal.measure
        half = margin(compare.goal.precision, self.level(measure)) or self.matters / 2
        needed = [self._wanted(rival, measure, half) for rival in self.rivals]
        return max([compare.pilot, *needed])

    def _wanted(self, rival: str, measure: str, half: float) -> int:
        if self.shared or half <= 0:
            means = self.means(rival, measure)
            return stein_worlds(means, half) if half > 0 and any(means) else self.count
        rows = self.differences(rival, measure)
        n, scale = sum(row["n"] for row in rows), scale_of(measure)
        mean = sum(row["total"] for row in rows) / n / scale
        differ, least = sum(row["nonzero"] for row in rows), DIFFERENCES_LEAST_MONEY
        if not differ:
            return self.count
        variance = max(sum(row["squares"] for row in rows) / n / scale**2 - mean * mean, 0.0)
        narrow = math.ceil(normal_quantile(0.95) ** 2 * variance / half**2 / self.plan.customers)
        return max(narrow, math.ceil(self.count * least / differ) if measure in MONEY else narrow)

    @property
    def matters(self) -> float:
        goal = self.loaded.scenario.compare.goal
        return margin(goal.matters, self.level(goal.measure)) or 0.0

    def early(self) -> bool:
        """Whether every rival's verdict has fallen (or never will, within the limit)."""
        measure, limit = self.loaded.scenario.compare.goal.measure, self.loaded.scenario.compare.worlds
        confidence = shared_confidence(len(self.rivals))
        return all(
            early_stop(self.means(rival, measure), self.matters, limit, confidence) is not None for rival in self.rivals
        )


def margin(text: str | None, base: float) -> float | None:
    """`1%` of a level, or an amount in the measure's unit."""
    match = MARGIN.fullmatch(text or "")
    if match is None:
        return None
    return abs(base) * float(match[1]) / 100 if match[2] else float(match[1])


def play(loaded: LoadedScenario, plan: WorldPlan, study: Study, early: bool, tell: Tell) -> tuple[Worlds, int, str]:
    """The worlds, how many it would take, and why it stopped."""
    compare = loaded.scenario.compare
    worlds = Worlds(loaded, plan)

    def more(until: int, title: str) -> None:
        tasks = [(0, FIRST_WORLD + number) for number in range(worlds.count, until)]
        with tell(title) as progress:
            worlds.add(study.play(tasks, progress))

    more(compare.pilot, f"{compare.pilot} pilot worlds")
    if not worlds.rivals:
        more(compare.worlds, f"{compare.worlds} worlds")
        return worlds, worlds.count, "the number of worlds the scenario asks for was reached"
    if early:
        while not worlds.early() and worlds.count < compare.worlds:
            more(min(worlds.count + LOOK_EVERY, compare.worlds), f"world {worlds.count + 1} and on")
        reached = worlds.count < compare.worlds
        return worlds, worlds.count, "the verdict was clear" if reached else "the most worlds allowed were played"
    wanted = worlds.wanted()
    until = min(wanted, compare.worlds)
    if until > worlds.count:
        more(until, f"worlds {worlds.count + 1} to {until}")
    why = "the interval is as narrow as was asked for"
    return worlds, wanted, why if wanted <= compare.worlds else "the most worlds allowed were played"


def play_draws(draws: Sequence[Draw], study: Study, tell: Tell) -> list[Drawn]:
    """Each draw in one of a few worlds, and those worlds as they are assumed to be."""
    worlds = [FIRST_DRAW + number for number in range(min(DRAW_WORLDS, len(draws)))]
    tasks = [(2 + place, worlds[place % len(worlds)]) for place in range(len(draws))]
    with tell(f"{len(draws)} assumption sets") as progress:
        found = study.play([*((1, world) for world in worlds), *tasks], progress)
    return [Drawn(draw, found[task], found[1, task[1]]) for draw, task in zip(draws, tasks, strict=True)]


# --- the whole --------------------------------------------------------------------------------------------------------
def compare(loaded: LoadedScenario, rivals: Sequence[Rival], options: CompareOptions, tell: Tell) -> Comparison:
    """Play, judge, write the folder with its reports. rivals: the reference first."""
    plan = plan_worlds(loaded, rivals)
    warm_up(plan.run_plan(plan.branches[0], 0))
    began = time.perf_counter()
    sets = loaded.scenario.compare.assumption_sets if options.assumption_sets is None else options.assumption_sets
    small, draws = assumption_plans(plan, sets if len(rivals) > 1 else 0, DRAW_CUSTOMERS)
    cache = Cache(options.out / ".worlds" if options.cache else None)
    with Study([plan, small, *(draw.plan for draw in draws)], cache, options.workers, options.address) as study:
        worlds, wanted, why = play(loaded, plan, study, options.early, tell)
        drawn = play_draws(draws, study, tell) if draws else []
    manifest = manifest_of(loaded, rivals, plan, worlds, options)
    manifest |= {"worlds_wanted": wanted, "stopped": why, "assumption_sets": len(draws)}
    manifest["wall_s"] = round(time.perf_counter() - began, 3)
    texts = {f"{rival.name}.{name}": text for rival in rivals if rival.text for name, text in rival.files().items()}
    return published(loaded, worlds, drawn, manifest, loaded.texts | texts, options)


def tables_of(worlds: Worlds) -> dict[str, list[dict[str, Any]]]:
    """The rows of all worlds, table by table."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for replication in sorted(worlds.rows):
        for name, rows in with_world(worlds.rows[replication], replication).items():
            tables.setdefault(name, []).extend(rows)
    tables["few"] = [{**row, "difference": value} for row in tables["few"] for value in row["differences"]]
    return tables


def published(
    loaded: LoadedScenario,
    worlds: Worlds,
    drawn: Sequence[Drawn],
    manifest: dict[str, Any],
    inputs: dict[str, str],
    options: CompareOptions,
) -> Comparison:
    """Judge what was lived, and write the folder with tables, verdicts, expectations and reports."""
    kept: dict[str, Any] = {}

    def finish(folder: Path) -> None:
        with Database(folder) as database:
            rows, unit = judged_rivals(database, manifest, worlds.matters, manifest["early"])
            estimates = study_estimates(database, manifest)
            strict = study_estimates(database, manifest, EXPECTED_CONFIDENCE)
        manifest["unit"] = unit
        headline = {row["policy"]: row for row in rows if row["role"] == "goal"}
        assumptions, results = judged_draws(
            drawn, worlds.plan.own, manifest["goal"]["measure"], headline, worlds.matters
        )
        write_table(folder, "verdicts", rows)
        write_table(folder, "assumptions", assumptions)
        write_table(folder, "assumption_results", results)
        judged = [expectation.judge(strict) for expectation in map(Expectation.parse, loaded.scenario.compare.expect)]
        manifest["expectations"] = [vars(verdict) for verdict in judged]
        write_table(folder, "expectations", [{"number": n, **vars(v)} for n, v in enumerate(judged, 1)])
        write_manifest(folder, {**open_run(folder).manifest, **manifest})
        if options.report:
            render_comparison(folder, estimates)
        kept.update(estimates=estimates, verdicts=judged)

    options.out.mkdir(parents=True, exist_ok=True)
    folder = write_comparison(options.out, manifest, tables_of(worlds), inputs, finish)
    return Comparison(folder, open_run(folder).manifest, kept["estimates"], kept["verdicts"])


def manifest_of(
    loaded: LoadedScenario, rivals: Sequence[Rival], plan: WorldPlan, worlds: Worlds, options: CompareOptions
) -> dict[str, Any]:
    scenario, reference = loaded.scenario, rivals[0]
    goal = scenario.compare.goal
    digest = hashlib.blake2b(digest_size=16)
    for replication in sorted(worlds.rows):
        for life in worlds.rows[replication]["lives"]:
            digest.update(f"{replication} {life['policy']} {life['digest']}\n".encode())
    return {
        "run_id": new_run_id(f"compare-{scenario.scenario}", options.out),
        "kind": KIND,
        "scenario": scenario.scenario,
        "says": scenario.says,
        "reference": reference.name,
        "rivals": [rival.name for rival in rivals[1:]],
        "policies": [
            {"name": rival.name, "source": str(rival.source), "without": list(rival.paused)} for rival in rivals
        ],
        "truth": list(plan.truth),
        "goals": {name: campaign.goal.event for name, campaign in reference.policy.campaigns.items()},
        "goal": {"measure": goal.measure, "matters": goal.matters, "precision": goal.precision},
        "guardrails": {name: share / 1e6 for name, share in scenario.compare.guardrails.items()},
        "worlds": worlds.count,
        "pilot": scenario.compare.pilot,
        "worlds_max": scenario.compare.worlds,
        "worlds_wanted": 0,
        "stopped": "",
        "early": options.early,
        "customers": plan.customers,
        "customer_base": scenario.customer_base or plan.customers,
        "start": scenario.start.isoformat(),
        "before": scenario.before,
        "days": scenario.days,
        "after": scenario.after,
        "seed": scenario.seed,
        "digest": digest.hexdigest(),
        "segments": [*loaded.baseline.segments, "other"],
        "campaigns": campaign_blocks(reference.policy),
        "population": loaded.population.population,
        "calibration": "not calibrated" if loaded.population.calibration == "none" else loaded.population.calibration,
        "worth": worth_of(loaded),
        "known_case": scenario.known_case,
        "warnings": doubts(loaded.population, reference.policy),
        "command": shlex.join(options.command),
        "wall_s": 0.0,
        "assumption_sets": 0,
        "expectations": [],
        "unit": "customer",
        "primary": scenario.primary,
        "provider": reference.policy.provider,
    }
