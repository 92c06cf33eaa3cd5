"""The support desk beside a world: one life whatever the shards, appeals that let through, reviews in time."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from engine.coupon_records import RequestKind
from engine.fraud_records import Verdict
from engine.policy.yaml_source import DocumentError, load_text
from engine.records import DAY_MS, HOUR_MS, NONE
from scenarios.desk_outputs import desk_tables
from scenarios.help_desk import HelpDesk
from scenarios.load import Options, load_scenario, plan_of
from scenarios.lone_world import LoneWorld
from scenarios.population_document import Population
from scenarios.run import Lived, RunOptions, live
from scenarios.support_build import shifts_of
from scenarios.support_document import Support
from scenarios.worker import RunPlan
from sim.contacts import CONTACT, Cause
from sim.desk import Shift
from sim.desk_book import Case
from sim.origin_model import Harm

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "scenarios" / "library"
CUSTOMERS = 120
CREWS = """{
  account_ring: {people: 2, accounts: 8, budget: 500.00, devices: 3, ips: 2, works_every: 20min},
  many_accounts: {accounts: 4, budget: 100.00}
}"""
# Rules that hit good customers too: a second claim on a day is refused, a second order reviewed.
RULES = """{include: core, appeal: "Mine, Appeal", rules: {
  claims_a_day: {more_than: 0}, claims_per_campaign: {mode: off}, bot_pace: {mode: off}
}}"""
REVIEWS = """{include: core, appeal: "Mine, Appeal", rules: {
  claims_a_day: {more_than: 0, answer: review}, claims_per_campaign: {mode: off}
}}"""
DESK = """{
  contacts: {complaint: 100%, payment_failed: 100%, claim_refused: 100%},
  hotline: {shifts: [{seats: 2}]}, reviewers: {shifts: [{seats: SEATS}], upheld: {honest: 100%, fraud: 0%},
  granted: {honest: 0%, fraud: 0%}, allows: 30d}
}"""


def plan(rules: str = RULES, seats: int = 2, appeals: str = "100%", desk: str = DESK) -> RunPlan:
    given = {
        "policy.fraud": rules, "population.adversaries.crews": CREWS, "population.origins.appeals": appeals,
        "population.adversaries.appeals": appeals, "population.visits.per_day": "2",
        "population.support": desk.replace("SEATS", str(seats)),
        "population.shop.claims.when_seen": "100%",
    }  # fmt: skip
    options = Options(customers=CUSTOMERS, before=1, days=4, after=1, set=given)
    return plan_of(load_scenario(Path(__file__).with_name("rings.scenario.yaml"), options))


def lived(shards: int, plan: RunPlan) -> Lived:
    return live(plan, CUSTOMERS, RunOptions(shards=shards, inline=True), lambda share: None)


@cache
def expected() -> Lived:
    return lived(1, plan())


@pytest.mark.parametrize("shards", [2, 3])
def test_shards_do_not_matter(shards: int) -> None:
    one, found = expected(), lived(shards, plan())
    assert one.desk is not None and found.desk is not None
    assert found.digest == one.digest
    assert found.desk.book == one.desk.book
    assert found.desk.contacts == one.desk.contacts
    assert desk_tables(plan(), found.desk) == desk_tables(plan(), one.desk)


def test_a_fork_has_a_desk_of_its_own_and_lives_on_as_the_world_itself() -> None:
    one = plan()
    world = LoneWorld(one, CUSTOMERS)
    world.run(until=one.spans.launch)
    twin = world.fork(one)
    for each in (world, twin):
        each.run(since=one.spans.launch)
    assert world.digest == twin.digest == expected().digest
    assert world.desk is not None and twin.desk is not None and world.desk is not twin.desk
    assert world.desk.book == twin.desk.book


def denials_of(world: LoneWorld) -> dict[int, list[int]]:
    """When each account was denied, by customer, as appeals tell that are made of every denial."""
    assert world.desk is not None
    found: dict[int, list[int]] = {}
    for contact in world.desk.contacts:
        if contact.cause == Cause.DENIED:
            found.setdefault(contact.customer, []).append(contact.trouble_ms)
    return found


def test_whoever_was_right_is_let_through_afterwards_and_fraud_is_not() -> None:
    world = LoneWorld(plan(), CUSTOMERS)
    world.run()
    assert world.desk is not None
    appeals = world.desk.book.appeals
    upheld = {case.customer: case.decided_ms for case in appeals if case.upheld and case.decided_ms is not None}
    denied = denials_of(world)
    again = {customer for customer, times in denied.items() if max(times) > upheld.get(customer, 2**62)}
    fraud = [case for case in appeals if case.fraud]
    assert len(upheld) > 10 and not again, "nobody who is allowed is denied"
    assert fraud and not any(case.upheld for case in fraud), "reviewers err at their rates only"
    people = plan().population.model_copy(update={"support": None})
    unheard = LoneWorld(replace(plan(), population=people), CUSTOMERS)
    unheard.run()
    harms = [each.worker.cohort.crowd.traces["harms"] & Harm.DENIED for each in (unheard, world)]
    assert harms[0].sum() > 0
    asked = [each.worker.cohort.crowd.verdicts.rules for each in (unheard, world)]
    assert asked[1].sum() != asked[0].sum(), "the rules fire in another life"


def test_reviews_are_decided_by_persons_or_in_the_customers_favour() -> None:
    """Who reviews denies everybody here; what nobody gets round to is granted after 24 h."""
    decided = lived(1, plan(REVIEWS, seats=20, appeals="0%"))
    assert decided.desk is not None and decided.ledger is not None
    reviews = decided.desk.book.reviews
    over = [case for case in reviews if case.decided_ms is not None]
    assert len(over) > 10 and all(not case.upheld and case.claim != NONE for case in over)
    assert max(case.decided_ms - case.came_ms for case in over if case.decided_ms is not None) < 2 * HOUR_MS
    slow = DESK.replace("granted:", "claim_takes: 8h, granted:")
    left = lived(1, plan(REVIEWS, seats=1, appeals="0%", desk=slow))
    assert left.desk is not None and left.ledger is not None
    end = plan().spans.end
    lapsed = [one for one in left.desk.book.reviews if one.decided_ms is None and one.came_ms + DAY_MS <= end]
    assert len(lapsed) > 5
    granted = [int(each.shared.stock["granted"].sum()) for each in (decided.ledger, left.ledger)]
    assert granted[1] > granted[0], "in their favour"


def test_tables_count_what_the_book_says() -> None:
    one = expected()
    assert one.desk is not None
    tables, book = desk_tables(plan(), one.desk), one.desk.book
    contacts = {name: np.array(values) for name, values in tables["contacts"].items()}
    end = plan().spans.end
    tickets = [ticket for ticket in book.tickets if ticket.contact.time_ms < end]
    for name, count in {
        "came": len(tickets),
        "first": sum(ticket.contact.attempt == 0 for ticket in tickets),
        "in_time": sum(ticket.in_time for ticket in tickets),
        "by_bot": sum(ticket.by_bot for ticket in tickets),
        "gave_up": sum(ticket.gave_up_ms is not None for ticket in tickets),
        "came_back": sum(ticket.contact.attempt > 0 for ticket in tickets),
        "routine": len(list(book.ripe(end))),
        "closed": sum(closed for _, closed in book.ripe(end)),
    }.items():
        assert contacts[name].sum() == count, name
    causes = {Cause[cause.upper()] for cause in tables["contacts"]["cause"]}
    assert {Cause.DENIED, Cause.PAYMENT_FAILED, Cause.CLAIM_REFUSED} <= causes
    naive = [
        sum(t.contact.time_ms < edge and (t.answered_ms or t.gave_up_ms or 2**62) >= edge
            for t in tickets if t.contact.cause.name.lower() == cause)
        for edge, cause in zip(contacts["time_ms"] + HOUR_MS, contacts["cause"], strict=True)
    ]  # fmt: skip
    assert contacts["waiting"].tolist() == naive


def test_without_a_ledger_the_desk_answers_all_the_same() -> None:
    given = {"population.incidents": "{storm: {at: '10:00', lasts: 4h, get_in_touch: 100%}}"}
    scenario = load_scenario(
        LIBRARY / "first_use.scenario.yaml", Options(customers=200, before=1, days=2, after=1, set=given)
    )
    one, three = (live(plan_of(scenario), 200, RunOptions(shards=n, inline=True), lambda share: None) for n in (1, 3))
    assert one.ledger is None and one.desk is not None and three.desk is not None
    assert one.desk.book == three.desk.book
    asked = [ticket for ticket in one.desk.book.tickets if ticket.contact.cause == Cause.INCIDENT]
    begins = plan_of(scenario).spans.launch + 10 * HOUR_MS
    assert len(asked) > 10 and all(begins <= ticket.contact.trouble_ms < begins + 4 * HOUR_MS for ticket in asked)


def test_a_decision_is_one_request_and_no_two_are_the_same() -> None:
    desk = HelpDesk(plan(), CUSTOMERS)
    cases = [
        Case(0, 3, 7, False, 50, True), Case(0, 3, 8, False, 60, False),
        Case(0, 3, NONE, False, 70, True), Case(0, 4, NONE, False, 80, False),
    ]  # fmt: skip
    rows = desk.requests(cases)
    names = ["kind", "customer", "claim", "other", "verdict", "time_ms", "expires_ms"]
    assert [tuple(int(row[name]) for name in names) for row in rows] == [
        (RequestKind.REVIEWED, 3, 7, NONE, Verdict.ALLOW, 50, 0),
        (RequestKind.REVIEWED, 3, 8, NONE, Verdict.DENY, 60, 0),
        (RequestKind.LISTED, 3, NONE, 3, Verdict.ALLOW, 70, 70 + 30 * DAY_MS),
    ]
    assert len({int(row["number"]) for row in (*rows, *desk.requests(cases))}) == 6


def test_contacts_of_all_workers_are_in_one_order() -> None:
    begins = plan().spans.launch
    rows = np.array([(begins + after, begins, who, Cause.DENIED) for after, who in ((5, 1), (5, 0), (2, 9))], CONTACT)
    found = []
    for parts in ([rows], [rows[2:], rows[:2]], [rows[1:2], rows[:1], rows[2:]]):
        desk = HelpDesk(plan(), CUSTOMERS)
        desk.live(parts, begins + 1)
        found.append([(contact.time_ms - begins, contact.customer) for contact in desk.contacts])
    assert found == [[(2, 9), (5, 0), (5, 1)]] * 3


# --- documents --------------------------------------------------------------------------------------------------------
def test_shifts_past_midnight_are_two_and_the_whole_day_is_one() -> None:
    shifts = "[{seats: 3}, {from: '22:00', until: '06:00', seats: 1}]"
    text = f"hotline: {{shifts: {shifts}}}\nreviewers: {{shifts: [{{seats: 1}}]}}\n"
    support = load_text(text, "people.yaml", Support)
    assert shifts_of(support.hotline.shifts) == (
        Shift(0, DAY_MS, 3), Shift(22 * HOUR_MS, DAY_MS, 1), Shift(0, 6 * HOUR_MS, 1),
    )  # fmt: skip


WRONG = [
    ("population.support", "{hotline: {shifts: []}, reviewers: {shifts: [{seats: 1}]}}", "support.hotline.shifts"),
    ("population.support", "{hotline: {shifts: [{seats: 1}]}}", "support.reviewers"),
    ("population.support.hotline.shifts", "[{seats: 600}, {seats: 600}]", "at most 1000 seats together (got 1200)"),
    ("population.support.reviewers.upheld", "{honest: 200%}", "support.reviewers.upheld.honest"),
    ("population.support.hotline.shifts", "[{from: '25:00', seats: 1}]", "support.hotline.shifts[0].from"),
    ("population.incidents", "{quiet: {at: '10:00', lasts: 1h}}", "must have at least one of payments_fail"),
]


@pytest.mark.parametrize(("path", "text", "words"), WRONG)
def test_a_document_that_is_wrong_is_refused(path: str, text: str, words: str) -> None:
    with pytest.raises(DocumentError) as refused:
        load_scenario(Path(__file__).with_name("rings.scenario.yaml"), Options(set={path: text}))
    assert words in str(refused.value)


def test_who_asks_needs_somebody_to_answer() -> None:
    text = (LIBRARY / "populations" / "bank_card.yaml").read_text("utf-8").partition("\nsupport:")[0]
    text += "\nincidents: {storm: {at: '10:00', lasts: 1h, get_in_touch: 5%}}\n"
    with pytest.raises(DocumentError, match="must be 0 without a support desk, support \\(got 5%\\)"):
        load_text(text, "people.yaml", Population)
