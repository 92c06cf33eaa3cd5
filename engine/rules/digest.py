"""The digest: Σ modulo 2¹²⁸ of a hash per customer over named fields and decisions in order.

No padding, no row order, no slot numbers: the same customers give the same digest on any number of shards and under
any numbering of campaigns.
"""

import numpy as np

from engine.compiled import entry, kernel
from engine.records import CAMPAIGNS_MAX, NONE, RING, SNOOZES, VIEWS, WEEKS
from engine.rules.experiments import mix64
from engine.rules.fatigue import (
    exposed_campaign,
    exposed_channel,
    exposed_ms,
    is_muted,
    kept,
    reaction_bits,
    snoozed_until,
)
from engine.rules.slabs import INSTANCES, ORDERS
from engine.rules.watch import SIGHTINGS

LANE_SEEDS = (np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344))  # the first digits of pi


@kernel
def add(h, value):
    """Fold one i8 into a running hash."""
    return mix64(h ^ np.uint64(np.int64(value)))  # interpreted, only an i8 wraps; a Python integer would be refused


@kernel
def add_profile(h, c):
    h = add(h, int(c.latest_ms))
    h = add(h, int(c.joined_ms))
    h = add(h, int(c.login_ms))
    h = add(h, int(c.purchase_ms))
    h = add(h, int(c.balance))
    h = add(h, int(c.points_expire_ms))
    h = add(h, int(c.rest_until_ms))
    h = add(h, int(c.tags))
    h = add(h, int(c.points))
    h = add(h, int(c.purchases))
    h = add(h, int(c.exposures))
    h = add(h, int(c.sequence))
    h = add(h, int(c.rest_times))
    h = add(h, int(c.birth_date))
    h = add(h, int(c.home_city))
    h = add(h, int(c.gender))
    h = add(h, int(c.tier))
    h = add(h, int(c.marks))
    h = add(h, int(c.consent))
    return add(h, int(c.negatives_in_row))


@kernel
def add_history(h, c):
    for i in range(VIEWS):
        h = add(h, int(c.views[i]))
    h = add(h, int(c.week))
    for i in range(WEEKS):
        h = add(h, int(c.week_spend[i]))
        h = add(h, int(c.week_purchases[i]))
    return h


@kernel
def name_sum(c, names):
    """Mutes and snoozes by name, in no order."""
    total = np.uint64(0)
    for slot in range(min(len(names), CAMPAIGNS_MAX)):
        if is_muted(c, slot):
            total += mix64(names[slot])
    for i in range(SNOOZES):
        if c.snoozed[i] > 0:
            slot = (c.snoozed[i] - 1) & 255
            total += mix64(names[slot] ^ mix64(np.uint64(snoozed_until(c, slot))))
    return total


@kernel
def add_ring(h, c, ring, names):
    newest = int(c.exposures) - 1
    for back in range(kept(c)):
        exposure = ring[(newest - back) % RING]
        h = add(h, int(exposed_ms(exposure)))
        h = mix64(h ^ names[exposed_campaign(exposure)])
        h = add(h, int(exposed_channel(exposure)) * 128 + int(reaction_bits(exposure)))
    return h


@kernel
def add_instances(h, wallets, row, terms):
    """Coupons by name, newest first."""
    at = int(wallets.heads[row, INSTANCES])
    while at != NONE:
        one = wallets.instances[at]
        h = mix64(h ^ terms[one.terms].name_hash)
        h = add(h, int(one.expires_ms))
        h = add(h, int(one.claimed_ms))
        h = add(h, (int(one.number) << 32) ^ int(one.order))
        h = add(h, (int(one.spent) << 16) ^ (int(one.state) << 8) ^ int(one.marks))
        at = int(one.next)
    return h


@kernel
def add_orders(h, wallets, row):
    """Orders and their lines, newest first."""
    at = int(wallets.heads[row, ORDERS])
    while at != NONE:
        order = wallets.orders[at]
        h = add(h, int(order.held_ms))
        h = add(h, (int(order.number) << 8) ^ int(order.state))
        h = add(h, int(order.paid))
        h = add(h, int(order.returned))
        line = int(order.lines)
        while line != NONE:
            h = add(h, int(wallets.lines[line].paid))
            h = add(h, (int(wallets.lines[line].quantity) << 32) ^ int(wallets.lines[line].returned))
            line = int(wallets.lines[line].next)
        at = int(order.next)
    return h


@kernel
def add_wallet(h, wallets, row, terms):
    """All of a wallet but the ids, which are forgotten when they are next looked at."""
    h = add_orders(add_instances(h, wallets, row, terms), wallets, row)
    return add(h, (int(wallets.claims[row]) << 32) ^ int(wallets.requests[row]))


@kernel
def add_sightings(h, watch, row, rules):
    """What was seen, by names of rules, in no order: at one instant rules count in the order of their slots."""
    total = np.uint64(0)
    at = int(watch.heads[row, SIGHTINGS])
    while at != NONE:
        one = watch.sightings[at]
        name = rules[one.rule].name_hash if one.rule != NONE else np.uint64(0)
        part = add(add(mix64(name), int(one.time_ms)), int(one.value))
        total += add(part, int(one.what))
        at = int(one.next)
    return mix64(h ^ total)


@kernel
def customer_hash(seed, customer_id, c, ring, names):
    h = add_history(add_profile(add(seed, customer_id), c), c)
    h = add_ring(mix64(h ^ name_sum(c, names)), c, ring, names)
    return mix64(h ^ c.decisions_hash)


@entry
def sum_hashes(shard, terms, rules, names, seeds):
    """Sum of all customers' hashes modulo 2¹²⁸ as (high, low) u8; seeds: u8[2]; names: u8 per slot."""
    high, low = np.uint64(0), np.uint64(0)
    first = int(shard.first[0])
    for i in range(len(shard.customers)):
        a = customer_hash(seeds[0], first + i, shard.customers[i], shard.rings[i], names)
        b = customer_hash(seeds[1], first + i, shard.customers[i], shard.rings[i], names)
        if len(shard.wallets.open) > 0:
            a, b = add_wallet(a, shard.wallets, i, terms), add_wallet(b, shard.wallets, i, terms)
        if len(shard.watch.heads) > 0:
            a, b = add_sightings(a, shard.watch, i, rules), add_sightings(b, shard.watch, i, rules)
        low += a
        high += b + np.uint64(1 if low < a else 0)
    return high, low
