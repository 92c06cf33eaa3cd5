"""Fraud figures of a comparison, on worlds whose truth is known by hand and by simulation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.comparison_fraud import fraud_figures
from results.comparison_fraud_sections import fraud_section
from results.comparison_marks import findings
from results.comparison_store import write_table
from results.comparison_tables import COMPARISON_SCHEMAS
from results.fraud_front import EVEN, ODD, Point, chosen, front, points
from results.paired import RatioOfWorlds
from results.query import Database
from results.statistics import Estimate
from tests.results.synthetic_comparison import gentler, nothing, write_synthetic_comparison
from tests.results.test_comparison_report import Truth

MANIFEST = {"reference": "own", "rivals": ["rules_off", "without_rule_pace"]}
WORDS = ("policy", "kind", "truth", "rule", "other", "mode", "answer", "coupon")


def row(table: str, **given: Any) -> dict[str, Any]:
    """A row of a table, zeros where nothing is said."""
    return {name: given.get(name, "" if name in WORDS else 0) for name in COMPARISON_SCHEMAS[table].names}


def figures(
    folder: Path, tables: dict[str, list[dict[str, Any]]], manifest: dict[str, Any] = MANIFEST
) -> dict[str, Estimate]:
    (folder / "tables").mkdir(exist_ok=True)
    for name in ("accounts", "rules", "by_coupon"):
        write_table(folder, name, tables.get(name, []))
    with Database(folder) as database:
        return dict(fraud_figures(database, manifest, 0.95))


def worlds(count: int = 20, harmed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Rings get 100 yuan a world with the rules off and 10 under the policy, bots 300 and 15; a person alone gets 4
    honestly; without one rule bots get 40 more."""
    tables: dict[str, list[dict[str, Any]]] = {"accounts": [], "rules": [], "by_coupon": []}
    got = {"own": (1_000, 1_500), "rules_off": (10_000, 30_000), "without_rule_pace": (1_000, 5_500)}
    for world in range(1, count + 1):
        for policy, (ring, bot) in got.items():
            common = {"world": world, "policy": policy, "truth": "fraud", "crews": 1}
            apart = {"let_through": 250, "let_through_share": 10_000} if policy == "own" else {}
            tables["accounts"] += [
                row("accounts", kind="ring", face=ring // 2, resale=ring // 2, honest=400, **common),
                row("accounts", kind="bot", face=bot, costs=99_999, **common | apart),
                row("accounts", world=world, policy=policy, truth="good", kind="alone", active=900, harmed=harmed),
                row("accounts", world=world, policy=policy, truth="good", kind="family", active=100, passed=world % 2),
            ]
            tables["by_coupon"].append(row("by_coupon", world=world, policy=policy, coupon="ten", discount=50_000))
            said = {"stopped_fraud": 0, "stopped_good": 0} if policy == "rules_off" else {"stopped_fraud": 90_000}
            tables["rules"].append(row("rules", world=world, policy=policy, rule="pace", **said))
    return tables


def test_figures_by_hand(tmp_path: Path) -> None:
    found = figures(tmp_path, worlds())
    expected = {
        "fraud_money[own]": 21.0, "fraud_money[rules_off]": 396.0, "fraud_money[own/bot]": 15.0,
        "fraud_money[own/ring]": 6.0,
        "fraud_stopped[own]": 1 - 21 / 396, "fraud_stopped[own/ring]": 1 - 6 / 96, "fraud_stopped[own/bot]": 0.95,
        "fraud_stopped[without_rule_pace]": 1 - 61 / 396, "fraud_money_without[pace]": 40.0,
        "fraud_charged_back[own]": 2_000 / 52_000, "fraud_stopped_naive[own]": 90_000 / 92_000,
        "fraud_stopped_naive[rules_off]": 0.0,
        "fraud_stopped_estimated[own]": 1 - (2_250 / 0.99) / (250 / 0.01),
        "fraud_harmed[own]": 0.0, "fraud_challenges_passed[own/family]": 0.005, "fraud_challenges_passed[own]": 0.0005,
    }  # fmt: skip
    assert {name: found[name].value for name in expected} == pytest.approx(expected)
    assert all(found[name].unit_of_analysis == "world" and found[name].n == 20 for name in expected)
    assert "fraud_stopped[rules_off]" not in found
    assert "fraud_stopped_estimated[rules_off]" not in found


def test_no_harm_seen_is_not_proof_of_none(tmp_path: Path) -> None:
    """Twenty worlds of 900 without one harmed: the upper limit is that of 18 000 customers, not 0."""
    harmed = figures(tmp_path, worlds())["fraud_harmed[own/alone]"]
    assert harmed.low == 0.0
    assert harmed.high is not None and 1e-4 < harmed.high < 5e-4


def test_worlds_that_differ_widen_the_limit_of_harm(tmp_path: Path) -> None:
    """All harm in one world: customers counted alone would be surer than the worlds are."""
    tables = worlds()
    for account in tables["accounts"]:
        if account["world"] == 7 and account["kind"] == "alone":
            account["harmed"] = 90
    harmed = figures(tmp_path, tables)["fraud_harmed[own/alone]"]
    assert harmed.value == pytest.approx(0.005)
    assert harmed.high is not None and harmed.high > 0.012


def test_too_few_worlds_have_no_interval(tmp_path: Path) -> None:
    found = figures(tmp_path, worlds(9))
    for name in ("fraud_stopped[own]", "fraud_harmed[own]", "fraud_money[own]"):
        assert found[name].low is None and "worlds" in found[name].note


def test_nothing_without_accounts(tmp_path: Path) -> None:
    assert figures(tmp_path, {}) == {}


def test_the_interval_of_what_was_stopped_covers() -> None:
    """2 000 studies of 20 worlds with skewed takings: the 95 % interval of the ratio covers in about as many."""
    random, hits, studies = np.random.default_rng(3), 0, 2_000
    for _ in range(studies):
        off = random.gamma(6, 50, 20)
        under = off * random.beta(2, 30, 20)
        low, high, _ = RatioOfWorlds(tuple(zip(under.tolist(), off.tolist(), strict=True))).interval(0.95)
        assert low is not None and high is not None
        hits += low <= 2 / 32 <= high
    assert 0.92 <= hits / studies <= 0.97


# --- loss against friction --------------------------------------------------------------------------------------------
def test_the_front_and_the_choice() -> None:
    tight, loose, silly = Point("tight", 10.0, 0.02), Point("loose", 50.0, 0.001), Point("silly", 60.0, 0.02)
    middle = Point("middle", 20.0, 0.004)
    assert front([silly, tight, loose, middle]) == [loose, middle, tight]
    assert chosen([silly, tight, loose, middle]) == middle
    assert chosen([silly, tight]) is None


def test_the_choice_sees_odd_worlds_only(tmp_path: Path) -> None:
    """Lucky on odd worlds, the other policy is chosen; what is told of it is what even worlds say."""
    tables = worlds(10)
    for account in tables["accounts"]:
        if account["policy"] == "without_rule_pace" and account["kind"] == "bot":
            account["face"] = 0 if account["world"] % 2 else 90_000
    figures(tmp_path, tables)
    with Database(tmp_path) as database:
        policies = ["own", "rules_off", "without_rule_pace"]
        best, told = chosen(points(database, policies, ODD)), points(database, policies, EVEN)
    assert best is not None and best.policy == "without_rule_pace" and best.money == pytest.approx(6.0)
    assert {point.policy: point.money for point in told} == pytest.approx({"own": 21.0, "without_rule_pace": 906.0})


# --- the report -------------------------------------------------------------------------------------------------------
def test_the_section_says_what_the_tables_say(tmp_path: Path) -> None:
    policies = {"own": nothing, "rules_off": gentler, "without_rule_pace": gentler}
    folder = write_synthetic_comparison(tmp_path, policies=policies, truth=False)
    tables = worlds()
    for name in ("accounts", "rules", "by_coupon"):
        write_table(folder, name, tables[name])
    pair = {"world": 1, "policy": "own", "rule": "pace", "other": "script", "fraud": 7}
    write_table(folder, "rule_pairs", [row("rule_pairs", **pair)])
    write_table(folder, "rules", [{**said, "fired_fraud": 5} for said in tables["rules"]])
    with findings(folder) as opened:
        section = fraud_section(opened)
        html = "".join(f"<div>{part}</div>" for part in section.values())
        assert not Truth(opened).wrong(html)
    said = str(section["said"].striptags())
    assert "Under own fraud got ¥21" in said and "¥396.00 with the rules off" in said and "94.7" in said
    assert all(section[name] for name in ("kinds", "groups", "seen", "rules", "front"))
    for word in ("拦截率", "误伤率", "独有命中", "去除规则"):
        assert word in html
