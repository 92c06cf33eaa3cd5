"""Which policies decide: one for all customers and, while it is tried, another one for some of them.

All of them share one registry, so a name has one number whoever reads it, and nothing that customers remember moves.
A seat that is told the same `Running`s in the same order numbers names in the same way.
"""

import functools
import json
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from datetime import date

import numpy as np

from engine.policy.compiling import salt
from engine.policy.document import NamesBlock, Policy
from engine.policy.registry import Registry
from engine.policy.tables import CompiledPolicy, claim_names, compile_policy
from engine.policy.yaml_source import load_text
from engine.records import Tables

BEGUN = ""  # stands for the policy that everything began with
_SHARED_OF_COUPONS = (
    "from_ms", "until_ms", "pieces", "drop_salt", "ration_every_ms", "ration_pieces", "confirm_within_ms", "terms",
    "budget", "fallback",
)  # fmt: skip
_SHARED_OF_CAMPAIGNS = ("coupon", "budget", "direct")


@dataclass(frozen=True)
class Running:
    """From now on. Policies are texts of documents; BEGUN is the one that everything began with."""

    base: str = BEGUN
    trial: str = ""  # decides for `share` of the customers; with 0 its names are known, and nobody has it; "": none
    share: int = 0  # in SHARE_ONE
    salt: str = ""  # draws them: under one salt a larger share has those of a smaller one
    until: str = ""  # last day of the calendar, 2027-01-31; "": as at the beginning

    @property
    def is_trial(self) -> bool:
        return bool(self.trial)


class Editions:
    """The policies that decide, compiled."""

    def __init__(self, begun: CompiledPolicy) -> None:
        self.begun = begun
        days = begun.tables.days["date"].tolist()
        self.first, self.last = day_of(days[0]), day_of(days[-1])
        self.registry: Registry = deepcopy(begun.registry)
        self.running = Running()
        self.base: CompiledPolicy = begun
        self.trial: CompiledPolicy | None = None

    def run(self, running: Running) -> None:
        """Raises DocumentError or OverflowError, and then nothing has changed."""
        if replace(running, share=0, salt="") == replace(self.running, share=0, salt=""):
            self.running = running  # the same policies
            return
        registry = deepcopy(self.registry)
        base, trial = self._compiled(running, registry)
        self.registry, self.running, self.base, self.trial = registry, running, base, trial

    def _compiled(self, running: Running, registry: Registry) -> tuple[CompiledPolicy, CompiledPolicy | None]:
        base = self.policy(running.base)
        if not running.is_trial:
            return self._under(registry, base, running), None
        trial = self.policy(running.trial)
        base = base.model_copy(update={"names": trial.names})  # of which its own are the first
        claim_names(registry, base)
        claim_names(registry, trial)
        self._under(registry, base, running)  # terms of both are in the registry before …
        tried = self._under(registry, trial, running)
        return self._under(registry, base, running), tried  # … either has its table of them

    def _under(self, registry: Registry, policy: Policy, running: Running) -> CompiledPolicy:
        last = date.fromisoformat(running.until) if running.until else self.last
        replication = int(self.begun.tables.policy[0].replication)
        return compile_policy(policy, self.first, last, replication, registry)

    def policy(self, text: str) -> Policy:
        return self.begun.policy if text == BEGUN else parsed(text)

    @property
    def salt(self) -> np.uint64:
        return np.uint64(salt(self.running.salt))

    @property
    def common(self) -> Tables:
        """What all share: offers of the trial, and those that only the other has."""
        return self.base.tables if self.trial is None else common_of(self.base.tables, self.trial.tables)

    def state(self) -> str:
        """All that is needed to go on from here."""
        registry = asdict(self.registry)
        registry["terms"] = [list(row) for row in self.registry.terms]
        return json.dumps({"running": asdict(self.running), "registry": registry})

    def restore(self, state: str) -> None:
        said = json.loads(state)
        self.running = Running(base="?")  # it is compiled anew
        terms = {tuple(row): number for number, row in enumerate(said["registry"].pop("terms"))}
        self.registry = Registry(**said["registry"], terms=terms)
        self.run(Running(**said["running"]))


@functools.lru_cache(maxsize=4)
def parsed(text: str) -> Policy:
    """Raises DocumentError."""
    return load_text(text, "policy", Policy)


def day_of(number: int) -> date:
    """20270131 is 2027-01-31."""
    return date(number // 10_000, number // 100 % 100, number % 100)


def common_of(base: Tables, trial: Tables) -> Tables:
    overlaid = {}
    for name in ("campaigns", "coupons", "budgets"):
        rows = getattr(trial, name).copy()
        lacking = (rows["used"] == 0) & (getattr(base, name)["used"] != 0)
        rows[lacking] = getattr(base, name)[lacking]
        overlaid[name] = rows
    return trial._replace(**overlaid)


def unfit(before: Policy, after: Policy) -> list[str]:
    """Why a policy cannot follow another one while customers remember what the other has numbered."""
    found = []
    for name in ("policy", "time_zone"):
        one, other = getattr(before, name), getattr(after, name)
        if one != other:
            found.append(f"{name} must stay {one} (got {other})")
    for kind in NamesBlock.model_fields:
        there, given = getattr(before.names, kind), getattr(after.names, kind)
        if given[: len(there)] != there:
            found.append(f"names.{kind} must begin with {', '.join(there)}: new ones come after them "
                         f"(got {', '.join(given) or 'none'})")  # fmt: skip
    return found


def shared_changes(before: CompiledPolicy, after: CompiledPolicy) -> list[str]:
    """What differs that all customers share, so that it cannot be tried on some: both under one registry."""
    found = []
    one, other = before.tables, after.tables
    for kind, fields, names in (
        ("coupons", _SHARED_OF_COUPONS, before.coupons),
        ("budgets", tuple(one.budgets.dtype.names or ()), before.budgets),
        ("campaigns", _SHARED_OF_CAMPAIGNS, before.registry.slots),
    ):
        rows, others = getattr(one, kind), getattr(other, kind)
        for name, slot in names.items():
            if slot < len(rows) and rows[slot]["used"] and others[slot]["used"]:
                differ = [field for field in fields if rows[slot][field] != others[slot][field]]
                found += [f"{kind}.{name} ({', '.join(differ)})"] if differ else []
    found += ["budgets (by channel)"] if not np.array_equal(one.channel_budgets, other.channel_budgets) else []
    found += ["fraud"] if before.policy.fraud != after.policy.fraud else []
    found += ["breakers"] if before.policy.breakers != after.policy.breakers else []
    return found
