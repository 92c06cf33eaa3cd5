"""Every record that crosses a wall: limits, numbered enumerations, dtypes and the arrays a policy becomes.

Integers throughout: money in fen, time in milliseconds since 1970 (UTC), shares in millionths, predicted responses in
1e-9. Hash fields alone are u8. Numbers once given are never given again to something else.
"""

from enum import IntEnum
from functools import cache
from typing import NamedTuple

import numpy as np

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS

SHARE_ONE = 1_000_000  # shares and probabilities in policies, in millionths
RESPONSE_ONE = 1_000_000_000  # predicted responses, in 1e-9

# --- Limits: everything has one, stated here; full is a reason, never growth -----------------------------------------
CAMPAIGNS_MAX = 120
MUTE_WORD_BITS = 60  # an i8 keeps its sign bit to itself
ARMS_MAX = 8
SEGMENTS_MAX = 32  # the last one is "other"
TAGS_MAX = 60
CATEGORIES_MAX = 60  # names of one kind (pages, cities, tiers...) that a mask in a condition can hold
CAPS_MAX = 4  # caps per campaign, per channel, in total
RING = 64  # a customer's last exposures
VIEWS = 4  # page views of one customer remembered as closed or left
SNOOZES = 4  # snoozes of one customer; a fifth replaces the one that ends first
WEEKS = 13  # calendar weeks (Monday to Sunday) of purchase history: this one and the twelve before
MOMENTS_MAX = 32
CHANNELS = 10
PARTITIONS = 256

NONE = -1  # "no campaign", "no page", "no arm"
NEVER_MS = np.iinfo(np.int64).max // 4  # later than anything; sums with it do not overflow
LONG_AGO_MS = -NEVER_MS


class Reason(IntEnum):
    """Why a candidate was not shown, in the order of testing. The first that fails is the campaign's reason."""

    SHOWN = 0
    NO_CANDIDATE = 1
    OUTSIDE_WINDOW = 2
    PAUSED = 3
    BLOCKED = 4
    MINOR = 5
    NO_CONSENT = 6
    PERSONALISATION_OFF = 7
    NOT_IN_AUDIENCE = 8
    CONDITION = 9
    PROTECTED_PAGE = 10
    CLOSED_ON_PAGE = 11
    DWELL = 12
    MUTED = 13
    SNOOZED = 14
    QUIET_HOURS = 15
    BACK_OFF = 16
    COOL_DOWN = 17
    CAMPAIGN_CAP = 18
    CHANNEL_CAP = 19
    TOTAL_CAP = 20
    OUT_OF_STOCK = 21
    BUDGET = 22
    LOST_ARBITRATION = 23
    HELD_OUT = 24


REASONS = len(Reason)


class EventKind(IntEnum):
    NO_EVENT = 0
    # behaviour
    LOGIN = 1
    PAGE_VIEW = 2
    PAGE_DWELL = 3  # the client's: this page view has lasted `dwell_ms`
    PAGE_LEAVE = 4
    SLOT_VIEW = 5  # a passive place asks for content
    BALANCE_QUERY = 6
    BILL_VIEWED = 7
    PAYMENT = 8  # a payment done; `amount` fen
    TOP_UP = 9
    CARD_BOUND = 10
    FEATURE_USED = 11
    REGISTER = 12
    INSTALMENT = 13  # an instalment plan was taken
    CLAIM = 14  # events from here to REDEEM ask for something: row `ask` of the batch's asks
    CHECKOUT = 15  # what would this cart cost? Changes nothing
    ORDER = 16  # order a cart: holds the coupons of the answer
    CANCEL = 17  # of an order
    REFUND = 18  # of pieces of a paid order
    TRANSFER = 19  # a coupon to another customer
    # reactions to an exposure: `campaign`, `exposure`
    CLICK = 20
    CLOSE = 21
    MUTE = 22
    SNOOZE = 23
    COMPLAINT = 24
    NOT_SHOWN = 25
    REDEEM = 26  # a coupon without a cart: a right, or a code at the desk
    # what a customer allows
    CONSENT_GIVEN = 30  # `channel`
    CONSENT_WITHDRAWN = 31
    PERSONALISATION_ON = 32
    PERSONALISATION_OFF = 33
    # a numbered calendar moment of the bulletin: `moment`
    MOMENT = 40
    # what fraud rules count besides
    LOGIN_FAILED = 41
    PAYMENT_DECLINED = 42
    CHECK_IN = 43
    MONEY_TRANSFER = 44  # `amount` fen to somebody
    GROUP_JOIN = 45
    CHALLENGE_PASSED = 46  # asks: of the rule in `ask`
    # what the engine derives from an event; never sent
    FIRST_USE = 50  # a goal
    ORDER_UNPAID = 51  # an order was not paid in time


EVENT_KINDS = 64


class Channel(IntEnum):
    POPUP = 0
    PUSH = 1
    SMS = 2
    EMAIL = 3
    VOICE = 4
    INBOX = 5
    CAROUSEL = 6
    CAMPAIGN_PAGE = 7


FIRST_PASSIVE_CHANNEL = int(Channel.INBOX)  # channels below use attention; from here on places are passive
CONSENT_CHANNELS = (Channel.PUSH, Channel.SMS, Channel.EMAIL, Channel.VOICE)


class Flag(IntEnum):
    """Bits of CUSTOMER.marks."""

    CARD_ACTIVE = 1
    CARD_USED = 2
    PERSONALISATION_OFF = 4
    LIKELY_MINOR = 8
    BLOCKED = 16
    HIGH_RISK = 32


class Reaction(IntEnum):
    """Bits of one exposure in the ring."""

    CLICKED = 1
    NEGATIVE = 2  # close, mute or complaint: one per exposure
    SNOOZED = 4
    CONVERTED = 8
    GHOST = 16  # held out: counts for its own campaign's cap and cool-down only
    TAKEN_BACK = 32  # the client said not_shown in time: counts for nothing
    CLOSED = 64  # close or mute: counts once for back-off


# One exposure is one i8: time in ms (42 bits) | campaign (8) | channel (4) | reaction bits (7). Packed, because a ring
# of 64 must fit the budget of 1 000 bytes a customer.
EXPOSURE_REACTION_BITS = 7
EXPOSURE_CHANNEL_BITS = 4
EXPOSURE_CAMPAIGN_BITS = 8
EXPOSURE_CHANNEL_SHIFT = EXPOSURE_REACTION_BITS
EXPOSURE_CAMPAIGN_SHIFT = EXPOSURE_CHANNEL_SHIFT + EXPOSURE_CHANNEL_BITS
EXPOSURE_TIME_SHIFT = EXPOSURE_CAMPAIGN_SHIFT + EXPOSURE_CAMPAIGN_BITS

NOT_SHOWN_WITHIN_MS = 10 * MINUTE_MS  # a not_shown counts in [shown, shown + this)
FUTURE_TOLERANCE_MS = SECOND_MS


class Fact(IntEnum):
    """What a condition may read. Facts from PERSONAL on are about the customer; the others are about the event."""

    # the event and the moment
    PAGE = 0
    CITY = 1
    AMOUNT = 2
    HOUR = 3
    WEEKDAY = 4  # Monday is 1
    DAY_OF_MONTH = 5
    DWELL_MS = 6
    # the customer
    AGE = 20
    GENDER = 21
    HOME_CITY = 22
    TIER = 23
    CARD_ACTIVE = 24
    CARD_USED = 25
    HIGH_RISK = 26
    BALANCE = 27
    POINTS = 28
    POINTS_EXPIRE_IN = 29  # whole days, rounded down; NEVER without points
    DAYS_SINCE_JOINED = 30
    DAYS_SINCE_LOGIN = 31  # before this event
    DAYS_SINCE_PURCHASE = 32
    PURCHASES_13W = 33  # this calendar week and the twelve before
    SPEND_13W = 34
    PURCHASES = 35  # ever
    R_SCORE = 36  # 1 (worst) … number of thresholds + 1
    F_SCORE = 37
    M_SCORE = 38
    TAG = 39  # `operand` is the tag's number


FIRST_PERSONAL_FACT = int(Fact.AGE)


class Compare(IntEnum):
    """Comparators of one step of a condition."""

    EQ = 0
    NE = 1
    LT = 2
    LE = 3
    GT = 4
    GE = 5
    IN = 6  # `right` is a mask of category numbers


# A condition is a run of steps. Each compares a fact with a constant or another fact and says where to go; ACCEPT and
# REJECT end it. Jumps short-circuit without a stack.
ACCEPT = -1
REJECT = -2
STEP = np.dtype(
    [
        ("right", "i8"),  # constant, mask, or a Fact where right_is_fact
        ("left", "i4"),  # Fact
        ("operand", "i4"),  # tag number where left is TAG
        ("compare", "i2"),
        ("right_is_fact", "i2"),
        ("if_true", "i2"),  # index of a step within Tables.steps, ACCEPT or REJECT
        ("if_false", "i2"),
    ],
    align=True,
)

# --- Messages ---------------------------------------------------------------------------------------------------------
EVENT = np.dtype(
    [
        ("time_ms", "i8"),
        ("customer", "i8"),
        ("page_view", "i8"),  # the client's id of the page view, > 0; 0 = none
        ("amount", "i8"),  # fen
        ("sequence", "i4"),  # per customer, ascending
        ("exposure", "i4"),  # the exposure a reaction is about
        ("dwell_ms", "i4"),
        ("kind", "i2"),  # EventKind
        ("page", "i2"),
        ("campaign", "i2"),
        ("city", "i2"),
        ("channel", "i2"),
        ("moment", "i2"),
        ("ask", "i4"),  # row of the batch's asks (engine/coupon_records.ASK); NONE
        ("origin", "i4"),  # row of the batch's origins (engine/fraud_records.ORIGIN); NONE
    ],
    align=True,
)

# The answer to one event; also one row of the ghosts a decision left behind (reason HELD_OUT).
DECISION = np.dtype(
    [
        ("time_ms", "i8"),  # the time the event was taken at
        ("customer", "i8"),
        ("page_view", "i8"),
        ("sequence", "i4"),
        ("exposure", "i4"),  # number of this exposure or ghost among the customer's; NONE if neither
        ("campaign", "i2"),  # the campaign the reason speaks of; NONE with NO_CANDIDATE
        ("kind", "i2"),
        ("page", "i2"),
        ("credited", "i2"),  # campaign whose exposure this event converts; NONE
        ("arm", "i1"),
        ("reason", "i1"),
        ("channel", "i1"),
        ("late", "i1"),
        ("answer", "i1"),  # engine/coupon_records.Answer to what the event asked for
    ],
    align=True,
)

# --- Customer state ---------------------------------------------------------------------------------------------------
# One record per customer, hot fields together: memory latency is what a decision costs.
CUSTOMER = np.dtype(
    [
        ("latest_ms", "i8"),  # own time of the customer's latest event
        ("joined_ms", "i8"),
        ("login_ms", "i8"),
        ("purchase_ms", "i8"),  # last purchase; LONG_AGO_MS if none
        ("balance", "i8"),  # fen
        ("points_expire_ms", "i8"),
        ("rest_until_ms", "i8"),  # pop-ups rest until then
        ("tags", "i8"),  # one bit a tag
        ("muted", "i8", (CAMPAIGNS_MAX // MUTE_WORD_BITS,)),  # one bit a campaign, MUTE_WORD_BITS a word
        ("snoozed", "i8", (SNOOZES,)),  # (until_ms << EXPOSURE_CAMPAIGN_BITS | campaign) + 1; 0 = free
        ("views", "i8", (VIEWS,)),  # page_view << 2 | left << 1 | closed, newest first; 0 = free
        ("decisions_hash", "u8"),
        ("week_spend", "i4", (WEEKS,)),  # fen, slot = week number mod WEEKS
        ("points", "i4"),
        ("purchases", "i4"),
        ("exposures", "i4"),  # ever, ghosts and taken back included; the next one's number
        ("sequence", "i4"),  # of the latest event
        ("week", "i4"),  # number of the week the slots were last turned to
        ("rest_times", "i2"),  # how often back-off has begun since the last click
        ("birth_date", "i4"),  # yyyymmdd; 0 = unknown
        ("home_city", "i2"),
        ("week_purchases", "i1", (WEEKS,)),  # stays at 127
        ("gender", "i1"),
        ("tier", "i1"),
        ("marks", "i1"),  # Flag bits (`flags` is taken by np.record)
        ("consent", "i1"),  # one bit a Channel below FIRST_PASSIVE_CHANNEL
        ("negatives_in_row", "i1"),  # closes and mutes of pop-ups since the last click
    ],
    align=True,
)

# --- A policy as arrays -----------------------------------------------------------------------------------------------
# A cap: fewer than `most` exposures. rolling: (t - window_ms, t]; calendar: since the edge of day, week or month.
PER_ROLLING, PER_DAY, PER_WEEK, PER_MONTH = 0, 1, 2, 3
CAP = np.dtype([("window_ms", "i8"), ("most", "i4"), ("per", "i4")], align=True)  # most = 0: unused row

CAMPAIGN = np.dtype(
    [
        ("from_ms", "i8"),
        ("until_ms", "i8"),
        ("cool_down_ms", "i8"),
        ("goal_window_ms", "i8"),
        ("snooze_ms", "i8"),
        ("dwell_ms", "i8"),  # 0: at the trigger itself
        ("value", "i8"),  # fen a conversion is worth
        ("cost", "i8"),  # fen an exposure costs
        ("name_hash", "u8"),  # of the campaign's name: digests know names, not slots
        ("arm_salt", "u8"),
        ("holdout_salt", "u8"),
        ("caps", CAP, (CAPS_MAX,)),
        ("arm_shares", "i4", (ARMS_MAX,)),  # cumulative, in millionths; the last used one is SHARE_ONE
        ("holdout_share", "i4"),
        ("priority", "i4"),
        ("audience", "i4"),  # first step of the condition, or ACCEPT
        ("condition", "i4"),  # first step of the condition, or ACCEPT
        ("arms", "i2"),
        ("channel", "i2"),
        ("goal", "i2"),  # EventKind
        ("coupon", "i2"),  # slot of the coupon it offers; NONE
        ("budget", "i2"),  # its exposures are paid from; NONE
        ("direct", "i1"),  # an exposure issues the coupon; else a click leads to a claim
        ("used", "i1"),  # the slot holds a campaign
        ("service", "i1"),  # a service message: minors too, outside the universal holdout
        ("personal", "i1"),  # audience or condition reads a personal fact
        ("next_best", "i1"),  # holdout_sees: next_best
    ],
    align=True,
)

# What a policy says once.
POLICY = np.dtype(
    [
        ("price_of_attention", "i8"),  # fen
        ("rest_ms", "i8"),  # back-off; 0 = none
        ("rest_max_ms", "i8"),
        ("rest_repeat", "i8"),  # multiplier of each further rest
        ("universal_salt", "u8"),
        ("let_through_salt", "u8"),
        ("rank_by_response", "i4"),
        ("back_off_after", "i4"),  # closes in a row
        ("universal_holdout", "i4"),  # millionths
        ("let_through", "i4"),  # millionths of customers, whom no fraud rule answers but the block list
        ("protected_pages", "i8"),  # mask
        ("replication", "i8"),
        ("adult_age", "i4"),
        ("segments", "i4"),  # how many the policy declares; number `segments` is "other"
    ],
    align=True,
)

# One calendar day in the policy's zone. Quiet time is up to two intervals [from, until) that lie in the day.
DAY = np.dtype(
    [
        ("start_ms", "i8"),
        ("week_start_ms", "i8"),
        ("month_start_ms", "i8"),
        ("quiet", "i8", (2, 2)),  # equal ends: no quiet time
        ("offset_ms", "i8"),  # wall clock minus UTC at the day's start
        ("switch_ms", "i8"),  # when the offset changes within the day; NEVER_MS if not
        ("offset_after_ms", "i8"),
        ("week", "i4"),  # number of the week since the table's first Monday's epoch (days since 1970-01-05 // 7)
        ("date", "i4"),  # yyyymmdd
        ("weekday", "i1"),
        ("day_of_month", "i1"),
    ],
    align=True,
)


class Tables(NamedTuple):
    """A policy as arrays; the only thing of a policy that rules read. Slots come from the registry of names."""

    policy: np.ndarray  # POLICY, one row
    campaigns: np.ndarray  # CAMPAIGN[slots]
    steps: np.ndarray  # STEP[...]
    responses: np.ndarray  # i8[slots, SEGMENTS_MAX, 2]: predicted response if shown, if not, in 1e-9, by segment
    generic_responses: np.ndarray  # i8[slots, 2]: for customers with personalisation off
    segments: np.ndarray  # i4[SEGMENTS_MAX]: first step of each segment's condition
    triggers: np.ndarray  # i4[EVENT_KINDS * pages + 1]: bounds in `candidates` by kind * pages + page + 1
    candidates: np.ndarray  # i4: campaign slots in declaration order
    moment_triggers: np.ndarray  # i4[MOMENTS_MAX + 1]: bounds in `moment_candidates` by moment
    moment_candidates: np.ndarray  # i4
    declared: np.ndarray  # i4[slots]: declaration order
    goals: np.ndarray  # i1[EVENT_KINDS]: 1 where an event of this kind may be some campaign's goal
    channel_caps: np.ndarray  # CAP[CHANNELS, CAPS_MAX]
    total_caps: np.ndarray  # CAP[CAPS_MAX]
    rfm: np.ndarray  # i8[3, 9]: thresholds of recency (days), frequency, monetary (fen); first column how many
    days: np.ndarray  # DAY[...], consecutive
    terms: np.ndarray  # coupon_records.TERMS[...], only ever added to
    coupons: np.ndarray  # coupon_records.COUPON[coupon slots]
    budgets: np.ndarray  # coupon_records.BUDGET[...]
    channel_budgets: np.ndarray  # i2[CHANNELS]: budget of all exposures on a channel; NONE
    rules: np.ndarray  # fraud_records.RULE[slots]
    listening_bounds: np.ndarray  # i4[EVENT_KINDS + 1]: bounds in `listening` by kind
    listening: np.ndarray  # i2: slots of the rules that count or judge an event of the kind
    metres: np.ndarray  # i8[cities, cities]: how far apart; NONE where a place is not known
    ranges: np.ndarray  # fraud_records.RANGE[...]
    listed: np.ndarray  # fraud_records.LISTED[...], ascending by (field, value)
    breakers: np.ndarray  # breaker_records.BREAKER[...], in declaration order


class Bulletin(NamedTuple):
    """What all may read between two settlements."""

    open: np.ndarray  # i1[slots]: 1 open, 0 paused
    in_stock: np.ndarray  # i1[slots]
    in_budget: np.ndarray  # i1[slots]
    pacing_price: np.ndarray  # i8[slots]: price of one fen of cost, in millionths


class Tallies(NamedTuple):
    """Integers that only add up; any order of adding gives the same."""

    waterfall: np.ndarray  # i8[days, slots, REASONS]: candidates by outcome
    decisions: np.ndarray  # i8[days, REASONS]: decisions by reason
    cells: np.ndarray  # i8[days, slots, arms, segments, CELL_MEASURES]
    answers: np.ndarray  # i8[days, coupons, ANSWERS]: claims by answer
    cohorts: np.ndarray  # i8[days, coupons, COUPON_CELLS]: what became of the coupons claimed on a day
    spend: np.ndarray  # i8[budgets, 3]: coupon_records.Spend since the last settlement
    rules: np.ndarray  # i8[days, rules, fraud_records.RULE_CELLS]
    pulse: np.ndarray  # i8[minutes, breaker_records.COLUMNS, PULSES] since the last settlement; empty without breakers
    pulse_minute: np.ndarray  # i8[1]: the first of these minutes


class Cell(IntEnum):
    """Measures of one cell (day, campaign, arm, segment); the day and segment are those of the exposure's reaction."""

    EXPOSURES = 0
    GHOSTS = 1
    CLICKS = 2
    CLOSES = 3
    MUTES = 4
    SNOOZES = 5
    COMPLAINTS = 6
    NEGATIVES = 7
    CONVERSIONS = 8
    CONVERSION_VALUE = 9  # fen of the converting events
    NOT_SHOWN = 10


CELL_MEASURES = len(Cell)


@cache
def _by_attribute(dtype: np.dtype) -> np.dtype:
    return np.dtype((np.record, dtype))


def records(shape: int | tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Zeroed records, each read by attribute both compiled and interpreted."""
    return np.zeros(shape, _by_attribute(dtype))


def as_records(array: np.ndarray) -> np.ndarray:
    """The same records, each read by attribute."""
    return array.view(_by_attribute(array.dtype))
