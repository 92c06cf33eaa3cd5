"""Lint of the ring of a customer's last exposures: does every cap see far enough back?"""

from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING

from engine.policy.calendar_days import LONGEST_MS
from engine.policy.campaign import Campaign, Cap
from engine.policy.findings import Finding
from engine.policy.look import Look, name_of
from engine.policy.quantities import duration_text
from engine.records import DAY_MS, FIRST_PASSIVE_CHANNEL, HOUR_MS, RING, WEEK_MS, Channel

if TYPE_CHECKING:
    from engine.policy.document import Policy

# How many calendar periods (outer key) a calendar window (inner key) can touch, and how short a period can be.
TOUCHED = {
    "day": {"day": 1, "week": 7, "month": 31},
    "week": {"day": 1, "week": 1, "month": 6},
    "month": {"day": 1, "week": 2, "month": 1},
}
SHORTEST_MS = {"day": 23 * HOUR_MS, "week": WEEK_MS - HOUR_MS, "month": 28 * DAY_MS - HOUR_MS}
Window = str | int  # day, week, month; or rolling ms


def window_ms(window: Window) -> int:
    return LONGEST_MS[window] if isinstance(window, str) else window


def most_by_cap(most: int, per: Window, window: Window) -> int:
    """The most exposures that a cap of so many per window lets into any other window."""
    if isinstance(per, int):
        return most * -(-window_ms(window) // per)
    if isinstance(window, str):
        return most * TOUCHED[per][window]
    return most * (-(-window // SHORTEST_MS[per]) + 1)


def most_by_caps(caps: list[Cap], window: Window) -> float:
    return min((most_by_cap(cap.most, cap.per, window) for cap in caps), default=inf)


def most_of_campaign(campaign: Campaign, window: Window) -> float:
    """The most exposures and ghosts of one campaign in any window. A snooze that ended lifts the cool-down once."""
    spacing = campaign.frequency.cool_down
    if any(creative.remind_later for _, creative in campaign.creatives()):
        spacing = min(spacing, campaign.remind_after)
    by_cool_down = -(-window_ms(window) // spacing) if spacing else inf
    return min(by_cool_down, most_by_caps(campaign.frequency.caps, window))


def most_of_customer(policy: "Policy", window: Window) -> float:
    """The most exposures and ghosts one customer can get in any window. Ghosts count for their campaign's caps only."""
    ghosts, passive, by_channel = 0.0, 0.0, dict[str, float]()
    for campaign in policy.campaigns.values():
        most = most_of_campaign(campaign, window)
        if can_be_ghost(policy, campaign):
            ghosts += most
        else:
            by_channel[campaign.channel] = by_channel.get(campaign.channel, 0.0) + most
    attention = 0.0
    for channel, most in by_channel.items():
        fatigue = policy.fatigue.channels.get(channel)  # type: ignore[call-overload]
        most = min(most, most_by_caps(fatigue.caps, window)) if fatigue is not None else most
        if Channel[channel.upper()] < FIRST_PASSIVE_CHANNEL:
            attention += most
        else:
            passive += most
    return ghosts + passive + min(attention, most_by_caps(policy.fatigue.caps, window))


def can_be_ghost(policy: "Policy", campaign: Campaign) -> bool:
    universal = policy.universal_holdout is not None and policy.universal_holdout.share > 0
    own = campaign.holdout is not None and campaign.holdout.share > 0
    return own or (universal and campaign.purpose != "service")


def windows(look: Look) -> Iterator[tuple[Window, str]]:
    """Every window that caps and cool-downs look back over."""
    fatigue = look.policy.fatigue
    yield from ((cap.per, f"fatigue.caps[{number}]") for number, cap in enumerate(fatigue.caps))
    for channel, limits in fatigue.channels.items():
        for number, cap in enumerate(limits.caps):
            yield cap.per, f"fatigue.channels.{channel}.caps[{number}]"
    for path, campaign in look.campaigns():
        for number, cap in enumerate(campaign.frequency.caps):
            yield cap.per, f"{path}.frequency.caps[{number}]"
        if campaign.frequency.cool_down:
            yield campaign.frequency.cool_down, f"{path}.frequency.cool_down"


def ring_too_small(look: Look) -> Iterator[Finding]:
    longest = max(windows(look), key=lambda item: window_ms(item[0]), default=None)
    if longest is None:
        return
    window, path = longest
    most = most_of_customer(look.policy, window)
    if most <= RING:
        return
    shown = window if isinstance(window, str) else duration_text(window)
    unlimited = [name_of(p) for p, campaign in look.campaigns() if most_of_campaign(campaign, window) == inf]
    number = "any number of" if most == inf else f"up to {most:.0f}"
    yield Finding(
        "W02", "error", path,
        f"{path} looks back over {shown}, in which a customer can get {number} messages (those held out are counted"
        f" too), but only the last {RING} are remembered: the cap would let too many through",
        f"give {', '.join(unlimited)} a cap of their own" if most == inf and unlimited
        else "tighten the caps of the campaigns, or look back over less",
    )  # fmt: skip
