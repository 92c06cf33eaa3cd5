"""Explains one customer of a run: lives the run again for that customer alone, with the reference engine.

Between settlements customers are independent, so one customer alone meets the very same decisions; the digest of the
decisions says so when the run was recorded.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from engine.records import DECISION, NONE, Channel, EventKind, Reason, records
from engine.reference import Answer, Reference
from scenarios.build import model_of
from scenarios.load import LoadedScenario, Options, load_scenario, plan_of
from scenarios.run import calendar_of
from scenarios.worker import RunPlan
from sim.cohort import Cohort
from sim.slow import SlowWorld


class Paused:
    """A bulletin in which some campaigns are paused."""

    def __init__(self, slots: int, paused: tuple[int, ...]) -> None:
        self.open = np.array([slot not in paused for slot in range(slots)], np.int8)
        self.in_stock = self.in_budget = np.ones(slots, np.int8)
        self.pacing_price = np.zeros(slots, np.int64)


class Narrator:
    """Decides by the reference and keeps what it said."""

    def __init__(self, engine: Reference, bulletin: Paused) -> None:
        self.engine, self.bulletin = engine, bulletin
        self.answers: list[Answer] = []

    def decide(self, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert len(events) == 1
        answer = self.engine.decide(events[0], self.bulletin)
        self.answers.append(answer)
        return as_records([answer.decision]), as_records(answer.ghosts)


def as_records(rows: list[dict[str, int]]) -> np.ndarray:
    table = records(len(rows), DECISION)
    for record, row in zip(table, rows, strict=True):
        for name, value in row.items():
            record[name] = value
    return table


def narrated(plan: RunPlan, customer: int, loaded: LoadedScenario) -> list[Answer]:
    """Every answer one customer got, in order."""
    stream = (plan.seed, plan.replication)
    size = len(plan.policy.tables.campaigns)
    cohort = Cohort(customer, 1, model_of(plan.population, plan.baseline, plan.spans, stream), plan.spans)
    slots = dict(plan.policy.registry.slots)

    def engine_of(policy: Any) -> Reference:
        engine = Reference(policy, {name: slots[name] for name in policy.campaigns}, plan.replication)
        return engine

    engine = engine_of(loaded.baseline)
    engine.add(customer, cohort.profiles[0])
    narrator = Narrator(engine, Paused(size, plan.paused_before))
    calendar = calendar_of(plan)
    slow = SlowWorld(cohort, narrator.decide, calendar.moments)
    slow.advance(plan.spans.launch)
    if loaded.baseline is not loaded.policy:
        tested = engine_of(loaded.policy)
        tested.customers = engine.customers
        narrator.engine = tested
    narrator.bulletin = Paused(size, ())
    cohort.adopt(model_of(plan.population, plan.policy, plan.spans, stream))
    cohort.launch()
    slow.advance(plan.spans.campaign_end)
    narrator.bulletin = Paused(size, plan.paused_after)
    slow.advance(plan.spans.end)
    return narrator.answers


def load_run(folder: Path) -> tuple[LoadedScenario, dict[str, Any]]:
    """The scenario of a run, from the copies in its folder, with the options it was run with."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    inputs = folder / "inputs"
    options = Options(*(manifest[name] for name in ("customers", "days", "before", "after", "seed")))
    return load_scenario(inputs / "scenario.yaml", options, inputs), manifest


def explanation(folder: Path, customer: int) -> dict[str, Any]:
    """Everything one customer met: each event that had candidates, with every candidate's reason."""
    from scenarios.commands import UsageError

    loaded, manifest = load_run(folder)
    if not 0 <= customer < manifest["customers"]:
        raise UsageError(f"--customer must be between 0 and {manifest['customers'] - 1} (got {customer})")
    plan = plan_of(loaded)
    answers = narrated(plan, customer, loaded)
    names = {slot: name for name, slot in plan.policy.registry.slots.items()}
    zone = ZoneInfo(loaded.policy.time_zone)
    return {
        "run_id": manifest["run_id"],
        "customer": customer,
        "events": len(answers),
        "decisions": [told(answer, names, zone, loaded.policy.names.pages) for answer in answers if answer.reasons],
    }


def told(answer: Answer, names: dict[int, str], zone: ZoneInfo, pages: list[str]) -> dict[str, Any]:
    decision = answer.decision
    when = datetime.fromtimestamp(decision["time_ms"] / 1000, zone)
    return {
        "at": when.isoformat(timespec="seconds"),
        "event": EventKind(decision["kind"]).name.lower(),
        "page": pages[decision["page"]] if decision["page"] != NONE else None,
        "campaign": names.get(decision["campaign"]),
        "channel": Channel(decision["channel"]).name.lower() if decision["channel"] != NONE else None,
        "reason": Reason(decision["reason"]).name.lower(),
        "candidates": {names[slot]: Reason(reason).name.lower() for slot, reason in answer.reasons.items()},
    }


def print_explanation(found: dict[str, Any]) -> None:
    shown = sum(decision["reason"] == "shown" for decision in found["decisions"])
    print(
        f"Customer {found['customer']} of {found['run_id']}: {found['events']:,} events, "
        f"{len(found['decisions']):,} of them could have shown a message, {shown} did.\n"
    )
    for decision in found["decisions"]:
        where = f" on {decision['page']}" if decision["page"] else ""
        reasons = ", ".join(f"{name}: {reason.replace('_', ' ')}" for name, reason in decision["candidates"].items())
        print(f"{decision['at'][:19].replace('T', ' ')}  {decision['event'].replace('_', ' ')}{where}  —  {reasons}")
