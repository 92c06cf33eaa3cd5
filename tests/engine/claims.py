"""Random policies of coupons and budgets, and a crowd that claims, gives away, reserves, redeems and asks again.

The crowd keeps naive wallets, so that what shards count is known without a shard.
"""

from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np

from engine.breaker_records import BREAKER
from engine.coupon_records import (
    BUDGET,
    COUPON,
    GRANTED_LIVES,
    LIVES,
    NO_BUDGET,
    REQUEST,
    TERMS,
    UNLIMITED,
    Answer,
    Life,
    RequestKind,
    Spend,
)
from engine.fraud_records import LISTED, RANGE, RULE, Verdict
from engine.host.messages import Contribution
from engine.records import CAMPAIGN, CHANNELS, DAY, MINUTE_MS, NONE, SHARE_ONE, Bulletin, Tables, records

START_MS = 1_800_000_000_000
STEP_MS = 10 * MINUTE_MS
CUSTOMERS = 60
NO_RULES = {name: records(0, dtype) for name, dtype in (("rules", RULE), ("ranges", RANGE), ("listed", LISTED))}
NO_RULES |= {"days": records(0, DAY), "breakers": records(0, BREAKER)}
GRANTED = (Answer.DONE, Answer.FALLBACK)

Row = dict[str, Any]


# --- policies ---------------------------------------------------------------------------------------------------------
def coupon_row(slot: int, **fields: int) -> Row:
    row = {
        "from_ms": START_MS, "until_ms": START_MS * 2, "pieces": 10, "name_hash": 1_000 + slot, "drop_salt": 77 + slot,
        "ration_every_ms": 0, "ration_pieces": 0, "confirm_within_ms": 15 * MINUTE_MS,
        "budget": NO_BUDGET, "fallback": NONE, "used": 1,
    }  # fmt: skip
    return row | fields


def budget_row(slot: int, **fields: int) -> Row:
    row = {"amount": 10_000, "reserve": 0, "name_hash": 2_000 + slot, "release_at": 0, "used": 1, "release_from_ms": 0}
    return row | fields


def policy_of(coupons: list[Row], budgets: list[Row], cost_most: int = 500) -> Row:
    """What the reference reads: rows by slot. The terms of coupon i are row i."""
    terms = [
        {"coupon": slot, "budget": row["budget"], "cost_most": cost_most, "name_hash": 3_000 + slot}
        for slot, row in enumerate(coupons)
    ]
    return {
        "coupons": {slot: row | {"terms": slot} for slot, row in enumerate(coupons)},
        "terms": dict(enumerate(terms)),
        "budgets": dict(enumerate(budgets)),
    }


def filled(rows: dict[int, Row], dtype: np.dtype) -> np.ndarray:  # type: ignore[type-arg]
    table = records(max(rows, default=0) + 1, dtype)
    for slot, row in rows.items():
        for name, value in row.items():
            table[slot][name] = value
    return table


def campaign_rows(policy: Row) -> list[Row]:
    """A campaign for every coupon, then one for every budget of exposures; the channel is its number's."""
    rows = [{"coupon": slot, "budget": NO_BUDGET} for slot in policy["coupons"]]
    rows += [{"coupon": NONE, "budget": slot} for slot in policy["budgets"]]
    return [row | {"channel": number % 3, "name_hash": 4_000 + number} for number, row in enumerate(rows)]


def tables_of(policy: Row, channel_budgets: dict[int, int] | None = None) -> Tables:
    fields: dict[str, Any] = {name: np.zeros(0) for name in Tables._fields}
    budgets = np.full(CHANNELS, NO_BUDGET, np.int16)
    for channel, budget in (channel_budgets or {}).items():
        budgets[channel] = budget
    fields |= {
        "coupons": filled(policy["coupons"], COUPON),
        "terms": filled(policy["terms"], TERMS),
        "budgets": filled(policy["budgets"], BUDGET),
        "campaigns": filled(dict(enumerate(campaign_rows(policy))), CAMPAIGN),
        "channel_budgets": budgets,
        **NO_RULES,
    }
    return Tables(**fields)


def names_of(policy: Row) -> tuple[dict[str, int], dict[str, int]]:
    return {f"coupon_{slot}": slot for slot in policy["coupons"]}, {
        f"budget_{slot}": slot for slot in policy["budgets"]
    }


def random_policy(rng: Random) -> Row:
    """Few pieces and little money, so that everything runs out."""
    budgets = [random_budget(rng, slot) for slot in range(rng.randrange(4))]
    coupons = [random_coupon(rng, slot, len(budgets)) for slot in range(rng.randrange(1, 5))]
    for row in coupons:
        row["fallback"] = rng.choice([NONE, rng.randrange(len(coupons))])
    return policy_of(coupons, budgets, cost_most=rng.choice([1, 500, 777]))


def random_coupon(rng: Random, slot: int, budgets: int) -> Row:
    every = rng.choice([0, 0, 10 * MINUTE_MS, 25 * MINUTE_MS])
    return coupon_row(
        slot,
        from_ms=START_MS + rng.choice([-1, 0, 1]) * rng.randrange(3_600_000),
        pieces=rng.choice([UNLIMITED, 0, 3, 20, 200]),
        drop_salt=rng.getrandbits(63),
        ration_every_ms=every,
        ration_pieces=rng.randrange(1, 12) if every else 0,
        confirm_within_ms=rng.choice([0, 1, 5 * MINUTE_MS, 15 * MINUTE_MS, 45 * MINUTE_MS]),
        budget=rng.randrange(-1, budgets),
    )


def random_budget(rng: Random, slot: int) -> Row:
    return budget_row(
        slot,
        amount=rng.choice([0, 2_000, 20_000, 99_999]),
        reserve=rng.choice([0, 5_000]),
        release_at=rng.choice([0, SHARE_ONE // 2, 999_999, SHARE_ONE]),
        release_from_ms=START_MS + rng.randrange(0, 12) * STEP_MS // 2,
    )


def changed_policy(rng: Random, policy: Row) -> Row:
    """The same names with other pieces and amounts."""
    coupons = {slot: row | {"pieces": random_coupon(rng, slot, 0)["pieces"]} for slot, row in policy["coupons"].items()}
    budgets = {
        slot: row | {"amount": row["amount"] + rng.choice([-1_000, 0, 3_000])} if row["amount"] else row
        for slot, row in policy["budgets"].items()
    }
    return policy | {"coupons": coupons, "budgets": budgets}


# --- a crowd ----------------------------------------------------------------------------------------------------------
class Crowd:
    """Customers 0 … n - 1 of some shards. `ask` says what they want until the next settlement, `hear` what they got."""

    def __init__(self, rng: Random, policy: Row, customers: int = CUSTOMERS) -> None:
        self.rng, self.policy, self.customers = rng, policy, customers
        self.numbers: Counter[int] = Counter()  # requests of a customer so far
        self.claims: Counter[int] = Counter()
        self.wallets: dict[tuple[int, int], Row] = {}  # (customer, claim) → instance
        self.reserved: list[tuple[int, int, Row]] = []
        self.past: list[tuple[int, Row]] = []  # with the settlement they first went to
        self.settlement = 1
        self.requests: list[Row] = []
        self.spend: dict[tuple[int, int, Spend], int] = Counter()  # (customer, budget, what)
        self.now = START_MS

    def request(self, customer: int, kind: RequestKind, **fields: int) -> Row:
        row = {
            "time_ms": self.now + self.rng.choice([self.rng.randrange(-STEP_MS // 4, STEP_MS * 5 // 4), 1_000, 2_000]),
            "customer": customer, "other": NONE, "expires_ms": 0, "number": self.numbers[customer],
            "sequence": self.rng.randrange(3), "claim": NONE, "terms": NONE, "coupon": NONE, "campaign": NONE,
            "kind": int(kind), "verdict": 0, "rule": NONE,
        } | fields  # fmt: skip
        self.numbers[customer] += 1
        self.requests.append(row)
        self.past.append((self.settlement, row))
        return row

    # --- what customers do --------------------------------------------------------------------------------------------
    def claim(self, customer: int) -> None:
        coupon = self.rng.choice(list(self.policy["coupons"]))
        terms = self.policy["coupons"][coupon]["terms"]
        number = self.new_instance(customer, coupon, terms, Life.PENDING)
        self.request(customer, RequestKind.CLAIM, claim=number, coupon=coupon, terms=terms, verdict=self.verdict())

    def verdict(self) -> int:
        return self.rng.choice([int(Verdict.ALLOW)] * 8 + [int(Verdict.WEAKER), int(Verdict.DENY)])

    def new_instance(self, customer: int, coupon: int, terms: int, state: Life) -> int:
        number = self.claims[customer]
        self.claims[customer] += 1
        self.wallets[customer, number] = {"coupon": coupon, "terms": terms, "state": state}
        return number

    def use(self, customer: int) -> None:
        """Redeem a coupon or let it expire."""
        instance = self.any_available(customer)
        if instance is None:
            return
        terms = self.policy["terms"][instance[1]["terms"]]
        spent = self.rng.randrange(terms["cost_most"] + 1) if self.rng.random() < 0.6 else 0
        instance[1]["state"] = Life.REDEEMED if spent else Life.EXPIRED
        if terms["budget"] != NO_BUDGET:
            self.spend[customer, terms["budget"], Spend.REDEEMED] += spent
            self.spend[customer, terms["budget"], Spend.FREED] += terms["cost_most"] - spent

    def any_available(self, customer: int) -> tuple[int, Row] | None:
        mine = [(n, i) for (c, n), i in self.wallets.items() if c == customer and i["state"] == Life.AVAILABLE]
        return self.rng.choice(mine) if mine else None

    def transfer(self, customer: int) -> None:
        instance = self.any_available(customer)
        if instance is None:
            return
        number, row = instance
        row["state"], row["asked"] = Life.MOVING, self.numbers[customer]
        other = self.rng.choice([self.rng.randrange(self.customers), self.customers + 5])
        fields = {"coupon": row["coupon"], "terms": row["terms"], "expires_ms": START_MS + number}
        self.request(customer, RequestKind.TRANSFER, claim=number, other=other, **fields)

    def reserve(self, customer: int) -> None:
        coupon = self.rng.choice(list(self.policy["coupons"]))
        fields = {"coupon": coupon, "terms": self.policy["coupons"][coupon]["terms"], "verdict": self.verdict()}
        number = self.claims[customer] + 1_000  # apart from instances
        if self.rng.random() < 0.9:
            self.claims[customer] += 1
        self.request(customer, RequestKind.RESERVE, claim=number, **fields)
        self.reserved.append((customer, number, fields))

    def end_reservation(self, customer: int) -> None:
        if self.reserved:
            customer, number, fields = self.rng.choice(self.reserved)
            kind = self.rng.choice([RequestKind.CONFIRM, RequestKind.RELEASE])
            self.request(customer, kind, claim=number, **fields)

    def pretend(self, customer: int) -> None:
        """Confirm or take in what never was."""
        kind = self.rng.choice([RequestKind.ARRIVED, RequestKind.RETURNED, RequestKind.CONFIRM])
        self.request(customer, kind, claim=9_999, other=self.rng.randrange(self.customers), coupon=0, terms=0)

    def ask_again(self, customer: int) -> None:
        if self.past:
            again = dict(self.rng.choice(self.past)[1])
            again["time_ms"] = self.rng.choice([again["time_ms"], max(again["time_ms"], self.now + 1_000)])
            self.requests.append(again)

    def ask(self, acts: int) -> list[Row]:
        """REQUESTs of all customers until the next settlement, in any order, what `hear` caused included."""
        deeds = [self.claim] * 6 + [self.use, self.transfer, self.reserve] * 2
        deeds += [self.end_reservation, self.end_reservation, self.pretend, self.ask_again, self.ask_again]
        for _ in range(acts):
            self.rng.choice(deeds)(self.rng.randrange(self.customers))
        requests, self.requests = self.requests, []
        self.now += STEP_MS
        self.settlement += 1
        self.rng.shuffle(requests)
        return requests

    def acknowledge(self, first: int, end: int, number: int) -> None:
        """What settlements up to `number` said is safe: it is not asked again."""
        self.past = [(k, row) for k, row in self.past if k > number or not first <= row["customer"] < end]

    def expose(self, bulletin: Bulletin) -> None:
        """Exposures that cost something, where the bulletin lets them."""
        for slot, campaign in enumerate(campaign_rows(self.policy)):
            if campaign["budget"] != NO_BUDGET and bulletin.in_budget[slot] and self.rng.random() < 0.4:
                customer = self.rng.randrange(self.customers)
                self.spend[customer, campaign["budget"], Spend.EXPOSURES] += self.rng.randrange(3_000)

    # --- what they hear -----------------------------------------------------------------------------------------------
    def hear(self, replies: list[Row]) -> None:
        for reply in replies:
            if reply["kind"] == RequestKind.TRANSFER and reply["number"] == NONE:
                self.take_in(reply)
            elif reply["kind"] in (RequestKind.CLAIM, RequestKind.TRANSFER):
                self.learn(self.wallets[reply["customer"], reply["claim"]], reply)

    def take_in(self, reply: Row) -> None:
        kind, customer = self.rng.choice([RequestKind.ARRIVED, RequestKind.RETURNED]), reply["customer"]
        fields = {name: reply[name] for name in ("coupon", "terms", "claim", "other")}
        if kind == RequestKind.ARRIVED:
            self.new_instance(customer, reply["coupon"], reply["terms"], Life.AVAILABLE)
        self.request(customer, kind, **fields)

    def learn(self, instance: Row, reply: Row) -> None:
        """The first reply counts; said again it says nothing new."""
        if instance["state"] == Life.PENDING:
            instance["state"] = Life.AVAILABLE if reply["answer"] in GRANTED else Life.FREE
            if reply["answer"] in GRANTED:
                instance |= {"coupon": reply["coupon"], "terms": reply["terms"]}
        elif instance["state"] == Life.MOVING and instance["asked"] == reply["number"]:
            instance["state"] = Life.MOVED if reply["answer"] == Answer.DONE else Life.AVAILABLE

    # --- what shards bring --------------------------------------------------------------------------------------------
    def granted(self) -> Counter[int]:
        """Instances by coupon that count as granted."""
        return Counter(row["coupon"] for row in self.wallets.values() if row["state"] in GRANTED_LIVES)

    def take_spend(self) -> dict[tuple[int, int, Spend], int]:
        spend, self.spend = dict(self.spend), Counter()
        return spend

    def lives(self, first: int, end: int) -> np.ndarray:
        table = np.zeros((len(self.policy["coupons"]), LIVES), np.int64)
        for (customer, _), instance in self.wallets.items():
            if first <= customer < end:
                table[instance["coupon"], instance["state"]] += 1
        return table


def request_records(rows: list[Row]) -> np.ndarray:
    table = records(len(rows), REQUEST)
    for i, row in enumerate(rows):
        for name, value in row.items():
            table[i][name] = value
    return table


def reply_rows(replies: np.ndarray) -> list[Row]:
    names = replies.dtype.names or ()
    return [{name: int(row[name]) for name in names} for row in replies]


def ranges(shards: int, customers: int = CUSTOMERS) -> list[tuple[int, int]]:
    edges = [customers * shard // shards for shard in range(shards + 1)]
    return list(pairwise(edges))


def contributions(
    crowd: Crowd, number: int, requests: list[Row], spend: dict[tuple[int, int, Spend], int], shards: int
) -> list[Contribution]:
    """What each shard brings to a settlement that closes at the crowd's time."""
    messages = []
    for shard, (first, end) in enumerate(ranges(shards, crowd.customers)):
        mine = request_records([row for row in requests if first <= row["customer"] < end])
        table = np.zeros((max(1, len(crowd.policy["budgets"])), len(Spend)), np.int64)
        for (customer, budget, what), amount in spend.items():
            if first <= customer < end:
                table[budget, what] += amount
        lives = crowd.lives(first, end)
        messages.append(Contribution(0, shard, number, crowd.now, mine, table, lives))
    return messages
