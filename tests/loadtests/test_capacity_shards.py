"""The rate for several numbers of shards: what may be asked, what is told, and what is not believed."""

import json
from pathlib import Path
from typing import Any

import pytest

from loadtests import capacity_shards
from loadtests.capacity_commands import code_of
from loadtests.capacity_shards import numbers_of, problems, scaling
from loadtests.load_commands import command
from results import capacity_report
from results.capacity_words import CAPACITY_RESULT, capacity_told
from scenarios.exits import Exit
from tests.loadtests.test_load_commands import CAPACITY, GIVEN, SEARCH

PROBLEMS: list[tuple[dict[str, Any], str]] = [
    ({"shards": "1,2,4"}, ""),
    ({"shards": "3"}, ""),
    ({"shards": "1,2,4", "at_shards": 8}, ""),
    ({"shards": "1,2,4", "at_shards": 9}, "--at-shards must be between 1 and 8, 2 times the most that is measured"),
    ({"shards": "1,2,4", "at_shards": 0}, "--at-shards must be between 1 and 8"),
    ({"shards": "2", "at_shards": 3}, "--at-shards must come with at least 3 numbers of --shards"),
    ({"shards": "1,2"}, "--shards must be one number or at least 3 different ones"),
    ({"shards": "1,2,2"}, "--shards must be one number or at least 3 different ones"),
    ({"shards": "1,2,99"}, "--shards must be between 1 and 32, or several of them with commas between (got 1,2,99)"),
    ({"shards": "one"}, "--shards must be between 1 and 32"),
    ({"shards": "1,,2"}, "--shards must be between 1 and 32"),
    ({"shards": "1,2,4", "url": "http://there"}, "--shards must be one number with --url"),
    ({"shards": "1,2,4", "repeats": 2}, "--repeats must be at least 3 with several --shards"),
]


@pytest.mark.parametrize(("more", "words"), PROBLEMS)
def test_what_may_be_asked(more: dict[str, Any], words: str) -> None:
    found = problems(GIVEN | SEARCH | more, is_search=True)
    assert words in " ".join(found) if words else not found, found


def test_a_profile_is_run_with_one_number() -> None:
    assert problems(GIVEN | {"shards": "1,2,4"}, is_search=False) == [
        "--shards must be between 1 and 32 (got 1,2,4)"]  # fmt: skip
    assert numbers_of("2, 1,4") == [2, 1, 4]


def test_a_command_repeats_a_share_that_is_nothing() -> None:
    """Of some options 0 is what holds without them, of others it is not."""
    words = command("capacity", "p99=25ms", GIVEN | SEARCH | {"bulk": 0.0, "shards": "1,2,4", "at_shards": 8})
    assert "--bulk 0 " in words and "--shards 1,2,4" in words and "--at-shards 8" in words
    assert "--peak" not in words and "--hot-coupon" not in words


def measured(per_s: float, ends: str = "") -> dict[str, Any]:
    own = {"per_s": per_s, "low": per_s / 1.02, "high": per_s * 1.02, "searches": [per_s] * 3, "ends": ends}
    return {name: CAPACITY[name] for name in ("trials", "saturated")} | own


def told_of(points: dict[int, dict[str, Any]], at: int | None = None) -> dict[str, Any]:
    return CAPACITY | {"scaling": scaling(points, 1, at)}


def test_more_shards_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(capacity_shards, "cores_of_machine", lambda: 5)
    found = told_of({4: measured(1_250.0), 1: measured(600.0), 2: measured(960.0)}, at=8)  # σ and κ of 10 and 5 %
    said = " ".join(capacity_told(found))
    for words in (
        "By number of shards, with p99 ≤ 25 ms: 1 shard 600/s (588–612); 2 shards 960/s (941–979); 4 shards 1,250/s",
        "By the Universal Scalability Law one shard alone does 600/s",
        "Three numbers of shards for three parameters",
        "With 8 shards, more than were measured, it says ",
        "Emulated nodes: 4 shards shared this machine's 5 cores with gateway, Ledger and generator.",
    ):
        assert words in said, said
    assert "It misses" not in said
    (tmp_path / CAPACITY_RESULT).write_text(json.dumps(found), "utf-8")
    page = capacity_report.render(tmp_path).read_text("utf-8")
    assert page.count(">emulated<") == 1 and page.count("Every rate that was tried with") == 2
    assert "not measured beyond" in page and "Sustained rate by number of shards" in page


def test_a_law_that_turns_down_or_misses_says_so() -> None:
    down = told_of({1: measured(1_000.0), 2: measured(1_200.0), 4: measured(1_000.0)})
    assert "It turns down beyond 2." in " ".join(capacity_told(down))
    more = told_of({1: measured(100.0), 2: measured(200.0), 4: measured(400.0), 8: measured(1_500.0)})
    assert "It misses what was measured with " in " ".join(capacity_told(more))


def test_a_rate_that_is_only_a_bound_makes_no_law(tmp_path: Path) -> None:
    ends = "the generator was the bound: trial: a generator was 98% busy"
    found = told_of({1: measured(600.0), 2: measured(960.0), 4: measured(1_000.0, ends)}, at=8)
    assert f"No law is fitted: with 4 shards {ends}." in capacity_told(found)
    assert code_of(found) == Exit.SATURATED and code_of(found | {"scaling": None}) == Exit.FINE
    (tmp_path / CAPACITY_RESULT).write_text(json.dumps(found), "utf-8")
    assert "No law is fitted" in capacity_report.render(tmp_path).read_text("utf-8")


def test_searches_that_differ_too_much_make_no_law() -> None:
    loose = measured(900.0) | {"low": 300.0, "high": 2_700.0}
    said = capacity_told(told_of({1: measured(600.0), 2: loose, 4: measured(1_000.0)}))
    assert "No law is fitted: searches with 2 shards differ too much." in said
