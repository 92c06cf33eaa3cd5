"""One random shop with fraud rules, lived by the naive twins, by the Ledger alone, and by shards and the Ledger.

python -m tests.engine.fraud_twins SEED STEPS: lives it by the references, then by one shard; prints the digest.
"""

import sys
from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np

from engine.coupon_records import LIVES, Answer, Life, RequestKind, Spend
from engine.fraud_records import Check, Home, Mode, RuleCell
from engine.host.ledger import LedgerHost
from engine.host.messages import Contribution, Settled
from engine.records import NONE, EventKind
from engine.reference_rules import Past, Rule, window_end
from engine.reference_wallet import Row
from tests.engine.claims import request_records
from tests.engine.fraud_traffic import FraudTraffic, decisions, random_frauds
from tests.engine.wallet_twins import (
    CUSTOMERS,
    TICK_MS,
    Compiled,
    Shop,
    Step,
    Story,
    as_row,
    by_customer,
    plain,
    spend_table,
)


class WatchedPast(Past):
    """Tells how near rules came to firing, and what left a window just then."""

    def __init__(self, witness: "FraudStory") -> None:
        super().__init__()
        self.witness = witness

    def within(self, rule: Rule, key: Any, t: int) -> Any:
        ends = [window_end(rule, at, self.zone) for at, _ in self.counted.get((rule.slot, key), [])]
        if t in ends:
            self.witness.edges.add("an event leaves a window to the millisecond")
        return super().within(rule, key, t)

    def amount(self, rule: Rule, key: Any, t: int, more: Any = ()) -> int:
        amount = super().amount(rule, key, t, more)
        self.witness.near[rule.slot] += amount == rule.most
        return amount


OF_EVENTS = (Check.SELF_REFERRAL, Check.REFERRAL_CYCLE, Check.COLLUSION)  # they mark; no ask is judged by them


def looks_at(rule: Rule, request: Row) -> bool:
    """Whether a rule of registrations or joins tests an event."""
    tested = EventKind.GROUP_JOIN if rule.check == Check.COLLUSION else EventKind.REGISTER
    invited = rule.check == Check.COLLUSION or request["inviter"] != NONE
    return bool(request["counted"] >> rule.slot & 1) and request["event_kind"] == tested and invited


class FraudStory(Story):
    """A random run under fraud rules, with reviewers who decide now and then.

    fired, near: by slot, how often a rule fired and how often it just did not; answers: by kind and Answer; edges: what
    of EDGES was met.
    """

    traffic_of = FraudTraffic
    traffic: FraudTraffic

    def __init__(self, seed: int, steps: int, events: int = 16) -> None:
        self.fired: Counter[int] = Counter()
        self.near: Counter[int] = Counter()
        self.answers: Counter[tuple[str, str]] = Counter()
        self.edges: set[str] = set()
        super().__init__(seed, steps, events, random_frauds(Random(seed), seed))
        self.conclude()

    def live(self, events: int) -> None:
        if not self.steps:
            self.engine.wallets.watch.past = self.watched(self.engine.wallets.watch.past)
            self.ledger.counters.past = self.watched(self.ledger.counters.past)
        reviews = dict(self.ledger.reviews)
        super().live(events)
        self.traffic.hear(self.steps[-1].replies)
        self.look_at(self.steps[-1], reviews)

    def watched(self, past: Past) -> WatchedPast:
        mine = WatchedPast(self)
        mine.zone = past.zone
        return mine

    def decided(self, step: Step) -> list[Row]:
        return decisions(self.rng, self.ledger.reviews, len(self.steps), self.now, step.until)

    # --- what was reached ---------------------------------------------------------------------------------------------
    def look_at(self, step: Step, reviews: dict[tuple[int, int], Row]) -> None:
        watch, rules = self.engine.wallets.watch, self.engine.wallets.watch.fraud.rules
        for happening, answer in zip(step.happenings, step.answers, strict=True):
            if answer.receipt is not None:
                self.answers[EventKind(int(happening.event.kind)).name, Answer(answer.receipt["answer"]).name] += 1
                t = answer.decision["time_ms"]
                waited = answer.receipt["fired"] and not answer.late and t > happening.event.time_ms
                self.edges |= {"what waited is judged"} if waited else set()
                self.look_at_receipt(answer.receipt, answer.late, t)
        for rule in rules.values():
            if rule.check in OF_EVENTS:
                looked = sum(looks_at(rule, request) for request in step.requests)
                told = sum((r["kind"], r["rule"]) == (RequestKind.OBSERVED, rule.slot) for r in step.replies)
                self.near[rule.slot] += looked - told
        for reply in step.replies:
            self.answers[RequestKind(reply["kind"]).name, Answer(reply["answer"]).name] += 1
            if reply["kind"] == RequestKind.OBSERVED:
                self.fired[reply["rule"]] += 1
        for request in step.requests:
            self.edges |= {"a pass goes with a request"} if request["exempt"] else set()
            silent = [rule for rule in rules.values() if request["exempt"] >> rule.slot & 1]
            assert all(rule.home == Home.LEDGER for rule in silent)
        ended = {id for id, row in reviews.items() if row["due_ms"] <= step.until and id not in self.ledger.reviews}
        decided = {(row["customer"], row["claim"]) for row in step.decided}
        self.edges |= {"a review ends by itself"} if ended - decided else set()
        self.edges |= {"a key is forgotten"} if self.ledger.counters.forgotten else set()
        self.edges |= {"somebody is allowed"} if any(allowed for allowed, _ in watch.lists.values()) else set()

    def look_at_receipt(self, receipt: Row, late: bool, t: int) -> None:
        watch = self.engine.wallets.watch
        fired = [rule for slot, rule in watch.fraud.rules.items() if receipt["fired"] >> slot & 1]
        active = [rule for rule in fired if watch.is_active(rule, t)]
        told = watch.fraud.rules.get(receipt["rule"])
        self.edges |= {"a late ask"} if late else set()
        self.edges |= {"a shadow fires"} if any(rule.mode == Mode.SHADOW for rule in fired) else set()
        self.edges |= (
            {"a rule warms"} if any(rule.mode == Mode.ACTIVE for rule in fired if rule not in active) else set()
        )
        self.edges |= {"a pass is used up"} if active and told is None else set()
        if told is not None and told.home == Home.LEDGER and told.check != Check.LISTED:
            self.edges.add("a mark answers")

    def conclude(self) -> None:
        for tallies in (self.engine.wallets.watch.tallies, self.ledger.counters.tallies):
            for (_, slot, cell), times in tallies.items():
                self.fired[slot] += times if cell == RuleCell.FIRED else 0
                self.edges |= {"not judged"} if cell == RuleCell.NOT_JUDGED else set()
        for rule in self.engine.wallets.watch.fraud.rules.values():
            if rule.check not in (Check.COUNT, *OF_EVENTS):
                self.near[rule.slot] += self.judged(rule.slot, RuleCell.JUDGED) - self.judged(rule.slot, RuleCell.FIRED)

    def judged(self, slot: int, wanted: RuleCell) -> int:
        tallies = self.engine.wallets.watch.tallies + self.ledger.counters.tallies
        return sum(times for (_, one, cell), times in tallies.items() if (one, cell) == (slot, wanted))


class LedgerAlone:
    """The Ledger before the requests of a story; what its shards would say of wallets is made up."""

    def __init__(self, shop: Shop, shards: int = 1) -> None:
        edges = [CUSTOMERS * shard // shards for shard in range(shards + 1)]
        first, self.ranges = shop.compiled[0], list(pairwise(edges))
        self.shop, self.version = shop, 0
        self.ledger = LedgerHost(first.tables, first.coupons, first.budgets, self.ranges, shop.start, TICK_MS)
        self.before: Counter[tuple[int, int, RuleCell]] = Counter()  # under the policy before

    def tallies(self) -> Counter[tuple[int, int, RuleCell]]:
        """What rules did under both policies."""
        return self.before + what_rules_did(self.ledger)

    def settle(self, step: Step) -> list[Row]:
        """The replies to a step's requests."""
        policy = self.shop.compiled[step.version]
        if step.version != self.version:
            self.before = self.tallies()
            self.ledger.adopt(policy.tables, policy.coupons, policy.budgets)
            self.version = step.version
        number, out = self.ledger.number + 1, []
        if number % 3 == 0:  # as where a world forks
            self.ledger = self.ledger.copy()
        for shard, (low, high) in enumerate(self.ranges):
            rows = [plain(row) for row in step.requests + step.decided if low <= row["customer"] < high]
            spend = np.zeros((len(policy.tables.budgets), len(Spend)), np.int64)
            if shard == 0:
                spend = np.array(spend_table(step.spend, spend))
            part = Contribution(0, shard, number, step.until, request_records(rows), spend, self.lives(shard, rows))
            out += self.ledger.receive(part, step.until)
        return [as_row(reply) for message in out if isinstance(message, Settled) for reply in message.replies]

    def lives(self, shard: int, rows: list[Row]) -> np.ndarray:
        """The first shard's customers have all that was granted, coupons that have just arrived twice."""
        lives = np.zeros((len(self.ledger.shared.stock), LIVES), np.int64)
        if shard == 0:
            lives[:, Life.AVAILABLE] = self.ledger.shared.stock["granted"]
        for row in rows:
            lives[row["coupon"], Life.MOVING] += row["kind"] == RequestKind.ARRIVED
        return lives

    def difference(self, step: Step) -> str | None:
        """Settle a step; the first customer who is told otherwise, in words."""
        want, got = by_customer(step.replies), by_customer(self.settle(step))
        for customer in sorted({*want, *got}):
            if want.get(customer) != got.get(customer):
                return f"customer {customer}\n  reference {want.get(customer)}\n  compiled  {got.get(customer)}"
        return None


def what_rules_did(ledger: LedgerHost) -> Counter[tuple[int, int, RuleCell]]:
    """Of the Ledger under its present policy, by (yyyymmdd, slot, measure)."""
    cells, dates = ledger.found.cells, ledger.tables.days["date"].tolist()
    return Counter({
        (dates[day], slot, RuleCell(cell)): int(cells[day, slot, cell])
        for day, slot, cell in np.argwhere(cells).tolist()
    })  # fmt: skip


def main() -> None:
    story = FraudStory(int(sys.argv[1]), int(sys.argv[2]))
    twin = Compiled(story.shop)
    for step in story.steps:
        twin.live(step)
    print(twin.digest())


if __name__ == "__main__":
    main()
