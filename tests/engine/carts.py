"""Random carts and wallets: few prices and terms, so that ties, reached thresholds and shared groups are frequent."""

from dataclasses import dataclass
from random import Random
from typing import Any

from engine.coupon_records import EVERYTHING, LINE, OWNED, TERMS, CouponKind, PriceStage
from engine.records import NEVER_MS, NONE, records

NOW_MS = 1_000
STAGES = {
    CouponKind.AMOUNT_OFF: PriceStage.ORDER,
    CouponKind.EACH_FULL: PriceStage.ORDER,
    CouponKind.PERCENT_OFF: PriceStage.PERCENTAGE,
    CouponKind.NTH_ITEM: PriceStage.LINE,
    CouponKind.FREE_SHIPPING: PriceStage.SHIPPING,
    CouponKind.RIGHT: PriceStage.RIGHT,
}
KINDS = [*STAGES] + 3 * [CouponKind.AMOUNT_OFF, CouponKind.EACH_FULL, CouponKind.PERCENT_OFF, CouponKind.NTH_ITEM]
NAMED_GROUPS = (10, 11, 12)
PRICES = (0, 1, 100, 333, 999, 1_000, 1_999, 3_333, 5_000, 9_999, 10_000)
OFFS = (1, 100, 500, 500, 1_000, 3_000)
OVERS = (0, 0, 1_000, 5_000, 9_999, 10_000, 20_000)
FULLS = (500, 1_000, 9_999, 10_000)
RATES = (10_000, 100_000, 100_000, 333_333, 500_000, 1_000_000)
TERMS_ROWS = 9


@dataclass(frozen=True)
class Basket:
    """Arguments of a checkout; records by attribute."""

    lines: Any
    shipping: int
    owned: Any
    terms: Any
    tier: int
    city: int
    place: int
    t: int = NOW_MS

    def __iter__(self):
        return iter((self.lines, self.shipping, self.owned, self.terms, self.tier, self.city, self.place, self.t))


def random_mask(rng: Random, chance: float) -> int:
    """No restriction, or some of three names."""
    return rng.choice((1, 2, 3, 5, 6, 7)) if rng.random() < chance else EVERYTHING


def random_terms(rng: Random, rows: int = TERMS_ROWS) -> Any:
    """Rows of terms: coupons declared in any order, some of them older terms of another one."""
    terms = records(rows, TERMS)
    restricted, bounded = rng.choice((0.0, 0.2, 0.5)), rng.choice((0.0, 0.3))
    grouped, raised = rng.choice((0.0, 0.4, 1.0)), rng.choice((0.0, 0.0, 1.0))
    declared = rng.sample(range(rows), rows)
    for row in range(rows):
        kind = rng.choice(KINDS)
        term = terms[row]
        term.kind, term.stage = kind, STAGES[kind]
        term.coupon = term.declared = declared[row]
        if row and rng.random() < 0.1:
            term.coupon = term.declared = terms[row - 1].declared
        term.off, term.full, term.rate = rng.choice(OFFS), rng.choice(FULLS), rng.choice(RATES)
        term.over = term.full if kind == CouponKind.EACH_FULL else rng.choice(OVERS)
        term.up_to = rng.choice(OFFS) if rng.random() < bounded else NEVER_MS
        term.every, term.across = rng.choice((1, 2, 2, 3)), rng.random() < 0.5
        term.original = rng.random() < 0.3
        term.group = rng.choice(NAMED_GROUPS) if rng.random() < grouped else int(term.stage)
        term.group_most = rng.choice((1, 2, 2, 3)) if rng.random() < raised else 1
        term.exclusive = rng.random() < 0.06
        term.not_with = sum(1 << other for other in declared if rng.random() < 0.2) if rng.random() < 0.2 else 0
        term.categories, term.brands = random_mask(rng, restricted), random_mask(rng, restricted / 2)
        term.products = random_mask(rng, restricted / 2)
        term.tiers, term.regions, term.places = (random_mask(rng, 0.04) for _ in range(3))
        term.valid_from_ms = NOW_MS + rng.choice((0, 0, 1)) if rng.random() < 0.1 else 0
    return terms


def random_lines(rng: Random, most: int, quantities: tuple[int, ...]) -> Any:
    lines = records(rng.randrange(1, most + 1), LINE)
    for line in lines:
        line.unit_price, line.quantity = rng.choice(PRICES), rng.choice(quantities)
        line.category, line.brand, line.product = (rng.choice((0, 0, 1, 1, 2, NONE)) for _ in range(3))
    return lines


def random_owned(rng: Random, coupons: int, rows: int) -> Any:
    """Instances in any order, several of the same terms, a few expired at this very moment."""
    owned = records(coupons, OWNED)
    numbers = rng.sample(range(3 * coupons), coupons)
    for coupon, number in zip(owned, numbers, strict=True):
        coupon.number, coupon.terms = number, rng.randrange(rows)
        coupon.expires_ms = NOW_MS + (0 if rng.random() < 0.03 else rng.choice((1, 5, 5, 9)))
    return owned


def random_basket(
    rng: Random, coupons: int = 12, lines: int = 6, quantities: tuple[int, ...] = (1, 1, 2, 3, 4, 60)
) -> Basket:
    """A cart and a wallet of at most so many coupons and lines."""
    terms = random_terms(rng)
    owned = random_owned(rng, rng.randrange(coupons + 1), len(terms))
    return Basket(
        random_lines(rng, lines, quantities), rng.choice((0, 600, 1_000)), owned, terms,
        *(rng.randrange(NONE, 3) for _ in range(3)),
    )  # fmt: skip
