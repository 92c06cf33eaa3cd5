"""What a drill measured, as its report needs it: batches before and since it struck, steps of the recovery, breaches.

Late is slower than the objective. Only batches answered since it struck count; one under way when it struck does.
"""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from results.drill_words import PARTS


@dataclass(frozen=True)
class Batch:
    """One batch as its client felt it; seconds since it struck."""

    shard: int
    sent: float
    seconds: float

    @property
    def answered(self) -> float:
        return self.sent + self.seconds


@dataclass(frozen=True)
class Step:
    """A part of the recovery."""

    part: str
    at: float  # seconds since it struck
    began: float  # where the part before it ended
    took: float


@dataclass(frozen=True)
class ShardFigures:
    """One shard's batches."""

    shard: int
    late: int
    median_before: float | None
    median_since: float | None
    slowest_since: float | None


@dataclass(frozen=True)
class Drilled:
    """A drill's result, read."""

    found: dict[str, Any]

    @cached_property
    def batches(self) -> list[Batch]:
        return [Batch(*row) for row in self.found["responses"]]

    @property
    def shards(self) -> list[int]:
        return sorted({batch.shard for batch in self.batches})

    @property
    def objective(self) -> float:
        return float(self.found["objective_s"])

    @cached_property
    def since(self) -> list[Batch]:
        return [batch for batch in self.batches if batch.answered > 0]

    @cached_property
    def late(self) -> list[Batch]:
        return self._late(self.since)

    @property
    def late_before(self) -> list[Batch]:
        return self._late(batch for batch in self.batches if batch.answered <= 0)

    def _late(self, batches: Iterable[Batch]) -> list[Batch]:
        return [batch for batch in batches if batch.seconds > self.objective]

    @property
    def slowest(self) -> float | None:
        return slowest(self.since)

    @property
    def back(self) -> float | None:
        """Seconds until the first good answer; None where nobody was replaced."""
        value = self.found["seconds_since_struck"]["answered"]
        return None if value is None else float(value)

    @property
    def late_elsewhere(self) -> list[int]:
        """Shards that were late though they were not struck."""
        return sorted({batch.shard for batch in self.late if f"shard-{batch.shard}" != self.found.get("seat")})

    @property
    def within_again(self) -> bool:
        """Whether the last answer of every shard was within the objective."""
        last = {batch.shard: batch for batch in sorted(self.batches, key=lambda batch: batch.answered)}
        return bool(self.found["within_objective"]) and not self._late(last.values())

    @property
    def breaches(self) -> list[str]:
        """The counts that should be 0 and are not, by their names in the result."""
        return [name for name in ("lost", "doubled", "answered_otherwise") if self.found[name]]

    @property
    def whole(self) -> bool:
        """Broken where the verdict says so, or any figure does."""
        return bool(self.found["whole"] and self.found["digest_equals_undisturbed"]) and not self.breaches

    @property
    def steps(self) -> list[Step]:
        """Each part from the end of the one before; what was over sooner took nothing of its own."""
        steps: list[Step] = []
        for part in PARTS:
            at = self.found["seconds_since_struck"][part]
            if at is None or (part == "recovered" and not (self.late and self.within_again)):
                continue
            began = max((step.at for step in steps), default=0.0)
            steps.append(Step(part, at, min(began, at), max(at - began, 0.0)))
        return steps

    def figures(self) -> list[ShardFigures]:
        return [self._figures(shard) for shard in self.shards]

    def _figures(self, shard: int) -> ShardFigures:
        since = [batch for batch in self.since if batch.shard == shard]
        before = [batch for batch in self.batches if batch.shard == shard and batch.answered <= 0]
        late = len(self._late(since))
        return ShardFigures(shard, late, median(before), median(since), slowest(since))


def median(batches: list[Batch]) -> float | None:
    return statistics.median(batch.seconds for batch in batches) if batches else None


def slowest(batches: list[Batch]) -> float | None:
    return max((batch.seconds for batch in batches), default=None)
