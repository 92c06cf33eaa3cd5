"""The Ledger: against its naive twin, under any order and number of shards, with every invariant seen red."""

from random import Random
from typing import Any

import pytest

from engine.coupon_records import ANSWERS, UNLIMITED, Spend
from engine.host.ledger import LedgerHost
from engine.host.messages import Settled
from engine.records import NEVER_MS
from engine.reference_ledger import ReferenceLedger
from tests.engine.claims import (
    CUSTOMERS,
    START_MS,
    STEP_MS,
    Crowd,
    Row,
    campaign_rows,
    changed_policy,
    contributions,
    names_of,
    random_policy,
    ranges,
    reply_rows,
    tables_of,
)

SEEDS = 40
SETTLEMENTS = 14
ACTS = 60
TICK_MS = STEP_MS
CHANNEL_BUDGETS = {0: 0}


class Twins:
    """One random run, lived by the Ledger with some shards and by the reference."""

    def __init__(self, seed: int, shards: int) -> None:
        self.rng, self.shards, self.seed = Random(seed), shards, seed
        self.policy = random_policy(self.rng)
        self.crowd = Crowd(Random(seed + 1), self.policy)
        self.channel_budgets = CHANNEL_BUDGETS if self.policy["budgets"] and seed % 2 else {}
        tables = tables_of(self.policy, self.channel_budgets)
        self.ledger = LedgerHost(tables, *names_of(self.policy), ranges(shards), START_MS, TICK_MS)
        self.reference = ReferenceLedger(self.policy, (0, CUSTOMERS), START_MS, TICK_MS)

    def settle(self, number: int) -> None:
        """One settlement by both; every reply must agree, field by field."""
        self.crowd.expose(self.ledger.bulletin())
        requests, spend = self.crowd.ask(ACTS), self.crowd.take_spend()
        messages = contributions(self.crowd, number, requests, spend, self.shards)
        Random(self.shards).shuffle(messages)
        out: list[Any] = []
        for message in messages:
            out += self.ledger.receive(message, message.time_ms)
        by_budget: dict[int, dict[Spend, int]] = {}
        for (_, budget, what), amount in spend.items():
            amounts = by_budget.setdefault(budget, {})
            amounts[what] = amounts.get(what, 0) + amount
        expected = self.reference.settle(requests, by_budget, self.crowd.now)
        for settled, (first, end) in zip(out, ranges(self.shards), strict=True):
            assert isinstance(settled, Settled)
            assert reply_rows(settled.replies) == [
                {k: int(v) for k, v in row.items()} for row in expected if first <= row["customer"] < end
            ]
            self.check_bulletin(settled)
        self.crowd.hear(expected)
        assert state_of(self.ledger, self.policy) == reference_state(self.reference)

    def check_bulletin(self, settled: Settled) -> None:
        for slot, campaign in enumerate(campaign_rows(self.policy)):
            channel_budget = self.channel_budgets.get(campaign["channel"], -1)
            assert settled.bulletin.in_stock[slot] == self.reference.in_stock(campaign)
            assert settled.bulletin.in_budget[slot] == self.reference.in_budget(campaign, channel_budget)

    def between(self, number: int) -> None:
        """Deliveries, other policies, acknowledgements, a move to another process."""
        slot = self.rng.randrange(len(self.policy["coupons"]))
        if self.rng.random() < 0.3 and self.reference.stock[slot].delivered != UNLIMITED:
            self.ledger.restock(f"coupon_{slot}", 5, self.crowd.now)
            self.reference.restock(slot, 5)
        if self.rng.random() < 0.3:
            self.policy = self.crowd.policy = changed_policy(self.rng, self.policy)
            self.ledger.adopt(tables_of(self.policy, self.channel_budgets), *names_of(self.policy))
            self.reference.adopt(self.policy)
        if self.rng.random() < 0.3:
            self.ledger.forget(10, 40, number - 1)
            self.reference.forget(10, 40, number - 1)
            self.crowd.acknowledge(10, 40, number - 1)
        if self.rng.random() < 0.3:
            self.ledger = self.ledger.copy()

    def run(self) -> str:
        for number in range(1, SETTLEMENTS + 1):
            self.settle(number)
            self.between(number)
        return self.ledger.digest()


def state_of(ledger: LedgerHost, policy: Row) -> Row:
    names = ("delivered", "left", "granted", "reserved", "confirmed", "moving", "arrived", "out_ms", "released")
    stock = {slot: {name: int(ledger.shared.stock[slot][name]) for name in names} for slot in policy["coupons"]}
    for slot, row in stock.items():
        row["refused"] = {a: n for a in range(ANSWERS) if (n := int(ledger.shared.stock[slot].refused[a]))}  # type: ignore[assignment]
    fund_names = ("in_force", "reserved", "spent", "overshoot", "out_ms", "released")
    funds = {slot: {name: int(ledger.shared.funds[slot][name]) for name in fund_names} for slot in policy["budgets"]}
    return {"stock": stock, "funds": funds, "open": int(ledger.shared.reservations.size[0])}


def reference_state(ledger: ReferenceLedger) -> Row:
    stock = {}
    for slot, coupon in ledger.stock.items():
        names = ("delivered", "left", "granted", "reserved", "confirmed", "moving", "arrived", "out_ms")
        stock[slot] = {name: getattr(coupon, name) for name in names}
        stock[slot]["released"] = NEVER_MS if coupon.released is None else coupon.released
        stock[slot]["refused"] = {int(a): n for a, n in coupon.refused.items() if n}
    fund_names = ("in_force", "reserved", "spent", "overshoot", "out_ms", "released")
    funds = {slot: {name: int(getattr(fund, name)) for name in fund_names} for slot, fund in ledger.funds.items()}
    return {"stock": stock, "funds": funds, "open": len(ledger.reservations) + len(ledger.transfers)}


# --- against the reference --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_ledger_equals_its_reference(seed: int) -> None:
    digests = {Twins(seed, shards).run() for shards in (1, 2, 3)}
    assert len(digests) == 1, f"seed {seed}: the digest must not depend on the number of shards"
