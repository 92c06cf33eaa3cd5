"""What the commands do: read, run, print, exit code. Progress and problems go to standard error."""

import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from results.capacity_words import CAPACITY_KEYS, CAPACITY_RESULT
from results.drill_words import RESULT
from results.load_words import KEYS as LOAD_KEYS
from results.load_words import RESULT as LOAD_RESULT
from scenarios.console import complain, folder_for_runs, guarded, print_json, progress, warm_up
from scenarios.exits import Exit, UsageError

LIBRARY = Path(__file__).resolve().parent / "library"
BESIDE_MOST, MINUTES_MOST = 64, 1_440
PRESETS = {
    "bank-card": ("first_use.scenario.yaml", "policies/bank_card.yaml", "populations/bank_card.yaml",
                  "bank_card.rows.yaml"),
    "coupon-platform": ("winback.scenario.yaml", "policies/coupon_shop.yaml", "populations/coupon_shop.yaml",
                        "coupon_shop.rows.yaml"),
}  # fmt: skip


def scenario_options(**given: Any) -> Any:
    from scenarios.load import Options

    return Options(**given)


# --- new --------------------------------------------------------------------------------------------------------------
def new(folder: Path, preset: str) -> int:
    return guarded(lambda: write_preset(folder, preset))


def write_preset(folder: Path, preset: str) -> int:
    if preset not in PRESETS:
        raise UsageError(f"--preset must be one of {', '.join(PRESETS)} (got {preset})")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        got = "a folder with files in it" if folder.is_dir() else "a file"
        raise UsageError(f"{folder} must not exist or be an empty folder (got {got}); nothing was written")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} must be a folder that can be made (got {error.strerror})") from None
    for name in PRESETS[preset]:
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(LIBRARY / name, target)
    command = shlex.join(["windtunnel", "run", str(folder / PRESETS[preset][0])])
    print(f"Wrote {folder}: a scenario, a policy, a population and a table of rows, with comments.\nNext: {command}")
    return Exit.FINE


# --- run --------------------------------------------------------------------------------------------------------------
def run(path: Path, options: Any, changes: list[str], as_json: bool, out: Path, **how: Any) -> int:
    def action() -> int:
        from scenarios.build import doubts
        from scenarios.comparing import changes_of
        from scenarios.load import load_scenario
        from scenarios.run import RunOptions, run_scenario

        given = replace(options, set=of_a_document(changes_of(changes)))
        check_options(given, how["shards"], how["inline"])
        loaded = load_scenario(path, given)
        for doubt in doubts(loaded.population, loaded.policy):
            complain(f"warning: {doubt}")
        with folder_for_runs(out), progress(loaded.scenario.scenario) as tell:
            warm_up(tell)
            result = run_scenario(loaded, RunOptions(out=out, scenario=given, **how), tell)
        if as_json:
            print_json(run_json(result))
        else:
            print_run(result)
        return Exit.MISSED if result.missed else Exit.FINE

    return guarded(action)


def of_a_document(changes: dict[str, str]) -> dict[str, str]:
    wrong = [path for path in changes if path.partition(".")[0] not in ("policy", "population")]
    if wrong:
        raise UsageError("\n".join(f"--set must begin with policy. or population. (got {path})" for path in wrong))
    return changes


def check_options(given: Any, shards: int | None = None, inline: bool = False) -> None:
    from scenarios.document import CUSTOMERS_LEAST, CUSTOMERS_MAX, DAYS_MAX

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
    print(plain_lead(result.run.folder, result.estimates))
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


# --- compare ----------------------------------------------------------------------------------------------------------
def compare(path: Path, given: dict[str, Any], as_json: bool, out: Path, **how: Any) -> int:
    from scenarios.comparing import compare_command

    return compare_command(path, given, as_json, out, how)


# --- check ------------------------------------------------------------------------------------------------------------
def check(
    paths: list[Path], how: dict[str, Any], beside: int | None, minutes: float | None,
    written: dict[str, Path | None], out: Path, as_json: bool, mutate: dict[str, Any],
) -> int:  # fmt: skip
    """how: customers, update, against (see Asked); written: files by what they are, junit or markdown; mutate: mutate,
    mutants, seed, aim."""

    def action() -> int:
        from scenarios.check import Asked, check_files, scenario_files
        from scenarios.check_mutate import mutate_files, wanted

        check_options(scenario_options(customers=how["customers"]))
        check_baselines(how)
        if beside is not None and not 1 <= beside <= BESIDE_MOST:
            raise UsageError(f"--beside must be between 1 and {BESIDE_MOST} (got {beside})")
        if minutes is not None and not 0 < minutes <= MINUTES_MOST:
            raise UsageError(f"--minutes must be above 0 and at most {MINUTES_MOST:,} (got {minutes:g})")
        for name, path in written.items():
            if path is not None and path.is_dir():
                raise UsageError(f"--{name} must be a file (got a folder: {path})")
        asked = wanted(mutate, how, written, beside or os.cpu_count() or 1, minutes)
        files = scenario_files(paths or [LIBRARY])
        with folder_for_runs(out):
            warm_up(lambda share: None)
            if asked is not None:
                return mutate_files(files, asked, written["junit"], as_json, progress)
            cores = beside or min(os.cpu_count() or 1, len(files))
            return check_files(files, Asked(out=out, **how), cores, minutes, written, as_json, progress)

    return guarded(action)


def check_baselines(how: dict[str, Any]) -> None:
    """Raises UsageError with every option that does not fit the others."""
    problems = []
    if how["update"] and how["customers"] is not None:
        problems.append("--update must go without --customers: a baseline is of a whole scenario")
    if how["update"] and how["against"] is not None:
        problems.append("--update must go without --against: baselines are written beside their scenarios")
    if how["against"] is not None and not how["against"].is_dir():
        problems.append(f"--against must be a folder of baselines (got no such folder: {how['against']})")
    if problems:
        raise UsageError("\n".join(problems))


# --- report, explain, replay, lint, answer, bench ---------------------------------------------------------------------
def report(folder: Path, as_json: bool) -> int:
    def action() -> int:
        from results.capacity_report import render as render_capacity
        from results.comparison_report import render_comparison
        from results.comparison_store import is_comparison
        from results.drill_report import render as render_drill
        from results.load_report import render as render_load
        from results.report import render
        from scenarios.run_folder import existing_comparison, existing_drill, existing_load, existing_run

        if (folder / RESULT).is_file():
            path = render_drill(existing_drill(folder))
        elif (folder / LOAD_RESULT).is_file():
            path = render_load(existing_load(folder, LOAD_RESULT, LOAD_KEYS))
        elif (folder / CAPACITY_RESULT).is_file():
            path = render_capacity(existing_load(folder, CAPACITY_RESULT, CAPACITY_KEYS))
        elif is_comparison(folder):
            path = render_comparison(existing_comparison(folder))
        else:
            path = render(existing_run(folder).folder)
        print_json({"report": str(path)}) if as_json else print(path)
        return Exit.FINE

    return guarded(action)


def explain(folder: Path, customer: int, level: str, as_json: bool) -> int:
    def action() -> int:
        from scenarios.explain import explanation, lines_of

        found = explanation(folder, customer, level)
        print_json(found) if as_json else print("\n".join(lines_of(found)))
        return Exit.FINE

    return guarded(action)


def replay(folder: Path, policy: Path | None, as_json: bool) -> int:
    def action() -> int:
        from scenarios.replay import replayed
        from scenarios.replay_text import lines_of
        from scenarios.run_folder import recorded_run

        run = recorded_run(folder)
        with progress("replay") as tell:
            warm_up(tell)
            found = replayed(run, policy, tell)
        print_json(found) if as_json else print("\n".join(lines_of(found)))
        return Exit.FINE

    return guarded(action)


def lint(path: Path | None, schema: bool, as_json: bool) -> int:
    def action() -> int:
        from engine.policy.schema import policy_schema
        from scenarios.linting import looked_at, print_findings, print_worst_case

        if schema:
            print_json(policy_schema())
            return Exit.FINE
        if path is None:
            raise UsageError("POLICY must be given: the file of a policy (got nothing); --schema alone needs none")
        found, case = looked_at(path)
        if as_json:
            findings = [vars(finding) for finding in found]
            print_json({"policy": str(path), "findings": findings, "worst_case": case.as_texts()})
        else:
            print_worst_case(case)
            print_findings(path, found)
        return Exit.MISSED if any(finding.severity == "error" for finding in found) else Exit.FINE

    return guarded(action)


def answer(question: str | None, base: Path | None, judge: bool, as_json: bool) -> int:
    from scenarios.answering import answer_command

    return answer_command(question, base, judge, as_json)


def bench(only: str | None, as_json: bool, more: Mapping[str, Callable[[], Any]]) -> int:
    """more: benchmarks of parts that scenarios know nothing of."""

    def action() -> int:
        from scenarios.bench import BENCHMARKS, measure

        known = {**BENCHMARKS, **more}
        if only is not None and only not in known:
            raise UsageError(f"--only must be one of {', '.join(known)} (got {only})")
        rows = measure([only] if only else known, known)
        if as_json:
            print_json(rows)
        else:
            for name, row in rows.items():
                ratio = f"ratio {row['ratio']:.3g} to {row['baseline']}"
                print(f"{name:14} {row['value']:>12,.6g} {row['unit']:24} {ratio}")
                print(*(f"{'':12} {line}" for line in row["note"].splitlines()), sep="\n")
        return Exit.FINE

    return guarded(action)


def grade(studies: int | None, only: str | None, everything: bool, out: Path, as_json: bool) -> int:
    from scenarios.grading import grade as graded

    return graded(studies, only, everything, out, as_json)
