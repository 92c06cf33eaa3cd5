"""Where customers are when they come: what they share with whom, and what one customer has met of fraud rules."""

from enum import IntEnum

import numpy as np


class Account(IntEnum):
    """What an account truly is. Known to results of a simulation, never to the engine."""

    ALONE = 0
    FAMILY = 1  # one address, one IP at home, a shared device
    DORMITORY = 2  # one IP for many people
    OFFICE = 3  # one IP in working hours
    TABLET = 4  # one device, several accounts
    FLYER = 5  # other cities, other IPs
    BARGAIN = 6  # claims whatever coupon there is, and orders once for each
    # accounts of adversaries; OWN is a person's honest one, by which is measured what the others brought
    OWN = 15
    RING = 16
    MANY_ACCOUNTS = 17
    SCALPER = 18
    IP_ROTATION = 19
    BOT = 20
    REFERRAL_FARM = 21
    PROBER = 22
    SLOW = 23


HONEST = tuple(account for account in Account if account < Account.OWN)
LOOK_ALIKES = tuple(account for account in HONEST if account != Account.ALONE)
FRAUD = tuple(account for account in Account if account > Account.OWN)

# One row, or none where a population does not say where customers come from. Shares as floats, by honest Account.
ORIGINS = np.dtype(
    [
        ("kinds", "f8", (len(HONEST),)),  # cumulative shares of customers
        ("people", "f8", (len(HONEST),)),  # mean size of a group; 0: no groups
        ("shared_device", "f8", (len(HONEST),)),  # of visits, made from the device that the group shares
        ("shared_card", "f8", (len(HONEST),)),  # likewise of payments
        ("shared_address", "f8", (len(HONEST),)),  # likewise of orders
        ("bargain_visits", "f8"),  # bargain hunters come so many times as often …
        ("bargain_since_ms", "i8"),  # … and have joined so long before launch
        ("away", "f8"),  # of the time, frequent flyers are in another city
        ("trip_ms", "i8"),
        ("mobile", "f8"),  # of visits, over a mobile carrier …
        ("behind", "f8"),  # … so many customers behind one of its addresses
        ("second_device", "f8"),  # of customers
        ("second_used", "f8"),  # of the visits of those
        ("second_card", "f8"),  # of customers; half of their payments are made with it
        ("browser", "f8"),  # of visits, not in the app
        ("other_address", "f8"),  # of orders, sent somewhere else
        ("invited", "f8"),  # of those who join
        ("log_in_fails", "f8"),  # of visits …
        ("log_in_fails_again", "f8"),  # … and of those that failed
        ("declined", "f8"),  # likewise of payments
        ("declined_again", "f8"),
        ("declined_retry_ms", "i8"),
        ("passes", "f8"),  # of those challenged
        ("pass_after_ms", "f8"),  # mean time it takes
        ("appeals", "f8"),  # of those denied
    ],
    align=True,
)


class Harm(IntEnum):
    """Bits of TRACE.harms: what fraud rules did to a customer since launch."""

    DENIED = 1
    HELD = 2  # in review for more than HELD_MS
    FAILED = 4  # a challenge was not passed
    WEAKER = 8  # a weaker coupon than the one claimed
    CHALLENGED = 16
    PASSED = 32


TRACE = np.dtype(
    [
        ("challenge_ms", "i8"),  # when the challenge at hand is passed; NEVER_MS
        ("review_ms", "i8"),  # since when a claim is in review; 0
        ("review_claim", "i4"),
        ("appeal_ms", "i8"),  # when the latest appeal was made; 0
        ("place_ms", "i8"),  # when the customer was last seen …
        ("challenge_rule", "i2"),
        ("appeal_rule", "i2"),
        ("place", "i1"),  # … in which city
        ("appeal_kind", "i1"),  # EventKind of what was denied
        ("kind", "i1"),  # Account
        ("harms", "i1"),
        ("tries", "i1"),  # challenges in a row
        ("log_in_tries", "i1"),  # 0: not known yet; n + 1: so many log-ins will fail before the next
        ("payment_tries", "i1"),  # likewise payments on the page at hand
    ],
    align=True,
)
