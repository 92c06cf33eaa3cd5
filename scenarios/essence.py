"""What of a policy can make a difference to what is decided: two policies of one essence decide alike."""

import re
from typing import Any

from engine.policy.campaign import Campaign
from engine.policy.document import Policy

SCORES_UP = {"f_score": "frequency", "m_score": "monetary"}  # 1, and 1 more for each bound that is reached
# The bounds that a comparison with a score of n tells customers apart by, counted from n.
TOLD_BY = {">=": (-2,), "<": (-2,), ">": (-1,), "<=": (-1,), "==": (-2, -1), "!=": (-2, -1)}
UNRANKED: dict[str, Any] = {"value": 0, "response": None, "response_by_segment": {}}


def essence(policy: Policy) -> str:
    """Of priorities only their order among the campaigns that one event may call; of what ranks campaigns of one
    priority only what has such a rival; of bounds of scores those by which a condition tells customers apart; of
    protected pages those where a campaign could fire."""
    ranked = set(rivals_of(policy))
    campaigns = {
        name: campaign.model_copy(update={"priority": rank(campaign, policy)} | ({} if name in ranked else UNRANKED))
        for name, campaign in policy.campaigns.items()
    }
    ranking = policy.ranking if ranked else None
    said = {"campaigns": campaigns, "ranking": ranking, "protected_pages": protected(policy), "rfm": None}
    return repr(policy.model_copy(update=said)) + repr(told_apart(policy))


def protected(policy: Policy) -> list[str]:
    """Protected pages that some campaign would not stay away from by itself."""
    triggers = [campaign.trigger for campaign in policy.campaigns.values()]
    pages = [trigger.pages for trigger in triggers if trigger.moment is None]  # no page is open at a moment
    return [page for page in policy.protected_pages if any(not own or page in own for own in pages)]


def told_apart(policy: Policy) -> dict[str, Any]:
    """Bounds of scores that make a difference to some condition; all of them where that is not plain."""
    if policy.rfm is None:
        return {}
    text, found = repr(policy.model_copy(update={"rfm": None})), dict[str, Any]()
    for score, name in SCORES_UP.items():
        bounds: list[int] = getattr(policy.rfm, name)
        compared = re.findall(rf"\b{score} (>=|<=|==|!=|>|<) (\d)\b", text)
        if len(compared) != len(re.findall(score, text)):
            found[name] = bounds
            continue
        told = {int(n) + down for compare, n in compared for down in TOLD_BY[compare]}
        found[name] = {place: bounds[place] for place in sorted(told) if 0 <= place < len(bounds)}
    return found | {"recency": policy.rfm.recency_days}


def rank(campaign: Campaign, policy: Policy) -> int:
    """How many priorities are above it, of campaigns that its events may call too."""
    met = {other.priority for other in policy.campaigns.values() if are_called_together(campaign, other)}
    return sum(priority > campaign.priority for priority in met)


def rivals_of(policy: Policy) -> list[str]:
    """Campaigns that one event may call together with another of their priority."""
    return [
        name
        for name, campaign in policy.campaigns.items()
        if any(
            campaign.priority == other.priority and are_called_together(campaign, other)
            for own, other in policy.campaigns.items()
            if own != name
        )
    ]


def are_called_together(one: Campaign, other: Campaign) -> bool:
    if (one.trigger.on, one.trigger.moment) != (other.trigger.on, other.trigger.moment):
        return False
    pages = set(one.trigger.pages or ()), set(other.trigger.pages or ())
    return not all(pages) or bool(pages[0] & pages[1])
