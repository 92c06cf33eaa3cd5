"""A policy is published while customers are decided for: tried on some, then for all, or taken back."""

import functools
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from engine.coupon_records import RECEIPT
from engine.host.editions import Editions, Running, shared_changes, unfit
from engine.host.machines import LEDGER, OPERATOR, RUN
from engine.host.messages import Envelope, Order, Ordered
from engine.host.shard import open_bulletin
from engine.host.wire import inbox_of
from engine.policy.document import Policy
from engine.policy.yaml_source import load_text
from engine.records import Reason, records
from gateway.dictionary import Dictionary
from loadtests.traffic import Traffic, record_traffic
from tests.gateway.by_reference import ShardByReference
from tests.gateway.hall import Hall, Network, Told, callers, recover

LIBRARY = Path(__file__).resolve().parent.parent.parent / "scenarios" / "library" / "policies"
SHOP = (LIBRARY / "coupon_shop.yaml").read_text("utf-8")
ROUGH = Network(lost=0.1, repeated=0.1, delayed=0.3)
HOUR_MS = 3_600_000
STEPS = 12
TENTH, HALF = 100_000, 500_000

MORE = """
  a_little_extra:
    purpose: transaction
    topic: offers
    channel: inbox
    trigger: {on: page_view, pages: [goods]}
    goal: {event: payment, window: 7d}
    value: 10.00
    coupon: surprise_5
    issue: direct
    response: {shown: 12%, otherwise: 11%}
    frequency: {caps: [{most: 1, per: week}]}
    creative: {style: plain, text: "5 off from 20."}
"""
COUPON = """
  surprise_5:
    kind: amount_off
    off: 5.00
    over: 20.00
    valid: 7d
    budget: surprises

campaigns:"""


def changed(text: str, *changes: tuple[str, str]) -> str:
    for before, after in changes:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


NEXT = changed(
    SHOP,
    ("cart, order, receipt]", "cart, order, receipt, attic]"),
    ("caps: [{most: 1, per: week}]}\n    creative:\n      style: overlay\n      text: \"This week",
     "caps: [{most: 2, per: week}]}\n    creative:\n      style: overlay\n      text: \"This week"),
    ("  messages: {amount: 20000.00, channels: [push]}     # all push messages together\n",
     "  messages: {amount: 20000.00, channels: [push]}\n  surprises: {amount: 5000.00}\n"),
    ("\ncampaigns:", COUPON),
) + MORE  # fmt: skip
GUARDED = (LIBRARY / "fraud_shop.yaml").read_text("utf-8")
LAXER = changed(GUARDED, ("claims_a_day: {more_than: 8}", "claims_a_day: {mode: off}"))
PREPARED, TRIED, HALVED = (Running(trial=NEXT, share=share, salt="2") for share in (0, TENTH, HALF))
PUBLISHED, TAKEN_BACK = Running(base=NEXT), Running()


@functools.cache
def traffic(shop: str = "coupon_shop") -> Traffic:
    return record_traffic(shop, shop, 800, 2, 4 * HOUR_MS)


def served(
    path: list[Running], network: Network, seed: int, crashes: float, shop: str = "coupon_shop"
) -> tuple[Hall, list[Told]]:
    """Traffic, with an order now and then."""
    hall = Hall(traffic(shop), network, Random(seed), crashes)
    told, number = list(callers(hall, STEPS, 5)), 0
    for place, one in enumerate(told):
        if number < len(path) and place >= len(told) * (number + 1) // (len(path) + 1):
            number += 1
            hall.run(number, path[number - 1])
        hall.dispatcher.submit(one.shard, one.block)
        if hall.random.random() < 0.2:
            hall.turn()
    hall.until_answered()
    return hall, told


@pytest.fixture(scope="module", params=["published", "taken back"])
def hall(request: pytest.FixtureRequest) -> Hall:
    end = PUBLISHED if request.param == "published" else TAKEN_BACK
    return served([PREPARED, TRIED, HALVED, end], ROUGH, 3, 0.03)[0]


def test_who_is_on_trial_is_decided_by_the_other_policy(hall: Hall) -> None:
    """What shards answered is what the reference says of their journals, policy by policy."""
    plan = hall.traffic.plan
    for number, (first, end) in enumerate(hall.bounds):
        reference = ShardByReference(plan.policy, first, hall.traffic.profiles[first:end], hall.traffic.bulletin)
        told = {(client, batch): of for (client, shard, batch), of in hall.answers.items() if shard == number}
        assert list(reference.differences(hall.journals[f"shard-{number}"], told)) == []


def machine_of(hall: Hall, seat: str) -> Any:
    return hall.machines[seat]


def fresh(hall: Hall, seat: str) -> Any:
    return hall.fresh(seat)


def shown(hall: Hall, campaign: str) -> np.ndarray:
    """Customers to whom it was shown, as often as it was."""
    slot = machine_of(hall, LEDGER).editions.registry.slots[campaign]
    rows = np.concatenate([decisions for decisions, _ in hall.answers.values()])
    return rows["customer"][(rows["campaign"] == slot) & (rows["reason"] == Reason.SHOWN)]


def test_only_who_is_on_trial_sees_what_is_new() -> None:
    hall, _ = served([PREPARED, TRIED], Network(), 4, 0.0)
    saw = set(shown(hall, "a_little_extra").tolist())
    shards = [machine_of(hall, f"shard-{number}").shard for number in range(hall.shards)]
    chosen = {one for shard in shards for one in np.flatnonzero(shard.trial.chosen) + shard.arrays.first[0]}
    assert 0 < len(saw) <= len(chosen) < 800 * 0.2 and saw <= chosen


@pytest.mark.parametrize("seat", ["shard-0", LEDGER])
def test_another_process_ends_where_the_journal_does(hall: Hall, seat: str) -> None:
    machine = machine_of(hall, seat)
    assert hall.again(seat).digest() == machine.digest()
    again = fresh(hall, seat)
    pieces = [machine.piece(at) for at in range(machine.pieces())]
    again.restore(pieces)
    again.caught_up()
    assert again.digest() == machine.digest() and again.editions.state() == machine.editions.state()
    assert again.ordered == 4


@pytest.fixture(scope="module")
def guarded() -> Hall:
    """Fraud rules are published that were not there, which count from then on."""
    return served([Running(base=LAXER), Running(), Running(base=LAXER), Running()], ROUGH, 3, 0.0, "fraud_shop")[0]


@pytest.mark.parametrize("distance", [1, 4, 9])
def test_a_snapshot_lasts_through_a_publication(hall: Hall, distance: int) -> None:
    """Some of its pieces are from before an order, and some from after it."""
    check_snapshots(hall, distance)


@pytest.mark.parametrize("distance", [1, 4, 9])
def test_a_snapshot_lasts_through_other_fraud_rules(guarded: Hall, distance: int) -> None:
    """What rules remember of a customer is looked at once a day, too."""
    check_snapshots(guarded, distance)


def check_snapshots(hall: Hall, distance: int) -> None:
    records = hall.journals["shard-0"]
    machine, orders = fresh(hall, "shard-0"), list[int]()
    for number, payload in enumerate(records, 1):
        before = machine.ordered
        machine.apply(payload)
        orders += [number] if machine.ordered > before else []
    for at in orders[1:]:
        check_snapshot(hall, records, range(at - distance, min(at + distance, len(records)) + 1))


def check_snapshot(hall: Hall, records: list[bytes], during: range) -> None:
    machine, again = hall.fresh("shard-0"), hall.fresh("shard-0")
    pieces, numbers = list[Any](), list[int]()
    for number, payload in enumerate(records, 1):
        machine.apply(payload)
        if number in during:
            left = machine.pieces() - len(pieces)
            for _ in range(left if number == during[-1] else left // 3):
                pieces.append(machine.piece(len(pieces)))
                numbers.append(number)
    recover(again, pieces, numbers, records)
    assert again.digest() == machine.digest()


def test_an_order_is_carried_out_once(hall: Hall) -> None:
    """Also one that was on its way for so long that others came after it."""
    machine = machine_of(hall, "shard-0")
    order = Order(2, RUN, tuple(vars(TRIED).values()))
    admission = machine.admit(order, hall.now)
    assert not admission.payloads and admission.out == [Envelope(OPERATOR, Ordered(2, "shard-0"))]


def test_what_is_paused_stays_so() -> None:
    shard = fresh(Hall(traffic(), Network(), Random(1)), "shard-0").shard
    said = open_bulletin(len(shard.bulletin.open))
    said.open[1], said.in_stock[2] = 0, 0
    shard.take_bulletin(said)
    editions = Editions(traffic().plan.policy)
    editions.run(TRIED)
    shard.run(editions)
    assert shard.bulletin.open[:3].tolist() == [1, 0, 1] and shard.bulletin.in_stock[:3].tolist() == [1, 1, 0]


def test_what_those_on_trial_cost_is_reckoned() -> None:
    """The same policy for both groups: together they spend what all did before."""
    spent = [spend_under(running) for running in (Running(), Running(trial=SHOP, share=HALF))]
    assert spent[0].sum() > 0 and (spent[0] == spent[1]).all()


def spend_under(running: Running) -> np.ndarray:
    hall = Hall(traffic(), Network(), Random(1))
    machine = fresh(hall, "shard-0")
    machine.editions.run(running)
    machine.shard.run(machine.editions)
    spent = []
    for batch in traffic().batches(0, *hall.bounds[0])[:STEPS]:
        machine.shard.decide(batch.events, inbox_of(batch, records(len(batch.asks), RECEIPT)))
        spent.append(machine.shard.account(batch.time_ms).spend)
    return sum(spent, np.zeros_like(spent[0]))


def test_one_salt_draws_the_same_customers_and_more() -> None:
    machine = fresh(Hall(traffic(), Network(), Random(1)), "shard-0")
    drawn = []
    for running in (TRIED, HALVED):
        machine.editions.run(running)
        machine.shard.run(machine.editions)
        drawn.append(machine.shard.trial.chosen.copy())
    assert 20 <= drawn[0].sum() <= 60 and 150 <= drawn[1].sum() <= 250
    assert (drawn[0] <= drawn[1]).all()


def test_numbers_never_change() -> None:
    """Whatever comes and goes, a name keeps its number, and a second machine gives the same ones."""
    begun = traffic().plan.policy
    one, other = Editions(begun), Editions(begun)
    before = dict(begun.registry.slots), dict(begun.coupons)
    for running in (PREPARED, TRIED, PUBLISHED, Running(base=NEXT, trial=SHOP, share=TENTH), Running(base=SHOP)):
        one.run(running)
        other.restore(one.state())
        assert other.state() == one.state()
        assert before[0].items() <= one.registry.slots.items() and before[1].items() <= one.registry.coupons.items()
        assert len(one.base.tables.campaigns) == len(one.registry.slots)
    assert "a_little_extra" in one.registry.slots and "surprise_5" in one.registry.coupons


def test_a_name_has_its_number_for_good() -> None:
    """Also one that a policy leaves out, or that another one puts first."""
    editions = Editions(traffic().plan.policy)
    fewer = changed(SHOP, ("tags: [price_sensitive]", "tags: []"))
    first = changed(SHOP, ("tags: [price_sensitive]", "tags: [new_one, price_sensitive]"))
    for text in (fewer, first, SHOP):
        editions.run(Running(base=text))
        assert Dictionary(editions.base).numbers["tag"]["price_sensitive"] == 0
    assert editions.names.tags == ["price_sensitive", "new_one"]
    many = changed(SHOP, ("tags: [price_sensitive]", f"tags: [{', '.join(f't{n}' for n in range(60))}]"))
    running = Running(base=many)
    with pytest.raises(OverflowError, match=r"names\.tags must be at most 60 ever"):
        editions.run(running)


def test_what_is_wrong_changes_nothing() -> None:
    editions = Editions(traffic().plan.policy)
    many = "".join(f"\n  c{number}: {{kind: amount_off, off: 1.00, over: 2.00, valid: 1d}}" for number in range(52))
    running = Running(base=SHOP.replace("\ncoupons:", "\ncoupons:" + many))
    editions.run(Running(trial=NEXT))
    before = editions.state()
    with pytest.raises(OverflowError, match="coupons must be at most"):
        editions.run(running)
    assert editions.state() == before


UNFIT = {
    "another policy": (("policy: coupon_shop", "policy: other_shop"), "policy must stay coupon_shop (got other_shop)"),
    "another zone": (("Asia/Shanghai", "Asia/Tokyo"), "time_zone must stay Asia/Shanghai (got Asia/Tokyo)"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNFIT)
def test_what_customers_remember_bounds_what_may_follow(what: str) -> None:
    change, said = UNFIT[what]
    (found,) = unfit(load_text(SHOP, "shop", Policy), load_text(changed(SHOP, change), "next", Policy))
    assert said in found


SHARED = {
    "a coupon": ("    off: 200.00\n", "    off: 250.00\n", ["coupons.big_200 (terms)"]),
    "a budget": ("growth: {amount: 150000.00}", "growth: {amount: 250000.00}", ["budgets.growth (amount)"]),
    "a campaign's coupon": ("    coupon: big_500\n", "    coupon: big_200\n", ["campaigns.bigger_basket (coupon)"]),
    "a limit": ("    limits: [{most: 1, per: month}]\n    valid: 30d\n", "    valid: 30d\n", []),
    "a cap": ("caps: [{most: 3, per: 14d}]", "caps: [{most: 4, per: 14d}]", []),
    "fraud": ("\ncoupons:\n", "\nfraud: {let_through: 5%}\n\ncoupons:\n", ["fraud"]),
}  # fmt: skip


@pytest.mark.parametrize("what", SHARED)
def test_what_all_share_cannot_be_tried_on_some(what: str) -> None:
    before, after, said = SHARED[what]
    editions = Editions(traffic().plan.policy)
    editions.run(Running(base=SHOP, trial=changed(SHOP, (before, after))))
    assert editions.trial is not None and shared_changes(editions.base, editions.trial) == said


def test_the_ledger_offers_what_either_offers() -> None:
    machine = fresh(Hall(traffic(), Network(), Random(1)), LEDGER)
    smaller = SHOP[: SHOP.index("  bigger_basket:")]
    machine.editions.run(Running(trial=smaller))
    used = machine.editions.common.campaigns["used"]
    assert used[machine.editions.registry.slots["bigger_basket"]] == 1
    machine.editions.run(Running(base=smaller))
    assert machine.editions.common.campaigns["used"][machine.editions.registry.slots["bigger_basket"]] == 0
