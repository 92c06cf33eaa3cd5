"""The terms of coupons once more, naively, from the parsed policy: what the reference claims and prices under."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from engine.coupon_records import EVERYTHING, CouponKind, PriceStage
from engine.policy.coupon import Coupon
from engine.policy.document import Policy
from engine.records import NEVER_MS
from engine.reference_checkout import Terms

STAGES = {
    "amount_off": PriceStage.ORDER, "each_full": PriceStage.ORDER, "percent_off": PriceStage.PERCENTAGE,
    "nth_item": PriceStage.LINE, "free_shipping": PriceStage.SHIPPING, "right": PriceStage.RIGHT,
}  # fmt: skip


class Numbers(NamedTuple):
    """By which numbers records know what a policy names."""

    coupons: dict[str, int]  # slots
    budgets: dict[str, int]  # slots
    terms: dict[str, int]  # rows, by coupon
    rules: Mapping[str, int]  # slots, of fraud

    @classmethod
    def declared(cls, policy: Policy) -> "Numbers":
        """Numbers in declaration order."""
        coupons = {name: number for number, name in enumerate(policy.coupons)}
        budgets = {name: number for number, name in enumerate(policy.budgets)}
        return cls(coupons, budgets, dict(coupons), {name: slot for slot, name in enumerate(policy.fraud.rows())})


@dataclass(frozen=True)
class Kept:
    """What a coupon was claimed under: it stays so, whatever the policy says later."""

    name: str
    slot: int
    row: int
    priced: Terms
    budget: int | None
    cost_most: int | None  # None: nothing bounds it
    worth: int
    until_ms: int
    for_ms: int | None
    transferable: bool

    def expiry(self, claimed_ms: int) -> int:
        """The earlier of claim + valid and until."""
        return self.until_ms if self.for_ms is None else min(self.until_ms, claimed_ms + self.for_ms)


def mask(given: list[str] | None, names: list[str]) -> int:
    return EVERYTHING if given is None else sum(1 << names.index(name) for name in given)


class Reader:
    """Reads the terms of one policy's coupons; groups keep their numbers from policy to policy."""

    def __init__(
        self, policy: Policy, numbers: Numbers, groups: dict[str, int], start_ms: Callable[[date], int]
    ) -> None:
        self.policy, self.numbers, self.groups, self.start_ms = policy, numbers, groups, start_ms

    def terms_of(self, name: str, coupon: Coupon, declared: int, row: int) -> Kept:
        valid = coupon.valid
        begins = valid.from_ if valid else None
        ends = valid.until if valid else None
        cost = coupon.off if coupon.kind == "amount_off" else coupon.worth if coupon.kind == "right" else coupon.up_to
        return Kept(
            name,
            self.numbers.coupons[name],
            row,
            self.priced(name, coupon, declared, self.start_ms(begins) if begins else 0),
            self.numbers.budgets[coupon.budget] if coupon.budget else None,
            cost,
            coupon.worth or 0,
            self.start_ms(ends) if ends else NEVER_MS,
            valid.for_ if valid else None,
            coupon.transferable,
        )

    def priced(self, name: str, coupon: Coupon, declared: int, valid_from_ms: int) -> Terms:
        names, items, slots = self.policy.names, coupon.items, self.numbers.coupons
        group = coupon.group.name if coupon.group else STAGES[coupon.kind].name.lower()
        others = [c.group for c in self.policy.coupons.values() if c.group and c.group.name == group]
        return Terms(
            kind=CouponKind[coupon.kind.upper()],
            stage=STAGES[coupon.kind],
            off=coupon.off or 0,
            full=coupon.full or 0,
            over=coupon.full or coupon.over or 0,
            up_to=coupon.up_to or NEVER_MS,
            valid_from_ms=valid_from_ms,
            categories=mask(items.categories if items else None, names.categories),
            brands=mask(items.brands if items else None, names.brands),
            products=mask(items.products if items else None, names.products),
            tiers=mask(coupon.members, names.tiers),
            regions=mask(coupon.regions, names.cities),
            places=mask(coupon.places, names.places),
            not_with=sum(1 << slots[other] for other in coupon.not_with or []),
            rate=coupon.rate or 0,
            every=coupon.every or 0,
            group=self.groups.setdefault(group, len(self.groups)),
            group_most=max([1, *(other.most for other in others if other.most)]),
            declared=declared,
            coupon=slots[name],
            across=int(coupon.across),
            original=int(coupon.base == "original"),
            exclusive=int(coupon.exclusive),
        )
