"""The Ledger as a machine: what it settles, and in which order, is in the records."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.host.editions import Editions, Running
from engine.host.ledger import LedgerHost, LedgerSnapshot
from engine.host.machines import LEDGER, OPERATOR, RUN, Admission, admitted
from engine.host.messages import (
    Contribution,
    Envelope,
    Message,
    Moment,
    Order,
    Ordered,
    Reach,
)
from engine.host.packing import Value, flat, unflat
from engine.host.posts import Post
from engine.host.wire import (
    ledger_record,
    read_ledger_record,
    settled_fields,
    settled_in,
    several,
)
from engine.records import NEVER_MS

ORDERS = ("pause", "close_breaker", "restock", "withdraw", "announce")  # methods of LedgerHost; beside them RUN


class LedgerMachine:
    """A LedgerHost that is told contributions and orders."""

    def __init__(self, ledger: LedgerHost, editions: Editions | None = None) -> None:
        """editions: the policy it began with, where another one may come."""
        self.ledger, self.editions = ledger, editions
        self.ordered = 0  # number of the latest order

    # --- messages -----------------------------------------------------------------------------------------------------
    def admit(self, message: Message, now: int) -> Admission:
        if isinstance(message, Contribution):
            return self._admit_contribution(message)
        if isinstance(message, Order):
            return self._admit_order(message)
        return Admission()

    def _admit_contribution(self, message: Contribution) -> Admission:
        ledger, sender = self.ledger, f"shard-{message.shard}"
        if message.epoch > ledger.epoch:
            return Admission()  # the supervisor has not told us yet; it is sent again
        refusal = ledger.refusal(message, NEVER_MS)
        if refusal is not None:
            return Admission(out=[Envelope(sender, refusal)])
        post = ledger.posts[message.shard]
        if message.number <= post.taken:
            return Admission(out=[Envelope(sender, replace(post.kept[message.number], epoch=ledger.epoch))])
        ledger.open[message.shard] = message
        if not ledger.is_complete:
            return Admission()
        parts = [ledger.open[shard] for shard in sorted(ledger.open)]
        ledger.open = {}
        return Admission([ledger_record(parts)])

    def _admit_order(self, order: Order) -> Admission:
        known = ORDERS if self.editions is None else (*ORDERS, RUN)
        assert order.what in known, f"an order must be one of {', '.join(known)} (got {order.what!r})"
        return admitted(order, LEDGER, self.ordered, lambda order: ledger_record(order=order))

    def apply(self, payload: bytes) -> list[Envelope]:
        record = read_ledger_record(payload)
        if record.order is not None:
            self._carry_out(record.order)
            return [Envelope(OPERATOR, Ordered(record.order.number, LEDGER))]
        waiting, self.ledger.open = self.ledger.open, {part.shard: part for part in record.contributions}
        settled = self.ledger.close()
        self.ledger.open = waiting
        return [Envelope(f"shard-{one.shard}", one) for one in settled]

    def _carry_out(self, order: Order) -> None:
        if order.what == RUN:
            assert self.editions is not None
            self.editions.run(Running(*order.arguments))  # type: ignore[arg-type]
            self._adopt(self.editions)
        else:
            getattr(self.ledger, order.what)(*order.arguments)
        self.ordered = order.number

    def _adopt(self, editions: Editions) -> None:
        """What is paused stays paused. Names that are gone keep their numbers: customers have what they stand for."""
        paused = self.ledger.campaigns_open
        self.ledger.adopt(editions.common, editions.registry.coupons, editions.registry.budgets)
        self.ledger.campaigns_open[: len(paused)] = paused

    def lead(self, epoch: int) -> None:
        self.ledger.epoch, self.ledger.open = epoch, {}

    def unanswered(self) -> list[Envelope]:
        return []

    def digest(self) -> str:
        return self.ledger.digest()

    @property
    def decided(self) -> int:
        return self.ledger.number

    # --- returns ------------------------------------------------------------------------------------------------------
    def reach(self) -> Reach:
        return Reach(settled=tuple((shard, post.taken) for shard, post in enumerate(self.ledger.posts)))

    def settles(self, payload: bytes) -> Sequence[tuple[int, int]]:
        return [(part.shard, part.number) for part in read_ledger_record(payload).contributions]

    # --- snapshots ----------------------------------------------------------------------------------------------------
    def pieces(self) -> int:
        return 1

    def piece(self, at: int) -> Mapping[str, Value]:
        waiting, self.ledger.open = self.ledger.open, {}
        snapshot = self.ledger.snapshot()
        self.ledger.open = waiting
        fields: dict[str, Value] = {
            "ordered": self.ordered,
            "editions": "" if self.editions is None else self.editions.state(),
            "open": self.ledger.campaigns_open.copy(),
            "calendar": json.dumps([[one.number, one.time_ms, one.moment] for one in snapshot.calendar]),
        }
        fields |= flat("shared", snapshot.shared)
        for shard, post in enumerate(snapshot.posts):
            fields |= post_fields(f"post{shard}", post)
        return fields

    def restore(self, pieces: Sequence[Mapping[str, Any]]) -> None:
        (fields,) = pieces
        ledger = self.ledger
        if self.editions is not None:
            self.editions.restore(fields["editions"])
            self._adopt(self.editions)
        posts = [post_in(f"post{shard}", fields) for shard in range(len(ledger.shards))]
        calendar = [Moment(*numbers) for numbers in json.loads(fields["calendar"])]
        shared = unflat("shared", ledger.shared, fields)
        ledger.restore(
            LedgerSnapshot(ledger.coupons, ledger.budgets, ledger.tables, ledger.epoch, shared, posts, calendar)
        )
        ledger.campaigns_open[:] = fields["open"]
        self.ordered = fields["ordered"]

    def catch_up(self, payload: bytes, behind: Sequence[bool]) -> None:
        raise AssertionError("a Ledger's snapshot is of one piece")

    def caught_up(self) -> None:
        """It was never behind."""


def post_fields(prefix: str, post: Post) -> dict[str, Value]:
    fields: dict[str, Value] = {f"{prefix}.{name}": getattr(post, name) for name in ("taken", "told", "owed", "lives")}
    kept = list(post.kept.values())
    fields |= several(f"{prefix}.kept", [settled_fields(f"{prefix}.kept{at}", one) for at, one in enumerate(kept)])
    mail: dict[str, Value] = {f"{prefix}.mail{at}": rows for at, rows in enumerate(post.mail)}
    return fields | several(f"{prefix}.mail", [{name: rows} for name, rows in mail.items()])


def post_in(prefix: str, fields: Mapping[str, Any]) -> Post:
    kept = [settled_in(f"{prefix}.kept{at}", fields) for at in range(fields[f"{prefix}.kept"])]
    mail = [fields[f"{prefix}.mail{at}"].copy() for at in range(fields[f"{prefix}.mail"])]
    lives = fields[f"{prefix}.lives"]
    return Post(
        fields[f"{prefix}.taken"], {one.contribution: one for one in kept}, mail, fields[f"{prefix}.told"],
        None if lives is None else lives.copy(), fields[f"{prefix}.owed"],
    )  # fmt: skip
