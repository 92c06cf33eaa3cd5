"""A live shard that is told profiles and events without numbers: its snapshot, its journal, its clients."""

import functools
from collections.abc import Mapping
from random import Random
from typing import Any

import numpy as np

from engine.host.messages import Batch
from engine.host.shard_machine import ShardMachine
from engine.profile_records import PROFILE, Given
from engine.records import NONE
from gateway.blocks import Block
from loadtests.traffic import Traffic, record_traffic
from tests.gateway.hall import Hall, Network, callers, recover

HOUR_MS = 3_600_000
SHARD = "shard-0"


@functools.cache
def traffic() -> Traffic:
    return record_traffic("coupon_shop", "coupon_shop", 800, 2, 4 * HOUR_MS)


def told(random: Random, customers: range) -> Block:
    """Something new about some customers, twice about one of them."""
    rows = np.zeros(5, PROFILE)
    rows["customer"] = [random.choice(customers) for _ in range(4)] + [customers[0]]
    rows["given"], rows["points"], rows["balance"] = Given.POINTS | Given.BALANCE, random.randrange(1_000), 77
    rows["given"][2] = Given.LEAVES
    return Block(np.zeros(0, traffic().steps[0].events.dtype), lambda outcome: None, profiles=rows)


@functools.cache
def journal() -> list[bytes]:
    """Of a shard."""
    hall, random = Hall(traffic(), Network(), Random(1)), Random(2)
    for one in callers(hall, 6, 5):
        hall.dispatcher.submit(one.shard, one.block)
        if random.random() < 0.3:
            hall.dispatcher.submit(0, told(random, range(*hall.bounds[0])))
            hall.turn()
    hall.until_answered()
    return hall.journals[SHARD]


def fresh() -> ShardMachine:
    machine = Hall(traffic(), Network(), Random(1)).fresh(SHARD)
    assert isinstance(machine, ShardMachine)
    return machine


def test_a_snapshot_taken_piece_by_piece_ends_where_the_journal_does() -> None:
    """Between two pieces profiles and unnumbered events come: each partition catches up on its own."""
    records, machine = journal(), fresh()
    begin, pieces, numbers = len(records) // 3, list[Mapping[str, Any]](), list[int]()
    for number, payload in enumerate(records, 1):
        machine.apply(payload)
        if number >= begin and len(pieces) < machine.pieces():
            most = machine.pieces() if number == len(records) - 5 else len(pieces) + 3
            while len(pieces) < min(most, machine.pieces()):
                pieces.append(machine.piece(len(pieces)))
                numbers.append(number)
    assert len(pieces) == machine.pieces() and numbers[0] < numbers[-1] < len(records)
    again = fresh()
    recover(again, pieces, numbers, records)
    assert again.digest() == machine.digest()
    assert (again.shard.customers == machine.shard.customers).all()


def test_a_client_that_begins_again_is_remembered_alone() -> None:
    machine = fresh()
    for client in ("gateway@1", "other@1", "gateway@2"):
        for number in (1, 2, 3):
            batch = Batch(client, 0, number, traffic().times[0], *empty_arrays())
            machine.apply(machine.admit(batch, 0).payloads[0])
    assert machine.taken == {"other@1": 3, "gateway@2": 3}
    assert {client: list(answers) for client, answers in machine.answers.items()} == {
        "other@1": [2, 3], "gateway@2": [2, 3],
    }  # fmt: skip


def empty_arrays() -> tuple[np.ndarray, ...]:
    batch = traffic().batches(0, 0, 1)[0]
    return batch.events[:0], batch.asks[:0], batch.lines[:0], batch.origins[:0]


def test_profiles_and_numbers_are_in_the_journal() -> None:
    machine = fresh()
    for payload in journal():
        machine.apply(payload)
    assert (machine.shard.customers["balance"] == 77).any()
    assert (machine.shard.customers["sequence"] != NONE).all()
