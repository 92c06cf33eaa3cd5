"""Where the customers of a population come from, as an array."""

import numpy as np

from engine.records import SHARE_ONE, records
from scenarios.origins_document import Group, Origins
from sim.origin_model import HONEST, LOOK_ALIKES, ORIGINS, Account

FIELDS = {
    Account.FAMILY: "family",
    Account.DORMITORY: "dormitory",
    Account.OFFICE: "office",
    Account.TABLET: "shared_tablet",
    Account.FLYER: "frequent_flyer",
    Account.BARGAIN: "bargain_hunter",
}


def share(millionths: int) -> float:
    return millionths / SHARE_ONE


def shares_of(origins: Origins | None) -> np.ndarray:
    """Shares of customers by honest Account (f8[n]); zeros where nobody says where customers come from."""
    shares = np.zeros(len(HONEST))
    if origins is not None:
        for kind in LOOK_ALIKES:
            shares[kind] = share(getattr(origins.groups, FIELDS[kind]).share)
        shares[Account.ALONE] = max(0.0, 1.0 - shares.sum())
    return shares


def origins_row(origins: Origins | None) -> np.ndarray:
    """The ORIGINS row of a document; no row where there is none."""
    if origins is None:
        return records(0, ORIGINS)
    table = records(1, ORIGINS)
    row, groups = table[0], origins.groups
    row.kinds[:] = np.cumsum(shares_of(origins))
    for kind in LOOK_ALIKES:
        group = getattr(groups, FIELDS[kind])
        if isinstance(group, Group):
            row.people[kind] = group.people
            row.shared_device[kind], row.shared_card[kind] = share(group.device), share(group.card)
            row.shared_address[kind] = share(group.address)
    row.bargain_visits, row.bargain_since_ms = groups.bargain_hunter.visits, groups.bargain_hunter.since
    row.away, row.trip_ms = share(groups.frequent_flyer.away), groups.frequent_flyer.trip
    row.mobile, row.behind = share(origins.mobile.share), origins.mobile.behind
    row.second_device, row.second_used = share(origins.second_device.share), share(origins.second_device.used)
    row.second_card, row.browser = share(origins.second_card), share(origins.browser)
    row.other_address, row.invited = share(origins.other_address), share(origins.invited)
    row.log_in_fails, row.log_in_fails_again = share(origins.log_in_fails.share), share(origins.log_in_fails.again)
    row.declined, row.declined_again = share(origins.declined.share), share(origins.declined.again)
    row.declined_retry_ms = origins.declined.retry_after
    row.passes, row.pass_after_ms = share(origins.challenge.passes), origins.challenge.after
    row.appeals = share(origins.appeals)
    return table
