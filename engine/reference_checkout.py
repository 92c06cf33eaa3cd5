"""What a cart costs, once more and naively: every set of coupons is tried. The oracle of `engine/rules/checkout.py`.

Plain values and whole numbers, nothing computed ahead. It shares only the records with the fast engine. A coupon whose
threshold is not reached takes nothing off; a set that holds one is not legal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations
from typing import Any

from engine.coupon_records import EVERYTHING, CheckoutReason, CouponKind
from engine.records import NEVER_MS, NONE, SHARE_ONE

ONE_NAME_BITS = 63  # a mask knows no number from here on


@dataclass(frozen=True)
class Line:
    """Pieces of one kind; `unit_price` in fen. NONE: of no category, brand or product that the policy names."""

    unit_price: int
    quantity: int
    category: int = NONE
    brand: int = NONE
    product: int = NONE


@dataclass(frozen=True)
class Cart:
    """What is bought, and by whom, where and when. NONE: not known."""

    lines: tuple[Line, ...]
    shipping: int = 0  # fen
    tier: int = NONE
    city: int = NONE
    place: int = NONE
    t: int = 0  # ms


@dataclass(frozen=True)
class Terms:
    """A row of `coupon_records.TERMS`, as far as a checkout reads it; same names, same units."""

    kind: int
    stage: int
    off: int = 0
    full: int = 0
    over: int = 0
    up_to: int = NEVER_MS
    valid_from_ms: int = 0
    categories: int = EVERYTHING
    brands: int = EVERYTHING
    products: int = EVERYTHING
    tiers: int = EVERYTHING
    regions: int = EVERYTHING
    places: int = EVERYTHING
    not_with: int = 0
    rate: int = 0
    every: int = 0
    group: int = 0
    group_most: int = 1
    declared: int = 0
    coupon: int = 0
    across: int = 0
    original: int = 0
    exclusive: int = 0


@dataclass(frozen=True)
class Coupon:
    """One coupon in a wallet: its terms and the row they stand in, its claim number, and when it expires."""

    terms: Terms
    row: int
    number: int
    expires_ms: int

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Where it stands in the order of application; older terms of one coupon go first."""
        return self.terms.stage, self.terms.declared, self.row, self.number


@dataclass(frozen=True)
class Priced:
    """The best legal combination. Lists go with the coupons as given, `line_paid` with the lines; fen."""

    paid: int
    shipping_paid: int
    used: list[bool]
    discounts: list[int]
    reasons: list[CheckoutReason]
    missing: list[int]  # of each unlock that is shown; 0 = none
    saves: list[int]  # what is then paid less than `paid` plus that amount
    line_paid: list[int]

    @property
    def unlock(self) -> int:
        """The unlock that saves most, then needs least, then stands first; NONE."""
        shown = [i for i, missing in enumerate(self.missing) if missing]
        return min(shown, key=lambda i: (-self.saves[i], self.missing[i], i), default=NONE)


def terms_of(record: Any) -> Terms:
    """One row of TERMS in plain numbers."""
    return Terms(**{field.name: int(record[field.name]) for field in fields(Terms)})


def lines_of(records: Any) -> tuple[Line, ...]:
    """Rows of LINE in plain numbers."""
    return tuple(Line(**{field.name: int(record[field.name]) for field in fields(Line)}) for record in records)


def coupons_of(owned: Any, terms: Any) -> list[Coupon]:
    """Rows of OWNED with their rows of TERMS, in plain numbers."""
    rows = {int(row): terms_of(terms[int(row)]) for row in {int(record["terms"]) for record in owned}}
    return [Coupon(rows[int(o["terms"])], int(o["terms"]), int(o["number"]), int(o["expires_ms"])) for o in owned]


# --- One coupon -------------------------------------------------------------------------------------------------------
def names(mask: int, number: int) -> bool:
    """Whether a mask holds a number; what is not known is refused by any restriction."""
    return mask == EVERYTHING or (0 <= number < ONE_NAME_BITS and mask >> number & 1 == 1)


def is_for(terms: Terms, line: Line) -> bool:
    return (
        names(terms.categories, line.category)
        and names(terms.brands, line.brand)
        and names(terms.products, line.product)
    )


def refusal(cart: Cart, coupon: Coupon) -> CheckoutReason | None:
    """Why the coupon can be in no set, whatever else is."""
    terms = coupon.terms
    if cart.t < terms.valid_from_ms:
        return CheckoutReason.NOT_YET_VALID
    if cart.t >= coupon.expires_ms:
        return CheckoutReason.EXPIRED
    if not names(terms.places, cart.place):
        return CheckoutReason.PLACE
    if not names(terms.regions, cart.city):
        return CheckoutReason.REGION
    if not names(terms.tiers, cart.tier):
        return CheckoutReason.MEMBERS
    if not any(is_for(terms, line) for line in cart.lines):
        return CheckoutReason.NO_ITEMS
    return CheckoutReason.NO_EFFECT if terms.kind == CouponKind.RIGHT else None


def cheaper_pieces(cart: Cart, terms: Terms) -> list[int]:
    """How many pieces of each line an nth_item coupon makes cheaper."""
    cheaper = [0] * len(cart.lines)
    mine = [i for i, line in enumerate(cart.lines) if is_for(terms, line)]
    if not terms.across:
        for i in mine:
            cheaper[i] = cart.lines[i].quantity // terms.every
        return cheaper
    pieces = 0  # from dearest to cheapest; every nth of them pays less
    for i in sorted(mine, key=lambda i: -cart.lines[i].unit_price):
        before, pieces = pieces, pieces + cart.lines[i].quantity
        cheaper[i] = pieces // terms.every - before // terms.every
    return cheaper


@dataclass
class Till:
    """A cart while coupons are applied to it."""

    cart: Cart
    left: list[int]  # of each line, fen
    shipping: int

    @classmethod
    def of(cls, cart: Cart) -> "Till":
        return cls(cart, [line.unit_price * line.quantity for line in cart.lines], cart.shipping)

    def base(self, terms: Terms) -> int:
        """What its threshold and percentage are reckoned on."""
        return sum(
            line.unit_price * line.quantity if terms.original else left
            for line, left in zip(self.cart.lines, self.left, strict=True)
            if is_for(terms, line)
        )

    def reaches(self, terms: Terms) -> bool:
        return self.base(terms) >= threshold(terms)

    def weights(self, terms: Terms) -> list[int]:
        """By what a discount is split over the lines; 0: the line takes no part."""
        lines = self.cart.lines
        if terms.kind == CouponKind.NTH_ITEM:
            return [
                line.unit_price * pieces for line, pieces in zip(lines, cheaper_pieces(self.cart, terms), strict=True)
            ]
        whole = [line.unit_price * line.quantity for line in lines] if terms.original else self.left
        return [amount if is_for(terms, line) else 0 for amount, line in zip(whole, lines, strict=True)]

    def discount(self, terms: Terms) -> int:
        """Rounded down to the fen once, at most `up_to`, and cut to what is left of its lines."""
        if not self.reaches(terms):
            return 0
        if terms.kind == CouponKind.FREE_SHIPPING:
            return min(self.shipping, terms.up_to)
        weights = self.weights(terms)
        if terms.kind == CouponKind.AMOUNT_OFF:
            wanted = terms.off
        elif terms.kind == CouponKind.EACH_FULL:
            wanted = self.base(terms) // terms.full * terms.off
        elif terms.kind == CouponKind.PERCENT_OFF:
            wanted = self.base(terms) * terms.rate // SHARE_ONE
        else:
            wanted = sum(weights) * terms.rate // SHARE_ONE
        left = sum(left for left, weight in zip(self.left, weights, strict=True) if weight)
        return min(wanted, terms.up_to, left)

    def apply(self, terms: Terms) -> int:
        """Take the coupon; its discount."""
        discount = self.discount(terms)
        if terms.kind == CouponKind.FREE_SHIPPING:
            self.shipping -= discount
        elif discount:
            shares = split(discount, self.weights(terms), self.left)
            self.left = [left - share for left, share in zip(self.left, shares, strict=True)]
        return discount


def threshold(terms: Terms) -> int:
    return terms.full if terms.kind == CouponKind.EACH_FULL else terms.over


def split(discount: int, weights: list[int], most: list[int]) -> list[int]:
    """Shares by largest remainder, then earlier line; none above `most`, the excess is split among the others."""
    shares = [0] * len(weights)
    excess = discount
    while excess:
        portions = largest_remainder(excess, weights)
        excess = 0
        for i, portion in enumerate(portions):
            given = min(portion, most[i] - shares[i])
            shares[i] += given
            excess += portion - given
        weights = [weight if shares[i] < most[i] else 0 for i, weight in enumerate(weights)]
    return shares


def largest_remainder(total: int, weights: list[int]) -> list[int]:
    whole = sum(weights)
    portions = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in order[: total - sum(portions)]:
        portions[i] += 1
    return portions


# --- Sets of coupons --------------------------------------------------------------------------------------------------
def bars(one: Terms, other: Terms) -> bool:
    """Whether two coupons may not stand together, whatever their groups."""
    named = one.not_with >> other.coupon & 1 or other.not_with >> one.coupon & 1
    return bool(one.exclusive or other.exclusive or named)


def groups_hold(chosen: Sequence[Coupon]) -> bool:
    return all(
        sum(other.terms.group == coupon.terms.group for other in chosen) <= coupon.terms.group_most for coupon in chosen
    )


def may_stand_together(chosen: Sequence[Coupon]) -> bool:
    pairs = combinations(chosen, 2)
    return groups_hold(chosen) and not any(bars(one.terms, other.terms) for one, other in pairs)


def applied(cart: Cart, chosen: Sequence[Coupon]) -> tuple[Till, dict[Coupon, int], bool]:
    """The cart with these coupons in their order: what is left, their discounts, whether every threshold is reached."""
    till, discounts, legal = Till.of(cart), {}, True
    for coupon in sorted(chosen, key=lambda coupon: coupon.place):
        legal = legal and till.reaches(coupon.terms)
        discounts[coupon] = till.apply(coupon.terms)
    return till, discounts, legal


def legal_sets(
    cart: Cart, coupons: Sequence[Coupon], always: Sequence[Coupon] = ()
) -> Iterator[tuple[tuple[Coupon, ...], int]]:
    """Every legal set of these coupons, together with those always in it, and its discount in all."""
    for size in range(len(coupons) + 1):
        for some in combinations(coupons, size):
            chosen = (*some, *always)
            if may_stand_together(chosen):
                _, discounts, legal = applied(cart, chosen)
                if legal:
                    yield chosen, sum(discounts.values())


def preference(found: tuple[tuple[Coupon, ...], int]) -> tuple[int, int, list[int], list[int], list[int]]:
    """Costs least, then fewer coupons, then expiries, declarations and claim numbers, each ascending."""
    chosen, discount = found
    return (
        -discount,
        len(chosen),
        sorted(coupon.expires_ms for coupon in chosen),
        sorted(coupon.terms.declared for coupon in chosen),
        sorted(coupon.number for coupon in chosen),
    )


# --- What is said of the others ---------------------------------------------------------------------------------------
def beside(coupon: Coupon, answer: Sequence[Coupon]) -> list[Coupon]:
    """Those of the answer that may stand beside it; without its group's, if that is full."""
    kept = [other for other in answer if not bars(coupon.terms, other.terms)]
    if not groups_hold([*kept, coupon]):
        kept = [other for other in kept if other.terms.group != coupon.terms.group]
    return kept


def at_its_place(cart: Cart, coupon: Coupon, answer: Sequence[Coupon]) -> Till:
    before = [other for other in beside(coupon, answer) if other.place < coupon.place]
    return applied(cart, before)[0]


def first_name(mask: int) -> int:
    return NONE if mask == EVERYTHING else (mask & -mask).bit_length() - 1


def with_piece(cart: Cart, terms: Terms, price: int) -> Cart:
    """The cart with one more piece that the coupon is for: the first name of each restriction, of no name elsewhere."""
    piece = Line(price, 1, first_name(terms.categories), first_name(terms.brands), first_name(terms.products))
    return replace(cart, lines=(*cart.lines, piece))


def savings(cart: Cart, coupon: Coupon, missing: int, able: Sequence[Coupon], discount: int) -> int:
    """What the cheapest legal set with this coupon, on the cart plus the amount missing, costs less than the answer
    plus that amount: 0 if nothing."""
    more = with_piece(cart, coupon.terms, missing)
    others = [other for other in able if other != coupon]
    return max([0, *(found - discount for _, found in legal_sets(more, others, [coupon]))])


def reason_beside(cart: Cart, coupon: Coupon, answer: Sequence[Coupon]) -> tuple[CheckoutReason, int]:
    """Why a coupon that could be used is not, and what is missing to its threshold."""
    till = at_its_place(cart, coupon, answer)
    if not till.reaches(coupon.terms):
        return CheckoutReason.THRESHOLD, threshold(coupon.terms) - till.base(coupon.terms)
    return (CheckoutReason.NOT_BEST if till.discount(coupon.terms) else CheckoutReason.NO_EFFECT), 0


def best(cart: Cart, coupons: Sequence[Coupon]) -> Priced:
    """The cheapest legal combination of these coupons, and what is said of the others. Coupons must differ."""
    refusals = [refusal(cart, coupon) for coupon in coupons]
    able = [coupon for coupon, refused in zip(coupons, refusals, strict=True) if refused is None]
    answer, discount = min(legal_sets(cart, able), key=preference)
    till, discounts, _ = applied(cart, answer)
    reasons, missing, saves = [], [], []
    for coupon, refused in zip(coupons, refusals, strict=True):
        reason, gap, saved = refused or CheckoutReason.USED, 0, 0
        if refused is None and coupon not in answer:
            reason, gap = reason_beside(cart, coupon, answer)
            saved = savings(cart, coupon, gap, able, discount) if gap else 0
        reasons.append(reason)
        missing.append(gap if saved else 0)
        saves.append(saved)
    return Priced(
        paid=sum(till.left) + till.shipping,
        shipping_paid=till.shipping,
        used=[coupon in answer for coupon in coupons],
        discounts=[discounts.get(coupon, 0) for coupon in coupons],
        reasons=reasons,
        missing=missing,
        saves=saves,
        line_paid=till.left,
    )


def refunded(paid: int, before: int, after: int, quantity: int) -> int:
    """Fen given back when the pieces returned of a line grow from `before` to `after` of `quantity`."""
    return paid * after // quantity - paid * before // quantity
