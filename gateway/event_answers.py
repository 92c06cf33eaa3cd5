"""What many events are answered: a column each of what is shown, by name."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.records import ARMS_MAX, NONE, Channel, Reason
from gateway.dictionary import Dictionary
from gateway.speaking import Speaking

NAMED = ("campaign", "channel", "arm", "reason")


@dataclass(frozen=True, eq=False)
class Named:
    """A column of names: which of them each row has; NONE: none."""

    names: list[str]
    codes: np.ndarray  # i8[n]


@dataclass(frozen=True, eq=False)
class Answered:
    """Row by row."""

    time_ms: np.ndarray  # i8[n]: they were taken at
    campaign: Named
    channel: Named
    exposure: np.ndarray  # i8[n]; NONE
    arm: Named
    late: np.ndarray  # bool[n]
    reason: Named | None  # to who may know

    def lists(self) -> list[list[Any]]:
        """In the order of the fields, each a list of a value or None a row."""
        exposures = [None if one == NONE else one for one in self.exposure.tolist()]
        nobody = [None] * len(self.time_ms)
        reason = nobody if self.reason is None else names_in(self.reason)
        return [
            self.time_ms.tolist(), names_in(self.campaign), names_in(self.channel), exposures, names_in(self.arm),
            self.late.tolist(), reason,
        ]  # fmt: skip


def names_in(column: Named) -> list[str | None]:
    names = [*column.names, None]  # NONE is the last
    return [names[code] for code in column.codes.tolist()]


class Shows:
    """Names of what policies show."""

    def __init__(self, speaking: Speaking, tells_why: bool) -> None:
        self.speaking, self.tells_why = speaking, tells_why
        campaigns = speaking.present.both.campaigns
        self._slots = max(campaigns, default=0) + 1
        self.campaigns = [campaigns.get(slot, "") for slot in range(self._slots)]
        self.channels = [channel.name.lower() for channel in Channel]
        self.reasons = [reason.name.lower() for reason in Reason]
        self.arms: list[str] = []
        self._codes: dict[Dictionary, np.ndarray] = {}  # of arms, by slot and number

    def columns(self, decisions: np.ndarray, orders: np.ndarray) -> Answered:
        """Of DECISION[n]; orders: the latest that a shard had carried out, i8[n]."""
        shown = decisions["reason"] == Reason.SHOWN
        campaign = np.where(shown, decisions["campaign"], NONE).astype(np.int64)
        return Answered(
            decisions["time_ms"].astype(np.int64),
            Named(self.campaigns, campaign),
            Named(self.channels, np.where(shown, decisions["channel"], NONE).astype(np.int64)),
            np.where(shown, decisions["exposure"], NONE).astype(np.int64),
            Named(self.arms, np.where(shown, self._arms(decisions, campaign.clip(0), orders), NONE)),
            decisions["late"] != 0,
            Named(self.reasons, decisions["reason"].astype(np.int64)) if self.tells_why else None,
        )

    def _arms(self, decisions: np.ndarray, campaign: np.ndarray, orders: np.ndarray) -> np.ndarray:
        """Of each row, in the words of the policy that has decided."""
        places = campaign * ARMS_MAX + decisions["arm"].clip(0)
        arms = np.full(len(decisions), NONE)
        for order in np.unique(orders).tolist():
            words, rows = self.speaking.after(order), orders == order
            arms[rows] = self._of_arms(words.base)[places[rows]]
            if words.chosen is not None:
                rows &= words.chosen[decisions["customer"]]
                arms[rows] = self._of_arms(words.trial)[places[rows]]
        return arms

    def _of_arms(self, dictionary: Dictionary) -> np.ndarray:
        found = self._codes.get(dictionary)
        if found is None:
            found = self._codes[dictionary] = np.full(self._slots * ARMS_MAX, NONE)
            for name, slot in dictionary.numbers["campaign"].items():
                for number, arm in enumerate(dictionary.policy.campaigns[name].arms or []):
                    found[slot * ARMS_MAX + number] = len(self.arms)
                    self.arms.append(arm.name)
        return found
