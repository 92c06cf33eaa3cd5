"""Every finding of lint: one planted fault each, what is said about it, and silence on sound policies."""

from datetime import date
from pathlib import Path

import pytest

from engine.policy.document import Policy
from engine.policy.findings import Finding
from engine.policy.lint import CHECKS, joined_bounds, lint
from engine.policy.lint_ring import most_of_customer
from engine.policy.tables import compile_policy
from engine.policy.yaml_source import load_text

PRESETS = sorted((Path(__file__).parents[2] / "scenarios/library/policies").glob("*.yaml"))
FIRST, LAST = date(2026, 3, 1), date(2026, 4, 30)

SOUND = """\
policy: shop
time_zone: Asia/Shanghai
provider: Example Bank
names:
  pages: [home, bill, pay]
  tiers: [gold]
  topics: [t]
segments:
  new: days_since_joined < 30
  dormant: days_since_purchase >= 60
protected_pages: [pay]
fatigue:
  caps: [{most: 2, per: day}, {most: 7, per: week}]
  channels: {push: {caps: [{most: 1, per: day}]}}
  quiet_hours: {from: "22:00", until: "08:00"}
  back_off: {closes: 3, rest: 7d}
ranking: {by: uplift, price_of_attention: 0.05}
universal_holdout: {share: 2%}
campaigns:
  spring:
    purpose: activation
    topic: t
    window: {from: 2026-03-01, until: 2026-04-01}
    audience: dormant
    trigger: {on: page_view, pages: [home]}
    goal: {event: payment}
    value: 30.00
    reward: 20.00
    response: {shown: 1.2%, otherwise: 0.5%}
    response_by_segment:
      new: {shown: 1.5%, otherwise: 0.6%}
    frequency: {caps: [{most: 4, per: 14d}], cool_down: 24h}
    holdout: {share: 50%, sees: nothing}
    arms:
      - {name: red, share: 50%, creative: {text: red words, ad_label: true, close: {}, mute: true}}
      - {name: blue, share: 50%, creative: {text: blue words, ad_label: true, close: {}, mute: true}}
  news:
    purpose: transaction
    topic: t
    channel: push
    trigger: {on: login}
    goal: {event: payment}
    value: 30.00
    response: {shown: 1%, otherwise: 0.5%}
    frequency: {cool_down: 7d}
    creative: {text: news words, opt_out: Reply TD}
"""

Edit = tuple[str, str]
ARM_SALT = ("    arms:", "    salt: one\n    arms:")
MUTELESS = [(", mute: true", "")] * 2
NO_LIMITS = [
    ("  caps: [{most: 2, per: day}, {most: 7, per: week}]\n", ""),
    ("    frequency: {cool_down: 7d}\n", ""),
    ("universal_holdout: {share: 2%}\n", ""),
]
SAME_SALT = "draw customers with one salt, 'one': the same customers fall into both"

# Edits of SOUND, and each finding as (code, severity, path, words of its sentence).
PLANTED: list[tuple[list[Edit], list[tuple[str, str, str, str]]]] = [
    (
        [ARM_SALT, ("sees: nothing", "sees: nothing, salt: one")],
        [("W01", "error", "campaigns.spring.holdout.salt", f"and campaigns.spring.holdout.salt {SAME_SALT}")],
    ),
    (
        [ARM_SALT, ("{share: 2%}", "{share: 2%, salt: one}")],
        [("W01", "error", "campaigns.spring.salt", f"universal_holdout.salt and campaigns.spring.salt {SAME_SALT}")],
    ),
    (
        [("{share: 2%}", "{share: 2%, salt: shop/spring/holdout}")],  # a default salt, written out by somebody else
        [("W01", "error", "campaigns.spring.holdout.salt", "with one salt, 'shop/spring/holdout'")],
    ),
    (
        [("{most: 4, per: 14d}", "{most: 80, per: 14d}"), (", cool_down: 24h", "")],
        [("W02", "error", "campaigns.spring.frequency.caps[0]",
          ("looks back over 14d, in which a customer can get up to 82 messages (those"
          " held out are counted too), but only the last 64 are remembered: the cap would let too many through"))],
    ),
    (
        [("    frequency: {cool_down: 7d}\n", "")],  # its ghosts are limited by nothing
        [("W02", "error", "campaigns.spring.frequency.caps[0]", "a customer can get any number of messages")],
    ),
    (
        [("by: uplift", "by: response")],
        [("W03", "warning", "ranking.by", ("ranking by response buys conversions that would happen anyway: of 100"
          " conversions counted for news, 50 come without the message"))],
    ),
    (
        [("{on: login}", "{on: login, when: card_active}")],
        [("W04", "error", "campaigns", "customers who switch personalisation off get no campaign at all")],
    ),
    ([("pages: [home]", "pages: [pay]")],
     [("W05", "error", "campaigns.spring.trigger.pages", "spring can never be shown: all its pages are protected")]),
    ([("from: 2026-03-01, until: 2026-04-01", "until: 2026-03-01")],
     [("W05", "error", "campaigns.spring.window.until", "can never be shown: its window ended before 2026-03-01")]),
    ([("holdout: {share: 50%", "holdout: {share: 100%")],
     [("W05", "error", "campaigns.spring.holdout.share", "spring can never be shown: everyone is held out")]),
    ([("{share: 2%}", "{share: 100%}")],
     [("W05", "error", "universal_holdout.share", "spring can never be shown: everyone is held out"),
      ("W05", "error", "universal_holdout.share", "news can never be shown: everyone is held out")]),
    ([("audience: dormant", 'audience: "False"')],
     [("W05", "error", "campaigns.spring.audience", "spring can never be shown: its condition holds for nobody")]),
    (
        [*NO_LIMITS, ("  channels: {push: {caps: [{most: 1, per: day}]}}\n", ""), (", cool_down: 24h", ""),
         ("caps: [{most: 4, per: 14d}]", "")],
        [("W06", "warning", "campaigns.spring.frequency", "nothing limits how often a customer gets spring by popup"),
         ("W06", "warning", "campaigns.news.frequency", "nothing limits how often a customer gets news by push")],
    ),
    (
        [("    value: 30.00\n    response", "    value: 10.00\n    response")],
        [("W07", "warning", "campaigns.news.value", ("a message of news brings at best 0.0500 yuan and takes attention"
          " worth 0.05: every one loses money"))],
    ),
    ([("{shown: 1%, otherwise: 0.5%}", "{shown: 1%, otherwise: 1%}")],
     [("W08", "warning", "campaigns.news.response", "news is predicted to be a message that does nothing")]),
    ([("{shown: 1.5%, otherwise: 0.6%}", "{shown: 0.5%, otherwise: 0.6%}")],
     [("W08", "warning", "campaigns.spring.response_by_segment.new", "predicted to be a message that does harm")]),
    ([("audience: dormant", "audience: days_since_joined <= 45")],
     [("W09", "ask", "campaigns.spring.audience", ("gives 20.00 yuan to customers as new up to 45 days after they"
       " joined, longer than 30"))]),
    ([("audience: dormant", "audience: new"), ("from: 2026-03-01, until: 2026-04-01", "from: 2026-03-01")],
     [("W09", "ask", "campaigns.spring.window.until", ("gives 20.00 yuan to new customers only, with no published"
       " end"))]),
    ([("red words", "Only 3 pieces left")],
     [("W10", "ask", "campaigns.spring.arms[0].creative.text", "'Only 3 pieces left', and no stock stands behind")]),
    ([("news words", "last chance")],
     [("W10", "ask", "campaigns.news.creative.text", "no stock or end stands behind it")]),
    ([("blue words", "限量 100 份")], [("W10", "ask", "campaigns.spring.arms[1].creative.text", "says '限量'")]),
    ([("blue words", "仅剩 3 件")], [("W10", "ask", "campaigns.spring.arms[1].creative.text", "says '仅剩'")]),
    ([("news words", "3 instalments"), ("opt_out: Reply TD}", "opt_out: Reply TD}\n")],
     [("W11", "error", "campaigns.news.creative.annual_rate", "credit ('instalments') without its annual rate")]),
    ([("news words", "分期付款")], [("W11", "error", "campaigns.news.creative.annual_rate", "offers credit ('分期')")]),
    ([('  quiet_hours: {from: "22:00", until: "08:00"}\n', "")],
     [("W12", "warning", "fatigue.quiet_hours", "and news (push) can reach them any time")]),
    ([("  back_off: {closes: 3, rest: 7d}\n", "")],
     [("W13", "warning", "fatigue.back_off", "a customer who closes every pop-up goes on getting them")]),
    (MUTELESS, [("W13", "warning", "campaigns", "no pop-up lets a customer say \"don't show again\"")]),
    ([("  dormant: days", "  late: days_since_joined  <  30\n  dormant: days")],
     [("W14", "warning", "segments.late", "never used: every customer in it is already in new")]),
    ([("  dormant: days", '  nobody: "False"\n  dormant: days')],
     [("W14", "warning", "segments.nobody", "never used: its condition holds for nobody")]),
    ([("  dormant: days", '  all: "True"\n  late: age > 60\n  dormant: days')],
     [("W14", "warning", "segments.late", "never used: all before it takes everyone")]),
    ([("reward: 20.00", "reward: 31.00")],
     [("W15", "warning", "campaigns.spring.reward", "spring gives 31.00 yuan for a conversion worth 30.00")]),
]  # fmt: skip

# What looks like a fault and is none.
SOUND_EDITS: list[list[Edit]] = [
    [("news words", "3 instalments"), ("Reply TD", "Reply TD, annual_rate: 14.4% a year")],
    [("audience: dormant", "audience: not new"), ("from: 2026-03-01, until: 2026-04-01", "from: 2026-03-01")],
    [("audience: dormant", "audience: days_since_joined > 45")],
    [("audience: dormant", "audience: days_since_joined <= 45"), ("    reward: 20.00\n", "")],
    [("    value: 30.00\n    response", "    value: 10.01\n    response")],
    [("pages: [home]", "pages: [pay, home]")],
    [("until: 2026-04-01", "until: 2026-03-02")],
    [MUTELESS[0]],
    [("  dormant: days", "  late: days_since_joined < 31\n  dormant: days")],  # no first fit either, but not plainly so
    [("reward: 20.00", "reward: 30.00")],
    [("{most: 4, per: 14d}", "{most: 62, per: 14d}"), (", cool_down: 24h", "")],  # 62 + 2 of news: just 64
]


def findings(*edits: Edit, text: str = SOUND) -> list[Finding]:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    policy = load_text(text, "shop.yaml", Policy)
    return lint(policy, compile_policy(policy, FIRST, LAST))


def test_sound() -> None:
    assert findings() == []


KNOWN = {"fraud_shop": {"W31"}}  # it is about newcomers: its rules go by when somebody joined


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_presets_are_sound(preset: Path) -> None:
    found = findings(text=preset.read_text("utf-8"))
    assert [finding for finding in found if finding.code not in KNOWN.get(preset.stem, ())] == []


@pytest.mark.parametrize(
    ("edits", "expected"), PLANTED, ids=[f"{e[0][0]}: {edits[0][1][:25]!r}" for edits, e in PLANTED]
)
def test_planted(edits: list[Edit], expected: list[tuple[str, str, str, str]]) -> None:
    found = findings(*edits)
    assert [(finding.code, finding.severity, finding.path) for finding in found] == [row[:3] for row in expected]
    for finding, (*_, words) in zip(found, expected, strict=True):
        assert words in finding.sentence
        assert finding.advice


@pytest.mark.parametrize("edits", SOUND_EDITS, ids=lambda edits: edits[0][1][:30])
def test_innocent(edits: list[Edit]) -> None:
    assert findings(*edits) == []


def test_every_check_has_its_fault() -> None:
    assert len({code for _, expected in PLANTED for code, *_ in expected}) == len(CHECKS)


def test_lint_asks_and_never_pronounces() -> None:
    for edits, _ in PLANTED:
        for finding in findings(*edits):
            assert finding.severity != "ask" or "ask counsel" in finding.advice
            assert not any(word in finding.sentence.lower() for word in ("illegal", "unlawful", "law"))


BOUNDS = [
    ("days_since_joined < 40", [40]),
    ("40 > days_since_joined", [40]),
    ("7 <= days_since_joined <= 40", [40]),
    ("not days_since_joined > 40", [40]),
    ("not (days_since_joined >= 40 or age < 9)", [40]),
    ("days_since_joined == 3", [3]),
    ("days_since_joined >= 40", []),
    ("not days_since_joined < 40", []),
    ("young and card_active", [60]),
    ("not young", []),
    ("new", [0]),
    ("not new", []),
]


@pytest.mark.parametrize(("condition", "expected"), BOUNDS)
def test_upper_bounds_on_days_since_joined(condition: str, expected: list[float]) -> None:
    segments = {"young": "days_since_joined < 60", "new": "not card_used"}
    assert list(joined_bounds(condition, segments)) == expected


def test_the_most_a_customer_can_get() -> None:
    """Held-out campaigns by their own rules, the others within channel and total caps."""
    policy = load_text(SOUND, "shop.yaml", Policy)
    day_ms = 86_400_000
    assert most_of_customer(policy, 14 * day_ms) == 4 + 2
    assert most_of_customer(policy, 15 * day_ms) == 8 + 3
    assert most_of_customer(policy, "month") == 12 + 5
    shown = SOUND.replace("universal_holdout: {share: 2%}\n", "").replace("{cool_down: 7d}", "{cool_down: 1h}")
    policy = load_text(shown, "shop.yaml", Policy)
    assert most_of_customer(policy, "day") == 2 + 1  # the channel lets one a day through; spring at most every 24 h
    assert most_of_customer(policy, "week") == 4 + 7
