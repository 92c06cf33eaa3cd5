"""A policy as arrays: every field of records.Tables against what the document says."""

import hashlib
import itertools
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.policy.calendar_days import day_table
from engine.policy.document import Policy, QuietHours
from engine.policy.registry import Registry
from engine.policy.schema import policy_schema
from engine.policy.tables import CompiledPolicy, compile_policy, load_policy
from engine.policy.yaml_source import load_text
from engine.records import (
    ACCEPT,
    CAMPAIGNS_MAX,
    DAY_MS,
    EVENT_KINDS,
    HOUR_MS,
    MOMENTS_MAX,
    NEVER_MS,
    PER_DAY,
    PER_MONTH,
    PER_ROLLING,
    PER_WEEK,
    SHARE_ONE,
    Channel,
    EventKind,
    Fact,
)

BANK_CARD = Path(__file__).parents[2] / "scenarios/library/policies/bank_card.yaml"
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 31)

POLICY = """
policy: shop
time_zone: Asia/Shanghai
provider: Shop
names: {pages: [home, pay, bill], cities: [xian], tiers: [gold], tags: [vip, new], topics: [t]}
rfm: {recency_days: [14, 45], frequency: [1], monetary: [100.00, 500.00, 2000.00]}
segments: {young: age < 25, vip: tag.vip}
moments:
  late: {monthly: 15, at: "23:30"}
  sundays: {weekly: sunday, at: "09:00"}
  once: {on: 2026-03-08, at: "09:00"}
protected_pages: [pay]
adult_age: 20
fatigue:
  caps: [{most: 2, per: day}, {most: 7, per: week}, {most: 20, per: month}]
  channels: {push: {caps: [{most: 1, per: 36h}]}}
  quiet_hours: {from: "22:00", until: "08:00"}
  back_off: {closes: 3, rest: 7d, repeat: 2}
ranking: {by: response, price_of_attention: 0.05}
universal_holdout: {share: 0.5%}
campaigns:
  everywhere: &one
    purpose: service
    topic: t
    channel: inbox
    trigger: {on: login}
    goal: {event: payment}
    response: {shown: 2%, otherwise: 1%}
    creative: {text: hello}
  dwelling:
    purpose: activation
    topic: t
    window: {from: 2026-03-08, until: 2026-03-10}
    audience: young or balance < 1.00
    trigger: {on: page_view, pages: [home, bill], dwell: 5s, when: hour < 12}
    goal: {event: first_use, window: 2d}
    priority: 7
    value: 30.00
    cost: 0.10
    response: {shown: 1.2%, otherwise: 0.0000001%}
    response_by_segment: {vip: {shown: 9%, otherwise: 0%}}
    frequency: {caps: [{most: 4, per: 14d}, {most: 1, per: day}], cool_down: 24h}
    remind_after: 2d
    holdout: {share: 12.5%, sees: next_best, salt: mine}
    arms:
      - &arm {name: a, share: 33.3333%, creative: {text: a, ad_label: true, close: {}}}
      - {name: b, share: 66.6667%, creative: {text: b, ad_label: true, close: {}}}
  on_home:
    purpose: service
    topic: t
    channel: inbox
    trigger: {on: page_view, pages: [home]}
    goal: {event: bill_viewed}
    response: {shown: 2%, otherwise: 1%}
    creative: {text: hello}
  sunday:
    purpose: service
    topic: t
    channel: inbox
    trigger: {on: moment, moment: sundays}
    goal: {event: login}
    response: {shown: 2%, otherwise: 1%}
    creative: {text: hello}
""".replace("&one", "").replace("&arm ", "")


def compiled(text: str = POLICY, **options: Any) -> CompiledPolicy:
    return compile_policy(load_text(text, "shop.yaml", Policy), FIRST, LAST, **options)


def salt(text: str) -> int:
    return int(np.frombuffer(hashlib.blake2b(text.encode(), digest_size=8).digest(), "<u8")[0])


def wall(zone: str, *when: int) -> int:
    return round(datetime(*when, tzinfo=ZoneInfo(zone)).timestamp() * 1000)  # type: ignore[arg-type,misc]


# --- Campaigns and the policy's own row -------------------------------------------------------------------------------
def test_a_campaign_row() -> None:
    policy = compiled()
    row = policy.tables.campaigns[policy.registry.slots["dwelling"]]
    expected = {
        "used": 1, "service": 0, "personal": 1, "next_best": 1, "channel": Channel.POPUP, "goal": EventKind.FIRST_USE,
        "from_ms": wall("Asia/Shanghai", 2026, 3, 8), "until_ms": wall("Asia/Shanghai", 2026, 3, 10),
        "cool_down_ms": DAY_MS, "goal_window_ms": 2 * DAY_MS, "snooze_ms": 2 * DAY_MS, "dwell_ms": 5_000,
        "value": 3_000, "cost": 10, "priority": 7, "arms": 2, "holdout_share": 125_000,
        "arm_salt": salt("shop/dwelling"), "holdout_salt": salt("mine"),
    }  # fmt: skip
    assert {name: int(row[name]) for name in expected} == expected
    assert row.arm_shares[:2].tolist() == [333_333, SHARE_ONE]
    assert row.caps.tolist()[:3] == [(14 * DAY_MS, 4, PER_ROLLING), (0, 1, PER_DAY), (0, 0, 0)]


def test_a_plain_campaign_is_open_to_all() -> None:
    row = compiled().tables.campaigns[0]
    assert (row.audience, row.condition, row.personal, row.service, row.arms) == (ACCEPT, ACCEPT, 0, 1, 1)
    assert row.arm_shares[0] == SHARE_ONE
    assert row.from_ms <= 0 and row.until_ms == NEVER_MS


def test_the_policy_row_and_its_caps() -> None:
    tables = compiled(replication=9).tables
    row = tables.policy[0]
    expected = {
        "price_of_attention": 5, "rest_ms": 7 * DAY_MS, "rest_max_ms": 56 * DAY_MS, "rest_repeat": 2,
        "back_off_after": 3, "rank_by_response": 1, "universal_holdout": 5_000, "protected_pages": 0b010,
        "replication": 9, "adult_age": 20, "segments": 2, "universal_salt": salt("shop/universal"),
    }  # fmt: skip
    assert {name: int(row[name]) for name in expected} == expected
    assert tables.total_caps.tolist() == [(0, 2, PER_DAY), (0, 7, PER_WEEK), (0, 20, PER_MONTH), (0, 0, 0)]
    assert tables.channel_caps[Channel.PUSH].tolist()[0] == (36 * HOUR_MS, 1, PER_ROLLING)
    assert tables.channel_caps["most"].sum() == 1
    assert tables.rfm[:, :4].tolist() == [[2, 14, 45, 0], [1, 1, 0, 0], [3, 10_000, 50_000, 200_000]]


def test_predicted_responses() -> None:
    tables = compiled().tables
    own, vip = [12_000_000, 1], [90_000_000, 0]
    assert tables.generic_responses[1].tolist() == own
    # Segments: young (own), vip (its own), other (own).
    assert tables.responses[1, :3].tolist() == [own, vip, own]


def test_segments_and_goals() -> None:
    tables = compiled().tables
    step = tables.steps[tables.segments[1]]
    assert (step.left, step.operand) == (Fact.TAG, 0)
    assert np.flatnonzero(tables.goals).tolist() == [EventKind.LOGIN, EventKind.BILL_VIEWED, EventKind.PAYMENT]


# --- Triggers ---------------------------------------------------------------------------------------------------------
def candidates(policy: CompiledPolicy, kind: EventKind, page: int) -> list[str]:
    names = {slot: name for name, slot in policy.registry.slots.items()}
    place = kind * (len(policy.policy.names.pages) + 1) + page + 1
    slots = policy.tables.candidates[policy.tables.triggers[place] : policy.tables.triggers[place + 1]]
    return [names[int(slot)] for slot in slots]


TRIGGERS = """
kind        page  candidates
LOGIN         -1  everywhere
LOGIN          0  everywhere
LOGIN          2  everywhere
PAGE_VIEW     -1  -
PAGE_VIEW      0  dwelling,on_home
PAGE_VIEW      1  -
PAGE_VIEW      2  dwelling
PAGE_DWELL     0  dwelling
PAGE_DWELL     2  dwelling
PAGE_LEAVE     0  -
MOMENT        -1  -
FIRST_USE     -1  -
"""


@pytest.mark.parametrize("line", TRIGGERS.strip().splitlines()[1:])
def test_triggers(line: str) -> None:
    kind, page, names = line.split()
    assert candidates(compiled(), EventKind[kind], int(page)) == ([] if names == "-" else names.split(","))


def test_bounds_cover_every_kind_page_and_moment() -> None:
    tables = compiled().tables
    assert len(tables.triggers) == EVENT_KINDS * 4 + 1
    assert (np.diff(tables.triggers) >= 0).all() and tables.triggers[-1] == len(tables.candidates)
    assert len(tables.moment_triggers) == MOMENTS_MAX + 1
    assert [int(n) for n in np.diff(tables.moment_triggers)[:3]] == [0, 1, 0]


def test_candidates_come_in_declaration_order_whatever_their_slots() -> None:
    registry = Registry({"on_home": 0, "somebody_else": 1, "dwelling": 5})
    policy = compiled(registry=registry)
    assert candidates(policy, EventKind.PAGE_VIEW, 0) == ["dwelling", "on_home"]
    assert policy.registry.slots == {"on_home": 0, "somebody_else": 1, "dwelling": 5, "everywhere": 2, "sunday": 3}
    assert policy.tables.campaigns["used"].tolist() == [1, 0, 1, 1, 0, 1]
    assert policy.tables.declared[[2, 5, 0, 3]].tolist() == [0, 1, 2, 3]


# --- Names own slots --------------------------------------------------------------------------------------------------
def test_a_freed_slot_is_used_again_and_a_full_registry_says_so() -> None:
    registry = Registry({f"c{n}": n for n in range(CAMPAIGNS_MAX)})
    with pytest.raises(OverflowError, match="no slot is free for 'new'"):
        registry.claim("new")
    registry.release("c7")
    assert [registry.claim(name) for name in ("new", "new", "c8")] == [7, 7, 8]
    assert len(registry) == CAMPAIGNS_MAX


# --- The calendar -----------------------------------------------------------------------------------------------------
def wall_minutes(t: int, zone: ZoneInfo) -> int:
    clock = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=t)).astimezone(zone)
    return clock.hour * 60 + clock.minute


ZONES = ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("quiet_from", "quiet_until"), [(22 * 60, 8 * 60), (12 * 60, 14 * 60), (23 * 60, 0)])
def test_days_agree_with_the_wall_clock_all_year(zone: str, quiet_from: int, quiet_until: int) -> None:
    quiet = QuietHours.model_construct(from_=quiet_from, until=quiet_until)
    days, clock = day_table(ZoneInfo(zone), date(2026, 1, 1), date(2026, 12, 31), quiet), ZoneInfo(zone)
    assert len(days) == 365
    for day, after in itertools.pairwise(days):
        for t in range(int(day.start_ms), int(after.start_ms), 37 * 60_000):  # an odd step meets every hour
            local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=t)).astimezone(clock)
            offset = day.offset_ms if t < day.switch_ms else day.offset_after_ms
            assert timedelta(milliseconds=int(offset)) == local.utcoffset(), (zone, local)
            assert int(day.date) == int(local.strftime("%Y%m%d"))
            minute = wall_minutes(t, clock)
            is_quiet = any(start <= t < end for start, end in day.quiet.tolist())
            parts = (minute >= quiet_from, minute < quiet_until)
            assert is_quiet == (any(parts) if quiet_from > quiet_until else all(parts)), (zone, local)


def test_the_instant_of_a_clock_change() -> None:
    row = day_table(ZoneInfo("Europe/Berlin"), date(2026, 3, 29), date(2026, 3, 29), None)[0]
    assert row.switch_ms == datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp() * 1000
    assert (row.offset_ms, row.offset_after_ms) == (HOUR_MS, 2 * HOUR_MS)
    assert row.quiet.tolist() == [[0, 0], [0, 0]]


def test_edges_of_weeks_and_months() -> None:
    day = compiled().tables.days[17]  # Wednesday, 18 March 2026
    assert (day.date, day.weekday, day.day_of_month) == (20260318, 3, 18)
    assert day.week_start_ms == wall("Asia/Shanghai", 2026, 3, 16)
    assert day.month_start_ms == wall("Asia/Shanghai", 2026, 3, 1)
    assert day.week == (date(2026, 3, 18) - date(1970, 1, 5)).days // 7
    weeks = compiled().tables.days
    assert [int(d.week) - int(weeks[0].week) for d in weeks[:2]] == [0, 1]  # a Sunday, then a Monday


def test_the_timetable_ascends_and_holds_every_moment_of_the_span() -> None:
    times = [(datetime.fromtimestamp(t / 1000, ZoneInfo("Asia/Shanghai")), n) for t, n in compiled().moments]
    assert [(when.strftime("%d %H:%M"), number) for when, number in times] == [
        ("01 09:00", 1), ("08 09:00", 1), ("08 09:00", 2), ("15 09:00", 1), ("15 23:30", 0), ("22 09:00", 1),
        ("29 09:00", 1),
    ]  # fmt: skip


# --- The library and editors ------------------------------------------------------------------------------------------
def test_the_presets_load_compile_and_name_their_dwells() -> None:
    policy = compile_policy(load_policy(BANK_CARD), FIRST, LAST)
    named = {campaign.trigger.dwell for campaign in policy.policy.campaigns.values()} - {None}
    assert list(policy.dwells) == sorted(named)  # type: ignore[type-var]
    assert compiled().dwells == (5_000,)
    assert replace(policy, dwells=()).tables is policy.tables


def test_the_schema_accepts_what_is_written_and_shows_no_engine_units() -> None:
    schema = policy_schema()
    assert schema["$defs"]["Holdout"]["properties"]["share"]["pattern"].endswith("%$")
    assert schema["$defs"]["QuietHours"]["required"] == ["from", "until"]
    assert "86400000" not in json.dumps(schema["required"])
