"""Findings on campaigns that no customer can ever be shown, or be shown again."""

from collections.abc import Iterator

from engine.policy.calendar_days import quiet_minutes
from engine.policy.campaign import Campaign
from engine.policy.contradictions import FactKey, Possible, can_hold
from engine.policy.document import Moment, Policy
from engine.policy.findings import Finding
from engine.policy.quantities import clock_text, duration_text
from engine.policy.tables import CompiledPolicy
from engine.records import ACCEPT, DAY_MS, FIRST_PASSIVE_CHANNEL, NEVER_MS, REJECT, Channel, Fact

AGE_MAX = 9_999  # an unknown birth date reads as the year itself
SCORES_MAX = 9
_NONE_OR_MORE = (
    Fact.AMOUNT, Fact.DWELL_MS, Fact.POINTS, Fact.POINTS_EXPIRE_IN, Fact.DAYS_SINCE_JOINED, Fact.DAYS_SINCE_LOGIN,
    Fact.DAYS_SINCE_PURCHASE, Fact.PURCHASES_13W, Fact.SPEND_13W, Fact.PURCHASES,
)  # fmt: skip


def is_marketing(campaign: Campaign) -> bool:
    return campaign.purpose != "service"


def uses_attention(campaign: Campaign) -> bool:
    return Channel[campaign.channel.upper()] < FIRST_PASSIVE_CHANNEL


def open_pages(policy: Policy, campaign: Campaign) -> set[int]:
    """Numbers of the pages on which a campaign may be shown; -1 stands for events without a page."""
    names = campaign.trigger.pages
    numbers = {policy.names.pages.index(page) for page in names} if names else set(range(-1, len(policy.names.pages)))
    return numbers - {policy.names.pages.index(page) for page in policy.protected_pages}


def what_facts_can_be(policy: Policy, campaign: Campaign) -> dict[FactKey, Possible]:
    """Facts at the moment a campaign is tested, before its own conditions are read."""
    limits = {
        Fact.HOUR: (0, 23),
        Fact.WEEKDAY: (1, 7),
        Fact.DAY_OF_MONTH: (1, 31),
        Fact.AGE: (policy.adult_age if is_marketing(campaign) else 0, AGE_MAX),
        **dict.fromkeys((Fact.R_SCORE, Fact.F_SCORE, Fact.M_SCORE), (1, SCORES_MAX if policy.rfm else 1)),
        **dict.fromkeys((Fact.CARD_ACTIVE, Fact.CARD_USED, Fact.HIGH_RISK), (0, 1)),
        **dict.fromkeys(_NONE_OR_MORE, (0, NEVER_MS)),
    }
    world = {(int(fact), 0): Possible(low, high) for fact, (low, high) in limits.items()}
    world |= {(int(Fact.TAG), number): Possible(0, 1) for number in range(len(policy.names.tags))}
    world[int(Fact.PAGE), 0] = Possible().among(sorted(open_pages(policy, campaign)))
    return world


def never_shown(compiled: CompiledPolicy) -> Iterator[Finding]:
    """W16: what only a look at conditions, trigger and calendar together shows."""
    for name, campaign in compiled.policy.campaigns.items():
        for below, why, advice in obstacles(compiled, name, campaign):
            yield Finding("W16", "error", f"campaigns.{name}.{below}", f"{name} can never be shown: {why}", advice)
        for number, arm in enumerate(campaign.arms or ()):
            if arm.share == 0:
                yield Finding(
                    "W16", "error", f"campaigns.{name}.arms[{number}].share",
                    f"arm {arm.name} of {name} can never be shown: its share is 0%",
                    "give it a share, or drop the arm",
                )  # fmt: skip


def obstacles(compiled: CompiledPolicy, name: str, campaign: Campaign) -> Iterator[tuple[str, str, str]]:
    """(path in the campaign, why, advice) of everything that keeps it from every customer."""
    policy, steps = compiled.policy, compiled.tables.steps
    row = compiled.tables.campaigns[compiled.registry.slots[name]]
    conditions = int(row["audience"]), int(row["condition"])
    # Protected pages and conditions that say false themselves are findings of their own (W05).
    is_silent = not open_pages(policy, campaign) or REJECT in conditions
    if not is_silent and not can_hold(steps, conditions, what_facts_can_be(policy, campaign)):
        below, why = contradiction(compiled, name, campaign)
        yield below, why, "correct the condition"
    moment = policy.moments.get(campaign.trigger.moment or "")
    if moment is not None and uses_attention(campaign) and is_in_quiet_hours(policy, moment):
        why = f"{campaign.trigger.moment} comes at {clock_text(moment.at)}, within the quiet hours"
        yield "trigger.moment", why, "move the moment, or send by a passive channel such as inbox"


def contradiction(compiled: CompiledPolicy, name: str, campaign: Campaign) -> tuple[str, str]:
    """Which of a campaign's conditions is to blame, and with what it does not go together."""
    row = compiled.tables.campaigns[compiled.registry.slots[name]]
    world, steps = what_facts_can_be(compiled.policy, campaign), compiled.tables.steps
    who = f"customer of {compiled.policy.adult_age} or older" if is_marketing(campaign) else "customer"
    if not can_hold(steps, (int(row["audience"]),), world):
        return "audience", f"its audience holds for no {who}"
    if not can_hold(steps, (int(row["condition"]),), world):
        return "trigger.when", f"its condition holds for no {who} at this trigger"
    return "trigger.when", f"its condition and its audience hold for no {who} together"


def is_in_quiet_hours(policy: Policy, moment: Moment) -> bool:
    return any(start <= moment.at < end for start, end in quiet_minutes(policy.fatigue.quiet_hours))


def reminders_too_late(compiled: CompiledPolicy) -> Iterator[Finding]:
    """W18"""
    for name, campaign in compiled.policy.campaigns.items():
        window = campaign.window
        if window.from_ is None or window.until is None:
            continue
        lasts = (window.until - window.from_).days * DAY_MS
        offers = any(creative.remind_later for _, creative in campaign.creatives())
        if offers and campaign.remind_after >= lasts:
            yield Finding(
                "W18", "warning", f"campaigns.{name}.remind_after",
                f"{name} reminds after {duration_text(campaign.remind_after)}, but lasts only {duration_text(lasts)}: "
                '"remind me later" never reminds',
                "shorten remind_after, or do not offer it",
            )  # fmt: skip


# --- Shadows ----------------------------------------------------------------------------------------------------------
def shadowed(compiled: CompiledPolicy) -> Iterator[Finding]:
    """W17"""
    campaigns = compiled.policy.campaigns
    for name, campaign in campaigns.items():
        for other, above in campaigns.items():
            if other != name and always_wins(compiled, other, above, name, campaign):
                yield Finding(
                    "W17", "warning", f"campaigns.{name}.priority",
                    f"{name} can never be shown: {other} answers to all the same events, has a higher priority and no "
                    "limit of its own",
                    f"give {other} a cap, or raise this priority",
                )  # fmt: skip
                break


def always_wins(compiled: CompiledPolicy, other: str, above: Campaign, name: str, campaign: Campaign) -> bool:
    """Whether `above` passes every test that `campaign` passes, on every event, and goes before it."""
    if above.priority <= campaign.priority or above.holdout is not None or above.frequency.caps:
        return False
    rows, slots = compiled.tables.campaigns, compiled.registry.slots
    row, below = rows[slots[other]], rows[slots[name]]
    unlimited = int(row["audience"]) == ACCEPT and int(row["condition"]) == ACCEPT and not above.frequency.cool_down
    open_longer = row["from_ms"] <= below["from_ms"] and row["until_ms"] >= below["until_ms"]
    for_all = not is_marketing(above) or is_marketing(campaign)
    # Where customers mute or snooze it, it makes room after all.
    stays = not any(creative.mute or creative.remind_later for _, creative in above.creatives())
    if not (unlimited and open_longer and for_all and stays and covers_channel(above, campaign)):
        return False
    return covers_trigger(compiled.policy, above, campaign)


def covers_channel(above: Campaign, campaign: Campaign) -> bool:
    """Whether the channel of `above` is open whenever that of `campaign` is."""
    return above.channel == campaign.channel


def covers_trigger(policy: Policy, above: Campaign, campaign: Campaign) -> bool:
    """Whether every event that makes `campaign` eligible makes `above` eligible too."""
    ours, theirs = campaign.trigger, above.trigger
    if ours.on != theirs.on or ours.moment != theirs.moment:
        return False
    same_wait = (ours.dwell or 0) == 0 == (theirs.dwell or 0) or (ours.dwell or 0) >= (theirs.dwell or 0) > 0
    return same_wait and open_pages(policy, campaign) <= open_pages(policy, above)


REACH_CHECKS = (never_shown, shadowed, reminders_too_late)
