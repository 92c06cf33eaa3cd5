"""What fraud rules cost at the Ledger: one settlement of a busy hour with every core rule active, and without rules.

The policy is the library's stampede with the core rules. Requests come as shards send them: claims and transfers are
judged, all else that a rule counts is observed.
"""

import time
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from engine.coupon_records import LIVES, REQUEST, Life, RequestKind, Spend
from engine.fraud_records import Check, Home
from engine.host.ledger import LedgerHost
from engine.host.ledger_fraud import fraud_bytes, rules_at_work
from engine.host.messages import Contribution, Settled
from engine.policy.document import Policy
from engine.policy.fraud import Fraud
from engine.policy.tables import CompiledPolicy, compile_policy
from engine.policy.yaml_source import read
from engine.records import HOUR_MS, NONE, EventKind, records
from scenarios.bench_worlds import LIBRARY

CUSTOMERS = 200_000  # that are at it
DAY = date(2026, 11, 11)
K = EventKind
# Thousandths of what the Ledger hears in an hour of claiming.
MIX = {
    K.CLAIM: 680, K.TRANSFER: 20, K.LOGIN: 110, K.REGISTER: 20, K.LOGIN_FAILED: 10, K.ORDER: 60, K.PAYMENT: 50,
    K.PAYMENT_DECLINED: 5, K.REDEEM: 15, K.CHECK_IN: 25, K.GROUP_JOIN: 5,
}  # fmt: skip
REQUESTED = {K.CLAIM: RequestKind.CLAIM, K.TRANSFER: RequestKind.TRANSFER}
SHARE_CREWS = 20  # one in so many comes from a crew of few devices and IPs


@dataclass(frozen=True)
class Hour:
    """Requests of two hours, the second measured when the tables have filled, and the policy they are asked under."""

    policy: CompiledPolicy
    first: np.ndarray
    second: np.ndarray

    @property
    def judged(self) -> int:
        return int((self.second["judging"] != 0).sum())


def shop(fraud: Fraud) -> CompiledPolicy:
    document = read(LIBRARY / "policies" / "stampede.yaml", Policy).document.model_copy(update={"fraud": fraud})
    return compile_policy(document, DAY - timedelta(days=1), DAY + timedelta(days=2))


def masks(policy: CompiledPolicy, field: str) -> dict[EventKind, int]:
    """The Ledger's rules that count (`kinds`) or judge (`judges`) an event of each kind."""
    rules = policy.tables.rules
    return {
        kind: sum(1 << slot for slot in rules_at_work(rules) if rules[slot][field] >> kind & 1 and heard(rules[slot]))
        for kind in MIX
    }


def heard(rule: Any) -> bool:
    return rule.home == Home.LEDGER or rule.check == Check.LISTED


def hour(policy: CompiledPolicy, count: int, start: int, seed: int) -> np.ndarray:
    """REQUEST[count] from `start` on: households share a device and an address, five customers an IP."""
    chance = np.random.default_rng(seed)
    rows = records(count, REQUEST)
    kinds = chance.choice(np.array(list(MIX)), count, p=np.array(list(MIX.values())) / 1_000)
    customers = chance.integers(0, CUSTOMERS, count)
    crew = chance.integers(0, SHARE_CREWS, count) == 0
    rows["customer"], rows["time_ms"] = customers, start + chance.integers(0, HOUR_MS, count)
    rows["number"] = seed * count + np.arange(count)
    rows["claim"] = rows["number"]
    rows["event_kind"] = kinds
    rows["kind"] = RequestKind.OBSERVED
    for name in ("other", "rule", "campaign", "code", "inviter", "group", "card"):
        rows[name] = NONE
    rows["device_id"] = np.where(crew, chance.integers(0, 2_000, count), 10_000 + customers * 10 // 11)
    rows["ip"] = np.where(crew, chance.integers(0, 500, count), 10_000 + customers // 5)
    rows["address"] = customers * 10 // 14
    traced(rows, kinds, chance)
    for field, where in (("counted", "kinds"), ("judging", "judges")):
        for kind, mask in masks(policy, where).items():
            rows[field][kinds == kind] = mask if field == "counted" or kind in REQUESTED else 0
    return rows


def traced(rows: Any, kinds: np.ndarray, chance: np.random.Generator) -> None:
    """What only events of some kinds carry."""
    for kind, request in REQUESTED.items():
        rows["kind"][kinds == kind] = request
    claims = kinds == K.CLAIM
    rows["campaign"][claims] = 0
    rows["coupon"] = np.where(np.isin(kinds, list(REQUESTED)), 0, NONE)
    rows["terms"] = np.where(np.isin(kinds, list(REQUESTED)), 0, NONE)
    paid = np.isin(kinds, (K.PAYMENT, K.PAYMENT_DECLINED))
    rows["card"][paid] = rows["customer"][paid]
    new = kinds == K.REGISTER
    rows["code"][new] = chance.integers(0, 20_000, int(new.sum()))
    rows["inviter"][new] = chance.integers(0, CUSTOMERS, int(new.sum()))
    rows["group"][kinds == K.GROUP_JOIN] = chance.integers(0, 3_000, int((kinds == K.GROUP_JOIN).sum()))
    given = kinds == K.TRANSFER
    rows["other"][given] = chance.integers(0, CUSTOMERS, int(given.sum()))


def two_hours(count: int) -> Hour:
    policy = shop(Fraud.model_validate({"include": "core", "keys": 200_000}))
    start = int(policy.tables.coupons[0].from_ms)
    return Hour(policy, hour(policy, count, start, 0), hour(policy, count, start + HOUR_MS, 1))


# --- the measurement --------------------------------------------------------------------------------------------------
@dataclass
class Measured:
    seconds: float
    resident: int  # bytes of the rules' tables in use
    fired: float  # share of the judged requests on which a rule fires


def settled(ledger: LedgerHost, requests: np.ndarray, now: int) -> np.ndarray:
    lives = np.zeros((len(ledger.shared.stock), LIVES), np.int64)
    lives[:, Life.AVAILABLE] = ledger.shared.stock["granted"]
    spend = np.zeros((0, len(Spend)), np.int64)
    (message,) = ledger.receive(Contribution(0, 0, ledger.number + 1, now, requests, spend, lives), now)
    assert isinstance(message, Settled)
    return message.replies


def measured(run: Hour, policy: CompiledPolicy, listening: bool) -> Measured:
    """Seconds of the second hour under a policy; listening: its rules are told of the events."""
    start = int(run.first["time_ms"].min())
    ledger = LedgerHost(policy.tables, policy.coupons, policy.budgets, [(0, CUSTOMERS)], start)
    first, second = (part if listening else unheard(part) for part in (run.first, run.second))
    settled(ledger, first, start + HOUR_MS)
    began = time.perf_counter()
    replies = settled(ledger, second, start + 2 * HOUR_MS)
    seconds = time.perf_counter() - began
    fired = np.count_nonzero(replies["fired"]) / max(1, run.judged)
    return Measured(seconds, fraud_bytes(ledger.shared.fraud), fired)


def unheard(requests: np.ndarray) -> np.ndarray:
    """The same requests where no rule listens."""
    silent = requests.copy()
    silent["counted"] = silent["judging"] = 0
    return silent


def without_rules() -> CompiledPolicy:
    return shop(Fraud())


def rules_in(policy: CompiledPolicy) -> int:
    """How many rules of the Ledger are at work."""
    return len(rules_at_work(policy.tables.rules))


def mix_in_words() -> str:
    return ", ".join(f"{kind.name.lower().replace('_', ' ')} {share / 10:g} %" for kind, share in MIX.items())
