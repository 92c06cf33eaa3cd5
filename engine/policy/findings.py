"""What lint says, and the few words about campaigns that its checks share."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engine.policy.document import Campaign, Creative
from engine.records import FIRST_PASSIVE_CHANNEL, Channel

Severity = Literal["error", "warning", "ask"]


@dataclass(frozen=True)
class Finding:
    """One finding. `ask`: a question for counsel, not a verdict."""

    code: str
    severity: Severity
    path: str
    sentence: str  # continues the path: "campaigns.x.arms draws customers with …"
    advice: str

    def __str__(self) -> str:
        return f"{self.code} {self.severity}: {self.path} {self.sentence} ({self.advice})"


def is_marketing(campaign: Campaign) -> bool:
    return campaign.purpose != "service"


def uses_attention(campaign: Campaign) -> bool:
    return Channel[campaign.channel.upper()] < FIRST_PASSIVE_CHANNEL


def creatives(name: str, campaign: Campaign) -> Iterator[tuple[str, Creative]]:
    """Every creative of a campaign with its path."""
    if campaign.creative is not None:
        yield f"campaigns.{name}.creative", campaign.creative
    for number, arm in enumerate(campaign.arms or ()):
        yield f"campaigns.{name}.arms[{number}].creative", arm.creative
