"""The Ledger's fraud rules: each of the core rules just under, just over and at the edge; what they answer together;
reviews, lists, marks; what a new policy, a snapshot and other slots do to them."""

import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from engine.coupon_records import Answer, RequestKind
from engine.fraud_records import Field, Mode, RuleCell, Verdict
from engine.records import DAY_MS, HOUR_MS, MINUTE_MS, NEVER_MS, NONE, PER_DAY, EventKind
from engine.settle import settle
from tests.engine.claims import Row, budget_row, coupon_row
from tests.engine.fraud_rows import (
    ALL,
    CIRCLE,
    COLLUSION,
    COUNTED,
    CUSTOMERS,
    FIELD_NAMES,
    GRANTED_ONCE,
    LISTS,
    MIDNIGHT_MS,
    ORIGIN_FIELDS,
    PROXY,
    SELF_REFERRAL,
    START_MS,
    TRACED,
    Bench,
    answer_of,
    counts,
    in_words,
)
from tests.engine.test_counters import rows_by_idleness

ROOT = Path(__file__).resolve().parents[2]
K = EventKind
TO_MIDNIGHT = MIDNIGHT_MS + DAY_MS - START_MS


# --- the rules of the counter, one by one -----------------------------------------------------------------------------
class Story:
    """Events that one rule counts, all under one key, each by another customer with another of what it counts."""

    def __init__(self, number: int, **fields: Any) -> None:
        self.rule = COUNTED[number] | fields
        self.bench = Bench([self.rule])
        self.kinds = [kind for kind in K if self.rule["kinds"] >> kind & 1]
        self.key = FIELD_NAMES[self.rule["key"]]
        self.done = 0

    def event(self, at: int, key: int = 7, value: int | None = None, kind: EventKind | None = None) -> None:
        """The next event; value: of what is counted apart."""
        self.done += 1
        kind = self.kinds[self.done % len(self.kinds)] if kind is None else kind
        different = self.done if value is None else value
        fields = {self.key: key}
        customer = 100 + (different if self.rule["different"] == Field.CUSTOMER else self.done)
        if self.rule["different"] not in (NONE, Field.CUSTOMER):
            fields[FIELD_NAMES[self.rule["different"]]] = 900 + different
        if kind == K.TRANSFER:
            fields = {"other": 8} | fields
        self.bench.does(at, customer, kind, **fields)

    def asked(self, at: int, key: int = 7) -> None:
        """What tells whether the key fires: an ask that the rule judges, of somebody else."""
        kind = K.TRANSFER if self.rule["key"] == Field.RECEIVER else K.CLAIM
        self.bench.does(at, 99, kind, **{self.key: key})

    def fired(self) -> bool:
        """Whether the last thing done fired the rule."""
        *_, last = self.bench.settle()
        return bool(last["fired"]) or last["kind"] == RequestKind.OBSERVED

    @property
    def most(self) -> int:
        return int(self.rule["most"])

    @property
    def window(self) -> int:
        return TO_MIDNIGHT if self.rule["per"] == PER_DAY else int(self.rule["window_ms"])


def fires_with(number: int, times: list[int], **same: Any) -> bool:
    """Whether a rule fires on the last of its events at these times; a key that never fires brings the reply."""
    story = Story(number)
    for at in times:
        story.event(at, **same)
    fired = [reply for reply in story.bench.settle() if reply["fired"] or reply["kind"] == RequestKind.OBSERVED]
    return bool(fired)


@pytest.mark.parametrize("number", COUNTED)
def test_a_core_rule_fires_just_over_and_within_its_window(number: int) -> None:
    rule = COUNTED[number]
    most, window = rule["most"], TO_MIDNIGHT if rule["per"] == PER_DAY else rule["window_ms"]
    assert not fires_with(number, [5] * most), "as many as it lets"
    assert fires_with(number, [5] * (most + 1)), "one more"
    assert fires_with(number, [0] * most + [window - 1]), "the first is still in"
    assert not fires_with(number, [0] * most + [window]), "the first is just out"
    assert not fires_with(number, [0] * most + [window, window]) or most < 2
    assert fires_with(number, [5] * 3 * (most + 1), value=1) == (rule["different"] == NONE), "the same again"
    assert not fires_with(number, [5] * (most + 2), key=NONE), "a key that is not known"
    if rule["per"] == PER_DAY:
        assert fires_with(number, [window] * (most + 1)), "the first instant of a day is its own"
    if rule["different"] not in (NONE, Field.CUSTOMER):
        assert not fires_with(number, [5] * (most + 2), value=NONE - 900), "what does not carry it is not counted"


@pytest.mark.parametrize("number", COUNTED)
def test_a_core_rule_judges_its_key_until_it_does_not_fire_any_more(number: int) -> None:
    story = Story(number)
    for n in range(story.most + 1):
        story.event(n)
    story.asked(story.most + 1)
    story.asked(story.most + 1, key=8)
    replies = story.bench.settle()
    judges_claims = story.rule["judges"] >> K.CLAIM & 1 or story.rule["key"] == Field.RECEIVER
    mine, *others = (reply for reply in replies if reply["customer"] == 99 and reply["kind"] != RequestKind.OBSERVED)
    assert bool(mine["fired"]) == bool(judges_claims)
    assert not any(other["fired"] for other in others)
    assert in_words(mine).endswith(answer_of(story.rule["verdict"])) or not judges_claims
    marks = [reply for reply in replies if reply["customer"] != 99 and reply["kind"] == RequestKind.OBSERVED]
    if story.rule["judges"] & ~(1 << K.CLAIM | 1 << K.TRANSFER):
        end = START_MS + (TO_MIDNIGHT if story.rule["per"] == PER_DAY else story.window)
        assert [(mark["expires_ms"], mark["rule"]) for mark in marks] == [(end, 0)]
        assert marks[0]["customer"] == 100 + story.most + 1
    else:
        assert not marks


@pytest.mark.parametrize("number", [n for n, rule in COUNTED.items() if rule["judges"] >> K.CLAIM & 1])
def test_a_key_fires_up_to_the_end_of_its_mark_and_no_longer(number: int) -> None:
    """Claims that a rule does not count find it firing until the oldest of what is kept leaves the window."""
    rule = COUNTED[number]
    if rule["kinds"] >> K.CLAIM & 1:
        rule = rule | {"kinds": rule["kinds"] & ~(1 << K.CLAIM) or 1 << K.LOGIN}
    story = Story(number, kinds=rule["kinds"])
    for n in range(story.most + 1):
        story.event(n)
    end = story.window
    story.asked(end - 1)
    story.asked(end)
    told = [reply for reply in story.bench.settle() if reply["customer"] == 99]
    last, *marks, after = told
    assert (bool(last["fired"]), bool(after["fired"])) == (True, False)
    told_of_orders = rule["judges"] & ~(1 << K.CLAIM | 1 << K.TRANSFER)
    assert [mark["expires_ms"] - START_MS for mark in marks] == ([end] if told_of_orders else []), "who asks is told"


def test_rows_of_one_settlement_see_each_other() -> None:
    bench = Bench([COUNTED[4]])
    for n in range(8):
        bench.claims(n, n, device_id=3)
    assert bench.answers() == "0 DONE 1 DONE 2 DONE 3 DONE 4 DONE 5 CHALLENGED 6 CHALLENGED 7 CHALLENGED"


def test_a_repetition_is_counted_once_and_what_is_late_at_the_present() -> None:
    bench = Bench([COUNTED[4]])
    first = [bench.claims(n, n, device_id=3) for n in range(5)]
    bench.settle(at=10 * MINUTE_MS)
    bench.rows += [dict(row) for row in first]
    bench.claims(11 * MINUTE_MS, 9, device_id=4)
    replies = bench.settle()
    assert [in_words(reply) for reply in replies] == ["0 DONE", "1 DONE", "2 DONE", "3 DONE", "4 DONE", "9 DONE"]
    bench.claims(0, 20, device_id=3)  # of before the last settlement: it is taken now
    assert bench.answers() == "20 CHALLENGED"
    bench.claims(HOUR_MS + 10, 21, device_id=3)
    assert bench.answers() == "21 DONE", "five have left, one was taken eleven minutes after the others"


def test_order_is_the_settlements_not_the_arrivals() -> None:
    bench = Bench([counts(3, [K.CLAIM], Field.IP, HOUR_MS, 1)])
    bench.claims(5, 1, ip=2)
    bench.claims(3, 2, ip=2)
    assert bench.answers() == "2 DONE 1 DENIED"


# --- granted ----------------------------------------------------------------------------------------------------------
def test_a_claim_of_a_campaign_is_granted_once() -> None:
    bench = Bench([GRANTED_ONCE], coupons=[coupon_row(0, pieces=2, confirm_within_ms=0)])
    for n, campaign in enumerate([0, 0, NONE, NONE, 0]):
        bench.claims(n, 1, campaign=campaign)
    bench.claims(9, 2, campaign=0)
    assert bench.answers() == "1 DONE 1 DENIED 1 DONE 1 OUT_OF_STOCK 1 DENIED 2 OUT_OF_STOCK"
    bench.ledger.restock("coupon_0", 1, bench.ledger.now_ms)
    bench.claims(20, 2, campaign=0)  # what was refused was not granted
    assert bench.answers() == "2 DONE"


def test_a_grant_counts_the_fallback_and_what_a_review_granted() -> None:
    coupons = [coupon_row(0, fallback=1, confirm_within_ms=0), coupon_row(1, confirm_within_ms=0)]
    bench = Bench([GRANTED_ONCE], coupons=coupons)
    bench.claims(0, 1, campaign=0, verdict=Verdict.WEAKER)
    bench.claims(1, 1, campaign=0)
    held = bench.claims(2, 2, campaign=0, verdict=Verdict.REVIEW)
    bench.claims(3, 2, campaign=0)
    assert bench.answers() == "1 FALLBACK 1 DENIED 2 IN_REVIEW 2 DONE"
    bench.ask(10, 2, RequestKind.REVIEWED, claim=held["claim"])
    bench.claims(11, 2, campaign=0)
    assert bench.answers() == "2 DONE 2 DONE 2 DENIED"


# --- the verdict ------------------------------------------------------------------------------------------------------
def firing(slot: int, verdict: Verdict, **fields: Any) -> Row:
    """A rule that fires on every claim with an IP."""
    return counts(100 + slot, [K.CLAIM], Field.IP, HOUR_MS, 0, verdict=verdict, **fields)


# rules: their answers by slot (`deny`, in capitals: a shadow); shard: its answer by the rule of a slot; passed: slots.
VERDICTS = """
rules                  shard      passed  answer        rule  fired
-                      -          -       DONE          -     -
deny                   -          -       DENIED        0     0
challenge review       -          -       IN_REVIEW     1     0,1
review deny challenge  -          -       DENIED        1     0,1,2
challenge challenge    -          -       CHALLENGED    0     0,1
challenge challenge    -          0       CHALLENGED    1     0,1
challenge              -          0       DONE          -     0
DENY                   -          -       DONE          -     0
DENY challenge         -          -       CHALLENGED    1     0,1
weaker                 -          -       FALLBACK      0     0
-                      weaker@5   -       FALLBACK      5     -
-                      challenge@5  -     CHALLENGED    5     -
challenge              deny@5     -       DENIED        5     0
deny                   challenge@5  -     DENIED        0     0
- deny                 deny@0     -       DENIED        0     1
deny                   deny@5     -       DENIED        0     0
"""


@pytest.mark.parametrize("line", VERDICTS.strip().splitlines()[1:])
def test_the_strongest_active_rule_answers(line: str) -> None:
    *rules, shard, passed, answer, rule, fired = (part for part in line.split())
    rows = [
        firing(slot, Verdict[name.upper()], mode=Mode.SHADOW if name.isupper() else Mode.ACTIVE, used=name != "-")
        if name != "-"
        else firing(slot, Verdict.DENY, used=0)
        for slot, name in enumerate(rules)
    ]
    bench = Bench(rows, coupons=[coupon_row(0, fallback=1, confirm_within_ms=0), coupon_row(1, confirm_within_ms=0)])
    fields: Row = {"exempt": 0 if passed == "-" else 1 << int(passed)}
    if shard != "-":
        name, slot = shard.split("@")
        fields |= {"verdict": Verdict[name.upper()], "rule": int(slot)}
    bench.claims(0, 1, ip=4, **fields)
    (reply,) = bench.settle()
    expected = sum(1 << int(slot) for slot in fired.split(",")) if fired != "-" else 0
    assert (Answer(reply["answer"]).name, reply["fired"]) == (answer, expected)
    assert reply["rule"] == (NONE if rule == "-" else int(rule))


def test_all_that_fire_are_told_those_of_the_shard_too() -> None:
    bench = Bench([firing(0, Verdict.ALLOW, mode=Mode.SHADOW)])
    bench.claims(0, 1, ip=4, fired=1 << 9)
    assert bench.settle()[0]["fired"] == 1 << 9 | 1


def test_a_rule_counts_what_it_did() -> None:
    bench = Bench([COUNTED[4], firing(1, Verdict.CHALLENGE, mode=Mode.SHADOW)])
    for n in range(7):
        bench.claims(n, n, device_id=3, ip=1 if n else NONE)
    bench.settle()
    cells = bench.ledger.found.cells.sum(axis=0)
    assert cells[0].tolist() == [7, 2, 2, 0]
    assert cells[1].tolist() == [7, 6, 0, 0]
    assert len(RuleCell) == 4


def test_what_a_table_forgot_is_not_judged() -> None:
    bench = Bench([counts(3, [K.CLAIM], Field.IP, HOUR_MS, 9, keys=2)])

    def not_judged(at: int, ip: int) -> int:
        before = int(bench.ledger.found.cells[:, 0, RuleCell.NOT_JUDGED].sum())
        bench.claims(at, 1, ip=ip)
        bench.settle()
        return int(bench.ledger.found.cells[:, 0, RuleCell.NOT_JUDGED].sum()) - before

    assert [not_judged(at, ip) for at, ip in ((0, 1), (1, 2), (2, 1), (3, 2))] == [0, 0, 0, 0]
    assert not_judged(4, 3) == 1, "it takes the place of 1"
    assert not_judged(5, 1) == 1, "1 has lost its place: what it did is not known any more"
    assert not_judged(6, 1) == 0, "it is in the table again"
    assert not_judged(3 + HOUR_MS, 9) == 1, "3 loses its place: what it did at 4 is still in the window"
    assert not_judged(7 + HOUR_MS, 8) == 0, "1, too, but an hour after its last event"


# --- tests of their own -----------------------------------------------------------------------------------------------
class Registrations:
    """`0 a device_id=1, 5 b register a ip=2`: what a and b are seen with, b registers with a as inviter."""

    def __init__(self, rules: list[Row]) -> None:
        self.bench = Bench(rules)

    def do(self, text: str) -> None:
        for part in text.split(","):
            at, who, *words = part.split()
            fields = {name: int(value) for name, value in (word.split("=") for word in words if "=" in word)}
            verbs = [word for word in words if "=" not in word]
            if verbs:
                fields["inviter"] = ord(verbs[1]) - ord("a") if len(verbs) > 1 else NONE
            kind = EventKind[verbs[0].upper()] if verbs else K.LOGIN
            self.bench.does(int(at) * 1_000, ord(who) - ord("a"), kind, **fields)

    def marked(self) -> str:
        return " ".join(chr(ord("a") + reply["customer"]) for reply in self.bench.settle())


REFERRALS = """
0 a device_id=1, 1 b register a device_id=1 ; b
0 a device_id=1, 1 b register a device_id=2 ;
0 a device_id=1, 1 b register c device_id=1 ;
0 a card=1, 1 b device_id=1, 2 b register a ;
0 a card=4, 1 b card=4, 2 b register a device_id=9 ; b
0 a address=4, 1 b register a address=4 ; b
0 a device_id=4, 1 b register a card=4 address=4 ;
0 a device_id=4, 1 b register device_id=4 ;
0 a device_id=4, 1 b device_id=4, 2 a register b ; a
0 a ip=4, 599 b register a ip=4 ; b
0 a ip=4, 600 b register a ip=4 ;
0 a ip=4, 300 a ip=4, 899 b register a ip=4 ; b
0 b ip=4, 1 a ip=5, 2 b register a ip=6 ;
5 b register a ip=4, 6 a ip=4 ;
0 b register a device_id=1, 1 a device_id=1 ;
0 a device_id=1 ip=2 card=3, 9000 a device_id=5, 99000 b register a device_id=1 ; b
"""


@pytest.mark.parametrize("line", REFERRALS.strip().splitlines())
def test_who_invites_themselves(line: str) -> None:
    story, expected = line.split(";")
    run = Registrations([SELF_REFERRAL])
    run.do(story)
    assert run.marked() == expected.strip()


def test_of_many_things_the_latest_are_kept_and_no_ip_before_a_device() -> None:
    run = Registrations([SELF_REFERRAL])
    for n in range(20):
        run.bench.does(n, 0, K.LOGIN, device_id=n + 1)
        run.bench.does(n, 2, K.LOGIN, device_id=500 if n == 0 else NONE, ip=n)
    run.do("1 b register a device_id=4, 2 d register a device_id=5, 3 e register c device_id=500")
    run.do("4 f register c ip=4, 5 g register c ip=5")
    assert run.marked() == "d e g"


CIRCLES = """
0 b register a, 1 a register b ; a
0 b register a, 1 c register b, 2 a register c ; a
0 b register a, 1 c register b, 2 d register c, 3 a register d ; a
0 b register a, 1 c register b, 2 d register c, 3 e register d, 4 a register e ; a
0 b register a, 1 c register b, 2 d register c, 3 e register d, 4 f register e, 5 a register f ;
0 b register a, 1 c register b ;
0 b register a, 1 b register c, 2 a register b ;
0 b register a, 1 b register c, 2 c register b ; c
0 b register a, 1 a login, 2 a register ;
"""


@pytest.mark.parametrize("line", CIRCLES.strip().splitlines())
def test_who_is_among_their_inviters(line: str) -> None:
    story, expected = line.split(";")
    run = Registrations([CIRCLE])
    run.do(story)
    assert run.marked() == expected.strip()


GROUPS = """
0 a group_join group=1 device_id=1, 1 b group_join group=1 device_id=1 ; b
0 a group_join group=1 device_id=1, 1 b group_join group=1 device_id=2 ;
0 a group_join group=1 device_id=1, 1 a group_join group=1 device_id=1 ;
0 a group_join group=1 address=1, 1 b group_join group=1 address=1 ; b
0 a group_join group=1 device_id=1, 1 b group_join group=1 address=1 ;
0 a group_join group=1 device_id=1, 1 b group_join group=2 device_id=1 ;
0 c group_join group=1, 1 d group_join group=1, 2 a group_join group=1 address=1, 3 b group_join group=1 address=1 ;
0 a group_join group=1 card=1, 1 b group_join group=1 card=1 ;
0 c group_join group=1, 1 a group_join group=1 device_id=1, 2 b group_join group=1 device_id=1 ; b
0 a group_join group=1 address=1, 1 b group_join group=1 address=1, 2 c group_join group=1, 3 d group_join group=1 ; b c
0 a group_join group=1 device_id=1 address=2, 1 b group_join group=1 device_id=1, 2 c group_join group=1 address=2 ; b c
0 a group_join device_id=1, 1 b group_join device_id=1 ;
"""


@pytest.mark.parametrize("line", GROUPS.strip().splitlines())
def test_who_colludes(line: str) -> None:
    story, expected = line.split(";")
    run = Registrations([COLLUSION])
    run.do(story)
    assert run.marked() == expected.strip()


def naive_share(joins: list[tuple[int, int, int]]) -> bool:
    """More than half of the members share something with another one."""
    members = {customer for customer, _, _ in joins}

    def shares(customer: int) -> bool:
        mine = [(d, a) for c, d, a in joins if c == customer]
        return any(
            (d == e and d != NONE) or (a == b and a != NONE) for c, e, b in joins if c != customer for d, a in mine
        )

    return 2 * sum(shares(customer) for customer in members) > len(members)


@pytest.mark.parametrize("seed", range(20))
def test_groups_of_all_kinds(seed: int) -> None:
    rng, bench = Random(seed), Bench([COLLUSION])
    joins: dict[int, list[tuple[int, int, int]]] = {}
    expected = []
    for at in range(40):
        group, customer = rng.randrange(3), rng.randrange(12)
        device, address = (rng.choice([NONE, rng.randrange(9)]) for _ in range(2))
        bench.does(at, customer, K.GROUP_JOIN, group=group, device_id=device, address=address)
        joins.setdefault(group, []).append((customer, device, address))
        if naive_share(joins[group]):
            expected.append((at, customer))
    assert [reply["customer"] for reply in bench.settle()] == [customer for _, customer in expected], f"seed {seed}"


def test_a_group_that_loses_its_place_takes_its_things_along() -> None:
    """Small tables: groups idle longest make room, for groups and for things."""
    rng, bench = Random(3), Bench([COLLUSION | {"keys": 4}])
    for at in range(600):
        things = {"device_id": rng.randrange(40), "address": rng.randrange(40)}
        bench.does(at * 7_000, rng.randrange(12), K.GROUP_JOIN, group=rng.randrange(7), **things)
    bench.settle()
    bonds, counters = bench.ledger.shared.fraud.bonds, bench.ledger.shared.fraud.counters
    book, owned = counters.books[0], 0
    for row in rows_by_idleness(counters, book):
        mine = chain_of(bonds.things, int(counters.keys[row].things), "next")
        assert all(bonds.things[at].owner == row for at in mine)
        owned += len(mine)
    free = len(chain_of(bonds.things, int(book.things_free), "next"))
    chained = sum(len(chain_of(bonds.things, int(head) - 1, "chain")) for head in bonds.lists)
    assert owned == chained == book.things_used - free
    assert book.things_used <= book.things_room == 32


def chain_of(things: Any, at: int, name: str) -> list[int]:
    """Places in a list."""
    found = []
    while at != NONE:
        found.append(at)
        at = int(things[at][name])
    return found


def test_groups_that_are_idle_make_room() -> None:
    """Four groups of few members fit; the one idle longest is forgotten as a whole."""
    rng, bench = Random(5), Bench([COLLUSION | {"keys": 4}])
    joins: dict[int, list[tuple[int, int, int]]] = {}
    expected = []
    for at in range(300):
        group, customer, device = rng.randrange(7), rng.randrange(4), rng.randrange(4)
        joined = [*joins.pop(group, []), (customer, device, NONE)]
        if len(joins) == 4:
            del joins[next(iter(joins))]
        joins[group] = joined
        bench.does(at, customer, K.GROUP_JOIN, group=group, device_id=device)
        if naive_share(joined):
            expected.append(customer)
    assert [reply["customer"] for reply in bench.settle()] == expected
    assert 30 < len(expected) < 290


def test_customers_who_are_idle_make_room() -> None:
    rng, bench = Random(5), Bench([SELF_REFERRAL | {"keys": 4}])
    seen: dict[int, set[int]] = {}
    expected = []
    for at in range(300):
        customer, device, inviter = rng.randrange(7), rng.randrange(9), rng.randrange(7)
        mine = seen.pop(customer, set()) | {device}
        if len(seen) == 4:
            del seen[next(iter(seen))]
        seen[customer] = mine
        bench.does(at, customer, K.REGISTER, device_id=device, inviter=inviter)
        if mine & seen.get(inviter, set()):
            expected.append(customer)
    assert [reply["customer"] for reply in bench.settle()] == expected
    assert len(expected) > 20


# --- lists ------------------------------------------------------------------------------------------------------------
LISTS_OF_CLAIMS = LISTS | {"kinds": 1 << K.CLAIM, "judges": 1 << K.CLAIM}  # so it marks nobody


def test_who_is_on_a_list_is_marked_until_the_listing_ends() -> None:
    bench = Bench([LISTS], listed=[listed(Field.DEVICE, 6, until=START_MS + 100), listed(Field.CARD, 7)])
    bench.does(0, 1, K.LOGIN, device_id=6)
    bench.claims(1, 2, card=7)
    assert bench.answers() == "1 mark 0 until 100 2 DENIED 2 mark 0 until ever"


def listed(field: Field, value: int, allowed: int = 0, until: int = NEVER_MS) -> Row:
    return {"field": int(field), "value": value, "allowed": allowed, "until_ms": until}


@pytest.mark.parametrize("field", [Field.CUSTOMER, Field.DEVICE, Field.IP, Field.CARD, Field.ADDRESS])
def test_a_block_list_holds_until_its_entry_ends(field: Field) -> None:
    others = [listed(other, value) for other in (Field.DEVICE, Field.IP, Field.ADDRESS) for value in (3, 9)]
    bench = Bench([LISTS_OF_CLAIMS], listed=[*others, listed(field, 6, until=START_MS + 100)])
    name = FIELD_NAMES[field]
    for at, value in ((0, 5), (99, 6), (100, 6), (101, 7)):
        bench.claims(at, value, **({} if name == "customer" else {name: value}))
    assert bench.answers() == "5 DONE 6 DENIED 6 DONE 7 DONE"


def test_who_is_allowed_is_refused_by_the_block_list_alone() -> None:
    lists = [listed(Field.DEVICE, 1, allowed=1), listed(Field.IP, 2)]
    bench = Bench([LISTS_OF_CLAIMS, firing(1, Verdict.DENY)], listed=lists)
    bench.claims(0, 1, ip=1)
    bench.claims(1, 2, ip=1, device_id=1)
    bench.claims(2, 3, ip=2, device_id=1)
    bench.claims(3, 4, device_id=1, verdict=Verdict.CHALLENGE, rule=7)
    replies = bench.settle()
    assert [in_words(reply) for reply in replies] == ["1 DENIED", "2 DONE", "3 DENIED", "4 DONE"]
    assert [reply["rule"] for reply in replies] == [1, NONE, 0, NONE]
    assert [reply["fired"] for reply in replies] == [2, 2, 3, 0]


def test_the_block_list_of_the_shard_answers_who_is_allowed_at_the_ledger() -> None:
    at_home = LISTS_OF_CLAIMS | {"home": 0, "name_hash": 5}
    bench = Bench([LISTS_OF_CLAIMS, at_home, firing(2, Verdict.DENY)], listed=[listed(Field.DEVICE, 1, allowed=1)])
    bench.claims(0, 1, ip=1, device_id=1, fired=2, verdict=Verdict.DENY, rule=1)
    bench.claims(1, 2, ip=1, device_id=1, fired=8, verdict=Verdict.DENY, rule=3)
    first, second = bench.settle()
    assert (in_words(first), first["rule"], in_words(second)) == ("1 DENIED", 1, "2 DONE")


def test_an_allow_list_in_shadow_allows_nobody() -> None:
    bench = Bench(
        [LISTS_OF_CLAIMS | {"mode": Mode.SHADOW}, firing(1, Verdict.DENY)], listed=[listed(Field.DEVICE, 1, allowed=1)]
    )
    bench.claims(0, 1, ip=1, device_id=1)
    assert bench.answers() == "1 DENIED"


def test_what_persons_list_holds_from_then_on_until_it_ends_or_they_think_again() -> None:
    bench = Bench([LISTS_OF_CLAIMS, firing(1, Verdict.CHALLENGE)])
    bench.claims(0, 1, device_id=3)
    end = START_MS + HOUR_MS
    blocked = {"device_id": 3, "card": 4, "verdict": int(Verdict.DENY), "expires_ms": end, "coupon": NONE}
    bench.ask(1, 50, RequestKind.LISTED, **blocked)
    bench.claims(2, 1, device_id=3)
    bench.claims(2, 2, card=4)
    bench.claims(2, 3, ip=4)
    assert {in_words(reply) for reply in bench.settle()} == {
        "1 DONE", "50 DENIED", "1 DENIED", "2 DENIED", "3 CHALLENGED"
    }  # fmt: skip
    allowed = {"device_id": 3, "expires_ms": START_MS + 2 * HOUR_MS, "coupon": NONE}
    bench.ask(10, 50, RequestKind.LISTED, **allowed)
    bench.claims(11, 1, device_id=3, ip=4)
    bench.claims(12, 2, card=4)
    bench.claims(HOUR_MS, 2, card=4)
    bench.claims(2 * HOUR_MS, 1, device_id=3, ip=4)
    assert bench.answers() == "50 DONE 1 DONE 2 DENIED 2 DONE 1 CHALLENGED"


def test_a_listing_is_answered_with_what_was_decided() -> None:
    bench = Bench([LISTS_OF_CLAIMS])
    bench.ask(0, 5, RequestKind.LISTED, other=5, verdict=int(Verdict.DENY), expires_ms=START_MS + 77, coupon=NONE)
    bench.ask(1, 6, RequestKind.LISTED, other=6, expires_ms=START_MS + 99, coupon=NONE)
    blocked, allowed = bench.settle()
    assert (in_words(blocked), blocked["other"], blocked["expires_ms"]) == ("5 DENIED", 5, START_MS + 77)
    assert (in_words(allowed), allowed["other"], allowed["expires_ms"]) == ("6 DONE", 6, START_MS + 99)
    bench.claims(10, 5)
    bench.claims(10, 6)
    assert sorted(bench.answers().split(" ")) == ["5", "6", "DENIED", "DONE"]


def test_a_thousand_listings_make_room_and_those_that_are_over_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.host.ledger_fraud.DECIDED_MAX", 512)
    bench = Bench([LISTS_OF_CLAIMS])
    for n in range(400):
        bench.ask(n, 1, RequestKind.LISTED, device_id=n, verdict=int(Verdict.DENY), expires_ms=START_MS + 1_000 + n)
    assert bench.answers().count("DENIED") == 400
    bench.claims(1_350, 2, device_id=399)
    bench.claims(1_351, 3, device_id=300)
    assert bench.answers() == "2 DENIED 3 DONE"
    for n in range(520):
        bench.ask(5_000 + n, 1, RequestKind.LISTED, device_id=1_000 + n, verdict=int(Verdict.DENY), expires_ms=NEVER_MS)
    assert bench.answers() == " ".join(["1 DENIED"] * 512 + ["1 NO_ROOM"] * 8)


@pytest.mark.parametrize(
    ("ip", "fires"),
    [(9, 0), (10, 1), (15, 1), (20, 1), (21, 0), (30, 1), (31, 0), (NONE, 0)],
)
def test_an_ip_of_a_range(ip: int, fires: int) -> None:
    ranges = [{"first": 10, "last": 20}, {"first": 30, "last": 30}, {"first": 100, "last": 200}]
    bench = Bench([PROXY], ranges=ranges)
    bench.claims(0, 1, ip=ip)
    bench.does(1, 2, K.LOGIN, ip=ip)
    expected = f"1 CHALLENGED 1 mark 0 until {10 * MINUTE_MS} 2 mark 0 until {10 * MINUTE_MS + 1}"
    assert bench.answers() == (expected if fires else "1 DONE")


# --- marks ------------------------------------------------------------------------------------------------------------
def test_marks_end_with_the_window_of_what_they_are_by() -> None:
    """One for every rule that fires, in the order of slots; a shadow marks too; an observation has no other reply."""
    rules = [
        counts(6, [K.LOGIN], Field.IP, 5 * MINUTE_MS, 1, different=Field.CUSTOMER),
        counts(7, [K.LOGIN], Field.DEVICE, NEVER_MS, 1, mode=Mode.SHADOW),
        counts(8, [K.LOGIN], Field.DEVICE, DAY_MS, 1, per=PER_DAY),
        counts(9, [K.LOGIN], Field.CARD, DAY_MS, 0, mode=Mode.OFF),
    ]
    bench = Bench(rules)
    bench.does(10, 1, K.LOGIN, ip=1, device_id=5)
    bench.does(20, 2, K.LOGIN, ip=1, device_id=5, card=5)
    bench.does(30, 1, K.LOGIN, ip=1)
    end = 5 * MINUTE_MS
    assert bench.answers() == (
        f"2 mark 0 until {end + 10} 2 mark 1 until ever 2 mark 2 until {TO_MIDNIGHT} 1 mark 0 until {end + 20}"
    )


def test_a_rule_that_judges_claims_and_transfers_alone_marks_nobody() -> None:
    fields: Row = {"judges": 1 << K.CLAIM | 1 << K.TRANSFER}
    bench = Bench([counts(6, [K.LOGIN], Field.IP, HOUR_MS, 0, **fields), COUNTED[4]])
    bench.does(0, 1, K.LOGIN, ip=1)
    bench.claims(1, 1, ip=1)
    assert bench.answers() == "1 DENIED"


# --- reviews ----------------------------------------------------------------------------------------------------------
REVIEWING = firing(0, Verdict.REVIEW)


def shop(pieces: int = 2, hold: int = 0, amount: int = 1_000) -> Bench:
    coupon = coupon_row(0, pieces=pieces, confirm_within_ms=hold, budget=0)
    return Bench([REVIEWING], coupons=[coupon], budgets=[budget_row(0, amount=amount)])


def state(bench: Bench) -> dict[str, int]:
    stock, fund = bench.ledger.stock("coupon_0"), bench.ledger.fund("budget_0")
    names = ("left", "granted", "reserved", "confirmed", "moving")
    return {name: int(stock[name]) for name in names} | {"money": int(fund.reserved), "spent": int(fund.spent)}


NOTHING = {"left": 2, "granted": 0, "reserved": 0, "confirmed": 0, "moving": 0, "money": 0, "spent": 0}


def test_a_review_holds_a_piece_and_its_money_until_it_is_decided() -> None:
    bench = shop()
    one, other = bench.claims(0, 1, ip=1), bench.claims(1, 2, ip=1)
    bench.claims(2, 3, ip=1)
    bench.claims(3, 4)
    assert bench.answers() == "1 IN_REVIEW 2 IN_REVIEW 3 OUT_OF_STOCK 4 OUT_OF_STOCK"
    assert state(bench) == NOTHING | {"left": 0, "reserved": 2, "money": 1_000}
    bench.ask(10, 1, RequestKind.REVIEWED, claim=one["claim"])
    bench.ask(11, 2, RequestKind.REVIEWED, claim=other["claim"], verdict=int(Verdict.DENY))
    replies = bench.settle()
    assert [in_words(reply) for reply in replies] == ["1 DONE", "1 DONE", "2 DENIED", "2 DONE"]
    assert [reply["kind"] for reply in replies] == [1, 9, 1, 9]
    assert [reply["number"] for reply in replies] == [0, 1, 0, 1]
    assert state(bench) == NOTHING | {"left": 1, "granted": 1, "money": 500}
    bench.claims(12, 4)
    assert bench.answers() == "4 DONE"


def test_a_decision_is_taken_once_and_comes_too_late_the_second_time() -> None:
    bench = shop()
    claim = bench.claims(0, 1, ip=1)
    bench.settle()
    first = bench.ask(1, 1, RequestKind.REVIEWED, claim=claim["claim"], verdict=int(Verdict.DENY))
    assert bench.answers() == "1 DENIED 1 DONE"
    bench.ask(2, 1, RequestKind.REVIEWED, claim=claim["claim"])
    bench.rows += [dict(first), dict(claim)]
    assert sorted(bench.answers().split(" 1 ")) == ["1 DENIED", "DONE", "LAPSED"]
    assert state(bench) == NOTHING
    bench.ask(3, 1, RequestKind.REVIEWED, claim=99)
    assert bench.answers() == "1 LAPSED"


def test_nobody_has_decided_within_a_day() -> None:
    bench = shop()
    bench.claims(7, 1, ip=1)
    assert bench.answers() == "1 IN_REVIEW"
    assert bench.answers(DAY_MS + 6) == ""
    assert bench.answers(DAY_MS + 7) == "1 DONE"
    assert state(bench) == NOTHING | {"left": 1, "granted": 1, "money": 500}
    assert bench.ledger.shared.reservations.size[0] == 0


def test_a_review_needs_a_piece_and_money_and_room(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = shop(amount=700)
    for n in range(3):
        bench.claims(n, n, ip=1)
    assert bench.answers() == "0 IN_REVIEW 1 BUDGET 2 BUDGET"
    monkeypatch.setattr("engine.host.ledger_arrays.RESERVATIONS_MAX", 1)
    monkeypatch.setattr("engine.host.ledger_arrays.LEAST_ROOM", 1)
    bench = shop()
    for n in range(2):
        bench.claims(n, n, ip=1)
    assert bench.answers() == "0 IN_REVIEW 1 NO_ROOM"
    assert state(bench) == NOTHING | {"left": 1, "reserved": 1, "money": 500}


def test_a_prize_under_review_waits_for_its_customer_once_it_is_granted() -> None:
    bench = shop(hold=15 * MINUTE_MS)
    prize = bench.reserves(0, 1, ip=1)
    bench.ask(1, 1, RequestKind.CONFIRM, claim=prize["claim"])
    assert bench.answers() == "1 IN_REVIEW 1 LAPSED", "nobody confirms what is not granted"
    bench.ask(10, 1, RequestKind.REVIEWED, claim=prize["claim"])
    granted, _ = bench.settle()
    assert granted["expires_ms"] == START_MS + 10 + 15 * MINUTE_MS
    assert state(bench) == NOTHING | {"left": 1, "reserved": 1, "money": 500}
    bench.ask(20, 1, RequestKind.CONFIRM, claim=prize["claim"])
    assert bench.answers() == "1 DONE"
    assert state(bench) == NOTHING | {"left": 1, "confirmed": 1, "spent": 500}
    bench.reserves(30, 2, ip=1)
    assert bench.answers(40) == "2 IN_REVIEW"
    assert bench.answers(DAY_MS + HOUR_MS) == "2 DONE"
    assert state(bench) == NOTHING | {"left": 1, "confirmed": 1, "spent": 500}, "granted after a day, lapsed after that"


def test_a_transfer_is_refused_or_held() -> None:
    rules = [counts(39, [K.TRANSFER], Field.RECEIVER, HOUR_MS, 0, verdict=Verdict.REVIEW)]
    bench = Bench(rules, coupons=[coupon_row(0, pieces=9, confirm_within_ms=0)])
    coupon = bench.claims(0, 1)
    bench.settle()
    gift = {"claim": coupon["claim"], "other": 2, "expires_ms": START_MS + 5}
    bench.does(1, 1, K.TRANSFER, **gift, verdict=Verdict.DENY, rule=3)
    bench.does(2, 1, K.TRANSFER, **gift, verdict=Verdict.CHALLENGE, rule=3, counted=0, judging=0)
    bench.does(3, 1, K.TRANSFER, **gift | {"other": NONE}, verdict=Verdict.WEAKER, rule=3)
    bench.does(4, 1, K.TRANSFER, **gift)
    bench.does(5, 1, K.TRANSFER, **gift)
    assert bench.answers() == "1 DENIED 1 CHALLENGED 1 WALLET_FULL 1 IN_REVIEW 1 NO_COUPON"
    assert bench.ledger.stock("coupon_0").moving == 1
    bench.ask(10, 1, RequestKind.REVIEWED, claim=coupon["claim"], verdict=int(Verdict.DENY))
    assert bench.answers() == "1 DENIED 1 DONE"
    assert bench.ledger.stock("coupon_0").moving == 0
    again = bench.does(20, 1, K.TRANSFER, **gift)
    assert bench.answers() == "1 IN_REVIEW"
    arrived = bench.settle(DAY_MS + 20)
    assert [(in_words(reply), reply["other"], reply["number"], reply["expires_ms"]) for reply in arrived] == [
        ("2 DONE", 1, NONE, START_MS + 5)
    ]
    bench.rows.append(dict(again))
    assert bench.answers() == "", "under way: its giver has no reply yet"
    bench.ask(DAY_MS + 30, 2, RequestKind.ARRIVED, claim=coupon["claim"], other=1)
    assert bench.answers() == "1 DONE"
    assert bench.ledger.stock("coupon_0").moving == 0


def test_reviews_that_end_at_one_instant_do_so_by_customer_and_claim() -> None:
    bench = Bench([REVIEWING])
    rng = Random(1)
    order = rng.sample(range(100), 60)
    for customer in order:
        bench.claims(0, customer, ip=1)
    bench.settle()
    assert bench.answers(DAY_MS) == " ".join(f"{customer} DONE" for customer in sorted(order))


def test_a_review_is_forgotten_by_nobody_before_it_is_over() -> None:
    bench = shop()
    bench.claims(0, 1, ip=1)
    bench.settle()
    bench.ledger.forget(0, CUSTOMERS, bench.ledger.number)
    assert bench.answers(DAY_MS) == "1 DONE"
    bench.ledger.forget(0, CUSTOMERS, bench.ledger.number)
    assert bench.ledger.shared.remembered.size[0] == 0


# --- invariants, each seen red ----------------------------------------------------------------------------------------
def lose_a_piece(shared: Any) -> None:
    shared.stock[0].reserved -= 1
    shared.stock[0].left += 1


def hold_twice(shared: Any) -> None:
    shared.stock[0].reserved += 1
    shared.stock[0].left -= 1


def free_its_money(shared: Any) -> None:
    shared.funds[0].reserved -= 1


def lose_a_gift(shared: Any) -> None:
    shared.stock[0].moving += 1


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (lose_a_piece, "coupon coupon_0: 0 are reserved, but 1 are open"),
        (hold_twice, "coupon coupon_0: 2 are reserved, but 1 are open"),
        (free_its_money, r"budget budget_0: ¥4.99 are reserved, but reservations and reviews hold ¥5.00"),
        (lose_a_gift, "coupon coupon_0: 1 are under way, but 0 are open"),
    ],
)
def test_a_review_that_goes_wrong_is_seen(monkeypatch: pytest.MonkeyPatch, fault: Any, sentence: str) -> None:
    def settle_wrongly(requests: Any, spend: Any, shared: Any, *rest: Any) -> int:
        count = int(settle(requests, spend, shared, *rest))
        fault(shared)
        return count

    bench = shop()
    monkeypatch.setattr("engine.host.ledger.settle", settle_wrongly)
    bench.claims(0, 1, ip=1)
    with pytest.raises(AssertionError, match=sentence):
        bench.settle()


# --- policies, snapshots, other slots ---------------------------------------------------------------------------------
def test_a_rule_that_is_taken_up_warms_for_a_window() -> None:
    rule = counts(3, [K.CLAIM], Field.IP, HOUR_MS, 0)
    bench = Bench([rule | {"mode": Mode.OFF}, COUNTED[4]])
    bench.claims(0, 1, ip=1)
    assert bench.answers(at=10) == "1 DONE"
    bench.adopt([rule, COUNTED[4]])
    bench.claims(11, 1, ip=1)
    bench.claims(9 + HOUR_MS, 1, ip=1)
    bench.claims(10 + HOUR_MS, 1, ip=1)
    replies = bench.settle()
    assert [in_words(reply) for reply in replies] == ["1 DONE", "1 DONE", "1 DENIED"]
    assert [reply["fired"] for reply in replies] == [1, 1, 1], "it fires as a shadow"


@pytest.mark.parametrize(
    ("change", "since"),
    [
        ({"window_ms": 2 * HOUR_MS}, 2 * HOUR_MS),
        ({"most": 1}, HOUR_MS),
        ({"key": Field.DEVICE}, HOUR_MS),
        ({"different": Field.DEVICE}, HOUR_MS),
        ({"per": PER_DAY}, TO_MIDNIGHT - 10),
        ({"window_ms": NEVER_MS}, 0),
        ({"name_hash": 12}, HOUR_MS),
        ({"verdict": Verdict.CHALLENGE}, None),
        ({"keys": 3}, None),
    ],
)
def test_a_rule_that_counts_otherwise_begins_anew(change: Row, since: int | None) -> None:
    rule = counts(3, [K.CLAIM], Field.IP, HOUR_MS, 2)
    bench = Bench([rule])
    for n in range(2):
        bench.claims(n, n, ip=1)
    bench.settle(at=10)
    bench.adopt([rule | change])
    bench.claims(11, 9, ip=1, device_id=3)
    warm = bench.ledger.shared.fraud.warm_ms[0]
    assert warm == (0 if since is None else START_MS + 10 + since)
    assert bool(bench.settle()[0]["fired"]) == (since is None)


def lived(bench: Bench, rng: Random, acts: int) -> list[Row]:
    """Everybody does anything with few devices, IPs, cards …; some are reviewed."""
    now = bench.ledger.now_ms - START_MS
    for _ in range(acts):
        at, customer = now + rng.randrange(4 * MINUTE_MS), rng.randrange(CUSTOMERS // 20) * 20
        kind = rng.choice([*TRACED, K.CLAIM, K.CLAIM, K.GROUP_JOIN])
        fields = {name: rng.choice([NONE, rng.randrange(rng.choice([3, 60]))]) for name in ORIGIN_FIELDS}
        fields["inviter"] = rng.choice([NONE, customer - 20, customer + 20, 0]) if kind == K.REGISTER else NONE
        if kind == K.TRANSFER:
            fields |= {"other": rng.randrange(4), "claim": 50_000 + bench.numbers.get(customer, 0), "coupon": NONE}
        if rng.random() < 0.4:  # unseen by most rules, so that more than refusals happens
            fields |= dict.fromkeys(ORIGIN_FIELDS, NONE) | {"verdict": rng.choice([0, int(Verdict.REVIEW)])}
        bench.does(at, customer, kind, **fields, campaign=0 if kind == K.CLAIM else NONE)
        if rng.random() < 0.1:
            bench.ask(at, customer, RequestKind.REVIEWED, claim=rng.randrange(9), verdict=rng.choice([0, 4]))
        if rng.random() < 0.03:
            fields = {"device_id": rng.randrange(6), "verdict": rng.choice([0, 4]), "coupon": NONE}
            bench.ask(at, customer, RequestKind.LISTED, **fields, expires_ms=START_MS + at + HOUR_MS)
    return bench.settle(now + 4 * MINUTE_MS)


def world(seed: int, shards: int = 1, acts: int = 120, between: Any = None) -> tuple[str, list[Row]]:
    """A random life under all rules of the Ledger: its digest and all replies."""
    proxies = [{"first": 2, "last": 5}]
    bench, rng, said = Bench(ALL, shards, ranges=proxies), Random(seed), list[Row]()
    for number in range(6):
        said += sorted(lived(bench, rng, acts), key=lambda reply: sorted(reply.items()))
        if between is not None:
            between(bench, number)
    return bench.ledger.digest(), said


def test_a_random_life_meets_everything() -> None:
    """What the properties below run over is not empty."""
    _, said = world(2, acts=600)
    answers = {Answer(reply["answer"]).name for reply in said}
    assert answers >= {"DONE", "DENIED", "CHALLENGED", "IN_REVIEW", "LAPSED", "NO_COUPON"}
    fired = 0
    for reply in said:
        fired |= reply["fired"] | (1 << reply["rule"] if reply["rule"] != NONE else 0)
    assert bin(fired).count("1") >= len(ALL) - 3


def other_slots(bench: Bench, number: int) -> None:
    """The same rules under other slots, in their order; requests of the next settlement are asked under these."""
    if number == 2:
        digest = bench.ledger.digest()
        bench.adopt([{"used": 0}, *ALL[:5], {"used": 0}, *ALL[5:]])
        assert bench.ledger.digest() == digest


def elsewhere(bench: Bench, number: int) -> None:
    """Another process takes over, by a snapshot."""
    if number in (1, 3):
        bench.ledger = bench.ledger.copy()


@pytest.mark.parametrize("seed", [2, 3])
def test_the_same_digest_on_any_shards_after_a_snapshot_and_under_other_slots(seed: int) -> None:
    digest, said = world(seed)
    assert world(seed, shards=3) == (digest, said)
    assert world(seed, between=elsewhere) == (digest, said)
    assert world(seed, between=other_slots)[0] == digest


def test_the_digest_sees_all_that_is_remembered() -> None:
    bench = Bench(ALL)
    bench.does(0, 1, K.REGISTER, device_id=1, ip=1, card=1, inviter=2)
    bench.does(1, 1, K.GROUP_JOIN, device_id=1, group=3)
    bench.claims(2, 1, campaign=0, device_id=1, verdict=int(Verdict.REVIEW))
    bench.ask(3, 1, RequestKind.LISTED, device_id=9, expires_ms=NEVER_MS, coupon=NONE)
    bench.settle()
    fraud, digest = bench.ledger.shared.fraud, bench.ledger.digest()
    counters, bonds = fraud.counters, fraud.bonds
    open_requests = bench.ledger.shared.reservations.requests
    row = int(bench.ledger.shared.reservations.heap[0])
    used = np.flatnonzero(counters.cells)[0]
    places: list[tuple[Any, Any, str]] = [
        (counters.cells, used, ""),
        (counters.keys, int(counters.books[2].first), "last_ms"),
        (counters.books, 2, "forgotten_ms"),
        (counters.cells, int(counters.books[ALL.index(SELF_REFERRAL)].cells), ""),
        (bonds.things, int(counters.books[ALL.index(COLLUSION)].things), "shares"),
        (bonds.inviters, 1, ""),
        (fraud.decided.rows, 0, "until_ms"),
        (fraud.decided.rows, 0, "allowed"),
        (fraud.warm_ms, 3, ""),
        (open_requests, row, "kind"),
    ]
    for array, place, name in places:
        cell = array if not name else array[name]
        before = cell[place]
        cell[place] = before + 1
        changed = bench.ledger.digest()
        cell[place] = before
        assert changed != digest, (place, name)
        assert bench.ledger.digest() == digest


def test_compiled_equals_interpreted() -> None:
    """Said by a process of the other kind; python -m tests.engine.test_judging says what a random life ends in."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.engine.test_judging"]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == world(4)[0]


if __name__ == "__main__":
    print(world(4)[0])
