"""The scenarios of the library hold, and each fails when what it is about stops working."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.host.shard import CustomerShard
from engine.policy.document import Policy
from scenarios.compare import CompareOptions, Comparison, compare
from scenarios.load import LoadedScenario, Options, load_scenario
from scenarios.outputs import Days
from scenarios.rivals import own, variants
from scenarios.run import RunOptions, run_scenario
from scenarios.world_rows import Life, Rows, holdout_rows

LIBRARY = Path(__file__).resolve().parents[2] / "scenarios" / "library"
SCENARIOS = sorted(path.name.removesuffix(".scenario.yaml") for path in LIBRARY.glob("*.scenario.yaml"))
SHORT = {"remind_me_later", "stampede"}


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


# --- comparisons ------------------------------------------------------------------------------------------------------
COMPARED = [name for name in SCENARIOS if loaded(name).scenario.compare.expect]


@contextmanager
def quiet(title: str) -> Iterator[Callable[[float], None]]:
    yield lambda share: None


def compared(found: LoadedScenario, out: Path) -> Comparison:
    options = CompareOptions(out=out, assumption_sets=0, cache=False)
    return compare(found, [own(found), *variants(found)], options, quiet)


@pytest.mark.long
@pytest.mark.parametrize("name", COMPARED)
def test_comparison_holds(name: str, tmp_path: Path, ray_cluster: None) -> None:
    result = compared(loaded(name), tmp_path)
    command = f"windtunnel compare scenarios/library/{name}.scenario.yaml"
    assert not result.missed, [verdict.sentence() for verdict in result.missed] + [command]


def leaking(life: Life, days: Days) -> Rows:
    """A fifth of those held out sees the message all the same: their sums are those of the shown."""
    rows = holdout_rows(life, days)
    for row in rows["holdouts"]:
        if row["held_out"]:
            other = next(r for r in rows["holdouts"] if not r["held_out"] and r["arm"] == row["arm"])
            row["converted"] = (
                row["converted"] * 4 // 5 + other["converted"] * row["customers"] // other["customers"] // 5
            )
    return rows


def sees_it_anyway(shard: CustomerShard, slot: int) -> np.ndarray:
    """Whoever counts as held out was shown the message like everybody else."""
    return np.arange(len(shard.customers)) % 2


Patch = tuple[str, Any]
RED, BLUE = "{clicks: 1.06, closes: 1.20}", "{clicks: 0.948, closes: 0.95}"
SWAPPED = f"{{red: {BLUE}, orange: {{clicks: 1.04, closes: 0.98}}, blue: {RED}}}"
ORANGE_IS_RED = f"{{red: {RED}, orange: {RED}, blue: {BLUE}}}"
FIRST_USE = "policy.campaigns.first_use"
# FIDELITY §4: one parameter, one fault, and the expectation that must go red.
COMPARED_FAULTS: list[tuple[str, str, dict[str, str], Patch | None, str]] = [
    ("first_use", "never shown", {f"{FIRST_USE}.audience": "card_used and not card_used"}, None, "true_relative_lift"),
    ("first_use", "wrong page", {f"{FIRST_USE}.trigger.pages": "[payment_confirm]"}, None, "true_relative_lift"),
    ("first_use", "reward 0", {f"{FIRST_USE}.reward": "0.00"}, None, "true_relative_lift"),
    ("first_use", "holdout leaks", {}, ("scenarios.world_rows.holdout_rows", leaking), "covered"),
    ("button_colour", "labels swapped", {"population.colours": SWAPPED}, None, "first_clicks[offer/red/blue]"),
    ("button_colour", "orange is red", {"population.colours": ORANGE_IS_RED}, None, "first_clicks[offer/red/orange]"),
    ("instalment_attribution", "the held out see it", {},
     ("engine.host.shard.CustomerShard.assignment", sees_it_anyway), "estimated_increment"),
    ("instalment_attribution", "no season", {"population.visits.months": "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"}, None,
     "held_out"),
    ("backoff", "never backs off", {"policy.fatigue.back_off": "{closes: 3, rest: 7d, repeat: 2, rest_max: 28d}"}, None,
     "closes_and_mutes"),
    ("clickbait", "one look for both", {"population.styles": "{}"}, None, "clicks"),
    ("safe_use", "the lesson protects nobody", {"population.fraud.stopped": "0%"}, None, "fraud_loss"),
    ("expiring_points", "nobody cares", {"population.topics.points.clicks": "0%"}, None, "true_lift"),
    ("rfm_offers", "nothing for the tiers", {"policy.campaigns.high_value.reward": "0.00",
                                             "policy.campaigns.lapsed.reward": "0.00"}, None, "rewards"),
    ("sure_things", "nothing is sure", {"policy.campaigns.thank_you.response": "{shown: 42%, otherwise: 38%}"}, None,
     "rewards"),
]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "fault", "changes", "patch", "missed"),
    [pytest.param(*row, id=f"{row[0]}: {row[1]}") for row in COMPARED_FAULTS],
)
def test_planted_fault_is_seen_in_the_comparison(
    name: str,
    fault: str,
    changes: dict[str, str],
    patch: Patch | None,
    missed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if patch is not None:
        monkeypatch.setattr(*patch)
    monkeypatch.setattr("scenarios.study.ON_RAY_FROM", float("inf"))  # the fault is in this process
    verdicts = compared(faulty(name, changes), tmp_path).verdicts
    red = [verdict for verdict in verdicts if verdict.verdict == "fails" or (verdict.missed and verdict.low is None)]
    assert any(missed in verdict.text for verdict in red), (fault, [verdict.sentence() for verdict in verdicts])


def faulty(name: str, changes: dict[str, str]) -> LoadedScenario:
    """A scenario with a fault; half its worlds, for faults are gross (a leak is not: it keeps all)."""
    found = load_scenario(LIBRARY / f"{name}.scenario.yaml", Options(set=changes))
    block = found.scenario.compare
    if changes:
        block = block.model_copy(update={"worlds": 10, "pilot": 10, "customers": min(block.customers, 50_000)})
    return replace(found, scenario=found.scenario.model_copy(update={"compare": block}))


@pytest.mark.long
def test_without_appeal_the_truth_is_exactly_0(tmp_path: Path) -> None:
    shares = ("clicks", "closes", "mutes", "reminds", "complains")
    changes = {f"population.topics.first_use.{share}": "0%" for share in shares}
    found = faulty("first_use", changes | {"population.annoyance.overlay": "0"})
    assert compared(found, tmp_path).estimates["true_lift[first_use]"].value == 0.0
