"""The first sentences of a comparison, for every verdict and every way its rows can fall."""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from results.comparison_lead import comparison_lead, plain_first_sentences, with_fresh_seed
from results.comparison_marks import Findings, Judged, findings
from results.comparison_store import write_table
from results.comparison_words import DONT, LAUNCH, NOT_ENOUGH, STAGED, advice
from results.query import Database
from results.words import formatted, people
from tests.results.synthetic_comparison import (
    Change,
    either_way,
    gentler,
    hardly,
    louder,
    nothing,
    write_synthetic_comparison,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_comparison(tmp_path_factory.mktemp("comparisons"))


@pytest.fixture(scope="module")
def opened(folder: Path) -> Iterator[Findings]:
    with findings(folder) as found:
        yield found


WORDS: list[tuple[str, Change, str, list[str]]] = [
    ("better", gentler, "rival instead of bank_card is better: +¥0.",
     [" a customer in 42 days (¥0.", ", about +¥", " on 10 M customers", "; no guardrail broken;",
      "it gets fewer clicks (", "and more value: take it", "population not calibrated."]),
    ("worse", louder, "rival instead of bank_card is worse: −¥",
     ["it gets more clicks (+", "and less value: keep bank_card", "breaks 2 guardrails: closes and mutes +",
      "at most 2 % was allowed"]),
    ("no difference that matters", hardly, "rival instead of bank_card makes no difference that matters:",
     ["all of it within the ±¥0.", "said to matter"]),
    ("undecided", either_way, "rival instead of bank_card is undecided after 10 worlds:",
     ["about ", " worlds would tell"]),
]  # fmt: skip


@pytest.mark.parametrize(("word", "change", "begins", "holds"), WORDS)
def test_the_first_sentence_of_each_verdict(
    tmp_path: Path, word: str, change: Change, begins: str, holds: list[str]
) -> None:
    folder = write_synthetic_comparison(tmp_path, policies={"bank_card": nothing, "rival": change}, truth=False)
    with findings(folder) as opened:
        assert opened.goal("rival").word == word
        sentences = said(opened)
    assert len(sentences) == 1
    assert sentences[0].startswith(begins)
    assert [part for part in holds if part not in sentences[0]] == []
    assert ("on 10 M customers" in sentences[0]) == (word in ("better", "worse"))


def said(opened: Findings) -> list[str]:
    return [" ".join(str(text.striptags()).split()) for text in comparison_lead(opened).sentences]


def with_rows(folder: Path, opened: Findings, tmp_path: Path, **changes: dict[str, Any]) -> list[str]:
    """The first sentences once some columns of verdicts of cap_3 are changed, by measure."""
    shutil.copytree(folder / "tables", tmp_path / "tables")
    rows = [replace(row, **changes.get(row.measure, {})) if row.policy == "cap_3" else row for row in opened.judged]
    write_table(tmp_path, "verdicts", [asdict(row) for row in rows])
    with Database(tmp_path) as database:
        return said(replace(opened, database=database, judged=tuple(rows)))


OPEN = {"word": "undecided", "worlds_needed": 37}
ROWS = [
    ({"complaints": OPEN}, "1 of 2 guardrails kept, undecided: complaints (37 worlds would tell)"),
    ({"complaints": {**OPEN, "worlds_needed": None, "low": None}}, "undecided: complaints (too rare to tell)"),
    ({"complaints": {"word": "broken"}}, "breaks a guardrail: complaints"),
    ({"profit": {**OPEN, "low": -0.1, "high": 0.9}}, "cap_3 instead of bank_card is undecided after 10 worlds"),
    (
        {"profit": {**OPEN, "low": None, "high": None}},
        "customers for whom the policies differ, too few for an interval",
    ),
    ({"profit": {"limit": 9.0}}, "less than the ¥9.00 that was said to matter"),
]


@pytest.mark.parametrize(("changes", "words"), ROWS)
def test_the_words_follow_the_rows(
    folder: Path, opened: Findings, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    sentences = with_rows(folder, opened, tmp_path, **changes)
    assert words in next(sentence for sentence in sentences if sentence.startswith("cap_3"))


def test_clickbait_the_policy_with_more_value_is_recommended(folder: Path) -> None:
    first, second, choice, *_ = plain_first_sentences(folder)
    assert first == (
        "cap_3 instead of bank_card is better: +¥0.398 a customer in 42 days (¥0.390–0.406), about +¥4.0 M on 10 M "
        "customers; it gets fewer clicks (−23 %) and more value: take it; closes and mutes −24 %; no guardrail broken; "
        "holds in 47 of 50 assumption sets; turns when annoyance lasts over 20.4 days; population not calibrated."
    )
    assert second.startswith("loud")
    assert "more clicks" in second
    assert choice.startswith("Take cap_3. It was chosen as the best of 2 policies")


def test_a_broken_guardrail_is_not_taken(folder: Path, opened: Findings, tmp_path: Path) -> None:
    sentences = with_rows(folder, opened, tmp_path, complaints={"word": "broken"})
    assert not any("take it" in sentence for sentence in sentences)
    assert any(sentence.startswith("Keep bank_card: none of the 2 policies") for sentence in sentences)


def test_fresh_seed() -> None:
    command = with_fresh_seed({"command": "windtunnel compare 'a b.yaml' --seed 7 --early", "seed": 7})
    assert command == "windtunnel compare 'a b.yaml' --early --seed 8"


ADVICE = [
    ("better", True, ["kept"], 0.9, LAUNCH),
    ("better", True, [], 0.8, LAUNCH),
    ("better", False, ["kept"], 0.9, STAGED),
    ("better", True, ["undecided"], 0.9, STAGED),
    ("better", True, ["kept"], 0.7, STAGED),
    ("better", True, ["kept"], None, STAGED),
    ("better", True, ["kept"], 0.4, NOT_ENOUGH),
    ("better", True, ["kept", "broken"], 0.9, DONT),
    ("worse", True, ["kept"], 0.9, DONT),
    ("no difference that matters", False, ["kept"], 0.9, DONT),
    ("undecided", True, ["broken"], 0.9, NOT_ENOUGH),
]


@pytest.mark.parametrize(("goal", "beyond", "rails", "share", "expected"), ADVICE)
def test_advice(goal: str, beyond: bool, rails: list[str], share: float | None, expected: str) -> None:
    assert advice(goal, beyond, rails, share) == expected


def test_the_turn_is_said(folder: Path) -> None:
    assert (
        "holds in 47 of 50 assumption sets; turns when annoyance lasts over 20.4 days"
        in plain_first_sentences(folder)[0]
    )


def test_a_campaign_alone_has_truth_estimate_and_naive_figure(opened: Findings) -> None:
    (truth,) = said(replace(opened, manifest={**opened.manifest, "rivals": []}))
    assert truth.startswith(
        "The “first use” campaign, in worlds with and without it: first use of customers reached goes"
    )
    for words in ("Its holdout estimates", "of 10 worlds its interval covers", "would claim +16.0 points"):
        assert words in truth
    assert "grew" not in truth  # a first use cannot repeat


def test_judged_rows_are_as_fine_as_their_interval() -> None:
    row = Judged("a", "b", "profit", "goal", "better", "yuan", 0.0723, 0.0668, 0.0778, 13.1, 0.13, 0.95, None, 9, "")
    assert str(row.shown().striptags()) == "+¥0.072"
    assert str(row.interval().striptags()) == "¥0.067–0.078"
    close = replace(row, low=0.0004, high=0.0365)
    assert str(close.interval().striptags()) == "¥0.0004–0.0365"  # better than none, and written so


MONEY = [
    (4.2e6, "+total:2", "+¥4.2 M"), (72_317, "total:2", "¥72,000"), (-999_999, "total:2", "−¥1.0 M"),
    (0.0004675, "thousand:2", "0.47"), (0.00001, "+each:2", "¥0.00"), (1.5e9, "many:3", "1.50 bn"),
    (0.0, "many:2", "0"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "spec", "text"), MONEY)
def test_money_and_counts_in_words(value: float, spec: str, text: str) -> None:
    assert formatted(value, spec) == text


def test_a_customer_base_in_words() -> None:
    assert [people(n) for n in (10_000_000, 12_500_000, 400_000)] == ["10 M", "12.5 M", "400,000"]
