"""What fraud rules refused lately, for those who may know why."""

from collections import deque
from dataclasses import dataclass

from engine.coupon_records import Answer
from engine.records import EventKind

REFUSALS_MAX = 20_000  # of all customers together, the latest, since the gateway began


@dataclass(frozen=True)
class Refused:
    """An ask that a rule answered."""

    customer: int
    time_ms: int
    asked: EventKind
    answer: Answer
    rule: str
    value: str  # what was compared …
    threshold: str  # … with what


class RefusalBook:
    """In memory alone: what is to outlive a start is in the journals."""

    def __init__(self) -> None:
        self._refused: deque[Refused] = deque(maxlen=REFUSALS_MAX)

    def note(self, refused: Refused) -> None:
        self._refused.append(refused)

    def of(self, customer: int) -> list[Refused]:
        """The latest first."""
        return [one for one in reversed(self._refused) if one.customer == customer]

    def forget(self, customer: int) -> None:
        """Of somebody who is erased nothing is kept."""
        self._refused = deque((one for one in self._refused if one.customer != customer), maxlen=REFUSALS_MAX)
