"""An entry answers what Numba would have answered, whatever it was called with before."""

import sys
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest

from engine.dispatch import Entry
from engine.records import records

ROW = np.dtype([("x", np.int32), ("y", np.int64)], align=True)
WIDE = np.dtype([("x", np.int64), ("y", np.int64)], align=True)
pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")


class Inner(NamedTuple):
    counts: np.ndarray
    others: np.ndarray


class Turned(NamedTuple):
    others: np.ndarray
    counts: np.ndarray


class Table(NamedTuple):
    rows: np.ndarray
    inner: Inner
    values: np.ndarray


def weighed(table: Any, row: Any, factor: Any) -> Any:
    """Reads every array of a table."""
    total = 0
    for i in range(len(table.rows)):
        total += table.rows[i].x + table.rows[i].y
    for i in range(len(table.values)):
        total += table.values[i] * (i + 1)
    return (total + table.inner.counts[0] + row[0]) * factor


def table_of(start: int = 1, rows: int = 3, dtype: np.dtype = ROW) -> Table:
    found = records(rows, dtype)
    found["x"], found["y"] = start, np.arange(rows)
    return Table(found, Inner(np.array([start]), np.array([70])), np.arange(start, start + 4))


@pytest.fixture
def entry() -> Entry:
    return Entry(numba.njit(weighed))


USUAL = (table_of(), np.array([5, 6]), 3)
OTHERS = {
    "the same": USUAL,
    "another table": (table_of(9), np.array([1]), 2),
    "a table with other rows": (USUAL[0]._replace(rows=table_of(4, rows=9).rows), *USUAL[1:]),
    "a table with another inner table": (USUAL[0]._replace(inner=Inner(np.array([40]), np.array([50]))), *USUAL[1:]),
    "rows without attributes": (USUAL[0]._replace(rows=USUAL[0].rows.view(ROW)), *USUAL[1:]),
    "no rows": (table_of(rows=0), *USUAL[1:]),
    "wider rows": (table_of(dtype=WIDE), *USUAL[1:]),
    "every second value": (USUAL[0]._replace(values=np.arange(8)[::2]), *USUAL[1:]),
    "narrower values": (USUAL[0]._replace(values=np.arange(4, dtype=np.int16)), *USUAL[1:]),
    "narrower counts inside": (USUAL[0]._replace(inner=Inner(np.array([3], np.int8), np.array([4]))), *USUAL[1:]),
    "values with a fraction": (USUAL[0]._replace(values=np.array([0.5, 0.25])), *USUAL[1:]),
    "an inner table the other way round": (USUAL[0]._replace(inner=Turned(*USUAL[0].inner)), *USUAL[1:]),  # type: ignore[arg-type]
    "a row backwards": (USUAL[0], np.array([5, 6])[::-1], 3),
    "a factor with a fraction": (*USUAL[:2], 0.5),
    "a factor of NumPy's": (*USUAL[:2], np.int64(4)),
    "a narrow factor of NumPy's": (*USUAL[:2], np.int8(4)),
    "yes": (*USUAL[:2], True),
}


@pytest.mark.parametrize("name", OTHERS)
def test_whatever_comes_next_is_read_as_what_it_is(entry: Entry, name: str) -> None:
    for arguments in (USUAL, OTHERS[name], USUAL, OTHERS[name], OTHERS[name]):
        assert entry(*arguments) == entry.compiled(*arguments), name


def test_a_number_of_more_than_a_word_is_refused(entry: Entry) -> None:
    entry(*USUAL)
    with pytest.raises(OverflowError):
        entry(*USUAL[:2], 2**63)


def test_what_was_met_is_not_looked_at_again(entry: Entry) -> None:
    looked: list[object] = []
    compiled = entry.compiled
    entry(*USUAL)

    class Looking:
        signatures = compiled.signatures

        def __call__(self, *arguments: object) -> object:
            looked.append(arguments)
            return compiled(*arguments)

    entry.compiled = Looking()
    for name in ("the same", "another table", "a table with other rows", "rows without attributes", "no rows"):
        assert entry(*OTHERS[name]) == compiled(*OTHERS[name])
    assert not looked
    entry.compiled = compiled


def test_what_is_forgotten_is_kept_by_nobody(entry: Entry) -> None:
    table = table_of()
    before = sys.getrefcount(table)
    entry(table, *USUAL[1:])
    assert sys.getrefcount(table) > before, "the last one is kept, to be known again"
    Entry.forget()
    assert sys.getrefcount(table) == before
    assert entry(table, *USUAL[1:]) == entry.compiled(table, *USUAL[1:])
