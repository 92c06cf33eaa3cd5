"""`windtunnel check --mutate`: how many one-line changes of a policy its scenarios would notice, and which not."""

import json
import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engine.policy.yaml_source import DocumentError
from scenarios.exits import Exit, UsageError
from scenarios.junit import write_junit
from scenarios.mutant_judging import Bench, Fate, Standing, Step, standing, steps_of, worked_off
from scenarios.mutants import Mutant, mutants_of
from scenarios.mutants_told import Score, as_it_stands, as_object, finding, missed_lines, told
from scenarios.pytest_plugin import Watch

AIM = re.compile(r"(100|\d{1,2}(\.\d+)?)%")
AIM_DEFAULT, SEED_MOST = 0.95, 2**62
WORST = {"broken": Exit.INVARIANT_BROKEN, "error": Exit.HARNESS_ERROR, "unreadable": Exit.WRONG_USE}


@dataclass(frozen=True)
class Wanted:
    """What is asked for."""

    mutants: int | None  # at most so many; None: all
    seed: int
    aim: float
    customers: int | None
    beside: int
    minutes: float | None


def wanted(
    given: Mapping[str, Any], how: Mapping[str, Any], written: Mapping[str, Any], beside: int, minutes: float | None
) -> Wanted | None:
    """What the options of --mutate ask for; None without it. Raises UsageError with every problem."""
    options = {name: given.get(name) for name in ("mutants", "seed", "aim")}
    if not given.get("mutate"):
        alone = [f"--{name} must be given only with --mutate (got {value})" for name, value in options.items() if value]
        if alone:
            raise UsageError("\n".join(alone))
        return None
    mutants, seed, aim = options.values()
    seed = 1 if seed is None else seed
    others = {"update": how["update"], "against": how["against"], "markdown": written["markdown"]}
    problems = [f"--{name} must go without --mutate" for name, value in others.items() if value]
    if mutants is not None and mutants < 1:
        problems.append(f"--mutants must be >= 1 (got {mutants})")
    if not 0 <= seed <= SEED_MOST:
        problems.append(f"--seed must be between 0 and {SEED_MOST} (got {seed})")
    if aim is not None and not AIM.fullmatch(aim):
        problems.append(f"--aim must be a share like 95% (got {aim})")
    if problems:
        raise UsageError("\n".join(problems))
    share = AIM_DEFAULT if aim is None else float(aim.removesuffix("%")) / 100.0
    return Wanted(mutants, seed, share, how["customers"], beside, minutes)


# --- the whole --------------------------------------------------------------------------------------------------------
def mutate_files(files: Sequence[Path], wanted: Wanted, junit: Path | None, as_json: bool, watch: Watch) -> int:
    """Judge mutants of the policies that scenarios are about; exit code as on the command line."""
    began = time.time()
    steps = all_steps(files, wanted.customers)
    possible = [mutant for policy in dict.fromkeys(step.policy for step in steps) for mutant in mutants_of(policy)]
    if not possible:
        raise UsageError("the policies must say something that can be changed (got nothing)")
    stands = as_they_stand(steps, wanted, watch)
    code = code_as_they_stand(stands, wanted)
    if code is not Exit.FINE:
        return told_as_they_stand(stands, code, as_json, time.time() - began)
    bench = Bench(tuple(stands), wanted.customers, began + 60.0 * wanted.minutes if wanted.minutes else None)
    chosen = sampled(possible, wanted)
    fates: list[Fate] = []
    with watch(f"{len(chosen)} mutants") as tell:
        for fate in worked_off(chosen, bench.fate, min(wanted.beside, len(chosen)), bench.over):
            fates.append(fate)
            tell(len(fates) / len(chosen))
    order = {mutant: number for number, mutant in enumerate(possible)}
    fates.sort(key=lambda fate: order[fate.mutant])
    score = Score(
        fates, len(possible), len(chosen) - len(fates), wanted.aim, wanted.seed, wanted.customers, wanted.minutes
    )
    seconds = time.time() - began
    if junit is not None:
        write_junit(junit, [*map(finding, fates)], seconds)
    if as_json:
        print(json.dumps(as_object(score, stands, seconds), ensure_ascii=False))
    else:
        print(*told(score, stands), f"\n({seconds:.0f} s)", sep="\n")
    return score.code


def all_steps(files: Sequence[Path], customers: int | None) -> list[Step]:
    """What the scenarios come to, the cheapest first. Raises DocumentError with the problems of all."""
    steps, problems = [], []
    for file in files:
        try:
            steps += steps_of(file, customers)
        except DocumentError as error:
            problems += error.problems
    if problems:
        raise DocumentError(problems)
    return sorted(steps, key=lambda step: step.order)


def sampled(possible: Sequence[Mutant], wanted: Wanted) -> list[Mutant]:
    """So many of each section of each policy as are its share, in an order drawn by seed."""
    chance = random.Random(wanted.seed)
    shuffled = chance.sample(list(possible), len(possible))
    many = min(wanted.mutants or len(possible), len(possible))
    by_section = sorted(shuffled, key=lambda mutant: (str(mutant.policy), mutant.section))
    start = chance.random()
    chosen = [by_section[int((number + start) * len(possible) / many)] for number in range(many)]
    return chance.sample(chosen, many)


# --- as they stand ----------------------------------------------------------------------------------------------------
def as_they_stand(steps: Sequence[Step], wanted: Wanted, watch: Watch) -> list[Standing]:
    found: dict[Step, Standing] = {}
    work = partial(standing, customers=wanted.customers)
    with watch("scenarios as they stand") as tell:
        longest_first = sorted(steps, key=lambda step: -step.work)
        for one in worked_off(longest_first, work, min(wanted.beside, len(steps)), lambda: False):
            found[one.step] = one
            tell(len(found) / len(steps))
    return [found[step] for step in steps]


def code_as_they_stand(stands: Sequence[Standing], wanted: Wanted) -> Exit:
    """Fine, unless something is missed without any mutant: of few customers, that is to be expected."""
    outcomes = {one.outcome for one in stands}
    for outcome, code in WORST.items():
        if outcome in outcomes:
            return code
    missed = any(verdict.missed for one in stands for verdict in one.verdicts)
    return Exit.MISSED if missed and wanted.customers is None else Exit.FINE


def told_as_they_stand(stands: Sequence[Standing], code: Exit, as_json: bool, seconds: float) -> int:
    problems = list(missed_lines(stands))
    if as_json:
        rows = [as_it_stands(one) for one in stands]
        print(json.dumps({"as_they_stand": rows, "mutants": [], "seconds": round(seconds, 2), "exit_code": code}))
    else:
        said = "Nothing was mutated: the scenarios must hold as they stand, for what is missed already notices nothing."
        print(said, *problems, f"\n({seconds:.0f} s)", sep="\n")
    return code
