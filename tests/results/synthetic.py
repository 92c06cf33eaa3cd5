"""A seeded, made-up run whose tables agree with each other, for tests and for looking at reports."""

from pathlib import Path
from typing import Any

import numpy as np

from engine.records import Cell
from results.tables import REASON_NAMES, SCHEMAS

BEFORE, DAYS, AFTER = 28, 30, 28
SPAN = BEFORE + DAYS + AFTER
START = np.datetime64("2025-03-03")
SEGMENTS = ["high_risk", "new", "dormant", "valuable", "active", "other"]
ALL_DATES = START - BEFORE + np.arange(SPAN)
UNIVERSAL_SHARE = 100_000  # millionths
PHASE = np.array(["before"] * BEFORE + ["campaign"] * DAYS + ["after"] * AFTER)

CAMPAIGNS: list[dict[str, Any]] = [
    {
        "name": "first_use", "purpose": "activation", "topic": "first_use", "channel": "popup", "goal": "first_use",
        "goal_window_ms": 14 * 86_400_000, "holdout_share": 500_000, "holdout_sees": "nothing", "value": 3000,
        "reward": 2000,
        "arms": [
            {"name": "red", "style": "overlay", "colour": "red", "share": 400_000, "click": 0.20, "close": 0.22},
            {"name": "orange", "style": "overlay", "colour": "orange", "share": 300_000, "click": 0.185, "close": 0.19},
            {"name": "blue", "style": "overlay", "colour": "blue", "share": 300_000, "click": 0.178, "close": 0.17},
        ],
        "reach": 0.28, "base": 0.10, "lift": 0.035,
    },
    {
        "name": "top_up_bonus", "purpose": "transaction", "topic": "top_up", "channel": "popup", "goal": "top_up",
        "goal_window_ms": 7 * 86_400_000, "holdout_share": 100_000, "holdout_sees": "next_best", "value": 800,
        "reward": 500,
        "arms": [{"name": "plain", "style": "full_screen", "colour": "blue", "share": 1_000_000, "click": 0.06,
        "close": 0.3}],
        "reach": 0.45, "base": 0.2, "lift": 0.004,
    },
    {
        "name": "bill_ready", "purpose": "service", "topic": "bill", "channel": "push", "goal": "bill_viewed",
        "goal_window_ms": 3 * 86_400_000, "holdout_share": 0, "holdout_sees": "nothing", "value": 20, "reward": 0,
        "arms": [{"name": "plain", "style": "plain", "colour": "", "share": 1_000_000, "click": 0.25, "close": 0.02}],
        "reach": 0.6, "base": 0.3, "lift": 0.1,
    },
]  # fmt: skip


def exposures_of(
    rng: np.random.Generator, customers: int, campaign: dict[str, Any], past: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """One row per exposure or ghost: customer, day, arm, held out, what became of it; and one flag per customer."""
    chosen = np.flatnonzero((rng.random(customers) < campaign["reach"]) & ~past["apart"])
    held = rng.random(len(chosen)) < campaign["holdout_share"] / 1e6
    arms = campaign["arms"]
    arm = rng.choice(len(arms), len(chosen), p=[a["share"] / 1e6 for a in arms])
    times = 1 + rng.poisson(1.6, len(chosen))
    who = np.repeat(np.arange(len(chosen)), times)
    day = rng.integers(BEFORE, SPAN, len(who))
    click = np.array([a["click"] for a in arms])[arm][who] * (1.15 - 0.4 * (day - BEFORE) / SPAN)
    close = np.array([a["close"] for a in arms])[arm][who] * (0.9 + 0.4 * (day - BEFORE) / SPAN)
    u = rng.random(len(who))
    real = ~held[who]
    clicked, closed = real & (u < click), real & (u > 1 - close)
    base = campaign["base"] * past["activity"][chosen]
    converted = rng.random(len(chosen)) < base + np.where(held, 0.0, campaign["lift"])
    first = np.r_[True, who[1:] != who[:-1]]
    return {
        "customer": chosen[who], "who": who, "day": day, "arm": arm[who], "real": real, "clicked": clicked,
        "closed": closed,
        "muted": closed & (rng.random(len(who)) < 0.12), "complained": closed & (rng.random(len(who)) < 0.01),
        "snoozed": real & (u > 0.5) & (u < 0.53),
        "taken_back": real & (rng.random(len(who)) < 0.005) & ~clicked & ~closed,
        "converted": first & converted[who] & real, "entered": chosen, "held": held, "entered_arm": arm,
        "goal": converted,
    }  # fmt: skip


def synthetic_tables(
    seed: int = 11, customers: int = 20_000, campaigns: list[dict[str, Any]] = CAMPAIGNS
) -> dict[str, dict[str, Any]]:
    return synthetic_run(seed, customers, campaigns)[0]


def synthetic_run(
    seed: int = 11, customers: int = 20_000, campaigns: list[dict[str, Any]] = CAMPAIGNS
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, np.ndarray]]]:
    """Tables, and what they are sums of: columns by customer, of each campaign's reached and of all (`""`)."""
    rng = np.random.default_rng(seed)
    segment = rng.choice(len(SEGMENTS), customers, p=[0.02, 0.3, 0.15, 0.13, 0.25, 0.15])
    past = _past(np.random.default_rng([seed, 1]), customers)
    logs = {campaign["name"]: exposures_of(rng, customers, campaign, past) for campaign in campaigns}
    reached = {campaign["name"]: _reached(rng, logs[campaign["name"]], past) for campaign in campaigns}
    everybody = _everybody(rng, logs, past)
    waterfall = _waterfall(rng, logs)
    tables = {
        "waterfall": waterfall,
        "decisions": _decisions(waterfall),
        "cells": _cells(logs, campaigns, segment),
        "population": _population(rng, logs, customers),
        "touches": _touches(logs, customers),
        "outcomes": _outcomes(reached, campaigns),
        "spend_bins": _spend_bins(reached, campaigns),
        "moments": _moments(everybody, [()]),
        "programme": _moments(everybody, [(False,), (True,)]),
        "paths": _paths(rng),
        "failures": {
            "kind": ["decision late"], "where": ["shard 0"], "count": [3],
            "sentence": ["3 events came after a later one of their customer and were taken at that later time."],
        },
        **without_coupons(),
    }  # fmt: skip
    return tables, {**reached, "": everybody}


COUPON_TABLES = ("claims", "cohorts", "coupon_days", "spend_days", "stock", "stock_days", "budgets", "budget_days")
REVIEW_TABLES = ("reach", "traffic", "incidents")
FRAUD_TABLES = ("rules", "rule_pairs", "accounts")
SHOPPING = ("claims", "orders", "goods", "lines", "pieces", "lines_added", "discounts", "discounts_anyway", "refunds",
            "refunded", "visits_lost", "claims_unanswered", "payments_failed")  # fmt: skip


def without_coupons() -> dict[str, dict[str, Any]]:
    """The tables of a policy that has none, and no fraud rules, in a run without reviews."""
    names = (*COUPON_TABLES, *FRAUD_TABLES, *REVIEW_TABLES)
    return {name: {column: [] for column in SCHEMAS[name].names} for name in names}


def _past(rng: np.random.Generator, customers: int) -> dict[str, np.ndarray]:
    """Who is how active (mean 1), what that came to before launch, and who is held out of everything."""
    activity = rng.gamma(2, 0.5, customers)
    visits = rng.poisson(12 * activity)
    spend = rng.poisson(0.5 * activity) * rng.lognormal(8.5, 0.6, customers).astype(int)
    apart = rng.random(customers) < UNIVERSAL_SHARE / 1e6
    return {"activity": activity, "before_visits": visits, "before_spend": spend, "apart": apart}


def synthetic_manifest(
    run_id: str = "demo", customers: int = 20_000, campaigns: list[dict[str, Any]] = CAMPAIGNS, **changes: Any
) -> dict[str, Any]:
    hidden = ("reach", "base", "lift")
    shown = [{k: v for k, v in c.items() if k not in hidden} for c in campaigns]
    return {
        "run_id": run_id, "scenario": "first_use", "policy": "bank_card.yaml", "baseline": "bank_card_before.yaml",
        "population": "card_holders.yaml", "seed": 20250303, "replication": 0, "digest": "9f2c51d0a47be836",
        "customers": customers,
        "customer_base": 1_000_000, "start": str(START), "days": DAYS, "before": BEFORE, "after": AFTER,
        "universal_holdout_share": UNIVERSAL_SHARE,
        "zone": "Asia/Shanghai", "segments": SEGMENTS, "campaigns": shown, "wall_s": 41.7, "events": 3_412_907,
        "command": "python windtunnel.py run scenarios/library/first_use.scenario.yaml --seed 20250303",
        "known_case": True,
        "calibration": "not calibrated", "shards": 2, "inline": False,
        "primary": campaigns[0]["name"] if campaigns else None,
        "warnings": ["bank_card.yaml:88: campaign top_up_bonus has a holdout of 10 %: its interval will be wide"],
        "expectations": [
            {"text": "relative_lift[first_use] between 33 % and 37 %", "verdict": "undecided", "value": 0.349,
             "low": 0.27,
             "high": 0.44, "n": 5600, "unit": "share"},
            {"text": "complaint_rate < 0.5 %", "verdict": "holds", "value": 0.0021, "low": 0.0016, "high": 0.0027,
             "n": 20000,
             "unit": "share"},
            {"text": "left_annoyed < 0.1 %", "verdict": "fails", "value": 0.0132, "low": 0.0117, "high": 0.0149,
             "n": 20000,
             "unit": "share"},
        ],
        **changes,
    }  # fmt: skip


def write_synthetic(runs: Path, run_id: str = "demo", **changes: Any) -> Path:
    from results.store import write_run

    manifest = synthetic_manifest(run_id, **changes)
    return write_run(runs, manifest, synthetic_tables(), {"policy.yaml": "policy: bank_card\n"})


def _columns(names: list[str], rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


_LOSSES = {
    "outside_window": 0.3, "not_in_audience": 14.0, "condition": 2.0, "protected_page": 0.9, "closed_on_page": 0.35,
    "dwell": 3.0, "muted": 0.4, "snoozed": 0.1, "quiet_hours": 0.8, "back_off": 0.3, "cool_down": 1.9,
    "campaign_cap": 0.7,
    "channel_cap": 0.5, "total_cap": 0.25, "lost_arbitration": 1.1, "personalisation_off": 0.2, "minor": 0.1,
}  # fmt: skip


def _waterfall(rng: np.random.Generator, logs: dict[str, dict[str, np.ndarray]]) -> dict[str, Any]:
    rows = []
    for name, log in logs.items():
        counts = {
            "shown": np.bincount(log["day"][log["real"]], minlength=SPAN),
            "held_out": np.bincount(log["day"][~log["real"]], minlength=SPAN),
        }
        mean = len(log["day"]) / (DAYS + AFTER)
        for reason, factor in _LOSSES.items():
            counts[reason] = rng.poisson(mean * factor, SPAN) * (np.arange(SPAN) >= BEFORE)
        for reason in REASON_NAMES:
            if reason in counts:
                rows += [(ALL_DATES[d], PHASE[d], name, reason, int(n)) for d, n in enumerate(counts[reason]) if n]
    return _columns(["date", "phase", "campaign", "reason", "candidates"], rows)


def _decisions(waterfall: dict[str, Any]) -> dict[str, Any]:
    totals: dict[tuple[Any, str, str], int] = {}
    for date, phase, reason, n in zip(*(waterfall[k] for k in ("date", "phase", "reason", "candidates")), strict=True):
        key = (date, phase, reason)
        totals[key] = totals.get(key, 0) + (n if reason == "shown" else n // 2)
    rows = [(*key, n) for key, n in totals.items()] + [
        (ALL_DATES[d], PHASE[d], "no_candidate", 90_000) for d in range(SPAN)
    ]
    return _columns(["date", "phase", "reason", "decisions"], rows)


def _cells(
    logs: dict[str, dict[str, np.ndarray]],
    campaigns: list[dict[str, Any]],
    segment: np.ndarray,
) -> dict[str, Any]:
    rows = []
    flags = {
        "exposures": "real", "clicks": "clicked", "closes": "closed", "mutes": "muted", "snoozes": "snoozed",
        "complaints": "complained", "negatives": "closed", "conversions": "converted", "not_shown": "taken_back",
    }  # fmt: skip
    for campaign in campaigns:
        log = logs[campaign["name"]]
        arms = len(campaign["arms"])
        cell = (log["day"] * arms + log["arm"]) * len(SEGMENTS) + segment[log["customer"]]
        size = SPAN * arms * len(SEGMENTS)
        sums = {name: np.bincount(cell, log[flag], size).astype(int) for name, flag in flags.items()}
        sums["ghosts"] = np.bincount(cell, ~log["real"], size).astype(int)
        sums["conversion_value"] = sums["conversions"] * campaign["value"]
        for at in np.flatnonzero(np.bincount(cell, minlength=size)):
            day, arm, seg = at // len(SEGMENTS) // arms, at // len(SEGMENTS) % arms, at % len(SEGMENTS)
            key = (ALL_DATES[day], PHASE[day], campaign["name"], campaign["arms"][arm]["name"], SEGMENTS[seg])
            rows.append((*key, *(int(sums[c.name.lower()][at]) for c in Cell)))
    return _columns(["date", "phase", "campaign", "arm", "segment", *(c.name.lower() for c in Cell)], rows)


def _population(rng: np.random.Generator, logs: dict[str, dict[str, np.ndarray]], customers: int) -> dict[str, Any]:
    days = np.arange(SPAN)
    week = 1 + 0.25 * np.isin((days + 0) % 7, (4, 5))
    left = rng.poisson(customers * 0.0004, SPAN) * (days >= BEFORE)
    dropped = rng.poisson(customers * 0.0025, SPAN) * (days >= BEFORE)
    active = customers - np.cumsum(left + dropped)
    visits = rng.poisson(active * 0.42 * week)
    none = np.zeros(SPAN)
    total = {
        name: sum((np.bincount(g["day"], g[flag] & ~g["taken_back"], SPAN) for g in logs.values()), none).astype(int)
        for name, flag in (("exposures", "real"), ("clicks", "clicked"), ("negatives", "closed"))
    }
    columns: dict[str, Any] = {
        "date": ALL_DATES,
        "phase": PHASE.tolist(),
        "launched": np.full(SPAN, customers),
        "active": active,
    }
    columns |= {"left_annoyed": left, "dropped_out": dropped, "visits": visits, "page_views": rng.poisson(visits * 3.6)}
    columns |= {"dwell_ms": visits * rng.integers(61_000, 66_000, SPAN), "logins": rng.poisson(visits * 0.8)}
    columns |= {"payments": rng.poisson(visits * 0.2), "payment_amount": rng.poisson(visits * 0.2 * 6_800)}
    means: dict[str, Any] = {"first_payments": 22 + 9 * (days >= BEFORE), "cards_bound": 31 + 4 * (days >= BEFORE),
    "top_ups": 90,
             "features_used": 140, "bills_viewed": 200, "induced_added": 8, "induced_brought_forward": 5,
             "instalments": 17, "induced_switched": 4, "lost_payments": 3}  # fmt: skip
    columns |= {name: rng.poisson(mean * np.ones(SPAN)) for name, mean in means.items()}
    return {**columns, **total, "events": visits * 9, **{name: np.zeros(SPAN, int) for name in SHOPPING}}


def _touches(logs: dict[str, dict[str, np.ndarray]], customers: int) -> dict[str, Any]:
    rows = []
    for week in range((DAYS + AFTER + 6) // 7):
        touched = np.zeros(customers, int)
        for log in logs.values():
            inside = log["real"] & ((log["day"] - BEFORE) // 7 == week)
            touched += np.bincount(log["customer"][inside], minlength=customers)
        counts = np.bincount(np.minimum(touched, 20), minlength=21)
        rows += [(week, n, int(counts[n])) for n in range(21) if counts[n]]
    return _columns(["week", "touches", "customers"], rows)


def _reached(
    rng: np.random.Generator, log: dict[str, np.ndarray], past: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Columns of the customers a campaign reached."""
    size, who = len(log["entered"]), log["entered"]
    real = log["real"] & ~log["taken_back"]
    first = np.r_[True, log["who"][1:] != log["who"][:-1]]
    return {
        "arm": log["entered_arm"], "held_out": log["held"],
        "converted": log["goal"].astype(int), "goals": log["goal"] * (1 + rng.poisson(0.3, size)),
        "spend": rng.poisson(1.1 * past["activity"][who]) * rng.lognormal(8.5, 0.9, size).astype(int),
        "exposures": np.bincount(log["who"], real, size), "clicks": np.bincount(log["who"], log["clicked"], size),
        "negatives": np.bincount(log["who"], log["closed"], size),
        "conversions": np.bincount(log["who"], log["converted"], size),
        "first_clicked": log["clicked"][first].astype(int), "first_closed": log["closed"][first].astype(int),
        "before_visits": past["before_visits"][who], "before_spend": past["before_spend"][who],
    }  # fmt: skip


def _groups(
    reached: dict[str, dict[str, np.ndarray]], campaigns: list[dict[str, Any]]
) -> list[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Keys and columns by campaign, arm and whether held out, of those that are not empty."""
    found = []
    for campaign in campaigns:
        x = reached[campaign["name"]]
        for number, arm in enumerate(campaign["arms"]):
            for held in (False, True):
                of = (x["arm"] == number) & (x["held_out"] == held)
                key = {"campaign": campaign["name"], "arm": arm["name"], "held_out": held}
                found += [(key, {name: column[of] for name, column in x.items()})] if of.any() else []
    return found


def _outcomes(reached: dict[str, dict[str, np.ndarray]], campaigns: list[dict[str, Any]]) -> dict[str, Any]:
    rows = []
    for key, x in _groups(reached, campaigns):
        row: dict[str, Any] = {**key, "customers": len(x["arm"])}
        for name in SCHEMAS["outcomes"].names[len(row) :]:
            row[name] = float(np.prod([x[factor] for factor in _factors(name)], axis=0, dtype=float).sum())
        rows.append(row)
    return {name: [row[name] for row in rows] for name in SCHEMAS["outcomes"].names}


def _factors(name: str) -> tuple[str, ...]:
    """What a column of outcomes is the sum of: spend, spend_squared, exposures_clicks, spend_x_before_visits."""
    if name.endswith("_squared"):
        return (name.removesuffix("_squared"),) * 2
    if "_x_" in name:
        return tuple(name.split("_x_"))
    return ("exposures", name.removeprefix("exposures_")) if name.startswith("exposures_") else (name,)


EDGES = [0, *np.unique((2.0 ** (np.arange(0, 124) / 4)).astype(np.int64)).tolist()]


def _spend_bins(reached: dict[str, dict[str, np.ndarray]], campaigns: list[dict[str, Any]]) -> dict[str, Any]:
    rows = []
    for key, x in _groups(reached, campaigns):
        bins = np.searchsorted(EDGES, x["spend"], "right") - 1
        for place in np.unique(bins).tolist():
            spend = x["spend"][bins == place].astype(float)
            inside = (EDGES[place], EDGES[place + 1], len(spend), spend.sum(), (spend**2).sum())
            rows.append((*key.values(), *inside))
    return _columns(SCHEMAS["spend_bins"].names, rows)


MEASURES = (
    "visits", "exposures", "clicks", "negatives", "complaints", "conversions", "payments", "instalments", "spend",
    "rewards", "channel_cost", "fraud_loss", "left_annoyed", "closing_value", "profit", "before_visits",
    "before_spend",
)  # fmt: skip


def _everybody(
    rng: np.random.Generator, logs: dict[str, dict[str, np.ndarray]], past: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Columns of all customers at launch: MEASURES, and `held_out` of everything."""
    activity, apart = past["activity"], past["apart"]
    size = len(activity)
    x: dict[str, np.ndarray] = {"held_out": apart, "visits": rng.poisson(20 * activity).astype(float)}
    flags = {"exposures": "real", "clicks": "clicked", "negatives": "closed", "conversions": "converted",
             "complaints": "complained"}  # fmt: skip
    for name, flag in flags.items():
        counted = (np.bincount(g["customer"], g[flag] & ~g["taken_back"], size) for g in logs.values())
        x[name] = sum(counted, np.zeros(size))
    x["payments"] = rng.poisson(x["visits"] * np.where(apart, 0.18, 0.2)).astype(float)
    x["instalments"] = rng.binomial(x["payments"].astype(int), 0.08).astype(float)
    x["spend"] = x["payments"] * rng.lognormal(8.5, 0.6, size).astype(int)
    x["rewards"], x["channel_cost"] = 2000 * x["conversions"], 5 * x["exposures"]
    x["fraud_loss"] = 300_000.0 * (rng.random(size) < 0.0004)
    x["left_annoyed"] = (rng.random(size) < np.where(apart, 0.0, 0.013)).astype(float)
    x["closing_value"] = np.floor(900 * activity * (1 - x["left_annoyed"]))
    costs = x["rewards"] + x["channel_cost"] + x["fraud_loss"] + 3000 * x["complaints"]
    x["profit"] = np.floor(0.02 * x["spend"]) - costs + x["closing_value"]
    return {**x, **{name: past[name].astype(float) for name in ("before_visits", "before_spend")}}


def _moments(x: dict[str, np.ndarray], groups: list[tuple[bool, ...]]) -> dict[str, Any]:
    """Sums over customers; by whether held out of everything, or of all where a group has no key."""
    rows: list[tuple[Any, ...]] = []
    for group in groups:
        of = x["held_out"] == group[0] if group else np.ones(len(x["held_out"]), bool)
        y = {name: x[name][of] for name in MEASURES}
        rows += [
            (*group, a, b, int(of.sum()), float(y[a].sum()), float(y[b].sum()), float((y[a] * y[b]).sum()))
            for i, a in enumerate(MEASURES) for b in MEASURES[i:]
        ]  # fmt: skip
    return _columns([*(["held_out"] if groups[0] else []), *SCHEMAS["moments"].names], rows)


def _paths(rng: np.random.Generator) -> dict[str, Any]:
    pages = ["home", "balance", "bill", "offers", "card", "pay", "payment_confirm", "receipt"]
    rows = [("enter", page, int(rng.integers(500, 90_000)), 0) for page in pages[:4]]
    for a in pages:
        for b in [*pages, "leave"]:
            if a != b and rng.random() < 0.6:
                moves = int(rng.integers(200, 60_000))
                rows.append((a, b, moves, moves * int(rng.integers(4_000, 30_000))))
    return _columns(["from_page", "to_page", "moves", "dwell_ms"], rows)
