"""The reference held to the words: tables from FINE_PRINT.md (Messages 8 to 15) and docs/readings.md, case by case."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.policy.document import Policy
from engine.records import (
    CUSTOMER,
    DAY_MS,
    EVENT,
    HOUR_MS,
    LONG_AGO_MS,
    MINUTE_MS,
    NONE,
    RING,
    SECOND_MS,
    SHARE_ONE,
    SNOOZES,
    VIEWS,
    Bulletin,
    Cell,
    Channel,
    EventKind,
    Flag,
    Reason,
    records,
)
from engine.reference import Answer, Conditions, Reference, bucket, mix64
from tests.engine.traffic import Traffic, random_bulletin, random_customers, random_events, random_policy, random_slots

SHANGHAI = ZoneInfo("Asia/Shanghai")
CREATIVE = {  # lawful on every channel
    "text": "Example Bank",
    "ad_label": "true",
    "close": {"visible": "true"},
    "opt_out": "Reply TD",
}
NOON = datetime(2026, 3, 4, 12, tzinfo=SHANGHAI)  # a Wednesday
FIRST_WEEK = (NOON.date().toordinal() - datetime(1970, 1, 5).toordinal()) // 7


def ms(clock: datetime | str) -> int:
    """`2026-03-04 12:00` or `…:00.001` in Shanghai as milliseconds."""
    when = datetime.fromisoformat(clock).replace(tzinfo=SHANGHAI) if isinstance(clock, str) else clock
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


T0 = ms(NOON)


def campaign(**fields: Any) -> dict[str, Any]:
    return {
        "purpose": "activation",
        "topic": "offers",
        "trigger": {"on": "page_view"},
        "goal": {"event": "payment", "window": "1d"},
        "value": "10.00",
        "response": {"shown": "2%", "otherwise": "1%"},
        "creative": CREATIVE,
        **fields,
    }


def policy(campaigns: dict[str, Any], **fields: Any) -> Policy:
    names = {"pages": ["home", "balance", "pay"], "cities": ["wuhan", "xian"], "tiers": ["standard", "gold"],
             "tags": ["a", "b"], "topics": ["offers"]}  # fmt: skip
    document = {"policy": "p", "time_zone": "Asia/Shanghai", "provider": "Example Bank", "names": names}
    return Policy.model_validate({**document, **fields, "campaigns": campaigns})


def profile(**fields: Any) -> Any:
    """An adult of 1990 with every consent who allows personalisation."""
    record = records(1, CUSTOMER)[0]
    always = {"birth_date": 19900412, "consent": 0b11111, "purchase_ms": LONG_AGO_MS, "week": FIRST_WEEK}
    for name, value in {**always, **fields}.items():
        record[name] = value
    return record


class Story:
    """One customer's events against one policy, told in few words. Slots are declaration order."""

    def __init__(self, rules: Policy, customer: int = 7, **fields: Any) -> None:
        self.names = list(rules.campaigns)
        self.engine = Reference(rules, {name: slot for slot, name in enumerate(self.names)})
        self.engine.add(customer, profile(**fields))
        self.customer = customer
        self.bulletin: Bulletin | None = None

    def event(self, time_ms: int, kind: EventKind = EventKind.PAGE_VIEW, **fields: Any) -> Answer:
        record = records(1, EVENT)[0]
        for field in ("campaign", "exposure", "channel", "moment", "city", "ask", "origin"):
            record[field] = NONE
        record.time_ms, record.kind, record.customer = time_ms, kind, self.customer
        for name, value in fields.items():
            record[name] = value
        return self.engine.decide(record, self.bulletin)

    def at(self, time_ms: int, kind: EventKind = EventKind.PAGE_VIEW, **fields: Any) -> Reason:
        return Reason(self.event(time_ms, kind, **fields).decision["reason"])

    def react(self, time_ms: int, kind: EventKind, exposure: int, campaign: int = 0, **fields: Any) -> None:
        self.event(time_ms, kind, exposure=exposure, campaign=campaign, page=NONE, **fields)

    def cells(self, cell: Cell) -> int:
        return sum(count for key, count in self.engine.cells.items() if key[-1] is cell)


def told(table: str) -> list[list[str]]:
    """Rows of a table: columns apart by two blanks or more, `#` opens a comment, the first line is the head."""
    lines = [line.split("#")[0].strip() for line in table.strip().splitlines()[1:]]
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines if line]


# --- Caps and cool-down (12, 13) --------------------------------------------------------------------------------------
CAPS_TABLE = """
shown_at_ms    now_ms    most  per    cool_down  reason
-              0         2     10s    0s         SHOWN
0              9         9     1d     10s        COOL_DOWN
0              9999      9     1d     10s        COOL_DOWN
0              10000     9     1d     10s        SHOWN          # a gap equal to the cool-down is enough
0              9999      1     10s    0s         CAMPAIGN_CAP
0              10000     1     10s    0s         SHOWN          # (t - w, t]: the first has just left the window
0,5000         9999      2     10s    0s         CAMPAIGN_CAP
0,5000         10000     2     10s    0s         SHOWN
0,10000        10001     2     10s    0s         SHOWN
0,10000        19999     1     10s    0s         CAMPAIGN_CAP
0,0            0         2     10s    0s         CAMPAIGN_CAP   # this instant is in the window
0              9999      1     10s    10s        COOL_DOWN      # cool-down is tested before the cap
"""


@pytest.mark.parametrize("row", told(CAPS_TABLE), ids="-".join)
def test_rolling_caps_and_cool_down(row: list[str]) -> None:
    shown, now, most, per, cool_down, reason = row
    frequency = {"caps": [{"most": int(most), "per": per}], "cool_down": cool_down}
    story = Story(policy({"one": campaign(frequency=frequency)}))
    for shown_at in [int(at) for at in shown.split(",") if at != "-"]:
        assert story.at(T0 + shown_at) is Reason.SHOWN
    assert story.at(T0 + int(now)) is Reason[reason]


CALENDAR_TABLE = """
shown                      now                        per     reason
2026-03-04 00:00           2026-03-04 23:59:59.999    day     CAMPAIGN_CAP
2026-03-03 23:59:59.999    2026-03-04 00:00           day     SHOWN
2026-03-02 00:00           2026-03-08 23:59:59.999    week    CAMPAIGN_CAP   # Monday to Sunday
2026-03-08 23:59:59.999    2026-03-09 00:00           week    SHOWN
2026-03-01 00:00           2026-03-31 23:59:59.999    month   CAMPAIGN_CAP
2026-03-31 23:59:59.999    2026-04-01 00:00           month   SHOWN
"""


@pytest.mark.parametrize("row", told(CALENDAR_TABLE), ids="-".join)
def test_calendar_caps(row: list[str]) -> None:
    shown, now, per, reason = row
    story = Story(policy({"one": campaign(frequency={"caps": [{"most": 1, "per": per}]})}))
    assert story.at(ms(shown)) is Reason.SHOWN
    assert story.at(ms(now)) is Reason[reason]


def test_calendar_day_of_a_clock_change() -> None:
    story = Story(policy({"one": campaign(frequency={"caps": [{"most": 1, "per": "day"}]})}, time_zone="Europe/Berlin"))
    midnight = ms(datetime(2026, 3, 29, tzinfo=ZoneInfo("Europe/Berlin")))
    assert story.at(midnight) is Reason.SHOWN
    assert story.at(midnight + 23 * HOUR_MS - 1) is Reason.CAMPAIGN_CAP
    assert story.at(midnight + 23 * HOUR_MS) is Reason.SHOWN


def test_channel_and_total_caps_count_other_campaigns() -> None:
    fatigue = {"caps": [{"most": 2, "per": "day"}], "channels": {"popup": {"caps": [{"most": 1, "per": "day"}]}}}
    login = campaign(trigger={"on": "login"}, channel="push")
    bill = campaign(trigger={"on": "bill_viewed"})
    rules = policy({"page": campaign(), "login": login, "bill": bill}, fatigue=fatigue)
    story = Story(rules)
    assert story.at(T0) is Reason.SHOWN
    assert story.at(T0, EventKind.BILL_VIEWED) is Reason.CHANNEL_CAP
    assert story.at(T0, EventKind.LOGIN) is Reason.SHOWN
    assert story.at(T0, EventKind.LOGIN) is Reason.TOTAL_CAP
    assert story.at(T0 + 12 * HOUR_MS, EventKind.LOGIN) is Reason.SHOWN


def test_cool_down_counts_on_any_channel_of_the_same_name_only() -> None:
    cool = {"cool_down": "1h"}
    rules = policy({"one": campaign(frequency=cool), "two": campaign(frequency=cool, trigger={"on": "login"})})
    story = Story(rules)
    assert story.at(T0) is Reason.SHOWN
    assert story.at(T0 + 1, EventKind.LOGIN) is Reason.SHOWN
    assert story.at(T0 + 1) is Reason.COOL_DOWN


# --- Passive places and quiet hours (8) -------------------------------------------------------------------------------
QUIET_TABLE = """
from   until  now                        reason
22:00  08:00  2026-03-04 21:59:59.999    SHOWN
22:00  08:00  2026-03-04 22:00           QUIET_HOURS
22:00  08:00  2026-03-05 00:00           QUIET_HOURS
22:00  08:00  2026-03-05 07:59:59.999    QUIET_HOURS
22:00  08:00  2026-03-05 08:00           SHOWN
12:00  14:00  2026-03-04 11:59:59.999    SHOWN
12:00  14:00  2026-03-04 12:00           QUIET_HOURS
12:00  14:00  2026-03-04 14:00           SHOWN
23:00  00:00  2026-03-04 23:59:59.999    QUIET_HOURS
23:00  00:00  2026-03-05 00:00           SHOWN
09:00  09:00  2026-03-04 09:00           SHOWN          # equal ends: no quiet time
"""


@pytest.mark.parametrize("row", told(QUIET_TABLE), ids="-".join)
@pytest.mark.parametrize("channel", ["popup", "push", "sms", "email", "voice"])
def test_quiet_hours(row: list[str], channel: str) -> None:
    start, until, now, reason = row
    fatigue = {"quiet_hours": {"from": start, "until": until}}
    assert Story(policy({"one": campaign(channel=channel)}, fatigue=fatigue)).at(ms(now)) is Reason[reason]


@pytest.mark.parametrize("channel", ["inbox", "carousel", "campaign_page"])
def test_passive_places_are_outside_quiet_hours_back_off_and_total_cap(channel: str) -> None:
    fatigue = {
        "quiet_hours": {"from": "12:00", "until": "13:00"},
        "caps": [{"most": 1, "per": "day"}],
        "channels": {channel: {"caps": [{"most": 3, "per": "day"}]}},
    }
    place = campaign(channel=channel, trigger={"on": "slot_view"})
    story = Story(policy({"place": place, "page": campaign()}, fatigue=fatigue), rest_until_ms=T0 + DAY_MS)
    assert [story.at(T0, EventKind.SLOT_VIEW) for _ in range(4)] == [Reason.SHOWN] * 3 + [Reason.CHANNEL_CAP]
    assert story.at(T0) is Reason.QUIET_HOURS
    assert story.at(T0 + HOUR_MS) is Reason.BACK_OFF
    assert story.at(T0 + DAY_MS + HOUR_MS) is Reason.SHOWN  # the three passive ones are not in the total cap


def test_campaign_caps_hold_in_passive_places() -> None:
    capped = campaign(channel="inbox", trigger={"on": "slot_view"}, frequency={"caps": [{"most": 1, "per": "day"}]})
    story = Story(policy({"place": capped}))
    assert story.at(T0, EventKind.SLOT_VIEW) is Reason.SHOWN
    assert story.at(T0, EventKind.SLOT_VIEW) is Reason.CAMPAIGN_CAP


# --- Back-off (9) -----------------------------------------------------------------------------------------------------
def resting_story(channel: str = "popup", **back_off: Any) -> Story:
    rule = {"closes": 2, "rest": "1h", "repeat": 2, "rest_max": "3h", **back_off}
    push = campaign(channel="push", trigger={"on": "login"})
    return Story(policy({"page": campaign(channel=channel), "login": push}, fatigue={"back_off": rule}))


def show_and(story: Story, now: int, *kinds: EventKind) -> int:
    """Show campaign 0 at `now` and react at the same instant; returns the exposure's number."""
    answer = story.event(now)
    assert answer.decision["reason"] == Reason.SHOWN
    for kind in kinds:
        story.react(now, kind, answer.decision["exposure"])
    return answer.decision["exposure"]


def test_back_off_rests_from_the_nth_close_and_repeats_longer() -> None:
    story, now = resting_story(), T0
    for rest in (HOUR_MS, 2 * HOUR_MS, 3 * HOUR_MS, 3 * HOUR_MS):  # × 1, × 2, × 4 and × 8 cut to rest_max
        show_and(story, now, EventKind.CLOSE)
        show_and(story, now, EventKind.CLOSE)
        assert story.at(now) is Reason.BACK_OFF
        assert story.at(now + rest - 1) is Reason.BACK_OFF
        now += rest
        assert story.at(now) is Reason.SHOWN  # [t, t + rest): the count is zero again, so one close does not rest
        now += 1


def test_back_off_default_maximum_is_eight_rests() -> None:
    story, now = Story(policy({"one": campaign()}, fatigue={"back_off": {"closes": 1, "rest": "1h", "repeat": 10}})), T0
    for rest in (HOUR_MS, 8 * HOUR_MS, 8 * HOUR_MS):
        show_and(story, now, EventKind.CLOSE)
        assert story.at(now + rest - 1) is Reason.BACK_OFF
        now += rest


def test_click_sets_count_and_multiplier_back() -> None:
    story = resting_story()
    show_and(story, T0, EventKind.CLOSE)
    show_and(story, T0, EventKind.CLICK)
    show_and(story, T0, EventKind.CLOSE)
    assert story.at(T0) is Reason.SHOWN
    show_and(story, T0, EventKind.CLOSE)  # the second without a click between: rests 1 h
    show_and(story, T0 + HOUR_MS, EventKind.CLICK)
    show_and(story, T0 + HOUR_MS, EventKind.CLOSE)
    show_and(story, T0 + HOUR_MS, EventKind.CLOSE)
    assert story.at(T0 + 2 * HOUR_MS - 1) is Reason.BACK_OFF
    assert story.at(T0 + 2 * HOUR_MS) is Reason.SHOWN  # 1 h again, not 2


def test_click_does_not_end_a_rest_under_way() -> None:
    story = resting_story()
    first = show_and(story, T0)
    show_and(story, T0, EventKind.CLOSE)
    show_and(story, T0, EventKind.CLOSE)
    story.react(T0 + 1, EventKind.CLICK, first)
    assert story.at(T0 + HOUR_MS - 1) is Reason.BACK_OFF


def test_close_and_mute_of_one_exposure_are_one() -> None:
    story = resting_story()
    show_and(story, T0, EventKind.CLOSE, EventKind.CLOSE, EventKind.COMPLAINT)
    assert story.at(T0) is Reason.SHOWN
    assert (story.cells(Cell.CLOSES), story.cells(Cell.COMPLAINTS), story.cells(Cell.NEGATIVES)) == (1, 1, 1)


def test_mute_counts_like_a_close_but_is_not_one() -> None:
    story = resting_story(closes=1)
    number = show_and(story, T0, EventKind.MUTE)
    assert story.engine.customers[7]["rest_until"] == T0 + HOUR_MS
    story.react(T0 + 1, EventKind.CLOSE, number)
    assert (story.cells(Cell.CLOSES), story.cells(Cell.MUTES), story.cells(Cell.NEGATIVES)) == (0, 1, 1)
    assert story.engine.customers[7]["rest_until"] == T0 + HOUR_MS


@pytest.mark.parametrize("kind", [EventKind.SNOOZE, EventKind.COMPLAINT])
def test_snooze_and_complaint_leave_back_off(kind: EventKind) -> None:
    story = resting_story(closes=1)
    show_and(story, T0, kind)
    assert story.engine.customers[7]["rest_until"] == 0


def test_only_pop_ups_rest_and_only_reactions_to_pop_ups_count() -> None:
    story = resting_story(closes=1)
    show_and(story, T0, EventKind.CLOSE)
    assert story.at(T0) is Reason.BACK_OFF
    assert story.at(T0, EventKind.LOGIN) is Reason.SHOWN
    carousel = resting_story("carousel", closes=1)
    show_and(carousel, T0, EventKind.CLOSE)
    assert carousel.engine.customers[7]["rest_until"] == 0
    assert carousel.cells(Cell.CLOSES) == 1


def test_a_shorter_rest_does_not_end_a_longer_one() -> None:
    story = resting_story(closes=1)
    numbers = [show_and(story, T0) for _ in range(3)]
    story.react(T0, EventKind.CLOSE, numbers[0])
    story.react(T0, EventKind.CLOSE, numbers[1])  # 2 h
    story.react(T0, EventKind.CLICK, numbers[2])
    story.react(T0, EventKind.CLOSE, numbers[2])  # 1 h
    assert story.engine.customers[7]["rest_until"] == T0 + 2 * HOUR_MS


# --- Mute and snooze (10) ---------------------------------------------------------------------------------------------
def test_mute_is_for_ever_and_by_name() -> None:
    story = Story(policy({"one": campaign(priority=1), "two": campaign()}))
    show_and(story, T0, EventKind.MUTE)
    answer = story.event(T0 + 300 * DAY_MS)
    assert answer.reasons == {0: Reason.MUTED, 1: Reason.SHOWN}


SNOOZE_TABLE = """
now_ms      reason
1799999     SNOOZED      # ineligible until t + remind_after …
1800000     SHOWN        # … then exempt from its cool-down
"""


@pytest.mark.parametrize("row", told(SNOOZE_TABLE), ids="-".join)
def test_snooze(row: list[str]) -> None:
    story = Story(policy({"one": campaign(remind_after="30min", frequency={"cool_down": "1d"})}))
    show_and(story, T0, EventKind.SNOOZE)
    assert story.at(T0 + int(row[0])) is Reason[row[1]]


def test_exemption_ends_with_the_next_exposure_and_lifts_no_cap() -> None:
    rules = {"cool_down": "1d", "caps": [{"most": 2, "per": "7d"}]}
    story = Story(policy({"one": campaign(remind_after="30min", frequency=rules)}))
    number = show_and(story, T0, EventKind.SNOOZE)
    assert story.at(T0 + HOUR_MS) is Reason.SHOWN
    assert story.at(T0 + HOUR_MS) is Reason.COOL_DOWN
    story.react(T0 + HOUR_MS, EventKind.SNOOZE, number)
    assert story.at(T0 + 2 * HOUR_MS) is Reason.CAMPAIGN_CAP


def test_exemption_ends_with_a_ghost_too() -> None:
    held = {"share": "100%"}
    story = Story(policy({"one": campaign(holdout=held, frequency={"cool_down": "1d"})}))
    assert story.at(T0) is Reason.HELD_OUT
    story.engine.customers[7]["snoozes"][0] = T0 + 1
    assert story.at(T0 + 1) is Reason.HELD_OUT
    assert story.at(T0 + 2) is Reason.COOL_DOWN


def test_the_latest_snooze_counts() -> None:
    story = Story(policy({"one": campaign(remind_after="1h")}))
    number = show_and(story, T0, EventKind.SNOOZE)
    story.react(T0 + 30 * MINUTE_MS, EventKind.SNOOZE, number)
    assert story.at(T0 + HOUR_MS) is Reason.SNOOZED
    assert story.at(T0 + 90 * MINUTE_MS) is Reason.SHOWN


def test_remind_me_later_is_counted_once_per_exposure() -> None:
    story = Story(policy({"one": campaign()}))
    show_and(story, T0, EventKind.SNOOZE, EventKind.SNOOZE)
    assert story.cells(Cell.SNOOZES) == 1


def test_a_fifth_snooze_replaces_the_earliest() -> None:
    names = {f"c{number}": campaign(priority=number, remind_after=f"{9 - number}h") for number in range(SNOOZES + 1)}
    story = Story(policy(names))
    for _ in names:
        answer = story.event(T0)
        story.react(T0, EventKind.SNOOZE, answer.decision["exposure"], answer.decision["campaign"])
    reasons = story.event(T0 + 1).reasons
    assert [slot for slot, reason in reasons.items() if reason is not Reason.SNOOZED] == [4]  # 4 ended first: 5 h


# --- Closed and protected pages (11) ----------------------------------------------------------------------------------
CHANNELS = [channel.name.lower() for channel in Channel]


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("kind", [EventKind.CLOSE, EventKind.MUTE])
def test_a_closed_page_view_refuses_every_channel(channel: str, kind: EventKind) -> None:
    story = Story(policy({"one": campaign(priority=1), "two": campaign(channel=channel, trigger={"on": "slot_view"})}))
    number = story.event(T0, page_view=5).decision["exposure"]
    story.react(T0, kind, number, page_view=5)
    assert story.at(T0, EventKind.SLOT_VIEW, page_view=5) is Reason.CLOSED_ON_PAGE
    assert story.at(T0, EventKind.SLOT_VIEW, page_view=6) is Reason.SHOWN
    assert story.at(T0, EventKind.SLOT_VIEW, page_view=0) is Reason.SHOWN


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_protected_page_refuses_every_channel(channel: str) -> None:
    story = Story(policy({"one": campaign(channel=channel)}, protected_pages=["pay"]))
    assert story.at(T0, page=2) is Reason.PROTECTED_PAGE
    assert story.at(T0, page=0) is Reason.SHOWN
    assert story.at(T0, page=NONE) is Reason.SHOWN


def test_four_page_views_are_remembered() -> None:
    story = Story(policy({"one": campaign()}))
    number = story.event(T0).decision["exposure"]
    for page_view in range(1, VIEWS + 2):
        story.react(T0, EventKind.CLOSE, number, page_view=page_view)
    closed = [view for view in range(1, 7) if story.at(T0, page_view=view) is Reason.CLOSED_ON_PAGE]
    assert closed == [2, 3, 4, 5]


# --- Dwell (14) -------------------------------------------------------------------------------------------------------
DWELL_TABLE = """
kind        dwell_ms  page  reason
PAGE_VIEW   0         0     DWELL
PAGE_DWELL  4999      0     NO_CANDIDATE
PAGE_DWELL  5000      0     SHOWN
PAGE_DWELL  9000      0     SHOWN
PAGE_DWELL  5000      1     NO_CANDIDATE
PAGE_VIEW   0         1     NO_CANDIDATE
SLOT_VIEW   9000      0     NO_CANDIDATE
"""


@pytest.mark.parametrize("row", told(DWELL_TABLE), ids="-".join)
def test_dwell(row: list[str]) -> None:
    kind, dwell_ms, page, reason = row
    story = Story(policy({"one": campaign(trigger={"on": "page_view", "pages": ["home"], "dwell": "5s"})}))
    assert story.at(T0, EventKind[kind], dwell_ms=int(dwell_ms), page=int(page), page_view=3) is Reason[reason]


def test_no_dwell_after_the_page_is_left() -> None:
    story = Story(policy({"one": campaign(trigger={"on": "page_view", "dwell": "5s"})}))
    story.event(T0, EventKind.PAGE_LEAVE, page_view=3)
    assert story.at(T0, EventKind.PAGE_DWELL, dwell_ms=5000, page_view=3) is Reason.DWELL
    assert story.at(T0, EventKind.PAGE_DWELL, dwell_ms=5000, page_view=4) is Reason.SHOWN


def test_a_campaign_without_dwell_is_no_candidate_on_page_dwell() -> None:
    assert Story(policy({"one": campaign()})).at(T0, EventKind.PAGE_DWELL, dwell_ms=5000) is Reason.NO_CANDIDATE


# --- Held out (15) ----------------------------------------------------------------------------------------------------
NEXT_BEST, NOTHING = {"share": "100%", "sees": "next_best"}, {"share": "100%", "sees": "nothing"}


def test_next_best_leaves_a_ghost_of_each_until_one_is_shown() -> None:
    rules = {"a": campaign(priority=1), "b": campaign(priority=3, holdout=NEXT_BEST), "c": campaign(priority=0),
             "d": campaign(priority=2, holdout=NEXT_BEST)}  # fmt: skip
    answer = Story(policy(rules)).event(T0)
    assert [ghost["campaign"] for ghost in answer.ghosts] == [1, 3]
    assert [ghost["exposure"] for ghost in answer.ghosts] == [0, 1]
    assert (answer.decision["campaign"], answer.decision["exposure"]) == (0, 2)
    assert list(answer.reasons.items()) == [
        (0, Reason.SHOWN), (1, Reason.HELD_OUT), (2, Reason.LOST_ARBITRATION), (3, Reason.HELD_OUT),
    ]  # fmt: skip


def test_next_best_with_none_left_is_held_out_and_names_the_first_declared() -> None:
    rules = {"a": campaign(holdout=NEXT_BEST), "b": campaign(priority=3, holdout=NEXT_BEST)}
    answer = Story(policy(rules)).event(T0)
    assert [ghost["campaign"] for ghost in answer.ghosts] == [1, 0]
    assert answer.decision["reason"] == Reason.HELD_OUT
    assert (answer.decision["campaign"], answer.decision["exposure"]) == (0, 1)


def test_sees_nothing_leaves_the_slot_empty() -> None:
    answer = Story(policy({"a": campaign(), "b": campaign(priority=3, holdout=NOTHING)})).event(T0)
    assert answer.reasons == {0: Reason.LOST_ARBITRATION, 1: Reason.HELD_OUT}
    assert (answer.decision["reason"], answer.decision["campaign"], answer.decision["arm"]) == (Reason.HELD_OUT, 1, 0)


def test_a_ghost_counts_for_its_own_campaign_only() -> None:
    fatigue = {"caps": [{"most": 1, "per": "day"}], "channels": {"popup": {"caps": [{"most": 1, "per": "day"}]}}}
    capped = campaign(priority=3, holdout=NOTHING, frequency={"caps": [{"most": 1, "per": "day"}]})
    story = Story(policy({"a": campaign(), "b": capped}, fatigue=fatigue))
    assert story.at(T0) is Reason.HELD_OUT
    assert story.event(T0).reasons == {0: Reason.SHOWN, 1: Reason.CAMPAIGN_CAP}
    assert story.event(T0).reasons == {0: Reason.CHANNEL_CAP, 1: Reason.CAMPAIGN_CAP}


def test_universal_holdout_spares_service_messages() -> None:
    everyone = {"share": "100%"}
    assert Story(policy({"a": campaign()}, universal_holdout=everyone)).at(T0) is Reason.HELD_OUT
    assert Story(policy({"a": campaign(purpose="service")}, universal_holdout=everyone)).at(T0) is Reason.SHOWN


def test_reactions_to_ghosts_are_ignored() -> None:
    story = Story(policy({"a": campaign(holdout=NOTHING)}))
    number = story.event(T0).decision["exposure"]
    for kind in (EventKind.CLICK, EventKind.CLOSE, EventKind.MUTE, EventKind.SNOOZE, EventKind.NOT_SHOWN):
        story.react(T0, kind, number, page_view=4)
    assert story.at(T0, page_view=4) is Reason.HELD_OUT
    assert sum(count for key, count in story.engine.cells.items() if key[-1] is not Cell.GHOSTS) == 0


# --- not_shown (13) ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("after_ms", "reason"), [(0, "SHOWN"), (599_999, "SHOWN"), (600_000, "COOL_DOWN")])
def test_not_shown_within_ten_minutes(after_ms: int, reason: str) -> None:
    story = Story(policy({"one": campaign(frequency={"cool_down": "1d", "caps": [{"most": 1, "per": "month"}]})}))
    number = show_and(story, T0)
    story.react(T0 + after_ms, EventKind.NOT_SHOWN, number)
    assert story.at(T0 + after_ms) is Reason[reason]


def test_taken_back_counts_nowhere_and_takes_no_reactions() -> None:
    fatigue = {"caps": [{"most": 1, "per": "day"}], "channels": {"popup": {"caps": [{"most": 1, "per": "day"}]}}}
    story = Story(policy({"one": campaign()}, fatigue=fatigue))
    number = show_and(story, T0, EventKind.NOT_SHOWN, EventKind.CLICK, EventKind.NOT_SHOWN)
    story.event(T0 + 1, EventKind.PAYMENT, amount=100)
    counts = [story.cells(cell) for cell in (Cell.NOT_SHOWN, Cell.CLICKS, Cell.CONVERSIONS, Cell.EXPOSURES)]
    assert counts == [1, 0, 0, 1]
    assert story.event(T0 + 1).decision["exposure"] == number + 1


# --- Reactions and the ring -------------------------------------------------------------------------------------------
def test_reactions_name_number_and_campaign() -> None:
    story = Story(policy({"one": campaign(), "two": campaign(trigger={"on": "login"})}))
    show_and(story, T0)
    for exposure, slot in ((0, 1), (1, 0), (-1, 0)):
        story.react(T0, EventKind.CLICK, exposure, slot)
    assert story.cells(Cell.CLICKS) == 0
    story.react(T0, EventKind.CLICK, 0, 0)
    story.react(T0, EventKind.CLICK, 0, 0)
    assert story.cells(Cell.CLICKS) == 1


def test_reactions_reach_back_sixty_four_exposures() -> None:
    story = Story(policy({"one": campaign()}))
    for _ in range(RING + 1):
        show_and(story, T0)
    story.react(T0, EventKind.CLICK, 0)
    assert story.cells(Cell.CLICKS) == 0
    story.react(T0, EventKind.CLICK, 1)
    assert story.cells(Cell.CLICKS) == 1


# --- Goals ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("after_ms", "conversions"), [(0, 0), (1, 1), (DAY_MS, 1), (DAY_MS + 1, 0)])
def test_conversion_window(after_ms: int, conversions: int) -> None:
    story = Story(policy({"one": campaign()}))
    show_and(story, T0)
    story.event(T0 + after_ms, EventKind.PAYMENT, amount=1234)
    assert (story.cells(Cell.CONVERSIONS), story.cells(Cell.CONVERSION_VALUE)) == (conversions, conversions * 1234)


def test_the_latest_exposure_converts_once() -> None:
    story = Story(policy({"one": campaign()}))
    show_and(story, T0)
    show_and(story, T0 + 1)
    story.event(T0 + 2, EventKind.PAYMENT, amount=1)
    story.event(T0 + 3, EventKind.PAYMENT, amount=1)  # the first exposure does not step in
    assert story.cells(Cell.CONVERSIONS) == 1


def test_first_use_is_the_first_payment_of_an_unused_card() -> None:
    rules = policy({"one": campaign(goal={"event": "first_use", "window": "1d"})})
    for flags, conversions in ((0, 1), (int(Flag.CARD_USED), 0)):
        story = Story(rules, marks=flags)
        show_and(story, T0)
        story.event(T0 + 1, EventKind.PAYMENT, amount=1)
        show_and(story, T0 + 2)
        story.event(T0 + 3, EventKind.PAYMENT, amount=1)
        assert story.cells(Cell.CONVERSIONS) == conversions


# --- Time -------------------------------------------------------------------------------------------------------------
def test_a_late_event_is_taken_at_the_latest_time() -> None:
    story = Story(policy({"one": campaign(frequency={"cool_down": "10s"})}))
    assert story.at(T0) is Reason.SHOWN
    answer = story.event(T0 - DAY_MS)
    assert (answer.late, answer.decision["late"], answer.decision["time_ms"]) == (True, 1, T0)
    assert answer.reasons == {0: Reason.COOL_DOWN}
    assert not story.event(T0).late


def test_tallies_count_candidates_and_decisions_by_day() -> None:
    story = Story(policy({"a": campaign(), "b": campaign(priority=1)}))
    story.event(T0)
    story.event(T0, EventKind.LOGIN)
    story.event(T0 + DAY_MS)
    assert story.engine.waterfall == {
        (20260304, 0, Reason.LOST_ARBITRATION): 1, (20260304, 1, Reason.SHOWN): 1,
        (20260305, 0, Reason.LOST_ARBITRATION): 1, (20260305, 1, Reason.SHOWN): 1,
    }  # fmt: skip
    assert story.engine.decisions_by_reason[20260304, Reason.NO_CANDIDATE] == 1


# --- Who may be addressed ---------------------------------------------------------------------------------------------
AGE_TABLE = """
now                        birth_date  purpose     reason
2026-04-11 23:59:59.999    20080412    activation  MINOR
2026-04-12 00:00           20080412    activation  SHOWN
2026-04-11 23:59:59.999    20080412    service     SHOWN
2026-02-28 12:00           20080229    activation  MINOR
2026-03-01 00:00           20080229    activation  SHOWN    # born on a 29 February: of age on 1 March
2026-03-04 12:00           0           activation  SHOWN    # unknown: the formula makes nobody a minor
"""


@pytest.mark.parametrize("row", told(AGE_TABLE), ids="-".join)
def test_minors(row: list[str]) -> None:
    now, birth_date, purpose, reason = row
    story = Story(policy({"one": campaign(purpose=purpose)}), birth_date=int(birth_date))
    assert story.at(ms(now)) is Reason[reason]


def test_likely_minors_and_blocked_customers() -> None:
    rules = policy({"one": campaign(), "two": campaign(purpose="service")})
    assert Story(rules, marks=int(Flag.LIKELY_MINOR)).event(T0).reasons == {0: Reason.MINOR, 1: Reason.SHOWN}
    assert Story(rules, marks=int(Flag.BLOCKED)).event(T0).reasons == {0: Reason.BLOCKED, 1: Reason.BLOCKED}


@pytest.mark.parametrize("channel", ["push", "sms", "email", "voice"])
def test_consent(channel: str) -> None:
    story, number = Story(policy({"one": campaign(channel=channel)}), consent=0), Channel[channel.upper()]
    assert story.at(T0) is Reason.NO_CONSENT
    story.event(T0, EventKind.CONSENT_GIVEN, channel=number)
    assert story.at(T0) is Reason.SHOWN
    story.event(T0, EventKind.CONSENT_WITHDRAWN, channel=number)
    assert story.at(T0) is Reason.NO_CONSENT


PERSONAL = [
    ("audience", "age >= 18"), ("audience", "young"), ("audience", "tag.a"), ("when", "age >= 18"), ("when", "young"),
    ("when", "tag.a"), ("when", "not (page == 'home' and 5.00 < balance)"), ("when", "amount > balance"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "text"), PERSONAL)
def test_personalisation_off_refuses_what_reads_the_customer(field: str, text: str) -> None:
    personal = campaign(audience=text) if field == "audience" else campaign(trigger={"on": "page_view", "when": text})
    page = campaign(trigger={"on": "page_view", "when": "page != 'balance' and page in [pay, home]"})
    rules = policy({"one": personal, "two": page}, segments={"young": "age < 25"})
    story = Story(rules)
    story.event(T0, EventKind.PERSONALISATION_OFF)
    assert story.event(T0).reasons == {0: Reason.PERSONALISATION_OFF, 1: Reason.SHOWN}
    story.event(T0, EventKind.PERSONALISATION_ON)
    assert story.event(T0).reasons[0] is not Reason.PERSONALISATION_OFF


def test_customers_with_personalisation_off_are_other_and_ranked_alike() -> None:
    generous = {"everyone": {"shown": "50%", "otherwise": "0%"}}
    rules = policy({"a": campaign(response_by_segment=generous), "b": campaign(value="11.00")},
                   segments={"everyone": "age >= 0"})  # fmt: skip
    story = Story(rules)
    assert story.event(T0).decision["campaign"] == 0
    story.event(T0, EventKind.PERSONALISATION_OFF)
    assert story.event(T0).decision["campaign"] == 1
    assert {(key[1], key[3]) for key in story.engine.cells} == {(0, 0), (1, 1)}


def test_bulletin() -> None:
    story = Story(policy({"one": campaign()}))
    on, off, free = np.ones(1, np.int8), np.zeros(1, np.int8), np.zeros(1, np.int64)
    for bulletin, reason in (
        (Bulletin(off, on, on, free), Reason.PAUSED), (Bulletin(on, off, on, free), Reason.OUT_OF_STOCK),
        (Bulletin(on, on, off, free), Reason.BUDGET), (Bulletin(on, on, on, free), Reason.SHOWN),
    ):  # fmt: skip
        story.bulletin = bulletin
        assert story.at(T0) is reason


@pytest.mark.parametrize(
    ("now", "reason"),
    [("2026-03-03 23:59:59.999", "OUTSIDE_WINDOW"), ("2026-03-04 00:00", "SHOWN"),
     ("2026-03-05 23:59:59.999", "SHOWN"), ("2026-03-06 00:00", "OUTSIDE_WINDOW")],
)  # fmt: skip
def test_campaign_window(now: str, reason: str) -> None:
    window = {"from": "2026-03-04", "until": "2026-03-06"}
    assert Story(policy({"one": campaign(window=window)})).at(ms(now)) is Reason[reason]


def test_moments_call_their_campaigns() -> None:
    moments = {"first": {"monthly": 1, "at": "10:00"}, "second": {"weekly": "monday", "at": "10:00"}}
    story = Story(policy({"one": campaign(trigger={"on": "moment", "moment": "second"})}, moments=moments))
    reasons = [story.at(T0, EventKind.MOMENT, moment=number, page=NONE) for number in (0, 1, NONE)]
    assert reasons == [Reason.NO_CANDIDATE, Reason.SHOWN, Reason.NO_CANDIDATE]


# --- Arbitration ------------------------------------------------------------------------------------------------------
ARBITRATION = [
    ({"priority": 1, "value": "0.00"}, {"value": "99.00"}, {}, 0),  # priority goes first
    ({}, {"value": "10.01"}, {}, 1),
    ({}, {}, {}, 0),  # equal: the first declared
    ({"response": {"shown": "9%", "otherwise": "8.5%"}}, {}, {}, 1),
    ({"response": {"shown": "9%", "otherwise": "8.5%"}}, {}, {"by": "response"}, 0),
    ({"value": "11.00"}, {"channel": "inbox"}, {}, 0),
    ({"value": "11.00"}, {"channel": "inbox"}, {"price_of_attention": "0.01"}, 0),  # 0.11 − 0.01 = 0.10: declared first
    ({"value": "11.00"}, {"channel": "inbox"}, {"price_of_attention": "0.02"}, 1),
]


@pytest.mark.parametrize(("first", "second", "ranking", "winner"), ARBITRATION)
def test_arbitration(first: dict[str, Any], second: dict[str, Any], ranking: dict[str, Any], winner: int) -> None:
    rules = policy({"a": campaign(**first), "b": campaign(**second)}, ranking=ranking)
    assert Story(rules).event(T0).decision["campaign"] == winner


@pytest.mark.parametrize(("price", "winner"), [(9_999_999, 0), (10_000_000, 0), (10_000_001, 1)])
def test_pacing_price_is_millionths_of_cost(price: int, winner: int) -> None:
    rules = policy({"a": campaign(value="20.00", cost="0.01"), "b": campaign(value="10.00")})  # 20 fen - price = 10 fen
    story = Story(rules)
    ones = np.ones(2, np.int8)
    story.bulletin = Bulletin(ones, ones, ones, np.array([price, price], np.int64))
    assert story.event(T0).decision["campaign"] == winner


# --- Facts and conditions ---------------------------------------------------------------------------------------------
CONDITION_TABLE = """
text                                       holds
amount == 50.00                            1
amount > 49.99 and amount < 50.01          1
0.29 < amount <= 50                        1
amount >= 50.01                            0
amount > balance                           1
balance == -1.50                           1
page == 'balance' and page == balance      1
page in ['home', pay]                      0
page not in ['home', 'pay']                1
city == home_city                          0
city == 'xian' and home_city != "xian"     1
tier == gold and tier != 'standard'        1
gender == 'male' and not gender == female  1
weekday == 'wednesday' and weekday == 3    1
hour == 12 and day_of_month == 4           1
dwell >= '5s'                              1
dwell > '5s' or dwell < '1min' and age > 99  0
card_active and not card_used              1
tag.b and not tag.a                        1
rich or high_risk                          0
not rich                                   1
age == 35                                  1
days_since_purchase > 100000               1
points == 0 and points_expire_in == 1000000  1
r_score == 1 and f_score == 1              1
"""


@pytest.mark.parametrize("row", told(CONDITION_TABLE), ids=lambda row: row[0])
def test_conditions(row: list[str]) -> None:
    segments = {"rich": "balance >= 1000.00", "high_risk": "high_risk"}
    rules = policy({"one": campaign(trigger={"on": "page_view", "when": row[0]})}, segments=segments)
    story = Story(rules, balance=-150, tier=1, gender=1, marks=int(Flag.CARD_ACTIVE), tags=2, home_city=NONE)
    reason = story.at(T0, amount=5000, page=1, city=1, dwell_ms=5000)
    assert reason is (Reason.SHOWN if row[1] == "1" else Reason.CONDITION)


def test_facts_are_folded_before_conditions_but_the_log_in_waits() -> None:
    paying = campaign(trigger={"on": "payment"}, audience="balance == 5.00 and points == 5 and purchases_13w == 1")
    login = campaign(trigger={"on": "login"}, audience="days_since_login == 2")
    rules = policy({"pay": paying, "login": login})
    story = Story(rules, balance=1099, points_expire_ms=T0 + DAY_MS, login_ms=T0 - 2 * DAY_MS)
    assert story.at(T0, EventKind.PAYMENT, amount=599) is Reason.SHOWN
    assert story.at(T0, EventKind.LOGIN) is Reason.SHOWN
    assert story.at(T0, EventKind.LOGIN) is Reason.NOT_IN_AUDIENCE


def test_thirteen_calendar_weeks() -> None:
    story = Story(policy({"one": campaign(audience="purchases_13w == 1 and spend_13w == 1.00")}))
    story.event(ms("2026-03-08 23:59"), EventKind.PAYMENT, amount=100)
    assert story.at(ms("2026-05-31 23:59:59.999")) is Reason.SHOWN  # the twelfth week after
    assert story.at(ms("2026-06-01 00:00")) is Reason.NOT_IN_AUDIENCE


def test_week_slots_saturate() -> None:
    purchases, spend = [127] * 13, [2**31 - 2] * 13
    story = Story(policy({"one": campaign()}), week_purchases=purchases, week_spend=spend)
    story.event(T0, EventKind.PAYMENT, amount=100)
    assert max(story.engine.customers[7]["week_purchases"]) == 127
    assert sum(story.engine.customers[7]["week_spend"]) == sum(spend) + 1


@pytest.mark.parametrize(
    ("after_ms", "condition"),
    [(-1, "points == 9 and points_expire_in == 0"), (0, "points == 0 and points_expire_in == 1000000"),
     (-DAY_MS, "points_expire_in == 1"), (-DAY_MS + 1, "points_expire_in == 0")],
)  # fmt: skip
def test_points_expire(after_ms: int, condition: str) -> None:
    story = Story(policy({"one": campaign(audience=condition)}), points=9, points_expire_ms=T0)
    assert story.at(T0 + after_ms) is Reason.SHOWN


RFM_TABLE = """
days  purchases  spend   scores
0     0          0       4,1,1
14    1          9999    4,2,1
15    3          10000   3,2,2
45    4          49999   3,3,2
90    9          50000   2,3,3
91    10         200000  1,4,4
"""


@pytest.mark.parametrize("row", told(RFM_TABLE), ids="-".join)
def test_rfm_scores(row: list[str]) -> None:
    days, purchases, spend, scores = row
    r, f, m = scores.split(",")
    rfm = {"recency_days": [14, 45, 90], "frequency": [1, 4, 10], "monetary": ["100.00", "500.00", "2000.00"]}
    rules = policy({"one": campaign(audience=f"r_score == {r} and f_score == {f} and m_score == {m}")}, rfm=rfm)
    slots: dict[str, Any] = {"week_purchases": [int(purchases)] + [0] * 12, "week_spend": [int(spend)] + [0] * 12}
    assert Story(rules, purchase_ms=T0 - int(days) * DAY_MS, **slots).at(T0) is Reason.SHOWN


def test_condition_trees_are_parsed_once() -> None:
    conditions = Conditions(policy({"one": campaign()}))
    assert conditions.tree("age >= 18") is conditions.tree("age >= 18")


# --- Assignment -------------------------------------------------------------------------------------------------------
def test_mix64_is_the_finaliser_of_splitmix64() -> None:
    """First outputs of SplitMix64 seeded with 1234567 (Rosetta Code, Pseudo-random numbers/Splitmix64)."""
    golden, state, outputs = 0x9E3779B97F4A7C15, 1234567, []
    for _ in range(5):
        state = (state + golden) % 2**64
        outputs.append(mix64(state))
    assert outputs == [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
    ]  # fmt: skip


def test_buckets_are_even_and_depend_on_each_part() -> None:
    tenths = Counter(bucket("p/one", 0, customer) * 10 // SHARE_ONE for customer in range(20_000))
    assert set(tenths) == set(range(10))
    assert all(abs(count - 2_000) < 5 * 2_000**0.5 for count in tenths.values())
    assert len({bucket(salt, replication, who) for salt in "ab" for replication in (0, 1) for who in (0, 1)}) == 8


def test_arms_follow_cumulative_shares() -> None:
    arms = [{"name": f"a{n}", "share": share, "creative": CREATIVE} for n, share in enumerate(["20%", "30%", "50%"])]
    rules = policy({"one": {key: value for key, value in campaign(arms=arms).items() if key != "creative"}})
    for customer in range(200):
        place = bucket("p/one", 0, customer)
        assert Story(rules, customer).event(T0).decision["arm"] == (place >= 200_000) + (place >= 500_000)


# --- Random traffic ---------------------------------------------------------------------------------------------------
EVENTS, POLICIES, CUSTOMERS, EVENTS_PER_BULLETIN = 20_000, 20, 20, 100


def run(seed: int, events: int) -> tuple[Reference, Counter[Reason]]:
    """One random policy against interactive traffic; reasons of candidates and NO_CANDIDATE."""
    rng = Random(seed)
    rules = random_policy(rng)
    slots, customers = random_slots(rng, rules), random_customers(rng, CUSTOMERS, rules)
    engine, traffic = Reference(rules, slots, replication=seed), Traffic(rules, slots, customers)
    for row in range(CUSTOMERS):
        engine.add(row, customers[row])
    reasons: Counter[Reason] = Counter()
    for number in range(events):
        if number % EVENTS_PER_BULLETIN == 0:
            bulletin = random_bulletin(rng, max(slots.values()) + 1)
        answer = engine.decide(traffic.next_event(rng), bulletin)
        traffic.observe(answer.decision, answer.ghosts)
        reasons.update(answer.reasons.values() or [Reason.NO_CANDIDATE])
    return engine, reasons


@pytest.fixture(scope="module")
def runs() -> list[tuple[Reference, Counter[Reason]]]:
    return [run(seed, EVENTS // POLICIES) for seed in range(POLICIES)]


def test_traffic_reaches_every_reason(runs: list[tuple[Reference, Counter[Reason]]]) -> None:
    total = sum((reasons for _, reasons in runs), Counter[Reason]())
    assert {reason.name: total[reason] for reason in Reason if total[reason] < 50} == {}


def test_traffic_reaches_every_cell_and_the_rings_end(runs: list[tuple[Reference, Counter[Reason]]]) -> None:
    total: Counter[Cell] = Counter()
    for engine, _ in runs:
        for key, count in engine.cells.items():
            total[key[-1]] += count
    assert {cell.name: total[cell] for cell in Cell if total[cell] < 50} == {}
    assert max(customer["exposures"] for engine, _ in runs for customer in engine.customers.values()) > RING


def test_tallies_agree_with_the_rings(runs: list[tuple[Reference, Counter[Reason]]]) -> None:
    for engine, reasons in runs:
        exposures = [exposure for customer in engine.customers.values() for exposure in customer["ring"]]
        counted = Counter(key[-1] for key in engine.cells.elements())
        assert counted[Cell.EXPOSURES] == sum(not exposure["ghost"] for exposure in exposures) == reasons[Reason.SHOWN]
        assert counted[Cell.GHOSTS] == sum(exposure["ghost"] for exposure in exposures) == reasons[Reason.HELD_OUT]
        assert sum(engine.decisions_by_reason.values()) == EVENTS // POLICIES
        assert sum(engine.waterfall.values()) == sum(reasons.values()) - reasons[Reason.NO_CANDIDATE]


def test_a_seed_repeats_itself() -> None:
    (first, _), (second, _) = run(3, 300), run(3, 300)
    assert first.waterfall == second.waterfall
    assert first.cells == second.cells
    assert first.customers == second.customers


def test_events_without_an_engine() -> None:
    rng = Random(1)
    rules = random_policy(rng)
    customers = random_customers(rng, 5, rules)
    events = random_events(rng, customers, rules, 500)
    assert events.dtype == EVENT
    assert (np.diff(events["time_ms"]) < 0).any()
    assert (events["time_ms"] >= int(customers["latest_ms"].min()) - 4 * DAY_MS).all()
    assert np.ptp(events["time_ms"]) > SECOND_MS
