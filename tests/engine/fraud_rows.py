"""A Ledger with fraud rules by hand: the Ledger's rows of FRAUD_RULES, requests as dicts, settlements at any time."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from engine.coupon_records import LIVES, Answer, Life, RequestKind, Spend
from engine.fraud_records import LISTED, RANGE, RULE, Check, Field, Home, Mode, Verdict
from engine.host.ledger import LedgerHost
from engine.host.messages import Contribution, Settled
from engine.records import (
    DAY,
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    NEVER_MS,
    NONE,
    PER_DAY,
    PER_ROLLING,
    EventKind,
    Tables,
    records,
)
from tests.engine.claims import Row, coupon_row, names_of, policy_of, ranges, request_records, tables_of

MIDNIGHT_MS = 1_800_000_000_000 // DAY_MS * DAY_MS
START_MS = MIDNIGHT_MS + HOUR_MS
CUSTOMERS = 600
K = EventKind
TRACED = (
    K.REGISTER, K.LOGIN, K.LOGIN_FAILED, K.CLAIM, K.ORDER, K.PAYMENT, K.PAYMENT_DECLINED, K.REDEEM, K.CHECK_IN,
    K.TRANSFER, K.MONEY_TRANSFER,
)  # fmt: skip
ASKS = (K.CLAIM, K.ORDER, K.PAYMENT, K.REDEEM, K.TRANSFER)
REQUESTED = {K.CLAIM: RequestKind.CLAIM, K.TRANSFER: RequestKind.TRANSFER}
ORIGIN_FIELDS = ("device_id", "ip", "card", "address", "code", "inviter", "group")
FIELD_NAMES = {
    Field.DEVICE: "device_id", Field.IP: "ip", Field.CARD: "card", Field.ADDRESS: "address", Field.CODE: "code",
    Field.GROUP: "group", Field.RECEIVER: "other", Field.CAMPAIGN: "campaign", Field.CUSTOMER: "customer",
}  # fmt: skip


def mask(kinds: Iterable[EventKind]) -> int:
    return sum(1 << kind for kind in kinds)


def rule_row(number: int, kinds: Iterable[EventKind], **fields: Any) -> Row:
    """A rule of the Ledger; what it judges follows from what it counts."""
    kinds = tuple(kinds)
    judged = kinds if set(kinds) <= set(ASKS) else ASKS
    row = {
        "kinds": mask(kinds), "judges": mask(judged), "window_ms": NEVER_MS, "amount": 0, "name_hash": 7_000 + number,
        "keys": 200, "where": -1, "most": 0, "per": PER_ROLLING, "number": number, "key": Field.IP, "different": NONE,
        "check": Check.COUNT, "home": Home.LEDGER, "mode": Mode.ACTIVE, "verdict": Verdict.DENY, "granted": 0,
        "used": 1,
    }  # fmt: skip
    return row | fields


def counts(number: int, kinds: Iterable[EventKind], key: Field, window_ms: int, most: int, **fields: Any) -> Row:
    return rule_row(number, kinds, key=key, window_ms=window_ms, most=most, **fields)


DAILY = {"per": PER_DAY}
DIFFERENT = {"different": Field.CUSTOMER}
PAID = (K.PAYMENT, K.PAYMENT_DECLINED)
# The Ledger's rows of the list of core rules that count.
COUNTED = {
    row["number"]: row
    for row in (
        counts(3, [K.CLAIM], Field.IP, HOUR_MS, 20, verdict=Verdict.CHALLENGE),
        counts(4, [K.CLAIM], Field.DEVICE, HOUR_MS, 5, verdict=Verdict.CHALLENGE),
        counts(5, TRACED, Field.DEVICE, DAY_MS, 3, **DIFFERENT),
        counts(6, [K.LOGIN], Field.IP, 5 * MINUTE_MS, 5, verdict=Verdict.CHALLENGE, **DIFFERENT),
        counts(7, TRACED, Field.IP, 5 * MINUTE_MS, 5, verdict=Verdict.REVIEW, different=Field.DEVICE),
        counts(10, [K.REGISTER], Field.IP, 10 * MINUTE_MS, 5, verdict=Verdict.WEAKER),
        counts(11, [K.REGISTER], Field.DEVICE, DAY_MS, 2),
        counts(13, [K.REGISTER], Field.CODE, HOUR_MS, 3, verdict=Verdict.REVIEW),
        counts(18, [K.REDEEM], Field.ADDRESS, DAY_MS, 5, verdict=Verdict.REVIEW, **DIFFERENT, **DAILY),
        counts(20, [K.ORDER], Field.DEVICE, 30 * MINUTE_MS, 1, verdict=Verdict.CHALLENGE, **DIFFERENT),
        counts(21, [K.ORDER], Field.IP, 30 * MINUTE_MS, 3, verdict=Verdict.REVIEW, **DIFFERENT),
        counts(22, PAID, Field.CARD, HOUR_MS, 3),
        counts(24, PAID, Field.CARD, DAY_MS, 2, verdict=Verdict.REVIEW, **DIFFERENT),
        counts(36, [K.LOGIN_FAILED], Field.IP, 10 * MINUTE_MS, 3, verdict=Verdict.CHALLENGE, **DIFFERENT),
        counts(38, [K.CHECK_IN], Field.DEVICE, 5 * MINUTE_MS, 5, **DIFFERENT),
        counts(39, [K.TRANSFER], Field.RECEIVER, DAY_MS, 3, verdict=Verdict.REVIEW, **DIFFERENT, **DAILY),
    )
}
GRANTED_ONCE = counts(1, [K.CLAIM], Field.CAMPAIGN, NEVER_MS, 1, granted=1)
SELF_REFERRAL = rule_row(14, TRACED, check=Check.SELF_REFERRAL, key=Field.CUSTOMER)
CIRCLE = rule_row(15, [K.REGISTER], check=Check.REFERRAL_CYCLE)
LISTS = rule_row(29, TRACED, check=Check.LISTED)
PROXY = rule_row(30, TRACED, check=Check.IP_RANGE, window_ms=10 * MINUTE_MS, verdict=Verdict.CHALLENGE)
COLLUSION = rule_row(40, [K.GROUP_JOIN], check=Check.COLLUSION, key=Field.GROUP, amount=500_000)
ALL = [*COUNTED.values(), GRANTED_ONCE, SELF_REFERRAL, CIRCLE, LISTS, PROXY, COLLUSION]


def table(rows: list[Row], dtype: Any) -> Any:
    made = records(len(rows), dtype)
    for place, row in enumerate(rows):
        for name, value in row.items():
            made[place][name] = value
    return made


def days(count: int = 30, first: int = MIDNIGHT_MS - DAY_MS) -> Any:
    return table([{"start_ms": first + n * DAY_MS} for n in range(count)], DAY)


class Bench:
    """One Ledger of one coupon (or more) under some rules, and customers who do one thing after the other."""

    def __init__(self, rules: list[Row], shards: int = 1, **setup: Any) -> None:
        self.coupons: list[Row] = setup.pop("coupons", [coupon_row(0, pieces=10_000, confirm_within_ms=0)])
        self.budgets: list[Row] = setup.pop("budgets", [])
        self.lists: Row = setup
        self.rules, self.shards = rules, shards
        policy = policy_of(self.coupons, self.budgets)
        self.ledger = LedgerHost(
            self.tables(rules), *names_of(policy), ranges(shards, CUSTOMERS), START_MS, 10 * HOUR_MS
        )
        self.numbers: dict[int, int] = {}
        self.rows: list[Row] = []
        self.arrived = 0

    def tables(self, rules: list[Row], **lists: Any) -> Tables:
        lists = self.lists | lists
        policy = policy_of(self.coupons, self.budgets)
        return tables_of(policy)._replace(
            rules=table(rules, RULE), days=days(), ranges=table(lists.get("ranges", []), RANGE),
            listed=table(sorted(lists.get("listed", []), key=lambda row: (row["field"], row["value"])), LISTED),
        )  # fmt: skip

    def adopt(self, rules: list[Row], **lists: Any) -> None:
        self.rules = rules
        self.ledger.adopt(self.tables(rules, **lists), *names_of(policy_of(self.coupons, self.budgets)))

    # --- what customers do --------------------------------------------------------------------------------------------
    def listening(self, kind: EventKind, field: str) -> int:
        return sum(1 << slot for slot, rule in enumerate(self.rules) if rule["used"] and rule[field] >> kind & 1)

    def ask(self, at: int, customer: int, kind: RequestKind, **fields: int) -> Row:
        """A request of its own, at START_MS + at; no rule listens."""
        number = self.numbers.get(customer, 0)
        self.numbers[customer] = number + 1
        row: Row = dict.fromkeys((*ORIGIN_FIELDS, "other", "campaign", "rule"), NONE)
        row |= {"time_ms": START_MS + at, "customer": customer, "number": number, "claim": number, "kind": int(kind)}
        row |= {"sequence": number, "coupon": 0, "terms": 0} | fields
        self.rows.append(row)
        return row

    def does(self, at: int, customer: int, kind: EventKind, **fields: int) -> Row:
        """An event that the Ledger hears of, as the shard tells it."""
        heard = {"event_kind": int(kind), "counted": self.listening(kind, "kinds")}
        heard |= {"judging": self.listening(kind, "judges"), "coupon": 0 if kind in REQUESTED else NONE}
        return self.ask(at, customer, REQUESTED.get(kind, RequestKind.OBSERVED), **heard | fields)

    def reserves(self, at: int, customer: int, **fields: int) -> Row:
        """Claims a prize."""
        row = self.claims(at, customer, **fields)
        row["kind"] = int(RequestKind.RESERVE)
        return row

    def claims(self, at: int, customer: int, **fields: int) -> Row:
        return self.does(at, customer, K.CLAIM, **fields)

    # --- a settlement -------------------------------------------------------------------------------------------------
    def settle(self, at: int | None = None) -> list[Row]:
        """The replies to what was done, settled at START_MS + at, or just after the last of it."""
        rows, self.rows = self.rows, []
        now = START_MS + at if at is not None else max([row["time_ms"] for row in rows], default=START_MS)
        now = max(now, self.ledger.now_ms)
        out: list[Settled] = []
        for shard, (first, end) in enumerate(ranges(self.shards, CUSTOMERS)):
            mine = [row for row in rows if first <= row["customer"] < end]
            out += self.ledger.receive(self.part(shard, mine, now), NEVER_MS)  # type: ignore[arg-type]
        replies = [in_row(reply) for message in out for reply in message.replies]
        self.arrived = sum(row["kind"] == RequestKind.ARRIVED for row in rows)
        return replies

    def part(self, shard: int, rows: list[Row], now: int) -> Contribution:
        """The first shard's customers have all that was granted, coupons that have just arrived twice."""
        lives = np.zeros((len(self.ledger.shared.stock), LIVES), np.int64)
        if shard == 0:
            lives[:, Life.AVAILABLE] = self.ledger.shared.stock["granted"]
            arriving = sum(row["kind"] == RequestKind.ARRIVED for row in rows)
            lives[0, Life.MOVING] = arriving
        spend = np.zeros((1, len(Spend)), np.int64)
        return Contribution(0, shard, self.ledger.number + 1, now, request_records(rows), spend, lives)

    def answers(self, at: int | None = None) -> str:
        return " ".join(in_words(reply) for reply in self.settle(at))


def in_row(reply: Any) -> Row:
    return {name: int(reply[name]) for name in reply.dtype.names}


def in_words(reply: Row) -> str:
    """`7 DENIED`, or of a mark `7 mark 0 until 300000` (milliseconds since START_MS; `ever`)."""
    if reply["kind"] != RequestKind.OBSERVED:
        return f"{reply['customer']} {Answer(reply['answer']).name}"
    end = "ever" if reply["expires_ms"] >= NEVER_MS else str(reply["expires_ms"] - START_MS)
    return f"{reply['customer']} mark {reply['rule']} until {end}"


def answer_of(verdict: int) -> str:
    """Of a claim without a fallback, one piece left."""
    return {
        Verdict.ALLOW: "DONE", Verdict.WEAKER: "DENIED", Verdict.CHALLENGE: "CHALLENGED",
        Verdict.REVIEW: "IN_REVIEW", Verdict.DENY: "DENIED",
    }[Verdict(verdict)]  # fmt: skip
