"""Numbers and dtypes of the fraud rules: what an event was traced to, rules as rows, what is remembered of a key.

One counter serves nearly all rules: more than n [different x] of kinds E per key K within w. Units as in `records`.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from engine.records import HOUR_MS, MINUTE_MS, EventKind

RULES_MAX = 62  # of one policy: masks of rules are i8
RANGES_MAX = 4_096  # listed IP ranges
COUNTED_MOST = 400  # the highest n of a rule
PASS_MS = 10 * MINUTE_MS  # a challenge that was passed holds in [passed, passed + this), for one ask
REVIEW_MS = 24 * HOUR_MS  # a review that nobody decided ends in the customer's favour
UNPAID_AFTER_MS = 15 * MINUTE_MS


class Field(IntEnum):
    """What a rule counts by, or counts different ones of. What an event does not carry, no rule looks at."""

    CUSTOMER = 0
    CAMPAIGN = 1  # customer and campaign together
    DEVICE = 2
    IP = 3
    CARD = 4
    ADDRESS = 5
    CODE = 6  # an invite code
    GROUP = 7  # a group buy
    RECEIVER = 8  # the customer a coupon goes to
    ORDER = 9


class Check(IntEnum):
    """What a rule looks at. COUNT is the counter; the others have code of their own."""

    COUNT = 0
    YOUNG_ACCOUNT = 1  # joined less than `window_ms` ago, and the coupon is worth `amount` or more
    SELF_REFERRAL = 2
    REFERRAL_CYCLE = 3
    AFTER_DECLINE = 4  # less than `window_ms` after the customer's last declined payment
    TRAVEL = 5  # further than `amount` metres, faster than 1 000 km/h
    REGION = 6  # outside the regions of the coupon
    LISTED = 7
    IP_RANGE = 8
    PACE = 9  # more than `most` asks whose mean gap is under `amount` ms
    NO_BROWSING = 10  # more than `most` of `kinds` and at most `amount` page views
    SCRIPT = 11  # the user agent is a script
    COLLUSION = 12  # more than `amount` millionths of a group share a device or address with another member


class Home(IntEnum):
    SHARD = 0
    LEDGER = 1


class Mode(IntEnum):
    OFF = 0  # neither counts nor fires
    SHADOW = 1  # counts, and says what it would have answered
    ACTIVE = 2


class Verdict(IntEnum):
    """What fraud rules say of an ask. The strongest of the active rules that fire wins."""

    ALLOW = 0
    WEAKER = 1  # the coupon's `fallback` instead; other asks than claims are done
    CHALLENGE = 2  # refused; asked again after the challenge is passed, it is judged without that rule
    REVIEW = 3  # reserved until a person has decided
    DENY = 4


class Agent(IntEnum):
    """Class of the user agent."""

    UNKNOWN = 0
    APP = 1
    BROWSER = 2
    SCRIPT = 3


# Asks that are judged. A rule that counts some of these judges those; one that counts other kinds too, or only, marks
# its key and judges all asks of that key.
JUDGED = (EventKind.CLAIM, EventKind.ORDER, EventKind.PAYMENT, EventKind.REDEEM, EventKind.TRANSFER)
JUDGED_MASK = sum(1 << kind for kind in JUDGED)
ALL_KINDS = (1 << 63) - 1

# Where an event came from: row `EVENT.origin` of the batch's origins. NONE: not known.
ORIGIN = np.dtype(
    [
        ("device_id", "i8"),
        ("ip", "i8"),  # IPv4 as a number
        ("card", "i8"),  # a token of it
        ("address", "i8"),
        ("code", "i8"),
        ("inviter", "i8"),  # customer
        ("group", "i8"),
        ("agent", "i8"),  # Agent
    ],
    align=True,
)

RULE = np.dtype(
    [
        ("kinds", "i8"),  # mask of EventKind: what it counts
        ("judges", "i8"),  # mask of EventKind: the asks it answers
        ("window_ms", "i8"),  # rolling: (t - window_ms, t]; NEVER_MS: for ever
        ("amount", "i8"),  # of a Check, see there
        ("name_hash", "u8"),
        ("keys", "i8"),  # room at the Ledger: keys it remembers
        ("where", "i4"),  # first step of a condition on the event and the customer, or ACCEPT
        ("most", "i4"),  # fires above it
        ("per", "i4"),  # PER_ROLLING, PER_DAY ...
        ("number", "i2"),  # in the list of core rules; 0: the policy's own
        ("key", "i1"),  # Field
        ("different", "i1"),  # Field; NONE: events are counted
        ("check", "i1"),  # Check
        ("home", "i1"),  # Home
        ("mode", "i1"),  # Mode
        ("verdict", "i1"),  # Verdict
        ("granted", "i1"),  # counts claims that were granted only
        ("used", "i1"),
    ],
    align=True,
)

# An IP range of the list, both ends in it; ascending, none overlaps another.
RANGE = np.dtype([("first", "i8"), ("last", "i8")], align=True)

# Somebody or something on a list.
LISTED = np.dtype(
    [
        ("value", "i8"),
        ("until_ms", "i8"),
        ("field", "i1"),  # Field: CUSTOMER, DEVICE, IP, CARD, ADDRESS
        ("allowed", "i1"),  # 1: allow list; 0: block list
    ],
    align=True,
)


class RuleCell(IntEnum):
    """Measures of a rule on a day."""

    JUDGED = 0  # asks it looked at
    FIRED = 1
    ANSWERED = 2  # asks it answered: active, strongest, no pass
    NOT_JUDGED = 3  # asks it could not judge: its table had forgotten a key


RULE_CELLS = len(RuleCell)


# --- What a shard remembers: one list a customer in a slab, newest first ----------------------------------------------
SIGHTING = np.dtype(
    [
        ("time_ms", "i8"),  # of the event; of a mark or pass: when it ends
        ("value", "i8"),  # what is counted apart, if the rule counts different ones
        ("next", "i4"),  # row; NONE
        ("rule", "i2"),  # slot
        ("what", "i2"),  # Sighted
    ],
    align=True,
)


class Sighted(IntEnum):
    COUNTED = 0
    BROWSED = 1  # NO_BROWSING: a page view
    MARK = 2  # the Ledger's: a rule over a shared key fires until `time_ms`
    PASS = 3  # the customer passed this rule's challenge
    ALLOWED = 4  # on the allow list until `time_ms`, by a person's decision
    BLOCKED = 5


# What is at hand while one event, or the claim that its exposure makes, is looked at. Masks are of rules, by slot.
CASE = np.dtype(
    [
        ("seen", "i8"),  # that count it at the shard
        ("looking", "i8"),  # that judge it at the shard
        ("counted", "i8"),  # that count it at the Ledger
        ("judging", "i8"),  # that judge it at the Ledger, if it gets there
        ("marks", "i8"),  # whose mark the customer bears
        ("passes", "i8"),  # whose challenge the customer passed
        ("exempt", "i8"),  # of those that judge at the Ledger, passed
        ("fired", "i8"),
        ("other", "i8"),  # receiver of a transfer; NONE
        ("order", "i4"),
        ("claim", "i4"),  # instance that is redeemed; NONE
        ("kind", "i2"),  # EventKind
        ("coupon", "i2"),
        ("campaign", "i2"),
        ("rule", "i2"),  # that answers; NONE
        ("verdict", "i1"),  # Verdict
        ("allowed", "i1"),  # the customer is on an allow list (1), and a rule heeds it (2)
        ("blocked", "i1"),  # the customer is on a block list
    ],
    align=True,
)


class Seen(IntEnum):
    """Columns of Watch.counts: what was found of a rule."""

    COUNTED = 0
    BROWSED = 1
    FIRST_MS = 2
    LAST_MS = 3
    VALUE = 4  # of the event at hand


SETTLED, SWEPT = range(2)  # columns of Watch.clock


class Watch(NamedTuple):
    """What a shard's customers were seen doing. A shard whose policy has no fraud rules has none of it (n = 0)."""

    heads: np.ndarray  # i4[n, 1]: newest sighting; NONE
    sightings: np.ndarray  # SIGHTING[...]
    free: np.ndarray  # i8[1, 2]: first free row and how many are free
    warm_ms: np.ndarray  # i8[RULES_MAX]: until then the rule is warming: it counts, and fires as if in shadow
    clock: np.ndarray  # i8[2]: the latest settlement, and the one that swept last; LONG_AGO_MS before the first
    rows: np.ndarray  # i8[1]: sightings that one event can add at most
    counts: np.ndarray  # i8[RULES_MAX, len(Seen)]: scratch
    origin: np.ndarray  # ORIGIN[1]: scratch, of the event at hand
    case: np.ndarray  # CASE[1]: scratch
