"""The report's charts: a query, its rows drawn, both handed to the page."""

from typing import Any

from markupsafe import Markup

from results.charts import histogram, intervals, lines
from results.markup import chart, source
from results.query import Database
from results.statistics import Estimate
from results.words import plain

FATIGUE = """
SELECT date, phase, clicks::DOUBLE / nullif(exposures, 0) AS click_rate,
       negatives::DOUBLE / nullif(exposures, 0) AS negative_rate,
       1000.0 * exposures / launched AS exposures_launched, 1000.0 * exposures / nullif(active, 0) AS exposures_active,
       1000.0 * clicks / launched AS clicks_launched, 1000.0 * clicks / nullif(active, 0) AS clicks_active,
       1000.0 * negatives / launched AS negatives_launched,
       1000.0 * negatives / nullif(active, 0) AS negatives_active, active,
       sum(left_annoyed) OVER days AS left_annoyed, sum(dropped_out) OVER days AS dropped_out
FROM population WINDOW days AS (ORDER BY date) ORDER BY date"""

MEASURES = """
SELECT date, phase, 1000.0 * visits / launched AS visits, dwell_ms / 1000.0 / nullif(visits, 0) AS dwell,
       first_payments, cards_bound
FROM population ORDER BY date"""

TOUCHES = """
SELECT class AS touches, coalesce(sum(customers), 0)::DOUBLE / (SELECT sum(customers) FROM touches) AS share
FROM range((SELECT greatest(7, max(touches)) FROM touches WHERE customers > 0) + 1) AS classes(class)
LEFT JOIN touches ON touches.touches = class
GROUP BY class ORDER BY class"""

_BOTH = ("all at launch", "@series1"), ("still active", "@series2")


def fatigue(database: Database) -> Markup:
    rows = database.table(FATIGUE)

    def per(measure: str) -> list[tuple[str, str, str]]:
        return [(f"{measure}_{whom}", *named) for whom, named in zip(("launched", "active"), _BOTH, strict=True)]

    rates = [("click_rate", "clicked", "@series1"), ("negative_rate", "negative feedback", "@series2")]
    gone = [("left_annoyed", "left annoyed", "@series1"), ("dropped_out", "dropped out anyway", "@series2")]
    drawn = (
        ("fatigue-rates", "Share of exposures", lines(rows, "date", rates, ".0%")),
        ("fatigue-exposures", "Exposures per 1,000 customers and day", lines(rows, "date", per("exposures"))),
        ("fatigue-clicks", "Clicks per 1,000 customers and day", lines(rows, "date", per("clicks"))),
        ("fatigue-negatives", "Negative feedback per 1,000 customers and day", lines(rows, "date", per("negatives"))),
        ("fatigue-active", "Customers still active", lines(rows, "date", [("active", "active", "@series1")], ",")),
        ("fatigue-gone", "Customers gone, added up", lines(rows, "date", gone, ",")),
    )
    return _gallery([chart(identity, title, FATIGUE, rows, figure, 250) for identity, title, figure in drawn], FATIGUE)


def population(database: Database) -> Markup:
    rows = database.table(MEASURES)
    drawn = (
        ("visits", "Visits per 1,000 customers at launch and day", ",.4~g", ""),
        ("dwell", "Dwell per visit, seconds", ",.3~g", " s"),
        ("first_payments", "First payments a day", ",", ""),
        ("cards_bound", "New cards bound a day", ",", ""),
    )
    charts = [
        chart(
            f"population-{name}",
            title,
            MEASURES,
            rows,
            lines(rows, "date", [(name, title, "@series1")], tick, suffix),
            230,
        )
        for name, title, tick, suffix in drawn
    ]
    return _gallery(charts, MEASURES)


def touches(database: Database) -> Markup:
    rows = database.table(TOUCHES)
    drawn = histogram(rows, "touches", "share", "exposures in a week", bool(rows) and rows[-1]["touches"] == 20)
    return chart("touches", "Share of customer-weeks by exposures in the week", TOUCHES, rows, drawn, 270) + source(
        TOUCHES
    )


def arms(campaign: dict[str, Any], found: dict[str, Estimate]) -> Markup:
    """Click rate and negative-feedback rate of each variant with their intervals."""
    name = campaign["name"]
    charts = []
    for metric, title in (("click_rate", "Click-through rate"), ("negative_rate", "Negative-feedback rate")):
        rows = [_point(plain(arm["name"]), found[f"{metric}[{name}/{arm['name']}]"]) for arm in campaign["arms"]]
        charts.append(_estimated(f"arms-{metric}-{name}", f"{title} by variant", rows))
    return Markup('<div class="gallery">{}</div>').format(Markup("").join(charts))


def uptake(campaign: str, goal: str, found: dict[str, Estimate]) -> Markup:
    """Shown against held out: the comparison the first sentence rests on."""
    rows = [
        _point(label, found[f"uptake[{campaign}/{part}]"])
        for part, label in (("held_out", "held out"), ("shown", "shown"))
    ]
    rows[0]["colour"] = "@muted"
    return _estimated(f"uptake-{campaign}", f"Customers with {goal}, of those assigned", rows)


def _point(label: str, estimate: Estimate) -> dict[str, Any]:
    return {
        "label": label,
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "query": estimate.query,
    }


def _estimated(identity: str, title: str, rows: list[dict[str, Any]]) -> Markup:
    """A chart of estimates: its rows are the values, its query a union of theirs."""
    sql = " UNION ALL ".join(f"SELECT '{row['label']}' AS label, ({row['query']}) AS value" for row in rows)
    values = [{"label": row["label"], "value": row["value"]} for row in rows]
    return chart(identity, title, sql, values, intervals(rows), 80 + 42 * len(rows))


def _gallery(charts: list[Markup], sql: str) -> Markup:
    return Markup('<div class="gallery">{}</div>{}').format(Markup("").join(charts), source(sql))
