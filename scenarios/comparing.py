"""The command `compare`: which policies, told in which words."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from engine.policy.yaml_source import DocumentError
from scenarios.console import complain, folder_for_runs, guarded, print_json, progress, warm_up
from scenarios.exits import Exit, UsageError

CHANGED = "changed"  # the scenario's policy with --set
CUSTOMERS_BY_HAND, WORLDS_BY_HAND = 20_000, 100  # of policies given by hand: small worlds, as many as it takes


def compare_command(path: Path, given: dict[str, Any], as_json: bool, out: Path, how: dict[str, Any]) -> int:
    def action() -> int:
        from scenarios.compare import CompareOptions, compare
        from scenarios.load import Options, load_scenario

        check_numbers(how)
        loaded = load_scenario(path, Options(seed=how["seed"]))
        rivals = chosen(loaded, given)
        if any(given.values()):
            loaded = about_rivals(loaded, how)
        loaded = with_numbers(loaded, how)
        warm_up(lambda share: None)
        options = CompareOptions(
            out, how["early"], None, how["address"], how["assumption_sets"], tuple(command_words(path, given, how))
        )
        try:
            with folder_for_runs(out):
                found = compare(loaded, rivals, options, progress)
        except KeyboardInterrupt:
            complain("the worlds that were lived are kept: the same command goes on from there")
            raise
        print_json(as_object(found)) if as_json else print_comparison(found)
        return Exit.MISSED if found.missed else Exit.FINE

    return guarded(action)


def check_numbers(how: dict[str, Any]) -> None:
    from scenarios.document import CUSTOMERS_LEAST, WORLD_CUSTOMERS_MAX, WORLDS_LEAST, WORLDS_MAX

    bounds = {"customers": (CUSTOMERS_LEAST, WORLD_CUSTOMERS_MAX), "worlds": (WORLDS_LEAST, WORLDS_MAX),
              "seed": (0, 2**62), "assumption_sets": (0, 500)}  # fmt: skip
    wrong = [
        f"--{name.replace('_', '-')} must be between {low} and {high} (got {how[name]})"
        for name, (low, high) in bounds.items()
        if how[name] is not None and not low <= how[name] <= high
    ]
    if wrong:
        raise UsageError("\n".join(wrong))


def with_numbers(loaded: Any, how: dict[str, Any]) -> Any:
    block = loaded.scenario.compare
    update = {name: how[name] for name in ("customers", "worlds") if how[name] is not None}
    if "worlds" in update:
        update["pilot"] = min(block.pilot, update["worlds"])
    scenario = loaded.scenario.model_copy(update={"compare": block.model_copy(update=update)})
    return replace(loaded, scenario=scenario)


def about_rivals(loaded: Any, how: dict[str, Any]) -> Any:
    """Of policies given by hand only they are asked about: no twins of campaigns, no more worlds than it takes."""
    from scenarios.document import WORLDS_LEAST

    block = loaded.scenario.compare
    update = {"truth": [], "arms": [], "policies": {}, "expect": [], "pilot": WORLDS_LEAST}
    update |= {"customers": min(block.customers, CUSTOMERS_BY_HAND)}
    update |= {"worlds": block.worlds if how["worlds"] else max(block.worlds, WORLDS_BY_HAND)}
    block = block.model_copy(update=update)
    scenario = loaded.scenario.model_copy(update={"compare": block, "known_case": False})
    return replace(loaded, scenario=scenario)


def chosen(loaded: Any, given: dict[str, Any]) -> list[Any]:
    """The policies to compare, the reference first. Raises DocumentError and UsageError with all problems."""
    from scenarios.rivals import from_file, own, variants

    problems: list[str] = []

    def tried(makers: Iterable[Callable[[], Sequence[Any]]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for make in makers:
            try:
                found |= {rival.name: rival for rival in make()}
            except DocumentError as error:
                problems.extend(error.problems)
        return found

    others = tried(changed_ones(loaded, given))
    names = file_names(given["policy"], [*others, *([loaded.policy.policy] if len(given["policy"]) == 1 else [])])
    paths = zip(given["policy"], names, strict=True)
    files = tried(partial(one, from_file, path, name, loaded) for path, name in paths)
    if problems:
        raise DocumentError(problems)
    found = [*files.values(), *others.values()] or variants(loaded)
    if not found and not loaded.scenario.compare.truth:
        raise UsageError(
            f"{loaded.path}: nothing to compare with: give --policy FILE, --without CAMPAIGN, --each, "
            "--each-rule, --vary FIELD=VALUE,VALUE or --set FIELD=VALUE, or write policies under compare: in the "
            "scenario"
        )
    return found if len(given["policy"]) > 1 else [own(loaded), *found]


def changed_ones(loaded: Any, given: dict[str, Any]) -> Iterator[Callable[[], Sequence[Any]]]:
    """The scenario's own policy with something left out or set otherwise."""
    from scenarios.rivals import left_out, rules_left_out, varied, with_fields, without

    for campaign in given["without"] if not given["each"] else ():
        yield partial(one, without, [campaign], f"without_{campaign}", loaded)
    if given["set"]:
        yield partial(one, with_fields, changes_of(given["set"]), CHANGED, loaded)
    for field, values in changes_of(given["vary"], "--vary", "FIELD=VALUE,VALUE").items():
        yield partial(varied, field, [value.strip() for value in values.split(",")], loaded)
    if given["each"]:
        yield partial(left_out, loaded)
    if given["each_rule"]:
        yield partial(rules_left_out, loaded)


def one(make: Callable[..., Any], *arguments: Any) -> list[Any]:
    return [make(*arguments)]


def file_names(paths: Sequence[Path], taken: Sequence[str]) -> list[str]:
    """A name for each policy file: its own, numbered where that is taken."""
    from scenarios.rivals import identifier

    names: list[str] = []
    for path in paths:
        name = identifier(path.stem) or "policy"
        numbered = (name if number == 1 else f"{name}_{number}" for number in itertools.count(1))
        names.append(next(free for free in numbered if free not in names and free not in taken))
    return names


def changes_of(texts: Sequence[str], option: str = "--set", form: str = "FIELD=VALUE") -> dict[str, str]:
    wrong = [f"{option} must be {form} (got {text})" for text in texts if "=" not in text]
    if wrong:
        raise UsageError("\n".join(wrong))
    pairs = [text.split("=", 1) for text in texts]
    return {name.strip(): value.strip() for name, value in pairs}


def command_words(path: Path, given: dict[str, Any], how: dict[str, Any]) -> Iterator[str]:
    yield from ("windtunnel", "compare", str(path))
    for name in ("policy", "without", "set", "vary"):
        for value in given[name]:
            yield from (f"--{name}", str(value))
    if given["each"]:
        yield "--each"
    if given["each_rule"]:
        yield "--each-rule"
    for name in ("customers", "worlds", "seed", "assumption_sets"):
        if how[name] is not None:
            yield from (f"--{name.replace('_', '-')}", str(how[name]))
    if how["early"]:
        yield "--early"


# --- told -------------------------------------------------------------------------------------------------------------
def as_object(found: Any) -> dict[str, Any]:
    """The object of --json."""
    from results.store import Run

    names = ("run_id", "scenario", "seed", "digest", "reference", "rivals", "worlds", "worlds_wanted", "stopped",
             "customers", "unit", "command", "wall_s")  # fmt: skip
    table = Run(found.folder, found.manifest).table("verdicts")
    verdicts = [
        {name: plain(value) for name, value in zip(table, row, strict=True)}
        for row in zip(*table.values(), strict=True)
    ]
    return {
        **{name: found.manifest[name] for name in names},
        "verdicts": verdicts,
        "figures": {
            name: {"value": e.value, "low": e.low, "high": e.high, "unit": e.unit, "n": e.n, "of": e.unit_of_analysis,
                   "note": e.note}
            for name, e in found.estimates.items()
        },
        "expectations": [vars(verdict) for verdict in found.verdicts],
        "report": str(found.folder / "report.html"),
        "page": str(found.folder / "page.html"),
    }  # fmt: skip


def plain(value: Any) -> Any:
    """NumPy's numbers as Python's; what is no number as null."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and value != value else value


def print_comparison(found: Any) -> None:
    from results.comparison_fraud_sections import plain_front
    from results.comparison_lead import plain_first_sentences

    manifest = found.manifest
    for sentence in plain_first_sentences(found.folder, found.estimates):
        print(sentence)
    for line in plain_front(found.folder, found.estimates):
        print(f"  {line}")
    for verdict in found.verdicts:
        print(f"  {verdict.verdict:9}  {verdict.sentence()}")
    print(f"\nreport  {found.folder / 'report.html'}   one page for the meeting: {found.folder / 'page.html'}")
    people = f"{manifest['worlds']} worlds of {manifest['customers']:,} customers"
    print(f"worlds  {people} in {manifest['wall_s']:.0f} s; stopped because {manifest['stopped']}")
    for rival in manifest["rivals"]:
        factor = found.estimates[f"pairing_factor[{rival}]"].value
        if factor is not None:
            print(f"paired  {rival}: with independent seeds the interval would be {factor:.3g} times as wide")
    print(f"seed    {manifest['seed']}   digest {manifest['digest']}")
    print(f"repeat  {manifest['command']}")
