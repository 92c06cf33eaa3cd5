"""A search for the sustainable rate -> report.html, which opens offline: the rate first, then every trial."""

import json
import math
from pathlib import Path
from typing import Any

from markupsafe import Markup

from results.capacity_words import CAPACITY_RESULT, advice, against, bound_by, for_peak, headline, validity
from results.charts import Rows, curves
from results.comparison_marks import head, right, row, rows_table
from results.load_tables import both_times, most_used, processes
from results.load_words import PERCENTILES, many_shards
from results.markup import chart, computed, words
from results.pages import furniture, rendered, written
from results.scaling_report import scaling_picture, scaling_table
from results.scaling_words import emulated, law, measured
from results.words import NOTHING

TICKS = [step * 10**power for power in range(5) for step in (1, 2, 5)]
BY_RATE = {"title": {"text": "rate, requests/s", "standoff": 8}}


def render(folder: Path) -> Path:
    """Write `report.html` beside the result, whole or not at all; returns its path."""
    found = json.loads((folder / CAPACITY_RESULT).read_text("utf-8"))
    return written(folder / "report.html", rendered("capacity.html.j2", content(found, folder.name), {}))


def content(found: dict[str, Any], name: str) -> dict[str, Any]:
    """Everything the template places, in the order it is read."""
    return {
        "found": found,
        "name": name,
        "headline": words(headline(found)),
        "validity": words(validity(found)),
        "advice": words(advice(found)),
        "against": words(against(found)) if found["change"] else Markup(""),
        "for_peak": words(for_peak(found)) if found["machines"] else Markup(""),
        "bound": words(bound_by(found)),
        "facts": facts(found),
        "trials": trial_table(found),
        "picture": picture(found),
        "cores": cores_by_rate(found),
        "scaling": scaling(found) if found["scaling"] else None,
        **furniture(),
    }


def scaling(found: dict[str, Any]) -> dict[str, Any]:
    """What more shards bring."""
    told = found["scaling"]
    others = [(at, one) for at, one in enumerate(told["points"]) if one["shards"] != told["first"]]
    return {
        "measured": words(measured(found)),
        "law": [words(line) for line in law(told)],
        "emulated": [words(line) for line in emulated(told)],
        "table": scaling_table(told),
        "picture": scaling_picture(told) if told["law"] else Markup(""),
        "others": [(words(many_shards(one["shards"])), trial_table(one, f"scaling.points[{at}].trials"))
                   for at, one in others],
    }  # fmt: skip


def facts(found: dict[str, Any]) -> list[tuple[str, Markup]]:
    return [
        ("target", words(found["target"])),
        ("objective", words(found["slo"])),
        ("customers", computed(CAPACITY_RESULT, "customers", found["customers"], "count")),
        ("trials", computed(CAPACITY_RESULT, "trials.length", len(found["trials"]), "count")),
        ("a trial", computed(CAPACITY_RESULT, "trial_seconds", found["trial_seconds"], "seconds:0")),
    ]


def trial_table(found: dict[str, Any], place: str = "trials") -> Markup:
    """A row for every rate, the lowest first; a rate may be there more than once."""
    heads = ("rate", "offered/s", "achieved/s", "dropped", "errors", *PERCENTILES.values(), "waiting", "cores",
             "generator", "")  # fmt: skip
    ordered = sorted(enumerate(found["trials"]), key=lambda one: float(one[1]["rate"]))
    return rows_table(heads, [trial_row(f"{place}[{at}]", one) for at, one in ordered], css="dense")


def trial_row(place: str, one: dict[str, Any]) -> Markup:
    def figure(name: str, value: float | None, spec: str) -> Markup:
        return right(NOTHING if value is None else computed(CAPACITY_RESULT, f"{place}.{name}", value, spec))

    word, kind = ("kept", "holds") if one["kept"] else ("not kept", "fails")
    if one["invalid"]:
        word, kind = "INVALID", "undecided"
    return row(
        head(computed(CAPACITY_RESULT, f"{place}.rate", one["rate"], "number:0")),
        figure("offered_per_s", one["offered_per_s"], "number:0"),
        figure("achieved_per_s", one["achieved_per_s"], "number:0"),
        figure("dropped", one["dropped"], "count"),
        figure("errors", sum(one["failed"].values()), "count"),
        *both_times(CAPACITY_RESULT, place, one),
        figure("queue_events", one["queue_events"], "count"),
        figure("target_cores", one["target_cores"], "number:2"),
        figure("busy", max(one["busy"], default=0.0), "percent:0"),
        Markup('<td class="right"><span class="badge {}">{}</span></td>').format(kind, word),
    )


# --- pictures ---------------------------------------------------------------------------------------------------------
def picture(found: dict[str, Any]) -> Markup:
    """Response time by rate, of all trials, with the objective and what was found."""
    judged = sorted((one for one in found["trials"] if one["response_ms"]), key=lambda one: float(one["rate"]))
    rows: Rows = [{"percentile": PERCENTILES[name], "rate": one["rate"], "ms": one["response_ms"][name]}
                  for name in ("p99", "p50") for one in judged]  # fmt: skip
    drawn = curves(rows, "rate", "ms", "percentile", "%{x:,.0f}/s: %{y:,.1f} ms")
    for trace in drawn["data"]:
        trace["mode"] = "markers"
        trace["marker"] = {"color": trace["line"]["color"], "size": 8, "opacity": 0.8,
                           "symbol": [symbol(one) for one in judged]}  # fmt: skip
    layout = drawn["layout"]
    layout["shapes"], layout["annotations"] = marks(found)
    layout["xaxis"] |= BY_RATE | {"type": "log", "tickmode": "array", "tickvals": TICKS, "tickformat": ","}
    layout["yaxis"] |= {"type": "log", "dtick": 1, "tickformat": ",", "title": {"text": "ms", "standoff": 4}}
    label = "Response time of every trial, ms; crosses were not kept, empty circles are INVALID"
    return chart("trials", label, f"{CAPACITY_RESULT}: trials", rows, drawn, 360)


def symbol(trial: dict[str, Any]) -> str:
    if trial["invalid"]:
        return "circle-open"
    return "circle" if trial["kept"] else "x"


def marks(found: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The objective as a line, the rate that was found as a band as wide as its interval."""
    log = {name: math.log10(found[name]) for name in ("per_s", "slo_ms")}
    line = {"type": "line", "line": {"color": "@muted", "width": 1.5, "dash": "dash"}}
    shapes = [
        {**line, "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": found["slo_ms"], "y1": found["slo_ms"]},
        {"type": "rect", "xref": "x", "yref": "paper", "x0": found["low"], "x1": found["high"], "y0": 0, "y1": 1,
         "fillcolor": "@mark", "line": {"width": 0}, "layer": "below"},
        {**line, "xref": "x", "yref": "paper", "x0": found["per_s"], "x1": found["per_s"], "y0": 0, "y1": 1},
    ]  # fmt: skip
    text = {"showarrow": False, "yanchor": "bottom", "font": {"size": 12, "color": "@muted"}}
    labels = [
        {**text, "xref": "paper", "yref": "y", "x": 0, "xanchor": "left", "y": log["slo_ms"], "text": found["slo"]},
        {**text, "xref": "x", "yref": "paper", "x": log["per_s"], "xanchor": "center", "y": 1,
         "text": f"{found['per_s']:,.0f}/s"},
    ]  # fmt: skip
    return shapes, labels


def cores_by_rate(found: dict[str, Any]) -> Markup:
    """Cores of the processes that used the most, by rate."""
    trials = sorted(found["trials"], key=lambda one: float(one["rate"]))
    most = most_used(one["cores"] for one in trials)
    rows: Rows = [{"process": name, "rate": one["rate"], "cores": one["cores"].get(name, 0.0)}
                  for name in most for one in trials]  # fmt: skip
    if not rows:
        return Markup("")
    drawn = processes(rows, "rate", "%{x:,.0f}/s: %{y:.2f} cores")
    for trace in drawn["data"]:
        trace["mode"] = "lines+markers"
    drawn["layout"]["xaxis"] |= BY_RATE | {"rangemode": "tozero", "tickformat": ","}
    return chart("cores", "Cores used at every rate, by process", f"{CAPACITY_RESULT}: trials", rows, drawn, 360)
