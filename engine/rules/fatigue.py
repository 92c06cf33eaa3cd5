"""Fatigue: caps, cool-down, back-off, mute and snooze, all on one ring of a customer's last exposures."""

from engine.compiled import kernel
from engine.records import (
    EXPOSURE_CAMPAIGN_BITS,
    EXPOSURE_CAMPAIGN_SHIFT,
    EXPOSURE_CHANNEL_BITS,
    EXPOSURE_CHANNEL_SHIFT,
    EXPOSURE_REACTION_BITS,
    EXPOSURE_TIME_SHIFT,
    FIRST_PASSIVE_CHANNEL,
    LONG_AGO_MS,
    MUTE_WORD_BITS,
    NONE,
    PER_DAY,
    PER_ROLLING,
    PER_WEEK,
    RING,
    SNOOZES,
    VIEWS,
    Reaction,
)

_CAMPAIGN_MASK = (1 << EXPOSURE_CAMPAIGN_BITS) - 1
_CHANNEL_MASK = (1 << EXPOSURE_CHANNEL_BITS) - 1
_REACTION_MASK = (1 << EXPOSURE_REACTION_BITS) - 1
_GHOST, _TAKEN_BACK = int(Reaction.GHOST), int(Reaction.TAKEN_BACK)
_NOT_REAL = _GHOST | _TAKEN_BACK
_LEFT, _CLOSED = 2, 1


# --- one exposure, packed ---------------------------------------------------------------------------------------------
@kernel
def packed_exposure(t, campaign, channel, reaction):
    return (
        (int(t) << EXPOSURE_TIME_SHIFT)
        | (int(campaign) << EXPOSURE_CAMPAIGN_SHIFT)
        | (int(channel) << EXPOSURE_CHANNEL_SHIFT)
        | int(reaction)
    )


@kernel
def exposed_ms(exposure):
    return exposure >> EXPOSURE_TIME_SHIFT


@kernel
def exposed_campaign(exposure):
    return (exposure >> EXPOSURE_CAMPAIGN_SHIFT) & _CAMPAIGN_MASK


@kernel
def exposed_channel(exposure):
    return (exposure >> EXPOSURE_CHANNEL_SHIFT) & _CHANNEL_MASK


@kernel
def reaction_bits(exposure):
    return exposure & _REACTION_MASK


@kernel
def kept(customer):
    """How many exposures the ring still holds."""
    return min(int(customer.exposures), RING)


# --- caps and cool-down -----------------------------------------------------------------------------------------------
@kernel
def window_start(cap, day, t):
    """Exposures at or after this count; a rolling window is (t - w, t]."""
    if cap.per == PER_ROLLING:
        return t - cap.window_ms + 1
    if cap.per == PER_DAY:
        return int(day.start_ms)
    if cap.per == PER_WEEK:
        return int(day.week_start_ms)
    return int(day.month_start_ms)


@kernel
def counts_for(exposure, campaign, channel):
    """A campaign's cap counts its exposures and ghosts; a channel's and the total only what was really shown."""
    reaction = reaction_bits(exposure)
    if campaign != NONE:
        return exposed_campaign(exposure) == campaign and reaction & _TAKEN_BACK == 0
    if reaction & _NOT_REAL:
        return False
    if channel != NONE:
        return exposed_channel(exposure) == channel
    return exposed_channel(exposure) < FIRST_PASSIVE_CHANNEL


@kernel
def cap_reached(caps, customer, ring, day, t, campaign, channel):
    """Whether any of the caps is full for a campaign, for a channel, or (both NONE) in total."""
    for c in range(len(caps)):
        cap = caps[c]
        if cap.most == 0:
            return False
        start = window_start(cap, day, t)
        shown = 0
        newest = int(customer.exposures) - 1
        for back in range(kept(customer)):
            exposure = ring[(newest - back) % RING]
            if exposed_ms(exposure) < start:
                break
            if counts_for(exposure, campaign, channel):
                shown += 1
                if shown >= cap.most:
                    return True
    return False


@kernel
def last_exposed_ms(customer, ring, campaign):
    """Time of the campaign's last exposure or ghost on any channel; LONG_AGO_MS if there is none."""
    newest = int(customer.exposures) - 1
    for back in range(kept(customer)):
        exposure = ring[(newest - back) % RING]
        if exposed_campaign(exposure) == campaign and reaction_bits(exposure) & _TAKEN_BACK == 0:
            return exposed_ms(exposure)
    return LONG_AGO_MS


@kernel
def cooling_down(campaign, slot, customer, ring, t):
    if campaign.cool_down_ms == 0 or snooze_ended(customer, slot, t):
        return False
    return t - last_exposed_ms(customer, ring, slot) < campaign.cool_down_ms


# --- mute and snooze --------------------------------------------------------------------------------------------------
@kernel
def is_muted(customer, slot):
    return (customer.muted[slot // MUTE_WORD_BITS] >> (slot % MUTE_WORD_BITS)) & 1 == 1


@kernel
def mute(customer, slot):
    customer.muted[slot // MUTE_WORD_BITS] |= 1 << (slot % MUTE_WORD_BITS)


@kernel
def snooze_place(customer, slot):
    """Where the campaign's snooze is kept, or NONE."""
    for i in range(SNOOZES):
        if customer.snoozed[i] > 0 and (customer.snoozed[i] - 1) & _CAMPAIGN_MASK == slot:
            return i
    return NONE


@kernel
def snooze(customer, slot, until_ms):
    """Remember a snooze; a full table gives up the one that ends first."""
    place = snooze_place(customer, slot)
    if place == NONE:
        place = 0
        for i in range(1, SNOOZES):
            # A free place is 0 and so the smallest; equal times are told apart by the slot in the low bits.
            if customer.snoozed[i] < customer.snoozed[place]:
                place = i
    customer.snoozed[place] = ((int(until_ms) << EXPOSURE_CAMPAIGN_BITS) | int(slot)) + 1


@kernel
def snoozed_until(customer, slot):
    place = snooze_place(customer, slot)
    if place == NONE:
        return LONG_AGO_MS
    return (customer.snoozed[place] - 1) >> EXPOSURE_CAMPAIGN_BITS


@kernel
def snooze_ended(customer, slot, t):
    """A snooze has run out and the campaign has not come back since: it is exempt from its cool-down."""
    until = snoozed_until(customer, slot)
    return until != LONG_AGO_MS and until <= t


@kernel
def end_snooze(customer, slot, t):
    place = snooze_place(customer, slot)
    if place != NONE and (customer.snoozed[place] - 1) >> EXPOSURE_CAMPAIGN_BITS <= t:
        customer.snoozed[place] = 0


# --- back-off ---------------------------------------------------------------------------------------------------------
@kernel
def rest_length(policy, times):
    """Length of the rest that begins after `times` earlier ones without a click between."""
    rest = policy.rest_ms
    for _ in range(times):
        if rest >= policy.rest_max_ms:
            break
        rest *= policy.rest_repeat
    return min(rest, policy.rest_max_ms)


@kernel
def count_negative(customer, policy, t):
    """A pop-up was closed or muted: the policy's nth in a row rests all pop-ups."""
    if policy.back_off_after == 0:
        return
    customer.negatives_in_row += 1
    if customer.negatives_in_row < policy.back_off_after:
        return
    customer.negatives_in_row = 0
    customer.rest_until_ms = max(customer.rest_until_ms, t + rest_length(policy, int(customer.rest_times)))
    customer.rest_times = min(int(customer.rest_times) + 1, 1000)


@kernel
def forgive(customer):
    """A click: count and multiplier go back; a rest under way goes on."""
    customer.negatives_in_row = 0
    customer.rest_times = 0


# --- page views -------------------------------------------------------------------------------------------------------
@kernel
def view_bits(customer, page_view):
    """Whether this page view was left (2) or closed on (1)."""
    if page_view > 0:
        for i in range(VIEWS):
            if customer.views[i] >> 2 == page_view:
                return int(customer.views[i] & 3)
    return 0


@kernel
def mark_view(customer, page_view, bit):
    if page_view <= 0:
        return
    for i in range(VIEWS):
        if customer.views[i] >> 2 == page_view:
            customer.views[i] |= bit
            return
    for i in range(VIEWS - 1, 0, -1):
        customer.views[i] = customer.views[i - 1]
    customer.views[0] = (page_view << 2) | bit


@kernel
def close_view(customer, page_view):
    mark_view(customer, page_view, _CLOSED)


@kernel
def leave_view(customer, page_view):
    mark_view(customer, page_view, _LEFT)


@kernel
def view_closed(customer, page_view):
    return view_bits(customer, page_view) & _CLOSED != 0


@kernel
def view_left(customer, page_view):
    return view_bits(customer, page_view) & _LEFT != 0
