"""Adversaries end to end: one digest whatever the shards, books that agree with the wallets, documents read."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from engine.coupon_records import CouponCell
from engine.policy.yaml_source import DocumentError
from scenarios.load import Options, load_scenario, plan_of
from scenarios.lone_world import LoneWorld
from scenarios.run import Lived, RunOptions, live
from scenarios.worker import RunPlan
from sim.origin_model import Account
from sim.waves import CHUNK

LIBRARY = Path(__file__).resolve().parents[2] / "scenarios" / "library"
RING = Path(__file__).with_name("rings.scenario.yaml")
CUSTOMERS = 100
FEW = """{
  account_ring: {people: 2, accounts: 6, budget: 500.00, devices: 3, ips: 2},
  many_accounts: {accounts: 4, budget: 100.00},
  slow_accounts: {accounts: 3, budget: 300.00, devices: 2, ages: 1d, rests: 12h}
}"""
RULES = '{include: core, appeal: "Mine, Appeal", proxies: {ranges: [198.18.0.0/15]}}'


def plan(seed: int = 1, fraud: str = "none") -> RunPlan:
    given = {"population.adversaries.crews": FEW, "policy.fraud": fraud}
    return plan_of(load_scenario(RING, Options(customers=CUSTOMERS, before=1, days=3, after=1, seed=seed, set=given)))


def lived(shards: int, seed: int = 1, fraud: str = "none", inline: bool = True, chunk: int = CHUNK) -> Lived:
    options = RunOptions(shards=shards, inline=inline)
    return live(replace(plan(seed, fraud), chunk=chunk), CUSTOMERS, options, lambda share: None)


@cache
def expected(fraud: str = "none") -> Lived:
    return lived(1, fraud=fraud)


@pytest.mark.parametrize(("shards", "fraud", "chunk"), [(2, "none", CHUNK), (2, RULES, 16), (3, RULES, CHUNK)])
def test_shards_and_batches_do_not_matter(shards: int, fraud: str, chunk: int) -> None:
    found = lived(shards, fraud=fraud, chunk=chunk)
    assert found.digest == expected(fraud).digest
    assert found.takings == expected(fraud).takings


@pytest.mark.long
@pytest.mark.usefixtures("ray_cluster")
def test_ray_does_not_matter() -> None:
    found = lived(2, fraud=RULES, inline=False)
    assert found.digest == expected(RULES).digest
    assert found.takings == expected(RULES).takings


@pytest.mark.parametrize("fraud", ["none", RULES], ids=["no rules", "the core"])
def test_a_fork_lives_on_as_the_world_itself_and_a_seed_is_a_world(fraud: str) -> None:
    one = plan(fraud=fraud)
    world = LoneWorld(one, CUSTOMERS)
    world.run(until=one.spans.launch)
    twin = world.fork(one)
    for each in (world, twin):
        each.run(since=one.spans.launch)
    assert world.digest == twin.digest == expected(fraud).digest
    assert lived(1, seed=2, fraud=fraud).digest != expected(fraud).digest


def test_without_rules_they_obtain_money_and_with_rules_less() -> None:
    free, ruled = expected().takings, expected(RULES).takings
    assert [takings.kind for takings in free] == [Account.RING, Account.MANY_ACCOUNTS, Account.SLOW]
    for before, after in zip(free, ruled, strict=True):
        assert before.net > before.honest >= 0, before
        assert before.refused == 0
        assert after.net < before.net, after
    assert sum(takings.refused for takings in ruled) > 5
    assert sum(takings.honest for takings in free) > 0


def test_books_agree_with_wallets() -> None:
    """What their accounts' coupons took off is what they booked, and no customer's statistics hold it."""
    found = expected()
    assert found.adversaries is not None
    took = int(found.adversaries.measured.cohorts[..., CouponCell.DISCOUNT].sum())
    booked = sum(takings.face for takings in found.takings)
    persons = sum(takings.persons for takings in found.takings)
    assert booked < took <= booked + persons * 20_000
    assert not found.adversaries.statistics["sums"].any()
    customers = sum(int(result.statistics["customers"].sum()) for result in found.results)
    assert customers == CUSTOMERS


def test_accounts_come_after_customers_and_are_known_for_what_they_are() -> None:
    world = LoneWorld(plan(), CUSTOMERS)
    assert world.adversaries is not None
    kinds = world.adversaries.kinds
    assert len(kinds) == world.adversaries.count == len(world.adversaries.shard.customers)
    assert int(world.adversaries.shard.arrays.first[0]) == CUSTOMERS
    assert np.bincount(kinds)[[Account.OWN, Account.RING, Account.MANY_ACCOUNTS, Account.SLOW]].tolist() == [4, 6, 4, 3]


WRONG = [
    ("population.adversaries.crews", "{}", "must have at least one of account_ring"),
    ("population.adversaries.crews", "{gang: {accounts: 3, budget: 1.00}}", "gang"),
    ("population.adversaries.crews", "{bot: {budget: 1.00}}", "bot.accounts"),
    ("population.adversaries.crews", "{bot: {crews: 10000, accounts: 100, budget: 1.00}}", "at most 100000 accounts"),
    ("population.adversaries.after", "[no_such]", "must be one of the policy's coupons"),
    ("population.origins.groups.family.share", "90%", "must have shares that sum to at most 100% (got 125%)"),
    ("population.origins.log_in_fails", "{share: 1%, again: 95%}", "log_in_fails.again"),
]


@pytest.mark.parametrize(("path", "text", "words"), WRONG)
def test_a_document_that_is_wrong_is_refused(path: str, text: str, words: str) -> None:
    with pytest.raises(DocumentError) as refused:
        load_scenario(RING, Options(set={path: text}))
    assert words in str(refused.value)
