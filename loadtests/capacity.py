"""The highest rate that a target sustains: found by doubling, then by halving what is left, more than once.

Whether a rate is kept is chance near the border, so one search says little. The search is repeated from scratch inside
the bracket that the first one found; the interval is Student's over the repeats, on the logarithm of the rate, and
never narrower than the last step of a search.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

FINE = 1.04  # a search ends when the lowest rate that failed is so near the highest that was kept
DOUBLES = 2.0
WIDER = 1.3  # the bracket of a repeat, beyond the first search's on both sides
T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


@dataclass(frozen=True)
class Trial:
    """A rate that was tried."""

    rate: float  # requests/s
    is_kept: bool
    why: str = ""  # it was not
    invalid: tuple[str, ...] = ()  # why it says nothing of the target
    row: dict[str, object] = field(default_factory=dict)  # of the stage


@dataclass(frozen=True)
class Capacity:
    """What was found."""

    per_s: float  # geometric mean of the repeats
    low: float  # 95 % interval
    high: float
    searches: list[float]
    trials: list[Trial]
    ends: str = ""  # why the rate is only a bound from below; empty where the target was the bound

    @property
    def is_bound(self) -> bool:
        return bool(self.ends)


class SaturatedError(Exception):
    """The generator failed before the target did."""


Try = Callable[[float], Trial]


def capacity(try_rate: Try, first: float, most: float, repeats: int) -> Capacity:
    """Raises SaturatedError where no rate was kept and the generator was the bound."""
    trials: list[Trial] = []

    def tried(rate: float) -> bool:
        trials.append(try_rate(rate))
        if trials[-1].invalid:
            raise SaturatedError("; ".join(trials[-1].invalid))
        return trials[-1].is_kept

    found: list[float] = []
    try:
        low, high = doubled(tried, first, most)
        if high is None:
            return Capacity(low, low, low, [low], trials, f"no higher rate than {most:,.0f}/s was tried")
        for repeat in range(repeats):
            within = (low, high) if not repeat else (found[0] / WIDER, found[0] * WIDER)
            found.append(halved(tried, *within, known=not repeat))
    except SaturatedError as error:
        kept = [trial.rate for trial in trials if trial.is_kept and not trial.invalid]
        if not kept:
            raise
        best = max(kept)
        return Capacity(best, best, best, [best], trials, f"the generator was the bound: {error}")
    return Capacity(*interval(found), found, trials)


def doubled(tried: Callable[[float], bool], first: float, most: float) -> tuple[float, float | None]:
    """The highest rate that was kept and the lowest that was not, twice; None where all were.

    Twice, for the search goes on between both: a trial that something else disturbed would lock it in far below.
    """
    rate, kept = first, 0.0
    while tried(rate) or tried(rate):
        if rate >= most:
            return rate, None
        kept, rate = rate, min(most, rate * DOUBLES)
    while not kept:  # the first one was too much
        if rate < 1.0:
            return rate / DOUBLES, rate
        if tried(rate / DOUBLES) or tried(rate / DOUBLES):
            kept = rate / DOUBLES
        else:
            rate /= DOUBLES
    return kept, rate


def halved(tried: Callable[[float], bool], low: float, high: float, known: bool) -> float:
    """Between two rates. known: both ends were tried; otherwise they move out until they are what they must be."""
    while not known and not tried(low):
        low, high = low / WIDER, low
    while not known and tried(high):
        low, high = high, high * WIDER
    while high / low > FINE:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if tried(middle) else (low, middle)
    return math.sqrt(low * high)


def machines(peak: float, planned: tuple[float, float]) -> tuple[int, int]:
    """Fewest and most machines that a peak needs, of what each is planned with: (low, high) requests/s."""
    low, high = planned
    return math.ceil(peak / high), math.ceil(peak / low)


REGRESSED, IMPROVED, SAME = "regressed", "improved", "not distinguishable"


@dataclass(frozen=True)
class Change:
    """A capacity against a baseline's: the ratio of the rates and its 95 % interval."""

    ratio: float
    low: float
    high: float

    @property
    def word(self) -> str:
        if self.high < 1.0:
            return REGRESSED
        return IMPROVED if self.low > 1.0 else SAME


def change(now: tuple[float, float, float], before: tuple[float, float, float]) -> Change:
    """Of two independent rates, each with its interval (middle, low, high): half-widths of the logarithms add as
    squares do."""
    halves = [math.log(high / low) / 2 for _, low, high in (now, before)]
    ratio, half = now[0] / before[0], math.hypot(*halves)
    return Change(ratio, ratio / math.exp(half), ratio * math.exp(half))


def interval(found: Sequence[float]) -> tuple[float, float, float]:
    """Middle, low and high, 95 %."""
    logs = [math.log(rate) for rate in found]
    middle, half = fmean(logs), math.log(FINE) / 2
    if len(logs) > 1:
        half = max(half, T_95[len(logs) - 1] * stdev(logs) / math.sqrt(len(logs)))
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)
