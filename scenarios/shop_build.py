"""The shop of a population, and what it sees of a policy's coupons, as arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.policy.document import Policy
from engine.policy.tables import CompiledPolicy
from engine.records import NONE, SHARE_ONE, records
from scenarios.shop_document import Shop
from sim.shop_model import OFFER, PRODUCT, SHOP

_URGENCIES = {"none": 0, "days": 1, "pieces": 2}


def share(millionths: int) -> float:
    return millionths / SHARE_ONE


def place_of(name: str | None, names: Sequence[str]) -> int:
    return names.index(name) if name in names else NONE


def shop_row(shop: Shop | None, policy: Policy) -> np.ndarray:
    """The SHOP row of a document; no row where there is no shop."""
    if shop is None:
        return records(0, SHOP)
    table = records(1, SHOP)
    row = table[0]
    row.pieces_mean, row.shipping = shop.pieces, shop.shipping
    row.sensitivity_spread, row.tagged_sensitivity = shop.sensitivity.spread, shop.sensitivity.tagged
    row.sensitive_tag = place_of(shop.sensitivity.tag, policy.names.tags)
    row.claims_when_seen, row.drop_attends = share(shop.claims.when_seen), share(shop.claims.attends_drop)
    row.drop_within_ms, row.retry_after_ms = shop.claims.within, shop.claims.retry_after
    row.double_clicks, row.retries = share(shop.claims.double_clicks), share(shop.claims.retries)
    row.uses, row.uses_after_ms, row.last_day = share(shop.uses.share), shop.uses.after, share(shop.uses.last_day)
    row.pull_half = shop.uses.half
    row.brought_forward, row.switched = share(shop.uses.brought_forward), share(shop.uses.switched)
    row.adds_lines, row.adds_pieces = share(shop.adds.lines), share(shop.adds.pieces)
    row.refunds, row.refunds_whole = share(shop.refunds.share), share(shop.refunds.whole)
    row.collects, row.collect_after_ms = share(shop.collects.share), shop.collects.after
    row.refund_after_ms, row.gives_away = shop.refunds.after, share(shop.gives_away)
    row.days_claims, row.days_sooner = shop.urgency.days.claims, shop.urgency.days.sooner
    row.pieces_claims, row.pieces_sooner = shop.urgency.pieces.claims, shop.urgency.pieces.sooner
    return table


def product_table(shop: Shop | None, policy: Policy) -> tuple[np.ndarray, np.ndarray]:
    """PRODUCT[...], ascending by price, and the cumulative shares with which they are put into baskets."""
    if shop is None:
        return records(0, PRODUCT), np.zeros(0)
    chosen = sorted(shop.products.items(), key=lambda item: item[1].price)
    table = records(len(chosen), PRODUCT)
    for row, (name, product) in zip(table, chosen, strict=True):
        row.price = product.price
        row.category = place_of(product.category, policy.names.categories)
        row.brand = place_of(product.brand, policy.names.brands)
        row.product = place_of(name, policy.names.products)
    weights = np.cumsum([product.weight for _, product in chosen])
    return table, weights / weights[-1]


def place_shares(shop: Shop | None, policy: Policy) -> np.ndarray:
    """Cumulative shares of where customers shop; everywhere alike where the population does not say."""
    names = policy.names.places
    if shop is None or not names:
        return np.ones(1)
    given = [shop.places.get(name, 0) for name in names] if shop.places else [1] * len(names)
    total = np.cumsum(np.array(given, float))
    return np.asarray(total / total[-1])


def offer_table(compiled: CompiledPolicy) -> np.ndarray:
    """How each coupon looks to a customer; one that neither drops nor comes by a message is listed on pages."""
    offered = {campaign.coupon for campaign in compiled.policy.campaigns.values()}
    table = records(len(compiled.tables.coupons), OFFER)
    table["terms"] = NONE
    for name, slot in compiled.coupons.items():
        coupon = compiled.policy.coupons[name]
        row: Any = table[slot]
        row.terms = compiled.tables.coupons[slot].terms
        row.urgency = _URGENCIES[coupon.urgency]
        row.listed = coupon.drop is None and name not in offered
    return table


def unknown_names(shop: Shop, policy: Policy) -> list[tuple[str, str]]:
    """(path in the population, what must be) of every name of the shop that the policy does not declare."""
    problems = []
    for name, product in shop.products.items():
        for kind, given, declared in (
            ("category", product.category, policy.names.categories),
            ("brand", product.brand, policy.names.brands),
        ):
            if given is not None and given not in declared:
                have = ", ".join(declared) or "nothing"
                path = f"shop.products.{name}.{kind}"
                problems.append((path, f"must be one of the policy's names, {have} (got {given})"))
    for place in shop.places:
        if place not in policy.names.places:
            have = ", ".join(policy.names.places) or "nothing"
            problems.append((f"shop.places.{place}", f"must be one of the policy's names.places, {have} (got {place})"))
    tag = shop.sensitivity.tag
    if tag is not None and tag not in policy.names.tags:
        have = ", ".join(policy.names.tags) or "nothing"
        problems.append(("shop.sensitivity.tag", f"must be one of the policy's names.tags, {have} (got {tag})"))
    return problems
