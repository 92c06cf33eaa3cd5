"""A fraud rule as a strategist writes it, and what a whole row of it comes to: kinds, asks it judges, home."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Literal, get_args

from pydantic import Field

from engine.fraud_records import ALL_KINDS, COUNTED_MOST, JUDGED_MASK, Home, Verdict
from engine.fraud_records import Field as Key
from engine.policy.checks import Checks, repeated
from engine.policy.quantities import (
    Block,
    Count,
    DayOrDuration,
    Duration,
    Identifier,
    Money,
    Problem,
    Share,
    Text,
    Truth,
)
from engine.records import EventKind

EventName = Literal[
    "any", "login", "login_failed", "register", "page_view", "page_dwell", "page_leave", "slot_view", "balance_query",
    "bill_viewed", "payment", "payment_declined", "top_up", "card_bound", "feature_used", "instalment", "claim",
    "checkout", "order", "order_unpaid", "cancel", "refund", "transfer", "redeem", "click", "close", "mute", "snooze",
    "complaint", "check_in", "money_transfer", "group_join",
]  # fmt: skip
JudgedName = Literal["claim", "order", "payment", "redeem", "transfer"]
JUDGED_NAMES: tuple[JudgedName, ...] = get_args(JudgedName)
KeyName = Literal["customer", "campaign", "device", "ip", "card", "address", "code", "group", "receiver"]
DifferentName = Literal["customer", "device", "ip", "card", "address", "code", "group", "receiver", "order"]
CheckName = Literal[
    "count", "young_account", "self_referral", "referral_cycle", "after_decline", "travel", "region", "listed",
    "ip_range", "pace", "no_browsing", "script", "collusion",
]  # fmt: skip
AnswerName = Literal["weaker", "challenge", "review", "deny"]
ModeName = Literal["off", "shadow", "active"]

# What rules of each check go by, and a policy may change.
BOUNDS: dict[str, tuple[str, ...]] = {
    "count": ("within", "more_than"),
    "young_account": ("within", "worth"),
    "self_referral": ("within",),
    "referral_cycle": ("within",),
    "after_decline": ("within",),
    "travel": ("metres",),
    "region": (),
    "listed": (),
    "ip_range": ("within",),
    "pace": ("within", "more_than", "gap"),
    "no_browsing": ("within", "more_than", "views"),
    "script": (),
    "collusion": ("within", "share"),
}
KEYS_MAX = 10_000_000
ALL_BOUNDS = ("within", "more_than", "worth", "metres", "gap", "views", "share")
MEANING = ("count", "different", "per", "granted")  # what a core rule is; another one has another name
FOR_EVER = ("count", "self_referral", "referral_cycle", "ip_range", "collusion")  # without `within`, that is
AT_LEDGER = ("self_referral", "referral_cycle", "listed", "ip_range", "collusion")
CHECK_KEYS = {"ip_range": Key.IP, "collusion": Key.GROUP}  # of the others: the customer

# Only asks of these kinds carry the field; what else an event was traced to any kind may carry.
CARRIED_BY: dict[str, tuple[str, ...]] = {
    "campaign": ("claim",),
    "receiver": ("transfer",),
    "order": ("order", "payment", "cancel", "refund", "order_unpaid"),
}


Keys = Annotated[Count, Field(ge=1, le=KEYS_MAX)]


class Rule(Block):
    """More than so many [different] events of these kinds per key within a window; or one field changed of a core
    rule. What a core rule tests beside the counter, it says in its own words: worth, metres, gap, views, share."""

    count: Annotated[list[EventName], Field(min_length=1)] | None = None
    where: Text | None = None  # condition on the event and the customer: what else it does not see
    different: DifferentName | None = None  # default: events are counted
    per: KeyName | None = None
    within: DayOrDuration | None = None  # default: for ever
    more_than: Annotated[Count, Field(le=COUNTED_MOST)] | None = None
    granted: Truth = False  # only claims that were granted
    judges: Annotated[list[JudgedName], Field(min_length=1)] | None = None
    worth: Annotated[Money, Field(ge=1)] | None = None  # of the coupon, at least
    metres: Annotated[Count, Field(le=50_000_000)] | None = None  # more than so far
    gap: Annotated[Duration, Field(ge=1)] | None = None  # mean gap under it
    views: Annotated[Count, Field(le=COUNTED_MOST)] | None = None  # of pages, at most
    share: Annotated[Share, Field(ge=1)] | None = None  # of a group, more than
    keys: Keys | None = None  # that the Ledger remembers; default: those of the policy
    answer: AnswerName | None = None
    mode: ModeName | None = None  # default: active

    def cross_checks(self) -> Checks:
        yield lambda: repeated(self.count or [], ("count",))
        yield lambda: repeated(self.judges or [], ("judges",))
        yield self.any_stands_alone

    def any_stands_alone(self) -> Iterator[Problem]:
        if self.count is not None and "any" in self.count and len(self.count) > 1:
            yield ("count",), f"must be [any] or a list of kinds (got {', '.join(self.count)})"

    def given(self, name: str) -> bool:
        """Whether a field is said here, and readable."""
        return name in self.model_fields_set and self.__dict__.get(name) is not None


class RuleRow(Rule):
    """A rule with everything it has: a core rule with the policy's changes, or one of the policy's own (number 0)."""

    number: Count = 0
    check: CheckName = "count"

    # --- what the fields come to --------------------------------------------------------------------------------------
    @property
    def kinds(self) -> int:
        """Mask of the kinds of events it counts."""
        return kinds_mask(self.count or [])

    @property
    def judged(self) -> int:
        """Mask of the asks it answers: said, or those it counts; all where it counts anything else, or nothing."""
        if self.judges is not None:
            return kinds_mask(self.judges)
        return self.kinds if self.kinds and not self.kinds & ~JUDGED_MASK else JUDGED_MASK

    @property
    def heard(self) -> int:
        """Mask of the kinds of events it must be told of."""
        views = 1 << EventKind.PAGE_VIEW if self.check == "no_browsing" else 0
        return self.kinds | self.judged | views

    @property
    def key(self) -> Key:
        return Key[self.per.upper()] if self.per is not None else CHECK_KEYS.get(self.check, Key.CUSTOMER)

    @property
    def home(self) -> Home:
        if self.check == "count":
            return Home.SHARD if self.key == Key.CUSTOMER else Home.LEDGER
        return Home.LEDGER if self.check in AT_LEDGER else Home.SHARD

    @property
    def amount(self) -> int:
        """What the check is bounded by beside its count and its window, in its own unit."""
        return next((value for name in ALL_BOUNDS[2:] if (value := getattr(self, name)) is not None), 0)

    @property
    def verdict(self) -> Verdict:
        return Verdict[(self.answer or "allow").upper()]

    @property
    def is_on(self) -> bool:
        return self.mode != "off"

    @property
    def judged_names(self) -> list[JudgedName]:
        return [name for name in JUDGED_NAMES if self.judged & kinds_mask([name])]

    # --- checks -------------------------------------------------------------------------------------------------------
    def cross_checks(self) -> Checks:
        yield from super().cross_checks()
        yield from self.row_checks()

    def row_checks(self) -> Checks:
        """What must hold of a whole row, beside what must hold of each field said."""
        for name in ("count", "per", "answer"):
            yield partial(self.is_there, name)
        for name in ALL_BOUNDS:
            yield partial(self.bound_fits_check, name)
        yield self.counts_different_others
        yield self.granted_are_claims
        for name in ("per", "different"):
            yield partial(self.is_carried, name)

    def is_there(self, name: str) -> Iterator[Problem]:
        if getattr(self, name) is None and (name == "answer" or self.check == "count"):
            yield (name,), "must be given"

    def bound_fits_check(self, name: str) -> Iterator[Problem]:
        given, needed = getattr(self, name) is not None, name in BOUNDS[self.check]
        if given and not needed:
            yield (name,), not_a_bound(self.check)
        elif needed and not given and (name != "within" or self.check not in FOR_EVER):
            yield (name,), "must be given"

    def counts_different_others(self) -> Iterator[Problem]:
        if self.different is not None and self.different == self.per:
            yield ("different",), f"must be another field than per: there is one of it (got {self.different})"
        if self.different == "order" and self.per not in (None, "customer"):
            yield ("different",), f"must be order only with per: customer (got per: {self.per})"

    def granted_are_claims(self) -> Iterator[Problem]:
        if self.granted and self.count != ["claim"]:
            yield ("granted",), "must be true only with count: [claim] (got true)"
        if self.granted and self.per == "customer":
            yield ("granted",), "must be true only with per: campaign, or a key that customers share (got true)"

    def is_carried(self, name: str) -> Iterator[Problem]:
        """A rule whose kinds never carry what it goes by could not fire."""
        field = getattr(self, name)
        carriers = CARRIED_BY.get(field or "")
        if carriers and self.count and not {*carriers, "any"} & set(self.count):
            yield (name,), f"must be of an event that it counts: only {', '.join(carriers)} has one (got {field})"


def not_a_bound(check: str) -> str:
    return f"must not be here: the rule does not go by it (it has {', '.join(BOUNDS[check]) or 'no bound'})"


def judges_among(rule: Rule, row: RuleRow) -> Iterator[Problem]:
    """`judges` names fewer of the asks that the row judges by itself."""
    judged = row.judged_names
    for number, name in enumerate(rule.judges or []):
        if name not in judged:
            yield ("judges", number), f"must be among what the rule judges: {', '.join(judged)} (got {name})"


def kinds_mask(names: Sequence[str]) -> int:
    """Mask of kinds of events."""
    return ALL_KINDS if "any" in names else sum(1 << EventKind[name.upper()] for name in names)


class CoreRules(Block):
    """The rows that a policy includes."""

    rules: dict[Identifier, RuleRow]
