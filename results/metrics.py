"""Every metric of one run, each with the SQL that gives it and the interval its sums allow."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from results.catalogue import METRICS, Metric
from results.query import Database, quoted
from results.statistics import (
    CONFIDENCE,
    Estimate,
    Interval,
    Mean,
    Proportion,
    Ratio,
    TwoProportions,
    sample_ratio_p,
)
from results.store import Run, held_out_share, open_run
from results.tables import REASON_NAMES

SRM_ALARM = 0.001
NO_SUMS = "no interval: the run keeps no sums per customer for this"
SHARED = (
    "no interval: stock or budget ran out, so customers are not independent; the unit is the world, at least 10 of them"
)
MEASURED_DAYS = "phase <> 'before'"
# Once a campaign is over it is paused; what would have triggered it then is no candidate any more.
CANDIDATE_DAYS = f"{MEASURED_DAYS} AND NOT (phase = 'after' AND reason = 'paused')"


@dataclass(frozen=True)
class Scope:
    """Of whom a metric speaks: the run, one campaign, or one arm of it."""

    campaign: str = ""
    arm: str = ""

    @property
    def level(self) -> str:
        return "arm" if self.arm else "campaign" if self.campaign else "run"

    def key(self, name: str, part: str = "") -> str:
        inside = "/".join(word for word in (self.campaign, self.arm, part) if word)
        return f"{name}[{inside}]" if inside else name

    @property
    def condition(self) -> str:
        parts = [f"{column} = {quoted(word)}" for column, word in vars(self).items() if word]
        return " AND ".join(parts) or "true"


def metrics(run: Run | Path, confidence: float = CONFIDENCE) -> dict[str, Estimate]:
    """All metrics of a run: `click_rate`, `click_rate[first_use]`, `click_rate[first_use/red]`, `lift[first_use]`, …"""
    opened = run if isinstance(run, Run) else open_run(run)
    with Database(opened.folder) as database:
        return estimates(database, opened.manifest, confidence)


def estimates(database: Database, manifest: dict[str, Any], confidence: float = CONFIDENCE) -> dict[str, Estimate]:
    found = dict(_plain_metrics(database, manifest, confidence))
    for campaign in manifest["campaigns"]:
        found.update(_holdout_metrics(database, manifest, campaign, confidence))
    if shared_bound(database, manifest):
        found = {
            key: replace(e, low=None, high=None, note=SHARED) if e.low is not None else e for key, e in found.items()
        }
    return found


def shared_bound(database: Database, manifest: dict[str, Any]) -> bool:
    """Did customers compete for something (FIDELITY 10)? Then intervals over customers would be too narrow."""
    refused = f"SELECT sum(candidates) FROM waterfall WHERE reason IN ('out_of_stock', 'budget') AND {MEASURED_DAYS}"
    return bool(manifest.get("shared_bound")) or database.number(refused) > 0


def scopes(manifest: dict[str, Any]) -> Iterator[Scope]:
    yield Scope()
    for campaign in manifest["campaigns"]:
        yield Scope(campaign["name"])
        if len(campaign["arms"]) > 1:
            yield from (Scope(campaign["name"], arm["name"]) for arm in campaign["arms"])


def _plain_metrics(database: Database, manifest: dict[str, Any], confidence: float) -> Iterator[tuple[str, Estimate]]:
    for scope in scopes(manifest):
        for metric in METRICS.values():
            if metric.kind not in ("holdout", "refused") and scope.level in metric.levels:
                yield scope.key(metric.name), _estimate(database, metric, scope, confidence)
        if scope.level == "campaign":
            yield from _refusals(database, METRICS["refused"], scope)


def _refusals(database: Database, metric: Metric, scope: Scope) -> Iterator[tuple[str, Estimate]]:
    """Candidates refused, one figure a reason, zeros too."""
    where = f"FROM waterfall WHERE {CANDIDATE_DAYS} AND {scope.condition}"
    counted = dict(database.rows(f"SELECT reason, {metric.numerator} {where} GROUP BY reason"))
    for reason in REASON_NAMES:
        if reason not in ("shown", "no_candidate"):
            query = f"SELECT coalesce({metric.numerator}, 0) {where} AND reason = {quoted(reason)}"
            count = float(counted.get(reason, 0))
            yield (
                scope.key(metric.name, reason),
                Estimate(
                    count,
                    None,
                    None,
                    metric.unit,
                    int(count),
                    metric.unit_of_analysis,
                    "a count of this run",
                    query=query,
                ),
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
        return Mean(n, total / scale, squares / scale**2).interval(confidence) if n else _NOBODY, n, "mean, Student's t"
    if metric.kind == "ratio":
        n = counts[0]
        enough = counts[1] and counts[2]
        return (
            Ratio(*counts).interval(confidence) if enough else _NOBODY,
            n,
            "delta method, customer as unit (Deng 2018)",
        )
    if metric.kind == "share":
        events, n = counts
        return Proportion(events, n).interval(confidence) if n else _NOBODY, n, "Wilson score"
    return Interval(None, None, NO_SUMS if metric.kind == "plain" else "a count of this run"), counts[-1], ""


_NOBODY = Interval(None, None, "nobody to measure")


def _scale(metric: Metric) -> int:
    return 100 if metric.unit == "yuan" else 1  # fen to yuan


def _divided_sql(metric: Metric, scope: Scope) -> tuple[str, str]:
    days = CANDIDATE_DAYS if metric.source == "waterfall" else MEASURED_DAYS
    tail = f"FROM {metric.source} WHERE {days} AND {scope.condition}"
    if metric.kind == "count":
        value = f"SELECT coalesce({metric.numerator}, 0) {tail}"
        return value, value
    numerator, denominator = metric.numerator, metric.denominator
    value = f"SELECT CAST({numerator} AS DOUBLE) / nullif({denominator}, 0) {tail}"
    return value, f"SELECT {numerator}, {denominator} {tail}"


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
        return (
            f"SELECT {sums[1]} / nullif({sums[2]}, 0) FROM moments",
            f"SELECT {', '.join(sums + products)} FROM moments",
        )
    tail = f"FROM outcomes WHERE NOT held_out AND {scope.condition}"
    columns = ("customers", x, y, f"{x}_squared", f"{y}_squared", f"{y}_{x}")
    sums = [f"sum({column})" for column in columns]
    return f"SELECT sum({x}) / nullif(sum({y}), 0) {tail}", f"SELECT {', '.join(sums)} {tail}"


def _holdout_metrics(
    database: Database, manifest: dict[str, Any], campaign: dict[str, Any], confidence: float
) -> dict[str, Estimate]:
    """Shown against held out, for the campaign and, with several arms, each arm; nothing without a holdout."""
    name, share = campaign["name"], held_out_share(campaign)
    found: dict[str, Estimate] = {}
    if not share:
        return found
    for scope in (s for s in scopes(manifest) if s.campaign == name):
        found.update(_comparison(database, scope, confidence))
    whole = Scope(name)
    found[whole.key("incremental_conversions")] = _scaled_up(database, whole, found[whole.key("lift")])
    found[whole.key("srm_p")] = _sample_ratio(database, campaign, share)
    return found


def _comparison(database: Database, scope: Scope, confidence: float) -> dict[str, Estimate]:
    groups = {"shown": "NOT held_out", "held_out": "held_out"}
    tails = {part: f"FROM outcomes WHERE {scope.condition} AND {group}" for part, group in groups.items()}
    counts_sql = {part: f"SELECT sum(converted), sum(customers) {tail}" for part, tail in tails.items()}
    counts = {part: Proportion(*(float(v or 0) for v in database.rows(sql)[0])) for part, sql in counts_sql.items()}
    rate = {
        part: f"(SELECT CAST(sum(converted) AS DOUBLE) / nullif(sum(customers), 0) {tails[part]})" for part in groups
    }
    both = f"SELECT held_out, sum(converted), sum(customers) FROM outcomes WHERE {scope.condition} GROUP BY held_out"
    two = TwoProportions(counts["shown"], counts["held_out"])
    n = int(two.treated.n + two.control.n)

    def made(unit: str, interval: Interval, size: int, method: str, query: str, sums: str) -> Estimate:
        value = database.value(query)
        assert not isinstance(value, str | bool)
        return Estimate(value, interval.low, interval.high, unit, size, "customer", interval.note, method, query, sums)

    found = {}
    for part, c in counts.items():
        alone = c.interval(confidence) if c.n else _NOBODY
        found[scope.key("uptake", part)] = made(
            "share", alone, int(c.n), "Wilson score", f"SELECT {rate[part]}", counts_sql[part]
        )
    difference, ratio = (
        f"SELECT {rate['shown']} - {rate['held_out']}",
        f"SELECT {rate['shown']} / nullif({rate['held_out']}, 0) - 1",
    )
    found[scope.key("lift")] = made("points", two.difference(confidence), n, "Newcombe hybrid score", difference, both)
    found[scope.key("relative_lift")] = made("share", two.relative(confidence), n, "Katz log ratio", ratio, both)
    return found


def _scaled_up(database: Database, scope: Scope, lift: Estimate) -> Estimate:
    """The lift times the customers reached (shown or held out: all who would be shown it), on the customer base."""
    factor_sql = (
        f"(SELECT sum(customers) FROM outcomes WHERE {scope.condition})"
        " / (SELECT customers FROM run) * (SELECT customer_base FROM run)"
    )
    factor = database.number(f"SELECT {factor_sql}")
    query = f"SELECT ({lift.query}) * ({factor_sql})"
    value = database.value(query)
    assert not isinstance(value, str | bool)
    low, high = (None if bound is None else bound * factor for bound in (lift.low, lift.high))
    return replace(lift, value=value, low=low, high=high, unit="estimated count", query=query)


def _sample_ratio(database: Database, campaign: dict[str, Any], share: float) -> Estimate:
    """Customers assigned against the shares in force: arms too, where the manifest states their shares."""
    arms = {arm["name"]: arm.get("share") for arm in campaign["arms"]}
    by_arm = len(arms) > 1 and None not in arms.values()
    sql = f"SELECT arm, held_out, sum(customers) FROM outcomes WHERE campaign = {quoted(campaign['name'])} GROUP BY ALL"
    counts = {(arm, held): float(n) for arm, held, n in database.rows(sql)}
    held_shares = {True: share, False: 1.0 - share}
    if by_arm:
        cells = [(arm, held) for arm in arms for held in held_shares]
        assigned = [counts.get(cell, 0.0) for cell in cells]
        shares = [arms[arm] * held_shares[held] for arm, held in cells]
    else:
        assigned = [sum(n for (_, h), n in counts.items() if h is held) for held in held_shares]
        shares = list(held_shares.values())
    p = sample_ratio_p(assigned, shares) if sum(assigned) else None
    note = "" if p is not None else "too few for the test"
    return Estimate(p, None, None, "p", int(sum(assigned)), "customer", note, "chi-square", "", sql)
