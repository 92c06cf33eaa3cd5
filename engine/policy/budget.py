"""A budget as a strategist writes it: an amount, a reserve that is added once, the channels it pays for."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from engine.policy.campaign import ChannelName
from engine.policy.checks import Checks
from engine.policy.quantities import Block, Date, Money, Problem, Share
from engine.records import SHARE_ONE


class Reserve(Block):
    """Added once, when so much of the amount is reserved or spent, and not before the date."""

    amount: Annotated[Money, Field(ge=1)]
    at: Annotated[Share, Field(ge=1)] = SHARE_ONE
    from_: Annotated[Date | None, Field(alias="from")] = None


class Budget(Block):
    """What coupons reserve and redemptions spend; and what exposures on its channels cost."""

    amount: Annotated[Money, Field(ge=1)]
    reserve: Reserve | None = None
    channels: list[ChannelName] = []

    @property
    def most(self) -> int:
        """Fen that can ever be spent of it."""
        return self.amount + (self.reserve.amount if self.reserve else 0)

    def cross_checks(self) -> Checks:
        yield self.channels_once

    def channels_once(self) -> Iterator[Problem]:
        for number, channel in enumerate(self.channels):
            if channel in self.channels[:number]:
                yield ("channels", number), f"must be given once (got {channel} again)"
