"""What callers send and are told, as JSON. Money is yuan as text, `"20.00"`; times are ms since 1970.

Bodies are strict: a field nobody knows, a number as text, a name the policy does not have is an error with its path.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

CustomerId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:@-]{1,64}$(?!\n)", description="Yours; we number customers.")]
OrderNumber = Annotated[int, Meta(ge=1, le=2_000_000_000, description="Yours, of this customer: holds its coupons.")]
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


class Granted(Struct, kw_only=True, omit_defaults=True):
    """What became of a claim."""

    customer: str
    time_ms: TakenMs
    answer: str
    coupon: Annotated[str, Meta(description="What was granted, which may be a weaker one.")] | None = None
    number: Annotated[int, Meta(description="Of this piece among the customer's.")] | None = None


class Quote(Struct, kw_only=True, omit_defaults=True):
    """What a cart costs."""

    customer: str
    time_ms: TakenMs
    answer: str
    paid: Annotated[str, Meta(description="Yuan.")] | None = None
    discount: Annotated[str, Meta(description="Yuan.")] | None = None
    coupons: list[str]
    order: int | None = None
    add: Annotated[str, Meta(description="Yuan: with so much more in the cart …")] | None = None
    saves: Annotated[str, Meta(description="Yuan: … that much less is paid in the end.")] | None = None


class Known(Struct, kw_only=True):
    """A customer who is known from now on."""

    customer: str


class Alive(Struct, kw_only=True):
    """The process runs."""

    alive: bool


class Ready(Struct, kw_only=True):
    """Whether it can decide."""

    ready: bool


class Problem(Struct, kw_only=True):
    """What is wrong, and where."""

    path: str
    message: str


class Refused(Struct, kw_only=True):
    """A request that was not carried out."""

    error: str
    problems: list[Problem] = []
