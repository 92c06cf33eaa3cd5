"""The report's charts of coupons and budgets: burn of a budget, redemption by day of issue, return on cost by day."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from markupsafe import Markup

from engine.records import DAY_MS
from results.charts import Rows, lines
from results.coupon_metrics import returns, returns_sql
from results.markup import chart, source
from results.metric import offer_of
from results.query import Database, quoted
from results.statistics import CONFIDENCE
from results.words import plain

COHORTS_MOST = 4  # coupons whose days of issue are drawn: those that cost most


def burn(database: Database, budget: str) -> Markup:
    """What of a budget is spent and reserved, day by day, under the line of what is in force."""
    sql = f"""
SELECT date, phase, spent / 100.0 AS spent, (spent + reserved) / 100.0 AS used, in_force / 100.0 AS in_force
FROM budget_days WHERE budget = {quoted(budget)} ORDER BY date"""
    rows = database.table(sql)
    series = [("used", "spent and reserved", "@series1"), ("spent", "spent", "@series2"),
              ("in_force", "in force", "@bad")]  # fmt: skip
    drawn = lines(rows, "date", series, ",.2~s")
    spent, line = drawn["data"][1:]
    drawn["data"][0] |= {"fill": "tozeroy", "fillcolor": "@band"}
    spent["line"]["dash"], line["line"] = "solid", {"color": "@bad", "width": 1.5, "dash": "dash"}
    mark_stock_outs(database, budget, drawn["layout"])
    label = f"Budget {plain(budget)}: yuan by the end of each day"
    return chart(f"burn-{budget}", label, sql, rows, drawn, 260) + source(sql)


def mark_stock_outs(database: Database, budget: str, layout: dict[str, Any]) -> None:
    """A line where the budget was used up, and one where a coupon it pays was gone."""
    sql = (
        f"SELECT out_at, 'used up' AS what FROM budgets WHERE budget = {quoted(budget)} AND out_at <> '' UNION ALL "
        f"SELECT out_at, coupon || ' sold out' FROM stock JOIN coupons USING (coupon) WHERE budget = {quoted(budget)} "
        "AND out_at <> '' ORDER BY ALL"
    )
    for place, row in enumerate(database.table(sql)):
        stroke = {"color": "@muted", "width": 1.5, "dash": "dot"}
        layout["shapes"].append({"type": "line", "xref": "x", "yref": "paper", "x0": row["out_at"], "x1": row["out_at"],
                                 "y0": 0, "y1": 1, "line": stroke})  # fmt: skip
        layout["annotations"].append(
            {"xref": "x", "yref": "paper", "x": row["out_at"], "y": 0.96 - 0.1 * (place % 4), "xanchor": "left",
             "showarrow": False, "text": plain(row["what"]), "font": {"size": 11, "color": "@muted"}}
        )  # fmt: skip


def burns(database: Database, manifest: dict[str, Any]) -> Markup:
    drawn = [burn(database, budget["name"]) for budget in manifest.get("budgets", [])]
    return Markup('<div class="gallery">{}</div>').format(
        Markup("").join(Markup("<div>{}</div>").format(one) for one in drawn)
    )


# --- redemption by day of issue ---------------------------------------------------------------------------------------
def cohorts_sql(coupon: str) -> str:
    return f"""
SELECT date, phase, sum(redeemed - returned)::DOUBLE / nullif(sum(granted), 0) AS redeemed,
       sum(expired)::DOUBLE / nullif(sum(granted), 0) AS expired,
       sum(granted - redeemed + returned - expired)::DOUBLE / nullif(sum(granted), 0) AS still_open,
       sum(granted) AS granted, bool_or(young) AS young
FROM cohorts WHERE coupon = {quoted(coupon)} GROUP BY date, phase HAVING sum(granted) > 0 ORDER BY date"""


def cohorts(database: Database, manifest: dict[str, Any]) -> Markup:
    """Of the coupons that cost most: what became of each day's issue; days that may still change are hatched."""
    names = {coupon["name"] for coupon in manifest["coupons"]}
    order = "SELECT coupon FROM cohorts GROUP BY coupon ORDER BY sum(discount) DESC, coupon"
    chosen = [coupon for (coupon,) in database.rows(order) if coupon in names][:COHORTS_MOST]
    made = [maturity(database, coupon) for coupon in chosen]
    return Markup('<div class="gallery">{}</div>').format(Markup("").join(made))


def maturity(database: Database, coupon: str) -> Markup:
    sql = cohorts_sql(coupon)
    rows = database.table(sql)
    drawn = lines(rows, "date", [("redeemed", "", "@series1")], ".0%")
    parts = (("redeemed", "redeemed", "@series1"), ("still_open", "still open", "@doubt"),
             ("expired", "ran out unused", "@bar"))  # fmt: skip
    drawn["data"] = [stacked(rows, *part) for part in parts]
    layout = drawn["layout"] | {"barmode": "stack", "bargap": 0.12, "showlegend": True}
    layout["margin"] = {**layout["margin"], "t": 56}
    layout["yaxis"] |= {"range": [0, 1]}
    if rows:
        days = (date.fromisoformat(rows[-1]["date"]) - date.fromisoformat(rows[0]["date"])).days
        layout["xaxis"] |= {"dtick": 7 * DAY_MS * max(1, round(days / 42))}
    label = f"{plain(coupon)}: what became of each day's coupons; hatched days may still change"
    return Markup("<div>{}{}</div>").format(
        chart(f"maturity-{coupon}", label, sql, rows, {"data": drawn["data"], "layout": layout}, 260), source(sql)
    )


def stacked(rows: Rows, column: str, name: str, colour: str) -> dict[str, Any]:
    hatched = ["/" if row["young"] else "" for row in rows]
    return {
        "type": "bar",
        "name": name,
        "x": [row["date"] for row in rows],
        "y": [row[column] for row in rows],
        "customdata": [row["granted"] for row in rows],
        "marker": {
            "color": colour,
            "pattern": {"shape": hatched, "fillmode": "overlay", "fgcolor": "@surface", "size": 5, "solidity": 0.3},
        },
        "hovertemplate": "%{y:.1%} of %{customdata:,}<extra>" + name + "</extra>",
    }


# --- return on cost ---------------------------------------------------------------------------------------------------
def returning(database: Database, manifest: dict[str, Any]) -> Markup:
    """What a yuan of each offered coupon had returned by the end of each day, where that has an interval at all."""
    made = []
    for coupon in manifest["coupons"]:
        offer = offer_of(manifest, coupon["name"])
        if offer is not None:
            made.append(returning_one(database, offer["name"], coupon["name"]))
    return Markup('<div class="gallery">{}</div>').format(Markup("").join(made))


def returning_one(database: Database, campaign: str, coupon: str) -> Markup:
    sql = returns_sql(campaign, coupon)
    rows = database.table(sql)
    drawn = lines(rows, "date", [("roi", "return on each yuan", "@series1")], ".3~g")
    known = [
        (day, low, high) for day, low, high, _ in returns(database, campaign, coupon, CONFIDENCE) if low is not None
    ]
    if not known:
        return Markup("")
    drawn["data"] += band(known)
    even = {"color": "@muted", "width": 1.2, "dash": "dash"}
    drawn["layout"]["shapes"].append({"type": "line", "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": 1, "y1": 1,
                                      "line": even})  # fmt: skip
    drawn["layout"]["yaxis"]["rangemode"] = "normal"
    label = f"{plain(coupon)}: margin returned for each yuan so far; dashed: as much as it cost"
    return Markup("<div>{}{}</div>").format(chart(f"return-{coupon}", label, sql, rows, drawn, 250), source(sql))


def band(known: Sequence[tuple[str, float | None, float | None]]) -> list[dict[str, Any]]:
    """An interval by day, as a filled band."""
    days = [day for day, _, _ in known]
    edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    low = {**edge, "x": days, "y": [one for _, one, _ in known]}
    high = {**edge, "x": days, "y": [one for _, _, one in known], "fill": "tonexty", "fillcolor": "@band"}
    return [low, high]
