"""The charts of reviews: planned against reached, each day before launch and since, the busiest minutes."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from engine.records import HOUR_MS
from results.charts import bars, lines
from results.markup import chart, source
from results.query import Database, quoted
from results.words import plain

Days = tuple[str, str]  # the first and the last of a phase, ISO

BY_DAY = """
WITH told AS (SELECT date, sum(complaints) AS complaints FROM cells GROUP BY date),
     claimed AS (SELECT date, sum(claims) AS claims FROM claims GROUP BY date)
SELECT population.date, phase, 1000.0 * visits / launched AS visits, 1000.0 * payments / launched AS payments,
       1000.0 * exposures / launched AS exposures, 10000.0 * coalesce(told.complaints, 0) / launched AS complaints,
       1000.0 * coalesce(claimed.claims, 0) / launched AS claims
FROM population LEFT JOIN told USING (date) LEFT JOIN claimed USING (date) ORDER BY population.date"""

MEASURES = {  # column of BY_DAY: title, format of the axis
    "visits": "Visits per 1,000 customers and day 访问",
    "payments": "Payments per 1,000 customers and day 支付",
    "exposures": "Exposures per 1,000 customers and day 曝光",
    "complaints": "Complaints per 10,000 customers and day 客诉",
    "claims": "Claims per 1,000 customers and day 领取",
}


def reach_sql(review: str) -> str:
    return f"""
SELECT whose, planned, (SELECT value FROM review_goals AS goals
  WHERE goals.review = plans.review AND metric = 'reach_share[' || whose || ']' AND kind = 'reach') AS reached
FROM review_plans AS plans WHERE review = {quoted(review)} AND plan = 'reach' ORDER BY planned DESC, whose"""


def reach(database: Database, review: str) -> Markup:
    """Bars of planned and reached; nothing where no reach was planned."""
    sql = reach_sql(review)
    rows = database.table(sql)
    if not rows:
        return Markup("")
    named = [{**row, "whose": plain(row["whose"])} for row in rows]
    drawn = bars(named, "whose", [("planned", "planned 计划", "@bar"), ("reached", "reached 实际", "@series1")])
    label = "Reach planned and reached, of customers at launch 触达：计划与实际"
    return chart(f"reach-{review}", label, sql, rows, drawn, 110 + 62 * len(rows)) + source(sql)


def before_and_after(database: Database, review: str, days: Days) -> Markup:
    """What customers did each day, with the phase marked."""
    rows = database.table(BY_DAY)
    shown = [name for name in MEASURES if any(row[name] for row in rows)]
    charts = [
        chart(f"{name}-{review}", MEASURES[name], BY_DAY, rows,
              lines(rows, "date", [(name, MEASURES[name], "@series1")], mark=days), 230)
        for name in shown
    ]  # fmt: skip
    return Markup('<div class="gallery">{}</div>{}').format(Markup("").join(charts), source(BY_DAY))


def busy_sql(days: Days) -> str:
    """The day with the busiest minute, ten minutes at a time: the busiest minute of each, on the customer base."""
    first, last = (quoted(day) for day in days)
    return f"""
WITH busiest AS (SELECT arg_max(date, decisions) AS date FROM traffic WHERE date BETWEEN {first} AND {last})
SELECT strftime(date, '%Y-%m-%d') || ' ' || min(clock) AS time, phase,
       max(decisions) * (SELECT customer_base::DOUBLE / customers FROM run) AS decisions,
       max(claims) * (SELECT customer_base::DOUBLE / customers FROM run) AS claims
FROM traffic SEMI JOIN busiest USING (date) GROUP BY date, phase, time_ms // 600000 ORDER BY time"""


def busiest_day(database: Database, review: str, days: Days, planned: Sequence[tuple[str, float]]) -> Markup:
    """The busiest day of a phase under the line of what was planned; nothing where nothing was decided."""
    sql = busy_sql(days)
    rows = database.table(sql)
    if not rows:
        return Markup("")
    named = {"decisions": "decisions 决策", "claims": "claims 领取"}
    shown = [name for name in named if any(row[name] for row in rows)]
    series = [(name, named[name], f"@series{number}") for number, name in enumerate(shown, 1)]
    drawn = lines(rows, "time", series, ",.2~s")
    for trace in drawn["data"]:
        trace["line"]["dash"] = "solid"
    layout = drawn["layout"]
    layout["xaxis"] |= {"dtick": 3 * HOUR_MS, "tick0": rows[0]["time"][:10], "tickformat": "%H:%M"}
    layout["shapes"] = [plan_line(most) for name, most in planned if name in shown]
    layout["annotations"] = []
    label = f"Busiest minute of every ten on {rows[0]['time'][:10]}, on the customer base; dashed: planned 峰值日每分钟"
    return chart(f"busy-{review}", label, sql, rows, drawn, 260) + source(sql)


def plan_line(planned: float) -> dict[str, Any]:
    return {
        "type": "line", "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": planned, "y1": planned,
        "line": {"color": "@bad", "width": 1.5, "dash": "dash"},
    }  # fmt: skip
