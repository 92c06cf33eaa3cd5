"""Circuit breakers: their edges as a table, the Ledger against its naive twin, and what shards count and are told."""

from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from engine.breaker_records import BREAKER, COLUMNS, PULSES, Breakers, BreakerState, Pulse
from engine.host.breaking import breakers_for, close, held, take_pulse
from engine.host.ledger import LedgerHost
from engine.host.messages import Contribution, Settled
from engine.host.shard import CustomerShard, open_bulletin
from engine.policy.document import Policy
from engine.policy.tables import compile_policy
from engine.policy.yaml_source import load_text
from engine.records import EVENT, MINUTE_MS, NONE, SHARE_ONE, EventKind, Reason, Tables, records
from engine.reference_breaker import ReferenceBreakers
from engine.reference_ledger import ReferenceLedger
from engine.rules.breaker import judge_breakers
from tests.engine.claims import (
    CUSTOMERS,
    START_MS,
    STEP_MS,
    Crowd,
    Row,
    campaign_rows,
    contributions,
    names_of,
    random_policy,
    ranges,
    tables_of,
)
from tests.engine.ledger_twins import as_integers, by_budget

OPEN, TRIPPED, TRIAL = BreakerState.OPEN, BreakerState.TRIPPED, BreakerState.TRIAL
CAMPAIGNS = 4


def breaker_table(rules: dict[int, Row]) -> np.ndarray:
    table = records(len(rules), BREAKER)
    for number, rule in rules.items():
        for name, value in rule.items():
            if name != "watched":
                table[number][name] = value
        table[number].name_hash = 7_000 + number
        table[number].watched[list(rule["watched"])] = 1
    return table


def rule(**fields: Any) -> Row:
    """Trips above 20 % of payments declined in three minutes, of ten at least; pauses campaigns 0 and 1."""
    return {
        "part": Pulse.DECLINED, "whole": Pulse.PAYMENTS, "limit": SHARE_ONE // 5, "least": 10, "rest_ms": 0,
        "window_ms": 3 * MINUTE_MS, "by_campaign": 0, "by_trial": 0, "watched": {0, 1},
    } | fields  # fmt: skip


# --- edges ------------------------------------------------------------------------------------------------------------
# Declined of payments by minute from 0 on; then the state at each minute's end: o open, t tripped, r trial.
AMOUNT = {"part": Pulse.SPENT, "whole": NONE, "limit": 500, "least": 0}
EDGES: list[tuple[str, Row, str, str]] = [
    ("exactly the line does not trip", {}, "2/10", "o"),
    ("above the line trips at the end of the minute", {}, "3/10", "t"),
    ("fewer than the least count do not trip", {}, "9/9", "o"),
    ("the window adds up: the least count is reached later", {}, "4/5 4/5", "ot"),
    ("what leaves the window counts no more", {}, "5/9 0/0 0/0 0/9", "oooo"),
    ("a minute before that it does", {}, "5/9 0/0 0/9", "oot"),
    ("what has tripped stays tripped until somebody decides", {}, "9/10 0/10 0/10 0/10 0/10", "ttttt"),
    ("a trial begins after the rest", {"by_trial": 1, "rest_ms": 2 * MINUTE_MS}, "9/10 0/0 0/0 0/0", "ttrr"),
    (
        "a trial is judged by what happens in it, and ends after a window",
        {"by_trial": 1, "rest_ms": 2 * MINUTE_MS}, "9/10 0/0 0/0 0/9 0/9 0/9", "ttrrro",
    ),
    ("a trial may trip at once", {"by_trial": 1, "rest_ms": 2 * MINUTE_MS}, "9/10 0/0 0/0 3/10 0/0 0/0", "ttrttr"),
    (
        "what a trial has seen counts after it",
        {"by_trial": 1, "rest_ms": MINUTE_MS}, "9/10 0/0 0/0 4/9 0/0 1/9", "trrrot",
    ),
    ("an amount trips above its line", AMOUNT, "500/0 1/0", "ot"),
    ("an amount needs no least count", AMOUNT, "501/0", "t"),
    ("a window of one minute", {"window_ms": MINUTE_MS}, "2/9 0/0 3/10", "oot"),
]  # fmt: skip
LETTERS = {OPEN: "o", TRIPPED: "t", TRIAL: "r"}


def fast(rules: dict[int, Row]) -> tuple[Breakers, np.ndarray]:
    fields: dict[str, Any] = {name: np.zeros(0) for name in Tables._fields}
    table = breaker_table(rules)
    campaigns = np.zeros(CAMPAIGNS, [("name_hash", "u8")])
    campaigns["name_hash"] = np.arange(CAMPAIGNS) + 1
    return breakers_for(Tables(**(fields | {"breakers": table, "campaigns": campaigns})), 0), table


@pytest.mark.parametrize(("says", "fields", "minutes", "states"), EDGES, ids=[row[0] for row in EDGES])
def test_the_edges(says: str, fields: Row, minutes: str, states: str) -> None:
    rules = {0: rule(**fields)}
    (breakers, table), twin = fast(rules), ReferenceBreakers(rules, 0)
    found, expected = "", ""
    for minute, text in enumerate(minutes.split()):
        part, whole = (int(word) for word in text.split("/"))
        pulse = np.zeros((1, COLUMNS, PULSES), np.int64)
        pulse[0, 0, rules[0]["part"]] = part
        twin.count(minute * MINUTE_MS + 59_999, NONE, Pulse(rules[0]["part"]), part)
        if rules[0]["whole"] != NONE:
            pulse[0, 0, rules[0]["whole"]] = whole
            twin.count(minute * MINUTE_MS, NONE, Pulse(rules[0]["whole"]), whole)
        take_pulse(breakers, minute, pulse)
        judge_breakers(breakers, table, (minute + 1) * MINUTE_MS)
        twin.judge((minute + 1) * MINUTE_MS)
        found += LETTERS[BreakerState(int(breakers.fuses[0, 0].state))]
        expected += LETTERS[twin.fuses.get((0, NONE), (OPEN, 0))[0]]
        paused = held(breakers, table, CAMPAIGNS).tolist()
        assert paused == [int(found[-1] == "t"), int(found[-1] == "t"), 0, 0]
        assert paused == [int(twin.is_paused(slot)) for slot in range(CAMPAIGNS)]
    assert (found, expected) == (states, states), says


def test_a_decision_lets_campaigns_run_and_forgets_what_was_before() -> None:
    breakers, table = fast({0: rule()})
    pulse = np.zeros((1, COLUMNS, PULSES), np.int64)
    pulse[0, 0, [Pulse.DECLINED, Pulse.PAYMENTS]] = 9, 10
    take_pulse(breakers, 0, pulse)
    assert not close(breakers, 0, NONE, 30_000), "nothing is tripped yet"
    judge_breakers(breakers, table, MINUTE_MS)
    assert close(breakers, 0, NONE, MINUTE_MS + 1)
    judge_breakers(breakers, table, 2 * MINUTE_MS)
    assert not held(breakers, table, CAMPAIGNS).any()
    calls = breakers.paged[: int(breakers.calls[0])]
    assert calls["state"].tolist() == [TRIPPED, OPEN]
    assert (calls[0].measured, calls[0].count, calls[0].time_ms) == (900_000, 10, MINUTE_MS)


# --- the Ledger against its twin --------------------------------------------------------------------------------------
def random_rules(rng: Random, campaigns: int) -> dict[int, Row]:
    rates = [(Pulse.DECLINED, Pulse.PAYMENTS), (Pulse.COMPLAINTS, Pulse.EXPOSURES), (Pulse.REFUSED, Pulse.CLAIMS)]
    rules = {}
    for number in range(rng.randrange(1, 5)):
        part, whole = rng.choice([*rates, (Pulse.SPENT, NONE)])
        rules[number] = rule(
            part=part, whole=whole, limit=rng.choice([0, 300_000, 2_000]) if whole != NONE else rng.choice([0, 3_000]),
            least=rng.choice([1, 3, 12]), window_ms=rng.choice([1, 2, 5, 60]) * MINUTE_MS,
            rest_ms=rng.choice([1, 3, 30]) * MINUTE_MS, by_campaign=rng.randrange(2), by_trial=rng.randrange(2),
            watched=set(rng.sample(range(campaigns), rng.randrange(campaigns + 1))),
        )  # fmt: skip
    return rules


class Twins:
    """A random crowd's claims, and random counts of shards, before the Ledger and before its reference."""

    def __init__(self, seed: int, shards: int) -> None:
        self.rng, self.shards = Random(seed), shards
        self.policy = random_policy(self.rng)
        self.campaigns = len(campaign_rows(self.policy))
        self.rules = random_rules(self.rng, self.campaigns)
        self.crowd = Crowd(Random(seed + 1), self.policy)
        tables = tables_of(self.policy)._replace(breakers=breaker_table(self.rules))
        self.ledger = LedgerHost(tables, *names_of(self.policy), ranges(shards), START_MS, STEP_MS)
        self.twin = ReferenceLedger(self.policy, (0, CUSTOMERS), START_MS, STEP_MS)
        self.twin.breakers = ReferenceBreakers(self.rules, START_MS)

    def counted(self, since: int, until: int) -> list[tuple[int, np.ndarray]]:
        """(first minute, counts) of each shard over a step, told to the reference one by one."""
        first, last = since // MINUTE_MS, (until - 1) // MINUTE_MS
        parts = [np.zeros((last - first + 1, COLUMNS, PULSES), np.int64) for _ in range(self.shards)]
        for _ in range(self.rng.randrange(60)):
            t, campaign = self.rng.randrange(since, until), self.rng.randrange(NONE, self.campaigns)
            what, amount = Pulse(self.rng.randrange(PULSES)), self.rng.randrange(1, 4)
            part = parts[t % self.shards][t // MINUTE_MS - first]
            part[0, what] += amount
            part[campaign + 1, what] += amount if campaign != NONE else 0
            self.twin.breakers.count(t, campaign, what, amount)
        return [(first, part) for part in parts]

    def settle(self, number: int) -> None:
        since, requests, spend = self.crowd.now, self.crowd.ask(30), self.crowd.take_spend()
        for request in requests:
            request["campaign"] = self.rng.randrange(NONE, self.campaigns)
        messages = contributions(self.crowd, number, requests, spend, self.shards)
        out: list[Any] = []
        for message, (first, pulse) in zip(messages, self.counted(since, self.crowd.now), strict=True):
            fields = vars(message) | {"pulse": pulse, "pulse_minute": first}
            out += self.ledger.receive(Contribution(**fields), message.time_ms)
        replies = self.twin.settle(requests, by_budget(spend), self.crowd.now)
        self.crowd.hear([as_integers(row) for row in replies])
        assert isinstance(out[0], Settled)
        expected = [int(not self.twin.breakers.is_paused(slot)) for slot in range(self.campaigns)]
        assert out[0].bulletin.open.tolist() == expected, f"settlement {number}"
        breakers = self.ledger.shared.breakers
        calls = breakers.paged[: int(breakers.calls[0])]
        names = ("time_ms", "measured", "count", "breaker", "campaign", "state")
        found = [{name: int(row[name]) for name in names} for row in calls]
        assert found == [{name: int(call[name]) for name in names} for call in self.twin.breakers.calls]

    def between(self) -> None:
        """A person's decision, or a move to another process."""
        if self.rng.random() < 0.3:
            number, slot = self.rng.choice(list(self.rules)), self.rng.randrange(NONE, self.campaigns)
            mine = self.ledger.close_breaker(number, slot, self.crowd.now)
            assert mine == self.twin.breakers.close(number, slot, self.crowd.now)
        if self.rng.random() < 0.3:
            self.ledger = self.ledger.copy()


def lived(seed: int, shards: int) -> tuple[str, int]:
    twins = Twins(seed, shards)
    for number in range(1, 9):
        twins.settle(number)
        twins.between()
    return twins.ledger.digest(), int(twins.ledger.shared.breakers.calls[0])


@pytest.mark.long
def test_the_ledger_agrees_with_its_twin() -> None:
    """And says the same of one shard and of three."""
    trips = 0
    for seed in range(8):
        one, three = lived(seed, 1), lived(seed, 3)
        assert one == three, f"seed {seed}"
        trips += one[1]
    assert trips > 20, "the twins have nothing to agree about"


# --- at the shard -----------------------------------------------------------------------------------------------------
BREAKERS = "breakers: {pays: {measure: payment_failures, window: 3min, above: 20%, least: 5}}\n"


def shard_with_breakers() -> tuple[CustomerShard, dict[str, int], int]:
    """The preset's policy with a breaker, ten customers, and noon of its first day."""
    text = Path("scenarios/library/policies/bank_card.yaml").read_text("utf-8")
    day = date(2026, 9, 7)
    policy = compile_policy(load_text(text + BREAKERS, "bank.yaml", Policy), day, day)
    shard = CustomerShard(0, 10, policy.tables, policy.registry.slots)
    shard.customers["birth_date"] = 19_900_101
    return shard, policy.registry.slots, int(policy.tables.days["start_ms"][0]) + 12 * 60 * MINUTE_MS


def event_rows(*rows: Row) -> np.ndarray:
    events = records(len(rows), EVENT)
    for sequence, (event, row) in enumerate(zip(events, rows, strict=True)):
        event.sequence, event.ask, event.origin, event.campaign, event.channel, event.moment = (
            sequence,
            -1,
            -1,
            -1,
            -1,
            -1,
        )
        for name, value in row.items():
            event[name] = value
    return events


def test_a_shard_counts_by_the_minute_and_by_campaign() -> None:
    shard, slots, noon = shard_with_breakers()
    home, lock = 0, slots["card_lock"]
    minute = {second: noon + second * 1_000 for second in (1, 59, 60, 61, 62)}
    dwell = {"kind": EventKind.PAGE_DWELL, "customer": 1, "page": home, "page_view": 1, "dwell_ms": 5_000}
    shard.account(noon)
    decisions, _ = shard.decide(
        event_rows(
            dwell | {"time_ms": minute[1]},
            {"time_ms": minute[59], "customer": 1, "kind": EventKind.PAYMENT, "amount": 5},
            {"time_ms": minute[60], "customer": 1, "kind": EventKind.PAYMENT_DECLINED},
            {"time_ms": minute[61], "customer": 2, "kind": EventKind.PAYMENT_DECLINED},
            {"time_ms": minute[62], "customer": 1, "kind": EventKind.COMPLAINT, "exposure": 0, "campaign": lock},
        )
    )
    assert (decisions[0]["reason"], decisions[0]["campaign"]) == (Reason.SHOWN, lock)
    account = shard.account(noon + 2 * MINUTE_MS)
    told = {
        (int(at), int(column), Pulse(int(what)).name): int(account.pulse[at, column, what])
        for at, column, what in np.argwhere(account.pulse)
    }
    mine = lock + 1
    assert account.pulse_minute == noon // MINUTE_MS
    assert told == {
        (0, 0, "EXPOSURES"): 1, (0, mine, "EXPOSURES"): 1, (0, 0, "PAYMENTS"): 1, (0, mine, "PAYMENTS"): 1,
        (1, 0, "PAYMENTS"): 2, (1, mine, "PAYMENTS"): 1, (1, 0, "DECLINED"): 2, (1, mine, "DECLINED"): 1,
        (1, 0, "COMPLAINTS"): 1, (1, mine, "COMPLAINTS"): 1,
    }  # fmt: skip
    assert not shard.account(noon + 3 * MINUTE_MS).pulse.any(), "what was told is not told again"


def test_what_a_scenario_paused_stays_paused_and_a_breaker_pauses_the_rest() -> None:
    shard, slots, _ = shard_with_breakers()
    own, other = slots["card_lock"], slots["first_use"]
    shard.pause([own])
    bulletin = open_bulletin(len(shard.tables.campaigns))
    bulletin.open[other] = 0
    shard.take_bulletin(bulletin)
    assert (shard.bulletin.open[own], shard.bulletin.open[other]) == (0, 0)
    bulletin.open[other] = 1
    shard.take_bulletin(bulletin)
    assert (shard.bulletin.open[own], shard.bulletin.open[other]) == (0, 1)
    bulletin.open[other] = 0
    shard.take_bulletin(bulletin)
    shard.pause([])
    assert (shard.bulletin.open[own], shard.bulletin.open[other]) == (1, 0), "the breaker still holds it"
