"""`windtunnel check --mutate`: which changes there are, who kills them, who survives and why, and what is said."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from results.checks import check_waterfall
from results.store import Run
from scenarios import check_mutate, run
from scenarios.check_mutate import Wanted, sampled
from scenarios.exits import Exit
from scenarios.mutants import Mutant, in_conditions, mutants_of
from scenarios.mutated_conditions import mutated_condition
from tests.scenarios.shop import Done, Edit, cli, write_shop

POLICIES = Path(__file__).resolve().parents[2] / "scenarios" / "library" / "policies"
SPRING = "campaigns.spring"
CAPS = "fatigue: {caps: [{most: 2, per: day}, {most: 7, per: week}], quiet_hours: {from: '22:00', until: '08:00'}}\n"
RULES = """\
fraud:
  appeal: Help
  rules: {often: {count: [claim, order], per: customer, within: 1h, more_than: 3, answer: deny, mode: shadow}}
"""
HOLDS = ("spring.scenario.yaml", "visits_per_customer <= 50", "srm_p[spring] >= 0.0001")
MISSED = ("spring.scenario.yaml", "visits_per_customer <= 50", "exposures[spring] >= 1000000")

RANKS = re.compile(r"ranking|response|priority|value")

# --- which there are --------------------------------------------------------------------------------------------------
OPERATORS = """
fatigue.caps                        taken out
fatigue.caps[0]                     taken out
fatigue.caps[0].most                4 | 1
fatigue.caps[0].per                 week
fatigue.caps[1].most                14 | 3
fatigue.caps[1].per                 day
fatigue.quiet_hours                 taken out
fatigue.quiet_hours.from            00:00
fatigue.quiet_hours.until           10:00
universal_holdout.share             20% | 5%
moments.noon.weekly                 tuesday
campaigns.spring.trigger.dwell      10s | 2500ms | taken out
campaigns.spring.goal.window        6d | 36h
campaigns.spring.reward             40.00 | 10.00
campaigns.spring.response.shown     6% | 1.5%
campaigns.spring.holdout            taken out
campaigns.spring.holdout.share      100% | 25%
campaigns.bill_ready.channel        sms
"""
NEVER = (
    "names", "policy", "provider", "segments.unread", "campaigns.spring.arms[0].share", "campaigns.spring.creative",
    "campaigns.bill_ready.creative.text", "campaigns.spring.purpose", "campaigns.spring.goal",
    "campaigns.spring.arms[0].creative.ad_label", "campaigns", "fatigue", "moments",
)  # fmt: skip
AUDIENCE = ("policy.yaml", "    topic: offers\n", "    topic: offers\n    audience: thrifty_ones or age >= 30\n")
SEGMENTS = ("policy.yaml", "universal_", CAPS + "segments: {thrifty_ones: tag.thrifty, unread: age < 30}\nuniversal_")
# Called by the same event as spring and of the same priority, for nobody: what ranks the two is read.
RIVAL = (
    "policy.yaml",
    "  bill_ready:\n",
    """\
  autumn:
    purpose: activation
    topic: offers
    trigger: {on: page_view, pages: [home, done]}
    audience: age >= 150
    goal: {event: payment, window: 1d}
    response: {shown: 3%, otherwise: 1%}
    creative: {text: "Autumn", ad_label: true, close: {}}
  bill_ready:
""",
)


def by_path(found: list[Mutant]) -> dict[str, list[str]]:
    paths: dict[str, list[str]] = {}
    for mutant in found:
        paths.setdefault(mutant.path, []).append(mutant.after)
    return paths


def test_what_is_changed_follows_from_what_stands_there(tmp_path: Path) -> None:
    write_shop(tmp_path, SEGMENTS, AUDIENCE, RIVAL)
    found = mutants_of(tmp_path / "policy.yaml")
    paths = by_path(found)
    expected = {row.split()[0]: row.split(None, 1)[1].split(" | ") for row in OPERATORS.strip().splitlines()}
    assert {path: paths.get(path) for path in expected} == expected
    assert not {path for path in NEVER if path in paths}
    turned = list(mutated_condition("thrifty_ones or age >= 30", in_conditions))
    assert sorted(paths[f"{SPRING}.audience"]) == sorted([*turned, "taken out"]) and len(turned) == 6
    (cap,) = [mutant for mutant in found if (mutant.path, mutant.after) == ("fatigue.caps[1].most", "14")]
    assert cap.name == f"{tmp_path}/policy.yaml:12 fatigue.caps[1].most: 7 → 14"
    assert cap.change == {"policy.fatigue.caps[1].most": "14"}


def test_what_comes_to_the_same_is_once(tmp_path: Path) -> None:
    """The only quiet hours gone, or a list's only entry and the list: one mutant. Nothing takes out what is default."""
    write_shop(tmp_path, ("policy.yaml", "universal_", "fatigue: {caps: [{most: 2, per: day}]}\nuniversal_"))
    paths = by_path(mutants_of(tmp_path / "policy.yaml"))
    assert "fatigue.caps[0]" not in paths and paths["fatigue.caps"] == ["taken out"]


def test_what_ranks_nobody_is_none(tmp_path: Path) -> None:
    """A response, or a priority, of a campaign that no event calls together with another."""
    priority = ("policy.yaml", "    reward: 20.00\n", "    reward: 20.00\n    priority: 4\n")
    ranking = ("policy.yaml", "universal_", "ranking: {by: uplift, price_of_attention: 0.10}\nuniversal_")
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    write_shop(alone, priority, ranking)
    assert not {path for path in by_path(mutants_of(alone / "policy.yaml")) if RANKS.search(path)}
    write_shop(beside, priority, ranking, RIVAL)
    assert not {path for path in by_path(mutants_of(beside / "policy.yaml")) if RANKS.search(path)}, (
        "4 is above 0, as 8 is"
    )
    write_shop(tmp_path, ranking, RIVAL)
    found = by_path(mutants_of(tmp_path / "policy.yaml"))
    assert {"ranking", "ranking.by", "ranking.price_of_attention", f"{SPRING}.response.shown"} <= {*found}


def test_a_segment_that_only_segments_read_is_for_reports(tmp_path: Path) -> None:
    segments = "segments: {thrifty: tag.thrifty, young: age < 30 and not thrifty}\nrfm: {recency_days: [7, 30, 90], "
    segments += "frequency: [1, 4, 10], monetary: [100.00, 500.00, 2000.00]}\nuniversal_"
    write_shop(tmp_path, ("policy.yaml", "universal_", segments))
    assert not {path for path in by_path(mutants_of(tmp_path / "policy.yaml")) if path.startswith(("segments", "rfm"))}
    audience = ("policy.yaml", "    topic: offers\n", "    topic: offers\n    audience: young or f_score >= 3\n")
    write_shop(tmp_path, ("policy.yaml", "universal_", segments), audience)
    found = {path.partition("[")[0] for path in by_path(mutants_of(tmp_path / "policy.yaml"))}
    assert {"segments.thrifty", "segments.young", "rfm.frequency"} <= found and "rfm.monetary" not in found


@pytest.mark.parametrize(
    ("audience", "bounds"),
    [
        ("f_score >= 3", [1]),
        ("f_score > 3", [2]),
        ("f_score < 2 or f_score == 4", [0, 2]),
        ("f_score >= 2 and f_score == 3", [0, 1, 2]),
    ],
)
def test_a_bound_that_tells_nobody_apart_is_none(tmp_path: Path, audience: str, bounds: list[int]) -> None:
    """A score is 1, and 1 more for each bound that is reached."""
    rfm = "rfm: {recency_days: [7, 30, 90], frequency: [1, 4, 10], monetary: [100.00, 500.00, 2000.00]}\nuniversal_"
    spoken = ("policy.yaml", "    topic: offers\n", f"    topic: offers\n    audience: {audience}\n")
    write_shop(tmp_path, ("policy.yaml", "universal_", rfm), spoken)
    paths = by_path(mutants_of(tmp_path / "policy.yaml"))
    moved = {path for path in paths if path.startswith("rfm.frequency") and paths[path] != ["taken out"]}
    assert moved == {f"rfm.frequency[{at}]" for at in bounds}


def test_a_page_that_campaigns_stay_away_from_anyhow_is_protected_for_nothing(tmp_path: Path) -> None:
    for page, is_one in (("bill", False), ("home", True)):
        write_shop(tmp_path, ("policy.yaml", "universal_", f"protected_pages: [{page}]\nuniversal_"))
        assert any("protected_pages" in mutant.path for mutant in mutants_of(tmp_path / "policy.yaml")) is is_one


def test_coupons_rules_and_dates_are_changed(tmp_path: Path) -> None:
    shop = by_path(mutants_of(POLICIES / "stampede.yaml"))
    assert shop["coupons.midnight_100.claim.until"] == ["taken out"]  # a day earlier it would end as it begins
    assert shop["coupons.midnight_100.drop.at"] == ["2026-11-11 01:00"]
    assert shop["coupons.midnight_100.pieces"] == ["2000", "500"]
    assert shop["coupons.midnight_100.valid"] == ["6d", "36h", "taken out"]
    assert shop["coupons.midnight_100.urgency"] == ["taken out"]
    write_shop(tmp_path, ("policy.yaml", "universal_", f"{RULES}universal_"))
    rules = by_path(mutants_of(tmp_path / "policy.yaml"))
    assert {path.removeprefix("fraud.rules."): after for path, after in rules.items() if path.startswith("fraud.")} == {
        "often": ["taken out"], "often.count[0]": ["taken out"], "often.count[1]": ["taken out"],
        "often.within": ["2h", "30min", "taken out"], "often.more_than": ["6", "1"], "often.answer": ["challenge"],
        "often.mode": ["off", "taken out"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "changed"),
    [
        ("balance < 50.00", ["balance >= 50.00", "balance < 100.00", "balance < 25.00"]),
        ("new", ["not new"]),
        ("not new", ["new"]),
        ("city != home_city", ["city == home_city"]),
        ("page in ['home', 'bill']", ["page not in ['home', 'bill']"]),
        ("a and (b or c)", ["(b or c)", "not a and (b or c)", "a", "a and (c)", "a and (not b or c)", "a and (b)",
                            "a and (b or not c)"]),
        ("1 <= hour < 3", ["1 > hour < 3", "1 <= hour >= 3", "2 <= hour < 3", "0 <= hour < 3", "1 <= hour < 6",
                           "1 <= hour < 1"]),
    ],
)  # fmt: skip
def test_conditions(condition: str, changed: list[str]) -> None:
    assert list(mutated_condition(condition, in_conditions)) == changed


# --- the sample -------------------------------------------------------------------------------------------------------
def wanted(mutants: int | None = None, seed: int = 1) -> Wanted:
    return Wanted(mutants, seed, 0.95, None, 1, None)


def test_the_sample_is_repeatable_and_even() -> None:
    possible = [
        Mutant(Path(f"{policy}.yaml"), 1, f"coupons.{name}.off[{number}]", "1", "2", "2")
        for policy, name, many in (("a", "x", 150), ("a", "y", 47), ("b", "x", 3), ("b", "z", 100))
        for number in range(many)
    ]
    sections = Counter((mutant.policy, mutant.section) for mutant in possible)
    one, again, other = (sampled(possible, wanted(100, seed)) for seed in (1, 1, 2))
    assert one == again != other and len(set(one)) == 100
    drawn = Counter((mutant.policy, mutant.section) for mutant in one)
    for section, there in sections.items():
        assert abs(drawn[section] - 100 * there / len(possible)) < 1
    assert sorted(map(str, sampled(possible, wanted()))) == sorted(map(str, possible))


# --- judged -----------------------------------------------------------------------------------------------------------
def mutated(*words: object) -> Done:
    """In this process, where tests can plant what goes wrong."""
    return cli("check", "spring.scenario.yaml", "--mutate", "--beside", "1", *words)


Only = Callable[..., None]


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Only:
    """Writes the shop with edits, and lets no mutants be but those of some paths."""
    monkeypatch.chdir(tmp_path)

    def write(*paths: str, edits: tuple[Edit, ...] = ()) -> None:
        write_shop(tmp_path, *edits)

        def those(file: Path) -> list[Mutant]:
            return [mutant for mutant in mutants_of(file) if mutant.path in paths]

        monkeypatch.setattr(check_mutate, "mutants_of", those)

    return write


def fates(done: Done) -> dict[str, dict[str, Any]]:
    return {f"{row['path']} → {row['after']}": row for row in json.loads(done.out)["mutants"]}


def test_killed_by_an_expectation_or_an_invariant_and_by_nothing_else(
    only: Only, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(found: Run) -> None:
        windows = [campaign["goal_window_ms"] for campaign in found.manifest["campaigns"]]
        assert 6 * 86_400_000 not in windows, "shown 3, exposures 4"
        if 129_600_000 in windows:
            raise RuntimeError("boom")
        check_waterfall(found)

    monkeypatch.setattr(run, "check_waterfall", breaks)
    only(
        f"{SPRING}.holdout", f"{SPRING}.holdout.share", f"{SPRING}.goal.window", f"{SPRING}.response.shown",
        f"{SPRING}.value",
        edits=(HOLDS, RIVAL, ("policy.yaml", "    reward: 20.00\n", "    reward: 20.00\n    value: 20.00\n"),
               ("spring.scenario.yaml", "customers:", "set: {policy.campaigns.spring.value: '30.00'}\ncustomers:")),
    )  # fmt: skip
    done = mutated("--json", "--junit", "junit.xml")
    said, found = json.loads(done.out), fates(done)
    assert done.code == said["exit_code"] == Exit.HARNESS_ERROR and not done.err.strip().endswith("Traceback")
    assert {name: row["outcome"] for name, row in found.items()} == {
        f"{SPRING}.holdout → taken out": "killed",
        f"{SPRING}.holdout.share → 100%": "killed",
        f"{SPRING}.holdout.share → 25%": "survived",
        f"{SPRING}.goal.window → 6d": "killed",
        f"{SPRING}.goal.window → 36h": "error",
        f"{SPRING}.response.shown → 6%": "survived",
        f"{SPRING}.response.shown → 1.5%": "survived",
        f"{SPRING}.value → 40.00": "survived",
        f"{SPRING}.value → 10.00": "survived",
    }
    assert found[f"{SPRING}.holdout → taken out"]["by"] == "srm_p[spring] >= 0.0001"  # there is no such figure any more
    assert found[f"{SPRING}.holdout.share → 100%"]["by"] == "exposures[spring] >= 10"
    assert found[f"{SPRING}.goal.window → 6d"]["by"] == "adds up"
    assert found[f"{SPRING}.goal.window → 36h"]["problem"].endswith("RuntimeError: boom")
    unmet, met = found[f"{SPRING}.response.shown → 6%"], found[f"{SPRING}.holdout.share → 25%"]
    assert (unmet["met"], unmet["problem"]) == (False, "no customer met it")
    assert met["met"] and met["decisions_changed"] > 0 and unmet["clearest"] == []
    clearest = met["clearest"][0]  # a quarter instead of a half
    assert clearest["figure"] == "refused[spring/held_out]" and 0 < clearest["after"] < 0.8 * clearest["before"]
    assert found[f"{SPRING}.value → 40.00"]["problem"] == "each scenario sets it itself"
    assert (said["killed"], said["judged"], said["possible"], said["low"]) == (3, 9, 9, None)
    (tests,) = ElementTree.parse("junit.xml").getroot()
    numbers = {name: tests.attrib[name] for name in ("tests", "failures", "errors", "skipped")}
    assert numbers == {"tests": "9", "failures": "5", "errors": "1", "skipped": "0"}


def test_the_lines_and_the_aim(only: Only) -> None:
    only(f"{SPRING}.holdout.share", f"{SPRING}.response.shown", edits=(RIVAL,))
    done = mutated("--mutants", "3", "--seed", "4")
    head, sample, _, title, *lines, see, _, _ = done.out.splitlines()
    assert head.startswith("1 of 3 mutants was killed (33.3 %, 95 % interval ")
    assert head.endswith("); the aim of 95 % is missed.") and done.code == Exit.MISSED
    assert sample == "A sample by seed 4 of the 4 there are, even over policies and sections."
    assert (title, lines[0]) == ("Survived:", "  campaigns.spring")
    assert "    policy.yaml:20 campaigns.spring.response.shown: 3% → 1.5%" in lines
    assert "      no customer met it" in lines
    assert see.startswith("see one    windtunnel run spring.scenario.yaml --set policy.campaigns.spring.")
    again = mutated("--mutants", "3", "--seed", "4", "--aim", "33.3%")
    assert again.out.splitlines()[1:-1] == done.out.splitlines()[1:-1]
    assert again.out.splitlines()[0].endswith("; the aim of 33.3 % is reached.") and again.code == Exit.FINE


def test_what_is_missed_without_a_mutant_kills_nobody(only: Only) -> None:
    only(f"{SPRING}.holdout.share", edits=(MISSED,))
    done = mutated()
    assert done.code == Exit.MISSED
    head, file, line, *_ = done.out.splitlines()
    assert head.startswith("Nothing was mutated: ") and file == "spring.scenario.yaml"
    assert line.startswith("  fails      expected exposures[spring] >= 1000000, got ")
    quick = mutated("--customers", "200", "--json")  # of few customers that is to be expected
    assert [row["outcome"] for row in fates(quick).values()] == ["killed", "survived"]
    assert [row["by"] for row in fates(quick).values()] == ["exposures[spring] >= 10", ""]


def test_what_has_not_begun_in_time_is_not_counted(only: Only) -> None:
    only(f"{SPRING}.holdout.share")
    done = mutated("--minutes", "1e-9")
    assert done.code == Exit.MISSED
    assert done.out.splitlines()[:2] == [
        "No mutant was judged; take more minutes.",
        "A sample by seed 1 of the 2 there are, even over policies and sections.",
    ]
    assert "2 were not begun within 1e-09 minutes, and are not counted." in done.out


def test_wrong_use(only: Only) -> None:
    only(f"{SPRING}.holdout.share", edits=(("spring.scenario.yaml", "days: 3", "days: 0"),))
    done = mutated("--mutants", "0", "--seed", "-1", "--aim", "95", "--update", "--markdown", "told.md")
    assert done.code == Exit.WRONG_USE
    assert done.err.splitlines() == [
        "--update must go without --mutate",
        "--markdown must go without --mutate",
        "--mutants must be >= 1 (got 0)",
        "--seed must be between 0 and 4611686018427387904 (got -1)",
        "--aim must be a share like 95% (got 95)",
    ]
    alone = cli("check", "spring.scenario.yaml", "--mutants", "5")
    assert (alone.code, alone.err) == (Exit.WRONG_USE, "--mutants must be given only with --mutate (got 5)\n")
    unreadable = mutated()
    assert unreadable.code == Exit.WRONG_USE and "days must be >= 1 (got 0)" in unreadable.err


@pytest.mark.long
def test_beside_each_other_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shop(tmp_path)
    monkeypatch.chdir(tmp_path)
    alone, beside = (
        json.loads(cli("check", ".", "--mutate", "--mutants", "10", "--beside", n, "--json").out) for n in (1, 2)
    )
    for said in (alone, beside):
        del said["seconds"]
    assert alone == beside and len(alone["mutants"]) == 10
