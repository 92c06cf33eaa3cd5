"""What was full: the machine's cores or one process, what waited, and how unevenly shards were used."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from loadtests.host_processes import RAY, SPARE, shard_of
from loadtests.machine import GENERATOR, OTHERS, cores_of_machine

FULL = 0.9  # share of a core, or of all of them, above which nothing is left
MACHINE, PROCESS, NOTHING = "machine", "process", "nothing"


def of_target(cores: Mapping[str, float]) -> float | None:
    """Cores that all processes of the target used; None where none of them could be seen."""
    seen = [used for name, used in cores.items() if not is_outside(name)]
    return sum(seen) if seen else None


def is_outside(name: str) -> bool:
    return name == OTHERS or name.startswith(GENERATOR)


def skew(by_shard: Mapping[str, float]) -> float | None:
    """The busiest shard by their mean: 1 where all are alike. None of a single one, or where nothing was done."""
    total = sum(by_shard.values())
    return max(by_shard.values()) * len(by_shard) / total if len(by_shard) > 1 and total > 0 else None


def by_shard(cores: Mapping[str, float]) -> dict[str, float]:
    """Cores of each shard, whoever sits there."""
    found: dict[str, float] = defaultdict(float)
    for name, used in cores.items():
        if shard := shard_of(name):
            found[shard] += used
    return dict(found)


def nearest(cores: Mapping[str, float]) -> tuple[str, float] | None:
    """The target's process that was nearest to a whole core."""
    alone = [(name, used) for name, used in cores.items() if not is_outside(name) and name not in (RAY, SPARE)]
    return max(alone, key=lambda one: one[1], default=None)


def saturated(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """At the lowest rate that was not kept: what was full, cores by process, the most first, and what waited."""
    failed = [row for row in rows if not row["kept"] and not row["invalid"]]
    if not failed:
        return {}
    row = min(failed, key=lambda one: float(one["rate"]))
    cores, has, most = row["cores"], cores_of_machine(), nearest(row["cores"])
    used = sum(cores.values())
    kept = ("rate", "offered", "waited", "queue_events", "settling", "oldest_batch_ms", "loop_lag_ms", "skew")
    return {name: row[name] for name in kept} | {
        "full": PROCESS if most and most[1] >= FULL else MACHINE if used >= FULL * has else NOTHING,
        "nearest": list(most) if most else None,
        "machine_cores": has,
        "used_cores": used,
        "cores": sorted(cores.items(), key=lambda one: -one[1]),
        "generator_busy": max(row["busy"], default=0.0),
    }
