"""Reviews: what is wrong with a plan is told, a phase counts its own days, and every follow-up can be simulated."""

import shlex
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.coupon_catalogue import MATURE
from results.metrics import estimates
from results.query import Database
from results.reviews import figures, reading
from results.store import Run
from scenarios.comparing import changes_of
from scenarios.follow_up_rules import Scene, gives_way, next_cap
from scenarios.follow_ups import TOO_HIGH, TOO_LOW, follow_ups
from scenarios.load import LoadedScenario, Options, load_scenario
from scenarios.reviews import judged_reviews
from scenarios.rivals import with_fields, without
from scenarios.run import RunOptions, run_scenario
from tests.results.test_report import Page, wrong_numbers
from tests.scenarios.shop import problems
from tests.scenarios.test_library import LIBRARY

SCENARIO = LIBRARY / "campaign_reviews.scenario.yaml"
DAYS = {"warm_up": ("2026-11-05", "2026-11-10"), "peak": ("2026-11-11", "2026-11-11")}


# --- as written -------------------------------------------------------------------------------------------------------
GOAL = "goals: [exposures >= 1]"
WRONG = [
    (f"reviews: {{warm_up: {{days: [3, 2], {GOAL}}}}}", "reviews.warm_up.days must be the first and the last day"),
    (f"reviews: {{peak: {{days: [1], {GOAL}}}}}", "reviews.peak.days must have at least 2 entries (got 1)"),
    (f"reviews: {{launch: {{days: [1, 1], {GOAL}}}}}", "must be one of warm_up, peak, close, feedback"),
    (f"reviews: {{warm_up: {{days: [1, 3], {GOAL}}}, peak: {{days: [3, 4], {GOAL}}}}}",
     "reviews.peak.days must begin after the last day of warm_up, 3 (got 3)"),
    (f"reviews: {{close: {{days: [1, 900], {GOAL}}}}}", "reviews.close.days[1] must be <= 732 (got 900)"),
    (f"reviews: {{close: {{days: [1, 500], {GOAL}}}}}", "reviews.close.days must end by day"),
    ("reviews: {close: {days: [1, 1]}}", "reviews.close must plan something: reach, capacity or goals"),
    ("reviews: {close: {days: [1, 1], reach: {sprong: 5%}}}", "reviews.close.reach.sprong must be one of the policy's"),
    ("reviews: {close: {days: [1, 1], goals: [clix >= 1]}}", "reviews.close.goals[0] must be one of the metrics"),
    ("reviews: {close: {days: [1, 1], goals: [exposures > 1]}}", "reviews.close.goals[0] must be a region"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "said"), WRONG)
def test_what_is_wrong_with_a_plan_is_told_with_its_line(written: str, said: str, tmp_path: Path) -> None:
    found = problems(tmp_path, [("spring.scenario.yaml", "days: 3\n", f"days: 3\n{written}\n")])
    assert any(said in sentence and "spring.scenario.yaml:" in sentence for sentence in found), found


def test_all_is_told_at_once(tmp_path: Path) -> None:
    both = "reviews:\n  peak:\n    days: [2, 1]\n    reach: {sprong: 5%}\n    goals: [clix >= 1]\n"
    assert len(problems(tmp_path, [("spring.scenario.yaml", "days: 3\n", f"days: 3\n{both}")])) == 3


# --- a run ------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def loaded() -> LoadedScenario:
    return load_scenario(SCENARIO, Options(customers=2_000))


@pytest.fixture(scope="module")
def run(loaded: LoadedScenario, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_scenario(loaded, RunOptions(out=tmp_path_factory.mktemp("runs"), inline=True)).run


def test_every_number_of_the_reviews_has_a_query_and_it_matches(run: Run) -> None:
    page = Page((run.folder / "report.html").read_text(encoding="utf-8"))
    assert [name for name in page.sections if name.startswith("review")] == [
        "reviews", "review-warm_up", "review-peak", "review-close", "review-feedback"
    ]  # fmt: skip
    assert wrong_numbers(run.folder) == []
    assert page.loose == []


def test_reach_and_traffic_are_those_that_others_count(run: Run) -> None:
    """Whom a campaign was shown to, by its analysis; and events by day."""
    reach, outcomes = run.table("reach"), run.table("outcomes")
    traffic, people = run.table("traffic"), run.table("population")
    for name in ("countdown", "call_back"):
        shown = outcomes["customers"][(outcomes["campaign"] == name) & ~outcomes["held_out"]].sum()
        assert reach["customers"][reach["campaign"] == name].sum() == shown > 0
    since = people["phase"] != "before"
    for day, events in zip(people["date"][since], people["events"][since], strict=True):
        assert traffic["decisions"][traffic["date"] == day].sum() == events
    assert traffic["claims"].sum() == people["claims"][since].sum()


def of_days(table: dict[str, Any], days: tuple[str, str]) -> np.ndarray:
    dates = table["date"].astype("datetime64[D]")
    return (dates >= np.datetime64(days[0])) & (dates <= np.datetime64(days[1]))


def test_a_phase_counts_its_own_days(run: Run) -> None:
    """Against sums over the rows of the tables; reach and stock stand at the end of the phase."""
    customers = run.manifest["customers"]
    cells, claims, reach = (run.table(name) for name in ("cells", "claims", "reach"))
    stock, people = run.table("stock_days"), run.table("population")
    with Database(run.folder) as database:
        read = partial(reading, database, figures(run.manifest), estimates(database, run.manifest))
        for days in DAYS.values():
            own, now, daily = of_days(cells, days), of_days(claims, days), of_days(people, days)
            until, shown = ("2000-01-01", days[1]), cells["exposures"] - cells["not_shown"]
            ours = own & (cells["campaign"] == "call_back")
            granted = now & (claims["coupon"] == "every_300_50") & (claims["answer"] == "granted")
            last = (stock["coupon"] == "gift_100_15") & of_days(stock, (days[1], days[1]))
            seen = of_days(reach, until) & (reach["campaign"] == "countdown")
            expected = {
                "exposures": shown[own].sum(),
                "exposures[call_back]": shown[ours].sum(),
                "click_rate[call_back]": cells["clicks"][ours].sum() / shown[ours].sum(),
                "complaints_per_10000": 10_000 * cells["complaints"][own].sum() / customers,
                "claims[every_300_50/granted]": claims["claims"][granted].sum(),
                "refused_share": 1 - claims["claims"][now & (claims["answer"] == "granted")].sum()
                / claims["claims"][now].sum(),
                "visits_per_customer": people["visits"][daily].sum() / customers,
                "visits_lost": people["visits_lost"][daily].sum(),
                "reach_share[countdown]": reach["customers"][seen].sum() / customers,
                "stock_left[gift_100_15]": (stock["left"][last] / stock["delivered"][last])[0],
            }  # fmt: skip
            for key, value in expected.items():
                assert read(key, *days).value == pytest.approx(float(value)), (key, days)
        assert read("profit_per_customer", *DAYS["peak"]).over == "the whole run"
        assert MATURE in read("redemption_rate[every_300_50]", *DAYS["peak"]).query  # as the metric itself


def test_a_page_says_what_its_goals_say(run: Run) -> None:
    """The same figure in a table of the warm-up's page and as a goal of those days; capacity on the customer base."""
    numbers = Page((run.folder / "report.html").read_text(encoding="utf-8")).numbers
    first, last = DAYS["warm_up"]

    def shown(column: str, *words: str) -> float:
        found = [n for n in numbers if n.get("data-query", "").startswith(f'SELECT "{column}"')
                 and all(word in n["data-query"] for word in words)]  # fmt: skip
        assert len(found) == 1, (column, len(found))
        return float(found[0]["data-value"])

    with Database(run.folder) as database:
        read = partial(reading, database, figures(run.manifest), estimates(database, run.manifest))
        loud, stock = read("complaints_per_10000[call_back]", first, last), read("stock_left[gift_100_15]", first, last)
    assert shown("rate", "cells", first, "'call_back'") == loud.value
    assert shown("share", "stock_days", last, "'gift_100_15'") == stock.value
    traffic = run.table("traffic")
    base = run.manifest["customer_base"] / run.manifest["customers"]
    busiest = traffic["decisions"][of_days(traffic, DAYS["warm_up"])].max() * base
    goal = next(row for row in run.manifest["review_goals"] if row["metric"] == "peak_decisions")
    minute = shown("minute", "traffic", first, "\"what\" IS NOT DISTINCT FROM 'decisions'")
    assert minute == pytest.approx(busiest) == goal["value"]


def goal_rows(run: Run, goals: list[str], **plans: Any) -> list[dict[str, Any]]:
    """What becomes of other goals for the days of the warm-up and the peak."""
    blocks = [
        {"review": name, "first_date": days[0], "last_date": days[1], "goals": goals,
         "plans": [{"plan": "reach", "whose": whose, "planned": 1.0} for whose in plans.get("reach", [])]
         + [{"plan": "capacity", "whose": what, "planned": 1.0} for what in plans.get("capacity", [])]}
        for name, days in DAYS.items()
    ]  # fmt: skip
    with Database(run.folder) as database:
        return judged_reviews(database, run.manifest | {"reviews": blocks})


def simulated(command: str, loaded: LoadedScenario) -> None:
    """Read a follow-up's command as the command line does, without living through it."""
    first, verb, *rest = shlex.split(command)
    assert first == "windtunnel"
    if verb == "bench":
        assert rest == ["--only", "engine"]
        return
    assert rest.pop(0) == str(SCENARIO)
    given: dict[str, list[str]] = {}
    for name, value in zip(rest[::2], rest[1::2], strict=True):
        given.setdefault(name, []).append(value)
    if verb == "run":
        assert load_scenario(SCENARIO, Options(set=changes_of(given.pop("--set")))) != loaded
    elif "--without" in given:
        without(given.pop("--without"), "without", loaded)
    else:
        assert with_fields(changes_of(given.pop("--set")), "changed", loaded).policy != loaded.policy
    given.pop("--worlds", None)
    assert given == {}


SCOPES = {"reach_share": "call_back", "exposures_per_customer": "countdown", "claims": "midnight_500_120/granted",
          "claim_rate": "gift_100_15", "coupons_granted": "every_300_50", "claims_received": "gift_100_15",
          "stock_left": "midnight_500_120", "redemption_rate": "gift_100_15", "coupons_redeemed": "gift_100_15",
          "budget_used": "double_eleven", "budget_spent": "double_eleven"}  # fmt: skip


def out_of_reach(names: Any, sign: str) -> list[str]:
    bound = {">=": "1000000000", "<=": "-1"}[sign]
    return [f"{name}[{SCOPES[name]}] {sign} {bound}" if name in SCOPES else f"{name} {sign} {bound}" for name in names]


def test_every_missed_goal_has_a_follow_up_that_can_be_simulated(run: Run, loaded: LoadedScenario) -> None:
    """All figures that a rule knows, too high and too low, and some that none knows."""
    known = {key.partition("[")[0] for key in figures(run.manifest)}
    high = [name for name in TOO_HIGH if name in known]
    low = [name for name in TOO_LOW if name in known]
    goals = [*out_of_reach([*high, "payments_per_customer"], "<="), *out_of_reach([*low, "profit_per_customer"], ">=")]
    rows = goal_rows(run, goals, reach=["countdown", "call_back"], capacity=["decisions", "claims"])
    missed = [row for row in rows if row["verdict"] == "missed"]
    assert len(missed) > 40
    manifest = run.manifest | {
        "reviews": [{"review": n, "first_date": d[0], "last_date": d[1]} for n, d in DAYS.items()]
    }
    with Database(run.folder) as database:
        plan = follow_ups(loaded, database, manifest, rows)
        for row in plan:
            assert row["query"] == "" or database.value(row["query"]) == row["share"], row
    assert [row["goal_number"] for row in plan] == [row["number"] for row in missed]
    rules = {row["rule"] for row in plan}
    assert {"cap", "leave_out", "spread", "more_pieces", "fewer_pieces", "mend", "breaker", "lower_threshold"} <= rules
    for command in {row["command"] for row in plan}:
        simulated(command, loaded)


def test_the_loudest_campaign_is_capped(run: Run) -> None:
    """The plan of the run itself: whose doing the missed goal was, by its own rows."""
    cells = run.table("cells")
    own = of_days(cells, DAYS["warm_up"])
    by_campaign = {name: int(cells["complaints"][own & (cells["campaign"] == name)].sum()) for name in
                   ("countdown", "call_back")}  # fmt: skip
    rows = [row for row in run.manifest["follow_ups"] if row["rule"] == "cap"]
    assert [row["whose"] for row in rows] == [max(by_campaign, key=lambda name: by_campaign[name])]
    assert rows[0]["share"] == pytest.approx(max(by_campaign.values()) / sum(by_campaign.values()))
    assert "campaigns.call_back.frequency={caps: [{most: 2, per: week}]}" in rows[0]["command"]


def test_caps_go_down_step_by_step(loaded: LoadedScenario) -> None:
    campaign, steps = loaded.policy.campaigns["call_back"], []
    while True:
        words, caps = next_cap(campaign)
        if not caps:
            break
        steps.append(words)
        rival = with_fields({"campaigns.call_back.frequency": caps}, "changed", loaded)
        campaign = rival.policy.campaigns["call_back"]
    assert steps == ["at most 2 a week", "at most 1 a week", "at most 1 in two weeks"]


def test_what_stands_in_the_way_gives_way(loaded: LoadedScenario) -> None:
    reasons = ("not_in_audience", "lost_arbitration", "total_cap", "held_out", "out_of_stock", "dwell", "condition")
    found = {
        (name, reason): gives_way(loaded.policy, name, reason) for name in loaded.policy.campaigns for reason in reasons
    }
    assert {key for key, change in found.items() if change is None} == {
        ("countdown", "not_in_audience"), ("countdown", "out_of_stock"), ("call_back", "held_out"),
        *((name, reason) for name in loaded.policy.campaigns for reason in ("dwell", "condition")),
    }  # fmt: skip
    for change in found.values():
        if change is not None:
            assert with_fields(change[1], "changed", loaded).policy != loaded.policy


def test_the_scene_names_whose_goal_it_is(run: Run, loaded: LoadedScenario) -> None:
    with Database(run.folder) as database:
        goal = {"metric": "claims[gift_100_15/granted]"}
        assert Scene(loaded, database, goal, *DAYS["peak"]).whose == "gift_100_15"


def test_a_run_cut_short_reviews_what_was_lived(loaded: LoadedScenario, tmp_path: Path) -> None:
    short = load_scenario(SCENARIO, Options(customers=300, days=3, after=0, before=0))
    run = run_scenario(short, RunOptions(out=tmp_path, inline=True)).run
    assert [(block["review"], block["last_date"]) for block in run.manifest["reviews"]] == [
        ("warm_up", str(date(2026, 11, 7)))
    ]
    assert wrong_numbers(run.folder) == []
