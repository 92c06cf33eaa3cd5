"""The schemas of a run's tables and the way from NumPy columns into them; a wrong column is named, not guessed at."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from engine.coupon_records import ASK, LINE, RECEIPT, REPLY, REQUEST
from engine.fraud_records import ORIGIN
from engine.records import DECISION, EVENT, Cell, Reason

Columns = Mapping[str, Any]  # column name -> NumPy array or list, all of one length

PHASES = ("before", "campaign", "after")
REASON_NAMES = tuple(reason.name.lower() for reason in Reason)  # index = the engine's number
CELL_COLUMNS = tuple(cell.name.lower() for cell in Cell)

_WORD, _DATE, _COUNT, _SUM, _FLAG = pa.string(), pa.date32(), pa.int64(), pa.float64(), pa.bool_()


def schema_of(**types: Iterable[str]) -> pa.Schema:
    """A schema from lists of names by type, in the order given; a trailing `_` lets a type come twice."""
    by_name = {"words": _WORD, "dates": _DATE, "counts": _COUNT, "sums": _SUM, "flags": _FLAG}
    return pa.schema([(name, by_name[kind.rstrip("_")]) for kind, names in types.items() for name in names])


_OUTCOME_SUMS = (
    "goals", "goals_squared", "spend", "spend_squared", "exposures", "exposures_squared", "clicks", "clicks_squared",
    "exposures_clicks", "negatives", "negatives_squared", "exposures_negatives", "conversions", "conversions_squared",
    "exposures_conversions", "before_visits", "before_spend", "before_visits_x_before_visits",
    "before_visits_x_before_spend", "before_spend_x_before_spend", "converted_x_before_visits",
    "converted_x_before_spend", "spend_x_before_visits", "spend_x_before_spend",
)  # fmt: skip
_POPULATION_COUNTS = (
    "launched", "active", "left_annoyed", "dropped_out", "visits", "page_views", "dwell_ms", "logins", "payments",
    "payment_amount", "first_payments", "cards_bound", "top_ups", "features_used", "bills_viewed", "instalments",
    "induced_added", "induced_brought_forward", "induced_switched", "lost_payments", "exposures", "clicks",
    "negatives", "events", "claims", "orders", "goods", "lines", "pieces", "lines_added", "discounts",
    "discounts_anyway", "refunds", "refunded", "visits_lost", "claims_unanswered", "payments_failed",
)  # fmt: skip

_RULE_COUNTS = (
    "judged", "fired", "answered", "not_judged", "fired_fraud", "fired_good", "alone_fraud", "alone_good",
    "answered_fraud", "answered_good", "stopped_fraud", "stopped_good", "alone_face_fraud", "alone_face_good",
)  # fmt: skip
_ACCOUNT_COUNTS = (
    "asks", "accounts", "active", "denied", "held", "failed", "weaker", "harmed", "challenged", "passed", "crews",
    "persons", "face", "resale", "rewards", "costs", "honest", "refused", "let_through",
    "let_through_share",
)  # fmt: skip

SCHEMAS: dict[str, pa.Schema] = {
    "waterfall": schema_of(dates=["date"], words=["phase", "campaign", "reason"], counts=["candidates"]),
    "decisions": schema_of(dates=["date"], words=["phase", "reason"], counts=["decisions"]),
    "cells": schema_of(dates=["date"], words=["phase", "campaign", "arm", "segment"], counts=CELL_COLUMNS),
    "population": schema_of(dates=["date"], words=["phase"], counts=_POPULATION_COUNTS),
    "touches": schema_of(counts=["week", "touches", "customers"]),
    "outcomes": schema_of(
        words=["campaign", "arm"],
        flags=["held_out"],
        counts=["customers", "converted", "first_clicked", "first_closed"],
        sums=_OUTCOME_SUMS,
    ),
    "spend_bins": schema_of(
        words=["campaign", "arm"],
        flags=["held_out"],
        counts=["edge", "next_edge", "customers"],
        sums=["sum", "squares"],
    ),
    "moments": schema_of(words=["measure_a", "measure_b"], counts=["n"], sums=["sum_a", "sum_b", "sum_ab"]),
    "programme": schema_of(
        flags=["held_out"], words=["measure_a", "measure_b"], counts=["n"], sums=["sum_a", "sum_b", "sum_ab"]
    ),
    # Since launch: who saw a campaign for the first time; and by minute, where a scenario has reviews.
    "reach": schema_of(dates=["date"], words=["phase", "campaign"], counts=["customers"]),
    "traffic": schema_of(dates=["date"], words=["phase", "clock"], counts=["time_ms", "decisions", "claims"]),
    "paths": schema_of(words=["from_page", "to_page"], counts=["moves", "dwell_ms"]),
    "failures": schema_of(words=["kind", "where", "sentence"], counts=["count"]),
    # Coupons and budgets; empty where the policy has none. What happened since launch is apart from what was before.
    "claims": schema_of(dates=["date"], words=["phase", "coupon", "answer"], counts=["claims"]),
    "cohorts": schema_of(
        dates=["date"],
        words=["phase", "coupon"],
        flags=["since_launch", "young"],
        counts=["granted", "redeemed", "expired", "returned", "discount"],
    ),
    "stock": schema_of(words=["coupon"], counts=["delivered", "granted", "left", "out_after_ms"], words_=["out_at"]),
    "budgets": schema_of(
        words=["budget"],
        counts=["amount", "in_force", "reserved", "spent", "overshoot", "out_after_ms"],
        words_=["out_at"],
    ),
    "budget_days": schema_of(dates=["date"], words=["phase", "budget"], counts=["reserved", "spent", "in_force"]),
    "stock_days": schema_of(dates=["date"], words=["phase", "coupon"], counts=["delivered", "left"]),
    "coupon_days": schema_of(dates=["date"], words=["phase", "coupon"], counts=["discount"]),
    "spend_days": schema_of(
        dates=["date"], words=["phase", "campaign"], flags=["held_out"], counts=["customers"], sums=["spend", "squares"]
    ),
    # Fraud rules since launch, by what accounts truly are; empty where no population says where customers come from.
    # Money in fen. `alone`: asks at which no other rule fired; `stopped`: face value in asks it answered with less.
    "rules": schema_of(words=["rule", "mode", "answer"], counts=_RULE_COUNTS),
    "rule_pairs": schema_of(words=["rule", "other"], counts=["fraud", "good"]),
    "accounts": schema_of(words=["kind", "truth"], counts=_ACCOUNT_COUNTS),
    # Circuit breakers; missing where the policy has none. measured: millionths, or fen of a breaker of spend.
    "paged": schema_of(
        counts=["time_ms"],
        words=["called_at", "breaker", "measure", "campaign", "state"],
        counts_=["measured", "count"],
    ),
    "minutes": schema_of(
        counts=["time_ms", "payments", "declined", "exposures", "complaints", "claims", "refused", "spent"]
    ),
    # What went wrong; customers: whom it may have met; pieces: of a coupon, that were not there.
    "incidents": schema_of(
        words=["incident", "kind", "began_at"],
        counts=["begins_ms", "ends_ms"],
        sums=["fails", "complains", "asks"],
        counts_=["customers", "pieces"],
    ),
    # The support desk since launch; missing where the population has none. `first`: not repeated; `routine`, `closed`:
    # of those known at the end; `waiting`: at the end of the hour; `due`: decided, or older than 24 h.
    "contacts": schema_of(
        counts=["time_ms"],
        words=["day", "hour", "cause"],
        counts_=["came", "first", "in_time", "by_bot", "routine", "closed", "gave_up", "came_back", "waiting"],
    ),
    "appeals": schema_of(words=["what", "truth"], counts=["came", "due", "in_time", "upheld"]),
    "desk": schema_of(
        counts=["peak_ms"],
        words=["peak_day"],
        counts_=["hotline_seats", "video_seats", "reviewers", "seats_needed"],
    ),
    # Written from the manifest, so that every number of the report has a query.
    "run": schema_of(
        counts=["customers", "customer_base", "before_days", "campaign_days", "after_days", "events"],
        sums=["wall_s", "margin"],
        counts_=["shards"],
    ),
    "campaigns": schema_of(
        words=["campaign", "purpose", "topic", "channel", "goal", "coupon"],
        counts=["goal_window_ms", "value", "reward", "cost"],
        sums=["holdout_share"],
    ),
    "arms": schema_of(words=["campaign", "arm", "style", "colour"], sums=["share"]),
    "coupons": schema_of(
        counts=["declared"], words=["coupon", "kind", "validity", "budget", "urgency"], counts_=["pieces", "worst_cost"]
    ),
    # `from_share` … `until_share`: the payer's part of every discount, in millionths.
    "payers": schema_of(words=["coupon", "payer"], sums=["share"], counts=["from_share", "until_share"]),
    # What reviews planned: customers to be reached, as a share; the busiest minute, on the customer base.
    "reviews": schema_of(counts=["number"], words=["review"], dates=["first_date", "last_date"]),
    "review_plans": schema_of(words=["review", "plan", "whose"], sums=["planned"]),
    # kind: reach, capacity or goal; low, high: the region of the goal; over: the days the figure is of.
    "review_goals": schema_of(
        counts=["number"],
        words=["review", "kind", "goal", "metric", "verdict", "unit", "over", "query"],
        sums=["value", "low", "high"],
    ),
    # What a missed goal calls for; share: how much of it is whose.
    "follow_ups": schema_of(
        counts=["number", "goal_number"], words=["rule", "whose", "change", "command", "query"], sums=["share"]
    ),
    "expectations": schema_of(
        counts=["number"], words=["text", "verdict", "unit"], sums=["value", "low", "high"], counts_=["n"]
    ),
}
NULLABLE = {
    ("arms", "share"),
    *(("expectations", name) for name in ("value", "low", "high", "n")),
    *(("review_goals", name) for name in ("value", "low", "high")),
    ("follow_ups", "share"),
    *(("stock", name) for name in ("delivered", "left", "out_after_ms")),
    *(("stock_days", name) for name in ("delivered", "left")),
    *(("coupons", name) for name in ("pieces", "worst_cost")),
    ("budgets", "out_after_ms"),
    ("desk", "seats_needed"),
}
# Refunds, and coupons passed on, take away from cohorts of days long gone; a person may lose on goods sold on.
SIGNED = {"cohorts", "coupon_days", "accounts"}

# What names one row. Tables of disjoint customers add by these.
KEYS: dict[str, tuple[str, ...]] = {
    "waterfall": ("date", "phase", "campaign", "reason"),
    "decisions": ("date", "phase", "reason"),
    "cells": ("date", "phase", "campaign", "arm", "segment"),
    "population": ("date", "phase"),
    "touches": ("week", "touches"),
    "outcomes": ("campaign", "arm", "held_out"),
    "spend_bins": ("campaign", "arm", "held_out", "edge", "next_edge"),
    "moments": ("measure_a", "measure_b"),
    "programme": ("held_out", "measure_a", "measure_b"),
    "reach": ("date", "phase", "campaign"),
    "traffic": ("date", "phase", "clock", "time_ms"),
    "paths": ("from_page", "to_page"),
    "failures": ("kind", "where", "sentence"),
    "claims": ("date", "phase", "coupon", "answer"),
    "cohorts": ("date", "phase", "coupon", "since_launch", "young"),
    "coupon_days": ("date", "phase", "coupon"),
    "spend_days": ("date", "phase", "campaign", "held_out"),
    "rules": ("rule", "mode", "answer"),
    "rule_pairs": ("rule", "other"),
    "accounts": ("kind", "truth"),
}
OF_THE_LEDGER = ("stock", "stock_days", "budgets", "budget_days")  # one for all customers: nothing to add up
REQUIRED = (*KEYS, *OF_THE_LEDGER, "incidents")
# One worker's step, from one settlement to the next: how many rows of each log it has.
SETTLEMENT = np.dtype(
    [
        ("settlement", "i8"),  # from 1
        ("time_ms", "i8"),
        ("worker", "i8"),
        ("early", "i8"),  # events taken before the replies of the settlement before: those of a calendar moment
        ("events", "i8"),  # and decisions; the early ones included, which come first
        ("asks", "i8"),  # and receipts; `ask` of an event is its number among these
        ("lines", "i8"),  # `first_line` of an ask with a cart is its number among these
        ("origins", "i8"),  # `origin` of an event is its number among these
        ("enrolled", "i8"),  # accounts of crews that were opened; they do nothing before
        ("decided", "i8"),  # what persons decided: reviews, and who is let be
        ("replies", "i8"),
    ]
)
# A campaign about which a bulletin says something else than the one before.
BULLETIN = np.dtype(
    [
        ("settlement", "i8"),  # the latest, from 1
        ("campaign", "i2"),
        ("in_stock", "i1"),
        ("in_budget", "i1"),
        ("adopted", "i1"),  # 1: a policy was taken up after that settlement; before, all its campaigns are open
    ],
    align=True,
)
# An account of a crew, and since when it says it is a customer.
ENROLLED = np.dtype([("customer", "i8"), ("joined_ms", "i8")])
# Optional. Where there is a Ledger, they are in the order of the settlements, and in each of the workers.
RECORDED = {
    "events": EVENT,
    "decision_log": DECISION,
    "asks": ASK,
    "receipts": RECEIPT,
    "cart_lines": LINE,
    "origins": ORIGIN,
    "enrolled": ENROLLED,
    "decided": REQUEST,
    "settlements": SETTLEMENT,
    "replies": REPLY,
    "bulletins": BULLETIN,
}


def arrow_table(name: str, columns: Columns) -> pa.Table:
    """Columns as an Arrow table of the named schema; AssertionError says table, column, bound and what it got."""
    require(name in SCHEMAS, f"table {name!r} is not one of {', '.join(SCHEMAS)}")
    table = table_of(name, SCHEMAS[name], columns, {column for table, column in NULLABLE if table == name})
    _require_values(name, table)
    return table


def table_of(name: str, schema: pa.Schema, columns: Columns, nullable: Collection[str] = ()) -> pa.Table:
    """Columns as an Arrow table of any schema."""
    _require_columns(name, schema, columns)
    arrays = [_array(f"{name}.{f.name}", f.type, columns[f.name], f.name in nullable) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def added(name: str, *parts: Columns) -> dict[str, Any]:
    """Tables of disjoint groups of customers (shards, runs) added up by their keys."""
    require(name in KEYS, f"table {name!r} does not add up")
    keys = list(KEYS[name])
    whole = pa.concat_tables([arrow_table(name, part) for part in parts])
    measures = [column for column in whole.column_names if column not in keys]
    sums = whole.group_by(keys).aggregate([(column, "sum") for column in measures])
    sums = sums.rename_columns([column.removesuffix("_sum") for column in sums.column_names])
    return columns_of(sums.select(SCHEMAS[name].names).sort_by([(key, "ascending") for key in keys]))


def columns_of(table: pa.Table) -> dict[str, Any]:
    """An Arrow table as NumPy columns; words as object arrays, dates as datetime64[D]."""
    return {name: table[name].to_numpy() for name in table.column_names}


def record_schema(name: str) -> pa.Schema:
    """The schema of a recorded log, derived from the engine's own dtype."""
    dtype = RECORDED[name]
    return pa.schema([(field, pa.from_numpy_dtype(dtype[field])) for field in dtype.names or ()])


def record_batch(name: str, records: np.ndarray) -> pa.RecordBatch:
    """Structured records as one Arrow batch; field by field, because Arrow has no view on padded structs."""
    require(records.dtype == RECORDED[name], f"{name} wants records of its engine dtype (got {records.dtype})")
    schema = record_schema(name)
    return pa.record_batch([pa.array(np.ascontiguousarray(records[field])) for field in schema.names], schema=schema)


def require(holds: bool, sentence: str) -> None:
    """An assertion that stays on under `python -O`."""
    if not holds:
        raise AssertionError(sentence)


def _require_columns(name: str, schema: pa.Schema, columns: Columns) -> None:
    missing = [column for column in schema.names if column not in columns]
    extra = [column for column in columns if column not in schema.names]
    require(not missing, f"table {name}: missing column(s) {', '.join(missing)}")
    require(not extra, f"table {name}: unknown column(s) {', '.join(extra)}")
    lengths = {column: len(columns[column]) for column in schema.names}
    require(len(set(lengths.values())) == 1, f"table {name}: columns differ in length: {lengths}")


def _array(where: str, kind: pa.DataType, values: Sequence[Any] | np.ndarray, nullable: bool) -> pa.Array:
    array = np.asarray(values)
    if array.size == 0:
        return pa.array([], type=kind)  # an empty list has no type of its own
    if kind == _DATE and array.dtype.kind in "iu":
        array = dates(array)
    if kind == _COUNT and array.dtype.kind == "f":
        require(bool(np.all(array == np.floor(array))), f"{where} must be whole numbers (got fractions)")
        array = array.astype(np.int64)
    try:
        made = pa.array(values if array.dtype.kind in "OUST" else array, type=kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise AssertionError(f"{where} must be {kind} (got {array.dtype}: {error})") from error
    require(nullable or made.null_count == 0, f"{where} must not be empty in any row (got {made.null_count} empty)")
    if kind == _SUM and made.null_count == 0:
        require(bool(np.isfinite(made.to_numpy()).all()), f"{where} must be finite")
    return made


def dates(numbers: np.ndarray) -> np.ndarray:
    """Days written yyyymmdd, as the engine's calendar has them, as datetime64[D]."""
    words = [f"{number // 10_000:04d}-{number // 100 % 100:02d}-{number % 100:02d}" for number in numbers.tolist()]
    return np.array(words, dtype="datetime64[D]")


def _require_values(name: str, table: pa.Table) -> None:
    for column, allowed in (("phase", PHASES), ("reason", REASON_NAMES)):
        if column in table.column_names:
            unknown = sorted(set(table[column].to_pylist()) - set(allowed))
            require(not unknown, f"{name}.{column} must be one of {', '.join(allowed)} (got {', '.join(unknown)})")
    for field in table.schema:
        if field.type == _COUNT and len(table) and name not in SIGNED:
            values = table[field.name].drop_null().to_numpy()
            require(not len(values) or values.min() >= 0, f"{name}.{field.name} must be >= 0")
    if name in KEYS:
        rows = list(zip(*(table[key].to_pylist() for key in KEYS[name]), strict=True))
        require(len(set(rows)) == len(rows), f"table {name}: two rows share one {', '.join(KEYS[name])}")
