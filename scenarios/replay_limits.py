"""What a recording cannot answer about another policy, told beside what it can."""

from collections.abc import Iterator

from engine.policy.campaign import Campaign
from engine.policy.fraud_rules import RuleRow
from engine.policy.quantities import duration_text
from engine.policy.tables import CompiledPolicy
from scenarios.worker import RunPlan

# Fields of a campaign that change what a customer sees, and not whether a message is shown.
SEEN = ("topic", "creative", "reward")


def limits(plan: RunPlan, other: CompiledPolicy) -> list[str]:
    """Sentences, each about something in which the two policies differ and which recorded events do not show."""
    return [
        *dwells(plan.policy, other), *moments(plan, other), *lots(plan.policy, other), *messages(plan, other),
        *warming(plan, other), *crews(plan, other),
    ]  # fmt: skip


def dwells(was: CompiledPolicy, now: CompiledPolicy) -> Iterator[str]:
    """A client reports the dwells that its policy names, and no others."""
    for name, campaign in now.policy.campaigns.items():
        dwell = campaign.trigger.dwell
        if dwell and dwell not in was.dwells:
            known = ", ".join(map(duration_text, was.dwells)) or "none"
            yield (
                f"{name} waits {duration_text(dwell)} on a page, and the recorded app reported only other times "
                f"({known}): when it is shown here is not when it would be."
            )


def moments(plan: RunPlan, other: CompiledPolicy) -> Iterator[str]:
    """Calendar moments that nobody lived through."""
    names, others = list(plan.policy.policy.moments), list(other.policy.moments)
    lived = {(t, names[number]) for t, number in plan.policy.moments}
    missing: dict[str, int] = {}
    for t, number in other.moments:
        if plan.spans.launch <= t < plan.spans.end and (t, others[number]) not in lived:
            missing[others[number]] = missing.get(others[number], 0) + 1
    for name, times in missing.items():
        yield f"The calendar moment {name} comes {times} times that the recording does not have: nothing is shown then."


def lots(was: CompiledPolicy, now: CompiledPolicy) -> Iterator[str]:
    """Who is held out and who sees which arm is a lot by salt, and salts have the policy's name in them by default."""
    redrawn = [name for name in now.policy.campaigns if name in was.policy.campaigns and is_redrawn(name, was, now)]
    both = was.policy.universal_holdout and now.policy.universal_holdout
    if both and was.tables.policy["universal_salt"][0] != now.tables.policy["universal_salt"][0]:
        redrawn.append("the universal holdout")
    if redrawn:
        yield (
            f"Lots are drawn anew for {', '.join(redrawn)}, because the policies have different names or salts: some "
            "differences are luck. Give both policies one name to compare rules alone."
        )


def is_redrawn(name: str, was: CompiledPolicy, now: CompiledPolicy) -> bool:
    a, b = (policy.tables.campaigns[policy.registry.slots[name]] for policy in (was, now))
    held_out = a["holdout_share"] and b["holdout_share"] and a["holdout_salt"] != b["holdout_salt"]
    return bool(held_out or (a["arms"] > 1 and b["arms"] > 1 and a["arm_salt"] != b["arm_salt"]))


def messages(plan: RunPlan, other: CompiledPolicy) -> Iterator[str]:
    """The same campaign and arm, and another message."""
    before = plan.policy.policy.campaigns
    changed = [
        name
        for name, campaign in other.policy.campaigns.items()
        if name in before and face(campaign) != face(before[name])
    ]
    if changed:
        yield f"{', '.join(changed)} shows something else under the same name: that is no different decision here."


def face(campaign: Campaign) -> tuple[object, ...]:
    """What is seen of a campaign, arm by arm."""
    return (*(getattr(campaign, name) for name in SEEN), {arm.name: arm.creative for arm in campaign.arms or []})


def warming(plan: RunPlan, other: CompiledPolicy) -> Iterator[str]:
    """Rules that have not counted under the baseline what they count now."""
    if plan.spans.launch == plan.spans.start:
        return
    before = plan.baseline.policy.fraud.rows()
    fresh = [name for name, row in other.policy.fraud.rows().items()
             if row.is_on and (name not in before or counting(before[name]) != counting(row))]  # fmt: skip
    if fresh:
        yield (
            f"{', '.join(fresh)} counted otherwise before launch, or not at all: the rule counts from launch on, and "
            "answers nothing until it has seen a whole window."
        )


def counting(row: RuleRow) -> tuple[object, ...]:
    """What a rule counts, by which it goes on counting under another policy."""
    return row.is_on, row.kinds, row.within, row.more_than, row.different, row.key, row.check, row.amount, row.granted


def crews(plan: RunPlan, other: CompiledPolicy) -> Iterator[str]:
    """Adversaries adapt; recorded ones do not."""
    if plan.population.adversaries is not None and plan.policy.policy.fraud.rows() != other.policy.fraud.rows():
        yield "Crews do what they did under the run's rules: what they try where others refuse them is not recorded."
