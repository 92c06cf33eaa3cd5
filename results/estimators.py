"""Estimates that need more than counts: adjusted for the past, winsorised, adaptive. Frozen values that add.

As in results/statistics.py an interval that grading (results/grading.py) shows to miss is refused, not approximated.
"""

import bisect
import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from results.statistics import (
    CONFIDENCE,
    REFUSED,
    Interval,
    Mean,
    TwoMeans,
)

Floats = NDArray[np.float64]

WINSORISED_AT = 0.999  # of the customers of both groups together (FIDELITY 15)
SKEW_MOST = 0.15  # of the difference between two means: coverage is off by 0.25 skew^2 (Hall 1992, "Bootstrap", 2.6)
PROBABILITY_LEAST = 0.05  # FIDELITY 8
ADAPTIVE_LEAST = 10_000  # customers in an experiment with adaptive arms
ROUNDING = 1e-12  # of a sum of squares: what a covariate that never varies may seem to vary by
EVENTS_LEAST_ADJUSTED = 10  # of a 0/1 outcome, in each group


# --- Adjusted for what customers did before ---------------------------------------------------------------------------
@dataclass(frozen=True)
class Moments:
    """Sums over n customers of an outcome y and up to two covariates c known before the experiment.

    `sums`: of y, c1, c2. `products`: of the upper triangle by rows: yy, y c1, y c2, c1 c1, c1 c2, c2 c2.
    """

    n: float
    sums: tuple[float, ...]
    products: tuple[float, ...]

    @staticmethod
    def of(columns: Floats) -> "Moments":
        """`columns`: (n, 1 + covariates), y first."""
        products = columns.T @ columns
        upper = products[np.triu_indices(columns.shape[1])]
        return Moments(len(columns), tuple(columns.sum(0).tolist()), tuple(upper.tolist()))

    def __add__(self, other: "Moments") -> "Moments":
        assert len(self.sums) == len(other.sums), "moments of the same columns add"
        sums = tuple(a + b for a, b in zip(self.sums, other.sums, strict=True))
        products = tuple(a + b for a, b in zip(self.products, other.products, strict=True))
        return Moments(self.n + other.n, sums, products)

    @property
    def outcome(self) -> Mean:
        return Mean(self.n, self.sums[0], self.products[0])

    @property
    def enough(self) -> bool:
        """A sum of 0 and 1 equals the sum of its squares: then events and non-events count."""
        events, ones = self.sums[0], self.sums[0] == self.products[0]
        return self.outcome.enough and (not ones or min(events, self.n - events) >= EVENTS_LEAST_ADJUSTED)

    def squares(self) -> Floats:
        """Sums of products, (k, k)."""
        size = len(self.sums)
        upper = np.zeros((size, size))
        upper[np.triu_indices(size)] = self.products
        both: Floats = upper + np.triu(upper, 1).T
        return both

    def centred(self) -> Floats:
        """Sums of products of deviations from this group's means, (k, k)."""
        sums = np.array(self.sums)
        centred: Floats = self.squares() - np.outer(sums, sums) / self.n
        return centred


@dataclass(frozen=True)
class Adjusted:
    """A difference of means less what the covariates explain: CUPED (Deng, Xu, Kohavi, Walker 2013, WSDM, "Improving
    the Sensitivity of Online Controlled Experiments by Utilizing Pre-Experiment Data", eq. 4 and appendix A).

    theta is pooled over both groups, each around its own mean, so that an effect does not bend it.
    """

    treated: Moments
    control: Moments

    def __add__(self, other: "Adjusted") -> "Adjusted":
        return Adjusted(self.treated + other.treated, self.control + other.control)

    @property
    def raw(self) -> TwoMeans:
        """Printed beside the adjusted figure (FIDELITY 6)."""
        return TwoMeans(self.treated.outcome, self.control.outcome)

    @property
    def theta(self) -> tuple[float, ...]:
        """Change of y per unit of each covariate; 0 for one that never varies."""
        pooled = self.treated.centred() + self.control.centred()
        varies = np.diag(pooled)[1:] > ROUNDING * np.diag(self.treated.squares() + self.control.squares())[1:]
        scale = np.sqrt(np.diag(pooled)[1:], out=np.full(len(varies), np.inf), where=varies)  # of very different sizes
        within = pooled[1:, 1:] / np.outer(scale, scale)
        return tuple((np.linalg.lstsq(within, pooled[1:, 0] / scale, rcond=1e-10)[0] / scale).tolist())

    def groups(self) -> TwoMeans:
        """Of y - theta c in each group; their difference is the adjusted one."""
        weights = np.array((1.0, *(-theta for theta in self.theta)))
        return TwoMeans(*(_weighted(group, weights) for group in (self.treated, self.control)))

    @property
    def value(self) -> float:
        means = self.groups()
        return means.treated.total / means.treated.n - means.control.total / means.control.n

    @property
    def variance_removed(self) -> float:
        """Share of the variance of the raw difference; 0.4 is worth 1 / (1 - 0.4) times the customers."""
        before, after = (
            sum(group.variance / group.n for group in (two.treated, two.control)) for two in (self.raw, self.groups())
        )
        return 1 - after / before if before else 0.0

    def difference(self, confidence: float = CONFIDENCE) -> Interval:
        if not (self.treated.enough and self.control.enough):
            return REFUSED
        return self.groups().difference(confidence)


def _weighted(group: Moments, weights: Floats) -> Mean:
    total = float(weights @ np.array(group.sums))
    around_mean = float(weights @ group.centred() @ weights)
    return Mean(group.n, total, around_mean + total * total / group.n)


# --- Winsorised -------------------------------------------------------------------------------------------------------
@functools.cache
def bin_edges(largest: int = 10**10) -> tuple[int, ...]:
    """Lower edges of bins in fen: 0, then steps of about 2^(1/4) (19 %) up to 100 million yuan; the last bin is open.

    Bin k holds edges[k] <= x < edges[k + 1]; what is below 0 falls in the first and is never cut.
    """
    steps = range(math.ceil(4 * math.log2(largest)) + 1)
    return (0, *sorted({round(2 ** (step / 4)) for step in steps}))


@dataclass(frozen=True)
class Binned:
    """A measure over customers as a histogram: how many, their sum and their sum of squares in each bin."""

    edges: tuple[int, ...]
    counts: tuple[float, ...]
    totals: tuple[float, ...]
    squares: tuple[float, ...]

    @staticmethod
    def of(values: Floats, edges: tuple[int, ...] | None = None) -> "Binned":
        edges = edges or bin_edges()
        bins = np.maximum(np.searchsorted(edges, values, side="right") - 1, 0)
        sums = (np.bincount(bins, weights, len(edges)).tolist() for weights in (None, values, values * values))
        return Binned(edges, *map(tuple, sums))

    def __add__(self, other: "Binned") -> "Binned":
        assert self.edges == other.edges, "histograms with the same edges add"
        columns = ((self.counts, other.counts), (self.totals, other.totals), (self.squares, other.squares))
        return Binned(self.edges, *(tuple(a + b for a, b in zip(x, y, strict=True)) for x, y in columns))

    def threshold(self, share: float = WINSORISED_AT) -> float:
        """Upper edge of the bin that holds this quantile; infinite in the last bin."""
        below = np.cumsum(self.counts)
        reached = int(np.searchsorted(below, share * below[-1], side="left"))
        return float(self.edges[reached + 1]) if reached + 1 < len(self.edges) else math.inf

    def mean(self, threshold: float) -> Mean:
        """Of min(x, threshold), which must be an edge or infinite."""
        n, total, squares = (math.fsum(column) for column in self._cut_at(threshold))
        return Mean(n, total, squares)

    def third_moment(self, threshold: float) -> float:
        """Sum of cubes of deviations from the mean; what lies in one bin counts as alike, which is 1 % off at most."""
        counts, totals, _ = (np.array(column) for column in self._cut_at(threshold))
        some = counts > 0
        around = totals[some] / counts[some] - totals.sum() / counts.sum()
        return float(counts[some] @ around**3)

    def _cut_at(self, threshold: float) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        kept = bisect.bisect_left(self.edges, threshold)
        above = sum(self.counts[kept:])
        cap = threshold if above else 0.0  # nothing lies above an infinite one
        return (
            (*self.counts[:kept], above),
            (*self.totals[:kept], above * cap),
            (*self.squares[:kept], above * cap * cap),
        )


@dataclass(frozen=True)
class Winsorised:
    """Difference of means of a skewed measure, each value cut at one threshold for both groups (FIDELITY 15).

    For estimates, never for the truth: an effect on the few largest values is understated.
    """

    treated: Binned
    control: Binned

    def __add__(self, other: "Winsorised") -> "Winsorised":
        return Winsorised(self.treated + other.treated, self.control + other.control)

    @property
    def threshold(self) -> float:
        return (self.treated + self.control).threshold()

    @property
    def raw(self) -> TwoMeans:
        return self.cut_at(math.inf)

    def cut_at(self, threshold: float) -> TwoMeans:
        return TwoMeans(self.treated.mean(threshold), self.control.mean(threshold))

    @property
    def skew(self) -> float:
        """Of the difference of the cut means over repeated studies; opposite groups of one size cancel to 0.

        Third central moment and variance are those within both groups together.
        """
        one, two = self.treated.mean(self.threshold), self.control.mean(self.threshold)
        variance = (one.variance * (one.n - 1) + two.variance * (two.n - 1)) / (one.n + two.n)
        third = sum(group.third_moment(self.threshold) for group in (self.treated, self.control)) / (one.n + two.n)
        return third * (1 / one.n**2 - 1 / two.n**2) / (variance * (1 / one.n + 1 / two.n)) ** 1.5

    def difference(self, confidence: float = CONFIDENCE) -> Interval:
        """Welch's, of the cut values; refused where the groups are too unequal for so skewed a measure."""
        means = self.cut_at(self.threshold)
        if not (means.treated.enough and means.control.enough) or abs(self.skew) > SKEW_MOST:
            return REFUSED
        return means.difference(confidence)


# --- Adaptive arms ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Aipw:
    """An arm, or one arm less another, where the assignment probabilities followed the results.

    `scores`: over all customers of the experiment, from `aipw_scores` (for a contrast, the score of one arm less the
    other's). `raw`: the outcomes of those who got the arm, whose mean is biased (Nie et al. 2018, "Why Adaptively
    Collected Data Have Negative Bias") and is shown struck through.
    """

    scores: Mean
    raw: Mean

    def __add__(self, other: "Aipw") -> "Aipw":
        return Aipw(self.scores + other.scores, self.raw + other.raw)

    @property
    def value(self) -> float | None:
        return self.scores.value

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Scores are uncorrelated, so their sum of squares gives the error (Hadad, Hirshberg, Zhan, Wager, Athey 2021,
        PNAS 118: e2014602118, with constant weights, which a floor of 5 % allows)."""
        return self.scores.interval(confidence) if self.scores.n >= ADAPTIVE_LEAST else REFUSED


def aipw_scores(outcomes: Floats, got_arm: NDArray[np.bool_], probabilities: Floats, expected: Floats) -> Floats:
    """Score of each customer for one arm, (n,): m + [got it] / e (y - m) (Robins, Rotnitzky, Zhao 1994, JASA 89:
    846).

    `probabilities`: e, of that arm in force when the customer was assigned, at least 5 %. `expected`: m, a guess of the
    outcome under the arm made before this customer's was known; it may be wrong without harm to the truth of the mean.
    """
    assert float(probabilities.min()) >= PROBABILITY_LEAST - 1e-9, "every arm keeps at least 5 %"
    scores: Floats = expected + np.where(got_arm, (outcomes - expected) / probabilities, 0.0)
    return scores
