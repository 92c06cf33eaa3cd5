"""What fraud rules said of an ask, to be explained: the family for support; rule, value and threshold for an auditor.

The customer is told a category and where to appeal, whatever the rule: who probes the engine learns no more from it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from engine.fraud_records import Home
from engine.policy.document import Policy
from engine.policy.fraud_rules import RuleRow
from engine.policy.quantities import duration_text, yuan_text
from engine.records import NONE, SHARE_ONE
from engine.reference_fraud import Watch
from results.fraud_words import rule_family, rule_name

Told = dict[str, Any]


def fraud_told(policy: Policy, rules: Mapping[int, str], said: Mapping[str, int], watch: Watch, t: int) -> Told | None:
    """What rules did with an ask, from its receipt or reply; None where none of them fired."""
    fired = [name for slot, name in rules.items() if said["fired"] >> slot & 1]
    name = rules.get(said["rule"]) if said["rule"] != NONE else None
    if not fired or name is None:
        return {"rule": None, "fired": fired} if fired else None
    row = policy.fraud.rows()[name]
    return {
        "rule": name, "name": rule_name(name), "family": rule_family(name), "answer": row.answer, "fired": fired,
        "value": value(row, watch, said, t), "threshold": threshold(row),
    }  # fmt: skip


def value(row: RuleRow, watch: Watch, said: Mapping[str, int], t: int) -> str:
    """What was compared. What the Ledger counts it counts of all customers: of one customer's recording it is known
    that it was more."""
    if row.check != "count" or row.home == Home.LEDGER:
        return fired_value(row)
    what = counted_things(row)
    rule = watch.fraud.rules[said["rule"]]
    return f"{watch.past.amount(rule, said['customer'], t)} {what}"


def fired_value(row: RuleRow) -> str:
    """What was compared, as far as a rule that fires says it by itself."""
    return TESTS[row.check](row)[0] if row.check != "count" else f"more than {row.more_than} {counted_things(row)}"


def counted_things(row: RuleRow) -> str:
    return f"different {row.different}s" if row.different else "events"


def threshold(row: RuleRow) -> str:
    if row.check != "count":
        return TESTS[row.check](row)[1]
    counted = ", ".join(row.count or [])
    granted = " that were granted" if row.granted else ""
    return f"at most {row.more_than} of {counted}{granted} per {row.per}{within(row)}"


def within(row: RuleRow) -> str:
    if row.within is None:
        return ""
    return " a day" if row.within == "day" else f" within {duration_text(int(row.within))}"


def lasting(row: RuleRow) -> str:
    return duration_text(int(row.within or 0))


# Test of its own: what was found, and what must be.
TESTS: dict[str, Callable[[RuleRow], tuple[str, str]]] = {
    "young_account": lambda row: (
        f"joined less than {lasting(row)} ago", f"a coupon worth less than {yuan_text(row.worth or 0)} yuan"),
    "self_referral": lambda row: (
        "inviter and invitee share something", "no device, card, address, or IP address within 10min, in common"),
    "referral_cycle": lambda row: (
        "the invitee is among the inviter's inviters", "not among the first four levels of them"),
    "after_decline": lambda row: ("a payment was just declined", f"at least {lasting(row)} after it"),
    "travel": lambda row: (
        "farther than one can have come", f"at most {row.metres:,} m from the last city, or 1,000 km an hour"),
    "region": lambda row: ("a city outside the coupon's regions", "one of its regions"),
    "listed": lambda row: ("on the block list", "on none"),
    "ip_range": lambda row: ("an IP address of `proxies`", "none of its ranges"),
    "pace": lambda row: (
        f"more than {row.more_than} asks{within(row)}", f"at least {duration_text(row.gap or 0)} apart on average"),
    "no_browsing": lambda row: (
        f"more than {row.more_than} claims, at most {row.views} page views{within(row)}", "more page views"),
    "script": lambda row: ("the user agent is a script", "an app or a browser"),
    "collusion": lambda row: (
        "members share a device or address", f"at most {(row.share or 0) * 100 // SHARE_ONE}% of the group"),
}  # fmt: skip


def fraud_words(told: Mapping[str, Any], level: str) -> str:
    """In one line, as far as a level tells it."""
    if level == "auditor":
        others = [name for name in told["fired"] if name != told["rule"]]
        beside = f"; fired, too: {', '.join(others)}" if others else ""
        if told["rule"] is None:
            return f"rules fired and did not answer: {', '.join(others)}"
        return f"rule {told['rule']}, {told['name']}: {told['value']}; {told['threshold']}; {told['answer']}{beside}"
    return f"rule family: {told['family']}"
