"""Arbitration: which of the campaigns that may be shown is worth the slot."""

from engine.compiled import kernel
from engine.records import FIRST_PASSIVE_CHANNEL, NONE, RESPONSE_ONE, SHARE_ONE, Flag

_F_IMPERSONAL = int(Flag.PERSONALISATION_OFF)
_PRICE_SCALE = RESPONSE_ONE // SHARE_ONE


@kernel
def predicted(slot, customer, segment, tables):
    """Predicted responses (shown, otherwise) in 1e-9; with personalisation off the campaign's own."""
    if customer.marks & _F_IMPERSONAL:
        return int(tables.generic_responses[slot, 0]), int(tables.generic_responses[slot, 1])
    return int(tables.responses[slot, segment, 0]), int(tables.responses[slot, segment, 1])


@kernel
def score(slot, customer, segment, tables, bulletin):
    """value × uplift − price of attention − pacing price × cost, in 1e-9 fen (FIDELITY 7)."""
    campaign = tables.campaigns[slot]
    policy = tables.policy[0]
    shown, otherwise = predicted(slot, customer, segment, tables)
    gain = shown if policy.rank_by_response else shown - otherwise
    points = int(campaign.value) * gain - int(bulletin.pacing_price[slot]) * int(campaign.cost) * _PRICE_SCALE
    if campaign.channel < FIRST_PASSIVE_CHANNEL:
        points -= int(policy.price_of_attention) * RESPONSE_ONE
    return points


@kernel
def winner(passed, scores, count, tables):
    """Place of the best in passed[:count] (slots, NONE = out): priority, score, declaration; NONE if all are out."""
    best = NONE
    for i in range(count):
        if passed[i] == NONE:
            continue
        if best == NONE:
            best = i
            continue
        ahead = int(tables.campaigns[passed[i]].priority) - int(tables.campaigns[passed[best]].priority)
        if ahead > 0 or (ahead == 0 and scores[i] > scores[best]):
            best = i
    return best
