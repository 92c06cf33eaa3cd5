"""Cells that the reports of a load and of a search share."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from results.comparison_marks import right
from results.load_words import PERCENTILES
from results.markup import computed
from results.words import NOTHING


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
