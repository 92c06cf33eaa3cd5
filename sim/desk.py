"""The support desk: a bot, then hotline and video seats with shifts; who waits, who gives up, who comes back.

Contacts come from what a run counted (complaints, declined payments, refused claims, denials) at stated rates. Nothing
here reaches the engine: what the desk decides on appeals leaves as `Decided`, for whoever asks the Ledger.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
import simpy

from engine.compiled import entry
from engine.records import DAY_MS, HOUR_MS, MINUTE_MS
from sim.streams import Draw, exponential, uniforms

draw = entry(uniforms)
FIRST_ANSWER_WITHIN_MS = 15 * MINUTE_MS
REPEAT_WITHIN_MS = DAY_MS  # a contact counts as closed if nobody comes back within so long
APPEAL_WITHIN_MS = DAY_MS
DESK = 1 << 59  # above all customers and below the stock room: the desk's own place among the keys of chance
CONTACTS_MAX = 1 << 32  # of one cause
SEATS_MAX = 10_000


class Cause(IntEnum):
    """Why somebody gets in touch."""

    COMPLAINT = 0
    PAYMENT_FAILED = 1
    CLAIM_REFUSED = 2
    DENIED = 3  # an appeal: a person decides it


class Lane(IntEnum):
    """What the opportunities of a contact's draws are about."""

    BEGINS = 0  # routine, closed by the bot, by video, comes back after the bot
    PERSON = 1  # how long it takes, patience, comes back after giving up, how much later
    APPEAL = 2  # how long it takes, upheld


@dataclass(frozen=True)
class Contact:
    time_ms: int
    cause: Cause
    number: int  # among the contacts of its cause
    attempt: int = 0  # how often the same person has been in touch about it before


@dataclass(frozen=True)
class Shift:
    """So many seats in [from_ms, until_ms) of every day."""

    from_ms: int
    until_ms: int
    seats: int


@dataclass(frozen=True)
class DeskPlan:
    """What a desk is like. Shares as floats, times in ms; `day_ms`: midnight of some day."""

    hotline: tuple[Shift, ...]
    video: tuple[Shift, ...]
    day_ms: int
    routine: Mapping[Cause, float]  # share of contacts that the bot's base covers
    bot_closes: float  # of routine contacts, without a second contact within 24 h
    bot_answer_ms: int
    by_video: float  # of those who want a person
    service_ms: float  # mean
    appeal_ms: float  # mean work on one appeal
    upheld: float  # share of appeals
    patience_ms: float  # mean, until whoever waits gives up
    comes_back: float  # of those who gave up, or whom the bot did not help after all
    back_after_ms: float  # mean
    stream: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Served:
    """How one contact ended. answered_ms: first answer, by the bot if it closed the contact, else by a person."""

    contact: Contact
    answered_ms: int | None  # None: gave up
    by_bot: bool
    routine: bool

    @property
    def in_time(self) -> bool:
        return self.answered_ms is not None and self.answered_ms - self.contact.time_ms <= FIRST_ANSWER_WITHIN_MS


@dataclass(frozen=True)
class Decided:
    """An appeal that a person has decided. Upheld: the customer was right. To the Ledger that is a REVIEWED request
    while the claim is under review, else a LISTED one."""

    contact: Contact
    decided_ms: int
    upheld: bool


@dataclass
class DeskBook:
    """What became of everybody."""

    served: list[Served] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)

    def of_day(self, begins_ms: int) -> list[Served]:
        return [one for one in self.served if begins_ms <= one.contact.time_ms < begins_ms + DAY_MS]

    def answered_in_time(self, begins_ms: int) -> float:
        """Share of a day's contacts, repeated ones among them, whose first answer came within 15 minutes."""
        day = self.of_day(begins_ms)
        return sum(one.in_time for one in day) / len(day) if day else 1.0

    def closed_by_bot(self) -> float:
        """Share of routine contacts, each person once, that the bot closed and that did not come back within 24 h."""
        back = {
            (one.contact.cause, one.contact.number): one.contact.time_ms
            for one in self.served
            if one.contact.attempt == 1
        }
        first = [one for one in self.served if one.contact.attempt == 0 and one.routine]
        closed = [
            one for one in first
            if one.by_bot
            and back.get((one.contact.cause, one.contact.number), one.contact.time_ms + 2 * REPEAT_WITHIN_MS)
            - one.contact.time_ms >= REPEAT_WITHIN_MS
        ]  # fmt: skip
        return len(closed) / len(first) if first else 1.0

    def appeals_in_time(self) -> float:
        """Share of appeals that were decided within 24 h of the contact."""
        quick = [one for one in self.decided if one.decided_ms - one.contact.time_ms <= APPEAL_WITHIN_MS]
        return len(quick) / len(self.decided) if self.decided else 1.0

    def peak_day(self, day_ms: int) -> int:
        """Midnight of the day with most contacts. day_ms: midnight of some day."""
        days = [(one.contact.time_ms - day_ms) // DAY_MS for one in self.served]
        assert days, "nobody got in touch"
        return day_ms + max(sorted(set(days)), key=days.count) * DAY_MS


# --- who gets in touch ------------------------------------------------------------------------------------------------
def contacts_of(
    counts: Mapping[Cause, Sequence[tuple[int, int]]], rates: Mapping[Cause, float], stream: tuple[int, int]
) -> list[Contact]:
    """Contacts in order of time, from (minute's beginning in ms, how many) of each cause: each gets in touch at its
    cause's rate, within the hour after, the sooner the likelier."""
    found = []
    for cause, rows in counts.items():
        number = 0
        for begins, count in rows:
            for _ in range(count):
                kept, late, within, _ = chance(stream, cause, number, 0, Lane.APPEAL + 1)
                if kept < rates.get(cause, 0.0):
                    after = int(within * MINUTE_MS) + int(late * late * HOUR_MS)
                    found.append(Contact(begins + after, cause, number))
                number += 1
        assert number < CONTACTS_MAX
    return sorted(found, key=lambda contact: (contact.time_ms, contact.cause, contact.number))


def chance(stream: tuple[int, int], cause: int, number: int, attempt: int, lane: int) -> tuple[float, ...]:
    """Four uniforms of one contact: nothing is drawn in sequence, so that a seat more does not shift anybody's luck."""
    key = (attempt << 2) | lane
    place = DESK + (int(cause) << 32) + number
    return tuple(float(u) for u in draw(np.array(stream, np.int64), place, int(Draw.CONTACT), key))


# --- the desk ---------------------------------------------------------------------------------------------------------
class Seats:
    """Seats of one kind; who is off shift keeps their seat from being taken."""

    def __init__(self, env: simpy.Environment, shifts: Sequence[Shift], day_ms: int) -> None:
        self.env, self.shifts, self.day_ms = env, shifts, day_ms
        edges = {0, *(edge for shift in shifts for edge in (shift.from_ms, shift.until_ms) if edge < DAY_MS)}
        self.edges = sorted(edges)
        self.most = max((self.open_at(edge) for edge in self.edges), default=0)
        self.resource = simpy.PriorityResource(env, capacity=max(1, self.most))
        for seat in range(max(1, self.most)):
            env.process(self._off_shift(seat))

    def open_at(self, of_day: int) -> int:
        return sum(shift.seats for shift in self.shifts if shift.from_ms <= of_day < shift.until_ms)

    def next_edge(self, now: int) -> int:
        of_day = (now - self.day_ms) % DAY_MS
        return now - of_day + next((edge for edge in self.edges if edge > of_day), DAY_MS)

    def _off_shift(self, seat: int) -> Generator[simpy.Event, None, None]:
        """Whoever is serving finishes first; then the seat is left until its next shift."""
        while True:
            now = int(self.env.now)
            if self.open_at((now - self.day_ms) % DAY_MS) > seat:
                yield self.env.timeout(self.next_edge(now) - now)
                continue
            with self.resource.request(priority=-1) as leave:
                yield leave
                while self.open_at((int(self.env.now) - self.day_ms) % DAY_MS) <= seat:
                    yield self.env.timeout(self.next_edge(int(self.env.now)) - int(self.env.now))


class SupportDesk:
    """Contacts in, a book of what became of them out."""

    def __init__(self, env: simpy.Environment, plan: DeskPlan) -> None:
        self.env, self.plan, self.book = env, plan, DeskBook()
        self.hotline = Seats(env, plan.hotline, plan.day_ms)
        self.video = Seats(env, plan.video, plan.day_ms)

    def arrivals(self, contacts: Sequence[Contact]) -> Generator[simpy.Event, None, None]:
        for contact in contacts:
            yield self.env.timeout(max(0, contact.time_ms - int(self.env.now)))
            self.env.process(self.serve(contact))

    def luck(self, contact: Contact, lane: Lane) -> tuple[float, ...]:
        return chance(self.plan.stream, contact.cause, contact.number, contact.attempt, lane)

    def serve(self, contact: Contact) -> Generator[simpy.Event, None, None]:
        """The bot first; whoever it does not help waits for a person, once patience lasts."""
        plan = self.plan
        u_routine, u_bot, u_video, u_back = self.luck(contact, Lane.BEGINS)
        routine = u_routine < plan.routine.get(contact.cause, 0.0)
        if routine and contact.attempt == 0:
            yield self.env.timeout(plan.bot_answer_ms)
            self.book.served.append(Served(contact, int(self.env.now), True, routine))
            if u_bot >= plan.bot_closes:
                yield from self.come_back(contact, u_back)
            return
        yield from self.wait_for_person(contact, self.video if u_video < plan.by_video else self.hotline, routine)

    def wait_for_person(self, contact: Contact, seats: Seats, routine: bool) -> Generator[simpy.Event, None, None]:
        u_service, u_patience, u_back, _ = self.luck(contact, Lane.PERSON)
        patience = self.env.timeout(int(exponential(u_patience) * self.plan.patience_ms))
        with seats.resource.request(priority=0) as seat:
            yield seat | patience
            if not seat.triggered:
                self.book.served.append(Served(contact, None, False, routine))
            else:
                self.book.served.append(Served(contact, int(self.env.now), False, routine))
                yield self.env.timeout(int(exponential(u_service) * self.plan.service_ms))
        if not seat.triggered:
            yield from self.come_back(contact, u_back)
        elif contact.cause == Cause.DENIED:
            yield from self.decide(contact)

    def decide(self, contact: Contact) -> Generator[simpy.Event, None, None]:
        """An appeal is decided at the desk of whoever took it, before new contacts."""
        u_work, u_upheld, _, _ = self.luck(contact, Lane.APPEAL)
        with self.hotline.resource.request(priority=-1) as seat:
            yield seat
            yield self.env.timeout(int(exponential(u_work) * self.plan.appeal_ms))
        self.book.decided.append(Decided(contact, int(self.env.now), u_upheld < self.plan.upheld))

    def come_back(self, contact: Contact, u: float) -> Generator[simpy.Event, None, None]:
        """Some get in touch again, about the same thing."""
        if u >= self.plan.comes_back:
            return
        yield self.env.timeout(1 + int(exponential(u / self.plan.comes_back) * self.plan.back_after_ms))
        again = replace(contact, time_ms=int(self.env.now), attempt=contact.attempt + 1)
        self.env.process(self.serve(again))


def desk_book(contacts: Sequence[Contact], plan: DeskPlan, until_ms: int) -> DeskBook:
    """Serve contacts, ascending in time, until a time; whoever still waits then is in no book."""
    begins = contacts[0].time_ms if contacts else plan.day_ms
    env = simpy.Environment(initial_time=begins)
    desk = SupportDesk(env, plan)
    env.process(desk.arrivals(contacts))
    env.run(until=until_ms)
    return desk.book


# --- how many seats ---------------------------------------------------------------------------------------------------
def with_seats(plan: DeskPlan, seats: int) -> DeskPlan:
    """The plan with so many hotline seats in every shift."""
    return replace(plan, hotline=tuple(replace(shift, seats=seats) for shift in plan.hotline))


def seats_needed(holds: Callable[[int], bool], most: int = SEATS_MAX) -> int:
    """The smallest number of seats from which `holds`; raises OverflowError where `most` do not do.

    Bisection, for one seat more serves nobody later.
    """
    high = 1
    while not holds(high):
        if high >= most:
            raise OverflowError(f"seats must be at most {most} (that many are not enough)")
        high = min(2 * high, most)
    low = high // 2  # does not hold, or is 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def seats_for_the_peak(contacts: Sequence[Contact], plan: DeskPlan, until_ms: int, share: float = 0.99) -> int:
    """Hotline seats a shift with which so many of the first answers of the busiest day come within 15 minutes."""

    def holds(seats: int) -> bool:
        book = desk_book(contacts, with_seats(plan, seats), until_ms)
        return book.answered_in_time(book.peak_day(plan.day_ms)) >= share

    return seats_needed(holds)
