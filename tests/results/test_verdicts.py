"""FIDELITY 12: the words, by table; Holm and Benjamini-Hochberg against worked examples."""

import math

import numpy as np
import pytest

from results.paired import PairedWorlds
from results.statistics import REFUSED, Interval, normal_quantile
from results.verdicts import (
    IntervalAt,
    benjamini_hochberg,
    guardrail,
    holm,
    mirrored,
    p_value,
    verdict,
    worlds_for_guardrail,
    worlds_for_verdict,
)

GOALS = """
 low   high  matters  more is better             less is better
 0.1    0.5        1  better                     worse                      # however little: it is above 0
-0.5   -0.1        1  worse                      better
 2.0    3.0        1  better                     worse
-0.5    0.5        1  no difference that matters no difference that matters
-1.0    1.0        1  no difference that matters no difference that matters # the margin itself does not matter
 0.0    0.5        1  no difference that matters no difference that matters # touches 0: not above it
-0.5    1.5        1  undecided                  undecided
-1.5    0.5        1  undecided                  undecided
-2.0    2.0        1  undecided                  undecided
 0.0    0.0        0  no difference that matters no difference that matters # exactly nothing
   -      -        1  undecided                  undecided                  # too few for an interval
"""

GUARDRAILS = """
 low   high  at_most_worse  more is better  less is better
-0.5    0.5              1  kept            kept
-3.0   -2.0              1  broken          kept
 2.0    3.0              1  kept            broken
-1.0    9.0              1  kept            undecided               # the limit itself is kept
-9.0    1.0              1  undecided       kept
-3.0   -1.0              1  undecided       kept                    # broken only wholly beyond the limit
-1.5    0.5              1  undecided       kept
 0.1    0.5              0  kept            broken
   -      -              1  undecided       undecided
"""


def rows(table: str) -> list[list[str]]:
    lines = [line.split("#")[0].rstrip() for line in table.strip().splitlines()[1:]]
    return [line.replace("no difference that matters", "no_difference").split() for line in lines]


def interval(low: str, high: str) -> Interval:
    return REFUSED if low == "-" else Interval(float(low), float(high))


@pytest.mark.parametrize(("low", "high", "matters", "more", "less"), rows(GOALS))
def test_words_of_a_goal(low: str, high: str, matters: str, more: str, less: str) -> None:
    difference = interval(low, high)
    found = [verdict(difference, float(matters), better) for better in (True, False)]
    assert found == [word.replace("no_difference", "no difference that matters") for word in (more, less)]


@pytest.mark.parametrize(("low", "high", "limit", "more", "less"), rows(GUARDRAILS))
def test_words_of_a_guardrail(low: str, high: str, limit: str, more: str, less: str) -> None:
    assert [guardrail(interval(low, high), float(limit), better) for better in (True, False)] == [more, less]


def test_a_mirrored_interval_keeps_its_note() -> None:
    assert mirrored(Interval(1.0, 3.0, "few")) == Interval(-3.0, -1.0, "few")
    assert mirrored(REFUSED) == REFUSED


def test_worlds_it_takes() -> None:
    """Half a width of 1 at 10 worlds; seen as 0.5, it takes ((1.96 + 0.84) / 1.96 x 1 / 0.5)^2 x 10 worlds."""
    reach = 1 + normal_quantile(0.6) / normal_quantile(0.95)
    assert worlds_for_verdict(Interval(-0.5, 1.5), 10, 0.1) == math.ceil(10 * (reach / 0.5) ** 2) == 82
    assert worlds_for_verdict(Interval(-1.0, 1.0), 10, 0.5) == math.ceil(10 * (reach / 0.5) ** 2)  # inside +- 0.5
    assert worlds_for_verdict(Interval(-1.0, 1.0), 10, 0.0) is None  # neither above 0 nor within nothing
    assert worlds_for_verdict(REFUSED, 10, 0.5) is None
    assert worlds_for_guardrail(Interval(-1.5, 0.5), 10, 1.0) == 82  # a harm of 0.5, the limit 0.5 away
    assert worlds_for_guardrail(Interval(-0.5, 1.5), 10, 1.0, more_is_better=False) == 82
    assert worlds_for_guardrail(Interval(0.0, 2.0), 10, 1.0, more_is_better=False) is None  # on the limit


@pytest.mark.parametrize("effect", [0.3, 0.5])
def test_so_many_worlds_decide_in_four_of_five(effect: float) -> None:
    """As many worlds as an interval of 10 at the true effect and deviation asks for."""
    half = normal_quantile(0.95) / math.sqrt(10)
    needed = worlds_for_verdict(Interval(effect - half, effect + half), 10, 0.0)
    assert needed is not None
    studies = np.random.default_rng(3).normal(effect, 1.0, (1_000, needed)).tolist()
    decided = [verdict(PairedWorlds(tuple(study)).interval(), 0.0) == "better" for study in studies]
    assert 0.75 <= np.mean(decided) <= 0.85


def normal(z: float) -> IntervalAt:
    """An estimate z standard errors from 0."""
    return lambda confidence: Interval(z - normal_quantile(confidence), z + normal_quantile(confidence))


def test_p_is_where_the_interval_touches_0() -> None:
    assert p_value(normal(1.959964)) == pytest.approx(0.05, rel=1e-5)
    assert p_value(normal(-3.290527)) == pytest.approx(0.001, rel=1e-4)
    assert p_value(normal(0.0)) == pytest.approx(1.0)
    assert p_value(normal(99.0)) == pytest.approx(1e-9)
    assert p_value(lambda confidence: REFUSED) is None


@pytest.mark.parametrize(
    ("p", "called"),
    [
        ((0.010, 0.020, 0.030), (True, True, True)),  # 0.010 < 0.0167, 0.020 < 0.025, 0.030 < 0.05
        ((0.010, 0.030, 0.040), (True, False, False)),  # 0.030 > 0.025
        ((0.020, 0.020, 0.020), (False, False, False)),  # 0.020 > 0.0167
        ((0.600, 0.001, 0.024), (False, True, True)),
        ((0.049,), (True,)),
        ((), ()),
    ],
)
def test_holm(p: tuple[float, ...], called: tuple[bool, ...]) -> None:
    found = holm([normal(normal_quantile(1 - value)) for value in p])
    assert tuple(verdict(one.interval, 0.0) == "better" for one in found) == called


def test_holm_says_at_which_confidence() -> None:
    found = holm([normal(5.0), normal(0.1), normal(0.2)])
    assert [one.confidence for one in found] == pytest.approx([1 - 0.05 / 3, 0.975, 0.975])


def test_benjamini_hochberg() -> None:
    """Benjamini and Hochberg 1995, section 3.2: of these fifteen, four are found at q = 0.05."""
    p = (0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
         0.7590, 1.0)  # fmt: skip
    adjusted = benjamini_hochberg(p)
    assert [value <= 0.05 for value in adjusted] == [True] * 4 + [False] * 11
    assert adjusted[:4] == pytest.approx((0.0015, 0.003, 0.0095, 0.035625))
    assert benjamini_hochberg(p[::-1]) == adjusted[::-1]
    assert benjamini_hochberg(()) == ()
