"""Messages and records of journals as bytes: what is packed of each, and how it is read again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.coupon_records import Inbox
from engine.host.messages import Batch, Contribution, Moment, Order, Settled
from engine.host.packing import Value, flat, packed, unpacked
from engine.records import Bulletin, EventKind

WITH_CARTS = (EventKind.CHECKOUT, EventKind.ORDER)  # their asks are runs of lines
ARRAYS = ("events", "asks", "lines", "origins", "profiles")
_BATCH = ("client", "shard", "number", "time_ms")
_CONTRIBUTION = (
    "epoch", "shard", "number", "time_ms", "requests", "spend", "lives", "acknowledged", "breach", "pulse",
    "pulse_minute", "heard",
)  # fmt: skip
_SETTLED = ("epoch", "shard", "number", "time_ms", "replies", "contribution")


@dataclass(frozen=True)
class ShardRecord:
    """What a shard takes at once: settlements it has heard of, then an order or the events of a batch, if there is
    one."""

    time_ms: int
    settled: tuple[Settled, ...]
    batch: Batch | None
    order: Order | None = None


@dataclass(frozen=True)
class LedgerRecord:
    """What the Ledger takes at once: contributions that it settles, or an order."""

    contributions: tuple[Contribution, ...] = ()
    order: Order | None = None


def owned(array: Any) -> Any:
    """Records one may write to: compiled code tells them from read-only ones."""
    return array.copy()


def batch_fields(batch: Batch) -> dict[str, Value]:
    return {f"batch.{name}": getattr(batch, name) for name in (*_BATCH, *ARRAYS)}


def batch_in(fields: Mapping[str, Any]) -> Batch | None:
    if "batch.number" not in fields:
        return None
    arrays = [owned(fields[f"batch.{name}"]) for name in ARRAYS]
    return Batch(*(fields[f"batch.{name}"] for name in _BATCH), *arrays)


def inbox_of(batch: Batch, receipts: np.ndarray) -> Inbox:
    used = np.array([len(batch.asks), len(batch.lines), len(batch.origins)], np.int64)
    return Inbox(batch.asks, batch.lines, receipts, batch.origins, used)


def settled_fields(prefix: str, settled: Settled) -> dict[str, Value]:
    fields: dict[str, Value] = {f"{prefix}.{name}": getattr(settled, name) for name in _SETTLED}
    fields[f"{prefix}.moments"] = json.dumps([[one.number, one.time_ms, one.moment] for one in settled.moments])
    return fields | dict(flat(f"{prefix}.bulletin", settled.bulletin))


def settled_in(prefix: str, fields: Mapping[str, Any]) -> Settled:
    bulletin = Bulletin(*(owned(fields[f"{prefix}.bulletin.{name}"]) for name in Bulletin._fields))
    values = {name: fields[f"{prefix}.{name}"] for name in _SETTLED}
    values["replies"] = owned(values["replies"])
    moments = tuple(Moment(*numbers) for numbers in json.loads(fields[f"{prefix}.moments"]))
    return Settled(bulletin=bulletin, moments=moments, **values)


def contribution_fields(prefix: str, part: Contribution) -> dict[str, Value]:
    return {f"{prefix}.{name}": getattr(part, name) for name in _CONTRIBUTION}


def contribution_in(prefix: str, fields: Mapping[str, Any]) -> Contribution:
    values = {name: fields[f"{prefix}.{name}"] for name in _CONTRIBUTION}
    for name in ("requests", "spend", "lives", "pulse"):
        values[name] = owned(values[name])
    return Contribution(**values)


def several(name: str, parts: Sequence[dict[str, Value]]) -> dict[str, Value]:
    """Fields of several things, each already named `name0`, `name1` …, and how many there are."""
    fields: dict[str, Value] = {name: len(parts)}
    for part in parts:
        fields |= part
    return fields


def shard_record(time_ms: int, settled: Sequence[Settled], batch: Batch | None, order: Order | None = None) -> bytes:
    fields: dict[str, Value] = {"time_ms": time_ms, "order": order_text(order)}
    fields |= several("settled", [settled_fields(f"settled{at}", one) for at, one in enumerate(settled)])
    return packed(fields | (batch_fields(batch) if batch is not None else {}))


def read_shard_record(payload: bytes) -> ShardRecord:
    fields = unpacked(payload)
    settled = tuple(settled_in(f"settled{at}", fields) for at in range(fields["settled"]))
    return ShardRecord(fields["time_ms"], settled, batch_in(fields), order_in(fields["order"]))


def ledger_record(contributions: Sequence[Contribution] = (), order: Order | None = None) -> bytes:
    parts = [contribution_fields(f"part{at}", part) for at, part in enumerate(contributions)]
    return packed(several("part", parts) | {"order": order_text(order)})


def read_ledger_record(payload: bytes) -> LedgerRecord:
    fields = unpacked(payload)
    parts = tuple(contribution_in(f"part{at}", fields) for at in range(fields["part"]))
    return LedgerRecord(parts, order_in(fields["order"]))


def order_text(order: Order | None) -> str:
    return "" if order is None else json.dumps([order.number, order.what, order.arguments])


def order_in(text: str) -> Order | None:
    if not text:
        return None
    number, what, arguments = json.loads(text)
    return Order(number, what, tuple(tuple(one) if isinstance(one, list) else one for one in arguments))
