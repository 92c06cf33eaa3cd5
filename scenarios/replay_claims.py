"""Two policies' answers to the same claims, carts, orders and payments: what differs, and the money in it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from engine.coupon_records import UNLIMITED, Answer, CouponCell
from engine.host.shard import CustomerShard
from engine.records import NEVER_MS, NONE, EventKind
from scenarios.replay_record import Step
from scenarios.settling import Settling

GRANTED = (Answer.DONE, Answer.FALLBACK)
NUMBERS_MAX = 1 << 32  # claim numbers of one customer


@dataclass(frozen=True)
class Pair:
    """A worker's step as it was recorded, and what the other policy made of it."""

    step: Step
    decisions: np.ndarray  # DECISION[n], row by row with the step's events
    receipts: np.ndarray  # RECEIPT[k], by EVENT.ask
    worker: int


@dataclass
class Prices:
    """Asks of one kind that were answered with money under either policy; fen."""

    asked: int = 0
    cheaper: int = 0  # the customer pays less under the other policy
    dearer: int = 0
    only_before: int = 0  # the other policy refuses
    only_after: int = 0
    paid: np.ndarray | None = None  # i8[2]: before, after
    discount: np.ndarray | None = None

    def add(self, was: np.ndarray, now: np.ndarray) -> np.ndarray:
        """Take in RECEIPT[n] of both; which differ, bool[n]."""
        before, after = was["answer"] == Answer.DONE, now["answer"] == Answer.DONE
        both = before & after
        self.asked += int((before | after).sum())
        self.cheaper += int((both & (now["paid"] < was["paid"])).sum())
        self.dearer += int((both & (now["paid"] > was["paid"])).sum())
        self.only_before += int((before & ~after).sum())
        self.only_after += int((after & ~before).sum())
        for name in ("paid", "discount"):
            sums = np.array([int(was[name][before].sum()), int(now[name][after].sum())])
            setattr(self, name, sums if getattr(self, name) is None else getattr(self, name) + sums)
        return np.asarray((before != after) | (both & (was["paid"] != now["paid"])))

    def told(self) -> dict[str, Any]:
        zeros = np.zeros(2, np.int64)
        paid, discount = (zeros if sums is None else sums for sums in (self.paid, self.discount))
        return {
            "asked": self.asked, "cheaper": self.cheaper, "dearer": self.dearer,
            "no_longer_taken": self.only_before, "newly_taken": self.only_after,
            "paid_before": int(paid[0]), "paid_after": int(paid[1]),
            "discount_before": int(discount[0]), "discount_after": int(discount[1]),
        }  # fmt: skip


MONEY = {"checkouts": EventKind.CHECKOUT, "orders": EventKind.ORDER, "payments": EventKind.PAYMENT,
         "refunds": EventKind.REFUND, "used_by_hand": EventKind.REDEEM}  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One policy: its Ledger and its shards."""

    settling: Settling
    shards: Sequence[CustomerShard]

    def answers(self) -> np.ndarray:
        """Claims that the shards or the Ledger answered since launch: i8[coupon slots, ANSWERS]."""
        return self.whole([shard.tallies.answers.sum(axis=0) for shard in self.shards]) + self.settling.refused

    def cells(self) -> np.ndarray:
        """What became of coupons since launch: i8[coupon slots, COUPON_CELLS]."""
        return self.whole([shard.tallies.cohorts.sum(axis=0) for shard in self.shards])

    def whole(self, parts: list[np.ndarray]) -> np.ndarray:
        """Sum of the shards' tables, which end with their policy's last slot, in as many rows as the Ledger has."""
        total = np.zeros((len(self.settling.ledger.shared.stock), parts[0].shape[1]), np.int64)
        for part in parts:
            total[: len(part)] += part
        return total


class ClaimChanges:
    """What differs of claims and prices since launch. Made at launch, when both Ledgers are still alike."""

    def __init__(self, customers: int, everybody: int, own: Side, twin: Side) -> None:
        """customers: accounts from that number on are of crews, whose claims are claims like any other."""
        self.sides, self.customers = (own, twin), customers
        self.granted_before = own.settling.ledger.shared.stock["granted"].copy()
        self.last_id = np.zeros(everybody, np.int64)  # of each account's latest claim, which may be sent again
        self.touched = np.zeros(everybody, np.bool_)
        self.claims = 0
        self.kinds: Counter[tuple[int, int, int]] = Counter()  # (coupon, answer before, after)
        self.examples: dict[tuple[int, int, int], tuple[int, int]] = {}  # customer, time
        self.prices = {name: Prices() for name in MONEY}

    def compare(self, pair: Pair, replies: np.ndarray, replies_then: np.ndarray) -> None:
        """A step and the replies (REPLY[n]) that settled it, under both policies."""
        events = pair.step.events
        for name, kind in MONEY.items():
            rows = np.flatnonzero((events["kind"] == kind) & (events["ask"] != NONE))
            asks = events["ask"][rows]
            differ = self.prices[name].add(pair.step.receipts[asks], pair.receipts[asks])
            self.touched[events["customer"][rows[differ]]] = True
        rows = np.flatnonzero((events["kind"] == EventKind.CLAIM) & (events["ask"] != NONE))
        if len(rows):
            self._compare_claims(pair, self._first_ones(events[rows], pair.step.asks), replies, replies_then)

    def _first_ones(self, claims: np.ndarray, asks: np.ndarray) -> np.ndarray:
        """Claims that are not a repetition of the customer's claim before."""
        order = np.argsort(claims["customer"], kind="stable")
        customers, ids = claims["customer"][order], asks["id"][claims["ask"]][order]
        begins = np.concatenate([[True], np.diff(customers) != 0])
        before = np.where(begins, self.last_id[customers], np.concatenate([[0], ids[:-1]]))
        ends = np.concatenate([begins[1:], [True]])
        self.last_id[customers[ends]] = ids[ends]
        return claims[order[(ids == 0) | (ids != before)]]

    def _compare_claims(self, pair: Pair, claims: np.ndarray, replies: np.ndarray, replies_then: np.ndarray) -> None:
        customers, asks = claims["customer"], claims["ask"]
        was = final_answers(customers, pair.step.receipts[asks], replies)
        now = final_answers(customers, pair.receipts[asks], replies_then)
        self.claims += len(claims)
        differ = np.flatnonzero(was != now)
        self.touched[customers[differ]] = True
        for row in differ:
            key = (int(pair.step.asks["coupon"][asks[row]]), int(was[row]), int(now[row]))
            self.kinds[key] += 1
            self.examples.setdefault(key, (int(customers[row]), int(claims["time_ms"][row])))

    # --- told ---------------------------------------------------------------------------------------------------------
    def told(self) -> dict[str, Any]:
        registry = self.sides[0].settling.plan.policy.registry
        coupons = {slot: name for name, slot in registry.coupons.items()}
        return {
            "claims": self.claims,
            "claims_answered_otherwise": sum(self.kinds.values()),
            "customers_with_another_answer_or_price": int(self.touched[: self.customers].sum()),
            "claims_by_kind": [self._kind(key, count, coupons) for key, count in self.kinds.most_common()],
            "refused": list(self._refused(coupons)),
            "coupons": [self._coupon(slot, name) for slot, name in coupons.items()],
            "budgets": [self._budget(slot, name) for name, slot in registry.budgets.items()],
            **{name: prices.told() for name, prices in self.prices.items()},
        }

    def _kind(self, key: tuple[int, int, int], count: int, coupons: dict[int, str]) -> dict[str, Any]:
        customer, time_ms = self.examples[key]
        return {
            "coupon": coupons.get(key[0]), "before": answer_name(key[1]), "after": answer_name(key[2]),
            "claims": count, "example": {"customer": customer, "at": self._clock(time_ms)},
        }  # fmt: skip

    def _clock(self, time_ms: int) -> str:
        zone = ZoneInfo(self.sides[0].settling.plan.policy.policy.time_zone)
        return datetime.fromtimestamp(time_ms / 1000, zone).isoformat(timespec="seconds")

    def _refused(self, coupons: dict[int, str]) -> Iterator[dict[str, Any]]:
        """Claims refused, in the shards or at the Ledger, by coupon and reason."""
        tables = [side.answers() for side in self.sides]
        for slot, name in coupons.items():
            for answer in Answer:
                counts = [int(table[slot, answer]) for table in tables]
                if answer not in (*GRANTED, Answer.NONE, Answer.PENDING, Answer.WAITS) and any(counts):
                    yield {"coupon": name, "reason": answer_name(answer), "before": counts[0], "after": counts[1]}

    def _coupon(self, slot: int, name: str) -> dict[str, Any]:
        """What became of a coupon; money in fen."""
        found: dict[str, Any] = {"coupon": name}
        for side, word in zip(self.sides, ("before", "after"), strict=True):
            stock, cells = side.settling.ledger.shared.stock[slot], side.cells()[slot]
            found[word] = {
                "granted": int(stock.granted - self.granted_before[slot]),
                "left": None if stock.delivered == UNLIMITED else int(stock.left),
                "out_at": self._clock(int(stock.out_ms)) if 0 < stock.out_ms < NEVER_MS else None,
                **{cell.name.lower(): int(cells[cell]) for cell in CouponCell if cell is not CouponCell.GRANTED},
            }
        return found

    def _budget(self, slot: int, name: str) -> dict[str, Any]:
        found: dict[str, Any] = {"budget": name}
        for side, word in zip(self.sides, ("before", "after"), strict=True):
            fund = side.settling.ledger.shared.funds[slot]
            found[word] = {measure: int(fund[measure]) for measure in ("in_force", "reserved", "spent")}
        return found


def final_answers(customers: np.ndarray, receipts: np.ndarray, replies: np.ndarray) -> np.ndarray:
    """Answer of each claim, i8[n]: the shard's, or the Ledger's where the shard asked it."""
    answers = receipts["answer"].astype(np.int64)
    pending = np.flatnonzero(answers == Answer.PENDING)
    said = np.flatnonzero(replies["number"] != NONE)
    if len(pending) == 0 or len(said) == 0:
        return answers
    keys = replies["customer"][said] * NUMBERS_MAX + replies["claim"][said]
    order = np.argsort(keys, kind="stable")
    wanted = customers[pending] * NUMBERS_MAX + receipts["number"][pending]
    place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    found = keys[order][place] == wanted
    answers[pending[found]] = replies["answer"][said[order[place[found]]]]
    return answers


def answer_name(answer: int) -> str:
    return "granted" if answer in GRANTED else Answer(answer).name.lower()
