"""Gunther's Universal Scalability Law through measured rates: what more shards bring, with intervals.

X(n) = λ n / (1 + σ (n − 1) + κ n (n − 1)), Gunther 2008, arXiv:0808.1431: λ is what one shard does alone, σ
the share of work that waits its turn, κ what each pair costs to agree. n / X(n) is linear in a = 1/λ, b = σ/λ and
c = κ/λ, which makes a fit of logarithms a few rounds of least squares with b, c ≥ 0, and never one that ends elsewhere.

Intervals are by resampling: each rate is drawn anew around what was measured, as Student's interval over its searches
says, and the law fitted again. Rates of few searches are drawn widely, so few searches make wide intervals.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from results.statistics import CONFIDENCE, t_quantile

Floats = NDArray[np.float64]

POINTS_LEAST, SEARCHES_LEAST = 3, 3  # three parameters; the spread of two searches is anybody's guess
FURTHEST = 2  # times the most that was measured: beyond it nothing speaks for the law
DRAWS, SEED = 2_000, 1
TINY = 1e-12
ROUNDS = 6  # of least squares, after which the fit does not move
FREE = ([0], [0, 1], [0, 2], [0, 1, 2])  # which of a, b, c are not 0


@dataclass(frozen=True)
class Point:
    """A rate that was measured with n shards, and its 95 % interval over so many searches."""

    n: int
    per_s: float
    low: float
    high: float
    searches: int


@dataclass(frozen=True)
class Band:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Law:
    """The law through some points: its parameters a, b, c as fitted, and as drawn (DRAWS, 3)."""

    points: tuple[Point, ...]
    best: Floats
    drawn: Floats

    @property
    def alone_per_s(self) -> Band:
        """λ."""
        return band(1 / self.best[0], 1 / self.drawn[:, 0])

    @property
    def contention(self) -> Band:
        """σ."""
        return band(self.best[1] / self.best[0], self.drawn[:, 1] / self.drawn[:, 0])

    @property
    def coherency(self) -> Band:
        """κ."""
        return band(self.best[2] / self.best[0], self.drawn[:, 2] / self.drawn[:, 0])

    @property
    def peak(self) -> Band:
        """How many shards do most; infinite where more always do more."""
        return band(float(peaks(self.best[None])[0]), peaks(self.drawn))

    @property
    def furthest(self) -> int:
        return furthest(point.n for point in self.points)

    def at(self, n: float) -> Band:
        """Rate with n shards. n must be at most twice the most that was measured."""
        assert 1 <= n <= self.furthest, f"nothing measured speaks for {n:g} shards"
        row = basis([n])[0]
        return band(float(n / (self.best @ row)), n / (self.drawn @ row))

    @property
    def missed(self) -> list[int]:
        """Numbers of shards whose interval does not hold the law's rate."""
        return [one.n for one in self.points if not one.low <= self.at(one.n).value <= one.high]


def furthest(numbers: Iterable[int]) -> int:
    """The most shards that the law may be asked about."""
    return FURTHEST * max(numbers)


def fitted(points: Sequence[Point], draws: int = DRAWS) -> Law:
    """The law through at least POINTS_LEAST points of SEARCHES_LEAST searches each."""
    assert len({one.n for one in points}) >= POINTS_LEAST, "the law has three parameters"
    numbers = np.array([one.n for one in points], np.float64)
    middle = np.log([one.per_s for one in points])
    errors = np.array([error_of(one) for one in points])
    freedom = np.array([one.searches - 1 for one in points], np.float64)
    chance = np.random.default_rng(SEED).standard_t(freedom, (draws, len(points)))
    return Law(
        tuple(points),
        least_squares(numbers, middle[None])[0],
        least_squares(numbers, middle + errors * chance),
    )


def error_of(point: Point) -> float:
    """Standard error of the logarithm."""
    return math.log(point.high / point.low) / 2 / quantile(point.searches - 1)


@functools.lru_cache
def quantile(freedom: int) -> float:
    return t_quantile(CONFIDENCE, freedom)


def basis(numbers: Sequence[float] | Floats) -> Floats:
    """What a, b and c are multiplied with, by number."""
    n = np.asarray(numbers, np.float64)
    return np.stack([np.ones_like(n), n - 1, n * (n - 1)], axis=-1)


def least_squares(numbers: Floats, logs: Floats) -> Floats:
    """(draws, 3): a, b, c ≥ 0 with the least Σ (log X − logs)², for each row of logs (draws, points).

    Gauss and Newton's rounds on the logarithm, each a weighted linear fit of n / X. Every point counts the same:
    weights from the spread of two or three searches favour whatever came out near itself by luck.
    """
    rows = basis(numbers)
    measured = numbers / np.exp(logs)
    now = measured
    for _ in range(ROUNDS):
        target = np.clip(np.log(measured / now), -1, 1) + 1  # a step of a draw far out stays one that can be made
        found = not_negative(rows / now[..., None], target)
        now = np.maximum(found @ rows.T, measured * TINY)
    return found


def not_negative(design: Floats, target: Floats) -> Floats:
    """Least squares of each draw with nothing below 0: the best of the fits that leave some out. design:
    (draws, points, 3)."""
    best, least = np.zeros((len(design), 3)), np.full(len(design), np.inf)
    for columns in FREE:
        scale = np.linalg.norm(design[:, :, columns], axis=1, keepdims=True)
        some = design[:, :, columns] / scale
        turned = some.transpose(0, 2, 1)
        squares = turned @ some + TINY * np.eye(len(columns))  # never singular, however far out a draw is
        found = np.linalg.solve(squares, turned @ target[..., None])
        cost = (((some @ found)[..., 0] - target) ** 2).sum(axis=1)
        better = (found >= 0).all(axis=(1, 2)) & (cost < least)
        least[better] = cost[better]
        best[better] = 0.0
        best[np.ix_(better, columns)] = (found / scale.transpose(0, 2, 1))[better, :, 0]
    return best


def peaks(parameters: Floats) -> Floats:
    """√((1 − σ) / κ), where the law's derivative is 0, and at least 1."""
    a, b, c = parameters.T
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.sqrt(np.maximum(a - b, 0) / c)
    return np.where(c > 0, np.maximum(found, 1.0), np.where(a > b, np.inf, 1.0))


def band(value: float, drawn: Floats) -> Band:
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], method="inverted_cdf")
    return Band(float(value), float(low), float(high))
