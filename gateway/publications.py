"""Publications of a folder: which policies were proposed, by whom, who approved them, and how far each has come.

What hosts are to do is written down before they are told, and what they have done once all of them have said so.
"""

import os
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from engine.host.disk import sync_folder
from engine.host.editions import BEGUN, Running
from gateway.guardrails import Counts, Guardrails

FILE = "publishing.json"


class PublishingError(Exception):
    """What somebody wants is not possible now; says why, everything at once."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = list(reasons)


class UnknownPublicationError(Exception):
    """No publication has this number."""


class State(Enum):
    """Of a publication."""

    PROPOSED = "proposed"
    ON_TRIAL = "on_trial"
    PUBLISHED = "published"  # it decides for everybody
    REPLACED = "replaced"  # it did, and another one does now
    ROLLED_BACK = "rolled_back"
    WITHDRAWN = "withdrawn"


class Publication(Struct):
    """A policy on its way."""

    number: int
    text: str  # the document
    by: str  # name of a key
    at_ms: int
    stages: list[int]  # shares in millionths, ascending; the last is all
    hold_ms: int
    least_shown: int
    guardrails: Guardrails
    state: State = State.PROPOSED
    approved_by: str | None = None
    stage: int = -1  # which of the stages it has come to
    since_ms: int = 0  # when that began
    counts: Counts = msgspec.field(default_factory=Counts)
    why: str = ""  # it was rolled back

    @property
    def salt(self) -> str:
        return f"publication {self.number}"

    @property
    def share(self) -> int:
        return self.stages[self.stage] if self.stage >= 0 else 0


class Ledger(Struct):
    """All that is kept."""

    editions: str  # Editions.state() once all hosts had carried out the latest order
    publications: list[Publication] = []
    published: list[int] = []  # numbers of those that decided for everybody, the present one last; none: as begun
    orders: int = 0  # number of the latest order that hosts were given
    steps: list[dict[str, Any]] = []  # Runnings that hosts are still to be told; the first one is order `orders`
    until: str = ""  # last day of the calendar that hosts have

    def of(self, number: int) -> Publication:
        """Raises UnknownPublicationError."""
        if not 1 <= number <= len(self.publications):
            raise UnknownPublicationError(number)
        return self.publications[number - 1]

    @property
    def running(self) -> str:
        """Text of the policy that decides for everybody."""
        return self.of(self.published[-1]).text if self.published else BEGUN

    @property
    def on_trial(self) -> Publication | None:
        return next((one for one in self.publications if one.state is State.ON_TRIAL), None)

    def plan(self, *steps: Running) -> None:
        """What hosts are to be told, after what they are told already."""
        if not self.steps:
            self.orders += 1
        self.steps += [asdict(step) for step in steps]

    @property
    def order(self) -> Running | None:
        """What hosts are being told."""
        return Running(**self.steps[0]) if self.steps else None

    def carried_out(self, editions: str) -> None:
        """All hosts have done it."""
        self.editions = editions
        self.steps.pop(0)
        self.orders += 1 if self.steps else 0


def read(folder: Path) -> Ledger | None:
    """Raises PublishingError."""
    file = folder / FILE
    if not file.exists():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=Ledger)
    except (OSError, msgspec.DecodeError) as error:
        raise PublishingError(f"{file} must be as the gateway writes it (got {error})") from None


def write(folder: Path, kept: Ledger) -> None:
    new = folder / f"{FILE}.new"
    with new.open("wb") as out:
        out.write(msgspec.json.encode(kept))
        out.flush()
        os.fsync(out.fileno())
    new.rename(folder / FILE)
    sync_folder(folder)
