"""The report: its parts in order, and every number in it re-queried."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from engine.records import Reason
from results.metrics import metrics
from results.query import Database
from results.report import render
from results.store import write_run
from results.words import REASONS, formatted, span
from tests.results.synthetic import CAMPAIGNS, synthetic_manifest, synthetic_tables, write_synthetic

SECTIONS = ["answer", "expectations", "figures", "funnel", "waterfall", "touches"]
SECTIONS += ["variants", "fatigue", "population", "segments", "limits", "made"]
VOID = {"meta", "br", "link", "img", "input", "hr"}
SILENT = {"script", "style", "pre", "code", "title"}  # digits there are no figures of the report


class Page(HTMLParser):
    """What the tests need of a report: numbers, intervals, charts, sections, and digits that nothing stands behind."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.numbers: list[dict[str, str]] = []
        self.intervals: list[dict[str, str]] = []
        self.charts: list[dict[str, str]] = []
        self.sections: list[str] = []
        self.loose: list[str] = []
        self.links: list[str] = []
        self.scripts: list[str] = []
        self.words = ""
        self._open: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "section":
            self.sections.append(values["id"])
        self.links += [values[name] for name in ("src", "href") if name in values]
        kind = self.charts if "data-rows" in values else self.intervals if "data-low" in values else None
        kind = self.numbers if kind is None and "data-value" in values else kind
        if kind is not None:
            values["text"] = ""
            kind.append(values)
        if tag not in VOID:
            self._open.append((tag, values))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"unopened </{tag}>"
        opened, _ = self._open.pop()
        assert opened == tag, f"<{opened}> closed by </{tag}>"

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self._open]
        if tags and tags[-1] == "script":
            self.scripts.append(data)
        if SILENT & set(tags):
            return
        self.words += data
        backed = False
        for _, values in self._open:
            if "text" in values:
                values["text"] += data
            backed = backed or "text" in values or "given" in values.get("class", "").split()
        if any(c.isdigit() for c in data) and not backed and not any(t == "summary" for t in tags):
            self.loose.append(data.strip())


def wrong_numbers(folder: Path) -> list[str]:
    """Every number, interval and chart of a report whose query does not give exactly it."""
    page, found = Page((folder / "report.html").read_text(encoding="utf-8")), metrics(folder)
    wrong = []
    with Database(folder) as database:
        for number in page.numbers:
            value = json.loads(number["data-value"])
            if "data-query" in number:
                truth: Any = database.value(number["data-query"])
            else:
                truth = getattr(found[number["data-metric"]], number["data-field"])
            if truth != value or number["text"] != formatted(value, number["data-format"]):
                wrong.append(f"{number['text']}: {truth} by {number.get('data-query') or number['data-metric']}")
        for chart in page.charts:
            if [list(row.values()) for row in database.table(chart["data-query"])] != json.loads(chart["data-rows"]):
                wrong.append(f"chart {chart['id']}")
    for interval in page.intervals:
        low, high = json.loads(interval["data-low"]), json.loads(interval["data-high"])
        estimate = found[interval["data-metric"]]
        if (low, high) != (estimate.low, estimate.high) or not interval["text"].endswith(
            span(low, high, interval["data-format"])
        ):
            wrong.append(f"interval {interval['data-metric']}")
    return wrong


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_synthetic(tmp_path_factory.mktemp("runs"))
    render(folder)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_sections_in_order(page: Page) -> None:
    assert page.sections == SECTIONS


def test_the_answer_comes_first(page: Page) -> None:
    start = page.words.index("The “first use” pop-up lifts first use from")
    assert start < page.words.index("Expectations")
    for words in (
        "95\u202f% interval",
        "relative",
        "population not calibrated",
        "No guardrail is defined",
        "tests the harness",
    ):
        assert words in page.words


def test_every_number_has_a_query_and_it_matches(folder: Path, page: Page) -> None:
    assert len(page.numbers) > 300
    assert len(page.intervals) > 40
    assert len(page.charts) >= 13
    assert wrong_numbers(folder) == []


def test_no_digit_without_a_query(page: Page) -> None:
    """Text that people wrote is marked as given; every other digit is a number with a query."""
    assert page.loose == []


@pytest.mark.parametrize(
    "fault", ["value", "text", *(pytest.param(name, marks=pytest.mark.long) for name in ("interval", "table", "chart"))]
)
def test_a_wrong_number_is_red(folder: Path, tmp_path: Path, page: Page, fault: str) -> None:
    import shutil

    copy = tmp_path / "demo"
    shutil.copytree(folder, copy)
    report = copy / "report.html"
    html = report.read_text(encoding="utf-8")
    if fault == "value":
        html = html.replace(f'data-value="{page.numbers[0]["data-value"]}"', 'data-value="0.0961"', 1)
    elif fault == "text":
        html = html.replace(f">{page.numbers[0]['text']}<", ">11.1\u202f%<", 1)
    elif fault == "interval":
        html = html.replace(f'data-low="{page.intervals[0]["data-low"]}"', 'data-low="0.031"', 1)
    elif fault == "chart":
        html = html.replace('data-rows="[[&#34;held out&#34;, 0.', 'data-rows="[[&#34;held out&#34;, 1.', 1)
    else:  # the data changed under a report written before
        other = write_run(tmp_path / "other", synthetic_manifest("x"), synthetic_tables(seed=8))
        shutil.copy(other / "tables" / "cells.parquet", copy / "tables")
    report.write_text(html, encoding="utf-8")
    assert wrong_numbers(copy) != []


def test_opens_offline(folder: Path, page: Page) -> None:
    assert [link for link in page.links if "//" in link] == []
    assert "default-src 'none'" in (folder / "report.html").read_text(encoding="utf-8")
    assert [link for link in page.links if not link.startswith("#") and not (folder / link).exists()] == []


def test_charts_are_valid_plotly(page: Page) -> None:
    drawn = [json.loads(text) for text in page.scripts if text.startswith('{"data"')]
    assert len(drawn) == len(page.charts)
    for figure in drawn:
        go.Figure(
            json.loads(
                json.dumps(figure).replace('"@', '"#aabbcc').replace("#aabbccseries1", "#aabbcc"), object_hook=_coloured
            )
        )


def _coloured(part: dict[str, Any]) -> dict[str, Any]:
    """Tokens of the page's theme as some colour that Plotly knows."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(item) for item in value]
        return "#aabbcc" if isinstance(value, str) and value.startswith("#aabbcc") else value

    return {name: plain(value) for name, value in part.items()}


def test_every_reason_has_plain_words() -> None:
    assert {reason.name.lower() for reason in Reason} == set(REASONS)


def test_fen_never_appear(page: Page) -> None:
    assert "fen" not in page.words.lower().replace("offen", "")
    assert "¥" in page.words


def _rendered(tmp_path: Path, tables: dict[str, Any] | None = None, **changes: Any) -> tuple[Path, Page]:
    folder = write_run(tmp_path, synthetic_manifest("other", **changes), tables or synthetic_tables())
    return folder, Page(render(folder).read_text(encoding="utf-8"))


def test_without_holdout_nothing_causal_is_said(tmp_path: Path) -> None:
    folder, page = _rendered(tmp_path, primary="bill_ready")
    assert "Nobody was held out" in page.words
    assert "lifts" not in page.words[: page.words.index("Expectations")]
    assert wrong_numbers(folder) == []


def test_without_a_leading_campaign_the_run_is_described(tmp_path: Path) -> None:
    folder, page = _rendered(tmp_path, primary=None, known_case=False, expectations=[], warnings=[])
    assert "makes no causal claim" in page.words
    assert "tests the harness" not in page.words
    assert wrong_numbers(folder) == []


def test_lost_customers_void_the_verdict(tmp_path: Path) -> None:
    tables = synthetic_tables()
    outcomes = tables["outcomes"]
    outcomes["customers"] = [
        n * 8 // 10 if held else n for n, held in zip(outcomes["customers"], outcomes["held_out"], strict=True)
    ]
    _, page = _rendered(tmp_path, tables)
    assert "cannot be judged" in page.words
    assert "lifts" not in page.words[: page.words.index("Expectations")]


def test_no_effect_is_not_called_one(tmp_path: Path) -> None:
    flat = [{**CAMPAIGNS[0], "lift": 0.0}, *CAMPAIGNS[1:]]
    _, page = _rendered(tmp_path, synthetic_tables(campaigns=flat))
    assert "is not shown to change first use" in page.words


def test_an_empty_run_still_has_a_report(tmp_path: Path) -> None:
    tables = synthetic_tables(customers=3_000)
    for name in ("waterfall", "cells", "outcomes", "touches", "paths", "failures"):
        tables[name] = {column: [] for column in tables[name]}
    keep = [i for i, reason in enumerate(tables["decisions"]["reason"]) if reason == "no_candidate"]
    tables["decisions"] = {name: [values[i] for i in keep] for name, values in tables["decisions"].items()}
    folder, page = _rendered(tmp_path, tables, customers=3_000)
    assert page.sections == SECTIONS
    assert wrong_numbers(folder) == []


def test_names_are_escaped(tmp_path: Path) -> None:
    _, page = _rendered(tmp_path, warnings=["<script>alert(1)</script>"], scenario="a <b> & c")
    assert "<script>alert(1)</script>" in page.words
