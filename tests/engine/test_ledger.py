"""The Ledger: what it answers, against its naive twin, under any order and number of shards, and each invariant red."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

import engine.host.ledger_arrays as arrays
from engine.compiled import entry
from engine.coupon_records import LIVES, Answer, Life, RequestKind, Spend
from engine.fraud_records import Verdict
from engine.host.ledger import LedgerHost
from engine.host.messages import Contribution, Moment, Refusal, Refused, Settled
from engine.records import MINUTE_MS, NEVER_MS, NONE, SHARE_ONE, records
from engine.reference_ledger import ReferenceLedger
from engine.rules.requests import sort_requests
from engine.settle import settle
from tests.engine.claims import (
    START_MS,
    STEP_MS,
    Row,
    budget_row,
    coupon_row,
    names_of,
    policy_of,
    ranges,
    reply_rows,
    request_records,
    tables_of,
)
from tests.engine.ledger_twins import Twins, as_integers

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 40
CUSTOMERS = 26


# --- a Ledger by hand -------------------------------------------------------------------------------------------------
def ledger_of(coupons: list[Row], budgets: list[Row], shards: int = 1, customers: int = CUSTOMERS) -> LedgerHost:
    policy = policy_of(coupons, budgets)
    return LedgerHost(tables_of(policy), *names_of(policy), ranges(shards, customers), START_MS, STEP_MS)


def asked(customer: int, number: int, kind: RequestKind = RequestKind.CLAIM, at: int = 0, **fields: int) -> Row:
    row = {"time_ms": START_MS + at, "customer": customer, "other": NONE, "number": number, "claim": number}
    return (
        row
        | {"sequence": 0, "verdict": 0, "terms": 0, "coupon": 0, "campaign": NONE, "kind": int(kind), "rule": NONE}
        | fields
    )


def brought(ledger: LedgerHost, rows: list[Row], arrived: int = 0, **spend: int) -> Contribution:
    """The contribution of the only shard; its customers have what was granted to them of coupon 0."""
    table = np.zeros((1, len(Spend)), np.int64)
    for name, amount in spend.items():
        table[0, Spend[name.upper()]] = amount
    lives = np.zeros((len(ledger.offers.coupons), LIVES), np.int64)
    lives[:, Life.AVAILABLE] = ledger.shared.stock["granted"][: len(lives)]
    lives[0, Life.MOVING] = arrived
    time_ms = START_MS + (ledger.number + 1) * STEP_MS
    return Contribution(ledger.epoch, 0, ledger.number + 1, time_ms, request_records(rows), table, lives)


def received(ledger: LedgerHost, message: Contribution) -> list[Any]:
    return list(ledger.receive(message, NEVER_MS))


def settled(ledger: LedgerHost, rows: list[Row], arrived: int = 0, **spend: int) -> list[Row]:
    """The replies to a settlement of one shard."""
    (message,) = received(ledger, brought(ledger, rows, arrived, **spend))
    return reply_rows(message.replies)


# --- what it answers --------------------------------------------------------------------------------------------------
# Of a drop of `pieces` (cost 5.00 each, of a budget of `amount` fen): who asks what, at which second; `|` ends the
# settlement of ten minutes. `b<a`: what b is told of a's gift, or says of it.
CASES = """
setup              asked                                         answered
pieces=1           0 a claim, 1 b claim                          a DONE, b OUT_OF_STOCK
pieces=1           5 a claim, 1 b claim                          b DONE, a OUT_OF_STOCK          # time decides
pieces=0           0 a claim                                     a OUT_OF_STOCK
pieces=-1          0 a claim, 1 b claim                          a DONE, b DONE                  # without a limit
pieces=1           0 a claim, 0 a again | 601 a again, 602 b claim   a DONE | a DONE, b OUT_OF_STOCK
pieces=1           0 a claim, 1 b claim | 601 b again            a DONE, b OUT_OF_STOCK | b OUT_OF_STOCK
amount=1000        0 a claim, 1 b claim, 2 c claim               a DONE, b DONE, c BUDGET        # equality fits
amount=1400        0 a claim, 1 b claim, 2 c claim               a DONE, b DONE, c BUDGET
amount=0           0 a claim                                     a BUDGET
pieces=1,amount=0  0 a claim, 1 b claim                          a BUDGET, b BUDGET              # takes no piece
pieces=0,amount=0  0 a claim                                     a OUT_OF_STOCK                  # stock is tested first
pieces=1,hold=9    0 a reserve, 8 a confirm, 20 b claim          a DONE, a DONE, b OUT_OF_STOCK
pieces=1,hold=9    0 a reserve, 8 b claim, 9 c claim             a DONE, b OUT_OF_STOCK, c DONE  # lapsed at 9
pieces=1,hold=9    0 a reserve, 9 a confirm                      a DONE, a LAPSED
pieces=1,hold=9    0 a reserve, 5 a release, 6 b claim, 7 a confirm   a DONE, a DONE, b DONE, a LAPSED
pieces=1,hold=9    | 5 a reserve, 608 b claim, 609 c claim       | a DONE, b OUT_OF_STOCK, c DONE  # late: taken at 600
pieces=1,hold=900  0 a reserve | 899 b claim, 900 c claim        a DONE | b OUT_OF_STOCK, c DONE
amount=500,hold=9  0 a reserve, 8 b claim, 9 c claim             a DONE, b BUDGET, c DONE        # money comes back
amount=500,hold=9  0 a reserve, 8 a confirm, 9 b claim           a DONE, a DONE, b BUDGET        # or is spent
pieces=1           0 a confirm, 1 b release                      a LAPSED, b LAPSED              # never reserved
pieces=9,hold=9    0 a reserve, 1 a reserve/1                    a DONE, a NO_COUPON             # the same prize twice
pieces=1,ration=1  0 a claim                                     a DONE
pieces=9,ration=2  0 a claim, 1 b claim, 2 c claim, 600 d claim  a DONE, b DONE, c OUT_OF_STOCK, d DONE
pieces=9,ration=1  0 a claim | 1199 b claim, 1199 b claim        a DONE | b DONE, b OUT_OF_STOCK  # one tick
pieces=9,ration=1  | | 1200 a claim, 1 b claim, 2 c claim, 3 d claim  | | b DONE, c DONE, d DONE, a OUT_OF_STOCK
pieces=1           0 a claim | 601 a give>b/1 | 1201 b took<a/1    a DONE | b<a DONE | a DONE
pieces=1           0 a claim | 601 a give>b/1 | 1201 b full<a/1    a DONE | b<a DONE | a WALLET_FULL
pieces=1           0 a claim | 601 a give>b/1, 601 a again | 1201 a again    a DONE | b<a DONE |   # under way: no reply
pieces=1           0 a claim | 601 a give>b/1 | 1201 b took<a/1 | 1801 b again   a DONE | b<a DONE | a DONE |
pieces=1           0 a claim | 601 a give>b/1, 602 a give>c/1    a DONE | b<a DONE, a NO_COUPON  # given away once
pieces=1           0 b took<a/1                                                                  # never sent: nothing
pieces=1           0 a weaker                                    a DENIED                        # nothing weaker
fallback=1         0 a weaker, 1 a claim                         a FALLBACK, a DONE
fallback=0         0 a weaker, 1 a claim                         a OUT_OF_STOCK, a DONE          # none of the weaker
pieces=1           0 a judged, 1 b claim                         a DENIED, b DONE
"""
VERBS = {
    "claim": 1,
    "weaker": 1,
    "judged": 1,
    "give": 2,
    "took": 3,
    "full": 4,
    "reserve": 5,
    "confirm": 6,
    "release": 7,
}


def ledger_for(setup: str) -> LedgerHost:
    given = {name: int(value) for name, value in (part.split("=") for part in setup.split(","))}
    coupon = coupon_row(0, pieces=given.get("pieces", 9), confirm_within_ms=given.get("hold", 0) * 1_000)
    if "ration" in given:
        coupon |= {"ration_pieces": given["ration"], "ration_every_ms": STEP_MS, "from_ms": START_MS}
    coupons = [coupon]
    if "fallback" in given:
        coupon["fallback"] = 1
        coupons.append(coupon_row(1, pieces=given["fallback"]))
    if "amount" not in given:
        return ledger_of(coupons, [])
    coupon["budget"] = 0
    return ledger_of(coupons, [budget_row(0, amount=given["amount"])])


class Script:
    """Reads `0 a claim, 1 b claim` and keeps numbers of requests and prizes."""

    def __init__(self) -> None:
        self.last: dict[str, Row] = {}
        self.numbers = 0
        self.claims: dict[str, int] = {}

    def row(self, text: str) -> Row:
        second, who, verb = text.split()
        if verb == "again":
            return self.last[who]
        verb, _, claim = verb.partition("/")
        verb, _, other = verb.replace("<", ">").partition(">")
        self.numbers += 1
        fields = {"verdict": {"weaker": int(Verdict.WEAKER), "judged": int(Verdict.DENY)}.get(verb, 0)}
        if verb == "reserve" and not claim:
            self.claims[who] = self.numbers
        fields["claim"] = int(claim) if claim else self.claims.get(who, self.numbers)
        if other:
            fields["other"] = ord(other) - ord("a")
        kind = RequestKind(VERBS[verb])
        self.last[who] = asked(ord(who) - ord("a"), self.numbers, kind, int(second) * 1_000, **fields)
        return self.last[who]


def in_words(reply: Row) -> str:
    who = chr(ord("a") + reply["customer"])
    if reply["number"] == NONE:
        who += "<" + chr(ord("a") + reply["other"])
    return f"{who} {Answer(reply['answer']).name}"


def cases() -> list[tuple[str, str, str]]:
    rows = []
    for line in CASES.strip().splitlines()[1:]:
        setup, asks, *answers = re.split(r"\s{2,}", line.split("#")[0].strip())
        rows.append((setup, asks, answers[0] if answers else ""))
    return rows


@pytest.mark.parametrize(("setup", "asks", "answers"), cases())
def test_what_it_answers(setup: str, asks: str, answers: str) -> None:
    ledger, script = ledger_for(setup), Script()
    found = []
    for part in asks.split("|"):
        rows = [script.row(text) for text in part.split(",") if text.strip()]
        took = sum(row["kind"] == RequestKind.ARRIVED for row in rows) if ledger.stock("coupon_0").moving else 0
        found.append(", ".join(in_words(reply) for reply in settled(ledger, rows, took)))
    assert " | ".join(found).strip() == " | ".join(part.strip() for part in answers.split("|")).strip()


# --- against the reference --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_ledger_equals_its_reference(seed: int) -> None:
    digests = {Twins(seed, shards).run() for shards in (1, 2, 3)}
    assert len(digests) == 1, f"seed {seed}: the digest must not depend on the number of shards"


def test_a_thousand_reservations_lapse_in_order() -> None:
    """Tables that grow, a heap that loses rows from its middle."""
    rng = Random(5)
    minutes = [rng.randrange(1, 40) for _ in range(4)]
    coupons = [coupon_row(slot, pieces=700, confirm_within_ms=m * MINUTE_MS) for slot, m in enumerate(minutes)]
    policy = policy_of(coupons, [])
    ledger, reference = ledger_of(coupons, []), ReferenceLedger(policy, (0, CUSTOMERS), START_MS, STEP_MS)
    for number in range(5):
        rows = [random_reservation(rng, number * 1_200 + n, number * STEP_MS) for n in range(1_200)]
        expected = reference.settle(rows, {}, START_MS + (number + 1) * STEP_MS)
        assert settled(ledger, rows) == [as_integers(row) for row in expected]
        assert ledger.shared.reservations.size[0] == len(reference.reservations)
    assert len(ledger.shared.reservations.rows) > arrays.LEAST_ROOM


def random_reservation(rng: Random, number: int, since: int) -> Row:
    """A new reservation, or the end of some earlier one."""
    kind = rng.choice([RequestKind.RESERVE] * 3 + [RequestKind.CONFIRM, RequestKind.RELEASE])
    claim = number if kind == RequestKind.RESERVE else rng.randrange(number + 1)
    coupon = claim % 4
    customer, at = claim % CUSTOMERS, since + rng.randrange(STEP_MS)
    return asked(customer, number, kind, at, claim=claim, coupon=coupon, terms=coupon)


@pytest.mark.parametrize("span", [50, 1_000, 600_000, 10**12, 2**50])
def test_requests_are_ordered_as_the_reference_orders_them(span: int) -> None:
    rng = Random(span)
    policy = policy_of([coupon_row(slot, drop_salt=rng.getrandbits(63)) for slot in range(3)], [])
    reference = ReferenceLedger(policy, (0, CUSTOMERS), START_MS, STEP_MS)

    def moment() -> int:
        return rng.choice([rng.randrange(span), span - rng.randrange(1, 50)])

    rows = [
        asked(rng.randrange(200), n, at=moment(), coupon=rng.randrange(-1, 3), sequence=rng.randrange(3))
        for n in range(3_000)
    ]
    sorting = arrays.scratch_for(len(rows))
    entry(sort_requests)(request_records(rows), tables_of(policy).coupons, sorting)
    expected = sorted(range(len(rows)), key=lambda place: reference.order(rows[place]))
    assert sorting.order.tolist() == expected


def test_compiled_equals_interpreted() -> None:
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    for seed in (2, 4):
        command = [sys.executable, "-m", "tests.engine.ledger_twins", str(seed)]
        done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
        assert done.stdout.strip() == Twins(seed).run()


def test_a_share_of_a_budget_is_reached_exactly() -> None:
    rng = Random(3)
    for _ in range(100):
        amount, share = rng.randrange(1, 4_000), rng.choice([1, 333_333, 500_000, 999_999, SHARE_ONE])
        spent = max(0, amount * share // SHARE_ONE + rng.randrange(-1, 2))
        ledger = ledger_of([coupon_row(0)], [budget_row(0, amount=amount, reserve=7, release_at=share)])
        settled(ledger, [], exposures=spent)
        released = ledger.fund("budget_0").in_force == amount + 7
        assert released == (spent * SHARE_ONE >= amount * share), (amount, share, spent)


# --- fairness ---------------------------------------------------------------------------------------------------------
CROWD, PIECES, TENTHS = 20_000, 1_000, 10
CHI_SQUARE_MOST = 27.877  # 9 degrees of freedom, p = 0.001


def winners(salt: int) -> np.ndarray:
    """Who gets a piece when all ask at one instant."""
    coupon = coupon_row(0, pieces=PIECES, drop_salt=salt)
    ledger = ledger_of([coupon], [], customers=CROWD)
    replies = settled(ledger, [asked(customer, 0) for customer in range(CROWD)])
    return np.array([reply["customer"] for reply in replies if reply["answer"] == Answer.DONE])


def chi_square(customers: np.ndarray) -> float:
    """Of winners by tenth of the ids, old customers first, against equal chances."""
    found = np.histogram(customers, TENTHS, (0, CROWD))[0]
    expected = PIECES / TENTHS
    return float(((found - expected) ** 2 / expected).sum())


def test_at_one_instant_old_and_new_customers_win_alike() -> None:
    first, second = winners(11), winners(12)
    assert len(first) == len(second) == PIECES
    assert max(chi_square(first), chi_square(second)) < CHI_SQUARE_MOST
    both = len(set(first.tolist()) & set(second.tolist()))
    assert 20 < both < 90, "who wins one drop must not win the next: 50 expected"
    assert chi_square(np.arange(PIECES)) > CHI_SQUARE_MOST, "the first ids winning all must be seen"


# --- invariants, each seen red ----------------------------------------------------------------------------------------
def corrupt(monkeypatch: pytest.MonkeyPatch, fault: Any) -> None:
    """Let the next settlements go wrong: fault(shared, desk, count) returns how many replies are said."""

    def settle_wrongly(requests: Any, spend: Any, shared: Any, offers: Any, desk: Any, now: int, number: int) -> int:
        return int(fault(shared, desk, settle(requests, spend, shared, offers, desk, now, number)))

    monkeypatch.setattr("engine.host.ledger.settle", settle_wrongly)


def sell_one_more(shared: Any, desk: Any, count: int) -> int:
    shared.stock[0].granted += 1
    shared.stock[0].left -= 1
    return count


def count_twice(shared: Any, desk: Any, count: int) -> int:
    shared.stock[0].granted += 1
    return count


def lose_a_piece(shared: Any, desk: Any, count: int) -> int:
    shared.stock[0].left -= 1
    return count


def grant_without_money(shared: Any, desk: Any, count: int) -> int:
    shared.funds[0].reserved += 500
    return count


def send_astray(shared: Any, desk: Any, count: int) -> int:
    desk.replies[0].customer = CUSTOMERS
    return count


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (sell_one_more, "coupon coupon_0 is oversold by 1: 2 pieces, 3 granted"),
        (count_twice, "coupon coupon_0 is oversold by 1: 2 pieces, 3 granted"),
        (lose_a_piece, "coupon coupon_0 has lost count of its pieces: 2 pieces, 2 granted"),
        (grant_without_money, "budget budget_0 does not add up: ¥15.00 reserved and ¥0.00 spent of ¥10.00"),
        (send_astray, "every reply goes to one shard"),
    ],
)
def test_a_settlement_that_goes_wrong_is_seen(monkeypatch: pytest.MonkeyPatch, fault: Any, sentence: str) -> None:
    ledger = ledger_of([coupon_row(0, pieces=2, budget=0)], [budget_row(0, amount=1_000)])
    corrupt(monkeypatch, fault)
    with pytest.raises(AssertionError, match=sentence):
        settled(ledger, [asked(customer, 0) for customer in range(3)])


def drop_a_reply(shared: Any, desk: Any, count: int) -> int:
    return count - 1


def test_a_lost_reply_is_seen_when_wallets_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = ledger_of([coupon_row(0)], [])
    corrupt(monkeypatch, drop_a_reply)
    assert len(settled(ledger, [asked(0, 0), asked(1, 0)])) == 1
    message = brought(ledger, [])
    message.lives[0] = 0
    message.lives[0, [Life.PENDING, Life.AVAILABLE]] = 1
    with pytest.raises(AssertionError, match=r"coupon_0: 2 were granted, but customers have 1 \(1 available, 0 held"):
        received(ledger, message)


def test_a_request_applied_twice_is_seen_when_wallets_are_counted() -> None:
    ledger = ledger_of([coupon_row(0)], [])
    settled(ledger, [asked(0, 0)])
    ledger.forget(0, CUSTOMERS, 1)  # as if the table had been lost
    settled(ledger, [asked(0, 0)])
    message = brought(ledger, [])
    message.lives[0, Life.AVAILABLE] = 1
    with pytest.raises(AssertionError, match="coupon_0: 2 were granted, but customers have 1"):
        received(ledger, message)


def test_money_freed_twice_is_seen() -> None:
    ledger = ledger_of([coupon_row(0, budget=0)], [budget_row(0)])
    settled(ledger, [asked(0, 0)])
    settled(ledger, [], freed=500)
    with pytest.raises(AssertionError, match=r"budget_0 does not add up: ¥-5\.00 reserved"):
        settled(ledger, [], freed=500)


def test_exposures_overshoot_by_one_settlement_and_no_further() -> None:
    ledger = ledger_of([coupon_row(0, budget=0)], [budget_row(0, amount=1_000)])
    settled(ledger, [], exposures=900)
    settled(ledger, [], exposures=700)
    fund = ledger.fund("budget_0")
    assert (fund.spent, fund.overshoot, fund.out_ms) == (1_600, 700, START_MS + 2 * STEP_MS)
    with pytest.raises(AssertionError, match=r"exposures may go ¥7\.00 beyond"):
        settled(ledger, [], exposures=101)


def test_what_a_shard_finds_broken_stops_the_run() -> None:
    ledger = ledger_of([coupon_row(0)], [])
    message = replace(brought(ledger, []), breach="customer 7 has 4 of 3 coupons")
    with pytest.raises(AssertionError, match=r"settlement 1 at \d+ ms: customer 7 has 4 of 3 coupons"):
        received(ledger, message)


# --- the protocol -----------------------------------------------------------------------------------------------------
def part_of(ledger: LedgerHost, shard: int, rows: list[Row] | None = None, **fields: Any) -> Contribution:
    return replace(brought(ledger, rows or []), shard=shard, **fields)


def two_shards() -> LedgerHost:
    return ledger_of([coupon_row(0, pieces=1)], [], shards=2)


def test_a_settlement_waits_for_every_shard_and_is_said_again_to_who_asks_again() -> None:
    ledger = two_shards()
    late, early = part_of(ledger, 1, [asked(20, 0)]), part_of(ledger, 0, [asked(3, 0, at=1)])
    assert received(ledger, late) == []
    assert received(ledger, late) == []  # sent twice, counted once
    messages = received(ledger, early)
    assert [in_words(reply) for message in messages for reply in reply_rows(message.replies)] == [
        "d OUT_OF_STOCK",
        "u DONE",
    ]
    before = ledger.digest()
    (again,) = received(ledger, late)
    assert isinstance(again, Settled)
    assert np.array_equal(again.replies, messages[1].replies)
    assert (again.number, again.shard, ledger.digest()) == (1, 1, before)


def test_what_is_refused_says_what_was_expected() -> None:
    ledger = two_shards()
    received(ledger, part_of(ledger, 1, epoch=3))
    received(ledger, part_of(ledger, 0, epoch=3))
    waiting = part_of(ledger, 1)
    received(ledger, waiting)
    digest, time_ms = ledger.digest(), waiting.time_ms
    wrong: list[tuple[dict[str, Any], Refusal, int]] = [
        ({"epoch": 2}, Refusal.LOWER_EPOCH, 3),
        ({"number": 3}, Refusal.GAP, 2),
        ({"number": 0}, Refusal.FORGOTTEN, 2),
        ({"shard": 2}, Refusal.UNKNOWN_SHARD, 2),
        ({"time_ms": time_ms + 1}, Refusal.OTHER_TIME, time_ms),
        ({"requests": records(arrays.REQUESTS_MAX // 2 + 1, waiting.requests.dtype)}, Refusal.NO_ROOM, 1_000_000),
    ]
    for changed, reason, expected in wrong:
        message = replace(part_of(ledger, 0), **changed)
        assert received(ledger, message) == [Refused(3, message.shard, message.number, reason, expected)]
    early = ledger.receive(part_of(ledger, 0), time_ms - 1)
    assert early == [Refused(3, 0, 2, Refusal.OTHER_TIME, time_ms - 1)]
    assert ledger.digest() == digest


def test_a_higher_epoch_drops_what_came_under_the_lower_one() -> None:
    ledger = two_shards()
    received(ledger, part_of(ledger, 0, [asked(3, 0)]))
    (dropped,) = received(ledger, part_of(ledger, 1, epoch=1))
    assert dropped == Refused(1, 0, 1, Refusal.LOWER_EPOCH, 1)
    first, second = received(ledger, part_of(ledger, 0, [asked(4, 0)], epoch=1))
    assert [in_words(reply) for reply in reply_rows(first.replies)] == ["e DONE"]
    assert (first.epoch, second.epoch) == (1, 1)


def test_moments_and_pauses_go_out_with_the_bulletin() -> None:
    ledger = ledger_of([coupon_row(0), coupon_row(1)], [])
    assert ledger.announce(START_MS + 5, 2) == 1
    ledger.pause([1])
    (message,) = received(ledger, brought(ledger, []))
    assert (message.moments, message.bulletin.open.tolist()) == ((Moment(1, START_MS + 5, 2),), [1, 0])
    assert ledger.announce(START_MS + 6, 0) == 2
    (message,) = received(ledger, brought(ledger, []))
    assert [moment.number for moment in message.moments] == [2]


# --- what the driver asks ---------------------------------------------------------------------------------------------
def test_a_policy_under_other_slots_goes_on_with_what_its_names_had() -> None:
    ledger = ledger_of([coupon_row(0, budget=0, pieces=5), coupon_row(1)], [budget_row(0)])
    settled(ledger, [asked(n, 0) for n in range(3)] + [asked(7, 0, coupon=1, terms=1, kind=RequestKind.RESERVE)])
    settled(ledger, [asked(0, 1, RequestKind.TRANSFER, at=STEP_MS, claim=0, other=1)])
    before = ledger.digest()
    moved = policy_of([coupon_row(1), coupon_row(0, budget=1, pieces=9)], [budget_row(1), budget_row(0)])
    coupons, budgets = {"coupon_1": 0, "coupon_0": 1}, {"budget_1": 0, "budget_0": 1}
    same = policy_of([coupon_row(1), coupon_row(0, budget=1, pieces=5)], [budget_row(1), budget_row(0)])
    same["budgets"][0]["used"] = 0
    twin = ledger.copy()
    twin.adopt(tables_of(same), coupons, budgets)
    assert twin.digest() == before
    ledger.adopt(tables_of(moved), coupons, budgets)
    assert (ledger.stock("coupon_0").left, ledger.stock("coupon_0").granted) == (6, 3)
    assert ledger.fund("budget_0").reserved == 1_500
    assert ledger.shared.reservations.rows[0].coupon == 0  # the prize, under coupon_1's new slot
    (again,) = [r for r in ledger.shared.remembered.rows[:5] if r.customer == 0 and r.kind == RequestKind.CLAIM]
    assert again.coupon == 1


def test_a_name_that_is_gone_comes_back_to_what_it_had() -> None:
    ledger = ledger_of([coupon_row(0, pieces=5), coupon_row(1)], [])
    settled(ledger, [asked(n, 0) for n in range(3)])
    ledger.adopt(tables_of(policy_of([coupon_row(1)], [])), {"coupon_1": 0}, {})
    assert [in_words(r) for r in settled_away(ledger, [asked(9, 0, coupon=5, at=STEP_MS)])] == ["j NOT_OPEN"]
    ledger.adopt(*ledger_inputs([coupon_row(0, pieces=4), coupon_row(1)]))
    assert (ledger.stock("coupon_0").left, ledger.stock("coupon_0").granted) == (1, 3)
    ledger.adopt(*ledger_inputs([coupon_row(0, pieces=1), coupon_row(1)]))
    assert (ledger.stock("coupon_0").left, ledger.stock("coupon_0").delivered) == (0, 3)


def ledger_inputs(coupons: list[Row]) -> tuple[Any, dict[str, int], dict[str, int]]:
    policy = policy_of(coupons, [])
    return tables_of(policy), *names_of(policy)


def settled_away(ledger: LedgerHost, rows: list[Row]) -> list[Row]:
    """As `settled`, where granted coupons lie beyond the policy's slots."""
    message = brought(ledger, rows)
    lives = np.zeros((len(ledger.shared.stock), LIVES), np.int64)
    lives[:, Life.AVAILABLE] = ledger.shared.stock["granted"]
    (answer,) = received(ledger, replace(message, lives=lives))
    return reply_rows(answer.replies)


def test_a_budget_cut_below_what_is_promised_keeps_promises_and_makes_no_more() -> None:
    ledger = ledger_of([coupon_row(0, budget=0)], [budget_row(0, amount=1_000)])
    settled(ledger, [asked(0, 0), asked(1, 0)])
    policy = policy_of([coupon_row(0, budget=0)], [budget_row(0, amount=300)])
    ledger.adopt(tables_of(policy), *names_of(policy))
    assert [in_words(r) for r in settled(ledger, [asked(2, 0, at=STEP_MS)], redeemed=500)] == ["c BUDGET"]
    assert (ledger.fund("budget_0").reserved, ledger.fund("budget_0").spent) == (500, 500)


def test_deliveries_are_sold() -> None:
    ledger = ledger_of([coupon_row(0, pieces=1), coupon_row(1, pieces=-1)], [])
    settled(ledger, [asked(0, 0)])
    ledger.restock("coupon_0", 2, START_MS + STEP_MS)
    answers = settled(ledger, [asked(n, 0, at=STEP_MS + n) for n in (1, 2, 3)])
    assert [in_words(reply) for reply in answers] == ["b DONE", "c DONE", "d OUT_OF_STOCK"]
    with pytest.raises(AssertionError, match="comes after the settlement"):
        ledger.restock("coupon_0", 1, START_MS)
    with pytest.raises(AssertionError, match="coupon_1 has no limit"):
        ledger.restock("coupon_1", 1, NEVER_MS)


def test_a_copy_goes_its_own_way_and_a_snapshot_brings_back() -> None:
    ledger = ledger_of([coupon_row(0, pieces=3)], [])
    settled(ledger, [asked(0, 0)])
    snapshot, before, twin = ledger.snapshot(), ledger.digest(), ledger.copy()
    assert twin.digest() == before
    settled(twin, [asked(1, 0, at=STEP_MS)])
    assert (ledger.digest(), ledger.stock("coupon_0").left, twin.stock("coupon_0").left) == (before, 2, 1)
    settled(ledger, [asked(1, 0, at=STEP_MS)])
    assert ledger.digest() == twin.digest()
    ledger.restore(snapshot)
    assert ledger.digest() == before


@pytest.mark.parametrize(
    ("limit", "kind", "answers"),
    [
        ("REPLIES_MAX", RequestKind.CLAIM, ["a DONE", "b DONE", "c NO_ROOM"]),
        ("RESERVATIONS_MAX", RequestKind.RESERVE, ["a DONE", "b DONE", "c NO_ROOM"]),
    ],
)
def test_a_full_table_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, limit: str, kind: RequestKind, answers: list[str]
) -> None:
    monkeypatch.setattr(arrays, limit, 2)
    monkeypatch.setattr(arrays, "LEAST_ROOM", 2)
    ledger = ledger_of([coupon_row(0)], [])
    assert [in_words(reply) for reply in settled(ledger, [asked(n, 0, kind, at=n) for n in range(3)])] == answers
    assert ledger.stock("coupon_0").left == 8


def test_tables_that_grow_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "LEAST_ROOM", 2)
    ledger = ledger_of([coupon_row(0, confirm_within_ms=60 * MINUTE_MS)], [])
    first = settled(ledger, [asked(0, 0), asked(1, 0, RequestKind.RESERVE, at=1)])
    rows = [asked(2 + n % 20, n, RequestKind.RESERVE, at=2 + n) for n in range(40)]
    again = settled(ledger, [asked(0, 0), asked(1, 0, RequestKind.RESERVE, at=1), *rows])
    assert again[:2] == first
    (confirmed,) = settled(ledger, [asked(1, 1, RequestKind.CONFIRM, at=STEP_MS, claim=0)])
    assert in_words(confirmed) == "b DONE"


def test_acknowledged_replies_make_room() -> None:
    ledger = ledger_of([coupon_row(0)], [])
    settled(ledger, [asked(n, 0) for n in range(4)] + [asked(5, 0, RequestKind.TRANSFER, claim=3, other=6)])
    message = replace(brought(ledger, []), acknowledged=1)
    received(ledger, message)
    remembered = ledger.shared.remembered
    kept = [int(remembered.rows[row].answer) for row in range(remembered.size[0])]
    assert kept == [Answer.PENDING], "an open transfer is answered later"
