"""What many events are answered: a column each of what is shown, by name."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.records import ARMS_MAX, NONE, Channel, Reason
from gateway.dictionary import Dictionary

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
    """Names of what one policy shows."""

    def __init__(self, dictionary: Dictionary, tells_why: bool) -> None:
        self.tells_why = tells_why
        slots = max(dictionary.campaigns, default=0) + 1
        self.campaigns = [dictionary.campaigns.get(slot, "") for slot in range(slots)]
        self.channels = [channel.name.lower() for channel in Channel]
        self.reasons = [reason.name.lower() for reason in Reason]
        self.arms: list[str] = []
        self._arm_codes = np.full(slots * ARMS_MAX, NONE)
        for slot, campaign in dictionary.campaigns.items():
            for number, arm in enumerate(dictionary.policy.campaigns[campaign].arms or []):
                self._arm_codes[slot * ARMS_MAX + number] = len(self.arms)
                self.arms.append(arm.name)

    def columns(self, decisions: np.ndarray) -> Answered:
        """Of DECISION[n]."""
        shown = decisions["reason"] == Reason.SHOWN
        campaign = np.where(shown, decisions["campaign"], NONE).astype(np.int64)
        arm = self._arm_codes[campaign.clip(0) * ARMS_MAX + decisions["arm"].clip(0)]
        return Answered(
            decisions["time_ms"].astype(np.int64),
            Named(self.campaigns, campaign),
            Named(self.channels, np.where(shown, decisions["channel"], NONE).astype(np.int64)),
            np.where(shown, decisions["exposure"], NONE).astype(np.int64),
            Named(self.arms, np.where(shown, arm, NONE)),
            decisions["late"] != 0,
            Named(self.reasons, decisions["reason"].astype(np.int64)) if self.tells_why else None,
        )
