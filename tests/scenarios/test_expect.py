"""Expectations: how they are read, when they hold, fail or cannot be decided, and which figures they may name."""

import math
from pathlib import Path

import pytest

from results.metrics import NO_SUMS, SHARED, metrics
from results.statistics import TOO_FEW, Estimate
from scenarios.expect import Expectation, ExpectationError, Verdict, figures, misread
from scenarios.run import RunOptions, run_scenario
from tests.scenarios.shop import Edit, loaded

READ = """
text                                   metric           low     high
0.2 <= lift[a] <= 0.5                  lift[a]          0.2     0.5
20% <= lift[a] <= 50%                  lift[a]          0.2     0.5
-1.5% <= lift[a] <= +2%                lift[a]          -0.015  0.02
lift[a] >= 3                           lift[a]          3       inf
lift[a]<=3                             lift[a]          -inf    3
srm_p[a] == 0.5                        srm_p[a]         0.5     0.5
uptake[a/held_out] >= 1%               uptake[a/held_out]  0.01    inf
  exposures >= 0                       exposures        0       inf
"""


@pytest.mark.parametrize("row", READ.strip().splitlines()[1:])
def test_reading(row: str) -> None:
    *words, metric, low, high = row.split()
    read = Expectation.parse(" ".join(words))
    assert (read.metric, read.low, read.high) == (metric, float(low), float(high))


@pytest.mark.parametrize(
    "text",
    ["lift[a]", "lift[a] > 3", "3 <= lift[a]", "lift >= 1e3", "lift >= 1,000", "lift >= three", "Lift >= 3", "",
     "lift[] >= 3", "lift[a >= 3", "0.2 >= lift[a] >= 0.1", "lift[a] >= 3 and exposures >= 1", "lift[a][b] >= 3",
     "0.5 <= lift[a] <= 0.2", "lift[a] >= 3 %"],
)  # fmt: skip
def test_what_is_no_expectation(text: str) -> None:
    with pytest.raises(ExpectationError):
        Expectation.parse(text)


VERDICTS = """
value  low   high  note    expectation           verdict
0.30   0.25  0.35  -       0.2 <= m <= 0.5       holds      # all of the interval inside
0.30   0.20  0.50  -       0.2 <= m <= 0.5       holds      # the ends belong to the region
0.30   0.19  0.35  -       0.2 <= m <= 0.5       undecided  # straddles the lower end
0.30   0.25  0.51  -       0.2 <= m <= 0.5       undecided  # straddles the upper end
0.30   0.10  0.90  -       0.2 <= m <= 0.5       undecided  # straddles both
0.10   0.05  0.19  -       0.2 <= m <= 0.5       fails      # all of it below
0.60   0.51  0.70  -       0.2 <= m <= 0.5       fails      # all of it above
0.10   0.05  0.20  -       0.2 <= m <= 0.5       undecided  # touches the end from outside
0.30   0.25  0.35  -       20% <= m <= 50%       holds      # percent is a way to write it
0.30   0.25  0.35  -       m >= 25%              holds
0.30   0.25  0.35  -       m >= 26%              undecided
0.30   0.25  0.35  -       m <= 24%              fails
12     -     -     count   m >= 12               holds      # a count has no interval: the value decides
11     -     -     count   m >= 12               fails
0.3    -     -     plain   m <= 40%              holds      # nor has a rate without sums
0.3    -     -     plain   m == 30%              holds
0.3    -     -     few     m <= 40%              undecided  # there should be an interval: nothing is decided
0.5    -     -     few     m <= 40%              undecided
0.3    -     -     shared  m <= 40%              undecided
-      -     -     nobody  m <= 40%              undecided  # 0 divided by 0
0.0    0.0   0.0   -       m == 0                holds
-0.1   -0.2  -0.05 -       m <= 0                holds
"""
NOTES = {"-": "", "count": "a count of this run", "plain": NO_SUMS, "few": TOO_FEW, "shared": SHARED,
         "nobody": "nobody to measure"}  # fmt: skip


def judged(row: str) -> tuple[Verdict, str]:
    """The verdict on a row, and the one it names."""
    value, low, high, note, *words, expected = row.partition("#")[0].split()
    found, lowest, highest = (None if number == "-" else float(number) for number in (value, low, high))
    estimate = Estimate(found, lowest, highest, "share", 100, "customer", NOTES[note])
    return Expectation.parse(" ".join(words)).judge({"m": estimate}), expected


@pytest.mark.parametrize("row", VERDICTS.strip().splitlines()[1:])
def test_verdicts(row: str) -> None:
    verdict, expected = judged(row)
    assert verdict.verdict == expected
    assert verdict.missed == (expected != "holds")


SENTENCES = [
    ("0.30   0.25  0.35  -     m <= 24%  fails", "expected m <= 24%, got 30% (99.9% interval 25% to 35%, n = 100)"),
    ("0.30   0.25  0.35  -     m <= 0.2  fails", "expected m <= 0.2, got 0.3 (99.9% interval 0.25 to 0.35, n = 100)"),
    ("0.30   0.25  0.35  -     m <= 0.3  undecided",
     ("expected m <= 0.3, got 0.3 (99.9% interval 0.25 to 0.35, n = 100): not enough evidence, take more customers")),
    ("0.30   -     -     few   m <= 40%  undecided",
     "expected m <= 40%, got 30% (too few for an interval): not enough evidence, take more customers"),
    ("-      -     -     nobody  m <= 4  undecided",
     "expected m <= 4, got no figure (nobody to measure): not enough evidence, take more customers"),
    ("11     -     -     count m >= 12   fails", "expected m >= 12, got 11"),
    ("1234567 -    -     count m >= 2000000  fails", "expected m >= 2000000, got 1,234,567"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "sentence"), SENTENCES)
def test_sentences(row: str, sentence: str) -> None:
    verdict, _ = judged(row)
    assert verdict.sentence() == sentence


def test_bounds_are_open_where_none_is_given() -> None:
    assert Expectation.parse("lift[a] >= 0").high == math.inf
    assert Expectation.parse("lift[a] <= 0").low == -math.inf


# One arm only, no holdout of its own, no universal one: each changes which figures there are.
POLICIES: list[list[Edit]] = [
    [],
    [("policy.yaml", "universal_holdout: {share: 10%}\n", "")],
    [("policy.yaml", "    holdout: {share: 50%}\n", "")],
]


@pytest.mark.parametrize("edits", POLICIES, ids=["both", "own", "universal"])
def test_every_figure_that_may_be_named_is_there_after_a_run_and_no_other(edits: list[Edit], tmp_path: Path) -> None:
    """The list checked before a run against what the run's own tables give."""
    known = ("spring.scenario.yaml", "  - visits_per_customer <= 50\n", "")
    shop = loaded(tmp_path, known, *edits)
    result = run_scenario(shop, RunOptions(out=tmp_path / "runs"))
    assert set(figures(shop.policy)) == set(metrics(result.run))
    for figure in figures(shop.policy):
        assert list(misread(Expectation.parse(f"{figure} >= 0"), shop.policy)) == []


def test_nothing_is_held_out_of_a_campaign_without_holdout(tmp_path: Path) -> None:
    edits = [*POLICIES[1], ("policy.yaml", "    holdout: {share: 50%}\n", "")]
    policy = loaded(tmp_path, ("spring.scenario.yaml", "  - visits_per_customer <= 50\n", ""), *edits).policy
    assert not any(figure.startswith(("lift", "uptake", "srm_p")) for figure in figures(policy))
    assert list(misread(Expectation.parse("lift[spring] >= 0"), policy)) == [
        "must be of a campaign with a holdout, for nothing else has lift (got lift[spring])"
    ]
