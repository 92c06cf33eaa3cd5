"""The worst case in money: every coupon that can be issued is redeemed, in an order in which it takes off most.

Nothing forbids to spread coupons over orders, so stacking never makes this sum smaller: it is the best legal one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from engine.policy.budget import Budget
from engine.policy.coupon import Coupon
from engine.policy.document import Policy
from engine.policy.quantities import yuan_text


@dataclass(frozen=True)
class Liability:
    """What one coupon can cost; fen, inf where nothing bounds it."""

    name: str
    pieces: float
    each: float
    budget: str | None
    most: float

    @property
    def why(self) -> str:
        """How the figure comes about."""
        if self.most < self.pieces * self.each:
            return f"all of budget {self.budget}"
        return f"{number_text(self.pieces)} × {money_text(self.each)}"


@dataclass(frozen=True)
class WorstCase:
    coupons: tuple[Liability, ...]
    total: float  # coupons of one budget together cost no more than it

    def as_texts(self) -> dict[str, object]:
        """In yuan; "unbounded" where nothing bounds it."""
        return {
            "coupons": {coupon.name: money_text(coupon.most) for coupon in self.coupons},
            "total": money_text(self.total),
        }


def pieces_ever(coupon: Coupon) -> float:
    return inf if coupon.pieces is None or coupon.reorder is not None else coupon.pieces


def liability(name: str, coupon: Coupon, budgets: dict[str, Budget]) -> Liability:
    each = inf if coupon.cost_most is None else coupon.cost_most
    bound = inf if coupon.budget is None else budgets[coupon.budget].most
    pieces = pieces_ever(coupon)
    return Liability(name, pieces, each, coupon.budget, min(pieces * each, bound))


def worst_case(policy: Policy) -> WorstCase:
    coupons = tuple(liability(name, coupon, policy.budgets) for name, coupon in policy.coupons.items())
    return WorstCase(coupons, sum(parts(coupons, policy)))


def parts(coupons: tuple[Liability, ...], policy: Policy) -> Iterator[float]:
    """What the total is the sum of: coupons without a budget, and what those of each budget cost together."""
    yield from (coupon.most for coupon in coupons if coupon.budget is None)
    for name, budget in policy.budgets.items():
        yield min(budget.most, sum(coupon.most for coupon in coupons if coupon.budget == name))


def money_text(fen: float) -> str:
    return "unbounded" if fen == inf else yuan_text(int(fen))


def number_text(number: float) -> str:
    return "unbounded" if number == inf else f"{int(number)}"
