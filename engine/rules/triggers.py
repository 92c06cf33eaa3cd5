"""Triggers and eligibility: which campaigns are candidates at an event, and the first test each fails."""

from engine.compiled import kernel
from engine.records import FIRST_PASSIVE_CHANNEL, NONE, Channel, EventKind, Flag, Reason
from engine.rules.calendar import is_quiet
from engine.rules.fatigue import cap_reached, cooling_down, is_muted, snoozed_until, view_closed, view_left
from engine.rules.segments import age, holds

_PAGE_VIEW, _PAGE_DWELL, _MOMENT = int(EventKind.PAGE_VIEW), int(EventKind.PAGE_DWELL), int(EventKind.MOMENT)
_POPUP, _PUSH = int(Channel.POPUP), int(Channel.PUSH)
_F_BLOCKED, _F_MINOR = int(Flag.BLOCKED), int(Flag.LIKELY_MINOR)
_F_IMPERSONAL = int(Flag.PERSONALISATION_OFF)

_PASSED = int(Reason.SHOWN)
_OUTSIDE_WINDOW, _PAUSED, _BLOCKED = int(Reason.OUTSIDE_WINDOW), int(Reason.PAUSED), int(Reason.BLOCKED)
_MINOR, _NO_CONSENT = int(Reason.MINOR), int(Reason.NO_CONSENT)
_IMPERSONAL, _AUDIENCE = int(Reason.PERSONALISATION_OFF), int(Reason.NOT_IN_AUDIENCE)
_CONDITION, _PROTECTED, _CLOSED = int(Reason.CONDITION), int(Reason.PROTECTED_PAGE), int(Reason.CLOSED_ON_PAGE)
_DWELL, _MUTED, _SNOOZED = int(Reason.DWELL), int(Reason.MUTED), int(Reason.SNOOZED)
_QUIET, _BACK_OFF, _COOL_DOWN = int(Reason.QUIET_HOURS), int(Reason.BACK_OFF), int(Reason.COOL_DOWN)
_CAMPAIGN_CAP, _CHANNEL_CAP = int(Reason.CAMPAIGN_CAP), int(Reason.CHANNEL_CAP)
_TOTAL_CAP, _STOCK, _BUDGET = int(Reason.TOTAL_CAP), int(Reason.OUT_OF_STOCK), int(Reason.BUDGET)


@kernel
def candidate_bounds(event, tables, pages):
    """Bounds of this event's campaigns in the list of candidates; `pages` is how many pages the policy names."""
    kind = int(event.kind)
    if kind == _MOMENT:
        return int(tables.moment_triggers[event.moment]), int(tables.moment_triggers[event.moment + 1])
    place = kind * (pages + 1) + int(event.page) + 1
    return int(tables.triggers[place]), int(tables.triggers[place + 1])


@kernel
def waits_for_dwell(campaign, event):
    """On a `page_dwell`, a campaign whose dwell has not been reached is no candidate."""
    return event.kind == _PAGE_DWELL and campaign.dwell_ms > event.dwell_ms


@kernel
def refused_customer(campaign, customer, policy, day):
    """Who the customer is: blocked, minor, without consent, personalisation off."""
    if customer.marks & _F_BLOCKED:
        return _BLOCKED
    if campaign.service == 0 and (customer.marks & _F_MINOR or age(customer, day) < policy.adult_age):
        return _MINOR
    if _PUSH <= campaign.channel < FIRST_PASSIVE_CHANNEL and (customer.consent >> campaign.channel) & 1 == 0:
        return _NO_CONSENT
    if campaign.personal and customer.marks & _F_IMPERSONAL:
        return _IMPERSONAL
    return _PASSED


@kernel
def refused_page(campaign, customer, event, policy):
    """Where the customer is: a protected page, one closed on, or not long enough."""
    if event.page >= 0 and (policy.protected_pages >> event.page) & 1:
        return _PROTECTED
    if view_closed(customer, int(event.page_view)):
        return _CLOSED
    if campaign.dwell_ms > 0:
        if event.kind == _PAGE_VIEW:
            return _DWELL
        if event.kind == _PAGE_DWELL and view_left(customer, int(event.page_view)):
            return _DWELL
    return _PASSED


@kernel
def refused_fatigue(campaign, slot, customer, ring, tables, day, t):
    """What the customer has seen and said: mute, snooze, quiet hours, back-off, cool-down, caps."""
    channel = int(campaign.channel)
    if is_muted(customer, slot):
        return _MUTED
    if t < snoozed_until(customer, slot):
        return _SNOOZED
    if channel < FIRST_PASSIVE_CHANNEL and is_quiet(day, t):
        return _QUIET
    if channel == _POPUP and t < customer.rest_until_ms:
        return _BACK_OFF
    if cooling_down(campaign, slot, customer, ring, t):
        return _COOL_DOWN
    if cap_reached(campaign.caps, customer, ring, day, t, slot, NONE):
        return _CAMPAIGN_CAP
    if cap_reached(tables.channel_caps[channel], customer, ring, day, t, NONE, channel):
        return _CHANNEL_CAP
    if channel < FIRST_PASSIVE_CHANNEL and cap_reached(tables.total_caps, customer, ring, day, t, NONE, NONE):
        return _TOTAL_CAP
    return _PASSED


@kernel
def refused_shared(slot, bulletin):
    """What all customers share."""
    if bulletin.in_stock[slot] == 0:
        return _STOCK
    if bulletin.in_budget[slot] == 0:
        return _BUDGET
    return _PASSED


@kernel
def first_refusal(slot, customer, ring, event, tables, bulletin, day, t):
    """The reason of the first test that a candidate fails; SHOWN (0) if it passes all before arbitration."""
    campaign = tables.campaigns[slot]
    policy = tables.policy[0]
    if t < campaign.from_ms or t >= campaign.until_ms:
        return _OUTSIDE_WINDOW
    if bulletin.open[slot] == 0:
        return _PAUSED
    reason = refused_customer(campaign, customer, policy, day)
    if reason != _PASSED:
        return reason
    if not holds(int(campaign.audience), customer, event, tables, day, t):
        return _AUDIENCE
    if not holds(int(campaign.condition), customer, event, tables, day, t):
        return _CONDITION
    reason = refused_page(campaign, customer, event, policy)
    if reason != _PASSED:
        return reason
    reason = refused_fatigue(campaign, slot, customer, ring, tables, day, t)
    if reason != _PASSED:
        return reason
    return refused_shared(slot, bulletin)
