"""Checks that several blocks share: names used twice, unknown names, thresholds that must ascend."""

import difflib
import itertools
import keyword
from collections.abc import Callable, Collection, Iterator, Sequence

from engine.policy.conditions import FACTS
from engine.policy.quantities import Check, Path, Problem
from engine.records import Fact

Checks = Iterator[Check]

NAMES_SHOWN_MAX = 12  # of those a sentence lists
RESERVED = {*FACTS, *(fact.name.lower() for fact in Fact)}  # names that conditions already know


def repeated(names: Sequence[str], path: Path) -> Iterator[Problem]:
    """Names of a list that were given before."""
    for number, name in enumerate(names):
        if name in names[:number]:
            yield (*path, number), f"must be given once (got {name} again)"


def known(name: str, path: Path, where: str, names: Collection[str]) -> Iterator[Problem]:
    """A problem unless the name is one of those declared at `where`."""
    if name in names:
        return
    if not names:
        yield path, f"must be one of {where}, which has none (got {name})"
        return
    shown = ", ".join(list(names)[:NAMES_SHOWN_MAX]) + (", …" if len(names) > NAMES_SHOWN_MAX else "")
    close = difflib.get_close_matches(name, names, 1)
    yield path, f"must be one of {where}: {shown} (got {name}{f', did you mean {close[0]}?' if close else ''})"


def ascending(thresholds: Sequence[int], name: str, shown: Callable[[int], str]) -> Iterator[Problem]:
    for number, (before, threshold) in enumerate(itertools.pairwise(thresholds), start=1):
        if threshold <= before:
            yield (name, number), f"must be more than the one before, {shown(before)} (got {shown(threshold)})"


def reserved(name: str, path: Path) -> Iterator[Problem]:
    """A problem where a condition could not tell the name from a fact or a word of its own language."""
    if name in RESERVED:
        yield path, f"must not be named like a fact of conditions (got {name})"
    elif keyword.iskeyword(name):
        yield path, f"must not be named like a word of conditions (got {name})"
