"""Fraud rules once more, naively, from the words of docs/readings.md "Fraud": what a rule is, and the shard's home.

All that a rule ever counted is kept in lists by rule and key, and looked through each time. Numbers in docstrings are
those of the section. The Ledger's home is `engine/reference_counters.py`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from engine.coupon_records import Answer, RequestKind
from engine.fraud_records import JUDGED_MASK, PASS_MS, Agent, Check, Field, Home, Mode, RuleCell, Verdict
from engine.records import NEVER_MS, NONE, PER_DAY, EventKind

Row = dict[str, Any]
Key = Any  # a customer, a device ...; customer and campaign
Entry = tuple[int, int]  # time, value of the field of which different ones are counted (NONE)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REQUESTED = (EventKind.CLAIM, EventKind.TRANSFER)  # asks that the Ledger judges, too
COUNTERS = (Check.COUNT, Check.PACE, Check.NO_BROWSING)
UNRESTRICTED = -1


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
    number: int = 0
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

    def live(self, home: Home) -> list[Rule]:
        return [rule for _, rule in sorted(self.rules.items()) if rule.is_live and rule.home == home]


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


# --- the shard --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Sight:
    """One event as rules see it; facts as before it."""

    kind: int
    customer: int
    t: int
    late: bool
    fields: dict[int, int]  # by Field; what is not known is NONE
    traced: dict[str, int]  # its origin
    city: int
    facts: Callable[[], dict[str, int]]
    joined_ms: int = 0
    worth: int | None = 0  # of the coupon of a claim: the most it can cost, or its stated worth; None: no bound
    regions: int = UNRESTRICTED  # of the coupon of a claim or a redemption: mask of cities

    def carries(self, rule: Rule) -> bool:
        """3: its key and, if it counts different ones, that field."""
        wanted = [rule.key] if rule.different == NONE else [rule.key, rule.different]
        return all(self.fields.get(one, NONE) != NONE for one in wanted)


@dataclass(frozen=True)
class Judged:
    """What the shard says of an event; masks by slot."""

    verdict: Verdict = Verdict.ALLOW
    rule: int = NONE
    fired: int = 0
    counted: int = 0  # the Ledger's rules that count it
    judging: int = 0
    exempt: int = 0


def mask(rules: list[Rule]) -> int:
    return sum(1 << rule.slot for rule in rules)


def strongest(rules: list[Rule]) -> Rule | None:
    """6: of equals the lowest slot."""
    return min(rules, key=lambda rule: (-rule.verdict, rule.slot), default=None)


class Watch:
    """What a shard's customers were seen doing."""

    def __init__(self) -> None:
        self.fraud = Fraud(ZoneInfo("UTC"))
        self.past = Past()
        self.warm: dict[int, int] = {}
        self.marks: dict[tuple[int, int], int] = {}  # (customer, slot) → end
        self.passes: dict[tuple[int, int], int] = {}
        self.lists: dict[int, tuple[bool, int]] = {}  # by a person's decision: allowed, end
        self.tallies: Counter[tuple[int, int, RuleCell]] = Counter()  # (yyyymmdd, slot, measure)

    def adopt(self, fraud: Fraud, holds: Callable[[str | None, dict[str, int]], bool], now: int | None) -> None:
        """2: at `now`; None: the beginning of the world."""
        before, self.fraud, self.holds = self.fraud, fraud, holds
        self.past.zone = fraud.zone
        if now is not None:
            fresh = {slot: warm_until(rule, before.rules.get(slot), now, fraud.zone)
                     for slot, rule in fraud.rules.items()}  # fmt: skip
            self.warm = {slot: max(end, self.warm.get(slot, 0) if not end else 0) for slot, end in fresh.items()}
            anew = begun_anew(before, fraud)
            self.past.forget(anew)
            self.marks = {(who, slot): end for (who, slot), end in self.marks.items() if slot not in anew}
            self.passes = {(who, slot): end for (who, slot), end in self.passes.items() if slot not in anew}

    def is_active(self, rule: Rule, t: int) -> bool:
        """2."""
        return rule.mode == Mode.ACTIVE and t >= self.warm.get(rule.slot, 0)

    # --- 3 counting ---------------------------------------------------------------------------------------------------
    def counts(self, rule: Rule, sight: Sight) -> bool:
        if sight.late or not rule.is_live or not rule.counts_kind(sight.kind) or not sight.carries(rule):
            return False
        return self.holds(rule.where, sight.facts()) if rule.where else True

    def see(self, sight: Sight) -> None:
        """Count an event, once."""
        for rule in self.fraud.live(Home.SHARD):
            if self.counts(rule, sight):
                value = sight.fields.get(rule.different, NONE)
                self.past.add(rule, sight.customer, sight.t, sight.city if rule.check == Check.TRAVEL else value)
            self.remember(rule, sight)

    def remember(self, rule: Rule, sight: Sight) -> None:
        """10: what tests look at besides."""
        if sight.late:
            return
        if rule.check == Check.NO_BROWSING and sight.kind == EventKind.PAGE_VIEW:
            self.past.add(rule, ("browsed", sight.customer), sight.t)
        if rule.check == Check.AFTER_DECLINE and sight.kind == EventKind.PAYMENT_DECLINED:
            self.past.add(rule, ("declined", sight.customer), sight.t)

    def unpaid(self, customer: int, order: int, t: int) -> None:
        """10: an order counts at held + 15 min if it is not paid by then."""
        fields = {int(Field.CUSTOMER): customer, int(Field.ORDER): order}
        self.see(Sight(EventKind.ORDER_UNPAID, customer, t, False, fields, {}, NONE, dict))

    def counted_there(self, sight: Sight) -> int:
        """3: the Ledger's rules that count it."""
        return mask([rule for rule in self.fraud.live(Home.LEDGER) if self.counts(rule, sight)])

    def judging_there(self, sight: Sight) -> int:
        """4: the Ledger's rules that judge a claim or transfer."""
        rules = [rule for rule in self.fraud.live(Home.LEDGER) if self.may_judge(rule, sight)]
        return mask(rules) if sight.kind in REQUESTED else 0

    # --- 4, 5 judging -------------------------------------------------------------------------------------------------
    def may_judge(self, rule: Rule, sight: Sight) -> bool:
        """4."""
        if sight.late or not rule.judges_kind(sight.kind) or sight.fields.get(rule.key, NONE) == NONE:
            return False
        if rule.counts_asks_only:
            return self.counts(rule, sight)
        return rule.check in COUNTERS or not rule.where or self.holds(rule.where, sight.facts())

    def judge(self, sight: Sight) -> Judged:
        """5, 6: an ask that has been counted."""
        if sight.late:
            return Judged()
        looked = [rule for rule in self.fraud.live(Home.SHARD) if self.may_judge(rule, sight)]
        fired = [rule for rule in looked if self.fires(rule, sight)] + self.told(sight)
        judging = self.judging_there(sight)
        exempt = self.take_passes(sight, judging)
        answers = self.answer([rule for rule in fired if not exempt >> rule.slot & 1], sight)
        self.tally(sight, RuleCell.JUDGED, {*looked, *fired})
        self.tally(sight, RuleCell.FIRED, set(fired))
        self.tally(sight, RuleCell.ANSWERED, {answers} if answers else set())
        verdict, slot = (Verdict(answers.verdict), answers.slot) if answers else (Verdict.ALLOW, NONE)
        return Judged(verdict, slot, mask(fired), self.counted_there(sight), judging, exempt)

    def tally(self, sight: Sight, cell: RuleCell, rules: set[Rule]) -> None:
        for rule in rules:
            self.tallies[day_number(sight.t, self.fraud.zone), rule.slot, cell] += 1

    def told(self, sight: Sight) -> list[Rule]:
        """5: the Ledger's rules that fire here: marks and the block list."""
        rules = [rule for rule in self.fraud.live(Home.LEDGER) if rule.judges_kind(sight.kind)]
        blocked = self.is_listed(sight, allowed=False)
        return [
            rule
            for rule in rules
            if sight.t < self.marks.get((sight.customer, rule.slot), 0) or (rule.check == Check.LISTED and blocked)
        ]

    def is_listed(self, sight: Sight, allowed: bool) -> bool:
        """1: the customer, by the policy or by a person."""
        entries = [(one.allowed, one.until_ms) for one in self.fraud.listed
                   if (one.field, one.value) == (Field.CUSTOMER, sight.customer)]  # fmt: skip
        entries.append(self.lists.get(sight.customer, (allowed, 0)))
        return any(kind == allowed and sight.t < until for kind, until in entries)

    def is_allowed(self, sight: Sight) -> bool:
        rules = [rule for rule in self.fraud.live(Home.LEDGER) if rule.check == Check.LISTED]
        return any(self.is_active(rule, sight.t) for rule in rules) and self.is_listed(sight, allowed=True)

    def answer(self, fired: list[Rule], sight: Sight) -> Rule | None:
        """5, 6: the strongest active rule without a pass; passes of those before it are used up."""
        answering = [rule for rule in fired if self.is_active(rule, sight.t)]
        if self.is_allowed(sight):
            answering = [rule for rule in answering if rule.check == Check.LISTED]
        while (rule := strongest(answering)) is not None:
            if sight.t >= self.passes.pop((sight.customer, rule.slot), 0):
                return rule
            answering.remove(rule)
        return None

    def take_passes(self, sight: Sight, judging: int) -> int:
        """5: passes of the Ledger's rules go with the request."""
        mine = [slot for who, slot in self.passes if who == sight.customer and judging >> slot & 1]
        return sum(1 << slot for slot in mine if sight.t < self.passes.pop((sight.customer, slot)))

    # --- 10 tests of their own ----------------------------------------------------------------------------------------
    def fires(self, rule: Rule, sight: Sight) -> bool:
        tests: dict[int, Callable[[Rule, Sight], bool]] = {
            Check.COUNT: self.is_above, Check.YOUNG_ACCOUNT: self.is_young, Check.AFTER_DECLINE: self.is_retry,
            Check.TRAVEL: self.is_travelling, Check.REGION: self.is_outside, Check.PACE: self.is_too_fast,
            Check.NO_BROWSING: self.has_not_browsed, Check.SCRIPT: self.is_script,
        }  # fmt: skip
        return tests[rule.check](rule, sight)

    def is_above(self, rule: Rule, sight: Sight) -> bool:
        return self.past.amount(rule, sight.customer, sight.t) > rule.most

    def is_young(self, rule: Rule, sight: Sight) -> bool:
        worth = sight.worth is None or sight.worth >= rule.amount
        return sight.kind == EventKind.CLAIM and worth and sight.t - sight.joined_ms < rule.window_ms

    def is_retry(self, rule: Rule, sight: Sight) -> bool:
        declined = self.past.counted.get((rule.slot, ("declined", sight.customer)), [])
        return sight.kind == EventKind.PAYMENT and bool(declined) and sight.t - declined[-1][0] < rule.window_ms

    def is_travelling(self, rule: Rule, sight: Sight) -> bool:
        """Metres per hour above 1 000 km: metres × 3 600 > 1 000 × dt in ms; the city before this event's."""
        entries = self.past.counted.get((rule.slot, sight.customer), [])
        placed = [(at, city) for at, city in entries if (city, city) in self.fraud.metres]
        if len(placed) < 2 or (sight.city, sight.city) not in self.fraud.metres:
            return False
        then, city = placed[-2]
        metres = self.fraud.metres.get((city, sight.city), 0)
        return metres > rule.amount and metres * 3_600 > 1_000 * (sight.t - then)

    def is_outside(self, rule: Rule, sight: Sight) -> bool:
        is_asked = sight.kind in (EventKind.CLAIM, EventKind.REDEEM)
        return is_asked and sight.city != NONE and sight.regions != UNRESTRICTED and not sight.regions >> sight.city & 1

    def is_too_fast(self, rule: Rule, sight: Sight) -> bool:
        times = [at for at, _ in self.past.within(rule, sight.customer, sight.t)]
        return len(times) > rule.most and times[-1] - times[0] < rule.amount * (len(times) - 1)

    def has_not_browsed(self, rule: Rule, sight: Sight) -> bool:
        browsed = len(self.past.within(rule, ("browsed", sight.customer), sight.t))
        return self.is_above(rule, sight) and browsed <= rule.amount

    def is_script(self, rule: Rule, sight: Sight) -> bool:
        return sight.traced.get("agent", Agent.UNKNOWN) == Agent.SCRIPT

    # --- what comes from elsewhere ------------------------------------------------------------------------------------
    def passed(self, customer: int, slot: int, t: int) -> None:
        """5: a challenge was passed."""
        rule = self.fraud.rules.get(slot)
        if rule is not None and rule.is_live and rule.verdict == Verdict.CHALLENGE:
            self.passes[customer, slot] = t + PASS_MS

    def hear(self, reply: Row) -> None:
        """7, 8: a mark, or a person's listing."""
        if reply["kind"] == RequestKind.OBSERVED:
            self.marks[reply["customer"], reply["rule"]] = reply["expires_ms"]
        elif reply["kind"] == RequestKind.LISTED and reply["other"] == reply["customer"]:
            self.lists[reply["customer"]] = reply["answer"] == Answer.DONE, reply["expires_ms"]
