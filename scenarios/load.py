"""Reads a scenario with its policy, baseline and population; every problem of all of them at once."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from engine.policy.calendar_days import wall_ms
from engine.policy.document import Block, Policy
from engine.policy.registry import Registry
from engine.policy.tables import CompiledPolicy, compile_policy
from engine.policy.yaml_source import DocumentError, Loaded, read
from engine.records import DAY_MS
from scenarios.build import misfits
from scenarios.document import Population, Scenario, Without
from scenarios.expect import Expectation, ExpectationError
from scenarios.worker import RunPlan
from sim.cohort import Spans

# Between two settlements customers are independent; while a policy shares nothing (no stock, budget, invitation) there
# is nothing to settle, and cohorts may live a day at a time with the same result.
SETTLE_NOTHING_SHARED_MS = DAY_MS


@dataclass(frozen=True)
class Options:
    """What the command line may change of a scenario; None keeps the scenario's own."""

    customers: int | None = None
    days: int | None = None
    before: int | None = None
    after: int | None = None
    seed: int | None = None
    policy: Path | None = None


@dataclass(frozen=True)
class LoadedScenario:
    """A scenario ready to plan, and the texts it was read from."""

    path: Path
    scenario: Scenario
    policy: Policy
    baseline: Policy
    population: Population
    expectations: tuple[Expectation, ...]
    texts: dict[str, str]
    sources: dict[str, str]

    @property
    def paused(self) -> tuple[str, ...]:
        """Campaigns that customers did not live under before launch, and do not after the campaign."""
        if isinstance(self.scenario.baseline, Without):
            return tuple(self.scenario.baseline.without)
        return tuple(name for name in self.policy.campaigns if name not in self.baseline.campaigns)


class Reader:
    """Reads documents one after the other and keeps what is wrong with each."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def read(self, path: Path, model: type[Block]) -> Loaded | None:  # type: ignore[type-arg]
        try:
            return read(path, model)
        except DocumentError as error:
            self.problems += error.problems
            return None

    def say(self, source: str, problems: list[tuple[str, str]]) -> None:
        if problems:
            self.problems += DocumentError.at(source, problems).problems

    def check(self) -> None:
        if self.problems:
            raise DocumentError(self.problems)


def changed(scenario: Scenario, options: Options) -> Scenario:
    """The scenario with the command line's changes."""
    given = {
        name: getattr(options, name)
        for name in ("customers", "days", "before", "after", "seed")
        if getattr(options, name) is not None
    }
    return scenario.model_copy(update=given)


def load_scenario(path: Path, options: Options = Options(), copies: Path | None = None) -> LoadedScenario:
    """Read a scenario and everything it names. Raises DocumentError with all problems of all files.

    copies: folder of a finished run's inputs, read in place of what the scenario names.
    """
    reader = Reader()
    loaded = reader.read(path, Scenario)
    reader.check()
    assert loaded is not None
    scenario, folder = changed(loaded.document, options), path.parent
    paths = {"scenario.yaml": path, "policy.yaml": options.policy or folder / scenario.policy}
    paths["population.yaml"] = folder / scenario.population
    if isinstance(scenario.baseline, str):
        paths["baseline.yaml"] = folder / scenario.baseline
    if copies is not None:
        paths = {name: copies / name for name in paths}
    policy = reader.read(paths["policy.yaml"], Policy)
    population = reader.read(paths["population.yaml"], Population)
    baseline = reader.read(paths["baseline.yaml"], Policy) if "baseline.yaml" in paths else policy
    expectations = check_scenario(reader, loaded.source, scenario, policy.document if policy else None)
    if policy and population:
        reader.say(population.source, misfits(population.document, policy.document))
    reader.check()
    assert policy and population and baseline
    result = LoadedScenario(
        path, scenario, policy.document, baseline.document, population.document, tuple(expectations),
        {name: file.read_text("utf-8") for name, file in paths.items()},
        {"policy": policy.source, "baseline": baseline.source},
    )  # fmt: skip
    compiled(result)  # conditions are checked before anything runs
    return result


def check_scenario(reader: Reader, source: str, scenario: Scenario, policy: Policy | None) -> list[Expectation]:
    """What only the scenario and the policy together can say."""
    problems, expectations = [], []
    names = list(policy.campaigns) if policy else []
    known = ", ".join(names)
    if policy and isinstance(scenario.baseline, Without):
        for i, name in enumerate(scenario.baseline.without):
            if name not in names:
                problems.append((f"baseline.without[{i}]", f"must be one of the policy's campaigns: {known} (got {name})"))
    if policy and scenario.primary is not None and scenario.primary not in names:
        problems.append(("primary", f"must be one of the policy's campaigns: {known} (got {scenario.primary})"))
    for i, text in enumerate(scenario.expect):
        try:
            expectation = Expectation.parse(text)
            expectations.append(expectation)
            if policy and expectation.campaign is not None and expectation.campaign not in names:
                sentence = f"must name one of the policy's campaigns: {known} (got {expectation.campaign})"
                problems.append((f"expect[{i}]", sentence))
        except ExpectationError as error:
            problems.append((f"expect[{i}]", f"must be {error} (got {text})"))
    reader.say(source, problems)
    return expectations


def compiled(loaded: LoadedScenario, replication: int = 0) -> tuple[CompiledPolicy, CompiledPolicy]:
    """(baseline, policy) as arrays over the run's days, with one numbering of campaigns."""
    scenario = loaded.scenario
    first = scenario.start - timedelta(days=scenario.before + 1)
    last = scenario.start + timedelta(days=scenario.days + scenario.after + 1)
    registry = Registry()
    for name in (*loaded.baseline.campaigns, *loaded.policy.campaigns):
        registry.claim(name)
    policy = compile_policy(loaded.policy, first, last, replication, registry, loaded.sources["policy"])
    if loaded.baseline is loaded.policy:
        return policy, policy
    return compile_policy(loaded.baseline, first, last, replication, registry, loaded.sources["baseline"]), policy


def spans_of(scenario: Scenario, zone: ZoneInfo) -> Spans:
    def midnight(days: int) -> int:
        return wall_ms(scenario.start + timedelta(days=days), 0, zone)

    return Spans(
        midnight(-scenario.before),
        midnight(0),
        midnight(scenario.days),
        midnight(scenario.days + scenario.after),
        SETTLE_NOTHING_SHARED_MS,
    )


def plan_of(loaded: LoadedScenario, *, replication: int = 0, record: bool = False) -> RunPlan:
    """What every worker needs to live through this scenario."""
    baseline, policy = compiled(loaded, replication)
    slots = policy.registry.slots
    paused = tuple(slots[name] for name in loaded.paused)
    plan = RunPlan(
        loaded.population, baseline, policy, paused, paused,
        spans_of(loaded.scenario, ZoneInfo(loaded.policy.time_zone)), loaded.scenario.seed, replication, record=record,
    )  # fmt: skip
    return plan
