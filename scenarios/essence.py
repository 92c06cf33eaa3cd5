"""What of a policy can make a difference to what is decided: two policies of one essence decide alike."""

from typing import Any

from engine.policy.campaign import Campaign
from engine.policy.document import Policy

UNRANKED: dict[str, Any] = {"value": 0, "response": None, "response_by_segment": {}}


def essence(policy: Policy) -> str:
    """Of priorities only their order among the campaigns that one event may call, and of what ranks campaigns of one
    priority only what has such a rival."""
    ranked = set(rivals_of(policy))
    campaigns = {
        name: campaign.model_copy(update={"priority": rank(campaign, policy)} | ({} if name in ranked else UNRANKED))
        for name, campaign in policy.campaigns.items()
    }
    ranking = policy.ranking if ranked else None
    return repr(policy.model_copy(update={"campaigns": campaigns, "ranking": ranking}))


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
