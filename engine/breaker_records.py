"""Records of the circuit breakers: what is counted by the minute, what a policy says, and who was called when."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from engine.records import CAMPAIGNS_MAX

BREAKERS_MAX = 16
WINDOW_MINUTES_MAX = 60
PULSE_MINUTES = 16  # of events a shard counts between two settlements; what comes later counts for the last of them
MINUTES_KEPT = 128  # at the Ledger: a window and what shards may be ahead
PAGED_MAX = 1_024  # calls and reopenings kept; what comes later is counted, not kept
COLUMNS = CAMPAIGNS_MAX + 1  # of counts and states: EVERYTHING, then campaigns by slot
EVERYTHING = 0


class Pulse(IntEnum):
    """What is counted by the minute, over all and by campaign."""

    PAYMENTS = 0  # tried, the declined ones among them
    DECLINED = 1
    EXPOSURES = 2
    COMPLAINTS = 3
    CLAIMS = 4  # answered for good
    REFUSED = 5
    SPENT = 6  # fen: cost of exposures, and the most that each granted coupon can cost


PULSES = len(Pulse)


class BreakerState(IntEnum):
    OPEN = 0  # campaigns run
    TRIPPED = 1  # campaigns are paused
    TRIAL = 2  # campaigns run again, and are judged by what happens from here on


BREAKER = np.dtype(
    [
        ("name_hash", "u8"),
        ("window_ms", "i8"),
        ("least", "i8"),  # of what the rate is of
        ("limit", "i8"),  # trips above: millionths, or fen where whole is NONE
        ("rest_ms", "i8"),
        ("part", "i2"),  # Pulse
        ("whole", "i2"),  # Pulse, or NONE: an amount
        ("by_campaign", "i1"),  # each watched campaign by itself, else everything at once
        ("by_trial", "i1"),  # runs again by itself after its rest, else when somebody decides
        ("watched", "i1", (CAMPAIGNS_MAX,)),  # the campaigns it pauses
    ],
    align=True,
)

FUSE = np.dtype([("since_ms", "i8"), ("state", "i8")], align=True)

# Somebody is called, or campaigns run again.
PAGED = np.dtype(
    [
        ("time_ms", "i8"),
        ("measured", "i8"),  # millionths, or fen
        ("count", "i8"),  # of what the rate is of; of an amount 0
        ("breaker", "i2"),
        ("campaign", "i2"),  # slot; NONE = all it watches
        ("state", "i2"),  # BreakerState from now on
    ],
    align=True,
)


class Breakers(NamedTuple):
    """The breakers' part of the Ledger's state; without breakers in the policy its arrays are empty."""

    judged: np.ndarray  # i8[1]: up to when is judged, a whole minute; NEVER_MS without breakers
    minutes: np.ndarray  # i8[MINUTES_KEPT]: which minute a row of counts is of
    counts: np.ndarray  # i8[MINUTES_KEPT, COLUMNS, PULSES]
    fuses: np.ndarray  # FUSE[BREAKERS_MAX, COLUMNS]
    names: np.ndarray  # u8[COLUMNS]: hashes of the campaigns' names
    breaker_names: np.ndarray  # u8[BREAKERS_MAX]
    paged: np.ndarray  # PAGED[PAGED_MAX]
    calls: np.ndarray  # i8[1]: how many there were, those not kept among them


NO_PULSE = np.zeros((0, 0, PULSES), np.int64)
