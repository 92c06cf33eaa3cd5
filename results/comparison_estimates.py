"""Figures of a comparison that speak of coupons and of sales: baskets, sales during the campaign and afterwards, what
became of each coupon, and what an offer truly returned. The unit is the world."""

from collections.abc import Iterator
from typing import Any

from results.paired import PairedWorlds
from results.query import Database, quoted
from results.statistics import Estimate, Interval

Keyed = Iterator[tuple[str, Estimate]]
BY_WORLD = "the world as unit, Student's t"
PHASES = {"during": "campaign", "afterwards": "after"}
SALES = (
    "payments", "payment_amount", "orders", "goods", "pieces", "lines_added", "discounts", "discounts_anyway", "claims",
    "refunds", "refunded",
)  # fmt: skip
REDEEMED = "redeemed / granted"
HOURS = "out_after_ms / 3600000.0"
# Of a coupon: the figure of a policy, that of a rival less the reference, what it is in a world, which count, its unit.
OF_COUPON = (
    ("redemption_rate", "redemption_difference", REDEEMED, "granted > 0", "share"),
    ("stock_out_hour", "stock_out_difference", HOURS, "out_after_ms IS NOT NULL", "hours"),
)


def competed(database: Database) -> bool:
    """Did customers of any world compete for stock or budget, or meet adversaries? Then they are not independent."""
    sums = "(SELECT sum(shared_refusals) FROM lives), (SELECT sum(crews) FROM accounts)"
    return any(database.rows(f"SELECT {sums}")[0])


def baskets(database: Database, reference: str, rivals: list[str], confidence: float) -> Keyed:
    """Goods at list price by order, of every policy, and each rival less the reference; nothing without orders."""
    if not database.number("SELECT coalesce(sum(total), 0) FROM levels WHERE of = '' AND measure = 'orders'"):
        return
    for policy in (reference, *rivals):
        by_world = f"SELECT yuan FROM ({basket_sql(policy)}) ORDER BY world"
        value = f"SELECT {overall_sql(policy)}"
        yield f"basket_value[{policy}]", estimated(database, value, by_world, "yuan", confidence)
    for rival in rivals:
        pairs = f"({basket_sql(rival)}) AS a JOIN ({basket_sql(reference)}) AS b ON a.world = b.world"
        by_world = f"SELECT a.yuan - b.yuan FROM {pairs} ORDER BY a.world"
        value = f"SELECT {overall_sql(rival)} - {overall_sql(reference)}"
        yield f"basket_difference[{rival}]", estimated(database, value, by_world, "yuan", confidence)


def total_sql(policy: str, measure: str) -> str:
    return f"FROM levels WHERE of = '' AND policy = {quoted(policy)} AND measure = {quoted(measure)}"


def overall_sql(policy: str) -> str:
    goods, orders = (f"(SELECT sum(total) {total_sql(policy, measure)})" for measure in ("goods", "orders"))
    return f"({goods} / nullif({orders}, 0) / 100.0)"


def basket_sql(policy: str) -> str:
    goods, orders = (f"(SELECT world, total {total_sql(policy, measure)})" for measure in ("goods", "orders"))
    both = f"{goods} AS g JOIN {orders} AS o ON g.world = o.world"
    return f"SELECT g.world, g.total / o.total / 100.0 AS yuan FROM {both} WHERE o.total > 0"


# --- sales, and each coupon -------------------------------------------------------------------------------------------
def sales(database: Database, reference: str, rivals: list[str], confidence: float) -> Keyed:
    """What was sold in the campaign's days and in the tail, as a share above or below the reference: a campaign that
    brings purchases forward is followed by a dip."""
    for rival in rivals:
        for word, phase in PHASES.items():
            for measure in SALES:
                a, b = (counted_sql(policy, phase, measure) for policy in (rival, reference))
                tail = f"FROM ({a}) AS a JOIN ({b}) AS b USING (world)"
                by_world = f"SELECT a.count / b.count - 1 {tail} WHERE b.count > 0 ORDER BY world"
                value = f"SELECT sum(a.count) / nullif(sum(b.count), 0) - 1 {tail}"
                yield f"{word}[{rival}/{measure}]", estimated(database, value, by_world, "share", confidence)


def counted_sql(policy: str, phase: str, measure: str) -> str:
    where = f"policy = {quoted(policy)} AND phase = {quoted(phase)} AND measure = {quoted(measure)}"
    return f"SELECT world, count FROM phases WHERE {where}"


def coupons(database: Database, reference: str, rivals: list[str], confidence: float) -> Keyed:
    """Of every coupon of the reference: the share redeemed, and how long the stock lasted where it ran out."""
    names = f"SELECT DISTINCT coupon FROM by_coupon WHERE policy = {quoted(reference)} ORDER BY coupon"
    for (coupon,) in database.rows(names):
        for name, difference, figure, counts, unit in OF_COUPON:
            for policy in (reference, *rivals):
                rows = f"FROM by_coupon WHERE policy = {quoted(policy)} AND coupon = {quoted(coupon)} AND {counts}"
                by_world = f"SELECT {figure} {rows} ORDER BY world"
                found = estimated(database, f"SELECT avg({figure}) {rows}", by_world, unit, confidence)
                yield f"{name}[{policy}/{coupon}]", found
            for rival in rivals:
                a, b = (
                    f"(SELECT world, {figure} AS figure FROM by_coupon WHERE policy = {quoted(policy)}"
                    f" AND coupon = {quoted(coupon)} AND {counts})" for policy in (rival, reference)
                )  # fmt: skip
                tail = f"FROM {a} AS a JOIN {b} AS b USING (world)"
                by_world = f"SELECT a.figure - b.figure {tail} ORDER BY world"
                value = f"SELECT avg(a.figure - b.figure) {tail}"
                yield f"{difference}[{rival}/{coupon}]", estimated(database, value, by_world, unit, confidence)


# --- what an offer returned -------------------------------------------------------------------------------------------
def true_returns(database: Database, manifest: dict[str, Any], confidence: float) -> Keyed:
    """Of every campaign that offers a coupon and whose truth was asked for."""
    offers = {campaign["name"] for campaign in manifest["campaigns"] if campaign.get("coupon")}
    for name in manifest["truth"]:
        if name in offers:
            yield f"true_roi[{name}]", true_return(database, f"shown_{name}", f"held_out_{name}", confidence)


def true_return(database: Database, policy: str, against: str, confidence: float) -> Estimate:
    """Of a campaign's offer, by twin worlds: what profit would have gained had its discounts and messages been free,
    for each yuan that they cost. Closing value is in it; above 1 the offer earned more than it cost."""

    def part(measure: str) -> str:
        return (
            f"(SELECT world, total FROM differences WHERE policy = {quoted(policy)} AND against = {quoted(against)}"
            f" AND of = '' AND segment = '' AND measure = {quoted(measure)}) AS {measure}"
        )

    tail = f"FROM {part('profit')} JOIN {part('discounts')} USING (world) JOIN {part('channel_cost')} USING (world)"
    cost = "(discounts.total + channel_cost.total)"
    by_world = f"SELECT (profit.total + {cost}) / {cost} {tail} WHERE {cost} > 0 ORDER BY world"
    value = f"SELECT CASE WHEN sum{cost} > 0 THEN 1 + sum(profit.total) / sum{cost} END {tail}"
    return estimated(database, value, by_world, "ratio", confidence)


def estimated(database: Database, value: str, by_world: str, unit: str, confidence: float) -> Estimate:
    """A value over all worlds, with the interval of its worlds."""
    worlds = PairedWorlds(tuple(float(row[0]) for row in database.rows(by_world)))
    found = worlds.interval(confidence) if worlds.worlds else Interval(None, None, "no world tells")
    total = database.value(value)
    assert not isinstance(total, str | bool)
    return Estimate(
        total, found.low, found.high, unit, worlds.worlds, "world", found.note, BY_WORLD, value, by_world
    )  # fmt: skip
