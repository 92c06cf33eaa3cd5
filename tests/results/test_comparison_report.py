"""A comparison's report: first sentences for every verdict, every number re-queried, each planted fault seen red."""

import functools
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pyarrow.parquet as pq
import pytest

from results.comparison_lead import plain_first_sentences
from results.comparison_marks import Findings, findings
from results.comparison_money import leave_one_out, parts_sql, price, price_of_attention, waterfall
from results.comparison_report import render_comparison
from results.comparison_sections import arms
from results.comparison_segments import interval_at, segments
from results.comparison_store import write_table
from results.comparison_words import MEASURES
from results.comparisons import Pair, growths
from results.query import Database
from results.verdicts import benjamini_hochberg, p_value
from results.words import formatted, span
from tests.results.synthetic_comparison import (
    gentler,
    hardly,
    louder,
    nothing,
    write_synthetic_comparison,
)
from tests.results.test_report import Page

SECTIONS = ["answer", "verdicts", "guardrails", "truth", "waterfall", "segments", "measures", "crowding"]
SECTIONS += ["worlds", "robustness", "expectations", "limits", "made"]


class Truth:
    """What a comparison's tables give, each query asked once."""

    def __init__(self, opened: Findings) -> None:
        self.opened = opened
        self.value = functools.cache(opened.database.value)
        self.table = functools.cache(lambda sql: [list(row.values()) for row in opened.database.table(sql)])
        self.segments = functools.cache(lambda rival: {one.name: one for one in segments(opened, rival)})

    def wrong(self, html: str) -> list[str]:
        """Every number, interval and chart whose query does not give exactly it."""
        page = Page(html)
        return [*self.wrong_values(page), *self.wrong_intervals(page), *self.wrong_charts(page)]

    def wrong_values(self, page: Page) -> Iterator[str]:
        for one in page.numbers:
            value, asked = json.loads(one["data-value"]), one.get("data-query")
            truth = self.value(asked) if asked else self.of(one["data-metric"], one["data-field"])
            if truth != value or one["text"] != formatted(value, one["data-format"]):
                yield f"{one['text']}: {truth} by {asked or one['data-metric']}"

    def wrong_intervals(self, page: Page) -> Iterator[str]:
        for one in page.intervals:
            low, high = (json.loads(one[f"data-{end}"]) for end in ("low", "high"))
            metric = one.get("data-metric")
            truth = [
                self.of(metric, end) if metric else self.value(one[f"data-query-{end}"]) for end in ("low", "high")
            ]
            if truth != [low, high] or one["text"] != span(low, high, one["data-format"]):
                yield f"interval {one['text']}: {truth} by {metric or one['data-query-low']}"

    def wrong_charts(self, page: Page) -> Iterator[str]:
        for one in page.charts:
            if self.table(one["data-query"]) != json.loads(one["data-rows"]):
                yield f"chart {one['id']}"

    def of(self, key: str, field: str) -> Any:
        """What a figure without a query of its own must be."""
        name, _, inside = key.rstrip("]").partition("[")
        found = self.opened.found
        if name == "segment":
            rival, segment = inside.split("/")
            one = self.segments(rival).get(segment)
            estimate = one.estimate if one else found[f"difference[{rival}/{self.opened.measure}]"]
            return one.p if one and field == "p" else getattr(estimate, field)
        if name == "price_of_attention":
            return getattr(price_of_attention(self.opened, inside), field)
        return (found[key].value or 0.0) ** 2 if field == "squared" else getattr(found[key], field)


def wrong_numbers(folder: Path) -> list[str]:
    """Of both pages."""
    with findings(folder) as opened:
        truth = Truth(opened)
        return [wrong for name in ("report", "page") for wrong in truth.wrong(text_of(folder, name))]


def text_of(folder: Path, name: str = "report") -> str:
    return (folder / f"{name}.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_synthetic_comparison(tmp_path_factory.mktemp("comparisons"))
    render_comparison(folder)
    return folder


@pytest.fixture(scope="module")
def opened(folder: Path) -> Iterator[Findings]:
    with findings(folder) as found:
        yield found


@pytest.fixture(scope="module")
def truth(opened: Findings) -> Truth:
    return Truth(opened)


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page(text_of(folder))


@pytest.fixture(scope="module")
def sheet(folder: Path) -> Page:
    return Page(text_of(folder, "page"))


# --- every number -----------------------------------------------------------------------------------------------------
def test_sections_in_order(page: Page) -> None:
    assert page.sections == SECTIONS


def test_every_number_has_a_query_and_it_matches(folder: Path, page: Page, sheet: Page, truth: Truth) -> None:
    assert len(page.numbers) > 250
    assert len(page.intervals) > 40
    assert len(page.charts) > 10
    assert len(sheet.numbers) > 20
    assert truth.wrong(text_of(folder)) == []
    assert truth.wrong(text_of(folder, "page")) == []


def test_no_digit_without_a_query(page: Page, sheet: Page) -> None:
    assert (page.loose, sheet.loose) == ([], [])


@pytest.mark.parametrize("fault", ["value", "text", "interval", "of a table", "computed", "chart"])
def test_a_wrong_number_is_red(folder: Path, page: Page, truth: Truth, fault: str) -> None:
    squared = next(one for one in page.numbers if one.get("data-field") == "squared")
    changes = {
        "value": (f'data-value="{page.numbers[0]["data-value"]}"', 'data-value="0.43"'),
        "text": (f">{page.numbers[0]['text']}<", ">+¥0.43<"),
        "interval": (f'data-low="{page.intervals[0]["data-low"]}"', 'data-low="0.2"'),
        "of a table": (f'data-low="{page.intervals[-1]["data-low"]}"', 'data-low="0.2"'),
        "computed": (f'data-value="{squared["data-value"]}"', 'data-value="13690.0"'),
        "chart": ('data-rows="[[&#34;cap_3&#34;', 'data-rows="[[&#34;cap_4&#34;'),
    }
    html = text_of(folder)
    assert changes[fault][0] in html
    assert truth.wrong(html.replace(*changes[fault], 1)) != []


def test_data_changed_under_a_report_is_red(folder: Path, opened: Findings, tmp_path: Path) -> None:
    shutil.copytree(folder / "tables", tmp_path / "tables")
    rows = opened.database.table("SELECT * FROM assumption_results")
    write_table(tmp_path, "assumption_results", [{**row, "difference": row["difference"] + 0.01} for row in rows])
    with Database(tmp_path) as database:
        wrong = list(Truth(replace(opened, database=database)).wrong_charts(Page(text_of(folder))))
    assert wrong == ["chart draws-cap_3", "chart draws-loud"]


def test_opens_offline(folder: Path, page: Page, sheet: Page) -> None:
    for name, opened in (("report", page), ("page", sheet)):
        assert "default-src 'none'" in text_of(folder, name)
        assert [link for link in opened.links if "//" in link or not (folder / link).exists()] == []
    assert sheet.scripts == []


def test_charts_are_valid_plotly(page: Page) -> None:
    drawn = [text for text in page.scripts if text.startswith('{"data"')]
    assert len(drawn) == len(page.charts)
    for text in drawn:
        go.Figure(json.loads(re.sub('"@[a-z0-9]+"', '"#aabbcc"', text)))


def test_every_measure_has_both_names(opened: Findings) -> None:
    measures = {row[0] for row in opened.database.rows("SELECT DISTINCT measure FROM levels WHERE of = ''")}
    assert {m for m in measures if not m.startswith("before_")} <= set(MEASURES)
    for english, chinese, _ in MEASURES.values():
        assert english.isascii()
        assert all("\u4e00" <= letter <= "\u9fff" for letter in chinese)


# --- parts ------------------------------------------------------------------------------------------------------------
def test_the_waterfall_adds_up(opened: Findings, page: Page) -> None:
    rows = opened.database.table(parts_sql(opened, "loud"))
    complaints = next(row["amount"] for row in rows if row["part"] == "complaints answered")
    assert sum(row["amount"] for row in rows[:-1]) == pytest.approx(rows[-1]["amount"], abs=1e-9)
    assert abs(rows[-2]["amount"]) < 0.01
    assert complaints == pytest.approx(-30 * (opened.found["difference[loud/complaints]"].value or 0))
    assert page.words.count("the two agree") == 2
    assert "DISAGREE" not in page.words


@pytest.mark.parametrize("wrong", [{"margin": 0.04}, {"complaint": 40.0}])
def test_a_wrong_margin_or_cost_does_not_add_up(opened: Findings, wrong: dict[str, float]) -> None:
    worth = {**opened.manifest["worth"], **wrong}
    planted = replace(opened, manifest={**opened.manifest, "worth": worth})
    assert "THE TWO DISAGREE" in waterfall(planted, "loud")


def test_without_a_margin_its_part_is_what_is_left(opened: Findings) -> None:
    unknown = {name: value for name, value in opened.manifest.items() if name != "worth"}
    table = waterfall(replace(opened, manifest=unknown), "loud")
    assert "margin, less complaints answered" in table
    assert "adds up" not in table


def test_the_price_of_one_more_message(opened: Findings) -> None:
    found = price_of_attention(opened, "loud")
    d, e = (opened.found[f"difference[loud/{measure}]"].value or 0.0 for measure in ("profit", "exposures"))
    assert found.value == pytest.approx(d / e)
    assert found.low is not None
    assert found.high is not None
    assert found.low < d / e < found.high < 0
    assert found.unit_of_analysis == "world"
    assert "it costs" in price(opened, "loud").striptags()


def test_losers_to_the_left_winners_to_the_right(page: Page) -> None:
    drawn = next(one for one in page.charts if one["id"] == "winners-loud")
    assert all(less < 0 <= more for _, more, less in json.loads(drawn["data-rows"]))


def test_arms_are_compared_only_where_they_were_lived(opened: Findings) -> None:
    assert "red ÷ orange" in arms(opened, "first_use")
    without = {key: found for key, found in opened.found.items() if "orange" not in key}
    assert arms(replace(opened, found=without), "first_use") == ""


def test_segments_are_adjusted_and_exploratory(opened: Findings, page: Page) -> None:
    assert "exploratory" in page.words
    found = segments(opened, "cap_3")
    assert [one.name for one in found] == ["new", "dormant", "valuable"]
    assert all(one.told and one.p is not None and 0 <= one.p <= 0.05 for one in found)
    everybody = opened.found["difference[cap_3/profit]"].value or 0.0
    assert sum((one.estimate.value or 0.0) * one.estimate.n for one in found) / 20_000 == pytest.approx(everybody)


def test_where_customers_compete_worlds_are_counted(tmp_path: Path) -> None:
    policies = {"bank_card": nothing, "rival": gentler}
    folder = write_synthetic_comparison(tmp_path, policies=policies, truth=False, shared_refusals=3, unit="world")
    page = Page(render_comparison(folder).read_text(encoding="utf-8"))
    assert "every interval counts worlds, not customers" in page.words
    assert "The unit of analysis is the world" in page.words
    assert wrong_numbers(folder) == []


def test_growth_is_shown_where_a_goal_can_repeat(tmp_path: Path) -> None:
    goals = {"first_use": "payment", "bill_day": "payment"}
    folder = write_synthetic_comparison(tmp_path, policies={"bank_card": nothing}, goals=goals, known_case=True)
    truth, known = plain_first_sentences(folder)
    assert "tests the harness" in known
    assert "grew by +" in truth
    assert "A last-touch report would claim" in truth
    render_comparison(folder)
    assert wrong_numbers(folder) == []


def test_a_goal_that_nobody_reached_before_has_not_grown(tmp_path: Path) -> None:
    goals = {"first_use": "payment", "bill_day": "payment"}
    folder = write_synthetic_comparison(tmp_path, policies={"bank_card": nothing}, goals=goals)
    rows = pq.read_table(folder / "tables" / "phases.parquet").to_pylist()
    write_table(folder, "phases", [{**row, "count": row["count"] * (row["phase"] != "before")} for row in rows])
    with findings(folder) as opened:
        grown = dict(growths(opened.database, opened.manifest, "first_use", 0.95))
    assert {found.value for found in grown.values()} == {None}
    assert grown["true_increment[first_use]"].note == "nothing of it happened in the days before"
    render_comparison(folder)
    assert wrong_numbers(folder) == []


def test_campaigns_left_out_do_not_add_up(tmp_path: Path) -> None:
    """And where exposures are equal, one more message has no price."""
    policies = {"bank_card": nothing, "without_first_use": hardly, "without_all": louder}
    folder = write_synthetic_comparison(tmp_path, policies=policies, truth=False)
    with findings(folder) as opened:
        words = leave_one_out(opened).striptags()
        assert "do not add up" in words
        assert "all campaigns against none" in words
        assert "cannot be told" in price(opened, "without_first_use").striptags()
        found = segments(opened, "without_first_use")
        raw = [p_value(interval_at(opened, Pair("without_first_use", "bank_card", "", one.name))) for one in found]
        assert [one.p for one in found] == list(benjamini_hochberg([p for p in raw if p is not None]))
        assert [one.p for one in found] != raw  # adjusted for how many were looked at


def test_without_assumption_sets_nothing_is_said_to_hold(tmp_path: Path) -> None:
    """And names that look like markup stay names."""
    folder = write_synthetic_comparison(
        tmp_path, policies={"bank_card": nothing, "rival": gentler}, truth=False, assumption_sets=0,
        warnings=["<script>alert(1)</script>"], stopped="a <b> & c",
    )  # fmt: skip
    page = Page(render_comparison(folder).read_text(encoding="utf-8"))
    assert "not tried under other assumptions" in page.words
    assert "<script>alert(1)</script>" in page.words
    assert "a <b> & c" in page.words
    assert wrong_numbers(folder) == []


def test_the_page_says_what_to_do(sheet: Page) -> None:
    for words in ("launch", "What would change our mind", "Who gains, who loses", "Complaints expected", "Budget"):
        assert words in sheet.words
    assert "No coupons in these policies" in sheet.words
