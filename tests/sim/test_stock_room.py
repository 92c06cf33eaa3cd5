"""Orders of the stock room that are still under way when a world ends: it ends on time, and nothing arrives."""

import pytest

from engine.records import DAY_MS
from sim.cohort import Spans
from sim.stock_room import Reorder
from sim.world import Calendar, World

END = 10 * DAY_MS


class Bystanders:
    """Workers who only note until when they have lived, and a shelf with nothing left."""

    def __init__(self) -> None:
        self.lived_until, self.delivered = 0, list[tuple[int, int]]()

    def advance(self, since_ms: int, until_ms: int) -> None:
        assert since_ms == self.lived_until
        self.lived_until = until_ms

    def moment(self, t: int, moment: int) -> None: ...

    def rush(self, slot: int, t: int) -> None: ...

    def launch(self) -> None: ...

    def end_campaign(self) -> None: ...

    def pieces_left(self, slot: int) -> int:
        return 0

    def deliver(self, slot: int, pieces: int, t: int) -> None:
        self.delivered.append((t // DAY_MS, pieces))

    def withdraw(self, slot: int, pieces: int, t: int) -> None: ...


@pytest.mark.parametrize(
    ("lead_days", "delivered"), [(3, [(4, 7), (8, 7)]), (8, [(9, 7)]), (10, []), (60, [])]
)  # looked at every day, from the first
def test_an_order_under_way_at_the_end_does_not_arrive(lead_days: int, delivered: list[tuple[int, int]]) -> None:
    there = Bystanders()
    calendar = Calendar([], DAY_MS, reorders=[Reorder(0, 5, 7, lead_days * DAY_MS)])
    World(there, Spans(0, 0, END, END, DAY_MS), calendar, lambda t: None, store=there).run()
    assert there.lived_until == END
    assert there.delivered == delivered
