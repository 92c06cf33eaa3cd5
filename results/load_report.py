"""A run of load's folder -> report.html, which opens offline: validity first, then a row for every offered rate."""

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from results.charts import Rows, curves
from results.comparison_marks import head, right, row, rows_table
from results.load_tables import both_times, most_used, processes
from results.load_words import PERCENTILES, RESULT, drilled, headline, slowest, verdict
from results.markup import chart, computed, words
from results.pages import furniture, rendered, written
from results.words import NOTHING


def render(folder: Path) -> Path:
    """Write `report.html` beside the result, whole or not at all; returns its path."""
    found = json.loads((folder / RESULT).read_text("utf-8"))
    return written(folder / "report.html", rendered("load.html.j2", content(found, folder.name), {}))


def content(found: dict[str, Any], name: str) -> dict[str, Any]:
    """Everything the template places, in the order it is read."""
    word, kind = verdict(found)
    return {
        "found": found,
        "name": name,
        "word": word,
        "kind": kind,
        "headline": words(headline(found)),
        "slowest": words(slowest(found)) if found["valid"] else Markup(""),
        "drilled": words(drilled(found["drill"])) if found["drill"] and found["valid"] else Markup(""),
        "felt": felt(found) if found["drill"] else Markup(""),
        "facts": facts(found),
        "invalid": [words(why) for why in found["invalid"]],
        "stages": stage_table(found),
        "waits": waits_table(found),
        "against_rate": against_rate(found),
        "over_time": answers_over_time(found) if found["drill"] else over_time(found),
        "actions": action_table(found),
        "cores": cores(found),
        "failed": failures(found),
        **furniture(),
    }


def facts(found: dict[str, Any]) -> list[tuple[str, Markup]]:
    return [
        ("target", words(found["target"])),
        ("profile", words(f"{found['profile']}: {found['sentence']}")),
        ("highest rate", computed(RESULT, "rate", found["rate"], "number:0") + Markup(" requests/s")),
        ("customers", computed(RESULT, "customers", found["customers"], "count")),
        ("connections", computed(RESULT, "connections", found["connections"], "count")),
        ("objective", words(found["slo"] or "none")),
    ]


# --- tables -----------------------------------------------------------------------------------------------------------
def figure(name: str, value: float | None, spec: str) -> Markup:
    return right(NOTHING if value is None else computed(RESULT, name, value, spec))


def milliseconds(name: str, times: dict[str, float]) -> list[Markup]:
    return [figure(f"{name}.{key}", times.get(key), "number:1") for key in PERCENTILES]


def stage_table(found: dict[str, Any]) -> Markup:
    heads = ("stage", "offered/s", "achieved/s", "dropped", "errors", *PERCENTILES.values(), "waiting", "cores")
    return rows_table(heads, [stage_row(at, one) for at, one in enumerate(found["stages"])], css="dense")


def stage_row(at: int, one: dict[str, Any]) -> Markup:
    place = f"stages[{at}]"
    name = words(one["stage"] + ("" if one["counts"] else ", not judged"))
    return row(
        head(name),
        figure(f"{place}.offered_per_s", one["offered_per_s"], "number:0"),
        figure(f"{place}.achieved_per_s", one["achieved_per_s"], "number:0"),
        figure(f"{place}.dropped", one["dropped"], "count"),
        figure(f"{place}.errors", sum(one["failed"].values()), "count"),
        *both_times(RESULT, place, one),
        figure(f"{place}.queue_events", one["queue_events"], "count"),
        figure(f"{place}.target_cores", one["target_cores"], "number:2"),
    )


def waits_table(found: dict[str, Any]) -> Markup:
    """Of a service that is not our gateway only the generator is known."""
    heads = ["stage", "generator late, p99", "generator busy"]
    is_ours = any(one["queue_events"] is not None for one in found["stages"])
    if is_ours:
        heads += ["waiting for a shard", "waiting for the Ledger", "oldest batch", "gateway's loop late",
                  "shards: events", "shards: cores"]  # fmt: skip
    return rows_table(heads, [waits_row(at, one, is_ours) for at, one in enumerate(found["stages"])])


def waits_row(at: int, one: dict[str, Any], is_ours: bool) -> Markup:
    place = f"stages[{at}]"
    ours = (
        figure(f"{place}.queue_events", one["queue_events"], "count"),
        figure(f"{place}.settling", one["settling"], "count"),
        figure(f"{place}.oldest_batch_ms", one["oldest_batch_ms"], "number:0"),
        figure(f"{place}.loop_lag_ms", one["loop_lag_ms"], "number:1"),
        figure(f"{place}.skew.events", one["skew"]["events"], "number:2"),
        figure(f"{place}.skew.cores", one["skew"]["cores"], "number:2"),
    )
    return row(
        head(words(one["stage"])),
        figure(f"{place}.late_ms.p99", one["late_ms"].get("p99"), "number:2"),
        figure(f"{place}.busy", max(one["busy"], default=0.0), "percent:0"),
        *(ours if is_ours else ()),
    )


def action_table(found: dict[str, Any]) -> Markup:
    rows = []
    for name, one in found["actions"].items():
        place = f"actions.{name}"
        rows.append(row(
            head(words(name)),
            figure(f"{place}.offered", one["offered"], "count"),
            figure(f"{place}.errors", sum(one["failed"].values()), "count"),
            *milliseconds(f"{place}.response_ms", one["response_ms"]),
        ))  # fmt: skip
    return rows_table(("request", "offered", "errors", *PERCENTILES.values()), rows)


def failures(found: dict[str, Any]) -> list[tuple[Markup, Markup]]:
    return [(words(what), computed(RESULT, f"all.failed.{what}", many, "count"))
            for what, many in sorted(found["all"]["failed"].items())]  # fmt: skip


# --- pictures ---------------------------------------------------------------------------------------------------------
def against_rate(found: dict[str, Any]) -> Markup:
    """Response time by offered rate; nothing where one rate alone was offered."""
    judged = sorted((one for one in found["stages"] if one["counts"] and one["response_ms"]),
                    key=lambda one: float(one["offered_per_s"]))  # fmt: skip
    if len({round(one["offered_per_s"], -1) for one in judged}) < 3:
        return Markup("")
    rows: Rows = [
        {"percentile": PERCENTILES[name], "offered": one["offered_per_s"], "ms": one["response_ms"][name]}
        for name in ("p99", "p50")
        for one in judged
    ]
    drawn = curves(rows, "offered", "ms", "percentile", "%{x:,.0f}/s: %{y:,.1f} ms")
    drawn["layout"]["xaxis"]["title"] = {"text": "offered, requests/s", "standoff": 8}
    drawn["layout"]["yaxis"] |= {"type": "log", "dtick": 1, "title": {"text": "ms", "standoff": 4}}
    return chart("against-rate", "Response time by offered rate, ms", f"{RESULT}: stages", rows, drawn, 320)


def over_time(found: dict[str, Any]) -> Markup:
    """What was offered and what was answered, stage by stage."""
    rows: Rows = []
    second = 0.0
    for one in found["stages"]:
        for at in (second, second + one["seconds"]):
            for what in ("offered", "achieved"):
                rows.append({"what": what, "second": at, "per_s": one[f"{what}_per_s"]})
        second += one["seconds"]
    rows.sort(key=lambda each: str(each["what"]), reverse=True)
    drawn = curves(rows, "second", "per_s", "what", "%{x:.0f} s: %{y:,.0f}/s")
    drawn["layout"]["xaxis"]["title"] = {"text": "seconds since it began", "standoff": 8}
    return chart("over-time", "Requests a second", f"{RESULT}: stages", rows, drawn, 260)


def felt(found: dict[str, Any]) -> Markup:
    """The slowest answer of each quarter of a second by when it was due, and what failed; the strike is marked."""
    series, bin_s = found["series"], found["bin_s"]
    rows: Rows = [{"what": "slowest answer", "second": at * bin_s, "ms": worst / 1_000}
                  for at, worst in enumerate(series["worst_us"])]  # fmt: skip
    drawn = curves(rows, "second", "ms", "what", "due at %{x:.2f} s: %{y:,.0f} ms")
    mark_strike(drawn["layout"], found["drill"]["struck_s"])
    drawn["layout"]["xaxis"]["title"] = {"text": "when it was due, seconds since it began", "standoff": 8}
    return chart("felt", "Slowest answer of each quarter of a second, ms", f"{RESULT}: series", rows, drawn, 280)


def answers_over_time(found: dict[str, Any]) -> Markup:
    """Answers a second, by when they came."""
    bin_s = found["bin_s"]
    rows: Rows = [{"what": what, "second": at * bin_s, "per_s": count / bin_s}
                  for what in ("offered", "achieved") for at, count in enumerate(found["series"][what])]  # fmt: skip
    drawn = curves(rows, "second", "per_s", "what", "%{x:.2f} s: %{y:,.0f}/s")
    drawn["layout"]["xaxis"]["title"] = {"text": "seconds since it began", "standoff": 8}
    return chart("answers", "Requests a second, by quarters of a second", f"{RESULT}: series", rows, drawn, 260)


def cores(found: dict[str, Any]) -> Markup:
    """Cores used, by process: those that used the most; the strike is marked."""
    most = most_used(by for _, by in found["cores"])
    rows: Rows = [{"process": name, "second": at, "cores": by.get(name, 0.0)} for name in most
                  for at, by in found["cores"]]  # fmt: skip
    if not rows:
        return Markup("")
    drawn = processes(rows, "second", "%{x:.0f} s: %{y:.2f} cores")
    drawn["layout"]["xaxis"]["title"] = {"text": "seconds since it began", "standoff": 8}
    if found["drill"]:
        mark_strike(drawn["layout"], found["drill"]["struck_s"])
    return chart("cores", "Cores used, by process", f"{RESULT}: cores", rows, drawn, 340)


def mark_strike(layout: dict[str, Any], at: float) -> None:
    line = {"color": "@text", "width": 1, "dash": "dot"}
    layout["shapes"] = [
        {"type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line}
    ]
    layout["annotations"] = [{"xref": "x", "yref": "paper", "x": at, "y": 1, "xanchor": "left", "yanchor": "bottom",
                              "showarrow": False, "text": "struck", "font": {"size": 12}}]  # fmt: skip
