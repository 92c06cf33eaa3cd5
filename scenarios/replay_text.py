"""A replay as lines to read: the answer first, the command that simulates both last."""

import shlex
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import groupby
from typing import Any

from results.words import reason
from scenarios.replay_coupon_text import coupon_lines, money_words
from scenarios.replay_fraud import fraud_lines, fraud_sentence
from scenarios.replay_table import percent, table

KINDS_MOST = 12  # kinds of first differences told; --json has them all
DAYS_MOST = 21  # days told one by one; more are told by calendar week
THIN_BAR = 30  # letters of the longest bar


def lines_of(found: Mapping[str, Any]) -> Iterator[str]:
    """A replay, from what `replay` found."""
    if "other_policy" not in found:
        yield from met_again(found)
        return
    yield from answer(found)
    if found["first_divergences"]:
        for heading, block in (
            ("First differences: what the policy alone changes", kinds),
            ("By campaign: customers whose first difference", campaigns),
            ("By segment at launch", segments),
            ("By day of the first difference", days),
        ):
            yield f"\n{heading}"
            yield from block(found)
        yield f"\n{later_words(found)}"
    yield from others(found)
    if found["coupons"] is not None:
        yield from coupon_lines(found["coupons"])
    if found["fraud"] is not None:
        yield from fraud_lines(found["fraud"])
    if found["cannot_answer"]:
        yield "\nWhat the recording cannot answer"
        yield from (f"  - {sentence}" for sentence in found["cannot_answer"])
    yield "\nA replay tells decisions, and nothing of what comes of them. This simulates both policies:"
    yield found["command"]


def met_again(found: Mapping[str, Any]) -> Iterator[str]:
    settled = f", {found['settlements']:,} settlements with every reply" if found["settlements"] else ""
    yield f"{found['run_id']} is met again: {found['events']:,} decisions{settled}, and the digest {found['digest']}."
    policy = shlex.join(["windtunnel", "replay", found["run"], "--policy", "other.yaml"])
    yield f"Another policy on the same events: {policy}"


def answer(found: Mapping[str, Any]) -> Iterator[str]:
    """The two sentences that a reader came for."""
    changed, customers = found["customers_with_a_different_decision"], found["customers"]
    if not changed and found["coupons"] and found["coupons"]["customers_with_another_answer_or_price"]:
        moved = found["coupons"]["customers_with_another_answer_or_price"]
        get = "gets" if moved == 1 else "get"
        yield (
            f"{moved:,} of {customers:,} customers ({percent(moved, customers)}) {get} another answer or another price "
            f"for their coupons under {found['other_policy']}; the messages they see are the same."
        )
        yield money_words(found["coupons"])
        return
    if not changed and found["fraud"] and found["fraud"]["asks_answered_otherwise"]:
        yield f"No customer sees another message under {found['other_policy']}, and coupons are answered as they were."
        yield fraud_sentence(found["fraud"])
        return
    if not changed:
        yield f"None of {customers:,} customers meets a different decision under {found['other_policy']}."
        yield f"All {found['decisions']:,} decisions since launch show what they showed."
        return
    meet = "meets" if changed == 1 else "meet"
    yield (
        f"{changed:,} of {customers:,} customers ({percent(changed, customers)}) {meet} a different decision under "
        f"{found['other_policy']}; all others see what they saw."
    )
    yield (
        f"{found['different_decisions']:,} of {found['decisions_that_could_show']:,} decisions since launch that could "
        f"show a message are different: {changed:,} first ones, {found['later_divergences']:,} later ones."
    )


# --- blocks -----------------------------------------------------------------------------------------------------------
def kinds(found: Mapping[str, Any]) -> Iterator[str]:
    told = found["first_divergences"][:KINDS_MOST]
    rows = [("customers", "share", "before", "after", "for example")]
    for kind in told:
        at = kind["example"]["at"]
        example = f"customer {kind['example']['customer']}, {at[:10]} {at[11:19]}"
        share = f"{100 * kind['share']:.1f} %"
        rows.append((f"{kind['customers']:,}", share, side(kind["before"]), f"→ {side(kind['after'])}", example))
    yield from table(rows, "rr")
    rest = found["first_divergences"][KINDS_MOST:]
    if rest:
        yield f"  {len(rest)} kinds more, {sum(kind['customers'] for kind in rest):,} customers: --json has them all"
    number = str(told[0]["example"]["customer"])
    yield f"  All that one of them met: {shlex.join(['windtunnel', 'explain', found['run'], '--customer', number])}"


def side(told: Mapping[str, Any]) -> str:
    """One decision in words: the campaign it speaks of, and its reason."""
    arm = f" ({told['arm']})" if told["arm"] else ""
    return f"{told['campaign']}{arm}: {reason(told['reason'])}" if told["campaign"] else reason(told["reason"])


def campaigns(found: Mapping[str, Any]) -> Iterator[str]:
    names = ("no_longer_shown", "newly_shown", "another_arm")
    rows = [("", "takes its message away", "brings its message", "changes its arm")]
    rows += [(row["campaign"], *(f"{row[name]:,}" for name in names)) for row in found["by_campaign"]]
    yield from table(rows, "lrrr")


def segments(found: Mapping[str, Any]) -> Iterator[str]:
    rows = [("", "customers", "with a difference", "share")]
    for row in found["by_segment"]:
        changed, everyone = row["customers_with_a_different_decision"], row["customers"]
        rows.append((row["segment"], f"{everyone:,}", f"{changed:,}", percent(changed, everyone) if everyone else "–"))
    yield from table(rows, "lrrr")


def days(found: Mapping[str, Any]) -> Iterator[str]:
    counts = [(row["day"], row["customers"]) for row in found["by_day"]]
    if len(counts) > DAYS_MOST:
        weeks = groupby(counts, lambda row: monday(row[0]))
        counts = [(f"week of {week}", sum(count for _, count in rows)) for week, rows in weeks]
    most = max(count for _, count in counts)
    yield from table([(name, f"{count:,}", "█" * -(-THIN_BAR * count // most)) for name, count in counts], "lr")


def monday(day: str) -> str:
    when = date.fromisoformat(day)
    return (when - timedelta(days=when.weekday())).isoformat()


# --- sentences --------------------------------------------------------------------------------------------------------
def later_words(found: Mapping[str, Any]) -> str:
    return (
        f"{found['later_divergences']:,} later differences mean less: after a customer's first one the recorded events "
        "belong to another world, and what is decided on them is not what this customer would have met."
    )


def others(found: Mapping[str, Any]) -> Iterator[str]:
    """Differences that no customer sees."""
    unseen = found["another_reason"]["before_any_divergence"]
    if unseen:
        yield (
            f"{unseen:,} more decisions only have another reason, before any difference: nothing was shown, and "
            "nothing is."
        )
