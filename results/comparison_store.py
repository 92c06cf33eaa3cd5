"""A comparison's folder: tables as Parquet and as CSV for spreadsheets, manifest, inputs; whole or not at all."""

import csv
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from results.comparison_tables import COMPARISON_NULLABLE, COMPARISON_SCHEMAS
from results.store import HIDDEN, MANIFEST, publish, versions, write_manifest
from results.tables import require, table_of

KIND = "comparison"
COMPARISON_KEYS = (
    "run_id", "kind", "scenario", "says", "reference", "rivals", "truth", "goals", "goal", "guardrails", "worlds",
    "pilot", "worlds_max", "worlds_wanted", "stopped", "early", "customers", "customer_base", "start", "before", "days",
    "after", "seed", "digest", "segments", "campaigns", "population", "calibration", "known_case", "warnings",
    "command", "wall_s", "assumption_sets", "expectations", "unit",
)  # fmt: skip
Rows = Mapping[str, list[dict[str, Any]]]


def write_comparison(
    out: Path, manifest: Mapping[str, Any], tables: Rows, inputs: Mapping[str, str], finish: Callable[[Path], object]
) -> Path:
    """Write a comparison's folder; `finish` adds to it (verdicts, reports) before it is published by one rename."""
    missing = [key for key in COMPARISON_KEYS if key not in manifest]
    require(not missing, f"manifest: missing {', '.join(missing)}")
    final = Path(out) / manifest["run_id"]
    if final.exists():
        raise FileExistsError(f"{final} exists; a comparison is never overwritten")
    folder = Path(out) / f"{HIDDEN}{final.name}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        (folder / "tables").mkdir(parents=True)
        (folder / "inputs").mkdir()
        for name in COMPARISON_SCHEMAS:
            write_table(folder, name, tables.get(name, []))
        for name, text in inputs.items():
            (folder / "inputs" / name).write_text(text, encoding="utf-8")
        write_manifest(folder, {**manifest, "versions": versions()})
        finish(folder)
        publish(folder, final)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return final


def write_table(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    """One table, as Parquet for queries and as CSV (UTF-8 with a byte order mark, as spreadsheets want it)."""
    schema = COMPARISON_SCHEMAS[name]
    columns = {column: [row.get(column) for row in rows] for column in schema.names}
    nullable = {column for table, column in COMPARISON_NULLABLE if table == name}
    if name == "expectations":
        nullable = {"value", "low", "high", "n"}
    table = table_of(name, schema, columns, nullable)
    pq.write_table(table, folder / "tables" / f"{name}.parquet", compression="zstd")
    write_csv(folder / "tables" / f"{name}.csv", table)


def write_csv(path: Path, table: pa.Table) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.column_names)
        writer.writerows(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))


def is_comparison(folder: Path) -> bool:
    """Whether a folder holds a comparison (as opposed to a run)."""
    file = folder / MANIFEST
    return file.is_file() and f'"kind": "{KIND}"' in file.read_text("utf-8")
