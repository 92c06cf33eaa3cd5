"""Metrics in Prometheus' text format. Counting costs a look-up in a dictionary; everything else is looked up when
somebody asks for it.

What is counted is of the process: it begins at 0 with each start. Names end in their unit, as is the custom.
"""

import os
import shutil
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from engine.host.messages import Envelope, Settled
from engine.records import DAY_MS, SHARE_ONE, Bulletin, Reason
from gateway.desk import Desk
from gateway.dispatcher import SETTLING_MAX, Dispatcher
from gateway.doorkeeper import Doorkeeper
from gateway.publisher import Publisher
from gateway.tls import Tls
from gateway.wellness import STATES, Wellness, Witness

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
BOUNDS_S = (0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
LAG_EVERY_S, LAG_KEPT = 0.25, 60  # the longest of the last 15 s is told
PAGE = os.sysconf("SC_PAGE_SIZE")

REASONS = {int(reason): reason.name.lower() for reason in Reason}
TOLD = {"decision": "reason", "claim": "answer", "checkout": "answer"}  # by kind of outcome: its label


class Times:
    """A histogram of seconds."""

    def __init__(self) -> None:
        self.counts, self.sum_s = [0] * (len(BOUNDS_S) + 1), 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, how many are not over it)"""
        total, out = 0, []
        for bound, count in zip([*map(str, BOUNDS_S), "+Inf"], self.counts, strict=True):
            total += count
            out.append((bound, float(total)))
        return out


@dataclass
class Counts:
    """What is counted as it happens."""

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)  # (method, route, status)
    times: dict[str, Times] = field(default_factory=dict)  # by route
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)  # (one of TOLD, name)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        self.requests[method, route, status] += 1
        times = self.times.get(route)
        if times is None:
            times = self.times[route] = Times()
        times.add(seconds)

    def told(self, kind: str, name: str, count: int = 1) -> None:
        """An outcome that a caller was told."""
        self.outcomes[kind, name] += count

    def decided(self, decisions: np.ndarray) -> None:
        """DECISION[n] that shards made."""
        if len(decisions) == 1:
            self.outcomes["decision", REASONS[decisions["reason"][0]]] += 1
            return
        for reason, count in enumerate(np.bincount(decisions["reason"]).tolist()):
            if count:
                self.outcomes["decision", REASONS[reason]] += count


class Pulse:
    """What can only be seen by looking again and again, every LAG_EVERY_S: how late the event loop is, and since when
    the batch that each shard decides has been under way."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.lags: deque[float] = deque(maxlen=LAG_KEPT)
        self._seen: dict[int, tuple[int, float]] = {}  # by shard: its oldest batch, and since when

    def beat(self, lag_s: float, now: float) -> None:
        self.lags.append(max(lag_s, 0.0))
        oldest = {
            shard: lane.flights[0].batch.number for shard, lane in enumerate(self.dispatcher.lanes) if lane.flights
        }
        seen = self._seen
        self._seen = {
            shard: seen[shard] if shard in seen and seen[shard][0] == number else (number, now)
            for shard, number in oldest.items()
        }

    def age_s(self, shard: int, now: float) -> float:
        """Of the oldest batch that a shard has not answered, to LAG_EVERY_S; 0 without one, or one that just came."""
        flights, seen = self.dispatcher.lanes[shard].flights, self._seen.get(shard)
        is_seen = seen is not None and flights and flights[0].batch.number == seen[0]
        return now - seen[1] if seen is not None and is_seen else 0.0

    @property
    def lag_s(self) -> float:
        return max(self.lags, default=0.0)


@dataclass
class Sources:
    """What is looked at."""

    desk: Desk
    wellness: Wellness
    witness: Witness
    doorkeeper: Doorkeeper
    pulse: Pulse
    folder: Path
    hosts: Path  # folder of journals
    publisher: Publisher
    tls: Tls | None = None
    bulletin: Bulletin | None = None  # the Ledger's latest

    def overhear(self, envelope: Envelope) -> None:
        """A settlement on its way: its bulletin is the latest there is."""
        if isinstance(envelope.message, Settled):
            self.bulletin = envelope.message.bulletin

    def calendar_days_left(self, now_ms: int) -> float:
        return (self.publisher.calendar_ends_ms - now_ms) / DAY_MS


class Metrics:
    """A registry of its own: counts, and a look at everything else."""

    def __init__(self, sources: Sources) -> None:
        self.counts, self.sources = Counts(), sources
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        yield from _counted(self.counts)
        yield from _lanes(self.sources)
        yield from _hosts(self.sources)
        yield from _campaigns(self.sources)
        yield from _room(self.sources)

    def describe(self) -> Iterable[Metric]:
        """Not to be looked at before somebody asks."""
        return []


def gauge(name: str, says: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(f"windtunnel_{name}", says, labels=labels)
    for label, value in values.items():
        family.add_metric(label, value)
    return family


def counter(name: str, says: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    family = CounterMetricFamily(f"windtunnel_{name}", says, labels=labels)
    for label, value in values.items():
        family.add_metric(label, value)
    return family


def _counted(counts: Counts) -> Iterator[Metric]:
    requests = {(method, route, str(status)): float(n) for (method, route, status), n in counts.requests.items()}
    yield counter("requests", "Requests that were answered.", ("method", "route", "status"), requests)
    times = HistogramMetricFamily(
        "windtunnel_response_seconds", "From the head of a request to its answer.", labels=("route",)
    )
    for route, one in counts.times.items():
        times.add_metric((route,), one.buckets, one.sum_s)
    yield times
    for kind, label in TOLD.items():
        told = {(name,): float(count) for (of, name), count in counts.outcomes.items() if of == kind}
        yield counter(f"{kind}s", f"Outcomes of {kind}s that callers were told, by {label}.", (label,), told)


def _lanes(sources: Sources) -> Iterator[Metric]:
    dispatcher, now = sources.desk.carrier.dispatcher, time.monotonic()
    shards = {(str(shard),): lane for shard, lane in enumerate(dispatcher.lanes)}

    def of(name: str, says: str, value: Callable[[Any], float]) -> Metric:
        return gauge(name, says, ("shard",), {shard: float(value(lane)) for shard, lane in shards.items()})

    yield of("queue_events", "Events and profiles that wait for their shard.", lambda lane: lane.queued)
    yield of("queue_events_max", "As many may wait; more are refused with 429.", lambda lane: dispatcher.queue_max)
    sent = {shard: float(lane.sent) for shard, lane in shards.items()}
    yield counter("shard_events", "Events that were sent to be decided, by shard.", ("shard",), sent)
    yield of("batches_under_way", "Batches that were sent and not decided yet.", lambda lane: len(lane.flights))
    yield of("batch_events", "Events in those batches.", lambda lane: sum(
        part.size for flight in lane.flights for part in flight.parts))  # fmt: skip
    yield of("settling", "Asks that were decided and wait for the Ledger.", lambda lane: len(lane.settling))
    yield of("settling_max", "With as many nothing more is sent to the shard.", lambda lane: SETTLING_MAX)
    yield of("put_off", "Asks that wait for an earlier one of their customer.", lambda lane: len(lane.waiting))
    ages = {shard: sources.pulse.age_s(int(shard[0]), now) for shard in shards}
    yield gauge("oldest_batch_seconds", "Age of the oldest batch that is not decided.", ("shard",), ages)
    yield gauge("loop_lag_seconds", "Longest delay of the event loop in the last 15 s.", (), {(): sources.pulse.lag_s})


def _hosts(sources: Sources) -> Iterator[Metric]:
    wellness, hosts = sources.wellness, sources.wellness.hosts
    reasons = wellness.reasons
    yield gauge("ready", "1 when every seat has a leader that shows signs of life.", (), {(): float(not reasons)})
    seats = {(seat, state): 0.0 for seat in wellness.supervisor.seats for state in STATES}
    for one in hosts:
        seats[one.seat, one.state] += 1
    yield gauge("hosts", "Hosts by seat and state.", ("seat", "state"), seats)
    led = {one.seat for one in hosts if one.state == "leads"}
    without = {(seat,): float(seat not in led) for seat in wellness.supervisor.seats}
    yield gauge("seat_without_leader", "1 when nobody can be decided for there.", ("seat",), without)
    yield gauge("epoch", "The supervisor's: rises when who leads or follows changes.", (), {
        (): float(wellness.supervisor.epoch)})  # fmt: skip
    events = {(what,): float(count) for what, count in sources.witness.counts.items()}
    yield counter("host_events", "What happened to hosts.", ("event",), events)
    memory = {(host,): _resident(process) for host, process in sources.witness.processes.items()}
    yield gauge("host_resident_bytes", "Memory of a host's process.", ("host",), memory)
    yield gauge("journal_bytes", "What a host keeps on disk.", ("host",), _sizes(sources.hosts))


def _resident(process: int) -> float:
    try:
        return float(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0.0


def _sizes(folder: Path) -> dict[tuple[str, ...], float]:
    """Bytes by host; files come and go meanwhile."""
    sizes: dict[tuple[str, ...], float] = {}
    for host in folder.iterdir() if folder.exists() else ():
        sizes[host.name,] = 0.0
        for parent, _, names in os.walk(host):
            for name in names:
                with suppress(FileNotFoundError):
                    sizes[host.name,] += os.stat(os.path.join(parent, name)).st_size
    return sizes


def _campaigns(sources: Sources) -> Iterator[Metric]:
    bulletin, campaigns = sources.bulletin, sources.desk.dictionary.campaigns

    def of(name: str, says: str, column: str) -> Metric:
        values = {} if bulletin is None else {
            (campaign,): float(not getattr(bulletin, column)[slot]) for slot, campaign in sorted(campaigns.items())
        }  # fmt: skip
        return gauge(name, says, ("campaign",), values)

    yield of("campaign_paused", "1 when a campaign is paused, by a person or a breaker.", "open")
    yield of("campaign_out_of_stock", "1 when a campaign has nothing left to give.", "in_stock")
    yield of("campaign_out_of_budget", "1 when a campaign's budget is used up.", "in_budget")


def _room(sources: Sources) -> Iterator[Metric]:
    register = sources.desk.register
    yield gauge("customers", "Customers that are known.", (), {(): float(len(register))})
    yield gauge("customers_max", "There is room for so many.", (), {(): float(register.room)})
    door = sources.doorkeeper
    yield gauge("connections", "Connections of callers.", (), {(): float(door.open)})
    yield gauge("connections_max", "There may be so many.", (), {(): float(door.most)})
    yield counter(
        "connections_shut", "Connections that were shut since they asked nothing.", (), {(): float(door.shut)}
    )
    disk = shutil.disk_usage(sources.folder)
    yield gauge("disk_free_bytes", "Free space where the folder is.", (), {(): float(disk.free)})
    yield gauge("disk_bytes", "All of that file system.", (), {(): float(disk.total)})
    days = sources.calendar_days_left(time.time_ns() // 1_000_000)
    yield gauge("calendar_days_left", "Until the calendar of the policy ends.", (), {(): days})
    publisher = sources.publisher
    share = publisher.editions.running.share / SHARE_ONE
    yield gauge("trial_share", "Share of the customers who have a policy that is tried.", (), {(): share})
    yield gauge("hosts_told", "0 while hosts are being told of another policy.", (), {(): float(publisher.is_told)})
    if sources.tls is not None:
        left = sources.tls.days_left(datetime.now(UTC))
        yield gauge("certificate_days_left", "Until the certificate is not valid any more.", (), {(): left})
