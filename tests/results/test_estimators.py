"""Adjusted, winsorised, paired and adaptive estimates against what they should equal; how they are graded is in
test_grading.py."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from results.estimators import (
    ADAPTIVE_LEAST,
    Adjusted,
    Aipw,
    Binned,
    Moments,
    Winsorised,
    aipw_scores,
    bin_edges,
)
from results.paired import (
    DIFFERENCES_LEAST,
    DIFFERENCES_LEAST_MONEY,
    FEW_DIFFERENCES,
    PairedCustomers,
    PairedWorlds,
    pairing_factor,
)
from results.statistics import REFUSED, TOO_FEW, Mean


def customers(seed: int, n: int, effect: float = 0.0) -> np.ndarray:
    """(n, 3): spend now, spend and visits before."""
    rng = np.random.default_rng(seed)
    before, visits = rng.gamma(2.0, 500.0, n), rng.poisson(3.0, n)
    return np.column_stack([0.6 * before + 40 * visits + rng.normal(0.0, 300.0, n) + effect, before, visits])


# --- Adjusted ---------------------------------------------------------------------------------------------------------
def test_cuped_is_the_regression_with_both_groups_pooled() -> None:
    one, two = customers(1, 3_000, 50.0), customers(2, 2_000)
    found = Adjusted(Moments.of(one), Moments.of(two))
    design = np.vstack([one - one.mean(0), two - two.mean(0)])  # each around its own mean
    theta = np.linalg.lstsq(design[:, 1:], design[:, 0], rcond=None)[0]
    assert found.theta == pytest.approx(tuple(theta))
    adjusted = [rows[:, 0] - rows[:, 1:] @ theta for rows in (one, two)]
    welch = stats.ttest_ind(*adjusted, equal_var=False).confidence_interval(0.95)
    assert found.value == pytest.approx(adjusted[0].mean() - adjusted[1].mean())
    assert found.difference()[:2] == pytest.approx((welch.low, welch.high))


def test_cuped_says_what_it_gained() -> None:
    found = Adjusted(Moments.of(customers(1, 3_000)), Moments.of(customers(2, 3_000)))
    low, high, _ = found.difference()
    raw_low, raw_high, _ = found.raw.difference()
    assert low is not None and high is not None and raw_low is not None and raw_high is not None
    narrower = (high - low) / (raw_high - raw_low)
    assert 1 - narrower**2 == pytest.approx(found.variance_removed, abs=0.005)
    assert 0.6 < found.variance_removed < 0.8


def test_a_covariate_that_says_nothing_costs_nothing() -> None:
    def with_constant(rows: np.ndarray) -> Moments:
        return Moments.of(np.column_stack([rows[:, :2], np.full(len(rows), 7.0)]))

    one, two = customers(1, 500), customers(2, 500)
    same = Adjusted(Moments.of(one[:, :2]), Moments.of(two[:, :2]))
    found = Adjusted(with_constant(one), with_constant(two))
    assert found.theta[1] == 0.0
    assert found.difference()[:2] == pytest.approx(same.difference()[:2])
    alone = Adjusted(Moments.of(one[:, :1]), Moments.of(two[:, :1]))
    assert alone.theta == () and alone.variance_removed == pytest.approx(0.0, abs=1e-12)


def test_moments_add() -> None:
    rows = np.round(customers(3, 400))
    whole, parts = Moments.of(rows), Moments.of(rows[:150]) + Moments.of(rows[150:])
    assert (whole.n, whole.sums) == (parts.n, parts.sums)
    assert whole.products == pytest.approx(parts.products)
    assert whole.outcome.value == pytest.approx(rows[:, 0].mean())


def test_cuped_refuses_few_events() -> None:
    bought = np.column_stack([np.arange(1_000) < 9, np.arange(1_000)]).astype(float)
    often = np.column_stack([np.arange(1_000) < 400, np.arange(1_000)]).astype(float)
    assert Adjusted(Moments.of(often), Moments.of(bought)).difference() == REFUSED
    assert Adjusted(Moments.of(often), Moments.of(often[:20])).difference() == REFUSED


# --- Winsorised -------------------------------------------------------------------------------------------------------
def test_edges_are_whole_fen() -> None:
    edges = bin_edges()
    assert edges[:6] == (0, 1, 2, 3, 4, 5)
    assert all(isinstance(edge, int) for edge in edges)
    assert all(a < b for a, b in itertools.pairwise(edges))
    assert edges[-1] >= 10**10
    assert all(b / a < 1.26 for a, b in itertools.pairwise(edges) if a > 20)


def test_winsorised_is_the_mean_of_what_is_cut() -> None:
    rng = np.random.default_rng(4)
    one, two = np.round(rng.lognormal(6, 1.5, 5_000)), np.round(rng.lognormal(6, 1.5, 4_000))
    found = Winsorised(Binned.of(one), Binned.of(two))
    both = np.concatenate([one, two])
    quantile = np.sort(both)[math.ceil(0.999 * len(both)) - 1]
    assert found.threshold == min(edge for edge in bin_edges() if edge > quantile)
    cut = [np.minimum(values, found.threshold) for values in (one, two)]
    welch = stats.ttest_ind(*cut, equal_var=False).confidence_interval(0.95)
    assert found.difference()[:2] == pytest.approx((welch.low, welch.high))
    assert found.raw.treated.total == pytest.approx(one.sum())
    assert found.raw.control.squares == pytest.approx((two * two).sum())


def test_skew_is_that_of_the_difference() -> None:
    rng = np.random.default_rng(5)
    values = np.round(rng.lognormal(6, 1.0, 20_000))
    few = Winsorised(Binned.of(values[:19_000]), Binned.of(values[19_000:]))
    cut = np.minimum(values, few.threshold)
    one, two = 19_000, 1_000
    expected = stats.skew(cut) * (1 / one**2 - 1 / two**2) / (1 / one + 1 / two) ** 1.5
    assert few.skew == pytest.approx(expected, rel=0.1)
    assert few.skew < 0  # the control group is the small one
    even = Winsorised(Binned.of(values[:10_000]), Binned.of(values[10_000:]))
    assert abs(even.skew) < 1e-9


def test_winsorised_refuses_a_small_skewed_group() -> None:
    values = np.round(np.random.default_rng(6).lognormal(4, 2.0, 20_000))
    assert Winsorised(Binned.of(values[:19_900]), Binned.of(values[19_900:])).difference() == REFUSED
    assert Winsorised(Binned.of(values[:10_000]), Binned.of(values[10_000:])).difference() != REFUSED
    assert Winsorised(Binned.of(np.zeros(100)), Binned.of(np.zeros(100))).difference() == REFUSED


def test_histograms_add() -> None:
    values = np.round(np.random.default_rng(7).lognormal(6, 1.0, 900))
    assert Binned.of(values[:300]) + Binned.of(values[300:]) == Binned.of(values)
    one = Winsorised(Binned.of(values[:100]), Binned.of(values[100:300]))
    two = Winsorised(Binned.of(values[300:600]), Binned.of(values[600:]))
    assert (one + two).treated == Binned.of(np.concatenate([values[:100], values[300:600]]))
    with pytest.raises(AssertionError):
        Binned.of(values) + Binned.of(values, (0, 10, 100))


def test_below_0_is_never_cut() -> None:
    binned = Binned.of(np.array([-500.0, 20.0, 10**12]))
    assert binned.mean(math.inf).total == -480 + 10**12
    assert binned.threshold() == math.inf  # beyond the last edge nothing is cut
    assert binned.mean(1).total == -500 + 1 + 1


# --- Paired -----------------------------------------------------------------------------------------------------------
def differences(n: int, nonzero: int, seed: int = 8) -> np.ndarray:
    found = np.zeros(n)
    found[:nonzero] = np.random.default_rng(seed).choice([-1.0, 1.0, 1.0, 2.0], nonzero)
    return found


def test_paired_customers_add() -> None:
    rows = differences(5_000, 190)
    whole, parts = PairedCustomers.of(rows), PairedCustomers.of(rows[:100]) + PairedCustomers.of(rows[100:])
    assert whole == parts
    many = whole + whole
    assert (many.nonzero, many.differences) == (380, None)
    assert (many + whole).differences is None


def test_many_differences_give_students_t() -> None:
    rows = differences(5_000, FEW_DIFFERENCES)
    expected = stats.ttest_1samp(rows, 0.0).confidence_interval(0.95)
    low, high, note = PairedCustomers.of(rows).interval(counts=True)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert note == ""


def test_few_differences_give_the_bootstrap_and_say_so() -> None:
    rows = differences(5_000, 80)
    found = PairedCustomers.of(rows).interval(counts=True)
    assert "only 80 of 5,000 customers" in found.note and TOO_FEW not in found.note
    assert found == PairedCustomers.of(rows).interval(counts=True)
    rng = np.random.default_rng(9)  # the same by drawing customers, zeros and all
    drawn = np.array([rng.choice(rows, len(rows)) for _ in range(3_000)])
    t = np.abs(drawn.mean(1) - rows.mean()) / (drawn.std(1) / math.sqrt(len(rows)))
    half = float(np.quantile(t, 0.95)) * rows.std() / math.sqrt(len(rows))
    assert found[:2] == pytest.approx((rows.mean() - half, rows.mean() + half), abs=0.05 * half)


@pytest.mark.parametrize(
    ("nonzero", "counts", "given"),
    [
        (0, True, False),
        (DIFFERENCES_LEAST - 1, True, False),
        (DIFFERENCES_LEAST, True, True),
        (DIFFERENCES_LEAST, False, False),
        (DIFFERENCES_LEAST_MONEY - 1, False, False),
        (DIFFERENCES_LEAST_MONEY, False, True),
    ],
)
def test_too_few_differences(nonzero: int, counts: bool, given: bool) -> None:
    """Amounts need more: by default a measure counts as one."""
    found = PairedCustomers.of(differences(20_000, nonzero)).interval(counts=counts)
    assert (found.low is not None) == given
    assert (TOO_FEW in found.note) == (not given)


def test_paired_worlds() -> None:
    """Student 1908, the sleep data: mean 1.58, standard error 0.389; t of 9 degrees of freedom 2.2622."""
    sleep = PairedWorlds((1.2, 2.4, 1.3, 1.3, 0.0)) + PairedWorlds((1.0, 1.8, 0.8, 4.6, 1.4))
    assert sleep.value == pytest.approx(1.58)
    assert sleep.interval()[:2] == pytest.approx((0.7001, 2.4599), abs=5e-5)
    few = PairedWorlds(sleep.differences[:9])
    assert few.interval().low is None and "9 of at least 10 worlds" in few.interval().note
    assert PairedWorlds(()).value is None
    assert PairedWorlds((0.0,) * 10).interval()[:2] == (0.0, 0.0)


def test_pairing_factor() -> None:
    a = np.random.default_rng(10).normal(0.0, 3.0, 4_000)
    noise = np.random.default_rng(11).normal(0.0, 1.0, 4_000)
    assert pairing_factor(a, a + noise) == pytest.approx(math.sqrt(9 + 10), rel=0.05)
    assert pairing_factor(a, noise) == pytest.approx(1.0, rel=0.05)
    assert pairing_factor([1.0, 2.0], [2.0, 3.0]) is None
    assert pairing_factor([1.0], [2.0]) is None


# --- Adaptive arms ----------------------------------------------------------------------------------------------------
def test_aipw_weighs_by_the_probability() -> None:
    """Those who buy anyway come when the arm is rare: the raw mean is far off, the scores' mean is not."""
    rng = np.random.default_rng(12)
    n = 40_000
    likely = rng.random(n) < 0.5
    probability = np.where(likely, 0.1, 0.8)
    got, bought = rng.random(n) < probability, (rng.random(n) < np.where(likely, 0.5, 0.1)).astype(float)
    for expected in (np.zeros(n), np.full(n, 0.3), np.where(likely, 0.5, 0.1)):  # a wrong guess does no harm
        scores = aipw_scores(bought, got, probability, expected)
        squares = float(scores @ scores)
        found = Aipw(Mean(n, scores.sum(), squares), Mean(got.sum(), bought[got].sum(), bought[got].sum()))
        low, high, _ = found.interval()
        assert low is not None and high is not None
        assert low < 0.3 < high
        assert found.raw.value == pytest.approx(0.144, abs=0.01)


def test_aipw_needs_the_floor_and_customers() -> None:
    with pytest.raises(AssertionError, match="at least 5 %"):
        aipw_scores(np.ones(2), np.array([True, False]), np.array([0.5, 0.04]), np.zeros(2))
    few = Aipw(Mean(ADAPTIVE_LEAST - 1, 900.0, 900.0), Mean(5_000, 450.0, 450.0))
    assert few.interval() == REFUSED
    enough = few + Aipw(Mean(1, 0.0, 0.0), Mean(1, 0.0, 0.0))
    assert enough.interval() != REFUSED
