"""Guardrails of a trial: what those who have the new policy do and cost, beside everybody else in the same time."""

from math import sqrt

import numpy as np
from msgspec import Struct, field

from engine.records import EVENT_KINDS, EventKind, Reason

BREAKS_AT, HOLDS_BACK_AT = 4.0, 2.0  # standard errors: looked at after every answer, so far out; once, by a person
NEGATIVE = (EventKind.CLOSE, EventKind.MUTE, EventKind.COMPLAINT)


class Sum(Struct):
    """Of something measured `count` times."""

    count: int = 0
    total: int = 0
    squares: int = 0

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    @property
    def variance_of_mean(self) -> float:
        if self.count == 0:
            return 0.0
        return max(0.0, self.squares / self.count - self.mean**2) / self.count


class Side(Struct):
    """What became of one of the two groups."""

    decisions: int = 0
    shown: int = 0
    clicks: int = 0
    negative: int = 0
    complaints: int = 0
    discounts: Sum = field(default_factory=Sum)  # fen, of orders

    def of(self, measure: str) -> Sum:
        """Of messages shown, or of orders."""
        if measure == "discount_per_order":
            return self.discounts
        found = self.negative if measure == "negative_feedback" else self.complaints
        found = min(found, self.shown)  # a reaction may be to a message from before
        return Sum(self.shown, found, found)


class Counts(Struct):
    """Since a stage began."""

    tried: Side = field(default_factory=Side)
    others: Side = field(default_factory=Side)

    def take(self, decisions: np.ndarray, on_trial: np.ndarray) -> None:
        """DECISION[n], and of whom each is: bool[n]."""
        for side, rows in ((self.tried, decisions[on_trial]), (self.others, decisions[~on_trial])):
            if len(rows):
                kinds = np.bincount(rows["kind"], minlength=EVENT_KINDS)
                side.decisions += len(rows)
                side.shown += int((rows["reason"] == Reason.SHOWN).sum())
                side.clicks += int(kinds[EventKind.CLICK])
                side.negative += int(kinds[list(NEGATIVE)].sum())
                side.complaints += int(kinds[EventKind.COMPLAINT])

    def take_order(self, discount: int, is_on_trial: bool) -> None:
        """discount: fen."""
        sums = (self.tried if is_on_trial else self.others).discounts
        sums.count += 1
        sums.total += discount
        sums.squares += discount * discount


class Guardrails(Struct, forbid_unknown_fields=True, kw_only=True):
    """How much more of something the trial may have than the others, as a ratio; null: it is not looked at."""

    negative_feedback: float | None = 1.25  # closes, mutes and complaints per message shown
    complaints: float | None = 1.5  # per message shown
    discount_per_order: float | None = 1.25

    def exceeded(self, counts: Counts, errors: float) -> list[str]:
        """Sentences of those that the trial exceeds by so many standard errors.

        The difference is mean of the trial − ratio × mean of the others, its variance that of independent means.
        """
        found = []
        for measure, words in WORDS.items():
            most: float | None = getattr(self, measure)
            one, other = counts.tried.of(measure), counts.others.of(measure)
            if most is None or one.count == 0 or other.count == 0:
                continue
            error = sqrt(one.variance_of_mean + most**2 * other.variance_of_mean)
            if one.mean - most * other.mean > errors * error:
                found.append(f"{words} must be at most {most:g} × that of the others "
                             f"(got {figure(measure, one.mean)} against {figure(measure, other.mean)})")  # fmt: skip
        return found


WORDS = {
    "negative_feedback": "closes, mutes and complaints per message",
    "complaints": "complaints per message",
    "discount_per_order": "discount per order",
}


def figure(measure: str, mean: float) -> str:
    return f"¥{mean / 100:.2f}" if measure == "discount_per_order" else f"{mean:.2%}"
