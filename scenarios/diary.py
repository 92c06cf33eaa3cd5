"""What the Ledger and the cohorts had come to at the end of each day: a run's diary, kept while it settles."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from engine.coupon_records import ANSWERS, CouponCell
from engine.host.ledger import LedgerHost
from scenarios.worker import RunPlan, SoFar


class Informants(Protocol):
    """Workers that say what their customers have come to so far."""

    def so_far(self) -> Sequence[SoFar]: ...


@dataclass(frozen=True)
class Evening:
    """The end of one day."""

    row: int  # in the policy's table of days
    granted: np.ndarray  # i8[coupon slots], ever
    refused: np.ndarray  # i8[coupon slots, ANSWERS], ever
    funds: np.ndarray  # FUND[budget slots]
    delivered: np.ndarray  # i8[coupon slots]; UNLIMITED
    left: np.ndarray  # likewise
    spent: np.ndarray | None = None  # as of SoFar, of all workers; from launch on
    discounts: np.ndarray | None = None  # i8[coupon slots], fen since launch


@dataclass
class Diary:
    """Evenings in order. Only slots in use are kept: a day is a few kilobytes."""

    plan: RunPlan
    evenings: list[Evening] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.starts = self.plan.policy.tables.days["start_ms"]
        self.day = int(np.searchsorted(self.starts, self.plan.spans.start, "right")) - 1

    def note(self, t: int, ledger: LedgerHost, informants: Informants) -> None:
        """At the settlement of t: write down every day that has ended by then."""
        ended = int(np.searchsorted(self.starts, t, "right")) - 1
        if ended == self.day:
            return
        launched = t > self.plan.spans.launch
        parts = informants.so_far() if launched else []
        stock = ledger.shared.stock
        self.evenings.append(
            Evening(
                ended - 1,
                stock["granted"] + stock["promised"],
                stock["refused"].reshape(len(stock), ANSWERS).copy(),
                ledger.shared.funds.copy(),
                stock["delivered"].copy(),
                stock["left"].copy(),
                sum((part.spent for part in parts[1:]), parts[0].spent) if launched else None,
                sum((part.cohorts for part in parts[1:]), parts[0].cohorts)[:, CouponCell.DISCOUNT]
                if launched
                else None,
            )
        )
        self.day = ended
