"""Reads a scenario with its policy, baseline and population; every problem of all of them at once."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from engine.policy.calendar_days import wall_ms
from engine.policy.checks import known
from engine.policy.document import NamesBlock, Policy
from engine.policy.quantities import Block, UnreadableError
from engine.policy.registry import Registry
from engine.policy.tables import CompiledPolicy, claim_names, compile_policy
from engine.policy.yaml_source import NO_CHANGES, DocumentError, Loaded, read
from engine.records import DAY_MS, MINUTE_MS
from scenarios.build import misfits
from scenarios.calendar import drops_of
from scenarios.document import Scenario, Without
from scenarios.expect import Expectation, ExpectationError, misread
from scenarios.expect_comparison import misread_comparison
from scenarios.fraud_outputs import who_is_who
from scenarios.population_document import Population
from scenarios.reviews_document import Review, Reviews
from scenarios.sampling import Sampling
from scenarios.worker import RunPlan
from sim.cohort import Spans

B = TypeVar("B", bound=Block)

# Between two settlements customers are independent; while a policy shares nothing (no stock, budget, invitation) there
# is nothing to settle, and cohorts may live a day at a time with the same result.
SETTLE_NOTHING_SHARED_MS = DAY_MS
SETTLE_SHARED_MS = 10 * MINUTE_MS
RUSH_MS = 2 * MINUTE_MS  # after a drop, while claims are settled every second


@dataclass(frozen=True)
class Options:
    """What the command line may change of a scenario; None keeps the scenario's own."""

    customers: int | None = None
    days: int | None = None
    before: int | None = None
    after: int | None = None
    seed: int | None = None
    policy: Path | None = None
    set: Mapping[str, str] = field(default_factory=dict)  # `policy.path` or `population.path` → YAML


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
    changes: dict[str, str]  # what `set` of the scenario and the command line put in place of what the files say

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

    def read(self, path: Path | None, model: type[B], changes: Mapping[str, str] = NO_CHANGES) -> Loaded[B] | None:
        """The document, or what could be read of it: a broken field hides nothing of the rest."""
        if path is None:
            return None
        try:
            return read(path, model, changes)
        except DocumentError as error:
            self.problems += error.problems
            return error.partial

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
    if loaded is None:
        raise DocumentError(reader.problems)
    paths = named_files(reader, loaded, path, options, copies)
    changes = {**loaded.document.__dict__.get("set", {}), **options.set}
    policy = reader.read(paths.get("policy.yaml"), Policy, below(changes, "policy"))
    population = reader.read(paths.get("population.yaml"), Population, below(changes, "population"))
    baseline = reader.read(paths["baseline.yaml"], Policy) if "baseline.yaml" in paths else policy
    people = population.document if population else None
    if policy:
        reader.say(loaded.source, misnamed(loaded.document, policy.document, people))
    if policy and baseline:
        reader.say(policy.source, renumbered(policy.document, baseline.document))
    if policy and population:
        reader.say(population.source, misfits(population.document, policy.document))
    reader.check()
    assert policy and population and baseline
    files = list_files(reader, policy, baseline)
    reader.check()
    scenario = changed(loaded.document, options)
    result = LoadedScenario(
        path, scenario, policy.document, baseline.document, population.document,
        tuple(Expectation.parse(text) for text in scenario.expect),
        {name: file.read_text("utf-8") for name, file in paths.items()} | files,
        {"policy": policy.source, "baseline": baseline.source}, changes,
    )  # fmt: skip
    compiled(result)  # conditions are checked before anything runs
    return result


def list_files(reader: Reader, policy: Loaded[Policy], baseline: Loaded[Policy]) -> dict[str, str]:
    """Name and text of the files of lists that both policies name; a run keeps them beside its copies."""
    files, before = policy.document.fraud.files(), baseline.document.fraud.files()
    for name in files.keys() & before.keys():
        if files[name] != before[name]:
            reader.say(baseline.source, [("fraud", f"must name other files than the policy does (got another {name})")])
    return before | files


def below(changes: Mapping[str, str], document: str) -> dict[str, str]:
    """The changes of one document, by path in it."""
    return {
        path.removeprefix(f"{document}."): text for path, text in changes.items() if path.startswith(f"{document}.")
    }


def named_files(
    reader: Reader, loaded: Loaded[Scenario], path: Path, options: Options, copies: Path | None
) -> dict[str, Path]:
    """The files a run keeps a copy of, by the copies' names; those that are missing are told and left out."""
    read_fields = loaded.document.__dict__
    named = {name: read_fields[name] for name in ("policy", "baseline", "population") if name in read_fields}
    files = {name: path.parent / text for name, text in named.items() if isinstance(text, str)}
    if copies is not None:
        files = {name: copies / f"{name}.yaml" for name in files}
    elif options.policy is not None:
        files["policy"] = options.policy
    missing = [name for name, file in files.items() if not file.is_file()]
    for name in missing:
        got = "a folder" if files[name].is_dir() else "no such file"
        if files[name] is options.policy:
            reader.problems.append(f"--policy must be a file that exists: {files[name]} (got {got})")
        else:
            reader.say(loaded.source, [(name, f"must be a file that exists: {files[name]} (got {got})")])
    return {"scenario.yaml": path} | {f"{name}.yaml": file for name, file in files.items() if name not in missing}


def renumbered(policy: Policy, baseline: Policy) -> list[tuple[str, str]]:
    """(path, what must be) of every list of names that numbers them otherwise than before: customers and their coupons
    remember numbers."""
    problems = []
    before, after = (document.__dict__.get("names") for document in (baseline, policy))
    for kind in NamesBlock.model_fields if before is not None and after is not None else ():
        old, new = (names.__dict__.get(kind, []) for names in (before, after))
        both = min(len(old), len(new))
        if old[:both] != new[:both]:
            have = f"(got {', '.join(new)})"
            problems.append((f"names.{kind}", f"must begin as the baseline's do: {', '.join(old)} {have}"))
    return problems


def misnamed(scenario: Scenario, policy: Policy, population: Population | None) -> list[tuple[str, str]]:
    """(path in the scenario, what must be) of every campaign and figure that the policy does not have."""
    problems: list[tuple[str, str]] = []
    fields, names = scenario.__dict__, policy.__dict__.get("campaigns")
    if names is None:
        return problems
    named = [("primary", fields["primary"])] if fields.get("primary") is not None else []
    if isinstance(baseline := fields.get("baseline"), Without):
        named += [(f"baseline.without[{i}]", name) for i, name in enumerate(baseline.__dict__.get("without", []))]
    if (compare := fields.get("compare")) is not None:
        named += [(f"compare.truth[{i}]", name) for i, name in enumerate(compare.__dict__.get("truth", []))]
    for path, name in named:
        whose, all_names = "the policy's campaigns", list(names)
        if path.startswith("baseline.") and policy.__dict__.get("coupons"):
            whose, all_names = "the policy's campaigns and coupons", [*names, *policy.coupons]
        problems += [(path, sentence) for _, sentence in known(name, (), whose, all_names)]
    people = population_said(population, policy)
    for i, text in enumerate(fields.get("expect", [])):
        with suppress(ExpectationError, UnreadableError):
            problems += [(f"expect[{i}]", sentence) for sentence in misread(Expectation.parse(text), policy, people)]
    problems += misplanned(fields.get("reviews", {}), policy, people)
    if compare is not None and not problems:
        for i, text in enumerate(compare.__dict__.get("expect", [])):
            with suppress(ExpectationError, UnreadableError, KeyError, AttributeError):  # of what is broken anyway
                found = misread_comparison(Expectation.parse(text), policy, compare, population)
                problems += [(f"compare.expect[{i}]", sentence) for sentence in found]
    return problems


def misplanned(reviews: Reviews, policy: Policy, people: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same of what reviews name. people: what a manifest says of the population."""
    problems = []
    for phase, review in reviews.items():
        fields = review.__dict__ if isinstance(review, Review) else {}
        for name in fields.get("reach", {}):
            found = known(name, (), "the policy's campaigns", list(policy.campaigns))
            problems += [(f"reviews.{phase}.reach.{name}", sentence) for _, sentence in found]
        for i, text in enumerate(fields.get("goals", [])):
            with suppress(ExpectationError, UnreadableError):
                found_wrong = misread(Expectation.parse(text), policy, people)
                problems += [(f"reviews.{phase}.goals[{i}]", sentence) for sentence in found_wrong]
    return problems


def population_said(population: Population | None, policy: Policy) -> dict[str, Any]:
    """What a manifest will say of a population; of a broken one what can be said."""
    if population is None:
        return {"support": True}
    said: dict[str, Any] = {"support": population.__dict__.get("support", True) is not None}
    with suppress(AttributeError):
        said |= who_is_who(population, policy)
    return said


def compiled_all(
    policies: Sequence[tuple[Policy, str]], scenario: Scenario, replication: int = 0
) -> list[CompiledPolicy]:
    """Policies (each with its source) as arrays over a scenario's days, with one numbering of names."""
    first = scenario.start - timedelta(days=scenario.before + 1)
    last = scenario.start + timedelta(days=scenario.days + scenario.after + 1)
    registry = Registry()
    for policy, _ in policies:
        claim_names(registry, policy)
    return [compile_policy(policy, first, last, replication, registry, source) for policy, source in policies]


def compiled(loaded: LoadedScenario, replication: int = 0) -> tuple[CompiledPolicy, CompiledPolicy]:
    """(baseline, policy) as arrays over the run's days, with one numbering of campaigns."""
    policy = (loaded.policy, loaded.sources["policy"])
    if loaded.baseline is loaded.policy:
        both = compiled_all([policy], loaded.scenario, replication) * 2
    else:
        both = compiled_all([(loaded.baseline, loaded.sources["baseline"]), policy], loaded.scenario, replication)
    return both[0], both[1]


def step_of(policies: Sequence[Policy]) -> int:
    """From one settlement to the next, ms, in a run under these policies."""
    if any(policy.breakers for policy in policies):
        return MINUTE_MS
    return (
        SETTLE_SHARED_MS if any(policy.coupons or policy.budgets for policy in policies) else SETTLE_NOTHING_SHARED_MS
    )


def spans_of(scenario: Scenario, zone: ZoneInfo, step_ms: int) -> Spans:
    """When a scenario's phases begin and end. step_ms: between settlements."""

    def midnight(days: int) -> int:
        return wall_ms(scenario.start + timedelta(days=days), 0, zone)

    return Spans(
        midnight(-scenario.before),
        midnight(0),
        midnight(scenario.days),
        midnight(scenario.days + scenario.after),
        step_ms,
    )


def plan_of(
    loaded: LoadedScenario, *, replication: int = 0, record: bool = False, sampling: Sampling | None = None
) -> RunPlan:
    """What every worker needs to live through this scenario."""
    baseline, policy = compiled(loaded, replication)
    slots = policy.registry.slots
    paused = tuple(slots[name] for name in loaded.paused if name in slots)
    spans = spans_of(loaded.scenario, ZoneInfo(loaded.policy.time_zone), step_of((loaded.policy, loaded.baseline)))
    return RunPlan(
        loaded.population, without_coupons(baseline, loaded.paused), policy, paused, paused, spans,
        loaded.scenario.seed, replication, record=record, sampling=sampling, customers=loaded.scenario.customers,
        peaks=peaks_of(policy.policy, spans), reviewed=bool(loaded.scenario.reviews),
    )  # fmt: skip


def without_coupons(compiled: CompiledPolicy, names: Sequence[str]) -> CompiledPolicy:
    """The policy with some of its coupons closed to claims."""
    slots = [slot for name, slot in compiled.coupons.items() if name in names]
    if not slots:
        return compiled
    coupons = compiled.tables.coupons.copy()
    coupons["until_ms"][slots] = coupons["from_ms"][slots]
    return replace(compiled, tables=compiled.tables._replace(coupons=coupons))


def peaks_of(policy: Policy, spans: Spans) -> tuple[tuple[int, int], ...]:
    """Windows that are settled every second: the rush after each drop."""
    return tuple((t, t + RUSH_MS) for t, _ in drops_of(policy, spans))
