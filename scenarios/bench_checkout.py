"""Checkouts of random baskets: how long one takes, and what simpler rules of choosing coupons leave unclaimed.

A basket is thirty lines and a wallet of twenty different coupons; what is in them is drawn once per seed.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from engine.compiled import entry
from engine.coupon_records import EVERYTHING, LINE, OWNED, TERMS, CouponKind, PriceStage
from engine.records import DAY_MS, NEVER_MS, NONE, records
from engine.reference_checkout import (
    Cart,
    Coupon,
    applied,
    best,
    coupons_of,
    lines_of,
    may_stand_together,
    refusal,
    threshold,
)
from engine.rules import checkout
from engine.rules.checkout_desk import Desk, empty_desk

LINES, COUPONS = 30, 20
SHIPPING = 1_000  # fen
TURNS = 3  # of each basket; the best counts
CATEGORIES, BRANDS, TIERS = 8, 5, 3
STAGES = {
    CouponKind.AMOUNT_OFF: PriceStage.ORDER,
    CouponKind.EACH_FULL: PriceStage.ORDER,
    CouponKind.PERCENT_OFF: PriceStage.PERCENTAGE,
    CouponKind.NTH_ITEM: PriceStage.LINE,
    CouponKind.FREE_SHIPPING: PriceStage.SHIPPING,
}
KINDS = (
    [CouponKind.AMOUNT_OFF] * 7
    + [CouponKind.EACH_FULL] * 3
    + [CouponKind.PERCENT_OFF] * 5
    + [CouponKind.NTH_ITEM] * 3
    + [CouponKind.FREE_SHIPPING] * 2
)

quote = entry(checkout.quote)


# --- baskets ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Basket:
    """Arguments of a checkout, but for the desk."""

    lines: Any  # LINE[...]
    owned: Any  # OWNED[...]
    terms: Any  # TERMS[...]
    tier: int

    def price(self, desk: Desk) -> int:
        quote(desk, self.lines, SHIPPING, self.owned, self.terms, self.tier, NONE, NONE, 0)
        return int(desk.quote[0].paid)

    def naively(self) -> tuple[Cart, list[Coupon]]:
        return Cart(lines_of(self.lines), SHIPPING, self.tier), coupons_of(self.owned, self.terms)


def draw(seed: int, coupons: int = COUPONS, named_groups: int = 0) -> Basket:
    """A basket: groups are those of the stages, or so many named ones; one coupon of a group."""
    rng = Random(f"basket {seed}")
    terms, owned, lines = records(coupons, TERMS), records(coupons, OWNED), records(LINES, LINE)
    for slot, kind in enumerate(rng.sample(KINDS, coupons)):
        draw_terms(rng, terms[slot], kind, slot)
        if named_groups:
            terms[slot].group = len(PriceStage) + rng.randrange(named_groups)
    for slot, number in enumerate(rng.sample(range(2 * coupons), coupons)):
        owned[slot].terms, owned[slot].number = slot, number
        owned[slot].expires_ms = rng.randrange(1, 31) * DAY_MS
    for line in lines:
        line.unit_price, line.quantity = rng.randrange(500, 20_000, 10), rng.choice((1, 1, 1, 2, 3))
        line.category, line.brand, line.product = rng.randrange(CATEGORIES), rng.randrange(BRANDS), NONE
    return Basket(lines, owned, terms, rng.randrange(TIERS))


def draw_terms(rng: Random, term: Any, kind: CouponKind, slot: int) -> None:
    """Terms as shops print them: larger thresholds for larger amounts, two in five for some categories only."""
    term.kind, term.stage, term.group, term.group_most = kind, STAGES[kind], STAGES[kind], 1
    term.coupon = term.declared = slot
    term.over = rng.choice((0, 5_000, 10_000, 30_000, 50_000, 100_000, 200_000, 300_000, 500_000))
    term.off = max(500, int(term.over) * rng.choice((5, 8, 10, 15)) // 100)
    term.up_to = NEVER_MS
    if kind == CouponKind.EACH_FULL:
        term.over = term.full = rng.choice((5_000, 10_000, 30_000, 100_000))
        term.off = int(term.full) * rng.choice((5, 8, 10)) // 100
    elif kind == CouponKind.PERCENT_OFF:
        term.rate = rng.choice((50_000, 80_000, 100_000, 120_000, 150_000, 200_000))
        term.up_to = rng.choice((2_000, 5_000, 10_000, 20_000, NEVER_MS, NEVER_MS))
    elif kind == CouponKind.NTH_ITEM:
        term.rate, term.every, term.across = rng.choice((300_000, 500_000)), rng.choice((2, 2, 3)), rng.random() < 0.3
    for mask in ("categories", "brands", "products", "tiers", "regions", "places"):
        term[mask] = EVERYTHING
    if rng.random() < 0.4:
        term.categories = mask_of(rng, CATEGORIES)
    if rng.random() < 0.1:
        term.brands = mask_of(rng, BRANDS)
    if rng.random() < 0.2:
        term.tiers = mask_of(rng, TIERS)  # a members' coupon
    term.original = rng.random() < 0.2
    term.exclusive = rng.random() < 0.05
    term.not_with = 1 << rng.randrange(COUPONS) if rng.random() < 0.1 else 0


def mask_of(rng: Random, names: int) -> int:
    return sum(1 << name for name in rng.sample(range(names), rng.randrange(1, names // 2 + 1)))


def with_pieces(basket: Basket, pieces: int) -> Basket:
    """The same basket with so many pieces of each line."""
    lines = basket.lines.copy()
    lines["quantity"] = pieces
    return replace(basket, lines=lines)


# --- time -------------------------------------------------------------------------------------------------------------
def microseconds(action: Callable[[], object]) -> float:
    """One call from Python and back, the best of some turns."""
    seconds = []
    for _ in range(TURNS):
        began = time.perf_counter_ns()
        action()
        seconds.append(time.perf_counter_ns() - began)
    return min(seconds) / 1e3


def times(baskets: Sequence[Basket]) -> list[float]:
    """Microseconds of each basket's checkout, by itself, the way from Python into the kernel included."""
    desk = empty_desk()
    baskets[0].price(desk)
    return [microseconds(lambda basket=basket: basket.price(desk)) for basket in baskets]  # type: ignore[misc]


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def against_reference(baskets: Sequence[Basket]) -> tuple[float, float]:
    """Median microseconds of the kernel and of the naive reference on the same baskets; both must answer the same."""
    slow = []
    for basket in baskets:
        cart, coupons = basket.naively()
        began = time.perf_counter_ns()
        found = best(cart, coupons)
        slow.append((time.perf_counter_ns() - began) / 1e3)
        assert found.paid == basket.price(empty_desk()), "the checkouts must agree"
    return statistics.median(times(baskets)), statistics.median(slow)


# --- simpler rules ----------------------------------------------------------------------------------------------------
Order = Callable[[Cart, Coupon], Any]  # a key: coupons are tried from the least on


def discount_alone(cart: Cart, coupon: Coupon) -> int:
    return applied(cart, [coupon])[1][coupon]


# Our own versions of rules that shops describe in words: coupons are tried one after the other in this order, and one
# is kept if it may stand beside those kept before and every threshold is still reached.
ORDERS: dict[str, Order] = {
    "as declared": lambda cart, coupon: coupon.terms.declared,
    "biggest discount first": lambda cart, coupon: -discount_alone(cart, coupon),
    "earliest expiry first": lambda cart, coupon: coupon.expires_ms,
    "highest threshold first": lambda cart, coupon: -threshold(coupon.terms),
}
BEST_OF_EACH_GROUP = "best single of each group"


def one_by_one(cart: Cart, coupons: Sequence[Coupon]) -> int:
    """What is taken off by keeping every coupon that can still be kept, in the order given."""
    kept: list[Coupon] = []
    total = 0
    for coupon in coupons:
        if may_stand_together([*kept, coupon]):
            _, discounts, legal = applied(cart, [*kept, coupon])
            if legal and discounts[coupon]:
                kept.append(coupon)
                total = sum(discounts.values())
    return total


def best_of_each_group(cart: Cart, coupons: Sequence[Coupon]) -> int:
    """Of each group the coupon that takes most off by itself; then those together, in the order of application."""
    chosen: dict[int, Coupon] = {}
    for coupon in sorted(coupons, key=lambda coupon: -discount_alone(cart, coupon)):
        chosen.setdefault(coupon.terms.group, coupon)
    return one_by_one(cart, sorted(chosen.values(), key=lambda coupon: coupon.place))


def rules() -> dict[str, Callable[[Cart, Sequence[Coupon]], int]]:
    """What is taken off, by rule."""

    def ordered(order: Order) -> Callable[[Cart, Sequence[Coupon]], int]:
        return lambda cart, coupons: one_by_one(cart, sorted(coupons, key=lambda coupon: order(cart, coupon)))

    return {name: ordered(order) for name, order in ORDERS.items()} | {BEST_OF_EACH_GROUP: best_of_each_group}


@dataclass(frozen=True)
class Left:
    """Money that a rule leaves on the table, over some baskets."""

    share: float  # of baskets that cost more
    mean: float  # fen, over all baskets
    least: int  # fen
    most: int  # fen
    of_goods: float  # mean share of the goods, over all baskets


def left_on_the_table(baskets: Sequence[Basket]) -> dict[str, Left]:
    """Of each rule, against the best combination of the same baskets."""
    desk, goods = empty_desk(), []
    lost: dict[str, list[int]] = {name: [] for name in rules()}
    for basket in baskets:
        basket.price(desk)
        goods.append(int(desk.quote[0].goods))
        cart, coupons = basket.naively()
        able = [coupon for coupon in coupons if refusal(cart, coupon) is None]
        for name, rule in rules().items():
            lost[name].append(int(desk.quote[0].discount) - rule(cart, able))
    return {
        name: Left(
            share=sum(map(bool, fen)) / len(baskets),
            mean=statistics.mean(fen),
            least=min(fen),
            most=max(fen),
            of_goods=statistics.mean(one / whole for one, whole in zip(fen, goods, strict=True)),
        )
        for name, fen in lost.items()
    }
