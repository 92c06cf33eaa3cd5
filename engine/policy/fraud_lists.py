"""Lists of a policy: who is blocked or allowed, and IP ranges; inline, or in a CSV file beside the policy."""

import csv
import io
import ipaddress
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path as FilePath
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from engine.fraud_records import RANGES_MAX
from engine.policy.checks import Checks
from engine.policy.quantities import Block, Date, Problem, Raw, Text, day, got

ListedField = Literal["customer", "device", "ip", "card", "address"]
VALUES_MAX = 100_000  # of one entry
FILE_BYTES_MAX = 4_000_000
PROBLEMS_SHOWN_MAX = 5  # of one file
NUMBER_MAX = (1 << 63) - 1
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.csv")

Ends = tuple[int, int]  # a value, or both ends of a range
Parse = Callable[[str], Ends]


@dataclass(frozen=True)
class Entry:
    """One value of a list, or a range with both ends in it; until: the first day on which it is over."""

    first: int
    last: int
    until: date | None = None


# --- Values -----------------------------------------------------------------------------------------------------------
def number(text: str) -> Ends:
    """A customer, device, card or address, as the number that events carry. Raises ValueError."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text) or int(text) > NUMBER_MAX:
        raise ValueError("a whole number, as events carry it, like 10086")
    return int(text), int(text)


def ip_address(text: str) -> Ends:
    """An IPv4 address as a number. Raises ValueError."""
    try:
        address = int(ipaddress.IPv4Address(text))
    except ValueError:
        raise ValueError(f"an IPv4 address like 203.0.113.7{no_ipv6(text)}") from None
    return address, address


def no_ipv6(text: str) -> str:
    """What to add where somebody wrote an IPv6 address: it is no typing error."""
    return ", for events carry no IPv6" if ":" in text else ""


def ip_range(text: str) -> Ends:
    """Both ends of an IPv4 range in CIDR. Raises ValueError."""
    must = "an IPv4 range like 203.0.113.0/24"
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        begins = ", beginning at a multiple of its size" if "host bits" in str(error) else ""
        raise ValueError(f"{must}{begins}{no_ipv6(text)}") from None
    return int(network.network_address), int(network.broadcast_address)


# --- A CSV file beside the policy -------------------------------------------------------------------------------------
def csv_text(path: FilePath) -> str:
    """Raises ValueError with what must be."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror)
        raise ValueError(f"must be a CSV file beside the policy: {path} (got {reason})") from None
    if len(content) > FILE_BYTES_MAX:
        raise ValueError(f"must be a CSV file of at most {FILE_BYTES_MAX} bytes: {path} (got more)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"must be UTF-8 text: {path} (got byte 0x{content[error.start]:02x})") from None


def csv_rows(text: str, column: str) -> Iterator[tuple[int, str, str]]:
    """Line, value and `until` ("" where there is none) of each row. Raises ValueError where a row cannot be read."""
    reader = csv.reader(io.StringIO(text))
    heads = [head.strip() for head in next(reader, [])]
    if column not in heads or {*heads} - {column, "until"} or len({*heads}) < len(heads):
        raise ValueError(f"1: columns must be {column}, or {column} and until (got {', '.join(heads) or 'nothing'})")
    for row in reader:
        cells = [cell.strip() for cell in row]
        if any(cells):
            if len(cells) != len(heads):
                raise ValueError(f"{reader.line_num}: columns must be {len(heads)} (got {len(cells)})")
            said = dict(zip(heads, cells, strict=True))
            yield reader.line_num, said[column], said.get("until", "")


def csv_entries(text: str, column: str, parse: Parse) -> tuple[list[Entry], list[str]]:
    """Entries of a file's text, and what is wrong with it as `line: column must be … (got …)`."""
    entries, problems = [], []
    try:
        for line, value, until in csv_rows(text, column):
            try:
                entries.append(Entry(*parse(value), day(until) if until else None))
            except PydanticCustomError as error:
                problems.append(f"{line}: until {error.message()}")
            except ValueError as error:
                problems.append(f"{line}: {column} must be {error} (got {got(value)})")
    except ValueError as error:
        problems.append(str(error))
    return entries, problems


class Listed(Block):
    """Values inline or in a file. The file is read where the document is, and kept: what it says is part of the policy,
    of its repr and of what compares equal."""

    file: Text | None = None
    _text: str | None = PrivateAttr(default=None)
    _unread: str | None = PrivateAttr(default=None)  # why there is no text

    @model_validator(mode="after")
    def read_file(self, info: ValidationInfo) -> "Listed":
        name = self.__dict__.get("file")
        if isinstance(name, str) and FILE_NAME.fullmatch(name):
            try:
                self._text = csv_text((info.context or {}).get("folder", FilePath()) / name)
            except ValueError as error:
                self._unread = str(error)
        return self

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        yield from super().__repr_args__()
        yield "text", self._text

    @property
    def inline(self) -> tuple[str, list[str] | None, Parse]:
        """Name of the field with values, the values, and how one is read."""
        raise NotImplementedError

    @property
    def text(self) -> str | None:
        """Of the file; a run keeps it beside its copy of the policy."""
        return self._text

    def entries(self) -> list[Entry]:
        name, values, parse = self.inline
        if values is not None:
            return [Entry(*parse(value)) for value in values]
        return csv_entries(self._text or "", name.removesuffix("s"), parse)[0]

    def cross_checks(self) -> Checks:
        yield self.either
        yield self.values_are_right
        yield self.file_is_right

    def either(self) -> Iterator[Problem]:
        name, values, _ = self.inline
        if (values is None) == (self.file is None):
            yield (), f"must have either {name} or file (got {'neither' if values is None else 'both'})"

    def values_are_right(self) -> Iterator[Problem]:
        name, values, parse = self.inline
        for place, value in enumerate(values or []):
            try:
                parse(value)
            except ValueError as error:
                yield (name, place), f"must be {error} (got {got(value)})"

    def file_is_right(self) -> Iterator[Problem]:
        if self.file is None:
            return
        if not FILE_NAME.fullmatch(self.file):
            yield ("file",), f"must be the name of a CSV file beside the policy, like blocked.csv (got {self.file})"
        elif self._text is None:
            yield ("file",), self._unread or "must be a CSV file beside the policy"
        else:
            name, _, parse = self.inline
            entries, problems = csv_entries(self._text, name.removesuffix("s"), parse)
            if len(entries) > VALUES_MAX:
                problems = [f"{VALUES_MAX + 2}: must have at most {VALUES_MAX} rows (got {len(entries)})"]
            if problems:
                more = f"; and {len(problems) - PROBLEMS_SHOWN_MAX} more" if len(problems) > PROBLEMS_SHOWN_MAX else ""
                said = "; ".join(f"{self.file}:{problem}" for problem in problems[:PROBLEMS_SHOWN_MAX])
                yield ("file",), f"must be right: {said}{more}"


class Listing(Listed):
    """Values of one field that are blocked or allowed; `until` is of those whose file says no other."""

    field: ListedField
    values: Annotated[list[Raw], Field(min_length=1, max_length=VALUES_MAX)] | None = None
    until: Date | None = None

    @property
    def inline(self) -> tuple[str, list[str] | None, Parse]:
        return "values", self.values, ip_address if self.field == "ip" else number


class IpRanges(Listed):
    """IP ranges in CIDR."""

    ranges: Annotated[list[Raw], Field(min_length=1, max_length=VALUES_MAX)] | None = None

    def cross_checks(self) -> Checks:
        yield from super().cross_checks()
        yield self.ranges_are_few

    def ranges_are_few(self) -> Iterator[Problem]:
        with suppress(ValueError):  # told of its value
            if (ranges := len(self.merged())) > RANGES_MAX:
                yield (), f"must be at most {RANGES_MAX} ranges, those that touch taken together (got {ranges})"

    def merged(self) -> list[Ends]:
        """Both ends of each range, ascending; those that overlap or touch are one."""
        merged: list[Ends] = []
        for entry in sorted(self.entries(), key=lambda entry: entry.first):
            if merged and entry.first <= merged[-1][1] + 1:
                merged[-1] = merged[-1][0], max(merged[-1][1], entry.last)
            else:
                merged.append((entry.first, entry.last))
        return merged

    @property
    def inline(self) -> tuple[str, list[str] | None, Parse]:
        return "ranges", self.ranges, ip_range
