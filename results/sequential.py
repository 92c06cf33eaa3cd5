"""How many worlds: Stein's two stages, which stop on precision, and `--early`, which stops on the verdict.

The unit is the world: one figure a world, one policy's less the other's on the same random numbers, near enough normal
(a world is a sum over thousands of customers).
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from results.statistics import CONFIDENCE, TOO_FEW, Interval, t_quantile
from results.verdicts import UNDECIDED, verdict

Floats = NDArray[np.float64]

PILOT = 10  # worlds (FIDELITY 11)
PRIOR_WORLDS = 2.0  # narrow from the pilot to some 60 worlds; see `confidence_sequence`
BIAS_STUDIES = 1_000  # and as many mirrored
BIAS_SEED = 20250303
BIAS_EFFECTS = np.linspace(-4.0, 4.0, 81)  # in standard deviations; beyond, every path stops at the pilot


# --- Stein's two stages -----------------------------------------------------------------------------------------------
def stein_worlds(pilot: Sequence[float], half_width: float, confidence: float = CONFIDENCE) -> int:
    """Worlds in all, the pilot's among them, after which the interval is at most `half_width` to each side.

    Stein 1945, Annals of Mathematical Statistics 16: 243: max(n0, (t s / d)^2 rounded up), s and t of the pilot alone.
    """
    assert len(pilot) >= PILOT and half_width > 0, "a pilot of 10 worlds and a width above 0"
    needed = (t_quantile(confidence, len(pilot) - 1) * float(np.std(pilot, ddof=1)) / half_width) ** 2
    return max(len(pilot), math.ceil(needed))


def stein_interval(values: Sequence[float], pilot: int = PILOT, confidence: float = CONFIDENCE) -> Interval:
    """Mean of all worlds with the deviation of the first `pilot` ones, which alone set n: so coverage is exact."""
    if len(values) < pilot:
        return Interval(None, None, f"{TOO_FEW}: {len(values)} of at least {pilot} worlds")
    middle = math.fsum(values) / len(values)
    deviation = float(np.std(values[:pilot], ddof=1))
    half = t_quantile(confidence, pilot - 1) * deviation / math.sqrt(len(values))
    return Interval(middle - half, middle + half)


# --- Stopping on the verdict ------------------------------------------------------------------------------------------
class Bounds(NamedTuple):
    """Of the mean after each world, in the shape of the values; infinite before the pilot is complete."""

    low: Floats
    high: Floats


def confidence_sequence(values: ArrayLike, confidence: float = CONFIDENCE) -> Bounds:
    """An interval after each world (last axis) such that all of them together cover with this confidence.

    Wang and Ramdas 2023, "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance",
    theorem 4.9 (the t-likelihood ratio of Lai 1976, Annals of Statistics 4: 265, mixed over mean / deviation ~ N(0,
    1 / c^2)): with K = (n + c^2) (1 - (a^2 c^2 / (n + c^2))^(1/n)), mean +- deviation sqrt(K / (n - K)), where the
    deviation divides by n, a = 1 - confidence and c^2 = PRIOR_WORLDS.
    """
    x = np.asarray(values, np.float64)
    n = np.arange(1, x.shape[-1] + 1, dtype=np.float64)
    shift = x[..., :1]  # squares of deviations from the first world: no cancelling where the mean is large
    mean = np.cumsum(x - shift, -1) / n
    deviation = np.sqrt(np.maximum(np.cumsum((x - shift) ** 2, -1) / n - mean**2, 0.0))
    half = np.full_like(x, np.inf)
    half[..., PILOT - 1 :] = deviation[..., PILOT - 1 :] * _width(n[PILOT - 1 :], 1 - confidence)
    return Bounds(mean + shift - half, mean + shift + half)


def _width(n: Floats, outside: float) -> Floats:
    """Half-width in standard deviations after n worlds; infinite where no finite width is valid yet."""
    c = PRIOR_WORLDS
    k = (n + c) * (1 - (outside**2 * c / (n + c)) ** (1 / n))
    return np.sqrt(np.divide(k, n - k, out=np.full_like(n, np.inf), where=k < n))


@dataclass(frozen=True)
class Stop:
    """Where the worlds stopped. `value` is the plain mean, which stopping pushes outwards; print `adjusted`."""

    worlds: int
    word: str
    value: float
    adjusted: float
    low: float
    high: float


def early_stop(
    values: Sequence[float],
    matters: float,
    worlds_max: int,
    confidence: float = CONFIDENCE,
    more_is_better: bool = True,
) -> Stop | None:
    """The first look, after each world from the pilot on, at which a verdict falls; None while worlds are missing.

    At `worlds_max` it ends undecided. The interval may be read at any moment; the estimate is adjusted for having
    stopped (`bias_adjusted`).
    """
    bounds = confidence_sequence(values[:worlds_max], confidence)
    stop = _first_decided(bounds, matters)
    if stop is None:
        if len(values) < worlds_max:
            return None
        stop = worlds_max - 1
    low, high = float(bounds.low[stop]), float(bounds.high[stop])
    word = verdict(Interval(low, high), matters, more_is_better)
    value, deviation = float(np.mean(values[: stop + 1])), float(np.std(values[: stop + 1], ddof=1))
    adjusted = bias_adjusted(value, deviation, matters, worlds_max, confidence)
    return Stop(stop + 1, word, value, min(max(adjusted, low), high), low, high)


def _first_decided(bounds: Bounds, matters: float) -> int | None:
    for look, (low, high) in enumerate(zip(bounds.low.tolist(), bounds.high.tolist(), strict=True)):
        if verdict(Interval(low, high), matters) != UNDECIDED:
            return look
    return None


def bias_adjusted(
    value: float, deviation: float, matters: float, worlds_max: int, confidence: float = CONFIDENCE
) -> float:
    """The effect that would on average have been seen as `value` at the stop (Whitehead 1986, Biometrika 73: 573).

    In standard deviations the stopping rule depends on the effect, `matters` and the limit alone; the average at the
    stop is simulated (seeded) for a grid of effects and read backwards.
    """
    if deviation <= 0:
        return value
    bias = _bias_at_stop(float(f"{matters / deviation:.1e}"), worlds_max, confidence)
    seen = np.maximum.accumulate(BIAS_EFFECTS + bias)
    return value - deviation * float(np.interp(value / deviation, seen, bias))


@functools.lru_cache(maxsize=256)
def _bias_at_stop(matters: float, worlds_max: int, confidence: float) -> Floats:
    """Average of the mean at the stop less the effect, for each of BIAS_EFFECTS, all in standard deviations."""
    noise = np.random.default_rng(BIAS_SEED).normal(size=(BIAS_STUDIES, worlds_max))
    bounds = confidence_sequence(np.concatenate([noise, -noise]), confidence)
    low, high = (edge[:, PILOT - 1 :] for edge in bounds)
    return np.array([_mean_at_stop(low + effect, high + effect, matters) - effect for effect in BIAS_EFFECTS.tolist()])


def _mean_at_stop(low: Floats, high: Floats, matters: float) -> float:
    """`low`, `high`: (studies, looks) of the confidence sequence."""
    decided = (low > 0) | (high < 0) | ((low >= -matters) & (high <= matters))
    decided[:, -1] = True
    at = (np.arange(len(low)), decided.argmax(1))
    return float((low[at] + high[at]).mean() / 2)
