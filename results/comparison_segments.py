"""Who gains and who loses: exploratory, so each p is adjusted for how many segments were looked at (FIDELITY 12)."""

from dataclasses import dataclass

from markupsafe import Markup

from results.comparison_estimates import competed
from results.comparison_marks import Findings, head, none, right, row, rows_table, sources
from results.comparison_tables import MONEY
from results.comparison_words import PER_THOUSAND, fine
from results.comparisons import Pair, difference, paired_customers
from results.markup import computed, number, queried
from results.paired import FEW_DIFFERENCES, PairedWorlds
from results.query import quoted
from results.statistics import CONFIDENCE, TOO_FEW, Estimate, Interval
from results.verdicts import IntervalAt, benjamini_hochberg, p_value
from results.words import plain, span, spec_of

NOBODY = "nobody differs"
TOLD = 0.05  # adjusted p: at most one find in twenty false, on average


@dataclass(frozen=True)
class Segment:
    """The difference among the customers of one segment; p is None where there is no interval."""

    name: str
    estimate: Estimate
    p: float | None  # adjusted

    @property
    def told(self) -> bool:
        return self.p is not None and self.p <= TOLD


def segments(opened: Findings, rival: str) -> list[Segment]:
    """In the order of the policy's declaration."""
    names = [name for name in opened.manifest["segments"] if opened.count(customers_sql(opened, rival, name))]
    at = [interval_at(opened, Pair(rival, opened.reference, "", name)) for name in names]
    raw = [p_value(one) if one(CONFIDENCE).note != NOBODY else None for one in at]
    known = [p for p in raw if p is not None]
    adjusted = iter(benjamini_hochberg(known))
    adjusted_p = [None if p is None else next(adjusted) for p in raw]
    return [
        Segment(name, of_segment(opened, rival, name, one(CONFIDENCE)), p)
        for name, one, p in zip(names, at, adjusted_p, strict=True)
    ]


def interval_at(opened: Findings, pair: Pair) -> IntervalAt:
    """The interval for any confidence, its sums read once."""
    measure = opened.measure
    if competed(opened.database):
        scale = 100.0 if measure in MONEY else 1.0
        rows = opened.database.rows(f"SELECT total / n / {scale} {pair.rows(measure)} AND n > 0 ORDER BY world")
        return PairedWorlds(tuple(float(value) for (value,) in rows)).interval
    sums = paired_customers(opened.database, pair, measure)
    if sums.nonzero == 0:
        return lambda confidence: Interval(None, None, NOBODY)
    if sums.nonzero < FEW_DIFFERENCES:  # differences one by one are kept for all customers only
        return lambda confidence: Interval(None, None, f"{TOO_FEW}: only {sums.nonzero} customers differ")
    return lambda confidence: sums.interval(confidence, measure not in MONEY)


def of_segment(opened: Findings, rival: str, name: str, interval: Interval) -> Estimate:
    pair = Pair(rival, opened.reference, "", name)
    scale = 100 if opened.measure in MONEY else 1
    query = f"SELECT sum(total) / sum(n) / {scale} {pair.rows(opened.measure)}"
    unit = "yuan" if opened.measure in MONEY else "per customer"
    n = opened.count(customers_sql(opened, rival, name))
    return Estimate(opened.database.number(query), interval.low, interval.high, unit, n, "customer", interval.note,
                    "", query)  # fmt: skip


def customers_sql(opened: Findings, rival: str, segment: str) -> str:
    return f"SELECT sum(n) {Pair(rival, opened.reference, '', segment).rows(opened.measure)}"


def share_sql(opened: Findings, rival: str, column: str, segment: str = "") -> str:
    counted = {"higher": "sum(higher)", "lower": "sum(lower)", "same": "sum(n) - sum(nonzero)"}[column]
    rows = Pair(rival, opened.reference, "", segment).rows(opened.measure)
    return f"SELECT ({counted})::DOUBLE / nullif(sum(n), 0) {rows}"


def segment_table(opened: Findings, rival: str, found: list[Segment]) -> Markup:
    """All customers first, then each segment: difference, interval, adjusted p, and who is worth more or less."""
    rows, queries = [segment_row(opened, rival, everybody(opened, rival))], []
    for segment in found:
        rows.append(segment_row(opened, rival, segment))
        queries.append(segment.estimate.query)
    money = opened.measure in MONEY
    heads = (
        "segment", "customers", f"difference {'a customer' if money else PER_THOUSAND}", "interval, 95 %",
        "p, adjusted", "worth more" if money else "more", "worth less" if money else "less", "the same",
    )  # fmt: skip
    return rows_table(heads, rows) + sources(queries)


def everybody(opened: Findings, rival: str) -> Segment:
    found = difference(opened.database, Pair(rival, opened.reference), opened.measure)
    return Segment("", found, None)


def segment_row(opened: Findings, rival: str, segment: Segment) -> Markup:
    label = plain(segment.name) if segment.name else "all customers"
    base = opened.database
    shares = [
        queried(base, share_sql(opened, rival, column, segment.name), "percent:2")
        for column in ("higher", "lower", "same")
    ]
    figures = (figure_of(segment), interval_of(segment, rival), p_of(segment, rival), *shares)
    customers = queried(base, customers_sql(opened, rival, segment.name), "count")
    return row(head(label), *map(right, (customers, *figures)))


def figure_of(segment: Segment) -> Markup:
    found = fine(segment.estimate)
    return number(found.value, spec_of(found.unit, found.value, found.low, found.high, "+"), found.query)


def key_of(segment: Segment, rival: str) -> str:
    return f"segment[{rival}/{segment.name}]"


def interval_of(segment: Segment, rival: str) -> Markup:
    found = fine(segment.estimate)
    if found.low is None or found.high is None:
        return none(found.note)
    spec = spec_of(found.unit, found.value, found.low, found.high)
    tag = '<span class="span" data-metric="{}" data-low="{}" data-high="{}" data-format="{}">{}</span>'
    shown = span(found.low, found.high, spec)
    return Markup(tag).format(key_of(segment, rival), repr(found.low), repr(found.high), spec, shown)


def p_of(segment: Segment, rival: str) -> Markup:
    if segment.p is None:
        return Markup("")
    return computed(key_of(segment, rival), "p", segment.p, "p:3")


def gains_and_losses(found: list[Segment], most: int = 3) -> tuple[list[Segment], list[Segment]]:
    """The segments that gain most and those that lose most, largest first."""
    ordered = sorted(found, key=lambda segment: segment.estimate.value or 0.0, reverse=True)
    gaining = [segment for segment in ordered if (segment.estimate.value or 0.0) > 0]
    losing = [segment for segment in reversed(ordered) if (segment.estimate.value or 0.0) < 0]
    return gaining[:most], losing[:most]


def segments_sql(opened: Findings, rival: str) -> str:
    rows = Pair(rival, opened.reference).rows(opened.measure).replace("segment = ''", "segment <> ''")
    scale = 100.0 if opened.measure in MONEY else 1.0
    names = ", ".join(quoted(name) for name in opened.manifest["segments"])
    return (
        f"SELECT segment AS label, sum(total) / nullif(sum(n), 0) / {scale} AS value {rows}"
        f" GROUP BY segment HAVING sum(n) > 0 ORDER BY list_position([{names}], segment)"
    )
