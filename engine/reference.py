"""The decision engine once more, naively, from the words of docs/readings.md: the oracle of the compiled engine.

Plain dicts and lists, one customer and one event at a time, nothing computed ahead. It shares only the records and the
parsed document with the fast engine; random traffic through both must agree. Section numbers below are the page's.
"""

import ast
import hashlib
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from engine.coupon_records import ASK, Spend
from engine.coupon_records import Answer as Asked
from engine.fraud_records import ORIGIN, Field
from engine.policy.campaign import Campaign as CampaignBlock
from engine.policy.campaign import Cap, Caps
from engine.policy.document import Policy
from engine.records import (
    CONSENT_CHANNELS,
    DAY_MS,
    EVENT,
    EXPOSURE_CAMPAIGN_BITS,
    FIRST_PASSIVE_CHANNEL,
    FIRST_PERSONAL_FACT,
    LONG_AGO_MS,
    MUTE_WORD_BITS,
    NONE,
    NOT_SHOWN_WITHIN_MS,
    RESPONSE_ONE,
    RING,
    SHARE_ONE,
    SNOOZES,
    VIEWS,
    WEEKS,
    Cell,
    Channel,
    EventKind,
    Fact,
    Flag,
    Reason,
)
from engine.reference_checkout import lines_of
from engine.reference_fraud import Sight
from engine.reference_rules import fraud_of
from engine.reference_terms import Numbers
from engine.reference_wallet import ASKING, Question, Senses, Wallets, new_receipt

Customer = dict[str, Any]
Event = dict[str, int]
Exposure = dict[str, Any]
Facts = dict[str, int]
Row = dict[str, int]  # the fields of one DECISION

NO_POINTS_DAYS = 1_000_000
WEEK_PURCHASES_MAX = 127
WEEK_SPEND_MAX = 2**31 - 1
REST_MAX_FACTOR = 8  # rest_max unless the policy says otherwise
PACING_PRICE_ONE = 1_000_000  # a pacing price is in millionths of a fen per fen of cost


@dataclass(frozen=True)
class Answer:
    """What one event did: the decision and the ghosts before it as DECISION fields, each candidate's reason, and the
    RECEIPT of what it asked for."""

    decision: Row
    ghosts: list[Row]  # reason HELD_OUT, in the order they were held out
    reasons: dict[int, Reason]  # campaign slot -> reason, candidates in declaration order
    late: bool
    receipt: Row | None = None

    def signed(self, credited: int) -> "Answer":
        """With what decision and ghosts have in common."""
        for row in (self.decision, *self.ghosts):
            row["late"], row["credited"] = int(self.late), credited
            row["answer"] = self.receipt["answer"] if self.receipt else 0
        return self


# --- The wall clock of the policy's zone ------------------------------------------------------------------------------
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MONDAY = date(1970, 1, 5)


def wall_clock(time_ms: int, zone: ZoneInfo) -> datetime:
    return (EPOCH + timedelta(milliseconds=time_ms)).astimezone(zone)


def day_start_ms(day: date, zone: ZoneInfo) -> int:
    return (datetime.combine(day, time(), zone) - EPOCH) // timedelta(milliseconds=1)


def calendar_edge_ms(time_ms: int, per: str, zone: ZoneInfo) -> int:
    """Start of the calendar day, week (Monday) or month that holds `time_ms`."""
    day = wall_clock(time_ms, zone).date()
    starts = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}
    return day_start_ms(starts[per], zone)


def week_number(time_ms: int, zone: ZoneInfo) -> int:
    return (wall_clock(time_ms, zone).date() - FIRST_MONDAY).days // 7


def date_number(time_ms: int, zone: ZoneInfo) -> int:
    """The calendar day as yyyymmdd."""
    day = wall_clock(time_ms, zone)
    return day.year * 10_000 + day.month * 100 + day.day


# --- Assignment -------------------------------------------------------------------------------------------------------
MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix64(value: int) -> int:
    """Finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    value &= MASK
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & MASK
    return value ^ (value >> 31)


def bucket(salt: str, replication: int, customer: int) -> int:
    """A customer's place in [0, 1 000 000) under a salt."""
    seed = int.from_bytes(hashlib.blake2b(salt.encode(), digest_size=8).digest(), "little")
    value = mix64(seed + GOLDEN)
    value = mix64(value ^ mix64(replication + GOLDEN))
    value = mix64(value ^ mix64(customer + GOLDEN))
    return (value >> 40) * SHARE_ONE // 2**24


# --- Conditions -------------------------------------------------------------------------------------------------------
FACT_NAMES = {"dwell" if fact is Fact.DWELL_MS else fact.name.lower(): fact for fact in Fact if fact is not Fact.TAG}
MONEY_FACTS = ("amount", "balance", "spend_13w")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
GENDERS = ("female", "male")
UNITS_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}


def duration_ms(text: str) -> int:
    match = re.fullmatch(r"\s*([0-9.]+)\s*(ms|s|min|h|d|w)\s*", text)
    assert match, f"not a duration: {text}"
    return int(Decimal(match[1]) * UNITS_MS[match[2]])


class Conditions:
    """Evaluates condition texts of one policy by walking Python's syntax tree."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.trees: dict[str, ast.expr] = {}
        names = policy.names
        self.words: dict[str, dict[str, int]] = {
            "page": {name: number for number, name in enumerate(names.pages)},
            "city": {name: number for number, name in enumerate(names.cities)},
            "home_city": {name: number for number, name in enumerate(names.cities)},
            "tier": {name: number for number, name in enumerate(names.tiers)},
            "gender": {name: number for number, name in enumerate(GENDERS)},
            "weekday": {name: number for number, name in enumerate(WEEKDAYS, start=1)},
        }

    def tree(self, text: str) -> ast.expr:
        if text not in self.trees:
            self.trees[text] = ast.parse(" ".join(text.split()), mode="eval").body
        return self.trees[text]

    def holds(self, text: str | None, facts: Facts) -> bool:
        """Whether the condition holds; no condition always does."""
        return text is None or self.truth(self.tree(text), facts)

    def truth(self, node: ast.expr, facts: Facts) -> bool:
        match node:
            case ast.BoolOp(op=ast.And()):
                return all(self.truth(part, facts) for part in node.values)
            case ast.BoolOp():
                return any(self.truth(part, facts) for part in node.values)
            case ast.UnaryOp(op=ast.Not()):
                return not self.truth(node.operand, facts)
            case ast.Compare():
                return all(self.compare(left, op, right, facts) for left, op, right in pairs(node))
            case ast.Name() if node.id in FACT_NAMES:  # a fact goes before a segment of the same name
                return facts[node.id] != 0
            case ast.Name():
                return self.truth(self.tree(self.policy.segments[node.id]), facts)
            case ast.Attribute():
                return facts["tag." + node.attr] != 0
            case ast.Constant():
                return bool(node.value)
        raise AssertionError(f"not a condition: {ast.unparse(node)}")

    def compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr, facts: Facts) -> bool:
        of = self.fact_of(left, right)
        return COMPARISONS[type(op)](self.value(left, of, facts), self.value(right, of, facts))

    def fact_of(self, left: ast.expr, right: ast.expr) -> str:
        """The fact that says how the literals on the other side are meant; the left one if both sides are facts."""
        for node in (left, right):
            if isinstance(node, ast.Name) and node.id in FACT_NAMES:
                return node.id
        return ""

    def value(self, node: ast.expr, of: str, facts: Facts) -> Any:
        match node:
            case ast.Name() if node.id in FACT_NAMES and not self.is_word(node, of):
                return facts[node.id]
            case ast.Name():
                return self.words[of][node.id]
            case ast.Attribute():
                return facts["tag." + node.attr]
            case ast.List() | ast.Tuple() | ast.Set():
                return [self.value(element, of, facts) for element in node.elts]
            case ast.UnaryOp(op=ast.USub()):
                return -self.value(node.operand, of, facts)
            case ast.Constant():
                return self.literal(node.value, of)
        raise AssertionError(f"not a value: {ast.unparse(node)}")

    def is_word(self, node: ast.Name, of: str) -> bool:
        """Whether a bare name is a category (the page `balance`) although a fact has the same name."""
        return of in self.words and node.id != of and node.id in self.words[of]

    def literal(self, value: object, of: str) -> Any:
        if isinstance(value, str):
            return duration_ms(value) if of == "dwell" else self.words[of][value]
        number = Decimal(repr(value)) if not isinstance(value, bool) else Decimal(int(value))
        return number * 100 if of in MONEY_FACTS else number

    def is_personal(self, text: str | None) -> bool:
        """Whether the condition reads a fact about the customer, a segment or a tag."""
        return text is not None and any(self.personal_reads(self.tree(text)))

    def personal_reads(self, node: ast.expr) -> Iterator[bool]:
        if isinstance(node, ast.Compare):
            for left, _, right in pairs(node):
                of = self.fact_of(left, right)
                for part in (left, right):
                    if isinstance(part, ast.Name) and part.id in FACT_NAMES and not self.is_word(part, of):
                        yield FACT_NAMES[part.id] >= FIRST_PERSONAL_FACT
                    elif isinstance(part, ast.Attribute):
                        yield True
        elif isinstance(node, ast.Name):
            yield FACT_NAMES.get(node.id, Fact.TAG) >= FIRST_PERSONAL_FACT
        elif isinstance(node, ast.Attribute):
            yield True
        else:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    yield from self.personal_reads(child)


def pairs(node: ast.Compare) -> list[tuple[ast.expr, ast.cmpop, ast.expr]]:
    """`a < b < c` as (a, <, b), (b, <, c)."""
    return list(zip([node.left, *node.comparators], node.ops, node.comparators, strict=False))


# --- Customers --------------------------------------------------------------------------------------------------------
def customer_state(profile: Any) -> Customer:
    """One CUSTOMER record in plain words; the ring starts empty."""
    flags, consent = int(profile["marks"]), int(profile["consent"])
    return {
        "latest": int(profile["latest_ms"]),
        "joined": int(profile["joined_ms"]),
        "login": int(profile["login_ms"]),
        "purchase": int(profile["purchase_ms"]),
        "balance": int(profile["balance"]),
        "points": int(profile["points"]),
        "points_expire": int(profile["points_expire_ms"]),
        "rest_until": int(profile["rest_until_ms"]),
        "rests": int(profile["rest_times"]),
        "closes": int(profile["negatives_in_row"]),
        "tags": int(profile["tags"]),
        "muted": muted_campaigns(profile["muted"]),
        "snoozes": {
            campaign: until for campaign, until in map(unpacked_snooze, profile["snoozed"]) if campaign != NONE
        },
        "views": [unpacked_view(int(view)) for view in profile["views"] if view],
        "week": int(profile["week"]),
        "week_purchases": [int(count) for count in profile["week_purchases"]],
        "week_spend": [int(spend) for spend in profile["week_spend"]],
        "purchases": int(profile["purchases"]),
        "exposures": int(profile["exposures"]),
        "birth_date": int(profile["birth_date"]),
        "home_city": int(profile["home_city"]),
        "gender": int(profile["gender"]),
        "tier": int(profile["tier"]),
        "consent": {int(channel) for channel in Channel if channel < FIRST_PASSIVE_CHANNEL and consent >> channel & 1},
        **{flag.name.lower(): bool(flags & flag) for flag in Flag},
        "ring": [],
    }


def muted_campaigns(words: Any) -> set[int]:
    width = MUTE_WORD_BITS
    return {number * width + bit for number, word in enumerate(words) for bit in range(width) if int(word) >> bit & 1}


def unpacked_snooze(packed: Any) -> tuple[int, int]:
    """(campaign, until); campaign NONE where the place is free."""
    value = int(packed) - 1
    return (value % 2**EXPOSURE_CAMPAIGN_BITS, value >> EXPOSURE_CAMPAIGN_BITS) if packed else (NONE, 0)


def unpacked_view(packed: int) -> dict[str, Any]:
    return {"page_view": packed >> 2, "left": bool(packed & 2), "closed": bool(packed & 1)}


def remember_view(customer: Customer, page_view: int, what: str) -> None:
    """Mark a page view `closed` or `left`; a known one keeps its place among the last VIEWS."""
    if page_view == 0:
        return
    for view in customer["views"]:
        if view["page_view"] == page_view:
            view[what] = True
            return
    view = {"page_view": page_view, "left": False, "closed": False}
    view[what] = True
    customer["views"] = [view, *customer["views"]][:VIEWS]


def view_is(customer: Customer, page_view: int, what: str) -> bool:
    return any(view["page_view"] == page_view and view[what] for view in customer["views"])


def turn_weeks(customer: Customer, week: int) -> None:
    """Slots of the weeks since the last turn become zero."""
    for skipped in range(max(customer["week"] + 1, week - WEEKS + 1), week + 1):
        customer["week_purchases"][skipped % WEEKS] = 0
        customer["week_spend"][skipped % WEEKS] = 0
    customer["week"] = max(customer["week"], week)


def fold(customer: Customer, event: Event, t: int, week: int) -> None:
    """§2: what the event changes about the customer before any condition is read; the log-in's time waits."""
    turn_weeks(customer, week)
    kind, channel = event["kind"], event["channel"]
    if kind == EventKind.PAYMENT:
        pay(customer, event["amount"], t, week)
    elif kind == EventKind.TOP_UP:
        customer["balance"] += event["amount"]
    elif kind == EventKind.CARD_BOUND:
        customer["card_active"] = True
    elif kind == EventKind.CONSENT_GIVEN:
        customer["consent"].add(channel)
    elif kind == EventKind.CONSENT_WITHDRAWN:
        customer["consent"].discard(channel)
    elif kind == EventKind.PERSONALISATION_ON:
        customer["personalisation_off"] = False
    elif kind == EventKind.PERSONALISATION_OFF:
        customer["personalisation_off"] = True
    elif kind == EventKind.PAGE_LEAVE:
        remember_view(customer, event["page_view"], "left")


def pay(customer: Customer, amount: int, t: int, week: int) -> None:
    slot = week % WEEKS
    customer["balance"] -= amount
    customer["points"] += amount // 100
    customer["purchase"] = t
    customer["purchases"] += 1
    customer["week_purchases"][slot] = min(customer["week_purchases"][slot] + 1, WEEK_PURCHASES_MAX)
    customer["week_spend"][slot] = min(customer["week_spend"][slot] + amount, WEEK_SPEND_MAX)
    customer["card_used"] = True


# --- The engine -------------------------------------------------------------------------------------------------------
class Reference:
    """Customers of one policy, and `decide`; between two settlements `apply` and `lapse`.

    `slots` gives each campaign of the policy the number that stands for it in records, `numbers` each coupon, budget
    and row of terms (default: in declaration order). `waterfall` counts candidates by (yyyymmdd, slot, reason),
    `decisions_by_reason` by (yyyymmdd, reason), `cells` by (yyyymmdd, slot, arm, segment, Cell). `wallets` has what
    goes to the Ledger, and counts claims and what became of coupons.
    """

    def __init__(
        self, policy: Policy, slots: Mapping[str, int], replication: int = 0, numbers: Numbers | None = None
    ) -> None:
        self.replication = replication
        self.customers: dict[int, Customer] = {}
        self.settled = LONG_AGO_MS  # the latest settlement
        self.waterfall: Counter[tuple[int, int, Reason]] = Counter()
        self.decisions_by_reason: Counter[tuple[int, Reason]] = Counter()
        self.cells: Counter[tuple[int, int, int, int, Cell]] = Counter()
        self.wallets = Wallets()
        self.adopt(policy, slots, numbers)

    def adopt(
        self, policy: Policy, slots: Mapping[str, int], numbers: Numbers | None = None, now: int | None = None
    ) -> None:
        """Take up a policy under which the same names have the same numbers; customers stay as they are.

        now: when; None at the beginning of the world.
        """
        self.policy = policy
        self.slots = {name: slots[name] for name in policy.campaigns}
        self.names = {slot: name for name, slot in self.slots.items()}
        self.zone = ZoneInfo(policy.time_zone)
        self.conditions = Conditions(policy)
        self.numbers = numbers or Numbers.declared(policy)
        says = self.conditions
        senses = Senses(self.zone, says.holds, says.is_personal, calendar_edge_ms, day_start_ms, date_number)
        self.wallets.adopt(policy, self.numbers, senses)
        self.wallets.watch.adopt(fraud_of(policy, self.numbers.rules, self.bucket_of), says.holds, now)

    def add(self, customer: int, profile: Any) -> None:
        """Take in a customer as one CUSTOMER record says."""
        self.customers[customer] = customer_state(profile)

    def decide(self, event: Any, bulletin: Any = None, ask: Any = None, lines: Any = (), origin: Any = None) -> Answer:
        """Take one event of one customer; without a bulletin every campaign is open and pacing costs nothing.

        ask: the ASK of an event that asks for something; lines: the LINE records of its cart; origin: its ORIGIN.
        """
        fields: Event = {name: int(getattr(event, name)) for name in EVENT.names or ()}
        traced = {name: NONE if origin is None else int(origin[name]) for name in ORIGIN.names or ()}
        customer = self.customers[fields["customer"]]
        asks = ask is not None and fields["kind"] in ASKING
        if asks and self.wallets.must_wait(fields["customer"], fields["kind"]):
            waiting = OneEvent(self, fields, customer, fields["time_ms"], bulletin, traced)
            return waiting.nothing(False, new_receipt() | {"answer": Asked.WAITS})
        late = fields["time_ms"] < customer["latest"]
        customer["latest"] = max(fields["time_ms"], customer["latest"])
        t = max(customer["latest"], self.settled)
        taken = OneEvent(self, fields, customer, t, bulletin, traced, late)
        receipt, counts = taken.asked(ask, lines) if asks else taken.seen(ask)
        answer = taken.answer(late, receipt) if counts else taken.nothing(late, receipt)
        if fields["kind"] == EventKind.LOGIN:
            customer["login"] = t
        self.count(taken, answer)
        return answer

    def apply(self, reply: Row, t: int) -> None:
        """A REPLY of the settlement at t."""
        self.wallets.hear(reply, t)

    def lapse(self, t: int) -> None:
        """A settlement at t: every wallet is brought up to it, and nothing is taken before it any more."""
        self.settled = t
        for wallet in self.wallets.wallets.values():
            self.wallets.lapse(wallet, t)

    def count(self, taken: "OneEvent", answer: Answer) -> None:
        for slot, reason in answer.reasons.items():
            self.waterfall[taken.day, slot, reason] += 1
        self.decisions_by_reason[taken.day, Reason(answer.decision["reason"])] += 1

    def bucket_of(self, salt: str, customer: int) -> int:
        return bucket(salt, self.replication, customer)

    def campaign(self, slot: int) -> CampaignBlock:
        return self.policy.campaigns[self.names[slot]]

    def arm(self, slot: int, customer: int) -> int:
        """The first arm whose cumulative share exceeds the customer's bucket; 0 for a single creative."""
        name = self.names[slot]
        place = bucket(self.campaign(slot).salt or f"{self.policy.policy}/{name}", self.replication, customer)
        total = 0
        for number, arm in enumerate(self.campaign(slot).arms or []):
            total += arm.share
            if place < total:
                return number
        return 0

    def is_held_out(self, slot: int, customer: int) -> bool:
        name, campaign, universal = self.names[slot], self.campaign(slot), self.policy.universal_holdout
        held_out = False
        if universal is not None and campaign.purpose != "service":
            salt = universal.salt or f"{self.policy.policy}/universal"
            held_out = bucket(salt, self.replication, customer) < universal.share
        if campaign.holdout is not None:
            salt = campaign.holdout.salt or f"{self.policy.policy}/{name}/holdout"
            held_out = held_out or bucket(salt, self.replication, customer) < campaign.holdout.share
        return held_out


class OneEvent:
    """One event while it is taken: §2 to §9 in order."""

    def __init__(
        self, engine: Reference, event: Event, customer: Customer, t: int, bulletin: Any, traced: Row,
        late: bool = False,
    ) -> None:  # fmt: skip
        self.engine, self.policy, self.zone = engine, engine.policy, engine.zone
        self.event, self.customer, self.t, self.bulletin = event, customer, t, bulletin
        self.traced, self.late = traced, late
        self.day, self.week = date_number(t, self.zone), week_number(t, self.zone)
        self.first_use = event["kind"] == EventKind.PAYMENT and not customer["card_used"]
        self.facts: Facts = {}
        self.segment = NONE

    def asked(self, ask: Any, lines: Any) -> tuple[Row, bool]:
        """The receipt, and whether the event counts; facts are those before it."""
        turn_weeks(self.customer, self.week)
        wanted = {name: int(ask[name]) for name in ASK.names or ()}
        return self.engine.wallets.answer(self.question(wanted, lines_of(lines)))

    def question(self, ask: Row, cart: Any = ()) -> Question:
        return Question(self.event, ask, cart, self.customer, self.all_facts(), self.t, self.sight())

    def sight(self) -> Sight:
        """The event as fraud rules see it."""
        event, traced = self.event, self.traced
        fields = {
            Field.CUSTOMER: event["customer"], Field.CAMPAIGN: event["campaign"], Field.DEVICE: traced["device_id"],
            Field.IP: traced["ip"], Field.CARD: traced["card"], Field.ADDRESS: traced["address"],
            Field.CODE: traced["code"], Field.GROUP: traced["group"],
        }  # fmt: skip
        return Sight(
            event["kind"], event["customer"], self.t, self.late, {int(name): one for name, one in fields.items()},
            traced, event["city"], self.all_facts, self.customer["joined"],
        )  # fmt: skip

    def seen(self, ask: Any) -> tuple[None, bool]:
        """Fraud rules count what asks for nothing before it is folded in."""
        turn_weeks(self.customer, self.week)
        wallets, sight = self.engine.wallets, self.sight()
        if self.event["kind"] == EventKind.CHALLENGE_PASSED and ask is not None:
            wallets.watch.passed(self.event["customer"], int(ask["rule"]), self.t)
        wallets.watch.see(sight)
        wallets.observe(sight, self.event)
        return None, True

    def nothing(self, late: bool, receipt: Row | None) -> Answer:
        """Of an event that is not taken, or counts for nothing."""
        answer = Answer(self.row(Reason.NO_CANDIDATE, NONE, NONE), [], {}, late, receipt)
        return answer.signed(NONE)

    def answer(self, late: bool, receipt: Row | None) -> Answer:
        fold(self.customer, self.event, self.t, self.week)
        self.facts = self.all_facts()
        self.segment = self.segment_number()
        self.react()
        credited = self.convert()
        candidates = self.candidates()
        reasons = {slot: self.refusal(slot) for slot in candidates}
        passed = [slot for slot in candidates if reasons[slot] is Reason.SHOWN]
        ghosts, exposure = self.show(passed, reasons)
        decision = self.decision(candidates, reasons, ghosts, exposure)
        return Answer(decision, ghosts, reasons, late, receipt).signed(credited)

    # §2 facts
    def all_facts(self) -> Facts:
        customer, event, t = self.customer, self.event, self.t
        clock = wall_clock(t, self.zone)
        points = customer["points"] if t < customer["points_expire"] else 0
        facts = {
            "page": event["page"],
            "city": event["city"],
            "amount": event["amount"],
            "hour": clock.hour,
            "weekday": clock.isoweekday(),
            "day_of_month": clock.day,
            "dwell": event["dwell_ms"],
            "age": (self.day - customer["birth_date"]) // 10_000,
            "points": points,
            "points_expire_in": (customer["points_expire"] - t) // DAY_MS if points > 0 else NO_POINTS_DAYS,
            "days_since_joined": (t - customer["joined"]) // DAY_MS,
            "days_since_login": (t - customer["login"]) // DAY_MS,
            "days_since_purchase": (t - customer["purchase"]) // DAY_MS,
            "purchases_13w": sum(customer["week_purchases"]),
            "spend_13w": sum(customer["week_spend"]),
        }
        for name in ("gender", "home_city", "tier", "card_active", "card_used", "high_risk", "balance", "purchases"):
            facts[name] = int(customer[name])
        for number, name in enumerate(self.policy.names.tags):
            facts["tag." + name] = customer["tags"] >> number & 1
        return facts | self.scores(facts)

    def scores(self, facts: Facts) -> Facts:
        """Recency, frequency and monetary scores, 1 the worst."""
        rfm = self.policy.rfm
        if rfm is None:
            return {"r_score": 1, "f_score": 1, "m_score": 1}
        return {
            "r_score": 1 + sum(days >= facts["days_since_purchase"] for days in rfm.recency_days),
            "f_score": 1 + sum(count <= facts["purchases_13w"] for count in rfm.frequency),
            "m_score": 1 + sum(spend <= facts["spend_13w"] for spend in rfm.monetary),
        }

    def segment_number(self) -> int:
        """The first segment that fits; "other" if none does or personalisation is off."""
        if not self.customer["personalisation_off"]:
            for number, text in enumerate(self.policy.segments.values()):
                if self.engine.conditions.holds(text, self.facts):
                    return number
        return len(self.policy.segments)

    def count(self, slot: int, cell: Cell, amount: int = 1) -> None:
        arm = self.engine.arm(slot, self.event["customer"])
        self.engine.cells[self.day, slot, arm, self.segment, cell] += amount

    # §3 reactions
    def react(self) -> None:
        names = ("CLICK", "CLOSE", "MUTE", "SNOOZE", "COMPLAINT", "NOT_SHOWN")
        if self.event["kind"] not in [EventKind[name] for name in names]:
            return
        for exposure in self.ring():
            known = exposure["number"] == self.event["exposure"] and exposure["slot"] == self.event["campaign"]
            if known and not exposure["ghost"] and not exposure["taken_back"]:
                self.react_to(exposure)

    def ring(self) -> list[Exposure]:
        """The customer's last exposures and ghosts, oldest first."""
        ring: list[Exposure] = self.customer["ring"][-RING:]
        return ring

    def react_to(self, exposure: Exposure) -> None:
        kind, slot = self.event["kind"], exposure["slot"]
        if kind == EventKind.CLICK:
            self.click(exposure)
        elif kind == EventKind.CLOSE:
            self.close(exposure)
        elif kind == EventKind.MUTE:
            self.mute(exposure)
        elif kind == EventKind.SNOOZE:
            self.snooze(slot)
            if not exposure["snoozed"]:
                exposure["snoozed"] = True
                self.count(slot, Cell.SNOOZES)
        elif kind == EventKind.COMPLAINT:
            self.count(slot, Cell.COMPLAINTS)
            self.negative_feedback(exposure)
        elif self.t < exposure["time"] + NOT_SHOWN_WITHIN_MS:
            exposure["taken_back"] = True
            self.count(slot, Cell.NOT_SHOWN)

    def click(self, exposure: Exposure) -> None:
        if exposure["channel"] == Channel.POPUP:
            self.customer["closes"] = 0
            self.customer["rests"] = 0
        if not exposure["clicked"]:
            self.count(exposure["slot"], Cell.CLICKS)
        exposure["clicked"] = True

    def close(self, exposure: Exposure) -> None:
        if not exposure["closed"]:
            self.count(exposure["slot"], Cell.CLOSES)
        self.close_page_view(exposure)

    def mute(self, exposure: Exposure) -> None:
        if exposure["slot"] not in self.customer["muted"]:
            self.count(exposure["slot"], Cell.MUTES)
        self.customer["muted"].add(exposure["slot"])
        self.close_page_view(exposure)

    def close_page_view(self, exposure: Exposure) -> None:
        """What close and mute have in common; together they are one step of back-off."""
        remember_view(self.customer, self.event["page_view"], "closed")
        if not exposure["closed"] and exposure["channel"] == Channel.POPUP:
            self.back_off()
        exposure["closed"] = True
        self.negative_feedback(exposure)

    def negative_feedback(self, exposure: Exposure) -> None:
        if not exposure["negative"]:
            self.count(exposure["slot"], Cell.NEGATIVES)
        exposure["negative"] = True

    def back_off(self) -> None:
        rule, customer = self.policy.fatigue.back_off, self.customer
        if rule is None:
            return
        customer["closes"] += 1
        if customer["closes"] < rule.closes:
            return
        rest_max = rule.rest * REST_MAX_FACTOR if rule.rest_max is None else rule.rest_max
        rest = min(rule.rest * rule.repeat ** customer["rests"], rest_max)
        customer["rest_until"] = max(self.t + rest, customer["rest_until"])
        customer["rests"] += 1
        customer["closes"] = 0

    def snooze(self, slot: int) -> None:
        snoozes = self.customer["snoozes"]
        if slot not in snoozes and len(snoozes) == SNOOZES:
            earliest = min(snoozes, key=lambda campaign: (snoozes[campaign], campaign))
            del snoozes[earliest]
        is_gone = slot not in self.engine.names
        snoozes[slot] = self.t + (0 if is_gone else self.engine.campaign(slot).remind_after)

    # §4 goals
    def convert(self) -> int:
        """Credit the event as a goal; the campaign credited (first use before payment), or NONE."""
        credited = NONE
        goals = [self.event["kind"]] + [int(EventKind.FIRST_USE)] * self.first_use
        for goal in goals:
            exposures = [exposure for exposure in self.ring() if self.may_convert(exposure, goal)]
            if exposures and not exposures[-1]["converted"]:
                exposures[-1]["converted"] = True
                self.count(exposures[-1]["slot"], Cell.CONVERSIONS)
                self.count(exposures[-1]["slot"], Cell.CONVERSION_VALUE, self.event["amount"])
                credited = exposures[-1]["slot"]
        return credited

    def may_convert(self, exposure: Exposure, goal: int) -> bool:
        if exposure["slot"] not in self.engine.names:
            return False  # its campaign is gone, and with it what it was for
        wanted = self.engine.campaign(exposure["slot"]).goal
        in_window = exposure["time"] < self.t <= exposure["time"] + wanted.window
        real = not exposure["ghost"] and not exposure["taken_back"]
        return real and in_window and EventKind[wanted.event.upper()] == goal

    # §5 candidates
    def candidates(self) -> list[int]:
        return [slot for slot in self.engine.slots.values() if self.is_triggered(self.engine.campaign(slot))]

    def is_triggered(self, campaign: CampaignBlock) -> bool:
        trigger, kind = campaign.trigger, self.event["kind"]
        if trigger.on == "moment":
            moment = name_at(list(self.policy.moments), self.event["moment"])
            return kind == EventKind.MOMENT and moment == trigger.moment
        if trigger.pages is not None and self.page_name() not in trigger.pages:
            return False
        if kind == EventKind.PAGE_DWELL:
            return trigger.on == "page_view" and 0 < (trigger.dwell or 0) <= self.event["dwell_ms"]
        return kind == EventKind[trigger.on.upper()]

    def page_name(self) -> str | None:
        return name_at(self.policy.names.pages, self.event["page"])

    # §6 tests
    def refusal(self, slot: int) -> Reason:
        """The first test that fails; SHOWN if none does."""
        for reason, fails in self.tests():
            if fails(slot, self.engine.campaign(slot)):
                return reason
        return Reason.SHOWN

    def tests(self) -> list[tuple[Reason, Callable[[int, CampaignBlock], bool]]]:
        customer, event, facts, holds = self.customer, self.event, self.facts, self.engine.conditions.holds
        return [
            (Reason.OUTSIDE_WINDOW, self.is_outside_window),
            (Reason.PAUSED, lambda slot, campaign: not self.bulletin_says("open", slot)),
            (Reason.BLOCKED, lambda slot, campaign: bool(customer["blocked"])),
            (Reason.MINOR, self.is_for_adults),
            (Reason.NO_CONSENT, self.lacks_consent),
            (Reason.PERSONALISATION_OFF, self.is_too_personal),
            (Reason.NOT_IN_AUDIENCE, lambda slot, campaign: not holds(campaign.audience, facts)),
            (Reason.CONDITION, lambda slot, campaign: not holds(campaign.trigger.when, facts)),
            (Reason.PROTECTED_PAGE, lambda slot, campaign: self.page_name() in self.policy.protected_pages),
            (Reason.CLOSED_ON_PAGE, lambda slot, campaign: view_is(customer, event["page_view"], "closed")),
            (Reason.DWELL, self.waits_for_dwell),
            (Reason.MUTED, lambda slot, campaign: slot in customer["muted"]),
            (Reason.SNOOZED, lambda slot, campaign: self.t < customer["snoozes"].get(slot, self.t)),
            (Reason.QUIET_HOURS, lambda slot, campaign: uses_attention(campaign) and self.is_quiet()),
            (Reason.BACK_OFF, lambda slot, campaign: is_popup(campaign) and self.t < customer["rest_until"]),
            (Reason.COOL_DOWN, self.is_cooling_down),
            (Reason.CAMPAIGN_CAP, self.is_campaign_capped),
            (Reason.CHANNEL_CAP, self.is_channel_capped),
            (Reason.TOTAL_CAP, self.is_capped_in_total),
            (Reason.OUT_OF_STOCK, lambda slot, campaign: not self.bulletin_says("in_stock", slot)),
            (Reason.BUDGET, lambda slot, campaign: not self.bulletin_says("in_budget", slot)),
        ]

    def bulletin_says(self, what: str, slot: int) -> bool:
        return self.bulletin is None or bool(getattr(self.bulletin, what)[slot])

    def is_outside_window(self, slot: int, campaign: CampaignBlock) -> bool:
        window = campaign.window
        too_early = window.from_ is not None and self.t < day_start_ms(window.from_, self.zone)
        return too_early or (window.until is not None and self.t >= day_start_ms(window.until, self.zone))

    def is_for_adults(self, slot: int, campaign: CampaignBlock) -> bool:
        minor = self.facts["age"] < self.policy.adult_age or self.customer["likely_minor"]
        return bool(minor) and campaign.purpose != "service"

    def lacks_consent(self, slot: int, campaign: CampaignBlock) -> bool:
        channel = channel_of(campaign)
        return channel in CONSENT_CHANNELS and int(channel) not in self.customer["consent"]

    def is_too_personal(self, slot: int, campaign: CampaignBlock) -> bool:
        is_personal = self.engine.conditions.is_personal
        reads = is_personal(campaign.audience) or is_personal(campaign.trigger.when)
        return bool(self.customer["personalisation_off"]) and reads

    def waits_for_dwell(self, slot: int, campaign: CampaignBlock) -> bool:
        if self.event["kind"] == EventKind.PAGE_DWELL:
            return view_is(self.customer, self.event["page_view"], "left")
        return campaign.trigger.on == "page_view" and (campaign.trigger.dwell or 0) > 0

    def is_quiet(self) -> bool:
        quiet = self.policy.fatigue.quiet_hours
        if quiet is None or quiet.from_ == quiet.until:
            return False
        clock = wall_clock(self.t, self.zone)
        minute = clock.hour * 60 + clock.minute
        if quiet.from_ < quiet.until:
            return quiet.from_ <= minute < quiet.until
        return minute >= quiet.from_ or minute < quiet.until

    def is_cooling_down(self, slot: int, campaign: CampaignBlock) -> bool:
        times = [exposure["time"] for exposure in self.counting() if exposure["slot"] == slot]
        if not times or slot in self.customer["snoozes"]:  # §9 forgets an ended snooze, so one still here exempts
            return False
        return bool(self.t - max(times) < campaign.frequency.cool_down)

    def counting(self) -> list[Exposure]:
        return [exposure for exposure in self.ring() if not exposure["taken_back"]]

    def is_campaign_capped(self, slot: int, campaign: CampaignBlock) -> bool:
        return self.reaches(campaign.frequency.caps, [past for past in self.counting() if past["slot"] == slot])

    def is_channel_capped(self, slot: int, campaign: CampaignBlock) -> bool:
        fatigue = self.policy.fatigue.channels.get(campaign.channel)
        channel = channel_of(campaign)
        past = [past for past in self.counting() if not past["ghost"] and past["channel"] == channel]
        return fatigue is not None and self.reaches(fatigue.caps, past)

    def is_capped_in_total(self, slot: int, campaign: CampaignBlock) -> bool:
        real = [past for past in self.counting() if not past["ghost"]]
        past = [past for past in real if past["channel"] < FIRST_PASSIVE_CHANNEL]
        return uses_attention(campaign) and self.reaches(self.policy.fatigue.caps, past)

    def reaches(self, caps: Caps, past: list[Exposure]) -> bool:
        return any(self.in_window(cap, past) >= cap.most for cap in caps)

    def in_window(self, cap: Cap, past: list[Exposure]) -> int:
        if isinstance(cap.per, str):
            edge = calendar_edge_ms(self.t, cap.per, self.zone)
            return sum(exposure["time"] >= edge for exposure in past)
        return sum(exposure["time"] > self.t - cap.per for exposure in past)

    # §7 arbitration
    def ranked(self, passed: list[int]) -> list[int]:
        """Best first; the sort is stable, so declaration order breaks ties."""
        return sorted(passed, key=lambda slot: (-self.engine.campaign(slot).priority, -self.score(slot)))

    def score(self, slot: int) -> int:
        """In 1e-9 fen."""
        campaign, ranking = self.engine.campaign(slot), self.policy.ranking
        names = [*self.policy.segments, ""]
        response = campaign.response_by_segment.get(names[self.segment], campaign.response)
        gain = response.shown if ranking.by == "response" else response.shown - response.otherwise
        score = campaign.value * gain
        if uses_attention(campaign):
            score -= ranking.price_of_attention * RESPONSE_ONE
        if self.bulletin is not None:
            score -= int(self.bulletin.pacing_price[slot]) * campaign.cost * (RESPONSE_ONE // PACING_PRICE_ONE)
        return score

    # §8, §9 held out, exposures
    def show(self, passed: list[int], reasons: dict[int, Reason]) -> tuple[list[Row], Exposure | None]:
        """Give the slot to the winner, or ghosts to winners held out; writes the final reasons of those that passed."""
        reasons.update(dict.fromkeys(passed, Reason.LOST_ARBITRATION))
        ghosts: list[Row] = []
        for slot in self.ranked(passed):
            if not self.engine.is_held_out(slot, self.event["customer"]):
                reasons[slot] = Reason.SHOWN
                exposure = self.expose(slot, ghost=False)
                self.pay_and_issue(slot)
                return ghosts, exposure
            reasons[slot] = Reason.HELD_OUT
            ghosts.append(self.row(Reason.HELD_OUT, slot, self.expose(slot, ghost=True)["number"]))
            holdout = self.engine.campaign(slot).holdout
            if holdout is None or holdout.sees == "nothing":
                break
        return ghosts, None

    def expose(self, slot: int, ghost: bool) -> Exposure:
        exposure = {
            "number": self.customer["exposures"],
            "time": self.t,
            "slot": slot,
            "channel": int(channel_of(self.engine.campaign(slot))),
            "ghost": ghost,
            **dict.fromkeys(("taken_back", "clicked", "closed", "negative", "snoozed", "converted"), False),
        }
        self.customer["exposures"] += 1
        self.customer["ring"].append(exposure)
        self.customer["snoozes"].pop(slot, None)
        self.count(slot, Cell.GHOSTS if ghost else Cell.EXPOSURES)
        return exposure

    def pay_and_issue(self, slot: int) -> None:
        """The exposure's cost is its campaign's budget's and its channel's, once; its coupon may be claimed at once."""
        campaign, wallets = self.engine.campaign(slot), self.engine.wallets
        paying = {name for name, budget in self.policy.budgets.items() if campaign.channel in budget.channels}
        paying |= {campaign.budget} if campaign.budget else set()
        for name in paying if campaign.cost else ():
            wallets.spend[self.engine.numbers.budgets[name], Spend.EXPOSURES] += campaign.cost
        if campaign.coupon is not None and campaign.issue == "direct":
            number = self.engine.numbers.coupons[campaign.coupon]
            wallets.claimed_at_once(number, slot, self.question({}))

    def decision(
        self, candidates: list[int], reasons: dict[int, Reason], ghosts: list[Row], exposure: Exposure | None
    ) -> Row:
        if not candidates:
            return self.row(Reason.NO_CANDIDATE, NONE, NONE)
        if exposure is not None:
            return self.row(Reason.SHOWN, exposure["slot"], exposure["number"])
        named = max(candidates, key=lambda slot: reasons[slot])  # the first declared of those that got furthest
        numbers = {ghost["campaign"]: ghost["exposure"] for ghost in ghosts}
        return self.row(reasons[named], named, numbers.get(named, NONE))

    def row(self, reason: Reason, slot: int, number: int) -> Row:
        """The fields of one DECISION, but for those of `Answer.signed`."""
        event, engine = self.event, self.engine
        has_arm = reason in (Reason.SHOWN, Reason.HELD_OUT)
        return {
            "time_ms": self.t,
            "customer": event["customer"],
            "page_view": event["page_view"],
            "sequence": event["sequence"],
            "exposure": number,
            "campaign": slot,
            "kind": event["kind"],
            "page": event["page"],
            "arm": engine.arm(slot, event["customer"]) if has_arm else NONE,
            "reason": int(reason),
            "channel": NONE if slot == NONE else int(channel_of(engine.campaign(slot))),
        }


def name_at(names: list[str], number: int) -> str | None:
    """The name with this number; None for NONE and numbers without a name."""
    return names[number] if 0 <= number < len(names) else None


def channel_of(campaign: CampaignBlock) -> Channel:
    return Channel[campaign.channel.upper()]


def uses_attention(campaign: CampaignBlock) -> bool:
    return channel_of(campaign) < FIRST_PASSIVE_CHANNEL


def is_popup(campaign: CampaignBlock) -> bool:
    return channel_of(campaign) is Channel.POPUP
