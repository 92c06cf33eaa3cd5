"""The shard's side of fraud rules: what is counted, who is judged, and what the Ledger is told. By tables."""

import re
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest

from engine.coupon_records import Answer, InstanceMark, RequestKind
from engine.fraud_records import Check, Field, Home, Mode, RuleCell, Sighted, Verdict
from engine.host.shard import combined
from engine.records import DAY_MS, HOUR_MS, MINUTE_MS, NEVER_MS, NONE, SECOND_MS, SHARE_ONE, Compare, EventKind, Fact
from tests.engine.fraud_scene import (
    CORE,
    MIDNIGHT_MS,
    K,
    Scene,
    core,
    kinds,
    ms,
    rule,
    tables_with,
)

SLOT = 5

# --- the shard's rows of the core rules -------------------------------------------------------------------------------
# Events of one customer, since midnight; `*n/x`: n of them, x apart; a list of values: one event each, at that instant.
# The last one is the ask: does the rule fire on it?
CASES = """
2   claim*2@9h                           claim@10h                             -
2   claim*3@9h                           claim@24h-1ms                         fires    # the fourth of a day
2   claim*3@24h-1ms                      claim@24h                             -        # a new day
2   claim:id=7*9@9h                      claim@10h                             -        # once per id
2   claim:coupon=one*3@9h                claim@10h                             fires    # refused ones count
8   login:device=1@9h login:device=2@9h+1s  claim:device=2@9h+2s               -
8   login:device=1,2@9h                  claim:device=3@9h+5min-1ms            fires
8   login:device=1,2@9h                  claim:device=3@9h+5min                -        # exactly w old is out
8   login:device=1,2@9h                  claim@9h+1s                           -        # the ask's is not known
8   login:device=1,2,3@9h                claim@9h+1s                           fires    # three are
8   login:device=1,2,1,2,1@9h            claim:device=1@9h+4min                -        # the same two
8   login:device=1@9h login:device=2@9h+4min login:device=1@9h+4min   claim:device=3@9h+5min   fires  # seen again
9   login:ip=1,2,3,4@9h                  claim:ip=5@9h+1s                      -
9   login:ip=1,2,3,4,5@9h                claim:ip=6@9h+5min-1ms                fires
9   login:ip=1,2,3,4,5@9h                claim:ip=6@9h+5min                    -
12  login@9h                             claim:coupon=dear@23h-1ms             fires    # joined at 23:00 the day before
12  login@9h                             claim:coupon=dear@23h                 -
12  login@9h                             claim:coupon=cheap@10h                -        # 49.99
12  login@9h                             claim:coupon=high@10h                 fires    # can cost 50.00
16  order*4@9h                           order@9h+15min                        -
16  order*5@9h                           order@9h+15min-1ms                    -        # may still be paid
16  order*5@9h                           order@9h+15min                        fires
16  order*5@9h                           order@9h+45min-1ms                    fires
16  order*5@9h                           order@9h+45min                        -        # 30 min after the holds ended
16  order*5@9h pay:order=2@9h+1s         order@9h+15min                        -
16  order*5@9h cancel:order=2@9h+1s      order@9h+15min                        -
17  cancel:order=1,2,3@9h                order@9h+1s                           -
17  cancel:order=1,2,3,4@9h              order@9h+30min-1ms                    fires
17  cancel:order=1,2,3,4@9h              order@9h+30min                        -
17  cancel:order=1,2,3,3,3@9h            order@9h+1s                           -        # different orders
17  cancel:order=1,2,3,4@9h              claim@9h+1s                           fires    # judges all
19  login:address=1@9h                   claim:address=2@9h+1s                 -
19  login:address=1,2@9h                 claim:address=3@10h-1ms               fires
19  login:address=1,2@9h                 claim:address=3@10h                   -
23  login:card=1,2,3,4@9h                claim:card=5@9h+1s                    -
23  login:card=1,2,3,4,5@0h              claim:card=6@24h-1ms                  fires
23  login:card=1,2,3,4,5@24h-1ms         claim:card=6@24h                      -
25  decline@9h order@9h                  pay:order=1@9h+60s-1ms                fires
25  decline@9h order@9h                  pay:order=1@9h+60s                    -
25  decline@9h                           claim@9h+1s                           -        # payments only
26  decline*3@9h                         claim@9h+1s                           -
26  decline*4@9h                         claim@9h+5min-1ms                     fires
26  decline*4@9h                         claim@9h+5min                         -
27  login:city=wuhan@9h                  claim:city=xiaogan@9h                 -        # 50 000 m are not more
27  login:city=xiaogan@9h                claim:city=beijing@10h                -        # 1 000 km in an hour
27  login:city=xiaogan@9h                claim:city=beijing@10h-1ms            fires
27  login:city=wuhan@9h                  claim:city=beijing@9h                 fires    # in no time
27  login:city=wuhan,moon@9h             claim:city=beijing@9h+1s              fires    # the last in a place
27  login:city=wuhan@9h                  claim:city=moon@9h+1s                 -
27  login:city=wuhan@9h                  claim@9h+1s                           -
27  login:city=wuhan,beijing@9h          claim@10h+187199ms                    fires    # 1 052 km take 1 h 187.2 s
27  login:city=wuhan,beijing@9h          claim:city=beijing@10h+187200ms       -
27  login:city=wuhan,beijing,wuhan@9h    claim:city=wuhan@9h+1s                fires    # back again in no time
27  login:city=xiaogan@9h login:city=beijing@10h-1ms  claim@10h                -        # the very end
28  login@9h                             claim:coupon=local:city=wuhan@9h+1s   -
28  login@9h                             claim:coupon=local:city=beijing@9h+1s fires
28  login@9h                             claim:coupon=local@9h+1s              -        # not known where
28  login@9h                             claim:city=beijing@9h+1s              -        # a coupon for all
28  claim:coupon=local:city=wuhan@9h     redeem:claim=0:city=beijing@9h+1s     fires
28  claim:coupon=local:city=wuhan@9h     redeem:claim=0:city=wuhan@9h+1s       -
31  cancel:order=1*99@9h                 claim@9h+1s                           -        # 100 are not more
31  cancel:order=1*100@9h/799ms          claim@9h+79900ms                      fires
31  cancel:order=1*100@9h/800ms          claim@9h+80s                          -        # a mean gap of 800 ms
31  cancel:order=1*100@9h                claim@9h+80s-1ms                      fires
31  cancel:order=1*100@9h                claim@9h+80s                          -
31  cancel:order=1*400@9h                claim@9h+5min-1ms                     fires    # 401 in less than 5 min
31  cancel:order=1*400@9h                claim@9h+5min                         -
32  claim@9h                             claim@9h+1s                           -
32  claim*2@9h                           claim@9h+1s                           fires
32  view*4@9h claim*2@9h                 claim@9h+1s                           fires
32  view*5@9h claim*2@9h                 claim@9h+1s                           -
32  view*5@9h claim*2@9h+1s              claim@9h+30min-1ms                    -
32  view*5@9h claim*2@9h+1s              claim@9h+30min                        fires    # the views are out
32  claim*2@9h                           claim@9h+30min                        -
33  transfer_money:amount=10000*5@9h     claim@9h+1s                           -
33  transfer_money:amount=10000*6@9h     claim@10h-1ms                         fires
33  transfer_money:amount=10000*6@9h     claim@10h                             -
33  transfer_money:amount=10001*9@9h     claim@9h+1s                           -        # not small
34  order*4@5h                           order@6h-1ms                          -
34  order*5@5h+1ms                       order@6h-1ms                          fires
34  order*5@5h                           order@6h                              -        # silent by day
34  order*5@5h-1ms                       order@6h-1ms                          -        # exactly 1 h old
35  fail*5@9h                            claim@9h+1s                           -
35  fail*6@9h                            claim@9h+10min-1ms                    fires
35  fail*6@9h                            claim@9h+10min                        -
37  login:agent=3@9h                     claim:agent=2@9h+1s                   -
37  login:agent=2@9h                     claim:agent=3@9h+1s                   fires
37  login@9h                             claim@9h+1s                           -
"""
WORDS = {
    "pay": K.PAYMENT, "view": K.PAGE_VIEW, "decline": K.PAYMENT_DECLINED, "fail": K.LOGIN_FAILED,
    "transfer_money": K.MONEY_TRANSFER, "passed": K.CHALLENGE_PASSED,
}  # fmt: skip
PLAIN = ("coupon", "city")
EVENT_FORM = re.compile(r"(\w+)((?::\w+=[\w,]+)*)(?:\*(\d+))?@([\w+-]+?)(?:/(\w+))?")


def events_of(text: str) -> list[tuple[EventKind, int, dict[str, Any]]]:
    """`claim:coupon=one*3@9h/1s` as (kind, ms, fields) each."""
    found = []
    for word in text.split():
        form = EVENT_FORM.fullmatch(word)
        assert form, word
        name, fields, count, at, apart = form.groups()
        kind = WORDS[name] if name in WORDS else EventKind[name.upper()]
        known = [field.split("=") for field in fields.split(":")[1:]]
        several = max((value.count(",") + 1 for _, value in known), default=1)
        for n in range(several * int(count or 1)):
            chosen = {key: value.split(",")[n % several if "," in value else 0] for key, value in known}
            row = {key: value if key in PLAIN else int(value) for key, value in chosen.items()}
            found.append((kind, ms(at) + n * ms(apart or "0ms"), row))
    return found


def rows_of(table: str) -> list[list[str]]:
    """Rule, what happened before, the ask, the outcome."""
    lines = [line.split(" #")[0].strip() for line in table.strip().splitlines()]
    return [[first, " ".join(before), ask, last] for first, *before, ask, last in map(str.split, lines) if first]


def live(scene: Scene, text: str) -> Any:
    """Every event of a text; requests are granted where something would wait for it. What the last one said."""
    said = None
    for kind, at, fields in events_of(text):
        if scene.shard.arrays.wallets.open.any() and kind not in (K.CLAIM, K.CANCEL):
            scene.settle(at)
        said = scene.happens(kind, at, **fields)
    return said


@pytest.mark.parametrize(("number", "before", "ask", "outcome"), [pytest.param(*row) for row in rows_of(CASES)])
def test_a_core_rule(number: str, before: str, ask: str, outcome: str) -> None:
    scene = Scene(tables_with({SLOT: core(int(number))}))
    scene.shard.customers["joined_ms"] = MIDNIGHT_MS - HOUR_MS
    said = live(scene, f"{before} {ask}")
    fires = outcome == "fires"
    assert said.answer not in (Answer.WAITS, Answer.NO_ORDER)
    assert said.fired == fires << SLOT
    assert said.receipt.rule == (SLOT if fires else NONE)
    wanted = CORE[int(number)]["verdict"] if fires else Verdict.ALLOW
    if said.answer == Answer.PENDING and said.decision.kind == K.CLAIM:
        assert said.verdict == wanted
    else:
        refused = {Verdict.DENY: Answer.DENIED, Verdict.CHALLENGE: Answer.CHALLENGED}
        assert said.answer == refused.get(wanted, Answer.DONE)


def test_every_rule_of_the_shard_has_rows_on_both_sides() -> None:
    told = {(int(row[0]), row[3]) for row in rows_of(CASES)}
    assert told == {(number, outcome) for number in CORE if number != 29 for outcome in ("fires", "-")}


# --- what an answer does ----------------------------------------------------------------------------------------------
# The verdict of a rule that fires on all asks: what the ask is answered, and what is left of it.
VERDICTS = """
order     DENY       DENIED      0
order     CHALLENGE  CHALLENGED  0
order     REVIEW     DONE        1
order     WEAKER     DONE        1
pay       DENY       DENIED      0
pay       WEAKER     DONE        1
redeem    DENY       DENIED      0
redeem    REVIEW     DONE        1
transfer  CHALLENGE  CHALLENGED  0
transfer  REVIEW     PENDING     1
claim     DENY       PENDING     1
claim     CHALLENGE  PENDING     1
"""
FIELDS: dict[str, dict[str, Any]] = {
    "order": {}, "claim": {}, "pay": {"order": 1, "amount": 1_000}, "redeem": {"claim": 0},
    "transfer": {"claim": 0, "other": 1},
}  # fmt: skip


@pytest.mark.parametrize(("ask", "verdict", "answer", "done"), [line.split() for line in VERDICTS.strip().splitlines()])
def test_a_verdict(ask: str, verdict: str, answer: str, done: str) -> None:
    """An ask that is refused leaves nothing behind, and counts for no campaign and no fact."""
    kind = WORDS.get(ask) or EventKind[ask.upper()]
    answers = Verdict[verdict]
    scene = Scene(tables_with({0: rule("script", 1 << kind, check=Check.SCRIPT, verdict=answers)}))
    live(scene, "claim@9h order@9h+1s")
    customer = scene.shard.customers[0]
    before, facts = wallet_of(scene), customer.copy()
    said = scene.happens(kind, ms("9h+2s"), agent=3, **FIELDS[ask])
    assert said.answer == Answer[answer]
    assert (said.receipt.rule, said.fired) == (0, 1)
    for name in ("decisions_hash", "latest_ms", "sequence"):
        facts[name] = customer[name]
    assert (wallet_of(scene) == before and facts == customer) == (done == "0")
    assert len(said.requests) == (done == "1" and ask in ("claim", "transfer"))
    if said.requests:
        assert (said.requests[0]["verdict"], said.requests[0]["rule"], said.requests[0]["fired"]) == (answers, 0, 1)


def test_an_ask_that_is_refused_is_nobodys_goal() -> None:
    tables = tables_with({0: rule("script", ORDERED, check=Check.SCRIPT)})
    tables = tables._replace(goals=tables.goals.copy(), campaigns=tables.campaigns.copy())
    tables.goals[K.ORDER], tables.campaigns[0].goal = 1, K.ORDER
    scene = Scene(tables)
    scene.happens(K.BALANCE_QUERY, ms("9h"))
    scene.settle(ms("9h+1s"))
    assert scene.happens(K.ORDER, ms("9h+2s"), agent=3).decision.credited == NONE
    assert scene.happens(K.ORDER, ms("9h+2s"), agent=2).decision.credited == 0


def wallet_of(scene: Scene) -> list[Any]:
    wallets = scene.shard.arrays.wallets
    counts = [wallets.heads, wallets.claims, wallets.requests, wallets.open, wallets.lives]
    return [*(array.tolist() for array in counts), int(wallets.orders[wallets.heads[0, 1]].state)]


CLAIMED, ORDERED = kinds(K.CLAIM), kinds(K.ORDER)
ALWAYS = {"most": -1, "window_ms": HOUR_MS}
# Rules by slot as mode/verdict; what fires, and the rule and verdict of the answer.
STRONGEST = """
active/WEAKER  active/REVIEW     active/CHALLENGE    fires=0,1,2  1  REVIEW
active/DENY    active/REVIEW     active/DENY         fires=0,1,2  0  DENY
shadow/DENY    active/WEAKER     off/DENY            fires=0,1    1  WEAKER
off/DENY       shadow/CHALLENGE  shadow/REVIEW       fires=1,2    -  ALLOW
"""


@pytest.mark.parametrize("line", STRONGEST.strip().splitlines())
def test_the_strongest_active_rule_answers(line: str) -> None:
    *words, fires, slot, verdict = line.split()
    chosen = [(Mode[mode.upper()], Verdict[name]) for mode, name in (word.split("/") for word in words)]
    rules = {n: rule(f"r{n}", CLAIMED, mode=mode, verdict=name, **ALWAYS) for n, (mode, name) in enumerate(chosen)}
    said = Scene(tables_with(rules)).happens(K.CLAIM, ms("9h"))
    assert said.fired == sum(1 << int(n) for n in fires.removeprefix("fires=").split(","))
    assert said.receipt.rule == (NONE if slot == "-" else int(slot))
    assert said.verdict == Verdict[verdict]


def test_a_rule_that_is_off_counts_nothing() -> None:
    scene = Scene(tables_with({0: core(2, mode=Mode.OFF), 1: core(35)}))
    live(scene, "claim*4@9h")
    assert scene.sightings() == []


# --- marks, passes, lists ---------------------------------------------------------------------------------------------
# Two rules that challenge every order, and one of the Ledger that challenges orders and claims by its mark.
# `p0`: the customer passes rule 0's challenge; `m10h`: a mark of rule 2 until then; `o`: an order, its answer, and the
# rule that answers; `c`: a claim, what fires, the answering rule, and what it is exempt from.
WORDS_SAID = """
rules=0     9h o CHALLENGED 0 | 9h p0 | 9h+1s o DONE - | 9h+2s o CHALLENGED 0
rules=0     9h p0 | 9h p0 | 9h+10min-1ms o DONE - | 9h+10min-1ms o CHALLENGED 0
rules=0     9h p0 | 9h+10min o CHALLENGED 0
rules=01    9h p1 | 9h o CHALLENGED 0 | 9h p0 | 9h o DONE - | 9h o CHALLENGED 0
rules=01    9h p0 | 9h o CHALLENGED 1 | 9h o CHALLENGED 0
rules=2     9h o DONE - | 9h m10h | 9h o CHALLENGED 2 | 10h-1ms o CHALLENGED 2 | 10h o DONE -
rules=2     9h m10h | 9h+1s m9h+2s | 9h+1s o CHALLENGED 2 | 9h+2s o DONE -
rules=2     9h m10h | 9h m9h | 9h o DONE -
rules=2     9h m10h | 9h p2 | 9h o DONE - | 9h o CHALLENGED 2
rules=2     9h m10h | 9h c fired=2 2 exempt=- | 9h p2 | 9h c fired=2 - exempt=2 | 9h c fired=2 2 exempt=-
rules=2     9h p2 | 9h c fired=- - exempt=2 | 9h c fired=- - exempt=-
rules=2     9h p2 | 9h x | 9h c fired=- - exempt=-
"""


@pytest.mark.parametrize("line", WORDS_SAID.strip().splitlines())
def test_marks_and_passes(line: str) -> None:
    chosen, story = line.split(maxsplit=1)
    rules = {
        0: rule("a", ORDERED, verdict=Verdict.CHALLENGE, **ALWAYS),
        1: rule("b", ORDERED, verdict=Verdict.CHALLENGE, **ALWAYS),
        2: rule("far", kinds(K.LOGIN), key=Field.DEVICE, home=Home.LEDGER, verdict=Verdict.CHALLENGE),
    }
    scene = Scene(tables_with({slot: row for slot, row in rules.items() if str(slot) in chosen}))
    for step in story.split(" | "):
        at, what, *expected = step.split()
        act(scene, ms(at), what, expected)


def test_whom_rules_let_through() -> None:
    rules = {
        0: rule("a", ORDERED, verdict=Verdict.CHALLENGE, **ALWAYS),
        1: rule("far", kinds(K.CLAIM), key=Field.DEVICE, home=Home.LEDGER),
        2: core(29),
    }
    for share, answer, exempt in ((0, Answer.CHALLENGED, 0), (SHARE_ONE, Answer.DONE, 0b10)):
        tables = tables_with(rules, [(Field.CUSTOMER, 0, MIDNIGHT_MS + ms("10h"), 0)])
        tables = tables._replace(policy=tables.policy.copy())
        tables.policy[0].let_through = share
        scene = Scene(tables)
        assert scene.happens(K.ORDER, ms("10h-1ms")).answer == Answer.DENIED  # the block list answers nevertheless
        said = scene.happens(K.ORDER, ms("10h"))
        assert (said.answer, said.fired) == (answer, 0b1)
        (request,) = scene.happens(K.CLAIM, ms("11h"), device=7).requests
        assert request["exempt"] == exempt


def act(scene: Scene, at: int, what: str, expected: list[str]) -> None:
    scene.settle(at)
    if what[0] == "p":
        scene.happens(K.CHALLENGE_PASSED, at, rule=int(what[1:]))
    elif what[0] == "m":
        scene.mark(2, ms(what[1:]), at)
    elif what == "x":  # a claim that its limit refuses uses the pass, too
        assert scene.happens(K.CLAIM, at, coupon="one").answer == Answer.PENDING
        scene.happens(K.CHALLENGE_PASSED, at, rule=2)
        assert scene.happens(K.CLAIM, at, coupon="one", device=7).answer == Answer.LIMIT
    elif what == "o":
        said = scene.happens(K.ORDER, at)
        assert [said.answer.name, slot_of(said.receipt.rule)] == expected
    else:
        said = scene.happens(K.CLAIM, at, device=7)
        (request,) = said.requests
        assert [f"fired={mask_of(said.fired)}", slot_of(said.receipt.rule)] == expected[:2]
        assert f"exempt={mask_of(request['exempt'])}" == expected[2]


def slot_of(number: int) -> str:
    return "-" if number == NONE else str(int(number))


def mask_of(mask: int) -> str:
    return ",".join(str(slot) for slot in range(62) if mask >> slot & 1) or "-"


def test_a_pass_is_of_a_rule_that_challenges() -> None:
    scene = Scene(tables_with({0: rule("deny", ORDERED, verdict=Verdict.DENY, **ALWAYS), 4: core(35)}))
    for number in (0, 2, 9, NONE):
        scene.happens(K.CHALLENGE_PASSED, ms("9h"), rule=number)
    assert scene.sightings() == []
    scene.happens(K.LOGIN, ms("9h+1s"))
    said = scene.happens(K.CHALLENGE_PASSED, ms("9h"), rule=4)  # late
    assert said.receipt.answer == Answer.NONE
    assert scene.sightings() == [(4, Sighted.PASS, 0, ms("9h+10min+1s"))]


LISTS = """
-                                   DONE
block=10h                           DENIED
block=9h                            DONE        # the entry has ended
allow=10h                           DONE        # over a rule that denies
allow=9h                            DENIED      # … no more
allow=10h block=10h                 DENIED
other=10h                           DONE
said:DENIED=10h                     DENIED
said:DENIED=9h                      DONE
said:DENIED=10h said:DONE=10h       DONE
said:DONE=10h said:DENIED=10h       DENIED
said:DONE=10h block=10h             DENIED
"""


@pytest.mark.parametrize("line", [line.split(" #")[0] for line in LISTS.strip().splitlines()])
def test_lists(line: str) -> None:
    """An order at 9:00; where an allow list is named, another rule denies all orders."""
    *entries, answer = line.split()
    listed, rules = [], {0: core(29)}
    for entry in entries:
        word, _, until = entry.partition("=")
        if word in ("block", "allow", "other"):
            customer = 1 if word == "other" else 0
            listed.append((Field.CUSTOMER, customer, MIDNIGHT_MS + ms(until), int(word == "allow")))
    if "allow" in line or "DONE=" in line:
        rules[1] = rule("all", ORDERED, **ALWAYS)
    scene = Scene(tables_with(rules, listed))
    for entry in entries:
        if entry.startswith("said:"):
            word, _, until = entry.removeprefix("said:").partition("=")
            scene.listing(Answer[word], ms(until), ms("9h") - 1)
    assert scene.happens(K.ORDER, ms("9h")).answer == Answer[answer]


def test_a_listing_of_something_else_is_not_the_customers() -> None:
    scene = Scene(tables_with({0: core(29)}))
    said = scene.word(0, ms("9h")) | {"kind": RequestKind.LISTED, "answer": Answer.DENIED, "expires_ms": NEVER_MS}
    scene.tell([said], ms("9h"))
    assert scene.happens(K.ORDER, ms("9h")).answer == Answer.DONE


# --- what is not counted ----------------------------------------------------------------------------------------------
def test_what_waits_comes_late_or_comes_again_is_neither_counted_nor_judged() -> None:
    log_ins = rule("log-ins", kinds(K.LOGIN), window_ms=HOUR_MS, most=1)
    scene = Scene(tables_with({0: rule("orders", ORDERED, window_ms=HOUR_MS, most=1), 1: log_ins}))
    scene.happens(K.CLAIM, ms("9h"))
    assert scene.happens(K.ORDER, ms("9h")).answer == Answer.WAITS
    scene.settle(ms("9h+1s"))
    scene.happens(K.LOGIN, ms("9h-1ms"))  # late
    assert scene.happens(K.ORDER, ms("9h-1ms")).answer == Answer.DONE  # late, too
    assert scene.sightings() == []
    for _ in range(3):
        said = scene.happens(K.ORDER, ms("9h+1s"), id=7, order=50)
        assert (said.answer, said.fired) == (Answer.DONE, 0)
    assert len(scene.sightings()) == 1
    assert scene.happens(K.ORDER, ms("9h+1s"), id=8, order=51).answer == Answer.DENIED
    assert scene.happens(K.ORDER, ms("9h+2s"), id=8, order=51).answer == Answer.DENIED  # what was answered
    assert scene.happens(K.ORDER, ms("9h+2s"), id=8, order=52).answer == Answer.ID_REUSED
    assert len(scene.sightings()) == 2  # the last two orders are all that the rule can need
    assert scene.happens(K.ORDER, ms("9h")).answer == Answer.DONE  # late: not judged, either


def test_facts_are_those_before_the_event() -> None:
    where = (Fact.PURCHASES, Compare.GE, 1)
    scene = Scene(tables_with({0: rule("again", kinds(K.PAYMENT), where=where, window_ms=HOUR_MS)}))
    scene.happens(K.PAYMENT, ms("9h"), unasked=True)
    assert scene.sightings() == []
    scene.happens(K.PAYMENT, ms("9h+1s"), unasked=True)
    assert len(scene.sightings()) == 1


def test_a_claim_by_an_exposure_is_counted_and_judged() -> None:
    rules = {0: core(2), 1: rule("far", CLAIMED, key=Field.DEVICE, home=Home.LEDGER, window_ms=HOUR_MS)}
    scene = Scene(tables_with(rules))
    for n in range(4):
        said = scene.happens(K.BALANCE_QUERY, ms("9h") + n, device=77)
        assert said.verdict == (Verdict.DENY if n == 3 else Verdict.ALLOW)
        (request,) = said.requests
        assert (request["device_id"], request["counted"], request["judging"]) == (77, 2, 2)
        assert (request["event_kind"], request["campaign"]) == (K.CLAIM, 0)
    said = scene.happens(K.BALANCE_QUERY, ms("9h"), device=77)  # late
    assert (said.verdict, said.requests[0]["counted"]) == (Verdict.ALLOW, 0)


# --- what the Ledger is told ------------------------------------------------------------------------------------------
FAR = {
    0: rule("log-ins", kinds(K.LOGIN, K.REGISTER), key=Field.IP, different=Field.CUSTOMER, home=Home.LEDGER),
    1: rule("any", kinds(K.LOGIN, K.CLAIM, K.ORDER, K.REDEEM, K.TRANSFER), key=Field.DEVICE, home=Home.LEDGER),
    2: rule("granted", CLAIMED, key=Field.CAMPAIGN, home=Home.LEDGER, granted=1),
    3: rule("gathered", kinds(K.TRANSFER), key=Field.RECEIVER, different=Field.CUSTOMER, home=Home.LEDGER),
    4: rule("off", kinds(K.LOGIN), key=Field.IP, home=Home.LEDGER, mode=Mode.OFF),
    5: rule("ranges", CLAIMED, key=Field.IP, check=Check.IP_RANGE, home=Home.LEDGER),
    6: rule("dear", CLAIMED, key=Field.DEVICE, where=(Fact.AMOUNT, Compare.GE, 1), home=Home.LEDGER),
}
# The event, then its requests as kind:counted/judging.
TOLD = """
login:ip=1                                  OBSERVED:0/-
login:ip=1:device=2                         OBSERVED:0,1/-
login                                       -
view:ip=1:device=2                          -
claim:device=2                              CLAIM:1/1
claim:device=2:ip=1:campaign=0              CLAIM:1,2,5/0,1,2,5
claim                                       CLAIM:-/-
claim:device=2:coupon=one:campaign=0        OBSERVED:1/-           # refused by its limit: it is not granted
claim:coupon=mug:device=2                   RESERVE:1/1
order:device=2                              OBSERVED:1/-
order                                       -
transfer:device=2:claim=1:other=2           TRANSFER:1,3/1,3
transfer:device=2:claim=99:other=2          OBSERVED:1,3/-
redeem:device=2:claim=1                     OBSERVED:1/-
redeem:device=2:claim=2                     CONFIRM:-/- OBSERVED:1/-
"""


@pytest.mark.parametrize("line", [line.split(" #")[0] for line in TOLD.strip().splitlines()])
def test_what_the_ledger_is_told(line: str) -> None:
    scene = Scene(tables_with(FAR))
    for coupon in ("one", "stamp", "mug"):
        scene.happens(K.CLAIM, ms("8h"), coupon=coupon)
    scene.settle(ms("8h+1s"))
    word, *expected = line.split()
    ((kind, _, fields),) = events_of(f"{word}@9h")
    said = scene.happens(kind, ms("9h"), **fields)
    told = [
        f"{RequestKind(one['kind']).name}:{mask_of(one['counted'])}/{mask_of(one['judging'])}" for one in said.requests
    ]
    assert told == (expected if expected != ["-"] else [])
    wallets = scene.shard.arrays.wallets
    assert wallets.open[0] == sum(one["kind"] != RequestKind.OBSERVED for one in said.requests)
    assert [one["number"] for one in said.requests] == list(range(3, 3 + len(said.requests)))
    for one in said.requests:
        if one["kind"] != RequestKind.CONFIRM:
            looked_at = one["counted"] | one["judging"]
            assert (one["event_kind"], one["ip"]) == (kind if looked_at else 0, fields.get("ip", NONE))
            assert (one["device_id"], one["other"]) == (fields.get("device", NONE), fields.get("other", NONE))
            assert (one["time_ms"], one["sequence"]) == (MIDNIGHT_MS + ms("9h"), scene.sequence)


def test_the_ledgers_rules_count_nothing_here() -> None:
    scene = Scene(tables_with(FAR))
    scene.happens(K.LOGIN, ms("9h"), ip=1, device=2)
    assert scene.sightings() == []


# --- replies ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("coupon", ["stamp", "mug"])
@pytest.mark.parametrize("end", [Answer.DONE, Answer.DENIED])
def test_a_review_is_answered_twice(coupon: str, end: Answer) -> None:
    """Nothing waits for the second; until then the claim is pending and its limits count it."""
    scene = Scene(tables_with({0: core(35)}))
    (request,) = scene.happens(K.CLAIM, ms("9h"), coupon=coupon, id=5).requests
    scene.tell([scene.reply(request, ms("9h+1s"), Answer.IN_REVIEW)], ms("9h+1s"))
    wallets = scene.shard.arrays.wallets
    assert wallets.open[0] == 0
    assert wallets.instances[wallets.heads[0, 0]].marks & InstanceMark.REVIEWED
    assert scene.happens(K.CLAIM, ms("9h+2s"), coupon=coupon, id=5).answer == Answer.IN_REVIEW
    assert scene.happens(K.ORDER, ms("9h+2s")).answer == Answer.DONE
    assert scene.happens(K.REDEEM, ms("9h+2s"), claim=0).answer == Answer.NO_COUPON
    scene.tell([scene.reply(request, ms("9h+3s"), end)], ms("9h+3s"))
    wallets = scene.shard.arrays.wallets
    assert wallets.open[0] == 0
    assert scene.happens(K.CLAIM, ms("9h+4s"), coupon=coupon, id=5).answer == end
    granted = Answer.PENDING if coupon == "mug" else Answer.DONE
    wanted = granted if end == Answer.DONE else Answer.NO_COUPON
    assert scene.happens(K.REDEEM, ms("9h+4s"), claim=0).answer == wanted


def test_a_transfer_in_review_is_answered_twice() -> None:
    scene = Scene(tables_with({0: core(35)}))
    live(scene, "claim@9h")
    scene.settle(ms("9h+1s"))
    (request,) = scene.happens(K.TRANSFER, ms("9h+1s"), claim=0, other=1).requests
    for answer, usable in ((Answer.IN_REVIEW, Answer.NO_COUPON), (Answer.DENIED, Answer.DONE)):
        scene.tell([scene.reply(request, ms("9h+2s"), answer)], ms("9h+2s"))
        assert scene.shard.arrays.wallets.open[0] == 0
        assert scene.happens(K.REDEEM, ms("9h+2s"), claim=0).answer == usable


def test_a_challenged_claim_is_as_if_it_had_never_been() -> None:
    scene = Scene(tables_with({0: core(35)}))
    (request,) = scene.happens(K.CLAIM, ms("9h"), coupon="one", id=5).requests
    scene.tell([scene.reply(request, ms("9h+1s"), Answer.CHALLENGED)], ms("9h+1s"))
    assert scene.happens(K.CLAIM, ms("9h+1s"), coupon="one", id=5).answer == Answer.CHALLENGED
    assert scene.happens(K.CLAIM, ms("9h+1s"), coupon="one", id=6).answer == Answer.PENDING


# --- tallies ----------------------------------------------------------------------------------------------------------
def test_tallies_by_day() -> None:
    rules = {
        0: rule("two", ORDERED, window_ms=3 * DAY_MS, most=1),
        1: rule("shadow", ORDERED, mode=Mode.SHADOW, **ALWAYS),
        2: rule("far", kinds(K.LOGIN), key=Field.DEVICE, home=Home.LEDGER, verdict=Verdict.WEAKER),
        3: core(2),
    }
    scene = Scene(tables_with(rules))
    live(scene, "order*2@9h order@24h claim*5@24h")
    scene.settle(ms("25h"))
    scene.mark(2, ms("30h"), ms("25h"))
    scene.happens(K.PAYMENT, ms("25h"), order=1)
    table = scene.shard.tallies.rules
    day = int(np.searchsorted(scene.shard.tables.days["start_ms"], MIDNIGHT_MS))
    cells = [RuleCell.JUDGED, RuleCell.FIRED, RuleCell.ANSWERED]
    assert table[day][:, cells].tolist() == [[2, 1, 1], [2, 2, 0], [0, 0, 0], [0, 0, 0]]
    assert table[day + 1][:, cells].tolist() == [[1, 1, 1], [1, 1, 0], [1, 1, 1], [5, 2, 2]]


# --- memory -----------------------------------------------------------------------------------------------------------
def test_a_policy_without_rules_has_no_watch() -> None:
    for rules in ({}, {0: core(2, mode=Mode.OFF)}):
        scene = Scene(tables_with(rules))
        assert len(scene.watch.heads) == 0
        (request,) = scene.happens(K.CLAIM, ms("9h"), device=7).requests
        assert (request["device_id"], request["event_kind"]) == (NONE, 0)
        scene.mark(0, ms("10h"), ms("9h+1s"))
        scene.settle(ms("24h"))
        assert len(scene.watch.sightings) == 0


def in_use(scene: Scene) -> int:
    return len(scene.watch.sightings) - int(scene.watch.free[0, 1])


def test_a_rule_keeps_no_more_than_it_can_need() -> None:
    scene = Scene(tables_with({0: core(2), 1: core(31, amount=2_500), 2: core(8), 3: core(32)}))
    live(scene, "view*20@9h cancel:order=1:device=1,2,3,4,5*26@9h claim*9@9h")
    kept = [rule for rule, *_ in scene.sightings()]
    assert [kept.count(slot) for slot in range(4)] == [4, 121, 3, 3 + 5]
    assert in_use(scene) == len(kept)


def test_stale_sightings_are_swept_at_the_first_settlement_of_a_day() -> None:
    scene = Scene(tables_with({0: core(2), 1: core(35)}))
    scene.settle(ms("1h"))
    for customer in range(3):
        scene.happens(K.CLAIM, ms("9h"), customer)
        scene.happens(K.LOGIN_FAILED, ms("9h"), customer)
        scene.happens(K.CHALLENGE_PASSED, ms("9h"), customer, rule=1)
    for at, left in (("23h", 9), ("24h-1ms", 9), ("24h", 0)):
        scene.settle(ms(at))
        assert in_use(scene) == left
    scene.happens(K.CLAIM, ms("25h"))
    scene.mark(1, ms("60h"), ms("25h"))
    scene.settle(ms("48h"))
    assert scene.sightings() == [(1, Sighted.MARK, 0, ms("60h"))]


def test_orders_that_were_never_looked_at_again_count_at_their_own_instant() -> None:
    """A settlement long after the hold ended finds them, behind what happened since."""
    scene = Scene(tables_with({0: rule("left", kinds(K.ORDER_UNPAID, K.LOGIN), window_ms=HOUR_MS, most=99)}))
    for n in range(16):
        scene.happens(K.ORDER, ms("9h") + n)
    live(scene, "login@9h+15min login@9h+20min")
    scene.settle(ms("9h+30min"))
    times = [at for *_, at in scene.sightings()]
    assert times == sorted(times, reverse=True)
    assert times.count(ms("9h+15min")) == 2
    assert len(times) == 18


# --- another policy ---------------------------------------------------------------------------------------------------
BOTH = {0: core(35), 1: core(2), 3: core(31)}
# Rules by slot under the new policy; until when each of them warms; the rules of what is left of 6 failed log-ins at
# 9:00, a claim, a pass of rule 35 and a mark of rule 2. It is taken up at 9:01.
CHANGES: list[tuple[dict[int, dict[str, Any]], dict[int, str], list[int]]] = [
    (BOTH, {}, [0, 0, 0, 0, 0, 0, 0, 1, 1, 3]),
    ({4: core(35), 2: core(2), 0: core(31)}, {}, [0, 2, 2, 4, 4, 4, 4, 4, 4, 4]),
    ({0: core(35, mode=Mode.SHADOW, verdict=Verdict.DENY)}, {}, [0] * 7),
    ({0: core(35, mode=Mode.OFF), 1: core(2)}, {}, [1, 1]),
    ({1: core(2)}, {}, [1, 1]),
    ({0: core(35, most=6), 1: core(2, most=2)}, {0: "9h+11min", 1: "24h"}, []),
    ({0: core(35, window_ms=ms("5min")), 5: core(19)}, {0: "9h+6min", 5: "10h+1min"}, []),
    ({0: core(35), 5: core(23), 6: core(37)}, {5: "24h", 6: "9h+1min"}, [0] * 7),
]


@pytest.mark.parametrize(("rules", "warm", "left"), CHANGES)
@pytest.mark.parametrize("how", ["adopt", "restore"])
def test_another_policy(how: str, rules: Any, warm: dict[int, str], left: list[int]) -> None:
    scene = Scene(tables_with(BOTH))
    live(scene, "fail*6@9h claim@9h")
    scene.settle(ms("9h+1min"))
    scene.happens(K.CHALLENGE_PASSED, ms("9h+1min"), rule=0)
    scene.mark(1, ms("30h"), ms("9h+1min"))
    assert len(scene.sightings()) == 10
    if how == "adopt":
        scene.shard.adopt(tables_with(rules), scene.shard.names)
    else:
        other = Scene(tables_with(rules))
        other.shard.restore(scene.shard.snapshot())
        scene = other
    assert sorted(rule for rule, *_ in scene.sightings()) == left
    until = {slot: int(end) - MIDNIGHT_MS for slot, end in enumerate(scene.watch.warm_ms) if end > 0}
    assert until == {slot: ms(end) for slot, end in warm.items()}


def test_a_warming_rule_fires_as_if_in_shadow() -> None:
    scene = Scene(tables_with({0: core(2)}))
    scene.settle(ms("9h"))
    scene.shard.adopt(tables_with({0: core(2), 1: core(35), 2: core(9, most=0)}), scene.shard.names)
    live(scene, "fail:ip=1*6@9h+1s")
    said = scene.happens(K.ORDER, ms("9h+5min-1ms"), ip=2)
    assert (said.fired, said.receipt.rule, said.answer) == (6, NONE, Answer.DONE)
    said = scene.happens(K.ORDER, ms("9h+5min"), ip=2)
    assert (said.fired, said.receipt.rule, said.answer) == (6, 2, Answer.CHALLENGED)


def test_a_rule_that_is_warming_goes_on_doing_so() -> None:
    scene = Scene(tables_with({}))
    for at, rules in (("9h", {0: core(35)}), ("9h+5min", {3: core(35), 0: core(19)})):
        scene.settle(ms(at))
        scene.shard.adopt(tables_with(rules), scene.shard.names)
    assert scene.watch.warm_ms[[3, 0]].tolist() == [MIDNIGHT_MS + ms("9h+10min"), MIDNIGHT_MS + ms("10h+5min")]


def test_no_rule_warms_at_the_beginning_of_a_world() -> None:
    scene = Scene(tables_with({}))
    scene.shard.adopt(tables_with({0: core(35), 1: core(2)}), scene.shard.names)
    assert (scene.watch.warm_ms < 0).all()
    assert live(scene, "fail*6@9h order@9h").answer == Answer.CHALLENGED


def test_requests_on_their_way_name_the_same_rules() -> None:
    scene = Scene(tables_with(FAR | {7: rule("mine", CLAIMED, **ALWAYS)}))
    (before,) = scene.happens(K.CLAIM, ms("9h"), device=2, ip=1, campaign=0).requests
    moved = {10 - slot: row for slot, row in (FAR | {7: rule("mine", CLAIMED, **ALWAYS)}).items() if slot != 5}
    scene.shard.adopt(tables_with(moved), scene.shard.names)
    (after,) = scene.settle(ms("9h+1s"))
    assert [mask_of(before[name]) for name in ("counted", "judging", "fired")] == ["1,2,5", "0,1,2,5", "7"]
    assert [mask_of(after[name]) for name in ("counted", "judging", "fired")] == ["8,9", "8,9,10", "3"]
    assert (before["rule"], after["rule"]) == (7, 3)


# --- one digest -------------------------------------------------------------------------------------------------------
CROWD = 5


def random_life(seed: int, events: int = 400) -> list[tuple[EventKind, int, int, dict[str, Any]]]:
    """(kind, ms, customer, fields) of a few customers who share devices and IPs; times meet the edges of windows."""
    rng, t, found = Random(seed), ms("8h"), []
    wanted = [K.LOGIN, K.CLAIM, K.CLAIM, K.ORDER, K.PAGE_VIEW, K.LOGIN_FAILED, K.PAYMENT_DECLINED, K.CANCEL]
    wanted += [K.MONEY_TRANSFER, K.PAYMENT, K.BALANCE_QUERY, K.CHALLENGE_PASSED, K.REDEEM]
    for _ in range(events):
        t += rng.choice([0, 1, SECOND_MS, SECOND_MS, MINUTE_MS])
        kind = rng.choice(wanted)
        fields: dict[str, Any] = {
            name: rng.randrange(4) for name in ("device", "ip", "address", "card", "agent") if rng.random() < 0.7
        }
        fields |= {"city": rng.choice(["wuhan", "beijing", "moon"])} if rng.random() < 0.5 else {}
        fields |= {"amount": rng.choice([9_999, 10_000, 10_001])} if kind == K.MONEY_TRANSFER else {}
        fields |= {"order": rng.randrange(1, 40)} if kind in (K.CANCEL, K.PAYMENT) else {}
        fields |= {"rule": rng.randrange(24)} if kind == K.CHALLENGE_PASSED else {}
        fields |= {"claim": rng.randrange(4)} if kind == K.REDEEM else {}
        found.append((kind, t, rng.randrange(CROWD), fields))
    return found


def lived(tables: Any, shards: int, seed: int, snapshot: bool = False) -> tuple[list[Scene], list[Any]]:
    """The life by so many shards; with a snapshot, each is taken up by a new shard at every settlement."""
    edges = [CROWD * n // shards for n in range(shards + 1)]
    scenes = [Scene(tables, high - low, low) for low, high in pairwise(edges)]
    told, settled = [], ms("8h")
    for number, (kind, at, customer, fields) in enumerate(random_life(seed)):
        scene = next(scene for scene, high in zip(scenes, edges[1:], strict=True) if customer < high)
        scene.sequence = scene.orders = number
        said = scene.happens(kind, at, customer, **fields)
        told.append((said.answer, said.receipt.fired if said.receipt is not None else 0, len(said.requests)))
        if at - settled > 10 * MINUTE_MS:
            settled = at
            for n, one in enumerate(scenes):
                one.settle(at)
                if snapshot:
                    twin = Scene(tables, len(one.shard.customers), edges[n])
                    twin.shard.restore(one.shard.snapshot())
                    scenes[n] = twin
                elif n == 0:
                    one.shard = one.shard.copy()
    return scenes, told


ALL_OF_THEM = {number: core(n) for number, n in enumerate(CORE)}
RENUMBERED = {2 * number + 1: core(n) for number, n in reversed(list(enumerate(CORE)))}


def test_one_digest() -> None:
    """On one, two and three shards, by snapshots. No name of a rule is asked for by its slot."""
    (one,), told = lived(tables_with(ALL_OF_THEM), 1, 7)
    digest = one.shard.digest()
    assert {said for said, _, _ in told} >= {Answer.DENIED, Answer.CHALLENGED, Answer.DONE, Answer.PENDING}
    fired = [sum(mask >> slot & 1 for _, mask, _ in told) for slot in range(len(CORE))]
    assert sum(n > 0 for n in fired) >= 8, fired
    for shards, snapshot in ((2, False), (3, False), (1, True), (3, True)):
        scenes, others = lived(tables_with(ALL_OF_THEM), shards, 7, snapshot)
        assert combined([scene.shard.digest() for scene in scenes]) == digest
        assert others == told
    scene = next(scene for scene in [one] if in_use(scene))
    at = int(next(head for head in scene.watch.heads[:, 0] if head != NONE))
    for field in ("time_ms", "value", "what", "rule"):
        scene.watch.sightings[at][field] += 1
        assert scene.shard.digest() != digest, field
        scene.watch.sightings[at][field] -= 1
    one.shard.adopt(tables_with(RENUMBERED), one.shard.names)
    assert one.shard.digest() == digest
