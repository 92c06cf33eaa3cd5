"""The picture of a burst: how long batches waited on nodes of a fixed rate, and on nodes that were not held back."""

from typing import Any

from markupsafe import Markup

from results.charts import Rows, curves
from results.drill_measures import Drilled
from results.drill_words import RESULT
from results.markup import chart, computed, sentence

EMULATED, UNHELD = "emulated nodes", "not held back"


def burst(drilled: Drilled) -> dict[str, Any] | None:
    """The picture and its sentence; None where no burst came."""
    found = drilled.found.get("burst")
    if found is None:
        return None
    return {"picture": picture(found), "said": said(found)}


def said(found: dict[str, Any]) -> Markup:
    def figure(name: str, spec: str) -> Markup:
        return computed(RESULT, f"burst.{name}", found[name], spec)

    if found["added_s"] is None:
        text = (
            "NO NODE WAS ADDED. A batch waited {worst} at most on the one emulated node, which was held to {rate} "
            "events a second."
        )
        return sentence(
            text, worst=figure("worst_wait_s", "seconds:2"), rate=figure("events_per_second_of_node", "count")
        )
    given_back = "; the last of them was given back {back} after traffic began" if found["given_back_s"] else ""
    text = (
        "{most} nodes were in use at most, the second from {added} on{given_back}. A batch waited {worst} at most on "
        "emulated nodes, each held to {rate} events a second, and {unheld} where the same burst met this machine as it "
        "is, with {unheld_nodes} in use."
    )
    return sentence(
        text.replace("{given_back}", given_back),
        most=figure("most_nodes", "count"),
        added=figure("added_s", "seconds:1"),
        back=figure("given_back_s", "seconds:1"),
        worst=figure("worst_wait_s", "seconds:2"),
        rate=figure("events_per_second_of_node", "count"),
        unheld=figure("worst_wait_unheld_s", "seconds:2"),
        unheld_nodes=figure("most_nodes_unheld", "count"),
    )


def picture(found: dict[str, Any]) -> Markup:
    rows = rows_of(EMULATED, found["emulated"]) + rows_of(UNHELD, found["unheld"])
    drawn = curves(rows, "second", "wait", "on", "after %{x:.1f} s: waits %{y:.2f} s")
    layout = drawn["layout"]
    layout["xaxis"]["title"] = {"text": "seconds since traffic began", "standoff": 8}
    layout["yaxis"]["title"] = {"text": "longest wait, s", "standoff": 4}
    layout["shapes"], layout["annotations"] = in_use(found["emulated"])
    return chart("burst", "Longest wait of a batch that is due, seconds", f"{RESULT}: burst", rows, drawn, 320)


def rows_of(name: str, samples: list[list[float]]) -> Rows:
    return [{"on": name, "second": at, "nodes": nodes, "wait": wait} for at, nodes, wait in samples]


def in_use(samples: list[list[float]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A line wherever another number of emulated nodes is in use from then on."""
    shapes, names, before = [], [], 1.0
    for at, nodes, _ in samples:
        if nodes != before:
            line = {"color": "@text", "width": 1, "dash": "dot"}
            shapes.append(
                {"type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line}
            )
            text = f"{int(nodes)} nodes" if nodes > 1 else "1 node"
            names.append({"xref": "x", "yref": "paper", "x": at, "y": 1, "xanchor": "left", "yanchor": "bottom",
                          "showarrow": False, "text": text, "font": {"size": 12, "color": "@text"}})  # fmt: skip
            before = nodes
    return shapes, names
