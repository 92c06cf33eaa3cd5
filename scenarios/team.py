"""The workers of one run, in this process or on Ray: the same calls either way."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from engine.host.messages import Settled
from engine.host.ray_cluster import RayTeam
from engine.records import PARTITIONS, Bulletin
from scenarios.worker import CohortWorker, RunPlan, SoFar, Told, WorkerResult


class Callable(Protocol):
    def call(self, method: str, *arguments: Any) -> list[Any]: ...

    def call_each(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]: ...

    def close(self) -> None: ...


def partition_bounds(customers: int, shards: int) -> list[tuple[int, int]]:
    """(first, count) of each shard: whole partitions, as even as they come."""
    edges = [customers * p // PARTITIONS for p in range(PARTITIONS + 1)]
    cuts = [edges[PARTITIONS * s // shards] for s in range(shards + 1)]
    return [(low, high - low) for low, high in pairwise(cuts)]


class InlineTeam:
    """Workers in this process, one after the other."""

    def __init__(self, arguments: Sequence[tuple[RunPlan, int, int]]) -> None:
        self.workers = [CohortWorker(*argument) for argument in arguments]

    def call(self, method: str, *arguments: Any) -> list[Any]:
        return [getattr(worker, method)(*arguments) for worker in self.workers]

    def call_each(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        return [getattr(worker, method)(*own) for worker, own in zip(self.workers, arguments, strict=True)]

    def close(self) -> None:
        self.workers.clear()


class Team:
    """What the world drives: every worker at once."""

    def __init__(self, plan: RunPlan, customers: int, shards: int, on_ray: bool) -> None:
        self.bounds = partition_bounds(customers, shards)
        arguments = [(plan, first, count) for first, count in self.bounds]
        self._team: Callable = RayTeam(CohortWorker, arguments) if on_ray else InlineTeam(arguments)

    def advance(self, since_ms: int, until_ms: int) -> list[np.ndarray]:
        return self._team.call("advance", since_ms, until_ms)

    def apply(self, settled: Sequence[Settled | None]) -> None:
        self._team.call_each("apply", [(one,) for one in settled])

    def step(self, settled: Sequence[Settled | None], since_ms: int, until_ms: int) -> list[Told]:
        return self._team.call_each("step", [(one, since_ms, until_ms) for one in settled])

    def take_bulletin(self, bulletin: Bulletin) -> None:
        self._team.call("take_bulletin", bulletin)

    def so_far(self) -> list[SoFar]:
        return self._team.call("so_far")

    def rush(self, slot: int, t: int) -> None:
        self._team.call("rush", slot, t)

    def moment(self, t: int, moment: int) -> None:
        self._team.call("moment", t, moment)

    def launch(self) -> None:
        self._team.call("launch")

    def end_campaign(self) -> None:
        self._team.call("end_campaign")

    def results(self) -> list[WorkerResult]:
        cells = self._team.call("coupon_cells")
        self._team.call("close", sum(cells[1:], cells[0]))
        return self._team.call("result")

    def close(self) -> None:
        self._team.close()
