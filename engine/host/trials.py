"""A policy on trial in a shard: it decides for some customers, whose events are taken out of a batch and put back."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.coupon_records import Inbox
from engine.records import DECISION, Tables, Tallies, records


@dataclass(frozen=True, eq=False)
class Trial:
    """Whom it decides for, and what it counts."""

    tables: Tables
    tallies: Tallies
    chosen: np.ndarray  # bool[customers of the shard]

    def hand_over(self, tallies: Tallies) -> None:
        """What the Ledger is to hear goes with what the other policy counted."""
        for name in ("spend", "pulse"):
            counted = getattr(self.tallies, name)
            getattr(tallies, name)[:] += counted
            counted[:] = 0


def decided_apart(decide: Any, first: int, events: np.ndarray, inbox: Inbox, trial: Trial) -> tuple[Any, Any]:
    """DECISION[n] in the order of the events, and ghosts; decide(events, inbox, on_trial) of each of the two parts.

    Between two settlements customers are independent: one customer's events stay in order, and that is all there is.
    """
    tried = trial.chosen[events["customer"] - first]
    decisions, ghosts = records(len(events), DECISION), []
    for on_trial in (False, True):
        (places,) = np.nonzero(tried == on_trial)
        if len(places):
            part, left = decide(events[places], inbox, on_trial)
            decisions[places] = part
            ghosts.append(left)
    return decisions, np.concatenate(ghosts) if ghosts else records(0, DECISION)
