"""At which assumed behaviour a verdict turns: the one threshold that tells the draws apart (FIDELITY 18)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RIGHT_LEAST = 0.8  # of the draws; less says nothing
SHUFFLES, LUCK_MOST, SEED = 999, 0.05, 18


@dataclass(frozen=True)
class Turn:
    """It fails on one side of a threshold between two neighbouring draws, the lower one being the `rank`-th."""

    behaviour: str
    rank: int  # draws below the threshold
    above: bool  # it fails above the threshold, else below
    right: int
    draws: int


def turning_point(factors: Mapping[str, Sequence[float]], holds: Sequence[bool]) -> Turn | None:
    """The best decision stump, or None where it is no better than saying the same of every draw, or than luck.

    Many behaviours and thresholds are tried, so the best of them is compared with the best on shuffled draws (a
    permutation test; Good 2005, "Permutation, Parametric and Bootstrap Tests", 3.6).
    """
    names, truth = list(factors), np.asarray(holds, bool)
    n = len(truth)
    if n < 2 or not names or truth.all() or not truth.any():
        return None
    orders = np.argsort(np.array([factors[name] for name in names]), axis=1, kind="stable")
    right = rights(orders, truth[None])[0]
    best = int(np.maximum(right, n - right).max())
    if best < RIGHT_LEAST * n or best <= max(truth.sum(), n - truth.sum()):
        return None
    rng = np.random.default_rng(SEED)
    shuffled = rights(orders, np.array([rng.permutation(truth) for _ in range(SHUFFLES)]))
    lucky = np.count_nonzero(np.maximum(shuffled, n - shuffled).max((1, 2)) >= best)
    if (1 + lucky) / (1 + SHUFFLES) > LUCK_MOST:
        return None
    behaviour, split = np.unravel_index(int(np.maximum(right, n - right).argmax()), right.shape)
    return Turn(names[int(behaviour)], int(split) + 1, bool(right[behaviour, split] == best), best, n)


def rights(orders: NDArray[np.int64], holds: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Draws that “holds below, fails above” tells rightly, i8[labellings, behaviours, thresholds]."""
    ordered = holds[:, orders].astype(np.int64)
    below = np.cumsum(ordered, axis=2)[:, :, :-1]
    failing = holds.shape[1] - holds.sum(1)[:, None, None]
    failing_below = np.arange(1, holds.shape[1])[None, None, :] - below
    counted: NDArray[np.int64] = below + failing - failing_below
    return counted
