"""What a scenario may expect of its comparison: the figures there will be, by the names expectations use."""

import difflib
from collections.abc import Iterator

from engine.policy.document import Policy
from results.comparison_estimates import OF_COUPON, PHASES, SALES
from results.comparison_fraud import RULES_OFF, WITHOUT
from results.comparison_fraud import key as figure_key
from scenarios.document import Compare
from scenarios.expect import Expectation
from scenarios.fraud_outputs import who_is_who
from scenarios.population_document import Population
from sim.cohort import MEASURES

SHOWN_MAX = 6
_OF_TRUTH = (
    "true_lift[{0}]", "true_relative_lift[{0}]", "true_profit[{0}]", "true_uptake[{0}/shown]",
    "true_uptake[{0}/held_out]", "estimated_lift[{0}]", "estimated_relative_lift[{0}]", "covered[{0}]",
    "growth[{0}/shown]", "growth[{0}/held_out]", "true_increment[{0}]", "increment_over_held_out[{0}]",
    "anyway_share[{0}]", "last_touch[{0}]",
    "estimated_increment[{0}]",
)  # fmt: skip
_OF_ARMS = ("first_clicks", "first_closes", "estimated_first_clicks", "estimated_first_closes", "arm_profit")
_OF_RIVALS = ("difference", "relative_difference")


def comparison_figures(policy: Policy, compare: Compare, population: Population | None = None) -> list[str]:
    """Every figure that the comparison of a scenario will have."""
    measures = [measure for measure in MEASURES if not measure.startswith("before_")]
    rivals = list(compare.policies)
    found = [f"{name}[{rival}/{measure}]" for name in _OF_RIVALS for rival in rivals for measure in measures]
    found += [f"level[{name}/{measure}]" for name in (policy.policy, *rivals) for measure in measures]
    found += [f"pairing_factor[{rival}]" for rival in rivals]
    found += [f"{phase}[{rival}/{measure}]" for phase in PHASES for rival in rivals for measure in SALES]
    for coupon in policy.coupons:
        for name, difference, *_ in OF_COUPON:
            found += [f"{name}[{whose}/{coupon}]" for whose in (policy.policy, *rivals)]
            found += [f"{difference}[{rival}/{coupon}]" for rival in rivals]
    if policy.coupons:
        found += [f"basket_value[{name}]" for name in (policy.policy, *rivals)]
        found += [f"basket_difference[{rival}]" for rival in rivals]
    found += fraud_figures(policy, compare, population) if population else []
    for campaign in compare.truth:
        found += [pattern.format(campaign) for pattern in _OF_TRUTH]
        found += [f"true_roi[{campaign}]"] if policy.campaigns[campaign].coupon else []
        arms = [arm.name for arm in policy.campaigns[campaign].arms or []] if campaign in compare.arms else []
        found += [f"{name}[{campaign}/{a}/{b}]" for name in _OF_ARMS for a in arms for b in arms if a != b]
    return found


def fraud_figures(policy: Policy, compare: Compare, population: Population) -> list[str]:
    """What judges fraud rules, where the population says who is who."""
    people = who_is_who(population, policy)
    crews, groups = people["attackers"], people["groups"]
    found = []
    for name in (policy.policy, *compare.policies):
        for kind in ("", *crews) if crews else ():
            found.append(figure_key("fraud_money", name, kind))
            if RULES_OFF in compare.policies and name != RULES_OFF:
                found.append(figure_key("fraud_stopped", name, kind))
        found += [figure_key(word, name) for word in ("fraud_charged_back", "fraud_stopped_naive") if crews]
        found += [figure_key("fraud_stopped_estimated", name)] if crews and policy.fraud.let_through else []
        found += [f"fraud_money_without[{name.removeprefix(WITHOUT)}]"] if crews and name.startswith(WITHOUT) else []
        for group in ("", *groups) if groups else ():
            found += [figure_key(word, name, group) for word in ("fraud_harmed", "fraud_challenges_passed")]
    return found


def misread_comparison(
    expectation: Expectation, policy: Policy, compare: Compare, population: Population | None = None
) -> Iterator[str]:
    """What is wrong with the figure an expectation of a comparison names: `must …`."""
    there = comparison_figures(policy, compare, population)
    if expectation.metric in there:
        return
    same = [figure for figure in there if figure.partition("[")[0] == expectation.name]
    if not same:
        names = ", ".join(sorted({figure.partition("[")[0] for figure in there})) or "none without policies or truth"
        yield f"must be a figure of the comparison: {names} (got {expectation.metric})"
        return
    close = difflib.get_close_matches(expectation.metric, same, 1)
    shown = ", ".join(same[:SHOWN_MAX]) + (", …" if len(same) > SHOWN_MAX else "")
    yield f"must be one of {shown} (got {expectation.metric}{f', did you mean {close[0]}?' if close else ''})"
