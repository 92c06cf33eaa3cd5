"""A drill's report: its answer in words, each figure as the result has it, broken promises said loudly."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from engine.host.replica import Promise
from loadtests.client import Response
from loadtests.drill_commands import as_found, drill
from loadtests.drills import DRILLS
from loadtests.held import DrillOptions, Held, Parts
from loadtests.scale_out import Curve
from results.drill_measures import Drilled
from results.drill_pictures import POINTS_MOST, drawn_rows
from results.drill_report import BATCHES, render
from results.drill_words import KEYS, RESULT
from results.words import formatted
from scenarios import commands
from scenarios.exits import Exit
from tests.results.test_report import Page

SECTIONS = ["answer", "recovery", "responses", "promises", "limits", "made"]
STRUCK = 1_700_000_000.0
REPLACED = Parts(0.04, 2.96, 3.50, 4.00, 4.05, 4.08, 4.085)
NOBODY = Parts(None, None, None, None, None, None, 0.0)
LATE = (0, -0.01, 4.09), (1, -0.002, 4.087)  # shard, sent, seconds
QUICK = (
    (0, -2.0, 0.020), (1, -2.0, 0.030), (0, -1.0, 0.022), (1, -1.0, 0.032),
    (0, 4.1, 0.024), (1, 4.1, 0.034), (0, 5.0, 0.026), (1, 5.0, 0.0),
)  # fmt: skip


def held(name: str, parts: Parts, rows: tuple[Any, ...]) -> Held:
    """A drill with figures that are easy to tell apart."""
    responses = [Response(shard, 1, STRUCK + sent, STRUCK + sent + seconds) for shard, sent, seconds in rows]
    options = DrillOptions(customers=5_000, promise=Promise.DURABLE)
    return Held(DRILLS[name], options, events=40_215, acknowledged=40_214, lost=0, doubled=0, otherwise=0,
                digests_equal=True, digest="15932d47", parts=parts, median_s=0.024, worst_s=4.09, replayed_records=145,
                struck=STRUCK, outages=[], responses=responses, notes=["room was made after 3 s"])  # fmt: skip


def result(name: str = "kill-shard", parts: Parts = REPLACED, rows: tuple[Any, ...] = LATE + QUICK) -> dict[str, Any]:
    """What `windtunnel drill` writes, made by the same function."""
    return as_found(held(name, parts, rows))


def page_of(tmp_path: Path, found: dict[str, Any]) -> Page:
    (tmp_path / RESULT).write_text(json.dumps(found))
    path = render(tmp_path)
    assert path == tmp_path / "report.html"
    return Page(path.read_text(encoding="utf-8"))


def answer(page: Page) -> str:
    return " ".join(page.words[: page.words.index("How long it took")].split())


def wrong_figures(page: Page, found: dict[str, Any]) -> list[str]:
    """Figures that are not written as the result has them; those computed of the responses have tests of their own."""
    wrong = []
    for one in page.numbers:
        name, _, part = one["data-field"].partition(".")
        value = json.loads(one["data-value"])
        if one["data-metric"] == RESULT and name in found:
            truth = found[name][part] if part else found[name]
            wrong += [f"{one['data-field']}: {value} for {truth}"] if value != truth else []
        wrong += [one["text"]] if one["text"] != formatted(value, one["data-format"]) else []
    return wrong


def of_batches(page: Page) -> dict[str, float]:
    return {one["data-field"]: json.loads(one["data-value"]) for one in page.numbers if one["data-metric"] == BATCHES}


def drawn_in(page: Page) -> str:
    (drawn,) = [text for text in page.scripts if text.startswith('{"data"')]
    return drawn


def test_the_answer_comes_first(tmp_path: Path) -> None:
    page = page_of(tmp_path, result())
    assert page.sections == SECTIONS
    told = answer(page)
    assert "promises kept objective missed for 4.08 s" in told
    assert "Nothing was lost or taken twice. Back after 4.08 s." in told
    assert "was missed by 2 batches; from 4.08 s on every answer kept it" in told
    assert "the process of a shard is killed. Room was made after 3 s." in told


def test_every_figure_is_in_the_result(tmp_path: Path) -> None:
    found = result()
    page = page_of(tmp_path, found)
    assert wrong_figures(page, found) == []
    assert page.loose == []
    fields = {one["data-field"] for one in page.numbers}
    parts = {f"seconds_since_struck.{part}" for part in found["seconds_since_struck"]}
    assert parts | {"events", "acknowledged", "lost", "doubled", "answered_otherwise", "records_replayed"} <= fields
    assert "<code>15932d47</code>" in (tmp_path / "report.html").read_text("utf-8")
    for words in ("equal to the undisturbed run", "a real SIGKILL", "the loss of a machine", "shard-0"):
        assert words.lower() in page.words.lower()


def test_a_wrong_figure_is_red(tmp_path: Path) -> None:
    page = page_of(tmp_path, result())
    assert wrong_figures(page, result() | {"acknowledged": 40_213}) == ["acknowledged: 40214 for 40213"]


def test_each_part_begins_where_the_one_before_ended(tmp_path: Path) -> None:
    steps = Drilled(result()).steps
    assert [step.began for step in steps] == [0.0, *(step.at for step in steps[:-1])]
    assert sum(step.took for step in steps) == pytest.approx(4.085)
    page_of(tmp_path, result())
    bars = re.findall(r'<i style="left:([\d.]+)%;width:([\d.]+)%">', (tmp_path / "report.html").read_text("utf-8"))
    assert len(bars) == 7
    assert sum(float(width) for _, width in bars) == pytest.approx(100, abs=0.01)


def test_a_part_that_was_over_sooner_took_nothing_of_its_own() -> None:
    steps = Drilled(result(parts=Parts(1.2, None, None, None, 1.1, 1.4, 1.3))).steps
    assert [(step.part, step.took) for step in steps] == [
        ("detected", 1.2), ("led", 0.0), ("answered", pytest.approx(0.2)), ("recovered", 0.0),
    ]  # fmt: skip


def test_what_is_computed_of_the_responses(tmp_path: Path) -> None:
    figures = of_batches(page_of(tmp_path, result()))
    assert (figures["late"], figures["batches"]) == (2, 10)
    assert [figures["shard-0.median_before"], figures["shard-0.median_since"]] == pytest.approx([21, 26])
    assert [figures["shard-1.late"], figures["shard-1.slowest_since"]] == pytest.approx([1, 4087])


@pytest.mark.parametrize(
    ("planted", "words"),
    [
        ({"lost": 3}, "3 events lost."),
        ({"doubled": 1}, "1 event taken twice."),
        ({"answered_otherwise": 2, "lost": 3}, "3 events lost and 2 batches answered otherwise than undisturbed."),
        ({"digest_equals_undisturbed": False}, "the state at the end is not that of the same run undisturbed."),
        ({"whole": False}, "the drill says so."),
    ],
)
def test_broken_promises_are_said_loudly(tmp_path: Path, planted: dict[str, Any], words: str) -> None:
    page = page_of(tmp_path, result() | planted)
    assert f"PROMISES BROKEN objective missed for 4.08 s PROMISES WERE BROKEN: {words}" in answer(page)
    assert "Nothing was lost" not in page.words
    html = (tmp_path / "report.html").read_text("utf-8")
    assert '<h1><span class="alarm">' in html and "<title>BROKEN" in html


def test_a_drill_in_which_nobody_was_replaced(tmp_path: Path) -> None:
    page = page_of(tmp_path, result("slow-fsync", NOBODY, QUICK))
    told = answer(page)
    assert "promises kept objective kept" in told
    assert "Nobody had to be replaced; the slowest answer took 0.03 s." in told
    assert "Every answer since it struck kept the objective" in told
    assert "The slow disk was emulated" in page.words
    assert "back after" not in drawn_in(page)


def test_an_objective_missed_to_the_end(tmp_path: Path) -> None:
    late = (*QUICK, (1, 6.0, 1.5))
    page = page_of(tmp_path, result("full-disk", Parts(None, None, None, None, None, None, 7.5), late))
    assert "objective missed to the end" in answer(page)
    assert "was missed by 1 batch, and was still missed at the end" in answer(page)
    assert "within the objective again" not in page.words


def test_slow_answers_before_it_struck_are_told_apart(tmp_path: Path) -> None:
    page = page_of(tmp_path, result("slow-fsync", NOBODY, ((0, -9.0, 2.5), *QUICK)))
    assert "objective kept" in answer(page)
    assert "Before it struck 1 batch missed the objective too, the slowest with 2.50 s" in answer(page)


def test_of_many_batches_the_late_ones_are_all_drawn() -> None:
    many = tuple((0, n / 100, 0.02) for n in range(3 * POINTS_MOST))
    rows, of_each = drawn_rows(Drilled(result(rows=LATE + many)))
    assert (len(rows), of_each) == (POINTS_MOST + 2, 3)


def test_opens_offline(tmp_path: Path) -> None:
    page = page_of(tmp_path, result())
    assert page.links == [RESULT]
    assert "default-src 'none'" in (tmp_path / "report.html").read_text("utf-8")


def test_the_chart_is_valid_plotly(tmp_path: Path) -> None:
    page = page_of(tmp_path, result())
    figure = go.Figure(json.loads(re.sub(r'"@\w+"', '"#aabbcc"', drawn_in(page))))
    assert [trace.name for trace in figure.data] == ["shard 0", "shard 1"]
    assert [len(trace.x) for trace in figure.data] == [5, 5]
    assert min(min(trace.y) for trace in figure.data) > 0  # the axis is logarithmic
    assert [note.text for note in figure.layout.annotations] == ["it struck", "back after 4.08 s", "objective: 1 s"]


@pytest.mark.parametrize("late", [False, True])
def test_names_of_lines_do_not_stand_on_each_other(tmp_path: Path, late: bool) -> None:
    """Where what follows is short beside what was before, both names are to the left of their lines."""
    rows = LATE + QUICK if late else (*LATE, *QUICK, (0, 60.0, 0.02))
    page = page_of(tmp_path, result(rows=rows))
    struck, back, _ = json.loads(drawn_in(page))["layout"]["annotations"]
    assert (struck["xanchor"] == back["xanchor"]) == late
    assert (back["yshift"] > 0) == late


CALM = [(0.0, 1, 0.1), (4.0, 1, 0.4)]
GROWN = [*CALM, (5.0, 2, 2.1), (9.0, 2, 0.3), (11.0, 1, 0.2)]
ADDED = """2 nodes were in use at most, the second from 5.0 s on; the last of them was given back 11.0 s after traffic
began. A batch waited 2.10 s at most on emulated nodes, each held to 1,234 events a second, and 0.40 s where the same
burst met this machine as it is, with 1 in use."""
NONE_ADDED = """NO NODE WAS ADDED. A batch waited 0.40 s at most on the one emulated node, which was held to 1,234
events a second."""


@pytest.mark.parametrize(
    ("samples", "said", "marks"),
    [(GROWN, ADDED, ["2 nodes", "1 node"]), (CALM, NONE_ADDED, [])],
    ids=["added and given back", "none added"],
)
def test_a_burst_is_told_and_drawn(tmp_path: Path, samples: Any, said: str, marks: list[str]) -> None:
    burst = replace(held("scale-out", NOBODY, QUICK), curve=Curve(samples), unheld=Curve(CALM), node_rate=1_234.0)
    page = page_of(tmp_path, as_found(burst))
    assert " ".join(said.split()) in " ".join(page.words.split())
    drawn = next(json.loads(text) for text in page.scripts if text.startswith('{"data"') and "longest wait" in text)
    assert [one["text"] for one in drawn["layout"]["annotations"]] == marks


def test_what_people_wrote_is_escaped(tmp_path: Path) -> None:
    page = page_of(tmp_path, result() | {"notes": ["<script>alert(1)</script>"]})
    assert "<script>alert(1)</script>" in page.words


def test_the_command_repeats_it() -> None:
    found = result()
    assert set(KEYS) <= set(found)
    many = replace(held("random-kills", REPLACED, QUICK), options=DrillOptions(times=7, seed=3))
    assert "--times 7 --seed 3" in as_found(many)["command"]
    assert found["command"] == (
        "windtunnel drill kill-shard --customers 5000 --days 2 --shards 2 --seed 1 --promise durable --objective 1"
    )


def test_a_drill_ends_with_where_its_report_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hold(drill: Any, options: Any, folder: Path, tell: Any) -> Held:
        folder.mkdir()
        return held(drill.name, REPLACED, LATE + QUICK)

    monkeypatch.setattr("loadtests.drills.hold", hold)
    given = {"customers": 5_000, "days": 2, "shards": 2, "standby": False, "promise": "durable", "objective_s": 1.0}
    given |= {"times": 1, "seed": 1, "address": None, "interval_ms": 1_000}
    assert drill("kill-shard", tmp_path, as_json=False, **given) == Exit.FINE
    report = Path(capsys.readouterr().out.splitlines()[-1])
    assert report.parent.parent == tmp_path
    assert sorted(path.name for path in report.parent.iterdir()) == [RESULT, "report.html"]


def test_report_of_a_drill_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / RESULT).write_text(json.dumps(result()))
    assert commands.report(tmp_path, as_json=False) == Exit.FINE
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")


def test_a_result_that_lacks_something_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = result()
    del found["lost"], found["responses"]
    (tmp_path / RESULT).write_text(json.dumps(found))
    assert commands.report(tmp_path, as_json=False) == Exit.WRONG_USE
    assert "(got none of lost, responses)" in capsys.readouterr().err
