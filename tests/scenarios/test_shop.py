"""Worlds that shop with coupons: one answer whatever the shards and chunks, nothing lost, nothing oversold."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from engine.coupon_records import GRANTED_LIVES, Answer, CouponCell
from engine.records import DAY_MS
from scenarios.lone_world import LoneWorld
from scenarios.run import Lived, RunOptions, live
from sim.cohort import Cohort
from sim.model import Crowd, Daily, Span
from tests.sim.interpreted import command
from tests.sim.shop_worlds import EAGER, library_plan, shop_plan

CUSTOMERS, DAYS = 1_200, (3, 8, 4)
COSTLY_POPUPS = {  # and most visits at midnight, when a campaign begins
    "policy.budgets.messages": "{amount: 1.00, channels: [push, popup]}",
    "policy.campaigns.offer_of_the_week.cost": "0.05",
    "policy.fatigue.quiet_hours": "none",
    "population.visits.hours": str([20] + [1] * 23),
}


@cache
def expected() -> Lived:
    return inline(1)


def inline(shards: int, **changes: object) -> Lived:
    plan = replace(shop_plan(CUSTOMERS, *DAYS), **changes)  # type: ignore[arg-type]
    return live(plan, CUSTOMERS, RunOptions(shards=shards, inline=True), lambda share: None)


def total(lived: Lived, measure: Daily) -> int:
    return int(sum(result.statistics["daily"][:, measure].sum() for result in lived.results))


# --- one answer -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shards", [2, 3])
def test_shards_do_not_matter(shards: int) -> None:
    lived = inline(shards)
    assert lived.digest == expected().digest
    assert [total(lived, measure) for measure in Daily] == [total(expected(), measure) for measure in Daily]


@pytest.mark.parametrize("chunk", [7, 64])
def test_chunks_do_not_matter(chunk: int) -> None:
    assert inline(1, chunk=chunk).digest == expected().digest


@pytest.mark.usefixtures("ray_cluster")
def test_ray_does_not_matter() -> None:
    plan = shop_plan(CUSTOMERS, *DAYS)
    assert live(plan, CUSTOMERS, RunOptions(shards=2), lambda share: None).digest == expected().digest


def test_a_fork_lives_on_as_the_world_itself() -> None:
    plan = shop_plan(CUSTOMERS, *DAYS)
    world = LoneWorld(plan, CUSTOMERS)
    world.run(until=plan.spans.launch)
    twin = world.fork(plan)
    for one in (world, twin):
        one.run(since=plan.spans.launch)
    assert world.digest == twin.digest == expected().digest


def test_replies_leave_everybody_filed_under_the_step_they_are_due_in(monkeypatch: pytest.MonkeyPatch) -> None:
    apply, told = Cohort.apply, []  # told: replies at a time

    def checked(cohort: Cohort, replies: np.ndarray, t: int) -> None:
        apply(cohort, replies, t)
        told.append(len(replies))
        crowd = cohort.crowd
        start, step, end = (int(crowd.span[one]) for one in (Span.START, Span.STEP, Span.END))
        due = {((t - start) // step, row) for row, t in enumerate(crowd.visitors["due_ms"].tolist()) if t < end}
        assert sorted(filed(crowd)) == sorted(due)

    monkeypatch.setattr(Cohort, "apply", checked)
    LoneWorld(shop_plan(150, 2, 5, 2), 150).run()
    assert max(told) > 10 and len(told) > 100


def filed(crowd: Crowd) -> list[tuple[int, int]]:
    """(step, row) of everybody in the calendar queue."""
    places = []
    for place, row in enumerate(crowd.heads.tolist()):
        while row >= 0:
            places.append((place, row))
            row = int(crowd.visitors["queue_next"][row])
    return places


def test_compiling_does_not_matter() -> None:
    done = command("shop_digest", "40", "9")
    assert done.returncode == 0, done.stderr
    world = LoneWorld(shop_plan(40, 2, 5, 2), 40)
    world.run()
    assert json.loads(done.stdout)["digest"] == world.digest


# --- nothing lost -----------------------------------------------------------------------------------------------------
def test_every_granted_coupon_is_somewhere() -> None:
    lived = expected()
    assert lived.ledger is not None
    plan = shop_plan(CUSTOMERS, *DAYS)
    granted = {name: int(lived.ledger.stock(name).granted) for name in plan.policy.coupons}
    assert sum(granted.values()) > 400
    tallies = [part for result in lived.results for part in (result.before, result.measured)]
    for name, slot in plan.policy.coupons.items():
        cohorts = sum(part.cohorts[:, slot].sum(axis=0) for part in tallies)
        assert cohorts[CouponCell.GRANTED] == granted[name], name
        gone = cohorts[CouponCell.REDEEMED] - cohorts[CouponCell.RETURNED] + cohorts[CouponCell.EXPIRED]
        assert 0 <= gone <= granted[name]


def test_a_budget_that_runs_out_refuses_and_is_kept() -> None:
    lived, plan = expected(), shop_plan(CUSTOMERS, *DAYS)
    assert lived.ledger is not None
    fund, slot = lived.ledger.fund("everyday"), plan.policy.coupons["everyday_10"]
    assert 0 < fund.spent <= fund.in_force
    assert fund.reserved + fund.spent <= fund.in_force
    assert lived.ledger.stock("everyday_10").refused[Answer.BUDGET] > 0
    discounts = sum(part.cohorts[:, slot, CouponCell.DISCOUNT].sum() for part in tallies_of(lived))
    assert 0 < discounts <= fund.spent


@pytest.mark.parametrize("forked", [False, True])
def test_a_budget_used_up_before_launch_is_shut_at_launch(forked: bool) -> None:
    """From the first event on: what were spent until the next settlement would be beyond the budget."""
    plan = library_plan("winback", CUSTOMERS, *DAYS, EAGER | COSTLY_POPUPS)
    world = LoneWorld(plan, CUSTOMERS)
    world.run(until=plan.spans.launch)
    assert world.ledger is not None
    spent = int(world.ledger.fund("messages").spent)
    assert spent >= world.ledger.fund("messages").in_force
    world = world.fork(plan) if forked else world
    world.run(since=plan.spans.launch, until=plan.spans.launch + DAY_MS)
    assert world.ledger is not None
    assert world.ledger.fund("messages").spent == spent


def test_what_a_budget_cannot_carry_is_shut_from_the_start() -> None:
    world = LoneWorld(library_plan("winback", 100, 1, 1, 0, {"policy.budgets.everyday": "{amount: 5.00}"}), 100)
    slot = world.plan.policy.registry.slots["offer_of_the_week"]
    assert not world.worker.shard.bulletin.in_budget[slot]
    assert world.worker.shard.bulletin.in_budget.sum() == len(world.worker.shard.bulletin.in_budget) - 1


def tallies_of(lived: Lived) -> list:  # type: ignore[type-arg]
    return [part for result in lived.results for part in (result.before, result.measured)]


def test_the_world_does_everything_that_is_counted() -> None:
    """Or the tests above would show nothing."""
    for measure in (
        Daily.CLAIMS, Daily.ORDERS, Daily.DISCOUNTS, Daily.DISCOUNTS_ANYWAY, Daily.LINES_ADDED, Daily.REFUNDS,
        Daily.INDUCED_BROUGHT_FORWARD, Daily.INDUCED_SWITCHED, Daily.INDUCED_ADDED,
    ):  # fmt: skip
        assert total(expected(), measure) > 0, measure.name


# --- a stampede -------------------------------------------------------------------------------------------------------
STAMPEDE = 20_000


def stampede(shards: int) -> Lived:
    plan = library_plan("stampede", STAMPEDE, 1, 1, 0)
    return live(plan, STAMPEDE, RunOptions(shards=shards, inline=True), lambda share: None)


def test_a_stampede_grants_exactly_what_there_is() -> None:
    one, three = stampede(1), stampede(3)
    assert one.digest == three.digest
    assert one.ledger is not None
    stock = one.ledger.stock("midnight_100")
    assert (int(stock.granted), int(stock.left)) == (1_000, 0)
    assert int(stock.refused[Answer.OUT_OF_STOCK]) > 15_000
    assert total(one, Daily.CLAIMS) > STAMPEDE  # some clicked twice, some again


def test_none_is_granted_twice_and_nobody_is_favoured() -> None:
    plan = library_plan("stampede", STAMPEDE, 1, 1, 0)
    world = LoneWorld(plan, STAMPEDE)
    world.run()
    wallets = world.worker.shard.arrays.wallets
    won = np.zeros(STAMPEDE, np.int64)
    for customer in range(STAMPEDE):
        at = wallets.heads[customer, 0]
        while at >= 0:
            won[customer] += wallets.instances[at].state in GRANTED_LIVES
            at = wallets.instances[at].next
    assert won.sum() == 1_000
    assert won.max() == 1
    joined = world.worker.shard.customers["joined_ms"]
    for order in (np.arange(STAMPEDE), np.argsort(joined, kind="stable")):
        tenths = won[order].reshape(10, -1).sum(axis=1)
        chi_square = float(((tenths - 100.0) ** 2 / 100.0).sum())
        assert chi_square < 27.88, tenths  # p = 0.001 at 9 degrees of freedom
