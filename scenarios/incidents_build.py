"""Incidents of a population as the arrays its customers meet."""

from collections.abc import Mapping

import numpy as np

from engine.records import DAY_MS, MINUTE_MS, SHARE_ONE, records
from scenarios.incidents_document import Incident
from sim.cohort import Spans
from sim.outages import OUTAGE


def outage_table(incidents: Mapping[str, Incident], spans: Spans) -> np.recarray:
    """OUTAGE rows in declaration order. Days count from launch, 24 hours each."""
    table = records(len(incidents), OUTAGE)
    for row, incident in zip(table, incidents.values(), strict=True):
        row.from_ms = spans.launch + (incident.day - 1) * DAY_MS + incident.at * MINUTE_MS
        row.until_ms = row.from_ms + incident.lasts
        row.fails = incident.payments_fail / SHARE_ONE
        row.complains, row.asks = incident.complain / SHARE_ONE, incident.get_in_touch / SHARE_ONE
    return table
