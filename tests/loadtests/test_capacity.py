"""The search for the sustainable rate finds what is planted, also where a trial near the border is chance."""

import random

import pytest

from loadtests.capacity import FINE, Capacity, SaturatedError, Trial, capacity, change, interval, machines
from loadtests.load_found import Slo, is_missed_by_target

Rate = tuple[float, float, float]


def found_of(truth: float, first: float = 100.0, blur: float = 0.0, seed: int = 1, repeats: int = 3) -> Capacity:
    """blur: how far from the border, as a share of it, a trial may still end otherwise."""
    chance = random.Random(seed)

    def tried(rate: float) -> Trial:
        return Trial(rate, rate <= truth * (1 + chance.gauss(0.0, blur)))

    return capacity(tried, first, 50_000.0, repeats)


@pytest.mark.parametrize("truth", [3.0, 99.0, 100.0, 1_234.0, 30_000.0])
@pytest.mark.parametrize("first", [1.0, 100.0, 5_000.0])
def test_a_sharp_border_is_found(truth: float, first: float) -> None:
    found = found_of(truth, first)
    assert not found.is_bound and found.low <= truth * FINE and found.high >= truth / FINE
    assert found.per_s == pytest.approx(truth, rel=0.04)


@pytest.mark.parametrize("disturbed", range(4))
def test_one_trial_that_was_disturbed_changes_nothing(disturbed: int) -> None:
    """While the rate doubles; a search that halves loses one step by it."""
    trials = 0

    def tried(rate: float) -> Trial:
        nonlocal trials
        trials += 1
        return Trial(rate, rate <= 777.0 and trials != disturbed + 1)

    assert 777.0 / FINE < capacity(tried, 100.0, 20_000.0, 1).per_s < 777.0 * FINE


def test_intervals_over_a_blurred_border_hold_it() -> None:
    """Of 300 searches where a trial is blurred by 3 %: those that hold the truth."""
    found = [found_of(1_000.0, blur=0.03, seed=seed, repeats=5) for seed in range(300)]
    assert sum(one.low <= 1_000.0 <= one.high for one in found) >= 280
    assert sum(one.high / one.low < 1.25 for one in found) >= 285


def test_a_target_that_holds_everything_is_a_bound() -> None:
    found = found_of(1e9)
    assert found.is_bound and found.per_s == 50_000.0 and "no higher rate than 50,000/s was tried" in found.ends


def test_a_generator_that_gives_up_first_is_a_bound_or_nothing() -> None:
    def tried(rate: float) -> Trial:
        return Trial(rate, True, invalid=("steady: a generator was 98% busy",) if rate > 700 else ())

    found = capacity(tried, 100.0, 50_000.0, 3)
    assert (found.per_s, found.ends) == (400.0, "the generator was the bound: steady: a generator was 98% busy")
    with pytest.raises(SaturatedError):
        capacity(tried, 1_000.0, 50_000.0, 3)


@pytest.mark.parametrize(
    ("row", "is_targets"),
    [
        ({"service_ms": {"p99": 61.0}, "busy": [0.4]}, True),
        ({"service_ms": {"p99": 59.0}, "busy": [0.4]}, False),  # only from when it was due was it too slow
        ({"service_ms": {"p99": 61.0}, "busy": [0.4, 0.95]}, False),  # who reads late finds all slow
        ({"service_ms": {"p99": 3.0}, "failed": {"503": 15}}, True),
        ({"service_ms": {}, "failed": {"503": 1_000}}, True),
    ],
)
def test_a_late_generator_is_no_excuse_for_a_slow_target(row: dict[str, object], is_targets: bool) -> None:
    judged = {"offered": 1_000, "busy": [], "failed": {}, "response_ms": {"p99": 70.0}} | row
    assert is_missed_by_target(judged, Slo.parse("p99=60ms")) is is_targets


@pytest.mark.parametrize(
    ("now", "before", "word"),
    [
        ((900.0, 880.0, 920.0), (1_000.0, 980.0, 1_020.0), "regressed"),
        ((1_100.0, 1_080.0, 1_120.0), (1_000.0, 980.0, 1_020.0), "improved"),
        ((900.0, 700.0, 1_150.0), (1_000.0, 980.0, 1_020.0), "not distinguishable"),
    ],
)
def test_a_change_is_one_where_the_intervals_allow_it(now: Rate, before: Rate, word: str) -> None:
    assert change(now, before).word == word
    assert change(before, before).word == "not distinguishable"


def test_a_change_that_is_not_one_is_seldom_told() -> None:
    """Of 400 pairs of searches of the same rate, blurred by 3 %."""
    found = [found_of(1_000.0, blur=0.03, seed=seed, repeats=3) for seed in range(800)]
    rates = [(one.per_s, one.low, one.high) for one in found]
    told = [change(now, before).word for now, before in zip(rates[::2], rates[1::2], strict=True)]
    assert sum(word != "not distinguishable" for word in told) <= 20


def test_machines_are_a_range() -> None:
    assert machines(20_000.0, (805.0, 882.0)) == (23, 25)
    assert machines(1.0, (805.0, 882.0)) == (1, 1)


def test_one_search_is_as_sure_as_its_last_step() -> None:
    middle, low, high = interval([500.0])
    assert middle == pytest.approx(500.0) and high / low == pytest.approx(FINE)
    assert interval([480.0, 500.0, 520.0])[1] < 460.0
