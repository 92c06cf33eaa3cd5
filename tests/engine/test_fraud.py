"""Fraud rules: the shard and the Ledger against their naive twins, by table and by traffic.

To repeat a failure: pytest tests/engine/test_fraud.py -k SEED; the message names the step and what differed.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from random import Random
from typing import Any

import pytest

from engine.coupon_records import Answer, RequestKind
from engine.fraud_records import Agent, RuleCell, Verdict
from engine.policy.fraud import core_rules
from engine.records import DAY_MS, NEVER_MS, NONE, EventKind
from engine.reference_wallet import ASKING, Row
from tests.engine.coupon_traffic import Happening
from tests.engine.fraud_readings import STORIES
from tests.engine.fraud_traffic import PROXIES, decision
from tests.engine.fraud_twins import FraudStory, LedgerAlone, what_rules_did
from tests.engine.test_wallets import PEOPLE, READINGS_SHOP, ROOT, Bench, duration_ms
from tests.engine.wallet_twins import Compiled, Naive, difference, naive_tallies

# --- readings ---------------------------------------------------------------------------------------------------------
CITIES = ["wuhan", "xian", "near", "nowhere"]
PLACES = {
    "wuhan": {"latitude": 30.0, "longitude": 114.0}, "xian": {"latitude": 34.0, "longitude": 109.0},
    "near": {"latitude": 30.4, "longitude": 114.0},
}  # fmt: skip
MORE_COUPONS = {
    "fifty": {"kind": "right", "worth": "50.00", "limits": [{"most": 9}]},
    "nearly": {"kind": "right", "worth": "49.99", "limits": [{"most": 9}]},
    "gift": {"kind": "right", "worth": "1.00", "limits": [{"most": 9}], "transferable": "true", "valid": "10d"},
    "big": {"kind": "right", "worth": "60.00", "limits": [{"most": 9}], "fallback": "stamp"},
    "free": {"kind": "percent_off", "rate": "10%", "limits": [{"most": 9}]},
    "local": {"kind": "right", "worth": "1.00", "limits": [{"most": 9}], "regions": ["wuhan"]},
}
LISTS = {
    "block": [{"field": "customer", "values": [str(PEOPLE["kid"])]}, {"field": "device", "values": ["66"]},
              {"field": "ip", "values": ["0.0.0.66"]}],
    "allow": [{"field": "customer", "values": [str(PEOPLE["eve"])]}, {"field": "device", "values": ["77"]}],
}  # fmt: skip
ORIGIN_WORDS = {
    "dev": "device_id", "ip": "ip", "card": "card", "addr": "address", "code": "code", "by": "inviter",
    "group": "group", "agent": "agent",
}  # fmt: skip


def fraud_shop(rules: dict[str, Any]) -> dict[str, Any]:
    """The shop of the wallets' readings, with exactly these rules on."""
    off = {name: {"mode": "off"} for name in core_rules()}
    fraud = {"include": "core", "rules": off | rules, "lists": LISTS, "places": PLACES, "proxies": {"ranges": PROXIES}}
    names = READINGS_SHOP["names"] | {"cities": CITIES}  # type: ignore[operator]
    coupons = READINGS_SHOP["coupons"] | MORE_COUPONS  # type: ignore[operator]
    return READINGS_SHOP | {"names": names, "coupons": coupons, "fraud": fraud}


class FraudBench(Bench):
    """A few customers with origins before both engines at once."""

    def __init__(self, rules: dict[str, Any], young: str | None = None) -> None:
        """young: who joined at the start of it all."""
        document = fraud_shop(rules)
        super().__init__((document, document))
        for customer in self.shop.customers:  # everybody is of age, old and free
            customer.birth_date, customer["marks"] = 19_900_412, 0
            customer.joined_ms = self.shop.start - 3_000 * DAY_MS
        if young is not None:
            self.shop.customers[PEOPLE[young]].joined_ms = self.shop.start
        self.naive, self.twin = Naive(self.shop), Compiled(self.shop)
        self.step, self.settled = self.next_step(), self.step
        self.decisions = 0

    def settle(self, t: int) -> None:
        self.settled = self.step
        super().settle(t)

    def happening(self, t: int, customer: int, words: list[str]) -> Happening:
        said = dict(word.split(":", 1) for word in words if re.fullmatch(r"[a-z]+:\w+", word))
        happening = super().happening(
            t,
            customer,
            [
                "order" if words[0] == "pass" else words[0],
                *(
                    [str(self.slot(words[1]))]
                    if words[0] == "pass"
                    else [word for word in words[1:] if ":" not in word]
                ),
            ],
        )
        event, ask = happening.event, happening.ask
        event.city = CITIES.index(said["city"]) if "city" in said else NONE
        if words[0] == "pass" and ask is not None:
            event.kind, ask["rule"] = EventKind.CHALLENGE_PASSED, ask["order"]
        elif event.kind not in ASKING:
            ask = None
        if ask is not None and "from" in said:
            ask["campaign"] = self.shop.slots[said["from"]]
        return Happening(event, ask, happening.lines, origin_of(said))

    def slot(self, rule: str) -> int:
        return self.shop.registry.rules[rule]

    def live(self, row: str) -> dict[str, int]:
        """A row of a story: when, who does what, the answer, what is said; returns the receipt."""
        at, does, *rest = re.split(r"\s{2,}", row.split("  # ")[0].strip())
        t, receipt = self.shop.start + duration_ms(at), {}
        who, *words = does.split()
        then = rest[-1] if rest and "=" in rest[-1] else ""
        if who == "settle":
            self.settle(t)
        elif who == "people":
            self.decide(t, *words)
        else:
            receipt = self.take(t, who, words)
            expected = rest[0] if rest and rest[0] != then else "NONE"
            assert expected in ("*", Answer(receipt["answer"]).name), row
        for said in then.split():
            self.check(said, receipt)
        return receipt

    def decide(self, t: int, what: str, who: str, *rest: str) -> None:
        """People allow or deny a review, or list somebody."""
        customer = PEOPLE[who]
        if what == "list":
            lasts = {"other": customer, "expires_ms": t + duration_ms(rest[1])}
            request = decision(RequestKind.LISTED, customer, verdict=verdict_of(rest[0]), **lasts)
        else:
            request = decision(RequestKind.REVIEWED, customer, int(rest[0]), verdict=verdict_of(what))
        self.decisions += 1
        self.step.decided.append(request | {"number": 1_000_000 + self.decisions, "time_ms": t})

    def check(self, said: str, receipt: dict[str, int]) -> None:
        what, value = said.split("=")
        slots = sum(1 << self.slot(rule) for rule in value.split("+")) if what.endswith("fired") and value != "-" else 0
        if what in ("rule", "fired"):
            assert receipt[what] == (slots if what == "fired" else self.rule_slot(value)), said
        elif what.startswith("mark:"):
            assert self.mark(*what.split(":")[1:]) == self.end(value), said
        elif what.startswith("unjudged:"):
            assert self.unjudged(what.split(":")[1]) == int(value), said
        elif what == "people":
            assert Answer(self.told(RequestKind.REVIEWED)["answer"]).name == value, said
        elif ":" in what and not what.startswith("stock:"):
            who, claim, field = re.fullmatch(r"(\w+):(\d+)\.?(\w*)", what).groups()  # type: ignore[union-attr]
            reply = self.told(RequestKind.CLAIM, RequestKind.RESERVE, RequestKind.TRANSFER, who=who, claim=int(claim))
            wanted = slots if field == "fired" else self.rule_slot(value) if field == "rule" else value
            assert (reply[field] if field else Answer(reply["answer"]).name) == wanted, said
        else:
            super().check(said, receipt)

    def rule_slot(self, name: str) -> int:
        return NONE if name == "-" else self.slot(name)

    def told(self, *kinds: RequestKind, **about: Any) -> Row:
        """The last reply of the last settlement of some kind; who, claim: about whose what."""
        replies = [reply for reply in self.settled.replies if reply["kind"] in kinds]
        if about:
            who = PEOPLE[about["who"]]
            replies = [
                r for r in replies if r["customer"] == who and (r["claim"] == about["claim"] or r["number"] == NONE)
            ]
        return replies[-1]

    def mark(self, who: str, rule: str) -> int:
        told = [r for r in self.settled.replies if r["kind"] == RequestKind.OBSERVED
                and (r["customer"], r["rule"]) == (PEOPLE[who], self.slot(rule))]  # fmt: skip
        return told[-1]["expires_ms"] if told else NONE

    def end(self, text: str) -> int:
        if text in ("-", "ever"):
            return NONE if text == "-" else NEVER_MS
        return self.shop.start + duration_ms(text)

    def unjudged(self, rule: str) -> int:
        tallies = self.naive.ledger.counters.tallies
        return sum(
            n for (_, slot, cell), n in tallies.items() if (slot, cell) == (self.slot(rule), RuleCell.NOT_JUDGED)
        )


def origin_of(said: dict[str, str]) -> dict[str, int] | None:
    found = dict.fromkeys(ORIGIN_WORDS.values(), NONE) | {"agent": int(Agent.APP)}
    for word, name in ORIGIN_WORDS.items():
        if word in said:
            text = said[word]
            found[name] = int(Agent[text.upper()] if word == "agent" else PEOPLE[text] if word == "by" else text)
    return found if {*said} & {*ORIGIN_WORDS} else None


def verdict_of(word: str) -> int:
    return int(Verdict.ALLOW if word == "allow" else Verdict.DENY)


@pytest.mark.parametrize(("rules", "text"), [pytest.param(rules, text, id=title) for title, rules, text in STORIES])
def test_readings(rules: dict[str, Any], text: str) -> None:
    bench = FraudBench(rules)
    for row in text.strip().split("\n"):
        bench.live(row)
    assert what_rules_did(bench.twin.ledger) == +bench.naive.ledger.counters.tallies
    assert +bench.twin.tallies() == +naive_tallies(bench.naive.engine)


# --- random traffic ---------------------------------------------------------------------------------------------------
SEEDS, SEEDS_SHORT, STEPS = 80, 4, 100  # about 1 150 events each; of the long ones twice as many, and more


def steps_of(seed: int) -> int:
    return STEPS if seed < SEEDS_SHORT else 2 * STEPS + 30


@cache
def story(seed: int) -> FraudStory:
    return FraudStory(seed, steps_of(seed))


def seeds(short: int) -> list[Any]:
    return [pytest.param(seed, marks=[] if seed < short else pytest.mark.long) for seed in range(SEEDS)]


@pytest.mark.parametrize("seed", seeds(SEEDS_SHORT))
def test_the_ledger_equals_its_reference(seed: int) -> None:
    told = story(seed)
    twins = [LedgerAlone(told.shop, shards) for shards in (1, 3)]
    for number, step in enumerate(told.steps):
        found = twins[0].difference(step)
        assert found is None, f"seed {seed}, step {number}, until {step.until}: {found}"
        twins[1].settle(step)
    assert twins[0].ledger.digest() == twins[1].ledger.digest()
    assert twins[0].tallies() == +told.ledger.counters.tallies


@pytest.mark.parametrize("seed", seeds(SEEDS_SHORT))
def test_kernels_equal_the_reference(seed: int) -> None:
    """Receipts, requests, wallets, replies and bulletins after every settlement; what rules did, at the end."""
    told = story(seed)
    twin = Compiled(told.shop, shards=1 + seed % 3, batch=(10_000, 7, 1)[seed % 3])
    for number, step in enumerate(told.steps):
        found = difference(step, twin)
        assert found is None, f"seed {seed}, step {number}, until {step.until}: {found}"
    counted = Counter(twin.tallied)
    counted.update(twin.tallies())
    assert +counted == +naive_tallies(told.engine)


@pytest.mark.parametrize("seed", seeds(2))
def test_shards_and_batches_do_not_matter(seed: int) -> None:
    told = story(seed)
    rng, digests = Random(seed), set()
    for shards in (1, 2, 3):
        twin = Compiled(told.shop, shards, rng.choice([1, 5, 10_000]))
        for step in told.steps:
            twin.live(step)
        digests.add(twin.digest())
    assert len(digests) == 1


@pytest.mark.parametrize("seed", seeds(1))
def test_a_snapshot_goes_on_to_the_same_digest(seed: int) -> None:
    """Taken in the middle of a step, after rules have counted and before and after they change."""
    told = story(seed)
    for at in (len(told.steps) // 3, len(told.steps) * 2 // 3):
        first, second = Compiled(told.shop, 2), Compiled(told.shop, 2)
        for step in told.steps[:at]:
            first.live(step)
        here = told.steps[at]
        half = len(here.happenings) // 2
        if here.version != first.version:
            first.change_policy()
        first.decide(here.happenings[:half])
        second.restore(first)
        assert second.digest() == first.digest()
        for twin in (first, second):
            twin.decide(here.happenings[half:])
            twin.account(here.until)
            twin.hear(here.decided)
            for step in told.steps[at + 1 :]:
                twin.live(step)
        assert second.digest() == first.digest()


def test_compiled_equals_interpreted() -> None:
    command = [sys.executable, "-m", "tests.engine.fraud_twins", "3", "40"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = FraudStory(3, 40)
    twin = Compiled(told.shop)
    for step in told.steps:
        twin.live(step)
    assert done.stdout.strip() == twin.digest()


# --- the traffic reaches everything -----------------------------------------------------------------------------------
@pytest.mark.long
def test_traffic_reaches_everything() -> None:
    """Or the agreement above would say little: every rule fires and just does not, every answer is given."""
    told = [story(seed) for seed in range(SEEDS)]
    fired, near = Counter[str](), Counter[str]()
    for one in told:
        names = {slot: name for name, slot in one.shop.registry.rules.items()}
        for slot, how_often in one.fired.items():
            fired[names[slot]] += how_often
        for slot, how_often in one.near.items():
            near[names[slot]] += how_often
    assert {name: fired[name] for name in core_rules() if fired[name] < 2} == {}
    assert {name: near[name] for name in core_rules() if near[name] < 2} == {}
    assert {(kind, word): n for kind, words in REACHED.items() for word in words.split()
            if (n := sum(one.answers[kind, word] for one in told)) < 2} == {}  # fmt: skip
    assert {edge for one in told for edge in one.edges} == set(EDGES)


REACHED = {
    "CLAIM": "PENDING ID_REUSED LIMIT DONE DENIED CHALLENGED IN_REVIEW FALLBACK OUT_OF_STOCK BUDGET",
    "RESERVE": "DONE DENIED CHALLENGED IN_REVIEW OUT_OF_STOCK",
    "ORDER": "DONE DENIED CHALLENGED WAITS",
    "PAYMENT": "DONE DENIED CHALLENGED",
    "REDEEM": "DONE DENIED CHALLENGED",
    "TRANSFER": "DONE PENDING DENIED CHALLENGED IN_REVIEW",
    "REVIEWED": "DONE LAPSED",
    "LISTED": "DONE DENIED",
}
EDGES = (
    "a shadow fires", "a rule warms", "a pass is used up", "a pass goes with a request", "a mark answers",
    "a late ask", "a key is forgotten", "not judged", "somebody is allowed", "a review ends by itself",
    "an event leaves a window to the millisecond", "what waited is judged",
)  # fmt: skip
