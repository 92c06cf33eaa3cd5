"""A coupon as a strategist writes it: what it takes off, who may claim it and when, how many there are, who pays."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, model_validator

from engine.coupon_records import PriceStage
from engine.policy.campaign import Window
from engine.policy.checks import Checks, repeated
from engine.policy.quantities import (
    DURATION_PATTERN,
    Block,
    ClockTime,
    Count,
    Duration,
    Identifier,
    Instant,
    Money,
    Per,
    Problem,
    Share,
    Text,
    Truth,
    duration_text,
    share_text,
    yuan_text,
)
from engine.records import CAPS_MAX, CATEGORIES_MAX, SHARE_ONE

KindName = Literal["amount_off", "each_full", "percent_off", "nth_item", "free_shipping", "right"]
KINDS: tuple[KindName, ...] = get_args(KindName)
CHECKOUT_KINDS = tuple(kind for kind in KINDS if kind != "right")  # those that take part in a checkout
PLATFORM = "platform"  # pays where funded_by says nothing

# Which kinds may have a field; and which cannot do without it.
KINDS_WITH: dict[str, tuple[str, ...]] = {
    "off": ("amount_off", "each_full"),
    "over": ("amount_off", "percent_off", "nth_item", "free_shipping"),
    "full": ("each_full",),
    "rate": ("percent_off", "nth_item"),
    "every": ("nth_item",),
    "across": ("nth_item",),
    "up_to": ("each_full", "percent_off", "nth_item", "free_shipping"),
    "worth": ("right",),
    "confirm_within": ("right",),
    **dict.fromkeys(("base", "items", "group", "exclusive", "not_with"), CHECKOUT_KINDS),
}
KINDS_NEEDING: dict[str, tuple[str, ...]] = {
    "off": ("amount_off", "each_full"),
    "full": ("each_full",),
    "rate": ("percent_off", "nth_item"),
    "every": ("nth_item",),
    "worth": ("right",),
}
STAGES: dict[str, PriceStage] = {
    "amount_off": PriceStage.ORDER,
    "each_full": PriceStage.ORDER,
    "percent_off": PriceStage.PERCENTAGE,
    "nth_item": PriceStage.LINE,
    "free_shipping": PriceStage.SHIPPING,
    "right": PriceStage.RIGHT,
}

Price = Annotated[Money, Field(ge=1, le=100_000_000)]  # a million yuan
Pieces = Annotated[Count, Field(ge=1)]
Some = Annotated[list[Identifier], Field(min_length=1, max_length=CATEGORIES_MAX)]


def or_of(names: tuple[str, ...]) -> str:
    """`a, b or c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def or_short(pattern: str) -> ConfigDict:
    """What an editor accepts: the short form, or the block."""

    def either(schema: dict[str, Any]) -> None:
        block = dict(schema)
        schema.clear()
        schema["anyOf"] = [{"type": "string", "pattern": pattern}, block]

    return ConfigDict(json_schema_extra=either)


class Items(Block):
    """What in a cart a coupon is for. Names of one kind are alternatives; kinds must all match."""

    categories: Some | None = None
    brands: Some | None = None
    products: Some | None = None

    def cross_checks(self) -> Checks:
        yield self.something
        yield lambda: repeated(self.categories or [], ("categories",))
        yield lambda: repeated(self.brands or [], ("brands",))
        yield lambda: repeated(self.products or [], ("products",))

    def something(self) -> Iterator[Problem]:
        if self.categories is None and self.brands is None and self.products is None:
            yield (), "must have at least one of categories, brands, products (got none of them)"


class Group(Block):
    """At most so many coupons of one group stand together in an order. `group: general` is `{name: general}`."""

    model_config = or_short("^[a-z][a-z0-9_]*$")
    name: Identifier
    most: Annotated[Count, Field(ge=1, le=10)] | None = None  # what one coupon says holds for the group; else 1

    @model_validator(mode="before")
    @classmethod
    def name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


class Ration(Block):
    """Pieces released at every multiple of `every` since the claims began."""

    pieces: Pieces
    every: Annotated[Duration, Field(ge=1_000)]


class Backup(Block):
    lead: Duration


class Reorder(Block):
    """Stock ordered again, by the simulation's stock room."""

    at: Count  # so many left, or fewer
    pieces: Pieces
    lead: Duration  # until they arrive
    fails: Share = 0  # so many orders never arrive …
    backup: Backup | None = None  # … and are placed again with somebody else


class ClaimWindow(Window):
    """Dates in the policy's zone, [from, until)."""

    at: ClockTime | None = None  # on the first day, not before

    def cross_checks(self) -> Checks:
        yield from super().cross_checks()
        yield self.time_of_a_day

    def time_of_a_day(self) -> Iterator[Problem]:
        if self.at is not None and self.from_ is None:
            yield ("at",), "must be given only with from: it is a time of that day (got nothing)"


class Limit(Block):
    """A customer may claim it `most` times per window; without `per`: for ever."""

    most: Annotated[Count, Field(ge=1, le=1000)]
    per: Per | None = None


class Valid(Window):
    """When a claimed coupon may be used: [from, until), and so long after the claim. `valid: 3d` is `{for: 3d}`."""

    model_config = or_short(f"^{DURATION_PATTERN}$")
    for_: Annotated[Annotated[Duration, Field(ge=1)] | None, Field(alias="for")] = None

    @model_validator(mode="before")
    @classmethod
    def duration_alone(cls, value: object) -> object:
        return {"for": value} if isinstance(value, str) else value

    def cross_checks(self) -> Checks:
        yield from super().cross_checks()
        yield self.something

    def something(self) -> Iterator[Problem]:
        if self.from_ is None and self.until is None and self.for_ is None:
            yield (), "must have at least one of from, until, for (got none of them)"


class Drop(Block):
    """Announced: whoever knows of it claims in a rush."""

    at: Instant


class Coupon(Block):
    kind: KindName
    off: Price | None = None
    over: Price | None = None  # threshold, reached at equality
    full: Price | None = None
    rate: Annotated[Share, Field(ge=1)] | None = None  # share taken off
    every: Annotated[Count, Field(ge=2, le=100)] | None = None
    across: Truth = False  # pieces of all lines are paired
    up_to: Price | None = None
    worth: Price | None = None
    base: Literal["running", "original"] = "running"
    items: Items | None = None
    group: Group | None = None  # default: that of its stage
    exclusive: Truth = False
    not_with: Annotated[list[Identifier], Field(min_length=1)] | None = None
    pieces: Pieces | None = None  # default: no end of them
    ration: Ration | None = None
    reorder: Reorder | None = None
    confirm_within: Annotated[Duration, Field(ge=1)] | None = None  # a prize to be collected
    claim: ClaimWindow = ClaimWindow()
    audience: Text | None = None  # condition on the customer: who may claim
    limits: Annotated[list[Limit], Field(min_length=1, max_length=CAPS_MAX)] | None = None  # default: one, for ever
    valid: Valid | None = None
    members: Some | None = None
    regions: Some | None = None
    places: Some | None = None
    funded_by: dict[Identifier, Annotated[Share, Field(ge=1)]] = {}
    budget: Identifier | None = None
    fallback: Identifier | None = None  # the weaker coupon
    transferable: Truth = False
    text: Text | None = None  # what customers are told
    urgency: Literal["none", "days", "pieces"] = "none"  # what the copy stresses
    drop: Drop | None = None

    # --- what the fields come to --------------------------------------------------------------------------------------
    @property
    def stage(self) -> PriceStage:
        return STAGES[self.kind]

    @property
    def cost_most(self) -> int | None:
        """The most one redemption can cost, in fen; None where nothing bounds it."""
        if self.kind == "amount_off":
            return self.off
        return self.worth if self.kind == "right" else self.up_to

    @property
    def claims(self) -> list[Limit]:
        """The limits per customer."""
        return self.limits or [Limit(most=1)]

    @property
    def payers(self) -> dict[str, int]:
        """Who pays, in millionths."""
        return self.funded_by or {PLATFORM: SHARE_ONE}

    # --- checks -------------------------------------------------------------------------------------------------------
    def cross_checks(self) -> Checks:
        for name in KINDS_WITH:
            yield partial(self.field_fits_kind, name)
        yield self.off_within_threshold
        yield self.up_to_holds_one_step
        yield self.budget_has_a_bound
        yield self.payers_pay_everything
        yield self.claims_before_it_ends
        yield self.drop_within_claims
        yield self.rations_of_stock
        yield self.reorders_of_stock
        yield self.prizes_are_no_instances
        yield self.urgency_is_of_something
        for name in ("not_with", "members", "regions", "places"):
            yield partial(self.named_once, name)

    def field_fits_kind(self, name: str) -> Iterator[Problem]:
        given = name in self.model_fields_set and getattr(self, name) is not None
        if given and self.kind not in KINDS_WITH[name]:
            whose = (
                "on coupons that change the price" if self.kind == "right" else f"with kind: {or_of(KINDS_WITH[name])}"
            )
            yield (name,), f"must be given only {whose} (got kind: {self.kind})"
        elif not given and self.kind in KINDS_NEEDING.get(name, ()):
            yield (name,), f"must be given with kind: {self.kind} (got nothing)"

    def off_within_threshold(self) -> Iterator[Problem]:
        for name, threshold in (("over", self.over), ("full", self.full)):
            if self.off is not None and threshold is not None and self.off > threshold:
                yield ("off",), f"must be <= {name}, {yuan_text(threshold)} (got {yuan_text(self.off)})"

    def up_to_holds_one_step(self) -> Iterator[Problem]:
        if self.kind == "each_full" and self.off is not None and self.up_to is not None and self.up_to < self.off:
            yield ("up_to",), f"must be >= off, {yuan_text(self.off)} (got {yuan_text(self.up_to)})"

    def budget_has_a_bound(self) -> Iterator[Problem]:
        if self.budget is not None and self.kind in KINDS_WITH["up_to"] and self.up_to is None:
            yield ("up_to",), "must be given with budget: a claim reserves the most it can cost (got nothing)"

    def payers_pay_everything(self) -> Iterator[Problem]:
        shares = sum(self.funded_by.values())
        if self.funded_by and shares != SHARE_ONE:
            yield ("funded_by",), f"must have shares that sum to 100% (got {share_text(shares)})"

    def claims_before_it_ends(self) -> Iterator[Problem]:
        if self.valid is None or self.valid.until is None:
            return
        ends, claim = self.valid.until, self.claim
        if claim.from_ is not None and ends <= claim.from_:
            yield ("valid", "until"), f"must be after claim.from, {claim.from_} (got {ends})"
        elif claim.until is not None and ends < claim.until:
            why = "what is claimed later would be over"
            yield ("valid", "until"), f"must not be before claim.until, {claim.until}: {why} (got {ends})"

    def drop_within_claims(self) -> Iterator[Problem]:
        if self.drop is None:
            return
        day, shown = self.drop.at.date(), f"{self.drop.at:%Y-%m-%d %H:%M}"
        minutes = self.drop.at.hour * 60 + self.drop.at.minute
        begins, ends = self.claim.from_, self.claim.until
        if begins is not None and (day, minutes) < (begins, self.claim.at or 0):
            yield ("drop", "at"), f"must not be before claims begin, {begins} (got {shown})"
        if ends is not None and day >= ends:
            yield ("drop", "at"), f"must be before claim.until, {ends} (got {shown})"

    def rations_of_stock(self) -> Iterator[Problem]:
        if self.ration is None:
            return
        if self.claim.from_ is None:
            yield ("claim", "from"), "must be given with ration: pieces are released from then on (got nothing)"
        if self.pieces is None:
            yield ("pieces",), "must be given with ration (got nothing)"
        elif self.ration.pieces > self.pieces:
            yield ("ration", "pieces"), f"must be <= pieces, {self.pieces} (got {self.ration.pieces})"

    def reorders_of_stock(self) -> Iterator[Problem]:
        if self.reorder is None:
            return
        if self.pieces is None:
            yield ("pieces",), "must be given with reorder (got nothing)"
        elif self.reorder.at >= self.pieces:
            yield ("reorder", "at"), f"must be < pieces, {self.pieces} (got {self.reorder.at})"

    def prizes_are_no_instances(self) -> Iterator[Problem]:
        if self.confirm_within is None:
            return
        why = "must not be given with confirm_within: a prize is reserved until it is collected"
        if self.valid is not None:
            yield ("valid",), f"{why} (got {validity_text(self) or 'a date'})"
        if self.transferable:
            yield ("transferable",), f"{why} (got true)"

    def urgency_is_of_something(self) -> Iterator[Problem]:
        if self.urgency == "pieces" and self.pieces is None:
            yield ("urgency",), "must be pieces only where pieces are given: nothing runs out (got pieces)"
        ends = self.claim.until or (self.valid and (self.valid.until or self.valid.for_))
        if self.urgency == "days" and not ends:
            yield ("urgency",), "must be days only where claim.until or valid is given: nothing ends (got days)"

    def named_once(self, name: str) -> Iterator[Problem]:
        yield from repeated(getattr(self, name) or [], (name,))


def validity_text(coupon: Coupon) -> str | None:
    """How long a claimed coupon lasts, in words; None: for ever."""
    if coupon.valid is None:
        return None
    if coupon.valid.for_ is not None:
        return duration_text(coupon.valid.for_)
    return f"until {coupon.valid.until}" if coupon.valid.until is not None else None
