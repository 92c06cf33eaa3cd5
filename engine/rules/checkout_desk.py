"""Where a checkout is reckoned: its answer, and a till with the cart, the coupons that could be used and the search."""

from typing import NamedTuple

import numpy as np

from engine.coupon_records import CHECKOUT_COUPONS_MAX, LINES_MAX, QUOTE
from engine.records import records

LINES = LINES_MAX + 1  # an unlock adds one piece
SETS_MAX = 2 * CHECKOUT_COUPONS_MAX  # sets of lines: what a coupon is for, and where its discount stays
LEVELS = CHECKOUT_COUPONS_MAX + 1  # one more than coupons taken
SCRATCH = LEVELS  # a level beyond those of the search

# One coupon that could be used; its terms as far as the search reads them.
CANDIDATE = np.dtype(
    [
        ("items", "i8"),  # bits of the cart's lines that it is for
        ("bars", "i8"),  # bits of candidates that may not stand beside it
        ("wanted", "i8"),  # fen it takes off before any cut; NONE: depends on what other coupons left
        ("threshold", "i8"),
        ("up_to", "i8"),
        ("off", "i8"),
        ("full", "i8"),
        ("rate", "i8"),
        ("every", "i8"),
        ("expires_ms", "i8"),
        ("declared", "i8"),
        ("number", "i8"),
        ("terms", "i8"),  # row
        ("owned", "i8"),  # place among the owned
        ("previous", "i8"),  # candidate of the same terms that is taken before this one; NONE
        ("item_set", "i8"),  # row of `sets`: `items`
        ("cut_set", "i8"),  # … the lines that its discount stays on
        ("group", "i8"),  # row of `groups`
        ("group_most", "i8"),
        ("kind", "i8"),
        ("across", "i8"),
        ("original", "i8"),
        ("alone", "i8"),  # exclusive
        ("splits", "i8"),  # a later candidate may read a part of the lines that it changes
    ]
)

GROUP = np.dtype(
    [
        ("number", "i8"),  # TERMS.group
        ("size", "i8"),  # candidates
        ("most", "i8"),  # may stand together, as the most generous of them has it
        ("first", "i8"),  # in `tops`
        # at one level of the search
        ("taken", "i8"),
        ("room", "i8"),  # how many more may be taken
        ("held", "i8"),  # discounts in `tops`
    ]
)

# What was taken so far, at one level of the search.
LEVEL = np.dtype(
    [
        ("discount", "i8"),
        ("shipping", "i8"),  # fen left
        ("taken", "i8"),  # bits of candidates
        ("shut", "i8"),  # bits of candidates that can no longer be taken
        ("last", "i8"),  # candidate taken last; NONE
        ("left", "i8", (LINES,)),  # fen left of each line
        ("amounts", "i8", (SETS_MAX,)),  # fen left of each set of lines
        ("offs", "i8", (CHECKOUT_COUPONS_MAX,)),  # what each candidate would take off next
        ("hopes", "i8", (CHECKOUT_COUPONS_MAX,)),  # … and the most with those after it; NONE: not to be taken
    ]
)

# One record rather than many arrays: handing it to a kernel is handing over one address.
TILL = np.dtype(
    [
        # the answer
        ("quote", QUOTE, (1,)),
        ("discount", "i8", (CHECKOUT_COUPONS_MAX,)),
        ("missing", "i8", (CHECKOUT_COUPONS_MAX,)),
        ("line_paid", "i8", (LINES,)),
        ("used", "i1", (CHECKOUT_COUPONS_MAX,)),
        ("reason", "i1", (CHECKOUT_COUPONS_MAX,)),
        # the cart
        ("lines", "i8"),
        ("shipping", "i8"),
        ("price", "i8", (LINES,)),
        ("pieces", "i8", (LINES,)),
        ("whole", "i8", (LINES,)),  # before any discount
        ("dearest", "i8", (LINES,)),  # lines by price, dearest first
        # the owned coupons
        ("items", "i8", (CHECKOUT_COUPONS_MAX,)),  # bits of lines
        ("rank", "i8", (CHECKOUT_COUPONS_MAX,)),  # in the order of application
        ("stands_for", "i8", (CHECKOUT_COUPONS_MAX,)),  # first candidate of the same terms; NONE
        ("order", "i8", (CHECKOUT_COUPONS_MAX,)),  # those that could be used, in the order of application
        # those of them that are worth a look
        ("listed", "i8"),
        ("grouped", "i8"),
        ("known_sets", "i8"),
        ("candidates", CANDIDATE, (CHECKOUT_COUPONS_MAX,)),  # in the order of application
        ("groups", GROUP, (CHECKOUT_COUPONS_MAX,)),
        ("tops", "i8", (CHECKOUT_COUPONS_MAX,)),  # see `checkout_search.hold`
        ("sets", "i8", (SETS_MAX,)),  # bits of lines
        # the best found
        ("best_discount", "i8"),
        ("best_taken", "i8"),  # bits of candidates
        ("best_coupons", "i8"),
        ("nodes", "i8"),
        ("nodes_most", "i8"),
        ("complete", "i8"),
        ("chosen", "i8", (CHECKOUT_COUPONS_MAX,)),  # candidates of the answer, in the order of application
        ("levels", LEVEL, (LEVELS + 1,)),
        # one split
        ("weights", "i8", (LINES,)),
        ("shares", "i8", (LINES,)),
        ("portions", "i8", (LINES,)),
        ("remainders", "i8", (LINES,)),
    ],
    align=True,
)


class Desk(NamedTuple):
    """One checkout after the other. All but the till show what the last one answered."""

    quote: np.ndarray  # QUOTE[1]
    used: np.ndarray  # i1[CHECKOUT_COUPONS_MAX], as the owned coupons
    reason: np.ndarray  # i1[CHECKOUT_COUPONS_MAX]: CheckoutReason
    discount: np.ndarray  # i8[CHECKOUT_COUPONS_MAX]: fen that each used coupon takes off
    missing: np.ndarray  # i8[CHECKOUT_COUPONS_MAX]: fen to add to unlock it; 0 = none
    line_paid: np.ndarray  # i8[LINES]: fen
    till: np.ndarray  # TILL[1]


def empty_desk() -> Desk:
    till = records(1, TILL)
    answer = till[0]
    return Desk(answer.quote, answer.used, answer.reason, answer.discount, answer.missing, answer.line_paid, till)
