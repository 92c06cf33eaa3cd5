"""How many exposures and ghosts of one customer can fall into a window: the ring must hold them all.

Caps and cool-downs look back through the ring of a customer's last exposures. A policy that may put more into the
longest window it looks at would let a cap forget.
"""

import math
from dataclasses import dataclass

from engine.policy.document import Campaign, Cap, ChannelName, Policy
from engine.records import DAY_MS, FIRST_PASSIVE_CHANNEL, Channel

CALENDAR_LONGEST_MS = {"day": 25 * 3_600_000, "week": 7 * DAY_MS + 3_600_000, "month": 31 * DAY_MS + 3_600_000}
CALENDAR_SHORTEST_MS = {"day": 23 * 3_600_000, "week": 7 * DAY_MS - 3_600_000, "month": 28 * DAY_MS}


@dataclass(frozen=True)
class Look:
    """A rule that looks back: where it stands and how far it sees."""

    path: str
    window_ms: int


def longest_ms(cap: Cap) -> int:
    return CALENDAR_LONGEST_MS[cap.per] if isinstance(cap.per, str) else cap.per


def cap_bound(cap: Cap, window_ms: int) -> float:
    """Most exposures that a cap lets into any window: a calendar window may be cut at both ends."""
    if isinstance(cap.per, str):
        return cap.most * (math.ceil(window_ms / CALENDAR_SHORTEST_MS[cap.per]) + 1)
    return cap.most * math.ceil(window_ms / cap.per)


def caps_bound(caps: list[Cap], window_ms: int) -> float:
    return min((cap_bound(cap, window_ms) for cap in caps), default=math.inf)


def campaign_bound(campaign: Campaign, window_ms: int) -> float:
    """Most exposures or ghosts of one campaign in any window; a monthly or weekly moment comes as seldom as it comes."""
    bound = caps_bound(campaign.frequency.caps, window_ms)
    if campaign.frequency.cool_down:
        # A snooze lifts the cool-down once, so each reminder may add one more.
        snoozes = math.ceil(window_ms / campaign.remind_after) if offers_reminder(campaign) else 0
        bound = min(bound, math.ceil(window_ms / campaign.frequency.cool_down) + snoozes)
    return bound


def offers_reminder(campaign: Campaign) -> bool:
    creatives = [arm.creative for arm in campaign.arms] if campaign.arms else [campaign.creative]
    return any(creative is not None and creative.remind_later for creative in creatives)


def moment_bound(policy: Policy, campaign: Campaign, window_ms: int) -> float:
    """Most times that a campaign's moment falls into any window."""
    moment = policy.moments.get(campaign.trigger.moment or "")
    if moment is None:
        return math.inf
    if moment.on is not None:
        return 1
    every = CALENDAR_SHORTEST_MS["month" if moment.monthly is not None else "week"]
    return math.ceil(window_ms / every) + 1


def is_held_out(policy: Policy, campaign: Campaign) -> bool:
    """Whether a customer may have ghosts of a campaign."""
    own = campaign.holdout is not None and campaign.holdout.share > 0
    universal = policy.universal_holdout is not None and policy.universal_holdout.share > 0
    return own or (universal and campaign.purpose != "service")


def exposures_bound(policy: Policy, window_ms: int) -> float:
    """Most entries one customer's ring may get in any window; infinite if nothing limits them.

    A customer sees a campaign or has ghosts of it, never both; ghosts are limited by the campaign's own rules only.
    """
    ghosts = 0.0
    shown: dict[ChannelName, float] = {}
    for campaign in policy.campaigns.values():
        bound = min(campaign_bound(campaign, window_ms), moment_bound(policy, campaign, window_ms))
        if is_held_out(policy, campaign):
            ghosts += bound
        else:
            shown[campaign.channel] = shown.get(campaign.channel, 0.0) + bound
    active = passive = 0.0
    for channel, bound in shown.items():
        fatigue = policy.fatigue.channels.get(channel)
        limited = min(bound, caps_bound(fatigue.caps, window_ms) if fatigue else math.inf)
        if Channel[channel.upper()] < FIRST_PASSIVE_CHANNEL:
            active += limited
        else:
            passive += limited
    return ghosts + passive + min(active, caps_bound(policy.fatigue.caps, window_ms))


def looks(policy: Policy) -> list[Look]:
    """Every cap and cool-down of a policy that looks back."""
    found = [Look(f"fatigue.caps[{n}]", longest_ms(cap)) for n, cap in enumerate(policy.fatigue.caps)]
    for channel, fatigue in policy.fatigue.channels.items():
        path = f"fatigue.channels.{channel}.caps"
        found += [Look(f"{path}[{n}]", longest_ms(cap)) for n, cap in enumerate(fatigue.caps)]
    for name, campaign in policy.campaigns.items():
        path = f"campaigns.{name}.frequency"
        found += [Look(f"{path}.caps[{n}]", longest_ms(cap)) for n, cap in enumerate(campaign.frequency.caps)]
        if campaign.frequency.cool_down:
            found.append(Look(f"{path}.cool_down", campaign.frequency.cool_down))
    return found


def goal_looks(policy: Policy) -> list[Look]:
    """Goal windows: a conversion is credited to an exposure that the ring still holds."""
    return [Look(f"campaigns.{name}.goal.window", campaign.goal.window) for name, campaign in policy.campaigns.items()]
