"""Two policies' fraud rules on the same asks: which are answered otherwise, by which rule, and of whom."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from engine.coupon_records import Answer
from engine.fraud_records import JUDGED
from engine.policy.tables import CompiledPolicy
from engine.records import NONE, EventKind
from results.words import claim_answer
from scenarios.replay_claims import GRANTED, NUMBERS_MAX, Pair
from scenarios.replay_table import table

KINDS_MOST = 12  # kinds of asks answered otherwise; --json has them all
FIELDS = ("answer", "rule", "fired")


@dataclass(frozen=True)
class Verdicts:
    """What was said of asks: i8[n] each."""

    answer: np.ndarray  # Answer
    rule: np.ndarray  # slot of the rule that is told; NONE
    fired: np.ndarray  # mask of rules


class FraudChanges:
    """Asks that fraud rules answer otherwise since launch. Accounts from `customers` on are of crews."""

    def __init__(self, customers: int, was: CompiledPolicy, now: CompiledPolicy) -> None:
        self.customers, self.was = customers, was
        self.names = {slot: name for registry in (was.registry, now.registry) for name, slot in registry.rules.items()}
        self.asks = 0
        self.kinds: Counter[tuple[int, ...]] = Counter()  # kind; answer and rule before; after; whether of a crew
        self.examples: dict[tuple[int, ...], tuple[int, int]] = {}  # customer, time
        self.rules = {word: np.zeros((64, 2), np.int64) for word in ("fired", "answered")}  # before, after

    def compare(self, pair: Pair, replies: np.ndarray, replies_then: np.ndarray) -> None:
        """A step and the replies (REPLY[n]) that settled it, under both policies."""
        asks = pair.step.events[np.isin(pair.step.events["kind"], JUDGED) & (pair.step.events["ask"] != NONE)]
        if len(asks) == 0:
            return
        was = verdicts(asks["customer"], pair.step.receipts[asks["ask"]], replies)
        now = verdicts(asks["customer"], pair.receipts[asks["ask"]], replies_then)
        self.asks += len(asks)
        for side, said in enumerate((was, now)):
            self._count(side, said)
        judged = (was.rule != NONE) | (now.rule != NONE)
        crews = asks["customer"] >= self.customers
        for row in np.flatnonzero(judged & ((was.answer != now.answer) | (was.rule != now.rule))).tolist():
            key = (int(asks["kind"][row]), *(int(of[row]) for of in (was.answer, was.rule, now.answer, now.rule)))
            self.kinds[(*key, int(crews[row]))] += 1
            self.examples.setdefault(key, (int(asks["customer"][row]), int(asks["time_ms"][row])))

    def _count(self, side: int, said: Verdicts) -> None:
        for slot in self.names:
            self.rules["fired"][slot, side] += int((said.fired >> slot & 1).sum())
            self.rules["answered"][slot, side] += int((said.rule == slot).sum())

    # --- told ---------------------------------------------------------------------------------------------------------
    def told(self) -> dict[str, Any]:
        kinds: dict[tuple[int, ...], list[int]] = {}
        for (*key, crew), count in self.kinds.items():
            kinds.setdefault(tuple(key), [0, 0])[crew] += count
        ordered = sorted(kinds.items(), key=lambda item: (-sum(item[1]), item[0]))
        return {
            "asks": self.asks,
            "asks_answered_otherwise": sum(self.kinds.values()),
            "of_customers": sum(count for key, count in self.kinds.items() if not key[-1]),
            "of_crews": sum(count for key, count in self.kinds.items() if key[-1]),
            "by_kind": [self._kind(key, *counts) for key, counts in ordered],
            "rules": list(self._rules()),
        }

    def _kind(self, key: tuple[int, ...], customers: int, crews: int) -> dict[str, Any]:
        kind, answer, rule, answer_then, rule_then = key
        customer, time_ms = self.examples[key]
        at = datetime.fromtimestamp(time_ms / 1000, ZoneInfo(self.was.policy.time_zone))
        return {
            "ask": EventKind(kind).name.lower(),
            "before": {"answer": answer_name(answer), "rule": self.names.get(rule)},
            "after": {"answer": answer_name(answer_then), "rule": self.names.get(rule_then)},
            "of_customers": customers, "of_crews": crews,
            "example": {"customer": customer, "at": at.isoformat(timespec="seconds")},
        }  # fmt: skip

    def _rules(self) -> Iterator[dict[str, Any]]:
        """Of each rule that fired or answered under either policy."""
        for slot, name in self.names.items():
            counts = {word: self.rules[word][slot].tolist() for word in self.rules}
            if any(map(any, counts.values())):
                yield {"rule": name} | {
                    f"{word}_{side}": counts[word][place]
                    for word in counts
                    for place, side in enumerate(("before", "after"))
                }


def verdicts(customers: np.ndarray, receipts: np.ndarray, replies: np.ndarray) -> Verdicts:
    """What is told of asks: by the shard, or by the Ledger where it was asked."""
    found = {name: receipts[name].astype(np.int64) for name in FIELDS}
    pending = np.flatnonzero(found["answer"] == Answer.PENDING)
    said = np.flatnonzero(replies["number"] != NONE)
    if len(pending) and len(said):
        keys = replies["customer"][said] * NUMBERS_MAX + replies["claim"][said]
        order = np.argsort(keys, kind="stable")
        wanted = customers[pending] * NUMBERS_MAX + receipts["number"][pending]
        place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        known = keys[order][place] == wanted
        for name in FIELDS:
            found[name][pending[known]] = replies[name][said[order[place[known]]]]
    return Verdicts(**found)


def answer_name(answer: int) -> str:
    if answer == Answer.FALLBACK:
        return "a weaker coupon"
    return "granted" if answer in GRANTED else claim_answer(Answer(answer).name.lower())


# --- in words ---------------------------------------------------------------------------------------------------------
def fraud_sentence(found: Mapping[str, Any]) -> str:
    if not found["asks_answered_otherwise"]:
        return f"Fraud rules answer all {found['asks']:,} claims, orders, payments and transfers as they did."
    crews = f", {found['of_crews']:,} of them from accounts of crews" if found["of_crews"] else ""
    return (
        f"Fraud rules answer {found['asks_answered_otherwise']:,} of {found['asks']:,} claims, orders, payments and "
        f"transfers otherwise{crews}."
    )


def fraud_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The part of a replay that is about fraud rules."""
    yield f"\n{fraud_sentence(found)}"
    if found["by_kind"]:
        yield "\nAsks answered otherwise"
        yield from kinds(found)
    if any(row[f"{word}_before"] != row[f"{word}_after"] for row in found["rules"] for word in ("fired", "answered")):
        yield "\nRules: asks on which they fire, and which they answer"
        yield from rules(found)


def kinds(found: Mapping[str, Any]) -> Iterator[str]:
    rows = [("customers", "crews", "ask", "before", "after", "for example")]
    for kind in found["by_kind"][:KINDS_MOST]:
        at = kind["example"]["at"]
        rows.append((f"{kind['of_customers']:,}", f"{kind['of_crews']:,}", kind["ask"], side(kind["before"]),
                     f"→ {side(kind['after'])}",
                     f"customer {kind['example']['customer']}, {at[:10]} {at[11:19]}"))  # fmt: skip
    yield from table(rows, "rr")
    rest = found["by_kind"][KINDS_MOST:]
    if rest:
        asks = sum(kind["of_customers"] + kind["of_crews"] for kind in rest)
        yield f"  {len(rest)} kinds more, {asks:,} asks: --json has them all"


def side(told: Mapping[str, Any]) -> str:
    """An answer, and the rule that gave it."""
    return f"{told['answer']} ({told['rule']})" if told["rule"] else str(told["answer"])


def rules(found: Mapping[str, Any]) -> Iterator[str]:
    rows = [("rule", "fires", "then", "answers", "then")]
    names = ("fired_before", "fired_after", "answered_before", "answered_after")
    rows += [(row["rule"], *(f"{row[name]:,}" for name in names)) for row in found["rules"]]
    yield from table(rows, "lrrrr")
