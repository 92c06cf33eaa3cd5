"""Studies: twin worlds that differ by the policy alone, the same on one core or on Ray, kept and gone on with."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.coupon_records import Inbox
from engine.records import NEVER_MS, Reason
from scenarios.compare import CompareOptions, Comparison, compare, plan_worlds
from scenarios.load import LoadedScenario, Options
from scenarios.rivals import Rival, held_out_from, left_out, own, twins, with_fields, without
from scenarios.study import Player, WorldPlan
from scenarios.worker import CohortWorker
from sim.model import Measure
from sim.waves import waves_of
from sim.world import World
from tests.scenarios.shop import loaded as write_and_load

CUSTOMERS, DAYS = 300, 6
WORTH = {
    "population.worth": "{margin: 3%, complaint: 30.00}",
    "population.fraud": "{per_year: 5, loss: 100.00, stopped: 50%}",
}


@contextmanager
def quiet(title: str) -> Iterator[Any]:
    yield lambda share: None


def shop_loaded(folder: Path, **options: Any) -> LoadedScenario:
    given = {"customers": CUSTOMERS, "days": DAYS, "before": 4, "after": 6, **options}
    given["set"] = WORTH | options.get("set", {})
    return write_and_load(folder, options=Options(**given))


def loaded(folder: Path, **compared: Any) -> LoadedScenario:
    found = shop_loaded(folder)
    given = {"customers": CUSTOMERS, "worlds": 10, "assumption_sets": 0, **compared}
    block = found.scenario.compare.model_copy(update=given)
    return replace(found, scenario=found.scenario.model_copy(update={"compare": block}))


def played(plan: WorldPlan, replication: int = 1) -> dict[str, list[dict[str, Any]]]:
    return Player([plan]).play((0, replication))


def total(rows: list[dict[str, Any]], **key: Any) -> dict[str, Any]:
    (row,) = [row for row in rows if all(row[name] == value for name, value in key.items())]
    return row


def small(found: LoadedScenario, folder: Path, *rivals: Rival, **how: Any) -> Comparison:
    return compare(found, [own(found), *rivals], CompareOptions(out=folder, **how), quiet)


# --- twins ------------------------------------------------------------------------------------------------------------
def test_a_policy_compared_with_itself_differs_for_nobody(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    plan = plan_worlds(found, [own(found), replace(own(found), name="same")])
    rows = played(plan)
    assert {row["nonzero"] for row in rows["differences"]} == {0}
    first, second = rows["lives"]
    assert first["digest"] == second["digest"]


def test_twins_reach_the_same_customers_at_the_same_moment(tmp_path: Path) -> None:
    rows = played(plan_worlds(loaded(tmp_path, truth=["spring"]), [own(loaded(tmp_path))]))
    shown, held_out = (
        total(rows["levels"], policy=f"{word}_spring", of="spring", measure="converted")
        for word in ("shown", "held_out")
    )
    assert shown["n"] == held_out["n"] > 50
    assert shown["total"] > held_out["total"]


def test_differences_are_the_difference_of_levels(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    rows = played(plan_worlds(found, [own(found), without(["spring"], "bare", found)]))
    for measure in Measure:
        name = measure.name.lower()
        a, b = (total(rows["levels"], policy=policy, of="", measure=name) for policy in ("bare", "shop"))
        row = total(rows["differences"], policy="bare", of="", measure=name, segment="")
        assert row["total"] == a["total"] - b["total"]
        parts = [r for r in rows["differences"] if r["measure"] == name and r["segment"]]
        assert sum(part["total"] for part in parts) == row["total"]
        assert sum(part["n"] for part in parts) == row["n"] == CUSTOMERS


def test_profit_adds_up(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    plan = plan_worlds(found, [own(found)])
    run = plan.run_plan(plan.branches[0], 1)
    worker = CohortWorker(run, 0, CUSTOMERS)
    live(worker, plan, run)
    values = {measure: worker.cohort.measures()[:, measure] for measure in Measure}
    numbers = worker.cohort.model.numbers[0]
    margin = (numbers.margin * values[Measure.SPEND]).astype(np.int64)
    costs = values[Measure.REWARDS] + values[Measure.CHANNEL_COST] + values[Measure.FRAUD_LOSS]
    costs += values[Measure.COMPLAINTS] * int(numbers.complaint_cost)
    assert np.array_equal(values[Measure.PROFIT], margin - costs + values[Measure.CLOSING_VALUE])
    assert all(values[measure].any() for measure in (Measure.REWARDS, Measure.CLOSING_VALUE, Measure.SPEND))


def live(worker: CohortWorker, plan: WorldPlan, run: Any) -> None:
    from scenarios.calendar import calendar_of

    World(worker, plan.spans, calendar_of(run), lambda t: None).run()


# --- twin worlds and moment effects (FIDELITY 1) ----------------------------------------------------------------------
NOTHING_CARRIES_OVER = {
    "population.annoyance": "{half_life: 10d}",
    "population.cards": "{}",  # used, bound, not prepaid: an induced payment begins nothing
    "policy.campaigns.spring.frequency": "{caps: [{most: 1, per: 60d}]}",
    "policy.universal_holdout": "none",
    "policy.campaigns.bill_ready": "none",
}


def test_twin_worlds_equal_moment_effects_where_nothing_carries_over(tmp_path: Path) -> None:
    """Customer by customer: who acts on the one message, by the number drawn at that moment, pays once more."""
    found = shop_loaded(tmp_path, set=NOTHING_CARRIES_OVER)
    shown, held_out = twins(own(found), "spring")
    plan = plan_worlds(found, [shown, held_out])
    payments, moments = {}, np.zeros(CUSTOMERS, np.int64)
    for branch in plan.branches:
        run = plan.run_plan(branch, 1)
        worker = CohortWorker(run, 0, CUSTOMERS)
        count_acts(worker, moments)
        live(worker, plan, run)
        payments[branch.name] = worker.cohort.measures()[:, Measure.PAYMENTS]
    difference = payments[shown.name] - payments[held_out.name]
    assert np.array_equal(difference, moments)
    assert 10 < moments.sum() < CUSTOMERS


def count_acts(worker: CohortWorker, moments: np.ndarray) -> None:
    """Note for each exposure, right after its wave, whether the number drawn there makes the customer act."""
    shown: list[int] = []
    decide, visitors = worker.decide, worker.cohort.crowd.visitors

    def watched(events: np.ndarray, inbox: Inbox) -> tuple[np.ndarray, np.ndarray]:
        for customer in shown:
            moments[customer] += int(visitors[customer]["act_ms"] != NEVER_MS)
        decisions, ghosts = decide(events, inbox)
        shown[:] = decisions["customer"][decisions["reason"] == Reason.SHOWN].tolist()
        return decisions, ghosts

    play = waves_of(watched)
    worker._choose_play = lambda: setattr(worker, "play", play)  # type: ignore[method-assign]
    worker._choose_play()


# --- kept, gone on with, on Ray ---------------------------------------------------------------------------------------
def test_a_study_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded(tmp_path)
    rival = without(["spring"], "bare", found)
    first = small(found, tmp_path / "runs", rival)
    worlds = sorted((tmp_path / "runs" / ".worlds").rglob("*.json"))
    assert len(worlds) == 10
    worlds[3].unlink()
    worlds[4].write_text(worlds[4].read_text()[:100])  # cut short by a crash
    tasks: list[tuple[int, int]] = []
    play = Player.play

    def counted(self: Player, task: tuple[int, int]) -> Any:
        tasks.append(task)
        return play(self, task)

    monkeypatch.setattr(Player, "play", counted)
    again = small(found, tmp_path / "runs", rival)
    assert sorted(tasks) == sorted((0, int(worlds[n].stem)) for n in (3, 4))
    assert again.manifest["digest"] == first.manifest["digest"]
    assert again.estimates == first.estimates


@pytest.mark.parametrize(
    "changed", [{"seed": 2}, {"days": 5}, {"set": {"policy.campaigns.spring.reward": "1.00"}}, {"after": 5}]
)
def test_what_a_world_depends_on_names_its_place_in_the_cache(tmp_path: Path, changed: dict[str, Any]) -> None:
    def key(**options: Any) -> str:
        found = shop_loaded(tmp_path, **options)
        return plan_worlds(found, [own(found)]).key

    assert key() == key()
    assert key(**changed) != key()


def test_one_digest_on_one_core_and_on_ray(tmp_path: Path, ray_cluster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded(tmp_path)
    rival = without(["spring"], "bare", found)
    inline = small(found, tmp_path / "one", rival, cache=False)
    monkeypatch.setattr("scenarios.study.ON_RAY_FROM", 0)
    on_ray = small(found, tmp_path / "two", rival, cache=False, workers=2)
    assert on_ray.manifest["digest"] == inline.manifest["digest"]
    assert on_ray.estimates == inline.estimates


# --- rivals -----------------------------------------------------------------------------------------------------------
def test_leave_one_out_and_all_against_none(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    rivals = left_out(found)
    assert [rival.name for rival in rivals] == ["without_spring", "without_bill_ready", "without_all"]
    rows = played(plan_worlds(found, [own(found), *rivals]))
    exposures = {
        (row["policy"], row["campaign"]): row["exposures"] for row in rows["by_campaign"] if row["policy"] != "shop"
    }
    assert {key for key, count in exposures.items() if count == 0} == {
        ("without_spring", "spring"), ("without_bill_ready", "bill_ready"),
        ("without_all", "spring"), ("without_all", "bill_ready"),
    }  # fmt: skip


def test_the_same_customers_are_held_out_under_another_name_of_the_policy(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    renamed = with_fields({"policy": "another_name"}, "renamed", found)
    rows = played(plan_worlds(found, [own(found), renamed]))
    assert {row["nonzero"] for row in rows["differences"]} == {0}


def test_a_share_held_out_is_held_out(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    nobody, everybody = (held_out_from(own(found), "spring", share, str(share)) for share in (0, 1_000_000))
    rows = played(plan_worlds(found, [nobody, everybody]))
    by_name = {row["policy"]: row for row in rows["by_campaign"] if row["campaign"] == "spring"}
    assert by_name["0"]["ghosts"] == 0 < by_name["0"]["exposures"]
    assert by_name["1000000"]["exposures"] == 0 < by_name["1000000"]["ghosts"]


# --- how many worlds --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("goal", "worlds", "why"),
    [
        ({"measure": "visits", "precision": "20%"}, 10, "narrow"),
        ({"measure": "visits", "matters": "0.0001%"}, 14, "most worlds"),
    ],
)
def test_worlds_stop_on_precision(tmp_path: Path, goal: dict[str, Any], worlds: int, why: str) -> None:
    from scenarios.document import Goal

    found = loaded(tmp_path, worlds=14, goal=Goal(**goal))
    manifest = small(found, tmp_path / "runs", without(["spring"], "bare", found)).manifest
    assert manifest["worlds"] == worlds
    assert why in manifest["stopped"]


def test_early_stops_on_the_verdict(tmp_path: Path) -> None:
    from scenarios.document import Goal

    found = loaded(tmp_path, worlds=40, goal=Goal(measure="payments"))
    manifest = small(found, tmp_path / "runs", without(["spring"], "bare", found), early=True).manifest
    assert 10 <= manifest["worlds"] < 40
    assert manifest["stopped"] == "the verdict was clear"


def test_tables_open_in_a_spreadsheet(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    folder = small(found, tmp_path / "runs", without(["spring"], "bare", found)).folder
    names = {path.stem for path in (folder / "tables").glob("*.parquet")}
    assert names == {path.stem for path in (folder / "tables").glob("*.csv")}
    content = (folder / "tables" / "verdicts.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfpolicy,against,measure")
    assert json.loads((folder / "manifest.json").read_text())["kind"] == "comparison"
