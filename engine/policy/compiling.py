"""What the tables of campaigns and of coupons share: salts, caps, and the conditions of a policy."""

import hashlib
from collections.abc import Sequence

import numpy as np

from engine.policy.campaign import Campaign, Cap
from engine.policy.conditions import Compiler, ConditionError, Scope
from engine.policy.coupon import Limit
from engine.policy.document import Policy
from engine.policy.yaml_source import DocumentError
from engine.records import (
    ACCEPT,
    NEVER_MS,
    PER_DAY,
    PER_MONTH,
    PER_ROLLING,
    PER_WEEK,
    SEGMENTS_MAX,
)

_CALENDAR = {"day": PER_DAY, "week": PER_WEEK, "month": PER_MONTH}


def salt(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def fill_caps(rows: np.ndarray, caps: Sequence[Cap | Limit]) -> None:
    """CAP rows; a limit without a window counts for ever."""
    for row, cap in zip(rows, caps, strict=False):
        row["most"] = cap.most
        row["per"] = _CALENDAR[cap.per] if isinstance(cap.per, str) else PER_ROLLING
        row["window_ms"] = NEVER_MS if cap.per is None else 0 if isinstance(cap.per, str) else cap.per


class Conditions:
    """Compiles every condition of a policy and gathers what is wrong with them."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.compiler = policy, Compiler()
        self.problems: list[tuple[str, str]] = []

    def compile(self, path: str, text: str | None, scope: Scope) -> tuple[int, bool]:
        """First step, and whether it reads a personal fact."""
        if text is None:
            return ACCEPT, False
        try:
            return self.compiler.add(text, scope)
        except ConditionError as error:
            self.problems.append((path, f"must be {error} (got {text})"))
            return ACCEPT, False

    def segments(self) -> np.ndarray:
        """First step of each segment; a segment may name those declared before it."""
        first = np.full(SEGMENTS_MAX, ACCEPT, np.int32)
        earlier: dict[str, str] = {}
        for number, (name, text) in enumerate(self.policy.segments.items()):
            scope = self.policy.scope(dict(earlier), events=False)
            first[number], _ = self.compile(f"segments.{name}", text, scope)
            earlier[name] = text
        return first

    def audience(self, path: str, text: str | None) -> tuple[int, bool]:
        """Of a condition on the customer."""
        return self.compile(path, text, self.policy.scope(self.policy.segments, events=False))

    def campaign(self, name: str, campaign: Campaign) -> tuple[int, int, bool]:
        """First steps of audience and trigger condition, and whether either reads a personal fact."""
        path = f"campaigns.{name}"
        audience, a = self.audience(f"{path}.audience", campaign.audience)
        scope = self.policy.scope(self.policy.segments, events=True)
        condition, b = self.compile(f"{path}.trigger.when", campaign.trigger.when, scope)
        return audience, condition, a or b

    def check(self, source: str) -> None:
        """Raises DocumentError with every condition that is wrong."""
        if self.problems:
            raise DocumentError.at(source, self.problems)
