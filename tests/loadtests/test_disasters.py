"""Disasters by seed: hosts keep their promises through all of them, every kind comes up, and planted faults are caught.

`windtunnel drill disasters --seed N` repeats one.
"""

import re
from collections import Counter
from dataclasses import replace

import pytest

from engine.host.replica import Replica
from loadtests.disaster_drill import disasters_of_the_library
from loadtests.disasters import Disasters
from loadtests.traffic import Traffic
from loadtests.weathers import CHANCES, WORDS, Case, sentence_of, shrunk, smaller_cases
from loadtests.witness import RARELY, SOMETIMES, never
from sim.disasters.stage import Disaster, Weather
from tests.loadtests.planted import FAULTS, INVARIANTS, DoesNotWaitForItsStandby
from tests.loadtests.planted_returns import RETURN_FAULTS

MANY, VERY_MANY = 500, 10_000


def played(disasters: Disasters, seeds: range) -> Counter[str]:
    """What happened; a failure says the command that repeats it."""
    happened: Counter[str] = Counter()
    for seed in seeds:
        try:
            happened += disasters.play(disasters.case(seed)).happened
        except Disaster as disaster:
            pytest.fail(f"{disaster}\nwindtunnel drill disasters --seed {seed}")
    return happened


def caught(replica: type[Replica], traffic: Traffic, seeds: range = range(MANY)) -> tuple[int, str]:
    """The first seed that shows a fault, and what it says."""
    disasters = Disasters(traffic, replica)
    for seed in seeds:
        if (said := disasters.fails(disasters.case(seed))) is not None:
            return seed, said
    pytest.fail(f"not caught within {len(seeds)} disasters")


@pytest.fixture(scope="module")
def disasters() -> Disasters:
    return disasters_of_the_library()


@pytest.fixture(scope="module")
def happened(disasters: Disasters) -> Counter[str]:
    return played(disasters, range(MANY))


# --- disasters --------------------------------------------------------------------------------------------------------
def test_five_hundred_end_well(happened: Counter[str]) -> None:
    assert happened["crash"] > 5 * MANY


@pytest.mark.parametrize("subject", SOMETIMES)
def test_what_must_happen_sometimes_does(happened: Counter[str], subject: str) -> None:
    """What is never reached is not tested, whatever else passes."""
    missing = [what for what in SOMETIMES[subject] if not happened[what]]
    assert not missing, f"never in {MANY} disasters: {', '.join(missing)}"


def test_what_is_never_reached_is_named(happened: Counter[str]) -> None:
    assert never(happened) == []
    assert never(Counter({**happened, "promotion of a follower": 0})) == ["promotion of a follower"]


@pytest.mark.long
def test_ten_thousand_end_well(disasters: Disasters) -> None:
    happened = played(disasters, range(MANY, MANY + VERY_MANY))
    assert not [what for what in RARELY if not happened[what]]


def test_a_seed_is_the_same_disaster_every_time(disasters: Disasters) -> None:
    for seed in range(8):
        one, other = (disasters.play(disasters.case(seed)) for _ in range(2))
        assert (one.trace, one.happened, one.virtual_ms) == (other.trace, other.happened, other.virtual_ms)
    traces = {disasters.play(disasters.case(seed)).trace for seed in range(8)}
    assert len(traces) == 8, "each seed is another one"


# --- faults -----------------------------------------------------------------------------------------------------------
@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(disasters: Disasters, fault: str) -> None:
    seed, said = caught(FAULTS[fault], disasters.traffic)
    print(f"a host that {fault}: caught by seed {seed}: {said}")


@pytest.mark.long
@pytest.mark.parametrize("fault", RETURN_FAULTS)
def test_a_planted_fault_of_returns_is_caught(disasters: Disasters, fault: str) -> None:
    replica, promise = RETURN_FAULTS[fault]
    faulty = Disasters(disasters.traffic, replica)
    for seed in range(MANY):
        if (said := faulty.fails(replace(faulty.case(seed), promise=promise))) is not None:
            print(f"a host that {fault}: caught by seed {seed}: {said}")
            return
    pytest.fail(f"not caught within {MANY} disasters")


@pytest.mark.long
@pytest.mark.parametrize("words", INVARIANTS)
def test_each_invariant_sees_something(disasters: Disasters, words: str) -> None:
    """An invariant that never fails may be one that never looks."""
    faulty = Disasters(disasters.traffic, INVARIANTS[words])
    for seed in range(MANY):
        said = faulty.fails(faulty.case(seed))
        if said is not None and re.search(words, said):
            return
    pytest.fail("no seed had it say so")


# --- made smaller -----------------------------------------------------------------------------------------------------
@pytest.mark.long
def test_a_failure_is_made_smaller(disasters: Disasters) -> None:
    """Whoever does not wait for a standby needs no disaster to be seen."""
    faulty = Disasters(disasters.traffic, DoesNotWaitForItsStandby)
    case = next(case for seed in range(MANY) if faulty.fails(case := faulty.case(seed)) is not None)
    assert any(getattr(case.weather, name) for name in CHANCES)
    small, said = shrunk(case, faulty.fails)
    assert faulty.fails(small) == said, "the smaller case fails by itself"
    assert sentence_of(small) == "2 settlements, every host with a standby; no fault at all"


def test_shrinking_ends() -> None:
    case = Case(1, True, Weather(**dict.fromkeys(CHANCES, 1.0)), 13)  # type: ignore[arg-type]
    small, _ = shrunk(case, lambda one: "always", most=1_000)
    assert small == replace(case, standby=False, weather=Weather(), settlements=1)
    assert list(smaller_cases(small)) == []
    assert shrunk(case, lambda one: "never smaller" if one == case else None) == (case, "never smaller")


def test_a_case_is_said_in_words() -> None:
    assert set(WORDS) == set(CHANCES), "every chance has words"
    weather = Weather(lost=0.0123, freeze=0.5, freeze_ms=3_000)
    assert sentence_of(Case(1, True, weather, 1)) == (
        "1 settlement, every host with a standby; a message is lost with chance 1.23%; "
        "every 20 ms a host freezes for up to 3,000 ms with chance 50.00%"
    )
    assert sentence_of(Case(1, False, Weather(), 2)) == "2 settlements, no standbys; no fault at all"
