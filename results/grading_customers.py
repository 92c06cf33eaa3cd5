"""Settings of grading by customer where each counts once: holdouts, few events, click rates, adaptive arms, SRM."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from results.estimators import Aipw
from results.graded import (
    ANY,
    Claim,
    Floats,
    Hits,
    Limits,
    Setting,
    chunks,
    hits,
    interval,
    must_fail,
    one_sample,
    refused,
    with_given,
)
from results.statistics import (
    Interval,
    Mean,
    Proportion,
    Ratio,
    TwoProportions,
    TwoRatios,
    binomial_limits,
    sample_ratio_p,
)

Generator = np.random.Generator
Counts = NDArray[np.int64]
SRM_ALARM = 0.001
NONE = Interval(None, None)


# --- Holdouts and few events ------------------------------------------------------------------------------------------
def holdout(rng: Generator, studies: int, width: float, effect: bool, held_out: float = 0.5) -> tuple[Hits, ...]:
    """20 000 customers; 10 % of those held out do it, 13.5 % of those shown."""
    control = round(20_000 * held_out)
    treated, lift = 20_000 - control, 0.035 * effect
    return _two_proportions(rng.binomial(treated, 0.1 + lift, studies), treated,
                            rng.binomial(control, 0.1, studies), control, (lift, lift / 0.1), width)  # fmt: skip


def _two_proportions(
    shown: Counts,
    treated: int,
    held: Counts,
    control: int,
    truths: tuple[Floats | float, Floats | float],
    width: float,
) -> tuple[Hits, ...]:
    pairs = [
        TwoProportions(Proportion(a, treated), Proportion(b, control))
        for a, b in zip(shown.tolist(), held.tolist(), strict=True)
    ]
    p1, p2 = shown / treated, held / control
    relative = np.divide(p1, p2, out=np.full(len(p1), np.nan), where=p2 > 0) - 1
    return (
        hits(p1 - p2, [two.difference() for two in pairs], truths[0], width),
        hits(relative, [two.relative() for two in pairs], truths[1], width),
    )


def rare_one(rng: Generator, studies: int, width: float, effect: bool) -> tuple[Hits, ...]:
    """Between 2 and 40 events expected among 20 000 customers, every order of magnitude alike."""
    share = _few_expected(rng, studies) / 20_000
    events = rng.binomial(20_000, share)
    return (hits(events / 20_000, [Proportion(x, 20_000).interval() for x in events.tolist()], share, width),)


def rare_two(rng: Generator, studies: int, width: float, effect: bool, control: int = 10_000) -> tuple[Hits, ...]:
    """So few events expected in the control group; half as many again with an effect."""
    treated, share = 20_000 - control, _few_expected(rng, studies) / control
    factor = 1.5 if effect else 1.0
    shown, held = rng.binomial(treated, share * factor), rng.binomial(control, share)
    return _two_proportions(shown, treated, held, control, (share * (factor - 1), factor - 1), width)


def _few_expected(rng: Generator, studies: int) -> Floats:
    return np.exp(rng.uniform(math.log(2), math.log(40), studies))


# --- Click rates ------------------------------------------------------------------------------------------------------
def clicks(rng: Generator, studies: int, width: float, effect: bool) -> tuple[Hits, ...]:
    """1 500 customers a group with 1 + Poisson(3) exposures each; how often one clicks differs from one to the next."""
    treated = [_ratios(rng, size, 0.22 if effect else 0.2) for size in chunks(studies, 250)]
    control = [_ratios(rng, size, 0.2) for size in chunks(studies, 250)]
    ones, twos = [r for chunk in treated for r in chunk], [r for chunk in control for r in chunk]
    pairs = [TwoRatios(one, two) for one, two in zip(ones, twos, strict=True)]
    alone, both = np.array([r.x / r.y for r in twos]), np.array([r.x / r.y for r in ones])
    truth = 0.02 * effect
    return (
        hits(alone, [r.interval() for r in twos], 0.2, width),
        hits(alone, [Proportion(r.x, r.y).interval() for r in twos], 0.2, width, "customers are not exposures"),
        hits(both - alone, [pair.difference() for pair in pairs], truth, width),
        hits(both / alone - 1, [pair.relative() for pair in pairs], truth / 0.2, width),
    )


def _ratios(rng: Generator, studies: int, rate: float) -> list[Ratio]:
    y = (1 + rng.poisson(3.0, (studies, 1_500))).astype(np.float64)
    x = rng.binomial(y.astype(np.int64), rng.beta(2.5 * rate, 2.5 * (1 - rate), y.shape)).astype(np.float64)
    sums = zip(*(s.tolist() for s in (x.sum(1), y.sum(1), (x * x).sum(1), (y * y).sum(1), (x * y).sum(1))), strict=True)
    return [Ratio(1_500, *row) for row in sums]


# --- Adaptive arms ----------------------------------------------------------------------------------------------------
class Arms(NamedTuple):
    """Sums over one experiment with two adaptive arms, (studies,) each."""

    scores: tuple[Floats, Floats]  # of the first arm: total, squares
    contrast: tuple[Floats, Floats]  # of the first less the second
    got: tuple[Floats, Floats]  # customers and events of the first


def adaptive(
    rng: Generator, studies: int, width: float, effect: bool, first: float = 0.1, batches: int = 200, size: int = 100
) -> tuple[Hits, ...]:
    """Two arms, at `first` and 10 %, with Thompson sampling and a floor of 5 %; without an effect both at 10 %."""
    rates, customers = (first if effect else 0.1, 0.1), batches * size
    arms = thompson(rng, studies, rates, batches, size)
    n, events = arms.got
    raw = [Mean(a, b, b) for a, b in zip(n.tolist(), events.tolist(), strict=True)]
    one, apart = (
        [Aipw(Mean(customers, *sums), r) for r, *sums in zip(raw, *(s.tolist() for s in pair), strict=True)]
        for pair in (arms.scores, arms.contrast)
    )
    means, raw_means = arms.scores[0] / customers, events / np.maximum(n, 1)
    said = [f"average {np.mean(m):.1%}, true {rates[0]:.0%}" for m in (means, raw_means)]
    return (
        hits(means, [a.interval() for a in one], rates[0], width, said[0]),
        hits(arms.contrast[0] / customers, [a.interval() for a in apart], rates[0] - rates[1], width),
        hits(raw_means, [r.interval() if r.n > 1 else NONE for r in raw], rates[0], width, said[1]),
    )


def thompson(rng: Generator, studies: int, rates: tuple[float, float], batches: int, size: int) -> Arms:
    """Beta(1, 1) posteriors compared by their normal approximation; scores by batch, where probabilities are alike."""
    n, events = np.zeros((2, studies)), np.zeros((2, studies))
    scores, contrast = np.zeros((2, studies)), np.zeros((2, studies))
    for _ in range(batches):
        guess = (events + 1) / (n + 10)
        first = first_arm_probability(n, events)
        chances = np.stack([first, 1 - first])
        to_first = rng.binomial(size, first)
        got = np.stack([to_first, size - to_first])
        won = rng.binomial(got, np.array(rates)[:, None])
        scores += _score_sums(guess[0], got, won, chances, np.array([1.0, 0.0]), guess[0])
        contrast += _score_sums(guess, got, won, chances, np.array([1.0, -1.0]), guess[0] - guess[1])
        n, events = n + got, events + won
    return Arms((scores[0], scores[1]), (contrast[0], contrast[1]), (n[0], events[0]))


def _score_sums(guess: Floats, got: Counts, won: Counts, chances: Floats, signs: Floats, expected: Floats) -> Floats:
    """Total and squares of a batch's scores, (2, studies): `expected` plus residual / chance of the arm got."""
    hit, miss = (expected + signs[:, None] * (y - guess) / chances for y in (1.0, 0.0))
    lost = got - won
    return np.stack([(won * hit + lost * miss).sum(0), (won * hit**2 + lost * miss**2).sum(0)])


def first_arm_probability(n: Floats, events: Floats) -> Floats:
    a, b = events + 1, n - events + 1
    mean, variance = a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
    z = (mean[0] - mean[1]) / np.sqrt(variance.sum(0))
    return np.clip(0.5 * (1 + _erf(z / math.sqrt(2))), 0.05, 0.95)


_erf = np.vectorize(math.erf, otypes=[np.float64])


# --- Sample ratio -----------------------------------------------------------------------------------------------------
def sample_ratio(
    rng: Generator, studies: int, width: float, effect: bool, customers: int = 40_000, lost: float = 0.0
) -> tuple[Hits, ...]:
    first = rng.binomial(customers, 0.5, studies)
    kept = rng.binomial(first, 1 - lost)
    pairs = zip(kept.tolist(), (customers - first).tolist(), strict=True)
    p = [sample_ratio_p([a, b], [0.5, 0.5]) for a, b in pairs]
    return (
        hits(
            np.zeros(studies),
            [Interval(-1.0, 1.0) if x is None or x >= SRM_ALARM else Interval(1.0, 1.0) for x in p],
            0.0,
        ),
    )


def few_alarms(studies: int) -> Limits:
    """At most 8 in 2 000 (FIDELITY 16): what a test at 0.001 stays under 999 times in 1 000 or more."""
    return 0.0, binomial_limits(studies, SRM_ALARM, 0.9995)[1]


def nearly_all_alarm(studies: int) -> Limits:
    return 0.99, 1.0


# --- The table --------------------------------------------------------------------------------------------------------
HOLDOUT = (interval("difference"), interval("relative lift"))
AIPW = (one_sample("AIPW, an arm"), interval("AIPW, arm less arm"))
RAW_MEAN = must_fail("raw mean", positives=False)
ALARMS = Claim("chi-square", None, few_alarms)

CUSTOMERS: tuple[Setting, ...] = (
    *(
        Setting("holdout", f"{share:.0%} of 20 000 held out", HOLDOUT, with_given(holdout, held_out=share))
        for share in (0.5, 0.1, 0.01)
    ),
    Setting("rare", "2-40 events of 20 000", (one_sample("proportion"),), rare_one),
    Setting("rare", "2-40 events of 10 000, as many shown", HOLDOUT, rare_two),
    Setting("rare", "2-40 events of 2 000, 18 000 shown", HOLDOUT, with_given(rare_two, control=2_000)),
    Setting(
        "clicks",
        "4 exposures each, 1 500 customers",
        (
            one_sample("ratio, delta method"),
            must_fail("ratio, binomial", positives=False),
            interval("difference"),
            interval("relative lift"),
        ),
        clicks,
    ),
    Setting("adaptive", "two equal arms, 20 000 customers", (*AIPW, RAW_MEAN), adaptive),
    Setting(
        "adaptive",
        "14% and 10%, 20 000 customers",
        (*AIPW, RAW_MEAN._replace(expected=ANY)),
        with_given(adaptive, first=0.14),
    ),
    Setting(
        "adaptive",
        "two equal arms, 200 customers",
        (*map(refused, AIPW), RAW_MEAN),
        with_given(adaptive, batches=200, size=1),
    ),
    Setting("srm", "clean, 40 000 customers", (ALARMS,), sample_ratio),
    Setting(
        "srm",
        "2% of one arm lost, 400 000 customers",
        (Claim("chi-square", None, nearly_all_alarm),),
        with_given(sample_ratio, customers=400_000, lost=0.02),
    ),
)
