"""Numbers as HTML, each with the query it came from, and tables of them. Nothing here knows what a number means."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from results.query import Database, Value, quoted
from results.statistics import Estimate
from results.words import NOTHING, formatted, plain, span, spec_of


def number(value: float | None, spec: str, query: str) -> Markup:
    """A number, its value to the last bit and the query that gives it."""
    tag = '<span class="num" data-value="{}" data-format="{}" data-query="{}">{}</span>'
    return Markup(tag).format(json.dumps(value), spec, query, formatted(value, spec))


def queried(database: Database, query: str, spec: str) -> Markup:
    value = database.value(query)
    assert not isinstance(value, str)
    return number(value, spec, query)


def figure(key: str, estimate: Estimate, sign: str = "") -> Markup:
    """An estimate's value: queried, or where statistics computed it, named by its metric."""
    spec = spec_of(estimate.unit, estimate.value, estimate.low, estimate.high, sign)
    return (
        number(estimate.value, spec, estimate.query) if estimate.query else computed(key, "value", estimate.value, spec)
    )


def computed(key: str, field: str, value: float | None, spec: str) -> Markup:
    tag = '<span class="num" data-metric="{}" data-field="{}" data-value="{}" data-format="{}">{}</span>'
    return Markup(tag).format(key, field, json.dumps(value), spec, formatted(value, spec))


def interval(key: str, estimate: Estimate, label: str = "") -> Markup:
    """low–high, or why there is none."""
    if estimate.low is None or estimate.high is None:
        return Markup('<span class="none">{}</span>').format(estimate.note or NOTHING)
    spec = spec_of(estimate.unit, estimate.value, estimate.low, estimate.high)
    tag = '<span class="span" data-metric="{}" data-low="{}" data-high="{}" data-format="{}">{}{}</span>'
    text = span(estimate.low, estimate.high, spec)
    return Markup(tag).format(key, json.dumps(estimate.low), json.dumps(estimate.high), spec, label, text)


def source(*queries: str, method: str = "", label: str = "where this comes from") -> Markup:
    """The queries behind what stands before, folded away."""
    shown = Markup("").join(Markup("<pre>{}</pre>").format(query.strip()) for query in dict.fromkeys(queries) if query)
    note = (
        Markup('<p class="given">Interval: {}, from the sums of the second query.</p>').format(method) if method else ""
    )
    return Markup('<details class="source"><summary>{}</summary>{}{}</details>').format(label, shown, note)


@dataclass(frozen=True)
class Column:
    """A column of a queried table. Without a spec it is words; `bar` draws it as a share of the column's greatest;
    `length` names another column that gives the bar's length, `offset` one where it begins, `whole` its full scale."""

    name: str
    heading: str
    spec: str = ""
    words: Callable[[str], str] = plain
    bar: bool = False
    length: str = ""
    offset: str = ""
    whole: str = ""


def table(
    database: Database, sql: str, keys: Sequence[str], columns: Sequence[Column], caption: str = "", css: str = ""
) -> Markup:
    """A query as a table; every number in it carries the query narrowed to its row and column."""
    rows = database.table(sql)
    head = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(Markup(' class="right"') if c.spec else "", c.heading)
        for c in columns
    )
    greatest = {
        c.name: max((abs(row[c.whole or c.length or c.name] or 0) for row in rows), default=0) or 1
        for c in columns
        if c.bar
    }
    body = Markup("").join(_row(sql, keys, columns, row, greatest) for row in rows)
    title = Markup("<caption>{}</caption>").format(caption) if caption else ""
    return Markup(
        '<div class="scroll" tabindex="0"><table class="{}">{}<thead class="given"><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>{}"
    ).format(css, title, head, body, source(sql))


def _row(
    sql: str, keys: Sequence[str], columns: Sequence[Column], row: dict[str, Any], greatest: dict[str, float]
) -> Markup:
    cells = []
    for at, column in enumerate(columns):
        value = row[column.name]
        if column.spec:
            shown = number(value, column.spec, _narrowed(sql, keys, row, column.name))
            bar = _bar(row, column, greatest[column.name]) if column.bar else ""
            cells.append(Markup('<td class="right{}">{}{}</td>').format(" barred" if column.bar else "", shown, bar))
        else:
            tag = '<th scope="row">{}</th>' if at == 0 else "<td>{}</td>"
            cells.append(Markup(tag).format(NOTHING if value in (None, "") else column.words(str(value))))
    return Markup("<tr>{}</tr>").format(Markup("").join(cells))


def _bar(row: dict[str, Any], column: Column, greatest: float) -> Markup:
    start = 100 * (row[column.offset] or 0) / greatest if column.offset else 0
    width = 100 * abs(row[column.length or column.name] or 0) / greatest
    if not width:
        return Markup('<span class="bar"></span>')
    return Markup('<span class="bar" aria-hidden="true"><i style="left:{}%;width:{}%"></i></span>').format(
        f"{start:.3f}", f"{width:.3f}"
    )


def _narrowed(sql: str, keys: Sequence[str], row: dict[str, Any], name: str) -> str:
    where = " AND ".join(f'"{key}" IS NOT DISTINCT FROM {_literal(row[key])}' for key in keys)
    return f'SELECT "{name}" FROM ({sql.strip()}) WHERE {where or "true"}'


def _literal(value: Value) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower() if value is not None else "NULL"
    return quoted(value) if isinstance(value, str) else repr(value)


def chart(
    identity: str, label: str, sql: str, rows: list[dict[str, Any]], drawn: dict[str, Any], height: int
) -> Markup:
    """A Plotly figure with the rows it draws and their query; the page's script colours it for light, dark, print."""
    data = Markup(json.dumps(drawn, ensure_ascii=False).replace("<", "\\u003c"))
    tag = (
        '<figure class="chart" id="{}" data-query="{}" data-rows="{}"><figcaption class="given">{}</figcaption>'
        '<div class="plot" role="img" aria-label="{}" style="height:{}px"></div>'
        '<script type="application/json">{}</script></figure>'
    )
    listed = json.dumps([list(row.values()) for row in rows])
    return Markup(tag).format(identity, sql.strip(), listed, label, label, height, data)


def words(text: str) -> Markup:
    """Text that a person gave (names, dates, commands): digits in it are not measurements."""
    return Markup('<span class="given">{}</span>').format(text)


def sentence(template: str, **parts: Any) -> Markup:
    """A sentence with numbers in it; the parts are escaped unless they are markup."""
    return Markup(escape(template)).format(**parts)
