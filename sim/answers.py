"""Questions put to the support bot, and what the bot made of each: looked up by the desk, sorted beforehand.

Which answer a question gets is known before the desk opens, so no model runs while it serves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class Outcome(IntEnum):
    """What the bot did with a question."""

    RIGHT = 0  # gave the answer that the question is about
    WRONG = 1  # gave another one
    PASSED_ON = 2  # was not sure enough: "I pass you on to a person"


@dataclass(frozen=True)
class Question:
    """One phrasing that the bot has not learnt. answer: the one it is about; routine: no person is needed."""

    text: str
    answer: str
    topic: str
    routine: bool
    outcome: Outcome

    @property
    def closed(self) -> bool:
        """The bot alone can have helped: a routine question, answered rightly."""
        return self.routine and self.outcome == Outcome.RIGHT


@dataclass(frozen=True)
class Questions:
    """What people ask who get in touch for a cause (a `Cause` of the desk), each question as likely as any other."""

    of_cause: Mapping[int, tuple[Question, ...]]

    def drawn(self, cause: int, u: float) -> Question:
        """The question of a contact; u: a uniform in [0, 1)."""
        asked = self.of_cause[cause]
        return asked[int(u * len(asked))]

    def routine(self, cause: int) -> float:
        """Share of a cause's questions that need no person."""
        asked = self.of_cause[cause]
        return sum(one.routine for one in asked) / len(asked)

    def closed(self, cause: int) -> float:
        """Share of a cause's routine questions that the bot answers rightly."""
        asked = [one for one in self.of_cause[cause] if one.routine]
        return sum(one.closed for one in asked) / len(asked) if asked else 1.0
