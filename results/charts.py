"""Rows -> Plotly figures as plain dictionaries. Colours are tokens (`@series1`) that the page resolves."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from engine.records import DAY_MS

Rows = list[dict[str, Any]]
Series = tuple[str, str, str]  # column, name, colour token


def lines(
    rows: Rows,
    x: str,
    series: Sequence[Series],
    tick_format: str = "",
    suffix: str = "",
    mark: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Curves over days, the phases marked behind them; `rows` have the columns of the series and `phase`. mark: the
    first and the last of some days that are set off."""
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": [row[x] for row in rows],
            "y": [row[column] for row in rows],
            "line": {"color": colour, "width": 2.25, "dash": "solid" if at == 0 else "dot"},
            "hovertemplate": f"%{{y:{tick_format or ',.4~g'}}}{suffix}",
        }
        for at, (column, name, colour) in enumerate(series)
    ]
    layout = _layout(legend=len(series) > 1)
    layout["hovermode"] = "x unified"
    layout["xaxis"] = {
        **_AXIS,
        "type": "date",
        "showgrid": False,
        "ticklabeloverflow": "allow",
        "ticks": "outside",
        "ticklen": 5,
        "tickformat": "%-d %b",
        **_day_ticks(rows, x),
    }
    layout["yaxis"] = {**_AXIS, "rangemode": "tozero", "tickformat": tick_format, "nticks": 5}
    layout["shapes"], layout["annotations"] = _phases(rows, x)
    if mark is not None:
        layout["shapes"].append(_marked(*mark))
    return {"data": traces, "layout": layout}


def bars(rows: Rows, y: str, series: Sequence[Series], tick_format: str = ".0%") -> dict[str, Any]:
    """Horizontal bars of several series side by side, a group for each row; the first row on top."""
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": [row[column] for row in rows],
            "y": [row[y] for row in rows],
            "marker": {"color": colour},
            "hovertemplate": f"%{{y}}, {name}: %{{x:{tick_format.replace('0', '1')}}}<extra></extra>",
        }
        for column, name, colour in series
    ]
    layout = _layout(legend=len(series) > 1)
    layout["bargap"] = 0.32
    layout["legend"]["traceorder"] = "normal"
    layout["xaxis"] = {**_AXIS, "rangemode": "tozero", "tickformat": tick_format, "nticks": 6}
    layout["yaxis"] = {**_AXIS, "type": "category", "autorange": "reversed", "showgrid": False}
    return {"data": traces, "layout": layout}


def histogram(rows: Rows, x: str, y: str, x_title: str, last_or_more: bool) -> dict[str, Any]:
    """Bars of counted classes; the last class may stand for itself and all above."""
    top = max((row[x] for row in rows), default=0)
    labels = [f"{row[x]}+" if last_or_more and row[x] == top else str(row[x]) for row in rows]
    bars = {
        "type": "bar",
        "x": labels,
        "y": [row[y] for row in rows],
        "marker": {"color": "@series1"},
        "hovertemplate": "%{x}: %{y:.2%}<extra></extra>",
    }
    layout = _layout(legend=False)
    layout["margin"]["t"] = 12
    layout["bargap"] = 0.18
    layout["xaxis"] = {**_AXIS, "type": "category", "showgrid": False, "title": {"text": x_title, "standoff": 8}}
    layout["yaxis"] = {**_AXIS, "rangemode": "tozero", "tickformat": ".0%", "nticks": 5}
    return {"data": [bars], "layout": layout}


def intervals(rows: Rows, tick_format: str = ".0%") -> dict[str, Any]:
    """Figures as points with their intervals; `rows` have label, value, low, high (the last two may be None)."""
    kept = [row for row in rows if row["value"] is not None]
    high = [(row["high"] - row["value"]) if row["high"] is not None else 0 for row in kept]
    low = [(row["value"] - row["low"]) if row["low"] is not None else 0 for row in kept]
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": [row["value"] for row in kept],
        "y": [row["label"] for row in kept],
        "marker": {"color": [row.get("colour", "@series1") for row in kept], "size": 11},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": high,
            "arrayminus": low,
            "color": "@muted",
            "thickness": 2,
        },
        "hovertemplate": f"%{{y}}: %{{x:{tick_format.replace('0', '2')}}}<extra></extra>",
    }
    layout = _layout(legend=False)
    layout["margin"]["t"] = 8
    layout["xaxis"] = {**_AXIS, "rangemode": "tozero", "tickformat": tick_format, "nticks": 6}
    layout["yaxis"] = {**_AXIS, "type": "category", "range": [len(kept) - 0.5, -0.5], "showgrid": False}
    return {"data": [points], "layout": layout}


def points(rows: Rows, x: str, y: str, by: str, hover: str) -> dict[str, Any]:
    """Rows as points, a series for each value of `by`, the vertical axis by powers of ten."""
    values = sorted({row[by] for row in rows})
    traces = []
    for at, value in enumerate(values):
        mine = [row for row in rows if row[by] == value]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{by} {value}",
                "x": [row[x] for row in mine],
                "y": [row[y] for row in mine],
                "marker": {
                    "color": _POINT_COLOURS[at % len(_POINT_COLOURS)],
                    "symbol": _SYMBOLS[at % len(_SYMBOLS)],
                    "size": 6,
                    "opacity": 0.75,
                },
                "hovertemplate": f"{by} {value}: {hover}<extra></extra>",
            }
        )
    layout = _layout(legend=1 < len(values) <= _NAMED_MOST)
    layout["xaxis"] = {**_AXIS, "showgrid": False, "ticks": "outside", "ticklen": 5, "nticks": 8}
    layout["yaxis"] = {**_AXIS, "type": "log", "dtick": 1, "tickformat": ",.1r"}
    return {"data": traces, "layout": layout}


def curves(rows: Rows, x: str, y: str, by: str, hover: str) -> dict[str, Any]:
    """A curve for each value of `by`, in the order in which they come."""
    values = list(dict.fromkeys(row[by] for row in rows))
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": value,
            "x": [row[x] for row in rows if row[by] == value],
            "y": [row[y] for row in rows if row[by] == value],
            "line": {
                "color": _POINT_COLOURS[at % len(_POINT_COLOURS)],
                "width": 2.25,
                "dash": "dot" if at else "solid",
            },
            "hovertemplate": f"{value}, {hover}<extra></extra>",
        }
        for at, value in enumerate(values)
    ]
    layout = _layout(legend=len(values) > 1)
    layout["xaxis"] = {**_AXIS, "showgrid": False, "ticks": "outside", "ticklen": 5, "nticks": 8}
    layout["yaxis"] = {**_AXIS, "rangemode": "tozero", "nticks": 5}
    return {"data": traces, "layout": layout}


_AXIS = {"gridcolor": "@grid", "zeroline": False, "linecolor": "@grid", "fixedrange": True, "automargin": True}
_POINT_COLOURS = ("@series1", "@series2", "@good", "@doubt", "@muted")
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "star", "hexagon")  # 35 series before a pair comes again
_NAMED_MOST = 6  # series; more would leave no room for the points
_PHASE_LABEL = {"before": "before", "campaign": "campaign", "after": "tail"}


def _layout(legend: bool) -> dict[str, Any]:
    return {
        "autosize": True,
        "margin": {"l": 8, "r": 22, "t": 30 if not legend else 56, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "@text", "size": 12},
        "hoverlabel": {"bgcolor": "@surface", "bordercolor": "@grid", "font": {"color": "@text"}},
        "showlegend": legend,
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.1, "yanchor": "bottom"},
        "dragmode": False,
    }


def _marked(first: str, last: str) -> dict[str, Any]:
    """Half a day around the days from the first to the last, so that one day has a width too."""
    edges = {"x0": f"{date.fromisoformat(first) - timedelta(1)} 12:00", "x1": f"{last} 12:00"}
    return {"type": "rect", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, **edges, "fillcolor": "@mark",
            "line": {"width": 0}, "layer": "below"}  # fmt: skip


def _day_ticks(rows: Rows, x: str) -> dict[str, Any]:
    """Whole weeks from the campaign's first day, about six of them."""
    begin = next((row[x] for row in rows if row["phase"] == "campaign"), rows[0][x] if rows else None)
    return {"tick0": begin, "dtick": 7 * DAY_MS * max(1, round(len(rows) / 42))}


def _phases(rows: Rows, x: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The campaign's days shaded, each phase named once at the top."""
    shapes, labels = [], []
    for phase, name in _PHASE_LABEL.items():
        days = [row[x] for row in rows if row["phase"] == phase]
        if not days:
            continue
        if phase == "campaign":
            box = {"type": "rect", "xref": "x", "yref": "paper", "x0": days[0], "x1": days[-1], "y0": 0, "y1": 1}
            shapes.append({**box, "fillcolor": "@band", "line": {"width": 0}, "layer": "below"})
        place = {
            "xref": "x",
            "yref": "paper",
            "x": days[len(days) // 2],
            "y": 1,
            "yanchor": "bottom",
            "showarrow": False,
        }
        labels.append({**place, "text": name, "font": {"size": 11, "color": "@muted"}})
    return shapes, labels
