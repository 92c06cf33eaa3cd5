"""The words of FIDELITY 12: for a goal, for a guardrail, for several policies (Holm), for tables of segments.

Whoever calls has an interval for any confidence; the words follow from intervals alone, whatever the estimator.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from results.statistics import CONFIDENCE, Interval, normal_quantile

BETTER, WORSE, UNDECIDED = "better", "worse", "undecided"
NO_DIFFERENCE = "no difference that matters"
KEPT, BROKEN = "kept", "broken"
MATTERS = 0.01  # of the baseline, unless the goal states its own `matters`
DECIDES = 0.8  # chance that so many worlds decide, if the effect is what it now seems
WORLDS_MAX = 100_000  # more than anybody runs: then no number is given

IntervalAt = Callable[[float], Interval]  # the interval of a difference, from the confidence


def mirrored(interval: Interval) -> Interval:
    """Of the difference with its sign changed."""
    if interval.low is None or interval.high is None:
        return interval
    return Interval(-interval.high, -interval.low, interval.note)


def verdict(difference: Interval, matters: float, more_is_better: bool = True) -> str:
    """better, worse, no difference that matters or undecided; `matters` in the unit of the difference.

    An interval above 0 is better however little it is, also where all of it lies inside +- matters.
    """
    low, high, _ = difference if more_is_better else mirrored(difference)
    if low is None or high is None:
        return UNDECIDED
    if low > 0:
        return BETTER
    if high < 0:
        return WORSE
    return NO_DIFFERENCE if -matters <= low and high <= matters else UNDECIDED


def guardrail(difference: Interval, at_most_worse: float, more_is_better: bool = True) -> str:
    """kept, broken or undecided: is the policy at most so much worse? `at_most_worse` in the unit of the difference."""
    low, high, _ = mirrored(difference) if more_is_better else difference  # of the harm
    if low is None or high is None:
        return UNDECIDED
    if high <= at_most_worse:
        return KEPT
    return BROKEN if low > at_most_worse else UNDECIDED


# --- How many worlds it takes -----------------------------------------------------------------------------------------
def worlds_for_verdict(difference: Interval, worlds: int, matters: float, confidence: float = CONFIDENCE) -> int | None:
    """Worlds after which `verdict` decides with a chance of 80 %, if the effect is what it now seems.

    From the current variance: half the width falls with the square root of the worlds (Lachin 1981, Controlled Clinical
    Trials 2: 93). The effect is told from 0 or from +- matters, whichever is sooner. None: nobody runs so many.
    """
    return _worlds(difference, worlds, lambda effect: max(abs(effect), matters - abs(effect)), confidence)


def worlds_for_guardrail(
    difference: Interval,
    worlds: int,
    at_most_worse: float,
    more_is_better: bool = True,
    confidence: float = CONFIDENCE,
) -> int | None:
    """The same for `guardrail`: the harm has to be told from the limit."""
    sign = -1 if more_is_better else 1
    return _worlds(difference, worlds, lambda effect: abs(sign * effect - at_most_worse), confidence)


def _worlds(difference: Interval, worlds: int, distance: Callable[[float], float], confidence: float) -> int | None:
    low, high, _ = difference
    if low is None or high is None or worlds < 1:
        return None
    away = distance((low + high) / 2)
    reach = (high - low) / 2 * (1 + _POWER / normal_quantile(confidence))
    if away <= 0 or worlds * (reach / away) ** 2 > WORLDS_MAX:
        return None
    return max(worlds + 1, math.ceil(worlds * (reach / away) ** 2))


_POWER = normal_quantile(2 * DECIDES - 1)  # one-sided


# --- Several policies, many segments ----------------------------------------------------------------------------------
class Compared(NamedTuple):
    """An interval at the confidence that Holm's steps allow it."""

    interval: Interval
    confidence: float


def holm(differences: Sequence[IntervalAt], confidence: float = CONFIDENCE) -> tuple[Compared, ...]:
    """Intervals of several policies against one baseline, from which `verdict` may be read for each.

    Holm 1979, Scandinavian Journal of Statistics 6: 65: with m policies open each is held to 1 - a/m; those whose
    interval then leaves out 0 are settled and the rest held to fewer. A policy equal to the baseline is called better
    or worse with probability at most a, over all of them together. What stays open keeps the interval of the last step.
    """
    left = list(range(len(differences)))
    settled: dict[int, Compared] = {}
    while left:
        strict = 1 - (1 - confidence) / len(left)
        found = {policy: Compared(differences[policy](strict), strict) for policy in left}
        apart = [policy for policy in left if leaves_out_0(found[policy].interval)]
        settled |= found if not apart else {policy: found[policy] for policy in apart}
        left = [policy for policy in left if policy not in settled]
    return tuple(settled[policy] for policy in range(len(differences)))


def leaves_out_0(interval: Interval) -> bool:
    low, high, _ = interval
    return low is not None and high is not None and (low > 0 or high < 0)


def p_value(difference: IntervalAt) -> float | None:
    """1 - the highest confidence at which the interval leaves out 0, to 1e-9; None where no interval is given."""
    if difference(CONFIDENCE).low is None:
        return None
    least, most = -9.0, 0.0  # log10 of p
    if leaves_out_0(difference(1 - 10**least)):
        return 10**least
    while most - least > 1e-6:
        middle = (least + most) / 2
        least, most = (least, middle) if leaves_out_0(difference(1 - 10**middle)) else (middle, most)
    return 10**most


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p of each row of an exploratory table: rows at or below q hold at most a share q of false finds, on
    average (Benjamini and Hochberg 1995, JRSS B 57: 289). Never for a headline."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__, reverse=True)
    adjusted, least = [1.0] * len(p_values), 1.0
    for position, row in enumerate(order):
        least = min(least, p_values[row] * len(p_values) / (len(p_values) - position))
        adjusted[row] = least
    return tuple(adjusted)
