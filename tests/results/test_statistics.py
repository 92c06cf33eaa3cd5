"""Every interval is graded: 2 000 studies with a known truth; one 10 % too narrow must turn red."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from results.paired import PairedFlags
from results.statistics import (
    CUSTOMERS_LEAST,
    REFUSED,
    TOO_FEW,
    Interval,
    Mean,
    Proportion,
    Ratio,
    TwoMeans,
    TwoProportions,
    TwoRatios,
    mid_p,
    sample_ratio_p,
)

STUDIES = 2_000
COVERAGE = (0.937, 0.962)  # FIDELITY 4, "Coverage"


def _proportions(rng: np.random.Generator) -> tuple[list[Interval], float]:
    events = rng.binomial(3_000, 0.1, STUDIES)
    return [Proportion(x, 3_000).interval() for x in events.tolist()], 0.1


def _two_proportions(rng: np.random.Generator, treated: int, control: int) -> list[TwoProportions]:
    shown, held = rng.binomial(treated, 0.136, STUDIES).tolist(), rng.binomial(control, 0.101, STUDIES).tolist()
    return [TwoProportions(Proportion(a, treated), Proportion(b, control)) for a, b in zip(shown, held, strict=True)]


def _differences(rng: np.random.Generator) -> tuple[list[Interval], float]:
    return [two.difference() for two in _two_proportions(rng, 5_000, 5_000)], 0.035


def _differences_small_holdout(rng: np.random.Generator) -> tuple[list[Interval], float]:
    return [two.difference() for two in _two_proportions(rng, 19_800, 1_000)], 0.035


def _relative(rng: np.random.Generator) -> tuple[list[Interval], float]:
    return [two.relative() for two in _two_proportions(rng, 5_000, 5_000)], 0.136 / 0.101 - 1


def _means(rng: np.random.Generator) -> tuple[list[Interval], float]:
    x = rng.gamma(2.0, 3.0, (STUDIES, 600))
    sums = zip(x.sum(1).tolist(), (x * x).sum(1).tolist(), strict=True)
    return [Mean(600, total, squares).interval() for total, squares in sums], 6.0


def _welch(rng: np.random.Generator) -> tuple[list[Interval], float]:
    x, y = rng.normal(5.0, 4.0, (STUDIES, 60)), rng.normal(4.0, 1.0, (STUDIES, 400))
    pairs = zip(x.sum(1), (x * x).sum(1), y.sum(1), (y * y).sum(1), strict=True)
    return [TwoMeans(Mean(60, a, aa), Mean(400, b, bb)).difference() for a, aa, b, bb in pairs], 1.0


def _ratios(rng: np.random.Generator) -> tuple[list[Interval], float]:
    """Clicks per exposure where customers differ: the binomial interval would cover about 83 %."""
    exposures = 1 + rng.poisson(2.0, (STUDIES, 1_500))
    taste = rng.beta(0.6, 2.4, (STUDIES, 1_500))  # mean 0.2
    clicks = rng.binomial(exposures, taste)
    return [_ratio(x, y).interval() for x, y in zip(clicks, exposures, strict=True)], 0.2


def _ratio(x: np.ndarray, y: np.ndarray) -> Ratio:
    return Ratio(len(x), *(float(s) for s in (x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum())))


SETTINGS = [_proportions, _differences, _differences_small_holdout, _relative, _means, _welch, _ratios]


def contains(interval: Interval, value: float) -> bool:
    assert interval.low is not None and interval.high is not None, "an interval is given"
    return interval.low <= value <= interval.high


def coverage(intervals: list[Interval], truth: float, width: float = 1.0) -> float:
    bounds = np.array([(i.low, i.high) for i in intervals], float)
    middle, half = bounds.mean(1), (bounds[:, 1] - bounds[:, 0]) / 2 * width
    return float(np.mean((middle - half <= truth) & (truth <= middle + half)))


@pytest.mark.parametrize("study", SETTINGS)
def test_intervals_cover(study: Callable[[np.random.Generator], tuple[list[Interval], float]]) -> None:
    intervals, truth = study(np.random.default_rng(20250303))
    assert COVERAGE[0] <= coverage(intervals, truth) <= COVERAGE[1]
    assert coverage(intervals, truth, width=0.9) < COVERAGE[0], "an interval 10 % too narrow must turn this red"
    assert coverage(intervals, truth, width=1.15) > COVERAGE[1], "an interval 15 % too wide must turn this red"


def test_binomial_interval_of_a_ratio_would_be_red() -> None:
    """Why the customer is the unit: exposures of one customer are alike."""
    rng = np.random.default_rng(3)
    exposures = 1 + rng.poisson(2.0, (STUDIES, 1_500))
    clicks = rng.binomial(exposures, rng.beta(0.6, 2.4, (STUDIES, 1_500)))
    pairs = zip(clicks.sum(1).tolist(), exposures.sum(1).tolist(), strict=True)
    assert coverage([Proportion(x, n).interval() for x, n in pairs], 0.2) < 0.90


def test_sums_add() -> None:
    """Two shards give what one would."""
    rng = np.random.default_rng(1)
    y = 1 + rng.poisson(2.0, 1_000)
    x = rng.binomial(y, 0.2)
    whole, parts = _ratio(x, y), _ratio(x[:300], y[:300]) + _ratio(x[300:], y[300:])
    assert parts == whole
    assert parts.interval() == whole.interval()
    assert Proportion(3, 10) + Proportion(4, 20) == Proportion(7, 30)
    assert Mean(2, 5.0, 13.0) + Mean(1, 1.0, 1.0) == Mean(3, 6.0, 14.0)


def test_published_values() -> None:
    """Newcombe 1998, table II, method 10, 56/70 - 48/80: 0.0524 to 0.3339; Wilson 81/263: 0.2553 to 0.3662."""
    two = TwoProportions(Proportion(56, 70), Proportion(48, 80)).difference()
    assert [two.low, two.high] == pytest.approx([0.0524, 0.3339], abs=5e-5)
    one = Proportion(81, 263).interval()
    assert [one.low, one.high] == pytest.approx([0.2553, 0.3662], abs=5e-5)


@pytest.mark.parametrize(
    "refused",
    [
        Proportion(10, CUSTOMERS_LEAST - 1).interval(),
        TwoProportions(Proportion(6, 1_000), Proportion(3, 1_000)).difference(),
        TwoProportions(Proportion(6, 1_000), Proportion(3, 1_000)).relative(),
        TwoProportions(Proportion(996, 1_000), Proportion(995, 1_000)).difference(),
        TwoProportions(Proportion(20, 1_000), Proportion(0, 1_000)).relative(),  # nothing bounds it above
        TwoProportions(Proportion(100, 1_000), Proportion(3, 1_000)).relative(),  # few, but not rare
        Mean(CUSTOMERS_LEAST - 1, 50.0, 200.0).interval(),
        Mean(1_000, 0.0, 0.0).interval(),
        Ratio(1_000, 19.0, 2_000.0, 19.0, 5_000.0, 40.0).interval(),
    ],
)
def test_refuses_where_too_few(refused: Interval) -> None:
    assert refused == Interval(None, None, TOO_FEW)


def test_few_events_are_exact() -> None:
    """Each limit leaves 2.5 % outside, half of what was seen counted (mid-P); 0 of n has 1 - 0.05^(1/n) above."""
    for events, n in ((3, 1_000), (1, 40), (9, 20_000), (38, 40)):
        low, high = mid_p(events, n)
        above = stats.binom.sf(events, n, low) + stats.binom.pmf(events, n, low) / 2
        below = stats.binom.cdf(events, n, high) - stats.binom.pmf(events, n, high) / 2
        assert [above, below] == pytest.approx([0.025, 0.025])
    assert mid_p(0, 1_000) == pytest.approx((0.0, 1 - 0.05 ** (1 / 1_000)))
    assert mid_p(1_000, 1_000) == pytest.approx((0.05 ** (1 / 1_000), 1.0))
    few = Proportion(4, 1_000)
    assert few.interval()[:2] == mid_p(4, 1_000) and few.method == "exact, mid-P"
    assert Proportion(400, 1_000).method == "Wilson score"


def test_ratio_of_few_events_is_conditional() -> None:
    """8 of 10 000 against 4 of 20 000: a share of 8 in 12, where 1 in 3 would be equal."""
    two = TwoProportions(Proportion(8, 10_000), Proportion(4, 20_000))
    low, high = mid_p(8, 12)
    assert two.relative()[:2] == pytest.approx((2 * low / (1 - low) - 1, 2 * high / (1 - high) - 1))


def test_limits_are_continuous_where_the_method_changes() -> None:
    """Exact below, approximate from there on: no step that a reader would notice."""
    bounds = [Proportion(x, 20_000).bounds() for x in range(5, 16)]
    widths = [high - low for low, high in bounds]
    assert all(0.97 < b / a < 1.15 for a, b in itertools.pairwise(widths))


def test_two_ratios_are_graded_and_add() -> None:
    rng = np.random.default_rng(9)
    y = 1 + rng.poisson(2.0, (2, 1_000))
    ratios = [_ratio(rng.binomial(exposures, p), exposures) for exposures, p in zip(y, (0.3, 0.2), strict=True)]
    two = TwoRatios(*ratios)
    assert two + two == TwoRatios(ratios[0] + ratios[0], ratios[1] + ratios[1])
    assert contains(two.difference(), 0.1) and not contains(two.difference(), 0.0)
    assert contains(two.relative(), 0.5) and not contains(two.relative(), 0.0)
    few = Ratio(1_000, 19.0, 2_000.0, 19.0, 5_000.0, 40.0)
    assert TwoRatios(ratios[0], few).difference() == TwoRatios(ratios[0], few).relative() == REFUSED


def test_sample_ratio_alarms() -> None:
    """FIDELITY 16: at most 8 alarms in 2 000 clean studies; 2 % of one arm lost among 400 000: at least 99 %."""
    rng = np.random.default_rng(5)
    clean = rng.binomial(20_000, 0.5, STUDIES).tolist()
    assert sum((sample_ratio_p([n, 20_000 - n], [0.5, 0.5]) or 0) < 0.001 for n in clean) <= 8
    lost = [(n, 400_000 - n) for n in rng.binomial(400_000, 0.5, 200).tolist()]
    alarms = sum((sample_ratio_p([a * 0.98, b], [0.5, 0.5]) or 0) < 0.001 for a, b in lost)
    assert alarms >= 198
    assert sample_ratio_p([3, 4], [0.5, 0.5]) is None


def test_few_flags_are_bounded_exactly() -> None:
    """Truth 3 in 10 000 more under one policy: the exact interval covers it at least as often as it says."""
    rng = np.random.default_rng(7)
    n, studies = 10_000, 1_000
    this, that = rng.binomial(n, 0.0005, studies), rng.binomial(n, 0.0002, studies)
    intervals = [PairedFlags(n, a, b).interval() for a, b in zip(this.tolist(), that.tolist(), strict=True)]
    covered = np.mean([low <= 0.0003 <= high for low, high, _ in intervals if low is not None and high is not None])
    assert 0.95 <= covered <= 1.0
    assert PairedFlags(n, 0, 0).interval().high < 6e-4  # type: ignore[operator]
