"""The support desk: against Erlang's formula, and its edges: shifts, patience, the bot, repeat contacts, appeals."""

from dataclasses import replace
from math import exp, factorial, log

import pytest

from engine.records import DAY_MS, HOUR_MS, MINUTE_MS, NEVER_MS
from sim.desk import (
    Cause,
    Contact,
    DeskPlan,
    Shift,
    chance,
    contacts_of,
    desk_book,
    seats_for_the_peak,
    seats_needed,
    with_seats,
)

ALWAYS = (Shift(0, DAY_MS, 1),)
PLAN = DeskPlan(
    hotline=ALWAYS, video=(), day_ms=0, routine={}, bot_closes=0.85, bot_answer_ms=5_000, by_video=0.0,
    service_ms=4 * MINUTE_MS, appeal_ms=10 * MINUTE_MS, upheld=0.3, patience_ms=float(NEVER_MS // 10**6),
    comes_back=0.0, back_after_ms=HOUR_MS,
)  # fmt: skip
PATIENT = replace(PLAN, patience_ms=1e12)


def complaints(*minutes: float) -> list[Contact]:
    return [Contact(int(at * MINUTE_MS), Cause.COMPLAINT, number) for number, at in enumerate(minutes)]


def erlang_c(load: float, seats: int) -> float:
    """Probability to wait at all (Erlang 1917)."""
    busy = load**seats / factorial(seats) * seats / (seats - load)
    return busy / (sum(load**k / factorial(k) for k in range(seats)) + busy)


def test_waits_are_erlangs() -> None:
    """Arrivals at random, exponential service, nobody gives up: 12 000 contacts, 3 seats, load 2.4."""
    t, poisson = 0.0, []
    for number in range(12_000):
        t -= log(1.0 - chance((3, 3), 0, number, 0, 3)[3]) * 4 * MINUTE_MS / 2.4
        poisson.append(Contact(int(t), Cause.COMPLAINT, number))
    book = desk_book(poisson, with_seats(PATIENT, 3), int(t) + DAY_MS)
    waits = [one.answered_ms - one.contact.time_ms for one in book.served if one.answered_ms is not None]
    assert len(waits) == 12_000
    for within in (0, 2, 5, 15):
        expected = erlang_c(2.4, 3) * exp(-(3 - 2.4) * within / 4)
        assert sum(wait > within * MINUTE_MS for wait in waits) / 12_000 == pytest.approx(expected, abs=0.03)


def test_a_shift_that_is_over_serves_nobody_new() -> None:
    plan = replace(PATIENT, hotline=(Shift(9 * HOUR_MS, 17 * HOUR_MS, 2),), service_ms=1.0)
    book = desk_book(complaints(0, 10 * 60, 17 * 60), plan, 3 * DAY_MS)
    assert [one.answered_ms for one in book.served] == [9 * HOUR_MS, 10 * HOUR_MS, DAY_MS + 9 * HOUR_MS]
    assert [one.in_time for one in book.served] == [False, True, False]


def test_a_second_shift_adds_its_seats() -> None:
    plan = replace(PATIENT, hotline=(Shift(0, DAY_MS, 1), Shift(HOUR_MS, 2 * HOUR_MS, 2)), service_ms=1e9)
    book = desk_book(complaints(0, 1, 2, 3), plan, 3 * HOUR_MS)
    assert [one.answered_ms for one in book.served] == [0, HOUR_MS, HOUR_MS], "the fourth waits still"


def test_who_has_no_patience_gives_up_and_comes_back() -> None:
    plan = replace(PLAN, hotline=(Shift(0, MINUTE_MS, 1),), patience_ms=1.0, comes_back=1.0, back_after_ms=1.0)
    book = desk_book(complaints(5), plan, 5 * MINUTE_MS + 40)
    assert len(book.served) > 1 and all(one.answered_ms is None and not one.in_time for one in book.served)
    assert [one.contact.attempt for one in book.served] == list(range(len(book.served)))


def test_fifteen_minutes_are_in_time_and_a_moment_more_is_not() -> None:
    plan = replace(PATIENT, hotline=(Shift(15 * MINUTE_MS, DAY_MS, 2),), service_ms=1.0)
    contacts = [Contact(t, Cause.COMPLAINT, number) for number, t in enumerate((-1 + 1, 0))]
    assert desk_book(contacts, plan, DAY_MS).answered_in_time(0) == 1.0
    late = replace(plan, hotline=(Shift(15 * MINUTE_MS + 1, DAY_MS, 2),))
    assert desk_book(contacts, late, DAY_MS).answered_in_time(0) == 0.0


def test_the_bot_closes_its_share_and_repeats_are_not_closed() -> None:
    plan = replace(PATIENT, routine={Cause.COMPLAINT: 1.0}, comes_back=1.0, service_ms=1.0)
    book = desk_book(complaints(*range(2_000)), with_seats(plan, 20), 10 * DAY_MS)
    assert book.closed_by_bot() == pytest.approx(0.85, abs=0.03)
    assert sum(not one.by_bot for one in book.served) == 2_000 - round(book.closed_by_bot() * 2_000)
    late = replace(plan, back_after_ms=1e12)
    assert desk_book(complaints(*range(200)), late, 10 * DAY_MS).closed_by_bot() == 1.0, "back after 24 h is another"


def test_appeals_are_decided_and_upheld_at_their_share() -> None:
    contacts = [Contact(number * 20 * MINUTE_MS, Cause.DENIED, number) for number in range(1_000)]
    book = desk_book(contacts, with_seats(PATIENT, 3), 30 * DAY_MS)
    assert len(book.decided) == 1_000 and book.appeals_in_time() == 1.0
    assert sum(one.upheld for one in book.decided) / 1_000 == pytest.approx(0.3, abs=0.05)


def test_contacts_come_at_their_rate_and_soon() -> None:
    counts = {Cause.PAYMENT_FAILED: [(0, 5_000), (DAY_MS, 0)], Cause.COMPLAINT: [(HOUR_MS, 100)]}
    contacts = contacts_of(counts, {Cause.PAYMENT_FAILED: 0.2, Cause.COMPLAINT: 1.0}, (1, 0))
    assert [contact.time_ms for contact in contacts] == sorted(contact.time_ms for contact in contacts)
    failed = [contact for contact in contacts if contact.cause == Cause.PAYMENT_FAILED]
    assert len(failed) == pytest.approx(1_000, abs=90) and len(contacts) - len(failed) == 100
    assert all(0 <= contact.time_ms < HOUR_MS + MINUTE_MS for contact in failed)


@pytest.mark.parametrize("needed", [1, 2, 3, 7, 8, 9, 100])
def test_the_smallest_number_of_seats_is_found(needed: int) -> None:
    assert seats_needed(lambda seats: seats >= needed) == needed
    with pytest.raises(OverflowError, match="at most 4"):
        seats_needed(lambda seats: seats >= 5, most=4)


def test_seats_for_a_peak_are_the_fewest_that_hold() -> None:
    counts = {Cause.COMPLAINT: [(minute * MINUTE_MS, 6 if 600 <= minute < 720 else 1) for minute in range(0, 1440, 2)]}
    contacts = contacts_of(counts, {Cause.COMPLAINT: 1.0}, (5, 0))
    seats = seats_for_the_peak(contacts, PATIENT, 2 * DAY_MS)
    shares = [desk_book(contacts, with_seats(PATIENT, n), 2 * DAY_MS).answered_in_time(0) for n in (seats - 1, seats)]
    assert shares[0] < 0.99 <= shares[1]
