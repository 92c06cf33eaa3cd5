"""A gateway that is broken while it is under load: nothing is lost, and what callers felt is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from loadtests.load_audit import lost
from loadtests.load_commands import code_of, load
from loadtests.load_drill import felt_after
from loadtests.strikes import StrikeError, process_of
from results.load_words import RESULT, answer, verdict
from scenarios.exits import Exit
from tests.loadtests.test_load_commands import FOUND, GIVEN

DRILL: dict[str, Any] = {
    "name": "kill-shard", "sentence": "the process of shard 0 was killed", "seat": "shard-0", "struck_s": 6.0,
    "objective_ms": 1_000.0, "back_within_s": 10.0, "answered": 900, "kept": 905, "lost": 0, "back_s": 1.25,
    "is_back": True, "dip": 0.1, "worst_ms": 1_400.0, "bad": 2,
}  # fmt: skip
ENDS: dict[str, tuple[dict[str, Any], int, str]] = {
    "kept": ({}, Exit.FINE, "nothing was lost"),
    "lost": ({"lost": 3}, Exit.INVARIANT_BROKEN, "ANSWERS WERE LOST"),
    "slow": ({"back_s": 11.0}, Exit.MISSED, "nothing was lost"),
    "not back": ({"is_back": False}, Exit.MISSED, "not back at the end"),
}


@pytest.mark.parametrize("end", ENDS)
def test_how_it_ends(end: str) -> None:
    more, code, word = ENDS[end]
    found = FOUND | {"drill": DRILL | more}
    assert (code_of(found), verdict(found)[0]) == (code, word)


def test_the_answer_leads() -> None:
    first, felt, _ = answer(FOUND | {"drill": DRILL})
    assert first.startswith("Nothing was lost: the process of shard 0 was killed under load, and each of 900 answers")
    assert felt.startswith("Callers felt it for 1.25 s, answers a second fell to 10% of what they were; 2 requests")
    assert answer(FOUND | {"drill": DRILL | {"lost": 3}})[0].startswith("3 ANSWERS WERE LOST")


def test_an_answer_that_is_not_kept_is_counted() -> None:
    assert lost({1: 5, 2: 3, 3: 1}, {1: 5, 2: 4}) == 1
    assert lost({1: 5}, {1: 2}) == 3


def test_what_callers_felt_ends_with_the_last_bad_answer() -> None:
    series = {"offered": [50] * 20, "bad": [0] * 20, "worst_us": [9_000] * 20, "achieved": [50] * 20}
    assert felt_after(series, 2.6, 1_000.0)["back_s"] == 0.0
    series["worst_us"][11], series["bad"][13], series["achieved"][11] = 1_200_000, 2, 5
    series["bad"][3] = 9  # before it struck
    felt = felt_after(series, 2.6, 1_000.0)
    assert felt["back_s"] == pytest.approx(14 * 0.25 - 2.6) and felt["is_back"] and felt["bad"] == 2
    assert felt["dip"] == pytest.approx(0.1) and felt["worst_ms"] == 1_200
    series["bad"][19] = 1
    assert not felt_after(series, 2.6, 1_000.0)["is_back"]


def test_who_is_struck_is_the_latest_process_of_a_seat(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('{"event": "recovered", "host": "shard-0.1", "process": 7}\nno JSON\n'
                   '{"event": "recovered", "host": "ledger.1", "process": 8}\n'
                   '{"event": "recovered", "host": "shard-0.2", "process": 9}\n')  # fmt: skip
    assert (process_of("shard-0", log), process_of("ledger", log)) == (9, 8)
    with pytest.raises(StrikeError, match="names no process of shard-1"):
        process_of("shard-1", log)


def test_only_our_own_gateway_is_struck(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    given = {name: value for name, value in GIVEN.items() if name != "drill"}
    assert (
        load("steady", None, tmp_path, False, drill="burn", **given | {"url": "http://127.0.0.1:1"}) == Exit.WRONG_USE
    )
    said = capsys.readouterr().err
    assert "--drill must be one of kill-shard, kill-ledger, freeze-shard (got burn)" in said
    assert "--drill must come without --url" in said


def test_a_killed_shard_loses_nothing_under_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = {"rate": 60.0, "seconds": 5.0, "drill": "kill-shard"}
    code = load("steady", None, tmp_path, False, **GIVEN | more)
    said = capsys.readouterr()
    assert code in (Exit.FINE, Exit.MISSED, Exit.SATURATED), said.err  # other tests take the machine from it
    assert "LOST" not in said.out and (tmp_path / said.out.splitlines()[-1]).is_file()
    assert {"gateway", "Ledger", "shard 0", "shard 1", "generator"} <= processes_in(tmp_path)


def processes_in(folder: Path) -> set[str]:
    """Names of those that used cores."""
    (file,) = folder.glob(f"*/{RESULT}")
    return {name for _, cores in json.loads(file.read_text("utf-8"))["cores"] for name in cores}


@pytest.mark.long
@pytest.mark.parametrize("drill", ["kill-shard", "kill-ledger", "freeze-shard"])
@pytest.mark.parametrize("standby", [False, True])
def test_callers_are_back_soon(drill: str, standby: bool, tmp_path: Path) -> None:
    more = {"rate": 200.0, "seconds": 12.0, "drill": drill, "standby": standby}
    assert load("steady", None, tmp_path, False, **GIVEN | more) == Exit.FINE
    took_over = {"kill-shard": "shard 0 (host ", "kill-ledger": "Ledger (host "}.get(drill, "")
    assert any(name.startswith(took_over) for name in processes_in(tmp_path))
