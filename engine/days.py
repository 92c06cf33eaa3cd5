"""The table of calendar days (records.DAY) that zoneinfo filled when the policy was loaded."""

from engine.compiled import kernel
from engine.records import DAY_MS


@kernel
def day_index(days, t):
    """Row of the day that holds t. Times outside the table fall on its first or last day."""
    last = len(days) - 1
    i = (t - days[0].start_ms) // DAY_MS
    i = min(max(i, 0), last)
    # A day may be 23 or 25 hours long: the guess is off by one at most around an edge.
    while i < last and t >= days[i + 1].start_ms:
        i += 1
    while i > 0 and t < days[i].start_ms:
        i -= 1
    return i
