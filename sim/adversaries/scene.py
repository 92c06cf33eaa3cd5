"""What adversaries know before they begin: coupons as published, goods, pages, prices, how long it lasts."""

from dataclasses import dataclass, field

import numpy as np

from engine.coupon_records import EVERYTHING, CouponKind
from engine.records import NONE, SHARE_ONE
from sim.adversaries.means import Prices
from sim.origin_model import Account

PIECES_MOST = 1_000


@dataclass(frozen=True)
class CrewPlan:
    """So many crews of one kind. Money in fen, times in ms; accounts: at most, beside one of each person's own."""

    kind: Account
    crews: int
    people: int
    accounts: int
    budget: int
    devices: int
    ips: int
    cards: int
    addresses: int
    starts_ms: int  # after launch
    works_every_ms: int  # mean time between two accounts
    rests_ms: int  # of an account between two visits
    ages_ms: int  # slow accounts: from registration to the strike
    prepared: float = 0.0  # share of accounts that were opened before launch

    @property
    def size(self) -> int:
        return self.people + self.accounts


@dataclass(frozen=True)
class Scene:
    prices: Prices
    market_share: float
    market_depth: float
    market_recovers_ms: int
    goods_lost: float  # of the price of goods that are sold on
    solves: float  # share of challenges that a bought solution passes
    invite_reward: int
    prepared_within_ms: int  # before launch
    targets: tuple[int, ...]  # slots of the coupons they are after
    coupons: np.ndarray  # coupon_records.COUPON
    terms: np.ndarray  # coupon_records.TERMS
    products: np.ndarray  # shop_model.PRODUCT
    shipping: int
    pages: tuple[int, ...]  # that are browsed
    places: int
    drops: tuple[tuple[int, int], ...]  # (ms, coupon slot)
    customers: int  # honest ones: 0 … n - 1
    begins: int
    stream: tuple[int, int]
    carts: dict[int, list[tuple[int, ...]]] = field(default_factory=dict, repr=False, compare=False)  # by terms, so far

    def face(self, slot: int) -> int:
        """Fen that a coupon can take off, at most."""
        row = self.terms[self.coupons[slot]["terms"]]
        return int(max(row["cost_most"], row["off"], row["worth"]))

    def is_open(self, slot: int, t: int) -> bool:
        coupon = self.coupons[slot]
        return bool(coupon["used"]) and coupon["from_ms"] <= t < coupon["until_ms"]

    def cart(self, terms: int) -> list[tuple[int, ...]]:
        """The smallest cart of one product with which a coupon takes off all that it can; no line if there is none."""
        if terms not in self.carts:
            self.carts[terms] = self._smallest_cart(self.terms[terms])
        return self.carts[terms]

    def _smallest_cart(self, row: np.ndarray) -> list[tuple[int, ...]]:
        aim = max(int(row["over"]), int(row["full"]), 1)
        if row["kind"] == CouponKind.PERCENT_OFF and row["rate"] > 0:
            aim = max(aim, min(int(row["up_to"]) * SHARE_ONE // int(row["rate"]), 100_000))
        best: tuple[int, tuple[int, ...]] | None = None
        for product in self.products:
            price = int(product["price"])
            if price <= 0 or not is_for(row, product):
                continue
            pieces = max(-(-aim // price), int(row["every"]))
            line = (price, pieces, int(product["category"]), int(product["brand"]), int(product["product"]))
            if pieces <= PIECES_MOST and (best is None or price * pieces < best[0]):
                best = price * pieces, line
        return [best[1]] if best else []


def is_for(terms: np.ndarray, product: np.ndarray) -> bool:
    """Whether a coupon is for a product."""
    kinds = (("categories", "category"), ("brands", "brand"), ("products", "product"))
    for mask, column in kinds:
        chosen, number = int(terms[mask]), int(product[column])
        if chosen != EVERYTHING and (number == NONE or not (chosen >> number) & 1):
            return False
    return True
