"""The support desk of a population as people write it: who gets in touch, who answers, and who decides appeals."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from engine.policy.checks import Checks
from engine.policy.quantities import Block, ClockTime, Count, Duration, Problem, Share
from engine.records import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

SEATS_MAX, SHIFTS_MAX = 1_000, 24
Work = Annotated[Duration, Field(ge=SECOND_MS, le=8 * HOUR_MS)]  # means


class ShiftBlock(Block):
    """Seats in [from, until) of every day; past midnight where until is not later, the whole day where they are one."""

    from_: Annotated[ClockTime, Field(alias="from")] = 0
    until: ClockTime = 0
    seats: Annotated[Count, Field(ge=1, le=SEATS_MAX)]


Shifts = Annotated[list[ShiftBlock], Field(min_length=1, max_length=SHIFTS_MAX)]


class CausesOfContacts(Block):
    """Of those to whom it happens, how many get in touch."""

    complaint: Share = 600_000
    payment_failed: Share = 100_000
    claim_refused: Share = 20_000


class Questions(Block):
    """Of contacts of a cause, how many ask the bot something; the others want a person, and appeals always do."""

    complaint: Share = 300_000
    payment_failed: Share = 800_000
    claim_refused: Share = 900_000
    incident: Share = 500_000


class Bot(Block):
    """base: `library` draws what is asked from the held-out questions of the library's answers; without one, every
    question is routine and answered rightly. helps: of those answered rightly, how many need nobody else."""

    base: Literal["library"] | None = None
    asked: Questions = Questions()
    helps: Share = 880_000
    answers_after: Annotated[Duration, Field(ge=SECOND_MS, le=HOUR_MS)] = 5 * SECOND_MS


class Hotline(Block):
    shifts: Shifts
    takes: Work = 5 * MINUTE_MS


class Video(Block):
    """share: of those who want a person."""

    share: Share
    shifts: Shifts
    takes: Work = 8 * MINUTE_MS


class ComesBack(Block):
    """share: of those who gave up, or whom the bot did not help; after: mean."""

    share: Share = 600_000
    after: Annotated[Duration, Field(ge=SECOND_MS, le=7 * DAY_MS)] = 2 * HOUR_MS


class Upheld(Block):
    """Share of appeals by what an account truly is."""

    honest: Share = 900_000
    fraud: Share = 100_000


class Granted(Block):
    """Share of claims under review, likewise."""

    honest: Share = 950_000
    fraud: Share = 200_000


class Reviewers(Block):
    """Who decides appeals and claims under review. upheld: of appeals; granted: of claims; allows: how long whoever was
    right is left alone by fraud rules."""

    shifts: Shifts
    appeal_takes: Work = 15 * MINUTE_MS
    claim_takes: Work = 4 * MINUTE_MS
    upheld: Upheld = Upheld()
    granted: Granted = Granted()
    allows: Annotated[Duration, Field(ge=HOUR_MS, le=3650 * DAY_MS)] = 30 * DAY_MS


class Support(Block):
    contacts: CausesOfContacts = CausesOfContacts()
    bot: Bot = Bot()
    hotline: Hotline
    video: Video | None = None
    patience: Annotated[Duration, Field(ge=SECOND_MS, le=DAY_MS)] = 12 * MINUTE_MS  # mean
    comes_back: ComesBack = ComesBack()
    reviewers: Reviewers

    def cross_checks(self) -> Checks:
        yield self.not_too_many_seats

    def not_too_many_seats(self) -> Iterator[Problem]:
        """Shifts of one kind may overlap."""
        groups = {"hotline": self.hotline.shifts, "reviewers": self.reviewers.shifts}
        if self.video is not None:
            groups["video"] = self.video.shifts
        for name, shifts in groups.items():
            total = sum(shift.seats for shift in shifts)
            if total > SEATS_MAX:
                yield (name, "shifts"), f"must have at most {SEATS_MAX} seats together (got {total})"
