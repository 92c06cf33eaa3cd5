"""Policy documents: every way to break one, with the exact sentence it earns and the line it names."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from engine.policy import quantities
from engine.policy.campaign import Campaign, Window
from engine.policy.document import Policy
from engine.policy.quantities import Block, Scalar
from engine.policy.schema import policy_schema
from engine.policy.yaml_source import DOCUMENT_BYTES_MAX, DocumentError, Source, load, load_text, read_text

PRESET = Path(__file__).parents[2] / "scenarios/library/policies/bank_card.yaml"

BASE = """\
policy: shop
time_zone: Asia/Shanghai
provider: Example Bank
names:
  pages: [home, bill, pay]
  cities: [beijing, wuhan]
  tags: [opinion_leader]
  topics: [bill, offers]
rfm:
  recency_days: [14, 45]
  frequency: [1, 4]
  monetary: [100.00, 500.00]
segments:
  dormant: days_since_purchase >= 60
  valuable: m_score >= 3
moments:
  bill_day: {monthly: 1, at: "10:00"}
protected_pages: [pay]
fatigue:
  caps: [{most: 2, per: day}]
  back_off: {closes: 3, rest: 7d, rest_max: 28d}
campaigns:
  spring:
    purpose: activation
    topic: offers
    window: {from: 2026-03-01, until: 2026-04-01}
    audience: dormant and balance < 50.00
    trigger: {on: page_view, pages: [home], when: page == home, dwell: 5s}
    goal: {event: payment, window: 14d}
    value: 30.00
    reward: 20.00
    response: {shown: 1.2%, otherwise: 0.5%}
    response_by_segment:
      valuable: {shown: 1.5%, otherwise: 0.6%}
    frequency: {caps: [{most: 4, per: 14d}], cool_down: 24h}
    holdout: {share: 50%, sees: nothing}
    arms:
      - name: red
        share: 50%
        creative: {colour: red, text: "20 off", ad_label: true, close: {visible: true, taps: 1, countdown: 0s}}
      - name: blue
        share: 50%
        creative: {colour: blue, text: "20 off", ad_label: true, close: {visible: true, taps: 1, countdown: 0s}}
  bill_ready:
    purpose: service
    topic: bill
    channel: push
    trigger: {on: moment, moment: bill_day}
    goal: {event: bill_viewed, window: 3d}
    response: {shown: 8%, otherwise: 5%}
    creative: {style: plain, text: "Your bill is ready", opt_out: "Settings"}
"""
LIST = (
    "policy, time_zone, provider, names, rfm, segments, moments, protected_pages, adult_age, fatigue, ranking,"
    " universal_holdout, budgets, coupons, fraud, breakers, lint, campaigns"
)


def problems(text: str) -> list[str]:
    """What loading says of a text; [] if it is right."""
    try:
        load_text(text, "shop.yaml", Policy)
    except DocumentError as error:
        return [problem.removeprefix("shop.yaml:") for problem in error.problems]
    return []


def edited(text: str, *edits: tuple[str, str]) -> str:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def test_the_base_and_the_preset_are_right() -> None:
    assert problems(BASE) == []
    policy = load(PRESET, Policy)
    first_use = policy.campaigns["first_use"]
    assert (first_use.value, first_use.reward, first_use.cost) == (3000, 2000, 0)
    assert (first_use.response.shown, first_use.response.otherwise) == (12_000_000, 5_000_000)
    assert first_use.holdout is not None and first_use.holdout.share == 500_000
    assert first_use.goal.window == 14 * 86_400_000
    assert policy.moments["bill_day"].at == 600
    assert policy.fatigue.back_off is not None and policy.fatigue.back_off.rest_max == 28 * 86_400_000
    assert policy.fatigue.quiet_hours is not None and policy.fatigue.quiet_hours.from_ == 22 * 60


def test_units() -> None:
    spring = load_text(BASE, "shop.yaml", Policy).campaigns["spring"]
    assert spring.window.from_ == date(2026, 3, 1)
    assert spring.frequency.caps[0].per == 14 * 86_400_000
    assert spring.trigger.dwell == 5000
    assert spring.channel == "popup"


# One edit (old → new) of BASE each, and everything that is then said.
BROKEN: list[tuple[str, str, list[str]]] = [
    # --- fields -------------------------------------------------------------------------------------------------------
    ("most: 4", "most: 0", ["35: campaigns.spring.frequency.caps[0].most must be >= 1 (got 0)"]),
    ("most: 4", "most: 1001", ["35: campaigns.spring.frequency.caps[0].most must be <= 1000 (got 1001)"]),
    ("most: 4", "most: -1", ["35: campaigns.spring.frequency.caps[0].most must be >= 0 (got -1)"]),
    (
        "per: 14d",
        "per: fortnight",
        [
            ("35: campaigns.spring.frequency.caps[0].per must be day, week, month or a duration like 24h"
            " (got fortnight)")
        ],
    ),
    ("per: 14d", "per: 0s", ["35: campaigns.spring.frequency.caps[0].per must be longer than 0s (got 0s)"]),
    ("window: 14d", "window: 0s", ["29: campaigns.spring.goal.window must be >= 1ms (got 0s)"]),
    ("window: 14d", "window: 5000d", ["29: campaigns.spring.goal.window must be <= 3660d (got 5000d)"]),
    (
        "window: 14d",
        "window: 2 weeks",
        ["29: campaigns.spring.goal.window must be a duration like 500ms, 5s, 10min, 24h, 3d or 2w (got 2 weeks)"],
    ),
    ("value: 30.00", "value: 30.005", [
        "30: campaigns.spring.value must be a plain number of yuan, like 20.00 (got 30.005)"
    ]),
    ("value: 30.00", "value: 1000000.01", ["30: campaigns.spring.value must be <= 1000000.00 (got 1000000.01)"]),
    ("value: 30.00", "value: -3", ["30: campaigns.spring.value must be >= 0 (got -3)"]),
    ("value: 30.00", "value: [30]", [
        "30: campaigns.spring.value must be a plain number of yuan, like 20.00 (got a list)"
    ]),
    ("shown: 8%", "shown: 8", ["50: campaigns.bill_ready.response.shown must be a response like 1.2% (got 8)"]),
    ("shown: 8%", "shown: 101%", ["50: campaigns.bill_ready.response.shown must be <= 100% (got 101%)"]),
    ("{share: 50%, sees", "{share: 50.00001%, sees", [
        "36: campaigns.spring.holdout.share must be a share like 5% or 0.5% (got 50.00001%)"
    ]),
    ("until: 2026-04-01", "until: 2026-02-30", [
        "26: campaigns.spring.window.until must be a date of the calendar (got 2026-02-30)"
    ]),
    ("until: 2026-04-01", "until: April", [
        "26: campaigns.spring.window.until must be a date like 2026-11-01 (got April)"
    ]),
    ('at: "10:00"', "at: 24:00", ["17: moments.bill_day.at must be a time of day like 08:00 (got 24:00)"]),
    ("monthly: 1", "monthly: 29", ["17: moments.bill_day.monthly must be <= 28 (got 29)"]),
    (
        "channel: push",
        "channel: pusch",
        [
            ("47: campaigns.bill_ready.channel must be one of popup, push, sms, email, voice, inbox, carousel,"
            " campaign_page (got pusch)")
        ],
    ),
    (
        "frequency: {caps",
        "freqency: {caps",
        [
            ("35: campaigns.spring.freqency must not be here (did you mean 'frequency'? known: purpose, topic, channel,"
            " window, audience, trigger, goal, priority, value, reward, coupon, issue, cost, budget, response,"
            " response_by_segment, frequency, remind_after, holdout, salt, creative, arms)")
        ],
    ),
    (
        "window: {from: 2026-03-01",
        "window: {from_: 2026-03-01",
        ["26: campaigns.spring.window.from_ must not be here (did you mean 'from'? known: from, until)"],
    ),
    ("    topic: bill\n", "", ["44: campaigns.bill_ready.topic must be given"]),
    ("time_zone", "timezone", [
        "1: time_zone must be given",
        f"2: timezone must not be here (did you mean 'time_zone'? known: {LIST})",
    ]),
    (
        "  back_off:",
        "  channels: {pop_up: {}}\n  back_off:",
        [
            ("21: fatigue.channels.pop_up must be one of popup, push, sms, email, voice, inbox, carousel, campaign_page"
            " (got pop_up)")
        ],
    ),
    ("names:\n", "names: [home]\nname:\n", [
        "4: names must be a block of fields (got a list)",
        f"5: name must not be here (did you mean 'names'? known: {LIST})",
    ]),
    ("  caps: [{most: 2, per: day}]", "  caps: {most: 2, per: day}", [
        "20: fatigue.caps must be a list (got a block of fields)"
    ]),
    ("caps: [{most: 2, per: day}]", "caps: [2 a day]", ["20: fatigue.caps[0] must be a block of fields (got 2 a day)"]),
    ("  back_off: {", "  back_off:\n  quiet_hours: {", [
        "21: fatigue.back_off must be a block of fields (got nothing)",
        "22: fatigue.quiet_hours.from must be given",
        "22: fatigue.quiet_hours.until must be given",
        *(
            f"22: fatigue.quiet_hours.{name} must not be here (known: from, until)"
            for name in ("closes", "rest", "rest_max")
        ),
    ]),
    ("caps: [{most: 2, per: day}]", "caps: [" + "{most: 2, per: day}, " * 5 + "]", [
        "20: fatigue.caps must have at most 4 entries (got 5)"
    ]),
    ("pages: [home, bill, pay]", "pages: []", ["5: names.pages must have at least 1 entry (got 0)"]),
    ("policy: shop", "policy: My Shop", [
        "1: policy must be a name of small letters, digits and _, starting with a letter (got My Shop)"
    ]),
    ("policy: shop", "policy: " + "s" * 61, [f"1: policy must be a name of at most 60 letters (got {'s' * 59}…)"]),
    ("provider: Example Bank", "provider:", ["3: provider must be text (got nothing)"]),
    # --- between fields -----------------------------------------------------------------------------------------------
    ("Asia/Shanghai", "Asia/Shangai", ["2: time_zone must be a time zone like Asia/Shanghai (got Asia/Shangai)"]),
    ("Asia/Shanghai", "../etc/passwd", ["2: time_zone must be a time zone like Asia/Shanghai (got ../etc/passwd)"]),
    ("pages: [home]", "pages: [hom]", [
        ("28: campaigns.spring.trigger.pages[0] must be one of names.pages: home, bill, pay (got hom, did"
        " you mean home?)")
    ]),
    ("protected_pages: [pay]", "protected_pages:\n  - pay\n  - cart", [
        "20: protected_pages[1] must be one of names.pages: home, bill, pay (got cart)"
    ]),
    ("protected_pages: [pay]", "protected_pages: [pay, pay]", [
        "18: protected_pages[1] must be given once (got pay again)"
    ]),
    ("topic: offers", "topic: offer", [
        "25: campaigns.spring.topic must be one of names.topics: bill, offers (got offer, did you mean offers?)"
    ]),
    ("  topics: [bill, offers]\n", "", [
        "24: campaigns.spring.topic must be one of names.topics, which has none (got offers)",
        "45: campaigns.bill_ready.topic must be one of names.topics, which has none (got bill)",
    ]),
    ("moment: bill_day", "moment: billday", [
        "48: campaigns.bill_ready.trigger.moment must be one of moments: bill_day (got billday, did you mean bill_day?)"
    ]),
    ("{on: moment, moment: bill_day}", "{on: moment}", [
        "48: campaigns.bill_ready.trigger.moment must be given with on: moment (got nothing)"
    ]),
    ("{on: moment, moment", "{on: login, moment", [
        "48: campaigns.bill_ready.trigger.moment must be given only with on: moment (got on: login)"
    ]),
    ("{on: moment, moment", "{on: moment, pages: [home], moment", [
        "48: campaigns.bill_ready.trigger.pages must be given only with events that happen on a page (got on: moment)"
    ]),
    ("on: page_view", "on: balance_query", [
        "28: campaigns.spring.trigger.dwell must be given only with on: page_view (got on: balance_query)"
    ]),
    ("pages: [home],", "pages: [home, home],", [
        "28: campaigns.spring.trigger.pages[1] must be given once (got home again)"
    ]),
    ("{monthly: 1,", "{monthly: 1, weekly: monday,", [
        "17: moments.bill_day must have exactly one of monthly, weekly, on (got monthly and weekly)"
    ]),
    ("{monthly: 1,", "{", ["17: moments.bill_day must have exactly one of monthly, weekly, on (got none of them)"]),
    ('    creative: {style: plain, text: "Your bill is ready", opt_out: "Settings"}\n', "", [
        "44: campaigns.bill_ready must have either creative or arms (got neither)"
    ]),
    ("    arms:\n", '    creative: {text: "20 off", ad_label: true, close: {}}\n    arms:\n', [
        "23: campaigns.spring must have either creative or arms (got both)"
    ]),
    ("        share: 50%\n", "        share: 40%\n", [
        "37: campaigns.spring.arms must have shares that sum to 100% (got 90%)"
    ]),
    ("name: blue", "name: red", ["41: campaigns.spring.arms[1].name must be a name of its own (got red again)"]),
    ("      valuable: {", "      active: {", [
        "34: campaigns.spring.response_by_segment.active must be one of segments: dormant, valuable (got active)"
    ]),
    ("until: 2026-04-01", "until: 2026-03-01", [
        "26: campaigns.spring.window.until must be after from, 2026-03-01 (got 2026-03-01)"
    ]),
    ("monetary: [100.00, 500.00]", "monetary: [500.00, 100.00]", [
        "12: rfm.monetary[1] must be more than the one before, 500.00 (got 100.00)"
    ]),
    ("  frequency: [1, 4]", "  frequency: [4, 4]", [
        "11: rfm.frequency[1] must be more than the one before, 4 (got 4)"
    ]),
    ("recency_days: [14, 45]", "recency_days: [14, 9]", [
        "10: rfm.recency_days[1] must be more than the one before, 14 (got 9)"
    ]),
    ("rest_max: 28d", "rest_max: 36h", ["21: fatigue.back_off.rest_max must be >= rest, 7d (got 36h)"]),
    ("cities: [beijing, wuhan]", "cities: [wuhan, wuhan]", ["6: names.cities[1] must be given once (got wuhan again)"]),
    ("  tags: [opinion_leader]", "  tags: [age, class, tag, x, x]\n  tiers: [a, a]", [
        "7: names.tags[4] must be given once (got x again)",
        "7: names.tags[0] must not be named like a fact of conditions (got age)",
        "7: names.tags[1] must not be named like a word of conditions (got class)",
        "7: names.tags[2] must not be named like a fact of conditions (got tag)",
        "8: names.tiers[1] must be given once (got a again)",
    ]),
    ("topics: [bill, offers]", "topics: [bill, offers, bill]", [
        "8: names.topics[2] must be given once (got bill again)"
    ]),
    ("pages: [home, bill, pay]", "pages: [home, bill, pay, home]", [
        "5: names.pages[3] must be given once (got home again)"
    ]),
    ("  valuable: m", "  balance: age < 9\n  not: age < 9\n  other: age < 9\n  high_risk: high_risk\n  valuable: m", [
        "15: segments.balance must not be named like a fact of conditions (got balance)",
        "16: segments.not must not be named like a word of conditions (got not)",
        "17: segments.other must not be named other: that is whoever fits no segment (got other)",
    ]),
    # --- conditions ---------------------------------------------------------------------------------------------------
    ("audience: dormant and balance", "audience: sleepy and balance", [
        ("27: campaigns.spring.audience must be a condition: unknown name 'sleepy' (known: page, city, amount, hour,"
        " weekday, day_of_month, dwell, age, gender, home_city, tier, card_active, card_used, high_risk, balance,"
        " points, points_expire_in, days_since_joined, days_since_login, days_since_purchase, purchases_13w, spend_13w,"
        " purchases, r_score, f_score, m_score, dormant, valuable, tag.opinion_leader)"
        " (got sleepy and balance < 50.00)")
    ]),
    ("when: page == home", "when: page == cart", [
        ("28: campaigns.spring.trigger.when must be a condition: cart is not one of the pages (home, bill, pay)"
        " (got page == cart)")
    ]),
    ("dormant: days_since_purchase >= 60", "dormant: days_since_purchas >= 60", [  # and not where dormant is named
        ("14: segments.dormant must be a condition: unknown name 'days_since_purchas' (did you mean"
        " 'days_since_purchase'?) (got days_since_purchas >= 60)")
    ]),
    # --- the law ------------------------------------------------------------------------------------------------------
    ("ad_label: true, ", "", [
        ("40: campaigns.spring.arms[0].creative.ad_label must be true: a pop-up of purpose activation is"
        " an advertisement"
        " (got false)")
    ]),
    ("purpose: activation", "purpose: education", []),
    ("ad_label: true, close: {visible: true, taps: 1, countdown: 0s}", "ad_label: true, remind_later: true", [
        "40: campaigns.spring.arms[0].creative.close must be given: a pop-up has a visible close (got nothing)"
    ]),
    ("visible: true, taps: 1, countdown: 0s", "visible: false, taps: 2, countdown: 3s", [
        "40: campaigns.spring.arms[0].creative.close.visible must be true: a pop-up has a visible close (got false)",
        "40: campaigns.spring.arms[0].creative.close.taps must be 1: one tap closes a pop-up (got 2)",
        "40: campaigns.spring.arms[0].creative.close.countdown must be 0s: a pop-up closes without a wait (got 3s)",
    ]),
    (', opt_out: "Settings"', "", [
        "51: campaigns.bill_ready.creative.opt_out must be given: a message by push says how to stop them (got nothing)"
    ]),
    ('channel: push', 'channel: popup', []),
    ('"Settings"}', '"Settings", remind_later: true}', [
        "51: campaigns.bill_ready.creative.close must be given: remind_later never replaces the close (got nothing)"
    ]),
    ("    topic: bill\n", "    topic: bill\n    reward: 5.00\n", [
        "47: campaigns.bill_ready.reward must be 0 on a service message: minors see it too (got 5.00)"
    ]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "expected"), BROKEN, ids=[f"{old[:30]} -> {new[:30]}" for old, new, _ in BROKEN]
)
def test_broken(old: str, new: str, expected: list[str]) -> None:
    assert problems(edited(BASE, (old, new))) == expected


def test_all_at_once() -> None:
    """Broken fields, broken names and broken law in one go; what leans on a broken field says nothing."""
    text = edited(
        BASE,
        ("Asia/Shanghai", "Mars"),
        ("recency_days: [14, 45]", "recency_days: [14, x]"),  # hides nothing of the rest of rfm
        ("monetary: [100.00, 500.00]", "monetary: [500.00, 100.00]"),
        ("purpose: activation", "purpose: spam"),  # so that nobody knows whether ad_label is due
        ("topic: offers", "topic: offer"),
        ("ad_label: true, ", ""),
        ("name: blue", "name: red"),
        ("        share: 50%\n", "        share: half\n"),  # so that nobody knows what the shares sum to
        ("moment: bill_day", "moment: payday"),
        (', opt_out: "Settings"', ""),
    )
    assert problems(text) == [
        "2: time_zone must be a time zone like Asia/Shanghai (got Mars)",
        "10: rfm.recency_days[1] must be a plain number without decimals, like 3 (got x)",
        "12: rfm.monetary[1] must be more than the one before, 500.00 (got 100.00)",
        (
            "24: campaigns.spring.purpose must be one of activation, transaction, churn_prevention, education, service"
            " (got spam)"
        ),
        "25: campaigns.spring.topic must be one of names.topics: bill, offers (got offer, did you mean offers?)",
        "39: campaigns.spring.arms[0].share must be a share like 5% or 0.5% (got half)",
        "41: campaigns.spring.arms[1].name must be a name of its own (got red again)",
        "48: campaigns.bill_ready.trigger.moment must be one of moments: bill_day (got payday)",
        (
            "51: campaigns.bill_ready.creative.opt_out must be given: a message by push says how to stop them"
            " (got nothing)"
        ),
    ]


def test_a_broken_name_hides_nothing_of_the_others() -> None:
    text = edited(BASE, ("  bill_ready:", "  no:"), ("topic: offers", "topic: offer"), ("per: day", "per: dai"))
    assert problems(text) == [
        "20: fatigue.caps[0].per must be day, week, month or a duration like 24h (got dai)",
        "25: campaigns.spring.topic must be one of names.topics: bill, offers (got offer, did you mean offers?)",
        "44: campaigns.no must be text: put it in quotes (got no)",
    ]


def test_a_broken_condition_is_told_where_it_stands_and_not_where_it_is_used() -> None:
    text = edited(BASE, ("dormant: days_since_purchase", "dormant: days"), ("m_score >= 3", "m_score >= 3 and dormant"))
    assert [problem.split(" must")[0] for problem in problems(text)] == ["14: segments.dormant"]


def test_a_broken_list_of_names_accuses_nobody_who_uses_it() -> None:
    text = edited(
        BASE, ("pages: [home, bill, pay]", "pages: [Home, bill, pay]"), ("valuable: m_score >= 3", "valuable:")
    )
    assert problems(text) == [
        "5: names.pages[0] must be a name of small letters, digits and _, starting with a letter (got Home)",
        "15: segments.valuable must be text (got nothing)",
    ]


# What YAML 1.1 (or a spreadsheet) reads as something else. Position, trap, what is said.
NEEDS_QUOTES = ["no", "Yes", "on", "OFF", "y", "012", "1e5", "1.5", "2026-11-01", "12:30", "0x1F", "1_000", "~", "null",
                ".inf", "True", "-3", "0o17"]  # fmt: skip
TRAPS = [
    *((f"provider: {trap}", ("provider: Example Bank",), f"3: provider must be text: put it in quotes (got {trap})")
      for trap in NEEDS_QUOTES),
    *((f"  {trap}:\n    purpose: service", ("  bill_ready:\n    purpose: service",),
       f"44: campaigns.{trap} must be text: put it in quotes (got {trap})") for trap in NEEDS_QUOTES if trap != "~"),
    ("cities: [beijing, no]", ("cities: [beijing, wuhan]",),
     "6: names.cities[1] must be text: put it in quotes (got no)"),
    ("topic: on", ("topic: bill",), "46: campaigns.bill_ready.topic must be text: put it in quotes (got on)"),
    *((f"most: {trap}", ("most: 4",), ("35: campaigns.spring.frequency.caps[0].most must be a plain number without"
       f" decimals, like 3 (got {trap})")) for trap in ("012", "1e5", "1_000", "0x1F", "4.0", "+4", "four", "٣")),
    *((f"value: {trap}", ("value: 30.00",), ("30: campaigns.spring.value must be a plain number of yuan, like 20.00"
       f" (got {trap})")) for trap in ("030", "3e1", "1_000", "0x1F", "30.", ".5", ".nan", "30元")),
    *((f"visible: {trap}", ("visible: true",), ("40: campaigns.spring.arms[0].creative.close.visible must be true or"
       f" false (got {trap})")) for trap in ("no", "yes", "on", "1", "True")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("new", "old", "expected"), TRAPS, ids=[f"{trap[0].split(chr(10))[0].strip()}" for trap in TRAPS]
)
def test_yaml_traps(new: str, old: tuple[str], expected: str) -> None:
    assert problems(edited(BASE, (old[0], new))) == [expected]


@pytest.mark.parametrize("trap", NEEDS_QUOTES)
def test_quotes_make_text_of_a_trap(trap: str) -> None:
    assert problems(edited(BASE, ("provider: Example Bank", f"provider: '{trap}'"))) == []


def test_names_that_only_look_like_traps() -> None:
    """`on` is a field of a trigger; a campaign may be called "no" where it is quoted; nothing is lost on the way."""
    assert problems(edited(BASE, ("  bill_ready:", '  "no":'))) == []
    text = edited(BASE, ("provider: Example Bank", "provider: |\n  Example\n  Bank"))
    assert load_text(text, "shop.yaml", Policy).provider == "Example\nBank\n"


# Texts that are no document at all.
UNREADABLE = [
    ("", "1: the document must be a block of fields (got nothing)"),
    ("# nothing yet\n", "1: the document must be a block of fields (got nothing)"),
    ("- a\n- b\n", "1: the document must be a block of fields (got a list)"),
    ("policy: shop\nnames:\n\tpages: [home]\n", "3: the document must be indented with spaces (got a tab)"),
    ("policy: shop: x\n", "1: the document must be YAML: mapping values are not allowed here (got policy: shop: x)"),
    ("policy: shop\n---\npolicy: shop\n", "2: the document must be one document (got a second one after ---)"),
    ("policy: *shop\n", "1: the document must be YAML: found undefined alias 'shop' (got policy: *shop)"),
    ("policy: shop\n\nx: a\x01b\n", "3: the document must be YAML: special characters are not allowed"),
    ("[" * 5000, "1: the document must not be nested without end"),
    ("a: [b\n", ("2: the document must be YAML: while parsing a flow sequence; expected ',' or ']', but got"
     " '<stream end>' (got nothing)")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), UNREADABLE, ids=[text[:20] for text, _ in UNREADABLE])
def test_unreadable(text: str, expected: str) -> None:
    assert problems(text) == [expected]


def test_repeated_and_strange_names() -> None:
    assert problems(
        edited(BASE, ("  valuable: m_score", "  dormant: r_score"), ("      valuable: {", "      dormant: {"))
    ) == ["15: segments.dormant must be given once (got it in lines 14 and 15)"]
    assert problems(edited(BASE, ("policy: shop", "policy: !name shop"))) == [
        "1: policy must not have a tag (got !name)"
    ]
    assert "1: the document must have names before its colons (got a list)" in problems("? [a]\n: b\n")
    assert "1: x[0] must not contain itself" in problems("x: &x [*x]\n")


def test_aliases_are_read_at_their_anchor() -> None:
    text = edited(BASE, ("{most: 2, per: day}", "&cap {most: 0, per: day}"), ("{most: 4, per: 14d}", "*cap"))
    assert problems(text) == [
        "20: fatigue.caps[0].most must be >= 1 (got 0)",
        "20: campaigns.spring.frequency.caps[0].most must be >= 1 (got 0)",
    ]
    text = edited(BASE, ("policy: shop", "policy: &name shop"), ("topic: bill", "topic: *name"))
    assert problems(text) == ["46: campaigns.bill_ready.topic must be one of names.topics: bill, offers (got shop)"]


def test_an_avalanche_of_aliases_is_stopped() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(DocumentError, match="must have at most 200000 values"):
        load_text("\n".join(lines), "shop.yaml", Policy)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"

    def sentence() -> str:
        with pytest.raises(DocumentError) as caught:
            load(path, Policy)
        return str(caught.value).removeprefix(str(path))

    assert sentence() == ": the document must be a file that exists (got no such file)"
    path.mkdir()
    assert sentence() == ": the document must be a file (got a folder)"
    path.rmdir()
    path.write_bytes("policy: shop\nprovider: 银行\n".encode("gb18030"))
    assert sentence() == ":2: the document must be UTF-8 text (got byte 0xd2)"
    path.write_bytes(b"#" * (DOCUMENT_BYTES_MAX + 1))
    assert sentence() == f": the document must have at most {DOCUMENT_BYTES_MAX} bytes (got more)"
    path.write_bytes(BASE.replace("\n", "\r\n").encode("utf-8-sig"))
    assert load(path, Policy) == load_text(BASE, "shop.yaml", Policy)


def test_problems_that_show_later_know_their_lines() -> None:
    source = read_text(BASE, "shop.yaml", Policy).source
    later = [("campaigns.spring.arms[1].share", "must …"), ("fatigue.back_off.repeat", "must …")]
    assert DocumentError.at(source, later).problems == [
        "shop.yaml:21: fatigue.back_off.repeat must …",
        "shop.yaml:42: campaigns.spring.arms[1].share must …",
    ]
    assert DocumentError.at("policy", [("a.b", "must …")]).problems == ["policy: a.b must …"]
    assert isinstance(source, Source) and source == "shop.yaml"


# --- Quantities -------------------------------------------------------------------------------------------------------
QUANTITIES: list[tuple[Any, str, Any]] = [
    (quantities.Money, "20.00", 2000),
    (quantities.Money, "0.5", 50),
    (quantities.Money, "1000000000.00", 100_000_000_000),
    (quantities.Money, "1000000000.01", "must be <= 1000000000.00 (got 1000000000.01)"),
    (quantities.Money, "-0.01", "must be >= 0 (got -0.01)"),
    (quantities.Duration, "0s", 0),
    (quantities.Duration, "500ms", 500),
    (quantities.Duration, "10min", 600_000),
    (quantities.Duration, "24h", 86_400_000),
    (quantities.Duration, "2w", 1_209_600_000),
    (quantities.Duration, "05s", "must be a duration like 500ms, 5s, 10min, 24h, 3d or 2w (got 05s)"),
    (quantities.Share, "0.5%", 5_000),
    (quantities.Share, "100%", 1_000_000),
    (quantities.Share, "0.0001%", 1),
    (quantities.Share, "100.1%", "must be <= 100% (got 100.1%)"),
    (quantities.Share, "-1%", "must be >= 0% (got -1%)"),
    (quantities.Response, "1.2%", 12_000_000),
    (quantities.Response, "0.0000001%", 1),
    (quantities.Count, "0", 0),
    (quantities.ClockTime, "23:59", 1439),
    (quantities.ClockTime, "8:00", "must be a time of day like 08:00 (got 8:00)"),
    (quantities.Date, "2028-02-29", date(2028, 2, 29)),
    (quantities.Date, "2027-02-29", "must be a date of the calendar (got 2027-02-29)"),
    (quantities.Per, "week", "week"),
    (quantities.Per, "36h", 129_600_000),
    (quantities.Number, "-1.5", -1.5),
    (quantities.Number, "0.243", 0.243),
    (quantities.Number, "1e3", "must be a plain number, like 0.25 (got 1e3)"),
    (quantities.Factor, "0.5", 0.5),
    (quantities.Factor, "0", "must be > 0 (got 0)"),
    (quantities.Truth, "true", True),
    (quantities.Truth, "yes", "must be true or false (got yes)"),
    (quantities.Identifier, "first_use", "first_use"),
    (quantities.Identifier, "", "must be a name of small letters, digits and _, starting with a letter (got nothing)"),
    (quantities.Text, "x" * 2001, "must be at most 2000 letters (got 2001 letters)"),
]


@pytest.mark.parametrize(("kind", "text", "expected"), QUANTITIES)
def test_quantities(kind: Any, text: str, expected: Any) -> None:
    for value in (text, Scalar(text, quoted=False)):
        if str(expected).startswith("must"):
            with pytest.raises(ValidationError) as caught:
                TypeAdapter(kind).validate_python(value)
            assert caught.value.errors()[0]["msg"] == expected
        else:
            result = TypeAdapter(kind).validate_python(value)
            assert (result, type(result)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("name", "text"),
    [("money", "20.05"), ("money", "0"), ("duration", "36h"), ("duration", "7d"), ("duration", "1ms"),
     ("duration", "0s"), ("share", "0.5%"), ("response", "1.2345678%"), ("response", "10%"), ("share", "100%")],
)  # fmt: skip
def test_quantities_are_told_as_they_are_written(name: str, text: str) -> None:
    parse = getattr(quantities, name)
    shown = quantities.UNIT_TEXTS[parse]
    if text != "1.2345678%":
        assert shown(parse(text)) == text
    else:
        assert shown(12_345_678) == "1.2345678%"


# --- Other documents, and Python --------------------------------------------------------------------------------------
class Stage(Block):
    share: Annotated[quantities.Share, Field(gt=0)]
    days: Annotated[list[quantities.Count], Field(min_length=1)] = [1]


class Rollout(Block):
    stages: dict[quantities.Identifier, Stage]
    factor: quantities.Factor = 1.0
    limit: int | None = None
    first: Annotated[Window | None, Field(alias="from")] = None


def test_other_documents_are_loaded_alike() -> None:
    text = "stages:\n  small: {share: 0%, days: []}\n  off: {share: 1%}\nfactor: -1\nlimit: x\n"
    text += "from: {from: 2026-03-01, until: 2026-02-01}\n"
    with pytest.raises(DocumentError) as caught:
        load_text(text, "rollout.yaml", Rollout)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert caught.value.problems == [
        "rollout.yaml:2: stages.small.share must be > 0% (got 0%)",
        "rollout.yaml:2: stages.small.days must have at least 1 entry (got 0)",
        "rollout.yaml:3: stages.off must be text: put it in quotes (got off)",
        "rollout.yaml:4: factor must be > 0 (got -1)",
        (
            "rollout.yaml:5: limit must be right: input should be a valid integer, unable to parse string as an integer"
            " (got x)"
        ),
        "rollout.yaml:6: from.until must be after from, 2026-03-01 (got 2026-02-01)",
    ]


def test_python_that_builds_a_policy_is_held_to_the_same_checks() -> None:
    creative = {"text": "20 off"}
    fields: dict[str, Any] = {
        "purpose": "activation", "topic": "offers", "trigger": {"on": "login"}, "goal": {"event": "payment"},
        "response": {"shown": "1%", "otherwise": "0%"}, "creative": creative,
    }  # fmt: skip
    with pytest.raises(ValidationError, match=r"creative.ad_label must be true.*; creative.close must be given"):
        Campaign.model_validate(fields)
    assert Campaign.model_validate({**fields, "channel": "inbox"}).creative is not None


def test_schema_accepts_what_a_file_says() -> None:
    schema = policy_schema()
    defs = schema["$defs"]
    assert schema["required"] == ["policy", "time_zone", "provider", "names"]
    assert defs["Window"]["properties"].keys() == {"from", "until"}
    assert defs["Trigger"]["properties"]["dwell"]["pattern"] == r"^(0|[1-9][0-9]*)(ms|s|min|h|d|w)$"
    assert defs["Campaign"]["properties"]["value"]["anyOf"][0] == {"type": "number", "minimum": 0}
    assert defs["Campaign"]["properties"]["channel"]["default"] == "popup"
    assert '"null"' not in str(schema).replace("'", '"') and "604800000" not in str(schema)
