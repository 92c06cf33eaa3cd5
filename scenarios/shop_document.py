"""The shop of a population as people write it: what is sold, and how customers take coupons."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from engine.policy.checks import Checks
from engine.policy.quantities import Block, Duration, Factor, Identifier, Money, Number, Problem, Share
from engine.records import CATEGORIES_MAX, DAY_MS, SECOND_MS, SHARE_ONE

FACTOR_MAX = 100
Price = Annotated[Money, Field(ge=1, le=100_000_000)]
Weight = Annotated[Factor, Field(le=1_000)]
Times = Annotated[Factor, Field(le=FACTOR_MAX)]
Mean = Annotated[Number, Field(ge=1, le=100)]


class Product(Block):
    price: Price
    category: Identifier | None = None
    brand: Identifier | None = None
    weight: Weight = 1.0  # how often it is put into a basket, against the others


class Sensitivity(Block):
    """How differently customers look at prices; the mean is 1."""

    spread: Annotated[Number, Field(ge=0, le=3)] = 0.0
    tag: Identifier | None = None  # customers with this tag look …
    tagged: Times = 1.0  # … so many times as much


class Claims(Block):
    """Shares at full pull: of those who open a page that lists coupons, and of all customers at a drop."""

    when_seen: Share = 0
    attends_drop: Share = 0
    within: Annotated[Duration, Field(ge=1)] = 5 * SECOND_MS  # mean time from the drop to the claim
    double_clicks: Share = 0
    retries: Share = 0
    retry_after: Annotated[Duration, Field(ge=1)] = 3 * SECOND_MS


class Uses(Block):
    """Purchases made for a coupon's sake. share: of coupons at full pull; half: money off at half of it."""

    share: Share = 0
    half: Price = 2_000
    after: Annotated[Duration, Field(ge=1)] = 2 * DAY_MS
    last_day: Share = 0
    brought_forward: Share = 0
    switched: Share = 0

    def cross_checks(self) -> Checks:
        yield self.shares_of_the_same

    def shares_of_the_same(self) -> Iterator[Problem]:
        if self.brought_forward + self.switched > SHARE_ONE:
            yield ("switched",), "must leave brought_forward + switched at most 100%"


class Adds(Block):
    """At full pull: lines when told what is missing to a threshold, pieces with a coupon for the nth piece."""

    lines: Share = 0
    pieces: Share = 0


class Refunds(Block):
    """share: of paid orders; whole: of these, the rest gives back one piece."""

    share: Share = 0
    whole: Share = SHARE_ONE
    after: Annotated[Duration, Field(ge=60_000)] = 5 * DAY_MS


class Collects(Block):
    """Rights and prizes: share that is used, mean time until then."""

    share: Share = 800_000
    after: Annotated[Duration, Field(ge=1)] = DAY_MS // 2


class Stress(Block):
    """What the copy stresses: factors on claims, and on the time to the purchase."""

    claims: Times = 1.0
    sooner: Times = 1.0


class Urgency(Block):
    days: Stress = Stress()
    pieces: Stress = Stress()


class Shop(Block):
    products: Annotated[dict[Identifier, Product], Field(min_length=1, max_length=1_000)]
    pieces: Mean = 1.0
    shipping: Annotated[Money, Field(le=1_000_000)] = 0
    places: Annotated[dict[Identifier, Share], Field(max_length=CATEGORIES_MAX)] = {}
    sensitivity: Sensitivity = Sensitivity()
    claims: Claims = Claims()
    uses: Uses = Uses()
    adds: Adds = Adds()
    refunds: Refunds = Refunds()
    collects: Collects = Collects()
    gives_away: Share = 0
    urgency: Urgency = Urgency()

    def cross_checks(self) -> Checks:
        yield self.something_is_bought

    def something_is_bought(self) -> Iterator[Problem]:
        if not any(product.weight for product in self.products.values()):
            yield ("products",), "must have a weight above 0 (got 0 for all)"
