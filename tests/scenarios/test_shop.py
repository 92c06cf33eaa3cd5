"""Worlds that shop with coupons: one answer whatever the shards and chunks, nothing lost, nothing oversold."""

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pytest

from engine.coupon_records import GRANTED_LIVES, Answer, CouponCell, Inbox, Life, Wallets
from engine.records import DAY_MS, NONE, EventKind
from scenarios.calendar import calendar_of
from scenarios.lone_world import LoneWorld
from scenarios.run import Lived, RunOptions, live
from sim.cohort import Cohort
from sim.model import Crowd, Daily, Span
from sim.waves import waves_of
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


# --- one visit --------------------------------------------------------------------------------------------------------
@dataclass
class Visit:
    """What a customer asked for since the log-in, what was answered, when; and what a payment redeemed."""

    asked: list[tuple[EventKind, Answer, int]] = field(default_factory=list)
    claimed_ms: dict[int, int] = field(default_factory=dict)  # by the instance's number
    redeemed: set[int] = field(default_factory=set)  # numbers

    def note(self, event: np.record, receipt: np.record) -> None:
        kind, answer, t = EventKind(event["kind"]), Answer(receipt.answer), int(event["time_ms"])
        self.asked.append((kind, answer, t))
        if (kind, answer) == (EventKind.CLAIM, Answer.PENDING):
            self.claimed_ms.setdefault(int(receipt.number), t)

    def first(self, kind: EventKind, answer: Answer) -> int:
        return next((t for *found, t in self.asked if found == [kind, answer]), 0)


def visits_of(world: LoneWorld) -> list[Visit]:
    """Live a world; its visits in which something was asked for."""
    worker, visits, present = world.worker, [], defaultdict(Visit)
    decide = worker.decide

    def watched(events: np.ndarray, inbox: Inbox) -> tuple[np.ndarray, np.ndarray]:
        decided = decide(events, inbox)
        for event in events:
            customer = int(event["customer"])
            if event["kind"] == EventKind.LOGIN:
                present[customer] = Visit()
            elif event["ask"] != NONE:
                visit = present[customer]
                visits.extend([] if visit.asked else [visit])
                visit.note(event, inbox.receipts[event["ask"]])
                if event["kind"] == EventKind.PAYMENT:
                    visit.redeemed |= redeemed_by(worker.shard.arrays.wallets, customer)
        return decided

    worker._choose_play = lambda: setattr(worker, "play", waves_of(watched))  # type: ignore[method-assign]
    worker._choose_play()
    world.run()
    return visits


def redeemed_by(wallets: Wallets, customer: int) -> set[int]:
    found, at = set(), int(wallets.heads[customer, 0])
    while at >= 0:
        if wallets.instances[at].state == Life.REDEEMED:
            found.add(int(wallets.instances[at].number))
        at = int(wallets.instances[at].next)
    return found


def test_one_visit_claims_and_redeems() -> None:
    """On the way to the cart lies the page that lists coupons. The claim is with the Ledger, the cart waits for its
    reply, and the order uses what was claimed."""
    path = {"population.purchase_path": "[coupons, cart, order, receipt]"}
    world = LoneWorld(library_plan("winback", 300, 1, 6, 1, EAGER | path), 300)
    both = [visit for visit in visits_of(world) if visit.redeemed & visit.claimed_ms.keys()]
    for visit in both:
        claimed_ms = min(visit.claimed_ms[number] for number in visit.redeemed & visit.claimed_ms.keys())
        waited_ms = visit.first(EventKind.CHECKOUT, Answer.WAITS)
        priced_ms, ordered_ms, paid_ms = (
            visit.first(kind, Answer.DONE) for kind in (EventKind.CHECKOUT, EventKind.ORDER, EventKind.PAYMENT)
        )
        settled_ms = calendar_of(world.plan).next_settlement(claimed_ms)
        assert claimed_ms < waited_ms < settled_ms <= priced_ms < ordered_ms < paid_ms
    assert len(both) >= 10


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
