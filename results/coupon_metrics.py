"""Figures of coupons that take more than one query: claims by answer, and what a coupon returns while it runs."""

from collections.abc import Iterator
from typing import Any

from results.metric import Metric, Scope
from results.query import Database, quoted
from results.statistics import TOO_FEW, Estimate, Interval, Mean, TwoMeans

COUNTED = "a count of this run"
CUSTOMERS_LEAST = 1_000  # in each group: spend is skewed
METHOD = "Welch's t on spend per customer, times margin and customers shown, over the cost so far"
SKEWED = f"{TOO_FEW}: fewer than a thousand customers were shown it, or held out"


def claims_by_answer(database: Database, metric: Metric, scope: Scope) -> Iterator[tuple[str, Estimate]]:
    """One figure an answer, zeros too."""
    where = f"FROM claims WHERE phase <> 'before' AND {scope.condition}"
    counted = dict(database.rows(f"SELECT answer, {metric.numerator} {where} GROUP BY answer"))
    for answer in metric.parts:
        query = f"SELECT coalesce({metric.numerator}, 0) {where} AND answer = {quoted(answer)}"
        count = float(counted.get(answer, 0))
        yield (
            scope.key(metric.name, answer),
            Estimate(count, None, None, metric.unit, int(count), metric.unit_of_analysis, COUNTED, query=query),
        )


def returns_sql(campaign: str, coupon: str) -> str:
    """By day since launch: customers shown and held out so far, the extra margin of those shown and the cost so far
    (both yuan), and the one divided by the other."""
    name = quoted(campaign)
    return f"""
WITH groups AS (SELECT date, phase, max(customers) FILTER (WHERE NOT held_out) AS shown,
       max(customers) FILTER (WHERE held_out) AS held_out, max(spend) FILTER (WHERE NOT held_out) AS spent_shown,
       max(spend) FILTER (WHERE held_out) AS spent_held_out
     FROM spend_days WHERE campaign = {name} GROUP BY date, phase),
     messages AS (SELECT date, sum(sum(c.exposures)) OVER (ORDER BY date)
       * (SELECT cost FROM campaigns WHERE campaign = {name}) AS cost
     FROM population LEFT JOIN (SELECT date, exposures FROM cells WHERE campaign = {name} AND phase <> 'before') AS c
     USING (date) GROUP BY date),
     so_far AS (SELECT date, groups.phase, shown, held_out,
       (SELECT margin FROM run) * (spent_shown - spent_held_out / nullif(held_out, 0) * shown) / 100.0 AS extra_margin,
       (discount + coalesce(messages.cost, 0)) / 100.0 AS cost
     FROM groups JOIN coupon_days USING (date) LEFT JOIN messages USING (date) WHERE coupon = {quoted(coupon)})
SELECT date, phase, shown, held_out, extra_margin, cost, extra_margin / nullif(cost, 0) AS roi
FROM so_far ORDER BY date"""


def sums_sql(campaign: str) -> str:
    """By day: customers, spend and squares of those shown, then of those held out."""
    columns = ", ".join(
        f"max({column}) FILTER (WHERE {group})" for group in ("NOT held_out", "held_out")
        for column in ("customers", "spend", "squares")
    )  # fmt: skip
    return f"SELECT date, {columns} FROM spend_days WHERE campaign = {quoted(campaign)} GROUP BY date ORDER BY date"


def return_on_cost(
    database: Database, metric: Metric, offer: dict[str, Any], coupon: str, confidence: float
) -> Estimate:
    """Of the last day."""
    sql = returns_sql(offer["name"], coupon)
    query = f"SELECT max_by(roi, date) FROM ({sql})"
    found = returns(database, offer["name"], coupon, confidence)
    _, low, high, note = found[-1] if found else ("", None, None, "nobody to measure")
    value = database.value(query)
    assert not isinstance(value, str | bool)
    last = f"SELECT max_by(shown, date) + max_by(held_out, date) FROM ({sql})"
    if value is None:
        low, high, note = None, None, note or "nothing was spent on it"
    return Estimate(
        value, low, high, metric.unit, int(database.number(last)), metric.unit_of_analysis, note, METHOD, query,
        sums_sql(offer["name"]),
    )  # fmt: skip


def returns(
    database: Database, campaign: str, coupon: str, confidence: float
) -> list[tuple[str, float | None, float | None, str]]:
    """The interval of each day, and why there is none."""
    margin = database.number("SELECT margin FROM run")
    costs = {row["date"]: row["cost"] for row in database.table(returns_sql(campaign, coupon))}
    found: list[tuple[str, float | None, float | None, str]] = []
    for row in database.table(sums_sql(campaign)):
        day, *sums = row.values()
        shown, held_out = (Mean(*(float(value or 0) for value in part)) for part in (sums[:3], sums[3:]))
        low, high, note = spend_difference(shown, held_out, confidence)
        cost = costs.get(day)
        if low is None or high is None or not cost:
            found.append((str(day), None, None, note))
            continue
        factor = margin * shown.n / 100 / cost
        found.append((str(day), low * factor, high * factor, ""))
    return found


def spend_difference(shown: Mean, held_out: Mean, confidence: float) -> Interval:
    """Fen that one customer shown spent more than one held out."""
    if min(shown.n, held_out.n) < CUSTOMERS_LEAST:
        return Interval(None, None, SKEWED)
    return TwoMeans(shown, held_out).difference(confidence)
