"""What is kept of one world: rows of sums, per branch and per contrast of two branches, customer by customer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.coupon_records import Answer, CouponCell
from engine.host.ledger import LedgerHost
from engine.host.shard import combined
from engine.policy.tables import CompiledPolicy
from engine.records import NEVER_MS, Cell, Reason
from scenarios.fraud_outputs import FRAUD_TABLES, STATISTICS, FraudOutputs
from scenarios.lone_world import LoneWorld
from scenarios.outputs import Columns, Days, Outputs, added_tallies, declared, summed
from scenarios.worker import WorkerResult
from sim.cohort import MEASURES
from sim.model import Daily

Row = dict[str, Any]
Rows = dict[str, list[Row]]  # table → rows
REACHED_MEASURES = ("converted", "window_spend", "first_clicked", "first_closed")
TAKEN = {"fraud_loss": 1, "profit": -1}  # what crews take is nobody's of the customers, and lost all the same
ALL, FEW = "", 200  # of everybody at launch; fewer non-zero differences than this are kept one by one
_SHARED = (Reason.OUT_OF_STOCK, Reason.BUDGET)
_SHARED_CLAIMS = (Answer.OUT_OF_STOCK, Answer.BUDGET)


@dataclass(frozen=True)
class Branch:
    """One way to live on from launch: a policy, and what is paused under it."""

    name: str
    policy: CompiledPolicy
    paused: tuple[int, ...] = ()
    paused_after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Contrast:
    """Branch `policy` minus branch `against`, over all customers or those whom a campaign reached in both."""

    policy: str
    against: str
    of: str = ALL


@dataclass(frozen=True)
class Life:
    """A branch that has been lived: measures i8[customers, measures], reached i8[customers, 7] by campaign."""

    branch: Branch
    measures: np.ndarray
    reached: dict[str, np.ndarray]
    result: WorkerResult
    assigned: dict[str, np.ndarray]  # by campaign with a holdout: 0 assigned, 1 held out, 2 held out from everything
    ledger: LedgerHost | None = None
    refused: np.ndarray | None = None  # claims by the Ledger since launch: i8[coupon slots, ANSWERS]
    fraud: dict[str, Columns] = field(default_factory=dict)  # what fraud rules said of whom: see FraudOutputs

    @classmethod
    def of(cls, branch: Branch, world: LoneWorld, campaigns: Sequence[str]) -> "Life":
        worker, settling, result = world.worker, world.settling, world.worker.result()
        slots = branch.policy.registry.slots
        there = [name for name in campaigns if name in branch.policy.policy.campaigns]
        return cls(
            branch,
            worker.cohort.measures(),
            {name: worker.cohort.reached(slots[name]) for name in there},
            result,
            {name: worker.shard.assignment(slots[name]) for name in there},
            settling.ledger if settling else None,
            settling.refused if settling else None,
            fraud_of(world, result) if world.plan.population.origins else {},
        )

    @property
    def taken(self) -> int:
        """Fen that crews got of the shop: coupons redeemed or sold on, and rewards."""
        columns = self.fraud.get("accounts", {})
        return sum(sum(columns.get(name, ())) for name in ("face", "resale", "rewards"))

    def values(self, of: str) -> tuple[np.ndarray, tuple[str, ...]]:
        """Measures of the customers spoken of: i8[n, measures], and the measures' names."""
        if of == ALL:
            return self.measures, MEASURES
        reached = self.reached[of]
        rows = reached[:, 0] > 0
        return np.hstack([self.measures[rows], reached[rows][:, 3:]]), (*MEASURES, *REACHED_MEASURES)


def rows_of(
    lives: Sequence[Life],
    contrasts: Sequence[Contrast],
    own: str,
    days: Days,
    segments: np.ndarray,
    names: Sequence[str],
) -> Rows:
    """Everything kept of a world. own: the branch whose holdouts are analysed; segments: of each customer at launch."""
    by_name = {life.branch.name: life for life in lives}
    tables = ("levels", "differences", "few", "phases", "by_campaign", "by_coupon", "lives", *FRAUD_TABLES)
    rows: Rows = {name: [] for name in tables}
    for life in lives:
        rows["levels"] += level_rows(life)
        rows["phases"] += phase_rows(life, days)
        rows["by_campaign"] += campaign_rows(life, days)
        rows["by_coupon"] += coupon_rows(life, launch_of(life, days))
        rows["lives"].append(life_row(life))
        for name, columns in life.fraud.items():
            rows[name] += [{"policy": life.branch.name, **row} for row in as_rows(columns)]
    for contrast in contrasts:
        a, b = by_name[contrast.policy], by_name[contrast.against]
        for row, few in contrast_rows(contrast, a, b, segments, names):
            rows["differences"].append(row)
            rows["few"] += few
    rows |= holdout_rows(by_name[own], days)
    return rows


def fraud_of(world: LoneWorld, result: WorkerResult) -> dict[str, Columns]:
    """What fraud rules said, of whom, and what crews took. result: of the customers."""
    schemers = world.adversaries
    results = [result, *([schemers.result(result)] if schemers else [])]
    statistics = {name: summed(each.statistics[name] for each in results) for name in STATISTICS}
    tallies = added_tallies([each.measured for each in results])
    takings = schemers.takings() if schemers else []
    return FraudOutputs(world.plan.policy, statistics, tallies, world.ledger, takings).tables()


def level_rows(life: Life) -> Iterator[Row]:
    for of in (ALL, *life.reached):
        for row in sums_of(life.branch.name, of, *life.values(of)):
            yield with_taken(row, life.taken) if of == ALL else row
    for campaign, assigned in life.assigned.items():
        for group, word in enumerate(("assigned", "held_out")):
            if np.any(assigned == 1):
                yield from sums_of(life.branch.name, f"{word}/{campaign}", life.measures[assigned == group], MEASURES)


def sums_of(policy: str, of: str, values: np.ndarray, names: Sequence[str]) -> Iterator[Row]:
    for measure, column in zip(names, values.T, strict=True):
        yield {
            "policy": policy, "of": of, "measure": measure, "n": len(column), "total": int(column.sum()),
            "squares": squares(column),
        }  # fmt: skip


def squares(values: np.ndarray) -> float:
    return float(np.sum(np.square(values.astype(float))))


def contrast_rows(
    contrast: Contrast, a: Life, b: Life, segments: np.ndarray, names: Sequence[str]
) -> Iterator[tuple[Row, list[Row]]]:
    """A row per measure, then per segment and measure; with the few customers who differ where they are few."""
    left, measures = a.values(contrast.of)
    right, _ = b.values(contrast.of)
    if contrast.of != ALL:
        assert np.array_equal(a.reached[contrast.of][:, 0], b.reached[contrast.of][:, 0]), (
            "twins reach the same customers"
        )
    difference = left - right
    for number, measure in enumerate(measures):
        column = difference[:, number]
        key = {"policy": contrast.policy, "against": contrast.against, "of": contrast.of, "measure": measure}
        row = difference_row({**key, "segment": ""}, column)
        if contrast.of == ALL:
            row = with_taken(row, a.taken - b.taken)
        few = column[column != 0].tolist() if 0 < row["nonzero"] < FEW else []
        yield row, [{**key, "differences": few}] if few else []
        if contrast.of == ALL:
            for place, segment in enumerate(names):
                yield difference_row({**key, "segment": segment}, column[segments == place]), []


def with_taken(row: Row, fen: int) -> Row:
    """The same where crews took so much (more): a world's money, of which no customer has a part."""
    return {**row, "total": row["total"] + TAKEN.get(row["measure"], 0) * fen}


def difference_row(key: Row, column: np.ndarray) -> Row:
    higher, lower = int(np.count_nonzero(column > 0)), int(np.count_nonzero(column < 0))
    return {
        **key, "n": len(column), "total": int(column.sum()), "squares": squares(column), "nonzero": higher + lower,
        "higher": higher, "lower": lower,
    }  # fmt: skip


def phase_rows(life: Life, days: Days) -> Iterator[Row]:
    """Daily counts by phase."""
    daily = life.result.statistics["daily"]
    for phase in ("before", "campaign", "after"):
        rows = [row for row in days.rows if days.phase[row] == phase]
        for measure in Daily:
            key = {"policy": life.branch.name, "phase": phase, "measure": measure.name.lower(), "days": len(rows)}
            yield {**key, "count": int(daily[rows, measure].sum())}


def campaign_rows(life: Life, days: Days) -> Iterator[Row]:
    """What became of each campaign from launch on."""
    measured = [row for row in days.rows if days.phase[row] != "before"]
    tallies = life.result.measured
    for name, slot in declared(life.branch.policy):
        cells = tallies.cells[measured, slot].sum(axis=(0, 1, 2))
        refused = tallies.waterfall[measured, slot].sum(axis=0)
        yield {
            "policy": life.branch.name, "campaign": name,
            **{cell.name.lower(): int(cells[cell]) for cell in Cell},
            "lost_arbitration": int(refused[Reason.LOST_ARBITRATION]),
            "total_cap": int(refused[Reason.TOTAL_CAP]),
        }  # fmt: skip


def launch_of(life: Life, days: Days) -> int:
    """Time of the first moment after the days before, in ms."""
    first = next(row for row in days.rows if days.phase[row] != "before")
    return int(life.branch.policy.tables.days[first]["start_ms"])


def coupon_rows(life: Life, launch: int) -> Iterator[Row]:
    """What became of each coupon from launch on: issued, redeemed, fen taken off, claims refused and why; and how long
    after launch (or after claims opened) its last piece went."""
    answers, cohorts = life.result.measured.answers, life.result.measured.cohorts.sum(axis=0)
    for name, slot in life.branch.policy.coupons.items():
        refused = answers[:, slot].sum(axis=0)
        refused[[Answer.DONE, Answer.PENDING]] = 0
        refused += life.refused[slot] if life.refused is not None else 0
        cells = cohorts[slot]
        yield {
            "policy": life.branch.name, "coupon": name,
            "granted": int(cells[CouponCell.GRANTED]),
            "redeemed": int(cells[CouponCell.REDEEMED] - cells[CouponCell.RETURNED]),
            "expired": int(cells[CouponCell.EXPIRED]), "discount": int(cells[CouponCell.DISCOUNT]),
            "out_of_stock": int(refused[Answer.OUT_OF_STOCK]), "over_budget": int(refused[Answer.BUDGET]),
            "refused": int(refused.sum()), "out_after_ms": stock_lasted(life, slot, launch),
        }  # fmt: skip


def stock_lasted(life: Life, slot: int, launch: int) -> int | None:
    """Milliseconds; None where the stock did not run out."""
    if life.ledger is None:
        return None
    out = int(life.ledger.shared.stock[slot]["out_ms"])
    opened = int(life.branch.policy.tables.coupons[slot]["from_ms"])
    return None if out >= NEVER_MS else max(0, out - max(launch, opened))


def life_row(life: Life) -> Row:
    waterfall = life.result.measured.waterfall
    shared = sum(waterfall[:, :, reason].sum() for reason in _SHARED)
    if life.refused is not None:
        shared += sum(life.refused[:, answer].sum() for answer in _SHARED_CLAIMS)
    return {
        "policy": life.branch.name,
        "customers": len(life.measures),
        "events": int(life.result.statistics["events"][0]),
        "shared_refusals": int(shared),
        "digest": combined([life.result.digest] + ([life.ledger.digest()] if life.ledger else [])),
    }


def holdout_rows(life: Life, days: Days) -> Rows:
    """Sums of those shown and held out, as a run keeps them."""
    outputs = Outputs([life.result], life.branch.policy, life.branch.policy, days)
    return {"holdouts": as_rows(outputs.outcomes()), "spend_bins": as_rows(outputs.spend_bins())}


def as_rows(columns: Columns) -> list[Row]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def with_world(rows: Mapping[str, Sequence[Row]], world: int) -> Rows:
    return {table: [{"world": world, **row} for row in found] for table, found in rows.items()}
