"""`windtunnel compare` as it is typed: what may be compared, what is refused in which words, what is printed."""

import json
from pathlib import Path

import pytest

from scenarios.comparing import file_names
from scenarios.exits import Exit
from scenarios.load import load_scenario
from scenarios.rivals import varied
from tests.scenarios.shop import POLICY, Edit, cli, problems, write_shop

RINGS = Path(__file__).with_name("rings.scenario.yaml")
LIBRARY = Path(__file__).resolve().parents[2] / "scenarios" / "library"
SCE = "spring.scenario.yaml"
QUICK = ("--customers", 100, "--worlds", 10, "--assumption-sets", 0)
BROKEN: list[tuple[str, str]] = [
    ("compare: {worlds: 5}", "compare.worlds must be >= 10 (got 5)"),
    ("compare: {pilot: 30, worlds: 20}", "compare.pilot must be <= worlds, 20 (got 30)"),
    ("compare: {goal: {measure: click_rate}}",
     ("compare.goal.measure must be one of profit, payments, first_payments, spend, instalments, visits, fraud_loss"
     " (got click_rate)")),  # a rate per exposure is no goal (FIDELITY 5)
    ("compare: {goal: {matters: 0%}}",
     'compare.goal.matters must be "1%" of the reference or an amount above 0 like "0.05" (got 0%)'),
    ("compare: {truth: [sprng]}",
     "compare.truth[0] must be one of the policy's campaigns: spring, bill_ready (got sprng, did you mean spring?)"),
    ("compare: {truth: [spring], arms: [bill_ready]}", "compare.arms[0] must be one of truth, spring (got bill_ready)"),
    ("compare: {policies: {a: {without: [spring], set: {x: 1}}}}",
     "compare.policies.a must have exactly one of policy, without, without_rules, set (got without and set)"),
    ("compare: {expect: ['difference[a/profit] >= 0']}",
     "compare.expect[0] must be a figure of the comparison: level (got difference[a/profit])"),
    ("compare: {policies: {a: {without: [spring]}}, expect: ['difference[a/profit] > 0']}",
     "compare.expect[0] must be a region with its ends: write <= or >=, not < or > (got difference[a/profit] > 0)"),
    ("set: {reward: 5}", "set.reward must begin with policy. or population. (got reward)"),
]  # fmt: skip
CHANGED: list[tuple[str, str]] = [
    ("policy.campaigns.sprng.reward: 5.00",
     "policy.yaml:13: campaigns.sprng.reward must be there to be set (got nothing at campaigns.sprng)"),
    ("policy.campaigns.spring.reward: much",
     "policy.yaml:19: campaigns.spring.reward must be a plain number of yuan, like 20.00 (got much)"),
    ("population.cards.prepaid: 200%", "people.yaml:19: cards.prepaid must be <= 100% (got 200%)"),
]  # fmt: skip


def expecting(text: str) -> Edit:
    """A comparison with the policy without its campaign, and one expectation."""
    block = f"{{customers: 100, worlds: 10, policies: {{bare: {{without: [spring]}}}}, expect: ['{text}']}}"
    return SCE, "primary: spring\n", f"primary: spring\ncompare: {block}\n"


def with_block(folder: Path, text: str) -> list[str]:
    return problems(folder, [(SCE, "primary: spring\n", f"primary: spring\n{text}\n")])


@pytest.mark.parametrize(("text", "sentence"), BROKEN, ids=[text[:45] for text, _ in BROKEN])
def test_broken_comparisons(text: str, sentence: str, tmp_path: Path) -> None:
    assert with_block(tmp_path, text) == [f"{SCE}:12: {sentence}"]


@pytest.mark.parametrize(("change", "sentence"), CHANGED)
def test_a_field_set_wrongly_is_told_where_it_stands(change: str, sentence: str, tmp_path: Path) -> None:
    assert with_block(tmp_path, f"set: {{{change}}}") == [sentence]


@pytest.mark.parametrize(
    ("words", "sentences"),
    [
        ((), ["nothing to compare with: give --policy FILE, --without CAMPAIGN, --each, --each-rule"]),
        (("--worlds", 3, "--customers", 5), ["--worlds must be between 10 and 2000 (got 3)", "--customers must"]),
        (("--set", "reward"), ["--set must be FIELD=VALUE (got reward)"]),
        (("--vary", "reward"), ["--vary must be FIELD=VALUE,VALUE (got reward)"]),
        (("--vary", "campaigns.spring.reward=1.00,lots,more"), ["(got lots)", "(got more)", "2 problems"]),
        (("--policy", "none.yaml"), ["none.yaml: the document must be a file that exists"]),
        (("--set", "campaigns.spring.reward=lots", "--without", "nope"),
         ["(got nope)", "campaigns.spring.reward must be a plain number of yuan, like 20.00 (got lots)", "2 problems"]),
    ],
)  # fmt: skip
def test_wrong_use(words: tuple[object, ...], sentences: list[str], tmp_path: Path) -> None:
    done = cli("compare", write_shop(tmp_path), *words, "--out", tmp_path / "runs")
    assert done.code == Exit.WRONG_USE
    assert all(sentence in done.err for sentence in sentences), done.err
    assert not (tmp_path / "runs").exists()


def test_a_policy_the_population_cannot_live_under_is_refused(tmp_path: Path) -> None:
    path = write_shop(tmp_path)
    other = tmp_path / "other.yaml"
    other.write_text(POLICY.replace("pages: [home, bill, pay, done]", "pages: [home, bill, pay]"))
    done = cli("compare", path, "--policy", other)
    assert done.code == Exit.WRONG_USE
    assert "other.yaml:4: names must fit the population: pages.done must be one of" in done.err


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["cap 3.yaml"], ["cap_3"]),
        (["shop.yaml"], ["shop_2"]),  # beside the scenario's own
        (["changed.yaml"], ["changed_2"]),  # beside that of --set
        (["old/p.yaml", "new/p.yaml"], ["p", "p_2"]),
    ],
)
def test_names_of_policies_are_their_files(files: list[str], names: list[str]) -> None:
    assert file_names([Path(file) for file in files], ["shop", "changed"]) == names


def test_one_object_and_the_command_that_repeats_it(tmp_path: Path) -> None:
    path = write_shop(tmp_path)
    words = ("compare", path, "--set", "campaigns.spring.reward=2.00", *QUICK, "--out", tmp_path / "runs", "--json")
    first, again = (json.loads(cli(*words).out) for _ in range(2))
    assert first["digest"] == again["digest"]
    assert first["verdicts"] == again["verdicts"]
    assert (first["reference"], first["rivals"], first["unit"]) == ("shop", ["changed"], "customer")
    assert first["command"].startswith(f"windtunnel compare {path} --set campaigns.spring.reward=2.00 --customers 100")
    assert {"value", "low", "high", "unit", "n", "of", "note"} == set(first["figures"]["difference[changed/profit]"])
    assert Path(first["report"]).is_file() and Path(first["page"]).is_file()


def test_a_policy_of_its_own_is_kept_beside_the_inputs(tmp_path: Path) -> None:
    path = write_shop(tmp_path)
    (tmp_path / "cheap.yaml").write_text(POLICY.replace("reward: 20.00", "reward: 2.00"))
    words = ("--policy", tmp_path / "cheap.yaml", *QUICK, "--out", tmp_path / "runs", "--json")
    folder = Path(json.loads(cli("compare", path, *words).out)["report"]).parent
    assert (folder / "inputs" / "cheap.policy.yaml").read_text() == (tmp_path / "cheap.yaml").read_text()
    assert (folder / "inputs" / "policy.yaml").read_text() == POLICY


def test_a_missed_expectation_ends_with_10(tmp_path: Path) -> None:
    path = write_shop(tmp_path, expecting("difference[bare/exposures] >= 0"))
    done = cli("compare", path, "--assumption-sets", 0, "--out", tmp_path / "runs")
    assert done.code == Exit.MISSED
    assert "fails      expected difference[bare/exposures] >= 0, got -" in done.out


def test_check_lives_the_comparison_too(tmp_path: Path) -> None:
    path = write_shop(tmp_path, expecting("difference[bare/exposures] <= 0"))
    done = cli("check", path, "--out", tmp_path / "runs", "--json")
    tests = {row["test"]: row["outcome"] for row in json.loads(done.out)["tests"]}
    assert tests["compares"] == tests["difference[bare/exposures] <= 0"] == "holds"


def test_the_report_is_written_again(tmp_path: Path) -> None:
    path = write_shop(tmp_path)
    words = ("compare", path, "--without", "spring", *QUICK, "--out", tmp_path / "runs", "--json")
    report = Path(json.loads(cli(*words).out)["report"])
    before = report.read_text()
    report.unlink()
    assert cli("report", report.parent).code == Exit.FINE
    assert report.read_text() == before
    for asked in (("explain", report.parent, "--customer", 1), ("replay", report.parent, "--policy", path)):
        done = cli(*asked)
        assert (done.code, "got that of a comparison" in done.err) == (Exit.WRONG_USE, True), done.err
    (report.parent / "tables" / "lives.parquet").unlink()
    done = cli("report", report.parent)
    assert done.code == Exit.WRONG_USE
    assert "lives.parquet must be a table of the comparison (got no such file)" in done.err


def test_a_policy_needs_a_name_that_no_world_has(tmp_path: Path) -> None:
    block = "primary: spring\ncompare: {policies: {shop: {without: [spring]}}}\n"
    path = write_shop(tmp_path, (SCE, "primary: spring\n", block))
    done = cli("compare", path, *QUICK)
    assert done.code == Exit.WRONG_USE
    assert "compare.policies.shop must be a name of its own (got shop again)" in done.err


def test_a_sweep_writes_each_value_where_the_rule_stands_or_would() -> None:
    """A core rule that the file says nothing of has no line there; the rules off are compared as well."""
    loaded = load_scenario(LIBRARY / "fraud_shop.scenario.yaml")
    for rule, field in (("claims_a_day", "more_than"), ("bot_pace", "mode")):
        values = {"more_than": ["3", "5"], "mode": ["off", "shadow"]}[field]
        *rivals, off = varied(f"fraud.rules.{rule}.{field}", values, loaded)
        rows = [rival.policy.fraud.rows()[rule] for rival in rivals]
        assert [str(getattr(row, field)) for row in rows] == values
        assert [rival.name for rival in rivals] == [f"{rule}_{field}_{value}" for value in values]
        assert off.name == "rules_off" and {row.mode for row in off.policy.fraud.rows().values()} == {"off"}


@pytest.mark.long
def test_a_threshold_is_swept_into_a_front(tmp_path: Path) -> None:
    """One rival a value and the rules off; the choice is told of worlds that did not make it."""
    path = tmp_path / RINGS.name
    text = RINGS.read_text("utf-8").replace("../../scenarios/library", str(LIBRARY))
    path.write_text(text.replace("\nset:\n", '\nset:\n  policy.fraud: "{include: core, appeal: Help}"\n'))
    swept = ("--vary", "fraud.rules.accounts_per_device.more_than=3, 30", "--customers", 200, "--worlds", 10)
    words = ("compare", path, *swept, "--assumption-sets", 0, "--out", tmp_path / "runs")
    done = cli(*words)
    assert done.code == Exit.FINE, done.err
    told = done.out.split("loss against friction")[1].split("report")[0].strip()
    front = [line.split() for line in told.splitlines()[1:]]
    names = {word for line in front for word in line if word.startswith(("accounts_per_device", "rules_off"))}
    assert names and names <= {"accounts_per_device_more_than_3", "accounts_per_device_more_than_30"}
    assert front[-1] == ["none", "of", "them", "harms", "so", "few"] or ["chosen"] in [line[:1] for line in front]
    again = json.loads(cli(*words, "--json").out)
    assert again["rivals"] == ["accounts_per_device_more_than_3", "accounts_per_device_more_than_30", "rules_off"]
    money = {name: again["figures"][f"fraud_money[{name}]"]["value"] for name in again["rivals"]}
    assert money["accounts_per_device_more_than_3"] < money["accounts_per_device_more_than_30"] <= money["rules_off"]
