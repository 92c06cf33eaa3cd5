"""Two policies on the same random numbers: differences by customer, or by world. Frozen values that add.

The unit is the customer only where customers share nothing (FIDELITY 10), else the world.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from results.statistics import CONFIDENCE, TOO_FEW, Interval, Mean, mid_p, t_quantile

Floats = NDArray[np.float64]

FEW_DIFFERENCES = 200  # non-zero ones, below which the bootstrap is used (FIDELITY 15)
DIFFERENCES_LEAST = 30  # and below these nothing
DIFFERENCES_LEAST_MONEY = 1_000  # of amounts: a few large ones carry the sum, seen or not yet seen
BOOTSTRAPS = 1_999
BOOTSTRAP_SEED = 20250303
WORLDS_LEAST = 10  # FIDELITY 10


@dataclass(frozen=True)
class PairedCustomers:
    """What each of n customers did under one policy less what the same customer did under the other.

    `differences` keeps the non-zero ones while there are fewer than 200, and is None from then on.
    """

    n: float
    total: float
    squares: float
    nonzero: int
    differences: tuple[float, ...] | None = None

    @staticmethod
    def of(differences: Floats) -> "PairedCustomers":
        """`differences`: (n,), one a customer, zeros too."""
        some = differences[differences != 0]
        kept = tuple(some.tolist()) if len(some) < FEW_DIFFERENCES else None
        return PairedCustomers(len(differences), float(some.sum()), float(some @ some), len(some), kept)

    def __add__(self, other: "PairedCustomers") -> "PairedCustomers":
        nonzero = self.nonzero + other.nonzero
        known = self.differences is not None and other.differences is not None and nonzero < FEW_DIFFERENCES
        kept = (self.differences or ()) + (other.differences or ()) if known else None
        mean = self.mean + other.mean
        return PairedCustomers(mean.n, mean.total, mean.squares, nonzero, kept)

    @property
    def mean(self) -> Mean:
        return Mean(self.n, self.total, self.squares)

    @property
    def value(self) -> float | None:
        return self.mean.value

    def interval(self, confidence: float = CONFIDENCE, counts: bool = False) -> Interval:
        """Student's t; fewer than 200 non-zero differences: bootstrap, and a note.

        `counts`: the measure is a number of events (uptake, closes), not an amount. Amounts are refused below 1 000
        non-zero differences, for whatever the sample shows: where coverage fails, the large ones are not in it.
        """
        few = self.nonzero < FEW_DIFFERENCES
        note = f"the policies differ for only {self.nonzero} of {self.n:,.0f} customers"
        if self.nonzero < (DIFFERENCES_LEAST if counts else DIFFERENCES_LEAST_MONEY) or not self.mean.enough:
            return Interval(None, None, f"{TOO_FEW}: {note}")
        if not few:
            return self.mean.interval(confidence)
        assert self.differences is not None and len(self.differences) == self.nonzero, "few differences are kept"
        low, high = _bootstrap_t(np.array(self.differences), int(self.n), confidence)
        return Interval(low, high, note)


@dataclass(frozen=True)
class PairedFlags:
    """Of something a customer does at most once: how many of n do it under this policy only, and under that only."""

    n: float
    only_this: float
    only_that: float

    @property
    def value(self) -> float | None:
        return (self.only_this - self.only_that) / self.n if self.n else None

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Each share by the exact mid-P interval at half the error, so that both hold together (Bonferroni). Wider than
        need be; for the few differences at which nothing else holds."""
        if not self.n:
            return Interval(None, None, TOO_FEW)
        each = 1 - (1 - confidence) / 2
        (low, high), (lower, higher) = mid_p(self.only_this, self.n, each), mid_p(self.only_that, self.n, each)
        return Interval(low - higher, high - lower, f"exact: {self.only_this + self.only_that:,.0f} customers differ")


def _bootstrap_t(nonzero: Floats, n: int, confidence: float) -> tuple[float, float]:
    """Symmetric studentised bootstrap over customers, zeros included (Hall 1988, JRSS B 50: 35; it graded better here
    than BCa and than the equal-tailed one).

    A resample gives each customer a Poisson(1) weight (Chamandy et al. 2012, "Estimating Uncertainty for Massive Data
    Streams"), all zeros together one Poisson draw, so that its cost is in the non-zero ones.
    """
    weights = _poisson_weights()[:, : len(nonzero)]
    zeros = np.random.default_rng(BOOTSTRAP_SEED).poisson(n - len(nonzero), BOOTSTRAPS)
    sizes = weights.sum(1) + zeros
    means, squares = weights @ nonzero / sizes, weights @ nonzero**2 / sizes
    mean = float(nonzero.sum()) / n
    error = math.sqrt(max(float(nonzero @ nonzero) / n - mean * mean, 0.0) / n)
    errors = np.sqrt(np.maximum(squares - means**2, 0.0) / sizes)
    t = np.abs(means - mean) / np.where(errors > 0, errors, np.inf)
    half = float(np.quantile(t, confidence)) * error
    return mean - half, mean + half


@functools.cache
def _poisson_weights() -> Floats:
    """(BOOTSTRAPS, FEW_DIFFERENCES): the same in every call, so that an interval is a function of its data."""
    return np.random.default_rng(BOOTSTRAP_SEED + 1).poisson(1.0, (BOOTSTRAPS, FEW_DIFFERENCES)).astype(np.float64)


@dataclass(frozen=True)
class PairedWorlds:
    """One figure a world: one policy's less the other's on the same random numbers. The unit is the world."""

    differences: tuple[float, ...]

    def __add__(self, other: "PairedWorlds") -> "PairedWorlds":
        return PairedWorlds(self.differences + other.differences)

    @property
    def worlds(self) -> int:
        return len(self.differences)

    @property
    def value(self) -> float | None:
        return math.fsum(self.differences) / self.worlds if self.differences else None

    @property
    def deviation(self) -> float:
        """Standard deviation between worlds, n - 1."""
        return float(np.std(self.differences, ddof=1))

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Student 1908; worlds that all agree exactly (a policy that changes nothing) give an interval of width 0."""
        if self.worlds < WORLDS_LEAST:
            return Interval(None, None, f"{TOO_FEW}: {self.worlds} of at least {WORLDS_LEAST} worlds")
        middle = math.fsum(self.differences) / self.worlds
        half = t_quantile(confidence, self.worlds - 1) * self.deviation / math.sqrt(self.worlds)
        return Interval(middle - half, middle + half)


@dataclass(frozen=True)
class RatioOfWorlds:
    """Σ x ÷ Σ y over worlds (x, y). The unit is the world."""

    pairs: tuple[tuple[float, float], ...]

    @property
    def worlds(self) -> int:
        return len(self.pairs)

    @property
    def value(self) -> float | None:
        total = math.fsum(y for _, y in self.pairs)
        return math.fsum(x for x, _ in self.pairs) / total if total else None

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Delta method (Deng 2018): each world stands for ratio + (x - ratio y) ÷ mean y."""
        ratio = self.value
        if ratio is None:
            return Interval(None, None, "nothing to divide by")
        mean = math.fsum(y for _, y in self.pairs) / self.worlds
        return PairedWorlds(tuple(ratio + (x - ratio * y) / mean for x, y in self.pairs)).interval(confidence)


def pairing_factor(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> float | None:
    """Width of the interval with independent seeds over its width with common random numbers; `a`, `b`: a figure a
    world under each policy, in the same order. None under two worlds or where the policies differ by a constant."""
    together = float(np.var(np.subtract(a, b), ddof=1)) if len(a) > 1 else 0.0
    apart = float(np.var(a, ddof=1) + np.var(b, ddof=1)) if len(a) > 1 else 0.0
    return math.sqrt(apart / together) if together else None
