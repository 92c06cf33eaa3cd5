"""What happens when in a run: calendar moments and drops of coupons, the baseline's until launch, then the policy's."""

from datetime import datetime
from zoneinfo import ZoneInfo

from engine.policy.calendar_days import wall_ms
from engine.policy.document import Policy
from engine.records import SHARE_ONE
from scenarios.incidents_build import outage_table, shortages_of
from scenarios.worker import RunPlan
from sim.cohort import Spans
from sim.stock_room import Reorder
from sim.world import Calendar


def drops_of(policy: Policy, spans: Spans) -> list[tuple[int, str]]:
    """(ms, coupon) of every drop within the run, in order of time."""
    zone = ZoneInfo(policy.time_zone)
    found = [(drop_ms(coupon.drop.at, zone), name) for name, coupon in policy.coupons.items() if coupon.drop]
    return sorted((t, name) for t, name in found if spans.start <= t < spans.end)


def drop_ms(at: datetime, zone: ZoneInfo) -> int:
    return wall_ms(at.date(), at.hour * 60 + at.minute, zone)


def calendar_of(plan: RunPlan) -> Calendar:
    """The baseline's moments until launch, the policy's from then on."""
    before = [moment for moment in plan.baseline.moments if moment[0] < plan.spans.launch]
    measured = [moment for moment in plan.policy.moments if moment[0] >= plan.spans.launch]
    slots = plan.policy.registry.coupons
    drops = [
        (t, slots[name])
        for policy, since, until in (
            (plan.baseline.policy, plan.spans.start, plan.spans.launch),
            (plan.policy.policy, plan.spans.launch, plan.spans.end),
        )
        for t, name in drops_of(policy, plan.spans)
        if since <= t < until
    ]
    shortages = shortages_of(plan.population.incidents, plan.policy, plan.spans)
    return Calendar(
        before + measured, plan.spans.step, drops, plan.peaks, reorders_of(plan), incidents_of(plan), shortages
    )


def incidents_of(plan: RunPlan) -> list[tuple[int, int]]:
    table = outage_table(plan.population.incidents, plan.spans)
    return [(int(row.from_ms), int(row.until_ms)) for row in table]


def reorders_of(plan: RunPlan) -> list[Reorder]:
    """Prizes of the policy whose stock is ordered again."""
    return [
        Reorder(
            plan.policy.registry.coupons[name],
            coupon.reorder.at,
            coupon.reorder.pieces,
            coupon.reorder.lead,
            coupon.reorder.fails / SHARE_ONE,
            coupon.reorder.backup.lead if coupon.reorder.backup else None,
            (plan.seed, plan.replication),
        )
        for name, coupon in plan.policy.policy.coupons.items()
        if coupon.reorder
    ]
