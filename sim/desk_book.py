"""What became of everybody who got in touch with the support desk: tickets of contacts, cases that persons decide."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from engine.records import DAY_MS, MINUTE_MS
from sim.contacts import Cause

FIRST_ANSWER_WITHIN_MS = 15 * MINUTE_MS
REPEAT_WITHIN_MS = DAY_MS  # a contact counts as closed if nobody comes back within so long
DECIDED_WITHIN_MS = DAY_MS


@dataclass(frozen=True)
class Contact:
    """Somebody gets in touch. Customer, cause and trouble_ms say what it is about, also when it is done again."""

    time_ms: int
    cause: Cause
    customer: int
    trouble_ms: int = 0
    attempt: int = 0  # how often the same person has been in touch about it before
    fraud: bool = False  # what the account truly is

    @property
    def about(self) -> tuple[int, int, int]:
        return (self.cause, self.customer, self.trouble_ms)


@dataclass
class Ticket:
    """How one contact went. answered_ms: first answer, by the bot if that answered, else by a person."""

    contact: Contact
    routine: bool
    by_bot: bool = False
    answered_ms: int | None = None
    gave_up_ms: int | None = None

    @property
    def in_time(self) -> bool:
        return self.answered_ms is not None and self.answered_ms - self.contact.time_ms <= FIRST_ANSWER_WITHIN_MS


@dataclass
class Case:
    """An appeal, or a claim under review, in the hands of whoever decides. Upheld: the customer was right."""

    came_ms: int
    customer: int
    claim: int  # under review; NONE: an appeal
    fraud: bool
    decided_ms: int | None = None
    upheld: bool = False

    @property
    def in_time(self) -> bool:
        return self.decided_ms is not None and self.decided_ms - self.came_ms <= DECIDED_WITHIN_MS

    def is_over(self, t: int) -> bool:
        """Whether a review needs nobody any more: somebody has decided, or the Ledger has granted it after 24 h."""
        return self.decided_ms is not None or t >= self.came_ms + DECIDED_WITHIN_MS


@dataclass
class DeskBook:
    """All tickets and cases, in the order in which they began."""

    tickets: list[Ticket] = field(default_factory=list)
    appeals: list[Case] = field(default_factory=list)
    reviews: list[Case] = field(default_factory=list)

    def of_day(self, begins_ms: int) -> list[Ticket]:
        return [ticket for ticket in self.tickets if begins_ms <= ticket.contact.time_ms < begins_ms + DAY_MS]

    def answered_in_time(self, begins_ms: int) -> float:
        """Share of a day's contacts, repeated ones among them, whose first answer came within 15 minutes."""
        return share_of(ticket.in_time for ticket in self.of_day(begins_ms))

    def peak_day(self, day_ms: int) -> int:
        """Midnight of the day with most contacts, the first of several. day_ms: midnight of some day."""
        days = [(ticket.contact.time_ms - day_ms) // DAY_MS for ticket in self.tickets]
        assert days, "nobody got in touch"
        counts = dict.fromkeys(sorted(set(days)), 0)
        for day in days:
            counts[day] += 1
        return day_ms + max(counts, key=lambda day: counts[day]) * DAY_MS

    def ripe(self, end_ms: int) -> Iterator[tuple[Ticket, bool]]:
        """Routine contacts, each person once, of whom it is known at the end whether the bot closed them: it answered,
        and they did not come back within 24 h."""
        back = {ticket.contact.about: ticket.contact.time_ms for ticket in self.tickets if ticket.contact.attempt == 1}
        for ticket in self.tickets:
            contact = ticket.contact
            if contact.attempt == 0 and ticket.routine and contact.time_ms + REPEAT_WITHIN_MS <= end_ms:
                again = back.get(contact.about, end_ms + REPEAT_WITHIN_MS)
                yield ticket, ticket.by_bot and again - contact.time_ms >= REPEAT_WITHIN_MS

    def closed_by_bot(self, end_ms: int) -> float:
        return share_of(closed for _, closed in self.ripe(end_ms))


def share_of(holds: Iterable[bool]) -> float:
    """1 where there is none."""
    all_of_them = list(holds)
    return sum(all_of_them) / len(all_of_them) if all_of_them else 1.0
