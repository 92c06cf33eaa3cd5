"""Records of coupons and money that cross a wall: carts, terms, wallets, orders, requests, replies, stock and budgets.

Units as in `engine/records.py`: fen, milliseconds, millionths. A number once given is never given to something else.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from engine.records import CAP, CAPS_MAX, SHARE_ONE

# --- Limits -----------------------------------------------------------------------------------------------------------
COUPONS_MAX = 60  # names at a time; a mask of them fits an i8
TERMS_MAX = 30_000  # rows of terms ever
GROUPS_MAX = 30
BUDGETS_MAX = 60
WALLET_MAX = 64  # instances of one customer, dead ones that a limit still counts included
CHECKOUT_COUPONS_MAX = 32  # instances one checkout looks at: those that expire first
LINES_MAX = 32  # lines of one cart
ORDERS_MAX = 16  # orders of one customer that are held or may be refunded
IDS_MAX = 32  # ids of one customer within ID_REMEMBERED_MS
PIECES_MAX = 1_000_000  # of one line
PRICE_MAX = 1_000_000_000  # fen of one piece; line totals stay far below what an i8 holds
NODES_MAX = 200_000  # of one checkout's search

ID_REMEMBERED_MS = 10 * 60_000  # ids are remembered in [first, first + this)
HOLD_MS = 15 * 60_000  # an order that is not paid gives its coupons back at held + this
UNLIMITED = -1  # pieces without a limit
NO_BUDGET = -1
EVERYTHING = -1  # mask of items, tiers, regions, places: no restriction


class CouponKind(IntEnum):
    AMOUNT_OFF = 1  # `off`
    EACH_FULL = 2  # floor(amount ÷ full) × off, at most `up_to`
    PERCENT_OFF = 3  # `rate` of the amount, at most `up_to`
    NTH_ITEM = 4  # of every `every` pieces one at `rate` off
    FREE_SHIPPING = 5
    RIGHT = 6  # no effect on the price; `worth` is stated


class PriceStage(IntEnum):
    """Order in which coupons are applied; within a stage, declaration order."""

    LINE = 0
    ORDER = 1
    PERCENTAGE = 2
    SHIPPING = 3
    RIGHT = 4  # takes no part in a checkout


class Life(IntEnum):
    """State of one coupon instance. Granted = available + held + redeemed + expired + withdrawn (+ under way)."""

    FREE = 0
    PENDING = 1  # claimed, not yet settled
    AVAILABLE = 2
    HELD = 3  # in an order not yet paid, or a prize whose confirmation is under way
    REDEEMED = 4
    EXPIRED = 5
    WITHDRAWN = 6
    MOVING = 7  # on its way to another customer
    MOVED = 8  # that customer has it now; remembered where a limit counts it


LIVES = len(Life)
GRANTED_LIVES = (Life.AVAILABLE, Life.HELD, Life.REDEEMED, Life.EXPIRED, Life.WITHDRAWN, Life.MOVING)


class OrderState(IntEnum):
    FREE = 0
    HELD = 1
    PAID = 2
    CANCELLED = 3  # by the customer, or not paid in time


class Answer(IntEnum):
    """What became of a claim, order, payment, refund or transfer. The first test that fails answers."""

    NONE = 0  # the event asked for nothing
    DONE = 1
    PENDING = 2  # a request is on its way to the Ledger
    WAITS = 3  # not taken yet: reads what an open reply may change; to be sent again after the settlement
    # ids
    ID_REUSED = 10  # same id, other body
    TOO_MANY_IDS = 11
    # claims, in the customer's shard
    NOT_OPEN = 20  # outside the claim window, or no such coupon
    BLOCKED = 21
    MINOR = 22
    PERSONALISATION_OFF = 23
    NOT_ELIGIBLE = 24
    REGION = 25  # kept for the rule that judges where a claim comes from
    LIMIT = 26  # per customer
    WALLET_FULL = 27
    # claims, at the Ledger
    OUT_OF_STOCK = 40
    BUDGET = 41
    FALLBACK = 42  # granted, but the weaker coupon
    LAPSED = 43  # a reservation confirmed or released too late, or one that never was
    NO_ROOM = 44  # a table of the Ledger is full; to be asked again
    DENIED = 45  # by the fraud verdict
    CHALLENGED = 46  # pass the challenge of `rule`, and ask again
    IN_REVIEW = 47  # a piece is reserved until a person has decided, or 24 h
    # orders
    CART = 60  # empty, too long, or a line out of bounds
    TOO_MANY_ORDERS = 61
    NO_ORDER = 62  # no order of that number in the state the event needs
    NO_COUPON = 63  # no available instance of that number
    PIECES = 64  # more pieces than were bought and not yet returned


class CheckoutReason(IntEnum):
    """Why a coupon is not in the answer of a checkout. The first test that fails."""

    USED = 0
    NOT_YET_VALID = 1
    EXPIRED = 2
    PLACE = 3  # not redeemable in this shop
    REGION = 4
    MEMBERS = 5
    NO_ITEMS = 6  # nothing in the cart that it is for
    THRESHOLD = 7  # more goods would reach it
    NO_EFFECT = 8  # nothing left to take off (also kind RIGHT)
    NOT_BEST = 9  # another legal combination costs less


# --- Carts ------------------------------------------------------------------------------------------------------------
LINE = np.dtype(
    [
        ("unit_price", "i8"),  # fen
        ("quantity", "i4"),
        ("category", "i2"),
        ("brand", "i2"),
        ("product", "i2"),
    ],
    align=True,
)

# What a coupon does and where: immutable. A claimed coupon keeps its row, whatever the policy says later.
TERMS = np.dtype(
    [
        ("name_hash", "u8"),
        ("group_hash", "u8"),  # of the group's name
        ("off", "i8"),  # fen: amount_off, each_full
        ("full", "i8"),  # fen: each_full
        ("over", "i8"),  # fen: the threshold, reached at equality; each_full: `full`; 0 = none
        ("up_to", "i8"),  # fen: most the discount can be; NEVER_MS's size where there is none
        ("worth", "i8"),  # fen: the stated value of a right
        ("cost_most", "i8"),  # fen: the most a redemption can cost; what a claim reserves of a budget
        ("valid_from_ms", "i8"),
        ("valid_until_ms", "i8"),
        ("valid_ms", "i8"),  # after the claim; 0: until valid_until_ms. The earlier of both counts
        ("categories", "i8"),  # masks; EVERYTHING = no restriction. Names of one kind are alternatives, kinds all match
        ("brands", "i8"),
        ("products", "i8"),
        ("tiers", "i8"),
        ("regions", "i8"),  # cities
        ("places", "i8"),  # where it may be redeemed: shop, app, mini-program
        ("not_with", "i8"),  # mask of coupon slots, both ways, itself included where named
        ("rate", "i4"),  # millionths taken off: percent_off, nth_item
        ("every", "i4"),  # nth_item
        ("group", "i2"),  # at most `group_most` coupons of one group stand together
        ("group_most", "i2"),
        ("declared", "i2"),  # declaration order among coupons
        ("coupon", "i2"),  # slot of the name
        ("budget", "i2"),  # what it is paid from; NO_BUDGET
        ("kind", "i1"),  # CouponKind
        ("stage", "i1"),  # PriceStage
        ("across", "i1"),  # nth_item: pairs pieces of all lines
        ("original", "i1"),  # base: original
        ("exclusive", "i1"),  # alone in the order
        ("transferable", "i1"),
    ],
    align=True,
)

# One coupon as a checkout sees it.
OWNED = np.dtype([("expires_ms", "i8"), ("number", "i4"), ("terms", "i4")], align=True)

# The answer of a checkout as a whole. What it says of single coupons and lines stands beside it.
QUOTE = np.dtype(
    [
        ("goods", "i8"),  # fen before any discount
        ("shipping", "i8"),  # fen before any discount
        ("discount", "i8"),
        ("paid", "i8"),  # goods + shipping - discount
        ("shipping_paid", "i8"),
        ("unlock_missing", "i8"),  # of the unlock that saves most: fen to add; 0 = none
        ("unlock_saves", "i8"),  # what is then paid less than the old answer plus that amount
        ("unlock_owned", "i4"),  # place among the owned; NONE
        ("nodes", "i4"),  # of the search
        ("coupons", "i2"),  # used
        ("optimal", "i1"),
    ],
    align=True,
)

# What an event asks for, beside the event: `EVENT.ask` is its row. Carts are runs of LINE rows beside these.
ASK = np.dtype(
    [
        ("id", "i8"),  # the client's, for at-most-once; 0 = none
        ("other", "i8"),  # TRANSFER: to whom; NONE
        ("shipping", "i8"),  # CHECKOUT, ORDER: fen
        ("first_line", "i4"),  # CHECKOUT, ORDER: of the cart; REFUND: number of the line, NONE = all that is left
        ("lines", "i4"),  # of the cart
        ("pieces", "i4"),  # REFUND: of the line
        ("order", "i4"),  # ORDER, PAYMENT, CANCEL, REFUND: the customer's order number; NONE
        ("claim", "i4"),  # REDEEM, TRANSFER: instance number; NONE
        ("coupon", "i2"),  # CLAIM: slot; NONE
        ("place", "i2"),  # where: number in the policy's names.places; NONE
        ("campaign", "i2"),  # CLAIM: the campaign it came from; NONE
        ("rule", "i2"),  # CHALLENGE_PASSED: of which rule; NONE
    ],
    align=True,
)

# The answer to an ask, row by row.
RECEIPT = np.dtype(
    [
        ("paid", "i8"),  # CHECKOUT, ORDER: to be paid; PAYMENT: paid; REFUND: given back
        ("discount", "i8"),
        ("unlock_missing", "i8"),
        ("unlock_saves", "i8"),
        ("slots", "i8"),  # mask of the coupons used, by slot
        ("fired", "i8"),  # mask of the shard's fraud rules that fire, shadows too
        ("number", "i4"),  # CLAIM, TRANSFER, REDEEM: instance number; NONE
        ("unlock_terms", "i4"),  # terms of the coupon to unlock; NONE
        ("coupons", "i2"),  # how many are used
        ("rule", "i2"),  # the fraud rule that answers; NONE
        ("answer", "i1"),  # Answer
        ("optimal", "i1"),
    ],
    align=True,
)


# --- Wallets: lists of rows in slabs, one list a customer -------------------------------------------------------------
class InstanceMark(IntEnum):
    """Bits of INSTANCE.marks."""

    RECEIVED = 1  # from another customer: no limit counts it
    CLOSED = 2  # redeemed for good: nothing of its budget is reserved any more
    PRIZE = 4  # a reservation at the Ledger, which keeps its piece and its money: it is not among the granted
    WEAKER = 8  # the fallback of the coupon that was claimed
    REVIEWED = 16  # its request was answered IN_REVIEW: nothing waits for the reply that ends it


INSTANCE = np.dtype(
    [
        ("expires_ms", "i8"),
        ("claimed_ms", "i8"),
        ("number", "i4"),  # claim number, ascending per customer
        ("spent", "i8"),  # fen taken off when it was redeemed
        ("order", "i4"),  # number of the order it is held or redeemed in; NONE
        ("next", "i4"),  # row; NONE
        ("terms", "i2"),
        ("claimed", "i2"),  # slot of the coupon that was claimed: its limits count it
        ("state", "i1"),  # Life
        ("marks", "i1"),  # InstanceMark bits
    ],
    align=True,
)

ORDER = np.dtype(
    [
        ("held_ms", "i8"),
        ("paid", "i8"),  # fen, shipping included
        ("shipping", "i8"),  # of that, shipping
        ("discount", "i8"),
        ("returned", "i8"),  # fen given back so far
        ("number", "i4"),  # the customer's, ascending
        ("lines", "i4"),  # first row; NONE
        ("next", "i4"),
        ("pieces", "i4"),  # not yet returned
        ("state", "i1"),  # OrderState
    ],
    align=True,
)

ORDER_LINE = np.dtype([("paid", "i8"), ("quantity", "i4"), ("returned", "i4"), ("next", "i4")], align=True)

RECENT_ID = np.dtype(
    [
        ("id", "i8"),
        ("body_hash", "u8"),  # of all the event asks for but its time
        ("first_ms", "i8"),
        ("paid", "i8"),  # as the receipt said …
        ("discount", "i8"),
        ("number", "i4"),
        ("next", "i4"),
        ("answer", "i1"),  # Answer
    ],
    align=True,
)


class Breach(IntEnum):
    """Invariants of a wallet that are checked at every step."""

    LIMIT = 0  # a customer has more of a coupon than its limits allow
    REFUNDS = 1  # the refunds of an order are not what was paid


class Outbox(NamedTuple):
    """Requests on their way to the Ledger."""

    requests: np.ndarray  # REQUEST[...]
    waiting: np.ndarray  # i8[1]: how many


class Inbox(NamedTuple):
    """What the events of a batch ask for, and where they came from."""

    asks: np.ndarray  # ASK[...], by EVENT.ask
    lines: np.ndarray  # LINE[...]: the carts
    receipts: np.ndarray  # RECEIPT[...], written row by row with asks
    origins: np.ndarray  # fraud_records.ORIGIN[...], by EVENT.origin
    used: np.ndarray  # i8[3]: how many asks, lines and origins are filled


class Wallets(NamedTuple):
    """Coupons, orders and recent ids of a shard's customers: one list a customer in each slab, newest first. The host
    makes room before a batch; a shard whose policy has no coupons has none of it (n = 0)."""

    heads: np.ndarray  # i4[n, 3]: first instance, order and recent id; NONE
    claims: np.ndarray  # i4[n]: coupons ever claimed or received; the next one's number
    requests: np.ndarray  # i4[n]: requests ever; the next one's number
    open: np.ndarray  # i2[n]: requests without a reply yet
    due_ms: np.ndarray  # i8[n]: when a hold or a coupon next runs out; NEVER_MS
    instances: np.ndarray  # INSTANCE[...]
    orders: np.ndarray  # ORDER[...]
    lines: np.ndarray  # ORDER_LINE[...]
    ids: np.ndarray  # RECENT_ID[...]
    free: np.ndarray  # i8[4, 2]: first free row and how many are free: instances, orders, ids, lines
    lives: np.ndarray  # i8[COUPONS_MAX, LIVES]: instances ever by present state, those forgotten included
    prizes: np.ndarray  # i8[COUPONS_MAX, LIVES]: prizes likewise, which are not among the instances
    breaches: np.ndarray  # i8[len(Breach)]: how often an invariant was broken; one stops the run


# --- Requests and replies ---------------------------------------------------------------------------------------------
class RequestKind(IntEnum):
    CLAIM = 1  # one piece of `coupon`; its budget is reserved
    TRANSFER = 2  # instance `claim` to customer `other`
    ARRIVED = 3  # a transferred instance was taken in …
    RETURNED = 4  # … or the wallet was full: it goes back
    RESERVE = 5  # a piece that is not granted yet (a prize), until it is confirmed or lapses
    CONFIRM = 6
    RELEASE = 7
    OBSERVED = 8  # an event that a rule of the Ledger counts; no reply but a mark
    REVIEWED = 9  # a person's decision on a review: `verdict` ALLOW or DENY
    LISTED = 10  # a person's decision: a customer, device ... is allowed or blocked until `expires_ms`


REQUEST = np.dtype(
    [
        ("time_ms", "i8"),
        ("customer", "i8"),
        ("other", "i8"),  # the other customer; NONE
        ("expires_ms", "i8"),  # TRANSFER: of the instance
        ("number", "i4"),  # per customer, ascending: (customer, number) is the request's id
        ("sequence", "i4"),  # of the event that caused it
        ("claim", "i4"),  # instance it is about
        ("terms", "i2"),  # the terms it was claimed under; it settles under these
        ("coupon", "i2"),  # slot
        ("campaign", "i2"),  # the campaign it came from; NONE
        ("rule", "i2"),  # the shard's rule that answers; NONE
        ("kind", "i1"),  # RequestKind
        ("verdict", "i1"),  # fraud_records.Verdict: the shard's part of it
        ("event_kind", "i1"),  # EventKind
        ("counted", "i8"),  # masks of the Ledger's rules: that count the event …
        ("judging", "i8"),  # … that judge it …
        ("exempt", "i8"),  # … that it passed the challenge of
        ("fired", "i8"),  # of the shard's rules that fire
        ("device_id", "i8"),  # its origin; NONE
        ("ip", "i8"),
        ("card", "i8"),
        ("address", "i8"),
        ("code", "i8"),
        ("inviter", "i8"),
        ("group", "i8"),
    ],
    align=True,
)

REPLY = np.dtype(
    [
        ("time_ms", "i8"),  # of the settlement
        ("customer", "i8"),
        ("other", "i8"),
        ("expires_ms", "i8"),  # of a transferred coupon or a prize; OBSERVED: of the mark
        ("fired", "i8"),  # mask of all fraud rules that fire
        ("number", "i4"),  # of the request it answers, or NONE where it comes unasked (a transfer arrives)
        ("claim", "i4"),
        ("terms", "i2"),
        ("coupon", "i2"),
        ("rule", "i2"),  # the fraud rule that answers; OBSERVED: that the mark is of; NONE
        ("kind", "i1"),  # RequestKind of the request
        ("answer", "i1"),  # Answer
    ],
    align=True,
)


# --- A policy's coupons and budgets as arrays -------------------------------------------------------------------------
# Who may claim, when, how often, how many there are: the policy's, and may change; TERMS may not.
COUPON = np.dtype(
    [
        ("from_ms", "i8"),  # claim window [from, until)
        ("until_ms", "i8"),
        ("pieces", "i8"),  # UNLIMITED
        ("name_hash", "u8"),
        ("drop_salt", "u8"),  # orders equal times
        ("ration_every_ms", "i8"),  # 0: no ration
        ("ration_pieces", "i8"),  # released at each multiple of ration_every_ms since from_ms
        ("confirm_within_ms", "i8"),  # a claim is a prize, reserved for so long; 0: it is granted
        ("limits", CAP, (CAPS_MAX,)),  # per customer; a row with window_ms = NEVER_MS counts for ever
        ("audience", "i4"),  # first step of the condition, or ACCEPT
        ("terms", "i2"),  # row of TERMS
        ("budget", "i2"),  # NO_BUDGET
        ("fallback", "i2"),  # slot of the weaker coupon; NONE
        ("used", "i1"),
        ("personal", "i1"),
    ],
    align=True,
)

BUDGET = np.dtype(
    [
        ("amount", "i8"),  # fen
        ("reserve", "i8"),  # fen, added once when …
        ("name_hash", "u8"),
        ("release_at", "i4"),  # … so many millionths of `amount` are reserved or spent …
        ("used", "i4"),
        ("release_from_ms", "i8"),  # … and not before
    ],
    align=True,
)


class Spend(IntEnum):
    """What a shard tells the Ledger about a budget between two settlements; fen."""

    EXPOSURES = 0  # cost of exposures
    REDEEMED = 1  # reserved before, spent now
    FREED = 2  # reserved before, not needed any more


class CouponCell(IntEnum):
    """Measures of one cell (day of issue, coupon), whatever day they happen on."""

    GRANTED = 0
    REDEEMED = 1
    EXPIRED = 2
    DISCOUNT = 3  # fen taken off by redeemed instances
    RETURNED = 4  # redemptions undone by a refund


COUPON_CELLS = len(CouponCell)
ANSWERS = 70  # length of an array by Answer
FULL_RATE = SHARE_ONE
