"""Bodies of many events for the gateway, in each form that it takes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from gateway.many import ARROW_STREAM, JSON_LINES

BODIES = 8  # different ones
SPREAD = 7_919  # a prime: neighbours are not neighbours

Views = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """A form of many events."""

    name: str
    words: str
    media_type: str
    aim: float  # events a second
    body: Callable[[Views], bytes]


def arrow_body(views: Views) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(list(views))
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def lines_body(views: Views) -> bytes:
    return b"".join(json.dumps(view, separators=(",", ":")).encode() + b"\n" for view in views)


KINDS = (
    Kind("arrow", "Arrow", ARROW_STREAM, 200_000, arrow_body),
    Kind("lines", "JSON lines", JSON_LINES, 60_000, lines_body),
)


def bodies(kind: Kind, customers: int, events: int) -> list[bytes]:
    """Page views of customers c-0, c-1, … in a mixed order, so many a body."""
    return [kind.body([view(number, customers) for number in range(first, first + events)])
            for first in range(0, BODIES * events, events)]  # fmt: skip


def view(number: int, customers: int) -> dict[str, Any]:
    return {
        "customer": f"c-{number * SPREAD % customers}",
        "event": "page_view",
        "page": "home",
        "page_view": number + 1,
    }
