"""Circuit breakers of a policy as the arrays that rules read."""

from collections.abc import Mapping

import numpy as np

from engine.breaker_records import BREAKER, Pulse
from engine.policy.compiling import salt
from engine.policy.document import Policy
from engine.records import NONE, records

RATES = {
    "payment_failures": (Pulse.DECLINED, Pulse.PAYMENTS),
    "complaints": (Pulse.COMPLAINTS, Pulse.EXPOSURES),
    "refusals": (Pulse.REFUSED, Pulse.CLAIMS),
}


def breaker_table(policy: Policy, slots: Mapping[str, int]) -> np.ndarray:
    """BREAKER rows in declaration order. slots: of campaigns."""
    table = records(len(policy.breakers), BREAKER)
    others = [name for name, campaign in policy.campaigns.items() if campaign.purpose != "service"]
    for row, (name, breaker) in zip(table, policy.breakers.items(), strict=True):
        row.name_hash = salt(name)
        row.window_ms, row.rest_ms = breaker.window, breaker.rest or 0
        row.part, row.whole = RATES.get(breaker.measure, (Pulse.SPENT, NONE))
        row.least, row.limit = breaker.least or 0, breaker.amount if breaker.above is None else breaker.above
        row.by_campaign, row.by_trial = breaker.over == "campaign", breaker.closes_by == "trial"
        row.watched[[slots[watched] for watched in (others if breaker.campaigns is None else breaker.campaigns)]] = 1
    return table
