"""The scenarios of the library hold, and each fails when what it is about stops working."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.policy.document import Policy
from scenarios.load import LoadedScenario, load_scenario
from scenarios.run import RunOptions, run_scenario

LIBRARY = Path(__file__).resolve().parents[2] / "scenarios" / "library"
SCENARIOS = sorted(path.name.removesuffix(".scenario.yaml") for path in LIBRARY.glob("*.scenario.yaml"))
SHORT = {"remind_me_later"}


def marked(name: str) -> Any:
    return pytest.param(name, marks=[] if name in SHORT else pytest.mark.long)


def loaded(name: str) -> LoadedScenario:
    return load_scenario(LIBRARY / f"{name}.scenario.yaml")


@pytest.mark.parametrize("name", [marked(name) for name in SCENARIOS])
def test_scenario_holds(name: str, tmp_path: Path) -> None:
    result = run_scenario(loaded(name), RunOptions(out=tmp_path, inline=True))
    command = f"windtunnel run scenarios/library/{name}.scenario.yaml"
    assert not result.missed, [verdict.sentence() for verdict in result.missed] + [command]


def changed(policy: Policy, campaign: str, **fields: Any) -> Policy:
    """The policy with some fields of a campaign changed."""
    block = policy.campaigns[campaign].model_copy(update=fields)
    return policy.model_copy(update={"campaigns": {**policy.campaigns, campaign: block}})


def trigger(policy: Policy, campaign: str, **fields: Any) -> Policy:
    return changed(policy, campaign, trigger=policy.campaigns[campaign].trigger.model_copy(update=fields))


def without_reminder(policy: Policy) -> Policy:
    creative = policy.campaigns["card_lock"].creative
    assert creative is not None
    return changed(policy, "card_lock", creative=creative.model_copy(update={"remind_later": False}))


def moment_at(policy: Policy, minutes: int) -> Policy:
    bill_day = policy.moments["bill_day"].model_copy(update={"at": minutes})
    return policy.model_copy(update={"moments": {**policy.moments, "bill_day": bill_day}})


# One fault each: the scenario, what is broken, and an expectation that must not hold.
FAULTS: list[tuple[str, str, Callable[[Policy], Policy], str]] = [
    ("first_use", "never shown", lambda p: changed(p, "first_use", audience="card_used and not card_used"), "lift"),
    ("first_use", "wrong page", lambda p: trigger(p, "first_use", pages=["payment_confirm"]), "lift"),
    ("first_use", "reward 0", lambda p: changed(p, "first_use", reward=0), "relative_lift"),
    (
        "low_balance",
        "looks for an empty account",
        lambda p: changed(p, "low_balance", audience="balance < 0.00"),
        "exp",
    ),
    ("remind_me_later", "no reminder offered", without_reminder, "snoozed"),
    ("bill_day", "sent in quiet hours", lambda p: moment_at(p, 23 * 60), "exposures"),
    (
        "other_city_login",
        "asks at home",
        lambda p: trigger(p, "other_city_login", when="city == home_city"),
        "condition",
    ),
    ("wake_up", "wakes the awake", lambda p: changed(p, "wake_up", audience="not dormant and card_used"), "audience"),
    ("wake_up", "reward 0", lambda p: changed(p, "wake_up", reward=0), "lift"),
]


@pytest.mark.parametrize(
    ("name", "fault", "plant", "missed"),
    [pytest.param(*row, marks=[] if row[0] in SHORT else pytest.mark.long, id=f"{row[0]}: {row[1]}") for row in FAULTS],
)
def test_planted_fault_is_seen(
    name: str, fault: str, plant: Callable[[Policy], Policy], missed: str, tmp_path: Path
) -> None:
    whole = loaded(name)
    broken = plant(whole.policy)
    planted = replace(whole, policy=broken, baseline=broken)
    result = run_scenario(planted, RunOptions(out=tmp_path, inline=True))
    assert any(missed in verdict.text for verdict in result.missed), f"{name} does not notice: {fault}"
