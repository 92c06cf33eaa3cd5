"""What callers are told is what the shards decided and keep, once each, whatever becomes of messages and machines."""

import functools
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from engine.coupon_records import ASK, LINE, Answer
from engine.host.shard import combined
from engine.records import NONE, EventKind
from gateway import dispatcher as dispatching
from gateway.blocks import Block, Outcome, Part, joined, new_events, whole
from gateway.dispatcher import FullError
from loadtests.traffic import Traffic, record_traffic
from tests.gateway.by_reference import ShardByReference
from tests.gateway.hall import CLIENT, Hall, Network, Told, bulks, callers, trials

QUIET = Network()
ROUGH = Network(lost=0.1, repeated=0.1, delayed=0.3)
HOUR_MS = 3_600_000
STEPS = 12


@functools.cache
def traffic(shop: str = "coupon_shop") -> Traffic:
    return record_traffic(shop, shop, 800, 2, 4 * HOUR_MS)


def served(
    network: Network, seed: int = 1, crashes: float = 0.0, most: int = 5, shop: str = "coupon_shop"
) -> tuple[Hall, list[Told]]:
    """Everything callers sent, answered; they come a few at a time."""
    hall = Hall(traffic(shop), network, Random(seed), crashes)
    told = list(callers(hall, STEPS, most))
    for one in [*trials(hall, 400), *bulks(hall, 6, 250)]:
        told.insert(hall.random.randrange(len(told)), one)
    for one in told:
        hall.dispatcher.submit(one.shard, one.block)
        if hall.random.random() < 0.2:
            hall.turn()
    hall.until_answered()
    return hall, told


CASES: dict[str, tuple[Any, ...]] = {
    "quiet": (QUIET,), "rough": (ROUGH, 2, 0.05), "fraud rules": (ROUGH, 3, 0.02, 5, "fraud_shop"),
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def hall_and_told(request: pytest.FixtureRequest) -> tuple[Hall, list[Told]]:
    return served(*CASES[request.param])


@pytest.mark.parametrize("seed", [3, 5, 7])
def test_the_ledger_reckons_with_what_customers_have(seed: int) -> None:
    """Two contributions of a shard are under way, and settlements late: every one is checked by the Ledger itself."""
    hall, _ = served(Network(delayed=0.3), seed, shop="fraud_shop")
    assert sum(len(journal) for journal in hall.journals.values()) > 100


def test_everybody_is_told_once_about_the_own_events(hall_and_told: tuple[Hall, list[Told]]) -> None:
    _, told = hall_and_told
    assert sum(len(one.block.events) for one in told) > 1_000
    for one in told:
        (outcome,) = one.outcomes
        assert outcome.decisions["customer"].tolist() == one.block.events["customer"].tolist()
        assert outcome.decisions["kind"].tolist() == one.block.events["kind"].tolist()


def test_what_had_to_wait_was_sent_again() -> None:
    hall, told = served(ROUGH, 3)
    waited = [True for _, receipts in hall.answers.values() if (receipts["answer"] == Answer.WAITS).any()]
    assert waited, "an event that reads what an open reply may change"
    for one in told:
        assert not (one.outcomes[0].receipts["answer"] == Answer.WAITS).any()


def test_who_waits_for_the_ledger_hears_what_it_said(hall_and_told: tuple[Hall, list[Told]]) -> None:
    _, told = hall_and_told
    pending = 0
    for one in told:
        outcome = one.outcomes[0]
        on_its_way = outcome.decisions["kind"] == EventKind.TRANSFER  # until the receiver's shard has it
        for row in np.flatnonzero((outcome.decisions["answer"] == Answer.PENDING) & ~on_its_way):
            receipt = outcome.receipts[one.block.events["ask"][row]]
            mine = outcome.replies[outcome.replies["customer"] == outcome.decisions["customer"][row]]
            assert receipt["number"] in mine["claim"]
            pending += 1
    assert pending > 20


def asked_six_times(claim: Told) -> set[tuple[int, int]]:
    """Answers and numbers of the piece, of a claim that is repeated under one id while the Ledger is asked."""
    hall = Hall(traffic(), ROUGH, Random(5))
    asks = claim.block.asks.copy()
    asks["id"] = 99
    ended: list[Outcome] = []
    for _ in range(6):
        hall.dispatcher.submit(claim.shard, replace(claim.block, asks=asks, told=ended.append))
        hall.turn()
    hall.until_answered()
    assert len(ended) == 6
    return {end_of(outcome, int(claim.block.events["ask"][0])) for outcome in ended}


def end_of(outcome: Outcome, ask: int) -> tuple[int, int]:
    receipt = outcome.receipts[ask]
    replies = [reply for reply in outcome.replies if reply["claim"] == receipt["number"]]
    return int(replies[0]["answer"] if replies else receipt["answer"]), int(receipt["number"])


def test_who_asks_again_hears_what_became_of_the_first() -> None:
    claims = [one for one in callers(Hall(traffic(), QUIET, Random(1)), STEPS, 1) if is_claim(one)]
    ends = [asked_six_times(claim) for claim in claims[:8]]
    assert all(len(end) == 1 for end in ends), "one answer, and one piece"
    answers = {answer for ((answer, _),) in ends}
    assert Answer.DONE in answers and Answer.PENDING not in answers


def is_claim(one: Told) -> bool:
    return bool(one.block.events["kind"][0] == EventKind.CLAIM)


def test_every_journal_says_what_was_there(hall_and_told: tuple[Hall, list[Told]]) -> None:
    hall, _ = hall_and_told
    live = combined([machine.digest() for machine in hall.machines.values()])
    assert combined([hall.again(seat).digest() for seat in hall.machines]) == live


def test_the_reference_decides_the_same(hall_and_told: tuple[Hall, list[Told]]) -> None:
    """The naive engine, fed with the same journal."""
    hall, _ = hall_and_told
    for number, (first, end) in enumerate(hall.bounds):
        shop = hall.traffic
        twin = ShardByReference(shop.plan.policy, first, shop.profiles[first:end], shop.bulletin)
        told = {(CLIENT, one): said for (_, shard, one), said in hall.answers.items() if shard == number}
        assert not list(twin.differences(hall.journals[f"shard-{number}"], told))


def test_whatever_becomes_of_orders_and_coupons_is_among_it(hall_and_told: tuple[Hall, list[Told]]) -> None:
    _, told = hall_and_told
    single = [one for one in told if len(one.block.events) == 1 and one.block.events["ask"][0] != NONE]
    answers = {(int(one.block.events["kind"][0]), int(one.outcomes[0].decisions["answer"][0])) for one in single}
    done = (EventKind.PAYMENT, EventKind.CANCEL, EventKind.REFUND, EventKind.REDEEM)
    assert {(kind, Answer.DONE) for kind in done} | {(EventKind.TRANSFER, Answer.NO_COUPON)} <= answers


def test_a_batch_asks_what_its_callers_ask() -> None:
    """Carts of several orders, events and asks of one block that go apart, and some that ask for nothing between."""
    carts = [[7], [5, 6], [], [9]]
    blocks = [order_of(prices) if prices else Block(new_events(2), lambda outcome: None) for prices in carts]
    two = replace(blocks[1], events=np.concatenate([blocks[1].events, new_events(1), blocks[1].events]))
    apart = [Part(two, np.array([1, 2])), whole(blocks[2]), Part(two, np.array([0]))]
    arrays = joined([whole(blocks[0]), *apart, *map(whole, blocks)])
    asks = arrays.asks[arrays.events["ask"][arrays.events["ask"] != NONE]]
    found = [arrays.lines["unit_price"][ask["first_line"] :][: ask["lines"]].tolist() for ask in asks]
    assert found == [[7], [5, 6], [5, 6], [7], [5, 6], [9]]


def order_of(prices: list[int]) -> Block:
    event, ask, lines = new_events(1), np.zeros(1, ASK), np.zeros(len(prices), LINE)
    event["kind"], event["ask"], ask["lines"], lines["unit_price"] = EventKind.ORDER, 0, len(prices), prices
    return Block(event, lambda outcome: None, ask, lines)


def test_batches_grow_with_what_waits() -> None:
    hall = Hall(traffic(), QUIET, Random(1))
    told = list(callers(hall, 2, 3))
    for one in told:
        hall.dispatcher.submit(one.shard, one.block)
    hall.until_answered()
    events = sum(len(one.block.events) for one in told)
    assert len([True for key in hall.answers if key[1] == 0]) < events / 20


def test_a_full_queue_refuses_and_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall(traffic(), QUIET, Random(1))
    monkeypatch.setattr(hall.dispatcher, "queue_max", 10)
    told: list[int] = []
    block = Block(new_events(4), lambda outcome: told.append(len(outcome.decisions)))
    for _ in range(2):
        hall.dispatcher.submit(0, block)
    with pytest.raises(FullError, match="8 events wait for shard 0, and at most 10 may"):
        hall.dispatcher.submit(0, block)
    assert hall.dispatcher.open == 8


def test_many_are_taken_by_all_shards_or_none() -> None:
    hall, told = Hall(traffic(), QUIET, Random(1)), list[int]()
    first, second = (new_events(count) for count in (99_999, 2))
    hall.dispatcher.submit(1, Block(first, lambda outcome: None))
    blocks = {shard: Block(second, lambda outcome: told.append(1)) for shard in (0, 1)}
    with pytest.raises(FullError, match="99,999 events wait for shard 1"):
        hall.dispatcher.submit_all(blocks)
    assert hall.dispatcher.open == 99_999 and not told


def test_many_go_in_parts_and_let_others_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatching, "PART_MAX", 100)
    monkeypatch.setattr(dispatching, "FEW_MAX", 50)
    hall, ended = Hall(traffic(), QUIET, Random(1)), list[str]()
    (many,) = bulks(hall, 1, 950)
    few = Block(new_events(1), lambda outcome: ended.append("few"))
    few.events["customer"], few.events["kind"] = hall.bounds[many.shard][0], EventKind.LOGIN

    def told(outcome: Outcome) -> None:
        ended.append("many")
        many.outcomes.append(outcome)

    many.block.told = told
    for block in (many.block, few):
        hall.dispatcher.submit(many.shard, block)
    hall.until_answered()
    assert ended == ["few", "many"]
    assert (many.outcomes[0].decisions["customer"] == many.block.events["customer"]).all()
    assert sorted(len(said) for said, _ in hall.answers.values()) == [50, *[100] * 8, 101]


def test_a_batch_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With so many from those who send few, and so many from those who send many."""
    monkeypatch.setattr(dispatching, "BATCH_MAX", 16)
    monkeypatch.setattr(dispatching, "PART_MAX", 30)
    monkeypatch.setattr(dispatching, "FEW_MAX", 16)
    hall, _ = served(QUIET)
    assert 30 <= max(len(decisions) for decisions, _ in hall.answers.values()) <= 16 + 30


def test_nothing_is_sent_before_somebody_leads() -> None:
    hall = Hall(traffic(), QUIET, Random(1))
    hall.dispatcher.epoch = 0
    hall.dispatcher.submit(0, Block(new_events(1), lambda outcome: None))
    assert hall.dispatcher.flush(0) == []
