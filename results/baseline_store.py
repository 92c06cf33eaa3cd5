"""A scenario's baseline in the repository: what was counted as JSON, for whoever reads the change of a file, and the
decisions of some customers as Parquet."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from results.decision_changes import Kept

FOLDER = "baselines"  # beside the scenario
KEYS = ("scenario", "digest", "customers", "seed", "days", "files", "events", "counts", "expectations", "kept")
WORD = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema([(name, pa.int64() if kind is int else WORD) for name, kind in Kept.__annotations__.items()])
# Times are differences, the rest repeats.
ENCODINGS = {name: "DELTA_BINARY_PACKED" for name, kind in Kept.__annotations__.items() if kind is int}


class BaselineError(Exception):
    """A baseline that cannot be read."""


@dataclass(frozen=True)
class Baseline:
    """What was counted and decided. about: see KEYS."""

    about: Mapping[str, Any]
    kept: Sequence[Kept]


def files_of(folder: Path, scenario: str) -> tuple[Path, Path]:
    return folder / f"{scenario}.json", folder / f"{scenario}.parquet"


def is_there(folder: Path, scenario: str) -> bool:
    return any(file.exists() for file in files_of(folder, scenario))


def kept_words(kept: Sequence[Kept]) -> dict[str, Any]:
    """What the JSON says of the Parquet beside it, so that one is not taken for another's."""
    text = json.dumps([list(row) for row in kept], ensure_ascii=False)
    customers = len({row.customer for row in kept})
    return {"customers": customers, "decisions": len(kept), "digest": sha256(text.encode()).hexdigest()[:16]}


def write_baseline(folder: Path, baseline: Baseline) -> Path:
    """Both files; returns the first. The folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    about, kept = files_of(folder, baseline.about["scenario"])
    columns = {name: [getattr(row, name) for row in baseline.kept] for name in SCHEMA.names}
    table = pa.table({name: pa.array(values, SCHEMA.field(name).type) for name, values in columns.items()}, SCHEMA)
    words = [name for name in SCHEMA.names if name not in ENCODINGS]
    pq.write_table(table, kept, compression="zstd", compression_level=19, use_dictionary=words,
                   column_encoding=ENCODINGS)  # fmt: skip
    about.write_text(json.dumps(baseline.about, ensure_ascii=False, indent=1, sort_keys=True) + "\n", "utf-8")
    return about


def read_baseline(folder: Path, scenario: str) -> Baseline | None:
    """None where there is none. Raises BaselineError where it is not as `write_baseline` writes it."""
    about, kept = files_of(folder, scenario)
    if not is_there(folder, scenario):
        return None
    try:
        found = json.loads(about.read_text("utf-8"))
        table = pq.read_table(kept)
    except (OSError, ValueError) as error:
        raise BaselineError(f"{about}: must be a baseline as check --update writes it (got {error})") from None
    missing = [key for key in KEYS if not isinstance(found, dict) or key not in found]
    if missing or table.column_names != SCHEMA.names:
        what = ", ".join(missing) or "other columns"
        raise BaselineError(f"{about}: must be a baseline as check --update writes it (got none of {what})")
    columns = [table.column(name).to_pylist() for name in SCHEMA.names]
    rows = [Kept(*values) for values in zip(*columns, strict=True)]
    if found["kept"] != kept_words(rows):
        raise BaselineError(f"{kept}: must be of {describe(found['kept'])}, as {about.name} says "
                            f"(got {describe(kept_words(rows))})")  # fmt: skip
    return Baseline(found, rows)


def describe(kept: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in kept.items()) if isinstance(kept, dict) else str(kept)
