"""What an auditor is told of each candidate: the value that the rule compared, and the threshold.

Read from the reference engine at the state in which it tested, with the reference's own words for windows and facts.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engine.policy.campaign import Campaign, Cap, Caps
from engine.policy.conditions import FACTS, unit_of
from engine.policy.quantities import clock_text, duration_text, yuan_text
from engine.records import (
    DAY_MS,
    FIRST_PASSIVE_CHANNEL,
    HOUR_MS,
    MINUTE_MS,
    RESPONSE_ONE,
    SECOND_MS,
    SHARE_ONE,
    Channel,
    EventKind,
    Reason,
)
from engine.reference import (
    GENDERS,
    WEEKDAYS,
    Answer,
    Conditions,
    Exposure,
    OneEvent,
    Reference,
    bucket,
    channel_of,
    pairs,
    wall_clock,
)

NEVER_DAYS = 1_000_000  # longer than anything lasts: it never was, or never will be


@dataclass(frozen=True)
class Evidence:
    """One candidate: what was compared with what."""

    value: str
    threshold: str


class Witness(Reference):
    """The reference engine, with the evidence on the event it took last."""

    evidence: dict[int, Evidence]

    def count(self, taken: OneEvent, answer: Answer) -> None:
        """Called once the event is over: what it showed itself is set aside while the tests are looked at again."""
        super().count(taken, answer)
        ring = taken.customer["ring"]
        new = len(answer.ghosts) + (answer.decision["reason"] == Reason.SHOWN)
        taken.customer["ring"] = ring[: len(ring) - new]
        self.evidence = {slot: evidence(taken, slot, answer.reasons) for slot in answer.reasons}
        taken.customer["ring"] = ring


def evidence(taken: OneEvent, slot: int, reasons: dict[int, Reason]) -> Evidence:
    campaign, reason = taken.engine.campaign(slot), reasons[slot]
    if reason in TESTS:
        return Evidence(*TESTS[reason](taken, slot, campaign))
    return passed(taken, slot, reasons)


# --- the tests, in their order ----------------------------------------------------------------------------------------
Pair = tuple[str, str]  # value, threshold


def window(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
    limits = (("from", campaign.window.from_), ("before", campaign.window.until))
    return moment(taken, taken.t), " and ".join(f"{word} {day}" for word, day in limits if day is not None)


def bulletin(what: str) -> Callable[[OneEvent, int, Campaign], Pair]:
    """What the bulletin says of a campaign, and what it must say."""
    return lambda taken, slot, campaign: (f"not {what} in the bulletin", f"must be {what}")


def minor(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
    likely = ", likely a minor" if taken.customer["likely_minor"] else ""
    return f"age {taken.facts['age']}{likely}", f"at least {taken.policy.adult_age}, or a service message"


def consent(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
    given = sorted(Channel(number).name.lower() for number in taken.customer["consent"])
    return f"consents to {', '.join(given) or 'no channel'}", f"consent to {campaign.channel}"


def too_personal(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
    texts = (campaign.audience, campaign.trigger.when)
    read = " and ".join(f"`{text}`" for text in texts if taken.engine.conditions.is_personal(text))
    return f"personalisation is off, the campaign reads {read}", "personalisation on, or a campaign that reads no fact"


def condition(text_of: Callable[[Campaign], str | None]) -> Callable[[OneEvent, int, Campaign], Pair]:
    def test(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
        text = text_of(campaign) or ""
        conditions = taken.engine.conditions
        names = dict.fromkeys(blamed(conditions, conditions.tree(text), taken.facts))
        return ", ".join(f"{name} is {fact_text(taken, name)}" for name in names), f"must be `{' '.join(text.split())}`"

    return test


def protected(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
    return f"page {taken.page_name()}", f"none of {', '.join(taken.policy.protected_pages)}"


def closed(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
    return f"closed on page view {taken.event['page_view']}", "no message closed on this page view"


def dwell(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
    left = taken.event["kind"] == EventKind.PAGE_DWELL
    value = "the page was left" if left else "page just opened"
    return value, f"at least {duration_text(campaign.trigger.dwell or 0)} on it"


def muted(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
    return "the customer said “don't show again”", "never again"


def snoozed(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
    return moment(taken, taken.t), f"not before {moment(taken, taken.customer['snoozes'][slot])}"


def quiet(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
    hours = taken.policy.fatigue.quiet_hours
    assert hours is not None
    clock = f"{wall_clock(taken.t, taken.zone):%H:%M:%S}"
    return clock, f"not from {clock_text(hours.from_)} until {clock_text(hours.until)}"


def resting(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
    rule = taken.policy.fatigue.back_off
    closes = "" if rule is None else f", after {rule.closes} close{'s' if rule.closes > 1 else ''} in a row"
    return moment(taken, taken.t), f"not before {moment(taken, taken.customer['rest_until'])}{closes}"


def cool_down(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
    last = max((past for past in taken.counting() if past["slot"] == slot), key=lambda past: int(past["time"]))
    how = "held out" if last["ghost"] else "shown"
    least = duration_text(campaign.frequency.cool_down)
    return f"last {how} {span_text(taken.t - last['time'])} ago", f"at least {least}"


def campaign_cap(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
    return capped(taken, campaign.frequency.caps, [past for past in taken.counting() if past["slot"] == slot])


def channel_cap(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
    past = [past for past in taken.counting() if not past["ghost"] and past["channel"] == channel_of(campaign)]
    return capped(taken, taken.policy.fatigue.channels[campaign.channel].caps, past)


def total_cap(taken: OneEvent, slot: int, campaign: Campaign) -> Pair:
    real = [past for past in taken.counting() if not past["ghost"] and past["channel"] < FIRST_PASSIVE_CHANNEL]
    return capped(taken, taken.policy.fatigue.caps, real)


def capped(taken: OneEvent, caps: Caps, past: list[Exposure]) -> Pair:
    """Every cap that is reached."""
    reached = [(taken.in_window(cap, past), cap) for cap in caps if taken.in_window(cap, past) >= cap.most]
    return (
        " and ".join(f"{count} in {span_of(cap)}" for count, cap in reached),
        " and ".join(f"at most {cap.most}" for _, cap in reached),
    )


def span_of(cap: Cap) -> str:
    return f"this {cap.per}" if isinstance(cap.per, str) else duration_text(cap.per)


TESTS: dict[Reason, Callable[[OneEvent, int, Campaign], Pair]] = {
    Reason.OUTSIDE_WINDOW: window,
    Reason.PAUSED: bulletin("open"),
    Reason.BLOCKED: lambda taken, slot, campaign: ("the account is blocked", "an account that is not"),
    Reason.MINOR: minor,
    Reason.NO_CONSENT: consent,
    Reason.PERSONALISATION_OFF: too_personal,
    Reason.NOT_IN_AUDIENCE: condition(lambda campaign: campaign.audience),
    Reason.CONDITION: condition(lambda campaign: campaign.trigger.when),
    Reason.PROTECTED_PAGE: protected,
    Reason.CLOSED_ON_PAGE: closed,
    Reason.DWELL: dwell,
    Reason.MUTED: muted,
    Reason.SNOOZED: snoozed,
    Reason.QUIET_HOURS: quiet,
    Reason.BACK_OFF: resting,
    Reason.COOL_DOWN: cool_down,
    Reason.CAMPAIGN_CAP: campaign_cap,
    Reason.CHANNEL_CAP: channel_cap,
    Reason.TOTAL_CAP: total_cap,
    Reason.OUT_OF_STOCK: bulletin("in stock"),
    Reason.BUDGET: bulletin("within budget"),
}


# --- those that passed all tests --------------------------------------------------------------------------------------
def passed(taken: OneEvent, slot: int, reasons: dict[int, Reason]) -> Evidence:
    """Rank against the one before it, and the lot of the holdout."""
    rivals = [other for other, reason in reasons.items() if reason not in TESTS]
    ranked = taken.ranked(rivals)
    if reasons[slot] is Reason.LOST_ARBITRATION:
        first = ranked[0]
        return Evidence(rank_text(taken, slot), f"first was {taken.engine.names[first]}: {rank_text(taken, first)}")
    lots = list(lots_of(taken, slot))
    if reasons[slot] is Reason.HELD_OUT:
        lots = [(place, name, share) for place, name, share in lots if place < share][:1]
    value = [rank_text(taken, slot), *(f"{name} lot {place:,} of {SHARE_ONE:,}" for place, name, _ in lots)]
    return Evidence(", ".join(value), " and ".join(f"held out below {share:,}" for *_, share in lots))


def rank_text(taken: OneEvent, slot: int) -> str:
    score = f"{taken.score(slot) / RESPONSE_ONE:,.4f}".rstrip("0").rstrip(".")
    return f"priority {taken.engine.campaign(slot).priority}, score {score} fen"


def lots_of(taken: OneEvent, slot: int) -> Iterator[tuple[int, str, int]]:
    """(bucket, whose holdout, share) of every holdout that the campaign stands under."""
    engine, policy = taken.engine, taken.policy
    name, campaign, universal = engine.names[slot], engine.campaign(slot), policy.universal_holdout
    customer = taken.event["customer"]
    if universal is not None and campaign.purpose != "service":
        salt = universal.salt or f"{policy.policy}/universal"
        yield bucket(salt, engine.replication, customer), "universal", universal.share
    if campaign.holdout is not None:
        salt = campaign.holdout.salt or f"{policy.policy}/{name}/holdout"
        yield bucket(salt, engine.replication, customer), "campaign's", campaign.holdout.share


# --- facts ------------------------------------------------------------------------------------------------------------
def blamed(conditions: Conditions, node: ast.expr, facts: dict[str, int]) -> Iterator[str]:
    """The facts that made a condition what it is: of `a and b` the part that failed, of `a or b` all that did."""
    match node:
        case ast.BoolOp():
            settles = isinstance(node.op, ast.Or)
            deciding = [part for part in node.values if conditions.truth(part, facts) is settles]
            for part in deciding[:1] or node.values:
                yield from blamed(conditions, part, facts)
        case ast.UnaryOp(op=ast.Not()):
            yield from blamed(conditions, node.operand, facts)
        case ast.Name() if node.id not in FACTS:
            yield from blamed(conditions, conditions.tree(conditions.policy.segments[node.id]), facts)
        case ast.Compare():
            for left, _, right in pairs(node):
                of = conditions.fact_of(left, right)
                yield from (name for part in (left, right) for name in read_by(part, of, conditions))
        case _:
            yield from read_by(node, "", conditions)


def read_by(node: ast.expr, of: str, conditions: Conditions) -> Iterator[str]:
    """Facts in one side of a comparison."""
    if isinstance(node, ast.Name) and node.id in FACTS and not conditions.is_word(node, of):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield f"tag.{node.attr}"


def fact_text(taken: OneEvent, name: str) -> str:
    """A fact's value as a policy would write it."""
    value, names = taken.facts[name], taken.policy.names
    words = {"page": names.pages, "city": names.cities, "home_city": names.cities, "tier": names.tiers,
             "gender": GENDERS, "weekday": ("", *WEEKDAYS)}  # fmt: skip
    if name in words:
        return words[name][value] if 0 <= value < len(words[name]) else "unknown"
    unit = "truth" if name.startswith("tag.") else unit_of(FACTS[name])
    if unit == "truth":
        return "true" if value else "false"
    if unit == "money":
        return f"{'-' if value < 0 else ''}{yuan_text(abs(value))}"
    if unit == "duration":
        return duration_text(value)
    return "never" if unit == "days" and value >= NEVER_DAYS else f"{value:,}"


# --- time -------------------------------------------------------------------------------------------------------------
def moment(taken: OneEvent, time_ms: int) -> str:
    return f"{wall_clock(time_ms, taken.zone):%Y-%m-%d %H:%M:%S}"


def span_text(ms: int) -> str:
    """A length of time in its two largest units, rounded down."""
    sizes = (("d", DAY_MS), ("h", HOUR_MS), ("min", MINUTE_MS), ("s", SECOND_MS))
    largest = next((n for n, (_, size) in enumerate(sizes) if ms >= size), len(sizes))
    words = ""
    for unit, size in sizes[largest : largest + 2]:
        count, ms = divmod(ms, size)
        words += f" {count}{unit}" if count else ""
    return words.strip() or "less than 1s"
