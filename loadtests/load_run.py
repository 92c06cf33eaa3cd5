"""One run of load: the tape, the target, the generators, and what came of it."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from loadtests.bench_servers import ROOT, BenchError, free_port, last_line
from loadtests.generator import tape as tapes
from loadtests.generator.adapters import adapter_in
from loadtests.generator.arrivals import POISSON
from loadtests.generator.meters import Meter, added
from loadtests.generator.plan import DROPPED_AFTER_S, PLAN, LoadPlan
from loadtests.generator.profiles import Profile, Stage, starts
from loadtests.generator.tape import Tape, Taped
from loadtests.host_processes import GATEWAY, HostProcesses
from loadtests.journeys import Mix, People, lived, mixed, steps
from loadtests.machine import GENERATOR, Part, Sample, Watch
from loadtests.target import OUR_ADAPTER, Target, enrolled, our_gateway

LOCUST = (sys.executable, "-m", "locust")
LOCUSTFILE = ROOT / "loadtests" / "locustfile.py"
SPARE_S = 120.0  # beyond its stages, after which a generator is taken for stuck
Tell = Callable[[float], None]


@dataclass(frozen=True)
class LoadOptions:
    """What the command line says."""

    scenario: Path
    rate: float = 200.0  # arrivals/s at most
    seconds: float = 30.0
    customers: int = 2_000
    days: int = 2
    seed: int = 1
    shards: int = 2
    standby: bool = False
    connections: int = 200
    generators: int = 1
    law: str = POISSON
    url: str = ""  # of a service that runs already
    key: str = ""
    adapter: Path | None = None
    ca_file: str = ""
    mix: Mix = field(default_factory=Mix)


@dataclass(frozen=True)
class Loaded:
    """What generators and machine said of one plan."""

    plan: LoadPlan
    profile: str
    began: float  # seconds since 1970, of the first stage
    stages: list[Meter]
    actions: dict[str, Meter]
    times: list[list[float]]  # by generator: when arrivals were handed over
    busy: list[list[tuple[float, float]]]  # by generator: seconds since it began, share of a core
    samples: list[Sample]
    series: dict[str, list[int]]  # by when requests were due, see meters.Series
    answered: dict[int, int]  # requests of each customer that were answered with success

    def span(self, stage: int) -> tuple[float, float]:
        """Seconds since 1970."""
        edges = starts(self.plan.stages)
        return self.began + edges[stage], self.began + edges[stage + 1]


def taped(people: People, options: LoadOptions, profile: Profile, adapter: Any) -> Tape:
    """Everything that is sent, as the adapter says it."""
    found = mixed(list(steps(people)), options.mix, profile.manners, options.seed)
    requests = ((step, adapter.request(asdict(step))) for step in found)
    return tapes.made(Taped(step.journey, step.customer, one) for step, one in requests if one is not None)


@contextmanager
def target_of(options: LoadOptions, people: People, folder: Path) -> Iterator[Target]:
    """Raises BenchError, AdapterError."""
    if options.url:
        adapter = adapter_in(options.adapter or OUR_ADAPTER)
        headers = adapter.headers(options.key) if hasattr(adapter, "headers") else bearer(options.key)
        with nullcontext():
            yield Target(options.url.rstrip("/"), adapter, headers)
    else:
        with our_gateway(people, options.shards, options.standby, folder) as target:
            yield target


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} if key else {}


class Bench:
    """A target that is ready and a tape for it: runs plans, one after the other."""

    def __init__(self, options: LoadOptions, target: Target, profile: Profile, people: People, folder: Path) -> None:
        self.options, self.target, self.profile, self.folder = options, target, profile, folder
        self.tape = taped(people, options, profile, target.adapter)
        tapes.written(self.tape, folder / "tape")
        self.people, self.runs = people, 0
        self.at_end: Callable[[], None] = lambda: None  # once the target has ended, before its folder goes

    def run(
        self, stages: Sequence[Stage], tell: Tell = lambda share: None, begun: Callable[[float], None] | None = None
    ) -> Loaded:
        """begun: is told when it begins, in seconds since 1970. Raises BenchError."""
        place, result = (self.folder / f"{name}-{self.runs}.json" for name in ("plan", "found"))
        plan = self.plan(stages, str(result))
        self.runs += 1
        plan.write(place)
        samples = generated(place, plan, self.target, tell, begun)
        found = json.loads(result.read_text("utf-8"))
        return loaded(plan, self.profile.name, found, samples)

    def plan(self, stages: Sequence[Stage], result: str) -> LoadPlan:
        """Of the next run: other arrivals and other ids than those before."""
        options = self.options
        return LoadPlan(
            self.target.url, str(self.folder / "tape"), list(stages), options.seed + self.runs, self._salt(),
            options.law, options.connections, options.generators, self.profile.manners, self.target.headers,
            absolute(options.ca_file), absolute(options.adapter), DROPPED_AFTER_S, result,
        )  # fmt: skip

    def _salt(self) -> str:
        """Ids of a run are its own: what was sent under the same one is not carried out again."""
        own = f"{self.options.seed}.{self.runs}"
        return f"{own}.{time.time_ns() // 1_000_000}" if self.options.url else own


def absolute(path: Path | str | None) -> str:
    """Generators run in a folder of their own."""
    return str(Path(path).absolute()) if path else ""


@contextmanager
def bench_of(profile: Profile, options: LoadOptions, folder: Path) -> Iterator[Bench]:
    """A target with everybody known. Raises BenchError, AdapterError, and what reading a scenario does."""
    people = lived(options.scenario, options.customers, options.days, options.seed)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.absolute(), prefix=".load-") as place:
        with target_of(options, people, Path(place)) as target:
            enrolled(target, people, options.ca_file)
            bench = Bench(options, target, profile, people, Path(place))
            yield bench
        bench.at_end()


def generated(
    place: Path, plan: LoadPlan, target: Target, tell: Tell, begun: Callable[[float], None] | None
) -> list[Sample]:
    """Locust runs a plan to its end; what the machine did meanwhile. Raises BenchError."""
    seconds = sum(stage.seconds for stage in plan.stages)
    environment = os.environ | {
        PLAN: str(place),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "GEVENT_BACKEND": "select",  # epoll counts in whole milliseconds, too coarse for what is due
    }
    with tempfile.TemporaryFile("w+") as said:
        processes = [
            subprocess.Popen([*LOCUST, *words], env=environment, cwd=ROOT, stdout=said, stderr=said)
            for words in commands(plan)
        ]
        ends = threading.Timer(seconds + SPARE_S, end_all, [processes])
        ends.start()
        try:
            with Watch(parts_of(target, [one.pid for one in processes])) as watch:
                began = time.monotonic()
                while processes[0].poll() is None:
                    tell(min(1.0, (time.monotonic() - began) / seconds))
                    if begun is not None and (at := begins_at(plan)):
                        begun(at)
                        begun = None
                    time.sleep(0.1)
            codes = [process.wait() for process in processes]
        finally:
            ends.cancel()
            end_all(processes)
        if not Path(plan.result).is_file():
            said.seek(0)
            raise BenchError(f"the generators ended with {codes} without a result: {last_line(said.read())}")
    return watch.samples


def parts_of(target: Target, generators: Sequence[int]) -> dict[str, Part]:
    """What is watched, by name."""
    parts = {GENERATOR if at == 0 else f"{GENERATOR} {at}": Part(process) for at, process in enumerate(generators)}
    if target.process:
        known = HostProcesses(target.log)
        parts[GATEWAY] = Part(target.process, known.name, known.read)
    return parts


def begins_at(plan: LoadPlan) -> float:
    """Seconds since 1970, as the generators say; 0 until they do."""
    said = Path(plan.begins)
    return float(said.read_text("utf-8") or 0.0) if said.is_file() else 0.0


def end_all(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    for process in processes:
        process.kill()


def commands(plan: LoadPlan) -> list[list[str]]:
    """Words of each process: one alone, or a master and its workers."""
    common = ["-f", str(LOCUSTFILE), "--host", plan.url, "--only-summary", "--loglevel", "WARNING"]
    alone = [*common, "--headless"]
    if plan.generators == 1:
        return [alone]
    port = str(free_port())
    master = [*alone, "--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port,
              "--expect-workers", str(plan.generators)]  # fmt: skip
    worker = [*common, "--worker", "--master-host", "127.0.0.1", "--master-port", port]
    return [master, *([worker] * plan.generators)]


def loaded(plan: LoadPlan, profile: str, found: Sequence[dict[str, Any]], samples: list[Sample]) -> Loaded:
    """Histograms of all generators, added up."""
    stages = [Meter() for _ in plan.stages]
    actions: dict[str, Meter] = {}
    for one in found:
        for meter, more in zip(stages, one["stages"], strict=True):
            meter.add(Meter.from_json(more))
        for name, more in one["actions"].items():
            actions.setdefault(name, Meter()).add(Meter.from_json(more))
    return Loaded(plan, profile, min(one["began"] for one in found), stages, actions,
                  [one["times"] for one in found], [one["busy"] for one in found], samples,
                  added([one["series"] for one in found]), answered_by(found))  # fmt: skip


def answered_by(found: Sequence[dict[str, Any]]) -> dict[int, int]:
    """Each customer's requests are one generator's."""
    return {int(customer): count for one in found for customer, count in one["answered"].items()}
