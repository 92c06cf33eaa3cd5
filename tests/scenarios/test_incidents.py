"""Incidents: pieces that are not there, and a node that is away, whatever shards there are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.policy.yaml_source import DocumentError
from engine.records import MINUTE_MS, EventKind
from scenarios.incidents_build import absence_table
from scenarios.load import Options, load_scenario, plan_of
from scenarios.run import Lived, RunOptions, live
from scenarios.worker import RunPlan
from sim.model import Daily
from tests.scenarios.test_library import LIBRARY

CUSTOMERS = 600
SHORT = "{supplier: {day: 1, at: '00:00', lasts: 2d, stock_out: {coupon: every_300_50, share: 60%}}}"
AWAY = "{node: {day: 1, at: '17:30', lasts: 5h, node_down: {node: 2, of: 4}}}"
AT_DROP = "{node: {day: 10, at: '23:50', lasts: 30min, node_down: {node: 3, of: 3}}}"


def plan(scenario: str, incidents: str, days: int, before: int = 2, **changes: str) -> RunPlan:
    given = {"population.incidents": incidents, **changes}
    options = Options(customers=CUSTOMERS, days=days, before=before, after=1, set=given)
    return plan_of(load_scenario(LIBRARY / f"{scenario}.scenario.yaml", options), record=True)


def lived(planned: RunPlan, shards: int = 1) -> Lived:
    return live(planned, CUSTOMERS, RunOptions(shards=shards, inline=True, record=True), lambda share: None)


def events(world: Lived) -> np.ndarray:
    return np.concatenate([batch for result in world.results for batch in events_of(result)])


def events_of(result: Any) -> list[np.ndarray]:
    assert result.recorded is not None
    return [result.recorded.events]


def total(world: Lived, measure: Daily) -> int:
    return sum(int(result.statistics["daily"][:, measure].sum()) for result in world.results)


def own(world: Lived, first: int, end: int) -> np.ndarray:
    """Events of customers outside [first, end), in their own order."""
    found = events(world)
    found = found[(found["customer"] < first) | (found["customer"] >= end)]
    return found[np.lexsort((found["sequence"], found["customer"]))]


def test_customers_of_a_node_that_is_away_meet_no_answer_and_nobody_else_notices() -> None:
    away, there = plan("first_use", AWAY, 3), plan("first_use", "{}", 3)
    absence = absence_table(away.population.incidents, away.spans, CUSTOMERS)[0]
    assert (absence.first, absence.end) == (150, 300)
    with_it, without_it = lived(away), lived(there)
    found = events(with_it)
    inside = (found["time_ms"] >= absence.from_ms) & (found["time_ms"] < absence.until_ms)
    its = (found["customer"] >= absence.first) & (found["customer"] < absence.end)
    assert not (inside & its).any()
    assert (inside & ~its).sum() > 100
    assert total(with_it, Daily.VISITS_LOST) > 10
    assert total(without_it, Daily.VISITS_LOST) == 0
    assert (own(with_it, absence.first, absence.end) == own(without_it, absence.first, absence.end)).all()


def test_claims_that_met_no_answer_come_when_the_node_is_back() -> None:
    planned = plan("double_eleven", AT_DROP, 11)
    absence = absence_table(planned.population.incidents, planned.spans, CUSTOMERS)[0]
    found = events(lived(planned))
    claims = found[(found["kind"] == EventKind.CLAIM) & (found["customer"] >= absence.first)]
    soon = (claims["time_ms"] >= absence.until_ms) & (claims["time_ms"] < absence.until_ms + MINUTE_MS)
    assert soon.sum() > 50  # whoever wanted to be there at midnight tries again every minute


def test_pieces_that_are_not_there_come_in_the_end_and_none_is_lost() -> None:
    planned = plan("double_eleven", SHORT, 4, before=0, **{"policy.coupons.every_300_50.pieces": "10"})
    world = lived(planned)
    assert world.missing == {0: 6}
    assert world.ledger is not None and world.diary is not None
    stock = world.ledger.stock("every_300_50")
    assert stock.delivered == 10 == stock.left + stock.granted
    evenings = [int(evening.granted[planned.policy.coupons["every_300_50"]]) for evening in world.diary.evenings]
    assert evenings[1] == 4 < evenings[3]  # the others were claimed when they had come


@pytest.mark.parametrize(("scenario", "incidents", "days"), [("first_use", AWAY, 2), ("double_eleven", AT_DROP, 11)])
def test_one_digest_on_any_number_of_shards(scenario: str, incidents: str, days: int) -> None:
    planned = replace(plan(scenario, incidents, days), reviewed=True, record=False)
    worlds = [live(planned, CUSTOMERS, RunOptions(shards=n, inline=True), lambda share: None) for n in (1, 2, 3)]
    assert len({world.digest for world in worlds}) == 1
    sums = [np.concatenate([sum(result.statistics[name] for result in world.results).ravel()  # type: ignore[union-attr]
                            for name in ("daily", "reach", "traffic")]) for world in worlds]  # fmt: skip
    assert (sums[0] == sums[1]).all() and (sums[0] == sums[2]).all()


WRONG = [
    ("{a: {at: '20:00', lasts: 1h}}", "must have at least one of payments_fail, complain"),
    ("{a: {at: '20:00', lasts: 1h, node_down: {node: 3, of: 2}}}", "incidents.a.node_down.node must be <= of, 2"),
    ("{a: {at: '20:00', lasts: 1h, stock_out: {coupon: everyday_10, share: 5%}}}", "coupons with pieces: midnight"),
]  # fmt: skip


@pytest.mark.parametrize(("incidents", "said"), WRONG)
def test_what_is_wrong_with_an_incident_is_told_with_its_line(incidents: str, said: str) -> None:
    with pytest.raises(DocumentError) as raised:
        load_scenario(Path(LIBRARY / "double_eleven.scenario.yaml"), Options(set={"population.incidents": incidents}))
    assert said in str(raised.value)
