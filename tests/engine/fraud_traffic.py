"""Seeded random fraud rules, and customers who share devices, cards and addresses, try again, and pass challenges.

A policy takes the forty of the core with small bounds, most of them off, and rules of its own; keys are few, so that
rules fire and nearly fire. Times cluster at the ends of windows, to the millisecond.
"""

import copy
from collections import deque
from dataclasses import replace
from random import Random
from typing import Any

from engine.coupon_records import ASK, Answer, RequestKind
from engine.fraud_records import Agent, Verdict
from engine.policy.fraud import core_rules
from engine.policy.fraud_rules import BOUNDS, RuleRow
from engine.records import EVENT, HOUR_MS, MINUTE_MS, NONE, SECOND_MS, EventKind, records
from tests.engine.coupon_traffic import SHOPPING, CouponTraffic, Happening, changed_shop, random_shop
from tests.engine.traffic import optional, random_condition

Row = dict[str, Any]

DEVICES, CARDS, ADDRESSES, CODES, GROUPS = range(4), range(100, 103), range(200, 203), range(2), range(2)
IPS = (0xCB007107, 0xCB007108, 0x0A000001)  # 203.0.113.7, .8 and 10.0.0.1
PROXIES = ["203.0.113.8/32", "203.0.113.16/28"]
PLACES = {
    "beijing": {"latitude": 39.9042, "longitude": 116.4074},
    "shanghai": {"latitude": 31.2304, "longitude": 121.4737},
}
WINDOWS = ["10s", "1min", "5min", "10min", "1h", "day", None]
EVENT_WHERES = ["amount >= 50.00", "page == 'home'", "city == 'beijing'", "hour < 12", "amount < 1.00"]
CUSTOMER_WHERES = ["tier != standard", "purchases >= 1", "days_since_login >= 0", "card_used", "balance > 10.00"]
OWN_KINDS = (
    "login", "page_view", "claim", "checkout", "order", "payment", "cancel", "refund", "transfer", "redeem", "click",
    "login_failed", "register", "payment_declined", "check_in", "money_transfer", "group_join", "top_up",
)  # fmt: skip
TURNS = 4
UNBOUNDED = ("self_referral", "referral_cycle", "collusion")  # the reference keeps all that was seen together
KEYS = ("customer", "campaign", "device", "ip", "card", "address", "code", "group", "receiver")
CARRIERS = {"campaign": "claim", "receiver": "transfer", "order": "cancel"}
ANSWERS = ("weaker", "challenge", "review", "deny")


# --- policies ---------------------------------------------------------------------------------------------------------
def random_frauds(rng: Random, turn: int) -> tuple[Row, Row]:
    """The documents of two policies of the same shop, the second with other rules. turn: whose turn it is."""
    first = random_shop(rng)
    for campaign in first["campaigns"].values():
        campaign.pop("holdout", None)
    for coupon in first["coupons"].values():
        coupon |= {} if "confirm_within" in coupon else {"transferable": "true"}
    second = changed_shop(rng, first)
    first["fraud"] = random_fraud(rng, turn)
    second["fraud"] = changed_fraud(rng, first["fraud"])
    return first, second


def random_fraud(rng: Random, turn: int) -> Row:
    """Of the core every TURNSth is on, and some others."""
    turns = {name: row.number % TURNS == turn % TURNS or rng.random() < 0.15 for name, row in core_rules().items()}
    rules = {name: random_change(rng, row) if turns[name] else {"mode": "off"} for name, row in core_rules().items()}
    own = {f"own_{number}": random_rule(rng) for number in range(rng.randrange(4))}
    lists = {
        "block": [random_listing(rng) for _ in range(rng.choice([0, 1, 1, 2]))],
        "allow": [random_listing(rng) for _ in range(rng.choice([0, 1]))],
    }
    return {
        "include": "core", "let_through": rng.choice(("0%", "10%")),
        "rules": {name: rule for name, rule in (rules | own).items() if rule}, "lists": lists,
        "proxies": {"ranges": PROXIES}, "places": PLACES, "keys": rng.choice([1, 2, 3, 1_000, 1_000]),
    }  # fmt: skip


def changed_fraud(rng: Random, fraud: Row) -> Row:
    """Some rules switched, some with other bounds, some gone, some new."""
    changed = copy.deepcopy(fraud)
    for name, row in core_rules().items():
        was_on = changed["rules"][name]["mode"] != "off"
        if rng.random() < (0.3 if was_on else 0.1):
            changed["rules"][name] = random_change(rng, row)
        elif was_on and rng.random() < 0.4:
            changed["rules"][name]["mode"] = rng.choice(["off", "shadow", "active"])
    for name in [name for name in changed["rules"] if name.startswith("own") and rng.random() < 0.4]:
        del changed["rules"][name]
    changed["rules"] |= {f"new_{number}": random_rule(rng) for number in range(rng.randrange(3))}
    return changed


def random_change(rng: Random, row: RuleRow) -> Row:
    """A core rule with small bounds."""
    bounds = BOUNDS[row.check]
    change: Row = {"more_than": rng.choice([1, 1, 1, 2, 3])} if "more_than" in bounds else {}
    if row.within is not None and rng.random() < 0.7:
        change["within"] = rng.choice([within for within in WINDOWS if within and not no_day(row, within)])
    change |= {"worth": rng.choice(["1.00", "10.00"])} if row.check == "young_account" else {}
    change |= {"within": rng.choice(["400d", "3660d", "3660d"])} if row.check == "young_account" else {}
    change |= {"gap": rng.choice(["1s", "10min"])} if row.check == "pace" else {}
    change |= {"views": rng.choice([0, 1, 4])} if row.check == "no_browsing" else {}
    change |= {"keys": 1_000} if row.check in UNBOUNDED else {}
    return change | random_manner(rng, row.judged_names)


def no_day(row: RuleRow, within: str) -> bool:
    """A test of its own has a duration, and no day."""
    return within == "day" and row.check != "count"


def random_manner(rng: Random, judged: list[Any]) -> Row:
    manner: Row = {"mode": rng.choice(["active", "active", "active", "shadow"])}
    manner |= optional(rng, 0.5, answer=rng.choice(ANSWERS))
    manner |= optional(rng, 0.15, where=random_condition(rng, EVENT_WHERES + CUSTOMER_WHERES))
    return manner | optional(rng, 0.15, judges=rng.sample(judged, rng.randint(1, len(judged))))


def random_rule(rng: Random) -> Row:
    """A rule of the policy's own over any kinds, key and field that go together."""
    per = rng.choice(KEYS)
    different = rng.choice([None, None, *(one for one in (*KEYS, "order") if one not in (per, "campaign"))])
    different = None if different == "order" and per != "customer" else different
    needed = {CARRIERS[field] for field in (per, different) if field in CARRIERS}
    kinds = needed | set(rng.sample(OWN_KINDS, rng.choice([1, 1, 2, 4])))
    rule: Row = {
        "count": sorted(kinds),
        "per": per,
        "more_than": rng.choice([0, 1, 2, 3]),
        "answer": rng.choice(ANSWERS),
    }
    if rng.random() < 0.1:
        rule["count"] = ["any"]
    if per not in ("customer", "receiver") and rng.random() < 0.15:
        rule |= {"count": ["claim"], "granted": "true"}
        different = different if different in ("customer", "device", "ip", "card", "address") else None
    within = rng.choice(WINDOWS)
    rule |= {"different": different} if different else {}
    rule |= {"within": within} if within else {}
    rule |= optional(rng, 0.4, keys=rng.choice([1, 2, 4]))
    judged = RuleRow.model_validate(rule).judged_names
    return rule | random_manner(rng, judged) | {"answer": rule["answer"]}


def random_listing(rng: Random) -> Row:
    field = rng.choice(["customer", "device", "ip", "card", "address"])
    values = {"customer": range(9), "device": DEVICES, "card": CARDS, "address": ADDRESSES}
    value = rng.choice(["10.0.0.1", "203.0.113.7"]) if field == "ip" else str(rng.choice(values[field]))
    return {"field": field, "values": [value]} | optional(rng, 0.3, until="2026-03-06")


# --- customers --------------------------------------------------------------------------------------------------------
TRACED = {
    EventKind.LOGIN: 10, EventKind.LOGIN_FAILED: 12, EventKind.REGISTER: 12, EventKind.PAYMENT_DECLINED: 12,
    EventKind.CHECK_IN: 10, EventKind.MONEY_TRANSFER: 10, EventKind.GROUP_JOIN: 8, EventKind.PAGE_VIEW: 6,
    EventKind.CHALLENGE_PASSED: 10, EventKind.PAYMENT: 3, EventKind.CANCEL: 8,
}  # fmt: skip
FRAUD_BURSTS = tuple(kind for kind in TRACED if kind != EventKind.CHALLENGE_PASSED)
RECENT = 12


class FraudTraffic(CouponTraffic):
    """Shopping, and what fraud rules look at besides, each event with where it came from."""

    deeds = SHOPPING | {EventKind.TRANSFER: 25, EventKind.ORDER: 20, EventKind.REDEEM: 18}

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.times: deque[int] = deque(maxlen=RECENT)  # of the last events of anybody
        self.challenged: deque[tuple[int, int]] = deque(maxlen=RECENT)  # customer, rule
        self.burst_kind, self.burst_events = EventKind.LOGIN, 0

    def next(self, rng: Random) -> Happening:
        if self.burst_events == 0 and rng.random() < 0.03:
            self.burst_kind, self.burst_events = rng.choice(FRAUD_BURSTS), rng.choice([3, 6, 12])
        if self.burst_events or rng.random() < 0.35:
            self.burst_events = max(0, self.burst_events - 1)
            happening = self.traced_event(rng)
        else:
            happening = super().next(rng)
        self.times.append(int(happening.event.time_ms))
        return replace(happening, origin=self.origin(rng, happening.event))

    def observe_answer(self, happening: Happening, answer: Any) -> None:
        super().observe_answer(happening, answer)
        if answer.decision["answer"] == Answer.CHALLENGED:
            self.challenged.append((int(happening.event.customer), answer.receipt["rule"]))

    def hear(self, replies: list[Row]) -> None:
        """What the Ledger says of claims and transfers."""
        self.challenged.extend((r["customer"], r["rule"]) for r in replies if r["answer"] == Answer.CHALLENGED)

    def traced_event(self, rng: Random) -> Happening:
        """One of the events that only fraud rules look at."""
        if rng.random() < 0.5:
            self.active = rng.choice(self.people)
        person, event = self.active, records(1, EVENT)[0]
        kind = self.burst_kind if self.burst_events else rng.choices(list(TRACED), list(TRACED.values()))[0]
        ask = None
        if kind == EventKind.CHALLENGE_PASSED:
            customer, rule = rng.choice(self.challenged) if self.challenged else (person.customer, rng.randrange(62))
            person = self.people[customer]
            ask = asking() | {"rule": rule if rng.random() < 0.9 else rng.randint(NONE, 62)}
        self.fill(rng, event, person, kind)
        event.kind, event.customer, event.sequence = kind, person.customer, person.sequence
        if kind == EventKind.CANCEL:
            ask = self.about_order(rng, asking(), kind, person.customer)
        event.amount = rng.choice([1, 4_999, 10_000, 10_001]) if kind == EventKind.MONEY_TRANSFER else event.amount
        event.time_ms = self.next_shop_ms(rng, person, self.shoppers[person.customer])
        person.sequence += 1
        person.latest_ms = max(person.latest_ms, int(event.time_ms))
        return Happening(event, ask)

    def wallet_edges(self, customer: int) -> list[int]:
        """… and when something leaves the window of a rule."""
        spans = {rule.window_ms for rule in self.engine.wallets.watch.fraud.rules.values() if rule.is_live}
        spans = {span for span in spans if 0 < span <= 24 * HOUR_MS} | {10 * MINUTE_MS, 60 * SECOND_MS}
        edges = [at + span for at in self.times for span in spans]
        passes = [end for (who, _), end in self.engine.wallets.watch.passes.items() if who == customer]
        marks = [end for (who, _), end in self.engine.wallets.watch.marks.items() if who == customer]
        beside = rng_of(edges, customer, len(self.times))
        return super().wallet_edges(customer) + beside + passes + marks

    def origin(self, rng: Random, event: Any) -> dict[str, int] | None:
        """A customer's usual things, or another's; often nothing is known of some."""
        who = int(event.customer)
        if rng.random() < 0.06:
            return None

        def one_of(values: Any, known: float = 0.85) -> int:
            if rng.random() > known:
                return NONE
            return int(values[who % len(values)] if rng.random() < 0.7 else rng.choice(values))

        is_member, is_new = event.kind == EventKind.GROUP_JOIN, event.kind == EventKind.REGISTER
        agents = [Agent.APP] * 12 + [Agent.BROWSER, Agent.UNKNOWN, Agent.SCRIPT]
        return {
            "device_id": one_of(DEVICES), "ip": one_of(IPS), "card": one_of(CARDS, 0.5),
            "address": one_of(ADDRESSES, 0.5), "code": one_of(CODES, 0.8 if is_new else 0.05),
            "inviter": rng.randrange(len(self.people)) if is_new and rng.random() < 0.6 else NONE,
            "group": one_of(GROUPS, 0.95 if is_member else 0.05), "agent": int(rng.choice(agents)),
        }  # fmt: skip


def asking() -> dict[str, int]:
    """An ASK of nothing yet."""
    nothing = dict.fromkeys(("other", "order", "claim", "coupon", "place", "campaign", "rule"), NONE)
    return dict.fromkeys(ASK.names or (), 0) | nothing


def rng_of(edges: list[int], customer: int, number: int) -> list[int]:
    """A few of very many edges: those of the wallet should not drown."""
    return Random(customer * 1_000 + number).sample(edges, min(len(edges), RECENT))


# --- what people decide -----------------------------------------------------------------------------------------------
def decisions(rng: Random, reviews: dict[tuple[int, int], Row], number: int, now: int, until: int) -> list[Row]:
    """REQUESTs of reviewers for a settlement: on open reviews, on some that are none, and listings."""
    made: list[Row] = []
    for id in sorted(reviews):
        if rng.random() < 0.3:
            made.append(decision(RequestKind.REVIEWED, *id, verdict=rng.choice([Verdict.ALLOW, Verdict.DENY])))
    if rng.random() < 0.05:
        made.append(decision(RequestKind.REVIEWED, rng.randrange(9), rng.randrange(40), verdict=Verdict.ALLOW))
    if rng.random() < 0.06:
        made.append(random_listing_request(rng, until))
    for place, row in enumerate(made):
        row |= {"number": 1_000_000 + 100 * number + place, "time_ms": rng.choice([now, rng.randint(now, until)])}
    return made


def decision(kind: RequestKind, customer: int, claim: int = NONE, **fields: int) -> Row:
    nothing = dict.fromkeys(
        (
            "other",
            "terms",
            "coupon",
            "campaign",
            "rule",
            "device_id",
            "ip",
            "card",
            "address",
            "code",
            "inviter",
            "group",
        ),
        NONE,
    )
    zeros = dict.fromkeys(("expires_ms", "sequence", "event_kind", "counted", "judging", "exempt", "fired"), 0)
    return nothing | zeros | {"kind": int(kind), "customer": customer, "claim": claim} | fields


def random_listing_request(rng: Random, until: int) -> Row:
    who = rng.randrange(9)
    named = rng.choice([{"other": who}, {"other": who}, {"device_id": rng.choice(DEVICES)}, {"ip": rng.choice(IPS)},
                        {"card": rng.choice(CARDS)}, {"address": rng.choice(ADDRESSES)}])  # fmt: skip
    lasts = rng.choice([MINUTE_MS, HOUR_MS, 6 * HOUR_MS])
    verdict = rng.choice([Verdict.ALLOW, Verdict.ALLOW, Verdict.DENY])
    return decision(RequestKind.LISTED, who, verdict=int(verdict), expires_ms=until + lasts, **named)
