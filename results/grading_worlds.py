"""Settings of grading whose unit is the world: shared stock, Stein, stopping early, many policies, best of k."""

import functools
from collections.abc import Sequence

import numpy as np

from results.graded import (
    FAILS,
    Claim,
    Floats,
    Hits,
    Setting,
    at_most_5,
    family_wise,
    hits,
    interval,
    must_fail,
    path_coverage,
    with_given,
)
from results.paired import PairedCustomers, PairedWorlds
from results.sequential import PILOT, bias_adjusted, confidence_sequence, stein_interval, stein_worlds
from results.statistics import Interval, t_quantile
from results.verdicts import BETTER, WORSE, holm, leaves_out_0, verdict

Generator = np.random.Generator

WORLDS = 20
WORLDS_MAX = 60
MATTERS = 0.2  # standard deviations between worlds
EFFECT = 0.5  # of the same


# --- Shared stock -----------------------------------------------------------------------------------------------------
def shared_stock(rng: Generator, studies: int, width: float, effect: bool) -> tuple[Hits, ...]:
    """20 worlds of 600 customers who compete for 200 pieces with scalpers, fewer or more of them in each world.

    One policy limits pieces per account, the other does not. The customers of a world gain or lose together, so that
    their number says too much. Without an effect both policies leave scalpers the same chances.
    """
    gains = _gains(rng, studies, effect)
    truth = _true_gain() if effect else 0.0
    totals = gains.sum(1).tolist(), np.abs(gains).sum(1).tolist()
    pooled = [PairedCustomers(600 * WORLDS, a, b, int(b)) for a, b in zip(*totals, strict=True)]
    worlds = [PairedWorlds(tuple(row)) for row in (gains / 600).tolist()]
    mean = gains.mean(1) / 600
    return (
        hits(mean, [w.interval() for w in worlds], truth, width),
        hits(mean, [p.interval(counts=True) for p in pooled], truth, width, "customers of a world are not independent"),
    )


def _gains(rng: Generator, studies: int, effect: bool) -> Floats:
    """Customers served under the limit less those served without, (studies, worlds): the same ones want a piece under
    both and come in the same order, after the scalpers, who take as many pieces as the policy lets them."""
    shape = (studies, WORLDS)
    want = rng.binomial(600, 0.4, shape)
    unlimited, limited = (
        rng.negative_binomial(4.0, 4.0 / (4.0 + most), shape) * 2.0 for most in (40.0, 15.0 if effect else 40.0)
    )
    left = (np.maximum(200.0 - taken, 0.0) for taken in (limited, unlimited))
    with_limit, without = (np.minimum(want, pieces) for pieces in left)
    gains: Floats = with_limit - without
    return gains


@functools.cache
def _true_gain() -> float:
    """Per customer, over 2 million worlds."""
    return float(_gains(np.random.default_rng(1), 100_000, True).mean()) / 600


# --- How many worlds --------------------------------------------------------------------------------------------------
def stein(rng: Generator, studies: int, width: float, effect: bool) -> tuple[Hits, ...]:
    """The pilot says how many worlds make the interval 0.3 standard deviations wide to each side, on average 57."""
    truth, found, needed = EFFECT * effect, [], []
    for _ in range(studies):
        pilot = rng.normal(truth, 1.0, PILOT)
        needed.append(stein_worlds(pilot.tolist(), 0.3))
        found.append(np.concatenate([pilot, rng.normal(truth, 1.0, needed[-1] - PILOT)]).tolist())
    said = f"{np.mean(needed):.0f} worlds on average"
    return (hits([np.mean(x) for x in found], [stein_interval(x) for x in found], truth, width, said),)


def worlds(rng: Generator, studies: int, width: float, effect: bool, count: int = WORLDS) -> tuple[Hits, ...]:
    truth = EFFECT * effect
    found = [PairedWorlds(tuple(row)) for row in rng.normal(truth, 1.0, (studies, int(count))).tolist()]
    return (hits([w.value or 0.0 for w in found], [w.interval() for w in found], truth, width),)


# --- Stopping on the verdict ------------------------------------------------------------------------------------------
def early(rng: Generator, studies: int, width: float, effect: bool) -> tuple[Hits, ...]:
    """A look after each world from 10 to 60. Coverage is of all looks at once; a false positive is a false verdict."""
    truth = EFFECT * effect
    x = rng.normal(truth, 1.0, (studies, WORLDS_MAX))
    low, high = (edge[:, PILOT - 1 :] for edge in confidence_sequence(x))
    middle, half = (low + high) / 2, (high - low) / 2 * width
    return (_looked(x, middle - half, middle + half, truth, True),)


def peeking(rng: Generator, studies: int, width: float, effect: bool) -> tuple[Hits, ...]:
    """The same looks with the interval of a fixed number of worlds."""
    truth = EFFECT * effect
    x = rng.normal(truth, 1.0, (studies, WORLDS_MAX))
    n = np.arange(PILOT, WORLDS_MAX + 1)
    mean = np.cumsum(x, 1)[:, PILOT - 1 :] / n
    deviation = np.sqrt((np.cumsum(x * x, 1)[:, PILOT - 1 :] - n * mean**2) / (n - 1))
    half = width * deviation / np.sqrt(n) * np.array([t_quantile(0.95, k - 1) for k in n.tolist()])
    return (_looked(x, mean - half, mean + half, truth, False),)


def _looked(x: Floats, low: Floats, high: Floats, truth: float, adjust: bool) -> Hits:
    """`low`, `high`: (studies, looks)."""
    covered = np.all((low <= truth) & (truth <= high), axis=1)
    decided = (low > 0) | (high < 0) | ((low >= -MATTERS) & (high <= MATTERS))
    stops = np.where(decided.any(1), decided.argmax(1), low.shape[1] - 1)
    at = (np.arange(len(x)), stops)
    words = [verdict(Interval(a, b), MATTERS) for a, b in zip(low[at].tolist(), high[at].tolist(), strict=True)]
    false = np.array([word in (BETTER, WORSE) for word in words])
    means = (low[at] + high[at]) / 2
    said = f"stops after {np.mean(stops) + PILOT:.0f} worlds; mean at stop {np.mean(means):.3f}, true {truth:.3f}"
    if adjust:
        said += f", adjusted {np.mean(_adjusted(x, means, stops + PILOT)):.3f}"
    return Hits(np.ones(len(x), np.bool_), np.asarray(covered), false, said)


def _adjusted(x: Floats, means: Floats, worlds_used: Sequence[int]) -> list[float]:
    deviations = [float(np.std(row[:used], ddof=1)) for row, used in zip(x, worlds_used, strict=True)]
    pairs = zip(means.tolist(), deviations, strict=True)
    return [bias_adjusted(mean, deviation, MATTERS, WORLDS_MAX) for mean, deviation in pairs]


# --- Many policies ----------------------------------------------------------------------------------------------------
def several(rng: Generator, studies: int, width: float, effect: bool, adjusted: bool = True) -> tuple[Hits, ...]:
    """Five policies equal to the baseline: is any of them called better or worse?"""
    own, shared = rng.normal(0.0, 0.7, (studies, 5, WORLDS)), rng.normal(0.0, 0.7, (studies, 1, WORLDS))
    found = []
    for study in (own + shared).tolist():
        policies = [PairedWorlds(tuple(row)) for row in study]
        plain = [policy.interval() for policy in policies]
        intervals = [c.interval for c in holm([p.interval for p in policies])] if adjusted else plain
        found.append(any(leaves_out_0(i) for i in intervals))
    called = np.array(found, np.bool_)
    return (Hits(np.ones(studies, np.bool_), np.logical_not(called), called),)


def best_of(rng: Generator, studies: int, width: float, effect: bool, policies: int = 100) -> tuple[Hits, ...]:
    """A hundred policies equal to the baseline: the one that looks best, there and on fresh worlds."""
    seen = rng.normal(0.0, 1.0, (studies, policies, WORLDS))
    best = seen[np.arange(studies), seen.mean(2).argmax(1)]
    fresh = rng.normal(0.0, 1.0, (studies, WORLDS))
    both = [[PairedWorlds(tuple(row)) for row in rows.tolist()] for rows in (best, fresh)]
    errors = best.mean(1).mean() * np.sqrt(WORLDS)
    return tuple(
        hits([w.value or 0.0 for w in chosen], [w.interval() for w in chosen], 0.0, width, said)
        for chosen, said in zip(both, (f"looks {errors:.1f} standard errors better than it is", ""), strict=True)
    )


# --- The table --------------------------------------------------------------------------------------------------------
SEQUENCE = Claim("confidence sequence", path_coverage, at_most_5)
PEEKING = Claim("Student's t at each look", path_coverage, at_most_5, FAILS)
HOLM = Claim("Holm", None, family_wise)
ONE_BY_ONE = Claim("Student's t", None, family_wise, FAILS)

WORLDS_SETTINGS: tuple[Setting, ...] = (
    Setting("worlds", "10 worlds", (interval("Student's t"),), with_given(worlds, count=10)),
    Setting("worlds", "20 worlds", (interval("Student's t"),), worlds),
    Setting(
        "worlds", "20 worlds, customers share stock", (interval("by world"), must_fail("by customer")), shared_stock
    ),
    Setting("stein", "pilot of 10 worlds", (interval("Stein's two stages"),), stein),
    Setting("early", "10 to 60 worlds", (SEQUENCE,), early),
    Setting("early", "10 to 60 worlds, peeking", (PEEKING,), peeking),
    Setting("many", "any verdict on 5 equal policies", (HOLM,), several),
    Setting("many", "the same, each by itself", (ONE_BY_ONE,), with_given(several, adjusted=False)),
    Setting("many", "best of 100 equal policies", (must_fail("where chosen"), interval("on fresh worlds")), best_of),
)
