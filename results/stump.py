"""How far one number gets: a threshold on a single feature of accounts, as precise as wanted, against all of fraud.

A population in which that is enough would flatter every rule (FIDELITY 4: it must fail).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

PRECISION = 0.95
RECALL_MOST = 0.6  # by money
KINDS_BELOW = 6  # of eight


@dataclass(frozen=True)
class Accounts:
    """Accounts of one world. features: f8[n] by name, more is more suspicious; kinds: i8[n], 0 for good ones; money:
    f8[n], what fraud got."""

    features: Mapping[str, np.ndarray]
    kinds: np.ndarray
    money: np.ndarray


@dataclass(frozen=True)
class Stump:
    """threshold: at or above it an account is called fraud; NaN where no threshold is precise enough."""

    feature: str
    threshold: float
    recall: float  # share of fraud's money, on worlds it was not fitted on
    by_kind: Mapping[int, float]

    @property
    def fails(self) -> bool:
        below = sum(recall < RECALL_MOST for recall in self.by_kind.values())
        return self.recall < RECALL_MOST and below >= min(KINDS_BELOW, len(self.by_kind))


def fitted(values: np.ndarray, fraud: np.ndarray, precision: float = PRECISION) -> float:
    """The lowest threshold with which so large a share of those at or above it is fraud; NaN."""
    order = np.argsort(-values, kind="stable")
    ranked = values[order]
    share = np.cumsum(fraud[order]) / np.arange(1, len(order) + 1)
    last_of_its_value = np.append(ranked[1:] != ranked[:-1], True)
    precise = np.flatnonzero(last_of_its_value & (share >= precision))
    return float(ranked[precise[-1]]) if len(precise) else float("nan")


def stumps(worlds: Sequence[Accounts]) -> list[Stump]:
    """One a feature: fitted on odd worlds, judged on even ones."""
    odd, even = worlds[::2], worlds[1::2]
    kinds, money = (np.concatenate([getattr(world, name) for world in even]) for name in ("kinds", "money"))
    fraud = np.concatenate([world.kinds for world in odd]) > 0
    found = []
    for name in worlds[0].features:
        threshold = fitted(np.concatenate([world.features[name] for world in odd]), fraud)
        caught = np.concatenate([world.features[name] for world in even]) >= threshold
        by_kind = {int(kind): recall(caught, kinds == kind, money) for kind in np.unique(kinds[kinds > 0])}
        found.append(Stump(name, threshold, recall(caught, kinds > 0, money), by_kind))
    return found


def recall(caught: np.ndarray, among: np.ndarray, money: np.ndarray) -> float:
    """Share of the money of some accounts that is with those caught."""
    total = money[among].sum()
    return float(money[among & caught].sum() / total) if total > 0 else 0.0
