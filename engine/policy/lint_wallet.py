"""Lint of wallets: how many coupons can pile up at one customer, against what a wallet holds."""

from collections.abc import Iterator
from math import inf

from engine.coupon_records import WALLET_MAX
from engine.policy.calendar_days import LONGEST_MS
from engine.policy.coupon import Coupon, Limit
from engine.policy.findings import Finding
from engine.policy.lint_ring import most_by_cap
from engine.policy.look import Look
from engine.records import DAY_MS


def stays_ms(coupon: Coupon) -> float:
    """The longest a claimed coupon takes a place: until it expires, or until no limit counts it any more."""
    remembered = max(inf if x.per is None else LONGEST_MS[x.per] if isinstance(x.per, str) else x.per
                     for x in coupon.claims)  # fmt: skip
    return max(remembered, lives_ms(coupon))


def lives_ms(coupon: Coupon) -> float:
    """The longest a claimed coupon can be used, or a prize be collected."""
    valid, begins = coupon.valid, coupon.claim.from_
    if coupon.confirm_within is not None:
        return coupon.confirm_within
    if valid is None:
        return inf
    by_date = (valid.until - begins).days * DAY_MS if valid.until is not None and begins is not None else inf
    return min(by_date, inf if valid.for_ is None else valid.for_)


def claims_open_ms(coupon: Coupon) -> float:
    """How long it can be claimed."""
    begins, ends = coupon.claim.from_, coupon.claim.until
    return inf if begins is None or ends is None else (ends - begins).days * DAY_MS


def most_held(coupon: Coupon) -> float:
    """The most of one coupon that a customer's own claims can pile up; inf where nothing bounds it."""
    stock = inf if coupon.pieces is None or coupon.reorder is not None else coupon.pieces
    window = min(stays_ms(coupon), claims_open_ms(coupon))
    return min(stock, *(most_by_limit(limit, window) for limit in coupon.claims))


def most_by_limit(limit: Limit, window: float) -> float:
    if limit.per is None:
        return limit.most
    return inf if window == inf else most_by_cap(limit.most, limit.per, int(window))


def wallet_too_small(look: Look) -> Iterator[Finding]:
    held = {name: most_held(coupon) for name, coupon in look.policy.coupons.items()}
    most = sum(held.values())
    if most <= WALLET_MAX:
        return
    worst = max(held, key=lambda name: held[name])
    number = "any number of" if most == inf else f"up to {most:.0f}"
    one = "any number" if held[worst] == inf else f"{held[worst]:.0f}"
    yield Finding(
        "W22", "error", f"coupons.{worst}.limits",
        f"{number} coupons can pile up at one customer ({one} of {worst}; used ones that a limit still counts"
        f" included), but a wallet holds {WALLET_MAX}: claims would be refused that the limits allow",
        "tighten the limits, shorten valid, or count over a shorter time",
    )  # fmt: skip
