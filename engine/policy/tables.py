"""A parsed policy as the arrays that rules read."""

import hashlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from engine.coupon_records import BUDGET, COUPON, TERMS
from engine.policy.calendar_days import day_table, timetable, wall_ms
from engine.policy.campaign import Campaign, Cap
from engine.policy.conditions import Compiler, ConditionError, Scope
from engine.policy.document import Policy
from engine.policy.registry import Registry
from engine.policy.yaml_source import DocumentError, load
from engine.records import (
    ACCEPT,
    CAMPAIGN,
    CAP,
    CAPS_MAX,
    CHANNELS,
    EVENT_KINDS,
    MOMENTS_MAX,
    NEVER_MS,
    NONE,
    PER_DAY,
    PER_MONTH,
    PER_ROLLING,
    PER_WEEK,
    POLICY,
    SEGMENTS_MAX,
    SHARE_ONE,
    Channel,
    EventKind,
    Tables,
    records,
)

_CALENDAR = {"day": PER_DAY, "week": PER_WEEK, "month": PER_MONTH}
_REST_TIMES_DEFAULT = 8
FOREVER_MS = NEVER_MS


@dataclass(frozen=True)
class CompiledPolicy:
    """A policy ready to run: arrays, names, the timetable of its moments and the dwells it names (ms, ascending)."""

    policy: Policy
    tables: Tables
    registry: Registry
    moments: list[tuple[int, int]]
    dwells: tuple[int, ...]


def load_policy(path: str | Path) -> Policy:
    """The policy of a YAML file. Raises DocumentError with every problem, by line."""
    return load(path, Policy)


def salt(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def fill_caps(rows: np.ndarray, caps: list[Cap]) -> None:
    for row, cap in zip(rows, caps, strict=False):
        row["most"] = cap.most
        row["per"] = _CALENDAR[cap.per] if isinstance(cap.per, str) else PER_ROLLING
        row["window_ms"] = 0 if isinstance(cap.per, str) else cap.per


def scope_of(policy: Policy, *, events: bool, segments: dict[str, str] | None = None) -> Scope:
    names = policy.names
    categories = {"pages": names.pages, "cities": names.cities, "tiers": names.tiers}
    return Scope(categories, names.tags, policy.segments if segments is None else segments, events)


class Conditions:
    """Compiles every condition of a policy and gathers what is wrong with them."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.compiler = policy, Compiler()
        self.problems: list[tuple[str, str]] = []

    def compile(self, path: str, text: str | None, scope: Scope) -> tuple[int, bool]:
        if text is None:
            return ACCEPT, False
        try:
            return self.compiler.add(text, scope)
        except ConditionError as error:
            self.problems.append((path, f"must be {error} (got {text})"))
            return ACCEPT, False

    def segments(self) -> np.ndarray:
        """First step of each segment; a segment may name those declared before it."""
        first = np.full(SEGMENTS_MAX, ACCEPT, np.int32)
        earlier: dict[str, str] = {}
        for number, (name, text) in enumerate(self.policy.segments.items()):
            scope = scope_of(self.policy, events=False, segments=dict(earlier))
            first[number], _ = self.compile(f"segments.{name}", text, scope)
            earlier[name] = text
        return first

    def campaign(self, name: str, campaign: Campaign) -> tuple[int, int, bool]:
        """First steps of audience and trigger condition, and whether either reads a personal fact."""
        path = f"campaigns.{name}"
        audience, a = self.compile(f"{path}.audience", campaign.audience, scope_of(self.policy, events=False))
        condition, b = self.compile(f"{path}.trigger.when", campaign.trigger.when, scope_of(self.policy, events=True))
        return audience, condition, a or b


def campaign_row(row: np.record, name: str, campaign: Campaign, policy: Policy, zone: ZoneInfo) -> None:
    """Everything of a campaign but its conditions."""
    row.used = 1
    row.coupon, row.budget = NONE, NONE
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


def policy_row(policy: Policy, replication: int) -> np.recarray:
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


def compile_policy(
    policy: Policy,
    first: date,
    last: date,
    replication: int = 0,
    registry: Registry | None = None,
    source: str = "policy",
) -> CompiledPolicy:
    """Arrays for the days first … last. Raises DocumentError with every condition that is wrong."""
    registry = registry or Registry()
    slots = {name: registry.claim(name) for name in policy.campaigns}
    size = max(1, len(registry))
    zone = ZoneInfo(policy.time_zone)
    conditions = Conditions(policy)
    segments = conditions.segments()
    campaigns = records(size, CAMPAIGN)
    declared = np.zeros(size, np.int32)
    triggers: list[tuple[int, int]] = []
    moments: list[tuple[int, int]] = []
    for order, (name, campaign) in enumerate(policy.campaigns.items()):
        slot = slots[name]
        row = campaigns[slot]
        campaign_row(row, name, campaign, policy, zone)
        row.audience, row.condition, row.personal = conditions.campaign(name, campaign)
        declared[slot] = order
        if campaign.trigger.on == "moment":
            moments.append((list(policy.moments).index(campaign.trigger.moment or ""), slot))
        else:
            triggers += [(place, slot) for place in trigger_places(campaign, policy)]
    if conditions.problems:
        raise DocumentError.at(source, conditions.problems)
    trigger_bounds, candidates = index(triggers, EVENT_KINDS * (len(policy.names.pages) + 1))
    moment_bounds, moment_candidates = index(moments, MOMENTS_MAX)
    by_segment, own = responses(policy, slots, size)
    channel_caps, total_caps = np.zeros((CHANNELS, CAPS_MAX), CAP), np.zeros(CAPS_MAX, CAP)
    for channel, fatigue in policy.fatigue.channels.items():
        fill_caps(channel_caps[Channel[channel.upper()]], fatigue.caps)
    fill_caps(total_caps, policy.fatigue.caps)
    tables = Tables(
        policy=policy_row(policy, replication),
        campaigns=campaigns,
        steps=conditions.compiler.steps(),
        responses=by_segment,
        generic_responses=own,
        segments=segments,
        triggers=trigger_bounds,
        candidates=candidates,
        moment_triggers=moment_bounds,
        moment_candidates=moment_candidates,
        declared=declared,
        goals=goal_kinds(policy),
        channel_caps=channel_caps.view(np.recarray),
        total_caps=total_caps.view(np.recarray),
        rfm=rfm_table(policy),
        days=day_table(zone, first, last, policy.fatigue.quiet_hours),
        terms=records(1, TERMS),
        coupons=records(1, COUPON),
        budgets=records(1, BUDGET),
        channel_budgets=np.full(CHANNELS, NONE, np.int16),
    )
    dwells = {campaign.trigger.dwell for campaign in policy.campaigns.values() if campaign.trigger.dwell}
    return CompiledPolicy(policy, tables, registry, timetable(policy, first, last), tuple(sorted(dwells)))
