"""The behaviour at which a verdict turns: planted ones are found, noise gives none."""

import numpy as np
import pytest

from results.turning import turning_point


def factors(seed: int, draws: int = 50) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    return {f"behaviour {n}": rng.random(draws).tolist() for n in range(16)}


@pytest.mark.parametrize(("above", "share"), [(True, 0.92), (True, 0.6), (False, 0.7)])
def test_a_planted_turn_is_found(above: bool, share: float) -> None:
    drawn = factors(1)
    ordered = sorted(drawn["behaviour 3"])
    limit = ordered[int(50 * share)] if above else ordered[int(50 * (1 - share))]
    holds = [(value < limit) == above for value in drawn["behaviour 3"]]
    turn = turning_point(drawn, holds)
    assert turn is not None
    assert (turn.behaviour, turn.above, turn.right) == ("behaviour 3", above, 50)
    assert (ordered[turn.rank - 1] + ordered[turn.rank]) / 2 == pytest.approx(limit, abs=0.05)


def test_noise_turns_nowhere() -> None:
    """Sixteen behaviours and many thresholds always offer one that looks well."""
    rng = np.random.default_rng(2)
    found = [turning_point(factors(seed), (rng.random(50) < 0.8).tolist()) for seed in range(20)]
    assert sum(turn is not None for turn in found) <= 3
    assert turning_point(factors(1), [False] + [True] * 49) is None
    assert turning_point(factors(1), [True] * 50) is None
