"""The one place that talks to Ray: a team of actors, each a plain object somewhere else."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy.rec  # noqa: F401  else Ray sends the class along by value, and each process has one of its own

ROOT = Path(__file__).resolve().parent.parent.parent
_SETTINGS = {
    # Loopback only and started by us: no token to hand around. An existing cluster keeps its own setting.
    "RAY_AUTH_MODE": "disabled",
    "RAY_worker_niceness": "0",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}
READY_WITHIN_S = 180
_OBJECT_STORE_BYTES = 200_000_000


class ClusterError(RuntimeError):
    """Ray could not do what was asked; the message says what to try."""


@contextlib.contextmanager
def cluster(address: str | None = None) -> Iterator[None]:
    """Ray for the duration: the cluster at `address` (or RAY_ADDRESS), or one on this machine that ends with us.

    A Ray that is already initialised in this process is used and left running.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    if not address:
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield
        return
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}
    if address:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", runtime_env={"env_vars": environment})
    else:
        ray.init(
            address="local",  # not one that somebody happens to have started on this machine
            num_cpus=max(os.cpu_count() or 1, 1),
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": environment},
        )
    try:
        yield
    finally:
        ray.shutdown()


class TwoNodes:
    """Two nodes of a cluster on this machine, by Ray's cluster utility: raylets of their own; one can be lost."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        common = {"num_cpus": 1, "object_store_memory": _OBJECT_STORE_BYTES}
        self._cluster = Cluster(initialize_head=True, head_node_args={**common, "include_dashboard": False})
        self._second = self._cluster.add_node(**common)

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def lose(self) -> None:
        """The second node is gone with all its processes, as if its power were."""
        self._cluster.remove_node(self._second, allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()


@contextlib.contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """Raises ClusterError where this process uses a Ray already."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        raise ClusterError("two nodes need a Ray of their own, and this process uses one already")
    nodes = TwoNodes()
    try:
        with cluster(nodes.address):
            yield nodes
    finally:
        nodes.close()


def living_nodes() -> list[str]:
    """Ids of the nodes of the cluster we are connected to, the one with its head first."""
    import ray

    def is_another(node: dict[str, Any]) -> tuple[bool, str]:
        return "node:__internal_head__" not in node["Resources"], node["NodeID"]

    return [node["NodeID"] for node in sorted(ray.nodes(), key=is_another) if node["Alive"]]


class RayTeam:
    """Plain objects as Ray actors. One call reaches all of them and returns their answers in order."""

    def __init__(self, make: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> None:
        import ray

        sys.stderr.flush()
        self._ray = ray
        shared = ray.put(arguments[0][0])
        actor = ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)(make)
        self.actors = [actor.remote(shared, *rest) for _, *rest in arguments]
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        ready = [actor.__ray_ready__.remote() for actor in self.actors]
        try:
            self._ray.get(ready, timeout=READY_WITHIN_S)
        except self._ray.exceptions.GetTimeoutError:
            raise ClusterError(
                f"Ray did not start {len(ready)} workers within {READY_WITHIN_S} s: is there enough memory? "
                "Fewer customers, or --inline, need less."
            ) from None

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """Raises what an actor raised."""
        return list(self._ray.get([getattr(actor, method).remote(*arguments) for actor in self.actors]))

    def call_each(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The same with arguments of its own for each."""
        calls = [getattr(actor, method).remote(*own) for actor, own in zip(self.actors, arguments, strict=True)]
        return list(self._ray.get(calls))

    def close(self) -> None:
        for actor in self.actors:
            self._ray.kill(actor, no_restart=True)


class RayPool:
    """A few actors that take tasks as they become free."""

    def __init__(self, make: Callable[..., Any], argument: Any, workers: int) -> None:
        self._team = RayTeam(make, [(argument,)] * workers)
        self._ray = self._team._ray

    def answers(self, method: str, tasks: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """(task, answer) of every task, as they come; raises what an actor raised."""
        waiting, free = list(reversed(tasks)), list(self._team.actors)
        running: dict[Any, tuple[Any, Any]] = {}
        while waiting or running:
            while waiting and free:
                actor, task = free.pop(), waiting.pop()
                running[getattr(actor, method).remote(task)] = actor, task
            done, _ = self._ray.wait(list(running), num_returns=1)
            actor, task = running.pop(done[0])
            free.append(actor)
            yield task, self._ray.get(done[0])

    def close(self) -> None:
        self._team.close()
