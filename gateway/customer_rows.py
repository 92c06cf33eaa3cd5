"""Many customers as columns to profiles: the whole file is looked at before anything is written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from engine.policy.conditions import GENDERS
from engine.profile_records import PROFILE, Given
from engine.records import Flag
from gateway.asking import FLAGS
from gateway.event_rows import CHOICES, Checking, Columns, Words, Work

ID = re.compile(r"[A-Za-z0-9._:@-]{1,64}")
MOST_FEN, MOST_MS, MOST = 999_999_999, 2**48, 2_000_000_000
BOUNDS = {
    "joined_ms": (0, MOST_MS), "balance_fen": (0, MOST_FEN), "points": (0, MOST), "points_expire_ms": (0, MOST_MS),
}  # fmt: skip
WORDS = ("customer", "birth_date", "home_city", "gender", "tier")
LISTS = ("tags", "consent")
SWITCHES = (*FLAGS, "personalisation")


@dataclass(frozen=True, eq=False)
class Lists:
    """A column of lists of words."""

    words: Words  # of all lists, one after the other
    parents: np.ndarray  # i8: row of each of them
    given: np.ndarray  # bool[n]


@dataclass(frozen=True, eq=False)
class CustomerColumns(Columns):
    """Rows of a file; switches are among the numbers."""

    lists: Mapping[str, Lists] = field(default_factory=dict)


class CustomerChecking(Checking):
    """Columns to profiles; problems are kept. Numbers of customers are still to be given."""

    bounds = BOUNDS

    def profiles(self, columns: CustomerColumns) -> Work[np.ndarray]:
        """PROFILE[n]"""
        rows = np.zeros(len(columns.index), PROFILE)
        self.must_be_there(columns, "customer")
        self.looked_up(columns, "customer", id_number, "must have 1 to 64 of A-Z a-z 0-9 . _ : @ -")
        yield
        for name in BOUNDS:
            self._put(rows, columns, name.removesuffix("_fen"), name, self.numbers(columns, name, 0))
        genders = {name: number for number, name in enumerate(GENDERS)}
        self._put(rows, columns, "gender", "gender", self.chosen(columns, "gender", genders))
        self._put(rows, columns, "home_city", "home_city", self.names(columns, "city", "home_city"))
        self._put(rows, columns, "tier", "tier", self.names(columns, "tier"))
        days = self.looked_up(columns, "birth_date", day_number, "must be a date like 1990-05-17")
        self._put(rows, columns, "birth_date", "birth_date", days)
        yield
        self._lists(rows, columns)
        self._switches(rows, columns)
        yield
        return rows

    def _put(self, rows: np.ndarray, columns: Columns, name: str, column: str, values: np.ndarray) -> None:
        given = self.is_given(columns, column)
        rows["given"][given] |= Given[name.upper()]
        rows[name][given] = values[given]

    def _lists(self, rows: np.ndarray, columns: CustomerColumns) -> None:
        tags, consent = self.dictionary.numbers["tag"], CHOICES["channel"]
        for name, number_of, must in (
            ("tags", tags.get, f"must be among the tags of the policy: {', '.join(list(tags)[:5]) or 'none'}"),
            ("consent", consent.get, f"must be among {', '.join(consent)}"),
        ):
            if name not in columns.lists:
                continue
            column = columns.lists[name]
            inner = Columns(columns.index[column.parents], {name: column.words}, {})
            bits = self.looked_up(inner, name, number_of, must)
            self._blank(inner, name)
            mask = np.zeros(len(rows), np.int64)
            np.bitwise_or.at(mask, column.parents, np.left_shift(1, bits.clip(0)))
            rows["given"][column.given] |= Given[name.upper()]
            rows[name][column.given] = mask[column.given]

    def _blank(self, columns: Columns, name: str) -> None:
        """A list has no empty places."""
        self.add(columns, name, np.flatnonzero(~columns.words[name].given), lambda _: "must be a word (got nothing)")

    def _switches(self, rows: np.ndarray, columns: Columns) -> None:
        for name in SWITCHES:
            if name not in columns.numbers:
                continue
            column, flag = columns.numbers[name], FLAGS.get(name, Flag.PERSONALISATION_OFF)
            on = column.values != 0 if name in FLAGS else column.values == 0
            rows["marks_given"][column.given] |= np.int8(flag)
            rows["marks"][column.given & on] |= np.int8(flag)


def id_number(text: str) -> int | None:
    """Whether it is one."""
    return 0 if ID.fullmatch(text) else None


def day_number(text: str) -> int | None:
    """yyyymmdd"""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day.year * 10_000 + day.month * 100 + day.day
