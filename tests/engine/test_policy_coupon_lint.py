"""Lint of coupons: one planted fault for each finding and silence beside it; the worst case; the search for carts."""

from dataclasses import dataclass
from datetime import date
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.coupon_records import WALLET_MAX
from engine.policy.document import Policy
from engine.policy.exploits import SETS_MAX, Sets, held_coupons, search, share_of_set
from engine.policy.findings import Finding
from engine.policy.liability import worst_case
from engine.policy.lint import lint
from engine.policy.lint_coupons import COUPON_CHECKS
from engine.policy.lint_scarcity import pieces_said, times_said
from engine.policy.lint_wallet import most_held
from engine.policy.tables import CompiledPolicy, compile_policy
from engine.policy.yaml_source import load_text
from engine.records import DAY_MS, HOUR_MS, WEEK_MS
from engine.reference_checkout import Cart, Line, legal_sets

HEAD = """\
policy: shop
time_zone: Asia/Shanghai
provider: Example Shop
names:
  pages: [home]
  cities: [beijing, wuhan]
  tiers: [silver, gold]
  topics: [offers]
  categories: [shoes, hats]
segments: {new: days_since_joined < 20, dormant: days_since_purchase >= 60}
budgets:
  autumn: {amount: 5000.00, reserve: {amount: 1000.00}}
"""
SOUND = (
    HEAD
    + """\
coupons:
  full_100_10: {kind: amount_off, off: 10.00, over: 100.00, pieces: 1000, valid: 3d, text: "1,000 pieces, valid 3 days"}
  each_200_20: {kind: each_full, off: 20.00, full: 200.00, up_to: 60.00, budget: autumn}
  twenty_percent: {kind: percent_off, rate: 20%, up_to: 30.00, budget: autumn, members: [gold]}
  second_half_price: {kind: nth_item, rate: 50%, every: 2, up_to: 25.00, pieces: 100, text: "第二件半价，每人1张"}
  ship_free: {kind: free_shipping, over: 59.00, up_to: 12.00, pieces: 50}
  lounge: {kind: right, worth: 30.00, pieces: 5, confirm_within: 2d, text: "Odds: 1 in 1000"}
campaigns:
  autumn:
    purpose: activation
    topic: offers
    channel: inbox
    window: {from: 2026-03-01, until: 2026-03-08}
    trigger: {on: login}
    goal: {event: payment}
    value: 30.00
    coupon: full_100_10
    response: {shown: 2%, otherwise: 1%}
    creative: {text: "10 off 100"}
"""
)
NEWS = """\
  news:
    purpose: activation
    topic: offers
    channel: inbox
    audience: dormant
    trigger: {on: login}
    goal: {event: payment}
    value: 60.00
    coupon: full_50_10
    response: {shown: 2%, otherwise: 1%}
    creative: {text: hello}
"""
FULL_50_10 = ("coupons:\n", "coupons:\n  full_50_10: {kind: amount_off, off: 10.00, over: 50.00, pieces: 9}\n")

Edit = tuple[str, str]


def compiled(text: str) -> CompiledPolicy:
    return compile_policy(load_text(text, "shop.yaml", Policy), date(2026, 3, 1), date(2026, 4, 30))


def edited(*edits: Edit) -> str:
    text = SOUND
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def findings(*edits: Edit) -> list[Finding]:
    policy = compiled(edited(*edits))
    return lint(policy.policy, policy)


def coupon(**fields: Any) -> Edit:
    """One more coupon, c, and what it says."""
    said = ", ".join(f"{name}: {value}" for name, value in fields.items())
    return "coupons:\n", f"coupons:\n  c: {{{said}}}\n"


# Edits of SOUND, and each finding as (code, severity, path, words of its sentence).
PLANTED: list[tuple[list[Edit], list[tuple[str, str, str, str]]]] = [
    # --- what coupons can cost ----------------------------------------------------------------------------------------
    ([("pieces: 1000, valid: 3d, text: \"1,000 pieces, valid 3 days\"", "valid: 3d")],
     [("W19", "warning", "coupons.full_100_10.pieces",
       "nothing bounds what full_100_10 can cost: nothing limits how many there are")]),
    ([(", up_to: 12.00", "")],
     [("W19", "warning", "coupons.ship_free.up_to",
       "nothing bounds what ship_free can cost: nothing limits what one takes off")]),
    ([("pieces: 100,", "pieces: 100, reorder: {at: 5, pieces: 50, lead: 1d},")],
     [("W19", "warning", "coupons.second_half_price.reorder", "stock is ordered again and again")]),
    # --- carts that cost too little -----------------------------------------------------------------------------------
    ([("rate: 20%", "rate: 70%")],
     [("W20", "warning", "coupons.second_half_price",
       "2 × 1.00 cost 0.45 instead of 2.00 with second_half_price, twenty_percent: 77.5% off, more than 60%")]),
    ([coupon(kind="amount_off", off="5.00", pieces=9), ("campaigns:\n", "lint: {discount_most: 100%}\ncampaigns:\n")],
     [("W21", "error", "coupons.c", "1 × 1.00 cost 0 instead of 1.00 with c: less than 0.01")]),
    # --- wallets ------------------------------------------------------------------------------------------------------
    ([coupon(kind="amount_off", off="1.00", over="9.00", pieces=99, limits="[{most: 61}]")],
     [("W22", "error", "coupons.c.limits",
       ("up to 67 coupons can pile up at one customer (61 of c; used ones that a limit still counts included), but a"
        f" wallet holds {WALLET_MAX}"))]),
    ([coupon(kind="amount_off", off="1.00", over="9.00", budget="autumn", limits="[{most: 1, per: day}]")],
     [("W22", "error", "coupons.c.limits", "any number of coupons can pile up at one customer (any number of c;")]),
    # --- truthful scarcity --------------------------------------------------------------------------------------------
    ([("pieces: 1000,", "pieces: 900,")],
     [("W23", "ask", "coupons.full_100_10.text",
       "a text of full_100_10 says '1,000 pieces', and there are 900 pieces")]),
    ([("pieces: 1000,", "pieces: 1000, reorder: {at: 5, pieces: 50, lead: 1d}, budget: autumn,")],
     [("W23", "ask", "coupons.full_100_10.text",
       "says '1,000 pieces', and stock is ordered again when 5 are left")]),
    ([("valid: 3d,", "valid: 5d,")],
     [("W23", "ask", "coupons.full_100_10.text", "a text of full_100_10 says '3 days', and it is valid 5d")]),
    ([('text: "10 off 100"', 'text: "仅2天！限量500张"')],
     [("W23", "ask", "campaigns.autumn.creative.text", "says '500张', and there are 1000 pieces"),
      ("W23", "ask", "campaigns.autumn.creative.text", "says '2天', and it is valid 3d")]),
    ([("up_to: 60.00, budget", 'up_to: 60.00, text: "the first 50", budget')],
     [("W23", "ask", "coupons.each_200_20.text", "says 'first 50', and there is no end of them")]),
    ([('text: "10 off 100"', 'text: "Last chance"'), ("pieces: 1000,", "budget: autumn,"),
      ("1,000 pieces, valid 3 days", "valid 3 days")],
     [("W10", "ask", "campaigns.autumn.creative.text", "'Last chance', and no stock stands behind it")]),
    ([("up_to: 60.00, budget", 'up_to: 60.00, text: "Only a few left", budget')],
     [("W10", "ask", "coupons.each_200_20.text", "'Only a few left', and no stock or end stands behind it")]),
    ([coupon(kind="amount_off", off="1.00", over="9.00", pieces=99, valid="3d", urgency="days", limits="[{most: 2}]")],
     [("W24", "ask", "coupons.c.limits", "c presses with the days left (3d), and a customer who claims it again")]),
    ([coupon(kind="amount_off", off="1.00", over="9.00", pieces=99, valid="3d", text="倒计时", limits="[{most: 2}]")],
     [("W24", "ask", "coupons.c.limits", "c presses with the days left (3d)")]),
    # --- prizes -------------------------------------------------------------------------------------------------------
    ([("worth: 30.00", "worth: 50000.01")],
     [("W25", "ask", "coupons.lounge.worth", "lounge is worth 50000.01 yuan, more than 50000.00")]),
    ([("Odds: 1 in 1000", "A lounge!")], [("W25", "ask", "coupons.lounge.text", "no text of lounge says how likely")]),
    # --- personal prices, new customers, value ------------------------------------------------------------------------
    ([FULL_50_10, ("campaigns:\n", "campaigns:\n" + NEWS)],
     [("W26", "ask", "campaigns.news.audience",
       ("full_50_10, full_100_10 are amount_off coupons of different value, and who gets which depends on"
        " days_since_purchase"))]),
    ([coupon(kind="percent_off", rate="10%", up_to="9.00", pieces=9, audience='"f_score >= 1 and home_city == wuhan"')],
     [("W26", "ask", "coupons.c.audience", "c, twenty_percent are percent_off coupons of different value")]),
    ([coupon(kind="right", worth="1.00", pieces=9, audience="days_since_joined < 40")],
     [("W09", "ask", "coupons.c.audience", "c is given to customers as new up to 40 days after they joined"),
      ("W09", "ask", "coupons.c.claim.until", "c is given to new customers only, with no published end")]),
    ([("    trigger", "    audience: days_since_joined < 40\n    trigger")],
     [("W04", "error", "campaigns", "customers who switch personalisation off get no campaign"),
      ("W09", "ask", "campaigns.autumn.audience", "autumn gives full_100_10 to customers as new up to 40 days")]),
    ([("    value: 30.00", "    value: 9.99")],
     [("W15", "warning", "campaigns.autumn.coupon", "autumn gives 10.00 yuan for a conversion worth 9.99")]),
]  # fmt: skip

# What looks like a fault and is none.
INNOCENT: list[list[Edit]] = [
    [coupon(kind="amount_off", off="60.00", over="100.00", pieces=9, group="g", exclusive="true")],  # 60 % is not more
    [coupon(kind="amount_off", off="59.00", over="100.00", pieces=9, not_with="[second_half_price, twenty_percent]")],
    [coupon(kind="amount_off", off="55.00", over="100.00", pieces=9, members="[silver]",
            not_with="[second_half_price]")],  # no customer is silver and gold
    [coupon(kind="amount_off", off="55.00", over="100.00", pieces=9, regions="[wuhan]", not_with="[second_half_price]"),
     ("members: [gold]}", "regions: [beijing]}")],
    [coupon(kind="amount_off", off="55.00", over="100.00", pieces=9, claim="{until: 2026-05-01}", valid="3d",
            not_with="[second_half_price]"),
     ("members: [gold]}", "claim: {from: 2026-05-04}}")],  # never at the same time
    [coupon(kind="amount_off", off="5.00", pieces=9, not_with="[second_half_price, twenty_percent]"),
     ("campaigns:\n", "lint: {cheapest: 9.90}\ncampaigns:\n")],
    [coupon(kind="amount_off", off="70.00", over="100.00", pieces=9),
     ("campaigns:\n", "lint: {discount_most: 90%}\ncampaigns:\n")],
    [coupon(kind="amount_off", off="1.00", over="9.00", pieces=99, limits="[{most: 1, per: day}]", valid="3d")],
    [coupon(kind="amount_off", off="1.00", over="9.00", pieces=99, valid="3d", urgency="days")],  # once only
    [coupon(kind="amount_off", off="1.00", over="9.00", pieces=99, valid="{for: 3d, until: 2026-05-01}",
            urgency="days", limits="[{most: 2}]")],
    [coupon(kind="amount_off", off="1.00", over="9.00", pieces=99, ration="{pieces: 10, every: 1h}",
            claim="{from: 2026-03-01, until: 2026-03-15}", text="10 pieces every hour - 1 hour - two weeks long")],
    [('text: "10 off 100"', 'text: "Only 1,000 pieces left: last chance"')],
    [('text: "10 off 100"', 'text: "11月11日：1周，1000张"'),],
    [coupon(kind="nth_item", rate="30%", every=3, up_to="9.00", pieces=9, text='"3件7折"')],
    [FULL_50_10, ("campaigns:\n", "campaigns:\n" + NEWS.replace("dormant", "tier == gold"))],  # a published class
    [FULL_50_10, ("campaigns:\n", "campaigns:\n" + NEWS), ("over: 50.00", "over: 100.00")],  # of one value
    [FULL_50_10, ("campaigns:\n", "lint: {published: [dormant]}\ncampaigns:\n" + NEWS)],
    [("value: 30.00\n    coupon: full_100_10", "value: 9.00\n    coupon: each_200_20")],  # what it costs depends
    [coupon(kind="right", worth="50000.00", pieces=9, audience="days_since_joined <= 30",
            claim="{until: 2026-05-01}")],
]  # fmt: skip


def test_a_sound_policy() -> None:
    assert findings() == []


@pytest.mark.parametrize(
    ("edits", "expected"), PLANTED, ids=[f"{e[0][0]}: {edits[-1][1][-45:]!r}" for edits, e in PLANTED]
)
def test_planted(edits: list[Edit], expected: list[tuple[str, str, str, str]]) -> None:
    found = findings(*edits)
    assert [(finding.code, finding.severity, finding.path) for finding in found] == [row[:3] for row in expected], found
    for finding, (*_, words) in zip(found, expected, strict=True):
        assert words in finding.sentence
        assert finding.advice


@pytest.mark.parametrize("edits", INNOCENT, ids=lambda edits: edits[0][1][-45:])
def test_innocent(edits: list[Edit]) -> None:
    assert findings(*edits) == []


def test_every_check_has_its_fault() -> None:
    codes = {code for _, expected in PLANTED for code, *_ in expected}
    assert codes == {"W04", "W09", "W10", "W15", *(f"W{number}" for number in range(19, 27))}
    assert len(COUPON_CHECKS) == 7  # W20 and W21 come from one search


def test_lint_asks_and_never_pronounces() -> None:
    for edits, _ in PLANTED:
        for finding in findings(*edits):
            assert finding.severity != "ask" or "counsel" in finding.advice
            assert not any(word in finding.sentence.lower() for word in ("illegal", "unlawful", "law"))


# --- The worst case ---------------------------------------------------------------------------------------------------
def test_the_worst_case() -> None:
    case = worst_case(compiled(SOUND).policy)
    assert case.as_texts() == {
        "coupons": {
            "full_100_10": "10000.00",  # 1000 × 10.00
            "each_200_20": "6000.00",  # its budget and the reserve
            "twenty_percent": "6000.00",
            "second_half_price": "2500.00",
            "ship_free": "600.00",
            "lounge": "150.00",
        },
        "total": "19250.00",  # coupons of one budget share it
    }
    assert [coupon.why for coupon in case.coupons][:2] == ["1000 × 10.00", "all of budget autumn"]


def test_a_budget_is_not_used_up_by_few_pieces() -> None:
    policy = compiled(edited(("budget: autumn, members", "budget: autumn, pieces: 3, members"))).policy
    assert worst_case(policy).as_texts()["total"] == "19250.00"
    alone = compiled(edited(("up_to: 60.00, budget: autumn", "up_to: 60.00, pieces: 1"),
                            ("budget: autumn, members", "budget: autumn, pieces: 3, members"))).policy  # fmt: skip
    assert worst_case(alone).as_texts()["coupons"]["twenty_percent"] == "90.00"  # type: ignore[index]
    assert worst_case(alone).total == 1_000_000 + 6_000 + 9_000 + 250_000 + 60_000 + 15_000


def test_what_nothing_bounds_has_no_figure() -> None:
    case = worst_case(
        compiled(edited(("pieces: 50", "places: [shop]"), ("names:\n", "names:\n  places: [shop]\n"))).policy
    )
    assert (case.total, case.as_texts()["total"]) == (inf, "unbounded")
    assert next(c for c in case.coupons if c.name == "ship_free").why == "unbounded × 12.00"


# --- Wallets ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({}, 1),
        ({"limits": "[{most: 3}]"}, 3),
        ({"limits": "[{most: 3}]", "pieces": 2}, 2),
        ({"limits": "[{most: 2, per: 24h}]", "valid": "3d"}, 6),
        (
            {"limits": "[{most: 2, per: 24h}, {most: 5, per: week}]", "valid": "3d"},
            15,
        ),  # a week is remembered: parts of three
        ({"limits": "[{most: 2, per: 24h}, {most: 4, per: 7d}]", "valid": "3d"}, 4),
        ({"limits": "[{most: 1, per: day}]"}, inf),  # valid for ever
        ({"limits": "[{most: 1, per: day}]", "claim": "{from: 2026-03-01, until: 2026-03-08}"}, 9),
        ({"limits": "[{most: 1, per: day}]", "claim": "{from: 2026-03-01}", "valid": "{until: 2026-03-08}"}, 9),
        ({"limits": "[{most: 1, per: 1h}]", "valid": "6h"}, 6),
        ({"limits": "[{most: 9}]", "kind": "right", "worth": "1.00", "confirm_within": "1d"}, 9),
    ],
)
def test_the_most_that_pile_up(fields: dict[str, Any], most: float) -> None:
    said = {"kind": "amount_off", "off": "1.00"} | fields
    if fields.get("kind"):
        del said["off"]
    policy = compiled(edited(coupon(**said))).policy
    assert most_held(policy.coupons["c"]) == most


# --- What texts say ---------------------------------------------------------------------------------------------------
TEXTS = """
1000 pieces, valid 3 days           | 1000       | 3d
Only 1,000 left                     | 1000       |
first 200 customers, 24 hours       | 200        | 24h
three days only                     |            | 3d
within two weeks                    |            | 2w
ten coupons for a 3-day trip        | 10         | 3d
20 off 100 - 10% back, only 5% less |            |
限量1000张，3天有效                 | 1000       | 3d
仅剩2万件，最后两小时               | 20000      | 2h
第二件半价，11月11日                |            |
一周内用，三个小时                  |            | 1w 3h
满2件打8折                          | 2          |
rewards within 3 working days       |            |
"""
MS = {"h": HOUR_MS, "d": DAY_MS, "w": WEEK_MS}


@pytest.mark.parametrize("line", TEXTS.strip().splitlines())
def test_numbers_in_texts(line: str) -> None:
    text, pieces, times = (part.strip() for part in line.split("|"))
    assert [said.number for said in pieces_said(text)] == [int(number) for number in pieces.split()]
    assert sorted(said.number for said in times_said(text)) == sorted(
        int(time[:-1]) * MS[time[-1]] for time in times.split()
    )


# --- The search for carts, against one that tries them all ------------------------------------------------------------
CHEAPEST = 500


def yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02}"


@dataclass(frozen=True)
class Draw:
    """Draws one coupon's fields."""

    draw: Any

    def fields(self) -> str:
        kind = self.draw(st.sampled_from(["amount_off", "each_full", "percent_off", "nth_item", "free_shipping"]))
        full = 100 * self.draw(st.integers(6, 40))
        fields = {"kind": kind, "pieces": "5"}
        if kind in ("amount_off", "each_full"):
            fields["off"] = yuan(self.draw(st.integers(100, full)))
        if kind in ("percent_off", "nth_item"):
            fields["rate"] = f"{self.draw(st.integers(5, 60))}%"
        if kind == "each_full":
            fields["full"] = yuan(full)
        elif self.draw(st.booleans()):
            fields["over"] = yuan(full)
        if kind == "nth_item":
            fields |= {"every": str(self.draw(st.integers(2, 3))), "across": str(self.draw(st.booleans())).lower()}
        if kind in ("each_full", "percent_off", "nth_item") and self.draw(st.booleans()):
            fields["up_to"] = yuan((full if kind == "each_full" else 0) + 100 * self.draw(st.integers(1, 20)))
        fields |= self.draw(st.sampled_from([{}, {}, {"items": "{categories: [shoes]}"}, {"base": "original"}]))
        fields |= self.draw(st.sampled_from([{}, {}, {"group": "{name: g, most: 2}"}]))
        return ", ".join(f"{name}: {value}" for name, value in fields.items())


@st.composite
def shops(draw: Any) -> str:
    rows = [f"  c{n}: {{{Draw(draw).fields()}}}\n" for n in range(draw(st.integers(1, 4)))]
    shipping = draw(st.sampled_from(["0", "7.00"]))
    bounds = f"lint: {{discount_most: 1%, cheapest: {yuan(CHEAPEST)}, shipping: {shipping}}}\n"
    return HEAD + bounds + "coupons:\n" + "".join(rows)


def carts(shipping: int) -> list[Cart]:
    one = [(Line(price, pieces, kind),) for price in range(CHEAPEST, 9_000, 250) for pieces in (1, 2, 3, 6)
           for kind in (0, 1)]  # fmt: skip
    two = [(Line(a, pieces, 0), Line(b, pieces, 1)) for a in range(CHEAPEST, 5_000, 700)
           for b in range(CHEAPEST, 5_000, 700) for pieces in (1, 2)]  # fmt: skip
    return [Cart(lines, shipping) for lines in (*one, *two)]


def whole(cart: Cart) -> int:
    return cart.shipping + sum(line.unit_price * line.quantity for line in cart.lines)


@settings(max_examples=40, deadline=None)
@given(shops())
def test_the_search_misses_little(text: str) -> None:
    """No cart of a grid is much worse than the one found; and no set takes off more than it was thought to at most."""
    policy = compiled(text)
    held, bounds = held_coupons(policy), policy.policy.lint
    found = search(policy)
    assert found.complete
    most = max(share_of_set(chosen, bounds) for chosen in Sets(held).legal())
    answers = [max(discount for _, discount in legal_sets(cart, [one.coupon for one in held])) / whole(cart)
               for cart in carts(bounds.shipping)]  # fmt: skip
    worst = max(answers)
    assert worst <= most / 1e6
    share = found.dearest.share / 1e6 if found.dearest is not None else 0.01
    assert share >= 0.9 * worst, found.dearest


# Coupons alone in their shop, and the worst cart: its lines, what it costs, and with what.
BARGAINS = [
    (["{kind: amount_off, off: 70.00, over: 100.00}"], "", "1 × 100.00", "30.00 of 100.00 with c0"),
    (["{kind: amount_off, off: 40.00, over: 100.00, base: original}", "{kind: percent_off, rate: 50%, over: 50.00}"],
     "", "1 × 100.00", "30.00 of 100.00 with c0, c1"),
    (["{kind: amount_off, off: 40.00, over: 100.00}", "{kind: percent_off, rate: 50%, over: 80.00}"], "",
     "1 × 120.00", "40.00 of 120.00 with c0, c1"),  # just reaches the second threshold too
    (["{kind: amount_off, off: 50.00, over: 80.00}", "{kind: nth_item, rate: 50%, every: 2}"], "",
     "2 × 53.33", "30.00 of 106.66 with c1, c0"),  # 26.66 off one piece leaves just 80.00
    (["{kind: each_full, off: 60.00, full: 90.00}",
      "{kind: amount_off, off: 1.00, over: 100.00, base: original, group: g}"], "",
     "1 × 180.00", "59.00 of 180.00 with c0, c1"),  # twice 90.00: more than just beyond 100.00
    (["{kind: percent_off, rate: 70%, items: {categories: [hats]}}", "{kind: free_shipping}"], "shipping: 2.00",
     "1 × 1.00 (hats) and shipping 2.00", "0.30 of 3.00 with c0, c1"),
    (["{kind: amount_off, off: 90.00, over: 100.00, items: {categories: [shoes]}}",
      "{kind: amount_off, off: 50.00, over: 60.00, items: {categories: [hats]}, group: g}"], "",
     "1 × 100.00 (shoes)", "10.00 of 100.00 with c0"),
    (["{kind: amount_off, off: 20.00, over: 60.00, base: original}", "{kind: nth_item, rate: 50%, every: 2}",
      "{kind: nth_item, rate: 50%, every: 3, group: g}"], "cheapest: 20.00",
     "3 × 20.00", "20.00 of 60.00 with c1, c2, c0"),  # of six pieces 20.00 off would be little
    (["{kind: amount_off, off: 16.64}"], "cheapest: 5.00, shipping: 7.00",
     "1 × 16.64 and shipping 7.00", "7.00 of 23.64 with c0"),  # nothing of it is wasted
    (["{kind: amount_off, off: 8.85}", "{kind: percent_off, rate: 26%, base: original}"], "shipping: 2.00",
     "1 × 11.71 and shipping 2.00", "2.00 of 13.71 with c0, c1"),  # free goods, as dear as they may be
    (["{kind: amount_off, off: 5.00}"], "cheapest: 6.00", "1 × 6.00", "1.00 of 6.00 with c0"),
]  # fmt: skip


@pytest.mark.parametrize(("coupons", "bounds", "cart", "costs"), BARGAINS, ids=[row[0][0][1:30] for row in BARGAINS])
def test_the_worst_cart(coupons: list[str], bounds: str, cart: str, costs: str) -> None:
    rows = "".join(f"  c{n}: {row[:-1]}, pieces: 9}}\n" for n, row in enumerate(coupons))
    text = HEAD + (f"lint: {{{bounds}}}\n" if bounds else "") + "coupons:\n" + rows
    policy = compiled(text)
    (found,) = [finding for finding in lint(policy.policy, policy) if finding.code == "W20"]
    assert found.sentence.startswith(f"{cart} cost {costs.replace(' of ', ' instead of ')}: ")


def test_a_floor_below_which_no_order_may_fall() -> None:
    text = "lint: {{discount_most: 99%, paid_least: {}, cheapest: 9.00}}\ncampaigns:\n"
    five_off = coupon(kind="amount_off", off="5.00", pieces=9)
    assert findings(five_off, ("campaigns:\n", text.format("3.20"))) == []
    (found,) = findings(five_off, ("campaigns:\n", text.format("3.21")))
    assert (found.code, found.path) == ("W21", "coupons.c")
    assert found.sentence == "1 × 9.00 cost 3.20 instead of 9.00 with c, twenty_percent: less than 3.21"


def test_what_is_found_is_what_a_checkout_answers() -> None:
    policy = compiled(edited(coupon(kind="amount_off", off="70.00", over="100.00", pieces=9)))
    dearest = search(policy).dearest
    assert dearest is not None
    answered = dearest.as_answered()
    best = max(discount for _, discount in legal_sets(answered.cart, [held.coupon for held in held_coupons(policy)]))
    assert answered.whole - answered.paid == best


def test_the_search_has_an_end_and_says_so() -> None:
    rows = "".join(
        f"  c{n}: {{kind: amount_off, off: 1.00, over: {n + 10}.00, pieces: 9, group: {{name: g, most: 10}}}}\n"
        for n in range(59)
    )
    policy = compiled(HEAD + "coupons:\n" + rows)
    sets = Sets(held_coupons(policy))
    found = list(sets.legal())
    assert not sets.complete
    assert SETS_MAX < len(found) <= SETS_MAX + 59 * 59
    assert max(map(len, found)) == 10  # the largest are among them
    assert any("more ways than lint tries" in finding.sentence for finding in lint(policy.policy, policy))


def test_copies_of_one_coupon() -> None:
    def most_together(**fields: Any) -> int:
        policy = compiled(edited(coupon(kind="amount_off", off="1.00", over="9.00", **fields)))
        return max(sum(held.name == "c" for held in chosen) for chosen in Sets(held_coupons(policy)).legal())

    three = {"group": "{name: g, most: 3}"}
    assert most_together(limits="[{most: 2}]", **three) == 2
    assert most_together(limits="[{most: 9}]", **three) == 3
    assert most_together(limits="[{most: 9}]", pieces=2, **three) == 2
    assert most_together(transferable="true", **three) == 3  # from others
    assert most_together(limits="[{most: 9}]", not_with="[c]", **three) == 1
    assert most_together(limits="[{most: 9}]") == 1
    rows = "coupons:\n  c: {kind: amount_off, off: 1.00, limits: [{most: 3}], group: {name: g, most: 3}}\n"
    assert len(list(Sets(held_coupons(compiled(HEAD + rows))).legal())) == 3  # one, two or three: all alike
