"""What shards and the Ledger counted of coupons and budgets, as the columns of a run's tables."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from engine.coupon_records import UNLIMITED, Answer, CouponCell
from engine.host.ledger import LedgerHost
from engine.policy.coupon import Coupon
from engine.policy.document import Policy
from engine.policy.quantities import duration_text
from engine.records import NEVER_MS, Tallies
from scenarios.diary import Diary, Evening
from scenarios.outputs import Columns, Days, append, declared, empty
from scenarios.worker import RunPlan
from sim.cohort import LOW_BITS

GRANTED = "granted"
_CELLS = {
    "granted": CouponCell.GRANTED,
    "redeemed": CouponCell.REDEEMED,
    "expired": CouponCell.EXPIRED,
    "returned": CouponCell.RETURNED,
    "discount": CouponCell.DISCOUNT,
}


# --- what the policy says ---------------------------------------------------------------------------------------------
def coupon_blocks(policy: Policy) -> list[dict[str, Any]]:
    """Each coupon as a manifest has it; money in fen, shares in millionths."""
    return [
        {
            "name": name,
            "kind": coupon.kind,
            "pieces": coupon.pieces,
            "worst_cost": coupon.cost_most,
            "validity": validity(coupon),
            "budget": coupon.budget or "",
            "urgency": coupon.urgency,
            "transferable": coupon.transferable,
            "payers": coupon.payers,
        }
        for name, coupon in policy.coupons.items()
    ]


def validity(coupon: Coupon) -> str:
    """How long a coupon may be used, in words."""
    valid = coupon.valid
    if valid is None:
        return "without end"
    parts = [f"{duration_text(valid.for_)} after the claim"] if valid.for_ else []
    parts += [f"from {valid.from_}"] if valid.from_ else []
    parts += [f"until {valid.until}"] if valid.until else []
    return ", ".join(parts)


# --- what became of it ------------------------------------------------------------------------------------------------
class CouponOutputs:
    """Tables of coupons and budgets, from the tallies of all workers (before launch, since launch) and the Ledger."""

    def __init__(
        self, plan: RunPlan, days: Days, tallies: Sequence[Tallies], ledger: LedgerHost | None, diary: Diary | None
    ) -> None:
        self.plan, self.days, self.tallies, self.ledger = plan, days, tallies, ledger
        self.evenings: list[Evening] = diary.evenings if diary else []
        self.coupons = plan.baseline.coupons | plan.policy.coupons
        self.budgets = plan.policy.registry.budgets if ledger else {}
        self.zone = ZoneInfo(plan.policy.policy.time_zone)

    def tables(self) -> dict[str, Columns]:
        return {
            "claims": self.claims(),
            "cohorts": self.cohorts(),
            "stock": self.stock(),
            "stock_days": self.stock_days(),
            "budgets": self.budgets_at_the_end(),
            "budget_days": self.budget_days(),
            "coupon_days": self.coupon_days(),
            "spend_days": self.spend_days(),
        }

    def of_day(self, row: int) -> dict[str, Any]:
        return {"date": self.days.date[row], "phase": self.days.phase[row]}

    def claims(self) -> Columns:
        """Each claim once: granted, or the first test it failed, in the shard or at the Ledger."""
        columns = empty(["date", "phase", "coupon", "answer", "claims"])
        settled = dict(self.settled_by_day())
        for row in self.days.rows:
            tallies = self.tallies[self.days.phase[row] != "before"]
            for name, slot in self.coupons.items():
                answers = tallies.answers[row, slot].copy()
                answers[Answer.PENDING] = 0
                if row in settled:
                    granted, refused = settled[row]
                    answers[: refused.shape[1]] += refused[slot]
                    answers[Answer.DONE] += granted[slot]
                for answer in np.flatnonzero(answers).tolist():
                    word = GRANTED if answer == Answer.DONE else Answer(answer).name.lower()
                    append(columns, **self.of_day(row), coupon=name, answer=word, claims=int(answers[answer]))
        return columns

    def settled_by_day(self) -> Iterator[tuple[int, tuple[np.ndarray, np.ndarray]]]:
        """What the Ledger granted and refused on each day: the difference between two evenings."""
        if not self.evenings:
            return
        first = self.evenings[0]
        yield first.row, (first.granted, first.refused)
        for before, now in pairwise(self.evenings):
            yield now.row, (now.granted - before.granted, now.refused - before.refused)

    def cohorts(self) -> Columns:
        """What became of the coupons issued on a day, before launch and since."""
        columns = empty(["date", "phase", "coupon", "since_launch", "young", *_CELLS])
        first, last = self.days.rows[0], self.days.rows[-1]
        for name, slot in self.coupons.items():
            parts = [folded(tallies.cohorts[:, slot], first, last) for tallies in self.tallies]
            for row in range(first, last + 1):
                whole = parts[0][row - first] + parts[1][row - first]
                young = self.may_be_open(slot, row) or is_open(whole)
                for since_launch, part in enumerate(parts):
                    cells = part[row - first]
                    if cells.any():
                        append(
                            columns, **self.of_day(row), coupon=name, since_launch=bool(since_launch), young=young,
                            **{word: int(cells[cell]) for word, cell in _CELLS.items()},
                        )  # fmt: skip
        return columns

    def may_be_open(self, slot: int, row: int) -> bool:
        """Whether a coupon issued at the end of a day is valid beyond the end of the run."""
        tables = self.plan.policy.tables
        terms = tables.terms[tables.terms["coupon"] == slot]
        issued = int(tables.days[row + 1]["start_ms"]) - 1
        lasts = np.maximum(terms["valid_ms"], tables.coupons[slot].confirm_within_ms)  # a prize until it is collected
        runs_out = np.where(lasts > 0, issued + lasts, NEVER_MS)
        return bool((np.minimum(runs_out, terms["valid_until_ms"]) > self.plan.spans.end).any())

    def stock(self) -> Columns:
        columns = empty(["coupon", "delivered", "granted", "left", "out_after_ms", "out_at"])
        for name, slot in self.coupons.items():
            if self.ledger is None:
                break
            stock = self.ledger.shared.stock[slot]
            granted = int(stock["granted"] + stock["promised"])
            opened = int(self.plan.policy.tables.coupons[slot].from_ms)
            append(
                columns, coupon=name, granted=granted, left=limited(stock["left"]),
                delivered=limited(stock["delivered"]),
                **self.ran_out(int(stock["out_ms"]), opened),
            )  # fmt: skip
        return columns

    def stock_days(self) -> Columns:
        """At the end of each day."""
        columns = empty(["date", "phase", "coupon", "delivered", "left"])
        for evening in self.evenings:
            for name, slot in self.coupons.items():
                pieces = (limited(evening.delivered[slot]), limited(evening.left[slot]))
                append(columns, **self.of_day(evening.row), coupon=name, delivered=pieces[0], left=pieces[1])
        return columns

    def budgets_at_the_end(self) -> Columns:
        names = ("in_force", "reserved", "spent", "overshoot")
        columns = empty(["budget", "amount", *names, "out_after_ms", "out_at"])
        for name, slot in self.budgets.items():
            assert self.ledger is not None
            fund = self.ledger.shared.funds[slot]
            append(
                columns, budget=name, amount=int(self.plan.policy.tables.budgets[slot].amount),
                **{word: int(fund[word]) for word in names}, **self.ran_out(int(fund["out_ms"]), 0),
            )  # fmt: skip
        return columns

    def ran_out(self, out_ms: int, opened_ms: int) -> dict[str, Any]:
        """When, on the wall clock, and how long after launch, or after claims opened if that was later."""
        if out_ms >= NEVER_MS:
            return {"out_after_ms": None, "out_at": ""}
        after = max(0, out_ms - max(opened_ms, self.plan.spans.launch))
        return {
            "out_after_ms": after,
            "out_at": f"{datetime.fromtimestamp(out_ms // 1000, self.zone):%Y-%m-%d %H:%M:%S}",
        }

    def budget_days(self) -> Columns:
        """At the end of each day."""
        columns = empty(["date", "phase", "budget", "reserved", "spent", "in_force"])
        for evening in self.evenings:
            for name, slot in self.budgets.items():
                values = {word: int(evening.funds[slot][word]) for word in ("reserved", "spent", "in_force")}
                append(columns, **self.of_day(evening.row), budget=name, **values)
        return columns

    def coupon_days(self) -> Columns:
        """Fen taken off since launch, at the end of each day."""
        columns = empty(["date", "phase", "coupon", "discount"])
        for evening in self.evenings:
            if evening.discounts is not None:
                for name, slot in self.coupons.items():
                    append(columns, **self.of_day(evening.row), coupon=name, discount=int(evening.discounts[slot]))
        return columns

    def spend_days(self) -> Columns:
        """What the customers of each offer's holdout have spent so far within its goal's window, by day's end."""
        columns = empty(["date", "phase", "campaign", "held_out", "customers", "spend", "squares"])
        campaigns = self.plan.policy.policy.campaigns
        offers = [(name, slot) for name, slot in declared(self.plan.policy) if campaigns[name].coupon]
        for evening in self.evenings:
            for name, slot in offers if evening.spent is not None else []:
                assert evening.spent is not None
                for held_out in (0, 1):
                    customers, spend, high, low = evening.spent[slot, held_out].tolist()
                    append(
                        columns, **self.of_day(evening.row), campaign=name, held_out=bool(held_out),
                        customers=customers, spend=float(spend), squares=float((high << LOW_BITS) + low),
                    )  # fmt: skip
        return columns


def folded(cells: np.ndarray, first: int, last: int) -> np.ndarray:
    """The cells of a run's days (i8[last - first + 1, cells]); what arrives at its very end counts to the last."""
    inside = cells[first : last + 1].copy()
    inside[-1] += cells[last + 1 :].sum(axis=0)
    return inside


def is_open(cells: np.ndarray) -> bool:
    """Whether some of a cohort's coupons have not come to an end."""
    ended = cells[CouponCell.REDEEMED] - cells[CouponCell.RETURNED] + cells[CouponCell.EXPIRED]
    return bool(cells[CouponCell.GRANTED] > ended)


def limited(pieces: int) -> int | None:
    return None if pieces == UNLIMITED else int(pieces)
