"""Experiments: who sees which arm, who is held out, and the hash that both come from."""

import numpy as np

from engine.compiled import entry, kernel
from engine.records import NONE, SHARE_ONE

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MUL_1 = np.uint64(0xBF58476D1CE4E5B9)
_MUL_2 = np.uint64(0x94D049BB133111EB)
_SHIFT_30, _SHIFT_27, _SHIFT_31 = np.uint64(30), np.uint64(27), np.uint64(31)
_SHIFT_40, _SHIFT_24 = np.uint64(40), np.uint64(24)
_SHARES = np.uint64(SHARE_ONE)


@kernel
def mix64(x):
    """Finaliser of SplitMix64 (Steele, Lea, Flood 2014): u8 to u8, one to one."""
    x = (x ^ (x >> _SHIFT_30)) * _MUL_1
    x = (x ^ (x >> _SHIFT_27)) * _MUL_2
    return x ^ (x >> _SHIFT_31)


@kernel
def bucket(salt, replication, customer):
    """Where a customer falls in [0, 1 000 000) under a salt (u8) in a replication."""
    h = mix64(salt + GOLDEN)
    h = mix64(h ^ mix64(np.uint64(replication) + GOLDEN))
    h = mix64(h ^ mix64(np.uint64(customer) + GOLDEN))
    return np.int64(((h >> _SHIFT_40) * _SHARES) >> _SHIFT_24)


@kernel
def assigned_arm(campaign, replication, customer):
    """The arm of a customer: the first whose cumulative share exceeds the bucket."""
    if campaign.arms == 1:
        return 0
    b = bucket(campaign.arm_salt, replication, customer)
    for arm in range(campaign.arms):
        if b < campaign.arm_shares[arm]:
            return arm
    return NONE


@kernel
def falls_in(salt, replication, share, customer):
    """Whether a customer is among a share (millionths) of all, drawn under a salt."""
    return share > 0 and bucket(salt, replication, customer) < share


@entry
def mark_share(salt, replication, share, first, chosen):
    """Write who falls in a share (bool[n]) of the customers from `first` on."""
    for row in range(len(chosen)):
        chosen[row] = falls_in(salt, replication, share, first + row)


@kernel
def held_out_of_all(policy, customer):
    """In the universal holdout, which sees no campaign but service messages."""
    return falls_in(policy.universal_salt, policy.replication, policy.universal_holdout, customer)


@kernel
def held_out(campaign, policy, customer):
    """Held out by the universal holdout (service messages are not in it) or by the campaign's own."""
    if campaign.service == 0 and held_out_of_all(policy, customer):
        return True
    return falls_in(campaign.holdout_salt, policy.replication, campaign.holdout_share, customer)


@entry
def list_assignment(campaign, policy, first, groups):
    """Write each customer's group (i8[n]): 0 assigned, 1 held out from the campaign, 2 held out from everything."""
    for row in range(len(groups)):
        groups[row] = 0
        if campaign.service == 0 and held_out_of_all(policy, first + row):
            groups[row] = 2
        elif held_out(campaign, policy, first + row):
            groups[row] = 1
