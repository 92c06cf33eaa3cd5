"""The population's numbers as arrays, and the state of one simulated customer.

Everything here is hidden from the engine and from results: they see only events.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from sim.judged import Verdicts

SLOTS_PER_DAY = 4  # dominating calendar: at most so many visits a day
DEPTH_MAX = 60  # pages of one visit
TOUCHES_MAX = 20  # the histogram's last bar is "20 or more"

# One row. Rates per day, amounts in fen, times in ms; shares and probabilities as floats.
POPULATION = np.dtype(
    [
        ("visit_shape", "f8"),  # visits per day ~ Gamma(shape, mean)
        ("visit_mean", "f8"),
        ("dropped_visits", "f8"),  # factor on visits once a customer has dropped out
        ("r", "f8"),  # BG/NBD (Fader, Hardie, Lee 2005); alpha in days
        ("alpha", "f8"),
        ("a", "f8"),
        ("b", "f8"),
        ("spend_p", "f8"),  # Gamma-Gamma (Fader, Hardie 2013); gamma in fen
        ("spend_q", "f8"),
        ("spend_gamma", "f8"),
        ("unbound_share", "f8"),  # cards not yet bound when the customer joined
        ("binds_at_visit", "f8"),  # of those who see the page for it
        ("unused_share", "f8"),  # cards never used when the customer joined
        ("first_use_rate", "f8"),  # per day, before any message
        ("brought_forward_ms", "i8"),
        ("prepaid_share", "f8"),
        ("balance_mean", "f8"),
        ("credit_line", "i8"),  # fen that cards which are not prepaid may spend
        ("low_balance", "f8"),
        ("top_up_amount", "f8"),
        ("top_up_at_visit", "f8"),
        ("top_up_at_payment", "f8"),
        ("lost_payment_drop", "f8"),  # drop-out after a payment lost for want of balance
        ("points_mean", "f8"),
        ("travel", "f8"),  # share of visits from another city
        ("taste_spread", "f8"),  # unobserved: standard deviation of log appeal
        ("young_factor", "f8"),  # observed: appeal to customers under 30
        ("taste_interaction", "f8"),  # unobserved taste counts so much more among the young
        ("wear_out", "f8"),  # log appeal lost with each earlier exposure of the campaign
        ("annoyance_half_life_ms", "f8"),
        ("annoyed_click", "f8"),  # log appeal lost per unit of annoyance
        ("annoyed_close", "f8"),  # closes grow by so much per unit
        ("annoyed_visits", "f8"),  # log visits lost per unit
        ("annoyed_leave", "f8"),  # chance to leave for good per unit, at each negative reaction
        ("closing_annoys", "f8"),  # annoyance added by having to close
        ("personalisation_off", "f8"),
        ("likely_minor", "f8"),
        ("high_risk", "f8"),
        ("female", "f8"),
        ("history_ms", "i8"),  # customers joined over so long before day 0
        ("instalment_at_view", "f8"),  # of those who see the page for it
        ("margin", "f8"),  # of what customers spend, what the issuer keeps
        ("complaint_cost", "f8"),  # fen to answer one
        ("horizon_days", "f8"),  # the closing value looks so far ahead
        ("fraud_rate", "f8"),  # losses to fraud per customer and day, unless protected
        ("fraud_loss", "f8"),  # fen a fraud takes
        ("protects", "f8"),  # share of frauds that using the safety feature stops
    ],
    align=True,
)

TOPIC = np.dtype(
    [
        ("click", "f8"),  # probability at full reward, no wear-out, no annoyance
        ("close", "f8"),
        ("mute", "f8"),  # where offered
        ("snooze", "f8"),  # where offered
        ("complaint", "f8"),
        ("act", "f8"),  # of those who click, do what the message asks
        ("reward_half", "f8"),  # fen at which a reward has half its effect; 0: reward does not matter
        ("delay_ms", "f8"),  # mean time from click to act
        ("brought_forward", "f8"),  # shares of induced payments; the rest is added
        ("switched", "f8"),
        ("revive", "f8"),  # chance that a dropped-out customer who acts comes back for good
        ("snooze_return", "f8"),  # appeal when it comes back after "remind me later"
        ("does", "i2"),  # EventKind of the act
        ("known", "i2"),
    ],
    align=True,
)

# What a customer sees of a campaign's arm.
FACE = np.dtype(
    [
        ("reward", "f8"),  # fen
        ("click_factor", "f8"),
        ("close_factor", "f8"),
        ("act_factor", "f8"),  # of those who click, how many more or fewer go on to act
        ("attention", "f8"),  # annoyance an exposure adds
        ("topic", "i2"),
        ("offers_snooze", "i1"),
        ("offers_mute", "i1"),
    ],
    align=True,
)


class Stage(IntEnum):
    OUT = 0  # not in the app
    ENTERING = 1  # between pages: the next page view is due
    ON_PAGE = 2
    JOINING = 3  # joins during the run
    GONE = 4  # left for good by annoyance


class Mark(IntEnum):
    """Bits of VISITOR.marks."""

    DROPPED = 1  # BG/NBD drop-out: no more organic purchases
    USED = 2  # the card has been used
    PREPAID = 4
    SKIP_ORGANIC = 8  # the next organic purchase has been brought forward or switched
    PAGE_EVENT_DONE = 16
    ORGANIC_DUE = 32  # the payment at the end of the flow is the organic one
    YOUNG = 64
    UNBOUND = 256  # the card is not yet bound: it cannot pay
    ACTED = 128  # the event at hand is an act, not what a page did
    SAFE = 512  # the safety feature stops the fraud that would come
    GONE_BEFORE = 1024  # had left for good at launch
    USED_BEFORE = 2048  # had used the card at launch
    FOR_COUPON = 4096  # the purchase at the end of the flow is made for a coupon's sake


class Seen(IntEnum):
    """Bits of OUTCOME.marks."""

    HELD_OUT = 1
    CLAIMED = 2  # clicked an offer whose reward is not yet redeemed
    FIRST_CLICKED = 4  # the first exposure since launch was clicked
    FIRST_CLOSED = 8  # … was closed or muted


VISITOR = np.dtype(
    [
        ("due_ms", "i8"),  # when the next event is due
        ("next_visit_ms", "i8"),
        ("organic_ms", "i8"),  # next organic purchase (or first use)
        ("until_ms", "i8"),  # end of the page view, or start of the next one
        ("entered_ms", "i8"),
        ("react_ms", "i8"),
        ("act_ms", "i8"),
        ("react_key", "i8"),  # opportunity of the exposure being reacted to
        ("annoyed_ms", "i8"),
        ("annoyance", "f8"),  # at annoyed_ms; halves with the half-life
        ("visit_rate", "f8"),
        ("purchase_rate", "f8"),
        ("clock", "f8"),  # operational time (days of average rate) of the next organic purchase
        ("act_key", "i8"),  # opportunity of what caused the act
        ("queue_next", "i4"),
        ("first_row", "i4"),  # first outcome row; NONE
        ("sequence", "i4"),
        ("visit", "i4"),  # key of the visit
        ("next_visit", "i4"),
        ("gaps", "i4"),  # number of the next organic purchase; 0 is the first use
        ("react_exposure", "i4"),
        ("balance", "i4"),  # fen; money stays at the most an i4 holds
        ("spend", "i4"),  # since launch (until then: since the start), fen
        ("before_spend", "i4"),  # before launch
        ("before_visits", "i2"),
        ("visits", "i2"),  # since launch (until then: since the start)
        ("complaints", "i2"),  # since launch, as are the counts below; by campaign: OUTCOME
        ("payments", "i2"),
        ("instalments", "i2"),
        ("marks", "i2"),
        ("react_campaign", "i1"),
        ("act_campaign", "i1"),
        ("touches", "i1"),  # of the week at hand
        ("touch_week", "i1"),
        ("city", "i1"),
        ("home_city", "i1"),
        ("page", "i1"),
        ("depth", "i1"),
        ("stage", "i1"),
        ("flow", "i1"),  # place in the purchase path; 0 = browsing
        ("dwell_at", "i1"),  # next of the policy's dwells
        ("react_kind", "i1"),
    ],
    align=True,
)

# A customer and a campaign from the first real or ghost exposure on.
OUTCOME = np.dtype(
    [
        ("first_ms", "i8"),  # first real or ghost exposure of the campaign under test; 0 = none yet
        ("spend", "i4"),  # fen, within the goal's window; stays at the most an i4 holds
        ("next", "i4"),
        ("seen", "i2"),  # exposures ever, before launch too: wear-out
        ("exposures", "i2"),  # since launch, as are the counts below
        ("negatives", "i2"),
        ("conversions", "i2"),
        ("goals", "i2"),  # goal events within the window from first_ms
        ("clicks", "i1"),  # counts in an i1 stay at 127
        ("redeemed", "i1"),  # rewards
        ("campaign", "i1"),
        ("arm", "i1"),
        ("marks", "i1"),  # Seen bits
        ("snoozes", "i1"),  # ever
    ],
    align=True,
)


class Daily(IntEnum):
    """Measures counted by calendar day."""

    EVENTS = 0
    VISITS = 1  # times the app was opened
    PAGE_VIEWS = 2
    DWELL_MS = 3
    LOGINS = 4
    PAYMENTS = 5
    PAYMENT_AMOUNT = 6
    FIRST_PAYMENTS = 7
    CARDS_BOUND = 8
    TOP_UPS = 9
    FEATURES_USED = 10
    BILLS_VIEWED = 11
    INDUCED_ADDED = 12
    INDUCED_BROUGHT_FORWARD = 13
    INDUCED_SWITCHED = 14
    LOST_PAYMENTS = 15
    EXPOSURES = 16
    CLICKS = 17
    NEGATIVES = 18
    LEFT_ANNOYED = 19
    DROPPED_OUT = 20
    JOINED = 21
    INSTALMENTS = 22
    CLAIMS = 23  # sent, repetitions included
    DISCOUNTS = 24  # fen taken off at payments
    DISCOUNTS_ANYWAY = 25  # of these, on purchases that were made anyway
    LINES_ADDED = 26  # to reach a threshold, or for the nth piece
    REFUNDS = 27
    REFUNDED = 28  # fen
    PIECES = 29  # in paid baskets
    ORDERS = 30  # paid with a basket
    LINES = 31  # in paid baskets
    GOODS = 32  # fen in paid baskets, before any discount, without shipping
    VISITS_LOST = 33  # not begun or broken off, for the customer's node was away
    CLAIMS_UNANSWERED = 34  # the node was away; each is sent again
    PAYMENTS_FAILED = 35  # by an incident


class Measure(IntEnum):
    """What one customer did and was worth since launch. Counts, and money in fen."""

    VISITS = 0
    EXPOSURES = 1
    CLICKS = 2
    NEGATIVES = 3  # closes, mutes, complaints; one per exposure
    CLOSES_AND_MUTES = 4
    COMPLAINTS = 5
    CONVERSIONS = 6
    PAYMENTS = 7
    FIRST_PAYMENTS = 8
    INSTALMENTS = 9
    SPEND = 10
    REWARDS = 11  # face value redeemed
    CHANNEL_COST = 12
    FRAUD_LOSS = 13
    LEFT_ANNOYED = 14
    CLOSING_VALUE = 15  # margin expected after the end
    PROFIT = 16  # margin − rewards − discounts − channel − complaints − fraud + closing value − liability
    BEFORE_VISITS = 17  # before launch
    BEFORE_SPEND = 18
    DISCOUNTS = 19  # fen taken off by coupons at payments, less what came back with refunds
    LIABILITY = 20  # fen that coupons still open at the end are expected to cost
    ORDERS = 21  # paid with a basket
    GOODS = 22  # fen in their baskets, before any discount, without shipping
    PIECES = 23  # in their baskets


class Model(NamedTuple):
    """A population under a policy's faces, as arrays."""

    numbers: np.ndarray  # POPULATION[1]
    stream: np.ndarray  # i8[2]: study seed, replication
    topics: np.ndarray  # TOPIC[...]
    faces: np.ndarray  # FACE[slots, arms]
    campaigns: np.ndarray  # records.CAMPAIGN[slots]: goals, windows, channels
    days: np.ndarray  # records.DAY
    day_factor: np.ndarray  # f8[days]: visits of the day against the average
    hour_quantiles: np.ndarray  # f8[97]: time of day (in days) at which k/96 of visits have begun
    clock_start_ms: np.ndarray  # i8[1]: where the operational clock begins
    clock: np.ndarray  # f8[hours + 1]: operational time at each hour since then
    next_page: np.ndarray  # f8[pages + 1, pages + 1]: cumulative; last row: entry; last column: leave
    dwell_mean_ms: np.ndarray  # f8[pages]
    page_event: np.ndarray  # i2[pages]: EventKind raised on the page, or NO_EVENT
    purchase_path: np.ndarray  # i8[...]: pages of a purchase
    dwells: np.ndarray  # i8[...]: ms that the policy names, ascending
    cities: np.ndarray  # f8[cities]: cumulative shares
    tiers: np.ndarray  # f8[tiers]
    ages: np.ndarray  # f8[bands, 3]: cumulative share, from, until (years)
    consents: np.ndarray  # f8[10]: share that consents, by channel
    tags: np.ndarray  # f8[tags]: share that has the tag
    shop: np.ndarray  # SHOP[1], or SHOP[0] where nobody shops with coupons
    products: np.ndarray  # PRODUCT[...], ascending by price
    product_shares: np.ndarray  # f8[products], cumulative
    places: np.ndarray  # f8[places], cumulative: where the customer shops
    offers: np.ndarray  # OFFER[coupon slots]
    terms: np.ndarray  # coupon_records.TERMS
    coupons: np.ndarray  # coupon_records.COUPON[coupon slots]
    customers: np.ndarray  # i8[1]: how many there are in all
    origins: np.ndarray  # ORIGINS[1], or ORIGINS[0] where nobody says where customers come from
    outages: np.ndarray  # outages.OUTAGE[...]: when things go wrong
    support: np.ndarray  # contacts.SUPPORT[1], or SUPPORT[0] where nobody answers
    absences: np.ndarray  # absences.ABSENCE[...]: whose node is away, and when


class Crowd(NamedTuple):
    """The state of one cohort. Customers are consecutive: row = customer - first."""

    visitors: np.ndarray  # VISITOR[n]
    outcomes: np.ndarray  # OUTCOME[capacity]
    outcome_count: np.ndarray  # i8[1]
    heads: np.ndarray  # i4[steps]: first row due in each step, or NONE
    daily: np.ndarray  # i8[days, len(Daily)]
    moves: np.ndarray  # i8[pages + 2, pages + 2]: from (or enter) to (or leave)
    page_dwell_ms: np.ndarray  # i8[pages]
    touches: np.ndarray  # i8[weeks, TOUCHES_MAX + 1]
    first: np.ndarray  # i8[1]: id of the first customer
    span: np.ndarray  # i8[6]: start, launch, campaign end, end of the run, step, next settlement, all ms
    shoppers: np.ndarray  # SHOPPER[n], or SHOPPER[0] where nobody shops with coupons
    traces: np.ndarray  # TRACE[n], or TRACE[0] where nobody says where customers come from
    verdicts: Verdicts
    callers: np.ndarray  # contacts.CALLER[n], or CALLER[0] without a support desk
    contacts: np.ndarray  # contacts.CONTACT[capacity]: since they were last taken
    contact_count: np.ndarray  # i8[1]
    traffic: np.ndarray  # i8[minutes since launch, len(Traffic)], or i8[0, …] where nobody reviews it


class Traffic(IntEnum):
    """What is counted minute by minute."""

    DECISIONS = 0
    CLAIMS = 1


class Span(IntEnum):
    START = 0
    LAUNCH = 1
    CAMPAIGN_END = 2
    END = 3
    STEP = 4
    SETTLES = 5
