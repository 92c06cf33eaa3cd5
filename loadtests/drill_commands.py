"""`windtunnel drill NAME`: hold one, say first whether anything was lost, keep what was measured."""

import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.host.replica import Promise
from loadtests.drill_names import MAY_FORGET, NO_ADDRESS
from results.drill_words import PARTS, RESULT, forgotten_words, kept_words, sentence
from scenarios.console import complain, folder_for_runs, guarded, print_json, progress
from scenarios.exits import Exit, UsageError

CUSTOMERS_LEAST, CUSTOMERS_MOST = 100, 2_000_000
DAYS_MOST, SHARDS_MOST, TIMES_MOST = 14, 32, 1_000
INTERVAL_LEAST_MS, INTERVAL_MOST_MS = 10, 60_000
HOSTS = "hosts"


def drill(name: str, out: Path, as_json: bool, **given: Any) -> int:
    """Hold a drill; exit code."""

    def action() -> int:
        from engine.host.ray_cluster import ClusterError
        from loadtests.company import DrillError
        from loadtests.drills import DRILLS, hold
        from results.drill_report import render

        options = checked(name, list(DRILLS), given)
        folder = out / f"drill-{name}-{datetime.now():%Y%m%d-%H%M%S}"
        try:
            with folder_for_runs(out), progress(name) as tell:
                found = as_found(kept_only_if_held(folder, lambda: hold(DRILLS[name], options, folder / HOSTS, tell)))
        except (DrillError, ClusterError) as error:
            complain(f"the drill could not be held: {error}; nothing was written")
            return Exit.HARNESS_ERROR
        (folder / RESULT).write_text(json.dumps(found, indent=1))
        report = str(render(folder))
        if as_json:
            print_json(found | {"folder": str(folder), "report": report})
        else:
            print("\n".join([*told(found), report]))
        if not found["whole"]:
            return Exit.INVARIANT_BROKEN
        return Exit.FINE if found["within_objective"] else Exit.MISSED

    return guarded(action)


def kept_only_if_held(folder: Path, act: Callable[[], Any]) -> Any:
    """What hosts wrote is of no use afterwards."""
    folder.mkdir(parents=True)
    try:
        held = act()
    except BaseException:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder / HOSTS)
    return held


def checked(name: str, names: list[str], given: dict[str, Any]) -> Any:
    """Options within bounds; UsageError with everything that is not."""
    from loadtests.held import DrillOptions

    wrong = []
    if name not in names:
        wrong.append(f"a drill must be one of {', '.join(names)} (got {name})")
    bounds = {"customers": (CUSTOMERS_LEAST, CUSTOMERS_MOST), "days": (1, DAYS_MOST), "shards": (1, SHARDS_MOST),
              "times": (1, TIMES_MOST), "interval_ms": (INTERVAL_LEAST_MS, INTERVAL_MOST_MS)}  # fmt: skip
    for option, (low, high) in bounds.items():
        if not low <= given[option] <= high:
            wrong.append(f"--{option.replace('_', '-')} must be between {low:,} and {high:,} (got {given[option]:,})")
    promises = [promise.value for promise in Promise]
    if given["promise"] not in promises:
        wrong.append(f"--promise must be one of {', '.join(promises)} (got {given['promise']})")
    elif given["promise"] != Promise.DURABLE.value and name in names and name not in MAY_FORGET:
        wrong.append(
            f"--promise must be durable for {name} (got {given['promise']}): other promises are tried by "
            f"{', '.join(MAY_FORGET)}"
        )
    if given["address"] and name in NO_ADDRESS:
        wrong.append(f"--address has no meaning for {name} (got {given['address']}): it starts clusters of its own")
    if name == "scale-out" and given["shards"] == 1:
        wrong.append("--shards must be at least 2 for scale-out (got 1): one of them moves to the node that is added")
    if not given["objective_s"] > 0:
        wrong.append(f"--objective must be more than 0 s (got {given['objective_s']:g})")
    if wrong:
        raise UsageError("\n".join(wrong))
    return DrillOptions(**given | {"promise": Promise(given["promise"])})


def as_found(held: Any) -> dict[str, Any]:
    """What was measured, as JSON."""
    parts = asdict(held.parts)
    return {
        "drill": held.drill.name,
        "what": held.drill.sentence,
        "seat": held.drill.seat,
        "command": command(held.drill.name, held.options),
        "address": held.options.address,
        "planned": held.drill.planned,
        "customers": held.options.customers,
        "days": held.options.days,
        "shards": held.options.shards,
        "standby": held.options.standby,
        "promise": held.options.promise.value,
        "interval_s": held.options.interval_ms / 1_000 if held.options.promise == Promise.INTERVAL else None,
        "events": held.events,
        "whole": held.is_whole,
        "acknowledged": held.acknowledged,
        "lost": held.lost,
        "forgotten": held.forgotten,
        "forgotten_s": round(held.forgotten_s, 3),
        "doubled": held.doubled,
        "answered_otherwise": held.otherwise,
        "digest": held.digest,
        "digest_equals_undisturbed": held.digests_equal,
        "seconds_since_struck": parts,
        "records_replayed": held.replayed_records,
        "objective_s": held.options.objective_s,
        "within_objective": held.is_back,
        "median_response_s": held.median_s,
        "worst_response_s": held.worst_s,
        "outages_s": [round(seconds, 4) for seconds in held.outages],
        "notes": held.notes,
        "burst": burst_of(held) if held.curve is not None else None,
        "responses": [
            [one.shard, round(one.sent - held.struck, 4), round(one.seconds, 4)] for one in held.responses
        ],
    }  # fmt: skip


def burst_of(held: Any) -> dict[str, Any]:
    """How nodes that are held to a rate bore it, and how nodes that are not."""
    curve, unheld = held.curve, held.unheld

    def rounded(one: Any) -> list[list[float]]:
        return [[round(at, 2), nodes, round(wait, 3)] for at, nodes, wait in one.samples]

    return {
        "events_per_second_of_node": round(held.node_rate),
        "most_nodes": curve.most_nodes,
        "added_s": curve.first_with(2),
        "given_back_s": curve.back_to(1),
        "worst_wait_s": curve.worst_s,
        "most_nodes_unheld": unheld.most_nodes,
        "worst_wait_unheld_s": unheld.worst_s,
        "emulated": rounded(curve),
        "unheld": rounded(unheld),
    }


def command(name: str, options: Any) -> str:
    """What repeats it."""
    words = ["windtunnel", "drill", name]
    for option in ("customers", "days", "shards"):
        words += [f"--{option}", str(getattr(options, option))]
    words += ["--times", str(options.times)] if name == "random-kills" else []
    words += ["--seed", str(options.seed)]
    words += ["--standby"] if options.standby else []
    words += ["--interval-ms", str(options.interval_ms)] if options.promise == Promise.INTERVAL else []
    words += ["--promise", options.promise.value, "--objective", f"{options.objective_s:g}"]
    return shlex.join(words + (["--address", options.address] if options.address else []))


def told(found: dict[str, Any]) -> list[str]:
    """The answer first, in words."""
    kept = kept_words(found) if found["whole"] else "PROMISES WERE BROKEN"
    counts = f"{found['acknowledged']:,} events acknowledged, {found['lost']} lost, {found['doubled']} doubled"
    state = "equals" if found["digest_equals_undisturbed"] else "DIFFERS FROM"
    standby = "with" if found["standby"] else "without"
    lines = [
        f"{kept}: {counts}, {found['answered_otherwise']} batches answered otherwise than undisturbed.",
        f"The state at the end {state} that of the same run undisturbed (digest {found['digest']}).",
        sentence(f"{found['what']}: {found['customers']:,} customers, {found['shards']} shards, {standby} standbys"),
    ]
    if (forgotten := forgotten_words(found)) is not None:
        lines.insert(1, forgotten)
    parts = found["seconds_since_struck"]
    back = parts["answered"]
    outages = sorted(found["outages_s"])
    if len(outages) > 1:
        lines.append(
            f"It struck {len(outages)} times; the slowest answer after each took {outages[len(outages) // 2]:.2f} s at "
            f"the median, {outages[-1]:.2f} s at most."
        )
    elif found["burst"] is not None:
        lines.append(borne(found["burst"]))
    elif found["planned"]:
        lines.append(f"Nobody was without answers; another host had led since {parts['led'] or 0.0:.2f} s.")
    elif back is not None:
        lines.append(f"Back after {back:.2f} s. Seconds since it struck:")
        lines += [f"  {parts[part]:8.2f}  {word}" for part, word in PARTS.items() if parts[part] is not None]
    else:
        lines.append("Nobody had to be replaced.")
    lines.append(
        f"A batch is answered in {found['median_response_s'] * 1000:.0f} ms at the median, the slowest took "
        f"{found['worst_response_s']:.2f} s; the objective is {found['objective_s']:g} s."
    )
    return lines + [sentence(note) for note in found["notes"]]


def borne(burst: dict[str, Any]) -> str:
    """How a burst was borne."""
    if burst["added_s"] is None:
        return f"No node was added; batches waited {burst['worst_wait_s']:.2f} s at most."
    back, rate = burst["given_back_s"], f"{burst['events_per_second_of_node']:,} events a second"
    given = f"given back after {back:.1f} s" if back is not None else "not given back before the end"
    return (
        f"{burst['most_nodes']} emulated nodes of {rate} were in use at most, the second from {burst['added_s']:.1f} s "
        f"on, {given}. Batches waited {burst['worst_wait_s']:.2f} s at most, "
        f"and {burst['worst_wait_unheld_s']:.2f} s on nodes that were not held back."
    )
