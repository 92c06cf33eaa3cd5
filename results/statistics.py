"""Sufficient statistics as frozen values that add, and the intervals they allow. The customer is the unit throughout.

Where the counts are too small for the method an interval is refused, not approximated: low and high are None and the
note says so.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from scipy import stats

CONFIDENCE = 0.95
CUSTOMERS_LEAST = 30  # below this no interval is given
EVENTS_LEAST = 5  # events, and non-events, in each group
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
    def enough(self) -> bool:
        return self.n >= CUSTOMERS_LEAST and min(self.events, self.n - self.events) >= EVENTS_LEAST

    def bounds(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The score interval (Wilson 1927, JASA 22: 209)."""
        z, n, p = _z(confidence), self.n, self.events / self.n
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return centre - half, centre + half

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        return Interval(*self.bounds(confidence)) if self.enough else REFUSED


@dataclass(frozen=True)
class TwoProportions:
    """A treated and a control group of different customers."""

    treated: Proportion
    control: Proportion

    def __add__(self, other: "TwoProportions") -> "TwoProportions":
        return TwoProportions(self.treated + other.treated, self.control + other.control)

    @property
    def enough(self) -> bool:
        return self.treated.enough and self.control.enough

    def difference(self, confidence: float = CONFIDENCE) -> Interval:
        """Hybrid score interval of p1 - p2 (Newcombe 1998, Statistics in Medicine 17: 873, method 10)."""
        if not self.enough:
            return REFUSED
        p1, p2 = self.treated.events / self.treated.n, self.control.events / self.control.n
        (l1, u1), (l2, u2) = self.treated.bounds(confidence), self.control.bounds(confidence)
        low = p1 - p2 - math.hypot(p1 - l1, u2 - p2)
        return Interval(low, p1 - p2 + math.hypot(u1 - p1, p2 - l2))

    def relative(self, confidence: float = CONFIDENCE) -> Interval:
        """Interval of p1 / p2 - 1 on the log scale (Katz et al. 1978, Biometrics 34: 469)."""
        if not self.enough:
            return REFUSED
        t, c = self.treated, self.control
        error = math.sqrt(1 / t.events - 1 / t.n + 1 / c.events - 1 / c.n)
        ratio, spread = (t.events / t.n) / (c.events / c.n), math.exp(_z(confidence) * error)
        return Interval(ratio / spread - 1, ratio * spread - 1)


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
        half = _t(confidence, self.n - 1) * math.sqrt(self.variance / self.n)
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
        half = _t(confidence, freedom) * math.sqrt(a + b)
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
        half = _z(confidence) * math.sqrt(self.variance)
        return Interval(self.x / self.y - half, self.x / self.y + half)


def sample_ratio_p(assigned: list[float], shares: list[float]) -> float | None:
    """p of the chi-square test of customers assigned against the probabilities in force; None where too few.

    Fabijan et al. 2019, KDD, "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments".
    """
    total = sum(assigned)
    expected = [total * share / sum(shares) for share in shares]
    if len(assigned) < 2 or min(expected) < EVENTS_LEAST:
        return None
    statistic = sum((got - want) ** 2 / want for got, want in zip(assigned, expected, strict=True))
    return float(stats.chi2.sf(statistic, len(assigned) - 1))


def _z(confidence: float) -> float:
    return float(stats.norm.ppf(0.5 + confidence / 2))


def _t(confidence: float, freedom: float) -> float:
    return float(stats.t.ppf(0.5 + confidence / 2, freedom))
