"""Sufficient statistics as frozen values that add, and the intervals they allow. The customer is the unit throughout.

Few events get an exact interval. Where grading (results/grading.py) shows that even that misses, an interval is
refused, not approximated: low and high are None and the note says so.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import scipy
from scipy import optimize, special

CONFIDENCE = 0.95
CUSTOMERS_LEAST = 30  # below this no interval is given
EVENTS_FEW = 10  # below so many events, or non-events, the exact interval is given
EVENTS_FEW_LOG = 20  # the same for a ratio: its normal approximation is worse
EVENTS_LEAST = 5  # events, and non-events, in each group: the log ratio where the exact one does not apply
EVENTS_LEAST_CONTROL = 3  # of the control group, for a ratio to it
EVENTS_LEAST_PAIR = 10  # events, and non-events, of two groups together
RATE_RARE = 0.05  # up to this, events are as good as Poisson
EVENTS_LEAST_RATIO = 20  # numerator of a ratio of sums: the delta method is an expansion around the mean
TOO_FEW = "too few for an interval"


class Interval(NamedTuple):
    low: float | None
    high: float | None
    note: str = ""


REFUSED = Interval(None, None, TOO_FEW)


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval, or with the reason why it has none."""

    value: float | None
    low: float | None
    high: float | None
    unit: str
    n: int
    unit_of_analysis: str
    note: str = ""
    method: str = ""
    query: str = ""  # SQL that gives `value`; empty where it is computed from `counts_query` by `method`
    counts_query: str = ""  # SQL that gives the sufficient statistics of the interval
    population: str = ""  # whom it speaks of, in words (FIDELITY 10)


@dataclass(frozen=True)
class Proportion:
    """`events` of `n` customers, at most one each."""

    events: float
    n: float

    def __add__(self, other: "Proportion") -> "Proportion":
        return Proportion(self.events + other.events, self.n + other.n)

    @property
    def value(self) -> float | None:
        return self.events / self.n if self.n else None

    @property
    def rarer(self) -> float:
        """The smaller of events and non-events."""
        return min(self.events, self.n - self.events)

    @property
    def method(self) -> str:
        return "Wilson score" if self.rarer >= EVENTS_FEW else "exact, mid-P"

    def bounds(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The score interval (Wilson 1927, JASA 22: 209); few events: exact (`mid_p`)."""
        if self.rarer < EVENTS_FEW:
            return mid_p(self.events, self.n, confidence)
        z, n, p = normal_quantile(confidence), self.n, self.events / self.n
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return centre - half, centre + half

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        return Interval(*self.bounds(confidence)) if self.n >= CUSTOMERS_LEAST else REFUSED


@dataclass(frozen=True)
class TwoProportions:
    """A treated and a control group of different customers."""

    treated: Proportion
    control: Proportion

    def __add__(self, other: "TwoProportions") -> "TwoProportions":
        return TwoProportions(self.treated + other.treated, self.control + other.control)

    @property
    def enough(self) -> bool:
        """For a difference: customers in each group, and events and non-events in both together."""
        both = self.treated + self.control
        return min(self.treated.n, self.control.n) >= CUSTOMERS_LEAST and both.rarer >= EVENTS_LEAST_PAIR

    def difference(self, confidence: float = CONFIDENCE) -> Interval:
        """Hybrid interval of p1 - p2 from those of p1 and p2 (Newcombe 1998, Statistics in Medicine 17: 873, method
        10; with other limits than Wilson's: Zou and Donner 2008, Statistics in Medicine 27: 1693)."""
        if not self.enough:
            return REFUSED
        p1, p2 = self.treated.events / self.treated.n, self.control.events / self.control.n
        (l1, u1), (l2, u2) = self.treated.bounds(confidence), self.control.bounds(confidence)
        low = p1 - p2 - math.hypot(p1 - l1, u2 - p2)
        return Interval(low, p1 - p2 + math.hypot(u1 - p1, p2 - l2))

    def relative(self, confidence: float = CONFIDENCE) -> Interval:
        """Interval of p1 / p2 - 1: exact for few events among many customers, else on the log scale (Katz et al.
        1978, Biometrics 34: 469)."""
        t, c = self.treated, self.control
        if not self.enough or c.events < EVENTS_LEAST_CONTROL:  # with none, nothing bounds the ratio above
            return REFUSED
        if min(t.events, c.events) < EVENTS_FEW_LOG and max(t.events / t.n, c.events / c.n) <= RATE_RARE:
            return self._relative_exact(confidence)
        if min(t.rarer, c.rarer) < EVENTS_LEAST:
            return REFUSED
        error = math.sqrt(1 / t.events - 1 / t.n + 1 / c.events - 1 / c.n)
        ratio, spread = (t.events / t.n) / (c.events / c.n), math.exp(normal_quantile(confidence) * error)
        return Interval(ratio / spread - 1, ratio * spread - 1)

    def _relative_exact(self, confidence: float) -> Interval:
        """Given the events of both groups, those of the treated are binomial with share n1 p1 / (n1 p1 + n2 p2)
        (Przyborowski and Wilenski 1940, Biometrika 31: 313); mid-P limits of the share become limits of p1 / p2."""
        limits = mid_p(self.treated.events, self.treated.events + self.control.events, confidence)
        low, high = (share / (1 - share) * self.control.n / self.treated.n - 1 for share in limits)
        return Interval(low, high)


@dataclass(frozen=True)
class Mean:
    """Sums of one measure over n customers."""

    n: float
    total: float
    squares: float

    def __add__(self, other: "Mean") -> "Mean":
        return Mean(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @property
    def value(self) -> float | None:
        return self.total / self.n if self.n else None

    @property
    def variance(self) -> float:
        """Of the measure (not of its mean), with n - 1; sums that cancel below 0 by rounding count as 0."""
        return max(self.squares - self.total * self.total / self.n, 0.0) / (self.n - 1)

    @property
    def enough(self) -> bool:
        return self.n >= CUSTOMERS_LEAST and self.variance > 0

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        if not self.enough:
            return REFUSED
        half = t_quantile(confidence, self.n - 1) * math.sqrt(self.variance / self.n)
        return Interval(self.total / self.n - half, self.total / self.n + half)


@dataclass(frozen=True)
class TwoMeans:
    treated: Mean
    control: Mean

    def __add__(self, other: "TwoMeans") -> "TwoMeans":
        return TwoMeans(self.treated + other.treated, self.control + other.control)

    def difference(self, confidence: float = CONFIDENCE) -> Interval:
        """Unequal variances (Welch 1947, Biometrika 34: 28; degrees of freedom by Satterthwaite 1946)."""
        if not (self.treated.enough and self.control.enough):
            return REFUSED
        a, b = self.treated.variance / self.treated.n, self.control.variance / self.control.n
        freedom = (a + b) ** 2 / (a * a / (self.treated.n - 1) + b * b / (self.control.n - 1))
        middle = self.treated.total / self.treated.n - self.control.total / self.control.n
        half = t_quantile(confidence, freedom) * math.sqrt(a + b)
        return Interval(middle - half, middle + half)


@dataclass(frozen=True)
class Ratio:
    """Sums of a numerator x and a denominator y over n customers: clicks and exposures, say."""

    n: float
    x: float
    y: float
    xx: float
    yy: float
    xy: float

    def __add__(self, other: "Ratio") -> "Ratio":
        return Ratio(*(a + b for a, b in zip(self._sums(), other._sums(), strict=True)))

    def _sums(self) -> tuple[float, ...]:
        return (self.n, self.x, self.y, self.xx, self.yy, self.xy)

    @property
    def value(self) -> float | None:
        return self.x / self.y if self.y else None

    @property
    def variance(self) -> float:
        """Of x/y by the delta method with the customer as unit (Deng, Knoblich, Lu 2018, KDD, "Applying the Delta
        Method in Metric Analytics"): (s_xx - 2 r s_xy + r^2 s_yy) / (n mean(y)^2)."""
        n, ratio, mean_y = self.n, self.x / self.y, self.y / self.n
        s_xx = self.xx - self.x * self.x / n
        s_xy = self.xy - self.x * self.y / n
        s_yy = self.yy - self.y * self.y / n
        return max(s_xx - 2 * ratio * s_xy + ratio * ratio * s_yy, 0.0) / (n - 1) / (n * mean_y * mean_y)

    @property
    def enough(self) -> bool:
        return self.n >= CUSTOMERS_LEAST and self.x >= EVENTS_LEAST_RATIO and self.variance > 0

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        if not self.enough:
            return REFUSED
        half = normal_quantile(confidence) * math.sqrt(self.variance)
        return Interval(self.x / self.y - half, self.x / self.y + half)


@dataclass(frozen=True)
class TwoRatios:
    """A ratio of sums in a treated and in a control group of different customers."""

    treated: Ratio
    control: Ratio

    def __add__(self, other: "TwoRatios") -> "TwoRatios":
        return TwoRatios(self.treated + other.treated, self.control + other.control)

    @property
    def enough(self) -> bool:
        return self.treated.enough and self.control.enough

    def difference(self, confidence: float = CONFIDENCE) -> Interval:
        """Of the two ratios: their variances by the delta method add."""
        if not self.enough:
            return REFUSED
        middle = self.treated.x / self.treated.y - self.control.x / self.control.y
        half = normal_quantile(confidence) * math.sqrt(self.treated.variance + self.control.variance)
        return Interval(middle - half, middle + half)

    def relative(self, confidence: float = CONFIDENCE) -> Interval:
        """Of treated / control - 1, on the log scale: the variance of log r is var(r) / r^2."""
        if not self.enough:
            return REFUSED
        one, two = self.treated.x / self.treated.y, self.control.x / self.control.y
        error = math.sqrt(self.treated.variance / one**2 + self.control.variance / two**2)
        spread = math.exp(normal_quantile(confidence) * error)
        return Interval(one / two / spread - 1, one / two * spread - 1)


def chi_square_p(counts: list[float], expected: list[float]) -> float:
    """p of Pearson's chi-square with one degree of freedom less than cells; both sum to the same up to rounding."""
    statistic = sum((got - want) ** 2 / want for got, want in zip(counts, expected, strict=True))
    return float(special.chdtrc(len(counts) - 1, statistic))


def sample_ratio_p(assigned: list[float], shares: list[float]) -> float | None:
    """p of the chi-square test of customers assigned against the probabilities in force; None where too few.

    Fabijan et al. 2019, KDD, "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments".
    """
    total = sum(assigned)
    expected = [total * share / sum(shares) for share in shares]
    if len(assigned) < 2 or min(expected) < EVENTS_LEAST:
        return None
    return chi_square_p(assigned, expected)


@functools.lru_cache(maxsize=4096)
def mid_p(events: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Limits of a probability from `events` of `n`: Clopper and Pearson's exact tails with half the probability of
    what was seen (Lancaster 1961, JASA 56: 223; graded by Agresti and Gottard 2007, CSDA 51: 6447)."""
    outside = (1 - confidence) / 2

    def at_least(p: float) -> float:
        """P(more than seen) + P(as many as seen) / 2; the tails of a binomial are incomplete beta functions."""
        more = special.betainc(events + 1, n - events, p) if events < n else 0.0
        return float(more + (special.betainc(events, n - events + 1, p) if events > 0 else 1.0)) / 2

    low = 0.0 if events <= 0 else _root(lambda p: at_least(p) - outside)
    high = 1.0 if events >= n else _root(lambda p: at_least(p) - (1 - outside))
    return low, high


def _root(rising: Callable[[float], float]) -> float:
    return float(optimize.brentq(rising, 0.0, 1.0, xtol=1e-15, rtol=1e-12))


def binomial_limits(trials: int, share: float, confidence: float) -> tuple[float, float]:
    """The share of `trials` that a binomial count of probability `share` stays within with that confidence."""
    outside = (1 - confidence) / 2
    quantile = scipy.stats.binom.ppf  # loaded where it is asked for: half of what loading SciPy takes
    low, high = (float(quantile(q, trials, share)) / trials for q in (outside, 1 - outside))
    return low, high


@functools.lru_cache(maxsize=256)
def normal_quantile(confidence: float) -> float:
    """Half the width of a two-sided interval, in standard errors."""
    return float(special.ndtri(0.5 + confidence / 2))


def t_quantile(confidence: float, freedom: float) -> float:
    """The same for Student's t."""
    return float(special.stdtrit(freedom, 0.5 + confidence / 2))
