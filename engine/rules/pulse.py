"""What circuit breakers go by, counted at the shard: by minute of event time, over all and by campaign."""

from engine.breaker_records import EVERYTHING, Pulse
from engine.compiled import kernel
from engine.records import MINUTE_MS, NONE, RING, EventKind, Reaction
from engine.rules.fatigue import exposed_campaign, exposed_ms, kept, reaction_bits

_PAYMENTS, _DECLINED, _EXPOSURES = int(Pulse.PAYMENTS), int(Pulse.DECLINED), int(Pulse.EXPOSURES)
_COMPLAINTS, _CLAIMS, _REFUSED, _SPENT = int(Pulse.COMPLAINTS), int(Pulse.CLAIMS), int(Pulse.REFUSED), int(Pulse.SPENT)
_PAYMENT, _PAYMENT_DECLINED = int(EventKind.PAYMENT), int(EventKind.PAYMENT_DECLINED)
_IGNORED = int(Reaction.GHOST) | int(Reaction.TAKEN_BACK)


@kernel
def count(tallies, slot, what, amount, t):
    """Add to a count of the minute, over all and of a campaign where there is one."""
    if len(tallies.pulse) == 0:
        return
    minute = min(max(t // MINUTE_MS - int(tallies.pulse_minute[0]), 0), len(tallies.pulse) - 1)
    tallies.pulse[minute, EVERYTHING, what] += amount
    if 0 <= slot < tallies.pulse.shape[1] - 1:
        tallies.pulse[minute, slot + 1, what] += amount


@kernel
def count_exposure(tallies, tables, slot, t):
    count(tallies, slot, _EXPOSURES, 1, t)
    count(tallies, slot, _SPENT, int(tables.campaigns[slot].cost), t)


@kernel
def count_complaint(tallies, slot, t):
    count(tallies, slot, _COMPLAINTS, 1, t)


@kernel
def count_refusal(tallies, slot, t):
    """A claim that the shard refused."""
    count(tallies, slot, _CLAIMS, 1, t)
    count(tallies, slot, _REFUSED, 1, t)


@kernel
def latest_campaign(customer, ring, tables, t):
    """The campaign of the latest real exposure, if t lies in its goal's window; NONE."""
    newest = int(customer.exposures) - 1
    for back in range(kept(customer)):
        exposure = ring[(newest - back) % RING]
        if reaction_bits(exposure) & _IGNORED == 0:
            slot = exposed_campaign(exposure)
            return slot if t - exposed_ms(exposure) <= tables.campaigns[slot].goal_window_ms else NONE
    return NONE


@kernel
def count_payment(customer, ring, event, tables, tallies, t):
    """A payment, done or declined, counts for the campaign that the customer saw last."""
    if len(tallies.pulse) == 0 or event.kind not in (_PAYMENT, _PAYMENT_DECLINED):
        return
    slot = latest_campaign(customer, ring, tables, t)
    count(tallies, slot, _PAYMENTS, 1, t)
    if event.kind == _PAYMENT_DECLINED:
        count(tallies, slot, _DECLINED, 1, t)
