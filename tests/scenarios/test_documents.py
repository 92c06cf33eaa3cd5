"""Populations and scenarios: every way to break one, with the exact sentence it earns and the line it names."""

from pathlib import Path

import pytest

from engine.policy.yaml_source import DocumentError
from engine.records import CAMPAIGNS_MAX
from scenarios.build import doubts
from scenarios.load import Options, load_scenario
from scenarios.rivals import variants
from sim.pages import DWELL_PLACES, PLACES_PER_VIEW
from tests.scenarios.shop import POLICY, POPULATION, Edit, loaded, problems, write_shop

LIBRARY = Path(__file__).resolve().parents[2] / "scenarios" / "library"
POP, SCE, POL = "people.yaml", "spring.scenario.yaml", "policy.yaml"
CAMPAIGNS = "the policy's campaigns: spring, bill_ready"


def test_the_base_and_the_library_are_right(tmp_path: Path) -> None:
    assert problems(tmp_path, []) == []
    scenarios = sorted(LIBRARY.glob("*.scenario.yaml"))
    assert len(scenarios) >= 6
    for path in scenarios:
        assert load_scenario(path).expectations, path


# One edit (old → new) of the population each, and everything that is then said.
POPULATIONS: list[tuple[str, str, list[str]]] = [
    # --- fields -------------------------------------------------------------------------------------------------------
    ("per_day: 1\n", "per_day: 0\n", ["3: visits.per_day must be > 0 (got 0)"]),
    ("per_day: 1\n", "per_day: 5\n", ["3: visits.per_day must be <= 4 (got 5)"]),
    ("per_day: 1\n", "per_day: 1\n  shape: 0.01\n", ["4: visits.shape must be >= 0.05 (got 0.01)"]),
    ("hours: [0, ", "hours: [", ["4: visits.hours must have at least 24 entries (got 23)"]),
    ("hours: [0, ", "hours: [-1, ", ["4: visits.hours[0] must be >= 0 (got -1)"]),
    ("home: {stays: 20s", "home: {stays: 400ms", ["7: pages.home.stays must be >= 500ms (got 400ms)"]),
    ("home: {stays: 20s", "home: {stays: 2h", ["7: pages.home.stays must be <= 1h (got 2h)"]),
    ("event: bill_viewed", "event: bill_seen", [
        ("8: pages.bill.event must be one of balance_query, bill_viewed, card_bound, instalment, payment, claim, "
         "checkout, order (got bill_seen)")
    ]),
    ("  r: 0.8", "  r: 0", ["14: purchases.r must be >= 0.05 (got 0)"]),
    ("q: 4,", "q: 1,", ["18: purchases.amount.q must be > 1 (got 1)"]),
    ("first_use_per_day: 0.02", "first_use_per_day: 2", ["19: cards.first_use_per_day must be <= 1 (got 2)"]),
    ("unused: 20%", "unused: 120%", ["19: cards.unused must be <= 100% (got 120%)"]),
    ("unused: 20%", "unused: 20", ["19: cards.unused must be a share like 5% or 0.5% (got 20)"]),
    ("unused: 20%", "points: 10000001", ["19: cards.points must be <= 10000000 (got 10000001)"]),
    ("{push: 80%}", "{phone: 80%}", [
        "27: customers.consents.phone must be one of push, sms, email, voice (got phone)"
    ]),
    ("leaving: 0.01", "leaving: 1.5", ["29: annoyance.leaving must be <= 1 (got 1.5)"]),
    ("half_life: 10d", "half_life: 0s", ["29: annoyance.half_life must be >= 1min (got 0s)"]),
    ("does: payment", "does: pay", [
        ("31: topics.offers.does must be one of payment, top_up, bill_viewed, feature_used, card_bound, instalment"
        " (got pay)")
    ]),
    ("acts: 50%, ", "", ["31: topics.offers.acts must be given"]),
    ("cities: {beijing", "citys: {beijing", [
        "20: customers.cities must be given",
        ("24: customers.citys must not be here (did you mean 'cities'? known: joined_within, ages, female, cities,"
         " tiers, tags, consents, personalisation_off, likely_minor, high_risk, logs_in_from_elsewhere)"),
    ]),
    # --- between fields -----------------------------------------------------------------------------------------------
    ("1, 2, 3, 4, 4, 4, 5, 4, 3, 3, 3, 4, 5, 6, 6, 5, 3, 1]", ", ".join("0" * 18) + "]", [
        "4: visits.hours must have an hour above 0 (got 0 in all 24)"
    ]),
    ("leads: {bill: 0.2}", "leads: {bill: 0.7, home: 0.4}", [
        "7: pages.home.leads must add up to at most 1, the rest leaves (got 1.1)"
    ]),
    ("leads: {bill: 0.2}", "leads: {bil: 0.2}", [
        "7: pages.home.leads.bil must be one of pages: home, bill, pay, done (got bil, did you mean bill?)"
    ]),
    ("enters: {home: 0.9", "enters: {hom: 0.9", [
        "5: enters.hom must be one of pages: home, bill, pay, done (got hom, did you mean home?)"
    ]),
    ("{home: 0.9, bill: 0.1}", "{home: 0}", ["5: enters must have a page above 0 (got 0 for all)"]),
    ("purchase_path: [pay, done]", "purchase_path: [cart, done]", [
        "11: purchase_path[0] must be one of pages: home, bill, pay, done (got cart)"
    ]),
    ("purchase_path: [pay, done]", "purchase_path: [pay, pay, done]", [
        "11: purchase_path[1] must be given once (got pay again)"
    ]),
    ("done: {stays: 5s, event: payment}", "done: {stays: 5s}", [
        "10: pages.done.event must be payment, for purchase_path ends here (got nothing)"
    ]),
    ("done: {stays: 5s, event: payment}", "done: {stays: 5s, event: bill_viewed}", [
        "10: pages.done.event must be payment, for purchase_path ends here (got bill_viewed)"
    ]),
    ("pay: {stays: 5s}", "pay: {stays: 5s, event: payment}", [
        "9: pages.pay.event must not be payment, for purchase_path goes on to done (got payment)"
    ]),
    ("alpha: 2\n", "alpha: 0.001\n", [
        "15: purchases.alpha must give at most 10 purchases a day on average, r / alpha (got 114.286)"
    ]),
    ("gamma: 150", "gamma: 99999999", [
        "18: purchases.amount must have a mean, p × gamma / (q - 1), of at most 1000000 yuan (got 2e+08)"
    ]),
    ("balance: 100.00", "top_up: 0, top_up_when_seen: 20%", [
        "19: cards.top_up must be > 0 where customers top up, prepaid and top_up_when_seen (got 0)"
    ]),
    ("from: 40, until: 80", "from: 30, until: 80", [
        "23: customers.ages[1].from must be >= 40, where the band before ends (got 30)"
    ]),
    ("from: 40, until: 80", "from: 80, until: 40", ["23: customers.ages[1].until must be more than from, 80 (got 40)"]),
    ("share: 60%, from", "share: 50%, from", ["21: customers.ages must have shares that sum to 100% (got 90%)"]),
    ("beijing: 70%", "beijing: 70.5%", ["24: customers.cities must have shares that sum to 100% (got 100.5%)"]),
    ("gold: 10%", "gold: 1%", ["25: customers.tiers must have shares that sum to 100% (got 91%)"]),
    ("closes: 20%", "closes: 60%", [
        "31: topics.offers must have clicks + closes + mutes + reminds + complains of at most 100% (got 105%)"
    ]),
    ("brought_forward: 10%", "brought_forward: 60%, switched: 41%", [
        "32: topics.bill must have brought_forward + switched of at most 100% (got 101%)"
    ]),
    # --- against the policy -------------------------------------------------------------------------------------------
    ("  bill: {stays: 10s", "  gift: {stays: 1s}\n  bill: {stays: 10s", [
        "8: pages.gift must be one of the policy's names.pages: home, bill, pay, done (got gift)"
    ]),
    ("beijing: 70%", "beijin: 70%", [
        ("24: customers.cities.beijin must be one of the policy's names.cities: beijing, wuhan (got beijin, did you"
         " mean beijing?)")
    ]),
    ("gold: 10%", "silver: 10%", [
        "25: customers.tiers.silver must be one of the policy's names.tiers: gold, plain (got silver)"
    ]),
    ("{thrifty: 20%}", "{lavish: 20%}", [
        "26: customers.tags.lavish must be one of the policy's names.tags: thrifty (got lavish)"
    ]),
    ("  bill: {clicks", "  bills: {clicks", [
        "30: topics must say how customers take bill, which the policy's campaigns are about (got offers, bills)"
    ]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "expected"), POPULATIONS, ids=[f"{old[:25]} -> {new[:25]}" for old, new, _ in POPULATIONS]
)
def test_broken_populations(old: str, new: str, expected: list[str], tmp_path: Path) -> None:
    assert problems(tmp_path, [(POP, old, new)]) == [f"{POP}:{problem}" for problem in expected]


def test_names_keep_their_numbers(tmp_path: Path) -> None:
    """Of the baseline, which customers live under first, and of every policy compared."""
    write_shop(tmp_path)
    (tmp_path / "old.yaml").write_text(POLICY.replace("[beijing, wuhan]", "[wuhan, beijing]"), encoding="utf-8")
    (tmp_path / "new.yaml").write_text(POLICY.replace("[beijing, wuhan]", "[beijing, wuhan, jinan]"), encoding="utf-8")
    earlier = "baseline: {without: [spring]}"
    said = problems(tmp_path, [(SCE, earlier, "baseline: old.yaml")])
    assert said == [f"{POL}:6: names.cities must begin as the baseline's do: wuhan, beijing (got beijing, wuhan)"]
    assert problems(tmp_path, [(SCE, earlier, "baseline: new.yaml")]) == []
    compared = loaded(tmp_path, (SCE, "primary: spring", "primary: spring\ncompare: {policies: {old: old.yaml}}"))
    with pytest.raises(DocumentError, match=r"names.cities must begin as the baseline's do: beijing, wuhan"):
        variants(compared)


def test_too_many_names(tmp_path: Path) -> None:
    cities = ", ".join(f"c{n}: {'41%' if n == 0 else '1%'}" for n in range(61))
    assert problems(tmp_path, [(POP, "beijing: 70%, wuhan: 30%", cities)]) == [
        "people.yaml:24: customers.cities must have at most 60 entries (got 61)"
    ]
    topics = "".join(f"  t{n}: {{clicks: 1%, acts: 1%, does: payment}}\n" for n in range(59))
    assert problems(tmp_path, [(POP, "topics:\n", "topics:\n" + topics)]) == [
        "people.yaml:30: topics must have at most 60 entries (got 61)"
    ]


SCENARIOS: list[tuple[str, str, list[str]]] = [
    # --- fields -------------------------------------------------------------------------------------------------------
    ("customers: 300", "customers: 99", ["6: customers must be >= 100 (got 99)"]),
    ("customers: 300", "customers: 100000001", ["6: customers must be <= 100000000 (got 100000001)"]),
    ("customers: 300", "customers: 1e3", ["6: customers must be a plain number without decimals, like 3 (got 1e3)"]),
    ("customers: 300", "customers: 300\ncustomer_base: 0", ["7: customer_base must be >= 1 (got 0)"]),
    ("days: 3", "days: 0", ["8: days must be >= 1 (got 0)"]),
    ("days: 3", "days: 367", ["8: days must be <= 366 (got 367)"]),
    ("before: 2", "before: 400", ["9: before must be <= 366 (got 400)"]),
    ("start: 2026-09-07", "start: 7 Sep 2026", ["7: start must be a date like 2026-11-01 (got 7 Sep 2026)"]),
    ("start: 2026-09-07", "start: 1999-12-31", ["7: start must be between 2001-01-01 and 2060-12-31 (got 1999-12-31)"]),
    ("start: 2026-09-07", "start: 2061-01-01", ["7: start must be between 2001-01-01 and 2060-12-31 (got 2061-01-01)"]),
    ("days: 3\n", "", ["1: days must be given"]),
    ("scenario: spring", "scenario: Spring sale", [
        "1: scenario must be a name of small letters, digits and _, starting with a letter (got Spring sale)"
    ]),
    # --- files --------------------------------------------------------------------------------------------------------
    ("policy: policy.yaml", "policy: polcy.yaml", [
        "3: policy must be a file that exists: polcy.yaml (got no such file)"
    ]),
    ("population: people.yaml", "population: .", ["5: population must be a file that exists: HERE (got a folder)"]),
    ("baseline: {without: [spring]}", "baseline: old.yaml", [
        "4: baseline must be a file that exists: old.yaml (got no such file)"
    ]),
    # --- names --------------------------------------------------------------------------------------------------------
    ("primary: spring", "primary: sprng", [
        f"11: primary must be one of {CAMPAIGNS} (got sprng, did you mean spring?)"
    ]),
    ("{without: [spring]}", "{without: [summer]}", [f"4: baseline.without[0] must be one of {CAMPAIGNS} (got summer)"]),
    # --- expectations -------------------------------------------------------------------------------------------------
    ("exposures[spring] >= 10", "exposures[spring] > 10", [
        "13: expect[0] must be a region with its ends: write <= or >=, not < or > (got exposures[spring] > 10)"
    ]),
    ("exposures[spring] >= 10", "many exposures", [
        ("13: expect[0] must be an expectation like 0.2 <= relative_lift[first_use] <= 0.5 or exposures >= 1000"
         " (got many exposures)")
    ]),
    ("exposures[spring] >= 10", "5 <= exposures[spring] <= 4", [
        ("13: expect[0] must be a region whose lower end is not above its upper one"
         " (got 5 <= exposures[spring] <= 4)")
    ]),
    ("exposures[spring] >= 10", "visits_per_customer <= 50", [
        "14: expect[1] must be given once (got visits_per_customer <= 50 again)"
    ]),
    ("exposures[spring] >= 10", "exposures[sprng] >= 10", [
        f"13: expect[0] must be one of {CAMPAIGNS} (got sprng, did you mean spring?)"
    ]),
    ("visits_per_customer", "uptake[spring]", [
        ("14: expect[1] must be one of uptake[spring/shown], uptake[spring/held_out], uptake[spring/red/shown],"
         " uptake[spring/red/held_out], uptake[spring/blue/shown], uptake[spring/blue/held_out] (got uptake[spring],"
         " did you mean uptake[spring/shown]?)")
    ]),
    ("visits_per_customer", "lift", [
        "14: expect[1] must be one of lift[spring], lift[spring/red], lift[spring/blue] (got lift)"
    ]),
    ("visits_per_customer", "srm_p[bill_ready]", [
        "14: expect[1] must be of a campaign with a holdout, for nothing else has srm_p (got srm_p[bill_ready])"
    ]),
    ("visits_per_customer", "active_share[spring]", [
        "14: expect[1] must be one of active_share (got active_share[spring], did you mean active_share?)"
    ]),
    ("visits_per_customer", "click_rate[spring/green]", [
        ("14: expect[1] must be one of click_rate[spring], click_rate[spring/red], click_rate[spring/blue]"
         " (got click_rate[spring/green], did you mean click_rate[spring/red]?)")
    ]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "expected"), SCENARIOS, ids=[f"{old[:25]} -> {new[:25]}" for old, new, _ in SCENARIOS]
)
def test_broken_scenarios(old: str, new: str, expected: list[str], tmp_path: Path) -> None:
    said = [problem.replace(str(tmp_path), "HERE") for problem in problems(tmp_path, [(SCE, old, new)])]
    assert said == [f"{SCE}:{problem}" for problem in expected]


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("relativ_lift[spring]", "did you mean relative_lift?"),
        ("clickrate", "did you mean click_rate?"),
        ("joy", "got joy)"),
    ],
)
def test_a_metric_that_does_not_exist_is_refused_before_the_run(name: str, suggestion: str, tmp_path: Path) -> None:
    (said,) = problems(tmp_path, [(SCE, "exposures[spring] >= 10", f"{name} >= 10")])
    assert said.startswith(f"{SCE}:13: expect[0] must be one of the metrics: exposures, ")
    assert suggestion in said


def test_a_rate_per_exposure_may_be_expected(tmp_path: Path) -> None:
    """It describes; only a goal may not be one (FIDELITY 5)."""
    assert problems(tmp_path, [(SCE, "exposures[spring] >= 10", "click_rate[spring/red] >= 1%")]) == []


def test_all_files_at_once(tmp_path: Path) -> None:
    """Broken fields, broken names and what does not fit together, of four files in one go."""
    edits: list[Edit] = [
        (SCE, "days: 3", "days: 0"),  # hides nothing of the rest, nor of the files that are named
        (SCE, "primary: spring", "primary: sprng"),
        (SCE, "{without: [spring]}", "old.yaml"),
        (SCE, "exposures[spring] >= 10", "exposure[spring] >= 10"),
        (POP, "beijing: 70%", "beijing: much"),  # so that nobody knows what the shares sum to
        (POP, "{thrifty: 20%}", "{lavish: 20%}"),
        (POP, "enters: {home", "enters: {hme"),
        (POL, "topic: bill", "topic: bil"),
        (POL, "{share: 50%}", "{share: half}"),
    ]
    write_shop(tmp_path)
    (tmp_path / "old.yaml").write_text(POLICY.replace("time_zone: Asia/Shanghai", "time_zone: Mars"))
    said = problems(tmp_path, edits)
    assert [problem.split(" must")[0] for problem in said] == [
        f"{SCE}:8: days",
        f"{POL}:21: campaigns.spring.holdout.share",
        f"{POL}:27: campaigns.bill_ready.topic",
        f"{POP}:5: enters.hme",
        f"{POP}:24: customers.cities.beijing",
        "old.yaml:2: time_zone",
        f"{SCE}:11: primary",
        f"{SCE}:13: expect[0]",
        f"{POP}:26: customers.tags.lavish",
        f"{POP}:30: topics",
    ]


def test_a_file_that_is_no_yaml_hides_nothing_of_the_others(tmp_path: Path) -> None:
    path = write_shop(tmp_path, (POP, "per_day: 1\n", "per_day: 9\n"))
    (tmp_path / POL).write_text("policy: [shop\n")
    with pytest.raises(DocumentError) as caught:
        load_scenario(path)
    assert [problem.split(" must")[0].replace(f"{tmp_path}/", "") for problem in caught.value.problems] == [
        f"{POL}:2: the document",
        f"{POP}:3: visits.per_day",
    ]


def test_the_policy_of_the_command_line_is_named_as_such(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    assert problems(tmp_path, [], Options(policy=missing)) == [
        "--policy must be a file that exists: none.yaml (got no such file)"
    ]


def test_rewards_that_nobody_sees_are_doubted(tmp_path: Path) -> None:
    def doubted(*edits: Edit) -> list[str]:
        found = loaded(tmp_path, *edits)
        return doubts(found.population, found.policy)

    assert doubted() == []
    assert doubted((POP, "reward_half: 20.00", "reward_half: 0")) == [
        "campaigns.spring.reward changes nothing: topics.offers has no reward_half"
    ]
    assert doubted((POL, "    reward: 20.00\n", "")) == [
        "campaigns.spring gives nothing, so nobody clicks: topics.offers has a reward_half"
    ]


def test_every_campaign_may_have_a_dwell_of_its_own() -> None:
    """Chance keys of reactions have a place for each dwell of a page view; `dwell_at` counts them in an i1."""
    assert min(PLACES_PER_VIEW - DWELL_PLACES, 127) >= CAMPAIGNS_MAX


FROM_FILE = "fraud:\n  include: core\n  lists: {block: [{field: customer, file: blocked.csv}]}\ncampaigns:\n"


def test_a_run_keeps_the_files_of_lists(tmp_path: Path) -> None:
    write_shop(tmp_path, (POL, "campaigns:\n", FROM_FILE))
    (tmp_path / "blocked.csv").write_text("value\n10086\n", "utf-8")
    path = tmp_path / "spring.scenario.yaml"
    first = load_scenario(path)
    assert first.texts["blocked.csv"] == "value\n10086\n"
    (tmp_path / "inputs").mkdir()
    for name, text in first.texts.items():
        (tmp_path / "inputs" / name).write_text(text, "utf-8")
    (tmp_path / "blocked.csv").write_text("value\n10087\n", "utf-8")
    again = load_scenario(tmp_path / "inputs" / "scenario.yaml", copies=tmp_path / "inputs")
    assert again.policy == first.policy != load_scenario(path).policy


def test_a_threshold_is_tried_without_touching_the_file(tmp_path: Path) -> None:
    path = write_shop(tmp_path, (POL, "campaigns:\n", "fraud: {include: core}\ncampaigns:\n"))
    changes = {"policy.fraud.rules": "{claims_per_ip: {more_than: 60}, claims_a_day: {mode: off}}"}
    rows = load_scenario(path, Options(set=changes)).policy.fraud.rows()
    assert (rows["claims_per_ip"].more_than, rows["claims_a_day"].mode) == (60, "off")


def test_two_policies_do_not_share_the_name_of_a_file(tmp_path: Path) -> None:
    write_shop(tmp_path, (POL, "campaigns:\n", FROM_FILE), (SCE, "{without: [spring]}", "before/policy.yaml"))
    write_shop(tmp_path / "before", (POL, "campaigns:\n", FROM_FILE))
    for folder in (tmp_path, tmp_path / "before"):
        (folder / "blocked.csv").write_text("value\n10086\n", "utf-8")
    load_scenario(tmp_path / "spring.scenario.yaml")
    (tmp_path / "before" / "blocked.csv").write_text("value\n10087\n", "utf-8")
    with pytest.raises(DocumentError, match=r"policy\.yaml:\d+: fraud must name other files .* \(got another blocked"):
        load_scenario(tmp_path / "spring.scenario.yaml")


def test_no_table_row_is_right_already(tmp_path: Path) -> None:
    """A row whose edit changed nothing would be green for want of looking."""
    for rows in (POPULATIONS, SCENARIOS):
        assert all(expected for _, _, expected in rows)
    assert POPULATION.count("\n") == 32
