"""Small worlds for the tests of the simulation: a busy policy, an eager population, and one run as waves or slowly."""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from engine.policy.calendar_days import wall_ms
from engine.policy.document import Policy
from engine.policy.registry import Registry
from engine.policy.tables import compile_policy
from engine.policy.yaml_source import load, load_text
from engine.records import DAY_MS, Bulletin
from engine.reference import Reference
from scenarios.build import model_of
from scenarios.document import Population
from scenarios.explain import as_records
from scenarios.load import Options, load_scenario, plan_of
from scenarios.run import RunOptions, calendar_of, live
from scenarios.worker import CohortWorker, RunPlan, WorkerResult
from sim.cohort import Cohort, Spans
from sim.slow import SlowWorld
from sim.world import World

LIBRARY = Path(__file__).resolve().parents[2] / "scenarios" / "library"
FIRST_USE = LIBRARY / "first_use.scenario.yaml"

# Everything that the simulation reacts to in one policy: two dwells, both kinds of holdout, arms, snooze, mute,
# messages at log-in, payment, bill, top-up, registration and on two moments.
BUSY = """
policy: busy
time_zone: Asia/Shanghai
provider: Example Bank
names:
  pages: [home, balance, bill, offers, card, pay, payment_confirm, receipt]
  cities: [beijing, shanghai, guangzhou, chengdu, wuhan, xian]
  tiers: [standard, gold, platinum]
  tags: [opinion_leader, price_sensitive]
  topics: [first_use, top_up, bill, safety, points, offers]
segments:
  new: not card_used
  active: purchases_13w >= 1
moments:
  monday: {weekly: monday, at: "10:00"}
  midday: {weekly: thursday, at: "12:30"}
fatigue:
  caps: [{most: 8, per: day}]
  quiet_hours: {from: "23:00", until: "06:00"}
  back_off: {closes: 3, rest: 1d, repeat: 2, rest_max: 4d}
universal_holdout: {share: 5%}
campaigns:
  first_use:
    purpose: activation
    topic: first_use
    channel: popup
    audience: card_active and not card_used
    trigger: {on: page_view, pages: [home], dwell: 5s}
    goal: {event: first_use, window: 14d}
    priority: 5
    value: 30.00
    reward: 20.00
    response: {shown: 1.2%, otherwise: 0.5%}
    frequency: {cool_down: 4h}
    remind_after: 1d
    holdout: {share: 40%, sees: next_best}
    arms:
      - {name: red, share: 50%, creative: {style: overlay, colour: red, text: "20 off", ad_label: true, close: &close {visible: true, taps: 1, countdown: 0s}, remind_later: true, mute: true}}
      - {name: orange, share: 50%, creative: {style: full_screen, colour: orange, text: "20 off", ad_label: true, close: *close, remind_later: true}}
  offers:
    purpose: transaction
    topic: offers
    channel: popup
    trigger: {on: page_view, dwell: 9s}
    goal: {event: payment, window: 7d}
    value: 5.00
    reward: 10.00
    response: {shown: 6%, otherwise: 5%}
    frequency: {cool_down: 2h}
    remind_after: 6h
    holdout: {share: 30%, sees: next_best}
    creative: {style: banner, text: "10 off", ad_label: true, close: *close, remind_later: true, mute: true}
  welcome:
    purpose: education
    topic: safety
    channel: popup
    trigger: {on: login}
    goal: {event: feature_used, window: 1d}
    value: 1.00
    response: {shown: 6%, otherwise: 1%}
    frequency: {cool_down: 1d}
    holdout: {share: 20%, sees: nothing}
    creative: {style: plain, text: "Lock your card when you travel", ad_label: true, close: *close, mute: true}
  plain_offer:
    purpose: transaction
    topic: points
    channel: popup
    trigger: {on: page_view, pages: [home, offers], dwell: 5s}
    goal: {event: payment, window: 7d}
    value: 2.00
    response: {shown: 6%, otherwise: 5%}
    creative: {style: plain, text: "Points", ad_label: true, close: *close, remind_later: true}
    remind_after: 2h
  thanks:
    purpose: transaction
    topic: points
    channel: push
    trigger: {on: payment}
    goal: {event: payment, window: 7d}
    value: 2.00
    response: {shown: 6%, otherwise: 5%}
    creative: {style: plain, text: "Thank you. Reply TD to stop.", opt_out: "Settings > Messages"}
  topped_up:
    purpose: transaction
    topic: offers
    channel: popup
    trigger: {on: top_up}
    goal: {event: payment, window: 7d}
    value: 2.00
    response: {shown: 6%, otherwise: 5%}
    creative: {style: plain, text: "Topped up", ad_label: true, close: *close}
  low_balance:
    purpose: service
    topic: top_up
    channel: popup
    trigger: {on: balance_query}
    goal: {event: top_up, window: 1d}
    value: 1.00
    response: {shown: 6%, otherwise: 5%}
    creative: {style: plain, text: "Top up", close: *close}
  hello:
    purpose: transaction
    topic: offers
    channel: popup
    trigger: {on: register}
    goal: {event: payment, window: 7d}
    value: 2.00
    response: {shown: 6%, otherwise: 5%}
    creative: {style: plain, text: "Hello", ad_label: true, close: *close}
  bill_ready:
    purpose: service
    topic: bill
    channel: push
    trigger: {on: moment, moment: monday}
    goal: {event: bill_viewed, window: 3d}
    value: 0.20
    response: {shown: 8%, otherwise: 5%}
    creative: {style: plain, text: "Your bill. Reply TD to stop.", opt_out: "Settings > Messages"}
  points:
    purpose: transaction
    topic: points
    channel: push
    trigger: {on: moment, moment: midday}
    goal: {event: payment, window: 3d}
    value: 0.20
    response: {shown: 8%, otherwise: 5%}
    creative: {style: plain, text: "Points. Reply TD to stop.", opt_out: "Settings > Messages"}
"""


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
    """Customers who come often, click often, run out of balance and are young enough as customers to join during the run."""
    people = population(
        visits__per_day=1.2, customers__joined_within=20 * DAY_MS, cards__prepaid=500_000, cards__balance=20_000,
        cards__first_use_per_day=0.05, purchases__r=2.0, annoyance__leaving=0.01,
    )  # fmt: skip
    topics = {
        name: topic.model_copy(update={"clicks": 350_000, "reminds": 150_000, "acts": 700_000, "after": 60_000, "revives": 500_000})
        for name, topic in people.topics.items()
    }
    return people.model_copy(update={"topics": topics})


def busy_policy() -> Policy:
    return load_text(BUSY, "busy.yaml", Policy)


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
    edges = [wall_ms(start + timedelta(days=n), 0, zone) for n in (-before, 0, days, days + after)]
    stopped = tuple(compiled.registry.slots[name] for name in paused)
    return RunPlan(people, compiled, compiled, stopped, stopped, Spans(*edges, DAY_MS), seed)


def busy_plan(before: int = 4, days: int = 8, after: int = 4, **changes: Any) -> RunPlan:
    return plan_for(busy_policy(), eager(), before, days, after, paused=("first_use", "points"), **changes)


def library_plan(before: int, days: int, after: int, seed: int = 1) -> RunPlan:
    """The library's first_use over so many days."""
    return plan_of(load_scenario(FIRST_USE, Options(days=days, before=before, after=after, seed=seed)))


def stepped(plan: RunPlan, step_ms: int) -> RunPlan:
    return replace(plan, spans=replace(plan.spans, step=step_ms))


def inline(plan: RunPlan, customers: int, shards: int = 1) -> list[WorkerResult]:
    return live(plan, customers, RunOptions(shards=shards, inline=True), lambda share: None)


# --- one run, twice ---------------------------------------------------------------------------------------------------
class Keeper(CohortWorker):
    """A worker that keeps its ghosts as well."""

    def __init__(self, plan: RunPlan, first: int, count: int) -> None:
        self.ghosts: list[np.ndarray] = []
        super().__init__(replace(plan, record=True), first, count)

    def decide(self, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        decisions, ghosts = super().decide(events)
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

    def decide(self, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def by_customer(rows: list[np.ndarray]) -> np.ndarray:
    """All rows, each customer's in order. Ghosts of one event keep theirs."""
    table = np.concatenate(rows)
    return table[np.lexsort((np.arange(len(table)), table["sequence"], table["customer"]))]


def sums(results: list[WorkerResult]) -> dict[str, np.ndarray]:
    """Statistics and tallies of all workers together."""
    tables = [
        result.statistics | {f"{when}.{name}": table for when in ("before", "measured") for name, table in getattr(result, when)._asdict().items()}
        for result in results
    ]  # fmt: skip
    return {name: np.sum([table[name] for table in tables], axis=0) for name in tables[0]}
