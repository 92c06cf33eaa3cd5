"""A shard of customers as a machine: settlements it heard of, then a batch of events, are one record."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.coupon_records import RECEIPT, RequestKind, Spend
from engine.host.backlog import backlog_fields, backlog_in, pulse_of, says_something
from engine.host.editions import Editions, Running
from engine.host.machines import LEDGER, OPERATOR, RUN, Admission, admitted
from engine.host.messages import (
    Answered,
    Batch,
    Contribution,
    Decided,
    Envelope,
    Message,
    Order,
    Ordered,
    Reach,
    Refusal,
    Refused,
    Settled,
)
from engine.host.packing import Value, flat, unflat
from engine.host.partitions import Partition, put_all, taken
from engine.host.posts import NO_REPLIES, added
from engine.host.profiles import number_events, put_profiles
from engine.host.shard import Account, CustomerShard
from engine.host.wire import (
    contribution_fields,
    contribution_in,
    inbox_of,
    read_shard_record,
    several,
    shard_record,
)
from engine.records import LONG_AGO_MS, as_records

IN_FLIGHT = 2  # batches of a client, and contributions, that are not answered yet
_SHARD_WIDE = ("lives", "prizes", "breaches")  # of wallets
_WATCH_WIDE = ("warm_ms", "clock")


@dataclass
class Answering:
    """A batch that was decided; it is answered when the contribution with its requests is settled (0: it has none)."""

    decisions: np.ndarray
    receipts: np.ndarray
    contribution: int
    replies: np.ndarray | None = None
    ordered: int = 0  # the latest order that was carried out before

    @property
    def is_ready(self) -> bool:
        return self.contribution == 0 or self.replies is not None


class ShardMachine:
    """A CustomerShard that is told batches and settlements.

    Stepped: batch k is contribution k, and waits for settlement k - 1. Live: what a batch asks of the Ledger goes with
    the next contribution, of which IN_FLIGHT may be unanswered.
    """

    def __init__(
        self,
        number: int,
        shard: CustomerShard,
        partition_customers: int,
        live: bool = False,
        editions: Editions | None = None,
    ) -> None:
        """editions: the policy it began with, where another one may come."""
        self.number, self.shard, self.live, self.editions = number, shard, live, editions
        self.ordered = 0  # number of the latest order
        self.partition_customers = partition_customers
        self.epoch, self.time_ms = 0, LONG_AGO_MS
        self.asked, self.heard = 0, 0  # contributions: the latest, and the latest whose settlement was taken
        self.open: list[Contribution] = []
        self.backlog: list[Account] = []  # what the next contribution brings
        self.answers: dict[str, dict[int, Answering]] = {}  # by client and number, the latest
        self.taken: dict[str, int] = {}  # by client: its latest batch
        self.arrived: list[Settled] = []  # heard of, in no record yet
        self.held: Batch | None = None  # waits for a settlement
        self._start = self._wide_now()
        self._common: Mapping[str, Any] = {}

    # --- messages -----------------------------------------------------------------------------------------------------
    def admit(self, message: Message, now: int) -> Admission:
        if isinstance(message, Batch):
            return self._admit_batch(message)
        if isinstance(message, Settled):
            return self._admit_settled(message)
        if isinstance(message, Order) and self.editions is not None:
            assert message.what == RUN, f"an order to a shard must be {RUN} (got {message.what!r})"
            return admitted(message, self.seat, self.ordered, lambda order: self._record(None, order))
        if isinstance(message, Refused) and message.reason == Refusal.GAP:
            return Admission(out=self.unanswered())  # one was lost on the way
        return Admission()

    def _admit_batch(self, batch: Batch) -> Admission:
        latest = self.taken.get(batch.client, 0)
        if batch.number <= latest:
            return Admission(out=self._answer_again(batch))
        named = np.concatenate([batch.events["customer"], batch.profiles["customer"]])
        customers = named - int(self.shard.arrays.first[0])
        if len(customers) and not 0 <= customers.min() <= customers.max() < len(self.shard.customers):
            return self._refuse(batch, Refusal.OTHER_CUSTOMERS, len(self.shard.customers))
        if batch.number > latest + 1:
            return self._refuse(batch, Refusal.GAP, latest + 1)
        if not self.live and self.heard + len(self.arrived) < self.asked:
            self.held = batch
            return Admission(out=self.unanswered())
        return Admission([self._record(batch)])

    def _refuse(self, batch: Batch, reason: Refusal, expected: int) -> Admission:
        refused = Refused(self.epoch, self.number, batch.number, reason, expected)
        return Admission(out=[Envelope(batch.client, refused)])

    def _answer_again(self, batch: Batch) -> list[Envelope]:
        answering = self.answers.get(batch.client, {}).get(batch.number)
        if answering is None:  # the client has gone on since, or it is a new one that does not know where it was
            return self._refuse(batch, Refusal.FORGOTTEN, self.taken[batch.client]).out
        return [self._answer(batch.client, batch.number, answering)] if answering.is_ready else self.unanswered()

    def _admit_settled(self, settled: Settled) -> Admission:
        if settled.contribution != self.heard + len(self.arrived) + 1:
            return Admission()
        self.arrived.append(settled)
        out = self._hear(settled)
        if self.held is not None:
            batch, self.held = self.held, None
            again = self._admit_batch(batch)
            return Admission(again.payloads, out + again.out)
        if self.live and self.backlog:
            return Admission([self._record(None)], out)
        return Admission(out=out)

    @property
    def seat(self) -> str:
        return f"shard-{self.number}"

    def _record(self, batch: Batch | None, order: Order | None = None) -> bytes:
        time_ms = self.time_ms if batch is None else max(self.time_ms, batch.time_ms)
        payload = shard_record(time_ms, self.arrived, batch, order)
        self.arrived = []
        return payload

    def apply(self, payload: bytes) -> list[Envelope]:
        record = read_shard_record(payload)
        self.time_ms, out = record.time_ms, []
        for settled in record.settled:
            self._hear(settled)
            self.shard.take(settled)
            self.heard = settled.contribution
        self.open = [part for part in self.open if part.number > self.heard]
        if record.order is not None:
            out += self._carry_out(record.order)
        if record.batch is not None:
            out += self._decide(record.batch)
        self.backlog.append(self.shard.account(record.time_ms))
        return out + self._contribute()

    def _decide(self, batch: Batch) -> list[Envelope]:
        shard, receipts = self.shard, np.zeros(len(batch.asks), RECEIPT)
        self._prepare(batch)
        decisions, _ = shard.decide(batch.events, inbox_of(batch, as_records(receipts)))
        waits = not self.live or self._asks()
        answering = Answering(decisions, receipts, self.asked + 1 if waits else 0, ordered=self.ordered)
        if batch.number == 1:
            self._forget_earlier(batch.client)
        answers = self.answers.setdefault(batch.client, {})
        answers[batch.number] = answering
        answers.pop(batch.number - IN_FLIGHT, None)
        self.taken[batch.client] = batch.number
        if not waits:
            return [self._answer(batch.client, batch.number, answering)]
        told = Decided(self.number, batch.number, decisions, receipts, self.asked + 1, self.ordered)
        return [Envelope(batch.client, told)] if self.live else []

    def _carry_out(self, order: Order) -> list[Envelope]:
        assert self.editions is not None
        self.editions.run(Running(*order.arguments))  # type: ignore[arg-type]
        self.shard.run(self.editions)
        self.ordered = order.number
        return [Envelope(OPERATOR, Ordered(order.number, self.seat))]

    def _prepare(self, batch: Batch) -> None:
        """What a live source leaves to the shard."""
        shard, first = self.shard, int(self.shard.arrays.first[0])
        if len(batch.profiles):
            put_profiles(shard.customers, shard.arrays.rings, first, batch.profiles)
        if self.live:
            number_events(shard.customers, first, batch.events)

    def _forget_earlier(self, client: str) -> None:
        """A client that begins again, as `name@when`, asks no more for what it was answered under an earlier name."""
        name = client.partition("@")[0]
        for earlier in [one for one in self.answers if one != client and one.partition("@")[0] == name]:
            del self.answers[earlier], self.taken[earlier]

    def _asks(self) -> bool:
        """Whether a customer waits for what the Ledger will say."""
        return bool((self.shard.waiting["kind"] != RequestKind.OBSERVED).any())

    def _contribute(self) -> list[Envelope]:
        """Bring what is there; live, nothing is no contribution."""
        if self.live:
            self.backlog = [account for account in self.backlog if says_something(account)]
            if not self.backlog or len(self.open) >= IN_FLIGHT:
                return []
        self.asked += 1
        requests = np.concatenate([one.requests for one in self.backlog])
        spend = added([one.spend for one in self.backlog], len(self.backlog[-1].spend), len(Spend))
        pulse, minute = pulse_of(self.backlog)
        part = Contribution(
            self.epoch, self.number, self.asked, self.time_ms, requests, spend, self.shard.arrays.wallets.lives.copy(),
            pulse=pulse, pulse_minute=minute, heard=self.heard,
        )  # fmt: skip
        self.backlog = []
        self.open.append(part)
        return [Envelope(LEDGER, part)]

    def _hear(self, settled: Settled) -> list[Envelope]:
        """What waited for a settlement is answered."""
        out = []
        for client, answers in self.answers.items():
            for number, answering in answers.items():
                if answering.contribution == settled.contribution and answering.replies is None:
                    answering.replies = settled.replies
                    out.append(self._answer(client, number, answering))
        return out

    def _answer(self, client: str, number: int, answering: Answering) -> Envelope:
        replies = NO_REPLIES if answering.replies is None else answering.replies
        told = Answered(self.number, number, answering.decisions, answering.receipts, replies, answering.ordered)
        return Envelope(client, told)

    def lead(self, epoch: int) -> None:
        self.epoch = epoch
        self.open = [replace(part, epoch=epoch) for part in self.open]

    def unanswered(self) -> list[Envelope]:
        heard = self.heard + len(self.arrived)
        return [Envelope(LEDGER, part) for part in self.open if part.number > heard]

    def digest(self) -> str:
        return self.shard.digest()

    @property
    def decided(self) -> int:
        return int(self.shard.tallies.decisions.sum())

    # --- returns ------------------------------------------------------------------------------------------------------
    def reach(self) -> Reach:
        return Reach(((self.number, self.asked),), ((self.number, self.heard + len(self.arrived)),))

    def settles(self, payload: bytes) -> Sequence[tuple[int, int]]:
        return [(self.number, settled.contribution) for settled in read_shard_record(payload).settled]

    # --- snapshots ----------------------------------------------------------------------------------------------------
    def pieces(self) -> int:
        return -(-len(self.shard.customers) // self.partition_customers) + 1

    def piece(self, at: int) -> Mapping[str, Value]:
        if at == 0:
            self._start = self._wide_now()
        if at < self.pieces() - 1:
            return dict(flat("partition", taken(self.shard, *self._range(at))))
        return self._common_now()

    def _range(self, at: int) -> tuple[int, int]:
        first, size = int(self.shard.arrays.first[0]), self.partition_customers
        return first + at * size, first + min((at + 1) * size, len(self.shard.customers))

    def _wide_now(self) -> dict[str, Value]:
        """What the shard knows that belongs to no customer, and that changes what is decided."""
        shard, watch = self.shard, self.shard.arrays.watch
        fields = {"own_open": shard.own_open, "ledger_open": shard.ledger_open}
        fields |= flat("bulletin", shard.bulletin) | {name: getattr(watch, name) for name in _WATCH_WIDE}
        editions = "" if self.editions is None else self.editions.state()
        return {name: array.copy() for name, array in fields.items()} | {"editions": editions}

    def _take_editions(self, state: str) -> None:
        if self.editions is not None and state != self.editions.state():
            self.editions.restore(state)
            self.shard.run(self.editions)

    def _take_wide(self, prefix: str, fields: Mapping[str, Any]) -> None:
        self._take_editions(fields[f"{prefix}.editions"])
        shard, watch = self.shard, self.shard.arrays.watch
        here = {"own_open": shard.own_open, "ledger_open": shard.ledger_open}
        here |= flat("bulletin", shard.bulletin) | {name: getattr(watch, name) for name in _WATCH_WIDE}
        for name, array in here.items():
            array[:] = fields[f"{prefix}.{name}"]

    def _common_now(self) -> dict[str, Value]:
        wallets = self.shard.arrays.wallets
        fields: dict[str, Value] = {f"start.{name}": array for name, array in self._start.items()}
        fields |= {f"end.{name}": array for name, array in self._wide_now().items()}
        fields |= {f"wallets.{name}": getattr(wallets, name).copy() for name in _SHARD_WIDE}
        fields |= {name: array.copy() for name, array in flat("tallies", self.shard.tallies).items()}
        fields |= {"time_ms": self.time_ms, "asked": self.asked, "heard": self.heard, "taken": json.dumps(self.taken)}
        fields["ordered"] = self.ordered
        fields |= several("open", [contribution_fields(f"open{at}", part) for at, part in enumerate(self.open)])
        fields |= several("backlog", [backlog_fields(f"backlog{at}", one) for at, one in enumerate(self.backlog)])
        return fields | self._answers_now()

    def _answers_now(self) -> dict[str, Value]:
        known = [(client, number, one) for client, of in self.answers.items() for number, one in of.items()]
        parts: list[dict[str, Value]] = []
        for at, (client, number, one) in enumerate(known):
            part: dict[str, Value] = {"client": client, "number": number, "contribution": one.contribution}
            part |= {"decisions": one.decisions, "receipts": one.receipts, "replies": one.replies}
            part["ordered"] = one.ordered
            parts.append({f"answer{at}.{name}": value for name, value in part.items()})
        return several("answer", parts)

    def restore(self, pieces: Sequence[Mapping[str, Any]]) -> None:
        *partitions, self._common = pieces
        self._take_editions(self._common["start.editions"])
        put_all(self.shard, [partition_in(fields) for fields in partitions])
        self._take_wide("start", self._common)

    def catch_up(self, payload: bytes, behind: Sequence[bool]) -> None:
        record, lagging = read_shard_record(payload), np.array(behind[:-1])
        for settled in record.settled:
            self.shard.take(replace(settled, replies=settled.replies[self._lag(settled.replies, lagging)]))
        if (order := record.order) is not None:
            self._keeping_ahead(lagging, lambda: self._carry_out(order))
        if record.batch is not None:
            batch = record.batch
            receipts = np.zeros(len(batch.asks), RECEIPT)
            batch = replace(batch, profiles=batch.profiles[self._lag(batch.profiles, lagging)])
            late = batch.events[self._lag(batch.events, lagging)]
            self._prepare(replace(batch, events=late))
            self.shard.decide(late, inbox_of(batch, as_records(receipts)))
        if self.shard.is_sweep_due(record.time_ms):
            self._keeping_ahead(lagging, lambda: self.shard.account(record.time_ms))
        else:
            self.shard.account(record.time_ms)

    def _keeping_ahead(self, lagging: np.ndarray, act: Callable[[], object]) -> None:
        """Do something to customers whose partition has not seen it; the others are as it has left them."""
        ahead = [taken(self.shard, *self._range(at)) for at in np.flatnonzero(~lagging).tolist()]
        act()
        put_all(self.shard, ahead)

    def _lag(self, rows: np.ndarray, lagging: np.ndarray) -> np.ndarray:
        """Which rows are of customers whose partition has not seen them: bool[n]."""
        places = (rows["customer"] - int(self.shard.arrays.first[0])) // self.partition_customers
        return np.asarray(lagging[places])

    def caught_up(self) -> None:
        fields, wallets = self._common, self.shard.arrays.wallets
        self._take_wide("end", fields)
        for name in _SHARD_WIDE:
            getattr(wallets, name)[:] = fields[f"wallets.{name}"]
        self.shard.tallies = unflat("tallies", self.shard.tallies, fields)
        self.time_ms, self.asked, self.heard = fields["time_ms"], fields["asked"], fields["heard"]
        self.taken, self.ordered = json.loads(fields["taken"]), fields["ordered"]
        self.open = [contribution_in(f"open{at}", fields) for at in range(fields["open"])]
        self.backlog = [backlog_in(f"backlog{at}", fields) for at in range(fields["backlog"])]
        self._take_answers(fields)
        self._common = {}

    def _take_answers(self, fields: Mapping[str, Any]) -> None:
        self.answers = {}
        for at in range(fields["answer"]):
            client, number, decisions, receipts, contribution, replies, ordered = (
                fields[f"answer{at}.{name}"]
                for name in ("client", "number", "decisions", "receipts", "contribution", "replies", "ordered")
            )
            answering = Answering(decisions, receipts, contribution, replies, ordered)
            self.answers.setdefault(client, {})[number] = answering


def partition_in(fields: Mapping[str, Any]) -> Partition:
    return Partition(*(fields[f"partition.{name}"] for name in Partition._fields))
