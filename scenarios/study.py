"""A study: worlds, each a population that lives on from one snapshot under several policies; sums are kept, not people.

The past of a world is lived once, then every branch goes on from it with the same luck. What is kept of a world is
cached under a hash of everything it depends on, so a study that was stopped goes on where it was.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from engine.compiled import ROOT
from engine.dispatch import Entry
from engine.host.ray_cluster import RayPool, cluster
from engine.policy.tables import CompiledPolicy
from engine.records import DAY_MS
from scenarios.document import Scenario
from scenarios.lone_world import LoneWorld
from scenarios.outputs import Days
from scenarios.population_document import Population
from scenarios.worker import RunPlan
from scenarios.world_rows import Branch, Contrast, Life, Rows, rows_of
from sim.cohort import Spans

SOURCES = (
    "engine/**/*.py",
    "engine/policy/*.yaml",
    "sim/**/*.py",
    "scenarios/*.py",
    "scenarios/library/support/*.yaml",
    "results/estimators.py",
)  # whatever a world's sums may depend on
SETTLEMENT_COSTS = 50  # customer-days, however few customers
ON_RAY_FROM = 40_000_000  # customer-days; below, starting Ray takes longer than it saves
Progress = Callable[[float], None]
Task = tuple[int, int]  # number of the plan, replication


@dataclass(frozen=True)
class WorldPlan:
    """Everything a world depends on but its replication."""

    scenario: Scenario
    population: Population
    baseline: CompiledPolicy
    paused_before: tuple[int, ...]
    branches: tuple[Branch, ...]
    contrasts: tuple[Contrast, ...]
    truth: tuple[str, ...]  # campaigns whose reached customers are kept apart
    spans: Spans
    customers: int
    peaks: tuple[tuple[int, int], ...] = ()  # [from, until) in ms, settled every second

    @property
    def own(self) -> str:
        """The branch whose holdouts are analysed."""
        return self.branches[0].name

    @cached_property
    def key(self) -> str:
        """Hash of everything that a world's sums depend on, sources included."""
        digest = hashlib.blake2b(sources_hash().encode(), digest_size=12)
        parts = [repr(self.population), repr(self.baseline.policy)]
        for branch in self.branches:
            parts += [branch.name, repr(branch.policy.policy), repr((branch.paused, branch.paused_after))]
        parts += [repr(value) for value in (self.paused_before, self.contrasts, self.truth, self.spans)]
        parts.append(repr((self.customers, self.peaks)))
        scenario = self.scenario
        parts.append(repr((scenario.seed, scenario.start, scenario.before, scenario.days, scenario.after)))
        for part in parts:
            digest.update(part.encode() + b"\0")
        return digest.hexdigest()

    @property
    def customer_days(self) -> int:
        """Of all branches, with what settling costs."""
        scenario = self.scenario
        days = scenario.before + len(self.branches) * (scenario.days + scenario.after)
        return days * (self.customers + SETTLEMENT_COSTS * DAY_MS // self.spans.step)

    def run_plan(self, branch: Branch, replication: int) -> RunPlan:
        return RunPlan(
            self.population, replicated(self.baseline, replication), replicated(branch.policy, replication),
            self.paused_before, branch.paused_after, self.spans, self.scenario.seed, replication, paused=branch.paused,
            customers=self.customers, peaks=self.peaks,
        )  # fmt: skip


def sources_hash() -> str:
    digest = hashlib.blake2b(digest_size=8)
    for pattern in SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def replicated(compiled: CompiledPolicy, replication: int) -> CompiledPolicy:
    """The same policy in another world: the replication is part of every experiment's salt."""
    policy = compiled.tables.policy.copy()
    policy["replication"] = replication
    return replace(compiled, tables=compiled.tables._replace(policy=policy))


class Player:
    """Plays worlds of some plans; an actor's inside."""

    def __init__(self, plans: Sequence[WorldPlan]) -> None:
        self.plans = plans

    def play(self, task: Task) -> Rows:
        """The sums of one world."""
        number, replication = task
        plan = self.plans[number]
        first = plan.run_plan(plan.branches[0], replication)
        past = LoneWorld(first, plan.customers)
        past.run(until=plan.spans.launch)
        segments = past.worker.shard.segments(plan.spans.launch)
        lives = [self._lived(past, plan, branch, replication) for branch in plan.branches]
        scenario = plan.scenario
        days = Days(plan.branches[0].policy, scenario.start, scenario.before, scenario.days, scenario.after)
        names = [*plan.baseline.policy.segments, "other"]
        return rows_of(lives, plan.contrasts, plan.own, days, segments, names)

    def _lived(self, past: LoneWorld, plan: WorldPlan, branch: Branch, replication: int) -> Life:
        world = past.fork(plan.run_plan(branch, replication))
        world.run(since=plan.spans.launch)
        try:
            return Life.of(branch, world, plan.truth)
        finally:
            Entry.forget()  # a world that has ended is not kept


# --- cache ------------------------------------------------------------------------------------------------------------
class Cache:
    """Worlds played before, one JSON file each under the hash of their plan."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def file(self, plan: WorldPlan, replication: int) -> Path | None:
        return None if self.folder is None else self.folder / plan.key / f"{replication}.json"

    def get(self, plan: WorldPlan, replication: int) -> Rows | None:
        file = self.file(plan, replication)
        if file is None or not file.is_file():
            return None
        try:
            rows: Rows = json.loads(file.read_text("utf-8"))
        except ValueError:  # cut short by a full disk: play it again
            return None
        return rows

    def put(self, plan: WorldPlan, replication: int, rows: Rows) -> None:
        file = self.file(plan, replication)
        if file is None:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(f".{os.getpid()}.writing")
        draft.write_text(json.dumps(rows), "utf-8")
        os.replace(draft, file)


# --- playing ----------------------------------------------------------------------------------------------------------
class Study:
    """Plays worlds of some plans, each once, on as many cores as there are; goes on where it was stopped."""

    def __init__(self, plans: Sequence[WorldPlan], cache: Cache, workers: int | None, address: str | None) -> None:
        self.plans, self.cache, self.address = list(plans), cache, address
        self.workers = workers or os.cpu_count() or 1
        self._stack = ExitStack()
        self._pool: RayPool | None = None

    def __enter__(self) -> "Study":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def play(self, tasks: Sequence[Task], progress: Progress) -> dict[Task, Rows]:
        """The rows of each task. progress is told the share done."""
        found = {task: rows for task in tasks if (rows := self.cache.get(self.plans[task[0]], task[1])) is not None}
        left = [task for task in tasks if task not in found]
        progress(len(found) / max(len(tasks), 1))
        for task, rows in self._answers(left):
            self.cache.put(self.plans[task[0]], task[1], rows)
            found[task] = rows
            progress(len(found) / len(tasks))
        return {task: found[task] for task in tasks}

    def _answers(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Rows]]:
        work = sum(self.plans[number].customer_days for number, _ in tasks)
        if self._pool is None and (min(self.workers, len(tasks)) < 2 or (work < ON_RAY_FROM and self.address is None)):
            player = Player(self.plans)
            for task in tasks:
                yield task, player.play(task)
            return
        yield from self._started_pool().answers("play", tasks)

    def _started_pool(self) -> RayPool:
        """Actors on every core, started once and kept until the study ends."""
        if self._pool is None:
            self._stack.enter_context(cluster(self.address))
            self._pool = RayPool(Player, self.plans, self.workers)
            self._stack.callback(self._pool.close)
        return self._pool
