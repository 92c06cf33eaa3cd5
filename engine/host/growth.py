"""When a node is taken into use, and when it is given back: judged by how long batches wait, with patience."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.host.messages import Load

STALE_MS = 1_000  # a node of which nothing was heard for so long is neither busy nor calm


@dataclass(frozen=True)
class Growth:
    """Bounds of waiting, in ms."""

    spare: tuple[str, ...]  # nodes that may be taken into use, in this order
    seats: tuple[str, ...]  # that are worth moving: those batches are sent to
    busy_ms: int = 500  # batches of a node wait longer than this …
    busy_for_ms: int = 500  # … for so long: a node is added
    calm_ms: int = 100  # batches of all nodes wait less than this …
    calm_for_ms: int = 3_000  # … for so long …
    calm_load: float = 0.7  # … and two nodes together are busy for less than this: one of them is given back


@dataclass
class Burden:
    """What was heard of the nodes lately."""

    growth: Growth
    loads: dict[str, tuple[Load, int]] = field(default_factory=dict)  # by node, and when
    busy_since: dict[str, int] = field(default_factory=dict)  # by node that is over the bound
    calm_since: int | None = None

    def heard(self, load: Load, now: int) -> None:
        self.loads[load.node] = load, now
        if load.wait_ms > self.growth.busy_ms:
            self.busy_since.setdefault(load.node, now)
        else:
            self.busy_since.pop(load.node, None)
        fresh = [load for load, heard in self.loads.values() if now - heard <= STALE_MS]
        if any(load.wait_ms > self.growth.calm_ms for load in fresh):
            self.calm_since = None
        elif self.calm_since is None:
            self.calm_since = now

    def begin_again(self) -> None:
        """Something was changed: what was heard before says nothing of it."""
        self.loads, self.busy_since, self.calm_since = {}, {}, None

    def overloaded(self, used: Sequence[str], now: int) -> str | None:
        """The node that has been over the bound for too long, the longest of them."""
        since = {node: at for node, at in self.busy_since.items() if node in used and self._is_fresh(node, now)}
        node = min(since, key=lambda one: since[one], default=None)
        return node if node is not None and now - since[node] >= self.growth.busy_for_ms else None

    def next_node(self, used: Sequence[str]) -> str | None:
        return next((node for node in self.growth.spare if node not in used), None)

    def relief(self, used: Sequence[str], now: int) -> str | None:
        """The node that can do the work of the last one of `used` beside its own, when all have been calm for long."""
        if len(used) < 2 or self.calm_since is None or now - self.calm_since < self.growth.calm_for_ms:
            return None
        if not all(self._is_fresh(node, now) for node in used):
            return None
        busy = {node: self.loads[node][0].busy for node in used}
        taker = min(used[:-1], key=lambda node: busy[node])
        return taker if busy[taker] + busy[used[-1]] <= self.growth.calm_load else None

    def _is_fresh(self, node: str, now: int) -> bool:
        return node in self.loads and now - self.loads[node][1] <= STALE_MS
