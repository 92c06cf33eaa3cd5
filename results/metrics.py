"""Every metric of one run, each with the SQL that gives it and the interval its sums allow."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from results.catalogue import METRICS, asked_of
from results.coupon_metrics import claims_by_answer, return_on_cost
from results.holdout_metrics import NOBODY, of_campaign, of_programme
from results.metric import Metric, Scope, offer_of, scopes
from results.query import Database, quoted
from results.statistics import CONFIDENCE, Estimate, Interval, Mean, Proportion, Ratio
from results.store import Run, open_run

SRM_ALARM = 0.001
COUNTED = "a count of this run"
NO_SUMS = "no interval: the run keeps no sums per customer for this"
SHARED = (
    "no interval: stock or budget ran out, so customers are not independent; "
    "the unit is the world, at least ten of them"
)
MEASURED_DAYS = "phase <> 'before'"
# Once a campaign is over it is paused; what would have triggered it then is no candidate any more.
CANDIDATE_DAYS = f"{MEASURED_DAYS} AND NOT (phase = 'after' AND reason = 'paused')"


def metrics(run: Run | Path, confidence: float = CONFIDENCE) -> dict[str, Estimate]:
    """All metrics of a run: `click_rate`, `click_rate[first_use]`, `click_rate[first_use/red]`, `lift[first_use]`, …"""
    opened = run if isinstance(run, Run) else open_run(run)
    with Database(opened.folder) as database:
        return estimates(database, opened.manifest, confidence)


def estimates(database: Database, manifest: dict[str, Any], confidence: float = CONFIDENCE) -> dict[str, Estimate]:
    found = dict(_plain_metrics(database, manifest, confidence))
    for campaign in manifest["campaigns"]:
        within = [scope for scope in scopes(manifest) if scope.campaign == campaign["name"]]
        found |= of_campaign(database, campaign, within, confidence)
    found |= of_programme(database, universal_share(manifest), confidence)
    for scope in scopes(manifest):
        for metric in asked_of(manifest, scope):
            for key, part in metric.keys(scope).items():
                if key in found:
                    found[key] = replace(found[key], population=metric.population(scope, part))
    if shared_bound(database, manifest):
        found = {
            key: replace(e, low=None, high=None, note=SHARED) if e.low is not None else e for key, e in found.items()
        }
    return found


def universal_share(manifest: dict[str, Any]) -> float:
    """Share of customers held out of everything but service messages."""
    return (manifest.get("universal_holdout_share") or 0) / 1e6


def shared_bound(database: Database, manifest: dict[str, Any]) -> bool:
    """Did customers compete for something (FIDELITY 10)? Then intervals over customers would be too narrow."""
    refused = [
        f"SELECT sum({counted}) FROM {table} WHERE {column} IN ('out_of_stock', 'budget') AND {MEASURED_DAYS}"
        for counted, table, column in (("candidates", "waterfall", "reason"), ("claims", "claims", "answer"))
    ]
    return bool(manifest.get("shared_bound")) or any(database.number(query) > 0 for query in refused)


def _plain_metrics(database: Database, manifest: dict[str, Any], confidence: float) -> Iterator[tuple[str, Estimate]]:
    for scope in scopes(manifest):
        for metric in asked_of(manifest, scope):
            if metric.kind == "claims":
                yield from claims_by_answer(database, metric, scope)
            elif metric.kind == "roi":
                offer = offer_of(manifest, scope.coupon)
                assert offer is not None
                yield scope.key(metric.name), return_on_cost(database, metric, offer, scope.coupon, confidence)
            elif metric.kind not in ("holdout", "programme", "refused"):
                yield scope.key(metric.name), _estimate(database, metric, scope, confidence)
        if scope.level == "campaign":
            yield from _refusals(database, METRICS["refused"], scope)


def _refusals(database: Database, metric: Metric, scope: Scope) -> Iterator[tuple[str, Estimate]]:
    """Candidates refused, one figure a reason, zeros too."""
    where = f"FROM waterfall WHERE {CANDIDATE_DAYS} AND {scope.condition}"
    counted = dict(database.rows(f"SELECT reason, {metric.numerator} {where} GROUP BY reason"))
    for reason in metric.parts:
        query = f"SELECT coalesce({metric.numerator}, 0) {where} AND reason = {quoted(reason)}"
        count = float(counted.get(reason, 0))
        yield (
            scope.key(metric.name, reason),
            Estimate(count, None, None, metric.unit, int(count), metric.unit_of_analysis, COUNTED, query=query),
        )


def _estimate(database: Database, metric: Metric, scope: Scope, confidence: float) -> Estimate:
    """One metric by its kind; the value always comes from `query`, the interval from `counts_query`."""
    query, counts_query = {"mean": _mean_sql, "ratio": _ratio_sql}.get(metric.kind, _divided_sql)(metric, scope)
    counts = [float(value or 0) for value in database.rows(counts_query)[0]]
    interval, n, method = _interval(metric, counts, confidence)
    value = database.value(query)
    assert not isinstance(value, str | bool)
    return Estimate(
        value, interval.low, interval.high, metric.unit, int(n), metric.unit_of_analysis, interval.note, method,
        query, counts_query,
    )  # fmt: skip


def _interval(metric: Metric, counts: list[float], confidence: float) -> tuple[Interval, float, str]:
    if metric.kind == "mean":
        scale = _scale(metric)
        n, total, squares = counts
        return Mean(n, total / scale, squares / scale**2).interval(confidence) if n else NOBODY, n, "mean, Student's t"
    if metric.kind == "ratio":
        n, scale = counts[0], _scale(metric)
        low, high, note = Ratio(*counts).interval(confidence) if counts[1] and counts[2] else NOBODY
        low, high = (None if end is None else end / scale for end in (low, high))
        return Interval(low, high, note), n, "delta method, customer as unit (Deng 2018)"
    if metric.kind == "share":
        events, n = counts
        share = Proportion(events, n)
        return share.interval(confidence) if n else NOBODY, n, share.method
    note = COUNTED if metric.kind in ("count", "sum") else NO_SUMS
    return Interval(None, None, metric.missing if counts[-1] == 0 and metric.missing else note), counts[-1], ""


def value_sql(metric: Metric, scope: Scope) -> str:
    """The query of a metric that is one division, count or sum over a table."""
    return _divided_sql(metric, scope)[0]


def _scale(metric: Metric) -> int:
    return 100 if metric.unit == "yuan" else 1  # fen to yuan


def _divided_sql(metric: Metric, scope: Scope) -> tuple[str, str]:
    days = metric.where or (CANDIDATE_DAYS if metric.source == "waterfall" else MEASURED_DAYS)
    tail = f"FROM {metric.source} WHERE {days} AND {scope.condition}"
    if metric.kind == "count":
        value = f"SELECT coalesce({metric.numerator}, 0) {tail}"
        return value, value
    if metric.kind == "sum":
        return f"SELECT {metric.numerator} {tail}", f"SELECT {metric.denominator} {tail}"
    numerator, denominator = metric.numerator, metric.denominator
    value = f"SELECT CAST({numerator} AS DOUBLE) / nullif({denominator}, 0) {tail}"
    return value, f"SELECT {numerator}, {metric.counted or denominator} {tail}"


def _mean_sql(metric: Metric, scope: Scope) -> tuple[str, str]:
    measure, scale = metric.numerator, f" / {_scale(metric)}" if _scale(metric) > 1 else ""
    if scope.level == "run":
        tail = f"FROM moments WHERE measure_a = '{measure}' AND measure_b = '{measure}'"
        return f"SELECT sum_a / nullif(n, 0){scale} {tail}", f"SELECT sum(n), sum(sum_a), sum(sum_ab) {tail}"
    tail = f"FROM outcomes WHERE NOT held_out AND {scope.condition}"
    value = f"SELECT sum({measure}) / nullif(sum(customers), 0){scale} {tail}"
    return value, f"SELECT sum(customers), sum({measure}), sum({measure}_squared) {tail}"


def _ratio_sql(metric: Metric, scope: Scope) -> tuple[str, str]:
    x, y = metric.numerator, metric.denominator
    if scope.level == "run":
        xx, yy = (f"measure_a = '{m}' AND measure_b = '{m}'" for m in (x, y))
        xy = f"(measure_a, measure_b) IN (('{x}', '{y}'), ('{y}', '{x}'))"  # either order of the pair is fine
        sums = [f"max(n) FILTER (WHERE {xx})", f"max(sum_a) FILTER (WHERE {xx})", f"max(sum_a) FILTER (WHERE {yy})"]
        products = [f"max(sum_ab) FILTER (WHERE {pair})" for pair in (xx, yy, xy)]
        scale = f" / {_scale(metric)}" if _scale(metric) > 1 else ""
        return (
            f"SELECT {sums[1]} / nullif({sums[2]}, 0){scale} FROM moments",
            f"SELECT {', '.join(sums + products)} FROM moments",
        )
    tail = f"FROM outcomes WHERE NOT held_out AND {scope.condition}"
    columns = ("customers", x, y, f"{x}_squared", f"{y}_squared", f"{y}_{x}")
    sums = [f"sum({column})" for column in columns]
    return f"SELECT sum({x}) / nullif(sum({y}), 0) {tail}", f"SELECT {', '.join(sums)} {tail}"
