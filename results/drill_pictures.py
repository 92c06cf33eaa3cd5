"""The pictures of a drill: the recovery part by part, and how long every batch took."""

import math
from typing import Any

from markupsafe import Markup

from results.charts import Rows, points
from results.comparison_marks import head, right, row, rows_table
from results.drill_measures import Drilled, Step
from results.drill_words import PARTS, RESULT
from results.markup import chart, computed
from results.review_pictures import plan_line

POINTS_MOST = 4_000  # drawn; of more, those within the objective are thinned out
LEAST_MS = 0.1  # what is written as 0 is less than this
ABOVE = 14  # pixels: a line of text higher


# --- recovery ---------------------------------------------------------------------------------------------------------
def recovery(drilled: Drilled) -> Markup:
    """Each part as a bar that begins where the one before ended, with its seconds; nothing where there was none."""
    steps = drilled.steps
    if not steps:
        return Markup("")
    end = max(step.at for step in steps) or 1.0
    heads = ("part", "took", Markup('<span class="n">since it struck</span>'))
    return rows_table(heads, [_step(step, end) for step in steps], 1, "bars")


def _step(step: Step, end: float) -> Markup:
    left, width = (f"{100 * seconds / end:.3f}" for seconds in (step.began, step.took))
    bar = Markup('<span class="bar" aria-hidden="true"><i style="left:{}%;width:{}%"></i></span>').format(left, width)
    took = computed(RESULT, f"took.{step.part}", step.took, "seconds:2")
    at = computed(RESULT, f"seconds_since_struck.{step.part}", step.at, "seconds:2")
    return row(head(PARTS[step.part]), Markup('<td class="right barred">{}{}</td>').format(took, bar), right(at))


# --- responses --------------------------------------------------------------------------------------------------------
def responses(drilled: Drilled) -> Markup:
    """Every batch as a point where it was sent; what struck, the first good answer and the objective marked."""
    rows, of_each = drawn_rows(drilled)
    drawn = points(rows, "sent", "ms", "shard", "sent at %{x:.2f} s, answered in %{y:,.4~g} ms")
    layout = drawn["layout"]
    layout["margin"]["t"] = 64 if layout["showlegend"] else 30
    layout["xaxis"]["title"] = {"text": "sent, seconds since it struck", "standoff": 8}
    layout["yaxis"]["title"] = {"text": "ms", "standoff": 4}
    layout["shapes"], layout["annotations"] = marks(drilled)
    label = "Response time of every batch, ms"
    label += f"; of those within the objective one in {of_each}" if of_each > 1 else ""
    return chart("response-times", label, f"{RESULT}: responses", rows, drawn, 380)


def drawn_rows(drilled: Drilled) -> tuple[Rows, int]:
    """All late batches, and one in so many of the others."""
    late = [batch for batch in drilled.batches if batch.seconds > drilled.objective]
    rest = [batch for batch in drilled.batches if batch.seconds <= drilled.objective]
    of_each = max(1, math.ceil(len(rest) / POINTS_MOST))
    kept = sorted([*late, *rest[::of_each]], key=lambda batch: batch.sent)
    return [
        {"shard": one.shard, "sent": one.sent, "ms": max(round(one.seconds * 1000, 1), LEAST_MS)} for one in kept
    ], of_each


def marks(drilled: Drilled) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Lines and their names; a logarithmic axis wants the place of a name as a logarithm, that of a line not."""
    objective_ms = drilled.objective * 1000
    shapes = [upright(0.0, "@text"), plan_line(objective_ms)]
    names = [name_of("it struck", 0.0, "@text", "right")]
    if drilled.back is not None:
        band = {"type": "rect", "xref": "x", "yref": "paper", "x0": 0, "x1": drilled.back, "y0": 0, "y1": 1}
        shapes.append({**band, "fillcolor": "@mark", "line": {"width": 0}, "layer": "below"})
        shapes.append(upright(drilled.back, "@good"))
        sent = [batch.sent for batch in drilled.batches]
        anchor = "right" if drilled.back > min(sent) + 0.65 * (max(sent) - min(sent)) else "left"
        back = name_of(f"back after {drilled.back:.2f} s", drilled.back, "@good", anchor)
        names.append(back | {"yshift": ABOVE if anchor == "right" else 0})  # where the other name stands, above it
    objective = name_of(f"objective: {drilled.objective:g} s", 1, "@bad", "right")
    names.append({**objective, "xref": "paper", "yref": "y", "y": math.log10(objective_ms)})
    return shapes, names


def upright(x: float, colour: str) -> dict[str, Any]:
    return {
        "type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1,
        "line": {"color": colour, "width": 1.5},
    }  # fmt: skip


def name_of(text: str, x: float, colour: str, anchor: str) -> dict[str, Any]:
    return {
        "xref": "x", "yref": "paper", "x": x, "y": 1, "xanchor": anchor, "yanchor": "bottom", "showarrow": False,
        "text": text, "font": {"size": 12, "color": colour},
    }  # fmt: skip
