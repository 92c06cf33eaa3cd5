"""What somebody who keeps customers elsewhere says of one: numbers and a dtype. Units as in `records`."""

from enum import IntEnum

import numpy as np


class Given(IntEnum):
    """Bits of PROFILE.given: the fields that are said; the others stay as they are."""

    JOINS = 1 << 0  # a customer begins, under a number that nobody had
    LEAVES = 1 << 1  # a customer is forgotten: what says something of the person goes, what limits count stays
    JOINED_MS = 1 << 2
    BALANCE = 1 << 3
    POINTS = 1 << 4
    POINTS_EXPIRE_MS = 1 << 5
    TAGS = 1 << 6
    BIRTH_DATE = 1 << 7
    HOME_CITY = 1 << 8
    GENDER = 1 << 9
    TIER = 1 << 10
    CONSENT = 1 << 11


PROFILE = np.dtype(
    [
        ("customer", "i8"),
        ("joined_ms", "i8"),
        ("balance", "i8"),  # fen
        ("points_expire_ms", "i8"),
        ("tags", "i8"),  # one bit a tag
        ("given", "i4"),  # Given
        ("points", "i4"),
        ("birth_date", "i4"),  # yyyymmdd; 0 = unknown
        ("home_city", "i2"),  # NONE = unknown
        ("gender", "i1"),
        ("tier", "i1"),
        ("marks", "i1"),  # records.Flag bits …
        ("marks_given", "i1"),  # … of which these are said
        ("consent", "i1"),  # one bit a Channel below FIRST_PASSIVE_CHANNEL
    ],
    align=True,
)
