"""`windtunnel check` and the pytest plugin: one line an expectation, JUnit XML, exit codes, no pytest of others."""

import json
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from results.checks import check_waterfall
from scenarios import run
from scenarios.exits import Exit
from scenarios.junit import legal
from tests.scenarios.shop import Done, cli, write_shop

ROOT = Path(__file__).resolve().parents[2]
MISSED = ("spring.scenario.yaml", "visits_per_customer <= 50", "exposures[spring] >= 1000000")
UNDECIDED = ("spring.scenario.yaml", "visits_per_customer <= 50", "lift[spring] >= 90%")
BROKEN = ("spring.scenario.yaml", "days: 3", "days: 0")


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Scenarios that hold, that miss, that cannot be read; tests of somebody else and a hidden folder beside them."""
    write_shop(tmp_path / "suite" / "good")
    write_shop(tmp_path / "suite" / "bad", MISSED)
    write_shop(tmp_path / "suite" / "broken", BROKEN)
    write_shop(tmp_path / "suite" / ".hidden", BROKEN)
    (tmp_path / "suite" / "test_theirs.py").write_text("def test_theirs(): raise RuntimeError('not ours to run')\n")
    (tmp_path / "suite" / "conftest.py").write_text("raise RuntimeError('not ours to import')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    return Path("suite")


def checked(*words: object) -> Done:
    """In this process, where tests can plant what goes wrong."""
    return cli("check", *words, "--out", "runs", "--beside", "1")


COMPILING = "compiling the engine for this machine (once, about a minute) …\n"  # where this is the first run


def test_the_lines(suite: Path) -> None:
    done = checked(suite, "--junit", "out/junit.xml")
    check_junit(ElementTree.parse("out/junit.xml").getroot())
    assert done.code == Exit.WRONG_USE  # for the one that cannot be read; the others ran
    bad, broken, good, last = done.out.strip().split("\n\n")
    head, report, *lines, repeat = bad.splitlines()
    assert head.startswith("suite/bad/spring.scenario.yaml: 300 customers over 7 days, ")
    assert report.startswith("  report     runs/spring-") and report.endswith("/report.html")
    assert [line[:13] for line in lines] == ["  holds      ", "  fails      "]
    assert lines[1].startswith("  fails      expected exposures[spring] >= 1000000, got ")
    assert repeat == "  repeat     windtunnel run suite/bad/spring.scenario.yaml --seed 1"
    assert broken.splitlines() == [
        "suite/broken/spring.scenario.yaml: cannot be read",
        "  suite/broken/spring.scenario.yaml:8: days must be >= 1 (got 0)",
    ]
    assert good.count("\n") == 3
    assert "repeat" not in good
    assert last.startswith("3 scenarios: 2 ran, 1 cannot be read. 4 expectations: 3 hold, 1 fail.  (")
    assert done.err in ("", COMPILING)


def test_beside_each_other_says_the_same(suite: Path) -> None:
    """Whatever came first: the same lines in the same order, but for names of runs and seconds."""
    alone, beside = checked(suite, "--json"), cli("check", suite, "--out", "runs", "--beside", "2", "--json")
    one, other = (json.loads(done.out) for done in (alone, beside))
    for said in (one, other):
        del said["seconds"]
        assert all(test.pop("run", "runs/").startswith("runs/") for test in said["tests"])
    assert one == other and alone.code == beside.code == Exit.WRONG_USE


def test_what_has_not_begun_in_time_is_missed(suite: Path) -> None:
    done = cli("check", suite / "good", suite / "bad", "--out", "runs", "--minutes", "1e-9", "--json")
    said = json.loads(done.out)
    assert [test["outcome"] for test in said["tests"]] == ["not judged"] * 2 and done.code == Exit.MISSED
    assert "not begun: the 1e-09 minutes of --minutes were spent" in said["tests"][0]["problem"]
    for words in (("--beside", "0"), ("--minutes", "0")):
        assert cli("check", suite, *words).code == Exit.WRONG_USE


def test_the_command_that_repeats_a_miss_repeats_it(suite: Path) -> None:
    done = checked(suite / "bad", "--customers", 200)
    (repeat,) = [line for line in done.out.splitlines() if line.startswith("  repeat ")]
    _, *words = shlex.split(repeat.split(None, 1)[1])
    again = cli(*words, "--out", "runs")
    (expected,) = [line for line in done.out.splitlines() if line.startswith("  fails ")]
    assert again.code == done.code == Exit.MISSED
    assert expected in again.out.splitlines()


@pytest.mark.parametrize(
    ("edits", "code"),
    [([], Exit.FINE), ([UNDECIDED], Exit.MISSED), ([BROKEN], Exit.WRONG_USE)],
)
def test_exit_codes(edits: list[Any], code: Exit, tmp_path: Path) -> None:
    path = write_shop(tmp_path, *edits)
    done = cli("check", path, path, tmp_path, "--out", tmp_path / "runs", "--json", "--beside", "1")
    assert done.code == code
    found = json.loads(done.out)
    assert found["exit_code"] == code
    assert len(found["tests"]) == (1 if code is Exit.WRONG_USE else 3)  # however often it was named


def test_json(suite: Path) -> None:
    found = json.loads(checked(suite / "bad", suite / "broken", "--json").out)
    assert found["scenarios"] == {"ran": 1, "cannot be read": 1}
    assert found["expectations"] == {"hold": 1, "fail": 1}
    (missed,) = [row for row in found["tests"] if row["outcome"] == "fails"]
    assert missed["file"] == "suite/bad/spring.scenario.yaml"
    assert missed["test"] == "exposures[spring] >= 1000000"
    assert missed["repeat"] == "windtunnel run suite/bad/spring.scenario.yaml --seed 1"
    assert missed["value"] < 1_000_000 and missed["low"] is None
    assert (Path(missed["run"]) / "report.html").is_file()


def check_junit(root: ElementTree.Element) -> None:
    (tests,) = root
    assert (root.tag, tests.tag) == ("testsuites", "testsuite")
    assert {name: tests.attrib[name] for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "7", "failures": "2", "errors": "0", "skipped": "0"
    }  # fmt: skip
    cases = {(case.attrib["classname"], case.attrib["name"]): case for case in tests}
    assert len(cases) == 7
    good = cases["suite/good/spring.scenario.yaml", "exposures[spring] >= 10"]
    assert not list(good) and float(good.attrib["time"]) >= 0
    (failure,) = cases["suite/bad/spring.scenario.yaml", "exposures[spring] >= 1000000"]
    assert failure.tag == "failure" and failure.text is not None
    expected, repeat = failure.text.splitlines()
    assert expected.startswith("expected exposures[spring] >= 1000000, got ") and failure.attrib["message"] == expected
    assert repeat == "repeat: windtunnel run suite/bad/spring.scenario.yaml --seed 1"
    (unread,) = cases["suite/broken/spring.scenario.yaml", "document"]
    assert unread.text == "suite/broken/spring.scenario.yaml:8: days must be >= 1 (got 0)"


def test_junit_is_xml_whatever_the_text() -> None:
    element = ElementTree.Element("a", {"b": legal('\x00 <&">\x1b 中 😀 \ud800')})
    assert ElementTree.fromstring(ElementTree.tostring(element)).attrib["b"] == '� <&">� 中 😀 �'


@pytest.mark.parametrize(
    ("error", "code", "outcome"),
    [(AssertionError("shown 3, exposures 4"), Exit.INVARIANT_BROKEN, "broken"),
     (RuntimeError("boom"), Exit.HARNESS_ERROR, "error")],
)  # fmt: skip
def test_a_run_that_fails_is_told_once_and_the_others_run(
    error: Exception, code: Exit, outcome: str, suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Any] = []

    def breaks_at_first(found: Any) -> None:
        tries.append(found)
        if len(tries) == 1:
            raise error
        check_waterfall(found)

    monkeypatch.setattr(run, "check_waterfall", breaks_at_first)
    done = checked(suite, "--junit", "junit.xml")
    assert done.code == code
    bad, *_, last = done.out.strip().split("\n\n")
    head, why, *rest, _ = bad.splitlines()
    assert head == "suite/bad/spring.scenario.yaml: the run failed"
    assert why == f"  {outcome:9}  {type(error).__name__}: {error}"
    assert [line[:14] for line in rest] == ["  not judged  "] * 2
    assert "3 scenarios: 1 failed, 1 cannot be read, 1 ran. 4 expectations: 2 not judged, 2 hold." in last
    assert len(tries) == 2
    (tests,) = ElementTree.parse("junit.xml").getroot()
    assert (tests.attrib["errors"], tests.attrib["skipped"]) == ("1", "2")


def test_stopped(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "live", stop)
    done = checked(suite)
    assert done.code == Exit.STOPPED
    assert done.err == "stopped; a run that had not ended is not kept\n"
    assert not Path("runs").exists()


# --- under pytest itself ----------------------------------------------------------------------------------------------
def test_the_plugin(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    for name in ("CI", "BUILD_NUMBER"):  # pytest prints whole messages a second time there
        monkeypatch.delenv(name, raising=False)
    write_shop(pytester.path / "good")
    write_shop(pytester.path / "bad", MISSED)
    write_shop(pytester.path / "broken", BROKEN)
    pytester.makepyfile(test_theirs="def test_theirs(): pass")
    words = ("-p", "scenarios.pytest_plugin", "--scenario-out", "kept", "--scenario-customers", "200")
    result = pytester.runpytest_inprocess(*words)
    result.assert_outcomes(passed=6, failed=2)
    text = result.stdout.str()
    assert "expected exposures[spring] >= 1000000, got " in text
    assert text.count("repeat: windtunnel run bad/spring.scenario.yaml --seed 1 --customers 200") == 1
    assert "broken/spring.scenario.yaml:8: days must be >= 1 (got 0)" in text
    assert "Traceback" not in text
    assert len(list((pytester.path / "kept").iterdir())) == 2


def test_the_plugin_refuses_what_no_scenario_can_have(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    write_shop(pytester.path)
    result = pytester.runpytest_inprocess("-p", "scenarios.pytest_plugin", "--scenario-customers", "5")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--scenario-customers must be between 100 and 100000000 (got 5)"])
