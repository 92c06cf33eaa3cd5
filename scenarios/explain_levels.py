"""Who is told what of a decision: the customer a category and whom to ask, support the family of the rule, the auditor
the rule with the value it compared and the threshold.

Whoever probes the engine from outside sees what a customer is told. So that level names no campaign, no limit, no lot
and no number, and says each thing once, in an order of its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.records import Channel, EventKind, Reason
from engine.reference import Answer

LEVELS = ("customer", "support", "auditor")

# Reason → family, for support.
FAMILIES = {
    Reason.OUTSIDE_WINDOW: "schedule",
    Reason.PAUSED: "schedule",
    Reason.BLOCKED: "account",
    Reason.MINOR: "law",
    Reason.NO_CONSENT: "consent",
    Reason.PERSONALISATION_OFF: "consent",
    Reason.NOT_IN_AUDIENCE: "audience",
    Reason.CONDITION: "audience",
    Reason.PROTECTED_PAGE: "page",
    Reason.CLOSED_ON_PAGE: "page",
    Reason.DWELL: "page",
    Reason.MUTED: "customer's wish",
    Reason.SNOOZED: "customer's wish",
    Reason.QUIET_HOURS: "quiet hours",
    Reason.BACK_OFF: "frequency",
    Reason.COOL_DOWN: "frequency",
    Reason.CAMPAIGN_CAP: "frequency",
    Reason.CHANNEL_CAP: "frequency",
    Reason.TOTAL_CAP: "frequency",
    Reason.OUT_OF_STOCK: "supply",
    Reason.BUDGET: "supply",
    Reason.LOST_ARBITRATION: "competition",
    Reason.HELD_OUT: "measurement",
    Reason.SHOWN: "shown",
}

# Family → what a customer is told; several families are one sentence where telling them apart would teach a limit,
# a lot or a suspicion. Told in this order.
CATEGORIES = {
    "You had asked for it, or not allowed it.": ("consent", "customer's wish"),
    "It was not the right moment or place.": ("page", "quiet hours"),
    "You should not be disturbed too often.": ("frequency",),
    "It was meant for customers in another situation.": ("audience",),
    "A rule protects customers, or an account.": ("law", "account"),
    "Nothing was on offer at that moment.": ("schedule", "supply", "competition", "measurement"),
}

CHANNEL_WORDS = {
    Channel.POPUP: "a pop-up",
    Channel.PUSH: "a push message",
    Channel.SMS: "an SMS",
    Channel.EMAIL: "an e-mail",
    Channel.VOICE: "a call",
    Channel.INBOX: "a message in your inbox",
    Channel.CAROUSEL: "a banner in the app",
    Channel.CAMPAIGN_PAGE: "an offer on a page of its own",
}
ON_PAGES = (EventKind.PAGE_VIEW, EventKind.PAGE_DWELL, EventKind.SLOT_VIEW)
OCCASIONS = {EventKind.MOMENT: "on a day of the calendar", EventKind.LOGIN: "when you logged in"}
ON_A_PAGE, AFTER_SOMETHING_DONE = "on a page that you had opened", "after something that you had done"


def occasion(kind: EventKind) -> str:
    return ON_A_PAGE if kind in ON_PAGES else OCCASIONS.get(kind, AFTER_SOMETHING_DONE)


def customer_view(answers: Iterable[Answer], personal: Mapping[int, bool], provider: str) -> dict[str, Any]:
    """What a customer is told of all decisions; `personal`: slots of campaigns that read facts about the customer."""
    shown: set[str] = set()
    families: set[str] = set()
    by_knowledge = False
    for answer in answers:
        decision = answer.decision
        if decision["reason"] == Reason.SHOWN:
            what = CHANNEL_WORDS[Channel(decision["channel"])]
            shown.add(f"You were shown {what} {occasion(EventKind(decision['kind']))}.")
            by_knowledge |= personal[decision["campaign"]]
        families.update(FAMILIES[reason] for reason in answer.reasons.values())
    return {
        "level": "customer",
        "provider": provider,
        "shown": sorted(shown),
        "by_what_is_known": by_knowledge,
        "not_shown": [sentence for sentence, of in CATEGORIES.items() if families & set(of)],
        "ask": f"Ask {provider} why, object, or choose what you receive. A person looks at it.",
    }


def customer_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The customer's level as lines to read."""
    yield f"Messages from {found['provider']}"
    yield from (f"  {sentence}" for sentence in found["shown"] or ["You were shown none."])
    if found["by_what_is_known"]:
        known = f"Some were chosen by what {found['provider']} knows of you."
        yield f"  {known} You can switch that off in the settings: personalisation."
    if found["not_shown"]:
        yield "Why you were not shown others, or not at once"
        yield from (f"  {sentence}" for sentence in found["not_shown"])
    if found.get("coupons"):
        yield "Your coupons"
        yield from (f"  {sentence}" for sentence in found["coupons"])
    if found.get("appeal"):
        yield f"If you think that is wrong: {found['appeal']}"
    yield found["ask"]
