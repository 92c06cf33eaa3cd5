"""Findings on what customers read and are promised: newcomer offers, scarcity, credit. Most are questions for counsel."""

import re
from collections.abc import Iterator

from engine.policy.contradictions import facts_read
from engine.policy.findings import Finding, creatives, is_marketing
from engine.policy.tables import CompiledPolicy
from engine.records import Fact

NEWCOMER_DAYS = 30
_NEWCOMER_FACTS = {Fact.DAYS_SINCE_JOINED, Fact.CARD_USED, Fact.PURCHASES}
_SCARCITY = re.compile(
    r"\b(only\s+\d+|last\s+(\d+|chance|days?|hours?|pieces?|call)|first\s+\d+\s+(customers|people|orders)"
    r"|limited\s+(time|quantity|offer|edition|stock)|while\s+(stocks?|supplies)\s+last|almost\s+gone|selling\s+out"
    r"|hurry|countdown|ends\s+(today|tonight|soon))\b"
    r"|仅剩|只剩|限量|最后\s*\d*|抢完|售完|先到先得|倒计时|即将结束|手慢无|前\s*\d+\s*名",
    re.IGNORECASE,
)
_INSTALMENT = re.compile(r"\binstal?lments?\b|\bpay\s+later\b|\bmonthly\s+payments?\b|分期|免息|先用后付", re.IGNORECASE)
_INSTALMENT_TOPIC = re.compile(r"instal?lment|pay_later|loan|fenqi")


def newcomer_offers(compiled: CompiledPolicy) -> Iterator[Finding]:
    """W09"""
    for name, campaign in compiled.policy.campaigns.items():
        row = compiled.tables.campaigns[compiled.registry.slots[name]]
        facts = facts_read(compiled.tables.steps, int(row["audience"]))
        if not (is_marketing(campaign) and campaign.reward > 0 and facts & _NEWCOMER_FACTS):
            continue
        window = campaign.window
        if window.until is None:
            problem = "has no published end"
        elif window.from_ is not None and (window.until - window.from_).days > NEWCOMER_DAYS:
            problem = f"runs {(window.until - window.from_).days} days, more than {NEWCOMER_DAYS}"
        else:
            continue
        yield Finding(
            "W09", "ask", f"campaigns.{name}.window",
            f"{problem}, and the offer is for new customers only: others pay more for the same thing meanwhile",
            f"ask counsel, or set an end within {NEWCOMER_DAYS} days",
        )  # fmt: skip


def scarcity_words(compiled: CompiledPolicy) -> Iterator[Finding]:
    """W10"""
    for name, campaign in compiled.policy.campaigns.items():
        for path, creative in creatives(name, campaign):
            match = _SCARCITY.search(creative.text)
            if match:
                yield Finding(
                    "W10", "ask", f"{path}.text",
                    f"says {match[0]!r}, and no stock or validity in the policy backs it",
                    "ask counsel, or drop the words: scarcity must be true",
                )  # fmt: skip


def instalments_without_rate(compiled: CompiledPolicy) -> Iterator[Finding]:
    """W11"""
    for name, campaign in compiled.policy.campaigns.items():
        for path, creative in creatives(name, campaign):
            match = _INSTALMENT.search(creative.text)
            word = match[0] if match else campaign.topic if _INSTALMENT_TOPIC.search(campaign.topic) else None
            if word and not creative.annual_rate:
                yield Finding(
                    "W11", "error", f"{path}.annual_rate",
                    f"is not given, and the message is about credit ({word!r})",
                    "state the annual rate in the creative",
                )  # fmt: skip
