"""Runs a scenario: plan, workers, world, results folder, report."""

import shlex
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.compiled import OF_RUNS, is_compiled, mark_compiled
from engine.host.ledger import LedgerHost
from engine.host.ray_cluster import cluster
from engine.host.shard import combined
from engine.policy.document import Policy
from engine.records import DAY_MS, SHARE_ONE
from results.checks import check_coupons, check_waterfall
from results.metrics import metrics
from results.query import Database
from results.report import render
from results.statistics import Estimate
from results.store import Run, RunWriter, open_run, state, write_run
from results.tables import REQUIRED, SCHEMAS
from scenarios.adversary_worker import with_adversaries
from scenarios.breaker_outputs import MinuteBook, breaker_tables
from scenarios.build import doubts
from scenarios.calendar import calendar_of
from scenarios.coupon_outputs import CouponOutputs, coupon_blocks
from scenarios.desk_outputs import desk_tables
from scenarios.diary import Diary
from scenarios.expect import CONFIDENCE, Verdict
from scenarios.follow_ups import follow_ups
from scenarios.fraud_outputs import FraudOutputs, who_is_who
from scenarios.help_desk import HelpDesk, help_desk, helped
from scenarios.incident_outputs import incidents, traffic
from scenarios.load import LoadedScenario, Options, plan_of
from scenarios.lone_world import LoneWorld
from scenarios.outputs import ONLY_ARM, Days, Outputs
from scenarios.recording import SettlementLog, write_recording
from scenarios.reviews import judged_reviews, review_blocks
from scenarios.sampling import Sampled, Sampling
from scenarios.settling import Settling
from scenarios.team import Team
from scenarios.worker import RunPlan, WorkerResult
from sim.adversaries.underworld import Takings
from sim.world import World

INLINE_BELOW = 500_000  # customers up to which one process is quicker than Ray
SHARDS_DEFAULT = 2
WARM_UP_CUSTOMERS = 64
Progress = Callable[[float], None]  # share of the run that is done


@dataclass(frozen=True)
class RunOptions:
    """How to run, as opposed to what."""

    shards: int | None = None
    inline: bool = False
    out: Path = Path("runs")
    record: bool = False
    address: str | None = None
    sampling: Sampling | None = None  # whose decisions are handed over
    scenario: Options = field(default_factory=Options)
    report: bool = True  # without: estimates with the confidence of expectations

    def on_ray(self, customers: int) -> bool:
        if self.inline:
            return False
        return self.shards is not None or customers >= INLINE_BELOW

    def shard_count(self, customers: int) -> int:
        return self.shards or (SHARDS_DEFAULT if self.on_ray(customers) else 1)


@dataclass(frozen=True)
class RunResult:
    """A finished run: where it is, what it found."""

    run: Run
    estimates: dict[str, Estimate]
    verdicts: list[Verdict]
    sampled: list[Sampled]  # of each worker, where decisions are sampled

    @property
    def folder(self) -> Path:
        return self.run.folder

    @property
    def missed(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.missed]


def warm_up(plan: RunPlan) -> None:
    """Compile everything in this process before any worker starts: a few customers live through the same run."""
    if is_compiled(OF_RUNS):
        return
    world = LoneWorld(plan, WARM_UP_CUSTOMERS)
    world.run()
    worker = world.worker
    worker.result()
    worker.so_far()
    worker.shard.segments(plan.spans.launch)
    worker.shard.assignment(0)
    worker.cohort.reached(0)
    mark_compiled(OF_RUNS)


@dataclass(frozen=True)
class Lived:
    """What each worker counted, and the Ledger at the end where customers share anything."""

    results: list[WorkerResult]
    ledger: LedgerHost | None = None
    diary: Diary | None = None
    log: SettlementLog | None = None
    adversaries: WorkerResult | None = None
    takings: list[Takings] = field(default_factory=list)
    minutes: MinuteBook | None = None
    desk: HelpDesk | None = None
    missing: dict[int, int] = field(default_factory=dict)  # pieces, by number of the incident

    @property
    def everybody(self) -> list[WorkerResult]:
        """The workers of the customers and, where there are any, the adversaries'."""
        return [*self.results, *([self.adversaries] if self.adversaries else [])]

    @property
    def digest(self) -> str:
        return combined([result.digest for result in self.everybody] + ([self.ledger.digest()] if self.ledger else []))


def live(plan: RunPlan, customers: int, options: RunOptions, progress: Progress) -> Lived:
    """Live through a run."""
    on_ray, shards = options.on_ray(customers), options.shard_count(customers)
    with cluster(options.address) if on_ray else nullcontext():
        team = Team(plan, customers, shards, on_ray)
        everybody, adversaries = with_adversaries(team, plan, customers)
        bounds = [*team.bounds, *([(customers, adversaries.count)] if adversaries else [])]
        log = SettlementLog() if plan.record else None
        minutes = MinuteBook(plan.spans.launch)
        desk = help_desk(plan, customers)
        settled = Settling(everybody, plan, bounds, Diary(plan), log, minutes, desk) if plan.shares else None
        try:
            driven = settled or helped(team, desk)
            world = World(driven, plan.spans, calendar_of(plan), lambda t: progress(done(plan, t)), store=settled)
            world.run()
            if settled is None:
                return Lived(team.results(), desk=desk)
            settled.finish()
            results = team.results()
            schemers = adversaries.result(results[0]) if adversaries else None
            takings = adversaries.takings() if adversaries else []
            missing = world.stock_room.missing if world.stock_room else {}
            return Lived(results, settled.ledger, settled.diary, log, schemers, takings, minutes, desk, missing)
        finally:
            team.close()


def sampled_of(lived: Lived) -> list[Sampled]:
    return [result.sampled for result in lived.everybody if result.sampled is not None]


def done(plan: RunPlan, t: int) -> float:
    return (t - plan.spans.start) / (plan.spans.end - plan.spans.start)


def repeat_command(loaded: LoadedScenario, options: RunOptions) -> str:
    """The command that repeats this run."""
    scenario, given = loaded.scenario, options.scenario
    words = ["windtunnel", "run", str(loaded.path), "--seed", str(scenario.seed)]
    for name in ("customers", "days", "before", "after", "policy"):
        value = getattr(given, name)
        if value is not None:
            words += [f"--{name}", str(value)]
    for name, text in given.set.items():
        words += ["--set", f"{name}={text}"]
    if options.shards is not None:
        words += ["--shards", str(options.shards)]
    if options.inline:
        words.append("--inline")
    if options.record:
        words.append("--record")
    return shlex.join(words)


def new_run_id(scenario: str, out: Path) -> str:
    stamp = f"{scenario}-{datetime.now():%Y%m%d-%H%M%S}"
    run_id, n = stamp, 1
    while (out / run_id).exists():
        n += 1
        run_id = f"{stamp}-{n}"
    return run_id


def campaign_blocks(policy: Policy) -> list[dict[str, Any]]:
    blocks = []
    for name, campaign in policy.campaigns.items():
        arms = [(arm.name, arm.share, arm.creative) for arm in campaign.arms or []]
        if campaign.creative is not None:
            arms = [(ONLY_ARM, SHARE_ONE, campaign.creative)]
        blocks.append(
            {
                "name": name,
                "purpose": campaign.purpose,
                "topic": campaign.topic,
                "channel": campaign.channel,
                "goal": campaign.goal.event,
                "goal_window_ms": campaign.goal.window,
                "value": campaign.value,
                "reward": campaign.reward,
                "coupon": campaign.coupon or "",
                "cost": campaign.cost,
                "holdout_share": campaign.holdout.share if campaign.holdout else 0,
                "holdout_sees": campaign.holdout.sees if campaign.holdout else "nothing",
                "arms": [
                    {"name": arm, "share": share, "style": creative.style, "colour": creative.colour or ""}
                    for arm, share, creative in arms
                ],
            }
        )
    return blocks


def manifest_of(
    loaded: LoadedScenario, plan: RunPlan, options: RunOptions, lived: Lived, wall_s: float
) -> dict[str, Any]:
    scenario, policy = loaded.scenario, loaded.policy
    holdout = policy.universal_holdout
    return {
        "run_id": new_run_id(scenario.scenario, options.out),
        "scenario": scenario.scenario,
        "says": scenario.says,
        "policy": policy.policy,
        "baseline": loaded.baseline.policy,
        "population": loaded.population.population,
        "seed": scenario.seed,
        "replication": plan.replication,
        "digest": lived.digest,
        "customers": scenario.customers,
        "customer_base": scenario.customer_base or scenario.customers,
        "start": scenario.start.isoformat(),
        "days": scenario.days,
        "before": scenario.before,
        "after": scenario.after,
        "zone": policy.time_zone,
        "segments": [*policy.segments, "other"],
        "campaigns": campaign_blocks(policy),
        "universal_holdout_share": holdout.share if holdout else 0,
        "coupons": coupon_blocks(policy),
        "budgets": [{"name": name, "amount": budget.amount} for name, budget in policy.budgets.items()],
        "breakers": list(policy.breakers),
        "fraud": policy.fraud.is_on,
        "support": loaded.population.support is not None,
        "reviews": review_blocks(scenario),
        **who_is_who(loaded.population, policy),
        "worth": worth_of(loaded),
        "wall_s": round(wall_s, 3),
        "events": sum(int(result.statistics["events"][0]) for result in lived.everybody),
        "bytes_per_customer": round(max((result.bytes_per_customer for result in lived.results), default=0.0), 1),
        "command": repeat_command(loaded, options),
        "set": dict(options.scenario.set),
        "known_case": scenario.known_case,
        "calibration": "not calibrated" if loaded.population.calibration == "none" else loaded.population.calibration,
        "shards": len(lived.results),
        "inline": not options.on_ray(scenario.customers),
        "warnings": doubts(loaded.population, policy),
        "expectations": [],
        "primary": scenario.primary,
    }


def worth_of(loaded: LoadedScenario) -> dict[str, float]:
    """What customers are worth: margin as a share, a complaint in yuan, the horizon in days."""
    worth = loaded.population.worth
    return {
        "margin": worth.margin / SHARE_ONE,
        "complaint": worth.complaint / 100,
        "horizon_days": worth.horizon / DAY_MS,
    }


def review(loaded: LoadedScenario, run: Run) -> None:
    """State which goals of the reviews were met, and what the others call for, in a folder not yet published."""
    with Database(run.folder) as database:
        goals = judged_reviews(database, run.manifest)
        plan = follow_ups(loaded, database, run.manifest, goals)
    state(run.folder, "review_goals", goals)
    state(run.folder, "follow_ups", plan)


def keep_failure(loaded: LoadedScenario, plan: RunPlan, options: RunOptions, error: Exception) -> None:
    """A run that broke down is data too: its inputs, its command and what went wrong, in a folder of its own."""
    manifest = manifest_of(loaded, plan, options, Lived([]), 0.0)
    sentence = next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "no message")
    manifest |= {"run_id": f"{manifest['run_id']}-failed", "failed": f"{type(error).__name__}: {sentence}"}
    tables: dict[str, dict[str, Any]] = {name: {column: [] for column in SCHEMAS[name].names} for name in REQUIRED}
    tables["failures"] = {"kind": ["run"], "where": ["workers"], "sentence": [manifest["failed"]], "count": [1]}
    write_run(options.out, manifest, tables, loaded.texts)


def run_scenario(loaded: LoadedScenario, options: RunOptions, progress: Progress = lambda share: None) -> RunResult:
    """Run, write the folder with its report, judge the expectations.

    Raises AssertionError where an invariant breaks (the waterfall does not add up); then nothing is published. Raises
    what a worker raised, after keeping it in a folder `…-failed`.
    """
    plan = plan_of(loaded, record=options.record, sampling=options.sampling)
    warm_up(plan)
    began = time.perf_counter()
    try:
        lived = live(plan, loaded.scenario.customers, options, progress)
    except Exception as error:
        keep_failure(loaded, plan, options, error)
        raise
    scenario = loaded.scenario
    days = Days(plan.policy, scenario.start, scenario.before, scenario.days, scenario.after)
    outputs = Outputs(lived.everybody, plan.baseline, plan.policy, days)
    tables = outputs.tables() | CouponOutputs(plan, days, outputs.tallies, lived.ledger, lived.diary).tables()
    fraud = FraudOutputs(plan.policy, outputs.statistics, outputs.tallies[1], lived.ledger, lived.takings)
    tables |= fraud.tables()
    tables |= breaker_tables(plan, lived.ledger, lived.minutes) | desk_tables(plan, lived.desk)
    tables |= {
        "incidents": incidents(plan, lived.missing),
        "traffic": traffic(plan, days, outputs.statistics["traffic"]),
    }
    manifest = manifest_of(loaded, plan, options, lived, time.perf_counter() - began)
    options.out.mkdir(parents=True, exist_ok=True)
    verdicts: list[Verdict] = []
    found: dict[str, Estimate] = {}

    def finish(folder: Path) -> None:
        run = open_run(folder)
        check_waterfall(run)
        check_coupons(run)
        review(loaded, run)
        strict = metrics(run, CONFIDENCE)
        verdicts.extend(expectation.judge(strict) for expectation in loaded.expectations)
        state(folder, "expectations", [vars(verdict) for verdict in verdicts])
        found.update(metrics(folder) if options.report else strict)
        if options.report:
            render(folder, found)

    with RunWriter(options.out, manifest["run_id"]) as writer:
        if options.record:
            write_recording(writer, [result.recorded for result in lived.everybody if result.recorded], lived.log)
        folder = writer.commit(manifest, tables, loaded.texts, finish)
    return RunResult(open_run(folder), found, verdicts, sampled_of(lived))
