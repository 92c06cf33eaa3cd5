"""Tables of two coupons and a budget, small enough to reckon by hand."""

from typing import Any

from tests.results.synthetic import ALL_DATES, BEFORE, CAMPAIGNS, PHASE, synthetic_manifest, synthetic_tables

LAUNCH = BEFORE  # row of the first day
MANIFEST: dict[str, Any] = {
    "coupons": [
        {"name": "ten_off", "kind": "amount_off", "pieces": 100, "worst_cost": 1000, "validity": "7d after the claim",
         "budget": "spring", "urgency": "pieces", "payers": {"platform": 333_333, "merchant": 666_667}},
        {"name": "mail", "kind": "free_shipping", "pieces": None, "worst_cost": None, "validity": "without end",
         "budget": "", "urgency": "none", "payers": {"platform": 1_000_000}},
    ],
    "budgets": [{"name": "spring", "amount": 100_000}],
    "worth": {"margin": 0.1},
    "campaigns": [{**CAMPAIGNS[0], "coupon": "ten_off", "cost": 0}, *CAMPAIGNS[1:]],
    "primary": "first_use",
}  # fmt: skip

CLAIMS = [  # day after launch, coupon, answer, claims
    (0, "ten_off", "granted", 60), (0, "ten_off", "limit", 15), (1, "ten_off", "granted", 40),
    (1, "ten_off", "out_of_stock", 25), (-1, "ten_off", "limit", 500), (1, "mail", "granted", 10),
]  # fmt: skip
COHORTS = [  # day of issue, coupon, since launch, young, granted, redeemed, expired, returned, discount
    (-1, "mail", False, False, 8, 2, 1, 0, 1600), (-1, "mail", True, False, 0, 3, 2, 0, 2400),
    (0, "ten_off", True, False, 60, 33, 30, 3, 30_001), (1, "ten_off", True, True, 40, 30, 0, 0, 30_000),
    (1, "mail", True, False, 10, 4, 6, 0, 3_200),
]  # fmt: skip


def day(after_launch: int) -> dict[str, Any]:
    return {"date": ALL_DATES[LAUNCH + after_launch], "phase": str(PHASE[LAUNCH + after_launch])}


def columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def coupon_run() -> tuple[dict[str, Any], dict[str, Any]]:
    """(manifest, tables)."""
    cells = ("granted", "redeemed", "expired", "returned", "discount")
    tables: dict[str, Any] = synthetic_tables(customers=3_000)
    tables |= {
        "claims": columns([{**day(d), "coupon": c, "answer": a, "claims": n} for d, c, a, n in CLAIMS]),
        "cohorts": columns(
            [{**day(d), "coupon": c, "since_launch": since, "young": young, **dict(zip(cells, rest, strict=True))}
             for d, c, since, young, *rest in COHORTS]
        ),
        "stock": columns([
            {"coupon": "ten_off", "delivered": 100, "granted": 100, "left": 0, "out_after_ms": 9_000_000,
             "out_at": "2025-03-04 02:30:00"},
            {"coupon": "mail", "delivered": None, "granted": 18, "left": None, "out_after_ms": None, "out_at": ""},
        ]),
        "budgets": columns([
            {"budget": "spring", "amount": 100_000, "in_force": 100_000, "reserved": 10_000, "spent": 60_001,
             "overshoot": 0, "out_after_ms": None, "out_at": ""},
        ]),
        "budget_days": columns([
            {**day(d), "budget": "spring", "reserved": r, "spent": s, "in_force": 100_000}
            for d, r, s in ((0, 60_000, 0), (1, 70_000, 30_000))
        ]),
        "coupon_days": columns([
            {**day(d), "coupon": c, "discount": n}
            for d, c, n in ((0, "ten_off", 1_000), (1, "ten_off", 60_001), (0, "mail", 0), (1, "mail", 5_600))
        ]),
        "spend_days": columns([
            {**day(d), "campaign": "first_use", "held_out": held, "customers": n, "spend": float(n * mean),
             "squares": float(n * (mean**2 + 100**2))}
            for d, held, n, mean in ((0, False, 900, 100), (0, True, 800, 90), (1, False, 2_000, 1_000),
                                     (1, True, 1_500, 600))
        ]),
    }  # fmt: skip
    shop = {"orders": 70, "goods": 700_000, "lines": 140, "pieces": 210, "discounts": 63_601,
            "discounts_anyway": 15_900, "refunds": 3, "refunded": 12_345, "claims": 151, "lines_added": 7,
            "payment_amount": 763_601}  # fmt: skip
    for name, value in shop.items():
        tables["population"][name] = [value if place == LAUNCH else 0 for place in range(len(ALL_DATES))]
    add_moments(tables["moments"])
    return synthetic_manifest("coupons", 3_000, **MANIFEST), tables


# Of 3,000 customers each tenth: an order of two pieces for 100.00, 9.00 off, 0.50 still owed.
BOUGHT = {"orders": 1, "goods": 10_000, "pieces": 2, "discounts": 900, "liability": 50}


def add_moments(moments: dict[str, list[Any]]) -> None:
    names = list(BOUGHT)
    for place, a in enumerate(names):
        for b in names[place:]:
            row = (a, b, 3_000, 300.0 * BOUGHT[a], 300.0 * BOUGHT[b], 300.0 * BOUGHT[a] * BOUGHT[b])
            for name, value in zip(("measure_a", "measure_b", "n", "sum_a", "sum_b", "sum_ab"), row, strict=True):
                moments[name].append(value)
