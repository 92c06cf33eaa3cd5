"""One customer, a shard, and fraud rules built by hand: events one by one, and what the rules say of them."""

import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import numpy as np

from engine.coupon_records import ASK, LINE, RECEIPT, REPLY, Answer, Inbox, RequestKind
from engine.fraud_records import (
    ALL_KINDS,
    JUDGED_MASK,
    LISTED,
    ORIGIN,
    RULE,
    Check,
    Field,
    Home,
    Mode,
    Verdict,
)
from engine.host.shard import CustomerShard
from engine.policy.document import Policy
from engine.policy.tables import CompiledPolicy, compile_policy
from engine.records import (
    ACCEPT,
    DAY_MS,
    EVENT,
    EVENT_KINDS,
    HOUR_MS,
    MINUTE_MS,
    NEVER_MS,
    NONE,
    PER_DAY,
    PER_ROLLING,
    REJECT,
    SECOND_MS,
    STEP,
    Compare,
    EventKind,
    Fact,
    Tables,
    as_records,
    records,
)
from tests.engine.traffic import CREATIVE

Row = dict[str, int]
CITIES = ["wuhan", "xiaogan", "beijing", "moon"]  # the last has no place
METRES = [[0, 50_000, 1_052_000], [50_000, 0, 1_000_000], [1_052_000, 1_000_000, 0]]
MANY = {"limits": [{"most": 400, "per": "1h"}], "valid": "3d"}
SHOP = {
    "policy": "watched",
    "time_zone": "Asia/Shanghai",
    "provider": "Example Mall",
    "names": {"pages": ["home"], "cities": CITIES, "tiers": ["standard"], "topics": ["offers"], "places": ["shop"]},
    "budgets": {"fund": {"amount": "100000.00"}},
    "coupons": {
        "stamp": {"kind": "right", "worth": "1.00", "transferable": "true"} | MANY,
        "dear": {"kind": "right", "worth": "50.00"} | MANY,
        "cheap": {"kind": "right", "worth": "49.99"} | MANY,
        "high": {"kind": "percent_off", "rate": "10%", "up_to": "50.00"} | MANY,
        "local": {"kind": "right", "worth": "1.00", "regions": ["wuhan"]} | MANY,
        "one": {"kind": "right", "worth": "1.00", "limits": [{"most": 1}]},
        "mug": {"kind": "right", "worth": "12.00", "confirm_within": "20h", "budget": "fund", "limits": [{"most": 5}]},
    },
    "campaigns": {
        "direct": {
            "purpose": "transaction", "topic": "offers", "channel": "popup", "trigger": {"on": "balance_query"},
            "goal": {"event": "payment"}, "response": {"shown": "2%", "otherwise": "1%"}, "creative": CREATIVE,
            "coupon": "stamp", "issue": "direct",
        }
    },
}  # fmt: skip
DAY = date(2026, 3, 4)
MIDNIGHT_MS = 1_772_553_600_000  # 2026-03-04 0:00 in Shanghai


def kinds(*names: EventKind) -> int:
    return sum(1 << name for name in names)


K = EventKind
ASKS = kinds(K.CLAIM, K.CHECKOUT, K.ORDER, K.CANCEL, K.REFUND, K.TRANSFER, K.REDEEM, K.PAYMENT)
SMALL = (Fact.AMOUNT, Compare.LE, 100_00)
NIGHT = (Fact.HOUR, Compare.LT, 6)
# The shard's rows of the core rules, by number.
CORE: dict[int, dict[str, Any]] = {
    2: {"kinds": kinds(K.CLAIM), "most": 3, "per": PER_DAY, "verdict": Verdict.DENY},
    8: {"kinds": ALL_KINDS, "different": Field.DEVICE, "window_ms": 5 * MINUTE_MS, "most": 2,
        "verdict": Verdict.CHALLENGE},
    9: {"kinds": ALL_KINDS, "different": Field.IP, "window_ms": 5 * MINUTE_MS, "most": 5, "verdict": Verdict.CHALLENGE},
    12: {"kinds": kinds(K.CLAIM), "check": Check.YOUNG_ACCOUNT, "window_ms": DAY_MS, "amount": 50_00,
         "verdict": Verdict.WEAKER},
    16: {"kinds": kinds(K.ORDER_UNPAID), "judges": kinds(K.ORDER), "window_ms": 30 * MINUTE_MS, "most": 4,
         "verdict": Verdict.DENY},
    17: {"kinds": kinds(K.CANCEL), "different": Field.ORDER, "window_ms": 30 * MINUTE_MS, "most": 3,
         "verdict": Verdict.WEAKER},
    19: {"kinds": ALL_KINDS, "different": Field.ADDRESS, "window_ms": HOUR_MS, "most": 2, "verdict": Verdict.REVIEW},
    23: {"kinds": ALL_KINDS, "different": Field.CARD, "per": PER_DAY, "most": 5, "verdict": Verdict.DENY},
    25: {"kinds": kinds(K.PAYMENT_DECLINED), "judges": kinds(K.PAYMENT), "check": Check.AFTER_DECLINE,
         "window_ms": 60 * SECOND_MS, "verdict": Verdict.CHALLENGE},
    26: {"kinds": kinds(K.PAYMENT_DECLINED), "window_ms": 5 * MINUTE_MS, "most": 3, "verdict": Verdict.DENY},
    27: {"kinds": ALL_KINDS, "check": Check.TRAVEL, "amount": 50_000, "verdict": Verdict.CHALLENGE},
    28: {"kinds": kinds(K.CLAIM, K.REDEEM), "check": Check.REGION, "verdict": Verdict.DENY},
    29: {"kinds": JUDGED_MASK, "check": Check.LISTED, "home": Home.LEDGER, "verdict": Verdict.DENY},
    31: {"kinds": ASKS, "check": Check.PACE, "window_ms": 5 * MINUTE_MS, "most": 100, "amount": 800,
         "verdict": Verdict.CHALLENGE},
    32: {"kinds": kinds(K.CLAIM), "check": Check.NO_BROWSING, "window_ms": 30 * MINUTE_MS, "most": 2, "amount": 4,
         "verdict": Verdict.WEAKER},
    33: {"kinds": kinds(K.MONEY_TRANSFER), "where": SMALL, "window_ms": HOUR_MS, "most": 5, "verdict": Verdict.REVIEW},
    34: {"kinds": kinds(K.ORDER), "where": NIGHT, "window_ms": HOUR_MS, "most": 5, "verdict": Verdict.REVIEW},
    35: {"kinds": kinds(K.LOGIN_FAILED), "window_ms": 10 * MINUTE_MS, "most": 5, "verdict": Verdict.CHALLENGE},
    37: {"kinds": JUDGED_MASK, "check": Check.SCRIPT, "verdict": Verdict.DENY},
}  # fmt: skip


# --- rules ------------------------------------------------------------------------------------------------------------
@cache
def shop() -> CompiledPolicy:
    return compile_policy(Policy.model_validate(SHOP), date(2026, 3, 1), date(2026, 4, 10))


def rule(name: str, kinds: int, **fields: Any) -> dict[str, Any]:
    """A rule as a row: what is not said is usual. `where`: (Fact, Compare, right)."""
    judged = kinds & JUDGED_MASK if kinds & ~JUDGED_MASK == 0 else JUDGED_MASK
    usual = {
        "judges": judged, "window_ms": 0, "amount": 0, "where": None, "most": 0, "per": PER_ROLLING, "number": 0,
        "key": Field.CUSTOMER, "different": NONE, "check": Check.COUNT, "home": Home.SHARD, "mode": Mode.ACTIVE,
        "verdict": Verdict.DENY, "granted": 0,
    }  # fmt: skip
    return usual | {"name": name, "kinds": kinds} | fields


def core(number: int, **changes: Any) -> dict[str, Any]:
    return rule(f"core_{number}", **(CORE[number] | {"number": number} | changes))


def tables_with(rules: dict[int, dict[str, Any]], listed: list[tuple[Field, int, int, int]] | None = None) -> Tables:
    """The shop's tables with rules by slot; listed: (field, value, until, allowed)."""
    tables = shop().tables
    steps = list(tables.steps)
    table = records(max(rules, default=-1) + 1, RULE)
    for slot, row in rules.items():
        for name in RULE.names or ():
            if name in row and name != "where":
                table[slot][name] = int(row[name])
        table[slot].used, table[slot].name_hash = 1, name_number(row["name"])
        table[slot].where = ACCEPT
        if row["where"] is not None:
            left, compare, right = row["where"]
            step = np.array([(right, left, 0, compare, 0, ACCEPT, REJECT)], STEP)[0]
            table[slot].where = len(steps)
            steps.append(step)
    bounds, listening = listening_of(table)
    metres = np.full((len(CITIES), len(CITIES)), NONE, np.int64)
    metres[:3, :3] = METRES
    entries = np.array([(value, until, field, ok) for field, value, until, ok in sorted(listed or [])], LISTED)
    return tables._replace(
        steps=as_records(np.array(steps, STEP)), rules=table, listening_bounds=bounds, listening=listening,
        metres=metres, listed=as_records(entries),
    )  # fmt: skip


def name_number(name: str) -> int:
    return int.from_bytes(name.encode()[-8:].rjust(8, b"_"), "little")


def listening_of(rules: Any) -> tuple[np.ndarray, np.ndarray]:
    """Bounds and slots of the rules that count or judge each kind."""
    by_kind: list[list[int]] = [[] for _ in range(EVENT_KINDS)]
    for slot in range(len(rules)):
        mask = int(rules[slot].kinds) | int(rules[slot].judges)
        if rules[slot].check == Check.NO_BROWSING:
            mask |= kinds(K.PAGE_VIEW)
        for kind in range(EVENT_KINDS - 1):
            if mask >> kind & 1 and rules[slot].mode != Mode.OFF and rules[slot].used:
                by_kind[kind].append(slot)
    bounds = np.concatenate([[0], np.cumsum([len(slots) for slots in by_kind])]).astype(np.int32)
    return bounds, np.array([slot for slots in by_kind for slot in slots], np.int16)


# --- events -----------------------------------------------------------------------------------------------------------
UNITS_MS = {"ms": 1, "s": SECOND_MS, "min": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
ASK_FIELDS = ("id", "other", "order", "claim", "coupon", "place", "campaign", "rule", "pieces")
ORIGIN_FIELDS = {"device": "device_id", "ip": "ip", "card": "card", "address": "address", "agent": "agent"}
ORIGIN_FIELDS |= {"code": "code", "inviter": "inviter", "group": "group"}
ASKING = (K.CLAIM, K.CHECKOUT, K.ORDER, K.CANCEL, K.REFUND, K.TRANSFER, K.REDEEM, K.PAYMENT, K.CHALLENGE_PASSED)


def ms(text: str) -> int:
    """1h+5min-1ms as milliseconds."""
    parts = re.findall(r"([+-]?)(\d+)(ms|s|min|h|d)", text)
    assert "".join("".join(part) for part in parts) == text, text
    return sum((-1 if sign == "-" else 1) * int(number) * UNITS_MS[unit] for sign, number, unit in parts)


@dataclass
class Said:
    """What became of one event."""

    decision: Any
    receipt: Any  # None without an ask
    requests: list[Row]

    @property
    def answer(self) -> Answer:
        return Answer(int(self.decision.answer))

    @property
    def fired(self) -> int:
        return int(self.receipt.fired)

    @property
    def verdict(self) -> Verdict:
        """What a claim's request says."""
        (request,) = (one for one in self.requests if one["kind"] != RequestKind.OBSERVED)
        return Verdict(request["verdict"])


class Scene:
    """Customers 0 … 2 of one shard; an adult who joined long ago each."""

    def __init__(self, tables: Tables, customers: int = 3, first: int = 0) -> None:
        self.shard = CustomerShard(first, customers, tables, shop().registry.slots)
        self.shard.customers["birth_date"] = 19_800_101
        self.shard.customers["joined_ms"] = MIDNIGHT_MS - 400 * DAY_MS
        self.sequence = self.orders = 0

    @property
    def watch(self) -> Any:
        return self.shard.arrays.watch

    def sightings(self, customer: int = 0) -> list[tuple[int, int, int, int]]:
        """(rule, what, value, ms since midnight), the newest first."""
        found, at = [], int(self.watch.heads[customer, 0])
        while at != NONE:
            one = self.watch.sightings[at]
            found.append((int(one.rule), int(one.what), int(one.value), int(one.time_ms) - MIDNIGHT_MS))
            at = int(one.next)
        return found

    def happens(self, kind: EventKind, at: int, customer: int = 0, **fields: Any) -> Said:
        """One event, at ms since midnight. Fields are the event's, the ask's, the origin's."""
        event, inbox = self.written(kind, at, customer, fields)
        waiting = int(self.shard.arrays.outbox.waiting[0])
        decisions, _ = self.shard.decide(event, inbox)
        outbox = self.shard.arrays.outbox
        asked = outbox.requests[waiting : int(outbox.waiting[0])]
        receipt = inbox.receipts[0] if len(inbox.receipts) else None
        return Said(decisions[0], receipt, [as_row(request) for request in asked])

    def written(self, kind: EventKind, at: int, customer: int, fields: dict[str, Any]) -> tuple[Any, Inbox]:
        self.sequence += 1
        event, asks, lines, origins = records(1, EVENT), records(1, ASK), records(1, LINE), records(1, ORIGIN)
        row = event[0]
        row.time_ms, row.customer, row.kind, row.sequence = MIDNIGHT_MS + at, customer, kind, self.sequence
        row.page, row.campaign, row.city, row.channel, row.moment, row.exposure = (NONE,) * 6
        row.ask, row.origin = NONE, NONE
        for table in (asks[0], origins[0]):
            for name in table.dtype.names:
                table[name] = NONE
        asks[0].id, asks[0].shipping, asks[0].first_line, asks[0].lines, asks[0].pieces = 0, 0, 0, 0, 0
        if kind == K.ORDER:
            self.orders += 1
            asks[0].order, asks[0].lines = self.orders, 1
            lines[0].unit_price, lines[0].quantity = 1_000, 1
        if kind == K.CLAIM:
            asks[0].coupon = shop().coupons[fields.pop("coupon", "stamp")]
        unasked = fields.pop("unasked", False)
        for name, value in fields.items():
            if name in ORIGIN_FIELDS:
                origins[0][ORIGIN_FIELDS[name]], row.origin = value, 0
            elif name in ASK_FIELDS and not (name == "campaign" and kind not in ASKING):
                asks[0][name] = value
            else:
                row[name] = CITIES.index(value) if name == "city" else value
        if kind not in ASKING or unasked:
            return event, Inbox(asks[:0], lines[:0], records(0, RECEIPT), origins, np.zeros(3, np.int64))
        row.ask = 0
        return event, Inbox(asks, lines, records(1, RECEIPT), origins, np.zeros(3, np.int64))

    def settle(self, at: int, answer: Answer = Answer.DONE) -> list[Row]:
        """Close a step; what waits for a reply is answered so. Returns the requests."""
        requests = [as_row(request) for request in self.shard.account(MIDNIGHT_MS + at).requests]
        replies = [self.reply(one, at, answer) for one in requests if one["kind"] != RequestKind.OBSERVED]
        self.tell(replies, at)
        return requests

    def reply(self, request: Row, at: int, answer: Answer) -> Row:
        names = ("customer", "other", "number", "claim", "terms", "coupon", "kind")
        said = {name: request[name] for name in names} | {"time_ms": MIDNIGHT_MS + at, "answer": int(answer)}
        return said | {"expires_ms": NEVER_MS, "fired": 0, "rule": NONE}

    def tell(self, replies: list[Row], at: int) -> None:
        table = records(len(replies), REPLY)
        for record, row in zip(table, replies, strict=True):
            for name, value in row.items():
                record[name] = value
        self.shard.apply(table, MIDNIGHT_MS + at)

    def mark(self, slot: int, until: int, at: int, customer: int = 0) -> None:
        """The Ledger says that a rule of its own fires on the customer."""
        word = {"rule": slot, "expires_ms": MIDNIGHT_MS + until, "kind": RequestKind.OBSERVED}
        self.tell([self.word(customer, at) | word], at)

    def listing(self, answer: Answer, until: int, at: int, customer: int = 0) -> None:
        word = {"other": customer, "answer": answer, "expires_ms": MIDNIGHT_MS + until, "kind": RequestKind.LISTED}
        self.tell([self.word(customer, at) | word], at)

    def word(self, customer: int, at: int) -> Row:
        said = dict.fromkeys(REPLY.names or (), NONE)
        return said | {"customer": customer, "time_ms": MIDNIGHT_MS + at, "fired": 0, "answer": Answer.DONE}


def as_row(record: Any) -> Row:
    return {name: int(record[name]) for name in record.dtype.names}
