"""What a customer does about an exposure: reactions to it and the goal it was shown for."""

from engine.compiled import kernel
from engine.records import NONE, NOT_SHOWN_WITHIN_MS, RING, Cell, Channel, EventKind, Reaction
from engine.rules.experiments import assigned_arm
from engine.rules.fatigue import (
    close_view,
    count_negative,
    exposed_campaign,
    exposed_channel,
    exposed_ms,
    forgive,
    is_muted,
    kept,
    mute,
    reaction_bits,
    snooze,
)
from engine.rules.pulse import count_complaint

_CLICK, _CLOSE, _MUTE = int(EventKind.CLICK), int(EventKind.CLOSE), int(EventKind.MUTE)
_SNOOZE, _COMPLAINT, _NOT_SHOWN = int(EventKind.SNOOZE), int(EventKind.COMPLAINT), int(EventKind.NOT_SHOWN)
_POPUP = int(Channel.POPUP)
_CLICKED, _NEGATIVE, _SNOOZED = int(Reaction.CLICKED), int(Reaction.NEGATIVE), int(Reaction.SNOOZED)
_CONVERTED, _GHOST, _TAKEN_BACK = int(Reaction.CONVERTED), int(Reaction.GHOST), int(Reaction.TAKEN_BACK)
_CLOSED = int(Reaction.CLOSED)
_IGNORED = _GHOST | _TAKEN_BACK
_C_CLICKS, _C_CLOSES, _C_MUTES = int(Cell.CLICKS), int(Cell.CLOSES), int(Cell.MUTES)
_C_SNOOZES, _C_COMPLAINTS, _C_NEGATIVES = int(Cell.SNOOZES), int(Cell.COMPLAINTS), int(Cell.NEGATIVES)
_C_CONVERSIONS, _C_VALUE, _C_NOT_SHOWN = int(Cell.CONVERSIONS), int(Cell.CONVERSION_VALUE), int(Cell.NOT_SHOWN)


@kernel
def tally_cell(tallies, tables, day_number, slot, customer_id, segment, measure, amount):
    """Add to the cell of this day, campaign, arm and segment."""
    arm = assigned_arm(tables.campaigns[slot], tables.policy[0].replication, customer_id)
    tallies.cells[day_number, slot, arm, segment, measure] += amount


@kernel
def ring_place(customer, ring, event):
    """Where in the ring the exposure is that a reaction speaks of; NONE if it speaks of none that counts."""
    number, slot = int(event.exposure), int(event.campaign)
    newest = int(customer.exposures) - 1
    if number > newest or number < 0 or newest - number >= RING:
        return NONE
    exposure = ring[number % RING]
    if exposed_campaign(exposure) != slot or reaction_bits(exposure) & _IGNORED:
        return NONE
    return number % RING


@kernel
def react_negatively(customer, ring, place, event, tables, tallies, day_number, segment, t):
    """Close, mute or complaint: back-off once, negative feedback once per exposure."""
    kind, slot = int(event.kind), int(event.campaign)
    before = reaction_bits(ring[place])
    if before & _NEGATIVE == 0:
        ring[place] |= _NEGATIVE
        tally_cell(tallies, tables, day_number, slot, int(event.customer), segment, _C_NEGATIVES, 1)
    if kind == _COMPLAINT:
        tally_cell(tallies, tables, day_number, slot, int(event.customer), segment, _C_COMPLAINTS, 1)
        count_complaint(tallies, slot, t)
        return
    close_view(customer, int(event.page_view))
    if before & _CLOSED == 0:
        ring[place] |= _CLOSED
        if exposed_channel(ring[place]) == _POPUP:
            count_negative(customer, tables.policy[0], t)
        if kind == _CLOSE:
            tally_cell(tallies, tables, day_number, slot, int(event.customer), segment, _C_CLOSES, 1)
    if kind == _MUTE and not is_muted(customer, slot):
        mute(customer, slot)
        tally_cell(tallies, tables, day_number, slot, int(event.customer), segment, _C_MUTES, 1)


@kernel
def click(customer, ring, place, event, tables, tallies, day_number, segment):
    if exposed_channel(ring[place]) == _POPUP:
        forgive(customer)
    if reaction_bits(ring[place]) & _CLICKED == 0:
        ring[place] |= _CLICKED
        tally_cell(tallies, tables, day_number, int(event.campaign), int(event.customer), segment, _C_CLICKS, 1)


@kernel
def remind_later(customer, ring, place, event, tables, tallies, day_number, segment, t):
    slot = int(event.campaign)
    snooze(customer, slot, t + int(tables.campaigns[slot].snooze_ms))
    if reaction_bits(ring[place]) & _SNOOZED == 0:
        ring[place] |= _SNOOZED
        tally_cell(tallies, tables, day_number, slot, int(event.customer), segment, _C_SNOOZES, 1)


@kernel
def react(customer, ring, event, tables, tallies, day_number, segment, t):
    """Apply one reaction; ring: i8[RING], the customer's exposures."""
    kind = int(event.kind)
    place = ring_place(customer, ring, event)
    if place == NONE:
        return
    if kind == _CLICK:
        click(customer, ring, place, event, tables, tallies, day_number, segment)
    elif kind == _SNOOZE:
        remind_later(customer, ring, place, event, tables, tallies, day_number, segment, t)
    elif kind == _NOT_SHOWN:
        shown_ms = exposed_ms(ring[place])
        if shown_ms <= t < shown_ms + NOT_SHOWN_WITHIN_MS:
            ring[place] |= _TAKEN_BACK
            tally_cell(tallies, tables, day_number, int(event.campaign), int(event.customer), segment, _C_NOT_SHOWN, 1)
    else:
        react_negatively(customer, ring, place, event, tables, tallies, day_number, segment, t)


@kernel
def converted_place(customer, ring, goal, tables, t):
    """The latest real exposure whose campaign has this goal and whose window holds t; NONE if there is none."""
    newest = int(customer.exposures) - 1
    for back in range(kept(customer)):
        place = (newest - back) % RING
        exposure = ring[place]
        if reaction_bits(exposure) & _IGNORED:
            continue
        campaign = tables.campaigns[exposed_campaign(exposure)]
        since = t - exposed_ms(exposure)
        if campaign.goal == goal and 0 < since <= campaign.goal_window_ms:
            return place
    return NONE


@kernel
def convert(customer, ring, event, goal, tables, tallies, day_number, segment, t):
    """Credit a goal event to the latest exposure before it, once; returns the campaign credited, or NONE."""
    place = converted_place(customer, ring, goal, tables, t)
    if place == NONE or reaction_bits(ring[place]) & _CONVERTED:
        return NONE
    ring[place] |= _CONVERTED
    slot = exposed_campaign(ring[place])
    tally_cell(tallies, tables, day_number, slot, int(event.customer), segment, _C_CONVERSIONS, 1)
    tally_cell(tallies, tables, day_number, slot, int(event.customer), segment, _C_VALUE, int(event.amount))
    return slot
