"""Small worlds that shop with coupons: claims, baskets, orders, refunds, gifts, a drop, budgets that run out."""

from collections.abc import Mapping
from pathlib import Path

from engine.policy.yaml_source import NO_CHANGES
from scenarios.load import Options, load_scenario, plan_of
from scenarios.lone_world import LoneWorld
from scenarios.worker import RunPlan

LIBRARY = Path(__file__).resolve().parents[2] / "scenarios" / "library"
EAGER = {
    "population.visits.per_day": "2.0",
    "population.shop.claims": "{when_seen: 100%, attends_drop: 100%, within: 20s, double_clicks: 30%, retries: 50%}",
    "population.shop.uses": "{share: 100%, half: 1.00, after: 6h, last_day: 50%, brought_forward: 30%, switched: 50%}",
    "population.shop.adds": "{lines: 100%, pieces: 100%}",
    "population.shop.refunds": "{share: 40%, whole: 50%, after: 1d}",
    "population.shop.gives_away": "30%",
    "population.annoyance.leaving": "0.05",
    "policy.coupons.everyday_10.transferable": "true",
    "policy.coupons.everyday_10.drop": '{at: "2026-09-08 20:00"}',
    "policy.budgets.everyday": "{amount: 3000.00}",
}


def shop_plan(customers: int, before: int, days: int, after: int) -> RunPlan:
    """The library's shop, with customers who do everything more often and budgets that run out."""
    return library_plan("winback", customers, before, days, after, EAGER)


def library_plan(
    scenario: str, customers: int, before: int, days: int, after: int, changes: Mapping[str, str] = NO_CHANGES
) -> RunPlan:
    options = Options(customers=customers, before=before, days=days, after=after, set=changes)
    return plan_of(load_scenario(LIBRARY / f"{scenario}.scenario.yaml", options))


def lone_shop(customers: int, days: int) -> LoneWorld:
    """A shop lived to its end."""
    world = LoneWorld(shop_plan(customers, 2, days - 4, 2), customers)
    world.run()
    return world
