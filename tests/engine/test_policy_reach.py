"""Lint on campaigns that can never be shown: one edit of a sound policy each, and the findings it brings."""

from datetime import date

import pytest

from engine.policy.document import Policy
from engine.policy.lint import lint
from engine.policy.tables import compile_policy
from engine.policy.yaml_source import load_text

SOUND = """
policy: shop
time_zone: Asia/Shanghai
provider: Shop
names: {pages: [home, pay, bill], cities: [xian], tags: [vip], topics: [t]}
segments: {young: age < 25}
moments: {sundays: {weekly: sunday, at: "09:00"}}
protected_pages: [pay]
fatigue:
  caps: [{most: 2, per: day}]
  quiet_hours: {from: "22:00", until: "08:00"}
  back_off: {closes: 3, rest: 7d}
campaigns:
  offer:
    purpose: activation
    topic: t
    window: {from: 2026-03-01, until: 2026-03-08}
    audience: young
    trigger: {on: page_view, pages: [home, pay], when: hour < 12}
    goal: {event: payment, window: 2d}
    value: 30.00
    response: {shown: 2%, otherwise: 1%}
    frequency: {caps: [{most: 1, per: day}]}
    remind_after: 1d
    arms:
      - {name: a, share: 50%, creative: {text: a, ad_label: true, close: {}, mute: true, remind_later: true}}
      - {name: b, share: 50%, creative: {text: b, ad_label: true, close: {}, mute: true}}
  news:
    purpose: service
    topic: t
    channel: push
    trigger: {on: moment, moment: sundays}
    goal: {event: login}
    response: {shown: 2%, otherwise: 1%}
    creative: {text: hello, opt_out: TD}
  rival:
    purpose: activation
    topic: t
    trigger: {on: page_view}
    goal: {event: payment}
    value: 10.00
    response: {shown: 2%, otherwise: 1%}
    frequency: {cool_down: 1d}
    creative: {text: c, ad_label: true, close: {}, mute: true}
"""

NEVER = "offer can never be shown: "
LOUDER = ("    frequency: {cool_down: 1d}\n    creative: {text: c, ad_label: true, close: {}, mute: true}",
          "    priority: 9\n    creative: {text: c, ad_label: true, close: {}}")  # fmt: skip

EDITS: list[tuple[str, str, str, str, str]] = [
    # what is replaced, by what, code, path, sentence
    ("audience: young", "audience: young and age > 25", "W16", "offer.audience",
     NEVER + "its audience holds for no customer of 18 or older"),
    ("audience: young", "audience: age < 18", "W16", "offer.audience",
     NEVER + "its audience holds for no customer of 18 or older"),
    ("audience: young", "audience: r_score >= 2", "W16", "offer.audience",
     NEVER + "its audience holds for no customer of 18 or older"),
    ("when: hour < 12", "when: hour < 12 and hour >= 12", "W16", "offer.trigger.when",
     NEVER + "its condition holds for no customer of 18 or older at this trigger"),
    ("when: hour < 12", "when: page == 'pay'", "W16", "offer.trigger.when",
     NEVER + "its condition holds for no customer of 18 or older at this trigger"),
    ("when: hour < 12", "when: age > 30", "W16", "offer.trigger.when",
     NEVER + "its condition and its audience hold for no customer of 18 or older together"),
    ("name: a, share: 50%", "name: a, share: 100%", "W16", "offer.arms[1].share",
     "arm b of offer can never be shown: its share is 0%"),
    ('at: "09:00"', 'at: "23:00"', "W16", "news.trigger.moment",
     "news can never be shown: sundays comes at 23:00, within the quiet hours"),
    ("remind_after: 1d", "remind_after: 7d", "W18", "offer.remind_after",
     'offer reminds after 7d, but lasts only 7d: "remind me later" never reminds'),
    (*LOUDER, "W17", "offer.priority",
     NEVER + "rival answers to all the same events, has a higher priority and no limit of its own"),
]  # fmt: skip


def findings(text: str) -> list[tuple[str, str, str]]:
    policy = load_text(text, "shop.yaml", Policy)
    compiled = compile_policy(policy, date(2026, 3, 1), date(2026, 3, 31))
    return [(found.code, found.path, found.sentence) for found in lint(policy, compiled)]


def reach(text: str) -> list[tuple[str, str, str]]:
    return [found for found in findings(text) if found[0] in ("W16", "W17", "W18")]


def test_the_sound_policy_has_no_findings() -> None:
    assert findings(SOUND) == []


@pytest.mark.parametrize(("old", "new", "code", "path", "sentence"), EDITS, ids=[edit[1][:40] for edit in EDITS])
def test_one_edit_brings_one_finding(old: str, new: str, code: str, path: str, sentence: str) -> None:
    assert SOUND.count(old) == 1
    text = SOUND.replace(old, new)
    if "share: 100%" in new:
        text = text.replace("name: b, share: 50%", "name: b, share: 0%")
    assert reach(text) == [(code, f"campaigns.{path}", sentence)]


ROOM = [
    ("trigger: {on: page_view}", "holdout: {share: 5%}\n    trigger: {on: page_view}"),
    ("trigger: {on: page_view}", "audience: tag.vip\n    trigger: {on: page_view}"),
    ("trigger: {on: page_view}", "trigger: {on: page_view, pages: [bill]}"),
    ("trigger: {on: page_view}", "trigger: {on: page_view, dwell: 5s}"),
    ("trigger: {on: page_view}", "window: {until: 2026-03-05}\n    trigger: {on: page_view}"),
    ("trigger: {on: page_view}", "channel: inbox\n    trigger: {on: page_view}"),
    ("priority: 9", "priority: 0"),
    ("close: {}}", "close: {}, mute: true}"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), ROOM, ids=[new[-40:] for _, new in ROOM])
def test_a_rival_with_any_limit_makes_room(old: str, new: str) -> None:
    shadowing = SOUND.replace(*LOUDER)
    assert old in shadowing
    assert reach(shadowing.replace(old, new)) == []
