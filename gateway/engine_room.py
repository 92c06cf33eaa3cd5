"""The hosts that decide for the gateway: which seats there are, what they are built of, and how they are started."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from engine.host.disk import FolderDisk
from engine.host.ledger import LedgerHost
from engine.host.ledger_machine import LedgerMachine
from engine.host.machines import Machine
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
from engine.records import PARTITIONS

LEDGER, NODE = "ledger", "node-1"
SPARES = 1  # processes that wait for a seat
PATIENCE = Patience(lost=1_000, starting=120_000)
BEGINNING = "beginning.json"
DAYS_BEFORE, DAYS_AFTER = 1, 400  # of the calendar, around the beginning


class FolderError(Exception):
    """A folder is of another gateway than it is opened for; says what differs."""


@dataclass(frozen=True)
class Beginning:
    """What never changes while a folder is used: hosts replay their journals on it."""

    policy: str  # its name
    customers: int  # room for so many
    shards: int
    start_ms: int

    @classmethod
    def of_folder(cls, folder: Path, policy: str, customers: int, shards: int) -> "Beginning":
        """The folder's, or one that begins now. Raises FolderError."""
        file = folder / BEGINNING
        wanted = cls(policy, customers, shards, time.time_ns() // 1_000_000)
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            new = file.with_suffix(".new")
            new.write_text(json.dumps(asdict(wanted), indent=1))
            new.rename(file)
            return wanted
        found = cls(**json.loads(file.read_text("utf-8")))
        differ = [
            f"{file}: {name} must be {getattr(found, name)}, as when the folder began (got {getattr(wanted, name)})"
            for name in ("policy", "customers", "shards")
            if getattr(found, name) != getattr(wanted, name)
        ]
        if differ:
            raise FolderError("\n".join(differ))
        return found


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
            return LedgerMachine(ledger)
        number = int(seat.removeprefix("shard-"))
        first, end = self.bounds[number]
        shard = CustomerShard(first, end - first, policy.tables, policy.registry.slots)
        shard.customers[:] = newcomer()[0]
        shard.take_bulletin(ledger.bulletin())
        return ShardMachine(number, shard, -(-self.beginning.customers // PARTITIONS), live=True)

    def warm(self) -> None:
        """Have everything loaded that a host calls."""
        few = Build(self.policy, Beginning(self.beginning.policy, WARM_CUSTOMERS, 1, self.beginning.start_ms))
        warm_up({seat: few(seat, True) for seat in (LEDGER, "shard-0")}, self.beginning.start_ms)


def compiled_for(policy: Policy, start_ms: int) -> CompiledPolicy:
    """A policy with the calendar around a beginning."""
    day = datetime.fromtimestamp(start_ms / 1_000, ZoneInfo(policy.time_zone)).date()
    return compile_policy(policy, day - timedelta(days=DAYS_BEFORE), day + timedelta(days=DAYS_AFTER))


def seats_of(shards: int) -> list[str]:
    return [LEDGER, *(f"shard-{shard}" for shard in range(shards))]


def seating_of(shards: int, standby: bool) -> dict[str, Seating]:
    """Who sits where at first."""
    return {seat: Seating(f"{seat}.1", f"{seat}.2" if standby else "", started=2) for seat in seats_of(shards)}


class EngineRoom:
    """Hosts on Ray, a switch between them, and the supervisor once they are up."""

    def __init__(self, build: Build, folder: Path, care: Care, standby: bool, fleet: RayFleet) -> None:
        self.folder, self.care, self.standby, self.fleet = folder, care, standby, fleet
        self.seating = seating_of(build.beginning.shards, standby)
        shared = fleet.share(build)

        def start(host: str, seat: str, own: Path, node: str) -> None:
            fleet.seat(host, shared, host, seat, str(own), care)

        self.switch = Switch(fleet, folder, start)
        self.supervisor = Supervisor(
            FolderDisk(folder / SUPERVISOR), self.seating, PATIENCE, standby, self.switch.now,
            dict.fromkeys(self._hosts(self.seating), NODE), promise=care.promise,
        )  # fmt: skip

    def _hosts(self, seating: Mapping[str, Seating]) -> dict[str, str]:
        return {host: seat for seat, one in seating.items() for host in one.hosts}

    def start(self) -> None:
        """Every host that the supervisor's journal knows, on its own folder."""
        for host, seat in self._hosts(self.supervisor.seats).items():
            self.switch.start(host, seat, NODE)

    @property
    def is_up(self) -> bool:
        """Every host has recovered."""
        return bool(self.switch.boxes) and not any(box.busy or box.gone for box in self.switch.boxes.values())

    @property
    def lost(self) -> str:
        """Why a host could not start; nothing where all could."""
        return next((str(event.told) for event in self.switch.events if event.what == "lost"), "")

    def lead(self) -> None:
        """From here on the supervisor listens, and says who leads."""
        now = self.switch.now
        self.supervisor.seen = dict.fromkeys(self.supervisor.seen, now)
        self.supervisor.spoke = dict(self.supervisor.seen)
        self.switch.supervisor = self.supervisor

    def state(self) -> dict[str, Any]:
        """Who leads, for whoever asks whether all is well."""
        return {seat: one.leader for seat, one in self.supervisor.seats.items()}
