"""What every part of a comparison's report stands on: its folder opened, verdicts as rows, figures as markup."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from results.comparison_words import fine, measure_in_chinese, measure_name
from results.comparisons import Estimates, study_estimates
from results.judgement import GOAL, GUARDRAIL
from results.markup import figure, interval, number, source
from results.query import Database, quoted
from results.statistics import Estimate
from results.store import open_run
from results.words import NOTHING, formatted, places_of, span

_COLUMNS = (
    "policy", "against", "measure", "role", "word", "unit", "value", "low", "high", "level", '"limit"', "confidence",
    "worlds_needed", "n", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """A row of the table `verdicts`."""

    policy: str
    against: str
    measure: str
    role: str
    word: str
    unit: str
    value: float | None
    low: float | None
    high: float | None
    level: float | None
    limit: float | None
    confidence: float
    worlds_needed: int | None
    n: int
    note: str

    def sql(self, column: str) -> str:
        where = f"policy = {quoted(self.policy)} AND measure = {quoted(self.measure)} AND role = {quoted(self.role)}"
        return f"SELECT {column} FROM verdicts WHERE {where}"

    def spec(self, sign: str = "") -> str:
        """As fine as the interval deserves; without one, as the value does."""
        kind = "each" if self.unit == "yuan" else "thousand"
        width = None if self.low is None or self.high is None else self.high - self.low
        return f"{sign}{kind}:{not_as_0(kind, places_of(kind, self.value or 0.0, width), (self.low, self.high))}"

    def shown(self, column: str = "value", sign: str = "+") -> Markup:
        value = getattr(self, column)
        return number(value, self.spec(sign), self.sql(f'"{column}"'))

    def plain(self, column: str) -> Markup:
        """A level or a limit: as fine as it is itself."""
        value = getattr(self, column)
        kind = "each" if self.unit == "yuan" else "thousand"
        return number(value, f"{kind}:{places_of(kind, value or 0.0, None)}", self.sql(f'"{column}"'))

    def interval(self) -> Markup:
        if self.low is None or self.high is None:
            return none(self.note)
        return spanned(self.low, self.high, self.sql("low"), self.sql("high"), self.spec())

    def interval_noted(self) -> Markup:
        """With what has to be known of it, such as for how few customers the policies differ."""
        if self.low is None or not self.note:
            return self.interval()
        return Markup('{}<br><span class="none given">{}</span>').format(self.interval(), self.note)

    @property
    def beyond_matters(self) -> bool:
        """Whether the gain or loss may be as large as what was said to matter."""
        ends = [abs(end) for end in (self.low, self.high) if end is not None]
        return bool(ends) and max(ends) > (self.limit or 0.0)


@dataclass(frozen=True)
class Findings:
    """A comparison's folder, opened: tables, manifest, every figure, every verdict."""

    database: Database
    manifest: dict[str, Any]
    found: dict[str, Estimate]
    judged: tuple[Judged, ...]
    order: tuple[str, ...] = ()  # of rivals, as they are read; empty: as declared

    @property
    def reference(self) -> str:
        return str(self.manifest["reference"])

    @property
    def rivals(self) -> list[str]:
        return list(self.order or self.manifest["rivals"])

    @property
    def measure(self) -> str:
        return str(self.manifest["goal"]["measure"])

    @property
    def days(self) -> int:
        return int(self.manifest["days"]) + int(self.manifest["after"])

    def goal(self, rival: str) -> Judged:
        return next(row for row in self.judged if row.policy == rival and row.role == GOAL)

    def guardrails(self, rival: str) -> list[Judged]:
        return [row for row in self.judged if row.policy == rival and row.role == GUARDRAIL]

    def campaign(self, name: str) -> dict[str, Any]:
        return next(campaign for campaign in self.manifest["campaigns"] if campaign["name"] == name)

    def count(self, sql: str) -> int:
        return int(self.database.number(sql))


@contextmanager
def findings(folder: Path, known: Estimates | None = None) -> Iterator[Findings]:
    """Opens a comparison's folder; every figure is computed once, or `known`."""
    manifest = open_run(Path(folder)).manifest
    with Database(Path(folder)) as database:
        rows = database.table(f"SELECT {', '.join(_COLUMNS)} FROM verdicts")
        found = known or study_estimates(database, manifest)
        yield Findings(database, manifest, found, tuple(Judged(**row) for row in rows))


def not_as_0(kind: str, places: int, ends: tuple[float | None, ...]) -> int:
    """More decimals, at most two, where an end of an interval beyond 0 would be written as 0."""
    for more in range(2):
        written = [formatted(end, f"{kind}:{places + more}") for end in ends if end]
        if all(any(digit in "123456789" for digit in text) for text in written):
            return places + more
    return places + 2


# --- markup -----------------------------------------------------------------------------------------------------------
def spanned(low: float, high: float, low_query: str, high_query: str, spec: str) -> Markup:
    """An interval both of whose ends are queries."""
    tag = '<span class="span" data-low="{}" data-high="{}" data-query-low="{}" data-query-high="{}" data-format="{}">'
    return Markup(tag + "{}</span>").format(repr(low), repr(high), low_query, high_query, spec, span(low, high, spec))


def none(note: str) -> Markup:
    """Why there is no interval: briefly, in full where one points at it."""
    brief, _, _ = note.partition(":")
    return Markup('<span class="none given" title="{}">{}</span>').format(note, brief or NOTHING)


def rough(key: str, estimate: Estimate) -> Markup:
    """A change as one says it: −31 %, −3.4 %."""
    size = abs(estimate.value or 0.0)
    return number(estimate.value, f"+percent:{0 if size >= 0.1 else 1 if size >= 0.01 else 2}", estimate.query)


def shown(key: str, estimate: Estimate, sign: str = "") -> Markup:
    return figure(key, fine(estimate), sign)


def ends(key: str, estimate: Estimate) -> Markup:
    """An estimate's interval; why there is none is words."""
    if estimate.low is None:
        return none(estimate.note)
    return interval(key, fine(estimate))


def cell(key: str, estimate: Estimate, sign: str = "", bare: bool = False) -> Markup:
    """Figure and interval as a table's cell; `bare` keeps silent where there is no interval."""
    if estimate.value is None:
        return right(NOTHING)
    below = Markup("") if bare and estimate.low is None else Markup("<br>{}").format(ends(key, estimate))
    return right(shown(key, estimate, sign) + below)


def right(content: Any) -> Markup:
    return Markup('<td class="right">{}</td>').format(content)


def left(content: Any) -> Markup:
    return Markup("<td>{}</td>").format(content)


def head(content: Any) -> Markup:
    return Markup('<th scope="row">{}</th>').format(content)


def row(*cells: Markup) -> Markup:
    return Markup("<tr>{}</tr>").format(Markup("").join(cells))


def rows_table(heads: Sequence[Any], rows: Sequence[Markup], words: int = 1, css: str = "") -> Markup:
    """Rows under their heads; the first `words` columns are words, the others numbers."""
    tops = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(Markup(' class="right"') if at >= words else "", content)
        for at, content in enumerate(heads)
    )
    tag = '<div class="scroll" tabindex="0"><table class="{}"><thead class="given"><tr>{}</tr></thead>'
    return Markup(tag + "<tbody>{}</tbody></table></div>").format(css, tops, Markup("").join(rows))


def badge(word: str) -> Markup:
    css = "fails" if word in ("broken", "don't") else "holds" if word in ("kept", "launch") else word.split()[0]
    return Markup('<span class="badge {}">{}</span>').format(css, word)


def both_names(measure: str) -> Markup:
    return Markup('{} <span lang="zh">{}</span>').format(measure_name(measure), measure_in_chinese(measure))


def sources(queries: Sequence[str], method: str = "") -> Markup:
    return source(*queries, method=method)
