"""What became of everybody who got in touch with the support desk, as the columns of a run's tables."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from engine.records import HOUR_MS, NEVER_MS
from scenarios.help_desk import HelpDesk
from scenarios.outputs import Columns, append, empty
from scenarios.worker import RunPlan
from sim.contacts import Cause
from sim.desk import Shift, seats_for_the_day
from sim.desk_book import Case, DeskBook, Ticket

IN_TIME = 0.99  # of the peak day's first answers, for which seats are counted
COUNTS = ("came", "first", "in_time", "by_bot", "routine", "closed", "gave_up", "came_back", "waiting")
CASES = ("came", "due", "in_time", "upheld")


def desk_tables(plan: RunPlan, desk: HelpDesk | None) -> dict[str, Columns]:
    """Nothing where the population has no support desk."""
    if desk is None:
        return {}
    return {
        "contacts": contacts(plan, desk.book),
        "appeals": appeals(plan, desk.book),
        "desk": the_desk(plan, desk),
    }


# --- contacts by hour -------------------------------------------------------------------------------------------------
def contacts(plan: RunPlan, book: DeskBook) -> Columns:
    """Each hour since launch in which somebody came or waited, by cause. waiting: at its end; routine: of those who
    came in it, routine ones of whom it is known whether the bot closed them."""
    columns = empty(["time_ms", "day", "hour", "cause", *COUNTS])
    ripe = [(ticket, closed) for ticket, closed in book.ripe(plan.spans.end)]
    for cause in Cause:
        tickets = [ticket for ticket in book.tickets if ticket.contact.cause == cause]
        counted = counts_by_hour(plan, tickets, [one for one in ripe if one[0].contact.cause == cause])
        for hour in np.flatnonzero(counted.any(axis=1)).tolist():
            begins = plan.spans.launch + hour * HOUR_MS
            counts = dict(zip(COUNTS, counted[hour].tolist(), strict=True))
            day, hour_of_day = wall_clock(plan, begins)
            append(columns, time_ms=begins, day=day, hour=hour_of_day, cause=cause.name.lower(), **counts)
    return columns


def counts_by_hour(plan: RunPlan, tickets: Sequence[Ticket], ripe: Sequence[tuple[Ticket, bool]]) -> np.ndarray:
    """i8[hours, len(COUNTS)]"""
    spans = plan.spans
    counted = np.zeros((-(-(spans.end - spans.launch) // HOUR_MS), len(COUNTS)), np.int64)

    def add(what: str, those: Sequence[Ticket]) -> None:
        hours = [(ticket.contact.time_ms - spans.launch) // HOUR_MS for ticket in those]
        counted[:, COUNTS.index(what)] = np.bincount(hours, minlength=len(counted)) if hours else 0

    add("came", tickets)
    add("first", [ticket for ticket in tickets if ticket.contact.attempt == 0])
    add("in_time", [ticket for ticket in tickets if ticket.in_time])
    add("by_bot", [ticket for ticket in tickets if ticket.by_bot])
    add("gave_up", [ticket for ticket in tickets if ticket.gave_up_ms is not None])
    add("came_back", [ticket for ticket in tickets if ticket.contact.attempt > 0])
    add("routine", [ticket for ticket, _ in ripe])
    add("closed", [ticket for ticket, closed in ripe if closed])
    counted[:, COUNTS.index("waiting")] = waiting(plan, tickets, len(counted))
    return counted


def waiting(plan: RunPlan, tickets: Sequence[Ticket], hours: int) -> np.ndarray:
    """How many wait at the end of each hour: came before it, and ended at it or later. i8[hours]"""
    ends = plan.spans.launch + np.arange(1, hours + 1) * HOUR_MS
    came = np.sort(np.array([ticket.contact.time_ms for ticket in tickets], np.int64))
    ended = np.sort(np.array([ended_ms(ticket) for ticket in tickets], np.int64))
    found: np.ndarray = np.searchsorted(came, ends) - np.searchsorted(ended, ends)
    return found


def ended_ms(ticket: Ticket) -> int:
    """When whoever waited was answered, or gave up."""
    ended = ticket.answered_ms if ticket.gave_up_ms is None else ticket.gave_up_ms
    return NEVER_MS if ended is None else ended


def wall_clock(plan: RunPlan, t: int) -> tuple[str, str]:
    """Day and hour, as 2026-11-11 and 20."""
    there = datetime.fromtimestamp(t // 1000, ZoneInfo(plan.policy.policy.time_zone))
    return f"{there:%Y-%m-%d}", f"{there:%H}"


# --- appeals and reviews ----------------------------------------------------------------------------------------------
def appeals(plan: RunPlan, book: DeskBook) -> Columns:
    """Appeals and claims under review by what accounts truly are. due: decided, or so old that they should be; upheld:
    by a person."""
    columns = empty(["what", "truth", *CASES])
    for what, cases in (("appeal", book.appeals), ("review", book.reviews)):
        for truth, fraud in (("good", False), ("fraud", True)):
            those = [case for case in cases if case.fraud is fraud]
            append(columns, what=what, truth=truth, **case_counts(those, plan.spans.end))
    return columns


def case_counts(cases: Sequence[Case], end_ms: int) -> dict[str, int]:
    return {
        "came": len(cases),
        "due": sum(case.is_over(end_ms) for case in cases),
        "in_time": sum(case.in_time for case in cases),
        "upheld": sum(case.upheld for case in cases),
    }


# --- seats ------------------------------------------------------------------------------------------------------------
def the_desk(plan: RunPlan, desk: HelpDesk) -> Columns:
    """One row: the peak day, the seats there are at most, and the hotline seats that it would take; none without
    contacts."""
    columns = empty(["peak_ms", "peak_day", "hotline_seats", "video_seats", "reviewers", "seats_needed"])
    if desk.book.tickets:
        peak = desk.book.peak_day(plan.spans.launch)
        append(
            columns, peak_ms=peak, peak_day=wall_clock(plan, peak)[0], hotline_seats=seats_at_most(desk.plan.hotline),
            video_seats=seats_at_most(desk.plan.video), reviewers=seats_at_most(desk.plan.reviewers),
            seats_needed=seats_for_the_day(desk.contacts, desk.plan, peak, IN_TIME),
        )  # fmt: skip
    return columns


def seats_at_most(shifts: Sequence[Shift]) -> int:
    """Seats of shifts that overlap are there together."""
    edges = [shift.from_ms for shift in shifts]
    return max((sum(s.seats for s in shifts if s.from_ms <= edge < s.until_ms) for edge in edges), default=0)
