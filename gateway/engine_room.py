"""The hosts that decide for the gateway: which seats there are, what they are built of, and how they are started."""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from engine.host.disk import FolderDisk, sync_folder
from engine.host.editions import Editions
from engine.host.ledger import LedgerHost
from engine.host.ledger_machine import LedgerMachine
from engine.host.machines import LEDGER, Machine, seats_of
from engine.host.partitions import bounds_of
from engine.host.profiles import newcomer
from engine.host.ray_fleet import RayFleet
from engine.host.replica import SUPERVISOR, Care
from engine.host.shard import CustomerShard
from engine.host.shard_machine import ShardMachine
from engine.host.supervisor import Patience, Seating, Supervisor
from engine.host.switch import Switch
from engine.host.warming import WARM_CUSTOMERS, warm_up
from engine.policy.document import Policy
from engine.policy.tables import CompiledPolicy, compile_policy
from engine.policy.yaml_source import DocumentError, load_text
from engine.records import PARTITIONS
from gateway.publications import read

NODE = "node-1"
BEGINNING, POLICY = "beginning.json", "policy.yaml"
HOST_TICK_S = 0.1  # a call to a host costs the loop that answers callers a millisecond
DAYS_BEFORE, DAYS_AFTER = 1, 400  # of the calendar, around the beginning


class FolderError(Exception):
    """A folder is of another gateway than it is opened for; says what differs."""


@dataclass(frozen=True)
class Given:
    """A policy that a gateway is started with."""

    policy: Policy
    text: str


@dataclass(frozen=True)
class Beginning:
    """What never changes while a folder is used: hosts replay their journals on it."""

    policy: str  # its name …
    rules: str  # … and a digest of its rules and of the calendar around the beginning
    customers: int  # room for so many
    shards: int
    start_ms: int


def began(folder: Path, given: Given, customers: int, shards: int) -> tuple[Beginning, CompiledPolicy]:
    """How a folder began, or begins now. Raises FolderError."""
    file, kept = folder / BEGINNING, folder / POLICY
    found = _read(file)
    if found is None:
        start_ms = time.time_ns() // 1_000_000
        compiled = compiled_for(given.policy, start_ms)
        wanted = Beginning(given.policy.policy, digest_of(compiled), customers, shards, start_ms)
        _write(kept, given.text)
        _write(file, json.dumps(asdict(wanted), indent=1))
        return wanted, compiled
    wanted = replace(found, policy=given.policy.policy, customers=customers, shards=shards)
    differ = [
        f"{file}: {name} must be {getattr(found, name)}, as when the folder began (got {getattr(wanted, name)})"
        for name in ("policy", "customers", "shards")
        if getattr(found, name) != getattr(wanted, name)
    ]
    if not differ and digest_of(compiled_for(given.policy, found.start_ms)) not in _rules(folder, found):
        must = "must be as when the folder began, or as they were published last (got others)"
        differ = [f"{file}: the policy's rules {must}: publish them, or take another folder"]
    if differ:
        raise FolderError("\n".join(differ))
    return found, _begun(kept, found)


def _rules(folder: Path, found: Beginning) -> list[str]:
    """Digests of the policies that a folder is opened with."""
    ledger = read(folder)
    published = "" if ledger is None else ledger.running
    if not published:
        return [found.rules]
    return [found.rules, digest_of(compiled_for(load_text(published, "policy", Policy), found.start_ms))]


def _begun(kept: Path, found: Beginning) -> CompiledPolicy:
    """The policy that a folder began with."""
    try:
        compiled = compiled_for(load_text(kept.read_text("utf-8"), str(kept), Policy), found.start_ms)
    except (OSError, DocumentError) as error:
        raise FolderError(f"{kept} must be the policy that the folder began with (got {error})") from None
    if digest_of(compiled) != found.rules:
        raise FolderError(f"{kept} must be the policy that the folder began with (got another one)")
    return compiled


def _read(file: Path) -> Beginning | None:
    if not file.exists():
        return None
    try:
        return Beginning(**json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise FolderError(f"{file} must be as `windtunnel serve` writes it (got {error})") from None


def _write(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    with new.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    new.rename(file)
    sync_folder(file.parent)


def digest_of(compiled: CompiledPolicy) -> str:
    """Of everything that decides: 128 bits in hexadecimal."""
    digest = hashlib.blake2b(digest_size=16)
    for name, array in zip(compiled.tables._fields, compiled.tables, strict=True):
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Build:
    """Makes the machine of a seat, in whatever process."""

    policy: CompiledPolicy
    beginning: Beginning

    @property
    def bounds(self) -> list[tuple[int, int]]:
        return bounds_of(self.beginning.customers, self.beginning.shards)

    def __call__(self, seat: str, fresh: bool) -> Machine:
        policy = self.policy.owned()
        ledger = LedgerHost(
            policy.tables, policy.coupons, policy.budgets, self.bounds, self.beginning.start_ms, live=True
        )
        if seat == LEDGER:
            return LedgerMachine(ledger, Editions(policy))
        number = int(seat.removeprefix("shard-"))
        first, end = self.bounds[number]
        shard = CustomerShard(first, end - first, policy.tables, policy.registry.slots)
        shard.customers[:] = newcomer()[0]
        shard.take_bulletin(ledger.bulletin())
        size = -(-self.beginning.customers // PARTITIONS)
        return ShardMachine(number, shard, size, live=True, editions=Editions(policy))

    def warm(self) -> None:
        """Have everything loaded that a host calls."""
        few = Build(self.policy, replace(self.beginning, customers=WARM_CUSTOMERS, shards=1))
        warm_up({seat: few(seat, True) for seat in (LEDGER, "shard-0")}, self.beginning.start_ms)


def compiled_for(policy: Policy, start_ms: int) -> CompiledPolicy:
    """A policy with the calendar around a beginning."""
    day = datetime.fromtimestamp(start_ms / 1_000, ZoneInfo(policy.time_zone)).date()
    return compile_policy(policy, day - timedelta(days=DAYS_BEFORE), day + timedelta(days=DAYS_AFTER))


def seating_of(shards: int, standby: bool) -> dict[str, Seating]:
    """Who sits where at first."""
    return {seat: Seating(f"{seat}.1", f"{seat}.2" if standby else "", started=2) for seat in seats_of(shards)}


class EngineRoom:
    """Hosts on Ray, a switch between them, and the supervisor once they are up."""

    def __init__(self, build: Build, folder: Path, care: Care, standby: bool, fleet: RayFleet) -> None:
        self.folder = folder
        self.seating = seating_of(build.beginning.shards, standby)
        self.hosts: dict[str, str] = {}  # that were started at the beginning: their seats
        shared = fleet.share(build)

        def start(host: str, seat: str, own: Path, node: str) -> None:
            fleet.seat(host, shared, host, seat, str(own), care)

        self.switch = Switch(fleet, folder, start)
        self.switch.host_tick_s = HOST_TICK_S
        self.supervisor = Supervisor(
            FolderDisk(folder / SUPERVISOR), self.seating, Patience(), standby, self.switch.now,
            dict.fromkeys(self._hosts(self.seating), NODE), promise=care.promise,
        )  # fmt: skip

    def _hosts(self, seating: Mapping[str, Seating]) -> dict[str, str]:
        return {host: seat for seat, one in seating.items() for host in one.hosts}

    def start(self) -> None:
        """Every host that the supervisor's journal knows, on its own folder; those that are being replaced are left to
        the supervisor. Raises FolderError where a folder is missing."""
        supervisor = self.supervisor
        replaced = {host for order in supervisor.coming.values() if not order.afresh for host in order.ended}
        self.hosts = {host: seat for host, seat in self._hosts(supervisor.seats).items() if host not in replaced}
        missing = [host for host in self.hosts if not (self.folder / host).exists()]
        if missing and not supervisor.is_new:
            gone = ", ".join(str(self.folder / host) for host in missing)
            raise FolderError(f"what hosts have kept must be there (got no {gone}); nothing is made up for it")
        for host, seat in self.hosts.items():
            self.switch.start(host, seat, NODE, is_new=supervisor.is_new)

    @property
    def is_up(self) -> bool:
        """Every host has recovered."""
        return set(self.hosts) <= {event.host for event in self.switch.events if event.what == "recovered"}

    @property
    def lost(self) -> str:
        """Why a host could not start; nothing where all could."""
        return next((str(event.told) for event in self.switch.events if event.what == "lost"), "")

    def lead(self) -> None:
        """From here on the supervisor listens, and says who leads."""
        self.supervisor.listen_from(self.switch.now)
        self.switch.supervisor = self.supervisor
