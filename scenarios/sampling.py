"""Decisions of some customers, kept while a scenario is lived: what a baseline holds, and what is held against it.

A rule that is changed shows in its own kind of decision. So those customers are kept who show each kind first, and
some from everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.coupon_records import Inbox
from engine.host.messages import Settled
from engine.records import NONE, Reason, records
from scenarios.recording import Recorder, Recording

REPLY = 64  # added to the kind of a request, which the Ledger answers: event kinds are below
EXAMPLES = 2  # customers by kind of decision
SAMPLED = np.dtype(
    [
        ("time_ms", "i8"),
        ("customer", "i8"),
        ("paid", "i8"),  # fen, of a price or an order
        ("discount", "i8"),
        ("campaign", "i2"),
        ("credited", "i2"),
        ("coupon", "i2"),
        ("rule", "i2"),  # the fraud rule that answers
        ("kind", "i1"),  # EventKind, or REPLY + RequestKind
        ("arm", "i1"),
        ("reason", "i1"),
        ("answer", "i1"),
    ],
    align=True,
)
# What makes two decisions of one kind: how many values each may have, NONE included.
KIND = {"campaign": 2**12, "coupon": 2**10, "rule": 2**8, "arm": 2**6, "reason": 2**6, "answer": 2**7}


@dataclass(frozen=True)
class Sampling:
    """Whose decisions a run keeps; with nobody named, who shows each kind of decision first."""

    customers: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Sampled:
    """What one worker hands over."""

    rows: np.ndarray  # SAMPLED[n], in the order of time
    examples: Mapping[int, tuple[int, ...]]  # customers by kind of decision


def recorder_of(record: bool, sampling: Sampling | None, first: int, count: int) -> Recorder | None:
    """What listens to a worker of so many customers."""
    if record:
        return Recording()
    return None if sampling is None else Sample(sampling, first, count)


def handed_over(recorder: Recorder | None) -> dict[str, Any]:
    """What a worker's result has of it."""
    if isinstance(recorder, Recording):
        return {"recorded": recorder.recorded()}
    return {"sampled": recorder.sampled()} if isinstance(recorder, Sample) else {}


@dataclass
class Sample:
    """Keeps them, of customers `first` … `first + count - 1`."""

    sampling: Sampling
    first: int
    count: int
    rows: list[np.ndarray] = field(default_factory=list)
    examples: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.is_chosen = np.full(self.count, self.sampling.customers is None)
        ours = [n - self.first for n in self.sampling.customers or () if 0 <= n - self.first < self.count]
        self.is_chosen[ours] = True

    def keep(self, events: np.ndarray, inbox: Inbox | None, decisions: np.ndarray) -> None:
        at = np.flatnonzero(self.is_chosen[decisions["customer"] - self.first])
        self._take(decided(events[at], inbox, decisions[at]))

    def enrol(self, account: int, joined_ms: int) -> None:
        """Nothing was decided."""

    def replied(self, settled: Settled) -> None:
        replies = settled.replies[self.is_chosen[settled.replies["customer"] - self.first]]
        self._take(replied(replies[replies["answer"] != 0]))  # an observed event has no answer

    def settle(self) -> None:
        """A step is nothing by itself."""

    def _take(self, rows: np.ndarray) -> None:
        if self.sampling.customers is not None:
            self.rows.append(rows)
            return
        codes, places = np.unique(kinds(rows), return_index=True)
        for code, customer in zip(codes.tolist(), rows["customer"][places].tolist(), strict=True):
            known = self.examples.setdefault(code, [])
            if len(known) < EXAMPLES and customer not in known:
                known.append(customer)

    def sampled(self) -> Sampled:
        whole = np.concatenate([records(0, SAMPLED), *self.rows])
        return Sampled(whole, {code: tuple(customers) for code, customers in self.examples.items()})


def decided(events: np.ndarray, inbox: Inbox | None, decisions: np.ndarray) -> np.ndarray:
    """SAMPLED[n] of the decisions that had a candidate, an answer or a goal."""
    asked = events["ask"] != NONE
    some = (decisions["reason"] != Reason.NO_CANDIDATE) | asked | (decisions["credited"] != NONE)
    events, decisions, asked = events[some], decisions[some], asked[some]
    rows = blank(len(decisions))
    for name in ("time_ms", "customer", "campaign", "credited", "kind", "arm", "reason", "answer"):
        rows[name] = decisions[name]
    if inbox is not None and asked.any():
        asks = events["ask"][asked]
        receipts = inbox.receipts[asks]
        for name in ("paid", "discount", "rule"):
            rows[name][asked] = receipts[name]
        rows["coupon"][asked] = inbox.asks["coupon"][asks]
    return rows


def replied(replies: np.ndarray) -> np.ndarray:
    """SAMPLED[n] of what the Ledger answered."""
    rows = blank(len(replies))
    for name in ("time_ms", "customer", "coupon", "rule", "answer"):
        rows[name] = replies[name]
    rows["kind"] = REPLY + replies["kind"]
    rows["reason"] = Reason.NO_CANDIDATE
    return rows


def blank(count: int) -> np.ndarray:
    rows = records(count, SAMPLED)
    for name in ("campaign", "credited", "coupon", "rule", "arm"):
        rows[name] = NONE
    return rows


def kinds(rows: np.ndarray) -> np.ndarray:
    """i8[n]: one number for each kind of decision."""
    codes = np.zeros(len(rows), np.int64)
    for name, most in KIND.items():
        codes = codes * most + (rows[name].astype(np.int64) + 1)
    return codes
