"""What the pages say, held to the product: commands run, links lead somewhere, names exist, numbers are the code's."""

import ast
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML

from engine.policy import quantities
from engine.policy.conditions import FACTS, Compiler, unit_of
from engine.policy.coupon import CHECKOUT_KINDS, KINDS, KINDS_NEEDING, KINDS_WITH
from engine.policy.document import Policy
from engine.policy.fraud import core_rules
from engine.policy.fraud_rules import RuleRow
from engine.policy.quantities import Block, duration_text, share_text, yuan_text
from engine.policy.yaml_source import load, load_text
from engine.records import FIRST_PERSONAL_FACT, Reason
from results.catalogue import METRICS
from results.comparison_fraud import RULES_OFF, WITHOUT
from results.words import REASONS
from scenarios import commands, exits
from scenarios.document import Compare, Scenario
from scenarios.expect import Expectation
from scenarios.expect_comparison import comparison_figures
from scenarios.load import load_scenario
from scenarios.population_document import Population

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "scenarios" / "library"
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
CUSTOMERS = "400"  # of every run made here
SECONDS_MAX = 600  # of one command: it may have to compile first

# Commands that are not run here, and where they are.
SHARDS = "windtunnel run scenarios/library/first_use.scenario.yaml --shards 2"
SERVE = (
    "windtunnel serve scenarios/library/policies/coupon_shop.yaml --folder gateway-data --customers 100000 --shards 2 "
    "--port 8080"
)
SERVE_TLS = (
    "windtunnel serve scenarios/library/policies/coupon_shop.yaml --folder gateway-data --port 8443 "
    "--certificate trial-tls/certificate.pem --private-key trial-tls/private-key.pem"
)
CAPACITY = "windtunnel load capacity --slo p99=25ms"
BROKEN = "windtunnel load steady --rate 200 --seconds 12 --drill kill-shard"
MUTATE = "windtunnel check my-policy --mutate --mutants 60 --minutes 30"
BY_HAND = (
    "WINDTUNNEL_LOAD_KEY=wt_… locust -f loadtests/locustfile.py --host http://127.0.0.1:8080 --load-profile steady "
    "--load-rate 100"
)
ACCEPT = "windtunnel check my-policy --update"
ELSEWHERE = {
    "make demo": "on a fresh machine, by whoever follows the README; its one command is DEMO_ARGS of the Makefile",
    "make test": ".ci/run",
    "make install": "what `make test` needs first",
    "make test-all": "before a release",
    "make bench": "before a release",
    "source .venv/bin/activate": "what `make install` made",
    SHARDS: "make demo",
    SERVE: "tests/gateway/test_serve.py, on a folder and a port of its own",
    SERVE_TLS: "tests/gateway/test_tls.py, on a certificate made as the page does",
    ACCEPT: "tests/scenarios/test_baselines.py, of a scenario of few customers",
    CAPACITY: "tests/loadtests/test_load.py, of a service that is held to a rate",
    BY_HAND: "tests/loadtests/test_load.py",
    BROKEN: "tests/loadtests/test_load_drill.py",
    MUTATE: "tests/scenarios/test_check_mutate.py, on a shop of 300 customers",
}
SLOW = (  # run before a release: tests of their own run the same, smaller
    "windtunnel compare my-policy/first_use.scenario.yaml --without first_use --worlds 10",
    "windtunnel compare my-policy/first_use.scenario.yaml --each --worlds 10",
    "windtunnel compare scenarios/library/backoff.scenario.yaml --worlds 10 --assumption-sets 0",
    "windtunnel check my-policy --mutate --mutants 60 --minutes 30",
    "windtunnel answer --judge",
    "windtunnel drill kill-shard --customers 1000 --days 1",
    "windtunnel drill disasters --seeds 20",
    "windtunnel load steady --rate 200 --seconds 10",
)
COMMANDS = (
    "new", "run", "compare", "check", "report", "explain", "replay", "lint", "grade", "answer", "drill", "keys",
    "vault-key", "audit", "certificate", "load",
)  # fmt: skip
UNDER_LOAD = {"--customers": "200", "--days": "1", "--rate": "50", "--seconds": "3"}  # beside other tests
MISSED_IS_FINE = ("run", "check")  # of few customers little can be said
FEW_WORLDS = {"--customers": "200", "--worlds": "10", "--assumption-sets": "2"}


# --- Reading pages ----------------------------------------------------------------------------------------------------
@cache
def page_text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def blocks(text: str, *languages: str) -> list[tuple[str, str]]:
    """Fenced blocks as (language, text), in order."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(language, body) for language, body in found if not languages or language in languages]


def block_with(page: str, language: str, words: str) -> str:
    """The one block of a page that has these words."""
    (found,) = [body for _, body in blocks(page_text(page), language) if words in body]
    return found


def command_lines(body: str) -> list[str]:
    return [line for line in body.splitlines() if line.strip() and not line.startswith("#")]


def prose(page: str) -> str:
    return re.sub(r"^```.*?^```$", "", page_text(page), flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Row:
    """One row of a table: the heading above it, the table's own heads, the cells."""

    heading: str
    heads: tuple[str, ...]
    cells: tuple[str, ...]

    def __getitem__(self, head: str) -> str:
        return self.cells[self.heads.index(head)]


def rows(page: str, *heads: str) -> list[Row]:
    """The rows of all tables with these heads."""
    found, heading, table = [], "", None
    for line in prose(page).splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if not line.startswith("|"):
            table = None
            continue
        cells = tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
        if table is None:
            table = cells
        elif not set("".join(cells)) <= set("-: ") and table == heads:
            assert len(cells) == len(heads), line
            found.append(Row(heading, heads, cells))
    assert found, f"{page} has no table with the heads {heads}"
    return found


def ticked(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


# --- Commands ---------------------------------------------------------------------------------------------------------
def has_commands(page: str) -> bool:
    return any(line not in ELSEWHERE for _, body in blocks(page_text(page), "sh") for line in command_lines(body))


def kind_of(line: str) -> str:
    """elsewhere, windtunnel or pytest; what is neither is an error of the page."""
    if line in ELSEWHERE:
        return "elsewhere"
    first, *rest = shlex.split(line)
    if first == "cp" and len(rest) == 2 and all(name.startswith("my-policy/") for name in rest):
        return "copy"
    if first == "windtunnel" and rest and rest[0] in COMMANDS:
        return "windtunnel"
    if line.startswith("pytest -p scenarios.pytest_plugin "):
        return "pytest"
    raise AssertionError(f"{line!r} is neither run by tests/test_docs.py nor in its table ELSEWHERE")


def with_few_customers(words: list[str], option: str) -> list[str]:
    if option in words:
        at = words.index(option)
        return [*words[: at + 1], CUSTOMERS, *words[at + 2 :]]
    return [*words, option, CUSTOMERS]


def prepared(line: str, folder: Path) -> tuple[list[str], Path | None]:
    """A command of a page as arguments, and the file its output goes to."""
    words = shlex.split(line)
    target = None
    if ">" in words:
        at = words.index(">")
        target, words = folder / words[at + 1], words[:at]
    if "RUN" in words:
        newest = max((folder / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        words[words.index("RUN")] = str(newest.relative_to(folder))
    if words[0] == "pytest":
        return [sys.executable, "-m", *with_few_customers(words, "--scenario-customers")], target
    if words[1] in MISSED_IS_FINE:
        words = with_few_customers(words, "--customers")
    if words[1] == "load":
        words += [part for pair in UNDER_LOAD.items() for part in pair]
    if words[1] == "compare":
        words += [part for name, value in FEW_WORLDS.items() if name not in words for part in (name, value)]
    return [sys.executable, str(ROOT / "windtunnel.py"), *words[1:]], target


def execute(line: str, folder: Path) -> None:
    if kind_of(line) == "copy":
        shutil.copyfile(*(folder / name for name in shlex.split(line)[1:]))
        return
    arguments, target = prepared(line, folder)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )
    missed_is_fine = arguments[2] in (*MISSED_IS_FINE, "compare")
    fine = {0, 1} if kind_of(line) == "pytest" else {0, 10} if missed_is_fine else {0}
    if arguments[2] == "load":  # other tests take the machine from it
        fine = {0, exits.Exit.NOT_REACHED, exits.Exit.SATURATED}
    said = f"$ {shlex.join(arguments)}\n{done.stdout}\n{done.stderr}"
    assert done.returncode in fine, said
    assert "Traceback" not in done.stderr + done.stdout, said
    assert "INTERNALERROR" not in done.stdout, said
    if target is not None:
        target.write_text(done.stdout, "utf-8")


def edit(diff: str, folder: Path) -> None:
    """Replace the line that a page says to change, in the file it names or the one of the policy that has it."""
    named = re.findall(r"^\+\+\+ (\S+)$", diff, re.MULTILINE)
    files = [folder / name for name in named] or sorted((folder / "my-policy").rglob("*.yaml"))
    diff = re.sub(r"^\+\+\+.*$", "", diff, flags=re.MULTILINE)
    old, new = (re.findall(rf"^{sign} *(\S.*)$", diff, re.MULTILINE) for sign in (r"\-", r"\+"))
    for before, after in zip(old, new, strict=True):
        (path,) = [path for path in files if before in path.read_text("utf-8")]
        text = path.read_text("utf-8")
        assert text.count(before) == 1, f"{path}: {before}"
        path.write_text(text.replace(before, after), "utf-8")


# The README's commands are typed in full by tests/test_newcomer.py.
@pytest.mark.parametrize("page", [page for page in PAGES if has_commands(page)])
@pytest.mark.parametrize("without", [SLOW, pytest.param((), marks=pytest.mark.long)], ids=["quick", "whole"])
def test_commands_of_a_page(page: str, without: tuple[str, ...], tmp_path: Path) -> None:
    """In their order, in an empty folder that has the scenarios."""
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "library").symlink_to(LIBRARY)
    for language, body in blocks(page_text(page), "sh", "diff"):
        if language == "diff":
            edit(body, tmp_path)
            continue
        for line in command_lines(body):
            if kind_of(line) != "elsewhere" and line not in without:
                execute(line, tmp_path)
    if page == "docs/ci.md":
        assert "<testcase" in (tmp_path / "junit.xml").read_text("utf-8")
        said = json.loads((tmp_path / "run.json").read_text("utf-8"))
        assert {"run_id", "seed", "digest", "command", "metrics", "expectations"} <= set(said)


def test_commands_of_the_workflow(tmp_path: Path) -> None:
    """The example for CI, run as far as it is ours: what it tells of a policy that changed nothing."""
    workflow = YAML(typ="safe").load(page_text("docs/windtunnel.workflow.yml"))
    runs = [line.strip() for step in workflow["jobs"]["check"]["steps"] for line in step.get("run", "").splitlines()]
    execute("windtunnel new my-policy", tmp_path)
    (tmp_path / "before" / "my-policy" / "baselines").mkdir(parents=True)
    ours = [line for line in runs if line.startswith("windtunnel ")]
    assert len(ours) == 3
    for line in ours:
        execute(line, tmp_path)
    assert (tmp_path / "pull.md").read_text("utf-8").startswith("## windtunnel\n")


def test_pages_with_commands_are_those_expected() -> None:
    assert {page for page in PAGES if has_commands(page)} == {
        "README.md", "docs/ci.md", "docs/engineer.md", "docs/gateway.md", "docs/hosts.md", "docs/load.md",
        "docs/operating.md", "docs/strategist.md",
    }  # fmt: skip


def test_every_command_is_run_or_listed() -> None:
    used = {line for page in PAGES for _, body in blocks(page_text(page), "sh") for line in command_lines(body)}
    assert {line for line in used if kind_of(line) == "elsewhere"} == set(ELSEWHERE)
    assert set(SLOW) <= used
    for planted in ("make launch", "windtunnel optimise x", "rm -rf runs"):
        with pytest.raises(AssertionError, match="neither run"):
            kind_of(planted)


def test_what_is_run_elsewhere() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {command.split()[1] for command in ELSEWHERE if command.startswith("make ")} <= targets
    assert "make test" in (ROOT / ELSEWHERE["make test"]).read_text("utf-8")
    assert f"DEMO_ARGS ?= {SHARDS.removeprefix('windtunnel run ')}\n" in makefile


# --- Links and pictures -----------------------------------------------------------------------------------------------
def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(page: str, text: str) -> list[str]:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if "://" in link or not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            broken.append(f"{page}: {link}")
    return broken


@pytest.mark.parametrize("page", PAGES)
def test_links(page: str) -> None:
    assert broken_links(page, page_text(page)) == []


def test_a_broken_link_is_seen() -> None:
    assert broken_links(
        "docs/ci.md", "[a](nothing.md) [b](engineer.md#nothing) [c](engineer.md#limits) [d](#junit)"
    ) == [
        "docs/ci.md: nothing.md",
        "docs/ci.md: engineer.md#nothing",
    ]


def test_the_picture_is_small() -> None:
    content = (ROOT / "docs" / "picture.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) < 300_000
    assert 1_000 <= int.from_bytes(content[16:20], "big") <= 1_400, "its width"


# --- Metrics, expectations, exit codes, reasons, lint codes -----------------------------------------------------------
METRIC_WITH_SCOPE = re.compile(r"[a-z][a-z0-9_]*\[[a-z0-9_]+(/[a-z0-9_]+)*\]")


@cache
def of_comparisons() -> set[str]:
    """Names of the figures that a comparison of the presets can have."""
    campaigns = {"bank_card": "first_use", "coupon_shop": "come_back", "fraud_shop": "come_back"}
    crowds = {"fraud_shop": load(LIBRARY / "populations" / "fraud_shop.yaml", Population)}
    others = {"cap_3": "cap_3.yaml", RULES_OFF: {"without_rules": []}, f"{WITHOUT}pace": {"without_rules": []}}
    return {
        figure.split("[")[0]
        for preset, name in campaigns.items()
        for figure in comparison_figures(
            load(LIBRARY / "policies" / f"{preset}.yaml", Policy),
            Compare.model_validate({"truth": [name], "arms": [name], "policies": others}),
            crowds.get(preset),
        )
    }


def test_expectations_of_a_comparison_are_figures(tmp_path: Path) -> None:
    body = block_with("docs/ci.md", "yaml", "difference[cap_3/profit]")
    scenario = tmp_path / "first_use.scenario.yaml"
    text = (LIBRARY / "first_use.scenario.yaml").read_text("utf-8")
    scenario.write_text(text[: text.index("compare:")].replace(": policies/", f": {LIBRARY}/policies/")
                        .replace(": populations/", f": {LIBRARY}/populations/") + body)  # fmt: skip
    assert len(load_scenario(scenario).scenario.compare.expect) == 4


def test_metrics_named_exist() -> None:
    for page in PAGES:
        for name in ticked(prose(page)):
            if METRIC_WITH_SCOPE.fullmatch(name):
                assert name.split("[")[0] in {*METRICS, *of_comparisons()}, f"{page}: {name}"


def test_the_table_of_metrics_is_the_catalogue() -> None:
    table = [row.cells for row in rows("docs/strategist.md", "in the reports", "English", "中文")]
    assert table == [(f"`{m.name}`", m.english, m.chinese) for m in METRICS.values()]


def test_expectations_written_are_expectations() -> None:
    body = block_with("docs/ci.md", "yaml", "exposures[first_use] >= 1000")
    lines = [line.strip().removeprefix("- ") for line in body.splitlines()[1:]]
    assert {Expectation.parse(line).metric.split("[")[0] for line in lines} <= set(METRICS)
    assert len(lines) >= 5


def test_exit_codes() -> None:
    assert [int(row["code"]) for row in rows("docs/ci.md", "code", "meaning")] == [int(code) for code in exits.Exit]


def test_reasons_are_told_in_their_order() -> None:
    told = [(ticked(row["reason"])[0], row["in words"]) for row in rows("docs/strategist.md", "reason", "in words")]
    names = [reason.name.lower() for reason in Reason if reason not in (Reason.SHOWN, Reason.NO_CANDIDATE)]
    assert told == [(name, REASONS[name]) for name in names]


def test_every_code_of_lint_is_told() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "engine" / "policy").glob("lint*.py"))
    said = dict(re.findall(r'"(W\d\d)",\s*"(\w+)"', sources))
    table = rows("docs/strategist.md", "code", "what it looks for", "how grave")
    assert {ticked(row["code"])[0]: row["how grave"] for row in table} == said


def test_the_error_shown_is_the_one_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert commands.new(Path("my-policy"), "bank-card") == 0
    path = Path("my-policy/policies/bank_card.yaml")
    text = path.read_text("utf-8")
    assert "{most: 7, per: week}" in text
    path.write_text(text.replace("{most: 7, per: week}", "{most: 0, per: wek}"), "utf-8")
    assert commands.lint(path, False, False) == 2
    assert capsys.readouterr().err == block_with("docs/strategist.md", "text", "nothing was run")


# --- The language of policies -----------------------------------------------------------------------------------------
def block_inside(annotation: Any) -> tuple[type[Block] | None, str]:
    """The block a field holds, if any, and how its path goes on: [] in a list, .* under names."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return block_inside(inside[0])
    if origin in (Union, types.UnionType):
        found = [block_inside(each) for each in inside]
        return next((pair for pair in found if pair[0] is not None), (None, ""))
    if origin in (list, dict):
        block, below = block_inside(inside[-1])
        return block, ("[]" if origin is list else ".*") + below
    is_block = isinstance(annotation, type) and issubclass(annotation, Block)
    return (annotation if is_block else None), ""


def fields_of(model: type[Block], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field of a document with its path, as campaigns.*.frequency.caps[].most."""
    for name, field in model.model_fields.items():
        here = f"{path}{field.alias or name}"
        yield here, field
        block, below = block_inside(field.annotation)
        if block is not None:
            yield from fields_of(block, f"{here}{below}.")


def prefixes(heading: str) -> list[str]:
    """The blocks that a heading of docs/policy.md speaks of; the policy itself has none."""
    return [f"{name}." for name in ticked(heading)] or [""]


def told_fields() -> dict[str, Row]:
    table = rows("docs/policy.md", "field", "write", "default", "what it does")
    named = [(prefix + ticked(row["field"])[0], row) for row in table for prefix in prefixes(row.heading)]
    assert len(named) == len(dict(named)), "a field is told twice"
    return dict(named)


def test_every_field_of_a_policy_is_told() -> None:
    assert set(told_fields()) == {path for path, _ in fields_of(Policy)}


def test_defaults_are_those_of_the_code() -> None:
    fields, told = dict(fields_of(Policy)), told_fields()
    for path, field in fields.items():
        said = told[path]["default"]
        if field.is_required():
            assert said == "must", path
        elif said == "–":
            assert field.default is None or field.default in ([], {}) or isinstance(field.default, Block), path
        else:
            kind: Any = field.annotation
            for extra in field.metadata:
                kind = Annotated[kind, extra]
            assert TypeAdapter(kind).validate_python(said) == field.default, path


def test_every_fact_is_told_with_its_unit() -> None:
    table = {ticked(row["fact"])[0]: row for row in rows("docs/policy.md", "fact", "of", "unit", "what it says")}
    of_tag = table.pop("tag.NAME")
    assert (of_tag["of"], of_tag["unit"]) == ("the customer", "truth")
    for name, fact in FACTS.items():
        whose = "the customer" if fact >= FIRST_PERSONAL_FACT else "the event"
        assert (table[name]["of"], table[name]["unit"]) == (whose, unit_of(fact)), name
    assert set(table) == set(FACTS)


def test_conditions_shown_are_conditions() -> None:
    policy = load(LIBRARY / "policies" / "bank_card.yaml", Policy)
    scope = policy.scope(policy.segments, events=True)
    lines = block_with("docs/policy.md", "text", "dormant").splitlines()
    assert len(lines) >= 5
    for line in lines:
        Compiler().add(line, scope)


def test_kinds_of_coupons_are_told() -> None:
    table = {
        ticked(row["kind"])[0]: row for row in rows("docs/policy.md", "kind", "takes off", "must have", "may have")
    }
    assert set(table) == set(KINDS)
    for kind, row in table.items():
        must = {name for name, kinds in KINDS_NEEDING.items() if kind in kinds}
        may = {name for name, kinds in KINDS_WITH.items() if kind in kinds and kinds != CHECKOUT_KINDS} - must
        assert (set(ticked(row["must have"])), set(ticked(row["may have"]))) == (must, may), kind


def test_the_coupon_shown_is_a_coupon() -> None:
    text = (LIBRARY / "policies" / "bank_card.yaml").read_text("utf-8")
    budget = "budgets: {double_eleven: {amount: 1000.00}}\n"
    shown = load_text(text + budget + block_with("docs/policy.md", "yaml", "full_100_10"), "shop.yaml", Policy)
    assert shown.coupons["full_100_10"].pieces == 1_000


def test_fraud_rules_shown_are_rules() -> None:
    text = (LIBRARY / "policies" / "bank_card.yaml").read_text("utf-8")
    shown = [("docs/policy.md", "many_small_claims"), ("docs/fraud.md", "codes_per_device")]
    for page, name in shown:
        policy = load_text(text + block_with(page, "yaml", name), "shop.yaml", Policy)
        assert len(policy.fraud.rows()) == 41 and policy.fraud.rows()[name].number == 0
        assert policy.fraud.appeal is not None


def test_breakers_shown_are_breakers() -> None:
    text = (LIBRARY / "policies" / "bank_card.yaml").read_text("utf-8")
    policy = load_text(text + block_with("docs/policy.md", "yaml", "payments_fail"), "shop.yaml", Policy)
    assert [breaker.measure for breaker in policy.breakers.values()] == ["payment_failures", "complaints", "spend"]


def told_rule(row: RuleRow) -> list[str]:
    """What docs/fraud.md says of a core rule: what it counts, per what, and its bounds."""
    traced, count = tuple(core_rules()["accounts_per_device"].count or []), tuple(row.count or [])
    kinds = {traced: "traced", ("any",): "any"}.get(count, "`, `".join(count))
    per = row.key.name.lower() if row.check != "listed" else "each field"
    said = [kinds, f"| {per} |", f"different {row.different}s" if row.different else "", row.where or ""]
    bounds = ((row.worth, yuan_text), (row.share, share_text), (row.gap, duration_text), (row.views, str))
    said += [text(value) for value, text in bounds if value is not None]
    return [*said, f"{row.metres:,} m" if row.metres else "", "granted" if row.granted else ""]


def test_the_core_rules_are_told() -> None:
    table = rows("docs/fraud.md", "#", "rule", "counts", "per", "within", "fires", "answer")
    told = [(row["#"], ticked(row["rule"])[0], row["within"], row["answer"]) for row in table]
    windows = {None: "–", "day": "day", 86_400_000: "24h"}
    assert told == [
        (str(row.number), name, windows.get(row.within) or duration_text(int(row.within or 0)), row.answer)
        for name, row in core_rules().items()
    ]
    for line, row in zip(table, core_rules().values(), strict=True):
        said = "| " + " | ".join(line.cells) + " |"
        for words in told_rule(row):
            assert words in said, (line["rule"], words)
        if row.more_than is not None:
            assert f"> {row.more_than}" in line["fires"].split(",")[0], line["rule"]


PARSERS = {
    "money": quantities.money, "duration": quantities.duration, "share": quantities.share,
    "response": quantities.response, "time of day": quantities.clock_time, "date": quantities.day,
    "date and time": quantities.instant,
    "name": quantities.identifier, "truth": quantities.truth,
}  # fmt: skip


@pytest.mark.parametrize("quantity", PARSERS)
def test_quantities_are_written_so_and_not_so(quantity: str) -> None:
    (row,) = [row for row in rows("docs/policy.md", "quantity", "write", "not") if row["quantity"] == quantity]
    for text in ticked(row["write"]):
        PARSERS[quantity](text.strip('"'))
    for text in ticked(row["not"]):
        with pytest.raises(ValueError, match="must be"):
            PARSERS[quantity](text)


# --- Limits -----------------------------------------------------------------------------------------------------------
def test_limits_are_those_of_the_code() -> None:
    for row in rows("docs/engineer.md", "limit", "value", "where"):
        module, _, name = ticked(row["where"])[0].rpartition(".")
        assert int(row["value"].replace(",", "")) == getattr(importlib.import_module(module), name), row["where"]


# --- Clauses ----------------------------------------------------------------------------------------------------------
CLAUSE = re.compile(r"\*\*([PCFBH]\d+)([a-z])\*\*")
MISSION = {"P": 17, "C": 13, "F": 5, "B": 15, "H": 5}  # rows
CLAUSES_LEAST = 140


@cache
def test_names(stem: str) -> set[str]:
    """Tests of the one file of this name."""
    (path,) = (ROOT / "tests").rglob(f"{stem}.py")
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


test_names.__test__ = False  # type: ignore[attr-defined]


@cache
def metrics_expected(scenario: str) -> set[str]:
    document = load(LIBRARY / f"{scenario}.scenario.yaml", Scenario)
    texts = [*document.expect, *document.compare.expect]
    return {Expectation.parse(text).metric.split("[")[0] for text in texts}


def done() -> list[Row]:
    return rows("docs/clauses.md", "clause", "policy", "population", "metric", "turns red")


@cache
def known_paths(model: type[Block]) -> set[str]:
    """Paths of fields; a block under names or in a list may be left without its last step."""
    return {path for path, _ in fields_of(model)}


def wrong_names(row: Row) -> list[str]:
    """What a clause names and nobody has."""
    wrong = [name for name in ticked(row["policy"]) if name not in known_paths(Policy)]
    wrong += [name for name in ticked(row["population"]) if name not in known_paths(Population)]
    wrong += [name for name in ticked(row["metric"]) if name not in {*METRICS, *of_comparisons()}]
    for proof in ticked(row["turns red"]):
        stem, is_test, name = proof.partition("::")
        if not is_test:
            stem, _, name = proof.partition(": ")
        if name not in (test_names(stem) if is_test else metrics_expected(stem)):
            wrong.append(proof)
    return wrong


def test_what_clauses_name_exists() -> None:
    assert {row["clause"]: wrong_names(row) for row in done() if wrong_names(row)} == {}
    assert [row["clause"] for row in done() if not ticked(row["turns red"])] == []


def test_a_wrong_name_in_a_clause_is_seen() -> None:
    heads = done()[0].heads
    cells = ("x", "`fatigue.cap`", "`topics.*.yawns`", "`happiness`", "`test_docs::test_nothing` `first_use: visits`")
    assert len(wrong_names(Row("", heads, cells))) == 5


def test_every_row_of_the_mission_has_clauses_with_names_of_their_own() -> None:
    found = CLAUSE.findall(page_text("docs/clauses.md"))
    assert len(found) == len(set(found)) >= CLAUSES_LEAST
    assert {row for row, _ in found} == {f"{letter}{n}" for letter, most in MISSION.items() for n in range(1, most + 1)}
    for row in {row for row, _ in found}:
        letters = sorted(letter for of, letter in found if of == row)
        assert letters == [chr(ord("a") + n) for n in range(len(letters))], f"{row}: {letters}"


def test_clauses_done_stand_under_their_row() -> None:
    for row in done():
        name = CLAUSE.match(row["clause"])
        assert name, row["clause"]
        assert name[1].startswith(row.heading.split()[0]), row["clause"]
