"""What is sent, in order: paths and bodies in one file and an index beside it, the same bytes for the same seed."""

import hashlib
import json
import mmap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

INDEX, BODIES, ABOUT = "index.npy", "bodies.bin", "tape.json"
ENTRY = np.dtype(
    [
        ("at", "i8"),  # of the path, which the body follows
        ("path_bytes", "i4"),
        ("body_bytes", "i4"),
        ("customer", "i4"),
        ("route", "i2"),
        ("journey", "i2"),
    ],
    align=True,
)
JOURNEYS = ("shopper", "member", "ring", "bulk")


class Request(NamedTuple):
    """One, as an adapter says it."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = "application/json"
    has_id: bool = False  # is sent with an id, so that it is carried out once
    action: str = "request"  # what it is called in tables


@dataclass(frozen=True)
class RouteOf:
    """What requests of one kind have in common."""

    method: str
    content_type: str
    has_id: bool
    action: str


class Taped(NamedTuple):
    """A request with whose it is."""

    journey: str
    customer: int
    request: Request


@dataclass(frozen=True)
class Tape:
    """Requests to be sent in turns."""

    index: np.ndarray  # ENTRY[n]
    routes: Sequence[RouteOf]
    bodies: bytes | mmap.mmap

    def __len__(self) -> int:
        return len(self.index)

    def path_and_body(self, at: int) -> tuple[bytes, bytes]:
        start, middle, rest = (int(self.index[name][at]) for name in ("at", "path_bytes", "body_bytes"))
        return self.bodies[start : start + middle], self.bodies[start + middle : start + middle + rest]

    def route(self, at: int) -> RouteOf:
        return self.routes[int(self.index["route"][at])]

    @property
    def digest(self) -> str:
        """Of every byte that is sent, but host and key."""
        found = hashlib.blake2b(self.index.tobytes(), digest_size=16)
        found.update(json.dumps([asdict(route) for route in self.routes]).encode())
        found.update(self.bodies)
        return found.hexdigest()


def made(requests: Iterable[Taped]) -> Tape:
    routes: dict[RouteOf, int] = {}
    rows, parts, at = [], [], 0
    for taped in requests:
        request = taped.request
        route = RouteOf(request.method, request.content_type, request.has_id, request.action)
        number, path = routes.setdefault(route, len(routes)), request.path.encode()
        rows.append((at, len(path), len(request.body), taped.customer, number, JOURNEYS.index(taped.journey)))
        parts += [path, request.body]
        at += len(path) + len(request.body)
    return Tape(np.array(rows, ENTRY), list(routes), b"".join(parts))


def written(tape: Tape, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / INDEX, tape.index)
    (folder / BODIES).write_bytes(tape.bodies)
    (folder / ABOUT).write_text(json.dumps([asdict(route) for route in tape.routes]), "utf-8")


def read(folder: Path) -> Tape:
    routes = [RouteOf(**said) for said in json.loads((folder / ABOUT).read_text("utf-8"))]
    with (folder / BODIES).open("rb") as file:
        bodies = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return Tape(np.load(folder / INDEX, mmap_mode="r"), routes, bodies)
