"""Decisions of the same customers before and now: how many are others, and where each customer's first one is.

Customers of a simulation react: after the first decision that differs a customer lives on otherwise. So the first one
is what the change did, and what comes later only counts.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

SHOWN = "shown"
MONEY, MESSAGE, REASON = range(3)  # what matters, the most first: money and refusals, then who sees what, then why not


class Kept(NamedTuple):
    """A decision by names; nothing is empty."""

    customer: int
    time_ms: int
    what: str  # the event, or `reply to …`
    campaign: str
    arm: str
    reason: str
    answer: str
    coupon: str
    rule: str  # the fraud rule that answers
    credited: str  # campaign whose message led to this goal
    paid: int  # fen, of a price or an order
    discount: int


class Change(NamedTuple):
    """A customer's first decision that differs; one side is missing where the event is."""

    was: Kept | None
    now: Kept | None

    @property
    def either(self) -> Kept:
        found = self.was or self.now
        assert found is not None, "one side is there"
        return found


def changes(was: Sequence[Kept], now: Sequence[Kept]) -> dict[str, Any]:
    """How many of the decisions that were kept are others now, and the first ones by kind, what matters most first."""
    mine, theirs = by_customer(was), by_customer(now)
    customers = sorted({*mine, *theirs})
    firsts = [found for one in customers if (found := first(mine.get(one, []), theirs.get(one, [])))]
    return {
        "customers": len(customers),
        "customers_with_another_decision": len(firsts),
        "decisions": len(was),
        "changed": sum(changed(mine.get(one, []), theirs.get(one, [])) for one in customers),
        "kinds": kinds(firsts),
    }


def by_customer(rows: Sequence[Kept]) -> dict[int, list[Kept]]:
    found: dict[int, list[Kept]] = defaultdict(list)
    for row in rows:
        found[row.customer].append(row)
    return found


def first(was: Sequence[Kept], now: Sequence[Kept]) -> Change | None:
    for one, other in zip_longest(was, now):
        if one == other:
            continue
        if one is None or other is None or same_event(one, other):
            return Change(one, other)
        # Only one of them happened: the earlier one.
        return Change(one, None) if one.time_ms <= other.time_ms else Change(None, other)
    return None


def same_event(one: Kept, other: Kept) -> bool:
    return (one.time_ms, one.what) == (other.time_ms, other.what)


def changed(was: Sequence[Kept], now: Sequence[Kept]) -> int:
    """Decisions that are another one now, or of events that do not come any more."""
    return (Counter(was) - Counter(now)).total()


def kinds(firsts: Sequence[Change]) -> list[dict[str, Any]]:
    """First differences by (before, now), each with how many customers and the earliest of them."""
    grouped: dict[tuple[Any, ...], list[Change]] = defaultdict(list)
    for change in firsts:
        grouped[rank(change), side(change.was), side(change.now), change.either.what].append(change)
    found = []
    for (what_matters, before, now, what), members in grouped.items():
        example = min(members, key=lambda change: (change.either.time_ms, change.either.customer))
        found.append(
            {
                "matters": what_matters,
                "event": what,
                "before": told(before),
                "now": told(now),
                "customers": len(members),
                "yuan": sum(map(difference, members)) / 100,
                "example": {
                    "customer": example.either.customer,
                    "time_ms": example.either.time_ms,
                    "paid": [row.paid if row else 0 for row in example],
                    "discount": [row.discount if row else 0 for row in example],
                },
            }
        )
    return sorted(found, key=lambda kind: (kind["matters"], -kind["customers"], -abs(kind["yuan"]),
                                           kind["example"]["time_ms"]))  # fmt: skip


def rank(change: Change) -> int:
    was, now = change
    answers = [(row.answer, row.rule, row.paid, row.discount) if row else ("", "", 0, 0) for row in change]
    if answers[0] != answers[1]:
        return MONEY
    seen = [(row.campaign, row.arm) if row and row.reason == SHOWN else None for row in (was, now)]
    return MESSAGE if seen[0] != seen[1] else REASON


Side = tuple[str, ...]
SAID = ("campaign", "arm", "reason", "answer", "coupon", "rule", "credited")


def side(row: Kept | None) -> Side:
    """What one side says, but for amounts and times. The arm only where its message was shown."""
    if row is None:
        return ()
    said = row if row.reason == SHOWN else row._replace(arm="")
    return tuple(getattr(said, name) for name in SAID)


def told(said: Side) -> dict[str, str] | None:
    return dict(zip(SAID, said, strict=True)) if said else None


def difference(change: Change) -> int:
    """Of what is given away, fen."""
    was, now = change
    return (now.discount if now else 0) - (was.discount if was else 0)


def counts_changed(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Counts of all customers that differ, the largest difference first. Both: what → of what → word → how many."""
    found = [
        {"what": what, "of": name, "word": word, "before": before, "now": after}
        for what, name, word, before, after in both(was, now)
        if before != after
    ]
    return sorted(found, key=lambda row: -abs(row["now"] - row["before"]))


def both(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str, str, int, int]]:
    for what in {**was, **now}:
        mine, theirs = was.get(what, {}), now.get(what, {})
        for name in {**mine, **theirs}:
            one, other = mine.get(name, {}), theirs.get(name, {})
            for word in {**one, **other}:
                yield what, name, word, one.get(word, 0), other.get(word, 0)
