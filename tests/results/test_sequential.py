"""Stopping on precision (Stein) and on the verdict: what is promised, against paths with a known truth."""

import math

import numpy as np
import pytest

from results.sequential import (
    PILOT,
    bias_adjusted,
    confidence_sequence,
    early_stop,
    stein_interval,
    stein_worlds,
)
from results.statistics import TOO_FEW, t_quantile


def test_stein_asks_for_worlds() -> None:
    """(t s / d)^2 with t of 9 degrees of freedom, 2.2622: a deviation of 1 and half a width of 0.5 take 21 worlds."""
    pilot = [-1.0, 1.0] * 5
    deviation = math.sqrt(10 / 9)
    assert stein_worlds(pilot, 0.5) == math.ceil((2.2622 * deviation / 0.5) ** 2) == 23
    assert stein_worlds(pilot, 50.0) == PILOT  # the pilot is enough
    assert stein_worlds([3.0] * 10, 0.1) == PILOT
    assert stein_worlds(pilot, 0.5, confidence=0.999) > stein_worlds(pilot, 0.5)


def test_stein_uses_the_pilot_alone_for_the_width() -> None:
    pilot = [-1.0, 1.0] * 5
    low, high, _ = stein_interval([*pilot, *[100.0, -100.0] * 5])
    assert low is not None and high is not None
    assert (high - low) / 2 == pytest.approx(t_quantile(0.95, 9) * math.sqrt(10 / 9) / math.sqrt(20))
    few = stein_interval(pilot[:9])
    assert few.low is None and TOO_FEW in few.note


def test_stein_keeps_the_width_it_promised() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        pilot = rng.normal(0.0, 1.0, PILOT).tolist()
        n = stein_worlds(pilot, 0.3)
        low, high, _ = stein_interval([*pilot, *rng.normal(0.0, 1.0, n - PILOT).tolist()])
        assert low is not None and high is not None
        assert (high - low) / 2 <= 0.3 + 1e-12


def test_a_confidence_sequence_begins_with_the_pilot() -> None:
    x = np.random.default_rng(2).normal(0.0, 1.0, (3, 40))
    low, high = confidence_sequence(x)
    assert np.isinf(low[:, : PILOT - 1]).all() and np.isinf(high[:, : PILOT - 1]).all()
    assert np.isfinite(low[:, PILOT - 1 :]).all()
    alone = confidence_sequence(x[1])
    assert np.array_equal(alone.low, low[1]) and np.array_equal(alone.high, high[1])


def test_a_confidence_sequence_is_equivariant() -> None:
    """In other units and around another level it is the same, also where the level dwarfs the deviation."""
    x = np.random.default_rng(4).normal(0.0, 1.0, 30)
    plain, moved = confidence_sequence(x), confidence_sequence(1e9 + 100 * x)
    assert moved.low[PILOT:] == pytest.approx(1e9 + 100 * plain.low[PILOT:], abs=1e-3)


def test_a_confidence_sequence_is_where_the_mixed_likelihood_ratio_reaches_20() -> None:
    """Wang and Ramdas 2023, theorem 4.9, computed from its definition at the bound."""
    x, c = np.random.default_rng(5).normal(0.3, 2.0, 25), 2.0
    n, bound = 25, confidence_sequence(x).low[-1]
    total, squares = float((x - bound).sum()), float(((x - bound) ** 2).sum())
    ratio = math.sqrt(c / (n + c)) * ((n + c) * squares / ((n + c) * squares - total**2)) ** (n / 2)
    assert ratio == pytest.approx(20.0)


def test_early_stop() -> None:
    rng = np.random.default_rng(6)
    clear = rng.normal(5.0, 1.0, 60).tolist()
    assert early_stop(clear[: PILOT - 1], 0.1, 60) is None
    stop = early_stop(clear, 0.1, 60)
    assert stop is not None
    assert (stop.worlds, stop.word) == (PILOT, "better")
    assert stop.low <= stop.adjusted <= stop.high
    worse = early_stop(clear, 0.1, 60, more_is_better=False)
    assert worse is not None and worse.word == "worse"
    same = early_stop((rng.normal(0.0, 1.0, 60) / 100).tolist(), 0.1, 60)
    assert same is not None and (same.worlds, same.word) == (PILOT, "no difference that matters")


def test_early_stop_ends_undecided_at_the_limit() -> None:
    values = ([1.0, -1.0] * 30)[:59]
    assert early_stop(values, 0.01, 60) is None
    stop = early_stop([*values, -1.0], 0.01, 60)
    assert stop is not None and (stop.worlds, stop.word) == (60, "undecided")
    assert early_stop([*values, *[9.0] * 50], 0.01, 59) == early_stop(
        values, 0.01, 59
    )  # later worlds are not looked at


def test_the_estimate_is_adjusted_for_stopping() -> None:
    assert bias_adjusted(0.0, 1.0, 0.2, 60) == pytest.approx(0.0, abs=1e-9)  # symmetric
    assert 0 < bias_adjusted(0.8, 1.0, 0.2, 60) < 0.8
    assert bias_adjusted(-0.8, 1.0, 0.2, 60) == pytest.approx(-bias_adjusted(0.8, 1.0, 0.2, 60))
    assert bias_adjusted(8.0, 10.0, 2.0, 60) == pytest.approx(10 * bias_adjusted(0.8, 1.0, 0.2, 60))
    assert bias_adjusted(20.0, 1.0, 0.2, 60) == pytest.approx(20.0)  # stops at the pilot whatever it sees
    assert bias_adjusted(3.0, 0.0, 0.2, 60) == 3.0


@pytest.mark.parametrize("effect", [0.3, 0.5, 0.8])
def test_the_adjusted_estimate_is_nearer_the_truth(effect: float) -> None:
    """On average over studies; what is left comes from not knowing the deviation."""
    paths = np.random.default_rng(7).normal(effect, 1.0, (400, 60)).tolist()
    stops = [stop for path in paths if (stop := early_stop(path, 0.0, 60)) is not None]
    plain, adjusted = (float(np.mean([getattr(s, name) for s in stops])) - effect for name in ("value", "adjusted"))
    assert plain > 0.03
    assert abs(adjusted) < 0.6 * plain
