"""A search for the sustainable rate -> report.html, which opens offline: the rate first, then every trial."""

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from results.capacity_words import CAPACITY_RESULT, advice, against, bound_by, for_peak, headline
from results.charts import Rows, curves
from results.comparison_marks import head, right, row, rows_table
from results.load_words import PERCENTILES
from results.markup import chart, computed, words
from results.pages import furniture, rendered, written
from results.words import NOTHING


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
        "advice": words(advice(found)),
        "against": words(against(found)) if found["change"] else Markup(""),
        "for_peak": words(for_peak(found)) if found["machines"] else Markup(""),
        "bound": words(bound_by(found)),
        "facts": facts(found),
        "trials": trial_table(found),
        "picture": picture(found),
        **furniture(),
    }


def facts(found: dict[str, Any]) -> list[tuple[str, Markup]]:
    return [
        ("target", words(found["target"])),
        ("objective", words(found["slo"])),
        ("customers", computed(CAPACITY_RESULT, "customers", found["customers"], "count")),
        ("trials", computed(CAPACITY_RESULT, "trials.length", len(found["trials"]), "count")),
        ("a trial", computed(CAPACITY_RESULT, "trial_seconds", found["trial_seconds"], "seconds:0")),
    ]


def trial_table(found: dict[str, Any]) -> Markup:
    heads = ("rate", "offered/s", "achieved/s", "dropped", "errors", *PERCENTILES.values(), "generator busy", "")
    return rows_table(heads, [trial_row(at, one) for at, one in enumerate(found["trials"])])


def trial_row(at: int, one: dict[str, Any]) -> Markup:
    place, times = f"trials[{at}]", one["response_ms"]

    def figure(name: str, value: float | None, spec: str) -> Markup:
        return right(NOTHING if value is None else computed(CAPACITY_RESULT, f"{place}.{name}", value, spec))

    word, kind = ("kept", "holds") if one["kept"] else ("not kept", "fails")
    return row(
        head(computed(CAPACITY_RESULT, f"{place}.rate", one["rate"], "number:0")),
        figure("offered_per_s", one["offered_per_s"], "number:0"),
        figure("achieved_per_s", one["achieved_per_s"], "number:0"),
        figure("dropped", one["dropped"], "count"),
        figure("errors", sum(one["failed"].values()), "count"),
        *(figure(f"response_ms.{name}", times.get(name), "number:1") for name in PERCENTILES),
        figure("busy", max(one["busy"], default=0.0), "percent:0"),
        Markup('<td><span class="badge {}">{}</span></td>').format(kind, word),
    )


def picture(found: dict[str, Any]) -> Markup:
    """Response time by rate, of all trials."""
    judged = sorted((one for one in found["trials"] if one["response_ms"]), key=lambda one: float(one["rate"]))
    rows: Rows = [{"percentile": PERCENTILES[name], "rate": one["rate"], "ms": one["response_ms"][name]}
                  for name in ("p99", "p50") for one in judged]  # fmt: skip
    drawn = curves(rows, "rate", "ms", "percentile", "%{x:,.0f}/s: %{y:,.1f} ms")
    for trace in drawn["data"]:
        trace["mode"] = "lines+markers"
    drawn["layout"]["xaxis"]["title"] = {"text": "rate, requests/s", "standoff": 8}
    drawn["layout"]["yaxis"] |= {"type": "log", "dtick": 1, "title": {"text": "ms", "standoff": 4}}
    return chart("trials", "Response time of every trial, ms", f"{CAPACITY_RESULT}: trials", rows, drawn, 340)
