"""What happens when a rule's table is full: some asks are not judged, are let through, and the run says so."""

from pathlib import Path

import pytest

from results.store import Run, open_run
from scenarios.exits import Exit
from tests.scenarios.shop import cli
from tests.scenarios.test_replay_fraud import RULES, SCENARIO, write_ring

NONE_MISSED = "expect:\n  - fraud_not_judged == 0\n"


def ran(folder: Path, keys: int) -> tuple[int, str, Run]:
    write_ring(folder, RULES + f"  keys: {keys}\n", SCENARIO + NONE_MISSED)
    done = cli("run", folder / "ring.scenario.yaml", "--inline", "--out", folder / "runs")
    (run,) = (folder / "runs").iterdir()
    return done.code, done.out, open_run(run)


@pytest.mark.parametrize(("keys", "judged"), [(50_000, True), (3, False)])
def test_a_full_table_is_told(keys: int, judged: bool, tmp_path: Path) -> None:
    """With room for three keys a rule forgets: an expectation sees it, the report names the rules."""
    code, out, run = ran(tmp_path, keys)
    assert code == (Exit.FINE if judged else Exit.MISSED)
    assert "fraud_not_judged" in out
    rules = run.table("rules")
    missed = dict(zip(rules["rule"], rules["not_judged"].tolist(), strict=True))
    assert (sum(missed.values()) == 0) == judged
    report = (run.folder / "report.html").read_text("utf-8")
    assert ("a rule could not judge" in report) != judged
    assert "accounts on one device 同一设备账户数" in report
    of_customers = ("claims_a_day", "devices_per_customer", "failed_logins")  # those are kept with the customer
    assert all(missed[name] == 0 for name in of_customers)
