"""Fraud rules at the Ledger once more, naively, from the words of docs/readings.md "Fraud".

Only the room for keys is bounded, by an ordered dict; of a key that is remembered everything is. Numbers in docstrings
are those of the section.
"""

from collections import Counter, OrderedDict
from typing import Any
from zoneinfo import ZoneInfo

from engine.coupon_records import RequestKind
from engine.fraud_records import JUDGED_MASK, Check, Field, Home, Mode, RuleCell, Verdict
from engine.records import MINUTE_MS, NONE, SHARE_ONE, EventKind
from engine.reference_rules import Fraud, Past, Rule, begun_anew, day_number, mask, strongest, warm_until, window_end

Row = dict[str, Any]
Key = Any

COLUMNS = {
    Field.CUSTOMER: "customer", Field.DEVICE: "device_id", Field.IP: "ip", Field.CARD: "card",
    Field.ADDRESS: "address", Field.CODE: "code", Field.GROUP: "group", Field.RECEIVER: "other",
}  # fmt: skip
LISTABLE = (Field.CUSTOMER, Field.DEVICE, Field.IP, Field.CARD, Field.ADDRESS)
SHARED_THINGS = (Field.DEVICE, Field.CARD, Field.ADDRESS)  # that give a self-referral away
JOINED_THINGS = (Field.DEVICE, Field.ADDRESS)
OF_EVENTS = (Check.SELF_REFERRAL, Check.REFERRAL_CYCLE, Check.COLLUSION)
SAME_IP_MS = 10 * MINUTE_MS
LEVELS = 4
ELSEWHERE = JUDGED_MASK & ~(1 << EventKind.CLAIM) & ~(1 << EventKind.TRANSFER)


def value_of(field: int, request: Row) -> Key:
    """3: a campaign goes with its customer."""
    if field == Field.CAMPAIGN:
        return (request["customer"], request["campaign"])
    return request[COLUMNS[Field(field)]]


class Counters:
    """What rules over shared keys have counted."""

    def __init__(self) -> None:
        self.fraud = Fraud(ZoneInfo("UTC"))
        self.past = Past()
        self.warm: dict[int, int] = {}
        self.known: dict[int, OrderedDict[Key, int]] = {}  # by rule: when a key was last counted, the idle ones first
        self.forgotten: dict[int, int] = {}  # by rule: until when
        self.things: dict[int, set[tuple[int, int, int]]] = {}  # by rule: customer, field, value ever seen together
        self.ips: dict[int, list[tuple[int, int, int]]] = {}  # by rule: time, customer, ip
        self.inviters: dict[int, dict[int, int]] = {}  # by rule: of each invitee
        self.groups: dict[tuple[int, int], dict[int, set[tuple[int, int]]]] = {}  # (rule, group): things by member
        self.lists: dict[tuple[int, int], tuple[bool, int]] = {}  # by a person's decision
        self.tallies: Counter[tuple[int, int, RuleCell]] = Counter()

    def adopt(self, fraud: Fraud, now: int | None) -> None:
        """2: at `now`; None: the beginning of the world."""
        before, self.fraud = self.fraud, fraud
        self.past.zone = fraud.zone
        if now is None:
            return
        for slot, rule in fraud.rules.items():
            fresh = warm_until(rule, before.rules.get(slot), now, fraud.zone)
            self.warm[slot] = fresh or self.warm.get(slot, 0)
        for slot in begun_anew(before, fraud):
            self.past.forget({slot})
            for table in (self.known, self.forgotten, self.things, self.ips, self.inviters):
                table.pop(slot, None)
            self.groups = {(rule, group): members for (rule, group), members in self.groups.items() if rule != slot}

    def is_active(self, rule: Rule, t: int) -> bool:
        """2."""
        return rule.mode == Mode.ACTIVE and t >= self.warm.get(rule.slot, 0)

    def rules_in(self, slots: int) -> list[Rule]:
        return [rule for rule in self.fraud.live(Home.LEDGER) if slots >> rule.slot & 1]

    # --- 3 counting ---------------------------------------------------------------------------------------------------
    def count(self, request: Row, t: int) -> set[int]:
        """Count a request; the rules in whose table its key was not before."""
        counting = self.rules_in(request["counted"])
        looking = counting + self.rules_in(request["judging"])
        new = {rule.slot for rule in looking if value_of(rule.key, request) not in self.known.get(rule.slot, {})}
        for rule in counting:
            if not rule.granted:
                self.count_one(rule, request, t)
        return new

    def count_one(self, rule: Rule, request: Row, t: int) -> None:
        if rule.check != Check.COUNT:
            self.learn(rule, request, t)
            return
        key = value_of(rule.key, request)
        self.make_room(rule, key, t)
        self.past.add(rule, key, t, NONE if rule.different == NONE else value_of(rule.different, request))

    def granted(self, request: Row, t: int) -> None:
        """3: at the time it is granted."""
        for rule in self.rules_in(request["counted"]):
            if rule.granted:
                self.count_one(rule, request, t)

    def make_room(self, rule: Rule, key: Key, t: int) -> None:
        """9: the key idle longest gives way; what was in its window is forgotten until that ends."""
        known = self.known.setdefault(rule.slot, OrderedDict())
        if key not in known and len(known) >= rule.keys:
            idle, last = known.popitem(last=False)
            del self.past.counted[rule.slot, idle]
            self.forgotten[rule.slot] = max(self.forgotten.get(rule.slot, 0), window_end(rule, last, self.fraud.zone))
        known[key] = t
        known.move_to_end(key)

    # --- 10 what other tests remember ---------------------------------------------------------------------------------
    def learn(self, rule: Rule, request: Row, t: int) -> None:
        things = {(field, value_of(field, request)) for field in SHARED_THINGS}
        who = request["customer"]
        if rule.check == Check.SELF_REFERRAL:
            seen = self.things.setdefault(rule.slot, set())
            seen |= {(who, field, value) for field, value in things if value != NONE}
            self.ips.setdefault(rule.slot, []).append((t, who, request["ip"]))
        elif rule.check == Check.COLLUSION:
            members = self.groups.setdefault((rule.slot, request["group"]), {})
            joined = {(field, value) for field, value in things if field in JOINED_THINGS and value != NONE}
            members[who] = members.get(who, set()) | joined

    # --- 4 judging ----------------------------------------------------------------------------------------------------
    def fires(self, rule: Rule, request: Row, t: int) -> bool:
        if rule.check == Check.COUNT:
            return self.is_above(rule, request, t)
        if rule.check == Check.LISTED:
            return bool(self.entries(request, allowed=False, t=t))
        if rule.check == Check.IP_RANGE:
            return any(first <= request["ip"] <= last for first, last in self.fraud.ranges)
        if request["kind"] != RequestKind.OBSERVED:
            return False  # 10: claims and transfers do not repeat the tests of registrations and joins
        if rule.check == Check.COLLUSION:
            return self.is_colluding(rule, request)
        if request["event_kind"] != EventKind.REGISTER or request["inviter"] == NONE:
            return False
        return self.is_self(rule, request, t) if rule.check == Check.SELF_REFERRAL else self.is_cycle(rule, request)

    def is_above(self, rule: Rule, request: Row, t: int) -> bool:
        """3: a claim at hand is in as if it were granted."""
        key, more = value_of(rule.key, request), list[Key]()
        if rule.granted:
            more = [NONE if rule.different == NONE else value_of(rule.different, request)]
        return self.past.amount(rule, key, t, more) > rule.most

    def entries(self, request: Row, allowed: bool, t: int) -> list[int]:
        """1: when the entries end that name the request's customer or anything of its origin."""
        mine = {(int(field), value_of(field, request)) for field in LISTABLE if value_of(field, request) != NONE}
        policy = [(one.field, one.value, one.allowed, one.until_ms) for one in self.fraud.listed]
        people = [(*who, kind, until) for who, (kind, until) in self.lists.items()]
        return [until for field, value, kind, until in policy + people
                if (field, value) in mine and kind == allowed and t < until]  # fmt: skip

    def is_self(self, rule: Rule, request: Row, t: int) -> bool:
        seen, who, inviter = self.things[rule.slot], request["customer"], request["inviter"]
        mine = {(field, value) for customer, field, value in seen if customer == who}
        others = {(field, value) for customer, field, value in seen if customer == inviter}
        beside = any(
            customer == inviter and ip == request["ip"] != NONE and t - SAME_IP_MS < at <= t
            for at, customer, ip in self.ips[rule.slot]
        )
        return bool(mine & others) or beside

    def is_cycle(self, rule: Rule, request: Row) -> bool:
        """10: looks at the inviter's inviters, then remembers this one."""
        inviters = self.inviters.setdefault(rule.slot, {})
        above, one = [], request["inviter"]
        for _ in range(LEVELS):
            one = inviters.get(one, NONE)
            above.append(one)
        inviters[request["customer"]] = request["inviter"]
        return request["customer"] in above

    def is_colluding(self, rule: Rule, request: Row) -> bool:
        members = self.groups[rule.slot, request["group"]]
        sharing = [
            who for who, things in members.items()
            if any(things & others for other, others in members.items() if other != who)
        ]  # fmt: skip
        return len(sharing) * SHARE_ONE > rule.amount * len(members)

    # --- 6, 7 the verdict ---------------------------------------------------------------------------------------------
    def judge(self, request: Row, new: set[int], t: int) -> Row:
        """The strongest of the Ledger's rules and the shard's: verdict, rule, fired."""
        rules = self.rules_in(request["judging"])
        fired = [rule for rule in rules if self.fires(rule, request, t)]
        blind = [rule for rule in rules if self.is_blind(rule, new, t) and rule not in fired]
        own = strongest([r for r in self.heeded(fired, request, t) if not request["exempt"] >> r.slot & 1])
        verdict, slot = self.of_shard(request, t)
        if own is not None and (own.verdict, -own.slot) > (verdict, -slot):
            verdict, slot = own.verdict, own.slot
        self.tally([rule for rule in rules if rule.check not in OF_EVENTS], RuleCell.JUDGED, t)
        self.tally(fired, RuleCell.FIRED, t)
        self.tally(blind, RuleCell.NOT_JUDGED, t)
        self.tally([own] if own is not None and slot == own.slot else [], RuleCell.ANSWERED, t)
        return {"verdict": verdict, "rule": slot, "fired": mask(fired) | request["fired"]}

    def heeded(self, rules: list[Rule], request: Row, t: int) -> list[Rule]:
        """5: those that may answer; the block list alone where something of the request is allowed."""
        allowed = self.is_allowed(request, t)
        return [rule for rule in rules if self.is_active(rule, t) and (rule.check == Check.LISTED or not allowed)]

    def of_shard(self, request: Row, t: int) -> tuple[int, int]:
        """The shard's verdict and its rule; the allow list may know more than the shard, and leaves the block list."""
        if not self.is_allowed(request, t):
            return request["verdict"], request["rule"]
        slots = request["fired"] & ~request["exempt"]
        fired = [rule for slot, rule in self.fraud.rules.items() if slots >> slot & 1 and rule.check == Check.LISTED]
        block = strongest([rule for rule in fired if rule.mode == Mode.ACTIVE])
        return (Verdict.ALLOW, NONE) if block is None else (block.verdict, block.slot)

    def is_blind(self, rule: Rule, new: set[int], t: int) -> bool:
        """9: NOT_JUDGED."""
        return rule.slot in new and t < self.forgotten.get(rule.slot, 0)

    def is_allowed(self, request: Row, t: int) -> bool:
        rules = [rule for rule in self.rules_in(request["judging"]) if rule.check == Check.LISTED]
        return any(self.is_active(rule, t) for rule in rules) and bool(self.entries(request, allowed=True, t=t))

    def tally(self, rules: list[Rule], cell: RuleCell, t: int) -> None:
        for rule in rules:
            self.tallies[day_number(t, self.fraud.zone), rule.slot, cell] += 1

    # --- 8 observations -----------------------------------------------------------------------------------------------
    def marks(self, request: Row, t: int) -> list[tuple[int, int]]:
        """(rule, end) of each that fires and judges what never comes here, or judges there only."""
        is_asked = request["kind"] != RequestKind.OBSERVED
        slots = request["counted"] | (request["judging"] if is_asked else 0)
        fired = [rule for rule in self.rules_in(slots) if self.fires(rule, request, t)]
        told = [rule for rule in fired if rule.judges & ELSEWHERE or rule.check in OF_EVENTS]
        return [(rule.slot, self.mark_until(rule, request, t)) for rule in told]

    def mark_until(self, rule: Rule, request: Row, t: int) -> int:
        if rule.check == Check.COUNT:
            return self.past.mark_until(rule, value_of(rule.key, request), t)
        end = window_end(rule, t, self.fraud.zone)
        return min(end, max(self.entries(request, allowed=False, t=t))) if rule.check == Check.LISTED else end

    # --- 7 people -----------------------------------------------------------------------------------------------------
    def list(self, request: Row) -> None:
        """A person allows or blocks what the request names; a later decision replaces an earlier."""
        named = {Field.CUSTOMER: request["other"]} | {field: value_of(field, request) for field in LISTABLE[1:]}
        for field, value in named.items():
            if value != NONE:
                self.lists[int(field), value] = request["verdict"] == Verdict.ALLOW, request["expires_ms"]
