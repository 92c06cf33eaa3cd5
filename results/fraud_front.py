"""Policies as points of loss against friction: the front is chosen on odd worlds and told of even ones.

What is best of many on the worlds that chose it looks better than it is (FIDELITY 13), so no world does both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from results.comparison_fraud import OBTAINED, RULES_OFF
from results.query import Database, quoted

ODD, EVEN = 1, 0
HARMED_MOST = 0.005  # of active good customers


@dataclass(frozen=True)
class Point:
    """A policy on half of the worlds."""

    policy: str
    money: float  # yuan a world that fraud got
    harmed: float  # share of active good customers

    def beats(self, other: "Point") -> bool:
        """No worse in either, better in one."""
        no_worse = self.money <= other.money and self.harmed <= other.harmed
        return no_worse and (self.money, self.harmed) != (other.money, other.harmed)


def points_sql(policies: Sequence[str], parity: int) -> str:
    """(policy, money, harmed) over the odd or the even worlds, in the order of policies."""
    names = ", ".join(map(quoted, policies))
    worlds = f"world % 2 = {parity} AND policy IN ({names})"
    return (
        f"SELECT policy, {OBTAINED} / 100.0 / count(DISTINCT world) AS money,"
        " coalesce(sum(harmed) FILTER (WHERE truth = 'good') / nullif(sum(active) FILTER (WHERE truth = 'good'), 0), 0)"
        f" AS harmed FROM accounts WHERE {worlds} GROUP BY policy ORDER BY list_position([{names}], policy)"
    )


def points(database: Database, policies: Sequence[str], parity: int) -> list[Point]:
    judged = [policy for policy in policies if policy != RULES_OFF]
    found = database.rows(points_sql(judged, parity)) if judged else []
    return [Point(str(policy), float(money), float(harmed)) for policy, money, harmed in found]


def front(found: Sequence[Point]) -> list[Point]:
    """Those that none beats, by harm."""
    kept = [point for point in found if not any(other.beats(point) for other in found)]
    return sorted(kept, key=lambda point: (point.harmed, point.money, point.policy))


def chosen(found: Sequence[Point], harmed_most: float = HARMED_MOST) -> Point | None:
    """Least loss among those within the bound of harm; None where none is."""
    within = [point for point in front(found) if point.harmed <= harmed_most]
    return min(within, key=lambda point: (point.money, point.harmed), default=None)
