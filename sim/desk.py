"""The support desk in SimPy: a bot, then hotline and video seats with shifts; reviewers decide appeals and reviews.

It lives beside the world, from settlement to settlement: contacts and claims under review come in, what persons decide
goes out, for whoever asks the Ledger.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import simpy

from engine.compiled import entry
from engine.records import DAY_MS, NONE, SECOND_MS
from sim.answers import Outcome, Questions
from sim.contacts import CAUSES, Cause
from sim.desk_book import Case, Contact, DeskBook, Ticket
from sim.streams import Draw, exponential, uniforms

draw = entry(uniforms)
ATTEMPTS = 64  # of one contact that have luck of their own
CLAIMS = 1 << 16
BEFORE_OTHERS = -1  # who goes off shift comes before who waits
NO_QUESTION = (False, Outcome.PASSED_ON)
Steps = Generator[simpy.Event, None, None]


class Lane(IntEnum):
    """What the opportunities of a contact's draws are about."""

    BEGINS = 0  # asks the bot, is helped by it, by video, comes back after the bot
    PERSON = 1  # how long it takes, patience, comes back after giving up, -
    APPEAL = 2  # how long it takes, upheld
    QUESTION = 3  # which one


@dataclass(frozen=True)
class Shift:
    """So many seats in [from_ms, until_ms) of every day."""

    from_ms: int
    until_ms: int
    seats: int


@dataclass(frozen=True)
class ByTruth:
    """A share, by what an account truly is."""

    honest: float
    fraud: float

    def of(self, fraud: bool) -> float:
        return self.fraud if fraud else self.honest


@dataclass(frozen=True)
class DeskPlan:
    """What a desk is like. Shares as floats, times in ms; `day_ms`: midnight of the day on which it opens."""

    hotline: tuple[Shift, ...]
    video: tuple[Shift, ...]
    reviewers: tuple[Shift, ...]
    day_ms: int
    routine: Mapping[Cause, float]  # share of contacts that ask the bot something; the others want a person
    bot_helps: float  # of routine questions that the bot answers rightly
    bot_answer_ms: int
    by_video: float  # of those who want a person
    service_ms: float  # means
    video_ms: float
    patience_ms: float  # until whoever waits gives up
    comes_back: float  # of those who gave up, or whom the bot did not help
    back_after_ms: float
    appeal_ms: float  # a reviewer's work on one appeal …
    review_ms: float  # … and on one claim under review
    upheld: ByTruth  # of appeals
    granted: ByTruth  # of claims under review
    # What is asked, read when the first asks; without, every question is routine and answered rightly.
    questions: Callable[[], Questions] | None = None
    stream: tuple[int, int] = (0, 0)


# --- seats ------------------------------------------------------------------------------------------------------------
class Seats:
    """Seats of one kind; who is off shift keeps their seat from being taken."""

    def __init__(self, env: simpy.Environment, shifts: Sequence[Shift], day_ms: int) -> None:
        self.env, self.shifts, self.day_ms = env, shifts, day_ms
        edges = {0, *(edge for shift in shifts for edge in (shift.from_ms, shift.until_ms) if edge < DAY_MS)}
        self.edges = sorted(edges)
        self.most = max((self.open_at(edge) for edge in self.edges), default=0)
        self.resource = simpy.PriorityResource(env, capacity=max(1, self.most))
        least = min(self.open_at(edge) for edge in self.edges)
        for seat in range(least, max(1, self.most)):
            env.process(self._off_shift(seat))

    def open_at(self, of_day: int) -> int:
        return sum(shift.seats for shift in self.shifts if shift.from_ms <= of_day < shift.until_ms)

    def next_edge(self, now: int) -> int:
        of_day = (now - self.day_ms) % DAY_MS
        return now - of_day + next((edge for edge in self.edges if edge > of_day), DAY_MS)

    def _off_shift(self, seat: int) -> Steps:
        """Whoever is serving finishes first; then the seat is left until its next shift."""
        while True:
            now = int(self.env.now)
            if self.open_at((now - self.day_ms) % DAY_MS) > seat:
                yield self.env.timeout(self.next_edge(now) - now)
                continue
            with self.resource.request(priority=BEFORE_OTHERS) as leave:
                yield leave
                while self.open_at((int(self.env.now) - self.day_ms) % DAY_MS) <= seat:
                    yield self.env.timeout(self.next_edge(int(self.env.now)) - int(self.env.now))


# --- the desk ---------------------------------------------------------------------------------------------------------
class SupportDesk:
    """Contacts and reviews in; a book of what became of them, and decisions, out."""

    def __init__(self, plan: DeskPlan) -> None:
        self.plan, self.book = plan, DeskBook()
        self.env = simpy.Environment(initial_time=plan.day_ms)
        self.hotline = Seats(self.env, plan.hotline, plan.day_ms)
        self.video = Seats(self.env, plan.video, plan.day_ms)
        self.reviewers = Seats(self.env, plan.reviewers, plan.day_ms)
        self.under_review: dict[int, list[Case]] = {}  # by customer
        self._decided: list[Case] = []

    def take(self, contacts: Iterable[Contact]) -> None:
        """They get in touch at their times, which have not passed."""
        for contact in contacts:
            self.env.process(self._begin(contact))

    def review(self, came_ms: int, customer: int, claim: int, fraud: bool) -> None:
        """A claim is under review from now on. came_ms: since when at the earliest."""
        case = Case(came_ms, customer, claim, fraud)
        self.book.reviews.append(case)
        self.under_review.setdefault(customer, []).append(case)
        self.env.process(self._decide_review(case))

    def live(self, until_ms: int) -> list[Case]:
        """Serve until a time, which is not in it. Returns what was decided meanwhile, in order."""
        if until_ms > self.env.now:
            self.env.run(until_ms)
        decided, self._decided = self._decided, []
        return decided

    # --- contacts -----------------------------------------------------------------------------------------------------
    def luck(self, contact: Contact, lane: Lane) -> tuple[float, ...]:
        """Four uniforms of one contact: nothing is drawn in sequence, so that a seat more does not shift anybody's."""
        trouble = contact.trouble_ms // SECOND_MS * CAUSES + contact.cause
        key = (trouble * ATTEMPTS + min(contact.attempt, ATTEMPTS - 1)) * len(Lane) + lane
        return self._draw(contact.customer, Draw.DESK, key)

    def _draw(self, customer: int, what: Draw, key: int) -> tuple[float, ...]:
        return tuple(float(u) for u in draw(np.array(self.plan.stream, np.int64), customer, int(what), key))

    def _begin(self, contact: Contact) -> Steps:
        yield self.env.timeout(max(0, contact.time_ms - int(self.env.now)))
        yield self.env.timeout(0)  # whoever goes off shift at that instant has gone
        yield from self._serve(contact)

    def _serve(self, contact: Contact) -> Steps:
        """The bot first; whoever it does not help waits for a person, once patience lasts."""
        plan = self.plan
        u_asks, u_bot, u_video, u_back = self.luck(contact, Lane.BEGINS)
        routine, outcome = self._question(contact) if u_asks < plan.routine.get(contact.cause, 0.0) else NO_QUESTION
        ticket = Ticket(contact, routine)
        self.book.tickets.append(ticket)
        if routine and outcome != Outcome.PASSED_ON and contact.attempt == 0:
            yield self.env.timeout(plan.bot_answer_ms)
            ticket.answered_ms, ticket.by_bot = int(self.env.now), True
            if outcome == Outcome.WRONG:
                yield from self._again(contact, u_back)
            elif u_bot >= plan.bot_helps:
                yield from self._come_back(contact, u_back)
            return
        by_video = u_video < plan.by_video
        yield from self._wait_for_person(ticket, self.video if by_video else self.hotline, by_video)

    def _question(self, contact: Contact) -> tuple[bool, Outcome]:
        """Whether what is asked needs no person, and what the bot makes of it."""
        if self.plan.questions is None:
            return True, Outcome.RIGHT
        question = self.plan.questions().drawn(contact.cause, self.luck(contact, Lane.QUESTION)[0])
        return question.routine, question.outcome

    def _wait_for_person(self, ticket: Ticket, seats: Seats, by_video: bool) -> Steps:
        contact, plan = ticket.contact, self.plan
        u_service, u_patience, u_back, _ = self.luck(contact, Lane.PERSON)
        patience = self.env.timeout(int(exponential(u_patience) * plan.patience_ms))
        with seats.resource.request() as seat:
            yield seat | patience
            if seat.triggered:
                ticket.answered_ms = int(self.env.now)
                yield self.env.timeout(int(exponential(u_service) * (plan.video_ms if by_video else plan.service_ms)))
            else:
                ticket.gave_up_ms = int(self.env.now)
        if ticket.answered_ms is None:
            yield from self._come_back(contact, u_back)
        elif contact.cause == Cause.DENIED:
            yield from self._decide_appeal(contact)

    def _come_back(self, contact: Contact, u: float) -> Steps:
        """Some get in touch again, about the same thing."""
        if u < self.plan.comes_back:
            yield from self._again(contact, u / self.plan.comes_back)

    def _again(self, contact: Contact, u: float) -> Steps:
        yield self.env.timeout(1 + int(exponential(u) * self.plan.back_after_ms))
        yield from self._serve(replace(contact, time_ms=int(self.env.now), attempt=contact.attempt + 1))

    # --- decisions ----------------------------------------------------------------------------------------------------
    def _decide_appeal(self, contact: Contact) -> Steps:
        """Whoever took the call hands the appeal on. One that is upheld ends the customer's reviews too."""
        u_work, u_upheld, _, _ = self.luck(contact, Lane.APPEAL)
        case = Case(int(self.env.now), contact.customer, NONE, contact.fraud)
        self.book.appeals.append(case)
        with self.reviewers.resource.request() as seat:
            yield seat
            yield self.env.timeout(int(exponential(u_work) * self.plan.appeal_ms))
        self._close(case, u_upheld < self.plan.upheld.of(case.fraud))
        if case.upheld:
            for review in list(self.under_review.get(case.customer, ())):
                if not review.is_over(int(self.env.now)):
                    self._close(review, True)

    def _decide_review(self, case: Case) -> Steps:
        key = case.came_ms // SECOND_MS * CLAIMS + case.claim % CLAIMS
        u_work, u_granted, _, _ = self._draw(case.customer, Draw.REVIEW, key)
        with self.reviewers.resource.request() as seat:
            yield seat
            if case.is_over(int(self.env.now)):
                return
            yield self.env.timeout(int(exponential(u_work) * self.plan.review_ms))
        if not case.is_over(int(self.env.now)):
            self._close(case, u_granted < self.plan.granted.of(case.fraud))

    def _close(self, case: Case, upheld: bool) -> None:
        case.decided_ms, case.upheld = int(self.env.now), upheld
        if case.claim != NONE:
            self.under_review[case.customer].remove(case)
        self._decided.append(case)


def desk_book(contacts: Sequence[Contact], plan: DeskPlan, until_ms: int) -> DeskBook:
    """Serve contacts until a time by a desk of their own."""
    desk = SupportDesk(plan)
    desk.take(contacts)
    desk.live(until_ms)
    return desk.book


# --- how many seats ---------------------------------------------------------------------------------------------------
SEATS_MAX = 10_000


def with_seats(plan: DeskPlan, seats: int) -> DeskPlan:
    """The plan with so many hotline seats, day and night."""
    return replace(plan, hotline=(Shift(0, DAY_MS, seats),))


def seats_needed(holds: Callable[[int], bool], most: int = SEATS_MAX) -> int | None:
    """The smallest number of seats from which `holds`, by bisection: one seat more serves nobody later. None where
    `most` do not do."""
    high = 1
    while not holds(high):
        if high >= most:
            return None
        high = min(2 * high, most)
    low = high // 2  # does not hold, or is 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def seats_for_the_day(
    contacts: Sequence[Contact], plan: DeskPlan, day_ms: int, share: float = 0.99, most: int = SEATS_MAX
) -> int | None:
    """Hotline seats, day and night, with which so many of the first answers of a day (its midnight) come within 15
    minutes. Who got in touch the day before is served too."""
    since, until = day_ms - DAY_MS, day_ms + DAY_MS
    near = [contact for contact in contacts if since <= contact.time_ms < until]
    opened = replace(plan, day_ms=max(since, plan.day_ms))

    def holds(seats: int) -> bool:
        return desk_book(near, with_seats(opened, seats), until + DAY_MS // 24).answered_in_time(day_ms) >= share

    return seats_needed(holds, min(most, max(1, len(near))))
