"""A run's folder: written once, whole or not at all; opened by its manifest.

Everything is written into a hidden sibling folder, synced, and renamed. A crash leaves at most that hidden folder,
which nothing reads.
"""

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from results.tables import (
    KEYS,
    RECORDED,
    REQUIRED,
    SCHEMAS,
    Columns,
    added,
    arrow_table,
    columns_of,
    record_batch,
    record_schema,
    require,
)

LOG_ROWS = 32_768  # of a recorded log, read at a time
MANIFEST = "manifest.json"
HIDDEN = ".writing-"
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
MANIFEST_KEYS = (
    "run_id", "scenario", "policy", "baseline", "population", "seed", "replication", "digest", "customers",
    "customer_base", "start", "days", "before", "after", "zone", "segments", "campaigns", "wall_s", "events",
    "command", "known_case", "calibration", "shards", "inline", "warnings", "expectations", "primary",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A written run: its folder and its manifest; tables are read when asked for."""

    folder: Path
    manifest: dict[str, Any]

    def table(self, name: str) -> dict[str, Any]:
        return columns_of(pq.read_table(self.folder / "tables" / f"{name}.parquet"))

    def log(self, name: str) -> Iterator[np.ndarray]:
        """The records of `events` or `decision_log` (EVENT, DECISION) in the order they were taken, in batches.

        Raises OSError or ValueError where the file is none, or not as `RunWriter.record` writes it.
        """
        schema = record_schema(name)
        with pq.ParquetFile(self.folder / "tables" / f"{name}.parquet") as file:
            if not file.schema_arrow.equals(schema):
                raise ValueError(f"other columns than {', '.join(schema.names)}")
            for batch in file.iter_batches(LOG_ROWS):
                records = np.zeros(len(batch), RECORDED[name])
                for field in schema.names:
                    records[field] = batch[field].to_numpy()
                yield records


class RunWriter:
    """Writes one run. Logs may be recorded while the run goes on; `commit` publishes; leaving without it discards."""

    def __init__(self, runs: Path, run_id: str) -> None:
        require(RUN_ID.fullmatch(run_id) is not None, f"run_id must be letters, digits, '.', '_', '-' (got {run_id!r})")
        self.final = Path(runs) / run_id
        if self.final.exists():
            raise FileExistsError(f"{self.final} exists; a run is never overwritten")
        self.folder = Path(runs) / f"{HIDDEN}{run_id}-{os.getpid()}-{secrets.token_hex(4)}"
        (self.folder / "tables").mkdir(parents=True)
        (self.folder / "inputs").mkdir()
        self._logs: dict[str, pq.ParquetWriter] = {}

    def record(self, name: str, records: np.ndarray) -> None:
        """Append engine records (EVENT or DECISION dtype) to `events` or `decision_log`, as one row group."""
        require(name in RECORDED, f"only {', '.join(RECORDED)} are recorded (got {name!r})")
        if name not in self._logs:
            path = self.folder / "tables" / f"{name}.parquet"
            self._logs[name] = pq.ParquetWriter(path, record_schema(name), compression="zstd")
        self._logs[name].write_batch(record_batch(name, records))

    def commit(
        self,
        manifest: Mapping[str, Any],
        tables: Mapping[str, Columns],
        inputs: Mapping[str, str] | None = None,
        finish: Callable[[Path], object] | None = None,
    ) -> Path:
        """Write the rest, let `finish` add to the folder (the report), sync all, publish by one rename."""
        self._close_logs()
        full = _full_manifest(manifest, self.final.name)
        for name, table in _all_tables(full, tables).items():
            pq.write_table(table, self.folder / "tables" / f"{name}.parquet", compression="zstd")
        for name, text in (inputs or {}).items():
            require(Path(name).name == name, f"an input's name is a file name (got {name!r})")
            (self.folder / "inputs" / name).write_text(text, encoding="utf-8")
        write_manifest(self.folder, full)
        if finish is not None:
            finish(self.folder)
        publish(self.folder, self.final)
        return self.final

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_logs()
        shutil.rmtree(self.folder, ignore_errors=True)  # after a commit there is nothing left under this name

    def _close_logs(self) -> None:
        for log in self._logs.values():
            log.close()
        self._logs.clear()


def state(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    """Add what was judged on the tables of a folder not yet published: expectations, review_goals or follow_ups."""
    full = {**open_run(folder).manifest, name: rows}
    table = _from_rows(name, _manifest_rows(full)[name])
    pq.write_table(table, folder / "tables" / f"{name}.parquet", compression="zstd")
    write_manifest(folder, full)


def write_run(
    runs: Path,
    manifest: Mapping[str, Any],
    tables: Mapping[str, Columns],
    inputs: Mapping[str, str] | None = None,
    finish: Callable[[Path], object] | None = None,
) -> Path:
    """Write a run without recorded logs; returns its folder. FileExistsError if the run id is taken."""
    with RunWriter(runs, manifest["run_id"]) as writer:
        return writer.commit(manifest, tables, inputs, finish)


def open_run(folder: Path) -> Run:
    manifest = json.loads((Path(folder) / MANIFEST).read_text(encoding="utf-8"))
    return Run(Path(folder), manifest)


def written_runs(runs: Path) -> Iterator[Run]:
    """Every published run, by name; half-written folders are not seen."""
    for folder in sorted(Path(runs).iterdir()):
        if not folder.name.startswith(".") and (folder / MANIFEST).exists():
            yield open_run(folder)


def added_tables(*runs: Run) -> dict[str, dict[str, Any]]:
    """The tables of runs over disjoint customers (other seeds, other shards), added up."""
    return {name: added(name, *(run.table(name) for run in runs)) for name in KEYS}


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _full_manifest(manifest: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    missing = [key for key in MANIFEST_KEYS if key not in manifest]
    require(not missing, f"manifest: missing {', '.join(missing)}")
    require(manifest["run_id"] == run_id, f"manifest.run_id must be {run_id!r} (got {manifest['run_id']!r})")
    names = [campaign["name"] for campaign in manifest["campaigns"]]
    primary = manifest["primary"]
    require(primary is None or primary in names, f"manifest.primary must be a campaign or null (got {primary!r})")
    return {**manifest, "versions": manifest.get("versions") or versions()}


def versions() -> dict[str, str]:
    found = {}
    for package in ("numpy", "numba", "simpy", "ray", "pyarrow", "duckdb"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _all_tables(manifest: dict[str, Any], tables: Mapping[str, Columns]) -> dict[str, pa.Table]:
    missing = [name for name in REQUIRED if name not in tables]
    require(not missing, f"tables: missing {', '.join(missing)} (an empty one has its columns with no rows)")
    given = {name: arrow_table(name, columns) for name, columns in tables.items()}
    return {**given, **{name: _from_rows(name, rows) for name, rows in _manifest_rows(manifest).items()}}


def _from_rows(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    return arrow_table(name, {column: [row.get(column) for row in rows] for column in SCHEMAS[name].names})


def _manifest_rows(manifest: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The manifest's numbers as tables: what the report says of the run itself is queried like the rest."""
    spans = {f"{phase}_days": manifest[key] for phase, key in zip(("before", "campaign", "after"), _SPANS, strict=True)}
    run = {key: manifest[key] for key in ("customers", "customer_base", "events", "wall_s", "shards")}
    run["margin"] = manifest.get("worth", {}).get("margin", 0.0)
    campaigns = [
        {
            **{key: str(campaign.get(key) or "") for key in ("purpose", "topic", "channel", "goal", "coupon")},
            **{key: int(campaign.get(key) or 0) for key in ("goal_window_ms", "value", "reward", "cost")},
            "campaign": campaign["name"],
            "holdout_share": held_out_share(campaign),
        }
        for campaign in manifest["campaigns"]
    ]
    arms = [
        {
            "campaign": campaign["name"],
            "arm": arm["name"],
            "style": str(arm.get("style") or ""),
            "colour": str(arm.get("colour") or ""),
            "share": arm["share"] / 1e6 if arm.get("share") is not None else None,
        }
        for campaign in manifest["campaigns"]
        for arm in campaign["arms"]
    ]
    expectations = [
        {"number": number, **expectation, "unit": expectation.get("unit") or ""}
        for number, expectation in enumerate(manifest["expectations"] or [], 1)
    ]
    reviews = manifest.get("reviews", [])
    coupons = [{**block, "coupon": block["name"], "declared": n} for n, block in enumerate(manifest.get("coupons", []))]
    return {
        "run": [{**run, **spans}], "campaigns": campaigns, "arms": arms, "expectations": expectations,
        "coupons": coupons, "payers": [row for block in coupons for row in payer_rows(block)],
        "reviews": [
            {"number": n, "review": r["review"], "first_date": date.fromisoformat(r["first_date"]),
             "last_date": date.fromisoformat(r["last_date"])} for n, r in enumerate(reviews, 1)
        ],
        "review_plans": [{"review": r["review"], **plan} for r in reviews for plan in r["plans"]],
        "review_goals": manifest.get("review_goals", []), "follow_ups": manifest.get("follow_ups", []),
    }  # fmt: skip


def payer_rows(coupon: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Who pays a coupon: the part from one share to the next, so that parts of whole fen add up to the whole."""
    until = 0
    for payer, share in coupon["payers"].items():
        until += share
        yield {"coupon": coupon["name"], "payer": payer, "share": share / 1e6, "from_share": until - share,
               "until_share": until}  # fmt: skip


_SPANS = ("before", "days", "after")


def held_out_share(campaign: Mapping[str, Any]) -> float:
    """Share of customers held out of a campaign by its own holdout; the universal one is in no campaign's analysis."""
    return (campaign.get("holdout_share") or 0) / 1e6


def publish(folder: Path, final: Path) -> None:
    """Sync files, then folders, then rename: what is visible is on the disk."""
    for path in sorted(folder.rglob("*"), reverse=True):
        _sync(path)
    _sync(folder)
    if final.exists():
        raise FileExistsError(f"{final} exists; a run is never overwritten")
    os.rename(folder, final)  # on a folder that is not empty this fails: two writers cannot both win
    _sync(final.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
