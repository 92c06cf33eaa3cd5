"""Runs with fraud rules and crews are met again bit by bit; other thresholds answer the same asks otherwise."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.coupon_records import Answer, RequestKind
from results.store import Run
from scenarios.load import Options, load_scenario
from scenarios.replay import replayed
from scenarios.replay_text import lines_of
from scenarios.run import RunOptions, run_scenario

LIBRARY = Path(__file__).resolve().parents[2] / "scenarios" / "library"
CUSTOMERS = 200
SCENARIO = """
scenario: ring_under_rules
says: A ring, persons with many accounts and slow accounts under the core rules; half of the days before launch.
policy: policy.yaml
baseline: {without: [come_back]}
population: population.yaml
set:
  population.adversaries.crews: >-
    {account_ring: {people: 2, accounts: 6, budget: 500.00, devices: 3, ips: 2},
    many_accounts: {accounts: 4, budget: 100.00},
    slow_accounts: {accounts: 3, budget: 300.00, devices: 2, ages: 1d, rests: 12h}}
  population.support: >-
    {hotline: {shifts: [{seats: 3}]}, reviewers: {shifts: [{seats: 3}]}, contacts: {claim_refused: 90%}}
customers: 200
start: 2026-09-07
days: 3
before: 1
after: 1
seed: 1
"""
RULES = """
fraud:
  include: core
  appeal: "Mine, Appeal"
  rules:
    accounts_per_device: {more_than: 1}
    claims_per_device: {more_than: 1, answer: review}
"""


def write_ring(folder: Path, rules: str = RULES, scenario: str = SCENARIO) -> None:
    """A scenario with its policy and population, in a folder of its own."""
    policy = (LIBRARY / "policies" / "coupon_shop.yaml").read_text("utf-8")
    (folder / "policy.yaml").write_text(policy + rules, encoding="utf-8")
    shutil.copy(LIBRARY / "populations" / "fraud_shop.yaml", folder / "population.yaml")
    (folder / "ring.scenario.yaml").write_text(scenario, encoding="utf-8")


def recorded(folder: Path, shards: int, options: Options) -> Run:
    write_ring(folder)
    loaded = load_scenario(folder / "ring.scenario.yaml", options)
    return run_scenario(loaded, RunOptions(shards=shards, inline=True, out=folder, record=True, scenario=options)).run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two workers of customers, and the crews'."""
    return recorded(tmp_path_factory.mktemp("ring"), 2, Options())


def other(folder: Path, run: Run, old: str, new: str) -> Path:
    text = (run.folder / "inputs" / "policy.yaml").read_text("utf-8")
    assert old in text, old
    path = folder / "other.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def asks_of(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(whose, EVENT.kind) of all asks since launch that were answered."""
    events, decisions = run.table("events"), run.table("decision_log")
    taken = (events["ask"] >= 0) & (decisions["answer"] != Answer.WAITS) & (decisions["answer"] != Answer.NONE)
    return events["customer"][taken], events["kind"][taken]


def test_live_equals_replay(run: Run) -> None:
    """Origins, crews' accounts and what persons decided are kept, too; the same policy changes nothing."""
    assert replayed(run)["met_again"]
    whose, _ = asks_of(run)
    assert 0 < (whose >= CUSTOMERS).sum() < len(whose)
    assert len(run.table("origins")["ip"]) > 100
    assert len(run.table("enrolled")["customer"]) > 10
    assert RequestKind.REVIEWED in run.table("decided")["kind"]
    found = replayed(run, run.folder / "inputs" / "policy.yaml")
    fraud = found["fraud"]
    assert fraud["asks"] > 100
    assert (fraud["asks_answered_otherwise"], fraud["by_kind"]) == (0, [])
    assert sum(row["answered_before"] for row in fraud["rules"]) > 5
    assert all(row["fired_before"] == row["fired_after"] for row in fraud["rules"])
    assert any("answer all" in line for line in lines_of(found))


def test_another_threshold_answers_otherwise_by_name(run: Run, tmp_path: Path) -> None:
    """A rule that is off no more answers; what it refused is let through, or another rule answers it."""
    found = replayed(
        run, other(tmp_path, run, "accounts_per_device: {more_than: 1}", "accounts_per_device: {mode: off}")
    )
    fraud = found["fraud"]
    assert fraud["asks_answered_otherwise"] == fraud["of_customers"] + fraud["of_crews"] > 0
    assert fraud["of_crews"] > fraud["of_customers"]
    changed = {(kind["before"]["rule"], kind["after"]["rule"]) for kind in fraud["by_kind"]}
    assert ("accounts_per_device", None) in changed
    (rule,) = [row for row in fraud["rules"] if row["rule"] == "accounts_per_device"]
    assert rule["answered_before"] > 0 == rule["answered_after"] == rule["fired_after"]
    lines = "\n".join(lines_of(found))
    assert "accounts_per_device" in lines and "of them from accounts of crews" in lines
    assert any("Crews do what they did" in sentence for sentence in found["cannot_answer"])


def test_a_rule_that_counts_otherwise_is_said_to_warm(run: Run, tmp_path: Path) -> None:
    path = other(tmp_path, run, "accounts_per_device: {more_than: 1}", "accounts_per_device: {more_than: 0}")
    found = replayed(run, path)
    assert any("accounts_per_device counted otherwise before launch" in line for line in found["cannot_answer"])
    (rule,) = [row for row in found["fraud"]["rules"] if row["rule"] == "accounts_per_device"]
    assert rule["fired_after"] > rule["fired_before"]


def test_fields_set_for_a_run_are_set_when_it_is_met_again(tmp_path: Path) -> None:
    fields = {"policy.fraud.rules": "{claims_a_day: {more_than: 0}}"}
    assert replayed(recorded(tmp_path, 1, Options(days=1, after=0, set=fields)))["met_again"]
