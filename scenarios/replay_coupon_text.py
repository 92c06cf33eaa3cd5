"""What another policy changes of claims, carts and payments, as lines to read."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine.policy.quantities import yuan_text
from results.words import claim_answer
from scenarios.replay_table import table

KINDS_MOST = 12  # kinds of claims answered otherwise; --json has them all


def coupon_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The part of a replay that is about coupons; money moves only where a price does."""
    yield "\nCoupons: the same customers ask the same things at the same times, and a Ledger of its own answers them"
    yield f"  {claims_words(found)}"
    yield f"  {money_words(found)}"
    blocks = (
        ("Claims answered otherwise", kinds(found)),
        ("Claims refused, by reason", refused(found)),
        ("What becomes of each coupon", coupons(found)),
        ("What the same carts cost, in yuan", prices(found)),
        ("Budgets at the end, in yuan", budgets(found)),
    )
    for heading, rows in blocks:
        told = list(rows)
        if told:
            yield f"\n{heading}"
            yield from told


def claims_words(found: Mapping[str, Any]) -> str:
    if not found["claims_answered_otherwise"]:
        return f"All {found['claims']:,} claims since launch get the answer they got."
    return (
        f"{found['claims_answered_otherwise']:,} of {found['claims']:,} claims since launch get another answer; "
        f"{found['customers_with_another_answer_or_price']:,} customers meet another answer or another price."
    )


def money_words(found: Mapping[str, Any]) -> str:
    paid = found["payments"]
    before, after = yuan(paid["discount_before"]), yuan(paid["discount_after"])
    if before == after:
        return f"The discounts of the orders paid come to {before} yuan, as in the run."
    return f"The discounts of the orders paid come to {after} yuan instead of {before}."


def yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{int(abs(fen)) // 100:,}{yuan_text(abs(fen) % 100 + 100)[1:]}"


# --- blocks -----------------------------------------------------------------------------------------------------------
def kinds(found: Mapping[str, Any]) -> Iterator[str]:
    rows = [("claims", "coupon", "before", "after", "for example")]
    for kind in found["claims_by_kind"][:KINDS_MOST]:
        at = kind["example"]["at"]
        example = f"customer {kind['example']['customer']}, {at[:10]} {at[11:19]}"
        rows.append((f"{kind['claims']:,}", kind["coupon"] or "?", claim_answer(kind["before"]),
                     f"→ {claim_answer(kind['after'])}", example))  # fmt: skip
    if len(rows) > 1:
        yield from table(rows, "r")
    rest = found["claims_by_kind"][KINDS_MOST:]
    if rest:
        yield f"  {len(rest)} kinds more, {sum(kind['claims'] for kind in rest):,} claims: --json has them all"


def refused(found: Mapping[str, Any]) -> Iterator[str]:
    rows = [("coupon", "reason", "before", "after")]
    rows += [(row["coupon"], claim_answer(row["reason"]), f"{row['before']:,}", f"{row['after']:,}")
             for row in found["refused"]]  # fmt: skip
    if len(rows) > 1:
        yield from table(rows, "llrr")


def coupons(found: Mapping[str, Any]) -> Iterator[str]:
    names = ("granted", "redeemed", "expired", "returned")
    rows = [("", *names, "discount, yuan", "left")]
    for row in found["coupons"]:
        sides = [(*(f"{row[side][name]:,}" for name in names), yuan(row[side]["discount"]), left(row[side]))
                 for side in ("before", "after")]  # fmt: skip
        cells = [was if was == now else f"{was} → {now}" for was, now in zip(*sides, strict=True)]
        rows.append((row["coupon"], *cells))
    if len(rows) > 1:
        yield from table(rows, "lrrrrrr")


def left(side: Mapping[str, Any]) -> str:
    return "no limit" if side["left"] is None else f"{side['left']:,}"


ASKED = {"checkouts": "prices asked", "orders": "orders placed", "payments": "orders paid", "refunds": "refunds",
         "used_by_hand": "used without a cart"}  # fmt: skip


def prices(found: Mapping[str, Any]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [
        ("", "in all", "cheaper", "dearer", "not taken any more", "newly taken", "discount before", "after")
    ]
    for name, words in ASKED.items():
        row = found[name]
        if row["asked"]:
            counts = (row[key] for key in ("asked", "cheaper", "dearer", "no_longer_taken", "newly_taken"))
            discounts = (yuan(row[f"discount_{side}"]) for side in ("before", "after"))
            rows.append((words, *(f"{count:,}" for count in counts), *discounts))
    if len(rows) > 1:
        yield from table(rows, "lrrrrrrr")


def budgets(found: Mapping[str, Any]) -> Iterator[str]:
    rows = [("", "in force", "spent", "reserved")]
    for row in found["budgets"]:
        sides = [[yuan(row[side][name]) for name in ("in_force", "spent", "reserved")] for side in ("before", "after")]
        cells = [was if was == now else f"{was} → {now}" for was, now in zip(*sides, strict=True)]
        rows.append((row["budget"], *cells))
    if len(rows) > 1:
        yield from table(rows, "lrrr")
