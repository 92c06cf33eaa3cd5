"""What one run tells of fraud: figures reckoned by hand, and every number of the section has the query it came from."""

from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from results.fraud_truth_sections import told
from results.metrics import metrics
from results.query import Database
from results.report import render
from results.statistics import Estimate
from results.store import open_run, write_run
from tests.results.coupon_tables import columns, coupon_run
from tests.results.test_report import Page, wrong_numbers

COUNTS = (
    "asks", "accounts", "active", "denied", "held", "failed", "weaker", "harmed", "challenged", "passed", "crews",
    "persons", "face", "resale", "rewards", "costs", "honest", "refused", "let_through", "let_through_share",
)  # fmt: skip
RULE_COUNTS = (
    "judged", "fired", "answered", "not_judged", "fired_fraud", "fired_good", "alone_fraud", "alone_good",
    "answered_fraud", "answered_good", "stopped_fraud", "stopped_good", "alone_face_fraud", "alone_face_good",
)  # fmt: skip


def account(kind: str, truth: str, **counts: int) -> dict[str, Any]:
    return {"kind": kind, "truth": truth} | dict.fromkeys(COUNTS, 0) | counts


def rule(name: str, **counts: int) -> dict[str, Any]:
    return {"rule": name, "mode": "active", "answer": "deny"} | dict.fromkeys(RULE_COUNTS, 0) | counts


ACCOUNTS = [
    account("alone", "good", accounts=900, active=800, harmed=2, denied=2, passed=8),
    account("shared_tablet", "good", accounts=100, active=50, harmed=4, weaker=3, failed=1, passed=2),
    account("own", "good", accounts=3, active=0),
    account("bot", "fraud", accounts=60, crews=2, face=50_000, costs=60_000, honest=4_000, refused=90),
    account("scalper", "fraud", accounts=40, crews=1, resale=30_000, rewards=1_000, costs=20_000, refused=7),
]
RULES = [
    rule("script_user_agent", judged=200, fired_fraud=120, alone_fraud=100, stopped_fraud=240_000),
    rule("claims_per_ip", judged=300, not_judged=25, fired_fraud=10, fired_good=7, answered_good=4, stopped_fraud=500),
    rule("bot_pace", judged=0),
]
MANIFEST = {
    "attackers": ["scalper", "bot"],
    "groups": ["alone", "shared_tablet"],
    "rules": [row["rule"] for row in RULES],
}
BY_HAND = {
    "fraud_obtained": 460.00 + 310.00,
    "fraud_obtained[bot]": 460.00,
    "fraud_profit": -140.00 + 110.00,
    "fraud_profit[bot]": -140.00,
    "fraud_profit[scalper]": 110.00,
    "fraud_refused": 97,
    "fraud_refused[scalper]": 7,
    "good_harmed": 6 / 850,
    "good_harmed[shared_tablet]": 4 / 50,
    "good_challenged": 10 / 850,
    "fired_on_fraud": 130,
    "fired_on_fraud[bot_pace]": 0,
    "fired_on_good[claims_per_ip]": 7,
    "face_refused": 2_405.00,
    "face_refused[script_user_agent]": 2_400.00,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    manifest, tables = coupon_run()
    tables |= {"accounts": columns(ACCOUNTS), "rules": columns(RULES)}
    tables["rule_pairs"] = columns([{"rule": "script_user_agent", "other": "claims_per_ip", "fraud": 9, "good": 0}])
    return write_run(tmp_path_factory.mktemp("runs"), manifest | MANIFEST, tables)


@pytest.fixture(scope="module")
def found(run: Path) -> dict[str, Estimate]:
    return metrics(run)


@pytest.mark.parametrize("key", BY_HAND)
def test_a_figure_is_what_a_hand_reckons(key: str, found: dict[str, Estimate]) -> None:
    expected = BY_HAND[key]
    assert found[key].value == (expected if expected is None else pytest.approx(expected, rel=1e-12))
    assert found[key].low is None, "crews and customers meet the same rules: no interval over them"


def test_each_speaks_of_its_own(found: dict[str, Estimate]) -> None:
    said = {
        key: found[key].population for key in ("fraud_refused", "good_harmed[shared_tablet]", "face_refused[bot_pace]")
    }
    assert said == {
        "fraud_refused": "crew accounts of all kinds",
        "good_harmed[shared_tablet]": "good customers of shared_tablet",
        "face_refused[bot_pace]": "asks of bot_pace",
    }
    assert not {"good_harmed[bot]", "fraud_refused[alone]", "fired_on_fraud[bot]"} & set(found)


def test_the_answer_leads_and_names_whom_it_hit_most(run: Path) -> None:
    with Database(run) as database:
        section = told(database, open_run(run).manifest)
    words = " ".join(Markup(section).striptags().split())
    answer = (
        "Fraud got ¥770 with 100 accounts, which cost it ¥800. Rules harmed 0.71 % of the good customers who came; "
        "1.18 % had to pass a challenge. Hit most: shared tablets 共用平板, 8.0 % of them harmed."
    )
    assert words.replace("\u202f", " ").startswith(answer)


def test_every_number_of_the_report_is_that_of_its_query(run: Path) -> None:
    page = Page(render(run).read_text(encoding="utf-8"))
    assert "fraud-truth" in page.sections
    assert page.loose == []
    assert wrong_numbers(run) == []
