"""Messages as bytes: what is packed comes out again to the last bit, whatever is in it."""

from dataclasses import fields
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.breaker_records import NO_PULSE
from engine.coupon_records import ASK, COUPONS_MAX, LINE, LIVES, REPLY, REQUEST
from engine.fraud_records import ORIGIN
from engine.host import wire
from engine.host.messages import Batch, Contribution, Moment, Order, Settled
from engine.records import EVENT, Bulletin

NUMBERS = st.integers(0, 2**62)
WORDS = st.text(max_size=20)


@st.composite
def rows(draw: st.DrawFn, dtype: np.dtype, most: int = 5) -> np.ndarray:
    """Any bits, as compiled code would have them: in arrays of their own."""
    bits = Random(draw(st.integers(0, 2**32)))
    return np.frombuffer(bits.randbytes(dtype.itemsize * draw(st.integers(0, most))), dtype).copy()


def numbers(*shape: int) -> st.SearchStrategy[np.ndarray]:
    return st.integers(0, 2**32).map(lambda seed: np.random.default_rng(seed).integers(-(2**62), 2**62, shape))


FLAGS = st.lists(st.integers(0, 1), min_size=3, max_size=3).map(lambda flags: np.array(flags, np.int8))
BULLETINS = st.builds(Bulletin, FLAGS, FLAGS, FLAGS, numbers(3))
BATCHES = st.builds(Batch, WORDS, NUMBERS, NUMBERS, NUMBERS, rows(EVENT), rows(ASK), rows(LINE), rows(ORIGIN))
CONTRIBUTIONS = st.builds(
    Contribution, NUMBERS, NUMBERS, NUMBERS, NUMBERS, rows(REQUEST), numbers(4, 2), numbers(COUPONS_MAX, LIVES),
    NUMBERS, WORDS, st.one_of(st.just(NO_PULSE), numbers(2, *NO_PULSE.shape[1:])), NUMBERS, NUMBERS,
)  # fmt: skip
MOMENTS = st.lists(st.builds(Moment, NUMBERS, NUMBERS, NUMBERS), max_size=3).map(tuple)
SETTLED = st.builds(Settled, NUMBERS, NUMBERS, NUMBERS, NUMBERS, BULLETINS, rows(REPLY), MOMENTS, NUMBERS)
ARGUMENTS = st.lists(st.one_of(WORDS, NUMBERS, st.lists(NUMBERS, max_size=3).map(tuple)), max_size=4).map(tuple)
ORDERS = st.builds(Order, NUMBERS, WORDS, ARGUMENTS)


def same(one: Any, other: Any) -> bool:
    """Also of what is in it; arrays bit by bit, with their types, but for what lies between fields."""
    if isinstance(one, np.ndarray) and one.dtype.names:
        return one.dtype == other.dtype and all(same(one[name], other[name]) for name in one.dtype.names)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "__dataclass_fields__"):
        return type(one) is type(other) and all(
            same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)
        )
    return bool(type(one) is type(other) and one == other)


@given(NUMBERS, st.lists(SETTLED, max_size=3), st.none() | BATCHES)
def test_a_record_of_a_shard(time_ms: int, settled: list[Settled], batch: Batch | None) -> None:
    read = wire.read_shard_record(wire.shard_record(time_ms, settled, batch))
    assert same(read, wire.ShardRecord(time_ms, tuple(settled), batch))


@given(st.lists(CONTRIBUTIONS, max_size=3), st.none() | ORDERS)
def test_a_record_of_the_ledger(parts: list[Contribution], order: Order | None) -> None:
    read = wire.read_ledger_record(wire.ledger_record(parts, order))
    assert same(read, wire.LedgerRecord(tuple(parts), order))


@given(BATCHES, SETTLED, CONTRIBUTIONS)
def test_what_is_read_may_be_written_to(batch: Batch, settled: Settled, part: Contribution) -> None:
    """Compiled code tells arrays that it may write to from those that it may not."""
    shard = wire.read_shard_record(wire.shard_record(1, [settled], batch))
    (read,) = wire.read_ledger_record(wire.ledger_record([part])).contributions
    assert shard.batch is not None
    arrays = [getattr(shard.batch, name) for name in wire.ARRAYS]
    arrays += [*shard.settled[0].bulletin, shard.settled[0].replies, read.requests, read.spend, read.lives, read.pulse]
    assert all(array.flags.writeable for array in arrays)


@pytest.mark.parametrize("kind", [Batch, Contribution, Settled])
def test_every_field_is_packed(kind: type) -> None:
    """A field that is added to a message is added to its bytes, or a replay would do without it."""
    packed = {
        Batch: {*wire._BATCH, *wire.ARRAYS},
        Contribution: {*wire._CONTRIBUTION},
        Settled: {*wire._SETTLED, "bulletin", "moments"},
    }
    assert {field.name for field in fields(kind)} == packed[kind]
