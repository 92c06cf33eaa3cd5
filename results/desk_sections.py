"""What the report tells of the support desk: the peak day in a sentence and by the hour, causes, decisions."""

from typing import Any

from markupsafe import Markup

from results.charts import Rows, histogram
from results.desk_catalogue import DESK_METRICS, PEAK
from results.markup import Column, chart, queried, sentence, source, table, words
from results.query import Database
from results.words import plain

_METRICS = {metric.name: metric for metric in DESK_METRICS}
CAUSES = {
    "complaint": "complaint about a message 投诉",
    "payment_failed": "payment failed 支付失败",
    "claim_refused": "claim refused 领取被拒",
    "denied": "appeal 申诉",
    "incident": "what went wrong 故障咨询",
}
CASES = {"appeal": "appeals 申诉", "review": "claims under review 人工审核"}
TRUTHS = {"good": "good 正常", "fraud": "fraud 欺诈"}

BY_HOUR = f"""
SELECT hour, coalesce(sum(in_time), 0) AS in_time, coalesce(sum(came) - sum(in_time) - sum(gave_up), 0) AS late,
       coalesce(sum(gave_up), 0) AS gave_up, coalesce(sum(waiting), 0) AS waiting
FROM (SELECT printf('%02d', n) AS hour FROM range(24) AS hours(n))
LEFT JOIN (SELECT * FROM contacts WHERE {PEAK}) AS peak USING (hour) GROUP BY hour ORDER BY hour"""

BY_CAUSE = """
SELECT cause, sum(came) AS came, sum(in_time)::DOUBLE / nullif(sum(came), 0) AS in_time,
       sum(closed)::DOUBLE / nullif(sum(routine), 0) AS closed, sum(gave_up) AS gave_up, sum(came_back) AS came_back
FROM contacts GROUP BY cause HAVING sum(came) > 0 ORDER BY came DESC, cause"""

BY_CASE = """
SELECT what, truth, came, in_time::DOUBLE / nullif(due, 0) AS in_time, upheld::DOUBLE / nullif(due, 0) AS upheld
FROM appeals WHERE came > 0 ORDER BY what, truth"""


def told(database: Database) -> Markup:
    """The whole section."""
    if not database.number("SELECT count(*) FROM desk"):
        return Markup("<p>Nobody got in touch with the support desk.</p>")
    return Markup("{}{}{}{}").format(said(database), by_hour(database), by_cause(database), by_case(database))


def said(database: Database) -> Markup:
    queries = {
        "came": f"SELECT sum(came) FROM contacts WHERE {PEAK}",
        "in_time": _query("first_answers_in_time"),
        "seats": "SELECT hotline_seats FROM desk",
        "needed": "SELECT seats_needed FROM desk",
        "closed": _query("closed_by_bot"),
    }
    specs = {"came": "count", "in_time": "percent:1", "seats": "count", "needed": "count", "closed": "percent:1"}
    text = (
        "On the peak day, {peak}, people got in touch {came} times; {in_time} had a first answer within 15 minutes, "
        "with {seats} hotline seats at most. "
    )
    enough = database.value(queries["needed"]) is not None
    text += (
        "It takes {needed} seats, day and night, for 99 %." if enough else "More hotline seats alone are not enough."
    )
    if database.value(queries["closed"]) is not None:
        text += " The bot closed {closed} of routine contacts."
    used = {name: query for name, query in queries.items() if f"{{{name}}}" in text}
    parts = {name: queried(database, query, specs[name]) for name, query in used.items()}
    peak = words(plain(str(database.value("SELECT peak_day FROM desk"))))
    return Markup('<p class="said">{}</p>{}').format(sentence(text, peak=peak, **parts), source(*used.values()))


def _query(name: str) -> str:
    metric = _METRICS[name]
    where = f"FROM {metric.source} WHERE {metric.where}"
    return f"SELECT CAST({metric.numerator} AS DOUBLE) / nullif({metric.denominator}, 0) {where}"


def by_hour(database: Database) -> Markup:
    rows = database.table(BY_HOUR)
    label = "The peak day by the hour: how contacts were answered 高峰日各小时首次响应"
    return chart("desk-hours", label, BY_HOUR, rows, drawn(rows), 300) + source(BY_HOUR)


def drawn(rows: Rows) -> dict[str, Any]:
    """Bars of contacts by how they ended; a line of how many wait at the end of each hour."""
    figure = histogram(rows, "hour", "in_time", "hour of the day", False)
    parts = (("in_time", "answered within 15 min", "@good"), ("late", "answered later, or not yet", "@doubt"),
             ("gave_up", "gave up", "@bad"))  # fmt: skip
    hours = [row["hour"] for row in rows]
    figure["data"] = [
        {
            "type": "bar", "name": name, "x": hours, "y": [row[column] for row in rows], "marker": {"color": colour},
            "hovertemplate": "%{y:,}",
        }
        for column, name, colour in parts
    ]  # fmt: skip
    waiting = {"type": "scatter", "mode": "lines+markers", "name": "waiting at the end of the hour", "x": hours,
               "y": [row["waiting"] for row in rows], "line": {"color": "@text", "width": 1.75, "dash": "dot"},
               "hovertemplate": "%{y:,}"}  # fmt: skip
    figure["data"].append(waiting)
    figure["layout"] |= {"barmode": "stack", "showlegend": True, "hovermode": "x unified"}
    figure["layout"]["margin"]["t"] = 56
    figure["layout"]["legend"]["traceorder"] = "normal"
    figure["layout"]["yaxis"]["tickformat"] = ","
    return figure


def by_cause(database: Database) -> Markup:
    columns = [
        Column("cause", "why 原因", words=lambda cause: CAUSES[cause]),
        Column("came", "contacts 进线", "count"),
        Column("in_time", "first answer within 15 min 及时响应", "percent:1"),
        Column("closed", "routine, closed by the bot 机器人解决", "percent:1"),
        Column("gave_up", "gave up 放弃", "count"),
        Column("came_back", "came back 再次进线", "count"),
    ]
    return table(database, BY_CAUSE, ["cause"], columns)


def by_case(database: Database) -> Markup:
    if not database.number("SELECT sum(came) FROM appeals"):
        return Markup("")
    columns = [
        Column("what", "decided by persons 人工裁决", words=lambda what: CASES[what]),
        Column("truth", "accounts 账户", words=lambda truth: TRUTHS[truth]),
        Column("came", "came 受理", "count"),
        Column("in_time", "decided within 24 h 24小时内", "percent:1"),
        Column("upheld", "in their favour 成立", "percent:1"),
    ]
    return table(database, BY_CASE, ["what", "truth"], columns)
