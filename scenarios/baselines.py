"""A scenario's baseline: what it counted and decided when it was last accepted, made and held against a run."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from engine.coupon_records import Answer, RequestKind
from engine.policy.tables import CompiledPolicy
from engine.records import EventKind, Reason
from results.baseline_store import Baseline, BaselineError, is_there, kept_words, read_baseline, write_baseline
from results.decision_changes import Kept, changes, counts_changed
from results.query import Database
from scenarios.load import LoadedScenario, plan_of
from scenarios.outputs import arm_names, declared
from scenarios.run import RunOptions, RunResult, live, sampled_of
from scenarios.sampling import REPLY, Sampled, Sampling
from scenarios.worker import RunPlan

FROM_EVERYWHERE = 40  # customers, besides those who show a kind of decision first
DECISIONS_MOST = 12_000  # kept by one baseline: what a repository can bear
COUNTS = {  # what is counted of all customers → of what, word, number
    "messages": "SELECT campaign, reason, sum(candidates) FROM waterfall GROUP BY ALL ORDER BY ALL",
    "claims": "SELECT coupon, answer, sum(claims) FROM claims GROUP BY ALL ORDER BY ALL",
    "fraud rules": "SELECT rule, mode, sum(fired) FROM rules GROUP BY ALL ORDER BY ALL",
    "coupons": """SELECT coupon, word, sum(number) FROM
        (SELECT coupon, granted, redeemed, expired, returned, discount FROM cohorts)
        UNPIVOT (number FOR word IN (granted, redeemed, expired, returned, discount)) GROUP BY ALL ORDER BY ALL""",
}


@dataclass(frozen=True)
class Accepted:
    """What was accepted of a scenario, if anything, and what is to become of changes."""

    folder: Path | None  # None: decisions are not compared
    scenario: str = ""
    is_updated: bool = False  # what is decided is accepted
    is_judged: bool = True  # a change is missed; otherwise only told

    @cached_property
    def baseline(self) -> Baseline | None:
        """Raises BaselineError."""
        return None if self.folder is None else read_baseline(self.folder, self.scenario)

    @property
    def is_told(self) -> bool:
        """Whoever names baselines is told of those that are not there."""
        if self.folder is None:
            return False
        return self.is_updated or not self.is_judged or is_there(self.folder, self.scenario)

    @property
    def sampling(self) -> Sampling | None:
        """What a run must keep to be held against it."""
        try:
            baseline = self.baseline
        except BaselineError:
            return None
        return None if baseline is None else Sampling(tuple(sorted({row.customer for row in baseline.kept})))

    def judge(
        self, loaded: LoadedScenario, result: RunResult, options: RunOptions
    ) -> tuple[str, dict[str, Any] | None]:  # fmt: skip
        """(outcome of the test, what is decided otherwise). Raises BaselineError where the baseline cannot be read."""
        assert self.folder is not None
        baseline = self.baseline
        found = None if baseline is None else difference(baseline, loaded, result)
        if self.is_updated:
            if baseline is not None and baseline.about == about(loaded, result, baseline.kept):
                return "holds", None
            write_baseline(self.folder, made(loaded, result, options))
            return "written", found
        if baseline is None:
            return "without", None
        if found is None:
            return "holds", None
        return ("changed" if self.is_judged else "told"), found


# --- made -------------------------------------------------------------------------------------------------------------
def made(loaded: LoadedScenario, result: RunResult, options: RunOptions) -> Baseline:
    """The baseline that a run becomes. It is lived twice more: for who shows each kind of decision, and for theirs.

    Raises AssertionError where it is not lived again as it was.
    """
    customers = chosen(lived_again(loaded, result, options, Sampling()), loaded.scenario.customers)
    sampled = lived_again(loaded, result, options, Sampling(tuple(customers)))
    kept = bounded(named(plan_of(loaded), sampled), customers)
    return Baseline(about(loaded, result, kept), kept)


def lived_again(
    loaded: LoadedScenario, result: RunResult, options: RunOptions, sampling: Sampling
) -> list[Sampled]:  # fmt: skip
    lived = live(plan_of(loaded, sampling=sampling), loaded.scenario.customers, options, lambda share: None)
    was = result.run.manifest["digest"]
    assert lived.digest == was, f"the same scenario gave the digest {was}, and then {lived.digest}"
    return sampled_of(lived)


def chosen(sampled: Sequence[Sampled], customers: int) -> list[int]:
    """Those who show the rarest kinds of decisions first, then some from everywhere; the most telling first."""
    everywhere = range(0, customers, max(1, customers // FROM_EVERYWHERE))
    tells = Counter(chain.from_iterable(chain.from_iterable(one.examples.values() for one in sampled)))
    return list(dict.fromkeys([*(customer for customer, _ in tells.most_common()), *everywhere]))


def bounded(kept: Sequence[Kept], customers: Sequence[int]) -> list[Kept]:
    """Whole customers, as long as there is room, ordered by customer."""
    each = Counter(row.customer for row in kept)
    within = np.cumsum([each[customer] for customer in customers]) <= DECISIONS_MOST
    room = {customer for customer, fits in zip(customers, within.tolist(), strict=True) if fits}
    return sorted((row for row in kept if row.customer in room), key=lambda row: row.customer)


def about(loaded: LoadedScenario, result: RunResult, kept: Sequence[Kept]) -> dict[str, Any]:
    manifest = result.run.manifest
    return {
        **world_of(loaded),
        "digest": manifest["digest"],
        "files": {name: sha256(text.encode()).hexdigest()[:16] for name, text in sorted(loaded.texts.items())},
        "events": manifest["events"],
        "counts": counts(result.folder),
        "expectations": {verdict.text: verdict.got for verdict in result.verdicts},
        "kept": kept_words(kept),
    }


def world_of(loaded: LoadedScenario) -> dict[str, Any]:
    """Without which two runs cannot be compared customer by customer."""
    scenario = loaded.scenario
    return {
        "scenario": scenario.scenario,
        "customers": scenario.customers,
        "seed": scenario.seed,
        "days": [scenario.before, scenario.days, scenario.after],
    }


def counts(folder: Path) -> dict[str, dict[str, dict[str, int]]]:
    """Of all customers: what → of what → word → how many."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    with Database(folder) as database:
        for what, query in COUNTS.items():
            for name, word, number in database.rows(query):
                if number:
                    found.setdefault(what, {}).setdefault(name, {})[word] = int(number)
    return found


# --- held against a run -----------------------------------------------------------------------------------------------
def difference(baseline: Baseline, loaded: LoadedScenario, result: RunResult) -> dict[str, Any] | None:
    """What is decided otherwise than in the baseline; None where nothing is."""
    was, now = baseline.about, about(loaded, result, [])
    if was["digest"] == now["digest"]:
        return None
    found = {
        "files": sorted(name for name in {**was["files"], **now["files"]}
                        if was["files"].get(name) != now["files"].get(name)),
        "world": {name: [was[name], value] for name, value in world_of(loaded).items() if was[name] != value},
        "digest": [was["digest"], now["digest"]],
        "counts": counts_changed(was["counts"], now["counts"]),
        "zone": loaded.policy.time_zone,
    }  # fmt: skip
    if found["world"]:
        return found
    kept = named(plan_of(loaded), result.sampled)
    return found | changes(baseline.kept, sorted(kept, key=lambda row: row.customer))


# --- by names ---------------------------------------------------------------------------------------------------------
class Names:
    """By which names a policy knows what decisions number."""

    def __init__(self, compiled: CompiledPolicy) -> None:
        self.campaigns = {slot: name for name, slot in declared(compiled)}
        self.arms = {slot: arm_names(compiled, name) for name, slot in declared(compiled)}
        self.coupons = {slot: name for name, slot in compiled.coupons.items()}
        self.rules = {slot: name for name, slot in compiled.rules.items()}

    def kept(self, row: np.void) -> Kept:
        campaign = int(row["campaign"])
        return Kept(
            int(row["customer"]),
            int(row["time_ms"]),
            event_name(int(row["kind"])),
            self.campaigns.get(campaign, ""),
            self.arms[campaign][row["arm"]] if row["arm"] >= 0 and campaign in self.arms else "",
            Reason(row["reason"]).name.lower(),
            Answer(row["answer"]).name.lower() if row["answer"] != Answer.NONE else "",
            self.coupons.get(int(row["coupon"]), ""),
            self.rules.get(int(row["rule"]), ""),
            self.campaigns.get(int(row["credited"]), ""),
            int(row["paid"]),
            int(row["discount"]),
        )


def event_name(kind: int) -> str:
    if kind >= REPLY:
        return f"reply to {RequestKind(kind - REPLY).name.lower()}"
    return EventKind(kind).name.lower()


def named(plan: RunPlan, sampled: Sequence[Sampled]) -> list[Kept]:
    return list(chain.from_iterable(rows_of(plan, one.rows) for one in sampled))


def rows_of(plan: RunPlan, rows: np.ndarray) -> Iterator[Kept]:
    before, after = Names(plan.baseline), Names(plan.policy)
    for row in rows:
        names = before if row["time_ms"] < plan.spans.launch else after
        yield names.kept(row)
