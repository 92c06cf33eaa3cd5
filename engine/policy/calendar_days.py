"""Calendar days, quiet hours and moments of a policy's zone, all edges from zoneinfo."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from engine.policy.document import Moment, Policy, QuietHours
from engine.records import DAY, DAY_MS, HOUR_MS, NEVER_MS, WEEK_MS, records

FIRST_MONDAY = date(1970, 1, 5)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY_MINUTES = 24 * 60
# The longest a calendar window can be: a clock is put back within it.
LONGEST_MS = {"day": DAY_MS + HOUR_MS, "week": WEEK_MS + HOUR_MS, "month": 31 * DAY_MS + HOUR_MS}


def epoch_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def wall_ms(day: date, minutes: int, zone: ZoneInfo) -> int:
    """UTC ms of a wall-clock minute of a day; 24:00 is the next day's start."""
    if minutes >= _DAY_MINUTES:
        return wall_ms(day + timedelta(days=1), minutes - _DAY_MINUTES, zone)
    return epoch_ms(datetime.combine(day, time(minutes // 60, minutes % 60), zone))


def offset_ms(t: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(t / 1000, zone).utcoffset()
    assert offset is not None
    return round(offset.total_seconds() * 1000)


def quiet_minutes(quiet: QuietHours | None) -> list[tuple[int, int]]:
    """Quiet time of one day in minutes, at most two intervals; [from, until) may wrap midnight."""
    if quiet is None or quiet.from_ == quiet.until:
        return []
    if quiet.from_ < quiet.until:
        return [(quiet.from_, quiet.until)]
    return [(0, quiet.until), (quiet.from_, _DAY_MINUTES)]


def switch_within(start: int, end: int, zone: ZoneInfo) -> int:
    """The instant in [start, end) from which another offset holds; NEVER_MS if none does."""
    before = offset_ms(start, zone)
    if offset_ms(end - 1, zone) == before:
        return NEVER_MS
    low, high = start, end - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if offset_ms(middle, zone) == before else (low, middle)
    return high


def days_between(first: date, last: date) -> Iterator[date]:
    for n in range((last - first).days + 1):
        yield first + timedelta(days=n)


def day_table(zone: ZoneInfo, first: date, last: date, quiet: QuietHours | None) -> np.ndarray:
    """DAY rows for first … last."""
    table = records((last - first).days + 1, DAY)
    intervals = quiet_minutes(quiet)
    for row, day in zip(table, days_between(first, last), strict=True):
        start, end = wall_ms(day, 0, zone), wall_ms(day, _DAY_MINUTES, zone)
        row.start_ms = start
        row.week_start_ms = wall_ms(day - timedelta(days=day.weekday()), 0, zone)
        row.month_start_ms = wall_ms(day.replace(day=1), 0, zone)
        for i, (begin, until) in enumerate(intervals):
            row.quiet[i] = wall_ms(day, begin, zone), wall_ms(day, until, zone)
        row.offset_ms = offset_ms(start, zone)
        row.switch_ms = switch_within(start, end, zone)
        row.offset_after_ms = offset_ms(end - 1, zone)
        row.week = (day - FIRST_MONDAY).days // 7
        row.date = day.year * 10_000 + day.month * 100 + day.day
        row.weekday = day.isoweekday()
        row.day_of_month = day.day
    return table


def falls_on(moment: Moment, day: date) -> bool:
    if moment.monthly is not None:
        return day.day == moment.monthly
    if moment.weekly is not None:
        return _WEEKDAYS[day.weekday()] == moment.weekly
    return day == moment.on


def timetable(policy: Policy, first: date, last: date) -> list[tuple[int, int]]:
    """(ms, number of the moment) of every calendar moment of first … last, ascending."""
    zone = ZoneInfo(policy.time_zone)
    return sorted(
        (wall_ms(day, moment.at, zone), number)
        for number, moment in enumerate(policy.moments.values())
        for day in days_between(first, last)
        if falls_on(moment, day)
    )
