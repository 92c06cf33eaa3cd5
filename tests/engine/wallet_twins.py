"""One random shop lived by shards and the Ledger, and by the naive twins of both.

python -m tests.engine.wallet_twins SEED STEPS: lives it by the references alone, then by one shard; prints the digest.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from engine.coupon_records import REPLY, Answer, RequestKind, Spend
from engine.fraud_records import RULES_MAX, Verdict
from engine.host.ledger import LedgerHost
from engine.host.messages import Contribution, Settled
from engine.host.shard import CustomerShard, combined
from engine.policy.document import Policy
from engine.policy.registry import Registry
from engine.policy.tables import CompiledPolicy, compile_policy
from engine.records import DAY_MS, HOUR_MS, MINUTE_MS, NONE, SECOND_MS, Bulletin, records
from engine.reference import Answer as Decided
from engine.reference import Reference
from engine.reference_ledger import ReferenceLedger
from engine.reference_rules import Fraud, fraud_of
from engine.reference_terms import Numbers
from engine.reference_wallet import ASKING, Row, marks_of
from engine.rules.slabs import IDS, INSTANCES, ORDERS
from tests.engine.claims import request_records
from tests.engine.coupon_traffic import (
    CouponTraffic,
    Happening,
    as_lines,
    changed_shop,
    inbox_of,
    random_shop,
)
from tests.engine.test_differential import tallies_of, tallies_of_reference
from tests.engine.traffic import END_DATE, random_customers, random_slots, start_ms

CUSTOMERS = 9
TICK_MS = 10 * MINUTE_MS
STEP_MS = (SECOND_MS, SECOND_MS, MINUTE_MS, MINUTE_MS, TICK_MS, TICK_MS, TICK_MS, HOUR_MS)
DENY = int(Verdict.DENY)
MARK = ("kind", "customer", "rule", "expires_ms", "time_ms")  # what a mark says
LOST_KINDS = (RequestKind.CLAIM, RequestKind.RESERVE, RequestKind.CONFIRM, RequestKind.TRANSFER)


# --- what a seed stands for -------------------------------------------------------------------------------------------
class Shop:
    """Two policies under one registry, the second from the middle of the run on, and customers."""

    def __init__(self, seed: int, documents: tuple[Any, Any] | None = None) -> None:
        self.seed, rng = seed, Random(seed)
        self.meddles = documents is None  # as rules of fraud and a full Ledger would
        if documents is None:
            document = random_shop(rng)
            documents = document, changed_shop(rng, document)
        self.policies = [Policy.model_validate(document) for document in documents]
        self.slots = random_slots(rng, self.policies[0])
        self.customers = random_customers(rng, CUSTOMERS, self.policies[0])
        self.start = start_ms(self.policies[0])
        self.number_anew(rng)

    def number_anew(self, rng: Random) -> None:
        """Compile both policies under a registry of their own: numbers out of declaration order and with gaps."""
        self.registry = self.shuffled_registry(rng)
        zone = ZoneInfo(self.policies[0].time_zone)
        first = datetime.fromtimestamp(self.start / 1000, zone).date() - timedelta(days=2)
        last = END_DATE + timedelta(days=40)
        # Twice: a policy knows the terms of all that were compiled under its registry before.
        for policy in rng.sample(self.policies, 2):
            compile_policy(policy, first, last, self.seed, self.registry)
        self.compiled = [compile_policy(policy, first, last, self.seed, self.registry) for policy in self.policies]

    def shuffled_registry(self, rng: Random) -> Registry:
        coupons, budgets = self.policies[0].coupons, self.policies[0].budgets
        rules = self.policies[0].fraud.rows()
        registry = Registry(
            dict(self.slots),
            dict(zip(coupons, rng.sample(range(20), len(coupons)), strict=True)),
            dict(zip(budgets, rng.sample(range(8), len(budgets)), strict=True)),
        )
        registry.rules.update(zip(rules, rng.sample(range(RULES_MAX - 8), len(rules)), strict=True))
        return registry

    def fraud(self, version: int) -> Fraud:
        return fraud_of(self.policies[version], self.compiled[version].rules)

    def numbers(self, version: int) -> Numbers:
        compiled = self.compiled[version]
        terms = {name: int(compiled.tables.coupons[slot].terms) for name, slot in compiled.coupons.items()}
        return Numbers(compiled.coupons, compiled.budgets, terms, compiled.rules)


def ledger_rows(compiled: CompiledPolicy) -> dict[str, dict[int, Row]]:
    """What the reference Ledger reads of a policy: rows by slot."""
    tables = compiled.tables

    def rows(table: Any, numbers: Any) -> dict[int, Row]:
        plain = [name for name in table.dtype.names if table[name].ndim == 1]
        return {number: {name: int(table[number][name]) for name in plain} for number in numbers}

    return {
        "coupons": rows(tables.coupons, compiled.coupons.values()),
        "terms": rows(tables.terms, range(len(tables.terms))),
        "budgets": rows(tables.budgets, compiled.budgets.values()),
    }


@dataclass
class Step:
    """What happens until a settlement, and what the references say of it."""

    until: int
    version: int  # of the policy
    bulletin: Bulletin
    happenings: list[Happening] = field(default_factory=list)
    answers: list[Decided] = field(default_factory=list)
    requests: list[Row] = field(default_factory=list)
    decided: list[Row] = field(default_factory=list)  # requests of people
    spend: dict[int, dict[Spend, int]] = field(default_factory=dict)
    wallets: list[Row] = field(default_factory=list)  # at the settlement
    replies: list[Row] = field(default_factory=list)


def verdict(shop: Shop, request: Row) -> int:
    """Some claims get the fallback, some are denied: as a rule of fraud would have it."""
    if not shop.meddles:
        return int(request["verdict"])
    draw = (request["customer"] * 31 + request["number"] * 7) % 60
    asks = request["kind"] in (RequestKind.CLAIM, RequestKind.RESERVE)
    return 0 if not asks or draw > 6 else int(Verdict.WEAKER) if draw > 1 else DENY


def is_lost(shop: Shop, request: Row) -> bool:
    """What the Ledger is not asked after all; the answer is `refusal_of`."""
    one_in = 3 if request["kind"] == RequestKind.CONFIRM else 47
    chosen = (request["customer"] * 13 + request["number"] * 11) % one_in == 2
    return shop.meddles and request["kind"] in LOST_KINDS and chosen


def refusal_of(request: Row, now: int) -> Row:
    """No room in the Ledger's tables; of a confirmation as often that it was too late."""
    names = ("customer", "other", "number", "claim", "terms", "coupon", "kind")
    too_late = request["kind"] == RequestKind.CONFIRM and (request["customer"] + request["number"]) % 2
    answer = int(Answer.LAPSED if too_late else Answer.NO_ROOM)
    reply = {name: request[name] for name in names} | {"time_ms": now, "expires_ms": 0, "answer": answer}
    return reply | {"fired": 0, "rule": NONE}


# --- the naive twins --------------------------------------------------------------------------------------------------
class Naive:
    """A shop's reference and its reference Ledger."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.version = shop, 0
        self.engine = Reference(shop.policies[0], shop.slots, shop.seed, shop.numbers(0))
        for row in range(CUSTOMERS):
            self.engine.add(row, shop.customers[row])
        rows = ledger_rows(shop.compiled[0])
        self.ledger = ReferenceLedger(rows, (0, CUSTOMERS), shop.start, TICK_MS, shop.fraud(0))

    def change_policy(self) -> None:
        """The second policy; requests may be open."""
        self.version, now = 1, self.ledger.now
        self.engine.adopt(self.shop.policies[1], self.shop.slots, self.shop.numbers(1), now)
        self.ledger.adopt(ledger_rows(self.shop.compiled[1]), self.shop.fraud(1))

    def bulletin(self) -> Bulletin:
        tables = self.shop.compiled[self.version].tables
        ones = np.ones(len(tables.campaigns), np.int8)
        bulletin = Bulletin(ones, ones.copy(), ones.copy(), np.zeros(len(ones), np.int64))
        for slot in self.engine.slots.values():
            row = tables.campaigns[slot]
            campaign = {"coupon": int(row.coupon), "budget": int(row.budget)}
            bulletin.in_stock[slot] = self.ledger.in_stock(campaign)
            bulletin.in_budget[slot] = self.ledger.in_budget(campaign, int(tables.channel_budgets[row.channel]))
        return bulletin

    def wallets(self) -> list[Row]:
        return [plain_wallet(self.engine.wallets.wallet(row)) for row in range(CUSTOMERS)]

    def decide(self, step: Step, happening: Happening) -> Decided:
        asked = happening.ask, as_lines(happening.lines), happening.origin
        answer = self.engine.decide(happening.event, step.bulletin, *asked)
        step.happenings.append(happening)
        step.answers.append(answer)
        return answer

    def settle(self, step: Step) -> None:
        self.engine.lapse(step.until)
        step.wallets = self.wallets()
        step.requests, step.spend = self.engine.wallets.take_requests(), self.engine.wallets.take_spend()
        lost = [request for request in step.requests if is_lost(self.shop, request)]
        heard = [request | {"verdict": verdict(self.shop, request)} for request in step.requests if request not in lost]
        replies = self.ledger.settle(heard + step.decided, step.spend, step.until)
        replies += [refusal_of(request, step.until) for request in lost]
        step.replies = [plain(reply) for reply in replies]
        for reply in step.replies:
            self.engine.apply(reply, step.until)


class Story:
    """A random run lived by the naive twins: every step with what was asked and said."""

    traffic_of: type[CouponTraffic] = CouponTraffic

    def __init__(self, seed: int, steps: int, events: int = 16, documents: tuple[Any, Any] | None = None) -> None:
        self.shop, self.rng = Shop(seed, documents), Random(seed + 1)
        self.steps: list[Step] = []
        self.naive = Naive(self.shop)
        self.engine, self.ledger, self.now = self.naive.engine, self.naive.ledger, self.shop.start
        self.traffic = self.traffic_of(self.shop.policies[0], self.shop.slots, self.shop.customers, self.engine)
        for number in range(steps):
            if number == steps // 2:
                self.naive.change_policy()
                self.traffic.policy = self.shop.policies[1]
            self.live(self.rng.choice([0, 1, events // 2, events, 2 * events]))

    def live(self, events: int) -> None:
        step = Step(self.next_settlement(), self.naive.version, self.naive.bulletin())
        self.traffic.begin(self.now, step.until, claiming=self.rng.random() < 0.5)
        for _ in range(events):
            happening = self.traffic.next(self.rng)
            self.traffic.observe_answer(happening, self.naive.decide(step, happening))
        step.decided = self.decided(step)
        self.naive.settle(step)
        self.steps.append(step)
        self.now = step.until

    def decided(self, step: Step) -> list[Row]:
        """What people ask of the Ledger."""
        return []

    def next_settlement(self) -> int:
        """Often just at an instant at which something runs out."""
        edges = [edge for customer in range(CUSTOMERS) for edge in self.traffic.wallet_edges(customer)]
        near = [edge for edge in edges if self.now < edge <= self.now + HOUR_MS]
        if near and self.rng.random() < 0.3:
            return self.rng.choice(near)
        return self.now + self.rng.choice(STEP_MS if self.rng.random() < 0.95 else (5 * HOUR_MS, DAY_MS))


def plain_wallet(wallet: Row) -> Row:
    """A reference's wallet in numbers, the newest first."""
    return {
        "instances": [
            {
                "number": i["number"], "terms": i["kept"].row, "as": i["as"], "claimed": i["claimed"],
                "expires": i["expires"], "state": int(i["state"]), "order": i["order"], "spent": i["spent"],
                "marks": marks_of(i),
            }
            for i in reversed(wallet["instances"])
        ],
        "orders": [
            {name: int(order[name]) for name in ("number", "held", "paid", "shipping", "discount", "returned", "state")}
            | {"lines": [dict(line) for line in order["lines"]]}
            for order in reversed(wallet["orders"])
        ],
        "counts": {name: wallet[name] for name in ("claims", "requests", "open")},
    }  # fmt: skip


# --- the compiled ones ------------------------------------------------------------------------------------------------
class Compiled:
    """The same run by shards and the Ledger, in batches of any size."""

    def __init__(self, shop: Shop, shards: int = 1, batch: int = 10_000) -> None:
        self.shop, self.batch, self.version, self.now = shop, batch, 0, shop.start
        edges = [CUSTOMERS * shard // shards for shard in range(shards + 1)]
        self.ranges = list(pairwise(edges))
        first = shop.compiled[0]
        self.shards = [CustomerShard(low, high - low, first.tables, first.registry.slots) for low, high in self.ranges]
        for shard, (low, high) in zip(self.shards, self.ranges, strict=True):
            shard.customers[:] = shop.customers[low:high]
        self.ledger = LedgerHost(first.tables, first.coupons, first.budgets, self.ranges, shop.start, TICK_MS)
        self.tallied: Counter[Any] = Counter()
        self.take_bulletin(self.ledger.bulletin())

    def digest(self) -> str:
        return combined([*(shard.digest() for shard in self.shards), self.ledger.digest()])

    def change_policy(self) -> None:
        policy = self.shop.compiled[1]
        self.tallied.update(self.tallies())
        for shard in self.shards:
            shard.adopt(policy.tables, policy.registry.slots)
        self.ledger.adopt(policy.tables, policy.coupons, policy.budgets)
        self.version = 1
        self.take_bulletin(self.ledger.bulletin())

    def take_bulletin(self, bulletin: Bulletin) -> None:
        for shard in self.shards:
            shard.take_bulletin(bulletin)

    def decide(self, happenings: list[Happening]) -> list[tuple[Row, Row | None, list[Row]]]:
        """Decision, receipt and ghosts of every event, in the events' order."""
        found: dict[int, tuple[Row, Row | None, list[Row]]] = {}
        for shard, (low, high) in zip(self.shards, self.ranges, strict=True):
            mine = [n for n, happening in enumerate(happenings) if low <= int(happening.event.customer) < high]
            for begin in range(0, len(mine), self.batch):
                numbers = mine[begin : begin + self.batch]
                events, inbox = inbox_of([happenings[n] for n in numbers])
                decisions, ghosts = shard.decide(events, inbox)
                left = [as_row(ghost) for ghost in ghosts]
                for n, event, decision in zip(numbers, events, decisions, strict=True):
                    receipt = as_row(inbox.receipts[event.ask]) if event.kind in ASKING and event.ask != NONE else None
                    found[n] = as_row(decision), receipt, []
                    while left and (left[0]["customer"], left[0]["sequence"]) == (event.customer, event.sequence):
                        found[n][2].append(left.pop(0))
                assert not left, "every ghost is of an event"
        return [found[n] for n in range(len(happenings))]

    def account(self, until: int) -> tuple[list[Row], np.ndarray]:
        """Close a step: requests and spend."""
        self.now = until
        self.accounts = [shard.account(until) for shard in self.shards]
        requests = [as_row(request) for account in self.accounts for request in account.requests]
        return requests, np.sum([account.spend for account in self.accounts], axis=0)

    def hear(self, decided: Sequence[Row] = ()) -> list[Row]:
        """Settle what was accounted for, and what people ask of the Ledger, and take the replies."""
        number, out, refused = self.ledger.number + 1, [], []
        for place, account in enumerate(self.accounts):
            asked = [as_row(request) for request in account.requests]
            lost = np.array([is_lost(self.shop, request) for request in asked], np.bool_)
            requests = account.requests[~lost]
            requests["verdict"] = [verdict(self.shop, as_row(request)) for request in requests]
            low, high = self.ranges[place]
            people = request_records([row for row in decided if low <= row["customer"] < high])
            requests = np.concatenate([requests, people])
            refused.append([refusal_of(as_row(request), self.now) for request in account.requests[lost]])
            part = Contribution(0, place, number, self.now, requests, account.spend, account.lives, number - 1)
            out += self.ledger.receive(part, self.now)
        replies = []
        for shard, settled, others in zip(self.shards, out, refused, strict=True):
            assert isinstance(settled, Settled), settled
            said = [as_row(reply) for reply in settled.replies] + others
            shard.apply(reply_records(said), self.now)
            replies += said
        self.take_bulletin(self.ledger.bulletin())
        return replies

    def live(self, step: Step) -> None:
        """A step, unwatched."""
        if step.version != self.version:
            self.change_policy()
        self.decide(step.happenings)
        self.account(step.until)
        self.hear(step.decided)

    def restore(self, other: "Compiled") -> None:
        """Go on from where another one is, perhaps under other numbers."""
        if other.version != self.version:
            self.change_policy()
        for mine, theirs in zip(self.shards, other.shards, strict=True):
            mine.restore(theirs.snapshot())
        self.ledger.restore(other.ledger.snapshot())
        self.take_bulletin(self.ledger.bulletin())
        self.now = other.now

    def wallet(self, customer: int) -> Row:
        """A customer's wallet as `plain_wallet` has it."""
        shard, low = next((s, low) for s, (low, high) in zip(self.shards, self.ranges, strict=True) if customer < high)
        wallets, row = shard.arrays.wallets, customer - low
        names = {slot: name for name, slot in self.shop.registry.coupons.items()}
        return {
            "instances": [
                {
                    "number": int(i.number), "terms": int(i.terms), "as": names[int(i.claimed)],
                    "claimed": int(i.claimed_ms), "expires": int(i.expires_ms), "state": int(i.state),
                    "order": int(i.order), "spent": int(i.spent), "marks": int(i.marks),
                }
                for i in listed(wallets.instances, wallets.heads[row, INSTANCES])
            ],
            "orders": [
                {
                    "number": int(order.number), "held": int(order.held_ms), "paid": int(order.paid),
                    "shipping": int(order.shipping), "discount": int(order.discount),
                    "returned": int(order.returned), "state": int(order.state),
                    "lines": [
                        {name: int(line[name]) for name in ("paid", "quantity", "returned")}
                        for line in listed(wallets.lines, order.lines)
                    ],
                }
                for order in listed(wallets.orders, wallets.heads[row, ORDERS])
            ],
            "counts": {name: int(getattr(wallets, name)[row]) for name in ("claims", "requests", "open")},
        }  # fmt: skip

    def total(self, name: str) -> np.ndarray:
        """Sum over shards of a wallets' table by coupon and state."""
        return np.sum([getattr(shard.arrays.wallets, name) for shard in self.shards], axis=0)

    def tallies(self) -> Counter[Any]:
        """Everything counted since the policy was adopted, as the reference counts it."""
        found: Counter[Any] = Counter()
        for shard in self.shards:
            dates, tallies = shard.tables.days["date"].tolist(), shard.tallies
            for d, coupon, answer in np.argwhere(tallies.answers).tolist():
                found[dates[d], coupon, Answer(answer)] += int(tallies.answers[d, coupon, answer])
            for d, coupon, cell in np.argwhere(tallies.cohorts).tolist():
                found["cohort", dates[d], coupon, cell] += int(tallies.cohorts[d, coupon, cell])
            for d, rule, cell in np.argwhere(tallies.rules).tolist():
                found["rule", dates[d], rule, cell] += int(tallies.rules[d, rule, cell])
            for name, counts in tallies_of(shard).items():
                found.update({(name, *key): count for key, count in counts.items()})
        return found


def naive_tallies(engine: Reference) -> Counter[Any]:
    found: Counter[Any] = Counter(engine.wallets.answers)
    found.update({("cohort", day, slot, int(cell)): n for (day, slot, cell), n in engine.wallets.cohorts.items() if n})
    found.update({("rule", *key): n for key, n in engine.wallets.watch.tallies.items()})
    for name, counts in tallies_of_reference(engine).items():
        found.update({(name, *key): count for key, count in counts.items()})
    return found


def listed(rows: Any, at: Any) -> list[Any]:
    """A list's rows, the newest first."""
    found = []
    while at != NONE:
        found.append(rows[at])
        at = rows[at].next
    return found


def remembered_ids(shard: CustomerShard, row: int) -> int:
    return len(listed(shard.arrays.wallets.ids, shard.arrays.wallets.heads[row, IDS]))


def as_row(record: Any) -> Row:
    return {name: int(record[name]) for name in record.dtype.names}


def reply_records(rows: list[Row]) -> Any:
    table = records(len(rows), REPLY)
    for record, row in zip(table, rows, strict=True):
        for name, value in row.items():
            record[name] = value
    return table


# --- held against each other ------------------------------------------------------------------------------------------
def difference(step: Step, twin: Compiled) -> str | None:
    """Live a step by the compiled engine; the first thing in which it differs, in words."""
    if step.version != twin.version:
        twin.change_policy()
    for what in ("in_stock", "in_budget"):
        used = list(twin.shop.slots.values())
        for shard in twin.shards:
            if not np.array_equal(getattr(step.bulletin, what)[used], getattr(shard.bulletin, what)[used]):
                return f"bulletin {what}\n  reference {step.bulletin}\n  compiled {shard.bulletin}"
    for happening, answer, got in zip(step.happenings, step.answers, twin.decide(step.happenings), strict=True):
        found = difference_of_answers(happening, answer, got)
        if found is not None:
            return found
    return difference_of_settlements(step, twin)


def difference_of_answers(happening: Happening, answer: Decided, got: tuple[Row, Row | None, list[Row]]) -> str | None:
    receipt = None if answer.receipt is None else plain(answer.receipt)
    want = plain(answer.decision), receipt, [plain(ghost) for ghost in answer.ghosts]
    if want == got:
        return None
    what = f"{happening.event}\n{happening.ask}\n{happening.lines}"
    return f"{what}\n  reference {want}\n  compiled  {got}\n  in {differing(want, got)}"


def difference_of_settlements(step: Step, twin: Compiled) -> str | None:
    requests, spend = twin.account(step.until)
    found = [
        ("requests", by_id([plain(request) for request in step.requests]), by_id(requests)),
        ("spend", spend_table(step.spend, spend), spend.tolist()),
        *((f"wallet {row}", wallet, twin.wallet(row)) for row, wallet in enumerate(step.wallets)),
        ("replies", by_customer(step.replies), by_customer(twin.hear(step.decided))),
    ]
    for what, expected, got in found:
        if expected != got:
            return f"{what}\n  reference {expected}\n  compiled  {got}"
    return None


def spend_table(spend: dict[int, dict[Spend, int]], like: np.ndarray) -> list[list[int]]:
    table = np.zeros_like(like)
    for budget, amounts in spend.items():
        for what, amount in amounts.items():
            table[budget, what] = amount
    found: list[list[int]] = table.tolist()
    return found


def by_customer(replies: list[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for reply in replies:
        said = {name: reply[name] for name in MARK} if reply["kind"] == RequestKind.OBSERVED else reply
        found.setdefault(reply["customer"], []).append(said)
    return found


def plain(row: Row) -> Row:
    return {name: int(value) for name, value in row.items()}


def differing(want: Any, got: Any) -> list[str]:
    rows = [(a, b) for a, b in zip(want[:2], got[:2], strict=True) if a and b]
    return [f"{name}: {a[name]} {b.get(name)}" for a, b in rows for name in a if a[name] != b.get(name)]


def by_id(requests: list[Row]) -> dict[tuple[int, int], Row]:
    return {(request["customer"], request["number"]): request for request in requests}


def main() -> None:
    story = Story(int(sys.argv[1]), int(sys.argv[2]))
    twin = Compiled(story.shop)
    for step in story.steps:
        twin.live(step)
    print(twin.digest())


if __name__ == "__main__":
    main()
