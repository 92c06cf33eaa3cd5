"""One random run lived by the Ledger and by its reference. python -m tests.engine.ledger_twins SEED: its digest."""

import sys
from random import Random
from typing import Any

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

SETTLEMENTS, ACTS = 14, 60
PIECE_FIELDS = ("delivered", "left", "granted", "reserved", "confirmed", "promised", "moving", "arrived", "out_ms")
MONEY_FIELDS = ("in_force", "reserved", "spent", "overshoot", "out_ms", "released")


class Twins:
    """The same random crowd before the Ledger, its customers in some shards, and before the reference."""

    def __init__(self, seed: int, shards: int = 1, acts: int = ACTS) -> None:
        self.rng, self.seed, self.shards, self.acts = Random(seed), seed, shards, acts
        self.policy = random_policy(self.rng)
        self.crowd = Crowd(Random(seed + 1), self.policy)
        self.channel_budgets = {0: 0} if self.policy["budgets"] and seed % 2 else {}
        tables = tables_of(self.policy, self.channel_budgets)
        self.ledger = LedgerHost(tables, *names_of(self.policy), ranges(shards), START_MS, STEP_MS)
        self.reference = ReferenceLedger(self.policy, (0, CUSTOMERS), START_MS, STEP_MS)

    def settle(self, number: int) -> None:
        """One settlement by both: replies, state and bulletin must agree, field by field."""
        self.crowd.expose(self.ledger.bulletin())
        requests, spend = self.crowd.ask(self.acts), self.crowd.take_spend()
        messages = contributions(self.crowd, number, requests, spend, self.shards)
        Random(self.shards).shuffle(messages)
        out: list[Any] = []
        for message in messages:
            out += self.ledger.receive(message, message.time_ms)
        expected = [as_integers(row) for row in self.reference.settle(requests, by_budget(spend), self.crowd.now)]
        for settled, (first, end) in zip(out, ranges(self.shards), strict=True):
            mine = [row for row in expected if first <= row["customer"] < end]
            assert reply_rows(settled.replies) == mine, f"seed {self.seed}, settlement {number}"
            self.check_bulletin(settled)
        self.crowd.hear(expected)
        assert self.state() == self.reference_state(), f"seed {self.seed}, settlement {number}"

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

    def state(self) -> Row:
        shared, policy = self.ledger.shared, self.policy
        stock: dict[int, Row] = {}
        for slot in policy["coupons"]:
            row = shared.stock[slot]
            stock[slot] = {name: int(row[name]) for name in (*PIECE_FIELDS, "released")}
            stock[slot]["refused"] = {a: int(row.refused[a]) for a in range(ANSWERS) if row.refused[a]}
        funds = {slot: {name: int(shared.funds[slot][name]) for name in MONEY_FIELDS} for slot in policy["budgets"]}
        return {"stock": stock, "funds": funds, "open": int(shared.reservations.size[0])}

    def reference_state(self) -> Row:
        twin = self.reference
        stock: dict[int, Row] = {}
        for slot, coupon in twin.stock.items():
            stock[slot] = {name: getattr(coupon, name) for name in PIECE_FIELDS}
            stock[slot]["released"] = NEVER_MS if coupon.released is None else coupon.released
            stock[slot]["refused"] = {int(answer): times for answer, times in coupon.refused.items()}
        funds = {slot: {name: int(getattr(fund, name)) for name in MONEY_FIELDS} for slot, fund in twin.funds.items()}
        return {"stock": stock, "funds": funds, "open": len(twin.reservations) + len(twin.transfers)}


def as_integers(row: Row) -> Row:
    return {name: int(value) for name, value in row.items()}


def by_budget(spend: dict[tuple[int, int, Spend], int]) -> dict[int, dict[Spend, int]]:
    """What all customers spent: fen by budget and kind."""
    total: dict[int, dict[Spend, int]] = {}
    for (_, budget, what), amount in spend.items():
        amounts = total.setdefault(budget, {})
        amounts[what] = amounts.get(what, 0) + amount
    return total


if __name__ == "__main__":
    print(Twins(int(sys.argv[1])).run())
