"""`windtunnel load PROFILE`: offer a service a load, say whether the figures are to be trusted, and what they are."""

import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from loadtests.generator.arrivals import LAWS
from loadtests.generator.profiles import PROFILES
from loadtests.strikes import STRIKES
from results.load_words import RESULT, answer, many_shards, table
from scenarios.console import complain, folder_for_runs, guarded, print_json, progress
from scenarios.exits import Exit, UsageError

CAPACITY, SLO = "capacity", "p99=25ms"
KNOWN = ", ".join(PROFILES)
MIX = ("hot_customers", "hot_coupon", "bulk")
NOT_OPTIONS = ("trial_seconds", "repeats", "peak", "baseline", "at_shards", "drill")
SHAPE = ("rate", "seconds")  # which a search chooses itself
ZERO_BY_DEFAULT = ("hot_customers", "hot_coupon", "peak")
OBJECTIVE_MS = 1_000.0  # of an answer, while something is broken
SCENARIO = Path(__file__).resolve().parent.parent / "scenarios" / "library" / "account_ring.scenario.yaml"
BOUNDS = {
    "rate": (1.0, 20_000.0), "seconds": (1.0, 14_400.0), "customers": (100, 200_000), "days": (1, 14),
    "connections": (1, 900), "generators": (1, 16), "hot_customers": (0.0, 1.0),
    "hot_coupon": (0.0, 1.0), "bulk": (0.0, 0.5), "trial_seconds": (1.0, 600.0), "repeats": (1, 10),
    "peak": (0.0, 10_000_000.0),
}  # fmt: skip


def load(profile: str, slo: str | None, out: Path, as_json: bool, **given: Any) -> int:
    """Run a profile; exit code."""

    def action() -> int:
        options, objective = checked(profile, slo, given)
        return kept(profile, out, lambda folder: shaped(profile, options, objective, given, folder, as_json))

    return guarded(action)


def kept(name: str, out: Path, act: Callable[[Path], int]) -> int:
    """Whatever goes wrong with target or generators in words; a folder only of what was held."""
    from loadtests.bench_servers import BenchError
    from loadtests.capacity import SaturatedError
    from loadtests.generator.adapters import AdapterError

    folder = out / f"load-{name}-{datetime.now():%Y%m%d-%H%M%S}"
    try:
        with folder_for_runs(out), only_if_held(folder):
            return act(folder)
    except AdapterError as error:
        raise UsageError(f"--adapter: {error}") from error
    except SaturatedError as error:
        complain(f"INVALID: the generator was the bound at every rate: {error}; nothing was written")
        return Exit.SATURATED
    except BenchError as error:
        complain(f"the load could not be held: {error}; nothing was written")
        return Exit.HARNESS_ERROR


@contextmanager
def only_if_held(folder: Path) -> Iterator[None]:
    """What was written of a load that could not be held is of no use."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def shaped(profile: str, options: Any, objective: Any, given: dict[str, Any], folder: Path, as_json: bool) -> int:
    with progress(profile) as tell:
        found = held(profile, options, objective, given["drill"], folder, tell)
    found["command"] = command(profile, None if objective is None else objective.text, given)
    return told_and_judged(found, folder, as_json)


def held(
    profile: str, options: Any, objective: Any, drill: str, folder: Path, tell: Callable[[float], None]
) -> dict[str, Any]:
    from loadtests.gauges import Gauges
    from loadtests.generator.meters import BIN_S
    from loadtests.load_drill import LoadDrill
    from loadtests.load_found import as_found
    from loadtests.load_run import bench_of

    shape = PROFILES[profile]
    stages = shape.stages(options.rate, options.seconds)
    with bench_of(shape, options, folder) as bench, Gauges(bench.target.url, bench.target.operator) as gauges:
        struck = LoadDrill(drill, bench, objective.most_ms if objective else OBJECTIVE_MS) if drill else None
        loaded = bench.run(stages, tell, None if struck is None else lambda at: struck.begun(at, stages))
    found = as_found(loaded, gauges.samples, objective, about(bench, options))
    return found | {
        "series": loaded.series,
        "bin_s": BIN_S,
        "drill": None if struck is None else struck.as_found(loaded),
    }


def about(bench: Any, options: Any) -> dict[str, Any]:
    """What was asked of what."""
    return {
        "sentence": bench.profile.sentence,
        "target": options.url or f"windtunnel serve, {many_shards(options.shards)}",
        "scenario": options.scenario.name,
        "customers": options.customers,
        "seed": options.seed,
        "rate": options.rate,
        "seconds": options.seconds,
        "law": options.law,
        "connections": options.connections,
        "generators": options.generators,
        "tape": bench.tape.digest,
        "requests": len(bench.tape),
    }


def checked(profile: str, slo: str | None, given: dict[str, Any]) -> tuple[Any, Any]:
    """Options and objective within bounds; UsageError with everything that is not."""
    from loadtests.capacity_shards import numbers_of
    from loadtests.journeys import Mix
    from loadtests.load_found import Slo, SloError
    from loadtests.load_run import LoadOptions

    wrong, objective = problems(profile, given), None
    if slo is not None:
        try:
            objective = Slo.parse(slo)
        except SloError as error:
            wrong.append(f"--slo {error}")
    if wrong:
        raise UsageError("\n".join(wrong))
    mix = Mix(**{name: given[name] for name in MIX})
    own = {name: value for name, value in given.items() if name not in (*MIX, *NOT_OPTIONS)}
    own["scenario"] = given["scenario"] or SCENARIO
    own["shards"] = numbers_of(given["shards"])[0]
    return LoadOptions(**own, mix=mix), objective


def problems(profile: str, given: dict[str, Any]) -> list[str]:
    from loadtests.capacity_shards import problems as shard_problems

    wrong = []
    if profile not in PROFILES:
        wrong.append(f"a profile must be one of {KNOWN}, {CAPACITY} (got {profile})")
    for name, (low, high) in BOUNDS.items():
        if given.get(name) is not None and not low <= given[name] <= high:
            wrong.append(f"--{name.replace('_', '-')} must be between {low:,} and {high:,} (got {given[name]:,})")
    if given["law"] not in LAWS:
        wrong.append(f"--arrivals must be one of {', '.join(LAWS)} (got {given['law']})")
    if given["adapter"] and not given["url"]:
        wrong.append("--adapter must come with --url: without one our own gateway is started")
    if given["url"] and not given["url"].startswith(("http://", "https://")):
        wrong.append(f"--url must begin with http:// or https:// (got {given['url']})")
    if (drill := given.get("drill")) and drill not in STRIKES:
        wrong.append(f"--drill must be one of {', '.join(STRIKES)} (got {drill})")
    if drill and given["url"]:
        wrong.append("--drill must come without --url: only a gateway of its own is broken on purpose")
    wrong += shard_problems(given, is_search="repeats" in given)
    for name in ("scenario", "adapter", "baseline"):
        if given.get(name) and not Path(given[name]).is_file():
            wrong.append(f"--{name} must be a file (got {given[name]})")
    return wrong


def command(profile: str, slo: str | None, given: dict[str, Any]) -> str:
    """What repeats it; keys are not told."""
    words = ["windtunnel", "load", profile]
    for name, value in given.items():
        if value is None or value is False or value == "" or name == "key" or (name in ZERO_BY_DEFAULT and not value):
            continue
        if profile == CAPACITY and name in SHAPE:
            continue
        option = f"--{'arrivals' if name == 'law' else name.replace('_', '-')}"
        words += [option] if value is True else [option, f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(words + (["--slo", slo] if slo else []))


def told_and_judged(found: dict[str, Any], folder: Path, as_json: bool) -> int:
    from results.load_report import render

    (folder / RESULT).write_text(json.dumps(found), "utf-8")
    report = str(render(folder))
    if as_json:
        print_json(found | {"folder": str(folder), "report": report})
    else:
        print("\n".join([*answer(found), "", *table(found["stages"]), "", report]))
    return code_of(found)


def code_of(found: dict[str, Any]) -> int:
    """What was lost comes first, then whether the figures are to be trusted, then what they say."""
    drill = found["drill"]
    if drill and drill["lost"]:
        return Exit.INVARIANT_BROKEN
    if not found["valid"]:
        return Exit.SATURATED
    if drill:
        return Exit.FINE if drill["is_back"] and drill["back_s"] <= drill["back_within_s"] else Exit.MISSED
    if found["not_reached"]:
        return Exit.NOT_REACHED
    return Exit.MISSED if found["slo_missed"] else Exit.FINE
