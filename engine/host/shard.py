"""CustomerShard: the customers of some partitions and everything one customer's decision needs, as a plain class."""

import copy
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.apply import apply
from engine.compiled import entry
from engine.coupon_records import ANSWERS, COUPON_CELLS, REPLY, REQUEST, Inbox, Spend, Wallets
from engine.days import day_index
from engine.decide import Shard, decide, empty_shard
from engine.host.wallets import BREACHES, empty_inbox, empty_outbox, empty_wallets, grown, room_for
from engine.records import (
    ARMS_MAX,
    CAMPAIGNS_MAX,
    CELL_MEASURES,
    DECISION,
    EVENT,
    EXPOSURE_CAMPAIGN_BITS,
    EXPOSURE_CAMPAIGN_SHIFT,
    MUTE_WORD_BITS,
    REASONS,
    RING,
    Bulletin,
    Tables,
    Tallies,
    records,
)
from engine.rules.checkout_desk import empty_desk
from engine.rules.digest import LANE_SEEDS, sum_hashes
from engine.rules.experiments import list_assignment, mark_universal_holdout
from engine.rules.segments import segments_of
from engine.rules.wallets import lapse_due

DIGEST_MODULUS = 1 << 128
decide_batch = entry(decide)


def open_bulletin(slots: int) -> Bulletin:
    """Everything open, in stock, within budget and unpaced."""
    ones = np.ones(slots, np.int8)
    return Bulletin(ones, ones.copy(), ones.copy(), np.zeros(slots, np.int64))


def empty_tallies(tables: Tables) -> Tallies:
    days, slots = len(tables.days), len(tables.campaigns)
    arms = max(1, int(tables.campaigns["arms"].max(initial=1)))
    segments = int(tables.policy[0].segments) + 1
    assert arms <= ARMS_MAX
    return Tallies(
        np.zeros((days, slots, REASONS), np.int64),
        np.zeros((days, REASONS), np.int64),
        np.zeros((days, slots, arms, segments, CELL_MEASURES), np.int64),
        np.zeros((days, len(tables.coupons), ANSWERS), np.int64),
        np.zeros((days, len(tables.coupons), COUPON_CELLS), np.int64),
        np.zeros((len(tables.budgets), len(Spend)), np.int64),
    )


def most_ghosts(tables: Tables) -> int:
    """Most candidates one event can have, and so most ghosts one event can leave."""
    widths = [np.diff(bounds).max(initial=0) for bounds in (tables.triggers, tables.moment_triggers)]
    return max(1, int(max(widths)))


def name_hashes(slots: Mapping[str, int], size: int) -> np.ndarray:
    """u8 per slot, from the campaign's name; 0 where no campaign is."""
    hashes = np.zeros(size, np.uint64)
    for name, slot in slots.items():
        hashes[slot] = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    return hashes


def combined(digests: list[str]) -> str:
    """Digest of several shards together; hexadecimal, 128 bits."""
    return f"{sum(int(d, 16) for d in digests) % DIGEST_MODULUS:032x}"


@dataclass(frozen=True)
class Snapshot:
    """A shard between two batches, with the names its slot numbers stand for."""

    names: dict[str, int]
    first: int
    customers: np.ndarray
    rings: np.ndarray
    wallets: Wallets


@dataclass(frozen=True)
class Account:
    """What a shard tells the Ledger after a step."""

    requests: np.ndarray  # REQUEST[n]
    spend: np.ndarray  # i8[budgets, len(Spend)] since the last account
    lives: np.ndarray  # i8[COUPONS_MAX, LIVES]: its coupons ever by present state


class CustomerShard:
    """Customers `first` … `first + count - 1` under one policy.

    `decide(events)` answers a batch; `digest()` and `snapshot()` are taken between batches.
    """

    def __init__(self, first: int, count: int, tables: Tables, names: Mapping[str, int]) -> None:
        self.arrays: Shard = empty_shard(first, count, empty_wallets(0), empty_outbox(0))
        self.names: dict[str, int] = {}
        self.adopt(tables, names)

    def adopt(self, tables: Tables, names: Mapping[str, int]) -> None:
        """Take up a policy: remap what customers remember to its slots, by name; begin new tallies."""
        remap(self.arrays.customers, self.arrays.rings, self.names, dict(names))
        self.tables = tables
        self.names = dict(names)
        self.bulletin = open_bulletin(len(tables.campaigns))
        self.tallies = empty_tallies(tables)
        self.ghosts_max = most_ghosts(tables)
        if tables.coupons["used"].any() and len(self.arrays.wallets.open) == 0:
            self.arrays = self.arrays._replace(wallets=empty_wallets(len(self.arrays.customers)))

    def copy(self) -> "CustomerShard":
        """The same shard at the same moment, to live on by itself."""
        twin = copy.deepcopy(self)
        # What the desk shows are views on its till; copied one by one they would show nothing any more.
        twin.arrays = twin.arrays._replace(desk=empty_desk())
        return twin

    @property
    def has_coupons(self) -> bool:
        return len(self.arrays.wallets.open) > 0

    def pause(self, slots: Iterable[int]) -> None:
        """Pause exactly these campaigns; all others are open."""
        self.bulletin.open[:] = 1
        for slot in slots:
            self.bulletin.open[slot] = 0

    @property
    def customers(self) -> np.ndarray:
        return self.arrays.customers

    def decide(self, events: np.ndarray, inbox: Inbox | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Decide EVENT[n] in order; returns DECISION[n] and the ghosts left on the way, DECISION[m].

        inbox: what the events ask for; its receipts are written.
        """
        assert events.dtype == EVENT
        inbox = empty_inbox() if inbox is None else inbox
        assert not self.has_coupons or np.all(events["ask"] < len(inbox.asks)), "every ask must be in the inbox"
        decisions = records(len(events), DECISION)
        ghosts = records(len(events) * self.ghosts_max, DECISION)
        self.make_room(len(events), len(inbox.lines))
        held = decide_batch(
            self.arrays, events.view(np.recarray), inbox, decisions, ghosts, self.tables, self.bulletin, self.tallies
        )
        return decisions, ghosts[:held]

    def make_room(self, events: int, lines: int) -> None:
        """Room for whatever a batch of so many events and cart lines may keep or ask."""
        if not self.has_coupons:
            return
        wallets = grown(self.arrays.wallets, room_for(events, lines))
        outbox, needed = self.arrays.outbox, int(self.arrays.outbox.waiting[0]) + 2 * events
        if needed > len(outbox.requests):
            larger = records(2 * needed, REQUEST)
            larger[: len(outbox.requests)] = outbox.requests
            outbox = outbox._replace(requests=larger)
        self.arrays = self.arrays._replace(wallets=wallets, outbox=outbox)

    def apply(self, replies: np.ndarray, t: int) -> None:
        """Apply REPLY[n] of a settlement at t, all of this shard's customers."""
        assert replies.dtype == REPLY
        self.make_room(len(replies), 0)
        apply(self.arrays, replies.view(np.recarray), self.tables, self.tallies, t)
        self.check()

    def account(self, t: int) -> Account:
        """Close a step at t: coupons and holds run out; what the Ledger is to hear is handed over."""
        lapse_due(self.arrays.wallets, self.tables, self.tallies, t)
        self.check()
        outbox = self.arrays.outbox
        requests, spend = outbox.requests[: int(outbox.waiting[0])].copy(), self.tallies.spend.copy()
        outbox.waiting[0] = 0
        self.tallies.spend[:] = 0
        return Account(requests, spend, self.arrays.wallets.lives.copy())

    def take_bulletin(self, in_stock: np.ndarray, in_budget: np.ndarray) -> None:
        """What the Ledger says of stock and budgets, by campaign."""
        self.bulletin.in_stock[:], self.bulletin.in_budget[:] = in_stock, in_budget

    def check(self) -> None:
        """Raises AssertionError where an invariant of a wallet was broken."""
        breaches = self.arrays.wallets.breaches
        broken = [sentence for breach, sentence in BREACHES.items() if breaches[breach]]
        assert not broken, "; ".join(broken)

    def digest(self) -> str:
        """128 bits in hexadecimal over every customer's state and decisions."""
        names = name_hashes(self.names, CAMPAIGNS_MAX)
        high, low = sum_hashes(self.arrays, self.tables.terms, names, np.array(LANE_SEEDS))
        return f"{(int(high) << 64) + int(low):032x}"

    def segments(self, t: int) -> np.ndarray:
        """Number of each customer's segment at t (i8[n]); the number of segments means "other"."""
        numbers = np.zeros(len(self.customers), np.int64)
        day = self.tables.days[day_index(self.tables.days, t)]
        segments_of(self.customers, records(1, EVENT)[0], self.tables, day, t, numbers)
        return numbers

    def universal_holdout(self) -> np.ndarray:
        """Who is in the universal holdout: bool[n]."""
        apart = np.zeros(len(self.customers), np.bool_)
        mark_universal_holdout(self.tables.policy[0], int(self.arrays.first[0]), apart)
        return apart

    def assignment(self, slot: int) -> np.ndarray:
        """Group of each customer in a campaign's holdout: i8[n], see `list_assignment`."""
        groups = np.zeros(len(self.customers), np.int64)
        policy, campaign = self.tables.policy[0], self.tables.campaigns[slot]
        list_assignment(campaign, policy, int(self.arrays.first[0]), groups)
        return groups

    def snapshot(self) -> Snapshot:
        return Snapshot(
            dict(self.names), int(self.arrays.first[0]), self.arrays.customers.copy(), self.arrays.rings.copy(),
            Wallets(*(array.copy() for array in self.arrays.wallets)),
        )  # fmt: skip

    def restore(self, snapshot: Snapshot) -> None:
        """Take a snapshot's customers, remapped to this shard's slots by name."""
        assert snapshot.first == int(self.arrays.first[0])
        assert len(snapshot.customers) == len(self.arrays.customers)
        self.arrays.customers[:] = snapshot.customers
        self.arrays.rings[:] = snapshot.rings
        self.arrays = self.arrays._replace(wallets=Wallets(*(array.copy() for array in snapshot.wallets)))
        remap(self.arrays.customers, self.arrays.rings, snapshot.names, self.names)


def slot_moves(before: Mapping[str, int], after: Mapping[str, int]) -> np.ndarray | None:
    """New slot of every old one, or None if nothing moves. Names that are gone keep free slots at the end."""
    taken = set(after.values())
    free = [slot for slot in range(CAMPAIGNS_MAX - 1, -1, -1) if slot not in taken]
    moves = np.arange(CAMPAIGNS_MAX)
    for name, slot in before.items():
        moves[slot] = after[name] if name in after else free.pop(0)
    return None if all(moves[slot] == slot for slot in before.values()) else moves


def remap(customers: Any, rings: np.ndarray, before: Mapping[str, int], after: Mapping[str, int]) -> None:
    """Renumber the campaigns that customers remember: rings, mutes, snoozes."""
    moves = slot_moves(before, after)
    if moves is None:
        return
    campaign_mask = (1 << EXPOSURE_CAMPAIGN_BITS) - 1
    slots = (rings >> EXPOSURE_CAMPAIGN_SHIFT) & campaign_mask
    filled = np.arange(RING)[None, :] < customers["exposures"][:, None]
    moved = (moves[np.minimum(slots, CAMPAIGNS_MAX - 1)] - slots) << EXPOSURE_CAMPAIGN_SHIFT
    rings += np.where(filled, moved, 0)
    muted = np.zeros_like(customers["muted"])
    for old in before.values():
        bit = (customers["muted"][:, old // MUTE_WORD_BITS] >> (old % MUTE_WORD_BITS)) & 1
        new = int(moves[old])
        muted[:, new // MUTE_WORD_BITS] |= bit << (new % MUTE_WORD_BITS)
    customers["muted"] = muted
    snoozed = customers["snoozed"]
    old_slots = (snoozed - 1) & campaign_mask
    new = snoozed - old_slots + moves[np.minimum(old_slots, CAMPAIGNS_MAX - 1)]
    customers["snoozed"] = np.where(snoozed > 0, new, 0)
