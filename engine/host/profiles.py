"""What a live source leaves to the shard: customers as somebody keeps them elsewhere, and the numbers of events."""

from itertools import pairwise

import numpy as np

from engine.profile_records import Given
from engine.records import CUSTOMER, LONG_AGO_MS, NONE, Flag, records

FIELDS = {
    Given.JOINED_MS: "joined_ms",
    Given.BALANCE: "balance",
    Given.POINTS: "points",
    Given.POINTS_EXPIRE_MS: "points_expire_ms",
    Given.TAGS: "tags",
    Given.BIRTH_DATE: "birth_date",
    Given.HOME_CITY: "home_city",
    Given.GENDER: "gender",
    Given.TIER: "tier",
    Given.CONSENT: "consent",
}


def newcomer() -> np.ndarray:
    """CUSTOMER[1] of whom nothing is known, and whom nothing has been sent."""
    row = records(1, CUSTOMER)
    row["login_ms"] = row["purchase_ms"] = LONG_AGO_MS
    row["home_city"] = row["gender"] = row["tier"] = NONE
    return row


def put_profiles(customers: np.ndarray, rings: np.ndarray, first: int, profiles: np.ndarray) -> None:
    """Write PROFILE[n], in their order, into CUSTOMER and the rings of a shard that begins with customer `first`."""
    (turns,) = np.nonzero(profiles["given"] & (Given.JOINS | Given.LEAVES))
    for low, end in pairwise([0, *turns.tolist(), len(profiles)]):  # what came before somebody left is forgotten
        _put_some(customers, rings, first, profiles[low:end])


def _put_some(customers: np.ndarray, rings: np.ndarray, first: int, profiles: np.ndarray) -> None:
    """Only the first of them may join or leave."""
    rows = profiles["customer"] - first
    said = profiles["given"]
    joins = rows[said & Given.JOINS != 0]
    customers[joins], rings[joins] = newcomer()[0], 0
    _forget(customers, rows[said & Given.LEAVES != 0])
    for bit, name in FIELDS.items():
        chosen = said & bit != 0
        customers[name][rows[chosen]] = profiles[name][chosen]
    for flag in Flag:
        chosen = profiles["marks_given"] & flag != 0
        has = np.where(profiles["marks"][chosen] & flag, flag, 0).astype(np.int8)
        customers["marks"][rows[chosen]] = customers["marks"][rows[chosen]] & ~np.int8(flag) | has


def _forget(customers: np.ndarray, rows: np.ndarray) -> None:
    """Block lists and caps go on holding: `marks` and exposures stay, and no message is chosen by what was known."""
    unknown = newcomer()[0]
    for name in (*FIELDS.values(), "week_spend", "week_purchases", "purchases", "purchase_ms", "login_ms"):
        customers[name][rows] = unknown[name]
    customers["marks"][rows] |= np.int8(Flag.PERSONALISATION_OFF)


def number_events(customers: np.ndarray, first: int, events: np.ndarray) -> None:
    """Give every event without a number the next of its customer: EVENT[n], written."""
    (unnumbered,) = np.nonzero(events["sequence"] == NONE)
    if len(unnumbered) == 0:
        return
    rows = events["customer"][unnumbered] - first
    order = np.argsort(rows, kind="stable")
    sorted_rows = rows[order]
    begins = np.concatenate([[True], sorted_rows[1:] != sorted_rows[:-1]])
    places = np.arange(len(rows))
    since = places - np.maximum.accumulate(np.where(begins, places, 0))
    events["sequence"][unnumbered[order]] = customers["sequence"][sorted_rows] + 1 + since
