"""What a review reads: a metric over the days of a phase where the run keeps it by day, else over the whole run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from results.catalogue import asked_of
from results.metric import Metric, Scope, scopes
from results.metrics import CANDIDATE_DAYS, MEASURED_DAYS, value_sql
from results.query import Database, quoted
from results.statistics import Estimate
from results.tables import SCHEMAS

PHASE, SO_FAR, RUN = "the phase", "since launch", "the whole run"
# What stands at the end of a phase; of coupons, what became of those issued until then.
SO_FAR_TABLES = ("reach", "stock_days", "budget_days", "cohorts")
# Rates and means of customers: sums by day of the same measures, over campaigns (cells) or all customers (population).
_CELLS = {"exposures": "sum(exposures) - sum(not_shown)", "clicks": "sum(clicks)", "conversions": "sum(conversions)",
          "complaints": "sum(complaints)"}  # fmt: skip
_POPULATION = {name: f"sum({name})" for name in ("visits", "payments", "instalments", "orders", "goods", "pieces",
                                                "discounts", "negatives")}  # fmt: skip
_BUDGET_USED = ("arg_max(spent, date) + arg_max(reserved, date)", "arg_max(in_force, date)")


@dataclass(frozen=True)
class Reading:
    """A figure, the query that gives it, and the days it is of."""

    value: float | None
    unit: str
    query: str
    over: str


def figures(manifest: dict[str, Any]) -> dict[str, tuple[Metric, Scope, str]]:
    """Every figure of a run by its name: metric, of whom, which part."""
    return {
        key: (metric, scope, part)
        for scope in scopes(manifest)
        for metric in asked_of(manifest, scope)
        for key, part in metric.keys(scope).items()
    }


def reading(
    database: Database, named: Mapping[str, tuple[Metric, Scope, str]], found: Mapping[str, Estimate],
    key: str, first: str, last: str,
) -> Reading:  # fmt: skip
    """A figure by its name, over the days [first, last] (ISO dates) where they are kept apart."""
    metric, scope, part = named[key]
    daily = by_day(metric, scope, part)
    if daily is None:
        return Reading(found[key].value, metric.unit, found[key].query, RUN)
    since = quoted(first)
    within = f"date <= {quoted(last)}" if daily.source in SO_FAR_TABLES else f"date BETWEEN {since} AND {quoted(last)}"
    if daily.source == "contacts":
        within = f"day BETWEEN {since} AND {quoted(last)}"
    query = value_sql(replace(daily, where=f"{daily.where} AND {within}"), scope)
    value = database.value(query)
    assert value is None or isinstance(value, int | float)
    return Reading(value, metric.unit, query, SO_FAR if daily.source in SO_FAR_TABLES else PHASE)


def by_day(metric: Metric, scope: Scope, part: str) -> Metric | None:
    """The same metric over a table that has days, its rows in `where`; None where there is none."""
    if metric.name == "budget_used":
        numerator, denominator = _BUDGET_USED
        return replace(metric, source="budget_days", numerator=numerator, denominator=denominator, where="true")
    if metric.kind in ("mean", "ratio"):
        return of_sums(metric, scope)
    if metric.kind in ("claims", "refused"):
        column = {"claims": "answer", "refused": "reason"}[metric.kind]
        numerator = f"coalesce({metric.numerator}, 0)"
        return replace(
            metric, kind="count", numerator=numerator, where=f"{days_of(metric)} AND {column} = {quoted(part)}"
        )
    if metric.kind not in ("plain", "count", "sum", "share") or metric.source not in SCHEMAS:
        return None
    if metric.source == "contacts":
        return replace(metric, where="true")
    return replace(metric, where=days_of(metric)) if "date" in SCHEMAS[metric.source].names else None


def days_of(metric: Metric) -> str:
    return metric.where or (CANDIDATE_DAYS if metric.source == "waterfall" else MEASURED_DAYS)


def of_sums(metric: Metric, scope: Scope) -> Metric | None:
    """A rate of what is counted by day; a mean over customers at launch."""
    over_launched = metric.kind == "mean"
    if scope.campaign and over_launched:
        return None  # its customers are those who were shown it
    for source, columns in (("cells", _CELLS), ("population", _POPULATION)):
        if scope.campaign and source == "population":
            continue
        if metric.numerator in columns and (over_launched or metric.denominator in columns):
            scale = " / 100.0" if metric.unit == "yuan" else ""
            denominator = "(SELECT max(launched) FROM population)" if over_launched else columns[metric.denominator]
            return replace(
                metric, kind="plain", source=source, numerator=f"({columns[metric.numerator]}){scale}",
                denominator=denominator, where=MEASURED_DAYS,
            )  # fmt: skip
    return None
