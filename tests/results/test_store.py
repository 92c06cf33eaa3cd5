"""A run is written whole or not at all, with the columns its schemas name."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.records import EVENT
from results import store
from results.store import RunWriter, added_tables, open_run, write_run, written_runs
from results.tables import SCHEMAS, added
from tests.results.synthetic import synthetic_manifest, synthetic_tables, write_synthetic


def test_round_trip(tmp_path: Path) -> None:
    run = open_run(write_synthetic(tmp_path))
    tables = synthetic_tables()
    assert run.manifest["seed"] == 20250303
    assert (run.folder / "inputs" / "policy.yaml").read_text() == "policy: bank_card\n"
    for name, columns in tables.items():
        read = run.table(name)
        assert list(read) == SCHEMAS[name].names
        for column, values in columns.items():
            assert np.array_equal(read[column], np.asarray(values)), f"{name}.{column}"
    assert sorted(p.name for p in run.folder.iterdir()) == ["inputs", "manifest.json", "tables"]


def test_never_overwritten(tmp_path: Path) -> None:
    folder = write_synthetic(tmp_path)
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(FileExistsError, match="never overwritten"):
        write_synthetic(tmp_path, seed=1)
    assert (folder / "manifest.json").read_bytes() == before


def test_two_writers_cannot_both_win(tmp_path: Path) -> None:
    with RunWriter(tmp_path, "demo") as first, RunWriter(tmp_path, "demo") as second:
        first.commit(synthetic_manifest(), synthetic_tables())
        with pytest.raises(FileExistsError):
            second.commit(synthetic_manifest(), synthetic_tables())


@pytest.mark.parametrize("at", ["write_text", "fsync", "rename", "finish"])
def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    if at == "write_text":
        monkeypatch.setattr(Path, "write_text", fail)
    elif at != "finish":
        monkeypatch.setattr(os, at, fail)
    with pytest.raises(OSError, match="disk full"):
        write_run(tmp_path, synthetic_manifest(), synthetic_tables(), finish=fail if at == "finish" else None)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_nothing_visible(tmp_path: Path) -> None:
    """The process dies before the rename; what it leaves is ignored and does not bar the next attempt."""
    program = (
        "import os, sys; from pathlib import Path; from results import store; from tests.results.synthetic import *\n"
        "store.os.rename = lambda *_: os._exit(9)\n"
        "write_synthetic(Path(sys.argv[1]))"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=root, check=False).returncode == 9
    assert [p.name.startswith(store.HIDDEN) for p in tmp_path.iterdir()] == [True]
    assert list(written_runs(tmp_path)) == []
    write_synthetic(tmp_path)
    assert [run.manifest["run_id"] for run in written_runs(tmp_path)] == ["demo"]


def test_records_are_appended_by_row_groups(tmp_path: Path) -> None:
    events = np.zeros(1_000, EVENT)
    events["time_ms"], events["kind"] = np.arange(1_000), 2
    with RunWriter(tmp_path, "demo") as writer:
        writer.record("events", events[:600])
        writer.record("events", events[600:])
        folder = writer.commit(synthetic_manifest(), synthetic_tables())
    read = open_run(folder).table("events")
    assert list(read) == list(EVENT.names or ())
    assert all(np.array_equal(read[name], events[name]) and read[name].dtype == EVENT[name] for name in read)


WRONG = {
    "missing column": (lambda t: t["paths"].pop("moves"), "table paths: missing column.s. moves"),
    "unknown column": (lambda t: t["paths"].update(extra=[1]), "table paths: unknown column.s. extra"),
    "unequal lengths": (lambda t: t["paths"].update(moves=[1]), "table paths: columns differ in length"),
    "unknown reason": (lambda t: t["decisions"]["reason"].__setitem__(0, "Shown"), "decisions.reason must be one of"),
    "unknown phase": (lambda t: t["decisions"]["phase"].__setitem__(0, "during"), "decisions.phase must be one of"),
    "fractions": (lambda t: t["touches"]["customers"].__setitem__(0, 0.5), "touches.customers must be whole numbers"),
    "negative": (lambda t: t["touches"]["customers"].__setitem__(0, -1), "touches.customers must be >= 0"),
    "not finite": (lambda t: t["moments"]["sum_a"].__setitem__(0, np.nan), "moments.sum_a must be finite"),
    "two rows of one key": (lambda t: t["touches"]["touches"].__setitem__(1, 0), "two rows share one week, touches"),
    "missing table": (lambda t: t.pop("paths"), "tables: missing paths"),
    "unknown table": (lambda t: t.update(pathes={}), "table 'pathes' is not one of"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_tables_are_refused(tmp_path: Path, case: str) -> None:
    spoil, sentence = WRONG[case]
    tables = synthetic_tables(customers=2_000)
    spoil(tables)  # type: ignore[no-untyped-call]
    with pytest.raises(AssertionError, match=sentence):
        write_run(tmp_path, synthetic_manifest(customers=2_000), tables)
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_without_a_key_is_refused(tmp_path: Path) -> None:
    manifest = synthetic_manifest()
    del manifest["digest"]
    with pytest.raises(AssertionError, match="manifest: missing digest"):
        write_run(tmp_path, manifest, synthetic_tables())


def test_dates_may_come_as_the_engine_writes_them(tmp_path: Path) -> None:
    tables = synthetic_tables(customers=2_000)
    days = tables["population"]["date"]
    tables["population"]["date"] = np.array([int(str(day).replace("-", "")) for day in days])
    run = open_run(write_run(tmp_path, synthetic_manifest(customers=2_000), tables))
    assert np.array_equal(run.table("population")["date"], days)


def test_runs_add_up(tmp_path: Path) -> None:
    one, two = synthetic_tables(seed=1, customers=2_000), synthetic_tables(seed=2, customers=2_000)
    runs = [
        open_run(write_run(tmp_path, synthetic_manifest(name, customers=2_000), tables))
        for name, tables in (("one", one), ("two", two))
    ]
    whole = added_tables(*runs)
    for name, column in (("outcomes", "exposures_clicks"), ("moments", "sum_ab"), ("waterfall", "candidates")):
        assert sum(whole[name][column]) == pytest.approx(sum(one[name][column]) + sum(two[name][column]))
    assert len(whole["moments"]["n"]) == len(one["moments"]["n"])
    assert json.dumps(sorted(whole)) == json.dumps(sorted(added_tables(runs[1], runs[0])))
    again = added("outcomes", two["outcomes"], one["outcomes"])
    assert all(np.array_equal(again[c], whole["outcomes"][c]) for c in again)
