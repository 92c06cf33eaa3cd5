"""Where the customers of a population come from as people write it: devices, addresses, cards, and who shares them."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from engine.policy.checks import Checks
from engine.policy.quantities import Block, Duration, Number, Problem, Share, share_text
from engine.records import DAY_MS, HOUR_MS, SECOND_MS, SHARE_ONE

People = Annotated[Number, Field(ge=1, le=10_000)]
CERTAIN_MOST = 900_000  # what fails again must end


class Group(Block):
    """share: of customers; people: how many are in one group, on average. device, card, address: the group shares one
    of each; of visits, payments and orders so many are made from it, with it, to it."""

    share: Share = 0
    people: People
    device: Share = 0
    card: Share = 0
    address: Share = 0


class Family(Group):
    device: Share = 100_000
    address: Share = SHARE_ONE


class Tablet(Group):
    device: Share = SHARE_ONE


class Flyers(Block):
    """share: of customers; away: of their time; trip: how long they stay."""

    share: Share = 0
    away: Share = 500_000
    trip: Annotated[Duration, Field(ge=12 * HOUR_MS, le=60 * DAY_MS)] = 3 * DAY_MS


class BargainHunters(Block):
    """They take every coupon there is, with an order of its own each. share: of customers; visits: they come so many
    times as often; since: they have joined so long before."""

    share: Share = 0
    visits: Annotated[Number, Field(ge=1, le=20)] = 2.5
    since: Duration = 60 * DAY_MS


class Groups(Block):
    """Look-alikes: honest customers who share what fraudsters share. The rest lives alone."""

    family: Family = Family(people=3)
    dormitory: Group = Group(people=60)
    office: Group = Group(people=40)
    shared_tablet: Tablet = Tablet(people=3)
    frequent_flyer: Flyers = Flyers()
    bargain_hunter: BargainHunters = BargainHunters()

    def cross_checks(self) -> Checks:
        yield self.at_most_everybody

    def at_most_everybody(self) -> Iterator[Problem]:
        total = sum(getattr(self, name).share for name in type(self).model_fields)
        if total > SHARE_ONE:
            yield (), f"must have shares that sum to at most 100% (got {share_text(total)})"


class Mobile(Block):
    """share: of visits over a mobile carrier; behind: customers behind one of its addresses."""

    share: Share = 450_000
    behind: People = 60


class SecondDevice(Block):
    share: Share = 0
    used: Annotated[Share, Field(le=500_000)] = 250_000  # of the visits of those who have one


class Fails(Block):
    """share: that fails; again: of those that have failed."""

    share: Share = 0
    again: Annotated[Share, Field(le=CERTAIN_MOST)] = 0


class Declines(Fails):
    retry_after: Annotated[Duration, Field(ge=SECOND_MS, le=HOUR_MS // 12)] = 40 * SECOND_MS


class Challenge(Block):
    """passes: of those who are asked to prove that they are themselves; after: the mean time it takes."""

    passes: Share = 900_000
    after: Annotated[Duration, Field(ge=SECOND_MS, le=HOUR_MS // 12)] = 40 * SECOND_MS


class Origins(Block):
    groups: Groups = Groups()
    mobile: Mobile = Mobile()
    second_device: SecondDevice = SecondDevice()
    second_card: Share = 0
    browser: Share = 0
    other_address: Share = 0
    invited: Share = 0
    log_in_fails: Fails = Fails()
    declined: Declines = Declines()
    challenge: Challenge = Challenge()
    appeals: Share = 0
