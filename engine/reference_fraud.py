"""Fraud rules in the shard once more, naively, from the words of docs/readings.md "Fraud".

All that a rule ever counted is kept in lists by rule and key, and looked through each time. Numbers in docstrings are
those of the section. The Ledger's home is `engine/reference_counters.py`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from engine.coupon_records import Answer, RequestKind
from engine.fraud_records import PASS_MS, Agent, Check, Field, Home, Mode, RuleCell, Verdict
from engine.records import NONE, EventKind
from engine.reference_rules import COUNTERS, Fraud, Past, Rule, begun_anew, day_number, mask, strongest, warm_until

Row = dict[str, Any]

REQUESTED = (EventKind.CLAIM, EventKind.TRANSFER)  # asks that the Ledger judges, too
UNRESTRICTED = -1


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
            fresh = {
                slot: warm_until(rule, before.rules.get(slot), now, fraud.zone) for slot, rule in fraud.rules.items()
            }
            self.warm = {slot: end or self.warm.get(slot, 0) for slot, end in fresh.items()}
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
        is_no_event = sight.kind == EventKind.ORDER_UNPAID  # 10: there are no facts to ask of
        return is_no_event or not rule.where or self.holds(rule.where, sight.facts())

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
        if self.fraud.lets_through(sight.customer):
            exempt |= judging & ~mask([rule for rule in self.fraud.rules.values() if rule.check == Check.LISTED])
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
            if sight.t < self.marks.get((sight.customer, rule.slot), 0)
            or (rule.check == Check.LISTED and blocked and self.may_judge(rule, sight))
        ]

    def is_listed(self, sight: Sight, allowed: bool) -> bool:
        """1: the customer, by the policy or by a person."""
        entries = [(one.allowed, one.until_ms) for one in self.fraud.listed
                   if (one.field, one.value) == (Field.CUSTOMER, sight.customer)]  # fmt: skip
        entries.append(self.lists.get(sight.customer, (allowed, 0)))
        return any(kind == allowed and sight.t < until for kind, until in entries)

    def is_allowed(self, sight: Sight) -> bool:
        rules = [rule for rule in self.fraud.live(Home.LEDGER) if rule.check == Check.LISTED]
        heeding = [rule for rule in rules if self.may_judge(rule, sight) and self.is_active(rule, sight.t)]
        return bool(heeding) and self.is_listed(sight, allowed=True)

    def answer(self, fired: list[Rule], sight: Sight) -> Rule | None:
        """5, 6: the strongest active rule without a pass; passes of those before it are used up."""
        answering = [rule for rule in fired if self.is_active(rule, sight.t)]
        if self.is_allowed(sight) or self.fraud.lets_through(sight.customer):
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
        declined = self.past.counted.get((rule.slot, sight.customer), [])
        return sight.kind == EventKind.PAYMENT and bool(declined) and sight.t - declined[-1][0] < rule.window_ms

    def is_travelling(self, rule: Rule, sight: Sight) -> bool:
        """Faster than 1 000 km an hour from one event to the next, then and still now."""
        entries = self.past.counted.get((rule.slot, sight.customer), [])
        placed = [(at, city) for at, city in entries if (city, city) in self.fraud.metres]
        journeys = [(self.fraud.metres[city, there], then, at) for (then, city), (at, there) in pairwise(placed)]
        return any(
            metres > rule.amount and all(metres * 3_600 > 1_000 * (t - then) for t in (at, sight.t))
            for metres, then, at in journeys
        )

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
