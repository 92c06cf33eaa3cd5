"""Figures of coupons: against tables reckoned by hand, and in a small run against the Ledger; faults seen red."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.checks import check_coupons
from results.comparison_estimates import true_return
from results.comparison_lead import plain_first_sentences
from results.comparison_marks import findings
from results.comparison_money import parts_sql
from results.comparison_report import render_comparison
from results.coupon_catalogue import CLAIM_ANSWERS
from results.metrics import SHARED, metrics
from results.query import Database
from results.report import plain_lead, render
from results.statistics import Estimate
from results.store import Run, open_run, write_run
from scenarios.load import Options, load_scenario
from scenarios.run import RunOptions, run_scenario
from tests.results.coupon_tables import coupon_run
from tests.results.synthetic_comparison import Change, Measures, write_synthetic_comparison
from tests.results.test_report import Page, wrong_numbers

ROOT = Path(__file__).resolve().parent.parent.parent
Tables = dict[str, Any]

# By hand: the rows of tests/results/coupon_tables.py. Claims and issue before launch do not count; redemptions of
# coupons issued before do; young days are in no rate.
BY_HAND = {
    "claims_received": 150,
    "claims[ten_off/out_of_stock]": 25,
    "claims[ten_off/limit]": 15,
    "claims[mail/limit]": 0,
    "claim_rate[ten_off]": 100 / 140,
    "claims_repeated": 1 / 151,
    "coupons_granted": 110,
    "coupons_redeemed": 3 + 33 - 3 + 30 + 4,
    "coupons_open": (8 - 5 - 3) + (60 - 30 - 30) + 10 + 0,
    "redemption_rate[ten_off]": 30 / 60,
    "redemption_rate": (30 + 4) / 70,
    "breakage[ten_off]": 30 / 60,
    "discount_cost[ten_off]": 600.01,
    "discount_cost": 656.01,
    "paid_by[platform]": 200.00 + 56.00,  # 600.01 × 0.333333 = 200.0031…: whole fen
    "paid_by[merchant]": 400.01,
    "subsidy_without_effect": 159.00,
    "induced_discount_share": (63_601 - 15_900) / 63_601,
    "basket_value": 100.00,
    "pieces_per_basket": 2.0,
    "orders_per_customer": 0.1,
    "discounts_per_customer": 0.90,
    "liability_per_customer": 0.05,
    "lines_per_basket": 2.0,
    "refunds": 3,
    "refunded": 123.45,
    "refunded_share": 12_345 / 700_000,
    "returned_share": 3 / (3 + 33 + 30 + 4),
    "returned_share[mail]": 0,
    "stock_out_hour[ten_off]": 2.5,
    "stock_out_hour[mail]": None,
    "budget_out_hour[spring]": None,
    "budget_spent[spring]": 600.01,
    "budget_used[spring]": 0.70001,
    "roi[ten_off]": 0.1 * (1_000 - 600) * 2_000 / 60_001,
}


def figures(folder: Path, tables: Tables) -> dict[str, Estimate]:
    manifest, _ = coupon_run()
    return metrics(write_run(folder, manifest, tables))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Estimate]:
    return figures(tmp_path_factory.mktemp("runs"), coupon_run()[1])


@pytest.mark.parametrize("key", BY_HAND)
def test_a_figure_is_what_a_hand_reckons(key: str, found: dict[str, Estimate]) -> None:
    expected = BY_HAND[key]
    assert found[key].value == (expected if expected is None else pytest.approx(expected, rel=1e-12))


def test_only_offers_with_a_holdout_have_a_return(found: dict[str, Estimate]) -> None:
    assert "roi[mail]" not in found


def test_claims_refused_for_stock_take_the_intervals_away(found: dict[str, Estimate]) -> None:
    """FIDELITY 10; no message was refused for it, claims were."""
    assert found["roi[ten_off]"].note == SHARED
    assert found["lift[first_use]"].low is None


def test_the_interval_of_a_return(tmp_path: Path) -> None:
    """Welch's, times margin and customers shown, over the cost; standard deviations are 100 fen."""
    tables = coupon_run()[1]
    tables["claims"]["answer"] = ["limit" if a == "out_of_stock" else a for a in tables["claims"]["answer"]]
    roi = figures(tmp_path, tables)["roi[ten_off]"]
    error = (100**2 / 1_999 + 100**2 / 1_499) ** 0.5
    half = 1.9607 * error * 0.1 * 2_000 / 60_001
    assert roi.value is not None and roi.low is not None and roi.high is not None
    assert (roi.low, roi.high) == pytest.approx((roi.value - half, roi.value + half), rel=1e-4)


# --- faults -----------------------------------------------------------------------------------------------------------
def swap_payers(manifest: Tables, tables: Tables) -> None:
    payers = manifest["coupons"][0]["payers"]
    manifest["coupons"][0]["payers"] = dict(zip(payers, reversed(payers.values()), strict=True))


def call_young_mature(manifest: Tables, tables: Tables) -> None:
    tables["cohorts"]["young"] = [False] * len(tables["cohorts"]["young"])


def count_since_the_start(manifest: Tables, tables: Tables) -> None:
    tables["cohorts"]["since_launch"][0] = True
    tables["cohorts"]["date"][0] += 1


FAULTS: dict[str, tuple[Callable[[Tables, Tables], None], str]] = {
    "payers swapped": (swap_payers, "paid_by[merchant]"),
    "young days counted": (call_young_mature, "redemption_rate[ten_off]"),
    "days before launch counted": (count_since_the_start, "discount_cost"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_red(fault: str, tmp_path: Path) -> None:
    plant, key = FAULTS[fault]
    manifest, tables = copy.deepcopy(coupon_run())
    plant(manifest, tables)
    value = metrics(write_run(tmp_path, manifest, tables))[key].value
    assert value != pytest.approx(BY_HAND[key], rel=1e-9)


# --- the report -------------------------------------------------------------------------------------------------------
def test_the_report_tells_coupons_with_queries(tmp_path: Path) -> None:
    manifest, tables = coupon_run()
    folder = write_run(tmp_path, manifest, tables)
    page = Page(render(folder).read_text("utf-8"))
    assert {"coupons", "redemption", "budgets"} <= set(page.sections)
    assert wrong_numbers(folder) == []
    assert page.loose == []
    for words in ("Coupons took ¥656", "platform ¥256", "Ran out: ten off was gone 2 h 30 min", "platform 33.3333 %"):
        assert words in page.words.replace("\u202f", " "), words
    drawn = [chart for chart in page.charts if chart["id"].startswith(("burn-", "maturity-"))]
    assert [chart["id"] for chart in drawn] == ["maturity-ten_off", "maturity-mail", "burn-spring"]
    hatched = next(script for script in page.scripts if '"customdata": [60, 40]' in script)
    assert '"shape": ["", "/"]' in hatched, "the young day is hatched, the other is not"


@pytest.mark.parametrize(
    ("refused", "margin", "words"),
    [("limit", 0.1, "brought back 1.3"), ("limit", 0.1, ", more than it cost"), ("limit", 0.05, ", less than it cost"),
     ("out_of_stock", 0.1, ", not shown to be more than it cost")],
)  # fmt: skip
def test_the_first_sentences_say_whether_a_coupon_pays(refused: str, margin: float, words: str, tmp_path: Path) -> None:
    manifest, tables = copy.deepcopy(coupon_run())
    tables["claims"]["answer"] = [refused if a == "out_of_stock" else a for a in tables["claims"]["answer"]]
    folder = write_run(tmp_path, {**manifest, "worth": {**manifest["worth"], "margin": margin}}, tables)
    assert words in plain_lead(folder)


# --- a small run ------------------------------------------------------------------------------------------------------
def small_run(out: Path, shards: int) -> Run:
    """The shop of the library, three weeks of it, in this process. Nothing is given back: coupons that come back would
    take their discounts out of their cohorts."""
    refunds = {"population.shop.refunds": "{share: 0%}"}
    options = Options(customers=1_200, before=5, days=7, after=7, set=refunds)
    loaded = load_scenario(ROOT / "scenarios" / "library" / "winback.scenario.yaml", options)
    return run_scenario(loaded, RunOptions(shards=shards, inline=True, out=out, scenario=options)).run


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small_run(tmp_path_factory.mktemp("lived"), 2)


def test_cohorts_are_what_the_ledger_granted(lived: Run) -> None:
    """Counted apart: shards by day of issue, the Ledger by coupon, the population by payment."""
    with Database(lived.folder) as database:
        granted, issued, claimed = (
            database.rows(f"SELECT coupon, sum({column}) AS n FROM {table} GROUP BY coupon HAVING n > 0 ORDER BY 1")
            for column, table in (
                ("granted", "stock"), ("granted", "cohorts"), ("claims", "claims WHERE answer = 'granted'")
            )
        )  # fmt: skip
        assert granted == issued == claimed
        assert {answer for (answer,) in database.rows("SELECT DISTINCT answer FROM claims")} <= set(CLAIM_ANSWERS)
        assert sum(n for _, n in granted) > 250
        taken = database.number("SELECT sum(discount) FROM cohorts WHERE since_launch")
        assert taken == database.number("SELECT sum(discounts) FROM population WHERE phase <> 'before'") > 0
        spent = database.number("SELECT sum(spent) FROM budgets WHERE budget <> 'messages'")
        budgeted = "SELECT sum(discount) FROM cohorts JOIN coupons USING (coupon) WHERE budget <> ''"
        assert spent == database.number(budgeted) > 0
        last = "SELECT max_by(spent, date) AS spent FROM budget_days WHERE budget <> 'messages' GROUP BY budget"
        assert database.number(f"SELECT sum(spent) FROM ({last})") == spent


def test_funders_pay_to_the_fen(lived: Run) -> None:
    found = metrics(lived)
    paid = sum(round((e.value or 0) * 100) for key, e in found.items() if key.startswith("paid_by["))
    assert paid == round((found["discount_cost"].value or 0) * 100) > 0


def test_any_number_of_shards_counts_the_same(lived: Run, tmp_path: Path) -> None:
    """What open coupons will cost needs all shards: each alone would expect something else."""
    alone = small_run(tmp_path, 1)
    for table in ("claims", "cohorts", "stock", "budgets", "budget_days", "coupon_days", "spend_days", "moments"):
        with Database(lived.folder) as one, Database(alone.folder) as other:
            sql = f"SELECT * FROM {table} ORDER BY ALL"
            assert one.rows(sql) == other.rows(sql), table
    assert (metrics(lived)["liability_per_customer"].value or 0) > 0


def with_none(columns: Tables) -> Tables:
    """What is missing, as a run hands it in."""
    return {name: [None if value != value else value for value in values] for name, values in columns.items()}


@pytest.mark.parametrize("lost", ["a shard's cohorts", "a funder"])
def test_what_is_lost_is_red(lost: str, lived: Run, tmp_path: Path) -> None:
    manifest = copy.deepcopy({**lived.manifest, "run_id": "faulty"})
    names = [path.stem for path in (lived.folder / "tables").glob("*.parquet")]
    static = {"run", "campaigns", "arms", "coupons", "payers", "expectations"}
    tables = {name: with_none(lived.table(name)) for name in names if name not in static}
    check_coupons(open_run(write_run(tmp_path / "whole", manifest, tables)))
    if lost == "a funder":
        manifest["coupons"][0]["payers"] = {"platform": 900_000}
    else:
        tables["cohorts"] = {name: values[::2] for name, values in tables["cohorts"].items()}
    with pytest.raises(AssertionError, match="the Ledger granted" if lost != "a funder" else "their funders pay"):
        check_coupons(open_run(write_run(tmp_path, manifest, tables)))


# --- a comparison -----------------------------------------------------------------------------------------------------
def shopping(off: int, goods: int) -> Change:
    """Every third customer orders once; coupons take so much off (fen)."""

    def change(measures: Measures, rng: np.random.Generator) -> None:
        orders = (np.arange(len(measures["visits"])) % 3 == 0).astype(np.int64)
        measures |= {"orders": orders, "goods": goods * orders, "pieces": 2 * orders}
        measures |= {"discounts": off * orders, "liability": 10 * orders}

    return change


def test_a_comparison_tells_what_coupons_cost(tmp_path: Path) -> None:
    policies = {"thrifty": shopping(500, 8_000), "generous": shopping(1_500, 9_000)}
    folder = write_synthetic_comparison(tmp_path, policies=policies, truth=False)
    render_comparison(folder)
    with findings(folder) as opened:
        found, rows = opened.found, opened.database.rows(parts_sql(opened, "generous"))
    assert found["basket_value[generous]"].value == pytest.approx(90.00)
    assert found["basket_difference[generous]"].value == pytest.approx(10.00)
    assert found["basket_difference[generous]"].unit_of_analysis == "world"
    parts = {part: amount for _, part, amount in rows}
    assert parts["discounts of coupons"] == pytest.approx(-10.00 * 667 / 2_000)
    assert parts["profit"] == pytest.approx(sum(parts.values()) - parts["profit"])
    assert "discounts +200" in plain_first_sentences(folder)[0]
    page = (folder / "page.html").read_text("utf-8")
    assert "coupons take off about" in page and "No coupons" not in page


def test_true_return_counts_what_was_given_away(tmp_path: Path) -> None:
    """Profit falls by 3.00, discounts were 5.00 and messages 1.00: 3 of 6 yuan came back."""
    rows = [(w, m, v) for w in (1, 2, 3) for m, v in (("profit", -300), ("discounts", 500), ("channel_cost", 100))]
    table = {"world": [w for w, _, _ in rows], "measure": [m for _, m, _ in rows], "total": [v for *_, v in rows]}
    values = ", ".join(f"({w}, '{m}', {v})" for w, m, v in zip(*table.values(), strict=True))
    with Database(tmp_path) as database:
        database.rows(
            "CREATE TABLE differences AS SELECT 'on' AS policy, 'off' AS against, '' AS of, '' AS segment, * "
            f"FROM (VALUES {values}) AS v(world, measure, total)"
        )
        assert true_return(database, "on", "off", 0.95).value == pytest.approx(0.5)
