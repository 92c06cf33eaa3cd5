"""What the reference says of a shard's journal: record by record, as a shard takes it."""

from collections.abc import Iterable, Iterator

import numpy as np

from engine.coupon_records import LINE, RECEIPT, REPLY
from engine.coupon_records import Answer as ReceiptAnswer
from engine.host.editions import Editions, Running
from engine.host.messages import Batch
from engine.host.profiles import newcomer, put_profiles
from engine.host.shard import open_bulletin
from engine.host.wire import WITH_CARTS, read_shard_record
from engine.policy.tables import CompiledPolicy
from engine.records import DECISION, NONE, RING, Bulletin, as_records
from engine.reference import Reference, bucket
from engine.reference_terms import Numbers
from engine.reference_wallet import ASKING

Answers = dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]  # by client and batch: DECISION[n], RECEIPT[k]


def numbers_of(compiled: CompiledPolicy) -> Numbers:
    terms = {name: int(compiled.tables.coupons[slot].terms) for name, slot in compiled.coupons.items()}
    return Numbers(compiled.coupons, compiled.budgets, terms, compiled.rules)


class ShardByReference:
    """One shard's customers by the reference engine."""

    def __init__(self, compiled: CompiledPolicy, first: int, profiles: np.ndarray, bulletin: Bulletin) -> None:
        """profiles: CUSTOMER[n] of customers `first` … before anything."""
        self.editions, self.replication = Editions(compiled), int(compiled.tables.policy[0].replication)
        slots = compiled.registry.slots
        self.engine = Reference(compiled.policy, slots, self.replication, numbers_of(compiled))
        self.deciding = compiled
        self.sequences: dict[int, int] = {}
        self.bulletin = bulletin
        self.first, self.profiles = first, profiles.copy()
        for customer, profile in enumerate(profiles, first):
            self.engine.add(customer, profile)
            self.sequences[customer] = int(profile["sequence"])

    def differences(self, records: Iterable[bytes], told: Answers) -> Iterator[str]:
        """Where what was answered is not what the reference says of the journal."""
        for payload in records:
            record = read_shard_record(payload)
            for settled in record.settled:
                self.bulletin = heard(self.bulletin, settled.bulletin)
                for reply in settled.replies:
                    row = {name: int(reply[name]) for name in REPLY.names or ()}
                    self.engine.apply(row, settled.time_ms)
            if record.order is not None:
                self.editions.run(Running(*record.order.arguments))  # type: ignore[arg-type]
                self._decide_by(self.editions.base)
                self.bulletin = heard(open_bulletin(len(self.editions.registry.slots)), self.bulletin)
            if record.batch is not None:
                self._put(record.batch)
                key = record.batch.client, record.batch.number
                yield from self._batch(record.batch, *told[key])
            self.engine.lapse(record.time_ms)
            self.engine.wallets.take_requests()

    def _put(self, batch: Batch) -> None:
        """Profiles of customers who have done nothing yet."""
        rings = np.zeros((len(self.profiles), RING), np.int64)
        put_profiles(self.profiles, rings, self.first, batch.profiles)
        for customer in batch.profiles["customer"].tolist():
            assert self.sequences[customer] == int(newcomer()["sequence"][0])
            self.engine.add(customer, self.profiles[customer - self.first])

    def _decide_by(self, compiled: CompiledPolicy) -> None:
        if compiled is not self.deciding:
            self.deciding = compiled
            self.engine.adopt(compiled.policy, compiled.registry.slots, numbers_of(compiled))

    def _policy_of(self, customer: int) -> CompiledPolicy:
        """A customer is on trial by salt, as in a holdout."""
        editions = self.editions
        if editions.trial is None:
            return editions.base
        is_on_trial = bucket(editions.running.salt, self.replication, customer) < editions.running.share
        return editions.trial if is_on_trial else editions.base

    def _batch(self, batch: Batch, decisions: np.ndarray, receipts: np.ndarray) -> Iterator[str]:
        counted: dict[int, int] = {}
        latest: dict[int, int] = {}
        for event, decision in zip(as_records(batch.events), decisions, strict=True):
            customer = int(event.customer)
            counted[customer] = counted.get(customer, 0) + 1
            if event.sequence == NONE:
                event.sequence = self.sequences[customer] + counted[customer]
            asks = event.ask != NONE
            ask = batch.asks[event.ask] if asks else None
            lines = self._lines(batch, event, ask)
            origin = batch.origins[event.origin] if event.origin != NONE else None
            self._decide_by(self._policy_of(customer))
            answer = self.engine.decide(event, self.bulletin, ask, lines, origin)
            yield from unequal("decision", event, decision, answer.decision, DECISION)
            if asks and event.kind in ASKING and answer.receipt is not None:
                yield from unequal("receipt", event, receipts[event.ask], answer.receipt, RECEIPT)
            if int(decision["answer"]) != ReceiptAnswer.WAITS:
                latest[customer] = int(event.sequence)
        self.sequences |= latest

    def _lines(self, batch: Batch, event: np.record, ask: np.void | None) -> np.ndarray:
        if ask is None or event.kind not in WITH_CARTS:
            return np.zeros(0, LINE)
        return as_records(batch.lines[int(ask["first_line"]) : int(ask["first_line"]) + int(ask["lines"])])


def heard(before: Bulletin, said: Bulletin) -> Bulletin:
    """What was said last of every campaign: a Ledger may know more of them than a shard, or fewer."""
    count = len(before.open)
    return Bulletin(*(np.concatenate([new, old[len(new) :]])[:count] for old, new in zip(before, said, strict=True)))


def unequal(what: str, event: np.record, here: np.void, there: dict[str, int], kind: np.dtype) -> Iterator[str]:
    for name in kind.names or ():
        if name in there and int(here[name]) != int(there[name]):
            whose = f"{what} on event {event.sequence} of customer {event.customer}"
            yield f"{whose}: {name} {here[name]}, not {there[name]}"
