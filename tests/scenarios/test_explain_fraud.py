"""What each level is told of fraud rules: a category and where to appeal; a family; rule, value and threshold."""

import re

import numpy as np
import pytest

from engine.coupon_records import Answer
from engine.policy.fraud import core_rules
from engine.records import EventKind
from results.fraud_words import FAMILIES, RULES, rule_family, rule_name
from results.store import Run
from scenarios.explain import EVENTS, explanation, lines_of
from scenarios.explain_fraud import threshold, value
from scenarios.explain_levels import LEVELS
from tests.scenarios.test_replay_fraud import CUSTOMERS, run  # noqa: F401  the fixture


def test_every_core_rule_has_a_family_and_both_names() -> None:
    assert [*RULES] == [*core_rules()]
    for family, english, chinese in RULES.values():
        assert family in FAMILIES
        assert re.search("[\u4e00-\u9fff]", chinese) and english.isascii()
    assert {family for family, *_ in RULES.values()} | {"own"} == set(FAMILIES)
    assert len({names[1:] for names in RULES.values()}) == len(RULES)
    assert rule_name("bot_pace") == "the pace of a machine 机器速率"
    assert rule_family("codes_per_device") == "a rule of this policy 自定义规则"


def test_every_core_rule_tells_value_and_threshold() -> None:
    """Of rules of the shard that count, the count comes from the reference engine: see below."""
    for name, row in core_rules().items():
        assert re.search("[a-z]", threshold(row)), name
        if row.check != "count":
            assert re.search("[a-z]", value(row, None, {}, 0)), name  # type: ignore[arg-type]
        elif row.more_than is not None:
            assert f"at most {row.more_than} of" in threshold(row)


def test_every_event_can_be_told() -> None:
    nobodys = {EventKind.NO_EVENT, EventKind.FIRST_USE, EventKind.ORDER_UNPAID}
    assert set(EventKind) - set(EVENTS) == nobodys


def refused(run: Run) -> list[int]:  # noqa: F811
    """Customers whom a rule denied something, at once or at the Ledger."""
    events, receipts = run.table("events"), run.table("receipts")
    settlements = run.table("settlements")
    steps = np.repeat(np.concatenate([[0], np.cumsum(settlements["asks"])[:-1]]), settlements["events"])
    asks = events["ask"] >= 0
    found = receipts["rule"][(events["ask"] + steps)[asks]] >= 0
    replies = run.table("replies")
    told = replies["customer"][(replies["rule"] >= 0) & (replies["answer"] == Answer.DENIED)]
    return sorted({c for c in [*events["customer"][asks][found].tolist(), *told.tolist()] if c < CUSTOMERS})


MAY = {
    "customer": ("a rule protects customers, or an account", "If you think that is wrong: Mine, Appeal"),
    "support": ("rule family: ", "denied as suspicious"),
    "auditor": ("rule ", "at most ", "; deny"),
}
MUST_NOT = {
    "customer": r"rule family|device|suspicious|at most|[\u4e00-\u9fff]|" + "|".join(RULES),
    "support": r"at most|" + "|".join(RULES),
    "auditor": "None|Traceback",
}


@pytest.mark.parametrize("level", LEVELS)
def test_what_each_level_says_of_a_refusal(level: str, run: Run) -> None:  # noqa: F811
    customers = refused(run)
    assert customers
    texts = ["\n".join(lines_of(explanation(run.folder, customer, level))) for customer in customers]
    for words in MAY[level]:
        assert any(words in text for text in texts), words
    for text in texts:
        coupons = text[text.index("coupons") :] if "coupons" in text else text
        leak = re.search(MUST_NOT[level], coupons)
        assert leak is None, (leak, coupons)


def test_an_auditor_reads_the_count_of_a_rule_by_customer(run: Run) -> None:  # noqa: F811
    """What the shard counted is told as a number, above the threshold; what the Ledger counted as more than that."""
    told = []
    for customer in refused(run):
        rows = explanation(run.folder, customer, "auditor")["coupons"]
        told += [row["fraud"] for row in rows if row["fraud"] and row["fraud"]["rule"]]
    assert told
    for fraud in told:
        row = core_rules()[fraud["rule"]]
        assert fraud["rule"] in fraud["fired"]
        number = re.match(r"(\d+) ", fraud["value"])
        if number:
            assert int(number[1]) > (row.more_than or 0)
