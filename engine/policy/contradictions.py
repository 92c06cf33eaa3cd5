"""Whether a compiled condition can hold for anyone: walks its jumps and keeps what each fact may still be."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from engine.records import ACCEPT, NEVER_MS, Compare

WALKS_MAX = 4_000  # steps walked before giving up and believing that the condition can hold
ABSENT = -1  # a category that is not there (records.NONE) is a value too

FactKey = tuple[int, int]  # Fact, and the tag's number


@dataclass(frozen=True)
class Possible:
    """What a fact may still be: whole numbers low … high without some."""

    low: int = -NEVER_MS
    high: int = NEVER_MS
    without: frozenset[int] = frozenset()

    @property
    def is_empty(self) -> bool:
        if self.high - self.low > len(self.without):
            return False
        return all(value in self.without for value in range(self.low, self.high + 1))

    def between(self, low: int, high: int) -> "Possible":
        return Possible(max(self.low, low), min(self.high, high), self.without)

    def but(self, *values: int) -> "Possible":
        return Possible(self.low, self.high, self.without | frozenset(values))

    def among(self, values: list[int]) -> "Possible":
        if not values:
            return Possible(0, -1)
        gaps = [value for value in range(min(values), max(values)) if value not in values]
        return self.between(min(values), max(values)).but(*gaps)


World = Mapping[FactKey, Possible]

_OPPOSITE = {
    Compare.EQ: Compare.NE,
    Compare.NE: Compare.EQ,
    Compare.LT: Compare.GE,
    Compare.GE: Compare.LT,
    Compare.GT: Compare.LE,
    Compare.LE: Compare.GT,
}


def bits(mask: int) -> list[int]:
    return [value for value in range(63) if mask >> value & 1]


_NARROWED: dict[Compare, Callable[[Possible, int], Possible]] = {
    Compare.EQ: lambda possible, x: possible.between(x, x),
    Compare.NE: lambda possible, x: possible.but(x),
    Compare.LT: lambda possible, x: possible.between(-NEVER_MS, x - 1),
    Compare.LE: lambda possible, x: possible.between(-NEVER_MS, x),
    Compare.GT: lambda possible, x: possible.between(x + 1, NEVER_MS),
    Compare.GE: lambda possible, x: possible.between(x, NEVER_MS),
    Compare.IN: lambda possible, mask: possible.among(bits(mask)),
}


def after(world: World, step: np.record, holds: bool) -> World | None:
    """The world in which a comparison holds, or does not; None if there is none."""
    if step["right_is_fact"]:
        return world
    key = (int(step["left"]), int(step["operand"]))
    possible, compare, right = world.get(key, Possible()), Compare(int(step["compare"])), int(step["right"])
    if holds:
        narrowed = _NARROWED[compare](possible, right)
    elif compare is Compare.IN:
        narrowed = possible.but(*bits(right))
    else:
        narrowed = _NARROWED[_OPPOSITE[compare]](possible, right)
    return None if narrowed.is_empty else {**world, key: narrowed}


class GaveUpError(Exception):
    """The condition has more ways through it than are worth walking."""


class Walk:
    """Every way through conditions that must all hold, in worlds without contradiction."""

    def __init__(self, steps: np.ndarray) -> None:
        self.steps, self.walked = steps, 0

    def worlds(self, starts: tuple[int, ...], world: World) -> Iterator[World]:
        if not starts:
            yield world
            return
        at, *rest = starts
        if at < 0:
            if at == ACCEPT:
                yield from self.worlds(tuple(rest), world)
            return
        self.walked += 1
        if self.walked > WALKS_MAX:
            raise GaveUpError
        step = self.steps[at]
        for holds, target in ((True, int(step["if_true"])), (False, int(step["if_false"]))):
            narrowed = after(world, step, holds)
            if narrowed is not None:
                yield from self.worlds((target, *rest), narrowed)


def can_hold(steps: np.ndarray, starts: tuple[int, ...], world: World) -> bool:
    """Whether conditions (first steps) may hold together, given what facts can be; True when in doubt."""
    try:
        return next(Walk(steps).worlds(starts, world), None) is not None
    except (GaveUpError, RecursionError):
        return True


def facts_read(steps: np.ndarray, start: int) -> set[int]:
    """Facts that the condition beginning at a step may read."""
    seen: set[int] = set()
    facts: set[int] = set()
    waiting = [start]
    while waiting:
        at = waiting.pop()
        if at < 0 or at in seen:
            continue
        seen.add(at)
        step = steps[at]
        facts.add(int(step["left"]))
        if step["right_is_fact"]:
            facts.add(int(step["right"]))
        waiting += [int(step["if_true"]), int(step["if_false"])]
    return facts
