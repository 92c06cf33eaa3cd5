"""Replays a recorded run: the same events to the engine again, under the run's policy and under another one.

It answers which decisions change, and nothing about outcomes: a recorded customer does not react to what another policy
would have shown. So only the first different decision of each customer is an effect of the policy alone.
"""

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from engine.host.shard import combined
from engine.policy.document import Policy
from engine.policy.quantities import UnreadableError
from engine.policy.tables import compile_policy
from engine.policy.yaml_source import Loaded
from engine.records import MOMENTS_MAX, NONE
from results.store import Run
from scenarios.adversary_worker import adversary_bounds, has_adversaries
from scenarios.exits import UsageError
from scenarios.explain import load_run
from scenarios.load import LoadedScenario, Reader, plan_of
from scenarios.replay_changes import Changes, Findings
from scenarios.replay_claims import ClaimChanges
from scenarios.replay_fraud import FraudChanges
from scenarios.replay_limits import limits
from scenarios.replay_record import Steps, check_numbers, log_of, require, settlements_of
from scenarios.replay_settled import Replay
from scenarios.replay_twins import AFTER, BEFORE, Other, Piece, Twins
from scenarios.team import partition_bounds
from scenarios.worker import RunPlan

# Names whose numbers stand in events, in carts and in what is known of customers.
NUMBERED = ("pages", "cities", "tiers", "tags", "categories", "brands", "products", "places")


# --- reading ----------------------------------------------------------------------------------------------------------
def other_policy(path: Path, loaded: LoadedScenario, plan: RunPlan) -> Other:
    """Read and compile the policy to compare with. Raises DocumentError with everything that is wrong with it."""
    reader = Reader()
    if not path.is_file():
        got = "a folder" if path.is_dir() else "no such file"
        raise UsageError(f"--policy must be a file that exists: {path} (got {got})")
    found = reader.read(path, Policy)
    if found is not None:
        reader.say(found.source, renumbered(found.document, loaded.policy))
    reader.check()
    assert found is not None
    if (found.document.coupons or found.document.budgets) and not plan.shares:
        raise UsageError(f"--policy must have no coupons and no budgets: {path} (the run's policy had none, so that "
                         "nobody claimed anything)")  # fmt: skip
    return compiled_other(found, loaded, plan)


def renumbered(policy: Policy, run: Policy) -> list[tuple[str, str]]:
    """(path, what must be) of lists of names that do not begin as the run's do: recorded events carry their numbers."""
    problems = []
    for kind in NUMBERED:
        with suppress(UnreadableError):
            wanted, got = getattr(run.names, kind), getattr(policy.names, kind)
            if got[: len(wanted)] != wanted:
                must = f"must begin with those of the run's policy, whose numbers were recorded: {', '.join(wanted)}"
                problems.append((f"names.{kind}", f"{must} (got {', '.join(got) or 'nothing'})"))
    return problems


def compiled_other(found: Loaded[Policy], loaded: LoadedScenario, plan: RunPlan) -> Other:
    """One numbering of campaigns for all three policies: the run's own come first, so theirs stays as recorded."""
    days = plan.policy.tables.days["date"]
    first, last = (date(d // 10_000, d // 100 % 100, d % 100) for d in (int(days[0]), int(days[-1])))
    registry = plan.policy.registry
    policy = compile_policy(found.document, first, last, plan.replication, registry, found.source)
    unknown = [name for name in found.document.campaigns if name not in loaded.baseline.campaigns]
    paused = [name for name in found.document.campaigns if name in (*loaded.paused, *unknown)]
    moments = list(found.document.moments)
    moment_of = np.full(MOMENTS_MAX, NONE, np.int16)
    for number, name in enumerate(loaded.policy.moments):
        moment_of[number] = moments.index(name) if name in moments else NONE
    timetable = np.array(sorted(t * MOMENTS_MAX + number for t, number in policy.moments), np.int64)
    return Other(policy, tuple(registry.slots[name] for name in paused), moment_of, timetable)


def pieces(run: Run, plan: RunPlan, firsts: np.ndarray) -> Iterator[Piece]:
    """The recording, cut where another worker's part begins (`firsts`: their first customers) or another phase."""
    total = 0
    for events, recorded in zip(log_of(run, "events"), log_of(run, "decision_log"), strict=True):
        check_numbers(run, events, plan, run.manifest["customers"])
        total += len(events)
        worker = np.searchsorted(firsts, events["customer"], "right") - 1
        phase = np.searchsorted([plan.spans.launch, plan.spans.campaign_end], events["time_ms"], "right")
        place = worker * (AFTER + 1) + phase
        cuts = [0, *(np.flatnonzero(np.diff(place)) + 1).tolist(), len(events)]
        for low, high in pairwise(cuts):
            if high > low:
                yield Piece(int(worker[low]), int(phase[low]), events[low:high], recorded[low:high])
    require(total == run.manifest["events"], f"{total:,} events are kept, {run.manifest['events']:,} were counted")


# --- the whole --------------------------------------------------------------------------------------------------------
def replayed(
    run: Run, path: Path | None = None, progress: Callable[[float], None] = lambda share: None
) -> dict[str, Any]:
    """Which decisions of a recorded run the policy of a file changes; without one, that the run is met again.

    Raises UsageError, DocumentError where either cannot be used, AssertionError where the recorded decisions, replies
    or digest are not met again under the run's own policy.
    """
    folder = run.folder
    loaded, manifest = load_run(folder)
    plan = plan_of(loaded, replication=manifest["replication"])
    other = None if path is None else other_policy(path, loaded, plan)
    changes, claims, fraud = changes_of(run, plan, other, progress)
    found = {
        "run": str(folder),
        "run_id": manifest["run_id"],
        "scenario": manifest["scenario"],
        "policy": str(folder / "inputs" / "policy.yaml"),
        "digest": manifest["digest"],
    }
    if path is None or other is None:
        return {**found, "met_again": True, "events": manifest["events"], "settlements": settlements_kept(run, plan)}
    return {
        **found,
        "other_policy": str(path),
        **Findings(changes, plan.policy, other.policy, plan.spans).told(),
        "coupons": None if claims is None else claims.told(),
        "fraud": None if fraud is None else fraud.told(),
        "cannot_answer": limits(plan, other.policy),
        "command": compare_command(folder, path, manifest),
    }


def compare_command(folder: Path, path: Path, manifest: Mapping[str, Any]) -> str:
    """What simulates both policies: the scenario's file as the run was given it."""
    words = shlex.split(manifest["command"])
    scenario = words[words.index("run") + 1]
    policies = (str(folder / "inputs" / "policy.yaml"), str(path))
    return shlex.join(["windtunnel", "compare", scenario, *(word for each in policies for word in ("--policy", each))])


def settlements_kept(run: Run, plan: RunPlan) -> int:
    return len(settlements_of(run, run.manifest["shards"] + has_adversaries(plan))) if plan.shares else 0


def changes_of(
    run: Run, plan: RunPlan, other: Other | None, progress: Callable[[float], None]
) -> tuple[Changes, ClaimChanges | None, FraudChanges | None]:
    """Play the recording twice and compare; claims only where customers share stock or a budget, what fraud rules say
    only where there are any."""
    bounds = partition_bounds(run.manifest["customers"], run.manifest["shards"])
    changes = Changes(run.manifest["customers"], plan.policy, plan.policy if other is None else other.policy)
    if plan.shares:
        bounds += adversary_bounds(plan, run.manifest["customers"])
        length = plan.spans.end - plan.spans.start
        replay = Replay(plan, bounds, Steps(run, plan, bounds), other, changes,
                        lambda t: progress((t - plan.spans.start) / length))  # fmt: skip
        replay.run()
        require_digest(run, replay.digest)
        return changes, replay.claims, replay.fraud
    parts = Parts(plan, other, bounds, changes)
    done = 0
    for piece in pieces(run, plan, np.array([first for first, _ in bounds])):
        parts.take(piece)
        done += len(piece.events)
        progress(done / max(1, run.manifest["events"]))
    require_digest(run, parts.end())
    return changes, None, None


def require_digest(run: Run, digest: str) -> None:
    require(digest == run.manifest["digest"], f"the digest was {run.manifest['digest']} and is {digest} again")


class Parts:
    """The workers of the run, one after the other, as their parts stand in the recording."""

    def __init__(self, plan: RunPlan, other: Other | None, bounds: list[tuple[int, int]], changes: Changes) -> None:
        self.plan, self.other, self.bounds, self.changes = plan, other, bounds, changes
        self.digests: list[str] = []
        self.twins = Twins(plan, other, *bounds[0])

    def take(self, piece: Piece) -> None:
        require(piece.worker >= len(self.digests), "customers are not kept in the order of the run's workers")
        while piece.worker > len(self.digests):
            self.close()
            self.twins = Twins(self.plan, self.other, *self.bounds[len(self.digests)])
        decisions = self.twins.decide(piece)
        if piece.phase > BEFORE:
            self.changes.compare(piece.recorded, decisions)

    def close(self) -> None:
        """A worker's part is over; those to whom nothing happened since launch have come this far too."""
        self.twins.enter(AFTER)
        self.changes.segments[self.twins.first : self.twins.first + len(self.twins.segments)] = self.twins.segments
        self.digests.append(self.twins.own.digest())

    def end(self) -> str:
        """The digest of all customers."""
        self.close()
        while len(self.digests) < len(self.bounds):
            self.twins = Twins(self.plan, self.other, *self.bounds[len(self.digests)])
            self.close()
        return combined(self.digests)
