"""The support desk: against Erlang's formula, and its edges: shifts, patience, the bot, repeat contacts, decisions."""

from dataclasses import replace
from math import exp, factorial, log

import pytest

from engine.records import DAY_MS, HOUR_MS, MINUTE_MS, NONE
from sim.answers import Outcome, Question, Questions
from sim.contacts import Cause
from sim.desk import (
    ByTruth,
    DeskPlan,
    Lane,
    Shift,
    SupportDesk,
    desk_book,
    seats_for_the_day,
    seats_needed,
    with_seats,
)
from sim.desk_book import Contact, share_of

ALWAYS = (Shift(0, DAY_MS, 1),)
PLAN = DeskPlan(
    hotline=ALWAYS, video=(), reviewers=ALWAYS, day_ms=0, routine={}, bot_helps=0.85, bot_answer_ms=5_000,
    by_video=0.0, service_ms=4 * MINUTE_MS, video_ms=0.0, patience_ms=1e12, comes_back=0.0, back_after_ms=HOUR_MS,
    appeal_ms=10 * MINUTE_MS, review_ms=4 * MINUTE_MS, upheld=ByTruth(0.9, 0.1), granted=ByTruth(0.8, 0.2),
)  # fmt: skip


def complaints(*minutes: float) -> list[Contact]:
    return [Contact(int(at * MINUTE_MS), Cause.COMPLAINT, number) for number, at in enumerate(minutes)]


def erlang_c(load: float, seats: int) -> float:
    """Probability to wait at all (Erlang 1917)."""
    busy = load**seats / factorial(seats) * seats / (seats - load)
    return busy / (sum(load**k / factorial(k) for k in range(seats)) + busy)


def test_waits_are_erlangs() -> None:
    """Arrivals at random, exponential service, nobody gives up: 3 seats, load 2.4."""
    waits = [wait for stream in range(4) for wait in waits_of((stream, 9), 8_000)]
    for within in (0, 2, 5, 15):
        expected = erlang_c(2.4, 3) * exp(-(3 - 2.4) * within / 4)
        assert sum(wait > within * MINUTE_MS for wait in waits) / len(waits) == pytest.approx(expected, abs=0.03)


def waits_of(stream: tuple[int, int], count: int) -> list[int]:
    plan = with_seats(replace(PLAN, stream=stream), 3)
    desk, t, poisson = SupportDesk(plan), 0.0, []
    for number in range(count):
        t -= log(desk.luck(Contact(0, Cause.INCIDENT, number), Lane.BEGINS)[3]) * 4 * MINUTE_MS / 2.4
        poisson.append(Contact(int(t), Cause.COMPLAINT, number))
    tickets = desk_book(poisson, plan, int(t) + DAY_MS).tickets
    return [one.answered_ms - one.contact.time_ms for one in tickets if one.answered_ms is not None]


def test_a_shift_that_is_over_serves_nobody_new() -> None:
    plan = replace(PLAN, hotline=(Shift(9 * HOUR_MS, 17 * HOUR_MS, 2),), service_ms=1.0)
    book = desk_book(complaints(0, 10 * 60, 17 * 60), plan, 3 * DAY_MS)
    assert [one.answered_ms for one in book.tickets] == [9 * HOUR_MS, 10 * HOUR_MS, DAY_MS + 9 * HOUR_MS]
    assert [one.in_time for one in book.tickets] == [False, True, False]


def test_who_still_waits_when_a_shift_ends_waits_for_the_next() -> None:
    plan = replace(PLAN, hotline=(Shift(0, 10 * MINUTE_MS, 1),), service_ms=1e7)
    book = desk_book(complaints(0, 1, 2), plan, 2 * DAY_MS)
    *answered, last = (one.answered_ms for one in book.tickets)
    assert answered == [0, DAY_MS] and (last is None or last >= DAY_MS)


def test_each_attempt_and_cause_has_luck_of_its_own() -> None:
    desk = SupportDesk(PLAN)
    contacts = [
        Contact(0, cause, customer, trouble, attempt)
        for cause in Cause for customer in (0, 1) for trouble in (0, HOUR_MS) for attempt in (0, 1)
    ]  # fmt: skip
    assert len({desk.luck(contact, lane) for contact in contacts for lane in Lane}) == len(contacts) * len(Lane)


def test_a_second_shift_adds_its_seats() -> None:
    plan = replace(PLAN, hotline=(Shift(0, DAY_MS, 1), Shift(HOUR_MS, 2 * HOUR_MS, 2)), service_ms=1e9)
    book = desk_book(complaints(0, 1, 2, 3), plan, 3 * HOUR_MS)
    assert [one.answered_ms for one in book.tickets] == [0, HOUR_MS, HOUR_MS, None], "the fourth waits still"


def test_who_has_no_patience_gives_up_and_comes_back() -> None:
    plan = replace(PLAN, hotline=(Shift(0, MINUTE_MS, 1),), patience_ms=1.0, comes_back=1.0, back_after_ms=1.0)
    book = desk_book(complaints(5), plan, 5 * MINUTE_MS + 40)
    *over, _ = book.tickets
    assert len(over) > 1 and all(one.gave_up_ms is not None and not one.in_time for one in over)
    assert [one.contact.attempt for one in book.tickets] == list(range(len(book.tickets)))


def test_fifteen_minutes_are_in_time_and_a_moment_more_is_not() -> None:
    plan = replace(PLAN, hotline=(Shift(15 * MINUTE_MS, DAY_MS, 2),), service_ms=1.0)
    assert desk_book(complaints(0, 0), plan, DAY_MS).answered_in_time(0) == 1.0
    late = replace(plan, hotline=(Shift(15 * MINUTE_MS + 1, DAY_MS, 2),))
    assert desk_book(complaints(0, 0), late, DAY_MS).answered_in_time(0) == 0.0


def test_the_bot_closes_its_share_and_repeats_are_not_closed() -> None:
    plan = replace(PLAN, routine={Cause.COMPLAINT: 1.0}, comes_back=1.0, service_ms=1.0)
    book = desk_book(complaints(*range(2_000)), with_seats(plan, 20), 10 * DAY_MS)
    closed = book.closed_by_bot(10 * DAY_MS)
    assert closed == pytest.approx(0.85, abs=0.03)
    assert sum(not one.by_bot for one in book.tickets) == 2_000 - round(closed * 2_000)
    late = replace(plan, back_after_ms=1e12)
    assert desk_book(complaints(*range(200)), late, 10 * DAY_MS).closed_by_bot(10 * DAY_MS) == 1.0, "back after 24 h"
    ripe = list(book.ripe(DAY_MS + 99 * MINUTE_MS))
    assert len(ripe) == 100, "of whom it is known by then"


def test_what_is_asked_decides_what_the_bot_does() -> None:
    rows = ((True, Outcome.RIGHT), (True, Outcome.WRONG), (True, Outcome.PASSED_ON), (False, Outcome.RIGHT))
    asked = tuple(Question("q", "a", "t", routine, outcome) for routine, outcome in rows)
    plan = replace(
        PLAN,
        routine={Cause.COMPLAINT: 1.0},
        bot_helps=1.0,
        service_ms=1.0,
        questions=lambda: Questions({Cause.COMPLAINT: asked}),
    )
    book = desk_book(complaints(*range(2_000)), plan, 10 * DAY_MS)
    first = [one for one in book.tickets if one.contact.attempt == 0]
    again = {one.contact.customer for one in book.tickets if one.contact.attempt == 1}
    assert len(first) == 2_000 and len(again) == pytest.approx(500, abs=60), "whom the bot told something else"
    assert all(one.by_bot and one.routine for one in first if one.contact.customer in again)
    assert sum(one.by_bot for one in first) == pytest.approx(1_000, abs=80), "passed on, or not routine: a person"
    assert sum(one.routine for one in first) == pytest.approx(1_500, abs=80)
    assert book.closed_by_bot(10 * DAY_MS) == pytest.approx(1 / 3, abs=0.03)
    assert all(one.answered_ms is not None for one in book.tickets)


def test_appeals_are_decided_by_truth_and_end_reviews() -> None:
    desk = SupportDesk(replace(PLAN, reviewers=(Shift(0, DAY_MS, 2),), review_ms=1e12))
    contacts = [Contact(n * 20 * MINUTE_MS, Cause.DENIED, n, fraud=n % 2 == 1) for n in range(1_000)]
    desk.take(contacts)
    desk.live(1)
    desk.review(0, 0, 7, False)  # takes somebody for ever; its customer appealed at 0
    decided = desk.live(30 * DAY_MS)
    appeals = desk.book.appeals
    assert len(appeals) == 1_000 and share_of(case.in_time for case in appeals) > 0.99
    for fraud, share in ((False, 0.9), (True, 0.1)):
        assert share_of(case.upheld for case in appeals if case.fraud is fraud) == pytest.approx(share, abs=0.05)
    (review,) = desk.book.reviews
    assert appeals[0].upheld and review.upheld and review.decided_ms == appeals[0].decided_ms
    assert [case for case in decided if case.claim != NONE] == [review], "decided once"


def test_reviews_take_seats_and_lapse_after_a_day() -> None:
    """One reviewer, five minutes each on average, 600 claims at once: about half are decided within 24 h."""
    desk = SupportDesk(replace(PLAN, review_ms=5 * MINUTE_MS))
    for number in range(600):
        desk.review(0, number, 0, number % 2 == 1)
    decided = desk.live(DAY_MS + HOUR_MS)
    desk.review(DAY_MS + HOUR_MS, 600, 0, False)
    (late,) = desk.live(3 * DAY_MS)
    assert late.decided_ms is not None and late.decided_ms < DAY_MS + 2 * HOUR_MS, "nobody works on what is over"
    assert len(decided) == pytest.approx(288, abs=45)
    assert all(case.decided_ms is not None and case.decided_ms < DAY_MS for case in decided)
    for fraud, share in ((False, 0.8), (True, 0.2)):
        assert share_of(case.upheld for case in decided if case.fraud is fraud) == pytest.approx(share, abs=0.1)


@pytest.mark.parametrize("needed", [1, 2, 3, 7, 8, 9, 100])
def test_the_smallest_number_of_seats_is_found(needed: int) -> None:
    assert seats_needed(lambda seats: seats >= needed) == needed
    assert seats_needed(lambda seats: seats >= 5, most=4) is None


def test_seats_for_a_peak_are_the_fewest_that_hold() -> None:
    minutes = [m for m in range(0, 1440, 2) for _ in range(6 if 600 <= m < 720 else 1)]
    contacts = complaints(*minutes)
    seats = seats_for_the_day(contacts, PLAN, 0)
    assert seats is not None
    shares = [desk_book(contacts, with_seats(PLAN, n), 2 * DAY_MS).answered_in_time(0) for n in (seats - 1, seats)]
    assert shares[0] < 0.99 <= shares[1]
    nights_off = replace(PLAN, by_video=1.0)
    assert seats_for_the_day(contacts, nights_off, 0) is None, "nobody answers by video"
