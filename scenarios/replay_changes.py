"""Two policies' decisions on the same events: what differs, each customer's first difference apart from later ones."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from engine.policy.tables import CompiledPolicy
from engine.records import ARMS_MAX, NONE, Reason
from scenarios.outputs import arm_names, declared
from sim.cohort import Spans

SHOWN, NO_CANDIDATE = int(Reason.SHOWN), int(Reason.NO_CANDIDATE)
NOT_YET = np.iinfo(np.int64).max
# Columns of a first difference; arms are numbered by name.
CUSTOMER, TIME, REASON, SLOT, ARM, REASON_THEN, SLOT_THEN, ARM_THEN = range(8)


def arm_ids(*policies: CompiledPolicy) -> tuple[list[np.ndarray], list[str]]:
    """i8[slots, ARMS_MAX] of each policy: one number for each arm's name, whatever its place; and the names."""
    numbers: dict[str, int] = {}
    tables = []
    for policy in policies:
        table = np.full((len(policy.tables.campaigns), ARMS_MAX), NONE)
        for name, slot in declared(policy):
            for place, arm in enumerate(arm_names(policy, name)):
                table[slot, place] = numbers.setdefault(arm, len(numbers))
        tables.append(table)
    return tables, list(numbers)


def named_arms(decisions: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The arm of each decision by name; NONE where nobody was given one."""
    arms = decisions["arm"]
    return np.where(arms == NONE, NONE, ids[decisions["campaign"], arms])


class Changes:
    """What differs since launch. A decision differs where the customer sees another message, or one instead of none."""

    def __init__(self, customers: int, was: CompiledPolicy, now: CompiledPolicy) -> None:
        (self.ids, self.other_ids), self.arms = arm_ids(was, now)
        self.first_at = np.full(customers, NOT_YET)  # number of the decision, counted over all
        self.segments = np.zeros(customers, np.int64)
        self.decisions = self.could_show = self.later = 0
        self.refused_otherwise = self.refused_otherwise_later = 0  # another reason, nothing seen either way
        self.firsts: list[np.ndarray] = []

    def compare(self, was: np.ndarray, now: np.ndarray) -> None:
        """Take in DECISION[n] of both policies on the same events, in order."""
        assert len(was) == len(now)
        arms, other_arms = named_arms(was, self.ids), named_arms(now, self.other_ids)
        shown, shown_too = was["reason"] == SHOWN, now["reason"] == SHOWN
        another = (was["campaign"] != now["campaign"]) | (arms != other_arms)
        differs = (shown != shown_too) | (shown & shown_too & another)
        rows = np.flatnonzero(differs)
        customers, place = np.unique(was["customer"][rows], return_index=True)
        new = self.first_at[customers] == NOT_YET
        firsts = rows[place[new]]
        self.first_at[customers[new]] = self.decisions + firsts
        self.later += len(rows) - len(firsts)
        self.keep(was[firsts], now[firsts], arms[firsts], other_arms[firsts])
        refused = ~shown & ~shown_too & ((was["reason"] != now["reason"]) | (was["campaign"] != now["campaign"]))
        late = self.decisions + np.arange(len(was)) > self.first_at[was["customer"]]
        self.refused_otherwise += int((refused & ~late).sum())
        self.refused_otherwise_later += int((refused & late).sum())
        self.decisions += len(was)
        self.could_show += int(((was["reason"] != NO_CANDIDATE) | (now["reason"] != NO_CANDIDATE)).sum())

    def keep(self, was: np.ndarray, now: np.ndarray, arms: np.ndarray, other_arms: np.ndarray) -> None:
        columns = (was["customer"], was["time_ms"], was["reason"], was["campaign"], arms, now["reason"],
                   now["campaign"], other_arms)  # fmt: skip
        self.firsts.append(np.column_stack([column.astype(np.int64) for column in columns]))

    def rows(self) -> np.ndarray:
        """i8[n, 8]: the first differences of all customers, by time."""
        rows = np.concatenate([np.empty((0, ARM_THEN + 1), np.int64), *self.firsts])
        return rows[np.lexsort((rows[:, CUSTOMER], rows[:, TIME]))]


class Findings:
    """What changes, by the names of the run's policy (`was`) and the other one (`now`)."""

    def __init__(self, changes: Changes, was: CompiledPolicy, now: CompiledPolicy, spans: Spans) -> None:
        self.changes, self.was, self.now, self.spans = changes, was, now, spans
        self.rows = changes.rows()
        self.campaigns = {slot: name for name, slot in was.registry.slots.items()}
        self.zone = ZoneInfo(was.policy.time_zone)

    def told(self) -> dict[str, Any]:
        """One object: how many, then the first differences by what they are, campaign, segment and day."""
        changes, customers = self.changes, len(self.rows)
        return {
            "customers": len(changes.segments),
            "customers_with_a_different_decision": customers,
            "decisions": changes.decisions,
            "decisions_that_could_show": changes.could_show,
            "different_decisions": customers + changes.later,
            "first_divergences": self.kinds(),
            "later_divergences": changes.later,
            "another_reason": {"before_any_divergence": changes.refused_otherwise,
                               "later": changes.refused_otherwise_later},
            "by_campaign": self.by_campaign(),
            "by_segment": self.by_segment(),
            "by_day": self.by_day(),
        }  # fmt: skip

    def kinds(self) -> list[dict[str, Any]]:
        """First differences by (what was decided → what is decided now), the most frequent first."""
        sides = self.rows[:, REASON:].copy()
        same = (self.rows[:, SLOT] == self.rows[:, SLOT_THEN]) & (self.rows[:, REASON] == self.rows[:, REASON_THEN])
        sides[~same, ARM - REASON] = sides[~same, ARM_THEN - REASON] = NONE  # arms tell only one message from another
        keys, earliest, counts = np.unique(sides, axis=0, return_index=True, return_counts=True)
        order = np.lexsort((earliest, -counts))
        return [
            {
                "before": self.side(keys[kind][:3]),
                "after": self.side(keys[kind][3:]),
                "customers": int(counts[kind]),
                "share": round(int(counts[kind]) / len(self.rows), 6),
                "example": self.example(self.rows[earliest[kind]]),
            }
            for kind in order
        ]

    def side(self, key: np.ndarray) -> dict[str, Any]:
        reason, slot, arm = (int(number) for number in key)
        return {
            "reason": Reason(reason).name.lower(),
            "campaign": self.campaigns.get(slot),
            "arm": None if arm == NONE else self.changes.arms[arm],
        }

    def example(self, row: np.ndarray) -> dict[str, Any]:
        at = datetime.fromtimestamp(int(row[TIME]) / 1000, self.zone)
        return {"customer": int(row[CUSTOMER]), "at": at.isoformat(timespec="seconds")}

    def by_campaign(self) -> list[dict[str, Any]]:
        """Of each campaign: customers whose first difference takes its message away, brings it, or changes its arm."""
        shown, shown_then = self.rows[:, REASON] == SHOWN, self.rows[:, REASON_THEN] == SHOWN
        moved = self.rows[:, SLOT] != self.rows[:, SLOT_THEN]
        found = []
        for slot, name in self.campaigns.items():
            here, there = shown & (self.rows[:, SLOT] == slot), shown_then & (self.rows[:, SLOT_THEN] == slot)
            counts = {
                "no_longer_shown": int((here & (~shown_then | moved)).sum()),
                "newly_shown": int((there & (~shown | moved)).sum()),
                "another_arm": int((here & there).sum()),
            }
            if any(counts.values()):
                found.append({"campaign": name, **counts})
        return sorted(found, key=lambda row: -sum(row[count] for count in counts))

    def by_segment(self) -> list[dict[str, Any]]:
        """Customers of each segment, as the run's policy names them at launch, and how many meet a difference."""
        names = [*self.was.policy.segments, "other"]
        everyone = np.bincount(self.changes.segments, minlength=len(names))
        first = np.bincount(self.changes.segments[self.rows[:, CUSTOMER]], minlength=len(names))
        return [
            {"segment": name, "customers": int(everyone[n]), "customers_with_a_different_decision": int(first[n])}
            for n, name in enumerate(names)
        ]

    def by_day(self) -> list[dict[str, Any]]:
        """First differences of each day from launch to the end."""
        days = self.was.tables.days
        counts = np.bincount(np.searchsorted(days["start_ms"], self.rows[:, TIME], "right") - 1, minlength=len(days))
        return [
            {"day": f"{date // 10_000}-{date // 100 % 100:02}-{date % 100:02}", "customers": int(count)}
            for start, date, count in zip(days["start_ms"], days["date"].tolist(), counts, strict=True)
            if self.spans.launch <= start < self.spans.end
        ]
