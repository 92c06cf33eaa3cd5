"""What a generator counts, in histograms that add up exactly over generators."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hdrh.histogram import HdrHistogram

LEAST_US, MOST_US, DIGITS = 1, 120_000_000, 3
BIN_S = 0.25
SERIES = ("offered", "bad", "worst_us", "achieved")
COUNTS = ("offered", "done", "achieved", "dropped", "waited")
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99_9": 99.9}


def new_histogram() -> Any:
    """Of microseconds, within 0.1 %."""
    return HdrHistogram(LEAST_US, MOST_US, DIGITS)


@dataclass
class Meter:
    """What became of some arrivals; times in microseconds."""

    offered: int = 0
    done: int = 0  # answered with success, whenever
    achieved: int = 0  # answered with success in this time, whenever they were due
    dropped: int = 0  # not sent, for nobody was free in time
    waited: int = 0  # found no connection free when it was due
    failed: Counter[str] = field(default_factory=Counter)  # by status or kind of error
    response: Any = field(default_factory=new_histogram)  # from the moment it was due
    service: Any = field(default_factory=new_histogram)  # from the moment it was sent
    late: Any = field(default_factory=new_histogram)  # of the generator itself, where somebody was free

    def answered(self, response_us: int, service_us: int) -> None:
        self.done += 1
        self.response.record_value(min(max(response_us, LEAST_US), MOST_US))
        self.service.record_value(min(max(service_us, LEAST_US), MOST_US))

    def sent_late(self, late_us: int) -> None:
        self.late.record_value(min(max(late_us, LEAST_US), MOST_US))

    def add(self, other: "Meter") -> None:
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failed.update(other.failed)
        for name in ("response", "service", "late"):
            getattr(self, name).add(getattr(other, name))

    @property
    def errors(self) -> int:
        return sum(self.failed.values())

    def as_json(self) -> dict[str, Any]:
        """Lossless."""
        counts = {name: getattr(self, name) for name in COUNTS}
        times = {name: getattr(self, name).encode().decode() for name in ("response", "service", "late")}
        return {**counts, **times, "failed": dict(self.failed)}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Meter":
        histograms = {name: HdrHistogram.decode(said[name]) for name in ("response", "service", "late")}
        return cls(**{name: said[name] for name in COUNTS}, failed=Counter(said["failed"]), **histograms)


class Series:
    """What became of arrivals, by when they were due, in bins of BIN_S."""

    def __init__(self, seconds: float) -> None:
        bins = math.ceil(seconds / BIN_S)
        self.offered, self.bad, self.worst_us, self.achieved = ([0] * bins for _ in range(4))

    def handed_over(self, due_s: float) -> None:
        self.offered[int(due_s / BIN_S)] += 1

    def lost(self, due_s: float) -> None:
        """It was dropped, or failed."""
        self.bad[int(due_s / BIN_S)] += 1

    def answered(self, due_s: float, response_us: int) -> None:
        due = int(due_s / BIN_S)
        self.worst_us[due] = max(self.worst_us[due], response_us)
        now = int((due_s + response_us / 1e6) / BIN_S)
        if now < len(self.achieved):
            self.achieved[now] += 1

    def as_json(self) -> dict[str, list[int]]:
        return {"offered": self.offered, "bad": self.bad, "worst_us": self.worst_us, "achieved": self.achieved}


def added(parts: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, list[int]]:
    """Series of several generators as one."""
    columns = {name: list(zip(*(part[name] for part in parts), strict=True)) for name in SERIES}
    return {name: [max(of) if name == "worst_us" else sum(of) for of in column] for name, column in columns.items()}


def times_ms(histogram: Any) -> dict[str, float]:
    """Percentiles and the most, in milliseconds; empty where nothing was recorded."""
    if not histogram.get_total_count():
        return {}
    found = {name: histogram.get_value_at_percentile(percent) / 1_000 for name, percent in PERCENTILES.items()}
    return found | {"max": histogram.get_max_value() / 1_000, "mean": histogram.get_mean_value() / 1_000}
