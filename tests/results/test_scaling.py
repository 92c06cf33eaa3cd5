"""The law of scaling is found where it is planted; its intervals hold the truth as often as they say, and it is not
asked further than twice what was measured."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from results.scaling import Law, Point, fitted, furthest

ALONE = 1_000.0


def rate(n: float, contention: float, coherency: float) -> float:
    return ALONE * n / (1 + contention * (n - 1) + coherency * n * (n - 1))


def exact(numbers: Sequence[int], contention: float, coherency: float, width: float = 1.02) -> list[Point]:
    rates = [rate(n, contention, coherency) for n in numbers]
    return [Point(n, x, x / width, x * width, 3) for n, x in zip(numbers, rates, strict=True)]


@pytest.mark.parametrize("numbers", [(1, 2, 4), (2, 3, 5, 8), (1, 2, 4, 8, 16)])
@pytest.mark.parametrize("truth", [(0.0, 0.0), (0.1, 0.0), (0.0, 0.02), (0.1, 0.02), (0.7, 0.1)])
def test_an_exact_law_is_found(numbers: tuple[int, ...], truth: tuple[float, float]) -> None:
    law = fitted(exact(numbers, *truth), draws=200)
    found = (law.alone_per_s.value, law.contention.value, law.coherency.value)
    assert found == pytest.approx((ALONE, *truth), abs=1e-6) and not law.missed
    assert law.at(law.furthest).value == pytest.approx(rate(2 * max(numbers), *truth), rel=1e-6)


def test_rates_however_uncertain_have_a_law() -> None:
    points = [Point(1, 600.0, 500.0, 720.0, 3), Point(2, 700.0, 690.0, 710.0, 3), Point(4, 400.0, 20.0, 8_000.0, 3)]
    law = fitted(points)
    assert np.isfinite(law.drawn).all() and (law.drawn[:, 0] > 0).all() and law.at(8).low < law.at(8).high


def test_where_it_turns_down() -> None:
    law = fitted(exact((1, 2, 4), 0.1, 0.1, width=1.001), draws=200)
    assert law.peak.value == pytest.approx(3.0) and 2.5 < law.peak.low <= 3.0 <= law.peak.high < 3.5
    assert fitted(exact((1, 2, 4), 0.1, 0.0), draws=200).peak.value == math.inf
    assert fitted(exact((1, 2, 4), 1.3, 0.1), draws=200).peak.value == 1.0  # two do less than one


def test_it_is_not_asked_beyond_twice_what_was_measured() -> None:
    law = fitted(exact((1, 2, 4), 0.1, 0.02), draws=50)
    assert law.furthest == furthest([1, 2, 4]) == 8
    with pytest.raises(AssertionError, match="nothing measured speaks for 9 shards"):
        law.at(9)


def test_rates_that_no_such_law_gives_are_missed() -> None:
    """Eight shards do more than eight times as much; then, two that do nothing amid others."""
    more = [*exact((1, 2, 4), 0.0, 0.0), Point(8, 12_000.0, 11_800.0, 12_200.0, 3)]
    assert 8 in fitted(more, draws=50).missed
    fell = [one if one.n != 2 else Point(2, 500.0, 490.0, 510.0, 3) for one in exact((1, 2, 4, 8), 0.1, 0.01)]
    assert fitted(fell, draws=50).missed


def studied(numbers: Sequence[int], truth: tuple[float, float], chance: np.random.Generator, repeats: int) -> Law:
    """Searches that miss by 5 %, and Student's interval over them."""
    points = []
    student = {2: 4.303, 3: 3.182, 4: 2.776}[repeats - 1]
    for n in numbers:
        logs = np.log(rate(n, *truth)) + chance.normal(0.0, 0.05, repeats)
        middle, half = logs.mean(), student * logs.std(ddof=1) / math.sqrt(repeats)
        per_s, low, high = (float(np.exp(middle + side * half)) for side in (0, -1, 1))
        points.append(Point(n, per_s, low, high, repeats))
    return fitted(points, draws=400)


@pytest.mark.parametrize(
    ("numbers", "truth"),
    [
        ((1, 2, 4), (0.1, 0.03)),
        ((1, 2, 4, 8), (0.1, 0.01)),
        pytest.param((1, 2, 4, 8), (0.1, 0.0), marks=pytest.mark.long),
        pytest.param((1, 2, 4, 8, 16), (0.05, 0.002), marks=pytest.mark.long),
        pytest.param((1, 2, 4, 8), (0.6, 0.1), marks=pytest.mark.long),
        pytest.param((1, 2, 4), (0.0, 0.0), marks=pytest.mark.long),
    ],
)
def test_intervals_hold_the_truth(numbers: tuple[int, ...], truth: tuple[float, float]) -> None:
    """Of 300 studies, each of three searches a number: at least 95 % but for chance, where nothing is at its bound; at
    least nine in ten where σ and κ are 0, which an estimate cannot go below."""
    chance, studies = np.random.default_rng(7), 300
    held = np.zeros(5)
    far = furthest(numbers)
    wanted = (ALONE, *truth, rate(far, *truth), math.sqrt((1 - truth[0]) / truth[1]) if truth[1] else math.inf)
    for _ in range(studies):
        law = studied(numbers, truth, chance, 3)
        bands = (law.alone_per_s, law.contention, law.coherency, law.at(far), law.peak)
        held += [one.low <= value <= one.high for one, value in zip(bands, wanted, strict=True)]
    least = 0.88 if 0.0 in truth else 0.925
    assert (held / studies >= least).all(), held / studies
