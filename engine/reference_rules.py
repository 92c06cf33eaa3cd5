"""What a policy says of fraud in plain words, windows, and all that rules ever counted: for both naive homes.

Numbers in docstrings are those of docs/readings.md "Fraud".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from math import asin, cos, radians, sin, sqrt
from typing import Any
from zoneinfo import ZoneInfo

from engine.fraud_records import JUDGED_MASK, Check, Field, Home, Mode, Verdict
from engine.policy.document import Policy
from engine.records import NEVER_MS, NONE, PER_DAY, PER_ROLLING, SHARE_ONE

Key = Any  # a customer, a device ...; customer and campaign
Entry = tuple[int, int]  # time, value of the field of which different ones are counted (NONE)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COUNTERS = (Check.COUNT, Check.PACE, Check.NO_BROWSING)
EARTH_RADIUS_METRES = 6_371_009


# --- what a policy says -----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Rule:
    """A row of RULE in plain words; `where` is the text of its condition."""

    slot: int
    kinds: int = 0  # masks
    judges: int = 0
    most: int = 0
    window_ms: int = NEVER_MS
    per: int = 0
    amount: int = 0
    key: int = Field.CUSTOMER
    different: int = NONE
    check: int = Check.COUNT
    home: int = Home.SHARD
    mode: int = Mode.ACTIVE
    verdict: int = Verdict.DENY
    granted: int = 0
    keys: int = 1_000_000  # room at the Ledger
    where: str | None = None

    @property
    def is_live(self) -> bool:
        """2: neither counts nor fires when it is off."""
        return self.mode != Mode.OFF

    @property
    def counts_asks_only(self) -> bool:
        """4: it fires on the very asks that it counts."""
        return self.check in COUNTERS and self.kinds & ~JUDGED_MASK == 0

    @property
    def counting(self) -> tuple[int, ...]:
        """2: what may not change without its beginning anew."""
        return (
            self.kinds, self.most, self.window_ms, self.per, self.amount, self.key, self.different, self.check,
            self.granted,
        )  # fmt: skip

    def counts_kind(self, kind: int) -> bool:
        return bool(self.kinds >> kind & 1)

    def judges_kind(self, kind: int) -> bool:
        return bool(self.judges >> kind & 1)


@dataclass(frozen=True)
class Listed:
    """One entry of a block or allow list."""

    field: int
    value: int
    allowed: bool
    until_ms: int = NEVER_MS


@dataclass(frozen=True)
class Fraud:
    """What a policy says of fraud; slots as its registry has them."""

    zone: ZoneInfo
    rules: Mapping[int, Rule] = field(default_factory=dict)
    listed: tuple[Listed, ...] = ()
    ranges: tuple[tuple[int, int], ...] = ()  # of IPs, both ends in
    metres: Mapping[tuple[int, int], int] = field(default_factory=dict)  # between cities that have a place
    lets_through: Callable[[int], bool] = lambda customer: False

    @cached_property
    def live_rules(self) -> dict[Home, list[Rule]]:
        rules = [rule for _, rule in sorted(self.rules.items()) if rule.is_live]
        return {home: [rule for rule in rules if rule.home == home] for home in Home}

    def live(self, home: Home) -> list[Rule]:
        """In the order of slots."""
        return self.live_rules[home]


# --- from a parsed policy ---------------------------------------------------------------------------------------------
def fraud_of(
    policy: Policy, slots: Mapping[str, int], bucket: Callable[[str, int], int] = lambda salt, customer: SHARE_ONE
) -> Fraud:
    """slots: of its rules, by name; bucket: where a customer falls under a salt, in millionths."""
    zone = ZoneInfo(policy.time_zone)
    proxies = [] if policy.fraud.proxies is None else policy.fraud.proxies.entries()
    return Fraud(
        zone,
        {slots[name]: rule_of(policy, slots[name], row) for name, row in policy.fraud.rows().items()},
        tuple(listed_of(policy, zone)),
        tuple((entry.first, entry.last) for entry in proxies),
        metres_of(policy),
        lambda customer: bucket(f"{policy.policy}/let_through", customer) < policy.fraud.let_through,
    )


def rule_of(policy: Policy, slot: int, row: Any) -> Rule:
    """A RuleRow of the document."""
    is_day = row.within == "day"
    return Rule(
        slot,
        kinds=row.kinds,
        judges=row.judged,
        most=row.more_than or 0,
        window_ms=NEVER_MS if row.within is None else 0 if is_day else row.within,
        per=PER_DAY if is_day else PER_ROLLING,
        amount=row.amount,
        key=row.key,
        different=NONE if row.different is None else Field[row.different.upper()],
        check=Check[row.check.upper()],
        home=row.home,
        mode=Mode[(row.mode or "active").upper()],
        verdict=Verdict[row.answer.upper()],
        granted=int(row.granted),
        keys=row.keys or policy.fraud.keys,
        where=row.where,
    )


def listed_of(policy: Policy, zone: ZoneInfo) -> list[Listed]:
    lists, found = policy.fraud.lists, []
    for allowed, listings in ((False, lists.block), (True, lists.allow)):
        for listing in listings:
            kind = Field[listing.field.upper()]
            for entry in listing.entries():
                found.append(Listed(kind, entry.first, allowed, over_ms(entry.until or listing.until, zone)))
    return found


def over_ms(day: date | None, zone: ZoneInfo) -> int:
    return NEVER_MS if day is None else (datetime.combine(day, time(), zone) - EPOCH) // timedelta(milliseconds=1)


def metres_of(policy: Policy) -> dict[tuple[int, int], int]:
    """Between all cities that have a place, along the great circle: haversine (Sinnott 1984)."""
    known = [(number, policy.fraud.places[city]) for number, city in enumerate(policy.names.cities)
             if city in policy.fraud.places]  # fmt: skip
    found = {}
    for number, a in known:
        for other, b in known:
            north, east = radians(b.latitude - a.latitude), radians(b.longitude - a.longitude)
            h = sin(north / 2) ** 2 + cos(radians(a.latitude)) * cos(radians(b.latitude)) * sin(east / 2) ** 2
            found[number, other] = round(2 * EARTH_RADIUS_METRES * asin(sqrt(min(1.0, h))))
    return found


# --- windows ----------------------------------------------------------------------------------------------------------
def midnight(time_ms: int, zone: ZoneInfo, days: int = 0) -> int:
    """When the day of an instant began, or one some days later."""
    day = (EPOCH + timedelta(milliseconds=time_ms)).astimezone(zone).date() + timedelta(days=days)
    return (datetime.combine(day, time(), zone) - EPOCH) // timedelta(milliseconds=1)


def day_number(time_ms: int, zone: ZoneInfo) -> int:
    day = (EPOCH + timedelta(milliseconds=time_ms)).astimezone(zone)
    return day.year * 10_000 + day.month * 100 + day.day


def window_end(rule: Rule, counted_ms: int, zone: ZoneInfo) -> int:
    """3: when what was counted at an instant has left the window."""
    if rule.per == PER_DAY:
        return midnight(counted_ms, zone, 1)
    return NEVER_MS if rule.window_ms >= NEVER_MS else counted_ms + rule.window_ms


def warm_until(rule: Rule, before: Rule | None, now: int, zone: ZoneInfo) -> int:
    """2: a rule that was off, not there or counted otherwise fires as if in shadow for one window."""
    if before is not None and before.is_live and before.counting == rule.counting:
        return 0
    end = window_end(rule, now, zone)
    return now if end == NEVER_MS else end


class Past:
    """All that rules ever counted, by rule and key, in the order of time."""

    def __init__(self) -> None:
        self.counted: dict[tuple[int, Key], list[Entry]] = {}
        self.zone = ZoneInfo("UTC")

    def add(self, rule: Rule, key: Key, t: int, value: int = NONE) -> None:
        self.counted.setdefault((rule.slot, key), []).append((t, value))

    def within(self, rule: Rule, key: Key, t: int) -> list[Entry]:
        """3: what is in the window that ends with t."""
        entries = self.counted.get((rule.slot, key), [])
        return [entry for entry in entries if entry[0] <= t < window_end(rule, entry[0], self.zone)]

    def amount(self, rule: Rule, key: Key, t: int, more: Sequence[Key] = ()) -> int:
        """3: the events in the window, or the different values among them; `more`: values not yet counted."""
        values = [value for _, value in self.within(rule, key, t)] + [*more]
        return len(values) if rule.different == NONE else len(set(values))

    def mark_until(self, rule: Rule, key: Key, t: int) -> int:
        """8: until the count would be `most` or less without further events."""
        entries = self.within(rule, key, t)
        times = [at for at, _ in entries] if rule.different == NONE else list({v: at for at, v in entries}.values())
        return window_end(rule, sorted(times)[-(rule.most + 1)], self.zone)

    def forget(self, slots: set[int]) -> None:
        self.counted = {(slot, key): entries for (slot, key), entries in self.counted.items() if slot not in slots}


def begun_anew(before: Fraud, after: Fraud) -> set[int]:
    """2: rules that have nothing of what they counted under the policy before."""
    kept = {
        slot
        for slot, rule in after.rules.items()
        if slot in before.rules and before.rules[slot].counting == rule.counting and rule.is_live
    }
    return set(before.rules) - kept


def mask(rules: list[Rule]) -> int:
    return sum(1 << rule.slot for rule in rules)


def strongest(rules: list[Rule]) -> Rule | None:
    """6: of equals the lowest slot."""
    return min(rules, key=lambda rule: (-rule.verdict, rule.slot), default=None)
