"""Metrics agree with a naive count of the same tables, have both names, and refuse what they cannot know."""

import re
from pathlib import Path

import pytest

from results.catalogue import METRICS
from results.checks import check_waterfall
from results.metrics import SHARED, metrics
from results.query import Database
from results.statistics import Proportion, TwoProportions
from results.store import Run, open_run, write_run
from results.tables import Columns
from tests.results.synthetic import CAMPAIGNS, synthetic_manifest, synthetic_tables

ASKED = """
exposures exposures_per_customer click_rate conversion_rate negative_rate close_rate mute_rate complaint_rate candidates
shown_share visits_per_customer page_views_per_visit dwell_per_visit payments_per_customer spend_per_customer
first_payments cards_bound active_share left_annoyed
click_rate[first_use] click_rate[first_use/red] uptake[first_use/shown] uptake[first_use/held_out] lift[first_use]
relative_lift[first_use] srm_p[first_use] lift[first_use/red] incremental_conversions[first_use] candidates[bill_ready]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return open_run(write_run(tmp_path_factory.mktemp("runs"), synthetic_manifest(), synthetic_tables()))


def _total(columns: Columns, measure: str, **keys: object) -> float:
    rows = zip(columns[measure], *(columns[key] for key in keys), strict=True)
    return float(sum(row[0] for row in rows if list(row[1:]) == list(keys.values())))


def test_every_metric_has_both_names() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert re.fullmatch(r"[a-z][a-z ,\-]+", metric.english), name
        assert re.search("[\u4e00-\u9fff]", metric.chinese), name
        assert metric.meaning.endswith("."), name
    assert METRICS["exposures"].chinese == "曝光"
    assert METRICS["click_rate"].chinese == "点击率"
    assert METRICS["conversion_rate"].chinese == "转化率"


def test_rates_per_exposure_are_no_goals() -> None:
    """FIDELITY 5: the annoyed leave, so click rate rises."""
    for metric in METRICS.values():
        per = metric.denominator
        if "exposures" in per or "visits" in per or "candidates" in per:
            assert not metric.goal_allowed, metric.name
    assert METRICS["lift"].goal_allowed


def test_all_that_is_asked_is_there(run: Run) -> None:
    found = metrics(run)
    assert [key for key in ASKED.split() if key not in found] == []
    assert "lift[bill_ready]" not in found, "without a holdout there is nothing to compare"


def test_values_agree_with_a_naive_count(run: Run) -> None:
    found, tables = metrics(run.folder), synthetic_tables()
    outcomes, cells = tables["outcomes"], tables["cells"]
    shown = {"campaign": "first_use", "held_out": False}
    clicks, exposures = _total(outcomes, "clicks", **shown), _total(outcomes, "exposures", **shown)
    assert found["click_rate[first_use]"].value == pytest.approx(clicks / exposures)
    red = {"campaign": "first_use", "arm": "red"}
    net = sum(
        _total(cells, "exposures", phase=p, **red) - _total(cells, "not_shown", phase=p, **red)
        for p in ("campaign", "after")
    )
    assert found["exposures[first_use/red]"].value == net
    groups = {held: {"campaign": "first_use", "held_out": held} for held in (False, True)}
    two = TwoProportions(
        *(Proportion(_total(outcomes, "converted", **g), _total(outcomes, "customers", **g)) for g in groups.values())
    )
    lift = found["lift[first_use]"]
    assert lift.value == pytest.approx((two.treated.value or 0) - (two.control.value or 0))
    assert (lift.low, lift.high) == two.difference()[:2]
    reached = two.treated.n + two.control.n
    assert found["incremental_conversions[first_use]"].value == pytest.approx(
        (lift.value or 0) * reached / 20_000 * 1_000_000
    )
    spend = tables["moments"]
    at = next(i for i, m in enumerate(spend["measure_a"]) if m == "spend" == spend["measure_b"][i])
    assert found["spend_per_customer"].value == pytest.approx(spend["sum_a"][at] / 20_000 / 100), "yuan, not fen"


def test_the_baseline_days_do_not_count(run: Run) -> None:
    days = synthetic_tables()["population"]
    measured = sum(n for n, phase in zip(days["cards_bound"], days["phase"], strict=True) if phase != "before")
    assert metrics(run)["cards_bound"].value == measured


def test_value_and_query_are_one(run: Run) -> None:
    with Database(run.folder) as database:
        for key, estimate in metrics(run).items():
            if estimate.query:
                assert database.value(estimate.query) == estimate.value, key
            assert (estimate.low is None) == (estimate.high is None)
            if estimate.low is None:
                assert estimate.note or key.startswith("srm_p"), key
            else:
                assert estimate.low <= (estimate.value or 0) <= (estimate.high or 0), key


def test_shared_stock_takes_the_intervals_away(tmp_path: Path) -> None:
    """FIDELITY 10: the customer is the unit only if nothing shared bound."""
    tables = synthetic_tables(customers=3_000)
    waterfall = tables["waterfall"]
    at = next(i for i, r in enumerate(waterfall["reason"]) if r == "cool_down" and waterfall["phase"][i] == "campaign")
    waterfall["reason"][at] = "out_of_stock"
    found = metrics(write_run(tmp_path, synthetic_manifest(customers=3_000), tables))
    assert all(e.low is None for e in found.values())
    assert found["lift[first_use]"].note == SHARED


def test_lost_customers_raise_the_alarm(tmp_path: Path) -> None:
    tables = synthetic_tables()
    clean = metrics(write_run(tmp_path, synthetic_manifest("clean"), tables))
    outcomes = tables["outcomes"]
    outcomes["customers"] = [
        n * 8 // 10 if held else n for n, held in zip(outcomes["customers"], outcomes["held_out"], strict=True)
    ]
    lossy = metrics(write_run(tmp_path, synthetic_manifest("lossy"), tables))
    assert (clean["srm_p[first_use]"].value or 0) > 0.001
    assert (lossy["srm_p[first_use]"].value or 0) < 0.001


def test_universal_holdout_is_in_the_shares(tmp_path: Path) -> None:
    """A campaign without its own holdout is still compared where a universal one exists; service messages are not."""
    manifest = synthetic_manifest("universal", universal_holdout_share=20_000)
    found = metrics(write_run(tmp_path, manifest, synthetic_tables()))
    assert "lift[bill_ready]" not in found
    with Database(tmp_path / "universal") as database:
        share = database.value("SELECT holdout_share FROM campaigns WHERE campaign = 'first_use'")
    assert share == pytest.approx(1 - 0.5 * 0.98)


def test_waterfall_adds_up(run: Run) -> None:
    check_waterfall(run)


FAULTS = {
    "a shown candidate lost": ("waterfall", "candidates", "shown", "waterfall shown"),
    "a ghost lost": ("cells", "ghosts", None, "held out"),
    "a decision too many": ("decisions", "decisions", "shown", "decisions shown"),
    "counted apart": ("manifest", "candidates", None, "<> shown . reasons"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_waterfall_that_does_not_add_up_is_red(tmp_path: Path, fault: str) -> None:
    table, column, reason, sentence = FAULTS[fault]
    tables, manifest = synthetic_tables(customers=3_000), synthetic_manifest(customers=3_000)
    if table == "manifest":
        manifest["candidates"] = sum(tables["waterfall"]["candidates"]) + 1
    else:
        values = tables[table][column]
        at = next(i for i, n in enumerate(values) if n > 1 and (reason is None or tables[table]["reason"][i] == reason))
        values[at] -= 1
    run = open_run(write_run(tmp_path, manifest, tables))
    with pytest.raises(AssertionError, match=sentence):
        check_waterfall(run)


def test_an_empty_run_has_metrics_without_values(tmp_path: Path) -> None:
    """Nobody was shown anything: no campaign rows at all."""
    tables = synthetic_tables(customers=3_000)
    for name in ("waterfall", "cells", "outcomes", "touches", "paths", "failures"):
        tables[name] = {column: [] for column in tables[name]}
    keep = [i for i, reason in enumerate(tables["decisions"]["reason"]) if reason == "no_candidate"]
    tables["decisions"] = {name: [values[i] for i in keep] for name, values in tables["decisions"].items()}
    folder = write_run(tmp_path, synthetic_manifest(customers=3_000, campaigns=CAMPAIGNS), tables)
    found = metrics(folder)
    assert found["exposures"].value == 0
    assert found["lift[first_use]"].value is None
    check_waterfall(open_run(folder))
