"""What a recorded run keeps: each worker's events with what they ask and are answered, and the Ledger's replies."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple, Protocol

import numpy as np

from engine.coupon_records import ASK, LINE, RECEIPT, REPLY, REQUEST, Inbox
from engine.fraud_records import ORIGIN
from engine.host.messages import Settled
from engine.host.wire import WITH_CARTS
from engine.records import DECISION, EVENT, NONE, Bulletin
from results.store import RunWriter
from results.tables import BULLETIN, ENROLLED, SETTLEMENT

RECORDED_MAX = 20_000_000  # events one worker keeps with --record


# What is counted of a step: columns of SETTLEMENT. `early` are of the events.
STEP = ("events", "asks", "lines", "origins", "enrolled", "early")
COUNTED_BY = {"events": "events", "decision_log": "events", "asks": "asks", "receipts": "asks", "cart_lines": "lines",
              "origins": "origins", "enrolled": "enrolled"}  # of each log of a worker  # fmt: skip


class Recorder(Protocol):
    """What is told of everything that one worker's customers do, while they live."""

    def keep(self, events: np.ndarray, inbox: Inbox | None, decisions: np.ndarray) -> None:
        """A batch was decided; the arrays are used again afterwards."""

    def enrol(self, account: int, joined_ms: int) -> None:
        """A crew opens an account, which has done nothing yet."""

    def replied(self, settled: Settled) -> None:
        """The replies of the last settlement reach the customers."""

    def settle(self) -> None:
        """A step is over."""


class Recorded(NamedTuple):
    """Everything one worker took, in its order. Numbers of asks, carts and origins count from the settlement before."""

    events: np.ndarray  # EVENT[n]
    decision_log: np.ndarray  # DECISION[n]
    asks: np.ndarray  # ASK[k]
    receipts: np.ndarray  # RECEIPT[k]
    cart_lines: np.ndarray  # LINE[m]
    origins: np.ndarray  # ORIGIN[o]
    enrolled: np.ndarray  # ENROLLED[a]: accounts of crews
    steps: np.ndarray  # i8[settlements, len(STEP)], of each step


@dataclass
class Recording:
    """Batches in the order in which one worker took them, up to a limit."""

    events: list[np.ndarray] = field(default_factory=list)
    decisions: list[np.ndarray] = field(default_factory=list)
    asks: list[np.ndarray] = field(default_factory=list)
    receipts: list[np.ndarray] = field(default_factory=list)
    lines: list[np.ndarray] = field(default_factory=list)
    origins: list[np.ndarray] = field(default_factory=list)
    enrolled: list[tuple[int, int]] = field(default_factory=list)
    steps: list[list[int]] = field(default_factory=list)
    step: Counter[str] = field(default_factory=Counter)  # STEP, since the last settlement
    kept: int = 0

    def keep(self, events: np.ndarray, inbox: Inbox | None, decisions: np.ndarray) -> None:
        """A batch that was just decided."""
        if self.kept + len(events) > RECORDED_MAX:
            raise OverflowError(
                f"--record keeps at most {RECORDED_MAX:,} events a worker: "
                "take fewer customers, fewer days or more shards"
            )
        asked, lined, traced = (0, 0, 0) if inbox is None else (int(count) for count in inbox.used)
        self.events.append(events.copy())
        self.decisions.append(decisions.copy())
        if inbox is not None and asked:
            self._keep_asks(self.events[-1], inbox.asks[:asked].copy())
            self.receipts.append(inbox.receipts[:asked].copy())
            self.lines.append(inbox.lines[:lined].copy())
        if inbox is not None and traced:
            self.origins.append(inbox.origins[:traced].copy())
            self.events[-1]["origin"][self.events[-1]["origin"] != NONE] += self.step["origins"]
        self.kept += len(events)
        self.step.update(events=len(events), asks=asked, lines=lined, origins=traced)

    def _keep_asks(self, events: np.ndarray, asks: np.ndarray) -> None:
        """Number asks and carts on from those of the step so far."""
        with_cart = events["ask"][np.isin(events["kind"], WITH_CARTS)]
        asks["first_line"][with_cart] += self.step["lines"]
        events["ask"][events["ask"] != NONE] += self.step["asks"]
        self.asks.append(asks)

    def enrol(self, account: int, joined_ms: int) -> None:
        self.enrolled.append((account, joined_ms))
        self.step["enrolled"] += 1

    def replied(self, settled: Settled) -> None:
        self.step["early"] = self.step["events"]

    def settle(self) -> None:
        self.steps.append([self.step[name] for name in STEP])
        self.step.clear()

    def recorded(self) -> Recorded:
        return Recorded(
            joined(self.events, EVENT), joined(self.decisions, DECISION), joined(self.asks, ASK),
            joined(self.receipts, RECEIPT), joined(self.lines, LINE), joined(self.origins, ORIGIN),
            np.array(self.enrolled, ENROLLED), np.array(self.steps, np.int64).reshape(-1, len(STEP)),
        )  # fmt: skip


def recording_of(recorder: Recorder | None) -> Recording:
    """What a worker of a recorded run keeps."""
    assert isinstance(recorder, Recording), "a plan with record=True"
    return recorder


def joined(parts: Sequence[np.ndarray], dtype: np.dtype) -> np.ndarray:
    return np.concatenate(parts) if len(parts) else np.zeros(0, dtype)


@dataclass
class SettlementLog:
    """What the Ledger said at each settlement: replies, and what changed in the bulletin."""

    times: list[int] = field(default_factory=list)
    replies: list[list[np.ndarray]] = field(default_factory=list)  # by settlement and worker
    decided: list[np.ndarray] = field(default_factory=list)  # by settlement: what persons decided, REQUEST[n]
    bulletins: list[np.ndarray] = field(default_factory=list)
    posted: np.ndarray | None = None  # i1[2, campaigns]: in stock, within budget, as last said

    def post(self, bulletin: Bulletin) -> None:
        """A policy is taken up: its bulletin speaks of campaigns that were all open."""
        self.posted = None
        self._keep_changes(bulletin, adopted=True)

    def take(self, settled: Sequence[Settled], decided: np.ndarray) -> None:
        """A settlement is over: what persons had decided, and what each worker was told."""
        self.times.append(settled[0].time_ms)
        self.decided.append(decided.copy())
        self.replies.append([one.replies.copy() for one in settled])
        self._keep_changes(settled[0].bulletin)

    def _keep_changes(self, bulletin: Bulletin, adopted: bool = False) -> None:
        now = np.stack([bulletin.in_stock, bulletin.in_budget])
        was = np.ones_like(now) if self.posted is None else self.posted
        changed = np.flatnonzero((was != now).any(axis=0))
        rows = np.zeros(len(changed), BULLETIN)
        rows["settlement"], rows["campaign"] = len(self.times), changed
        rows["in_stock"], rows["in_budget"] = now[:, changed]
        rows["adopted"] = adopted
        self.bulletins.append(rows)
        self.posted = now


# --- written ----------------------------------------------------------------------------------------------------------
WRITTEN_AT_ONCE = 1_000_000  # events of one row group


def write_recording(writer: RunWriter, workers: Sequence[Recorded], log: SettlementLog | None) -> None:
    """Write the logs of a run: by worker, or settlement by settlement where there was a Ledger."""
    if log is None:
        for worker in workers:
            writer.record("events", worker.events)
            writer.record("decision_log", worker.decision_log)
        return
    writer.record("settlements", settlements(workers, log))
    writer.record("bulletins", joined(log.bulletins, BULLETIN))
    writer.record("decided", joined(log.decided, REQUEST))
    writer.record("replies", joined([part for parts in log.replies for part in parts], REPLY))
    for name in COUNTED_BY:
        for rows in in_order(workers, name):
            writer.record(name, rows)


def settlements(workers: Sequence[Recorded], log: SettlementLog) -> np.ndarray:
    """SETTLEMENT[settlements × workers]: how many rows of each log belong to a worker's step."""
    rows = np.zeros((len(log.times), len(workers)), SETTLEMENT)
    rows["settlement"] = np.arange(1, len(log.times) + 1)[:, None]
    rows["time_ms"] = np.array(log.times, np.int64)[:, None]
    rows["worker"] = np.arange(len(workers))
    for number, worker in enumerate(workers):
        assert len(worker.steps) == len(log.times), "every settlement ends a step of every worker"
        for name, counts in zip(STEP, worker.steps.T, strict=True):
            rows[name][:, number] = counts
    rows["decided"][:, 0] = [len(decided) for decided in log.decided]  # the first worker brings them along
    rows["replies"] = np.array([[len(part) for part in parts] for parts in log.replies]).reshape(rows.shape)
    return rows.reshape(-1)


def in_order(workers: Sequence[Recorded], name: str) -> Iterator[np.ndarray]:
    """A log of all workers as it was applied: every worker's step, then the next step's."""
    column = STEP.index(COUNTED_BY[name])
    ends = [np.cumsum(worker.steps[:, column]) for worker in workers]
    logs = [getattr(worker, name) for worker in workers]
    steps = zip_longest(*([*zip([0, *end[:-1]], end, strict=True)] for end in ends))
    waiting: list[np.ndarray] = []
    for bounds in steps:
        waiting += [log[low:high] for log, (low, high) in zip(logs, bounds, strict=True)]
        if sum(map(len, waiting)) >= WRITTEN_AT_ONCE:
            yield np.concatenate(waiting)
            waiting = []
    yield joined(waiting, logs[0].dtype)
