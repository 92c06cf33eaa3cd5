"""Tables of rows as people write them: what a policy is to decide for somebody of whom they thought."""

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address
from typing import Annotated, Literal

from pydantic import Field

from engine.policy.checks import Checks
from engine.policy.quantities import (
    Block,
    Count,
    Date,
    Duration,
    Identifier,
    Instant,
    Money,
    Problem,
    Share,
    Text,
    Truth,
)
from engine.records import SECOND_MS

ROWS_MAX, STEPS_MAX, TIMES_MAX, LINES_MAX = 1_000, 100, 200, 32
DAYS_MAX = 400  # from the first row's start to the last one's end
DEEDS = ("event", "claim", "quote", "order", "pay", "cancel", "refund", "redeem")
EXPECTED = ("shows", "looks", "refuses", "credits", "segment", "answers", "rule", "pays", "saves", "uses", "returns",
            "charges")  # fmt: skip

Event = Literal[
    "login", "page_view", "page_dwell", "page_leave", "slot_view", "balance_query", "bill_viewed", "payment", "top_up",
    "card_bound", "feature_used", "register", "instalment", "click", "close", "mute", "snooze", "complaint",
    "not_shown", "consent_given", "consent_withdrawn", "personalisation_on", "personalisation_off", "login_failed",
    "payment_declined", "check_in", "money_transfer", "group_join", "moment",
]  # fmt: skip
Reached = Literal["push", "sms", "email", "voice"]


class Facts(Block):
    """What is known of a customer when a row begins; the rest is unknown, or not so."""

    joined: Duration | None = None  # how long ago
    bought: Duration | None = None  # the last time
    born: Date | None = None
    gender: Literal["female", "male"] | None = None
    home_city: Text | None = None
    tier: Text | None = None
    tags: list[Text] | None = None
    consent: list[Reached] | None = None
    balance: Money | None = None
    points: Count | None = None
    points_expire: Duration | None = None  # from then on
    card_active: Truth | None = None
    card_used: Truth | None = None
    likely_minor: Truth | None = None
    high_risk: Truth | None = None
    blocked: Truth | None = None
    personalisation: Truth | None = None

    def over(self, other: "Facts") -> "Facts":
        """The other's facts, and these in place of them."""
        return other.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})


class From(Block):
    """Where somebody comes from, as fraud rules see it."""

    device: Text | None = None
    ip: Text | None = None
    card: Text | None = None
    address: Text | None = None
    code: Text | None = None
    agent: Literal["app", "browser", "script"] | None = None

    def cross_checks(self) -> Checks:
        yield self.ip_is_an_address

    def ip_is_an_address(self) -> Iterator[Problem]:
        try:
            IPv4Address(self.ip or "0.0.0.0")
        except AddressValueError:
            yield ("ip",), f"must be an address like 10.0.0.1 (got {self.ip})"


class CartLine(Block):
    """So many pieces of one thing."""

    price: Money
    pieces: Count = 1
    category: Text | None = None
    brand: Text | None = None
    product: Text | None = None


class Looks(Block):
    """How a message is shown, or a coupon that is claimed; what is left out may be anything. close: whether it can be
    seen at once how to close it, in one tap."""

    channel: Text | None = None
    style: Text | None = None
    colour: Text | None = None
    ad_label: Truth | None = None
    remind_later: Truth | None = None
    mute: Truth | None = None
    close: Truth | None = None
    coupon: Text | None = None  # that the message offers
    reward: Money | None = None  # that the message offers
    urgency: Text | None = None  # of a coupon: what it says is running out, pieces or days


class Step(Block):
    """One thing that somebody does, and what is to come of it. What is said of several is expected of the last."""

    after: Duration = SECOND_MS  # the step before; the first is when the row starts
    at: Instant | None = None  # or then
    who: Identifier = "customer"
    others: Truth = False  # each time somebody new
    times: Count = 1
    every: Duration = SECOND_MS

    event: Event | None = None
    page: Text | None = None
    lasting: Duration | None = None
    amount: Money | None = None
    city: Text | None = None
    channel: Reached | None = None
    moment: Text | None = None
    of: Text | None = None  # the campaign that a reaction is to, where it is not the latest shown
    claim: Text | None = None
    quote: list[CartLine] | None = None
    order: list[CartLine] | None = None
    pay: Count | None = None  # which order of the customer's, counted from 1; what it costs, unless `amount` says
    cancel: Count | None = None
    refund: Count | None = None
    redeem: Text | None = None
    line: Count | None = None  # of a refund: of the cart, counted from 1
    pieces: Count | None = None
    shipping: Money = 0
    place: Text | None = None
    origin: From = From()

    shows: Text | None = None  # nothing, a campaign, or campaign/arm
    looks: Looks = Looks()
    refuses: dict[Text, Text] = {}  # campaign → reason
    credits: Text | None = None  # nothing, or the campaign whose exposure this converts
    segment: Text | None = None  # of the customer, as reports name it: the first that fits, or other
    answers: Text | None = None
    rule: Text | None = None
    pays: Money | None = None
    saves: Money | None = None
    uses: list[Text] | None = None
    returns: Money | None = None
    charges: dict[Text, Money] = {}  # budget → what is reserved or spent of it by this step

    def cross_checks(self) -> Checks:
        yield self.one_deed
        yield self.in_bounds

    @property
    def deed(self) -> str:
        return next(name for name in DEEDS if getattr(self, name) is not None)

    @property
    def expected(self) -> list[str]:
        return [name for name in EXPECTED if getattr(self, name) not in (None, {}, Looks())]

    def one_deed(self) -> Iterator[Problem]:
        given = [name for name in DEEDS if getattr(self, name) is not None]
        if len(given) != 1:
            yield (), f"must have exactly one of {', '.join(DEEDS)} (got {' and '.join(given) or 'none of them'})"
        if self.event == "moment" and self.moment is None:
            yield ("moment",), "must be given with event: moment (got nothing)"
        if (self.line is None) != (self.pieces is None):
            yield ("pieces" if self.pieces is None else "line",), "must be given: line and pieces go together"

    def in_bounds(self) -> Iterator[Problem]:
        if not 1 <= self.times <= TIMES_MAX:
            yield ("times",), f"must be between 1 and {TIMES_MAX} (got {self.times})"
        for name in ("quote", "order"):
            lines = getattr(self, name)
            if lines is not None and not 1 <= len(lines) <= LINES_MAX:
                yield (name,), f"must have 1 to {LINES_MAX} lines (got {len(lines)})"


class Row(Block):
    """Somebody, what they do, and what the policy is to decide."""

    says: Text
    start: Instant | None = None
    customer: Facts = Facts()
    held_out: list[Text] = []  # campaigns that this customer is held out from
    universal_holdout: Truth = False
    arms: dict[Text, Text] = {}  # campaign → the arm that this customer is in
    spent: dict[Text, Money] = {}  # budget → what is spent of it when the row begins
    steps: Annotated[list[Step], Field(min_length=1, max_length=STEPS_MAX)]

    def cross_checks(self) -> Checks:
        yield self.expects_something

    def expects_something(self) -> Iterator[Problem]:
        if not any(step.expected for step in self.steps):
            yield ("steps",), f"must expect something of a step: {', '.join(EXPECTED)} (got none of them)"


class Shares(Block):
    """How many of a hundred customers are held out from everything, and from a campaign of their own lot."""

    universal_holdout: Share | None = None
    held_out: dict[Text, Share] = {}


class Rows(Block):
    """A table: rows about one policy."""

    table: Identifier
    says: Text = ""
    policy: Text
    start: Instant
    customer: Facts = Facts()  # of every row, as far as it does not say otherwise
    shares: Shares = Shares()
    rows: Annotated[list[Row], Field(min_length=1, max_length=ROWS_MAX)]

    def cross_checks(self) -> Checks:
        yield self.said_once

    def said_once(self) -> Iterator[Problem]:
        seen: dict[str, int] = {}
        for number, row in enumerate(self.rows):
            if seen.setdefault(row.says, number) != number:
                yield ("rows", number, "says"), f"must be said once (got it in rows[{seen[row.says]}] too)"
