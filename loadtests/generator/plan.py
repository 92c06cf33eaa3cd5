"""What one run of load is: handed to every generator as a file of JSON."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from loadtests.generator.arrivals import POISSON, Schedule, schedule_of
from loadtests.generator.profiles import Manners, Stage
from loadtests.generator.tape import Tape

PLAN = "WINDTUNNEL_LOAD_PLAN"  # variable of the environment with the path of a plan
DROPPED_AFTER_S = 1.0  # who was due so long ago and is not sent is dropped
ANSWERED_WITHIN_S = 30.0


@dataclass(frozen=True)
class LoadPlan:
    """Where, what, when."""

    url: str
    tape: str  # a folder
    stages: list[Stage]
    seed: int
    salt: str  # of the ids that requests are sent under
    law: str = POISSON
    connections: int = 200  # of all generators together
    generators: int = 1
    manners: Manners = field(default_factory=Manners)
    headers: dict[str, str] = field(default_factory=dict)
    ca_file: str = ""  # that vouches for the server
    adapter: str = ""  # file of an adapter that tells success from failure; without, statuses do
    dropped_after_s: float = DROPPED_AFTER_S
    result: str = ""  # the file that what was found is written to

    @property
    def begins(self) -> str:
        """The file that says when it begins, once that is known; beside the result."""
        return f"{self.result}.begins" if self.result else ""

    @property
    def connections_each(self) -> int:
        """Of one generator."""
        return max(1, round(self.connections / self.generators))

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def read(cls, path: Path) -> "LoadPlan":
        said = json.loads(path.read_text("utf-8"))
        said["stages"] = [Stage(**stage) for stage in said["stages"]]
        said["manners"] = Manners(**said["manners"])
        return cls(**said)


@dataclass(frozen=True)
class Arrival:
    """A request that falls due."""

    number: int  # of all arrivals of the run
    due_s: float
    stage: int
    entry: int  # of the tape
    twice: bool = False
    slowly: bool = False


def order_of(plan: LoadPlan, tape: Tape, schedule: Schedule) -> np.ndarray:
    """i8[arrivals]: entry of the tape for each; the tape begins again at its end."""
    return np.arange(len(schedule.due_s)) % len(tape)


def share_of(plan: LoadPlan, tape: Tape, generator: int) -> Iterator[Arrival]:
    """The arrivals of one generator, in order of time: those of its customers, whose requests stay in their order."""
    schedule = schedule_of(plan.stages, plan.seed, plan.law)
    entries = order_of(plan, tape, schedule)
    mine = np.flatnonzero(tape.index["customer"][entries] % plan.generators == generator)
    chance = np.random.Generator(np.random.Philox(plan.seed + 1)).random((len(entries), 2))
    for number in mine.tolist():
        entry = int(entries[number])
        twice = plan.manners.repeated > chance[number, 0] and tape.route(entry).has_id
        slowly = plan.manners.slow > chance[number, 1]
        yield Arrival(number, float(schedule.due_s[number]), int(schedule.stage[number]), entry, twice, slowly)
