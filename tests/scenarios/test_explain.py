"""`explain` says what the compiled engine decided, row by row, and says it so that one can read it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.records import DECISION, EventKind, Reason
from results.store import Run
from scenarios.explain import EVENTS, REACTIONS, Met, Teller, explanation, lines_of, lived, load_run
from scenarios.explain_levels import FAMILIES
from scenarios.load import Options, plan_of
from scenarios.run import RunOptions, run_scenario
from tests.scenarios.shop import POLICY, Edit, cli, loaded

CUSTOMERS = (0, 7, 123, 299)
WEEKS = ("spring.scenario.yaml", "days: 3", "days: 12")
OTHER_BASELINE: Edit = ("spring.scenario.yaml", "{without: [spring]}", "old.yaml")


def recorded(folder: Path, *edits: Edit, customers: int = 300) -> Run:
    """A run with every event and decision kept. The old policy has one campaign more, in another order."""
    gift = POLICY[POLICY.index("  bill_ready:") :].replace("bill_ready", "gift").replace("Your bill", "A gift")
    loaded(folder)
    old = POLICY.replace("campaigns:\n", f"campaigns:\n{gift}").replace("dwell: 5s", "dwell: 9s")
    (folder / "old.yaml").write_text(old, encoding="utf-8")
    found = loaded(folder, WEEKS, *edits, options=Options(customers=customers))
    return run_scenario(found, RunOptions(out=folder / "runs", record=True)).run


@pytest.fixture(scope="module", params=["without", "other baseline"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    edits = [OTHER_BASELINE] if request.param == "other baseline" else []
    return recorded(tmp_path_factory.mktemp("explain"), *edits)


def log_of(run: Run, name: str, customer: int) -> list[dict[str, int]]:
    """A customer's rows of a recorded log, in order."""
    table = run.table(name)
    rows = np.flatnonzero(table["customer"] == customer)
    rows = rows[np.argsort(table["sequence"][rows], kind="stable")]
    return [{field: int(column[row]) for field, column in table.items()} for row in rows]


def differences(log: list[dict[str, int]], answers: Iterable[dict[str, int]]) -> list[str]:
    told = list(answers)
    found = [f"{len(log)} rows in the log, {len(told)} told"] if len(log) != len(told) else []
    for row, answer in zip(log, told, strict=False):
        found += [
            f"row {row['sequence']}: {name} {row[name]}, told {answer[name]}"
            for name in row
            if row[name] != answer[name]
        ]
    return found


def lives(run: Run, customer: int) -> list[Met]:
    found, _ = load_run(run.folder)
    return lived(plan_of(found), customer, found)[1]


@pytest.mark.parametrize("customer", CUSTOMERS)
def test_the_explanation_is_the_decision_log(run: Run, customer: int) -> None:
    met = lives(run, customer)
    assert len(met) > 5
    assert differences(log_of(run, "decision_log", customer), [one.answer.decision for one in met]) == []
    assert differences(log_of(run, "events", customer), [one.event for one in met]) == []


def test_a_difference_would_be_seen(run: Run) -> None:
    """Each field of a decision changed in one row; another customer's rows."""
    log, answers = log_of(run, "decision_log", 7), [one.answer.decision for one in lives(run, 7)]
    for name in DECISION.names or ():
        changed = [dict(row) for row in log]
        changed[3][name] += 1
        assert len(differences(changed, answers)) == 1, name
    assert differences(log[:-1], answers)
    assert differences(log_of(run, "decision_log", 8), answers)


def test_the_history_tells_every_candidate_and_every_reaction(run: Run) -> None:
    seen: Counter[str] = Counter()
    for customer in range(30):
        found, log = explanation(run.folder, customer), log_of(run, "decision_log", customer)
        assert found["events"] == len(log)
        assert found["shown"] == sum(row["reason"] == Reason.SHOWN for row in log)
        assert found["could_have_shown"] == sum(row["reason"] != Reason.NO_CANDIDATE for row in log)
        assert sum(row["counts_for"] is not None for row in found["history"]) == sum(
            row["credited"] >= 0 for row in log
        )
        for kind in REACTIONS:
            assert found["reactions"][kind.name.lower()] == sum(row["kind"] == kind for row in log)
        for row in found["history"]:
            assert row["reason"] == "no_candidate" or row["reason"] in row["candidates"].values()
            seen.update([row["phase"], row["event"], *row["candidates"].values()])
            seen["goal"] += row["counts_for"] is not None
    for what in ("before", "campaign", "after", "click", "close", "payment", "moment", "page_dwell", "goal", "shown",
                 "held_out", "dwell", "no_consent"):  # fmt: skip
        assert seen[what], what


def test_what_reaches_a_goal_is_told_whatever_it_was(run: Run) -> None:
    found, _ = load_run(run.folder)
    teller = Teller(plan_of(found), found, "support")
    leave = next(met for met in lives(run, 7) if met.event["kind"] == EventKind.PAGE_LEAVE)
    assert not teller.is_told(leave)
    answer = replace(leave.answer, decision={**leave.answer.decision, "credited": 0})
    assert teller.told(Met(leave.event, answer))["counts_for"] is not None
    assert teller.is_told(Met(leave.event, answer))


def test_every_kind_of_event_has_words() -> None:
    assert set(EVENTS) >= {kind for kind in EventKind if EventKind.LOGIN <= kind <= EventKind.NOT_SHOWN}


def test_a_customer_whom_nothing_could_reach(tmp_path: Path) -> None:
    """No moment in these days, and customers who never come."""
    edits: list[Edit] = [
        ("policy.yaml", "weekly: monday", "on: 2030-01-01"),
        ("people.yaml", "per_day: 1\n", "per_day: 0.0001\n"),
        ("people.yaml", "first_use_per_day: 0.02", "first_use_per_day: 0"),
    ]
    run = recorded(tmp_path, *edits, customers=100)
    assert len(set(run.table("decision_log")["customer"].tolist())) < 90
    quiet = next(n for n in range(100) if not log_of(run, "decision_log", n))
    text = cli("explain", run.folder, "--customer", quiet).out.splitlines()
    assert text[1:] == [
        "0 events, 0 of them could have shown a message: 0 shown, 0 held out.",
        "No event of this customer could have shown a message: none was a campaign's trigger.",
    ]


def row(at: str, phase: str, did: str, counts_for: str | None = None, **candidates: str) -> dict[str, Any]:
    families = {name: FAMILIES[Reason[code.upper()]] for name, code in candidates.items()}
    return {"at": f"2026-09-{at}+08:00", "phase": phase, "did": did, "counts_for": counts_for, "channel": "popup",
            "candidates": candidates, "families": families, "evidence": {}}  # fmt: skip


FOUND: dict[str, Any] = {
    "level": "support",
    "run_id": "spring-20260907-101500",
    "customer": 7,
    "profile": {"gender": "female", "age": 34, "home_city": "wuhan", "tier": "gold", "tags": ["thrifty"],
                "consents": ["push", "sms"], "marks": ["card_active", "card_used", "high_risk"], "purchases": 3},
    "events": 1234, "could_have_shown": 3, "shown": 1, "held_out": 0,
    "reactions": {"click": 1, "close": 0, "mute": 0, "snooze": 0, "complaint": 0},
    "history": [
        row("06T20:34:58", "before", "opened home", spring="paused"),
        row("07T20:34:58", "campaign", "stayed 5s on home", spring="shown", bill_ready="lost_arbitration"),
        row("07T20:35:01", "campaign", "clicked spring"),
        row("07T20:36:01", "campaign", "paid 128.50 yuan", "spring"),
    ],
}  # fmt: skip
TEXT = """\
Customer 7 of spring-20260907-101500: a woman of 34, from wuhan, tier gold, card used before, high risk, thrifty, \
consents to push message and SMS.
1,234 events, 3 of them could have shown a message: 1 shown, 0 held out, clicked 1.

Before the campaign, under the baseline
2026-09-06 20:34:58  opened home
                       spring      schedule: campaign paused

The campaign
2026-09-07 20:34:58  stayed 5s on home
                     → spring      shown (pop-up)
                       bill_ready  competition: another campaign won the place
2026-09-07 20:35:01  clicked spring
2026-09-07 20:36:01  paid 128.50 yuan  → the goal of spring"""


def test_the_text() -> None:
    assert "\n".join(lines_of(FOUND)) == TEXT


def test_the_command_prints_that_text(run: Run) -> None:
    done = cli("explain", run.folder, "--customer", 7)
    assert done.out == "\n".join(lines_of(explanation(run.folder, 7))) + "\n"
