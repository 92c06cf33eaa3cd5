"""What `windtunnel drill` does: runs disasters by seed, says what happened and what held, and makes a failure small."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scenarios.console import complain, guarded, print_json, progress, warm_up
from scenarios.exits import Exit, UsageError

if TYPE_CHECKING:
    from loadtests.disasters import Disasters
    from loadtests.weathers import Case

SEEDS, SEEDS_MAX, SEED_MAX, MINUTES_MAX = 500, 10_000_000, 2**62, 7 * 24 * 60
CAST = (
    "Two shards, the Ledger and a supervisor, in half of the disasters with a standby for each; one client has them\n"
    "decide and settle what 60 customers of the library's coupon shop do in two days. Of 100 disasters some 60 are\n"
    "held to the promise durable, 25 to interval and 15 to memory."
)
HELD = (
    "every batch was answered, in order, as it is when nothing goes wrong, and never otherwise the second time",
    "durable: no host said anything that a loss of power, then and there, would have made untrue",
    "durable: what the client was answered, whoever leads knows, and whoever would be promoted",
    "interval: what was forgotten had been answered no longer than the interval before a host was lost",
    "interval and memory: after a return nobody has settled what was not asked, or heard of what was not settled",
    "a seat has one leader an epoch; records and epochs never go back",
    "no coupon was oversold and no budget overspent, after every settlement",
    "all ends as undisturbed: digests of leaders, of their followers, and of what the disks alone bring back",
)
NOT_SHOWN = (
    "real disks, clocks and networks: the hosts are the ones that run, what carries their messages is simulated",
    "live runs",
)


@dataclass(frozen=True)
class Plan:
    """Which seeds, for how long at most."""

    first: int
    seeds: int
    minutes: float | None = None


@dataclass(frozen=True)
class Failure:
    """A promise that was broken."""

    seed: int
    sentence: str
    shrunk: "Case"
    shrunk_sentence: str

    @property
    def command(self) -> str:
        return f"windtunnel drill disasters --seed {self.seed}"


@dataclass
class Drill:
    """What became of a plan."""

    plan: Plan
    played: int = 0
    virtual_ms: int = 0
    seconds: float = 0.0
    happened: Counter[str] = field(default_factory=Counter)
    failure: Failure | None = None


# --- the command ------------------------------------------------------------------------------------------------------
def disasters(seeds: int | None, first: int | None, seed: int | None, minutes: float | None, as_json: bool) -> int:
    def action() -> int:
        plan = plan_of(seeds, first, seed, minutes)
        with progress("disasters") as tell:
            warm_up(tell)
            drill = drilled(plan, disasters_of_the_library(), tell)
        print_json(drill_json(drill)) if as_json else print_drill(drill)
        return exit_code(drill)

    return guarded(action)


def plan_of(seeds: int | None, first: int | None, seed: int | None, minutes: float | None) -> Plan:
    wrong = [
        f"{name} must be between {low:,} and {high:,} (got {value:,})"
        for name, value, low, high in (
            ("--seeds", seeds, 1, SEEDS_MAX),
            ("--first", first, 0, SEED_MAX),
            ("--seed", seed, 0, SEED_MAX),
        )
        if value is not None and not low <= value <= high
    ]
    if minutes is not None and not 0 < minutes <= MINUTES_MAX:
        wrong.append(f"--minutes must be above 0 and at most {MINUTES_MAX:,} (got {minutes:g})")
    if seed is not None and not seeds == first == minutes:
        wrong.append("--seed is one disaster again: --seeds, --first and --minutes have no meaning beside it")
    if wrong:
        raise UsageError("\n".join(wrong))
    if seed is not None:
        return Plan(seed, 1)
    many = SEEDS_MAX if minutes is not None else SEEDS
    return Plan(first or 0, many if seeds is None else seeds, minutes)


def exit_code(drill: Drill) -> int:
    if drill.failure is not None:
        return Exit.INVARIANT_BROKEN
    return Exit.HARNESS_ERROR if unreached(drill) else Exit.FINE


def disasters_of_the_library() -> "Disasters":
    from loadtests.disasters import Disasters
    from loadtests.traffic import record_traffic

    return Disasters(record_traffic("coupon_shop", "coupon_shop", customers=60, days=2, step_ms=4 * 3_600_000))


# --- running ----------------------------------------------------------------------------------------------------------
def drilled(plan: Plan, disasters: "Disasters", tell: Callable[[float], None]) -> Drill:
    """Play a plan, until the first that fails; that one is made smaller."""
    from sim.disasters.stage import Disaster

    drill, began = Drill(plan), time.monotonic()
    for seed in range(plan.first, plan.first + plan.seeds):
        minutes = (time.monotonic() - began) / 60
        if drill.played and plan.minutes is not None and minutes >= plan.minutes:
            break
        tell(max(drill.played / plan.seeds, minutes / plan.minutes if plan.minutes else 0.0))
        drill.played += 1
        try:
            outcome = disasters.play(disasters.case(seed))
        except Disaster as disaster:
            drill.failure = failure_of(seed, str(disaster), disasters, tell)
            break
        drill.virtual_ms += outcome.virtual_ms
        drill.happened += outcome.happened
    drill.seconds = time.monotonic() - began
    return drill


def failure_of(seed: int, sentence: str, disasters: "Disasters", tell: Callable[[float], None]) -> Failure:
    from loadtests.weathers import shrunk

    complain(f"seed {seed}: {sentence}\nmaking it smaller as long as something fails …")

    def fails(case: "Case") -> str | None:
        tell(1.0)  # so that it can be stopped
        return disasters.fails(case)

    return Failure(seed, sentence, *shrunk(disasters.case(seed), fails))


def unreached(drill: Drill) -> list[str]:
    """What ought to have happened in so many disasters and has not: a hole in the weather."""
    from loadtests.witness import never

    return never(drill.happened) if drill.played >= SEEDS and drill.failure is None else []


# --- said -------------------------------------------------------------------------------------------------------------
def drill_json(drill: Drill) -> dict[str, Any]:
    from loadtests.weathers import sentence_of

    failure = drill.failure
    return {
        "disasters": drill.played,
        "first_seed": drill.plan.first,
        "seconds": round(drill.seconds, 1),
        "virtual_ms": drill.virtual_ms,
        "happened": dict(sorted(drill.happened.items())),
        "never_happened": unreached(drill),
        "failure": None
        if failure is None
        else {
            "seed": failure.seed,
            "sentence": failure.sentence,
            "command": failure.command,
            "shrunk": sentence_of(failure.shrunk),
            "shrunk_sentence": failure.shrunk_sentence,
        },
    }


def print_drill(drill: Drill) -> None:
    last = drill.plan.first + drill.played - 1
    which = f"seed {last}" if drill.played == 1 else f"seeds {drill.plan.first} to {last}"
    many = "1 disaster" if drill.played == 1 else f"{drill.played:,} disasters"
    minutes = drill.virtual_ms / 60_000
    print(f"{many} ({which}), {minutes:,.1f} minutes of virtual time in {drill.seconds:,.1f} s\n{CAST}")
    print_happened(drill.happened)
    if drill.failure is not None:
        print_failure(drill.failure)
        return
    print("\nHeld in every one of them:" if drill.played > 1 else "\nHeld:")
    print(*(f"  {promise}" for promise in HELD), sep="\n")
    print("Not shown:", *(f"  {what}" for what in NOT_SHOWN), sep="\n")
    if missing := unreached(drill):
        print(f"\nNever happened, so whatever it would break was not seen: {', '.join(missing)}.")
    print(f"\nrepeat  {repeat_of(drill)}")


def repeat_of(drill: Drill) -> str:
    if drill.played == 1:
        return f"windtunnel drill disasters --seed {drill.plan.first}"
    return f"windtunnel drill disasters --first {drill.plan.first} --seeds {drill.played}"


def print_happened(happened: Counter[str]) -> None:
    from loadtests.witness import all_that_happened

    print("\nWhat happened, and how often:")
    for subject, counts in all_that_happened(happened):
        print(f"  {subject}")
        print(*(f"    {count:>9,}  {what}" for what, count in counts if count), sep="\n")
        if quiet := [what for what, count in counts if not count]:
            print(f"    {'never':>9}  {', '.join(quiet)}")


def print_failure(failure: Failure) -> None:
    from loadtests.weathers import sentence_of

    print(f"\nBroken by seed {failure.seed}: {failure.sentence}")
    print(f"Smallest case found that breaks something: {sentence_of(failure.shrunk)}.")
    if failure.shrunk_sentence != failure.sentence:
        print(f"There: {failure.shrunk_sentence}")
    print(f"\nrepeat  {failure.command}")
