"""Incidents of a population as what its customers and the stock room meet."""

from collections.abc import Mapping

import numpy as np

from engine.policy.document import Policy
from engine.policy.tables import CompiledPolicy
from engine.records import DAY_MS, MINUTE_MS, PARTITIONS, SHARE_ONE, records
from scenarios.incidents_document import Incident, NodeDown
from scenarios.population_document import Population
from sim.absences import ABSENCE
from sim.cohort import Spans
from sim.outages import OUTAGE
from sim.stock_room import Shortage


def lasting(incident: Incident, spans: Spans) -> tuple[int, int]:
    """[from, until) in ms. Days count from launch, 24 hours each."""
    begins = spans.launch + (incident.day - 1) * DAY_MS + incident.at * MINUTE_MS
    return begins, begins + incident.lasts


def outage_table(incidents: Mapping[str, Incident], spans: Spans) -> np.ndarray:
    """OUTAGE rows of all incidents in declaration order."""
    table = records(len(incidents), OUTAGE)
    for row, incident in zip(table, incidents.values(), strict=True):
        row.from_ms, row.until_ms = lasting(incident, spans)
        row.fails = incident.payments_fail / SHARE_ONE
        row.complains, row.asks = incident.complain / SHARE_ONE, incident.get_in_touch / SHARE_ONE
    return table


def customers_of(node: NodeDown, customers: int) -> tuple[int, int]:
    """A node's customers, [first, end): whole partitions, as even as they come."""
    edges = [PARTITIONS * n // node.of * customers // PARTITIONS for n in (node.node - 1, node.node)]
    return edges[0], edges[1]


def absence_table(incidents: Mapping[str, Incident], spans: Spans, customers: int) -> np.ndarray:
    """ABSENCE rows in the order in which they begin."""
    down = [(*lasting(one, spans), *customers_of(one.node_down, customers)) for one in incidents.values()
            if one.node_down]  # fmt: skip
    table = records(len(down), ABSENCE)
    for row, values in zip(table, sorted(down), strict=True):
        row.from_ms, row.until_ms, row.first, row.end = values
    return table


def shortages_of(incidents: Mapping[str, Incident], policy: CompiledPolicy, spans: Spans) -> list[Shortage]:
    return [
        Shortage(number, policy.coupons[one.stock_out.coupon], *lasting(one, spans), one.stock_out.share / SHARE_ONE)
        for number, one in enumerate(incidents.values())
        if one.stock_out and one.stock_out.coupon in policy.coupons
    ]


def shortages_of_nothing(population: Population, policy: Policy) -> list[tuple[str, str]]:
    """(path in the population, what must be) of stock incidents of what has no stock."""
    limited = [name for name, coupon in policy.coupons.items() if coupon.pieces is not None]
    have = ", ".join(limited) or "none"
    return [
        (f"incidents.{name}.stock_out.coupon",
         f"must be one of the policy's coupons with pieces: {have} (got {one.stock_out.coupon})")
        for name, one in population.incidents.items()
        if one.stock_out and one.stock_out.coupon not in limited
    ]  # fmt: skip
