"""Coupons and budgets in a policy: every way to break them with its sentence, and their rows against hand values."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.coupon_records import (
    BUDGETS_MAX,
    COUPONS_MAX,
    EVERYTHING,
    GROUPS_MAX,
    NO_BUDGET,
    TERMS,
    TERMS_MAX,
    UNLIMITED,
    CouponKind,
    PriceStage,
)
from engine.policy.document import Policy
from engine.policy.registry import Registry
from engine.policy.schema import policy_schema
from engine.policy.tables import CompiledPolicy, compile_policy
from engine.policy.yaml_source import DocumentError, load_text
from engine.records import ACCEPT, DAY_MS, HOUR_MS, NEVER_MS, NONE, PER_DAY, PER_MONTH, PER_ROLLING, SHARE_ONE, Channel
from tests.engine.test_policy_tables import FIRST, LAST, salt

SHOP = """\
policy: shop
time_zone: Asia/Shanghai
provider: Example Shop
names:
  pages: [home]
  cities: [beijing, wuhan, xian]
  tiers: [silver, gold, platinum]
  topics: [offers]
  categories: [shoes, hats, socks]
  brands: [alba, brio]
  products: [p1, p2, p3]
  places: [shop, app, mini_program]
segments: {dormant: days_since_purchase >= 60}
budgets:
  double_eleven: {amount: 500000.00, reserve: {amount: 50000.00, at: 90%, from: 2026-11-11}}
  messages: {amount: 2000.00, channels: [sms, push]}
coupons:
  full_100_10: &first
    kind: amount_off
    off: 10.00
    over: 100.00
    items: {categories: [shoes, socks], products: [p2]}
    group: {name: general, most: 2}
    exclusive: true
    not_with: [full_100_10, twenty_percent]
    pieces: 1000
    ration: {pieces: 10, every: 1h}
    reorder: {at: 20, pieces: 100, lead: 3d, fails: 20%, backup: {lead: 1d}}
    claim: {from: 2026-11-11, at: "20:30", until: 2026-11-13}
    audience: dormant and tier >= gold
    limits: [{most: 1}, {most: 3, per: day}]
    valid: {from: 2026-11-11, until: 2026-11-20, for: 3d}
    members: [gold, platinum]
    regions: [wuhan]
    places: [shop, app]
    funded_by: {platform: 60%, merchant: 40%}
    budget: double_eleven
    fallback: each_200_20
    transferable: true
    text: "1000 pieces, valid 3 days"
    urgency: pieces
    drop: {at: 2026-11-11 20:30}
  each_200_20:
    kind: each_full
    off: 20.00
    full: 200.00
    up_to: 60.00
    base: original
    group: general
  twenty_percent:
    kind: percent_off
    rate: 20%
    limits: [{most: 2, per: month}, {most: 1, per: 36h}]
    valid: 3d
  second_half_price:
    kind: nth_item
    rate: 50%
    every: 2
    across: true
    over: 30.00
    up_to: 25.00
    claim: {until: 2026-12-01}
  ship_free: {kind: free_shipping, over: 59.00, budget: double_eleven, up_to: 12.00}
  lounge: {kind: right, worth: 30.00, pieces: 5, confirm_within: 2d, places: [mini_program]}
campaigns:
  spring:
    purpose: activation
    topic: offers
    channel: sms
    trigger: {on: login}
    goal: {event: payment}
    value: 30.00
    coupon: full_100_10
    issue: direct
    cost: 0.05
    budget: messages
    response: {shown: 2%, otherwise: 1%}
    creative: {text: hello, opt_out: Reply TD}
  notice:
    purpose: service
    topic: offers
    channel: inbox
    trigger: {on: login}
    goal: {event: payment}
    response: {shown: 2%, otherwise: 1%}
    creative: {text: hello}
""".replace("&first", "")


def edited(text: str, *edits: tuple[str, str]) -> str:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def problems(*edits: tuple[str, str]) -> list[str]:
    """What loading says of SHOP with some edits, without file and line; [] if it is right."""
    try:
        load_text(edited(SHOP, *edits), "shop.yaml", Policy)
    except DocumentError as error:
        return [problem.split(": ", 1)[1] for problem in error.problems]
    return []


# --- Documents --------------------------------------------------------------------------------------------------------
FIRST_COUPON, EACH, PERCENT = "coupons.full_100_10", "coupons.each_200_20", "coupons.twenty_percent"
NTH, SHIP, LOUNGE = "coupons.second_half_price", "coupons.ship_free", "coupons.lounge"
ONLY_PRICED = "must be given only on coupons that change the price (got kind: right)"

# One edit (old → new) of SHOP each, and everything that is then said.
BROKEN: list[tuple[str, str, list[str]]] = [
    # --- which kind has which fields ----------------------------------------------------------------------------------
    ("    off: 10.00\n", "", [f"{FIRST_COUPON}.off must be given with kind: amount_off (got nothing)"]),
    ("    full: 200.00\n", "", [f"{EACH}.full must be given with kind: each_full (got nothing)"]),
    ("    rate: 20%\n", "", [f"{PERCENT}.rate must be given with kind: percent_off (got nothing)"]),
    ("    every: 2\n", "", [f"{NTH}.every must be given with kind: nth_item (got nothing)"]),
    ("worth: 30.00, ", "", [f"{LOUNGE}.worth must be given with kind: right (got nothing)"]),
    ("    full: 200.00\n", "    full: 200.00\n    over: 300.00\n",
     [(f"{EACH}.over must be given only with kind: amount_off, percent_off, nth_item or free_shipping"
       " (got kind: each_full)")]),
    ("    over: 100.00\n", "    over: 100.00\n    full: 100.00\n",
     [f"{FIRST_COUPON}.full must be given only with kind: each_full (got kind: amount_off)"]),
    ("    over: 100.00\n", "    over: 100.00\n    up_to: 5.00\n",
     [(f"{FIRST_COUPON}.up_to must be given only with kind: each_full, percent_off, nth_item or free_shipping"
       " (got kind: amount_off)")]),
    ("    rate: 20%\n", "    rate: 20%\n    off: 1.00\n    across: false\n    worth: 1.00\n",
     [f"{PERCENT}.off must be given only with kind: amount_off or each_full (got kind: percent_off)",
      f"{PERCENT}.across must be given only with kind: nth_item (got kind: percent_off)",
      f"{PERCENT}.worth must be given only with kind: right (got kind: percent_off)"]),
    ("    valid: 3d\n", "    confirm_within: 1d\n    valid: 3d\n",
     [f"{PERCENT}.confirm_within must be given only with kind: right (got kind: percent_off)",
      (f"{PERCENT}.valid must not be given with confirm_within: a prize is reserved until it is collected (got 3d)")]),
    ("worth: 30.00,", "worth: 30.00, off: 1.00, exclusive: true, group: g, not_with: [ship_free], base: original,",
     [f"{LOUNGE}.{name} {ONLY_PRICED}" for name in ("off", "base", "group", "exclusive", "not_with")]),
    ("confirm_within: 2d", "confirm_within: 2d, transferable: true",
     [(f"{LOUNGE}.transferable must not be given with confirm_within: a prize is reserved until it is collected"
       " (got true)")]),
    ("kind: percent_off", "kind: percent",
     [(f"{PERCENT}.kind must be one of amount_off, each_full, percent_off, nth_item, free_shipping, right"
       " (got percent)")]),
    # --- quantities ---------------------------------------------------------------------------------------------------
    ("off: 10.00", "off: 0", [f"{FIRST_COUPON}.off must be >= 0.01 (got 0)"]),
    ("off: 10.00\n    over: 100.00", "off: 1000000.01",
     [f"{FIRST_COUPON}.off must be <= 1000000.00 (got 1000000.01)"]),
    ("rate: 20%", "rate: 0%", [f"{PERCENT}.rate must be >= 0.0001% (got 0%)"]),
    ("every: 2", "every: 1", [f"{NTH}.every must be >= 2 (got 1)"]),
    ("pieces: 1000\n", "pieces: 0\n", [f"{FIRST_COUPON}.pieces must be >= 1 (got 0)"]),
    ("every: 1h", "every: 10ms", [f"{FIRST_COUPON}.ration.every must be >= 1s (got 10ms)"]),
    ("most: 3, per: day", "most: 0, per: day", [f"{FIRST_COUPON}.limits[1].most must be >= 1 (got 0)"]),
    ("limits: [{most: 1}, {most: 3, per: day}]", "limits: []",
     [f"{FIRST_COUPON}.limits must have at least 1 entry (got 0)"]),
    ("limits: [{most: 1}, {most: 3, per: day}]", "limits: [{most: 1}, {most: 1}, {most: 1}, {most: 1}, {most: 1}]",
     [f"{FIRST_COUPON}.limits must have at most 4 entries (got 5)"]),
    ("valid: 3d\n", "valid: soon\n",
     [f"{PERCENT}.valid must be a duration like 500ms, 5s, 10min, 24h, 3d or 2w (got soon)"]),
    ("valid: 3d\n", "valid: {}\n", [f"{PERCENT}.valid must have at least one of from, until, for (got none of them)"]),
    ("group: general\n", "group: 3x\n",
     [f"{EACH}.group must be a name of small letters, digits and _, starting with a letter (got 3x)"]),
    ("group: general\n", "group: [a]\n", [f"{EACH}.group must be a block of fields (got a list)"]),
    ("drop: {at: 2026-11-11 20:30}", "drop: {at: 2026-11-11}",
     [f"{FIRST_COUPON}.drop.at must be a date and time like 2026-11-11 00:00 (got 2026-11-11)"]),
    ("drop: {at: 2026-11-11 20:30}", "drop: {at: 2026-11-31 20:30}",
     [f"{FIRST_COUPON}.drop.at must be a date of the calendar (got 2026-11-31 20:30)"]),
    ("amount: 2000.00", "amount: 0", ["budgets.messages.amount must be >= 0.01 (got 0)"]),
    ("at: 90%", "at: 0%", ["budgets.double_eleven.reserve.at must be >= 0.0001% (got 0%)"]),
    # --- between the fields of one coupon -----------------------------------------------------------------------------
    ("off: 10.00", "off: 100.01", [f"{FIRST_COUPON}.off must be <= over, 100.00 (got 100.01)"]),
    ("off: 10.00", "off: 100.00", []),
    ("until: 2026-11-20", "until: 2026-11-13", []),
    ("off: 20.00", "off: 200.01",
     [f"{EACH}.off must be <= full, 200.00 (got 200.01)", f"{EACH}.up_to must be >= off, 200.01 (got 60.00)"]),
    ("up_to: 60.00", "up_to: 19.99", [f"{EACH}.up_to must be >= off, 20.00 (got 19.99)"]),
    (", up_to: 12.00", "",
     [f"{SHIP}.up_to must be given with budget: a claim reserves the most it can cost (got nothing)"]),
    ("    rate: 20%\n", "    rate: 20%\n    budget: double_eleven\n",
     [f"{PERCENT}.up_to must be given with budget: a claim reserves the most it can cost (got nothing)"]),
    ("merchant: 40%", "merchant: 30%",
     [f"{FIRST_COUPON}.funded_by must have shares that sum to 100% (got 90%)"]),
    ("items: {categories: [shoes, socks], products: [p2]}", "items: {}",
     [f"{FIRST_COUPON}.items must have at least one of categories, brands, products (got none of them)"]),
    ("    pieces: 1000\n", "",
     [f"{FIRST_COUPON}.pieces must be given with ration (got nothing)",
      f"{FIRST_COUPON}.pieces must be given with reorder (got nothing)",
      f"{FIRST_COUPON}.urgency must be pieces only where pieces are given: nothing runs out (got pieces)"]),
    ("ration: {pieces: 10,", "ration: {pieces: 1001,",
     [f"{FIRST_COUPON}.ration.pieces must be <= pieces, 1000 (got 1001)"]),
    ("reorder: {at: 20", "reorder: {at: 1000", [f"{FIRST_COUPON}.reorder.at must be < pieces, 1000 (got 1000)"]),
    ('claim: {from: 2026-11-11, at: "20:30", until', "claim: {until",
     [f"{FIRST_COUPON}.claim.from must be given with ration: pieces are released from then on (got nothing)"]),
    ('claim: {from: 2026-11-11, at: "20:30", until: 2026-11-13}', 'claim: {at: "20:30"}',
     [f"{FIRST_COUPON}.claim.from must be given with ration: pieces are released from then on (got nothing)",
      f"{FIRST_COUPON}.claim.at must be given only with from: it is a time of that day (got nothing)"]),
    ("until: 2026-11-13", "until: 2026-11-11",
     [f"{FIRST_COUPON}.claim.until must be after from, 2026-11-11 (got 2026-11-11)",
      f"{FIRST_COUPON}.drop.at must be before claim.until, 2026-11-11 (got 2026-11-11 20:30)"]),
    ("until: 2026-11-20", "until: 2026-11-11",
     [f"{FIRST_COUPON}.valid.until must be after claim.from, 2026-11-11 (got 2026-11-11)",
      f"{FIRST_COUPON}.valid.until must be after from, 2026-11-11 (got 2026-11-11)"]),
    ("until: 2026-11-20", "until: 2026-11-12",
     [(f"{FIRST_COUPON}.valid.until must not be before claim.until, 2026-11-13: what is claimed later would be over"
       " (got 2026-11-12)")]),
    ("drop: {at: 2026-11-11 20:30}", "drop: {at: 2026-11-11 20:29}",
     [f"{FIRST_COUPON}.drop.at must not be before claims begin, 2026-11-11 (got 2026-11-11 20:29)"]),
    ("    every: 2\n", "    every: 2\n    urgency: days\n    valid: {from: 2026-11-01}\n", []),
    ("    full: 200.00\n", "    full: 200.00\n    urgency: days\n",
     [f"{EACH}.urgency must be days only where claim.until or valid is given: nothing ends (got days)"]),
    # --- names --------------------------------------------------------------------------------------------------------
    ("categories: [shoes, hats, socks]", "categories: [shoes, hats, shoes]",
     ["names.categories[2] must be given once (got shoes again)",
      (f"{FIRST_COUPON}.items.categories[1] must be one of names.categories: shoes, hats, shoes (got socks, did you"
       " mean shoes?)")]),
    ("products: [p2]", "products: [p9, p9]",
     [f"{FIRST_COUPON}.items.products[1] must be given once (got p9 again)",
      f"{FIRST_COUPON}.items.products[0] must be one of names.products: p1, p2, p3 (got p9)",
      f"{FIRST_COUPON}.items.products[1] must be one of names.products: p1, p2, p3 (got p9)"]),
    ("members: [gold, platinum]", "members: [gold, black]",
     [f"{FIRST_COUPON}.members[1] must be one of names.tiers: silver, gold, platinum (got black)"]),
    ("regions: [wuhan]", "regions: [lyon]",
     [f"{FIRST_COUPON}.regions[0] must be one of names.cities: beijing, wuhan, xian (got lyon)"]),
    ("places: [mini_program]", "places: [kiosk]",
     [f"{LOUNGE}.places[0] must be one of names.places: shop, app, mini_program (got kiosk)"]),
    ("not_with: [full_100_10, twenty_percent]", "not_with: [twenty]",
     [(f"{FIRST_COUPON}.not_with[0] must be one of coupons: full_100_10, each_200_20, twenty_percent,"
       " second_half_price, ship_free, lounge (got twenty, did you mean twenty_percent?)")]),
    ("budget: double_eleven\n", "budget: singles\n",
     [f"{FIRST_COUPON}.budget must be one of budgets: double_eleven, messages (got singles)"]),
    ("fallback: each_200_20", "fallback: full_100_10",
     [f"{FIRST_COUPON}.fallback must be another coupon (got full_100_10)"]),
    ("    group: general\n", "    group: general\n    fallback: full_100_10\n",
     [(f"{FIRST_COUPON}.fallback must not lead back to full_100_10 (got full_100_10 → each_200_20 → full_100_10)")]),
    ("group: general\n", "group: {name: general, most: 3}\n",
     [f"{EACH}.group.most must be 2, as full_100_10 says of group general (got 3)"]),
    ("channels: [sms, push]", "channels: [sms, sms]",
     ["budgets.messages.channels[1] must be given once (got sms again)"]),
    ("reserve: {", "channels: [push], reserve: {",
     [("budgets.messages.channels[1] must be a channel that no other budget pays for (got push, which double_eleven"
       " pays for)")]),
    ("audience: dormant and tier >= gold", "audience: dormnt",
     [(f"{FIRST_COUPON}.audience must be a condition: unknown name 'dormnt' (did you mean 'dormant'?) (got dormnt)")]),
    ("audience: dormant and tier >= gold", "audience: hour < 9",
     [(f"{FIRST_COUPON}.audience must be about the customer only: 'hour' is a fact of the event, put it under"
       " trigger.when (got hour < 9)")]),
    # --- campaigns ----------------------------------------------------------------------------------------------------
    ("coupon: full_100_10", "coupon: full_100",
     [("campaigns.spring.coupon must be one of coupons: full_100_10, each_200_20, twenty_percent, second_half_price,"
       " ship_free, lounge (got full_100, did you mean full_100_10?)")]),
    ("    budget: messages", "    budget: massages",
     [("campaigns.spring.budget must be one of budgets: double_eleven, messages (got massages, did you mean"
       " messages?)")]),
    ("    coupon: full_100_10\n", "    coupon: full_100_10\n    reward: 5.00\n",
     ["campaigns.spring.reward must not be given beside coupon, full_100_10 (got 5.00)"]),
    ("    coupon: full_100_10\n", "", ["campaigns.spring.issue must be given only with coupon (got direct)"]),
    ("issue: direct", "issue: push", ["campaigns.spring.issue must be one of click, direct (got push)"]),
    ("    channel: inbox\n", "    channel: inbox\n    coupon: ship_free\n",
     ["campaigns.notice.coupon must not be given on a service message: minors see it too (got ship_free)"]),
    # --- lint's bounds ------------------------------------------------------------------------------------------------
    ("campaigns:\n", "lint: {discount_most: 0%, cheapest: 0}\ncampaigns:\n",
     ["lint.discount_most must be >= 0.0001% (got 0%)", "lint.cheapest must be >= 0.01 (got 0)"]),
    ("campaigns:\n", "lint: {published: [sleepy]}\ncampaigns:\n",
     ["lint.published[0] must be one of segments: dormant (got sleepy)"]),
    # --- a broken field hides nothing else ----------------------------------------------------------------------------
    ("kind: amount_off", "kind: none", [
        (f"{FIRST_COUPON}.kind must be one of amount_off, each_full, percent_off, nth_item, free_shipping, right"
         " (got none)")]),
]  # fmt: skip


def test_the_shop_is_right() -> None:
    assert problems() == []
    coupon = load_text(SHOP, "shop.yaml", Policy).coupons["full_100_10"]
    assert coupon.drop is not None and coupon.drop.at == datetime(2026, 11, 11, 20, 30)
    assert coupon.reorder is not None and (coupon.reorder.fails, coupon.reorder.lead) == (200_000, 3 * DAY_MS)
    assert coupon.reorder.backup is not None and coupon.reorder.backup.lead == DAY_MS
    assert coupon.payers == {"platform": 600_000, "merchant": 400_000}
    assert (coupon.text, coupon.urgency) == ("1000 pieces, valid 3 days", "pieces")


@pytest.mark.parametrize(("old", "new", "expected"), BROKEN, ids=[f"{old} -> {new}"[:70] for old, new, _ in BROKEN])
def test_broken(old: str, new: str, expected: list[str]) -> None:
    assert sorted(problems((old, new))) == sorted(expected)


def test_all_problems_at_once() -> None:
    said = problems(
        ("off: 10.00", "off: 0"), ("members: [gold, platinum]", "members: [black]"), ("merchant: 40%", "merchant: 1%"),
        ("fallback: each_200_20", "fallback: full_100_10"), ("coupon: full_100_10", "coupon: nothing"),
    )  # fmt: skip
    assert len(said) == 5


def test_a_circle_of_three_is_told_once() -> None:
    said = problems(
        ("    group: general\n", "    group: general\n    fallback: ship_free\n"),
        ("{kind: free_shipping,", "{kind: free_shipping, fallback: full_100_10,"),
    )
    circle = "full_100_10 → each_200_20 → ship_free → full_100_10"
    assert said == [f"coupons.full_100_10.fallback must not lead back to full_100_10 (got {circle})"]


def many(what: str, rows: int, row: str) -> tuple[str, str]:
    return f"{what}:\n", f"{what}:\n" + "".join(f"  x{n}: {row.format(n=n)}\n" for n in range(rows))


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (many("coupons", COUPONS_MAX, "{{kind: right, worth: 1}}"),
         f"coupons must have at most {COUPONS_MAX} entries (got {COUPONS_MAX + 6})"),
        (many("budgets", BUDGETS_MAX, "{{amount: 1}}"),
         f"budgets must have at most {BUDGETS_MAX} entries (got {BUDGETS_MAX + 2})"),
        (many("coupons", 26, "{{kind: amount_off, off: 1, group: g{n}}}"),
         f"coupons must have at most {GROUPS_MAX - 5} groups of their own (got 27)"),
    ],
)  # fmt: skip
def test_everything_has_a_limit(edit: tuple[str, str], sentence: str) -> None:
    assert problems(edit) == [sentence]


def test_an_editor_accepts_both_forms() -> None:
    defs = policy_schema()["$defs"]
    for name, fields in (("Group", {"name", "most"}), ("Valid", {"from", "until", "for"})):
        short, block = defs[name]["anyOf"]
        assert short["type"] == "string" and set(block["properties"]) == fields


# --- Tables -----------------------------------------------------------------------------------------------------------
def compiled(*edits: tuple[str, str], **options: Any) -> CompiledPolicy:
    return compile_policy(load_text(edited(SHOP, *edits), "shop.yaml", Policy), FIRST, LAST, **options)


def wall(*when: int) -> int:
    return round(datetime(*when, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)  # type: ignore[arg-type,misc]


def terms(policy: CompiledPolicy, name: str) -> Any:
    return policy.tables.terms[policy.tables.coupons[policy.coupons[name]].terms]


NO_LIMITS = {
    "up_to": NEVER_MS, "cost_most": NEVER_MS, "categories": EVERYTHING, "brands": EVERYTHING, "products": EVERYTHING,
    "tiers": EVERYTHING, "regions": EVERYTHING, "places": EVERYTHING, "valid_until_ms": NEVER_MS, "group_most": 1,
    "budget": NO_BUDGET,
}  # fmt: skip
FIRST_OWN_GROUP = len(PriceStage)

# Every field of TERMS that is not 0, by hand. Money in fen, shares in millionths.
TERMS_BY_HAND: dict[str, dict[str, int]] = {
    "full_100_10": NO_LIMITS | {
        "kind": CouponKind.AMOUNT_OFF, "stage": PriceStage.ORDER, "off": 1_000, "over": 10_000, "cost_most": 1_000,
        "categories": 0b101, "products": 0b010, "tiers": 0b110, "regions": 0b010, "places": 0b011, "not_with": 0b101,
        "group": FIRST_OWN_GROUP, "group_most": 2, "exclusive": 1, "transferable": 1, "budget": 0,
        "valid_from_ms": wall(2026, 11, 11), "valid_until_ms": wall(2026, 11, 20), "valid_ms": 3 * DAY_MS,
    },
    "each_200_20": NO_LIMITS | {
        "kind": CouponKind.EACH_FULL, "stage": PriceStage.ORDER, "off": 2_000, "full": 20_000, "over": 20_000,
        "up_to": 6_000, "cost_most": 6_000, "original": 1, "group": FIRST_OWN_GROUP, "group_most": 2, "declared": 1,
        "coupon": 1,
    },
    "twenty_percent": NO_LIMITS | {
        "kind": CouponKind.PERCENT_OFF, "stage": PriceStage.PERCENTAGE, "rate": 200_000, "valid_ms": 3 * DAY_MS,
        "group": PriceStage.PERCENTAGE, "declared": 2, "coupon": 2,
    },
    "second_half_price": NO_LIMITS | {
        "kind": CouponKind.NTH_ITEM, "stage": PriceStage.LINE, "rate": 500_000, "every": 2, "across": 1,
        "over": 3_000, "up_to": 2_500, "cost_most": 2_500, "group": PriceStage.LINE, "declared": 3, "coupon": 3,
    },
    "ship_free": NO_LIMITS | {
        "kind": CouponKind.FREE_SHIPPING, "stage": PriceStage.SHIPPING, "over": 5_900, "up_to": 1_200,
        "cost_most": 1_200, "group": PriceStage.SHIPPING, "declared": 4, "coupon": 4, "budget": 0,
    },
    "lounge": NO_LIMITS | {
        "kind": CouponKind.RIGHT, "stage": PriceStage.RIGHT, "worth": 3_000, "cost_most": 3_000, "places": 0b100,
        "group": PriceStage.RIGHT, "declared": 5, "coupon": 5,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", TERMS_BY_HAND)
def test_terms(name: str) -> None:
    row, expected = terms(compiled(), name), TERMS_BY_HAND[name] | {"name_hash": salt(name)}
    expected |= {"group_hash": salt("general" if row.group == FIRST_OWN_GROUP else PriceStage(row.group).name.lower())}
    assert {field: int(row[field]) for field in TERMS.names or ()} == {
        field: int(expected.get(field, 0)) for field in TERMS.names or ()
    }


def test_coupon_rows() -> None:
    policy = compiled()
    rows = policy.tables.coupons
    row = rows[policy.coupons["full_100_10"]]
    expected = {
        "used": 1, "from_ms": wall(2026, 11, 11, 20, 30), "until_ms": wall(2026, 11, 13), "pieces": 1_000,
        "ration_every_ms": HOUR_MS, "ration_pieces": 10, "confirm_within_ms": 0, "terms": 0,
        "budget": 0, "fallback": 1, "personal": 1, "name_hash": salt("full_100_10"),
        "drop_salt": salt("shop/full_100_10/drop"),
    }  # fmt: skip
    assert {name: int(row[name]) for name in expected} == expected
    assert row.audience >= 0
    assert row.limits.tolist() == [(NEVER_MS, 1, PER_ROLLING), (0, 3, PER_DAY), (0, 0, 0), (0, 0, 0)]
    plain = rows[policy.coupons["second_half_price"]]
    assert (plain.from_ms, plain.until_ms, plain.pieces) == (0, wall(2026, 12, 1), UNLIMITED)
    assert (plain.budget, plain.fallback, plain.audience, plain.personal) == (NO_BUDGET, NONE, ACCEPT, 0)
    assert plain.ration_every_ms == 0
    assert plain.limits.tolist()[:2] == [(NEVER_MS, 1, PER_ROLLING), (0, 0, 0)]
    windowed = rows[policy.coupons["twenty_percent"]]
    assert windowed.limits.tolist()[:2] == [(0, 2, PER_MONTH), (36 * HOUR_MS, 1, PER_ROLLING)]
    assert rows[policy.coupons["lounge"]].confirm_within_ms == 2 * DAY_MS


def test_budget_rows_and_who_is_paid_from_them() -> None:
    policy = compiled()
    tables = policy.tables
    assert policy.budgets == {"double_eleven": 0, "messages": 1}
    fields = ("amount", "reserve", "release_at", "release_from_ms", "used")
    assert [[int(row[field]) for field in fields] for row in tables.budgets] == [
        [50_000_000, 5_000_000, 900_000, wall(2026, 11, 11), 1],
        [200_000, 0, SHARE_ONE, NEVER_MS, 1],
    ]
    assert int(tables.budgets[0].name_hash) == salt("double_eleven")
    expected = np.full(len(tables.channel_budgets), NONE)
    expected[[Channel.SMS, Channel.PUSH]] = 1
    assert tables.channel_budgets.tolist() == expected.tolist()
    spring, notice = (tables.campaigns[policy.registry.slots[name]] for name in ("spring", "notice"))
    assert (spring.coupon, spring.budget, spring.direct) == (0, 1, 1)
    assert (notice.coupon, notice.budget, notice.direct) == (NONE, NONE, 0)


def test_a_click_leads_to_the_claim_unless_said_otherwise() -> None:
    assert compiled(("    issue: direct\n", "")).tables.campaigns[0].direct == 0


def test_a_reserve_without_a_date_waits_for_none() -> None:
    row = compiled((", from: 2026-11-11}}", "}}")).tables.budgets[0]
    assert (row.release_at, row.release_from_ms) == (900_000, 0)


# --- Names own slots, terms own rows ----------------------------------------------------------------------------------
def test_terms_never_change() -> None:
    registry = Registry()
    before = compiled(registry=registry)
    after = compiled(("rate: 20%", "rate: 30%"), registry=registry)
    assert before.coupons == after.coupons
    assert after.tables.coupons["terms"].tolist() == [0, 1, 6, 3, 4, 5]
    assert np.array_equal(after.tables.terms[:6], before.tables.terms), "rows of the policy before stay as they were"
    assert [int(rate) for rate in after.tables.terms["rate"][[2, 6]]] == [200_000, 300_000]
    again = compiled(registry=registry)
    assert again.tables.coupons["terms"].tolist() == [0, 1, 2, 3, 4, 5], "the same terms are the same row"
    assert len(again.tables.terms) == 7


# What is the policy's may change without new terms; what was promised may not.
@pytest.mark.parametrize(
    ("edit", "is_new"),
    [
        (("pieces: 1000\n", "pieces: 900\n"), False),
        (("limits: [{most: 1}, {most: 3, per: day}]", "limits: [{most: 9}]"), False),
        (("until: 2026-11-13", "until: 2026-11-12"), False),
        (("fallback: each_200_20", "fallback: ship_free"), False),
        (("budget: double_eleven\n", "budget: messages\n"), True),
        (("off: 10.00", "off: 9.00"), True),
        (("until: 2026-11-20", "until: 2026-11-21"), True),
        (("[full_100_10, twenty_percent]", "[full_100_10]"), True),
        (("regions: [wuhan]", "regions: [xian]"), True),
        (("exclusive: true", "exclusive: false"), True),
        (("most: 2}", "most: 1}"), True),
    ],
)
def test_what_makes_new_terms(edit: tuple[str, str], is_new: bool) -> None:
    registry = Registry()
    compiled(registry=registry)
    row = compiled(edit, registry=registry).tables.coupons[0]
    assert bool(row.terms) is is_new


def test_coupons_of_other_policies_keep_their_slots() -> None:
    registry = Registry()
    before = compiled(registry=registry)
    lone = "  other: {kind: right, worth: 1.00}\n"
    text = SHOP[: SHOP.index("coupons:\n")] + "coupons:\n" + lone
    policy = compile_policy(load_text(text, "shop.yaml", Policy), FIRST, LAST, registry=registry)
    assert policy.coupons == {"other": 6}
    assert policy.tables.coupons["used"].tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert set(policy.tables.coupons["terms"][:6].tolist()) == {NONE}
    assert np.array_equal(policy.tables.terms[:6], before.tables.terms)


def test_an_empty_registry_is_shared_too() -> None:
    registry = Registry()
    compiled(registry=registry)
    assert list(registry.coupons) == list(TERMS_BY_HAND)


def test_a_full_registry_says_so() -> None:
    registry = Registry(coupons={f"c{n}": n for n in range(COUPONS_MAX)})
    with pytest.raises(OverflowError, match="coupons must be at most 60 at a time"):
        registry.claim_coupon("new")
    registry = Registry(terms={(n,): n for n in range(TERMS_MAX)})
    assert registry.claim_terms((7,)) == 7
    with pytest.raises(OverflowError, match="terms of coupons must be at most 30000 rows ever"):
        registry.claim_terms((TERMS_MAX,))


def test_a_policy_without_coupons_has_tables_of_one_idle_row() -> None:
    text = SHOP[: SHOP.index("budgets:\n")] + SHOP[SHOP.index("campaigns:\n") :].replace(
        "    coupon: full_100_10\n    issue: direct\n    cost: 0.05\n    budget: messages\n", ""
    )
    tables = compile_policy(load_text(text, "shop.yaml", Policy), date(2026, 3, 1), LAST).tables
    assert [len(table) for table in (tables.terms, tables.coupons, tables.budgets)] == [1, 1, 1]
    assert tables.coupons[0].used == 0 and tables.budgets[0].used == 0
    assert set(tables.channel_budgets.tolist()) == {NONE}
