"""`windtunnel load`: what is wrong is said at once, and how it ends says whether its figures are to be trusted."""

import json
from pathlib import Path
from typing import Any

import pytest

from loadtests.capacity import Capacity
from loadtests.capacity_commands import capacity
from loadtests.capacity_commands import code_of as capacity_code
from loadtests.capacity_run import changed
from loadtests.load_commands import BOUNDS, code_of, load
from results import capacity_report, load_report
from results.capacity_words import CAPACITY_RESULT, against, capacity_told, for_peak
from results.capacity_words import advice as advised
from results.load_words import RESULT, headline, table
from scenarios.commands import report
from scenarios.exits import Exit

GIVEN: dict[str, Any] = {
    "rate": 100.0, "seconds": 2.0, "scenario": None, "customers": 200, "days": 1, "seed": 1, "law": "poisson",
    "connections": 50, "generators": 1, "shards": "2", "standby": False, "url": "", "key": "", "adapter": None,
    "ca_file": "", "drill": "", "hot_customers": 0.0, "hot_coupon": 0.0, "bulk": 0.0,
}  # fmt: skip
SEARCH: dict[str, Any] = {"trial_seconds": 1.0, "repeats": 3, "peak": 0.0, "baseline": None, "at_shards": None}
TIMES = {"p50": 9.5, "p90": 12.0, "p99": 21.3, "p99_9": 30.0, "max": 38.0, "mean": 10.0}
STAGE: dict[str, Any] = {
    "stage": "steady", "counts": True, "seconds": 10.0, "at_once": 0, "planned": 2_000, "offered_per_s": 201.6,
    "achieved_per_s": 201.0, "offered": 2_016, "done": 2_016, "dropped": 0, "waited": 0, "failed": {},
    "response_ms": TIMES, "service_ms": TIMES, "late_ms": {"p99": 0.4}, "busy": [0.11],
    "cores": {"generator": 0.11, "gateway": 0.4, "shard 0": 0.2},
    "target_cores": 0.6, "skew": {"events": 1.02, "cores": 1.0}, "queue_events": 3.0, "settling": 1.0,
    "oldest_batch_ms": 0.0, "loop_lag_ms": 2.5,
}  # fmt: skip
FOUND: dict[str, Any] = {
    "profile": "steady", "sentence": "one rate", "valid": True, "invalid": [], "slo": None, "slo_missed": [],
    "not_reached": [], "stages": [STAGE], "target": "windtunnel serve, 2 shards", "scenario": "account_ring",
    "customers": 2_000, "seed": 1, "rate": 200.0, "seconds": 10.0, "law": "poisson", "connections": 200,
    "generators": 1, "tape": "d1", "requests": 5_000, "command": "windtunnel load steady",
    "all": STAGE | {"errors": 0},
    "actions": {"decide": {"offered": 2_016, "failed": {}, "response_ms": TIMES}}, "cores": [[0.5, {"target": 0.4}]],
    "gauges": [], "schedule": [], "drill": None, "bin_s": 0.25,
    "series": {"offered": [50], "bad": [0], "worst_us": [9_000], "achieved": [50]},
}  # fmt: skip
CAPACITY: dict[str, Any] = {
    "slo": "p99 ≤ 25 ms", "per_s": 1_200.0, "low": 1_150.0, "high": 1_260.0, "searches": [1_180.0, 1_220.0],
    "ends": "", "target_per_s": 805.0, "headroom": 0.7, "target": "windtunnel serve, 2 shards", "customers": 2_000,
    "trial_seconds": 8.0, "scenario": "account_ring", "seed": 1, "requests": 5_000, "tape": "d1", "command": "…",
    "trials": [{"rate": 100.0, "kept": True, "invalid": [], **STAGE},
               {"rate": 2_000.0, "kept": False, "invalid": [], **STAGE}],
    "slo_ms": 25.0, "peak": 0.0, "machines": None, "change": None, "scaling": None,
    "others": "the others",
    "saturated": {
        "rate": 2_000.0, "full": "machine", "nearest": ["gateway", 0.81], "machine_cores": 2, "used_cores": 1.94,
        "cores": [["gateway", 0.81], ["generator", 0.6], ["shard 0", 0.3]], "queue_events": 410.0, "settling": 0.0,
        "offered": 9_000, "waited": 270, "oldest_batch_ms": 250.0, "loop_lag_ms": 31.0, "generator_busy": 0.6,
        "skew": {"events": 1.04, "cores": 1.02},
    },
}  # fmt: skip


def test_everything_that_is_wrong_is_said_at_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    wrong = GIVEN | {name: high + 1 for name, (_, high) in BOUNDS.items() if name in GIVEN}
    wrong |= {"law": "even", "adapter": Path("nix"), "scenario": Path("nix")}
    assert load("stampede", "p42=3ms", tmp_path, False, **wrong) == Exit.WRONG_USE
    said = capsys.readouterr().err
    for name in BOUNDS.keys() & GIVEN.keys():
        assert f"--{name.replace('_', '-')} must be between" in said
    for words in ("a profile must be one of steady, ", "--arrivals must be one of poisson, uniform (got even)",
                  "--adapter must come with --url", "--adapter must be a file (got nix)", "--slo must be one of p50",
                  "--scenario must be a file (got nix)"):  # fmt: skip
        assert words in said, said
    assert "Traceback" not in said and not list(tmp_path.iterdir())
    search = SEARCH | {"trial_seconds": 0.0, "repeats": 99, "peak": -1.0, "baseline": Path("nix")}
    assert capacity("p99=25ms", search, tmp_path, False, **GIVEN) == Exit.WRONG_USE
    said = capsys.readouterr().err
    for words in ("--trial-seconds must be between", "--repeats must be between", "--peak must be between",
                  "--baseline must be a file (got nix)"):  # fmt: skip
        assert words in said
    (tmp_path / "other.json").write_text('{"per_s": 3}')
    search = SEARCH | {"baseline": tmp_path / "other.json"}
    assert capacity("p99=25ms", search, tmp_path, False, **GIVEN) == Exit.WRONG_USE
    assert "a baseline must be as `load capacity` writes it" in capsys.readouterr().err
    (tmp_path / "other.json").write_text(json.dumps(CAPACITY | {"slo": "p50 ≤ 9 ms"}))
    assert capacity("p99=25ms", search, tmp_path, False, **GIVEN) == Exit.WRONG_USE
    said = capsys.readouterr().err
    for words in ("slo of a baseline must be p99 ≤ 25 ms, as here (got p50 ≤ 9 ms)",
                  "customers of a baseline must be 200",
                  "scenario of a baseline must be account_ring.scenario.yaml, as here (got account_ring)"):  # fmt: skip
        assert words in said


def test_a_service_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code = load("steady", None, tmp_path / "runs", False, **GIVEN | {"url": "http://127.0.0.1:1"})
    assert code == Exit.HARNESS_ERROR
    said = capsys.readouterr().err
    assert "the load could not be held: http://127.0.0.1:1 does not answer: [Errno 111] Connection refused" in said
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


ENDS: dict[str, tuple[dict[str, Any], int, str]] = {
    "held": ({}, Exit.FINE, "The rate was held: 2,016 of 2,016"),
    "kept": ({"slo": "p99 ≤ 25 ms"}, Exit.FINE, "and p99 ≤ 25 ms was kept."),
    "missed": ({"slo": "p99 ≤ 9 ms", "slo_missed": ["80%"]}, Exit.MISSED, "MISSED: p99 ≤ 9 ms was not kept in 80%"),
    "not reached": ({"not_reached": ["all"], "slo_missed": ["all"]}, Exit.NOT_REACHED, "WAS NOT REACHED in all:"),
    "invalid": ({"valid": False, "invalid": ["late"], "not_reached": ["x"]}, Exit.SATURATED, "INVALID: the generator"),
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_how_it_ends(end: str, tmp_path: Path) -> None:
    more, code, words = ENDS[end]
    found = FOUND | more
    assert code_of(found) == code and words in headline(found)
    (tmp_path / RESULT).write_text(json.dumps(found), "utf-8")
    page = load_report.render(tmp_path).read_text("utf-8")
    assert words.replace(">", "&gt;") in page and "windtunnel load steady" in page


def test_a_report_is_written_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file, found in ((RESULT, FOUND), (CAPACITY_RESULT, CAPACITY)):
        folder = tmp_path / file
        folder.mkdir()
        (folder / file).write_text(json.dumps(found), "utf-8")
        assert report(folder, False) == Exit.FINE and (folder / "report.html").is_file()
        less = {name: value for name, value in found.items() if name != "command"}
        (folder / file).write_text(json.dumps(less), "utf-8")
        assert report(folder, False) == Exit.WRONG_USE and "command" in capsys.readouterr().err


def test_the_table_has_a_line_a_stage() -> None:
    heads, line = table([STAGE])
    assert heads.split()[:4] == ["stage", "offered/s", "achieved/s", "dropped"]
    assert line.split() == ["steady", "202", "201", "0", "0", "9.5", "12.0", "21.3", "30.0", "38.0", "11%", "busy"]


def test_a_search_leads_with_the_rate(tmp_path: Path) -> None:
    first, validity, advice, bound = capacity_told(CAPACITY)  # without a baseline or a peak
    assert first == "1,200 requests/s are sustained with p99 ≤ 25 ms (95 % interval 1,150–1,260, 2 searches)."
    assert validity.startswith("To be trusted: wherever a rate was kept, generators were at most 11% busy")
    noisy = {**STAGE, "cores": STAGE["cores"] | {"the others": 0.7}}
    trials = [{"rate": 100.0, "kept": True, "invalid": [], **noisy}]
    assert "everything else on the machine used up to 0.7 cores" in capacity_told(CAPACITY | {"trials": trials})[1]
    assert advised(CAPACITY | {"low": 700.0}).startswith("Do not plan with it: searches differ too much.")
    assert "everything else" not in validity and advice.startswith(
        "Plan with 805/s a machine: 70% of the interval's lower end"
    )
    assert bound == (
        "At 2,000/s, the lowest rate that was not kept, the machine was full: 1.9 of this machine's 2 cores were used "
        "(gateway 0.81, generator 0.60, shard 0 0.30); 3.0% of the requests found no connection free when due "
        "(--connections); 410 events waited for a shard at most; the oldest batch was 250 ms under way; shards were "
        "used evenly (the busiest got 1.04 times the mean of events)."
    )
    (tmp_path / CAPACITY_RESULT).write_text(json.dumps(CAPACITY), "utf-8")
    page = capacity_report.render(tmp_path).read_text("utf-8")
    assert "1,200 requests/s are sustained" in page and page.count(">not kept<") == 1


def test_a_search_is_held_against_a_baseline_and_a_peak(tmp_path: Path) -> None:
    change = {"word": "regressed", "ratio": 0.8, "low": 0.7, "high": 0.92, "before_per_s": 1_500.0, "is_bound": False}
    found = CAPACITY | {"peak": 20_000.0, "machines": [23, 25], "change": change}
    said = capacity_told(found)
    assert said[2] == "Against the baseline of 1,500/s: REGRESSED, 0.80 times (95 % interval 0.70–0.92)."
    assert said[4].startswith("A peak of 20,000/s needs 23 to 25 machines like this one")
    codes = [capacity_code(found | {"change": change | {"word": word}}) for word in ("regressed", "improved")]
    assert codes == [Exit.MISSED, Exit.FINE] and capacity_code(found | {"ends": "generator"}) == Exit.SATURATED
    (tmp_path / CAPACITY_RESULT).write_text(json.dumps(found), "utf-8")
    assert "REGRESSED" in capacity_report.render(tmp_path).read_text("utf-8")


@pytest.mark.parametrize(
    ("ends", "before_ends", "now", "word"),
    [
        ("", "", 500.0, "regressed"),
        ("no more was tried", "", 500.0, "not distinguishable"),  # it may hold any rate above
        ("no more was tried", "", 2_000.0, "improved"),
        ("", "no more was tried", 2_000.0, "not distinguishable"),
        ("", "no more was tried", 500.0, "regressed"),
    ],
)
def test_a_bound_from_below_is_not_taken_for_a_rate(ends: str, before_ends: str, now: float, word: str) -> None:
    found = Capacity(now, now / 1.02, now * 1.02, [now], [], ends)
    change = changed(found, CAPACITY | {"per_s": 1_000.0, "low": 980.0, "high": 1_020.0, "ends": before_ends})
    assert change["word"] == word
    said = against(CAPACITY | {"change": change})
    assert ("only a bound from below" in said) == bool(ends or before_ends) and word.upper() in said
    assert "needs at most 25 machines" in for_peak(CAPACITY | {"ends": "x", "peak": 2e4, "machines": [25, 25]})
