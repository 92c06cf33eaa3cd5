"""Settings of grading whose unit is the customer: holdouts, click rates, spend, few events, pairs, adaptive arms."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from results.estimators import Adjusted, Aipw, Binned, Moments, PairedCustomers, Winsorised, bin_edges
from results.graded import (
    STUDIES,
    Claim,
    Floats,
    Hits,
    Limits,
    Setting,
    hits,
    interval,
    must_fail,
    one_sample,
)
from results.statistics import (
    Interval,
    Mean,
    Proportion,
    Ratio,
    TwoMeans,
    TwoProportions,
    TwoRatios,
    binomial_limits,
    sample_ratio_p,
)

Generator = np.random.Generator
SRM_ALARM = 0.001


# --- Holdouts and few events ------------------------------------------------------------------------------------------
def holdout(rng: Generator, studies: int, width: float, effect: bool, held_out: float = 0.5) -> tuple[Hits, ...]:
    """20 000 customers; 10 % of those held out do it, 13.5 % of those shown."""
    control = round(20_000 * held_out)
    treated, lift = 20_000 - control, 0.035 * effect
    return _two_proportions(rng.binomial(treated, 0.1 + lift, studies), treated,
                            rng.binomial(control, 0.1, studies), control, (lift, lift / 0.1), width)  # fmt: skip


def _two_proportions(
    shown: NDArray[np.int64],
    treated: int,
    held: NDArray[np.int64],
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
    """1 500 customers a group with 1 + Poisson(2) exposures each; how often one clicks differs from one to the next."""
    treated = [_ratios(rng, size, 0.22 if effect else 0.2) for size in _chunks(studies, 250)]
    control = [_ratios(rng, size, 0.2) for size in _chunks(studies, 250)]
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
    y = (1 + rng.poisson(2.0, (studies, 1_500))).astype(np.float64)
    x = rng.binomial(y.astype(np.int64), rng.beta(3 * rate, 3 * (1 - rate), y.shape)).astype(np.float64)
    sums = zip(*(s.tolist() for s in (x.sum(1), y.sum(1), (x * x).sum(1), (y * y).sum(1), (x * y).sum(1))), strict=True)
    return [Ratio(1_500, *row) for row in sums]


def _chunks(studies: int, size: int) -> Iterator[int]:
    yield from (min(size, studies - start) for start in range(0, studies, size))


# --- Spend ------------------------------------------------------------------------------------------------------------
class Pool(NamedTuple):
    """A population to draw customers from; its means are the truth. Spend in fen over 39 weeks."""

    before: Floats  # (customers, 2): spend and visits in the 39 weeks before
    untreated: Floats
    treated: Floats
    bins_untreated: NDArray[np.int64]
    bins_treated: NDArray[np.int64]


@functools.cache
def pool(customers: int = 200_000) -> Pool:
    """Purchases by BG/NBD (Fader, Hardie, Lee 2005, Marketing Science 24: 275, table 2), amounts by Gamma-Gamma (Fader
    and Hardie 2013, "The Gamma-Gamma Model of Monetary Value", section 5), both as fitted to CDNOW. A treated customer
    spends a tenth more on each purchase, with a luck of its own."""
    rng = np.random.default_rng(1997)
    rate = rng.gamma(0.243, 1 / 4.414, customers)  # purchases a week
    lives = rng.geometric(np.maximum(rng.beta(0.793, 2.426, customers), 1e-9))  # the purchase after which one leaves
    scale = 1 / rng.gamma(3.74, 1 / 15.44, customers)
    bought = np.minimum(np.cumsum(rng.poisson(rate * 39, (2, customers)), 0), lives)
    purchases = np.diff(bought, axis=0, prepend=np.zeros((1, customers), np.int64))
    visits = rng.poisson(0.5 + 3.0 * purchases[0])
    spend = [np.round(100 * scale * rng.gamma(6.25 * np.maximum(n, 1e-12))) * (n > 0) for n in purchases]
    treated = np.round(spend[1] * rng.gamma(50.0, 1.1 / 50.0, customers))
    bins = (np.searchsorted(bin_edges(), values, side="right") - 1 for values in (spend[1], treated))
    return Pool(np.column_stack([spend[0], visits]), spend[1], treated, *bins)


def spend(rng: Generator, studies: int, width: float, effect: bool, held_out: float = 0.5) -> tuple[Hits, ...]:
    people, control = pool(), round(6_000 * held_out)
    found = [_spend_study(rng, people, 6_000 - control, control, effect) for _ in range(studies)]
    truth = float(people.treated.mean() - people.untreated.mean()) * effect
    adjusted, cut = [a for a, _ in found], [w for _, w in found]
    raw = [a.raw for a in adjusted]
    cut_means = [w.cut_at(w.threshold) for w in cut]
    saved = f"variance -{np.mean([a.variance_removed for a in adjusted]):.0%}"
    return (
        hits(_differences(raw), [two.difference() for two in raw], truth, width),
        hits(_differences(cut_means), [w.difference() for w in cut], truth, width),
        hits([a.value for a in adjusted], [a.difference() for a in adjusted], truth, width, saved),
    )


def _spend_study(rng: Generator, people: Pool, treated: int, control: int, effect: bool) -> tuple[Adjusted, Winsorised]:
    groups = []
    for size, shown in ((treated, effect), (control, False)):
        who = rng.integers(0, len(people.untreated), size)
        y = (people.treated if shown else people.untreated)[who]
        bins = (people.bins_treated if shown else people.bins_untreated)[who]
        sums = (np.bincount(bins, weights, len(bin_edges())).tolist() for weights in (None, y, y * y))
        groups.append((Moments.of(np.column_stack([y, people.before[who]])), Binned(bin_edges(), *map(tuple, sums))))
    (one, one_binned), (two, two_binned) = groups
    return Adjusted(one, two), Winsorised(one_binned, two_binned)


def _differences(pairs: list[TwoMeans]) -> Floats:
    return np.array([two.treated.total / two.treated.n - two.control.total / two.control.n for two in pairs])


def converted(rng: Generator, studies: int, width: float, effect: bool) -> tuple[Hits, ...]:
    """A 0/1 outcome among 4 000 customers, a tenth held out, with a covariate that foretells it."""
    lift, found = 0.05 * effect, []
    for size in _chunks(studies, 250):
        past = rng.random((size, 4_000))
        bought = rng.random((size, 4_000)) < 0.4 * past**2 + lift * (np.arange(4_000) >= 400)
        columns = np.stack([bought, past, rng.poisson(4 * past)], axis=2).astype(np.float64)
        found += [Adjusted(Moments.of(rows[400:]), Moments.of(rows[:400])) for rows in columns]
    saved = f"variance -{np.mean([a.variance_removed for a in found]):.0%}"
    raw = [a.raw for a in found]
    return (
        hits(_differences(raw), [two.difference() for two in raw], lift, width),
        hits([a.value for a in found], [a.difference() for a in found], lift, width, saved),
    )


# --- Paired by customer -----------------------------------------------------------------------------------------------
def paired(rng: Generator, studies: int, width: float, effect: bool, differ: int = 400) -> tuple[Hits, ...]:
    """20 000 customers under two policies; about `differ` of them spend, or do not, under one alone (CDNOW amounts)."""
    amounts = pool().untreated[pool().untreated > 0]
    gain = 0.8 if effect else 0.5
    truth = differ / 20_000 * (2 * gain - 1) * float(amounts.mean())
    found = []
    for count in rng.binomial(20_000, differ / 20_000, studies).tolist():
        some = rng.choice(amounts, count) * np.where(rng.random(count) < gain, 1.0, -1.0)
        found.append(PairedCustomers.of(np.concatenate([some, np.zeros(20_000 - count)])))
    return (hits([p.total / p.n for p in found], [p.interval() for p in found], truth, width),)


# --- Adaptive arms ----------------------------------------------------------------------------------------------------
class Arms(NamedTuple):
    """Sums over one experiment with two adaptive arms, (studies,) each."""

    scores: tuple[Floats, Floats]  # of the first arm: total, squares
    contrast: tuple[Floats, Floats]  # of the first less the second
    got: tuple[Floats, Floats]  # customers and events of the first


def adaptive(rng: Generator, studies: int, width: float, effect: bool) -> tuple[Hits, ...]:
    """Two arms at 10 %, or the first at 14 %; 4 000 customers in batches of 40, Thompson sampling with a floor of 5 %."""
    rates, customers = (0.14 if effect else 0.1, 0.1), 4_000
    arms = thompson(rng, studies, rates, 100, 40)
    n, events = arms.got
    raw = [Mean(a, b, b) for a, b in zip(n.tolist(), events.tolist(), strict=True)]
    one, apart = (
        [Aipw(Mean(customers, *sums), r) for r, *sums in zip(raw, *(s.tolist() for s in pair), strict=True)]
        for pair in (arms.scores, arms.contrast)
    )
    remark = f"average {np.mean(events / n):.1%}, true {rates[0]:.0%}"
    return (
        hits(
            arms.scores[0] / customers,
            [a.interval() for a in one],
            rates[0],
            width,
            f"average {arms.scores[0].mean() / customers:.1%}, true {rates[0]:.0%}",
        ),
        hits(arms.contrast[0] / customers, [a.interval() for a in apart], rates[0] - rates[1], width),
        hits(events / n, [r.interval() for r in raw], rates[0], width, remark),
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


def _score_sums(guess: Floats, got: Floats, won: Floats, chances: Floats, signs: Floats, expected: Floats) -> Floats:
    """Total and squares of a batch's scores, (2, studies): `expected` plus the residual of the arm got over its chance."""
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
def _with(draw: Callable[..., tuple[Hits, ...]], **given: float) -> Callable[..., tuple[Hits, ...]]:
    return functools.partial(draw, **given)


HOLDOUT = (interval("difference"), interval("relative lift"))
SPEND = (interval("Welch, raw"), interval("Welch, winsorised"), interval("CUPED"))
ALARMS = Claim("chi-square", None, few_alarms)

CUSTOMERS: tuple[Setting, ...] = (
    *(Setting("holdout", f"{share:.0%} of 20 000 held out", HOLDOUT, _with(holdout, held_out=share)) for share in (0.5, 0.1, 0.01)),
    Setting("holdout", "0/1 outcome, covariates, 10 % of 4 000 held out", (interval("raw"), interval("CUPED")), converted),
    Setting("rare", "2-40 events of 20 000", (one_sample("proportion"),), rare_one),
    Setting("rare", "2-40 events of 10 000, and as many", HOLDOUT, rare_two),
    Setting("rare", "2-40 events of 2 000, 18 000 shown", HOLDOUT, _with(rare_two, control=2_000)),
    Setting("clicks", "3 exposures a customer, 1 500 customers",
            (one_sample("ratio, delta method"), must_fail("ratio, binomial", positives=False),
             interval("difference"), interval("relative lift")), clicks),
    Setting("spend", "CDNOW, 3 000 and 3 000", SPEND, spend),
    Setting("spend", "CDNOW, 10 % of 6 000 held out", SPEND, _with(spend, held_out=0.1)),
    *(Setting("paired", f"by customer, {count:,} of 20 000 differ".replace(",", " "), (interval("t" if count > 200 else "bootstrap"),), _with(paired, differ=count))
      for count in (2_000, 400, 100, 40)),
    Setting("adaptive", "Thompson, floor 5 %",
            (interval("AIPW, an arm"), interval("AIPW, arm less arm"), must_fail("raw mean", positives=False)), adaptive),
    Setting("srm", "clean, 40 000 customers", (ALARMS,), sample_ratio),
    Setting("srm", "2 % of one arm lost, 400 000 customers", (Claim("chi-square", None, nearly_all_alarm),),
            _with(sample_ratio, customers=400_000, lost=0.02)),
)  # fmt: skip
