"""Coupons and budgets of a policy as the arrays that rules read. Terms are rows that never change."""

from datetime import date
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from engine.coupon_records import (
    BUDGET,
    COUPON,
    EVERYTHING,
    NO_BUDGET,
    TERMS,
    UNLIMITED,
    CouponKind,
)
from engine.policy.budget import Budget
from engine.policy.calendar_days import wall_ms
from engine.policy.compiling import Conditions, fill_caps, salt
from engine.policy.coupon import Coupon, Valid
from engine.policy.coupon_checks import groups
from engine.policy.document import Policy
from engine.policy.registry import Registry, Row, size_of
from engine.records import CHANNELS, NEVER_MS, NONE, SHARE_ONE, Channel, records


class CouponTables(NamedTuple):
    """The fields of records.Tables that speak of coupons and budgets."""

    terms: np.ndarray
    coupons: np.ndarray
    budgets: np.ndarray
    channel_budgets: np.ndarray


def coupon_tables(policy: Policy, registry: Registry, conditions: Conditions, zone: ZoneInfo) -> CouponTables:
    """Names must have their slots. Terms of other policies under this registry stay in the table."""
    coupons = records(max(1, size_of(registry.coupons)), COUPON)
    coupons["terms"], coupons["budget"], coupons["fallback"] = NONE, NO_BUDGET, NONE
    for name, slot in registry.coupons.items():
        coupons[slot].name_hash = salt(name)  # of other policies too: customers may have one
    for declared, (name, coupon) in enumerate(policy.coupons.items()):
        row = coupons[registry.coupons[name]]
        coupon_row(row, name, coupon, policy, registry, zone)
        row.terms = registry.claim_terms(terms_row(name, coupon, declared, policy, registry, zone))
        row.audience, row.personal = conditions.audience(f"coupons.{name}.audience", coupon.audience)
    budgets = records(max(1, size_of(registry.budgets)), BUDGET)
    for name, slot in registry.budgets.items():
        budgets[slot].name_hash = salt(name)
    channel_budgets = np.full(CHANNELS, NONE, np.int16)
    for name, budget in policy.budgets.items():
        slot = registry.budgets[name]
        budget_row(budgets[slot], budget, zone)
        for channel in budget.channels:
            channel_budgets[Channel[channel.upper()]] = slot
    return CouponTables(terms_table(registry), coupons, budgets, channel_budgets)


def terms_table(registry: Registry) -> np.ndarray:
    """TERMS rows, every one ever claimed."""
    table = records(max(1, len(registry.terms)), TERMS)
    for row, number in registry.terms.items():
        table[number] = row
    return table


def first_ms(day: date | None, zone: ZoneInfo, minutes: int = 0) -> int:
    return wall_ms(day, minutes, zone) if day is not None else 0


def last_ms(day: date | None, zone: ZoneInfo) -> int:
    return wall_ms(day, 0, zone) if day is not None else NEVER_MS


def coupon_row(row: np.record, name: str, coupon: Coupon, policy: Policy, registry: Registry, zone: ZoneInfo) -> None:
    """Everything of a COUPON row but its terms and its audience."""
    row.used = 1
    row.drop_salt = salt(f"{policy.policy}/{name}/drop")
    row.from_ms = first_ms(coupon.claim.from_, zone, coupon.claim.at or 0)
    row.until_ms = last_ms(coupon.claim.until, zone)
    row.pieces = UNLIMITED if coupon.pieces is None else coupon.pieces
    if coupon.ration is not None:
        row.ration_every_ms, row.ration_pieces = coupon.ration.every, coupon.ration.pieces
    row.confirm_within_ms = coupon.confirm_within or 0
    fill_caps(row.limits, coupon.claims)
    row.budget = budget_of(coupon, registry)
    row.fallback = NONE if coupon.fallback is None else registry.coupons[coupon.fallback]


def budget_of(coupon: Coupon, registry: Registry) -> int:
    return NO_BUDGET if coupon.budget is None else registry.budgets[coupon.budget]


def mask(given: list[str] | None, names: list[str]) -> int:
    return EVERYTHING if given is None else sum(1 << names.index(name) for name in given)


def group_most(policy: Policy, group: str) -> int:
    """What the coupons of a group say; 1 where none says anything."""
    return next((said.most for _, said in groups(policy.coupons) if said.name == group and said.most is not None), 1)


def terms_row(name: str, coupon: Coupon, declared: int, policy: Policy, registry: Registry, zone: ZoneInfo) -> Row:
    """Every field of TERMS, in its order."""
    row = records(1, TERMS)[0]
    row.name_hash, row.coupon, row.declared = salt(name), registry.coupons[name], declared
    row.kind, row.stage = CouponKind[coupon.kind.upper()], coupon.stage
    row.off, row.full, row.worth = coupon.off or 0, coupon.full or 0, coupon.worth or 0
    row.over = coupon.full or coupon.over or 0
    row.rate, row.every = coupon.rate or 0, coupon.every or 0
    row.up_to = coupon.up_to or NEVER_MS
    row.cost_most = coupon.cost_most or NEVER_MS
    row.across, row.original = coupon.across, coupon.base == "original"
    row.budget = budget_of(coupon, registry)
    row.exclusive, row.transferable = coupon.exclusive, coupon.transferable
    fill_validity(row, coupon.valid or Valid.model_construct(), zone)
    fill_places(row, coupon, policy)
    row.not_with = sum(1 << registry.coupons[other] for other in coupon.not_with or [])
    group = coupon.group.name if coupon.group is not None else coupon.stage.name.lower()
    row.group, row.group_hash, row.group_most = registry.claim_group(group), salt(group), group_most(policy, group)
    return tuple(int(value) for value in row.item())


def fill_validity(row: np.record, valid: Valid, zone: ZoneInfo) -> None:
    row.valid_from_ms, row.valid_until_ms = first_ms(valid.from_, zone), last_ms(valid.until, zone)
    row.valid_ms = valid.for_ or 0


def fill_places(row: np.record, coupon: Coupon, policy: Policy) -> None:
    """What it is for, whose it is and where it holds, as masks of the policy's names."""
    names, items = policy.names, coupon.items
    if items is not None:
        row.categories = mask(items.categories, names.categories)
        row.brands = mask(items.brands, names.brands)
        row.products = mask(items.products, names.products)
    else:
        row.categories = row.brands = row.products = EVERYTHING
    row.tiers = mask(coupon.members, names.tiers)
    row.regions = mask(coupon.regions, names.cities)
    row.places = mask(coupon.places, names.places)


def budget_row(row: np.record, budget: Budget, zone: ZoneInfo) -> None:
    row.used, row.amount = 1, budget.amount
    row.release_at, row.release_from_ms = SHARE_ONE, NEVER_MS
    if budget.reserve is not None:
        row.reserve, row.release_at = budget.reserve.amount, budget.reserve.at
        row.release_from_ms = first_ms(budget.reserve.from_, zone)
