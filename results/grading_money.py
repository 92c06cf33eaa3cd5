"""Settings of grading by customer where each counts for an amount: spend, adjusted for the past, and pairs."""

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from results.estimators import Adjusted, Binned, Moments, Winsorised, bin_edges
from results.graded import (
    ANY,
    Floats,
    Hits,
    Setting,
    chunks,
    hits,
    interval,
    must_fail,
    refused,
    with_given,
)
from results.paired import PairedCustomers
from results.statistics import TwoMeans

Generator = np.random.Generator


# --- Spend ------------------------------------------------------------------------------------------------------------
class Group(NamedTuple):
    """A population under one policy, to draw customers from: (customers, 3) spend in fen over 39 weeks, then spend and
    visits in the 39 weeks before; and the bin of each spend."""

    columns: Floats
    bins: NDArray[np.int64]


class Pool(NamedTuple):
    """The same customers with and without a campaign; their means are the truth."""

    treated: Group
    untreated: Group

    @property
    def spent(self) -> Floats:
        spend = self.untreated.columns[:, 0]
        return spend[spend > 0]


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
    groups = []
    for y in (treated, spend[1]):
        columns = np.ascontiguousarray(np.column_stack([y, spend[0], visits]))
        groups.append(Group(columns, np.searchsorted(bin_edges(), y, side="right") - 1))
    return Pool(*groups)


def spend(
    rng: Generator, studies: int, width: float, effect: bool, customers: int = 6_000, held_out: float = 0.5
) -> tuple[Hits, ...]:
    people, control = pool(), round(customers * held_out)
    found = [_spend_study(rng, people, customers - control, control, effect) for _ in range(studies)]
    truth = float(people.treated.columns[:, 0].mean() - people.untreated.columns[:, 0].mean()) * effect
    adjusted, cut = [a for a, _ in found], [w for _, w in found]
    raw = [a.raw for a in adjusted]
    cut_means = [w.cut_at(w.threshold) for w in cut]
    saved = _saved(adjusted)
    return (
        hits(_differences(raw), [two.difference() for two in raw], truth, width),
        hits(_differences(cut_means), [w.difference() for w in cut], truth, width, _narrowed(cut_means, raw)),
        hits([a.value for a in adjusted], [a.difference() for a in adjusted], truth, width, saved),
    )


def _saved(adjusted: list[Adjusted]) -> str:
    return f"{np.mean([a.variance_removed for a in adjusted]):.0%} of the variance removed"


def _narrowed(cut: list[TwoMeans], raw: list[TwoMeans]) -> str:
    errors = [sum(math.sqrt(t.treated.variance / t.treated.n + t.control.variance / t.control.n) for t in two)
              for two in (cut, raw)]  # fmt: skip
    return f"{1 - errors[0] / errors[1]:.0%} narrower than raw"


def _spend_study(rng: Generator, people: Pool, treated: int, control: int, effect: bool) -> tuple[Adjusted, Winsorised]:
    groups = []
    for size, group in ((treated, people.treated if effect else people.untreated), (control, people.untreated)):
        who = rng.integers(0, len(group.bins), size)
        columns, bins = group.columns[who], group.bins[who]
        y = columns[:, 0]
        sums = (np.bincount(bins, weights, len(bin_edges())).tolist() for weights in (None, y, y * y))
        groups.append((Moments.of(columns), Binned(bin_edges(), *map(tuple, sums))))
    (one, one_binned), (two, two_binned) = groups
    return Adjusted(one, two), Winsorised(one_binned, two_binned)


def _differences(pairs: list[TwoMeans]) -> Floats:
    return np.array([two.treated.total / two.treated.n - two.control.total / two.control.n for two in pairs])


def converted(rng: Generator, studies: int, width: float, effect: bool) -> tuple[Hits, ...]:
    """A 0/1 outcome among 4 000 customers, a tenth held out, with a covariate that foretells it."""
    lift, found = 0.05 * effect, []
    for size in chunks(studies, 250):
        past = rng.random((size, 4_000))
        bought = rng.random((size, 4_000)) < 0.4 * past**2 + lift * (np.arange(4_000) >= 400)
        columns = np.stack([bought, past, rng.poisson(4 * past)], axis=2).astype(np.float64)
        found += [Adjusted(Moments.of(rows[400:]), Moments.of(rows[:400])) for rows in columns]
    saved = _saved(found)
    raw = [a.raw for a in found]
    return (
        hits(_differences(raw), [two.difference() for two in raw], lift, width),
        hits([a.value for a in found], [a.difference() for a in found], lift, width, saved),
    )


# --- Paired by customer -----------------------------------------------------------------------------------------------
def paired_amounts(rng: Generator, studies: int, width: float, effect: bool, differ: int = 2_000) -> tuple[Hits, ...]:
    """20 000 customers under two policies; about `differ` of them spend under one alone (CDNOW amounts)."""
    amounts = pool().spent
    expected = np.full(studies, float(differ))
    return _paired(rng, amounts, expected, 0.8 if effect else 0.5, width, False)


def paired_counts(rng: Generator, studies: int, width: float, effect: bool, most: float = 160) -> tuple[Hits, ...]:
    """The same for a number of events, where from a quarter of `most` to `most` customers are expected to differ."""
    events = rng.geometric(0.7, 10_000).astype(np.float64)
    expected = np.exp(rng.uniform(math.log(most / 4), math.log(most), studies))
    return _paired(rng, events, expected, 0.8 if effect else 0.5, width, True)


def _paired(rng: Generator, sizes: Floats, differ: Floats, gain: float, width: float, counts: bool) -> tuple[Hits, ...]:
    """A difference is `sizes` at random, upwards with probability `gain`."""
    found = []
    for count in rng.binomial(20_000, differ / 20_000).tolist():
        some = rng.choice(sizes, count) * np.where(rng.random(count) < gain, 1.0, -1.0)
        found.append(PairedCustomers.of(np.concatenate([some, np.zeros(20_000 - count)])))
    truth = differ / 20_000 * (2 * gain - 1) * float(sizes.mean())
    return (hits([p.total / p.n for p in found], [p.interval(counts=counts) for p in found], truth, width),)


# --- The table --------------------------------------------------------------------------------------------------------
RAW, CUT, CUPED = interval("Welch, raw"), interval("Welch, winsorised"), interval("CUPED")
T, BOOTSTRAP = interval("Student's t"), interval("bootstrap")

MONEY: tuple[Setting, ...] = (
    Setting("holdout", "10% of 4 000, two covariates", (interval("raw"), CUPED), converted),
    Setting("spend", "CDNOW, half of 6 000 held out", (RAW, CUT, CUPED), spend),
    Setting(
        "spend",
        "CDNOW, 10% of 20 000 held out",
        (RAW._replace(expected=ANY), CUT, CUPED),
        with_given(spend, customers=20_000, held_out=0.1),
    ),
    Setting(
        "spend",
        "CDNOW, 2% of 10 000 held out",
        (must_fail("Welch, raw"), refused(CUT), CUPED),
        with_given(spend, customers=10_000, held_out=0.02),
    ),
    Setting("paired", "spend differs for 2 000 of 20 000", (T,), paired_amounts),
    Setting("paired", "spend differs for 150 of 20 000", (refused(T),), with_given(paired_amounts, differ=150)),
    Setting("paired", "events differ for 250-1 000 of 20 000", (T,), with_given(paired_counts, most=1_000)),
    Setting("paired", "events differ for 40-160 of 20 000", (BOOTSTRAP,), paired_counts),
    Setting("paired", "events differ for 4-16 of 20 000", (refused(BOOTSTRAP),), with_given(paired_counts, most=16)),
)
