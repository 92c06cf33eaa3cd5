"""A shard and its Ledger worked by hand: one thing is asked at a time, and settled at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.coupon_records import ASK, LINE, RECEIPT, Answer, Inbox, Spend
from engine.fraud_records import ORIGIN
from engine.host.ledger import LedgerHost
from engine.host.messages import Contribution, Settled
from engine.host.shard import CustomerShard
from engine.policy.tables import CompiledPolicy
from engine.records import EVENT, NONE, Reason, records

PEOPLE = 2_048  # among whom there is somebody of every group
_NO_EVENT = {"sequence": NONE, "page": NONE, "campaign": NONE, "exposure": NONE, "city": NONE, "channel": NONE,
             "moment": NONE, "ask": NONE}  # fmt: skip
_NO_ASK = {"other": NONE, "first_line": NONE, "order": NONE, "claim": NONE, "coupon": NONE, "place": NONE,
           "campaign": NONE, "rule": NONE}  # fmt: skip
_NO_ORIGIN = dict.fromkeys(("device_id", "ip", "card", "address", "code", "inviter", "group"), NONE)


@dataclass(frozen=True)
class Got:
    """What came of an event."""

    decision: np.void  # DECISION
    refused: Mapping[int, Reason]  # every candidate that was not shown: slot → why
    receipt: np.void  # RECEIPT; zeros where nothing was asked
    answer: Answer  # the Ledger's where it was asked
    rule: int  # slot of the fraud rule that answers; NONE
    charged: np.ndarray  # i8[budget slots], fen: reserved and spent of each more than before


class Booth:
    """Customers 0 … PEOPLE - 1, all alike at first."""

    def __init__(self, compiled: CompiledPolicy, customer: np.ndarray, now_ms: int) -> None:
        """customer: CUSTOMER[1]."""
        self.shard = CustomerShard(0, PEOPLE, compiled.tables, compiled.registry.slots)
        self.shard.customers[:] = customer[0]
        self.ledger = LedgerHost(compiled.tables, compiled.coupons, compiled.budgets, [(0, PEOPLE)], now_ms)
        self.shard.take_bulletin(self.ledger.bulletin())
        self._sequence = np.zeros(PEOPLE, np.int64)

    def do(
        self, t: int, customer: int, event: Mapping[str, int], origin: Mapping[str, int],
        ask: Mapping[str, int] | None = None, lines: Sequence[tuple[int, ...]] = (),
    ) -> Got:  # fmt: skip
        """One event at t and, where it asks for something, what; lines: of a cart, as LINE."""
        self._settle(t)
        self._sequence[customer] += 1
        said = {"time_ms": t, "customer": customer, "sequence": self._sequence[customer], "origin": 0}
        events = _filled(EVENT, _NO_EVENT | dict(event) | said | ({} if ask is None else {"ask": 0}))
        asks = records(1, ASK) if ask is None else _filled(ASK, _NO_ASK | dict(ask) | {"lines": len(lines)})
        cart = records(max(1, len(lines)), LINE)
        for place, line in enumerate(lines):
            cart[place] = line
        used = np.array([ask is not None, len(lines), 1], np.int64)
        inbox = Inbox(asks, cart, records(1, RECEIPT), _filled(ORIGIN, _NO_ORIGIN | dict(origin)), used)
        before, committed = self._ended(), self._committed()
        decisions, _ = self.shard.decide(events, inbox)
        rose = np.argwhere(self._ended() > before).tolist()
        refused = {slot: Reason(reason) for slot, reason in rose if reason != Reason.SHOWN}
        replies = self._settle(t)
        return _got(decisions[0], refused, inbox.receipts[0], replies, self._committed() - committed)

    def spend(self, t: int, spent: Mapping[int, int]) -> None:
        """Others have cost budgets so much; spent: slot → fen."""
        told = np.zeros_like(self.shard.tallies.spend)
        for slot, fen in spent.items():
            told[slot, Spend.EXPOSURES] = fen
        self._settle(t, told)

    def _ended(self) -> np.ndarray:
        """How candidates ended so far: i8[slots, REASONS]."""
        ended: np.ndarray = self.shard.tallies.waterfall.sum(axis=0)
        return ended

    def _committed(self) -> np.ndarray:
        funds = self.ledger.shared.funds
        committed: np.ndarray = funds["reserved"] + funds["spent"]
        return committed

    def _settle(self, t: int, others: np.ndarray | int = 0) -> np.ndarray:
        """What is waiting is settled; the replies, REPLY[n]. others: what is spent besides, as Account.spend."""
        account, number = self.shard.account(t), self.ledger.number + 1
        contribution = Contribution(
            self.ledger.epoch, 0, number, t, account.requests, account.spend + others, account.lives, number - 1,
            pulse=account.pulse, pulse_minute=account.pulse_minute,
        )  # fmt: skip
        (settled,) = self.ledger.receive(contribution, t)
        assert isinstance(settled, Settled), f"the Ledger refused a contribution: {settled}"
        self.shard.take(settled)
        return settled.replies


def _filled(dtype: np.dtype, fields: Mapping[str, int]) -> np.ndarray:
    row = records(1, dtype)
    for name, value in fields.items():
        row[name] = value
    return row


def _got(
    decision: np.void, refused: Mapping[int, Reason], receipt: np.void, replies: np.ndarray, charged: np.ndarray
) -> Got:
    answer, rule = Answer(int(receipt["answer"])), int(receipt["rule"])
    mine = replies[(replies["claim"] == receipt["number"]) & (replies["number"] != NONE)]
    if answer is Answer.PENDING and len(mine):
        answer, rule = Answer(int(mine[0]["answer"])), int(mine[0]["rule"])
    return Got(decision, refused, receipt, answer, rule if answer is not Answer.NONE else NONE, charged)
