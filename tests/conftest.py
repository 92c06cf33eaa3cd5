"""One Ray for the whole session, modules kept together, a folder for runs, skips that fail where all has to run."""

import os

# Before NumPy is imported: kernels and shards are the parallel part, a BLAS pool beside them only gets in the way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

pytest_plugins = ["pytester"]

# Set by `make test-all`: every test must have run.
NO_SKIPS = "WINDTUNNEL_NO_SKIPS"

# An example may have to compile a kernel first: no deadline. Quick tests repeat themselves, `make test-all` explores.
settings.register_profile("repeatable", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("exploring", deadline=None, print_blob=True)
settings.load_profile("exploring" if os.environ.get(NO_SKIPS) == "1" else "repeatable")


def fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """A skip becomes a failure with the same reason. An expected failure is not a skip."""
    if os.environ.get(NO_SKIPS) == "1" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{NO_SKIPS}=1 and this was not run: {reason}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_if_skipped(report)
    return report


@cache
def place_of(module: Path) -> str:
    """With several processes: a module stays in one, and all that share Ray, or a gateway, in the same."""
    text = module.read_text("utf-8")
    return "ray" if "ray_cluster" in text else "secured" if "(secured: Secured" in text else str(module)


# Few tests that take minutes: begun last, one of them would keep a process busy while the other has nothing to do.
LONGEST = (
    "ray", "test_newcomer.py", "test_docs.py", "test_disasters.py", "test_keys.py", "test_origins.py",
    "test_check.py", "test_differential.py", "test_wallets.py", "test_publishing.py", "test_replay_coupons.py",
    "test_customers.py", "test_serve.py", "test_openapi.py", "test_planted_faults.py", "secured",
    "test_check_mutate.py", "test_baselines.py", "test_load_drill.py", "test_load.py", "test_attacks.py",
    "test_coupons.py", "test_commands.py", "test_fraud.py", "test_replay_fraud.py", "test_report.py",
    "test_editions.py", "test_same_as_reference.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def turn(item: pytest.Item) -> int:
        name = Path(place_of(item.path)).name
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=turn)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Groups of our own: pytest 9 does not let xdist 3.8 write the names of its groups behind those of tests."""
    from xdist.scheduler import LoadFileScheduling

    class Modules(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return place_of(config.rootpath / nodeid.partition("::")[0])

    config.option.loadscopereorder = False
    return Modules(config, log)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """Ray on this machine, started for the first test that asks and shared by all that do."""
    from engine.host.ray_cluster import cluster

    with cluster():
        yield


@pytest.fixture
def runs_folder(tmp_path: Path) -> Path:
    """An empty folder for runs."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder
