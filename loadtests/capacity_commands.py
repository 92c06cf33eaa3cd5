"""`windtunnel load capacity`: search the sustainable rate, and hold it against a baseline or a stated peak."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from loadtests.generator.profiles import PROFILES
from loadtests.load_commands import CAPACITY, about, checked, command, kept
from results.capacity_words import CAPACITY_KEYS, CAPACITY_RESULT, capacity_told
from results.load_words import many_shards
from scenarios.console import complain, guarded, print_json
from scenarios.exits import Exit, UsageError
from scenarios.run_folder import written_as

ALIKE = ("slo", "scenario", "customers")  # in a baseline: a rate with other ones is of something else


def capacity(slo: str, search: dict[str, Any], out: Path, as_json: bool, **given: Any) -> int:
    """Search it; exit code. search: trial_seconds, repeats, peak (0: none), baseline (the file of another search),
    at_shards."""

    def action() -> int:
        given_all = given | search
        options, objective = checked("steady", slo, given_all)
        before = None
        if search["baseline"] is not None:
            before = written_as(search["baseline"], "a baseline", "`load capacity`", CAPACITY_KEYS)
            own = {"slo": str(objective), "scenario": options.scenario.name, "customers": options.customers}
            alike(search["baseline"], before, own)
        repeat = command(CAPACITY, objective.text, given_all)
        return kept(
            CAPACITY, out, lambda folder: searched(options, objective, given_all, before, repeat, folder, as_json)
        )

    return guarded(action)


def alike(file: Path, before: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raises UsageError with everything in which a baseline is of something else."""
    differ = [f"{file}: {name} of a baseline must be {own[name]}, as here (got {before[name]})"
              for name in ALIKE if before[name] != own[name]]  # fmt: skip
    if differ:
        raise UsageError("\n".join(differ))


def searched(
    options: Any, slo: Any, search: dict[str, Any], before: dict[str, Any] | None, repeat: str, folder: Path,
    as_json: bool,
) -> int:  # fmt: skip
    from loadtests.capacity_run import as_found, found_capacity, measured
    from loadtests.capacity_shards import numbers_of, scaling
    from loadtests.load_run import bench_of
    from results.capacity_report import render

    found, told = {}, {}
    numbers = numbers_of(search["shards"])
    for number in numbers:
        if len(numbers) > 1:
            complain(f"with {many_shards(number)}:")
        own = replace(options, shards=number)
        with bench_of(PROFILES["steady"], own, folder) as bench:
            found[number] = found_capacity(bench, slo, search["trial_seconds"], search["repeats"], complain)
            told[number] = about(bench, own) | {name: search[name] for name in ("trial_seconds", "repeats")}
    first = numbers[0]  # the others are measured for the law
    result = as_found(*found[first], slo, search["peak"], before, told[first]) | {"command": repeat}
    if len(found) > 1:
        points = {number: measured(*one) for number, one in found.items()}
        result["scaling"] = scaling(points, options.generators, search["at_shards"])
    (folder / CAPACITY_RESULT).write_text(json.dumps(result), "utf-8")
    report = str(render(folder))
    if as_json:
        print_json(result | {"folder": str(folder), "report": report})
    else:
        print("\n".join([*capacity_told(result), report]))
    return code_of(result)


def code_of(result: dict[str, Any]) -> int:
    """A generator that was the bound says nothing of the target, nor of what became of it since the baseline."""
    points = result["scaling"]["points"] if result["scaling"] else [result]
    if any("generator" in one["ends"] for one in points):
        return Exit.SATURATED
    is_worse = result["change"] is not None and result["change"]["word"] == "regressed"
    return Exit.MISSED if is_worse else Exit.FINE
