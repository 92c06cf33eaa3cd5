"""Events as JSON lines, and what is answered to them."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct

from gateway.asking import fen
from gateway.bodies import Decide
from gateway.event_answers import Shows
from gateway.event_rows import ORIGINS, Checking, Columns, Numbers, Rows, Words, Work

SLICE_BYTES = 64 * 1024  # are read before others have their turn
ANSWERED_AT_ONCE = 2_000
PATHS = {"amount_fen": "amount", **{name: f"origin.{name}" for name in ORIGINS}}


class Event(Decide, kw_only=True):
    """A line: what /v1/decide takes, and when it was."""

    time_ms: Annotated[int, Meta(ge=0, le=2**48, description="The source's; ours where it is left out.")] | None = None


class Decided(Struct, omit_defaults=True):
    """A line of the answer: what is shown, if anything is."""

    time_ms: int  # it was taken at
    campaign: str | None = None
    channel: str | None = None
    exposure: int | None = None
    arm: str | None = None
    late: bool = False
    reason: str | None = None  # to who may know: why nothing was shown


_DECODER = msgspec.json.Decoder(Event)
_ENCODER = msgspec.json.Encoder()
_PLAIN = ("page", "city", "channel", "campaign")


class TooManyError(Exception):
    """More events than a request may have."""


def events_in(body: bytes, checking: Checking, most: int) -> Work[list[Rows]]:
    """Problems are the checking's. Raises TooManyError."""
    found: list[Rows] = []
    first = 0
    for piece in pieces(body):
        index, lines, count = lines_in(piece, first, checking)
        first += count
        if first > most:
            raise TooManyError(f"a request has at most {most:,} events")
        found.append((yield from checking.rows(columns_of(index, lines))))
        yield
    return found


def pieces(body: bytes) -> Iterator[bytes]:
    """Runs of whole lines."""
    low = 0
    while low < len(body):
        end = body.find(b"\n", min(low + SLICE_BYTES, len(body)))
        end = len(body) if end < 0 else end + 1
        yield body[low:end]
        low = end


def lines_in(piece: bytes, first: int, checking: Checking) -> tuple[np.ndarray, Sequence[Event], int]:
    """Numbers of the lines that are well formed, those lines, and how many there are. Empty ones do not count."""
    try:
        lines = _DECODER.decode_lines(piece)
        return np.arange(first, first + len(lines)), lines, len(lines)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    index, found, count = list[int](), list[Event](), 0
    for line in piece.split(b"\n"):
        if line.strip():
            try:
                found.append(_DECODER.decode(line))
                index.append(first + count)
            except msgspec.ValidationError as error:
                message, _, path = str(error).partition(" - at ")
                add_problem(checking, first + count, path.strip("`").removeprefix("$").removeprefix("."), message)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                add_problem(checking, first + count, "", f"must be JSON: {error}")
            count += 1
    return np.array(index, np.int64), found, count


def add_problem(checking: Checking, row: int, path: str, message: str) -> None:
    checking.problems.add(np.array([row]), path, lambda _: message)


def columns_of(index: np.ndarray, lines: Sequence[Event]) -> Columns:
    texts: dict[str, list[str | None]] = {
        "customer": [line.customer for line in lines], "event": [line.event for line in lines],
        "page": [line.page for line in lines], "city": [line.city for line in lines],
        "channel": [line.channel for line in lines], "campaign": [line.campaign for line in lines],
    }  # fmt: skip
    origins = [line.origin for line in lines]
    if any(origin is not None for origin in origins):
        for name in ORIGINS:
            texts[name] = [None if origin is None else getattr(origin, name) for origin in origins]
    numbers: dict[str, list[int | None]] = {
        "page_view": [line.page_view for line in lines], "dwell_ms": [line.dwell_ms for line in lines],
        "exposure": [line.exposure for line in lines], "time_ms": [line.time_ms for line in lines],
        "amount_fen": [None if line.amount is None else fen(line.amount) for line in lines],
    }  # fmt: skip
    words = {name: words_of(column) for name, column in texts.items()}
    return Columns(
        index,
        {name: column for name, column in words.items() if column is not None},
        {name: numbers_of(column) for name, column in numbers.items() if column.count(None) < len(column)},
        PATHS,
    )


def words_of(column: list[str | None]) -> Words | None:
    """None: nothing is said."""
    values = list(dict.fromkeys(column))
    if values in ([], [None]):
        return None
    codes = {value: code for code, value in enumerate(values)}
    return Words(values, np.fromiter(map(codes.__getitem__, column), np.int64, len(column)))


def numbers_of(column: list[int | None]) -> Numbers:
    given = np.array([value is not None for value in column])
    return Numbers(np.array([0 if value is None else value for value in column], np.int64), given)


def answer(decisions: np.ndarray, orders: np.ndarray, shows: Shows) -> Work[bytes]:
    """A line an event, in their order. orders: as in Shows.columns."""
    out = []
    for low in range(0, len(decisions), ANSWERED_AT_ONCE):
        some = slice(low, low + ANSWERED_AT_ONCE)
        columns = shows.columns(decisions[some], orders[some])
        lines = [Decided(*row) for row in zip(*columns.lists(), strict=True)]
        out.append(_ENCODER.encode_lines(lines))
        yield
    return b"".join(out)
