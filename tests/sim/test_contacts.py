"""Who gets in touch: at the rate of the cause, soon, and once about one trouble."""

from typing import NamedTuple

import numpy as np
import pytest

from engine.compiled import entry
from engine.coupon_records import Answer
from engine.records import HOUR_MS, MINUTE_MS, records
from sim.contacts import CALLER, CONTACT, ONE_TROUBLE_MS, SUPPORT, Cause, contacts_most, meet_refusal, meet_trouble

T, FIRST, CUSTOMERS = 1_794_326_400_000, 70, 4_000
meet, refuse = entry(meet_trouble), entry(meet_refusal)


class People(NamedTuple):
    stream: np.ndarray
    support: np.ndarray


class Crowd(NamedTuple):
    first: np.ndarray
    callers: np.ndarray
    contacts: np.ndarray
    contact_count: np.ndarray


def crowd(answers: bool = True) -> tuple[People, Crowd]:
    people = People(np.array([5, 0], np.int64), records(int(answers), SUPPORT))
    people.support["rates"] = (0.3, 0.1, 1.0, 1.0, 0.0)
    room = CUSTOMERS * contacts_most(MINUTE_MS)
    return people, Crowd(
        np.array([FIRST], np.int64), records(CUSTOMERS * answers, CALLER), records(room, CONTACT), np.zeros(1, np.int64)
    )


def everybody(people: People, there: Crowd, cause: Cause, t: int) -> np.ndarray:
    """Everybody has a trouble; the contacts that it leads to."""
    before = int(there.contact_count[0])
    for customer in range(FIRST, FIRST + CUSTOMERS):
        meet(people, there, customer, int(cause), t)
    return there.contacts[before : int(there.contact_count[0])]


def test_contacts_come_at_their_rate_and_soon() -> None:
    people, there = crowd()
    found = everybody(people, there, Cause.COMPLAINT, T)
    assert len(found) == pytest.approx(0.3 * CUSTOMERS, abs=90)
    after = found["time_ms"] - T
    assert after.min() >= 0 and after.max() < HOUR_MS + MINUTE_MS
    assert np.median(after) == pytest.approx(15.5 * MINUTE_MS, abs=2 * MINUTE_MS)
    assert set(found["cause"]) == {Cause.COMPLAINT} and set(found["trouble_ms"]) == {T}
    assert len(set(found["customer"])) == len(found) and found["customer"].min() >= FIRST
    assert len(everybody(people, there, Cause.INCIDENT, T)) == 0, "at a rate of 0"


def test_what_follows_within_the_hour_is_the_same_trouble() -> None:
    people, there = crowd()
    one = everybody(people, there, Cause.COMPLAINT, T)["customer"].copy()
    assert len(everybody(people, there, Cause.COMPLAINT, T + ONE_TROUBLE_MS - 1)) == 0
    assert len(everybody(people, there, Cause.PAYMENT_FAILED, T + 1)) > 0, "of another cause it is another"
    again = everybody(people, there, Cause.COMPLAINT, T + ONE_TROUBLE_MS)["customer"]
    assert len(again) == pytest.approx(0.3 * CUSTOMERS, abs=90)
    both = len(set(one) & set(again))
    assert both == pytest.approx(0.09 * CUSTOMERS, abs=60), "another trouble has luck of its own"


@pytest.mark.parametrize("answer", list(Answer))
def test_a_refusal_is_a_trouble_but_a_verdict_is_none(answer: Answer) -> None:
    people, there = crowd()
    refuse(people, there, FIRST, int(answer), T)
    refused = {"NOT_OPEN", "BLOCKED", "MINOR", "PERSONALISATION_OFF", "NOT_ELIGIBLE", "REGION", "LIMIT", "WALLET_FULL",
               "OUT_OF_STOCK", "BUDGET", "NO_ROOM"}  # fmt: skip
    assert int(there.contact_count[0]) == (answer.name in refused)


def test_nobody_calls_where_nobody_answers() -> None:
    assert len(everybody(*crowd(answers=False), Cause.DENIED, T)) == 0
