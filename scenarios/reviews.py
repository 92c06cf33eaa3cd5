"""Reviews of a run: what was planned for each phase, and which of its goals were met."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from engine.records import SHARE_ONE
from results.metrics import estimates
from results.query import Database, quoted
from results.reviews import PHASE, Reading, figures, reading
from scenarios.document import Scenario
from scenarios.expect import Expectation
from scenarios.reviews_document import PHASES, Review

MET, MISSED, UNKNOWN = "met", "missed", "unknown"


def review_blocks(scenario: Scenario) -> list[dict[str, Any]]:
    """Each review as a manifest has it; a phase that begins after the run's end is left out."""
    last = scenario.days + scenario.after
    blocks = []
    for name in PHASES:
        review = scenario.reviews.get(name)
        if review is not None and review.days[0] <= last:
            days = [scenario.start + timedelta(days=day - 1) for day in (review.days[0], min(review.days[1], last))]
            blocks.append(
                {"review": name, "first_date": days[0].isoformat(), "last_date": days[1].isoformat(),
                 "plans": list(plans_of(review)), "goals": list(review.goals)}
            )  # fmt: skip
    return blocks


def plans_of(review: Review) -> Iterator[dict[str, Any]]:
    for campaign, share in review.reach.items():
        yield {"plan": "reach", "whose": campaign, "planned": share / SHARE_ONE}
    for name in ("decisions", "claims"):
        if (most := getattr(review.capacity, name)) is not None:
            yield {"plan": "capacity", "whose": name, "planned": float(most)}


def judged_reviews(database: Database, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Every goal of every review with what became of it: planned reach and capacity, then the goals in their order."""
    rows: list[dict[str, Any]] = []
    if not manifest["reviews"]:
        return rows
    named, found = figures(manifest), estimates(database, manifest)
    for block in manifest["reviews"]:
        days = (block["first_date"], block["last_date"])
        for plan in block["plans"]:
            if plan["plan"] == "reach":
                aim = Expectation.parse(f"reach_share[{plan['whose']}] >= {100 * plan['planned']:g}%")
                rows.append(goal_row(block, "reach", aim, reading(database, named, found, aim.metric, *days)))
            else:
                aim = Expectation.parse(f"peak_{plan['whose']} <= {plan['planned']:.0f}")
                rows.append(goal_row(block, "capacity", aim, busiest(database, plan["whose"], *days)))
        for text in block["goals"]:
            aim = Expectation.parse(text)
            rows.append(goal_row(block, "goal", aim, reading(database, named, found, aim.metric, *days)))
    return [{"number": number, **row} for number, row in enumerate(rows, 1)]


def busiest(database: Database, what: str, first: str, last: str) -> Reading:
    """Decisions or claims of the busiest minute of some days, scaled to the customer base."""
    base = "(SELECT customer_base::DOUBLE / customers FROM run)"
    where = f"date BETWEEN {quoted(first)} AND {quoted(last)}"
    query = f"SELECT coalesce(max({what}), 0) * {base} FROM traffic WHERE {where}"
    return Reading(database.number(query), "count", query, PHASE)


def goal_row(block: dict[str, Any], kind: str, aim: Expectation, read: Reading) -> dict[str, Any]:
    low, high = (None if abs(end) == float("inf") else end for end in (aim.low, aim.high))
    verdict = UNKNOWN
    if read.value is not None:
        verdict = MET if aim.low <= read.value <= aim.high else MISSED
    return {
        "review": block["review"], "kind": kind, "goal": aim.text, "metric": aim.metric, "verdict": verdict,
        "value": None if read.value is None else float(read.value), "low": low, "high": high, "unit": read.unit,
        "over": read.over, "query": read.query,
    }  # fmt: skip
