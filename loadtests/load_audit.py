"""Whether everything that was answered is kept: what a gateway's journals hold of each customer once it has ended."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engine.host.disk import FolderDisk
from engine.host.replica import Care, Replica
from engine.host.shard_machine import ShardMachine
from gateway.engine_room import Build, Given, began
from gateway.register import Register
from gateway.serve import HOSTS


def kept_events(folder: Path, given: Given, customers: int, shards: int, names: Mapping[int, str]) -> dict[int, int]:
    """How many events of each customer the shards have taken. names: of customers, as callers call them."""
    beginning, compiled = began(folder, given, customers, shards)
    build = Build(compiled, beginning)
    taken = np.concatenate([taken_by(folder / HOSTS, f"shard-{number}", build) for number in range(shards)])
    register = Register(folder, customers)
    try:
        return {customer: int(taken[register.number(name)]) for customer, name in names.items()}
    finally:
        register.close()


def taken_by(hosts: Path, seat: str, build: Build) -> np.ndarray:
    """i8[customers of the shard], of the host that has the most."""
    replicas = []
    for place in sorted(hosts.glob(f"{seat}.*")):
        replica = Replica(place.name, seat, lambda fresh: build(seat, fresh), FolderDisk(place), Care())
        replica.recover()
        replicas.append(replica)
    machine = max(replicas, key=lambda one: one.journal.number).machine
    assert isinstance(machine, ShardMachine)
    sequence: np.ndarray = machine.shard.customers["sequence"].astype(np.int64)
    return sequence


def lost(answered: Mapping[int, int], kept: Mapping[int, int]) -> int:
    """Answers whose event is not there."""
    return sum(max(0, count - kept.get(customer, 0)) for customer, count in answered.items())
