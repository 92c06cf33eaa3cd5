"""SQL over a run's Parquet files; the only file that knows DuckDB."""

import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

Value = int | float | str | bool | None
AT_HAND_BYTES = 1 << 20  # up to this a file is read once; a recording is as large as it likes


class Database:
    """The tables of one run under the same names: small ones read, large ones as views.

    One thread: sums of floats then always add in the same order, and a query gives the same number to the last bit.
    """

    def __init__(self, folder: Path) -> None:
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        self.tables = Path(folder) / "tables"
        self._answers: dict[str, list[tuple[Any, ...]]] = {}
        for path in sorted(self.tables.glob("*.parquet")):
            file, kind = str(path).replace("'", "''"), "TABLE" if path.stat().st_size <= AT_HAND_BYTES else "VIEW"
            self._connection.execute(f"CREATE {kind} \"{path.stem}\" AS SELECT * FROM read_parquet('{file}')")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Asked once: a run's tables do not change while they are open."""
        if sql not in self._answers:
            self._answers[sql] = self._connection.execute(sql).fetchall()
        return list(self._answers[sql])

    def table(self, sql: str) -> list[dict[str, Any]]:
        """Rows as dictionaries, dates as text, in the query's order."""
        cursor = self._connection.execute(sql)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()]

    def value(self, sql: str) -> Value:
        """The one value of a query of one row and one column."""
        rows = self.rows(sql)
        if len(rows) != 1 or len(rows[0]) != 1:
            raise AssertionError(f"one value expected, got {len(rows)} row(s): {sql}")
        found: Value = _plain(rows[0][0])
        return found

    def number(self, sql: str) -> float:
        """Like `value`, where only a number makes sense; an empty sum is 0."""
        found = self.value(sql)
        return 0.0 if found is None else float(found)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> "Database":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def quoted(word: str) -> str:
    """A word as an SQL literal."""
    return "'" + word.replace("'", "''") + "'"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.date) else value
