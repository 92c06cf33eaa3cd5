"""The follow-up plan of a run's reviews: for each missed goal what it calls for, and the command that simulates it."""

import shlex
from collections.abc import Iterator
from typing import Any

from results.query import Database
from scenarios.follow_up_rules import (
    FollowUp,
    Rule,
    Scene,
    brake,
    cap_the_loudest,
    fewer_pieces,
    grant_fewer,
    grant_more,
    leave_out,
    mend,
    more_seats,
    offer_better,
    reach_more,
    spend_less,
    spread,
)
from scenarios.load import LoadedScenario
from scenarios.reviews import MISSED

WORLDS = "10"  # of the comparison that a follow-up proposes
LOUD = ("complaints_per_10000", "complaint_rate", "complaints_per_customer", "negative_rate", "negatives_per_customer",
        "close_rate", "mute_rate", "left_annoyed")  # fmt: skip

# What a figure that lies too high calls for, and one that lies too low.
TOO_HIGH: dict[str, Rule] = {
    **dict.fromkeys(LOUD, cap_the_loudest),
    "refused_share": grant_more,
    "claims": grant_fewer,
    "stock_left": fewer_pieces,
    "budget_used": spend_less,
    "budget_spent": spend_less,
    "peak_decisions": spread,
    "peak_claims": spread,
    "payments_failed": brake,
    **dict.fromkeys(("visits_lost", "claims_unanswered", "pieces_missing"), mend),
    **dict.fromkeys(("gave_up", "seats_needed"), more_seats),
}
TOO_LOW: dict[str, Rule] = {
    **dict.fromkeys(("reach_share", "exposures", "exposures_per_customer"), reach_more),
    **dict.fromkeys(("claims", "claim_rate", "coupons_granted", "claims_received", "stock_left"), grant_more),
    **dict.fromkeys(("redemption_rate", "coupons_redeemed", "budget_used", "budget_spent"), offer_better),
    "first_answers_in_time": more_seats,
}


def follow_ups(
    loaded: LoadedScenario, database: Database, manifest: dict[str, Any], goals: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """One row for each missed goal that something can be done about, in the goals' order."""
    days = {block["review"]: (block["first_date"], block["last_date"]) for block in manifest["reviews"]}
    rows = []
    for goal in goals:
        if goal["verdict"] != MISSED:
            continue
        scene = Scene(loaded, database, goal, *days[goal["review"]])
        found = next((one for one in answers(scene) if one is not None), None)
        if found is not None:
            share = database.number(found.query) if found.query else None
            rows.append(
                {"goal_number": goal["number"], "rule": found.rule, "whose": found.whose, "change": found.to,
                 "command": command(loaded, found), "query": found.query, "share": share}
            )  # fmt: skip
    return [{"number": number, **row} for number, row in enumerate(rows, 1)]


def answers(scene: Scene) -> Iterator[FollowUp | None]:
    """What the rules say, the one for this figure first."""
    goal = scene.goal
    too_high = goal["high"] is not None and goal["value"] > goal["high"]
    rule = (TOO_HIGH if too_high else TOO_LOW).get(goal["metric"].partition("[")[0])
    if rule is not None:
        yield rule(scene)
    yield leave_out(scene)


def command(loaded: LoadedScenario, found: FollowUp) -> str:
    """The command that simulates a follow-up. A change of the policy is compared; one of the population is run."""
    path = str(loaded.path)
    if found.rule == "measure":
        return "windtunnel bench --only engine"
    if found.without:
        return shlex.join(["windtunnel", "compare", path, "--without", found.without, "--worlds", WORLDS])
    if found.population:
        changes = [word for name, text in found.population.items() for word in ("--set", f"population.{name}={text}")]
        return shlex.join(["windtunnel", "run", path, *changes])
    changes = [word for name, text in found.policy.items() for word in ("--set", f"{name}={text}")]
    return shlex.join(["windtunnel", "compare", path, *changes, "--worlds", WORLDS])
