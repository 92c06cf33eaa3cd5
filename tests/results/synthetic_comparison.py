"""A seeded, made-up comparison whose tables agree with each other: policies by what they do to customers."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from results.comparison_store import write_comparison, write_table
from results.judgement import judged_rivals
from results.query import Database
from results.store import write_manifest

Ints = NDArray[np.int64]
Measures = dict[str, Ints]
Change = Callable[[Measures, np.random.Generator], None]
Row = dict[str, Any]

WORLDS, CUSTOMERS = 10, 2_000
SEGMENTS = ["new", "dormant", "valuable"]
MARGIN, COMPLAINT = 0.03, 3_000  # of spend; fen
CAMPAIGN, POPULAR = "first_use", "bill_day"
BEHAVIOURS = ("annoyance lasts", "share who click", "share who close", "spread of tastes")


def nothing(measures: Measures, rng: np.random.Generator) -> None:
    """The policy as it is."""


def gentler(measures: Measures, rng: np.random.Generator) -> None:
    """Fewer messages: fewer clicks and closes, customers spend more."""
    some = rng.random(CUSTOMERS) < 0.4
    for name, much in (("exposures", 1), ("clicks", 1), ("closes_and_mutes", 1), ("negatives", 1), ("spend", -2_000)):
        measures[name] = np.maximum(measures[name] - much * some, 0)
    measures["closing_value"] = measures["closing_value"] + 40 * some


def louder(measures: Measures, rng: np.random.Generator) -> None:
    """The opposite: more clicks, less value, more complaints."""
    some = rng.random(CUSTOMERS) < 0.5
    for name, much in (("exposures", 2), ("clicks", 1), ("closes_and_mutes", 1), ("negatives", 1), ("spend", -1_500)):
        measures[name] = np.maximum(measures[name] + much * some, 0)
    measures["complaints"] = measures["complaints"] + (rng.random(CUSTOMERS) < 0.05)
    measures["channel_cost"] = measures["channel_cost"] + 5 * some
    measures["rewards"] = measures["rewards"] + 2_000 * (rng.random(CUSTOMERS) < 0.02)
    measures["fraud_loss"] = measures["fraud_loss"] + 900 * (rng.random(CUSTOMERS) < 0.01)


def either_way(measures: Measures, rng: np.random.Generator) -> None:
    """Some spend more, as many less."""
    measures["spend"] = measures["spend"] + rng.normal(0, 60_000, CUSTOMERS).astype(np.int64)


def hardly(measures: Measures, rng: np.random.Generator) -> None:
    """A few fen, either way, for every customer."""
    measures["closing_value"] = measures["closing_value"] + rng.integers(-3, 4, CUSTOMERS)


def lived(seed: int, change: Change) -> Measures:
    """What the customers of one world did under a policy; the same people whatever the policy."""
    rng = np.random.default_rng(seed)
    exposures = rng.poisson(3, CUSTOMERS)
    measures = {
        "visits": rng.poisson(12, CUSTOMERS), "exposures": exposures, "clicks": rng.binomial(exposures, 0.4),
        "closes_and_mutes": rng.binomial(exposures, 0.4), "complaints": rng.binomial(exposures, 0.01),
        "conversions": rng.binomial(exposures, 0.05), "payments": rng.poisson(2, CUSTOMERS),
        "first_payments": rng.binomial(1, 0.1, CUSTOMERS), "instalments": np.zeros(CUSTOMERS, np.int64),
        "spend": (rng.gamma(2.0, 3_000, CUSTOMERS)).astype(np.int64),
        "rewards": 2_000 * rng.binomial(1, 0.02, CUSTOMERS),
        "channel_cost": exposures // 3, "fraud_loss": 900 * rng.binomial(1, 0.01, CUSTOMERS),
        "left_annoyed": rng.binomial(1, 0.01, CUSTOMERS),
        "closing_value": rng.gamma(3.0, 300, CUSTOMERS).astype(np.int64),
    }  # fmt: skip
    measures["negatives"] = measures["closes_and_mutes"] + measures["complaints"]
    change(measures, np.random.default_rng(seed + 1))
    costs = measures["rewards"] + measures["channel_cost"] + measures["fraud_loss"]
    costs = costs + measures.get("discounts", 0) + measures.get("liability", 0)
    measures["profit"] = (MARGIN * measures["spend"]).astype(np.int64) + measures["closing_value"] - costs
    measures["profit"] -= COMPLAINT * measures["complaints"]
    measures["before_visits"] = rng.poisson(9, CUSTOMERS)
    return measures


def sums(values: Ints) -> Row:
    return {"n": len(values), "total": float(values.sum()), "squares": float(np.sum(np.square(values.astype(float))))}


def differences(
    world: int, policy: str, against: str, a: Measures, b: Measures, of: str = ""
) -> tuple[list[Row], list[Row]]:
    rows, few = [], []
    segment = np.random.default_rng(world).integers(0, len(SEGMENTS), len(a["profit"]))
    for measure in a:
        d, key = (
            a[measure] - b[measure],
            {"world": world, "policy": policy, "against": against, "of": of, "measure": measure},
        )
        parts = [("", d)] + [(name, d[segment == at]) for at, name in enumerate(SEGMENTS) if not of]
        for name, part in parts:
            up, down = int(np.sum(part > 0)), int(np.sum(part < 0))
            rows.append({**key, "segment": name, **sums(part), "nonzero": up + down, "higher": up, "lower": down})
        if 0 < np.count_nonzero(d) < 200:
            few += [{**key, "difference": float(value)} for value in d[d != 0]]
    return rows, few


def reached_rows(world: int, rng: np.random.Generator) -> dict[str, list[Row]]:
    """The campaign's twins and arms among 400 reached customers, and its holdout."""
    rows: dict[str, list[Row]] = {"levels": [], "differences": [], "few": [], "holdouts": []}
    u, size = rng.random(400), 400
    outcomes = {
        f"shown_{CAMPAIGN}": u < 0.135, f"held_out_{CAMPAIGN}": u < 0.10, f"arm_{CAMPAIGN}_red": u < 0.13,
        f"arm_{CAMPAIGN}_orange": u < 0.14,
    }  # fmt: skip
    made = {}
    for policy, converted in outcomes.items():
        red = "red" in policy
        made[policy] = {
            "converted": converted.astype(np.int64), "profit": (converted * 3_000).astype(np.int64),
            "first_clicked": (u < (0.2 if red else 0.18)).astype(np.int64),
            "first_closed": (u > (0.7 if red else 0.75)).astype(np.int64),
        }  # fmt: skip
        for measure, values in made[policy].items():
            rows["levels"].append(
                {"world": world, "policy": policy, "of": CAMPAIGN, "measure": measure, **sums(values)}
            )
    pairs = [(f"shown_{CAMPAIGN}", f"held_out_{CAMPAIGN}"), (f"arm_{CAMPAIGN}_red", f"arm_{CAMPAIGN}_orange"),
             (f"arm_{CAMPAIGN}_orange", f"arm_{CAMPAIGN}_red")]  # fmt: skip
    for a, b in pairs:
        told, few = differences(world, a, b, made[a], made[b], CAMPAIGN)
        rows["differences"] += told
        rows["few"] += few
    for held_out in (False, True):
        for arm in ("red", "orange"):
            n = size // 4
            row: Row = {
                "world": world, "campaign": CAMPAIGN, "arm": arm, "held_out": held_out, "customers": n,
                "converted": int(rng.binomial(n, 0.1 if held_out else 0.135)),
                "first_clicked": int(rng.binomial(n, 0.2)), "first_closed": int(rng.binomial(n, 0.3)),
                "conversions": 0.0 if held_out else 0.16 * n,
            }  # fmt: skip
            rows["holdouts"].append(row)
    return rows


def tables(policies: Mapping[str, Change], reference: str, truth: bool, refusals: int = 0) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {
        name: [] for name in ("lives", "levels", "differences", "few", "phases", "by_campaign", "holdouts")
    }
    for world in range(1, WORLDS + 1):
        lives = {name: lived(1000 * world, change) for name, change in policies.items()}
        if truth:
            lives |= {
                f"shown_{CAMPAIGN}": lived(1000 * world, gentler),
                f"held_out_{CAMPAIGN}": lived(1000 * world, nothing),
            }
            for name, rows in reached_rows(world, np.random.default_rng(world)).items():
                found[name] += rows
        for name, measures in lives.items():
            key = {"world": world, "policy": name}
            found["lives"].append(
                {**key, "customers": CUSTOMERS, "events": 10 * CUSTOMERS, "shared_refusals": refusals, "digest": "a1"}
            )
            found["levels"] += [
                {**key, "of": "", "measure": measure, **sums(values)} for measure, values in measures.items()
            ]
            for campaign, much in ((CAMPAIGN, 1), (POPULAR, 2)):
                shows = int(measures["exposures"].sum()) * much // 3
                counts = {
                    "exposures": shows,
                    "conversions": shows // 20,
                    "lost_arbitration": shows // 30,
                    "total_cap": shows // 40,
                }
                found["by_campaign"].append({**key, "campaign": campaign, **counts})
            for phase, days in (("before", 28), ("campaign", 14), ("after", 28)):
                daily = 100 + world + (phase != "before") * (20 if name.startswith("shown") else 12)
                counted = {"first_payments": 150 + world, "payments": days * daily}
                found["phases"] += [
                    {**key, "phase": phase, "days": days, "measure": measure, "count": count}
                    for measure, count in counted.items()
                ]
        pairs = [(name, reference) for name in policies if name != reference]
        pairs += [(f"shown_{CAMPAIGN}", f"held_out_{CAMPAIGN}")] if truth else []
        for a, b in pairs:
            rows, few = differences(world, a, b, lives[a], lives[b])
            found["differences"] += rows
            found["few"] += few
    return found


def assumption_rows(rivals: list[str], draws: int = 50) -> tuple[list[Row], list[Row]]:
    """Holds unless annoyance lasts over about 20 days."""
    rng = np.random.default_rng(5)
    assumptions, results = [], []
    for draw in range(1, draws + 1):
        factors = dict(zip(BEHAVIOURS, np.exp((2 * rng.random(len(BEHAVIOURS)) - 1) * np.log(2)).tolist(), strict=True))
        for behaviour, factor in factors.items():
            days = behaviour == BEHAVIOURS[0]
            value, unit = (12 * factor, "days") if days else (factor, "times what is assumed")
            row = {"draw": draw, "behaviour": behaviour, "factor": factor, "value": value, "unit": unit}
            assumptions.append(row)
        holds = factors[BEHAVIOURS[0]] < 1.7
        d = 0.4 - 0.2 * factors[BEHAVIOURS[0]]
        key = {**blank("assumption_results"), "draw": draw, "difference": d, "holds": holds}
        results += [{**key, "policy": rival} for rival in rivals]
    return assumptions, results


def manifest(run_id: str, policies: list[str], truth: bool, **changes: Any) -> dict[str, Any]:
    campaigns = [
        {"name": CAMPAIGN, "goal": "first_use", "arms": [{"name": "red"}, {"name": "orange"}]},
        {"name": POPULAR, "goal": "payment", "arms": [{"name": "only"}]},
    ]
    return {
        "run_id": run_id, "kind": "comparison", "scenario": "first_use", "says": "", "reference": policies[0],
        "rivals": policies[1:], "truth": [CAMPAIGN] if truth else [],
        "goals": {CAMPAIGN: "first_use", POPULAR: "payment"},
        "goal": {"measure": "profit", "matters": "1%", "precision": None}, "worlds": WORLDS, "pilot": WORLDS,
        "guardrails": {"closes_and_mutes": 0.02, "complaints": 0.05}, "worlds_max": 40, "worlds_wanted": WORLDS,
        "stopped": "the interval is as narrow as was asked for", "early": False, "customers": CUSTOMERS,
        "customer_base": 10_000_000, "start": "2026-09-07", "before": 28, "days": 14, "after": 28, "seed": 7,
        "digest": "9f2c51d0a47be836", "segments": SEGMENTS, "campaigns": campaigns, "population": "bank_card",
        "calibration": "not calibrated", "known_case": False, "warnings": [], "wall_s": 12.5, "assumption_sets": 50,
        "command": "windtunnel compare first_use.scenario.yaml --seed 7", "expectations": [], "unit": "customer",
        "worth": {"margin": MARGIN, "complaint": COMPLAINT / 100, "horizon_days": 365}, **changes,
    }  # fmt: skip


def write_synthetic_comparison(
    runs: Path,
    run_id: str = "demo",
    policies: Mapping[str, Change] | None = None,
    truth: bool = True,
    shared_refusals: int = 0,
    **changes: Any,
) -> Path:
    """The first policy is the reference."""
    chosen = {"bank_card": nothing, "cap_3": gentler, "loud": louder} if policies is None else policies
    told = manifest(run_id, list(chosen), truth, **changes)
    rivals = told["rivals"]

    def finish(folder: Path) -> None:
        with Database(folder) as database:
            level = database.number("SELECT sum(total) / sum(n) / 100 FROM levels WHERE of = '' AND measure = 'profit'")
            rows, _ = judged_rivals(database, told, 0.01 * level, False)
        write_table(folder, "verdicts", rows)
        write_manifest(folder, {**told, "versions": {"numpy": "2"}})

    found = tables(chosen, told["reference"], truth, shared_refusals)
    assumptions, results = assumption_rows(rivals, told["assumption_sets"])
    expectation = {
        "number": 1,
        "text": "0 <= difference[cap_3/profit]",
        "verdict": "holds",
        "unit": "yuan",
        "value": 0.1,
    }
    for name in ("holdouts", "by_campaign"):
        found[name] = [{**blank(name), **row} for row in found[name]]
    found |= {"assumptions": assumptions, "assumption_results": results}
    folder = write_comparison(runs, told, found, {"policy.yaml": "policy: bank_card\n"}, finish)
    write_table(folder, "expectations", [expectation])
    return folder


def blank(table: str) -> Row:
    """Zeros for the columns that nothing here asks about."""
    from results.comparison_tables import COMPARISON_SCHEMAS

    return {field.name: 0 for field in COMPARISON_SCHEMAS[table] if str(field.type) in ("int64", "double")}
