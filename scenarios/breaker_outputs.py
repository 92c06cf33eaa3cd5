"""What circuit breakers did, and what they went by minute by minute: columns of a run's tables."""

from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from engine.breaker_records import EVERYTHING, PAGED_MAX, BreakerState, Pulse
from engine.host.ledger import LedgerHost
from engine.records import MINUTE_MS, NONE
from scenarios.outputs import Columns, append, empty
from scenarios.worker import RunPlan

ALL = "all"
_COUNTS = tuple(pulse.name.lower() for pulse in Pulse)


@dataclass
class MinuteBook:
    """Of every minute since launch what breakers went by, over all campaigns."""

    launch_ms: int
    minutes: list[int] = field(default_factory=list)
    counts: list[np.ndarray] = field(default_factory=list)  # i8[PULSES]

    def note(self, t: int, ledger: LedgerHost) -> None:
        """At the settlement of t: write down every minute that has ended by then."""
        breakers = ledger.shared.breakers
        if len(breakers.minutes) == 0:
            return
        first = self.minutes[-1] + 1 if self.minutes else -(-self.launch_ms // MINUTE_MS)
        for minute in range(first, t // MINUTE_MS):
            row = minute % len(breakers.minutes)
            known = breakers.minutes[row] == minute
            self.minutes.append(minute)
            self.counts.append(breakers.counts[row, EVERYTHING] * known)


def breaker_tables(plan: RunPlan, ledger: LedgerHost | None, book: MinuteBook | None) -> dict[str, Columns]:
    """Nothing where the policy has no breakers."""
    if ledger is None or book is None or not plan.policy.policy.breakers:
        return {}
    return {"paged": calls(plan, ledger), "minutes": minutes(book)}


def calls(plan: RunPlan, ledger: LedgerHost) -> Columns:
    """Trips, trials and openings since launch; measured: millionths, or fen."""
    columns = empty(["time_ms", "called_at", "breaker", "measure", "campaign", "state", "measured", "count"])
    policy, breakers = plan.policy.policy, ledger.shared.breakers
    names, campaigns = list(policy.breakers), {slot: name for name, slot in plan.policy.registry.slots.items()}
    zone = ZoneInfo(policy.time_zone)
    for row in breakers.paged[: min(int(breakers.calls[0]), PAGED_MAX)]:
        if row.time_ms < plan.spans.launch:
            continue
        name = names[row.breaker]
        append(
            columns, time_ms=int(row.time_ms), breaker=name, measure=policy.breakers[name].measure,
            called_at=f"{datetime.fromtimestamp(int(row.time_ms) // 1000, zone):%Y-%m-%d %H:%M}",
            campaign=ALL if row.campaign == NONE else campaigns[int(row.campaign)],
            state=BreakerState(int(row.state)).name.lower(), measured=int(row.measured), count=int(row["count"]),
        )  # fmt: skip
    return columns


def minutes(book: MinuteBook) -> Columns:
    columns = empty(["time_ms", *_COUNTS])
    for minute, counts in zip(book.minutes, book.counts, strict=True):
        append(columns, time_ms=minute * MINUTE_MS, **dict(zip(_COUNTS, counts.tolist(), strict=True)))
    return columns
