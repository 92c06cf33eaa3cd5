"""Columns of text."""

from collections.abc import Iterable, Iterator, Sequence


def table(rows: Sequence[Sequence[str]], sides: str) -> Iterator[str]:
    """Columns as wide as they must be; `sides`: l or r of the first ones, the rest are left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells: Iterable[str] = (
            cell.rjust(width) if sides[i : i + 1] == "r" else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield f"  {'  '.join(cells)}".rstrip()


def percent(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.1f} %"
