"""What changed since a baseline, in words: lines for a terminal and for JUnit, tables for a pull request."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from results.decision_changes import MONEY
from results.fraud_words import rule_name
from results.words import claim_answer, plain, reason

KINDS_MOST = 10  # that are told
COUNTS_MOST = 6
NOTHING = "nothing"
ANSWERED = {"pending": "asked for", "done": "done"}


def headline(found: Mapping[str, Any]) -> str:
    """How much changed."""
    if found["world"]:
        changed = ", ".join(f"{name} {was} → {now}" for name, (was, now) in found["world"].items())
        return f"another world than the baseline's ({changed}): its decisions cannot be compared one by one"
    customers, of = found["customers_with_another_decision"], found["customers"]
    if customers:
        meet = "meets" if customers == 1 else "meet"
        return (
            f"{customers:,} of the {of:,} customers of the baseline {meet} another decision; "
            f"{found['changed']:,} of {found['decisions']:,} decisions are no longer as they were"
        )
    if found["counts"]:
        return f"none of the {found['decisions']:,} decisions in the baseline changed, but counts of all customers did"
    return (
        f"none of the {found['decisions']:,} decisions in the baseline changed and no count, but the digest did: "
        "something else that is kept of customers or by the Ledger is another"
    )


def cause(found: Mapping[str, Any]) -> str:
    if not found["files"]:
        return "no file of the scenario changed: windtunnel itself decides otherwise"
    return f"changed since: {', '.join(found['files'])}"


def lines_of(found: Mapping[str, Any]) -> Iterator[str]:
    """All of it, the answer first."""
    yield headline(found)
    yield cause(found)
    for kind in islice(found.get("kinds", ()), KINDS_MOST):
        changed = f"{before(kind)} → {now(kind)}{money(kind)}"
        yield f"{people(kind)}: {event(kind)}: {changed}; {example(kind, found['zone'])}"
    rest = found.get("kinds", ())[KINDS_MOST:]
    if rest:
        yield f"{len(rest)} more kinds of first differences, {sum(kind['customers'] for kind in rest):,} customers"
    for row in found["counts"][:COUNTS_MOST]:
        yield f"all customers: {count_name(row)} {row['before']:,} → {row['now']:,}"
    if len(found["counts"]) > COUNTS_MOST:
        yield f"{len(found['counts']) - COUNTS_MOST} more counts changed"


def people(kind: Mapping[str, Any]) -> str:
    return f"{kind['customers']:,} customer{'s' if kind['customers'] != 1 else ''}"


def event(kind: Mapping[str, Any]) -> str:
    return plain(kind["event"])


def before(kind: Mapping[str, Any]) -> str:
    return side(kind, "before", 0)


def now(kind: Mapping[str, Any]) -> str:
    return side(kind, "now", 1)


def side(kind: Mapping[str, Any], name: str, at: int) -> str:
    """One side; where both say the same, what the example pays."""
    said = kind[name]
    if said is None:
        return NOTHING
    words = decided(said)
    if kind["matters"] == MONEY and kind["before"] == kind["now"]:
        paid, discount = kind["example"]["paid"][at] / 100, kind["example"]["discount"][at] / 100
        words += f", ¥{paid:,.2f} after ¥{discount:,.2f} off"
    return words


def decided(said: Mapping[str, str]) -> str:
    """What was decided, and why."""
    parts = []
    if said["answer"]:
        answer = ANSWERED.get(said["answer"]) or claim_answer(said["answer"])
        rule = f" by {rule_name(said['rule'])}" if said["rule"] else ""
        parts.append(f"{said['coupon']}: {answer}{rule}" if said["coupon"] else f"{answer}{rule}")
    if said["campaign"]:
        arm = f" ({said['arm']})" if said["arm"] and said["arm"] != "only" else ""
        parts.append(f"{said['campaign']}{arm}: {reason(said['reason'])}")
    if said["credited"]:
        parts.append(f"a goal of {said['credited']}")
    return ", ".join(parts) or NOTHING


def money(kind: Mapping[str, Any]) -> str:
    if not kind["yuan"]:
        return ""
    word = "more" if kind["yuan"] > 0 else "less"
    return f", ¥{abs(kind['yuan']):,.2f} {word} given away"


def example(kind: Mapping[str, Any], zone: str) -> str:
    found = kind["example"]
    at = datetime.fromtimestamp(found["time_ms"] / 1000, ZoneInfo(zone))
    return f"customer {found['customer']} on {at:%Y-%m-%d %H:%M:%S}"


def count_name(row: Mapping[str, Any]) -> str:
    word = {"messages": reason, "claims": claim_answer}.get(row["what"], plain)(row["word"])
    return f"{row['what']} of {row['of']}, {word}:" if row["what"] != "fraud rules" else f"{rule_name(row['of'])}:"


# --- Markdown ---------------------------------------------------------------------------------------------------------
def markdown(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{headline(found).capitalize()}; {cause(found)}."
    if found.get("kinds"):
        yield "\n| customers | event | before | now | for example |\n|---:|---|---|---|---|"
        for kind in found["kinds"][:KINDS_MOST]:
            cells = (f"{kind['customers']:,}", event(kind), before(kind), now(kind) + money(kind),
                     example(kind, found["zone"]))  # fmt: skip
            yield f"| {' | '.join(map(cell, cells))} |"
    if found["counts"]:
        yield "\n| all customers | before | now |\n|---|---:|---:|"
        for row in found["counts"][:COUNTS_MOST]:
            yield f"| {cell(count_name(row).rstrip(':'))} | {row['before']:,} | {row['now']:,} |"


def cell(text: str) -> str:
    """Text in a cell of a Markdown table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
