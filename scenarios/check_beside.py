"""Scenarios judged beside each other: processes that take one scenario after the other, the longest first."""

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from engine.policy.yaml_source import DocumentError
from scenarios.load import Options, load_scenario
from scenarios.pytest_plugin import ADDS_UP, Finding, shown_path

NOT_JUDGED = "not judged"
# A life with a Ledger settles every few minutes, however few its customers are: a day of it is worth so many customers.
A_DAY_OF_SETTLING = 100_000


@dataclass(frozen=True)
class Judged:
    """What became of one scenario, and how pytest ended."""

    findings: list[Finding]
    code: int


Judge = Callable[[Path], Judged]  # can be sent to another process


def judged_beside(files: Sequence[Path], judge: Judge, cores: int, minutes: float | None) -> Iterator[Judged]:
    """In the order of the files, each once those before it have come. Scenarios that have not begun after so many
    minutes are not judged."""
    there: dict[Path, Judged] = {}
    left = list(files)
    for file, judged in as_they_come(files, judge, cores, minutes):
        there[file] = judged
        while left and left[0] in there:
            yield there.pop(left.pop(0))


def as_they_come(
    files: Sequence[Path], judge: Judge, cores: int, minutes: float | None
) -> Iterator[tuple[Path, Judged]]:
    waiting = sorted(map(task_of, files), key=lambda one: -one.work)
    running = dict[Future[Judged], Task]()
    end = time.monotonic() + 60.0 * minutes if minutes is not None else None
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            while waiting or running:
                while (end is None or time.monotonic() < end) and (task := next_of(waiting, running.values(), cores)):
                    waiting.remove(task)
                    running[pool.submit(judge, task.file)] = task
                if end is not None and time.monotonic() >= end:
                    yield from ((task.file, not_begun(task.file, minutes or 0.0)) for task in waiting)
                    waiting = []
                if running:
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        yield running.pop(future).file, future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@dataclass(frozen=True)
class Task:
    """A scenario to be judged."""

    file: Path
    scenario: str  # its name; empty where it cannot be read
    work: float  # days of customers, or what is worth as much


def next_of(waiting: Sequence[Task], running: Iterable[Task], cores: int) -> Task | None:
    """The longest that may begin: two of one name would want the same folder for their runs."""
    names = [task.scenario for task in running]
    return next((task for task in waiting if task.scenario not in names), None) if len(names) < cores else None


def not_begun(file: Path, minutes: float) -> Judged:
    problem = f"not begun: the {minutes:g} minutes of --minutes were spent; take more, or fewer scenarios"
    return Judged([Finding(str(shown_path(file)), ADDS_UP, NOT_JUDGED, problem)], 0)


def task_of(file: Path) -> Task:
    try:
        loaded = load_scenario(file, Options())
    except DocumentError:
        return Task(file, "", 0.0)
    scenario, block = loaded.scenario, loaded.scenario.compare
    settling = A_DAY_OF_SETTLING if loaded.policy.coupons else 0
    lives = block.worlds * (1 + len(block.policies) + len(block.truth)) if block.expect else 0
    days = scenario.before + scenario.days + scenario.after
    each_day = scenario.customers + settling + lives * (block.customers + settling)
    return Task(file, scenario.scenario, float(days * each_day))
