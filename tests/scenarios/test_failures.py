"""A run that breaks down leaves its failure as data, and nothing that looks like a result."""

from pathlib import Path

import pytest

from results.store import open_run
from scenarios.exits import UsageError
from scenarios.load import Options, load_scenario
from scenarios.run import RunOptions, run_scenario
from scenarios.run_folder import existing_run
from scenarios.worker import CohortWorker

LIBRARY = Path(__file__).resolve().parents[2] / "scenarios" / "library"


def test_a_broken_worker_is_kept_as_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: CohortWorker, since_ms: int, until_ms: int) -> None:
        raise RuntimeError("the disk of worker 1 is gone")

    monkeypatch.setattr(CohortWorker, "advance", broken)
    loaded = load_scenario(LIBRARY / "first_use.scenario.yaml", Options(customers=200, days=2, before=1, after=1))
    with pytest.raises(RuntimeError):
        run_scenario(loaded, RunOptions(out=tmp_path, inline=True))
    (folder,) = tmp_path.iterdir()
    assert folder.name.endswith("-failed")
    failures = open_run(folder).table("failures")
    assert list(failures["sentence"]) == ["RuntimeError: the disk of worker 1 is gone"]
    assert not (folder / "report.html").exists()
    with pytest.raises(UsageError, match=r"broke down .* repeat it with windtunnel run"):
        existing_run(folder)
