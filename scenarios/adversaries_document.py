"""The adversaries of a population as people write them: crews by kind, what they have, and what their means cost."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from engine.policy.checks import Checks, repeated
from engine.policy.quantities import Block, Count, Duration, Identifier, Money, Number, Problem, Share
from engine.records import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

ACCOUNTS_MAX = 100_000  # of all crews together
Some = Annotated[Count, Field(ge=1, le=10_000)]
Price = Annotated[Money, Field(le=10_000_000)]


class Prices(Block):
    """prepared: an account that somebody opened before; emulator: a device that is none; ip: an address of a
    data centre; proxy: one in somebody's home; challenge: one that somebody solves for money."""

    account: Price = 150
    prepared: Price = 400
    device: Price = 3_000
    emulator: Price = 50
    ip: Price = 10
    proxy: Price = 200
    card: Price = 500
    address: Price = 300
    challenge: Price = 50


class Market(Block):
    """Where coupons are sold on. share: of the face value for the first piece; depth: pieces at which a price has
    fallen to 37 % of that; recovers: time in which the supply falls to 37 %."""

    share: Share = 600_000
    depth: Annotated[Number, Field(ge=1, le=1_000_000)] = 200
    recovers: Annotated[Duration, Field(ge=HOUR_MS)] = DAY_MS


class Crews(Block):
    """So many crews alike. accounts: of a crew, beside one honest account of each person's own."""

    crews: Some = 1
    people: Some = 1
    accounts: Some
    budget: Annotated[Money, Field(le=1_000_000_000)]
    devices: Some = 1
    ips: Some = 1
    cards: Some = 1
    addresses: Some = 1
    prepared: Share = 0  # of accounts, bought from somebody who opened them within the weeks before launch
    starts: Duration = HOUR_MS
    works_every: Annotated[Duration, Field(ge=SECOND_MS)] = 5 * MINUTE_MS
    rests: Annotated[Duration, Field(ge=HOUR_MS)] = 7 * DAY_MS
    ages: Duration = 14 * DAY_MS  # slow_accounts: from registration to the strike


class CrewsByKind(Block):
    account_ring: Crews | None = None
    many_accounts: Crews | None = None
    scalper: Crews | None = None
    ip_rotation: Crews | None = None
    bot: Crews | None = None
    referral_farm: Crews | None = None
    threshold_prober: Crews | None = None
    slow_accounts: Crews | None = None

    def cross_checks(self) -> Checks:
        yield self.somebody
        yield self.not_too_many

    def given(self) -> dict[str, Crews]:
        """The kinds that are there."""
        return {name: crews for name in type(self).model_fields if (crews := getattr(self, name)) is not None}

    def somebody(self) -> Iterator[Problem]:
        if not self.given():
            yield (), f"must have at least one of {', '.join(type(self).model_fields)} (got none)"

    def not_too_many(self) -> Iterator[Problem]:
        total = sum(crews.crews * (crews.people + crews.accounts) for crews in self.given().values())
        if total > ACCOUNTS_MAX:
            yield (), f"must have at most {ACCOUNTS_MAX} accounts, crews × (people + accounts) (got {total})"


class Adversaries(Block):
    """goods_lost: of the price of goods they sell on; solves: share of bought solutions that pass a challenge; appeals:
    of those denied."""

    crews: CrewsByKind
    after: Annotated[list[Identifier], Field(min_length=1)] | None = None  # coupons they want; default: all
    prices: Prices = Prices()
    market: Market = Market()
    goods_lost: Share = 50_000
    solves: Share = 300_000
    invite_reward: Price = 800
    appeals: Share = 100_000
    prepared_within: Annotated[Duration, Field(ge=DAY_MS, le=730 * DAY_MS)] = 30 * DAY_MS

    def cross_checks(self) -> Checks:
        yield lambda: repeated(self.after or [], ("after",))
