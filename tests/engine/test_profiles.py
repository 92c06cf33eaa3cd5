"""Customers as somebody keeps them elsewhere, and the numbers of events that come without one."""

import numpy as np
import pytest

from engine.host.profiles import FIELDS, newcomer, number_events, put_profiles
from engine.profile_records import PROFILE, Given
from engine.records import CUSTOMER, EVENT, LONG_AGO_MS, NONE, RING, Flag, records

FIRST, COUNT = 100, 8


class Shelf:
    """Customers 100 … 107, all of them with a past."""

    def __init__(self) -> None:
        self.customers, self.rings = records(COUNT, CUSTOMER), np.ones((COUNT, RING), np.int64)
        for name in FIELDS.values():
            self.customers[name] = 7
        self.customers["marks"] = Flag.CARD_ACTIVE | Flag.BLOCKED
        self.customers["exposures"], self.customers["sequence"] = 9, 40

    def put(self, *said: dict[str, int]) -> None:
        rows = np.zeros(len(said), PROFILE)
        for row, fields in zip(rows, said, strict=True):
            for name, value in fields.items():
                row[name] = value
        put_profiles(self.customers, self.rings, FIRST, rows)

    def row(self, customer: int) -> np.void:
        row: np.void = self.customers[customer - FIRST]
        return row


def test_what_is_not_said_stays() -> None:
    shelf = Shelf()
    shelf.put({"customer": 103, "given": Given.POINTS | Given.TIER, "points": 50, "tier": 2, "balance": 99})
    assert (shelf.row(103)["points"], shelf.row(103)["tier"], shelf.row(103)["balance"]) == (50, 2, 7)
    assert shelf.row(102)["points"] == 7


@pytest.mark.parametrize("bit", FIELDS)
def test_every_field_can_be_said_alone(bit: Given) -> None:
    shelf, name = Shelf(), FIELDS[bit]
    shelf.put({"customer": 101, "given": bit, **dict.fromkeys(FIELDS.values(), 3)})
    assert {one for one in FIELDS.values() if shelf.row(101)[one] == 3} == {name}


@pytest.mark.parametrize("flag", Flag)
def test_every_mark_can_be_set_and_taken_away_alone(flag: Flag) -> None:
    shelf, before = Shelf(), Flag.CARD_ACTIVE | Flag.BLOCKED
    shelf.put({"customer": 101, "marks": 127, "marks_given": flag})
    assert shelf.row(101)["marks"] == before | flag
    shelf.put({"customer": 101, "marks": 0, "marks_given": flag})
    assert shelf.row(101)["marks"] == before & ~flag


def test_the_last_word_counts() -> None:
    shelf, said = Shelf(), {"customer": 100, "given": Given.POINTS}
    shelf.put(said | {"points": 1}, said | {"points": 2})
    assert shelf.row(100)["points"] == 2


def test_who_joins_has_no_past() -> None:
    shelf = Shelf()
    shelf.put({"customer": 105, "given": Given.JOINS | Given.JOINED_MS, "joined_ms": 5})
    assert not shelf.rings[5].any() and shelf.rings[4].all()
    blank = newcomer()
    blank["joined_ms"] = 5
    assert shelf.row(105).tobytes() == blank[0].tobytes()
    assert shelf.row(105)["purchase_ms"] == LONG_AGO_MS


def test_who_leaves_leaves_what_limits_count() -> None:
    shelf = Shelf()
    shelf.put({"customer": 106, "given": Given.LEAVES})
    row, unknown = shelf.row(106), newcomer()[0]
    assert all(row[name] == unknown[name] for name in FIELDS.values())
    assert row["marks"] == Flag.CARD_ACTIVE | Flag.BLOCKED | Flag.PERSONALISATION_OFF
    assert (row["exposures"], row["sequence"]) == (9, 40) and shelf.rings[6].all()


def test_what_is_said_before_somebody_leaves_is_forgotten() -> None:
    shelf, points = Shelf(), {"customer": 106, "given": Given.POINTS, "points": 5}
    shelf.put(points, {"customer": 106, "given": Given.LEAVES}, {"customer": 107, "given": Given.TIER, "tier": 1})
    assert (shelf.row(106)["points"], shelf.row(107)["tier"]) == (0, 1)
    shelf.put({"customer": 106, "given": Given.LEAVES}, points)
    assert shelf.row(106)["points"] == 5


def test_events_without_a_number_get_the_next_of_their_customer() -> None:
    shelf = Shelf()
    shelf.customers["sequence"] = [5, 6, 7, 8, 9, 10, 11, 12]
    events = np.zeros(6, EVENT)
    events["customer"] = [101, 103, 101, 101, 103, 102]
    events["sequence"] = [NONE, NONE, NONE, NONE, NONE, 77]
    number_events(shelf.customers, FIRST, events)
    assert events["sequence"].tolist() == [7, 9, 8, 9, 10, 77]
