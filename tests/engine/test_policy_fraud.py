"""The fraud block of a policy: the forty rows against their page, broken documents, tables, lists, lint."""

import pickle
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.fraud_records import ALL_KINDS, JUDGED_MASK, RULE, RULES_MAX, Check, Field, Home, Mode, Verdict
from engine.policy.document import Policy
from engine.policy.fraud import core_rules
from engine.policy.lint import lint
from engine.policy.lint_fraud import FRAUD_CHECKS
from engine.policy.registry import Registry
from engine.policy.schema import policy_schema
from engine.policy.tables import CompiledPolicy, compile_policy
from engine.policy.yaml_source import DocumentError, load, load_text
from engine.records import ACCEPT, NEVER_MS, NONE, PER_DAY, PER_ROLLING, EventKind

HEAD = """\
policy: shop
time_zone: Asia/Shanghai
provider: Example Shop
names:
  pages: [home]
  cities: [beijing, wuhan, shanghai]
  topics: [offers]
coupons:
  ten: {kind: amount_off, off: 10.00, over: 100.00, pieces: 10, fallback: five, regions: [wuhan]}
  five: {kind: amount_off, off: 5.00, over: 100.00, pieces: 10}
campaigns:
  autumn:
    purpose: activation
    topic: offers
    channel: inbox
    trigger: {on: login}
    goal: {event: payment}
    value: 30.00
    coupon: ten
    response: {shown: 2%, otherwise: 1%}
    creative: {text: "10 off 100"}
"""
BASE = (
    HEAD
    + """\
fraud:
  include: core
  appeal: "95588"
  rules:
    claims_a_day: {more_than: 5}
    my_rule:
      count: [claim]
      different: customer
      per: device
      within: 1h
      more_than: 5
      answer: challenge
      mode: active
      where: amount <= 100.00
  lists:
    block: [{field: device, values: [7]}]
    allow: [{field: ip, values: [203.0.113.7], until: 2027-01-01}]
  proxies: {ranges: [203.0.113.0/24]}
  places:
    beijing: {latitude: 39.9042, longitude: 116.4074}
    wuhan: {latitude: 30.5928, longitude: 114.3055}
"""
)
DAY = date(2026, 11, 1)


def compiled(text: str, registry: Registry | None = None) -> CompiledPolicy:
    return compile_policy(load_text(text, "shop.yaml", Policy), DAY, DAY, registry=registry)


def edited(text: str, *edits: tuple[str, str]) -> str:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def rule(policy: CompiledPolicy, name: str) -> Any:
    return policy.tables.rules[policy.rules[name]]


def listed(policy: CompiledPolicy) -> Any:
    """Rows of LISTED."""
    return policy.tables.listed


# --- The forty --------------------------------------------------------------------------------------------------------
# Written from the page of the core rules, row by row. T: the kinds of fine print 17; `any`: every kind.
T = "register login login_failed claim order payment payment_declined redeem check_in transfer money_transfer"
ASKS = "claim checkout order payment cancel refund transfer redeem"
FORTY = f"""
1  | L | campaign | claim                      |          | ever  | 1    | deny
2  | S | customer | claim                      |          | day   | 3    | deny
3  | L | ip       | claim                      |          | 1h    | 20   | challenge
4  | L | device   | claim                      |          | 1h    | 5    | challenge
5  | L | device   | {T}                        | customer | 24h   | 3    | deny
6  | L | ip       | login                      | customer | 5min  | 5    | challenge
7  | L | ip       | {T}                        | device   | 5min  | 5    | review
8  | S | customer | any                        | device   | 5min  | 2    | challenge
9  | S | customer | any                        | ip       | 5min  | 5    | challenge
10 | L | ip       | register                   |          | 10min | 5    | weaker
11 | L | device   | register                   |          | 24h   | 2    | deny
12 | S | customer |                            |          | 24h   | 50.00 | weaker    | young_account  | claim
13 | L | code     | register                   |          | 1h    | 3    | review
14 | L | customer | {T}                        |          | ever  |      | deny      | self_referral
15 | L | customer | register                   |          | ever  |      | deny      | referral_cycle
16 | S | customer | order_unpaid               |          | 30min | 4    | deny      | count          | order
17 | S | customer | cancel                     | order    | 30min | 3    | weaker
18 | L | address  | redeem                     | customer | day   | 5    | review
19 | S | customer | any                        | address  | 1h    | 2    | review
20 | L | device   | order                      | customer | 30min | 1    | challenge
21 | L | ip       | order                      | customer | 30min | 3    | review
22 | L | card     | payment payment_declined   |          | 1h    | 3    | deny
23 | S | customer | any                        | card     | day   | 5    | deny
24 | L | card     | payment payment_declined   | customer | 24h   | 2    | review
25 | S | customer | payment_declined           |          | 60s   |      | challenge | after_decline  | payment
26 | S | customer | payment_declined           |          | 5min  | 3    | deny
27 | S | customer | any                        |          | ever  | 50000m | challenge | travel
28 | S | customer |                            |          | ever  |      | deny      | region         | claim redeem
29 | L | customer | {T}                        |          | ever  |      | deny      | listed
30 | L | ip       | {T}                        |          | 1h    |      | challenge | ip_range
31 | S | customer | {ASKS}                     |          | 5min  | 100 800ms | challenge | pace
32 | S | customer | claim                      |          | 30min | 2 4views | weaker | no_browsing    | claim
33 | S | customer | money_transfer             |          | 1h    | 5    | review
34 | S | customer | order                      |          | 1h    | 5    | review
35 | S | customer | login_failed               |          | 10min | 5    | challenge
36 | L | ip       | login_failed               | customer | 10min | 3    | challenge
37 | S | customer |                            |          | ever  |      | deny      | script
38 | L | device   | check_in                   | customer | 5min  | 5    | deny
39 | L | receiver | transfer                   | customer | day   | 3    | review
40 | L | group    | group_join                 |          | ever  | 50%  | deny      | collusion
"""
WINDOWS = {
    "ever": NEVER_MS, "day": 0, "60s": 60_000, "5min": 300_000, "10min": 600_000, "30min": 1_800_000, "1h": 3_600_000,
    "24h": 86_400_000,
}  # fmt: skip
BOUNDS = {  # words of the table: most, amount
    "": (0, 0), "50.00": (0, 5_000), "50000m": (0, 50_000), "100 800ms": (100, 800), "2 4views": (2, 4),
    "50%": (0, 500_000),
}  # fmt: skip
JUDGED_KINDS = {"claim", "order", "payment", "redeem", "transfer"}


def mask(words: str) -> int:
    return ALL_KINDS if words == "any" else sum(1 << EventKind[word.upper()] for word in words.split())


def expected(line: str) -> tuple[int, dict[str, int]]:
    """Number of the rule and every field of RULE that the page settles."""
    cells = [cell.strip() for cell in line.split("|")]
    number, home, key, kinds, different, window, fires, answer = cells[:8]
    check, judges = [*cells[8:], "count", ""][:2] if len(cells) == 8 else [*cells[8:], ""][:2]
    most, amount = BOUNDS[fires] if fires in BOUNDS else (int(fires), 0)
    if not judges:
        judges = kinds if kinds and set(kinds.split()) <= JUDGED_KINDS else " ".join(JUDGED_KINDS)
    return int(number), {
        "home": Home.SHARD if home == "S" else Home.LEDGER, "key": Field[key.upper()], "kinds": mask(kinds),
        "different": Field[different.upper()] if different else NONE, "window_ms": WINDOWS[window],
        "per": PER_DAY if window == "day" else PER_ROLLING,
        "most": most, "amount": amount, "verdict": Verdict[answer.upper()],
        "check": Check[check.upper()], "judges": mask(judges), "mode": Mode.ACTIVE, "granted": number == "1", "used": 1,
    }  # fmt: skip


@pytest.mark.parametrize("line", FORTY.strip().splitlines())
def test_a_core_rule_is_as_the_page_says(line: str) -> None:
    number, wanted = expected(line)
    rules: Any = compiled(HEAD + "fraud: {include: core}\n").tables.rules
    (row,) = rules[rules["number"] == number]
    assert {name: int(row[name]) for name in wanted} == {name: int(value) for name, value in wanted.items()}


def test_the_core_is_forty_rows() -> None:
    core = core_rules()
    assert [row.number for row in core.values()] == list(range(1, 41))
    assert [expected(line)[0] for line in FORTY.strip().splitlines()] == list(range(1, 41))
    conditions = {name: row.where for name, row in core.items() if row.where is not None}
    assert conditions == {"small_transfers": "amount <= 100.00", "night_burst": "hour < 6"}


# --- Documents --------------------------------------------------------------------------------------------------------
def problems(text: str) -> list[str]:
    try:
        load_text(text, "shop.yaml", Policy)
    except DocumentError as error:
        return [problem.removeprefix("shop.yaml:") for problem in error.problems]
    return []


def test_the_base_is_right() -> None:
    assert problems(BASE) == []


MINE = "fraud.rules.my_rule"
CHANGE = "    claims_a_day: {more_than: 5}"
# One edit (old → new) of BASE each, and everything that is then said.
BROKEN: list[tuple[str, str, list[str]]] = [
    ("include: core", "include: all", [
        "23: fraud.include must be one of core (got all)"
    ]),
    ("more_than: 5}", "more_than: 401}", ["26: fraud.rules.claims_a_day.more_than must be <= 400 (got 401)"]),
    ("more_than: 5}", "mode: of}", ["26: fraud.rules.claims_a_day.mode must be one of off, shadow, active (got of)"]),
    ("more_than: 5}", "mode: false}", [
        "26: fraud.rules.claims_a_day.mode must be one of off, shadow, active (got false)"
    ]),
    ("more_than: 5}", "answer: allow}", [
        "26: fraud.rules.claims_a_day.answer must be one of weaker, challenge, review, deny (got allow)"
    ]),
    (CHANGE, "    claims_per_day: {more_than: 5}", [
        ("26: fraud.rules.claims_per_day must be a rule of the core, or have count and per (got claims_per_day, did you"
         " mean claims_a_day?)")
    ]),
    (CHANGE, "    claims_a_day: {count: [order], per: ip, different: card, granted: true, worth: 5, judges: [order]}", [
        *(
            f"26: fraud.rules.claims_a_day.{name} must not be changed of a core rule: give a rule of your own another"
            " name"
            for name in ("count", "different", "per", "granted")
        ),
        "26: fraud.rules.claims_a_day.worth must not be here: the rule does not go by it (it has within, more_than)",
        "26: fraud.rules.claims_a_day.judges[0] must be among what the rule judges: claim (got order)",
    ]),
    (CHANGE, "    script_user_agent: {within: 1h}", [
        "26: fraud.rules.script_user_agent.within must not be here: the rule does not go by it (it has no bound)"
    ]),
    (CHANGE, "    claims_a_day: {number: 7}", [
        ("26: fraud.rules.claims_a_day.number must not be here (known: count, where, different, per, within, more_than,"
        " granted, judges, worth, metres, gap, views, share, keys, answer, mode)")
    ]),
    ("within: 1h", "within: week", [f"31: {MINE}.within must be day or a duration like 1h (got week)"]),
    ("within: 1h", "within: 0s", [f"31: {MINE}.within must be longer than 0s (got 0s)"]),
    ("      more_than: 5\n", "", [f"27: {MINE}.more_than must be given"]),
    ("      more_than: 5\n", "      more_than: -1\n", [f"32: {MINE}.more_than must be >= 0 (got -1)"]),
    ("      more_than: 5\n", "      more_than: 5\n      share: 5%\n", [
        f"33: {MINE}.share must not be here: the rule does not go by it (it has within, more_than)"
    ]),
    ("      count: [claim]\n", "", [f"27: {MINE}.count must be given"]),
    ("count: [claim]", "count: [claims]", [
        (f"28: {MINE}.count[0] must be one of any, login, login_failed, register, page_view, page_dwell, page_leave,"
        " slot_view, balance_query, bill_viewed, payment, payment_declined, top_up, card_bound, feature_used,"
        " instalment, claim, checkout, order, order_unpaid, cancel, refund, transfer, redeem, click, close, mute,"
        " snooze, complaint, check_in, money_transfer, group_join (got claims)")
    ]),
    ("count: [claim]", "count: [claim, claim]", [f"28: {MINE}.count[1] must be given once (got claim again)"]),
    ("count: [claim]", "count: [any, claim]", [
        f"28: {MINE}.count must be [any] or a list of kinds (got any, claim)"
    ]),
    ("count: [claim]", "count: []", [f"28: {MINE}.count must have at least 1 entry (got 0)"]),
    ("different: customer", "different: device", [
        f"29: {MINE}.different must be another field than per: there is one of it (got device)"
    ]),
    ("different: customer", "different: order", [
        f"29: {MINE}.different must be order only with per: customer (got per: device)",
        (f"29: {MINE}.different must be of an event that it counts: only order, payment, cancel, refund, order_unpaid"
        " has one (got order)"),
    ]),
    ("per: device", "per: receiver", [
        f"30: {MINE}.per must be of an event that it counts: only transfer has one (got receiver)"
    ]),
    ("      per: device", "      per: customer\n      granted: true", [
        f"29: {MINE}.different must be another field than per: there is one of it (got customer)",
        f"31: {MINE}.granted must be true only with per: campaign, or a key that customers share (got true)",
    ]),
    ("count: [claim]", "count: [order]\n      granted: true", [
        f"29: {MINE}.granted must be true only with count: [claim] (got true)"
    ]),
    ("      answer: challenge\n", "      judges: [claim, order]\n", [
        f"27: {MINE}.answer must be given",
        f"33: {MINE}.judges[1] must be among what the rule judges: claim (got order)",
    ]),
    ("amount <= 100.00", "ip == 5", [
        f"35: {MINE}.where must be a condition on facts: count by it with per, or list its values (ip) (got ip == 5)"
    ]),
    ("amount <= 100.00", "amount <= 100.001", [
        (f"35: {MINE}.where must be a condition: 100.001 must be yuan with at most two decimals, like 50.00"
        " (got amount <= 100.001)")
    ]),
    ("values: [7]", "values: [7, x, 012]", [
        "37: fraud.lists.block[0].values[1] must be a whole number, as events carry it, like 10086 (got x)",
        "37: fraud.lists.block[0].values[2] must be a whole number, as events carry it, like 10086 (got 012)",
    ]),
    ("values: [7]", "values: [9223372036854775808]", [
        ("37: fraud.lists.block[0].values[0] must be a whole number, as events carry it, like 10086 (got"
        " 9223372036854775808)")
    ]),
    ("field: device", "field: code", [
        "37: fraud.lists.block[0].field must be one of customer, device, ip, card, address (got code)"
    ]),
    (", values: [7]", "", ["37: fraud.lists.block[0] must have either values or file (got neither)"]),
    (", values: [7]", ", values: [7], file: a.csv", [
        "37: fraud.lists.block[0] must have either values or file (got both)",
        "37: fraud.lists.block[0].file must be a CSV file beside the policy: a.csv (got no such file)",
    ]),
    ("values: [7]", "file: ../a.csv", [
        ("37: fraud.lists.block[0].file must be the name of a CSV file beside the policy, like blocked.csv (got"
        " ../a.csv)")
    ]),
    ("[203.0.113.7]", '["2001:db8::1"]', [
        ("38: fraud.lists.allow[0].values[0] must be an IPv4 address like 203.0.113.7, for events carry no IPv6"
         " (got 2001:db8::1)"),
    ]),
    ("[203.0.113.0/24]", '["2001:db8::/32"]', [
        ("39: fraud.proxies.ranges[0] must be an IPv4 range like 203.0.113.0/24, for events carry no IPv6"
         " (got 2001:db8::/32)"),
    ]),
    ("[203.0.113.7]", "[203.0.113.7, 203.0.113.256]", [
        "38: fraud.lists.allow[0].values[1] must be an IPv4 address like 203.0.113.7 (got 203.0.113.256)"
    ]),
    ("until: 2027-01-01", "until: 2027-13-01", [
        "38: fraud.lists.allow[0].until must be a date of the calendar (got 2027-13-01)"
    ]),
    ("[203.0.113.0/24]", "[203.0.113.7/24, 10.0.0.0/33]", [
        ("39: fraud.proxies.ranges[0] must be an IPv4 range like 203.0.113.0/24, beginning at a multiple of its size"
        " (got 203.0.113.7/24)"),
        "39: fraud.proxies.ranges[1] must be an IPv4 range like 203.0.113.0/24 (got 10.0.0.0/33)",
    ]),
    ("    beijing: {", "    bejing: {", [
        ("41: fraud.places.bejing must be one of names.cities: beijing, wuhan, shanghai (got bejing, did you mean"
        " beijing?)")
    ]),
    ("latitude: 39.9042", "latitude: 99", ["41: fraud.places.beijing.latitude must be <= 90 (got 99)"]),
    (", longitude: 116.4074", "", ["41: fraud.places.beijing.longitude must be given"]),
    ("  include: core", "  keys: 0", [
        "23: fraud.keys must be >= 1 (got 0)",
        "26: fraud.rules.claims_a_day must be included by include: core, or have count and per (got claims_a_day)",
        "36: fraud.lists must be given only with include: core: its rule listed goes by it",
        "39: fraud.proxies must be given only with include: core: its rule proxy_ip goes by it",
        "40: fraud.places must be given only with include: core: its rule impossible_travel goes by it",
    ]),
    ("  lists:", "  list:", [("36: fraud.list must not be here (did you mean 'lists'? known: include, appeal, rules,"
                             " lists, proxies, places, keys, let_through)")]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), BROKEN, ids=[new for _, new, _ in BROKEN])
def test_a_broken_document_is_told(old: str, new: str, said: list[str]) -> None:
    assert sorted(problems(edited(BASE, (old, new)))) == sorted(said)


def test_everything_is_told_at_once() -> None:
    broken = edited(BASE, ("more_than: 5}", "more_than: x}"), ("values: [7]", "values: [-1]"), ("39.9042", "north"))
    assert [problem.split(" ")[1] for problem in problems(broken)] == [
        "fraud.rules.claims_a_day.more_than", "fraud.lists.block[0].values[0]", "fraud.places.beijing.latitude"
    ]  # fmt: skip


def test_rules_are_few() -> None:
    own = "".join(
        f"    rule_{n}: {{count: [claim], per: ip, more_than: 1, answer: deny}}\n" for n in range(RULES_MAX - 40)
    )
    assert problems(edited(BASE, (CHANGE + "\n", own))) == [
        "25: fraud.rules must have at most 22 rules of its own beside the 40 of the core (got 23)"
    ]
    alone = HEAD + "fraud:\n  rules:\n" + own
    assert problems(alone) == problems(edited(BASE, (CHANGE + "\n", ""))) == []


# --- Tables -----------------------------------------------------------------------------------------------------------
def test_a_rule_of_its_own_in_yaml_alone() -> None:
    policy = compiled(BASE)
    row = rule(policy, "my_rule")
    assert {name: int(row[name]) for name in ("kinds", "judges", "window_ms", "most", "number", "keys")} == {
        "kinds": 1 << EventKind.CLAIM, "judges": 1 << EventKind.CLAIM, "window_ms": 3_600_000, "most": 5, "number": 0,
        "keys": 50_000,
    }  # fmt: skip
    assert (row.key, row.different, row.home, row.verdict) == (
        Field.DEVICE, Field.CUSTOMER, Home.LEDGER, Verdict.CHALLENGE
    )  # fmt: skip
    assert row.where != ACCEPT and rule(policy, "claims_a_day").where == ACCEPT


CHANGED = [  # what a policy says of a core rule → the fields of its row that differ from the core's
    ("claims_a_day: {more_than: 9}", {"most": 9}),
    ("claims_a_day: {within: 12h}", {"window_ms": 43_200_000, "per": PER_ROLLING}),
    ("claims_per_ip: {within: day}", {"window_ms": 0, "per": PER_DAY}),
    ("claims_a_day: {mode: off}", {"mode": Mode.OFF}),
    ("claims_a_day: {mode: shadow}", {"mode": Mode.SHADOW}),
    ("claims_a_day: {answer: review}", {"verdict": Verdict.REVIEW}),
    ("claims_a_day: {}", {}),
    ("bot_pace: {gap: 1s, more_than: 50}", {"amount": 1_000, "most": 50}),
    ("young_account: {worth: 10.00, within: 2d}", {"amount": 1_000, "window_ms": 172_800_000}),
    ("impossible_travel: {metres: 9000}", {"amount": 9_000}),
    ("claim_without_browsing: {views: 0}", {"amount": 0}),
    ("group_collusion: {share: 30%, within: 30d}", {"amount": 300_000, "window_ms": 2_592_000_000}),
    ("failed_logins: {judges: [claim, transfer]}", {"judges": mask("claim transfer")}),
    ("claims_per_ip: {keys: 9}", {"keys": 9}),
]


@pytest.mark.parametrize(("change", "differs"), CHANGED, ids=[change for change, _ in CHANGED])
def test_a_core_rule_is_changed_field_by_field(change: str, differs: dict[str, int]) -> None:
    before, after = (
        compiled(HEAD + "fraud: {include: core}\n"),
        compiled(HEAD + f"fraud:\n  include: core\n  rules: {{{change}}}\n"),
    )
    for name in before.rules:
        wanted = {field: before.tables.rules[before.rules[name]][field] for field in RULE.names or ()}
        wanted |= differs if name == change.split(":")[0] else {}
        assert {field: rule(after, name)[field] for field in wanted} == wanted, name


def test_off_is_understood_however_it_is_written() -> None:
    for word in ("off", '"off"', "'off'"):
        policy = compiled(edited(BASE, ("more_than: 5}", f"mode: {word}}}")))
        assert rule(policy, "claims_a_day").mode == Mode.OFF


def test_a_rule_hears_what_it_counts_and_judges_and_nothing_else() -> None:
    policy = compiled(edited(BASE, ("more_than: 5}", "mode: off}")))
    tables = policy.tables
    assert tables.listening_bounds[0] == 0 and tables.listening_bounds[-1] == len(tables.listening)
    for kind in range(64):
        slots = tables.listening[tables.listening_bounds[kind] : tables.listening_bounds[kind + 1]]
        heard = {
            slot
            for name, slot in policy.rules.items()
            if tables.rules[slot].mode != Mode.OFF
            and (
                (int(tables.rules[slot].kinds) | int(tables.rules[slot].judges)) >> kind & 1
                or (tables.rules[slot].check == Check.NO_BROWSING and kind == EventKind.PAGE_VIEW)
            )
        }
        assert list(slots) == sorted(heard), kind


def test_a_policy_without_fraud_has_no_rules() -> None:
    tables = compiled(HEAD).tables
    assert (len(tables.rules), len(tables.listening), len(tables.listed), len(tables.ranges)) == (0, 0, 0, 0)
    assert (tables.metres == NONE).all()


def test_names_keep_their_slots() -> None:
    registry = Registry()
    first = compiled(HEAD + "fraud: {rules: {mine: {count: [claim], per: ip, more_than: 1, answer: deny}}}\n", registry)
    second = compiled(BASE, registry)
    assert first.rules == {"mine": 0} and second.rules["claims_per_campaign"] == 1
    assert second.tables.rules[0].used == 0 and second.tables.rules[0].name_hash == first.tables.rules[0].name_hash
    assert len(set(second.rules.values())) == 41 and "mine" not in second.rules
    for number in range(RULES_MAX - 42):
        registry.claim_rule(f"rule_{number}")
    with pytest.raises(OverflowError, match="fraud rules must be at most 62 at a time"):
        registry.claim_rule("one_more")


def test_kinds_of_asks_are_judged_by_what_is_counted() -> None:
    rules: Any = compiled(BASE).tables.rules
    assert {int(row.judges) for row in rules[rules["number"] == 22]} == {JUDGED_MASK}
    assert all(int(row.judges) & ~JUDGED_MASK == 0 and row.judges for row in rules)


# --- Places -----------------------------------------------------------------------------------------------------------
def test_metres_between_cities() -> None:
    metres = compiled(BASE).tables.metres
    assert metres[0, 0] == metres[1, 1] == 0
    assert metres[0, 1] == metres[1, 0]
    assert 1_052_000 < metres[0, 1] < 1_055_000  # Beijing – Wuhan by the great circle
    assert (metres[2] == NONE).all() and (metres[:, 2] == NONE).all()
    equator = edited(
        BASE,
        ("39.9042", "0"),
        ("116.4074", "180"),
        ("30.5928", "0"),
        ("114.3055", "-179.5"),
    )
    assert compiled(equator).tables.metres[0, 1] == round(6_371_009 * np.pi / 360)  # across the date line
    poles = edited(BASE, ("39.9042", "90"), ("30.5928", "-90"))
    assert compiled(poles).tables.metres[0, 1] == round(6_371_009 * np.pi)


# --- Lists ------------------------------------------------------------------------------------------------------------
def ip(text: str) -> int:
    a, b, c, d = map(int, text.split("."))
    return ((a * 256 + b) * 256 + c) * 256 + d


def test_lists_in_their_order() -> None:
    lists = """\
    block:
      - {field: device, values: [9, 7]}
      - {field: customer, values: [5], until: 2026-12-01}
      - {field: customer, values: [5], until: 2026-12-03}
    allow:
      - {field: device, values: [7], until: 2026-11-02}
"""
    text = edited(BASE, ("    block: [{field: device, values: [7]}]\n", lists),
                  ("    allow: [{field: ip, values: [203.0.113.7], until: 2027-01-01}]\n", ""))  # fmt: skip
    rows = listed(compiled(text))
    midnight = 1_764_691_200_000 + 365 * 86_400_000  # of 3 December 2026 in Shanghai
    assert [(row.field, row.value, row.allowed) for row in rows] == [
        (Field.CUSTOMER, 5, 0), (Field.DEVICE, 7, 0), (Field.DEVICE, 7, 1), (Field.DEVICE, 9, 0)
    ]  # fmt: skip
    assert rows["until_ms"][0] == midnight and rows["until_ms"][1] == NEVER_MS == rows["until_ms"][3]


def test_ranges_are_merged() -> None:
    ranges = "[10.0.1.0/24, 10.0.0.0/24, 10.0.0.128/25, 192.0.2.1/32, 10.0.3.0/24]"
    table = compiled(edited(BASE, ("[203.0.113.0/24]", ranges))).tables.ranges
    assert [(int(row.first), int(row.last)) for row in table] == [
        (ip("10.0.0.0"), ip("10.0.1.255")), (ip("10.0.3.0"), ip("10.0.3.255")), (ip("192.0.2.1"), ip("192.0.2.1"))
    ]  # fmt: skip


FROM_FILES = edited(
    BASE, ("values: [7]", "file: blocked.csv, until: 2026-12-01"), ("ranges: [203.0.113.0/24]", "file: proxies.csv")
)
FILES = {"blocked.csv": "\ufeffvalue,until\r\n10086,2027-01-01\r\n\r\n10087,\r\n", "proxies.csv": "range\n10.0.0.0/8\n"}


def loaded(folder: Path, files: dict[str, str]) -> Policy:
    for name, text in {"shop.yaml": FROM_FILES, **FILES, **files}.items():
        (folder / name).write_bytes(text.encode())
    return load(folder / "shop.yaml", Policy)


def test_lists_from_files(tmp_path: Path) -> None:
    policy = loaded(tmp_path, {})
    ready = compile_policy(policy, DAY, DAY)
    blocked = listed(ready)[listed(ready)["allowed"] == 0]
    assert [int(value) for value in blocked["value"]] == [10086, 10087]
    assert blocked["until_ms"][0] - blocked["until_ms"][1] == 31 * 86_400_000
    assert [(int(row.first), int(row.last)) for row in ready.tables.ranges] == [(ip("10.0.0.0"), ip("10.255.255.255"))]
    assert set(policy.fraud.files()) == {"blocked.csv", "proxies.csv"}
    assert pickle.loads(pickle.dumps(policy)).fraud.files() == policy.fraud.files(), "worlds are lived elsewhere"
    assert repr(loaded(tmp_path, {"blocked.csv": "value\n1\n"})) != repr(policy), "what is kept of worlds goes by it"


FILE_PROBLEMS = [  # file, text, what is said of it
    ("blocked.csv", "value,until\n1,2027-01-01\nx,\n,\n2,soon\n3\n",
     ("must be right: blocked.csv:3: value must be a whole number, as events carry it, like 10086 (got x);"
     " blocked.csv:5: until must be a date like 2026-11-01 (got soon); blocked.csv:6: columns must be 2 (got 1)")),
    ("blocked.csv", "device\n1\n",
     "must be right: blocked.csv:1: columns must be value, or value and until (got device)"),
    ("blocked.csv", "", "must be right: blocked.csv:1: columns must be value, or value and until (got nothing)"),
    ("blocked.csv", "value\n" + "x\n" * 7, "; and 2 more"),
    ("blocked.csv", "value\n" + "1\n" * 100_001, "must have at most 100000 rows (got 100001)"),
    ("blocked.csv", "v" * 4_000_001, "must be a CSV file of at most 4000000 bytes"),
    ("proxies.csv", "range\n10.0.0.0/8\n10.0.0.1\n10.0.0.1/8\n",
     ("must be right: proxies.csv:4: range must be an IPv4 range like 203.0.113.0/24, beginning at a multiple of its"
     " size (got 10.0.0.1/8)")),
    ("proxies.csv", "range\n" + "".join(f"10.{n >> 7}.{2 * n & 255}.0/24\n" for n in range(4_097)),
     "must be at most 4096 ranges, those that touch taken together (got 4097)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "said"), FILE_PROBLEMS)
def test_a_broken_file_is_told(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(DocumentError) as error:
        loaded(tmp_path, {name: text})
    (problem,) = error.value.problems
    assert said in problem and problem.startswith(f"{tmp_path / 'shop.yaml'}:")


def test_a_file_of_other_bytes_is_told(tmp_path: Path) -> None:
    loaded(tmp_path, {})
    (tmp_path / "blocked.csv").write_bytes(b"value\n\xff\n")
    with pytest.raises(DocumentError, match=r"must be UTF-8 text: .*blocked\.csv \(got byte 0xff\)"):
        load(tmp_path / "shop.yaml", Policy)


# --- Lint -------------------------------------------------------------------------------------------------------------
def findings(text: str) -> list[tuple[str, str]]:
    policy = compiled(text)
    return [(found.code, found.path) for found in lint(policy.policy, policy) if "W27" <= found.code <= "W33"]


SOUND = edited(BASE, ("appeal", "keys: 9\n  appeal"))
PLANTED: list[tuple[tuple[tuple[str, str], ...], list[tuple[str, str]]]] = [
    ((('  appeal: "95588"\n', ""),), [("W27", "fraud.appeal")]),
    (((", fallback: five", ""),), [("W28", "fraud.rules.registrations_per_ip.answer")]),
    ((("until: 2027-01-01", "until: 2026-11-01"),), [("W29", "fraud.lists.allow[0]")]),
    ((("amount <= 100.00", "age < 30 and amount < 5"),), [("W30", f"{MINE}.where")]),
    ((("amount <= 100.00", "purchases_13w > 3"),), [("W31", f"{MINE}.where")]),
    ((("amount <= 100.00", "purchases_13w > 3"), ("mode: active", "mode: off")), []),
    (((", regions: [wuhan]", ", regions: [wuhan], limits: [{most: 2}]"),), [("W32", "campaigns.autumn.coupon")]),
    ((("    wuhan: {lat", "    shanghai: {lat"), (", regions: [wuhan]", "")), [("W33", "coupons")]),
    ((("  proxies: {ranges: [203.0.113.0/24]}\n", ""),), [("W33", "fraud.proxies")]),
    ((("  proxies: {ranges: [203.0.113.0/24]}\n", ""), (CHANGE, "    proxy_ip: {mode: shadow}")), []),
    ((("    wuhan: {latitude: 30.5928, longitude: 114.3055}\n", ""),), [("W33", "fraud.places")]),
]  # fmt: skip


def test_a_sound_policy_is_passed_over_in_silence() -> None:
    assert findings(SOUND) == []
    assert findings(HEAD) == []


@pytest.mark.parametrize(("edits", "said"), PLANTED)
def test_lint_says_it(edits: tuple[tuple[str, str], ...], said: list[tuple[str, str]]) -> None:
    assert findings(edited(SOUND, *edits)) == said


def test_every_check_of_lint_is_planted() -> None:
    assert len({code for _, said in PLANTED for code, _ in said}) == 7 == len(FRAUD_CHECKS) + 1


# --- Editors ----------------------------------------------------------------------------------------------------------
def test_editors_know_the_block() -> None:
    definitions = policy_schema()["$defs"]
    assert set(definitions["Fraud"]["properties"]) == set(Policy.model_fields["fraud"].annotation.model_fields)  # type: ignore[union-attr]
    assert definitions["Rule"]["properties"]["mode"]["enum"] == ["off", "shadow", "active"]
    assert not any(name[0] == "_" for block in definitions.values() for name in block.get("properties", {}))
