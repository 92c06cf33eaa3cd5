"""A parsed policy as the arrays that rules read."""

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from engine.policy.breaker_tables import breaker_table
from engine.policy.calendar_days import day_table, timetable, wall_ms
from engine.policy.campaign import Campaign
from engine.policy.compiling import Conditions, fill_caps, salt
from engine.policy.coupon_tables import coupon_tables
from engine.policy.document import Policy
from engine.policy.fraud_tables import fraud_tables
from engine.policy.registry import Registry
from engine.policy.yaml_source import load
from engine.records import (
    CAMPAIGN,
    CAP,
    CAPS_MAX,
    CHANNELS,
    EVENT_KINDS,
    MOMENTS_MAX,
    NEVER_MS,
    NONE,
    POLICY,
    SEGMENTS_MAX,
    SHARE_ONE,
    Channel,
    EventKind,
    Tables,
    as_records,
    records,
)

_REST_TIMES_DEFAULT = 8
FOREVER_MS = NEVER_MS


@dataclass(frozen=True)
class CompiledPolicy:
    """A policy ready to run: arrays, names, the timetable of its moments and the dwells it names (ms, ascending).

    The registry may know names of other policies too; those of this one are its own coupons, budgets and rules.
    """

    policy: Policy
    tables: Tables
    registry: Registry
    moments: list[tuple[int, int]]
    dwells: tuple[int, ...]

    def owned(self) -> "CompiledPolicy":
        """With arrays of one's own: what Ray hands over is read-only, for which Numba would compile anew."""
        return replace(self, tables=Tables(*(array.copy() for array in self.tables)))

    @property
    def coupons(self) -> dict[str, int]:
        """Slots of this policy's coupons, in declaration order."""
        return {name: self.registry.coupons[name] for name in self.policy.coupons}

    @property
    def budgets(self) -> dict[str, int]:
        return {name: self.registry.budgets[name] for name in self.policy.budgets}

    @property
    def rules(self) -> dict[str, int]:
        """Slots of this policy's fraud rules: those of the core in their order, then its own."""
        return {name: self.registry.rules[name] for name in self.policy.fraud.rows()}


def load_policy(path: str | Path) -> Policy:
    """The policy of a YAML file. Raises DocumentError with every problem, by line."""
    return load(path, Policy)


def campaign_row(
    row: np.record, name: str, campaign: Campaign, policy: Policy, registry: Registry, zone: ZoneInfo
) -> None:
    """Everything of a campaign but its conditions."""
    row.used = 1
    row.coupon = NONE if campaign.coupon is None else registry.coupons[campaign.coupon]
    row.budget = NONE if campaign.budget is None else registry.budgets[campaign.budget]
    row.direct = campaign.issue == "direct"
    row.name_hash = salt(name)
    row.from_ms = wall_ms(campaign.window.from_, 0, zone) if campaign.window.from_ else 0
    row.until_ms = wall_ms(campaign.window.until, 0, zone) if campaign.window.until else FOREVER_MS
    row.cool_down_ms = campaign.frequency.cool_down
    row.goal = EventKind[campaign.goal.event.upper()]
    row.goal_window_ms = campaign.goal.window
    row.snooze_ms = campaign.remind_after
    row.dwell_ms = campaign.trigger.dwell or 0
    row.value, row.cost, row.priority = campaign.value, campaign.cost, campaign.priority
    row.channel = Channel[campaign.channel.upper()]
    row.service = campaign.purpose == "service"
    fill_caps(row.caps, campaign.frequency.caps)
    shares = [arm.share for arm in campaign.arms] if campaign.arms else [SHARE_ONE]
    row.arms = len(shares)
    row.arm_shares[: len(shares)] = np.cumsum(shares)
    row.arm_salt = salt(campaign.salt or f"{policy.policy}/{name}")
    if campaign.holdout is not None:
        row.holdout_share = campaign.holdout.share
        row.holdout_salt = salt(campaign.holdout.salt or f"{policy.policy}/{name}/holdout")
        row.next_best = campaign.holdout.sees == "next_best"


def policy_row(policy: Policy, replication: int) -> np.ndarray:
    table = records(1, POLICY)
    row = table[0]
    row.price_of_attention = policy.ranking.price_of_attention
    row.rank_by_response = policy.ranking.by == "response"
    row.replication = replication
    row.adult_age = policy.adult_age
    row.segments = len(policy.segments)
    row.protected_pages = sum(1 << policy.names.pages.index(page) for page in policy.protected_pages)
    back_off = policy.fatigue.back_off
    if back_off is not None:
        row.back_off_after, row.rest_ms, row.rest_repeat = back_off.closes, back_off.rest, back_off.repeat
        row.rest_max_ms = back_off.rest_max or back_off.rest * _REST_TIMES_DEFAULT
    if policy.universal_holdout is not None:
        row.universal_holdout = policy.universal_holdout.share
        row.universal_salt = salt(policy.universal_holdout.salt or f"{policy.policy}/universal")
    row.let_through, row.let_through_salt = policy.fraud.let_through, salt(f"{policy.policy}/let_through")
    return table


def trigger_places(campaign: Campaign, policy: Policy) -> list[int]:
    """Places in the trigger index: kind × (pages + 1) + page + 1."""
    pages = policy.names.pages
    kinds = [EventKind[campaign.trigger.on.upper()]]
    if campaign.trigger.dwell:
        kinds.append(EventKind.PAGE_DWELL)
    named = campaign.trigger.pages
    numbers = range(-1, len(pages)) if named is None else [pages.index(page) for page in named]
    return [kind * (len(pages) + 1) + page + 1 for kind in kinds for page in numbers]


def index(entries: list[tuple[int, int]], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Bounds (i4[size + 1]) and values of entries (place, slot) given in declaration order."""
    entries = sorted(entries, key=lambda entry: entry[0])
    counts = np.bincount([place for place, _ in entries], minlength=size) if entries else np.zeros(size, np.int64)
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return bounds, np.array([slot for _, slot in entries] or [0], np.int32)


def responses(policy: Policy, slots: dict[str, int], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Predicted responses by slot and segment, and the campaigns' own, in 1e-9."""
    own = np.zeros((size, 2), np.int64)
    by_segment = np.zeros((size, SEGMENTS_MAX, 2), np.int64)
    for name, campaign in policy.campaigns.items():
        slot = slots[name]
        own[slot] = campaign.response.shown, campaign.response.otherwise
        by_segment[slot] = own[slot]
        for number, segment in enumerate(policy.segments):
            if segment in campaign.response_by_segment:
                response = campaign.response_by_segment[segment]
                by_segment[slot, number] = response.shown, response.otherwise
    return by_segment, own


def rfm_table(policy: Policy) -> np.ndarray:
    table = np.zeros((3, 9), np.int64)
    if policy.rfm is not None:
        for row, thresholds in zip(
            table, (policy.rfm.recency_days, policy.rfm.frequency, policy.rfm.monetary), strict=True
        ):
            row[0] = len(thresholds)
            row[1 : len(thresholds) + 1] = thresholds
    return table


def goal_kinds(policy: Policy) -> np.ndarray:
    """1 where an event may be a goal; a payment may be the first use."""
    kinds = np.zeros(EVENT_KINDS, np.int8)
    for campaign in policy.campaigns.values():
        kind = EventKind[campaign.goal.event.upper()]
        kinds[EventKind.PAYMENT if kind is EventKind.FIRST_USE else kind] = 1
    return kinds


def claim_names(registry: Registry, policy: Policy) -> None:
    """A slot for every name of a policy. Raises OverflowError when all are taken."""
    for names, claim in (
        (policy.campaigns, registry.claim),
        (policy.coupons, registry.claim_coupon),
        (policy.budgets, registry.claim_budget),
        (policy.fraud.rows(), registry.claim_rule),
    ):
        for name in names:
            claim(name)


class CampaignTables(NamedTuple):
    """The fields of records.Tables that speak of campaigns and what calls them."""

    campaigns: np.ndarray
    declared: np.ndarray
    triggers: np.ndarray
    candidates: np.ndarray
    moment_triggers: np.ndarray
    moment_candidates: np.ndarray


def campaign_tables(policy: Policy, registry: Registry, conditions: Conditions, zone: ZoneInfo) -> CampaignTables:
    size = max(1, len(registry))
    campaigns = records(size, CAMPAIGN)
    declared = np.zeros(size, np.int32)
    triggers: list[tuple[int, int]] = []
    moments: list[tuple[int, int]] = []
    for order, (name, campaign) in enumerate(policy.campaigns.items()):
        slot = registry.slots[name]
        row = campaigns[slot]
        campaign_row(row, name, campaign, policy, registry, zone)
        row.audience, row.condition, row.personal = conditions.campaign(name, campaign)
        declared[slot] = order
        if campaign.trigger.on == "moment":
            moments.append((list(policy.moments).index(campaign.trigger.moment or ""), slot))
        else:
            triggers += [(place, slot) for place in trigger_places(campaign, policy)]
    bounds, candidates = index(triggers, EVENT_KINDS * (len(policy.names.pages) + 1))
    moment_bounds, moment_candidates = index(moments, MOMENTS_MAX)
    return CampaignTables(campaigns, declared, bounds, candidates, moment_bounds, moment_candidates)


def cap_tables(policy: Policy) -> tuple[np.ndarray, np.ndarray]:
    """CAP rows by channel, and over all."""
    channel_caps, total_caps = np.zeros((CHANNELS, CAPS_MAX), CAP), np.zeros(CAPS_MAX, CAP)
    for channel, fatigue in policy.fatigue.channels.items():
        fill_caps(channel_caps[Channel[channel.upper()]], fatigue.caps)
    fill_caps(total_caps, policy.fatigue.caps)
    return as_records(channel_caps), as_records(total_caps)


def compile_policy(
    policy: Policy,
    first: date,
    last: date,
    replication: int = 0,
    registry: Registry | None = None,
    source: str = "policy",
) -> CompiledPolicy:
    """Arrays for the days first … last. Raises DocumentError with every condition that is wrong."""
    registry = Registry() if registry is None else registry
    claim_names(registry, policy)
    zone = ZoneInfo(policy.time_zone)
    conditions = Conditions(policy)
    segments = conditions.segments()
    campaigns = campaign_tables(policy, registry, conditions, zone)
    coupons = coupon_tables(policy, registry, conditions, zone)
    fraud = fraud_tables(policy, registry, conditions, zone)
    conditions.check(source)
    by_segment, own = responses(policy, registry.slots, len(campaigns.campaigns))
    channel_caps, total_caps = cap_tables(policy)
    tables = Tables(
        policy=policy_row(policy, replication),
        steps=conditions.compiler.steps(),
        responses=by_segment,
        generic_responses=own,
        segments=segments,
        goals=goal_kinds(policy),
        channel_caps=channel_caps,
        total_caps=total_caps,
        rfm=rfm_table(policy),
        days=day_table(zone, first, last, policy.fatigue.quiet_hours),
        **campaigns._asdict(),
        **coupons._asdict(),
        **fraud._asdict(),
        breakers=breaker_table(policy, registry.slots),
    )
    dwells = {campaign.trigger.dwell for campaign in policy.campaigns.values() if campaign.trigger.dwell}
    return CompiledPolicy(policy, tables, registry, timetable(policy, first, last), tuple(sorted(dwells)))
