"""A row of the benchmarks: what was measured, against what, and whether that is enough."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MILLION = 1e6


@dataclass(frozen=True)
class Row:
    """One measured figure: the value, and its ratio to a baseline of the same minute on the same machine."""

    value: float
    unit: str
    baseline: str
    ratio: float
    note: str


Benchmark = Callable[[], Row | Mapping[str, Row]]  # several rows have names of their own


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def reached(value: float, unit: str, aim: float, floor: float | None = None) -> str:
    """Whether a figure that should be high is."""
    if floor is None or value >= aim:
        return f"aim of {aim:g} {unit} {'reached' if value >= aim else 'MISSED'}"
    if value >= floor:
        return f"aim of {aim:g} {unit} MISSED, floor of {floor:g} reached"
    return f"floor of {floor:g} {unit} MISSED"


def kept(value: float, limit: float, unit: str) -> str:
    """Whether a figure that should be low is."""
    return f"limit of {limit:g} {unit} {'kept' if value <= limit else 'EXCEEDED'}"
