"""Claims, orders, refunds, gifts and prizes: the compiled engine against its naive twin, by table and by traffic.

To repeat a failure: pytest tests/engine/test_wallets.py -k SEED; the message names the step and what differed.
"""

import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from engine.coupon_records import (
    ASK,
    LINE,
    ORDERS_MAX,
    WALLET_MAX,
    Answer,
    InstanceMark,
    Life,
    RequestKind,
    Spend,
)
from engine.host.shard import CustomerShard
from engine.policy.registry import Registry
from engine.records import EVENT, HOUR_MS, MINUTE_MS, NEVER_MS, NONE, SECOND_MS, EventKind, records
from engine.rules.slabs import INSTANCES, ORDERS
from tests.engine.coupon_traffic import Happening
from tests.engine.traffic import CREATIVE
from tests.engine.wallet_twins import (
    CUSTOMERS,
    Compiled,
    Naive,
    Shop,
    Step,
    Story,
    difference,
    difference_of_answers,
    difference_of_settlements,
    listed,
    naive_tallies,
    plain,
)

ROOT = Path(__file__).resolve().parents[2]
SEEDS, SEEDS_SHORT, STEPS = 60, 6, 200  # about 2 500 events each


@cache
def story(seed: int) -> Story:
    return Story(seed, STEPS)


def seeds(short: int) -> list[Any]:
    return [pytest.param(seed, marks=[] if seed < short else pytest.mark.long) for seed in range(SEEDS)]


# --- random traffic ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", seeds(SEEDS_SHORT))
def test_compiled_equals_reference(seed: int) -> None:
    told = story(seed)
    twin = Compiled(told.shop, shards=1 + seed % 3, batch=(10_000, 7, 1)[seed % 3])
    for number, step in enumerate(told.steps):
        found = difference(step, twin)
        assert found is None, f"seed {seed}, step {number}, until {step.until}: {found}"
        check_invariants(twin)
    counted = Counter(twin.tallied)
    counted.update(twin.tallies())
    assert +counted == +naive_tallies(told.engine)


def check_invariants(twin: Compiled) -> None:
    """After the replies of a settlement; the Ledger itself looks after what was granted, and its funds."""
    stock = twin.ledger.shared.stock
    lives, prizes = twin.total("lives"), twin.total("prizes")
    assert np.array_equal(prizes[:, Life.REDEEMED], stock["confirmed"]), "prizes collected"
    assert (lives >= 0).all() and (prizes >= 0).all()
    for shard in twin.shards:
        for row in range(len(shard.customers)):
            assert shard.arrays.wallets.due_ms[row] <= next_change_ms(shard, row)


def next_change_ms(shard: CustomerShard, row: int) -> int:
    wallets, times = shard.arrays.wallets, [NEVER_MS]
    for one in listed(wallets.instances, wallets.heads[row, INSTANCES]):
        reserved = one.state == Life.REDEEMED and not one["marks"] & InstanceMark.CLOSED
        if one.state == Life.AVAILABLE or reserved:
            times.append(int(one.expires_ms))
    times += [
        int(o.held_ms) + 15 * MINUTE_MS for o in listed(wallets.orders, wallets.heads[row, ORDERS]) if o.state == 1
    ]
    return min(times)


def test_traffic_reaches_everything() -> None:
    """Or the agreement above would say little."""
    answers: Counter[Any] = Counter()
    states: Counter[Any] = Counter()
    for seed in range(SEEDS_SHORT):
        for step in story(seed).steps:
            for happening, answer in zip(step.happenings, step.answers, strict=True):
                if answer.receipt is not None:
                    answers[EventKind(int(happening.event.kind)).name, answer.receipt["answer"]] += 1
            answers.update((RequestKind(reply["kind"]).name, reply["answer"]) for reply in step.replies)
            states.update((one["state"], one["marks"]) for wallet in step.wallets for one in wallet["instances"])
            states["full"] += sum(len(wallet["instances"]) == WALLET_MAX for wallet in step.wallets)
            states["orders"] += sum(len(wallet["orders"]) == ORDERS_MAX for wallet in step.wallets)
    wanted = {(kind, Answer[word]) for kind, words in REACHED.items() for word in words.split()}
    assert {(kind, answer.name): answers[kind, answer] for kind, answer in wanted if answers[kind, answer] < 2} == {}
    assert states["full"] and states["orders"]
    assert {life for life, _ in (key for key in states if isinstance(key, tuple))} >= set(Life) - {
        Life.FREE,
        Life.WITHDRAWN,
    }
    marks = set(InstanceMark) - {InstanceMark.REVIEWED}  # by fraud rules: tests/engine/test_watch.py
    assert all(any(key[1] & mark for key in states if isinstance(key, tuple)) for mark in marks)


REACHED = {
    "CLAIM": "PENDING ID_REUSED TOO_MANY_IDS NOT_OPEN BLOCKED MINOR PERSONALISATION_OFF NOT_ELIGIBLE LIMIT WALLET_FULL "
    "DONE OUT_OF_STOCK BUDGET FALLBACK DENIED NO_ROOM",
    "RESERVE": "DONE DENIED",
    "CONFIRM": "DONE LAPSED NO_ROOM",
    "CHECKOUT": "DONE CART WAITS",
    "ORDER": "DONE CART NO_ORDER TOO_MANY_ORDERS WAITS",
    "PAYMENT": "DONE NO_ORDER WAITS",
    "CANCEL": "DONE NO_ORDER",
    "REFUND": "DONE NO_ORDER PIECES WAITS",
    "REDEEM": "DONE PENDING NO_COUPON WAITS",
    "TRANSFER": "DONE PENDING NO_COUPON WAITS WALLET_FULL",
}


# --- what holds whatever happens --------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(SEEDS_SHORT))
def test_nobody_is_above_a_limit(seed: int) -> None:
    """Counted from receipts and replies alone, whole windows at a time."""
    told = story(seed)
    names = {slot: name for name, slot in told.shop.registry.coupons.items()}
    granted = {
        (reply["customer"], reply["number"])
        for step in told.steps
        for reply in step.replies
        if reply["kind"] in (RequestKind.CLAIM, RequestKind.RESERVE)
        and reply["answer"] in (Answer.DONE, Answer.FALLBACK)
    }
    for version, policy in enumerate(told.shop.policies):
        claimed: dict[tuple[int, str], list[int]] = defaultdict(list)
        for step in told.steps:
            for request in step.requests if step.version == version else ():
                if (request["customer"], request["number"]) in granted and request["kind"] in (
                    RequestKind.CLAIM,
                    RequestKind.RESERVE,
                ):
                    claimed[request["customer"], names[request["coupon"]]].append(request["time_ms"])
        for (_, name), times in claimed.items():
            for limit in policy.coupons[name].limits or []:
                if isinstance(limit.per, int):
                    windows = [(t - limit.per, t) for t in times]
                    assert max(sum(low < t <= high for t in times) for low, high in windows) <= limit.most
                assert limit.per is not None or len(times) <= limit.most


@pytest.mark.parametrize("seed", range(SEEDS_SHORT))
def test_refunds_are_what_was_paid(seed: int) -> None:
    told = story(seed)
    paid: dict[tuple[int, int], int] = {}
    back: Counter[tuple[int, int]] = Counter()
    seen: set[tuple[int, int]] = set()
    for step in told.steps:
        for happening, answer in zip(step.happenings, step.answers, strict=True):
            kind, who = int(happening.event.kind), int(happening.event.customer)
            if answer.receipt is None or answer.receipt["answer"] != Answer.DONE or happening.ask is None:
                continue
            if happening.ask["id"] and (who, happening.ask["id"]) in seen:
                continue  # said again
            seen.add((who, happening.ask["id"]))
            order = who, happening.ask["order"]
            if kind == EventKind.PAYMENT:
                paid[order], back[order] = answer.receipt["paid"], 0
            elif kind == EventKind.REFUND:
                back[order] += answer.receipt["paid"]
    assert all(back[order] <= paid[order] for order in paid)
    whole = 0
    for customer in range(CUSTOMERS):
        for order in told.engine.wallets.wallet(customer)["orders"]:
            if order["state"] == 2 and all(line["returned"] == line["quantity"] for line in order["lines"]):
                assert order["returned"] == order["paid"] == back[customer, order["number"]]
                whole += 1
    assert sum(back.values()) > 0


def test_a_budget_holds_what_was_granted_and_not_yet_spent() -> None:
    """Reserved at the Ledger = the most that what is open may still cost, told by wallets alone."""
    for seed in range(SEEDS_SHORT):
        told = story(seed)
        open_cost: Counter[int] = Counter()
        for customer in range(CUSTOMERS):
            for one in told.engine.wallets.wallet(customer)["instances"]:
                kept = one["kept"]
                if kept.budget is None or one["prize"]:
                    continue
                if one["state"] in (Life.AVAILABLE, Life.HELD, Life.MOVING):
                    open_cost[kept.budget] += kept.cost_most
                elif one["state"] == Life.REDEEMED and not one["closed"]:
                    open_cost[kept.budget] += kept.cost_most - one["spent"]
        for row in told.ledger.reservations.values():
            if row["budget"] != NONE:
                open_cost[row["budget"]] += row["cost"]
        freed = told.engine.wallets.spend
        for slot, budget in told.ledger.funds.items():
            untold = freed[slot, Spend.FREED] + freed[slot, Spend.REDEEMED]
            assert budget.reserved - untold == open_cost[slot] + moved_twice(told, slot), f"seed {seed}, budget {slot}"


def moved_twice(told: Story, slot: int) -> int:
    """What has arrived in this very settlement is still at its giver as well."""
    arrived = [row for row in told.engine.wallets.requests if row["kind"] == RequestKind.ARRIVED]
    kept = [told.engine.wallets.kept[row["terms"]] for row in arrived]
    return -sum(one.cost_most or 0 for one in kept if one.budget == slot)


# --- one digest -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, SEEDS))])
def test_shards_and_batches_do_not_matter(seed: int) -> None:
    told = story(seed)
    digests = set()
    for shards, batch in ((1, 10_000), (3, 10_000), (2, 1)):
        twin = Compiled(told.shop, shards, batch)
        for step in told.steps:
            twin.live(step)
        digests.add(twin.digest())
    assert len(digests) == 1


def test_compiled_equals_interpreted() -> None:
    command = [sys.executable, "-m", "tests.engine.wallet_twins", "5", "40"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = Story(5, 40)
    twin = Compiled(told.shop)
    for step in told.steps:
        twin.live(step)
    assert done.stdout.strip() == twin.digest()


# --- snapshots --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("at", [STEPS // 5, STEPS * 3 // 5])
@pytest.mark.parametrize("numbers", ["the same", "others"])
def test_a_snapshot_goes_on_to_the_same_digest(at: int, numbers: str) -> None:
    """Taken in the middle of a step: requests wait, orders are held, ids are remembered."""
    told = story(1)
    shop = told.shop if numbers == "the same" else renumbered_shop(told.shop)
    first, second = Compiled(told.shop, 2), Compiled(shop, 2)
    for step in told.steps[:at]:
        first.live(step)
    here = told.steps[at]
    half = len(here.happenings) // 2
    if here.version != first.version:
        first.change_policy()
    first.decide(here.happenings[:half])
    assert any(len(shard.snapshot().requests) for shard in first.shards)
    second.restore(first)
    assert [shard.digest() for shard in second.shards] == [shard.digest() for shard in first.shards]
    for twin, moved in ((first, lambda happening: happening), (second, mover(told.shop.registry, shop.registry))):
        twin.decide([moved(happening) for happening in here.happenings[half:]])
        twin.account(here.until)
        twin.hear()
        for step in told.steps[at + 1 :]:
            twin.live(Step(step.until, step.version, step.bulletin, [moved(h) for h in step.happenings]))
    assert second.digest() == first.digest()


def test_a_policy_that_does_not_know_what_customers_have_is_refused() -> None:
    told = story(1)
    twin = Compiled(told.shop)
    for step in told.steps[: STEPS // 5]:
        twin.live(step)
    tables = told.shop.compiled[0].tables
    shard = CustomerShard(0, CUSTOMERS, tables._replace(terms=tables.terms[:1].copy()), told.shop.slots)
    with pytest.raises(AssertionError, match="rows of terms that customers have must be known"):
        shard.restore(twin.shards[0].snapshot())


def renumbered_shop(shop: Shop) -> Shop:
    """The same policies and customers under another registry."""
    other = Shop(shop.seed)
    rng = Random(99)
    names = list(other.slots)
    other.slots = dict(zip(names, rng.sample(range(70), len(names)), strict=True))
    other.number_anew(rng)
    assert other.registry.coupons != shop.registry.coupons
    assert list(other.registry.terms) != list(shop.registry.terms)
    return other


def mover(before: Registry, after: Registry) -> Any:
    """A happening with the other registry's numbers."""

    def moves(old: dict[str, int], new: dict[str, int]) -> dict[int, int]:
        return {slot: new[name] for name, slot in old.items()}

    campaigns, coupons = moves(before.slots, after.slots), moves(before.coupons, after.coupons)

    def moved(happening: Happening) -> Happening:
        event, ask = happening.event.copy(), happening.ask
        event.campaign = campaigns.get(int(event.campaign), int(event.campaign))
        if ask is not None:
            ask = ask | {"coupon": coupons.get(ask["coupon"], ask["coupon"])}
            ask |= {"campaign": campaigns.get(ask["campaign"], ask["campaign"])}
        return Happening(event, ask, happening.lines)

    return moved


# --- readings ---------------------------------------------------------------------------------------------------------
READINGS_SHOP = {
    "policy": "readings",
    "time_zone": "Asia/Shanghai",
    "provider": "Example Mall",
    "names": {
        "pages": ["home"], "cities": ["wuhan"], "tiers": ["standard", "gold"], "topics": ["offers"],
        "categories": ["shoes", "hats"], "places": ["shop", "app"],
    },
    "budgets": {"fund": {"amount": "100.00"}},
    "coupons": {
        "ten": {"kind": "amount_off", "off": "10.00", "over": "100.00", "valid": "20min", "budget": "fund",
                "limits": [{"most": 2, "per": "10min"}], "transferable": "true"},
        "daily": {"kind": "free_shipping", "limits": [{"most": 1, "per": "day"}]},
        "once": {"kind": "percent_off", "rate": "10%", "up_to": "5.00", "pieces": 1,
                 "valid": {"for": "30h", "until": "2026-03-06"}},
        "lounge": {"kind": "right", "worth": "30.00", "places": ["shop"], "members": ["standard"], "valid": "1h",
                   "budget": "fund"},
        "mug": {"kind": "right", "worth": "12.00", "confirm_within": "20min", "pieces": 1, "budget": "fund",
                "limits": [{"most": 5}]},
        "five": {"kind": "amount_off", "off": "5.00", "over": "10.00", "valid": "30min"},
        "stamp": {"kind": "right", "worth": "1.00", "valid": "30min", "limits": [{"most": 300, "per": "1h"}]},
        "noon": {"kind": "right", "worth": "1.00", "audience": "tier == gold", "limits": [{"most": 9}],
                 "claim": {"from": "2026-03-04", "at": "12:00", "until": "2026-03-05"}},
    },
    "campaigns": {
        "hello": {
            "purpose": "transaction", "topic": "offers", "channel": "popup", "trigger": {"on": "login"}, "cost": "0.10",
            "goal": {"event": "payment"}, "response": {"shown": "2%", "otherwise": "1%"}, "creative": CREATIVE,
            "coupon": "stamp", "issue": "direct", "budget": "fund",
        }
    },
}  # fmt: skip
PEOPLE = {"ann": 0, "bob": 1, "kid": 2, "eve": 3, "gold": 4, "tom": 5}
UNITS_MS = {"ms": 1, "s": SECOND_MS, "min": MINUTE_MS, "h": HOUR_MS, "d": 24 * HOUR_MS}

# at: since 0:00 of a Wednesday. Money in yuan. `settle`: the Ledger settles, replies are applied.
READINGS = """
at               who does                          answer           then

# one visit claims and redeems
9h               ann claim ten                     PENDING          number=0 ann#0=PENDING
9h+1s            ann checkout 60.00x2              WAITS
9h+10s           settle                                             ann#0=AVAILABLE reserved=10.00
9h+5s            ann checkout 60.00x2              DONE             discount=10.00    # taken at the settlement
9h+10s           ann order 1 60.00x2 ship 6.00     DONE             paid=116.00 ann#0=HELD
9h+20s           ann pay 1                         DONE             paid=116.00 discount=10.00 ann#0=REDEEMED
9h+30s           settle                                             reserved=0.00 spent=10.00

# a limit that rolls looks at (t - 10 min, t]; pending claims count, received coupons do not
9h               ann claim ten                     PENDING
9h               bob claim ten                     PENDING
9h+1s            ann claim ten                     PENDING
9h+1s            ann claim ten                     LIMIT
9h+2s            settle                                             reserved=30.00
9h+3s            bob give 0 ann                    PENDING          bob#0=MOVING
9h+4s            settle                                             ann#2=AVAILABLE
9h+5s            settle                                             bob#0=MOVED reserved=30.00
9h+10min-1ms     ann claim ten                     LIMIT
9h+10min         ann claim ten                     PENDING          number=3
9h+10min         ann claim ten                     LIMIT

# a limit a day counts from midnight; a refused claim does not count, nor one that the Ledger refuses
23h+59min        ann claim daily                   PENDING
23h+59min        ann claim daily                   LIMIT
24h-1ms          ann claim daily                   LIMIT
24h-1ms          ann claim once                    PENDING          number=1
24h-1ms          bob claim once                    PENDING
24h              settle                                             stock:once=0
24h              ann claim daily                   PENDING          number=2
24h              bob claim once                    PENDING          number=1
24h+1s           settle                                             stock:once=0
24h+2s           bob claim once                    PENDING          number=2

# tests of a claim in their order
12h-1ms          ann claim noon                    NOT_OPEN
12h-1ms          eve claim noon                    NOT_OPEN
12h              eve claim noon                    BLOCKED
12h              kid claim noon                    MINOR
12h              ann claim noon                    NOT_ELIGIBLE
12h              gold claim noon                   PENDING
12h              ann claim nothing                 NOT_OPEN
24h              gold claim noon                   NOT_OPEN

# a coupon runs out at its instant; what it reserved is free
9h               ann claim ten                     PENDING
9h+1s            settle                                             reserved=10.00
9h+20min-1ms     ann checkout 100.00x1             DONE             discount=10.00
9h+20min         ann checkout 100.00x1             DONE             discount=0.00 ann#0=EXPIRED
9h+20min         settle                                             reserved=0.00 spent=0.00

# a settlement at that very instant finds it run out
9h               ann claim ten                     PENDING
9h+1s            settle
9h+20min         settle                                             ann#0=EXPIRED reserved=0.00

# valid after the claim, or until a date: the earlier
2d-5min          ann claim once                    PENDING
2d-4min          settle
2d-1ms           ann checkout 20.00x1              DONE             discount=2.00
2d               ann checkout 20.00x1              DONE             discount=0.00 ann#0=EXPIRED

# … here the time after the claim
9h               ann claim once                    PENDING
9h+1s            settle
39h-1ms          ann checkout 20.00x1              DONE             discount=2.00
39h              ann checkout 20.00x1              DONE             discount=0.00 ann#0=EXPIRED

# an order not paid gives its coupons back at held + 15 min
9h               ann claim ten                     PENDING
9h+1s            settle
9h+2s            ann order 1 100.00x1              DONE             ann#0=HELD
9h+15min+2s-1ms  ann checkout 100.00x1             DONE             discount=0.00 ann#0=HELD
9h+15min+2s      ann pay 1                         NO_ORDER         ann#0=AVAILABLE
9h+15min+2s      ann checkout 100.00x1             DONE             discount=10.00

# a hold outlasts the coupon, a release does not
9h               ann claim ten                     PENDING
9h               bob claim ten                     PENDING
9h+1s            settle                                             reserved=20.00
9h+19min         ann order 1 100.00x1              DONE
9h+19min         bob order 1 100.00x1              DONE
9h+20min         bob cancel 1                      DONE             bob#0=EXPIRED
9h+21min         ann pay 1                         DONE             ann#0=REDEEMED
9h+22min         ann refund 1                      DONE             paid=90.00 ann#0=REDEEMED    # it has run out
9h+23min         settle                                             reserved=0.00 spent=10.00

# a cancelled order's coupon runs out at its own time
9h               ann claim ten                     PENDING
9h+1s            settle
9h+2s            ann order 1 100.00x1              DONE
9h+3s            ann cancel 1                      DONE             ann#0=AVAILABLE
9h+20min         settle                                             ann#0=EXPIRED reserved=0.00

# refunds: floor(paid × k ÷ q); shipping and the coupon with the last piece, before its expiry
9h               ann claim ten                     PENDING
9h+1s            settle
9h+2s            ann order 1 33.40x3 0.05x1 ship 6.00   DONE        paid=96.25 discount=10.00
9h+3s            ann refund 1 line 0 x1            NO_ORDER
9h+4s            ann pay 1                         DONE
9h+5s            ann refund 1 line 0 x1            DONE             paid=30.06
9h+5s            ann refund 1 line 0 x3            PIECES
9h+5s            ann refund 1 line 0 x0            PIECES
9h+5s            ann refund 1 line 2 x1            NO_ORDER
9h+6s            ann refund 1 line 1 x1            DONE             paid=0.05
9h+7s            settle                                             reserved=0.00 spent=10.00
9h+7s            ann refund 1                      DONE             paid=66.14 ann#0=AVAILABLE
9h+7s            ann refund 1                      PIECES
9h+8s            settle                                             reserved=10.00 spent=0.00

# what a redemption did not use stays reserved while the coupon may come back
9h               ann claim ten                     PENDING
9h+1s            settle
9h+2s            ann use 0 amount 4.00             DONE             discount=4.00 ann#0=REDEEMED
9h+3s            settle                                             reserved=0.00 spent=4.00    # by hand for good
9h+4s            ann use 0                         NO_COUPON
9h+5s            ann claim ten                     PENDING
9h+6s            settle
9h+6s            ann use 1 amount 99.00            DONE             discount=10.00
9h+6s            ann use 1 amount 1.00             NO_COUPON

# a right is for its members, in its places
9h               ann claim lounge                  PENDING
9h               gold claim lounge                 PENDING
9h+1s            settle                                             reserved=60.00
9h+2s            ann use 0                         NO_COUPON
9h+2s            ann use 0 at app                  NO_COUPON
9h+2s            gold use 0 at shop                NO_COUPON
9h+2s            ann use 0 at shop                 DONE             discount=30.00
9h+3s            settle                                             reserved=30.00 spent=30.00

# a prize: reserved until it is collected, or it lapses
9h               ann claim mug                     PENDING
9h               bob claim mug                     PENDING          bob#0=PENDING
9h+1s            settle                                             ann#0=AVAILABLE stock:mug=0 reserved=12.00
9h+20min-1ms     ann use 0                         PENDING          number=0 ann#0=HELD
9h+20min-1ms     ann checkout 1.00x1               WAITS
9h+25min         settle                                             ann#0=REDEEMED stock:mug=0 reserved=0.00 spent=12.00
9h+25min         ann claim mug                     PENDING

# … that lapses at its instant, without a word
9h               ann claim mug                     PENDING
9h+1s            settle                                             stock:mug=0
9h+20min         ann use 0                         NO_COUPON        ann#0=EXPIRED
9h+21min         settle                                             stock:mug=1 reserved=0.00 spent=0.00
9h+21min         bob claim mug                     PENDING
9h+22min         settle                                             bob#0=AVAILABLE stock:mug=0

# ids: the same answer for ten minutes, then anything
9h               ann claim ten id 5                PENDING          number=0
9h+1s            ann claim ten id 5                PENDING          number=0
9h+1s            ann claim daily id 5              ID_REUSED
9h+2s            settle
9h+3s            ann claim ten id 5                DONE             number=0
9h+4s            ann order 1 60.00x2 id 6          DONE             paid=110.00
9h+5s            ann order 1 60.00x2 id 6          DONE             paid=110.00 discount=10.00
9h+5s            ann order 1 60.00x3 id 6          ID_REUSED
9h+6s            ann pay 1 id 7                    DONE
9h+6s            ann pay 1 id 7                    DONE             paid=110.00
9h+7s            ann refund 1 line 0 x1 id 8       DONE             paid=55.00
9h+7s            ann refund 1 line 0 x1 id 8       DONE             paid=55.00
9h+7s            ann refund 1 line 1 x1 id 8       ID_REUSED
9h+10min-1ms     ann claim ten id 5                DONE
9h+10min         ann claim ten id 5                PENDING          number=1
9h+10min         bob claim ten id 5                PENDING          number=0     # ids are a customer's own

# a gift: nobody's to use under way; the giver waits, the id answers with what became of it
9h               ann claim ten                     PENDING
9h               ann claim lounge                  PENDING
9h+1s            settle
9h+2s            ann give 0 ann                    NO_COUPON
9h+2s            ann give 1 bob                    NO_COUPON
9h+2s            ann give 0 bob id 9               PENDING          number=0
9h+2s            ann checkout 100.00x1             WAITS
9h+3s            settle                                             bob#0=AVAILABLE ann#0=MOVING
9h+4s            bob checkout 100.00x1             DONE             discount=10.00
9h+4s            ann give 0 bob id 9               WAITS
9h+5s            settle                                             ann#0=MOVED reserved=40.00
9h+6s            ann give 0 bob id 9               DONE             number=0
9h+20min         settle                                             bob#0=EXPIRED reserved=30.00

# … and comes back where the receiver's wallet is full
9h               bob claim stamp times 63          PENDING
9h               ann claim ten                     PENDING
9h+1s            settle
9h+2s            bob claim stamp                   PENDING          number=63
9h+2s            bob claim stamp                   WALLET_FULL
9h+3s            settle
9h+4s            ann give 0 bob id 9               PENDING
9h+5s            settle                                             ann#0=MOVING
9h+6s            settle                                             ann#0=AVAILABLE
9h+7s            ann give 0 bob id 9               WALLET_FULL      number=0
9h+8s            ann checkout 100.00x1             DONE             discount=10.00

# of more than 32 coupons those that expire first are priced, of equals the earlier claims
9h               ann claim five                    PENDING
9h               ann claim stamp times 32          PENDING
9h               bob claim stamp times 32          PENDING
9h               bob claim five                    PENDING
9h+1s            settle
9h+2s            ann checkout 10.00x1              DONE             discount=5.00
9h+2s            bob checkout 10.00x1              DONE             discount=0.00

# a payment of no order is no payment; a cart that is none is no order
9h               ann pay 1                         NO_ORDER
9h               ann order 1                       CART
9h               ann order 1 1.00x0                CART
9h               ann order 1 1.00x1                DONE             paid=1.00
9h               ann order 1 1.00x1                NO_ORDER
9h               ann pay 1                         DONE
9h               ann pay 1                         NO_ORDER
9h               ann cancel 1                      NO_ORDER

# a message that issues its coupon claims it for the customer, and is paid from its budget
9h               ann login                                          ann#0=PENDING
9h+1s            settle                                             ann#0=AVAILABLE spent=0.10
"""


def stories() -> list[Any]:
    """Title and rows of each story of the table."""
    body = READINGS.strip().split("\n", 1)[1].strip()
    parts = [part.strip().split("\n") for part in re.split(r"\n\s*\n", body)]
    return [pytest.param([row.split("  # ")[0] for row in rows], id=title[2:]) for title, *rows in parts]


class Bench:
    """A few customers before both engines at once."""

    def __init__(self, documents: Any = (READINGS_SHOP, READINGS_SHOP)) -> None:
        shop = Shop(0, documents)
        for row, customer in enumerate(shop.customers):
            customer.birth_date, customer["marks"], customer.tier, customer.consent = 19_900_412, 0, 0, 0b11111
            if row == PEOPLE["kid"]:
                customer.birth_date = 20_150_101
            if row == PEOPLE["eve"]:
                customer["marks"] = 16
            customer.tier = int(row == PEOPLE["gold"])
        self.shop, self.naive, self.twin = shop, Naive(shop), Compiled(shop)
        self.sequence = 0
        self.step = self.next_step()

    def next_step(self) -> Step:
        return Step(0, 0, self.naive.bulletin())

    def settle(self, t: int) -> None:
        self.step.until = t
        self.naive.settle(self.step)
        assert difference_of_settlements(self.step, self.twin) is None
        self.step = self.next_step()

    def take(self, t: int, who: str, words: list[str]) -> dict[str, int]:
        """The receipt of what somebody does; both engines must give the same."""
        return self.take_one(self.happening(t, PEOPLE[who], words))

    def take_one(self, happening: Happening) -> dict[str, int]:
        answer = self.naive.decide(self.step, happening)
        (got,) = self.twin.decide([happening])
        assert difference_of_answers(happening, answer, got) is None
        return plain(answer.receipt or {"answer": 0})

    def happening(self, t: int, customer: int, words: list[str]) -> Happening:
        event, ask = records(1, EVENT)[0], dict.fromkeys(ASK.names or (), 0)
        ask |= dict.fromkeys(("other", "order", "claim", "coupon", "place", "campaign"), NONE)
        event.campaign = event.exposure = event.channel = event.moment = event.page = event.city = event.ask = NONE
        event.origin = NONE
        event.time_ms, event.customer, event.sequence = t, customer, self.sequence
        self.sequence += 1
        verb, *rest = words
        options = {word: value for word, value in pairwise(rest) if word in OPTIONS}
        event.amount = fen(options.get("amount", "0"))
        ask["id"], ask["shipping"] = int(options.get("id", 0)), fen(options.get("ship", "0"))
        ask["place"] = ["shop", "app"].index(options["at"]) if "at" in options else NONE
        event.kind = {"pay": EventKind.PAYMENT, "give": EventKind.TRANSFER, "use": EventKind.REDEEM}.get(
            verb, EventKind[verb.upper()] if verb.upper() in EventKind.__members__ else NONE
        )
        if verb == "login":
            return Happening(event)
        if verb == "claim":
            ask["coupon"] = self.shop.registry.coupons.get(rest[0], NONE)
        elif verb in ("order", "pay", "cancel", "refund"):
            ask["order"] = int(rest[0])
        elif verb in ("give", "use"):
            ask["claim"], ask["other"] = int(rest[0]), PEOPLE.get(rest[-1] if verb == "give" else "", NONE)
        if verb == "give" and "id" in options:
            ask["other"] = PEOPLE[rest[1]]
        if verb == "refund":
            ask["first_line"] = int(options.get("line", NONE))
            ask["pieces"] = next((int(word[1:]) for word in rest if re.fullmatch(r"x\d+", word)), 0)
        goods = [re.fullmatch(r"([\d.]+)x(\d+)", word) for word in rest]
        lines = tuple(cart_line(match[1], match[2]) for match in goods if match)
        ask["lines"] = len(lines)
        return Happening(event, ask, lines)

    def check(self, said: str, receipt: dict[str, int]) -> None:
        what, value = said.split("=")
        if "#" in what:
            who, number = what.split("#")
            instances = self.twin.wallet(PEOPLE[who])["instances"]
            assert Life(next(one["state"] for one in instances if one["number"] == int(number))).name == value
        elif what.startswith("stock:"):
            assert self.twin.ledger.stock(what[6:]).left == int(value)
        elif what in ("reserved", "spent"):
            assert int(self.twin.ledger.fund("fund")[what]) == fen(value)
        else:
            assert receipt[what] == (int(value) if what == "number" else fen(value)), what


OPTIONS = ("id", "ship", "at", "amount", "line")


def fen(yuan: str) -> int:
    return round(float(yuan) * 100)


def cart_line(price: str, pieces: str) -> dict[str, int]:
    line = dict.fromkeys(LINE.names or (), NONE)
    return line | {"unit_price": fen(price), "quantity": int(pieces)}


def duration_ms(text: str) -> int:
    parts = re.findall(r"([+-]?)(\d+)(ms|s|min|h|d)", text)
    return sum((-1 if sign == "-" else 1) * int(number) * UNITS_MS[unit] for sign, number, unit in parts)


@pytest.mark.parametrize("rows", stories())
def test_readings(rows: list[str]) -> None:
    bench = Bench()
    for row in rows:
        at, does, *rest = re.split(r"\s{2,}", row.strip())
        t, receipt = bench.shop.start + duration_ms(at), {}
        does, _, times = does.partition(" times ")
        who, *words = does.split()
        then = rest[-1] if rest and "=" in rest[-1] else ""
        if who == "settle":
            bench.settle(t)
        else:
            for _ in range(int(times or 1)):
                receipt = bench.take(t, who, words)
            expected = rest[0] if rest and rest[0] != then else "NONE"
            assert Answer(receipt["answer"]).name == expected, row
        for said in then.split():
            bench.check(said, receipt)
