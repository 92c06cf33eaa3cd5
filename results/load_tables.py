"""What the reports of a load and of a search share: cells with both times, and processes as curves."""

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from results.charts import Rows, curves
from results.comparison_marks import right
from results.load_words import PERCENTILES
from results.markup import computed
from results.words import NOTHING

PROCESSES_DRAWN, COLOURS = 8, 5


def both_times(file: str, place: str, row: Mapping[str, Any]) -> list[Markup]:
    """A cell for each percentile: the response time, below it the service time."""
    return [right(both(file, place, row, name)) for name in PERCENTILES]


def both(file: str, place: str, row: Mapping[str, Any], name: str) -> Markup:
    shown = [
        NOTHING
        if row[times].get(name) is None
        else computed(file, f"{place}.{times}.{name}", row[times][name], "number:1")
        for times in ("response_ms", "service_ms")
    ]
    return Markup('{}<br><span class="below">{}</span>').format(*shown)


def most_used(looks: Iterable[Mapping[str, float]]) -> list[str]:
    """Processes by the most cores that they ever used, as many as are drawn."""
    used: dict[str, float] = {}
    for cores in looks:
        for name, share in cores.items():
            used[name] = max(used.get(name, 0.0), share)
    return sorted(used, key=lambda name: -used[name])[:PROCESSES_DRAWN]


def processes(rows: Rows, x: str, hover: str) -> dict[str, Any]:
    """Cores by process; colours that come again are dotted, and a long legend has two lines."""
    drawn = curves(rows, x, "cores", "process", hover)
    for at, trace in enumerate(drawn["data"]):
        trace["line"]["dash"] = "solid" if at < COLOURS else "dot"
    if len(drawn["data"]) > COLOURS:
        drawn["layout"]["margin"]["t"] = 84
    drawn["layout"]["yaxis"]["title"] = {"text": "cores", "standoff": 4}
    return drawn
