"""What a run of load found, as JSON: validity first, then a row for every stage."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.gauges import Gauge, most_between, risen_between
from loadtests.generator.meters import PERCENTILES, Meter, times_ms
from loadtests.load_run import Loaded
from loadtests.machine import OTHERS, cores_between
from loadtests.saturation import by_shard, of_target, skew

BUSY_MOST = 0.9  # share of a core above which a generator may be what is measured
LATE_MOST_MS = 5.0  # p99, of the generator itself
HANDED_LEAST = 0.99  # of what was planned
REACHED_LEAST = 0.99  # of what was offered is answered with success
SLO = re.compile(r"(p50|p90|p99|p99_9|max)=(\d+(?:\.\d+)?)ms")


class SloError(ValueError):
    """What an objective must be, as the end of a sentence."""


@dataclass(frozen=True)
class Slo:
    """An objective: a percentile of the response time is at most so much."""

    percentile: str
    most_ms: float

    @classmethod
    def parse(cls, text: str) -> "Slo":
        """Raises SloError."""
        found = SLO.fullmatch(text.replace("p99.9", "p99_9"))
        if found is None:
            known = ", ".join(name.replace("_", ".") for name in PERCENTILES)
            raise SloError(f"must be one of {known}, max and a time, like p99=25ms (got {text})")
        return cls(found[1], float(found[2]))

    @property
    def text(self) -> str:
        """As it is written."""
        return f"{self.percentile.replace('_', '.')}={self.most_ms:g}ms"

    def __str__(self) -> str:
        return f"{self.percentile.replace('_', '.')} ≤ {self.most_ms:g} ms"

    def is_kept(self, row: dict[str, Any], of: str = "response_ms") -> bool:
        """of: or service_ms, which leaves out what the generator added."""
        times = row[of]
        return bool(times) and times[self.percentile] <= self.most_ms


def rows_of(loaded: Loaded, gauges: Sequence[Gauge] = ()) -> list[dict[str, Any]]:
    """A stage each."""
    return [row_of(loaded, number, list(gauges)) for number in range(len(loaded.stages))]


def row_of(loaded: Loaded, number: int, gauges: list[Gauge]) -> dict[str, Any]:
    stage, meter = loaded.plan.stages[number], loaded.stages[number]
    since, until = loaded.span(number)
    cores = cores_between(loaded.samples, since, until)
    return {
        "stage": stage.name,
        "counts": stage.counts,
        "seconds": stage.seconds,
        "at_once": stage.at_once,
        "planned": int(stage.arrivals + 0.5),
        "offered_per_s": meter.offered / stage.seconds,
        "achieved_per_s": meter.achieved / stage.seconds,
        **counted(meter),
        "late_ms": times_ms(meter.late),
        "busy": [busiest(of, since - loaded.began, until - loaded.began) for of in loaded.busy],
        "cores": cores,
        "target_cores": of_target(cores),
        "skew": {
            "events": skew(risen_between(gauges, "windtunnel_shard_events_total", since, until)),
            "cores": skew(by_shard(cores)),
        },
        "queue_events": most_between(gauges, "windtunnel_queue_events", since, until),
        "settling": most_between(gauges, "windtunnel_settling", since, until),
        "oldest_batch_ms": in_ms(most_between(gauges, "windtunnel_oldest_batch_seconds", since, until)),
        "loop_lag_ms": in_ms(most_between(gauges, "windtunnel_loop_lag_seconds", since, until)),
    }


def counted(meter: Meter) -> dict[str, Any]:
    return {
        "offered": meter.offered,
        "done": meter.done,
        "dropped": meter.dropped,
        "waited": meter.waited,
        "failed": dict(meter.failed),
        "response_ms": times_ms(meter.response),
        "service_ms": times_ms(meter.service),
    }


def in_ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1_000 * seconds


def busiest(samples: Sequence[Sequence[float]], since: float, until: float) -> float:
    """Mean share of a core over a stage; of the sample nearest to it where it was shorter than a sample."""
    within = [share for at, share in samples if since <= at <= until + 1.0]
    return sum(within) / len(within) if within else 0.0


def invalid(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Why the figures are of the generator and not of the target; nothing where they are to be trusted."""
    why = []
    for row in rows:
        if not row["counts"]:
            continue
        name, most = row["stage"], max(row["busy"], default=0.0)
        if most > BUSY_MOST:
            why.append(f"{name}: a generator was {most:.0%} busy, at most {BUSY_MOST:.0%} is to be trusted")
        late = row["late_ms"].get("p99", 0.0)
        if late > LATE_MOST_MS and not row["at_once"]:  # many at once cannot all be on time
            why.append(f"{name}: requests were handed over {late:.1f} ms late (p99), at most {LATE_MOST_MS:g} ms is")
        if row["offered"] < HANDED_LEAST * row["planned"]:
            why.append(f"{name}: {row['offered']:,} of {row['planned']:,} requests were handed over")
    return why


def is_reached(row: dict[str, Any]) -> bool:
    """Nearly all that was offered was answered with success."""
    return bool(row["done"] >= REACHED_LEAST * row["offered"])


def is_missed_by_target(row: dict[str, Any], slo: Slo) -> bool:
    """It failed, or was too slow from when it was really asked: however late the generator was, that is no excuse."""
    if max(row["busy"], default=0.0) > BUSY_MOST:
        return False  # what is too busy to read an answer finds every service slow
    failed = sum(row["failed"].values()) > (1.0 - REACHED_LEAST) * row["offered"]
    return failed or not slo.is_kept(row, "service_ms")


def as_found(loaded: Loaded, gauges: Sequence[Gauge], slo: Slo | None, about: dict[str, Any]) -> dict[str, Any]:
    """The whole result."""
    rows = rows_of(loaded, gauges)
    judged = [row for row in rows if row["counts"]]
    why = invalid(rows)
    total = Meter()
    for stage, meter in zip(loaded.plan.stages, loaded.stages, strict=True):
        if stage.counts:
            total.add(meter)
    return about | {
        "profile": loaded.profile,
        "valid": not why,
        "invalid": why,
        "slo": str(slo) if slo else None,
        "slo_missed": [row["stage"] for row in judged if slo and not slo.is_kept(row)],
        "not_reached": [row["stage"] for row in judged if not is_reached(row)],
        "stages": rows,
        "all": counted(total) | {"errors": total.errors},
        "actions": {name: counted(meter) for name, meter in sorted(loaded.actions.items())},
        "cores": [[round(at - loaded.began, 2), {name: round(used, 3) for name, used in cores.items()}]
                  for at, cores in loaded.samples],
        "gauges": [[round(at - loaded.began, 2), values] for at, values in gauges],
        "schedule": [asdict(stage) for stage in loaded.plan.stages],
        "others": OTHERS,
    }  # fmt: skip
