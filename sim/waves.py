"""Waves: each due customer's next event, decided together, given back, until none of them is due any more.

A chunk of customers plays all its waves before the next chunk begins, so that their records stay in the processor's
cache. The calendar queue holds each customer under the step in which they are due next: nobody else is looked at.
"""

from collections.abc import Callable

import numpy as np

from engine.compiled import entry, kernel
from engine.coupon_records import ASK, LINE, LINES_MAX, RECEIPT, Inbox
from engine.fraud_records import ORIGIN
from engine.records import EVENT, NONE, EventKind, records
from sim.absences import is_away
from sim.behaviour import next_event
from sim.model import Crowd, Model, Span, Stage
from sim.reactions import absorb

_START, _END, _STEP = int(Span.START), int(Span.END), int(Span.STEP)
_GONE, _JOINING = int(Stage.GONE), int(Stage.JOINING)
_MOMENT = int(EventKind.MOMENT)
CHUNK = 512

Decide = Callable[[np.ndarray, Inbox], tuple[np.ndarray, np.ndarray]]
# Plays a chunk of rows (i8[n], reordered) until all are due at or after a time; returns events decided.
Play = Callable[[Model, Crowd, np.ndarray, int], int]


def inbox_for(events: int, shops: bool, traced: bool) -> Inbox:
    """Room for what so many events may ask for, and for where they come from."""
    asks, lines = (events, events * LINES_MAX) if shops else (0, 0)
    return Inbox(
        records(asks, ASK), records(lines, LINE), records(asks, RECEIPT), records(events if traced else 0, ORIGIN),
        np.zeros(3, np.int64),
    )  # fmt: skip


@kernel
def emit(model, crowd, rows, count, until_ms, events, inbox):
    """Write the next event of each row due before a time; those rows move to the front. Returns how many."""
    first = int(crowd.first[0])
    inbox.used[0], inbox.used[1], inbox.used[2] = 0, 0, 0
    live = 0
    for i in range(count):
        row = rows[i]
        if next_event(model, crowd, crowd.visitors[row], first + row, until_ms, events[live], inbox):
            rows[i] = rows[live]
            rows[live] = row
            live += 1
    return live


@entry
def emit_moment(model, crowd, low, high, t, moment, events):
    """A calendar moment: one event for every customer in [low, high) who has joined, has not left, and whose node
    answers."""
    first = int(crowd.first[0])
    count = 0
    for row in range(low, high):
        visitor = crowd.visitors[row]
        if visitor.stage == _GONE or visitor.stage == _JOINING or is_away(model, first + row, t):
            continue
        visitor.sequence += 1
        event = events[count]
        event.time_ms, event.customer, event.sequence = t, first + row, visitor.sequence
        event.page_view, event.amount, event.exposure, event.dwell_ms = 0, 0, NONE, 0
        event.kind, event.page, event.campaign = _MOMENT, NONE, NONE
        event.city, event.channel, event.moment = visitor.city, NONE, moment
        event.ask, event.origin = NONE, NONE
        count += 1
    return count


# --- calendar queue ---------------------------------------------------------------------------------------------------
@kernel
def step_of(crowd, visitor):
    """The step under which a visitor is filed; NONE for one due after the end, who is not."""
    if visitor.due_ms >= crowd.span[_END]:
        return NONE
    return (int(visitor.due_ms) - crowd.span[_START]) // crowd.span[_STEP]


@kernel
def file(crowd, rows):
    """File rows under the step in which each is due."""
    for i in range(len(rows)):
        visitor = crowd.visitors[rows[i]]
        place = step_of(crowd, visitor)
        if place != NONE:
            visitor.queue_next = crowd.heads[place]
            crowd.heads[place] = rows[i]


@kernel
def take_filed(crowd, place, rows):
    """Take all rows filed under a step into rows (i8[n]); returns how many."""
    count = 0
    row = int(crowd.heads[place])
    crowd.heads[place] = NONE
    while row != NONE:
        rows[count] = row
        count += 1
        row = int(crowd.visitors[row].queue_next)
    return count


@entry
def list_steps(crowd, rows, places):
    """Write the step under which each row is filed; NONE for those due after the end."""
    for i in range(len(rows)):
        places[i] = step_of(crowd, crowd.visitors[rows[i]])


@entry
def file_again(crowd, places, unfiled, scratch):
    """Rows filed under these steps, and some that were not filed, are due at another time now; each is named once.
    scratch: room for all rows."""
    for i in range(len(places)):
        if places[i] != NONE:
            count = take_filed(crowd, places[i], scratch)
            file(crowd, scratch[:count])
    file(crowd, unfiled)


emit_wave, absorb_wave = entry(emit), entry(absorb)
take, enqueue = entry(take_filed), entry(file)


def waves_of(decide: Decide) -> Play:
    """Play by calls of any `decide(events)`: in process, on Ray, over HTTP, the reference."""

    def play(model: Model, crowd: Crowd, rows: np.ndarray, until_ms: int) -> int:
        events = records(len(rows), EVENT)
        inbox = inbox_for(len(rows), len(crowd.shoppers) > 0, len(crowd.traces) > 0)
        live, played = len(rows), 0
        while True:
            live = emit_wave(model, crowd, rows, live, until_ms, events, inbox)
            if live == 0:
                return played
            decisions, ghosts = decide(events[:live], inbox)
            absorb_wave(model, crowd, events[:live], inbox, decisions, ghosts)
            played += live

    return play
