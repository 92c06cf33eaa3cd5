"""Wall clock, quiet hours and weeks in the policy's zone."""

from engine.compiled import kernel
from engine.records import HOUR_MS, WEEKS


@kernel
def hour(day, t):
    """Hour of the wall clock, 0 to 23."""
    offset = day.offset_ms if t < day.switch_ms else day.offset_after_ms
    return ((t + offset) // HOUR_MS) % 24


@kernel
def is_quiet(day, t):
    return day.quiet[0, 0] <= t < day.quiet[0, 1] or day.quiet[1, 0] <= t < day.quiet[1, 1]


@kernel
def turn_weeks(customer, week):
    """Clear the slots of the weeks passed since the last turn."""
    passed = week - customer.week
    if passed <= 0:
        return
    for i in range(min(passed, WEEKS)):
        slot = (week - i) % WEEKS
        customer.week_spend[slot] = 0
        customer.week_purchases[slot] = 0
    customer.week = week
