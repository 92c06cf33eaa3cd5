"""Metrics agree with a naive count of the same tables, have both names, and refuse what they cannot know."""

import copy
import re
from pathlib import Path

import pytest
from scipy import stats

from results.catalogue import METRICS
from results.checks import check_waterfall
from results.metrics import SHARED, metrics
from results.query import Database
from results.statistics import Estimate, Proportion, TwoProportions
from results.store import Run, open_run, write_run
from results.tables import Columns
from tests.results.synthetic import CAMPAIGNS, synthetic_manifest, synthetic_run, synthetic_tables

ASKED = """
exposures exposures_per_customer click_rate conversion_rate negative_rate close_rate mute_rate complaint_rate candidates
shown_share visits_per_customer page_views_per_visit dwell_per_visit payments_per_customer spend_per_customer
first_payments cards_bound active_share left_annoyed
click_rate[first_use] click_rate[first_use/red] uptake[first_use/shown] uptake[first_use/held_out] lift[first_use]
relative_lift[first_use] srm_p[first_use] lift[first_use/red] incremental_conversions[first_use] candidates[bill_ready]
adjusted_lift[first_use] spend_lift[first_use] winsorised_spend_lift[first_use] adjusted_spend_lift[first_use/red]
programme_lift[payments] programme_lift[spend] programme_lift[profit] programme_lift[visits]
programme_lift[left_annoyed] adjusted_programme_lift[profit] programme_srm_p profit_per_customer
closing_value_per_customer rewards_per_customer channel_cost_per_customer fraud_loss_per_customer
instalments_per_customer complaints_per_customer
"""


TABLES, CUSTOMERS = synthetic_run()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return open_run(write_run(tmp_path_factory.mktemp("runs"), synthetic_manifest(), TABLES))


@pytest.fixture(scope="module")
def found(run: Run) -> dict[str, Estimate]:
    return metrics(run)


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


def test_all_that_is_asked_is_there(found: dict[str, Estimate]) -> None:
    assert [key for key in ASKED.split() if key not in found] == []
    assert "lift[bill_ready]" not in found, "without a holdout there is nothing to compare"


def test_values_agree_with_a_naive_count(found: dict[str, Estimate]) -> None:
    outcomes, cells = TABLES["outcomes"], TABLES["cells"]
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
    spend = TABLES["moments"]
    at = next(i for i, m in enumerate(spend["measure_a"]) if m == "spend" == spend["measure_b"][i])
    assert found["spend_per_customer"].value == pytest.approx(spend["sum_a"][at] / 20_000 / 100), "yuan, not fen"


def test_the_baseline_days_do_not_count(found: dict[str, Estimate]) -> None:
    days = TABLES["population"]
    measured = sum(n for n, phase in zip(days["cards_bound"], days["phase"], strict=True) if phase != "before")
    assert found["cards_bound"].value == measured


def test_value_and_query_are_one(run: Run, found: dict[str, Estimate]) -> None:
    with Database(run.folder) as database:
        for key, estimate in found.items():
            if estimate.query:
                assert database.value(estimate.query) == estimate.value, key
            assert (estimate.low is None) == (estimate.high is None)
            if estimate.low is None:
                assert estimate.note or key.startswith(("srm_p", "programme_srm_p")), key
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


def test_lost_customers_raise_the_alarm(tmp_path: Path, found: dict[str, Estimate]) -> None:
    tables = copy.deepcopy(TABLES)
    outcomes = tables["outcomes"]
    outcomes["customers"] = [
        n * 8 // 10 if held else n for n, held in zip(outcomes["customers"], outcomes["held_out"], strict=True)
    ]
    lossy = metrics(write_run(tmp_path, synthetic_manifest("lossy"), tables))
    assert (found["srm_p[first_use]"].value or 0) > 0.001
    assert (lossy["srm_p[first_use]"].value or 0) < 0.001


def test_the_universal_holdout_is_in_no_campaign(run: Run, found: dict[str, Estimate]) -> None:
    """It measures the programme; a campaign is analysed by the share of its own holdout."""
    assert "lift[bill_ready]" not in found
    with Database(run.folder) as database:
        assert database.value("SELECT holdout_share FROM campaigns WHERE campaign = 'first_use'") == 0.5
    without = metrics(Run(run.folder, {**run.manifest, "universal_holdout_share": 0}))
    assert [key for key in without if key.startswith(("programme", "adjusted_programme"))] == []
    stated_otherwise = metrics(Run(run.folder, {**run.manifest, "universal_holdout_share": 120_000}))
    assert (found["programme_srm_p"].value or 0) > 0.001 > (stated_otherwise["programme_srm_p"].value or 0)


# --- whom it speaks of ------------------------------------------------------------------------------------------------
POPULATIONS = {
    "click_rate": "customers at launch",
    "profit_per_customer": "customers at launch",
    "click_rate[first_use/red]": "customers shown first_use, variant red",
    "close_rate[first_use]": "exposures of first_use",
    "refused[first_use/cool_down]": "candidates of first_use",
    "candidates": "candidates of all campaigns",
    "dwell_per_visit": "visits of customers at launch",
    "lift[first_use]": "customers reached by first_use, shown or held out",
    "uptake[first_use/red/held_out]": "customers reached by first_use, variant red, held out",
    "adjusted_spend_lift[first_use]": "customers reached by first_use, shown or held out",
    "incremental_conversions[first_use]": "customers at launch, scaled to the customer base",
    "programme_lift[profit]": "profit of customers at launch, under the policy or held out of everything",
    "programme_srm_p": "customers at launch, under the policy or held out of everything",
}


def test_every_figure_says_whom_it_speaks_of(found: dict[str, Estimate]) -> None:
    """FIDELITY 10: unit, n and population."""
    assert {key: found[key].population for key in POPULATIONS} == POPULATIONS
    assert [key for key, e in found.items() if not e.population or not e.unit_of_analysis] == []
    assert {key: found[key].n for key in ("lift[first_use]", "programme_lift[profit]")} == {
        "lift[first_use]": len(CUSTOMERS["first_use"]["arm"]), "programme_lift[profit]": 20_000,
    }  # fmt: skip


PER_CUSTOMER = {
    "profit": 100, "closing_value": 100, "rewards": 100, "channel_cost": 100, "fraud_loss": 100, "instalments": 1,
    "complaints": 1,
}  # fmt: skip


@pytest.mark.parametrize("measure", PER_CUSTOMER)
def test_money_and_counts_per_customer(measure: str, found: dict[str, Estimate]) -> None:
    estimate, values = found[f"{measure}_per_customer"], CUSTOMERS[""][measure] / PER_CUSTOMER[measure]
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((values.mean(), low, high), rel=1e-9)
    assert METRICS[f"{measure}_per_customer"].goal_allowed


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
