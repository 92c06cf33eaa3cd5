"""A client in a process of its own, as a gateway is: when it dies, what it knew is gone, and another one takes over."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from engine.host.messages import Envelope, Message
from engine.host.partitions import bounds_of
from engine.host.process import Recovery
from loadtests.client import DrillClient
from loadtests.traffic import Traffic


class WorkerProcess:
    """Carried as a host is. It begins at the first batch; the shards tell it how far its name has come."""

    def __init__(self, traffic: Traffic, shards: int, go: str) -> None:
        """go: a file; traffic begins when it is there."""
        bounds = bounds_of(traffic.customers, shards)
        self.client = DrillClient({shard: traffic.batches(shard, *bound) for shard, bound in enumerate(bounds)}, most=0)
        self.go = Path(go)
        now = time.time()
        self.recovery = Recovery(os.getpid(), now, now, now, 0)

    def pulse(self) -> None:
        """It runs."""

    def how_recovered(self) -> Recovery:
        return self.recovery

    def receive(self, messages: Sequence[Message]) -> list[Envelope]:
        if self.client.most is not None and self.go.exists():
            self.client.begin()
        now = time.monotonic_ns() // 1_000_000
        return [envelope for message in messages for envelope in self.client.receive(message, now)]
