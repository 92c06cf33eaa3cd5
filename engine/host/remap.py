"""Names own numbers: what customers remember of campaigns, coupons, budgets and terms, moved to another numbering."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.coupon_records import TERMS, Wallets
from engine.records import (
    CAMPAIGNS_MAX,
    EXPOSURE_CAMPAIGN_BITS,
    EXPOSURE_CAMPAIGN_SHIFT,
    MUTE_WORD_BITS,
    NONE,
    RING,
    Tables,
)
from engine.rules.slabs import INSTANCES


@dataclass(frozen=True)
class Names:
    """What the numbers in a shard stand for."""

    campaigns: dict[str, int]
    coupons: np.ndarray  # u8 by slot: hash of the name; 0 = no name has it
    budgets: np.ndarray  # likewise
    terms: np.ndarray  # TERMS[...]
    rules: np.ndarray  # fraud_records.RULE[...] by slot


@dataclass(frozen=True)
class Moves:
    """The new number of every old one; NONE where it has none."""

    campaigns: np.ndarray
    coupons: np.ndarray
    budgets: np.ndarray
    terms: np.ndarray


def names_in(tables: Tables, campaigns: Mapping[str, int]) -> Names:
    """Of a policy and whatever shares its registry."""
    coupons, budgets = tables.coupons["name_hash"].copy(), tables.budgets["name_hash"].copy()
    return Names(dict(campaigns), coupons, budgets, tables.terms.copy(), tables.rules.copy())


def name_hashes(slots: Mapping[str, int], size: int) -> np.ndarray:
    """u8 per slot, from the campaign's name; 0 where no campaign is."""
    hashes = np.zeros(size, np.uint64)
    for name, slot in slots.items():
        hashes[slot] = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    return hashes


def moves_between(before: Names, after: Names) -> Moves | None:
    """None if every number stays what it is."""
    moves = Moves(
        campaign_moves(before.campaigns, after.campaigns),
        hash_moves(before.coupons, after.coupons),
        hash_moves(before.budgets, after.budgets),
        terms_moves(before, after),
    )
    slots = list(before.campaigns.values())
    stay = np.array_equal(moves.campaigns[slots], slots) and np.array_equal(moves.terms, np.arange(len(moves.terms)))
    for names, numbers in ((before.coupons, moves.coupons), (before.budgets, moves.budgets)):
        named = np.flatnonzero(names)
        stay = stay and np.array_equal(numbers[named], named)
    return None if stay else moves


# --- new numbers ------------------------------------------------------------------------------------------------------
def campaign_moves(before: Mapping[str, int], after: Mapping[str, int]) -> np.ndarray:
    """New slot of every old one. Names that are gone keep free slots at the end."""
    taken = set(after.values())
    free = [slot for slot in range(CAMPAIGNS_MAX - 1, -1, -1) if slot not in taken]
    moves = np.arange(CAMPAIGNS_MAX)
    for name, slot in before.items():
        moves[slot] = after[name] if name in after else free.pop(0)
    return moves


def hash_moves(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    slots = {name: slot for slot, name in enumerate(after.tolist()) if name}
    return np.array([slots.get(name, NONE) for name in before.tolist()], np.int64)


def terms_moves(before: Names, after: Names) -> np.ndarray:
    rows = {content: row for row, content in enumerate(contents(after))}
    return np.array([rows.get(content, NONE) for content in contents(before)], np.int64)


def contents(names: Names) -> list[tuple[Any, ...]]:
    """What each row of terms says, without a number that another registry could give to something else."""
    plain = [name for name in TERMS.names or () if name not in ("coupon", "budget", "group", "not_with")]
    coupons, budgets = names.coupons.tolist(), names.budgets.tolist()
    return [
        (
            *(int(row[name]) for name in plain),
            frozenset(name for slot, name in enumerate(coupons) if int(row["not_with"]) >> slot & 1),
            budgets[row["budget"]] if row["budget"] != NONE else NONE,
        )
        for row in names.terms
    ]


# --- moving -----------------------------------------------------------------------------------------------------------
def move_campaigns(customers: Any, rings: np.ndarray, names: Mapping[str, int], moves: np.ndarray) -> None:
    """Renumber the campaigns that customers remember: rings, mutes, snoozes."""
    campaign_mask = (1 << EXPOSURE_CAMPAIGN_BITS) - 1
    slots = (rings >> EXPOSURE_CAMPAIGN_SHIFT) & campaign_mask
    filled = np.arange(RING)[None, :] < customers["exposures"][:, None]
    moved = (moves[np.minimum(slots, CAMPAIGNS_MAX - 1)] - slots) << EXPOSURE_CAMPAIGN_SHIFT
    rings += np.where(filled, moved, 0)
    muted = np.zeros_like(customers["muted"])
    for old in names.values():
        bit = (customers["muted"][:, old // MUTE_WORD_BITS] >> (old % MUTE_WORD_BITS)) & 1
        new = int(moves[old])
        muted[:, new // MUTE_WORD_BITS] |= bit << (new % MUTE_WORD_BITS)
    customers["muted"] = muted
    snoozed = customers["snoozed"]
    old_slots = (snoozed - 1) & campaign_mask
    new = snoozed - old_slots + moves[np.minimum(old_slots, CAMPAIGNS_MAX - 1)]
    customers["snoozed"] = np.where(snoozed > 0, new, 0)


def move_wallets(wallets: Wallets, moves: Moves) -> None:
    """Renumber coupons and terms in the wallets. Raises AssertionError where the new numbering lacks what a customer
    has: a policy is compiled under a registry that knows it."""
    listed = instances_listed(wallets)
    mine: Any = wallets.instances[listed]
    mine["terms"] = renumbered(mine["terms"], moves.terms, "rows of terms")
    mine["claimed"] = renumbered(mine["claimed"], moves.coupons, "coupons")
    wallets.instances[listed] = mine
    for table in (wallets.lives, wallets.prizes):
        counted = np.flatnonzero(table.any(axis=1))
        rows = table[counted].copy()
        table[:] = 0
        table[renumbered(counted, moves.coupons, "coupons")] = rows


def move_requests(requests: Any, moves: Moves) -> None:
    """Renumber REQUEST[n] that wait for the Ledger."""
    requests["terms"] = renumbered(requests["terms"], moves.terms, "rows of terms")
    requests["coupon"] = renumbered(requests["coupon"], moves.coupons, "coupons")
    requests["campaign"] = renumbered(requests["campaign"], moves.campaigns, "campaigns")


def moved_spend(spend: np.ndarray, moves: Moves | None, budgets: int) -> np.ndarray:
    """i8[budgets, len(Spend)]: what the Ledger has not heard yet, under the new numbers."""
    table = np.zeros((budgets, spend.shape[1]), np.int64)
    used = np.flatnonzero(spend.any(axis=1))
    table[used if moves is None else renumbered(used, moves.budgets, "budgets")] = spend[used]
    return table


def moved_pulse(pulse: np.ndarray, moves: Moves | None) -> np.ndarray:
    """What breakers go by and the Ledger has not heard yet, under the new numbers of campaigns."""
    if moves is None:
        return pulse
    table = np.zeros_like(pulse)
    table[:, 0] = pulse[:, 0]
    used = np.flatnonzero(pulse[:, 1:].any(axis=(0, 2)))
    table[:, 1 + renumbered(used, moves.campaigns, "campaigns")] = pulse[:, 1 + used]
    return table


def renumbered(numbers: np.ndarray, moves: np.ndarray, what: str) -> np.ndarray:
    """NONE stays NONE."""
    moved = np.full(len(numbers), NONE, np.int64)
    given = numbers != NONE
    moved[given] = moves[numbers[given]]
    lacking = numbers[given & (moved == NONE)]
    assert len(lacking) == 0, f"{what} that customers have must be known to the policy (got numbers {set(lacking)})"
    return moved


def instances_listed(wallets: Wallets) -> np.ndarray:
    """Rows of all instances that are in some customer's list. Every list is followed at once."""
    found = [np.zeros(0, np.int64)]
    at = wallets.heads[:, INSTANCES].astype(np.int64)
    while len(at := at[at != NONE]):
        found.append(at)
        at = wallets.instances["next"][at].astype(np.int64)
    return np.concatenate(found)
