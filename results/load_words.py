"""The words of a run of load, for the terminal and for its report."""

from collections.abc import Mapping, Sequence
from typing import Any

RESULT = "load.json"
WAITED_LEAST = 0.001  # share of requests that found no connection free, from which it is worth a word
KEYS = (  # without which there is nothing to report
    "profile", "sentence", "valid", "invalid", "slo", "slo_missed", "not_reached", "stages", "all", "actions", "cores",
    "series", "bin_s", "drill", "target", "scenario", "customers", "seed", "rate", "law", "connections", "generators",
    "tape", "requests", "command",
)  # fmt: skip
PERCENTILES = {"p50": "p50", "p90": "p90", "p99": "p99", "p99_9": "p99.9", "max": "max"}


def verdict(found: Mapping[str, Any]) -> tuple[str, str]:
    """A word and its kind: holds, undecided or fails."""
    drill = found["drill"]
    if drill and drill["lost"]:
        return "ANSWERS WERE LOST", "fails"
    if not found["valid"]:
        return "INVALID", "fails"
    if drill:
        return ("nothing was lost", "holds") if drill["is_back"] else ("not back at the end", "undecided")
    if found["not_reached"]:
        return "rate not reached", "fails"
    if found["slo_missed"]:
        return "objective missed", "undecided"
    return ("objective kept" if found["slo"] else "rate held"), "holds"


def answer(found: Mapping[str, Any]) -> list[str]:
    """Everything that is to be read before the figures."""
    drill = [drilled(found["drill"])] if found["drill"] else []
    if not found["valid"]:
        return [headline(found), *found["invalid"]]
    told = [f"{words}." for words in waited_for_a_connection(found["all"])]
    return [headline(found), *drill, slowest(found), *told]


def waited_for_a_connection(counted: Mapping[str, Any]) -> list[str]:
    """Where a bound of the generator's is in the response times."""
    share = counted["waited"] / counted["offered"] if counted["offered"] else 0.0
    return [f"{share:.1%} of the requests found no connection free when due (--connections)"] * (share >= WAITED_LEAST)


def drilled(drill: Mapping[str, Any]) -> str:
    """What callers felt."""
    if not drill["back_s"]:
        return f"Callers felt nothing: every answer took at most {drill['objective_ms']:,.0f} ms."
    dip = "" if drill["dip"] is None else f", answers a second fell to {drill['dip']:.0%} of what they were"
    back = f"for {drill['back_s']:.2f} s" if drill["is_back"] else "until the end"
    return (
        f"Callers felt it {back}{dip}; {drill['bad']:,} requests failed or could not be sent, the slowest answer took "
        f"{drill['worst_ms']:,.0f} ms."
    )


def headline(found: Mapping[str, Any]) -> str:
    every, drill = found["all"], found["drill"]
    if drill and drill["lost"]:
        return f"{drill['lost']:,} ANSWERS WERE LOST: {drill['sentence']}, and what was answered before is not kept."
    if drill and found["valid"]:
        return (
            f"Nothing was lost: {drill['sentence']} under load, and each of {drill['answered']:,} answers is in the "
            "journals."
        )
    counts = f"{every['done']:,} of {every['offered']:,} requests were answered with success"
    if not found["valid"]:
        return "INVALID: the generator was the bound, not the target; these figures say nothing of it."
    if found["not_reached"]:
        return (
            f"THE RATE WAS NOT REACHED in {listed(found['not_reached'])}: {counts}, {every['dropped']:,} could not be "
            f"sent in time, {every['errors']:,} failed."
        )
    if found["slo_missed"]:
        return f"OBJECTIVE MISSED: {found['slo']} was not kept in {listed(found['slo_missed'])}."
    kept = f", and {found['slo']} was kept" if found["slo"] else ""
    return f"The rate was held: {counts}{kept}."


def many_shards(number: int) -> str:
    return f"{number} shard{'' if number == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def slowest(found: Mapping[str, Any]) -> str:
    """What those who waited longest felt."""
    times = found["all"]["response_ms"]
    if not times:
        return "Nobody was answered."
    return (
        f"One in a hundred waited more than {times['p99']:,.1f} ms from the moment the request was due, the longest "
        f"{times['max']:,.0f} ms."
    )


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line a stage."""
    names = [f"{name} ms" if name == "max" else name for name in PERCENTILES.values()]
    lines = [("stage", "offered/s", "achieved/s", "dropped", "errors", *names, "generator"), *map(cells, rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    sides = (str.ljust, *[str.rjust] * (len(widths) - 1))
    return ["  ".join(side(cell, width) for side, cell, width in zip(sides, line, widths, strict=True))
            for line in lines]  # fmt: skip


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    times = row["response_ms"]
    return (
        row["stage"] + ("" if row["counts"] else " (not judged)"),
        f"{row['offered_per_s']:,.0f}",
        f"{row['achieved_per_s']:,.0f}",
        f"{row['dropped']:,}",
        f"{sum(row['failed'].values()):,}",
        *(f"{times[name]:,.1f}" if times else "–" for name in PERCENTILES),
        f"{max(row['busy'], default=0.0):.0%} busy",
    )
