"""What the commands do: read, run, print, exit code. Progress and problems go to standard error."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from engine.policy.yaml_source import DocumentError

LIBRARY = Path(__file__).resolve().parent / "library"
PRESETS = {
    "bank-card": ("first_use.scenario.yaml", "policies/bank_card.yaml", "populations/bank_card.yaml"),
}


class Exit(IntEnum):
    """Exit codes of the command line."""

    FINE = 0
    WRONG_USE = 2
    MISSED = 10
    INVARIANT_BROKEN = 13
    HARNESS_ERROR = 14


class UsageError(Exception):
    """The command was used wrongly; the message says what to do."""


def complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def guarded(action: Callable[[], int]) -> int:
    """Turn what can go wrong into a sentence and an exit code; no traceback for a bad file."""
    try:
        return action()
    except DocumentError as error:
        complain(str(error))
        count = len(error.problems)
        complain(f"{count} problem{'s' if count > 1 else ''}; nothing was run.")
        return Exit.WRONG_USE
    except (UsageError, OverflowError) as error:
        complain(str(error))
        return Exit.WRONG_USE
    except OSError as error:
        complain(f"{error.filename or 'file'}: {error.strerror or error}")
        return Exit.HARNESS_ERROR
    except AssertionError as error:
        complain(f"an invariant is broken, please report it: {error}")
        return Exit.INVARIANT_BROKEN


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


@contextmanager
def progress(title: str) -> Iterator[Callable[[float], None]]:
    """A bar with the time left on standard error; yields a function that takes the share done."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=1.0)
        yield lambda share: bar.update(task, completed=share)


def scenario_options(
    customers: int | None, days: int | None, before: int | None, after: int | None, seed: int | None, policy: Path | None
) -> Any:
    from scenarios.load import Options

    return Options(customers, days, before, after, seed, policy)


# --- new --------------------------------------------------------------------------------------------------------------
def new(folder: Path, preset: str) -> int:
    return guarded(lambda: write_preset(folder, preset))


def write_preset(folder: Path, preset: str) -> int:
    if preset not in PRESETS:
        raise UsageError(f"--preset must be one of {', '.join(PRESETS)} (got {preset})")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} must not exist or be an empty folder; nothing was written")
    for name in PRESETS[preset]:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(LIBRARY / name, target)
    scenario = folder / PRESETS[preset][0]
    print(f"Wrote {folder}: a scenario, a policy and a population, with comments.\nNext: windtunnel run {scenario}")
    return Exit.FINE


# --- run --------------------------------------------------------------------------------------------------------------
def run(
    path: Path, given: Any, shards: int | None, inline: bool, out: Path, record: bool, address: str | None, as_json: bool
) -> int:
    def action() -> int:
        from scenarios.load import load_scenario
        from scenarios.run import RunOptions, run_scenario

        check_options(given, shards, inline)
        loaded = load_scenario(path, given)
        options = RunOptions(shards, inline, out, record, address, given)
        with progress(loaded.scenario.scenario) as tell:
            warm_up(tell)
            result = run_scenario(loaded, options, tell)
        if as_json:
            print_json(run_json(result))
        else:
            print_run(result)
        return Exit.MISSED if result.missed else Exit.FINE

    return guarded(action)


def warm_up(tell: Callable[[float], None]) -> None:
    """Compile once in this process, before any worker starts; the first time takes about a minute."""
    from engine.compiled import is_compiled

    if not is_compiled():
        complain("compiling the engine for this machine (once, about a minute) …")
    tell(0.0)


def check_options(given: Any, shards: int | None, inline: bool) -> None:
    from scenarios.document import DAYS_MAX, CUSTOMERS_LEAST, CUSTOMERS_MAX

    bounds = {"customers": (CUSTOMERS_LEAST, CUSTOMERS_MAX), "days": (1, DAYS_MAX), "before": (0, DAYS_MAX),
              "after": (0, DAYS_MAX), "seed": (0, 2**62)}  # fmt: skip
    wrong = [
        f"--{name} must be between {low} and {high} (got {value})"
        for name, (low, high) in bounds.items()
        if (value := getattr(given, name)) is not None and not low <= value <= high
    ]
    if shards is not None and not 1 <= shards <= 256:
        wrong.append(f"--shards must be between 1 and 256 (got {shards})")
    if shards is not None and inline:
        wrong.append("--shards and --inline exclude each other: --inline is one process without Ray")
    if wrong:
        raise UsageError("\n".join(wrong))


def run_json(result: Any) -> dict[str, Any]:
    manifest = result.run.manifest
    return {
        **{name: manifest[name] for name in ("run_id", "scenario", "seed", "digest", "customers", "events", "wall_s")},
        "command": manifest["command"],
        "metrics": {
            name: {"value": e.value, "low": e.low, "high": e.high, "unit": e.unit, "n": e.n, "note": e.note}
            for name, e in result.estimates.items()
        },
        "expectations": [vars(verdict) for verdict in result.verdicts],
        "report": str(result.run.folder / "report.html"),
    }


def print_run(result: Any) -> None:
    from results.report import plain_lead

    manifest = result.run.manifest
    print(plain_lead(result.run.folder))
    for verdict in result.verdicts:
        print(f"  {verdict.verdict:9}  {verdict.sentence()}")
    print(f"\nreport  {result.run.folder / 'report.html'}")
    rate = manifest["events"] / max(manifest["wall_s"], 1e-9)
    print(
        f"run     {manifest['customers']:,} customers, {manifest['events']:,} events in {manifest['wall_s']:.1f} s"
        f" ({rate / 1e6:.2f} million a second)"
    )
    print(f"seed    {manifest['seed']}   digest {manifest['digest']}")
    print(f"repeat  {manifest['command']}")


# --- check ------------------------------------------------------------------------------------------------------------
def check(paths: list[Path], junit: Path | None, customers: int | None, out: Path, as_json: bool) -> int:
    def action() -> int:
        from scenarios.check import check_paths

        missing = [str(path) for path in paths if not path.exists()]
        if missing:
            raise UsageError("no such file or folder: " + ", ".join(missing))
        return check_paths(paths or [LIBRARY], junit, customers, out, as_json)

    return guarded(action)


# --- report, explain, lint, bench ---------------------------------------------------------------------------------------
def existing_run(folder: Path) -> Path:
    if not (folder / "manifest.json").is_file():
        raise UsageError(f"{folder} must be the folder of a run, with a manifest.json in it")
    return folder


def report(folder: Path, as_json: bool) -> int:
    def action() -> int:
        from results.report import render

        path = render(existing_run(folder))
        print_json({"report": str(path)}) if as_json else print(path)
        return Exit.FINE

    return guarded(action)


def explain(folder: Path, customer: int, as_json: bool) -> int:
    def action() -> int:
        from scenarios.explain import explanation, print_explanation

        found = explanation(existing_run(folder), customer)
        print_json(found) if as_json else print_explanation(found)
        return Exit.FINE

    return guarded(action)


def lint(path: Path, schema: bool, as_json: bool) -> int:
    def action() -> int:
        from scenarios.linting import findings_of, print_findings

        if schema:
            from engine.policy.schema import policy_schema

            print_json(policy_schema())
            return Exit.FINE
        found = findings_of(path)
        print_json([vars(finding) for finding in found]) if as_json else print_findings(path, found)
        return Exit.MISSED if any(finding.severity == "error" for finding in found) else Exit.FINE

    return guarded(action)


def bench(only: str | None, as_json: bool) -> int:
    def action() -> int:
        from scenarios.bench import BENCHMARKS, measure

        if only is not None and only not in BENCHMARKS:
            raise UsageError(f"--only must be one of {', '.join(BENCHMARKS)} (got {only})")
        rows = measure([only] if only else list(BENCHMARKS))
        if as_json:
            print_json(rows)
        else:
            for name, row in rows.items():
                print(f"{name:12} {row['value']:>14,.6g} {row['unit']:24} ratio {row['ratio']:.3g} to {row['baseline']}")
                print(f"{'':12} {row['note']}")
        return Exit.FINE

    return guarded(action)
