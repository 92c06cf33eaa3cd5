"""Each fraud scenario fails when what it is about stops working: one field changed, one expectation red."""

from pathlib import Path

import pytest

from scenarios.load import Options, load_scenario
from scenarios.run import RunOptions, run_scenario
from tests.scenarios.test_library import LIBRARY

QUICK = {"look_alikes"}
CREWS, RULES = "population.adversaries.crews", "policy.fraud.rules"
NO_RULES = {"policy.fraud": "none"}

# The scenario, what is broken, the field that breaks it, and an expectation that must not hold.
FAULTS: list[tuple[str, str, dict[str, str], str]] = [
    ("account_ring", "no rules", NO_RULES, "fraud_obtained"),
    ("account_ring", "nobody comes", {CREWS: "{account_ring: {accounts: 1, budget: 1.00}}"}, "fraud_refused"),
    ("many_accounts", "no rules", NO_RULES, "fraud_obtained"),
    ("ip_rotation", "no rules", NO_RULES, "fraud_obtained"),
    ("threshold_probers", "no rules", NO_RULES, "fraud_obtained"),
    ("slow_accounts", "no rules", NO_RULES, "fraud_obtained"),
    ("scalpers", "no rules", NO_RULES, "fraud_obtained"),
    ("referral_farm", "nobody comes", {CREWS: "{referral_farm: {accounts: 1, budget: 1.00}}"},
     "fired_on_fraud"),
    ("bots", "nobody comes", {CREWS: "{bot: {accounts: 1, budget: 1.00}}"}, "fired_on_fraud"),
    ("look_alikes", "three accounts a device", {f"{RULES}.accounts_per_device.more_than": "3"}, "good_harmed"),
    ("look_alikes", "every newcomer proves it", {f"{RULES}.newcomers_claims.more_than": "0"}, "good_challenged"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "fault", "changes", "missed"),
    [pytest.param(*row, marks=[] if row[0] in QUICK else pytest.mark.long, id=f"{row[0]}: {row[1]}") for row in FAULTS],
)
def test_planted_fault_is_seen(name: str, fault: str, changes: dict[str, str], missed: str, tmp_path: Path) -> None:
    planted = load_scenario(LIBRARY / f"{name}.scenario.yaml", Options(set=changes))
    result = run_scenario(planted, RunOptions(out=tmp_path, inline=True))
    said = [verdict.sentence() for verdict in result.verdicts]
    assert any(missed in verdict.text for verdict in result.missed), (fault, said)
