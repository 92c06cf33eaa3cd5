"""A wall for adversaries to run against: one coupon, a rule that refuses, and a settlement every ten minutes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.coupon_records import COUPON, EVERYTHING, REPLY, TERMS, Answer, CouponKind, Inbox, RequestKind
from engine.fraud_records import ORIGIN
from engine.records import DAY_MS, DECISION, EVENT, HOUR_MS, MINUTE_MS, NEVER_MS, NONE, EventKind, records
from sim.adversaries.means import Prices
from sim.adversaries.scene import CrewPlan, Scene
from sim.adversaries.underworld import Underworld, accounts_of
from sim.origin_model import Account
from sim.shop_model import PRODUCT

FIRST, STEP, OFF, RULE = 1_000, 10 * MINUTE_MS, 3_000, 5
PLAN = CrewPlan(
    Account.RING, crews=1, people=1, accounts=20, budget=50_000, devices=3, ips=3, cards=3, addresses=3,
    starts_ms=HOUR_MS, works_every_ms=5 * MINUTE_MS, rests_ms=7 * DAY_MS, ages_ms=3 * DAY_MS,
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A claim, with where it came from."""

    t: int
    account: int
    device: int
    ip: int
    agent: int


Refuses = Callable[[list[Asked]], bool]  # whether the last of the claims so far is refused


def scene(**changes: Any) -> Scene:
    coupons, terms, products = records(1, COUPON), records(1, TERMS), records(1, PRODUCT)
    coupons["used"], coupons["until_ms"] = 1, NEVER_MS
    terms["kind"], terms["off"], terms["over"], terms["cost_most"] = CouponKind.AMOUNT_OFF, OFF, 6_000, OFF
    terms["categories"] = terms["brands"] = terms["products"] = EVERYTHING
    products["price"] = 2_000
    given: dict[str, Any] = {
        "prices": Prices(150, 400, 1_000, 50, 10, 200, 500, 300, 50), "market_share": 0.6, "market_depth": 50.0,
        "market_recovers_ms": DAY_MS, "goods_lost": 0.05, "solves": 0.0, "invite_reward": 800,
        "prepared_within_ms": 30 * DAY_MS, "targets": (0,),
        "coupons": coupons, "terms": terms, "products": products, "shipping": 0, "pages": (0, 1), "places": 1,
        "drops": (), "customers": FIRST, "begins": 0, "stream": (1, 0),
    }  # fmt: skip
    return Scene(**(given | changes))


class Wall:
    """Answers events like a shard, and settles like a Ledger."""

    def __init__(self, plan: CrewPlan, refuses: Refuses, answer: Answer = Answer.DENIED, rule: int = RULE) -> None:
        self.refuses, self.answer, self.rule = refuses, answer, rule
        self.claims: list[Asked] = []
        self.events: list[np.ndarray] = []
        self.origins: list[np.ndarray] = []
        self._replies: list[tuple[int, ...]] = []
        self._numbers: dict[int, int] = {}
        cities = np.zeros(accounts_of((plan,)), np.int64)
        self.underworld = Underworld(scene(), (plan,), FIRST, cities, self.decide, lambda account, t: None)
        self.crew = self.underworld.crews[0]

    def decide(self, events: np.ndarray, inbox: Inbox) -> tuple[np.ndarray, np.ndarray]:
        self.events.append(events.copy())
        self.origins.append(inbox.origins[: len(events)].copy())
        event, origin = events[-1], inbox.origins[len(events) - 1]  # the others ask for nothing
        receipt, kind, account = inbox.receipts[0], int(event["kind"]), int(event["customer"])
        receipt.answer, receipt.discount, receipt.number = Answer.DONE, OFF, NONE
        if kind == EventKind.CLAIM:
            self._numbers[account] = self._numbers.get(account, 0) + 1
            receipt.answer, receipt.number = Answer.PENDING, self._numbers[account]
            self.claims.append(
                Asked(int(event["time_ms"]), account, int(origin.device_id), int(origin.ip), int(origin.agent))
            )
            is_own = account < FIRST + self.crew.plan.people
            refused = not is_own and self.refuses([asked for asked in self.claims if asked.account >= FIRST])
            self._replies.append((account, self._numbers[account], self.answer if refused else Answer.DONE))
        return records(1, DECISION), records(0, DECISION)

    def live(self, days: int) -> "Wall":
        for t in range(STEP, days * DAY_MS + 1, STEP):
            self.underworld.run(t)
            replies = records(len(self._replies), REPLY)
            for reply, (account, claim, answer) in zip(replies, self._replies, strict=True):
                reply.customer, reply.claim, reply.answer, reply.kind = account, claim, answer, RequestKind.CLAIM
                reply.rule = self.rule if answer != Answer.DONE else NONE
            self._replies.clear()
            self.underworld.hear(replies)
        return self

    def log(self) -> tuple[np.ndarray, np.ndarray]:
        """All events and their origins."""
        return np.concatenate(self.events or [records(0, EVENT)]), np.concatenate(self.origins or [records(0, ORIGIN)])
