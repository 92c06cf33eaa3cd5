"""A gateway while it runs: what is seen of its requests, and what is looked after beside them."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engine.host.messages import Envelope
from gateway.doorkeeper import SWEEP_S, Doorkeeper
from gateway.logs import SUMMED_EVERY_S, Log, RequestLog
from gateway.metrics import LAG_EVERY_S, Metrics, Sources

ENDS_SOON_DAYS = 30.0  # the calendar, the certificate
WARNED_EVERY_S = 86_400.0
OTHER = "other"  # a path that no route has


@dataclass
class Seen:
    """What is known of one request by now."""

    address: str
    method: str
    began: float
    route: str = OTHER  # its template
    key: str = ""  # its name


class Operation:
    """Is told of every request, and looks after connections, the log and what ends soon."""

    def __init__(self, sources: Sources, log: Log, logs_each: bool = False) -> None:
        self.sources, self.log = sources, log
        self.metrics, self.requests = Metrics(sources), RequestLog(log, logs_each)

    @property
    def door(self) -> Doorkeeper:
        return self.sources.doorkeeper

    def began(self, address: str, method: str) -> Seen:
        now = time.monotonic()
        self.door.began(address, now)
        return Seen(address, method, now)

    def ended(self, seen: Seen, status: int) -> None:
        now = time.monotonic()
        self.door.ended(seen.address, now, bool(seen.key))
        method = seen.method if seen.route != OTHER else OTHER  # callers may make methods up, too
        self.metrics.counts.answered(method, seen.route, status, now - seen.began)
        self.requests.answered(method, seen.route, status, now - seen.began, seen.key)

    def overhear(self, envelope: Envelope) -> None:
        """Everything that is carried."""
        self.sources.desk.carrier.dispatcher.overhear(envelope)
        self.sources.overhear(envelope)

    @property
    def reasons(self) -> list[str]:
        """Why not everybody can be decided for."""
        return self.sources.wellness.reasons

    async def watch(self) -> None:
        """Until cancelled."""
        chores = [
            Chore(SWEEP_S, lambda: self.door.sweep(time.monotonic())),
            Chore(SUMMED_EVERY_S, self.requests.sum_up),
            Chore(WARNED_EVERY_S, self._warn),
        ]
        chores[-1].do(time.monotonic() + WARNED_EVERY_S)
        while True:
            due = time.monotonic() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            now = time.monotonic()
            self.sources.pulse.beat(now - due, now)
            for chore in chores:
                chore.do(now)

    def _warn(self) -> None:
        """What ends soon, once a day."""
        left = self.sources.calendar_days_left(time.time_ns() // 1_000_000)
        if left < ENDS_SOON_DAYS:
            self.log("calendar ends", days_left=round(left, 1))
        tls = self.sources.tls
        if tls is not None and (days := tls.days_left(datetime.now(UTC))) < ENDS_SOON_DAYS:
            self.log("certificate ends", days_left=round(days, 1))


@dataclass
class Chore:
    """Something to be done again and again."""

    every_s: float
    act: Callable[[], object]
    done: float = field(default_factory=time.monotonic)

    def do(self, now: float) -> None:
        if now - self.done >= self.every_s:
            self.done = now
            self.act()
