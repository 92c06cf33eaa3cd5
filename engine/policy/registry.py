"""Names own slots: campaigns, coupons, budgets, groups and fraud rules are known by name, and a slot is free again when
nothing refers to it. Terms of coupons own their rows for good."""

from dataclasses import dataclass, field

from engine.coupon_records import BUDGETS_MAX, COUPONS_MAX, GROUPS_MAX, TERMS_MAX, PriceStage
from engine.fraud_records import RULES_MAX
from engine.records import CAMPAIGNS_MAX

Row = tuple[int, ...]  # every field of one row of TERMS


def lowest_free(slots: dict[str, int], name: str, most: int, what: str) -> int:
    """The slot of a name; the lowest free one if the name is new. Raises OverflowError when all are taken."""
    if name not in slots:
        taken = set(slots.values())
        free = next((slot for slot in range(most) if slot not in taken), None)
        if free is None:
            raise OverflowError(f"{what} must be at most {most} at a time (no slot is free for {name!r})")
        slots[name] = free
    return slots[name]


def stage_groups() -> dict[str, int]:
    """The default group of each stage."""
    return {stage.name.lower(): int(stage) for stage in PriceStage}


@dataclass
class Registry:
    """Slots by name, of all policies that share it."""

    slots: dict[str, int] = field(default_factory=dict)  # of campaigns
    coupons: dict[str, int] = field(default_factory=dict)
    budgets: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=stage_groups)
    rules: dict[str, int] = field(default_factory=dict)  # of fraud
    terms: dict[Row, int] = field(default_factory=dict)  # rows by content, in their order: added to, never changed

    def claim(self, name: str) -> int:
        """The slot of a campaign. Raises OverflowError when all are taken."""
        return lowest_free(self.slots, name, CAMPAIGNS_MAX, "campaigns")

    def claim_coupon(self, name: str) -> int:
        """Likewise, of a coupon."""
        return lowest_free(self.coupons, name, COUPONS_MAX, "coupons")

    def claim_budget(self, name: str) -> int:
        return lowest_free(self.budgets, name, BUDGETS_MAX, "budgets")

    def claim_group(self, name: str) -> int:
        return lowest_free(self.groups, name, GROUPS_MAX, "groups of coupons")

    def claim_rule(self, name: str) -> int:
        return lowest_free(self.rules, name, RULES_MAX, "fraud rules")

    def claim_terms(self, row: Row) -> int:
        """The row of these terms: the one that already says so, or a new one at the end."""
        if row not in self.terms and len(self.terms) >= TERMS_MAX:
            raise OverflowError(f"terms of coupons must be at most {TERMS_MAX} rows ever (all are taken)")
        return self.terms.setdefault(row, len(self.terms))

    def release(self, name: str) -> None:
        """Give a campaign's slot back, once no customer remembers it."""
        del self.slots[name]

    def __len__(self) -> int:
        """Slots that arrays of campaigns must have."""
        return size_of(self.slots)


def size_of(slots: dict[str, int]) -> int:
    """Rows an array by slot must have."""
    return max(slots.values(), default=-1) + 1
