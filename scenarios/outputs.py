"""What the workers counted, as the columns of a run's tables."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np

from engine.policy.tables import CompiledPolicy
from engine.records import CELL_MEASURES, Cell, Reason, Tallies
from scenarios.worker import SPEND_EDGES, WorkerResult
from sim.cohort import LOW_BITS, MEASURES, OUTCOME_MEASURES
from sim.model import Daily

Columns = dict[str, list[Any]]
ONLY_ARM = "only"
_ONE = OUTCOME_MEASURES.index("one")
_FLAGS = ("converted", "first_clicked", "first_closed")
_SQUARED = ("goals", "spend", "exposures", "clicks", "negatives", "conversions")
_WITH_EXPOSURES = ("clicks", "negatives", "conversions")
_BEFORE = ("before_visits", "before_spend")
_EXPLAINED = ("converted", "spend")  # what covariates from before launch explain in part (CUPED)
_POPULATION = {
    "dropped_out": Daily.DROPPED_OUT,
    "visits": Daily.VISITS,
    "page_views": Daily.PAGE_VIEWS,
    "dwell_ms": Daily.DWELL_MS,
    "logins": Daily.LOGINS,
    "payments": Daily.PAYMENTS,
    "payment_amount": Daily.PAYMENT_AMOUNT,
    "first_payments": Daily.FIRST_PAYMENTS,
    "cards_bound": Daily.CARDS_BOUND,
    "top_ups": Daily.TOP_UPS,
    "features_used": Daily.FEATURES_USED,
    "bills_viewed": Daily.BILLS_VIEWED,
    "instalments": Daily.INSTALMENTS,
    "induced_added": Daily.INDUCED_ADDED,
    "induced_brought_forward": Daily.INDUCED_BROUGHT_FORWARD,
    "induced_switched": Daily.INDUCED_SWITCHED,
    "lost_payments": Daily.LOST_PAYMENTS,
    "exposures": Daily.EXPOSURES,
    "clicks": Daily.CLICKS,
    "negatives": Daily.NEGATIVES,
    "events": Daily.EVENTS,
    "claims": Daily.CLAIMS,
    "orders": Daily.ORDERS,
    "goods": Daily.GOODS,
    "lines": Daily.LINES,
    "pieces": Daily.PIECES,
    "lines_added": Daily.LINES_ADDED,
    "discounts": Daily.DISCOUNTS,
    "discounts_anyway": Daily.DISCOUNTS_ANYWAY,
    "refunds": Daily.REFUNDS,
    "refunded": Daily.REFUNDED,
    "visits_lost": Daily.VISITS_LOST,
    "claims_unanswered": Daily.CLAIMS_UNANSWERED,
    "payments_failed": Daily.PAYMENTS_FAILED,
}


class Days:
    """The days of a run with their phases, as rows of the policy's table of days."""

    def __init__(self, compiled: CompiledPolicy, start: date, before: int, days: int, after: int) -> None:
        dates = compiled.tables.days["date"]
        first = int(np.searchsorted(dates, start.year * 10_000 + start.month * 100 + start.day)) - before
        self.rows = list(range(first, first + before + days + after))
        phases = ["before"] * before + ["campaign"] * days + ["after"] * after
        self.phase = dict(zip(self.rows, phases, strict=True))
        self.date = {row: int(dates[row]) for row in self.rows}


def summed(arrays: Iterable[np.ndarray]) -> np.ndarray:
    return np.sum(np.stack(list(arrays)), axis=0)


def empty(names: Iterable[str]) -> Columns:
    return {name: [] for name in names}


def append(columns: Columns, **values: Any) -> None:
    for name, value in values.items():
        columns[name].append(value)


def arm_names(compiled: CompiledPolicy, campaign: str) -> list[str]:
    arms = compiled.policy.campaigns[campaign].arms
    return [arm.name for arm in arms] if arms else [ONLY_ARM]


class Outputs:
    """Tables of a run, from what each worker returned."""

    def __init__(
        self, results: list[WorkerResult], baseline: CompiledPolicy, policy: CompiledPolicy, days: Days
    ) -> None:
        self.statistics = {
            name: summed(result.statistics[name] for result in results) for name in results[0].statistics
        }
        self.days = days
        self.policy = policy
        self.tallies = tuple(
            added_tallies(tallies)
            for tallies in ([result.before for result in results], [result.measured for result in results])
        )
        # Tallies of the two policies cover disjoint days, but for cohorts of coupons: these outlive the launch.
        self.parts = [
            (baseline, self.tallies[0], {"before"}),
            (policy, self.tallies[1], {"campaign", "after"}),
        ]

    def tables(self) -> dict[str, Columns]:
        return {
            "waterfall": self.waterfall(),
            "decisions": self.decisions(),
            "cells": self.cells(),
            "population": self.population(),
            "touches": self.touches(),
            "outcomes": self.outcomes(),
            "spend_bins": self.spend_bins(),
            "moments": self.moments(),
            "programme": self.programme(),
            "paths": self.paths(),
            "reach": self.reach(),
            "failures": empty(["kind", "where", "sentence", "count"]),
        }

    def _parts_by_day(self) -> Iterable[tuple[CompiledPolicy, Tallies, int]]:
        for compiled, tallies, phases in self.parts:
            for row in self.days.rows:
                if self.days.phase[row] in phases:
                    yield compiled, tallies, row

    def waterfall(self) -> Columns:
        columns = empty(["date", "phase", "campaign", "reason", "candidates"])
        for compiled, tallies, row in self._parts_by_day():
            for name, slot in declared(compiled):
                for reason in np.flatnonzero(tallies.waterfall[row, slot]):
                    append(
                        columns,
                        date=self.days.date[row],
                        phase=self.days.phase[row],
                        campaign=name,
                        reason=Reason(int(reason)).name.lower(),
                        candidates=int(tallies.waterfall[row, slot, reason]),
                    )
        return columns

    def decisions(self) -> Columns:
        columns = empty(["date", "phase", "reason", "decisions"])
        for _, tallies, row in self._parts_by_day():
            for reason in np.flatnonzero(tallies.decisions[row]):
                append(
                    columns,
                    date=self.days.date[row],
                    phase=self.days.phase[row],
                    reason=Reason(int(reason)).name.lower(),
                    decisions=int(tallies.decisions[row, reason]),
                )
        return columns

    def cells(self) -> Columns:
        measures = [cell.name.lower() for cell in Cell]
        columns = empty(["date", "phase", "campaign", "arm", "segment", *measures])
        for compiled, tallies, row in self._parts_by_day():
            segments = [*compiled.policy.segments, "other"]
            for name, slot in declared(compiled):
                arms = arm_names(compiled, name)
                for arm, segment in np.argwhere(tallies.cells[row, slot].any(axis=-1)).tolist():
                    append(
                        columns,
                        date=self.days.date[row],
                        phase=self.days.phase[row],
                        campaign=name,
                        arm=arms[arm],
                        segment=segments[segment],
                        **{
                            measure: int(tallies.cells[row, slot, arm, segment, i])
                            for i, measure in enumerate(measures[:CELL_MEASURES])
                        },
                    )
        return columns

    def population(self) -> Columns:
        """By day. `launched` are the customers at launch; `active` those of them not yet left for good."""
        columns = empty(["date", "phase", "launched", "active", "left_annoyed", *_POPULATION])
        daily = self.statistics["daily"]
        launched = self.customers
        gone = 0
        for row in self.days.rows:
            left = int(daily[row, Daily.LEFT_ANNOYED])
            gone += left
            append(
                columns,
                date=self.days.date[row],
                phase=self.days.phase[row],
                launched=launched,
                active=launched - gone,
                left_annoyed=left,
                **{name: int(daily[row, measure]) for name, measure in _POPULATION.items()},
            )
        return columns

    def reach(self) -> Columns:
        """How many customers saw a campaign for the first time since launch, by day."""
        columns = empty(["date", "phase", "campaign", "customers"])
        first_seen = self.statistics["reach"]
        for row in self.days.rows:
            for name, slot in declared(self.policy):
                if first_seen[row, slot]:
                    append(
                        columns,
                        date=self.days.date[row],
                        phase=self.days.phase[row],
                        campaign=name,
                        customers=int(first_seen[row, slot]),
                    )
        return columns

    def touches(self) -> Columns:
        columns = empty(["week", "touches", "customers"])
        histogram = self.statistics["touches"]
        launched = self.customers
        for week, counts in enumerate(histogram.tolist()):
            counts[0] = launched - sum(counts)
            for touches, customers in enumerate(counts):
                append(columns, week=week, touches=touches, customers=customers)
        return columns

    def outcomes(self) -> Columns:
        squares = [f"{name}_squared" for name in _SQUARED]
        crossed = [f"exposures_{name}" for name in _WITH_EXPOSURES]
        columns = empty(
            ["campaign", "arm", "held_out", "customers", *_FLAGS, *_SQUARED, *squares, *crossed, *covariates()]
        )
        sums, products = self.statistics["outcome_sums"], exact(self.statistics["outcome_products"])
        place = {name: OUTCOME_MEASURES.index(name) for name in OUTCOME_MEASURES}
        for name, slot in declared(self.policy):
            for arm, arm_name in enumerate(arm_names(self.policy, name)):
                for held_out in (0, 1):
                    s, p = sums[slot, arm, held_out], products[slot, arm, held_out]
                    if s[_ONE] == 0:
                        continue
                    append(
                        columns,
                        campaign=name,
                        arm=arm_name,
                        held_out=bool(held_out),
                        customers=int(s[_ONE]),
                        **{name: int(s[place[name]]) for name in _FLAGS},
                        **{measure: float(s[place[measure]]) for measure in _SQUARED},
                        **{f"{measure}_squared": p[place[measure], place[measure]] for measure in _SQUARED},
                        **{f"exposures_{m}": p[place["exposures"], place[m]] for m in _WITH_EXPOSURES},
                        **{name: float(s[place[name]]) for name in _BEFORE},
                        **{
                            f"{a}_x_{b}": p[place[a], place[b]]
                            for a, b in (name.split("_x_") for name in covariates() if "_x_" in name)
                        },
                    )
        return columns

    def spend_bins(self) -> Columns:
        """Histogram of what enrolled customers spent within the goal's window: each bin from its edge to the next."""
        columns = empty(["campaign", "arm", "held_out", "edge", "next_edge", "customers", "sum", "squares"])
        edges = [*SPEND_EDGES.tolist(), 2 * int(SPEND_EDGES[-1])]
        bins = self.statistics["spend_bins"]
        squares = exact(bins[..., 2:])
        for name, slot in declared(self.policy):
            for arm, arm_name in enumerate(arm_names(self.policy, name)):
                for held_out, place in np.argwhere(bins[slot, arm, :, :, 0] > 0).tolist():
                    customers, total = (int(value) for value in bins[slot, arm, held_out, place, :2])
                    append(
                        columns,
                        campaign=name,
                        arm=arm_name,
                        held_out=bool(held_out),
                        edge=edges[place],
                        next_edge=edges[place + 1],
                        customers=customers,
                        sum=float(total),
                        squares=squares[slot, arm, held_out, place],
                    )
        return columns

    def moments(self) -> Columns:
        """Of all customers at launch."""
        return self._moments(
            self.statistics["sums"].sum(axis=0), self.statistics["products"].sum(axis=0), self.customers
        )

    def programme(self) -> Columns:
        """The same, of the universal holdout and of all others apart; empty without one."""
        columns = empty(["held_out", "measure_a", "measure_b", "n", "sum_a", "sum_b", "sum_ab"])
        if self.policy.policy.universal_holdout is None:
            return columns
        for group in (0, 1):
            n = int(self.statistics["customers"][group])
            part = self._moments(self.statistics["sums"][group], self.statistics["products"][group], n)
            for name, values in part.items():
                columns[name] += values
            columns["held_out"] += [bool(group)] * len(part["n"])
        return columns

    @property
    def customers(self) -> int:
        return int(self.statistics["customers"].sum())

    def _moments(self, sums: np.ndarray, products: np.ndarray, n: int) -> Columns:
        columns = empty(["measure_a", "measure_b", "n", "sum_a", "sum_b", "sum_ab"])
        exact_products = exact(products)
        for i, a in enumerate(MEASURES):
            for j, b in enumerate(MEASURES[i:], i):
                append(
                    columns,
                    measure_a=a,
                    measure_b=b,
                    n=n,
                    sum_a=float(sums[i]),
                    sum_b=float(sums[j]),
                    sum_ab=exact_products[i, j],
                )
        return columns

    def paths(self) -> Columns:
        columns = empty(["from_page", "to_page", "moves", "dwell_ms"])
        pages = self.policy.policy.names.pages
        moves, dwell = self.statistics["moves"], self.statistics["page_dwell_ms"]
        sources, targets = [*pages, "enter"], [*pages, "", "leave"]
        for i, source in enumerate(sources):
            total = int(moves[i].sum())
            for j in np.flatnonzero(moves[i]).tolist():
                # A page's dwell is shared out over its moves, so that it adds up.
                spent = int(dwell[i]) * int(moves[i, j]) // total if i < len(pages) else 0
                append(columns, from_page=source, to_page=targets[j], moves=int(moves[i, j]), dwell_ms=spent)
        return columns


def covariates() -> list[str]:
    """Columns of what came before launch: sums, products with each other and with what they explain."""
    pairs = [(*_BEFORE[:1], *_BEFORE[:1]), _BEFORE, (*_BEFORE[1:], *_BEFORE[1:])]
    pairs += [(outcome, before) for outcome in _EXPLAINED for before in _BEFORE]
    return [*_BEFORE, *(f"{a}_x_{b}" for a, b in pairs)]


def declared(compiled: CompiledPolicy) -> list[tuple[str, int]]:
    return [(name, compiled.registry.slots[name]) for name in compiled.policy.campaigns]


def exact(parts: np.ndarray) -> np.ndarray:
    """Sums of products from their high and low parts; floats rounded once."""
    return parts[..., 0].astype(float) * (1 << LOW_BITS) + parts[..., 1].astype(float)


def added_tallies(tallies: list[Tallies]) -> Tallies:
    return Tallies(*(summed(getattr(tally, name) for tally in tallies) for name in Tallies._fields))
