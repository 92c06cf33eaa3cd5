"""Opens the folder of a run that someone names: what is missing or broken in it is told, not run into."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from results.comparison_store import is_comparison
from results.comparison_tables import COMPARISON_SCHEMAS
from results.drill_words import KEYS, RESULT
from results.store import MANIFEST, MANIFEST_KEYS, Run
from results.tables import REQUIRED, SCHEMAS
from scenarios.exits import UsageError


def existing_run(folder: Path) -> Run:
    """The run of a folder, whole. Raises UsageError with everything that is wrong with it."""
    file = folder / MANIFEST
    if not file.is_file():
        got = "no such folder" if not folder.exists() else "a file" if folder.is_file() else f"no {MANIFEST} in it"
        raise UsageError(f"{folder} must be the folder of a run, like runs/first_use-20260907-101500 (got {got})")
    if is_comparison(folder):
        raise UsageError(f"{folder} must be the folder of a run (got that of a comparison: see its report)")
    run = Run(folder, manifest_of(file))
    problems = [problem for name in REQUIRED for problem in table_problems(run, name)]
    if problems:
        raise UsageError("\n".join(problems))
    return run


def recorded_run(folder: Path) -> Run:
    """The run of a folder. Raises UsageError where it is none or kept no events, with the command that keeps them."""
    run = existing_run(folder)
    if not all((folder / "tables" / f"{name}.parquet").is_file() for name in ("events", "decision_log")):
        command = run.manifest["command"]
        command += "" if "--record" in command.split() else " --record"
        raise UsageError(f"{folder} kept no events, which this is told from (got a run without --record)\n"
                         f"record it with: {command}")  # fmt: skip
    return run


def existing_comparison(folder: Path) -> Path:
    """The folder of a comparison with all its tables. Raises UsageError with every one that is missing."""
    files = [folder / "tables" / f"{name}.parquet" for name in COMPARISON_SCHEMAS]
    missing = [f"{file} must be a table of the comparison (got no such file)" for file in files if not file.is_file()]
    if missing:
        raise UsageError("\n".join(missing))
    return folder


def existing_drill(folder: Path) -> Path:
    """The folder of a drill. Raises UsageError where its result is not as a drill writes it."""
    written_as(folder / RESULT, "a drill's result", "a drill", KEYS)
    return folder


def existing_load(folder: Path, file: str, keys: Sequence[str]) -> Path:
    """The folder of a load, or of a search. Raises UsageError where its result is not as one writes it."""
    written_as(folder / file, "a load's result", "a load", keys)
    return folder


def manifest_of(file: Path) -> dict[str, Any]:
    manifest = written_as(file, "the manifest", "a run", MANIFEST_KEYS)
    if "failed" in manifest:
        raise UsageError(
            f"{file.parent}: this run broke down ({manifest['failed']}); repeat it with {manifest['command']}"
        )
    return manifest


def written_as(file: Path, what: str, writer: str, keys: Sequence[str]) -> dict[str, Any]:
    """A JSON object with these keys. Raises UsageError where it is none or lacks some."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: {what} must be JSON as {writer} writes it (got {error})") from None
    missing = [key for key in keys if not isinstance(found, dict) or key not in found]
    if missing:
        raise UsageError(f"{file}: {what} must be as {writer} writes it (got none of {', '.join(missing)})")
    return dict(found)


def table_problems(run: Run, name: str) -> list[str]:
    """What is wrong with one of a run's tables."""
    file = run.folder / "tables" / f"{name}.parquet"
    if not file.is_file():
        return [f"{file} must be a table of the run (got no such file)"]
    try:
        columns = run.table(name)
    except (OSError, ValueError) as error:
        return [f"{file} must be a table as a run writes it (got {str(error).splitlines()[0]})"]
    missing = [column for column in SCHEMAS[name].names if column not in columns]
    return [f"{file} must have the columns {', '.join(missing)} (got none of them)"] if missing else []
