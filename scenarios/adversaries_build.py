"""The adversaries of a population as plans and a scene, and what policy and population must agree on for them."""

from collections.abc import Sequence

import numpy as np

from engine.policy.checks import known
from engine.policy.document import Policy
from engine.policy.tables import CompiledPolicy
from engine.records import SHARE_ONE
from scenarios.adversaries_document import Adversaries
from scenarios.population_document import Population
from scenarios.shop_build import product_table
from sim.adversaries.means import Prices
from sim.adversaries.scene import CrewPlan, Scene
from sim.cohort import Spans
from sim.origin_model import Account

KINDS = {
    "account_ring": Account.RING,
    "many_accounts": Account.MANY_ACCOUNTS,
    "scalper": Account.SCALPER,
    "ip_rotation": Account.IP_ROTATION,
    "bot": Account.BOT,
    "referral_farm": Account.REFERRAL_FARM,
    "threshold_prober": Account.PROBER,
    "slow_accounts": Account.SLOW,
}
NAMES = {kind: name for name, kind in KINDS.items()}


def crew_plans(adversaries: Adversaries | None) -> tuple[CrewPlan, ...]:
    """By kind, in the order of the document's fields."""
    if adversaries is None:
        return ()
    return tuple(
        CrewPlan(
            KINDS[name], c.crews, c.people, c.accounts, c.budget, c.devices, c.ips, c.cards, c.addresses,
            c.starts, c.works_every, c.rests, c.ages, c.prepared / SHARE_ONE,
        )
        for name, c in adversaries.crews.given().items()
    )  # fmt: skip


def scene_of(
    population: Population, compiled: CompiledPolicy, spans: Spans, drops: Sequence[tuple[int, int]],
    stream: tuple[int, int], customers: int,
) -> Scene:  # fmt: skip
    """What adversaries know, from launch on. drops: (ms, coupon slot)."""
    block, shop = population.adversaries, population.shop
    assert block is not None and shop is not None
    prices, market, pages = block.prices, block.market, compiled.policy.names.pages
    products, _ = product_table(shop, compiled.policy)
    wanted = [compiled.coupons[name] for name in (block.after or compiled.policy.coupons)]
    browsed = [page for page in population.enters if page in pages] or pages[:1]
    return Scene(
        prices=Prices(
            prices.account, prices.prepared, prices.device, prices.emulator, prices.ip, prices.proxy, prices.card,
            prices.address,
            prices.challenge,
        ),
        market_share=market.share / SHARE_ONE,
        market_depth=market.depth,
        market_recovers_ms=market.recovers,
        goods_lost=block.goods_lost / SHARE_ONE,
        solves=block.solves / SHARE_ONE,
        invite_reward=block.invite_reward,
        prepared_within_ms=block.prepared_within,
        targets=tuple(sorted(wanted)),
        coupons=compiled.tables.coupons.view(np.ndarray),
        terms=compiled.tables.terms.view(np.ndarray),
        products=products.view(np.ndarray),
        shipping=shop.shipping,
        pages=tuple(pages.index(page) for page in browsed),
        places=len(compiled.policy.names.places),
        drops=tuple((t, slot) for t, slot in drops if spans.launch <= t < spans.end and slot in wanted),
        customers=customers,
        begins=spans.launch,
        stream=stream,
    )  # fmt: skip


def adversaries_without_coupons(population: Population, policy: Policy) -> list[tuple[str, str]]:
    """(path in the population, what must be): they come for coupons, and sell on goods."""
    block = population.adversaries
    if block is None:
        return []
    if not policy.coupons or population.shop is None:
        missing = "coupons in the policy" if not policy.coupons else "a shop"
        return [("adversaries", f"must be left out without {missing} to come for (got a block of fields)")]
    return [
        (f"adversaries.after[{number}]", sentence)
        for number, name in enumerate(block.after or ())
        for _, sentence in known(name, (), "the policy's coupons", list(policy.coupons))
    ]
