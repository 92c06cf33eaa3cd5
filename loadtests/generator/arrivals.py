"""When requests fall due: a schedule that is made beforehand and does not know how the server does.

Poisson: as independent customers come (exponential gaps), of exactly as many arrivals as the rate says: a process given
its count, whose times are ordered uniform ones (Çinlar 1975). How many come is not left to chance, for in a minute of
500/s it would differ by half a percent, and rates would be compared that were not offered. Uniform: one every 1/rate s.
Both for a rate that changes, by taking even steps of the expected number of arrivals.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from loadtests.generator.profiles import Stage

POISSON, UNIFORM = "poisson", "uniform"
LAWS = (POISSON, UNIFORM)
ARRIVALS_MAX = 20_000_000  # of one run


class Schedule(NamedTuple):
    """In order of time."""

    due_s: np.ndarray  # f8[n]: since the beginning
    stage: np.ndarray  # i4[n]


def schedule_of(stages: Sequence[Stage], seed: int, law: str = POISSON) -> Schedule:
    """Every arrival of a run; the same for the same seed. Raises ValueError where there are too many."""
    expected = sum(stage.arrivals for stage in stages)
    if expected > ARRIVALS_MAX:
        raise ValueError(f"arrivals must be at most {ARRIVALS_MAX:,} (got {expected:,.0f})")
    chance = np.random.Generator(np.random.Philox(seed))
    due, numbers, start = [], [], 0.0
    for number, stage in enumerate(stages):
        within = [np.zeros(stage.at_once), times_in(stage, law, chance)]
        due += [start + part for part in within]
        numbers += [np.full(len(part), number, np.int32) for part in within]
        start += stage.seconds
    return Schedule(np.concatenate(due), np.concatenate(numbers))


def times_in(stage: Stage, law: str, chance: np.random.Generator) -> np.ndarray:
    """f8[n] in [0, seconds), ascending."""
    slope = (stage.to_per_s - stage.from_per_s) / stage.seconds
    total = stage.seconds * (stage.from_per_s + stage.to_per_s) / 2
    many = int(total + 0.5)
    even = np.arange(many) + 0.5 if law == UNIFORM else np.sort(chance.random(many)) * many
    reached = even * (total / many) if many else even  # of half an arrival more or less
    if slope == 0.0:
        return reached / stage.from_per_s if stage.from_per_s else reached[:0]
    # from·t + slope·t²/2 = reached; the form of the root that loses no digits where the slope is small
    return 2 * reached / (stage.from_per_s + np.sqrt(stage.from_per_s**2 + 2 * slope * reached))
