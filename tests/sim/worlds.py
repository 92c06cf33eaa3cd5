"""Small worlds for the tests of the simulation: a busy policy, an eager population, and one run as waves or slowly."""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from engine.coupon_records import Inbox
from engine.policy.calendar_days import wall_ms
from engine.policy.document import Policy
from engine.policy.registry import Registry
from engine.policy.tables import compile_policy
from engine.policy.yaml_source import load
from engine.records import DAY_MS, Bulletin, EventKind, Reason
from engine.reference import Reference
from scenarios.build import model_of
from scenarios.calendar import calendar_of
from scenarios.explain import as_records
from scenarios.load import Options, load_scenario, plan_of
from scenarios.population_document import Population
from scenarios.recording import recording_of
from scenarios.run import RunOptions, live
from scenarios.worker import CohortWorker, RunPlan, WorkerResult
from sim.cohort import Cohort, Spans
from sim.slow import SlowWorld
from sim.waves import waves_of
from sim.world import World

LIBRARY = Path(__file__).resolve().parents[2] / "scenarios" / "library"
FIRST_USE = LIBRARY / "first_use.scenario.yaml"
BUSY = Path(__file__).with_name("busy.policy.yaml")


def population(**changes: Any) -> Population:
    """The library's bank card population; `block__field=value` changes one field of a block, `field=value` its own."""
    found = load(LIBRARY / "populations" / "bank_card.yaml", Population)
    for path, value in changes.items():
        block, _, name = path.partition("__")
        if name:
            value = getattr(found, block).model_copy(update={name: value})
        found = found.model_copy(update={block: value})
    return found


def eager() -> Population:
    """Customers who come often, click often and run out of balance; a fifth of them join during a run of some days."""
    people = population(
        visits__per_day=1.2, customers__joined_within=20 * DAY_MS, cards__prepaid=500_000, cards__balance=20_000,
        cards__first_use_per_day=0.05, cards__unbound=100_000, purchases__r=2.0, annoyance__leaving=0.01,
    )  # fmt: skip
    keen = {"clicks": 350_000, "reminds": 150_000, "acts": 700_000, "after": 60_000, "revives": 500_000}
    topics = {name: topic.model_copy(update=keen) for name, topic in people.topics.items()}
    return people.model_copy(update={"topics": topics})


def busy_policy() -> Policy:
    return load(BUSY, Policy)


def plan_for(
    policy: Policy,
    people: Population,
    before: int,
    days: int,
    after: int,
    *,
    start: date = date(2026, 9, 7),
    paused: tuple[str, ...] = (),
    slots: dict[str, int] | None = None,
    seed: int = 1,
) -> RunPlan:
    """A run of one policy, with some of its campaigns paused before launch and after the campaign."""
    zone = ZoneInfo(policy.time_zone)
    first, last = start - timedelta(days=before + 1), start + timedelta(days=days + after + 1)
    compiled = compile_policy(policy, first, last, 0, Registry(dict(slots or {})))
    edges = (-before, 0, days, days + after)
    begin, launch, stop, end = (wall_ms(start + timedelta(days=n), 0, zone) for n in edges)
    stopped = tuple(compiled.registry.slots[name] for name in paused)
    return RunPlan(people, compiled, compiled, stopped, stopped, Spans(begin, launch, stop, end, DAY_MS), seed)


def busy_plan(before: int = 4, days: int = 8, after: int = 4, **changes: Any) -> RunPlan:
    return plan_for(busy_policy(), eager(), before, days, after, paused=("first_use", "points"), **changes)


def library_plan(before: int, days: int, after: int, seed: int = 1) -> RunPlan:
    """The library's first_use over so many days."""
    return plan_of(load_scenario(FIRST_USE, Options(days=days, before=before, after=after, seed=seed)))


def stepped(plan: RunPlan, step_ms: int) -> RunPlan:
    return replace(plan, spans=replace(plan.spans, step=step_ms))


def inline(plan: RunPlan, customers: int, shards: int = 1) -> list[WorkerResult]:
    return live(plan, customers, RunOptions(shards=shards, inline=True), lambda share: None).results


# --- one run, twice ---------------------------------------------------------------------------------------------------
class Keeper(CohortWorker):
    """A worker that keeps its ghosts as well."""

    def __init__(self, plan: RunPlan, first: int, count: int) -> None:
        self.ghosts: list[np.ndarray] = []
        super().__init__(replace(plan, record=True), first, count)

    def _choose_play(self) -> None:
        self.play = waves_of(self.decide)

    def decide(self, events: np.ndarray, inbox: Inbox | None = None) -> tuple[np.ndarray, np.ndarray]:
        decisions, ghosts = super().decide(events, inbox)
        self.ghosts.append(ghosts.copy())
        return decisions, ghosts


def waves(plan: RunPlan, first: int, count: int) -> Keeper:
    """Live a run in waves against the compiled engine."""
    worker = Keeper(plan, first, count)
    World(worker, plan.spans, calendar_of(plan), lambda t: None).run()
    return worker


@dataclass
class Slow:
    """A run lived customer by customer against the reference."""

    cohort: Cohort
    engines: list[Reference]  # before launch, since launch
    events: list[np.ndarray] = field(default_factory=list)
    decisions: list[np.ndarray] = field(default_factory=list)
    ghosts: list[np.ndarray] = field(default_factory=list)
    bulletin: Bulletin | None = None

    def decide(self, events: np.ndarray, inbox: Inbox | None = None) -> tuple[np.ndarray, np.ndarray]:
        answer = self.engines[-1].decide(events[0], self.bulletin)
        decisions, ghosts = as_records([answer.decision]), as_records(answer.ghosts)
        decisions["late"] = answer.late
        self.events.append(events.copy())
        self.decisions.append(decisions)
        self.ghosts.append(ghosts)
        return decisions, ghosts

    def pause(self, slots: int, paused: tuple[int, ...]) -> None:
        ones = np.ones(slots, np.int8)
        self.bulletin = Bulletin(ones.copy(), ones, ones, np.zeros(slots, np.int64))
        self.bulletin.open[list(paused)] = 0


def slowly(plan: RunPlan, first: int, count: int) -> Slow:
    """Live a run one event at a time."""
    stream = (plan.seed, plan.replication)
    size, slots = len(plan.policy.tables.campaigns), dict(plan.policy.registry.slots)
    cohort = Cohort(first, count, model_of(plan.population, plan.baseline, plan.spans, stream), plan.spans)
    run = Slow(cohort, [Reference(plan.baseline.policy, slots, plan.replication)])
    for row in range(count):
        run.engines[0].add(first + row, cohort.profiles[row])
    run.pause(size, plan.paused_before)
    world = SlowWorld(cohort, run.decide, calendar_of(plan).moments)
    world.advance(plan.spans.launch)
    run.engines.append(Reference(plan.policy.policy, slots, plan.replication))
    run.engines[1].customers = run.engines[0].customers
    run.pause(size, ())
    cohort.adopt(model_of(plan.population, plan.policy, plan.spans, stream))
    cohort.launch()
    world.advance(plan.spans.campaign_end)
    run.pause(size, plan.paused_after)
    world.advance(plan.spans.end)
    return run


class Quiet(Keeper):
    """A worker of a world in which nothing is shown from launch on."""

    def launch(self) -> None:
        super().launch()
        self.shard.pause(self.plan.policy.registry.slots.values())


def shifted_lives(plan: RunPlan, quiet: RunPlan, customers: int) -> tuple[list[int], dict[str, int]]:
    """Customers whose life differs, with and without messages, before the first message of the campaign reaches them.

    Also how many no message reached, how many of those were held out, and how many lives a message changed.
    """
    loud, still = waves(plan, 0, customers), Quiet(quiet, 0, customers)
    World(still, quiet.spans, calendar_of(quiet), lambda t: None).run()
    ours, theirs = by_customer(recording_of(loud.recorder).events), by_customer(recording_of(still.recorder).events)
    decisions, ghosts = by_customer(recording_of(loud.recorder).decisions), by_customer(loud.ghosts)
    shown = decisions[(decisions["reason"] == Reason.SHOWN) & (decisions["time_ms"] >= plan.spans.launch)]
    shifted, seen = [], {"untouched": 0, "held_out": 0, "changed": 0}
    for customer in range(customers):
        first = shown["time_ms"][shown["customer"] == customer].min(initial=plan.spans.end)
        mine, other = ours[ours["customer"] == customer], theirs[theirs["customer"] == customer]
        if not np.array_equal(mine[mine["time_ms"] <= first], other[other["time_ms"] <= first]):
            shifted.append(customer)
        untouched = bool(first == plan.spans.end)
        seen["untouched"] += untouched
        seen["held_out"] += untouched and bool((ghosts["customer"] == customer).any())
        seen["changed"] += not untouched and not np.array_equal(mine, other)
    return shifted, seen


def induced_payments(customers: int, *campaigns: str) -> set[tuple[int, int, int]]:
    """(customer, time, amount) of what pushes on moments made customers pay, under these campaigns alone."""
    policy, people = busy_policy(), eager()
    none = {name: 0.0 for name, value in people.annoyance if isinstance(value, float)}
    people = people.model_copy(update={"wear_out": 0.0, "annoyance": people.annoyance.model_copy(update=none)})
    some = policy.model_copy(update={"campaigns": {name: policy.campaigns[name] for name in campaigns}})
    plan = plan_for(some, people, 0, 14, 0, slots=busy_plan().policy.registry.slots)
    recording = recording_of(waves(plan, 0, customers).recorder)
    events = np.concatenate(recording.events)
    receipt = policy.names.pages.index("receipt")
    paid = events[(events["kind"] == EventKind.PAYMENT) & (events["page"] != receipt)]
    return set(paid[["customer", "time_ms", "amount"]].tolist())


def by_customer(rows: list[np.ndarray]) -> np.ndarray:
    """All rows, each customer's in order. Ghosts of one event keep theirs."""
    table = np.concatenate(rows)
    return table[np.lexsort((np.arange(len(table)), table["sequence"], table["customer"]))]


def sums(results: list[WorkerResult]) -> dict[str, np.ndarray]:
    """Statistics and tallies of all workers together."""
    tables = [result.statistics | tallies_of(result) for result in results]
    return {name: np.sum([table[name] for table in tables], axis=0) for name in tables[0]}


def tallies_of(result: WorkerResult) -> dict[str, np.ndarray]:
    phases = {"before": result.before, "measured": result.measured}
    return {f"{phase}.{name}": table for phase, tallies in phases.items() for name, table in tallies._asdict().items()}
