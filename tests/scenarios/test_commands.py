"""The command line as a newcomer meets it: wrong use is one sentence and exit code 2, and nothing is written."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results.store import written_runs
from scenarios import console, run
from scenarios.commands import PRESETS
from scenarios.exits import Exit
from scenarios.load import load_scenario
from tests.scenarios.shop import POLICY, SCENARIO, Done, cli, write_shop

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "scenarios" / "library"
SMALL = ("--customers", "500", "--days", "3", "--before", "2", "--after", "2")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small scenario, and beside it runs/ with one run."""
    folder = tmp_path_factory.mktemp("shop")
    path = write_shop(folder)
    assert cli("run", path, "--out", folder / "runs").code == Exit.FINE
    return path


def a_run(shop: Path) -> Path:
    return next(iter(written_runs(shop.parent / "runs"))).folder


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


# --- wrong use --------------------------------------------------------------------------------------------------------
# Words of the command, and how the answer begins. SHOP is the scenario's folder, RUN a run's, HERE an empty one.
WRONG = """
run SHOP/none.scenario.yaml                     | SHOP/none.scenario.yaml: the document must be a file that exists (got no such file)
run SHOP                                        | SHOP: the document must be a file (got a folder)
run SHOP/policy.yaml                            | SHOP/policy.yaml:1: scenario must be given
run SHOP/binary.scenario.yaml                   | SHOP/binary.scenario.yaml:1: the document must be UTF-8 text (got byte 0xff)
run SHOP/torn.scenario.yaml                     | SHOP/torn.scenario.yaml:2: the document must be YAML: while parsing a flow sequence
run SHOP/spring.scenario.yaml --customers 99    | --customers must be between 100 and 100000000 (got 99)
run SHOP/spring.scenario.yaml --days 0          | --days must be between 1 and 366 (got 0)
run SHOP/spring.scenario.yaml --before -1       | --before must be between 0 and 366 (got -1)
run SHOP/spring.scenario.yaml --after 367       | --after must be between 0 and 366 (got 367)
run SHOP/spring.scenario.yaml --seed -1         | --seed must be between 0 and 4611686018427387904 (got -1)
run SHOP/spring.scenario.yaml --shards 0        | --shards must be between 1 and 256 (got 0)
run SHOP/spring.scenario.yaml --shards 2 --inline | --shards and --inline exclude each other: --inline is one process without Ray
run SHOP/spring.scenario.yaml --customers many  | Usage:
run SHOP/spring.scenario.yaml --customer 500    | Usage:
run                                             | Usage:
runn SHOP/spring.scenario.yaml                  | Usage:
run SHOP/spring.scenario.yaml --policy none.yaml | --policy must be a file that exists: none.yaml (got no such file)
run SHOP/spring.scenario.yaml --policy SHOP     | --policy must be a file that exists: SHOP (got a folder)
run SHOP/spring.scenario.yaml --policy SHOP/people.yaml | SHOP/people.yaml:1: policy must be given
run SHOP/spring.scenario.yaml --out SHOP/policy.yaml | --out must be a folder (got SHOP/policy.yaml, where SHOP/policy.yaml is a file)
run SHOP/spring.scenario.yaml --out SHOP/policy.yaml/runs | --out must be a folder (got SHOP/policy.yaml/runs, where SHOP/policy.yaml is a file)
check SHOP/none                                 | SHOP/none must be a scenario or a folder of scenarios (got no such file or folder)
check SHOP/policy.yaml                          | SHOP/policy.yaml must be a scenario or a table, a file named *.scenario.yaml or *.rows.yaml (got another name)
check HERE                                      | HERE must hold scenarios or tables, files named *.scenario.yaml or *.rows.yaml (got none)
check SHOP/spring.scenario.yaml --customers 1   | --customers must be between 100 and 100000000 (got 1)
check SHOP/spring.scenario.yaml --junit HERE    | --junit must be a file (got a folder: HERE)
check SHOP/spring.scenario.yaml --out SHOP/policy.yaml | --out must be a folder (got SHOP/policy.yaml, where SHOP/policy.yaml is a file)
report SHOP/none                                | SHOP/none must be the folder of a run, like runs/first_use-20260907-101500 (got no such folder)
report SHOP                                     | SHOP must be the folder of a run, like runs/first_use-20260907-101500 (got no manifest.json in it)
report SHOP/policy.yaml                         | SHOP/policy.yaml must be the folder of a run, like runs/first_use-20260907-101500 (got a file)
explain SHOP --customer 1                       | SHOP must be the folder of a run, like runs/first_use-20260907-101500 (got no manifest.json in it)
explain RUN                                     | Usage:
explain RUN --customer 300                      | --customer must be between 0 and 299 (got 300)
explain RUN --customer -1                       | --customer must be between 0 and 299 (got -1)
explain RUN --customer one                      | Usage:
lint                                            | POLICY must be given: the file of a policy (got nothing); --schema alone needs none
lint SHOP                                       | SHOP: the document must be a file (got a folder)
lint SHOP/none.yaml                             | SHOP/none.yaml: the document must be a file that exists (got no such file)
lint SHOP/people.yaml                           | SHOP/people.yaml:1: policy must be given
new SHOP                                        | SHOP must not exist or be an empty folder (got a folder with files in it); nothing was written
new SHOP/policy.yaml                            | SHOP/policy.yaml must not exist or be an empty folder (got a file); nothing was written
new SHOP/policy.yaml/sub                        | SHOP/policy.yaml/sub must be a folder that can be made (got Not a directory)
new HERE/x --preset shop                        | --preset must be one of bank-card, coupon-platform (got shop)
bench --only nothing                            | --only must be one of
"""  # noqa: E501
ROWS = [tuple(part.strip() for part in row.split("|")) for row in WRONG.strip().splitlines()]


@pytest.mark.parametrize("as_json", [False, True], ids=["", "json"])
@pytest.mark.parametrize(("words", "answer"), ROWS, ids=[words for words, _ in ROWS])
def test_wrong_use(words: str, answer: str, as_json: bool, shop: Path, tmp_path: Path) -> None:
    (shop.parent / "binary.scenario.yaml").write_bytes(b"\xff\xfe\x00")
    (shop.parent / "torn.scenario.yaml").write_text("scenario: [torn\n")
    before = everything(shop.parent) | everything(tmp_path)

    def placed(text: str) -> str:
        for name, place in {"RUN": a_run(shop), "SHOP": shop.parent, "HERE": tmp_path}.items():
            text = text.replace(name, str(place))
        return text

    has_json = words.split()[0] not in ("new", "runn")
    done = cli(*placed(words).split(), *(["--json"] if as_json and has_json else []))
    assert done.code == Exit.WRONG_USE, done
    assert done.out == ""
    assert done.err.startswith(placed(answer)), done.err
    assert "Traceback" not in done.err
    assert everything(shop.parent) | everything(tmp_path) == before


def test_all_wrong_options_at_once(shop: Path) -> None:
    done = cli("run", shop, "--customers", 1, "--days", 0, "--shards", 0)
    assert done.err.splitlines() == [
        "--customers must be between 100 and 100000000 (got 1)",
        "--days must be between 1 and 366 (got 0)",
        "--shards must be between 1 and 256 (got 0)",
    ]


def test_all_problems_are_counted(tmp_path: Path) -> None:
    path = write_shop(
        tmp_path, ("people.yaml", "per_day: 1\n", "per_day: 9\n"), ("policy.yaml", "topic: bill", "topic: bil")
    )
    done = cli("run", path)
    assert done.code == Exit.WRONG_USE
    *_, last = done.err.splitlines()
    assert last == "3 problems; nothing was run."


def broken(folder: Path, change: Callable[[Path], object]) -> str:
    change(folder)
    said = [cli("report", folder), cli("explain", folder, "--customer", 1)]
    assert [done.code for done in said] == [Exit.WRONG_USE] * 2, said
    assert said[0].err == said[1].err
    assert not said[0].out and not said[1].out
    return said[0].err.replace(f"{folder}/", "").strip()


TABLE = "waterfall.parquet"
BROKEN_RUNS: list[tuple[Callable[[Path], object], str]] = [
    (lambda run: (run / "manifest.json").write_text("{"), "manifest.json: the manifest must be JSON as a"),
    (lambda run: (run / "manifest.json").write_text("[]"), "manifest.json: the manifest must be as a run"),
    (lambda run: (run / "manifest.json").write_text('{"seed": 1}'), "manifest.json: the manifest must be as a"),
    (lambda run: (run / "tables" / TABLE).unlink(), f"tables/{TABLE} must be a table of the run (got no such file)"),
    (lambda run: (run / "tables" / TABLE).write_text("x"), f"tables/{TABLE} must be a table as a run writes it (got "),
    (lambda run: shutil.copy(run / "tables" / "paths.parquet", run / "tables" / TABLE),
     f"tables/{TABLE} must have the columns date, phase, campaign, reason, candidates (got none of them)"),
    (lambda run: shutil.rmtree(run / "tables"), "tables/waterfall.parquet must be a table of the run (got no such fil"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "answer"), BROKEN_RUNS)
def test_broken_runs(change: Callable[[Path], object], answer: str, shop: Path, tmp_path: Path) -> None:
    shutil.copytree(a_run(shop), tmp_path / "run")
    assert broken(tmp_path / "run", change).startswith(answer)


def test_a_run_without_its_inputs_is_not_explained(shop: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(a_run(shop), folder)
    (folder / "inputs" / "policy.yaml").unlink()
    done = cli("explain", folder, "--customer", 1)
    assert done.code == Exit.WRONG_USE
    assert done.err.splitlines()[0].endswith(
        f"scenario.yaml:3: policy must be a file that exists: {folder}/inputs/policy.yaml (got no such file)"
    )


# --- what a run says --------------------------------------------------------------------------------------------------
def test_a_run_says_how_to_repeat_it(shop: Path, tmp_path: Path) -> None:
    """With every option, from a path that a shell would take apart."""
    policy = tmp_path / "our policy's.yaml"
    policy.write_text(POLICY.replace("holdout: {share: 50%}", "holdout: {share: 20%}"), encoding="utf-8")
    options = (
        "--customers",
        200,
        "--days",
        2,
        "--before",
        1,
        "--after",
        1,
        "--seed",
        7,
        "--policy",
        policy,
        "--inline",
    )
    done = cli("run", shop, *options, "--out", tmp_path / "runs")
    lines = dict(line.split(None, 1) for line in done.out.splitlines() if line[:7].strip() in ("seed", "repeat"))
    seed, _, digest = lines["seed"].split()
    assert seed == "7"
    program, *words = shlex.split(lines["repeat"])
    assert program == "windtunnel"
    again = found(cli(*words, "--out", tmp_path / "again", "--json"))
    assert (again["digest"], again["command"]) == (digest, lines["repeat"])
    assert found(cli(*words, "--seed", 8, "--out", tmp_path / "other", "--json"))["digest"] != digest


def found(done: Done) -> dict[str, Any]:
    """The one object on standard output."""
    assert done.out.count("\n") == 1
    value = json.loads(done.out)
    assert isinstance(value, dict)
    return value


def test_json_is_one_object_and_nothing_else(shop: Path, tmp_path: Path) -> None:
    folder = a_run(shop)
    for words in (
        ("run", shop, "--out", tmp_path / "runs"),
        ("check", shop, "--out", tmp_path / "runs"),
        ("report", folder),
        ("explain", folder, "--customer", 1),
        ("lint", shop.parent / "policy.yaml"),
        ("lint", "--schema"),
    ):
        assert found(cli(*words, "--json")), words


def test_a_missed_expectation_says_expected_got_and_repeat(tmp_path: Path) -> None:
    path = write_shop(tmp_path, ("spring.scenario.yaml", "exposures[spring] >= 10", "exposures[spring] >= 1000000"))
    done = cli("run", path, "--out", tmp_path / "runs")
    assert done.code == Exit.MISSED
    assert "  fails      expected exposures[spring] >= 1000000, got " in done.out
    assert f"\nrepeat  windtunnel run {path} --seed 1\n" in done.out
    assert done.err == ""


def test_a_doubtful_reward_is_a_warning(tmp_path: Path) -> None:
    path = write_shop(tmp_path, ("people.yaml", "reward_half: 20.00", "reward_half: 0"))
    done = cli("run", path, "--out", tmp_path / "runs", "--json")
    assert done.code == Exit.FINE
    assert done.err == "warning: campaigns.spring.reward changes nothing: topics.offers has no reward_half\n"
    assert found(done)


# --- stopped, and broken from within ----------------------------------------------------------------------------------
STOPPED = (KeyboardInterrupt(), Exit.STOPPED, "stopped; a run that had not ended is not kept")
BREAKS = [
    ("live", *STOPPED),
    ("render", *STOPPED),  # when nearly everything is written
    ("live", AssertionError("shown 3, exposures 4"), Exit.INVARIANT_BROKEN,
     "an invariant is broken: shown 3, exposures 4"),
    ("live", KeyError("spring"), Exit.HARNESS_ERROR, "unexpected KeyError: 'spring'"),
    ("live", OSError(28, "No space left on device", "tables"), Exit.HARNESS_ERROR, "tables: [Errno 28] No space left"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "error", "code", "answer"), BREAKS)
def test_what_breaks_leaves_no_result_behind(
    place: str, error: BaseException, code: Exit, answer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def breaks(*arguments: Any) -> None:
        raise error

    path = write_shop(tmp_path)
    before = everything(tmp_path)
    monkeypatch.setattr(run, place, breaks)
    done = cli("run", path, "--out", tmp_path / "runs", "--json")
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(answer)
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) == (1 if code is Exit.STOPPED else 2)
    if isinstance(error, Exception):
        (kept,) = (tmp_path / "runs").iterdir()  # its failure, and nothing that looks like a result
        assert kept.name.endswith("-failed")
        assert not (kept / "report.html").exists()
    else:
        assert everything(tmp_path) == before
    if place == "live":
        monkeypatch.setenv(console.TRACEBACK, "1")
        assert ("Traceback" in cli("run", path, "--out", tmp_path / "runs").err) == (code is not Exit.STOPPED)


def command(*words: object) -> list[str]:
    return [sys.executable, str(ROOT / "windtunnel.py"), *map(str, words)]


def test_control_c_leaves_nothing_behind(tmp_path: Path) -> None:
    """The real thing: another process, a signal once its warning says that the run is about to begin."""
    path = write_shop(
        tmp_path,
        ("spring.scenario.yaml", "days: 3", "days: 366"),
        ("people.yaml", "reward_half: 20.00", "reward_half: 0"),
    )
    before = everything(tmp_path)
    words = command("run", path, "--customers", 60_000, "--inline", "--out", tmp_path / "runs")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("warning: ")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (Exit.STOPPED, "")
    assert err.splitlines()[-1] == "stopped; a run that had not ended is not kept"
    assert everything(tmp_path) == before


def test_a_reader_that_goes_away_is_no_error(shop: Path) -> None:
    words = shlex.join(command("explain", a_run(shop), "--customer", 1))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words} | true"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


# --- new --------------------------------------------------------------------------------------------------------------
def test_new_writes_what_runs_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "our first one"
    done = cli("new", folder)
    assert done.code == Exit.FINE
    said = done.out.splitlines()[-1].removeprefix("Next: ")
    program, *words = shlex.split(said)
    assert program == "windtunnel"
    before = everything(folder)
    after = cli(*words, *SMALL, "--out", tmp_path / "runs", "--json")
    assert after.code in (Exit.FINE, Exit.MISSED)  # of so few customers little can be said
    assert found(after)["customers"] == 500
    assert everything(folder) == before
    assert cli("lint", folder / "policies" / "bank_card.yaml").code == Exit.FINE
    assert cli("new", folder).code == Exit.WRONG_USE


def test_new_takes_an_empty_folder(tmp_path: Path) -> None:
    assert cli("new", tmp_path).code == Exit.FINE
    assert (tmp_path / "first_use.scenario.yaml").read_bytes() == (LIBRARY / "first_use.scenario.yaml").read_bytes()


def test_help_names_every_command() -> None:
    done = cli("--help")
    assert done.code == Exit.FINE
    for name in ("new", "run", "check", "report", "explain", "lint", "bench"):
        assert f"\n  {name} " in done.out
        assert cli(name, "--help").code == Exit.FINE


def test_the_table_of_wrong_use_is_about_wrong_use(shop: Path) -> None:
    """The same words, used rightly, are fine: the table's exit code is not that of a broken table."""
    assert SCENARIO in shop.read_text()
    assert cli("report", a_run(shop)).code == Exit.FINE
    assert cli("explain", a_run(shop), "--customer", 299).code == Exit.FINE
    assert os.access(shop.parent, os.W_OK)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_whole_and_lint_finds_nothing(preset: str, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    assert cli("new", str(folder), "--preset", preset).code == Exit.FINE
    scenario, policy, _, table = PRESETS[preset]
    assert load_scenario(folder / scenario).policy.campaigns
    assert cli("check", str(folder / table)).code == Exit.FINE
    assert cli("lint", str(folder / policy)).out.rstrip().endswith("nothing found")
