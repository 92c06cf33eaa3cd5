"""What had gone wrong, and how busy each minute was: columns of a run's tables."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from engine.records import MINUTE_MS, SHARE_ONE
from scenarios.incidents_build import customers_of, lasting
from scenarios.outputs import Columns, Days, append, empty
from scenarios.worker import RunPlan
from sim.model import Traffic

_SHARES = {"fails": "payments_fail", "complains": "complain", "asks": "get_in_touch"}


def incidents(plan: RunPlan, missing: Mapping[int, int]) -> Columns:
    """missing: pieces that were not there, by number of the incident."""
    columns = empty(["incident", "kind", "began_at", "begins_ms", "ends_ms", *_SHARES, "customers", "pieces"])
    zone = ZoneInfo(plan.policy.policy.time_zone)
    for number, (name, incident) in enumerate(plan.population.incidents.items()):
        begins, ends = lasting(incident, plan.spans)
        first, end = (0, plan.customers)
        if incident.node_down:
            first, end = customers_of(incident.node_down, plan.customers)
        append(
            columns, incident=name, kind=", ".join(incident.kinds), begins_ms=begins, ends_ms=ends,
            began_at=f"{datetime.fromtimestamp(begins // 1000, zone):%Y-%m-%d %H:%M}",
            **{word: getattr(incident, field) / SHARE_ONE for word, field in _SHARES.items()},
            customers=end - first, pieces=missing.get(number, 0),
        )  # fmt: skip
    return columns


def traffic(plan: RunPlan, days: Days, counted: np.ndarray) -> Columns:
    """Every minute since launch in which anything was decided. counted: i8[minutes, len(Traffic)]."""
    zone = ZoneInfo(plan.policy.policy.time_zone)
    busy = np.flatnonzero(counted[:, Traffic.DECISIONS])
    times = plan.spans.launch + busy * MINUTE_MS
    rows = np.searchsorted(plan.policy.tables.days["start_ms"], times, "right") - 1
    return {
        "date": [days.date[row] for row in rows.tolist()],
        "phase": [days.phase[row] for row in rows.tolist()],
        "clock": [f"{datetime.fromtimestamp(t // 1000, zone):%H:%M}" for t in times.tolist()],
        "time_ms": times.tolist(),
        "decisions": counted[busy, Traffic.DECISIONS].tolist(),
        "claims": counted[busy, Traffic.CLAIMS].tolist(),
    }
