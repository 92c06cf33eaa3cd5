"""What more shards bring, as a table and a picture: points with intervals, the law with its band."""

from typing import Any

from markupsafe import Markup

from results.capacity_words import CAPACITY_RESULT
from results.charts import Rows, curves
from results.comparison_marks import head, right, row, rows_table
from results.markup import chart, computed, words
from results.words import span

LAW, BEYOND = "the law", "beyond what was measured"


def scaling_table(told: dict[str, Any]) -> Markup:
    heads = ("shards", "sustained/s", "95 % interval", "times the first", "each shard/s", "nearest to a whole core", "")
    points = told["points"]
    return rows_table(heads, [point_row(at, one, points[0]) for at, one in enumerate(points)])


def point_row(at: int, one: dict[str, Any], first: dict[str, Any]) -> Markup:
    place, full = f"scaling.points[{at}]", one["saturated"]
    near = "" if not full or not full["nearest"] else f"{full['nearest'][0]}, {full['nearest'][1]:.2f}"
    mark = Markup('<span class="badge undecided">emulated</span>') if one["emulated"] else Markup("")

    def figure(name: str, value: float, spec: str) -> Markup:
        return right(computed(CAPACITY_RESULT, f"{place}.{name}", value, spec))

    return row(
        head(computed(CAPACITY_RESULT, f"{place}.shards", one["shards"], "count")),
        figure("per_s", one["per_s"], "number:0"),
        right(words(span(one["low"], one["high"], "number:0"))),
        figure("per_s / scaling.points[0].per_s", one["per_s"] / first["per_s"], "number:2"),
        figure("per_s / shards", one["per_s"] / one["shards"], "number:0"),
        right(words(near)),
        right(mark),
    )


def scaling_picture(told: dict[str, Any]) -> Markup:
    law, points = told["law"], told["points"]
    last = law["measured_to"]
    parts = {LAW: [one for one in law["curve"] if one["shards"] <= last],
             BEYOND: [one for one in law["curve"] if one["shards"] >= last]}  # fmt: skip
    rows: Rows = [
        {"law": name, "shards": one["shards"], "per_s": one["value"]} for name in parts for one in parts[name]
    ]
    drawn = curves(rows, "shards", "per_s", "law", "%{x:.1f} shards: %{y:,.0f}/s")
    drawn["data"][1]["line"] |= {"color": "@series1", "dash": "dash"}
    drawn["data"] = [band(law["curve"]), *drawn["data"], measured(points)]
    layout = drawn["layout"]
    layout["showlegend"] = True
    layout["legend"]["traceorder"] = "normal"
    layout["margin"]["t"] = 70
    line = {"color": "@muted", "width": 1.5, "dash": "dash"}
    layout["shapes"] = [
        {"type": "line", "xref": "x", "yref": "paper", "x0": last, "x1": last, "y0": 0, "y1": 1, "line": line}
    ]
    text = {"text": "not measured beyond", "showarrow": False, "font": {"size": 12, "color": "@muted"}}
    layout["annotations"] = [
        {**text, "xref": "x", "yref": "paper", "x": last, "y": 1, "xanchor": "left", "yanchor": "bottom"}
    ]
    layout["xaxis"]["title"] = {"text": "shards", "standoff": 8}
    layout["xaxis"] |= {"tick0": 0, "dtick": max(1, law["furthest"] // 8), "nticks": 0}
    layout["yaxis"]["tickformat"] = ","
    layout["yaxis"]["title"] = {"text": "requests/s", "standoff": 4}
    return chart("law", "Sustained rate by number of shards", f"{CAPACITY_RESULT}: scaling", rows, drawn, 380)


def band(curve: list[dict[str, Any]]) -> dict[str, Any]:
    """Around the law, as wide as its 95 % interval."""
    there = curve + curve[::-1]
    side = [one["high"] for one in curve] + [one["low"] for one in curve[::-1]]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "its 95 % interval",
        "x": [one["shards"] for one in there],
        "y": side,
        "fill": "toself",
        "fillcolor": "@bar",
        "opacity": 0.35,
        "line": {"width": 0},
        "hoverinfo": "skip",
    }


def measured(points: list[dict[str, Any]]) -> dict[str, Any]:
    """What was measured; emulated nodes are hollow."""
    hollow = any(one["emulated"] for one in points)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "measured (hollow: emulated nodes)" if hollow else "measured",
        "x": [one["shards"] for one in points],
        "y": [one["per_s"] for one in points],
        "marker": {
            "color": "@series2",
            "size": 11,
            "symbol": ["circle-open" if one["emulated"] else "circle" for one in points],
            "line": {"width": 2.5},
        },
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [one["high"] - one["per_s"] for one in points],
            "arrayminus": [one["per_s"] - one["low"] for one in points],
            "color": "@series2",
            "thickness": 2,
        },
        "hovertemplate": "%{x} shards: %{y:,.0f}/s<extra></extra>",
    }
