"""Judges mutants: scenarios run as they stand, then with one change of their policy, until an expectation notices.

The cheapest come first: runs before comparisons. A mutant is killed by an expectation that held and holds no more, or
by an invariant that breaks; another digest kills nobody (FIDELITY 14).
"""

import multiprocessing
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from engine.policy.yaml_source import DocumentError
from results.store import Run
from scenarios.compare import CompareOptions, Comparison, compare
from scenarios.expect import Verdict, decides
from scenarios.load import LoadedScenario, Options, load_scenario
from scenarios.mutants import Mutant
from scenarios.pytest_plugin import ADDS_UP, COMPARES, compared, shown_path, unwatched
from scenarios.rivals import own, variants
from scenarios.rows import SUFFIX as ROWS_SUFFIX
from scenarios.rows import load_rows
from scenarios.rows_played import Played, plays_of
from scenarios.run import RunOptions, RunResult, run_scenario

J = TypeVar("J")
R = TypeVar("R")
# Where a scenario says what is expected of a figure that a change has taken away: a lift without a holdout.
EXPECTED = re.compile(r":\d+: ((?:compare\.)?expect)\[(\d+)\] ")
ROWS = "rows"
LISTS = {ADDS_UP: "expect", COMPARES: "compare.expect"}
COUNTED = {"waterfall": "candidates", "claims": "claims"}  # tables of how every decision and claim ended
CLEAR_SHARE, CLEAR_COUNT, CLEAREST_MOST = 0.1, 10, 3  # of figures without an interval; and how many are told
KILLED, SURVIVED, ERROR, NOT_JUDGED, NONE = "killed", "survived", "error", "not judged", "no mutant"


@dataclass(frozen=True)
class Step:
    """A scenario's run, its comparison, or a table of rows: what `test` stands for."""

    file: Path
    test: str  # ADDS_UP, COMPARES or ROWS
    policy: Path
    work: float  # days of customers, about
    sets: tuple[str, ...]  # what the scenario itself says of the policy

    @property
    def shown(self) -> str:
        return str(shown_path(self.file))

    @property
    def order(self) -> tuple[bool, float, str]:
        return self.test == COMPARES, self.work, self.shown

    def sees(self, mutant: Mutant) -> bool:
        """Whether the change is of what the scenario lives under: what it sets itself, no line of the policy says."""
        return self.policy == mutant.policy and not any(is_within(mutant.path, path) for path in self.sets)


def is_within(path: str, around: str) -> bool:
    return path == around or path.startswith((f"{around}.", f"{around}["))


class Figure(NamedTuple):
    """A metric that an expectation could name, with the interval it would have."""

    value: float
    low: float | None
    high: float | None
    unit: str

    def clear(self, other: "Figure") -> float:
        """How much another value differs, as a share of the greater; 0 where chance could have done it."""
        moved, size = abs(other.value - self.value), max(abs(self.value), abs(other.value))
        if self.low is not None and self.high is not None:
            is_clear = not self.low <= other.value <= self.high
        else:
            is_clear = moved > CLEAR_SHARE * size and (self.unit != "count" or moved >= CLEAR_COUNT)
        return moved / size if is_clear and size else 0.0


@dataclass(frozen=True)
class Standing:
    """What became of one step."""

    step: Step
    outcome: str  # holds, broken, error or unreadable
    problem: str = ""
    verdicts: tuple[Verdict | Played, ...] = ()
    digest: str = ""
    counts: Mapping[tuple[Any, ...], int] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def held(self) -> set[str]:
        return {verdict.text for verdict in self.verdicts if not verdict.missed}

    def missed(self, held: set[str]) -> Verdict | Played | None:
        """The first that holds no more."""
        return next((verdict for verdict in self.verdicts if verdict.missed and verdict.text in held), None)

    def differ(self, other: "Standing") -> int:
        """How many decisions and claims ended otherwise, at least: those that changed places are not seen."""
        keys = {*self.counts, *other.counts}
        moved = sum(abs(self.counts.get(key, 0) - other.counts.get(key, 0)) for key in keys)
        return (moved + 1) // 2

    def clearest(self, other: "Standing") -> tuple[tuple[str, Figure, Figure], ...]:
        """The figures that an expectation could have told them apart by, the clearest first."""
        both = {name: (one, other.figures[name]) for name, one in self.figures.items() if name in other.figures}
        clear = [(name, *pair) for name, pair in both.items() if pair[0].clear(pair[1])]
        return tuple(sorted(clear, key=lambda row: (-row[1].clear(row[2]), row[0]))[:CLEAREST_MOST])


@dataclass(frozen=True)
class Fate:
    """What became of a mutant. changed: decisions and claims, where it survived; met: whether any state differed."""

    mutant: Mutant
    outcome: str
    scenario: str = ""
    by: str = ""  # the expectation, or the test of invariants
    problem: str = ""
    changed: int = 0
    met: bool = False
    clearest: tuple[tuple[str, Figure, Figure], ...] = ()


# --- steps ------------------------------------------------------------------------------------------------------------
def steps_of(file: Path, customers: int | None) -> list[Step]:
    """Raises DocumentError."""
    if file.name.endswith(ROWS_SUFFIX):
        return [Step(file, ROWS, shown_path((file.parent / load_rows(file).table.policy).resolve()), 0.0, ())]
    loaded = load_scenario(shown_path(file), Options(customers=customers))
    scenario, block = loaded.scenario, compared(loaded, customers).scenario.compare
    days = scenario.before + scenario.days + scenario.after
    policy = shown_path((file.parent / scenario.policy).resolve())
    sets = tuple(path.removeprefix("policy.") for path in scenario.set if path.startswith("policy."))
    steps = [Step(file, ADDS_UP, policy, float(days * scenario.customers), sets)]
    if block.expect:
        lives = block.worlds * (1 + len(block.policies) + 2 * len(block.truth)) * block.customers
        steps.append(Step(file, COMPARES, policy, float(days * lives), sets))
    return steps


def standing(step: Step, customers: int | None, mutant: Mutant | None = None) -> Standing:
    """Live a step through, with a change of its policy or as it stands; nothing is kept."""
    try:
        if step.test == ROWS:
            return standing_of_rows(step, mutant)
        loaded = load_scenario(
            shown_path(step.file), Options(customers=customers, set=mutant.change if mutant is not None else {})
        )
        with tempfile.TemporaryDirectory(prefix="windtunnel-mutant-") as folder:
            play = played_run if step.test == ADDS_UP else played_comparison
            found = play(loaded, Path(folder), customers)
            return standing_of(step, found)
    except DocumentError as error:
        return Standing(step, "unreadable", str(error))
    except AssertionError as error:
        return Standing(step, "broken", sentence(error))
    except Exception as error:
        return Standing(step, "error", sentence(error))


def sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    return f"{type(error).__name__}: {lines[-1]}"


def played_run(loaded: LoadedScenario, out: Path, customers: int | None) -> RunResult:
    return run_scenario(loaded, RunOptions(out=out, inline=True, report=False))


def played_comparison(loaded: LoadedScenario, out: Path, customers: int | None) -> Comparison:
    small = compared(loaded, customers)
    options = CompareOptions(out=out, workers=1, assumption_sets=0, cache=False, report=False)
    return compare(small, [own(small), *variants(small)], options, unwatched)


def standing_of_rows(step: Step, mutant: Mutant | None) -> Standing:
    loaded = load_rows(shown_path(step.file), {} if mutant is None else {mutant.path: mutant.text})
    played = tuple(play() for _, play in plays_of(loaded))
    return Standing(step, "holds", "", played, digest=" ".join(row.digest for row in played))


def standing_of(step: Step, found: RunResult | Comparison) -> Standing:
    figures = {
        name: Figure(estimate.value, estimate.low, estimate.high, estimate.unit)
        for name, estimate in found.estimates.items()
        if estimate.value is not None and decides(estimate)
    }
    manifest, counts = (found.manifest, {}) if isinstance(found, Comparison) else (found.run.manifest, ends(found.run))
    return Standing(step, "holds", "", tuple(found.verdicts), str(manifest["digest"]), counts, figures)


def ends(run: Run) -> dict[tuple[Any, ...], int]:
    """How often each message and each claim ended in which way, by day."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for name, number in COUNTED.items():
        if not (run.folder / "tables" / f"{name}.parquet").is_file():
            continue
        columns = run.table(name)
        keys = [columns[key] for key in columns if key != number]
        for *key, count in zip(*keys, columns[number], strict=True):
            counts[name, *map(str, key)] += int(count)
    return dict(counts)


# --- one mutant -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Bench:
    """What mutants are held against: every step as it stands, the cheapest first."""

    stands: tuple[Standing, ...]
    customers: int | None
    end: float | None = None  # seconds of time.time(), after which nothing new begins

    def over(self) -> bool:
        return self.end is not None and time.time() >= self.end

    def fate(self, mutant: Mutant) -> Fate:
        """Try one scenario after the other until one notices."""
        tried: list[tuple[Standing, Standing]] = []
        for stands in self.stands:
            if not stands.step.sees(mutant):
                continue
            if self.over():
                return Fate(mutant, NOT_JUDGED, stands.step.shown, problem="begun, and not ended in time")
            found = standing(stands.step, self.customers, mutant)
            killer = self.killer(stands, found)
            if killer is not None:
                return Fate(mutant, KILLED, stands.step.shown, *killer, met=True)
            tried.append((stands, found))
        return not_killed(mutant, tried)

    def killer(self, stands: Standing, found: Standing) -> tuple[str, str] | None:
        """The expectation or test that notices, and what it says."""
        if found.outcome == "broken":
            return stands.step.test, found.problem
        if found.outcome == "unreadable":
            return lost_figure(stands, found.problem)
        verdict = found.missed(stands.held)
        return (verdict.text, verdict.sentence()) if verdict is not None else None


def not_killed(mutant: Mutant, tried: Sequence[tuple[Standing, Standing]]) -> Fate:
    """What is to be said of a mutant, by what there was as it stands and with it."""
    for outcome, end in (("error", ERROR), ("unreadable", NONE)):
        for stands, found in tried:
            if found.outcome == outcome:
                return Fate(mutant, end, stands.step.shown, problem=found.problem)
    clearest = (stands.clearest(found) for stands, found in tried)
    return Fate(
        mutant,
        SURVIVED,
        problem="" if tried else "each scenario sets it itself",
        changed=sum(found.differ(stands) for stands, found in tried),
        met=any(found.digest != stands.digest for stands, found in tried),
        clearest=next(filter(None, clearest), ()),
    )


def lost_figure(stands: Standing, problem: str) -> tuple[str, str] | None:
    """The expectation that held of a figure that is no more, where nothing else keeps the scenario from being read."""
    lines = problem.splitlines()
    places = [EXPECTED.match(line.removeprefix(stands.step.shown)) for line in lines]
    for place, line in zip(places, lines, strict=True):
        if all(places) and place is not None and place[1] == LISTS[stands.step.test]:
            verdict = stands.verdicts[int(place[2])]
            if not verdict.missed:
                return verdict.text, line
    return None


# --- beside each other ------------------------------------------------------------------------------------------------
def worked_off(jobs: Sequence[J], work: Callable[[J], R], cores: int, over: Callable[[], bool]) -> Iterator[R]:
    """What comes of each job, as it comes; none begins once it is over."""
    if cores == 1:
        for job in jobs:
            if over():
                return
            yield work(job)
        return
    waiting, running = list(jobs), set[Future[R]]()
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < cores and not over():
                    running.add(pool.submit(work, waiting.pop(0)))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
