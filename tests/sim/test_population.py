"""The population against the literature: BG/NBD purchases, Gamma-Gamma spend, curves that average 1."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from scipy import stats

from engine.compiled import entry
from engine.host.shard import CustomerShard
from engine.records import DAY_MS, WEEK_MS
from scenarios.build import day_factors, hour_quantiles, model_of, purchase_clock
from scenarios.grading_population import repeat_purchases
from scenarios.inline import compiled_waves
from scenarios.population_document import Cards
from scenarios.worker import RunPlan
from sim.arrivals import clock_at, time_at
from sim.cohort import Cohort, empty_crowd
from sim.model import Model, Span
from sim.population import purchase_amount
from tests.sim.worlds import busy_policy, plan_for, population

# BG/NBD (Fader, Hardie, Lee 2005) with the parameters of CDNOW, T = 39 weeks: P(X = 0 … 6, 7 and more), FIDELITY §4.
STATED = np.array([0.5738, 0.1994, 0.0854, 0.0459, 0.0277, 0.0180, 0.0123, 0.0376])
STATED_MEAN = 1.1967
T_MS = 39 * WEEK_MS
Z_MAX = 4.0
RATE, COIN_AT_ACQUISITION, NO_DROP_OUT = range(3)
CDNOW = {
    "purchases__unit": "week",
    "purchases__r": 0.243,
    "purchases__alpha": 4.414,
    "purchases__a": 0.793,
    "purchases__b": 2.426,
    "purchases__curves": False,
    "cards": Cards(),  # bound, used, not prepaid
}


def cdnow_plan(before: int, days: int, **changes: object) -> RunPlan:
    """A run of a policy that shows nothing."""
    people = population(**(CDNOW | changes))
    policy = busy_policy()
    return plan_for(policy, people, before, days, 0, paused=tuple(policy.campaigns))


def model_for(plan: RunPlan) -> Model:
    return model_of(plan.population, plan.baseline, plan.spans, (plan.seed, plan.replication))


def history(n: int, rate_factor: float = 1.0, fault: int = RATE) -> np.ndarray:
    """Repeat purchases of n customers over 39 weeks, with a planted fault."""
    plan = cdnow_plan(1, 1)
    model = model_for(plan)
    numbers = model.numbers[0]
    numbers.alpha /= rate_factor
    if fault == NO_DROP_OUT:
        numbers.a = 1e-9
    crowd = empty_crowd(0, 1, model, plan.spans)
    joined = np.full(n, int(crowd.span[Span.START]) - T_MS)
    repeats = repeat_purchases(model, crowd, joined)
    if fault == COIN_AT_ACQUISITION:
        rng = np.random.default_rng(1)
        repeats[rng.random(n) < rng.beta(numbers.a, numbers.b, n)] = 0
    return repeats


def z_scores(repeats: np.ndarray) -> np.ndarray:
    """Of the eight cells."""
    n = len(repeats)
    counts = np.bincount(np.minimum(repeats, 7), minlength=8)
    return (counts - n * STATED) / np.sqrt(n * STATED * (1 - STATED))


def is_bgnbd(repeats: np.ndarray) -> bool:
    # The stated figures are rounded to four places: at a million customers that is up to 0.2 standard errors.
    mean_is_right = abs(repeats.mean() - STATED_MEAN) < Z_MAX * repeats.std() / np.sqrt(len(repeats)) + 5e-5
    return bool(np.abs(z_scores(repeats)).max() < Z_MAX) and mean_is_right


def test_repeat_purchases_of_the_history_follow_bgnbd() -> None:
    repeats = history(1_000_000)
    assert is_bgnbd(repeats), (z_scores(repeats), repeats.mean())


@pytest.mark.parametrize(
    ("rate_factor", "fault", "n"),
    [
        (1.0, COIN_AT_ACQUISITION, 200_000),
        (1.0, NO_DROP_OUT, 200_000),
        pytest.param(1.03, RATE, 1_000_000, marks=pytest.mark.long),
    ],
    ids=["coin at acquisition", "no drop-out", "rate 3 % too high"],
)
def test_a_wrong_purchase_process_is_seen(rate_factor: float, fault: int, n: int) -> None:
    assert not is_bgnbd(history(n, rate_factor, fault))


def lived(n: int) -> np.ndarray:
    """Repeat purchases of customers who all join at the start of a run of 39 weeks, as payments of the world."""
    plan = cdnow_plan(0, 273, visits__per_day=1e-9, customers__joined_within=1)
    cohort = Cohort(0, n, model_for(plan), plan.spans)
    shard = CustomerShard(0, n, plan.baseline.tables, plan.baseline.registry.slots)
    shard.customers[:] = cohort.profiles
    shard.pause(plan.paused_before)
    cohort.launch()
    cohort.advance(plan.spans.start, plan.spans.end, compiled_waves(shard))
    return cohort.crowd.visitors["payments"].astype(np.int64)


def test_repeat_purchases_of_a_run_follow_bgnbd() -> None:
    repeats = lived(200_000)
    assert is_bgnbd(repeats), (z_scores(repeats), repeats.mean())


# --- Gamma-Gamma ------------------------------------------------------------------------------------------------------
@entry
def draw_amounts(model, amounts):
    for customer in range(len(amounts)):
        amounts[customer] = purchase_amount(model, customer, 5)


def test_amounts_follow_gamma_gamma() -> None:
    """A gamma of shape p at an inverse gamma scale is a beta prime of (p, q), scale γ (Fader, Hardie 2013)."""
    model = model_for(cdnow_plan(1, 1))
    numbers = model.numbers[0]
    p, q, scale = numbers.spend_p, numbers.spend_q, numbers.spend_gamma
    amounts = np.zeros(200_000, np.int64)
    draw_amounts(model, amounts)
    law = stats.betaprime(p, q, scale=scale)
    assert abs(amounts.mean() + 0.5 - p * scale / (q - 1)) < Z_MAX * law.std() / np.sqrt(len(amounts))
    assert stats.kstest(amounts + 0.5, law.cdf).pvalue > 1e-6
    assert stats.kstest(amounts * 1.01, law.cdf).pvalue < 1e-6  # one hundredth too much is seen


# --- curves -----------------------------------------------------------------------------------------------------------
FIRST, YEARS = date(2026, 1, 1), 28  # after 28 years every date has fallen on every weekday equally often
DAYS = [FIRST + timedelta(days=n) for n in range(YEARS * 365 + YEARS // 4)]


def test_season_and_weekday_average_one() -> None:
    people = population()
    factors = day_factors(DAYS, people)
    assert np.ptp(factors) > 0.1
    assert factors.mean() == pytest.approx(1.0, abs=2e-5)
    assert [factors[:365].mean(), factors[365:730].mean()] == pytest.approx([1.0, 1.0], abs=2e-3)
    clock = purchase_clock(DAYS[0], DAYS[-1], people)
    assert clock[-1] / len(DAYS) == pytest.approx(1.0, abs=2e-5)
    assert np.all(np.diff(clock) >= 0)


def test_visits_keep_their_number_over_the_day() -> None:
    hours = population().visits.hours
    quantiles = hour_quantiles(hours)
    assert quantiles[0] == 0.0
    assert quantiles[-1] == 1.0
    # The share of visits before each hour is that of the curve.
    before = np.interp(np.arange(25) / 24, quantiles, np.linspace(0, 1, len(quantiles)))
    assert before == pytest.approx(np.concatenate([[0], np.cumsum(hours) / sum(hours)]), abs=0.01)


def test_the_purchase_clock_has_an_inverse() -> None:
    plan = replace(cdnow_plan(3, 20), population=population())
    model = model_for(plan)
    start = int(model.clock_start_ms[0])
    for t in np.random.default_rng(1).integers(start, start + 600 * DAY_MS, 500).tolist():
        assert abs(time_at(model, clock_at(model, t)) - t) <= 2, t
