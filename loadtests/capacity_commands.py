"""`windtunnel load capacity`: search the sustainable rate, and hold it against a baseline or a stated peak."""

import json
from pathlib import Path
from typing import Any

from loadtests.generator.profiles import PROFILES
from loadtests.load_commands import CAPACITY, about, checked, command, kept
from results.capacity_words import CAPACITY_KEYS, CAPACITY_RESULT, capacity_told
from scenarios.console import complain, guarded, print_json
from scenarios.exits import Exit
from scenarios.run_folder import written_as


def capacity(slo: str, search: dict[str, Any], out: Path, as_json: bool, **given: Any) -> int:
    """Search it; exit code. search: trial_seconds, repeats, peak (0: none), baseline (the file of another search)."""

    def action() -> int:
        given_all = given | search
        options, objective = checked("steady", slo, given_all)
        before = None
        if search["baseline"] is not None:
            before = written_as(search["baseline"], "a baseline", "`load capacity`", CAPACITY_KEYS)
        repeat = command(CAPACITY, objective.text, given_all)
        return kept(CAPACITY, out, lambda folder: searched(options, objective, search, before, repeat, folder, as_json))

    return guarded(action)


def searched(
    options: Any, slo: Any, search: dict[str, Any], before: dict[str, Any] | None, repeat: str, folder: Path,
    as_json: bool,
) -> int:  # fmt: skip
    from loadtests.capacity_run import as_found, found_capacity
    from loadtests.load_run import bench_of
    from results.capacity_report import render

    with bench_of(PROFILES["steady"], options, folder) as bench:
        found, rows = found_capacity(bench, slo, search["trial_seconds"], search["repeats"], complain)
        told = about(bench, options) | {name: search[name] for name in ("trial_seconds", "repeats")}
    result = as_found(found, rows, slo, search["peak"], before, told) | {"command": repeat}
    (folder / CAPACITY_RESULT).write_text(json.dumps(result), "utf-8")
    report = str(render(folder))
    if as_json:
        print_json(result | {"folder": str(folder), "report": report})
    else:
        print("\n".join([*capacity_told(result), report]))
    return code_of(result)


def code_of(result: dict[str, Any]) -> int:
    """A generator that was the bound says nothing of the target, nor of what became of it since the baseline."""
    if "generator" in result["ends"]:
        return Exit.SATURATED
    is_worse = result["change"] is not None and result["change"]["word"] == "regressed"
    return Exit.MISSED if is_worse else Exit.FINE
