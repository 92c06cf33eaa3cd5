"""A policy under lint, as the checks look at it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.policy.campaign import Campaign, Creative
from engine.policy.coupon import Coupon
from engine.policy.quantities import path_text
from engine.records import FIRST_PASSIVE_CHANNEL, Channel

if TYPE_CHECKING:
    from engine.policy.document import Policy
    from engine.policy.tables import CompiledPolicy


@dataclass(frozen=True)
class Look:
    """A policy under lint."""

    policy: "Policy"
    compiled: "CompiledPolicy"

    def campaigns(self) -> Iterator[tuple[str, Campaign]]:
        """Campaigns with their paths."""
        return ((f"campaigns.{name}", campaign) for name, campaign in self.policy.campaigns.items())

    def coupons(self) -> Iterator[tuple[str, Coupon]]:
        """Coupons with their paths."""
        return ((f"coupons.{name}", coupon) for name, coupon in self.policy.coupons.items())

    def offered(self, campaign: Campaign) -> Coupon | None:
        """The coupon a campaign gives."""
        return None if campaign.coupon is None else self.policy.coupons[campaign.coupon]

    def row(self, path: str) -> Any:
        """The campaign's row of CAMPAIGN."""
        return self.compiled.tables.campaigns[self.compiled.registry.slots[name_of(path)]]

    def creatives(self) -> Iterator[tuple[str, Campaign, Creative]]:
        """Creatives with their paths and campaigns."""
        for path, campaign in self.campaigns():
            for below, creative in campaign.creatives():
                yield f"{path}.{path_text(below)}", campaign, creative


def uses_attention(campaign: Campaign) -> bool:
    return Channel[campaign.channel.upper()] < FIRST_PASSIVE_CHANNEL


def name_of(path: str) -> str:
    """The name of the campaign or coupon that a path leads to or into."""
    return path.split(".")[1]
