"""Many events as columns, whatever they came as, to records: names to numbers by column, every problem by row."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import AddressValueError, IPv4Address
from typing import TypeVar, get_args

import numpy as np

from engine.fraud_records import ORIGIN, Agent
from engine.records import FUTURE_TOLERANCE_MS, NONE, Channel, EventKind
from gateway.asking import NEEDED, identity
from gateway.blocks import new_events
from gateway.bodies import Behaviour
from gateway.dictionary import Dictionary, Names

PROBLEMS_MAX = 100  # told of one request, then how many more there are
QUOTED_MAX = 64  # characters of what was got
LOOKED_UP_AT_ONCE = 4_000  # ids of customers, before others have their turn

# What a column of numbers holds, both ends in it.
BOUNDS = {
    "page_view": (1, 2**53), "amount_fen": (0, 999_999_999), "dwell_ms": (0, 2_000_000_000),
    "exposure": (0, 2_000_000_000), "time_ms": (0, 2**48),
}  # fmt: skip
ORIGINS = {"device": "device_id", "card": "card", "address": "address", "ip": "ip", "agent": "agent"}
WORDS = ("customer", "event", "page", "city", "channel", "campaign", *ORIGINS)
CHOICES: dict[str, dict[str, int]] = {
    "event": {word: EventKind[word.upper()] for word in get_args(Behaviour)},
    "channel": {word: Channel[word.upper()] for word in ("push", "sms", "email", "voice")},
    "agent": {word: Agent[word.upper()] for word in ("app", "browser", "script")},
}
NAMED = ("page", "city", "campaign")
KINDS = {number: word for word, number in CHOICES["event"].items()}

Found = TypeVar("Found")
Work = Generator[None, None, Found]  # yields when others may have their turn
NumbersOf = Callable[[Sequence[str]], Sequence[int]]  # of customers by their ids; NONE of who is not known


@dataclass(frozen=True, eq=False)
class Words:
    """A column of text: different values, and which of them each row has."""

    values: Sequence[str | None]
    codes: np.ndarray  # i8[n]; NONE: nothing is said

    @cached_property
    def given(self) -> np.ndarray:
        """bool[n]"""
        if None not in self.values:
            return self.codes != NONE
        is_given = np.array([*(value is not None for value in self.values), False])
        return np.asarray(is_given[self.codes])


@dataclass(frozen=True, eq=False)
class Numbers:
    """A column of numbers."""

    values: np.ndarray  # i8[n]
    given: np.ndarray  # bool[n]


@dataclass(frozen=True, eq=False)
class Columns:
    """Rows of a request. A column that says nothing is left out."""

    index: np.ndarray  # i8[n]: number of each row in the request, from 0
    words: Mapping[str, Words]
    numbers: Mapping[str, Numbers]
    paths: Mapping[str, str] = field(default_factory=dict)  # how callers call a column, where they call it otherwise


class Problems:
    """The first of them by row, and how many there are."""

    def __init__(self) -> None:
        self._found: list[tuple[int, str, str]] = []
        self.count = 0

    def add(self, rows: np.ndarray, path: str, message_of: Callable[[int], str]) -> None:
        """message_of: by place among `rows`, ascending."""
        self.count += len(rows)
        for place, row in enumerate(rows[:PROBLEMS_MAX].tolist()):
            self._found.append((row, path, message_of(place)))

    @property
    def told(self) -> list[tuple[str, str]]:
        """(path, message)."""
        first = sorted(self._found)[:PROBLEMS_MAX]
        told = [(f"$[{row}]{'.' if path else ''}{path}", message) for row, path, message in first]
        more = self.count - len(told)
        return [*told, ("$", f"and {more:,} more problems")] if more else told


@dataclass(frozen=True, eq=False)
class Rows:
    """Events as records; origins by place."""

    events: np.ndarray  # EVENT[n]
    origins: np.ndarray  # ORIGIN[k]


def repeat_of(message: str) -> Callable[[int], str]:
    """The same for every row."""
    return lambda place: message


class Checking:
    """Columns to records under one policy, now. Problems are kept, and what has one has no meaning."""

    bounds = BOUNDS

    def __init__(self, dictionary: Dictionary, numbers_of: NumbersOf, pepper: bytes, now: int) -> None:
        self.dictionary, self.numbers_of, self.pepper, self.now = dictionary, numbers_of, pepper, now
        self.problems = Problems()

    def rows(self, columns: Columns) -> Work[Rows]:
        events = new_events(len(columns.index))
        yield from self._customers(events, columns)
        events["kind"] = self.chosen(columns, "event", CHOICES["event"])
        self.must_be_there(columns, "event")
        for kind in NAMED:
            events[kind] = self.names(columns, kind)
        yield
        events["channel"] = self.chosen(columns, "channel", CHOICES["channel"])
        for name, otherwise in (("page_view", 0), ("dwell_ms", 0), ("exposure", NONE), ("time_ms", NONE)):
            events[name] = self.numbers(columns, name, otherwise)
        events["amount"] = self.numbers(columns, "amount_fen", 0)
        self._not_ahead(events, columns)
        yield
        self._what_is_needed(events, columns)
        return Rows(events, self._origins(events, columns))

    # --- columns ------------------------------------------------------------------------------------------------------
    def _customers(self, events: np.ndarray, columns: Columns) -> Work[None]:
        self.must_be_there(columns, "customer")
        if "customer" not in columns.words:
            return
        column = columns.words["customer"]
        known: list[int] = []
        for low in range(0, len(column.values), LOOKED_UP_AT_ONCE):
            ids = [value or "" for value in column.values[low : low + LOOKED_UP_AT_ONCE]]
            known += self.numbers_of(ids)
            yield
        numbers = np.array([*known, NONE], np.int64)
        events["customer"] = numbers[column.codes]
        missing = column.given & (events["customer"] == NONE)
        self._wrong(columns, "customer", missing, "must be a customer who is known")

    def chosen(self, columns: Columns, name: str, choices: Mapping[str, int]) -> np.ndarray:
        """Numbers of words from a fixed list."""
        must = f"must be one of {', '.join(choices)}"
        return self.looked_up(columns, name, choices.get, must)

    def names(self, columns: Columns, kind: str, name: str | None = None) -> np.ndarray:
        """Numbers of the policy's names of a kind, in the column that is called so or otherwise."""
        must = Names(self.dictionary).must_be(kind)
        return self.looked_up(columns, name or kind, self.dictionary.numbers[kind].get, must)

    def looked_up(self, columns: Columns, name: str, number_of: Callable[[str], int | None], must: str) -> np.ndarray:
        """Numbers of a column of words; NONE where nothing is said."""
        if name not in columns.words:
            return np.full(len(columns.index), NONE)
        column = columns.words[name]
        found = [NONE if value is None else number_of(value) for value in column.values]
        numbers = np.array([*(NONE if one is None else one for one in found), NONE], np.int64)
        unknown = np.array([*(one is None for one in found), False])
        self._wrong(columns, name, unknown[column.codes], must)
        return numbers[column.codes]

    def numbers(self, columns: Columns, name: str, otherwise: int) -> np.ndarray:
        if name not in columns.numbers:
            return np.full(len(columns.index), otherwise)
        column, (low, high) = columns.numbers[name], self.bounds[name]
        (rows,) = np.nonzero(column.given & ((column.values < low) | (column.values > high)))
        must = f"must be between {low:,} and {high:,}"
        self.add(columns, name, rows, lambda place: f"{must} (got {column.values[rows[place]]:,})")
        return np.where(column.given, column.values, otherwise).clip(NONE, high)

    def _origins(self, events: np.ndarray, columns: Columns) -> np.ndarray:
        said = [name for name in ORIGINS if name in columns.words]
        if not said:
            return np.zeros(0, ORIGIN)
        (rows,) = np.nonzero(np.logical_or.reduce([columns.words[name].given for name in said]))
        origins = np.zeros(len(rows), ORIGIN)
        for name in ("device_id", "card", "address", "ip", "code", "inviter", "group"):
            origins[name] = NONE
        for name in said:
            numbers = self._origin(columns, name)[rows]
            origins[ORIGINS[name]] = np.where(numbers == NONE, Agent.UNKNOWN, numbers) if name == "agent" else numbers
        events["origin"][rows] = np.arange(len(rows))
        return origins

    def _origin(self, columns: Columns, name: str) -> np.ndarray:
        if name == "agent":
            return self.chosen(columns, name, CHOICES["agent"])
        if name == "ip":
            return self.looked_up(columns, name, ip_number, "must be an IPv4 address like 203.0.113.7")
        must = f"must have 1 to {QUOTED_MAX} characters"
        return self.looked_up(columns, name, self._identity(name), must)

    def _identity(self, name: str) -> Callable[[str], int | None]:
        return lambda text: identity(name, text, self.pepper) if is_name(text) else None

    # --- checks -------------------------------------------------------------------------------------------------------
    def must_be_there(self, columns: Columns, name: str) -> None:
        column = columns.words.get(name)
        given = np.zeros(len(columns.index), np.bool_) if column is None else column.given
        self.add(columns, name, np.flatnonzero(~given), lambda place: "must be given (got nothing)")

    def _not_ahead(self, events: np.ndarray, columns: Columns) -> None:
        (rows,) = np.nonzero(events["time_ms"] > self.now + FUTURE_TOLERANCE_MS)

        def message(place: int) -> str:
            ahead = int(events["time_ms"][rows[place]]) - self.now
            return f"must be at most {FUTURE_TOLERANCE_MS:,} ms ahead of our clock (got {ahead:,} ms ahead)"

        self.add(columns, "time_ms", rows, message)

    def _what_is_needed(self, events: np.ndarray, columns: Columns) -> None:
        for word, fields in NEEDED.items():
            rows = events["kind"] == CHOICES["event"][word]
            if not rows.any():
                continue
            for name in fields:
                column = "amount_fen" if name == "amount" else name
                lacking = np.flatnonzero(rows & ~self.is_given(columns, column))
                must = f"must be given with {word} (got nothing)"
                self.add(columns, column, lacking, repeat_of(must))

    def is_given(self, columns: Columns, name: str) -> np.ndarray:
        if name in columns.words:
            return columns.words[name].given
        if name in columns.numbers:
            return columns.numbers[name].given
        return np.zeros(len(columns.index), np.bool_)

    def _wrong(self, columns: Columns, name: str, wrong: np.ndarray, must: str) -> None:
        column, (rows,) = columns.words[name], np.nonzero(wrong)

        def message(place: int) -> str:
            return f"{must} (got {str(column.values[column.codes[rows[place]]])[:QUOTED_MAX]})"

        self.add(columns, name, rows, message)

    def add(self, columns: Columns, name: str, rows: np.ndarray, message_of: Callable[[int], str]) -> None:
        if len(rows):
            self.problems.add(columns.index[rows], columns.paths.get(name, name), message_of)


def is_name(text: str) -> bool:
    return 1 <= len(text) <= QUOTED_MAX


def ip_number(text: str) -> int | None:
    try:
        return int(IPv4Address(text))
    except AddressValueError:
        return None
