"""What callers send and are told, as JSON. Money is yuan as text, `"20.00"`; times are ms since 1970.

Bodies are strict: a field nobody knows, a number as text, a name the policy does not have is an error with its path.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

CustomerId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:@-]{1,64}$(?!\n)", description="Yours; we number customers.")]
OrderNumber = Annotated[int, Meta(ge=1, le=2_000_000_000, description="Yours, of this customer: holds its coupons.")]
InstanceNumber = Annotated[int, Meta(ge=0, le=2_000_000_000, description="Of a coupon, as its claim was answered.")]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Yuan = Annotated[
    str, Meta(pattern=r"^(0|[1-9][0-9]{0,6})(\.[0-9]{1,2})?$(?!\n)", description="Yuan.", examples=["20.00"])
]
Whole = Annotated[int, Meta(ge=0, le=2_000_000_000)]
Ms = Annotated[int, Meta(ge=0, le=2**48, description="Milliseconds since 1970, UTC.")]
TakenMs = Annotated[int, Meta(description="When it was taken: milliseconds since 1970, UTC.")]
Id = Annotated[int, Meta(ge=1, le=2**53)]

Behaviour = Literal[
    "login", "page_view", "page_dwell", "page_leave", "slot_view", "balance_query", "bill_viewed", "payment", "top_up",
    "card_bound", "feature_used", "register", "instalment", "click", "close", "mute", "snooze", "complaint",
    "not_shown", "consent_given", "consent_withdrawn", "personalisation_on", "personalisation_off", "login_failed",
    "payment_declined", "check_in", "money_transfer", "group_join",
]  # fmt: skip


class Origin(Struct, forbid_unknown_fields=True, kw_only=True):
    """Where a customer comes from, as far as it is known. Fraud rules read it; marketing conditions cannot."""

    device: Name | None = None
    ip: Annotated[str, Meta(pattern=r"^[0-9]{1,3}(\.[0-9]{1,3}){3}$(?!\n)")] | None = None
    card: Annotated[Name, Meta(description="A token of yours, not the number.")] | None = None
    address: Name | None = None
    agent: Literal["app", "browser", "script"] | None = None


class Decide(Struct, forbid_unknown_fields=True, kw_only=True):
    """Something a customer does. What is said beyond customer and event is what the event has."""

    customer: CustomerId
    event: Behaviour
    page: Name | None = None
    page_view: Annotated[Id, Meta(description="Yours: which view of a page it belongs to.")] | None = None
    amount: Yuan | None = None
    dwell_ms: Annotated[Whole, Meta(description="How long, in milliseconds.")] | None = None
    city: Name | None = None
    channel: Literal["push", "sms", "email", "voice"] | None = None
    campaign: Name | None = None
    exposure: Annotated[Whole, Meta(description="As told with the message that it is about.")] | None = None
    origin: Origin | None = None


class Claim(Struct, forbid_unknown_fields=True, kw_only=True):
    """A customer wants a coupon."""

    customer: CustomerId
    coupon: Name
    campaign: Name | None = None
    origin: Origin | None = None


class Line(Struct, forbid_unknown_fields=True, kw_only=True):
    """So many pieces of one thing."""

    unit_price: Yuan
    quantity: Annotated[int, Meta(ge=1, le=1_000_000)]
    category: Name | None = None
    brand: Name | None = None
    product: Name | None = None


class Checkout(Struct, forbid_unknown_fields=True, kw_only=True):
    """A cart: what it costs, with the best legal combination of the customer's coupons."""

    customer: CustomerId
    lines: Annotated[list[Line], Meta(min_length=1, max_length=32)]
    shipping: Yuan = "0"
    place: Name | None = None
    order: OrderNumber | None = None
    origin: Origin | None = None


class Pay(Struct, forbid_unknown_fields=True, kw_only=True):
    """An order was paid: its coupons are used up."""

    customer: CustomerId
    order: OrderNumber
    amount: Annotated[Yuan, Meta(description="What the customer paid; it counts as spent.")]
    page: Name | None = None
    city: Name | None = None
    origin: Origin | None = None


class Cancel(Struct, forbid_unknown_fields=True, kw_only=True):
    """An order that is not paid is given up: its coupons are free again."""

    customer: CustomerId
    order: OrderNumber
    origin: Origin | None = None


class Refund(Struct, forbid_unknown_fields=True, kw_only=True):
    """Pieces of a paid order come back: those of a line, or all that are left."""

    customer: CustomerId
    order: OrderNumber
    line: Annotated[int, Meta(ge=0, le=31, description="Of the order's cart, counted from 0.")] | None = None
    pieces: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    origin: Origin | None = None


class Redeem(Struct, forbid_unknown_fields=True, kw_only=True):
    """A coupon is used without a cart: a right, or a code at the desk."""

    customer: CustomerId
    number: InstanceNumber
    amount: Annotated[Yuan, Meta(description="To be taken off at the desk; a right has its own worth.")] = "0"
    place: Name | None = None
    city: Name | None = None
    origin: Origin | None = None


class Transfer(Struct, forbid_unknown_fields=True, kw_only=True):
    """A coupon goes to another customer who is known."""

    customer: CustomerId
    number: InstanceNumber
    to: CustomerId
    origin: Origin | None = None


class Challenge(Struct, forbid_unknown_fields=True, kw_only=True):
    """A customer passed the challenge that a refusal named: what was refused may be asked again within ten minutes."""

    customer: CustomerId
    challenge: Name
    origin: Origin | None = None


class Profile(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is known of a customer. What is left out stays as it is."""

    joined_ms: Ms | UnsetType = UNSET
    balance: Yuan | UnsetType = UNSET
    points: Whole | UnsetType = UNSET
    points_expire_ms: Ms | UnsetType = UNSET
    tags: Annotated[list[Name], Meta(max_length=60)] | UnsetType = UNSET
    birth_date: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$(?!\n)")] | UnsetType = UNSET
    home_city: Name | UnsetType = UNSET
    gender: Literal["female", "male"] | UnsetType = UNSET
    tier: Name | UnsetType = UNSET
    consent: list[Literal["push", "sms", "email", "voice"]] | UnsetType = UNSET
    card_active: bool | UnsetType = UNSET
    card_used: bool | UnsetType = UNSET
    personalisation: bool | UnsetType = UNSET
    likely_minor: bool | UnsetType = UNSET
    high_risk: bool | UnsetType = UNSET
    # What identifies: sealed at the gateway, and nothing decides by it.
    phone: Annotated[str, Meta(max_length=16)] | UnsetType = UNSET
    card_number: Annotated[str, Meta(max_length=19)] | UnsetType = UNSET
    identity_number: Annotated[str, Meta(max_length=18)] | UnsetType = UNSET
    name: Name | UnsetType = UNSET

    def __repr__(self) -> str:
        """Of whom it tells nothing, wherever it is printed."""
        return "Profile(…)"


class Retention(Struct, forbid_unknown_fields=True, kw_only=True):
    """A duty to keep a customer's record through a day."""

    duty: Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,100}$(?!\n)", examples=["anti-money-laundering law"])]
    until: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$(?!\n)", examples=["2031-01-01"])]


# --- answers ----------------------------------------------------------------------------------------------------------
class Shown(Struct, kw_only=True, omit_defaults=True):
    """A message to show."""

    campaign: str
    channel: str
    exposure: Annotated[int, Meta(description="Says which one, when the customer reacts.")]
    arm: str | None = None
    text: str
    style: str
    ad_label: bool = False
    opt_out: str | None = None


class Decision(Struct, kw_only=True, omit_defaults=True):
    """What came of an event."""

    customer: str
    time_ms: TakenMs
    show: Shown | None = None
    late: bool = False
    reason: Annotated[str, Meta(description="To who may know: why nothing was shown.")] | None = None


class Refusal(Struct, kw_only=True, omit_defaults=True):
    """Why fraud rules did not let something through, as far as its reader may know."""

    category: str
    appeal: str
    challenge: str | None = None  # to be passed with /v1/challenge
    family: str | None = None  # to who may know: of the rule


class Granted(Struct, kw_only=True, omit_defaults=True):
    """What became of a claim."""

    customer: str
    time_ms: TakenMs
    answer: str
    coupon: Annotated[str, Meta(description="What was granted, which may be a weaker one.")] | None = None
    number: Annotated[int, Meta(description="Of this piece among the customer's.")] | None = None
    refusal: Refusal | None = None
    show: Shown | None = None


class Quote(Struct, kw_only=True, omit_defaults=True):
    """What a cart costs, or an order that was paid. Whoever asks again under the same key is told the sums, and not
    which coupons made them."""

    customer: str
    time_ms: TakenMs
    answer: str
    paid: Annotated[str, Meta(description="Yuan.")] | None = None
    discount: Annotated[str, Meta(description="Yuan.")] | None = None
    coupons: list[str] | None = None
    order: int | None = None
    add: Annotated[str, Meta(description="Yuan: with so much more in the cart …")] | None = None
    saves: Annotated[str, Meta(description="Yuan: … that much less is paid in the end.")] | None = None
    refusal: Refusal | None = None
    show: Shown | None = None


class Redeemed(Struct, kw_only=True, omit_defaults=True):
    """What became of a coupon that was to be used, or given away."""

    customer: str
    time_ms: TakenMs
    answer: str
    number: Annotated[int, Meta(description="Of this piece among the customer's.")]
    discount: Annotated[str, Meta(description="Yuan: taken off at the desk, or the worth of a right.")] | None = None
    refusal: Refusal | None = None
    show: Shown | None = None


class Returned(Struct, kw_only=True, omit_defaults=True):
    """What became of an order that was to be given back, or up."""

    customer: str
    time_ms: TakenMs
    answer: str
    order: int
    returned: Annotated[str, Meta(description="Yuan: to be paid back.")] | None = None
    show: Shown | None = None


class Passed(Struct, kw_only=True):
    """A challenge was noted."""

    customer: str
    time_ms: TakenMs


class Known(Struct, kw_only=True):
    """A customer who is known from now on."""

    customer: str


class Imported(Struct, kw_only=True):
    """Customers of a file, all of them written but those who were erased: they come back one by one, by PUT."""

    new: int
    known: int
    erased: int


class Sealed(Struct, kw_only=True, omit_defaults=True):
    """A record: what identifies, masked unless an auditor asks, and everything else that was written."""

    phone: str | None = None
    card_number: str | None = None
    identity_number: str | None = None
    name: str | None = None
    masked: bool = False
    locked: bool = False  # erased, and kept through its duties' days
    profile: dict[str, Any] = {}

    def __repr__(self) -> str:
        return "Sealed(…)"


class Told(Struct, kw_only=True, omit_defaults=True):
    """What is known of a customer."""

    customer: str
    since_ms: int | None = None  # the record's beginning
    erased_ms: int | None = None
    retention: list[Retention] = []
    records: list[Sealed] = []


class RefusedOnce(Struct, kw_only=True, omit_defaults=True):
    """An ask that a fraud rule answered. To an auditor: by which rule, what it compared, and with what."""

    time_ms: TakenMs
    asked: str
    answer: str
    category: str
    family: str
    rule: str | None = None
    value: str | None = None
    threshold: str | None = None


class Refusals(Struct, kw_only=True):
    """Of one customer, the latest first; of the latest 20,000 of all since the gateway began."""

    customer: str
    refusals: list[RefusedOnce]


class Erased(Struct, kw_only=True, omit_defaults=True):
    """A customer is forgotten; 202: what duties lock is destroyed when their days have passed."""

    customer: str
    erased_ms: int
    retention: list[Retention] = []


class Retained(Struct, kw_only=True):
    """Every duty that a customer's record is under."""

    customer: str
    retention: list[Retention]


class AuditEntry(Struct, kw_only=True):
    """Somebody did something. `hash` is the SHA-256 of the entry without it."""

    number: Annotated[int, Meta(description="Of this piece among the customer's.")]
    time_ms: int
    who: str
    role: str
    what: str
    customer: str | None
    status: int | None
    detail: str
    previous: str
    hash: str


class AuditHead(Struct, kw_only=True):
    """The end of the log: kept elsewhere, it tells later whether anything before it was changed."""

    number: Annotated[int, Meta(description="Of this piece among the customer's.")]
    hash: str


class AuditPage(Struct, kw_only=True):
    """Entries of the audit log, at most 1,000."""

    entries: list[AuditEntry]
    head: AuditHead


class Alive(Struct, kw_only=True):
    """The process runs."""

    alive: bool


class Ready(Struct, kw_only=True):
    """Whether it can decide for everybody, and why not."""

    ready: bool
    reasons: list[str]


class Problem(Struct, kw_only=True):
    """What is wrong, and where."""

    path: str
    message: str


class Refused(Struct, kw_only=True):
    """A request that was not carried out."""

    error: str
    problems: list[Problem] = []
