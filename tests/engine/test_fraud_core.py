"""The forty core rules with the bounds they are shipped with: just under, just over, at the window's edge; and off.

What only counts is written by its own row. The others have scenes: what happens, a row each, the ask in question last.
"""

from typing import Any

import pytest

from engine.coupon_records import ASK, RequestKind
from engine.fraud_records import JUDGED_MASK, ORIGIN
from engine.policy.fraud import core_rules
from engine.policy.fraud_rules import RuleRow
from engine.records import DAY_MS, EVENT, HOUR_MS, NONE, EventKind, records
from engine.reference_wallet import ASKING
from tests.engine.coupon_traffic import Happening
from tests.engine.test_fraud import FraudBench
from tests.engine.test_wallets import cart_line

CASES = {"under": False, "over": True, "in": True, "out": False}
ALL_ON: dict[str, Any] = {name: {} for name in core_rules()}


def asks(ask: str, *times: str) -> str:
    return "\n".join(f"{at}  {ask}" for at in times)


def gives(first: str, last: str) -> str:
    """Four customers give the same one a coupon, the fourth later."""
    claims = asks("{} claim gift", *["9h"] * 4).format("ann", "bob", "gold", "tom")
    given = asks("{} give 0 kid", *[first] * 3, last).format("ann", "bob", "gold", "tom")
    return f"{claims}\n9h+1s  settle\n{given}"


def joins(*devices: int) -> str:
    """People join a group one second after the other, each with a device."""
    people = ("ann", "bob", "kid", "eve", "gold")[: len(devices)]
    joined = enumerate(zip(people, devices, strict=True))
    return "\n".join(f"9h+{n}s  {who} group_join group:1 dev:{device}" for n, (who, device) in joined)


BLOCKED = "9h  people list bob block 1h\n9h  settle\n"
AT_HAND = "9h  ann claim gift\n9h+1s  settle\n"
UNPAID = asks("ann order {} 1.00x1", *["9h"] * 5)
PAGES = asks("ann page_view", *["9h"] * 5)
INVITED = "9h  ann login ip:1\n"
IN_WUHAN = "9h  ann page_view city:wuhan\n"
PROXY = "9h  bob check_in ip:3405803784\n9h+1s  settle\n"

# Rule: its scenes. `in` and `out` are at the edge of a window, or of what else the rule goes by.
SCENES: dict[str, dict[str, str]] = {
    "claims_per_campaign": {
        "under": "9h  ann claim stamp from:hello",
        "over": "9h  ann claim stamp from:hello\n9h+1s  settle\n9h+1s  ann claim stamp from:hello",
        "in": "9h  ann claim stamp from:hello\n9h+1s  settle\n720h  ann claim stamp from:hello",
        "out": "9h  ann claim stamp from:hello\n9h+1s  settle\n9h+1s  bob claim stamp from:hello",
    },
    "young_account": {  # tom joined at 0:00
        "under": "9h  tom claim nearly",
        "over": "9h  tom claim fifty",
        "in": "24h-1ms  tom claim fifty",
        "out": "24h  tom claim fifty",
    },
    "self_referral": {
        "under": "9h  ann login dev:1 card:2 addr:3\n9h  bob register by:ann dev:2 card:3 addr:1",
        "over": "9h  ann login dev:1 card:2 addr:3\n9h  bob register by:ann addr:3",
        "in": f"{INVITED}9h+10min-1ms  bob register by:ann ip:1",
        "out": f"{INVITED}9h+10min  bob register by:ann ip:1",
    },
    "referral_cycle": {
        "under": "9h  ann register by:bob\n9h  bob register by:kid",
        "over": "9h  ann register by:bob\n9h  bob register by:ann",
        "in": "9h  ann register by:bob\n9h  bob register by:kid\n9h  kid register by:eve\n9h  eve register by:gold\n"
              "9h  gold register by:ann",
        "out": "9h  ann register by:bob\n9h  bob register by:kid\n9h  kid register by:eve\n9h  eve register by:gold\n"
               "9h  gold register by:tom\n9h  tom register by:ann",
    },
    "unpaid_orders": {
        "under": f"{UNPAID.format(1, 2, 3, 4, 5)}\n9h+1s  ann pay 5\n9h+15min  ann order 6 1.00x1",
        "over": f"{UNPAID.format(1, 2, 3, 4, 5)}\n9h+15min  ann order 6 1.00x1",
        "in": f"{UNPAID.format(1, 2, 3, 4, 5)}\n9h+45min-1ms  ann order 6 1.00x1",
        "out": f"{UNPAID.format(1, 2, 3, 4, 5)}\n9h+45min  ann order 6 1.00x1",
    },
    "retry_after_decline": {
        "under": "9h  bob payment_declined\n9h  ann pay 1",
        "over": "9h  ann payment_declined\n9h  ann pay 1",
        "in": "9h  ann payment_declined\n9h+1min-1ms  ann pay 1",
        "out": "9h  ann payment_declined\n9h+1min  ann pay 1",
    },
    "impossible_travel": {  # 44 km; 647,997 m, which take 2,332.79 s
        "under": f"{IN_WUHAN}9h  ann order 1 1.00x1 city:near",
        "over": f"{IN_WUHAN}9h  ann order 1 1.00x1 city:xian",
        "in": f"{IN_WUHAN}9h+2332789ms  ann order 1 1.00x1 city:xian",
        "out": f"{IN_WUHAN}9h+2332790ms  ann order 1 1.00x1 city:xian",
    },
    "outside_region": {
        "under": "9h  ann claim local city:wuhan",
        "over": "9h  ann claim local city:xian",
        "in": "9h  ann claim local city:wuhan\n9h+1s  settle\n9h+1s  ann use 0 city:xian",
        "out": "9h  ann claim local city:wuhan\n9h+1s  settle\n9h+1s  ann use 0 city:wuhan",
    },
    "listed": {
        "under": f"{BLOCKED}9h  ann order 1 1.00x1",
        "over": "9h  ann claim stamp dev:66",
        "in": f"{BLOCKED}10h-1ms  bob order 1 1.00x1",
        "out": f"{BLOCKED}10h  bob order 1 1.00x1",
    },
    "proxy_ip": {
        "under": "9h  ann claim stamp ip:3405803783",
        "over": "9h  ann claim stamp ip:3405803784",
        "in": f"{PROXY}10h-1ms  bob order 1 1.00x1",
        "out": f"{PROXY}10h  bob order 1 1.00x1",
    },
    "bot_pace": {
        "under": asks("ann cancel 1", *(f"9h+{n * 799}ms" for n in range(100))),
        "over": asks("ann cancel 1", *(f"9h+{n * 799}ms" for n in range(100))) + "\n9h+79900ms  ann claim stamp",
        "in": asks("ann cancel 1", *["9h"] * 400) + "\n9h+5min-1ms  ann claim stamp",
        "out": asks("ann cancel 1", *(f"9h+{n * 800}ms" for n in range(100))) + "\n9h+80s  ann claim stamp",
    },
    "claim_without_browsing": {
        "under": f"{PAGES}\n{asks('ann claim stamp', '9h', '9h', '9h')}",
        "over": asks("ann claim stamp", "9h", "9h", "9h"),
        "in": asks("ann claim stamp", "9h", "9h", "9h+30min-1ms"),
        "out": asks("ann claim stamp", "9h", "9h", "9h+30min"),
    },
    "script_user_agent": {
        "under": "9h  ann order 1 1.00x1 agent:browser",
        "over": "9h  ann order 1 1.00x1 agent:script",
        "in": f"{AT_HAND}9h+2s  ann give 0 bob agent:script",
        "out": "9h  ann page_view agent:script\n9h  ann order 1 1.00x1 agent:app",
    },
    "coupons_gathered": {
        "under": gives("9h+2s", "9h+2s").rsplit("\n", 1)[0],
        "over": gives("9h+2s", "9h+2s"),
        "in": gives("24h", "48h-1ms"),
        "out": gives("24h-1ms", "24h"),
    },
    "group_collusion": {
        "under": joins(1, 2, 3, 1),
        "over": joins(1, 2, 3, 1, 3),
        "in": f"{joins(1, 2, 1)}\n9h+3s  settle\n9h+3s  kid order 1 1.00x1",
        "out": f"{joins(1, 2, 1)}\n9h+3s  settle\n9h+3s  ann order 1 1.00x1",
    },
}  # fmt: skip


def test_every_core_rule_is_in_the_table() -> None:
    """Forty, as numbered; and those without a scene are told by their own row: they only count."""
    assert [row.number for row in core_rules().values()] == list(range(1, 41))
    assert all(set(scenes) == set(CASES) for scenes in SCENES.values())
    assert {name for name, row in core_rules().items() if not only_counts(row)} - set(SCENES) == set()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", core_rules())
def test_a_core_rule_at_its_bounds(name: str, case: str) -> None:
    """As many as it lets be; one more; the last instant at which that is too many, and the next."""
    assert fires(name, case, {name: {}}) == CASES[case]


@pytest.mark.parametrize("name", core_rules())
def test_a_core_rule_that_is_off_is_missed(name: str) -> None:
    """With the whole core on its row holds; without this one it does not, whatever the others do."""
    assert is_right(name, ALL_ON)
    assert not is_right(name, ALL_ON | {name: {"mode": "off"}})


def is_right(name: str, rules: dict[str, Any]) -> bool:
    return fires(name, "over", rules) and fires(name, "in", rules)


def fires(name: str, case: str, rules: dict[str, Any]) -> bool:
    """Whether a rule fires on what a case ends with: in the shard, at the Ledger, or by a mark."""
    bench = FraudBench(rules, young="tom")
    said = live_scene(bench, SCENES[name][case]) if name in SCENES else live_row(bench, core_rules()[name], case)
    slot, replies = bench.slot(name), bench.settled.replies
    marked = any((reply["kind"], reply["rule"]) == (RequestKind.OBSERVED, slot) for reply in replies)
    return marked or any(one.get("fired", 0) >> slot & 1 for one in [*said, *replies])


def live_scene(bench: FraudBench, scene: str) -> list[dict[str, int]]:
    """The receipts since the last settlement of the scene; another one follows."""
    said: list[dict[str, int]] = []
    for row in scene.split("\n"):
        receipt = bench.live(f"{row}  *")
        said = [] if row.endswith("settle") else [*said, receipt]
    bench.live(f"{row.split()[0]}  settle")
    return said


# --- rules that only count --------------------------------------------------------------------------------------------
def only_counts(row: RuleRow) -> bool:
    """The others have scenes."""
    return row.check == "count" and not row.granted and row.count not in (["order_unpaid"], ["transfer"])


FIRST_MS = {"night_burst": HOUR_MS}  # an hour of the night; of others nine o'clock


def live_row(bench: FraudBench, row: RuleRow, case: str) -> list[dict[str, int]]:
    """As many events as the case is about; the receipts."""
    first, last = ends(row, FIRST_MS.get(name_of(row), 9 * HOUR_MS), case)
    count = (row.more_than or 0) + (case != "under")
    said = [bench.take_one(deed(bench, row, n, bench.shop.start + (last if n else first))) for n in range(count)]
    if row.kinds & ~JUDGED_MASK:  # it judges others than it counts
        said.append(bench.take(bench.shop.start + last, "ann", ["order", "99", "1.00x1"]))
    bench.settle(bench.shop.start + last)
    return said


def name_of(row: RuleRow) -> str:
    return next(name for name, one in core_rules().items() if one is row)


def ends(row: RuleRow, first: int, case: str) -> tuple[int, int]:
    """When the first of the events happens, and when all others do."""
    if case in ("under", "over"):
        return first, first
    if row.within == "day":
        return (DAY_MS, 2 * DAY_MS - 1) if case == "in" else (DAY_MS - 1, DAY_MS)
    assert isinstance(row.within, int)
    return first, first + row.within - (case == "in")


def deed(bench: FraudBench, row: RuleRow, n: int, t: int) -> Happening:
    """The nth event that a rule counts: of another customer, or with another value, where it counts different ones."""
    event, ask = records(1, EVENT)[0], dict.fromkeys(ASK.names or (), 0)
    event.campaign = event.exposure = event.channel = event.moment = event.page = event.city = event.ask = NONE
    kind = (row.count or ["any"])[0]
    event.time_ms, event.sequence, event.customer = t, n, n if row.different == "customer" else 0
    event.kind, event.amount = EventKind["PAGE_VIEW" if kind == "any" else kind.upper()], 100
    ask |= dict.fromkeys(("claim", "campaign", "place"), NONE)
    ask |= {"coupon": bench.shop.registry.coupons["stamp"], "order": n + 1, "other": 8, "lines": 1}
    origin = dict.fromkeys(ORIGIN.names or (), NONE)
    for field, value in ((row.per, 1), (row.different, n + 1)):
        name = "device_id" if field == "device" else field
        if name in origin:
            origin[name] = value
    lines = (cart_line("1.00", "1"),) if event.kind == EventKind.ORDER else ()
    return Happening(event, ask if event.kind in ASKING else None, lines, origin)
