"""The tables of a comparison's folder: columns, and the words for what a difference speaks of."""

import pyarrow as pa

from results.tables import CELL_COLUMNS, SCHEMAS, schema_of

MONEY = (
    "profit", "spend", "rewards", "discounts", "liability", "goods", "channel_cost", "fraud_loss", "closing_value",
    "window_spend", "before_spend",
)  # fmt: skip

FLAGS = ("left_annoyed", "first_payments", "converted", "first_clicked", "first_closed")  # once a customer, at most

_CONTRAST = ["policy", "against", "of", "measure"]

COMPARISON_SCHEMAS: dict[str, pa.Schema] = {
    # One row per world and branch: who lived, and whether they competed for anything.
    "lives": schema_of(counts=["world"], words=["policy"], counts_=["customers", "events", "shared_refusals"],
                       words_=["digest"]),
    # Sums of each measure over the customers spoken of: everybody, those a campaign reached, its assigned and held out.
    "levels": schema_of(counts=["world"], words=["policy", "of", "measure"], counts_=["n"], sums=["total", "squares"]),
    # Sums of differences, customer by customer; `segment` empty: all of them.
    "differences": schema_of(counts=["world"], words=[*_CONTRAST, "segment"], counts_=["n"], sums=["total", "squares"],
                             counts__=["nonzero", "higher", "lower"]),
    # Where fewer than 200 customers of a world differ: each difference that is not 0.
    "few": schema_of(counts=["world"], words=_CONTRAST, sums=["difference"]),
    "phases": schema_of(counts=["world"], words=["policy", "phase", "measure"], counts_=["days", "count"]),
    "by_campaign": schema_of(counts=["world"], words=["policy", "campaign"],
                             counts_=[*CELL_COLUMNS, "lost_arbitration", "total_cap"]),
    "by_coupon": schema_of(
        counts=["world"],
        words=["policy", "coupon"],
        sums=["granted", "redeemed", "expired", "discount"],
        counts_=["out_of_stock", "over_budget", "refused", "out_after_ms"],
    ),
    # What fraud rules said of whom, by policy; money in fen. Empty where nobody says where customers come from.
    "rules": pa.schema([("world", pa.int64()), ("policy", pa.string()), *SCHEMAS["rules"]]),
    "rule_pairs": pa.schema([("world", pa.int64()), ("policy", pa.string()), *SCHEMAS["rule_pairs"]]),
    "accounts": pa.schema([("world", pa.int64()), ("policy", pa.string()), *SCHEMAS["accounts"]]),
    "holdouts": pa.schema([("world", pa.int64()), *SCHEMAS["outcomes"]]),
    "spend_bins": pa.schema([("world", pa.int64()), *SCHEMAS["spend_bins"]]),
    "assumptions": schema_of(counts=["draw"], words=["behaviour"], sums=["factor", "value"], words_=["unit"]),
    "assumption_results": schema_of(counts=["draw"], words=["policy"], sums=["difference", "moved"], flags=["holds"]),
    "verdicts": schema_of(
        words=["policy", "against", "measure", "role", "word", "unit"],
        sums=["value", "low", "high", "level", "limit", "confidence"], counts=["worlds_needed", "n"],
        words_=["note"],
    ),
    "expectations": SCHEMAS["expectations"],
}  # fmt: skip
COMPARISON_NULLABLE = {("verdicts", name) for name in ("value", "low", "high", "level", "limit", "worlds_needed")} | {
    ("assumptions", "value"),
    ("by_coupon", "out_after_ms"),
}
