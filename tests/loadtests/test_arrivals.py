"""Schedules of load keep their rate and their law, and every generator its part of them."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from loadtests.generator import tape as tapes
from loadtests.generator.arrivals import POISSON, UNIFORM, schedule_of
from loadtests.generator.plan import LoadPlan, share_of
from loadtests.generator.profiles import PROFILES, Manners, Stage, level, starts
from loadtests.generator.tape import Request, Tape, Taped

STEADY = [level("steady", 60.0, 500.0)]


def test_a_steady_rate_is_kept_with_exponential_gaps() -> None:
    due = schedule_of(STEADY, seed=1).due_s
    assert len(due) == 30_000
    assert stats.kstest(np.diff(due) * 500.0, "expon").pvalue > 0.001
    even = schedule_of(STEADY, seed=1, law=UNIFORM).due_s
    assert len(even) == 30_000 and np.diff(even) == pytest.approx(1 / 500.0)
    assert stats.kstest(np.diff(even) * 500.0, "expon").pvalue < 1e-9, "the test can tell"


@pytest.mark.parametrize("law", [POISSON, UNIFORM])
def test_a_ramp_has_its_share_in_every_part(law: str) -> None:
    """Expected arrivals up to t grow with the square of t."""
    ramp = [Stage("up", 100.0, 0.0, 1_000.0)]
    due = schedule_of(ramp, seed=2, law=law).due_s
    assert len(due) == 50_000 and (np.diff(due) >= 0).all() and due[-1] < 100.0
    assert stats.kstest((due / 100.0) ** 2, "uniform").pvalue > 0.001
    down = schedule_of([Stage("down", 100.0, 1_000.0, 0.0)], seed=2, law=law).due_s
    assert stats.kstest(1 - (1 - down / 100.0) ** 2, "uniform").pvalue > 0.001


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_offer_the_rate_and_no_more(name: str) -> None:
    stages = PROFILES[name].stages(400.0, 40.0)
    judged = [stage for stage in stages if stage.counts]
    assert sum(stage.seconds for stage in judged) == pytest.approx(40.0)
    assert max(max(stage.from_per_s, stage.to_per_s, stage.at_once) for stage in stages) == 400.0
    schedule = schedule_of(stages, seed=3)
    edges = np.array(starts(stages))
    for number, stage in enumerate(stages):
        mine = schedule.due_s[schedule.stage == number]
        assert ((mine >= edges[number]) & (mine < edges[number + 1])).all()
        assert abs(len(mine) - stage.arrivals) <= 0.5
        assert (mine == edges[number]).sum() == stage.at_once
    again = schedule_of(stages, seed=3)
    assert (again.due_s == schedule.due_s).all() and len(schedule_of(stages, seed=4).due_s) != 0
    assert not np.array_equal(schedule_of(stages, seed=4).due_s[:50], schedule.due_s[:50])


def test_too_many_arrivals_are_refused() -> None:
    with pytest.raises(ValueError, match="arrivals must be at most 20,000,000"):
        schedule_of([level("for ever", 1e6, 1e4)], seed=1)


def tape_of(customers: int) -> Tape:
    ask = Request("POST", "/claim", b"{}", has_id=True, action="claim")
    see = Request("GET", "/see", action="see")
    journeys = ("shopper", "member")
    return tapes.made(Taped(journeys[number % 2], number, ask if number % 3 else see) for number in range(customers))


CALM = Manners()


def plan_of(tape: Path, generators: int, manners: Manners = CALM) -> LoadPlan:
    return LoadPlan("http://nowhere", str(tape), STEADY, 1, "s", generators=generators, manners=manners)


def test_generators_share_all_arrivals_and_nobody_has_two(tmp_path: Path) -> None:
    tape = tape_of(700)
    whole = list(share_of(plan_of(tmp_path, 1), tape, 0))
    parts = [list(share_of(plan_of(tmp_path, 3), tape, generator)) for generator in range(3)]
    assert sorted((arrival for part in parts for arrival in part), key=lambda one: one.number) == whole
    customers = [{int(tape.index["customer"][arrival.entry]) for arrival in part} for part in parts]
    assert not customers[0] & customers[1] and not customers[1] & customers[2]
    assert min(len(part) for part in parts) > 0.3 * len(whole)


def test_manners_are_shares(tmp_path: Path) -> None:
    tape = tape_of(700)
    arrivals = list(share_of(plan_of(tmp_path, 1, Manners(slow=0.2, repeated=0.5)), tape, 0))
    with_id = [arrival for arrival in arrivals if tape.route(arrival.entry).has_id]
    assert sum(arrival.slowly for arrival in arrivals) == pytest.approx(0.2 * len(arrivals), rel=0.05)
    assert sum(arrival.twice for arrival in with_id) == pytest.approx(0.5 * len(with_id), rel=0.05)
    assert not any(arrival.twice for arrival in arrivals if not tape.route(arrival.entry).has_id)


def test_a_tape_is_read_as_it_was_written(tmp_path: Path) -> None:
    tape = tape_of(50)
    tapes.written(tape, tmp_path)
    again = tapes.read(tmp_path)
    assert again.digest == tape.digest != tape_of(51).digest
    assert [again.path_and_body(at) for at in range(50)] == [tape.path_and_body(at) for at in range(50)]
