"""The charts of a comparison's report: a query, its rows drawn, both handed to the page."""

from typing import Any

from markupsafe import Markup

from results.charts import Rows, intervals
from results.comparison_marks import Findings
from results.comparison_money import parts_sql
from results.comparison_segments import Segment, segments_sql
from results.comparison_tables import MONEY
from results.comparison_truth import claimed_sql, grows
from results.comparison_words import measure_name
from results.comparisons import GOAL_COUNTS, Pair, level_rows
from results.markup import chart, source
from results.query import quoted
from results.words import plain

COLOURS = {"better": "@good", "worse": "@bad", "undecided": "@doubt"}
SERIES = ("@series1", "@series2", "@good", "@doubt", "@muted", "@bad")


def frame(category: bool = False) -> dict[str, Any]:
    """A chart's layout as the run's report has it."""
    layout: dict[str, Any] = intervals([])["layout"]
    axis = {name: value for name, value in layout["xaxis"].items() if name not in ("rangemode", "tickformat")}
    layout["xaxis"] = dict(axis)
    layout["yaxis"] = {**axis, **({"type": "category", "showgrid": False, "dtick": 1} if category else {"nticks": 5})}
    return layout


def zero_line() -> dict[str, Any]:
    line = {"color": "@muted", "width": 1.2}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "line": line}


def goals(opened: Findings) -> Markup:
    """The goal's interval of each rival over the band that does not matter."""
    scale, unit = said_scale(opened)
    sql = (
        f"SELECT policy AS label, word, {scale} * value AS value, {scale} * low AS low, {scale} * high AS high,"
        f" {scale} * \"limit\" AS matters FROM verdicts WHERE role = 'goal'"
        f" ORDER BY list_position([{', '.join(map(quoted, opened.rivals))}], policy)"
    )
    rows = opened.database.table(sql)
    drawn = intervals([{**row, "colour": COLOURS.get(row["word"], "@series1")} for row in rows], "")
    layout = drawn["layout"]
    layout["xaxis"] |= {"rangemode": "normal", "tickformat": ""}
    drawn["data"][0]["hovertemplate"] = f"%{{y}}: %{{x:.4~g}} {unit}<extra></extra>"
    matters = max((row["matters"] or 0.0 for row in rows), default=0.0)
    box = {"type": "rect", "xref": "x", "yref": "paper", "x0": -matters, "x1": matters, "y0": 0, "y1": 1}
    layout["shapes"] = [{**box, "fillcolor": "@band", "line": {"width": 0}, "layer": "below"}, zero_line()]
    label = f"Difference in {measure_name(opened.measure)} against {opened.reference}, {said_per(opened)}; "
    return chart("goals", label + "shaded: too little to matter", sql, rows, drawn, 90 + 46 * len(rows)) + source(sql)


def said_scale(opened: Findings) -> tuple[int, str]:
    return (1, "yuan") if opened.measure in MONEY else (1000, "")


def said_per(opened: Findings) -> str:
    return "yuan a customer" if opened.measure in MONEY else "per 1,000 customers"


def segments(opened: Findings, rival: str, found: list[Segment]) -> Markup:
    """Each segment's difference with its interval; the rows are the values."""
    scale, unit = said_scale(opened)
    sql = segments_sql(opened, rival)
    rows = opened.database.table(sql)
    by_name = {segment.name: segment for segment in found}
    points = []
    for row in rows:
        segment = by_name[row["label"]]
        low, high = (None if end is None else end * scale for end in (segment.estimate.low, segment.estimate.high))
        colour = "@muted" if not segment.told else "@good" if row["value"] > 0 else "@bad"
        points.append({"label": plain(row["label"]), "value": row["value"] * scale, "low": low, "high": high,
                       "colour": colour})  # fmt: skip
    drawn = intervals(points, "")
    drawn["layout"]["xaxis"] |= {"rangemode": "normal", "tickformat": ""}
    drawn["layout"]["shapes"] = [zero_line()]
    drawn["data"][0]["hovertemplate"] = f"%{{y}}: %{{x:.4~g}} {unit}<extra></extra>"
    label = f"Difference in {measure_name(opened.measure)} by segment, {said_per(opened)}; grey: not told from chance"
    return chart(f"segments-{rival}", label, sql, rows, drawn, 80 + 30 * len(rows))


def winners(opened: Findings, rival: str) -> Markup:
    """Customers worth more to the right, worth less to the left, as shares of each segment."""
    rows_of = Pair(rival, opened.reference).rows(opened.measure).replace("segment = ''", "segment <> ''")
    names = ", ".join(quoted(name) for name in opened.manifest["segments"])
    sql = (
        f"SELECT segment, sum(higher)::DOUBLE / sum(n) AS more, -sum(lower)::DOUBLE / sum(n) AS less {rows_of}"
        f" GROUP BY segment HAVING sum(n) > 0 ORDER BY list_position([{names}], segment)"
    )
    rows = opened.database.table(sql)
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": [plain(row["segment"]) for row in rows],
            "x": [row[column] for row in rows],
            "marker": {"color": colour},
            "hovertemplate": "%{y}: %{x:.3~%}<extra>" + name + "</extra>",
        }
        for column, name, colour in (("less", "less", "@bad"), ("more", "more", "@good"))
    ]
    layout = frame(category=True)
    layout["barmode"] = "relative"
    layout["margin"]["t"] = 8
    layout["xaxis"] |= {"tickformat": ".2~%"}
    layout["yaxis"] |= {"autorange": "reversed"}
    layout["shapes"] = [zero_line()]
    label = f"Share of customers with less {measure_name(opened.measure)} (left) and with more (right)"
    return chart(f"winners-{rival}", label, sql, rows, {"data": traces, "layout": layout}, 80 + 30 * len(rows))


def truth(opened: Findings, campaign: str) -> Markup:
    """Truth, estimate and naive figure, one under the other."""
    named = growth_values(opened, campaign) if grows(opened, campaign) else lift_values(opened, campaign)
    values = [f"SELECT {quoted(label)} AS label, ({query}) AS value" for label, query, _, _ in named]
    sql = " UNION ALL ".join(f"SELECT {n} AS place, * FROM ({value})" for n, value in enumerate(values)) + " ORDER BY 1"
    rows = opened.database.table(sql)
    points = []
    for row, (_, _, key, colour) in zip(rows, named, strict=True):
        found = opened.found.get(key)
        ends = {"low": found.low, "high": found.high} if found else {"low": None, "high": None}
        points.append({**row, **ends, "colour": colour})
    drawn = intervals(points, ".1%")
    drawn["layout"]["xaxis"] |= {"tickformat": ".2~%"}
    label = "Truth, estimate and naive figure on one scale"
    return chart(f"truth-{campaign}", label, sql, rows, drawn, 70 + 34 * len(points))


def lift_values(opened: Findings, campaign: str) -> list[tuple[str, str, str, str]]:
    """Label, query, the key of the interval, colour."""
    found = [("truth", f"true_lift[{campaign}]", "@good"), ("estimate", f"estimated_lift[{campaign}]", "@series1")]
    values = [(label, opened.found[key].query, key, colour) for label, key, colour in found if key in opened.found]
    return [*values, ("naive: credited", claimed_sql(campaign), "", "@series2")]


def growth_values(opened: Findings, campaign: str) -> list[tuple[str, str, str, str]]:
    both = opened.found[f"true_increment[{campaign}]"].counts_query
    last = opened.found[f"last_touch[{campaign}]"].counts_query
    values = [
        ("truth", f"SELECT avg(s - h) FROM ({both}) AS g(s, h)", f"true_increment[{campaign}]", "@good"),
        ("naive: growth", f"SELECT avg(s) FROM ({both}) AS g(s, h)", f"growth[{campaign}/shown]", "@series2"),
        ("naive: last touch", f"SELECT avg(c) FROM ({last}) AS g(c)", f"last_touch[{campaign}]", "@series2"),
    ]
    key = f"estimated_increment[{campaign}]"
    if opened.found[key].value is not None:
        values.insert(1, ("estimate", assigned_sql(opened, campaign), key, "@series1"))
    return values


def assigned_sql(opened: Findings, campaign: str) -> str:
    """The holdout's estimate: assigned less held out, of the level before."""
    goal = GOAL_COUNTS[opened.manifest["goals"][campaign]]
    means = [
        f"(SELECT sum(total) / sum(n) {level_rows(opened.reference, f'{word}/{campaign}', goal)})"
        for word in ("assigned", "held_out")
    ]
    before = opened.found[f"estimated_increment[{campaign}]"].counts_query
    return f"SELECT ({means[0]} - {means[1]}) / ({before})"


def waterfall(opened: Findings, rival: str) -> Markup:
    sql = parts_sql(opened, rival)
    rows = opened.database.table(sql)
    bars = {
        "type": "waterfall",
        "orientation": "v",
        "x": [row["part"].replace(" ", "<br>") for row in rows],
        "y": [row["amount"] for row in rows],
        "measure": ["total" if row["part"] == "profit" else "relative" for row in rows],
        "increasing": {"marker": {"color": "@good"}},
        "decreasing": {"marker": {"color": "@bad"}},
        "totals": {"marker": {"color": "@series1"}},
        "connector": {"line": {"color": "@grid", "width": 1}},
        "hovertemplate": "%{y:.4~g} yuan<extra></extra>",
    }
    layout = frame()
    layout["margin"]["t"] = 10
    layout["xaxis"] |= {"type": "category", "showgrid": False, "tickangle": 0}
    label = "Where the difference of profit comes from, yuan a customer"
    return chart(f"waterfall-{rival}", label, sql, rows, {"data": [bars], "layout": layout}, 290)


def crowding(opened: Findings) -> Markup:
    """By how much each campaign's exposures change under each rival, per 1,000 customers."""
    rivals = ", ".join(quoted(rival) for rival in opened.rivals)
    per = "1000.0 * sum(exposures) / (SELECT sum(customers) FROM lives WHERE lives.policy = by_campaign.policy)"
    sql = f"""
WITH shown AS (SELECT policy, campaign, {per} AS exposures FROM by_campaign GROUP BY policy, campaign)
SELECT a.policy, a.campaign, a.exposures - coalesce(b.exposures, 0) AS difference
FROM shown AS a LEFT JOIN shown AS b ON b.policy = {quoted(opened.reference)} AND b.campaign = a.campaign
WHERE a.policy IN ({rivals}) ORDER BY list_position([{rivals}], a.policy), a.campaign"""
    rows = opened.database.table(sql)
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": rival,
            "y": [plain(row["campaign"]) for row in rows if row["policy"] == rival],
            "x": [row["difference"] for row in rows if row["policy"] == rival],
            "marker": {"color": SERIES[at % len(SERIES)]},
            "hovertemplate": "%{y}: %{x:+.3~g}<extra>" + rival + "</extra>",
        }
        for at, rival in enumerate(opened.rivals)
    ]
    layout = frame(category=True)
    layout["yaxis"] |= {"autorange": "reversed"}
    layout["shapes"] = [zero_line()]
    with_legend(layout, len(traces))
    campaigns = len({row["campaign"] for row in rows})
    label = f"Exposures per 1,000 customers, more or less than under {opened.reference}"
    height = 90 + campaigns * (16 + 14 * len(traces))
    return chart("crowding", label, sql, rows, {"data": traces, "layout": layout}, height)


def with_legend(layout: dict[str, Any], traces: int) -> None:
    if traces > 1:
        layout["showlegend"], layout["margin"]["t"] = True, 56


def worlds(opened: Findings, rival: str) -> Markup:
    """The goal's difference, world by world."""
    scale, unit = said_scale(opened)
    fen = 100.0 if opened.measure in MONEY else 1.0
    pair = Pair(rival, opened.reference)
    sql = f"SELECT world, {scale} * total / n / {fen} AS difference {pair.rows(opened.measure)} ORDER BY world"
    rows = opened.database.table(sql)
    label = f"{rival}: each point a world, {said_per(opened)}"
    return chart(f"worlds-{rival}", label, sql, rows, dots(rows, "world", unit), 210)


def draws(opened: Findings, rival: str) -> Markup:
    """The difference under each joint draw of assumptions, sorted; red where it does not hold."""
    scale, unit = said_scale(opened)
    where = f"WHERE policy = {quoted(rival)} ORDER BY difference, draw"
    sql = f"SELECT draw, {scale} * difference AS difference, holds FROM assumption_results {where}"
    rows = opened.database.table(sql)
    label = f"{rival}: each point a set of assumptions, sorted, {said_per(opened)}; orange: it does not hold"
    drawn = dots([{**row, "draw": at} for at, row in enumerate(rows, 1)], "draw", unit)
    drawn["data"][0]["marker"]["color"] = ["@series1" if row["holds"] else "@series2" for row in rows]
    return chart(f"draws-{rival}", label, sql, rows, drawn, 230)


def dots(rows: Rows, x: str, unit: str) -> dict[str, Any]:
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": [row[x] for row in rows],
        "y": [row["difference"] for row in rows],
        "marker": {"color": "@series1", "size": 8},
        "hovertemplate": f"{x} %{{x}}: %{{y:.4~g}} {unit}<extra></extra>",
    }
    layout = frame()
    layout["margin"]["t"] = 12
    layout["xaxis"] |= {"showgrid": False, "showticklabels": False, "title": {"text": ""}}
    layout["shapes"] = [{**zero_line(), "xref": "paper", "yref": "y", "x1": 1, "y1": 0}]
    return {"data": [points], "layout": layout}
