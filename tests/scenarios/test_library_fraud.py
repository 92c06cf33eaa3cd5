"""Each fraud scenario fails when what it is about stops working: one field changed, one expectation red."""

from pathlib import Path

from tests.scenarios.planted import Fault, assert_comparison_sees, assert_run_sees, each

QUICK = {"look_alikes", "payment_outage"}
CREWS, RULES = "population.adversaries.crews", "policy.fraud.rules"
BREAKER = "policy.breakers.payments_fail.above"
NO_RULES = {"policy.fraud": "none"}

FAULTS: list[Fault] = [
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
    ("payment_outage", "the breaker never trips", {BREAKER: "99%"}, "spent_while_failing"),
    ("look_alikes", "three accounts a device", {f"{RULES}.accounts_per_device.more_than": "3"}, "good_harmed"),
    ("look_alikes", "every newcomer proves it", {f"{RULES}.newcomers_claims.more_than": "0"}, "good_challenged"),
]  # fmt: skip

COMPARED: list[Fault] = [
    ("account_ring", "nobody comes", {CREWS: "{account_ring: {accounts: 1, budget: 1.00}}"}, "fraud_money"),
    ("many_accounts", "nothing but the core", {"policy.fraud": "{include: core, appeal: Help}"}, "fraud_harmed"),
    ("ip_rotation", "every challenge is solved", {"population.adversaries.solves": "100%"}, "fraud_stopped"),
    ("look_alikes", "forty customers a tablet", {"population.origins.groups.shared_tablet.people": "40"},
     "fraud_harmed[fraud_shop/shared_tablet]"),
]  # fmt: skip


@each(FAULTS, QUICK)
def test_planted_fault_is_seen(fault: Fault, tmp_path: Path) -> None:
    assert_run_sees(fault, tmp_path)


@each(COMPARED)
def test_planted_fault_is_seen_in_the_comparison(fault: Fault, tmp_path: Path, ray_cluster: None) -> None:
    assert_comparison_sees(fault, tmp_path)
